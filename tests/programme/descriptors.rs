//! The end of file descriptors.

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, prlimit};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::support::client::Client;
use crate::support::process::Process;
use crate::support::raw;
use crate::trial::{Figures, Scale, Trial, Value};
use serde_json::json;

pub(crate) const TRIAL: Trial = Trial {
    name: "descriptors",
    what: "more connections than the process may open files",
    needs: &[],
    quick: Ok(()),
    minutes: 2,
    run: |scale| Box::pin(run(scale)),
};

const VIEWERS: usize = 100;
const FILES: u64 = 256;

async fn run(scale: Scale) -> Figures {
    let server = Process::start(&[]);
    server.live_room("show").await;
    let mut viewers = Vec::new();
    for n in 0..VIEWERS {
        viewers.push(Client::viewer(server.address, "show", &format!("Viewer {n}")).await);
    }
    // While it runs: what it has computed from the limit at its start must not be all that saves it.
    let files = Rlimit {
        current: Some(FILES),
        maximum: Some(FILES),
    };
    prlimit(Some(server.pid()), Resource::Nofile, files).expect("its own child");
    let mut crowd = Vec::new();
    for _ in 0..2 * FILES {
        crowd.push(TcpStream::connect(server.address).await.expect("the kernel takes it"));
    }

    let window = scale.time(3_000, 1_000);
    let cpu = server.cpu();
    sleep(window).await;
    let busy = (server.cpu() - cpu).as_secs_f64() / window.as_secs_f64();
    let comment = json!({"nonce": "1", "text": "still here"});
    viewers[0].ask("comment", comment).await.expect("served");
    for viewer in &mut viewers {
        viewer.until_comment("still here").await;
    }

    drop(crowd);
    let began = Instant::now();
    drop(raw::joined(server.address, "show").await);
    let again = began.elapsed();
    let refused = server
        .metric("hubbub_sockets_refused_total{reason=\"resources\"}")
        .await;
    let mut figures = Figures::new(&scale);
    figures.exactly("viewers who go on", viewers.len(), VIEWERS);
    figures.at_least("times that it found no file left", refused, 1_u64);
    figures.at_most("CPU meanwhile", Value::Percent(100.0 * busy), Value::Percent(20.0));
    figures.at_most("a new viewer has joined after", again, Duration::from_secs(1));
    figures
}

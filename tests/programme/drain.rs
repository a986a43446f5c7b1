//! SIGTERM under a full house.

use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::audience::Audience;
use crate::support::process::{Launch, Process};
use crate::trial::{Figures, Need, Scale, Trial};

pub(crate) const TRIAL: Trial = Trial {
    name: "drain",
    what: "SIGTERM under a full house, with requests half sent",
    needs: &[Need::Audience],
    quick: Err("a show takes a quarter of a minute; tests/http/command_line.rs tries it small"),
    minutes: 5,
    run: |scale| Box::pin(run(scale)),
};

/// Requests that are never sent to their end.
const HALVES: [&str; 2] = [
    "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Half: ",
    "POST /api/v1/rooms HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{",
];

async fn run(scale: Scale) -> Figures {
    let viewers = scale.of(5_000, 60);
    let mut server = Process::launch(Launch::new(&[]).on_a_lasting_port());
    let audience = Audience::of_a_show(&server, &scale, viewers, 20, &[]).await;
    let mut halves = Vec::new();
    for n in 0..scale.of(100, 10) {
        let mut half = TcpStream::connect(server.address).await.expect("the server listens");
        half.write_all(HALVES[n % 2].as_bytes()).await.expect("open");
        halves.push(half);
    }

    let began = Instant::now();
    kill_process(server.pid(), Signal::TERM).expect("it runs");
    let (status, said) = server.wait();
    let took = began.elapsed();
    assert_eq!(status, Some(0), "{said}");
    server.restart();
    let report = audience.report(Duration::from_secs(240)).await;
    // Every acknowledged comment is shown to everybody, before or after.
    report.is_correct();
    let mut figures = Figures::new(&scale);
    figures.note("requests half sent", halves.len());
    figures.at_most("SIGTERM to exit status 0", took, Duration::from_secs(10));
    figures.exactly("viewers told to come back", report.closes(4000), viewers);
    figures.exactly("viewers whose connection just broke", report.closes(0), 0_u64);
    figures.exactly("viewers back and continued", report.count("/comebacks/count"), viewers);
    figures.note("all back after their end", report.time("/comebacks/max_ms"));
    figures
}

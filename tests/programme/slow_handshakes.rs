//! Connections that say nothing, or one byte after the other.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::support::process::Process;
use crate::support::raw;
use crate::trial::{Figures, Scale, Trial, quantile};

pub(crate) const TRIAL: Trial = Trial {
    name: "slow-handshakes",
    what: "silent and dribbling connections, while good clients come in",
    needs: &[],
    quick: Ok(()),
    minutes: 2,
    run: |scale| Box::pin(run(scale)),
};

async fn run(scale: Scale) -> Figures {
    let each = scale.of(1_000, 50);
    let limit = scale.time(5_000, 1_000);
    let server = Process::start(&["--header-timeout-ms", &limit.as_millis().to_string()]);
    server.live_room("show").await;
    let address = server.address;
    let mut bad = JoinSet::new();
    for _ in 0..each {
        bad.spawn(cut_after(address, false));
        bad.spawn(cut_after(address, true));
    }
    let mut good = Vec::new();
    let mut cut: Vec<Duration> = Vec::new();
    while !bad.is_empty() {
        let began = Instant::now();
        drop(raw::joined(address, "show").await);
        good.push(began.elapsed());
        while let Some(ended) = bad.try_join_next() {
            cut.push(ended.expect("it is cut"));
        }
    }
    let mut figures = Figures::new(&scale);
    figures.exactly("silent and dribbling connections cut", cut.len(), 2 * each);
    // The clients notice it a little later.
    let noticed = limit + Duration::from_millis(500);
    figures.at_most("the last was cut after", quantile(&cut, 1.0), noticed);
    figures.note("good clients meanwhile", good.len());
    figures.at_most(
        "connect to joined, good clients' p99",
        quantile(&good, 0.99),
        Duration::from_millis(200),
    );
    figures
}

/// Connects and says nothing, or a byte a fifth of a second of a request that never ends; how long the server
/// takes that.
async fn cut_after(address: SocketAddr, dribbles: bool) -> Duration {
    let mut socket = TcpStream::connect(address).await.expect("the server listens");
    let began = Instant::now();
    let (mut reading, mut writing) = socket.split();
    let ended = async {
        // However it ends: with an answer, an end or a reset.
        let _ = reading.read_to_end(&mut Vec::new()).await;
    };
    let dribble = async {
        let mut clock = interval(Duration::from_millis(200));
        let mut said = b"GET /healthz HTTP/1.1\r\nHost: "
            .iter()
            .chain(std::iter::repeat(&b'a'));
        while let (true, Some(byte)) = (dribbles, said.next()) {
            clock.tick().await;
            if writing.write_u8(*byte).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let ended = async {
        tokio::select! {
            () = ended => {}
            () = dribble => {}
        }
    };
    timeout(Duration::from_secs(60), ended).await.expect("it is cut");
    began.elapsed()
}

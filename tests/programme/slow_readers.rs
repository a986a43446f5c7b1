//! Viewers who stop reading.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::audience::{Audience, Report};
use crate::support::process::Process;
use crate::support::raw;
use crate::trial::{Figures, Need, Scale, Trial, Value};

pub(crate) const TRIAL: Trial = Trial {
    name: "slow-readers",
    what: "a tenth of the viewers stop reading, with tiny buffers; compared with a show without them",
    needs: &[Need::Audience],
    quick: Err("a show twice takes half a minute; tests/ws/slow.rs tries it small"),
    minutes: 10,
    run: |scale| Box::pin(run(scale)),
};

/// Metric of connections closed because they took nothing.
const CLOSED: &str = "hubbub_connections_closed_total{code=\"4001\"}";

async fn run(scale: Scale) -> Figures {
    let deaf = scale.of(500, 10);
    let (without, memory_without, _) = show(&scale, 0).await;
    let (with, memory_with, closed_after) = show(&scale, deaf).await;
    let mut figures = Figures::new(&scale);
    figures.note("viewers who read", scale.of(4_500, 50));
    figures.note("viewers who do not", deaf);
    figures.note("due to received without them, p99", without.time("/latency/p99_ms"));
    figures.note("due to received beside them, p99", with.time("/latency/p99_ms"));
    let times = with.number("/latency/p99_ms") / without.number("/latency/p99_ms");
    figures.at_most(
        "the others' p99 against without",
        Value::Times(times),
        Value::Times(1.2),
    );
    let more = memory_with.saturating_sub(memory_without);
    figures.at_most(
        "memory's peak, more",
        Value::Bytes(more),
        Value::Bytes(deaf as u64 * (128 << 10) + (32 << 20)),
    );
    // 30 s after their buffers are full. All come within 5 s, and then the buffers take what is said for some 15 s.
    figures.at_most(
        "all of them closed, so long after the show began",
        Value::Ms(closed_after.as_secs_f64() * 1_000.0),
        Value::Ms(60_000.0),
    );
    figures
}

/// One show, with viewers who do not read: the others' report, the server's peak of memory, and after which time all
/// who do not read were closed.
async fn show(scale: &Scale, deaf: usize) -> (Report, u64, Duration) {
    // Everything is shown, so that the buffers of those who do not read are full after some seconds.
    let server = Process::start(&[
        "--display-budget",
        "off",
        "--stall-timeout-ms",
        &scale.time(30_000, 1_000).as_millis().to_string(),
    ]);
    server.live_room("show").await;
    let mut arriving = JoinSet::new();
    for _ in 0..deaf {
        let address = server.address;
        arriving.spawn(async move { raw::deaf(address, "show").await });
    }
    let _deaf: Vec<TcpStream> = arriving.join_all().await;
    let sizes = [
        "--viewers",
        &scale.text(4_500, 50),
        "--ramp",
        &scale.seconds(5, 1),
        "--seconds",
        &scale.seconds(60, 4),
        // A viewer may say something every 2.5 s. The buffers must be full so soon that the stall is over before the
        // deaf are closed because they answer no ping, 50 s after they came.
        "--comments",
        &scale.text(100, 20),
    ];
    let within = Duration::from_secs(240);
    let audience = Audience::of(&server, Some("show"), &sizes);
    let closed = timeout(within, all_closed(&server, deaf as u64));
    let (report, closed_after) = tokio::join!(audience.report(within), closed);
    report.is_correct();
    (
        report,
        server.memory("VmHWM"),
        closed_after.expect("all who do not read are closed"),
    )
}

/// After which time so many were closed; asked seldom, for it costs the server something, too.
async fn all_closed(server: &Process, deaf: u64) -> Duration {
    let began = Instant::now();
    let mut ticks = interval(Duration::from_millis(500));
    while server.metric(CLOSED).await < deaf {
        ticks.tick().await;
    }
    began.elapsed()
}

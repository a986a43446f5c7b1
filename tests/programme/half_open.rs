//! Viewers whose phones are put away without a word.

use std::time::Duration;

use crate::audience::{Audience, CONNECTIONS, PATIENCE};
use crate::support::process::Process;
use crate::trial::{Figures, Need, Scale, Trial};

pub(crate) const TRIAL: Trial = Trial {
    name: "half-open",
    what: "the viewers' process is stopped: their connections stay open and silent",
    needs: &[Need::Audience],
    quick: Err("pings come every 25 s; tests/ws/timing.rs has them come faster"),
    minutes: 5,
    run: |scale| Box::pin(run(scale)),
};

/// Two of the intervals between pings that are the default; the server looks once a second, and then closes.
const WITHIN: Duration = Duration::from_secs(2 * 25 + 2);

async fn run(scale: Scale) -> Figures {
    let viewers = scale.of(500, 500);
    let server = Process::start(&[]);
    server.live_room("show").await;
    let sizes = [
        "--viewers",
        &viewers.to_string(),
        "--seconds",
        "600",
        "--comments",
        "0",
        "--likes",
        "0",
    ];
    let audience = Audience::of(&server, Some("show"), &sizes);
    server
        .until_metric(CONNECTIONS, PATIENCE, |open| open == viewers as u64)
        .await;
    audience.freeze();
    let removed = server.until_metric(CONNECTIONS, 2 * WITHIN, |open| open == 0).await;
    let silent = server.metric("hubbub_connections_closed_total{code=\"4002\"}").await;
    let mut figures = Figures::new(&scale);
    figures.note("viewers", viewers);
    figures.exactly("closed because they were silent", silent, viewers);
    figures.at_most("all removed after", removed, WITHIN);
    figures
}

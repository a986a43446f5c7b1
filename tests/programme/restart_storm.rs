//! kill -9 under a full house: everybody comes back at once.

use std::time::Duration;

use crate::audience::{Audience, CONNECTIONS, PATIENCE};
use crate::support::process::{Launch, Process};
use crate::trial::{Figures, Need, Scale, Trial, Value};

pub(crate) const TRIAL: Trial = Trial {
    name: "restart-storm",
    what: "kill -9 under a full house, all viewers come back, at moments of their own and all at the same",
    needs: &[Need::Audience],
    quick: Err("a show twice takes half a minute"),
    minutes: 10,
    run: |scale| Box::pin(run(scale)),
};

async fn run(scale: Scale) -> Figures {
    let mut figures = Figures::new(&scale);
    figures.note("viewers", scale.of(5_000, 60));
    let seconds = Duration::from_secs;
    storm(&scale, &[], "with jitter", seconds(10), &mut figures).await;
    storm(&scale, &["--no-jitter"], "without jitter", seconds(20), &mut figures).await;
    figures
}

async fn storm(scale: &Scale, options: &[&str], how: &str, within: Duration, figures: &mut Figures) {
    let viewers = scale.of(5_000, 60);
    let mut server = Process::launch(Launch::new(&[]).on_a_lasting_port());
    let audience = Audience::of_a_show(&server, scale, viewers, 30, options).await;
    let memory_before = server.memory("VmHWM");
    server.kill();
    server.restart();
    server
        .until_metric(CONNECTIONS, PATIENCE, |open| open == viewers as u64)
        .await;
    let memory = server.memory("VmHWM");
    let report = audience.report(Duration::from_secs(240)).await;
    report.is_correct();
    let all = report.count("/comebacks/count");
    figures.exactly(&format!("back and continued, {how}"), all, viewers);
    figures.at_most(&format!("all back, {how}"), report.time("/comebacks/max_ms"), within);
    let times = Value::Times(memory as f64 / memory_before as f64);
    figures.at_most(
        &format!("memory's peak against before, {how}"),
        times,
        Value::Times(1.5),
    );
    figures.exactly(
        &format!("scans of the journal to load the room, {how}"),
        server.metric("hubbub_journal_room_scans_total{why=\"load\"}").await,
        1_u64,
    );
    figures.exactly(
        &format!("rooms rebuilt again, {how}"),
        server.metric("hubbub_rooms_rebuilt_total").await,
        0_u64,
    );
}

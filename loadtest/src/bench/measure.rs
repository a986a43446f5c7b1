//! One measurement: a process of its own, its viewers, their talk.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use super::running::{Scene, Target};
use super::{Load, Plan};
use crate::options::Failure;
use crate::tally::Tally;
use crate::worker::{Order, Standing};

/// Nothing happens for so long once the viewers have come: memory is looked at.
pub(super) const SETTLE: Duration = Duration::from_secs(2);
/// After the last answer the last deltas are on their way for so long.
pub(super) const QUIET: Duration = Duration::from_millis(500);
/// Talk before the measurement begins.
const WARM_UP: Duration = Duration::from_secs(1);
/// Above this share of a core this program may be what is slow.
const CPU_MAX: f64 = 0.85;

/// What came out.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// CPU time a delivery, of one comment to one viewer: all, and the process's own code's; microseconds.
    pub(super) cpu_us: f64,
    pub(super) user_us: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
    /// Resident bytes that each idle viewer added.
    pub(super) viewer_bytes: f64,
    pub(super) joins_per_second: f64,
    pub(super) deliveries_per_second: f64,
    /// Bytes received for each delivery, with everything.
    pub(super) wire_bytes: f64,
    /// Disclosed gaps.
    pub(super) skipped: u64,
    /// Comments without an answer, and faults.
    pub(super) wrong: Vec<String>,
    pub(super) generator_cpu: f64,
}

impl Measured {
    pub(super) fn is_correct(&self) -> bool {
        self.wrong.is_empty()
    }

    pub(super) fn generator_limited(&self) -> bool {
        self.generator_cpu > CPU_MAX
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2} us ({:.2} user) a delivery, p50 {:.0}, p99 {:.0}, p99.9 {:.0} ms, {:.0} B a viewer, {:.0} joins/s, \
             {:.0} B a delivery, {} skips, generator {:.0} %",
            self.cpu_us,
            self.user_us,
            self.p50_ms,
            self.p99_ms,
            self.p999_ms,
            self.viewer_bytes,
            self.joins_per_second,
            self.wire_bytes,
            self.skipped,
            self.generator_cpu * 100.0
        )?;
        self.wrong.iter().try_for_each(|wrong| write!(f, "; WRONG: {wrong}"))
    }
}

/// Measures a load on a target.
///
/// # Errors
///
/// [`Failure`] if there was nothing to measure.
pub(super) fn once(plan: &Plan, target: Target, load: Load) -> Result<Measured, Failure> {
    let mut scene = Scene::open(plan, target, load)?;
    let memory_before = scene.memory();
    scene.come();
    thread::sleep(SETTLE);
    let memory_idle = scene.memory();

    let from = Instant::now();
    scene.talk(from, from + WARM_UP + plan.time, load.comments());
    thread::sleep(WARM_UP);
    let times_before = scene.process.times().unwrap_or_default();
    let received_before = scene.crew.received();
    scene.crew.order(|_| Order::Measure(true));
    let measured_from = Instant::now();
    thread::sleep(plan.time);
    let times = scene.process.times().unwrap_or_default();
    let received = scene.crew.received();
    let took = measured_from.elapsed().as_secs_f64();
    scene.crew.order(|_| Order::Measure(false));
    scene.wait(|standing| standing.commenting == 0);
    thread::sleep(QUIET);
    let standing = scene.crew.standing();
    let tally = scene.crew.end()?;

    let deliveries = (received.0 - received_before.0) as f64;
    let bytes = (received.1 - received_before.1) as f64;
    let each_us = |seconds: f64| seconds * 1e6 / deliveries.max(1.0);
    let user = times.user - times_before.user;
    Ok(Measured {
        cpu_us: each_us(user + times.system - times_before.system),
        user_us: each_us(user),
        p50_ms: tally.deliveries.ms(0.5),
        p99_ms: tally.deliveries.ms(0.99),
        p999_ms: tally.deliveries.ms(0.999),
        viewer_bytes: memory_idle.saturating_sub(memory_before) as f64 / f64::from(load.viewers()),
        joins_per_second: tally.joins_per_second(),
        deliveries_per_second: deliveries / took,
        wire_bytes: bytes / deliveries.max(1.0),
        skipped: tally.skipped,
        wrong: wrong(&tally, &standing, load.viewers()),
        generator_cpu: tally.cpu,
    })
}

/// What was not as it must be.
pub(super) fn wrong(tally: &Tally, standing: &Standing, viewers: u32) -> Vec<String> {
    let mut wrong: Vec<String> = tally.faults.sentences().collect();
    if standing.watching != viewers {
        wrong.push(format!("{} of {} viewers are there", standing.watching, viewers));
    }
    if standing.commenting > 0 {
        wrong.push(format!("{} comments were never answered", standing.commenting));
    }
    wrong
}

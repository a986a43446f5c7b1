//! What gives way under load. When the passes over a room's audience take nearly all the time there is, fewer
//! comments are shown, by the room's own display budget, so that all see the same ones and are told of how many;
//! then counts come less often. What concerns commerce and the room's state never gives way.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Above this share of the time, per mille, a room's chat gives way.
const STRAINED: u32 = 850;
/// Seconds of strain that a rush may take before chat gives way.
const RUSH: u32 = 3;
/// Below this share it comes back.
const RELAXED: u32 = 600;
/// How much rarer counts are at the lowest budget.
const RARER: u32 = 4;

/// How busy a pass is.
#[derive(Default)]
pub(super) struct Busy(AtomicU32);

/// Adds up the time of passes, and tells it about once a second.
pub(super) struct Watch {
    since: Instant,
    spent: Duration,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            spent: Duration::ZERO,
        }
    }

    /// A pass took so long.
    pub(super) fn pass(&mut self, took: Duration) {
        self.spent += took;
    }

    /// Nobody is left to be visited.
    pub(super) fn rest(&mut self, busy: &Busy) {
        busy.0.store(0, Ordering::Relaxed);
        *self = Self::new();
    }

    /// Says how busy it was since the last time.
    pub(super) fn tell(&mut self, busy: &Busy) {
        let share = self.spent.as_secs_f64() / self.since.elapsed().as_secs_f64().max(0.001);
        busy.0.store((share * 1_000.0) as u32, Ordering::Relaxed);
        *self = Self::new();
    }
}

/// The busiest of a feed's passes, per mille of the time.
pub(super) fn busiest<'b>(all: impl Iterator<Item = &'b Busy>) -> u32 {
    all.map(|busy| busy.0.load(Ordering::Relaxed)).max().unwrap_or(0)
}

/// For how many seconds a room has been strained.
#[derive(Default)]
pub(super) struct Strain(u32);

impl Strain {
    /// The next second's display budget: half of it once the room is strained for longer than a rush takes, one more
    /// a second once it is not.
    pub(super) fn next_budget(&mut self, whole: u32, now: u32, busy: u32) -> u32 {
        self.0 = if busy >= STRAINED { self.0 + 1 } else { 0 };
        let next = match busy {
            STRAINED.. if self.0 >= RUSH => now / 2,
            RELAXED.. => now,
            _ => now + 1,
        };
        next.clamp(1.min(whole), whole)
    }
}

/// The time between two pulses.
pub(super) fn pulse_every(pulse: Duration, budget: Option<u32>, busy: u32) -> Duration {
    match budget {
        Some(1) if busy >= STRAINED => RARER * pulse,
        _ => pulse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chat_gives_way_to_lasting_strain_and_comes_back_slowly() {
        let course = |budget: u32, busy: &[u32]| {
            let mut strain = Strain::default();
            let step = |now: &mut u32, busy: &u32| {
                *now = strain.next_budget(8, *now, *busy);
                Some(*now)
            };
            busy.iter().scan(budget, step).collect::<Vec<_>>()
        };
        assert_eq!(course(8, &[900, 1_000, 100, 900, 900]), [8; 5], "a rush");
        assert_eq!(course(8, &[900, 900, 900, 900, 900, 900]), [8, 8, 4, 2, 1, 1]);
        assert_eq!(course(2, &[700, 100, 100]), [2, 3, 4]);
        assert_eq!(course(8, &[0]), [8], "no more than was configured");
        assert_eq!(course(0, &[0]), [1], "from before it was configured");
        assert_eq!(
            Strain::default().next_budget(0, 0, 0),
            0,
            "nothing is shown where nothing should be"
        );
    }

    #[test]
    fn counts_give_way_last() {
        let second = Duration::from_secs(1);
        assert_eq!(pulse_every(second, Some(2), 1_000), second);
        assert_eq!(pulse_every(second, Some(1), 1_000), 4 * second);
        assert_eq!(pulse_every(second, Some(1), 100), second);
        assert_eq!(pulse_every(second, None, 1_000), second, "the budget is off");
    }

    #[test]
    fn a_pass_tells_the_share_of_its_time() {
        let (mut watch, busy) = (Watch::new(), Busy::default());
        watch.pass(Duration::from_secs(3_600));
        watch.tell(&busy);
        assert!(busiest([&busy].into_iter()) >= STRAINED);
        watch.tell(&busy);
        assert_eq!(busiest([&busy].into_iter()), 0);
    }

    #[test]
    fn a_pass_without_connections_is_not_busy_whatever_it_was() {
        let (mut watch, busy) = (Watch::new(), Busy::default());
        watch.pass(Duration::from_secs(3_600));
        watch.tell(&busy);
        watch.pass(Duration::from_secs(3_600));
        watch.rest(&busy);
        assert_eq!(busiest([&busy].into_iter()), 0);
        watch.tell(&busy);
        assert_eq!(busiest([&busy].into_iter()), 0, "nothing is left of before");
    }
}

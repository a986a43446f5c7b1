//! Server time: read once at start from the wall clock, monotonic since, and never stepped.
//!
//! It never goes back over a restart either: it starts no earlier than the journal ends. What it is then ahead of the
//! wall clock it loses by running a little slower, so that an hour is caught up in 32.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::room::Timestamp;

/// So far ahead of the wall clock a journal may end and be followed. Beyond it one of the two was wrong by more than a
/// mistaken time zone: in a time that is far off, every token made elsewhere would have ended.
const LEAD_MAX_MS: u64 = 24 * 3_600_000;
/// A lead that is worth a line.
const LEAD_SAID_MS: u64 = 2_000;
/// While server time is ahead, it loses one part in so many.
const SLEW: u64 = 32;

/// The one source of time of a process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    started_at: u64,
    /// How far that was ahead of the wall clock, ms.
    lead_ms: u64,
}

impl Clock {
    /// Reads the wall clock once.
    pub fn start() -> Self {
        Self::at(wall_ms(), 0)
    }

    /// Reads the wall clock once, and starts no earlier than `newest`, the time at which the journal ends; but if that is
    /// more than a day ahead, the wall clock is followed, and the log says so.
    pub fn start_after(newest: Option<Timestamp>) -> Self {
        let wall = wall_ms();
        let ahead_ms = newest.map_or(0, |newest| newest.since(Timestamp(wall)));
        if ahead_ms > LEAD_MAX_MS {
            tracing::error!(
                ahead_ms,
                "the journal ends more than a day ahead of the wall clock, so one of them is wrong. Server time follows the \
                 wall clock: rooms that were written to at the later time go on in their own time, tokens made then are \
                 refused until it comes. If the wall clock is wrong, stop the server, set the clock, and start again"
            );
            return Self::at(wall, 0);
        }
        if ahead_ms > LEAD_SAID_MS {
            tracing::warn!(
                ahead_ms,
                "the wall clock is behind the journal's end: server time starts there, so that it never goes back, and \
                 runs slower by a part in {SLEW} until the wall clock has caught up"
            );
        }
        Self::at(wall, ahead_ms)
    }

    fn at(wall: u64, lead_ms: u64) -> Self {
        Self {
            started: Instant::now(),
            started_at: wall + lead_ms,
            lead_ms,
        }
    }

    /// Server time.
    pub fn now(&self) -> Timestamp {
        let elapsed_ms = self.started.elapsed().as_millis() as u64;
        Timestamp(self.started_at + slewed(elapsed_ms, self.lead_ms))
    }

    /// When server time reaches `at`; at once if it has.
    pub fn instant(&self, at: Timestamp) -> Instant {
        let slewed_ms = at.0.saturating_sub(self.started_at);
        self.started + Duration::from_millis(elapsed(slewed_ms, self.lead_ms))
    }

    /// How far server time is from the wall clock, ms: positive when server time is ahead. Logged and shown
    /// above 2 s, never followed.
    pub fn ahead_of_wall_ms(&self) -> i64 {
        self.now().0 as i64 - wall_ms() as i64
    }
}

/// How far server time has come in so much time, while it loses a lead.
fn slewed(elapsed_ms: u64, lead_ms: u64) -> u64 {
    elapsed_ms - lead_ms.min(elapsed_ms / SLEW)
}

/// The least time in which server time comes so far: [`slewed`] turned round.
fn elapsed(slewed_ms: u64, lead_ms: u64) -> u64 {
    slewed_ms + lead_ms.min(slewed_ms.saturating_sub(1) / (SLEW - 1))
}

fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lead_is_lost_slowly_and_server_time_never_stands_still() {
        let lead = 1_000;
        assert_eq!(slewed(3_200, lead), 3_100);
        assert_eq!(slewed(32_000, lead), 31_000, "now it is lost");
        assert_eq!(slewed(320_000, lead), 319_000);
        assert!((0..40_000).all(|ms| slewed(ms + 1, lead) >= slewed(ms, lead)));
        assert_eq!(slewed(77, 0), 77);
    }

    #[test]
    fn an_instant_is_the_first_at_which_server_time_is_there() {
        for lead in [0, 1, 20, 1_000] {
            for at in 0..40_000 {
                let reached = elapsed(at, lead);
                assert!(
                    slewed(reached, lead) >= at,
                    "lead {lead}: {at} is not reached in {reached}"
                );
                let before = reached.checked_sub(1).map(|before| slewed(before, lead));
                assert!(
                    before.is_none_or(|before| before < at),
                    "lead {lead}: {at} is reached before"
                );
            }
        }
    }

    #[test]
    fn it_starts_where_the_journal_ends_unless_that_is_more_than_a_day_ahead() {
        let ahead = |lead_ms: u64| Clock::start_after(Some(Timestamp(wall_ms() + lead_ms))).ahead_of_wall_ms();
        let near = |is: i64, wanted: u64| is.abs_diff(wanted as i64) < 10_000;
        assert!(near(ahead(3_600_000), 3_600_000));
        assert!(near(ahead(LEAD_MAX_MS), LEAD_MAX_MS));
        assert!(near(ahead(LEAD_MAX_MS + 60_000), 0));
        let past = Clock::start_after(Some(Timestamp(1_000)));
        assert!(near(past.ahead_of_wall_ms(), 0), "the past is no lead");
        assert!(near(Clock::start_after(None).ahead_of_wall_ms(), 0));
    }
}

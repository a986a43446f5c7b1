//! Server time: the wall clock read at start plus monotonic time since. It is never stepped.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::room::Timestamp;

/// The one source of time of a process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    started_at: u64,
}

impl Clock {
    /// Reads the wall clock once.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            started_at: wall_ms(),
        }
    }

    /// Server time.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.started_at + self.started.elapsed().as_millis() as u64)
    }

    /// When server time reaches `at`; at once if it has.
    pub fn instant(&self, at: Timestamp) -> Instant {
        self.started + std::time::Duration::from_millis(at.0.saturating_sub(self.started_at))
    }

    /// How far server time is from the wall clock, ms: positive when server time is ahead. Logged and shown
    /// above 2 s, never followed.
    pub fn ahead_of_wall_ms(&self) -> i64 {
        self.now().0 as i64 - wall_ms() as i64
    }
}

fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

//! How long a task of the hub keeps its worker before others get a chance.

use std::time::{Duration, Instant};

use tokio::task::yield_now;

/// A yield is not for free: the runtime wakes another worker to look for work, which costs as much as two
/// visits of a socket. Nobody notices five milliseconds.
const LONG: Duration = Duration::from_millis(5);

/// A stretch of work without a pause.
pub(super) struct Stretch(Instant);

impl Stretch {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    /// Lets others run if it has lasted long.
    pub(super) async fn end_if_long(&mut self) {
        if self.0.elapsed() >= LONG {
            yield_now().await;
            *self = Self::new();
        }
    }
}

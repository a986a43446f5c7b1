//! When viewers are sent counts: with a delta if one comes soon, else alone.

use std::time::{Duration, Instant};

/// Counts are sent at most so often alone, a little less than a pulse, so that none waits for the one after.
const APART: Duration = Duration::from_millis(750);
/// Where deltas come they wait so much longer for one to go with: a send is nearly all that a viewer costs, and takes
/// both for the price of one. Nobody sees a count come a third of a second later.
const COMPANY: Duration = Duration::from_millis(350);
/// Deltas come, if the last one came within this time.
const LIVELY: Duration = Duration::from_secs(1);

/// What waits of a room's counts.
#[derive(Debug)]
pub(super) struct Counts {
    /// Since when there are newer ones than were sent.
    newer_since: Option<Instant>,
    sent_at: Instant,
    delta_at: Option<Instant>,
}

impl Counts {
    /// Nothing waits.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            newer_since: None,
            sent_at: now,
            delta_at: None,
        }
    }

    /// There are newer ones.
    pub(super) fn changed(&mut self, now: Instant) {
        self.newer_since.get_or_insert(now);
    }

    /// The stage is sent a delta, and with it whatever counts there are.
    pub(super) fn sent_with_delta(&mut self, now: Instant) {
        self.delta_at = Some(now);
        if self.newer_since.is_some() {
            self.sent(now);
        }
    }

    /// They are sent.
    pub(super) fn sent(&mut self, now: Instant) {
        (self.newer_since, self.sent_at) = (None, now);
    }

    /// When they are to be sent alone, if they wait.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let lively = self.delta_at.is_some_and(|at| now.duration_since(at) < LIVELY);
        let company = if lively { COMPANY } else { Duration::ZERO };
        self.newer_since.map(|since| since.max(self.sent_at + APART) + company)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_with_a_delta_where_deltas_come_and_alone_where_none_does() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut counts = Counts::new(start);
        counts.sent_with_delta(at(400));
        assert_eq!(counts.due(at(400)), None, "nothing waits");
        counts.changed(at(1_000));
        counts.changed(at(1_100));
        assert_eq!(counts.due(at(1_100)), Some(at(1_350)), "a delta came a moment ago");
        assert_eq!(counts.due(at(1_500)), Some(at(1_000)), "none comes any more");
        counts.sent_with_delta(at(1_050));
        assert_eq!(counts.due(at(1_050)), None, "they went with it");
        counts.changed(at(1_200));
        assert_eq!(counts.due(at(2_500)), Some(at(1_800)), "not too soon after the last");
        counts.sent(at(2_500));
        assert_eq!(counts.due(at(9_000)), None);
    }
}

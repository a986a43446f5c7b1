//! Rooms that break. One whose task panicked, or whose log cannot be replayed, is rebuilt for whoever comes next;
//! one that breaks again and again is parked: nobody gets in until an operator tries again.
//!
//! Which rooms are parked is kept in memory only: after a restart each has its chances again.

use std::any::Any;
use std::time::Duration;

use dashmap::DashMap;
use serde::{Deserialize, Serialize};

use crate::room::{RoomId, Timestamp};

/// A room that breaks so often ...
const BREAKS_MAX: usize = 3;
/// ... within this time is parked. A room that cannot be replayed gets there in a few seconds, since its viewers
/// come back; one that an unlucky request broke once does not.
const WITHIN: Duration = Duration::from_secs(60);
/// When whoever comes to a parked room may come again: a person has to look at it first.
pub(super) const COME_BACK_MS: u64 = 60_000;
/// Of what a panic said, so much is kept.
const REASON_CHARS: usize = 300;

/// A room that broke again and again: nobody gets in until an operator tries again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Parked {
    /// Since when, Unix ms.
    pub since: Timestamp,
    /// Why it broke the last time, for whoever looks into it.
    pub reason: String,
}

/// Which rooms broke lately, and which are parked.
#[derive(Default)]
pub(super) struct Breaks {
    rooms: DashMap<String, Broken>,
}

#[derive(Default)]
struct Broken {
    lately: Vec<Timestamp>,
    parked: Option<Parked>,
}

impl Breaks {
    /// A room broke just now. Says whether it is parked.
    pub(super) fn note(&self, room: &RoomId, reason: &str, now: Timestamp) -> bool {
        self.rooms
            .retain(|_, broken| broken.parked.is_some() || !broken.forget_old(now));
        let mut broken = self.rooms.entry(room.to_string()).or_default();
        broken.lately.push(now);
        if broken.lately.len() >= BREAKS_MAX && broken.parked.is_none() {
            broken.parked = Some(Parked {
                since: now,
                reason: reason.to_owned(),
            });
        }
        broken.parked.is_some()
    }

    /// Since when and why a room is parked, if it is.
    pub(super) fn parked(&self, room: &str) -> Option<Parked> {
        self.rooms.get(room)?.parked.clone()
    }

    /// How many rooms are parked.
    pub(super) fn count(&self) -> usize {
        self.rooms.iter().filter(|broken| broken.parked.is_some()).count()
    }

    /// Lets a parked room have one more try: if it breaks again within the time, it is parked again.
    pub(super) fn release(&self, room: &RoomId, now: Timestamp) {
        if let Some(mut broken) = self.rooms.get_mut(room.as_str())
            && broken.parked.take().is_some()
        {
            broken.lately = vec![now; BREAKS_MAX - 1];
        }
    }

    /// There is no such room any more.
    pub(super) fn forget(&self, room: &RoomId) {
        self.rooms.remove(room.as_str());
    }
}

impl Broken {
    /// Says whether nothing is left.
    fn forget_old(&mut self, now: Timestamp) -> bool {
        self.lately.retain(|at| u128::from(now.since(*at)) < WITHIN.as_millis());
        self.lately.is_empty()
    }
}

/// What a panic said.
pub(super) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words")
        .chars()
        .take(REASON_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(id: &str) -> RoomId {
        RoomId::new(id).expect("good")
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1_000)
    }

    #[test]
    fn the_third_break_within_a_minute_parks_a_room() {
        let breaks = Breaks::default();
        let show = room("show");
        assert!(!breaks.note(&show, "one", at(0)));
        assert!(!breaks.note(&show, "two", at(59)));
        assert!(!breaks.note(&show, "three", at(60)), "the first is forgotten");
        assert!(!breaks.note(&room("other"), "of another room", at(61)));
        assert!(breaks.note(&show, "four", at(62)));
        let parked = breaks.parked("show").expect("is parked");
        assert_eq!((parked.since, parked.reason.as_str()), (at(62), "four"));
        assert_eq!(breaks.count(), 1);
    }

    #[test]
    fn a_room_that_is_tried_again_is_parked_by_the_next_break_within_a_minute() {
        let breaks = Breaks::default();
        let show = room("show");
        let park = |from| assert!((from..from + 3).any(|second| breaks.note(&show, "?", at(second))));
        park(0);
        breaks.release(&show, at(100));
        assert_eq!((breaks.parked("show"), breaks.count()), (None, 0));
        assert!(breaks.note(&show, "again", at(159)));
        breaks.release(&show, at(200));
        assert!(!breaks.note(&show, "much later", at(260)));
        park(300);
        breaks.note(&room("other"), "?", at(10_000));
        assert!(breaks.parked("show").is_some(), "it does not come back by itself");
        breaks.forget(&show);
        assert_eq!(breaks.parked("show"), None);
    }

    #[test]
    fn what_a_panic_said_is_cut() {
        assert_eq!(said(&"a str"), "a str");
        assert_eq!(said(&"x".repeat(1_000)).len(), REASON_CHARS);
        assert_eq!(said(&7), "a panic without words");
    }
}

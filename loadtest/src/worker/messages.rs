//! What viewers are told, and whether it is as it must be.

use std::hash::{DefaultHasher, Hasher};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hubbub::protocol::message::Joined;
use hubbub::protocol::{Message, Picture, Seen};
use hubbub::room::Offset;

use super::{Known, Worker};
use crate::faults::Fault;
use crate::tally::{Claimed, Tally};
use crate::viewer::{Coming, Stage};
use crate::wire::head::{self, Head};

impl Worker {
    pub(super) fn message(&mut self, viewer: usize, payload: &[u8], length: usize, now: Instant) {
        let encoding = self.course.form.encoding;
        let number = self.number(viewer);
        let head = match head::read(encoding, payload) {
            Ok(head) => head,
            Err(error) => {
                self.tally
                    .faults
                    .note(Fault::BadMessage, || format!("viewer {number}: {error}"));
                return;
            }
        };
        if viewer == 0 && matches!(head, Head::Delta { .. } | Head::Keyframe { .. } | Head::Pulse) {
            let Tally { observer, faults, .. } = &mut self.tally;
            observer.see(encoding, payload, length, faults);
        }
        match head {
            Head::Delta { follows, offset } => self.delta(viewer, follows, offset, payload, now),
            Head::Keyframe { epoch, offset } => {
                self.check_epoch(viewer, epoch);
                if let Err(fault) = self.viewers[viewer].follower.keyframe(offset) {
                    self.tally
                        .faults
                        .note(fault, || format!("viewer {number} at offset {offset}"));
                }
                self.watch(viewer, now);
            }
            Head::Pulse | Head::Mine => {}
            Head::Other(message) => self.other(viewer, *message, now),
        }
    }

    fn check_epoch(&mut self, viewer: usize, epoch: u64) {
        let own = *self.epochs.entry(self.room(viewer)).or_insert(epoch);
        if own != epoch {
            self.tally
                .faults
                .note(Fault::OtherEpoch, || format!("{epoch} instead of {own}"));
        }
    }

    fn delta(&mut self, viewer: usize, follows: Offset, offset: Offset, payload: &[u8], now: Instant) {
        self.tally.deltas += 1;
        self.newest = self.newest.max(Some(offset));
        let number = self.number(viewer);
        if let Err(fault) = self.viewers[viewer].follower.delta(follows, offset) {
            let example = || format!("viewer {number} at offset {offset}, which follows {follows}");
            self.tally.faults.note(fault, example);
        }
        let hash = hash(payload);
        let place = (self.room(viewer), offset);
        let Self { known, course, .. } = self;
        let known = known.entry(place).or_insert_with(|| {
            let dues = course.marks.dues(payload);
            // A thread that panicked has left the ledger whole: it only ever inserts.
            let mut ledger = course.ledger.lock().unwrap_or_else(PoisonError::into_inner);
            Known {
                hash: *ledger.entry(place).or_insert(hash),
                dues: dues.into_iter().map(|due| course.start + due).collect(),
            }
        });
        if known.hash != hash && !self.tally.observer.moderated {
            let example = || format!("viewer {number} at offset {offset}");
            self.tally.faults.note(Fault::OtherBytes, example);
        }
        self.tally.delivered += known.dues.len() as u64;
        let since = self.viewers[viewer].since;
        let timed_from = self.timed_from.map_or(since, |from| from.max(since));
        // What was said before it came, it could not have had in time.
        for due in known.dues.iter().filter(|due| **due >= timed_from) {
            self.tally.deliveries.record(now.saturating_duration_since(*due));
        }
    }

    fn other(&mut self, viewer: usize, message: Message, now: Instant) {
        match message {
            Message::Joined(joined) => self.joined(viewer, *joined, now),
            Message::Ok { re, answer, .. } => self.answered(viewer, Some(re), Ok(answer), now),
            Message::Err(problem) => self.answered(viewer, problem.re, Err(problem), now),
            Message::Skipped { .. } => {
                self.tally.skipped += 1;
                self.viewers[viewer].follower.skipped();
            }
            Message::AskSeen {} => {
                let offset = self.viewers[viewer].follower.offset().unwrap_or_default();
                let picture = Picture::Playing;
                self.send(
                    viewer,
                    None,
                    "seen",
                    &Seen {
                        offset,
                        picture,
                        behind_ms: None,
                    },
                );
            }
            Message::Bye { retry_after_ms } => {
                self.viewers[viewer].asked_back_at = Some(now + Duration::from_millis(retry_after_ms));
            }
            Message::Pong { .. }
            | Message::Health(_)
            | Message::BackstageDelta(_)
            | Message::BackstageKeyframe(_)
            | Message::Keyframe(_)
            | Message::Delta(_)
            | Message::Pulse(_)
            | Message::Mine { .. } => {
                let number = self.number(viewer);
                self.tally.faults.note(Fault::StrayAnswer, || {
                    format!("viewer {number}: a message not for viewers")
                });
            }
        }
    }

    fn joined(&mut self, viewer: usize, joined: Joined, now: Instant) {
        self.check_epoch(viewer, joined.epoch);
        let number = self.number(viewer);
        let slot = &mut self.viewers[viewer];
        slot.id = slot.id.or(joined.viewer);
        if let Some(token) = joined.token {
            slot.token = Some(token.into());
        }
        if slot.follower.offset().is_some() && !joined.resumed {
            self.tally.faults.note(Fault::NotResumed, || format!("viewer {number}"));
        }
        slot.follower.joined(joined.resumed);
        let mine = joined.mine;
        match (self.tally.claims.get(&number), &self.discount) {
            (Some(Claimed::Granted(code)), _) if !mine.claims.iter().any(|claim| claim.code == *code) => {
                self.tally
                    .faults
                    .note(Fault::LostClaim, || format!("viewer {number}, when coming back"));
            }
            (Some(Claimed::SoldOut), Some(discount)) if mine.claims.iter().any(|claim| claim.discount == *discount) => {
                self.tally
                    .faults
                    .note(Fault::LateClaim, || format!("viewer {number}, when coming back"));
            }
            _ => {}
        }
        if let Some((_, receipt)) = self.tally.entries.get(&number)
            && !mine.entries.contains(receipt)
        {
            self.tally
                .faults
                .note(Fault::LostEntry, || format!("viewer {number}, when coming back"));
        }
        self.watch(viewer, now);
    }

    /// The viewer watches, if it has the room's state now.
    fn watch(&mut self, viewer: usize, now: Instant) {
        let slot = &mut self.viewers[viewer];
        if slot.stage != Stage::Joining || !slot.follower.is_following() {
            return;
        }
        slot.stage = Stage::Watching;
        self.on_the_way -= 1;
        let took = now.saturating_duration_since(slot.due);
        match slot.coming {
            Coming::First => {
                self.tally.joins.record(took);
                self.tally.joined(slot.since, now);
            }
            Coming::Back => self.tally.returns.record(took),
            Coming::Again => self.tally.comebacks.record(took),
            Coming::ToAsk => {}
        }
        slot.since = now;
        slot.coming = Coming::Again;
        slot.failures = 0;
        slot.failing_since = None;
        self.live.watching.fetch_add(1, Ordering::Relaxed);
        self.send_pending(viewer, None, now);
    }
}

fn hash(bytes: &[u8]) -> u64 {
    // Without a key: the same in all threads.
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

//! One viewer of each thread decodes everything: what the stage shows, for the checks at the end.

use std::collections::BTreeMap;

use hubbub::protocol::{Encoding, Message};
use hubbub::room::audience::Totals;
use hubbub::room::draw::Winner;
use hubbub::room::stage::StageEvent;
use hubbub::room::{Key, Offset};

use crate::faults::{Fault, Faults};

/// What an observer has seen since its first keyframe.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observer {
    /// Comments on stage, with their texts.
    pub(crate) shown: BTreeMap<Offset, String>,
    /// Comments that waited for the sample of a busy second.
    pub(crate) sampled_of: u64,
    /// Of these, those on stage.
    pub(crate) sampled: u64,
    /// Something was deleted or restored: who comes back later gets other bytes, rightly.
    pub(crate) moderated: bool,
    /// Winners that were revealed.
    pub(crate) revealed: BTreeMap<Key, Vec<Winner>>,
    /// Discounts whose end was told.
    pub(crate) closed_discounts: u64,
    /// The newest counts.
    pub(crate) totals: Totals,
    /// Bytes of the deltas that hold comments and nothing else, and how many comments they hold.
    pub(crate) comment_bytes: u64,
    pub(crate) comments_in_bytes: u64,
}

impl Observer {
    /// Takes in a message of the feed; `length` is the frame's.
    pub(crate) fn see(&mut self, encoding: Encoding, payload: &[u8], length: usize, faults: &mut Faults) {
        match encoding.decode::<Message>(payload) {
            Ok(Message::Keyframe(keyframe)) => self.counted(keyframe.state.totals, faults),
            Ok(Message::Pulse(pulse)) => self.counted(pulse.totals, faults),
            Ok(Message::Delta(delta)) => {
                let before = self.shown.len();
                let only_comments = delta
                    .events
                    .iter()
                    .all(|event| matches!(event, StageEvent::Comment(_) | StageEvent::Sampled { .. }));
                delta.events.into_iter().for_each(|event| self.happened(event));
                if only_comments {
                    self.comment_bytes += length as u64;
                    self.comments_in_bytes += (self.shown.len() - before) as u64;
                }
            }
            Ok(_) => {}
            Err(error) => faults.note(Fault::BadMessage, || error),
        }
    }

    fn counted(&mut self, totals: Totals, faults: &mut Faults) {
        if totals.likes < self.totals.likes {
            faults.note(Fault::FallingLikes, || {
                format!("{} after {}", totals.likes, self.totals.likes)
            });
        }
        self.totals = totals;
    }

    fn happened(&mut self, event: StageEvent) {
        match event {
            StageEvent::Comment(shown) => {
                self.shown.insert(shown.id, shown.text.0);
            }
            StageEvent::Sampled { comments, shown, n } => {
                let chosen = comments.len() as u64;
                self.sampled_of += (chosen + u64::from(n)).saturating_sub(u64::from(shown));
                self.sampled += chosen;
                self.shown
                    .extend(comments.into_iter().map(|shown| (shown.id, shown.text.0)));
            }
            StageEvent::Deleted { .. } | StageEvent::Restored { .. } => self.moderated = true,
            StageEvent::DrawRevealed { id, winners, .. } => {
                self.revealed.insert(id, winners);
            }
            StageEvent::DiscountClosed { .. } => self.closed_discounts += 1,
            _ => {}
        }
    }
}

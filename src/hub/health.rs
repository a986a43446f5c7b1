//! What viewers have, by asking a sample of pages about once a second.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::protocol::{Health, Picture, Seen};
use crate::room::{Offset, Timestamp};

/// The answers of the current round and of the one before, which is reported.
#[derive(Default)]
pub(super) struct Rounds {
    /// No question of the current round is older, all others are.
    started_at: Timestamp,
    current: Round,
    previous: Round,
}

#[derive(Default)]
struct Round {
    asked: u32,
    playing: u32,
    stalled: u32,
    newest: u32,
    took_ms: Vec<u32>,
    behind_ms: Vec<u32>,
}

impl Rounds {
    /// A page is asked; its connection keeps since when it owes the answer.
    pub(super) fn asked(&mut self, owes_since: &AtomicU64, now: Timestamp) {
        let at = now.max(self.started_at);
        // One that still owes this round's answer counts once.
        let owes = Timestamp(owes_since.swap(at.0, Ordering::Relaxed));
        if owes.0 == 0 || owes < self.started_at {
            self.current.asked += 1;
        }
    }

    /// A page answered; one that was not asked is not heard.
    pub(super) fn answered(&mut self, owes_since: &AtomicU64, seen: Seen, newest: Offset, now: Timestamp) {
        let asked_at = Timestamp(owes_since.swap(0, Ordering::Relaxed));
        if asked_at.0 == 0 {
            return;
        }
        let round = if asked_at >= self.started_at {
            &mut self.current
        } else {
            &mut self.previous
        };
        if seen.picture == Picture::Hidden {
            round.asked = round.asked.saturating_sub(1);
            return;
        }
        round.took_ms.push(now.since(asked_at).min(60_000) as u32);
        round.newest += u32::from(seen.offset >= newest);
        match seen.picture {
            Picture::Playing => {
                round.playing += 1;
                round.behind_ms.extend(seen.behind_ms);
            }
            Picture::Stalled => round.stalled += 1,
            Picture::None | Picture::Hidden => {}
        }
    }

    /// Ends a round: what the one before it came to.
    pub(super) fn turn(&mut self, now: Timestamp) -> Health {
        let mut done = std::mem::replace(&mut self.previous, std::mem::take(&mut self.current));
        // Later than all who were asked until now: an answer belongs to the round of its question.
        self.started_at = now.plus(1);
        done.took_ms.sort_unstable();
        let rank = (done.took_ms.len() * 95).div_ceil(100);
        let p95_ms = rank.checked_sub(1).map_or(0, |index| done.took_ms[index]);
        done.behind_ms.sort_unstable();
        Health {
            asked: done.asked,
            answered: done.took_ms.len() as u32,
            playing: done.playing,
            stalled: done.stalled,
            newest: done.newest,
            behind_ms: done.behind_ms.get(done.behind_ms.len() / 2).copied(),
            p95_ms,
            ..Health::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_in_the_round_of_its_question_also_where_rounds_meet() {
        let mut rounds = Rounds::default();
        let owes_since = AtomicU64::new(0);
        let seen = Seen {
            offset: 7,
            picture: Picture::Playing,
            behind_ms: None,
        };
        let (turn, soon) = (Timestamp(1_000), Timestamp(1_001));
        let counts = |health: Health| (health.asked, health.answered, health.newest);

        // Asked in the very millisecond in which a round ends, and again in the next.
        rounds.asked(&owes_since, turn);
        rounds.turn(turn);
        rounds.answered(&owes_since, seen, 7, soon);
        rounds.asked(&owes_since, turn);
        rounds.answered(&owes_since, seen, 8, soon);
        rounds.answered(&owes_since, seen, 8, soon);
        assert_eq!(counts(rounds.turn(soon)), (1, 1, 1));
        assert_eq!(counts(rounds.turn(Timestamp(2_000))), (1, 1, 0));
    }
}

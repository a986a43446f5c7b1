//! What viewers ask, until it is answered for good.

use std::cmp::Reverse;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hubbub::protocol::{Encoding, Problem};
use hubbub::room::{Answer, comment, discount, draw};
use serde::Serialize;

use super::{Timer, Worker};
use crate::faults::Fault;
use crate::tally::{Claimed, add};
use crate::wire::frame::Opcode;

/// A request, until it is answered for good.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    id: u64,
    pub(super) ask: Ask,
    /// From when its time counts.
    due: Instant,
    /// Not before then.
    send_at: Instant,
    sent: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Ask {
    Comment(comment::Post),
    Enter(draw::ById),
    Claim(discount::Claim),
}

impl Ask {
    fn name(&self) -> &'static str {
        match self {
            Self::Comment(_) => "comment",
            Self::Enter(_) => "enter_draw",
            Self::Claim(_) => "claim",
        }
    }
}

/// A request as it is sent.
#[derive(Serialize)]
struct Outgoing<A> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    cmd: &'static str,
    args: A,
}

#[derive(Serialize)]
pub(super) struct Like {
    pub(super) taps: u32,
}

impl Worker {
    pub(super) fn ask(&mut self, viewer: usize, ask: Ask, due: Instant) {
        let id = self.next_id;
        self.next_id += 1;
        self.pending.entry(viewer).or_default().push(Pending {
            id,
            ask,
            due,
            send_at: due,
            sent: false,
        });
        self.timers.push(Reverse((due, viewer, Timer::Send(id))));
    }

    /// Sends what a viewer has to ask: one request, or all whose time has come.
    pub(super) fn send_pending(&mut self, viewer: usize, only: Option<u64>, now: Instant) {
        let Some(pending) = self.pending.get_mut(&viewer) else {
            return;
        };
        let mut due: Vec<(u64, Ask)> = Vec::new();
        for request in pending.iter_mut() {
            if request.send_at <= now && only.is_none_or(|id| id == request.id) {
                self.tally.sent_again += u64::from(request.sent);
                request.sent = true;
                due.push((request.id, request.ask.clone()));
            }
        }
        for (id, ask) in due {
            match &ask {
                Ask::Comment(post) => self.send(viewer, Some(id), ask.name(), post),
                Ask::Enter(draw) => self.send(viewer, Some(id), ask.name(), draw),
                Ask::Claim(claim) => self.send(viewer, Some(id), ask.name(), claim),
            };
        }
    }

    pub(super) fn send(&mut self, viewer: usize, id: Option<u64>, cmd: &'static str, args: &impl Serialize) -> bool {
        let payload = self.course.form.encoding.encode(&Outgoing { id, cmd, args });
        let opcode = match self.course.form.encoding {
            Encoding::Json => Opcode::Text,
            Encoding::MessagePack => Opcode::Binary,
        };
        self.write(viewer, opcode, &payload)
    }

    pub(super) fn answered(&mut self, viewer: usize, re: Option<u64>, answer: Result<Answer, Problem>, now: Instant) {
        let number = self.number(viewer);
        let requests = self.pending.get_mut(&viewer);
        let found = requests.and_then(|requests| {
            let place = requests.iter().position(|request| Some(request.id) == re)?;
            Some(requests.swap_remove(place))
        });
        let Some(request) = found else {
            let example = || format!("viewer {number}, request {re:?}: {answer:?}");
            self.tally.faults.note(Fault::StrayAnswer, example);
            return;
        };
        if self.pending.get(&viewer).is_some_and(Vec::is_empty) {
            self.pending.remove(&viewer);
        }
        self.live.answered.fetch_add(1, Ordering::Relaxed);
        let took = now.saturating_duration_since(request.due);
        match (&request.ask, answer) {
            (_, Err(problem)) if may_succeed_later(&problem) => {
                let wait = Duration::from_millis(problem.retry_after_ms.unwrap_or(1_000));
                self.tally.sent_again += 1;
                add(
                    &mut self.tally.refused,
                    &format!("{}: {} (asked again)", request.ask.name(), problem.code),
                );
                let (id, send_at) = (request.id, now + wait);
                let again = Pending {
                    send_at,
                    sent: false,
                    ..request
                };
                self.pending.entry(viewer).or_default().push(again);
                self.timers.push(Reverse((send_at, viewer, Timer::Send(id))));
            }
            (Ask::Comment(post), Ok(Answer::Comment { comment, .. })) => {
                self.tally.comments.record(took);
                self.tally.accepted.insert(comment, post.text.clone());
            }
            (Ask::Enter(_), Ok(Answer::Entry(receipt))) => {
                self.tally.entering.record(took);
                let Some(id) = self.viewers[viewer].id else {
                    return;
                };
                let before = self.tally.entries.insert(number, (id, receipt.clone()));
                if before.is_some_and(|(_, before)| before != receipt) {
                    self.tally
                        .faults
                        .note(Fault::OtherAnswer, || format!("viewer {number}: {receipt:?}"));
                }
            }
            (Ask::Claim(_), Ok(Answer::Claim(claim))) => self.claimed(number, Claimed::Granted(claim.code), took),
            (Ask::Claim(_), Err(problem)) if problem.code == "sold_out" => {
                self.claimed(number, Claimed::SoldOut, took);
            }
            (ask, Err(problem)) => {
                add(&mut self.tally.refused, &format!("{}: {}", ask.name(), problem.code));
                if matches!(ask, Ask::Claim(_)) {
                    self.claimed(number, Claimed::Refused(problem.code), took);
                }
            }
            (ask, Ok(answer)) => {
                let example = || format!("viewer {number}, {}: {answer:?}", ask.name());
                self.tally.faults.note(Fault::StrayAnswer, example);
            }
        }
    }

    fn claimed(&mut self, number: u32, claimed: Claimed, took: Duration) {
        let faults = &mut self.tally.faults;
        match (self.tally.claims.get(&number), &claimed) {
            (None, _) => {
                self.tally.claiming.record(took);
                self.tally.claims.insert(number, claimed);
            }
            (Some(before), now) if before == now => {}
            (Some(Claimed::Granted(_)), Claimed::Granted(_)) => {
                faults.note(Fault::OtherAnswer, || format!("viewer {number}: another code"));
            }
            (Some(Claimed::Granted(_)), _) => {
                faults.note(Fault::LostClaim, || {
                    format!("viewer {number}: {claimed:?} when asking again")
                });
            }
            (Some(_), _) => faults.note(Fault::LateClaim, || format!("viewer {number}")),
        }
    }
}

/// What a page retries by itself.
fn may_succeed_later(problem: &Problem) -> bool {
    matches!(
        problem.code.as_str(),
        "busy" | "journal_unavailable" | "restarting" | "watch_longer"
    )
}

//! What a joined connection asks: its requests are read, limited in rate, and put into the room's mailbox.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::connection::Connection;
use super::mailbox::{Lane, Refused, Reply, Work};
use super::reader::{Heard, Reader};
use super::task::problem;
use super::{CommandError, Limits, echo};
use crate::limits::Limit;
use crate::protocol::{Close, Message, Numbered, Problem, Request};
use crate::room::{Command, Refusal, Timestamp};

/// Messages handled before other connections get a chance.
const MESSAGES: usize = 32;
/// Commands of one connection that may wait for their answer.
const UNANSWERED_MAX: u8 = 32;
/// A comment's text that is longer, in bytes, is too long however it is counted: twice what may be shown of it, for what
/// is not shown.
const TEXT_BYTES_MAX: usize = 4_000;
/// Seconds whose requests may come at once.
const REQUESTS_BURST: u32 = 3;
/// Seconds whose bytes may come at once: with the least of `--bytes-per-viewer`, two of the largest messages.
const BYTES_BURST: u32 = 8;
/// Refusals for being too fast before the connection is closed.
const TOLERANCE: u32 = 200;
/// Control frames a second; an honest client answers a ping each 25 s.
pub(super) const CONTROLS_PER_SECOND: u32 = 50;
/// Taps in one message, and a second, sustained.
const TAPS_MAX: u32 = 30;
const TAPS_PER_SECOND: u32 = 20;

/// The reading side of a connection: its driver's, but for the rates, which other connections may share.
pub(super) struct Inbound {
    reader: Reader,
    allowance: Allowance,
    /// Something may still come.
    pub(super) open: bool,
    /// Messages go back as they came, see [`echo`].
    echoes: bool,
}

impl Inbound {
    pub(super) fn new(reader: Reader) -> Self {
        Self {
            reader,
            allowance: Allowance::Own(Rates::new()),
            open: true,
            echoes: false,
        }
    }

    /// Sends back what it reads.
    pub(super) fn echoing(reader: Reader) -> Self {
        Self {
            echoes: true,
            ..Self::new(reader)
        }
    }
}

/// What may still be sent over a connection.
enum Allowance {
    /// Over this one alone.
    Own(Rates),
    /// Over all connections of the same viewer or person in the room.
    Shared(Arc<Mutex<Rates>>),
}

impl Allowance {
    fn shared(&mut self) -> Arc<Mutex<Rates>> {
        match self {
            Self::Shared(rates) => Arc::clone(rates),
            Self::Own(rates) => {
                let shared = Arc::new(Mutex::new(std::mem::replace(rates, Rates::new())));
                *self = Self::Shared(Arc::clone(&shared));
                shared
            }
        }
    }
}

/// What is sent over one connection counts with what is sent over the other, which is of the same viewer or person.
pub(super) fn share_rates(one: &Connection, other: &Connection) {
    let shared = other.inbound.lock().allowance.shared();
    one.inbound.lock().allowance = Allowance::Shared(shared);
}

/// What may still be sent in this second.
struct Rates {
    second: u64,
    requests: u32,
    bytes: u32,
    taps: u32,
    controls: u32,
    too_fast: u32,
}

impl Rates {
    fn new() -> Self {
        Self {
            second: 0,
            requests: 0,
            bytes: 0,
            taps: 2 * TAPS_MAX,
            controls: 0,
            too_fast: 0,
        }
    }

    /// Refills for the seconds that have passed; the first time wholly.
    fn refill(&mut self, now: Timestamp, limits: &Limits) {
        let second = now.0 / 1_000;
        let passed = second.saturating_sub(self.second).min(60) as u32;
        if passed > 0 {
            self.second = second;
            let refilled = |left: u32, per_second: u32, burst: u32| {
                let more = per_second.saturating_mul(passed);
                left.saturating_add(more).min(per_second.saturating_mul(burst))
            };
            self.requests = refilled(self.requests, limits.commands_per_viewer, REQUESTS_BURST);
            self.bytes = refilled(self.bytes, limits.bytes_per_viewer, BYTES_BURST);
            self.taps = (self.taps + passed * TAPS_PER_SECOND).min(2 * TAPS_MAX);
            self.controls = 0;
        }
    }
}

/// Reads what there is, as much as one connection may at a time.
pub(super) fn read(connection: &Arc<Connection>, inbound: &mut Inbound) {
    let Inbound {
        reader,
        allowance,
        echoes,
        ..
    } = inbound;
    inbound.open = match allowance {
        Allowance::Own(rates) => read_some(connection, reader, rates, *echoes),
        Allowance::Shared(rates) => read_some(connection, reader, &mut rates.lock(), *echoes),
    };
}

/// Says whether reading goes on.
fn read_some(connection: &Arc<Connection>, reader: &mut Reader, rates: &mut Rates, echoes: bool) -> bool {
    let now = connection.handle.hub.clock.now();
    let hub = &connection.handle.hub;
    rates.refill(now, &hub.limits);
    for _ in 0..MESSAGES {
        let (heard, replies, bytes) = reader.read(&connection.socket, connection.wire);
        match rates.bytes.checked_sub(bytes as u32) {
            Some(left) => rates.bytes = left,
            None if echoes || !hub.limits.rates => {}
            None => {
                hub.metrics.limits.note(Limit::BytesPerViewer);
                connection.close(Close::Flood);
                return false;
            }
        }
        if !replies.is_empty() {
            connection.queue(replies.into());
        }
        match heard {
            Heard::Message(message) if echoes => echo::give_back(connection, true, &message),
            Heard::WrongKind(message) if echoes => echo::give_back(connection, false, &message),
            Heard::Message(message) => handle_message(connection, &message, rates, now),
            Heard::Control => rates.controls += 1,
            Heard::Nothing => return true,
            Heard::Closed(answer) => {
                connection.close_answered(answer.into());
                return false;
            }
            Heard::Ended => {
                connection.hang_up();
                return false;
            }
            Heard::Gone => {
                connection.abandon();
                return false;
            }
            Heard::WrongKind(_) => {
                connection.close(Close::WrongKind);
                return false;
            }
            Heard::Breach(close) => {
                connection.close(close);
                return false;
            }
        }
        connection.heard_at.store(now.0, Ordering::Relaxed);
        if rates.controls > CONTROLS_PER_SECOND || rates.too_fast > TOLERANCE {
            connection.close(Close::Flood);
            return false;
        }
        if connection.is_closing() {
            return false;
        }
        if connection.is_paused() {
            break;
        }
    }
    // More may wait in the reader's buffer than the socket knows of.
    connection.read_again();
    true
}

fn handle_message(connection: &Arc<Connection>, message: &[u8], rates: &mut Rates, now: Timestamp) {
    let handle = &connection.handle;
    let refuse = |problem| connection.send(&Message::Err(problem));
    let (id, request) = match connection.wire.encoding.decode_request(message) {
        Ok(Numbered { id, request }) => (id, request),
        Err(bad) => {
            rates.too_fast += 1;
            return refuse(Problem::new(bad.re, bad.code, bad.message));
        }
    };
    if handle.hub.limits.rates
        && let Err(limit) = within(connection, message.len(), &request, rates, now)
    {
        handle.hub.metrics.limits.note(limit);
        // What a whole room or process sends too much is not one connection's fault.
        rates.too_fast += u32::from(!matches!(
            limit,
            Limit::CommandsPerRoom | Limit::BytesPerRoom | Limit::Commands | Limit::Bytes
        ));
        return refuse(too_fast(id, &request));
    }
    match (id, request) {
        (Some(re), Request::Ping) => connection.send(&Message::Pong { re, now }),
        (id, Request::Hello(_)) => refuse(Problem::new(id, "already_joined", "this connection has joined already")),
        (_, Request::Like { taps }) => like(connection, taps, rates),
        (_, Request::Seen(seen)) => {
            let newest = connection.feed.ring.read().head();
            let mut rounds = handle.health.lock();
            rounds.answered(&connection.asked_at, seen, newest, now);
        }
        (Some(re), Request::Command(command)) => ask(connection, re, command),
        (None, Request::Ping | Request::Command(_)) => {
            refuse(Problem::new(None, "bad_field", "`id` is missing"));
        }
    }
}

/// Whether one more request may come. Taps have a limit of their own; staff is not held up by what
/// viewers send.
fn within(
    connection: &Connection,
    bytes: usize,
    request: &Request,
    rates: &mut Rates,
    now: Timestamp,
) -> Result<(), Limit> {
    if !matches!(request, Request::Like { .. }) {
        rates.requests = rates.requests.checked_sub(1).ok_or(Limit::CommandsPerViewer)?;
    }
    let handle = &connection.handle;
    let viewers = connection.viewer().map(|_| [&handle.share, &handle.hub.share]);
    let mut shares = connection.share().into_iter().chain(viewers.into_iter().flatten());
    shares.try_for_each(|share| share.take(bytes, now))
}

pub(super) fn too_fast(id: Option<u64>, request: &Request) -> Problem {
    let refusal = Refusal::RateLimited { retry_after_ms: 1_000 };
    match request {
        Request::Command(command) => Problem::refused(id, &refusal, command),
        _ => Problem {
            retry_after_ms: Some(1_000),
            ..Problem::new(id, refusal.code(), refusal.to_string())
        },
    }
}

/// Taps of viewers count while the show is on air; what is above the limit is dropped, which is no error.
fn like(connection: &Connection, taps: u32, rates: &mut Rates) {
    let handle = &connection.handle;
    let wanted = taps.min(TAPS_MAX);
    let granted = if handle.hub.limits.rates {
        wanted.min(rates.taps)
    } else {
        wanted
    };
    rates.taps -= granted.min(rates.taps);
    if granted < taps {
        handle.hub.metrics.taps_dropped.inc_by(u64::from(taps - granted));
    }
    if connection.counted() && handle.on_air.load(Ordering::Relaxed) {
        handle.taps.fetch_add(u64::from(granted), Ordering::Relaxed);
    }
}

fn ask(connection: &Arc<Connection>, re: u64, command: Command) {
    let handle = &connection.handle;
    let refused = |command: &Command, error: &CommandError| connection.send(&Message::Err(problem(re, command, error)));
    if matches!(
        command,
        Command::Create(_) | Command::AcceptInvitation(_) | Command::AddStore(_)
    ) {
        // Their answers carry tokens, which only REST makes.
        return refused(&command, &Refusal::NotAllowed.into());
    }
    if let Command::Comment(post) = &command
        && post.text.len() > TEXT_BYTES_MAX
    {
        // It would wait in the room's mailbox, and its text goes back.
        return refused(&command, &Refusal::BadText { reason: "is too long" }.into());
    }
    if handle.hub.draining() {
        return refused(&command, &CommandError::Draining);
    }
    if connection.unanswered.load(Ordering::Relaxed) >= UNANSWERED_MAX {
        return refused(&command, &CommandError::Busy { retry_after_ms: 500 });
    }
    connection.unanswered.fetch_add(1, Ordering::Relaxed);
    let actor = connection.actor().clone();
    let lane = Lane::of(&actor, &command);
    let reply = Reply::Socket {
        connection: Arc::clone(connection),
        re,
    };
    match handle.mailbox.put(
        lane,
        Work::Command {
            actor,
            command: Box::new(command),
            reply,
        },
    ) {
        Ok(()) => {}
        Err(Refused::Full(work)) => give_back(work, &CommandError::Busy { retry_after_ms: 1_000 }),
        Err(Refused::Closed(work)) => {
            give_back(work, &CommandError::JournalUnavailable);
            connection.close(Close::Unavailable);
        }
    }
}

fn give_back(work: Work, error: &CommandError) {
    if let Work::Command {
        command,
        reply: Reply::Socket { connection, re },
        ..
    } = work
    {
        connection.answered(&Message::Err(problem(re, &command, error)));
    }
}

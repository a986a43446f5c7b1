//! A connection's own task: the greeting, then reading requests and writing what the pass could not.

use std::any::Any;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{self, Message as Frame};

use super::connection::{Connection, Edge, Flushed, Turn, Written};
use super::feed::{frame, raw_frame};
use super::mailbox::{Joining, Lane, Refused, Reply, Work};
use super::room_handle::RoomHandle;
use super::task::problem;
use super::{CommandError, Hub, Opened, address, luck, pass};
use crate::auth::Identity;
use crate::protocol::{
    Close, Encoding, FeedKind, Hello, Joined, MESSAGE_BYTES_MAX, Message, Numbered, Problem, Request,
};
use crate::room::audience::Visitor;
use crate::room::stage::Mine;
use crate::room::{Actor, Command, Personal, Refusal, RoomId, Timestamp, ViewerId};

/// A connection that has not said hello by then is closed.
const HELLO: Duration = Duration::from_secs(5);
/// After the close frame the socket is read for this long, so that unread data does not reset it.
const LINGER: Duration = Duration::from_secs(1);
/// Read at a time: a comment fits. Kept by every connection.
const READ_BYTES: usize = 512;
/// Read for one message, with all its fragments and what they are framed in: twice the largest message.
const READ_BUDGET: usize = 2 * MESSAGE_BYTES_MAX;
/// A close frame that cannot be written within this time is given up.
const CLOSE: Duration = Duration::from_secs(5);
/// Messages handled before other tasks get a chance.
const MESSAGES: usize = 32;
/// Commands of one connection that may wait for their answer.
const UNANSWERED_MAX: u8 = 32;
/// Requests: this many at once ...
const REQUESTS_BURST: u32 = 60;
/// ... and this many a second.
const REQUESTS_PER_SECOND: u32 = 20;
/// Refusals for being too fast before the connection is closed.
const TOLERANCE: u32 = 200;
/// Control frames a second; an honest client answers a ping each 25 s.
const CONTROLS_PER_SECOND: u32 = 50;
/// Taps in one message, and a second, sustained.
const TAPS_MAX: u32 = 30;
const TAPS_PER_SECOND: u32 = 20;
/// Longest name that is even looked at, bytes.
const NAME_BYTES: usize = 200;

/// Reads frames; knows nothing of writing.
struct Reader {
    context: WebSocketContext,
    early: Bytes,
    encoding: Encoding,
}

/// What was read.
enum Heard {
    /// A message of the right kind.
    Message(Bytes),
    /// A control frame.
    Control,
    /// Nothing more at the moment.
    Nothing,
    /// The other side closed; these bytes answer it.
    Closed(Vec<u8>),
    /// The socket is dead.
    Gone,
    /// A breach of the protocol.
    Breach(Close),
}

impl Reader {
    fn new(opened: &Opened) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let context = WebSocketContext::new(Role::Server, Some(config));
        Self {
            context,
            early: opened.early.clone(),
            encoding: opened.encoding,
        }
    }

    /// Reads one frame, and what is to be written because of it.
    fn read(&mut self, socket: &TcpStream) -> (Heard, Vec<u8>) {
        let mut edge = Edge {
            socket,
            early: &mut self.early,
            budget: READ_BUDGET,
            replies: Vec::new(),
        };
        let read = self.context.read(&mut edge);
        if let Ok(Frame::Close(_)) = read {
            // The answer to a close is only written by a flush, which says that the connection is over.
            let _ = self.context.flush(&mut edge);
            return (Heard::Closed(edge.replies), Vec::new());
        }
        let Edge { budget, replies, .. } = edge;
        let heard = match read {
            Ok(frame) => self.heard(frame),
            Err(_) if budget == 0 => Heard::Breach(Close::Flood),
            Err(error) => failed(error),
        };
        (heard, replies)
    }

    fn heard(&self, frame: Frame) -> Heard {
        match (frame, self.encoding) {
            (Frame::Text(text), Encoding::Json) => Heard::Message(text.into()),
            (Frame::Binary(bytes), Encoding::MessagePack) => Heard::Message(bytes),
            (Frame::Text(_) | Frame::Binary(_), _) => Heard::Breach(Close::WrongKind),
            _ => Heard::Control,
        }
    }
}

fn failed(error: tungstenite::Error) -> Heard {
    use tungstenite::Error;
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock => Heard::Nothing,
        Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed => Heard::Gone,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Heard::Gone,
        Error::Capacity(_) => Heard::Breach(Close::TooBig),
        Error::Utf8(_) => Heard::Breach(Close::NotUtf8),
        _ => Heard::Breach(Close::Protocol),
    }
}

/// Serves a socket whose handshake is done.
pub(super) async fn serve(hub: Arc<Hub>, mut socket: TcpStream, opened: Opened) {
    hub.connections.fetch_add(1, Ordering::Relaxed);
    hub.metrics.connections.inc();
    hub.metrics.connections_opened.inc();
    let mut reader = Reader::new(&opened);
    let greeted = match timeout(HELLO, greet(&mut socket, &mut reader)).await {
        Ok(greeted) => greeted,
        Err(_) => Err(Some(Close::NoHello)),
    };
    let admitted = match greeted {
        Ok((re, hello)) => admit(&hub, &opened, re, hello).await.map_err(Some),
        Err(close) => Err(close),
    };
    match admitted {
        // A task of its own: the greeting's memory goes with this one.
        Ok(admitted) => drop(tokio::spawn(join(hub, socket, reader, admitted))),
        Err(close) => {
            turn_away(&mut socket, close).await;
            ended(&hub, close);
        }
    }
}

fn ended(hub: &Hub, close: Option<Close>) {
    let code = close.map_or("none".to_owned(), |close| close.code().to_string());
    hub.metrics.connections_closed.with_label_values(&[&code]).inc();
    hub.metrics.connections.dec();
    hub.connections.fetch_sub(1, Ordering::Relaxed);
    hub.connection_ended.notify_waiters();
}

pub(super) async fn turn_away(socket: &mut TcpStream, close: Option<Close>) {
    if let Some(close) = close {
        let mut payload = close.code().to_be_bytes().to_vec();
        payload.extend_from_slice(close.reason().as_bytes());
        // A socket that takes no close frame is dead already.
        let _ = timeout(LINGER, socket.write_all(&raw_frame(0x8, &payload))).await;
        linger(socket).await;
    }
}

/// Says that nothing follows, and reads what is still on its way.
async fn linger(socket: &mut TcpStream) {
    // Both fail only on a dead socket.
    let _ = socket.shutdown().await;
    let _ = timeout(LINGER, tokio::io::copy(socket, &mut tokio::io::sink())).await;
}

/// Waits for the hello; what comes before it is refused.
async fn greet(socket: &mut TcpStream, reader: &mut Reader) -> Result<(u64, Hello), Option<Close>> {
    let mut controls = 0;
    loop {
        let (heard, replies) = reader.read(socket);
        socket.write_all(&replies).await.map_err(|_| None)?;
        let message = match heard {
            Heard::Message(message) => message,
            Heard::Control if controls < CONTROLS_PER_SECOND => {
                controls += 1;
                continue;
            }
            Heard::Control => return Err(Some(Close::Flood)),
            Heard::Nothing => {
                socket.readable().await.map_err(|_| None)?;
                continue;
            }
            Heard::Closed(answer) => {
                socket.write_all(&answer).await.map_err(|_| None)?;
                linger(socket).await;
                return Err(None);
            }
            Heard::Gone => return Err(None),
            Heard::Breach(close) => return Err(Some(close)),
        };
        let problem = match reader.encoding.decode_request(&message) {
            Ok(Numbered {
                id: Some(re),
                request: Request::Hello(hello),
            }) => return Ok((re, hello)),
            Ok(Numbered { id, .. }) => Problem::new(id, "hello_first", "the first request is `hello`"),
            Err(bad) => Problem::new(bad.re, bad.code, bad.message),
        };
        let refused = frame(reader.encoding, &Message::Err(problem));
        socket.write_all(&refused).await.map_err(|_| None)?;
    }
}

/// Who came in, and where.
struct Admitted {
    handle: Arc<RoomHandle>,
    actor: Actor,
    counted: bool,
    expires_at: Option<Timestamp>,
    joined: Box<Joined>,
    hello: Hello,
    held: Arc<dyn Any + Send + Sync>,
}

async fn admit(hub: &Arc<Hub>, opened: &Opened, re: u64, hello: Hello) -> Result<Admitted, Close> {
    if hub.draining() {
        return Err(Close::Restart);
    }
    if hub.connections() as usize > hub.limits.connections_max {
        tracing::warn!(
            connections_max = hub.limits.connections_max,
            "a connection was refused: connections-max is reached"
        );
        return Err(Close::Full);
    }
    let room = opened.room.as_ref().ok_or(Close::UnknownRoom)?;
    let handle = hub.load(room).await.map_err(|error| match error {
        CommandError::Refused(Refusal::UnknownRoom) => Close::UnknownRoom,
        _ => Close::Unavailable,
    })?;
    let mut joined = Joined {
        re,
        room: room.to_string(),
        now: hub.clock.now(),
        epoch: handle.epoch,
        resumed: false,
        viewer: None,
        token: None,
        role: None,
        mine: Mine::default(),
    };
    let (actor, expires_at) = identify(hub, room, opened, &hello, &mut joined)?;
    let is_viewer = matches!(actor, Actor::Viewer(_));
    if is_viewer && hello.feed == FeedKind::Backstage {
        return Err(Close::NotAllowed);
    }
    let counted = is_viewer && !hello.preview;
    Ok(Admitted {
        handle,
        actor,
        counted,
        expires_at,
        joined: Box::new(joined),
        hello,
        held: Arc::clone(&opened.held),
    })
}

fn identify(
    hub: &Hub,
    room: &RoomId,
    opened: &Opened,
    hello: &Hello,
    joined: &mut Joined,
) -> Result<(Actor, Option<Timestamp>), Close> {
    let now = hub.clock.now();
    let identity = match &hello.token {
        Some(token) => hub.auth.verify(token, now).map_err(|_| Close::NotAllowed)?,
        None => {
            let id = ViewerId(luck().u128());
            joined.token = Some(hub.auth.viewer_token(id, now));
            Identity::Viewer {
                id,
                name: None,
                store: false,
            }
        }
    };
    match identity {
        Identity::Viewer { id, name, store } => {
            joined.viewer = Some(id);
            let name = name
                .or_else(|| hello.name.clone())
                .filter(|name| name.len() <= NAME_BYTES)
                .unwrap_or_default();
            let address = address::keyed(&hub.address_secret, opened.address);
            Ok((
                Actor::Viewer(Visitor {
                    id,
                    name: Personal(name),
                    store,
                    address,
                }),
                None,
            ))
        }
        Identity::Staff {
            room: own,
            person,
            expires_at,
        } if own == *room => Ok((Actor::Staff(person), Some(expires_at))),
        Identity::Staff { .. } | Identity::Store { .. } => Err(Close::NotAllowed),
        Identity::Operator { person, expires_at } => Ok((Actor::Operator(person), Some(expires_at))),
    }
}

/// Asks the room's task to take the connection in, then runs it until it ends.
async fn join(hub: Arc<Hub>, socket: TcpStream, reader: Reader, admitted: Admitted) {
    let Admitted {
        handle,
        actor,
        counted,
        expires_at,
        joined,
        hello,
        held,
    } = admitted;
    let feed = Arc::clone(handle.feed(hello.feed));
    let now = hub.clock.now();
    let connection = Connection::new(socket, reader.encoding, feed, actor, counted, expires_at, now);
    let connection = Arc::new(connection);
    let work = Work::Join {
        connection: Joining::new(Arc::clone(&connection)),
        joined,
        cursor: hello.cursor,
    };
    // A mailbox that is full, or closed because the room has just left memory, drops the work, which closes
    // the connection: coming back loads the room.
    drop(handle.mailbox.put(Lane::Rush, work));
    drop(tokio::spawn(async move {
        run(handle, connection, reader).await;
        drop(held);
    }));
}

/// What this task alone keeps of a connection.
struct Rates {
    second: u64,
    requests: u32,
    taps: u32,
    controls: u32,
    too_fast: u32,
}

impl Rates {
    fn new() -> Self {
        Self {
            second: 0,
            requests: REQUESTS_BURST,
            taps: 2 * TAPS_MAX,
            controls: 0,
            too_fast: 0,
        }
    }

    /// Refills for the seconds that have passed.
    fn refill(&mut self, now: Timestamp) {
        let second = now.0 / 1_000;
        let passed = second.saturating_sub(self.second).min(60) as u32;
        if passed > 0 {
            self.second = second;
            self.requests = (self.requests + passed * REQUESTS_PER_SECOND).min(REQUESTS_BURST);
            self.taps = (self.taps + passed * TAPS_PER_SECOND).min(2 * TAPS_MAX);
            self.controls = 0;
        }
    }
}

async fn run(handle: Arc<RoomHandle>, connection: Arc<Connection>, mut reader: Reader) {
    let mut rates = Rates::new();
    let mut reads = true;
    let seat = Seat { handle, connection };
    let Seat { handle, connection } = &seat;
    loop {
        let turn = poll_fn(|cx| connection.poll_turn(reads, cx));
        let turn = if connection.is_closing() {
            // The room's sweep may be over; a close that cannot be written is given up here.
            match timeout(CLOSE, turn).await {
                Ok(turn) => turn,
                Err(_) => break connection.abandon(),
            }
        } else {
            turn.await
        };
        match turn {
            Turn::Flush => flush(handle, connection),
            Turn::Read => reads = read(handle, connection, &mut reader, &mut rates),
        }
        if connection.is_done() {
            break;
        }
        tokio::task::consume_budget().await;
    }
    connection.linger(LINGER).await;
}

/// A connection's place in its room, given back when its task ends, in whatever way.
struct Seat {
    handle: Arc<RoomHandle>,
    connection: Arc<Connection>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let now = self.handle.now();
        self.handle.presence.lock().went(&self.connection, now);
        self.connection.abandon();
        ended(&self.handle.hub, self.connection.closed_with());
    }
}

fn flush(handle: &RoomHandle, connection: &Arc<Connection>) {
    let mut written = Written::default();
    if connection.flush(handle.hub.clock.now(), &mut written) == Flushed::Lost {
        pass::ask_for_keyframe(handle, connection);
    }
    handle.hub.metrics.bytes_out.inc_by(written.bytes);
    handle.hub.metrics.frames_written.inc_by(written.deltas);
}

/// Reads what there is; says whether reading goes on.
fn read(handle: &Arc<RoomHandle>, connection: &Arc<Connection>, reader: &mut Reader, rates: &mut Rates) -> bool {
    let now = handle.hub.clock.now();
    rates.refill(now);
    for _ in 0..MESSAGES {
        let (heard, replies) = reader.read(&connection.socket);
        if !replies.is_empty() {
            connection.queue(replies.into());
        }
        match heard {
            Heard::Message(message) => handle_message(handle, connection, &message, rates, now),
            Heard::Control => rates.controls += 1,
            Heard::Nothing => return true,
            Heard::Closed(answer) => {
                connection.close_answered(answer.into());
                return false;
            }
            Heard::Gone => {
                connection.abandon();
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
    }
    // More may wait in the reader's buffer than the socket knows of.
    connection.read_again();
    true
}

fn handle_message(
    handle: &Arc<RoomHandle>,
    connection: &Arc<Connection>,
    message: &[u8],
    rates: &mut Rates,
    now: Timestamp,
) {
    let refuse = |problem| connection.send(&Message::Err(problem));
    let (id, request) = match connection.encoding.decode_request(message) {
        Ok(Numbered { id, request }) => (id, request),
        Err(bad) => {
            rates.too_fast += 1;
            return refuse(Problem::new(bad.re, bad.code, bad.message));
        }
    };
    let limited = handle.hub.limits.rates;
    if limited && !matches!(request, Request::Like { .. }) {
        let Some(left) = rates.requests.checked_sub(1) else {
            rates.too_fast += 1;
            return refuse(too_fast(id, &request));
        };
        rates.requests = left;
    }
    match (id, request) {
        (Some(re), Request::Ping) => connection.send(&Message::Pong { re, now }),
        (id, Request::Hello(_)) => refuse(Problem::new(id, "already_joined", "this connection has joined already")),
        (_, Request::Like { taps }) => like(handle, connection, taps, rates),
        (_, Request::Seen(seen)) => {
            let newest = connection.feed.ring.read().head();
            handle.health.lock().answered(connection, seen, newest, now);
        }
        (Some(re), Request::Command(command)) => ask(handle, connection, re, command),
        (None, Request::Ping | Request::Command(_)) => {
            refuse(Problem::new(None, "bad_field", "`id` is missing"));
        }
    }
}

fn too_fast(id: Option<u64>, request: &Request) -> Problem {
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
fn like(handle: &RoomHandle, connection: &Connection, taps: u32, rates: &mut Rates) {
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
    if connection.counted && handle.on_air.load(Ordering::Relaxed) {
        handle.taps.fetch_add(u64::from(granted), Ordering::Relaxed);
    }
}

fn ask(handle: &RoomHandle, connection: &Arc<Connection>, re: u64, command: Command) {
    let refused = |command: &Command, error: &CommandError| connection.send(&Message::Err(problem(re, command, error)));
    if matches!(
        command,
        Command::Create(_) | Command::AcceptInvitation(_) | Command::AddStore(_)
    ) {
        // Their answers carry tokens, which only REST makes.
        return refused(&command, &Refusal::NotAllowed.into());
    }
    if handle.hub.draining() {
        return refused(&command, &CommandError::Draining);
    }
    if connection.unanswered.load(Ordering::Relaxed) >= UNANSWERED_MAX {
        return refused(&command, &CommandError::Busy { retry_after_ms: 500 });
    }
    connection.unanswered.fetch_add(1, Ordering::Relaxed);
    let actor = connection.actor.clone();
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

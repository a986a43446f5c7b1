//! One thread with its share of the viewers, on one poll.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hubbub::protocol::message::Joined;
use hubbub::protocol::{Close, Cursor, Encoding, Hello, Message, Picture, Problem, Seen};
use hubbub::room::{Answer, Key, Luck, Offset, RoomId, comment, discount, draw};
use mio::{Events, Interest, Poll, Token};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::faults::Fault;
use crate::talk::{Marks, Pace};
use crate::tally::{Claimed, Live, Tally, add};
use crate::viewer::{Coming, Stage, Viewer, connect};
use crate::wire::frame::{self, Opcode};
use crate::wire::handshake;
use crate::wire::head::{self, Head};

/// Viewers on the way in at a time, of one thread. A stampede of more would measure the listen queue.
const ON_THE_WAY: usize = 200;
/// Read at a time. A longer frame grows the buffer.
const READ_BYTES: usize = 256 * 1024;
/// Longest wait for events: orders are looked for so often.
const TICK: Duration = Duration::from_millis(10);
/// A viewer that has been failing for so long is given up.
const GIVE_UP: Duration = Duration::from_secs(30);
/// A handshake and a keyframe may take so long, as in a page; then the viewer tries again.
const JOIN_MAX: Duration = Duration::from_secs(20);
/// First wait before another attempt; it doubles up to ...
const BACKOFF: Duration = Duration::from_millis(200);
/// ... this.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Taps in one message: 1 to this.
const TAPS: u32 = 5;

/// What all threads share.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) server: SocketAddr,
    pub(crate) authority: String,
    pub(crate) room: RoomId,
    pub(crate) encoding: Encoding,
    pub(crate) sources: Vec<IpAddr>,
    pub(crate) threads: u32,
    pub(crate) seed: u64,
    pub(crate) comments: f64,
    pub(crate) likes: f64,
    pub(crate) marks: Marks,
    /// The run's time 0, from which comments' marks count.
    pub(crate) start: Instant,
    /// The first viewer's hash of each delta's bytes.
    pub(crate) ledger: Mutex<HashMap<Offset, u64>>,
}

/// What a thread is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// All come, evenly within the time.
    Join { from: Instant, within: Duration },
    /// They comment and like.
    Talk { from: Instant, until: Instant },
    /// All enter a draw, evenly within the time.
    Enter { draw: Key, from: Instant, within: Duration },
    /// So many of this thread claim, evenly within the time.
    Claim {
        discount: Key,
        askers: u32,
        from: Instant,
        within: Duration,
    },
    /// So many of this thread are cut off, and come back after the time.
    Storm { viewers: u32, away: Duration },
    /// Whoever has asked for a code is cut off, comes back, and asks again if it got one.
    AskAgain,
    /// From now on CPU time is counted, or not any more.
    Measure(bool),
    /// How far everybody is.
    Tell(Sender<Standing>),
}

/// How far everybody is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    /// Viewers who follow the feed.
    pub(crate) watching: u32,
    /// Viewers who are on the way, or will be.
    pub(crate) coming: u32,
    /// Viewers who were given up.
    pub(crate) gone: u32,
    /// Comments without an answer.
    pub(crate) commenting: u32,
    /// Other requests without an answer.
    pub(crate) asking: u32,
    /// The lowest and the highest offset of those who watch.
    pub(crate) lowest: Option<Offset>,
    pub(crate) highest: Option<Offset>,
}

impl Standing {
    /// Together with another thread's.
    pub(crate) fn and(self, other: Self) -> Self {
        let either = |a: Option<Offset>, b: Option<Offset>, choose: fn(Offset, Offset) -> Offset| match (a, b) {
            (Some(a), Some(b)) => Some(choose(a, b)),
            (one, other) => one.or(other),
        };
        Self {
            watching: self.watching + other.watching,
            coming: self.coming + other.coming,
            gone: self.gone + other.gone,
            commenting: self.commenting + other.commenting,
            asking: self.asking + other.asking,
            lowest: either(self.lowest, other.lowest, Offset::min),
            highest: either(self.highest, other.highest, Offset::max),
        }
    }
}

/// A request, until it is answered for good.
#[derive(Clone, Debug)]
struct Pending {
    id: u64,
    ask: Ask,
    /// From when its time counts.
    due: Instant,
    /// Not before then.
    send_at: Instant,
    sent: bool,
}

#[derive(Clone, Debug)]
enum Ask {
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
struct Like {
    taps: u32,
}

/// A delta that some viewer of this thread has had: the others' must be the same bytes.
struct Known {
    hash: u64,
    /// When its comments were due.
    dues: Vec<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The viewer tries to come.
    Come,
    /// The request is sent.
    Send(u64),
    /// The viewer must have joined.
    Joined,
}

/// One thread's viewers and what they are about.
pub(crate) struct Worker {
    course: Arc<Course>,
    live: Arc<Live>,
    index: u32,
    poll: Poll,
    viewers: Vec<Viewer>,
    timers: BinaryHeap<Reverse<(Instant, usize, Timer)>>,
    /// Viewers who wait for their turn to connect.
    queue: VecDeque<usize>,
    on_the_way: usize,
    pending: HashMap<usize, Vec<Pending>>,
    known: HashMap<Offset, Known>,
    epoch: Option<u64>,
    discount: Option<Key>,
    next_id: u64,
    luck: Luck,
    talk: Option<Talk>,
    /// Whose turn it is to say something.
    turn: usize,
    measured: Option<(Duration, Instant)>,
    tally: Tally,
}

struct Talk {
    from: Instant,
    until: Instant,
    comments: Pace,
    likes: Pace,
}

impl Worker {
    /// A thread's share: `count` viewers.
    ///
    /// # Errors
    ///
    /// The system gives no poll.
    pub(crate) fn new(course: Arc<Course>, live: Arc<Live>, index: u32, count: u32) -> io::Result<Self> {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&course.seed.to_be_bytes());
        seed[8..12].copy_from_slice(&index.to_be_bytes());
        let now = Instant::now();
        Ok(Self {
            course,
            live,
            index,
            poll: Poll::new()?,
            viewers: (0..count).map(|_| Viewer::new(now)).collect(),
            timers: BinaryHeap::new(),
            queue: VecDeque::new(),
            on_the_way: 0,
            pending: HashMap::new(),
            known: HashMap::new(),
            epoch: None,
            discount: None,
            next_id: 1,
            luck: Luck::new(seed),
            talk: None,
            turn: 0,
            measured: None,
            tally: Tally::default(),
        })
    }

    /// Works until `orders` is closed.
    ///
    /// # Errors
    ///
    /// The poll's.
    pub(crate) fn run(mut self, orders: &Receiver<Order>) -> io::Result<Tally> {
        let mut events = Events::with_capacity(1_024);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            loop {
                match orders.try_recv() {
                    Ok(order) => self.obey(order),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => {
                        self.viewers.iter_mut().for_each(Viewer::cut);
                        return Ok(self.tally);
                    }
                }
            }
            let now = Instant::now();
            self.fire(now);
            self.let_in(now);
            self.say(now);
            self.show();
            match self.poll.poll(&mut events, Some(self.pause(now))) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                let viewer = event.token().0;
                if event.is_writable() {
                    self.writable(viewer);
                }
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    self.readable(viewer, &mut buffer);
                }
            }
        }
    }

    fn show(&self) {
        self.live.deltas.store(self.tally.deltas, Ordering::Relaxed);
        self.live.bytes.store(self.tally.bytes, Ordering::Relaxed);
    }

    /// How long nothing is due.
    fn pause(&self, now: Instant) -> Duration {
        let talk = self.talk.as_ref().and_then(|talk| {
            let dues = [talk.comments.next_due(), talk.likes.next_due()];
            dues.into_iter().flatten().min().map(|due| talk.from + due)
        });
        let timer = self.timers.peek().map(|Reverse((at, ..))| *at);
        let next = talk.into_iter().chain(timer).min();
        next.map_or(TICK, |next| next.saturating_duration_since(now).min(TICK))
    }

    fn obey(&mut self, order: Order) {
        let spread = |within: Duration, place: usize, of: usize| within.mul_f64(place as f64 / of.max(1) as f64);
        let count = self.viewers.len();
        match order {
            Order::Join { from, within } => {
                for viewer in 0..count {
                    self.come_at(viewer, from + spread(within, viewer, count), Coming::First);
                }
            }
            Order::Talk { from, until } => {
                let Course {
                    comments,
                    likes,
                    threads,
                    ..
                } = *self.course;
                // Each message has on average so many taps.
                let messages = likes / (f64::from(TAPS + 1) / 2.0);
                self.talk = Some(Talk {
                    from,
                    until,
                    comments: Pace::new(comments, self.index, threads),
                    likes: Pace::new(messages, self.index, threads),
                });
            }
            Order::Enter { draw, from, within } => {
                for viewer in 0..count {
                    let due = from + spread(within, viewer, count);
                    self.ask(viewer, Ask::Enter(draw::ById { draw: draw.clone() }), due);
                }
            }
            Order::Claim {
                discount,
                askers,
                from,
                within,
            } => {
                self.discount = Some(discount.clone());
                let askers = askers as usize;
                for asker in 0..askers {
                    let claim = discount::Claim {
                        discount: discount.clone(),
                        unit: 1,
                    };
                    self.ask(asker, Ask::Claim(claim), from + spread(within, asker, askers));
                }
            }
            Order::Storm { viewers, away } => {
                let back = Instant::now() + away;
                // The last ones: those who ask first are tried by `AskAgain`.
                for viewer in count - (viewers as usize).min(count)..count {
                    if self.watches(viewer) {
                        self.cut(viewer);
                        self.come_at(viewer, back, Coming::Back);
                    }
                }
            }
            Order::AskAgain => self.ask_again(),
            Order::Measure(true) => self.measured = Some((cpu_time(), Instant::now())),
            Order::Measure(false) => {
                if let Some((cpu, from)) = self.measured.take() {
                    self.tally.cpu = (cpu_time() - cpu).as_secs_f64() / from.elapsed().as_secs_f64();
                }
            }
            Order::Tell(reply) => {
                // Who asked may have gone.
                let _ = reply.send(self.standing());
            }
        }
    }

    fn watches(&self, viewer: usize) -> bool {
        self.viewers[viewer].stage == Stage::Watching
    }

    fn ask_again(&mut self) {
        let Some(discount) = self.discount.clone() else {
            return;
        };
        let now = Instant::now();
        let asked: Vec<(u32, bool)> = self
            .tally
            .claims
            .iter()
            .map(|(asker, claimed)| (*asker, matches!(claimed, Claimed::Granted(_))))
            .collect();
        for (asker, granted) in asked {
            let viewer = self.place(asker);
            if self.watches(viewer) {
                self.cut(viewer);
                self.come_at(viewer, now, Coming::Again);
            }
            if granted {
                let discount = discount.clone();
                self.ask(viewer, Ask::Claim(discount::Claim { discount, unit: 1 }), now);
            }
        }
    }

    /// A viewer's number over all threads, and back.
    fn number(&self, viewer: usize) -> u32 {
        viewer as u32 * self.course.threads + self.index
    }

    fn place(&self, number: u32) -> usize {
        (number / self.course.threads) as usize
    }

    fn standing(&self) -> Standing {
        let mut standing = Standing::default();
        for request in self.pending.values().flatten() {
            match request.ask {
                Ask::Comment(_) => standing.commenting += 1,
                Ask::Enter(_) | Ask::Claim(_) => standing.asking += 1,
            }
        }
        for viewer in &self.viewers {
            match viewer.stage {
                Stage::Watching => {
                    standing.watching += 1;
                    let offset = viewer.follower.offset();
                    standing.lowest = standing.lowest.into_iter().chain(offset).min();
                    standing.highest = standing.highest.into_iter().chain(offset).max();
                }
                Stage::Gone => standing.gone += 1,
                _ => standing.coming += 1,
            }
        }
        standing
    }

    // Timers and turns.

    fn come_at(&mut self, viewer: usize, at: Instant, coming: Coming) {
        self.viewers[viewer].due = at;
        self.viewers[viewer].coming = coming;
        self.timers.push(Reverse((at, viewer, Timer::Come)));
    }

    fn fire(&mut self, now: Instant) {
        while let Some(Reverse((at, viewer, timer))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            match timer {
                Timer::Come if self.viewers[viewer].stage == Stage::Away => self.queue.push_back(viewer),
                Timer::Come => {}
                Timer::Send(id) if self.watches(viewer) => self.send_pending(viewer, Some(id), now),
                Timer::Send(_) => {}
                Timer::Joined => {
                    let slow = self.viewers[viewer].is_on_the_way() && now >= self.viewers[viewer].since + JOIN_MAX;
                    if slow {
                        self.failed(viewer, "no answer within 20 s");
                    }
                }
            }
        }
    }

    /// Lets those in whose turn it is.
    fn let_in(&mut self, now: Instant) {
        while self.on_the_way < ON_THE_WAY {
            let Some(viewer) = self.queue.pop_front() else {
                return;
            };
            if self.viewers[viewer].stage != Stage::Away {
                continue;
            }
            self.viewers[viewer].since = now;
            let sources = &self.course.sources;
            let source = sources.get(viewer % sources.len().max(1)).copied();
            let opened = connect(self.course.server, source).and_then(|mut stream| {
                let interest = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().register(&mut stream, Token(viewer), interest)?;
                Ok(stream)
            });
            match opened {
                Ok(stream) => {
                    self.viewers[viewer].stream = Some(stream);
                    self.viewers[viewer].stage = Stage::Connecting;
                    self.on_the_way += 1;
                    self.timers.push(Reverse((now + JOIN_MAX, viewer, Timer::Joined)));
                }
                Err(error) => self.failed(viewer, &error.to_string()),
            }
        }
    }

    /// What is due of comments and likes.
    fn say(&mut self, now: Instant) {
        let Some(mut talk) = self.talk.take() else {
            return;
        };
        let due_now = |pace: &Pace| {
            let due = talk.from + pace.next_due()?;
            (due <= now && due < talk.until).then_some(due)
        };
        while let Some(due) = due_now(&talk.comments) {
            talk.comments.done();
            if let Some(viewer) = self.next_speaker() {
                let text = self.course.marks.text(due - self.course.start, &mut self.luck);
                let nonce = format!("n{}", self.next_id);
                self.ask(viewer, Ask::Comment(comment::Post { nonce, text }), due);
            }
        }
        while due_now(&talk.likes).is_some() {
            talk.likes.done();
            if let Some(viewer) = self.next_speaker() {
                let taps = 1 + self.luck.below(u64::from(TAPS)) as u32;
                if self.send(viewer, None, "like", &Like { taps }) {
                    self.tally.taps += u64::from(taps);
                }
            }
        }
        if now < talk.until {
            self.talk = Some(talk);
        }
    }

    /// The next viewer who is there, in turn.
    fn next_speaker(&mut self) -> Option<usize> {
        let count = self.viewers.len();
        let from = self.turn;
        let found = (1..=count)
            .map(|step| (from + step) % count)
            .find(|viewer| self.watches(*viewer))?;
        self.turn = found;
        Some(found)
    }

    // Requests.

    fn ask(&mut self, viewer: usize, ask: Ask, due: Instant) {
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
    fn send_pending(&mut self, viewer: usize, only: Option<u64>, now: Instant) {
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

    fn send(&mut self, viewer: usize, id: Option<u64>, cmd: &'static str, args: &impl Serialize) -> bool {
        let payload = self.course.encoding.encode(&Outgoing { id, cmd, args });
        let opcode = match self.course.encoding {
            Encoding::Json => Opcode::Text,
            Encoding::MessagePack => Opcode::Binary,
        };
        self.write(viewer, opcode, &payload)
    }

    fn write(&mut self, viewer: usize, opcode: Opcode, payload: &[u8]) -> bool {
        let mut bytes = Vec::with_capacity(payload.len() + 14);
        frame::write(&mut bytes, opcode, payload, self.luck.bytes());
        self.write_raw(viewer, &bytes)
    }

    fn write_raw(&mut self, viewer: usize, bytes: &[u8]) -> bool {
        match self.viewers[viewer].write(bytes) {
            Ok(()) => true,
            Err(_) => {
                self.lost(viewer, None);
                false
            }
        }
    }

    // Sockets.

    fn writable(&mut self, viewer: usize) {
        let Self { viewers, course, .. } = self;
        let Some(stream) = &viewers[viewer].stream else {
            return;
        };
        if viewers[viewer].stage != Stage::Connecting {
            if viewers[viewer].flush().is_err() {
                self.lost(viewer, None);
            }
            return;
        }
        if let Ok(Some(error)) | Err(error) = stream.take_error() {
            self.failed(viewer, &error.to_string());
            return;
        }
        if stream.peer_addr().is_err() {
            // An event of the connection before: this one is not open yet.
            return;
        }
        viewers[viewer].stage = Stage::Upgrading;
        let request = handshake::request(&course.authority, &course.room, course.encoding);
        self.write_raw(viewer, &request);
    }

    fn readable(&mut self, viewer: usize, buffer: &mut Vec<u8>) {
        loop {
            let slot = &mut self.viewers[viewer];
            if matches!(slot.stage, Stage::Connecting) {
                // Its failure is told by `writable`.
                return;
            }
            let Some(stream) = &mut slot.stream else {
                return;
            };
            let has = slot.partial.len();
            if buffer.len() < has + READ_BYTES / 2 {
                buffer.resize(has + READ_BYTES, 0);
            }
            let read = match stream.read(&mut buffer[has..]) {
                Ok(0) => return self.lost(viewer, None),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return self.lost(viewer, None),
            };
            let partial = std::mem::take(&mut slot.partial);
            buffer[..has].copy_from_slice(&partial);
            self.tally.bytes += read as u64;
            let end = has + read;
            let Some(taken) = self.take_in(viewer, &buffer[..end]) else {
                return;
            };
            self.viewers[viewer].partial = buffer[taken..end].to_vec();
            if end < buffer.len() {
                // The socket had no more (epoll(7), question 9); a new edge tells when it has.
                return;
            }
        }
    }

    /// Takes in what arrived; how much of it was whole, or `None` if the connection is over.
    fn take_in(&mut self, viewer: usize, bytes: &[u8]) -> Option<usize> {
        let mut taken = 0;
        if self.viewers[viewer].stage == Stage::Upgrading {
            match handshake::answer(bytes, self.course.encoding) {
                handshake::Answer::Incomplete => return Some(0),
                handshake::Answer::Refused(why) => {
                    self.failed(viewer, &why);
                    return None;
                }
                handshake::Answer::Open(length) => taken = length,
            }
            self.viewers[viewer].stage = Stage::Joining;
            self.hello(viewer);
        }
        let now = Instant::now();
        while self.viewers[viewer].stream.is_some() {
            let frame = match frame::next(&bytes[taken..]) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Some(taken),
                Err(bad) => {
                    let number = self.number(viewer);
                    self.tally
                        .faults
                        .note(Fault::BadFrame, || format!("viewer {number}: {bad}"));
                    self.lost(viewer, None);
                    return None;
                }
            };
            taken += frame.length;
            match frame.opcode {
                Opcode::Text | Opcode::Binary => self.message(viewer, frame.payload, frame.length, now),
                Opcode::Ping => drop(self.write(viewer, Opcode::Pong, frame.payload)),
                Opcode::Pong => {}
                Opcode::Close => {
                    let code = match frame.payload {
                        [a, b, ..] => u16::from_be_bytes([*a, *b]),
                        // 1005: a close frame without a code.
                        _ => 1005,
                    };
                    self.lost(viewer, Some(code));
                }
            }
        }
        None
    }

    fn hello(&mut self, viewer: usize) {
        let slot = &self.viewers[viewer];
        let cursor = self
            .epoch
            .zip(slot.follower.offset())
            .map(|(epoch, offset)| Cursor { epoch, offset });
        let hello = Hello {
            token: slot.token.as_deref().map(str::to_owned),
            name: Some(format!("Guest {}", self.number(viewer))),
            cursor,
            src: Some("loadtest".to_owned()),
            ..Hello::default()
        };
        self.send(viewer, Some(0), "hello", &hello);
    }

    // Messages.

    fn message(&mut self, viewer: usize, payload: &[u8], length: usize, now: Instant) {
        let encoding = self.course.encoding;
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
                self.check_epoch(epoch);
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

    fn check_epoch(&mut self, epoch: u64) {
        let own = *self.epoch.get_or_insert(epoch);
        if own != epoch {
            self.tally
                .faults
                .note(Fault::OtherEpoch, || format!("{epoch} instead of {own}"));
        }
    }

    fn delta(&mut self, viewer: usize, follows: Offset, offset: Offset, payload: &[u8], now: Instant) {
        self.tally.deltas += 1;
        let number = self.number(viewer);
        if let Err(fault) = self.viewers[viewer].follower.delta(follows, offset) {
            let example = || format!("viewer {number} at offset {offset}, which follows {follows}");
            self.tally.faults.note(fault, example);
        }
        let hash = hash(payload);
        let Self { known, course, .. } = self;
        let known = known.entry(offset).or_insert_with(|| {
            let dues = course.marks.dues(payload);
            // A thread that panicked has left the ledger whole: it only ever inserts.
            let mut ledger = course.ledger.lock().unwrap_or_else(PoisonError::into_inner);
            Known {
                hash: *ledger.entry(offset).or_insert(hash),
                dues: dues.into_iter().map(|due| course.start + due).collect(),
            }
        });
        if known.hash != hash && !self.tally.observer.moderated {
            let example = || format!("viewer {number} at offset {offset}");
            self.tally.faults.note(Fault::OtherBytes, example);
        }
        let since = self.viewers[viewer].since;
        // What was said before it came, it could not have had in time.
        for due in known.dues.iter().filter(|due| **due >= since) {
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
                self.send(viewer, None, "seen", &Seen { offset, picture });
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
        self.check_epoch(joined.epoch);
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
            Coming::Again => {}
        }
        slot.since = now;
        slot.coming = Coming::Again;
        slot.failures = 0;
        slot.failing_since = None;
        self.live.watching.fetch_add(1, Ordering::Relaxed);
        self.send_pending(viewer, None, now);
    }

    fn answered(&mut self, viewer: usize, re: Option<u64>, answer: Result<Answer, Problem>, now: Instant) {
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

    // Ends of connections.

    fn cut(&mut self, viewer: usize) {
        let slot = &mut self.viewers[viewer];
        if slot.stage == Stage::Watching {
            self.live.watching.fetch_sub(1, Ordering::Relaxed);
        }
        if slot.is_on_the_way() {
            self.on_the_way -= 1;
        }
        slot.cut();
    }

    /// The connection ended, with a close frame or without.
    fn lost(&mut self, viewer: usize, code: Option<u16>) {
        if self.viewers[viewer].stream.is_none() {
            return;
        }
        *self.tally.closes.entry(code.unwrap_or(0)).or_default() += 1;
        if let Some(code) = code.filter(|code| !comes_back(*code)) {
            self.cut(viewer);
            self.viewers[viewer].stage = Stage::Gone;
            let number = self.number(viewer);
            self.tally
                .faults
                .note(Fault::ClosedForGood, || format!("viewer {number}: {code}"));
            return;
        }
        self.failed(viewer, "connection lost");
    }

    /// The viewer tries again later, as a page does.
    fn failed(&mut self, viewer: usize, why: &str) {
        let now = Instant::now();
        add(&mut self.tally.failed, why);
        self.cut(viewer);
        let number = self.number(viewer);
        let slot = &mut self.viewers[viewer];
        let failing_since = *slot.failing_since.get_or_insert(now);
        if now > failing_since + GIVE_UP {
            slot.stage = Stage::Gone;
            self.tally
                .faults
                .note(Fault::Absent, || format!("viewer {number}: {why}"));
            return;
        }
        let wait = BACKOFF.saturating_mul(1 << slot.failures.min(5)).min(BACKOFF_MAX);
        slot.failures += 1;
        // Between half and all of it, so that they do not come back together.
        let jitter = 0.5 + self.luck.below(1_000) as f64 / 2_000.0;
        let at = slot.asked_back_at.take().unwrap_or(now + wait.mul_f64(jitter));
        // It stays due when it was: an attempt that failed is part of the time that coming took.
        self.timers.push(Reverse((at, viewer, Timer::Come)));
    }
}

/// What a page retries by itself.
fn may_succeed_later(problem: &Problem) -> bool {
    matches!(
        problem.code.as_str(),
        "busy" | "journal_unavailable" | "restarting" | "watch_longer"
    )
}

/// 4000-4499, as the guide says; and what a proxy or a dying process may send.
fn comes_back(code: u16) -> bool {
    let known = Close::ALL.into_iter().find(|close| close.code() == code);
    known.map_or(
        (4000..4500).contains(&code) || code == 1001 || code == 1005,
        Close::come_back,
    )
}

fn hash(bytes: &[u8]) -> u64 {
    // Without a key: the same in all threads.
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    const JOINED: &str = r#"{"joined":{"re":0,"room":"fake-room","now":1,"epoch":7,"resumed":false,"mine":{}}}"#;
    const RESUMED: &str = r#"{"joined":{"re":0,"room":"fake-room","now":1,"epoch":7,"resumed":true,"mine":{}}}"#;

    /// A keyframe of an empty room at offset 12.
    fn keyframe() -> String {
        let state = hubbub::room::Room::new(RoomId::new("fake-room").unwrap()).stage();
        let state = serde_json::to_string(&state).unwrap();
        format!(r#"{{"keyframe":{{"epoch":7,"offset":12,"at":1,"state":{state}}}}}"#)
    }

    fn delta(follows: Offset, offset: Offset, at: u64) -> String {
        format!(r#"{{"delta":{{"follows":{follows},"offset":{offset},"at":{at},"events":[]}}}}"#)
    }

    /// Reads until the handshake and the hello are there: the hello is the only frame, and ends with `}`, masked.
    fn greet(stream: &mut TcpStream) {
        let mut read = Vec::new();
        let answer = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
            Sec-WebSocket-Protocol: hubbub.v1.json\r\n\r\n";
        let mut chunk = [0; 1_024];
        while !read.ends_with(b"\r\n\r\n") {
            let count = stream.read(&mut chunk).unwrap();
            read.extend_from_slice(&chunk[..count]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        let count = stream.read(&mut chunk).unwrap();
        assert!(count > 6, "a hello");
    }

    fn tell(stream: &mut TcpStream, messages: &[String]) {
        for message in messages {
            let mut bytes = vec![0x81, 126];
            bytes.extend((message.len() as u16).to_be_bytes());
            if message.len() < 126 {
                bytes = vec![0x81, message.len() as u8];
            }
            bytes.extend_from_slice(message.as_bytes());
            // In two parts: a viewer keeps the first until the second is there.
            let (first, second) = bytes.split_at(bytes.len() / 2);
            stream.write_all(first).unwrap();
            stream.flush().unwrap();
            stream.write_all(second).unwrap();
        }
    }

    /// What one thread with a viewer for each script finds, whose connections are told these messages; a script
    /// of two parts is told the second after the viewer was cut and came back.
    fn found(scripts: Vec<Vec<Vec<String>>>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let course = Course {
            server: listener.local_addr().unwrap(),
            authority: "fake".to_owned(),
            room: RoomId::new("fake-room").unwrap(),
            encoding: Encoding::Json,
            sources: Vec::new(),
            threads: 1,
            seed: 1,
            comments: 0.0,
            likes: 0.0,
            marks: Marks::new("test"),
            start: Instant::now(),
            ledger: Mutex::default(),
        };
        let (viewers, rounds) = (scripts.len(), scripts[0].len());
        let expected: usize = scripts
            .iter()
            .flatten()
            .flatten()
            .filter(|message| message.starts_with("{\"delta\""))
            .count();
        let server = thread::spawn(move || {
            let mut open = Vec::new();
            for round in 0..rounds {
                for script in &scripts {
                    let (mut stream, _) = listener.accept().unwrap();
                    greet(&mut stream);
                    tell(&mut stream, &script[round]);
                    open.push(stream);
                }
            }
            open
        });
        let live = Arc::new(Live::default());
        let worker = Worker::new(Arc::new(course), live, 0, viewers as u32).unwrap();
        let (orders, inbox) = channel();
        let thread = thread::spawn(move || worker.run(&inbox));
        let (from, within) = (Instant::now(), Duration::ZERO);
        orders.send(Order::Join { from, within }).unwrap();
        let all_watch = || loop {
            let (reply, standing) = channel();
            orders.send(Order::Tell(reply)).unwrap();
            if standing.recv().unwrap().watching as usize == viewers {
                break;
            }
        };
        all_watch();
        for _ in 1..rounds {
            let (viewers, away) = (viewers as u32, Duration::ZERO);
            orders.send(Order::Storm { viewers, away }).unwrap();
            all_watch();
        }
        let open = server.join().unwrap();
        drop(open);
        // The server has gone: once nobody watches, all that was sent was read.
        loop {
            let (reply, standing) = channel();
            orders.send(Order::Tell(reply)).unwrap();
            if standing.recv().unwrap().watching == 0 {
                break;
            }
        }
        drop(orders);
        let tally = thread.join().unwrap().unwrap();
        assert_eq!(tally.deltas as usize, expected);
        tally.faults.sentences().collect::<Vec<_>>().join("; ")
    }

    fn script(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|part| (*part).to_owned()).collect()
    }

    #[test]
    fn an_honest_server_is_found_without_fault() {
        let first = script(&[JOINED, &keyframe(), &delta(12, 13, 5), &delta(13, 15, 6)]);
        let second = script(&[RESUMED, &delta(15, 16, 7)]);
        let viewer = vec![first, second];
        assert_eq!(found(vec![viewer.clone(), viewer]), "");
    }

    #[test]
    fn one_viewer_of_two_without_a_delta_is_found() {
        let whole = script(&[
            JOINED,
            &keyframe(),
            &delta(12, 13, 5),
            &delta(13, 14, 6),
            &delta(14, 15, 7),
        ]);
        let holed = script(&[JOINED, &keyframe(), &delta(12, 13, 5), &delta(14, 15, 7)]);
        let said = found(vec![vec![whole], vec![holed]]);
        assert!(said.starts_with("1 gaps") && !said.contains(';'), "{said}");
    }

    #[test]
    fn a_delta_with_other_bytes_for_another_viewer_is_found() {
        let one = script(&[JOINED, &keyframe(), &delta(12, 13, 5)]);
        let other = script(&[JOINED, &keyframe(), &delta(12, 13, 6)]);
        let said = found(vec![vec![one], vec![other]]);
        assert!(
            said.starts_with("1 deltas whose bytes differ") && !said.contains(';'),
            "{said}"
        );
    }

    #[test]
    fn a_viewer_who_is_not_continued_is_found() {
        let first = script(&[JOINED, &keyframe(), &delta(12, 13, 5)]);
        let second = script(&[JOINED, &keyframe(), &delta(12, 13, 5)]);
        let said = found(vec![vec![first, second]]);
        assert!(
            said.starts_with("1 viewers who came back") && !said.contains(';'),
            "{said}"
        );
    }

    #[test]
    fn an_answer_to_nothing_and_nonsense_are_found() {
        let answer = r#"{"ok":{"re":99,"after":12,"answer":{"done":{}}}}"#;
        let said = found(vec![vec![script(&[JOINED, &keyframe(), answer, "{}"])]]);
        assert!(
            said.contains("1 messages that cannot be read") && said.contains("1 answers to no request"),
            "{said}"
        );
    }
}

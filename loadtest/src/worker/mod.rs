//! One thread with its share of the viewers, on one poll.

mod messages;
mod orders;
mod requests;
mod sockets;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use hubbub::room::{Key, Luck, Offset, comment, discount, draw};
use mio::{Events, Poll, Token};
use rustix::time::{ClockId, clock_gettime};

pub(crate) use orders::{Course, Order, Standing};

use crate::link::{Buffer, Link};
use crate::talk::Pace;
use crate::tally::{Claimed, Live, Tally, Times};
use crate::viewer::{Coming, Stage, Viewer};
use crate::wire::Inflater;
use requests::{Ask, Like, Pending};

/// Viewers on the way in at a time, of one thread. A stampede of more would measure the listen queue.
const ON_THE_WAY: usize = 200;
/// Longest wait for events: orders are looked for so often.
const TICK: Duration = Duration::from_millis(10);
/// A handshake and a keyframe may take so long, as in a page; then the viewer tries again.
const JOIN_MAX: Duration = Duration::from_secs(20);
/// Taps in one message: 1 to this.
const TAPS: u32 = 5;

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
    known: HashMap<(usize, Offset), Known>,
    /// The highest offset of a delta.
    newest: Option<Offset>,
    epochs: HashMap<usize, u64>,
    inflater: Inflater,
    discount: Option<Key>,
    next_id: u64,
    luck: Luck,
    talk: Option<Talk>,
    /// Whose turn it is to say something.
    turn: usize,
    /// Comments that were due before are not timed.
    timed_from: Option<Instant>,
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
            newest: None,
            epochs: HashMap::new(),
            inflater: Inflater::new(),
            discount: None,
            next_id: 1,
            luck: Luck::new(seed),
            talk: None,
            turn: 0,
            timed_from: None,
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
        let mut buffer = Buffer::default();
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
        self.live.deliveries.store(self.tally.delivered, Ordering::Relaxed);
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
            Order::Talk { from, until, comments } => {
                let Course { likes, threads, .. } = *self.course;
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
            Order::Leave => {
                for viewer in 0..count {
                    if self.watches(viewer) {
                        self.cut(viewer);
                    }
                }
            }
            Order::AskAgain => self.ask_again(),
            Order::TimeFrom(from) => {
                self.timed_from = Some(from);
                self.tally.deliveries = Times::default();
            }
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
                self.come_at(viewer, now, Coming::ToAsk);
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

    /// The place of a viewer's room among the rooms.
    fn room(&self, viewer: usize) -> usize {
        self.number(viewer) as usize % self.course.rooms.len()
    }

    fn place(&self, number: u32) -> usize {
        (number / self.course.threads) as usize
    }

    fn standing(&self) -> Standing {
        let mut standing = Standing {
            newest: self.newest,
            ..Standing::default()
        };
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
            match Link::begin(&self.course.server, source, self.poll.registry(), Token(viewer)) {
                Ok(link) => {
                    self.viewers[viewer].link = Some(link);
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
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

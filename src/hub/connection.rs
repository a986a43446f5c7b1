//! One WebSocket connection: a cursor into its room's feed, and a small queue of frames for it alone.
//!
//! Frames are written by the room's pass over its connections while the socket takes them, and by the
//! connection's driver after it did not. Whoever writes holds the outbox's lock, so that control frames and
//! private replies stand between frames, never inside one.

use std::any::Any;
use std::collections::VecDeque;
use std::hint::black_box;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use rustix::net::SendFlags;

use super::Stream;
use super::burst::Bursts;
use super::deflate::Wire;
use super::driver::Driver;
use super::ending;
use super::feed::{Feed, Ring, SLOTS};
use super::requests::Inbound;
use super::room_handle::RoomHandle;
use crate::limits::Share;
use crate::protocol::{Close, Message};
use crate::room::audience::Visitor;
use crate::room::{Actor, Offset, Timestamp, ViewerId};

/// Frames for one connection alone that may wait; then its requests are no longer read.
const PRIVATE_PAUSE: usize = 32;
/// The same for their bytes: two refusals of the largest messages, whose texts go back.
const PRIVATE_BYTES_PAUSE: usize = 32 << 10;
/// Frames for one connection alone that may wait at all; then it is closed as slow.
const PRIVATE_MAX: usize = 256;
/// Their bytes: a few keyframes.
const PRIVATE_BYTES_MAX: usize = 1 << 20;
/// Slices in one vectored write. The kernel takes 1,024.
const SLICES: usize = 64;

/// Who holds a connection.
pub(super) struct Holder {
    /// Who asks, as commands name them.
    pub(super) actor: Actor,
    /// Counts as a viewer's.
    pub(super) counted: bool,
    /// When the token ends.
    pub(super) expires_at: Option<Timestamp>,
    /// What its address may send; none: its address is not limited.
    pub(super) share: Option<Arc<Share>>,
    /// Given back when the connection is gone.
    pub(super) _place: Arc<dyn Any + Send + Sync>,
}

/// One open socket. The fields that a visit touches stand together: at 15,000 sockets each cache line counts.
#[repr(C)]
pub(super) struct Connection {
    outbox: Mutex<Outbox>,
    /// Server time of the last write that took something, or since when the socket takes nothing, ms.
    pub(super) written_at: AtomicU64,
    blocked: AtomicBool,
    /// So many replies wait that nothing more is read.
    paused: AtomicBool,
    pub(super) wire: Wire,
    pub(super) socket: Stream,
    nudged: AtomicBool,
    rung: AtomicBool,
    unread: AtomicBool,
    /// Commands that wait for their answer.
    pub(super) unanswered: AtomicU8,
    /// It is over. Written and read under the lock of the room's presence.
    pub(super) ended: AtomicBool,
    /// Somebody sees to it that it closes in time.
    pub(super) watched: AtomicBool,
    /// Server time of the last byte heard, ms.
    pub(super) heard_at: AtomicU64,
    /// Server time of the last ping sent, ms.
    pub(super) pinged_at: AtomicU64,
    /// When it was asked what it has; 0: it was not, or has answered.
    pub(super) asked_at: AtomicU64,
    /// The driver's alone.
    pub(super) inbound: Mutex<Inbound>,
    pub(super) handle: Arc<RoomHandle>,
    pub(super) feed: Arc<Feed>,
    driver: Arc<Driver>,
    /// Has the driver look after it, see [`Connection::ring`].
    bell: Waker,
    holder: Holder,
}

/// What the socket wakes. It does not keep the connection alive, which owns the socket.
struct Bell(Weak<Connection>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(connection) = self.0.upgrade() {
            connection.ring();
        }
    }
}

/// What waits to be written.
struct Outbox {
    /// What goes before the feed, if anything does.
    own: Option<Box<Own>>,
    /// Then the feed from here on.
    follow: Follow,
    /// Its offset: of the keyframe or cursor that it started from, or of the last delta since.
    sent: Offset,
    seen: [u64; SLOTS],
    phase: Phase,
    closed: Option<Close>,
}

/// Frames for one connection alone.
#[derive(Default)]
struct Own {
    /// The rest of a frame that was written in part; goes first.
    partial: Bytes,
    /// Whole frames; go next.
    private: VecDeque<Bytes>,
    /// Of the whole frames.
    bytes: usize,
}

impl Own {
    fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.private.push_back(frame);
    }

    fn pop(&mut self) -> Option<Bytes> {
        let frame = self.private.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }
}

/// Where a connection is in its feed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follow {
    /// It has not joined.
    Not,
    /// Index of the next delta.
    At(u64),
    /// Its next delta fell off the ring; the last offset it was sent.
    Lost(Offset),
    /// The same, and a keyframe was asked for.
    Waiting(Offset),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// A close frame is in `private`, nothing follows it.
    Closing,
    /// The close frame is written, or the socket is dead.
    Done,
}

/// What a flush came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// Everything is written.
    All,
    /// The socket takes no more: its driver goes on when it does.
    Blocked,
    /// It fell off the ring and needs a keyframe.
    Lost,
    /// It is closed.
    Done,
}

/// What was handed to the kernel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    pub(super) bytes: u64,
    pub(super) deltas: u64,
}

/// What the kernel took of: the rest of a frame, private frames, these deltas, these counts.
struct Taken<'a> {
    wrote: usize,
    deltas: usize,
    counts: [Option<&'a Bytes>; SLOTS],
    /// The versions of the counts.
    newest: [u64; SLOTS],
}

/// What the driver has to do.
pub(super) enum Turn {
    Read,
    Flush,
}

impl Connection {
    pub(super) fn new(
        socket: Stream,
        inbound: Inbound,
        wire: Wire,
        handle: Arc<RoomHandle>,
        feed: Arc<Feed>,
        holder: Holder,
        driver: Arc<Driver>,
    ) -> Arc<Self> {
        let now = handle.hub.clock.now();
        let outbox = Outbox {
            own: None,
            follow: Follow::Not,
            sent: 0,
            seen: [0; SLOTS],
            phase: Phase::Open,
            closed: None,
        };
        let connection = Arc::new_cyclic(|connection: &Weak<Self>| Self {
            socket,
            wire,
            handle,
            feed,
            holder,
            driver,
            bell: Waker::from(Arc::new(Bell(Weak::clone(connection)))),
            rung: AtomicBool::new(false),
            inbound: Mutex::new(inbound),
            outbox: Mutex::new(outbox),
            nudged: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            // What came glued to the hello waits in the reader.
            unread: AtomicBool::new(true),
            heard_at: AtomicU64::new(now.0),
            written_at: AtomicU64::new(now.0),
            pinged_at: AtomicU64::new(now.0),
            unanswered: AtomicU8::new(0),
            ended: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            asked_at: AtomicU64::new(0),
        });
        connection.ring();
        connection
    }

    /// Has its driver look after it.
    pub(super) fn ring(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.driver.put(Arc::clone(self));
        }
    }

    /// The driver looks after it now: what comes from here on rings again.
    pub(super) fn answer_bell(&self) -> Context<'_> {
        self.rung.store(false, Ordering::Release);
        Context::from_waker(&self.bell)
    }

    /// The viewer, if it is one.
    pub(super) fn viewer(&self) -> Option<ViewerId> {
        match &self.holder.actor {
            Actor::Viewer(Visitor { id, .. }) => Some(*id),
            _ => None,
        }
    }

    /// Who asks, as commands name them.
    pub(super) fn actor(&self) -> &Actor {
        &self.holder.actor
    }

    /// What its address may send; none: its address is not limited.
    pub(super) fn share(&self) -> Option<&Share> {
        self.holder.share.as_deref()
    }

    /// It counts as a viewer's.
    pub(super) fn counted(&self) -> bool {
        self.holder.counted
    }

    /// When its token ends.
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        self.holder.expires_at
    }

    /// Queues a message for this connection alone and has its driver write it.
    pub(super) fn send(&self, message: &Message) {
        self.queue(super::feed::frame(self.wire.encoding, message));
    }

    /// Queues a ready frame for this connection alone and has its driver write it.
    pub(super) fn queue(&self, frame: Bytes) {
        if self.leave(frame) {
            self.nudge();
        }
    }

    /// Leaves a frame for this connection alone to whoever writes next; whether it is still open.
    fn leave(&self, frame: Bytes) -> bool {
        let mut outbox = self.outbox.lock();
        if outbox.phase != Phase::Open {
            return false;
        }
        let own = outbox.own();
        own.push(frame);
        if own.private.len() > PRIVATE_MAX || own.bytes > PRIVATE_BYTES_MAX {
            outbox.begin_close(Close::Slow);
        }
        self.note_private(&outbox);
        true
    }

    /// Starts following: these frames first, which bring it to `offset`, then the deltas from `next` on.
    pub(super) fn follow(&self, frames: impl IntoIterator<Item = Bytes>, offset: Offset, next: u64) {
        let mut outbox = self.outbox.lock();
        if outbox.phase == Phase::Open {
            frames.into_iter().for_each(|frame| outbox.own().push(frame));
            outbox.follow = Follow::At(next);
            outbox.sent = offset;
        }
        drop(outbox);
        self.nudge();
    }

    /// The last offset that it was sent, if it fell off the ring.
    pub(super) fn lost_at(&self) -> Option<Offset> {
        match self.outbox.lock().follow {
            Follow::Lost(offset) | Follow::Waiting(offset) => Some(offset),
            Follow::Not | Follow::At(_) => None,
        }
    }

    /// The keyframe could not be asked for: the next visit asks again.
    pub(super) fn ask_again(&self) {
        let mut outbox = self.outbox.lock();
        if let Follow::Waiting(offset) = outbox.follow {
            outbox.follow = Follow::Lost(offset);
        }
    }

    /// Closes it: what was begun is finished, then comes the close frame, then nothing.
    pub(super) fn close(&self, close: Close) {
        self.outbox.lock().begin_close(close);
        self.nudge();
    }

    /// The other side closed, and this is the answer: nothing follows it.
    pub(super) fn close_answered(&self, frame: Bytes) {
        self.end(frame, Some(Close::Normal));
    }

    /// The other side has hung up without a word. Mostly nobody is there; who only ended its own half, which breaks
    /// the protocol, can still read that.
    pub(super) fn hang_up(&self) {
        self.end(ending::close_frame(Close::Protocol), None);
    }

    fn end(&self, frame: Bytes, closed: Option<Close>) {
        let mut outbox = self.outbox.lock();
        if outbox.phase == Phase::Open {
            outbox.phase = Phase::Closing;
            outbox.closed = closed;
            outbox.follow = Follow::Not;
            outbox.own().push(frame);
        }
        drop(outbox);
        self.nudge();
    }

    /// A command of this connection is answered, by its driver.
    pub(super) fn answered(&self, message: &Message) {
        self.unanswered.fetch_sub(1, Ordering::Relaxed);
        self.send(message);
    }

    /// A command of this connection is answered, here and now: what waits is written, with what the feed has for it.
    pub(super) fn answered_at_once(&self, message: &Message, now: Timestamp, written: &mut Written) -> Flushed {
        self.unanswered.fetch_sub(1, Ordering::Relaxed);
        if !self.leave(super::feed::frame(self.wire.encoding, message)) {
            return Flushed::Done;
        }
        self.visit(&self.feed.ring.read(), &mut Bursts::default(), now, written)
    }

    /// Nothing can be written any more.
    pub(super) fn is_done(&self) -> bool {
        self.outbox.lock().phase == Phase::Done
    }

    /// It is being closed, or is closed.
    pub(super) fn is_closing(&self) -> bool {
        self.outbox.lock().phase != Phase::Open
    }

    /// The socket takes nothing at the moment.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Acquire)
    }

    /// Forgets what waits: the socket is of no use any more.
    pub(super) fn abandon(&self) {
        self.outbox.lock().finish();
        self.nudge();
    }

    fn nudge(&self) {
        self.nudged.store(true, Ordering::Release);
        self.bell.wake_by_ref();
    }

    /// Whole messages may wait in the reader's buffer, of which the socket knows nothing.
    pub(super) fn read_again(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    /// Why it was closed from here, if it was.
    pub(super) fn closed_with(&self) -> Option<Close> {
        self.outbox.lock().closed
    }

    fn note_private(&self, outbox: &Outbox) {
        let crowded = |own: &Own| own.private.len() >= PRIVATE_PAUSE || own.bytes > PRIVATE_BYTES_PAUSE;
        let pauses = outbox.own.as_deref().is_some_and(crowded);
        if self.paused.swap(pauses, Ordering::Relaxed) && !pauses {
            // It reads again.
            self.bell.wake_by_ref();
        }
    }

    /// So many replies wait that nothing more is read.
    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// What the driver does next: it reads unless too many replies wait, and writes when it was asked to, or
    /// when the socket takes something again.
    pub(super) fn poll_turn(&self, reads: bool, cx: &mut Context<'_>) -> Poll<Turn> {
        if self.nudged.swap(false, Ordering::AcqRel) {
            return Poll::Ready(Turn::Flush);
        }
        if self.is_blocked() && self.socket.poll_write_ready(cx).is_ready() {
            return Poll::Ready(Turn::Flush);
        }
        if reads
            && !self.is_paused()
            && (self.unread.swap(false, Ordering::Relaxed) || self.socket.poll_read_ready(cx).is_ready())
        {
            return Poll::Ready(Turn::Read);
        }
        Poll::Pending
    }

    /// Brings what a visit touches into the cache. Done for many at once the memory's delays overlap; the visits
    /// themselves have a system call between them, and each would wait alone.
    pub(super) fn fetch(&self) {
        black_box((self.outbox.is_locked(), self.is_blocked(), self.socket.as_raw_fd()));
    }

    /// A visit by the pass: writes what waits unless the socket was full, which its driver sees to.
    ///
    /// The mark is read under the outbox's lock, under which it is also cleared: a delta that is pushed while
    /// the driver sees the ring empty is found either by the driver or by this visit.
    pub(super) fn visit(&self, ring: &Ring, bursts: &mut Bursts, now: Timestamp, written: &mut Written) -> Flushed {
        let mut outbox = self.outbox.lock();
        if self.is_blocked() {
            return Flushed::Blocked;
        }
        if outbox.write_burst(self, ring, bursts, now, written) {
            return Flushed::All;
        }
        let flushed = self.flush_outbox(&mut outbox, ring, now, written);
        drop(outbox);
        match flushed {
            Flushed::Blocked => self.bell.wake_by_ref(),
            Flushed::Done => self.nudge(),
            Flushed::All | Flushed::Lost => {}
        }
        flushed
    }

    /// Deltas that it has not been sent.
    pub(super) fn lag(&self, ring: &Ring) -> u64 {
        match self.outbox.lock().follow {
            Follow::At(next) => ring.end().saturating_sub(next),
            Follow::Not | Follow::Lost(_) | Follow::Waiting(_) => 0,
        }
    }

    /// Writes what waits, as much as the socket takes: the driver's turn.
    pub(super) fn flush(&self, now: Timestamp, written: &mut Written) -> Flushed {
        // The ring's lock is always taken before an outbox's.
        let ring = self.feed.ring.read();
        self.flush_outbox(&mut self.outbox.lock(), &ring, now, written)
    }

    fn flush_outbox(&self, outbox: &mut Outbox, ring: &Ring, now: Timestamp, written: &mut Written) -> Flushed {
        let flushed = outbox.flush(self, ring, now, written);
        self.note_private(outbox);
        let blocks = flushed == Flushed::Blocked;
        if blocks && !self.is_blocked() {
            // A socket that was idle before has not been slow for that long.
            self.written_at.store(now.0, Ordering::Relaxed);
        }
        self.blocked.store(blocks, Ordering::Release);
        flushed
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        ending::ended(&self.handle.hub, self.closed_with());
    }
}

impl Outbox {
    fn own(&mut self) -> &mut Own {
        self.own.get_or_insert_default()
    }

    fn begin_close(&mut self, close: Close) {
        if self.phase != Phase::Open {
            return;
        }
        self.phase = Phase::Closing;
        self.closed = Some(close);
        self.follow = Follow::Not;
        self.own().push(ending::close_frame(close));
    }

    fn finish(&mut self) {
        self.phase = Phase::Done;
        self.follow = Follow::Not;
        self.own = None;
    }

    /// The usual case of a visit: nothing waits but what the others lack too, and the socket takes all of it.
    /// False: there is more to do.
    fn write_burst(
        &mut self,
        connection: &Connection,
        ring: &Ring,
        bursts: &mut Bursts,
        now: Timestamp,
        written: &mut Written,
    ) -> bool {
        let Follow::At(next) = self.follow else { return false };
        if self.own.is_some() {
            return false;
        }
        let Some(burst) = bursts.for_cursor(ring, connection.wire, next, &self.seen) else {
            return false;
        };
        if burst.bytes.is_empty() {
            return true;
        }
        let Some(socket) = connection.socket.plain() else {
            return false;
        };
        // Past the runtime, whose note of what the socket can take is one more cache line: whatever goes wrong
        // goes wrong again, and is seen to, in the general way.
        let Ok(wrote) = rustix::net::send(socket, &burst.bytes, SendFlags::NOSIGNAL) else {
            return false;
        };
        connection.written_at.store(now.0, Ordering::Relaxed);
        written.bytes += wrote as u64;
        if wrote < burst.bytes.len() {
            let counts = burst.counts.each_ref().map(Option::as_ref);
            let taken = Taken {
                wrote,
                deltas: burst.deltas as usize,
                counts,
                newest: burst.newest,
            };
            self.account(ring, connection.wire, &taken, written);
            return false;
        }
        written.deltas += burst.deltas;
        self.follow = Follow::At(next + burst.deltas);
        self.sent = burst.offset.unwrap_or(self.sent);
        self.seen = burst.newest;
        true
    }

    fn flush(&mut self, connection: &Connection, ring: &Ring, now: Timestamp, written: &mut Written) -> Flushed {
        if self.phase == Phase::Done {
            return Flushed::Done;
        }
        loop {
            let wrote = match self.write_some(connection, ring, written) {
                // What a session has taken is not yet out.
                Ok(None) => connection.socket.try_flush().map(|()| None),
                Ok(Some(0)) => Err(io::ErrorKind::WriteZero.into()),
                other => other,
            };
            match wrote {
                Ok(Some(_)) => connection.written_at.store(now.0, Ordering::Relaxed),
                Ok(None) if self.phase == Phase::Closing => {
                    self.finish();
                    return Flushed::Done;
                }
                Ok(None) => {
                    let Follow::Lost(offset) = self.follow else {
                        return Flushed::All;
                    };
                    self.follow = Follow::Waiting(offset);
                    return Flushed::Lost;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flushed::Blocked,
                Err(_) => {
                    self.finish();
                    return Flushed::Done;
                }
            }
        }
    }

    /// One vectored write of what waits: the rest of a frame, private frames, deltas, counts. `None` if
    /// nothing waits. The ring is only read while the kernel copies.
    fn write_some(&mut self, connection: &Connection, ring: &Ring, written: &mut Written) -> io::Result<Option<usize>> {
        let wire = connection.wire;
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut used = 0;
        if let Some(own) = &self.own {
            let partial = Some(&own.partial).filter(|partial| !partial.is_empty());
            let frames = partial.into_iter().chain(&own.private);
            for (slice, frame) in slices.iter_mut().zip(frames) {
                *slice = IoSlice::new(frame);
                used += 1;
            }
        }
        let deltas_from = used;
        if let Follow::At(next) = self.follow {
            match ring.from(next) {
                Some(entries) => {
                    for (slice, entry) in slices[used..].iter_mut().zip(entries) {
                        *slice = IoSlice::new(entry.frame(wire));
                        used += 1;
                    }
                }
                None => self.follow = Follow::Lost(self.sent),
            }
        }
        let deltas = used - deltas_from;
        let mut counts = [None; SLOTS];
        if used < SLICES - SLOTS
            && let Follow::At(_) = self.follow
        {
            counts = ring.newer(&self.seen, wire);
            for frame in counts.into_iter().flatten() {
                slices[used] = IoSlice::new(frame);
                used += 1;
            }
        }
        if used == 0 {
            return Ok(None);
        }
        let wrote = connection.socket.try_write_vectored(&slices[..used])?;
        written.bytes += wrote as u64;
        let taken = Taken {
            wrote,
            deltas,
            counts,
            newest: ring.newest(),
        };
        self.account(ring, wire, &taken, written);
        Ok(Some(wrote))
    }

    /// Moves on by what the kernel has taken. What is left of a frame goes first next time.
    fn account(&mut self, ring: &Ring, wire: Wire, taken: &Taken<'_>, written: &mut Written) {
        let mut rest = taken.wrote;
        if let Some(own) = &mut self.own {
            let of_partial = rest.min(own.partial.len());
            own.partial.advance(of_partial);
            rest -= of_partial;
            while rest > 0 {
                let Some(mut frame) = own.pop() else { break };
                let of_frame = rest.min(frame.len());
                frame.advance(of_frame);
                own.partial = frame;
                rest -= of_frame;
            }
            if own.partial.is_empty() && own.private.is_empty() {
                self.own = None;
            }
        }
        let Follow::At(next) = self.follow else { return };
        let mut next = next;
        for entry in ring.from(next).into_iter().flatten().take(taken.deltas) {
            if rest == 0 {
                break;
            }
            rest = self.consume(entry.frame(wire).clone(), rest);
            next += 1;
            self.sent = entry.offset();
            written.deltas += 1;
        }
        self.follow = Follow::At(next);
        for (slot, frame) in taken.counts.iter().enumerate() {
            if let (Some(frame), true) = (frame, rest > 0) {
                rest = self.consume((*frame).clone(), rest);
                self.seen[slot] = taken.newest[slot];
            }
        }
    }

    /// Takes a frame as written up to `rest` bytes; the remainder becomes the partial frame.
    fn consume(&mut self, mut frame: Bytes, rest: usize) -> usize {
        let taken = rest.min(frame.len());
        frame.advance(taken);
        if !frame.is_empty() {
            self.own().partial = frame;
        }
        rest - taken
    }
}

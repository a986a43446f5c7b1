//! A feed: a keyframe and the deltas since it, encoded, and compressed, once for each form that somebody uses.
//!
//! Deltas stand in a ring bounded in batches and bytes. A connection is a cursor into it: the index of the
//! next delta. What fell off the ring is repaired by a keyframe. Counts (pulse, health) are latest-wins: one
//! slot each, outside the ring.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::connection::Connection;
use super::deflate::{Wire, compressed};
use super::strain::{self, Busy};
use crate::protocol::{Delta, Encoding, FeedKind, Message};
use crate::room::comment::{CommentEvent, Shown};
use crate::room::stage::{BackstageEvent, StaffOnly, StageEvent};
use crate::room::{Event, Offset, Personal, Timestamp};

/// Batches in a ring. At 8 batches a second, what a busy stage shows, about two minutes.
pub(super) const RING_BATCHES: usize = 1024;
/// Bytes in a ring, not compressed, in the encoding that takes more of them.
pub(super) const RING_BYTES: usize = 4 << 20;
/// Passes that may visit a feed's connections at the same time: one for each core of a small server.
const PASSES: usize = 2;
/// Connections that one pass takes before the next one gets any: some 50 ms of sending. Two passes at once cost each
/// delivery more, since they and the clients' side of the machine keep changing places.
const PASS_CONNECTIONS: usize = 8_000;

/// A message that is encoded when somebody first needs it, as a complete server frame.
pub(super) struct Shared {
    message: Message,
    frames: [OnceLock<Bytes>; Wire::COUNT],
}

impl Shared {
    pub(super) fn new(message: Message) -> Self {
        Self {
            message,
            frames: Default::default(),
        }
    }

    /// The frame's bytes, the same for everybody: server frames carry no mask.
    pub(super) fn frame(&self, wire: Wire) -> &Bytes {
        self.frames[wire.index()].get_or_init(|| match wire.deflated {
            false => frame(wire.encoding, &self.message),
            true => self.deflated(wire.encoding),
        })
    }

    /// Compressed if everybody may see it, so that its length gives away nothing, and if that makes it smaller.
    fn deflated(&self, encoding: Encoding) -> Bytes {
        let plain = self.frame(Wire::plain(encoding));
        let public = matches!(
            self.message,
            Message::Delta(_) | Message::Keyframe(_) | Message::Pulse(_)
        );
        match public.then(|| compressed(payload(plain))).flatten() {
            Some(bytes) => raw_frame(RSV1 | opcode(encoding), &bytes),
            None => plain.clone(),
        }
    }
}

/// Marks a compressed message (RFC 7692, 6).
pub(super) const RSV1: u8 = 0x40;

/// A message as one unfragmented server frame (RFC 6455, 5.2).
pub(super) fn frame(encoding: Encoding, message: &Message) -> Bytes {
    raw_frame(opcode(encoding), &encoding.encode(message))
}

fn opcode(encoding: Encoding) -> u8 {
    match encoding {
        Encoding::Json => 0x1,
        Encoding::MessagePack => 0x2,
    }
}

/// What a frame of [`raw_frame`] carries.
fn payload(frame: &Bytes) -> &[u8] {
    match frame[1] {
        126 => &frame[4..],
        127 => &frame[10..],
        _ => &frame[2..],
    }
}

/// A final, unmasked frame; `first` is the opcode with what is reserved.
pub(super) fn raw_frame(first: u8, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(payload.len() + 10);
    bytes.put_u8(0x80 | first);
    match payload.len() {
        length @ 0..126 => bytes.put_u8(length as u8),
        length @ 126..65_536 => {
            bytes.put_u8(126);
            bytes.put_u16(length as u16);
        }
        length => {
            bytes.put_u8(127);
            bytes.put_u64(length as u64);
        }
    }
    bytes.extend_from_slice(payload);
    bytes.freeze()
}

/// A batch of the log, for the feeds that show it.
pub(super) struct Batch {
    pub(super) first: Offset,
    pub(super) at: Timestamp,
    pub(super) events: Vec<Event>,
}

/// One batch on a feed.
pub(super) struct Entry {
    offset: Offset,
    bytes: usize,
    shared: Shared,
}

impl Entry {
    pub(super) fn offset(&self) -> Offset {
        self.offset
    }

    pub(super) fn frame(&self, wire: Wire) -> &Bytes {
        self.shared.frame(wire)
    }
}

/// A latest-wins message and how often it has changed.
#[derive(Default)]
pub(super) struct Latest {
    pub(super) version: u64,
    pub(super) message: Option<Arc<Shared>>,
}

/// Places of the latest-wins messages.
#[derive(Clone, Copy)]
pub(super) enum Slot {
    Pulse,
    Health,
}

/// How many there are.
pub(super) const SLOTS: usize = 2;

/// The deltas that are kept, and the newest keyframe.
pub(super) struct Ring {
    pub(super) entries: VecDeque<Entry>,
    /// Index of `entries[0]`; indexes grow for ever.
    pub(super) first: u64,
    bytes: usize,
    /// The feed's offset before `entries[0]`: whoever has it or a later one can resume.
    floor: Offset,
    /// The feed's newest offset.
    head: Offset,
    pub(super) latest: [Latest; SLOTS],
    /// How often texts were taken out of entries.
    pub(super) redactions: u64,
    /// When the newest entry was decided.
    decided: Option<Instant>,
}

impl Ring {
    /// The feed's newest offset.
    pub(super) fn head(&self) -> Offset {
        self.head
    }

    /// Index after the newest entry.
    pub(super) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The entries from `index` on; `None` if some of them have fallen off.
    pub(super) fn from(&self, index: u64) -> Option<impl Iterator<Item = &Entry>> {
        let skip = index.checked_sub(self.first)? as usize;
        Some(self.entries.range(skip.min(self.entries.len())..))
    }

    /// How often each latest-wins message has changed.
    pub(super) fn newest(&self) -> [u64; SLOTS] {
        std::array::from_fn(|slot| self.latest[slot].version)
    }

    /// The latest-wins frames that a connection has not had in their newest version.
    pub(super) fn newer(&self, seen: &[u64; SLOTS], wire: Wire) -> [Option<&Bytes>; SLOTS] {
        std::array::from_fn(|slot| {
            let Latest { version, message } = &self.latest[slot];
            message
                .as_ref()
                .filter(|_| *version > seen[slot])
                .map(|message| message.frame(wire))
        })
    }

    fn drop_oldest(&mut self) {
        if let Some(old) = self.entries.pop_front() {
            self.bytes -= old.bytes;
            self.floor = old.offset;
            self.first += 1;
        }
    }

    /// Index of the first entry that a client at `offset` lacks; `None` if the ring does not reach back.
    pub(super) fn after(&self, offset: Offset) -> Option<u64> {
        (offset >= self.floor).then(|| self.first + self.entries.partition_point(|entry| entry.offset <= offset) as u64)
    }
}

/// The connections that one pass visits.
#[derive(Default)]
pub(super) struct Shard {
    /// Those that have come since its last round.
    pub(super) arrived: Mutex<Vec<Arc<Connection>>>,
    /// How many it has, with those.
    followers: AtomicUsize,
    /// Something is to be written.
    pub(super) wake: Notify,
    /// How busy its pass is.
    pub(super) busy: Busy,
}

impl Shard {
    /// So many of its connections are gone.
    pub(super) fn left(&self, count: usize) {
        self.followers.fetch_sub(count, Ordering::Relaxed);
    }
}

/// One feed of one room.
pub(super) struct Feed {
    pub(super) kind: FeedKind,
    pub(super) ring: RwLock<Ring>,
    pub(super) shards: [Shard; PASSES],
    /// Connections by form.
    users: [AtomicU32; Wire::COUNT],
}

impl Feed {
    /// A feed without anything, at `head`.
    pub(super) fn new(kind: FeedKind, floor: Offset) -> Self {
        let ring = Ring {
            entries: VecDeque::new(),
            first: 0,
            bytes: 0,
            floor,
            head: floor,
            latest: Default::default(),
            redactions: 0,
            decided: None,
        };
        Self {
            kind,
            ring: RwLock::new(ring),
            shards: Default::default(),
            users: Default::default(),
        }
    }

    /// Takes a durable batch in; says whether the feed shows anything of it. [`Feed::wake`] starts the passes.
    pub(super) fn push(&self, first: Offset, at: Timestamp, events: &[Event], decided: Option<Instant>) -> bool {
        self.redact(events);
        let follows = self.ring.read().head;
        let Some((offset, message)) = self.project(follows, first, at, events) else {
            return false;
        };
        let shared = Shared::new(message);
        let used = Wire::ALL
            .into_iter()
            .filter(|wire| self.users[wire.index()].load(Ordering::Relaxed) > 0);
        let weighed = used.map(|wire| {
            // Here, and not by the first who needs it under the ring's lock.
            shared.frame(wire);
            shared.frame(Wire::plain(wire.encoding)).len()
        });
        let bytes = weighed
            .max()
            .unwrap_or_else(|| Encoding::Json.encode(&shared.message).len());
        let mut ring = self.ring.write();
        ring.entries.push_back(Entry { offset, bytes, shared });
        ring.bytes += bytes;
        ring.head = offset;
        ring.decided = decided;
        while ring.entries.len() > RING_BATCHES || (ring.bytes > RING_BYTES && ring.entries.len() > 1) {
            ring.drop_oldest();
        }
        true
    }

    fn project(&self, follows: Offset, first: Offset, at: Timestamp, events: &[Event]) -> Option<(Offset, Message)> {
        let numbered = (first..).zip(events);
        match self.kind {
            FeedKind::Stage => {
                let shown = numbered.filter_map(|(offset, event)| Some((offset, event.stage(offset)?)));
                delta(follows, at, shown).map(|delta| (delta.offset, Message::Delta(delta)))
            }
            FeedKind::Backstage => {
                let shown = numbered.flat_map(|(offset, event)| {
                    event
                        .backstage(offset, at)
                        .into_iter()
                        .map(move |shown| (offset, shown))
                });
                delta(follows, at, shown).map(|delta| (delta.offset, Message::BackstageDelta(delta)))
            }
        }
    }

    /// Shows what the log says now, after something was erased from it: deltas keep their offsets, and are encoded again
    /// where they differ. Those from before `tail`, the log's last batches, fall off the ring.
    pub(super) fn renew(&self, tail: &[Batch]) {
        let mut ring = self.ring.write();
        ring.redactions += 1;
        let from = tail.first().map_or(Offset::MAX, |batch| batch.first);
        while ring.entries.front().is_some_and(|entry| entry.offset < from) {
            ring.drop_oldest();
        }
        let mut follows = ring.floor;
        for entry in &mut ring.entries {
            let after = tail.partition_point(|batch| batch.first <= entry.offset);
            let batch = after.checked_sub(1).and_then(|place| tail.get(place));
            let shown = batch.and_then(|batch| self.project(follows, batch.first, batch.at, &batch.events));
            if let Some((_, message)) = shown.filter(|(_, message)| *message != entry.shared.message) {
                entry.shared = Shared::new(message);
            }
            follows = entry.offset;
        }
    }

    /// Takes the text of comments that these events delete out of the deltas that brought it, in every
    /// form, at the same offsets.
    fn redact(&self, events: &[Event]) {
        let gone: Vec<Offset> = events.iter().flat_map(deleted).copied().collect();
        if gone.is_empty() {
            return;
        }
        let mut ring = self.ring.write();
        ring.redactions += 1;
        for entry in &mut ring.entries {
            let mut message = entry.shared.message.clone();
            redact_message(&mut message, &gone);
            if message != entry.shared.message {
                entry.shared = Shared::new(message);
            }
        }
    }

    /// Replaces a latest-wins message.
    pub(super) fn set_latest(&self, slot: Slot, message: Message) {
        let mut ring = self.ring.write();
        let latest = &mut ring.latest[slot as usize];
        latest.version += 1;
        latest.message = Some(Arc::new(Shared::new(message)));
    }

    /// Starts the passes over the connections. One without any is left alone: a task that is woken for nothing costs as
    /// much as several deliveries.
    pub(super) fn wake(&self) {
        let watched = |shard: &&Shard| shard.followers.load(Ordering::Relaxed) > 0;
        self.shards
            .iter()
            .filter(watched)
            .for_each(|shard| shard.wake.notify_one());
    }

    /// The share of the time that the busiest pass takes, per mille.
    pub(super) fn busy(&self) -> u32 {
        strain::busiest(self.shards.iter().map(|shard| &shard.busy))
    }

    /// When the newest entry was decided, once: the pass that takes it measures how long it took.
    pub(super) fn take_decided(&self) -> Option<Instant> {
        self.ring.write().decided.take()
    }

    /// Somebody follows now.
    pub(super) fn joined(&self, connection: Arc<Connection>) {
        self.users[connection.wire.index()].fetch_add(1, Ordering::Relaxed);
        let followers = |shard: &&Shard| shard.followers.load(Ordering::Relaxed);
        let shard = self.shards.iter().find(|shard| followers(shard) < PASS_CONNECTIONS);
        let Some(shard) = shard.or_else(|| self.shards.iter().min_by_key(followers)) else {
            return;
        };
        shard.followers.fetch_add(1, Ordering::Relaxed);
        // The next publication wakes the pass, at the latest the pulse that reports the arrival.
        shard.arrived.lock().push(connection);
    }

    /// Somebody who followed in this form is gone.
    pub(super) fn left(&self, wire: Wire) {
        self.users[wire.index()].fetch_sub(1, Ordering::Relaxed);
    }

    /// How many follow.
    pub(super) fn followers(&self) -> u32 {
        self.users.iter().map(|users| users.load(Ordering::Relaxed)).sum()
    }
}

fn delta<E>(follows: Offset, at: Timestamp, shown: impl Iterator<Item = (Offset, E)>) -> Option<Delta<E>> {
    let mut last = None;
    // Mostly there is one. They stay in the ring, with no more room than they need.
    let mut events = Vec::with_capacity(1);
    events.extend(shown.map(|(offset, event)| {
        last = Some(offset);
        event
    }));
    events.shrink_to_fit();
    Some(Delta {
        follows,
        offset: last?,
        at,
        events,
    })
}

/// The comments that an event deletes.
fn deleted(event: &Event) -> &[Offset] {
    match event {
        Event::Comment(CommentEvent::Deleted { comments, .. }) => comments,
        _ => &[],
    }
}

fn redact_message(message: &mut Message, gone: &[Offset]) {
    match message {
        Message::Delta(delta) => delta.events.iter_mut().for_each(|event| redact_event(event, gone)),
        Message::BackstageDelta(delta) => delta.events.iter_mut().for_each(|event| match event {
            BackstageEvent::Stage(event) => redact_event(event, gone),
            BackstageEvent::Staff(StaffOnly::Offstage(shown)) => redact_shown(shown, gone),
            BackstageEvent::Staff(_) => {}
        }),
        _ => {}
    }
}

fn redact_event(event: &mut StageEvent, gone: &[Offset]) {
    match event {
        StageEvent::Comment(shown) | StageEvent::Pinned(shown) => redact_shown(shown, gone),
        StageEvent::Sampled { comments, .. } | StageEvent::Restored { comments } => {
            comments.iter_mut().for_each(|shown| redact_shown(shown, gone));
        }
        _ => {}
    }
}

fn redact_shown(shown: &mut Shown, gone: &[Offset]) {
    if gone.contains(&shown.id) {
        shown.text = Personal::default();
    }
}

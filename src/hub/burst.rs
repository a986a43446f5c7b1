//! What most connections of a feed lack at a visit is the same: it is put together once a pass, and written by
//! one plain send of the same bytes to each.

use bytes::{Bytes, BytesMut};

use super::deflate::Wire;
use super::feed::{Ring, SLOTS};
use crate::room::Offset;

/// Bursts of one pass: the usual one for each form, and two for those who came in between.
const BURSTS: usize = 6;
/// Whoever lacks more is served from the ring's own frames.
const BYTES_MAX: usize = 128 << 10;

/// Everything that a connection at some place in the feed lacks.
pub(super) struct Burst {
    wire: Wire,
    next: u64,
    seen: [u64; SLOTS],
    pub(super) bytes: Bytes,
    pub(super) deltas: u64,
    /// Of its last delta, if it has one.
    pub(super) offset: Option<Offset>,
    /// The latest-wins messages at its end.
    pub(super) counts: [Option<Bytes>; SLOTS],
    /// Versions of the latest-wins messages that whoever got it has.
    pub(super) newest: [u64; SLOTS],
}

/// The bursts of one pass.
#[derive(Default)]
pub(super) struct Bursts {
    made: Vec<Burst>,
    redactions: u64,
}

impl Bursts {
    /// What a connection lacks whose next delta is `next` and that has seen these counts. `None` if it has
    /// fallen off the ring, or lacks much, or too few lack the same.
    pub(super) fn for_cursor(&mut self, ring: &Ring, wire: Wire, next: u64, seen: &[u64; SLOTS]) -> Option<&Burst> {
        if self.redactions != ring.redactions {
            // They hold texts that nobody may get any more.
            self.made.clear();
            self.redactions = ring.redactions;
        }
        let same = |burst: &Burst| burst.next == next && burst.seen == *seen && burst.wire == wire;
        if let Some(found) = self.made.iter().position(same) {
            return self.made.get(found);
        }
        if self.made.len() == BURSTS {
            return None;
        }
        self.made.push(Burst::new(ring, wire, next, seen)?);
        self.made.last()
    }
}

impl Burst {
    fn new(ring: &Ring, wire: Wire, next: u64, seen: &[u64; SLOTS]) -> Option<Self> {
        let counts = ring.newer(seen, wire).map(Option::<&Bytes>::cloned);
        let length: usize = ring.from(next)?.map(|entry| entry.frame(wire).len()).sum();
        if length > BYTES_MAX {
            return None;
        }
        let mut bytes =
            BytesMut::with_capacity(length + counts.iter().flatten().map(|frame| frame.len()).sum::<usize>());
        let (mut deltas, mut offset) = (0, None);
        for entry in ring.from(next)? {
            bytes.extend_from_slice(entry.frame(wire));
            deltas += 1;
            offset = Some(entry.offset());
        }
        for frame in counts.iter().flatten() {
            bytes.extend_from_slice(frame);
        }
        Some(Self {
            wire,
            next,
            seen: *seen,
            bytes: bytes.freeze(),
            deltas,
            offset,
            counts,
            newest: ring.newest(),
        })
    }
}

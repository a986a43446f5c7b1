//! What everybody shares of one room in memory: its mailbox, its feeds, and who is here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::feed::Feed;
use super::health::Rounds;
use super::mailbox::Mailbox;
use super::presence::Presence;
use super::{Hub, luck};
use crate::limits::Share;
use crate::protocol::FeedKind;
use crate::room::{Offset, Room, RoomId, Timestamp};

/// A room in memory.
pub(super) struct RoomHandle {
    pub(super) id: RoomId,
    pub(super) epoch: u64,
    /// Random at each load: the sums of presence and taps are numbered in it.
    pub(super) run: u64,
    /// How far the room's last event is ahead of the clock that it was loaded under, ms: a room's time never
    /// goes back, and goes on from there.
    lead_ms: u64,
    pub(super) hub: Arc<Hub>,
    pub(super) mailbox: Mailbox,
    /// What its viewers may send.
    pub(super) share: Share,
    pub(super) stage: Arc<Feed>,
    pub(super) backstage: Arc<Feed>,
    pub(super) presence: Mutex<Presence>,
    pub(super) health: Mutex<Rounds>,
    /// Taps on the heart since the last pulse.
    pub(super) taps: AtomicU64,
    /// Live or paused: taps count.
    pub(super) on_air: AtomicBool,
    /// Offset of the last durable event.
    head: AtomicU64,
    /// The room's task has ended, and nothing of it writes any more.
    pub(super) over: watch::Sender<bool>,
}

impl RoomHandle {
    pub(super) fn new(room: &Room, epoch: u64, hub: Arc<Hub>, floor: Offset) -> Self {
        Self {
            id: room.id.clone(),
            epoch,
            run: luck().u128() as u64,
            lead_ms: room.at.since(hub.clock.now()),
            share: Share::of_room(hub.limits.commands_per_room, hub.limits.bytes_per_room),
            hub,
            mailbox: Mailbox::default(),
            stage: Arc::new(Feed::new(FeedKind::Stage, floor)),
            backstage: Arc::new(Feed::new(FeedKind::Backstage, floor)),
            presence: Mutex::default(),
            health: Mutex::default(),
            taps: AtomicU64::new(0),
            on_air: AtomicBool::new(false),
            head: AtomicU64::new(room.head),
            over: watch::Sender::new(false),
        }
    }

    /// The room's time.
    pub(super) fn now(&self) -> Timestamp {
        self.hub.clock.now().plus(self.lead_ms)
    }

    /// When the room's time is `at`.
    pub(super) fn instant(&self, at: Timestamp) -> Instant {
        self.hub.clock.instant(Timestamp(at.0.saturating_sub(self.lead_ms)))
    }

    pub(super) fn feed(&self, kind: FeedKind) -> &Arc<Feed> {
        match kind {
            FeedKind::Stage => &self.stage,
            FeedKind::Backstage => &self.backstage,
        }
    }

    pub(super) fn feeds(&self) -> [&Arc<Feed>; 2] {
        [&self.stage, &self.backstage]
    }

    pub(super) fn head(&self) -> Offset {
        self.head.load(Ordering::Relaxed)
    }

    pub(super) fn set_head(&self, head: Offset) {
        self.head.store(head, Ordering::Relaxed);
    }

    pub(super) fn connections(&self) -> u32 {
        self.stage.followers() + self.backstage.followers()
    }
}

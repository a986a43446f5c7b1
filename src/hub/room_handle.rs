//! What everybody shares of one room in memory: its mailbox, its feeds, and who is here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Hub;
use super::feed::Feed;
use super::health::Rounds;
use super::mailbox::Mailbox;
use super::presence::Presence;
use crate::protocol::FeedKind;
use crate::room::{Offset, RoomId};

/// A room in memory.
pub(super) struct RoomHandle {
    pub(super) id: RoomId,
    pub(super) epoch: u64,
    pub(super) hub: Arc<Hub>,
    pub(super) mailbox: Mailbox,
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
}

impl RoomHandle {
    pub(super) fn new(id: RoomId, epoch: u64, hub: Arc<Hub>, floor: Offset) -> Self {
        Self {
            id,
            epoch,
            hub,
            mailbox: Mailbox::default(),
            stage: Arc::new(Feed::new(FeedKind::Stage, floor)),
            backstage: Arc::new(Feed::new(FeedKind::Backstage, floor)),
            presence: Mutex::default(),
            health: Mutex::default(),
            taps: AtomicU64::new(0),
            on_air: AtomicBool::new(false),
            head: AtomicU64::new(0),
        }
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

//! All rooms: the catalogue of those that exist, the registry of those in memory, and how one is loaded.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use prometheus::IntCounter;

use super::feed::{Batch, RING_BATCHES, RING_BYTES};
use super::room_handle::RoomHandle;
use super::{CommandError, Hub, Listing, luck, parking, record, task};
use crate::journal::{CatalogueRow, ReadError, Record, Snapshot};
use crate::limits::Limit;
use crate::protocol::Close;
use crate::room::{Offset, Refusal, Room, RoomId, SNAPSHOT_VERSION, Timestamp};

/// Read from the log at a time.
pub(super) const PAGE_BYTES: usize = 4 << 20;
/// Epochs are below 2^52, which every client's numbers hold exactly.
const EPOCH_BITS: u32 = 52;
/// Rooms whose deadlines come are woken this often.
const WAKE: Duration = Duration::from_secs(1);

/// A room as the catalogue has it.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) epoch: u64,
    pub(super) head: Offset,
    pub(super) next_deadline: Option<Timestamp>,
    pub(super) listing: Listing,
}

/// A place in the registry: the room, once it is loaded.
#[derive(Default)]
pub(super) struct Place {
    room: tokio::sync::OnceCell<Arc<RoomHandle>>,
}

impl Place {
    pub(super) fn room(&self) -> Option<&Arc<RoomHandle>> {
        self.room.get()
    }
}

/// A new life of a room's log.
pub(crate) fn new_epoch() -> u64 {
    (luck().u128() >> (128 - EPOCH_BITS)) as u64
}

/// A room's row of the catalogue.
pub(crate) fn row(room: &Room, epoch: u64) -> CatalogueRow {
    CatalogueRow {
        stream: room.id.to_string(),
        epoch,
        head: room.head,
        next_deadline: room.next_deadline(),
        summary: serde_json::to_vec(&listing(room))
            .expect("a struct of plain fields")
            .into(),
    }
}

fn listing(room: &Room) -> Listing {
    let details = &room.show.details;
    Listing {
        id: room.id.to_string(),
        title: details.title.clone(),
        host: details.host.clone(),
        state: room.show.state(),
        access: details.access,
        kind: details.kind,
        tags: details.tags.clone(),
        cover: details.cover.as_ref().map(|cover| cover.file.clone()),
        scheduled_at: details.scheduled_at,
        started_at: room.show.started_at,
        ended_at: room.show.ended_at,
        watching: room.audience.totals.watching,
        unattended_since: room.unattended_since(),
        parked: None,
        test: details.test,
    }
}

impl Hub {
    /// Takes the catalogue in. Rows that cannot be read are rebuilt from their logs.
    pub(super) async fn read_catalogue(&self) -> Result<(), ReadError> {
        for row in self.journal.catalogue().await? {
            if RoomId::new(&row.stream).is_none() {
                continue;
            }
            match serde_json::from_slice::<Listing>(&row.summary) {
                Ok(listing) => self.insert(row.epoch, row.head, row.next_deadline, listing),
                Err(error) => {
                    tracing::warn!(room = row.stream, %error, "the catalogue's row is rebuilt from the log");
                    let id = RoomId::new(&row.stream).expect("checked above");
                    let room = match self.rebuild(&id, &self.metrics.room_scans.load).await {
                        Ok((room, _)) => room,
                        Err(ReadError::Damaged { reason, .. }) => {
                            self.broke(&id, &reason);
                            Room::new(id)
                        }
                        Err(error) => return Err(error),
                    };
                    self.know(&room, row.epoch);
                }
            }
        }
        Ok(())
    }

    fn insert(&self, epoch: u64, head: Offset, next_deadline: Option<Timestamp>, listing: Listing) {
        self.catalogue.insert(
            listing.id.clone(),
            Known {
                epoch,
                head,
                next_deadline,
                listing,
            },
        );
    }

    /// The room is this now, durably.
    pub(super) fn know(&self, room: &Room, epoch: u64) {
        self.insert(epoch, room.head, room.next_deadline(), listing(room));
    }

    /// Rooms that must be in memory: on air, or with a deadline by `now`; not those that are parked.
    pub(super) fn rooms_to_load(&self, now: Timestamp, on_air: bool) -> Vec<RoomId> {
        let due = |known: &Known| known.next_deadline.is_some_and(|at| at <= now);
        let wanted = self
            .catalogue
            .iter()
            .filter(|entry| due(entry.value()) || (on_air && entry.listing.state.on_air()));
        let absent =
            wanted.filter(|entry| !self.rooms.contains_key(entry.key()) && self.breaks.parked(entry.key()).is_none());
        absent.filter_map(|entry| RoomId::new(entry.key())).collect()
    }

    /// Wakes rooms whose deadlines are due, until the hub is dropped.
    pub(super) async fn wake_rooms(hub: std::sync::Weak<Self>) {
        loop {
            tokio::time::sleep(WAKE).await;
            let Some(hub) = hub.upgrade() else { return };
            for id in hub.rooms_to_load(hub.clock.now(), false) {
                if let Err(error) = hub.load(&id).await {
                    tracing::error!(room = %id, %error, "a room whose deadline is due cannot be loaded");
                }
            }
        }
    }

    /// The room in memory, loaded if it is not.
    pub(super) async fn load(self: &Arc<Self>, id: &RoomId) -> Result<Arc<RoomHandle>, CommandError> {
        let Some(epoch) = self.catalogue.get(id.as_str()).map(|known| known.epoch) else {
            return Err(Refusal::UnknownRoom.into());
        };
        self.enter(id, epoch, false).await
    }

    /// The room in memory, made new if it does not exist.
    pub(super) async fn load_or_new(self: &Arc<Self>, id: &RoomId) -> Result<Arc<RoomHandle>, CommandError> {
        let known = self.catalogue.get(id.as_str()).map(|known| known.epoch);
        let epoch = known.unwrap_or_else(new_epoch);
        self.enter(id, epoch, known.is_none()).await
    }

    async fn enter(self: &Arc<Self>, id: &RoomId, epoch: u64, new: bool) -> Result<Arc<RoomHandle>, CommandError> {
        if self.rooms.len() >= self.limits.rooms_max && !self.rooms.contains_key(id.as_str()) {
            self.metrics.limits.note(Limit::Rooms);
            return Err(CommandError::Busy { retry_after_ms: 5_000 });
        }
        if self.removing.contains_key(id.as_str()) {
            return Err(CommandError::Busy { retry_after_ms: 1_000 });
        }
        let place = Arc::clone(&self.rooms.entry(id.to_string()).or_default());
        let loaded = place.room.get_or_try_init(|| self.start_safely(id, epoch, new)).await;
        if loaded.is_err() {
            self.rooms.remove_if(id.as_str(), |_, other| {
                Arc::ptr_eq(other, &place) && place.room.get().is_none()
            });
        }
        loaded.cloned()
    }

    /// Starts a room that is not parked. That it cannot be replayed is its own trouble, and breaks it; that the
    /// journal cannot be read is not.
    async fn start_safely(
        self: &Arc<Self>,
        id: &RoomId,
        epoch: u64,
        new: bool,
    ) -> Result<Arc<RoomHandle>, CommandError> {
        if self.breaks.parked(id.as_str()).is_some() {
            return Err(CommandError::Parked);
        }
        let reason = match AssertUnwindSafe(self.start(id, epoch, new)).catch_unwind().await {
            Ok(Ok(handle)) => return Ok(handle),
            Ok(Err(damaged @ ReadError::Damaged { .. })) => damaged.to_string(),
            Ok(Err(error)) => {
                tracing::error!(room = %id, %error, "the room cannot be read");
                return Err(CommandError::JournalUnavailable);
            }
            Err(panic) => parking::said(&*panic),
        };
        Err(match self.broke(id, &reason) {
            true => CommandError::Parked,
            false => CommandError::JournalUnavailable,
        })
    }

    async fn start(self: &Arc<Self>, id: &RoomId, epoch: u64, new: bool) -> Result<Arc<RoomHandle>, ReadError> {
        let (room, snapshot_head) = if new {
            (Room::new(id.clone()), 0)
        } else {
            self.rebuild(id, &self.metrics.room_scans.load).await?
        };
        let tail = if new { Vec::new() } else { self.tail(id).await? };
        let floor = tail.first().map_or(room.head, |batch| batch.first - 1);
        let handle = Arc::new(RoomHandle::new(&room, epoch, Arc::clone(self), floor));
        for batch in &tail {
            for feed in handle.feeds() {
                feed.push(batch.first, batch.at, &batch.events, None);
            }
        }
        self.metrics.rooms_loaded.inc();
        let running = tokio::spawn(task::run(Arc::clone(&handle), room, snapshot_head));
        tokio::spawn(Self::supervise(Arc::clone(self), Arc::clone(&handle), running));
        Ok(handle)
    }

    /// The last batches of a room's log, as many as its rings hold, with which they are filled.
    pub(super) async fn tail(&self, id: &RoomId) -> Result<Vec<Batch>, ReadError> {
        let records = self.journal.tail(id.as_str(), RING_BATCHES, RING_BYTES).await?;
        let batch = |record: &Record| {
            let events = record::decode(record).map_err(|error| damaged(id, error))?;
            let (first, at) = (record.first, record.at);
            Ok(Batch { first, at, events })
        };
        records.iter().map(batch).collect()
    }

    /// When a room's task has ended, for whatever reason, nothing of it stays: its connections come back, and
    /// the room is rebuilt.
    async fn supervise(hub: Arc<Self>, handle: Arc<RoomHandle>, running: tokio::task::JoinHandle<task::Ended>) {
        let broken = match running.await {
            Ok(ended) => ended.err(),
            Err(error) => error.try_into_panic().ok().map(|panic| parking::said(&*panic)),
        };
        // Noted before anybody can load it anew.
        let parked = broken.is_some_and(|reason| hub.broke(&handle.id, &reason));
        handle.mailbox.close(true);
        hub.forget(&handle.id, &handle);
        let close = if parked { Close::Parked } else { Close::Unavailable };
        handle.presence.lock().close_all(close);
        hub.metrics.rooms_loaded.dec();
        handle.over.send_replace(true);
    }

    /// Takes a room out of the registry, if it is this one.
    pub(super) fn forget(&self, id: &RoomId, handle: &Arc<RoomHandle>) {
        self.rooms.remove_if(id.as_str(), |_, place| {
            place.room().is_some_and(|room| Arc::ptr_eq(room, handle))
        });
    }

    /// The room as its journal has it: the snapshot, and what came after. Also the snapshot's offset. It is counted by
    /// why it is done.
    pub(super) async fn rebuild(&self, id: &RoomId, why: &IntCounter) -> Result<(Room, Offset), ReadError> {
        why.inc();
        let epoch = self.catalogue.get(id.as_str()).map(|known| known.epoch);
        let mut room = match self.journal.snapshot(id.as_str()).await? {
            Some(snapshot) if snapshot.version == SNAPSHOT_VERSION && Some(snapshot.epoch) == epoch => {
                // As with the pages below: for milliseconds nobody else would be served.
                tokio::task::spawn_blocking(move || serde_json::from_slice(&snapshot.state))
                    .await
                    .map_err(|error| ReadError::Unavailable(error.to_string()))?
                    .unwrap_or_else(|error| {
                        tracing::warn!(room = %id, %error, "a snapshot cannot be read; the whole log is");
                        Room::new(id.clone())
                    })
            }
            _ => Room::new(id.clone()),
        };
        let snapshot_head = room.head;
        let mut page = self.journal.read(id.as_str(), room.head, PAGE_BYTES).await?;
        while let Some(last) = page.last() {
            // The next page is read while this one is folded.
            let next = self.journal.read(id.as_str(), last.last(), PAGE_BYTES);
            room = tokio::task::spawn_blocking(move || record::fold(&mut room, &page).map(|()| room))
                .await
                .map_err(|error| ReadError::Unavailable(error.to_string()))?
                .map_err(|error| damaged(id, error))?;
            page = next.await?;
        }
        Ok((room, snapshot_head))
    }

    /// Folds a room's log onto its last snapshot and stores the result.
    pub(super) async fn make_snapshot(&self, id: &RoomId) {
        let _reading = self.erasing.read().await;
        self.make_snapshot_alone(id).await;
    }

    /// The same, for whoever sees to it that nothing is erased meanwhile.
    pub(super) async fn make_snapshot_alone(&self, id: &RoomId) {
        let Some(epoch) = self.catalogue.get(id.as_str()).map(|known| known.epoch) else {
            return;
        };
        let stored = match self.rebuild(id, &self.metrics.room_scans.snapshot).await {
            Ok((room, _)) => {
                let offset = room.head;
                let state = tokio::task::spawn_blocking(move || serde_json::to_vec(&room)).await;
                let Ok(Ok(state)) = state else { return };
                let snapshot = Snapshot {
                    epoch,
                    offset,
                    version: SNAPSHOT_VERSION,
                    state: state.into(),
                };
                self.journal
                    .put_snapshot(id.as_str(), snapshot)
                    .await
                    .map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = stored {
            tracing::warn!(room = %id, error, "no snapshot was made");
        }
    }
}

fn damaged(id: &RoomId, error: record::Unreadable) -> ReadError {
    ReadError::Damaged {
        stream: id.to_string(),
        offset: error.offset,
        reason: error.reason,
    }
}

//! What a running server holds of one viewer, and erasing it.
//!
//! The log is read and emptied beside the room, a few records at a time. Then the room's task empties what was written
//! meanwhile, and makes its state and its rings anew from the log: from there on nobody is shown it again. Offsets,
//! epochs, hashes and draws stay as they are.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::oneshot;

use super::mailbox::{Erase, Lane, Work};
use super::person::{Erased, Export, InRoom, Reading, Who, winner, without};
use super::registry::PAGE_BYTES;
use super::{CommandError, Hub};
use crate::journal::{AppendError, Erasure, ReadError};
use crate::room::comment::DeleteAll;
use crate::room::{Actor, Command, Offset, PersonId, Refusal, Room, RoomId, ViewerId};

/// Records that are erased in one transaction: others' appends wait for it.
const ERASED_AT_ONCE: usize = 64;
/// A journal of this size is written anew in some tenths of a second, also while a show is on air.
const SWEPT_ON_AIR_BYTES: u64 = 32 << 20;
/// Whether the journal can be swept is looked at this often.
const SWEEP: Duration = Duration::from_secs(10);

impl Hub {
    /// Everything that is held of one viewer.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownViewer`], [`Refusal::UnknownRoom`]; a damaged log is not read past its damage.
    pub async fn export(&self, who: &Who) -> Result<Export, CommandError> {
        let viewer = self.identify(who).await?;
        let mut rooms = Vec::new();
        for id in self.room_ids() {
            if self.knows(&id, viewer).await? {
                let read = self
                    .read_for(&id, viewer)
                    .await
                    .map_err(|error| unreadable(&id, &error))?;
                rooms.extend(read.map(|(found, ..)| found));
            }
        }
        match rooms.is_empty() {
            true => Err(Refusal::UnknownViewer.into()),
            false => Ok(Export { viewer, rooms }),
        }
    }

    /// Erases names, texts and contact details of one viewer from all rooms. Their comments leave the stages that still
    /// show them, and their connections are closed. Also says who it was.
    ///
    /// # Errors
    ///
    /// As [`Hub::export`], or the journal takes no writes: a part may be erased, and doing it again does the rest.
    pub async fn erase(self: &Arc<Self>, who: &Who, by: PersonId) -> Result<(ViewerId, Erased), CommandError> {
        let viewer = self.identify(who).await?;
        let mut all = Erased::default();
        for id in self.room_ids() {
            if self.knows(&id, viewer).await? {
                let erased = self.erase_in(&id, viewer, by).await?;
                all.rooms += 1;
                all.texts += erased.texts;
                all.contacts += erased.contacts;
            }
        }
        if all.rooms == 0 {
            return Err(Refusal::UnknownViewer.into());
        }
        tracing::info!(
            operator = %by,
            rooms = all.rooms,
            texts = all.texts,
            contacts = all.contacts,
            "a viewer's data was erased"
        );
        self.unswept.store(true, Ordering::Release);
        self.sweep().await;
        Ok((viewer, all))
    }

    /// Whether unused parts of the journal's files may hold bytes of what was erased.
    pub fn unswept(&self) -> bool {
        self.unswept.load(Ordering::Acquire)
    }

    /// Sweeps the journal when it may, until the hub is dropped.
    pub(super) async fn keep_swept(hub: Weak<Self>) {
        loop {
            tokio::time::sleep(SWEEP).await;
            let Some(hub) = hub.upgrade() else { return };
            if hub.unswept() {
                hub.sweep().await;
            }
        }
    }

    /// Sweeps the journal: one that is not small only while no show is on air, since everybody waits.
    async fn sweep(&self) {
        let on_air = self.catalogue.iter().any(|known| known.listing.state.on_air());
        let bytes_max = if on_air { SWEPT_ON_AIR_BYTES } else { u64::MAX };
        match self.journal.sweep(bytes_max).await {
            Ok(swept) => self.unswept.store(!swept, Ordering::Release),
            Err(error) => {
                tracing::warn!(%error, "the journal cannot be written anew yet, and may hold bytes of what was erased")
            }
        }
    }

    fn room_ids(&self) -> Vec<RoomId> {
        let mut ids: Vec<_> = self
            .catalogue
            .iter()
            .filter_map(|known| RoomId::new(known.key()))
            .collect();
        ids.sort();
        ids
    }

    async fn identify(&self, who: &Who) -> Result<ViewerId, CommandError> {
        let (id, number) = match who {
            Who::Id(viewer) => return Ok(*viewer),
            Who::Number(id, number) => (id, *number),
        };
        if !self.catalogue.contains_key(id.as_str()) {
            return Err(Refusal::UnknownRoom.into());
        }
        let room = self.folded(id).await?;
        let viewer = room.audience.viewer(number).ok_or(Refusal::UnknownViewer)?;
        Ok(viewer.id)
    }

    async fn knows(&self, id: &RoomId, viewer: ViewerId) -> Result<bool, CommandError> {
        Ok(self.folded(id).await?.audience.number(viewer).is_some())
    }

    /// A room as its log has it.
    async fn folded(&self, id: &RoomId) -> Result<Room, CommandError> {
        let rebuilt = self.rebuild(id, &self.metrics.room_scans.erasure).await;
        rebuilt.map(|(room, _)| room).map_err(|error| unreadable(id, &error))
    }

    /// Reads a room's whole log for a viewer: what was found, how it is erased, and up to which offset.
    async fn read_for(&self, id: &RoomId, viewer: ViewerId) -> Result<Option<(InRoom, Erasure, Offset)>, ReadError> {
        let mut reading = Reading::new(id.clone(), viewer);
        loop {
            let page = self.journal.read(id.as_str(), reading.head(), PAGE_BYTES).await?;
            if page.is_empty() {
                break;
            }
            let read = move || {
                page.iter()
                    .try_for_each(|record| reading.take(record))
                    .map(|()| reading)
            };
            reading = tokio::task::spawn_blocking(read)
                .await
                .map_err(|error| ReadError::Unavailable(error.to_string()))??;
        }
        let head = reading.head();
        let contacts = self.journal.contacts(id.as_str(), "").await?;
        Ok(reading.end(contacts).map(|(found, erasure)| (found, erasure, head)))
    }

    async fn erase_in(self: &Arc<Self>, id: &RoomId, viewer: ViewerId, by: PersonId) -> Result<Erased, CommandError> {
        // A snapshot that was begun before would bring all back.
        let _alone = self.erasing.write().await;
        let unreadable = |error: ReadError| unreadable(id, &error);
        let Some((found, erasure, after)) = self.read_for(id, viewer).await.map_err(unreadable)? else {
            return Ok(Erased::default());
        };
        // Those who have them on their pages are told, and nobody is shown comments without words.
        let delete = Command::DeleteAll(DeleteAll { viewer: found.number });
        match self.command(id, Actor::Operator(by), delete).await {
            Ok(_) | Err(CommandError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        for records in erasure.records.chunks(ERASED_AT_ONCE) {
            let part = Erasure {
                stream: erasure.stream.clone(),
                records: records.to_vec(),
                contacts: Vec::new(),
            };
            self.journal.erase(part).await.map_err(|error| unwritable(id, &error))?;
        }
        // So that the room's task, which everybody there waits for, has little to fold.
        self.make_snapshot_alone(id).await;
        let (reply, rest) = oneshot::channel();
        let work = Work::Erase(Erase { viewer, after, reply });
        self.put(id, false, Lane::Staff, work).await?;
        let rest = rest.await.map_err(|_| CommandError::JournalUnavailable)??;
        Ok(Erased {
            rooms: 1,
            texts: found.texts.len() + rest.texts,
            contacts: rest.contacts,
        })
    }

    /// Erases what a room's log holds of a viewer after an offset, and their contact details. By the room's task, so that
    /// nothing is written meanwhile.
    pub(super) async fn erase_rest(
        &self,
        room: &Room,
        viewer: ViewerId,
        after: Offset,
    ) -> Result<Erased, CommandError> {
        let id = &room.id;
        let unreadable = |error: ReadError| unreadable(id, &error);
        let number = room.audience.number(viewer).ok_or(Refusal::UnknownViewer)?;
        let (mut head, mut records, mut texts) = (after, Vec::new(), 0);
        loop {
            let page = self
                .journal
                .read(id.as_str(), head, PAGE_BYTES)
                .await
                .map_err(unreadable)?;
            let Some(last) = page.last() else { break };
            head = last.last();
            for record in &page {
                let (emptied, found) = without(record, viewer, Some(number)).map_err(unreadable)?;
                if !found.is_empty() {
                    records.push((record.first, emptied.personal));
                }
                texts += found.len();
            }
        }
        let contacts = self.journal.contacts(id.as_str(), "").await.map_err(unreadable)?;
        let keys = contacts.into_iter().map(|(key, _)| key);
        let contacts: Vec<_> = keys.filter(|key| winner(room, key) == Some(number)).collect();
        let erased = Erased {
            rooms: 1,
            texts,
            contacts: contacts.len(),
        };
        let erasure = Erasure {
            stream: id.to_string(),
            records,
            contacts,
        };
        self.journal
            .erase(erasure)
            .await
            .map_err(|error| unwritable(id, &error))?;
        Ok(erased)
    }
}

fn unreadable(id: &RoomId, error: &ReadError) -> CommandError {
    tracing::error!(room = %id, %error, "the room cannot be read for one viewer");
    CommandError::JournalUnavailable
}

fn unwritable(id: &RoomId, error: &AppendError) -> CommandError {
    tracing::warn!(room = %id, %error, "nothing can be erased at the moment");
    CommandError::JournalUnavailable
}

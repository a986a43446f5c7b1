//! What a running server holds of one viewer, and erasing it; the same of everybody in shows of long ago.
//!
//! The log is read and emptied beside the room, a few records at a time. Then the room's task empties what was written
//! meanwhile, and makes its state and its rings anew from the log: from there on nobody is shown it again. Offsets,
//! epochs, hashes and draws stay as they are.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::mailbox::{Erase, Lane, Whose, Work};
use super::person::{Erased, Export, InRoom, Reading, Who, nobodys, winner, without};
use super::registry::{Known, PAGE_BYTES};
use super::{CommandError, Hub};
use crate::journal::{AppendError, Erasure, ReadError, Record};
use crate::room::comment::DeleteAll;
use crate::room::{Actor, Command, Offset, PersonId, Refusal, Room, RoomId, Timestamp, ViewerId};

/// Records that are erased in one transaction: others' appends wait for it.
const ERASED_AT_ONCE: usize = 64;
/// Read at a time of a show that is forgotten ...
const STEP_BYTES: usize = 1 << 20;
/// ... and after each step so many times as long a pause as it took.
const PAUSES: u32 = 4;
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
            hub.sweep().await;
        }
    }

    /// Sweeps the journal if need be: one that is not small only while no show is on air, since everybody waits.
    pub async fn sweep(&self) {
        if !self.unswept() {
            return;
        }
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
        let rest = self.finish_erasing(id, Whose::Viewer(viewer), after).await?;
        Ok(Erased {
            rooms: 1,
            texts: found.texts.len() + rest.texts,
            contacts: rest.contacts,
        })
    }

    /// Has the room's task erase what its log holds of somebody after an offset, and make the room anew.
    async fn finish_erasing(
        self: &Arc<Self>,
        id: &RoomId,
        whose: Whose,
        after: Offset,
    ) -> Result<Erased, CommandError> {
        let (reply, rest) = oneshot::channel();
        let work = Work::Erase(Erase { whose, after, reply });
        self.put(id, false, Lane::Staff, work).await?;
        rest.await.map_err(|_| CommandError::JournalUnavailable)?
    }

    /// Erases what a room's log holds of somebody after an offset, and contact details. By the room's task, so that
    /// nothing is written meanwhile.
    pub(super) async fn erase_rest(&self, room: &Room, whose: Whose, after: Offset) -> Result<Erased, CommandError> {
        let id = &room.id;
        let unreadable = |error: ReadError| unreadable(id, &error);
        let number = match whose {
            Whose::Viewer(viewer) => Some(room.audience.number(viewer).ok_or(Refusal::UnknownViewer)?),
            Whose::Everybody => None,
        };
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
                let (emptied, count) = match whose {
                    Whose::Viewer(viewer) => {
                        without(record, viewer, number).map(|(record, found)| (record, found.len()))
                    }
                    Whose::Everybody => nobodys(record),
                }
                .map_err(unreadable)?;
                if count > 0 {
                    records.push((record.first, emptied.personal));
                }
                texts += count;
            }
        }
        let contacts = self.journal.contacts(id.as_str(), "").await.map_err(unreadable)?;
        let keys = contacts.into_iter().map(|(key, _)| key);
        let contacts: Vec<_> = keys
            .filter(|key| number.is_none() || winner(room, key) == number)
            .collect();
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

    /// Shows that ended before a time, with their last offsets.
    pub fn ended_before(&self, before: Timestamp) -> Vec<(RoomId, Offset)> {
        let ended = |known: &Known| known.listing.ended_at.is_some_and(|ended| ended < before);
        let known = self.catalogue.iter().filter(|known| ended(known));
        known
            .filter_map(|known| RoomId::new(known.key()).map(|id| (id, known.head)))
            .collect()
    }

    /// Takes everybody's names, texts and contact details out of a show after an offset, in steps with pauses between
    /// them, so that nobody else waits long. Titles, sums, claims, codes and transcripts stay. Also says up to where.
    ///
    /// # Errors
    ///
    /// The journal cannot be read or takes no writes: a part may be erased, and doing it again does the rest.
    pub async fn forget_show(self: &Arc<Self>, id: &RoomId, after: Offset) -> Result<(Erased, Offset), CommandError> {
        let (mut head, mut erased) = (after, Erased::default());
        loop {
            let began = Instant::now();
            let page = self.journal.read(id.as_str(), head, STEP_BYTES).await;
            let page = page.map_err(|error| unreadable(id, &error))?;
            let Some(last) = page.last() else { break };
            head = last.last();
            erased.texts += self.forget_records(id, page).await?;
            tokio::time::sleep(PAUSES * began.elapsed()).await;
        }
        let contacts = self.journal.contacts(id.as_str(), "").await;
        let contacts = contacts.map_err(|error| unreadable(id, &error))?;
        let _alone = self.erasing.write().await;
        if self.rooms.contains_key(id.as_str()) {
            // Whoever has it in memory, or began to load it before, has it anew.
            let rest = self.finish_erasing(id, Whose::Everybody, head).await?;
            erased.texts += rest.texts;
            erased.contacts += rest.contacts;
        } else if !contacts.is_empty() {
            erased.contacts += contacts.len();
            let erasure = Erasure {
                stream: id.to_string(),
                records: Vec::new(),
                contacts: contacts.into_iter().map(|(key, _)| key).collect(),
            };
            self.journal
                .erase(erasure)
                .await
                .map_err(|error| unwritable(id, &error))?;
        }
        if erased != Erased::default() {
            erased.rooms = 1;
            self.metrics.shows_forgotten.inc();
            tracing::info!(
                room = %id,
                texts = erased.texts,
                contacts = erased.contacts,
                "names, texts and contact details were taken out of a show that ended long ago"
            );
            self.unswept.store(true, Ordering::Release);
        }
        Ok((erased, head))
    }

    /// Empties records of a show; how many texts that were.
    async fn forget_records(&self, id: &RoomId, records: Vec<Record>) -> Result<usize, CommandError> {
        let emptied = tokio::task::spawn_blocking(move || {
            let emptied = records.iter().map(nobodys);
            emptied.collect::<Result<Vec<_>, _>>()
        });
        let emptied = emptied.await.map_err(|error| ReadError::Unavailable(error.to_string()));
        let emptied = emptied
            .and_then(|emptied| emptied)
            .map_err(|error| unreadable(id, &error))?;
        let texts = emptied.iter().map(|(_, count)| count).sum();
        let changed = emptied.into_iter().filter(|(_, count)| *count > 0);
        let changed: Vec<_> = changed.map(|(record, _)| (record.first, record.personal)).collect();
        for part in changed.chunks(ERASED_AT_ONCE) {
            // A snapshot that was begun before is waited for, and goes with what it holds.
            let _alone = self.erasing.write().await;
            let erasure = Erasure {
                stream: id.to_string(),
                records: part.to_vec(),
                contacts: Vec::new(),
            };
            self.journal
                .erase(erasure)
                .await
                .map_err(|error| unwritable(id, &error))?;
        }
        Ok(texts)
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

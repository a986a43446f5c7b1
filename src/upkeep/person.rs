//! Export and erasure of what a data folder holds of one viewer, or of everybody in shows of long ago.

use std::path::{Path, PathBuf};

use super::Problem;
use super::files;
use crate::hub::person::{Erased, Export, InRoom, Reading, Who, nobodys};
use crate::hub::record::replay;
use crate::journal::Erasure;
use crate::journal::sqlite::{JournalFile, Stream, erase as erase_in_file, take_folder};
use crate::room::{Room, RoomId, Timestamp, ViewerId};

/// Everything that a data folder holds of one viewer; also while a server uses it.
///
/// # Errors
///
/// See [`Problem`]; a damaged journal is not read past its damage.
pub fn export(data: &Path, who: &Who) -> Result<Export, Problem> {
    let file = JournalFile::open(data, false)?;
    let viewer = identify(&file, who)?;
    let readings = readings(&file, viewer)?;
    let rooms = readings.into_iter().map(|(found, _)| found).collect();
    Ok(Export { viewer, rooms })
}

/// Erases names, texts and contact details of one viewer from the data folder of a server that does not run: no byte
/// of them stays in its files. Offsets, epochs, hashes and draws stay as they are. Backups keep what they hold.
///
/// # Errors
///
/// See [`Problem`]; nothing is erased then.
pub fn erase(data: &Path, who: &Who) -> Result<Erased, Problem> {
    let _lock = take_folder(data)?;
    must_be_alone(data)?;
    let file = JournalFile::open(data, true)?;
    let viewer = identify(&file, who)?;
    let readings = readings(&file, viewer)?;
    drop(file);
    let erased = Erased {
        rooms: readings.len(),
        texts: readings.iter().map(|(found, _)| found.texts.len()).sum(),
        contacts: readings.iter().map(|(found, _)| found.contacts.len()).sum(),
    };
    let erasures: Vec<_> = readings.into_iter().map(|(_, erasure)| erasure).collect();
    erase_in_file(data, &erasures)?;
    Ok(erased)
}

/// Empties the names, texts and contact details of everybody in rooms that ended before a time, in the data folder of a
/// server that does not run. Titles, sums, claims, codes and transcripts stay.
///
/// # Errors
///
/// See [`Problem`]; nothing is erased then.
pub fn forget(data: &Path, ended_before: Timestamp) -> Result<Erased, Problem> {
    let _lock = take_folder(data)?;
    let file = JournalFile::open(data, true)?;
    let (mut erased, mut erasures) = (Erased::default(), Vec::new());
    for (stream, id) in rooms(&file)? {
        let mut room = Room::new(id);
        let (mut records, mut texts) = (Vec::new(), 0);
        file.walk(&stream, &mut |record| {
            replay(&mut room, &record)?;
            let (emptied, count) = nobodys(&record)?;
            if count > 0 {
                records.push((record.first, emptied.personal));
            }
            texts += count;
            Ok(())
        })?;
        let contacts: Vec<_> = file.contacts(&stream)?.into_iter().map(|(key, ..)| key).collect();
        let is_over = room.show.ended_at.is_some_and(|ended| ended < ended_before);
        if is_over && texts + contacts.len() > 0 {
            erased.rooms += 1;
            erased.texts += texts;
            erased.contacts += contacts.len();
            let stream = stream.name;
            erasures.push(Erasure {
                stream,
                records,
                contacts,
            });
        }
    }
    drop(file);
    if !erasures.is_empty() {
        must_be_alone(data)?;
        erase_in_file(data, &erasures)?;
    }
    Ok(erased)
}

/// A journal that a recovery has set aside holds what is to be erased, and cannot be changed.
fn must_be_alone(data: &Path) -> Result<(), Problem> {
    match set_aside(data)? {
        Some(folder) => Err(Problem::DamagedAside { folder }),
        None => Ok(()),
    }
}

/// The newest folder in which a recovery has set a damaged journal aside, if there is one.
///
/// # Errors
///
/// [`Problem::File`].
pub fn set_aside(data: &Path) -> Result<Option<PathBuf>, Problem> {
    Ok(files::set_aside(data)?.pop())
}

fn rooms(file: &JournalFile) -> Result<Vec<(Stream, RoomId)>, Problem> {
    let streams = file.streams()?.into_iter();
    Ok(streams
        .filter_map(|stream| RoomId::new(&stream.name).map(|id| (stream, id)))
        .collect())
}

fn identify(file: &JournalFile, who: &Who) -> Result<ViewerId, Problem> {
    let (room, number) = match who {
        Who::Id(id) => return Ok(*id),
        Who::Number(room, number) => (room, *number),
    };
    for (stream, id) in rooms(file)? {
        if id == *room {
            let mut folded = Room::new(id);
            file.walk(&stream, &mut |record| replay(&mut folded, &record))?;
            if let Some(viewer) = folded.audience.viewer(number) {
                return Ok(viewer.id);
            }
        }
    }
    Err(Problem::UnknownViewer)
}

fn readings(file: &JournalFile, viewer: ViewerId) -> Result<Vec<(InRoom, Erasure)>, Problem> {
    let mut readings = Vec::new();
    for (stream, id) in rooms(file)? {
        readings.extend(read(file, &stream, id, viewer)?);
    }
    match readings.is_empty() {
        true => Err(Problem::UnknownViewer),
        false => Ok(readings),
    }
}

/// Replays a room; none where it does not know the viewer.
fn read(
    file: &JournalFile,
    stream: &Stream,
    id: RoomId,
    viewer: ViewerId,
) -> Result<Option<(InRoom, Erasure)>, Problem> {
    let mut reading = Reading::new(id, viewer);
    file.walk(stream, &mut |record| reading.take(&record))?;
    let contacts = file.contacts(stream)?.into_iter();
    Ok(reading.end(contacts.map(|(key, value, _)| (key, value))))
}

//! What the journal holds of one viewer, and erasing it.
//!
//! Names and texts stand beside the events, which hold only their salted hashes: emptied, they leave every record's
//! checksum, every replay and every draw's root as they are. What stays says nothing of who the person is: a random id
//! and a number, and that this number claimed, entered or won.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;

use super::Problem;
use super::check::fold;
use super::files::set_aside;
use crate::hub::record::{self, Readable};
use crate::journal::sqlite::{Erasure, JournalFile, Stream, erase as erase_in_file, take_folder};
use crate::journal::{ReadError, Record};
use crate::room::audience::AudienceEvent;
use crate::room::{Event, Key, Offset, Room, RoomId, Timestamp, ViewerId, ViewerNo, stage};

/// A viewer, as an operator names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// By their lasting identity, 32 hexadecimal digits.
    Id(ViewerId),
    /// By their number in a room, as backstage shows it: `room/7`.
    Number(RoomId, ViewerNo),
}

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number =
            |(room, number): (&str, &str)| Some(Self::Number(RoomId::new(room)?, ViewerNo(number.parse().ok()?)));
        let id = text.parse().ok().map(Self::Id);
        id.or_else(|| text.split_once('/').and_then(number))
            .ok_or_else(|| "is neither 32 hexadecimal digits nor a room, `/` and the viewer's number in it".to_owned())
    }
}

/// What one room holds of a viewer.
#[derive(Clone, Debug, Serialize)]
pub struct InRoom {
    /// The room.
    pub room: String,
    /// Its title.
    pub title: String,
    /// The viewer's number in it.
    pub number: ViewerNo,
    /// How long they watched, ms.
    pub watched_ms: u64,
    /// Names and texts of theirs, or that speak of them, each with its place and time.
    pub texts: Vec<Text>,
    /// Claims with codes, entries, wins.
    pub mine: stage::Mine,
    /// What they filled in to get prizes, by draw and entry.
    pub contacts: BTreeMap<String, Value>,
}

/// A name or text in the log.
#[derive(Clone, Debug, Serialize)]
pub struct Text {
    /// Offset of the batch in which it stands.
    pub batch: Offset,
    /// Unix ms.
    pub at: Timestamp,
    /// The text.
    pub text: String,
}

/// All that a data folder holds of one viewer.
#[derive(Clone, Debug, Serialize)]
pub struct Export {
    /// Their lasting identity.
    pub viewer: ViewerId,
    /// By room, in order of id.
    pub rooms: Vec<InRoom>,
}

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Rooms that held something of it.
    pub rooms: usize,
    /// Names and texts that are empty now.
    pub texts: usize,
    /// Contact details that are gone.
    pub contacts: usize,
}

/// A room's log, read for one viewer.
struct Reading {
    found: InRoom,
    erasure: Erasure,
}

/// Everything that a data folder holds of one viewer; also while a server uses it.
///
/// # Errors
///
/// See [`Problem`]; a damaged journal is not read past its damage.
pub fn export(data: &Path, who: &Who) -> Result<Export, Problem> {
    let file = JournalFile::open(data, false)?;
    let viewer = identify(&file, who)?;
    let readings = readings(&file, viewer)?;
    let rooms = readings.into_iter().map(|reading| reading.found).collect();
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
        texts: readings.iter().map(|reading| reading.found.texts.len()).sum(),
        contacts: readings.iter().map(|reading| reading.found.contacts.len()).sum(),
    };
    let erasures: Vec<_> = readings.into_iter().map(|reading| reading.erasure).collect();
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
            fold(&mut room, &record)?;
            let (emptied, count) = emptied(&record, &mut |readable| !readable.text.is_empty())?;
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
    match set_aside(data)?.pop() {
        Some(folder) => Err(Problem::DamagedAside { folder }),
        None => Ok(()),
    }
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
            file.walk(&stream, &mut |record| fold(&mut folded, &record))?;
            if let Some(viewer) = folded.audience.viewer(number) {
                return Ok(viewer.id);
            }
        }
    }
    Err(Problem::UnknownViewer)
}

fn readings(file: &JournalFile, viewer: ViewerId) -> Result<Vec<Reading>, Problem> {
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
fn read(file: &JournalFile, stream: &Stream, id: RoomId, viewer: ViewerId) -> Result<Option<Reading>, Problem> {
    let mut room = Room::new(id);
    let (mut texts, mut records) = (Vec::new(), Vec::new());
    file.walk(stream, &mut |record| {
        fold(&mut room, &record)?;
        let (emptied, found) = without(&record, viewer, room.audience.number(viewer))?;
        if !found.is_empty() {
            records.push((record.first, emptied.personal));
        }
        texts.extend(found.into_iter().map(|text| Text {
            batch: record.first,
            at: record.at,
            text,
        }));
        Ok(())
    })?;
    let Some(number) = room.audience.number(viewer) else {
        return Ok(None);
    };
    let contacts: BTreeMap<_, _> = file
        .contacts(stream)?
        .into_iter()
        .filter(|(key, ..)| winner(&room, key) == Some(number))
        .map(|(key, value, _)| (key, serde_json::from_slice(&value).unwrap_or_default()))
        .collect();
    Ok(Some(Reading {
        erasure: Erasure {
            stream: stream.name.clone(),
            records,
            contacts: contacts.keys().cloned().collect(),
        },
        found: InRoom {
            room: room.id.to_string(),
            title: room.show.details.title.clone(),
            number,
            watched_ms: room.audience.watched_ms(number, room.at),
            texts,
            mine: room.mine(viewer, room.at),
            contacts,
        },
    }))
}

/// A record without the names and texts of a viewer, and those.
fn without(record: &Record, viewer: ViewerId, number: Option<ViewerNo>) -> Result<(Record, Vec<String>), ReadError> {
    let mut found = Vec::new();
    let (emptied, _) = emptied(record, &mut |Readable { event, nth, of, text }| {
        let theirs = match event {
            Event::Audience(AudienceEvent::Pulsed { arrived, .. }) => arrived[nth].id == viewer,
            _ => of.is_some() && of == number,
        };
        if theirs && !text.is_empty() {
            found.push(text.to_owned());
        }
        theirs
    })?;
    Ok((emptied, found))
}

/// A record without the fields for which `erased` says so, and how many those are. It has been folded: it can be read.
fn emptied(record: &Record, erased: &mut dyn FnMut(Readable<'_>) -> bool) -> Result<(Record, usize), ReadError> {
    record::erase(record, erased).map_err(|unreadable| ReadError::Unavailable(unreadable.to_string()))
}

/// Whose contact details stand under a key.
fn winner(room: &Room, key: &str) -> Option<ViewerNo> {
    let (draw, entry) = key.rsplit_once('/')?;
    let entry: u32 = entry.parse().ok()?;
    let winners = room.winners(&Key::new(draw)?)?;
    winners
        .iter()
        .find(|winner| winner.entry == entry)
        .map(|winner| winner.viewer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::record::{Header, encode};
    use crate::room::Luck;
    use crate::room::audience::{Arrival, Totals};

    #[test]
    fn of_those_who_came_with_a_pulse_one_is_found_by_their_identity() {
        let arrival = |id, name: &str| Arrival {
            id: ViewerId(id),
            name: name.into(),
            store: false,
            address: None,
            at: Timestamp(4),
        };
        let pulsed = AudienceEvent::Pulsed {
            node: 0,
            run: 1,
            number: 1,
            taps: 0,
            arrived: vec![arrival(1, "Ann"), arrival(2, "Bob"), arrival(3, "Eve")],
            left: Vec::new(),
            forgotten_at: None,
            totals: Totals::default(),
        };
        let header = Header {
            batch: 1,
            epoch: 2,
            first: 3,
            at: Timestamp(4),
        };
        let record = encode(header, vec![pulsed.into()], &mut Luck::new([7; 32]));
        let (emptied, found) = without(&record, ViewerId(2), Some(ViewerNo(9))).expect("it was just written");
        assert_eq!(found, ["Bob"]);
        let left = String::from_utf8_lossy(&emptied.personal).into_owned();
        assert!(
            left.contains("Ann") && !left.contains("Bob") && left.contains("Eve"),
            "{left}"
        );
        assert_eq!(emptied.events, record.events);
    }
}

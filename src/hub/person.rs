//! What a room's log holds of one viewer.
//!
//! Names and texts stand beside the events, which hold only their salted hashes: emptied, they leave every record's
//! checksum, every replay and every draw's root as they are. What stays says nothing of who the person is: a random id
//! and a number, and that this number claimed, entered or won.

use std::collections::BTreeMap;
use std::str::FromStr;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::record::{self, Readable};
use crate::journal::{Erasure, ReadError, Record};
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
#[derive(Clone, Debug, Serialize, ToSchema)]
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
    /// Claims with codes, entries, wins: as the viewer sees them.
    #[schema(value_type = Object)]
    pub mine: stage::Mine,
    /// What they filled in to get prizes, by draw and entry.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub contacts: BTreeMap<String, Value>,
}

/// A name or text in the log.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Text {
    /// Offset of the batch in which it stands.
    pub batch: Offset,
    /// Unix ms.
    pub at: Timestamp,
    /// The text.
    pub text: String,
}

/// All that is held of one viewer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Export {
    /// Their lasting identity.
    #[schema(value_type = String)]
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

/// A room's log, while it is read for one viewer.
pub(crate) struct Reading {
    room: Room,
    viewer: ViewerId,
    texts: Vec<Text>,
    records: Vec<(Offset, Bytes)>,
}

impl Reading {
    pub(crate) fn new(room: RoomId, viewer: ViewerId) -> Self {
        Self {
            room: Room::new(room),
            viewer,
            texts: Vec::new(),
            records: Vec::new(),
        }
    }

    /// Offset of the last event read.
    pub(crate) fn head(&self) -> Offset {
        self.room.head
    }

    /// Reads on.
    pub(crate) fn take(&mut self, record: &Record) -> Result<(), ReadError> {
        record::replay(&mut self.room, record)?;
        let (emptied, found) = without(record, self.viewer, self.room.audience.number(self.viewer))?;
        if !found.is_empty() {
            self.records.push((record.first, emptied.personal));
        }
        self.texts.extend(found.into_iter().map(|text| Text {
            batch: record.first,
            at: record.at,
            text,
        }));
        Ok(())
    }

    /// What was found, and how it is erased; none where the room does not know the viewer. `contacts` are all of the room.
    pub(crate) fn end(self, contacts: impl IntoIterator<Item = (String, Bytes)>) -> Option<(InRoom, Erasure)> {
        let Self {
            room,
            viewer,
            texts,
            records,
        } = self;
        let number = room.audience.number(viewer)?;
        let theirs = contacts
            .into_iter()
            .filter(|(key, _)| winner(&room, key) == Some(number));
        let contacts: BTreeMap<_, _> = theirs
            .map(|(key, value)| (key, serde_json::from_slice(&value).unwrap_or_default()))
            .collect();
        let erasure = Erasure {
            stream: room.id.to_string(),
            records,
            contacts: contacts.keys().cloned().collect(),
        };
        let found = InRoom {
            room: room.id.to_string(),
            title: room.show.details.title.clone(),
            number,
            watched_ms: room.audience.watched_ms(number, room.at),
            texts,
            mine: room.mine(viewer, room.at),
            contacts,
        };
        Some((found, erasure))
    }
}

/// A record without the names and texts of a viewer, and those.
pub(super) fn without(
    record: &Record,
    viewer: ViewerId,
    number: Option<ViewerNo>,
) -> Result<(Record, Vec<String>), ReadError> {
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

/// A record without anybody's names and texts, and how many those are.
pub(crate) fn nobodys(record: &Record) -> Result<(Record, usize), ReadError> {
    emptied(record, &mut |readable| !readable.text.is_empty())
}

/// A record without the fields for which `erased` says so, and how many those are. It has been folded: it can be read.
fn emptied(record: &Record, erased: &mut dyn FnMut(Readable<'_>) -> bool) -> Result<(Record, usize), ReadError> {
    record::erase(record, erased).map_err(|unreadable| ReadError::Unavailable(unreadable.to_string()))
}

/// Whose contact details stand under a key.
pub(super) fn winner(room: &Room, key: &str) -> Option<ViewerNo> {
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

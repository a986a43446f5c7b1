//! Batches of events to records and back: what is personal stands apart, so that it can be erased.
//!
//! In `events` a personal field is a salted hash, `#` and 22 characters of base64; `personal` holds salt and text in the same
//! order. The journal's checksum covers `events`, so a field whose salt and text were removed from `personal`
//! reads as empty, and nothing else changes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::parking;
use crate::journal::{ReadError, Record};
use crate::room::{Event, Luck, Offset, Personal, Room, Timestamp, ViewerNo};

/// One personal field, beside the events.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    /// Whom it is about, if the event itself says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<ViewerNo>,
    /// Absent once erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
    /// Absent once erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// A record that does not say what the core can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch at offset {offset} cannot be read: {reason}")]
pub(crate) struct Unreadable {
    /// First offset of the record.
    pub(crate) offset: Offset,
    /// What does not fit.
    pub(crate) reason: String,
}

/// What a batch is called and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) batch: u128,
    pub(crate) epoch: u64,
    pub(crate) first: Offset,
    pub(crate) at: Timestamp,
}

/// Writes a batch; `events` is not empty.
pub(crate) fn encode(header: Header, mut events: Vec<Event>, luck: &mut Luck) -> Record {
    let mut fields = Vec::new();
    for event in &mut events {
        event.personal(&mut |of, personal| {
            let salt = URL_SAFE_NO_PAD.encode(luck.bytes::<9>());
            let text = std::mem::take(&mut personal.0);
            personal.0 = sealed(&salt, &text);
            fields.push(Field {
                of,
                salt: Some(salt),
                text: Some(text),
            });
        });
    }
    Record {
        batch: header.batch,
        epoch: header.epoch,
        first: header.first,
        count: events.len() as u32,
        at: header.at,
        events: json(&events),
        personal: json(&fields),
    }
}

/// Reads a batch's events.
///
/// # Errors
///
/// [`Unreadable`] where the record says something else than this program writes.
pub(crate) fn decode(record: &Record) -> Result<Vec<Event>, Unreadable> {
    let unreadable = |reason: String| Unreadable {
        offset: record.first,
        reason,
    };
    let mut events: Vec<Event> =
        serde_json::from_slice(&record.events).map_err(|error| unreadable(error.to_string()))?;
    let fields: Vec<Field> = serde_json::from_slice(&record.personal).map_err(|error| unreadable(error.to_string()))?;
    let mut fields = fields.into_iter();
    let mut wrong = None;
    for event in &mut events {
        event.personal(&mut |of, personal| {
            if let Err(reason) = open(of, fields.next(), personal) {
                wrong = Some(reason);
            }
        });
    }
    match wrong {
        Some(reason) => Err(unreadable(reason.to_owned())),
        None if events.len() != record.count as usize => {
            Err(unreadable("it holds another number of events".to_owned()))
        }
        None => Ok(events),
    }
}

/// A personal field that can be read.
pub(crate) struct Readable<'a> {
    /// The event in which it stands, still with hashes for texts.
    pub(crate) event: &'a Event,
    /// Which of the event's fields it is, from 0.
    pub(crate) nth: usize,
    /// Whom it is about, if the event says so.
    pub(crate) of: Option<ViewerNo>,
    /// What it says.
    pub(crate) text: &'a str,
}

/// The record with those personal fields emptied which do not fit their hashes, or for which `erased` says so; how many
/// were emptied.
///
/// # Errors
///
/// [`Unreadable`] where the events themselves cannot be read.
pub(crate) fn erase(
    record: &Record,
    erased: &mut dyn FnMut(Readable<'_>) -> bool,
) -> Result<(Record, usize), Unreadable> {
    let mut events: Vec<Event> = serde_json::from_slice(&record.events).map_err(|error| Unreadable {
        offset: record.first,
        reason: error.to_string(),
    })?;
    let mut fields = serde_json::from_slice::<Vec<Field>>(&record.personal)
        .unwrap_or_default()
        .into_iter();
    let (mut kept, mut emptied) = (Vec::new(), 0);
    for event in &mut events {
        let (shown, mut nth) = (event.clone(), 0);
        event.personal(&mut |of, personal| {
            let field = fields.next();
            let sound = open(of, field.clone(), personal).is_ok();
            let readable = Readable {
                event: &shown,
                nth,
                of,
                text: personal.as_str(),
            };
            let field = field.filter(|field| sound && (field.text.is_none() || !erased(readable)));
            nth += 1;
            emptied += usize::from(field.is_none());
            let empty = Field {
                of,
                salt: None,
                text: None,
            };
            kept.push(field.unwrap_or(empty));
        });
    }
    let personal = json(&kept);
    Ok((
        Record {
            personal,
            ..record.clone()
        },
        emptied,
    ))
}

fn open(of: Option<ViewerNo>, field: Option<Field>, personal: &mut Personal) -> Result<(), &'static str> {
    let field = field.ok_or("a personal field is missing")?;
    if field.of.is_some() && field.of != of {
        return Err("a personal field is of somebody else");
    }
    let (salt, text) = match (field.salt, field.text) {
        (Some(salt), Some(text)) => (salt, text),
        (None, None) => {
            personal.0.clear();
            return Ok(());
        }
        _ => return Err("half of a personal field is missing"),
    };
    if sealed(&salt, &text) != personal.0 {
        return Err("a personal field does not fit its hash");
    }
    personal.0 = text;
    Ok(())
}

fn sealed(salt: &str, text: &str) -> String {
    let hash = Sha256::new()
        .chain_update(salt)
        .chain_update([0])
        .chain_update(text)
        .finalize();
    format!("#{}", URL_SAFE_NO_PAD.encode(&hash[..16]))
}

fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value)
        .expect("events have string keys and no failing impls")
        .into()
}

/// Folds records into a room.
///
/// # Errors
///
/// [`Unreadable`] at the first record that cannot be read, does not follow, or breaks an invariant of the room,
/// which is not to be used then.
pub(crate) fn fold(room: &mut Room, records: &[Record]) -> Result<(), Unreadable> {
    for record in records {
        if record.first != room.head + 1 {
            let reason = format!("it does not follow offset {}", room.head);
            return Err(Unreadable {
                offset: record.first,
                reason,
            });
        }
        let events = decode(record)?;
        let applied = catch_unwind(AssertUnwindSafe(|| {
            events.iter().for_each(|event| room.apply(event, record.at));
        }));
        applied.map_err(|panic| Unreadable {
            offset: room.head,
            reason: format!("it breaks an invariant: {}", parking::said(&*panic)),
        })?;
    }
    Ok(())
}

/// Folds one record into a room.
///
/// # Errors
///
/// [`ReadError::Damaged`], as of [`fold`].
pub(crate) fn replay(room: &mut Room, record: &Record) -> Result<(), ReadError> {
    fold(room, std::slice::from_ref(record)).map_err(|unreadable| ReadError::Damaged {
        stream: room.id.to_string(),
        offset: record.first,
        reason: unreadable.reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::audience::AudienceEvent;

    fn record() -> Record {
        let renamed = AudienceEvent::Renamed {
            viewer: ViewerNo(7),
            name: "Ann".into(),
        };
        let header = Header {
            batch: 1,
            epoch: 2,
            first: 3,
            at: Timestamp(4),
        };
        encode(header, vec![renamed.into()], &mut Luck::new([7; 32]))
    }

    #[test]
    fn a_batch_comes_back_as_it_was() {
        let events = decode(&record()).expect("it was just written");
        assert_eq!(
            events,
            [AudienceEvent::Renamed {
                viewer: ViewerNo(7),
                name: "Ann".into()
            }
            .into()]
        );
    }

    #[test]
    fn no_personal_text_stands_in_the_events() {
        let record = record();
        assert!(!String::from_utf8_lossy(&record.events).contains("Ann"));
        assert!(String::from_utf8_lossy(&record.personal).contains("Ann"));
    }

    #[test]
    fn an_erased_field_reads_as_empty() {
        let erased = Record {
            personal: Bytes::from_static(br#"[{"of":7}]"#),
            ..record()
        };
        let events = decode(&erased).expect("erasing leaves the batch readable");
        assert_eq!(
            events,
            [AudienceEvent::Renamed {
                viewer: ViewerNo(7),
                name: "".into()
            }
            .into()]
        );
    }

    #[test]
    fn a_changed_personal_field_is_noticed_and_mended_by_emptying_it() {
        let record = record();
        for (from, to, reason) in [
            ("Ann", "Bob", "a personal field does not fit its hash"),
            ("7", "8", "a personal field is of somebody else"),
            ("salt", "silt", "unknown field `silt`"),
        ] {
            let changed = String::from_utf8_lossy(&record.personal).replace(from, to);
            let changed = Record {
                personal: changed.into(),
                ..record.clone()
            };
            let error = decode(&changed).expect_err("it is not as it was");
            assert!(error.reason.starts_with(reason), "{}", error.reason);
            let (mended, emptied) = erase(&changed, &mut |_| false).expect("the events are sound");
            assert_eq!((emptied, mended.personal), (1, Bytes::from_static(br#"[{"of":7}]"#)));
        }
    }
}

//! The heads of the messages that come by the thousand, read without decoding the rest.
//!
//! The server writes a message's fields in the order of the protocol's structs. What does not look like that
//! is decoded in full, so that only speed rests on it.

use hubbub::protocol::{Encoding, Message};
use hubbub::room::Offset;

/// What a viewer must know of a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Head {
    /// Events: the cursor rule's two numbers.
    Delta { follows: Offset, offset: Offset },
    /// All state.
    Keyframe { epoch: u64, offset: Offset },
    /// Counts.
    Pulse,
    /// All that is mine.
    Mine,
    /// Anything else, decoded.
    Other(Box<Message>),
}

/// Reads a message's head.
///
/// # Errors
///
/// The decoder's sentence, for what is no message.
pub(crate) fn read(encoding: Encoding, payload: &[u8]) -> Result<Head, String> {
    let quick = match encoding {
        Encoding::Json => json(payload),
        Encoding::MessagePack => message_pack(payload),
    };
    match quick {
        Some(head) => Ok(head),
        None => encoding.decode(payload).map(head_of),
    }
}

fn head_of(message: Message) -> Head {
    match message {
        Message::Delta(delta) => Head::Delta {
            follows: delta.follows,
            offset: delta.offset,
        },
        Message::Keyframe(keyframe) => Head::Keyframe {
            epoch: keyframe.epoch,
            offset: keyframe.offset,
        },
        Message::Pulse(_) => Head::Pulse,
        Message::Mine { .. } => Head::Mine,
        other => Head::Other(Box::new(other)),
    }
}

fn json(payload: &[u8]) -> Option<Head> {
    let numbers = |rest: &[u8], first: &[u8], second: &[u8]| {
        let (a, rest) = digits(rest.strip_prefix(first)?)?;
        let (b, rest) = digits(rest.strip_prefix(second)?)?;
        (rest.first() == Some(&b',')).then_some((a, b))
    };
    if let Some(rest) = payload.strip_prefix(b"{\"delta\":") {
        let (follows, offset) = numbers(rest, b"{\"follows\":", b",\"offset\":")?;
        return Some(Head::Delta { follows, offset });
    }
    if let Some(rest) = payload.strip_prefix(b"{\"keyframe\":") {
        let (epoch, offset) = numbers(rest, b"{\"epoch\":", b",\"offset\":")?;
        return Some(Head::Keyframe { epoch, offset });
    }
    if payload.starts_with(b"{\"pulse\":") {
        return Some(Head::Pulse);
    }
    payload.starts_with(b"{\"mine\":").then_some(Head::Mine)
}

fn digits(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = bytes.split_at(length);
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, rest))
}

fn message_pack(payload: &[u8]) -> Option<Head> {
    // A map of one: the kind, then its fields as a map.
    let [0x81, rest @ ..] = payload else {
        return None;
    };
    let (kind, rest) = short_text(rest)?;
    let numbers = |rest, first: &[u8], second: &[u8]| {
        let (a, rest) = named(small_map(rest)?, first)?;
        let (b, _) = named(rest, second)?;
        Some((a, b))
    };
    match kind {
        b"delta" => {
            let (follows, offset) = numbers(rest, b"follows", b"offset")?;
            Some(Head::Delta { follows, offset })
        }
        b"keyframe" => {
            let (epoch, offset) = numbers(rest, b"epoch", b"offset")?;
            Some(Head::Keyframe { epoch, offset })
        }
        b"pulse" => Some(Head::Pulse),
        b"mine" => Some(Head::Mine),
        _ => None,
    }
}

fn small_map(bytes: &[u8]) -> Option<&[u8]> {
    let (first, rest) = bytes.split_first()?;
    (first & 0xf0 == 0x80).then_some(rest)
}

fn short_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    (first & 0xe0 == 0xa0).then_some(())?;
    rest.split_at_checked(usize::from(first & 0x1f))
}

fn named<'b>(bytes: &'b [u8], name: &[u8]) -> Option<(u64, &'b [u8])> {
    let (key, rest) = short_text(bytes)?;
    (key == name).then_some(())?;
    unsigned(rest)
}

fn unsigned(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let length = match first {
        0x00..=0x7f => return Some((u64::from(*first), rest)),
        0xcc => 1,
        0xcd => 2,
        0xce => 4,
        0xcf => 8,
        _ => return None,
    };
    let (bytes, rest) = rest.split_at_checked(length)?;
    let number = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use hubbub::protocol::{Delta, Keyframe, Pulse};
    use hubbub::room::audience::Totals;
    use hubbub::room::stage::Mine;
    use hubbub::room::{Room, RoomId, Timestamp};

    use super::*;

    fn quick(encoding: Encoding, message: &Message) -> Option<Head> {
        let bytes = encoding.encode(message);
        match encoding {
            Encoding::Json => json(&bytes),
            Encoding::MessagePack => message_pack(&bytes),
        }
    }

    #[test]
    fn heads_are_read_quickly_as_the_server_writes_them() {
        let at = Timestamp(1_790_000_000_000);
        let numbers = [
            0,
            1,
            127,
            128,
            255,
            256,
            65_535,
            65_536,
            u64::from(u32::MAX),
            1 << 32,
            (1 << 53) - 1,
        ];
        for encoding in Encoding::ALL {
            for number in numbers {
                let (follows, offset) = (number, number + 1);
                let events = Vec::new();
                let delta = Message::Delta(Delta {
                    follows,
                    offset,
                    at,
                    events,
                });
                assert_eq!(quick(encoding, &delta), Some(Head::Delta { follows, offset }));
                let state = Room::new(RoomId::new("room").expect("a name")).stage();
                let (epoch, offset) = (number, 12);
                let keyframe = Message::Keyframe(Box::new(Keyframe {
                    epoch,
                    offset,
                    at,
                    state,
                }));
                assert_eq!(quick(encoding, &keyframe), Some(Head::Keyframe { epoch, offset }));
            }
            let totals = Totals::default();
            let pulse = Message::Pulse(Pulse { as_of: 3, at, totals });
            assert_eq!(quick(encoding, &pulse), Some(Head::Pulse));
            let mine = Message::Mine {
                after: 3,
                mine: Mine::default(),
            };
            assert_eq!(quick(encoding, &mine), Some(Head::Mine));
            let pong = Message::Pong { re: 3, now: at };
            assert_eq!(quick(encoding, &pong), None);
            assert_eq!(read(encoding, &encoding.encode(&pong)), Ok(Head::Other(Box::new(pong))));
        }
    }

    #[test]
    fn fields_in_another_order_are_read_too() {
        let text = br#"{"delta":{"offset":13,"follows":12,"at":1790000000000,"events":[]}}"#;
        assert_eq!(json(text), None);
        assert_eq!(
            read(Encoding::Json, text),
            Ok(Head::Delta {
                follows: 12,
                offset: 13
            })
        );
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        for text in [
            &b"{\"delta\":{\"follows\":1"[..],
            b"{}",
            b"",
            b"\x81",
            b"\x81\xa5delta\x84\xa7follows\xcf\x00",
        ] {
            assert!(read(Encoding::Json, text).is_err());
            assert!(read(Encoding::MessagePack, text).is_err());
        }
    }
}

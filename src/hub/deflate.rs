//! permessage-deflate (RFC 7692), without context takeover on either side: what is shared is compressed once
//! for all who negotiated it, and nothing of it stays with a connection.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::protocol::{Close, Encoding, MESSAGE_BYTES_MAX};

/// Shorter messages stay as they are: a single comment would lose a tenth, for 15 us.
const WORTH_BYTES: usize = 200;
/// What a sync flush ends with, and what is cut from each message (RFC 7692, 7.2.1).
const CUT: [u8; 4] = [0, 0, 0xff, 0xff];
/// The same and an empty last block, which data that breaks off inside of a block does not come to.
const END: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];

/// The form in which a connection gets what it shares with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// By the subprotocol.
    pub encoding: Encoding,
    /// permessage-deflate was negotiated.
    pub deflated: bool,
}

impl Wire {
    /// How many forms there are. By itself: as the length of [`Wire::ALL`] in a type it needs what optimising
    /// compilers cannot have yet (E0391).
    pub(super) const COUNT: usize = 2 * Encoding::ALL.len();
    /// Every form, in the order of [`Wire::index`].
    pub(super) const ALL: [Self; Self::COUNT] = [
        Self::plain(Encoding::Json),
        Self::plain(Encoding::MessagePack),
        Self::deflated(Encoding::Json),
        Self::deflated(Encoding::MessagePack),
    ];

    pub(super) const fn plain(encoding: Encoding) -> Self {
        Self {
            encoding,
            deflated: false,
        }
    }

    const fn deflated(encoding: Encoding) -> Self {
        Self {
            encoding,
            deflated: true,
        }
    }

    /// Its place in tables.
    pub(super) fn index(self) -> usize {
        self.encoding.index() + if self.deflated { Encoding::ALL.len() } else { 0 }
    }
}

thread_local! {
    /// To make one takes 90 us and 270 kB, to start it over 5 us.
    static COMPRESSOR: RefCell<Compress> = RefCell::new(Compress::new(Compression::default(), false));
    /// And where it writes to. Made anew for each message they leave holes between what lasts: 6 kB a viewer.
    static INFLATER: RefCell<(Decompress, Vec<u8>)> =
        RefCell::new((Decompress::new(false), Vec::with_capacity(MESSAGE_BYTES_MAX + 1)));
}

/// More than deflate makes of so many bytes that it cannot make smaller: it must never find its output full. What a
/// compressor of zlib-rs (0.6.8) could not write takes room from it for ever, also after a reset, until it panics.
fn compressed_max(length: usize) -> usize {
    length + length / 8 + 64
}

/// A message's payload, compressed by itself; `None` where that is not worth it.
pub(super) fn compressed(payload: &[u8]) -> Option<Vec<u8>> {
    if payload.len() < WORTH_BYTES {
        return None;
    }
    let mut bytes = Vec::with_capacity(compressed_max(payload.len()));
    COMPRESSOR
        .with_borrow_mut(|compressor| {
            compressor.reset();
            compressor.compress_vec(payload, &mut bytes, FlushCompress::Sync)
        })
        .ok()?;
    // A flush that has filled the buffer may not be complete.
    if bytes.len() >= payload.len() || !bytes.ends_with(&CUT) {
        return None;
    }
    bytes.truncate(bytes.len() - CUT.len());
    Some(bytes)
}

/// A message's payload as it was before a client compressed it. No more is kept of it than a message may have.
///
/// # Errors
///
/// [`Close::TooBig`], and [`Close::Protocol`] for data that are not deflated, or not to their end.
pub(super) fn inflated(mut bytes: Vec<u8>) -> Result<Vec<u8>, Close> {
    bytes.extend_from_slice(&END);
    INFLATER.with_borrow_mut(|(inflater, payload)| inflate(inflater, &bytes, payload))
}

fn inflate(inflater: &mut Decompress, bytes: &[u8], payload: &mut Vec<u8>) -> Result<Vec<u8>, Close> {
    inflater.reset(false);
    payload.clear();
    let status = inflater.decompress_vec(bytes, payload, FlushDecompress::Finish);
    if payload.len() > MESSAGE_BYTES_MAX {
        return Err(Close::TooBig);
    }
    let rest = &bytes[inflater.total_in() as usize..];
    // A client may have marked a block of its own as the last one, and filled up with a byte (7.2.3.4).
    let ended = rest.is_empty() || rest.strip_prefix(&[0]).unwrap_or(rest) == END || rest == END;
    match status {
        Ok(Status::StreamEnd) if ended => Ok(payload.clone()),
        _ => Err(Close::Protocol),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Message;

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let examples: [&[u8]; 5] = [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
            &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
            &[
                0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
            ],
        ];
        for example in examples {
            assert_eq!(inflated(example.to_vec()), Ok(b"Hello".to_vec()), "{example:x?}");
        }
        assert_eq!(inflated(vec![0]), Ok(Vec::new()));
    }

    #[test]
    fn what_is_compressed_is_smaller_and_comes_back() {
        let payload = br#"{"comment":{"id":13,"by":1,"name":"Ann","text":"hello"}},"#.repeat(20);
        let bytes = compressed(&payload).expect("it repeats itself");
        assert!(bytes.len() < payload.len() / 4, "{}", bytes.len());
        assert_eq!(inflated(bytes), Ok(payload));
    }

    #[test]
    fn a_comment_in_a_batch_of_twenty_stays_within_the_bytes_that_were_planned() {
        let names = [
            "Rosemary Lin",
            "Guest 482193",
            "Tom of Leeds",
            "mei_mei_2009",
            "Anna-Sofia K",
            "Bright Otter",
            "Guest 117720",
            "Wei's sister",
            "Jo from work",
            "Nightowl_777",
            "Priya Sharma",
            "Kasia Nowak.",
        ];
        let texts = [
            "does the red one come in a smaller size?",
            "just got mine yesterday, lovely texture!",
            "how long does it take to ship to Norway?",
            "can you show the label on the back again",
            "I would buy three if there was a bundle.",
            "my sister told me about this show, hello",
            "is it fine for dry skin in winter as well",
            "what is the difference from the old one?",
            "please say the price once more, thank you",
            "the sound drops now and then on my phone",
            "first time here, where do I find my code",
            "wow, that colour suits you really well!!",
            "does anybody know whether it smells much",
            "I ordered two last month and came back :)",
            "will there be another draw this evening?",
            "can I use it together with the night oil",
            "greetings from Porto, good morning to all",
            "the button says sold out, is that so now?",
            "how much is left of the gift set in blue",
            "that is exactly what my mother looks for",
        ];
        let comments: Vec<String> = (0..texts.len())
            .map(|n| {
                let (id, by) = (123_457 + n, 4_821 + 377 * n % 3_000);
                let (name, text) = (names[n % names.len()], texts[n]);
                format!(r#"{{"comment":{{"id":{id},"by":{by},"name":"{name}","text":"{text}"}}}}"#)
            })
            .collect();
        let delta = format!(
            r#"{{"delta":{{"follows":123456,"offset":123476,"at":1790000000000,"events":[{}]}}}}"#,
            comments.join(",")
        );
        let message: Message = Encoding::Json.decode(delta.as_bytes()).expect("a delta");
        for encoding in Encoding::ALL {
            let bytes = compressed(&encoding.encode(&message)).expect("it becomes smaller");
            println!("{encoding:?}: {} bytes a comment", bytes.len() / 20);
            assert!(bytes.len() <= 20 * 60, "{encoding:?}: {}", bytes.len());
        }
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let bytes = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        bytes.take(length).collect()
    }

    #[test]
    fn what_is_short_or_does_not_become_smaller_is_left_alone() {
        assert_eq!(compressed(&[b'a'; WORTH_BYTES - 1]), None);
        assert_eq!(compressed(&noise(5_000)), None);
    }

    #[test]
    fn what_cannot_become_smaller_leaves_nothing_behind() {
        let payload = br#"{"comment":{"id":13,"by":1,"name":"Ann","text":"hello"}},"#.repeat(20);
        for length in (WORTH_BYTES..20_000).step_by(300) {
            assert_eq!(compressed(&noise(length)), None, "{length}");
        }
        let bytes = compressed(&payload).expect("it repeats itself");
        assert_eq!(inflated(bytes), Ok(payload));
    }

    #[test]
    fn data_that_break_off_anywhere_are_refused() {
        let payload = br#"{"id":7,"cmd":"comment","args":{"nonce":"1","text":"how much is the red one?"}}"#.repeat(4);
        let bytes = compressed(&payload).expect("it repeats itself");
        for end in 0..bytes.len() {
            assert_eq!(inflated(bytes[..end].to_vec()), Err(Close::Protocol), "{end}");
        }
        assert_eq!(inflated([&bytes[..], b"more"].concat()), Err(Close::Protocol));
    }

    #[test]
    fn a_message_may_become_as_big_as_any_and_no_bigger() {
        let fits = compressed(&[b'a'; MESSAGE_BYTES_MAX]).expect("it repeats itself");
        assert_eq!(inflated(fits), Ok(vec![b'a'; MESSAGE_BYTES_MAX]));
        for length in [MESSAGE_BYTES_MAX + 1, 50 << 20] {
            let bomb = compressed(&vec![b'a'; length]).expect("it repeats itself");
            assert_eq!(inflated(bomb), Err(Close::TooBig), "{length}");
        }
    }
}

//! What a client that negotiated compression sends: each compressed message becomes one plain frame, before
//! anything else looks at it. All other frames pass as they are.

use std::io::Cursor;

use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::deflate::inflated;
use crate::protocol::{Close, MESSAGE_BYTES_MAX};

/// Largest message as it comes: what deflate adds to 16 KiB that it cannot make smaller.
const COMPRESSED_MAX: u64 = MESSAGE_BYTES_MAX as u64 + 64;

/// Cuts a stream of bytes into the headers and payloads of frames, by their lengths alone (RFC 6455, 5.2).
#[derive(Default)]
pub(super) struct Cut {
    /// Bytes of a header that is not complete.
    head: Vec<u8>,
    /// Payload bytes of the current frame that are still to come.
    rest: u64,
}

/// What follows in the stream.
pub(super) enum Piece<'a> {
    /// A frame begins, with a payload of this length.
    Header(FrameHeader, u64),
    /// Some of its payload.
    Payload(&'a [u8]),
    /// No header begins like this; nothing can be cut any more.
    Wrong,
}

impl Cut {
    /// Takes the next piece off these bytes; `None` when they are used up.
    pub(super) fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Option<Piece<'a>> {
        if self.rest > 0 && !bytes.is_empty() {
            let taken = bytes.len().min(usize::try_from(self.rest).unwrap_or(usize::MAX));
            self.rest -= taken as u64;
            return bytes.split_off(..taken).map(Piece::Payload);
        }
        while let Some(byte) = bytes.split_off_first() {
            self.head.push(*byte);
            match FrameHeader::parse(&mut Cursor::new(&self.head)) {
                Ok(None) => {}
                Ok(Some((header, length))) => {
                    self.rest = length;
                    self.head.clear();
                    return Some(Piece::Header(header, length));
                }
                Err(_) => return Some(Piece::Wrong),
            }
        }
        None
    }

    /// The bytes so far end where a frame ends.
    pub(super) fn is_between(&self) -> bool {
        self.head.is_empty() && self.rest == 0
    }
}

/// The way in of one connection, while something is under way.
#[derive(Default)]
pub(super) struct Inflow {
    cut: Cut,
    /// A plain message goes on in another frame.
    fragmented: bool,
    /// The compressed message that is under way.
    message: Option<Compressed>,
    /// Its frame that is under way; none: the frame passes.
    part: Option<Part>,
}

struct Compressed {
    opcode: OpCode,
    bytes: Vec<u8>,
}

struct Part {
    mask: [u8; 4],
    /// Of its payload, what has come.
    length: usize,
    is_final: bool,
}

impl Inflow {
    /// Takes bytes as they came and adds to `plain` what they stand for: as much as passes, and not more than
    /// one message that was compressed.
    ///
    /// # Errors
    ///
    /// What to close with.
    pub(super) fn pass(&mut self, bytes: &mut &[u8], plain: &mut Vec<u8>) -> Result<(), Close> {
        while let Some(piece) = self.cut.next(bytes) {
            match piece {
                Piece::Wrong => return Err(Close::Protocol),
                Piece::Header(header, length) => self.begin(header, length, plain)?,
                Piece::Payload(payload) => self.go_on(payload, plain),
            }
            let ended = self.cut.is_between() && self.part.take_if(|part| part.is_final).is_some();
            if ended && let Some(message) = self.message.take() {
                let payload = inflated(message.bytes)?;
                let header = FrameHeader {
                    opcode: message.opcode,
                    mask: Some([0; 4]),
                    ..FrameHeader::default()
                };
                write_header(&header, payload.len() as u64, plain);
                plain.extend_from_slice(&payload);
                return Ok(());
            }
        }
        Ok(())
    }

    fn begin(&mut self, header: FrameHeader, length: u64, plain: &mut Vec<u8>) -> Result<(), Close> {
        self.part = None;
        let OpCode::Data(kind) = header.opcode else {
            write_header(&header, length, plain);
            return Ok(());
        };
        let goes_on = kind == Data::Continue;
        let reserved = header.rsv2 || header.rsv3;
        match &self.message {
            None if header.rsv1 && !reserved && !goes_on && !self.fragmented => {
                self.message = Some(Compressed {
                    opcode: header.opcode,
                    bytes: Vec::new(),
                });
            }
            None => {
                // What is wrong with it is said by who reads it.
                self.fragmented = !header.is_final;
                write_header(&header, length, plain);
                return Ok(());
            }
            Some(_) if goes_on && !header.rsv1 && !reserved => {}
            Some(_) => return Err(Close::Protocol),
        }
        let so_far = self.message.as_ref().map_or(0, |message| message.bytes.len());
        if length > COMPRESSED_MAX - so_far as u64 {
            return Err(Close::TooBig);
        }
        self.part = Some(Part {
            mask: header.mask.ok_or(Close::Protocol)?,
            length: 0,
            is_final: header.is_final,
        });
        Ok(())
    }

    fn go_on(&mut self, payload: &[u8], plain: &mut Vec<u8>) {
        let (Some(part), Some(message)) = (&mut self.part, &mut self.message) else {
            return plain.extend_from_slice(payload);
        };
        let mask = part.mask.iter().cycle().skip(part.length % 4);
        message
            .bytes
            .extend(payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        part.length += payload.len();
    }

    /// The bytes so far end where a message ends, or a frame of one that passes.
    pub(super) fn is_idle(&self) -> bool {
        self.cut.is_between() && self.message.is_none()
    }
}

fn write_header(header: &FrameHeader, length: u64, plain: &mut Vec<u8>) {
    header.format(length, plain).expect("a vector takes what is written");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "Hello" (RFC 7692, 7.2.3.1).
    const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    const MASK: [u8; 4] = [1, 2, 3, 4];

    /// A frame as a client sends it.
    fn framed(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
        let length = 0x80 | u8::try_from(payload.len()).expect("a short one");
        let masked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        [first, length].into_iter().chain(mask).chain(masked).collect()
    }

    /// What comes out, if the bytes come in steps of this length.
    fn passed(stream: &[u8], step: usize) -> Result<Vec<u8>, Close> {
        let mut inflow = Inflow::default();
        let mut plain = Vec::new();
        for mut bytes in stream.chunks(step) {
            while !bytes.is_empty() {
                inflow.pass(&mut bytes, &mut plain)?;
            }
        }
        assert!(inflow.is_idle());
        Ok(plain)
    }

    #[test]
    fn a_compressed_message_becomes_one_plain_frame_and_all_else_passes_however_it_is_cut() {
        let stream = [
            framed(0xc1, MASK, &HELLO),
            framed(0x81, MASK, b"plain"),
            framed(0x42, MASK, &HELLO[..3]),
            framed(0x89, MASK, b"between"),
            framed(0x00, MASK, &[]),
            framed(0x80, MASK, &HELLO[3..]),
            framed(0x01, MASK, b"pl"),
            framed(0x80, MASK, b"ain"),
        ]
        .concat();
        let plain = [
            framed(0x81, [0; 4], b"Hello"),
            framed(0x81, MASK, b"plain"),
            framed(0x89, MASK, b"between"),
            framed(0x82, [0; 4], b"Hello"),
            framed(0x01, MASK, b"pl"),
            framed(0x80, MASK, b"ain"),
        ]
        .concat();
        for step in 1..=stream.len() {
            assert_eq!(passed(&stream, step).as_ref(), Ok(&plain), "{step}");
        }
    }

    #[test]
    fn not_more_than_one_compressed_message_comes_out_at_once() {
        let stream = framed(0xc1, MASK, &HELLO).repeat(3);
        let (mut inflow, mut plain) = (Inflow::default(), Vec::new());
        let mut bytes = &stream[..];
        inflow.pass(&mut bytes, &mut plain).expect("is good");
        assert_eq!(plain, framed(0x81, [0; 4], b"Hello"));
        assert_eq!(bytes.len(), stream.len() / 3 * 2);
    }

    #[test]
    fn a_compressed_message_is_refused_for_what_is_wrong_with_it() {
        let begun = framed(0x41, MASK, &HELLO[..3]);
        let after = |next: Vec<u8>| [begun.clone(), next].concat();
        let long = |first: u8, length: u16| [&[first, 0xfe][..], &length.to_be_bytes(), &MASK].concat();
        for (case, stream, close) in [
            ("not masked", vec![0xc1, 0x07], Close::Protocol),
            ("marked again", after(framed(0xc0, MASK, &HELLO[3..])), Close::Protocol),
            ("inside of another", after(framed(0x81, MASK, b"{}")), Close::Protocol),
            ("an unknown opcode", framed(0xc3, MASK, b""), Close::Protocol),
            ("too long", long(0xc1, COMPRESSED_MAX as u16 + 1), Close::TooBig),
            (
                "too long together",
                after(long(0x80, COMPRESSED_MAX as u16 - 2)),
                Close::TooBig,
            ),
        ] {
            assert_eq!(passed(&stream, stream.len()), Err(close), "{case}");
        }
    }

    #[test]
    fn what_is_reserved_otherwise_passes_to_be_refused() {
        for first in [0xc0, 0xc9, 0xc8, 0xe1, 0xd1] {
            let stream = framed(first, MASK, b"x");
            assert_eq!(passed(&stream, stream.len()).as_ref(), Ok(&stream), "{first:x}");
        }
        let inside = [framed(0x01, MASK, b"a"), framed(0xc1, MASK, &HELLO)].concat();
        assert_eq!(passed(&inside, inside.len()).as_ref(), Ok(&inside));
    }
}

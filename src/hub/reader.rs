//! What a connection reads: frames, by tungstenite's protocol context, which is only kept from the first byte
//! of a message to its last. A viewer who says nothing costs no buffer.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{self, Message as Frame};

use super::Stream;
use super::deflate::Wire;
use super::inflow::{Cut, Inflow, Piece};
use crate::protocol::{Close, Encoding, MESSAGE_BYTES_MAX};

/// Read at a time: a few comments.
const READ_BYTES: usize = 1024;
/// Read for one message, with all its fragments and what they are framed in: two of the largest frames, so that two
/// that are too big together are known as that; more is fragments without end.
const READ_BUDGET: usize = 2 * (MESSAGE_BYTES_MAX + FRAME_HEADER_MAX);
/// RFC 6455, 5.2.
const FRAME_HEADER_MAX: usize = 14;
/// RFC 6455, 5.5.
const CONTROL_BYTES_MAX: u64 = 125;

/// Reads frames; knows nothing of writing.
pub(super) struct Reader(Option<Box<Reading>>);

/// What is kept while something is under way.
struct Reading {
    context: WebSocketContext,
    /// Bytes that came with the handshake.
    early: Bytes,
    /// Of a client that may compress what it sends.
    inflating: Option<Inflating>,
    boundary: Boundary,
}

/// What is between the socket and the context of a client that may compress what it sends.
#[derive(Default)]
struct Inflating {
    inflow: Inflow,
    /// As it came, and not looked at yet.
    raw: Bytes,
    /// For the context.
    plain: Bytes,
    /// What is wrong with what came after that.
    breach: Option<Close>,
}

/// What was read.
pub(super) enum Heard {
    /// A message of the right kind.
    Message(Bytes),
    /// A message of the kind that the subprotocol does not have.
    WrongKind(Bytes),
    /// A control frame.
    Control,
    /// Nothing more at the moment.
    Nothing,
    /// The other side closed; these bytes answer it.
    Closed(Vec<u8>),
    /// The other side has ended its half without a close frame: it may still read.
    Ended,
    /// The socket is dead.
    Gone,
    /// A breach of the protocol.
    Breach(Close),
}

impl Reader {
    /// A reader that begins with the bytes that came glued to the handshake.
    pub(super) fn new(early: Bytes, wire: Wire) -> Self {
        Self((!early.is_empty()).then(|| Box::new(Reading::new(early, wire))))
    }

    /// Reads one frame: also what is to be written because of it, and how many bytes were taken.
    pub(super) fn read(&mut self, socket: &Stream, wire: Wire) -> (Heard, Vec<u8>, usize) {
        let reading = self.0.get_or_insert_with(|| Box::new(Reading::new(Bytes::new(), wire)));
        let mut edge = Edge {
            socket,
            early: &mut reading.early,
            inflating: reading.inflating.as_mut(),
            boundary: &mut reading.boundary,
            budget: READ_BUDGET,
            replies: Vec::new(),
        };
        let read = reading.context.read(&mut edge);
        if let Ok(Frame::Close(_)) = read {
            // The answer to a close is only written by a flush, which says that the connection is over.
            let _ = reading.context.flush(&mut edge);
            let answer = edge.replies;
            self.0 = None;
            return (Heard::Closed(answer), Vec::new(), 0);
        }
        let Edge { budget, replies, .. } = edge;
        let breach = reading.inflating.as_ref().and_then(|inflating| inflating.breach);
        let heard = match read {
            Ok(frame) => heard(frame, wire.encoding),
            Err(_) if let Some(close) = breach => Heard::Breach(close),
            Err(error) => match failed(error) {
                Heard::Nothing if budget == 0 => Heard::Breach(Close::Flood),
                Heard::Nothing if let Some(close) = reading.boundary.breach => Heard::Breach(close),
                heard => heard,
            },
        };
        let over = match heard {
            // Nothing waits in the context: it has said that it needs more, and the last message was whole.
            Heard::Nothing => reading.is_idle(),
            // Nothing is read after these, and thousands may end at once.
            Heard::Ended | Heard::Gone | Heard::Breach(_) => true,
            _ => false,
        };
        if over {
            self.0 = None;
        }
        (heard, replies, READ_BUDGET - budget)
    }
}

fn heard(frame: Frame, encoding: Encoding) -> Heard {
    match (frame, encoding) {
        (Frame::Text(text), Encoding::Json) => Heard::Message(text.into()),
        (Frame::Binary(bytes), Encoding::MessagePack) => Heard::Message(bytes),
        (Frame::Text(text), Encoding::MessagePack) => Heard::WrongKind(text.into()),
        (Frame::Binary(bytes), Encoding::Json) => Heard::WrongKind(bytes),
        _ => Heard::Control,
    }
}

fn failed(error: tungstenite::Error) -> Heard {
    use tungstenite::Error;
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock => Heard::Nothing,
        Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed => Heard::Gone,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Heard::Ended,
        Error::Capacity(_) => Heard::Breach(Close::TooBig),
        Error::Utf8(_) => Heard::Breach(Close::NotUtf8),
        _ => Heard::Breach(Close::Protocol),
    }
}

impl Reading {
    fn new(early: Bytes, wire: Wire) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        Self {
            context: WebSocketContext::new(Role::Server, Some(config)),
            early,
            inflating: wire.deflated.then(Inflating::default),
            boundary: Boundary::default(),
        }
    }

    /// Nothing is under way, as far as the socket has been read.
    fn is_idle(&self) -> bool {
        let inflow = self.inflating.as_ref().map(|inflating| &inflating.inflow);
        self.boundary.is_reached() && inflow.is_none_or(Inflow::is_idle)
    }
}

/// Whether the bytes that the context got so far end where a message ends. It only follows the lengths of
/// frames: all else that is wrong with them is the context's to say.
#[derive(Default)]
struct Boundary {
    cut: Cut,
    /// What the message's data frames have declared so far, if another one follows.
    fragments: Option<u64>,
    /// A header declares more than its frame may have. The context would wait for all of it.
    breach: Option<Close>,
}

impl Boundary {
    fn pass(&mut self, mut bytes: &[u8]) {
        while let Some(piece) = self.cut.next(&mut bytes) {
            match piece {
                Piece::Header(header, length) if let OpCode::Data(_) = header.opcode => {
                    let declared = self.fragments.unwrap_or(0).saturating_add(length);
                    if declared > MESSAGE_BYTES_MAX as u64 {
                        self.breach = Some(Close::TooBig);
                    }
                    self.fragments = (!header.is_final).then_some(declared);
                }
                Piece::Header(_, length) if length > CONTROL_BYTES_MAX => self.breach = Some(Close::Protocol),
                _ => {}
            }
        }
    }

    fn is_reached(&self) -> bool {
        self.cut.is_between() && self.fragments.is_none()
    }
}

/// The socket as tungstenite sees it: it reads, and what it wants to write (pongs, the answer to a close) is
/// collected, to be queued between frames.
struct Edge<'a> {
    socket: &'a Stream,
    early: &'a mut Bytes,
    inflating: Option<&'a mut Inflating>,
    boundary: &'a mut Boundary,
    /// How much may still be read in this call: the context goes on by itself through fragments without end.
    budget: usize,
    replies: Vec<u8>,
}

impl Edge<'_> {
    /// Reads as it comes.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.budget == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let room = buffer.len().min(self.budget);
        let taken = if self.early.is_empty() {
            self.socket.try_read(&mut buffer[..room])?
        } else {
            let taken = room.min(self.early.len());
            self.early.copy_to_slice(&mut buffer[..taken]);
            taken
        };
        self.budget -= taken;
        Ok(taken)
    }

    /// Reads it without compression.
    fn receive_plain(&mut self, inflating: &mut Inflating, buffer: &mut [u8]) -> io::Result<usize> {
        while inflating.plain.is_empty() {
            if inflating.breach.is_some() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if inflating.raw.is_empty() {
                let mut raw = [0; READ_BYTES];
                let taken = self.receive(&mut raw)?;
                if taken == 0 {
                    return Ok(0);
                }
                inflating.raw = Bytes::copy_from_slice(&raw[..taken]);
            }
            let (mut rest, mut plain) = (&inflating.raw[..], Vec::new());
            inflating.breach = inflating.inflow.pass(&mut rest, &mut plain).err();
            let taken = inflating.raw.len() - rest.len();
            inflating.raw.advance(taken);
            inflating.plain = plain.into();
        }
        let taken = buffer.len().min(inflating.plain.len());
        inflating.plain.copy_to_slice(&mut buffer[..taken]);
        Ok(taken)
    }
}

impl Read for Edge<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let taken = match self.inflating.take() {
            None => self.receive(buffer)?,
            Some(inflating) => {
                let taken = self.receive_plain(inflating, buffer);
                self.inflating = Some(inflating);
                taken?
            }
        };
        self.boundary.pass(&buffer[..taken]);
        Ok(taken)
    }
}

impl Write for Edge<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.replies.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Boundary;

    /// A masked frame with a payload of this length.
    fn framed(first: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match length {
            0..126 => bytes.push(0x80 | length as u8),
            126..65_536 => {
                bytes.push(0x80 | 126);
                bytes.extend_from_slice(&(length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        bytes.resize(bytes.len() + 4 + length, 7);
        bytes
    }

    /// After how many bytes the boundary is reached, byte by byte.
    fn reached(stream: &[u8]) -> Vec<usize> {
        let mut boundary = Boundary::default();
        let mut passed = |byte: &u8| {
            boundary.pass(&[*byte]);
            boundary.is_reached()
        };
        let mut ends = Vec::new();
        for (index, byte) in stream.iter().enumerate() {
            if passed(byte) {
                ends.push(index + 1);
            }
        }
        ends
    }

    #[test]
    fn a_message_ends_with_its_final_frame_whatever_stands_between() {
        const TEXT: u8 = 0x81;
        const TEXT_BEGINS: u8 = 0x01;
        const GOES_ON: u8 = 0x00;
        const ENDS: u8 = 0x80;
        const PONG: u8 = 0x8A;
        for length in [0, 1, 125, 126, 300, 65_536] {
            assert_eq!(reached(&framed(TEXT, length)), [framed(TEXT, length).len()], "{length}");
        }
        let parts = [
            framed(TEXT_BEGINS, 3),
            framed(PONG, 2),
            framed(GOES_ON, 200),
            framed(ENDS, 0),
            framed(PONG, 0),
        ];
        let whole: usize = parts[..4].iter().map(Vec::len).sum();
        assert_eq!(reached(&parts.concat()), [whole, whole + parts[4].len()]);
    }

    #[test]
    fn many_frames_in_one_read_end_where_the_last_one_ends() {
        let mut boundary = Boundary::default();
        let mut stream = [framed(0x81, 10), framed(0x82, 300)].concat();
        let last = stream.pop().expect("there are bytes");
        boundary.pass(&stream);
        assert!(!boundary.is_reached());
        boundary.pass(&[last]);
        assert!(boundary.is_reached());
    }
}

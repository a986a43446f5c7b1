//! WebSocket frames (RFC 6455, 5.2) as this server sends them: final, unmasked, compressed or not. And
//! the masked ones of a client.

/// Longest message that is waited for. A keyframe is at most 64 KiB as JSON, `joined` less.
pub(crate) const PAYLOAD_MAX: usize = 1 << 20;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xa,
}

/// A whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'b> {
    pub(crate) opcode: Opcode,
    pub(crate) compressed: bool,
    pub(crate) payload: &'b [u8],
    /// Bytes on the wire, with the head.
    pub(crate) length: usize,
}

/// What no server may send, or this one never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadFrame {
    #[error("a masked frame from the server")]
    Masked,
    #[error("a fragmented message")]
    Fragmented,
    #[error("a frame with reserved bits or an unknown opcode")]
    Unknown,
    #[error("a length that is not written in the shortest way")]
    Length,
    #[error("a control frame over 125 bytes")]
    LongControl,
    #[error("a message over 1 MiB")]
    TooLong,
}

/// Reads the frame at the front; `None`: it has not arrived whole. Compressed ones are known only where that was
/// agreed upon.
pub(crate) fn next(bytes: &[u8], compression: bool) -> Result<Option<Frame<'_>>, BadFrame> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    if second & 0x80 != 0 {
        return Err(BadFrame::Masked);
    }
    let compressed = compression && matches!(first & 0x7f, 0x41 | 0x42);
    let opcode = match first & if compressed { 0x3f } else { 0x7f } {
        0x1 => Opcode::Text,
        0x2 => Opcode::Binary,
        0x8 => Opcode::Close,
        0x9 => Opcode::Ping,
        0xa => Opcode::Pong,
        0x0 => return Err(BadFrame::Fragmented),
        _ => return Err(BadFrame::Unknown),
    };
    if first & 0x80 == 0 {
        return Err(BadFrame::Fragmented);
    }
    let (length, shortest, rest) = match (second, rest) {
        (126, [a, b, rest @ ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 126, rest),
        (127, [a, b, c, d, e, f, g, h, rest @ ..]) => {
            (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 65_536, rest)
        }
        (126 | 127, _) => return Ok(None),
        (short, rest) => (u64::from(*short), 0, rest),
    };
    if length < shortest {
        return Err(BadFrame::Length);
    }
    if first & 0x08 != 0 && *second > 125 {
        return Err(BadFrame::LongControl);
    }
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= PAYLOAD_MAX)
        .ok_or(BadFrame::TooLong)?;
    Ok(rest.get(..length).map(|payload| Frame {
        opcode,
        compressed,
        payload,
        length: bytes.len() - rest.len() + length,
    }))
}

/// Writes a final frame's head without a mask: `mask_bit` says whether one follows.
fn write_head(out: &mut Vec<u8>, opcode: Opcode, mask_bit: u8, length: usize) {
    out.push(0x80 | opcode as u8);
    match length {
        0..126 => out.push(mask_bit | length as u8),
        126..65_536 => {
            out.push(mask_bit | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(mask_bit | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// Writes a server's text frame.
pub(crate) fn write_unmasked(out: &mut Vec<u8>, payload: &[u8]) {
    write_head(out, Opcode::Text, 0, payload.len());
    out.extend_from_slice(payload);
}

/// The payload of the client's frame at the front, and the frame's length; `None`: it has not arrived whole.
pub(crate) fn unmasked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (length, head) = match (bytes.get(1)? & 0x7f, bytes) {
        (126, [_, _, a, b, ..]) => (usize::from(u16::from_be_bytes([*a, *b])), 4),
        (126 | 127, _) => return None,
        (short, _) => (usize::from(short), 2),
    };
    let mask = bytes.get(head..head + 4)?;
    let masked = bytes.get(head + 4..head + 4 + length)?;
    let payload = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    Some((payload.collect(), head + 4 + length))
}

/// Writes a client's frame.
pub(crate) fn write(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], mask: [u8; 4]) {
    write_head(out, opcode, 0x80, payload.len());
    out.extend_from_slice(&mask);
    let masked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    out.extend(masked);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            length @ 0..126 => bytes.push(length as u8),
            length @ 126..65_536 => {
                bytes.push(126);
                bytes.extend((length as u16).to_be_bytes());
            }
            length => {
                bytes.push(127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn a_frame_is_read_when_its_last_byte_is_there() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let bytes = framed(0x81, &payload);
            for cut in [1, 2, 3, 9, bytes.len() - 1]
                .into_iter()
                .filter(|cut| *cut < bytes.len())
            {
                assert_eq!(next(&bytes[..cut], false), Ok(None), "{length} cut at {cut}");
            }
            let more = [&bytes[..], b"more"].concat();
            let frame = next(&more, false).unwrap().expect("is whole");
            assert_eq!(
                (frame.opcode, frame.payload.len(), frame.length),
                (Opcode::Text, length, bytes.len())
            );
        }
    }

    #[test]
    fn what_this_server_never_sends_is_named() {
        assert_eq!(next(&[0x81, 0x81, 0, 0, 0, 0, 0], false), Err(BadFrame::Masked));
        assert_eq!(next(&[0x01, 0x01, b'a'], false), Err(BadFrame::Fragmented));
        assert_eq!(next(&[0x80, 0x01, b'a'], false), Err(BadFrame::Fragmented));
        assert_eq!(next(&[0xc1, 0x00], false), Err(BadFrame::Unknown));
        assert_eq!(next(&[0x83, 0x00], false), Err(BadFrame::Unknown));
        assert_eq!(next(&[0x81, 126, 0, 5], false), Err(BadFrame::Length));
        assert_eq!(next(&[0x81, 127, 0, 0, 0, 0, 0, 0, 1, 0], false), Err(BadFrame::Length));
        assert_eq!(next(&[0x89, 126, 0, 126], false), Err(BadFrame::LongControl));
        assert_eq!(
            next(&[0x81, 127, 1, 0, 0, 0, 0, 0, 0, 0], false),
            Err(BadFrame::TooLong)
        );
    }

    #[test]
    fn a_compressed_message_is_known_where_that_was_agreed_upon() {
        let known = |first| next(&[first, 0x00], true).map(|frame| frame.map(|frame| (frame.opcode, frame.compressed)));
        assert_eq!(known(0xc1), Ok(Some((Opcode::Text, true))));
        let long = framed(0xc1, &[b'x'; 126]);
        assert!(matches!(next(&long, true), Ok(Some(Frame { compressed: true, .. }))));
        assert_eq!(known(0x82), Ok(Some((Opcode::Binary, false))));
        for never in [0xc9, 0xc0, 0xe1] {
            assert_eq!(known(never), Err(BadFrame::Unknown), "{never:x}");
        }
    }

    #[test]
    fn a_frame_comes_back_as_it_was_written() {
        for length in [0, 1, 125, 126, 4_000] {
            let payload = vec![b'x'; length];
            let mut masked = Vec::new();
            write(&mut masked, Opcode::Text, &payload, [1, 2, 3, 4]);
            assert_eq!(unmasked(&masked), Some((payload.clone(), masked.len())));
            assert_eq!(unmasked(&masked[..masked.len() - 1]), None);
            let mut plain = Vec::new();
            write_unmasked(&mut plain, &payload);
            let frame = next(&plain, false).expect("is good").expect("is whole");
            assert_eq!((frame.payload, frame.length), (&payload[..], plain.len()));
        }
    }

    #[test]
    fn a_clients_frame_is_masked() {
        let mut out = Vec::new();
        write(&mut out, Opcode::Text, b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
        // RFC 6455, 5.7.
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }
}

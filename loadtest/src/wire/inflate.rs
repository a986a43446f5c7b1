//! Compressed messages (permessage-deflate without context takeover, RFC 7692).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use flate2::{Decompress, FlushDecompress, Status};

use super::frame::PAYLOAD_MAX;

/// What a compressed message lacks at its end (RFC 7692, 7.2.2), and an empty last block, which data that breaks
/// off inside of a block does not come to.
const TAIL: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];
/// Messages that are remembered.
const KNOWN_MAX: usize = 1_024;

/// Inflates messages; what thousands of viewers get is inflated once.
#[derive(Debug)]
pub(crate) struct Inflater {
    inflater: Decompress,
    known: HashMap<u64, Arc<[u8]>>,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self {
            inflater: Decompress::new(false),
            known: HashMap::new(),
        }
    }

    /// The message; `None` if this is none, or it is too long.
    pub(crate) fn inflate(&mut self, compressed: &[u8]) -> Option<Arc<[u8]>> {
        let mut hasher = DefaultHasher::new();
        hasher.write(compressed);
        let hash = hasher.finish();
        if let Some(message) = self.known.get(&hash) {
            return Some(Arc::clone(message));
        }
        let message: Arc<[u8]> = self.inflate_anew(compressed)?.into();
        if self.known.len() == KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(hash, Arc::clone(&message));
        Some(message)
    }

    fn inflate_anew(&mut self, compressed: &[u8]) -> Option<Vec<u8>> {
        self.inflater.reset(false);
        let whole = [compressed, &TAIL].concat();
        let mut message = Vec::with_capacity(whole.len() * 4);
        loop {
            let taken = usize::try_from(self.inflater.total_in()).ok()?;
            let status = self
                .inflater
                .decompress_vec(whole.get(taken..)?, &mut message, FlushDecompress::Sync)
                .ok()?;
            if message.len() > PAYLOAD_MAX {
                return None;
            }
            match status {
                Status::StreamEnd => return Some(message),
                Status::Ok if message.len() == message.capacity() => {}
                Status::Ok | Status::BufError => return None,
            }
            message.reserve(message.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};

    use super::*;

    fn compressed(message: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(message.len() + 64);
        Compress::new(Compression::default(), false)
            .compress_vec(message, &mut bytes, FlushCompress::Sync)
            .expect("the buffer is long enough");
        bytes.strip_suffix(&TAIL[..4]).expect("so a sync flush ends").to_vec()
    }

    #[test]
    fn a_message_comes_back_as_it_was_also_the_second_time() {
        let mut inflater = Inflater::new();
        for message in [&b""[..], b"one", &b"again and again ".repeat(2_000)] {
            for _ in 0..2 {
                assert_eq!(inflater.inflate(&compressed(message)).as_deref(), Some(message));
            }
        }
    }

    #[test]
    fn what_is_cut_off_garbled_or_too_long_is_no_message() {
        let whole = compressed(&b"again and again ".repeat(2_000));
        let mut inflater = Inflater::new();
        assert_eq!(inflater.inflate(&whole[..whole.len() / 2]), None);
        assert_eq!(inflater.inflate(&[0xff; 40]), None);
        assert_eq!(inflater.inflate(&compressed(&vec![0; PAYLOAD_MAX + 1])), None);
    }
}

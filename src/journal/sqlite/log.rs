//! The write-ahead log as a file at rest, before SQLite opens it.
//!
//! SQLite takes a log up to its first frame that does not fit its checksum and forgets the rest without a word:
//! right for a commit that a crash interrupted, which was never answered, and wrong for a damaged log, where it
//! would take back commits that were. The two can be told apart: a commit is synced before the next begins, so
//! behind an interrupted one there is no other.
//!
//! What cannot be told: a log that was cut short from one whose last commit was interrupted, and a damage in the
//! last commit alone. Format: <https://sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::fs;
use std::io;
use std::path::Path;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The checksums are over words of the byte order that the last bit says: 1 is big-endian.
const MAGIC: u32 = 0x377f_0682;

/// Says what is wrong with a log, if it holds commits that SQLite would not find.
pub(super) fn damage(log: &Path) -> io::Result<Option<String>> {
    match fs::read(log) {
        Ok(bytes) => Ok(damage_of(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn damage_of(bytes: &[u8]) -> Option<String> {
    // One that was never synced may be empty, short or zeros.
    let header = bytes
        .get(..HEADER)
        .filter(|header| header.iter().any(|byte| *byte != 0))?;
    let word = |bytes: &[u8], n: usize| {
        u32::from_be_bytes([bytes[4 * n], bytes[4 * n + 1], bytes[4 * n + 2], bytes[4 * n + 3]])
    };
    let big_endian = word(header, 0) == MAGIC + 1;
    let mut sum = Sum::default();
    sum.add(&header[..24], big_endian);
    let sound = (big_endian || word(header, 0) == MAGIC) && sum == Sum(word(header, 6), word(header, 7));
    if !sound {
        return Some("the header of its write-ahead log is damaged".to_owned());
    }
    let (page, salts) = (word(header, 2) as usize, &header[16..24]);
    let mut broken_at = None;
    let mut commits_behind = 0;
    for (n, frame) in bytes[HEADER..].chunks_exact(FRAME_HEADER + page).enumerate() {
        let own = frame[8..16] == *salts;
        if broken_at.is_none() {
            sum.add(&frame[..8], big_endian);
            sum.add(&frame[FRAME_HEADER..], big_endian);
            if !own || sum != Sum(word(frame, 4), word(frame, 5)) {
                broken_at = Some(n + 1);
            }
        }
        // Frames of an earlier log that this one has not yet written over bear other salts.
        commits_behind += u32::from(broken_at.is_some() && own && word(frame, 1) != 0);
    }
    broken_at.filter(|_| commits_behind > 1).map(|frame| {
        format!(
            "its write-ahead log is damaged in frame {frame}, and {commits_behind} commits stand there or behind it"
        )
    })
}

/// The running checksum of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum(u32, u32);

impl Sum {
    fn add(&mut self, bytes: &[u8], big_endian: bool) {
        for pair in bytes.chunks_exact(8) {
            let word = |at: usize| {
                let bytes = [pair[at], pair[at + 1], pair[at + 2], pair[at + 3]];
                if big_endian {
                    u32::from_be_bytes(bytes)
                } else {
                    u32::from_le_bytes(bytes)
                }
            };
            self.0 = self.0.wrapping_add(word(0)).wrapping_add(self.1);
            self.1 = self.1.wrapping_add(word(4)).wrapping_add(self.0);
        }
    }
}

//! Whether a write failed because there is no room, where SQLite does not say so.
//!
//! Of a failed write SQLite tells a full disk (`ENOSPC`) from everything else, and the system's word for the rest is only
//! to be had by unsafe code. A quota (`EDQUOT`) and a limit of file sizes (`EFBIG`) are as harmless as a full disk and
//! pass as it does. So what failed is tried once more, on a file that nobody needs.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::FILE;

/// As much as a large batch takes.
const BYTES: usize = 1 << 20;

/// Whether a folder's journal and its log can grow no further for want of room.
pub(super) fn takes_no_more(folder: &Path) -> bool {
    let written = grow(folder);
    written.is_err_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
        )
    })
}

/// Writes where the longer of the two ends, in a file of its own, which has nothing before that.
fn grow(folder: &Path) -> io::Result<()> {
    let bytes = |name: &str| fs::metadata(folder.join(name)).map_or(0, |file| file.len());
    let end = bytes(FILE).max(bytes(&format!("{FILE}-wal")));
    let probe = folder.join("journal.probe");
    let written = File::create(&probe).and_then(|file| file.write_all_at(&vec![1; BYTES], end));
    // One that stays is written over by the next.
    let _ = fs::remove_file(&probe);
    written
}

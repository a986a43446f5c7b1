//! Marks in a data folder, by which those who use it know of each other: a backup says when the last one was made, the
//! server how far its time is from the wall clock. Not copied with the data, as their names begin with a dot.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::SystemTime;

use super::Problem;
use super::files::at;
use crate::clock::Clock;
use crate::journal::sqlite::{JournalFile, OpenError, take_folder};
use crate::room::Timestamp;

const BACKUP: &str = ".last-backup";
const CLOCK: &str = ".clock-ahead-ms";

/// Notes that a data folder has been backed up just now.
///
/// # Errors
///
/// [`Problem::File`].
pub fn note_backup(data: &Path) -> Result<(), Problem> {
    let mark = data.join(BACKUP);
    // It may be somebody else's, such as root's: then only the folder's owner can make a new one.
    let _ = fs::remove_file(&mark);
    write(&mark, "").map_err(at(&mark))
}

/// Writes a mark, which is its owner's alone like all that is in the folder.
fn write(mark: &Path, text: &str) -> io::Result<()> {
    let options = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .clone();
    options.open(mark)?.write_all(text.as_bytes())
}

/// When a data folder was last backed up, as far as is known.
pub fn last_backup(data: &Path) -> Option<SystemTime> {
    fs::metadata(data.join(BACKUP)).and_then(|mark| mark.modified()).ok()
}

/// Notes how far the time of the server of a data folder is ahead of the wall clock, where that is worth it.
///
/// # Errors
///
/// [`Problem::File`].
pub fn note_clock(data: &Path, ahead_ms: Option<i64>) -> Result<(), Problem> {
    let mark = data.join(CLOCK);
    let noted = match ahead_ms {
        Some(ahead_ms) => write(&mark, &ahead_ms.to_string()),
        None => fs::remove_file(&mark).or_else(|error| match error.kind() {
            ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        }),
    };
    noted.map_err(at(&mark))
}

/// Time by the clock of a data folder's server: the running one's, or what one would start at now. Of a folder that cannot be
/// read, the wall clock's.
pub fn time_in(data: &Path) -> Timestamp {
    let lock = data.join("journal.lock").exists().then(|| take_folder(data));
    if let Some(Err(OpenError::Taken { .. })) = lock {
        let noted = fs::read_to_string(data.join(CLOCK)).ok();
        let ahead_ms: i64 = noted.and_then(|noted| noted.parse().ok()).unwrap_or(0);
        let wall = Clock::start().now();
        return Timestamp(wall.0.saturating_add_signed(ahead_ms));
    }
    drop(lock);
    let newest = JournalFile::open(data, false).ok().and_then(|file| file.newest().ok());
    Clock::start_after(newest.flatten()).now()
}

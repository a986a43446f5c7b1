//! The mark that a backup leaves in the data folder that it is of, by which the server knows when the last one was made.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::Problem;
use super::files::at;

/// Not copied with the data, as its name begins with a dot.
const MARK: &str = ".last-backup";

/// Notes that a data folder has been backed up just now.
///
/// # Errors
///
/// [`Problem::File`].
pub fn note_backup(data: &Path) -> Result<(), Problem> {
    let mark = data.join(MARK);
    // It may be somebody else's, such as root's: then only the folder's owner can make a new one.
    let _ = fs::remove_file(&mark);
    fs::write(&mark, b"").map_err(at(&mark))
}

/// When a data folder was last backed up, as far as is known.
pub fn last_backup(data: &Path) -> Option<SystemTime> {
    fs::metadata(data.join(MARK)).and_then(|mark| mark.modified()).ok()
}

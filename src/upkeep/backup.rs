//! Backups, and bringing them back.

use std::path::Path;

use super::files::{copy_beside_journal, make_folder, must_be_empty};
use super::recover::rebuild;
use super::{Kept, Problem, check};
use crate::journal::sqlite::{JournalFile, NewJournal, copy, take_folder};

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Rooms.
    pub rooms: usize,
    /// Files beside the journal: covers, the secret.
    pub files: usize,
    /// The secret that signs tokens is one of them.
    pub secret: bool,
}

/// What was brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Each room, with where it goes on.
    pub rooms: Vec<Kept>,
    /// The secret that signs tokens came with it.
    pub secret: bool,
}

/// Copies a data folder into a new or empty one, also while a server uses it: the journal as it is at one moment, then
/// all files beside it, of which the journal of that moment names none that is not there by then. The journal comes
/// under its name only at the very end, so that an interrupted backup is no backup.
///
/// # Errors
///
/// See [`Problem`].
pub fn back_up(data: &Path, to: &Path) -> Result<Backup, Problem> {
    must_be_empty(to)?;
    make_folder(to)?;
    let journal = copy(data, to)?;
    let files = copy_beside_journal(data, to)?;
    journal.finish()?;
    let streams = JournalFile::open(to, true)?.streams()?;
    Ok(Backup {
        rooms: streams.iter().filter(|stream| is_room(&stream.name)).count(),
        files,
        secret: to.join("secret").exists(),
    })
}

/// Brings a backup back into a new or empty data folder. Every room begins a new epoch.
///
/// # Errors
///
/// See [`Problem`]; a damaged backup is not restored.
pub fn restore(from: &Path, data: &Path) -> Result<Restored, Problem> {
    must_be_empty(data)?;
    let report = check(from, true)?;
    if let Some(first) = report.faults.first() {
        return Err(Problem::DamagedBackup {
            from: from.to_owned(),
            first: first.clone(),
            count: report.faults.len(),
        });
    }
    let _lock = take_folder(data)?;
    let file = JournalFile::open(from, true)?;
    let new = NewJournal::begin(data)?;
    let rooms = rebuild(&file, &new)?;
    let whole = new.end()?;
    copy_beside_journal(from, data)?;
    whole.finish()?;
    Ok(Restored {
        rooms,
        secret: data.join("secret").exists(),
    })
}

fn is_room(stream: &str) -> bool {
    stream != crate::journal::HOUSE
}

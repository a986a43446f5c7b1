//! What is done to a data folder: backups of a running server's, checks, restoring, keeping what is sound of a
//! damaged journal, export and erasure of one viewer's data, retention. It is the one place, beside the hub, that
//! knows both the journal's files and what the records mean.
//!
//! A restored or recovered journal holds less than clients have seen. So each of its rooms begins a new epoch: a
//! client with an older cursor is told to start from a keyframe and never gets a mixture of two pasts.

mod backup;
mod check;
mod files;
mod mark;
mod person;
mod recover;
mod retention;

use std::io;
use std::path::PathBuf;

pub use backup::{Backup, Restored, back_up, restore};
pub use check::{Report, check};
pub use mark::{last_backup, note_backup, note_clock, time_in};
pub use person::{erase, export, forget, set_aside};
pub use recover::{Kept, Recovered, recover};
pub use retention::forget_ended;

pub use crate::hub::person::{Erased, Export, InRoom, Text, Who};
use crate::journal::ReadError;
use crate::journal::sqlite::OpenError;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A journal cannot be opened, read or written.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// A journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file or folder cannot be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The folder that something was to be written to holds something.
    #[error("{} is not empty: nothing is written over", folder.display())]
    NotEmpty {
        /// Which.
        folder: PathBuf,
    },
    /// There is no journal.
    #[error("there is no journal in {}", folder.display())]
    NoJournal {
        /// In which folder.
        folder: PathBuf,
    },
    /// A journal is so damaged that its rooms cannot even be listed.
    #[error("nothing can be kept of the journal ({reason}): `hubbub restore` brings a backup back")]
    NothingSound {
        /// What is wrong with it.
        reason: String,
    },
    /// No room knows the viewer.
    #[error("no room knows this viewer")]
    UnknownViewer,
    /// What an earlier recovery set aside holds the viewer too.
    #[error("{} holds a damaged journal, of which nothing can be erased: remove that folder first", folder.display())]
    DamagedAside {
        /// Which.
        folder: PathBuf,
    },
    /// A backup that is not as it was written.
    #[error("the backup is damaged, so nothing was restored: {first} (`hubbub check {}` lists all {count})", from.display())]
    DamagedBackup {
        /// The backup.
        from: PathBuf,
        /// The first fault.
        first: String,
        /// How many there are.
        count: usize,
    },
}

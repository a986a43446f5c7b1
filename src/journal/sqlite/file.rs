//! A journal's file without a server: read as it is at one moment, copied, or written anew.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rusqlite::{Connection, OpenFlags};

use super::format::{self, FORMAT};
use super::store::{self, Stream};
use super::{FILE, OpenError, PARTIAL, check_log, make_private_file, sync_folder};
use crate::journal::{CatalogueRow, Erasure, ReadError, Record, Snapshot};
use crate::room::Timestamp;

/// A journal's file, read as it is at one moment, also while a server writes to it. One of an older format is read
/// as if it were of this one, and stays as it is.
pub struct JournalFile {
    db: Connection,
}

impl JournalFile {
    /// Opens the journal in a folder. `at_rest`: no server writes to it, so that its log can be looked at too.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open(folder: &Path, at_rest: bool) -> Result<Self, OpenError> {
        let file = folder.join(FILE);
        if folder.join(PARTIAL).exists() {
            return Err(OpenError::Unfinished { dir: folder.to_owned() });
        }
        if at_rest {
            check_log(&file)?;
        }
        Self::open_with_any_log(&file)
    }

    /// The same for a file by its own name, of whose log only the commits up to a damage are seen.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open_with_any_log(file: &Path) -> Result<Self, OpenError> {
        if let Err(cause) = File::open(file) {
            let path = file.to_owned();
            return Err(OpenError::File { path, cause });
        }
        let unusable = |error: rusqlite::Error| store::unusable(file, &error);
        let open = |flags| Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX);
        let db = open(OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(unusable)?;
        store::configure(&db).map_err(unusable)?;
        let found = format::look(&db).map_err(unusable)?;
        let Some(found) = store::known(file, found)? else {
            return Err(empty(file));
        };
        if found == FORMAT {
            db.execute_batch("BEGIN").map_err(unusable)?;
            return Ok(Self { db });
        }
        drop(db);
        let db = open(OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(unusable)?;
        store::configure(&db).map_err(unusable)?;
        // Never committed: it ends with the connection.
        db.execute_batch("BEGIN IMMEDIATE").map_err(unusable)?;
        format::upgrade(&db, found).map_err(unusable)?;
        Ok(Self { db })
    }

    /// What SQLite itself finds wrong: broken pages, indexes that do not fit their tables.
    ///
    /// # Errors
    ///
    /// The file is so broken that it cannot even be looked through.
    pub fn faults(&self) -> Result<Vec<String>, ReadError> {
        let rows = || -> rusqlite::Result<Vec<String>> {
            let mut check = self.db.prepare("PRAGMA integrity_check(20)")?;
            check.query_map((), |row| row.get(0))?.collect()
        };
        let mut faults = rows().map_err(store::unavailable)?;
        faults.retain(|line| line != "ok");
        Ok(faults)
    }

    /// The streams, in order of name.
    ///
    /// # Errors
    ///
    /// Their table cannot be read.
    pub fn streams(&self) -> Result<Vec<Stream>, ReadError> {
        store::streams(&self.db).map_err(store::unavailable)
    }

    /// Server time of the newest record of all streams, damaged ones left out.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub fn newest(&self) -> Result<Option<Timestamp>, ReadError> {
        store::newest(&self.db).map_err(store::unavailable)
    }

    /// Calls `each` with every record of a stream, oldest first, up to the first that is not as it was written, is
    /// not there, or that `each` finds at fault.
    ///
    /// # Errors
    ///
    /// What is wrong there; also that the log ends before the stream's head.
    pub fn walk(
        &self,
        stream: &Stream,
        each: &mut dyn FnMut(Record) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        store::walk(&self.db, stream, each)
    }

    /// A stream's row of the catalogue, and whether it is as it was written.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn row(&self, stream: &Stream) -> Result<Option<(CatalogueRow, bool)>, ReadError> {
        store::row_of(&self.db, stream).map_err(store::unavailable)
    }

    /// A stream's snapshot, if there is one, and whether it is as it was written.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn snapshot(&self, stream: &Stream) -> Result<Option<(Snapshot, bool)>, ReadError> {
        store::snapshot_of(&self.db, &stream.name).map_err(store::unavailable)
    }

    /// A stream's contact details, and whether each is as it was written.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub fn contacts(&self, stream: &Stream) -> Result<Vec<(String, Bytes, bool)>, ReadError> {
        store::contacts_of(&self.db, &stream.name, "").map_err(store::unavailable)
    }
}

/// Copies the journal of a folder as it is at one moment into another folder, also while a server writes to it. It
/// stands there under a name of its own until [`PartialCopy::finish`].
///
/// # Errors
///
/// See [`OpenError`].
pub fn copy(from: &Path, to: &Path) -> Result<PartialCopy, OpenError> {
    let file = from.join(FILE);
    if let Err(cause) = File::open(&file) {
        return Err(OpenError::File { path: file, cause });
    }
    let unusable = |error: rusqlite::Error| store::unusable(&file, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(&file, flags).map_err(unusable)?;
    store::configure(&db).map_err(unusable)?;
    if store::known(&file, format::look(&db).map_err(unusable)?)?.is_none() {
        return Err(empty(&file));
    }
    let partial = to.join(PARTIAL);
    make_private_file(&partial)?;
    db.execute("VACUUM INTO ?1", [partial.to_string_lossy()])
        .map_err(unusable)?;
    let folder = to.to_owned();
    Ok(PartialCopy { partial, folder })
}

/// A journal that is whole but not yet in its place.
#[must_use]
pub struct PartialCopy {
    partial: PathBuf,
    folder: PathBuf,
}

impl PartialCopy {
    /// Makes it durable and puts it into its place.
    ///
    /// # Errors
    ///
    /// The file system refuses.
    pub fn finish(self) -> Result<(), OpenError> {
        let Self { partial, folder } = self;
        File::open(&partial)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&partial, folder.join(FILE)))
            .map_err(|cause| OpenError::File { path: partial, cause })?;
        sync_folder(&folder)
    }
}

/// A journal's file that is written anew, stream by stream; nothing stands in its place until it is finished.
pub struct NewJournal {
    db: Connection,
    partial: PathBuf,
    folder: PathBuf,
}

impl NewJournal {
    /// Begins one in a folder, which no server takes before it is finished.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn begin(folder: &Path) -> Result<Self, OpenError> {
        Self::begin_as(folder, PARTIAL)
    }

    /// The same, aside under another name.
    pub(super) fn begin_as(folder: &Path, name: &str) -> Result<Self, OpenError> {
        let partial = folder.join(name);
        // What an interrupted one left.
        let _ = fs::remove_file(&partial);
        make_private_file(&partial)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let made = Connection::open_with_flags(&partial, flags).and_then(|db| {
            // It is synced as a whole, and worth nothing before.
            db.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN")?;
            format::create(&db).map(|()| db)
        });
        let folder = folder.to_owned();
        match made {
            Ok(db) => Ok(Self { db, partial, folder }),
            Err(error) => Err(store::unusable(&partial, &error)),
        }
    }

    /// Adds a stream, without records.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn add_stream(&self, name: &str, epoch: u64) -> Result<Stream, OpenError> {
        let number = store::add_stream(&self.db, name, epoch).map_err(|error| self.unusable(&error))?;
        let name = name.to_owned();
        Ok(Stream { name, number, epoch })
    }

    /// Adds a record to a stream, which is as long as the record's first offset says.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn add_record(&self, stream: &Stream, record: &Record) -> Result<(), OpenError> {
        let checksum = store::record_checksum(&stream.name, record);
        store::put_record(&self.db, stream.number, record, &checksum).map_err(|error| self.unusable(&error))
    }

    /// Sets a stream's row of the catalogue.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn put_row(&self, stream: &Stream, row: &CatalogueRow) -> Result<(), OpenError> {
        store::put_row(&self.db, stream.number, row).map_err(|error| self.unusable(&error))
    }

    /// Adds contact details to a stream.
    ///
    /// # Errors
    ///
    /// They cannot be written.
    pub fn add_contact(&self, stream: &Stream, key: &str, value: &[u8]) -> Result<(), OpenError> {
        store::put_contact(&self.db, stream.number, &stream.name, key, value).map_err(|error| self.unusable(&error))
    }

    /// All of it is there: it can be made durable and put into its place.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn end(self) -> Result<PartialCopy, OpenError> {
        self.db.execute_batch("COMMIT").map_err(|error| self.unusable(&error))?;
        let Self { partial, folder, .. } = self;
        Ok(PartialCopy { partial, folder })
    }

    fn unusable(&self, error: &rusqlite::Error) -> OpenError {
        store::unusable(&self.partial, error)
    }
}

/// Erases from the journal of a folder that the caller has taken, and leaves no remains in its files: neither in free
/// pages nor in the log. The streams' snapshots go too, since they hold what the log says.
///
/// # Errors
///
/// See [`OpenError`]. Nothing is erased, or all is and remains may be left: the same again makes sure.
pub fn erase(folder: &Path, erasures: &[Erasure]) -> Result<(), OpenError> {
    let file = folder.join(FILE);
    check_log(&file)?;
    let unusable = |error: rusqlite::Error| store::unusable(&file, &error);
    let mut db = store::open(&file, None)?;
    let transaction = db.transaction().map_err(unusable)?;
    for erasure in erasures {
        store::erase(&transaction, erasure).map_err(unusable)?;
    }
    transaction.commit().map_err(unusable)?;
    store::write_anew(&db).map_err(unusable)?;
    drop(db);
    File::open(&file)
        .and_then(|file| file.sync_all())
        .and_then(|()| unmark(folder))
        .map_err(|cause| OpenError::File { path: file, cause })
}

/// While it is there, unused parts of the journal's file may hold what was erased.
fn unswept(folder: &Path) -> PathBuf {
    folder.join("journal.unswept")
}

/// Notes durably that something is about to be erased.
pub(super) fn mark(folder: &Path) -> io::Result<()> {
    if is_marked(folder) {
        return Ok(());
    }
    File::create(unswept(folder))?;
    File::open(folder)?.sync_all()
}

/// Notes that nothing is left of what was erased.
pub(super) fn unmark(folder: &Path) -> io::Result<()> {
    match fs::remove_file(unswept(folder)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether something may be left.
pub(super) fn is_marked(folder: &Path) -> bool {
    unswept(folder).exists()
}

pub(super) fn empty(file: &Path) -> OpenError {
    OpenError::Damaged {
        file: file.to_owned(),
        reason: "it is empty".to_owned(),
    }
}

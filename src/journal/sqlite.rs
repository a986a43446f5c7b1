//! The embedded journal: one SQLite file, one writer thread, a few reading threads.
//!
//! The writer takes all that waits, of all streams, executes it in one transaction and answers when that
//! is synced: the busier the server, the more appends share one sync. Every connection is in WAL mode with
//! `synchronous=FULL`, which syncs the log before a commit returns and before any reader can see it.
//!
//! What SQLite leaves to its user, and how it is kept here:
//!
//! - It ignores errors of its automatic checkpoints, but a sync that failed once must not be trusted later.
//!   So checkpoints are made by the writer, and a failed sync in one of them is fatal as well.
//! - A connection that closes makes a last checkpoint. After a failed sync that would copy pages which may
//!   be on no disk, so this is off; an orderly [`close`](super::Journal::close) makes its own.
//! - After kill -9 the log may end with a commit that was written but never synced, and recovery shows it.
//!   So opening makes a checkpoint, which syncs the log first: what is read is durable from the first read on.
//!
//! When a transaction fails, whether it was written is decided so (`writer::accident`):
//!
//! | error | in BEGIN or a statement | in COMMIT |
//! |---|---|---|
//! | disk full | not written | not written: only writing the log's frames can say so, and the frame that makes a commit valid is the last one written |
//! | a write failed, and the folder takes no more | as a full disk | as a full disk |
//! | sync | unknown, fatal | unknown, fatal: a restart may find it or not |
//! | any other | not written: a transaction without COMMIT is never recovered | unknown, fatal |
//!
//! The third is what a quota or a limit of file sizes looks like: SQLite keeps to itself what the system said, so a file
//! beside the journal is written to hear it again (`full`).
//!
//! Fatal: [`failed`](super::Journal::failed) resolves, later appends are refused, the process must stop. The
//! tail is worth comparing only after the restart.

mod file;
mod format;
mod full;
mod log;
mod queue;
mod reader;
mod store;
mod writer;

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

pub use self::file::{JournalFile, NewJournal, PartialCopy, copy, erase};
use self::queue::Queue;
use self::reader::Read;
pub use self::store::Stream;
use self::writer::{Job, Work, Writer};
use super::{ADVICE, Append, AppendError, Appended, CatalogueRow, Erasure, Journal, ReadError, Record, Snapshot};
use crate::room::{Offset, Timestamp};

/// Limits of an embedded journal, and who is told of its commits.
#[derive(Clone)]
pub struct Options {
    /// Appends, snapshots and removals that may wait for the writer. Too few: refusals in a burst of many
    /// rooms. Each room has one append under way, so this is about the number of rooms busy at once.
    pub queue_jobs_max: usize,
    /// Bytes that may wait for the writer; one job alone may be larger. Too few: refusals while a sync is
    /// slow. The default holds 128 batches of the largest size (512 KiB).
    pub queue_bytes_max: usize,
    /// Threads that read, each with a connection and a page cache of 2 MB. One long read keeps one busy.
    pub readers: usize,
    /// Reads that may wait for them.
    pub reads_max: usize,
    /// Largest size of the file; beyond it the journal is full, as if the disk were. None: the disk decides.
    /// The write-ahead log beside the file comes on top: usually 4 MiB, at most 64 MiB for long.
    pub file_bytes_max: Option<u64>,
    /// Called on the writer's thread after each commit; must be quick.
    pub on_commit: Option<OnCommit>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue_jobs_max: 4096,
            queue_bytes_max: 64 << 20,
            readers: 2,
            reads_max: 4096,
            file_bytes_max: None,
            on_commit: None,
        }
    }
}

/// Is told of each commit: feeds histograms.
pub type OnCommit = Arc<dyn Fn(Commit) + Send + Sync>;

/// One commit that made appends durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// From the transaction's begin until it was synced.
    pub took: Duration,
    /// Appends made durable by it, at least 1.
    pub appends: usize,
    /// Events in them.
    pub events: usize,
}

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another journal of this one, has the folder open.
    #[error("the journal in {} is in use by another process", dir.display())]
    Taken {
        /// The folder.
        dir: PathBuf,
    },
    /// Written by a newer version of the program.
    #[error("the journal's format is {found}, this program reads up to {known}: use the newer program that wrote it")]
    Newer {
        /// Format of the file.
        found: u32,
        /// Newest format known.
        known: u32,
    },
    /// The file's contents are not as they were written.
    #[error("{} is damaged ({reason}){ADVICE}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A restore or recovery into this folder was not finished.
    #[error("in {} a restore or recovery was interrupted: run it again, a restore after emptying the folder", dir.display())]
    Unfinished {
        /// The folder.
        dir: PathBuf,
    },
    /// The file holds something else.
    #[error("{} is not a journal", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// The folder or a file in it cannot be made or opened.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// SQLite cannot work with the file.
    #[error("{}: {reason}", file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What SQLite says.
        reason: String,
    },
}

/// The journal in its folder.
pub const FILE: &str = "journal.sqlite";

/// One that is being written: it takes its place when it is whole.
pub const PARTIAL: &str = "journal.sqlite.partial";

/// Version of the SQLite library in this program, for the log.
pub fn library_version() -> &'static str {
    rusqlite::version()
}

/// The embedded journal. Dropping it finishes what waits in the background; to open the folder again in the
/// same process, [`close`](Journal::close) it first.
pub struct Sqlite {
    dir: PathBuf,
    writes: Arc<Queue<Job>>,
    reads: Arc<Queue<Read>>,
    failed: watch::Receiver<Option<String>>,
    /// Its sender is dropped when the last thread has closed its connection.
    ended: watch::Receiver<()>,
}

/// What every thread of a journal holds until it has closed its connection: the lock on the folder, which
/// the kernel also releases when the process is killed, and the news of the end. Dropped in this order.
#[derive(Clone)]
struct Tenancy {
    _lock: Arc<File>,
    _ended: watch::Sender<()>,
}

impl Sqlite {
    /// Opens the journal in a folder, making both (readable by the owner only) if they are not there, and
    /// owns it until closed. Blocks: it recovers, and compares the catalogue with the logs' ends.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; nothing in the file is changed before its format is known.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        let lock = take_folder(dir)?;
        let file = dir.join(FILE);
        if dir.join(PARTIAL).exists() {
            return Err(OpenError::Unfinished { dir: dir.to_owned() });
        }
        if !file.exists() {
            make_new(dir)?;
        }
        make_private_file(&file)?;
        check_log(&file)?;
        let db = store::open(&file, options.file_bytes_max)?;
        sync_folder(dir)?;

        let (ended_sender, ended) = watch::channel(());
        let tenancy = Tenancy {
            _lock: Arc::new(lock),
            _ended: ended_sender,
        };
        let reads = Arc::new(Queue::new(options.reads_max, usize::MAX));
        let writes = Arc::new(Queue::new(options.queue_jobs_max, options.queue_bytes_max));
        let (failed_sender, failed) = watch::channel(None);
        let journal = Self {
            dir: dir.to_owned(),
            writes: writes.clone(),
            reads: reads.clone(),
            failed,
            ended,
        };
        for _ in 0..options.readers.max(1) {
            let db = store::open_reader(&file)?;
            let reads = reads.clone();
            spawn("journal-reader", &file, tenancy.clone(), move || {
                reader::run(db, &reads)
            })?;
        }
        let writer = Writer::new(db, dir.to_owned(), writes, failed_sender, options.on_commit);
        spawn("journal-writer", &file, tenancy, move || writer.run())?;
        Ok(journal)
    }

    fn write(&self, bytes: usize, work: Work) -> BoxFuture<'static, Appended> {
        let (answer, answered) = oneshot::channel();
        let queued = self.writes.push(bytes, Job { bytes, work, answer });
        Box::pin(async move {
            match queued {
                Ok(()) => answered
                    .await
                    .unwrap_or_else(|_| Appended::Unknown("the journal's writer ended".to_owned())),
                Err(reason) => refused(reason),
            }
        })
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, ReadError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, ReadError>> {
        let (answer, answered) = oneshot::channel();
        let read: Read = Box::new(move |db| {
            // Who no longer waits needs no answer.
            let _ = answer.send(question(db));
        });
        let queued = self.reads.push(0, read);
        Box::pin(async move {
            queued.map_err(ReadError::Unavailable)?;
            let ended = |_| Err(ReadError::Unavailable("the journal's reader ended".to_owned()));
            answered.await.unwrap_or_else(ended)
        })
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.writes.close("the journal is closed");
        self.reads.close("the journal is closed");
    }
}

impl Journal for Sqlite {
    fn append(&self, append: Append) -> BoxFuture<'static, Appended> {
        if let Some(fault) = store::fault(&append) {
            return Box::pin(async move { refused(fault.to_owned()) });
        }
        // Here and not in the writer, whose time all rooms share.
        let checksum = store::record_checksum(&append.row.stream, &append.record);
        let bytes = store::bytes(&append);
        self.write(bytes, Work::Append(append, checksum))
    }

    fn read(
        &self,
        stream: &str,
        after: Offset,
        bytes_max: usize,
    ) -> BoxFuture<'static, Result<Vec<Record>, ReadError>> {
        let stream = stream.to_owned();
        self.ask(move |db| store::read(db, &stream, after, bytes_max))
    }

    fn tail(
        &self,
        stream: &str,
        records_max: usize,
        bytes_max: usize,
    ) -> BoxFuture<'static, Result<Vec<Record>, ReadError>> {
        let stream = stream.to_owned();
        self.ask(move |db| store::tail(db, &stream, records_max, bytes_max))
    }

    fn newest(&self) -> BoxFuture<'static, Result<Option<Timestamp>, ReadError>> {
        self.ask(|db| store::newest(db).map_err(store::unavailable))
    }

    fn catalogue(&self) -> BoxFuture<'static, Result<Vec<CatalogueRow>, ReadError>> {
        self.ask(store::catalogue)
    }

    fn put_snapshot(&self, stream: &str, snapshot: Snapshot) -> BoxFuture<'static, Result<(), AppendError>> {
        let checksum = store::snapshot_checksum(stream, &snapshot);
        let bytes = snapshot.state.len();
        let put = self.write(bytes, Work::PutSnapshot(stream.to_owned(), snapshot, checksum));
        Box::pin(async move { done(put.await) })
    }

    fn snapshot(&self, stream: &str) -> BoxFuture<'static, Result<Option<Snapshot>, ReadError>> {
        let stream = stream.to_owned();
        self.ask(move |db| store::snapshot(db, &stream))
    }

    fn contacts(&self, stream: &str, prefix: &str) -> BoxFuture<'static, Result<Vec<(String, Bytes)>, ReadError>> {
        let (stream, prefix) = (stream.to_owned(), prefix.to_owned());
        self.ask(move |db| store::contacts(db, &stream, &prefix))
    }

    fn remove(&self, stream: &str) -> BoxFuture<'static, Result<(), AppendError>> {
        let removal = self.write(0, Work::Remove(stream.to_owned()));
        Box::pin(async move { done(removal.await) })
    }

    fn erase(&self, erasure: Erasure) -> BoxFuture<'static, Result<(), AppendError>> {
        let bytes = erasure.records.iter().map(|(_, personal)| personal.len()).sum();
        let erased = self.write(bytes, Work::Erase(erasure));
        Box::pin(async move { done(erased.await) })
    }

    fn sweep(&self, bytes_max: u64) -> BoxFuture<'static, Result<bool, AppendError>> {
        let bytes = fs::metadata(self.dir.join(FILE)).map_or(0, |file| file.len());
        let swept = match (file::is_marked(&self.dir), bytes <= bytes_max) {
            (false, _) => Ok(true),
            (true, false) => Ok(false),
            (true, true) => Err(self.write(0, Work::Sweep)),
        };
        Box::pin(async move {
            match swept {
                Ok(swept) => Ok(swept),
                Err(sweeping) => done(sweeping.await).map(|()| true),
            }
        })
    }

    fn failed(&self) -> BoxFuture<'static, String> {
        let mut failed = self.failed.clone();
        Box::pin(async move {
            let cause = failed
                .wait_for(Option::is_some)
                .await
                .ok()
                .and_then(|cause| cause.clone());
            match cause {
                Some(cause) => cause,
                // Closed without having failed.
                None => std::future::pending().await,
            }
        })
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.writes.close("the journal is closed");
        self.reads.close("the journal is closed");
        let mut ended = self.ended.clone();
        Box::pin(async move { while ended.changed().await.is_ok() {} })
    }
}

fn refused(reason: String) -> Appended {
    Appended::NotWritten(AppendError::Unavailable(reason))
}

fn done(appended: Appended) -> Result<(), AppendError> {
    match appended {
        Appended::Durable => Ok(()),
        Appended::NotWritten(error) => Err(error),
        Appended::Unknown(cause) => Err(AppendError::Unavailable(cause)),
    }
}

fn spawn(name: &str, file: &Path, tenancy: Tenancy, run: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
    let run = move || {
        run();
        drop(tenancy);
    };
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map(drop).map_err(|cause| OpenError::File {
        path: file.to_owned(),
        cause,
    })
}

/// Makes the folder if need be, and takes it for this process, until what this gives is dropped or the process
/// is killed.
///
/// # Errors
///
/// [`OpenError::Taken`], or the folder cannot be made or opened.
pub fn take_folder(dir: &Path) -> Result<File, OpenError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |cause| OpenError::File { path, cause }
    };
    if !dir.exists() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(at(dir))?;
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_folder(parent.unwrap_or(Path::new(".")))?;
    }
    let path = dir.join("journal.lock");
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(at(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Taken { dir: dir.to_owned() }),
        Err(TryLockError::Error(cause)) => Err(at(&path)(cause)),
    }
}

/// Makes an empty journal. It has its name only when it is whole: a file without tables under that name has lost them.
fn make_new(dir: &Path) -> Result<(), OpenError> {
    NewJournal::begin_as(dir, "journal.sqlite.new")?.end()?.finish()
}

/// Commits that SQLite would silently leave out are damage.
fn check_log(file: &Path) -> Result<(), OpenError> {
    let path = beside(file, "-wal");
    match log::damage(&path) {
        Ok(None) => Ok(()),
        Ok(Some(reason)) => Err(OpenError::Damaged {
            file: file.to_owned(),
            reason,
        }),
        Err(cause) => Err(OpenError::File { path, cause }),
    }
}

/// A file whose name begins with another's, as SQLite names its own.
fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// SQLite gives the files beside the journal the journal's own permissions, so it must have them before.
fn make_private_file(file: &Path) -> Result<(), OpenError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(file)
        .and_then(|_| fs::set_permissions(file, Permissions::from_mode(0o600)))
        .map_err(|cause| OpenError::File {
            path: file.to_owned(),
            cause,
        })
}

/// Makes new names in a folder durable. SQLite does it for its log, but ignores when that fails; the files stay
/// until the next opening, so once is enough.
fn sync_folder(dir: &Path) -> Result<(), OpenError> {
    File::open(dir)
        .and_then(|opened| opened.sync_all())
        .map_err(|cause| OpenError::File {
            path: dir.to_owned(),
            cause,
        })
}

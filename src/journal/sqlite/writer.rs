//! The writing thread: group commit, erasing, checkpoints, and what an error means.

use std::iter::repeat;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, ffi};
use tokio::sync::{oneshot, watch};

use super::queue::{Queue, Taken};
use super::store::{self, Checksum};
use super::{Commit, OnCommit, file, full, refused};
use crate::journal::{Append, AppendError, Appended, Erasure, Snapshot, StreamId};

/// Appends are taken into one transaction up to this size: about 30 ms of work.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// From the start of a commit to that of the next one, as a multiple of what it took, where many streams write: an
/// eighth of the time goes into commits, the rest into gathering, or nearly each batch would be synced alone.
const GATHER: u32 = 8;
/// But not longer than this.
const GATHER_MAX: Duration = Duration::from_millis(2);

/// A checkpoint follows this much of log, as SQLite does by itself: it keeps readers and recovery quick.
const CHECKPOINT_BYTES: usize = 4 << 20;

/// After so much of log the pages that SQLite keeps in memory are given back: a storm of arrivals leaves 2 MB of them,
/// and the next commit reads the few that it needs from the system's cache.
const PAGES_KEPT_BYTES: usize = 1 << 20;

/// What a job costs in the log beside its own bytes: a page of the catalogue and one of the records.
const JOB_BYTES: usize = 2 * 4096;

/// Something to write, and who waits for the outcome.
pub(super) struct Job {
    pub(super) bytes: usize,
    pub(super) work: Work,
    pub(super) answer: oneshot::Sender<Appended>,
}

/// What to write.
pub(super) enum Work {
    Append(Append, Checksum),
    PutSnapshot(StreamId, Snapshot, Checksum),
    Remove(StreamId),
    Erase(Erasure),
    /// Alone, and no transaction's work: see [`Writer::sweep`].
    Sweep,
}

impl Work {
    fn execute(&self, db: &Connection) -> rusqlite::Result<Appended> {
        match self {
            Self::Append(append, checksum) => store::append(db, append, checksum),
            Self::PutSnapshot(stream, snapshot, checksum) => store::put_snapshot(db, stream, snapshot, checksum),
            Self::Remove(stream) => store::remove(db, stream),
            Self::Erase(erasure) => store::erase(db, erasure).map(|()| Appended::Durable),
            Self::Sweep => Ok(Appended::Durable),
        }
    }

    /// The stream that an append goes to.
    fn stream(&self) -> Option<&StreamId> {
        match self {
            Self::Append(append, _) => Some(&append.row.stream),
            _ => None,
        }
    }

    fn is_removal(&self) -> bool {
        matches!(self, Self::Remove(_))
    }

    /// It shares no transaction with others.
    fn is_alone(&self) -> bool {
        matches!(self, Self::Remove(_) | Self::Erase(_) | Self::Sweep)
    }
}

/// The thread's state.
pub(super) struct Writer {
    db: Connection,
    folder: PathBuf,
    queue: Arc<Queue<Job>>,
    failed: watch::Sender<Option<String>>,
    on_commit: Option<OnCommit>,
    /// Records of removed streams may be left.
    erasing: bool,
    /// About the bytes written to the log since the last checkpoint.
    log_bytes: usize,
    /// The same, since pages were last given back.
    pages_bytes: usize,
    /// What comes before waits until then for more ...
    not_before: Instant,
    /// ... unless it is of a stream of the last commit: there is hardly another then, and its room has gathered while
    /// it waited for its answer.
    just_written: Vec<StreamId>,
}

/// How a transaction ended that was not committed.
#[derive(Debug, PartialEq, Eq)]
enum Accident {
    /// Nothing was written, and nothing will be until there is room.
    Full,
    /// Nothing was written.
    Refused(String),
    /// A sync failed, or a commit may or may not have been written: nothing can be promised any more.
    Fatal(String),
}

/// Where in a transaction an error came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Begin,
    Work,
    Commit,
}

impl Writer {
    pub(super) fn new(
        db: Connection,
        folder: PathBuf,
        queue: Arc<Queue<Job>>,
        failed: watch::Sender<Option<String>>,
        on_commit: Option<OnCommit>,
    ) -> Self {
        Self {
            db,
            folder,
            queue,
            failed,
            on_commit,
            erasing: true,
            log_bytes: 0,
            pages_bytes: 0,
            not_before: Instant::now(),
            just_written: Vec::new(),
        }
    }

    /// Works until the queue ends.
    pub(super) fn run(mut self) {
        while let Some(group) = self.group() {
            if !group.is_empty() {
                self.commit(group);
            }
            if self.erasing {
                self.erase();
            }
            if self.log_bytes >= CHECKPOINT_BYTES {
                self.checkpoint("PASSIVE");
            }
            if self.pages_bytes >= PAGES_KEPT_BYTES {
                self.pages_bytes = 0;
                store::give_pages_back(&self.db);
            }
        }
        self.checkpoint("TRUNCATE");
    }

    /// All that waits, or the next thing that comes; nothing while there is something to erase.
    fn group(&self) -> Option<Vec<Job>> {
        let first = if self.erasing {
            match self.queue.take_if(|_| true) {
                Taken::Job(job) => job,
                Taken::Nothing => return Some(Vec::new()),
                Taken::End => return None,
            }
        } else {
            self.queue.wait()?
        };
        let again = first.work.stream().is_some_and(|it| self.just_written.contains(it));
        if !again {
            sleep(self.not_before.saturating_duration_since(Instant::now()));
        }
        // A removal is alone, so that it makes room even when there is none for the appends beside it, and an erasure,
        // so that nobody else waits for its mark in the folder.
        let alone = first.work.is_alone();
        let mut bytes = first.bytes;
        let mut group = vec![first];
        while !alone && let Taken::Job(job) = self.queue.take_if(|job| fits(job, bytes)) {
            bytes += job.bytes;
            group.push(job);
        }
        Some(group)
    }

    fn commit(&mut self, mut group: Vec<Job>) {
        if let Some(cause) = self.failed.borrow().clone() {
            return answer(group, repeat(refused(cause)));
        }
        if let Some(outcome) = self.before(&group[0].work) {
            return answer(group, [outcome]);
        }
        let begun = Instant::now();
        match self.execute(&group) {
            Ok(outcomes) => {
                let took = begun.elapsed();
                self.erasing |= group[0].work.is_removal();
                let bytes = group.iter().map(|job| job.bytes + JOB_BYTES).sum::<usize>();
                self.log_bytes += bytes;
                self.pages_bytes += bytes;
                let durable = group
                    .iter()
                    .zip(&outcomes)
                    .filter_map(|(job, outcome)| match &job.work {
                        Work::Append(append, _) if *outcome == Appended::Durable => Some(append.record.count as usize),
                        _ => None,
                    });
                let (appends, events) = durable.fold((0, 0), |(appends, events), count| (appends + 1, events + count));
                self.not_before = begun + (GATHER * took).min(GATHER_MAX);
                self.just_written = group.iter().filter_map(|job| job.work.stream()).cloned().collect();
                answer(group, outcomes);
                if let Some(on_commit) = self.on_commit.as_ref().filter(|_| appends > 0) {
                    on_commit(Commit { took, appends, events });
                }
            }
            // One that SQLite cannot execute must not take the others with it.
            Err((Accident::Refused(_), Phase::Work)) if group.len() > 1 => {
                for job in group.drain(..) {
                    self.commit(vec![job]);
                }
            }
            Err((accident, _)) => answer(group, repeat(accident.outcome())),
        }
    }

    /// What is done before a transaction, or instead of one, which is then the outcome.
    fn before(&mut self, work: &Work) -> Option<Appended> {
        match work {
            Work::Erase(_) => file::mark(&self.folder)
                .err()
                .map(|error| refused(format!("the data folder cannot be written: {error}"))),
            Work::Sweep => Some(self.sweep()),
            _ => None,
        }
    }

    /// Writes the file anew, so that nothing is left of what was erased.
    fn sweep(&mut self) -> Appended {
        self.log_bytes = 0;
        match store::write_anew(&self.db) {
            Ok(()) => match file::unmark(&self.folder) {
                Ok(()) => Appended::Durable,
                Err(error) => refused(format!("the data folder cannot be written: {error}")),
            },
            Err(error) => {
                // Whatever is written is the same as before, so that only a failed sync puts it in doubt.
                let accident = self.accident(&error, Phase::Work);
                if let Accident::Fatal(cause) = &accident {
                    self.fail(cause);
                }
                accident.outcome()
            }
        }
    }

    /// Does all of a group, or nothing. On a full disk, what the log holds may fit into free pages of the file,
    /// and the log then begins anew: full is only what is full after that.
    fn execute(&mut self, group: &[Job]) -> Result<Vec<Appended>, (Accident, Phase)> {
        let all = |db: &Connection| group.iter().map(|job| job.work.execute(db)).collect();
        match self.transact(all) {
            Err((Accident::Full, phase)) => {
                self.checkpoint("PASSIVE");
                if self.failed.borrow().is_some() {
                    return Err((Accident::Full, phase));
                }
                self.transact(all)
            }
            done => done,
        }
    }

    fn erase(&mut self) {
        match self.transact(store::erase_some) {
            Ok(more) => {
                self.erasing = more;
                self.log_bytes += JOB_BYTES * 8;
            }
            Err((accident, _)) => {
                // Goes on after the next removal or start.
                self.erasing = false;
                tracing::warn!(?accident, "records of a removed stream are not erased yet");
            }
        }
    }

    fn checkpoint(&mut self, mode: &str) {
        if self.failed.borrow().is_some() {
            return;
        }
        self.log_bytes = 0;
        if let Err(error) = store::checkpoint(&self.db, mode) {
            match self.accident(&error, Phase::Work) {
                Accident::Fatal(cause) => self.fail(&cause),
                // Whoever appends is told.
                Accident::Full => {}
                accident @ Accident::Refused(_) => {
                    tracing::warn!(?accident, "the journal's log is not copied into its file yet")
                }
            }
        }
    }

    /// One transaction: all of the work, durable, or nothing.
    fn transact<T>(&mut self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, (Accident, Phase)> {
        let in_phase = |phase| move |error| (error, phase);
        let begun = store::execute(&self.db, "BEGIN IMMEDIATE").map_err(in_phase(Phase::Begin));
        let worked = begun.and_then(|()| work(&self.db).map_err(in_phase(Phase::Work)));
        let committed = worked.and_then(|done| {
            let committed = store::execute(&self.db, "COMMIT").map_err(in_phase(Phase::Commit));
            committed.map(|()| done)
        });
        committed.map_err(|(error, phase)| {
            let mut accident = self.accident(&error, phase);
            // SQLite may have rolled back by itself.
            if !self.db.is_autocommit()
                && let Err(error) = self.db.execute_batch("ROLLBACK")
            {
                accident = Accident::Fatal(format!("rolling back: {error}"));
            }
            if let Accident::Fatal(cause) = &accident {
                self.fail(cause);
            }
            (accident, phase)
        })
    }

    fn accident(&self, error: &rusqlite::Error, phase: Phase) -> Accident {
        accident(error, phase, || full::takes_no_more(&self.folder))
    }

    fn fail(&self, cause: &str) {
        tracing::error!(cause, "the journal can promise nothing any more");
        let reason = format!("the journal failed: {cause}");
        self.queue.close(&reason);
        self.failed.send_replace(Some(reason));
    }
}

impl Drop for Writer {
    /// After a panic nobody else would answer what waits, nor stop the process.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fail("its writer panicked");
            while let Some(job) = self.queue.wait() {
                answer(vec![job], [refused("the journal's writer panicked".to_owned())]);
            }
        }
    }
}

fn fits(job: &Job, bytes: usize) -> bool {
    !job.work.is_alone() && bytes + job.bytes <= GROUP_BYTES_MAX
}

fn answer(group: Vec<Job>, outcomes: impl IntoIterator<Item = Appended>) {
    for (job, outcome) in group.into_iter().zip(outcomes) {
        // Who no longer waits needs no answer.
        let _ = job.answer.send(outcome);
    }
}

impl Accident {
    fn outcome(&self) -> Appended {
        match self {
            Self::Full => Appended::NotWritten(AppendError::Full),
            Self::Refused(reason) => refused(reason.clone()),
            Self::Fatal(cause) => Appended::Unknown(cause.clone()),
        }
    }
}

/// What an error says about the transaction in which it came; the table is in the parent's documentation.
fn accident(error: &rusqlite::Error, phase: Phase, no_more: impl FnOnce() -> bool) -> Accident {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    let sync = matches!(extended, Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC));
    if sync {
        Accident::Fatal(format!("a sync failed: {error}"))
    } else if error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || (extended == Some(ffi::SQLITE_IOERR_WRITE) && no_more())
    {
        Accident::Full
    } else if phase == Phase::Commit {
        Accident::Fatal(format!("a commit failed: {error}"))
    } else {
        Accident::Refused(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_means_depends_on_its_kind_and_on_where_it_came() {
        let of = |code, phase, no_more| {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            accident(&error, phase, || no_more)
        };
        let outcome = |code, phase| of(code, phase, false);
        for phase in [Phase::Begin, Phase::Work, Phase::Commit] {
            assert_eq!(outcome(ffi::SQLITE_FULL, phase), Accident::Full);
            assert_eq!(of(ffi::SQLITE_IOERR_WRITE, phase, true), Accident::Full, "a quota");
            for sync in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC] {
                assert!(matches!(of(sync, phase, true), Accident::Fatal(_)));
            }
        }
        for code in [
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_SHMSIZE,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_NOMEM,
        ] {
            assert!(matches!(outcome(code, Phase::Begin), Accident::Refused(_)));
            assert!(matches!(outcome(code, Phase::Work), Accident::Refused(_)));
            assert!(matches!(outcome(code, Phase::Commit), Accident::Fatal(_)));
        }
    }
}

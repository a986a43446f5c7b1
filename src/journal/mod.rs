//! Durable batches, snapshots and a catalogue behind one small trait.
//!
//! A *stream* is one room (or the house, which holds what belongs to no room). Its log is a row of
//! [`Record`]s: whole batches, so that their boundaries survive, each saying the offsets that it covers.
//! The journal knows bytes; what they mean is the business of [`crate::room`].
//!
//! | accident | what survives |
//! |---|---|
//! | kill -9 of the process | every append that was answered [`Appended::Durable`] |
//! | power loss | the same: WAL with `synchronous=FULL` syncs before it answers |
//! | full disk | all that was durable; further appends are [`Appended::NotWritten`] until there is room |
//! | failing sync | all that was durable; the process must stop, see [`Appended::Unknown`] and [`Journal::failed`] |
//! | lost snapshots | everything; a snapshot is only ever a shortcut |
//! | damaged file | what is damaged is refused, nothing is shown that is not as it was written; [`crate::upkeep`] brings a backup back or keeps the sound part, under a new epoch |

pub mod sqlite;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::room::{Offset, Timestamp};

/// What one stream is called: a room's id, or [`HOUSE`]. 1-64 bytes of `[a-z0-9_-]`, so that it can be a
/// token of a JetStream subject.
pub type StreamId = String;

/// The stream of what belongs to no room. No room id contains `_`, so none can be equal to it.
pub const HOUSE: &str = "_house";

/// One batch as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Random name of the batch, by which an append of unknown outcome is recognised.
    pub batch: u128,
    /// The unbroken life of the stream in which it was written.
    pub epoch: u64,
    /// Offset of the batch's first event, from 1.
    pub first: Offset,
    /// Number of events, at least 1: the batch covers `first..first + count`.
    pub count: u32,
    /// Server time of the decision, Unix ms.
    pub at: Timestamp,
    /// The events as readable JSON, each personal field replaced by its salted hash.
    pub events: Bytes,
    /// The personal fields as JSON, in the order of their hashes. Erasing some leaves `events` and the
    /// checksum as they are.
    pub personal: Bytes,
}

impl Record {
    /// Offset of the batch's last event.
    pub fn last(&self) -> Offset {
        self.first + Offset::from(self.count) - 1
    }
}

/// A row of the catalogue: what the registry must know of a room without reading its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueRow {
    /// The stream.
    pub stream: StreamId,
    /// Its epoch.
    pub epoch: u64,
    /// Offset of its last event.
    pub head: Offset,
    /// When its next deadline is due, Unix ms. A row that the journal had to renew by itself is due at once,
    /// so that the hub loads the stream and, with its next append, sets the row right.
    pub next_deadline: Option<Timestamp>,
    /// A JSON object made by the hub: title, state, times, whatever a list of rooms shows. Rebuildable
    /// from the log; nothing at all when the journal had to make the row itself.
    pub summary: Bytes,
}

/// One append: a batch, the row that the catalogue gets in the same transaction, and contact details.
#[derive(Clone, Debug)]
pub struct Append {
    /// The batch. Its stream must stand at `record.first - 1` (0: a new stream, which is of the batch's epoch from
    /// then on) and be of its epoch, else nothing is written.
    pub record: Record,
    /// The stream's catalogue row after the batch: its `stream` says where the batch goes, its `epoch` and
    /// `head` are the record's.
    pub row: CatalogueRow,
    /// Contact details of winners, which stand in no event: (key, value), replacing what the key had.
    pub contacts: Vec<(String, Bytes)>,
}

/// What became of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Appended {
    /// Synced: it survives power loss. The head is the record's last offset.
    Durable,
    /// Certainly not written, now and later.
    NotWritten(AppendError),
    /// Nobody can say. Read the tail back and compare batch ids before deciding anything else. If
    /// [`Journal::failed`] has resolved, only the tail after a restart tells.
    Unknown(String),
}

/// Why an append was certainly not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The stream stands elsewhere: another writer was here. `head` is where it stands.
    #[error("the stream's head is {head}, not {expected}")]
    Conflict {
        /// Where the stream stands.
        head: Offset,
        /// Where the append expected it.
        expected: Offset,
    },
    /// The stream is of another life: whoever appends has been away since it was removed and made anew.
    #[error("the stream's epoch is {epoch}, not {expected}")]
    OtherEpoch {
        /// The stream's.
        epoch: u64,
        /// The record's.
        expected: u64,
    },
    /// The disk is full.
    #[error("the journal's disk is full")]
    Full,
    /// The store refused for another reason: too much waits, it has failed or is closed, the append is unsound.
    #[error("the journal takes no writes: {0}")]
    Unavailable(String),
}

/// What to do about damage, to follow its description.
const ADVICE: &str = ": stop the server; `hubbub check` lists all damage, `hubbub restore` brings a backup back, `hubbub recover` keeps what is sound";

/// Why a read failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A record is not as it was written, or is not there.
    #[error("record at offset {offset} of {stream} is damaged ({reason}){ADVICE}")]
    Damaged {
        /// The stream.
        stream: StreamId,
        /// First offset of the record, known or where it should stand.
        offset: Offset,
        /// What does not fit.
        reason: String,
    },
    /// Contact details are not as they were written.
    #[error("contact details {key} of {stream} are damaged{ADVICE}")]
    DamagedContact {
        /// The stream.
        stream: StreamId,
        /// Their key.
        key: String,
    },
    /// Written by a newer version of the program.
    #[error("the journal's format is {found}, this program reads up to {known}")]
    Newer {
        /// Format of the file.
        found: u32,
        /// Newest format known.
        known: u32,
    },
    /// The store cannot be read.
    #[error("the journal cannot be read: {0}")]
    Unavailable(String),
}

/// A stored snapshot: the fold of the log up to `offset`. Only ever a shortcut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Epoch in which it was made; a snapshot of another epoch is ignored.
    pub epoch: u64,
    /// Offset of the last event folded in.
    pub offset: Offset,
    /// Version of the state's form; a snapshot of another version is ignored.
    pub version: u32,
    /// The state.
    pub state: Bytes,
}

/// What is to be erased from one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The stream.
    pub stream: StreamId,
    /// Records by their first offset, each with the personal fields that stay.
    pub records: Vec<(Offset, Bytes)>,
    /// Keys of contact details.
    pub contacts: Vec<String>,
}

/// Durable batches, snapshots and a catalogue. Every journal passes `tests/journal/contract.rs`.
///
/// Appends to one stream are made one after the other by its one writer; appends to many streams are
/// committed together. Reads see only what is durable, and everything that was answered durable before.
/// What is called is under way when the call returns, whether or not its future is awaited; no call blocks.
/// A stream that does not exist is empty: no records, no snapshot, no contacts, and nothing to remove.
pub trait Journal: Send + Sync + 'static {
    /// Appends one batch if the stream stands just before it and is of its epoch. A conflict concerns that batch
    /// alone.
    fn append(&self, append: Append) -> BoxFuture<'static, Appended>;

    /// The records that end after `after`, oldest first: about `bytes_max` bytes of them, but at least one if
    /// there is any. Ask again after the last one's [`Record::last`]; none means that the log ends there.
    ///
    /// # Errors
    ///
    /// [`ReadError::Damaged`] at the first record that is not as it was written or is not there, also when the
    /// log ends before the stream's head.
    fn read(&self, stream: &str, after: Offset, bytes_max: usize)
    -> BoxFuture<'static, Result<Vec<Record>, ReadError>>;

    /// The newest records, oldest first: at most `records_max` of them and about `bytes_max`, but at
    /// least one if there is any. The last one is the tail against which an unknown outcome is compared.
    ///
    /// # Errors
    ///
    /// As [`Journal::read`].
    fn tail(
        &self,
        stream: &str,
        records_max: usize,
        bytes_max: usize,
    ) -> BoxFuture<'static, Result<Vec<Record>, ReadError>>;

    /// Server time of the newest record of all streams, damaged ones left out; none where there is no record.
    fn newest(&self) -> BoxFuture<'static, Result<Option<Timestamp>, ReadError>>;

    /// All rows of the catalogue.
    fn catalogue(&self) -> BoxFuture<'static, Result<Vec<CatalogueRow>, ReadError>>;

    /// Stores a snapshot beside the stream, replacing the previous one once it is durable.
    ///
    /// # Errors
    ///
    /// [`AppendError::Conflict`] when the stream does not reach as far, as after its removal.
    fn put_snapshot(&self, stream: &str, snapshot: Snapshot) -> BoxFuture<'static, Result<(), AppendError>>;

    /// The snapshot stored last; a damaged one is reported in the log and is `None`.
    fn snapshot(&self, stream: &str) -> BoxFuture<'static, Result<Option<Snapshot>, ReadError>>;

    /// Contact details whose key begins with `prefix`, in order of key.
    fn contacts(&self, stream: &str, prefix: &str) -> BoxFuture<'static, Result<Vec<(String, Bytes)>, ReadError>>;

    /// Removes a stream whole: log, snapshot, contacts, catalogue row. Its name can be used again at once.
    ///
    /// # Errors
    ///
    /// The stream may be there or not: ask again, removing twice does no harm.
    fn remove(&self, stream: &str) -> BoxFuture<'static, Result<(), AppendError>>;

    /// Replaces personal fields, which no checksum covers, and takes contact details away. A snapshot into which one of
    /// the records was folded goes too, since it holds what they said; whoever makes one meanwhile would bring it back.
    /// What is not there is erased already.
    ///
    /// # Errors
    ///
    /// All of it may be erased or nothing: ask again, erasing twice does no harm.
    fn erase(&self, erasure: Erasure) -> BoxFuture<'static, Result<(), AppendError>>;

    /// Clears what erasing has left in unused parts of the files, which are written anew for that: appends wait as long.
    /// So it is not done, and false, where the files have more than `bytes_max`. True: no byte is left.
    ///
    /// # Errors
    ///
    /// Something may be left: ask again.
    fn sweep(&self, bytes_max: u64) -> BoxFuture<'static, Result<bool, AppendError>>;

    /// Resolves when the journal can no longer keep its promise (a failed sync), with the cause. The
    /// process must then stop with a non-zero status: a later sync that "succeeds" proves nothing.
    fn failed(&self) -> BoxFuture<'static, String>;

    /// Finishes what waits and closes the files; whatever is asked from now on is refused.
    fn close(&self) -> BoxFuture<'static, ()>;
}

//! What stands in the file: tables, checksums, and the statements over them.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, ToSql, ffi, params};
use sha2::{Digest, Sha256};

use super::format::{self, FORMAT, Found};
use super::{OpenError, file, full};
use crate::journal::{Append, AppendError, Appended, CatalogueRow, Erasure, ReadError, Record, Snapshot, StreamId};
use crate::room::{Offset, Timestamp};

/// SQLite's usual page.
const PAGE_BYTES: u64 = 4096;

/// A record's key is the stream's number and the first offset in one integer, so that the log is a plain
/// table in order of key: large rows belong into such a table rather than into an index (WITHOUT ROWID
/// holds a quarter of a page at most before it spills), and one search finds an end of a stream's log.
/// 36 bits of offset (68 thousand million events a stream) leave 27 for the streams (134 million).
pub(super) const OFFSET_BITS: u32 = 36;

/// The largest offset.
pub(super) const OFFSET_MAX: Offset = (1 << OFFSET_BITS) - 1;

/// Records erased in one transaction: at the largest size 32 MiB, usually some hundred KB.
const ERASED_AT_ONCE: u32 = 64;

/// The first 16 bytes of a SHA-256. Not a CRC, although nobody is kept from forging either: 32 bits would let
/// one damage in four thousand million pass, SHA-256 is here already, and with the processor's instructions
/// it costs less than a tenth of what SQLite does with the same bytes.
pub(super) type Checksum = [u8; 16];

/// Over the stream's name and everything in the record except `personal`, which may be erased.
pub(super) fn record_checksum(stream: &str, record: &Record) -> Checksum {
    let Record {
        batch,
        epoch,
        first,
        count,
        at,
        ..
    } = record;
    let numbers = [
        (batch >> 64) as u64,
        *batch as u64,
        *epoch,
        *first,
        u64::from(*count),
        at.0,
    ];
    checksum(b"record.1", stream, &numbers, &record.events)
}

/// Over the stream's name and everything in the snapshot.
pub(super) fn snapshot_checksum(stream: &str, snapshot: &Snapshot) -> Checksum {
    let numbers = [snapshot.epoch, snapshot.offset, u64::from(snapshot.version)];
    checksum(b"snapshot", stream, &numbers, &snapshot.state)
}

/// Over the stream's name and everything in the row, but the epoch, of which a wrong one only makes clients start
/// afresh.
fn row_checksum(stream: &str, head: Offset, next_deadline: Option<Timestamp>, summary: &[u8]) -> Checksum {
    let due = next_deadline.map_or([0, 0], |due| [1, due.0]);
    checksum(b"row....1", stream, &[head, due[0], due[1]], summary)
}

/// Over the stream's name, key and value.
fn contact_checksum(stream: &str, key: &str, value: &[u8]) -> Checksum {
    let key_bytes = key.len() as u64;
    checksum(b"contact1", stream, &[key_bytes], &[key.as_bytes(), value].concat())
}

/// Kind (8 bytes), length of the name, name, numbers, body: every number as 8 bytes, big-endian.
fn checksum(kind: &[u8; 8], stream: &str, numbers: &[u64], body: &[u8]) -> Checksum {
    let mut hash = Sha256::new();
    hash.update(kind);
    hash.update((stream.len() as u64).to_be_bytes());
    hash.update(stream);
    for number in numbers {
        hash.update(number.to_be_bytes());
    }
    hash.update(body);
    let mut checksum = Checksum::default();
    checksum.copy_from_slice(&hash.finalize()[..16]);
    checksum
}

/// Opens the writer's connection, and brings a file of an older format to this one. What a
/// killed process left in the log is synced and in place afterwards, the catalogue's heads are those of the logs.
pub(super) fn open(file: &Path, file_bytes_max: Option<u64>) -> Result<Connection, OpenError> {
    let unusable = |error: rusqlite::Error| unusable(file, &error);
    let mut db = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(unusable)?;
    let Some(found) = known(file, format::look(&db).map_err(unusable)?)? else {
        return Err(file::empty(file));
    };
    prepare(&mut db, found, file_bytes_max).map_err(unusable)?;
    match stray_contacts(&db).map_err(unusable)? {
        0 => Ok(db),
        strays => Err(OpenError::Damaged {
            file: file.to_owned(),
            reason: format!("{strays} contact details belong to no stream"),
        }),
    }
}

/// A contact whose stream's number was damaged would be missed by nobody who reads its stream.
fn stray_contacts(db: &Connection) -> rusqlite::Result<i64> {
    let strays = "SELECT count(*) FROM contacts WHERE stream NOT IN (SELECT number FROM streams)";
    db.query_row(strays, (), |row| row.get(0))
}

/// The format of a journal that this program reads; none: a new one.
pub(super) fn known(file: &Path, found: Found) -> Result<Option<u32>, OpenError> {
    match found {
        Found::New => Ok(None),
        Found::Journal(format) => Ok(Some(format)),
        Found::Newer(found) => Err(OpenError::Newer { found, known: FORMAT }),
        Found::Foreign => Err(OpenError::Foreign { file: file.to_owned() }),
    }
}

/// Whether the file is at fault, or the world around it.
pub(super) fn unusable(file: &Path, error: &rusqlite::Error) -> OpenError {
    let (file, reason) = (file.to_owned(), error.to_string());
    // The last one: there is no such table or column.
    if is_damage(error) || error.sqlite_error_code() == Some(ErrorCode::Unknown) {
        OpenError::Damaged { file, reason }
    } else {
        OpenError::Unusable { file, reason }
    }
}

fn prepare(db: &mut Connection, found: u32, file_bytes_max: Option<u64>) -> rusqlite::Result<()> {
    configure(db)?;
    db.query_row("PRAGMA journal_mode = WAL", (), |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    // Names and contact details that are erased leave no trace in free pages.
    db.query_row("PRAGMA secure_delete = ON", (), |_| Ok(()))?;
    db.query_row("PRAGMA wal_autocheckpoint = 0", (), |_| Ok(()))?;
    db.query_row("PRAGMA journal_size_limit = 67108864", (), |_| Ok(()))?;
    // A transaction reaches the log in one piece however large it is, and what is written is seldom read again: the
    // usual 2 MB of pages do.
    db.pragma_update(None, "cache_spill", false)?;
    if let Some(bytes) = file_bytes_max {
        let pages = (bytes / PAGE_BYTES).cast_signed();
        db.query_row(&format!("PRAGMA max_page_count = {pages}"), (), |_| Ok(()))?;
    }
    match checkpoint(db, "TRUNCATE") {
        // The log is synced before the file grows, and a full disk must not keep the server from starting.
        Err(error) if is_full(db, &error) => tracing::warn!("the journal's disk is full"),
        outcome => outcome?,
    }
    let transaction = db.transaction()?;
    if found < FORMAT {
        tracing::info!(from = found, to = FORMAT, "the journal is brought to a newer format");
        format::upgrade(&transaction, found)?;
    }
    heal_catalogue(&transaction)?;
    transaction.commit()?;
    check_tables(db)?;
    check_names(db)
}

fn is_full(db: &Connection, error: &rusqlite::Error) -> bool {
    let write = error.sqlite_error().map(|error| error.extended_code) == Some(ffi::SQLITE_IOERR_WRITE);
    let folder = db.path().and_then(|file| Path::new(file).parent());
    error.sqlite_error_code() == Some(ErrorCode::DiskFull) || (write && folder.is_some_and(full::takes_no_more))
}

/// Opens a connection that only reads; needs the writer's to be open already.
pub(super) fn open_reader(file: &Path) -> Result<Connection, OpenError> {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .and_then(|db| configure(&db).map(|()| db))
        .map_err(|error| unusable(file, &error))
}

pub(super) fn configure(db: &Connection) -> rusqlite::Result<()> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // A statement is planned once, and not again for each value that it is given.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.set_prepared_statement_cache_capacity(32);
    // Only somebody's command-line tool can be in the way.
    db.busy_timeout(Duration::from_secs(1))
}

/// Executes a statement without values or rows, which is parsed but once.
pub(super) fn execute(db: &Connection, statement: &str) -> rusqlite::Result<()> {
    db.prepare_cached(statement)?.execute(()).map(drop)
}

/// Copies what is committed from the log into the file: PASSIVE as far as no reader stands in the way,
/// TRUNCATE all of it, waiting for readers up to the busy timeout.
pub(super) fn checkpoint(db: &Connection, mode: &str) -> rusqlite::Result<()> {
    db.query_row(&format!("PRAGMA wal_checkpoint({mode})"), (), |_| Ok(()))
}

/// Frees the pages that a connection keeps in memory.
pub(super) fn give_pages_back(db: &Connection) {
    // It frees what it can; nothing depends on it.
    let _ = execute(db, "PRAGMA shrink_memory");
}

/// Writes the whole file anew, and empties the log: pages keep remains of rows that once stood in them, whatever is
/// erased from their tables.
///
/// # Errors
///
/// Also that a reader stood in the way of emptying the log for too long.
pub(super) fn write_anew(db: &Connection) -> rusqlite::Result<()> {
    // All pages are written in one transaction, and must not all stay in memory until its end.
    db.execute_batch("PRAGMA cache_spill = ON")?;
    let written = db.execute_batch("VACUUM");
    db.execute_batch("PRAGMA cache_spill = OFF")?;
    written?;
    let busy: bool = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))?;
    match busy {
        false => Ok(()),
        true => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None)),
    }
}

/// A damaged list of tables is found now and not when somebody first asks for what is in one.
fn check_tables(db: &Connection) -> rusqlite::Result<()> {
    db.prepare(RECORDS_OF)?;
    db.prepare("SELECT epoch, offset, version, checksum, state FROM snapshots WHERE stream = ?1")?;
    db.prepare("SELECT key, value, checksum FROM contacts WHERE stream = ?1")?;
    Ok(())
}

/// A damaged name would make a room look empty, which no checksum finds. Names stand in their table and in
/// its index, so one damaged place makes the two differ.
fn check_names(db: &Connection) -> rusqlite::Result<()> {
    let verdict: String = db.query_row("PRAGMA integrity_check(streams)", (), |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(());
    }
    let corrupt = ffi::Error::new(ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(
        corrupt,
        Some(format!("table streams: {verdict}")),
    ))
}

/// A stream as its table has it.
#[derive(Clone, Debug)]
pub struct Stream {
    /// What it is called.
    pub name: StreamId,
    /// The unbroken life that it is in; its older records may be of earlier ones.
    pub epoch: u64,
    pub(super) number: i64,
}

/// All streams that are not removed, in order of name.
pub(super) fn streams(db: &Connection) -> rusqlite::Result<Vec<Stream>> {
    db.prepare("SELECT name, number, epoch FROM streams WHERE name IS NOT NULL ORDER BY name")?
        .query_map((), |row| {
            Ok(Stream {
                name: row.get(0)?,
                number: row.get(1)?,
                epoch: unsigned(row, 2)?,
            })
        })?
        .collect()
}

/// A stream's row of the catalogue, and whether it is as it was written.
pub(super) fn row_of(db: &Connection, stream: &Stream) -> rusqlite::Result<Option<(CatalogueRow, bool)>> {
    db.prepare_cached("SELECT head, next_deadline, summary, checksum FROM catalogue WHERE stream = ?1")?
        .query_row([stream.number], |row| {
            let next_deadline = row.get::<_, Option<i64>>(1)?.map(|due| Timestamp(due.cast_unsigned()));
            let (head, summary) = (unsigned(row, 0)?, bytes_of(row, 2)?);
            let checksum = row_checksum(&stream.name, head, next_deadline, &summary);
            let intact = bytes_of(row, 3)?[..] == checksum;
            let row = CatalogueRow {
                stream: stream.name.clone(),
                epoch: stream.epoch,
                head,
                next_deadline,
                summary,
            };
            Ok((row, intact))
        })
        .optional()
}

/// The log is the truth and the catalogue follows from it: a row that is missing, damaged or behind gets the head
/// of the log's last record, and is due at once so that the hub loads the room and renews the rest.
/// A row *ahead* of its log means that records are lost; it stays, and reading the stream says `Damaged`.
fn heal_catalogue(db: &Connection) -> rusqlite::Result<()> {
    for stream in streams(db)? {
        let row = row_of(db, &stream)?;
        let last = match last_of(db, &stream)? {
            None => continue,
            Some(Ok(last)) => last,
            Some(Err(damage)) => {
                tracing::error!(stream = stream.name, %damage, "the newest record is damaged");
                continue;
            }
        };
        let (head, intact) = row.map_or((0, false), |(row, intact)| (row.head, intact));
        if head > last.last() || (head == last.last() && intact) {
            continue;
        }
        tracing::warn!(
            stream = stream.name,
            head = last.last(),
            "the catalogue did not fit the log and is healed"
        );
        put_row(
            db,
            stream.number,
            &CatalogueRow {
                stream: stream.name.clone(),
                epoch: stream.epoch,
                head: last.last(),
                next_deadline: Some(last.at),
                summary: Bytes::new(),
            },
        )?;
    }
    Ok(())
}

/// A stream's last record, or what is wrong with it; none of an empty one.
fn last_of(db: &Connection, stream: &Stream) -> rusqlite::Result<Option<Result<Record, ReadError>>> {
    let mut statement = db.prepare_cached(TAIL)?;
    let mut last = statement.query([key(stream.number, 0), key(stream.number, OFFSET_MAX), 1])?;
    let log = Log { stream: &stream.name };
    Ok(last.next()?.map(|last| log.record(last)))
}

/// See [`crate::journal::Journal::newest`].
pub(super) fn newest(db: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let mut newest = None;
    for stream in streams(db)? {
        let last = last_of(db, &stream)?.and_then(Result::ok);
        newest = newest.max(last.map(|last| last.at));
    }
    Ok(newest)
}

pub(super) fn put_row(db: &Connection, number: i64, row: &CatalogueRow) -> rusqlite::Result<()> {
    db.prepare_cached(
        "REPLACE INTO catalogue (stream, head, next_deadline, summary, checksum) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        number,
        row.head.cast_signed(),
        row.next_deadline.map(|due| due.0.cast_signed()),
        Text(&row.summary),
        row_checksum(&row.stream, row.head, row.next_deadline, &row.summary),
    ])?;
    Ok(())
}

pub(super) fn put_contact(db: &Connection, number: i64, stream: &str, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    db.prepare_cached("REPLACE INTO contacts (stream, key, value, checksum) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![number, key, value, contact_checksum(stream, key, value)])?;
    Ok(())
}

/// Gives every row of the catalogue its checksum.
pub(super) fn seal_catalogue(db: &Connection) -> rusqlite::Result<()> {
    for stream in streams(db)? {
        if let Some((row, _)) = row_of(db, &stream)? {
            put_row(db, stream.number, &row)?;
        }
    }
    Ok(())
}

/// Gives every contact its checksum.
pub(super) fn seal_contacts(db: &Connection) -> rusqlite::Result<()> {
    for stream in streams(db)? {
        for (key, value, _) in contacts_of(db, &stream.name, "")? {
            put_contact(db, stream.number, &stream.name, &key, &value)?;
        }
    }
    Ok(())
}

/// What makes an append impossible whatever the store says; `None` when it is sound.
pub(super) fn fault(append: &Append) -> Option<&'static str> {
    let Append { record, row, .. } = append;
    let last = record.first.checked_add(u64::from(record.count));
    if row.stream.is_empty() || row.stream.len() > 64 {
        Some("the stream's name is not 1-64 bytes long")
    } else if record.first == 0 || record.count == 0 {
        Some("offsets and counts begin at 1")
    } else if last.is_none_or(|end| end > OFFSET_MAX) {
        Some("the offset is too large")
    } else if (row.head, row.epoch) != (record.last(), record.epoch) {
        Some("the catalogue row does not fit the record")
    } else if [&record.events, &record.personal, &row.summary].map(|text| str::from_utf8(text).is_ok()) != [true; 3] {
        Some("a text is not UTF-8")
    } else {
        None
    }
}

/// About the bytes that an append brings.
pub(super) fn bytes(append: &Append) -> usize {
    let contacts = append.contacts.iter().map(|(key, value)| key.len() + value.len());
    append.record.events.len() + append.record.personal.len() + append.row.summary.len() + contacts.sum::<usize>()
}

/// Writes a batch, its catalogue row and contacts if the stream stands where the append expects it.
pub(super) fn append(db: &Connection, append: &Append, checksum: &Checksum) -> rusqlite::Result<Appended> {
    let Append { record, row, contacts } = append;
    let expected = record.first - 1;
    let place = place(db, &row.stream)?;
    let head = place.as_ref().map_or(0, |place| place.head);
    if head != expected {
        return Ok(Appended::NotWritten(AppendError::Conflict { head, expected }));
    }
    let number = match place {
        Some(place) if place.epoch != record.epoch => {
            let (epoch, expected) = (place.epoch, record.epoch);
            return Ok(Appended::NotWritten(AppendError::OtherEpoch { epoch, expected }));
        }
        Some(place) => place.number,
        None => add_stream(db, &row.stream, record.epoch)?,
    };
    put_record(db, number, record, checksum)?;
    put_row(db, number, row)?;
    for (key, value) in contacts {
        put_contact(db, number, &row.stream, key, value)?;
    }
    Ok(Appended::Durable)
}

pub(super) fn add_stream(db: &Connection, stream: &str, epoch: u64) -> rusqlite::Result<i64> {
    db.prepare_cached("INSERT INTO streams (name, epoch) VALUES (?1, ?2)")?
        .insert(params![stream, epoch.cast_signed()])
}

pub(super) fn put_record(db: &Connection, number: i64, record: &Record, checksum: &Checksum) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO records (id, batch, epoch, count, at, checksum, events, personal)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        key(number, record.first),
        record.batch.to_be_bytes(),
        record.epoch.cast_signed(),
        record.count,
        record.at.0.cast_signed(),
        checksum,
        Text(&record.events),
        Text(&record.personal),
    ])?;
    Ok(())
}

/// Replaces the stream's snapshot, if the stream reaches as far.
pub(super) fn put_snapshot(
    db: &Connection,
    stream: &str,
    snapshot: &Snapshot,
    checksum: &Checksum,
) -> rusqlite::Result<Appended> {
    let (number, head) = place(db, stream)?.map_or((0, 0), |place| (place.number, place.head));
    if head == 0 || snapshot.offset > head {
        let expected = snapshot.offset;
        return Ok(Appended::NotWritten(AppendError::Conflict { head, expected }));
    }
    db.prepare_cached(
        "REPLACE INTO snapshots (stream, epoch, offset, version, checksum, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        number,
        snapshot.epoch.cast_signed(),
        snapshot.offset.cast_signed(),
        snapshot.version,
        checksum,
        snapshot.state.as_ref(),
    ])?;
    Ok(Appended::Durable)
}

/// Takes a stream's name and everything but its records, which [`erase_some`] erases bit by bit.
pub(super) fn remove(db: &Connection, stream: &str) -> rusqlite::Result<Appended> {
    if let Some(Place { number, .. }) = place(db, stream)? {
        db.execute("DELETE FROM contacts WHERE stream = ?1", [number])?;
        db.execute("DELETE FROM snapshots WHERE stream = ?1", [number])?;
        db.execute("DELETE FROM catalogue WHERE stream = ?1", [number])?;
        db.execute("UPDATE streams SET name = NULL WHERE number = ?1", [number])?;
    }
    Ok(Appended::Durable)
}

/// See [`crate::journal::Journal::erase`].
pub(super) fn erase(db: &Connection, erasure: &Erasure) -> rusqlite::Result<()> {
    let Some(Place { number, .. }) = place(db, &erasure.stream)? else {
        return Ok(());
    };
    for (first, personal) in &erasure.records {
        db.prepare_cached("UPDATE records SET personal = ?2 WHERE id = ?1")?
            .execute(params![key(number, *first), Text(personal)])?;
    }
    for contact in &erasure.contacts {
        db.execute(
            "DELETE FROM contacts WHERE stream = ?1 AND key = ?2",
            params![number, contact],
        )?;
    }
    if let Some(first) = erasure.records.iter().map(|(first, _)| *first).min() {
        db.execute(
            "DELETE FROM snapshots WHERE stream = ?1 AND offset >= ?2",
            params![number, first.cast_signed()],
        )?;
    }
    Ok(())
}

/// Erases some records of removed streams; false when there are none.
pub(super) fn erase_some(db: &Connection) -> rusqlite::Result<bool> {
    let removed = "SELECT number FROM streams WHERE name IS NULL LIMIT 1";
    let Some(number) = db.query_row(removed, (), |row| row.get::<_, i64>(0)).optional()? else {
        return Ok(false);
    };
    let erased = db.execute(
        "DELETE FROM records WHERE id IN (SELECT id FROM records WHERE id BETWEEN ?1 AND ?2 LIMIT ?3)",
        params![key(number, 0), key(number, OFFSET_MAX), ERASED_AT_ONCE],
    )?;
    if erased == 0 {
        db.execute("DELETE FROM streams WHERE number = ?1", [number])?;
    }
    Ok(true)
}

/// Where a stream stands; a damaged head never overflows.
struct Place {
    number: i64,
    head: Offset,
    epoch: u64,
}

fn place(db: &Connection, stream: &str) -> rusqlite::Result<Option<Place>> {
    db.prepare_cached(
        "SELECT s.number, coalesce(c.head, 0), s.epoch FROM streams s LEFT JOIN catalogue c ON c.stream = s.number
         WHERE s.name = ?1",
    )?
    .query_row([stream], |row| {
        Ok(Place {
            number: row.get(0)?,
            head: unsigned(row, 1)?.min(OFFSET_MAX),
            epoch: unsigned(row, 2)?,
        })
    })
    .optional()
}

/// Records of a stream (?1 its first key, ?2 its last) from the one that begins at or before ?3.
const READ: &str = "
    SELECT first, batch, epoch, count, at, checksum, events, personal FROM records
    WHERE id >= coalesce((SELECT max(id) FROM records WHERE id BETWEEN ?1 AND ?3), ?1) AND id <= ?2 ORDER BY id";

/// The newest records of a stream (?1 its first key, ?2 its last), newest first, at most ?3.
const TAIL: &str = "
    SELECT first, batch, epoch, count, at, checksum, events, personal FROM records
    WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT ?3";

/// See [`crate::journal::Journal::read`].
pub(super) fn read(db: &Connection, stream: &str, after: Offset, bytes_max: usize) -> Result<Vec<Record>, ReadError> {
    let log = Log { stream };
    let after = after.min(OFFSET_MAX - 1);
    // One transaction, so that head and records are of the same moment.
    let db = &db.unchecked_transaction().map_err(|error| log.error(after, error))?;
    let Some(Place { number, head, .. }) = place(db, stream).map_err(|error| log.error(after, error))? else {
        return Ok(Vec::new());
    };
    let mut statement = db.prepare_cached(READ).map_err(|error| log.error(after, error))?;
    let mut rows = statement
        .query([key(number, 0), key(number, OFFSET_MAX), key(number, after + 1)])
        .map_err(|error| log.error(after, error))?;
    let (mut records, mut bytes, mut end) = (Vec::new(), 0, None);
    while let Some(row) = rows
        .next()
        .map_err(|error| log.error(end.unwrap_or(after) + 1, error))?
    {
        let record = log.record(row)?;
        log.joined(end.unwrap_or(after.min(record.first - 1)), record.first)?;
        end = Some(record.last());
        if record.last() <= after {
            continue;
        }
        bytes += record.events.len() + record.personal.len();
        if bytes > bytes_max && !records.is_empty() {
            return Ok(records);
        }
        records.push(record);
    }
    log.joined(end.unwrap_or(0), head + 1)?;
    Ok(records)
}

/// See [`crate::journal::Journal::tail`].
pub(super) fn tail(
    db: &Connection,
    stream: &str,
    records_max: usize,
    bytes_max: usize,
) -> Result<Vec<Record>, ReadError> {
    let log = Log { stream };
    let db = &db.unchecked_transaction().map_err(|error| log.error(0, error))?;
    let Some(Place { number, head, .. }) = place(db, stream).map_err(|error| log.error(0, error))? else {
        return Ok(Vec::new());
    };
    let limit = i64::try_from(records_max.max(1)).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(TAIL).map_err(|error| log.error(head, error))?;
    let mut rows = statement
        .query([key(number, 0), key(number, OFFSET_MAX), limit])
        .map_err(|error| log.error(head, error))?;
    let (mut records, mut bytes, mut begin) = (Vec::new(), 0, head + 1);
    while let Some(row) = rows.next().map_err(|error| log.error(begin, error))? {
        let record = log.record(row)?;
        log.joined(record.last(), begin)?;
        begin = record.first;
        bytes += record.events.len() + record.personal.len();
        if bytes > bytes_max && !records.is_empty() {
            records.reverse();
            return Ok(records);
        }
        records.push(record);
    }
    if records.len() < records_max.max(1) {
        log.joined(0, begin)?;
    }
    records.reverse();
    Ok(records)
}

/// All records of a stream (?1 its first key, ?2 its last), oldest first.
const RECORDS_OF: &str = "
    SELECT first, batch, epoch, count, at, checksum, events, personal FROM records
    WHERE id BETWEEN ?1 AND ?2 ORDER BY id";

/// Calls `each` with every record of a stream, oldest first, up to the first that is not as it was written, is not
/// there, or that `each` finds at fault.
///
/// # Errors
///
/// What is wrong there.
pub(super) fn walk(
    db: &Connection,
    stream: &Stream,
    each: &mut dyn FnMut(Record) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let log = Log { stream: &stream.name };
    let mut end = 0;
    let mut statement = db.prepare(RECORDS_OF).map_err(|error| log.error(1, error))?;
    let mut rows = statement
        .query([key(stream.number, 0), key(stream.number, OFFSET_MAX)])
        .map_err(|error| log.error(1, error))?;
    while let Some(row) = rows.next().map_err(|error| log.error(end + 1, error))? {
        let record = log.record(row)?;
        log.joined(end, record.first)?;
        end = record.last();
        each(record)?;
    }
    match row_of(db, stream).map_err(|error| log.error(end + 1, error))? {
        Some((row, true)) => log.joined(end, row.head + 1),
        _ => Ok(()),
    }
}

/// All streams with their rows, in order of name.
pub(super) fn catalogue(db: &Connection) -> Result<Vec<CatalogueRow>, ReadError> {
    let rows = || -> rusqlite::Result<_> {
        let mut rows = Vec::new();
        for stream in streams(db)? {
            rows.extend(row_of(db, &stream)?.map(|(row, _)| row));
        }
        Ok(rows)
    };
    rows().map_err(unavailable)
}

/// The stream's snapshot; a damaged one is reported in the log and is none.
pub(super) fn snapshot(db: &Connection, stream: &str) -> Result<Option<Snapshot>, ReadError> {
    let damage = match snapshot_of(db, stream) {
        Ok(None) => return Ok(None),
        Ok(Some((snapshot, true))) => return Ok(Some(snapshot)),
        Ok(Some((_, false))) => "its checksum does not fit".to_owned(),
        Err(error) if is_damage(&error) => error.to_string(),
        Err(error) => return Err(unavailable(error)),
    };
    tracing::warn!(stream, damage, "a damaged snapshot is ignored");
    Ok(None)
}

/// The stream's snapshot, and whether it is as it was written.
pub(super) fn snapshot_of(db: &Connection, stream: &str) -> rusqlite::Result<Option<(Snapshot, bool)>> {
    db.prepare_cached(
        "SELECT n.epoch, n.offset, n.version, n.checksum, n.state FROM snapshots n
         JOIN streams s ON s.number = n.stream WHERE s.name = ?1",
    )?
    .query_row([stream], |row| {
        let snapshot = Snapshot {
            epoch: unsigned(row, 0)?,
            offset: unsigned(row, 1)?,
            version: row.get(2)?,
            state: bytes_of(row, 4)?,
        };
        let intact = bytes_of(row, 3)?[..] == snapshot_checksum(stream, &snapshot);
        Ok(Some((snapshot, intact)))
    })
    .optional()
    .map(Option::flatten)
}

/// See [`crate::journal::Journal::contacts`].
pub(super) fn contacts(db: &Connection, stream: &str, prefix: &str) -> Result<Vec<(String, Bytes)>, ReadError> {
    let contacts = contacts_of(db, stream, prefix).map_err(unavailable)?;
    let intact = contacts.into_iter().map(|(key, value, intact)| match intact {
        true => Ok((key, value)),
        false => Err(ReadError::DamagedContact {
            stream: stream.to_owned(),
            key,
        }),
    });
    intact.collect()
}

/// Contacts of a stream whose key begins so, in order of key, and whether each is as it was written.
pub(super) fn contacts_of(db: &Connection, stream: &str, prefix: &str) -> rusqlite::Result<Vec<(String, Bytes, bool)>> {
    let mut statement = db.prepare_cached(
        "SELECT c.key, c.value, c.checksum FROM contacts c JOIN streams s ON s.number = c.stream
         WHERE s.name = ?1 AND c.key >= ?2 ORDER BY c.key",
    )?;
    let mut rows = statement.query([stream, prefix])?;
    let mut contacts = Vec::new();
    while let Some(row) = rows.next()? {
        let (key, value): (String, _) = (row.get(0)?, bytes_of(row, 1)?);
        if !key.starts_with(prefix) {
            break;
        }
        let intact = bytes_of(row, 2)?[..] == contact_checksum(stream, &key, &value);
        contacts.push((key, value, intact));
    }
    Ok(contacts)
}

fn stored(row: &Row<'_>) -> rusqlite::Result<(Record, Bytes)> {
    let record = Record {
        first: unsigned(row, 0)?,
        batch: u128::from_be_bytes(row.get(1)?),
        epoch: unsigned(row, 2)?,
        count: row.get(3)?,
        at: Timestamp(unsigned(row, 4)?),
        events: bytes_of(row, 6)?,
        personal: bytes_of(row, 7)?,
    };
    let checksum = bytes_of(row, 5)?;
    Ok((record, checksum))
}

/// What one stream's records must fulfil, and how it is told when they do not.
struct Log<'a> {
    stream: &'a str,
}

impl Log<'_> {
    /// A record, if it is as it was written.
    fn record(&self, row: &Row<'_>) -> Result<Record, ReadError> {
        let first = unsigned(row, 0).map_err(unavailable)?;
        let (record, checksum) = stored(row).map_err(|error| self.error(first, error))?;
        if checksum[..] == record_checksum(self.stream, &record) && first > 0 && record.count > 0 {
            return Ok(record);
        }
        Err(self.damaged(first, "its checksum does not fit".to_owned()))
    }

    /// What comes after `end` begins just there.
    fn joined(&self, end: Offset, next: Offset) -> Result<(), ReadError> {
        if end + 1 == next {
            return Ok(());
        }
        Err(self.damaged(end + 1, format!("the log ends before it, but goes on at {next}")))
    }

    fn damaged(&self, offset: Offset, reason: String) -> ReadError {
        ReadError::Damaged {
            stream: self.stream.to_owned(),
            offset,
            reason,
        }
    }

    fn error(&self, offset: Offset, error: rusqlite::Error) -> ReadError {
        if is_damage(&error) {
            self.damaged(offset, error.to_string())
        } else {
            unavailable(error)
        }
    }
}

pub(super) fn unavailable(error: rusqlite::Error) -> ReadError {
    ReadError::Unavailable(error.to_string())
}

/// Whether the file's contents are at fault: a broken page, or a value of another type than was written.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    match error {
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) => true,
        error => matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ),
    }
}

/// The key of the record of a stream that begins at an offset.
fn key(number: i64, first: Offset) -> i64 {
    (number << OFFSET_BITS) | first.cast_signed()
}

/// SQLite's integers are signed; times, epochs and offsets keep their bits.
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn bytes_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Ok(Bytes::copy_from_slice(bytes)),
        other => Err(rusqlite::Error::InvalidColumnType(
            column,
            "bytes".to_owned(),
            other.data_type(),
        )),
    }
}

/// Bytes known to be UTF-8, stored as text so that the file can be read by hand.
struct Text<'a>(&'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

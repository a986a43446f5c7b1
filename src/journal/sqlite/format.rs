//! The file's format: its tables, and how a file of an older format becomes one of this.
//!
//! | format | what it brought |
//! |---|---|
//! | 1 | records with checksums, catalogue, snapshots, contacts |
//! | 2 | a stream's epoch stands with its name, so that it can begin a new one by itself; checksums of catalogue rows and contacts |

use rusqlite::{Connection, params};

use super::store::{self, OFFSET_BITS, OFFSET_MAX};

/// The format that this program writes and the newest that it reads, as `PRAGMA user_version`.
pub(super) const FORMAT: u32 = 2;

/// The oldest format that it reads.
const OLDEST: u32 = 1;

/// `PRAGMA application_id`: "Hubb", by which file(1) and we know the file.
const APPLICATION: u32 = 0x4875_6262;

/// `stream` and `first` of a record are computed for whoever opens the file by hand. A stream whose name is
/// NULL is removed, its records are being erased. Numbers are never used again while records bear them. Columns
/// with a default came later, and stand where they stand in a file that was made before.
const SCHEMA: &str = "
    CREATE TABLE streams (number INTEGER PRIMARY KEY, name TEXT UNIQUE, epoch INTEGER NOT NULL DEFAULT 0) STRICT;
    CREATE TABLE records (
        id INTEGER PRIMARY KEY,
        stream INTEGER AS (id >> 36) VIRTUAL,
        first INTEGER AS (id & 0xfffffffff) VIRTUAL,
        batch BLOB NOT NULL, epoch INTEGER NOT NULL, count INTEGER NOT NULL, at INTEGER NOT NULL,
        checksum BLOB NOT NULL, events TEXT NOT NULL, personal TEXT NOT NULL
    ) STRICT;
    CREATE TABLE catalogue (
        stream INTEGER PRIMARY KEY,
        head INTEGER NOT NULL, next_deadline INTEGER, summary TEXT NOT NULL,
        checksum BLOB NOT NULL DEFAULT x''
    ) STRICT;
    CREATE TABLE snapshots (
        stream INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL, offset INTEGER NOT NULL, version INTEGER NOT NULL,
        checksum BLOB NOT NULL, state BLOB NOT NULL
    ) STRICT;
    CREATE TABLE contacts (
        stream INTEGER, key TEXT, value BLOB NOT NULL, checksum BLOB NOT NULL DEFAULT x'',
        PRIMARY KEY (stream, key)
    ) STRICT, WITHOUT ROWID;
";

/// What a file is, by its header and its list of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No table yet.
    New,
    /// A journal of this format or an older one.
    Journal(u32),
    /// A journal of a newer format.
    Newer(u32),
    /// Something else.
    Foreign,
}

/// Looks what a file is, and changes nothing.
pub(super) fn look(db: &Connection) -> rusqlite::Result<Found> {
    let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let (found, application) = (pragma("user_version")?, pragma("application_id")?);
    let tables: u32 = db.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    Ok(match (application, found) {
        (0, 0) if tables == 0 => Found::New,
        (APPLICATION, OLDEST..=FORMAT) => Found::Journal(found),
        (_, found) if found > FORMAT => Found::Newer(found),
        _ => Found::Foreign,
    })
}

/// Makes the tables of a new file. Inside of the caller's transaction.
pub(super) fn create(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(SCHEMA)?;
    db.pragma_update(None, "application_id", APPLICATION)?;
    db.pragma_update(None, "user_version", FORMAT)
}

/// Brings a file to this format. Inside of the caller's transaction: all of it, or nothing.
pub(super) fn upgrade(db: &Connection, from: u32) -> rusqlite::Result<()> {
    if from < 2 {
        from_1_to_2(db)?;
    }
    db.pragma_update(None, "user_version", FORMAT)
}

fn from_1_to_2(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch("ALTER TABLE streams ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0")?;
    db.execute(
        "UPDATE streams SET epoch = coalesce(
            (SELECT epoch FROM records WHERE id BETWEEN number << ?1 AND (number << ?1) + ?2 ORDER BY id DESC LIMIT 1),
            (SELECT epoch FROM catalogue WHERE stream = number), 0)",
        params![OFFSET_BITS, OFFSET_MAX.cast_signed()],
    )?;
    db.execute_batch(
        "ALTER TABLE catalogue DROP COLUMN epoch;
         ALTER TABLE catalogue ADD COLUMN checksum BLOB NOT NULL DEFAULT x'';
         ALTER TABLE contacts ADD COLUMN checksum BLOB NOT NULL DEFAULT x'';",
    )?;
    store::seal_catalogue(db)?;
    store::seal_contacts(db)
}

//! What is done to data folders: backups, checks, upgrades, recovery.

#[path = "../support/mod.rs"]
mod support;

mod backup;
mod damage;
mod person;
mod upgrade;

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hubbub::journal::sqlite::{JournalFile, Options, Sqlite, Stream};
use hubbub::journal::{Journal, Record};
use tempfile::TempDir;

/// A journal of format 1, as the version wrote it that last had that format. `ended` is a show that is over, with
/// comments, claims, a draw, its winners' contact details and a summary; `live` is one on air with a snapshot and a
/// comment after it; a device of an operator was signed in and revoked.
const FORMAT_1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/upkeep/format-1.sqlite");

/// A data folder with the journal of format 1.
fn older() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::copy(FORMAT_1, folder.path().join("journal.sqlite")).expect("copies");
    folder
}

/// The same, brought to the present format and closed.
async fn present() -> TempDir {
    let folder = older();
    let journal = Sqlite::open(folder.path(), Options::default()).expect("it is upgraded");
    journal.close().await;
    folder
}

/// Everything in a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Contents {
    streams: Vec<Whole>,
}

/// A stream: its name, its records and its contacts.
type Whole = (String, Vec<Record>, Vec<(String, Bytes)>);

fn contents(folder: &Path) -> Contents {
    let file = JournalFile::open(folder, true).expect("opens");
    let records = |stream: &Stream| {
        let mut records = Vec::new();
        let walked = file.walk(stream, &mut |record| {
            records.push(record);
            Ok(())
        });
        walked.expect("it is sound");
        let contacts = file.contacts(stream).expect("they can be read");
        let contacts = contacts.into_iter().map(|(key, value, intact)| {
            assert!(intact, "{key}");
            (key, value)
        });
        (stream.name.clone(), records, contacts.collect())
    };
    let streams = file.streams().expect("they can be read");
    Contents {
        streams: streams.iter().map(records).collect(),
    }
}

fn epochs(folder: &Path) -> Vec<(String, u64)> {
    let streams = JournalFile::open(folder, true).expect("opens").streams();
    let streams = streams.expect("they can be read").into_iter();
    streams.map(|stream| (stream.name, stream.epoch)).collect()
}

fn journal(folder: &Path) -> PathBuf {
    folder.join("journal.sqlite")
}

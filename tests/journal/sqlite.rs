//! What the embedded journal must do besides the contract.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use hubbub::journal::sqlite::{Commit, OpenError, Options, Sqlite};
use hubbub::journal::{AppendError, Appended, Journal, ReadError, Record, Snapshot};
use hubbub::room::{Offset, Timestamp};
use parking_lot::Mutex;
use tempfile::TempDir;

use crate::contract::{Place, batch, fill, must_append};

mod contract {
    crate::contract::contract!(super::Folder::new());
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self) -> PathBuf {
        self.path().join("journal.sqlite")
    }

    fn journal(&self) -> Sqlite {
        self.journal_with(Options::default())
    }

    fn journal_with(&self, options: Options) -> Sqlite {
        Sqlite::open(self.path(), options).unwrap()
    }

    /// Changes the file behind the journal's back; it must be closed.
    fn tamper(&self, sql: &str) {
        let db = rusqlite::Connection::open(self.file()).unwrap();
        db.execute_batch(sql).unwrap();
    }

    fn count(&self, sql: &str) -> i64 {
        let db = rusqlite::Connection::open(self.file()).unwrap();
        db.query_row(sql, (), |row| row.get(0)).unwrap()
    }
}

impl Place for Folder {
    fn open(&self) -> BoxFuture<'_, Box<dyn Journal>> {
        async { Box::new(self.journal()) as Box<dyn Journal> }.boxed()
    }
}

/// A journal with ten batches of one event in `abc`, closed.
async fn ten_records() -> (Folder, Vec<Record>) {
    let folder = Folder::new();
    let journal = folder.journal();
    let mut records = Vec::new();
    for first in 1..=10 {
        records.push(must_append(&journal, batch("abc", first, 1)).await);
    }
    journal.close().await;
    (folder, records)
}

fn damaged_at<T>(outcome: Result<T, ReadError>) -> Option<Offset> {
    match outcome {
        Err(ReadError::Damaged { offset, .. }) => Some(offset),
        _ => None,
    }
}

#[tokio::test]
async fn whatever_is_changed_in_a_record_is_damage_found_at_its_offset() {
    for change in [
        "events = replace(events, 'from', 'frol')",
        "events = CAST(x'ff' AS TEXT)",
        "batch = x'00000000000000000000000000000001'",
        "batch = x'01'",
        "epoch = 8",
        "at = at + 1",
        "checksum = x''",
        "count = 0",
        "count = 2",
        "count = -1",
    ] {
        for (which, after) in [(1, 0), (5, 4), (10, 9)] {
            let (folder, records) = ten_records().await;
            folder.tamper(&format!("UPDATE records SET {change} WHERE first = {which}"));
            let journal = folder.journal();
            let read = journal.read("abc", after, usize::MAX).await;
            assert_eq!(damaged_at(read), Some(which), "{change} at {which}");
            let tail = journal.tail("abc", 10, usize::MAX).await;
            assert_eq!(damaged_at(tail), Some(which), "{change} at {which}");
            if which == 5 {
                assert_eq!(
                    journal.read("abc", 5, usize::MAX).await.unwrap(),
                    records[5..],
                    "{change}"
                );
            }
            journal.close().await;
        }
    }
}

#[tokio::test]
async fn erasing_personal_fields_is_no_damage() {
    let (folder, records) = ten_records().await;
    folder.tamper("UPDATE records SET personal = '[\"\"]' WHERE first = 5");
    let read = folder.journal().read("abc", 4, 1).await.unwrap();
    let personal = r#"[""]"#.into();
    assert_eq!(
        read,
        [Record {
            personal,
            ..records[4].clone()
        }]
    );
}

#[tokio::test]
async fn a_record_that_is_missing_is_damage_wherever_it_stood() {
    for missing in [1, 5, 10] {
        let (folder, _) = ten_records().await;
        folder.tamper(&format!("DELETE FROM records WHERE first = {missing}"));
        let journal = folder.journal();
        for after in [0, missing - 1] {
            let read = journal.read("abc", after, usize::MAX).await;
            assert_eq!(damaged_at(read), Some(missing), "after {after}");
        }
        let tail = journal.tail("abc", usize::MAX, usize::MAX).await;
        assert_eq!(damaged_at(tail), Some(missing));
        journal.close().await;
    }
    let (folder, _) = ten_records().await;
    folder.tamper("DELETE FROM records");
    let journal = folder.journal();
    assert_eq!(damaged_at(journal.read("abc", 0, usize::MAX).await), Some(1));
    assert_eq!(damaged_at(journal.tail("abc", 1, 0).await), Some(1));
}

#[tokio::test]
async fn a_record_moved_to_another_stream_is_damage() {
    let (folder, _) = ten_records().await;
    let journal = folder.journal();
    fill(&journal, "bcd", 1).await;
    journal.close().await;
    folder.tamper(
        "DELETE FROM records WHERE stream = 2;
         UPDATE records SET id = (2 << 36) + 1 WHERE stream = 1 AND first = 1;",
    );
    assert_eq!(damaged_at(folder.journal().read("bcd", 0, 1).await), Some(1));
}

/// Opens a file with one flipped bit: the journal refuses (true), or says what is damaged (true), or shows all
/// as it was, but for the personal fields, which the events' hashes of them protect.
async fn notices(folder: &Folder, intact: &[u8], bit: usize, written: &[(&str, Vec<Record>)]) -> bool {
    let mut bytes = intact.to_owned();
    bytes[bit / 8] ^= 1 << (bit % 8);
    fs::write(folder.file(), bytes).unwrap();
    let Ok(journal) = Sqlite::open(folder.path(), Options::default()) else {
        return true;
    };
    let but_personal = |mut record: Record| {
        record.personal.clear();
        record
    };
    let mut noticed = false;
    for (stream, records) in written {
        match journal.read(stream, 0, usize::MAX).await {
            Ok(read) => {
                let read: Vec<_> = read.into_iter().map(but_personal).collect();
                let records: Vec<_> = records.iter().cloned().map(but_personal).collect();
                assert_eq!(read, records, "bit {bit} flipped");
            }
            Err(_) => noticed = true,
        }
    }
    journal.close().await;
    noticed
}

#[tokio::test]
async fn a_flipped_bit_never_shows_a_different_log() {
    let folder = Folder::new();
    let journal = folder.journal();
    let mut written = Vec::new();
    for stream in ["abc", "bcd", "cde"] {
        written.push((stream, fill(&journal, stream, 30).await));
    }
    journal.close().await;
    let intact = fs::read(folder.file()).unwrap();
    let seed: u64 = getrandom::u64().unwrap();
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut noticed = 0;
    for _ in 0..150 {
        let bit = random.below(intact.len() as u64 * 8) as usize;
        noticed += u32::from(notices(&folder, &intact, bit, &written).await);
    }
    assert!(noticed > 0, "none of 150 flipped bits hit anything");
}

#[tokio::test]
async fn a_damaged_name_never_makes_a_stream_look_empty() {
    let folder = Folder::new();
    let journal = folder.journal();
    let mut append = batch("abcdef", 1, 1);
    append.record.events = "[]".into();
    append.record.personal = "[]".into();
    append.row.summary = "{}".into();
    let written = [("abcdef", vec![must_append(&journal, append).await])];
    journal.close().await;
    let intact = fs::read(folder.file()).unwrap();
    let places = intact.windows(6).enumerate().filter(|(_, bytes)| bytes == b"abcdef");
    let places: Vec<_> = places.map(|(place, _)| place).collect();
    assert_eq!(places.len(), 2, "in the table and in its index");
    for place in places {
        assert!(notices(&folder, &intact, place * 8, &written).await, "byte {place}");
    }
}

#[tokio::test]
async fn a_damaged_snapshot_is_ignored() {
    for change in [
        "state = x'00'",
        "offset = 2",
        "epoch = 8",
        "version = 1",
        "checksum = x'00'",
    ] {
        let (folder, _) = ten_records().await;
        let journal = folder.journal();
        let state = "state".into();
        let snapshot = Snapshot {
            epoch: 7,
            offset: 10,
            version: 3,
            state,
        };
        journal.put_snapshot("abc", snapshot.clone()).await.unwrap();
        journal.close().await;
        folder.tamper(&format!("UPDATE snapshots SET {change}"));
        let journal = folder.journal();
        assert_eq!(journal.snapshot("abc").await.unwrap(), None, "{change}");
        journal.put_snapshot("abc", snapshot.clone()).await.unwrap();
        assert_eq!(journal.snapshot("abc").await.unwrap(), Some(snapshot), "{change}");
        journal.close().await;
    }
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let (folder, _) = ten_records().await;
    folder.tamper("PRAGMA user_version = 3");
    let before = fs::read(folder.file()).unwrap();
    let refused = Sqlite::open(folder.path(), Options::default()).err().unwrap();
    assert!(matches!(refused, OpenError::Newer { found: 3, known: 2 }), "{refused}");
    assert_eq!(fs::read(folder.file()).unwrap(), before);
}

#[tokio::test]
async fn a_file_that_is_no_journal_is_refused_and_left_alone() {
    let folder = Folder::new();
    folder.tamper("CREATE TABLE recipes (name TEXT)");
    let refused = Sqlite::open(folder.path(), Options::default()).err().unwrap();
    assert!(matches!(refused, OpenError::Foreign { .. }), "{refused}");
    assert_eq!(folder.count("SELECT count(*) FROM sqlite_schema"), 1);
    fs::write(
        folder.file(),
        "not a database at all, but long enough to look at. ".repeat(99),
    )
    .unwrap();
    let refused = Sqlite::open(folder.path(), Options::default()).err().unwrap();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    fs::write(folder.file(), "").unwrap();
    let refused = Sqlite::open(folder.path(), Options::default()).err().unwrap();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
}

#[tokio::test]
async fn a_folder_in_use_is_refused_until_it_is_closed() {
    let folder = Folder::new();
    let journal = folder.journal();
    let refused = Sqlite::open(folder.path(), Options::default()).err().unwrap();
    assert!(matches!(refused, OpenError::Taken { .. }), "{refused}");
    must_append(&journal, batch("abc", 1, 1)).await;
    journal.close().await;
    must_append(&folder.journal(), batch("abc", 2, 1)).await;
}

#[tokio::test]
async fn folder_and_files_are_for_their_owner_only() {
    let folder = Folder::new();
    let dir = folder.path().join("new/data");
    let journal = Sqlite::open(&dir, Options::default()).unwrap();
    must_append(&journal, batch("abc", 1, 1)).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let files: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{file:?}");
    }
}

#[tokio::test]
async fn a_full_journal_refuses_still_reads_and_recovers_when_there_is_room() {
    let folder = Folder::new();
    let options = Options {
        file_bytes_max: Some(1 << 20),
        ..Options::default()
    };
    let journal = folder.journal_with(options.clone());
    fill(&journal, "other", 100).await;
    let large = |first| {
        let mut append = batch("abc", first, 1);
        append.record.events = "e".repeat(100_000).into();
        append
    };
    let mut head = 0;
    let refused = loop {
        match journal.append(large(head + 1)).await {
            Appended::Durable => head += 1,
            refused => break refused,
        }
    };
    assert_eq!(refused, Appended::NotWritten(AppendError::Full));
    assert!(head > 5, "full after {head} batches of 100 kB in 1 MiB");
    assert_eq!(journal.append(large(head + 1)).await, refused);
    let read = journal.read("abc", 0, usize::MAX).await.unwrap();
    assert_eq!(read.last().unwrap().last(), head);
    journal.close().await;

    let journal = folder.journal_with(options);
    assert_eq!(journal.append(large(head + 1)).await, refused);
    assert_eq!(journal.tail("abc", 1, 0).await.unwrap()[0].last(), head);
    journal.remove("abc").await.unwrap();
    erase(&journal).await;
    for first in 1..=head {
        must_append(&journal, large(first)).await;
    }
}

/// Gives the writer the time to erase: it erases a part after each commit.
async fn erase(journal: &Sqlite) {
    let next = journal.tail("other", 1, 0).await.unwrap()[0].last() + 1;
    for first in next..next + 10 {
        must_append(journal, batch("other", first, 1)).await;
    }
}

#[tokio::test]
async fn a_removed_streams_records_leave_the_file() {
    let folder = Folder::new();
    let journal = folder.journal();
    fill(&journal, "other", 1).await;
    fill(&journal, "abc", 200).await;
    journal.close().await;
    let holds_abc = || {
        let file = fs::read(folder.file()).unwrap();
        file.windows(10).any(|bytes| bytes == b"ann of abc")
    };
    assert!(holds_abc());
    let journal = folder.journal();
    journal.remove("abc").await.unwrap();
    erase(&journal).await;
    journal.close().await;
    assert_eq!(folder.count("SELECT count(*) FROM records WHERE stream = 2"), 0);
    assert_eq!(folder.count("SELECT count(*) FROM streams"), 1);
    assert!(!holds_abc());
}

#[tokio::test]
async fn erasing_goes_on_after_a_restart() {
    let folder = Folder::new();
    let journal = folder.journal();
    fill(&journal, "abc", 200).await;
    fill(&journal, "other", 1).await;
    journal.close().await;
    folder.tamper("UPDATE streams SET name = NULL WHERE name = 'abc'; DELETE FROM catalogue WHERE stream = 1");
    let journal = folder.journal();
    erase(&journal).await;
    journal.close().await;
    assert_eq!(folder.count("SELECT count(*) FROM records WHERE stream = 1"), 0);
}

/// A journal whose writer is stopped after its first commit until the sender sends or is dropped, and the
/// list of its commits.
async fn stopped_journal(folder: &Folder, options: Options) -> (Sqlite, mpsc::Sender<()>, Arc<Mutex<Vec<Commit>>>) {
    let (go, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let commits = Arc::new(Mutex::new(Vec::new()));
    let seen = commits.clone();
    let on_commit = move |commit| {
        seen.lock().push(commit);
        // Nobody sends any more: go on.
        let _ = wait.lock().recv();
    };
    let journal = folder.journal_with(Options {
        on_commit: Some(Arc::new(on_commit)),
        ..options
    });
    must_append(&journal, batch("first", 1, 1)).await;
    (journal, go, commits)
}

#[tokio::test]
async fn appends_that_wait_share_one_commit_of_which_the_observer_is_told() {
    let folder = Folder::new();
    let (journal, go, commits) = stopped_journal(&folder, Options::default()).await;
    let mut appends: Vec<_> = (0..100)
        .map(|n| journal.append(batch(&format!("room{n}"), 1, 3)))
        .collect();
    appends.push(journal.append(batch("room1", 1, 1)));
    drop(go);
    let outcomes = join_all(appends).await;
    assert!(outcomes[..100].iter().all(|outcome| *outcome == Appended::Durable));
    let conflict = AppendError::Conflict { head: 3, expected: 0 };
    assert_eq!(outcomes[100], Appended::NotWritten(conflict));
    journal.close().await;
    let commits: Vec<_> = commits
        .lock()
        .iter()
        .map(|commit| (commit.appends, commit.events))
        .collect();
    assert_eq!(commits, [(1, 1), (100, 300)]);
}

#[tokio::test]
async fn a_full_queue_refuses_rather_than_grows() {
    let folder = Folder::new();
    let options = Options {
        queue_jobs_max: 2,
        ..Options::default()
    };
    let (journal, go, _) = stopped_journal(&folder, options).await;
    let waiting: Vec<_> = ["abc", "bcd"].map(|stream| journal.append(batch(stream, 1, 1))).into();
    let refused = journal.append(batch("cde", 1, 1)).await;
    assert!(
        matches!(refused, Appended::NotWritten(AppendError::Unavailable(_))),
        "{refused:?}"
    );
    assert_eq!(
        journal.tail("abc", 1, 0).await.unwrap(),
        [],
        "reads do not wait for the writer"
    );
    drop(go);
    assert_eq!(join_all(waiting).await, [Appended::Durable, Appended::Durable]);
    must_append(&journal, batch("cde", 1, 1)).await;
}

#[tokio::test]
async fn an_append_that_cannot_be_executed_does_not_fail_those_beside_it() {
    let (folder, _) = ten_records().await;
    folder.tamper(
        "CREATE TRIGGER unlucky BEFORE INSERT ON catalogue WHEN new.head = 13
         BEGIN SELECT RAISE(ABORT, 'thirteen'); END",
    );
    let (journal, go, _) = stopped_journal(&folder, Options::default()).await;
    let appends = [("bcd", 1), ("abc", 3), ("cde", 1)].map(|(stream, count)| {
        let first = if stream == "abc" { 11 } else { 1 };
        journal.append(batch(stream, first, count))
    });
    drop(go);
    let outcomes = join_all(appends).await;
    assert_eq!((&outcomes[0], &outcomes[2]), (&Appended::Durable, &Appended::Durable));
    let unlucky = Appended::NotWritten(AppendError::Unavailable("thirteen".to_owned()));
    assert_eq!(outcomes[1], unlucky);
    assert_eq!(journal.tail("abc", 1, 0).await.unwrap()[0].last(), 10);
    must_append(&journal, batch("abc", 11, 1)).await;
}

#[tokio::test]
async fn a_catalogue_behind_its_log_is_healed_and_due_at_once() {
    for accident in [
        "DELETE FROM catalogue",
        "UPDATE catalogue SET head = 3",
        "UPDATE catalogue SET summary = '{\"title\":\"Another\"}'",
        "UPDATE catalogue SET next_deadline = 1900000000000",
        "UPDATE catalogue SET checksum = x''",
    ] {
        let (folder, records) = ten_records().await;
        folder.tamper(accident);
        let journal = folder.journal();
        let rows = journal.catalogue().await.unwrap();
        assert_eq!((rows.len(), rows[0].head, rows[0].epoch), (1, 10, 7), "{accident}");
        assert!(
            rows[0].next_deadline <= Some(Timestamp(1_700_000_000_010)),
            "{accident}"
        );
        assert!(rows[0].summary.is_empty(), "{accident}: the hub makes it anew");
        assert_eq!(journal.read("abc", 0, usize::MAX).await.unwrap(), records, "{accident}");
        must_append(&journal, batch("abc", 11, 1)).await;
        journal.close().await;
    }
}

#[tokio::test]
async fn damaged_contact_details_are_told_and_never_shown() {
    for change in ["value = x'6f74686572'", "checksum = x''"] {
        let folder = Folder::new();
        let journal = folder.journal();
        let mut append = batch("abc", 1, 1);
        append.contacts = vec![("lips/1".to_owned(), "ann".into()), ("lips/2".to_owned(), "bob".into())];
        must_append(&journal, append).await;
        journal.close().await;
        folder.tamper(&format!("UPDATE contacts SET {change} WHERE key = 'lips/2'"));
        let journal = folder.journal();
        let key = "lips/2".to_owned();
        let stream = "abc".to_owned();
        let damaged = ReadError::DamagedContact { stream, key };
        assert_eq!(journal.contacts("abc", "lips/").await, Err(damaged), "{change}");
        assert_eq!(journal.contacts("abc", "lips/1").await.unwrap().len(), 1, "{change}");
        journal.close().await;
    }
}

#[tokio::test]
async fn a_catalogue_ahead_of_its_log_is_damage_and_not_healed() {
    let (folder, _) = ten_records().await;
    folder.tamper("UPDATE catalogue SET head = 12");
    let journal = folder.journal();
    assert_eq!(damaged_at(journal.read("abc", 0, usize::MAX).await), Some(11));
    assert_eq!(damaged_at(journal.read("abc", 10, usize::MAX).await), Some(11));
    assert_eq!(damaged_at(journal.tail("abc", 1, 0).await), Some(11));
    let conflict = AppendError::Conflict { head: 12, expected: 10 };
    assert_eq!(
        journal.append(batch("abc", 11, 1)).await,
        Appended::NotWritten(conflict)
    );
}

#[tokio::test]
async fn an_intact_journal_never_fails() {
    let folder = Folder::new();
    let journal = folder.journal();
    let failed = journal.failed();
    fill(&journal, "abc", 3).await;
    journal.close().await;
    assert_eq!(failed.now_or_never(), None);
}

/// SplitMix64: enough to choose places at random, from a seed that can be printed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

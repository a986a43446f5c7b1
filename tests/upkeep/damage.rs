//! Files that are not as they were written: found, and recovered from, never silently different.

use std::fs;
use std::path::Path;

use hubbub::journal::sqlite::{OpenError, Options, Sqlite};
use hubbub::journal::{Journal, Record};
use hubbub::upkeep::{Recovered, check, recover};
use tempfile::TempDir;

use crate::support::process::{ended, hubbub};
use crate::{Contents, contents, epochs, journal, present};

/// A random number from a seed that is printed (SplitMix64).
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = getrandom::u64().expect("the system has random bytes");
        println!("seed {seed}");
        Self(seed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

fn folder_with(bytes: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(journal(folder.path()), bytes).expect("writes");
    folder
}

/// What a server would be told: all records with their personal fields, and all contacts; none where it is refused.
async fn served(folder: &Path) -> Option<Contents> {
    let journal = Sqlite::open(folder, Options::default()).ok()?;
    let mut streams = Vec::new();
    for row in journal.catalogue().await.ok()? {
        let records = journal.read(&row.stream, 0, usize::MAX).await.ok()?;
        let contacts = journal.contacts(&row.stream, "").await.ok()?;
        streams.push((row.stream, records, contacts));
    }
    journal.close().await;
    Some(Contents { streams })
}

/// The records of a stream before the damage, without their personal fields, of which some may have been emptied.
fn is_prefix(kept: &Contents, whole: &Contents) -> bool {
    let events = |records: &[Record]| -> Vec<_> { records.iter().map(|record| record.events.clone()).collect() };
    kept.streams.iter().all(|(name, records, contacts)| {
        let (_, before, earlier) = whole
            .streams
            .iter()
            .find(|(other, ..)| other == name)
            .expect("no other stream");
        events(before).starts_with(&events(records)) && contacts.iter().all(|contact| earlier.contains(contact))
    })
}

async fn never_silently_different(damaged: &[u8], whole: &Contents, what: &str) -> bool {
    let folder = folder_with(damaged);
    let found = !check(folder.path(), true).is_ok_and(|report| report.faults.is_empty());
    if !found {
        assert!(
            contents(folder.path()) == *whole,
            "{what} is not found and not without effect"
        );
        let served = served(folder_with(damaged).path()).await;
        assert!(served.as_ref() == Some(whole), "{what}: sound, and served otherwise");
        return false;
    }
    // A snapshot or a page in use for nothing may be all that is damaged; personal fields are for the hub to compare.
    if let Some(mut served) = served(folder_with(damaged).path()).await {
        let mut whole = whole.clone();
        for contents in [&mut served, &mut whole] {
            let records = contents.streams.iter_mut().flat_map(|(_, records, _)| records);
            records.for_each(|record| record.personal.clear());
        }
        assert!(served == whole, "{what}: served otherwise");
    }
    let before = epochs_if_readable(folder.path());
    let Ok(Recovered { streams, aside }) = recover(folder.path()) else {
        return true;
    };
    assert_eq!(fs::read(journal(&aside)).expect("it is kept"), damaged, "{what}");
    let report = check(folder.path(), true).expect("can be read");
    assert_eq!(
        report.faults, [""; 0],
        "{what}: after the recovery, of which was said {streams:?}"
    );
    let kept = contents(folder.path());
    assert!(is_prefix(&kept, whole), "{what}: recovered is something else");
    for (name, _, _) in &whole.streams {
        let rest = kept.streams.iter().find(|(other, ..)| other == name);
        let told = streams.iter().find(|kept| kept.stream == *name);
        if let (Some((_, records, _)), Some(told)) = (rest, told) {
            assert_eq!(told.head, records.last().map_or(0, Record::last), "{what}");
        }
    }
    for (name, epoch) in epochs(folder.path()) {
        assert!(
            name == "_house" || !before.contains(&(name, epoch)),
            "{what}: an epoch goes on"
        );
    }
    true
}

fn epochs_if_readable(folder: &Path) -> Vec<(String, u64)> {
    let streams = hubbub::journal::sqlite::JournalFile::open(folder, true).and_then(|file| {
        file.streams().map_err(|error| OpenError::Damaged {
            file: folder.to_owned(),
            reason: error.to_string(),
        })
    });
    let streams = streams.into_iter().flatten();
    streams.map(|stream| (stream.name, stream.epoch)).collect()
}

#[tokio::test]
async fn a_flipped_bit_is_found_or_without_effect_and_what_is_recovered_is_a_prefix() {
    let folder = present().await;
    let (whole, intact) = (
        contents(folder.path()),
        fs::read(journal(folder.path())).expect("reads"),
    );
    let mut random = Random::new();
    let mut found = 0;
    for _ in 0..120 {
        let bit = random.below(intact.len() * 8);
        let mut damaged = intact.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        found += u32::from(never_silently_different(&damaged, &whole, &format!("bit {bit}")).await);
    }
    assert!(found > 20, "only {found} of 120 flipped bits were found");
}

#[tokio::test]
async fn a_file_cut_anywhere_is_found_and_what_is_recovered_is_a_prefix() {
    let folder = present().await;
    let (whole, intact) = (
        contents(folder.path()),
        fs::read(journal(folder.path())).expect("reads"),
    );
    let mut random = Random::new();
    let mut cuts: Vec<_> = (0..20).map(|_| random.below(intact.len())).collect();
    // And at pages' ends, where nothing looks torn.
    cuts.extend((0..intact.len()).step_by(4096));
    for cut in cuts {
        let what = format!("a cut at {cut}");
        let found = never_silently_different(&intact[..cut], &whole, &what).await;
        // The end of the last page may be in use for nothing.
        assert!(found || cut > intact.len() - 4096, "{what} was not found");
    }
}

#[tokio::test]
async fn of_a_file_that_lost_its_last_pages_the_rest_is_recovered() {
    let folder = present().await;
    let (whole, intact) = (
        contents(folder.path()),
        fs::read(journal(folder.path())).expect("reads"),
    );
    let records = |contents: &Contents| {
        contents
            .streams
            .iter()
            .map(|(_, records, _)| records.len())
            .sum::<usize>()
    };
    for lost in [1, 4096, 5_000, 2 * 4096] {
        let folder = folder_with(&intact[..intact.len() - lost]);
        recover(folder.path()).expect("the rest is sound");
        let kept = contents(folder.path());
        assert!(is_prefix(&kept, &whole), "{lost}");
        assert!(records(&kept) > 0 && records(&kept) <= records(&whole), "{lost}");
    }
}

#[test]
fn what_cannot_be_recovered_stays_as_it_was_and_is_said_to_be_lost() {
    let folder = folder_with(&b"x".repeat(5_000));
    let data = folder.path().to_str().expect("text");
    for _ in 0..2 {
        let (status, _, said) = ended(hubbub(&["recover", "--data", data]));
        assert_eq!(status, Some(1));
        assert!(
            said.contains("`hubbub restore`") && !said.contains("`hubbub recover`"),
            "{said}"
        );
    }
    let names: Vec<_> = fs::read_dir(folder.path())
        .expect("reads")
        .map(|file| file.expect("reads").file_name())
        .collect();
    assert!(
        !names.iter().any(|name| name.to_string_lossy().starts_with("damaged-")),
        "{names:?}"
    );
    assert_eq!(fs::read(journal(folder.path())).expect("reads"), b"x".repeat(5_000));

    let nowhere = folder.path().join("nowhere");
    assert!(recover(&nowhere).is_err());
    assert!(!nowhere.exists());
}

/// A data folder as a kill leaves it: its last commits stand in the write-ahead log. Also the head of `live`.
async fn killed() -> (TempDir, u64) {
    let (folder, left) = (present().await, tempfile::tempdir().expect("a temporary folder"));
    let journal = Sqlite::open(folder.path(), Options::default()).expect("opens");
    let row = journal
        .catalogue()
        .await
        .expect("reads")
        .into_iter()
        .find(|row| row.stream == "live");
    let mut row = row.expect("it is there");
    for _ in 0..20 {
        let record = Record {
            batch: u128::from(row.head),
            epoch: row.epoch,
            first: row.head + 1,
            count: 1,
            at: hubbub::room::Timestamp(1_900_000_000_000),
            events: r#"[{"comment":{"unpinned":{"by":null}}}]"#.into(),
            personal: "[]".into(),
        };
        row.head += 1;
        let append = hubbub::journal::Append {
            record,
            row: row.clone(),
            contacts: Vec::new(),
        };
        assert_eq!(journal.append(append).await, hubbub::journal::Appended::Durable);
    }
    for name in ["journal.sqlite", "journal.sqlite-wal"] {
        fs::copy(folder.path().join(name), left.path().join(name)).expect("copies");
    }
    journal.close().await;
    (left, row.head)
}

#[tokio::test]
async fn a_damaged_write_ahead_log_never_takes_acknowledged_commits_back_in_silence() {
    let (folder, head) = killed().await;
    let log = folder.path().join("journal.sqlite-wal");
    let intact = fs::read(&log).expect("reads");
    let mut random = Random::new();
    for round in 0..24 {
        let bit = random.below(intact.len() * 8);
        let mut damaged = intact.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let copy = folder_with(&fs::read(journal(folder.path())).expect("reads"));
        fs::write(copy.path().join("journal.sqlite-wal"), damaged).expect("writes");
        let opened = Sqlite::open(copy.path(), Options::default());
        let last = bit / 8 >= intact.len() - 4 * 4120;
        match opened {
            Err(OpenError::Damaged { reason, .. }) => {
                assert!(reason.contains("write-ahead log"), "{reason}");
                let recovered = recover(copy.path()).expect("the part before it is sound");
                let live = recovered
                    .streams
                    .iter()
                    .find(|kept| kept.stream == "live")
                    .expect("is there");
                assert!(live.head < head, "bit {bit}, round {round}");
            }
            Err(other) => panic!("bit {bit}: {other}"),
            Ok(journal) => {
                let tail = journal.tail("live", 1, 0).await.expect("reads");
                let lost = head - tail.last().map_or(0, Record::last);
                assert!(
                    lost == 0 || (lost == 1 && last),
                    "bit {bit}: {lost} batches are gone in silence"
                );
                journal.close().await;
            }
        }
    }
}

#[tokio::test]
async fn the_program_says_what_is_damaged_and_what_to_do() {
    let folder = present().await;
    let data = folder.path().to_str().expect("text");
    let hubbub_on = |arguments: &[&str]| ended(hubbub(&[arguments, &["--data", data]].concat()));
    let (status, said, _) = hubbub_on(&["check"]);
    assert_eq!(status, Some(0));
    assert!(said.starts_with("sound: 2 rooms, "), "{said}");

    let db = rusqlite::Connection::open(journal(folder.path())).expect("opens");
    db.execute(
        "UPDATE records SET events = replace(events, 'Words', 'Swords') WHERE stream = 2 AND first = 1",
        (),
    )
    .expect("writes");
    db.execute(
        "UPDATE records SET at = at + 1 WHERE id = (SELECT max(id) - 3 FROM records)",
        (),
    )
    .expect("writes");
    db.execute(
        "UPDATE contacts SET value = x'7b7d' WHERE rowid IS NULL OR key LIKE 'lips/%1'",
        (),
    )
    .ok();
    drop(db);
    let (status, faults, sentence) = hubbub_on(&["check"]);
    assert_eq!(status, Some(1), "{faults}");
    assert!(
        faults
            .lines()
            .any(|line| line.contains("offset") && line.contains("checksum")),
        "{faults}"
    );
    assert!(
        sentence.contains(&format!(": {} fault", faults.lines().count())),
        "{sentence}"
    );

    let (status, said, sentence) = hubbub_on(&["recover"]);
    assert_eq!(status, Some(0), "{sentence}");
    assert!(
        said.contains("what came later is lost (its checksum does not fit)"),
        "{said}"
    );
    assert!(said.contains("Every room has begun a new epoch"), "{said}");
    assert_eq!(hubbub_on(&["check"]).0, Some(0));

    fs::write(journal(folder.path()), "x".repeat(5_000)).expect("writes");
    let (status, _, said) = hubbub_on(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(status, Some(1));
    let sentence = said.lines().last().expect("a sentence");
    assert!(
        sentence.contains("is damaged (") && sentence.contains("`hubbub restore`"),
        "{sentence}"
    );
}

#[tokio::test]
async fn contact_details_that_belong_to_no_stream_are_damage() {
    let folder = present().await;
    let db = rusqlite::Connection::open(journal(folder.path())).expect("opens");
    let moved = db
        .execute("UPDATE contacts SET stream = stream + 4096", ())
        .expect("written");
    assert!(moved > 0);
    drop(db);
    let refused = Sqlite::open(folder.path(), Options::default());
    assert!(matches!(refused, Err(OpenError::Damaged { .. })));
}

//! Accidents that only a real process or disk can have. The process is this test program once more, running
//! nothing but [`the_other_process`].

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::join_all;
use hubbub::journal::sqlite::{Options, Sqlite};
use hubbub::journal::{Append, AppendError, Appended, Journal, Record};
use hubbub::room::Offset;

use crate::contract::batch;
use crate::disk::{SmallDisk, failing_sync};
use crate::sqlite::Random;

/// What the other process does, and in which folder.
const DEED: &str = "HUBBUB_TEST_JOURNAL_DEED";
const DIR: &str = "HUBBUB_TEST_JOURNAL_DIR";

const STREAMS: [&str; 3] = ["abc", "bcd", "cde"];

/// Does nothing when it runs as one test of many.
#[tokio::test]
async fn the_other_process() {
    let (Ok(deed), Ok(dir)) = (env::var(DEED), env::var(DIR)) else {
        return;
    };
    match deed.as_str() {
        "append" => append_until_something_happens(Path::new(&dir)).await,
        "fill" => fill_a_small_disk(Path::new(&dir)).await,
        other => panic!("no such deed: {other}"),
    }
}

/// This program as the other process, under a wrapper such as strace if there is one.
fn other_process(wrapper: &[String], deed: &str, dir: &Path) -> Command {
    let this = env::current_exe().unwrap();
    let mut words = wrapper.iter().map(AsRef::as_ref).chain([this.as_os_str()]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .args([
            "--exact",
            "accidents::the_other_process",
            "--nocapture",
            "--test-threads=2",
        ])
        .env(DEED, deed)
        .env(DIR, dir)
        .stdout(Stdio::piped());
    command
}

fn start(command: &mut Command) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = command.spawn().unwrap();
    let stdout: ChildStdout = child.stdout.take().unwrap();
    (child, BufReader::new(stdout).lines().map(Result::unwrap))
}

/// Appends to three streams at once, until an append fails or nobody can want more, and tells each outcome
/// as soon as it is known: `durable <stream> <first> <batch>`, or another word.
async fn append_until_something_happens(dir: &Path) {
    let journal = &Sqlite::open(dir, Options::default()).unwrap();
    let seed = getrandom::u64().unwrap();
    join_all(STREAMS.map(|stream| async move {
        let mut random = Random(seed ^ u64::from(stream.as_bytes()[0]));
        let mut first = head(journal, stream).await + 1;
        for _ in 0..2000 {
            let append = random_batch(stream, first, &mut random);
            let (id, count) = (append.record.batch, append.record.count);
            let outcome = journal.append(append).await;
            println!("{} {stream} {first} {id}", word(&outcome));
            if outcome != Appended::Durable {
                break;
            }
            first += u64::from(count);
        }
    }))
    .await;
    let Some(cause) = journal.failed().now_or_never() else {
        return;
    };
    println!("failed {cause}");
    let late = journal.append(batch("late", 1, 1)).await;
    println!("{} late", word(&late));
    assert!(
        matches!(late, Appended::NotWritten(AppendError::Unavailable(_))),
        "{late:?}"
    );
}

fn word(outcome: &Appended) -> &'static str {
    match outcome {
        Appended::Durable => "durable",
        Appended::NotWritten(_) => "not-written",
        Appended::Unknown(_) => "unknown",
    }
}

async fn head(journal: &dyn Journal, stream: &str) -> Offset {
    let tail = journal.tail(stream, 1, 0).await.unwrap();
    tail.last().map_or(0, Record::last)
}

/// Mostly small, now and then of some hundred kilobytes, so that transactions take many pages.
fn random_batch(stream: &str, first: Offset, random: &mut Random) -> Append {
    let mut append = batch(stream, first, 1 + random.below(20) as u32);
    append.record.batch = u128::from(random.next());
    let bytes = if random.below(10) == 0 { 300_000 } else { 2_000 };
    append.record.events = "e".repeat(random.below(bytes) as usize).into();
    append
}

/// A told outcome: its word, stream, first offset and batch.
struct Told {
    word: String,
    stream: String,
    first: Offset,
    batch: u128,
}

fn told(line: &str) -> Option<Told> {
    let words: Vec<_> = line.split(' ').collect();
    let [word @ ("durable" | "not-written" | "unknown"), stream, first, batch] = words[..] else {
        return None;
    };
    Some(Told {
        word: word.to_owned(),
        stream: stream.to_owned(),
        first: first.parse().unwrap(),
        batch: batch.parse().unwrap(),
    })
}

/// Opens the journal, which has no gap anywhere, and checks what was told.
async fn check(dir: &Path, told: &[Told]) {
    let journal = Sqlite::open(dir, Options::default()).unwrap();
    for stream in STREAMS {
        let records = journal.read(stream, 0, usize::MAX).await.unwrap();
        let find = |told: &Told| records.iter().find(|record| record.first == told.first);
        for told in told.iter().filter(|told| told.stream == stream) {
            let found = find(told).is_some_and(|record| record.batch == told.batch);
            match told.word.as_str() {
                "durable" => assert!(found, "{stream} {} was lost", told.first),
                "not-written" => assert!(!found, "{stream} {} was written", told.first),
                _ => {}
            }
        }
    }
    journal.close().await;
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let seed = getrandom::u64().unwrap();
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut all = Vec::new();
    for _ in 0..25 {
        let (mut child, mut lines) = start(&mut other_process(&[], "append", dir.path()));
        let deadline = random.below(60) as usize;
        all.extend(lines.by_ref().filter_map(|line| told(&line)).take(deadline));
        child.kill().unwrap();
        // What it said with its last breath.
        all.extend(lines.filter_map(|line| told(&line)));
        child.wait().unwrap();
        check(dir.path(), &all).await;
    }
    assert!(all.len() > 100, "only {} appends", all.len());
    assert!(all.iter().all(|told| told.word == "durable"));
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_promised_any_more() {
    for n in [1, 2, 3, 5, 10, 20, 40, 80] {
        let dir = tempfile::tempdir().unwrap();
        // Made without accident, so that the n-th sync of a file is one of an append or checkpoint. Not those
        // of the folder, which opening makes itself.
        Sqlite::open(dir.path(), Options::default()).unwrap().close().await;
        let file = |name: &str| dir.path().join(name);
        let strace = failing_sync(n, &[file("journal.sqlite"), file("journal.sqlite-wal")]);
        let (mut child, lines) = start(&mut other_process(&strace, "append", dir.path()));
        let lines: Vec<_> = lines.collect();
        let status = child.wait().unwrap();
        assert!(
            lines.iter().any(|line| line.starts_with("failed ")),
            "sync {n}: {lines:?}"
        );
        assert!(
            lines.iter().any(|line| line == "not-written late"),
            "sync {n}: {lines:?}"
        );
        assert!(status.success(), "sync {n}: {lines:?}");
        // One stream's answers are told in order; those of different streams may overtake each other on
        // their way, so that only a stream's own say what came after what.
        let told: Vec<_> = lines.iter().filter_map(|line| told(line)).collect();
        for stream in STREAMS {
            let last = told.iter().rfind(|told| told.stream == stream).unwrap();
            assert_ne!(
                last.word, "durable",
                "sync {n}: {stream} ended without a failure: {lines:?}"
            );
        }
        check(dir.path(), &told).await;
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers_by_itself() {
    let disk = SmallDisk::new(16);
    let (mut child, lines) = start(&mut other_process(&disk.under(), "fill", &disk.data()));
    let lines: Vec<_> = lines.collect();
    assert!(child.wait().unwrap().success(), "{lines:?}");
    assert!(lines.iter().any(|line| line == "recovered"), "{lines:?}");
}

/// The ballast is half of the disk: the journal's log is at most about 4 MiB, and whatever of it has still to be
/// copied into the file fits into the other half, with room for the appends that follow.
async fn fill_a_small_disk(dir: &Path) {
    std::fs::create_dir(dir).unwrap();
    let ballast = dir.join("ballast");
    std::fs::write(&ballast, vec![0; 8 << 20]).unwrap();
    let journal = Sqlite::open(dir, Options::default()).unwrap();
    let large = |first| {
        let mut append = batch("abc", first, 1);
        append.record.events = "e".repeat(30_000).into();
        append
    };
    let mut head = 0;
    while journal.append(large(head + 1)).await == Appended::Durable {
        head += 1;
    }
    assert!(head > 10, "full after {head}");
    let full = Appended::NotWritten(AppendError::Full);
    for _ in 0..10 {
        let begun = Instant::now();
        assert_eq!(journal.append(large(head + 1)).await, full);
        assert!(begun.elapsed() < Duration::from_secs(1));
        let records = journal.read("abc", 0, usize::MAX).await.unwrap();
        assert_eq!(records.last().map(Record::last), Some(head));
    }
    journal.close().await;
    // It also starts on a full disk.
    let journal = Sqlite::open(dir, Options::default()).unwrap();
    while journal.append(large(head + 1)).await == Appended::Durable {
        head += 1;
    }
    assert_eq!(journal.append(large(head + 1)).await, full);

    std::fs::remove_file(&ballast).unwrap();
    for _ in 0..10 {
        head += 1;
        assert_eq!(journal.append(large(head)).await, Appended::Durable, "at {head}");
    }
    journal.close().await;
    let journal = Sqlite::open(dir, Options::default()).unwrap();
    let records = journal.read("abc", 0, usize::MAX).await.unwrap();
    assert_eq!(records.last().map(Record::last), Some(head));
    println!("recovered");
}

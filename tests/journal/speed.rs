//! How fast the embedded journal is here: `cargo test --release --test journal -- --ignored --nocapture speed`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hubbub::journal::sqlite::{Commit, Options, Sqlite};
use hubbub::journal::{Append, Journal};
use parking_lot::Mutex;

use crate::contract::{batch, must_append};

/// Each figure is taken for so long.
const TIME: Duration = Duration::from_secs(2);

/// A comment as JSON is about this long.
const EVENT_BYTES: usize = 200;

fn batch_of(stream: &str, first: u64, count: u32) -> Append {
    let mut append = batch(stream, first, count);
    append.record.events = "e".repeat(EVENT_BYTES * count as usize).into();
    append
}

/// One stream, which waits for each append before the next as a room does; commits of one stream a second.
async fn commits(journal: &Sqlite, stream: &str, count: u32) -> u32 {
    let (begun, mut commits, mut first) = (Instant::now(), 0, 1);
    while begun.elapsed() < TIME {
        must_append(journal, batch_of(stream, first, count)).await;
        first += u64::from(count);
        commits += 1;
    }
    commits
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, and takes its time"]
async fn speed_of_appends() {
    let seconds = TIME.as_secs() as u32;
    for (streams, count) in [(1, 1), (1, 100), (1, 1000), (10, 1), (100, 1), (100, 10), (1000, 1)] {
        let dir = tempfile::tempdir().unwrap();
        let commits_seen = Arc::new(Mutex::new(Vec::new()));
        let seen = commits_seen.clone();
        let options = Options {
            on_commit: Some(Arc::new(move |commit| seen.lock().push(commit))),
            ..Options::default()
        };
        let journal = Sqlite::open(dir.path(), options).unwrap();
        let names: Vec<_> = (0..streams).map(|n| format!("room{n}")).collect();
        let appends: u32 = join_all(names.iter().map(|name| commits(&journal, name, count)))
            .await
            .iter()
            .sum();
        let (appends, events) = (appends / seconds, appends * count / seconds);
        journal.close().await;
        let mut took: Vec<_> = commits_seen.lock().iter().map(|commit: &Commit| commit.took).collect();
        took.sort();
        let (half, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        println!(
            "{streams:>5} streams, batches of {count:>4}: {appends:>6} appends/s, {events:>7} events/s, \
             {:>5} commits/s, half in {half:.1?}, 99 % in {most:.1?}",
            took.len() as u32 / seconds
        );
    }
}

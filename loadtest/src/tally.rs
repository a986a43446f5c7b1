//! What one thread counted; threads' tallies are merged at the end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use hubbub::room::draw::EntryReceipt;
use hubbub::room::{Offset, ViewerId};

use crate::faults::Faults;
use crate::observer::Observer;

/// Times in microseconds, up to ten minutes, to three digits.
#[derive(Clone, Debug)]
pub(crate) struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, 600_000_000, 3).expect("the bounds are good"))
    }
}

impl Times {
    /// Takes a time in.
    pub(crate) fn record(&mut self, time: Duration) {
        self.record_n(time, 1);
    }

    /// Takes a time in that so many had.
    pub(crate) fn record_n(&mut self, time: Duration, count: u64) {
        self.0.saturating_record_n(time.as_micros() as u64, count);
    }

    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Milliseconds below which `quantile` (0-1) of them are.
    pub(crate) fn ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1_000.0
    }

    fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }
}

/// What became of an asker's claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// A code.
    Granted(String),
    /// `sold_out`.
    SoldOut,
    /// Another refusal.
    Refused(String),
}

/// Everything that a thread counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// From the time at which a viewer was due, to the keyframe.
    pub(crate) joins: Times,
    /// When the first began to connect and the last had joined.
    pub(crate) joined_within: Option<(Instant, Instant)>,
    /// From the time at which a cut viewer was due, to being continued.
    pub(crate) returns: Times,
    /// From the end of a connection that the server or the network ended, to being continued.
    pub(crate) comebacks: Times,
    /// From the time at which a comment was due, to each viewer who was there then.
    pub(crate) deliveries: Times,
    /// From the time at which a request was due, to its answer.
    pub(crate) comments: Times,
    pub(crate) entering: Times,
    pub(crate) claiming: Times,
    /// Deltas received.
    pub(crate) deltas: u64,
    /// Comments received, by each viewer.
    pub(crate) delivered: u64,
    /// Bytes received, with everything.
    pub(crate) bytes: u64,
    /// Taps sent.
    pub(crate) taps: u64,
    /// Messages `skipped`: disclosed gaps.
    pub(crate) skipped: u64,
    /// Close frames by code; 0: connections that ended without one.
    pub(crate) closes: BTreeMap<u16, u64>,
    /// Refusals by what was asked and code.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Requests that were sent again, after a lost connection or when the server was busy.
    pub(crate) sent_again: u64,
    /// Connections and handshakes that failed and were tried again, by cause.
    pub(crate) failed: BTreeMap<String, u64>,
    /// Faults.
    pub(crate) faults: Faults,
    /// Comments that were acknowledged, with their texts.
    pub(crate) accepted: BTreeMap<Offset, String>,
    /// Claims by viewer.
    pub(crate) claims: BTreeMap<u32, Claimed>,
    /// Entries by viewer.
    pub(crate) entries: BTreeMap<u32, (ViewerId, EntryReceipt)>,
    /// What the thread's observer saw.
    pub(crate) observer: Observer,
    /// The share of a core that the thread took while the show was on.
    pub(crate) cpu: f64,
}

impl Tally {
    /// Notes that a viewer who began to connect at `began` has joined.
    pub(crate) fn joined(&mut self, began: Instant, now: Instant) {
        let (first, last) = self.joined_within.unwrap_or((began, now));
        self.joined_within = Some((first.min(began), last.max(now)));
    }

    /// Viewers who came a second, while they came.
    pub(crate) fn joins_per_second(&self) -> f64 {
        let seconds = self
            .joined_within
            .map_or(0.0, |(first, last)| last.saturating_duration_since(first).as_secs_f64());
        if seconds > 0.0 {
            self.joins.count() as f64 / seconds
        } else {
            0.0
        }
    }

    /// Takes in another thread's. The observer stays the first thread's: it was there first.
    pub(crate) fn merge(&mut self, other: Self) {
        for (own, others) in [
            (&mut self.joins, &other.joins),
            (&mut self.returns, &other.returns),
            (&mut self.comebacks, &other.comebacks),
            (&mut self.deliveries, &other.deliveries),
            (&mut self.comments, &other.comments),
            (&mut self.entering, &other.entering),
            (&mut self.claiming, &other.claiming),
        ] {
            own.merge(others);
        }
        if let Some((first, last)) = other.joined_within {
            self.joined(first, last);
        }
        self.deltas += other.deltas;
        self.delivered += other.delivered;
        self.bytes += other.bytes;
        self.taps += other.taps;
        self.skipped += other.skipped;
        self.sent_again += other.sent_again;
        other
            .closes
            .into_iter()
            .for_each(|(code, count)| *self.closes.entry(code).or_default() += count);
        add_all(&mut self.refused, other.refused);
        add_all(&mut self.failed, other.failed);
        self.faults.merge(other.faults);
        self.accepted.extend(other.accepted);
        self.claims.extend(other.claims);
        self.entries.extend(other.entries);
        self.cpu = self.cpu.max(other.cpu);
    }
}

fn add_all(own: &mut BTreeMap<String, u64>, others: BTreeMap<String, u64>) {
    for (name, count) in others {
        *own.entry(name).or_default() += count;
    }
}

/// Counts one under a name.
pub(crate) fn add(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(counts.insert(name.to_owned(), 1)),
    }
}

/// What a thread shows of itself while it runs.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// Viewers who have the room's state.
    pub(crate) watching: AtomicU64,
    /// Deltas received.
    pub(crate) deltas: AtomicU64,
    /// Bytes received.
    pub(crate) bytes: AtomicU64,
    /// Comments received, by each viewer.
    pub(crate) deliveries: AtomicU64,
    /// Requests answered.
    pub(crate) answered: AtomicU64,
}

impl Live {
    /// The sum over threads of one number.
    pub(crate) fn sum<'l>(all: impl IntoIterator<Item = &'l Self>, which: impl Fn(&Self) -> &AtomicU64) -> u64 {
        all.into_iter().map(|live| which(live).load(Ordering::Relaxed)).sum()
    }
}

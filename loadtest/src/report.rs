//! What a run tells at its end: a table for people, JSON with the same for machines.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use hubbub::room::RoomId;
use serde::Serialize;

use crate::options::{Failure, Plan, Rush};
use crate::tally::{Tally, Times};

/// Above this share of a core a thread of this program may be what is slow.
const CPU_MAX: f64 = 0.85;

/// A distribution of times, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Spread {
    count: u64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    max_ms: f64,
}

impl Spread {
    fn of(times: &Times) -> Self {
        Self {
            count: times.count(),
            p50_ms: times.ms(0.5),
            p99_ms: times.ms(0.99),
            p999_ms: times.ms(0.999),
            max_ms: times.ms(1.0),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return f.write_str("none");
        }
        write!(
            f,
            "p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, max {:.1} ms",
            self.p50_ms, self.p99_ms, self.p999_ms, self.max_ms
        )
    }
}

/// How the rush went.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RushReport {
    quota: u32,
    askers: u32,
    granted: usize,
    sold_out: usize,
    latency: Spread,
}

impl RushReport {
    pub(crate) fn new(rush: Rush, granted: usize, sold_out: usize, times: &Times) -> Self {
        Self {
            quota: rush.quota,
            askers: rush.askers,
            granted,
            sold_out,
            latency: Spread::of(times),
        }
    }
}

/// How the draw went.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DrawReport {
    entries: usize,
    winners: Vec<u32>,
    latency: Spread,
}

impl DrawReport {
    pub(crate) fn new(entries: usize, winners: Vec<u32>, times: &Times) -> Self {
        Self {
            entries,
            winners,
            latency: Spread::of(times),
        }
    }
}

/// How the storm went.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StormReport {
    cut: u32,
    latency: Spread,
}

impl StormReport {
    pub(crate) fn new(cut: u32, times: &Times) -> Self {
        Self {
            cut,
            latency: Spread::of(times),
        }
    }
}

/// What the server took, from /proc.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ServerReport {
    /// Resident bytes before anybody came, with everybody idle, at the end of the show.
    memory_before: Option<u64>,
    memory_idle: Option<u64>,
    memory_end: Option<u64>,
    /// Resident bytes that each idle viewer adds, with its share of the room.
    memory_per_viewer: Option<u64>,
    /// CPU seconds while the show was on, and in cores.
    cpu_seconds: Option<f64>,
    cpu_cores: Option<f64>,
}

impl ServerReport {
    pub(crate) fn new(
        before: Option<u64>,
        idle: Option<u64>,
        end: Option<u64>,
        cpu_seconds: Option<f64>,
        talk_seconds: f64,
        viewers: u32,
    ) -> Self {
        let added = before.zip(idle).map(|(before, idle)| idle.saturating_sub(before));
        Self {
            memory_before: before,
            memory_idle: idle,
            memory_end: end,
            memory_per_viewer: added.map(|added| added / u64::from(viewers)),
            cpu_seconds,
            cpu_cores: cpu_seconds.map(|seconds| seconds / talk_seconds),
        }
    }
}

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    server: String,
    room: RoomId,
    encoding: String,
    seed: u64,
    threads: u32,
    viewers: u32,
    talk_seconds: f64,
    joins_per_second: f64,
    joins: Spread,
    /// Deltas received while the show was on, and altogether.
    deliveries_per_second: f64,
    deliveries: u64,
    /// From the time at which a comment was due to each viewer.
    latency: Spread,
    comments_acknowledged: usize,
    comments_shown: usize,
    comments_sampled_of: u64,
    comment_latency: Spread,
    likes_sent: u64,
    likes_counted: u64,
    bytes_received: u64,
    bytes_per_comment: Option<f64>,
    rush: Option<RushReport>,
    draw: Option<DrawReport>,
    storm: Option<StormReport>,
    /// From the end of a connection that nobody cut on purpose, to being continued.
    comebacks: Spread,
    /// Disclosed gaps.
    skipped: u64,
    sent_again: u64,
    refused: BTreeMap<String, u64>,
    failed_attempts: BTreeMap<String, u64>,
    /// By code; 0: without a close frame.
    closes: BTreeMap<u16, u64>,
    /// The share of a core of this program's busiest thread.
    generator_cpu: f64,
    /// This program may have been what was slow.
    generator_limited: bool,
    server_process: Option<ServerReport>,
    /// What is not as it must be.
    pub(crate) failures: Vec<String>,
}

impl Report {
    /// What every run tells.
    pub(crate) fn new(plan: &Plan, room: &RoomId, talk_seconds: f64, deltas: u64, tally: &Tally) -> Self {
        let per_second = |count: u64, seconds: f64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let observer = &tally.observer;
        let comments = observer.comments_in_bytes;
        Self {
            server: plan.server.url.clone(),
            room: room.clone(),
            encoding: plan.form.to_string(),
            seed: plan.seed,
            threads: plan.threads,
            viewers: plan.viewers,
            talk_seconds,
            joins_per_second: tally.joins_per_second(),
            joins: Spread::of(&tally.joins),
            deliveries_per_second: per_second(deltas, talk_seconds),
            deliveries: tally.deltas,
            latency: Spread::of(&tally.deliveries),
            comments_acknowledged: tally.accepted.len(),
            comments_shown: observer.shown.len(),
            comments_sampled_of: observer.sampled_of,
            comment_latency: Spread::of(&tally.comments),
            likes_sent: tally.taps,
            likes_counted: observer.totals.likes,
            bytes_received: tally.bytes,
            bytes_per_comment: (comments > 0).then(|| observer.comment_bytes as f64 / comments as f64),
            rush: None,
            draw: None,
            storm: None,
            comebacks: Spread::of(&tally.comebacks),
            skipped: tally.skipped,
            sent_again: tally.sent_again,
            refused: tally.refused.clone(),
            failed_attempts: tally.failed.clone(),
            closes: tally.closes.clone(),
            generator_cpu: tally.cpu,
            generator_limited: tally.cpu > CPU_MAX,
            server_process: None,
            failures: Vec::new(),
        }
    }

    /// With the acts, and the judgement.
    pub(crate) fn with(
        self,
        rush: Option<RushReport>,
        draw: Option<DrawReport>,
        storm: Option<StormReport>,
        server_process: Option<ServerReport>,
        failures: Vec<String>,
    ) -> Self {
        Self {
            rush,
            draw,
            storm,
            server_process,
            failures,
            ..self
        }
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`] if the file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let json = serde_json::to_string_pretty(self).expect("names and numbers");
        std::fs::write(path, json + "\n").map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
    }
}

fn mebibytes(bytes: Option<u64>) -> String {
    bytes.map_or("?".to_owned(), |bytes| {
        format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
    })
}

fn counts<K: fmt::Display>(counts: &BTreeMap<K, u64>) -> String {
    let each: Vec<String> = counts.iter().map(|(name, count)| format!("{name} x {count}")).collect();
    if each.is_empty() {
        "none".to_owned()
    } else {
        each.join(", ")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: &dyn fmt::Display| writeln!(f, "{name:<18} {value}");
        row(
            "viewers",
            &format_args!(
                "{} ({}, {} thread(s), seed {})",
                self.viewers, self.encoding, self.threads, self.seed
            ),
        )?;
        row("joins", &format_args!("{:.0}/s, {}", self.joins_per_second, self.joins))?;
        row(
            "deliveries",
            &format_args!(
                "{}, {:.0}/s for {:.0} s",
                self.deliveries, self.deliveries_per_second, self.talk_seconds
            ),
        )?;
        row("due to received", &self.latency)?;
        row(
            "comments",
            &format_args!(
                "{} acknowledged, {} shown",
                self.comments_acknowledged, self.comments_shown
            ),
        )?;
        if self.comments_sampled_of > 0 {
            let waited = "waited for the sample of a busy second, also in the times above";
            row("", &format_args!("{} {waited}", self.comments_sampled_of))?;
        }
        row("due to answered", &self.comment_latency)?;
        row(
            "likes",
            &format_args!("{} sent, {} counted", self.likes_sent, self.likes_counted),
        )?;
        if let Some(draw) = &self.draw {
            row(
                "draw",
                &format_args!("{} entries, winners {:?}", draw.entries, draw.winners),
            )?;
            row("due to entered", &draw.latency)?;
        }
        if let Some(rush) = &self.rush {
            let RushReport {
                quota,
                askers,
                granted,
                sold_out,
                latency,
            } = rush;
            row(
                "rush",
                &format_args!("{askers} asked for {quota}: {granted} granted, {sold_out} told `sold_out`"),
            )?;
            row("due to told", latency)?;
        }
        if let Some(storm) = &self.storm {
            row(
                "storm",
                &format_args!("{} cut, {} back: {}", storm.cut, storm.latency.count, storm.latency),
            )?;
        }
        if self.comebacks.count > 0 {
            row(
                "lost, and back",
                &format_args!("{}: {}", self.comebacks.count, self.comebacks),
            )?;
        }
        let per_comment = self
            .bytes_per_comment
            .map_or("?".to_owned(), |bytes| format!("{bytes:.0}"));
        row(
            "bytes",
            &format_args!(
                "{} received, {per_comment} a comment",
                mebibytes(Some(self.bytes_received))
            ),
        )?;
        row("closes", &counts(&self.closes))?;
        row("refused", &counts(&self.refused))?;
        row("failed attempts", &counts(&self.failed_attempts))?;
        row("skipped", &format_args!("{} disclosed gaps", self.skipped))?;
        row("sent again", &self.sent_again)?;
        let limit = if self.generator_limited {
            ": it may have been the limit, times are at most these"
        } else {
            ""
        };
        row(
            "this program",
            &format_args!("{:.0} % of a core a thread{limit}", self.generator_cpu * 100.0),
        )?;
        if let Some(server) = &self.server_process {
            row(
                "server",
                &format_args!(
                    "{} before, {} with all idle ({} bytes a viewer), {} at the end; {:.2} cores",
                    mebibytes(server.memory_before),
                    mebibytes(server.memory_idle),
                    server
                        .memory_per_viewer
                        .map_or("?".to_owned(), |bytes| bytes.to_string()),
                    mebibytes(server.memory_end),
                    server.cpu_cores.unwrap_or_default(),
                ),
            )?;
        }
        if self.failures.is_empty() {
            return row("correct", &"no gap, no double, nothing lost");
        }
        self.failures.iter().try_for_each(|failure| row("NOT CORRECT", failure))
    }
}

//! Every metric, in one place, and how the log is written.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus::{
    Error, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{ParseError, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;
use crate::limits::Hits;
use crate::protocol::Close;
use crate::tls;

/// What is said again and again is said at most this often.
const SELDOM: Duration = Duration::from_secs(10);

/// Handles to every metric of the process. Labels hold closed sets only: never viewers, never rooms.
#[derive(Clone)]
#[expect(missing_docs, reason = "the help text of each metric is its documentation")]
pub struct Metrics {
    pub registry: Registry,
    pub connections: IntGauge,
    pub connections_max: IntGauge,
    pub connections_opened: IntCounter,
    pub connections_closed: IntCounterVec,
    pub rooms_loaded: IntGauge,
    pub rooms_max: IntGauge,
    pub rooms_rebuilt: IntCounter,
    pub rooms_broken: IntCounter,
    pub rooms_parked: IntGauge,
    pub rooms_unwritable: IntGauge,
    pub room_scans: RoomScans,
    pub shows_forgotten: IntCounter,
    pub commands: Commands,
    pub refusals: IntCounterVec,
    pub taps_dropped: IntCounter,
    pub claims: Claims,
    pub redemptions: IntCounter,
    pub draws: Draws,
    pub draw_entries: IntCounter,
    pub prizes_claimed: IntCounter,
    pub comments: Comments,
    pub batch_events: Histogram,
    pub batch_commands: Histogram,
    pub commit_seconds: Histogram,
    pub commit_appends: Histogram,
    pub appends_failed: AppendsFailed,
    pub decided_to_durable_seconds: Histogram,
    pub decided_to_written_seconds: Histogram,
    pub frames_written: IntCounter,
    pub bytes_out: IntCounter,
    pub skips: IntCounter,
    pub display_budgets_lowered: IntCounter,
    pub lag_batches: Histogram,
    pub queue_depth: Histogram,
    pub http_requests: IntCounterVec,
    pub sockets_refused: IntCounterVec,
    pub limits: Hits,
    pub clock_ahead_ms: IntGauge,
    pub data_free_bytes: IntGauge,
    pub data_disk_bytes: IntGauge,
    pub last_backup_seconds: IntGauge,
    pub certificate: tls::Told,
    pub memory_max_bytes: IntGauge,
    pub cores: IntGauge,
}

/// Commands decided, by outcome.
#[derive(Clone)]
pub struct Commands {
    /// Done, if the journal takes it.
    pub done: IntCounter,
    /// A retry: the first answer again.
    pub again: IntCounter,
    /// Refused by the room's rules.
    pub refused: IntCounter,
}

/// Claims of discounts' codes, by outcome.
#[derive(Clone)]
pub struct Claims {
    /// Granted, durably.
    pub granted: IntCounter,
    /// A retry: the same code again.
    pub again: IntCounter,
    /// The quota was gone.
    pub sold_out: IntCounter,
    /// Refused for another reason.
    pub refused: IntCounter,
    /// The journal took no writes: neither granted nor refused.
    pub unavailable: IntCounter,
}

/// Draws, by what happened to them, durably.
#[derive(Clone)]
pub struct Draws {
    /// Opened.
    pub opened: IntCounter,
    /// The winners were revealed.
    pub revealed: IntCounter,
    /// Unclaimed prizes were drawn again.
    pub redrawn: IntCounter,
    /// Cancelled.
    pub cancelled: IntCounter,
}

/// Comments, by whether the stage shows them.
#[derive(Clone)]
pub struct Comments {
    /// On stage.
    pub shown: IntCounter,
    /// Left out of a busy second's sample.
    pub thinned: IntCounter,
    /// Only an entry in a draw.
    pub entry_only: IntCounter,
}

/// Times that a room's log was read from its newest snapshot to its end, by why.
#[derive(Clone)]
pub struct RoomScans {
    /// To load the room: once, however many come for it at the same time.
    pub load: IntCounter,
    /// After an append that failed.
    pub failed_append: IntCounter,
    /// To make the next snapshot.
    pub snapshot: IntCounter,
    /// To erase what is personal, or to look for it.
    pub erasure: IntCounter,
}

/// Batches that the journal did not take, by reason.
#[derive(Clone)]
pub struct AppendsFailed {
    /// The disk is full.
    pub full: IntCounter,
    /// The store refused.
    pub refused: IntCounter,
    /// Another writer was there.
    pub conflict: IntCounter,
    /// Nobody can say whether it was written.
    pub unknown: IntCounter,
}

/// One more in a gauge, until it is dropped.
pub struct Counted(IntGauge);

impl Counted {
    /// Counts one more.
    pub fn one(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A counter for each value of a label whose values are a closed set: all are there from the start, so that the
/// first event is an increase that a rate sees.
fn each<const N: usize>(
    registry: &Registry,
    (name, help): (&str, &str),
    label: &str,
    values: [&str; N],
) -> Result<[IntCounter; N], Error> {
    let all = IntCounterVec::new(Opts::new(name, help), &[label])?;
    registry.register(Box::new(all.clone()))?;
    Ok(values.map(|value| all.with_label_values(&[value])))
}

/// From 0.1 ms (a commit on a good disk takes 0.15) to 10 s.
const SECONDS: [f64; 16] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Counts from one to a batch's bound of 1,000 commands, and beyond.
const COUNTS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 250.0, 1_000.0, 5_000.0];

impl Metrics {
    /// Registers all of them.
    ///
    /// # Errors
    ///
    /// Two metrics of one name: a mistake in this file.
    pub fn new() -> Result<Self, Error> {
        let registry = Registry::new_custom(Some("hubbub".to_owned()), None)?;
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let counter = |name: &str, help: &str| {
            let metric = IntCounter::new(name, help)?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let metric = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let build = IntGaugeVec::new(
            Opts::new("build_info", "1; the labels say which build this is"),
            &["version", "sqlite"],
        )?;
        let version = env!("CARGO_PKG_VERSION");
        build
            .with_label_values(&[version, crate::journal::sqlite::library_version()])
            .set(1);
        registry.register(Box::new(build))?;
        let connections_closed = counters(
            "connections_closed_total",
            "WebSocket connections closed, by close code; `none`: without one",
            &["code"],
        )?;
        for close in Close::ALL {
            connections_closed.with_label_values(&[&close.code().to_string()]);
        }
        connections_closed.with_label_values(&["none"]);
        let [done, again, refused] = each(
            &registry,
            (
                "commands_total",
                "Commands decided, by outcome: done, again (a retry), refused",
            ),
            "outcome",
            ["done", "again", "refused"],
        )?;
        let commands = Commands { done, again, refused };
        let [granted, again, sold_out, refused, unavailable] = each(
            &registry,
            (
                "claims_total",
                "Claims of codes, by outcome: granted, again (a retry), sold_out, refused (for another reason), unavailable (the journal took no writes)",
            ),
            "outcome",
            ["granted", "again", "sold_out", "refused", "unavailable"],
        )?;
        let claims = Claims {
            granted,
            again,
            sold_out,
            refused,
            unavailable,
        };
        let [opened, revealed, redrawn, cancelled] = each(
            &registry,
            (
                "draws_total",
                "What happened to draws: opened, revealed, redrawn, cancelled",
            ),
            "step",
            ["opened", "revealed", "redrawn", "cancelled"],
        )?;
        let draws = Draws {
            opened,
            revealed,
            redrawn,
            cancelled,
        };
        let [shown, thinned, entry_only] = each(
            &registry,
            (
                "comments_total",
                "Comments taken: shown, thinned (left out of a busy second's sample), entry_only (only an entry in a draw)",
            ),
            "fate",
            ["shown", "thinned", "entry_only"],
        )?;
        let comments = Comments {
            shown,
            thinned,
            entry_only,
        };
        let [full, refused, conflict, unknown] = each(
            &registry,
            (
                "journal_appends_failed_total",
                "Batches that the journal did not take: full (the disk), refused, conflict (another writer), unknown",
            ),
            "reason",
            ["full", "refused", "conflict", "unknown"],
        )?;
        let appends_failed = AppendsFailed {
            full,
            refused,
            conflict,
            unknown,
        };
        let [load, failed_append, snapshot, erasure] = each(
            &registry,
            (
                "journal_room_scans_total",
                "Times that a room's log was read from its newest snapshot to its end: load, failed_append, snapshot (to make one), erasure (or export)",
            ),
            "why",
            ["load", "failed_append", "snapshot", "erasure"],
        )?;
        let room_scans = RoomScans {
            load,
            failed_append,
            snapshot,
            erasure,
        };
        Ok(Self {
            connections: gauge("connections", "Open WebSocket connections")?,
            connections_max: gauge("connections_max", "WebSocket connections that may be open at once")?,
            connections_opened: counter("connections_opened_total", "WebSocket connections opened")?,
            connections_closed,
            rooms_loaded: gauge("rooms_loaded", "Rooms in memory")?,
            rooms_max: gauge("rooms_max", "Rooms that may be in memory at once")?,
            rooms_rebuilt: counter(
                "rooms_rebuilt_total",
                "Rooms rebuilt from the journal after an append that failed",
            )?,
            rooms_broken: counter(
                "rooms_broken_total",
                "Times that a room broke an invariant or could not be replayed",
            )?,
            rooms_parked: gauge(
                "rooms_parked",
                "Rooms that broke again and again: nobody gets in until an operator tries again",
            )?,
            rooms_unwritable: gauge(
                "rooms_unwritable",
                "Rooms that refuse commands because the journal did not take their last batch",
            )?,
            room_scans,
            shows_forgotten: counter(
                "shows_forgotten_total",
                "Shows that ended long ago out of which names, texts and contact details were taken (--forget-ended-days)",
            )?,
            commands,
            refusals: counters("refusals_total", "Commands and connections refused, by code", &["code"])?,
            taps_dropped: counter("taps_dropped_total", "Taps on the heart above the limit, dropped")?,
            claims,
            redemptions: counter("redemptions_total", "Codes redeemed")?,
            draws,
            draw_entries: counter("draw_entries_total", "Entries in draws")?,
            prizes_claimed: counter("prizes_claimed_total", "Prizes claimed by winners")?,
            comments,
            batch_events: histogram("batch_events", "Events in a batch", &COUNTS)?,
            batch_commands: histogram("batch_commands", "Commands in a batch", &COUNTS)?,
            commit_seconds: histogram(
                "journal_commit_seconds",
                "Time of a journal commit, with its sync",
                &SECONDS,
            )?,
            commit_appends: histogram("journal_commit_appends", "Batches committed together", &COUNTS)?,
            appends_failed,
            decided_to_durable_seconds: histogram(
                "decided_to_durable_seconds",
                "From a batch's decision until it is durable",
                &SECONDS,
            )?,
            decided_to_written_seconds: histogram(
                "decided_to_written_seconds",
                "From a batch's decision until the pass over the room's connections has written it",
                &SECONDS,
            )?,
            frames_written: counter(
                "frames_written_total",
                "Feed frames handed to the kernel, once per connection",
            )?,
            bytes_out: counter("bytes_out_total", "Bytes written to WebSocket connections")?,
            skips: counter(
                "skips_total",
                "Connections that fell off the ring and jumped to a keyframe",
            )?,
            display_budgets_lowered: counter(
                "display_budgets_lowered_total",
                "Times that a room's display budget was lowered because its audience took nearly all the time",
            )?,
            lag_batches: histogram(
                "lag_batches",
                "Batches that a connection had not been sent, once a second for each",
                &COUNTS,
            )?,
            http_requests: counters("http_requests_total", "HTTP requests answered, by status", &["status"])?,
            sockets_refused: counters(
                "sockets_refused_total",
                "Sockets not taken, by reason: full, address (too many of one), resources (file limit, memory)",
                &["reason"],
            )?,
            limits: Hits::new(&registry)?,
            clock_ahead_ms: gauge(
                "clock_ahead_ms",
                "How far server time, which is never stepped, is ahead of the wall clock, ms",
            )?,
            data_free_bytes: gauge("data_free_bytes", "Bytes free on the data folder's file system")?,
            data_disk_bytes: gauge("data_disk_bytes", "Bytes of the data folder's file system")?,
            last_backup_seconds: gauge(
                "last_backup_timestamp_seconds",
                "When `hubbub backup` last copied the data folder, Unix seconds; 0: never",
            )?,
            certificate: tls::Told {
                begins: gauge(
                    "tls_certificate_not_before_timestamp_seconds",
                    "From when on the certificate shown holds, Unix seconds; 0: there is none",
                )?,
                ends: gauge(
                    "tls_certificate_expiry_timestamp_seconds",
                    "Until when the certificate shown holds, Unix seconds; 0: there is none",
                )?,
            },
            memory_max_bytes: gauge(
                "memory_max_bytes",
                "Memory that this process may use: its control group's limit, or the machine's memory",
            )?,
            cores: gauge("cores", "Processor cores that this process may use")?,
            queue_depth: histogram(
                "mailbox_commands",
                "Commands waiting in a room's mailbox when it is drained",
                &COUNTS,
            )?,
            registry,
        })
    }

    /// All of them, and the process's own (`process_*`), in Prometheus' text format.
    ///
    /// # Errors
    ///
    /// A metric without a value: a mistake in this file.
    pub fn text(&self) -> Result<String, Error> {
        let mut families = self.registry.gather();
        families.extend(prometheus::gather());
        TextEncoder::new().encode_to_string(&families)
    }
}

/// Writes the log to standard error from now on, as well as panics, whose message would else break the form.
///
/// Of other crates nothing below `info` is written, whatever the filter says: they trace whole frames and headers,
/// and so what people write, their tokens and addresses.
///
/// # Errors
///
/// The filter cannot be read.
pub fn log(format: LogFormat, filter: &str) -> Result<(), ParseError> {
    let public = filter_fn(|line| *line.level() <= Level::INFO || line.target().starts_with("hubbub"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(filter)?)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // Whoever set another one first, as tests do, keeps it.
    let _ = match format {
        LogFormat::Pretty => lines.compact().with_target(false).finish().with(public).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().with(public).try_init(),
    };
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a broken invariant")));
    Ok(())
}

/// Lets something be said at once, and then seldom.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// Whether it is time to say it again.
    pub fn again(&self) -> bool {
        let mut last = self.0.lock();
        let again = last.is_none_or(|last| last.elapsed() >= SELDOM);
        if again {
            *last = Some(Instant::now());
        }
        again
    }
}

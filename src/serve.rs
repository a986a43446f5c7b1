//! One server: from a configuration to an address that is served, and back.

use std::fs::DirBuilder;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant, UNIX_EPOCH};

use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::auth::{Auth, SigningSecret};
use crate::clock::Clock;
use crate::config::Config;
use crate::house::Keeper;
use crate::http::App;
use crate::http::accept::{self, Door};
use crate::http::places;
use crate::http::router;
use crate::hub::Hub;
use crate::journal::sqlite::{self, OnCommit, OpenError, Sqlite};
use crate::journal::{Journal, ReadError};
use crate::machine;
use crate::telemetry::Metrics;
use crate::tls::{BadCertificate, Certificate};
use crate::upkeep;

/// Files that are open beside sockets: the journal's, covers being read, the log.
const FILES: usize = 64;
/// Threads for what blocks, on a machine with fewer cores.
const BLOCKING_THREADS: usize = 16;
/// Kept of a drain's time for what follows the clients' leaving: requests under way, the journal's end.
const AFTER_CLIENTS: Duration = Duration::from_secs(1);
/// What another process holds is waited for: one that was killed gives back its lock and its address when the
/// kernel has taken it apart, and with thousands of sockets its successor may be there before that.
const HELD_MAX: Duration = Duration::from_secs(3);
/// Between two tries.
const HELD_RETRY: Duration = Duration::from_millis(50);
/// How often server time is compared with the wall clock, and the disk is looked at.
const CHECK: Duration = Duration::from_secs(10);
/// From here on a difference is worth a line.
const CLOCK_AHEAD_MS: u64 = 2_000;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or none of this machine.
    #[error("{address} cannot be listened on: {cause}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// The data folder cannot be made.
    #[error("the data folder {} cannot be made: {cause}", path.display())]
    Data {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The secret cannot be read or made.
    #[error("the secret in {} cannot be used: {cause}", data.display())]
    Secret {
        /// The data folder.
        data: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] BadCertificate),
    /// TLS cannot be set up: a mistake in the program.
    #[error(transparent)]
    Tls(#[from] tokio_rustls::rustls::Error),
    /// Two metrics of one name: a mistake in the program.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// A server that serves.
pub struct Serving {
    /// What its handlers use.
    pub app: App,
    /// Where it serves; with the port that was taken, if any free one was asked for.
    pub address: SocketAddr,
    /// Where it serves metrics, if not there.
    pub metrics_address: Option<SocketAddr>,
    journal: Arc<dyn Journal>,
    stop: watch::Sender<bool>,
    requests: mpsc::Receiver<()>,
}

impl StartError {
    /// Another process holds what is needed, and may be about to end.
    fn is_held(&self) -> bool {
        match self {
            Self::Listen { cause, .. } => cause.kind() == io::ErrorKind::AddrInUse,
            Self::Journal(error) => matches!(error, OpenError::Taken { .. }),
            _ => false,
        }
    }
}

/// Tries until it works, fails for another reason, or what another process holds was held for too long.
async fn once_free<T>(mut start: impl FnMut() -> Result<T, StartError>) -> Result<T, StartError> {
    let until = Instant::now() + HELD_MAX;
    let mut said = false;
    loop {
        match start() {
            Err(error) if error.is_held() && Instant::now() < until => {
                if !said {
                    tracing::warn!(%error, within_seconds = HELD_MAX.as_secs(), "waiting for another process to end");
                }
                said = true;
                sleep(HELD_RETRY).await;
            }
            other => return other,
        }
    }
}

impl Serving {
    /// Opens the data folder, loads the rooms that must be loaded, and serves.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let main = once_free(|| listen(config.listen, config.stall_timeout)).await?;
        let metrics_only = match config.metrics_listen {
            Some(address) => Some(once_free(|| listen(address, config.stall_timeout)).await?),
            None => None,
        };
        let metrics = Metrics::new()?;
        let shown = |files| Certificate::open(files, metrics.certificate.clone());
        let certificate = config.tls.clone().map(shown).transpose()?;
        make_data_folder(&config)?;

        note_bounds(&metrics, &config);
        let auth = Arc::new(auth(&config)?);
        let (journal, commits) = once_free(|| Ok(open_journal(&config, &metrics)?)).await?;
        let clock = Clock::start_after(journal.newest().await?);
        let hub = Hub::open(journal.clone(), auth.clone(), clock, metrics.clone(), config.limits()).await?;
        // Only this function sets it.
        let _ = commits.set(Arc::downgrade(&hub));
        let house = Arc::new(Keeper::open(journal.clone(), auth.clone(), clock).await?);

        let config = Arc::new(config);
        let app = App::new(hub, auth, house, config, metrics, clock);
        let (stop, stopped) = watch::channel(false);
        let (alive, requests) = mpsc::channel(1);
        let (address, main) = main;
        let tls = match &certificate {
            Some(certificate) => Some(certificate.acceptor()?),
            None => None,
        };
        let main_door = Door {
            tls,
            ..door(&app, router::router(app.clone()))
        };
        if let Some(certificate) = certificate {
            tokio::spawn(certificate.watch(stopped.clone()));
        }
        tokio::spawn(main_door.serve(main, stopped.clone(), alive.clone()));
        let metrics_address = metrics_only.map(|(address, listener)| {
            let door = door(&app, router::metrics_router(app.clone()));
            tokio::spawn(door.serve(listener, stopped.clone(), alive));
            address
        });
        if let Some(days) = app.config.forget_ended_days {
            let hub = Arc::downgrade(&app.hub);
            tokio::spawn(upkeep::forget_ended(hub, clock, app.config.data.clone(), days));
        }
        // Before anybody is told that it serves: the command line makes tokens by it.
        let apart = note_clock(&app, false);
        tokio::spawn(watch(app.clone(), apart, stopped));
        Ok(Self {
            app,
            address,
            metrics_address,
            journal,
            stop,
            requests,
        })
    }

    /// Resolves when the journal can no longer keep its promise, with the cause: stop, with a failure.
    pub async fn failed(&self) -> String {
        self.journal.failed().await
    }

    /// Says no on `/readyz`, accepts no more, tells every client when to come back, lets requests end, and closes
    /// the journal: all within this time.
    pub async fn stop(mut self, within: Duration) {
        let until = Instant::now() + within;
        let left = || until.saturating_duration_since(Instant::now());
        self.app.begin_drain();
        self.stop.send_replace(true);
        self.app
            .hub
            .drain(within.saturating_sub(AFTER_CLIENTS).max(within / 2))
            .await;
        // It resolves when the last request's sender is gone; nothing is ever sent.
        if timeout(left() / 2, self.requests.recv()).await.is_err() {
            tracing::warn!("requests were still under way when the time to drain was over");
        }
        if timeout(left(), self.journal.close()).await.is_err() {
            tracing::warn!("the journal was still closing when the time to drain was over; nothing is lost by that");
        }
    }
}

/// What runs one server's tasks: a thread for each core, and few for what blocks, as reading a file or folding a log.
/// Each of these takes 2 MiB of address space for its stack, so that under a cap (`ulimit -d`) the 512 that tokio allows,
/// which a rush of downloads brings up, would end the process.
///
/// # Errors
///
/// The system gives no threads.
pub fn runtime() -> io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut builder = runtime::Builder::new_multi_thread();
    builder.max_blocking_threads(cores.max(BLOCKING_THREADS)).enable_all();
    builder.build()
}

/// Raises this process's limit of open files as far as it may, and lowers the limit of connections to what that
/// allows. Gives the limit of files, where there is one.
pub fn raise_file_limit(config: &mut Config) -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(_) => current,
    }?;
    let sockets = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(FILES);
    config.connections_max = config.connections_max.min(places::connections_within(sockets)).max(1);
    Some(limit)
}

/// The tokens of a configuration: the secret is the given one, or the one in the data folder, made if need be.
///
/// # Errors
///
/// [`StartError::Secret`].
pub fn auth(config: &Config) -> Result<Auth, StartError> {
    let secret = match &config.secret {
        Some(secret) => secret.clone(),
        None => SigningSecret::load_or_create(&config.data).map_err(|cause| StartError::Secret {
            data: config.data.clone(),
            cause,
        })?,
    };
    Ok(Auth::new(secret, config.previous_secret.clone(), config.stores.clone()))
}

fn listen(address: SocketAddr, stall: Duration) -> Result<(SocketAddr, TcpListener), StartError> {
    let listening = accept::listen(address, stall).and_then(|listener| Ok((listener.local_addr()?, listener)));
    listening.map_err(|cause| StartError::Listen { address, cause })
}

fn make_data_folder(config: &Config) -> Result<(), StartError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&config.data);
    made.map_err(|cause| StartError::Data {
        path: config.data.clone(),
        cause,
    })
}

/// The place for a hub that wants to know of the journal's commits, and is made after it.
type Told = Arc<OnceLock<Weak<Hub>>>;

fn open_journal(config: &Config, metrics: &Metrics) -> Result<(Arc<dyn Journal>, Told), OpenError> {
    let hub = Told::default();
    let (told, seconds, appends) = (
        hub.clone(),
        metrics.commit_seconds.clone(),
        metrics.commit_appends.clone(),
    );
    let on_commit: OnCommit = Arc::new(move |commit| {
        seconds.observe(commit.took.as_secs_f64());
        appends.observe(commit.appends as f64);
        if let Some(hub) = told.get().and_then(Weak::upgrade) {
            hub.note_commit(commit.took);
        }
    });
    let options = sqlite::Options {
        on_commit: Some(on_commit),
        ..sqlite::Options::default()
    };
    // It blocks, at a time when there is nothing else to do.
    let journal = Sqlite::open(&config.data, options)?;
    Ok((Arc::new(journal), hub))
}

fn door(app: &App, router: axum::Router) -> Door {
    Door {
        router,
        places: app.places.clone(),
        header_timeout: app.config.header_timeout,
        tls: None,
    }
}

/// What the metrics of use are to be compared with.
fn note_bounds(metrics: &Metrics, config: &Config) {
    let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    metrics.connections_max.set(gauge(config.connections_max));
    metrics.rooms_max.set(gauge(config.rooms_max));
    metrics.cores.set(gauge(machine::cores()));
    metrics.memory_max_bytes.set(machine::memory_max_bytes() as i64);
}

/// Notes how far server time and the wall clock are apart; whether that is worth a line, which is said once.
fn note_clock(app: &App, said: bool) -> bool {
    let ahead_ms = app.clock.ahead_of_wall_ms();
    app.metrics.clock_ahead_ms.set(ahead_ms);
    let apart = ahead_ms.unsigned_abs() > CLOCK_AHEAD_MS;
    if apart && !said {
        let what = match ahead_ms > 0 {
            true => {
                "ahead of the wall clock, which is or was set back: after a restart it lets the wall clock catch up"
            }
            false => "behind the wall clock, which was set forward: restart to follow it",
        };
        tracing::warn!(ahead_ms, "server time, which is never stepped, is {what}");
    }
    if let Err(problem) = upkeep::note_clock(&app.config.data, apart.then_some(ahead_ms)) {
        tracing::warn!(%problem, "the command line cannot be told of server time: tokens made there may be refused");
    }
    apart
}

/// Keeps an eye on the clock, the disk and the backups, and forgets who was here.
async fn watch(app: App, mut apart: bool, mut stopped: watch::Receiver<bool>) {
    let mut checks = interval(CHECK);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            _ = checks.tick() => {}
        }
        apart = note_clock(&app, apart);
        app.places.forget_rested(app.clock.now());
        // A disk that cannot be asked makes itself felt otherwise.
        if let Ok(disk) = machine::disk(&app.config.data) {
            app.metrics.data_free_bytes.set(disk.free_bytes as i64);
            app.metrics.data_disk_bytes.set(disk.size_bytes as i64);
        }
        let backup = upkeep::last_backup(&app.config.data);
        let backup = backup.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let seconds = backup.map_or(0, |at| at.as_secs() as i64);
        app.metrics.last_backup_seconds.set(seconds);
    }
}

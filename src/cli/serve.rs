//! `hubbub serve`.

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use fast_qr::QRBuilder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, ServeArguments, supervisor, token, write_out};
use crate::config::{Config, reachable};
use crate::journal::sqlite;
use crate::serve::{self, Serving};
use crate::telemetry;

pub(super) fn run(arguments: ServeArguments) -> Result<(), Failure> {
    let mut config = arguments.configured.read()?;
    if arguments.print_config {
        return write_out(&config.to_string());
    }
    if arguments.check_config {
        println!("the configuration is good");
        return Ok(());
    }
    config.echo = arguments.echo;
    telemetry::log(config.log, &config.log_filter).map_err(Failure::other)?;
    let file_limit = serve::raise_file_limit(&mut config);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        sqlite = sqlite::library_version(),
        data = %config.data.display(),
        file_limit,
        connections_max = config.connections_max,
        "starting: the file limit and --connections-max allow this many connections"
    );
    let runtime = serve::runtime().map_err(Failure::other)?;
    runtime.block_on(until_stopped(config))
}

async fn until_stopped(config: Config) -> Result<(), Failure> {
    let signals = Signals::listen()?;
    let serving = Serving::start(config).await.map_err(Failure::other)?;
    let metrics = serving.metrics_address.map(tracing::field::display);
    tracing::info!(address = %serving.address, metrics, "serving");
    supervisor::tell(supervisor::READY);
    greet(&serving);
    signals.until_stopped(serving).await
}

/// What asks the process to end.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on signals no longer end the process by themselves.
    pub(super) fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::other);
        // A file that may grow no further (RLIMIT_FSIZE) is then a write that fails, as on a full disk.
        drop(listen(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn one(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Serves until a signal or the journal's failure, then drains; a second signal ends that.
    pub(super) async fn until_stopped(mut self, serving: Serving) -> Result<(), Failure> {
        let failed = tokio::select! {
            () = self.one() => None,
            cause = serving.failed() => Some(cause),
        };
        supervisor::tell(supervisor::STOPPING);
        let drain = serving.app.config.drain;
        match &failed {
            None => tracing::info!(
                within_seconds = drain.as_secs(),
                "stopping: clients are told to come back"
            ),
            Some(cause) => tracing::error!(cause, "stopping: the journal can no longer keep its promise"),
        }
        tokio::select! {
            () = serving.stop(drain) => {}
            () = self.one() => tracing::warn!("stopped at once, at the second signal"),
        }
        match failed {
            None => Ok(()),
            Some(cause) => Err(Failure::other(cause)),
        }
    }
}

/// What links begin with.
pub(super) fn home(serving: &Serving) -> String {
    match &serving.app.config.public_url {
        Some(url) => url.to_string(),
        None => {
            let scheme = serving.app.config.scheme();
            format!("{scheme}://{}", reachable(serving.address))
        }
    }
}

/// What a newcomer needs, ready to click. The sign-in link is for a terminal only: elsewhere it would stay in
/// somebody's log.
fn greet(serving: &Serving) {
    if !std::io::stdout().is_terminal() {
        tracing::info!("for a sign-in link run `hubbub token operator --link` with the same --data");
        return;
    }
    let config = &serving.app.config;
    let home = home(serving);
    let code = token::sign_in_code(&serving.app.auth, serving.app.clock.now());
    println!();
    println!("  Hubbub {} serves {home}", env!("CARGO_PKG_VERSION"));
    println!();
    println!("  Make a show: {}", token::sign_in_link(&home, &code));
    println!("  (signs one browser in, once, within 10 minutes; for another: hubbub token operator --link)");
    println!();
    println!("  Shows:       {home}/");
    if config.public_url.is_none() {
        for address in on_network(serving.address) {
            let url = format!("{}://{address}/", config.scheme());
            println!("  On phones:   {url}");
            // Too long a text: an address is not.
            if let Ok(code) = QRBuilder::new(url).build() {
                println!("{}", code.to_str());
            }
        }
    }
    println!();
    println!("  Data is in {}. Ctrl-C stops.", config.data.display());
    println!();
}

/// The addresses under which other machines reach a listener: its own, or for one on all interfaces those from
/// which this machine would reach the world. Nothing is sent to find out.
fn on_network(listen: SocketAddr) -> Vec<SocketAddr> {
    if !listen.ip().is_unspecified() {
        return if listen.ip().is_loopback() {
            Vec::new()
        } else {
            vec![listen]
        };
    }
    // Addresses for documentation (RFC 5737, RFC 3849): routed as any other, and nobody's.
    let outside = [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")];
    let families = if listen.is_ipv4() { &outside[..1] } else { &outside[..] };
    let own = |(from, to): &(&str, &str)| -> Option<IpAddr> {
        let socket = UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    let reachable = families.iter().filter_map(own).filter(|address| !address.is_loopback());
    reachable
        .map(|address| SocketAddr::new(address, listen.port()))
        .collect()
}

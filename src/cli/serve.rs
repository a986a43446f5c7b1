//! `hubbub serve`.

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use fast_qr::QRBuilder;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, ServeArguments, token};
use crate::config::{Config, reachable};
use crate::journal::sqlite;
use crate::serve::{self, Serving};
use crate::telemetry;

pub(super) fn run(arguments: ServeArguments) -> Result<(), Failure> {
    let mut config = arguments.configured.read()?;
    if arguments.print_config {
        print!("{config}");
        return Ok(());
    }
    if arguments.check_config {
        println!("the configuration is good");
        return Ok(());
    }
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
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(Failure::other)?.block_on(until_stopped(config))
}

async fn until_stopped(config: Config) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::other)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::other)?;
    let drain = config.drain;
    let serving = Serving::start(config).await.map_err(Failure::other)?;
    tracing::info!(address = %serving.address, metrics = ?serving.metrics_address, "serving");
    greet(&serving);

    let failed = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        cause = serving.failed() => Some(cause),
    };
    match &failed {
        None => tracing::info!(
            within_seconds = drain.as_secs(),
            "stopping: clients are told to come back"
        ),
        Some(cause) => tracing::error!(cause, "stopping: the journal can no longer keep its promise"),
    }
    tokio::select! {
        () = serving.stop(drain) => {}
        _ = terminate.recv() => tracing::warn!("stopped at once, at the second signal"),
        _ = interrupt.recv() => tracing::warn!("stopped at once, at the second signal"),
    }
    match failed {
        None => Ok(()),
        Some(cause) => Err(Failure::other(format!("the journal failed: {cause}"))),
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
    let home = match &config.public_url {
        Some(url) => url.to_string(),
        None => format!("http://{}", reachable(serving.address)),
    };
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
            let url = format!("http://{address}/");
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

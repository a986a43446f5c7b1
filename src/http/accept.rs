//! The accept loop: how many sockets, from whom, how long a request's head may take, and when to stop.
//!
//! `axum::serve` has no timer, so that a silent client stays for ever, and its graceful end tells upgraded
//! sockets nothing; so hyper's connections are driven here.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use dashmap::DashMap;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use crate::config::{Config, Network, counted};
use crate::telemetry::{Metrics, Seldom};

/// Connections that the kernel completes before they are accepted: a storm of 5,000 in a second passes.
const BACKLOG: i32 = 4096;
/// Sockets beyond the viewers' connections: pages, REST, health checks. At most this many, at least a few.
const HTTP_SOCKETS_MAX: usize = 1_024;
const HTTP_SOCKETS_MIN: usize = 16;
/// Sockets of one address that are not (yet) WebSockets. A browser opens six, for some seconds: 150 people of
/// one venue who open the page in the same seconds.
const HTTP_SOCKETS_PER_ADDRESS: usize = 1_000;
/// Bytes of a request's head; more is 431.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// Headers of a request; more is 431.
const HEADERS_MAX: usize = 100;
/// hyper's buffers of a connection, for the head and what follows it.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// A connection that is not a WebSocket is asked to end after this: a reader that stalls for ever must go.
const CONVERSATION_MAX: Duration = Duration::from_secs(300);
/// How long an ending connection may take for the answer that is under way.
const LAST_ANSWER: Duration = Duration::from_secs(30);
/// Pause after an accept that failed for want of file descriptors or memory.
const SHORT_OF_RESOURCES: Duration = Duration::from_millis(100);
/// The kernel gives a peer up whose acknowledgements stay away for this long.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);
/// What the kernel may hold for a socket; it counts twice of what is asked for. Unbounded it would hide a reader's
/// slowness behind megabytes.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// Unsent bytes above which a socket counts as not writable: more would only hide slowness.
const UNSENT_BYTES: u32 = 32 << 10;

/// Listens with a long backlog. On Linux the accepted sockets inherit the options: nothing is left to be set on
/// each of them in a storm.
///
/// # Errors
///
/// The address is taken or is none of this machine.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// How many connections leave a third of their number for other sockets, within the bounds of those.
pub fn connections_within(sockets: usize) -> usize {
    (sockets - sockets / 4).max(sockets.saturating_sub(HTTP_SOCKETS_MAX))
}

fn http_sockets(connections_max: usize) -> usize {
    (connections_max / 3).clamp(HTTP_SOCKETS_MIN, HTTP_SOCKETS_MAX)
}

/// The places for sockets: in all, for each address before a WebSocket is opened, and after.
#[derive(Debug)]
pub struct Places {
    sockets: Arc<Semaphore>,
    visiting: Arc<Addresses>,
    joined: Arc<Addresses>,
    trusted_proxies: Vec<Network>,
    metrics: RefusedSockets,
}

#[derive(Debug)]
struct RefusedSockets {
    full: prometheus::IntCounter,
    address: prometheus::IntCounter,
    resources: prometheus::IntCounter,
    said: Seldom,
}

impl Places {
    /// Places as configured.
    pub fn new(config: &Config, metrics: &Metrics) -> Self {
        let addresses = |max| {
            Arc::new(Addresses {
                counts: DashMap::new(),
                max,
                exempt: config.exempt.clone(),
            })
        };
        let refused = |reason| metrics.sockets_refused.with_label_values(&[reason]);
        Self {
            sockets: Arc::new(Semaphore::new(
                config.connections_max + http_sockets(config.connections_max),
            )),
            visiting: addresses(HTTP_SOCKETS_PER_ADDRESS.min(config.connections_per_address)),
            joined: addresses(config.connections_per_address),
            trusted_proxies: config.trusted_proxies.clone(),
            metrics: RefusedSockets {
                full: refused("full"),
                address: refused("address"),
                resources: refused("resources"),
                said: Seldom::default(),
            },
        }
    }

    /// A place for a socket that was accepted.
    fn visit(&self, peer: SocketAddr) -> Option<Visit> {
        let Ok(socket) = self.sockets.clone().try_acquire_owned() else {
            self.metrics.full.inc();
            if self.metrics.said.again() {
                tracing::warn!("sockets are refused: all places are taken (--connections-max)");
            }
            return None;
        };
        let proxy = self.trusted_proxies.iter().any(|network| network.contains(peer.ip()));
        let counted = if proxy {
            Some(None)
        } else {
            self.take(&self.visiting, peer.ip()).map(Some)
        };
        Some(Visit {
            peer,
            socket: Mutex::new(Some(socket)),
            counted: Mutex::new(counted?),
        })
    }

    /// A place for a WebSocket of a client, which keeps the socket's own. None: the address has its share.
    pub(super) fn join(&self, visit: &Visit, client: IpAddr) -> Option<Place> {
        let counted = self.take(&self.joined, client)?;
        visit.counted.lock().take();
        Some(Place {
            _socket: visit.socket.lock().take(),
            _counted: counted,
        })
    }

    fn take(&self, addresses: &Arc<Addresses>, address: IpAddr) -> Option<Counted> {
        let counted = addresses.take(address);
        if counted.is_none() {
            self.metrics.address.inc();
            if self.metrics.said.again() {
                tracing::warn!(%address, "sockets are refused: too many of one address (--connections-per-address, --exempt)");
            }
        }
        counted
    }
}

/// How many places each address has.
#[derive(Debug)]
struct Addresses {
    counts: DashMap<IpAddr, usize>,
    max: usize,
    exempt: Vec<Network>,
}

impl Addresses {
    fn take(self: &Arc<Self>, address: IpAddr) -> Option<Counted> {
        let address = counted(address);
        let exempt = self.exempt.iter().any(|network| network.contains(address));
        if !exempt {
            let mut count = self.counts.entry(address).or_default();
            if *count >= self.max {
                return None;
            }
            *count += 1;
        }
        Some(Counted {
            addresses: self.clone(),
            address: (!exempt).then_some(address),
        })
    }
}

/// One place of an address; dropping it gives it back.
#[derive(Debug)]
struct Counted {
    addresses: Arc<Addresses>,
    address: Option<IpAddr>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        self.addresses.counts.remove_if_mut(&address, |_, count| {
            *count -= 1;
            *count == 0
        });
    }
}

/// A socket that was accepted, as its requests know it.
#[derive(Debug)]
pub struct Visit {
    /// The other end: a client, or a proxy.
    pub peer: SocketAddr,
    socket: Mutex<Option<OwnedSemaphorePermit>>,
    counted: Mutex<Option<Counted>>,
}

impl Visit {
    /// A visit that takes no place: for requests that come through no socket, as in tests.
    pub fn uncounted(peer: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            peer,
            socket: Mutex::default(),
            counted: Mutex::default(),
        })
    }
}

/// What a WebSocket holds until it ends.
#[derive(Debug)]
pub(super) struct Place {
    _socket: Option<OwnedSemaphorePermit>,
    _counted: Counted,
}

/// What is served at an address.
pub struct Door {
    /// The routes.
    pub router: Router,
    /// Places for sockets.
    pub places: Arc<Places>,
    /// How long a request's head may take.
    pub header_timeout: Duration,
}

impl Door {
    /// Accepts and serves until `stop` is true or its sender is gone. Each connection holds a clone of
    /// `alive` while it has a request.
    pub async fn serve(self, listener: TcpListener, mut stop: watch::Receiver<bool>, alive: mpsc::Sender<()>) {
        let door = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => door.clone().admit(socket, peer, stop.clone(), alive.clone()),
                Err(error) if lost(&error) => {}
                Err(error) => door.pause(&error).await,
            }
        }
    }

    fn admit(
        self: Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
        stop: watch::Receiver<bool>,
        alive: mpsc::Sender<()>,
    ) {
        if let Some(visit) = self.places.visit(peer) {
            tokio::spawn(async move {
                self.converse(socket, Arc::new(visit), stop).await;
                drop(alive);
            });
        }
    }

    async fn converse(&self, socket: TcpStream, visit: Arc<Visit>, mut stop: watch::Receiver<bool>) {
        let answer = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(visit.clone());
            let router = self.router.clone();
            async { router.oneshot(request).await as Result<Response<_>, _> }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_header_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .max_buf_size(BUFFER_BYTES_MAX)
            .serve_connection(TokioIo::new(socket), answer)
            .with_upgrades();
        let mut connection = pin!(connection);
        tokio::select! {
            // How a client leaves is its own affair.
            _ = connection.as_mut() => return,
            _ = stop.wait_for(|stop| *stop) => {}
            () = sleep(CONVERSATION_MAX) => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(LAST_ANSWER, connection).await;
    }

    async fn pause(&self, error: &io::Error) {
        self.places.metrics.resources.inc();
        if self.places.metrics.said.again() {
            tracing::warn!(%error, "sockets wait: the system gives none (its file limit, see `ulimit -n`)");
        }
        sleep(SHORT_OF_RESOURCES).await;
    }
}

/// The connection ended before it was accepted: nothing to wait for.
fn lost(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use socket2::SockRef;

    use super::*;

    #[tokio::test]
    async fn accepted_sockets_have_the_options_of_their_listener() {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).expect("listens");
        let address = listener.local_addr().expect("an address");
        let (_client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (socket, _) = accepted.expect("accepts");
        let socket = SockRef::from(&socket);
        assert!(socket.tcp_nodelay().expect("is told"));
        assert_eq!(socket.tcp_notsent_lowat().expect("is told"), UNSENT_BYTES);
        assert_eq!(socket.tcp_user_timeout().expect("is told"), Some(UNACKNOWLEDGED_MAX));
        assert_eq!(socket.send_buffer_size().expect("is told"), 2 * SEND_BUFFER_BYTES);
    }
}

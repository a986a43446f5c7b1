//! Places for sockets: how many there are, how many an address may have, and what an address may send.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::{Config, Network, counted};
use crate::limits::{Hits, Limit, Share};
use crate::room::Timestamp;
use crate::telemetry::{Metrics, Seldom};

/// Sockets beyond the viewers' connections: pages, REST, health checks. At most this many, at least a few.
const HTTP_SOCKETS_MAX: usize = 1_024;
const HTTP_SOCKETS_MIN: usize = 16;

/// What a socket is told for which there is no place.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
/// And one whose address has too many.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// How many connections leave a third of their number for other sockets, within the bounds of those.
pub fn connections_within(sockets: usize) -> usize {
    (sockets - sockets / 4).max(sockets.saturating_sub(HTTP_SOCKETS_MAX))
}

fn http_sockets(connections_max: usize) -> usize {
    (connections_max / 3).clamp(HTTP_SOCKETS_MIN, HTTP_SOCKETS_MAX)
}

/// The places for sockets: in all, for each address before the hello of a WebSocket, and after its handshake.
pub struct Places {
    sockets: Arc<Semaphore>,
    visiting: Arc<Addresses>,
    joined: Arc<Addresses>,
    /// What each address may send ...
    shares: DashMap<IpAddr, Arc<Share>>,
    /// ... in a second: messages, and bytes of them; and how many may come from it in a minute without a token.
    share: (u32, u32, u32),
    exempt: Vec<Network>,
    trusted_proxies: Vec<Network>,
    metrics: RefusedSockets,
}

struct RefusedSockets {
    limits: Hits,
    full: prometheus::IntCounter,
    address: prometheus::IntCounter,
    resources: prometheus::IntCounter,
    said: Seldom,
}

impl Places {
    /// Places as configured.
    pub fn new(config: &Config, metrics: &Metrics) -> Self {
        let addresses = |max, limit| {
            Arc::new(Addresses {
                counts: DashMap::new(),
                max,
                limit,
            })
        };
        let refused = |reason| metrics.sockets_refused.with_label_values(&[reason]);
        Self {
            sockets: Arc::new(Semaphore::new(
                config.connections_max + http_sockets(config.connections_max),
            )),
            visiting: addresses(config.handshakes_per_address, Limit::HandshakesPerAddress),
            joined: addresses(config.connections_per_address, Limit::ConnectionsPerAddress),
            shares: DashMap::new(),
            share: (
                config.commands_per_address,
                config.bytes_per_address,
                config.newcomers_per_address,
            ),
            exempt: config.exempt.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            metrics: RefusedSockets {
                full: refused("full"),
                address: refused("address"),
                resources: refused("resources"),
                limits: metrics.limits.clone(),
                said: Seldom::default(),
            },
        }
    }

    /// A place for a socket that was accepted.
    ///
    /// # Errors
    ///
    /// What it is told.
    pub(super) fn visit(&self, peer: SocketAddr) -> Result<Visit, &'static [u8]> {
        let Ok(socket) = self.sockets.clone().try_acquire_owned() else {
            self.metrics.full.inc();
            self.metrics.limits.note(Limit::Connections);
            return Err(FULL);
        };
        let proxy = self.trusted_proxies.iter().any(|network| network.contains(peer.ip()));
        let counted = if proxy {
            None
        } else {
            Some(self.take(&self.visiting, peer.ip()).ok_or(TOO_MANY)?)
        };
        Ok(Visit {
            peer,
            socket: Mutex::new(Some(socket)),
            counted: Mutex::new(counted),
        })
    }

    /// A place for a WebSocket of a client, which keeps the socket's own. None: the address has its share.
    pub(super) fn join(&self, visit: &Visit, client: IpAddr) -> Option<Place> {
        let joined = self.take(&self.joined, client)?;
        let visiting = visit.counted.lock().take();
        // Of those behind a proxy nobody was counted yet.
        let visiting = match visiting {
            Some(visiting) => visiting,
            None => self.take(&self.visiting, client)?,
        };
        Some(Place {
            share: self.share(client),
            unheard: visiting,
            held: Held {
                _socket: visit.socket.lock().take(),
                _counted: joined,
            },
        })
    }

    /// What a client's address may send. None: it is not limited.
    pub(super) fn share(&self, client: IpAddr) -> Option<Arc<Share>> {
        let (commands, bytes, newcomers) = self.share;
        let fresh = || Arc::new(Share::of_address(commands, bytes, newcomers));
        let share = self.shares.entry(self.limited(client)?).or_insert_with(fresh);
        Some(share.clone())
    }

    /// What is counted of an address; none: it is exempt.
    fn limited(&self, address: IpAddr) -> Option<IpAddr> {
        let address = counted(address);
        let exempt = self.exempt.iter().any(|network| network.contains(address));
        (!exempt).then_some(address)
    }

    /// Forgets what addresses have sent that may send all of their share again and have no connection. Sooner, a
    /// client that connects anew would begin anew.
    pub fn forget_rested(&self, now: Timestamp) {
        self.shares
            .retain(|_, share| Arc::strong_count(share) > 1 || !share.is_rested(now));
    }

    /// The system gives no socket.
    pub(super) fn note_shortage(&self, error: &io::Error) {
        self.metrics.resources.inc();
        if self.metrics.said.again() {
            tracing::warn!(%error, "sockets wait: the system gives none (its file limit, see `ulimit -n`)");
        }
    }

    fn take(&self, addresses: &Arc<Addresses>, address: IpAddr) -> Option<Counted> {
        let counted = addresses.take(self.limited(address));
        if counted.is_none() {
            self.metrics.address.inc();
            self.metrics.limits.note_to(addresses.limit, Some(address));
        }
        counted
    }
}

/// How many places each address has.
#[derive(Debug)]
struct Addresses {
    counts: DashMap<IpAddr, usize>,
    max: usize,
    limit: Limit,
}

impl Addresses {
    /// One for this address; for none always.
    fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Counted> {
        if let Some(address) = address {
            let mut count = self.counts.entry(address).or_default();
            if *count >= self.max {
                return None;
            }
            *count += 1;
        }
        Some(Counted {
            addresses: self.clone(),
            address,
        })
    }
}

/// One place of an address; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Counted {
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

/// What a WebSocket gets.
#[derive(Debug)]
pub(super) struct Place {
    /// What its address may send; none: it is not limited.
    pub(super) share: Option<Arc<Share>>,
    /// Held until its hello.
    pub(super) unheard: Counted,
    /// Held until it ends.
    pub(super) held: Held,
}

/// What a WebSocket holds until it ends.
#[derive(Debug)]
pub(super) struct Held {
    _socket: Option<OwnedSemaphorePermit>,
    _counted: Counted,
}

//! What the process was told: flags over environment over file over default, checked once, at the start.

mod network;
mod options;
mod origin;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use network::{BadNetwork, Network, counted};
pub use options::{BadConfig, LogFormat, Options, Secrets};
pub use origin::{BadOrigin, Origin};

use crate::auth::{SigningSecret, StoreKey};
use crate::hub::Limits;
use crate::tls::Files;

/// How the process runs, complete and checked. What each value means, and what goes wrong when it is too
/// small or too large, stands at its option in [`Options`].
#[derive(Clone, Debug)]
pub struct Config {
    /// Where pages, REST and WebSockets are served.
    pub listen: SocketAddr,
    /// The data folder: journal, secret, covers.
    pub data: PathBuf,
    /// What links begin with; none: the address at which the page was opened.
    pub public_url: Option<Origin>,
    /// The certificate and key with which the main address speaks TLS.
    pub tls: Option<Files>,
    /// Where metrics are served, instead of on the main address.
    pub metrics_listen: Option<SocketAddr>,
    /// Whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// Further origins whose pages may open WebSockets.
    pub allow_origins: Vec<Origin>,
    /// Origins whose pages may show ours in a frame.
    pub frame_ancestors: Vec<Origin>,
    /// The secret that signs tokens; none: the one in the data folder.
    pub secret: Option<SigningSecret>,
    /// The former secret, whose tokens are still taken while rotating.
    pub previous_secret: Option<SigningSecret>,
    /// The key of a store's own viewer tokens, and the former one while rotating.
    pub stores: Vec<StoreKey>,
    /// How long a drain may take.
    pub drain: Duration,
    /// Connections of this process at once.
    pub connections_max: usize,
    /// Connections of one address at once.
    pub connections_per_address: usize,
    /// Connections of one viewer, or one person of the staff, in one room at once.
    pub connections_per_viewer: usize,
    /// Viewers' connections in one room at once.
    pub connections_per_room: Option<usize>,
    /// Sockets of one address that are no WebSocket, or have not said hello.
    pub handshakes_per_address: usize,
    /// Viewers a minute who come from one address without a token.
    pub newcomers_per_address: u32,
    /// Requests a second of one viewer, or one person of the staff, in one room.
    pub commands_per_viewer: u32,
    /// Messages a second of all WebSockets of one address.
    pub commands_per_address: u32,
    /// Messages a second of all viewers of one room.
    pub commands_per_room: u32,
    /// Messages a second of all viewers.
    pub commands_max: u32,
    /// Bytes a second that one viewer or person may send there.
    pub bytes_per_viewer: u32,
    /// Bytes a second of the messages of all WebSockets of one address.
    pub bytes_per_address: u32,
    /// Bytes a second of the messages of all viewers of one room.
    pub bytes_per_room: u32,
    /// Bytes a second of the messages of all viewers.
    pub bytes_max: u32,
    /// Addresses that are not limited one by one.
    pub exempt: Vec<Network>,
    /// Rooms in memory at once.
    pub rooms_max: usize,
    /// Comments a second that reach a room's stage; none: all.
    pub display_budget: Option<u32>,
    /// How long a show may be on air without staff before its room warns.
    pub unattended: Duration,
    /// After how many days shows that ended are nobody's any more; none: never.
    pub forget_ended_days: Option<u32>,
    /// Whether rates of comments and likes are checked.
    pub rates: bool,
    /// Whether `/ws/echo` sends back what it gets: for conformance suites, and no option of a file.
    pub echo: bool,
    /// How long a message may be held back in a big room, so that one write brings several.
    pub linger_max: Duration,
    /// Whether WebSockets are compressed whose clients offer it.
    pub compression: bool,
    /// How long a request's head may take.
    pub header_timeout: Duration,
    /// How long a WebSocket may take nothing while something waits for it.
    pub stall_timeout: Duration,
    /// The time between two pings to a WebSocket.
    pub ping_interval: Duration,
    /// How the log is written.
    pub log: LogFormat,
    /// What is logged.
    pub log_filter: String,
}

impl Config {
    /// What the hub must know of it.
    pub fn limits(&self) -> Limits {
        Limits {
            connections_max: self.connections_max,
            connections_per_viewer: self.connections_per_viewer,
            connections_per_room: self.connections_per_room,
            commands_per_viewer: self.commands_per_viewer,
            commands_per_room: self.commands_per_room,
            commands_max: self.commands_max,
            bytes_per_viewer: self.bytes_per_viewer,
            bytes_per_room: self.bytes_per_room,
            bytes_max: self.bytes_max,
            rooms_max: self.rooms_max,
            display_budget: self.display_budget,
            unattended_ms: self.unattended.as_millis() as u64,
            rates: self.rates,
            echo: self.echo,
            stall_ms: self.stall_timeout.as_millis() as u64,
            ping_ms: self.ping_interval.as_millis() as u64,
            linger_max: self.linger_max,
        }
    }

    /// How the main address is spoken to: `https`, or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The address of pages, as this machine can open it: with the public URL, that one; an address that
    /// stands for all interfaces is shown as the loopback one.
    pub fn page_url(&self) -> String {
        if let Some(url) = &self.public_url {
            return url.to_string();
        }
        format!("{}://{}", self.scheme(), reachable(self.listen))
    }
}

/// The address at which this machine reaches a listener.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    let mut address = listen;
    match listen {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => address.set_ip(std::net::Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => address.set_ip(std::net::Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// Writes it as a file that gives the same again, each option with its explanation. No secrets stand in it.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        options::write_file(f, &Options::from(self))
    }
}

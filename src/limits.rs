//! Limits on what comes in, each under the name of its option: what it refuses is counted, and now and then logged,
//! under that name. Those of connections are kept where connections are (`http::places`, `hub::task`); here is what
//! all of them share, and how much a second somebody may send.

use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use crate::room::Timestamp;
use crate::telemetry::Seldom;

/// A limit, by its option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `--connections-max`: WebSockets, and with some more places all sockets, of the process.
    Connections,
    /// `--connections-per-address`: WebSockets of one address.
    ConnectionsPerAddress,
    /// `--connections-per-viewer`: WebSockets of one viewer, or one person of the staff, in one room.
    ConnectionsPerViewer,
    /// `--connections-per-room`: viewers' WebSockets in one room.
    ConnectionsPerRoom,
    /// `--handshakes-per-address`: sockets of one address that are no WebSocket, or have not said hello.
    HandshakesPerAddress,
    /// `--newcomers-per-address`: viewers of one address who come without a token and get one.
    NewcomersPerAddress,
    /// `--commands-per-viewer`: requests of one viewer, or one person of the staff, in one room.
    CommandsPerViewer,
    /// `--commands-per-address`: messages of all WebSockets of one address, and its requests to the REST API.
    CommandsPerAddress,
    /// `--commands-per-room`: messages of all viewers of one room.
    CommandsPerRoom,
    /// `--commands-max`: messages of all viewers of the process.
    Commands,
    /// `--bytes-per-viewer`: bytes that one viewer or person sends there.
    BytesPerViewer,
    /// `--bytes-per-address`: bytes of all that.
    BytesPerAddress,
    /// `--bytes-per-room`: bytes of messages that all viewers of one room send.
    BytesPerRoom,
    /// `--bytes-max`: bytes of messages that all viewers of the process send.
    Bytes,
    /// `--rooms-max`: rooms in memory.
    Rooms,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Connections,
        Self::ConnectionsPerAddress,
        Self::ConnectionsPerViewer,
        Self::ConnectionsPerRoom,
        Self::HandshakesPerAddress,
        Self::NewcomersPerAddress,
        Self::CommandsPerViewer,
        Self::CommandsPerAddress,
        Self::CommandsPerRoom,
        Self::Commands,
        Self::BytesPerViewer,
        Self::BytesPerAddress,
        Self::BytesPerRoom,
        Self::Bytes,
        Self::Rooms,
    ];

    /// Its option.
    pub fn option(self) -> &'static str {
        match self {
            Self::Connections => "connections-max",
            Self::ConnectionsPerAddress => "connections-per-address",
            Self::ConnectionsPerViewer => "connections-per-viewer",
            Self::ConnectionsPerRoom => "connections-per-room",
            Self::HandshakesPerAddress => "handshakes-per-address",
            Self::NewcomersPerAddress => "newcomers-per-address",
            Self::CommandsPerViewer => "commands-per-viewer",
            Self::CommandsPerAddress => "commands-per-address",
            Self::CommandsPerRoom => "commands-per-room",
            Self::Commands => "commands-max",
            Self::BytesPerViewer => "bytes-per-viewer",
            Self::BytesPerAddress => "bytes-per-address",
            Self::BytesPerRoom => "bytes-per-room",
            Self::Bytes => "bytes-max",
            Self::Rooms => "rooms-max",
        }
    }
}

/// How often each limit has refused something.
#[derive(Clone)]
pub struct Hits(Arc<[(IntCounter, Seldom); Limit::ALL.len()]>);

impl Hits {
    /// Registers them, all at 0.
    ///
    /// # Errors
    ///
    /// Another metric has the name: a mistake in the program.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let help = "What a limit has refused, by the limit's option";
        let counters = IntCounterVec::new(Opts::new("limit_hits_total", help), &["limit"])?;
        registry.register(Box::new(counters.clone()))?;
        let hit = |limit: Limit| (counters.with_label_values(&[limit.option()]), Seldom::default());
        Ok(Self(Arc::new(Limit::ALL.map(hit))))
    }

    /// The limit has refused something.
    pub fn note(&self, limit: Limit) {
        self.note_to(limit, None);
    }

    /// The same, to somebody at an address.
    pub fn note_to(&self, limit: Limit, address: Option<IpAddr>) {
        let (counter, said) = &self.0[limit as usize];
        counter.inc();
        if said.again() {
            let option = limit.option();
            let address = address.map(tracing::field::display);
            tracing::warn!(
                option,
                address,
                "the limit --{option} refuses; more of it is counted in hubbub_limit_hits_total"
            );
        }
    }
}

/// So much a second, and at once what comes together in some seconds.
#[derive(Debug)]
struct Bucket {
    per_second: u64,
    most: u64,
    left: Mutex<Left>,
}

#[derive(Debug, Default)]
struct Left {
    second: u64,
    amount: u64,
}

/// Seconds whose amount may be taken at once.
const BURST: u64 = 2;

impl Bucket {
    fn new(per_second: u64) -> Self {
        Self::holding(BURST * per_second, per_second)
    }

    /// One of which so much may be taken at once.
    fn holding(most: u64, per_second: u64) -> Self {
        Self {
            per_second,
            most,
            left: Mutex::default(),
        }
    }

    /// Seconds until it is full again.
    fn seconds(&self) -> u64 {
        self.most.div_ceil(self.per_second)
    }

    /// Takes it if so much is left.
    fn take(&self, amount: u64, now: Timestamp) -> bool {
        let mut left = self.left.lock();
        let second = now.0 / 1_000;
        let passed = second.saturating_sub(left.second).min(self.seconds());
        if passed > 0 {
            left.second = second;
            left.amount = (left.amount + passed * self.per_second).min(self.most);
        }
        let enough = left.amount.checked_sub(amount);
        left.amount = enough.unwrap_or(left.amount);
        enough.is_some()
    }

    /// All of it may be taken.
    fn is_full(&self, now: Timestamp) -> bool {
        now.0 / 1_000 >= self.left.lock().second + self.seconds()
    }
}

/// What connections may send together.
#[derive(Debug)]
pub struct Share {
    commands: (Bucket, Limit),
    bytes: (Bucket, Limit),
    /// Of an address.
    newcomers: Option<Bucket>,
}

/// In seconds.
const MINUTE: u64 = 60;

impl Share {
    /// So many messages, and so many bytes of them, a second, and so many newcomers a minute, of one address.
    pub fn of_address(commands: u32, bytes: u32, newcomers: u32) -> Self {
        let newcomers = u64::from(newcomers);
        let newcomers = Bucket::holding(newcomers, newcomers.div_ceil(MINUTE));
        Self {
            newcomers: Some(newcomers),
            ..Self::new((commands, Limit::CommandsPerAddress), (bytes, Limit::BytesPerAddress))
        }
    }

    /// The same, of the viewers of one room.
    pub fn of_room(commands: u32, bytes: u32) -> Self {
        Self::new((commands, Limit::CommandsPerRoom), (bytes, Limit::BytesPerRoom))
    }

    /// The same, of the viewers of the process.
    pub fn of_process(commands: u32, bytes: u32) -> Self {
        Self::new((commands, Limit::Commands), (bytes, Limit::Bytes))
    }

    fn new((commands, of_commands): (u32, Limit), (bytes, of_bytes): (u32, Limit)) -> Self {
        Self {
            commands: (Bucket::new(commands.into()), of_commands),
            bytes: (Bucket::new(bytes.into()), of_bytes),
            newcomers: None,
        }
    }

    /// A viewer who has no token yet.
    ///
    /// # Errors
    ///
    /// The limit that would be exceeded.
    pub fn take_newcomer(&self, now: Timestamp) -> Result<(), Limit> {
        let taken = self.newcomers.as_ref().is_none_or(|newcomers| newcomers.take(1, now));
        taken.then_some(()).ok_or(Limit::NewcomersPerAddress)
    }

    /// A message of so many bytes.
    ///
    /// # Errors
    ///
    /// The limit that it would exceed.
    pub fn take(&self, bytes: usize, now: Timestamp) -> Result<(), Limit> {
        for ((bucket, limit), amount) in [(&self.commands, 1), (&self.bytes, bytes as u64)] {
            if !bucket.take(amount, now) {
                return Err(*limit);
            }
        }
        Ok(())
    }

    /// Nothing was taken lately: a new share allows no more.
    pub fn is_rested(&self, now: Timestamp) -> bool {
        let newcomers = self.newcomers.as_ref().is_none_or(|newcomers| newcomers.is_full(now));
        self.commands.0.is_full(now) && self.bytes.0.is_full(now) && newcomers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_seconds_worth_may_come_at_once_and_then_what_a_second_brings() {
        let bucket = Bucket::new(10);
        let at = |ms: u64| Timestamp(1_000_000 + ms);
        assert!(bucket.take(20, at(0)));
        assert!(!bucket.take(1, at(999)));
        assert!(bucket.take(10, at(1_000)));
        assert!(!bucket.take(1, at(1_000)));
        assert!(bucket.take(20, at(60_000)));
        assert!(!bucket.take(1, at(60_000)), "what was not used for long is not kept");
        assert!(!bucket.is_full(at(61_999)));
        assert!(bucket.is_full(at(62_000)));
    }

    #[test]
    fn limits_stand_in_their_table_in_order() {
        for (index, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, index);
        }
    }
}

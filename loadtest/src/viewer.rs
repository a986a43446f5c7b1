//! One light viewer: a socket, a cursor, a token, and bytes only while something is incomplete.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use hubbub::room::ViewerId;
use mio::net::TcpStream;
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::follower::Follower;

/// Where a viewer is on the way to watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not there: not yet, or between two connections.
    Away,
    /// TCP connects.
    Connecting,
    /// The handshake is on its way.
    Upgrading,
    /// `hello` is on its way, or the keyframe.
    Joining,
    /// It follows the feed.
    Watching,
    /// It will not come back.
    Gone,
}

/// Why a viewer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coming {
    /// For the first time.
    First,
    /// After it was cut on purpose.
    Back,
    /// After the server or the network ended the connection.
    Again,
    /// After it was cut to ask for its code once more.
    ToAsk,
}

/// One viewer.
#[derive(Debug)]
pub(crate) struct Viewer {
    pub(crate) stream: Option<TcpStream>,
    pub(crate) stage: Stage,
    pub(crate) coming: Coming,
    pub(crate) follower: Follower,
    /// Who it is, once the server said so.
    pub(crate) id: Option<ViewerId>,
    /// Its lasting identity.
    pub(crate) token: Option<Box<str>>,
    /// When it was due to come.
    pub(crate) due: Instant,
    /// When it began to connect, and once it watches, since when.
    pub(crate) since: Instant,
    /// Attempts that failed in a row, and since when.
    pub(crate) failures: u32,
    pub(crate) failing_since: Option<Instant>,
    /// When a `bye` asked it to come back.
    pub(crate) asked_back_at: Option<Instant>,
    /// The beginning of a frame.
    pub(crate) partial: Vec<u8>,
    /// What the socket did not take.
    pub(crate) unsent: Vec<u8>,
}

impl Viewer {
    /// Somebody who has not come yet.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            stream: None,
            stage: Stage::Away,
            coming: Coming::First,
            follower: Follower::default(),
            id: None,
            token: None,
            due: now,
            since: now,
            failures: 0,
            failing_since: None,
            asked_back_at: None,
            partial: Vec::new(),
            unsent: Vec::new(),
        }
    }

    /// On the way to watching: such ones are bounded.
    pub(crate) fn is_on_the_way(&self) -> bool {
        matches!(self.stage, Stage::Connecting | Stage::Upgrading | Stage::Joining)
    }

    /// Writes, as much as the socket takes; the rest goes with [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// The socket's.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.unsent.extend_from_slice(bytes);
        self.flush()
    }

    /// Writes what the socket did not take before.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        while !self.unsent.is_empty() {
            match stream.write(&self.unsent) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.unsent = Vec::new();
        Ok(())
    }

    /// Ends the connection at once, as a phone that loses its network: a reset, so that no port stays taken.
    pub(crate) fn cut(&mut self) {
        if let Some(stream) = self.stream.take() {
            // It fails only on a dead socket.
            let _ = SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO));
        }
        self.partial = Vec::new();
        self.unsent = Vec::new();
        self.stage = Stage::Away;
    }
}

/// Begins to connect.
///
/// # Errors
///
/// No socket, no such own address, or no port left.
pub(crate) fn connect(server: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    match socket.connect(&server.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => return Err(error),
        _ => {}
    }
    Ok(TcpStream::from_std(socket.into()))
}

//! A client's socket: TCP, or TLS over it. Both are read and written in the same way, without waiting; nobody but the
//! edge of a connection knows which it is. The plain case stands first everywhere, and costs nothing more.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, RawFd};
use std::task::{Context, Poll};

use parking_lot::Mutex;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConnection;

/// Encrypted bytes that may wait in a session for its socket: two records. With one record that comes in (16 KiB)
/// and the session's own state this bounds what a TLS viewer costs, whatever it does.
const UNSENT_BYTES_MAX: usize = 32 << 10;

/// A socket whose handshakes are done.
pub enum Stream {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<Tls>),
}

/// A TLS session and its socket. Whoever reads or writes holds the session's lock.
pub struct Tls {
    socket: TcpStream,
    session: Mutex<ServerConnection>,
}

impl Stream {
    /// A session that has been established.
    pub fn tls(socket: TcpStream, mut session: ServerConnection) -> Self {
        session.set_buffer_limit(Some(UNSENT_BYTES_MAX));
        Self::Tls(Box::new(Tls {
            socket,
            session: Mutex::new(session),
        }))
    }

    /// The socket itself, if what is written to it goes out as it is.
    pub(super) fn plain(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(socket) => Some(socket),
            Self::Tls(_) => None,
        }
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &tls.socket,
        }
    }

    /// Something may have come. Whoever stops reading before [`io::ErrorKind::WouldBlock`] must read again by himself:
    /// a session may hold what the socket knows nothing of any more.
    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_read_ready(cx)
    }

    /// The socket may take something.
    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_write_ready(cx)
    }

    /// As [`Self::poll_read_ready`], waiting.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket().readable().await
    }

    /// Reads what has come; 0: it has ended.
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_read(buffer),
            Self::Tls(tls) => tls.try_read(buffer),
        }
    }

    /// Writes as much as it takes now. What a session has taken may still have to be flushed.
    pub(super) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_write_vectored(slices),
            Self::Tls(tls) => tls.try_write_vectored(slices),
        }
    }

    /// Sends what was taken and not sent.
    pub(super) fn try_flush(&self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tls) => tls.push(&mut tls.session.lock()),
        }
    }

    /// Writes and flushes all of it, waiting.
    pub(super) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            let wrote = match bytes {
                [] => self.try_flush().map(|()| 0),
                _ => self.try_write_vectored(&[IoSlice::new(bytes)]),
            };
            match wrote {
                Ok(0) if bytes.is_empty() => return Ok(()),
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(wrote) => bytes = &bytes[wrote..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.socket().writable().await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Says that nothing follows. False: the socket is dead.
    pub(super) fn end(&self) -> bool {
        if let Self::Tls(tls) = self {
            let mut session = tls.session.lock();
            session.send_close_notify();
            // What fails here fails below too.
            let _ = tls.push(&mut session);
        }
        SockRef::from(self.socket()).shutdown(Shutdown::Write).is_ok()
    }

    /// Takes what still comes, for nobody; 0: it has ended.
    pub(super) fn try_discard(&self, sink: &mut [u8]) -> io::Result<usize> {
        self.socket().try_read(sink)
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket().as_raw_fd()
    }
}

impl Tls {
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut session = self.session.lock();
        loop {
            match session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Whoever goes without TLS's own farewell is gone like anybody.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            if session.read_tls(&mut Bare(&self.socket))? == 0 {
                return Ok(0);
            }
            let processed = session.process_new_packets();
            if processed.is_err() || session.wants_write() {
                // An alert, or an answer of the protocol's own; if there is no room, it goes before what follows.
                let _ = self.push(&mut session);
            }
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut session = self.session.lock();
        self.push(&mut session)?;
        let taken = session.writer().write_vectored(slices)?;
        match self.push(&mut session) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    fn push(&self, session: &mut ServerConnection) -> io::Result<()> {
        while session.wants_write() {
            session.write_tls(&mut Bare(&self.socket))?;
        }
        Ok(())
    }
}

/// The socket below a session.
struct Bare<'a>(&'a TcpStream);

impl Read for Bare<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Bare<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

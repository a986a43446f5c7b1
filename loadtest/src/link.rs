//! A viewer's socket, with TLS over it where the server speaks it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio_rustls::rustls::ClientConnection;

use crate::server::Server;

/// Read at a time, at least.
const READ_BYTES: usize = 128 * 1024;

/// A connection to the server, perhaps not open yet.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    /// What the socket did not take.
    unsent: Vec<u8>,
    tls: Option<Box<ClientConnection>>,
}

/// Where what is read goes; the viewers of a thread share it.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    /// As the server said it.
    pub(crate) plain: Vec<u8>,
    /// As it came, under TLS.
    sealed: Vec<u8>,
}

/// What a look at the socket brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    /// Bytes in [`Buffer::plain`], perhaps none, made of so many that came.
    Bytes {
        plain: usize,
        received: usize,
        /// The socket may have more.
        more: bool,
    },
    /// Nothing will come any more.
    End,
}

impl Link {
    /// Begins to connect.
    ///
    /// # Errors
    ///
    /// No socket, no such own address, or no port left.
    pub(crate) fn begin(
        server: &Server,
        source: Option<IpAddr>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(server.address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(source) = source {
            socket.bind(&SocketAddr::new(source, 0).into())?;
        }
        match socket.connect(&server.address.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => return Err(error),
            _ => {}
        }
        let mut stream = TcpStream::from_std(socket.into());
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let tls = match &server.tls {
            Some(tls) => Some(Box::new(tls.connection().map_err(io::Error::other)?)),
            None => None,
        };
        Ok(Self {
            stream,
            unsent: Vec::new(),
            tls,
        })
    }

    /// Whether TCP has connected.
    ///
    /// # Errors
    ///
    /// It never will.
    pub(crate) fn is_open(&self) -> io::Result<bool> {
        match self.stream.take_error() {
            Ok(Some(error)) | Err(error) => Err(error),
            Ok(None) => Ok(self.stream.peer_addr().is_ok()),
        }
    }

    /// Writes, as much as the socket takes and the TLS handshake allows; the rest goes with
    /// [`flush`](Self::flush) and [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// The socket's.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.writer().write_all(bytes)?,
            None => self.unsent.extend_from_slice(bytes),
        }
        self.flush()
    }

    /// Writes what the socket did not take before.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        loop {
            let written = match &mut self.tls {
                Some(tls) if tls.wants_write() => tls.write_tls(&mut self.stream),
                None if !self.unsent.is_empty() => self.stream.write(&self.unsent),
                _ => break,
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                // Under TLS nothing stands here.
                Ok(written) => drop(self.unsent.drain(..written.min(self.unsent.len()))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.unsent = Vec::new();
        Ok(())
    }

    /// Reads into [`Buffer::plain`], from the place `from` on.
    ///
    /// # Errors
    ///
    /// The socket's, [`io::ErrorKind::WouldBlock`] if there is nothing; what TLS has against the bytes.
    pub(crate) fn read(&mut self, buffer: &mut Buffer, from: usize) -> io::Result<Got> {
        let Buffer { plain, sealed } = buffer;
        let Some(tls) = &mut self.tls else {
            let space = space(plain, from);
            let received = read(&mut self.stream, space)?;
            return Ok(Got::of(received, received, space.len()));
        };
        let space_sealed = space(sealed, 0);
        let received = read(&mut self.stream, space_sealed)?;
        let mut count = 0;
        let mut rest = &space_sealed[..received];
        while !rest.is_empty() {
            if tls.read_tls(&mut rest)? == 0 {
                // What comes after its last word is none of it.
                break;
            }
            tls.process_new_packets().map_err(io::Error::other)?;
            loop {
                match tls.reader().read(space(plain, from + count)) {
                    Ok(0) => break,
                    Ok(read) => count += read,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        let got = Got::of(count, received, space_sealed.len());
        self.flush()?;
        Ok(got)
    }
}

impl Got {
    fn of(plain: usize, received: usize, space: usize) -> Self {
        match received {
            0 => Self::End,
            _ => Self::Bytes {
                plain,
                received,
                // A socket that filled less had no more (epoll(7), question 9); a new edge tells when it has.
                more: received == space,
            },
        }
    }
}

/// The bytes from a place on, [`READ_BYTES`] of them or more.
fn space(buffer: &mut Vec<u8>, from: usize) -> &mut [u8] {
    if buffer.len() < from + READ_BYTES {
        buffer.resize(from + 2 * READ_BYTES, 0);
    }
    &mut buffer[from..]
}

fn read(stream: &mut TcpStream, space: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(space) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

impl Drop for Link {
    /// Ends the connection at once, as a phone that loses its network: a reset, so that no port stays taken.
    fn drop(&mut self) {
        // It fails only on a dead socket.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

//! The accept loop: how long a request's head may take, and when to stop.
//!
//! `axum::serve` has no timer, so that a silent client stays for ever, and its graceful end tells upgraded
//! sockets nothing; so hyper's connections are driven here.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

use super::error::Error;
use super::places::{Places, Visit};
use super::router::refused;

/// Connections that the kernel completes before they are accepted: a storm of 5,000 in a second passes.
const BACKLOG: i32 = 4096;
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
/// The kernel gives a peer up that takes nothing or acknowledges nothing, but so much later than the server does: its
/// close says why, and is counted.
const GIVEN_UP_LATER: Duration = Duration::from_secs(30);
/// What the kernel may hold for a socket; it counts twice of what is asked for. Unbounded it would hide a reader's
/// slowness behind megabytes.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// Unsent bytes above which a socket counts as not writable: more would only hide slowness.
const UNSENT_BYTES: u32 = 32 << 10;

/// A name of a host with its port.
const HOST_BYTES_MAX: usize = 253 + ":65535".len();
/// The first byte of TLS's handshake (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 22;
/// What a socket is told that begins with something else.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\
    Content-Length: 59\r\n\r\nThis address speaks TLS only: ask again, with https://...\r\n";

/// Listens with a long backlog, for connections that are closed when they have taken nothing for `stall`. On Linux the
/// accepted sockets inherit the options: nothing is left to be set on each of them in a storm.
///
/// # Errors
///
/// The address is taken or is none of this machine.
pub fn listen(address: SocketAddr, stall: Duration) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    socket.set_tcp_user_timeout(Some(stall + GIVEN_UP_LATER))?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// What is served at an address.
pub struct Door {
    /// The routes.
    pub router: Router,
    /// Places for sockets.
    pub places: Arc<Places>,
    /// How long a request's head may take, with TLS's handshake.
    pub header_timeout: Duration,
    /// It speaks TLS.
    pub tls: Option<TlsAcceptor>,
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
        match self.places.visit(peer) {
            Ok(visit) => {
                tokio::spawn(async move {
                    self.converse(socket, Arc::new(visit), stop).await;
                    drop(alive);
                });
            }
            // Whoever does not take this at once is told nothing: there is no place for him to wait.
            Err(refusal) => drop(socket.try_write(refusal)),
        }
    }

    async fn converse(&self, socket: TcpStream, visit: Arc<Visit>, mut stop: watch::Receiver<bool>) {
        let Some(tls) = &self.tls else {
            return self.talk(socket, self.header_timeout, visit, stop).await;
        };
        let until = Instant::now() + self.header_timeout;
        let secured = tokio::select! {
            secured = timeout_at(until.into(), secured(socket, tls)) => secured,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        if let Ok(Some(socket)) = secured {
            let left = until.saturating_duration_since(Instant::now());
            self.talk(socket, left, visit, stop).await;
        }
    }

    async fn talk(
        &self,
        socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        header_timeout: Duration,
        visit: Arc<Visit>,
        mut stop: watch::Receiver<bool>,
    ) {
        let answer = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(visit.clone());
            let router = names_its_host(&request).then(|| self.router.clone());
            async {
                // Requests that wait behind each other in one connection do not keep others waiting.
                yield_now().await;
                match router {
                    Some(router) => router.oneshot(request).await as Result<Response<_>, _>,
                    None => Ok(refused(Error::BadHost)),
                }
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
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
        self.places.note_shortage(error);
        sleep(SHORT_OF_RESOURCES).await;
    }
}

/// Whether it is clear which host is asked for (RFC 9112, 3.2): a proxy in front may have looked at another `Host`. No
/// name is longer than 253 characters (RFC 1035, 2.3.4), and links in answers begin with it.
fn names_its_host(request: &Request<Incoming>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => request.version() < Version::HTTP_11,
        (Some(host), None) => host.len() <= HOST_BYTES_MAX,
        (Some(_), Some(_)) => false,
    }
}

/// Takes TLS's handshake. None: it failed, or is none; whoever begins with HTTP is told.
async fn secured(socket: TcpStream, tls: &TlsAcceptor) -> Option<TlsStream<TcpStream>> {
    let mut first = [0];
    if socket.peek(&mut first).await.ok()? == 0 {
        return None;
    }
    if first == [TLS_HANDSHAKE] {
        return tls.accept(socket).await.ok();
    }
    let mut socket = socket;
    socket.write_all(PLAIN_HTTP).await.ok()?;
    socket.shutdown().await.ok()?;
    let mut sink = [0; 1_024];
    // A socket that is closed with unread data is reset, and its other side may lose the answer.
    while socket.read(&mut sink).await.ok()? > 0 {}
    None
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
        let stall = Duration::from_secs(45);
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), stall).expect("listens");
        let address = listener.local_addr().expect("an address");
        let (_client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (socket, _) = accepted.expect("accepts");
        let socket = SockRef::from(&socket);
        assert!(socket.tcp_nodelay().expect("is told"));
        assert_eq!(socket.tcp_notsent_lowat().expect("is told"), UNSENT_BYTES);
        assert_eq!(
            socket.tcp_user_timeout().expect("is told"),
            Some(stall + GIVEN_UP_LATER)
        );
        assert_eq!(socket.send_buffer_size().expect("is told"), 2 * SEND_BUFFER_BYTES);
    }
}

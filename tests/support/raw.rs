//! Requests byte by byte, and WebSockets frame by frame.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::PATIENCE;

/// RFC 6455, 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of a typed error.
    pub(crate) fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).expect("a typed error");
        body["error"]["code"].as_str().expect("a code").to_owned()
    }
}

/// Sends bytes and reads until the server ends the connection, or has answered an upgrade.
pub(crate) async fn ask(address: SocketAddr, request: &str) -> Answer {
    let (answer, _) = converse(address, request).await;
    answer
}

/// As [`ask`], and what is left of the connection.
pub(crate) async fn converse(address: SocketAddr, request: &str) -> (Answer, TcpStream) {
    let mut socket = TcpStream::connect(address).await.expect("connects");
    // A server that has refused early may have closed already.
    let _ = socket.write_all(request.as_bytes()).await;
    let answer = timeout(PATIENCE, read(&mut socket)).await.expect("answers");
    (answer, socket)
}

/// Reads the answer to a request.
pub(crate) async fn read(socket: &mut (impl AsyncRead + Unpin)) -> Answer {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&head)),
        }
    }
    let head = String::from_utf8(head).expect("a head is text");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status");
    let mut body = Vec::new();
    if status != 101 {
        // A reset after the answer is an end like any other.
        let _ = socket.read_to_end(&mut body).await;
    }
    Answer { status, head, body }
}

pub(crate) async fn get(address: SocketAddr, path: &str, headers: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
    ask(address, &request).await
}

/// A good handshake for a room, with more headers.
pub(crate) fn handshake(address: SocketAddr, room: &str, headers: &str) -> String {
    format!(
        "GET /ws/{room} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{headers}\r\n"
    )
}

/// A socket that is upgraded.
pub(crate) async fn websocket(address: SocketAddr, room: &str) -> TcpStream {
    websocket_with(address, room, "").await
}

/// As [`websocket`], with more headers.
pub(crate) async fn websocket_with(address: SocketAddr, room: &str, headers: &str) -> TcpStream {
    let (answer, socket) = converse(address, &handshake(address, room, headers)).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    socket
}

/// The frame of a stranger's hello.
pub(crate) fn hello() -> Vec<u8> {
    masked(0x81, br#"{"id":1,"cmd":"hello","args":{}}"#)
}

/// A socket that has joined as a stranger.
pub(crate) async fn joined(address: SocketAddr, room: &str) -> TcpStream {
    let mut socket = websocket(address, room).await;
    socket.write_all(&hello()).await.expect("open");
    let (opcode, first) = frame(&mut socket).await.expect("an answer");
    assert_eq!(opcode, 1);
    assert!(first.starts_with(b"{\"joined\""), "{}", String::from_utf8_lossy(&first));
    socket
}

/// A viewer who has joined, with a small buffer, and reads nothing.
pub(crate) async fn deaf(address: SocketAddr, room: &str) -> TcpStream {
    deaf_over(narrow(address).await, address, room).await
}

/// A socket with a small buffer.
pub(crate) async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    socket.connect(address).await.expect("the server listens")
}

/// As [`deaf`], over a socket that is open.
pub(crate) async fn deaf_over<S: AsyncRead + AsyncWrite + Unpin>(mut socket: S, address: SocketAddr, room: &str) -> S {
    let request = handshake(address, room, "");
    socket.write_all(request.as_bytes()).await.expect("open");
    read(&mut socket).await;
    socket.write_all(&hello()).await.expect("open");
    socket
}

/// A client's frame: first byte, payload; masked with zeros, which changes nothing.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// The server's next frame; `None` where the socket ended.
pub(crate) async fn frame(socket: &mut (impl AsyncRead + Unpin)) -> Option<(u8, Vec<u8>)> {
    let (first, payload) = marked_frame(socket).await?;
    Some((first & 0x0f, payload))
}

/// As [`frame`], with the whole first byte.
pub(crate) async fn marked_frame(socket: &mut (impl AsyncRead + Unpin)) -> Option<(u8, Vec<u8>)> {
    let first = socket.read_u8().await.ok()?;
    let length = match socket.read_u8().await.ok()? {
        126 => usize::from(socket.read_u16().await.ok()?),
        127 => socket.read_u64().await.ok()? as usize,
        length => usize::from(length),
    };
    let mut payload = vec![0; length];
    socket.read_exact(&mut payload).await.ok()?;
    Some((first, payload))
}

/// The code of the close frame, and that the socket ends after it.
pub(crate) async fn close_code(socket: &mut (impl AsyncRead + Unpin)) -> Option<u16> {
    let ended = async {
        let mut code = None;
        while let Some((opcode, payload)) = frame(socket).await {
            assert!(code.is_none(), "nothing follows a close frame");
            if opcode == 8 {
                code = Some(payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code)));
            }
        }
        code
    };
    timeout(PATIENCE, ended).await.expect("the socket ends")
}

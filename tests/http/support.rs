//! A server of one's own, and requests byte by byte.

use std::net::SocketAddr;
use std::time::Duration;

use hubbub::config::{Options, Secrets};
use hubbub::serve::Serving;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Far longer than anything takes: a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// RFC 6455, 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

pub(crate) struct Server {
    pub(crate) serving: Serving,
    pub(crate) data: TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let own = Options {
            listen: Some(([127, 0, 0, 1], 0).into()),
            data: Some(data.path().join("data")),
            ..Options::default()
        };
        let config = own
            .over(options)
            .check(Secrets::default())
            .expect("a good configuration");
        let serving = Serving::start(config).await.expect("starts");
        Self { serving, data }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.serving.address
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        get(self.address(), path, "").await
    }
}

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

async fn read(socket: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    loop {
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let upgraded = bytes.starts_with(b"HTTP/1.1 101");
        // A reset after the answer is an end like any other.
        let ended = !(upgraded && head.is_some()) && socket.read_buf(&mut bytes).await.unwrap_or(0) == 0;
        match head {
            Some(head) if ended || upgraded => {
                let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
                let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
                return Answer {
                    status: status.expect("a status"),
                    head: text,
                    body: bytes[head + 4..].to_vec(),
                };
            }
            None if ended => panic!("no answer, but {:?}", String::from_utf8_lossy(&bytes)),
            _ => {}
        }
    }
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

/// An upgraded socket, and the frames that came with the answer.
pub(crate) struct WebSocket {
    pub(crate) socket: TcpStream,
    early: Vec<u8>,
}

pub(crate) async fn websocket(address: SocketAddr, room: &str) -> WebSocket {
    websocket_with(address, room, "").await
}

/// As [`websocket`], with more headers.
pub(crate) async fn websocket_with(address: SocketAddr, room: &str, headers: &str) -> WebSocket {
    let (answer, socket) = converse(address, &handshake(address, room, headers)).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    let early = answer.body;
    WebSocket { socket, early }
}

/// The frame of a stranger's hello.
pub(crate) fn hello() -> Vec<u8> {
    text_frame(r#"{"id":1,"cmd":"hello","args":{}}"#)
}

/// A text frame, masked with zeros.
fn text_frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("short");
    assert!(length < 126);
    let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
    frame.extend(text.as_bytes());
    frame
}

/// The code of the close frame with which the server ends a socket; text frames before it are skipped.
pub(crate) async fn close_code(websocket: WebSocket) -> Option<u16> {
    let WebSocket {
        mut socket,
        early: mut bytes,
    } = websocket;
    timeout(PATIENCE, socket.read_to_end(&mut bytes))
        .await
        .expect("ends")
        .ok()?;
    let mut frames = bytes.as_slice();
    while let [first, length @ 0..126, rest @ ..] = frames {
        let payload = rest.get(..usize::from(*length))?;
        if first & 0x0f == 8 {
            return Some(u16::from_be_bytes(payload.first_chunk().copied()?));
        }
        frames = &rest[usize::from(*length)..];
    }
    None
}

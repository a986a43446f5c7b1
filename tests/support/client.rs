//! A WebSocket client that keeps the cursor rule and notices every gap and double.

use std::collections::VecDeque;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use hubbub::protocol::{Cursor, Encoding, Joined, Message, Problem};
use hubbub::room::Answer;
use hubbub::room::stage::{Stage, StageEvent};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message as Frame};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};

use super::{PATIENCE, tls};

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// With a close frame.
    Closed(u16),
    /// Without one.
    Broken,
}

/// One connection on the stage feed.
pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    encoding: Encoding,
    next_id: u64,
    /// Messages that came while something else was awaited.
    unread: VecDeque<Message>,
    /// What `hello` was answered.
    pub(crate) joined: Joined,
    /// The keyframe that it started from, if it did not resume.
    pub(crate) keyframe: Option<Stage>,
    /// Where it is.
    pub(crate) cursor: Cursor,
}

/// Opens a socket without saying hello.
pub(crate) async fn connect(address: SocketAddr, room: &str) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
    try_connect(address, room)
        .await
        .expect("the server answers the handshake")
}

async fn try_connect(address: SocketAddr, room: &str) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, Over> {
    let tls = tls::known(address);
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    let url = format!("{scheme}://{address}/ws/{room}");
    // By default each connection takes 128 KiB to read into: a test may have thousands.
    let config = WebSocketConfig::default().read_buffer_size(4 << 10);
    let tls = tls.map(Connector::Rustls);
    let connected = tokio_tungstenite::connect_async_tls_with_config(url, Some(config), true, tls).await;
    Ok(connected.map_err(|_| Over::Broken)?.0)
}

impl Client {
    /// Connects and joins with these arguments of `hello`.
    pub(crate) async fn join(address: SocketAddr, room: &str, hello: Value) -> Result<Self, Over> {
        let mut socket = try_connect(address, room).await?;
        let encoding = Encoding::Json;
        let hello = json!({"id": 0, "cmd": "hello", "args": hello}).to_string();
        socket.send(Frame::text(hello)).await.map_err(|_| Over::Broken)?;
        let mut cursor = Cursor { epoch: 0, offset: 0 };
        let joined = match read(&mut socket, encoding).await? {
            Message::Joined(joined) => *joined,
            other => panic!("hello was answered {other:?}"),
        };
        cursor.epoch = joined.epoch;
        Ok(Self {
            socket,
            encoding,
            next_id: 1,
            unread: VecDeque::new(),
            joined,
            keyframe: None,
            cursor,
        })
    }

    /// Joins as a new viewer and takes the keyframe.
    pub(crate) async fn viewer(address: SocketAddr, room: &str, name: &str) -> Self {
        let mut client = Self::join(address, room, json!({ "name": name }))
            .await
            .expect("a viewer may come in");
        client.take_keyframe().await;
        client
    }

    /// Joins as the same viewer at a cursor.
    pub(crate) async fn again(address: SocketAddr, room: &str, token: &str, cursor: Cursor) -> Self {
        let hello = json!({ "token": token, "cursor": cursor });
        let mut client = Self::join(address, room, hello).await.expect("a viewer may come back");
        if client.joined.resumed {
            client.cursor = cursor;
        } else {
            client.take_keyframe().await;
        }
        client
    }

    /// Comes in as one more viewer and says something: whatever was done before, the server serves others.
    pub(crate) async fn others_are_served(address: SocketAddr, room: &str) {
        let mut other = Self::viewer(address, room, "Somebody else").await;
        let comment = json!({"nonce": "1", "text": "still here"});
        other.ask("comment", comment).await.expect("the server goes on");
        other.until_comment("still here").await;
    }

    async fn take_keyframe(&mut self) {
        match self.receive().await.expect("a keyframe follows") {
            Message::Keyframe(keyframe) => {
                self.cursor.offset = keyframe.offset;
                self.keyframe = Some(keyframe.state);
            }
            other => panic!("instead of a keyframe came {other:?}"),
        }
    }

    /// The token of a new viewer.
    pub(crate) fn token(&self) -> &str {
        self.joined.token.as_deref().expect("a new viewer gets a token")
    }

    async fn receive(&mut self) -> Result<Message, Over> {
        read(&mut self.socket, self.encoding).await
    }

    /// Sends a request and awaits its reply; what else comes meanwhile is kept.
    pub(crate) async fn ask(&mut self, cmd: &str, args: Value) -> Result<Answer, Problem> {
        match self.try_ask(cmd, args).await {
            Ok(reply) => reply,
            Err(over) => panic!("{cmd} got no reply: {over:?}"),
        }
    }

    /// The same, where the connection may break.
    pub(crate) async fn try_ask(&mut self, cmd: &str, args: Value) -> Result<Result<Answer, Problem>, Over> {
        let id = self.send(cmd, args).await?;
        self.reply(id).await
    }

    /// Sends a request; its reply can be awaited under the id that this gives.
    pub(crate) async fn send(&mut self, cmd: &str, args: Value) -> Result<u64, Over> {
        let id = self.next_id;
        self.next_id += 1;
        let request = json!({"id": id, "cmd": cmd, "args": args}).to_string();
        self.socket.send(Frame::text(request)).await.map_err(|_| Over::Broken)?;
        Ok(id)
    }

    /// Awaits the reply to a request; what else comes meanwhile is kept, replies to later requests are not.
    pub(crate) async fn reply(&mut self, id: u64) -> Result<Result<Answer, Problem>, Over> {
        let answered = async {
            loop {
                match self.receive().await? {
                    Message::Ok { re, answer, .. } if re == id => return Ok(Ok(answer)),
                    Message::Err(problem) if problem.re == Some(id) => return Ok(Err(problem)),
                    other => self.unread.push_back(other),
                }
            }
        };
        // Under the whole programme's load an answer has taken seconds.
        timeout(3 * PATIENCE, answered)
            .await
            .expect("every request is answered")
    }

    /// Sends a note, which gets no reply.
    pub(crate) async fn note(&mut self, cmd: &str, args: Value) {
        let note = json!({"cmd": cmd, "args": args}).to_string();
        self.socket
            .send(Frame::text(note))
            .await
            .expect("the connection is open");
    }

    /// The next message, whatever it is.
    pub(crate) async fn next(&mut self) -> Result<Message, Over> {
        match self.unread.pop_front() {
            Some(message) => Ok(message),
            None => self.receive().await,
        }
    }

    /// The events of the next delta that is new; a gap fails the test.
    pub(crate) async fn events(&mut self) -> Vec<StageEvent> {
        loop {
            let message = self.next().await.expect("the connection is open");
            let Message::Delta(delta) = message else { continue };
            if delta.offset <= self.cursor.offset {
                continue;
            }
            assert!(
                delta.follows <= self.cursor.offset,
                "a gap: {} follows {}",
                delta.offset,
                delta.follows
            );
            self.cursor.offset = delta.offset;
            return delta.events;
        }
    }

    /// Waits for an event on stage.
    pub(crate) async fn until<T>(&mut self, mut wanted: impl FnMut(&StageEvent) -> Option<T>) -> T {
        loop {
            if let Some(found) = self.events().await.iter().find_map(&mut wanted) {
                return found;
            }
        }
    }

    /// Waits for a comment with this text.
    pub(crate) async fn until_comment(&mut self, text: &str) {
        self.until(|event| match event {
            StageEvent::Comment(shown) => (shown.text.as_str() == text).then_some(()),
            StageEvent::Sampled { comments, .. } => {
                comments.iter().any(|shown| shown.text.as_str() == text).then_some(())
            }
            _ => None,
        })
        .await;
    }

    /// Waits for a pulse that counts so many viewers.
    pub(crate) async fn until_watching(&mut self, watching: u32) {
        let counted = async {
            loop {
                if let Message::Pulse(pulse) = self.next().await.expect("the connection stays")
                    && pulse.totals.watching == watching
                {
                    return;
                }
            }
        };
        timeout(PATIENCE, counted).await.expect("so many are counted");
    }

    /// Waits for the end of the connection; one that goes on and on fails the test.
    pub(crate) async fn over(&mut self) -> Over {
        let ends = async {
            loop {
                if let Err(over) = self.receive().await {
                    return over;
                }
            }
        };
        timeout(PATIENCE, ends).await.expect("the connection ends")
    }
}

/// Reads the next message.
pub(crate) async fn read(
    socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>,
    encoding: Encoding,
) -> Result<Message, Over> {
    loop {
        let frame = timeout(PATIENCE, socket.next()).await.expect("something comes in time");
        match frame {
            Some(Ok(Frame::Text(text))) => {
                return Ok(encoding.decode(text.as_bytes()).expect("a message of the protocol"));
            }
            Some(Ok(Frame::Binary(bytes))) => return Ok(encoding.decode(&bytes).expect("a message of the protocol")),
            Some(Ok(Frame::Close(Some(close)))) => return Err(Over::Closed(close.code.into())),
            Some(Ok(_)) => {}
            Some(Err(tungstenite::Error::ConnectionClosed)) | Some(Err(_)) | None => return Err(Over::Broken),
        }
    }
}

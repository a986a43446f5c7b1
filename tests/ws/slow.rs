//! Viewers that do not read harm nobody else, and are told what they missed.

use futures_util::SinkExt;
use hubbub::protocol::{Encoding, Message};
use serde_json::json;
use tokio::net::TcpSocket;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::support::client::{Client, read};
use crate::support::process::Process;

/// Each comment is a batch of its own here. The ring keeps 1,024; the sockets' buffers, small on this side and
/// bounded on the server's, hold less than 2,000 frames of 300 bytes.
const COMMENTS: usize = 4_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_does_not_read_is_told_what_it_skipped_and_others_miss_nothing() {
    let server = Process::start(&["--no-rates"]);
    server.live_room("show").await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let socket = socket.connect(server.address).await.expect("the server listens");
    let url = format!("ws://{}/ws/show", server.address);
    let (mut deaf, _) = tokio_tungstenite::client_async(url, MaybeTlsStream::Plain(socket))
        .await
        .expect("a handshake");
    let hello = json!({"id": 0, "cmd": "hello", "args": {"name": "Deaf"}}).to_string();
    deaf.send(Frame::text(hello)).await.expect("open");
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    let mut host = Client::join(server.address, "show", json!({"token": server.operator}))
        .await
        .expect("an operator");
    for n in 0..COMMENTS {
        let text = format!("{n} {}", "x".repeat(190));
        host.ask("comment", json!({"nonce": n.to_string(), "text": text}))
            .await
            .expect("staff may always speak");
        ann.until_comment(&text).await;
    }
    let (from, to) = loop {
        match read(&mut deaf, Encoding::Json).await {
            Ok(Message::Skipped { from, to }) => break (from, to),
            Ok(_) => {}
            Err(over) => panic!("instead of being told what it skipped its connection ended: {over:?}"),
        }
    };
    assert!(from < to);
    match read(&mut deaf, Encoding::Json).await {
        Ok(Message::Keyframe(keyframe)) => assert_eq!(keyframe.offset, to),
        other => panic!("instead of the keyframe came {other:?}"),
    }
}

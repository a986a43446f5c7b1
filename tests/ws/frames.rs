//! Frames that break RFC 6455 get a close frame with the right code before the socket ends.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::PATIENCE;
use crate::server::Server;

/// A client's frame: first byte, payload; masked with zeros, which changes nothing.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
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

async fn handshake(server: &Server) -> TcpStream {
    let mut socket = TcpStream::connect(&server.address).await.expect("the server listens");
    let request = format!(
        "GET /ws/show HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        server.address
    );
    socket.write_all(request.as_bytes()).await.expect("open");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.expect("an answer"));
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    socket
}

/// A socket that has joined.
async fn joined(server: &Server) -> TcpStream {
    let mut socket = handshake(server).await;
    let hello = json!({"id": 1, "cmd": "hello", "args": {}}).to_string();
    socket.write_all(&masked(0x81, hello.as_bytes())).await.expect("open");
    let (opcode, first) = frame(&mut socket).await.expect("an answer");
    assert_eq!(opcode, 1);
    assert!(first.starts_with(b"{\"joined\""));
    socket
}

/// The server's next frame; `None` where the socket ended.
async fn frame(socket: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let first = socket.read_u8().await.ok()?;
    let length = match socket.read_u8().await.ok()? {
        126 => usize::from(socket.read_u16().await.ok()?),
        127 => socket.read_u64().await.ok()? as usize,
        length => usize::from(length),
    };
    let mut payload = vec![0; length];
    socket.read_exact(&mut payload).await.ok()?;
    Some((first & 0x0f, payload))
}

/// The code of the close frame, and that the socket ends after it.
async fn close_code(socket: &mut TcpStream) -> Option<u16> {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_breaks_the_protocol_is_answered_with_its_close_code() {
    let server = Server::start(&[]).await;
    server.live_room("show").await;
    let close = |code: u16| masked(0x88, &code.to_be_bytes());
    let mut bad_reason = 1000_u16.to_be_bytes().to_vec();
    bad_reason.push(0xff);
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("unmasked", vec![0x81, 0x02, b'h', b'i'], 1002),
        ("a reserved bit", masked(0xc1, b"{}"), 1002),
        ("an unknown opcode", masked(0x83, b""), 1002),
        ("an unknown control opcode", masked(0x8b, b""), 1002),
        ("a fragmented ping", masked(0x09, b""), 1002),
        ("a long ping", masked(0x89, &[b'x'; 126]), 1002),
        ("a lone continuation", masked(0x80, b"x"), 1002),
        (
            "a message inside another",
            [masked(0x01, b"{"), masked(0x81, b"}")].concat(),
            1002,
        ),
        ("a close of one byte", masked(0x88, &[3]), 1002),
        ("close code 999", close(999), 1002),
        ("close code 1005", close(1005), 1002),
        ("close code 2999", close(2999), 1002),
        ("close code 5000", close(5000), 1002),
        ("a close reason that is not UTF-8", masked(0x88, &bad_reason), 1007),
        ("text that is not UTF-8", masked(0x81, &[0xff]), 1007),
        ("an overlong encoding", masked(0x81, &[0xc0, 0xaf]), 1007),
        ("half a surrogate", masked(0x81, &[0xed, 0xa0, 0x80]), 1007),
        (
            "a declared length with the top bit",
            [vec![0x81, 0xff], vec![0xff; 8], vec![0; 4]].concat(),
            1009,
        ),
        (
            "a declared length of 15 MiB",
            [vec![0x81, 0xff], 15_728_640_u64.to_be_bytes().to_vec(), vec![0; 4]].concat(),
            1009,
        ),
        ("an honest close", close(1000), 1000),
    ];
    let mut wrong = Vec::new();
    for (case, bytes, code) in cases {
        let mut socket = joined(&server).await;
        socket.write_all(&bytes).await.expect("open");
        let got = close_code(&mut socket).await;
        if got != Some(code) {
            wrong.push((case, got, code));
        }
    }
    assert!(wrong.is_empty(), "(case, got, wanted): {wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rfc_6455_allows_is_fine() {
    let server = Server::start(&[]).await;
    server.live_room("show").await;
    let mut socket = joined(&server).await;
    let ask = json!({"id": 7, "cmd": "comment", "args": {"nonce": "1", "text": "é"}})
        .to_string()
        .into_bytes();
    let middle = ask.iter().position(|byte| *byte == 0xc3).expect("the first byte of é") + 1;
    let (head, tail) = ask.split_at(middle);
    let split = [masked(0x01, head), masked(0x89, b"between"), masked(0x80, tail)].concat();
    socket.write_all(&split).await.expect("open");
    let (mut pong, mut ok) = (false, false);
    while !(pong && ok) {
        let (opcode, payload) = timeout(PATIENCE, frame(&mut socket))
            .await
            .expect("in time")
            .expect("open");
        pong |= opcode == 0xa && payload == b"between";
        ok |= payload.starts_with(b"{\"ok\":{\"re\":7");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fragments_without_end_are_a_flood_and_hold_up_nobody() {
    let server = Server::start(&[]).await;
    server.live_room("show").await;
    let mut socket = joined(&server).await;
    let fragments = [masked(0x01, b""), masked(0x00, b"").repeat(100_000)].concat();
    // The server may end the connection before all of it is written.
    let _ = timeout(Duration::from_secs(5), socket.write_all(&fragments)).await;
    let code = close_code(&mut socket).await;
    assert!(matches!(code, Some(1008) | None), "{code:?}");
    joined(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_closed() {
    let server = Server::start(&[]).await;
    server.live_room("show").await;
    let mut silent = handshake(&server).await;
    assert_eq!(
        close_code(&mut silent).await,
        Some(hubbub::protocol::Close::NoHello.code())
    );
}

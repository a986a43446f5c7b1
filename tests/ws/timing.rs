//! Connections that say nothing, or too slowly, or only half end, are closed with their code, within a bound.

use std::time::{Duration, Instant};

use hubbub::protocol::Close;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::{interval, timeout};

use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::process::Process;
use crate::support::raw::{close_code, frame, hello, joined, masked, websocket};

/// Writes one byte every now and then, until the other side takes no more.
async fn dribble(mut socket: OwnedWriteHalf, bytes: Vec<u8>) {
    let mut ticks = interval(Duration::from_millis(300));
    for byte in bytes {
        ticks.tick().await;
        if socket.write_all(&[byte]).await.is_err() {
            return;
        }
    }
}

/// The code of the close frame, and whether the socket ended, while bytes are dribbled into it.
async fn code_under(socket: TcpStream, bytes: Vec<u8>) -> Option<u16> {
    let (mut reads, writes) = socket.into_split();
    let dribbling = tokio::spawn(dribble(writes, bytes));
    let ended = async {
        let mut code = None;
        while let Some((opcode, payload)) = frame(&mut reads).await {
            if opcode == 8 {
                code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
            }
        }
        code
    };
    let code = timeout(PATIENCE, ended).await.expect("the socket ends");
    dribbling.abort();
    code
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_no_hello_in_time_is_closed_however_it_passes_the_time() {
    let server = Process::start(&[]);
    server.live_room("show").await;
    let no_hello = Some(Close::NoHello.code());
    let begun = Instant::now();
    let mut silent = websocket(server.address, "show").await;
    let dribbling = websocket(server.address, "show").await;
    let (silent, dribbling) = tokio::join!(close_code(&mut silent), code_under(dribbling, hello()));
    assert_eq!((silent, dribbling), (no_hello, no_hello));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_no_ping_for_two_intervals_is_closed_and_counted_out_and_who_does_stays() {
    let server = Process::start(&["--ping-interval-ms", "2000"]);
    server.live_room("show").await;
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    let mut stopped = joined(server.address, "show").await;
    let half_said = joined(server.address, "show").await;
    ann.until_watching(3).await;
    let silent = Some(Close::Silent.code());
    let begun = Instant::now();
    // A message of 125 bytes that never ends keeps nobody alive.
    let dribbled = masked(0x81, &[b' '; 125]);
    let all = async { tokio::join!(close_code(&mut stopped), code_under(half_said, dribbled)) };
    tokio::select! {
        codes = all => assert_eq!(codes, (silent, silent)),
        over = ann.over() => panic!("Ann, who answers, was closed: {over:?}"),
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let counted_out = async { while server.metric("hubbub_connections").await != 1 {} };
    timeout(PATIENCE, counted_out).await.expect("only Ann is left");
    ann.until_watching(1).await;
    ann.ask("comment", json!({"nonce": "1", "text": "still here"}))
        .await
        .expect("she stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ends_only_its_own_half_is_told_that_this_breaks_the_protocol() {
    let server = Process::start(&[]);
    server.live_room("show").await;
    for mut socket in [
        websocket(server.address, "show").await,
        joined(server.address, "show").await,
    ] {
        socket.shutdown().await.expect("open");
        assert_eq!(close_code(&mut socket).await, Some(Close::Protocol.code()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_after_the_close_is_not_heard() {
    let server = Process::start(&[]);
    server.live_room("show").await;
    let mut socket = joined(server.address, "show").await;
    let late = json!({"id": 7, "cmd": "comment", "args": {"nonce": "1", "text": "too late"}}).to_string();
    let bytes = [masked(0x88, &1000_u16.to_be_bytes()), masked(0x81, late.as_bytes())].concat();
    socket.write_all(&bytes).await.expect("open");
    assert_eq!(close_code(&mut socket).await, Some(1000));
    let bob = Client::viewer(server.address, "show", "Bob").await;
    let comments = bob.keyframe.expect("it starts from one").comments;
    assert!(comments.is_empty(), "{comments:?}");
}

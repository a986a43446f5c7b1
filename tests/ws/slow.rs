//! Viewers that do not read harm nobody else and cost a bounded amount, are told what they missed, and are
//! closed when they take nothing for too long.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use hubbub::protocol::{Close, Encoding, Message};
use hubbub::room::stage::StageEvent;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::support::PATIENCE;
use crate::support::client::{Client, read};
use crate::support::picture::png;
use crate::support::process::{Launch, Process};
use crate::support::raw;
use crate::support::tls::{certificate, secured, trust};

/// The host says so much, so many comments at once, and Ann, who reads, gets all of it without a gap.
async fn much_is_said(host: &mut Client, ann: &mut Client, comments: usize, at_once: usize) {
    // The longest comments in bytes that there are.
    let texts: Vec<_> = (0..comments)
        .map(|n| format!("{n} {}", "\u{1f484}".repeat(190)))
        .collect();
    let says = async {
        for (n, text) in texts.iter().enumerate() {
            let id = host
                .send("comment", json!({"nonce": n.to_string(), "text": text}))
                .await
                .expect("open");
            if n % at_once == at_once - 1 {
                let last = host.reply(id).await.expect("open");
                last.expect("staff may always speak");
            }
        }
    };
    let hears = async {
        let mut wanted: BTreeSet<_> = texts.iter().map(String::as_str).collect();
        while !wanted.is_empty() {
            for event in ann.events().await {
                if let StageEvent::Comment(shown) = event {
                    wanted.remove(shown.text.as_str());
                }
            }
        }
    };
    tokio::join!(says, hears);
}

async fn host(server: &Process) -> Client {
    Client::join(server.address, "show", json!({"token": server.operator}))
        .await
        .expect("an operator")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_does_not_read_is_told_what_it_skipped_and_others_miss_nothing() {
    let server = Process::start(&["--no-rates"]);
    server.live_room("show").await;
    let deaf = raw::deaf(server.address, "show").await;
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    // A ring keeps 1,024 batches, the sockets' buffers hold less than 500 comments of this size.
    much_is_said(&mut host(&server).await, &mut ann, 6_000, 3).await;
    let mut deaf = WebSocketStream::from_raw_socket(MaybeTlsStream::Plain(deaf), Role::Client, None).await;
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

/// Bytes that the kernel holds on this machine for what the listener of an address has not been able to send.
fn unsent(server: &Process) -> u64 {
    let port = format!(":{:04X} ", server.address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux");
    let lines = table.lines().filter(|line| line.split_at(20).0.contains(&port));
    let queues = lines.filter_map(|line| line.split_whitespace().nth(4)?.split_once(':'));
    queues
        .map(|(sending, _)| u64::from_str_radix(sending, 16).expect("a number"))
        .sum()
}

/// Options under which who takes nothing is closed soon, and it is said of each.
const IMPATIENT: [&str; 5] = [
    "--no-rates",
    "--stall-timeout-ms",
    "4000",
    "--log-filter",
    "hubbub=debug",
];

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_viewers_that_take_nothing_cost_a_bounded_amount_and_are_told_to_come_back() {
    let server = Process::start(&IMPATIENT);
    server.live_room("show").await;
    let address = server.address;
    take_nothing(&server, 200, async || raw::deaf(address, "show").await).await;
    let closed = "hubbub_connections_closed_total{code=\"4001\"}";
    server.until_metric(closed, PATIENCE, |closed| closed == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_too_a_hundred_viewers_that_take_nothing_are_bounded_and_closed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = certificate(folder.path());
    let path = |path: &Path| path.to_str().expect("text").to_owned();
    let mut server = Process::start(&[]);
    server.live_room("show").await;
    let (cert, key) = (path(&files.cert), path(&files.key));
    server.kill();
    server.relaunch(Launch::new(
        &[&IMPATIENT[..], &["--tls-cert", &cert, "--tls-key", &key]].concat(),
    ));
    let address = server.address;
    trust(address, &files);
    let deaf = async || {
        let socket = secured(raw::narrow(address).await).await.expect("a session");
        raw::deaf_over(socket, address, "show").await
    };
    take_nothing(&server, 100, deaf).await;
}

/// So many come who read nothing while much is said: that takes bounded memory, each is told to come back, and Ann
/// notices nothing.
async fn take_nothing<S>(server: &Process, count: usize, deaf: impl AsyncFn() -> S)
where
    S: AsyncRead + Unpin + Send + 'static,
{
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    let mut host = host(server).await;
    let mut crowd = Vec::new();
    for _ in 0..count {
        crowd.push(deaf().await);
    }
    // The room's own memory grows first: its ring, its last comments.
    much_is_said(&mut host, &mut ann, 1_000, 30).await;
    let before = server.memory("VmRSS");
    much_is_said(&mut host, &mut ann, 5_000, 30).await;
    let (after, unsent) = (server.memory("VmRSS"), unsent(server));
    // 4 MB were said; with a copy for each of 200 that would be 800 MB.
    let grown = after.saturating_sub(before);
    println!("{grown} bytes more, {unsent} in the kernel");
    assert!(grown < 64 << 20, "{before} -> {after}");
    assert!(unsent < count as u64 * (512 << 10), "{unsent}");

    server.until_said_times(count, "a connection that takes nothing is closed");
    let mut ends = JoinSet::new();
    for mut deaf in crowd {
        ends.spawn(async move { raw::close_code(&mut deaf).await });
    }
    // Who takes nothing for ten more seconds is given up without the close frame.
    let ends = ends.join_all().await;
    assert!(ends.contains(&Some(Close::Slow.code())), "{ends:?}");
    assert!(
        ends.iter().flatten().all(|code| *code == Close::Slow.code()),
        "{ends:?}"
    );
    ann.ask("comment", json!({"nonce": "1", "text": "still here"}))
        .await
        .expect("Ann was never disturbed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_downloads_of_the_largest_picture_that_nobody_reads_cost_a_piece_of_it_each() {
    let server = Process::start(&[]);
    let host = server.live_room("show").await;
    let cover = server.cover("show", &host, png(5_200_000)).await;
    let request = format!("GET {cover} HTTP/1.1\r\nHost: a\r\n\r\n");
    let before = server.memory("VmRSS");
    let mut downloads = Vec::new();
    for _ in 0..100 {
        let mut socket = raw::narrow(server.address).await;
        socket.write_all(request.as_bytes()).await.expect("open");
        // The answer has begun: what is made for it is there.
        socket.readable().await.expect("open");
        downloads.push(socket);
    }
    let grown = server.memory("VmRSS").saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for {} downloads", downloads.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_byte_by_byte_takes_no_more_than_its_bytes() {
    let server = Process::start(&[]);
    let head =
        "POST /api/v1/sign-in HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n";
    let before = server.memory("VmRSS");
    let mut senders = JoinSet::new();
    for _ in 0..50 {
        let mut socket = TcpStream::connect(server.address).await.expect("the server listens");
        socket.set_nodelay(true).expect("each byte a segment");
        senders.spawn(async move {
            socket.write_all(head.as_bytes()).await.expect("open");
            for _ in 0..2_000 {
                socket.write_all(b" ").await.expect("open");
                yield_now().await;
            }
            socket
        });
    }
    let open = senders.join_all().await;
    let grown = server.memory("VmRSS").saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes for 100,000 of {} bodies", open.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_that_nobody_reads_cost_a_few_of_their_texts_each() {
    let server = Process::start(&["--no-rates"]);
    server.live_room("show").await;
    let comment = json!({"id": 1, "cmd": "comment", "args": {"nonce": "1", "text": "x".repeat(16_000)}}).to_string();
    let comments = raw::masked(0x81, comment.as_bytes()).repeat(60);
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(raw::deaf(server.address, "show").await);
    }
    let before = server.memory("VmRSS");
    let writes = crowd
        .iter_mut()
        .map(|deaf| timeout(Duration::from_secs(2), deaf.write_all(&comments)));
    // Most of it waits in the kernel, or cannot be written at all.
    join_all(writes).await;
    Client::others_are_served(server.address, "show").await;
    let grown = server.memory("VmRSS").saturating_sub(before);
    assert!(grown < 24 << 20, "{grown} bytes for {} viewers", crowd.len());
}

//! What a server takes from strangers, and no more.

use std::time::Duration;

use hubbub::config::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use crate::support::PATIENCE;
use crate::support::raw::{ask, close_code, get, handshake, hello, websocket};
use crate::support::server::Server;

async fn is_cut(mut socket: TcpStream) {
    let mut rest = Vec::new();
    // However it ends: with an answer, an end or a reset.
    let _ = timeout(PATIENCE, socket.read_to_end(&mut rest)).await.expect("is cut");
}

#[tokio::test]
async fn who_says_nothing_or_half_a_head_is_cut() {
    let server = Server::with(Options {
        header_timeout_ms: Some(100),
        ..Options::default()
    })
    .await;
    is_cut(TcpStream::connect(server.address).await.expect("connects")).await;
    let mut half = TcpStream::connect(server.address).await.expect("connects");
    half.write_all(b"GET /healthz HTTP/1.1\r\nHost: ")
        .await
        .expect("writes");
    is_cut(half).await;
    let mut dribbles = TcpStream::connect(server.address).await.expect("connects");
    let drops = async {
        let mut ticks = interval(Duration::from_millis(20));
        for byte in b"GET /healthz HTTP/1.1\r\nX-Long: ".iter().chain([b'x'; 1_000].iter()) {
            ticks.tick().await;
            // Until it is cut.
            if dribbles.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    };
    timeout(Duration::from_secs(5), drops)
        .await
        .expect("each byte gives it no more time");
    assert_eq!(server.plain("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_head_that_is_too_large_gets_431() {
    let server = Server::start().await;
    let long = format!("X-Long: {}\r\n", "x".repeat(70_000));
    assert_eq!(get(server.address, "/healthz", &long).await.status, 431);
    let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    assert_eq!(get(server.address, "/healthz", &many).await.status, 431);
}

#[tokio::test]
async fn a_body_whose_end_can_be_read_in_two_ways_is_refused() {
    let server = Server::start().await;
    let request = "POST /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\
                   Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(ask(server.address, request).await.status, 400);
    for body in ["Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n"] {
        let answer = ask(server.address, &handshake(server.address, "lipsticks", body)).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_body"), "{body}");
    }
}

#[tokio::test]
async fn a_request_names_its_host_once_and_as_long_as_a_name_can_be() {
    let server = Server::start().await;
    let long = format!("Host: {}\r\n", "a".repeat(300));
    for hosts in ["", "Host: a\r\nHost: b\r\n", "Host: a\r\nHost: a\r\n", &long] {
        for path in ["/healthz", "/ws/lipsticks", "/api/v1/rooms"] {
            let answer = ask(
                server.address,
                &format!("GET {path} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n"),
            )
            .await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (400, "bad_host"),
                "{path} {hosts}"
            );
        }
    }
}

#[tokio::test]
async fn an_address_that_has_its_share_of_sockets_is_told_that_it_is_full() {
    let server = Server::with(Options {
        connections_per_address: Some(2),
        exempt: Some(Vec::new()),
        ..Options::default()
    })
    .await;
    let first = websocket(server.address, "lipsticks").await;
    let _second = websocket(server.address, "lipsticks").await;
    assert_eq!(
        close_code(&mut websocket(server.address, "lipsticks").await).await,
        Some(4501)
    );
    let counted = server.serving.app.metrics.text().expect("metrics");
    assert!(
        counted.contains("hubbub_sockets_refused_total{reason=\"address\"} 1"),
        "{counted}"
    );

    drop(first);
    // The place is free again when the server has seen the end.
    let again = async {
        loop {
            let mut websocket = websocket(server.address, "lipsticks").await;
            // Who is turned away may be gone before this is written.
            let _ = websocket.write_all(&hello()).await;
            match close_code(&mut websocket).await {
                Some(4500) => return,
                full => assert_eq!(full, Some(4501)),
            }
        }
    };
    timeout(PATIENCE, again).await.expect("is let in again");
}

#[tokio::test]
async fn a_method_that_an_address_does_not_take_gets_405_with_those_it_takes() {
    let server = Server::start().await;
    let request = "DELETE /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = ask(server.address, request).await;
    assert_eq!((answer.status, answer.code().as_str()), (405, "method_not_allowed"));
    assert_eq!(answer.header("Allow"), Some("GET,HEAD"));
}

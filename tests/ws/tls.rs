//! The socket over TLS: the same as without, and a new certificate disturbs nobody.

use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

use hubbub::config::Options;
use hubbub::protocol::{Close, Encoding, Message};
use hubbub::room::stage::StageEvent;
use hubbub::tls::Files;
use rustix::process::{Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::support::PATIENCE;
use crate::support::client::{Client, Over, read};
use crate::support::process::{Process, ended, hubbub};
use crate::support::raw::{self, close_code, converse, frame, handshake, hello, masked};
use crate::support::server::Server;
use crate::support::tls::{certificate, certificate_between, secured, trust};

/// A server that speaks TLS, with a show on air.
async fn server(folder: &TempDir, options: Options) -> Server {
    let files = certificate(folder.path());
    let server = Server::start().await;
    server.live_room("show").await;
    let with_tls = Options {
        tls_cert: Some(files.cert.clone()),
        tls_key: Some(files.key.clone()),
        ..options
    };
    let server = server.restart_with(with_tls).await;
    trust(server.serving.address, &files);
    server
}

/// A socket that is upgraded, over TLS.
async fn websocket(server: &Server, headers: &str) -> TlsStream<TcpStream> {
    let socket = TcpStream::connect(server.serving.address).await.expect("connects");
    let mut socket = secured(socket).await.expect("a session");
    let request = handshake(server.serving.address, "show", headers);
    socket.write_all(request.as_bytes()).await.expect("open");
    let answer = raw::read(&mut socket).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_a_show_goes_on_and_viewers_resume() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = server(&folder, Options::default()).await;
    let address = server.serving.address;
    let mut ann = Client::viewer(address, "show", "Ann").await;
    let mut bob = Client::viewer(address, "show", "Bob").await;
    let says = async |client: &mut Client, nonce: &str, text: &str| {
        let said = client.ask("comment", json!({"nonce": nonce, "text": text})).await;
        said.expect("the show is on air");
    };
    says(&mut ann, "1", "hello").await;
    bob.until_comment("hello").await;
    let (token, cursor) = (bob.token().to_owned(), bob.cursor);
    drop(bob);
    says(&mut ann, "2", "are you still here?").await;
    let mut bob = Client::again(address, "show", &token, cursor).await;
    assert!(bob.joined.resumed);
    bob.until_comment("are you still here?").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_each_breach_gets_its_close_code_and_compression_works() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = server(
        &folder,
        Options {
            compression: Some(true),
            ..Options::default()
        },
    )
    .await;
    for (case, bytes, code) in [
        ("unmasked", vec![0x81, 0x02, b'h', b'i'], 1002),
        ("not UTF-8", masked(0x81, &[0xff]), 1007),
        (
            "too big together",
            [masked(0x01, &[b'x'; 16_000]), masked(0x80, &[b'x'; 400])].concat(),
            1009,
        ),
        ("10,000 pings", masked(0x89, b"").repeat(10_000), 1008),
        ("the wrong kind", masked(0x82, b"{}"), 1003),
        ("an honest close", masked(0x88, &1000_u16.to_be_bytes()), 1000),
    ] {
        for deflate in ["", "Sec-WebSocket-Extensions: permessage-deflate\r\n"] {
            let mut socket = websocket(&server, deflate).await;
            socket.write_all(&hello()).await.expect("open");
            let (_, joined) = frame(&mut socket).await.expect("an answer");
            assert!(joined.starts_with(b"{\"joined\""), "{case}");
            // The server may end the connection before all of it is written.
            let _ = socket.write_all(&bytes).await;
            assert_eq!(close_code(&mut socket).await, Some(code), "{case} {deflate}");
        }
    }
    let mut silent = websocket(&server, "").await;
    assert_eq!(close_code(&mut silent).await, Some(Close::NoHello.code()));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_who_stops_reading_for_a_while_misses_nothing() {
    const COMMENTS: usize = 900;
    const AT_ONCE: usize = 30;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = server(
        &folder,
        Options {
            no_rates: Some(true),
            ..Options::default()
        },
    )
    .await;
    let address = server.serving.address;
    let socket = secured(raw::narrow(address).await).await.expect("a session");
    let deaf = raw::deaf_over(socket, address, "show").await;

    let lipsticks = "\u{1f484}".repeat(190);
    let host = json!({"token": server.operator});
    let mut host = Client::join(server.serving.address, "show", host)
        .await
        .expect("an operator");
    // More than all buffers on the way hold.
    for n in 0..COMMENTS {
        let comment = json!({"nonce": n.to_string(), "text": format!("{n} {lipsticks}")});
        let id = host.send("comment", comment).await.expect("open");
        if n % AT_ONCE == AT_ONCE - 1 {
            host.reply(id).await.expect("open").expect("staff may always speak");
        }
    }
    let mut hears = WebSocketStream::from_raw_socket(MaybeTlsStream::Rustls(deaf), Role::Client, None).await;
    let mut next = 0;
    while next < COMMENTS {
        let message = read(&mut hears, Encoding::Json).await.expect("it stays connected");
        let Message::Delta(delta) = message else { continue };
        for event in delta.events {
            if let StageEvent::Comment(shown) = event {
                assert_eq!(shown.text.as_str(), format!("{next} {lipsticks}"));
                next += 1;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_to_who_comes_and_disturbs_nobody_and_a_bad_one_is_left_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let old = certificate(folder.path());
    let Files { cert, key } = &old;
    let arguments = [
        "--tls-cert",
        cert.to_str().expect("text"),
        "--tls-key",
        key.to_str().expect("text"),
    ];
    let process = Process::start(&arguments);
    let address = process.address;
    trust(address, &old);
    let connected = async || secured(TcpStream::connect(address).await.expect("connects")).await;
    let mut stays = connected().await.expect("a session");

    std::fs::write(cert, "no certificate").expect("writes");
    process.until_said("the new certificate cannot be used");
    connected().await.expect("the old one is still shown");

    trust(address, &certificate(folder.path()));
    kill_process(process.pid(), Signal::HUP).expect("is there");
    process.until_said("a new certificate is shown");
    connected().await.expect("the new one is shown");
    stays
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .expect("open");
    let answer = raw::read(&mut stays).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("Strict-Transport-Security"), Some("max-age=31536000"));
    assert_eq!(stays.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));

    let listen = address.to_string();
    let health = hubbub(&[&["health", "--listen", &listen], &arguments[..]].concat());
    assert_eq!(ended(health).0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_about_to_end_or_has_ended_is_shown_said_and_told() {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let now = UNIX_EPOCH.elapsed().expect("after 1970");
    let until = |ends: Duration| certificate_between(folder.path(), now - 80 * DAY, ends);
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let told = async |address: SocketAddr, files: &Files| {
        trust(address, files);
        let mut socket = secured(TcpStream::connect(address).await.expect("connects"))
            .await
            .expect("a session");
        let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        socket.write_all(request).await.expect("open");
        let metrics = raw::read(&mut socket).await.text();
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix("hubbub_tls_certificate_expiry_timestamp_seconds "));
        value.expect("is served").parse::<u64>().expect("a number")
    };

    let near = until(now + 10 * DAY);
    let process = Process::start(&["--tls-cert", &cert, "--tls-key", &key]);
    let said = process.until_said("the certificate is about to end");
    assert!(
        said.contains("\"days_left\":9") || said.contains("\"days_left\":10"),
        "{said}"
    );
    assert_eq!(told(process.address, &near).await, (now + 10 * DAY).as_secs());

    let ended = until(now - DAY);
    process.until_said("the certificate has ended");
    assert_eq!(told(process.address, &ended).await, (now - DAY).as_secs());

    let good = until(now + 30 * DAY);
    process.until_said_times(2, "a new certificate is shown");
    assert_eq!(told(process.address, &good).await, (now + 30 * DAY).as_secs());
    let said = process.said();
    assert_eq!(said.matches("the certificate ").count(), 2, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_speak_tls_is_told_so_or_cut() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = server(
        &folder,
        Options {
            header_timeout_ms: Some(300),
            ..Options::default()
        },
    )
    .await;
    let address = server.serving.address;
    let (answer, _) = converse(address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("https://"), "{answer:?}");
    for begun in [&b""[..], &[22, 3, 1]] {
        let mut silent = TcpStream::connect(address).await.expect("connects");
        silent.write_all(begun).await.expect("open");
        let mut rest = Vec::new();
        // However it ends.
        let _ = timeout(PATIENCE, silent.read_to_end(&mut rest)).await.expect("is cut");
    }
    let over = Client::join(address, "nosuchroom", json!({})).await.err();
    assert_eq!(over, Some(Over::Closed(Close::UnknownRoom.code())));
}

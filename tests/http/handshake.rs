//! `GET /ws/{room}`: which handshakes are taken, and what the others are told.

use hubbub::config::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::PATIENCE;
use crate::support::raw::{Answer, ask, close_code, converse, handshake, hello, websocket};
use crate::support::server::Server;

/// The good handshake with a text replaced.
async fn changed(server: &Server, from: &str, to: &str) -> Answer {
    let good = handshake(server.address, "lipsticks", "Connection: close\r\n");
    assert!(good.contains(from), "{from}");
    ask(server.address, &good.replace(from, to)).await
}

#[tokio::test]
async fn a_handshake_that_is_not_rfc_6455_gets_its_status() {
    let server = Server::with(Options {
        compression: Some(true),
        ..Options::default()
    })
    .await;
    let version = "Sec-WebSocket-Version: 13\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (from, to, status, code) in [
        ("GET /ws", "POST /ws", 405, "method_not_allowed"),
        ("HTTP/1.1", "HTTP/1.0", 426, "upgrade_required"),
        ("Upgrade: websocket\r\n", "", 426, "upgrade_required"),
        (version, "Sec-WebSocket-Version: 8\r\n", 426, "bad_version"),
        (version, "", 426, "bad_version"),
        (key, "", 400, "bad_key"),
        (key, "Sec-WebSocket-Key:\r\n", 400, "bad_key"),
        (key, "Sec-WebSocket-Key: AAAA\r\n", 400, "bad_key"),
        (key, &key.repeat(2), 400, "bad_key"),
        (
            key,
            &format!("{key}Sec-WebSocket-Extensions: permessage-deflate;\r\n"),
            400,
            "bad_extensions",
        ),
    ] {
        let answer = changed(&server, from, to).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{to:?} for {from:?}"
        );
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
        let policy = answer.header("Content-Security-Policy");
        assert_eq!(policy, Some("default-src 'none'; frame-ancestors 'none'"));
    }
    let wrong_version = changed(&server, version, "Sec-WebSocket-Version: 8\r\n").await;
    assert_eq!(wrong_version.header("Sec-WebSocket-Version"), Some("13"));
    let post = changed(&server, "GET /ws", "POST /ws").await;
    assert_eq!(post.header("Allow"), Some("GET"));
}

#[tokio::test]
async fn a_good_handshake_is_answered_with_the_key_and_the_subprotocol() {
    let server = Server::start().await;
    let asked = "Sec-WebSocket-Protocol: other, hubbub.v1.msgpack\r\n";
    let (answer, _) = converse(server.address, &handshake(server.address, "lipsticks", asked)).await;
    assert_eq!(answer.status, 101);
    assert_eq!(
        answer.header("Sec-WebSocket-Accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(answer.header("Sec-WebSocket-Protocol"), Some("hubbub.v1.msgpack"));
    let (answer, _) = converse(server.address, &handshake(server.address, "lipsticks", "")).await;
    assert_eq!((answer.status, answer.header("Sec-WebSocket-Protocol")), (101, None));
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused_and_programs_are_not() {
    let server = Server::with(Options {
        allow_origin: Some(vec!["https://shop.example".to_owned()]),
        public_url: Some("https://live.example".to_owned()),
        trusted_proxy: Some(vec!["127.0.0.2".to_owned()]),
        ..Options::default()
    })
    .await;
    let address = server.address;
    let own = format!("http://{address}");
    let look_alike = format!("http://{address}.evil.example");
    let beside = format!("http://127.0.0.1:{}", address.port().wrapping_add(1));
    for (headers, status) in [
        (String::new(), 101),
        (format!("Origin: {own}\r\n"), 101),
        ("Origin: https://shop.example\r\n".to_owned(), 101),
        ("Origin: https://live.example\r\n".to_owned(), 101),
        ("Origin: http://live.example\r\n".to_owned(), 403),
        ("Origin: https://evil.example\r\n".to_owned(), 403),
        (format!("Origin: {look_alike}\r\n"), 403),
        (format!("Origin: {beside}\r\n"), 403),
        ("Origin: null\r\n".to_owned(), 403),
        ("Origin:\r\n".to_owned(), 403),
        (format!("Origin: {own}\r\nOrigin: https://evil.example\r\n"), 403),
        (
            "Origin: https://evil.example\r\nX-Forwarded-Host: evil.example\r\n".to_owned(),
            403,
        ),
    ] {
        let (answer, _) = converse(
            address,
            &handshake(address, "lipsticks", &format!("{headers}Connection: close\r\n")),
        )
        .await;
        assert_eq!(answer.status, status, "{headers}");
    }
}

#[tokio::test]
async fn what_a_page_must_explain_comes_after_the_upgrade() {
    let server = Server::start().await;
    for room in ["nosuchroom", "Not*A*Room", "%2e%2e", "x"] {
        let mut socket = websocket(server.address, room).await;
        socket.write_all(&hello()).await.expect("writes");
        assert_eq!(close_code(&mut socket).await, Some(4500), "{room}");
    }
}

#[tokio::test]
async fn a_hello_that_comes_glued_to_the_handshake_is_heard() {
    let server = Server::start().await;
    let mut bytes = handshake(server.address, "nosuchroom", "").into_bytes();
    bytes.extend(hello());
    let mut socket = TcpStream::connect(server.address).await.expect("connects");
    socket.write_all(&bytes).await.expect("writes");
    let mut answer = Vec::new();
    let ended = timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
    ended.expect("ends").expect("reads");
    let code = 4500_u16.to_be_bytes();
    assert!(
        answer.windows(2).any(|two| two == code),
        "{:?}",
        String::from_utf8_lossy(&answer)
    );
}

#[tokio::test]
async fn while_draining_no_socket_is_opened() {
    let server = Server::start().await;
    server.serving.app.begin_drain();
    let answer = ask(
        server.address,
        &handshake(server.address, "lipsticks", "Connection: close\r\n"),
    )
    .await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "restarting"));
    assert!(answer.header("Retry-After").is_some());
    let ready = server.plain("/readyz").await;
    assert_eq!((ready.status, ready.text().as_str()), (503, "draining\n"));
    assert_eq!(server.plain("/healthz").await.status, 200);
}

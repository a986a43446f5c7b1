//! What every answer carries, and that nothing of a request's head gets into it.

use hubbub::config::Options;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::raw::{self, Answer, get};
use crate::support::server::Server;

#[track_caller]
fn is_safe(answer: &Answer, what: &str) {
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"), "{what}");
    assert!(answer.header("Referrer-Policy").is_some(), "{what}");
    assert!(answer.header("Cache-Control").is_some(), "{what}");
    let policy = answer.header("Content-Security-Policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'"), "{what}: {policy}");
    assert!(policy.contains("frame-ancestors"), "{what}: {policy}");
    for lax in ["unsafe", "*", "http:", "https:", "strict-dynamic"] {
        assert!(
            !policy
                .split_whitespace()
                .any(|source| source.contains(lax) && !source.contains("//")),
            "{what}: {policy}"
        );
    }
    if answer
        .header("Content-Type")
        .is_some_and(|kind| kind.starts_with("text/html"))
    {
        assert!(
            policy.contains("script-src 'self'; style-src 'self';"),
            "{what}: {policy}"
        );
        assert!(
            policy.contains("base-uri 'none'; form-action 'self'"),
            "{what}: {policy}"
        );
        let text = answer.text();
        assert!(
            !text.contains(" style=") && !text.contains(" onclick=") && !text.contains(" onload="),
            "{what}"
        );
        let scripts = text.matches("<script").count();
        assert_eq!(
            scripts,
            text.matches("></script>").count(),
            "{what}: no script stands in the page"
        );
    }
}

#[tokio::test]
async fn every_page_and_every_answer_of_the_api_carries_the_safe_headers() {
    let server = Server::start().await;
    let host = server.live_room("lipsticks").await;
    for path in [
        "/",
        "/r/lipsticks",
        "/r/nosuchroom",
        "/r/..%2f",
        "/c/lipsticks",
        "/c/nosuchroom",
        "/nothing",
        "/r/lipsticks/event.ics",
        "/covers/none.jpg",
        "/static/js/viewer.js",
        "/static/css/base.css",
        "/static/none",
        "/favicon.ico",
        "/healthz",
        "/readyz",
        "/metrics",
        "/api",
        "/api/v1/nothing",
        "/api/v1/openapi.json",
    ] {
        is_safe(&server.plain(path).await, path);
    }
    let document = server.get("/openapi.json", "").await.is(200);
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("operations").keys() {
            let path = path.replace("{room}", "lipsticks").replace(['{', '}'], "");
            for token in ["", &host] {
                let head = format!(
                    "{} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 0\r\n",
                    method.to_uppercase(),
                    server.address
                );
                let credentials = match token {
                    "" => String::new(),
                    token => format!("Authorization: Bearer {token}\r\n"),
                };
                let answer = raw::ask(server.address, &format!("{head}{credentials}\r\n")).await;
                is_safe(&answer, &format!("{method} {path}"));
                let kept = answer.header("Cache-Control");
                let shown_to_all = path.ends_with("/qr.svg") || path.ends_with("/openapi.json");
                assert!(kept == Some("no-store") || shown_to_all, "{method} {path}: {kept:?}");
            }
        }
    }
}

#[tokio::test]
async fn only_the_viewer_page_is_framed_and_only_by_whom_the_owner_lists() {
    let server = Server::with(Options {
        frame_ancestor: Some(vec!["https://shop.example".to_owned()]),
        ..Options::default()
    })
    .await;
    server.live_room("lipsticks").await;
    for (path, ancestors) in [
        ("/r/lipsticks", "'self' https://shop.example"),
        ("/c/lipsticks", "'none'"),
        ("/", "'none'"),
        ("/nothing", "'none'"),
        ("/api/v1/rooms", "'none'"),
    ] {
        let answer = server.plain(path).await;
        let policy = answer.header("Content-Security-Policy").expect("a policy");
        let (_, framed) = policy.split_once("frame-ancestors ").expect("it is said");
        assert_eq!(framed, ancestors, "{path}");
    }
}

#[tokio::test]
async fn a_host_that_is_none_gets_into_no_policy_link_or_card() {
    let server = Server::start().await;
    server.live_room("lipsticks").await;
    for host in [
        "evil.example; script-src 'unsafe-inline'",
        "evil.example 'unsafe-inline'",
        "evil.example\"><script>alert(1)</script>",
        "user@evil.example",
        "evil.example/path",
        "evil.example,other.example",
        "evil.example:99999",
        "*",
    ] {
        for path in ["/r/lipsticks", "/api/v1/rooms/lipsticks/share"] {
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: {host}\r\nConnection: close\r\n\r\n");
            let answer = raw::ask(server.address, &request).await;
            let policy = answer.header("Content-Security-Policy").unwrap_or_default().to_owned();
            for hostile in ["unsafe-inline", "evil.example", "*"] {
                assert!(!policy.contains(hostile), "{host}: {policy}");
                assert!(
                    !answer.text().contains(&format!("//{hostile}")),
                    "{host}: {}",
                    answer.text()
                );
            }
        }
    }
}

/// Sends a head with these bytes among its lines; the status, if there is an answer.
async fn status_of(server: &Server, line: &[u8]) -> Option<u16> {
    let mut socket = TcpStream::connect(server.address).await.expect("connects");
    let mut request = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n".to_vec();
    request.extend_from_slice(line);
    request.extend_from_slice(b"\r\n\r\n");
    socket.write_all(&request).await.expect("writes");
    Some(raw::read(&mut socket).await.status)
}

#[tokio::test]
async fn a_header_with_a_line_break_or_control_character_in_it_is_refused() {
    let server = Server::start().await;
    for line in [
        &b"X-Name: a\rb"[..],
        b"X-Name: a\r\r\nX-Other: b",
        b"X-Name: a\0b",
        b"X-Name: a\r\n b",
        b"X-Name : a",
        b"X\rName: a",
        b"X-Name: a\x01b",
        b": a",
        b"no colon",
    ] {
        assert_eq!(status_of(&server, line).await, Some(400), "{}", line.escape_ascii());
    }
    assert_eq!(status_of(&server, b"X-Name: a b").await, Some(200));
}

#[tokio::test]
async fn what_a_stranger_says_about_where_they_come_from_is_ignored() {
    let server = Server::start().await;
    server.live_room("lipsticks").await;
    let forwarded = "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\n\
                     Forwarded: for=203.0.113.7;host=evil.example\r\nX-Real-IP: 203.0.113.7\r\n";
    let share = get(server.address, "/api/v1/rooms/lipsticks/share", forwarded).await;
    assert_eq!(share.status, 200);
    assert!(
        !share.text().contains("evil.example") && !share.text().contains("https://"),
        "{}",
        share.text()
    );
}

//! Pages, their headers, health and metrics.

use hubbub::config::Options;

use crate::support::raw::{Answer, get};
use crate::support::server::Server;

fn has_safe_headers(answer: &Answer) {
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"), "{answer:?}");
    assert!(answer.header("Referrer-Policy").is_some(), "{answer:?}");
    let policy = answer.header("Content-Security-Policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
}

#[tokio::test]
async fn whatever_has_no_address_is_a_page_for_people_and_json_for_programs() {
    let server = Server::start().await;
    let page = server.plain("/nothing").await;
    assert_eq!(page.status, 404);
    assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
    has_safe_headers(&page);
    let json = server.plain("/api/nothing").await;
    assert_eq!((json.status, json.code().as_str()), (404, "not_found"));
    has_safe_headers(&json);
}

#[tokio::test]
async fn a_page_may_connect_to_its_own_host_and_nowhere_else() {
    let server = Server::start().await;
    let page = server.plain("/nothing").await;
    let policy = page.header("Content-Security-Policy").expect("a policy").to_owned();
    let own = format!("connect-src 'self' ws://{};", server.address);
    assert!(policy.contains(&own), "{policy}");
    assert!(
        policy.contains("script-src 'self';") && policy.contains("media-src 'self' blob:;"),
        "{policy}"
    );
}

#[tokio::test]
async fn a_page_speaks_the_browsers_language() {
    let server = Server::start().await;
    let page = get(
        server.address,
        "/nothing",
        "Accept-Language: zh-CN,zh;q=0.9,en;q=0.8\r\n",
    )
    .await;
    assert!(page.text().contains("<html lang=\"zh\""), "{}", page.text());
    assert_eq!(page.header("Content-Language"), Some("zh"));
    assert!(server.plain("/nothing").await.text().contains("<html lang=\"en\""));
}

#[tokio::test]
async fn a_file_is_sent_once_and_then_only_confirmed() {
    let server = Server::start().await;
    let path = "/static/favicon.svg";
    let file = server.plain(path).await;
    assert_eq!(file.status, 200);
    assert_eq!(file.header("Content-Type"), Some("image/svg+xml; charset=utf-8"));
    has_safe_headers(&file);
    let tag = file.header("ETag").expect("an etag");
    let again = get(server.address, path, &format!("If-None-Match: {tag}\r\n")).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(server.plain("/favicon.ico").await.body, file.body);
}

#[tokio::test]
async fn no_path_leads_out_of_the_files() {
    let server = Server::start().await;
    for path in [
        "/static/../Cargo.toml",
        "/static/%2e%2e/Cargo.toml",
        "/static/..%2fCargo.toml",
        "/static//etc/passwd",
        "/static/%00",
        "/static/favicon.svg%00.html",
        "/static/",
        "/static/viewer.html",
        "/c/%2e%2e",
        "/c/%00",
        "/c/..%2fsecret",
    ] {
        let answer = server.plain(path).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn the_process_lives_serves_and_counts() {
    let server = Server::start().await;
    assert_eq!(server.plain("/healthz").await.text(), "ok\n");
    assert_eq!(server.plain("/readyz").await.text(), "ready\n");
    let metrics = server.plain("/metrics").await;
    assert!(
        metrics
            .header("Content-Type")
            .is_some_and(|kind| kind.starts_with("text/plain"))
    );
    let text = metrics.text();
    for name in [
        "hubbub_build_info{",
        "hubbub_connections ",
        "hubbub_rooms_loaded ",
        "hubbub_batch_events_bucket",
        "hubbub_journal_commit_seconds_bucket",
        "hubbub_decided_to_durable_seconds_bucket",
        "hubbub_decided_to_written_seconds_bucket",
        "hubbub_bytes_out_total",
        "hubbub_skips_total",
        "hubbub_mailbox_commands_bucket",
        "hubbub_http_requests_total{status=\"200\"} 2",
        "hubbub_clock_ahead_ms",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(text.contains(name), "{name} is not in\n{text}");
    }
}

#[tokio::test]
async fn metrics_with_an_address_of_their_own_are_nowhere_else() {
    let server = Server::with(Options {
        metrics_listen: Some(([127, 0, 0, 1], 0).into()),
        ..Options::default()
    })
    .await;
    assert_eq!(server.plain("/metrics").await.status, 404);
    let own = server.serving.metrics_address.expect("an address");
    assert_eq!(get(own, "/metrics", "").await.status, 200);
    assert_eq!(get(own, "/", "").await.status, 404);
}

#[tokio::test]
async fn the_data_folder_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start().await;
    let data = server.folder.path().join("data");
    let mode = |path: &std::path::Path| path.metadata().expect("is there").permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for file in std::fs::read_dir(&data).expect("reads") {
        let path = file.expect("a file").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

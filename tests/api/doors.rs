//! Bad input on the API's doors: each gets its typed error, and the server goes on.

use reqwest::Method;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::json;

use crate::support::rest::Told;
use crate::support::server::Server;

async fn patch(server: &Server, body: &str) -> Told {
    let request = server.request(Method::PATCH, "/rooms/lipsticks", &server.operator);
    server
        .send(request.header(CONTENT_TYPE, "application/json").body(body.to_owned()))
        .await
}

#[tokio::test]
async fn a_body_that_is_not_as_it_must_be_is_refused_with_its_code() {
    let server = Server::start().await;
    server.room("lipsticks").await;
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let cases = [
        ("{", "bad_json"),
        ("{} {}", "bad_json"),
        ("{\"title\":\"a\",\"title\":\"b\"}", "bad_json"),
        ("{\"title\":\"\\ud800\"}", "bad_json"),
        ("{\"scheduled_at\":1e999}", "bad_field"),
        ("{\"scheduled_at\":NaN}", "bad_json"),
        (&deep, "bad_json"),
        ("\u{feff}{}", "bad_json"),
        ("[]", "bad_field"),
        ("\"title\"", "bad_field"),
        ("{\"colour\":\"red\"}", "bad_field"),
        ("{\"title\":7}", "bad_field"),
        ("{\"scheduled_at\":1.5}", "bad_field"),
        ("{\"scheduled_at\":-1}", "bad_field"),
        ("{\"scheduled_at\":18446744073709551616}", "bad_field"),
        ("{\"title\":\"\"}", "bad_field"),
        ("{\"title\":\" \\u200b \"}", "bad_field"),
        ("{\"tags\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\"]}", "bad_field"),
        ("{\"source\":{\"hls\":{\"url\":\"javascript:alert(1)\"}}}", "bad_field"),
        (
            "{\"cover\":{\"file\":\"../secret\",\"width\":1,\"height\":1}}",
            "bad_field",
        ),
        (
            "{\"links\":[{\"label\":\"x\",\"url\":\"data:text/html,x\"}]}",
            "bad_field",
        ),
    ];
    for (body, code) in cases {
        let told = patch(&server, body).await;
        let found = String::from_utf8_lossy(&told.body).into_owned();
        assert!(
            told.status == 400 && found.contains(&format!("\"{code}\"")),
            "{body}: {found}"
        );
    }
    let bytes = server.request(Method::PATCH, "/rooms/lipsticks", &server.operator);
    let bytes = bytes
        .header(CONTENT_TYPE, "application/json")
        .body(vec![b'"', 0xff, b'"']);
    server.send(bytes).await.refused(400, "bad_json");
    patch(&server, "{\"title\":\"Good\"}").await.is(200);
}

#[tokio::test]
async fn a_body_too_large_packed_or_of_another_kind_is_not_read() {
    let server = Server::start().await;
    server.room("lipsticks").await;
    patch(&server, &format!("{{\"title\":\"{}\"}}", "a".repeat(1 << 20)))
        .await
        .refused(413, "too_large");
    let request = || server.request(Method::PATCH, "/rooms/lipsticks", &server.operator);
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "",
    ] {
        let told = server
            .send(request().header(CONTENT_TYPE, kind).body("{\"title\":\"a\"}"))
            .await;
        told.refused(415, "unsupported_media_type");
    }
    server
        .send(request().body("{\"title\":\"a\"}"))
        .await
        .refused(415, "unsupported_media_type");
    for encoding in ["gzip", "deflate", "br", "zstd", "identity"] {
        let packed = request()
            .header(CONTENT_ENCODING, encoding)
            .json(&json!({"title": "a"}));
        server.send(packed).await.refused(415, "unsupported_media_type");
    }
    let typed = request()
        .header(CONTENT_TYPE, "Application/JSON; charset=utf-8")
        .body("{\"title\":\"Good\"}");
    server.send(typed).await.is(200);
}

#[tokio::test]
async fn a_name_that_is_none_is_refused() {
    let server = Server::start().await;
    server.room("lipsticks").await;
    let long = "a".repeat(300);
    for id in [
        "a.b", "A", "a*b", "a%20b", "a%3Eb", "a%00b", "a%2fb", "%ff", "-a-", &long, "ab",
    ] {
        server.get(&format!("/rooms/{id}"), "").await.refused(400, "bad_field");
    }
    for id in [
        "a/b",
        "a.b",
        "a*b",
        "a>b",
        "a b",
        " abc",
        "a\0b",
        "",
        " ",
        "../abc",
        "a%2fb",
        "Abc",
        "红色红色",
        &long,
    ] {
        let room = json!({"id": id, "details": {"title": "A", "host": "Ann"}});
        let made = server.post("/rooms", &server.operator, room).await;
        made.refused(400, "bad_field");
    }
    for id in ["a.b", "a%20b", "..%2f", "a%00", &long] {
        let path = format!("/rooms/lipsticks/draws/{id}/open");
        server
            .post(&path, &server.operator, json!({}))
            .await
            .refused(400, "bad_field");
    }
    for comment in ["-1", "1.5", "x", "18446744073709551616"] {
        let path = format!("/rooms/lipsticks/comments/{comment}");
        server.delete(&path, &server.operator).await.refused(400, "bad_field");
    }
    server
        .get("/rooms/nosuchroom/state", "")
        .await
        .refused(404, "unknown_room");
}

#[tokio::test]
async fn secrets_of_a_room_stand_in_nothing_that_the_public_reads() {
    let server = Server::start().await;
    let host = server.live_room("lipsticks").await;
    let terms = json!({"title": "Ten", "off": {"percent": 10}, "quota": 5, "closes": "with_show"});
    let discount = json!({"terms": terms, "codes": {"shared": {"code": "CANARY-CODE"}}});
    server
        .put("/rooms/lipsticks/discounts/ten", &host, discount)
        .await
        .is(200);
    server
        .post("/rooms/lipsticks/discounts/ten/open", &host, json!({}))
        .await
        .is(200);
    let rules = json!({"prize": "Lipstick", "winners": 1, "open_ms": 60_000, "eligibility": {"present": {}}});
    server.put("/rooms/lipsticks/draws/first", &host, rules).await.is(200);
    server
        .post("/rooms/lipsticks/draws/first/open", &host, json!({}))
        .await
        .is(200);
    let paths = [
        "",
        "/state",
        "/draws",
        "/discounts",
        "/share",
        "/draws/first/transcript",
    ];
    for path in paths {
        for token in ["", &host] {
            let body = server.get(&format!("/rooms/lipsticks{path}"), token).await.text(200);
            assert!(!body.contains("CANARY"), "{path}: {body}");
            assert!(!body.contains("\"seed\""), "{path}: {body}");
        }
    }
}

//! Guessing codes: a hundred thousand guesses from a hundred addresses, asked of the routes themselves.

use std::collections::BTreeMap;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use hubbub::config::Options;
use hubbub::http::places::Visit;
use hubbub::http::router::router;
use hubbub::room::ViewerId;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::client::Client;
use crate::support::server::Server;

const GUESSES: u32 = 100_000;
const ADDRESSES: u32 = 100;

/// Where codes are exchanged, and what a wrong one is told.
const DOORS: [(&str, &str); 3] = [
    ("/api/v1/handover", "unknown_code"),
    ("/api/v1/sign-in", "bad_token"),
    ("/api/v1/rooms/show/invitations/accept", "unknown_invitation"),
];

#[tokio::test]
async fn a_hundred_thousand_guesses_from_a_hundred_addresses_open_nothing() {
    let server = Server::with(Options {
        trusted_proxy: Some(vec!["127.0.0.1".to_owned()]),
        ..Options::default()
    })
    .await;
    server.live_room("show").await;
    let app = &server.serving.app;
    // Something to be guessed is open behind each door.
    for viewer in 0..50 {
        let token = app.auth.viewer_token(ViewerId(viewer), app.clock.now());
        server.post("/rooms/show/handover", &token, json!({})).await.is(201);
    }
    let invite = json!({"role": "host", "name": "Hoa"});
    server
        .post("/rooms/show/invitations", &server.operator, invite)
        .await
        .is(201);

    let routes = router(app.clone());
    let visit = Visit::uncounted(([127, 0, 0, 1], 9).into());
    let mut told = BTreeMap::<(usize, String), u32>::new();
    let mut seed = 0x9e37_79b9_u64;
    for guess in 0..GUESSES {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let door = (guess / ADDRESSES) as usize % DOORS.len();
        let code = match door {
            0 => format!("{:08}", (seed >> 33) % 100_000_000),
            _ => format!("{seed:020}"),
        };
        let request = Request::builder()
            .method(Method::POST)
            .uri(DOORS[door].0)
            .header("content-type", "application/json")
            .header("x-forwarded-for", format!("203.0.113.{}", guess % ADDRESSES))
            .extension(visit.clone())
            .body(Body::from(json!({ "code": code }).to_string()))
            .unwrap();
        let answer = routes.clone().oneshot(request).await.unwrap();
        assert!(!answer.status().is_success(), "a guess was right");
        let code = match answer.status() {
            StatusCode::TOO_MANY_REQUESTS => "rate_limited".to_owned(),
            _ => {
                let body = to_bytes(answer.into_body(), 1_000).await.unwrap();
                let body: Value = serde_json::from_slice(&body).unwrap();
                body["error"]["code"].as_str().unwrap().to_owned()
            }
        };
        *told.entry((door, code)).or_default() += 1;
    }
    let limited: u32 = told
        .iter()
        .filter(|((_, code), _)| code == "rate_limited")
        .map(|(_, count)| count)
        .sum();
    for ((door, code), count) in &told {
        assert!(
            code == "rate_limited" || code == DOORS[*door].1,
            "{door} {code} {count}"
        );
    }
    // Each address has 20 in ten minutes, over all doors.
    assert!(limited >= GUESSES - 20 * ADDRESSES, "{told:?}");
}

#[tokio::test]
async fn only_a_store_learns_whether_a_code_was_used() {
    let server = Server::start().await;
    let host = server.live_room("show").await;
    let terms = json!({"title": "t", "off": {"percent": 10}, "quota": 2, "closes": "with_show", "who": "anyone"});
    let offer = json!({"terms": terms, "codes": {"shared": {"code": "KNOWN-CODE"}}});
    server.put("/rooms/show/discounts/d", &host, offer).await.is(200);
    server
        .post("/rooms/show/discounts/d/open", &host, json!({}))
        .await
        .is(200);
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    ann.ask("claim", json!({"discount": "d", "unit": 1})).await.unwrap();
    let app = &server.serving.app;
    let viewer = app.auth.viewer_token(ViewerId(7), app.clock.now());
    let store = server
        .post("/rooms/show/stores", &host, json!({"name": "Shop"}))
        .await
        .is(201);
    let store = store["token"].as_str().unwrap();
    for (path, body) in [
        ("/rooms/show/check", json!({})),
        ("/rooms/show/redeem", json!({"order": "1"})),
    ] {
        for (token, status) in [("", Some(401)), (&viewer, Some(403)), (store, None)] {
            let mut answers = Vec::new();
            for code in ["KNOWN-CODE", "OTHER-CODE"] {
                let mut body = body.clone();
                body["code"] = json!(code);
                let told = server.post(path, token, body).await;
                answers.push((told.status, String::from_utf8_lossy(&told.body).into_owned()));
            }
            match status {
                Some(status) => assert_eq!((answers[0].0.as_u16(), &answers[0]), (status, &answers[1]), "{path}"),
                None => assert_ne!(answers[0], answers[1], "{path}"),
            }
        }
    }
}

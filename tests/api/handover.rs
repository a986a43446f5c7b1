//! Keep on another device.

use hubbub::config::Options;
use hubbub::room::ViewerId;
use serde_json::json;

use crate::support::server::Server;

#[tokio::test]
async fn a_code_carries_the_same_viewer_over_once() {
    let server = Server::start().await;
    let host = server.room("lipsticks").await;
    let app = &server.serving.app;
    let ann = app.auth.viewer_token(ViewerId(7), app.clock.now());
    let make = "/rooms/lipsticks/handover";
    let made = server.post(make, &ann, json!({})).await.is(201);
    let code = made["code"].as_str().unwrap();
    let link = made["link"].as_str().unwrap();
    assert_eq!(link, server.url(&format!("/r/lipsticks#keep={code}")));

    let exchanged = server.post("/handover", "", json!({ "code": code })).await.is(200);
    let me = server.get("/me", exchanged["token"].as_str().unwrap()).await.is(200);
    assert_eq!(me["viewer"]["id"], ViewerId(7).to_string());
    server
        .post("/handover", "", json!({ "code": code }))
        .await
        .refused(404, "unknown_code");

    server.post(make, "", json!({})).await.refused(401, "bad_token");
    for staff in [&host, &server.operator] {
        server.post(make, staff, json!({})).await.refused(403, "not_allowed");
    }
}

#[tokio::test]
async fn an_address_that_guesses_codes_is_stopped_and_then_all_are() {
    let options = Options {
        trusted_proxy: Some(vec!["127.0.0.1".to_owned()]),
        ..Options::default()
    };
    let server = Server::with(options).await;
    let guess = async |address: u32| {
        let request = server.request(reqwest::Method::POST, "/handover", "");
        let from = format!("203.0.113.{address}");
        let request = request
            .header("X-Forwarded-For", from)
            .json(&json!({"code": "00000000"}));
        server.send(request).await
    };
    for _ in 0..20 {
        guess(1).await.refused(404, "unknown_code");
    }
    guess(1).await.refused(429, "rate_limited");
    for address in 2..42 {
        guess(address).await.refused(404, "unknown_code");
    }
    guess(99).await.refused(429, "rate_limited");
}

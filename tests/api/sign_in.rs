//! Signing in, and devices.

use hubbub::auth::TOKEN_BYTES_MAX;
use hubbub::room::ViewerId;
use reqwest::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::json;

use crate::support::client::{Client, Over};
use crate::support::server::Server;

fn code(server: &Server) -> String {
    let app = &server.serving.app;
    app.auth.sign_in_code(app.clock.now()).token
}

#[tokio::test]
async fn a_sign_in_code_makes_one_device_an_operators_also_across_a_restart() {
    let server = Server::start().await;
    let code = code(&server);
    let signed_in = server.post("/sign-in", "", json!({"code": code})).await.is(200);
    let token = signed_in["token"].as_str().unwrap();
    let me = server.get("/me", token).await.is(200);
    assert_eq!(me["operator"]["person"], signed_in["person"]);

    server
        .post("/sign-in", "", json!({"code": code}))
        .await
        .refused(401, "bad_token");
    let server = server.restart().await;
    server
        .post("/sign-in", "", json!({"code": code}))
        .await
        .refused(401, "bad_token");
    server.get("/me", token).await.is(200);
}

#[tokio::test]
async fn a_device_that_was_revoked_is_nobody_also_across_a_restart() {
    let server = Server::start().await;
    let signed_in = server
        .post("/sign-in", "", json!({"code": code(&server)}))
        .await
        .is(200);
    let (token, person) = (
        signed_in["token"].as_str().unwrap(),
        signed_in["person"].as_str().unwrap(),
    );
    let devices = server.get("/devices", token).await.is(200);
    assert_eq!(devices["devices"][0]["own"], true);

    let revoked = server.delete(&format!("/devices/{person}"), &server.operator).await;
    assert_eq!(revoked.status, 204);
    server.get("/devices", token).await.refused(401, "bad_token");
    let server = server.restart().await;
    server.get("/devices", token).await.refused(401, "bad_token");
    let devices = server.get("/devices", &server.operator).await.is(200);
    assert_eq!(devices["devices"][0]["revoked"], true);
}

#[tokio::test]
async fn a_revoked_operators_open_socket_is_closed() {
    let server = Server::start().await;
    server.room("lipsticks").await;
    let signed_in = server
        .post("/sign-in", "", json!({"code": code(&server)}))
        .await
        .is(200);
    let person = signed_in["person"].as_str().unwrap();
    let hello = json!({"token": signed_in["token"], "feed": "backstage"});
    let operator = Client::join(server.address, "lipsticks", hello).await;
    server
        .delete(&format!("/devices/{person}"), &server.operator)
        .await
        .is(204);
    assert_eq!(operator.expect("let in").over().await, Over::Closed(4503));
}

#[tokio::test]
async fn every_bad_token_gets_the_same_answer() {
    let server = Server::start().await;
    let app = &server.serving.app;
    let good = &server.operator;
    let used = code(&server);
    server.post("/sign-in", "", json!({"code": used})).await.is(200);
    let long = "a".repeat(TOKEN_BYTES_MAX + 1);
    let cut = &good[..good.len() - 1];
    let mut answers = vec![server.get("/devices", "").await];
    for bad in ["nonsense", "a.b.c", &used, &long, cut] {
        answers.push(server.get("/devices", bad).await);
        answers.push(server.get("/rooms", bad).await);
        answers.push(server.post("/sign-in", "", json!({"code": bad})).await);
    }
    // Good tokens, but no codes to sign in with.
    for other in [good, &app.auth.viewer_token(ViewerId(7), app.clock.now())] {
        answers.push(server.post("/sign-in", "", json!({"code": other})).await);
    }
    let basic = server
        .request(reqwest::Method::GET, "/devices", "")
        .basic_auth("ann", Some(good));
    answers.push(server.send(basic).await);
    let twice = server.request(reqwest::Method::GET, "/devices", good).bearer_auth(good);
    answers.push(server.send(twice).await);
    let first = String::from_utf8(answers[0].body.clone()).unwrap();
    for told in answers {
        assert_eq!(told.header(WWW_AUTHENTICATE), "Bearer");
        assert_eq!(told.text(401), first);
    }
    let viewer = app.auth.viewer_token(ViewerId(7), app.clock.now());
    server.get("/devices", &viewer).await.refused(403, "not_allowed");
    server.delete("/devices/xyz", good).await.refused(400, "bad_field");
}

#[tokio::test]
async fn who_guesses_codes_must_wait() {
    let server = Server::start().await;
    server.room("lipsticks").await;
    for _ in 0..10 {
        server
            .post("/sign-in", "", json!({"code": "guess"}))
            .await
            .refused(401, "bad_token");
        let told = server
            .post("/rooms/lipsticks/invitations/accept", "", json!({"code": "guess"}))
            .await;
        told.refused(404, "unknown_invitation");
    }
    let good = code(&server);
    let told = server.post("/sign-in", "", json!({"code": good})).await;
    let seconds: u64 = told.header(RETRY_AFTER).parse().unwrap();
    assert!((1..=600).contains(&seconds));
    told.refused(429, "rate_limited");
    let told = server
        .post("/rooms/lipsticks/invitations/accept", "", json!({"code": good}))
        .await;
    told.refused(429, "rate_limited");
    server.get("/me", &server.operator).await.is(200);
}

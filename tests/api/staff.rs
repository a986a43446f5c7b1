//! Staff and invitations.

use serde_json::{Value, json};

use crate::support::server::Server;

async fn invite(server: &Server, id: &str, name: &str) -> String {
    let invite = json!({"id": id, "role": {"assistant": "comments"}, "name": name});
    let invited = server
        .post("/rooms/lipsticks/invitations", &server.operator, invite)
        .await
        .is(201);
    assert!(invited["qr"].as_str().unwrap().starts_with("<svg"));
    let link = invited["link"].as_str().unwrap();
    let (page, code) = link.split_once("#invite=").unwrap();
    assert_eq!(page, server.url("/c/lipsticks"));
    code.to_owned()
}

async fn accept(server: &Server, code: &str) -> crate::support::rest::Told {
    server
        .post("/rooms/lipsticks/invitations/accept", "", json!({"code": code}))
        .await
}

#[tokio::test]
async fn an_invitation_is_taken_up_once() {
    let server = Server::start().await;
    server.room("lipsticks").await;
    let code = invite(&server, "bob", "Bob").await;
    let joined = accept(&server, &code).await.is(200);
    accept(&server, &code).await.refused(404, "unknown_invitation");
    let me = server.get("/me", joined["token"].as_str().unwrap()).await.is(200);
    assert_eq!(me["staff"]["room"], "lipsticks");
    let staff = server.get("/rooms/lipsticks/staff", &server.operator).await.is(200);
    let bob = staff["members"]
        .as_array()
        .unwrap()
        .iter()
        .find(|member| member["name"] == "Bob")
        .unwrap();
    assert_eq!(
        (&bob["role"], &bob["person"]),
        (&json!({"assistant": "comments"}), &joined["person"])
    );
    assert!(!staff.to_string().contains(&code), "codes are shown once");
}

#[tokio::test]
async fn an_invitation_can_be_renewed_and_taken_back() {
    let server = Server::start().await;
    server.room("lipsticks").await;
    let first = invite(&server, "bob", "Bob").await;
    let renewed = invite(&server, "bob", "Bob").await;
    accept(&server, &first).await.refused(404, "unknown_invitation");
    server
        .delete("/rooms/lipsticks/invitations/bob", &server.operator)
        .await
        .is(200);
    accept(&server, &renewed).await.refused(404, "unknown_invitation");
}

#[tokio::test]
async fn a_role_that_is_taken_away_is_gone_with_the_next_request() {
    let server = Server::start().await;
    server.live_room("lipsticks").await;
    let joined = accept(&server, &invite(&server, "bob", "Bob").await).await.is(200);
    let (token, person) = (joined["token"].as_str().unwrap(), joined["person"].as_str().unwrap());
    server.get("/rooms/lipsticks/comments", token).await.is(200);
    server
        .delete(&format!("/rooms/lipsticks/staff/{person}"), &server.operator)
        .await
        .is(200);
    server
        .get("/rooms/lipsticks/comments", token)
        .await
        .refused(403, "not_allowed");
    server
        .patch("/rooms/lipsticks/modes", token, json!({"comments_off": true}))
        .await
        .refused(403, "not_allowed");
    let state = server.get("/rooms/lipsticks/state", token).await.is(200);
    assert_eq!(state["state"].get("goals"), None, "they are the public now");
}

#[tokio::test]
async fn a_token_of_one_room_opens_no_other() {
    let server = Server::start().await;
    server.room("lipsticks").await;
    let other = server.room("mascara").await;
    for path in ["/rooms/lipsticks/comments", "/rooms/lipsticks/staff"] {
        server.get(path, &other).await.refused(403, "not_allowed");
    }
    server
        .post("/rooms/lipsticks/start", &other, Value::Null)
        .await
        .refused(403, "not_allowed");
    let public = server.get("/rooms/lipsticks", &other).await.is(200);
    assert_eq!(public.get("goals"), None);
}

#[tokio::test]
async fn assistants_do_not_choose_the_staff() {
    let server = Server::start().await;
    server.room("lipsticks").await;
    let assistant = server.join("lipsticks", json!({"assistant": "all"}), "Bob").await;
    server
        .get("/rooms/lipsticks/staff", &assistant)
        .await
        .refused(403, "not_allowed");
    let invite = json!({"role": "host", "name": "Eve"});
    server
        .post("/rooms/lipsticks/invitations", &assistant, invite)
        .await
        .refused(403, "not_allowed");
    server
        .post("/rooms/lipsticks/stores", &assistant, json!({"name": "Shop"}))
        .await
        .refused(403, "not_allowed");
    server
        .patch("/rooms/lipsticks", &assistant, json!({"title": "Mine"}))
        .await
        .refused(403, "not_allowed");
}

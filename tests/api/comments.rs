//! Comments and their moderation.

use hubbub::room::comment::Post;
use hubbub::room::{Answer, Command};
use serde_json::json;

use crate::support::server::Server;

async fn comment(server: &Server, viewer: u128, text: &str) -> u64 {
    let post = Post {
        nonce: text.replace(' ', "-"),
        text: text.to_owned(),
    };
    match server
        .viewer_does("lipsticks", viewer, Command::Comment(post))
        .await
        .unwrap()
    {
        Answer::Comment { comment, .. } => comment,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_moderator_deletes_takes_back_pins_and_mutes() {
    let server = Server::start().await;
    server.live_room("lipsticks").await;
    let token = server.join("lipsticks", json!({"assistant": "comments"}), "Bob").await;
    let moderator = token.as_str();
    let listed = async || {
        let list = server.get("/rooms/lipsticks/comments", moderator).await.is(200);
        let texts = list["on_stage"]
            .as_array()
            .unwrap()
            .iter()
            .map(|shown| shown["text"].clone());
        texts.collect::<Vec<_>>()
    };
    let first = comment(&server, 1, "hello").await;
    comment(&server, 1, "again").await;
    server
        .post(
            "/rooms/lipsticks/comments",
            moderator,
            json!({"nonce": "a", "text": "Welcome"}),
        )
        .await
        .is(200);
    assert_eq!(listed().await, ["hello", "again", "Welcome"]);

    let deleted = server
        .delete(&format!("/rooms/lipsticks/comments/{first}"), moderator)
        .await
        .is(200);
    assert_eq!(listed().await, ["again", "Welcome"]);
    let deletion = &deleted["answer"]["deleted"]["deletion"];
    server
        .post(
            &format!("/rooms/lipsticks/deletions/{deletion}/undo"),
            moderator,
            json!({}),
        )
        .await
        .is(200);
    assert_eq!(listed().await, ["hello", "again", "Welcome"]);
    server
        .delete("/rooms/lipsticks/viewers/1/comments", moderator)
        .await
        .is(200);
    assert_eq!(listed().await, ["Welcome"]);

    let second = comment(&server, 2, "pin me").await;
    server
        .put("/rooms/lipsticks/pin", moderator, json!({"comment": second}))
        .await
        .is(200);
    server.delete("/rooms/lipsticks/pin", moderator).await.is(200);
    server
        .put("/rooms/lipsticks/viewers/1/mute", moderator, json!({"for_ms": 60_000}))
        .await
        .is(200);
    let list = server.get("/rooms/lipsticks/comments", moderator).await.is(200);
    assert_eq!(list["muted"][0]["viewer"], 1);
    server
        .delete("/rooms/lipsticks/viewers/1/mute", moderator)
        .await
        .is(200);
    server
        .delete("/rooms/lipsticks/comments/9999", moderator)
        .await
        .refused(404, "unknown_comment");
    server
        .delete("/rooms/lipsticks/viewers/9999/comments", moderator)
        .await
        .refused(404, "unknown_viewer");
}

#[tokio::test]
async fn modes_and_blocked_words_are_set_by_those_who_moderate() {
    let server = Server::start().await;
    let host = server.live_room("lipsticks").await;
    server
        .patch("/rooms/lipsticks/modes", &host, json!({"slow_ms": 5_000}))
        .await
        .is(200);
    server
        .put("/rooms/lipsticks/blocked-words", &host, json!({"words": ["spam"]}))
        .await
        .is(200);
    let list = server.get("/rooms/lipsticks/comments", &host).await.is(200);
    assert_eq!(
        (&list["modes"]["slow_ms"], &list["blocked_words"]),
        (&json!(5_000), &json!(["spam"]))
    );
    server
        .patch("/rooms/lipsticks/modes", &host, json!({"slow_ms": 5}))
        .await
        .refused(400, "bad_field");

    let seller = server.join("lipsticks", json!({"assistant": "actions"}), "Bob").await;
    server
        .get("/rooms/lipsticks/comments", &seller)
        .await
        .refused(403, "not_allowed");
    server
        .patch("/rooms/lipsticks/modes", &seller, json!({"comments_off": true}))
        .await
        .refused(403, "not_allowed");
    server
        .get("/rooms/lipsticks/comments", "")
        .await
        .refused(401, "bad_token");
    let app = &server.serving.app;
    let viewer = app.auth.viewer_token(hubbub::room::ViewerId(1), app.clock.now());
    let post = json!({"nonce": "a", "text": "hi"});
    server
        .post("/rooms/lipsticks/comments", &viewer, post)
        .await
        .refused(403, "not_allowed");
}

//! kill -9 and a restart: cursors continue, nothing that was acknowledged is lost.

use hubbub::protocol::Cursor;
use hubbub::room::stage::StageEvent;
use serde_json::json;

use crate::support::client::Client;
use crate::support::process::Process;

async fn say(client: &mut Client, text: &str) {
    let nonce = text.replace(' ', "-");
    let said = client.ask("comment", json!({"nonce": nonce, "text": text})).await;
    said.expect("accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_a_client_gets_exactly_what_it_missed() {
    let mut server = Process::start(&["--no-rates"]);
    server.live_room("show").await;
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    let mut bob = Client::viewer(server.address, "show", "Bob").await;
    say(&mut ann, "before").await;
    bob.until_comment("before").await;
    let (token, cursor) = (bob.token().to_owned(), bob.cursor);
    drop(bob);
    say(&mut ann, "missed 1").await;
    say(&mut ann, "missed 2").await;
    server.kill();
    server.restart();
    let mut bob = Client::again(server.address, "show", &token, cursor).await;
    assert!(bob.joined.resumed, "the ring is refilled from the journal");
    bob.until_comment("missed 1").await;
    bob.until_comment("missed 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_life_or_beyond_the_head_starts_afresh() {
    let server = Process::start(&[]);
    server.live_room("show").await;
    let ann = Client::viewer(server.address, "show", "Ann").await;
    let token = ann.token().to_owned();
    for cursor in [
        Cursor {
            epoch: ann.cursor.epoch + 1,
            ..ann.cursor
        },
        Cursor {
            offset: ann.cursor.offset + 1_000,
            ..ann.cursor
        },
    ] {
        let again = Client::again(server.address, "show", &token, cursor).await;
        assert!(!again.joined.resumed);
        assert!(again.keyframe.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_comments_text_reaches_nobody_who_had_not_received_it() {
    let mut server = Process::start(&[]);
    server.live_room("show").await;
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    let bob = Client::viewer(server.address, "show", "Bob").await;
    let (token, cursor) = (bob.token().to_owned(), bob.cursor);
    drop(bob);
    say(&mut ann, "secret phone number").await;
    let id = ann
        .until(|event| match event {
            StageEvent::Comment(shown) => Some(shown.id),
            _ => None,
        })
        .await;
    server
        .delete(&format!("/rooms/show/comments/{id}"), &server.operator)
        .await
        .is(200);
    for restarted in [false, true] {
        if restarted {
            server.kill();
            server.restart();
        }
        let mut bob = Client::again(server.address, "show", &token, cursor).await;
        assert!(bob.joined.resumed);
        let mut seen = Vec::new();
        while !seen.iter().any(|event| matches!(event, StageEvent::Deleted { .. })) {
            seen.extend(bob.events().await);
        }
        let seen = serde_json::to_string(&seen).expect("events are JSON");
        assert!(!seen.contains("secret"), "restarted: {restarted}: {seen}");
        let eve = Client::viewer(server.address, "show", "Eve").await;
        let stage = serde_json::to_string(&eve.keyframe).expect("a stage is JSON");
        assert!(!stage.contains("secret"), "restarted: {restarted}: {stage}");
    }
}

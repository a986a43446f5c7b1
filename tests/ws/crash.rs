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
async fn what_the_ring_still_holds_is_continued_and_what_is_older_starts_afresh_also_after_a_kill() {
    /// Batches that a ring holds.
    const RING: u64 = 1_024;
    let mut server = Process::start(&["--no-rates", "--display-budget", "off"]);
    server.live_room("show").await;
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    let token = ann.token().to_owned();
    let hello = json!({"token": server.operator});
    let mut host = Client::join(server.address, "show", hello).await.expect("an operator");
    // One batch each, for each waits for its answer.
    for n in 0..RING + 100 {
        say(&mut host, &n.to_string()).await;
    }
    ann.until_comment(&(RING + 99).to_string()).await;
    let back = |batches: u64| Cursor {
        offset: ann.cursor.offset - batches,
        ..ann.cursor
    };
    for _ in 0..2 {
        // Pulses are batches, too: some may have come between.
        for (cursor, resumed) in [(back(RING - 50), true), (back(RING + 50), false)] {
            let again = Client::again(server.address, "show", &token, cursor).await;
            assert_eq!(again.joined.resumed, resumed, "{cursor:?}");
            assert_eq!(
                again.keyframe.is_some(),
                !resumed,
                "else it is told, and starts from the state"
            );
        }
        server.kill();
        server.restart();
    }
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

//! Draws, their transcripts and winners.

use hubbub::room::comment::Post;
use hubbub::room::draw::{Ask, ClaimPrize};
use hubbub::room::stage::StageEvent;
use hubbub::room::{Command, Key, fair};
use serde_json::json;

use crate::support::client::Client;
use crate::support::server::Server;

/// Follows a room's stage until a draw is revealed: the entries that won.
async fn revealed(server: &Server, room: &str) -> Vec<u32> {
    let mut viewer = Client::viewer(server.address, room, "Watcher").await;
    viewer
        .until(|event| match event {
            StageEvent::DrawRevealed { winners, .. } => Some(winners.iter().map(|winner| winner.entry).collect()),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn a_draw_goes_from_its_rules_to_a_transcript_that_anybody_verifies_and_prizes_that_are_sent() {
    let server = Server::start().await;
    let host = server.live_room("lipsticks").await;
    let rules = json!({"prize": "Lipstick", "winners": 1, "open_ms": 60_000, "eligibility": {"phrase": {"phrase": "lips"}},
        "ask": ["name", "address"], "readers": "The shop."});
    let path = |rest: &str| format!("/rooms/lipsticks/draws/first{rest}");
    server.put(&path(""), &host, rules).await.is(200);
    let list = server.get("/rooms/lipsticks/draws", "").await.is(200);
    assert_eq!(
        (&list["opened"], list.get("prepared")),
        (&json!([]), None),
        "what waits is for staff"
    );
    server.get(&path("/transcript"), "").await.refused(404, "unknown_draw");
    server.post(&path("/open"), &host, json!({})).await.is(200);

    let draw = Key::new("first").unwrap();
    for viewer in 1..=3 {
        let phrase = Post {
            nonce: "a".to_owned(),
            text: " LIPS ".to_owned(),
        };
        server
            .viewer_does("lipsticks", viewer, Command::Comment(phrase))
            .await
            .unwrap();
    }
    server
        .post(&path("/entries/2/strike"), &host, json!({"reason": "a bot"}))
        .await
        .is(200);
    let (won, ()) = tokio::join!(revealed(&server, "lipsticks"), async {
        server.post(&path("/lock"), &host, json!({})).await.is(200);
    });
    let entry = won[0];
    assert_ne!(entry, 2);

    let transcript = server.get(&path("/transcript"), "").await.text(200);
    let transcript: fair::Transcript = serde_json::from_str(&transcript).unwrap();
    let verified = fair::verify(&transcript).unwrap();
    assert_eq!(verified.winners, [entry]);

    let contact = [(Ask::Name, "=Li Lei"), (Ask::Address, "1 Main St")];
    let claim = ClaimPrize {
        draw,
        contact: contact.map(|(ask, text)| (ask, text.to_owned())).into(),
    };
    server
        .viewer_does("lipsticks", u128::from(entry), Command::ClaimPrize(claim))
        .await
        .unwrap();
    server
        .put(&path(&format!("/winners/{entry}/sent")), &host, json!({"sent": true}))
        .await
        .is(200);
    let winners = server.get(&path("/winners"), &host).await.is(200);
    let winner = &winners["winners"][0];
    assert_eq!(winner["contact"], json!({"name": "=Li Lei", "address": "1 Main St"}));
    assert_eq!((&winner["sent"], winner["claimed_at"].is_u64()), (&json!(true), true));
    let table = server.get(&path("/winners.csv"), &host).await.text(200);
    assert!(table.contains(",'=Li Lei,,1 Main St,,"), "{table}");
    server
        .post(&path("/redraw"), &host, json!({}))
        .await
        .refused(409, "wrong_state");
}

#[tokio::test]
async fn what_winners_fill_in_is_for_the_host_alone() {
    let server = Server::start().await;
    server.room("lipsticks").await;
    let assistant = server.join("lipsticks", json!({"assistant": "all"}), "Bob").await;
    for path in [
        "/rooms/lipsticks/draws/first/winners",
        "/rooms/lipsticks/draws/first/winners.csv",
    ] {
        server.get(path, "").await.refused(401, "bad_token");
        server.get(path, &assistant).await.refused(403, "not_allowed");
        server.get(path, &server.operator).await.refused(404, "unknown_draw");
    }
}

#[tokio::test]
async fn a_draw_is_taken_out_or_cancelled() {
    let server = Server::start().await;
    let host = server.live_room("lipsticks").await;
    let rules = json!({"prize": "Lipstick", "winners": 1, "open_ms": 60_000, "eligibility": {"present": {}}});
    let path = |rest: &str| format!("/rooms/lipsticks/draws/first{rest}");
    server.put(&path(""), &host, rules.clone()).await.is(200);
    server.delete(&path(""), &host).await.is(200);
    server
        .post(&path("/open"), &host, json!({}))
        .await
        .refused(404, "unknown_draw");
    server.put(&path(""), &host, rules).await.is(200);
    server.post(&path("/open"), &host, json!({})).await.is(200);
    server
        .post(&path("/cancel"), &host, json!({}))
        .await
        .refused(400, "bad_field");
    server
        .post(&path("/cancel"), &host, json!({"reason": "wrong prize"}))
        .await
        .is(200);
    let transcript = server.get(&path("/transcript"), "").await.is(200);
    assert_eq!(transcript["cancelled"], "wrong prize");
}

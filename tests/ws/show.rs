//! What viewers and staff see of one another.

use hubbub::config::Options;
use hubbub::protocol::Message;
use hubbub::room::stage::{BackstageEvent, ShowChange, StaffOnly, StageEvent};
use hubbub::room::{Answer, Timestamp, ViewerId};
use serde_json::json;

use crate::support::client::{Client, Over};
use crate::support::process::Process;
use crate::support::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_reaches_every_viewer_once() {
    let server = Process::start(&[]);
    server.live_room("show").await;
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    let mut bob = Client::viewer(server.address, "show", "Bob").await;
    let Ok(Answer::Comment { comment, .. }) = ann.ask("comment", json!({"nonce": "1", "text": "hello"})).await else {
        panic!("the comment is accepted");
    };
    let again = ann.ask("comment", json!({"nonce": "1", "text": "hello"})).await;
    assert!(
        matches!(again, Ok(Answer::Comment { comment: same, .. }) if same == comment),
        "{again:?}"
    );
    ann.ask("comment", json!({"nonce": "2", "text": "bye"}))
        .await
        .expect("accepted");
    for viewer in [&mut ann, &mut bob] {
        let mut texts = Vec::new();
        while texts.last().map(String::as_str) != Some("bye") {
            texts.extend(viewer.events().await.into_iter().filter_map(|event| match event {
                StageEvent::Comment(shown) => Some(shown.text.0),
                _ => None,
            }));
        }
        assert_eq!(texts, ["hello", "bye"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_later_gets_the_comments_and_the_count() {
    let server = Process::start(&[]);
    server.live_room("show").await;
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    ann.ask("comment", json!({"nonce": "1", "text": "first"}))
        .await
        .expect("accepted");
    ann.until_watching(1).await;
    let mut bob = Client::viewer(server.address, "show", "Bob").await;
    let stage = bob.keyframe.clone().expect("a new viewer starts from the keyframe");
    // The keyframe may be up to a second old; then what came since follows it.
    match stage.comments.first() {
        Some(shown) => assert_eq!((shown.text.as_str(), shown.name.as_str()), ("first", "Ann")),
        None => bob.until_comment("first").await,
    }
    bob.until_watching(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_the_show_reaches_viewers() {
    let server = Process::start(&[]);
    server.live_room("show").await;
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    server
        .post("/rooms/show/pause", &server.operator, json!({}))
        .await
        .is(200);
    ann.until(|event| matches!(event, StageEvent::Show(ShowChange::Paused {})).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_room_on_air_notices_when_a_page_of_its_staff_is_opened() {
    let server = Process::start(&[]);
    server.live_room("show").await;
    let mut host = Client::join(
        server.address,
        "show",
        json!({"token": server.operator, "feed": "backstage"}),
    )
    .await
    .expect("an operator may see the backstage");
    loop {
        let Ok(Message::BackstageDelta(delta)) = host.next().await else {
            continue;
        };
        if delta.events.contains(&BackstageEvent::Staff(StaffOnly::Attended {})) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewers_token_is_renewed_by_a_join_in_the_second_half_of_its_life() {
    let server = Server::start().await;
    server.live_room("show").await;
    let (auth, now) = (&server.serving.app.auth, server.serving.app.clock.now());
    let viewer = ViewerId(7);
    for (age_days, renewed) in [(199, false), (201, true)] {
        let made = Timestamp(now.0 - age_days * 24 * 3_600_000);
        let token = auth.viewer_token(viewer, made);
        let client = Client::join(server.address, "show", json!({ "token": token })).await;
        let joined = client.expect("the token is good").joined;
        assert_eq!(
            (joined.viewer, joined.token.is_some()),
            (Some(viewer), renewed),
            "{age_days} days"
        );
        if let Some(token) = joined.token {
            let again = Client::join(server.address, "show", json!({ "token": token })).await;
            let joined = again.expect("the new one is good").joined;
            assert_eq!((joined.viewer, joined.token), (Some(viewer), None));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_under_a_stores_token_ends_with_it() {
    const KEY: &str = "0123456789abcdef0123456789abcdef";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, KEY).unwrap();
    let options = Options {
        store_key_file: Some(file.path().to_owned()),
        ..Options::default()
    };
    let server = Server::with(options).await;
    server.live_room("show").await;
    let ends = server.serving.app.clock.now().0 / 1_000 + 2;
    let claims = json!({"iss": "store", "aud": "hubbub", "sub": "customer 12", "name": "Ann", "exp": ends});
    let key = jsonwebtoken::EncodingKey::from_secret(KEY.as_bytes());
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
    let hello = json!({ "token": token });
    let mut client = Client::join(server.address, "show", hello.clone())
        .await
        .expect("a customer");
    assert_eq!(client.joined.token, None);
    assert_eq!(client.over().await, Over::Closed(4503));
    assert!(server.serving.app.clock.now() >= Timestamp(ends * 1_000));
    let late = Client::join(server.address, "show", hello).await.map(|_| ());
    assert_eq!(late, Err(Over::Closed(4503)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_room_a_wrong_token_and_a_viewer_backstage_are_told_so() {
    let server = Process::start(&[]);
    server.live_room("show").await;
    let unknown = Client::join(server.address, "nowhere", json!({})).await.err();
    assert_eq!(unknown, Some(Over::Closed(4500)));
    let not_an_id = Client::join(server.address, "No%20Where", json!({})).await.err();
    assert_eq!(not_an_id, Some(Over::Closed(4500)));
    let forged = Client::join(server.address, "show", json!({"token": "eyJhbGciOiJub25lIn0.e30."}))
        .await
        .err();
    assert_eq!(forged, Some(Over::Closed(4503)));
    let curious = Client::join(server.address, "show", json!({"feed": "backstage"}))
        .await
        .err();
    assert_eq!(curious, Some(Over::Closed(4503)));
    Client::others_are_served(server.address, "show").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn likes_are_counted_in_a_pulse() {
    let server = Process::start(&[]);
    server.live_room("show").await;
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    ann.note("like", json!({"taps": 7})).await;
    loop {
        if let Ok(Message::Pulse(pulse)) = ann.next().await
            && pulse.totals.likes == 7
        {
            return;
        }
    }
}

//! Rooms fail alone: one that breaks is rebuilt from its journal, one that breaks again and again is parked, and
//! nobody in another room notices.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use hubbub::hub::CommandError;
use hubbub::journal::sqlite::{Options, Sqlite};
use hubbub::journal::{Append, Appended, Journal, Record};
use hubbub::room::audience::{Arrival, AudienceEvent};
use hubbub::room::{Event, Room, RoomId, Timestamp, ViewerId};
use serde_json::json;
use tokio::sync::watch;

use crate::support::PATIENCE;
use crate::support::client::{Client, Over};
use crate::support::server::Server;

/// Has a room's task panic, as a mistake in its rules would.
async fn break_room(server: &Server, room: &str) {
    let app = &server.serving.app;
    let before = app.metrics.rooms_broken.get();
    let id = RoomId::new(room).expect("good");
    let until = Instant::now() + PATIENCE;
    let (sender, mut ran) = watch::channel(false);
    // What is asked of a task that has just broken is not done.
    while !*ran.borrow_and_update() {
        let sender = sender.clone();
        let look = move |_: &Room, _| {
            sender.send_replace(true);
            panic!("broken on purpose")
        };
        let broken: Result<(), _> = app.hub.read(&id, look).await;
        assert_eq!(broken, Err(CommandError::JournalUnavailable));
    }
    while app.metrics.rooms_broken.get() == before {
        assert!(Instant::now() < until, "the room does not break");
        tokio::task::yield_now().await;
    }
}

/// Comes back as a page does, until it is let in: with nothing missed.
async fn come_back(server: &Server, room: &str, before: &Client) -> Client {
    let hello = json!({"token": before.token(), "cursor": before.cursor});
    loop {
        match Client::join(server.address, room, hello.clone()).await {
            Ok(mut client) => {
                assert!(client.joined.resumed, "nothing was lost");
                assert_eq!(client.joined.viewer, before.joined.viewer);
                client.cursor = before.cursor;
                return client;
            }
            Err(over) => assert_eq!(over, Over::Closed(4003)),
        }
    }
}

async fn say(client: &mut Client, text: &str) {
    let comment = json!({"nonce": text.replace(' ', "-"), "text": text});
    client.ask("comment", comment).await.expect("may speak");
}

/// Two rooms on air, the one that will break with Ann in it, who has spoken, and its host's token; the sound one with
/// Bob.
async fn two_rooms() -> (Server, String, Client, Client) {
    let server = Server::start().await;
    let host = server.live_room("broken").await;
    server.live_room("sound").await;
    let mut ann = Client::viewer(server.address, "broken", "Ann").await;
    let bob = Client::viewer(server.address, "sound", "Bob").await;
    say(&mut ann, "before").await;
    ann.until_comment("before").await;
    (server, host, ann, bob)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_breaks_is_rebuilt_and_its_viewers_go_on_where_they_were() {
    let (server, _, mut ann, mut bob) = two_rooms().await;

    break_room(&server, "broken").await;
    assert_eq!(ann.over().await, Over::Closed(4003));
    let mut eve = Client::viewer(server.address, "broken", "Eve").await;
    say(&mut eve, "while Ann was away").await;
    let mut again = come_back(&server, "broken", &ann).await;
    again.until_comment("while Ann was away").await;

    say(&mut bob, "nothing happened here").await;
    bob.until_comment("nothing happened here").await;
    assert_eq!(server.metric("hubbub_rooms_broken_total").await, 1);
    assert_eq!(server.metric("hubbub_rooms_parked").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_breaks_again_and_again_is_parked_until_an_operator_tries_again() {
    let (server, host, ann, mut bob) = two_rooms().await;

    break_room(&server, "broken").await;
    break_room(&server, "broken").await;
    let mut last = come_back(&server, "broken", &ann).await;
    break_room(&server, "broken").await;
    assert_eq!(last.over().await, Over::Closed(4006), "those within are told");
    let refused = Client::join(server.address, "broken", json!({})).await.err();
    assert_eq!(refused, Some(Over::Closed(4006)), "and those who come");
    let told = server.get("/rooms/broken", "").await;
    assert_eq!(told.header(reqwest::header::RETRY_AFTER), "60");
    told.refused(503, "room_parked");
    assert_eq!(server.metric("hubbub_rooms_parked").await, 1);

    let listed = server.get("/rooms", &server.operator).await.is(200);
    let broken = &listed["rooms"].as_array().expect("rooms")[..];
    let broken = broken.iter().find(|room| room["id"] == "broken").expect("is listed");
    assert_eq!(broken["parked"]["reason"], "broken on purpose");
    let public = server.get("/rooms", "").await.text(200);
    assert!(!public.contains("parked"), "{public}");

    server
        .post("/rooms/broken/release", &host, json!({}))
        .await
        .refused(403, "not_allowed");
    server
        .post("/rooms/broken/release", &server.operator, json!({}))
        .await
        .is(204);
    come_back(&server, "broken", &ann).await;
    assert_eq!(server.metric("hubbub_rooms_parked").await, 0);
    say(&mut bob, "nothing happened here").await;
    bob.until_comment("nothing happened here").await;

    break_room(&server, "broken").await;
    assert_eq!(server.metric("hubbub_rooms_parked").await, 1, "one more try is one");
}

/// A journal whose room has one record more: this one.
async fn append(data: &Path, room: &str, events: Bytes, count: u32) {
    let journal = Sqlite::open(data, Options::default()).expect("nobody has it open");
    let rows = journal.catalogue().await.expect("can be read");
    let mut row = rows.into_iter().find(|row| row.stream == room).expect("the room");
    let record = Record {
        batch: 1,
        epoch: row.epoch,
        first: row.head + 1,
        count,
        at: Timestamp(0),
        events,
        personal: Bytes::from_static(b"[{},{}]"),
    };
    row.head += u64::from(count);
    let append = Append {
        record,
        row,
        contacts: Vec::new(),
    };
    assert_eq!(journal.append(append).await, Appended::Durable);
    journal.close().await;
}

/// Two viewers who come at the end of time: together they have watched for longer than can be counted.
fn beyond_counting() -> Bytes {
    let arrival = |id| Arrival {
        id: ViewerId(id),
        name: "".into(),
        store: false,
        address: None,
        at: Timestamp(u64::MAX),
    };
    let pulsed = Event::from(AudienceEvent::Pulsed {
        node: 7,
        run: 1,
        number: 1,
        taps: 0,
        arrived: vec![arrival(1), arrival(2)],
        left: Vec::new(),
        forgotten_at: None,
        totals: Default::default(),
    });
    serde_json::to_vec(&[pulsed]).expect("plain").into()
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_whose_journal_cannot_be_replayed_are_parked_and_the_others_serve() {
    let server = Server::start().await;
    for room in ["panics", "unreadable", "sound"] {
        server.live_room(room).await;
    }
    let ann = Client::viewer(server.address, "sound", "Ann").await;
    let server = server
        .restart_after(async |data| {
            append(data, "panics", beyond_counting(), 1).await;
            append(data, "unreadable", Bytes::from_static(b"[{\"surprise\":{}}]"), 1).await;
        })
        .await;
    let mut bob = come_back(&server, "sound", &ann).await;
    for room in ["panics", "unreadable"] {
        let until = Instant::now() + PATIENCE;
        while Client::join(server.address, room, json!({})).await.err() != Some(Over::Closed(4006)) {
            assert!(Instant::now() < until, "{room} is not parked");
        }
        let release = format!("/rooms/{room}/release");
        let released = server.post(&release, &server.operator, json!({})).await;
        released.refused(503, "room_parked");
        let listed = server.get("/rooms", &server.operator).await.is(200);
        let listed = &listed["rooms"].as_array().expect("rooms")[..];
        let listed = listed.iter().find(|listed| listed["id"] == room).expect("is listed");
        let reason = listed["parked"]["reason"].as_str().expect("a reason");
        let wanted = match room {
            "panics" => "it breaks an invariant: attempt to add with overflow",
            _ => "unknown variant `surprise`",
        };
        assert!(reason.contains(&format!("of {room} is damaged ({wanted}")), "{reason}");
    }
    assert_eq!(server.metric("hubbub_rooms_parked").await, 2);
    say(&mut bob, "nothing happened here").await;
    bob.until_comment("nothing happened here").await;
}

//! The sample show, seen by one more viewer.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hubbub::demo::{Demo, Script};
use hubbub::protocol::{Encoding, Message};
use hubbub::room::stage::StageEvent;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::support::PATIENCE;
use crate::support::server::Server;

/// What a newcomer must see move.
fn kind(event: &StageEvent) -> Option<&'static str> {
    match event {
        StageEvent::Comment(_) | StageEvent::Sampled { .. } => Some("comment"),
        StageEvent::DiscountOpened(_) => Some("discount"),
        StageEvent::DrawOpened(_) => Some("draw"),
        _ => None,
    }
}

#[tokio::test]
async fn the_demo_moves_before_a_newcomers_eyes() {
    let server = Server::start().await;
    let script = Script {
        viewers: 30,
        act: Duration::from_millis(50),
    };
    let hub = server.serving.app.hub.clone();
    let demo = Demo::start(hub.clone(), server.address, script).await.expect("starts");
    let listed = hub.rooms();
    assert!(listed.iter().any(|room| room.id == demo.room.as_str()), "{listed:?}");

    let url = format!("ws://{}/ws/{}", server.address, demo.room);
    let socket = TcpStream::connect(server.address).await.expect("connects");
    let (mut socket, _) = client_async(url, socket).await.expect("a handshake");
    let hello = Frame::text(r#"{"id":1,"cmd":"hello","args":{"name":"Newcomer"}}"#);
    socket.send(hello).await.expect("is sent");
    let mut missing = BTreeSet::from(["comment", "discount", "draw", "watching", "liked", "claimed"]);
    let watch = async {
        while !missing.is_empty() {
            let frame = socket.next().await.expect("goes on").expect("is sound");
            let Frame::Text(text) = frame else { continue };
            match Encoding::Json.decode(text.as_bytes()).expect("a message") {
                Message::Keyframe(keyframe) => {
                    let stage = keyframe.state;
                    missing.retain(|kind| match *kind {
                        "comment" => stage.comments.is_empty(),
                        "discount" => stage.discounts.is_empty(),
                        "draw" => stage.draws.is_empty(),
                        _ => true,
                    });
                }
                Message::Delta(delta) => delta.events.iter().filter_map(kind).for_each(|kind| {
                    missing.remove(kind);
                }),
                Message::Pulse(pulse) => missing.retain(|kind| match *kind {
                    "watching" => pulse.totals.watching < 2,
                    "liked" => pulse.totals.likes == 0,
                    "claimed" => !pulse.totals.remaining.values().any(|left| *left < script.viewers / 3),
                    _ => true,
                }),
                _ => {}
            }
        }
    };
    let seen = timeout(PATIENCE, watch).await;
    seen.unwrap_or_else(|_| panic!("not seen: {missing:?}"));
}

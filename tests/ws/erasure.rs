//! One viewer's data is erased while a show is on air: nobody is shown it any more, and nobody else notices.

use hubbub::protocol::{Cursor, Message};
use hubbub::room::Answer;
use hubbub::room::stage::StageEvent;
use serde_json::{Value, json};

use crate::support::client::{Client, Over};
use crate::support::process::Process;

const CANARY: &str = "Canary";

/// The comment's id and its author's number.
async fn says(client: &mut Client, text: &str) -> (u64, u32) {
    let comment = json!({"nonce": text.replace(' ', "-").to_lowercase(), "text": text});
    match client.ask("comment", comment).await {
        Ok(Answer::Comment {
            comment, by: Some(by), ..
        }) => (comment, by.0),
        other => panic!("a comment was answered {other:?}"),
    }
}

/// All that is shown from a cursor on, until a comment, and whether it was continued exactly.
async fn shown_from(server: &Process, token: &str, cursor: Cursor, until: &str) -> (String, Vec<u64>) {
    let mut client = Client::again(server.address, "show", token, cursor).await;
    assert!(client.joined.resumed, "the ring reaches back");
    let (mut shown, mut offsets) = (format!("{:?}", client.joined), Vec::new());
    while !shown.contains(until) {
        let message = client.next().await.expect("it is open");
        if let Message::Delta(delta) = &message {
            offsets.push(delta.offset);
        }
        shown += &format!("{message:?}");
    }
    (shown, offsets)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_viewer_leaves_stage_ring_and_keyframe_and_the_others_stay() {
    let mut server = Process::start(&["--no-rates"]);
    let host = server.live_room("show").await;
    let mut bob = Client::viewer(server.address, "show", "Bob").await;
    let (start, token) = (bob.cursor, bob.token().to_owned());
    let mut ann = Client::viewer(server.address, "show", CANARY).await;
    let ann_token = ann.token().to_owned();
    let hello = json!({"token": ann_token});
    let mut tab = Client::join(server.address, "show", hello.clone())
        .await
        .expect("comes in");
    let (said, number) = says(&mut ann, "Canary says hello").await;
    server
        .put("/rooms/show/pin", &host, json!({"comment": said}))
        .await
        .is(200);
    says(&mut ann, "A second Canary").await;
    says(&mut bob, "Bob was here").await;
    bob.until_comment("Bob was here").await;
    let (before, offsets) = shown_from(&server, &token, start, "Bob was here").await;
    assert_eq!(
        before.matches("Canary says hello").count(),
        2,
        "said and pinned: {before}"
    );

    let path = format!("/rooms/show/viewers/{number}/data");
    server.get(&path, &host).await.refused(403, "not_allowed");
    server.delete(&path, &host).await.refused(403, "not_allowed");
    let export = server.get(&path, &server.operator).await.is(200).to_string();
    assert!(
        export.contains("Canary says hello") && !export.contains("Bob was here"),
        "{export}"
    );
    let erased = server.delete(&path, &server.operator).await.is(200);
    assert_eq!(
        (&erased["rooms"], &erased["remains"]),
        (&json!(1), &json!(false)),
        "{erased}"
    );
    assert_eq!(
        (ann.over().await, tab.over().await),
        (Over::Closed(4004), Over::Closed(4004))
    );

    let is_gone = |event: &StageEvent| match event {
        StageEvent::Deleted { comments } => Some(comments.contains(&said)),
        _ => None,
    };
    assert!(bob.until(is_gone).await, "those who have it on their pages are told");
    says(&mut bob, "Nothing happened to me").await;
    bob.until_comment("Nothing happened to me").await;
    for run in ["running", "started again"] {
        let (after, again) = shown_from(&server, &token, start, "Nothing happened to me").await;
        assert!(!after.contains(CANARY), "{run}: {after}");
        assert_eq!(again[..offsets.len()], offsets, "{run}: the same offsets");
        let new = Client::viewer(server.address, "show", "Eve").await;
        let keyframe = format!("{:?}", new.keyframe);
        assert!(
            keyframe.contains("Bob was here") && !keyframe.contains(CANARY),
            "{run}: {keyframe}"
        );
        let backstage = server.get("/rooms/show/comments", &host).await.is(200).to_string();
        assert!(!backstage.contains(CANARY), "{run}: {backstage}");
        server.kill();
        server.restart();
    }

    let mut ann = Client::join(server.address, "show", hello)
        .await
        .expect("the same viewer may come back");
    assert_eq!(ann.joined.mine.number.map(|again| again.0), Some(number));
    says(&mut ann, "I am new here").await;
    let export: Value = server.get(&path, &server.operator).await.is(200);
    let texts = export["rooms"][0]["texts"].to_string();
    assert!(
        texts.contains("I am new here") && texts.contains("Guest ") && !texts.contains(CANARY),
        "{texts}"
    );
}

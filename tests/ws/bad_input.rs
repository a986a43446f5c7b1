//! Bad input on the socket gets its typed error or close code, and the server goes on.

use futures_util::SinkExt;
use hubbub::protocol::{Encoding, Message};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::support::client::{Client, Over, connect, read};
use crate::support::process::Process;
use crate::support::raw::{close_code, masked, websocket_with};

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be_read_are_answered_and_the_socket_stays() {
    let server = Process::start(&["--no-rates"]);
    server.live_room("show").await;
    let mut socket = connect(server.address, "show").await;
    let hello = json!({"id": 1, "cmd": "hello", "args": {}}).to_string();
    socket.send(Frame::text(hello)).await.expect("open");
    let deep = format!(
        r#"{{"id":1,"cmd":"comment","args":{}{}}}"#,
        r#"{"a":"#.repeat(100),
        "1".to_owned() + &"}".repeat(100)
    );
    let long = json!({"id": 8, "cmd": "comment", "args": {"nonce": "1", "text": "x".repeat(10_000)}}).to_string();
    let cases: &[(&str, &str)] = &[
        ("hello", "bad_json"),
        ("[]", "bad_json"),
        ("{\"id\":1,\"id\":2,\"cmd\":\"ping\"}", "bad_json"),
        (&deep, "bad_json"),
        (
            r#"{"id":1,"cmd":"comment","args":{"nonce":"1","text":"\ud800"}}"#,
            "bad_json",
        ),
        (r#"{"id":1.5,"cmd":"ping"}"#, "bad_field"),
        (r#"{"id":-1,"cmd":"ping"}"#, "bad_field"),
        (r#"{"id":18446744073709551616,"cmd":"ping"}"#, "bad_field"),
        (r#"{"cmd":"comment","args":{"nonce":"1","text":"a"}}"#, "bad_field"),
        (r#"{"id":1,"cmd":"comment","args":{"nonce":"1"}}"#, "bad_field"),
        (
            r#"{"id":1,"cmd":"comment","args":{"nonce":"1","text":"a","colour":"red"}}"#,
            "bad_field",
        ),
        (r#"{"id":1,"cmd":"comment","args":{"nonce":"1","text":7}}"#, "bad_field"),
        (r#"{"id":1,"cmd":"ping","more":1}"#, "bad_field"),
        (
            r#"{"id":1,"cmd":"comment","args":{"nonce":"1","nonce":"2","text":"a"}}"#,
            "bad_json",
        ),
        (
            r#"{"id":1,"cmd":"claim","args":{"discount":"none","unit":1.5}}"#,
            "bad_field",
        ),
        (
            r#"{"id":1,"cmd":"claim","args":{"discount":"none","unit":-1}}"#,
            "bad_field",
        ),
        (
            r#"{"id":1,"cmd":"claim","args":{"discount":"none","unit":18446744073709551616}}"#,
            "bad_field",
        ),
        (r#"{"id":1,"cmd":"like","args":{"taps":1.5}}"#, "bad_field"),
        (r#"{"id":1,"cmd":"like","args":{"taps":-1}}"#, "bad_field"),
        (r#"{"id":1,"cmd":"fly","args":{}}"#, "unknown_command"),
        (r#"{"id":1,"cmd":"hello","args":{}}"#, "already_joined"),
        (r#"{"id":1,"cmd":"comment","args":{"nonce":"1","text":""}}"#, "bad_text"),
        (
            r#"{"id":1,"cmd":"comment","args":{"nonce":"1","text":"\u200b \u200b"}}"#,
            "bad_text",
        ),
        (
            r#"{"id":1,"cmd":"comment","args":{"nonce":"1","text":"a\u0000b"}}"#,
            "bad_text",
        ),
        (
            r#"{"id":1,"cmd":"comment","args":{"nonce":"1","text":"a\u001bb"}}"#,
            "bad_text",
        ),
        (&long, "bad_text"),
        (
            r#"{"id":1,"cmd":"claim","args":{"discount":"none"}}"#,
            "unknown_discount",
        ),
        (
            r#"{"id":1,"cmd":"mute","args":{"viewer":1,"for_ms":60000}}"#,
            "not_allowed",
        ),
        (
            r#"{"id":1,"cmd":"create","args":{"details":{"title":"a","host":"b","kind":"video","access":"public"}}}"#,
            "not_allowed",
        ),
    ];
    for (request, code) in cases {
        socket.send(Frame::text(*request)).await.expect("the socket stays open");
        let problem = loop {
            if let Message::Err(problem) = read(&mut socket, Encoding::Json).await.expect("an answer") {
                break problem;
            }
        };
        assert_eq!(problem.code, *code, "{request} was answered {problem:?}");
        if *code == "bad_text" {
            let asked: Value = serde_json::from_str(request).expect("it is JSON");
            let text = problem.text.expect("the text goes back to its author");
            assert_eq!(asked["args"]["text"], *text, "as it was written");
        }
    }
    Client::others_are_served(server.address, "show").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_break_a_limit_close_with_their_code() {
    let server = Process::start(&[]);
    server.live_room("show").await;
    let mut too_big = Client::viewer(server.address, "show", "Ann").await;
    too_big
        .note("like", json!({"taps": 1, "filler": "x".repeat(20_000)}))
        .await;
    assert_eq!(too_big.over().await, Over::Closed(1009));

    let mut wrong_kind = connect(server.address, "show").await;
    wrong_kind.send(Frame::binary(vec![0x80])).await.expect("open");
    assert_eq!(read(&mut wrong_kind, Encoding::Json).await, Err(Over::Closed(1003)));
    let message_pack = "Sec-WebSocket-Protocol: hubbub.v1.msgpack\r\n";
    let mut wrong_kind = websocket_with(server.address, "show", message_pack).await;
    wrong_kind.write_all(&masked(0x81, b"{}")).await.expect("open");
    assert_eq!(close_code(&mut wrong_kind).await, Some(1003));
    Client::others_are_served(server.address, "show").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_refused_and_then_closed() {
    let server = Process::start(&[]);
    server.live_room("show").await;
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    let mut limited = 0;
    let over = loop {
        match ann.try_ask("comment", json!({"nonce": "1", "text": "a"})).await {
            Ok(Ok(_)) => {}
            Ok(Err(problem)) => {
                assert_eq!(
                    (problem.code.as_str(), problem.retry_after_ms),
                    ("rate_limited", Some(1_000))
                );
                limited += 1;
            }
            Err(over) => break over,
        }
    };
    // Far fewer than would be too many bytes.
    assert!((200..1_000).contains(&limited), "{limited}");
    assert_eq!(over, Over::Closed(1008));
    Client::others_are_served(server.address, "show").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_is_none_is_a_bad_field_and_the_next_hello_is_heard() {
    let server = Process::start(&[]);
    server.live_room("show").await;
    server.live_room("other").await;
    let mut socket = connect(server.address, "show").await;
    for cursor in [
        r#"{"epoch":1,"offset":-1}"#,
        r#"{"epoch":1,"offset":18446744073709551616}"#,
        r#"{"epoch":1,"offset":"abc"}"#,
        r#"{"epoch":1,"offset":1.5}"#,
        r#"{"epoch":1}"#,
        r#"{"epoch":1,"offset":1,"more":1}"#,
        "7",
        "[]",
    ] {
        let hello = format!(r#"{{"id":1,"cmd":"hello","args":{{"cursor":{cursor}}}}}"#);
        socket.send(Frame::text(hello)).await.expect("the socket stays open");
        match read(&mut socket, Encoding::Json).await.expect("an answer") {
            Message::Err(problem) => assert_eq!(problem.code, "bad_field", "{cursor}"),
            other => panic!("{cursor} was answered {other:?}"),
        }
    }
    let elsewhere = Client::viewer(server.address, "other", "Ann").await;
    let cursor = json!({"epoch": elsewhere.cursor.epoch, "offset": 1});
    let hello = json!({"id": 2, "cmd": "hello", "args": {"cursor": cursor}}).to_string();
    socket.send(Frame::text(hello)).await.expect("the socket stays open");
    match read(&mut socket, Encoding::Json).await.expect("an answer") {
        Message::Joined(joined) => assert!(!joined.resumed, "another room's epoch"),
        other => panic!("{other:?}"),
    }
    let afresh = read(&mut socket, Encoding::Json).await.expect("a keyframe");
    assert!(matches!(afresh, Message::Keyframe(_)), "{afresh:?}");
}

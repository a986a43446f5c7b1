//! Frames that break RFC 6455 get a close frame with the right code before the socket ends.

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::process::Process;
use crate::support::raw::{close_code, frame, joined, masked, websocket};

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_breaks_the_protocol_is_answered_with_its_close_code() {
    let server = Process::start(&[]);
    server.live_room("show").await;
    let close = |code: u16| masked(0x88, &code.to_be_bytes());
    let mut bad_reason = 1000_u16.to_be_bytes().to_vec();
    bad_reason.push(0xff);
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("unmasked", vec![0x81, 0x02, b'h', b'i'], 1002),
        ("a reserved bit", masked(0xc1, b"{}"), 1002),
        ("another reserved bit", masked(0xa1, b"{}"), 1002),
        ("the last reserved bit", masked(0x91, b"{}"), 1002),
        ("an unknown opcode", masked(0x83, b""), 1002),
        ("an unknown control opcode", masked(0x8b, b""), 1002),
        ("a fragmented ping", masked(0x09, b""), 1002),
        ("a fragmented pong", masked(0x0a, b""), 1002),
        ("a fragmented close", masked(0x08, &1000_u16.to_be_bytes()), 1002),
        ("a long pong", masked(0x8a, &[b'x'; 126]), 1002),
        ("a long close", masked(0x88, &[3; 126]), 1002),
        ("a long ping", masked(0x89, &[b'x'; 126]), 1002),
        (
            "a ping that declares 126 bytes",
            vec![0x89, 0xfe, 0, 126, 1, 2, 3, 4],
            1002,
        ),
        ("a lone continuation", masked(0x80, b"x"), 1002),
        (
            "a message inside another",
            [masked(0x01, b"{"), masked(0x81, b"}")].concat(),
            1002,
        ),
        ("a close of one byte", masked(0x88, &[3]), 1002),
        ("close code 999", close(999), 1002),
        ("close code 1004", close(1004), 1002),
        ("close code 1005", close(1005), 1002),
        ("close code 1006", close(1006), 1002),
        ("close code 1015", close(1015), 1002),
        ("close code 1016", close(1016), 1002),
        ("close code 2999", close(2999), 1002),
        ("close code 5000", close(5000), 1002),
        ("a close reason that is not UTF-8", masked(0x88, &bad_reason), 1007),
        ("text that is not UTF-8", masked(0x81, &[0xff]), 1007),
        (
            "text that is not UTF-8 across fragments",
            [masked(0x01, &[0xc3]), masked(0x80, &[0x28])].concat(),
            1007,
        ),
        ("an overlong encoding", masked(0x81, &[0xc0, 0xaf]), 1007),
        ("half a surrogate", masked(0x81, &[0xed, 0xa0, 0x80]), 1007),
        (
            "a declared length with the top bit",
            [vec![0x81, 0xff], vec![0xff; 8], vec![0; 4]].concat(),
            1009,
        ),
        (
            "a declared length of 15 MiB",
            [vec![0x81, 0xff], 15_728_640_u64.to_be_bytes().to_vec(), vec![0; 4]].concat(),
            1009,
        ),
        (
            "fragments that are too big together",
            [masked(0x01, &[b'x'; 16_000]), masked(0x80, &[b'x'; 400])].concat(),
            1009,
        ),
        (
            "a fragment that declares too much for what came before",
            [masked(0x01, &[b'x'; 16_000]), vec![0x80, 0xfe, 1, 144, 1, 2, 3, 4]].concat(),
            1009,
        ),
        (
            "many of the largest fragments",
            [masked(0x01, &[b'x'; 16_384]), masked(0x00, &[b'x'; 16_384]).repeat(10)].concat(),
            1009,
        ),
        ("10,000 pings", masked(0x89, b"").repeat(10_000), 1008),
        ("the wrong kind", masked(0x82, b"{}"), 1003),
        ("an honest close", close(1000), 1000),
        (
            "data after the close",
            [close(1000), masked(0x81, b"{}"), masked(0x83, b"")].concat(),
            1000,
        ),
    ];
    let mut wrong = Vec::new();
    for (case, bytes, code) in cases {
        let mut socket = joined(server.address, "show").await;
        // The server may end the connection before all of it is written.
        let _ = socket.write_all(&bytes).await;
        let got = close_code(&mut socket).await;
        if got != Some(code) {
            wrong.push((case, got, code));
        }
    }
    assert!(wrong.is_empty(), "(case, got, wanted): {wrong:?}");
    Client::others_are_served(server.address, "show").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rfc_6455_allows_is_fine() {
    let server = Process::start(&[]);
    server.live_room("show").await;
    let mut socket = joined(server.address, "show").await;
    let ask = json!({"id": 7, "cmd": "comment", "args": {"nonce": "1", "text": "é"}})
        .to_string()
        .into_bytes();
    let middle = ask.iter().position(|byte| *byte == 0xc3).expect("the first byte of é") + 1;
    let (head, tail) = ask.split_at(middle);
    let split = [masked(0x01, head), masked(0x89, b"between"), masked(0x80, tail)].concat();
    socket.write_all(&split).await.expect("open");
    let (mut pong, mut ok) = (false, false);
    while !(pong && ok) {
        let (opcode, payload) = timeout(PATIENCE, frame(&mut socket))
            .await
            .expect("in time")
            .expect("open");
        pong |= opcode == 0xa && payload == b"between";
        ok |= payload.starts_with(b"{\"ok\":{\"re\":7");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fragments_without_end_are_a_flood_and_hold_up_nobody() {
    let server = Process::start(&[]);
    server.live_room("show").await;
    let (mut reads, mut writes) = joined(server.address, "show").await.into_split();
    let fragments = [masked(0x01, b""), masked(0x00, b"").repeat(100_000)].concat();
    // The server may end the connection before all of it is written.
    let (code, _) = tokio::join!(close_code(&mut reads), writes.write_all(&fragments));
    assert_eq!(code, Some(1008));
    Client::others_are_served(server.address, "show").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_talks_on_and_on_instead_of_a_hello_is_closed_and_holds_up_nobody() {
    let server = Process::start(&[]);
    server.live_room("show").await;
    let (mut reads, mut writes) = websocket(server.address, "show").await.into_split();
    let nested = format!("{}1{}", r#"{"a":"#.repeat(10), "}".repeat(10));
    let bad = masked(0x81, nested.as_bytes()).repeat(1_000);
    let (code, _) = tokio::join!(close_code(&mut reads), writes.write_all(&bad));
    assert_eq!(code, Some(1008));
    Client::others_are_served(server.address, "show").await;
}

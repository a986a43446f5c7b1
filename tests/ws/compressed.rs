//! permessage-deflate: who negotiated it sees what all others see, and what breaks it is closed with its code.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use hubbub::protocol::{Delta, Encoding, Joined, Keyframe, Message};
use hubbub::room::Answer;
use hubbub::room::stage::{Stage, StageEvent};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::process::Process;
use crate::support::raw::{close_code, converse, handshake, hello, joined, marked_frame, masked};

/// As Chromium offers it.
const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
const RSV1: u8 = 0x40;

/// A payload as a client compresses it.
fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 100);
    Compress::new(Compression::default(), false)
        .compress_vec(payload, &mut bytes, FlushCompress::Sync)
        .expect("compresses");
    assert!(bytes.ends_with(&[0, 0, 0xff, 0xff]));
    bytes.truncate(bytes.len() - 4);
    bytes
}

/// A connection, plain or compressed, that notes what comes.
struct Follower {
    socket: TcpStream,
    encoding: Encoding,
    /// The messages so far as bytes without compression, and whether they came compressed.
    came: Vec<(bool, Vec<u8>)>,
}

/// A socket that has negotiated compression and said nothing.
async fn negotiated(server: &Process, encoding: Encoding) -> TcpStream {
    let headers = format!("{OFFER}Sec-WebSocket-Protocol: {}\r\n", encoding.subprotocol());
    let (answer, socket) = converse(server.address, &handshake(server.address, "show", &headers)).await;
    assert_eq!(answer.header("Sec-WebSocket-Extensions"), Some(ANSWER));
    socket
}

impl Follower {
    /// Comes in with these arguments of `hello`, which is compressed.
    async fn join(server: &Process, encoding: Encoding, hello: Value) -> (Self, Joined) {
        let mut socket = negotiated(server, encoding).await;
        let hello = encoding.encode(&json!({"id": 1, "cmd": "hello", "args": hello}));
        let kind = if encoding == Encoding::Json { 0x81 } else { 0x82 };
        let hello = masked(kind | RSV1, &deflated(&hello));
        socket.write_all(&hello).await.expect("open");
        let mut follower = Self {
            socket,
            encoding,
            came: Vec::new(),
        };
        let Message::Joined(joined) = follower.message().await else {
            panic!("hello was answered {:?}", follower.came);
        };
        (follower, *joined)
    }

    async fn message(&mut self) -> Message {
        let kind = if self.encoding == Encoding::Json { 1 } else { 2 };
        loop {
            let frame = timeout(PATIENCE, marked_frame(&mut self.socket)).await;
            let (first, mut payload) = frame.expect("something comes in time").expect("open");
            let compressed = first & RSV1 != 0;
            if first & 0x0f != kind {
                assert!(!compressed, "control frames never are");
                continue;
            }
            if compressed {
                let mut plain = Vec::with_capacity(1 << 20);
                payload.extend_from_slice(&[0, 0, 0xff, 0xff]);
                // A new one for each: no context is taken over.
                Decompress::new(false)
                    .decompress_vec(&payload, &mut plain, FlushDecompress::Sync)
                    .expect("is deflated");
                assert!(plain.len() > payload.len() - 4, "it became smaller");
                payload = plain;
            }
            let message = self.encoding.decode(&payload).expect("a message of the protocol");
            self.came.push((compressed, payload));
            return message;
        }
    }

    async fn keyframe(&mut self) -> Keyframe<Stage> {
        match self.message().await {
            Message::Keyframe(keyframe) => *keyframe,
            other => panic!("instead of a keyframe came {other:?}"),
        }
    }

    /// The deltas up to the one with this comment.
    async fn deltas_until(&mut self, text: &str) -> Vec<Delta<StageEvent>> {
        let mut deltas = Vec::new();
        loop {
            let Message::Delta(delta) = self.message().await else {
                continue;
            };
            let last = delta.events.iter().any(|event| is_comment(event, text));
            deltas.push(delta);
            if last {
                return deltas;
            }
        }
    }

    fn compressed(&self, of: &str) -> usize {
        let begins = format!("{{\"{of}\"").into_bytes();
        let of = |payload: &[u8]| payload.starts_with(&begins) || payload.get(2..2 + of.len()) == Some(of.as_bytes());
        self.came
            .iter()
            .filter(|(compressed, payload)| *compressed && of(payload))
            .count()
    }
}

fn is_comment(event: &StageEvent, text: &str) -> bool {
    matches!(event, StageEvent::Comment(shown) if shown.text.as_str() == text)
}

async fn host(server: &Process) -> Client {
    Client::join(server.address, "show", json!({"token": server.operator}))
        .await
        .expect("an operator")
}

async fn say(host: &mut Client, nonce: usize, text: &str) -> u64 {
    let comment = json!({"nonce": nonce.to_string(), "text": text});
    match host.ask("comment", comment).await.expect("staff may always speak") {
        Answer::Comment { comment, .. } => comment,
        other => panic!("{other:?}"),
    }
}

/// A comment that becomes smaller.
fn long(word: &str) -> String {
    let mut text = format!("{word} ").repeat(30);
    text.truncate(180);
    text.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_and_plain_followers_of_a_room_see_the_same() {
    const END: &str = "the end";
    let server = Process::start(&["--compression", "on", "--no-rates"]);
    server.live_room("show").await;
    let mut host = host(&server).await;
    for n in 0..20 {
        say(&mut host, n, &long(&format!("early{n}"))).await;
    }
    let mut plain = Client::viewer(server.address, "show", "Ann").await;
    let mut start = plain.cursor.offset;
    let mut followers = Vec::new();
    for encoding in Encoding::ALL {
        let (mut follower, joined) = Follower::join(&server, encoding, json!({"name": "Bob"})).await;
        let keyframe = follower.keyframe().await;
        assert_eq!((follower.came[0].0, follower.compressed("keyframe")), (false, 1));
        assert!(joined.token.is_some(), "a private message, which came plain");
        let known = plain.keyframe.as_ref().expect("it has just joined");
        assert_eq!(keyframe.state.comments, known.comments);
        start = start.max(keyframe.offset);
        followers.push(follower);
    }
    for n in 20..60 {
        let text = if n % 2 == 0 {
            "short".to_owned()
        } else {
            long(&format!("late{n}"))
        };
        say(&mut host, n, &text).await;
    }
    say(&mut host, 60, END).await;
    let after_start = |deltas: Vec<Delta<StageEvent>>| {
        let deltas = deltas.into_iter().filter(|delta| delta.offset > start);
        deltas.flat_map(|delta| delta.events).collect::<Vec<_>>()
    };
    let mut wanted = Vec::new();
    while !wanted.iter().any(|event| is_comment(event, END)) {
        wanted.extend(plain.events().await);
    }
    for mut follower in followers {
        assert_eq!(after_start(follower.deltas_until(END).await), wanted);
        assert!(follower.compressed("delta") >= 20, "{}", follower.compressed("delta"));
        assert!(
            follower.came.iter().any(|(compressed, _)| !compressed),
            "mixed with plain ones"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_compressed_never_gets_the_text_of_a_deleted_comment() {
    const WORD: &str = "unspeakable";
    let server = Process::start(&["--compression", "on", "--no-rates"]);
    server.live_room("show").await;
    let mut host = host(&server).await;
    for encoding in Encoding::ALL {
        let (mut bob, joined) = Follower::join(&server, encoding, json!({"name": "Bob"})).await;
        let keyframe = bob.keyframe().await;
        let nonce = 10 * encoding.index();
        let bad = long(WORD);
        let comment = say(&mut host, nonce, &bad).await;
        say(&mut host, nonce + 1, &long("harmless")).await;
        bob.deltas_until(&bad).await;
        assert_eq!(bob.compressed("delta"), 1, "it was compressed in the ring");
        host.ask("delete", json!({"comment": comment}))
            .await
            .expect("staff may");
        let end = format!("the end {nonce}");
        say(&mut host, nonce + 2, &end).await;

        let cursor = json!({"epoch": keyframe.epoch, "offset": keyframe.offset});
        let hello = json!({"token": joined.token, "cursor": cursor});
        let (mut again, joined) = Follower::join(&server, encoding, hello).await;
        assert!(joined.resumed);
        again.deltas_until(&end).await;
        assert!(again.compressed("delta") >= 1, "the harmless one");
        for (_, payload) in &again.came {
            let found = payload.windows(WORD.len()).any(|bytes| bytes == WORD.as_bytes());
            assert!(!found, "{}", String::from_utf8_lossy(payload));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_compression_is_answered_with_its_close_code() {
    let server = Process::start(&["--compression", "on"]);
    server.live_room("show").await;
    let ask = json!({"id": 7, "cmd": "comment", "args": {"nonce": "1", "text": long("hello")}}).to_string();
    let good = deflated(ask.as_bytes());
    let (head, tail) = good.split_at(good.len() / 2);
    let mut unmasked = masked(0xc1, &good);
    unmasked.drain(2..6);
    unmasked[1] &= 0x7f;
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("a bomb", masked(0xc1, &deflated(&vec![b' '; 8 << 20])), 1009),
        (
            "one byte too much",
            masked(0xc1, &deflated(&[b' '; 16 * 1024 + 1])),
            1009,
        ),
        (
            "compressed data of more than a message",
            masked(0xc1, &[0; 20_000]),
            1009,
        ),
        (
            "the same in fragments",
            [masked(0x41, &[0; 9_000]), masked(0x00, &[0; 9_000])].concat(),
            1009,
        ),
        ("data that break off", masked(0xc1, head), 1002),
        ("data that are not deflated", masked(0xc1, b"\xff\xff\xff\xff"), 1002),
        ("nothing", masked(0xc1, b""), 1002),
        (
            "a mark on a continuation",
            [masked(0x41, head), masked(0xc0, tail)].concat(),
            1002,
        ),
        (
            "a mark on a continuation of a plain message",
            [masked(0x01, b"{"), masked(0xc0, b"}")].concat(),
            1002,
        ),
        ("a lone continuation with a mark", masked(0xc0, &good), 1002),
        ("a mark on a ping", masked(0xc9, b""), 1002),
        (
            "a mark on a ping between",
            [masked(0x41, head), masked(0xc9, b"")].concat(),
            1002,
        ),
        ("a mark on a close", masked(0xc8, &1000_u16.to_be_bytes()), 1002),
        ("another reserved bit", masked(0xe1, &good), 1002),
        (
            "a message inside another",
            [masked(0x41, head), masked(0x81, b"{}")].concat(),
            1002,
        ),
        (
            "a message inside a plain one",
            [masked(0x01, b"{"), masked(0xc1, &good)].concat(),
            1002,
        ),
        ("not masked", unmasked, 1002),
        ("text that is not UTF-8", masked(0xc1, &deflated(&[0xff])), 1007),
        ("the wrong kind", masked(0xc2, &good), 1003),
        ("an honest close", masked(0x88, &1000_u16.to_be_bytes()), 1000),
    ];
    let mut wrong = Vec::new();
    for (case, bytes, code) in cases {
        let mut socket = negotiated(&server, Encoding::Json).await;
        socket.write_all(&hello()).await.expect("open");
        marked_frame(&mut socket).await.expect("joined");
        socket.write_all(&bytes).await.expect("open");
        let got = close_code(&mut socket).await;
        if got != Some(code) {
            wrong.push((case, got, code));
        }
    }
    assert!(wrong.is_empty(), "(case, got, wanted): {wrong:?}");

    let mut other = joined(server.address, "show").await;
    other.write_all(&masked(0xc1, &good)).await.expect("open");
    assert_eq!(close_code(&mut other).await, Some(1002), "it was not negotiated");
    Client::others_are_served(server.address, "show").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_messages_are_read_however_they_come() {
    let server = Process::start(&["--compression", "on"]);
    server.live_room("show").await;
    // Staff may always speak.
    let (mut bob, _) = Follower::join(&server, Encoding::Json, json!({"token": server.operator})).await;
    let ask = |id: u64| {
        let comment = json!({"nonce": id.to_string(), "text": long("hello")});
        let ask = json!({"id": id, "cmd": "comment", "args": comment}).to_string();
        (deflated(ask.as_bytes()), ask.into_bytes())
    };
    let in_parts = |first: u8, payload: &[u8]| {
        let (head, tail) = payload.split_at(payload.len() / 3);
        [
            masked(first, head),
            masked(0x89, b"between"),
            masked(0x00, b""),
            masked(0x80, tail),
        ]
        .concat()
    };
    let mut stream = [
        masked(0xc1, &ask(10).0),
        masked(0x81, &ask(11).1),
        in_parts(0x41, &ask(12).0),
        in_parts(0x01, &ask(13).1),
    ]
    .concat();
    stream.extend((14..20).flat_map(|id| masked(0xc1, &ask(id).0)));
    // All at once, then in parts between which the server has answered something else.
    bob.socket.write_all(&stream).await.expect("open");
    for id in 10..20 {
        until_ok(&mut bob, id).await;
    }
    let late = ask(20).0;
    for (index, part) in late.chunks(10).enumerate() {
        let first = if index == 0 { 0x41 } else { 0x00 };
        let part = [masked(first, part), masked(0x89, b"ping")].concat();
        bob.socket.write_all(&part).await.expect("open");
        while marked_frame(&mut bob.socket).await.expect("open").0 != 0x8a {}
    }
    bob.socket.write_all(&masked(0x80, b"")).await.expect("open");
    until_ok(&mut bob, 20).await;
}

async fn until_ok(follower: &mut Follower, id: u64) {
    loop {
        match follower.message().await {
            Message::Ok { re, .. } if re == id => return,
            Message::Err(problem) => panic!("{problem:?}"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_option_nothing_is_compressed() {
    let server = Process::start(&[]);
    server.live_room("show").await;
    let (answer, _) = converse(server.address, &handshake(server.address, "show", OFFER)).await;
    assert_eq!((answer.status, answer.header("Sec-WebSocket-Extensions")), (101, None));
}

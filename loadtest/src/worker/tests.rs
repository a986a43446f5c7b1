//! Worker threads against servers that follow a script.

use std::io::Read;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;

use hubbub::protocol::Encoding;
use hubbub::room::RoomId;

use super::*;
use crate::server::Server;
use crate::talk::Marks;
use crate::wire::Form;

const JOINED: &str = r#"{"joined":{"re":0,"room":"fake-room","now":1,"epoch":7,"resumed":false,"mine":{}}}"#;
const RESUMED: &str = r#"{"joined":{"re":0,"room":"fake-room","now":1,"epoch":7,"resumed":true,"mine":{}}}"#;

/// A keyframe of an empty room at offset 12.
fn keyframe() -> String {
    let state = hubbub::room::Room::new(RoomId::new("fake-room").unwrap()).stage();
    let state = serde_json::to_string(&state).unwrap();
    format!(r#"{{"keyframe":{{"epoch":7,"offset":12,"at":1,"state":{state}}}}}"#)
}

fn delta(follows: Offset, offset: Offset, at: u64) -> String {
    format!(r#"{{"delta":{{"follows":{follows},"offset":{offset},"at":{at},"events":[]}}}}"#)
}

/// Reads until the handshake and the hello are there: the hello is the only frame, and ends with `}`, masked.
fn greet(stream: &mut TcpStream) {
    let mut read = Vec::new();
    let answer = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Protocol: hubbub.v1.json\r\n\r\n";
    let mut chunk = [0; 1_024];
    while !read.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut chunk).unwrap();
        read.extend_from_slice(&chunk[..count]);
    }
    stream.write_all(answer.as_bytes()).unwrap();
    let count = stream.read(&mut chunk).unwrap();
    assert!(count > 6, "a hello");
}

fn tell(stream: &mut TcpStream, messages: &[String]) {
    for message in messages {
        let mut bytes = vec![0x81, 126];
        bytes.extend((message.len() as u16).to_be_bytes());
        if message.len() < 126 {
            bytes = vec![0x81, message.len() as u8];
        }
        bytes.extend_from_slice(message.as_bytes());
        // In two parts: a viewer keeps the first until the second is there.
        let (first, second) = bytes.split_at(bytes.len() / 2);
        stream.write_all(first).unwrap();
        stream.flush().unwrap();
        stream.write_all(second).unwrap();
    }
}

/// What one thread with a viewer for each script finds, whose connections are told these messages; a script
/// of two parts is told the second after the viewer was cut and came back.
fn found(scripts: Vec<Vec<Vec<String>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let course = Course {
        server: Server {
            url: String::new(),
            authority: "fake".to_owned(),
            address: listener.local_addr().unwrap(),
            tls: None,
        },
        rooms: vec![RoomId::new("fake-room").unwrap()],
        form: Form {
            encoding: Encoding::Json,
            compressed: false,
        },
        sources: Vec::new(),
        threads: 1,
        seed: 1,
        jitter: true,
        likes: 0.0,
        marks: Marks::new("test"),
        start: Instant::now(),
        ledger: Mutex::default(),
    };
    let (viewers, rounds) = (scripts.len(), scripts[0].len());
    let expected: usize = scripts
        .iter()
        .flatten()
        .flatten()
        .filter(|message| message.starts_with("{\"delta\""))
        .count();
    let server = thread::spawn(move || {
        let mut open = Vec::new();
        for round in 0..rounds {
            for script in &scripts {
                let (mut stream, _) = listener.accept().unwrap();
                greet(&mut stream);
                tell(&mut stream, &script[round]);
                open.push(stream);
            }
        }
        open
    });
    let live = Arc::new(Live::default());
    let worker = Worker::new(Arc::new(course), live, 0, viewers as u32).unwrap();
    let (orders, inbox) = channel();
    let thread = thread::spawn(move || worker.run(&inbox));
    let (from, within) = (Instant::now(), Duration::ZERO);
    orders.send(Order::Join { from, within }).unwrap();
    let all_watch = || loop {
        let (reply, standing) = channel();
        orders.send(Order::Tell(reply)).unwrap();
        if standing.recv().unwrap().watching as usize == viewers {
            break;
        }
    };
    all_watch();
    for _ in 1..rounds {
        let (viewers, away) = (viewers as u32, Duration::ZERO);
        orders.send(Order::Storm { viewers, away }).unwrap();
        all_watch();
    }
    let open = server.join().unwrap();
    drop(open);
    // The server has gone: once nobody watches, all that was sent was read.
    loop {
        let (reply, standing) = channel();
        orders.send(Order::Tell(reply)).unwrap();
        if standing.recv().unwrap().watching == 0 {
            break;
        }
    }
    drop(orders);
    let tally = thread.join().unwrap().unwrap();
    assert_eq!(tally.deltas as usize, expected);
    tally.faults.sentences().collect::<Vec<_>>().join("; ")
}

fn script(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

#[test]
fn an_honest_server_is_found_without_fault() {
    let first = script(&[JOINED, &keyframe(), &delta(12, 13, 5), &delta(13, 15, 6)]);
    let second = script(&[RESUMED, &delta(15, 16, 7)]);
    let viewer = vec![first, second];
    assert_eq!(found(vec![viewer.clone(), viewer]), "");
}

#[test]
fn one_viewer_of_two_without_a_delta_is_found() {
    let whole = script(&[
        JOINED,
        &keyframe(),
        &delta(12, 13, 5),
        &delta(13, 14, 6),
        &delta(14, 15, 7),
    ]);
    let holed = script(&[JOINED, &keyframe(), &delta(12, 13, 5), &delta(14, 15, 7)]);
    let said = found(vec![vec![whole], vec![holed]]);
    assert!(said.starts_with("1 gaps") && !said.contains(';'), "{said}");
}

#[test]
fn a_delta_with_other_bytes_for_another_viewer_is_found() {
    let one = script(&[JOINED, &keyframe(), &delta(12, 13, 5)]);
    let other = script(&[JOINED, &keyframe(), &delta(12, 13, 6)]);
    let said = found(vec![vec![one], vec![other]]);
    assert!(
        said.starts_with("1 deltas whose bytes differ") && !said.contains(';'),
        "{said}"
    );
}

#[test]
fn a_viewer_who_is_not_continued_is_found() {
    let first = script(&[JOINED, &keyframe(), &delta(12, 13, 5)]);
    let second = script(&[JOINED, &keyframe(), &delta(12, 13, 5)]);
    let said = found(vec![vec![first, second]]);
    assert!(
        said.starts_with("1 viewers who came back") && !said.contains(';'),
        "{said}"
    );
}

#[test]
fn an_answer_to_nothing_and_nonsense_are_found() {
    let answer = r#"{"ok":{"re":99,"after":12,"answer":{"done":{}}}}"#;
    let said = found(vec![vec![script(&[JOINED, &keyframe(), answer, "{}"])]]);
    assert!(
        said.contains("1 messages that cannot be read") && said.contains("1 answers to no request"),
        "{said}"
    );
}

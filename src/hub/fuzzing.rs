//! The hub's targets of `crate::fuzzing`.

use std::net::TcpListener;

use bytes::Bytes;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use super::Stream;
use super::deflate::Wire;
use super::feed::Feed;
use super::reader::{Heard, Reader};
use super::record;
use crate::journal::Record;
use crate::protocol::{Encoding, FeedKind, MESSAGE_BYTES_MAX, Numbered, Request};
use crate::room::audience::AudienceEvent;
use crate::room::{Luck, Timestamp, ViewerNo};

/// Where the log of the feed begins that cursors are tried on, and how many batches follow.
const FLOOR: u64 = 5;
const BATCHES: u64 = 4;

/// A `hello` in either encoding: a cursor in it is served from the ring, or starts afresh, and never reaches out of it.
pub fn cursor(data: &[u8]) {
    let feed = Feed::new(FeedKind::Stage, FLOOR);
    for offset in FLOOR + 1..=FLOOR + BATCHES {
        let renamed = AudienceEvent::Renamed {
            viewer: ViewerNo(1),
            name: "Ann".into(),
        };
        feed.push(offset, Timestamp(offset), &[renamed.into()], None);
    }
    let ring = feed.ring.read();
    for encoding in Encoding::ALL {
        let Ok(Numbered {
            request: Request::Hello(hello),
            ..
        }) = encoding.decode_request(data)
        else {
            continue;
        };
        if let Some(cursor) = hello.cursor
            && let Some(next) = ring.after(cursor.offset)
        {
            assert!(
                cursor.offset >= FLOOR && next <= ring.end(),
                "{cursor:?} is served from {next}"
            );
        }
    }
}

/// A record's events and, after a line break, its personal fields: what can be read says the same when it is written
/// again.
pub fn record(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let (events, personal) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let count = serde_json::from_slice::<Vec<Value>>(events).map_or(1, |events| events.len() as u32);
    let read = record::decode(&Record {
        batch: 1,
        epoch: 1,
        first: 1,
        count,
        at: Timestamp(1),
        events: Bytes::copy_from_slice(events),
        personal: Bytes::copy_from_slice(personal),
    });
    if let Ok(events) = read {
        let header = record::Header {
            batch: 1,
            epoch: 1,
            first: 1,
            at: Timestamp(1),
        };
        let written = record::encode(header, events.clone(), &mut Luck::new([7; 32]));
        assert_eq!(record::decode(&written).ok(), Some(events));
    }
}

/// A socket that says nothing more.
struct Silence {
    _runtime: Runtime,
    _peer: std::net::TcpStream,
    socket: Stream,
}

impl Silence {
    fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let peer = std::net::TcpStream::connect(address).expect("connects");
        let (socket, _) = listener.accept().expect("was connected to");
        socket.set_nonblocking(true).expect("can be told so");
        let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
        let entered = runtime.enter();
        let socket = Stream::Plain(TcpStream::from_std(socket).expect("a socket"));
        drop(entered);
        Self {
            _runtime: runtime,
            _peer: peer,
            socket,
        }
    }
}

thread_local! {
    static SILENCE: Silence = Silence::new();
}

/// The first byte says which subprotocol and compression; the rest is what comes over the socket. It is read to an
/// end, in as many steps as it has bytes, and no message is larger than may be.
pub fn frames(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else {
        return;
    };
    let wire = Wire::ALL[usize::from(*first) % Wire::COUNT];
    let mut reader = Reader::new(Bytes::copy_from_slice(bytes), wire);
    for _ in 0..=bytes.len() + 1 {
        match SILENCE.with(|silence| reader.read(&silence.socket, wire)).0 {
            Heard::Message(message) | Heard::WrongKind(message) => assert!(message.len() <= MESSAGE_BYTES_MAX),
            Heard::Control => {}
            Heard::Nothing | Heard::Closed(_) | Heard::Ended | Heard::Gone | Heard::Breach(_) => return,
        }
    }
    panic!("{} bytes bring more frames than they can hold", bytes.len());
}

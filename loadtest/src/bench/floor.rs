//! The floor: the least that a server can do for the same viewers. One thread, one epoll, one `send` for each
//! viewer and comment; nothing is checked, kept or told apart. What it costs is what the kernel costs.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use hubbub::protocol::{Delta, Encoding, Joined, Keyframe, Message, Numbered, Request};
use hubbub::room::comment::Shown;
use hubbub::room::stage::{Mine, StageEvent};
use hubbub::room::{Answer, Command, Offset, Personal, Room, RoomId, Timestamp, ViewerId, ViewerNo};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::options::Failure;
use crate::wire::frame;
use crate::wire::handshake;

/// The token of the listener; sockets have their place in the list.
const LISTENER: Token = Token(usize::MAX);
/// The same as the server's, so that no viewer waits at this door.
const BACKLOG: i32 = 4_096;
/// The same as the server's.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// Read at a time.
const READ_BYTES: usize = 64 << 10;

/// A viewer's socket.
struct Seat {
    stream: TcpStream,
    open: bool,
    joined: bool,
    /// The beginning of something.
    partial: Vec<u8>,
}

struct Floor {
    poll: Poll,
    seats: Vec<Option<Seat>>,
    free: Vec<usize>,
    offset: Offset,
    viewers: u128,
}

/// Serves until the process is ended. The first line on standard output is the address.
///
/// # Errors
///
/// [`Failure::Usage`] if the address cannot be listened at.
pub(crate) fn serve(listen: SocketAddr) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Usage(format!("the floor cannot listen at {listen}: {error}"));
    let socket = Socket::new(Domain::for_address(listen), Type::STREAM, Some(Protocol::TCP)).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    socket.bind(&listen.into()).map_err(failed)?;
    socket.listen(BACKLOG).map_err(failed)?;
    let mut listener = TcpListener::from_std(socket.into());
    let poll = Poll::new().map_err(failed)?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)
        .map_err(failed)?;
    println!("{}", listener.local_addr().map_err(failed)?);
    let mut floor = Floor {
        poll,
        seats: Vec::new(),
        free: Vec::new(),
        offset: 0,
        viewers: 0,
    };
    let mut events = Events::with_capacity(1_024);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match floor.poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other.map_err(failed)?,
        }
        for event in &events {
            match event.token() {
                LISTENER => floor.accept(&listener),
                Token(seat) => floor.readable(seat, &mut buffer),
            }
        }
    }
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener) {
        while let Ok((mut stream, _)) = listener.accept() {
            let seat = self.free.pop().unwrap_or_else(|| {
                self.seats.push(None);
                self.seats.len() - 1
            });
            let prepared = stream
                .set_nodelay(true)
                .and_then(|()| SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES))
                .and_then(|()| {
                    self.poll
                        .registry()
                        .register(&mut stream, Token(seat), Interest::READABLE)
                });
            if prepared.is_ok() {
                self.seats[seat] = Some(Seat {
                    stream,
                    open: false,
                    joined: false,
                    partial: Vec::new(),
                });
            }
        }
    }

    fn readable(&mut self, place: usize, buffer: &mut [u8]) {
        loop {
            let Some(seat) = self.seats.get_mut(place).and_then(Option::as_mut) else {
                return;
            };
            match seat.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(read) if read > 0 => seat.partial.extend_from_slice(&buffer[..read]),
                _ => {
                    self.seats[place] = None;
                    self.free.push(place);
                    return;
                }
            }
            self.take_in(place);
        }
    }

    fn take_in(&mut self, place: usize) {
        let Some(seat) = self.seats[place].as_mut() else { return };
        let mut bytes = std::mem::take(&mut seat.partial);
        if !seat.open {
            let Some(length) = handshake::request_length(&bytes) else {
                seat.partial = bytes;
                return;
            };
            bytes.drain(..length);
            seat.open = true;
            send(seat, &handshake::opened());
        }
        let mut taken = 0;
        while let Some((payload, length)) = frame::unmasked(&bytes[taken..]) {
            taken += length;
            if let Ok(Numbered { id: Some(re), request }) = Encoding::Json.decode_request(&payload) {
                self.answer(place, re, request);
            }
        }
        if let Some(seat) = self.seats[place].as_mut() {
            bytes.drain(..taken);
            seat.partial = bytes;
        }
    }

    fn answer(&mut self, place: usize, re: u64, request: Request) {
        match request {
            Request::Hello(_) => {
                self.viewers += 1;
                let answer = [framed(&self.joined(re)), framed(&self.keyframe())].concat();
                let Some(seat) = self.seats[place].as_mut() else { return };
                seat.joined = true;
                send(seat, &answer);
            }
            Request::Command(Command::Comment(post)) => {
                let delta = framed(&self.delta(post.text));
                for seat in self.seats.iter_mut().flatten().filter(|seat| seat.joined) {
                    send(seat, &delta);
                }
                let answer = Message::Ok {
                    re,
                    after: self.offset,
                    answer: Answer::Comment {
                        comment: self.offset,
                        by: Some(ViewerNo(1)),
                        entry: None,
                    },
                };
                if let Some(seat) = self.seats[place].as_mut() {
                    send(seat, &framed(&answer));
                }
            }
            _ => {}
        }
    }

    fn joined(&self, re: u64) -> Message {
        Message::Joined(Box::new(Joined {
            re,
            room: "floor".to_owned(),
            now: Timestamp(0),
            epoch: 1,
            resumed: false,
            viewer: Some(ViewerId(self.viewers)),
            token: None,
            role: None,
            mine: Mine::default(),
        }))
    }

    fn keyframe(&self) -> Message {
        let room = RoomId::new("floor").expect("a good name");
        Message::Keyframe(Box::new(Keyframe {
            epoch: 1,
            offset: self.offset,
            at: Timestamp(0),
            state: Room::new(room).stage(),
        }))
    }

    fn delta(&mut self, text: String) -> Message {
        let follows = self.offset;
        self.offset += 1;
        let comment = Shown {
            id: self.offset,
            by: Some(ViewerNo(1)),
            name: Personal("Guest 4821".to_owned()),
            badge: None,
            text: Personal(text),
            at: None,
        };
        Message::Delta(Delta {
            follows,
            offset: self.offset,
            at: Timestamp(1_790_000_000_000),
            events: vec![StageEvent::Comment(comment)],
        })
    }
}

fn framed(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write_unmasked(&mut bytes, &Encoding::Json.encode(message));
    bytes
}

/// A socket that is full loses bytes here, and its viewer notices: then the load was too much for the floor.
fn send(seat: &mut Seat, bytes: &[u8]) {
    let _ = seat.stream.write(bytes);
}

//! From the handshake to the room: the hello, who it is, and the way into the room's mailbox.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::timeout;

use super::connection::{Connection, Holder};
use super::feed::frame;
use super::mailbox::{Joining, Lane, Work};
use super::reader::{Heard, Reader};
use super::requests::{CONTROLS_PER_SECOND, Inbound, too_fast};
use super::room_handle::RoomHandle;
use super::{CommandError, Hub, Opened, Stream, address, echo, ending, luck};
use crate::auth::{Identity, VIEWER_MS};
use crate::limits::Limit;
use crate::protocol::{Close, FeedKind, Hello, Joined, Message, Numbered, Problem, Request};
use crate::room::audience::Visitor;
use crate::room::stage::Mine;
use crate::room::{Actor, Personal, Refusal, RoomId, Timestamp, ViewerId};

/// A connection that has not said hello by then is closed.
const HELLO: Duration = Duration::from_secs(5);
/// What is no hello, or a bad one, is answered so often.
const BAD_HELLOS: u32 = 16;
/// Longest name that is even looked at, bytes.
const NAME_BYTES: usize = 200;

/// Serves a socket whose handshake is done, until its room has it.
pub(super) async fn serve(hub: Arc<Hub>, socket: Stream, mut opened: Opened) {
    hub.connections.fetch_add(1, Ordering::Relaxed);
    hub.metrics.connections.inc();
    hub.metrics.connections_opened.inc();
    let mut reader = Reader::new(opened.early.clone(), opened.wire);
    if echo::is_asked(&hub, &opened) {
        return echo::serve(&hub, socket, reader, opened).await;
    }
    let greeted = match timeout(HELLO, greet(&hub, &socket, &mut reader, &opened)).await {
        Ok(greeted) => greeted,
        Err(_) => Err(Some(Close::NoHello)),
    };
    opened.unheard = None;
    let admitted = match greeted {
        Ok((re, hello)) => admit(&hub, &opened, re, hello).await.map_err(Some),
        Err(close) => Err(close),
    };
    match admitted {
        Ok(admitted) => join(&hub, socket, reader, admitted, opened),
        Err(close) => {
            if let Some(close) = close {
                ending::turn_away(&socket, close).await;
            }
            ending::ended(&hub, close);
        }
    }
}

/// Waits for the hello; what comes before it is refused.
async fn greet(
    hub: &Hub,
    socket: &Stream,
    reader: &mut Reader,
    opened: &Opened,
) -> Result<(u64, Hello), Option<Close>> {
    let wire = opened.wire;
    let (mut controls, mut refused) = (0, 0);
    loop {
        // However much there is to be read, others get their turn, and the time for the hello passes.
        yield_now().await;
        let (heard, replies, _) = reader.read(socket, wire);
        socket.write_all(&replies).await.map_err(|_| None)?;
        let message = match heard {
            Heard::Message(message) => message,
            Heard::Control if controls < CONTROLS_PER_SECOND => {
                controls += 1;
                continue;
            }
            Heard::Control => return Err(Some(Close::Flood)),
            Heard::WrongKind(_) => return Err(Some(Close::WrongKind)),
            Heard::Nothing => {
                socket.readable().await.map_err(|_| None)?;
                continue;
            }
            Heard::Closed(answer) => {
                socket.write_all(&answer).await.map_err(|_| None)?;
                ending::linger(socket).await;
                return Err(None);
            }
            Heard::Ended => {
                ending::turn_away(socket, Close::Protocol).await;
                return Err(None);
            }
            Heard::Gone => return Err(None),
            Heard::Breach(close) => return Err(Some(close)),
        };
        let share = opened.share.as_ref().filter(|_| hub.limits.rates);
        let within = share.map_or(Ok(()), |share| share.take(message.len(), hub.clock.now()));
        let problem = match wire.encoding.decode_request(&message) {
            Ok(Numbered { id, request }) if let Err(limit) = within => {
                hub.metrics.limits.note(limit);
                too_fast(id, &request)
            }
            Ok(Numbered {
                id: Some(re),
                request: Request::Hello(hello),
            }) => return Ok((re, hello)),
            Ok(Numbered { id, .. }) => Problem::new(id, "hello_first", "the first request is `hello`"),
            Err(bad) => Problem::new(bad.re, bad.code, bad.message),
        };
        refused += 1;
        if refused > BAD_HELLOS {
            return Err(Some(Close::Flood));
        }
        let refusal = frame(wire.encoding, &Message::Err(problem));
        socket.write_all(&refusal).await.map_err(|_| None)?;
    }
}

/// Who came in, and where.
struct Admitted {
    handle: Arc<RoomHandle>,
    actor: Actor,
    counted: bool,
    expires_at: Option<Timestamp>,
    joined: Box<Joined>,
    hello: Hello,
}

async fn admit(hub: &Arc<Hub>, opened: &Opened, re: u64, hello: Hello) -> Result<Admitted, Close> {
    if hub.draining() {
        return Err(Close::Restart);
    }
    if hub.connections() as usize > hub.limits.connections_max {
        hub.metrics.limits.note(Limit::Connections);
        return Err(Close::Full);
    }
    let room = opened.room.as_ref().ok_or(Close::UnknownRoom)?;
    let handle = hub.load(room).await.map_err(|error| match error {
        CommandError::Refused(Refusal::UnknownRoom) => Close::UnknownRoom,
        CommandError::Parked => Close::Parked,
        _ => Close::Unavailable,
    })?;
    let mut joined = Joined {
        re,
        room: room.to_string(),
        now: hub.clock.now(),
        epoch: handle.epoch,
        resumed: false,
        viewer: None,
        token: None,
        role: None,
        mine: Mine::default(),
    };
    let (actor, expires_at) = identify(hub, room, opened, &hello, &mut joined)?;
    let is_viewer = matches!(actor, Actor::Viewer(_));
    if is_viewer && hello.feed == FeedKind::Backstage {
        return Err(Close::NotAllowed);
    }
    let counted = is_viewer && !hello.preview;
    Ok(Admitted {
        handle,
        actor,
        counted,
        expires_at,
        joined: Box::new(joined),
        hello,
    })
}

fn identify(
    hub: &Hub,
    room: &RoomId,
    opened: &Opened,
    hello: &Hello,
    joined: &mut Joined,
) -> Result<(Actor, Option<Timestamp>), Close> {
    let now = hub.clock.now();
    let identity = match &hello.token {
        Some(token) => hub.auth.verify(token, now).map_err(|_| Close::NotAllowed)?,
        None => {
            if let Some(Err(limit)) = opened.share.as_ref().map(|share| share.take_newcomer(now)) {
                hub.metrics.limits.note(limit);
                return Err(Close::Full);
            }
            let id = ViewerId(luck().u128());
            joined.token = Some(hub.auth.viewer_token(id, now));
            Identity::Viewer {
                id,
                name: None,
                store: false,
                expires_at: now.plus(VIEWER_MS),
            }
        }
    };
    match identity {
        Identity::Viewer {
            id,
            name,
            store,
            expires_at,
        } => {
            joined.viewer = Some(id);
            if !store && expires_at.since(now) < VIEWER_MS / 2 {
                joined.token = Some(hub.auth.viewer_token(id, now));
            }
            let name = name
                .or_else(|| hello.name.clone())
                .filter(|name| name.len() <= NAME_BYTES)
                .unwrap_or_default();
            let address = address::keyed(&hub.address_secret, opened.address);
            Ok((
                Actor::Viewer(Visitor {
                    id,
                    name: Personal(name),
                    store,
                    address,
                }),
                // Our own last for long and are renewed; a store decides how long its word holds.
                store.then_some(expires_at),
            ))
        }
        Identity::Staff {
            room: own,
            person,
            expires_at,
        } if own == *room => Ok((Actor::Staff(person), Some(expires_at))),
        Identity::Staff { .. } | Identity::Store { .. } => Err(Close::NotAllowed),
        Identity::Operator { person, expires_at } => Ok((Actor::Operator(person), Some(expires_at))),
    }
}

/// Asks the room's task to take the connection in. From here on a driver serves it.
fn join(hub: &Hub, socket: Stream, reader: Reader, admitted: Admitted, opened: Opened) {
    let Admitted {
        handle,
        actor,
        counted,
        expires_at,
        joined,
        hello,
    } = admitted;
    let holder = Holder {
        actor,
        counted,
        expires_at,
        share: opened.share,
        _place: opened.held,
    };
    let feed = Arc::clone(handle.feed(hello.feed));
    let mailbox = Arc::clone(&handle);
    let inbound = Inbound::new(reader);
    let connection = Connection::new(socket, inbound, opened.wire, handle, feed, holder, hub.driver());
    let work = Work::Join {
        connection: Joining::new(connection),
        joined,
        cursor: hello.cursor,
    };
    // A mailbox that is full, or closed because the room has just left memory, drops the work, which closes
    // the connection: coming back loads the room.
    drop(mailbox.mailbox.put(Lane::Rush, work));
}

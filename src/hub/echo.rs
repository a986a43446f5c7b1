//! `/ws/echo` of a server that is started with the hidden option `--echo`: every message goes back as it came, and
//! no hello is awaited. Conformance suites speak WebSocket, not our protocol, and most of what they look at is
//! whether a message comes back. Upgrade, reader, driver, writer, limits and close codes are those of any viewer.

use std::sync::Arc;

use super::connection::{Connection, Holder};
use super::deflate::compressed;
use super::feed::{RSV1, raw_frame};
use super::reader::Reader;
use super::requests::Inbound;
use super::{Hub, Opened, Stream, ending};
use crate::protocol::{Close, Encoding};
use crate::room::Actor;

/// The room's name in the address. It holds nothing, and does not exist otherwise.
const ROOM: &str = "echo";

/// Whether this socket wants to hear itself, and may.
pub(super) fn is_asked(hub: &Hub, opened: &Opened) -> bool {
    hub.limits.echo && opened.room.as_ref().is_some_and(|room| room.as_str() == ROOM)
}

/// Hands the socket to a driver.
pub(super) async fn serve(hub: &Arc<Hub>, socket: Stream, reader: Reader, opened: Opened) {
    let loaded = match &opened.room {
        Some(room) => hub.load_or_new(room).await.ok(),
        None => None,
    };
    let Some(handle) = loaded else {
        ending::turn_away(&socket, Close::Unavailable).await;
        return ending::ended(hub, Some(Close::Unavailable));
    };
    let holder = Holder {
        actor: Actor::Server,
        counted: false,
        expires_at: None,
        share: None,
        _place: opened.held,
    };
    let feed = Arc::clone(&handle.stage);
    let room = Arc::clone(&handle);
    let inbound = Inbound::echoing(reader);
    let connection = Connection::new(socket, inbound, opened.wire, handle, feed, holder, hub.driver());
    room.presence.lock().came(&connection, room.now());
}

/// Queues a message for the one it came from, compressed where the feeds' messages would be.
pub(super) fn give_back(connection: &Connection, of_its_kind: bool, message: &[u8]) {
    let opcode = match (connection.wire.encoding, of_its_kind) {
        (Encoding::Json, true) | (Encoding::MessagePack, false) => 0x1,
        (Encoding::MessagePack, true) | (Encoding::Json, false) => 0x2,
    };
    let smaller = connection.wire.deflated.then(|| compressed(message)).flatten();
    connection.queue(match smaller {
        Some(bytes) => raw_frame(RSV1 | opcode, &bytes),
        None => raw_frame(opcode, message),
    });
}

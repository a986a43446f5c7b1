//! How a connection ends: the close frame, then reading for a while what is still on its way.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::feed::raw_frame;
use super::{Hub, Stream};
use crate::protocol::Close;

/// After the close frame the socket is read for this long.
const LINGER: Duration = Duration::from_secs(1);

/// A close frame with its code and reason (RFC 6455, 5.5.1).
pub(super) fn close_frame(close: Close) -> Bytes {
    let mut payload = close.code().to_be_bytes().to_vec();
    payload.extend_from_slice(close.reason().as_bytes());
    raw_frame(0x8, &payload)
}

/// Closes a socket that no connection holds.
pub(super) async fn turn_away(socket: &Stream, close: Close) {
    // A socket that takes no close frame is dead already.
    let _ = timeout(LINGER, socket.write_all(&close_frame(close))).await;
    linger(socket).await;
}

/// Says that nothing follows, and reads for a while what is still on its way: a socket that is closed with unread
/// data is reset, and its other side loses the close code.
pub(super) async fn linger(socket: &Stream) {
    if socket.end() {
        drain(socket).await;
    }
}

/// Reads for a while what is still on its way.
pub(super) async fn drain(socket: &Stream) {
    let drained = async {
        while socket.readable().await.is_ok() {
            match socket.try_discard(&mut [0; 512]) {
                Ok(0) => return,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
                _ => {}
            }
        }
    };
    // Whoever goes on sending after that is reset.
    let _ = timeout(LINGER, drained).await;
}

/// A socket is no longer one of the process's connections.
pub(super) fn ended(hub: &Hub, close: Option<Close>) {
    let code = close.map_or("none".to_owned(), |close| close.code().to_string());
    hub.metrics.connections_closed.with_label_values(&[&code]).inc();
    hub.metrics.connections.dec();
    hub.connections.fetch_sub(1, Ordering::Relaxed);
    hub.connection_ended.notify_waiters();
}

//! Drivers serve the sockets that can be read, or written again, and those for which something was queued:
//! a few tasks for all connections of the process, none for each. A connection that is idle costs no task.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::coop::unconstrained;
use tokio::time::sleep;

use super::connection::{Connection, Flushed, Turn, Written};
use super::stretch::Stretch;
use super::{ending, pass, requests};
use crate::protocol::Message;
use crate::room::Timestamp;

/// Reads and writes of one connection before others get a chance.
const TURNS: usize = 8;
/// A close frame that makes no way for this long is given up ...
const CLOSE: Duration = Duration::from_secs(10);
/// ... and after so many times that, although it makes some.
const CLOSES: u32 = 6;

/// The connections that want to be served, and the task that does it.
#[derive(Default)]
pub(super) struct Driver {
    rung: Mutex<Vec<Arc<Connection>>>,
    wake: Notify,
}

impl Driver {
    /// Serves this connection soon.
    pub(super) fn put(&self, connection: Arc<Connection>) {
        self.rung.lock().push(connection);
        self.wake.notify_one();
    }

    /// Runs for ever. Its yields are its own: a budget that ends inside of a turn would only ring again.
    pub(super) async fn run(self: Arc<Self>) {
        unconstrained(async {
            let mut rung = Vec::new();
            loop {
                self.wake.notified().await;
                std::mem::swap(&mut rung, &mut self.rung.lock());
                let mut stretch = Stretch::new();
                for connection in rung.drain(..) {
                    serve(&connection);
                    stretch.end_if_long().await;
                }
            }
        })
        .await;
    }
}

fn serve(connection: &Arc<Connection>) {
    if catch_unwind(AssertUnwindSafe(|| turn(connection))).is_err() {
        tracing::error!(room = %connection.handle.id, "a connection broke; it is closed");
        connection.abandon();
    }
    if connection.is_done() {
        leave(connection);
    } else if connection.is_closing() && !connection.watched.swap(true, Ordering::Relaxed) {
        tokio::spawn(watch(Arc::clone(connection)));
    }
}

fn turn(connection: &Arc<Connection>) {
    let mut cx = connection.answer_bell();
    let mut inbound = connection.inbound.lock();
    for _ in 0..TURNS {
        match connection.poll_turn(inbound.open, &mut cx) {
            Poll::Pending => return,
            Poll::Ready(Turn::Flush) => flush(connection),
            Poll::Ready(Turn::Read) => requests::read(connection, &mut inbound),
        }
        if connection.is_done() {
            return;
        }
    }
    connection.ring();
}

fn flush(connection: &Arc<Connection>) {
    count_written(connection, |now, written| connection.flush(now, written));
}

/// Answers a command without the driver's help.
pub(super) fn answer_at_once(connection: &Arc<Connection>, message: &Message) {
    count_written(connection, |now, written| {
        connection.answered_at_once(message, now, written)
    });
}

/// Sees to what a write for one connection came to.
fn count_written(connection: &Arc<Connection>, write: impl FnOnce(Timestamp, &mut Written) -> Flushed) {
    let handle = &connection.handle;
    let mut written = Written::default();
    if write(handle.hub.clock.now(), &mut written) == Flushed::Lost {
        pass::ask_for_keyframe(handle, connection);
    }
    handle.hub.metrics.bytes_out.inc_by(written.bytes);
    handle.hub.metrics.frames_written.inc_by(written.deltas);
}

/// Gives up its place in its room, once.
fn leave(connection: &Arc<Connection>) {
    let handle = &connection.handle;
    let now = handle.now();
    if handle.presence.lock().went(connection, now) && connection.socket.end() {
        let connection = Arc::clone(connection);
        tokio::spawn(async move { ending::drain(&connection.socket).await });
    }
}

/// A closing connection gets its close frame out, or is given up.
async fn watch(connection: Arc<Connection>) {
    for _ in 0..CLOSES {
        sleep(CLOSE).await;
        let written_at = Timestamp(connection.written_at.load(Ordering::Relaxed));
        let stood = connection.handle.hub.clock.now().since(written_at);
        if connection.is_done() || Duration::from_millis(stood) >= CLOSE {
            break;
        }
    }
    connection.abandon();
}

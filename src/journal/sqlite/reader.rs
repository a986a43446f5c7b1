//! The reading threads: each answers questions from one queue over a read-only connection of its own.

use rusqlite::Connection;

use super::queue::Queue;

/// A question that brings its own way of being answered.
pub(super) type Read = Box<dyn FnOnce(&Connection) + Send>;

/// Answers until the queue ends.
pub(super) fn run(db: Connection, reads: &Queue<Read>) {
    while let Some(read) = reads.wait() {
        read(&db);
    }
}

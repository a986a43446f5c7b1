//! A room's mailbox: four bounded lanes, drained in order with a share each. A full lane refuses its own
//! kind only.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::connection::Connection;
use super::person::Erased;
use super::{CommandError, Done};
use crate::protocol::{Close, Cursor, message::Joined};
use crate::room::{Actor, Command, Offset, Room, Timestamp, ViewerId};

/// The lanes, in the order in which they are drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Staff's commands and looks at the state.
    Staff,
    /// Claims, entries and joins.
    Rush,
    /// Looks of everybody else.
    Look,
    /// Comments.
    Talk,
}

impl Lane {
    const ALL: [Self; 4] = [Self::Staff, Self::Rush, Self::Look, Self::Talk];

    /// How much may wait. The rush lane holds what 15,000 viewers ask within one commit.
    fn capacity(self) -> usize {
        match self {
            Self::Staff => 1_024,
            Self::Rush => 20_000,
            Self::Look => 1_024,
            Self::Talk => 4_096,
        }
    }

    /// How much of it one batch takes; together 1,000.
    fn share(self) -> usize {
        match self {
            Self::Staff => 100,
            Self::Rush => 675,
            // Each is more work than a command.
            Self::Look => 25,
            Self::Talk => 200,
        }
    }

    /// The lane of a look.
    pub(super) fn of_look(actor: &Actor) -> Self {
        match actor {
            Actor::Viewer(_) => Self::Look,
            _ => Self::Staff,
        }
    }

    /// The lane of a command.
    pub(super) fn of(actor: &Actor, command: &Command) -> Self {
        match (actor, command) {
            (Actor::Viewer(_), Command::Comment(_) | Command::Rename(_)) => Self::Talk,
            (Actor::Viewer(_), _) => Self::Rush,
            _ => Self::Staff,
        }
    }
}

/// Where an answer goes.
pub(super) enum Reply {
    /// To whoever awaits it.
    Await(oneshot::Sender<Result<Done, CommandError>>),
    /// To a connection, for this request.
    Socket { connection: Arc<Connection>, re: u64 },
}

/// A look at the durable state, on the room's task.
pub(super) type Look = Box<dyn FnOnce(&Room, Timestamp) + Send>;

/// Whose data is erased.
#[derive(Clone, Copy)]
pub(super) enum Whose {
    Viewer(ViewerId),
    Everybody,
}

/// Data was erased from the log up to an offset: the rest is the task's.
pub(super) struct Erase {
    pub(super) whose: Whose,
    pub(super) after: Offset,
    pub(super) reply: oneshot::Sender<Result<Erased, CommandError>>,
}

/// What a room's task is asked to do.
pub(super) enum Work {
    Command {
        actor: Actor,
        command: Box<Command>,
        reply: Reply,
    },
    Look(Look),
    /// A connection joins; `joined` lacks what only the room knows.
    Join {
        connection: Joining,
        joined: Box<Joined>,
        cursor: Option<Cursor>,
    },
    /// A connection fell off the ring.
    Resync(Arc<Connection>),
    /// Something was erased from the log.
    Erase(Erase),
}

/// A connection on its way into a room. One that is not taken in, because the room's task ended or broke, is
/// closed: it comes back, and the room is loaded again.
pub(super) struct Joining {
    connection: Arc<Connection>,
    done: bool,
}

impl Joining {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            done: false,
        }
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The room has taken it in, or has told it why not.
    pub(super) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        if !self.done {
            self.connection.close(Close::Unavailable);
        }
    }
}

/// A full or closed mailbox gives the work back.
pub(super) enum Refused {
    Full(Work),
    Closed(Work),
}

/// The lanes and what waits in them.
#[derive(Default)]
pub(super) struct Mailbox {
    lanes: Mutex<Lanes>,
    waiting: Notify,
}

#[derive(Default)]
struct Lanes {
    queues: [VecDeque<Work>; Lane::ALL.len()],
    closed: bool,
}

impl Mailbox {
    /// Puts work into a lane.
    pub(super) fn put(&self, lane: Lane, work: Work) -> Result<(), Refused> {
        let mut lanes = self.lanes.lock();
        if lanes.closed {
            return Err(Refused::Closed(work));
        }
        let queue = &mut lanes.queues[lane as usize];
        if queue.len() >= lane.capacity() {
            return Err(Refused::Full(work));
        }
        queue.push_back(work);
        drop(lanes);
        self.waiting.notify_one();
        Ok(())
    }

    /// Waits until there is something.
    pub(super) async fn filled(&self) {
        loop {
            if self.len() > 0 || self.is_closed() {
                return;
            }
            self.waiting.notified().await;
        }
    }

    /// Nothing more comes, and the room's task ends.
    pub(super) fn is_closed(&self) -> bool {
        self.lanes.lock().closed
    }

    /// How much waits.
    pub(super) fn len(&self) -> usize {
        self.lanes.lock().queues.iter().map(VecDeque::len).sum()
    }

    /// Takes each lane's share.
    pub(super) fn drain(&self) -> Vec<Work> {
        let mut lanes = self.lanes.lock();
        let mut taken = Vec::new();
        for lane in Lane::ALL {
            let queue = &mut lanes.queues[lane as usize];
            let share = queue.len().min(lane.share());
            taken.extend(queue.drain(..share));
            if queue.is_empty() {
                queue.shrink_to(64);
            }
        }
        taken
    }

    /// Closes it if it is empty (or `even_if_filled`); what comes later is given back to the sender.
    pub(super) fn close(&self, even_if_filled: bool) -> bool {
        let mut lanes = self.lanes.lock();
        if even_if_filled || lanes.queues.iter().all(VecDeque::is_empty) {
            lanes.closed = true;
            lanes.queues = Default::default();
            self.waiting.notify_one();
        }
        lanes.closed
    }
}

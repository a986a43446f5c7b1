//! The sharded in-memory registry of rooms, one task per room, feeds and connections.

mod address;
mod burst;
mod connection;
mod count;
mod counts;
mod deflate;
mod driver;
mod echo;
mod ending;
mod erasure;
mod feed;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod greeting;
mod health;
mod inflow;
mod mailbox;
mod parking;
mod pass;
pub mod person;
mod presence;
mod reader;
pub(crate) mod record;
pub(crate) mod registry;
mod requests;
mod room_handle;
mod strain;
mod stream;
mod stretch;
mod task;

use std::any::Any;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use tokio::sync::{Notify, RwLock, oneshot};

use crate::auth::Auth;
use crate::clock::Clock;
use crate::journal::{Journal, ReadError};
use crate::limits::Share;
use crate::machine;
use crate::protocol::Close;
use crate::room::show::State;
use crate::room::{Actor, Answer, Command, Key, Luck, Offset, Refusal, Room, RoomId, Timestamp};
use crate::telemetry::Metrics;
pub use deflate::Wire;
use driver::Driver;
use mailbox::{Lane, Refused, Reply, Work};
use parking::Breaks;
pub use parking::Parked;
use registry::{Known, Place};
use room_handle::RoomHandle;
pub use stream::Stream;

/// Limits of the hub.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections of this process.
    pub connections_max: usize,
    /// Connections of one viewer, or one person of the staff, in one room.
    pub connections_per_viewer: usize,
    /// Viewers' connections in one room.
    pub connections_per_room: Option<usize>,
    /// Requests a second of one viewer, or one person of the staff, in one room.
    pub commands_per_viewer: u32,
    /// Messages a second of all viewers of one room.
    pub commands_per_room: u32,
    /// Messages a second of all viewers.
    pub commands_max: u32,
    /// Bytes a second that one viewer or person may send there.
    pub bytes_per_viewer: u32,
    /// Bytes a second of the messages of all viewers of one room.
    pub bytes_per_room: u32,
    /// Bytes a second of the messages of all viewers.
    pub bytes_max: u32,
    /// Rooms in memory at once.
    pub rooms_max: usize,
    /// Comments a second that reach a room's stage; `None` shows all.
    pub display_budget: Option<u32>,
    /// How long a show may be on air without staff before its room warns.
    pub unattended_ms: u64,
    /// Checks rates of comments and likes: off only for benches.
    pub rates: bool,
    /// Serves `/ws/echo`, which sends back what it gets: only for conformance suites.
    pub echo: bool,
    /// How long a full socket may take nothing before it is closed, ms.
    pub stall_ms: u64,
    /// The time between two pings to a connection, ms.
    pub ping_ms: u64,
    /// How long a pass over a big audience may wait for more to send, see `hub::pass`.
    pub linger_max: Duration,
}

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The room's rules say no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The lane of this kind of command is full.
    #[error("the room is busy")]
    Busy {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The journal takes no writes, or cannot be read.
    #[error("the journal takes no writes at the moment")]
    JournalUnavailable,
    /// The room broke again and again, and waits for an operator.
    #[error("the room is out of order until an operator has seen to it")]
    Parked,
    /// The server is going away.
    #[error("the server is restarting")]
    Draining,
}

/// A command that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// What the asker is told.
    pub answer: Answer,
    /// The room's offset after it.
    pub after: Offset,
}

/// A room as lists show it: what the catalogue knows without loading the room.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Listing {
    /// Its id.
    pub id: String,
    /// Title.
    pub title: String,
    /// Host's name.
    pub host: String,
    /// State: draft, scheduled, live, paused, ended.
    pub state: crate::room::show::State,
    /// Access: public, unlisted.
    pub access: crate::room::show::Access,
    /// Video or audio.
    pub kind: crate::room::show::Kind,
    /// Tags.
    pub tags: Vec<String>,
    /// File of the cover under `/covers/`.
    pub cover: Option<String>,
    /// Announced start, Unix ms.
    pub scheduled_at: Option<Timestamp>,
    /// Start, Unix ms.
    pub started_at: Option<Timestamp>,
    /// End, Unix ms.
    pub ended_at: Option<Timestamp>,
    /// Viewers watching now, as of the room's last batch.
    pub watching: u32,
    /// Since when the show has been on air without staff, Unix ms: a warning, after a while. For operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unattended_since: Option<Timestamp>,
    /// The room broke again and again, and waits for an operator. For operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Parked>,
    /// Made by a load test.
    pub test: bool,
}

/// What the handshake knows of a socket.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The room asked for; not a room's id: closed with `unknown_room` after the upgrade.
    pub room: Option<RoomId>,
    /// In which form it gets its messages.
    pub wire: Wire,
    /// The client's address, behind trusted proxies.
    pub address: IpAddr,
    /// Bytes that came glued to the handshake.
    pub early: Bytes,
    /// Dropped when the connection ends: the place that it takes among the process's sockets.
    pub held: Arc<dyn Any + Send + Sync>,
    /// Dropped at the hello: the place that it takes among those of its address who have not said it.
    pub unheard: Option<Arc<dyn Any + Send + Sync>>,
    /// What its address may send; none: its address is not limited.
    pub share: Option<Arc<Share>>,
}

/// The place of this node among several; there is one.
const NODE: u32 = 0;
/// How often work is offered again to a room that just left memory.
const OFFERS: usize = 3;
/// Over this time clients come back after a restart.
const COME_BACK_MS: u64 = 5_000;

/// All rooms of this process.
pub struct Hub {
    journal: Arc<dyn Journal>,
    auth: Arc<Auth>,
    /// Keys the hashes of addresses.
    address_secret: [u8; 32],
    clock: Clock,
    metrics: Metrics,
    limits: Limits,
    /// What all viewers may send.
    share: Share,
    catalogue: DashMap<String, Known>,
    rooms: DashMap<String, Arc<Place>>,
    /// Rooms whose logs are being removed: nobody loads or makes them meanwhile.
    removing: DashMap<String, ()>,
    breaks: Breaks,
    /// Held alone while something is erased, and by whoever makes a snapshot, which would bring it back.
    erasing: RwLock<()>,
    /// Unused parts of the journal's files may hold what was erased.
    unswept: AtomicBool,
    /// They serve the sockets, each its share.
    drivers: Vec<Arc<Driver>>,
    connections: AtomicU32,
    /// A connection has ended; while draining somebody waits for the last one.
    connection_ended: Notify,
    last_commit_ms: AtomicU32,
    ready: AtomicBool,
    draining: AtomicBool,
}

impl Hub {
    /// Reads the catalogue, and loads every room that is live, paused or has a deadline overdue.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub async fn open(
        journal: Arc<dyn Journal>,
        auth: Arc<Auth>,
        clock: Clock,
        metrics: Metrics,
        limits: Limits,
    ) -> Result<Arc<Self>, ReadError> {
        let hub = Arc::new(Self {
            journal,
            address_secret: auth.key_for("address"),
            auth,
            clock,
            metrics,
            share: Share::of_process(limits.commands_max, limits.bytes_max),
            limits,
            catalogue: DashMap::new(),
            rooms: DashMap::new(),
            removing: DashMap::new(),
            breaks: Breaks::default(),
            erasing: RwLock::default(),
            // A server that was killed may have left it so.
            unswept: AtomicBool::new(true),
            drivers: (0..machine::cores()).map(|_| Arc::default()).collect(),
            connections: AtomicU32::new(0),
            connection_ended: Notify::new(),
            last_commit_ms: AtomicU32::new(0),
            ready: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        });
        for driver in &hub.drivers {
            tokio::spawn(Arc::clone(driver).run());
        }
        hub.read_catalogue().await?;
        for id in hub.rooms_to_load(hub.clock.now(), true) {
            if let Err(error) = hub.load(&id).await {
                tracing::error!(room = %id, %error, "a room on air cannot be loaded");
            }
        }
        tokio::spawn(Self::wake_rooms(Arc::downgrade(&hub)));
        tokio::spawn(Self::keep_swept(Arc::downgrade(&hub)));
        hub.ready.store(true, Ordering::Release);
        Ok(hub)
    }

    /// Does a command in a room; [`Command::Create`] makes it. Resolves when it is durable.
    ///
    /// # Errors
    ///
    /// See [`CommandError`].
    pub async fn command(
        self: &Arc<Self>,
        room: &RoomId,
        actor: Actor,
        command: Command,
    ) -> Result<Done, CommandError> {
        if self.draining() {
            return Err(CommandError::Draining);
        }
        let lane = Lane::of(&actor, &command);
        let new = matches!(command, Command::Create(_) | Command::CreateFor(_));
        let (sender, receiver) = oneshot::channel();
        let work = Work::Command {
            actor,
            command: Box::new(command),
            reply: Reply::Await(sender),
        };
        self.put(room, new, lane, work).await?;
        receiver.await.unwrap_or(Err(CommandError::JournalUnavailable))
    }

    /// Reads a room's durable state, loading it if needed. `look` runs on the room's own task: keep it short.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownRoom`], or the journal cannot be read.
    pub async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        room: &RoomId,
        look: impl FnOnce(&Room, Timestamp) -> T + Send + 'static,
    ) -> Result<T, CommandError> {
        self.look(Lane::Look, room, look).await
    }

    /// The same for somebody: staff does not wait behind what strangers read.
    ///
    /// # Errors
    ///
    /// As for [`Hub::read`].
    pub async fn read_as<T: Send + 'static>(
        self: &Arc<Self>,
        actor: &Actor,
        room: &RoomId,
        look: impl FnOnce(&Room, Timestamp) -> T + Send + 'static,
    ) -> Result<T, CommandError> {
        self.look(Lane::of_look(actor), room, look).await
    }

    async fn look<T: Send + 'static>(
        self: &Arc<Self>,
        lane: Lane,
        room: &RoomId,
        look: impl FnOnce(&Room, Timestamp) -> T + Send + 'static,
    ) -> Result<T, CommandError> {
        let (sender, receiver) = oneshot::channel();
        let look = Work::Look(Box::new(move |room, now| {
            // Whoever asked may have gone.
            let _ = sender.send(look(room, now));
        }));
        self.put(room, false, lane, look).await?;
        receiver.await.map_err(|_| CommandError::JournalUnavailable)
    }

    /// Puts work into a room's mailbox, loading the room if it is not in memory.
    async fn put(self: &Arc<Self>, room: &RoomId, new: bool, lane: Lane, mut work: Work) -> Result<(), CommandError> {
        for _ in 0..OFFERS {
            let handle = if new {
                self.load_or_new(room).await?
            } else {
                self.load(room).await?
            };
            work = match handle.mailbox.put(lane, work) {
                Ok(()) => return Ok(()),
                Err(Refused::Full(_)) => return Err(CommandError::Busy { retry_after_ms: 1_000 }),
                Err(Refused::Closed(work)) => work,
            };
            self.forget(room, &handle);
        }
        Err(CommandError::Busy { retry_after_ms: 1_000 })
    }

    /// Every room there is, in order of id.
    pub fn rooms(&self) -> Vec<Listing> {
        let listed = self.catalogue.iter().map(|known| Listing {
            parked: self.breaks.parked(known.key()),
            // Of one that is not in memory the last pulse may be from before a crash.
            watching: match self.rooms.contains_key(known.key()) {
                true => known.listing.watching,
                false => 0,
            },
            ..known.listing.clone()
        });
        let mut rooms: Vec<_> = listed.collect();
        rooms.sort_by(|one, other| one.id.cmp(&other.id));
        rooms
    }

    /// What the catalogue knows of a room.
    pub fn listing(&self, room: &RoomId) -> Option<Listing> {
        self.catalogue.get(room.as_str()).map(|known| known.listing.clone())
    }

    /// Contact details of a draw's winners: (entry, JSON object of what they filled in).
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub async fn contacts(&self, room: &RoomId, draw: &Key) -> Result<Vec<(u32, Bytes)>, CommandError> {
        let prefix = format!("{draw}/");
        let contacts = self.journal.contacts(room.as_str(), &prefix).await.map_err(|error| {
            tracing::error!(%room, %error, "contact details cannot be read");
            CommandError::JournalUnavailable
        })?;
        let entry = |key: &str| key.strip_prefix(&prefix)?.parse().ok();
        Ok(contacts
            .into_iter()
            .filter_map(|(key, contact)| Some((entry(&key)?, contact)))
            .collect())
    }

    /// Removes a room and its log: only for rooms made by load tests, and drafts.
    ///
    /// # Errors
    ///
    /// [`Refusal::WrongState`] for other rooms.
    pub async fn remove(self: &Arc<Self>, room: &RoomId) -> Result<(), CommandError> {
        let Some(listing) = self.listing(room) else {
            return Err(Refusal::UnknownRoom.into());
        };
        if !listing.test && listing.state != State::Draft {
            return Err(Refusal::WrongState {
                reason: "only drafts and test rooms can be removed",
            }
            .into());
        }
        if self.removing.insert(room.to_string(), ()).is_some() {
            return Err(CommandError::Busy { retry_after_ms: 1_000 });
        }
        let removed = self.remove_whole(room).await;
        self.removing.remove(room.as_str());
        removed
    }

    /// Ends the room's task first: two writers must never be at one log.
    async fn remove_whole(&self, room: &RoomId) -> Result<(), CommandError> {
        let loaded = self.rooms.get(room.as_str()).and_then(|place| place.room().cloned());
        if let Some(handle) = loaded {
            handle.presence.lock().close_all(Close::UnknownRoom);
            handle.mailbox.close(true);
            // It fails only when the handle is gone, and with it the task.
            let _ = handle.over.subscribe().wait_for(|over| *over).await;
        }
        self.journal.remove(room.as_str()).await.map_err(|error| {
            tracing::error!(%room, %error, "the room cannot be removed");
            CommandError::JournalUnavailable
        })?;
        self.catalogue.remove(room.as_str());
        self.breaks.forget(room);
        self.count_parked();
        Ok(())
    }

    /// Loads a parked room once more, as whoever has seen to its trouble asks; one that is not parked stays as it
    /// is.
    ///
    /// # Errors
    ///
    /// [`CommandError::Parked`] when it broke again.
    pub async fn release(self: &Arc<Self>, room: &RoomId) -> Result<(), CommandError> {
        self.breaks.release(room, self.clock.now());
        self.count_parked();
        self.load(room).await.map(drop)
    }

    /// A room broke. Says whether it is parked now.
    fn broke(&self, room: &RoomId, reason: &str) -> bool {
        let parked = self.breaks.note(room, reason, self.clock.now());
        self.metrics.rooms_broken.inc();
        self.count_parked();
        if parked {
            tracing::error!(%room, reason, "a room broke again and again, and is parked until an operator tries again");
        } else {
            tracing::error!(%room, reason, "a room broke; it is rebuilt from its journal");
        }
        parked
    }

    fn count_parked(&self) {
        self.metrics.rooms_parked.set(self.breaks.count() as i64);
    }

    /// Holds one WebSocket connection until it ends. The handshake has been answered.
    pub async fn serve(self: Arc<Self>, socket: Stream, opened: Opened) {
        greeting::serve(self, socket, opened).await;
    }

    /// Whether the journal takes writes and every room that must be loaded is.
    pub fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) && !self.draining()
    }

    /// A commit of the journal took this long: shown on control pages.
    pub fn note_commit(&self, took: Duration) {
        self.last_commit_ms.store(took.as_millis() as u32, Ordering::Relaxed);
    }

    /// The driver of the next connection.
    fn driver(&self) -> Arc<Driver> {
        let next = self.connections() as usize % self.drivers.len();
        Arc::clone(&self.drivers[next])
    }

    fn last_commit_ms(&self) -> u32 {
        self.last_commit_ms.load(Ordering::Relaxed)
    }

    fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Open connections.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    fn loaded(&self) -> Vec<Arc<RoomHandle>> {
        self.rooms.iter().filter_map(|place| place.room().cloned()).collect()
    }

    /// Tells every connection to come back after a random delay, refuses commands, and returns when all
    /// connections are closed or `within` is over. What was acknowledged is durable before.
    pub async fn drain(&self, within: Duration) {
        self.draining.store(true, Ordering::Release);
        for handle in self.loaded() {
            handle.presence.lock().send_away(|| luck().below(COME_BACK_MS));
        }
        let emptied = async {
            loop {
                let ended = self.connection_ended.notified();
                if self.connections() == 0 {
                    return;
                }
                ended.await;
            }
        };
        if tokio::time::timeout(within, emptied).await.is_err() {
            tracing::warn!(
                connections = self.connections(),
                "connections were still open when the time to drain was over"
            );
        }
    }
}

/// Closes a WebSocket that no hub holds, with a code.
pub async fn turn_away(socket: Stream, close: Close) {
    ending::turn_away(&socket, close).await;
}

/// 32 bytes of the operating system.
pub(crate) fn luck() -> Luck {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system has random bytes");
    Luck::new(bytes)
}

impl CommandError {
    /// The stable code that clients branch on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Busy { .. } => "busy",
            Self::JournalUnavailable => "journal_unavailable",
            Self::Parked => "room_parked",
            Self::Draining => "restarting",
        }
    }

    /// After how many milliseconds the same may succeed, where that can be said.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Refused(refusal) => refusal.retry_after_ms(),
            Self::Busy { retry_after_ms } => Some(*retry_after_ms),
            Self::JournalUnavailable => Some(1_000),
            Self::Parked => Some(parking::COME_BACK_MS),
            Self::Draining => Some(COME_BACK_MS),
        }
    }
}

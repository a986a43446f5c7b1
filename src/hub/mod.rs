//! The sharded in-memory registry of rooms, one task per room, feeds and connections.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpStream;

use crate::auth::Auth;
use crate::clock::Clock;
use crate::journal::{Journal, ReadError};
use crate::protocol::Encoding;
use crate::room::{Actor, Answer, Command, Offset, Refusal, Room, RoomId, Timestamp};
use crate::telemetry::Metrics;

/// Limits of the hub.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections of this process.
    pub connections_max: usize,
    /// Rooms in memory at once.
    pub rooms_max: usize,
    /// Comments a second that reach a room's stage; `None` shows all.
    pub display_budget: Option<u32>,
    /// Checks rates of comments and likes: off only for benches.
    pub rates: bool,
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
    #[schema(value_type = String)]
    pub state: crate::room::show::State,
    /// Access: public, unlisted.
    #[schema(value_type = String)]
    pub access: crate::room::show::Access,
    /// Video or audio.
    #[schema(value_type = String)]
    pub kind: crate::room::show::Kind,
    /// Tags.
    pub tags: Vec<String>,
    /// File of the cover under `/covers/`.
    pub cover: Option<String>,
    /// Announced start, Unix ms.
    #[schema(value_type = Option<u64>)]
    pub scheduled_at: Option<Timestamp>,
    /// Start, Unix ms.
    #[schema(value_type = Option<u64>)]
    pub started_at: Option<Timestamp>,
    /// End, Unix ms.
    #[schema(value_type = Option<u64>)]
    pub ended_at: Option<Timestamp>,
    /// Viewers watching now, as of the room's last batch.
    pub watching: u32,
    /// Made by a load test.
    pub test: bool,
}

/// What the handshake knows of a socket.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The room asked for; not a room's id: closed with `unknown_room` after the upgrade.
    pub room: Option<RoomId>,
    /// By the subprotocol.
    pub encoding: Encoding,
    /// The client's address, behind trusted proxies.
    pub address: IpAddr,
    /// Bytes that came glued to the handshake.
    pub early: Bytes,
}

/// All rooms of this process.
pub struct Hub {}

impl Hub {
    /// Reads the catalogue, loads every live, paused or overdue room.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub async fn open(
        _journal: Arc<dyn Journal>,
        _auth: Arc<Auth>,
        _clock: Clock,
        _metrics: Metrics,
        _limits: Limits,
    ) -> Result<Arc<Self>, ReadError> {
        Ok(Arc::new(Self {}))
    }

    /// Does a command in a room; [`Command::Create`] makes it. Resolves when it is durable.
    ///
    /// # Errors
    ///
    /// See [`CommandError`].
    pub async fn command(&self, _room: &RoomId, _actor: Actor, _command: Command) -> Result<Done, CommandError> {
        Err(CommandError::JournalUnavailable)
    }

    /// Reads a room's durable state, loading it if needed. `look` runs on the room's own task: keep it short.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownRoom`], or the journal cannot be read.
    pub async fn read<T: Send + 'static>(
        &self,
        _room: &RoomId,
        _look: impl FnOnce(&Room, Timestamp) -> T + Send + 'static,
    ) -> Result<T, CommandError> {
        Err(CommandError::JournalUnavailable)
    }

    /// Every room there is, in order of id.
    pub fn rooms(&self) -> Vec<Listing> {
        Vec::new()
    }

    /// Contact details of a draw's winners: (entry, JSON object of what they filled in).
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub async fn contacts(&self, _room: &RoomId, _draw: &crate::room::Key) -> Result<Vec<(u32, Bytes)>, CommandError> {
        Err(CommandError::JournalUnavailable)
    }

    /// Removes a room and its log: only for rooms made by load tests, and drafts.
    ///
    /// # Errors
    ///
    /// [`Refusal::WrongState`] for other rooms.
    pub async fn remove(&self, _room: &RoomId) -> Result<(), CommandError> {
        Err(CommandError::JournalUnavailable)
    }

    /// Holds one WebSocket connection until it ends. The handshake has been answered.
    pub async fn serve(self: Arc<Self>, _socket: TcpStream, _opened: Opened) {}

    /// Whether the journal takes writes and every room that must be loaded is.
    pub fn ready(&self) -> bool {
        false
    }

    /// Tells every connection to come back after a random delay, refuses commands, flushes what was
    /// acknowledged, and returns when all connections are closed or `within` is over.
    pub async fn drain(&self, _within: std::time::Duration) {}
}

//! The messages: what a client asks, what the server tells.

use serde::{Deserialize, Serialize};

use crate::room::audience::Totals;
use crate::room::staff::Role;
use crate::room::stage::{Backstage, BackstageEvent, Mine, Stage, StageEvent};
use crate::room::{Answer, Command, Offset, Refusal, Timestamp, ViewerId};

/// Where a client was: the room's epoch, and the last offset that it has applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The unbroken life of the room's journal; below 2^53.
    pub epoch: u64,
    /// The last offset applied.
    pub offset: Offset,
}

/// Which feed a connection follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedKind {
    /// What viewers see.
    #[default]
    Stage,
    /// What staff see: needs a staff token with a role other than store.
    Backstage,
}

/// The first message of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hello {
    /// A viewer's, staff's or operator's token, or a store's own; a viewer without one gets one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The nickname; counts the first time that the room sees the viewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the client was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// Which feed.
    pub feed: FeedKind,
    /// Watches without being counted: previews and overlays. Staff tokens are never counted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub preview: bool,
    /// Where the viewer came from: `poster`, `article`, `friend` ... at most 40 of `[a-z0-9_-]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src: Option<String>,
}

/// What a page has, as it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The last offset applied.
    pub offset: Offset,
    /// The picture.
    pub picture: Picture,
    /// How far a picture that plays is behind its live edge, ms, where the page can know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_ms: Option<u32>,
}

/// What a page's picture does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Picture {
    /// It moves.
    Playing,
    /// It should move and does not.
    Stalled,
    /// There is none (audio, cover, lobby).
    None,
    /// The page is not visible: it counts nowhere.
    Hidden,
}

/// What a client sends, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `hello`.
    Hello(Hello),
    /// `ping`: asks the server's time.
    Ping,
    /// `like`, a note: taps on the heart, 1-30.
    Like {
        /// How many.
        taps: u32,
    },
    /// `seen`, a note: the answer to `ask_seen`.
    Seen(Seen),
    /// Everything else is a room's command.
    Command(Command),
}

/// A request, and the id under which it is answered. Notes (`like`, `seen`) have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// Chosen by the client, below 2^53.
    pub id: Option<u64>,
    /// What it asks.
    pub request: Request,
}

/// What the server sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The reply to `hello`. The keyframe or the missed deltas follow at once.
    Joined(Box<Joined>),
    /// A command was done, and is durable.
    Ok {
        /// The request's id.
        re: u64,
        /// The offset that the answer follows from.
        after: Offset,
        /// What is told.
        answer: Answer,
    },
    /// A request was refused.
    Err(Problem),
    /// The reply to `ping`.
    Pong {
        /// The request's id.
        re: u64,
        /// Server time.
        now: Timestamp,
    },
    /// The stage's state: replaces everything.
    Keyframe(Box<Keyframe<Stage>>),
    /// The backstage's state: replaces everything.
    BackstageKeyframe(Box<Keyframe<Backstage>>),
    /// What happened on stage.
    Delta(Delta<StageEvent>),
    /// What happened backstage.
    BackstageDelta(Delta<BackstageEvent>),
    /// Counts: latest-wins, they do not move the cursor.
    Pulse(Pulse),
    /// What concerns this viewer alone, whole.
    Mine {
        /// The offset that it follows from.
        after: Offset,
        /// All of it.
        mine: Mine,
    },
    /// The client was too slow: events up to the keyframe that follows were left out.
    Skipped {
        /// The last offset that was sent.
        from: Offset,
        /// The offset of the keyframe.
        to: Offset,
    },
    /// The server asks this page what it has; the answer is the note `seen`.
    AskSeen {},
    /// What viewers have, about once a second, to staff.
    Health(Health),
    /// The server goes away or puts the client off: come back after this time. A close follows.
    Bye {
        /// Chosen by the server, with jitter.
        retry_after_ms: u64,
    },
}

/// The answer to `hello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The request's id.
    pub re: u64,
    /// The room.
    pub room: String,
    /// Server time.
    pub now: Timestamp,
    /// The room's epoch.
    pub epoch: u64,
    /// Whether the client's cursor is continued: then only deltas follow, else a keyframe.
    pub resumed: bool,
    /// Who the client is, for a viewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewer: Option<ViewerId>,
    /// A viewer's token, to be kept and sent in later `hello`s: of a new viewer, or a new one in place of one of
    /// which more than half the time is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The role, for staff; an operator is a host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Mine, for a viewer.
    pub mine: Mine,
}

/// A refusal on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The request's id; absent where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub re: Option<u64>,
    /// The stable code that clients branch on.
    pub code: String,
    /// A sentence.
    pub message: String,
    /// After which time the same may succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The text that was refused, back to its author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Problem {
    /// A problem that is not a room's refusal.
    pub fn new(re: Option<u64>, code: &str, message: impl Into<String>) -> Self {
        Self {
            re,
            code: code.to_owned(),
            message: message.into(),
            retry_after_ms: None,
            text: None,
        }
    }

    /// A room's refusal; a comment's text goes back with it.
    pub fn refused(re: Option<u64>, refusal: &Refusal, command: &Command) -> Self {
        let text = match command {
            Command::Comment(post) => Some(post.text.clone()),
            Command::Rename(rename) => Some(rename.name.clone()),
            _ => None,
        };
        Self {
            re,
            code: refusal.code().to_owned(),
            message: refusal.to_string(),
            retry_after_ms: refusal.retry_after_ms(),
            text,
        }
    }
}

/// A feed's state at an offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyframe<S> {
    /// The room's epoch.
    pub epoch: u64,
    /// The offset at which it is true: the new cursor.
    pub offset: Offset,
    /// Server time at which it was made.
    pub at: Timestamp,
    /// The state.
    pub state: S,
}

/// What one batch brought to a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta<E> {
    /// The offset of the feed's delta before this one.
    pub follows: Offset,
    /// The new cursor.
    pub offset: Offset,
    /// Server time of the batch.
    pub at: Timestamp,
    /// What happened, in order.
    pub events: Vec<E>,
}

/// Counts as of an offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// The room's offset that the counts are of; ignore them if a newer keyframe or pulse was applied.
    pub as_of: Offset,
    /// Server time.
    pub at: Timestamp,
    /// The counts.
    pub totals: Totals,
}

/// What viewers actually have, for the control page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Sockets of this room on this node.
    pub connections: u32,
    /// Visible pages asked in the last rounds (at most 200 a round).
    pub asked: u32,
    /// Of these, pages that answered in time.
    pub answered: u32,
    /// Of these, pages whose picture moves.
    pub playing: u32,
    /// Of these, pages whose picture should move and does not.
    pub stalled: u32,
    /// Of these, pages that had the newest state.
    pub newest: u32,
    /// Median of how far the picture is behind its live edge, ms, of the playing pages that can know; absent if none
    /// can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind_ms: Option<u32>,
    /// 95th percentile of the time from asking to the answer, ms.
    pub p95_ms: u32,
    /// Time of the room's last commit, ms.
    pub commit_ms: u32,
    /// The journal takes writes.
    pub journal_ok: bool,
    /// The server is at its limit: fewer comments are shown than usual.
    pub thinned: bool,
}

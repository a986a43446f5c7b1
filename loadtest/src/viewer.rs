//! One light viewer: a socket, a cursor, a token, and bytes only while something is incomplete.

use std::time::Instant;

use hubbub::room::ViewerId;

use crate::follower::Follower;
use crate::link::Link;

/// Where a viewer is on the way to watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not there: not yet, or between two connections.
    Away,
    /// TCP connects.
    Connecting,
    /// The handshake is on its way.
    Upgrading,
    /// `hello` is on its way, or the keyframe.
    Joining,
    /// It follows the feed.
    Watching,
    /// It will not come back.
    Gone,
}

/// Why a viewer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coming {
    /// For the first time.
    First,
    /// After it was cut on purpose.
    Back,
    /// After the server or the network ended the connection.
    Again,
    /// After it was cut to ask for its code once more.
    ToAsk,
}

/// One viewer.
#[derive(Debug)]
pub(crate) struct Viewer {
    pub(crate) link: Option<Link>,
    pub(crate) stage: Stage,
    pub(crate) coming: Coming,
    pub(crate) follower: Follower,
    /// Who it is, once the server said so.
    pub(crate) id: Option<ViewerId>,
    /// Its lasting identity.
    pub(crate) token: Option<Box<str>>,
    /// When it was due to come.
    pub(crate) due: Instant,
    /// When it began to connect, and once it watches, since when.
    pub(crate) since: Instant,
    /// Attempts that failed in a row, and since when.
    pub(crate) failures: u32,
    pub(crate) failing_since: Option<Instant>,
    /// When a `bye` asked it to come back.
    pub(crate) asked_back_at: Option<Instant>,
    /// The beginning of a frame.
    pub(crate) partial: Vec<u8>,
}

impl Viewer {
    /// Somebody who has not come yet.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            link: None,
            stage: Stage::Away,
            coming: Coming::First,
            follower: Follower::default(),
            id: None,
            token: None,
            due: now,
            since: now,
            failures: 0,
            failing_since: None,
            asked_back_at: None,
            partial: Vec::new(),
        }
    }

    /// On the way to watching: such ones are bounded.
    pub(crate) fn is_on_the_way(&self) -> bool {
        matches!(self.stage, Stage::Connecting | Stage::Upgrading | Stage::Joining)
    }

    /// Ends the connection at once.
    pub(crate) fn cut(&mut self) {
        self.link = None;
        self.partial = Vec::new();
        self.stage = Stage::Away;
    }
}

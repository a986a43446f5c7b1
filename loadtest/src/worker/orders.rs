//! What threads share, what they are told to do, and what they tell.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use hubbub::room::{Key, Offset, RoomId};

use crate::server::Server;
use crate::talk::Marks;
use crate::wire::Form;

/// What all threads share.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) server: Server,
    /// The viewers are spread over them in turn.
    pub(crate) rooms: Vec<RoomId>,
    pub(crate) form: Form,
    pub(crate) sources: Vec<IpAddr>,
    pub(crate) threads: u32,
    pub(crate) seed: u64,
    /// Who lost the connection tries again at a moment of its own.
    pub(crate) jitter: bool,
    pub(crate) likes: f64,
    pub(crate) marks: Marks,
    /// The run's time 0, from which comments' marks count.
    pub(crate) start: Instant,
    /// The first viewer's hash of the bytes of each room's deltas.
    pub(crate) ledger: Mutex<HashMap<(usize, Offset), u64>>,
}

/// What a thread is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// All come, evenly within the time.
    Join { from: Instant, within: Duration },
    /// They comment, all together so often a second, and like.
    Talk {
        from: Instant,
        until: Instant,
        comments: f64,
    },
    /// Times are taken of what is due from then on, and forgotten of what was due before.
    TimeFrom(Instant),
    /// All are cut off, and stay away.
    Leave,
    /// All enter a draw, evenly within the time.
    Enter { draw: Key, from: Instant, within: Duration },
    /// So many of this thread claim, evenly within the time.
    Claim {
        discount: Key,
        askers: u32,
        from: Instant,
        within: Duration,
    },
    /// So many of this thread are cut off, and come back after the time.
    Storm { viewers: u32, away: Duration },
    /// Whoever has asked for a code is cut off, comes back, and asks again if it got one.
    AskAgain,
    /// From now on CPU time is counted, or not any more.
    Measure(bool),
    /// How far everybody is.
    Tell(Sender<Standing>),
}

/// How far everybody is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    /// Viewers who follow the feed.
    pub(crate) watching: u32,
    /// Viewers who are on the way, or will be.
    pub(crate) coming: u32,
    /// Viewers who were given up.
    pub(crate) gone: u32,
    /// Comments without an answer.
    pub(crate) commenting: u32,
    /// Other requests without an answer.
    pub(crate) asking: u32,
    /// The lowest offset of those who watch.
    pub(crate) lowest: Option<Offset>,
    /// The newest delta that anybody has had. A keyframe may stand above it, made of what no viewer is told.
    pub(crate) newest: Option<Offset>,
}

impl Standing {
    /// Everybody who watches has all that anybody has.
    pub(crate) fn is_level(&self) -> bool {
        let both = self.lowest.zip(self.newest);
        both.is_none_or(|(lowest, newest)| lowest >= newest)
    }

    /// Together with another thread's.
    pub(crate) fn and(self, other: Self) -> Self {
        let either = |a: Option<Offset>, b: Option<Offset>, choose: fn(Offset, Offset) -> Offset| match (a, b) {
            (Some(a), Some(b)) => Some(choose(a, b)),
            (one, other) => one.or(other),
        };
        Self {
            watching: self.watching + other.watching,
            coming: self.coming + other.coming,
            gone: self.gone + other.gone,
            commenting: self.commenting + other.commenting,
            asking: self.asking + other.asking,
            lowest: either(self.lowest, other.lowest, Offset::min),
            newest: either(self.newest, other.newest, Offset::max),
        }
    }
}

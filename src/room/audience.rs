//! Who watches: viewers and their numbers, presence, watch time, likes, and the pulse that brings them.
//!
//! Presence is known to the core only from pulses. A node reports who came and who left, the latter once
//! the grace has passed, with the time at which the last connection broke.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::show::{ShowEvent, State};
use super::{Decision, Event, Key, Personal, Refusal, Room, Timestamp, ViewerId, ViewerNo};

/// A viewer whose last connection broke counts as present for this long.
pub const GRACE_MS: u64 = 12_000;
/// A name may be changed once in this time.
pub const RENAME_MS: u64 = 60_000;
/// Arrivals and departures in one pulse, together.
pub const PULSE_CHANGES_MAX: usize = 2_000;

/// What the shell knows of a viewer who asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Lasting identity.
    pub id: ViewerId,
    /// The nickname they brought; it stands until they change it.
    pub name: Personal,
    /// Known to the store: the identity came from its own signed token.
    pub store: bool,
    /// The address from which they ask, keyed and masked.
    pub address: Address,
}

/// A network address as the core may know it: enough to count by, too little to find the person.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Address {
    /// Keyed hash of the IPv4 address or the IPv6 /64.
    pub key: u64,
    /// What the control page shows: `203.0.113.x`, `2001:db8:1:2::/64` with its last group masked.
    pub masked: String,
}

/// Changes the asker's nickname.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// 1-20 characters under the comment rules.
    pub name: String,
}

/// What one node has seen since its last pulse. Sums are numbered per node and run, so that one that is
/// reported twice counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// The node, and its run (random at start).
    pub node: u32,
    /// Random at each start of the node.
    pub run: u64,
    /// 1, 2, 3 ... in this run.
    pub number: u64,
    /// Taps on the heart since the last pulse.
    pub taps: u64,
    /// Who came, in order of time.
    pub arrived: Vec<Arrival>,
    /// Who left, in order of time.
    pub left: Vec<Departure>,
    /// The node started anew: whoever it had reported present under an earlier run, and who is not
    /// reported present by now, left at this time.
    pub forget_earlier_runs_at: Option<Timestamp>,
}

/// A viewer who came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// Who.
    pub id: ViewerId,
    /// The nickname they brought; counts only the first time.
    pub name: Personal,
    /// Known to the store.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub store: bool,
    /// When.
    pub at: Timestamp,
}

/// A viewer who left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// Who.
    pub id: ViewerId,
    /// When their last connection broke.
    pub at: Timestamp,
}

/// What happened in the audience.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudienceEvent {
    /// The log speaks of a viewer for the first time, because they asked for something before a pulse
    /// reported them. They get the next number.
    Met {
        /// Who.
        id: ViewerId,
        /// Their number, the next one.
        number: ViewerNo,
        /// Their nickname.
        name: Personal,
        /// Known to the store.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        store: bool,
    },
    /// A nickname was changed.
    Renamed {
        /// Whose.
        viewer: ViewerNo,
        /// To what.
        name: Personal,
    },
    /// A pulse: who came and left, and the totals after it, as the stage shows them.
    Pulsed {
        /// The node.
        node: u32,
        /// Its run.
        run: u64,
        /// Its number in the run.
        number: u64,
        /// Taps that it brings.
        taps: u64,
        /// Who came. Those not yet known get the next numbers, in this order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        arrived: Vec<Arrival>,
        /// Who left, also those forgotten with an earlier run.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<Departure>,
        /// The totals after it.
        totals: Totals,
    },
}

/// Everything that is latest-wins, as of a pulse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Different viewers present, those in the grace among them.
    pub watching: u32,
    /// Different viewers so far.
    pub viewers: u32,
    /// Likes so far.
    pub likes: u64,
    /// Claims left of each open discount.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub remaining: BTreeMap<Key, u32>,
    /// Entries of the open draw.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub entries: BTreeMap<Key, u32>,
}

/// One viewer as the room knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewer {
    /// Lasting identity.
    pub id: ViewerId,
    /// Nickname.
    pub name: Personal,
    /// Known to the store.
    pub store: bool,
    /// Last rename.
    pub renamed_at: Option<Timestamp>,
    /// Present since, if present (while not live it may be before the start).
    pub present_since: Option<Timestamp>,
    /// Watch time before `present_since`, ms, counted only while live.
    pub watched_ms: u64,
}

/// The audience's part of the room's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// By number: `viewers[n - 1]`.
    pub viewers: Vec<Viewer>,
    numbers: BTreeMap<ViewerId, ViewerNo>,
    /// The totals of the last pulse.
    pub totals: Totals,
    /// Most viewers present at once, and when.
    pub peak: Option<(u32, Timestamp)>,
    /// Last pulse number of each (node, run).
    pulses: BTreeMap<u32, (u64, u64)>,
    /// Since when the show is live without a pause, for watch time.
    live_since: Option<Timestamp>,
}

pub(super) fn rename(_room: &Room, _viewer: ViewerNo, _rename: &Rename, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn pulse(_room: &Room, _pulse: &Pulse, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

impl Audience {
    /// The viewer's number, and the event that makes them known if they are not.
    pub(super) fn meet(&self, _visitor: &Visitor, _now: Timestamp) -> (ViewerNo, Option<Event>) {
        (ViewerNo(0), None)
    }

    pub(super) fn apply(&mut self, _event: &AudienceEvent, _at: Timestamp, _state: State) {}

    /// Watch time counts only while the show is live.
    pub(super) fn show_changed(&mut self, _event: &ShowEvent, _at: Timestamp) {}
}

impl AudienceEvent {
    pub(super) fn personal(&mut self, each: &mut dyn FnMut(Option<ViewerNo>, &mut Personal)) {
        match self {
            Self::Met { number, name, .. } => each(Some(*number), name),
            Self::Renamed { viewer, name } => each(Some(*viewer), name),
            Self::Pulsed { arrived, .. } => arrived.iter_mut().for_each(|arrival| each(None, &mut arrival.name)),
        }
    }
}

impl Audience {
    /// The number of a viewer, once the log has spoken of them.
    pub fn number(&self, id: ViewerId) -> Option<ViewerNo> {
        self.numbers.get(&id).copied()
    }

    /// A viewer by number.
    pub fn viewer(&self, number: ViewerNo) -> Option<&Viewer> {
        self.viewers.get((number.0 as usize).checked_sub(1)?)
    }

    /// A viewer's watch time, with the time since they came.
    pub fn watched_ms(&self, _number: ViewerNo, _now: Timestamp) -> u64 {
        0
    }

    /// Watch time of all viewers together.
    pub fn watched_ms_total(&self, _now: Timestamp) -> u64 {
        0
    }
}

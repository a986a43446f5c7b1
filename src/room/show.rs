//! The show itself: what is shown about it, and its states `draft -> scheduled -> live <-> paused -> ended`.

use serde::{Deserialize, Deserializer, Serialize};

use super::stage::{ShowCard, StageEvent};
use super::{Actor, Decision, Event, Luck, Refusal, Room, Timestamp};

/// After End, this long can be undone.
pub const END_UNDO_MS: u64 = 10_000;
/// The longest checkout grace.
pub const GRACE_MS_MAX: u64 = 30 * 60_000;

/// Where a show stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Being prepared, without a date.
    #[default]
    Draft,
    /// Its start is announced; the page is a lobby.
    Scheduled,
    /// On air.
    Live,
    /// Live, with the picture interrupted; deadlines run on.
    Paused,
    /// Over, for good.
    Ended,
}

impl State {
    /// Live or paused: what a viewer may do while live is allowed.
    pub fn on_air(self) -> bool {
        matches!(self, Self::Live | Self::Paused)
    }
}

/// Picture or sound only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Video.
    #[default]
    Video,
    /// Sound: the page shows the cover.
    Audio,
}

/// Who may come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Everybody; listed on the landing page.
    #[default]
    Public,
    /// Whoever has the link.
    Unlisted,
}

/// Where the picture comes from. URLs are `https:`, or `http:` to the page's own host or a loopback one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A playlist, where the browser plays HLS by itself.
    Hls {
        /// Its address.
        url: String,
    },
    /// A WHEP endpoint.
    Whep {
        /// Its address.
        url: String,
    },
    /// An MP4 or WebM file.
    File {
        /// Its address.
        url: String,
    },
}

/// An entry of the menu that stands on the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// What it says, 1-40 characters.
    pub label: String,
    /// Where it leads, `https:` or `http:`.
    pub url: String,
}

/// What the host wants to reach; shown on the control page beside the numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Goals {
    /// Viewers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viewers: Option<u32>,
    /// Comments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comments: Option<u32>,
    /// Likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub likes: Option<u32>,
    /// Discounts claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<u32>,
}

/// An uploaded picture, served by the shell from its own hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cover {
    /// `{sha256 in hex}.{jpg|png|webp}`: the file's name under `/covers/`.
    pub file: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// All that is shown about a show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// 1-80 characters.
    pub title: String,
    /// At most 2,000 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The name under which the host speaks, 1-20 characters.
    pub host: String,
    /// Picture or sound only.
    pub kind: Kind,
    /// Who may come in.
    pub access: Access,
    /// At most 5, without `#`, 1-30 characters each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The announced start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Timestamp>,
    /// Where the picture comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The cover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cover: Option<Cover>,
    /// The menu, at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// What the host wants to reach. Not shown to viewers.
    #[serde(default)]
    pub goals: Goals,
    /// Made by a load test: never listed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
}

/// Makes the room. The same again is a retry; another body is a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// What is shown about it.
    pub details: Details,
}

/// Changes what is given; `null` clears what may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of `Details`")]
pub struct Change {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub scheduled_at: Option<Option<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub source: Option<Option<Source>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub cover: Option<Option<Cover>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links: Option<Vec<Link>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goals: Option<Goals>,
}

/// Tells `null` (clear it) from an absent field (leave it).
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// Ends the show in [`END_UNDO_MS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct End {
    /// How long after the end codes can still be used, at most [`GRACE_MS_MAX`].
    pub grace_ms: u64,
    /// What becomes of a draw that is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_draw: Option<OpenDrawAtEnd>,
}

/// What becomes of a draw that is open when the show ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenDrawAtEnd {
    /// It is locked at the end and drawn.
    Draw,
    /// It is cancelled.
    Cancel,
}

/// What happened to the show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShowEvent {
    /// The room was made: its first event.
    Created {
        /// What is shown about it.
        details: Details,
    },
    /// Something about it was changed; the state may become scheduled or draft with the date.
    Changed(Change),
    /// It went on air.
    Started {},
    /// It was interrupted.
    Paused {},
    /// It went on.
    Resumed {},
    /// The host ended it; it takes effect at `ends_at` unless undone.
    Ending {
        /// When.
        ends_at: Timestamp,
        /// How long after the end codes can still be used.
        grace_ms: u64,
        /// What becomes of an open draw.
        open_draw: Option<OpenDrawAtEnd>,
    },
    /// The end was taken back.
    EndUndone {},
    /// It is over. `due` is when it should have been, the batch says when it was.
    Ended {
        /// When it was due.
        due: Timestamp,
        /// Until when codes can be used.
        redeem_until: Timestamp,
    },
}

/// The show's part of the room's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Show {
    /// What is shown about it.
    pub details: Details,
    state: State,
    /// First start.
    pub started_at: Option<Timestamp>,
    /// Final end.
    pub ended_at: Option<Timestamp>,
    /// An end that can still be undone.
    pub ending: Option<Ending>,
    /// Until when codes can be used, once ended.
    pub redeem_until: Option<Timestamp>,
    /// Live time before `live_since`, without pauses, ms.
    pub live_ms_before: u64,
    /// Since when it has been live without a pause.
    pub live_since: Option<Timestamp>,
}

/// An end that was asked for and can still be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// When it takes effect.
    pub ends_at: Timestamp,
    /// How long after the end codes can still be used.
    pub grace_ms: u64,
    /// What becomes of an open draw.
    pub open_draw: Option<OpenDrawAtEnd>,
}

impl Show {
    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }
}

pub(super) fn create(_actor: &Actor, _create: &Create) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn create_again(_room: &Room, _create: &Create) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn change(_room: &Room, _change: &Change, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn start(_room: &Room, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn pause(_room: &Room, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn resume(_room: &Room, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn end(_room: &Room, _actor: &Actor, _end: &End, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn undo_end(_room: &Room, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn due(_room: &Room, _due: Timestamp, _now: Timestamp, _luck: &mut Luck) -> Vec<Event> {
    Vec::new()
}

impl Show {
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        None
    }

    pub(super) fn apply(&mut self, _event: &ShowEvent, _at: Timestamp) {}
}

impl Show {
    /// The show as the stage has it.
    pub(super) fn card(&self) -> ShowCard {
        ShowCard {
            details: self.details.clone(),
            state: self.state,
            started_at: self.started_at,
            live_ms: self.live_ms_before,
            live_since: self.live_since,
            ends_at: self.ending.map(|ending| ending.ends_at),
            ended_at: self.ended_at,
            redeem_until: self.redeem_until,
        }
    }

    /// Live time so far, without pauses.
    pub fn live_ms(&self, now: Timestamp) -> u64 {
        self.live_ms_before + self.live_since.map_or(0, |since| now.since(since))
    }
}

impl ShowEvent {
    pub(super) fn stage(&self) -> Option<StageEvent> {
        None
    }
}

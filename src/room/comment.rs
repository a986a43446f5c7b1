//! Comments and their moderation: text rules, rates, modes, deletion with undo, mute, pin, and the display
//! budget with its journaled sample.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::audience::Audience;
use super::audience::Visitor;
use super::staff::By;
use super::stage::{Act, MutedViewer, StaffOnly, StageEvent};
use super::text::BlockedWords;
use super::{Actor, Answer, Decision, Event, Luck, Offset, PersonId, Personal, Refusal, Room, Timestamp, ViewerNo};

/// Longest comment, in characters as a person counts them (extended grapheme clusters).
pub const TEXT_MAX: usize = 200;
/// Rate without slow mode: this many ...
pub const RATE_COMMENTS: usize = 5;
/// ... in this time.
pub const RATE_WINDOW_MS: u64 = 10_000;
/// Nonces remembered for each viewer.
pub const NONCES_KEPT: usize = 32;
/// A deletion can be undone for this long.
pub const UNDO_MS: u64 = 10_000;
/// Comments that a keyframe carries.
pub const KEYFRAME_COMMENTS: usize = 50;
/// Comments kept for moderation.
pub const RECENT_COMMENTS: usize = 2_000;
/// People can read about this many comments a second (product.md); the default display budget.
pub const DISPLAY_BUDGET: u32 = 8;

/// Posts a comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Post {
    /// 1-40 characters, chosen by the client: a retry with the same one does not post twice.
    pub nonce: String,
    /// 1-[`TEXT_MAX`] characters.
    pub text: String,
}

/// Deletes one comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// Which.
    pub comment: Offset,
}

/// Deletes all comments of a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteAll {
    /// Whose.
    pub viewer: ViewerNo,
}

/// Takes one's own deletion back, within [`UNDO_MS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// Offset of the deletion, from its answer.
    pub deletion: Offset,
}

/// Mutes a viewer for 10 s .. 24 h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mute {
    /// Whom.
    pub viewer: ViewerNo,
    /// For how long, 10,000-86,400,000.
    pub for_ms: u64,
}

/// Lets a viewer speak again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unmute {
    /// Whom.
    pub viewer: ViewerNo,
}

/// Pins a comment in place of the one pinned before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Which.
    pub comment: Offset,
    /// For how long, 1,000-86,400,000; until unpinned if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
}

/// Changes what is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SetModes {
    /// One comment in this time, 1,000-300,000; 0 switches slow mode off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_ms: Option<u64>,
    /// The panic button.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comments_off: Option<bool>,
}

/// Replaces the room's blocked words: at most 500 of 1-50 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetBlockedWords {
    /// All of them.
    pub words: Vec<String>,
}

/// Changes how many comments a second reach the stage; the server lowers it under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetDisplayBudget {
    /// Comments a second; `None` shows all.
    pub per_second: Option<u32>,
}

/// Who wrote a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// A viewer.
    Viewer(ViewerNo),
    /// Staff, or an operator speaking as the host.
    Staff(PersonId),
}

/// What stands beside a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Badge {
    /// The host.
    Host,
    /// An assistant.
    Assistant,
    /// Known to the store.
    Member,
}

/// A comment as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Its offset, which is its id.
    pub id: Offset,
    /// The author's number; absent for staff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ViewerNo>,
    /// The name under which it was posted.
    pub name: Personal,
    /// What stands beside the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub badge: Option<Badge>,
    /// What it says.
    pub text: Personal,
    /// When, if not with the batch that brings it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// Whether a comment reaches the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// With its own event.
    Stage,
    /// It waits for the sample of its second.
    Waiting,
    /// It entered a draw while it could not be shown (muted mode, rate, budget): never on stage.
    EntryOnly,
}

/// What happened to comments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommentEvent {
    /// One was posted; its offset is its id.
    Posted {
        /// Who.
        by: Author,
        /// The client's nonce.
        nonce: String,
        /// The name under which it was posted.
        name: Personal,
        /// What stands beside the name.
        badge: Option<Badge>,
        /// What it says.
        text: Personal,
        /// Whether it is shown.
        standing: Standing,
    },
    /// A busy second's sample: of `n` that waited, these are shown.
    Sampled {
        /// The chosen ones, in order, at most the budget.
        shown: Vec<Shown>,
        /// How many waited.
        n: u32,
    },
    /// Comments were deleted.
    Deleted {
        /// Which.
        comments: Vec<Offset>,
        /// By whom.
        by: By,
    },
    /// A deletion was taken back.
    Restored {
        /// Which.
        deletion: Offset,
        /// Those that had been on stage, to be shown again in their old places.
        shown: Vec<Shown>,
        /// By whom.
        by: By,
    },
    /// A viewer was muted.
    Muted {
        /// Whom.
        viewer: ViewerNo,
        /// Until when.
        until: Timestamp,
        /// By whom.
        by: By,
    },
    /// A viewer may speak again.
    Unmuted {
        /// Whom.
        viewer: ViewerNo,
        /// By whom.
        by: By,
    },
    /// A comment was pinned.
    Pinned {
        /// As it is shown.
        shown: Shown,
        /// Until when, if not until unpinned.
        until: Option<Timestamp>,
        /// By whom.
        by: By,
    },
    /// Nothing is pinned any more.
    Unpinned {
        /// By whom; the server when its time was over or the comment was deleted.
        by: By,
    },
    /// The modes are these now.
    ModesSet {
        /// All of them.
        modes: Modes,
        /// By whom.
        by: By,
    },
    /// The room's blocked words are these now.
    BlockedWordsSet {
        /// All of them.
        words: Vec<String>,
        /// By whom.
        by: By,
    },
    /// The display budget is this now.
    DisplayBudgetSet {
        /// Comments a second; `None` shows all.
        per_second: Option<u32>,
    },
}

/// Rules that all clients see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modes {
    /// One comment in this time, if slow mode is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_ms: Option<u64>,
    /// Nobody but staff may comment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub comments_off: bool,
}

/// The comments' part of the room's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comments {
    /// The modes.
    pub modes: Modes,
    /// The room's blocked words.
    pub blocked_words: BlockedWords,
    /// All that were posted.
    pub posted: u64,
    /// The last [`KEYFRAME_COMMENTS`] on stage, oldest first.
    pub on_stage: VecDeque<Shown>,
    /// What is pinned.
    pub pinned: Option<Shown>,
}

pub(super) fn post_by_viewer(
    _room: &Room,
    _viewer: ViewerNo,
    _visitor: &Visitor,
    _post: &Post,
    _first: Offset,
    _now: Timestamp,
    _luck: &mut Luck,
) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn post_by_staff(_room: &Room, _actor: &Actor, _post: &Post, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn delete(_room: &Room, _actor: &Actor, _delete: &Delete, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn delete_all(
    _room: &Room,
    _actor: &Actor,
    _delete: &DeleteAll,
    _now: Timestamp,
) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn restore(_room: &Room, _actor: &Actor, _restore: &Restore, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn mute(_room: &Room, _actor: &Actor, _mute: &Mute, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn unmute(_room: &Room, _actor: &Actor, _unmute: &Unmute, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn pin(_room: &Room, _actor: &Actor, _pin: &Pin, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn set_modes(_room: &Room, _actor: &Actor, _modes: &SetModes, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn set_blocked_words(
    _room: &Room,
    _actor: &Actor,
    _words: &SetBlockedWords,
    _now: Timestamp,
) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn unpin(_room: &Room, _actor: &Actor, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn set_display_budget(
    _room: &Room,
    _budget: &SetDisplayBudget,
    _now: Timestamp,
) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn due(_room: &Room, _due: Timestamp, _now: Timestamp, _luck: &mut Luck) -> Vec<Event> {
    Vec::new()
}

impl Comments {
    /// Keeps a moderation act for the backstage, also one of another family.
    pub(super) fn keep_act(&mut self, _act: Option<Act>) {}

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        None
    }

    pub(super) fn apply(&mut self, _event: &CommentEvent, _offset: Offset, _at: Timestamp) {}
}

impl CommentEvent {
    pub(super) fn personal(&mut self, each: &mut dyn FnMut(Option<ViewerNo>, &mut Personal)) {
        let mut shown_one = |shown: &mut Shown| {
            each(shown.by, &mut shown.name);
            each(shown.by, &mut shown.text);
        };
        match self {
            Self::Posted { by, name, text, .. } => {
                let viewer = match by {
                    Author::Viewer(viewer) => Some(*viewer),
                    Author::Staff(_) => None,
                };
                each(viewer, name);
                each(viewer, text);
            }
            Self::Sampled { shown, .. } | Self::Restored { shown, .. } => shown.iter_mut().for_each(shown_one),
            Self::Pinned { shown, .. } => shown_one(shown),
            Self::Deleted { .. }
            | Self::Muted { .. }
            | Self::Unmuted { .. }
            | Self::Unpinned { .. }
            | Self::ModesSet { .. }
            | Self::BlockedWordsSet { .. }
            | Self::DisplayBudgetSet { .. } => {}
        }
    }
}

impl Comments {
    /// The last comments that are not on stage.
    pub(super) fn offstage(&self) -> Vec<Shown> {
        Vec::new()
    }

    /// The last moderation acts.
    pub(super) fn acts(&self) -> Vec<Act> {
        Vec::new()
    }

    /// Viewers who are muted.
    pub(super) fn muted(&self, _audience: &Audience, _now: Timestamp) -> Vec<MutedViewer> {
        Vec::new()
    }

    /// Comments a second that reach the stage.
    pub fn display_budget(&self) -> Option<u32> {
        None
    }

    /// Muted until, next comment at, and own comments that the stage does not show.
    pub(super) fn mine(
        &self,
        _viewer: ViewerNo,
        _now: Timestamp,
    ) -> (Option<Timestamp>, Option<Timestamp>, Vec<Shown>) {
        (None, None, Vec::new())
    }
}

impl CommentEvent {
    pub(super) fn stage(&self, _offset: Offset) -> Option<StageEvent> {
        None
    }

    pub(super) fn staff_only(&self, _offset: Offset, _at: Timestamp) -> Vec<StaffOnly> {
        Vec::new()
    }
}

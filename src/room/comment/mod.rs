//! Comments and their moderation: text rules, rates, modes, deletion with undo, mute, pin, and the display
//! budget with its journaled sample.

mod rules;
mod state;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::staff::By;
use super::stage::{Act, ActKind, StaffOnly, StageEvent};
use super::{Key, Offset, PersonId, Personal, Timestamp, ViewerNo};

pub(super) use rules::{
    delete, delete_all, due, mute, pin, post_by_staff, post_by_viewer, restore, set_blocked_words, set_display_budget,
    set_modes, unmute, unpin,
};
pub use state::Comments;

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
/// People can read about this many comments a second: the default display budget.
pub const DISPLAY_BUDGET: u32 = 8;
/// What the comments of a keyframe take at most. Fifty of 60 Chinese characters take 14 KiB; 24 of 64 KiB leave
/// 40 for the show's details (16 at worst), the cards and the pinned comment.
pub const KEYFRAME_COMMENT_BYTES: usize = 24 * 1024;
/// A room's blocked words.
pub const BLOCKED_WORDS_MAX: usize = 500;
/// Slow mode: one comment in this time.
pub const SLOW_MS: RangeInclusive<u64> = 1_000..=300_000;
/// How long a viewer can be muted: 10 s to 24 h.
pub const MUTE_MS: RangeInclusive<u64> = 10_000..=86_400_000;
/// How long a comment can be pinned: 1 s to 24 h.
pub const PIN_MS: RangeInclusive<u64> = 1_000..=86_400_000;
/// Longest nonce.
const NONCE_BYTES_MAX: usize = 40;
/// A comment in a keyframe without its texts: `{"id":...,"by":...,"name":"","badge":"assistant","text":"","at":...},`.
const SHOWN_BYTES: usize = 120;
/// Deletions that are remembered; at more than ten a second the oldest cannot be undone.
const DELETIONS_KEPT: usize = 100;
/// Moderation acts that the backstage shows.
const ACTS_KEPT: usize = 50;
/// Comments off the stage that the backstage shows.
const OFFSTAGE_SHOWN: usize = 50;
/// Muted viewers that the backstage shows.
const MUTED_SHOWN: usize = 50;
/// Own comments off the stage that a viewer is shown.
const MINE_OFFSTAGE: usize = 10;

/// Posts a comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Which.
    pub comment: Offset,
    /// For how long, 1,000-86,400,000; until unpinned if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
}

/// Changes what is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
        /// The draw whose phrase it is, entered by it or before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entered: Option<Key>,
    },
    /// A busy second's sample: of `n` that waited, these are shown.
    Sampled {
        /// The chosen ones, in order, at most the budget.
        shown: Vec<Shown>,
        /// How many waited.
        n: u32,
        /// How many more viewers' comments the same second showed at once.
        #[serde(default)]
        at_once: u32,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Modes {
    /// One comment in this time, if slow mode is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_ms: Option<u64>,
    /// Nobody but staff may comment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub comments_off: bool,
}

impl Shown {
    /// It says something: what was erased does not.
    pub(super) fn is_said(&self) -> bool {
        !self.text.as_str().is_empty()
    }
}

fn shown(
    id: Offset,
    by: Author,
    name: &Personal,
    badge: Option<Badge>,
    text: &Personal,
    at: Option<Timestamp>,
) -> Shown {
    Shown {
        id,
        by: match by {
            Author::Viewer(viewer) => Some(viewer),
            Author::Staff(_) => None,
        },
        name: name.clone(),
        badge,
        text: text.clone(),
        at,
    }
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

impl CommentEvent {
    pub(super) fn stage(&self, offset: Offset) -> Option<StageEvent> {
        match self {
            Self::Posted {
                by,
                name,
                badge,
                text,
                standing: Standing::Stage,
                ..
            } => Some(StageEvent::Comment(shown(offset, *by, name, *badge, text, None))),
            Self::Sampled { shown, n, at_once } => Some(StageEvent::Sampled {
                comments: shown.clone(),
                shown: at_once + shown.len() as u32,
                n: at_once + n,
            }),
            Self::Deleted { comments, .. } => Some(StageEvent::Deleted {
                comments: comments.clone(),
            }),
            Self::Restored { shown, .. } if shown.is_empty() => None,
            Self::Restored { shown, .. } => Some(StageEvent::Restored {
                comments: shown.clone(),
            }),
            Self::Pinned { shown, .. } => Some(StageEvent::Pinned(shown.clone())),
            Self::Unpinned { .. } => Some(StageEvent::Unpinned {}),
            Self::ModesSet { modes, .. } => Some(StageEvent::Modes(*modes)),
            Self::Posted { .. }
            | Self::Muted { .. }
            | Self::Unmuted { .. }
            | Self::BlockedWordsSet { .. }
            | Self::DisplayBudgetSet { .. } => None,
        }
    }

    /// The moderation act that it is, if somebody did it.
    fn act(&self, offset: Offset, at: Timestamp) -> Option<Act> {
        let (by, what) = match self {
            Self::Deleted { comments, by } => {
                let comments = comments.clone();
                (by, ActKind::Deleted { comments })
            }
            Self::Restored { deletion, by, .. } => (by, ActKind::Restored { deletion: *deletion }),
            Self::Muted { viewer, until, by } => {
                let (viewer, until) = (*viewer, *until);
                (by, ActKind::Muted { viewer, until })
            }
            Self::Unmuted { viewer, by } => (by, ActKind::Unmuted { viewer: *viewer }),
            Self::Pinned { shown, by, .. } => (by, ActKind::Pinned { comment: shown.id }),
            Self::Unpinned { by } if *by != By::Server => (by, ActKind::Unpinned {}),
            Self::ModesSet { modes, by } => (by, ActKind::Modes(*modes)),
            Self::BlockedWordsSet { words, by } => {
                let count = words.len() as u32;
                (by, ActKind::BlockedWords { count })
            }
            Self::Posted { .. } | Self::Sampled { .. } | Self::Unpinned { .. } | Self::DisplayBudgetSet { .. } => {
                return None;
            }
        };
        let (id, by) = (offset, *by);
        Some(Act { id, at, by, what })
    }

    pub(super) fn staff_only(&self, offset: Offset, at: Timestamp) -> Vec<StaffOnly> {
        let own = match self {
            Self::Posted {
                by,
                name,
                badge,
                text,
                standing: Standing::Waiting | Standing::EntryOnly,
                ..
            } => Some(StaffOnly::Offstage(shown(offset, *by, name, *badge, text, None))),
            Self::BlockedWordsSet { words, .. } => Some(StaffOnly::BlockedWords { words: words.clone() }),
            Self::DisplayBudgetSet { per_second } => Some(StaffOnly::DisplayBudget {
                per_second: *per_second,
            }),
            _ => None,
        };
        let act = self.act(offset, at).map(StaffOnly::Act);
        own.into_iter().chain(act).collect()
    }
}

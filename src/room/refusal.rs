//! Why a command is not done.

use super::{Offset, Timestamp};

/// Why a room refuses a command: a closed set, with the values that the asker needs. The stable code is
/// [`Refusal::code`]; the sentence is its `Display`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the sentence of each variant is its documentation")]
pub enum Refusal {
    #[error("there is no such room")]
    UnknownRoom,
    #[error("a room of this name exists already")]
    RoomExists,
    #[error("you are not allowed to do this")]
    NotAllowed,
    #[error("the field `{field}` {reason}")]
    BadField { field: &'static str, reason: &'static str },
    #[error("the text {reason}")]
    BadText { reason: &'static str },
    #[error("the show is not live")]
    NotLive,
    #[error("the show has ended")]
    Ended,
    #[error("this cannot be done now: {reason}")]
    WrongState { reason: &'static str },
    #[error("slow mode: one comment every {every_ms} ms")]
    SlowMode { every_ms: u64, retry_after_ms: u64 },
    #[error("too fast")]
    RateLimited { retry_after_ms: u64 },
    #[error("the text contains a blocked word")]
    BlockedWord,
    #[error("you are muted")]
    Muted { retry_after_ms: u64 },
    #[error("comments are off")]
    CommentsOff,
    #[error("this name belongs to the staff")]
    NameTaken,
    #[error("there is no comment {comment}, or it is too old")]
    UnknownComment { comment: Offset },
    #[error("there is no such viewer")]
    UnknownViewer,
    #[error("there is no such person on the staff")]
    UnknownPerson,
    #[error("the invitation is unknown, used, revoked or expired")]
    UnknownInvitation,
    #[error("there is no such draw")]
    UnknownDraw,
    #[error("there is no such entry")]
    UnknownEntry,
    #[error("there is no such discount")]
    UnknownDiscount,
    #[error("it is too late to undo this")]
    UndoOver,
    #[error("the same id was used with other contents")]
    IdempotencyConflict,
    #[error("it is not open yet")]
    NotOpen { opens_at: Option<Timestamp> },
    #[error("it is closed")]
    Closed,
    #[error("the draw is locked")]
    Locked,
    #[error("sold out")]
    SoldOut,
    #[error("you have your share already")]
    LimitReached,
    #[error("too many from this address")]
    TooManyHere,
    #[error("only viewers known to the store count here")]
    StoreOnly,
    #[error("you have not watched long enough")]
    WatchLonger { retry_after_ms: u64 },
    #[error("this draw is entered by its phrase")]
    PhraseNeeded,
    #[error("you did not win this")]
    NotAWinner,
    #[error("the deadline has passed")]
    TooLate,
    #[error("the room has all the {what} it can hold: {max}")]
    Full { what: &'static str, max: u64 },
}

impl Refusal {
    /// The stable code that clients branch on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownRoom => "unknown_room",
            Self::RoomExists => "room_exists",
            Self::NotAllowed => "not_allowed",
            Self::BadField { .. } => "bad_field",
            Self::BadText { .. } => "bad_text",
            Self::NotLive => "not_live",
            Self::Ended => "ended",
            Self::WrongState { .. } => "wrong_state",
            Self::SlowMode { .. } => "slow_mode",
            Self::RateLimited { .. } => "rate_limited",
            Self::BlockedWord => "blocked_word",
            Self::Muted { .. } => "muted",
            Self::CommentsOff => "comments_off",
            Self::NameTaken => "name_taken",
            Self::UnknownComment { .. } => "unknown_comment",
            Self::UnknownViewer => "unknown_viewer",
            Self::UnknownPerson => "unknown_person",
            Self::UnknownInvitation => "unknown_invitation",
            Self::UnknownDraw => "unknown_draw",
            Self::UnknownEntry => "unknown_entry",
            Self::UnknownDiscount => "unknown_discount",
            Self::UndoOver => "undo_over",
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::NotOpen { .. } => "not_open",
            Self::Closed => "closed",
            Self::Locked => "locked",
            Self::SoldOut => "sold_out",
            Self::LimitReached => "limit_reached",
            Self::TooManyHere => "too_many_here",
            Self::StoreOnly => "store_only",
            Self::WatchLonger { .. } => "watch_longer",
            Self::PhraseNeeded => "phrase_needed",
            Self::NotAWinner => "not_a_winner",
            Self::TooLate => "too_late",
            Self::Full { .. } => "full",
        }
    }

    /// After how many milliseconds the same command may succeed, where that can be said.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::SlowMode { retry_after_ms, .. }
            | Self::RateLimited { retry_after_ms }
            | Self::Muted { retry_after_ms }
            | Self::WatchLonger { retry_after_ms } => Some(*retry_after_ms),
            _ => None,
        }
    }
}

//! Comments and their moderation: text rules, rates, modes, deletion with undo, mute, pin, and the display
//! budget with its journaled sample.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::audience::{Audience, AudienceEvent, Visitor};
use super::show::State;
use super::staff::{By, Role};
use super::stage::{Act, ActKind, MutedViewer, StaffOnly, StageEvent};
use super::text::BlockedWords;
use super::{
    Actor, Answer, Decision, Event, Key, Luck, Offset, PersonId, Personal, Refusal, Room, Timestamp, ViewerNo,
    audience, draw, text,
};

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comments {
    /// The modes.
    pub modes: Modes,
    /// The room's blocked words.
    pub blocked_words: BlockedWords,
    /// All that were posted.
    pub posted: u64,
    /// The last [`KEYFRAME_COMMENTS`] on stage, oldest first, fewer where they are so long that a keyframe
    /// would not hold them ([`KEYFRAME_COMMENT_BYTES`]).
    pub on_stage: VecDeque<Shown>,
    /// What is pinned.
    pub pinned: Option<Shown>,
    pinned_until: Option<Timestamp>,
    /// The last [`RECENT_COMMENTS`] and those that wait, by offset.
    recent: BTreeMap<Offset, Recent>,
    /// Those that wait for the sample of their second.
    waiting: Vec<Offset>,
    second: Second,
    display_budget: Option<u32>,
    /// What is remembered of viewers who have commented.
    viewers: BTreeMap<ViewerNo, Speaker>,
    /// What is remembered of staff who have commented.
    staff: BTreeMap<PersonId, Speaker>,
    /// Muted viewers, until when; those whose time is over are swept out now and then.
    muted: BTreeMap<ViewerNo, Timestamp>,
    /// The last deletions, for undo.
    deletions: VecDeque<Deletion>,
    /// The last moderation acts.
    acts: VecDeque<Act>,
}

impl Default for Comments {
    fn default() -> Self {
        Self {
            modes: Modes::default(),
            blocked_words: BlockedWords::default(),
            posted: 0,
            on_stage: VecDeque::new(),
            pinned: None,
            pinned_until: None,
            recent: BTreeMap::new(),
            waiting: Vec::new(),
            second: Second::default(),
            display_budget: Some(DISPLAY_BUDGET),
            viewers: BTreeMap::new(),
            staff: BTreeMap::new(),
            muted: BTreeMap::new(),
            deletions: VecDeque::new(),
            acts: VecDeque::new(),
        }
    }
}

/// A comment that can still be moderated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Recent {
    by: Author,
    shown: Shown,
    place: Place,
    /// By which deletion, while it is deleted.
    deleted: Option<Offset>,
}

/// Where a comment is, or would be if it were not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Stage,
    Waiting,
    Off,
}

/// How much of the display budget a second has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Second {
    /// Unix time in seconds.
    number: u64,
    /// All that it shows, also the sample of the second before.
    shown: u32,
    /// Viewers' comments of this second among them.
    #[serde(default)]
    at_once: u32,
}

/// What is remembered of somebody who comments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Speaker {
    /// Their last [`NONCES_KEPT`] comments.
    posts: VecDeque<Posted>,
    /// When they posted the last [`RATE_COMMENTS`] that count.
    times: VecDeque<Timestamp>,
}

/// What a retry of a comment is answered with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Posted {
    nonce: String,
    comment: Offset,
    entered: Option<Key>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Deletion {
    id: Offset,
    at: Timestamp,
    by: By,
    comments: Vec<Offset>,
    restored: bool,
}

impl Second {
    fn of(at: Timestamp) -> u64 {
        at.0 / 1_000
    }

    fn shown_at(self, at: Timestamp) -> u32 {
        if self.number == Self::of(at) { self.shown } else { 0 }
    }

    fn at_once_at(self, at: Timestamp) -> u32 {
        if self.number == Self::of(at) { self.at_once } else { 0 }
    }

    fn show(&mut self, count: u32, at: Timestamp) {
        *self = Self {
            number: Self::of(at),
            shown: self.shown_at(at).saturating_add(count),
            at_once: self.at_once_at(at),
        };
    }
}

/// Posts a viewer's comment. `first` is the offset that the first event of the decision will have.
pub(super) fn post_by_viewer(
    room: &Room,
    viewer: ViewerNo,
    visitor: &Visitor,
    post: &Post,
    first: Offset,
    now: Timestamp,
    luck: &mut Luck,
) -> Result<Decision, Refusal> {
    let comments = &room.comments;
    let speaker = comments.viewers.get(&viewer);
    if let Some(answer) = first_answer(room, speaker, Some(viewer), post)? {
        return Ok(Decision::again(answer));
    }
    room.still_takes_comments()?;
    comments.not_muted(viewer, now)?;
    let text = text::comment(&post.text)?;
    let entry = draw::phrase_entry(room, viewer, visitor, &text::fold_phrase(&text), now, luck).transpose()?;
    let (mut events, receipt) = entry.map_or((Vec::new(), None), |(events, receipt)| (events, Some(receipt)));
    let standing = match comments.allows(speaker, &text, now) {
        Ok(()) if comments.has_room_on_stage(now) => Standing::Stage,
        Ok(()) => Standing::Waiting,
        // What entered a draw counts, whatever keeps it from the stage.
        Err(_) if !events.is_empty() => Standing::EntryOnly,
        Err(refusal) => return Err(refusal),
    };
    let (name, store) = known_as(room, viewer, visitor);
    let posted = CommentEvent::Posted {
        by: Author::Viewer(viewer),
        nonce: post.nonce.clone(),
        name,
        badge: store.then_some(Badge::Member),
        text: Personal(text),
        standing,
        entered: receipt.as_ref().map(|receipt| receipt.draw.clone()),
    };
    let answer = Answer::Comment {
        comment: first + events.len() as u64,
        by: Some(viewer),
        entry: receipt,
    };
    events.push(posted.into());
    Ok(Decision { events, answer })
}

/// The name of a viewer, also of one whom this command makes known, and whether the store knows them.
fn known_as(room: &Room, viewer: ViewerNo, visitor: &Visitor) -> (Personal, bool) {
    if let Some(viewer) = room.audience.viewer(viewer) {
        return (viewer.name.clone(), viewer.store);
    }
    match audience::meet(room, visitor) {
        (_, Some(Event::Audience(AudienceEvent::Met { name, store, .. }))) => (name, store),
        _ => (visitor.name.clone(), visitor.store),
    }
}

pub(super) fn post_by_staff(room: &Room, actor: &Actor, post: &Post, _now: Timestamp) -> Result<Decision, Refusal> {
    let (person, name, badge) = match actor {
        Actor::Staff(person) => {
            let member = room.staff.members.get(person).ok_or(Refusal::NotAllowed)?;
            let badge = if member.role == Role::Host {
                Badge::Host
            } else {
                Badge::Assistant
            };
            (*person, member.name.clone(), badge)
        }
        Actor::Operator(person) => (*person, Personal(room.show.details.host.clone()), Badge::Host),
        Actor::Viewer(_) | Actor::Store(_) | Actor::Server => return Err(Refusal::NotAllowed),
    };
    if let Some(answer) = first_answer(room, room.comments.staff.get(&person), None, post)? {
        return Ok(Decision::again(answer));
    }
    room.still_takes_comments()?;
    let posted = CommentEvent::Posted {
        by: Author::Staff(person),
        nonce: post.nonce.clone(),
        name,
        badge: Some(badge),
        text: Personal(text::comment(&post.text)?),
        standing: Standing::Stage,
        entered: None,
    };
    Ok(Decision {
        events: vec![posted.into()],
        answer: Answer::Comment {
            comment: room.head + 1,
            by: None,
            entry: None,
        },
    })
}

/// What the same comment was answered with before, if it is a retry. Looked up before any rule.
fn first_answer(
    room: &Room,
    speaker: Option<&Speaker>,
    viewer: Option<ViewerNo>,
    post: &Post,
) -> Result<Option<Answer>, Refusal> {
    let good = (1..=NONCE_BYTES_MAX).contains(&post.nonce.len()) && post.nonce.bytes().all(|b| b.is_ascii_graphic());
    if !good {
        return Err(Refusal::BadField {
            field: "nonce",
            reason: "is not 1-40 letters, digits or signs of ASCII",
        });
    }
    let Some(posted) = speaker.and_then(|speaker| speaker.posts.iter().find(|posted| posted.nonce == post.nonce))
    else {
        return Ok(None);
    };
    let recent = room.comments.recent.get(&posted.comment);
    // Of a comment that is too old, or whose text was erased, nothing can be compared.
    let before = recent.map_or("", |recent| recent.shown.text.as_str());
    if !before.is_empty() && text::comment(&post.text).ok().as_deref() != Some(before) {
        return Err(Refusal::IdempotencyConflict);
    }
    let receipt = |(draw, viewer): (&Key, ViewerNo)| {
        let entries = room.draws.my_entries(viewer);
        entries.into_iter().find(|entry| entry.draw == *draw)
    };
    Ok(Some(Answer::Comment {
        comment: posted.comment,
        by: viewer,
        entry: posted.entered.as_ref().zip(viewer).and_then(receipt),
    }))
}

impl Room {
    fn still_takes_comments(&self) -> Result<(), Refusal> {
        let ended = self.show.state() == State::Ended;
        if ended { Err(Refusal::Ended) } else { Ok(()) }
    }
}

impl Comments {
    /// Until when a viewer is muted, if they are.
    pub(super) fn muted_until(&self, viewer: ViewerNo, now: Timestamp) -> Option<Timestamp> {
        self.muted.get(&viewer).copied().filter(|until| now < *until)
    }

    fn not_muted(&self, viewer: ViewerNo, now: Timestamp) -> Result<(), Refusal> {
        match self.muted_until(viewer, now) {
            Some(until) => Err(Refusal::Muted {
                retry_after_ms: until.since(now),
            }),
            None => Ok(()),
        }
    }

    /// The rules that keep a viewer's comment from the stage.
    fn allows(&self, speaker: Option<&Speaker>, text: &str, now: Timestamp) -> Result<(), Refusal> {
        if self.modes.comments_off {
            return Err(Refusal::CommentsOff);
        }
        if self.blocked_words.stand_in(text) {
            return Err(Refusal::BlockedWord);
        }
        let Some(speaker) = speaker else {
            return Ok(());
        };
        let wait = |until: Option<Timestamp>| until.filter(|until| now < *until).map(|until| until.since(now));
        if let (Some(every_ms), Some(retry_after_ms)) = (self.modes.slow_ms, wait(self.slow_until(speaker))) {
            return Err(Refusal::SlowMode {
                every_ms,
                retry_after_ms,
            });
        }
        match wait(speaker.rate_until()) {
            Some(retry_after_ms) => Err(Refusal::RateLimited { retry_after_ms }),
            None => Ok(()),
        }
    }

    fn slow_until(&self, speaker: &Speaker) -> Option<Timestamp> {
        let last = speaker.times.back()?;
        self.modes.slow_ms.map(|slow_ms| last.plus(slow_ms))
    }

    /// Whether the budget of this second shows one more at once. While comments wait, all wait: the sample is
    /// fair only among equals.
    fn has_room_on_stage(&self, now: Timestamp) -> bool {
        let shown = self.second.shown_at(now);
        self.waiting.is_empty() && self.display_budget.is_none_or(|budget| shown < budget)
    }

    fn standing_comment(&self, comment: Offset) -> Result<&Recent, Refusal> {
        let recent = self.recent.get(&comment).filter(|recent| recent.deleted.is_none());
        recent.ok_or(Refusal::UnknownComment { comment })
    }
}

impl Speaker {
    fn rate_until(&self) -> Option<Timestamp> {
        let first = self.times.front().filter(|_| self.times.len() >= RATE_COMMENTS)?;
        Some(first.plus(RATE_WINDOW_MS))
    }
}

impl Deletion {
    fn answer(&self) -> Answer {
        Answer::Deleted {
            deletion: self.id,
            count: self.comments.len() as u32,
            undo_until: self.at.plus(UNDO_MS),
        }
    }
}

pub(super) fn delete(room: &Room, actor: &Actor, delete: &Delete, now: Timestamp) -> Result<Decision, Refusal> {
    let by = By::of(actor)?;
    let recent = room.comments.recent.get(&delete.comment);
    let before = recent.and_then(|recent| recent.deleted);
    if let Some(deletion) = before
        .and_then(|id| room.comments.deletion(id))
        .filter(|deletion| deletion.by == by)
    {
        return Ok(Decision::again(deletion.answer()));
    }
    room.comments.standing_comment(delete.comment)?;
    Ok(deleted(room, vec![delete.comment], by, now))
}

pub(super) fn delete_all(room: &Room, actor: &Actor, delete: &DeleteAll, now: Timestamp) -> Result<Decision, Refusal> {
    let by = By::of(actor)?;
    room.audience.viewer(delete.viewer).ok_or(Refusal::UnknownViewer)?;
    let author = Author::Viewer(delete.viewer);
    let theirs = room.comments.recent.iter();
    let theirs = theirs.filter(|(_, recent)| recent.by == author && recent.deleted.is_none());
    Ok(deleted(room, theirs.map(|(id, _)| *id).collect(), by, now))
}

/// Without comments it says so and leaves no event: a retry finds them gone.
fn deleted(room: &Room, comments: Vec<Offset>, by: By, now: Timestamp) -> Decision {
    let deletion = Deletion {
        id: room.head + 1,
        at: now,
        by,
        comments,
        restored: false,
    };
    let answer = deletion.answer();
    if deletion.comments.is_empty() {
        return Decision::again(answer);
    }
    let pinned = room.comments.pinned.as_ref();
    let unpins = pinned.is_some_and(|pinned| deletion.comments.contains(&pinned.id));
    let comments = deletion.comments;
    let mut events = vec![CommentEvent::Deleted { comments, by }.into()];
    if unpins {
        events.push(CommentEvent::Unpinned { by: By::Server }.into());
    }
    Decision { events, answer }
}

pub(super) fn restore(room: &Room, actor: &Actor, restore: &Restore, now: Timestamp) -> Result<Decision, Refusal> {
    let by = By::of(actor)?;
    let comments = &room.comments;
    let deletion = comments.deletion(restore.deletion).ok_or(Refusal::UndoOver)?;
    if deletion.by != by {
        return Err(Refusal::NotAllowed);
    }
    if deletion.restored {
        return Ok(Decision::again(Answer::Done {}));
    }
    if now >= deletion.at.plus(UNDO_MS) {
        return Err(Refusal::UndoOver);
    }
    let recent = deletion.comments.iter().filter_map(|id| comments.recent.get(id));
    let staged = recent.filter(|recent| recent.place == Place::Stage);
    Ok(Decision::event(CommentEvent::Restored {
        deletion: deletion.id,
        shown: staged.map(|recent| recent.shown.clone()).collect(),
        by,
    }))
}

pub(super) fn mute(room: &Room, actor: &Actor, mute: &Mute, now: Timestamp) -> Result<Decision, Refusal> {
    let by = By::of(actor)?;
    let viewer = mute.viewer;
    room.audience.viewer(viewer).ok_or(Refusal::UnknownViewer)?;
    if !MUTE_MS.contains(&mute.for_ms) {
        return Err(Refusal::BadField {
            field: "for_ms",
            reason: "is not between 10 seconds and 24 hours",
        });
    }
    let until = now.plus(mute.for_ms);
    Ok(Decision::event(CommentEvent::Muted { viewer, until, by }))
}

pub(super) fn unmute(room: &Room, actor: &Actor, unmute: &Unmute, now: Timestamp) -> Result<Decision, Refusal> {
    let by = By::of(actor)?;
    let viewer = unmute.viewer;
    room.audience.viewer(viewer).ok_or(Refusal::UnknownViewer)?;
    if room.comments.muted_until(viewer, now).is_none() {
        return Ok(Decision::again(Answer::Done {}));
    }
    Ok(Decision::event(CommentEvent::Unmuted { viewer, by }))
}

pub(super) fn pin(room: &Room, actor: &Actor, pin: &Pin, now: Timestamp) -> Result<Decision, Refusal> {
    let by = By::of(actor)?;
    if pin.for_ms.is_some_and(|for_ms| !PIN_MS.contains(&for_ms)) {
        return Err(Refusal::BadField {
            field: "for_ms",
            reason: "is not between a second and 24 hours",
        });
    }
    let shown = room.comments.standing_comment(pin.comment)?.shown.clone();
    let until = pin.for_ms.map(|for_ms| now.plus(for_ms));
    if room.comments.pinned.as_ref() == Some(&shown) && room.comments.pinned_until == until {
        return Ok(Decision::again(Answer::Done {}));
    }
    Ok(Decision::event(CommentEvent::Pinned { shown, until, by }))
}

pub(super) fn unpin(room: &Room, actor: &Actor, _now: Timestamp) -> Result<Decision, Refusal> {
    let by = By::of(actor)?;
    if room.comments.pinned.is_none() {
        return Ok(Decision::again(Answer::Done {}));
    }
    Ok(Decision::event(CommentEvent::Unpinned { by }))
}

pub(super) fn set_modes(room: &Room, actor: &Actor, set: &SetModes, _now: Timestamp) -> Result<Decision, Refusal> {
    let by = By::of(actor)?;
    let mut modes = room.comments.modes;
    match set.slow_ms {
        None => {}
        Some(0) => modes.slow_ms = None,
        Some(slow_ms) if SLOW_MS.contains(&slow_ms) => modes.slow_ms = Some(slow_ms),
        Some(_) => {
            return Err(Refusal::BadField {
                field: "slow_ms",
                reason: "is neither 0 nor between 1 and 300 seconds",
            });
        }
    }
    modes.comments_off = set.comments_off.unwrap_or(modes.comments_off);
    if modes == room.comments.modes {
        return Ok(Decision::again(Answer::Done {}));
    }
    Ok(Decision::event(CommentEvent::ModesSet { modes, by }))
}

pub(super) fn set_blocked_words(
    room: &Room,
    actor: &Actor,
    set: &SetBlockedWords,
    _now: Timestamp,
) -> Result<Decision, Refusal> {
    let by = By::of(actor)?;
    if set.words.len() > BLOCKED_WORDS_MAX {
        return Err(Refusal::BadField {
            field: "words",
            reason: "has more than 500",
        });
    }
    let mut words: Vec<String> = Vec::with_capacity(set.words.len());
    for word in &set.words {
        let word = text::line(word, "words", 1..=50)?;
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if words == room.comments.blocked_words.words() {
        return Ok(Decision::again(Answer::Done {}));
    }
    Ok(Decision::event(CommentEvent::BlockedWordsSet { words, by }))
}

pub(super) fn set_display_budget(room: &Room, set: &SetDisplayBudget, _now: Timestamp) -> Result<Decision, Refusal> {
    let per_second = set.per_second;
    if per_second == room.comments.display_budget {
        return Ok(Decision::again(Answer::Done {}));
    }
    Ok(Decision::event(CommentEvent::DisplayBudgetSet { per_second }))
}

/// A pin whose time is over, or the sample of a busy second.
pub(super) fn due(room: &Room, due: Timestamp, _now: Timestamp, luck: &mut Luck) -> Vec<Event> {
    let comments = &room.comments;
    let event = if comments.pinned_until == Some(due) {
        CommentEvent::Unpinned { by: By::Server }
    } else {
        comments.sampled(luck)
    };
    vec![event.into()]
}

impl Comments {
    /// Of those that wait, as many as the budget shows: members first, each of equal standing equally likely.
    fn sampled(&self, luck: &mut Luck) -> CommentEvent {
        let waiting: Vec<&Recent> = self.waiting.iter().filter_map(|id| self.recent.get(id)).collect();
        let n = waiting.len() as u32;
        let second = waiting.first().and_then(|oldest| oldest.shown.at);
        let at_once = second.map_or(0, |at| self.second.at_once_at(at));
        let budget = self.display_budget.map_or(waiting.len(), |budget| budget as usize);
        let is_member = |recent: &&Recent| recent.shown.badge == Some(Badge::Member);
        let (members, others): (Vec<&Recent>, Vec<&Recent>) = waiting.into_iter().partition(is_member);
        let mut chosen = choose(members, budget, luck);
        chosen.extend(choose(others, budget - chosen.len(), luck));
        let mut shown: Vec<Shown> = chosen.into_iter().map(|recent| recent.shown.clone()).collect();
        shown.sort_by_key(|shown| shown.id);
        CommentEvent::Sampled { shown, n, at_once }
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let oldest = self.waiting.first().and_then(|id| self.recent.get(id));
        let sample = oldest
            .and_then(|oldest| oldest.shown.at)
            .map(|at| Timestamp((Second::of(at) + 1) * 1_000));
        [self.pinned_until, sample].into_iter().flatten().min()
    }

    pub(super) fn apply(&mut self, event: &CommentEvent, offset: Offset, at: Timestamp) {
        match event {
            CommentEvent::Posted {
                by,
                nonce,
                name,
                badge,
                text,
                standing,
                entered,
            } => {
                let shown = shown(offset, *by, name, *badge, text, Some(at));
                let posted = Posted {
                    nonce: nonce.clone(),
                    comment: offset,
                    entered: entered.clone(),
                };
                self.speaker(*by).remember(posted, *standing, at);
                self.take(shown, *by, *standing, at);
            }
            CommentEvent::Sampled { shown, .. } => {
                for id in std::mem::take(&mut self.waiting) {
                    self.put(id, Place::Off);
                }
                for shown in shown {
                    self.put(shown.id, Place::Stage);
                    self.show(shown.clone());
                }
                self.second.show(shown.len() as u32, at);
                self.forget_old_comments();
            }
            CommentEvent::Deleted { comments, by } => self.delete(comments, *by, offset, at),
            CommentEvent::Restored { deletion, shown, .. } => self.restore(*deletion, shown),
            CommentEvent::Muted { viewer, until, .. } => {
                self.muted.retain(|_, until| at < *until);
                self.muted.insert(*viewer, *until);
            }
            CommentEvent::Unmuted { viewer, .. } => {
                self.muted.remove(viewer);
            }
            CommentEvent::Pinned { shown, until, .. } => {
                self.pinned = Some(shown.clone());
                self.pinned_until = *until;
            }
            CommentEvent::Unpinned { .. } => {
                self.pinned = None;
                self.pinned_until = None;
            }
            CommentEvent::ModesSet { modes, .. } => self.modes = *modes,
            CommentEvent::BlockedWordsSet { words, .. } => self.blocked_words = words.clone().into(),
            CommentEvent::DisplayBudgetSet { per_second } => self.display_budget = *per_second,
        }
        self.keep_act(event.act(offset, at));
    }

    fn speaker(&mut self, author: Author) -> &mut Speaker {
        match author {
            Author::Viewer(viewer) => self.viewers.entry(viewer).or_default(),
            Author::Staff(person) => self.staff.entry(person).or_default(),
        }
    }

    fn take(&mut self, shown: Shown, by: Author, standing: Standing, at: Timestamp) {
        self.posted += 1;
        let place = match standing {
            Standing::Stage => Place::Stage,
            Standing::Waiting => Place::Waiting,
            Standing::EntryOnly => Place::Off,
        };
        match place {
            Place::Stage => {
                self.show(shown.clone());
                self.second.show(1, at);
                self.second.at_once += u32::from(matches!(by, Author::Viewer(_)));
            }
            Place::Waiting => self.waiting.push(shown.id),
            Place::Off => {}
        }
        let recent = Recent {
            by,
            shown,
            place,
            deleted: None,
        };
        self.recent.insert(recent.shown.id, recent);
        self.forget_old_comments();
    }

    /// What waits is kept until its sample: a busy second may have more than is kept in calm ones.
    fn forget_old_comments(&mut self) {
        let waiting_from = self.waiting.first().copied().unwrap_or(Offset::MAX);
        while self.recent.len() > RECENT_COMMENTS {
            match self.recent.first_key_value() {
                Some((oldest, _)) if *oldest < waiting_from => self.recent.pop_first(),
                _ => return,
            };
        }
    }

    fn put(&mut self, comment: Offset, place: Place) {
        if let Some(recent) = self.recent.get_mut(&comment) {
            recent.place = place;
        }
    }

    /// Puts a comment on the keyframe's stage, in its place by id, and drops the oldest that it has no room for.
    fn show(&mut self, shown: Shown) {
        let place = self.on_stage.partition_point(|other| other.id < shown.id);
        self.on_stage.insert(place, shown);
        let mut bytes: usize = self.on_stage.iter().map(Shown::bytes).sum();
        while self.on_stage.len() > KEYFRAME_COMMENTS || bytes > KEYFRAME_COMMENT_BYTES {
            bytes -= self.on_stage.pop_front().map_or(bytes, |oldest| oldest.bytes());
        }
    }

    fn delete(&mut self, comments: &[Offset], by: By, id: Offset, at: Timestamp) {
        let gone: BTreeSet<Offset> = comments.iter().copied().collect();
        for comment in comments {
            if let Some(recent) = self.recent.get_mut(comment) {
                recent.deleted = Some(id);
                if recent.place == Place::Waiting {
                    recent.place = Place::Off;
                }
            }
        }
        self.on_stage.retain(|shown| !gone.contains(&shown.id));
        self.waiting.retain(|waiting| !gone.contains(waiting));
        if self.deletions.len() >= DELETIONS_KEPT {
            self.deletions.pop_front();
        }
        self.deletions.push_back(Deletion {
            id,
            at,
            by,
            comments: comments.to_vec(),
            restored: false,
        });
    }

    fn restore(&mut self, id: Offset, shown: &[Shown]) {
        let Some(deletion) = self.deletions.iter_mut().find(|deletion| deletion.id == id) else {
            return;
        };
        deletion.restored = true;
        for comment in &deletion.comments {
            if let Some(recent) = self.recent.get_mut(comment) {
                recent.deleted = None;
            }
        }
        // One that is older than all that are shown has left the keyframe meanwhile.
        let full = self.on_stage.len() >= KEYFRAME_COMMENTS;
        let oldest = self.on_stage.front().filter(|_| full).map_or(0, |oldest| oldest.id);
        for shown in shown.iter().filter(|shown| shown.id > oldest) {
            self.show(shown.clone());
        }
    }

    fn deletion(&self, id: Offset) -> Option<&Deletion> {
        self.deletions.iter().find(|deletion| deletion.id == id)
    }

    /// Keeps a moderation act for the backstage, also one of another family.
    pub(super) fn keep_act(&mut self, act: Option<Act>) {
        self.acts.extend(act);
        if self.acts.len() > ACTS_KEPT {
            self.acts.pop_front();
        }
    }
}

/// `count` of them, or all if there are fewer, each equally likely: a shuffle's first steps.
fn choose<T>(mut from: Vec<T>, count: usize, luck: &mut Luck) -> Vec<T> {
    let count = count.min(from.len());
    for chosen in 0..count {
        let other = chosen + luck.below((from.len() - chosen) as u64) as usize;
        from.swap(chosen, other);
    }
    from.truncate(count);
    from
}

impl Speaker {
    fn remember(&mut self, posted: Posted, standing: Standing, at: Timestamp) {
        if self.posts.len() >= NONCES_KEPT {
            self.posts.pop_front();
        }
        self.posts.push_back(posted);
        // An entry is no comment to be slow with.
        if standing != Standing::EntryOnly {
            if self.times.len() >= RATE_COMMENTS {
                self.times.pop_front();
            }
            self.times.push_back(at);
        }
    }
}

impl Shown {
    /// What it takes in a keyframe, at most: its texts as JSON, and what stands around them.
    fn bytes(&self) -> usize {
        let escaped = |text: &str| text.len() + text.bytes().filter(|b| matches!(b, b'"' | b'\\')).count();
        escaped(self.name.as_str()) + escaped(self.text.as_str()) + SHOWN_BYTES
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

impl Comments {
    /// The last comments that are not on stage, oldest first.
    pub(super) fn offstage(&self) -> Vec<Shown> {
        self.last_offstage(OFFSTAGE_SHOWN, |_| true)
    }

    fn last_offstage(&self, count: usize, of: impl Fn(&Recent) -> bool) -> Vec<Shown> {
        let newest_first = self.recent.values().rev();
        let off = newest_first.filter(|recent| recent.place != Place::Stage && recent.deleted.is_none() && of(recent));
        let mut shown: Vec<Shown> = off.take(count).map(|recent| recent.shown.clone()).collect();
        shown.reverse();
        shown
    }

    /// The last moderation acts, oldest first.
    pub(super) fn acts(&self) -> Vec<Act> {
        self.acts.iter().cloned().collect()
    }

    /// Viewers who are muted, those for longest first.
    pub(super) fn muted(&self, audience: &Audience, now: Timestamp) -> Vec<MutedViewer> {
        let mut muted: Vec<_> = self.muted.iter().filter(|(_, until)| now < **until).collect();
        muted.sort_by_key(|(viewer, until)| (Reverse(**until), **viewer));
        let muted = muted.into_iter().take(MUTED_SHOWN);
        let named = muted.filter_map(|(viewer, until)| audience.viewer(*viewer).zip(Some((viewer, until))));
        named
            .map(|(known, (viewer, until))| MutedViewer {
                viewer: *viewer,
                name: known.name.clone(),
                until: *until,
            })
            .collect()
    }

    /// Comments a second that reach the stage.
    pub fn display_budget(&self) -> Option<u32> {
        self.display_budget
    }

    /// Muted until, next comment at, and own comments that the stage does not show, oldest first.
    pub(super) fn mine(&self, viewer: ViewerNo, now: Timestamp) -> (Option<Timestamp>, Option<Timestamp>, Vec<Shown>) {
        let muted_until = self.muted_until(viewer, now);
        let Some(speaker) = self.viewers.get(&viewer) else {
            return (muted_until, None, Vec::new());
        };
        let next = self.slow_until(speaker).max(speaker.rate_until());
        let author = Author::Viewer(viewer);
        let offstage = self.last_offstage(MINE_OFFSTAGE, |recent| recent.by == author);
        (muted_until, next.filter(|next| now < *next), offstage)
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

//! Comments and their moderation: text rules, rates, modes, deletion with undo, mute, pin, and the display
//! budget with its journaled sample.

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
/// People can read about this many comments a second (product.md); the default display budget.
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
        Actor::Viewer(_) | Actor::Server => return Err(Refusal::NotAllowed),
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

#[cfg(test)]
mod tests {
    use super::super::show::{Create, Details, ShowEvent};
    use super::super::staff::{Rights, StaffEvent};
    use super::super::stage::Stage;
    use super::super::{Command, Empty, RoomId, ViewerId};
    use super::*;

    const ANN: u32 = 1;
    const BOB: u32 = 2;
    const MEMBER: u32 = 3;

    /// A live show with viewers Ann, Bob and the store's Mem, the host Lina and the assistant Mia.
    fn show() -> Room {
        let mut room = Room::new(RoomId::new("show").expect("good"));
        let details = Details {
            title: "Lipsticks".into(),
            host: "Lina".into(),
            ..Details::default()
        };
        run(
            &mut room,
            &Actor::Operator(PersonId(9)),
            &Command::Create(Create { details }),
            0,
        )
        .expect("made");
        for (person, role, name) in [(1, Role::Host, "Lina"), (2, Role::Assistant(Rights::Comments), "Mia")] {
            let joined = StaffEvent::Joined {
                person: PersonId(person),
                role,
                name: name.into(),
                invitation: None,
            };
            room.apply(&joined.into(), Timestamp(0));
        }
        room.apply(&ShowEvent::Started {}.into(), Timestamp(0));
        for number in [ANN, BOB, MEMBER] {
            let (_, met) = audience::meet(&room, &visitor(number));
            room.apply(&met.expect("new"), Timestamp(0));
        }
        room
    }

    fn visitor(number: u32) -> Visitor {
        let names = ["Ann", "Bob", "Mem"];
        let name = names
            .get(number as usize - 1)
            .map_or(format!("Guest {number}"), |name| (*name).into());
        Visitor {
            id: ViewerId(number.into()),
            name: Personal(name),
            store: number == MEMBER,
            address: Default::default(),
        }
    }

    fn actor(name: &str) -> Actor {
        match name {
            "ann" => Actor::Viewer(visitor(ANN)),
            "bob" => Actor::Viewer(visitor(BOB)),
            "mem" => Actor::Viewer(visitor(MEMBER)),
            "lina" => Actor::Staff(PersonId(1)),
            "mia" => Actor::Staff(PersonId(2)),
            "op" => Actor::Operator(PersonId(9)),
            "server" => Actor::Server,
            guest => Actor::Viewer(visitor(guest.trim_start_matches('v').parse().expect("v and a number"))),
        }
    }

    fn number(name: &str) -> ViewerNo {
        ViewerNo(match name {
            "ann" => ANN,
            "bob" => BOB,
            "mem" => MEMBER,
            other => other.parse().expect("a number"),
        })
    }

    fn run(room: &mut Room, actor: &Actor, command: &Command, now: u64) -> Result<Decision, Refusal> {
        let decision = room.decide(actor, command, Timestamp(now), &mut Luck::new([now as u8; 32]))?;
        decision
            .events
            .iter()
            .for_each(|event| room.apply(event, Timestamp(now)));
        Ok(decision)
    }

    fn pass(room: &mut Room, now: u64) -> Vec<Event> {
        let mut fired = Vec::new();
        while let Some(events) = room.due(Timestamp(now), &mut Luck::new([now as u8; 32])) {
            events.iter().for_each(|event| room.apply(event, Timestamp(now)));
            fired.extend(events);
        }
        fired
    }

    fn post(nonce: &str, text: &str) -> Command {
        Command::Comment(Post {
            nonce: nonce.into(),
            text: text.into(),
        })
    }

    fn texts<'a>(shown: impl IntoIterator<Item = &'a Shown>) -> String {
        let texts: Vec<_> = shown.into_iter().map(|shown| shown.text.as_str()).collect();
        texts.join(", ")
    }

    /// Runs lines of `@seconds who what -> result`; see the cases below.
    fn check(scenario: &str) {
        let mut room = show();
        let mut deletion = 0;
        for (n, line) in scenario
            .lines()
            .map(str::trim)
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
        {
            let (step, expected) = line.split_once(" -> ").unwrap_or_else(|| panic!("no result in {line}"));
            let mut words = step.split_whitespace();
            let time = words.next().expect("a time").trim_start_matches('@');
            let now = (time.parse::<f64>().expect("seconds") * 1_000.0).round() as u64;
            let (who, what) = (words.next().expect("who"), words.next().unwrap_or_default());
            let rest = words.collect::<Vec<_>>().join(" ");
            let seconds = || rest.parse::<f64>().map_or(0, |seconds| (seconds * 1_000.0) as u64);
            let find = |text: &str| {
                let found = room
                    .comments
                    .recent
                    .values()
                    .rfind(|recent| recent.shown.text.as_str() == text);
                found.map_or(9_999, |recent| recent.shown.id)
            };
            let (verb, nonce) = what.split_once('#').unwrap_or((what, ""));
            let nonce = if nonce.is_empty() {
                format!("line-{n}")
            } else {
                nonce.to_owned()
            };
            let command = match verb {
                "says" => post(&nonce, &rest),
                "deletes" => match rest.strip_prefix("all of ") {
                    Some(name) => Command::DeleteAll(DeleteAll { viewer: number(name) }),
                    None => Command::Delete(Delete { comment: find(&rest) }),
                },
                "restores" => Command::Restore(Restore { deletion }),
                "mutes" => {
                    let (name, seconds) = rest.split_once(' ').expect("whom and how long");
                    Command::Mute(Mute {
                        viewer: number(name),
                        for_ms: seconds.parse::<u64>().expect("seconds") * 1_000,
                    })
                }
                "unmutes" => Command::Unmute(Unmute { viewer: number(&rest) }),
                "pins" => {
                    let (text, seconds) = rest.split_once(" for ").unwrap_or((&rest, ""));
                    Command::Pin(Pin {
                        comment: find(text),
                        for_ms: seconds.parse::<u64>().ok().map(|seconds| seconds * 1_000),
                    })
                }
                "unpins" => Command::Unpin(Empty {}),
                "slow" => Command::SetModes(SetModes {
                    slow_ms: Some(seconds()),
                    comments_off: None,
                }),
                "off" | "on" => Command::SetModes(SetModes {
                    slow_ms: None,
                    comments_off: Some(verb == "off"),
                }),
                "blocks" => Command::SetBlockedWords(SetBlockedWords {
                    words: rest.split(", ").map(str::to_owned).collect(),
                }),
                "budget" => Command::SetDisplayBudget(SetDisplayBudget {
                    per_second: rest.parse().ok(),
                }),
                "" | "sees" => Command::Unpin(Empty {}),
                other => panic!("what is {other}?"),
            };
            pass(&mut room, now);
            let result = match who {
                "stage" => texts(&room.stage().comments),
                "pinned" => texts(&room.comments.pinned),
                "offstage" => texts(&room.comments.offstage()),
                "muted" => {
                    let muted = room.comments.muted(&room.audience, Timestamp(now));
                    muted
                        .iter()
                        .map(|muted| muted.name.as_str())
                        .collect::<Vec<_>>()
                        .join(", ")
                }
                _ if verb == "sees" => texts(&room.mine(ViewerId(number(who).0.into()), Timestamp(now)).offstage),
                _ => match run(&mut room, &actor(who), &command, now) {
                    Ok(decision) if decision.events.is_empty() => "again".to_owned(),
                    Ok(decision) => match decision.answer {
                        Answer::Comment { comment, .. } => {
                            format!("{:?}", room.comments.recent[&comment].place).to_lowercase()
                        }
                        Answer::Deleted {
                            deletion: id, count, ..
                        } => {
                            deletion = id;
                            format!("{count} deleted")
                        }
                        _ => "done".to_owned(),
                    },
                    Err(refusal) => match refusal.retry_after_ms() {
                        Some(ms) => format!("{} {ms} ms", refusal.code()),
                        None => refusal.code().to_owned(),
                    },
                },
            };
            let expected = if expected == "nothing" { "" } else { expected };
            assert_eq!(result, expected, "{line}");
        }
    }

    #[test]
    fn a_retry_posts_nothing_twice_and_comes_before_every_rule() {
        check(
            "@0 ann says#a hello   -> stage
             @1 ann says#a hello   -> again
             @1 bob says#a hello   -> stage
             @1 ann says#a goodbye -> idempotency_conflict
             @2 lina off           -> done
             @2 lina mutes ann 60  -> done
             @2 ann says#a hello   -> again
             @2 ann says#b hello   -> muted 60000 ms
             @3 stage              -> hello, hello",
        );
    }

    #[test]
    fn a_viewer_says_five_things_in_ten_seconds() {
        check(
            "@0 ann says 1   -> stage
             @1 ann says 2   -> stage
             @2 ann says 3   -> stage
             @3 ann says 4   -> stage
             @4 ann says 5   -> stage
             @5 ann says 6   -> rate_limited 5000 ms
             @5 bob says one -> stage
             @9.999 ann says 6 -> rate_limited 1 ms
             @10 ann says 6  -> stage
             @10 ann says 7  -> rate_limited 1000 ms
             @11 ann says 7  -> stage",
        );
    }

    #[test]
    fn slow_mode_lets_one_comment_pass_in_its_time() {
        check(
            "@0 lina slow 0.5  -> bad_field
             @0 lina slow 301  -> bad_field
             @0 lina slow 30   -> done
             @0 lina slow 30   -> again
             @0 ann says 1     -> stage
             @10 ann says 2    -> slow_mode 20000 ms
             @10 lina says a   -> stage
             @10 lina says b   -> stage
             @30 ann says 2    -> stage
             @31 lina slow 0   -> done
             @31 ann says 3    -> stage",
        );
    }

    #[test]
    fn with_comments_off_only_staff_speak() {
        check(
            "@0 mia off      -> done
             @0 ann says hi  -> comments_off
             @0 mia says hey -> stage
             @0 op says yes  -> stage
             @1 mia on       -> done
             @1 ann says hi  -> stage",
        );
    }

    #[test]
    fn blocked_words_are_refused_in_any_disguise() {
        check(
            "@0 lina blocks casino, slots  -> done
             @0 lina blocks casino, slots  -> again
             @0 ann says my ＣＡＳＩＮＯ     -> blocked_word
             @0 ann says s-l-o-t-s         -> blocked_word
             @0 lina says no casino please -> stage
             @0 ann says hello             -> stage",
        );
    }

    #[test]
    fn bad_texts_are_told_from_bad_nonces() {
        let long = "x".repeat(10_000);
        check(&format!(
            "@0 ann says -> bad_text
             @0 ann says {long} -> bad_text
             @0 lina says {long} -> bad_text
             @0 ann says#ünï hello -> bad_field
             @0 ann says#{long} hello -> bad_field"
        ));
    }

    #[test]
    fn a_muted_viewer_speaks_again_after_the_time_or_when_unmuted() {
        check(
            "@0 lina mutes ann 9   -> bad_field
             @0 lina mutes ann 86401 -> bad_field
             @0 lina mutes 77 10   -> unknown_viewer
             @0 lina mutes ann 10  -> done
             @0 mia mutes bob 3600 -> done
             @0 muted              -> Bob, Ann
             @9.5 ann says hi      -> muted 500 ms
             @10 ann says hi       -> stage
             @10 muted             -> Bob
             @11 lina unmutes bob  -> done
             @11 lina unmutes bob  -> again
             @11 bob says thanks   -> stage",
        );
    }

    #[test]
    fn a_deleted_comment_leaves_the_stage_and_comes_back_in_its_place() {
        check(
            "@0 ann says one       -> stage
             @0 bob says two       -> stage
             @0 ann says three     -> stage
             @1 mia deletes two    -> 1 deleted
             @1 mia deletes two    -> again
             @1 lina deletes two   -> unknown_comment
             @1 stage              -> one, three
             @2 lina restores      -> not_allowed
             @10.999 mia restores  -> done
             @10.999 mia restores  -> again
             @11 stage             -> one, two, three
             @20 lina deletes all of ann -> 2 deleted
             @20 lina deletes all of ann -> again
             @20 lina deletes all of 77  -> unknown_viewer
             @20 stage             -> two
             @30 lina restores     -> undo_over
             @30 lina deletes nothing -> unknown_comment",
        );
    }

    #[test]
    fn a_pin_stands_for_its_time_or_until_the_comment_is_deleted() {
        check(
            "@0 ann says hello           -> stage
             @0 bob says world           -> stage
             @1 lina pins hello for 60   -> done
             @2 lina pins world          -> done
             @2 lina pins world          -> again
             @90 pinned                  -> world
             @90 lina pins hello for 60  -> done
             @149.999 pinned             -> hello
             @150 pinned                 -> nothing
             @150 lina pins world        -> done
             @151 lina unpins            -> done
             @151 lina unpins            -> again
             @152 lina pins world        -> done
             @152 lina deletes world     -> 1 deleted
             @152 pinned                 -> nothing
             @153 lina pins world        -> unknown_comment",
        );
    }

    #[test]
    fn above_the_budget_a_second_is_sampled_and_authors_see_their_own() {
        check(
            "@0 server budget 2   -> done
             @0 server budget 2   -> again
             @5 ann says 1        -> stage
             @5.1 bob says 2      -> stage
             @5.2 ann says 3      -> waiting
             @5.3 lina says staff -> stage
             @5.4 mem says 4      -> waiting
             @5.5 stage           -> 1, 2, staff
             @5.5 ann sees        -> 3
             @6 stage             -> 1, 2, 3, staff, 4
             @6 ann sees          -> nothing
             @6.1 bob says 5      -> waiting
             @7 stage             -> 1, 2, 3, staff, 4, 5
             @7.1 bob says 6      -> stage
             @7.2 bob says 7      -> waiting
             @7.9 bob says 8      -> waiting
             @7.9 mem says 9      -> waiting
             @8 server budget 0   -> done
             @8 ann says 11       -> waiting
             @9 ann sees          -> 11",
        );
    }

    #[test]
    fn a_busy_second_says_how_many_of_all_its_viewers_comments_are_shown() {
        let mut room = show();
        let budget = Command::SetDisplayBudget(SetDisplayBudget { per_second: Some(3) });
        run(&mut room, &Actor::Server, &budget, 0).expect("set");
        let mut say = |names: &[&str], at: u64| {
            for name in names {
                run(&mut room, &actor(name), &post(&at.to_string(), name), at).expect("posted");
            }
            let fired = pass(&mut room, at + 1_000);
            match fired.first().and_then(|event| event.stage(99)) {
                Some(StageEvent::Sampled { comments, shown, n }) => (comments.len(), shown, n),
                other => panic!("no sample: {other:?}"),
            }
        };
        // Of three places one is a person's of the staff; of the four that wait three are chosen.
        assert_eq!(say(&["v4", "lina", "v5", "v6", "v7", "v8", "v9"], 1_000), (3, 5, 6));
        // The sample has used up this second: all five wait.
        assert_eq!(say(&["v10", "v11", "v12", "v13", "v14"], 2_000), (3, 3, 5));
        // One place is left beside a sample of two.
        assert_eq!(say(&["v15", "v16"], 3_000), (2, 2, 2));
        assert_eq!(say(&["v17", "v18", "v19"], 4_000), (2, 3, 3));
    }

    #[test]
    fn members_come_first_and_the_others_have_equal_chances() {
        let mut shown = BTreeMap::<String, u32>::new();
        for seed in 0..1_000_u64 {
            let mut room = show();
            run(
                &mut room,
                &Actor::Server,
                &Command::SetDisplayBudget(SetDisplayBudget { per_second: Some(3) }),
                0,
            )
            .expect("set");
            for (n, name) in ["v4", "v5", "v6", "v7", "v8", "mem", "v9", "v10", "v11"]
                .iter()
                .enumerate()
            {
                run(&mut room, &actor(name), &post(&n.to_string(), name), 500).expect("posted");
            }
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&seed.to_be_bytes());
            let events = room
                .due(Timestamp(1_000), &mut Luck::new(bytes))
                .expect("a sample is due");
            let Some(Event::Comment(CommentEvent::Sampled {
                shown: sample, n: 6, ..
            })) = events.first()
            else {
                panic!("no sample of 6: {events:?}");
            };
            assert!(sample.len() == 3 && sample.is_sorted_by_key(|shown| shown.id));
            for comment in sample {
                *shown.entry(comment.text.0.clone()).or_default() += 1;
            }
        }
        assert_eq!(shown.remove("mem"), Some(1_000));
        assert_eq!(shown.len(), 5);
        // Two of five: 400 of 1,000 expected, with a standard deviation of 15.5.
        assert!(shown.values().all(|count| (320..=480).contains(count)), "{shown:?}");
    }

    #[test]
    fn after_the_end_nothing_is_taken_but_retries() {
        let mut room = show();
        run(&mut room, &actor("ann"), &post("a", "hello"), 0).expect("posted");
        let ended = ShowEvent::Ended {
            due: Timestamp(1),
            redeem_until: Timestamp(1),
        };
        room.apply(&ended.into(), Timestamp(1));
        assert!(run(&mut room, &actor("ann"), &post("a", "hello"), 2).is_ok());
        for name in ["ann", "lina"] {
            assert_eq!(
                run(&mut room, &actor(name), &post("b", "hello"), 2),
                Err(Refusal::Ended)
            );
        }
    }

    #[test]
    fn a_first_comment_makes_the_viewer_known_and_names_its_own_offset() {
        let mut room = show();
        let posted = run(&mut room, &actor("v4"), &post("a", "hello"), 0).expect("posted");
        let comment = room.head;
        let by = Some(ViewerNo(4));
        assert_eq!(
            posted.answer,
            Answer::Comment {
                comment,
                by,
                entry: None
            }
        );
        let shown = &room.stage().comments[0];
        assert_eq!((shown.id, shown.by, shown.name.as_str()), (comment, by, "Guest 4"));
        let again = run(&mut room, &actor("v4"), &post("a", "hello"), 1).expect("a retry");
        assert_eq!((again.events, again.answer), (Vec::new(), posted.answer));
    }

    #[test]
    fn an_entry_counts_whatever_keeps_its_comment_from_the_stage() {
        let mut room = show();
        for command in [
            r#"{"cmd":"prepare_draw","args":{"id":"d","rules":{"prize":"Lipstick","winners":1,"open_ms":60000,
                "eligibility":{"phrase":{"phrase":"Red 5"}}}}}"#,
            r#"{"cmd":"open_draw","args":{"draw":"d"}}"#,
            r#"{"cmd":"set_modes","args":{"comments_off":true}}"#,
            r#"{"cmd":"mute","args":{"viewer":2,"for_ms":60000}}"#,
        ] {
            let command = serde_json::from_str(command).expect("a command");
            run(&mut room, &actor("lina"), &command, 0).expect("done");
        }
        let said = |room: &mut Room, name: &str, nonce: &str, text: &str| {
            let decision = run(room, &actor(name), &post(nonce, text), 1_000)?;
            match decision.answer {
                Answer::Comment { entry, .. } => Ok((decision.events.len(), entry.map(|entry| entry.number))),
                other => panic!("no answer to a comment: {other:?}"),
            }
        };
        assert_eq!(said(&mut room, "ann", "a", "red"), Err(Refusal::CommentsOff));
        assert_eq!(said(&mut room, "ann", "b", " ＲＥＤ　5"), Ok((2, Some(1))));
        assert_eq!(said(&mut room, "ann", "b", " ＲＥＤ　5"), Ok((0, Some(1))), "a retry");
        assert_eq!(
            said(&mut room, "ann", "c", "red 5"),
            Err(Refusal::CommentsOff),
            "already in"
        );
        assert_eq!(
            said(&mut room, "v4", "a", "red 5"),
            Ok((3, Some(2))),
            "met, entered, posted"
        );
        let muted = said(&mut room, "bob", "a", "red 5").map_err(|refusal| refusal.code());
        assert_eq!(muted, Err("muted"));
        assert_eq!(
            said(&mut room, "lina", "a", "red 5"),
            Ok((1, None)),
            "staff do not enter"
        );
        assert_eq!(texts(&room.stage().comments), "red 5", "the host's");
        assert_eq!(
            texts(&room.mine(ViewerId(ANN.into()), Timestamp(1_000)).offstage),
            "ＲＥＤ　5"
        );
    }

    #[test]
    fn badges_and_names_say_who_speaks() {
        let mut room = show();
        for (n, name) in ["ann", "mem", "lina", "mia", "op"].iter().enumerate() {
            run(&mut room, &actor(name), &post(&n.to_string(), "hi"), 0).expect("posted");
        }
        let stage = room.stage().comments;
        let told: Vec<_> = stage
            .iter()
            .map(|shown| (shown.name.as_str(), shown.badge, shown.by))
            .collect();
        let expected = [
            ("Ann", None, Some(ViewerNo(ANN))),
            ("Mem", Some(Badge::Member), Some(ViewerNo(MEMBER))),
            ("Lina", Some(Badge::Host), None),
            ("Mia", Some(Badge::Assistant), None),
            ("Lina", Some(Badge::Host), None),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut room = show();
        let budget = SetDisplayBudget { per_second: None };
        run(&mut room, &Actor::Server, &Command::SetDisplayBudget(budget), 0).expect("set");
        for n in 0..2 * RECENT_COMMENTS as u64 {
            let now = n * 2_000;
            run(&mut room, &actor("ann"), &post(&n.to_string(), "hello"), now).expect("posted");
        }
        let comments = &room.comments;
        assert_eq!(comments.recent.len(), RECENT_COMMENTS);
        assert_eq!(comments.on_stage.len(), KEYFRAME_COMMENTS);
        assert_eq!(comments.viewers[&ViewerNo(ANN)].posts.len(), NONCES_KEPT);
        assert_eq!(comments.viewers[&ViewerNo(ANN)].times.len(), RATE_COMMENTS);
        assert_eq!(comments.posted, 2 * RECENT_COMMENTS as u64);
    }

    #[test]
    fn a_second_busier_than_what_is_kept_is_sampled_as_a_whole() {
        let mut room = show();
        for n in 0..RECENT_COMMENTS as u32 + 500 {
            run(&mut room, &actor(&format!("v{}", n + 4)), &post("a", "hello"), 500).expect("posted");
        }
        let fired = pass(&mut room, 1_000);
        let n = RECENT_COMMENTS as u32 + 500 - DISPLAY_BUDGET;
        let Some(Event::Comment(CommentEvent::Sampled {
            shown,
            n: waited,
            at_once,
        })) = fired.first()
        else {
            panic!("no sample: {fired:?}");
        };
        assert_eq!(
            (shown.len() as u32, *waited, *at_once),
            (DISPLAY_BUDGET, n, DISPLAY_BUDGET)
        );
        assert_eq!(room.comments.recent.len(), RECENT_COMMENTS);
    }

    #[test]
    fn a_keyframe_of_the_longest_comments_and_details_is_below_64_kib() {
        for letter in ["👍🏽", "口", "\"", "\\", "ก็", "e\u{301}\u{302}\u{303}\u{304}"] {
            let mut room = show();
            let fill = |count: usize| letter.repeat(count);
            let link = super::super::show::Link {
                label: fill(40),
                url: format!("https://a.example/{}", "x".repeat(text::URL_BYTES_MAX - 18)),
            };
            let change = super::super::show::Change {
                title: Some(fill(80)),
                description: Some(fill(2_000)),
                host: Some(fill(20)),
                links: Some(vec![link; super::super::show::LINKS_MAX]),
                ..Default::default()
            };
            run(&mut room, &actor("op"), &Command::Change(change), 0).expect("changed");
            let longest = fill(TEXT_MAX);
            for n in 0..60 {
                let now = n * 1_000;
                run(&mut room, &actor("lina"), &post(&n.to_string(), &longest), now).expect("posted");
            }
            let pin = Pin {
                comment: room.head,
                for_ms: None,
            };
            run(&mut room, &actor("lina"), &Command::Pin(pin), 60_000).expect("pinned");
            let stage: Stage = room.stage();
            let comments = serde_json::to_vec(&stage.comments).expect("serialisable").len();
            let whole = serde_json::to_vec(&stage).expect("serialisable").len();
            assert!(
                comments <= KEYFRAME_COMMENT_BYTES,
                "{comments} bytes of comments in {letter}"
            );
            assert!(whole <= 52 * 1024, "{whole} bytes in {letter}: 12 KiB are the cards'");
            assert!(
                stage.comments.len() >= 10,
                "{} comments in {letter}",
                stage.comments.len()
            );
        }
    }

    #[test]
    fn projections_are_functions_of_the_event_and_hide_what_waits() {
        let posted = |standing| {
            Event::from(CommentEvent::Posted {
                by: Author::Viewer(ViewerNo(1)),
                nonce: "nonce".into(),
                name: "Ann".into(),
                badge: None,
                text: "hello".into(),
                standing,
                entered: None,
            })
        };
        let json = |event: &Event| {
            let stage = serde_json::to_string(&event.stage(7)).expect("serialisable");
            let backstage = serde_json::to_string(&event.backstage(7, Timestamp(5))).expect("serialisable");
            (stage, backstage)
        };
        let shown = r#"{"id":7,"by":1,"name":"Ann","text":"hello"}"#;
        let (stage, backstage) = json(&posted(Standing::Stage));
        assert_eq!(stage, format!(r#"{{"comment":{shown}}}"#));
        assert_eq!(backstage, format!("[{stage}]"));
        for hidden in [Standing::Waiting, Standing::EntryOnly] {
            let (stage, backstage) = json(&posted(hidden));
            assert_eq!(
                (stage.as_str(), backstage),
                ("null", format!(r#"[{{"offstage":{shown}}}]"#))
            );
        }
        let muted = CommentEvent::Muted {
            viewer: ViewerNo(1),
            until: Timestamp(9),
            by: By::Staff(PersonId(1)),
        };
        let (stage, backstage) = json(&muted.into());
        assert_eq!(stage, "null");
        assert!(backstage.contains(r#""act":{"id":7,"at":5,"#), "{backstage}");
    }

    #[test]
    fn the_backstage_keeps_the_acts_of_people_and_not_the_servers() {
        let mut room = show();
        run(&mut room, &actor("ann"), &post("a", "hello"), 0).expect("posted");
        let comment = room.head;
        let for_ms = Some(1_000);
        run(&mut room, &actor("lina"), &Command::Pin(Pin { comment, for_ms }), 0).expect("pinned");
        pass(&mut room, 1_000);
        run(&mut room, &actor("mia"), &Command::Delete(Delete { comment }), 2_000).expect("deleted");
        let removed = StaffEvent::Removed {
            person: PersonId(2),
            by: By::Staff(PersonId(1)),
        };
        room.apply(&removed.into(), Timestamp(3_000));
        let acts: Vec<_> = room.comments.acts().into_iter().map(|act| act.what).collect();
        let expected = [
            ActKind::Pinned { comment },
            ActKind::Deleted {
                comments: vec![comment],
            },
            ActKind::Removed { person: PersonId(2) },
        ];
        assert_eq!(acts, expected);
    }

    #[test]
    fn the_state_survives_being_stored() {
        let mut room = show();
        let words = vec!["casino".to_owned()];
        run(
            &mut room,
            &actor("lina"),
            &Command::SetBlockedWords(SetBlockedWords { words }),
            0,
        )
        .expect("set");
        for n in 0..12 {
            run(&mut room, &actor(&format!("v{}", n + 4)), &post("a", "hello"), 500).expect("posted");
        }
        let delete = Delete { comment: room.head };
        run(&mut room, &actor("lina"), &Command::Delete(delete), 600).expect("deleted");
        let stored = serde_json::to_string(&room).expect("serialisable");
        let back: Room = serde_json::from_str(&stored).expect("readable");
        assert_eq!(back, room);
        assert!(back.comments.blocked_words.stand_in("c a s i n o"));
    }
}

//! What may be done to comments, and what follows from it.

use super::super::audience::{AudienceEvent, Visitor};
use super::super::show::State;
use super::super::staff::{By, Role};
use super::super::{
    Actor, Answer, Decision, Event, Key, Luck, Offset, Personal, Refusal, Room, Timestamp, ViewerNo, audience, draw,
    text,
};
use super::state::{Comments, Deletion, Place, Recent, Second, Speaker};
use super::{
    Author, BLOCKED_WORDS_MAX, Badge, CommentEvent, Delete, DeleteAll, MUTE_MS, Mute, NONCE_BYTES_MAX, PIN_MS, Pin,
    Post, Restore, SLOW_MS, SetBlockedWords, SetDisplayBudget, SetModes, Shown, Standing, UNDO_MS, Unmute,
};

/// Posts a viewer's comment. `first` is the offset that the first event of the decision will have.
pub(in crate::room) fn post_by_viewer(
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
        return (audience::called(room, viewer), viewer.store);
    }
    match audience::meet(room, visitor) {
        (_, Some(Event::Audience(AudienceEvent::Met { name, store, .. }))) => (name, store),
        _ => (visitor.name.clone(), visitor.store),
    }
}

pub(in crate::room) fn post_by_staff(
    room: &Room,
    actor: &Actor,
    post: &Post,
    _now: Timestamp,
) -> Result<Decision, Refusal> {
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
    pub(in crate::room) fn muted_until(&self, viewer: ViewerNo, now: Timestamp) -> Option<Timestamp> {
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
        self.may_speak_again(speaker, now)?;
        // Last: it is by far the most work.
        match self.blocked_words.stand_in(text) {
            true => Err(Refusal::BlockedWord),
            false => Ok(()),
        }
    }

    fn may_speak_again(&self, speaker: Option<&Speaker>, now: Timestamp) -> Result<(), Refusal> {
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

    pub(super) fn slow_until(&self, speaker: &Speaker) -> Option<Timestamp> {
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

pub(in crate::room) fn delete(
    room: &Room,
    actor: &Actor,
    delete: &Delete,
    now: Timestamp,
) -> Result<Decision, Refusal> {
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

pub(in crate::room) fn delete_all(
    room: &Room,
    actor: &Actor,
    delete: &DeleteAll,
    now: Timestamp,
) -> Result<Decision, Refusal> {
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

pub(in crate::room) fn restore(
    room: &Room,
    actor: &Actor,
    restore: &Restore,
    now: Timestamp,
) -> Result<Decision, Refusal> {
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

pub(in crate::room) fn mute(room: &Room, actor: &Actor, mute: &Mute, now: Timestamp) -> Result<Decision, Refusal> {
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

pub(in crate::room) fn unmute(
    room: &Room,
    actor: &Actor,
    unmute: &Unmute,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let by = By::of(actor)?;
    let viewer = unmute.viewer;
    room.audience.viewer(viewer).ok_or(Refusal::UnknownViewer)?;
    if room.comments.muted_until(viewer, now).is_none() {
        return Ok(Decision::again(Answer::Done {}));
    }
    Ok(Decision::event(CommentEvent::Unmuted { viewer, by }))
}

pub(in crate::room) fn pin(room: &Room, actor: &Actor, pin: &Pin, now: Timestamp) -> Result<Decision, Refusal> {
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

pub(in crate::room) fn unpin(room: &Room, actor: &Actor, _now: Timestamp) -> Result<Decision, Refusal> {
    let by = By::of(actor)?;
    if room.comments.pinned.is_none() {
        return Ok(Decision::again(Answer::Done {}));
    }
    Ok(Decision::event(CommentEvent::Unpinned { by }))
}

pub(in crate::room) fn set_modes(
    room: &Room,
    actor: &Actor,
    set: &SetModes,
    _now: Timestamp,
) -> Result<Decision, Refusal> {
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

pub(in crate::room) fn set_blocked_words(
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

pub(in crate::room) fn set_display_budget(
    room: &Room,
    set: &SetDisplayBudget,
    _now: Timestamp,
) -> Result<Decision, Refusal> {
    let per_second = set.per_second;
    if per_second == room.comments.display_budget {
        return Ok(Decision::again(Answer::Done {}));
    }
    Ok(Decision::event(CommentEvent::DisplayBudgetSet { per_second }))
}

/// A pin whose time is over, or the sample of a busy second.
pub(in crate::room) fn due(room: &Room, due: Timestamp, _now: Timestamp, luck: &mut Luck) -> Vec<Event> {
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

    pub(in crate::room) fn next_deadline(&self) -> Option<Timestamp> {
        let oldest = self.waiting.first().and_then(|id| self.recent.get(id));
        let sample = oldest
            .and_then(|oldest| oldest.shown.at)
            .map(|at| Timestamp((Second::of(at) + 1) * 1_000));
        [self.pinned_until, sample].into_iter().flatten().min()
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

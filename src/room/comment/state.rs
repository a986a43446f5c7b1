//! What a room knows of its comments, and how they are shown.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::super::audience::Audience;
use super::super::staff::By;
use super::super::stage::{Act, MutedViewer};
use super::super::text::BlockedWords;
use super::super::{Answer, Key, Offset, PersonId, Timestamp, ViewerNo};
use super::{
    ACTS_KEPT, Author, CommentEvent, DELETIONS_KEPT, DISPLAY_BUDGET, KEYFRAME_COMMENT_BYTES, KEYFRAME_COMMENTS,
    MINE_OFFSTAGE, MUTED_SHOWN, Modes, NONCES_KEPT, OFFSTAGE_SHOWN, RATE_COMMENTS, RATE_WINDOW_MS, RECENT_COMMENTS,
    SHOWN_BYTES, Shown, Standing, UNDO_MS, shown,
};

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
    pub(super) pinned_until: Option<Timestamp>,
    /// The last [`RECENT_COMMENTS`] and those that wait, by offset.
    pub(super) recent: BTreeMap<Offset, Recent>,
    /// Those that wait for the sample of their second.
    pub(super) waiting: Vec<Offset>,
    pub(super) second: Second,
    pub(super) display_budget: Option<u32>,
    /// What is remembered of viewers who have commented.
    pub(super) viewers: BTreeMap<ViewerNo, Speaker>,
    /// What is remembered of staff who have commented.
    pub(super) staff: BTreeMap<PersonId, Speaker>,
    /// Muted viewers, until when; those whose time is over are swept out now and then.
    pub(super) muted: BTreeMap<ViewerNo, Timestamp>,
    /// The last deletions, for undo.
    pub(super) deletions: VecDeque<Deletion>,
    /// The last moderation acts.
    pub(super) acts: VecDeque<Act>,
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
pub(super) struct Recent {
    pub(super) by: Author,
    pub(super) shown: Shown,
    pub(super) place: Place,
    /// By which deletion, while it is deleted.
    pub(super) deleted: Option<Offset>,
}

/// Where a comment is, or would be if it were not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    Stage,
    Waiting,
    Off,
}

/// How much of the display budget a second has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Second {
    /// Unix time in seconds.
    pub(super) number: u64,
    /// All that it shows, also the sample of the second before.
    pub(super) shown: u32,
    /// Viewers' comments of this second among them.
    #[serde(default)]
    pub(super) at_once: u32,
}

/// What is remembered of somebody who comments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Speaker {
    /// Their last [`NONCES_KEPT`] comments.
    pub(super) posts: VecDeque<Posted>,
    /// When they posted the last [`RATE_COMMENTS`] that count.
    pub(super) times: VecDeque<Timestamp>,
}

/// What a retry of a comment is answered with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Posted {
    pub(super) nonce: String,
    pub(super) comment: Offset,
    pub(super) entered: Option<Key>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Deletion {
    pub(super) id: Offset,
    pub(super) at: Timestamp,
    pub(super) by: By,
    pub(super) comments: Vec<Offset>,
    pub(super) restored: bool,
}

impl Second {
    pub(super) fn of(at: Timestamp) -> u64 {
        at.0 / 1_000
    }

    pub(super) fn shown_at(self, at: Timestamp) -> u32 {
        if self.number == Self::of(at) { self.shown } else { 0 }
    }

    pub(super) fn at_once_at(self, at: Timestamp) -> u32 {
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

impl Deletion {
    pub(super) fn answer(&self) -> Answer {
        Answer::Deleted {
            deletion: self.id,
            count: self.comments.len() as u32,
            undo_until: self.at.plus(UNDO_MS),
        }
    }
}

impl Comments {
    pub(in crate::room) fn apply(&mut self, event: &CommentEvent, offset: Offset, at: Timestamp) {
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
        if self.on_stage.len() > KEYFRAME_COMMENTS {
            self.on_stage.pop_front();
        }
        let all = |bytes: fn(&Shown) -> usize| self.on_stage.iter().map(bytes).sum::<usize>();
        if all(Shown::bytes_max) <= KEYFRAME_COMMENT_BYTES {
            return;
        }
        let mut bytes = all(Shown::bytes);
        while bytes > KEYFRAME_COMMENT_BYTES {
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

    pub(super) fn deletion(&self, id: Offset) -> Option<&Deletion> {
        self.deletions.iter().find(|deletion| deletion.id == id)
    }

    /// Keeps a moderation act for the backstage, also one of another family.
    pub(in crate::room) fn keep_act(&mut self, act: Option<Act>) {
        self.acts.extend(act);
        if self.acts.len() > ACTS_KEPT {
            self.acts.pop_front();
        }
    }
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

impl Speaker {
    pub(super) fn rate_until(&self) -> Option<Timestamp> {
        let first = self.times.front().filter(|_| self.times.len() >= RATE_COMMENTS)?;
        Some(first.plus(RATE_WINDOW_MS))
    }
}

impl Shown {
    /// What it takes in a keyframe: its texts as JSON, and what stands around them.
    fn bytes(&self) -> usize {
        let escaped = |text: &str| text.len() + text.bytes().filter(|b| matches!(b, b'"' | b'\\')).count();
        escaped(self.name.as_str()) + escaped(self.text.as_str()) + SHOWN_BYTES
    }

    /// What it takes at most, without a look at its texts.
    fn bytes_max(&self) -> usize {
        2 * (self.name.as_str().len() + self.text.as_str().len()) + SHOWN_BYTES
    }
}

impl Comments {
    /// The last comments that are not on stage, oldest first.
    pub(in crate::room) fn offstage(&self) -> Vec<Shown> {
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
    pub(in crate::room) fn acts(&self) -> Vec<Act> {
        self.acts.iter().cloned().collect()
    }

    /// Viewers who are muted, those for longest first.
    pub(in crate::room) fn muted(&self, audience: &Audience, now: Timestamp) -> Vec<MutedViewer> {
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
    pub(in crate::room) fn mine(
        &self,
        viewer: ViewerNo,
        now: Timestamp,
    ) -> (Option<Timestamp>, Option<Timestamp>, Vec<Shown>) {
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

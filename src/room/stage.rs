//! What people see of a room: the stage, the backstage, and mine. Projections of events are functions of the
//! event alone, so that a feed can be refilled from the log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::attendance::Unattended;
use super::audience::{self, Address, AudienceEvent, Totals};
use super::comment::{Modes, Shown};
use super::discount::{Closed, Off};
use super::draw::{EntryReceipt, Winner};
use super::show::{Change, Details, Goals, State};
use super::staff::By;
use super::{Event, Hash, Key, Offset, PersonId, Personal, Room, Timestamp, ViewerId, ViewerNo, discount, draw};

/// A stage as JSON. What must be there always fits, at 10 bytes a character: the details with 30 KiB, a pinned
/// comment with 2, five open discounts with 17, the draw under way with 4. The oldest of the rest is left out until it fits.
pub const STAGE_BYTES_MAX: usize = 64 * 1024;
/// Comments that stay until all old cards have gone.
const COMMENTS_KEPT: usize = 10;

/// What viewers see happen. On the wire: `{"comment":{...}}`, `{"draw_opened":{...}}` and so on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageEvent {
    /// A comment.
    Comment(Shown),
    /// The comments chosen of those that a busy second did not show at once.
    Sampled {
        /// The chosen ones.
        comments: Vec<Shown>,
        /// How many of that second's are on stage now: these and those of viewers that were shown at once.
        shown: u32,
        /// Of how many that viewers posted in that second; those that only entered a draw do not count.
        n: u32,
    },
    /// Comments are gone.
    Deleted {
        /// Which.
        comments: Vec<Offset>,
    },
    /// Deleted comments are back in their old places.
    Restored {
        /// Each with its own `at`.
        comments: Vec<Shown>,
    },
    /// A comment was pinned.
    Pinned(Shown),
    /// Nothing is pinned.
    Unpinned {},
    /// The modes are these now.
    Modes(Modes),
    /// The show is this now: on every change of details or state.
    Show(ShowChange),
    /// The numbers of the show: once, after its end.
    Summary(Summary),
    /// A discount was opened.
    DiscountOpened(discount::Card),
    /// A discount's claims are closed.
    DiscountClosed {
        /// Which.
        id: Key,
        /// Why.
        why: Closed,
    },
    /// A draw was opened.
    DrawOpened(draw::Card),
    /// An entry was struck.
    EntryStruck {
        /// Of which draw.
        id: Key,
        /// Which.
        entry: u32,
        /// Why.
        reason: String,
    },
    /// A draw is locked: "drawing".
    DrawLocked {
        /// Which.
        id: Key,
        /// Entries.
        count: u32,
        /// The root over them.
        root: Hash,
        /// When the winners are revealed.
        reveal_at: Timestamp,
    },
    /// The winners.
    DrawRevealed {
        /// Which.
        id: Key,
        /// The seed.
        seed: Hash,
        /// In the order drawn.
        winners: Vec<Winner>,
        /// Until when they may claim.
        claim_until: Timestamp,
    },
    /// Some winners were replaced.
    DrawRedrawn {
        /// Which.
        id: Key,
        /// The entries replaced.
        instead_of: Vec<u32>,
        /// The new winners.
        winners: Vec<Winner>,
        /// Until when they may claim.
        claim_until: Timestamp,
    },
    /// A draw was cancelled.
    DrawCancelled {
        /// Which.
        id: Key,
        /// Why.
        reason: String,
    },
}

/// What changed about the show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShowChange {
    /// It was made.
    Created(ShownDetails),
    /// Details changed: those given (`null`: cleared). With a date a draft is scheduled, without it a
    /// scheduled show is a draft.
    Changed(Change),
    /// On air since the batch's time.
    Started {},
    /// Interrupted.
    Paused {},
    /// On again.
    Resumed {},
    /// It ends then, unless undone.
    Ending {
        /// When.
        ends_at: Timestamp,
    },
    /// The end was taken back.
    EndUndone {},
    /// It is over.
    Ended {
        /// Until when codes can be used.
        redeem_until: Timestamp,
    },
}

/// The details that viewers see: all but the goals.
pub type ShownDetails = Details;

/// The stage at an offset: what a keyframe carries. At most [`STAGE_BYTES_MAX`] as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Stage {
    /// The show.
    pub show: ShowCard,
    /// The modes.
    pub modes: Modes,
    /// The last comments on stage, oldest first, each with its `at`.
    pub comments: Vec<Shown>,
    /// What is pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Shown>,
    /// Discounts that were opened, newest last; closed ones while their codes can be used.
    pub discounts: Vec<discount::Card>,
    /// Draws that were opened, newest last, at most 10.
    pub draws: Vec<draw::Card>,
    /// Counts as of the last pulse.
    pub totals: Totals,
    /// The numbers of the show, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
}

/// The show as the stage has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShowCard {
    /// What is shown about it.
    pub details: ShownDetails,
    /// Where it stands.
    pub state: State,
    /// First start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Live time so far without pauses, before `live_since`, ms.
    pub live_ms: u64,
    /// Since when it is live without a pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_since: Option<Timestamp>,
    /// When it ends, if it is ending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Until when codes can be used, once ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redeem_until: Option<Timestamp>,
}

/// The numbers of a show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Summary {
    /// Live time without pauses, ms.
    pub live_ms: u64,
    /// Different viewers.
    pub viewers: u32,
    /// Most at once, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak: Option<Peak>,
    /// Comments posted.
    pub comments: u64,
    /// Likes.
    pub likes: u64,
    /// Watch time of all viewers together, ms.
    pub watched_ms: u64,
    /// Each discount that was opened.
    pub discounts: Vec<DiscountSummary>,
    /// Each draw that was opened.
    pub draws: Vec<DrawSummary>,
}

/// Most viewers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Peak {
    /// How many.
    pub viewers: u32,
    /// When.
    pub at: Timestamp,
}

/// A discount's numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DiscountSummary {
    /// Which.
    pub id: Key,
    /// What the card says.
    pub title: String,
    /// How much off.
    pub off: Off,
    /// Claims.
    pub claimed: u32,
    /// Redemptions.
    pub redeemed: u32,
    /// Of how many.
    pub quota: u32,
}

/// A draw's numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DrawSummary {
    /// Which.
    pub id: Key,
    /// The prize.
    pub prize: String,
    /// Entries.
    pub entries: u32,
    /// Winners; the first of them where a show has many.
    pub winners: Vec<Winner>,
    /// How many won.
    pub won: u32,
    /// How many of them claimed.
    pub claimed: u32,
    /// It was cancelled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelled: bool,
}

/// What staff see happen: the stage's events and these. On the wire a stage event looks as it does on the
/// stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum BackstageEvent {
    /// Everybody sees it.
    Stage(StageEvent),
    /// Staff see it.
    Staff(StaffOnly),
}

/// What only staff see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StaffOnly {
    /// What the host wants to reach is this now.
    Goals(Goals),
    /// A comment that is not, or not yet, on stage.
    Offstage(Shown),
    /// A moderation act, for the audit.
    Act(Act),
    /// The room's blocked words are these now.
    BlockedWords {
        /// All of them.
        words: Vec<String>,
    },
    /// A draw was prepared or changed.
    DrawPrepared(PreparedDraw),
    /// A prepared draw or discount was taken out.
    Removed {
        /// Of which kind: a draw and a discount may have the same name.
        what: Prepared,
        /// Which.
        id: Key,
    },
    /// A discount was prepared or changed.
    DiscountPrepared(PreparedDiscount),
    /// Codes were added to a discount.
    CodesAdded {
        /// To which.
        id: Key,
        /// How many.
        count: u32,
    },
    /// A prize was claimed, or marked as sent.
    Prize {
        /// Which draw.
        id: Key,
        /// The winner's entry.
        entry: u32,
        /// Marked as sent; absent: claimed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent: Option<bool>,
    },
    /// The staff is this now: somebody was invited, joined or left.
    Staff {},
    /// The show has been on air without any of the staff for long.
    Unattended {
        /// Since when.
        since: Timestamp,
    },
    /// Somebody of the staff is there.
    Attended {},
    /// The display budget is this now.
    DisplayBudget {
        /// Comments a second; absent shows all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        per_second: Option<u32>,
    },
}

/// A kind of what is prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Prepared {
    Draw,
    Discount,
}

/// A moderation act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Act {
    /// Its offset.
    pub id: Offset,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: By,
    /// What.
    pub what: ActKind,
}

/// What a moderation act did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum ActKind {
    Deleted { comments: Vec<Offset> },
    Restored { deletion: Offset },
    Muted { viewer: ViewerNo, until: Timestamp },
    Unmuted { viewer: ViewerNo },
    Pinned { comment: Offset },
    Unpinned {},
    Modes(Modes),
    BlockedWords { count: u32 },
    Struck { draw: Key, entry: u32, reason: String },
    Removed { person: PersonId },
}

/// A draw that waits to be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PreparedDraw {
    /// Its name.
    pub id: Key,
    /// Its rules.
    pub rules: draw::Rules,
}

/// A discount that waits to be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PreparedDiscount {
    /// Its name.
    pub id: Key,
    /// What is offered.
    pub terms: discount::Terms,
    /// Where its codes come from, without any code.
    pub source: SourceKind,
    /// Codes that it has, where they are pasted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codes: Option<u32>,
}

/// Where codes come from, without any code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "see `CodeSource`")]
pub enum SourceKind {
    Shared,
    Pasted,
    Generated,
}

/// What staff have besides the stage: at an offset, in a backstage keyframe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Backstage {
    /// What the stage has.
    pub stage: Stage,
    /// What the host wants to reach.
    pub goals: Goals,
    /// Draws that wait.
    pub draws: Vec<PreparedDraw>,
    /// Discounts that wait.
    pub discounts: Vec<PreparedDiscount>,
    /// Claimed and redeemed of every opened discount: counters.
    pub summary: Summary,
    /// The room's blocked words.
    pub blocked_words: Vec<String>,
    /// The last comments that are not on stage, at most 50.
    pub offstage: Vec<Shown>,
    /// The last moderation acts, at most 50.
    pub acts: Vec<Act>,
    /// Viewers who are muted, at most 50.
    pub muted: Vec<MutedViewer>,
    /// Addresses with most anonymous claims and entries, masked, at most 10.
    pub addresses: Vec<AddressCount>,
    /// Comments a second that reach the stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_budget: Option<u32>,
    /// When the show was last without staff for so long that it was a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unattended: Option<Unattended>,
}

/// A viewer who is muted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MutedViewer {
    /// Who.
    pub viewer: ViewerNo,
    /// Their name.
    pub name: Personal,
    /// Until when.
    pub until: Timestamp,
}

/// How often an address claimed or entered anonymously.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AddressCount {
    /// The address, masked.
    pub masked: String,
    /// Claims and entries.
    pub count: u32,
}

/// What concerns one viewer alone. A bounded projection of the room's state; private replies only bring it
/// forward.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mine {
    /// Their number, once the log has spoken of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<ViewerNo>,
    /// Their nickname.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Personal>,
    /// Claims with their codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<MyClaim>,
    /// Entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<EntryReceipt>,
    /// Wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wins: Vec<MyWin>,
    /// Muted until.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted_until: Option<Timestamp>,
    /// The next comment is taken from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_comment_at: Option<Timestamp>,
    /// Their own last comments that the stage does not show, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offstage: Vec<Shown>,
    /// Watch time, ms, as of the answer.
    #[serde(default)]
    pub watched_ms: u64,
}

/// One of my claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MyClaim {
    /// Of which discount.
    pub discount: Key,
    /// My n-th.
    pub unit: u32,
    /// The code.
    pub code: String,
    /// What the card said.
    pub title: String,
    /// How much off.
    pub off: Off,
    /// On what, if not on everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<String>,
    /// Where to use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Until when; absent: until the show ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_before: Option<Timestamp>,
    /// It was used (not for shared codes).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub used: bool,
}

/// One of my wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MyWin {
    /// Of which draw.
    pub draw: Key,
    /// The entry that won.
    pub entry: u32,
    /// The prize.
    pub prize: String,
    /// What is asked for; empty: a prize code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ask: Vec<draw::Ask>,
    /// Who reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readers: Option<String>,
    /// Until when it can be claimed.
    pub claim_until: Timestamp,
    /// It was claimed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub claimed: bool,
    /// The prize code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// It was drawn again because it was not claimed in time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redrawn: bool,
}

impl Event {
    /// What the stage shows of it, if anything. `offset` and `at` are the event's own.
    pub fn stage(&self, offset: Offset) -> Option<StageEvent> {
        match self {
            Self::Show(event) => event.stage(),
            Self::Staff(_) | Self::Attendance(_) | Self::Audience(_) => None,
            Self::Comment(event) => event.stage(offset),
            Self::Draw(event) => event.stage(),
            Self::Discount(event) => event.stage(),
        }
    }

    /// What staff see of it: the stage's event, and what only they see.
    pub fn backstage(&self, offset: Offset, at: Timestamp) -> Vec<BackstageEvent> {
        let staff_only = match self {
            Self::Show(event) => event.staff_only(),
            Self::Attendance(event) => event.staff_only(),
            Self::Audience(_) => Vec::new(),
            Self::Staff(event) => event.staff_only(offset, at),
            Self::Comment(event) => event.staff_only(offset, at),
            Self::Draw(event) => event.staff_only(offset, at),
            Self::Discount(event) => event.staff_only(),
        };
        let stage = self.stage(offset).map(BackstageEvent::Stage);
        stage
            .into_iter()
            .chain(staff_only.into_iter().map(BackstageEvent::Staff))
            .collect()
    }

    /// The totals of a pulse: latest-wins, they do not move the cursor.
    pub fn totals(&self) -> Option<&Totals> {
        match self {
            Self::Audience(AudienceEvent::Pulsed { totals, .. }) => Some(totals),
            _ => None,
        }
    }
}

impl Stage {
    /// Leaves out what a page misses least until the rest fits, the oldest of each first: comments but the last
    /// ten, draws and discounts that are over, the last comments, rows of the summary.
    fn fit(mut self) -> Self {
        let mut over = json_bytes(&self).saturating_sub(STAGE_BYTES_MAX);
        let decided =
            |draw: &draw::Card| matches!(draw.phase, draw::Phase::Revealed { .. } | draw::Phase::Cancelled { .. });
        leave_out(&mut self.comments, COMMENTS_KEPT, |_| true, &mut over);
        leave_out(&mut self.draws, 0, decided, &mut over);
        leave_out(&mut self.discounts, 0, |discount| discount.closed.is_some(), &mut over);
        leave_out(&mut self.comments, 0, |_| true, &mut over);
        if let Some(summary) = &mut self.summary {
            summary.leave_out_rows(&mut over);
        }
        self
    }
}

impl Summary {
    /// Leaves out the oldest rows until the rest fits.
    pub(super) fn fit(mut self, bytes_max: usize) -> Self {
        let mut over = json_bytes(&self).saturating_sub(bytes_max);
        self.leave_out_rows(&mut over);
        self
    }

    fn leave_out_rows(&mut self, over: &mut usize) {
        leave_out(&mut self.discounts, 0, |_| true, over);
        leave_out(&mut self.draws, 0, |_| true, over);
    }
}

/// Takes the first of those that may go out of a list of more than `kept`, as long as bytes are `over`.
fn leave_out<T: Serialize>(list: &mut Vec<T>, kept: usize, may_go: impl Fn(&T) -> bool, over: &mut usize) {
    let mut left = list.len();
    list.retain(|item| {
        let goes = *over > 0 && left > kept && may_go(item);
        if goes {
            left -= 1;
            *over = over.saturating_sub(json_bytes(item));
        }
        !goes
    });
}

fn json_bytes(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |json| json.len())
}

impl Room {
    /// The stage at [`Room::head`].
    pub fn stage(&self) -> Stage {
        let ended = self.show.state() == State::Ended;
        let stage = Stage {
            show: self.show.card(),
            modes: self.comments.modes,
            comments: self
                .comments
                .on_stage
                .iter()
                .filter(|shown| shown.is_said())
                .cloned()
                .collect(),
            pinned: self.comments.pinned.clone().filter(Shown::is_said),
            discounts: self.discounts.cards(self),
            draws: self.draws.cards(),
            totals: self.audience.totals.clone(),
            summary: ended.then(|| self.summary(self.at)),
        };
        stage.fit()
    }

    /// The backstage at [`Room::head`].
    pub fn backstage(&self, now: Timestamp) -> Backstage {
        Backstage {
            stage: self.stage(),
            goals: self.show.details.goals,
            draws: self.draws.prepared(),
            discounts: self.discounts.prepared(),
            summary: self.summary(now),
            blocked_words: self.comments.blocked_words.words().to_vec(),
            offstage: self.comments.offstage(),
            acts: self.comments.acts(),
            muted: self.comments.muted(&self.audience, now),
            addresses: self.addresses(),
            display_budget: self.comments.display_budget(),
            unattended: self.attendance.unattended,
        }
    }

    /// What concerns one viewer alone.
    pub fn mine(&self, id: ViewerId, now: Timestamp) -> Mine {
        let Some(number) = self.audience.number(id) else {
            return Mine::default();
        };
        let (muted_until, next_comment_at, offstage) = self.comments.mine(number, now);
        Mine {
            number: Some(number),
            name: self
                .audience
                .viewer(number)
                .map(|viewer| audience::called(self, viewer)),
            claims: self.discounts.mine(number),
            entries: self.draws.my_entries(number),
            wins: self.draws.my_wins(number),
            muted_until,
            next_comment_at,
            offstage,
            watched_ms: self.audience.watched_ms(number, now),
        }
    }

    /// The numbers of the show so far.
    pub fn summary(&self, now: Timestamp) -> Summary {
        Summary {
            live_ms: self.show.live_ms(now),
            viewers: self.audience.totals.viewers,
            peak: self.audience.peak.map(|(viewers, at)| Peak { viewers, at }),
            comments: self.comments.posted,
            likes: self.audience.totals.likes,
            watched_ms: self.audience.watched_ms_total(now),
            discounts: self.discounts.summaries(),
            draws: self.draws.summaries(),
        }
    }

    /// The addresses with most anonymous claims and entries together, most first, at most 10.
    fn addresses(&self) -> Vec<AddressCount> {
        let mut counts: BTreeMap<&Address, u32> = BTreeMap::new();
        for (address, count) in self.discounts.addresses().chain(self.draws.addresses()) {
            *counts.entry(address).or_default() += count;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(address, count)| (std::cmp::Reverse(*count), address.key));
        counts.truncate(10);
        counts
            .into_iter()
            .map(|(address, count)| AddressCount {
                masked: address.masked.clone(),
                count,
            })
            .collect()
    }
}

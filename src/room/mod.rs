//! The rules of a show, pure: a [`Command`] is decided into events or refused, an [`Event`] is applied to
//! the [`Room`]. Neither reads a clock, draws randomness or does I/O: the time and the [`Luck`] are values,
//! and what luck produced stands in the event. The same log always gives the same room.
//!
//! One file per family of rules, each with its part of the state, its commands, events and refusals:
//! [`show`], [`staff`], [`attendance`], [`audience`], [`comment`], [`draw`], [`discount`]. This file only
//! composes them.

pub mod attendance;
pub mod audience;
pub mod comment;
pub mod discount;
pub mod draw;
pub mod fair;
mod id;
mod refusal;
pub mod show;
pub mod staff;
pub mod stage;
pub mod text;

use serde::{Deserialize, Serialize};

pub use id::*;
pub use refusal::Refusal;

use attendance::{Attendance, AttendanceEvent};
use audience::{Audience, AudienceEvent, Pulse, Visitor};
use comment::{CommentEvent, Comments};
use discount::{DiscountEvent, Discounts};
use draw::{DrawEvent, Draws};
use show::{Show, ShowEvent};
use staff::{Need, Staff, StaffEvent};

/// Who asks. The shell has checked the token; what the person may do stands in the room's own state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A viewer, perhaps not yet known to the room.
    Viewer(Visitor),
    /// Staff of this room, by the person in the token.
    Staff(PersonId),
    /// An operator of the server: may do what a host may, in every room.
    Operator(PersonId),
    /// A shop for all rooms: checks and redeems codes, nothing else.
    Store(PersonId),
    /// The server itself: pulses and display budgets.
    Server,
}

/// What somebody wants of a room. It is the same from a socket (`{"id":7,"cmd":"comment","args":{...}}`)
/// and from REST; unknown and missing fields are errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cmd", content = "args", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each variant is documented at its payload")]
pub enum Command {
    // show
    Create(show::Create),
    #[serde(skip)]
    CreateFor(show::CreateFor),
    Change(show::Change),
    Start(Empty),
    Pause(Empty),
    Resume(Empty),
    End(show::End),
    UndoEnd(Empty),
    // staff
    Invite(staff::Invite),
    AcceptInvitation(staff::AcceptInvitation),
    RevokeInvitation(staff::RevokeInvitation),
    AddStore(staff::AddStore),
    RemoveStaff(staff::RemoveStaff),
    // audience
    Rename(audience::Rename),
    #[serde(skip)]
    Pulse(Pulse),
    // comments and moderation
    Comment(comment::Post),
    Delete(comment::Delete),
    DeleteAll(comment::DeleteAll),
    Restore(comment::Restore),
    Mute(comment::Mute),
    Unmute(comment::Unmute),
    Pin(comment::Pin),
    Unpin(Empty),
    SetModes(comment::SetModes),
    SetBlockedWords(comment::SetBlockedWords),
    #[serde(skip)]
    SetDisplayBudget(comment::SetDisplayBudget),
    // draws
    PrepareDraw(draw::Prepare),
    RemoveDraw(draw::ById),
    OpenDraw(draw::ById),
    LockDraw(draw::ById),
    CancelDraw(draw::Cancel),
    EnterDraw(draw::ById),
    StrikeEntry(draw::Strike),
    Redraw(draw::ById),
    ClaimPrize(draw::ClaimPrize),
    MarkSent(draw::MarkSent),
    // discounts
    PrepareDiscount(discount::Prepare),
    AddCodes(discount::AddCodes),
    RemoveDiscount(discount::ById),
    OpenDiscount(discount::ById),
    CloseDiscount(discount::ById),
    Claim(discount::Claim),
    Redeem(discount::Redeem),
}

/// The arguments of a command that takes none: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// A fact. It is never refused, and with those before it, it makes the room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each variant is documented at its payload")]
pub enum Event {
    Show(ShowEvent),
    Staff(StaffEvent),
    Attendance(AttendanceEvent),
    Audience(AudienceEvent),
    Comment(CommentEvent),
    Draw(DrawEvent),
    Discount(DiscountEvent),
}

/// What a command that was not refused gets: the first answer again, when it is a retry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is done; there is nothing to tell.
    Done {},
    /// An invitation was made: `code` is shown once and stands only in the link's fragment.
    Invited {
        /// Its name.
        invitation: Key,
        /// The one-use code.
        code: String,
        /// When it ends.
        expires_at: Timestamp,
    },
    /// Somebody became staff; the shell makes a token of it.
    Joined {
        /// The new person.
        person: PersonId,
        /// What they may do.
        role: staff::Role,
    },
    /// The comment stands at this offset, which is its id.
    Comment {
        /// Its id.
        comment: Offset,
        /// The author's number in this room, if a viewer.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<ViewerNo>,
        /// It was a draw's phrase, and entered its author.
        #[serde(skip_serializing_if = "Option::is_none")]
        entry: Option<draw::EntryReceipt>,
    },
    /// Comments were deleted; `deletion` names the act for its undo.
    Deleted {
        /// Offset of the act.
        deletion: Offset,
        /// How many comments.
        count: u32,
        /// Until when it can be undone.
        undo_until: Timestamp,
    },
    /// An entry in a draw.
    Entry(draw::EntryReceipt),
    /// A prize was claimed.
    Prize(draw::PrizeReceipt),
    /// A discount was claimed: mine, with the code.
    Claim(stage::MyClaim),
    /// What became of a redemption.
    Redemption(discount::Redemption),
}

/// What a command was decided into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The facts, in order; none for a retry.
    pub events: Vec<Event>,
    /// What the asker is told once they are durable.
    pub answer: Answer,
}

impl Decision {
    /// Events, and nothing to tell.
    pub fn done(events: Vec<Event>) -> Self {
        Self {
            events,
            answer: Answer::Done {},
        }
    }

    /// One event, and nothing to tell.
    pub fn event(event: impl Into<Event>) -> Self {
        Self::done(vec![event.into()])
    }

    /// Nothing changes: a retry gets its first answer.
    pub fn again(answer: Answer) -> Self {
        Self {
            events: Vec::new(),
            answer,
        }
    }
}

macro_rules! event_from {
    ($($variant:ident($inner:ty)),*) => {$(
        impl From<$inner> for Event {
            fn from(event: $inner) -> Self {
                Self::$variant(event)
            }
        }
    )*};
}
event_from!(
    Show(ShowEvent),
    Staff(StaffEvent),
    Attendance(AttendanceEvent),
    Audience(AudienceEvent),
    Comment(CommentEvent),
    Draw(DrawEvent),
    Discount(DiscountEvent)
);

/// A show and its audience: the fold of its log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Its name in links.
    pub id: RoomId,
    /// Offset of the last event applied.
    pub head: Offset,
    /// Time of the last batch applied; the room's time is never less.
    pub at: Timestamp,
    /// What is shown about it, and its state.
    pub show: Show,
    /// Who may do what.
    pub staff: Staff,
    /// Whether staff are there.
    pub attendance: Attendance,
    /// Who watches, and likes.
    pub audience: Audience,
    /// What was said, and moderation.
    pub comments: Comments,
    /// Lucky draws.
    pub draws: Draws,
    /// Discounts and their claims.
    pub discounts: Discounts,
}

/// Version of the form in which [`Room`] is stored as a snapshot. Raise it with every change of the state
/// that older snapshots would not fit; they are then ignored.
pub const SNAPSHOT_VERSION: u32 = 2;

impl Room {
    /// A room of which nothing has been decided yet; [`Command::Create`] makes it one.
    pub fn new(id: RoomId) -> Self {
        Self {
            id,
            head: 0,
            at: Timestamp::default(),
            show: Show::default(),
            staff: Staff::default(),
            attendance: Attendance::default(),
            audience: Audience::default(),
            comments: Comments::default(),
            draws: Draws::default(),
            discounts: Discounts::default(),
        }
    }

    /// Decides a command at `now`. Everything that is due by then must have been fired ([`Room::due`]).
    ///
    /// # Errors
    ///
    /// The [`Refusal`] says why not; the room is as before.
    pub fn decide(
        &self,
        actor: &Actor,
        command: &Command,
        now: Timestamp,
        luck: &mut Luck,
    ) -> Result<Decision, Refusal> {
        if self.head == 0 {
            return match command {
                Command::Create(create) => show::create(actor, create),
                Command::CreateFor(create) => show::create_for(actor, create),
                _ => Err(Refusal::UnknownRoom),
            };
        }
        self.staff.permit(actor, Need::of(command), now)?;
        match actor {
            Actor::Viewer(visitor) => self.decide_for_viewer(visitor, command, now, luck),
            _ => self.decide_for_staff(actor, command, now, luck),
        }
    }

    fn decide_for_viewer(
        &self,
        visitor: &Visitor,
        command: &Command,
        now: Timestamp,
        luck: &mut Luck,
    ) -> Result<Decision, Refusal> {
        let (viewer, met) = audience::meet(self, visitor);
        let mut decision = match command {
            Command::AcceptInvitation(accept) => return staff::accept_invitation(self, accept, now, luck),
            Command::Rename(rename) => audience::rename(self, viewer, rename, now),
            Command::Comment(post) => {
                let first = self.head + 1 + u64::from(met.is_some());
                comment::post_by_viewer(self, viewer, visitor, post, first, now, luck)
            }
            Command::EnterDraw(draw) => draw::enter(self, viewer, visitor, draw, now, luck),
            Command::ClaimPrize(claim) => draw::claim_prize(self, viewer, claim, now, luck),
            Command::Claim(claim) => discount::claim(self, viewer, visitor, claim, now),
            _ => Err(Refusal::NotAllowed),
        }?;
        if let (Some(met), false) = (met, decision.events.is_empty()) {
            decision.events.insert(0, met);
        }
        Ok(decision)
    }

    fn decide_for_staff(
        &self,
        actor: &Actor,
        command: &Command,
        now: Timestamp,
        luck: &mut Luck,
    ) -> Result<Decision, Refusal> {
        match command {
            Command::Create(create) => show::create_again(self, create),
            Command::CreateFor(create) => show::create_for_again(self, create),
            Command::Change(change) => show::change(self, change, now),
            Command::Start(_) => show::start(self, now),
            Command::Pause(_) => show::pause(self, now),
            Command::Resume(_) => show::resume(self, now),
            Command::End(end) => show::end(self, actor, end, now),
            Command::UndoEnd(_) => show::undo_end(self, now),
            Command::Invite(invite) => staff::invite(self, actor, invite, now, luck),
            Command::AcceptInvitation(accept) => staff::accept_invitation(self, accept, now, luck),
            Command::RevokeInvitation(revoke) => staff::revoke_invitation(self, actor, revoke, now),
            Command::AddStore(store) => staff::add_store(self, actor, store, now, luck),
            Command::RemoveStaff(remove) => staff::remove(self, actor, remove, now),
            Command::Pulse(pulse) => audience::pulse(self, pulse, now),
            Command::Comment(post) => comment::post_by_staff(self, actor, post, now),
            Command::Delete(delete) => comment::delete(self, actor, delete, now),
            Command::DeleteAll(delete) => comment::delete_all(self, actor, delete, now),
            Command::Restore(restore) => comment::restore(self, actor, restore, now),
            Command::Mute(mute) => comment::mute(self, actor, mute, now),
            Command::Unmute(unmute) => comment::unmute(self, actor, unmute, now),
            Command::Pin(pin) => comment::pin(self, actor, pin, now),
            Command::Unpin(_) => comment::unpin(self, actor, now),
            Command::SetModes(modes) => comment::set_modes(self, actor, modes, now),
            Command::SetBlockedWords(words) => comment::set_blocked_words(self, actor, words, now),
            Command::SetDisplayBudget(budget) => comment::set_display_budget(self, budget, now),
            Command::PrepareDraw(prepare) => draw::prepare(self, prepare),
            Command::RemoveDraw(draw) => draw::remove(self, draw),
            Command::OpenDraw(draw) => draw::open(self, draw, now, luck),
            Command::LockDraw(draw) => draw::lock(self, draw, now, luck),
            Command::CancelDraw(cancel) => draw::cancel(self, cancel),
            Command::StrikeEntry(strike) => draw::strike(self, actor, strike, now),
            Command::Redraw(draw) => draw::redraw(self, draw, now),
            Command::MarkSent(sent) => draw::mark_sent(self, sent),
            Command::PrepareDiscount(prepare) => discount::prepare(self, prepare, now, luck),
            Command::AddCodes(add) => discount::add_codes(self, add),
            Command::RemoveDiscount(discount) => discount::remove(self, discount),
            Command::OpenDiscount(discount) => discount::open(self, discount, now),
            Command::CloseDiscount(discount) => discount::close(self, discount, now),
            Command::Redeem(redeem) => discount::redeem(self, actor, redeem, now),
            Command::Rename(_) | Command::EnterDraw(_) | Command::ClaimPrize(_) | Command::Claim(_) => {
                Err(Refusal::NotAllowed)
            }
        }
    }

    /// When the next thing happens by itself; `None` if nothing is due without a command.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        [
            self.show.next_deadline(self),
            self.attendance_deadline(),
            self.comments.next_deadline(),
            self.draws.next_deadline(),
            self.discounts.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The events of the earliest deadline that is due at `now`. Apply them and ask again until there is
    /// none: an event may bring or take away other deadlines.
    pub fn due(&self, now: Timestamp, luck: &mut Luck) -> Option<Vec<Event>> {
        let due = self.next_deadline().filter(|due| *due <= now)?;
        let events = [
            (
                self.draws.next_deadline(),
                draw::due as fn(&Room, Timestamp, Timestamp, &mut Luck) -> Vec<Event>,
            ),
            (self.discounts.next_deadline(), discount::due),
            (self.comments.next_deadline(), comment::due),
            (self.show.next_deadline(self), show::due),
            (self.attendance_deadline(), |room, due_at, _, _| {
                attendance::due(room, due_at)
            }),
        ]
        .into_iter()
        .find(|(deadline, _)| *deadline == Some(due))
        .map(|(_, fire)| fire(self, due, now, luck));
        events.filter(|events| !events.is_empty())
    }

    /// Fires everything that is due at `now`, in order of due time: applies the events and returns them. After
    /// it a command can be decided at `now`.
    pub fn fire_due(&mut self, now: Timestamp, luck: &mut Luck) -> Vec<Event> {
        let mut fired = Vec::new();
        while let Some(events) = self.due(now, luck) {
            events.iter().for_each(|event| self.apply(event, now));
            fired.extend(events);
        }
        fired
    }

    /// Folds one event into the room. `at` is the time of its batch.
    pub fn apply(&mut self, event: &Event, at: Timestamp) {
        self.head += 1;
        self.at = self.at.max(at);
        let offset = self.head;
        self.attendance.stir(event, at);
        match event {
            Event::Show(event) => self.show.apply(event, at),
            Event::Staff(event) => self.staff.apply(event, at),
            Event::Attendance(event) => self.attendance.apply(event, at),
            Event::Audience(event) => self.audience.apply(event, at, self.show.state()),
            Event::Comment(event) => self.comments.apply(event, offset, at),
            Event::Draw(event) => self.draws.apply(event, at, &self.audience),
            Event::Discount(event) => self.discounts.apply(event, offset, at),
        }
        match event {
            Event::Show(event) => self.audience.show_changed(event, at),
            Event::Staff(event) => self.comments.keep_act(event.act(offset, at)),
            Event::Draw(event) => self.comments.keep_act(event.act(offset, at)),
            _ => {}
        }
    }
}

impl Event {
    /// Calls `each` with every personal field and the viewer whom it is about, if it is about one, in a
    /// fixed order: what the record keeps apart, so that it can be erased.
    pub fn personal(&mut self, each: &mut dyn FnMut(Option<ViewerNo>, &mut Personal)) {
        match self {
            Self::Show(event) => event.personal(each),
            Self::Attendance(_) => {}
            Self::Staff(event) => event.personal(each),
            Self::Audience(event) => event.personal(each),
            Self::Comment(event) => event.personal(each),
            Self::Draw(event) => event.personal(each),
            Self::Discount(_) => {}
        }
    }
}

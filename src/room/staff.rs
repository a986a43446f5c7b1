//! Who may do what: roles, invitations and the table of rights. A token says who; this says what they may.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::stage::{Act, ActKind, StaffOnly};
use super::{
    Actor, Answer, Command, Decision, Hash, Key, Luck, Offset, PersonId, Personal, Refusal, Room, Timestamp, ViewerNo,
    text,
};

/// How long an invitation is valid unless told otherwise.
pub const INVITATION_MS: u64 = 24 * 3_600_000;
/// The shortest time for which an invitation can be valid.
pub const VALID_MS_MIN: u64 = 60_000;
/// The longest time for which an invitation can be valid.
pub const VALID_MS_MAX: u64 = 30 * 24 * 3_600_000;
/// Invitations that can be taken up, at once.
pub const INVITATIONS_MAX: usize = 100;
/// Invitations that are kept, those used, taken back or expired among them.
pub const INVITATIONS_KEPT: usize = 300;
/// Members of staff of one room, at once.
pub const MEMBERS_MAX: usize = 200;
/// Letters of an invitation's code, 5 bits each: 100 bits.
const CODE_LETTERS: usize = 20;
/// How long a device's token lasts.
pub const DEVICE_MS: u64 = 30 * 24 * 3_600_000;

/// What an assistant may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rights {
    /// Comments and moderation.
    Comments,
    /// Draws and discounts.
    Actions,
    /// Both, and the show's state.
    All,
}

/// A member of staff's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything in this room.
    Host,
    /// Parts of it.
    Assistant(Rights),
    /// A shop: checks and redeems codes, nothing else.
    Store,
}

/// What a command asks of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Anybody who may be in the room, also unknown ones.
    Anyone,
    /// A viewer.
    Viewer,
    /// A viewer, or staff with the right to comment.
    Speak,
    /// Rights to comments.
    Comments,
    /// Rights to actions.
    Actions,
    /// All rights of an assistant.
    All,
    /// The host.
    Host,
    /// A shop, or whoever may run actions.
    Store,
    /// An operator.
    Operator,
    /// The server itself.
    Server,
}

impl Need {
    /// The table of rights, one line a command.
    pub fn of(command: &Command) -> Self {
        match command {
            Command::Create(_) => Self::Operator,
            Command::Change(_)
            | Command::Invite(_)
            | Command::RevokeInvitation(_)
            | Command::AddStore(_)
            | Command::RemoveStaff(_) => Self::Host,
            Command::Start(_) | Command::Pause(_) | Command::Resume(_) | Command::End(_) | Command::UndoEnd(_) => {
                Self::All
            }
            Command::AcceptInvitation(_) => Self::Anyone,
            Command::Rename(_) | Command::EnterDraw(_) | Command::ClaimPrize(_) | Command::Claim(_) => Self::Viewer,
            Command::Comment(_) => Self::Speak,
            Command::Delete(_)
            | Command::DeleteAll(_)
            | Command::Restore(_)
            | Command::Mute(_)
            | Command::Unmute(_)
            | Command::Pin(_)
            | Command::Unpin(_)
            | Command::SetModes(_)
            | Command::SetBlockedWords(_) => Self::Comments,
            Command::PrepareDraw(_)
            | Command::RemoveDraw(_)
            | Command::OpenDraw(_)
            | Command::LockDraw(_)
            | Command::CancelDraw(_)
            | Command::StrikeEntry(_)
            | Command::Redraw(_)
            | Command::MarkSent(_)
            | Command::PrepareDiscount(_)
            | Command::AddCodes(_)
            | Command::RemoveDiscount(_)
            | Command::OpenDiscount(_)
            | Command::CloseDiscount(_) => Self::Actions,
            Command::Redeem(_) => Self::Store,
            Command::CreateFor(_) | Command::Pulse(_) | Command::SetDisplayBudget(_) => Self::Server,
        }
    }
}

/// Invites somebody. The answer carries the one-use code. The room keeps only its hash: the same again, while
/// nobody has taken it up, is answered with a new code, and the former one is worth nothing any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// Chosen by the client, so that a retry is one.
    pub id: Key,
    /// What they will be; a store is added by [`AddStore`].
    pub role: Role,
    /// The name under which they speak, 1-20 characters.
    pub name: String,
    /// Valid for, ms; [`INVITATION_MS`] if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_ms: Option<u64>,
}

/// Takes an invitation up, once, on this device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvitation {
    /// The one-use code.
    pub code: String,
}

/// Takes an unused invitation back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeInvitation {
    /// Which.
    pub id: Key,
}

/// Makes the role of a shop; the shell answers with its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddStore {
    /// What the list calls it, 1-20 characters.
    pub name: String,
}

/// Takes somebody's role away, at once, on every open socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveStaff {
    /// Whose.
    pub person: PersonId,
}

/// What happened to the staff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StaffEvent {
    /// Somebody was invited.
    Invited {
        /// Its name.
        id: Key,
        /// What they will be.
        role: Role,
        /// Under which name.
        name: Personal,
        /// SHA-256 of the one-use code.
        code: Hash,
        /// When it ends.
        expires_at: Timestamp,
        /// Who invited.
        by: By,
    },
    /// An unused invitation was taken back.
    InvitationRevoked {
        /// Which.
        id: Key,
        /// By whom.
        by: By,
    },
    /// Somebody has a role now.
    Joined {
        /// Who.
        person: PersonId,
        /// What they may do.
        role: Role,
        /// Under which name.
        name: Personal,
        /// By which invitation; a store has none.
        invitation: Option<Key>,
    },
    /// Somebody has no role any more.
    Removed {
        /// Who.
        person: PersonId,
        /// By whom.
        by: By,
    },
}

/// Who did something, for the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Staff.
    Staff(PersonId),
    /// An operator.
    Operator(PersonId),
    /// A shop for all rooms.
    Store(PersonId),
    /// A viewer.
    Viewer(ViewerNo),
    /// The server.
    Server,
}

/// One member of staff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Member {
    /// What they may do.
    pub role: Role,
    /// The name under which they speak.
    pub name: Personal,
    /// Since when.
    pub since: Timestamp,
    /// By which invitation.
    pub invitation: Option<Key>,
}

/// An invitation and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Invitation {
    /// What they will be.
    pub role: Role,
    /// Under which name.
    pub name: Personal,
    /// SHA-256 of the code.
    pub code: Hash,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Taken up by.
    pub accepted: Option<PersonId>,
    /// Taken back.
    pub revoked: bool,
}

/// The staff's part of the room's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staff {
    /// Everybody with a role.
    pub members: BTreeMap<PersonId, Member>,
    /// Invitations, also used ones.
    pub invitations: BTreeMap<Key, Invitation>,
}

pub(super) fn invite(
    room: &Room,
    actor: &Actor,
    invite: &Invite,
    now: Timestamp,
    luck: &mut Luck,
) -> Result<Decision, Refusal> {
    let by = By::of(actor)?;
    let name = text::line(&invite.name, "name", 1..=text::NAME_MAX)?;
    let valid_ms = invite.valid_ms.unwrap_or(INVITATION_MS);
    if invite.role == Role::Store {
        return Err(Refusal::BadField {
            field: "role",
            reason: "of a shop is not invited, but added",
        });
    }
    if !(VALID_MS_MIN..=VALID_MS_MAX).contains(&valid_ms) {
        return Err(Refusal::BadField {
            field: "valid_ms",
            reason: "is not between a minute and 30 days",
        });
    }
    match room.staff.invitations.get(&invite.id) {
        Some(earlier) if earlier.role != invite.role || earlier.name.as_str() != name => {
            return Err(Refusal::IdempotencyConflict);
        }
        Some(earlier) if !earlier.is_open() => return Err(Refusal::UnknownInvitation),
        Some(_) => {}
        None => room.may_invite(&name, invite.role, now)?,
    }
    let code = luck.letters(CODE_LETTERS);
    let expires_at = now.plus(valid_ms);
    let invited = StaffEvent::Invited {
        id: invite.id.clone(),
        role: invite.role,
        name: Personal(name),
        code: hash_of(&code),
        expires_at,
        by,
    };
    Ok(Decision {
        events: vec![invited.into()],
        answer: Answer::Invited {
            invitation: invite.id.clone(),
            code,
            expires_at,
        },
    })
}

impl Room {
    /// One person may have several devices, each with an invitation of its own under the same name; a name
    /// stands for one role.
    fn may_invite(&self, name: &str, role: Role, now: Timestamp) -> Result<(), Refusal> {
        let open = self.staff.invitations.values();
        if open.filter(|earlier| earlier.is_valid(now)).count() >= INVITATIONS_MAX {
            return Err(Refusal::Full {
                what: "open invitations",
                max: INVITATIONS_MAX as u64,
            });
        }
        let folded = text::fold_name(name);
        let of_the_show = role != Role::Host && folded == text::fold_name(&self.show.details.host);
        let of_others = self
            .staff
            .speakers()
            .any(|(other, theirs)| other != role && text::fold_name(theirs.as_str()) == folded);
        if of_the_show || of_others {
            return Err(Refusal::NameTaken);
        }
        self.staff.has_place()
    }
}

fn hash_of(code: &str) -> Hash {
    Hash(Sha256::digest(code.as_bytes()).into())
}

pub(super) fn accept_invitation(
    room: &Room,
    accept: &AcceptInvitation,
    now: Timestamp,
    luck: &mut Luck,
) -> Result<Decision, Refusal> {
    let code = hash_of(accept.code.trim());
    let (id, invitation) = room
        .staff
        .invitations
        .iter()
        .find(|(_, invitation)| invitation.code == code && invitation.is_valid(now))
        .ok_or(Refusal::UnknownInvitation)?;
    room.staff.has_place()?;
    Ok(joined(invitation.role, invitation.name.clone(), Some(id.clone()), luck))
}

fn joined(role: Role, name: Personal, invitation: Option<Key>, luck: &mut Luck) -> Decision {
    let person = PersonId(luck.u128());
    let joined = StaffEvent::Joined {
        person,
        role,
        name,
        invitation,
    };
    Decision {
        events: vec![joined.into()],
        answer: Answer::Joined { person, role },
    }
}

pub(super) fn revoke_invitation(
    room: &Room,
    actor: &Actor,
    revoke: &RevokeInvitation,
    _now: Timestamp,
) -> Result<Decision, Refusal> {
    let by = By::of(actor)?;
    let invitations = &room.staff.invitations;
    let invitation = invitations.get(&revoke.id).ok_or(Refusal::UnknownInvitation)?;
    if invitation.revoked {
        return Ok(Decision::again(Answer::Done {}));
    }
    if invitation.accepted.is_some() {
        return Err(Refusal::UnknownInvitation);
    }
    let id = revoke.id.clone();
    Ok(Decision::event(StaffEvent::InvitationRevoked { id, by }))
}

pub(super) fn add_store(
    room: &Room,
    actor: &Actor,
    store: &AddStore,
    _now: Timestamp,
    luck: &mut Luck,
) -> Result<Decision, Refusal> {
    By::of(actor)?;
    let name = text::line(&store.name, "name", 1..=text::NAME_MAX)?;
    room.staff.has_place()?;
    Ok(joined(Role::Store, Personal(name), None, luck))
}

pub(super) fn remove(room: &Room, actor: &Actor, remove: &RemoveStaff, _now: Timestamp) -> Result<Decision, Refusal> {
    let by = By::of(actor)?;
    let person = remove.person;
    if !room.staff.members.contains_key(&person) {
        return Err(Refusal::UnknownPerson);
    }
    Ok(Decision::event(StaffEvent::Removed { person, by }))
}

impl Role {
    /// Whether a role is enough for what a command needs.
    pub fn may(self, need: Need) -> bool {
        let rights = match self {
            Self::Store => return matches!(need, Need::Store | Need::Anyone),
            Self::Host => None,
            Self::Assistant(rights) => Some(rights),
        };
        match need {
            Need::Anyone => true,
            Need::Speak | Need::Comments => matches!(rights, None | Some(Rights::Comments | Rights::All)),
            Need::Actions | Need::Store => matches!(rights, None | Some(Rights::Actions | Rights::All)),
            Need::All => matches!(rights, None | Some(Rights::All)),
            Need::Host => rights.is_none(),
            Need::Viewer | Need::Operator | Need::Server => false,
        }
    }
}

impl By {
    /// Who acts, if it is not a viewer: those act by their number.
    pub(super) fn of(actor: &Actor) -> Result<Self, Refusal> {
        match actor {
            Actor::Staff(person) => Ok(Self::Staff(*person)),
            Actor::Operator(person) => Ok(Self::Operator(*person)),
            Actor::Store(person) => Ok(Self::Store(*person)),
            Actor::Server => Ok(Self::Server),
            Actor::Viewer(_) => Err(Refusal::NotAllowed),
        }
    }
}

impl Staff {
    /// Checks that the actor may do what a command needs, or read what needs the same. A member who was
    /// removed may nothing any more, whatever their token says.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotAllowed`].
    pub fn permit(&self, actor: &Actor, need: Need, _now: Timestamp) -> Result<(), Refusal> {
        let permitted = match actor {
            Actor::Viewer(_) => matches!(need, Need::Anyone | Need::Viewer | Need::Speak),
            Actor::Staff(person) => {
                need == Need::Anyone || self.members.get(person).is_some_and(|member| member.role.may(need))
            }
            Actor::Operator(_) => need == Need::Operator || Role::Host.may(need),
            Actor::Store(_) => Role::Store.may(need),
            Actor::Server => need == Need::Server,
        };
        permitted.then_some(()).ok_or(Refusal::NotAllowed)
    }

    fn has_place(&self) -> Result<(), Refusal> {
        let max = MEMBERS_MAX as u64;
        let full = self.members.len() >= MEMBERS_MAX;
        if full {
            Err(Refusal::Full { what: "staff", max })
        } else {
            Ok(())
        }
    }

    pub(super) fn apply(&mut self, event: &StaffEvent, at: Timestamp) {
        match event {
            StaffEvent::Invited {
                id,
                role,
                name,
                code,
                expires_at,
                by: _,
            } => {
                let invitation = Invitation {
                    role: *role,
                    name: name.clone(),
                    code: *code,
                    expires_at: *expires_at,
                    accepted: None,
                    revoked: false,
                };
                self.invitations.insert(id.clone(), invitation);
                self.forget_old_invitations(at);
            }
            StaffEvent::InvitationRevoked { id, by: _ } => {
                if let Some(invitation) = self.invitations.get_mut(id) {
                    invitation.revoked = true;
                }
            }
            StaffEvent::Joined {
                person,
                role,
                name,
                invitation,
            } => {
                let used = invitation.as_ref().and_then(|id| self.invitations.get_mut(id));
                if let Some(used) = used {
                    used.accepted = Some(*person);
                }
                let member = Member {
                    role: *role,
                    name: name.clone(),
                    since: at,
                    invitation: invitation.clone(),
                };
                self.members.insert(*person, member);
            }
            StaffEvent::Removed { person, by: _ } => {
                self.members.remove(person);
            }
        }
    }

    /// Of those that nobody can take up any more, the ones that ended first are forgotten.
    fn forget_old_invitations(&mut self, now: Timestamp) {
        while self.invitations.len() > INVITATIONS_KEPT {
            let over = self
                .invitations
                .iter()
                .filter(|(_, invitation)| !invitation.is_valid(now));
            let Some(oldest) = over.min_by_key(|(_, over)| over.expires_at).map(|(id, _)| id.clone()) else {
                return;
            };
            self.invitations.remove(&oldest);
        }
    }

    /// Roles and names of everybody who speaks for the show, or was invited to.
    fn speakers(&self) -> impl Iterator<Item = (Role, &Personal)> {
        let members = self.members.values().map(|member| (member.role, &member.name));
        let invited = self.invitations.values().filter(|invitation| invitation.is_open());
        members
            .chain(invited.map(|invitation| (invitation.role, &invitation.name)))
            .filter(|(role, _)| *role != Role::Store)
    }

    /// The names of the staff and those promised by invitations, folded by [`text::fold_name`].
    pub fn folded_names(&self) -> impl Iterator<Item = String> {
        self.speakers().map(|(_, name)| text::fold_name(name.as_str()))
    }

    /// Whether a folded name is one of the staff's, or promised by an invitation.
    pub fn owns_name(&self, folded: &str) -> bool {
        self.folded_names().any(|name| name == folded)
    }
}

impl Invitation {
    /// Neither taken up nor taken back; it may have expired.
    fn is_open(&self) -> bool {
        self.accepted.is_none() && !self.revoked
    }

    /// It can be taken up.
    fn is_valid(&self, now: Timestamp) -> bool {
        self.is_open() && now < self.expires_at
    }
}

impl Room {
    /// Whether a name looks like the host's or one of the staff's: no viewer may bear it.
    pub fn staff_name_taken(&self, name: &str) -> bool {
        let folded = text::fold_name(name);
        folded == text::fold_name(&self.show.details.host) || self.staff.owns_name(&folded)
    }
}

impl StaffEvent {
    pub(super) fn personal(&mut self, each: &mut dyn FnMut(Option<ViewerNo>, &mut Personal)) {
        match self {
            Self::Invited { name, .. } | Self::Joined { name, .. } => each(None, name),
            Self::InvitationRevoked { .. } | Self::Removed { .. } => {}
        }
    }
}

impl StaffEvent {
    /// The moderation act that it is, if it is one.
    pub(super) fn act(&self, offset: Offset, at: Timestamp) -> Option<Act> {
        match self {
            Self::Removed { person, by } => Some(Act {
                id: offset,
                at,
                by: *by,
                what: ActKind::Removed { person: *person },
            }),
            Self::Invited { .. } | Self::InvitationRevoked { .. } | Self::Joined { .. } => None,
        }
    }

    pub(super) fn staff_only(&self, offset: Offset, at: Timestamp) -> Vec<StaffOnly> {
        let act = self.act(offset, at).map(StaffOnly::Act);
        act.into_iter().chain([StaffOnly::Staff {}]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::audience::{Pulse, Visitor};
    use super::super::comment::SetDisplayBudget;
    use super::super::show::{Create, CreateFor, Details};
    use super::super::{RoomId, ViewerId};
    use super::*;

    const HOST: PersonId = PersonId(1);
    const OPERATOR: Actor = Actor::Operator(PersonId(99));

    fn luck(n: u8) -> Luck {
        Luck::new([n; 32])
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp(ms)
    }

    fn viewer() -> Actor {
        Actor::Viewer(Visitor {
            id: ViewerId(7),
            name: "Ann".into(),
            store: false,
            address: Default::default(),
        })
    }

    /// A room whose members 1.. have these roles.
    fn room(roles: &[Role]) -> Room {
        let mut room = Room::new(RoomId::new("show").expect("good"));
        let details = Details {
            title: "Lipsticks".into(),
            host: "Lina".into(),
            ..Details::default()
        };
        run(&mut room, &OPERATOR, Command::Create(Create { details }), 0).expect("made");
        for (person, role) in (1..).map(PersonId).zip(roles) {
            let name = format!("Member {}", person.0).as_str().into();
            let joined = StaffEvent::Joined {
                person,
                role: *role,
                name,
                invitation: None,
            };
            room.apply(&joined.into(), at(0));
        }
        room
    }

    fn run(room: &mut Room, actor: &Actor, command: Command, now: u64) -> Result<Answer, Refusal> {
        let decision = room.decide(actor, &command, at(now), &mut luck((room.head % 256) as u8))?;
        decision.events.iter().for_each(|event| room.apply(event, at(now)));
        Ok(decision.answer)
    }

    fn invite(id: &str, role: Role, name: &str) -> Command {
        Command::Invite(Invite {
            id: Key::new(id).expect("good"),
            role,
            name: name.into(),
            valid_ms: Some(60_000),
        })
    }

    fn code(answer: Result<Answer, Refusal>) -> Command {
        match answer {
            Ok(Answer::Invited { code, .. }) => Command::AcceptInvitation(AcceptInvitation { code }),
            other => panic!("no invitation: {other:?}"),
        }
    }

    fn person(answer: Result<Answer, Refusal>) -> PersonId {
        match answer {
            Ok(Answer::Joined { person, .. }) => person,
            other => panic!("nobody joined: {other:?}"),
        }
    }

    /// Every command and who may use it: viewer, assistant for comments, for actions, for all, host, store,
    /// somebody removed, operator, a store of all rooms, the server itself.
    const TABLE: &str = r#"
        create {"details":{"title":"t","host":"h","kind":"video","access":"public"}} | . . . . . . . x . .
        change {}                                                   | . . . . x . . x . .
        start {}                                                    | . . . x x . . x . .
        pause {}                                                    | . . . x x . . x . .
        resume {}                                                   | . . . x x . . x . .
        end {}                                                      | . . . x x . . x . .
        undo_end {}                                                 | . . . x x . . x . .
        invite {"id":"i","role":"host","name":"n"}                  | . . . . x . . x . .
        accept_invitation {"code":"c"}                              | x x x x x x x x x .
        revoke_invitation {"id":"i"}                                | . . . . x . . x . .
        add_store {"name":"n"}                                      | . . . . x . . x . .
        remove_staff {"person":"00000000000000000000000000000001"}  | . . . . x . . x . .
        rename {"name":"n"}                                         | x . . . . . . . . .
        comment {"nonce":"n","text":"t"}                            | x x . x x . . x . .
        delete {"comment":1}                                        | . x . x x . . x . .
        delete_all {"viewer":1}                                     | . x . x x . . x . .
        restore {"deletion":1}                                      | . x . x x . . x . .
        mute {"viewer":1,"for_ms":10000}                            | . x . x x . . x . .
        unmute {"viewer":1}                                         | . x . x x . . x . .
        pin {"comment":1}                                           | . x . x x . . x . .
        unpin {}                                                    | . x . x x . . x . .
        set_modes {}                                                | . x . x x . . x . .
        set_blocked_words {"words":[]}                              | . x . x x . . x . .
        prepare_draw {"id":"d","rules":{"prize":"p","winners":1,"open_ms":5000,"eligibility":{"present":{}}}} | . . x x x . . x . .
        remove_draw {"draw":"d"}                                    | . . x x x . . x . .
        open_draw {"draw":"d"}                                      | . . x x x . . x . .
        lock_draw {"draw":"d"}                                      | . . x x x . . x . .
        cancel_draw {"draw":"d","reason":"r"}                       | . . x x x . . x . .
        enter_draw {"draw":"d"}                                     | x . . . . . . . . .
        strike_entry {"draw":"d","entry":1,"reason":"r"}            | . . x x x . . x . .
        redraw {"draw":"d"}                                         | . . x x x . . x . .
        claim_prize {"draw":"d"}                                    | x . . . . . . . . .
        mark_sent {"draw":"d","entry":1,"sent":true}                | . . x x x . . x . .
        prepare_discount {"id":"d","terms":{"title":"t","off":{"percent":10},"quota":1,"closes":"with_show"},"codes":{"generated":{}}} | . . x x x . . x . .
        add_codes {"discount":"d","codes":[]}                       | . . x x x . . x . .
        remove_discount {"discount":"d"}                            | . . x x x . . x . .
        open_discount {"discount":"d"}                              | . . x x x . . x . .
        close_discount {"discount":"d"}                             | . . x x x . . x . .
        claim {"discount":"d","unit":1}                             | x . . . . . . . . .
        redeem {"code":"c","order":"o"}                             | . . x x x x . x x .
        (create_for)                                                | . . . . . . . . . x
        (pulse)                                                     | . . . . . . . . . x
        (set_display_budget)                                        | . . . . . . . . . x
    "#;

    fn sample(name: &str, args: &str) -> Command {
        match name {
            "(create_for)" => Command::CreateFor(CreateFor {
                details: Details::default(),
                host: HOST,
            }),
            "(pulse)" => Command::Pulse(Pulse::default()),
            "(set_display_budget)" => Command::SetDisplayBudget(SetDisplayBudget { per_second: None }),
            _ => serde_json::from_str(&format!(r#"{{"cmd":"{name}","args":{args}}}"#))
                .unwrap_or_else(|error| panic!("{name} {args}: {error}")),
        }
    }

    #[test]
    fn every_command_is_allowed_to_exactly_these_roles() {
        use Rights::{Actions, All, Comments};
        let roles = [
            Role::Assistant(Comments),
            Role::Assistant(Actions),
            Role::Assistant(All),
            Role::Host,
            Role::Store,
        ];
        let room = room(&roles);
        let staff = (1..=6).map(|person| Actor::Staff(PersonId(person)));
        let actors: Vec<Actor> = std::iter::once(viewer())
            .chain(staff)
            .chain([OPERATOR, Actor::Store(PersonId(98)), Actor::Server])
            .collect();
        for row in TABLE.lines().map(str::trim).filter(|row| !row.is_empty()) {
            let (command, marks) = row.split_once(" | ").expect("a column of marks");
            let (name, args) = command.trim().split_once(' ').unwrap_or((command.trim(), ""));
            let command = sample(name, args);
            let marks: Vec<&str> = marks.split_whitespace().collect();
            assert_eq!(marks.len(), actors.len(), "{row}");
            for (actor, mark) in actors.iter().zip(marks) {
                let permitted = room.staff.permit(actor, Need::of(&command), at(0)).is_ok();
                assert_eq!(permitted, mark == "x", "{name} by {actor:?}");
                if !permitted {
                    let refused = room.decide(actor, &command, at(0), &mut luck(0));
                    assert_eq!(refused, Err(Refusal::NotAllowed), "{name} by {actor:?}");
                }
            }
        }
    }

    #[test]
    fn no_command_is_missing_in_the_table() {
        let unknown = serde_json::from_str::<Command>(r#"{"cmd":"?","args":{}}"#).expect_err("unknown");
        let unknown = unknown.to_string();
        let (_, known) = unknown.split_once("expected one of ").expect("serde lists them");
        let rows: Vec<_> = TABLE.lines().filter_map(|row| row.split_whitespace().next()).collect();
        for name in known.split('`').skip(1).step_by(2) {
            assert!(rows.contains(&name), "{name}");
        }
        assert_eq!(known.split('`').count() / 2 + 3, rows.len());
    }

    #[test]
    fn an_invitation_is_taken_up_once_before_it_ends() {
        let mut room = room(&[]);
        let assistant = Role::Assistant(Rights::Comments);
        let accept = code(run(&mut room, &OPERATOR, invite("a", assistant, "Mia"), 0));
        let mia = person(run(&mut room, &viewer(), accept.clone(), 59_999));
        assert_eq!(room.staff.members[&mia].name, "Mia".into());
        assert_eq!(
            run(&mut room, &viewer(), accept, 59_999),
            Err(Refusal::UnknownInvitation)
        );
        let late = code(run(&mut room, &OPERATOR, invite("b", assistant, "Mia"), 0));
        assert_eq!(run(&mut room, &viewer(), late, 60_000), Err(Refusal::UnknownInvitation));
        let guess = Command::AcceptInvitation(AcceptInvitation { code: String::new() });
        assert_eq!(run(&mut room, &viewer(), guess, 0), Err(Refusal::UnknownInvitation));
    }

    #[test]
    fn an_invitation_taken_back_is_worth_nothing() {
        let mut room = room(&[]);
        let accept = code(run(&mut room, &OPERATOR, invite("a", Role::Host, "Lina"), 0));
        let revoke = Command::RevokeInvitation(RevokeInvitation {
            id: Key::new("a").expect("good"),
        });
        for _ in 0..2 {
            assert_eq!(run(&mut room, &OPERATOR, revoke.clone(), 0), Ok(Answer::Done {}));
        }
        assert_eq!(run(&mut room, &viewer(), accept, 0), Err(Refusal::UnknownInvitation));
        let again = run(&mut room, &OPERATOR, invite("a", Role::Host, "Lina"), 0);
        assert_eq!(again, Err(Refusal::UnknownInvitation));
    }

    #[test]
    fn the_same_invitation_again_gets_a_new_code_and_another_is_a_conflict() {
        let mut room = room(&[]);
        let first = code(run(&mut room, &OPERATOR, invite("a", Role::Host, "Lina"), 0));
        let second = code(run(&mut room, &OPERATOR, invite("a", Role::Host, "Lina"), 1));
        assert_eq!(run(&mut room, &viewer(), first, 2), Err(Refusal::UnknownInvitation));
        assert_eq!(
            run(&mut room, &OPERATOR, invite("a", Role::Host, "Tom"), 2),
            Err(Refusal::IdempotencyConflict)
        );
        person(run(&mut room, &viewer(), second, 2));
    }

    #[test]
    fn the_log_holds_the_hash_of_a_code_and_never_the_code() {
        let room = room(&[]);
        let decision = room.decide(&OPERATOR, &invite("a", Role::Host, "Lina"), at(0), &mut luck(1));
        let decision = decision.expect("invited");
        let Answer::Invited { code, .. } = &decision.answer else {
            panic!("no code");
        };
        assert_eq!(code.len() * 5, 100);
        let logged = serde_json::to_string(&decision.events).expect("serialisable");
        assert!(!logged.contains(code.as_str()) && logged.contains(&hash_of(code).to_string()));
    }

    #[test]
    fn a_member_who_was_removed_may_nothing_any_more() {
        let mut room = room(&[Role::Host]);
        let pause = || Command::Change(Default::default());
        let removed = Command::RemoveStaff(RemoveStaff { person: HOST });
        assert!(run(&mut room, &Actor::Staff(HOST), removed.clone(), 0).is_ok());
        assert_eq!(
            run(&mut room, &Actor::Staff(HOST), pause(), 0),
            Err(Refusal::NotAllowed)
        );
        assert_eq!(run(&mut room, &OPERATOR, removed, 0), Err(Refusal::UnknownPerson));
        assert_eq!(run(&mut room, &OPERATOR, pause(), 0), Ok(Answer::Done {}));
    }

    #[test]
    fn a_store_is_added_and_not_invited() {
        let mut room = room(&[]);
        assert_eq!(
            run(&mut room, &OPERATOR, invite("a", Role::Store, "Shop"), 0).map_err(|refusal| refusal.code()),
            Err("bad_field")
        );
        let shop = person(run(
            &mut room,
            &OPERATOR,
            Command::AddStore(AddStore { name: "Shop".into() }),
            0,
        ));
        assert_eq!(room.staff.members[&shop].role, Role::Store);
        assert!(!room.staff_name_taken("Shop"), "a shop does not speak");
    }

    #[test]
    fn staff_names_are_the_hosts_the_members_and_the_invited() {
        let mut room = room(&[Role::Host]);
        run(
            &mut room,
            &OPERATOR,
            invite("a", Role::Assistant(Rights::All), "Mia"),
            0,
        )
        .expect("invited");
        for taken in ["LINA", "Li\u{200b}na", "Lіna", "member 1", "m i a"] {
            assert!(room.staff_name_taken(taken), "{taken}");
        }
        for free in ["Ann", "Linda", "小红"] {
            assert!(!room.staff_name_taken(free), "{free}");
        }
        let as_host = invite("b", Role::Assistant(Rights::All), "lina");
        assert_eq!(run(&mut room, &OPERATOR, as_host, 0), Err(Refusal::NameTaken));
        let second_device = invite("c", Role::Assistant(Rights::All), "Mia");
        assert!(run(&mut room, &OPERATOR, second_device, 0).is_ok());
    }

    #[test]
    fn invitations_and_members_are_bounded() {
        let mut full = room(&[Role::Store; MEMBERS_MAX]);
        let store = Command::AddStore(AddStore { name: "Shop".into() });
        assert_eq!(
            run(&mut full, &OPERATOR, store, 0).map_err(|refusal| refusal.code()),
            Err("full")
        );

        let mut room = room(&[]);
        for n in 0..1_000_u64 {
            let now = n * 601;
            let id = format!("i{n}");
            assert!(
                run(&mut room, &OPERATOR, invite(&id, Role::Host, "Lina"), now).is_ok(),
                "{n}"
            );
        }
        assert_eq!(room.staff.invitations.len(), INVITATIONS_KEPT);
        let more = run(&mut room, &OPERATOR, invite("more", Role::Host, "Lina"), 999 * 601);
        assert_eq!(more.map_err(|refusal| refusal.code()), Err("full"));
    }
}

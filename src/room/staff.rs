//! Who may do what: roles, invitations and the table of rights. A token says who; this says what they may.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::stage::StaffOnly;
use super::{
    Actor, Answer, Command, Decision, Event, Hash, Key, Luck, Offset, PersonId, Personal, Refusal, Room, Timestamp,
    ViewerNo, text,
};

/// How long an invitation is valid unless told otherwise.
pub const INVITATION_MS: u64 = 24 * 3_600_000;
/// How long a device's token lasts.
pub const DEVICE_MS: u64 = 30 * 24 * 3_600_000;

/// What an assistant may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
            Command::Pulse(_) | Command::SetDisplayBudget(_) => Self::Server,
        }
    }
}

/// Invites somebody. The answer carries the one-use code.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Staff.
    Staff(PersonId),
    /// An operator.
    Operator(PersonId),
    /// A viewer.
    Viewer(ViewerNo),
    /// The server.
    Server,
}

/// One member of staff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    _room: &Room,
    _actor: &Actor,
    _invite: &Invite,
    _now: Timestamp,
    _luck: &mut Luck,
) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn accept_invitation(
    _room: &Room,
    _accept: &AcceptInvitation,
    _now: Timestamp,
    _luck: &mut Luck,
) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn revoke_invitation(
    _room: &Room,
    _actor: &Actor,
    _revoke: &RevokeInvitation,
    _now: Timestamp,
) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn add_store(
    _room: &Room,
    _actor: &Actor,
    _store: &AddStore,
    _now: Timestamp,
    _luck: &mut Luck,
) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn remove(
    _room: &Room,
    _actor: &Actor,
    _remove: &RemoveStaff,
    _now: Timestamp,
) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

impl Staff {
    /// Checks that the actor may do what a command needs.
    pub(super) fn permit(&self, _actor: &Actor, _need: Need, _now: Timestamp) -> Result<(), Refusal> {
        Err(Refusal::NotAllowed)
    }

    pub(super) fn apply(&mut self, _event: &StaffEvent, _at: Timestamp) {}
}

impl Staff {
    /// Whether a name, folded by [`text::fold_name`], is one of the staff's, or promised by an invitation.
    pub fn owns_name(&self, folded: &str) -> bool {
        let members = self.members.values().filter(|member| member.role != Role::Store);
        let names = members.map(|member| &member.name);
        let invited = self.invitations.values().filter(|invitation| invitation.is_open());
        names
            .chain(invited.map(|invitation| &invitation.name))
            .any(|name| text::fold_name(name.as_str()) == folded)
    }
}

impl Invitation {
    /// Neither taken up nor taken back; it may have expired.
    fn is_open(&self) -> bool {
        self.accepted.is_none() && !self.revoked
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
    pub(super) fn staff_only(&self, _offset: Offset, _at: Timestamp) -> Vec<StaffOnly> {
        vec![StaffOnly::Staff {}]
    }
}

//! Who calls, what they may read, and how a request becomes a room's command.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{BadToken, Identity};
use crate::http::App;
use crate::http::error::Error;
use crate::room::audience::{Address, Visitor};
use crate::room::staff::{Need, Role};
use crate::room::{Actor, Answer, Command, PersonId, Personal, Refusal, Room, RoomId, Timestamp};

/// Who calls: what the token in `Authorization: Bearer` says, if there is one. A token that is not valid is
/// refused, also where none is needed.
#[derive(Clone, Debug)]
pub(super) struct Caller(pub(super) Option<Identity>);

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let mut given = parts.headers.get_all(AUTHORIZATION).iter();
        let (first, second) = (given.next(), given.next());
        let Some(first) = first else {
            return Ok(Self(None));
        };
        let (scheme, token) = first
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .ok_or(BadToken)?;
        if second.is_some() || !scheme.eq_ignore_ascii_case("bearer") {
            return Err(BadToken.into());
        }
        Ok(Self(Some(app.auth.verify(token.trim(), app.clock.now())?)))
    }
}

impl Caller {
    /// As whom they act in a room.
    ///
    /// # Errors
    ///
    /// [`BadToken`] without a token, [`Refusal::NotAllowed`] with one of another room.
    pub(super) fn actor(&self, room: &RoomId) -> Result<Actor, Error> {
        match self.0.as_ref().ok_or(BadToken)? {
            Identity::Operator { person, .. } => Ok(Actor::Operator(*person)),
            Identity::Staff {
                room: theirs, person, ..
            } if theirs == room => Ok(Actor::Staff(*person)),
            Identity::Staff { .. } => Err(Refusal::NotAllowed.into()),
            Identity::Store { person, .. } => Ok(Actor::Store(*person)),
            Identity::Viewer { id, name, store, .. } => Ok(Actor::Viewer(Visitor {
                id: *id,
                name: Personal(name.clone().unwrap_or_default()),
                store: *store,
                address: Address::default(),
            })),
        }
    }

    /// The operator.
    ///
    /// # Errors
    ///
    /// [`BadToken`] without a token, [`Refusal::NotAllowed`] for others.
    pub(super) fn operator(&self) -> Result<PersonId, Error> {
        match self.0.as_ref().ok_or(BadToken)? {
            Identity::Operator { person, .. } => Ok(*person),
            Identity::Staff { .. } | Identity::Store { .. } | Identity::Viewer { .. } => {
                Err(Refusal::NotAllowed.into())
            }
        }
    }

    /// Whether they see what staff see, in a room.
    pub(super) fn is_backstage(&self, room: &Room) -> bool {
        match &self.0 {
            Some(Identity::Operator { .. }) => true,
            Some(Identity::Staff {
                room: theirs, person, ..
            }) => {
                let role = room.staff.members.get(person).map(|member| member.role);
                *theirs == room.id && role.is_some_and(|role| role != Role::Store)
            }
            Some(Identity::Store { .. } | Identity::Viewer { .. }) | None => false,
        }
    }
}

/// A command was done.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct DoneBody {
    /// The room's offset after it.
    after: u64,
    /// What is told: the same as on the socket.
    answer: Answer,
}

/// The answer of most commands.
pub(super) type Done = Result<axum::Json<DoneBody>, Error>;

impl App {
    /// Does a command in a room for the caller.
    pub(super) async fn act(&self, caller: &Caller, room: &RoomId, command: Command) -> Done {
        let done = self.hub.command(room, caller.actor(room)?, command).await?;
        Ok(axum::Json(DoneBody {
            after: done.after,
            answer: done.answer,
        }))
    }

    /// Does a command in a room for the caller, and gives what is told.
    pub(super) async fn ask(&self, caller: &Caller, room: &RoomId, command: Command) -> Result<Answer, Error> {
        Ok(self.hub.command(room, caller.actor(room)?, command).await?.answer)
    }

    /// Reads what only those may who have the same right as a command.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        caller: &Caller,
        room: &RoomId,
        need: Need,
        look: impl FnOnce(&Room, Timestamp) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Error> {
        let actor = caller.actor(room)?;
        let asks = actor.clone();
        let looked = self.hub.read_as(&asks, room, move |room, now| {
            room.staff.permit(&actor, need, now)?;
            look(room, now)
        });
        Ok(looked.await??)
    }
}

//! Staff, invitations and shops.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{Caller, Done, DoneBody};
use super::links::Links;
use super::sign_in::{Code, TokenBody};
use crate::auth::fresh_person;
use crate::http::App;
use crate::http::client::Client;
use crate::http::error::Error;
use crate::http::extract::{Json, Path};
use crate::room::audience::{Address, Visitor};
use crate::room::staff::{
    AcceptInvitation, AddStore, Invitation, Invite, Member, Need, RemoveStaff, RevokeInvitation, Role,
};
use crate::room::{Actor, Answer, Command, Key, PersonId, Personal, Refusal, Room, RoomId, Timestamp, ViewerId};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(remove))
        .routes(routes!(invite))
        .routes(routes!(revoke))
        .routes(routes!(accept))
        .routes(routes!(add_store))
}

/// Who may do what in a room.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct StaffBody {
    /// Everybody with a role.
    members: Vec<MemberBody>,
    /// Invitations, also those that were used, taken back or have expired.
    invitations: Vec<InvitationBody>,
}

/// A member of staff.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct MemberBody {
    /// Who.
    person: PersonId,
    /// `"host"`, `{"assistant":"comments"}` (or `actions`, `all`) or `"store"`.
    role: Role,
    /// The name under which they speak.
    name: Personal,
    /// Since when, Unix ms.
    since: Timestamp,
    /// By which invitation.
    #[serde(skip_serializing_if = "Option::is_none")]
    invitation: Option<Key>,
}

impl MemberBody {
    fn new((person, member): (&PersonId, &Member)) -> Self {
        Self {
            person: *person,
            role: member.role,
            name: member.name.clone(),
            since: member.since,
            invitation: member.invitation.clone(),
        }
    }
}

/// An invitation. Its code was shown once, when it was made.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct InvitationBody {
    /// Its name.
    id: Key,
    /// What they will be.
    role: Role,
    /// Under which name.
    name: Personal,
    /// When it ends, Unix ms.
    expires_at: Timestamp,
    /// Taken up by.
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<PersonId>,
    /// Taken back.
    revoked: bool,
}

impl InvitationBody {
    fn new((id, invitation): (&Key, &Invitation)) -> Self {
        Self {
            id: id.clone(),
            role: invitation.role,
            name: invitation.name.clone(),
            expires_at: invitation.expires_at,
            accepted: invitation.accepted,
            revoked: invitation.revoked,
        }
    }
}

/// List the staff and invitations.
#[utoipa::path(get, path = "/rooms/{room}/staff", tag = "staff", responses((status = 200, body = StaffBody)))]
async fn list(State(app): State<App>, caller: Caller, Path(id): Path<RoomId>) -> Result<axum::Json<StaffBody>, Error> {
    let look = |room: &Room, _| {
        Ok(StaffBody {
            members: room.staff.members.iter().map(MemberBody::new).collect(),
            invitations: room.staff.invitations.iter().map(InvitationBody::new).collect(),
        })
    };
    Ok(axum::Json(app.look(&caller, &id, Need::Host, look).await?))
}

/// Take somebody's role away, at once, on every open socket.
#[utoipa::path(delete, path = "/rooms/{room}/staff/{person}", tag = "staff",
    responses((status = 200, body = DoneBody)))]
async fn remove(State(app): State<App>, caller: Caller, Path((room, person)): Path<(RoomId, PersonId)>) -> Done {
    app.act(&caller, &room, Command::RemoveStaff(RemoveStaff { person }))
        .await
}

/// Somebody to be invited.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InviteBody {
    /// Chosen by the client, so that a retry is one: it gets a new code, and the earlier one ends. Random if absent.
    #[serde(default)]
    id: Option<Key>,
    /// `"host"` or `{"assistant":"comments"}` (or `actions`, `all`).
    #[schema(example = json!({"assistant": "comments"}))]
    role: Role,
    /// The name under which they speak, 1-20 characters.
    name: String,
    /// Valid for so long, ms; 24 h if absent.
    #[serde(default)]
    valid_ms: Option<u64>,
}

/// An invitation, to be sent to the one who is meant.
#[derive(Clone, Serialize, ToSchema)]
struct Invited {
    /// Its name.
    invitation: Key,
    /// The link, with the code in its fragment: it works once, and is not shown again.
    link: String,
    /// The link as a QR code, an SVG: no address could hold it, since a server would see the code.
    qr: String,
    /// When it ends, Unix ms.
    expires_at: Timestamp,
}

/// Invite somebody to the staff.
#[utoipa::path(post, path = "/rooms/{room}/invitations", tag = "staff", request_body = InviteBody,
    responses((status = 201, body = Invited)))]
async fn invite(
    State(app): State<App>,
    caller: Caller,
    client: Client,
    Path(room): Path<RoomId>,
    Json(invite): Json<InviteBody>,
) -> Result<(StatusCode, axum::Json<Invited>), Error> {
    let links = Links::of(&app, &client, &room)?;
    let random = || Key::new(&super::luck().letters(10)).expect("ten letters and digits");
    let invite = Invite {
        id: invite.id.unwrap_or_else(random),
        role: invite.role,
        name: invite.name,
        valid_ms: invite.valid_ms,
    };
    match app.ask(&caller, &room, Command::Invite(invite)).await? {
        Answer::Invited {
            invitation,
            code,
            expires_at,
        } => {
            let link = links.invitation(&code);
            let invited = Invited {
                invitation,
                qr: super::links::qr_svg(&link)?,
                link,
                expires_at,
            };
            Ok((StatusCode::CREATED, axum::Json(invited)))
        }
        other => Err(super::unexpected(&other)),
    }
}

/// Take an unused invitation back.
#[utoipa::path(delete, path = "/rooms/{room}/invitations/{invitation}", tag = "staff",
    responses((status = 200, body = DoneBody)))]
async fn revoke(State(app): State<App>, caller: Caller, Path((room, id)): Path<(RoomId, Key)>) -> Done {
    app.act(&caller, &room, Command::RevokeInvitation(RevokeInvitation { id }))
        .await
}

/// Exchange an invitation's code, once, for this device's token.
#[utoipa::path(post, path = "/rooms/{room}/invitations/accept", tag = "staff", request_body = Code,
    responses((status = 200, body = TokenBody)))]
async fn accept(
    State(app): State<App>,
    client: Client,
    Path(room): Path<RoomId>,
    Json(Code { code }): Json<Code>,
) -> Result<axum::Json<TokenBody>, Error> {
    let now = app.clock.now();
    app.guesses.check(client.address, now)?;
    let stranger = Actor::Viewer(Visitor {
        id: ViewerId(fresh_person().0),
        name: Personal::default(),
        store: false,
        address: Address::default(),
    });
    let accept = Command::AcceptInvitation(AcceptInvitation { code });
    let accepted = app.hub.command(&room, stranger, accept).await.map_err(Error::from);
    let accepted = accepted.inspect_err(|error| {
        if *error == Error::from(Refusal::UnknownInvitation) {
            app.guesses.note(client.address, now);
        }
    })?;
    match accepted.answer {
        Answer::Joined { person, .. } => {
            let issued = app.auth.staff_token(&room, person, app.clock.now());
            Ok(axum::Json(TokenBody::new(issued, person)))
        }
        other => Err(super::unexpected(&other)),
    }
}

/// A shop to be let in.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StoreBody {
    /// What the list calls it, 1-20 characters.
    name: String,
}

/// A shop's way in: it checks and redeems codes, nothing else.
#[derive(Clone, Serialize, ToSchema)]
struct StoreAdded {
    /// The token, and whom to remove to end it.
    #[serde(flatten)]
    token: TokenBody,
    /// A command line that redeems a code.
    curl: String,
}

/// Make the role of a shop. Its token is not shown again.
#[utoipa::path(post, path = "/rooms/{room}/stores", tag = "staff", request_body = StoreBody,
    responses((status = 201, body = StoreAdded)))]
async fn add_store(
    State(app): State<App>,
    caller: Caller,
    client: Client,
    Path(room): Path<RoomId>,
    Json(StoreBody { name }): Json<StoreBody>,
) -> Result<(StatusCode, axum::Json<StoreAdded>), Error> {
    let origin = super::links::origin(&app, &client)?;
    match app.ask(&caller, &room, Command::AddStore(AddStore { name })).await? {
        Answer::Joined { person, .. } => {
            let issued = app.auth.store_token(&room, person, app.clock.now());
            let curl = format!(
                "curl -sS {origin}{}/rooms/{room}/redeem -H 'Authorization: Bearer {}' \
                 -H 'Content-Type: application/json' -d '{{\"code\":\"CODE\",\"order\":\"ORDER\"}}'",
                super::PREFIX,
                issued.token
            );
            let token = TokenBody::new(issued, person);
            Ok((StatusCode::CREATED, axum::Json(StoreAdded { token, curl })))
        }
        other => Err(super::unexpected(&other)),
    }
}

//! Signing in as an operator, and the devices that did.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Caller;
use crate::auth::{BadToken, Identity, Issued};
use crate::house;
use crate::http::App;
use crate::http::client::Client;
use crate::http::error::Error;
use crate::http::extract::{Json, Path};
use crate::room::{PersonId, RoomId, Timestamp};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sign_in))
        .routes(routes!(me))
        .routes(routes!(devices))
        .routes(routes!(revoke))
}

/// A code from a link's fragment.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Code {
    /// The code.
    pub(super) code: String,
}

/// A token for this device: keep it, and send it as `Authorization: Bearer`, or in `hello`.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct TokenBody {
    /// The token.
    pub(super) token: String,
    /// Until when it is valid, Unix ms.
    pub(super) expires_at: Timestamp,
    /// Who it is for.
    pub(super) person: PersonId,
}

impl TokenBody {
    pub(super) fn new(issued: Issued, person: PersonId) -> Self {
        Self {
            token: issued.token,
            expires_at: issued.expires_at,
            person,
        }
    }
}

/// Exchange a sign-in code, once, for an operator's token of this device.
#[utoipa::path(post, path = "/sign-in", tag = "sign-in", request_body = Code, responses((status = 200, body = TokenBody)))]
async fn sign_in(
    State(app): State<App>,
    client: Client,
    Json(Code { code }): Json<Code>,
) -> Result<axum::Json<TokenBody>, Error> {
    let now = app.clock.now();
    app.guesses.check(client.address, now)?;
    let signed_in = async {
        let person = app.auth.verify_sign_in(&code, now)?;
        app.house.command(house::Command::SignIn { person }).await?;
        Ok(person)
    };
    let person = signed_in.await.inspect_err(|error| {
        if matches!(error, Error::BadToken(_)) {
            app.guesses.note(client.address, now);
        }
    })?;
    Ok(axum::Json(TokenBody::new(app.auth.operator_token(person, now), person)))
}

/// Who a token is for.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Who {
    /// A viewer.
    Viewer {
        /// The lasting identity.
        id: String,
        /// Known to the store.
        store: bool,
    },
    /// Staff of a room.
    Staff {
        /// Which room.
        room: RoomId,
        /// Who.
        person: PersonId,
        /// Until when, Unix ms.
        expires_at: Timestamp,
    },
    /// A shop for all rooms.
    Store {
        /// Which.
        person: PersonId,
        /// Until when, Unix ms.
        expires_at: Timestamp,
    },
    /// An operator.
    Operator {
        /// Which device.
        person: PersonId,
        /// Until when, Unix ms.
        expires_at: Timestamp,
    },
}

/// Whom the token is for.
#[utoipa::path(get, path = "/me", tag = "sign-in", responses((status = 200, body = Who)))]
async fn me(caller: Caller) -> Result<axum::Json<Who>, Error> {
    Ok(axum::Json(match caller.0.ok_or(BadToken)? {
        Identity::Viewer { id, store, .. } => Who::Viewer {
            id: id.to_string(),
            store,
        },
        Identity::Staff {
            room,
            person,
            expires_at,
        } => Who::Staff {
            room,
            person,
            expires_at,
        },
        Identity::Store { person, expires_at } => Who::Store { person, expires_at },
        Identity::Operator { person, expires_at } => Who::Operator { person, expires_at },
    }))
}

/// Operators' devices.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Devices {
    /// In order of id.
    devices: Vec<Device>,
}

/// A device of an operator.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Device {
    /// Which.
    person: PersonId,
    /// Since when, Unix ms; absent where it was revoked without having signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// Until when, Unix ms.
    expires_at: Timestamp,
    /// It has no rights any more.
    revoked: bool,
    /// It is the caller's.
    own: bool,
}

/// List the devices on which operators signed in.
#[utoipa::path(get, path = "/devices", tag = "sign-in", responses((status = 200, body = Devices)))]
async fn devices(State(app): State<App>, caller: Caller) -> Result<axum::Json<Devices>, Error> {
    let own = caller.operator()?;
    let devices = app.house.devices().await.into_iter();
    let shown = devices.map(|(person, device)| Device {
        person,
        since: device.since,
        expires_at: device.expires_at,
        revoked: device.revoked,
        own: person == own,
    });
    Ok(axum::Json(Devices {
        devices: shown.collect(),
    }))
}

/// Take a device's rights away, at once.
#[utoipa::path(delete, path = "/devices/{person}", tag = "sign-in", responses((status = 204)))]
async fn revoke(State(app): State<App>, caller: Caller, Path(person): Path<PersonId>) -> Result<StatusCode, Error> {
    let by = caller.operator()?;
    app.house.command(house::Command::Revoke { person, by }).await?;
    Ok(StatusCode::NO_CONTENT)
}

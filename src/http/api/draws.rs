//! Lucky draws.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{Caller, Done, DoneBody};
use crate::http::App;
use crate::http::error::Error;
use crate::http::extract::{Json, Path};
use crate::room::draw::{ById, Cancel, Card, MarkSent, Prepare, Rules, Strike};
use crate::room::stage::PreparedDraw;
use crate::room::{Command, Key, Room, RoomId, Timestamp};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(prepare, remove))
        .routes(routes!(open))
        .routes(routes!(lock))
        .routes(routes!(cancel))
        .routes(routes!(redraw))
        .routes(routes!(strike))
        .routes(routes!(mark_sent))
}

/// The draws of a room.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Draws {
    /// Those that were opened, as the stage shows them, newest last.
    #[schema(value_type = Vec<serde_json::Value>)]
    opened: Vec<Card>,
    /// For staff: those that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    prepared: Option<Vec<PreparedDraw>>,
}

/// List the draws of a room.
#[utoipa::path(get, path = "/rooms/{room}/draws", tag = "draws", responses((status = 200, body = Draws)))]
async fn list(State(app): State<App>, caller: Caller, Path(id): Path<RoomId>) -> Result<axum::Json<Draws>, Error> {
    let look = move |room: &Room, now: Timestamp| Draws {
        opened: room.stage().draws,
        prepared: caller.is_backstage(room).then(|| room.backstage(now).draws),
    };
    Ok(axum::Json(app.hub.read(&id, look).await?))
}

/// Prepare a draw, or change one that is not open yet.
#[utoipa::path(put, path = "/rooms/{room}/draws/{draw}", tag = "draws",
    request_body(content = serde_json::Value, example = json!({
        "prize": "Lipstick", "winners": 3, "open_ms": 60000, "eligibility": {"phrase": {"phrase": "lipstick"}},
        "ask": ["name", "address"], "readers": "The shop sends the prize and deletes this."
    })),
    responses((status = 200, body = DoneBody)))]
async fn prepare(
    State(app): State<App>,
    caller: Caller,
    Path((room, id)): Path<(RoomId, Key)>,
    Json(rules): Json<Rules>,
) -> Done {
    app.act(&caller, &room, Command::PrepareDraw(Prepare { id, rules }))
        .await
}

/// Take a draw out that was not opened.
#[utoipa::path(delete, path = "/rooms/{room}/draws/{draw}", tag = "draws", responses((status = 200, body = DoneBody)))]
async fn remove(State(app): State<App>, caller: Caller, Path((room, draw)): Path<(RoomId, Key)>) -> Done {
    app.act(&caller, &room, Command::RemoveDraw(ById { draw })).await
}

/// Open a draw: its commitment is published before any entry.
#[utoipa::path(post, path = "/rooms/{room}/draws/{draw}/open", tag = "draws",
    responses((status = 200, body = DoneBody)))]
async fn open(State(app): State<App>, caller: Caller, Path((room, draw)): Path<(RoomId, Key)>) -> Done {
    app.act(&caller, &room, Command::OpenDraw(ById { draw })).await
}

/// Lock a draw before its time: no more entries, the winners follow.
#[utoipa::path(post, path = "/rooms/{room}/draws/{draw}/lock", tag = "draws",
    responses((status = 200, body = DoneBody)))]
async fn lock(State(app): State<App>, caller: Caller, Path((room, draw)): Path<(RoomId, Key)>) -> Done {
    app.act(&caller, &room, Command::LockDraw(ById { draw })).await
}

/// Why something is done.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reason {
    /// 1-200 characters; everybody can read it.
    reason: String,
}

/// Cancel an open draw before its lock; it stays on record.
#[utoipa::path(post, path = "/rooms/{room}/draws/{draw}/cancel", tag = "draws", request_body = Reason,
    responses((status = 200, body = DoneBody)))]
async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path((room, draw)): Path<(RoomId, Key)>,
    Json(Reason { reason }): Json<Reason>,
) -> Done {
    app.act(&caller, &room, Command::CancelDraw(Cancel { draw, reason }))
        .await
}

/// Draw the unclaimed prizes again, once their deadline has passed: the same sequence goes on.
#[utoipa::path(post, path = "/rooms/{room}/draws/{draw}/redraw", tag = "draws",
    responses((status = 200, body = DoneBody)))]
async fn redraw(State(app): State<App>, caller: Caller, Path((room, draw)): Path<(RoomId, Key)>) -> Done {
    app.act(&caller, &room, Command::Redraw(ById { draw })).await
}

/// Strike an entry before the lock; the transcript shows it.
#[utoipa::path(post, path = "/rooms/{room}/draws/{draw}/entries/{entry}/strike", tag = "draws",
    request_body = Reason, responses((status = 200, body = DoneBody)))]
async fn strike(
    State(app): State<App>,
    caller: Caller,
    Path((room, draw, entry)): Path<(RoomId, Key, u32)>,
    Json(Reason { reason }): Json<Reason>,
) -> Done {
    let strike = Strike { draw, entry, reason };
    app.act(&caller, &room, Command::StrikeEntry(strike)).await
}

/// Whether a prize was sent.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Sent {
    /// Sent, or not after all.
    sent: bool,
}

/// Mark a winner's prize as sent, or as not sent.
#[utoipa::path(put, path = "/rooms/{room}/draws/{draw}/winners/{entry}/sent", tag = "draws", request_body = Sent,
    responses((status = 200, body = DoneBody)))]
async fn mark_sent(
    State(app): State<App>,
    caller: Caller,
    Path((room, draw, entry)): Path<(RoomId, Key, u32)>,
    Json(Sent { sent }): Json<Sent>,
) -> Done {
    let mark = MarkSent { draw, entry, sent };
    app.act(&caller, &room, Command::MarkSent(mark)).await
}

//! Comments and their moderation.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{Caller, Done, DoneBody};
use crate::http::App;
use crate::http::error::Error;
use crate::http::extract::{Json, Path};
use crate::room::comment::{
    Delete, DeleteAll, Modes, Mute, Pin, Post, Restore, SetBlockedWords, SetModes, Shown, Unmute,
};
use crate::room::staff::Need;
use crate::room::stage::{Act, MutedViewer};
use crate::room::{Command, Empty, Offset, Room, RoomId, Timestamp, ViewerNo};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, post))
        .routes(routes!(delete))
        .routes(routes!(delete_all))
        .routes(routes!(restore))
        .routes(routes!(pin, unpin))
        .routes(routes!(mute, unmute))
        .routes(routes!(set_modes))
        .routes(routes!(set_blocked_words))
}

/// The last comments of a room, and its moderation.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Comments {
    /// On stage, oldest first.
    on_stage: Vec<Shown>,
    /// Not on stage.
    offstage: Vec<Shown>,
    /// The modes.
    modes: Modes,
    /// The room's blocked words.
    blocked_words: Vec<String>,
    /// Viewers who are muted.
    muted: Vec<MutedViewer>,
    /// The last moderation acts.
    acts: Vec<Act>,
}

/// List the last comments, for staff.
#[utoipa::path(get, path = "/rooms/{room}/comments", tag = "comments", responses((status = 200, body = Comments)))]
async fn list(State(app): State<App>, caller: Caller, Path(id): Path<RoomId>) -> Result<axum::Json<Comments>, Error> {
    let look = |room: &Room, now: Timestamp| {
        let backstage = room.backstage(now);
        Ok(Comments {
            on_stage: backstage.stage.comments,
            offstage: backstage.offstage,
            modes: backstage.stage.modes,
            blocked_words: backstage.blocked_words,
            muted: backstage.muted,
            acts: backstage.acts,
        })
    };
    Ok(axum::Json(app.look(&caller, &id, Need::Comments, look).await?))
}

/// Post a comment as staff.
#[utoipa::path(post, path = "/rooms/{room}/comments", tag = "comments",
    request_body(content = Post, example = json!({"nonce": "a1", "text": "Welcome!"})),
    responses((status = 200, body = DoneBody)))]
async fn post(State(app): State<App>, caller: Caller, Path(room): Path<RoomId>, Json(post): Json<Post>) -> Done {
    app.look(&caller, &room, Need::Comments, |_, _| Ok(())).await?;
    app.act(&caller, &room, Command::Comment(post)).await
}

/// Delete a comment. The answer names the act for its undo.
#[utoipa::path(delete, path = "/rooms/{room}/comments/{comment}", tag = "comments",
    responses((status = 200, body = DoneBody)))]
async fn delete(State(app): State<App>, caller: Caller, Path((room, comment)): Path<(RoomId, Offset)>) -> Done {
    app.act(&caller, &room, Command::Delete(Delete { comment })).await
}

/// Delete all comments of a viewer.
#[utoipa::path(delete, path = "/rooms/{room}/viewers/{viewer}/comments", tag = "comments",
    responses((status = 200, body = DoneBody)))]
async fn delete_all(State(app): State<App>, caller: Caller, Path((room, viewer)): Path<(RoomId, ViewerNo)>) -> Done {
    app.act(&caller, &room, Command::DeleteAll(DeleteAll { viewer })).await
}

/// Take one's own deletion back, within its ten seconds.
#[utoipa::path(post, path = "/rooms/{room}/deletions/{deletion}/undo", tag = "comments",
    responses((status = 200, body = DoneBody)))]
async fn restore(State(app): State<App>, caller: Caller, Path((room, deletion)): Path<(RoomId, Offset)>) -> Done {
    app.act(&caller, &room, Command::Restore(Restore { deletion })).await
}

/// Pin a comment in place of the one pinned before.
#[utoipa::path(put, path = "/rooms/{room}/pin", tag = "comments",
    request_body(content = Pin, example = json!({"comment": 13, "for_ms": 60000})),
    responses((status = 200, body = DoneBody)))]
async fn pin(State(app): State<App>, caller: Caller, Path(room): Path<RoomId>, Json(pin): Json<Pin>) -> Done {
    app.act(&caller, &room, Command::Pin(pin)).await
}

/// Unpin.
#[utoipa::path(delete, path = "/rooms/{room}/pin", tag = "comments", responses((status = 200, body = DoneBody)))]
async fn unpin(State(app): State<App>, caller: Caller, Path(room): Path<RoomId>) -> Done {
    app.act(&caller, &room, Command::Unpin(Empty {})).await
}

/// For how long.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ForMs {
    /// 10,000-86,400,000 ms.
    for_ms: u64,
}

/// Mute a viewer.
#[utoipa::path(put, path = "/rooms/{room}/viewers/{viewer}/mute", tag = "comments", request_body = ForMs,
    responses((status = 200, body = DoneBody)))]
async fn mute(
    State(app): State<App>,
    caller: Caller,
    Path((room, viewer)): Path<(RoomId, ViewerNo)>,
    Json(ForMs { for_ms }): Json<ForMs>,
) -> Done {
    app.act(&caller, &room, Command::Mute(Mute { viewer, for_ms })).await
}

/// Let a viewer speak again.
#[utoipa::path(delete, path = "/rooms/{room}/viewers/{viewer}/mute", tag = "comments",
    responses((status = 200, body = DoneBody)))]
async fn unmute(State(app): State<App>, caller: Caller, Path((room, viewer)): Path<(RoomId, ViewerNo)>) -> Done {
    app.act(&caller, &room, Command::Unmute(Unmute { viewer })).await
}

/// Change the modes that are given: slow mode, comments off.
#[utoipa::path(patch, path = "/rooms/{room}/modes", tag = "comments",
    request_body(content = SetModes, example = json!({"slow_ms": 5000, "comments_off": false})),
    responses((status = 200, body = DoneBody)))]
async fn set_modes(
    State(app): State<App>,
    caller: Caller,
    Path(room): Path<RoomId>,
    Json(modes): Json<SetModes>,
) -> Done {
    app.act(&caller, &room, Command::SetModes(modes)).await
}

/// Replace the room's blocked words.
#[utoipa::path(put, path = "/rooms/{room}/blocked-words", tag = "comments",
    request_body(content = SetBlockedWords, example = json!({"words": ["spam"]})),
    responses((status = 200, body = DoneBody)))]
async fn set_blocked_words(
    State(app): State<App>,
    caller: Caller,
    Path(room): Path<RoomId>,
    Json(words): Json<SetBlockedWords>,
) -> Done {
    app.act(&caller, &room, Command::SetBlockedWords(words)).await
}

//! What is held of one viewer, for operators: to read, and to erase.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Caller;
use crate::http::App;
use crate::http::error::Error;
use crate::http::extract::Path;
use crate::hub::person::{Export, Who};
use crate::room::{RoomId, ViewerId, ViewerNo};
use crate::upkeep;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(export, erase))
        .routes(routes!(export_of, erase_of))
}

/// What was erased of a viewer.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct ErasedBody {
    /// The viewer's lasting identity.
    #[schema(value_type = String)]
    viewer: ViewerId,
    /// Rooms that know the viewer.
    rooms: usize,
    /// Names and texts that are empty now.
    texts: usize,
    /// Contact details that are gone.
    contacts: usize,
    /// Unused parts of the journal's file may still hold bytes of it: they are cleared as soon as no show is on air.
    remains: bool,
}

/// Everything that is held of a viewer, in all rooms.
#[utoipa::path(get, path = "/viewers/{identity}", tag = "viewers", responses((status = 200, body = Export)))]
async fn export(
    State(app): State<App>,
    caller: Caller,
    Path(viewer): Path<ViewerId>,
) -> Result<axum::Json<Export>, Error> {
    read(app, caller, Who::Id(viewer)).await
}

/// Erase a viewer's names, comments and contact details in all rooms, at once. Their claims, entries and wins stay under
/// their numbers, so that counts, codes and draws can still be verified. Their connections are closed; what they do
/// after that is new. After an error a part may be erased: ask again.
#[utoipa::path(delete, path = "/viewers/{identity}", tag = "viewers", responses((status = 200, body = ErasedBody)))]
async fn erase(
    State(app): State<App>,
    caller: Caller,
    Path(viewer): Path<ViewerId>,
) -> Result<axum::Json<ErasedBody>, Error> {
    remove(app, caller, Who::Id(viewer)).await
}

/// Everything that is held of a viewer, in all rooms, by their number in one of them.
#[utoipa::path(get, path = "/rooms/{room}/viewers/{viewer}/data", tag = "viewers",
    responses((status = 200, body = Export)))]
async fn export_of(
    State(app): State<App>,
    caller: Caller,
    Path((room, viewer)): Path<(RoomId, ViewerNo)>,
) -> Result<axum::Json<Export>, Error> {
    read(app, caller, Who::Number(room, viewer)).await
}

/// Erase a viewer's data in all rooms, by their number in one of them; else as by their identity.
#[utoipa::path(delete, path = "/rooms/{room}/viewers/{viewer}/data", tag = "viewers",
    responses((status = 200, body = ErasedBody)))]
async fn erase_of(
    State(app): State<App>,
    caller: Caller,
    Path((room, viewer)): Path<(RoomId, ViewerNo)>,
) -> Result<axum::Json<ErasedBody>, Error> {
    remove(app, caller, Who::Number(room, viewer)).await
}

async fn read(app: App, caller: Caller, who: Who) -> Result<axum::Json<Export>, Error> {
    caller.operator()?;
    Ok(axum::Json(app.hub.export(&who).await?))
}

async fn remove(app: App, caller: Caller, who: Who) -> Result<axum::Json<ErasedBody>, Error> {
    let by = caller.operator()?;
    if let Some(folder) = upkeep::set_aside(&app.config.data)? {
        return Err(Error::DamagedAside { folder });
    }
    let hub = app.hub.clone();
    // It goes on when the request ends before it.
    let erased = tokio::spawn(async move { hub.erase(&who, by).await });
    let (viewer, erased) = erased.await.map_err(|_| Error::Internal)??;
    Ok(axum::Json(ErasedBody {
        viewer,
        rooms: erased.rooms,
        texts: erased.texts,
        contacts: erased.contacts,
        remains: app.hub.unswept(),
    }))
}

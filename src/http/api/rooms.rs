//! Rooms: list, create, read, change, drive, copy, remove.

use std::cmp::Reverse;

use axum::extract::State;
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{Caller, Done, DoneBody};
use super::links::Links;
use super::sign_in::TokenBody;
use super::tries::Tries;
use crate::http::App;
use crate::http::client::Client;
use crate::http::error::Error;
use crate::http::extract::{Json, Path, Query};
use crate::hub::Listing;
use crate::room::discount::Closes;
use crate::room::show::{Access, Change, Create, CreateFor, Details, End, Goals, State as ShowState};
use crate::room::staff::{Invite, Need, Role};
use crate::room::stage::{Backstage, ShowCard, Stage};
use crate::room::{Actor, Answer, Command, Empty, Hash, Key, Offset, PersonId, RoomId, Timestamp};

/// Rooms in an answer unless told otherwise.
const LIST_DEFAULT: usize = 100;
/// Shows that one host may run again in an hour, retries among them.
const COPIES_MAX: u32 = 20;
/// Most rooms in an answer.
const LIST_MAX: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, change, remove))
        .routes(routes!(state))
        .routes(routes!(start))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(end))
        .routes(routes!(undo_end))
        .routes(routes!(copy))
        .routes(routes!(release))
}

/// Which rooms are asked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only rooms that stand there.
    #[param(inline)]
    state: Option<Stands>,
    /// Only rooms with this tag.
    tag: Option<String>,
    /// So many rooms are passed over.
    after: usize,
    /// At most so many: 100 if absent; 1,000 at most for operators, 100 for others.
    limit: Option<usize>,
}

/// Where a show stands, as lists group them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Stands {
    /// Live or paused.
    Live,
    /// Scheduled.
    Next,
    /// Ended.
    Past,
    /// Without a date: for operators.
    Draft,
}

impl Stands {
    fn of(state: ShowState) -> Self {
        match state {
            ShowState::Live | ShowState::Paused => Self::Live,
            ShowState::Scheduled => Self::Next,
            ShowState::Ended => Self::Past,
            ShowState::Draft => Self::Draft,
        }
    }
}

/// Rooms: live ones first, then the next, then drafts, then past ones, the nearest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Rooms {
    /// The rooms.
    rooms: Vec<Listing>,
    /// There are more after these.
    more: bool,
}

/// List public rooms that are live, next or past; for an operator all rooms.
#[utoipa::path(get, path = "/rooms", tag = "rooms", params(Filter), responses((status = 200, body = Rooms)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<axum::Json<Rooms>, Error> {
    let limit = filter.limit.unwrap_or(LIST_DEFAULT);
    let all = caller.operator().is_ok();
    if !(1..=LIST_MAX).contains(&limit) {
        return Err(Error::field("limit", "is not from 1 to 1,000"));
    }
    let limit = if all { limit } else { limit.min(LIST_DEFAULT) };
    let mut rooms = app.hub.rooms();
    rooms.retain(|room| (all || is_public(room)) && filter.takes(room));
    for room in rooms.iter_mut().filter(|_| !all) {
        (room.unattended_since, room.parked) = (None, None);
    }
    rooms.sort_by_key(order);
    let mut rooms = rooms.into_iter().skip(filter.after);
    let page = rooms.by_ref().take(limit).collect();
    Ok(axum::Json(Rooms {
        rooms: page,
        more: rooms.next().is_some(),
    }))
}

fn is_public(room: &Listing) -> bool {
    room.access == Access::Public && room.state != ShowState::Draft && !room.test
}

impl Filter {
    fn takes(&self, room: &Listing) -> bool {
        let tag = self.tag.as_ref().map(|tag| tag.trim_start_matches('#').to_lowercase());
        self.state.is_none_or(|state| state == Stands::of(room.state))
            && tag.is_none_or(|tag| room.tags.iter().any(|other| other.to_lowercase() == tag))
    }
}

fn order(room: &Listing) -> (u8, Reverse<Option<Timestamp>>, Option<Timestamp>) {
    match Stands::of(room.state) {
        Stands::Live => (0, Reverse(room.started_at), None),
        Stands::Next => (1, Reverse(None), room.scheduled_at),
        Stands::Draft => (2, Reverse(None), None),
        Stands::Past => (3, Reverse(room.ended_at), None),
    }
}

/// A room to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateRoom {
    /// Its name in links, so that a retry is one: 3-40 of `a-z 0-9 -` for a public room, ten random ones of
    /// `a-z 0-9` for others. Random if absent.
    #[serde(default)]
    id: Option<RoomId>,
    /// What is shown about it.
    #[schema(example = json!({"title": "Autumn colours", "host": "Ann"}))]
    details: Details,
}

/// A room just made, with the links that its host needs.
#[derive(Clone, Serialize, ToSchema)]
struct CreatedRoom {
    /// Its name in links.
    room: RoomId,
    /// The room's offset.
    after: u64,
    /// Where its pages are.
    links: Links,
    /// Makes the device on which it is opened the host's, once; absent when it was used already.
    #[serde(skip_serializing_if = "Option::is_none")]
    invitation: Option<String>,
    /// For a host who ran a show of theirs again: their token for this room.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<TokenBody>,
}

/// Make a room. The same id and details again are a retry.
#[utoipa::path(post, path = "/rooms", tag = "rooms", request_body = CreateRoom,
    responses((status = 201, body = CreatedRoom)))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    client: Client,
    Json(CreateRoom { id, details }): Json<CreateRoom>,
) -> Result<(StatusCode, axum::Json<CreatedRoom>), Error> {
    let id = match id {
        Some(id) if details.access == Access::Public || details.test || looks_random(&id) => id,
        Some(_) => return Err(Error::field("id", "can be chosen for public rooms only")),
        None => RoomId::random(&mut super::luck()),
    };
    let created = make(&app, &caller, &client, id, details).await?;
    Ok((StatusCode::CREATED, axum::Json(created)))
}

fn looks_random(id: &RoomId) -> bool {
    let id = id.as_str();
    id.len() == 10
        && id
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

async fn make(
    app: &App,
    caller: &Caller,
    client: &Client,
    room: RoomId,
    details: Details,
) -> Result<CreatedRoom, Error> {
    let operator = Actor::Operator(caller.operator()?);
    let host = details.host.clone();
    let create = Command::Create(Create { details });
    let done = app.hub.command(&room, operator.clone(), create).await?;
    let invite = Command::Invite(Invite {
        id: Key::new("host").expect("four letters"),
        role: Role::Host,
        name: host,
        valid_ms: None,
    });
    let links = Links::of(app, client, &room)?;
    let invitation = match app.hub.command(&room, operator, invite).await.map(|done| done.answer) {
        Ok(Answer::Invited { code, .. }) => Some(links.invitation(&code)),
        Ok(_) | Err(crate::hub::CommandError::Refused(_)) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(CreatedRoom {
        room,
        after: done.after,
        links,
        invitation,
        token: None,
    })
}

/// A room as everybody, or as staff, may read it.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct RoomBody {
    /// Its name in links.
    room: RoomId,
    /// The room's offset.
    offset: Offset,
    /// The show.
    show: ShowCard,
    /// Viewers watching now, as of the last pulse.
    watching: u32,
    /// For staff: what the host wants to reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    goals: Option<Goals>,
}

/// Read a room: whoever knows its name may. The `ETag` is of its details, for `If-Match`.
#[utoipa::path(get, path = "/rooms/{room}", tag = "rooms", responses((status = 200, body = RoomBody,
    headers(("ETag" = String, description = "Of the details")))))]
async fn read(State(app): State<App>, caller: Caller, Path(id): Path<RoomId>) -> Result<Response, Error> {
    let look = move |room: &crate::room::Room, _: Timestamp| {
        let stage = room.stage();
        let body = RoomBody {
            room: room.id.clone(),
            offset: room.head,
            show: stage.show,
            watching: stage.totals.watching,
            goals: caller.is_backstage(room).then_some(room.show.details.goals),
        };
        (etag(&room.show.details), body)
    };
    let (etag, body) = app.hub.read(&id, look).await?;
    Ok(([(ETAG, etag)], axum::Json(body)).into_response())
}

/// A name of these very details. Counts and states do not change it.
fn etag(details: &Details) -> HeaderValue {
    let json = serde_json::to_vec(details).expect("details have string keys");
    let hash = Hash(Sha256::digest(json).into()).to_string();
    let etag = format!("\"{}\"", &hash[..16]);
    HeaderValue::from_str(&etag).expect("quotes and hexadecimal digits")
}

/// Change what is given; `null` clears what may be absent. With `If-Match` only if the details are still those.
#[utoipa::path(patch, path = "/rooms/{room}", tag = "rooms",
    params(("If-Match" = Option<String>, Header, description = "The `ETag` that was read")),
    request_body(content = Change, example = json!({"title": "Autumn colours II", "scheduled_at": null})),
    responses((status = 200, body = DoneBody, headers(("ETag" = String, description = "Of the new details")))))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<RoomId>,
    Json(change): Json<Change>,
) -> Result<Response, Error> {
    let conditional = headers.get(IF_MATCH).filter(|etag| *etag != "*").cloned();
    // One conditional change at a time, so that of two with the same `ETag` the second finds it stale.
    let _alone = match conditional.is_some() {
        true => Some(app.changing.lock().await),
        false => None,
    };
    if let Some(wanted) = conditional {
        let now = app
            .look(&caller, &id, Need::Host, |room, _| Ok(etag(&room.show.details)))
            .await?;
        let named = wanted.to_str().unwrap_or_default().split(',');
        if !named.map(str::trim).any(|name| name.as_bytes() == now.as_bytes()) {
            return Err(Error::PreconditionFailed);
        }
    }
    let done = app.act(&caller, &id, Command::Change(change)).await?;
    let etag = app.hub.read(&id, |room, _| etag(&room.show.details)).await?;
    Ok(([(ETAG, etag)], done).into_response())
}

/// Remove a room with all that happened in it: drafts, and rooms of load tests.
#[utoipa::path(delete, path = "/rooms/{room}", tag = "rooms", responses((status = 204)))]
async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<RoomId>) -> Result<StatusCode, Error> {
    app.look(&caller, &id, Need::Host, |_, _| Ok(())).await?;
    app.hub.remove(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A feed's state at an offset.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct StateBody {
    /// The room's offset.
    offset: Offset,
    /// Server time, Unix ms.
    at: Timestamp,
    /// What a keyframe's `state` holds: the stage, or for staff the backstage.
    state: Picture,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Picture {
    Stage(Box<Stage>),
    Backstage(Box<Backstage>),
}

/// What is on stage now; for staff, what is backstage.
#[utoipa::path(get, path = "/rooms/{room}/state", tag = "rooms", responses((status = 200, body = StateBody)))]
async fn state(State(app): State<App>, caller: Caller, Path(id): Path<RoomId>) -> Result<axum::Json<StateBody>, Error> {
    let look = move |room: &crate::room::Room, now: Timestamp| StateBody {
        offset: room.head,
        at: now,
        state: match caller.is_backstage(room) {
            true => Picture::Backstage(Box::new(room.backstage(now))),
            false => Picture::Stage(Box::new(room.stage())),
        },
    };
    Ok(axum::Json(app.hub.read(&id, look).await?))
}

/// Go on air.
#[utoipa::path(post, path = "/rooms/{room}/start", tag = "rooms", responses((status = 200, body = DoneBody)))]
async fn start(State(app): State<App>, caller: Caller, Path(id): Path<RoomId>) -> Done {
    app.act(&caller, &id, Command::Start(Empty {})).await
}

/// Interrupt the picture; deadlines run on.
#[utoipa::path(post, path = "/rooms/{room}/pause", tag = "rooms", responses((status = 200, body = DoneBody)))]
async fn pause(State(app): State<App>, caller: Caller, Path(id): Path<RoomId>) -> Done {
    app.act(&caller, &id, Command::Pause(Empty {})).await
}

/// Go on after a pause.
#[utoipa::path(post, path = "/rooms/{room}/resume", tag = "rooms", responses((status = 200, body = DoneBody)))]
async fn resume(State(app): State<App>, caller: Caller, Path(id): Path<RoomId>) -> Done {
    app.act(&caller, &id, Command::Resume(Empty {})).await
}

/// End the show in ten seconds, for good.
#[utoipa::path(post, path = "/rooms/{room}/end", tag = "rooms",
    request_body(content = End, example = json!({"grace_ms": 600000, "open_draw": "draw"})),
    responses((status = 200, body = DoneBody)))]
async fn end(State(app): State<App>, caller: Caller, Path(id): Path<RoomId>, Json(end): Json<End>) -> Done {
    app.act(&caller, &id, Command::End(end)).await
}

/// Take the end back, within its ten seconds.
#[utoipa::path(post, path = "/rooms/{room}/undo-end", tag = "rooms", responses((status = 200, body = DoneBody)))]
async fn undo_end(State(app): State<App>, caller: Caller, Path(id): Path<RoomId>) -> Done {
    app.act(&caller, &id, Command::UndoEnd(Empty {})).await
}

/// Load a room once more that broke again and again, after its trouble was seen to. If it breaks again within a
/// minute, it is parked again. For operators.
#[utoipa::path(post, path = "/rooms/{room}/release", tag = "rooms", responses((status = 204)))]
async fn release(State(app): State<App>, caller: Caller, Path(id): Path<RoomId>) -> Result<StatusCode, Error> {
    caller.operator()?;
    app.hub.release(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is different about the copy of a room.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct CopyRoom {
    /// Its name in links; random if absent.
    id: Option<RoomId>,
    /// Its title; the same if absent.
    title: Option<String>,
    /// The announced start, Unix ms; a draft if absent.
    scheduled_at: Option<Timestamp>,
}

/// Run a show again: a new room with the same details, draws and discounts, all of them waiting. A host's copy is
/// theirs, and the answer has their token for it. Codes that were pasted are not copied, since each is given out once.
#[utoipa::path(post, path = "/rooms/{room}/copy", tag = "rooms", request_body = CopyRoom,
    responses((status = 201, body = CreatedRoom)))]
async fn copy(
    State(app): State<App>,
    caller: Caller,
    client: Client,
    Path(id): Path<RoomId>,
    Json(copy): Json<CopyRoom>,
) -> Result<(StatusCode, axum::Json<CreatedRoom>), Error> {
    let look = |room: &crate::room::Room, _| Ok((room.show.details.clone(), prepared(room)));
    let (mut details, prepared) = app.look(&caller, &id, Need::Host, look).await?;
    details.title = copy.title.unwrap_or(details.title);
    details.scheduled_at = copy.scheduled_at;
    let new = match copy.id {
        Some(new) if details.access == Access::Public || details.test || looks_random(&new) => new,
        Some(_) => return Err(Error::field("id", "can be chosen for public rooms only")),
        None => RoomId::random(&mut super::luck()),
    };
    let actor = caller.actor(&id)?;
    let created = match actor {
        Actor::Staff(host) => make_for(&app, host, &client, new.clone(), details).await?,
        _ => make(&app, &caller, &client, new.clone(), details).await?,
    };
    for prepare in prepared {
        app.hub.command(&new, actor.clone(), prepare).await?;
    }
    Ok((StatusCode::CREATED, axum::Json(created)))
}

/// Makes a room whose host is the one of another.
async fn make_for(
    app: &App,
    host: PersonId,
    client: &Client,
    room: RoomId,
    details: Details,
) -> Result<CreatedRoom, Error> {
    let now = app.clock.now();
    app.copies.0.check(&host, now)?;
    app.copies.0.note(host, now);
    let create = Command::CreateFor(CreateFor { details, host });
    let done = app.hub.command(&room, Actor::Server, create).await?;
    Ok(CreatedRoom {
        after: done.after,
        links: Links::of(app, client, &room)?,
        invitation: None,
        token: Some(TokenBody::new(app.auth.staff_token(&room, host, now), host)),
        room,
    })
}

/// Shows that hosts ran again, by host: a room lasts, so not as many as a program can ask for.
#[derive(Debug)]
pub(in crate::http) struct Copies(Tries<PersonId>);

impl Default for Copies {
    fn default() -> Self {
        Self(Tries::new(COPIES_MAX, 3_600_000))
    }
}

/// The commands that prepare again what was prepared, opened or not. Times of day do not come along: they are
/// of the first show.
fn prepared(room: &crate::room::Room) -> Vec<Command> {
    let draws = room.draws.prepares().into_iter().map(Command::PrepareDraw);
    let discounts = room.discounts.prepares().into_iter().map(|mut prepare| {
        prepare.terms.use_before = None;
        if let Closes::At(_) = prepare.terms.closes {
            prepare.terms.closes = Closes::WithShow;
        }
        Command::PrepareDiscount(prepare)
    });
    draws.chain(discounts).collect()
}

//! Lucky draws.

use std::collections::{BTreeMap, HashMap};

use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{Caller, Done, DoneBody};
use super::table::Table;
use super::time_text;
use crate::http::App;
use crate::http::error::Error;
use crate::http::extract::{Json, Path};
use crate::room::draw::{ById, Cancel, Card, MarkSent, Prepare, Rules, Strike, WinnerRow};
use crate::room::fair;
use crate::room::staff::Need;
use crate::room::stage::PreparedDraw;
use crate::room::{Command, Key, Refusal, Room, RoomId, Timestamp};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(prepare, remove))
        .routes(routes!(open))
        .routes(routes!(lock))
        .routes(routes!(cancel))
        .routes(routes!(redraw))
        .routes(routes!(strike))
        .routes(routes!(transcript))
        .routes(routes!(winners))
        .routes(routes!(winners_table))
        .routes(routes!(mark_sent))
}

/// The draws of a room.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Draws {
    /// Those that were opened, as the stage shows them, newest last.
    opened: Vec<Card>,
    /// For staff: those that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
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
    request_body(content = Rules, example = json!({
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

/// Transcripts that were made lately, as JSON: making one hashes every entry.
#[derive(Default)]
pub(in crate::http) struct Transcripts(Mutex<HashMap<(RoomId, Key), (Timestamp, Bytes)>>);

/// How long a transcript is given out before it is made anew.
const TRANSCRIPT_MS: u64 = 2_000;
/// How long it is kept after that: where it has not changed, those who still read the former one share it.
const TRANSCRIPT_KEPT_MS: u64 = 300_000;
/// Transcripts kept: one of 5,000 entries has 350 kB.
const TRANSCRIPTS_MAX: usize = 16;

impl Transcripts {
    /// One is made at a time: who comes meanwhile waits for the same.
    async fn of(&self, app: &App, room: &RoomId, draw: &Key) -> Result<Bytes, Error> {
        let mut kept = self.0.lock().await;
        let now = app.clock.now();
        kept.retain(|_, (made_at, _)| now < made_at.plus(TRANSCRIPT_KEPT_MS));
        let name = (room.clone(), draw.clone());
        let former = kept.get(&name).cloned();
        if let Some((made_at, text)) = &former
            && now < made_at.plus(TRANSCRIPT_MS)
        {
            return Ok(text.clone());
        }
        let wanted = draw.clone();
        let transcript = app.hub.read(room, move |room, _| room.transcript(&wanted)).await?;
        let transcript = transcript.ok_or(Refusal::UnknownDraw)?;
        let made = Bytes::from(serde_json::to_vec(&transcript).expect("texts and numbers"));
        let unchanged = former.map(|(_, text)| text).filter(|text| *text == made);
        let text = unchanged.unwrap_or(made);
        kept.insert(name, (now, text.clone()));
        if kept.len() > TRANSCRIPTS_MAX {
            let oldest = kept.iter().min_by_key(|(_, (made_at, _))| *made_at);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                kept.remove(&oldest);
            }
        }
        Ok(text)
    }
}

/// Download what is public of a draw that was opened: with winners and seed after the reveal, and for everybody
/// to verify.
#[utoipa::path(get, path = "/rooms/{room}/draws/{draw}/transcript", tag = "draws",
    responses((status = 200, body = fair::Transcript)))]
async fn transcript(State(app): State<App>, Path((room, draw)): Path<(RoomId, Key)>) -> Result<Response, Error> {
    let text = app.transcripts.of(&app, &room, &draw).await?;
    let headers = [
        (CONTENT_TYPE, "application/json".to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"{room}-{draw}.json\""),
        ),
    ];
    Ok((headers, text).into_response())
}

/// The winners of a draw.
#[derive(Clone, Serialize, ToSchema)]
struct Winners {
    /// By entry; those whose prizes were drawn again are among them.
    winners: Vec<Winner>,
}

/// A winner, as the host's list shows them.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = PrizeWinner)]
struct Winner {
    /// The entry that won.
    entry: u32,
    /// The viewer's number in the room.
    viewer: u32,
    /// Their name.
    name: String,
    /// Until when they may claim, Unix ms.
    claim_until: u64,
    /// When they claimed, Unix ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_at: Option<u64>,
    /// Their prize code, to compare with the one they show.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// What they filled in.
    contact: BTreeMap<String, String>,
    /// The prize was sent.
    sent: bool,
    /// It was drawn again because it was not claimed in time.
    redrawn: bool,
}

/// List the winners of a draw, with what they filled in: for the host alone.
#[utoipa::path(get, path = "/rooms/{room}/draws/{draw}/winners", tag = "draws",
    responses((status = 200, body = Winners)))]
async fn winners(
    State(app): State<App>,
    caller: Caller,
    Path((room, draw)): Path<(RoomId, Key)>,
) -> Result<axum::Json<Winners>, Error> {
    let winners = winners_of(&app, &caller, &room, &draw).await?;
    Ok(axum::Json(Winners { winners }))
}

async fn winners_of(app: &App, caller: &Caller, room: &RoomId, draw: &Key) -> Result<Vec<Winner>, Error> {
    let wanted = draw.clone();
    let look = move |room: &Room, _| room.winners(&wanted).ok_or(Refusal::UnknownDraw);
    let rows = app.look(caller, room, Need::Host, look).await?;
    let contacts: HashMap<_, _> = app.hub.contacts(room, draw).await?.into_iter().collect();
    let winner = |row: WinnerRow| {
        let contact = contacts.get(&row.entry).map(|contact| serde_json::from_slice(contact));
        let contact = contact.transpose().map_err(|error| {
            tracing::error!(%room, %draw, entry = row.entry, %error, "contact details cannot be read");
            Error::Internal
        })?;
        Ok(Winner {
            entry: row.entry,
            viewer: row.viewer.0,
            name: row.name.0,
            claim_until: row.claim_until.0,
            claimed_at: row.claimed_at.map(|at| at.0),
            code: row.code,
            contact: contact.unwrap_or_default(),
            sent: row.sent,
            redrawn: row.redrawn,
        })
    };
    rows.into_iter().map(winner).collect()
}

/// Download the winners of a draw, with what they filled in: for the host alone.
#[utoipa::path(get, path = "/rooms/{room}/draws/{draw}/winners.csv", tag = "draws",
    responses((status = 200, body = String, content_type = "text/csv")))]
async fn winners_table(
    State(app): State<App>,
    caller: Caller,
    Path((room, draw)): Path<(RoomId, Key)>,
) -> Result<Table, Error> {
    const ASKED: [&str; 5] = ["name", "phone", "address", "email", "note"];
    let known = [
        "entry",
        "nickname",
        "claim_until",
        "claimed_at",
        "code",
        "sent",
        "redrawn",
    ];
    let mut table = Table::new(format!("{room}-{draw}-winners"), &[&known[..], &ASKED].concat());
    for mut winner in winners_of(&app, &caller, &room, &draw).await? {
        let mut cells = vec![
            winner.entry.to_string(),
            winner.name,
            time_text(winner.claim_until),
            winner.claimed_at.map(time_text).unwrap_or_default(),
            winner.code.unwrap_or_default(),
            winner.sent.to_string(),
            winner.redrawn.to_string(),
        ];
        cells.extend(
            ASKED
                .iter()
                .map(|asked| winner.contact.remove(*asked).unwrap_or_default()),
        );
        table.row(&cells);
    }
    Ok(table)
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

//! Discounts, their codes and claims, and redeeming.

use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{Caller, Done, DoneBody};
use super::table::{self, Table};
use super::time_text;
use crate::http::App;
use crate::http::BODY_BYTES_MAX;
use crate::http::error::Error;
use crate::http::extract::{Json, Path, Query, body};
use crate::room::discount::{
    AddCodes, ById, CODES_PER_COMMAND, Card, ClaimRow, CodeSource, Prepare, Redeem, Redemption, Terms,
};
use crate::room::staff::Need;
use crate::room::stage::{DiscountSummary, PreparedDiscount};
use crate::room::{Answer, Command, Key, Refusal, Room, RoomId, Timestamp};

/// Claims in one page unless told otherwise.
const PAGE_DEFAULT: usize = 500;
/// Most claims in one page.
const PAGE_MAX: usize = 5_000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(prepare, remove))
        .routes(routes!(open))
        .routes(routes!(close))
        .routes(routes!(add_codes))
        .routes(routes!(codes))
        .routes(routes!(claims))
        .routes(routes!(claims_table))
        .routes(routes!(redeem))
        .routes(routes!(check))
}

/// The discounts of a room.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Discounts {
    /// Those on stage, newest last.
    opened: Vec<Card>,
    /// For staff: those that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    prepared: Option<Vec<PreparedDiscount>>,
    /// For staff: claims and redemptions of each that was opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    numbers: Option<Vec<DiscountSummary>>,
}

/// List the discounts of a room.
#[utoipa::path(get, path = "/rooms/{room}/discounts", tag = "discounts", responses((status = 200, body = Discounts)))]
async fn list(State(app): State<App>, caller: Caller, Path(id): Path<RoomId>) -> Result<axum::Json<Discounts>, Error> {
    let look = move |room: &Room, now: Timestamp| {
        let backstage = caller.is_backstage(room).then(|| room.backstage(now));
        let (prepared, numbers) = backstage
            .map(|staff| (staff.discounts, staff.summary.discounts))
            .unzip();
        Discounts {
            opened: room.stage().discounts,
            prepared,
            numbers,
        }
    };
    Ok(axum::Json(app.hub.read(&id, look).await?))
}

/// What a discount offers, and where its codes come from.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PrepareDiscount {
    /// What is offered.
    #[schema(example = json!({
        "title": "15 % off everything", "off": {"percent": 15}, "quota": 500, "closes": {"after_ms": 300000}
    }))]
    terms: Terms,
    /// `{"generated":{}}`, `{"pasted":{}}` or `{"shared":{"code":"AUTUMN"}}`.
    #[schema(example = json!({"generated": {}}))]
    codes: CodeSource,
}

/// Prepare a discount, or change one that is not open yet.
#[utoipa::path(put, path = "/rooms/{room}/discounts/{discount}", tag = "discounts", request_body = PrepareDiscount,
    responses((status = 200, body = DoneBody)))]
async fn prepare(
    State(app): State<App>,
    caller: Caller,
    Path((room, id)): Path<(RoomId, Key)>,
    Json(PrepareDiscount { terms, codes }): Json<PrepareDiscount>,
) -> Done {
    let prepare = Prepare { id, terms, codes };
    app.act(&caller, &room, Command::PrepareDiscount(prepare)).await
}

/// Take a discount out that was not opened.
#[utoipa::path(delete, path = "/rooms/{room}/discounts/{discount}", tag = "discounts",
    responses((status = 200, body = DoneBody)))]
async fn remove(State(app): State<App>, caller: Caller, Path((room, discount)): Path<(RoomId, Key)>) -> Done {
    app.act(&caller, &room, Command::RemoveDiscount(ById { discount }))
        .await
}

/// Open a discount: claims begin.
#[utoipa::path(post, path = "/rooms/{room}/discounts/{discount}/open", tag = "discounts",
    responses((status = 200, body = DoneBody)))]
async fn open(State(app): State<App>, caller: Caller, Path((room, discount)): Path<(RoomId, Key)>) -> Done {
    app.act(&caller, &room, Command::OpenDiscount(ById { discount })).await
}

/// Close a discount's claims before their time. Codes that were claimed stay good.
#[utoipa::path(post, path = "/rooms/{room}/discounts/{discount}/close", tag = "discounts",
    responses((status = 200, body = DoneBody)))]
async fn close(State(app): State<App>, caller: Caller, Path((room, discount)): Path<(RoomId, Key)>) -> Done {
    app.act(&caller, &room, Command::CloseDiscount(ById { discount })).await
}

/// What became of a pasted list.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct Added {
    /// Codes in the list; those that the discount had already are among them.
    codes: usize,
}

/// Add codes of the shop: a CSV whose first column they are, or one a line. At most 1 MB; send more in parts.
/// The same again does no harm.
#[utoipa::path(post, path = "/rooms/{room}/discounts/{discount}/codes", tag = "discounts",
    request_body(content = String, content_type = "text/csv"), responses((status = 200, body = Added)))]
async fn add_codes(
    State(app): State<App>,
    caller: Caller,
    Path((room, discount)): Path<(RoomId, Key)>,
    request: Request,
) -> Result<axum::Json<Added>, Error> {
    app.look(&caller, &room, Need::Actions, |_, _| Ok(())).await?;
    let pasted = body(request, table::KINDS, BODY_BYTES_MAX).await?;
    let codes = table::first_column(&pasted)?;
    for chunk in codes.chunks(CODES_PER_COMMAND) {
        let add = AddCodes {
            discount: discount.clone(),
            codes: chunk.to_vec(),
        };
        app.ask(&caller, &room, Command::AddCodes(add)).await?;
    }
    Ok(axum::Json(Added { codes: codes.len() }))
}

/// Download all codes of a discount, for the shop: for the host alone.
#[utoipa::path(get, path = "/rooms/{room}/discounts/{discount}/codes.csv", tag = "discounts",
    responses((status = 200, body = String, content_type = "text/csv")))]
async fn codes(
    State(app): State<App>,
    caller: Caller,
    Path((id, discount)): Path<(RoomId, Key)>,
) -> Result<Table, Error> {
    let name = format!("{id}-{discount}-codes");
    let look = move |room: &Room, _| room.discounts.codes(&discount).ok_or(Refusal::UnknownDiscount);
    let codes = app.look(&caller, &id, Need::Host, look).await?;
    let mut table = Table::plain(name, &["code"]);
    codes.iter().for_each(|code| table.row(&[code]));
    Ok(table)
}

#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// So many claims are passed over: the last page's `next`.
    after: usize,
    /// At most so many: 500 if absent, 5,000 at most.
    limit: Option<usize>,
}

/// A page of claims.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Claims {
    /// In the order in which they were made.
    claims: Vec<Claim>,
    /// All there are.
    total: usize,
    /// `after` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<usize>,
}

/// A claim, as the host's list shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Claim {
    /// The viewer's number in the room.
    viewer: u32,
    /// Their name.
    name: String,
    /// Their n-th.
    unit: u32,
    /// The code.
    code: String,
    /// When, Unix ms.
    at: u64,
    /// The shop's order for which it was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<String>,
    /// When it was used, Unix ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_at: Option<u64>,
}

impl From<ClaimRow> for Claim {
    fn from(row: ClaimRow) -> Self {
        let (order, used_at) = row.used.map(|used| (used.order, used.at.0)).unzip();
        Self {
            viewer: row.viewer.0,
            name: row.name.0,
            unit: row.unit,
            code: row.code,
            at: row.at.0,
            order,
            used_at,
        }
    }
}

/// List the claims of a discount, with their codes: for the host alone.
#[utoipa::path(get, path = "/rooms/{room}/discounts/{discount}/claims", tag = "discounts", params(Page),
    responses((status = 200, body = Claims)))]
async fn claims(
    State(app): State<App>,
    caller: Caller,
    Path((id, discount)): Path<(RoomId, Key)>,
    Query(page): Query<Page>,
) -> Result<axum::Json<Claims>, Error> {
    let limit = page.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Error::field("limit", "is not from 1 to 5,000"));
    }
    Ok(axum::Json(
        page_of(&app, &caller, &id, discount, page.after, limit).await?,
    ))
}

async fn page_of(
    app: &App,
    caller: &Caller,
    id: &RoomId,
    discount: Key,
    after: usize,
    limit: usize,
) -> Result<Claims, Error> {
    let look = move |room: &Room, _: Timestamp| {
        let rows = room.discounts.claims(room, &discount).ok_or(Refusal::UnknownDiscount)?;
        let total = rows.len();
        let claims: Vec<Claim> = rows.skip(after).take(limit).map(Claim::from).collect();
        let reached = after.saturating_add(claims.len());
        Ok(Claims {
            claims,
            total,
            next: (reached < total).then_some(reached),
        })
    };
    app.look(caller, id, Need::Host, look).await
}

/// Download the claims of a discount, with their codes: for the host alone.
#[utoipa::path(get, path = "/rooms/{room}/discounts/{discount}/claims.csv", tag = "discounts",
    responses((status = 200, body = String, content_type = "text/csv")))]
async fn claims_table(
    State(app): State<App>,
    caller: Caller,
    Path((id, discount)): Path<(RoomId, Key)>,
) -> Result<Table, Error> {
    let head = ["viewer", "name", "unit", "code", "claimed_at", "order", "used_at"];
    let mut table = Table::new(format!("{id}-{discount}-claims"), &head);
    let mut after = Some(0);
    while let Some(from) = after {
        let page = page_of(&app, &caller, &id, discount.clone(), from, PAGE_MAX).await?;
        after = page.next;
        for claim in page.claims {
            table.row(&[
                claim.viewer.to_string(),
                claim.name,
                claim.unit.to_string(),
                claim.code,
                time_text(claim.at),
                claim.order.unwrap_or_default(),
                claim.used_at.map(time_text).unwrap_or_default(),
            ]);
        }
    }
    Ok(table)
}

/// A code that a buyer typed into the shop's checkout.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RedeemCode {
    /// Any case, with or without dashes and blanks.
    code: String,
    /// The shop's order, 1-64 characters: the same order again gets the first answer.
    order: String,
}

/// What became of a code.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Outcome {
    /// `outcome` is `ok`, `expired`, `unknown`, `already_used` or `not_live`; with `ok` stand `discount` and `off`.
    #[serde(flatten)]
    redemption: Redemption,
}

/// Use a code for an order.
#[utoipa::path(post, path = "/rooms/{room}/redeem", tag = "discounts", request_body = RedeemCode,
    responses((status = 200, body = Outcome)))]
async fn redeem(
    State(app): State<App>,
    caller: Caller,
    Path(room): Path<RoomId>,
    Json(RedeemCode { code, order }): Json<RedeemCode>,
) -> Result<axum::Json<Outcome>, Error> {
    let order = Some(order);
    redemption(&app, &caller, &room, Redeem { code, order }).await
}

/// A code to be looked at.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CheckCode {
    /// Any case, with or without dashes and blanks.
    code: String,
}

/// Ask whether a code could be used; nothing happens.
#[utoipa::path(post, path = "/rooms/{room}/check", tag = "discounts", request_body = CheckCode,
    responses((status = 200, body = Outcome)))]
async fn check(
    State(app): State<App>,
    caller: Caller,
    Path(room): Path<RoomId>,
    Json(CheckCode { code }): Json<CheckCode>,
) -> Result<axum::Json<Outcome>, Error> {
    redemption(&app, &caller, &room, Redeem { code, order: None }).await
}

async fn redemption(app: &App, caller: &Caller, room: &RoomId, redeem: Redeem) -> Result<axum::Json<Outcome>, Error> {
    match app.ask(caller, room, Command::Redeem(redeem)).await? {
        Answer::Redemption(redemption) => Ok(axum::Json(Outcome { redemption })),
        other => Err(super::unexpected(&other)),
    }
}

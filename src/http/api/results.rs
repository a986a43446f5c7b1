//! The numbers of a show.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Caller;
use super::table::Table;
use super::time_text;
use crate::auth::BadToken;
use crate::http::App;
use crate::http::error::Error;
use crate::http::extract::Path;
use crate::room::discount::Off;
use crate::room::show::State as ShowState;
use crate::room::stage::Summary;
use crate::room::{Refusal, Room, RoomId, Timestamp};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(results))
        .routes(routes!(results_table))
}

/// The numbers of a show.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Results {
    /// The room.
    room: RoomId,
    /// The show's title.
    title: String,
    /// The show has ended: the numbers are final, but for prize claims and late redemptions.
    ended: bool,
    /// The numbers, as the stage shows them after the end.
    summary: Summary,
}

/// Read a show's numbers: everybody after its end, staff at any time.
#[utoipa::path(get, path = "/rooms/{room}/results", tag = "results", responses((status = 200, body = Results)))]
async fn results(State(app): State<App>, caller: Caller, Path(id): Path<RoomId>) -> Result<axum::Json<Results>, Error> {
    Ok(axum::Json(read(&app, caller, &id).await?))
}

async fn read(app: &App, caller: Caller, id: &RoomId) -> Result<Results, Error> {
    let look = move |room: &Room, now: Timestamp| -> Result<_, Error> {
        let ended = room.show.state() == ShowState::Ended;
        if !ended && !caller.is_backstage(room) {
            return Err(match caller.0 {
                None => BadToken.into(),
                Some(_) => Refusal::NotAllowed.into(),
            });
        }
        Ok(Results {
            room: room.id.clone(),
            title: room.show.details.title.clone(),
            ended,
            summary: room.summary(if ended { room.at } else { now }),
        })
    };
    app.hub.read(id, look).await?
}

/// Download a show's numbers as a table of subject, number and unit.
#[utoipa::path(get, path = "/rooms/{room}/results.csv", tag = "results",
    responses((status = 200, body = String, content_type = "text/csv")))]
async fn results_table(State(app): State<App>, caller: Caller, Path(id): Path<RoomId>) -> Result<Table, Error> {
    Ok(table(&read(&app, caller, &id).await?))
}

fn table(results: &Results) -> Table {
    let summary = &results.summary;
    let mut table = Table::new(
        format!("{}-results", results.room),
        &["subject", "name", "number", "of", "unit"],
    );
    let mut row = |subject: &str, name: &str, number: String, of: String, unit: &str| {
        table.row(&[subject, name, &number, &of, unit]);
    };
    let none = String::new;
    row("show", &results.title, none(), none(), "");
    row("live time", "", summary.live_ms.to_string(), none(), "ms");
    row("viewers", "", summary.viewers.to_string(), none(), "viewers");
    if let Some(peak) = summary.peak {
        row(
            "peak",
            &time_text(peak.at.0),
            peak.viewers.to_string(),
            none(),
            "viewers at once",
        );
    }
    row("comments", "", summary.comments.to_string(), none(), "comments");
    row("likes", "", summary.likes.to_string(), none(), "likes");
    row(
        "watch time",
        "",
        summary.watched_ms.to_string(),
        none(),
        "ms of all viewers together",
    );
    for discount in &summary.discounts {
        let name = format!("{} ({})", discount.title, off_text(&discount.off));
        let (claimed, quota) = (discount.claimed.to_string(), discount.quota.to_string());
        row("discount claimed", &name, claimed.clone(), quota, "claims of quota");
        row(
            "discount redeemed",
            &name,
            discount.redeemed.to_string(),
            claimed,
            "redemptions of claims",
        );
    }
    for draw in &summary.draws {
        let winners = draw.won.to_string();
        let entries = draw.entries.to_string();
        let what = if draw.cancelled { "draw (cancelled)" } else { "draw" };
        row(what, &draw.prize, winners.clone(), entries, "winners of entries");
        row(
            "prizes claimed",
            &draw.prize,
            draw.claimed.to_string(),
            winners,
            "claims of winners",
        );
    }
    table
}

fn off_text(off: &Off) -> String {
    match off {
        Off::Percent(percent) => format!("{percent} % off"),
        Off::Amount { minor, currency } => format!("{minor} minor units of {currency} off"),
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;
    use crate::room::Key;
    use crate::room::stage::{DiscountSummary, DrawSummary, Peak};

    #[tokio::test]
    async fn a_table_names_what_each_number_is_of() {
        let results = Results {
            room: RoomId::new("lipsticks").unwrap(),
            title: "=HYPERLINK(\"http://evil.example\")".to_owned(),
            ended: true,
            summary: Summary {
                viewers: 1_363,
                peak: Some(Peak {
                    viewers: 900,
                    at: Timestamp(1_790_000_000_000),
                }),
                discounts: vec![DiscountSummary {
                    id: Key::new("ten").unwrap(),
                    title: "Ten".to_owned(),
                    off: Off::Percent(10),
                    claimed: 500,
                    redeemed: 120,
                    quota: 500,
                }],
                draws: vec![DrawSummary {
                    id: Key::new("gift").unwrap(),
                    prize: "Lipstick".to_owned(),
                    entries: 900,
                    // Not all winners' names stand in a summary.
                    winners: Vec::new(),
                    won: 150,
                    claimed: 90,
                    cancelled: false,
                }],
                ..Summary::default()
            },
        };
        let body = table(&results).into_response().into_body();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.contains("'=HYPERLINK"), "{text}");
        assert!(
            text.contains("\r\npeak,2026-09-21T14:13:20Z,900,,viewers at once\r\n"),
            "{text}"
        );
        assert!(
            text.contains("\r\ndiscount redeemed,Ten (10 % off),120,500,redemptions of claims\r\n"),
            "{text}"
        );
        assert!(
            text.contains("draw,Lipstick,150,900,winners of entries\r\nprizes claimed,Lipstick,90,150,"),
            "{text}"
        );
    }
}

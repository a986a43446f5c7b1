//! Keep on another device: a code that carries a viewer over to another browser, once, within minutes.

use std::collections::HashMap;
use std::net::IpAddr;

use axum::extract::State;
use axum::http::StatusCode;
use parking_lot::Mutex;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Caller;
use super::links::Links;
use super::sign_in::Code;
use super::tries::Tries;
use crate::auth::{BadToken, Identity};
use crate::config::counted;
use crate::http::App;
use crate::http::client::Client;
use crate::http::error::Error;
use crate::http::extract::{Json, Path};
use crate::room::{Luck, Refusal, RoomId, Timestamp, ViewerId};

/// How long a code can be used.
const VALID_MS: u64 = 10 * 60_000;
/// Eight digits: what a person carries over in the head.
const CODES: u64 = 100_000_000;
/// Codes that are open at once.
const OPEN_MAX: usize = 2_000;
/// Codes that one address (IPv6: /64) may make in [`VALID_MS`].
const MADE_MAX: u32 = 60;
/// Wrong codes over all addresses in a minute; one address is stopped sooner ([`super::Guesses`]). With all codes
/// open a guess is right once in 50,000, so that guessers from ever so many addresses take 14 hours for one.
const WRONG_MAX: u32 = 60;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(make)).routes(routes!(exchange))
}

/// The open codes, in memory: those lost at a restart would soon have ended, and the viewer, whose first device
/// still has all, makes another.
#[derive(Debug)]
pub(in crate::http) struct Handovers {
    open: Mutex<HashMap<u64, Open>>,
    made: Tries<IpAddr>,
    wrong: Tries<()>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    viewer: ViewerId,
    until: Timestamp,
}

impl Default for Handovers {
    fn default() -> Self {
        Self {
            open: Mutex::default(),
            made: Tries::new(MADE_MAX, VALID_MS),
            wrong: Tries::new(WRONG_MAX, 60_000),
        }
    }
}

impl Handovers {
    /// A code for the viewer, and until when; the one before is worth nothing any more.
    fn make(&self, viewer: ViewerId, now: Timestamp, luck: &mut Luck) -> Result<(u64, Timestamp), Error> {
        let mut open = self.open.lock();
        open.retain(|_, other| now < other.until && other.viewer != viewer);
        if open.len() >= OPEN_MAX {
            let max = OPEN_MAX as u64;
            return Err(Refusal::Full { what: "codes", max }.into());
        }
        let code = std::iter::repeat_with(|| luck.below(CODES)).find(|code| !open.contains_key(code));
        let code = code.expect("far fewer are open than there are");
        let until = now.plus(VALID_MS);
        open.insert(code, Open { viewer, until });
        Ok((code, until))
    }

    /// Uses a code.
    fn take(&self, code: &str, now: Timestamp) -> Option<ViewerId> {
        let digits: String = code.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        let eight = digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_digit());
        let code = digits.parse().ok().filter(|_| eight)?;
        let open = self.open.lock().remove(&code)?;
        (now < open.until).then_some(open.viewer)
    }
}

/// A code that carries a viewer over.
#[derive(Clone, Serialize, ToSchema)]
struct Handover {
    /// Eight digits, to be typed.
    code: String,
    /// The room's page with the code in its fragment.
    link: String,
    /// Until when, Unix ms.
    #[schema(value_type = u64)]
    expires_at: Timestamp,
}

/// Make a code that carries the caller, a viewer, over to another browser: once, within ten minutes. A viewer whom
/// the store's own token identifies is not carried over: the store signs them in there.
#[utoipa::path(post, path = "/rooms/{room}/handover", tag = "viewers", responses((status = 201, body = Handover)))]
async fn make(
    State(app): State<App>,
    caller: Caller,
    client: Client,
    Path(room): Path<RoomId>,
) -> Result<(StatusCode, axum::Json<Handover>), Error> {
    let viewer = match caller.0.ok_or(BadToken)? {
        Identity::Viewer { id, store: false, .. } => id,
        _ => return Err(Refusal::NotAllowed.into()),
    };
    let now = app.clock.now();
    let address = counted(client.address);
    app.handovers.made.check(&address, now)?;
    app.handovers.made.note(address, now);
    let links = Links::of(&app, &client, &room)?;
    let (code, expires_at) = app.handovers.make(viewer, now, &mut super::luck())?;
    let code = format!("{code:08}");
    let link = links.handover(&code);
    Ok((StatusCode::CREATED, axum::Json(Handover { code, link, expires_at })))
}

/// A viewer's token: keep it, and send it in `hello`.
#[derive(Clone, Serialize, ToSchema)]
struct ViewerToken {
    /// The token.
    token: String,
    /// The lasting identity.
    #[schema(value_type = String)]
    viewer: ViewerId,
}

/// Exchange a code from another device, once, for the token of the viewer there.
#[utoipa::path(post, path = "/handover", tag = "viewers", request_body = Code,
    responses((status = 200, body = ViewerToken)))]
async fn exchange(
    State(app): State<App>,
    client: Client,
    Json(Code { code }): Json<Code>,
) -> Result<axum::Json<ViewerToken>, Error> {
    let now = app.clock.now();
    app.guesses.check(client.address, now)?;
    app.handovers.wrong.check(&(), now)?;
    let Some(viewer) = app.handovers.take(&code, now) else {
        app.guesses.note(client.address, now);
        app.handovers.wrong.note((), now);
        return Err(Error::UnknownCode);
    };
    let token = app.auth.viewer_token(viewer, now);
    Ok(axum::Json(ViewerToken { token, viewer }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);
    const ANN: ViewerId = ViewerId(1);

    fn make(handovers: &Handovers, viewer: ViewerId, now: Timestamp) -> Result<String, Error> {
        let (code, _) = handovers.make(viewer, now, &mut Luck::new([(now.0 % 251) as u8; 32]))?;
        Ok(format!("{code:08}"))
    }

    #[test]
    fn a_code_is_good_once_and_however_it_is_grouped() {
        let handovers = Handovers::default();
        let code = make(&handovers, ANN, NOW).unwrap();
        let typed = format!(" {}-{} ", &code[..4], &code[4..]);
        assert_eq!(handovers.take(&typed, NOW), Some(ANN));
        assert_eq!(handovers.take(&code, NOW), None);
    }

    #[test]
    fn a_code_ends_after_ten_minutes_and_with_the_next_one() {
        let handovers = Handovers::default();
        let first = make(&handovers, ANN, NOW).unwrap();
        let second = make(&handovers, ANN, NOW.plus(1)).unwrap();
        assert_eq!(handovers.take(&first, NOW.plus(1)), None);
        assert_eq!(handovers.take(&second, NOW.plus(1 + VALID_MS)), None);
        let third = make(&handovers, ANN, NOW).unwrap();
        assert_eq!(handovers.take(&third, NOW.plus(VALID_MS - 1)), Some(ANN));
    }

    #[test]
    fn what_is_no_code_is_none() {
        let handovers = Handovers::default();
        handovers.open.lock().insert(
            7,
            Open {
                viewer: ANN,
                until: NOW.plus(1),
            },
        );
        for text in ["", "7", "0000007", "000000007", "+0000007", "0000000７", "0x000007"] {
            assert_eq!(handovers.take(text, NOW), None, "{text}");
        }
        assert_eq!(handovers.take("00000007", NOW), Some(ANN));
    }

    #[test]
    fn open_codes_are_bounded_and_make_room_when_they_end() {
        let handovers = Handovers::default();
        for viewer in 0..OPEN_MAX as u128 {
            handovers
                .make(ViewerId(viewer), NOW, &mut super::super::luck())
                .unwrap();
        }
        let full = make(&handovers, ViewerId(9_999), NOW).map_err(|error| error.code());
        assert_eq!(full, Err("full"));
        assert!(make(&handovers, ViewerId(3), NOW).is_ok(), "instead of their own");
        assert!(make(&handovers, ViewerId(9_999), NOW.plus(VALID_MS)).is_ok());
    }
}

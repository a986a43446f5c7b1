//! Where a room's pages are, as links and as QR codes.

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use fast_qr::QRBuilder;
use fast_qr::convert::Builder;
use fast_qr::convert::svg::SvgBuilder;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::Origin;
use crate::http::App;
use crate::http::client::Client;
use crate::http::error::Error;
use crate::http::extract::{Path, Query};
use crate::room::RoomId;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(share)).routes(routes!(qr))
}

/// Where a room's pages are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Links {
    /// The viewers' page.
    viewer: String,
    /// The control page.
    control: String,
}

impl Links {
    /// Under the public URL, else under the address at which the client sees us.
    pub(super) fn of(app: &App, client: &Client, room: &RoomId) -> Result<Self, Error> {
        Ok(Self::under(&origin(app, client)?, room))
    }

    fn under(origin: &Origin, room: &RoomId) -> Self {
        Self {
            viewer: format!("{origin}/r/{room}"),
            control: format!("{origin}/c/{room}"),
        }
    }

    /// The link that carries a viewer over to another browser, likewise.
    pub(super) fn handover(&self, code: &str) -> String {
        format!("{}#keep={code}", self.viewer)
    }

    /// The link that an invitation is sent as. The code is in the fragment, which no server ever sees.
    pub(super) fn invitation(&self, code: &str) -> String {
        format!("{}#invite={code}", self.control)
    }
}

/// Our own origin in links.
pub(super) fn origin(app: &App, client: &Client) -> Result<Origin, Error> {
    let origin = client.page_origin(&app.config);
    origin.ok_or_else(|| Error::field("Host", "is missing or is no host"))
}

/// How a room is shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct Share {
    /// Where its pages are.
    #[serde(flatten)]
    links: Links,
    /// The links work on this machine only.
    loopback: bool,
    /// What to do about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// Links to a room's pages, and whether other devices can open them.
#[utoipa::path(get, path = "/rooms/{room}/share", tag = "rooms", responses((status = 200, body = Share)))]
async fn share(State(app): State<App>, client: Client, Path(room): Path<RoomId>) -> Result<axum::Json<Share>, Error> {
    app.hub.read(&room, |_, _| ()).await?;
    let origin = origin(&app, &client)?;
    let loopback = is_loopback(origin.host());
    let hint = loopback.then(|| match app.config.listen.ip().is_loopback() {
        true => format!(
            "Phones cannot reach {}. Start with --listen 0.0.0.0:{} to serve the network.",
            origin.host(),
            app.config.listen.port()
        ),
        false => format!(
            "Phones cannot reach {}. Open this page at the machine's own address in the network.",
            origin.host()
        ),
    });
    Ok(axum::Json(Share {
        links: Links::under(&origin, &room),
        loopback,
        hint,
    }))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<std::net::IpAddr>();
    bare == "localhost" || bare.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// What a QR code leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Page {
    /// The viewers' page.
    #[default]
    Viewer,
    /// The control page.
    Control,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// To which page it leads: `viewer` if absent.
    #[serde(rename = "for")]
    #[param(inline)]
    page: Page,
}

/// A link as a QR code: an SVG, black on white, that scales.
#[utoipa::path(get, path = "/rooms/{room}/qr.svg", tag = "rooms", params(Wanted),
    responses((status = 200, body = String, content_type = "image/svg+xml")))]
async fn qr(
    State(app): State<App>,
    client: Client,
    Path(room): Path<RoomId>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Error> {
    app.hub.read(&room, |_, _| ()).await?;
    let links = Links::of(&app, &client, &room)?;
    let link = match wanted.page {
        Page::Viewer => links.viewer,
        Page::Control => links.control,
    };
    let svg = qr_svg(&link)?;
    let headers = [(CONTENT_TYPE, "image/svg+xml"), (CACHE_CONTROL, "no-cache")];
    Ok((headers, svg).into_response())
}

/// A link as the SVG of its QR code, black on white.
pub(super) fn qr_svg(link: &str) -> Result<String, Error> {
    let code = QRBuilder::new(link).build().map_err(|error| {
        tracing::error!(?error, "a link does not fit into a QR code");
        Error::Internal
    })?;
    Ok(SvgBuilder::default().margin(4).to_str(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_carries_its_code_in_the_fragment() {
        let origin: Origin = "https://live.example".parse().unwrap();
        let links = Links::under(&origin, &RoomId::new("lipsticks").unwrap());
        assert_eq!(links.viewer, "https://live.example/r/lipsticks");
        assert_eq!(links.invitation("abc"), "https://live.example/c/lipsticks#invite=abc");
    }

    #[test]
    fn loopback_addresses_are_told_from_those_of_the_network() {
        for host in ["localhost", "a.localhost", "127.0.0.1", "127.8.8.8", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["192.168.1.7", "localhost.example", "[2001:db8::1]", "127.0.0.1.example"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}

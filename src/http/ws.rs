//! `GET /ws/{room}`: the WebSocket handshake (RFC 6455, 4.2), by hand and strict. What follows is the hub's.

use std::any::Any;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{
    CONNECTION, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::App;
use super::client::Client;
use super::error::{Error, Handshake};
use super::extensions;
use super::places::Visit;
use super::router::refused;
use crate::hub::{self, CommandError, Opened, Stream, Wire};
use crate::protocol::{Close, Encoding};
use crate::room::RoomId;

/// A good handshake, read.
#[derive(Debug, PartialEq, Eq)]
struct Greeting {
    accept: String,
    encoding: Encoding,
    /// The subprotocol is answered only if one was asked for.
    named: bool,
}

/// The handler of the route.
pub(super) async fn open(
    State(app): State<App>,
    Extension(visit): Extension<Arc<Visit>>,
    client: Client,
    request: Request,
) -> Response {
    upgraded(app, visit, client, request).unwrap_or_else(refused)
}

fn upgraded(app: App, visit: Arc<Visit>, client: Client, mut request: Request) -> Result<Response, Error> {
    let greeting = greet(request.method(), request.version(), request.headers())?;
    if !request.body().is_end_stream() || request.headers().contains_key(TRANSFER_ENCODING) {
        return Err(Handshake::Body.into());
    }
    let deflate = match app.config.compression {
        true => extensions::accept(request.headers())?,
        false => None,
    };
    let mut origins = request.headers().get_all(ORIGIN).iter();
    if let Some(origin) = origins.next() {
        let allowed = origin.to_str().is_ok_and(|origin| client.allows(origin, &app.config));
        if !allowed || origins.next().is_some() {
            return Err(Handshake::ForeignOrigin.into());
        }
    }
    if app.draining() {
        return Err(CommandError::Draining.into());
    }
    let room = request.uri().path().strip_prefix("/ws/").and_then(RoomId::new);
    let upgrade = request
        .extensions_mut()
        .remove::<OnUpgrade>()
        .ok_or(Handshake::NoUpgrade)?;
    let place = app.places.join(&visit, client.address);
    let full = place.is_none();
    let (share, unheard, held) = match place {
        Some(place) => {
            let unheard: Arc<dyn Any + Send + Sync> = Arc::new(place.unheard);
            let held: Arc<dyn Any + Send + Sync> = Arc::new(place.held);
            (place.share, Some(unheard), held)
        }
        // While it is told so it has the socket's own place.
        None => (None, None, visit as Arc<dyn Any + Send + Sync>),
    };
    let opened = Opened {
        room,
        wire: Wire {
            encoding: greeting.encoding,
            deflated: deflate.is_some(),
        },
        address: client.address,
        early: Bytes::new(),
        held,
        unheard,
        share,
    };
    tokio::spawn(take_over(app, upgrade, opened, full));
    switching(&greeting, deflate)
}

/// Reads what RFC 6455, 4.2.1 demands.
fn greet(method: &Method, version: Version, headers: &HeaderMap) -> Result<Greeting, Handshake> {
    if method != Method::GET {
        return Err(Handshake::Method);
    }
    if version != Version::HTTP_11 || !names(headers, &CONNECTION, "upgrade") || !names(headers, &UPGRADE, "websocket")
    {
        return Err(Handshake::NoUpgrade);
    }
    if only(headers, &SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(Handshake::Version);
    }
    let key = only(headers, &SEC_WEBSOCKET_KEY).ok_or(Handshake::Key)?;
    if !STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16) {
        return Err(Handshake::Key);
    }
    let asked = tokens(headers, &SEC_WEBSOCKET_PROTOCOL).find_map(|name| {
        let known = |encoding: &Encoding| encoding.subprotocol() == name;
        Encoding::ALL.into_iter().find(known)
    });
    Ok(Greeting {
        accept: derive_accept_key(key.as_bytes()),
        encoding: asked.unwrap_or(Encoding::Json),
        named: asked.is_some(),
    })
}

fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).iter();
    values.flat_map(|value| value.to_str().unwrap_or("").split(',').map(str::trim))
}

fn names(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|named| named.eq_ignore_ascii_case(token))
}

fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn switching(greeting: &Greeting, deflate: Option<&'static str>) -> Result<Response, Error> {
    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, &greeting.accept);
    if greeting.named {
        let subprotocol = HeaderValue::from_static(greeting.encoding.subprotocol());
        response = response.header(SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    if let Some(deflate) = deflate {
        response = response.header(SEC_WEBSOCKET_EXTENSIONS, deflate);
    }
    response.body(Body::empty()).map_err(|error| {
        tracing::error!(%error, "an answer to a handshake cannot be made");
        Error::Internal
    })
}

/// Takes the socket from hyper, of which nothing stays, and gives it to the hub.
async fn take_over(app: App, upgrade: OnUpgrade, mut opened: Opened, full: bool) {
    // A client that is gone before the answer reached it is no event.
    let Ok(upgraded) = upgrade.await else { return };
    let Some((socket, early)) = taken(upgraded) else {
        tracing::error!("an upgraded connection is neither a TCP socket nor TLS over one");
        return;
    };
    // A copy: the slice would pin hyper's whole buffer.
    opened.early = Bytes::copy_from_slice(&early);
    drop(early);
    if full {
        // A page can only be told after the upgrade.
        hub::turn_away(socket, Close::Full).await;
    } else {
        app.hub.serve(socket, opened).await;
    }
}

/// The socket, and what was read of it already.
fn taken(upgraded: Upgraded) -> Option<(Stream, Bytes)> {
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => Some((Stream::Plain(parts.io.into_inner()), parts.read_buf)),
        Err(upgraded) => {
            let parts = upgraded.downcast::<TokioIo<TlsStream<TcpStream>>>().ok()?;
            let (socket, session) = parts.io.into_inner().into_inner();
            Some((Stream::tls(socket, session), parts.read_buf))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455, 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const GOOD: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
    ];

    /// The good handshake with some headers replaced (or, if empty, left out).
    fn greeted(changed: &[(&'static str, &str)]) -> Result<Greeting, Handshake> {
        let mut headers = HeaderMap::new();
        for (name, value) in GOOD.iter().chain(changed) {
            headers.insert(*name, value.parse().expect("a value"));
        }
        for (name, _) in changed.iter().filter(|(_, value)| value.is_empty()) {
            headers.remove(*name);
        }
        greet(&Method::GET, Version::HTTP_11, &headers)
    }

    #[test]
    fn the_handshake_of_the_rfc_is_answered_as_there() {
        let greeting = greeted(&[]).expect("is good");
        assert_eq!(greeting.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!((greeting.encoding, greeting.named), (Encoding::Json, false));
    }

    #[test]
    fn the_first_subprotocol_that_is_known_chooses_the_encoding() {
        let encoding =
            |asked| greeted(&[("sec-websocket-protocol", asked)]).map(|greeting| (greeting.encoding, greeting.named));
        assert_eq!(encoding("hubbub.v1.msgpack"), Ok((Encoding::MessagePack, true)));
        assert_eq!(
            encoding("hubbub.v9, hubbub.v1.json, hubbub.v1.msgpack"),
            Ok((Encoding::Json, true))
        );
        assert_eq!(encoding("chat"), Ok((Encoding::Json, false)));
    }

    #[test]
    fn what_is_no_handshake_is_refused_for_its_reason() {
        let headers = HeaderMap::new();
        assert_eq!(greet(&Method::POST, Version::HTTP_11, &headers), Err(Handshake::Method));
        assert_eq!(
            greet(&Method::GET, Version::HTTP_10, &headers),
            Err(Handshake::NoUpgrade)
        );
        for (name, value, refused) in [
            ("connection", "", Handshake::NoUpgrade),
            ("connection", "keep-alive", Handshake::NoUpgrade),
            ("upgrade", "h2c", Handshake::NoUpgrade),
            ("sec-websocket-version", "8", Handshake::Version),
            ("sec-websocket-version", "", Handshake::Version),
            ("sec-websocket-key", "", Handshake::Key),
            ("sec-websocket-key", "AAAA", Handshake::Key),
            ("sec-websocket-key", "not base64 at all =====", Handshake::Key),
            ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAAAA", Handshake::Key),
        ] {
            assert_eq!(greeted(&[(name, value)]), Err(refused), "{name}: {value}");
        }
    }
}

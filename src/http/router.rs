//! All routes on one screen.

use std::time::Duration;

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, TRANSFER_ENCODING,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use tower_http::set_header::SetResponseHeaderLayer;

use super::client::Client;
use super::error::Error;
use super::{App, BODY_BYTES_MAX, api, assets, health, pages, ws};

/// How long a request may take, with its body.
const REQUEST_MAX: Duration = Duration::from_secs(30);

/// With TLS: for a year browsers ask for nothing else (RFC 6797).
const HSTS: &str = "max-age=31536000";

/// The headers of every answer that does not have its own.
const SAFE: [(HeaderName, &str); 4] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "strict-origin-when-cross-origin"),
    (CACHE_CONTROL, "no-store"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

/// Everything that the main address serves.
pub fn router(app: App) -> Router {
    let mut router = Router::new()
        .route("/", get(pages::landing))
        .route("/r/{room}", get(pages::viewer))
        .route("/c/{room}", get(pages::control))
        .route("/r/{room}/event.ics", get(api::calendar::event))
        .route("/covers/{file}", get(api::cover::serve))
        .merge(api::routes().route_layer(from_fn_with_state(app.clone(), shared)))
        .route("/static/{*path}", get(assets::file))
        .route("/favicon.ico", get(assets::favicon))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz));
    if app.config.metrics_listen.is_none() {
        router = router.route("/metrics", get(health::metrics));
    }
    // Without the wrapping, which every viewer would pass through: what is refused has its headers from `refused`.
    let sockets = Router::new().route("/ws/{room}", any(ws::open)).with_state(app.clone());
    wrapped(router.fallback(pages::nothing_here), app).merge(sockets)
}

/// What the address of `--metrics-listen` serves.
pub fn metrics_router(app: App) -> Router {
    let router = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(async || Error::NotFound);
    wrapped(router, app)
}

/// Bounds for every request, and headers for every answer that does not have its own.
fn wrapped(router: Router<App>, app: App) -> Router {
    let hsts = app.config.tls.is_some().then(|| HeaderValue::from_static(HSTS));
    let [nosniff, referrer, cache, policy] =
        SAFE.map(|(name, value)| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value)));
    router
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(app.clone(), bounded))
        .layer(nosniff)
        .layer(referrer)
        .layer(cache)
        .layer(policy)
        .layer(SetResponseHeaderLayer::overriding(
            STRICT_TRANSPORT_SECURITY,
            move |_: &Response| hsts.clone(),
        ))
        .with_state(app)
}

/// An error as the answer of a route that is not wrapped.
pub(super) fn refused(error: Error) -> Response {
    let mut response = error.into_response();
    for (name, value) in SAFE {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A request to the REST API is a message of its address.
async fn shared(State(app): State<App>, client: Client, request: Request, next: Next) -> Response {
    let bytes = request.body().size_hint().lower();
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let share = app.places.share(client.address);
    let taken = share.map_or(Ok(()), |share| share.take(bytes, app.clock.now()));
    match taken {
        Ok(()) => next.run(request).await,
        Err(limit) => {
            app.metrics.limits.note_to(limit, Some(client.address));
            Error::RateLimited { retry_after_ms: 1_000 }.into_response()
        }
    }
}

async fn bounded(State(app): State<App>, request: Request, next: Next) -> Response {
    let response = match request.headers().contains_key(TRANSFER_ENCODING) {
        // hyper drops a Content-Length beside it, so the two cannot be told apart from a request that smuggles
        // another one past a proxy.
        true => Error::BadBody {
            reason: "send it with Content-Length, not chunked".to_owned(),
        }
        .into_response(),
        false => match tokio::time::timeout(REQUEST_MAX, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Error::Timeout.into_response(),
        },
    };
    app.metrics
        .http_requests
        .with_label_values(&[response.status().as_str()])
        .inc();
    response
}

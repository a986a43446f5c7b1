//! Whether the process lives, whether it serves, and what it counts.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::App;
use super::error::Error;

/// `GET /healthz`: the process answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: it takes viewers and commands.
pub(super) async fn readyz(State(app): State<App>) -> (StatusCode, &'static str) {
    match (app.draining(), app.hub.ready()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        (false, true) => (StatusCode::OK, "ready\n"),
    }
}

/// `GET /metrics`: Prometheus' text format.
pub(super) async fn metrics(State(app): State<App>) -> Response {
    match app.metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            Error::Internal.into_response()
        }
    }
}

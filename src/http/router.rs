//! All routes on one screen.

use axum::Router;
use axum::routing::get;

use super::{App, health};

/// Everything that the main address serves.
pub fn router(app: App) -> Router {
    let own_metrics = app.config.metrics_listen.is_some();
    let mut router = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz));
    if !own_metrics {
        router = router.route("/metrics", get(health::metrics));
    }
    router.with_state(app)
}

/// What the address of `--metrics-listen` serves.
pub fn metrics_router(app: App) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .with_state(app)
}

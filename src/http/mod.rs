//! The accept loop and the routes: WebSocket upgrade, REST, pages, health and metrics. The only folder that
//! knows axum.

pub mod accept;
mod api;
mod assets;
pub mod client;
pub mod error;
mod extensions;
pub mod extract;
mod health;
mod pages;
pub mod places;
pub mod router;
mod ws;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use api::{Copies, Guesses, Handovers, Transcripts};
use places::Places;
use tokio::sync::Mutex;

#[cfg(any(test, fuzzing))]
pub use api::fuzz_csv;

use crate::auth::Auth;
use crate::clock::Clock;
use crate::config::Config;
use crate::house::Keeper;
use crate::hub::Hub;
use crate::telemetry::Metrics;

/// Largest body of a request, unless its route says otherwise: a pasted list of 10,000 codes is about 400 kB.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// What every handler may use.
#[derive(Clone)]
pub struct App {
    /// All rooms.
    pub hub: Arc<Hub>,
    /// Tokens.
    pub auth: Arc<Auth>,
    /// What belongs to no room: operators' devices.
    pub house: Arc<Keeper>,
    /// How the process was started.
    pub config: Arc<Config>,
    /// Metrics.
    pub metrics: Metrics,
    /// Server time.
    pub clock: Clock,
    /// Places for sockets.
    pub places: Arc<Places>,
    /// Wrong codes by address.
    guesses: Arc<Guesses>,
    /// Shows that hosts ran again lately.
    copies: Arc<Copies>,
    /// Codes that carry viewers over to other browsers.
    handovers: Arc<Handovers>,
    /// Transcripts of draws that were made lately.
    transcripts: Arc<Transcripts>,
    /// Held by a conditional change from its condition to its command.
    changing: Arc<Mutex<()>>,
    draining: Arc<AtomicBool>,
}

impl App {
    /// Puts the parts together.
    pub fn new(
        hub: Arc<Hub>,
        auth: Arc<Auth>,
        house: Arc<Keeper>,
        config: Arc<Config>,
        metrics: Metrics,
        clock: Clock,
    ) -> Self {
        Self {
            places: Arc::new(Places::new(&config, &metrics)),
            hub,
            auth,
            house,
            config,
            metrics,
            clock,
            guesses: Arc::default(),
            copies: Arc::default(),
            handovers: Arc::default(),
            transcripts: Arc::default(),
            changing: Arc::default(),
            draining: Arc::default(),
        }
    }

    /// From now on `/readyz` says no and no WebSocket is opened.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the process is going away.
    pub fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

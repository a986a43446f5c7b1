//! A server in the test's own process.

use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use hubbub::config::{Options, Secrets};
use hubbub::hub::CommandError;
use hubbub::room::audience::{Address, Visitor};
use hubbub::room::{Actor, Answer, Command, PersonId, Personal, RoomId, ViewerId};
use hubbub::serve::Serving;
use tempfile::TempDir;

use super::rest::Rest;

pub(crate) struct Server {
    pub(crate) serving: Serving,
    pub(crate) folder: TempDir,
    options: Options,
    rest: Rest,
}

impl Deref for Server {
    type Target = Rest;

    fn deref(&self) -> &Rest {
        &self.rest
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), options).await
    }

    async fn start_in(folder: TempDir, options: Options) -> Self {
        let own = Options {
            listen: Some(([127, 0, 0, 1], 0).into()),
            data: Some(folder.path().join("data")),
            ..Options::default()
        };
        let config = options.clone().over(own).check(Secrets::default()).unwrap();
        let serving = Serving::start(config).await.unwrap();
        let app = &serving.app;
        let operator = app.auth.operator_token(PersonId(1), app.clock.now()).token;
        Self {
            rest: Rest::new(serving.address, operator),
            serving,
            folder,
            options,
        }
    }

    /// Stops, and starts again on the same data.
    pub(crate) async fn restart(self) -> Self {
        self.restart_after(async |_| {}).await
    }

    /// Stops, and starts again on the same data with other options.
    pub(crate) async fn restart_with(self, options: Options) -> Self {
        Self { options, ..self }.restart().await
    }

    /// Stops, has something done to the data, and starts again on it.
    pub(crate) async fn restart_after(self, meanwhile: impl AsyncFnOnce(&Path)) -> Self {
        self.serving.stop(Duration::from_secs(5)).await;
        meanwhile(&self.folder.path().join("data")).await;
        Self::start_in(self.folder, self.options).await
    }

    /// What a viewer does, as over a socket.
    pub(crate) async fn viewer_does(&self, room: &str, viewer: u128, command: Command) -> Result<Answer, CommandError> {
        let visitor = Visitor {
            id: ViewerId(viewer),
            name: Personal(format!("Guest {viewer}")),
            store: false,
            address: Address {
                key: viewer as u64,
                masked: "203.0.113.x".to_owned(),
            },
        };
        let room = RoomId::new(room).unwrap();
        let hub = &self.serving.app.hub;
        Ok(hub.command(&room, Actor::Viewer(visitor), command).await?.answer)
    }
}

//! `hubbub demo`.

use std::path::PathBuf;
use std::time::Duration;

use super::{DemoArguments, Failure, serve};
use crate::config::Config;
use crate::demo::{Demo, Script};
use crate::serve::{Serving, raise_file_limit, runtime};
use crate::telemetry;

/// Between two acts of the host: the first discount is there after half a minute.
const ACT: Duration = Duration::from_secs(8);

/// A folder that goes with the demo.
struct Throwaway(PathBuf);

impl Drop for Throwaway {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) fn run(arguments: DemoArguments) -> Result<(), Failure> {
    let DemoArguments {
        viewers,
        mut configured,
    } = arguments;
    let options = &mut configured.options;
    let mut throwaway = None;
    if options.data.is_none() {
        let folder = std::env::temp_dir().join(format!("hubbub-demo-{}", std::process::id()));
        throwaway = Some(Throwaway(folder.clone()));
        options.data = Some(folder);
    }
    // The demo speaks for itself.
    options.log_filter.get_or_insert("warn".to_owned());
    let mut config = configured.read()?;
    if config.tls.is_some() {
        return Err(Failure::other(
            "the demo's simulated viewers speak no TLS: leave --tls-cert and --tls-key away",
        ));
    }
    telemetry::log(config.log, &config.log_filter).map_err(Failure::other)?;
    raise_file_limit(&mut config);
    let runtime = runtime().map_err(Failure::other)?;
    let done = runtime.block_on(until_stopped(config, viewers));
    drop(throwaway);
    done
}

async fn until_stopped(config: Config, viewers: u32) -> Result<(), Failure> {
    let signals = serve::Signals::listen()?;
    let serving = Serving::start(config).await.map_err(Failure::other)?;
    let script = Script { viewers, act: ACT };
    let hub = serving.app.hub.clone();
    let demo = Demo::start(hub, serving.address, script)
        .await
        .map_err(Failure::other)?;
    let home = serve::home(&serving);
    let room = &demo.room;
    println!();
    println!("  A sample show with {viewers} simulated viewers is live.");
    println!();
    println!("  Watch it:  {home}/r/{room}");
    println!("  Drive it:  {home}/c/{room}#invite={}", demo.invitation);
    println!("             (makes one browser the host's, once, within 24 hours)");
    println!();
    println!("  Data is in {}. Ctrl-C stops.", serving.app.config.data.display());
    println!();
    signals.until_stopped(serving).await
}

//! The audience: `hubbub-loadtest` as a process of its own, which checks what each viewer receives.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::Process;
use crate::trial::Scale;

/// The server's metric of open WebSockets.
pub(crate) const CONNECTIONS: &str = "hubbub_connections";

/// How long an audience may take to be there, and to be heard.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// It is built beside the server's program.
pub(crate) fn program() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_hubbub")).with_file_name("hubbub-loadtest")
}

/// Builds it as this program was built.
pub(crate) fn build() {
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let status = Command::new(env!("CARGO"))
        .args(["build", "--workspace", "--profile", profile])
        .status();
    assert!(status.expect("cargo runs").success(), "hubbub-loadtest must be built");
}

/// Viewers, as one process.
pub(crate) struct Audience {
    child: Child,
    folder: TempDir,
}

impl Audience {
    /// Viewers of a server, as these options say; not in a room of their own if `room` is named.
    pub(crate) fn of(server: &Process, room: Option<&str>, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("token"), &server.operator).expect("writes");
        let written = File::create(path("said")).expect("writes");
        let mut command = Command::new(program());
        command
            .args(["--server", &format!("http://{}", server.address), "--token-file"])
            .arg(path("token"))
            .arg("--json")
            .arg(path("report"))
            .args(options)
            .stdin(Stdio::null())
            .stdout(written.try_clone().expect("a file"))
            .stderr(written);
        if let Some(room) = room {
            command.args(["--room", room]);
        }
        Self {
            child: command.spawn().expect("it is built"),
            folder,
        }
    }

    /// A show that has begun: so many viewers of a server are there, and ten comments a second, with these options
    /// besides.
    pub(crate) async fn of_a_show(
        server: &Process,
        scale: &Scale,
        viewers: usize,
        seconds: u64,
        options: &[&str],
    ) -> Self {
        let sizes = [
            "--viewers",
            &viewers.to_string(),
            "--ramp",
            &scale.seconds(5, 1),
            "--seconds",
            &scale.seconds(seconds, 3),
            "--comments",
            "10",
        ];
        let audience = Self::of(server, None, &[&sizes, options].concat());
        server
            .until_metric(CONNECTIONS, PATIENCE, |open| open == viewers as u64)
            .await;
        // The show has begun, and something is in the ring.
        let done = "hubbub_commands_total{outcome=\"done\"}";
        let before = server.metric(done).await;
        server
            .until_metric(done, PATIENCE, |commands| commands > before + 10)
            .await;
        audience
    }

    /// Stops it as it stands, as a phone that is put away.
    pub(crate) fn freeze(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).expect("it runs");
    }

    /// Waits for its end, and gives its report.
    pub(crate) async fn report(mut self, within: Duration) -> Report {
        let until = Instant::now() + within;
        while self.child.try_wait().expect("its own child").is_none() {
            assert!(Instant::now() < until, "the audience does not end: {}", self.said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let report = std::fs::read(self.folder.path().join("report"));
        let report = report.unwrap_or_else(|error| panic!("no report: {error}: {}", self.said()));
        Report(serde_json::from_slice(&report).expect("JSON"))
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }
}

impl Drop for Audience {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the audience tells at its end.
pub(crate) struct Report(Value);

impl Report {
    /// Ends the trial if anything was not as it must be.
    pub(crate) fn is_correct(&self) {
        assert_eq!(self.0["failures"], serde_json::json!([]), "{:#}", self.0);
    }

    /// A number, by the path to it.
    pub(crate) fn number(&self, path: &str) -> f64 {
        let value = self.0.pointer(path).and_then(Value::as_f64);
        value.unwrap_or_else(|| panic!("no {path} in {:#}", self.0))
    }

    /// A count, by the path to it.
    pub(crate) fn count(&self, path: &str) -> u64 {
        self.number(path) as u64
    }

    /// A time in milliseconds, by the path to it.
    pub(crate) fn time(&self, path: &str) -> Duration {
        Duration::from_secs_f64(self.number(path) / 1_000.0)
    }

    /// Attempts to come in that failed.
    pub(crate) fn attempts_failed(&self) -> u64 {
        let attempts = self.0["failed_attempts"].as_object().expect("by cause");
        attempts.values().filter_map(Value::as_u64).sum()
    }

    /// How many connections ended with such a code; 0: without any.
    pub(crate) fn closes(&self, code: u16) -> u64 {
        self.0["closes"][code.to_string()].as_u64().unwrap_or_default()
    }
}

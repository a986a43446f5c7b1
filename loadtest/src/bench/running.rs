//! A process to be measured, and its viewers.

use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use hubbub::protocol::Encoding;
use hubbub::room::{Luck, RoomId};
use hyper::{Method, StatusCode};

use super::{Load, Plan};
use crate::api::Api;
use crate::crew::Crew;
use crate::http::Http;
use crate::machine::{self, Process};
use crate::options::Failure;
use crate::server::{Server, Trust};
use crate::talk::Marks;
use crate::wire::Form;
use crate::worker::{Course, Order, Standing};

/// How long a process may take to serve, and viewers to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at how far everybody is.
const LOOK: Duration = Duration::from_millis(20);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The least a server can do.
    Floor,
    /// The server, every comment shown.
    Server,
    /// The server as shipped: a room shows so many comments a second and no more.
    Budgeted,
}

/// A process of this bench; it ends with this value.
struct Running {
    child: Child,
    server: Server,
    /// The server's data, removed with it.
    data: Option<PathBuf>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(data) = &self.data {
            let _ = std::fs::remove_dir_all(data);
        }
    }
}

fn failed(what: &str, why: impl fmt::Display) -> Failure {
    Failure::Unavailable(format!("{what}: {why}"))
}

impl Running {
    fn floor() -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(|error| failed("the floor", error))?;
        let mut child = Command::new(program)
            .arg("floor")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed("the floor", error))?;
        let lines = lines(child.stdout.take());
        let address = lines
            .recv_timeout(PATIENCE)
            .map_err(|error| failed("the floor", error))?;
        Ok(Self {
            child,
            server: Server::find(&format!("http://{address}"), &Trust::default())?,
            data: None,
        })
    }

    fn server(plan: &Plan, budget: &[&str]) -> Result<Self, Failure> {
        let time = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let data = std::env::temp_dir().join(format!("hubbub-bench-{}", time.as_nanos()));
        let mut command = Command::new(&plan.program);
        command
            .args(["serve", "--listen=127.0.0.1:0", "--no-rates", "--log=json"])
            .args(budget)
            .arg("--data")
            .arg(&data)
            .args(&plan.with);
        let (scheme, trust) = match plan.tls {
            true => ("https", certify(&data, &mut command)?),
            false => ("http", Trust::default()),
        };
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed("the server", error))?;
        let lines = lines(child.stderr.take());
        let mut running = Self {
            child,
            server: Server::find("http://127.0.0.1:1", &Trust::default())?,
            data: Some(data),
        };
        let mut said = String::new();
        loop {
            let line = lines
                .recv_timeout(PATIENCE)
                .map_err(|_| failed("the server does not serve", &said))?;
            if let Some(address) = address(&line) {
                running.server = Server::find(&format!("{scheme}://{address}"), &trust)?;
                return Ok(running);
            }
            said = line;
        }
    }

    /// Its REST interface.
    fn api(&self, plan: &Plan) -> Result<Api, Failure> {
        Api::new(&self.server, &self.token(plan)?)
    }

    fn metrics(&self) -> Result<String, Failure> {
        let asked = Http::new(&self.server, "")?.ask(Method::GET, "/metrics", None);
        match asked.map_err(|why| failed("/metrics", why))? {
            (StatusCode::OK, text) => Ok(text),
            (status, _) => Err(failed("/metrics", status)),
        }
    }

    /// An operator's token for the server.
    fn token(&self, plan: &Plan) -> Result<String, Failure> {
        let mut command = Command::new(&plan.program);
        command.args(["token", "operator"]);
        if let Some(data) = &self.data {
            command.arg("--data").arg(data);
        }
        let output = command.output().map_err(|error| failed("an operator's token", error))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// Has the server speak TLS, with a certificate for this once, and says whom to trust.
fn certify(data: &Path, command: &mut Command) -> Result<Trust, Failure> {
    let made =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).map_err(|error| failed("a certificate", error))?;
    let (cert, key) = (data.join("cert.pem"), data.join("key.pem"));
    std::fs::create_dir_all(data)
        .and_then(|()| std::fs::write(&cert, made.cert.pem()))
        .and_then(|()| std::fs::write(&key, made.signing_key.serialize_pem()))
        .map_err(|error| failed("a certificate", error))?;
    command.arg("--tls-cert").arg(&cert).arg("--tls-key").arg(&key);
    Ok(Trust {
        cacert: Some(cert),
        insecure: false,
    })
}

/// A stream's lines, which must be read for the process to go on.
fn lines(stream: Option<impl std::io::Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let stream = stream.into_iter().flat_map(|stream| BufReader::new(stream).lines());
        for line in stream.map_while(Result::ok) {
            // Nobody listens any more once it serves; the rest is read all the same.
            let _ = sender.send(line);
        }
    });
    receiver
}

/// The address in the server's log.
fn address(line: &str) -> Option<String> {
    let log: serde_json::Value = serde_json::from_str(line).ok()?;
    let fields = log.get("fields").unwrap_or(&log);
    (fields.get("message")?.as_str()? == "serving").then(|| fields.get("address")?.as_str().map(str::to_owned))?
}

/// A process with its rooms on air, and viewers who can come.
pub(super) struct Scene {
    running: Running,
    pub(super) process: Process,
    pub(super) crew: Crew,
    viewers: u32,
}

impl Scene {
    /// Starts the target.
    ///
    /// # Errors
    ///
    /// It does not serve, or this machine has no ports for so many viewers.
    pub(super) fn open(plan: &Plan, target: Target, load: Load) -> Result<Self, Failure> {
        let mut luck = Luck::new([1; 32]);
        let budget: &[&str] = match target {
            Target::Floor | Target::Budgeted => &[],
            Target::Server => &["--display-budget=off"],
        };
        let (running, rooms, form) = if target == Target::Floor {
            let plain = Form {
                encoding: Encoding::Json,
                compressed: false,
            };
            (
                Running::floor()?,
                vec![RoomId::new("floor").expect("a good name")],
                plain,
            )
        } else {
            let running = Running::server(plan, budget)?;
            let api = running.api(plan)?;
            let rooms: Vec<RoomId> = (0..load.rooms).map(|_| RoomId::random(&mut luck)).collect();
            for room in &rooms {
                api.create(room)?;
                api.start(room)?;
            }
            (running, rooms, plan.form)
        };
        let viewers = load.viewers();
        let course = Arc::new(Course {
            server: running.server.clone(),
            rooms,
            form,
            sources: machine::sources(&[], running.server.address.ip(), viewers)?,
            threads: plan.threads,
            seed: 1,
            jitter: true,
            likes: 0.0,
            marks: Marks::new(&luck.letters(4)),
            start: Instant::now(),
            ledger: Mutex::new(HashMap::new()),
        });
        Ok(Self {
            process: Process(running.child.id()),
            running,
            crew: Crew::start(&course, viewers)?,
            viewers,
        })
    }

    /// All come, as fast as they can.
    pub(super) fn come(&self) {
        let from = Instant::now();
        let within = Duration::ZERO;
        self.crew.order(|_| Order::Join { from, within });
        self.wait(|standing| standing.watching == self.viewers);
    }

    /// They comment, all together so often a second.
    pub(super) fn talk(&self, from: Instant, until: Instant, comments: f64) {
        self.crew.order(|_| Order::Talk { from, until, comments });
    }

    /// Waits, not for ever: what is not there then is found by the checks.
    pub(super) fn wait(&self, done: impl Fn(&Standing) -> bool) {
        let give_up = Instant::now() + PATIENCE;
        while Instant::now() < give_up && !done(&self.crew.standing()) {
            thread::sleep(LOOK);
        }
    }

    /// The process's resident memory, bytes.
    pub(super) fn memory(&self) -> u64 {
        self.process.memory().unwrap_or_default()
    }

    /// The value of a metric without labels.
    ///
    /// # Errors
    ///
    /// The server does not tell.
    pub(super) fn metric(&self, name: &str) -> Result<f64, Failure> {
        let text = self.running.metrics()?;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.ok_or_else(|| failed("/metrics", format!("there is no {name}")))
    }
}

//! One measurement: a process of its own, its viewers, their talk.

use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use hubbub::protocol::Encoding;
use hubbub::room::{Luck, RoomId};

use super::{Load, Plan};
use crate::api::Api;
use crate::crew::Crew;
use crate::machine::{self, Process};
use crate::options::{Failure, Server};
use crate::talk::Marks;
use crate::tally::Tally;
use crate::worker::{Course, Order, Standing};

/// How long a process may take to serve, and viewers to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// After the viewers have come nothing happens for so long: memory is looked at.
const SETTLE: Duration = Duration::from_secs(2);
/// After the last answer the last deltas are on their way for so long.
const QUIET: Duration = Duration::from_millis(500);
/// Talk before the measurement begins.
const WARM_UP: Duration = Duration::from_secs(1);
/// Between two looks at how far everybody is.
const LOOK: Duration = Duration::from_millis(20);
/// Above this share of a core this program may be what is slow.
const CPU_MAX: f64 = 0.85;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Floor,
    Server,
}

/// What came out.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// CPU time a delivery, of one comment to one viewer: all, and the process's own code's; microseconds.
    pub(super) cpu_us: f64,
    pub(super) user_us: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
    /// Resident bytes that each idle viewer added.
    pub(super) viewer_bytes: f64,
    pub(super) joins_per_second: f64,
    pub(super) deliveries_per_second: f64,
    /// Bytes received for each delivery, with everything.
    pub(super) wire_bytes: f64,
    /// Disclosed gaps.
    pub(super) skipped: u64,
    /// Comments without an answer, and faults.
    pub(super) wrong: Vec<String>,
    pub(super) generator_cpu: f64,
}

impl Measured {
    pub(super) fn is_correct(&self) -> bool {
        self.wrong.is_empty()
    }

    pub(super) fn generator_limited(&self) -> bool {
        self.generator_cpu > CPU_MAX
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2} us ({:.2} user) a delivery, p50 {:.0}, p99 {:.0}, p99.9 {:.0} ms, {:.0} B a viewer, {:.0} joins/s, \
             {:.0} B a delivery, {} skips, generator {:.0} %",
            self.cpu_us,
            self.user_us,
            self.p50_ms,
            self.p99_ms,
            self.p999_ms,
            self.viewer_bytes,
            self.joins_per_second,
            self.wire_bytes,
            self.skipped,
            self.generator_cpu * 100.0
        )?;
        self.wrong.iter().try_for_each(|wrong| write!(f, "; WRONG: {wrong}"))
    }
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
            server: format!("http://{address}").parse()?,
            data: None,
        })
    }

    fn server(plan: &Plan) -> Result<Self, Failure> {
        let time = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let data = std::env::temp_dir().join(format!("hubbub-bench-{}", time.as_nanos()));
        let mut child = Command::new(&plan.program)
            .args([
                "serve",
                "--listen=127.0.0.1:0",
                "--no-rates",
                "--display-budget=off",
                "--log=json",
            ])
            .arg("--data")
            .arg(&data)
            .args(&plan.with)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed("the server", error))?;
        let lines = lines(child.stderr.take());
        let mut running = Self {
            child,
            server: "http://127.0.0.1:1".parse()?,
            data: Some(data),
        };
        let mut said = String::new();
        loop {
            let line = lines
                .recv_timeout(PATIENCE)
                .map_err(|_| failed("the server does not serve", &said))?;
            if let Some(address) = address(&line) {
                running.server = format!("http://{address}").parse()?;
                return Ok(running);
            }
            said = line;
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

/// Starts the target, with its rooms on air.
fn open(plan: &Plan, target: Target, load: Load, luck: &mut Luck) -> Result<(Running, Vec<RoomId>), Failure> {
    if target == Target::Floor {
        return Ok((Running::floor()?, vec![RoomId::new("floor").expect("a good name")]));
    }
    let running = Running::server(plan)?;
    let api = Api::new(&running.server, &running.token(plan)?)?;
    let rooms: Vec<RoomId> = (0..load.rooms).map(|_| RoomId::random(luck)).collect();
    for room in &rooms {
        api.create(room)?;
        api.start(room)?;
    }
    Ok((running, rooms))
}

/// Measures a load on a target.
///
/// # Errors
///
/// [`Failure`] if there was nothing to measure.
pub(super) fn once(plan: &Plan, target: Target, load: Load) -> Result<Measured, Failure> {
    let mut luck = Luck::new([1; 32]);
    let (running, rooms) = open(plan, target, load, &mut luck)?;
    let course = Arc::new(Course {
        server: running.server.address,
        authority: running.server.authority.clone(),
        rooms,
        encoding: Encoding::Json,
        sources: machine::sources(&[], running.server.address.ip(), load.viewers())?,
        threads: plan.threads,
        seed: 1,
        comments: load.per_second * f64::from(load.rooms),
        likes: 0.0,
        marks: Marks::new(&luck.letters(4)),
        start: Instant::now(),
        ledger: Mutex::new(HashMap::new()),
    });
    let process = Process(running.child.id());
    let memory_before = process.memory().unwrap_or_default();
    let mut crew = Crew::start(&course, load.viewers())?;
    let from = Instant::now();
    let within = Duration::ZERO;
    crew.order(|_| Order::Join { from, within });
    wait(&crew, |standing| standing.watching == load.viewers());
    thread::sleep(SETTLE);
    let memory_idle = process.memory().unwrap_or_default();

    let from = Instant::now();
    let until = from + WARM_UP + plan.time;
    crew.order(|_| Order::Talk { from, until });
    thread::sleep(WARM_UP);
    let times_before = process.times().unwrap_or_default();
    let received_before = crew.received();
    crew.order(|_| Order::Measure(true));
    let measured_from = Instant::now();
    thread::sleep(plan.time);
    let times = process.times().unwrap_or_default();
    let received = crew.received();
    let took = measured_from.elapsed().as_secs_f64();
    crew.order(|_| Order::Measure(false));
    wait(&crew, |standing| standing.commenting == 0);
    thread::sleep(QUIET);
    let standing = crew.standing();
    let tally = crew.end()?;

    let deliveries = (received.0 - received_before.0) as f64;
    let bytes = (received.1 - received_before.1) as f64;
    let each_us = |seconds: f64| seconds * 1e6 / deliveries.max(1.0);
    let user = times.user - times_before.user;
    Ok(Measured {
        cpu_us: each_us(user + times.system - times_before.system),
        user_us: each_us(user),
        p50_ms: tally.deliveries.ms(0.5),
        p99_ms: tally.deliveries.ms(0.99),
        p999_ms: tally.deliveries.ms(0.999),
        viewer_bytes: memory_idle.saturating_sub(memory_before) as f64 / f64::from(load.viewers()),
        joins_per_second: tally.joins_per_second(),
        deliveries_per_second: deliveries / took,
        wire_bytes: bytes / deliveries.max(1.0),
        skipped: tally.skipped,
        wrong: wrong(&tally, &standing, load),
        generator_cpu: tally.cpu,
    })
}

fn wait(crew: &Crew, done: impl Fn(&Standing) -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while Instant::now() < give_up && !done(&crew.standing()) {
        thread::sleep(LOOK);
    }
}

fn wrong(tally: &Tally, standing: &Standing, load: Load) -> Vec<String> {
    let mut wrong: Vec<String> = tally.faults.sentences().collect();
    if standing.watching != load.viewers() {
        wrong.push(format!("{} of {} viewers are there", standing.watching, load.viewers()));
    }
    if standing.commenting > 0 {
        wrong.push(format!("{} comments were never answered", standing.commenting));
    }
    wrong
}

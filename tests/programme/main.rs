//! The test programme: what the server must survive, tried on real processes, with figures against targets.
//!
//! `cargo test --release --test programme -- --long` runs all of it, with names (or parts of names) only those
//! trials, and prints a table. Without `--long`, as in `cargo test`, small forms of the quick trials run in
//! seconds, and their times are not judged. `--list` tells what there is.
//!
//! Each trial runs in a process group of its own, which is ended with it, whatever happens. Chances follow from the
//! seed that is printed, so `--seed` tries the same once more.

#[path = "../support/mod.rs"]
mod support;

// The random shows of the tests of the core, which find each other by these names.
#[path = "../room/canary.rs"]
mod canary;
#[path = "../room/draws.rs"]
mod draws;
#[path = "../room/model.rs"]
mod model;
#[path = "../room/simulation.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "its tests are not run here, and one that is surprised has failed"
)]
mod shows;

mod audience;
mod clock;
mod connect_storm;
mod crash_points;
mod descriptors;
mod drain;
mod half_open;
mod memory;
mod restart_storm;
mod resume;
mod sale;
mod simulation;
mod slow_handshakes;
mod slow_readers;
mod trial;

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getrlimit, kill_current_process_group, kill_process_group,
    setrlimit, waitid,
};

use trial::{Figures, Need, Scale, Trial};

const TRIALS: &[Trial] = &[
    sale::TRIAL,
    crash_points::TRIAL,
    resume::TRIAL,
    clock::TRIAL,
    restart_storm::TRIAL,
    connect_storm::TRIAL,
    slow_readers::TRIAL,
    half_open::TRIAL,
    slow_handshakes::TRIAL,
    descriptors::TRIAL,
    drain::TRIAL,
    memory::TRIAL,
    simulation::TRIAL,
];

/// The longest that a quick trial may take.
const QUICK: Duration = Duration::from_secs(60);

/// Tries on real processes what the server must survive.
#[derive(Parser)]
struct Arguments {
    /// Trials to run, by parts of their names; all if none is named.
    names: Vec<String>,
    /// The real sizes, for minutes to hours, and times are judged.
    #[arg(long)]
    long: bool,
    /// Only tells what there is.
    #[arg(long)]
    list: bool,
    /// The numbers of `--long` are multiplied by it, as of viewers and kills, and the minutes of attacks.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    scale: f64,
    /// What all chances follow from [default: another each time].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where the figures of a single trial are written, which then runs in this process.
    #[arg(long, value_name = "FILE", hide = true)]
    figures: Option<PathBuf>,
    /// `cargo test` gives these to every test program.
    #[arg(long, hide = true)]
    nocapture: bool,
    #[arg(long, short, hide = true)]
    quiet: bool,
    #[arg(long, hide = true)]
    test_threads: Option<usize>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| RandomState::new().hash_one(0));
    let scale = Scale {
        long: arguments.long,
        factor: arguments.scale,
        seed,
    };
    let wanted =
        |trial: &&Trial| arguments.names.is_empty() || arguments.names.iter().any(|name| trial.name.contains(name));
    let trials: Vec<_> = TRIALS.iter().filter(wanted).collect();
    if let (Some(file), [trial]) = (&arguments.figures, trials.as_slice()) {
        alone(trial, scale, file);
        return ExitCode::SUCCESS;
    }
    if arguments.list {
        trials
            .iter()
            .for_each(|trial| println!("{:<16} {}", trial.name, trial.what));
        return ExitCode::SUCCESS;
    }
    if trials.is_empty() {
        println!("no trial has such a name");
        // Without --long, the name may be that of a test in another program.
        return if scale.long {
            ExitCode::from(64)
        } else {
            ExitCode::SUCCESS
        };
    }
    programme(&trials, scale)
}

/// Runs these trials one after the other, and tells.
fn programme(trials: &[&Trial], scale: Scale) -> ExitCode {
    println!("--seed {}", scale.seed);
    let audience = trials.iter().any(|trial| trial.needs.contains(&Need::Audience));
    if scale.long && audience {
        audience::build();
    }
    let results: Vec<_> = trials.iter().map(|trial| (trial.name, run(trial, scale))).collect();
    println!("\n| trial | figure | measured | target | |\n|---|---|---|---|---|");
    for (name, result) in &results {
        match result {
            Outcome::Ended(figures) => figures
                .lines
                .iter()
                .for_each(|figure| println!("| {name} | {figure} |")),
            Outcome::Failed(why) => println!("| {name} | | {why} | | FAILED |"),
            Outcome::NotRun(why) => println!("| {name} | | not run: {why} | | |"),
        }
    }
    let good = |(_, result): &(&str, Outcome)| match result {
        Outcome::Ended(figures) => !figures.lines.iter().any(|figure| figure.is_missed()),
        Outcome::Failed(_) => false,
        Outcome::NotRun(_) => !scale.long,
    };
    if results.iter().all(good) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

enum Outcome {
    Ended(Figures),
    Failed(String),
    NotRun(String),
}

/// Runs a trial in a process of its own.
fn run(trial: &Trial, scale: Scale) -> Outcome {
    if let (false, Err(why)) = (scale.long, trial.quick) {
        return Outcome::NotRun(format!("{why}; --long {}", trial.name));
    }
    if let Some(missing) = trial.needs.iter().find_map(|need| need.missing()) {
        return Outcome::NotRun(missing);
    }
    println!("{}: {}", trial.name, trial.what);
    let limit = if scale.long {
        Duration::from_secs(60 * trial.minutes)
    } else {
        QUICK
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("figures.json");
    let began = Instant::now();
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.arg(trial.name).arg("--figures").arg(&file);
    command.args(["--seed", &scale.seed.to_string(), "--scale", &scale.factor.to_string()]);
    if scale.long {
        command.arg("--long");
    }
    // Its end of the pipe tells it that this process is gone.
    let mut child = command.stdin(Stdio::piped()).process_group(0).spawn().expect("starts");
    let in_time = ended_within(&child, limit);
    let group = Pid::from_child(&child);
    // Nobody is left behind; it fails when nobody is.
    let _ = kill_process_group(group, Signal::KILL);
    let status = child.wait().expect("its own child");
    println!("{}: {:.0} s", trial.name, began.elapsed().as_secs_f64());
    let figures = File::open(&file)
        .ok()
        .and_then(|file| serde_json::from_reader(file).ok());
    match figures {
        _ if !in_time => Outcome::Failed(format!("not over after {} s", limit.as_secs())),
        Some(figures) if status.success() => Outcome::Ended(figures),
        _ => Outcome::Failed(format!("{status}, see above; --seed {}", scale.seed)),
    }
}

/// Whether it ends in time. It stays a zombie, so that its group's number remains its own.
fn ended_within(child: &Child, limit: Duration) -> bool {
    let (tell, ended) = mpsc::channel();
    let pid = Pid::from_child(child);
    thread::spawn(move || {
        let waited = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        // Nobody listens any more when it is late.
        let _ = tell.send(waited);
    });
    ended.recv_timeout(limit).is_ok()
}

/// Runs a trial in this process, whose caller ends its group.
fn alone(trial: &Trial, scale: Scale, file: &Path) {
    thread::spawn(|| {
        // It ends when the caller does, for instance by Ctrl-C.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        kill_current_process_group(Signal::KILL)
    });
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("up to the hard limit");
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let figures = runtime.block_on((trial.run)(scale));
    let file = File::create(file).expect("its folder is there");
    serde_json::to_writer(file, &figures).expect("numbers");
}

impl Need {
    /// Why what uses it cannot run.
    fn missing(&self) -> Option<String> {
        match self {
            Self::Audience if audience::program().exists() => None,
            Self::Audience => Some("hubbub-loadtest is not built: cargo build --workspace".to_owned()),
            Self::Program(name, package) => {
                let path = std::env::var_os("PATH").unwrap_or_default();
                let found = std::env::split_paths(&path).any(|folder| folder.join(name).exists());
                (!found).then(|| format!("there is no {name} (Debian's package {package})"))
            }
        }
    }
}

//! What a delivery costs: the server and the [`mod@floor`] in turn, in one run, each in a process of its own with
//! fresh viewers. Times drift by tens of percent on a shared machine; the ratio of neighbours holds.

mod extremes;
mod floor;
mod measure;
mod running;
mod table;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use crate::machine;
use crate::options::{Failure, usage};
use crate::wire::{Form, FormArguments};
use measure::Measured;
use running::Target;

/// The options of `bench`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The server's program; without it the one beside this program.
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// More options for the server, such as `--linger-max-ms=0`.
    #[arg(long = "with", value_name = "OPTION", allow_hyphen_values = true)]
    with: Vec<String>,
    /// Loads: viewers x comments a second, such as 15000x4; with rooms in front, 1000*15x4, each of them has so
    /// many. The floor knows no rooms: it is put beside as many viewers and comments in one.
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_value = "5000x10,15000x4,5000x40,5000x100"
    )]
    loads: Vec<Load>,
    /// Rounds, in each of which every load is put on the floor and on the server.
    /// 0: only what is asked for below.
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: u32,
    /// Seconds of each measurement.
    #[arg(long, value_name = "SECONDS", default_value_t = 8)]
    seconds: u64,
    /// Also looks for the most that so many viewers can be sent at a p99 of at most 200 ms, and then offers twice
    /// that for five seconds.
    #[arg(long, value_name = "VIEWERS")]
    sweep: Option<u32>,
    /// Also measures the server's memory while so many viewers come and leave, twice.
    #[arg(long, value_name = "VIEWERS")]
    storm: Option<u32>,
    /// Also measures what so many rooms on air cost that nobody watches.
    #[arg(long, value_name = "ROOMS")]
    idle_rooms: Option<u32>,
    /// Threads of this program that share the viewers.
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: u32,
    /// The server speaks TLS, with a certificate for this once; each viewer comes with a full handshake. The floor
    /// does not.
    #[arg(long)]
    tls: bool,
    #[command(flatten)]
    form: FormArguments,
}

/// Rooms, and in each of them so many viewers and comments a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Load {
    rooms: u32,
    viewers: u32,
    per_second: f64,
}

impl FromStr for Load {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rooms, each) = text.split_once('*').unwrap_or(("1", text));
        let load = each.split_once('x').and_then(|(viewers, per_second)| {
            Some(Self {
                rooms: rooms.parse().ok()?,
                viewers: viewers.parse().ok()?,
                per_second: per_second.parse().ok()?,
            })
        });
        load.filter(|load| load.rooms > 0 && load.viewers > 0 && load.per_second > 0.0)
            .ok_or_else(|| "is not VIEWERSxCOMMENTS_A_SECOND, such as 5000x10, with ROOMS* in front".to_owned())
    }
}

impl Load {
    /// Of all rooms together.
    fn viewers(self) -> u32 {
        self.rooms * self.viewers
    }

    /// Comments a second in all rooms together.
    fn comments(self) -> f64 {
        self.per_second * f64::from(self.rooms)
    }

    /// As many viewers who get as many comments.
    fn in_one_room(self) -> Self {
        Self {
            rooms: 1,
            viewers: self.viewers(),
            per_second: self.per_second,
        }
    }
}

/// What a bench does.
#[derive(Debug)]
pub(crate) struct Plan {
    program: PathBuf,
    with: Vec<String>,
    loads: Vec<Load>,
    rounds: u32,
    time: Duration,
    sweep: Option<u32>,
    storm: Option<u32>,
    idle_rooms: Option<u32>,
    threads: u32,
    tls: bool,
    form: Form,
}

impl Arguments {
    pub(crate) fn plan(self) -> Result<Plan, Failure> {
        let beside = || Some(std::env::current_exe().ok()?.with_file_name("hubbub"));
        let program = match self.program.or_else(beside) {
            Some(program) if program.is_file() => program,
            _ => {
                return usage("--program: there is no server's program (`cargo build --release --workspace` makes it)");
            }
        };
        if self.rounds > 100 || !(1..=3_600).contains(&self.seconds) {
            return usage("--rounds: at most 100; --seconds: from 1 to 3,600");
        }
        if !(1..=64).contains(&self.threads) {
            return usage("--threads: from 1 to 64");
        }
        Ok(Plan {
            program,
            with: self.with,
            loads: self.loads,
            rounds: self.rounds,
            time: Duration::from_secs(self.seconds),
            sweep: self.sweep,
            storm: self.storm,
            idle_rooms: self.idle_rooms,
            threads: self.threads,
            tls: self.tls,
            form: self.form.into(),
        })
    }
}

/// See [`floor::serve`].
pub(crate) fn floor(listen: SocketAddr) -> Result<bool, Failure> {
    floor::serve(listen).map(|()| true)
}

/// Measures, and tells as it goes. Whether every server run was lossless and in order.
pub(crate) fn run(plan: &Plan) -> Result<bool, Failure> {
    let most = plan
        .loads
        .iter()
        .map(|load| load.viewers())
        .chain(plan.sweep)
        .chain(plan.storm)
        .max();
    machine::raise_file_limit(most.unwrap_or(0))?;
    let mut correct = true;
    let mut pairs: Vec<Vec<(Measured, Measured)>> = vec![Vec::new(); plan.loads.len()];
    for round in 1..=plan.rounds {
        for (load, pairs) in plan.loads.iter().zip(&mut pairs) {
            let floor = measure::once(plan, Target::Floor, load.in_one_room())?;
            let server = measure::once(plan, Target::Server, *load)?;
            eprintln!("round {round}, {load}: floor {floor}");
            eprintln!("round {round}, {load}: server {server}");
            correct &= server.is_correct();
            pairs.push((floor, server));
        }
    }
    if plan.rounds > 0 {
        table::print(&plan.loads, &pairs);
    }
    if let Some(viewers) = plan.sweep {
        correct &= extremes::sweep(plan, viewers)?;
    }
    if let Some(viewers) = plan.storm {
        correct &= extremes::storm(plan, viewers)?;
    }
    if let Some(rooms) = plan.idle_rooms {
        extremes::idle_rooms(plan, rooms)?;
    }
    Ok(correct)
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.rooms > 1 {
            write!(f, "{} * ", self.rooms)?;
        }
        write!(f, "{} x {}/s", self.viewers, self.per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::Load;

    #[test]
    fn a_load_is_viewers_and_comments_a_second() {
        let load = |text: &str| {
            text.parse::<Load>()
                .map(|load| (load.rooms, load.viewers, load.per_second))
        };
        assert_eq!(load("5000x10"), Ok((1, 5_000, 10.0)));
        assert_eq!(load("1000*15x0.5"), Ok((1_000, 15, 0.5)));
        for bad in ["", "5000", "x", "0x10", "10x0", "-1x1", "axb", "*1x1", "0*1x1"] {
            assert!(load(bad).is_err(), "{bad}");
        }
    }
}

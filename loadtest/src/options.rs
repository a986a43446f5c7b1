//! The command line, checked and made into a [`Plan`].

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, Subcommand};
use hubbub::room::RoomId;

use crate::bench;
use crate::profile::Profile;
use crate::server::{Server, Trust};
use crate::wire::{Form, FormArguments};

/// Bad usage (sysexits.h).
const USAGE: u8 = 64;
/// The server cannot be used (sysexits.h).
const UNAVAILABLE: u8 = 69;
/// Comments a second of one viewer at most: the server takes 5 in 10 s.
const COMMENTS_EACH: f64 = 0.4;
/// Taps a second of one viewer at most: the server takes 20.
const LIKES_EACH: f64 = 10.0;
/// Most viewers and askers.
const VIEWERS_MAX: u32 = 1_000_000;
/// Longest run and ramp.
const SECONDS_MAX: f64 = 86_400.0;

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The options do not fit this machine or this server.
    #[error("{0}")]
    Usage(String),
    /// The server cannot be reached or does not do what is asked.
    #[error("{0}")]
    Unavailable(String),
}

impl Failure {
    /// The exit status.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Unavailable(_) => UNAVAILABLE,
        }
    }
}

/// Plays a show against a Hubbub server and checks that nothing is lost.
///
/// Exit status: 0 all is as it must be, 1 something is not, 64 bad usage, 69 the server cannot be used.
#[derive(Debug, Parser)]
#[command(name = "hubbub-loadtest", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    other: Option<Other>,
    /// The server's address, http:// or https://.
    #[arg(
        long,
        env = "HUBBUB_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    server: String,
    #[command(flatten)]
    trust: Trust,
    /// An operator's token (`hubbub token operator`), or with --room a host's.
    #[arg(long, env = "HUBBUB_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file with the token.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// A show whose numbers are taken where no option says another.
    #[arg(long, value_name = "NAME")]
    profile: Option<Profile>,
    /// Viewers at once [default: 100].
    #[arg(long, value_name = "N")]
    viewers: Option<u32>,
    /// Seconds within which they come [default: 2].
    #[arg(long, value_name = "SECONDS")]
    ramp: Option<f64>,
    /// Comments a second, of all viewers together [default: 2].
    #[arg(long, value_name = "PER_S")]
    comments: Option<f64>,
    /// Taps on the heart a second, of all viewers together [default: 5].
    #[arg(long, value_name = "PER_S")]
    likes: Option<f64>,
    /// Seconds of the show after the ramp; longer where its acts take longer [default: 15].
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// A lucky draw that everybody enters.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    draw: Option<bool>,
    /// A discount that so many viewers ask for within a second.
    #[arg(long, value_name = "QUOTA:ASKERS")]
    discount: Option<Rush>,
    /// Viewers who are cut off at once and come back.
    #[arg(long, value_name = "N")]
    reconnect_storm: Option<u32>,
    /// Viewers who lost their connection all try again at the same moments, as no good client does.
    #[arg(long)]
    no_jitter: bool,
    /// Who says what and when follows from this number.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// A room that is on air already; without it the run makes one of its own and removes it.
    #[arg(long, value_name = "ID")]
    room: Option<String>,
    /// Where the report is written as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Threads that share the viewers; each can take a core.
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: u32,
    /// Own addresses to connect from, in turn. Each has some 28,000 ports.
    #[arg(long, value_name = "ADDR", value_delimiter = ',')]
    source: Vec<IpAddr>,
    #[command(flatten)]
    form: FormArguments,
    /// The server's process, if it runs here: its memory and CPU are reported.
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
}

/// What this program does besides playing a show.
#[derive(Debug, Subcommand)]
enum Other {
    /// Measures what a delivery costs: a server of its own and the floor in turn, in one run.
    Bench(bench::Arguments),
    /// Serves as the floor: the least a server can do, one send for each viewer and comment.
    Floor {
        /// Where.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
}

/// What this process is asked to do.
#[derive(Debug)]
pub(crate) enum Task {
    Show(Box<Plan>),
    Bench(bench::Plan),
    Floor(SocketAddr),
}

/// Many ask for few codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rush {
    /// Codes.
    pub(crate) quota: u32,
    /// Viewers who ask.
    pub(crate) askers: u32,
}

impl FromStr for Rush {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').and_then(|(quota, askers)| {
            let (quota, askers) = (quota.parse().ok()?, askers.parse().ok()?);
            (quota > 0 && askers > 0).then_some(Self { quota, askers })
        });
        parts.ok_or_else(|| "is not QUOTA:ASKERS, such as 500:5000".to_owned())
    }
}

/// What a run does.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) server: Server,
    pub(crate) token: String,
    pub(crate) viewers: u32,
    pub(crate) ramp: Duration,
    /// A second, of all together.
    pub(crate) comments: f64,
    /// Taps a second, of all together.
    pub(crate) likes: f64,
    pub(crate) seconds: Duration,
    pub(crate) draw: bool,
    pub(crate) rush: Option<Rush>,
    pub(crate) storm: u32,
    /// Who lost the connection tries again at a moment of its own.
    pub(crate) jitter: bool,
    pub(crate) seed: u64,
    pub(crate) room: Option<RoomId>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) threads: u32,
    pub(crate) sources: Vec<IpAddr>,
    pub(crate) form: Form,
    pub(crate) server_pid: Option<u32>,
}

/// Reads the command line of this process.
///
/// # Errors
///
/// The exit status, after help was printed or what is wrong was said.
pub(crate) fn read() -> Result<Task, ExitCode> {
    let arguments = Arguments::try_parse().map_err(|error| {
        // To a closed terminal nothing can be said.
        let _ = error.print();
        if error.use_stderr() {
            ExitCode::from(USAGE)
        } else {
            ExitCode::SUCCESS
        }
    })?;
    let task = match arguments.other {
        Some(Other::Floor { listen }) => Ok(Task::Floor(listen)),
        Some(Other::Bench(arguments)) => arguments.plan().map(Task::Bench),
        None => arguments.plan().map(|plan| Task::Show(Box::new(plan))),
    };
    task.map_err(|failure| {
        eprintln!("hubbub-loadtest: {failure}");
        ExitCode::from(failure.code())
    })
}

pub(crate) fn usage<T>(sentence: impl fmt::Display) -> Result<T, Failure> {
    Err(Failure::Usage(sentence.to_string()))
}

impl Arguments {
    fn plan(self) -> Result<Plan, Failure> {
        let token = self.token()?;
        let numbers = Profile::numbers(self.profile);
        let viewers = self.viewers.unwrap_or(numbers.viewers);
        let comments = self.comments.unwrap_or(numbers.comments);
        let likes = self.likes.unwrap_or(numbers.likes);
        let ramp = self.ramp.unwrap_or(numbers.ramp);
        let seconds = self.seconds.unwrap_or(numbers.seconds);
        // A profile's crowd is not larger than the viewers that were asked for.
        let of_profile = |rush: Rush| Rush {
            askers: rush.askers.min(viewers),
            ..rush
        };
        let rush = self.discount.or(numbers.rush.map(of_profile));
        let storm = self.reconnect_storm.unwrap_or(numbers.storm.min(viewers));
        if !(1..=VIEWERS_MAX).contains(&viewers) {
            return usage("--viewers: from 1 to 1,000,000");
        }
        if !(1..=viewers.min(64)).contains(&self.threads) {
            return usage("--threads: from 1 to 64, and no more than viewers");
        }
        for (name, value) in [("--ramp", ramp), ("--seconds", seconds)] {
            if !(0.0..=SECONDS_MAX).contains(&value) {
                return usage(format_args!("{name}: from 0 to 86,400 seconds"));
            }
        }
        for (name, rate, each) in [("--comments", comments, COMMENTS_EACH), ("--likes", likes, LIKES_EACH)] {
            if !(0.0..=each * f64::from(viewers)).contains(&rate) {
                return usage(format_args!(
                    "{name}: {viewers} viewers may send {} a second, at {each} each",
                    each * f64::from(viewers)
                ));
            }
        }
        if rush.is_some_and(|rush| rush.askers > viewers) {
            return usage("--discount: more askers than viewers");
        }
        if storm > viewers {
            return usage("--reconnect-storm: more than there are viewers");
        }
        let room = match self.room.as_deref().map(RoomId::new) {
            Some(None) => return usage("--room: not a room's name"),
            Some(Some(room)) => Some(room),
            None => None,
        };
        Ok(Plan {
            server: Server::find(&self.server, &self.trust)?,
            token,
            viewers,
            ramp: Duration::from_secs_f64(ramp),
            comments,
            likes,
            seconds: Duration::from_secs_f64(seconds),
            draw: self.draw.unwrap_or(numbers.draw),
            rush,
            storm,
            jitter: !self.no_jitter,
            seed: self.seed,
            room,
            json: self.json,
            threads: self.threads,
            sources: self.source,
            form: self.form.into(),
            server_pid: self.server_pid,
        })
    }

    fn token(&self) -> Result<String, Failure> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
        };
        let token = match (&self.token_file, &self.token) {
            (Some(path), _) => read(path)?,
            (None, Some(token)) => token.clone(),
            (None, None) => String::new(),
        };
        match token.trim() {
            "" => usage("a token is needed: --token, --token-file or HUBBUB_TOKEN (`hubbub token operator` makes one)"),
            token => Ok(token.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    fn plan(line: &str) -> Result<Plan, Failure> {
        let words = ["hubbub-loadtest", "--token", "t"]
            .into_iter()
            .chain(line.split_whitespace());
        let arguments = Arguments::try_parse_from(words).map_err(|error| Failure::Usage(error.to_string()))?;
        arguments.plan()
    }

    fn refused(line: &str) -> String {
        plan(line).expect_err(line).to_string()
    }

    #[test]
    fn a_profile_sets_what_no_option_says() {
        let plan = plan("--profile rush --viewers 1000 --seconds 5").expect("is good");
        assert_eq!((plan.viewers, plan.seconds.as_secs()), (1_000, 5));
        let rush = Rush {
            quota: 500,
            askers: 1_000,
        };
        assert_eq!(plan.rush, Some(rush), "no more askers than viewers");
        assert!(!plan.draw);
    }

    #[test]
    fn every_profile_is_a_good_plan() {
        for profile in Profile::value_variants() {
            let name = profile.to_possible_value().expect("has a name");
            plan(&format!("--profile {}", name.get_name())).expect("is good");
        }
    }

    #[test]
    fn a_profiles_draw_can_be_left_out() {
        assert!(plan("--profile fashion").expect("is good").draw);
        assert!(!plan("--profile fashion --draw=false").expect("is good").draw);
        assert!(plan("--draw").expect("is good").draw);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_option() {
        assert!(refused("--viewers 0").starts_with("--viewers"));
        assert!(refused("--viewers 10 --threads 11").starts_with("--threads"));
        assert!(
            refused("--viewers 10 --comments 5").starts_with("--comments"),
            "the server's own limit"
        );
        assert!(refused("--comments NaN").starts_with("--comments"));
        assert!(refused("--ramp=-1").starts_with("--ramp"));
        assert!(refused("--viewers 10 --discount 5:11").starts_with("--discount"));
        assert!(refused("--discount 0:10").contains("QUOTA:ASKERS"));
        assert!(refused("--viewers 10 --reconnect-storm 11").starts_with("--reconnect-storm"));
        assert!(refused("--room Not/A/Room").starts_with("--room"));
        assert!(refused("--server http://127.0.0.1/path").starts_with("--server"));
        assert!(refused("--insecure --cacert /none").contains("--cacert"), "one of both");
        assert!(refused("--token-file /none").contains("--token-file"), "two tokens");
    }
}

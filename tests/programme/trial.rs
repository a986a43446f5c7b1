//! What a trial is, and the figures that it gives.

use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// One trial of the programme. Whatever breaks a promise panics; figures are what is measured beside that.
pub(crate) struct Trial {
    pub(crate) name: &'static str,
    /// In a few words, what is done to the server.
    pub(crate) what: &'static str,
    pub(crate) needs: &'static [Need],
    /// Whether a small form of it runs with the quick tests; else why not.
    pub(crate) quick: Result<(), &'static str>,
    /// It is stopped, and has failed, after so long at full length.
    pub(crate) minutes: u64,
    pub(crate) run: fn(Scale) -> BoxFuture<'static, Figures>,
}

/// A program that a trial uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// `hubbub-loadtest`, of this workspace.
    Audience,
    /// A program, and Debian's package with it.
    Program(&'static str, &'static str),
}

/// How large a trial is made, and what its chances follow from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// The real sizes, times judged; else sizes for seconds, and times are only shown.
    pub(crate) long: bool,
    /// The long sizes are multiplied by it.
    pub(crate) factor: f64,
    pub(crate) seed: u64,
}

impl Scale {
    /// How many, in the long form and in the quick one.
    pub(crate) fn of(&self, long: usize, quick: usize) -> usize {
        if self.long {
            ((long as f64 * self.factor).round() as usize).max(1)
        } else {
            quick
        }
    }

    /// How long: times are not multiplied.
    pub(crate) fn time(&self, long_ms: u64, quick_ms: u64) -> Duration {
        Duration::from_millis(if self.long { long_ms } else { quick_ms })
    }

    /// The same in seconds, as an option's value.
    pub(crate) fn seconds(&self, long: u64, quick: u64) -> String {
        self.time(1_000 * long, 1_000 * quick).as_secs().to_string()
    }

    /// As [`Self::of`], as an option's value.
    pub(crate) fn text(&self, long: usize, quick: usize) -> String {
        self.of(long, quick).to_string()
    }

    /// The `n`-th random number of the seed.
    pub(crate) fn chance(&self, n: u64) -> u64 {
        BuildHasherDefault::<DefaultHasher>::default().hash_one((self.seed, n))
    }
}

/// A measured value with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Value {
    Count(u64),
    Ms(f64),
    Bytes(u64),
    /// So many times another value.
    Times(f64),
    /// Of one core.
    Percent(f64),
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<Duration> for Value {
    fn from(time: Duration) -> Self {
        Self::Ms(time.as_secs_f64() * 1_000.0)
    }
}

impl Value {
    fn number(self) -> f64 {
        match self {
            Self::Count(count) | Self::Bytes(count) => count as f64,
            Self::Ms(number) | Self::Times(number) | Self::Percent(number) => number,
        }
    }

    /// Whether it depends on how fast the machine is and what else it does.
    fn is_of_the_machine(self) -> bool {
        !matches!(self, Self::Count(_))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => f.write_str(&grouped(*count)),
            Self::Ms(ms) if *ms >= 2_000.0 => write!(f, "{:.1} s", ms / 1_000.0),
            Self::Ms(ms) => write!(f, "{ms:.0} ms"),
            Self::Bytes(bytes) => write!(f, "{:.0} MiB", *bytes as f64 / f64::from(1 << 20)),
            Self::Times(times) => write!(f, "{times:.2} x"),
            Self::Percent(percent) => write!(f, "{percent:.0} %"),
        }
    }
}

/// With commas at the thousands.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Target {
    Exactly(Value),
    AtMost(Value),
    AtLeast(Value),
}

/// One line of a trial's result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    what: String,
    measured: Value,
    target: Option<Target>,
    judged: bool,
}

impl Figure {
    /// Whether it misses its target.
    pub(crate) fn is_missed(&self) -> bool {
        let measured = self.measured.number();
        let met = self.target.is_none_or(|target| match target {
            Target::Exactly(wanted) => measured == wanted.number(),
            Target::AtMost(most) => measured <= most.number(),
            Target::AtLeast(least) => measured >= least.number(),
        });
        self.judged && !met
    }
}

/// The cells of a table's row: figure, measured, target, verdict.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = match self.target {
            None => String::new(),
            Some(Target::Exactly(wanted)) => wanted.to_string(),
            Some(Target::AtMost(most)) => format!("<= {most}"),
            Some(Target::AtLeast(least)) => format!(">= {least}"),
        };
        let verdict = match (self.target, self.is_missed()) {
            (None, _) => "",
            (Some(_), _) if !self.judged => "not judged",
            (Some(_), true) => "MISSED",
            (Some(_), false) => "ok",
        };
        write!(f, "{} | {} | {target} | {verdict}", self.what, self.measured)
    }
}

/// The result of a trial.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    judge_the_machine: bool,
    pub(crate) lines: Vec<Figure>,
}

impl Figures {
    pub(crate) fn new(scale: &Scale) -> Self {
        Self {
            judge_the_machine: scale.long,
            lines: Vec::new(),
        }
    }

    fn add(&mut self, what: &str, measured: Value, target: Option<Target>) {
        self.lines.push(Figure {
            what: what.to_owned(),
            measured,
            target,
            judged: self.judge_the_machine || !measured.is_of_the_machine(),
        });
    }

    /// Something worth knowing that has no target.
    pub(crate) fn note(&mut self, what: &str, measured: impl Into<Value>) {
        self.add(what, measured.into(), None);
    }

    pub(crate) fn exactly(&mut self, what: &str, measured: impl Into<Value>, wanted: impl Into<Value>) {
        self.add(what, measured.into(), Some(Target::Exactly(wanted.into())));
    }

    pub(crate) fn at_most(&mut self, what: &str, measured: impl Into<Value>, most: impl Into<Value>) {
        self.add(what, measured.into(), Some(Target::AtMost(most.into())));
    }

    pub(crate) fn at_least(&mut self, what: &str, measured: impl Into<Value>, least: impl Into<Value>) {
        self.add(what, measured.into(), Some(Target::AtLeast(least.into())));
    }
}

/// The time below which this part (0-1) of all times is.
pub(crate) fn quantile(times: &[Duration], part: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let place = (times.len() as f64 * part).ceil() as usize;
    times.get(place.saturating_sub(1)).copied().unwrap_or_default()
}

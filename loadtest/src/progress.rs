//! What is told while it runs: a line that changes on a terminal, else one every few seconds.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use crate::tally::Live;

/// Between two lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// The teller.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    phase: &'static str,
    told_at: Option<Instant>,
    viewers: u32,
    before: (Instant, u64),
    per_second: f64,
}

impl Progress {
    /// For a run with so many viewers.
    pub(crate) fn new(viewers: u32) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
            ProgressBar::new_spinner().with_style(style.expect("the template is good"))
        });
        Self {
            bar,
            phase: "",
            told_at: None,
            viewers,
            before: (Instant::now(), 0),
            per_second: 0.0,
        }
    }

    /// Tells how far it is.
    pub(crate) fn tell<'l>(&mut self, phase: &'static str, lives: impl IntoIterator<Item = &'l Live> + Clone) {
        let (at, before) = self.before;
        let deltas = Live::sum(lives.clone(), |live| &live.deltas);
        if at.elapsed() >= Duration::from_secs(1) {
            self.per_second = (deltas - before) as f64 / at.elapsed().as_secs_f64();
            self.before = (Instant::now(), deltas);
        }
        let line = format!(
            "{phase}: {} of {} viewers, {:.0} deliveries/s, {} answers, {} received",
            Live::sum(lives.clone(), |live| &live.watching),
            self.viewers,
            self.per_second,
            Live::sum(lives.clone(), |live| &live.answered),
            HumanBytes(Live::sum(lives, |live| &live.bytes)),
        );
        let new_phase = phase != self.phase;
        match &self.bar {
            Some(bar) => {
                bar.set_message(line);
                bar.tick();
            }
            None if new_phase || self.told_at.is_none_or(|at| at.elapsed() >= EVERY) => {
                eprintln!("{line}");
                self.told_at = Some(Instant::now());
            }
            None => {}
        }
        self.phase = phase;
    }

    /// Nothing more is told.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

//! Random shows in the pure core, by the thousands.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::shows::play_twice;
use crate::trial::{Figures, Scale, Trial};

pub(crate) const TRIAL: Trial = Trial {
    name: "simulation",
    what: "random shows with crashes against a plain model, each twice and replayed",
    needs: &[],
    quick: Err("`cargo test --test room` plays some"),
    minutes: 600,
    run: |scale| Box::pin(async move { run(&scale) }),
};

const COMMANDS: u64 = 5_000;

/// Says how to see a show again that breaks a promise.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if thread::panicking() {
            println!(
                "HUBBUB_SIM_FIRST_SEED={} HUBBUB_SIM_SEEDS=1 HUBBUB_SIM_COMMANDS={COMMANDS} cargo test --test room random_shows",
                self.0
            );
        }
    }
}

fn run(scale: &Scale) -> Figures {
    let seeds = scale.of(10_000, 10) as u64;
    // The seeds that follow on this one.
    let first = scale.seed % (1 << 32);
    println!("seeds from {first}");
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let player = || {
        let mut seen = BTreeMap::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= seeds {
                return seen;
            }
            if n.is_multiple_of(100) {
                println!("show {n} of {seeds}");
            }
            let seed = Seed(first + n);
            for (what, times) in play_twice(seed.0, COMMANDS) {
                *seen.entry(what).or_insert(0) += u64::from(times);
            }
        }
    };
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    thread::scope(|scope| {
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(player)).collect();
        for player in players {
            for (what, times) in player.join().expect("no show breaks a promise") {
                *seen.entry(what).or_insert(0) += times;
            }
        }
    });
    let mut figures = Figures::new(scale);
    figures.note("commands in each show", COMMANDS);
    figures.exactly(
        "shows that kept every promise, twice the same, and replayed",
        seeds,
        seeds,
    );
    for what in ["granted", "claim: sold_out", "winners revealed", "lost batch"] {
        figures.at_least(
            &format!("came across: {what}"),
            seen.get(what).copied().unwrap_or(0),
            1_u64,
        );
    }
    figures
}

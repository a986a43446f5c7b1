//! The most that is held, twice that, a storm of arrivals and departures, and rooms where nothing happens.

use std::thread;
use std::time::{Duration, Instant};

use super::measure::{Measured, QUIET, SETTLE, once, wrong};
use super::running::{Scene, Target};
use super::{Load, Plan};
use crate::options::Failure;
use crate::worker::Order;

/// The p99 up to which a load counts as held.
const HELD_MS: f64 = 200.0;
/// How finely the most that is held is looked for: steps between a rate that is held and its double.
const STEPS: u32 = 3;
/// The rate at which a search begins, comments a second.
const FIRST: f64 = 20.0;
/// How long too much is offered.
const OVERLOAD: Duration = Duration::from_secs(5);
/// Comments a second after it, less than a room shows as shipped.
const CALM: f64 = 5.0;
/// How long calm is looked at ...
const CALM_FOR: Duration = Duration::from_secs(5);
/// ... beginning so long after the overload.
const RECOVERY: Duration = Duration::from_secs(2);
/// After a storm: a room holds a viewer's place for 12 s, and has said that they left a second later.
const FORGOTTEN: Duration = Duration::from_secs(15);
/// Before idle rooms are measured, nothing happens for so long.
const REST: Duration = Duration::from_secs(10);

fn one_room(viewers: u32, per_second: f64) -> Load {
    Load {
        rooms: 1,
        viewers,
        per_second,
    }
}

/// Looks for the most that the floor and the server hold, then offers the server twice its own. Whether nothing
/// was lost in silence.
///
/// # Errors
///
/// [`Failure`] if there was nothing to measure.
pub(super) fn sweep(plan: &Plan, viewers: u32) -> Result<bool, Failure> {
    let mut correct = true;
    for target in [Target::Floor, Target::Server] {
        let Some((most, rate)) = most_held(plan, target, viewers)? else {
            println!("{target:?}: {viewers} viewers x {FIRST}/s is more than is held");
            continue;
        };
        let at_least = if most.generator_limited() {
            ", at least: this program was the limit"
        } else {
            ""
        };
        println!(
            "{target:?}: most held by {viewers} viewers at a p99 of at most {HELD_MS} ms: {:.0} deliveries/s, \
             {rate} comments/s ({most}){at_least}",
            most.deliveries_per_second
        );
        if target == Target::Server {
            correct &= overload(plan, target, one_room(viewers, 2.0 * rate), most.deliveries_per_second)?;
            correct &= overload(
                plan,
                Target::Budgeted,
                one_room(viewers, 2.0 * rate),
                most.deliveries_per_second,
            )?;
        }
    }
    Ok(correct)
}

/// The highest rate that is held: doubled until it is not, then narrowed down.
fn most_held(plan: &Plan, target: Target, viewers: u32) -> Result<Option<(Measured, f64)>, Failure> {
    let mut best = None;
    let mut holds = |per_second: f64| {
        let measured = once(plan, target, one_room(viewers, per_second))?;
        eprintln!("sweep, {viewers} x {per_second}/s: {target:?} {measured}");
        let held = measured.p99_ms <= HELD_MS && measured.is_correct() && measured.skipped == 0;
        if held {
            best = Some((measured, per_second));
        }
        Ok::<_, Failure>(held)
    };
    let (mut low, mut high) = (0.0, FIRST);
    while holds(high)? {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..STEPS {
        let middle = f64::midpoint(low, high);
        match holds(middle)? {
            true => low = middle,
            false => high = middle,
        }
    }
    Ok(best)
}

/// Offers more than is held, then little: what still comes through, what is told of the rest, and how soon all is
/// as before.
fn overload(plan: &Plan, target: Target, load: Load, held: f64) -> Result<bool, Failure> {
    let mut scene = Scene::open(plan, target, load)?;
    scene.come();
    thread::sleep(SETTLE);
    let from = Instant::now();
    scene.talk(from, from + OVERLOAD, load.comments());
    let before = scene.crew.received().0;
    thread::sleep(OVERLOAD);
    let through = (scene.crew.received().0 - before) as f64 / OVERLOAD.as_secs_f64();
    let calm = Instant::now();
    scene.talk(calm, calm + RECOVERY + CALM_FOR, CALM);
    scene.crew.order(|_| Order::TimeFrom(calm + RECOVERY));
    thread::sleep(RECOVERY + CALM_FOR);
    scene.wait(|standing| standing.commenting == 0);
    thread::sleep(QUIET);
    let standing = scene.crew.standing();
    let tally = scene.crew.end()?;
    let wrong = wrong(&tally, &standing, load.viewers());
    let refused: u64 = tally.refused.values().sum();
    println!(
        "{target:?}, {load} offered for {} s: {through:.0} deliveries/s ({:.0} % of the most held), {} gaps told, {refused} \
         comments refused, {} acknowledged; from {} s after it p99 {:.0} ms{}",
        OVERLOAD.as_secs(),
        100.0 * through / held,
        tally.skipped,
        tally.accepted.len(),
        RECOVERY.as_secs(),
        tally.deliveries.ms(0.99),
        wrong
            .iter()
            .map(|wrong| format!("; WRONG: {wrong}"))
            .collect::<String>(),
    );
    Ok(wrong.is_empty())
}

/// Memory before, while and after so many viewers come and leave, twice. Whether all came.
///
/// # Errors
///
/// [`Failure`] if there was nothing to measure.
pub(super) fn storm(plan: &Plan, viewers: u32) -> Result<bool, Failure> {
    let mut scene = Scene::open(plan, Target::Server, one_room(viewers, 1.0))?;
    println!(
        "a storm of {viewers} viewers, RSS: {} kB before",
        scene.memory() / 1_024
    );
    let mut all_came = true;
    for _ in 0..2 {
        scene.come();
        all_came &= scene.crew.standing().watching == viewers;
        thread::sleep(SETTLE);
        let with_all = scene.memory();
        scene.crew.order(|_| Order::Leave);
        while scene.metric("hubbub_connections")? > 0.0 {
            thread::sleep(QUIET);
        }
        thread::sleep(FORGOTTEN);
        println!(
            "{} kB with all of them, {} kB after they left",
            with_all / 1_024,
            scene.memory() / 1_024
        );
    }
    scene.crew.end()?;
    Ok(all_came)
}

/// What rooms cost that are on air and that nobody watches.
///
/// # Errors
///
/// [`Failure`] if there was nothing to measure.
pub(super) fn idle_rooms(plan: &Plan, rooms: u32) -> Result<(), Failure> {
    let load = Load {
        rooms,
        viewers: 0,
        per_second: 1.0,
    };
    let none = one_room(0, 1.0);
    for (load, count) in [(none, 1), (load, rooms)] {
        let mut scene = Scene::open(plan, Target::Server, load)?;
        thread::sleep(REST);
        let cpu = |scene: &Scene| scene.process.cpu().unwrap_or_default();
        let (before, from) = (cpu(&scene), Instant::now());
        thread::sleep(plan.time);
        let share = 100.0 * (cpu(&scene) - before) / from.elapsed().as_secs_f64();
        println!(
            "{count} idle rooms: {share:.2} % of a core, {} kB RSS",
            scene.memory() / 1_024
        );
        scene.crew.end()?;
    }
    Ok(())
}

//! The course of a run: a room, the ramp, the talk with its draw, rush and storm, and the checks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self};
use std::time::{Duration, Instant, SystemTime};

use hubbub::room::discount::WhoCounts;
use hubbub::room::draw::{Card, Eligibility, Phase, Rules};
use hubbub::room::fair::{self, CommittedRules, Transcript};
use hubbub::room::{Key, Luck, RoomId};

use crate::api::{Api, Problem};
use crate::crew::{Crew, share};
use crate::machine::{self, Process};
use crate::options::{Failure, Plan, Rush};
use crate::progress::Progress;
use crate::report::{DrawReport, Report, RushReport, ServerReport, StormReport};
use crate::talk::Marks;
use crate::tally::{Claimed, Live, Tally};
use crate::worker::{Course, Order, Standing};

/// Between two looks at how far everybody is.
const LOOK: Duration = Duration::from_millis(50);
/// After the ramp nothing happens for so long: the room's memory is looked at.
const SETTLE: Duration = Duration::from_secs(2);
/// A stage of the run in which nothing gets better for so long is over.
const STUCK: Duration = Duration::from_secs(40);
/// The feed is quiet when it has been for so long: samples and pulses come once a second.
const QUIET: Duration = Duration::from_millis(2_500);
/// All enter a draw within this.
const ENTER_WITHIN: Duration = Duration::from_secs(2);
/// All ask for a code within this.
const RUSH_WITHIN: Duration = Duration::from_secs(1);
/// How long a storm keeps viewers away.
const STORM_AWAY: Duration = Duration::from_millis(1_500);
/// Winners of a draw.
const WINNERS: u32 = 3;
/// A draw would lock by itself after this.
const OPEN_MS: u64 = 600_000;

/// Plays the show.
///
/// # Errors
///
/// See [`Failure`]; a run that found faults is a report.
pub(crate) fn run(plan: &Plan) -> Result<Report, Failure> {
    machine::raise_file_limit(plan.viewers)?;
    let sources = machine::sources(&plan.sources, plan.server.address.ip(), plan.viewers)?;
    let stop = watch_signals();
    let since_epoch = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    // Two runs with the same seed are two rooms; what is said in them is the same.
    let mut name_luck = Luck::new(seed_of(plan.seed, since_epoch.as_nanos() as u64));
    let api = Api::new(&plan.server, &plan.token)?;
    let room = Room::enter(&api, plan, &mut name_luck)?;
    let course = Arc::new(Course {
        server: plan.server.clone(),
        rooms: vec![room.id.clone()],
        form: plan.form,
        sources,
        threads: plan.threads,
        seed: plan.seed,
        jitter: plan.jitter,
        likes: plan.likes,
        marks: Marks::new(&name_luck.letters(4)),
        start: Instant::now(),
        ledger: Mutex::new(HashMap::new()),
    });
    let mut show = Show {
        plan,
        api: &api,
        room: &room,
        crew: Crew::start(&course, plan.viewers)?,
        progress: Progress::new(plan.viewers),
        stop,
        failures: Vec::new(),
        act: name_luck.letters(6),
    };
    let played = show.play();
    show.progress.end();
    let played = played?;
    let tally = show.crew.end()?;
    Ok(show.judge(&played, &tally))
}

fn seed_of(seed: u64, time: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    bytes[8..16].copy_from_slice(&time.to_be_bytes());
    bytes
}

/// Set once somebody asks the run to end: it then tells what it has, and cleans up.
fn watch_signals() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    thread::spawn(move || {
        use tokio::signal::unix::{SignalKind, signal};
        // Without a runtime or handlers the signals end the process, as they do by themselves.
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return;
        };
        runtime.block_on(async {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            stopped.store(true, Ordering::Relaxed);
            std::future::pending().await
        })
    });
    stop
}

/// The room of a run; its own one is removed at the end, whatever the end is.
struct Room<'a> {
    api: &'a Api,
    id: RoomId,
    own: bool,
}

impl<'a> Room<'a> {
    fn enter(api: &'a Api, plan: &Plan, luck: &mut Luck) -> Result<Self, Failure> {
        if let Some(id) = plan.room.clone() {
            if !api.is_live(&id)? {
                return Err(Failure::Usage(format!("--room: {id} is not on air")));
            }
            return Ok(Self { api, id, own: false });
        }
        let id = RoomId::random(luck);
        api.create(&id)?;
        let room = Self { api, id, own: true };
        api.start(&room.id)?;
        Ok(room)
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if self.own
            && let Err(problem) = self.api.remove(&self.id)
        {
            eprintln!("hubbub-loadtest: the room {} was left behind: {problem}", self.id);
        }
    }
}

struct Show<'a> {
    plan: &'a Plan,
    api: &'a Api,
    room: &'a Room<'a>,
    crew: Crew,
    progress: Progress,
    stop: Arc<AtomicBool>,
    /// What is wrong, one sentence each.
    failures: Vec<String>,
    /// Names the run's draw and discount.
    act: String,
}

/// What the course itself learnt.
#[derive(Default)]
struct Played {
    memory: [Option<u64>; 3],
    cpu: [Option<f64>; 2],
    talk_seconds: f64,
    deltas: u64,
    card: Option<Card>,
    transcript: Option<Transcript>,
    claims: Option<Vec<String>>,
}

impl Show<'_> {
    fn key(&self, kind: &str) -> Key {
        Key::new(&format!("load-{kind}-{}", self.act)).expect("letters and dashes")
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits until `done`, as long as something gets better.
    fn wait(&mut self, phase: &'static str, mut done: impl FnMut(&Standing) -> bool) -> bool {
        let mut best = u32::MAX;
        let mut better_at = Instant::now();
        while !self.is_stopped() && better_at.elapsed() < STUCK {
            let standing = self.crew.standing();
            self.progress.tell(phase, self.crew.lives());
            if done(&standing) {
                return true;
            }
            let open = standing.coming + standing.asking + standing.commenting;
            if open < best {
                (best, better_at) = (open, Instant::now());
            }
            thread::sleep(LOOK);
        }
        false
    }

    fn wait_until(&mut self, phase: &'static str, at: Instant) {
        while Instant::now() < at && !self.is_stopped() {
            self.progress.tell(phase, self.crew.lives());
            thread::sleep(LOOK.min(at.saturating_duration_since(Instant::now())));
        }
    }

    fn play(&mut self) -> Result<Played, Failure> {
        let plan = self.plan;
        let server = plan.server_pid.map(Process);
        let memory = || server.and_then(Process::memory);
        let cpu = || server.and_then(Process::cpu);
        let mut played = Played::default();

        played.memory[0] = memory();
        let from = Instant::now();
        self.crew.order(|_| Order::Join {
            from,
            within: plan.ramp,
        });
        self.wait_until("coming in", from + plan.ramp);
        self.wait("coming in", |standing| standing.coming == 0);
        self.wait_until("settling", Instant::now() + SETTLE);
        played.memory[1] = memory();

        let from = Instant::now();
        let until = from + plan.seconds;
        let deltas = |crew: &Crew| Live::sum(crew.lives(), |live| &live.deltas);
        played.cpu[0] = cpu();
        played.deltas = deltas(&self.crew);
        self.crew.order(|_| Order::Measure(true));
        let comments = self.plan.comments;
        self.crew.order(|_| Order::Talk { from, until, comments });
        if plan.draw {
            self.wait_until("talking", from + plan.seconds.mul_f64(0.1));
            self.draw(&mut played)?;
        }
        if let Some(rush) = plan.rush {
            self.wait_until("talking", from + plan.seconds.mul_f64(0.4));
            self.rush(rush)?;
        }
        if plan.storm > 0 {
            self.wait_until("talking", from + plan.seconds.mul_f64(0.7));
            let away = STORM_AWAY;
            self.crew.order(|index| Order::Storm {
                viewers: share(plan.storm, index, plan.threads),
                away,
            });
            self.wait("storm", |standing| standing.coming == 0);
        }
        self.wait_until("talking", until);
        self.crew.order(|_| Order::Measure(false));
        played.talk_seconds = from.elapsed().as_secs_f64();
        played.deltas = deltas(&self.crew) - played.deltas;
        played.cpu[1] = cpu();
        played.memory[2] = memory();

        let all_answered = |standing: &Standing| standing.coming + standing.asking + standing.commenting == 0;
        self.wait("waiting for answers", all_answered);
        self.wait_for_quiet();
        if plan.rush.is_some() && !self.is_stopped() {
            self.crew.order(|_| Order::AskAgain);
            self.wait("asking again", all_answered);
            self.wait_for_quiet();
            let id = self.key("rush");
            if !self.room.own {
                self.api.close_discount(&self.room.id, &id)?;
            }
            let claims = self.api.claims(&self.room.id, &id)?;
            played.claims = Some(claims.into_iter().map(|claim| claim.code).collect());
        }
        let standing = self.crew.standing();
        if self.is_stopped() {
            self.failures.push("the run was stopped before its end".to_owned());
        }
        for (count, what) in [
            (standing.coming + standing.gone, "viewers are not there at the end"),
            (standing.commenting + standing.asking, "requests were never answered"),
        ] {
            if count > 0 {
                self.failures.push(format!("{count} {what}"));
            }
        }
        Ok(played)
    }

    /// Waits until everybody has all that anybody has, and nothing more comes.
    fn wait_for_quiet(&mut self) {
        let mut head = None;
        let mut quiet_since = Instant::now();
        // In a room with others it may never be quiet.
        let give_up = Instant::now() + if self.room.own { STUCK } else { 2 * QUIET };
        while !self.is_stopped() {
            let standing = self.crew.standing();
            self.progress.tell("waiting for quiet", self.crew.lives());
            if !standing.is_level() || standing.newest != head {
                (head, quiet_since) = (standing.newest, Instant::now());
            }
            if quiet_since.elapsed() >= QUIET {
                return;
            }
            if Instant::now() >= give_up {
                if self.room.own {
                    let Standing { lowest, newest, .. } = standing;
                    let behind = format!("viewers stay behind: at offset {lowest:?} of {newest:?}");
                    self.failures.push(behind);
                }
                return;
            }
            thread::sleep(LOOK);
        }
    }

    fn draw(&mut self, played: &mut Played) -> Result<(), Failure> {
        let id = self.key("draw");
        let rules = Rules {
            prize: "Lipstick".to_owned(),
            winners: WINNERS,
            open_ms: OPEN_MS,
            eligibility: Eligibility::Watched { ms: 1 },
            exclude_earlier_winners: false,
            who: Some(WhoCounts::Anyone),
            ask: Vec::new(),
            readers: None,
            claim_ms: None,
        };
        self.api.open_draw(&self.room.id, &id, &rules)?;
        let from = Instant::now();
        self.crew.order(|_| Order::Enter {
            draw: id.clone(),
            from,
            within: ENTER_WITHIN,
        });
        self.wait("draw", |standing| standing.asking == 0);
        self.api.lock_draw(&self.room.id, &id)?;
        let give_up = Instant::now() + STUCK;
        while Instant::now() < give_up && !self.is_stopped() {
            played.card = self.api.draw(&self.room.id, &id)?;
            if played
                .card
                .as_ref()
                .is_some_and(|card| matches!(card.phase, Phase::Revealed { .. }))
            {
                break;
            }
            self.wait_until("draw", Instant::now() + Duration::from_millis(250));
        }
        played.transcript = match self.api.transcript(&self.room.id, &id) {
            Ok(transcript) => Some(transcript),
            // An older server has none at this address: what the viewers know is enough to make it.
            Err(Problem::Refused { status: 404, .. }) => None,
            Err(problem) => return Err(problem.into()),
        };
        Ok(())
    }

    fn rush(&mut self, rush: Rush) -> Result<(), Failure> {
        let id = self.key("rush");
        self.api.open_discount(&self.room.id, &id, rush.quota)?;
        let from = Instant::now();
        let threads = self.plan.threads;
        self.crew.order(|index| Order::Claim {
            discount: id.clone(),
            askers: share(rush.askers, index, threads),
            from,
            within: RUSH_WITHIN,
        });
        self.wait("rush", |standing| standing.asking == 0);
        Ok(())
    }

    fn judge(mut self, played: &Played, tally: &Tally) -> Report {
        let told: Vec<String> = tally.faults.sentences().collect();
        self.failures.extend(told);
        if self.room.own && !self.is_stopped() {
            self.judge_comments(tally);
            self.judge_likes(tally);
        }
        let rush = self.plan.rush.map(|rush| self.judge_rush(rush, played, tally));
        let draw = self.plan.draw.then(|| self.judge_draw(played, tally));
        let storm = (self.plan.storm > 0).then(|| StormReport::new(self.plan.storm, &tally.returns));
        let server = self.plan.server_pid.map(|_| {
            let [before, idle, end] = played.memory;
            let [from, to] = played.cpu;
            ServerReport::new(
                before,
                idle,
                end,
                from.zip(to).map(|(from, to)| to - from),
                played.talk_seconds,
                self.plan.viewers,
            )
        });
        Report::new(self.plan, &self.room.id, played.talk_seconds, played.deltas, tally).with(
            rush,
            draw,
            storm,
            server,
            self.failures,
        )
    }

    /// Every acknowledged comment stands on stage as it was sent, or was left out of a sample that says so.
    fn judge_comments(&mut self, tally: &Tally) {
        let observer = &tally.observer;
        if observer.moderated {
            return;
        }
        let (accepted, shown) = (&tally.accepted, &observer.shown);
        let changed = shown.iter().filter(|(id, text)| accepted.get(id) != Some(text)).count();
        if changed > 0 {
            let what = "comments on stage are not what anybody was told to have sent";
            self.failures.push(format!("{changed} {what}"));
        }
        let told = shown.len() as u64 - observer.sampled + observer.sampled_of;
        if told != accepted.len() as u64 {
            self.failures.push(format!(
                "{} comments were acknowledged, and {told} shown or counted in a sample",
                accepted.len()
            ));
        }
    }

    /// All taps are counted; those that a broken connection may have lost can be missing.
    fn judge_likes(&mut self, tally: &Tally) {
        let (sent, counted) = (tally.taps, tally.observer.totals.likes);
        let may_be_lost = self.plan.storm > 0 || !tally.closes.is_empty();
        if counted > sent || (counted < sent && !may_be_lost) {
            self.failures
                .push(format!("{sent} likes were sent and {counted} counted"));
        }
    }

    fn judge_rush(&mut self, rush: Rush, played: &Played, tally: &Tally) -> RushReport {
        let granted: Vec<&str> = tally
            .claims
            .values()
            .filter_map(|claimed| match claimed {
                Claimed::Granted(code) => Some(code.as_str()),
                Claimed::SoldOut | Claimed::Refused(_) => None,
            })
            .collect();
        let sold_out = tally
            .claims
            .values()
            .filter(|claimed| **claimed == Claimed::SoldOut)
            .count();
        let codes: BTreeSet<&str> = granted.iter().copied().collect();
        let expected = rush.quota.min(rush.askers) as usize;
        if granted.len() != expected {
            let count = granted.len();
            self.failures
                .push(format!("{count} claims were granted instead of {expected}"));
        }
        if codes.len() != granted.len() {
            let twice = granted.len() - codes.len();
            self.failures
                .push(format!("{twice} codes were given to more than one viewer"));
        }
        let told = granted.len() + sold_out;
        if told != rush.askers as usize {
            let others = (rush.askers as usize).saturating_sub(told);
            self.failures.push(format!(
                "{others} askers were neither granted a code nor told `sold_out`"
            ));
        }
        if let Some(listed) = &played.claims {
            let listed: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
            let missing = codes.difference(&listed).count();
            let unasked = listed.difference(&codes).count();
            if missing > 0 {
                self.failures
                    .push(format!("{missing} acknowledged claims are missing in the host's list"));
            }
            if unasked > 0 && self.room.own {
                self.failures.push(format!(
                    "{unasked} claims in the host's list were acknowledged to nobody"
                ));
            }
        }
        RushReport::new(rush, granted.len(), sold_out, &tally.claiming)
    }

    fn judge_draw(&mut self, played: &Played, tally: &Tally) -> DrawReport {
        let id = self.key("draw");
        let entries = tally.entries.len();
        let mut winners = Vec::new();
        if entries != self.plan.viewers as usize {
            let viewers = self.plan.viewers;
            self.failures
                .push(format!("{entries} of {viewers} viewers had their entry acknowledged"));
        }
        match played.card.as_ref().map(|card| (card, &card.phase)) {
            Some((card, Phase::Revealed { winners: drawn, .. })) => {
                winners = drawn.iter().map(|winner| winner.entry).collect();
                if tally.observer.revealed.get(&id) != Some(drawn) {
                    self.failures
                        .push("the winners on stage are others than those in the list of draws".to_owned());
                }
                if let Err(why) = self.verify(card, played.transcript.as_ref(), tally) {
                    self.failures.push(format!("the draw cannot be verified: {why}"));
                }
            }
            _ => self.failures.push("the draw was not revealed".to_owned()),
        }
        DrawReport::new(entries, winners, &tally.entering)
    }

    /// Verifies the draw by what the viewers hold: their receipts make the list of entries.
    fn verify(&self, card: &Card, served: Option<&Transcript>, tally: &Tally) -> Result<(), String> {
        let mut leaves = BTreeMap::new();
        for (viewer, receipt) in tally.entries.values() {
            let salt = u128::from_str_radix(&receipt.salt, 16).map_err(|error| format!("a salt: {error}"))?;
            let leaf = fair::leaf(receipt.number, &salt.to_be_bytes(), *viewer);
            if leaves.insert(receipt.number, leaf).is_some() {
                return Err(format!("two entries have the number {}", receipt.number));
            }
        }
        if let Some(served) = served {
            let in_list = |(number, leaf): (&u32, _)| served.leaves.get(*number as usize - 1) == Some(leaf);
            if !leaves.iter().all(in_list) {
                return Err("an entry is not in the list that the server serves".to_owned());
            }
            fair::verify(served).map_err(|mismatch| mismatch.to_string())?;
        }
        let Phase::Revealed {
            root, seed, winners, ..
        } = &card.phase
        else {
            return Err("it was not revealed".to_owned());
        };
        if !self.room.own {
            // Others may have entered: their receipts are theirs.
            return Ok(());
        }
        let rules = CommittedRules {
            room: self.room.id.clone(),
            draw: card.id.clone(),
            opened_at: card.opened_at,
            rules: card.rules.clone(),
        };
        let transcript = Transcript {
            format: fair::FORMAT.to_owned(),
            rules: rules.text(),
            commitment: card.commitment,
            leaves: leaves.into_values().collect(),
            excluded: Vec::new(),
            root: Some(*root),
            seed: Some(*seed),
            winners: winners.iter().map(|winner| winner.entry).collect(),
            redraws: Vec::new(),
            cancelled: None,
        };
        fair::verify(&transcript)
            .map(drop)
            .map_err(|mismatch| mismatch.to_string())
    }
}

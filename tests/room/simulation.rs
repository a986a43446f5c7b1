//! Random shows: commands of all families at random times, with outages, lost batches and retries. The room must
//! agree with the model at every step, and be the same after every crash.
//!
//! `HUBBUB_SIM_SEEDS` and `HUBBUB_SIM_COMMANDS` make it longer, `HUBBUB_SIM_FIRST_SEED` begins elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use hubbub::room::audience::{Address, Arrival, Departure, GRACE_MS, Pulse, Rename, Visitor};
use hubbub::room::comment::{self, Post, SetModes};
use hubbub::room::discount::{self, AddCodes, Claim, Closes, CodeSource, Gate, Off, Prepare, Redeem, Terms, WhoCounts};
use hubbub::room::draw::{self, DrawEvent, EntryReceipt};
use hubbub::room::show::{Change, Create, Details, End, OpenDrawAtEnd, ShowEvent};
use hubbub::room::staff::{AcceptInvitation, AddStore, Invite, Rights, Role};
use hubbub::room::{
    Actor, Answer, Command, Decision, Empty, Event, Key, Luck, Offset, PersonId, Refusal, Room, RoomId, Timestamp,
    ViewerId, ViewerNo,
};

use crate::canary::Secrets;
use crate::draws::Draws;
use crate::model::{Granted, Model, Offer, Opened};

const OPERATOR: Actor = Actor::Operator(PersonId(1));
const VIEWERS: u64 = 24;
/// Short, so that random shows come across it.
const UNATTENDED_MS: u64 = 10_000;
const START: u64 = 1_790_000_000_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn random_shows_with_random_accidents_keep_every_promise() {
    let first = setting("HUBBUB_SIM_FIRST_SEED", 1);
    let seeds = setting("HUBBUB_SIM_SEEDS", 24);
    let mut seen = BTreeMap::new();
    for seed in first..first + seeds {
        println!("seed {seed}");
        let mut simulation = Simulation::new(seed);
        simulation.run(setting("HUBBUB_SIM_COMMANDS", 600));
        for (what, times) in simulation.seen {
            *seen.entry(what).or_insert(0) += times;
        }
    }
    println!("{seen:?}");
    for what in EXPECTED.iter().filter(|_| seeds >= 20) {
        assert!(seen.contains_key(*what), "no show had: {what}");
    }
}

/// What random shows must come across to be worth anything.
const EXPECTED: &[&str] = &[
    "granted",
    "granted again",
    "claim: closed",
    "claim: limit_reached",
    "claim: not_open",
    "claim: sold_out",
    "claim: store_only",
    "claim: too_many_here",
    "claim: watch_longer",
    "redemption: already_used",
    "redemption: expired",
    "redemption: ok",
    "redemption: not_live",
    "redemption: unknown",
    "commented",
    "commented again",
    "entered",
    "entered again",
    "winners revealed",
    "pulse again",
    "lost batch",
    "show ended",
    "without staff",
    "summed up",
];

#[test]
fn the_same_seed_gives_the_same_show() {
    play_twice(77, 300);
}

/// Plays the show of a seed twice, and gives what it came across: log and room are the same both times, and at its
/// end the log alone gives the room.
pub(crate) fn play_twice(seed: u64, commands: u64) -> BTreeMap<String, u32> {
    let [one, other] = [(); 2].map(|()| {
        let mut simulation = Simulation::new(seed);
        simulation.run(commands);
        simulation
    });
    assert_eq!(one.log, other.log, "seed {seed}");
    let room = |simulation: &Simulation| serde_json::to_vec(&simulation.room).unwrap();
    assert_eq!(room(&one), room(&other), "seed {seed}");
    one.seen
}

/// A process with viewers' connections.
struct Shell {
    node: u32,
    run: u64,
    number: u64,
    /// Who is connected, since when.
    online: BTreeMap<ViewerId, u64>,
    forget_at: Option<u64>,
    last: Option<Pulse>,
    /// A page of the staff is open.
    staffed: bool,
}

struct Simulation {
    dice: Luck,
    now: u64,
    room: Room,
    log: Vec<(Event, u64)>,
    /// A restarted server gives its viewers time to come back before it fires deadlines.
    held_until: u64,
    model: Model,
    draws: Draws,
    secrets: Secrets,
    checked: usize,
    shells: [Shell; 2],
    visitors: Vec<Visitor>,
    staff: Vec<Actor>,
    shop: Actor,
    comments: BTreeMap<(ViewerId, String), Offset>,
    comments_count: u64,
    entries: BTreeMap<(ViewerId, Key), EntryReceipt>,
    draws_opened: u64,
    last_draw: Option<Key>,
    summed_up: bool,
    seen: BTreeMap<String, u32>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let mut dice = Luck::new(bytes);
        let visitors = (0..VIEWERS).map(|n| visitor(n, &mut dice)).collect();
        let shells = [1, 2].map(|node| Shell {
            node,
            run: dice.below(u64::MAX),
            number: 0,
            online: BTreeMap::new(),
            forget_at: None,
            last: None,
            staffed: false,
        });
        let mut simulation = Self {
            dice,
            now: START,
            room: Room::new(RoomId::new("show").unwrap()),
            log: Vec::new(),
            held_until: 0,
            model: Model::default(),
            draws: Draws::default(),
            secrets: Secrets::default(),
            checked: 0,
            shells,
            visitors,
            staff: vec![OPERATOR],
            shop: OPERATOR,
            comments: BTreeMap::new(),
            comments_count: 0,
            entries: BTreeMap::new(),
            draws_opened: 0,
            last_draw: None,
            summed_up: false,
            seen: BTreeMap::new(),
        };
        simulation.hire();
        simulation
    }

    fn hire(&mut self) {
        let details = Details {
            title: "Lipsticks".into(),
            host: "Lina".into(),
            ..Details::default()
        };
        self.must(&OPERATOR, Command::Create(Create { details }));
        for (id, role) in [
            ("h", Role::Host),
            ("a", Role::Assistant(Rights::Actions)),
            ("c", Role::Assistant(Rights::Comments)),
        ] {
            let invite = Invite {
                id: key(id),
                role,
                name: format!("Staff {id}"),
                valid_ms: None,
            };
            let Answer::Invited { code, .. } = self.must(&OPERATOR, Command::Invite(invite)) else {
                panic!("not an invitation");
            };
            let stranger = Actor::Viewer(self.visitors[0].clone());
            let Answer::Joined { person, .. } =
                self.must(&stranger, Command::AcceptInvitation(AcceptInvitation { code }))
            else {
                panic!("did not join");
            };
            self.staff.push(Actor::Staff(person));
        }
        let Answer::Joined { person, .. } = self.must(&OPERATOR, Command::AddStore(AddStore { name: "Shop".into() }))
        else {
            panic!("did not join");
        };
        self.shop = Actor::Staff(person);
    }

    fn run(&mut self, commands: u64) {
        self.must(&OPERATOR, Command::Start(Empty {}));
        for step in 0..commands {
            if step == commands * 9 / 10 && self.chance(2) {
                let end = End {
                    grace_ms: self.roll(2) * 60_000,
                    open_draw: Some(OpenDrawAtEnd::Draw),
                };
                self.ask(&OPERATOR, &Command::End(end));
            }
            self.pass_time(step * 10 > commands * 9);
            self.step();
            if step % 50 == 0 {
                self.check_all();
            }
        }
        self.crash();
        self.check_all();
    }

    fn roll(&mut self, bound: u64) -> u64 {
        self.dice.below(bound)
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.roll(one_in) == 0
    }

    fn saw(&mut self, what: impl Into<String>) {
        *self.seen.entry(what.into()).or_default() += 1;
    }

    fn luck(&mut self) -> Luck {
        Luck::new(self.dice.bytes())
    }

    fn pass_time(&mut self, near_the_end: bool) {
        self.now += match self.roll(200) {
            0..100 => 0,
            100..160 => self.roll(100),
            160..196 => self.roll(1_000),
            196..199 => self.roll(20_000),
            _ if near_the_end => self.roll(3_600_000),
            _ => self.roll(90_000),
        };
    }

    /// Fires what is due, then decides. `None` when the batch was lost: certainly not written.
    fn ask(&mut self, actor: &Actor, command: &Command) -> Option<Result<Decision, Refusal>> {
        let now = Timestamp(self.now);
        let due = self.room.next_deadline().is_some_and(|due| due <= now);
        if due && self.now >= self.held_until {
            let mut luck = self.luck();
            let mut before = self.room.clone();
            for event in self.room.fire_due(now, &mut luck) {
                before.apply(&event, now);
                self.note(event);
            }
            assert!(self.room.next_deadline().is_none_or(|due| due > now), "still due");
            assert_eq!(before, self.room, "what was fired is what was applied");
        }
        if self.now >= self.held_until {
            let alone = self.room.unattended_since().map(|since| since.0);
            assert_eq!(
                alone,
                self.model.unattended_since(self.now, UNATTENDED_MS),
                "without staff"
            );
            if alone.is_some() {
                self.saw("without staff");
            }
        }
        let seed = self.dice.bytes();
        let decided = self.room.decide(actor, command, now, &mut Luck::new(seed));
        let again = self.room.decide(actor, command, now, &mut Luck::new(seed));
        assert_eq!(decided, again, "a decision depends on nothing else");
        if self.chance(25) {
            self.saw("lost batch");
            return None;
        }
        for event in decided.iter().flat_map(|decision| decision.events.clone()) {
            self.room.apply(&event, now);
            self.note(event);
        }
        Some(decided)
    }

    /// A command that must succeed, asked until it was not lost.
    fn must(&mut self, actor: &Actor, command: Command) -> Answer {
        loop {
            if let Some(decided) = self.ask(actor, &command) {
                return decided
                    .unwrap_or_else(|refusal| panic!("{command:?}: {refusal}"))
                    .answer;
            }
        }
    }

    fn note(&mut self, event: Event) {
        self.model.happened(&event, self.now);
        if let Event::Audience(hubbub::room::audience::AudienceEvent::Met { id, .. }) = &event {
            self.model.known.insert(*id);
        }
        if let Event::Draw(event) = &event {
            self.draws.happened(event);
        }
        match &event {
            Event::Draw(DrawEvent::Revealed { winners, .. }) if !winners.is_empty() => self.saw("winners revealed"),
            Event::Draw(DrawEvent::Opened { card, .. }) => {
                self.draws_opened += 1;
                self.last_draw = Some(card.id.clone());
            }
            Event::Show(ShowEvent::Ended { .. }) => self.saw("show ended"),
            Event::Show(ShowEvent::SummedUp { summary }) => {
                assert_eq!(*summary, self.room.summary(Timestamp(self.now)), "the numbers");
                assert!(!std::mem::replace(&mut self.summed_up, true), "told twice");
                self.saw("summed up");
            }
            _ => {}
        }
        self.secrets.happened(&event, &self.room);
        self.log.push((event, self.now));
    }

    fn step(&mut self) {
        match self.roll(100) {
            0..5 => self.show(),
            5..25 => self.pulse(),
            25..40 => self.comment(),
            40..45 => self.moderate(),
            45..57 => self.draw(),
            57..67 => self.discount(),
            67..87 => self.claim(),
            87..95 => self.redeem(),
            95..98 => self.trespass(),
            98 => self.rename(),
            _ => self.crash(),
        }
    }

    fn show(&mut self) {
        let command = match self.roll(12) {
            0..4 => Command::Pause(Empty {}),
            4..9 => Command::Resume(Empty {}),
            9 => Command::UndoEnd(Empty {}),
            10 if self.chance(4) => Command::End(End {
                grace_ms: self.roll(2) * 60_000,
                open_draw: [None, Some(OpenDrawAtEnd::Draw), Some(OpenDrawAtEnd::Cancel)][self.roll(3) as usize],
            }),
            _ => Command::Change(Change {
                title: Some(format!("Lipsticks {}", self.roll(9))),
                ..Change::default()
            }),
        };
        self.ask(&OPERATOR, &command);
    }

    // Audience

    fn pulse(&mut self) {
        let which = self.roll(2) as usize;
        let pulse = match &self.shells[which].last {
            Some(last) if self.dice.below(8) == 0 => last.clone(),
            _ => self.next_pulse(which),
        };
        let duplicate = self.model.is_duplicate(&pulse);
        let likes = self.room.audience.totals.likes;
        let Some(decided) = self.ask(&Actor::Server, &Command::Pulse(pulse.clone())) else {
            return;
        };
        let decision = decided.expect("a pulse is never refused");
        let shell = &mut self.shells[which];
        if shell.run == pulse.run && pulse.number > shell.number {
            shell.number = pulse.number;
            for arrival in &pulse.arrived {
                shell.online.insert(arrival.id, arrival.at.0);
            }
            for departure in &pulse.left {
                let came = shell.online.get(&departure.id).copied();
                if came.is_some_and(|came| came <= departure.at.0) {
                    shell.online.remove(&departure.id);
                }
            }
            if pulse.forget_earlier_runs_at.is_some() {
                shell.forget_at = None;
            }
            shell.staffed = pulse.staffed;
            shell.last = Some(pulse.clone());
        }
        if duplicate {
            assert_eq!(decision.events, [], "a pulse counts once");
            self.saw("pulse again");
            return;
        }
        if decision.events.is_empty() {
            assert_eq!(pulse.taps.min(u64::from(!self.model.ended)), 0);
            return;
        }
        self.model.pulsed(&pulse, self.now);
        assert!(self.room.audience.totals.likes >= likes, "likes never go backwards");
        self.check_audience();
    }

    fn next_pulse(&mut self, which: usize) -> Pulse {
        let mut arrived = Vec::new();
        let mut left = Vec::new();
        for _ in 0..self.roll(4) {
            let visitor = self.any_visitor();
            let shell = &self.shells[which];
            let gone = left.iter().any(|departure: &Departure| departure.id == visitor.id);
            let came = arrived.iter().any(|arrival: &Arrival| arrival.id == visitor.id);
            match shell.online.get(&visitor.id).copied() {
                None if !came => {
                    let at = self.now - self.dice.below(1_500);
                    let at = Timestamp(at);
                    arrived.push(Arrival {
                        id: visitor.id,
                        name: visitor.name,
                        store: visitor.store,
                        address: Some(visitor.address.key),
                        at,
                    });
                }
                Some(since) if !gone => {
                    let at = Timestamp(since.max(self.now - self.dice.below(2 * GRACE_MS)));
                    left.push(Departure { id: visitor.id, at });
                }
                _ => {}
            }
        }
        arrived.sort_by_key(|arrival| arrival.at);
        left.sort_by_key(|departure| departure.at);
        let taps = if self.chance(2) { self.roll(60) } else { 0 };
        let staffed = self.shells[which].staffed != self.chance(6);
        let shell = &self.shells[which];
        Pulse {
            node: shell.node,
            run: shell.run,
            number: shell.number + 1,
            taps,
            arrived,
            left,
            staffed,
            unattended_ms: UNATTENDED_MS,
            forget_earlier_runs_at: shell.forget_at.filter(|at| *at <= self.now).map(Timestamp),
        }
    }

    fn check_audience(&self) {
        let totals = &self.room.audience.totals;
        assert_eq!(totals.watching as usize, self.model.watching, "watching now");
        assert_eq!(totals.viewers as usize, self.model.viewers, "viewers");
        assert_eq!(totals.likes, self.model.likes, "likes");
        let peak = self.room.audience.peak.map_or(0, |(peak, _)| peak);
        assert_eq!(peak as usize, self.model.peak, "peak");
        if self.now >= self.held_until {
            let open = self.model.offers.iter().filter(|(_, offer)| offer.is_open(self.now));
            let remaining: BTreeMap<_, _> = open
                .map(|(id, offer)| (id.clone(), offer.terms.quota - offer.grants.len() as u32))
                .collect();
            assert_eq!(totals.remaining, remaining);
        }
    }

    fn check_watch_time(&self) {
        let mut total = 0;
        for visitor in &self.visitors {
            let Some(number) = self.room.audience.number(visitor.id) else {
                continue;
            };
            let watched = self.room.audience.watched_ms(number, Timestamp(self.now));
            let expected = self.model.watched_ms(visitor.id, self.now);
            // Who came and left again between an end that fell into an outage and its event was counted.
            let most = expected + self.model.ended_late_ms;
            assert!(
                (expected..=most).contains(&watched),
                "{number:?}: {watched}, not {expected}"
            );
            total += watched;
        }
        assert_eq!(
            self.room.audience.watched_ms_total(Timestamp(self.now)),
            total,
            "of all"
        );
    }

    fn rename(&mut self) {
        let name = ["Staff h", "Mia", "LINA", "", "\u{202e}"][self.roll(5) as usize];
        let viewer = self.any_viewer();
        self.ask(&viewer, &Command::Rename(Rename { name: name.into() }));
        let staff = ["Lina", "Staff h", "Staff a", "Staff c"];
        let taken = self
            .room
            .audience
            .viewers
            .iter()
            .find(|viewer| staff.contains(&viewer.name.as_str()));
        assert_eq!(taken, None, "a viewer has the name of staff");
    }

    // Comments

    fn comment(&mut self) {
        let visitor = self.any_visitor();
        // Fewer than the nonces that are kept of each viewer; the same nonce comes with the same text.
        let n = self.roll(24);
        let nonce = format!("n{n}");
        let text = ["hello", "the red one", "me", "how much?"][n as usize % 4];
        let post = Post {
            nonce: nonce.clone(),
            text: text.into(),
        };
        let known = self.comments.get(&(visitor.id, nonce.clone())).copied();
        let asked = self.ask(&Actor::Viewer(visitor.clone()), &Command::Comment(post));
        match asked {
            Some(Ok(Decision {
                events,
                answer: Answer::Comment { comment, .. },
            })) => match known {
                Some(first) => {
                    assert_eq!((comment, events), (first, Vec::new()), "a retry does not post twice");
                    self.saw("commented again");
                }
                None => {
                    self.saw("commented");
                    self.comments_count += 1;
                    self.comments.insert((visitor.id, nonce), comment);
                }
            },
            Some(Ok(decision)) => panic!("not a comment: {decision:?}"),
            Some(Err(refusal)) => assert_eq!(known, None, "a retry was refused: {refusal}"),
            None => {}
        }
        assert_eq!(self.room.comments.posted, self.comments_count);
    }

    fn moderate(&mut self) {
        let viewer = ViewerNo(1 + self.roll(VIEWERS) as u32);
        let comment = self.room.head.saturating_sub(self.roll(60));
        let command = match self.roll(8) {
            0 => Command::Delete(comment::Delete { comment }),
            1 => Command::DeleteAll(comment::DeleteAll { viewer }),
            2 => Command::Restore(comment::Restore { deletion: comment }),
            3 => Command::Mute(comment::Mute { viewer, for_ms: 10_000 }),
            4 => Command::Unmute(comment::Unmute { viewer }),
            5 => Command::Pin(comment::Pin {
                comment,
                for_ms: Some(5_000),
            }),
            6 => Command::Unpin(Empty {}),
            _ => Command::SetModes(SetModes {
                slow_ms: Some(self.roll(2) * 2_000),
                comments_off: Some(self.chance(8)),
            }),
        };
        let staff = self.any_staff();
        self.ask(&staff, &command);
    }

    // Draws

    fn draw(&mut self) {
        let id = match &self.last_draw {
            Some(last) if self.dice.below(2) == 0 => last.clone(),
            _ => key(&format!("draw{}", self.draws_opened + self.dice.below(2))),
        };
        let by_id = draw::ById { draw: id.clone() };
        let command = match self.roll(24) {
            0..3 => Command::PrepareDraw(draw::Prepare {
                id,
                rules: self.rules(),
            }),
            3..6 => Command::OpenDraw(by_id),
            6 => Command::LockDraw(by_id),
            7 if self.chance(3) => Command::CancelDraw(draw::Cancel {
                draw: id,
                reason: "a mistake".into(),
            }),
            8 => Command::StrikeEntry(draw::Strike {
                draw: id,
                entry: 1 + self.roll(5) as u32,
                reason: "a robot".into(),
            }),
            9 => Command::Redraw(by_id),
            10 => Command::RemoveDraw(by_id),
            11 => Command::MarkSent(draw::MarkSent {
                draw: id,
                entry: 1 + self.roll(5) as u32,
                sent: true,
            }),
            12 => {
                let viewer = self.any_viewer();
                let claim = draw::ClaimPrize {
                    draw: id,
                    contact: BTreeMap::new(),
                };
                self.ask(&viewer, &Command::ClaimPrize(claim));
                return;
            }
            _ => return self.enter(id),
        };
        let staff = self.any_staff();
        self.ask(&staff, &command);
    }

    fn rules(&mut self) -> draw::Rules {
        draw::Rules {
            prize: "a lipstick".into(),
            winners: 1 + self.roll(4) as u32,
            open_ms: 5_000 + self.roll(30_000),
            eligibility: match self.roll(3) {
                0 => draw::Eligibility::Present {},
                1 => draw::Eligibility::Phrase { phrase: "me".into() },
                _ => draw::Eligibility::Watched {
                    ms: 1 + self.roll(5_000),
                },
            },
            exclude_earlier_winners: self.chance(2),
            who: self.who(),
            ask: Vec::new(),
            readers: None,
            claim_ms: None,
        }
    }

    fn enter(&mut self, id: Key) {
        let visitor = self.any_visitor();
        let known = self.entries.get(&(visitor.id, id.clone())).cloned();
        let command = Command::EnterDraw(draw::ById { draw: id.clone() });
        match self.ask(&Actor::Viewer(visitor.clone()), &command) {
            Some(Ok(Decision {
                events,
                answer: Answer::Entry(receipt),
            })) => match known {
                Some(first) => {
                    assert_eq!((receipt, events), (first, Vec::new()), "an entry counts once");
                    self.saw("entered again");
                }
                None => {
                    self.saw("entered");
                    self.entries.insert((visitor.id, id), receipt);
                }
            },
            Some(Ok(decision)) => panic!("not an entry: {decision:?}"),
            Some(Err(refusal)) => assert_eq!(known, None, "a retry was refused: {refusal}"),
            None => {}
        }
    }

    // Discounts

    fn discount(&mut self) {
        let id = self.next_discount();
        match self.roll(12) {
            0..5 => self.prepare(id),
            5..7 => self.add_codes(id),
            7..10 => self.open(id),
            10 => self.close(),
            _ => {
                let remove = Command::RemoveDiscount(discount::ById { discount: id.clone() });
                if let Some(Ok(_)) = self.ask(&OPERATOR, &remove) {
                    let removed = self.model.offers.remove(&id).expect("known");
                    assert!(removed.opened.is_none());
                }
            }
        }
    }

    fn close(&mut self) {
        let id = self.any_discount();
        let close = Command::CloseDiscount(discount::ById { discount: id.clone() });
        if let Some(Ok(_)) = self.ask(&OPERATOR, &close) {
            let offer = self.model.offers.get_mut(&id).expect("known");
            offer.opened.as_mut().expect("opened").closed = true;
        }
    }

    fn prepare(&mut self, id: Key) {
        let terms = Terms {
            title: "10 % off".into(),
            off: Off::Percent(10),
            items: None,
            quota: 1 + self.roll(12) as u32,
            per_viewer: 1 + self.roll(3) as u32,
            closes: match self.roll(3) {
                0 => Closes::WithShow,
                1 => Closes::At(Timestamp(self.now + self.roll(60_000))),
                _ => Closes::AfterMs(1_000 + self.roll(60_000)),
            },
            use_before: self.chance(4).then_some(Timestamp(self.now + 1 + self.roll(120_000))),
            gate: self.chance(3).then_some(Gate::Watched {
                ms: 1 + self.roll(3_000),
            }),
            who: self.who(),
            link: None,
        };
        let codes = match self.roll(3) {
            0 => CodeSource::Shared {
                code: format!("SHARED-{id}"),
            },
            1 => CodeSource::Pasted {},
            _ => CodeSource::Generated {},
        };
        let prepare = Prepare {
            id: id.clone(),
            terms: terms.clone(),
            codes: codes.clone(),
        };
        if let Some(Ok(_)) = self.ask(&OPERATOR, &Command::PrepareDiscount(prepare)) {
            let known = self.model.offers.remove(&id);
            assert!(
                known.as_ref().is_none_or(|known| known.opened.is_none()),
                "changed when open"
            );
            let kept = known.filter(|known| known.source == codes).map(|known| known.codes);
            let mut codes_now = kept.unwrap_or_default();
            if codes != (CodeSource::Pasted {}) {
                let listed = self.room.discounts.codes(&id).expect("prepared");
                let same = codes_now.len().min(listed.len());
                assert_eq!(codes_now[..same], listed[..same], "a change keeps the codes");
                codes_now = listed;
            }
            let offer = Offer {
                terms,
                source: codes,
                codes: codes_now,
                opened: None,
                grants: Vec::new(),
                uses: Vec::new(),
            };
            self.model.offers.insert(id.clone(), offer);
            if self.chance(2) {
                self.open(id);
            }
        }
    }

    fn add_codes(&mut self, discount: Key) {
        let codes: Vec<_> = (0..self.roll(8))
            .map(|_| format!("PASTED-{discount}-{:02}", self.dice.below(30)))
            .collect();
        let add = AddCodes {
            discount: discount.clone(),
            codes: codes.clone(),
        };
        if let Some(Ok(_)) = self.ask(&OPERATOR, &Command::AddCodes(add)) {
            let offer = self.model.offers.get_mut(&discount).expect("known");
            for code in codes {
                if !offer.codes.contains(&code) {
                    offer.codes.push(code);
                }
            }
            assert_eq!(self.room.discounts.codes(&discount), Some(offer.codes.clone()));
        }
    }

    fn open(&mut self, id: Key) {
        let Some(decided) = self.ask(
            &OPERATOR,
            &Command::OpenDiscount(discount::ById { discount: id.clone() }),
        ) else {
            return;
        };
        let held = self.now < self.held_until;
        let open = self
            .model
            .offers
            .values()
            .filter(|offer| offer.is_open(self.now))
            .count();
        if decided.is_err() {
            return;
        }
        let offer = self.model.offers.get_mut(&id).expect("known");
        if offer.opened.is_some() {
            assert!(held || offer.is_open(self.now), "opened again");
            return;
        }
        assert!(open < 5, "a sixth was opened");
        if offer.source == (CodeSource::Pasted {}) {
            assert!(
                offer.codes.len() >= offer.terms.quota as usize,
                "more promised than there is"
            );
        }
        let closes_at = match offer.terms.closes {
            Closes::AfterMs(ms) => Some(self.now + ms),
            Closes::At(at) => Some(at.0),
            Closes::WithShow => None,
        };
        let use_before = offer.terms.use_before.map(|until| until.0);
        let closes_at = closes_at.into_iter().chain(use_before).min();
        offer.opened = Some(Opened {
            closes_at,
            closed: false,
        });
    }

    fn claim(&mut self) {
        let visitor = self.any_visitor();
        let discount = self.any_discount();
        let unit = [1, 1, 1, 1, 1, 2, 2, 3, 4, 0][self.roll(10) as usize];
        let claim = Claim {
            discount: discount.clone(),
            unit,
        };
        let Some(decided) = self.ask(&Actor::Viewer(visitor.clone()), &Command::Claim(claim)) else {
            return;
        };
        let expected = self.model.claim(&visitor, &discount, unit, self.now);
        let got = match decided {
            Err(refusal) => Err(refusal.code()),
            Ok(Decision {
                events,
                answer: Answer::Claim(claim),
            }) if events.is_empty() => Ok(Granted::Again(claim.code)),
            Ok(Decision {
                answer: Answer::Claim(claim),
                ..
            }) => Ok(Granted::New(claim.code)),
            Ok(decision) => panic!("not a claim: {decision:?}"),
        };
        assert_eq!(got, expected, "{visitor:?} claims {discount} {unit}");
        self.saw(match &got {
            Ok(Granted::New(_)) => "granted".into(),
            Ok(Granted::Again(_)) => "granted again".into(),
            Err(refusal) => format!("claim: {refusal}"),
        });
        if let Ok(Granted::New(code)) = got {
            self.model.granted(&visitor, &discount, unit, code);
        }
    }

    fn redeem(&mut self) {
        let id = self.any_discount();
        let offer = self.model.offers.get(&id);
        let codes = offer.map_or(&[][..], |offer| &offer.codes);
        // Mostly codes that somebody has.
        let places = offer.map_or(0, |offer| offer.grants.len() as u64) + 2;
        let place = self.dice.below(places) as usize;
        let code = codes
            .get(place)
            .map_or("NOBODYS".to_owned(), |code| code.to_lowercase().replace('-', " "));
        let order = (!self.chance(4)).then(|| format!("order{}", self.roll(12)));
        let redeem = Redeem {
            code: code.clone(),
            order: order.clone(),
        };
        let shop = self.shop.clone();
        let Some(decided) = self.ask(&shop, &Command::Redeem(redeem)) else {
            return;
        };
        let Answer::Redemption(redemption) = decided.expect("an answer").answer else {
            panic!("not a redemption");
        };
        let outcome = serde_json::to_value(redemption.outcome).unwrap();
        let (expected, new) = self.model.redeem(&code, order.as_deref(), self.now);
        assert_eq!(outcome, expected, "{code} for {order:?}");
        self.saw(format!("redemption: {expected}"));
        if let Some(((id, place), order)) = new.zip(order) {
            let offer = self.model.offers.get_mut(&id).expect("known");
            offer.uses.push((place, order));
        }
    }

    /// Somebody tries what is not theirs.
    fn trespass(&mut self) {
        let viewer = self.any_viewer();
        let discount = self.any_discount();
        let command = match self.roll(4) {
            0 => Command::OpenDiscount(discount::ById { discount }),
            1 => Command::Pulse(Pulse::default()),
            2 => Command::Redeem(Redeem {
                code: "A".into(),
                order: None,
            }),
            _ => Command::End(End::default()),
        };
        let decided = self.ask(&viewer, &command);
        assert!(matches!(decided, None | Some(Err(Refusal::NotAllowed))), "{command:?}");
        let shop = self.shop.clone();
        let decided = self.ask(&shop, &Command::Start(Empty {}));
        assert!(matches!(decided, None | Some(Err(Refusal::NotAllowed))));
    }

    // Accidents

    /// The process dies: the room is made again from its log, once from the first event and once from a snapshot
    /// in between, and its viewers have to be reported again.
    fn crash(&mut self) {
        let taken = self.roll(self.log.len() as u64 + 1) as usize;
        let mut folded = Room::new(self.room.id.clone());
        let mut restored = None;
        for (place, (event, at)) in self.log.iter().enumerate() {
            if place == taken {
                let snapshot = serde_json::to_string(&folded).unwrap();
                restored = Some(serde_json::from_str::<Room>(&snapshot).unwrap());
            }
            let record = serde_json::to_string(event).unwrap();
            let read: Event = serde_json::from_str(&record).unwrap();
            assert_eq!(read, *event, "an event is read as it was written");
            folded.apply(&read, Timestamp(*at));
            if let Some(restored) = &mut restored {
                restored.apply(&read, Timestamp(*at));
            }
        }
        assert_eq!(folded, self.room, "the log gives the room");
        if let Some(restored) = restored {
            assert_eq!(restored, self.room, "a snapshot and the rest of the log give the room");
        }
        self.room = folded;
        self.now += self.roll(30_000);
        if self.chance(2) {
            self.held_until = self.now + GRACE_MS;
        }
        let both = self.chance(2);
        for which in 0..if both { 2 } else { 1 } {
            let shell = &mut self.shells[which];
            shell.run = self.dice.below(u64::MAX);
            shell.number = 0;
            shell.online.clear();
            shell.last = None;
            shell.staffed = false;
            shell.forget_at = Some(self.now + GRACE_MS);
        }
    }

    fn check_all(&mut self) {
        self.check_watch_time();
        let viewers: Vec<_> = self.visitors.iter().map(|visitor| visitor.id).collect();
        self.secrets.check_room(&self.room, Timestamp(self.now), &viewers);
        for (place, (event, at)) in self.log.iter().enumerate().skip(self.checked) {
            self.secrets.check_event(event, place as Offset + 1, Timestamp(*at));
        }
        self.checked = self.log.len();
        for (id, offer) in &self.model.offers {
            assert!(offer.grants.len() <= offer.terms.quota as usize, "oversold");
            let rows: Vec<_> = self.room.discounts.claims(&self.room, id).expect("known").collect();
            let different: BTreeSet<_> = rows.iter().map(|row| &row.code).collect();
            let shared = matches!(offer.source, CodeSource::Shared { .. });
            assert!(shared || different.len() == rows.len(), "two have the same code");
            let codes: Vec<_> = rows.iter().map(|row| &row.code).collect();
            assert_eq!(codes, offer.grants.iter().map(|grant| &grant.code).collect::<Vec<_>>());
        }
    }

    // Somebody and something

    fn any_visitor(&mut self) -> Visitor {
        let n = self.roll(VIEWERS) as usize;
        self.visitors[n].clone()
    }

    fn any_viewer(&mut self) -> Actor {
        Actor::Viewer(self.any_visitor())
    }

    fn any_staff(&mut self) -> Actor {
        let n = self.roll(self.staff.len() as u64) as usize;
        self.staff[n].clone()
    }

    /// One that is open, or was opened lately, or is the next.
    fn any_discount(&mut self) -> Key {
        let open = self.model.offers.iter().filter(|(_, offer)| offer.is_open(self.now));
        let open: Vec<_> = open.map(|(id, _)| id.clone()).collect();
        if open.is_empty() || self.chance(3) {
            let back = self.roll(5);
            return deal(self.model.opened().saturating_sub(back));
        }
        let which = self.roll(open.len() as u64) as usize;
        open[which].clone()
    }

    fn next_discount(&mut self) -> Key {
        deal(self.model.opened())
    }

    fn who(&mut self) -> Option<WhoCounts> {
        match self.roll(4) {
            0 => None,
            1 => Some(WhoCounts::StoreOnly),
            2 => Some(WhoCounts::AddressCeiling(1 + self.roll(3) as u32)),
            _ => Some(WhoCounts::Anyone),
        }
    }
}

fn visitor(n: u64, dice: &mut Luck) -> Visitor {
    let address = dice.below(4);
    Visitor {
        id: ViewerId(dice.u128()),
        name: ["Ann", "Lina", "", "Bo", "staff  A"][n as usize % 5].into(),
        store: dice.below(3) == 0,
        address: Address {
            key: address,
            masked: format!("10.0.{address}.x"),
        },
    }
}

fn deal(n: u64) -> Key {
    key(&format!("deal{n:03}"))
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

use super::super::audience::{Arrival, Departure, Pulse, Visitor};
use super::super::comment::{Mute, Post};
use super::super::fair::{self, Mismatch, Transcript, Why};
use super::super::show::{Create, Details, End, OpenDrawAtEnd};
use super::super::{Actor, Answer, Command, Empty, Event, Luck, PersonId, Refusal, Room, RoomId, ViewerId};
use super::*;

const HOST: Actor = Actor::Operator(PersonId(1));

/// A show and the people of a scenario; what was answered stands in [`Scene::said`].
struct Scene {
    room: Room,
    /// Each event with the time of its batch.
    log: Vec<(Event, Timestamp)>,
    commands: u64,
    said: String,
}

impl Scene {
    fn new() -> Self {
        let mut scene = Self::draft();
        scene.ask(&HOST, Command::Start(Empty {}), 0).unwrap();
        scene
    }

    fn draft() -> Self {
        let mut scene = Self {
            room: Room::new(RoomId::new("show").unwrap()),
            log: Vec::new(),
            commands: 0,
            said: String::new(),
        };
        let details = Details {
            title: "Lipsticks".into(),
            host: "Lina".into(),
            ..Details::default()
        };
        scene.ask(&HOST, Command::Create(Create { details }), 0).unwrap();
        scene
    }

    fn luck(&mut self) -> Luck {
        self.commands += 1;
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&self.commands.to_be_bytes());
        Luck::new(bytes)
    }

    fn ask(&mut self, actor: &Actor, command: Command, now: u64) -> Result<Answer, Refusal> {
        let mut luck = self.luck();
        self.wait(now);
        let decision = self.room.decide(actor, &command, Timestamp(now), &mut luck)?;
        for event in decision.events {
            self.room.apply(&event, Timestamp(now));
            self.log.push((event, Timestamp(now)));
        }
        Ok(decision.answer)
    }

    /// Fires what is due by then, each in its time.
    fn wait(&mut self, now: u64) {
        while let Some(due) = self.room.next_deadline().filter(|due| due.0 <= now) {
            self.fire(due);
        }
    }

    fn fire(&mut self, now: Timestamp) {
        let mut luck = self.luck();
        let fired = self.room.fire_due(now, &mut luck);
        self.log.extend(fired.into_iter().map(|event| (event, now)));
    }

    /// `gift winners=2 open=60 phrase=666 watched=60 claim=3600 who=3 ask=phone,name exclude=yes`
    fn prepare(&mut self, words: &[&str], now: u64) -> Result<Answer, Refusal> {
        let mut rules = rules();
        for word in &words[1..] {
            let (name, value) = word.split_once('=').unwrap();
            let number = || value.parse::<u64>().unwrap();
            match name {
                "winners" => rules.winners = number() as u32,
                "open" => rules.open_ms = number() * 1_000,
                "watched" => rules.eligibility = Eligibility::Watched { ms: number() * 1_000 },
                "phrase" => rules.eligibility = Eligibility::Phrase { phrase: value.into() },
                "present" => rules.eligibility = Eligibility::Present {},
                "claim" => rules.claim_ms = Some(number() * 1_000),
                "who" if value == "store" => rules.who = Some(WhoCounts::StoreOnly),
                "who" => rules.who = Some(WhoCounts::AddressCeiling(number() as u32)),
                "exclude" => rules.exclude_earlier_winners = true,
                "ask" => {
                    rules.ask = value.split(',').map(ask).collect();
                    rules.readers = Some("The shop reads it.".into());
                }
                _ => panic!("what is {name}?"),
            }
        }
        let id = key(words[0]);
        self.ask(&HOST, Command::PrepareDraw(Prepare { id, rules }), now)
    }

    fn transcript(&self, draw: &str) -> Transcript {
        self.room.transcript(&key(draw)).unwrap()
    }

    /// Entries that hold a prize.
    fn winners(&self, draw: &str) -> Vec<u32> {
        let draws = self.room.draws.summaries();
        let draw = draws.into_iter().find(|summary| summary.id == key(draw)).unwrap();
        draw.winners.iter().map(|winner| winner.entry).collect()
    }

    /// `gift.1` is the first winner of the draw `gift`, `gift.0` somebody who did not win.
    fn person(&self, who: &str) -> String {
        let Some((draw, place)) = who.split_once('.') else {
            return who.to_owned();
        };
        let winners = self.winners(draw);
        let entry = match place.parse::<usize>().unwrap() {
            0 => (1..).find(|entry| !winners.contains(entry)).unwrap(),
            place => winners[place - 1],
        };
        let draw = self.room.draws.find(&key(draw)).unwrap();
        let viewer = draw.entry(entry).unwrap().viewer;
        self.room.audience.viewer(viewer).unwrap().name.as_str().to_owned()
    }

    fn does(&mut self, who: &str, what: &[&str], now: u64) -> Result<Answer, Refusal> {
        self.wait(now);
        let who = &self.person(who);
        let by_id = |draw| ById { draw: key(draw) };
        let command = match what {
            ["prepares", draw @ ..] => return self.prepare(draw, now),
            ["comes"] => return self.ask(&Actor::Server, arrives(self.commands, &visitor(who), now), now),
            ["leaves"] => return self.ask(&Actor::Server, leaves(self.commands, &visitor(who), now), now),
            ["mutes", who] => {
                let viewer = self.room.audience.number(visitor(who).id).unwrap();
                let for_ms = 20_000;
                Command::Mute(Mute { viewer, for_ms })
            }
            ["pauses"] => Command::Pause(Empty {}),
            ["ends"] => Command::End(End::default()),
            ["ends", choice] => Command::End(End {
                open_draw: Some(match *choice {
                    "drawing" => OpenDrawAtEnd::Draw,
                    _ => OpenDrawAtEnd::Cancel,
                }),
                ..End::default()
            }),
            ["opens", draw] => Command::OpenDraw(by_id(draw)),
            ["locks", draw] => Command::LockDraw(by_id(draw)),
            ["removes", draw] => Command::RemoveDraw(by_id(draw)),
            ["enters", draw] => Command::EnterDraw(by_id(draw)),
            ["redraws", draw] => Command::Redraw(by_id(draw)),
            ["cancels", draw, reason @ ..] => Command::CancelDraw(Cancel {
                draw: key(draw),
                reason: reason.join(" "),
            }),
            ["strikes", draw, entry, reason @ ..] => Command::StrikeEntry(Strike {
                draw: key(draw),
                entry: entry.parse().unwrap(),
                reason: reason.join(" "),
            }),
            ["says", text @ ..] => Command::Comment(Post {
                nonce: format!("{}", self.commands),
                text: text.join(" "),
            }),
            ["claims", draw, contact @ ..] => Command::ClaimPrize(ClaimPrize {
                draw: key(draw),
                contact: contact
                    .iter()
                    .map(|field| field.split_once('=').unwrap())
                    .map(|(name, value)| (ask(name), value.to_owned()))
                    .collect(),
            }),
            // "sends gift 1": the first winner's
            ["sends", draw, place] => Command::MarkSent(MarkSent {
                draw: key(draw),
                entry: self.winners(draw)[place.parse::<usize>().unwrap() - 1],
                sent: true,
            }),
            _ => panic!("what is {what:?}?"),
        };
        let actor = match who.as_str() {
            "host" => HOST,
            _ => Actor::Viewer(visitor(who)),
        };
        self.ask(&actor, command, now)
    }

    fn tell(&mut self, answer: Result<Answer, Refusal>) {
        self.said = match answer {
            Ok(Answer::Entry(entry) | Answer::Comment { entry: Some(entry), .. }) => format!("entry {}", entry.number),
            Ok(Answer::Comment { .. }) => "comment".to_owned(),
            Ok(Answer::Prize(prize)) if prize.code.is_some() => "code".to_owned(),
            Ok(Answer::Prize(_)) => "claimed".to_owned(),
            Ok(_) => "done".to_owned(),
            Err(refusal) => refusal.code().to_owned(),
        };
    }

    /// What the log makes of a new room, and a snapshot of that, are this room.
    fn replay(&self) {
        let mut room = Room::new(self.room.id.clone());
        for (event, at) in &self.log {
            let stored = serde_json::to_string(event).unwrap();
            room.apply(&serde_json::from_str(&stored).unwrap(), *at);
        }
        assert_eq!(room, self.room);
        let snapshot: Room = serde_json::from_slice(&serde_json::to_vec(&room).unwrap()).unwrap();
        assert_eq!(snapshot, self.room);
    }

    fn stage_events(&self) -> Vec<StageEvent> {
        self.log.iter().filter_map(|(event, _)| event.stage(0)).collect()
    }
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn ask(name: &str) -> Ask {
    serde_json::from_value(name.into()).unwrap()
}

fn rules() -> Rules {
    Rules {
        prize: "Lipstick".into(),
        winners: 1,
        open_ms: 60_000,
        eligibility: Eligibility::Watched { ms: 1 },
        exclude_earlier_winners: false,
        who: None,
        ask: Vec::new(),
        readers: None,
        claim_ms: None,
    }
}

/// Names in capitals are known to the store; `bob@7` comes from address 7.
fn visitor(who: &str) -> Visitor {
    let (name, address) = who.split_once('@').unwrap_or((who, "0"));
    let id = name.bytes().fold(0, |id, byte| id << 8 | u128::from(byte));
    Visitor {
        id: ViewerId(id),
        name: name.into(),
        store: name.chars().all(char::is_uppercase),
        address: Address {
            key: address.parse().unwrap(),
            masked: format!("10.0.{address}.x"),
        },
    }
}

fn arrives(number: u64, visitor: &Visitor, now: u64) -> Command {
    let arrival = Arrival {
        id: visitor.id,
        name: visitor.name.clone(),
        store: visitor.store,
        address: Some(visitor.address.key),
        at: Timestamp(now),
    };
    Command::Pulse(Pulse {
        arrived: vec![arrival],
        node: 1,
        run: 1,
        number,
        ..Pulse::default()
    })
}

fn leaves(number: u64, visitor: &Visitor, now: u64) -> Command {
    let departure = Departure {
        id: visitor.id,
        at: Timestamp(now),
    };
    Command::Pulse(Pulse {
        left: vec![departure],
        node: 1,
        run: 1,
        number,
        ..Pulse::default()
    })
}

/// Runs lines of `@seconds who does what -> what they are told`, in a show that is live, and checks that the
/// log gives the same room again.
fn check(scenario: &str) -> Scene {
    let mut scene = Scene::new();
    for line in scenario.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (step, expected) = line.split_once(" -> ").expect("an answer");
        let words: Vec<_> = step.split_whitespace().collect();
        let seconds = words[0].trim_start_matches('@').parse::<f64>().expect("seconds");
        let answer = scene.does(words[1], &words[2..], (seconds * 1_000.0).round() as u64);
        scene.tell(answer);
        assert_eq!(scene.said, expected, "{line}");
    }
    scene.replay();
    scene
}

#[test]
fn a_draw_is_prepared_opened_entered_locked_and_revealed() {
    let mut scene = check(
        "@01 host prepares gift winners=2 phrase=Lipstick -> done
         @10 ann says lipstick -> comment
         @10 host opens gift -> done
         @11 ann says LIPSTICK -> entry 1
         @12 ann says lipstick -> entry 1
         @13 bob says ｌｉｐｓｔｉｃｋ -> entry 2
         @13 bob says lipsticks -> comment
         @69.999 eve says lipstick -> entry 3
         @70 joe says lipstick -> locked
         @70 eve says lipstick -> entry 3
         @73 joe says lipstick -> comment",
    );
    let (winners, transcript) = (scene.winners("gift"), scene.transcript("gift"));
    assert_eq!(winners.len(), 2);
    assert_eq!(fair::verify(&transcript).unwrap().holders, winners);
    let card = &scene.room.stage().draws[0];
    assert!(
        matches!(&card.phase, Phase::Revealed { count: 3, won: 2, .. }),
        "{card:?}"
    );
    let ann = visitor("ann");
    scene.wait(200_000);
    let mine = scene.room.mine(ann.id, Timestamp(200_000));
    let receipt = &mine.entries[0];
    let salt = u128::from_str_radix(&receipt.salt, 16).unwrap().to_be_bytes();
    let leaf = fair::leaf(receipt.number, &salt, ann.id);
    assert_eq!(transcript.leaves[0], leaf);
    assert_eq!(fair::chain(&transcript.commitment, &leaf), receipt.hash);
}

#[test]
fn only_one_draw_is_under_way_until_it_is_revealed() {
    check(
        "@01 host prepares gift open=10 -> done
         @01 host prepares more -> done
         @02 host opens gift -> done
         @03 host opens more -> wrong_state
         @12 host opens more -> wrong_state
         @15 host opens more -> done
         @16 host opens gift -> done",
    );
}

#[test]
fn a_draw_opens_only_while_live_and_its_countdown_goes_on_in_a_pause() {
    check(
        "@01 host prepares gift open=10 -> done
         @01 host opens more -> unknown_draw
         @02 ann enters gift -> not_open
         @02 ann enters more -> unknown_draw
         @03 host pauses -> done
         @04 host opens gift -> done
         @14 ann enters gift -> locked
         @20 host prepares late -> done
         @30 host ends -> done
         @40 host opens late -> ended
         @40 host prepares more -> ended
         @40 host opens gift -> done",
    );
    let mut scene = Scene::draft();
    scene.does("host", &["prepares", "gift"], 1_000).unwrap();
    assert_eq!(scene.does("host", &["opens", "gift"], 2_000), Err(Refusal::NotLive));
}

#[test]
fn a_prepared_draw_can_be_changed_and_removed_until_it_opens() {
    let scene = check(
        "@01 host prepares gift winners=2 -> done
         @02 host prepares gift winners=3 -> done
         @02 host prepares more -> done
         @03 host removes more -> done
         @03 host removes more -> unknown_draw
         @04 host opens gift -> done
         @05 host prepares gift winners=3 -> done
         @05 host prepares gift winners=2 -> wrong_state
         @05 host removes gift -> wrong_state",
    );
    assert_eq!(scene.room.stage().draws[0].rules.winners, 3);
    let told = scene.log.iter().flat_map(|(event, at)| event.backstage(1, *at));
    let told: Vec<_> = told.map(|event| serde_json::to_string(&event).unwrap()).collect();
    let removed = r#"{"removed":{"what":"draw","id":"more"}}"#;
    assert!(told.iter().any(|event| event == removed), "{told:?}");
}

/// A field, and what makes it bad.
type Case = (&'static str, fn(&mut Rules));

#[test]
fn bad_rules_are_refused_by_field() {
    let cases: [Case; 14] = [
        ("prize", |rules| rules.prize = " ".into()),
        ("prize", |rules| rules.prize = "x".repeat(81)),
        ("winners", |rules| rules.winners = 0),
        ("winners", |rules| rules.winners = 1_001),
        ("open_ms", |rules| rules.open_ms = 4_999),
        ("open_ms", |rules| rules.open_ms = 86_400_001),
        ("phrase", |rules| {
            rules.eligibility = Eligibility::Phrase {
                phrase: "\u{200b}".into(),
            }
        }),
        ("phrase", |rules| {
            rules.eligibility = Eligibility::Phrase { phrase: "x".repeat(41) }
        }),
        ("eligibility", |rules| {
            rules.eligibility = Eligibility::Watched { ms: 0 }
        }),
        ("who", |rules| rules.who = Some(WhoCounts::AddressCeiling(0))),
        ("readers", |rules| rules.ask = vec![Ask::Phone]),
        ("readers", |rules| rules.readers = Some("x".repeat(201))),
        ("claim_ms", |rules| rules.claim_ms = Some(59_999)),
        ("claim_ms", |rules| rules.claim_ms = Some(91 * 86_400_000)),
    ];
    for (expected, spoil) in cases {
        let mut rules = rules();
        spoil(&mut rules);
        let prepare = Command::PrepareDraw(Prepare { id: key("gift"), rules });
        match Scene::new().ask(&HOST, prepare, 1) {
            Err(Refusal::BadField { field, .. }) => assert_eq!(field, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

#[test]
fn who_has_watched_long_enough_enters_with_one_tap() {
    let mut scene = check(
        "@01 ann comes -> done
         @20 bob comes -> done
         @25 host prepares gift watched=60 open=300 -> done
         @30 host opens gift -> done
         @50 ann enters gift -> watch_longer
         @61 ann enters gift -> entry 1
         @61 ann enters gift -> entry 1",
    );
    let refused = scene.does("bob", &["enters", "gift"], 61_000);
    assert_eq!(refused, Err(Refusal::WatchLonger { retry_after_ms: 19_000 }));
}

#[test]
fn a_phrase_cannot_be_tapped_and_the_present_need_not_enter() {
    check(
        "@01 host prepares gift phrase=666 open=10 -> done
         @01 host prepares more present=yes -> done
         @02 host opens gift -> done
         @03 ann enters gift -> phrase_needed
         @20 host opens more -> done
         @21 ann enters more -> wrong_state",
    );
}

#[test]
fn everyone_present_at_the_lock_is_in() {
    let mut scene = check(
        "@01 ann comes -> done
         @02 bob comes -> done
         @03 eve comes -> done
         @04 joe comes -> done
         @05 host prepares gift winners=2 present=yes open=30 -> done
         @06 host opens gift -> done
         @07 bob leaves -> done
         @20 host mutes joe -> done
         @30 zoe comes -> done",
    );
    scene.wait(39_000);
    let transcript = scene.transcript("gift");
    assert_eq!(fair::verify(&transcript).unwrap().winners.len(), 2);
    let entry_of = |who| {
        let mine = scene.room.mine(visitor(who).id, Timestamp(40_000));
        mine.entries.first().cloned()
    };
    let numbers = ["ann", "bob", "eve", "joe", "zoe"].map(|who| entry_of(who).map(|entry| entry.number));
    assert_eq!(numbers, [Some(1), None, Some(2), None, Some(3)]);
    let receipt = entry_of("eve").unwrap();
    let salt = u128::from_str_radix(&receipt.salt, 16).unwrap().to_be_bytes();
    let leaf = fair::leaf(2, &salt, visitor("eve").id);
    assert_eq!(transcript.leaves[1], leaf, "a viewer finds its entry by the receipt");
    scene.replay();
}

#[test]
fn of_an_address_only_so_many_are_present_and_customers_are_not_counted() {
    let mut scene = check(
        "@01 ann@1 comes -> done
         @02 bob@1 comes -> done
         @03 ZOE@1 comes -> done
         @04 eve@1 comes -> done
         @04 joe@2 comes -> done
         @05 host prepares gift winners=9 present=yes who=2 open=30 -> done
         @06 host opens gift -> done
         @40 host prepares more winners=9 present=yes who=store open=30 -> done
         @41 host opens more -> done",
    );
    scene.wait(80_000);
    let in_it = |draw: &str| {
        let winners = scene.room.winners(&key(draw)).unwrap();
        winners.into_iter().map(|winner| winner.name.0).collect::<Vec<_>>()
    };
    assert_eq!(in_it("gift"), ["ann", "bob", "ZOE", "joe"]);
    assert_eq!(in_it("more"), ["ZOE"]);
}

#[test]
fn the_muted_do_not_enter_and_what_was_entered_before_stays() {
    check(
        "@01 ann comes -> done
         @01 bob comes -> done
         @02 host prepares gift open=100 -> done
         @03 host opens gift -> done
         @04 ann enters gift -> entry 1
         @05 host mutes ann -> done
         @05 host mutes bob -> done
         @06 ann enters gift -> entry 1
         @06 bob enters gift -> muted
         @25 bob enters gift -> entry 2",
    );
}

#[test]
fn strangers_are_counted_by_address_and_customers_are_not() {
    let scene = check(
        "@01 host prepares gift phrase=666 who=2 open=20 -> done
         @02 host opens gift -> done
         @03 ann@1 says 666 -> entry 1
         @03 bob@1 says 666 -> entry 2
         @03 eve@1 says 666 -> too_many_here
         @04 ann@1 says 666 -> entry 1
         @04 eve@2 says 666 -> entry 3
         @05 ZOE@1 says 666 -> entry 4
         @30 host prepares more phrase=777 who=store -> done
         @30 host opens more -> done
         @31 ann says 777 -> store_only
         @31 ZOE says 777 -> entry 1",
    );
    let addresses = scene.room.backstage(Timestamp(31_000)).addresses;
    assert_eq!((addresses[0].masked.as_str(), addresses[0].count), ("10.0.1.x", 2));
}

#[test]
fn without_a_rule_an_address_may_enter_twenty_times() {
    let mut scene = check(
        "@01 host prepares gift phrase=666 open=20 -> done
         @02 host opens gift -> done",
    );
    for number in 1..=21_u8 {
        let who = format!("{}@1", char::from(b'a' + number));
        let answer = scene.does(&who, &["says", "666"], 3_000);
        scene.tell(answer);
        let expected = if number <= 20 {
            format!("entry {number}")
        } else {
            "too_many_here".into()
        };
        assert_eq!(scene.said, expected);
    }
}

#[test]
fn an_entry_is_struck_before_the_lock_and_everybody_sees_why() {
    let scene = check(
        "@01 host prepares gift winners=9 phrase=666 open=20 -> done
         @02 host opens gift -> done
         @03 ann says 666 -> entry 1
         @03 bob says 666 -> entry 2
         @04 host strikes gift 2 -> bad_field
         @04 host strikes gift 3 a bot -> unknown_entry
         @04 host strikes gift 0 a bot -> unknown_entry
         @04 host strikes gift 2 a bot -> done
         @05 bob says 666 -> entry 2
         @22 host strikes gift 1 a bot -> locked
         @22 host strikes gift 2 again -> done
         @30 eve enters gift -> locked",
    );
    let transcript = scene.transcript("gift");
    assert_eq!(scene.winners("gift"), [1]);
    assert_eq!(fair::verify(&transcript).unwrap().excluded, 1);
    assert_eq!(transcript.excluded[0].note, "a bot");
    let struck = StageEvent::EntryStruck {
        id: key("gift"),
        entry: 2,
        reason: "a bot".into(),
    };
    assert!(scene.stage_events().contains(&struck));
    let acts = scene.room.backstage(Timestamp(30_000)).acts;
    assert!(matches!(&acts[0].what, ActKind::Struck { entry: 2, .. }), "{acts:?}");
}

#[test]
fn a_draw_can_be_cancelled_before_the_lock_and_stays_on_record() {
    let scene = check(
        "@01 host prepares gift phrase=666 open=20 -> done
         @01 host cancels gift wrong prize -> not_open
         @02 host opens gift -> done
         @03 ann says 666 -> entry 1
         @04 host cancels gift -> bad_field
         @04 host cancels gift wrong prize -> done
         @05 host cancels gift wrong prize -> done
         @05 host locks gift -> closed
         @05 bob says 666 -> comment
         @05 ann enters gift -> entry 1
         @05 bob enters gift -> closed
         @06 host prepares more phrase=666 open=20 -> done
         @06 host opens more -> done
         @26 host cancels more too late -> locked",
    );
    let transcript = scene.transcript("gift");
    assert_eq!(transcript.cancelled.as_deref(), Some("wrong prize"));
    assert_eq!(fair::verify(&transcript), Err(Mismatch::Cancelled));
    assert_eq!(transcript.leaves.len(), 1);
    let summaries = scene.room.draws.summaries();
    assert!(summaries[0].cancelled && summaries[0].entries == 1);
}

#[test]
fn the_host_can_lock_early() {
    let mut scene = check(
        "@01 host prepares gift phrase=666 open=60 -> done
         @02 host opens gift -> done
         @03 ann says 666 -> entry 1
         @04 host locks gift -> done
         @04 host locks gift -> done
         @04 bob says 666 -> locked",
    );
    assert_eq!(scene.room.next_deadline(), Some(Timestamp(7_000)));
    assert_eq!(fair::verify(&scene.transcript("gift")), Err(Mismatch::NotRevealed));
    scene.wait(7_000);
    assert_eq!(scene.winners("gift"), [1]);
}

#[test]
fn a_lock_that_comes_late_says_when_it_was_due() {
    let mut scene = check(
        "@01 host prepares gift phrase=666 open=60 -> done
         @02 host opens gift -> done",
    );
    scene.fire(Timestamp(100_000));
    let (Event::Draw(DrawEvent::Locked { due, reveal_at, .. }), at) = scene.log.last().unwrap() else {
        panic!("not locked");
    };
    assert_eq!((due.0, at.0, reveal_at.0), (62_000, 100_000, 103_000));
}

#[test]
fn without_entries_there_are_no_winners() {
    let scene = check(
        "@01 host prepares gift phrase=666 open=10 -> done
         @02 host opens gift -> done
         @20 host redraws gift -> wrong_state
         @20 ann claims gift -> not_a_winner",
    );
    assert_eq!(scene.winners("gift"), [0_u32; 0]);
    assert_eq!(fair::verify(&scene.transcript("gift")).unwrap().entries, 0);
}

#[test]
fn earlier_winners_are_excluded_where_the_rules_say_so() {
    let scene = check(
        "@01 host prepares one winners=1 phrase=666 open=10 -> done
         @01 host prepares two winners=9 phrase=777 open=10 exclude=yes -> done
         @01 host prepares all winners=9 phrase=888 open=10 -> done
         @02 host opens one -> done
         @03 ann says 666 -> entry 1
         @03 bob says 666 -> entry 2
         @03 eve says 666 -> entry 3
         @20 host opens two -> done
         @21 ann says 777 -> entry 1
         @21 bob says 777 -> entry 2
         @21 eve says 777 -> entry 3
         @40 host opens all -> done
         @41 ann says 888 -> entry 1
         @41 bob says 888 -> entry 2
         @60 host prepares one -> wrong_state",
    );
    let first = scene.winners("one")[0];
    let transcript = scene.transcript("two");
    assert_eq!(transcript.excluded.len(), 1);
    let excluded = &transcript.excluded[0];
    assert_eq!(
        (excluded.entry, excluded.why, excluded.note.as_str()),
        (first, Why::EarlierWinner, "one")
    );
    assert!(!scene.winners("two").contains(&first));
    assert_eq!(scene.winners("two").len(), 2);
    assert_eq!(scene.winners("all").len(), 2);
    for draw in ["one", "two", "all"] {
        fair::verify(&scene.transcript(draw)).unwrap();
    }
}

#[test]
fn running_a_show_again_starts_with_all_its_draws() {
    let names: Vec<_> = (1..=12).map(|n| format!("draw{n}")).collect();
    let opened = names.iter().map(|name| {
        format!(
            "@01 host prepares {name} phrase=666 open=10 -> done
             @02 host opens {name} -> done
             @03 host cancels {name} enough -> done\n"
        )
    });
    let script = opened.collect::<String>() + "@04 host prepares last phrase=777 open=10 -> done";
    let scene = check(&script);
    let again = scene.room.draws.prepares();
    let ids: Vec<_> = again.iter().map(|prepare| prepare.id.to_string()).collect();
    assert_eq!((&ids[..12], ids[12].as_str()), (names.as_slice(), "last"));
    assert_eq!(
        again[12].rules.eligibility,
        Eligibility::Phrase { phrase: "777".into() }
    );
}

#[test]
fn the_end_of_the_show_draws_or_cancels_an_open_draw() {
    let before = "@01 host prepares gift phrase=666 open=600 -> done
                  @02 host opens gift -> done
                  @03 ann says 666 -> entry 1";
    let mut drawn = check(&format!(
        "{before}\n@04 host ends drawing -> done\n@14 bob enters gift -> locked"
    ));
    drawn.wait(17_000);
    assert_eq!(drawn.winners("gift"), [1], "the reveal comes after the end");
    fair::verify(&drawn.transcript("gift")).unwrap();
    let cancelled = check(&format!(
        "{before}\n@04 host ends cancelling -> done\n@14 bob enters gift -> closed"
    ));
    assert_eq!(fair::verify(&cancelled.transcript("gift")), Err(Mismatch::Cancelled));
}

#[test]
fn a_winner_may_have_nothing_to_note() {
    check(
        "@01 host prepares gift winners=1 phrase=666 open=10 ask=name,note claim=3600 -> done
         @02 host opens gift -> done
         @03 ann says 666 -> entry 1
         @20 ann claims gift note=blue -> bad_field
         @20 ann claims gift name=Ann -> claimed
         @21 ann claims gift name=Ann note= -> claimed
         @22 ann claims gift name=Ann note=blue -> claimed",
    );
}

#[test]
fn a_winner_fills_in_what_was_asked_also_after_the_show_until_the_deadline() {
    let mut scene = check(
        "@01 host prepares gift winners=1 phrase=666 open=10 ask=phone,name claim=3600 -> done
         @02 host opens gift -> done
         @03 ann says 666 -> entry 1
         @03 bob says 666 -> entry 2
         @04 ann claims gift phone=1 name=Ann -> not_a_winner
         @20 gift.0 claims gift phone=1 name=Ann -> not_a_winner
         @20 gift.1 claims gift -> bad_field
         @20 gift.1 claims gift phone=1 -> bad_field
         @20 gift.1 claims gift phone=1 name=Ann email=a@b -> bad_field
         @20 gift.1 claims gift phone=1 name= -> bad_field
         @30 host ends -> done
         @90 gift.1 claims gift phone=1 name=Ann -> claimed
         @3614 gift.1 claims gift phone=2 name=Ann -> claimed
         @3615 gift.1 claims gift phone=3 name=Ann -> claimed",
    );
    let claims = scene
        .log
        .iter()
        .filter(|(event, _)| matches!(event, Event::Draw(DrawEvent::PrizeClaimed { .. })));
    assert_eq!(
        claims.count(),
        2,
        "each that replaces contacts before the deadline is an event; a later one is not"
    );
    let rows = scene.room.winners(&key("gift")).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].claimed_at, Some(Timestamp(90_000)));
    let winner = scene.person("gift.1");
    let mine = scene.room.mine(visitor(&winner).id, Timestamp(4_000_000));
    assert!(mine.wins[0].claimed && mine.wins[0].code.is_none());
    let answer = scene.does("host", &["redraws", "gift"], 4_000_000);
    assert!(
        matches!(answer, Err(Refusal::WrongState { .. })),
        "claimed prizes are not drawn again"
    );
}

#[test]
fn a_winner_of_whom_nothing_is_asked_gets_a_code_once() {
    let mut scene = check(
        "@01 host prepares gift phrase=666 open=10 claim=60 -> done
         @02 host opens gift -> done
         @03 ann says 666 -> entry 1
         @20 ann claims gift name=Ann -> bad_field
         @20 ann claims gift -> code
         @80 ann claims gift -> code
         @81 bob claims gift -> not_a_winner",
    );
    let claim = ["claims", "gift"];
    let (first, again) = (scene.does("ann", &claim, 82_000), scene.does("ann", &claim, 83_000));
    assert_eq!(first, again);
    let Ok(Answer::Prize(PrizeReceipt { code: Some(code), .. })) = first else {
        panic!("no code");
    };
    assert_eq!(code.len(), 19);
    assert!(code.split('-').all(|group| group.len() == 4));
    let shown = serde_json::to_string(&scene.stage_events()).unwrap();
    assert!(!shown.contains(&code), "nobody else sees it");
    assert_eq!(
        scene.room.winners(&key("gift")).unwrap()[0].code.as_deref(),
        Some(code.as_str())
    );
}

#[test]
fn unclaimed_prizes_are_drawn_again_in_the_same_sequence() {
    let scene = check(
        "@01 host prepares gift winners=3 phrase=666 open=10 claim=60 -> done
         @02 host opens gift -> done
         @03 ann says 666 -> entry 1
         @03 bob says 666 -> entry 2
         @03 eve says 666 -> entry 3
         @03 joe says 666 -> entry 4
         @03 zoe says 666 -> entry 5
         @03 kim says 666 -> entry 6
         @20 gift.2 claims gift -> code
         @21 host redraws gift -> wrong_state
         @75 host redraws gift -> done
         @75 host redraws gift -> wrong_state
         @80 gift.1 claims gift -> code
         @90 host sends gift 3 -> done
         @90 host sends gift 3 -> done
         @200 host redraws gift -> wrong_state",
    );
    let transcript = scene.transcript("gift");
    let verified = fair::verify(&transcript).unwrap();
    assert_eq!(verified.holders, scene.winners("gift"));
    let (first, second) = (&verified.winners, &verified.holders);
    assert_eq!(first[1], second[1], "who claimed keeps the prize");
    assert!(first[0] != second[0] && first[2] != second[2]);
    let rows = scene.room.winners(&key("gift")).unwrap();
    assert_eq!(rows.iter().filter(|row| row.redrawn).count(), 2);
    let lost = rows.iter().find(|row| row.redrawn).unwrap();
    let wins = scene.room.draws.my_wins(lost.viewer);
    assert!(wins[0].redrawn && !wins[0].claimed);
    let Phase::Revealed { winners, won, .. } = &scene.room.stage().draws[0].phase else {
        panic!("not revealed");
    };
    assert_eq!((winners.len(), *won), (3, 3));
}

#[test]
fn who_lost_the_prize_to_a_redraw_is_too_late_and_a_redraw_ends_with_the_entries() {
    let mut scene = check(
        "@01 host prepares gift winners=2 phrase=666 open=10 claim=60 -> done
         @02 host opens gift -> done
         @03 ann says 666 -> entry 1
         @03 bob says 666 -> entry 2
         @03 eve says 666 -> entry 3",
    );
    scene.wait(20_000);
    let (first, second) = (scene.person("gift.1"), scene.person("gift.2"));
    scene.does("host", &["redraws", "gift"], 80_000).unwrap();
    assert_eq!(scene.does(&first, &["claims", "gift"], 81_000), Err(Refusal::TooLate));
    assert_eq!(
        scene.does(&second, &["claims", "gift"], 81_000),
        Err(Refusal::TooLate),
        "no entry was left for it"
    );
    let none_left = scene.does("host", &["redraws", "gift"], 200_000);
    assert!(matches!(none_left, Err(Refusal::WrongState { .. })), "{none_left:?}");
    let verified = fair::verify(&scene.transcript("gift")).unwrap();
    assert_eq!(verified.holders.len(), 2);
    scene.replay();
}

#[test]
fn the_seed_is_nowhere_before_the_reveal() {
    let mut scene = check(
        "@01 host prepares gift phrase=666 open=10 -> done
         @02 host opens gift -> done
         @03 ann says 666 -> entry 1
         @12 bob says 666 -> locked",
    );
    let seed = Hash(scene.room.draws.find(&key("gift")).unwrap().seed.0);
    let seen = |scene: &Scene| {
        let now = Timestamp(13_000);
        let backstage: Vec<_> = scene
            .log
            .iter()
            .flat_map(|(event, at)| event.backstage(1, *at))
            .collect();
        [
            serde_json::to_string(&scene.room.stage()).unwrap(),
            serde_json::to_string(&scene.room.backstage(now)).unwrap(),
            serde_json::to_string(&scene.room.mine(visitor("ann").id, now)).unwrap(),
            serde_json::to_string(&scene.transcript("gift")).unwrap(),
            serde_json::to_string(&backstage).unwrap(),
            format!("{:?}", scene.room),
        ]
        .concat()
    };
    let bytes = format!("{:?}", seed.0);
    assert!(!seen(&scene).contains(&seed.to_string()) && !seen(&scene).contains(&bytes));
    scene.wait(15_000);
    assert!(seen(&scene).contains(&seed.to_string()));
}

#[test]
fn erasing_names_changes_no_hash() {
    let scene = check(
        "@01 host prepares gift phrase=666 open=10 -> done
         @02 host opens gift -> done
         @03 ann says 666 -> entry 1
         @03 bob says 666 -> entry 2
         @30 host redraws gift -> wrong_state",
    );
    let mut erased = Room::new(scene.room.id.clone());
    for (event, at) in &scene.log {
        let mut event = event.clone();
        event.personal(&mut |_, text| *text = Personal::default());
        erased.apply(&event, *at);
    }
    assert_eq!(erased.transcript(&key("gift")), scene.room.transcript(&key("gift")));
}

#[test]
fn a_keyframe_names_a_hundred_winners_and_says_how_many_there_are() {
    let mut scene = check(
        "@01 host prepares one winners=130 phrase=666 open=60 who=9999 -> done
         @01 host prepares two winners=70 phrase=777 open=60 who=9999 -> done",
    );
    for (draw, phrase, at) in [("one", "666", 2_000), ("two", "777", 90_000)] {
        scene.does("host", &["opens", draw], at).unwrap();
        for number in 0..200_u8 {
            let who = format!("{}{}", char::from(b'a' + number % 20), char::from(b'a' + number / 20));
            scene.does(&who, &["says", phrase], at + 1_000).unwrap();
        }
        scene.wait(at + 80_000);
    }
    let named = |cards: Vec<Card>| -> Vec<(usize, u32)> {
        let phases = cards.into_iter().map(|card| card.phase);
        phases
            .filter_map(|phase| match phase {
                Phase::Revealed { winners, won, .. } => Some((winners.len(), won)),
                _ => None,
            })
            .collect()
    };
    assert_eq!(named(scene.room.draws.cards()), [(30, 130), (70, 70)]);
    let summaries = scene.room.draws.summaries();
    let named: Vec<_> = summaries.iter().map(|draw| (draw.winners.len(), draw.won)).collect();
    assert_eq!(named, [(30, 130), (70, 70)]);
    assert_eq!(scene.room.winners(&key("one")).unwrap().len(), 130);
    scene.replay();
}

/// The batch that locks a draw with as many present, or as many exclusions, as there can be.
#[test]
fn the_largest_lock_fits_into_a_batch() {
    let locked = |present: Vec<ViewerNo>, excluded: Vec<u32>| {
        let event = Event::from(DrawEvent::Locked {
            id: key(&"k".repeat(40)),
            present,
            salts: Some([255; 32]),
            count: ENTRIES_MAX as u32,
            excluded,
            root: Hash([0; 32]),
            reveal_at: Timestamp(9_999_999_999_999),
            due: Timestamp(9_999_999_999_999),
        });
        serde_json::to_vec(&event).unwrap().len()
    };
    let most_present = vec![ViewerNo(u32::MAX); PRESENT_MAX];
    let they_won = (1..=PRESENT_MAX as u32).collect();
    assert!(locked(most_present, they_won) < 512 * 1024);
    let last = ENTRIES_MAX as u32;
    let excluded = (last - WINNERS_IN_ALL_MAX - STRIKES_MAX as u32..last).collect();
    assert!(locked(Vec::new(), excluded) < 512 * 1024);
}

#[test]
fn what_a_room_can_hold_is_bounded() {
    let mut scene = Scene::new();
    for number in 0..PREPARED_MAX {
        let id = format!("draw-{number}");
        scene
            .does("host", &["prepares", &id, "winners=1000", "open=5"], 1)
            .unwrap();
    }
    let one_more = scene.does("host", &["prepares", "more"], 1);
    assert!(matches!(one_more, Err(Refusal::Full { max: 100, .. })), "{one_more:?}");
    scene.does("host", &["prepares", "draw-1", "open=6"], 1).unwrap();
    for number in 0..OPENED_MAX {
        let id = format!("draw-{number}");
        scene
            .does("host", &["opens", &id], 10_000 + number as u64 * 10_000)
            .unwrap();
    }
    scene.does("host", &["prepares", "more"], 2_000_000).unwrap();
    let one_more = scene.does("host", &["opens", "more"], 2_000_000);
    assert!(matches!(one_more, Err(Refusal::Full { max: 100, .. })), "{one_more:?}");
    assert_eq!(scene.room.draws.cards().len(), 10);
}

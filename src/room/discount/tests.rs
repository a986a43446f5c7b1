use super::super::audience::{Address, Arrival, Pulse, Visitor};
use super::super::show::{Create, Details, End};
use super::super::stage::MyClaim;
use super::super::{Actor, Answer, Command, Empty, Event, Luck, PersonId, Refusal, Room, RoomId, ViewerId};
use super::*;

const HOST: Actor = Actor::Operator(PersonId(1));

/// A live show and the people of a scenario; what was answered stands in [`Scene::said`].
struct Scene {
    room: Room,
    log: Vec<Event>,
    commands: u8,
    said: String,
}

impl Scene {
    fn new() -> Self {
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

    fn ask(&mut self, actor: &Actor, command: Command, now: u64) -> Result<Answer, Refusal> {
        self.commands = self.commands.wrapping_add(1);
        let mut luck = Luck::new([self.commands; 32]);
        self.log.extend(self.room.fire_due(Timestamp(now), &mut luck));
        let decision = self.room.decide(actor, &command, Timestamp(now), &mut luck)?;
        for event in decision.events {
            self.room.apply(&event, Timestamp(now));
            self.log.push(event);
        }
        Ok(decision.answer)
    }

    /// `hot quota=1 per=2 after=10 at=20 before=60 gate=5 who=store codes=shared:SAVE`
    fn offer(&mut self, words: &[&str], now: u64) -> Result<Answer, Refusal> {
        let mut terms = Terms {
            title: "10 % off".into(),
            off: Off::Percent(10),
            items: None,
            quota: 1,
            per_viewer: 1,
            closes: Closes::WithShow,
            use_before: None,
            gate: None,
            who: Some(WhoCounts::Anyone),
            link: None,
        };
        let mut codes = CodeSource::Generated {};
        let mut pasted = Vec::new();
        for word in &words[1..] {
            let (name, value) = word.split_once('=').unwrap();
            let number = || value.parse::<u64>().unwrap();
            match name {
                "quota" => terms.quota = number() as u32,
                "per" => terms.per_viewer = number() as u32,
                "percent" => terms.off = Off::Percent(number() as u8),
                "after" => terms.closes = Closes::AfterMs(number() * 1_000),
                "at" => terms.closes = Closes::At(Timestamp(number() * 1_000)),
                "before" => terms.use_before = Some(Timestamp(number() * 1_000)),
                "gate" => terms.gate = Some(Gate::Watched { ms: number() * 1_000 }),
                "who" if value == "store" => terms.who = Some(WhoCounts::StoreOnly),
                "who" if value == "default" => terms.who = None,
                "who" => terms.who = Some(WhoCounts::AddressCeiling(number() as u32)),
                "codes" => match value.split_once(':').unwrap() {
                    ("shared", code) => codes = CodeSource::Shared { code: code.into() },
                    (_, list) => {
                        codes = CodeSource::Pasted {};
                        pasted = list.split(',').map(str::to_owned).collect();
                    }
                },
                _ => panic!("what is {name}?"),
            }
        }
        let id = key(words[0]);
        let discount = id.clone();
        let answer = self.ask(&HOST, Command::PrepareDiscount(Prepare { id, terms, codes }), now)?;
        if !pasted.is_empty() {
            let codes = pasted;
            self.ask(&HOST, Command::AddCodes(AddCodes { discount, codes }), now)?;
        }
        Ok(answer)
    }

    /// "code 2" for the second code of the discount's list.
    fn name_of(&self, claim: &MyClaim) -> String {
        let codes = self.room.discounts.codes(&claim.discount).unwrap();
        let place = codes.iter().position(|code| *code == claim.code).unwrap();
        let used = if claim.used { ", used" } else { "" };
        format!("code {}{used}", place + 1)
    }

    fn code(&self, discount: &str, place: &str) -> String {
        let place: usize = place.parse().unwrap();
        self.room.discounts.codes(&key(discount)).unwrap()[place - 1].clone()
    }

    fn does(&mut self, who: &str, what: &[&str], now: u64) -> Result<Answer, Refusal> {
        let by_id = |discount| ById {
            discount: key(discount),
        };
        let command = match what {
            ["offers", offer @ ..] => return self.offer(offer, now),
            ["starts"] => Command::Start(Empty {}),
            ["pauses"] => Command::Pause(Empty {}),
            ["resumes"] => Command::Resume(Empty {}),
            ["ends"] => Command::End(End::default()),
            ["ends", grace] => Command::End(End {
                grace_ms: grace.parse::<u64>().unwrap() * 1_000,
                ..End::default()
            }),
            ["opens", discount] => Command::OpenDiscount(by_id(discount)),
            ["closes", discount] => Command::CloseDiscount(by_id(discount)),
            ["removes", discount] => Command::RemoveDiscount(by_id(discount)),
            ["claims", discount] => claim(discount, 1),
            ["claims", discount, unit] => claim(discount, unit.parse().unwrap()),
            ["comes"] => {
                let visitor = visitor(who);
                return self.ask(&Actor::Server, arrives(&visitor, now), now);
            }
            // "redeems hot 1 for A": the first code of the list for order A
            ["redeems", discount, place, "for", order] => {
                let code = self.code(discount, place);
                redeem(code, Some(order))
            }
            ["redeems", code, "for", order] => redeem((*code).to_owned(), Some(order)),
            ["checks", discount, place] => redeem(self.code(discount, place), None),
            _ => panic!("what is {what:?}?"),
        };
        let actor = match who {
            "host" | "shop" => HOST,
            _ => Actor::Viewer(visitor(who)),
        };
        self.ask(&actor, command, now)
    }

    fn tell(&mut self, answer: Result<Answer, Refusal>) {
        self.said = match answer {
            Ok(Answer::Claim(claim)) => self.name_of(&claim),
            Ok(Answer::Redemption(redemption)) => {
                let outcome = serde_json::to_value(redemption.outcome).unwrap();
                outcome.as_str().unwrap().to_owned()
            }
            Ok(_) => "done".to_owned(),
            Err(refusal) => refusal.code().to_owned(),
        };
    }
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn claim(discount: &str, unit: u32) -> Command {
    let discount = key(discount);
    Command::Claim(Claim { discount, unit })
}

fn redeem(code: String, order: Option<&str>) -> Command {
    let order = order.map(str::to_owned);
    Command::Redeem(Redeem { code, order })
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

fn arrives(visitor: &Visitor, now: u64) -> Command {
    Command::Pulse(Pulse {
        node: 1,
        run: 1,
        number: now + 1,
        arrived: vec![Arrival {
            id: visitor.id,
            name: visitor.name.clone(),
            store: visitor.store,
            address: Some(visitor.address.key),
            at: Timestamp(now),
        }],
        ..Pulse::default()
    })
}

/// Runs lines of `@seconds who does what -> what they are told`.
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
    scene
}

#[test]
fn the_last_code_goes_to_the_first_claim_inside_the_window() {
    check(
        "@01 host starts -> done
         @02 host offers hot quota=1 after=10 -> done
         @09 ann claims hot -> not_open
         @10 host opens hot -> done
         @10 ann claims hot -> code 1
         @10 bob claims hot -> sold_out
         @20 ann claims hot -> code 1
         @20 eve claims hot -> sold_out",
    );
}

#[test]
fn the_window_is_half_open() {
    check(
        "@01 host starts -> done
         @02 host offers hot quota=9 after=10 -> done
         @10 host opens hot -> done
         @10 ann claims hot -> code 1
         @19.999 bob claims hot -> code 2
         @20 eve claims hot -> closed
         @20 bob claims hot -> code 2",
    );
}

#[test]
fn a_window_closes_when_its_codes_cannot_be_used_any_more() {
    check(
        "@01 host starts -> done
         @02 host offers hot quota=9 after=10 before=15 -> done
         @10 host opens hot -> done
         @14 ann claims hot -> code 1
         @15 bob claims hot -> closed
         @15 shop redeems hot 1 for A -> expired",
    );
}

#[test]
fn claims_are_taken_while_live_or_paused_only_and_end_with_the_show() {
    check(
        "@01 host offers hot quota=9 -> done
         @01 host opens hot -> not_live
         @02 host starts -> done
         @02 host opens hot -> done
         @02 host opens hot -> done
         @03 host pauses -> done
         @04 ann claims hot -> code 1
         @05 host ends -> done
         @14 bob claims hot -> code 2
         @15 eve claims hot -> closed
         @16 ann claims hot -> code 1
         @16 host opens hot -> ended
         @16 host offers new -> ended",
    );
}

#[test]
fn deadlines_run_on_in_a_pause() {
    check(
        "@01 host starts -> done
         @01 host offers hot quota=9 after=10 -> done
         @02 host opens hot -> done
         @03 host pauses -> done
         @12 ann claims hot -> closed",
    );
}

#[test]
fn each_viewer_has_their_limit_and_units_come_in_order() {
    check(
        "@01 host starts -> done
         @01 host offers hot quota=9 per=2 -> done
         @02 host opens hot -> done
         @02 ann claims hot 2 -> bad_field
         @02 ann claims hot 0 -> bad_field
         @02 ann claims hot 1 -> code 1
         @02 bob claims hot 1 -> code 2
         @02 ann claims hot 2 -> code 3
         @02 ann claims hot 3 -> limit_reached
         @02 ann claims hot 1 -> code 1
         @02 ann claims hot 2 -> code 3
         @02 ann claims cold -> unknown_discount",
    );
}

#[test]
fn who_counts_is_asked_of_anonymous_viewers_only() {
    check(
        "@01 host starts -> done
         @01 host offers hot quota=9 who=2 -> done
         @01 host offers vip quota=9 who=store -> done
         @02 host opens hot -> done
         @02 host opens vip -> done
         @02 ann@7 claims hot -> code 1
         @02 bob@7 claims hot -> code 2
         @02 eve@7 claims hot -> too_many_here
         @02 JO@7 claims hot -> code 3
         @02 eve@8 claims hot -> code 4
         @02 ann@7 claims hot -> code 1
         @02 ann@7 claims vip -> store_only
         @02 JO@7 claims vip -> code 1",
    );
}

#[test]
fn without_a_word_about_it_an_address_has_twenty_anonymous_claims() {
    let mut scene = check(
        "@01 host starts -> done
         @01 host offers hot quota=99 who=default -> done
         @02 host opens hot -> done",
    );
    for n in 1..=20 {
        let name = format!("v{n}");
        scene.does(&name, &["claims", "hot"], 2_000).unwrap();
    }
    assert_eq!(scene.does("v21", &["claims", "hot"], 2_000), Err(Refusal::TooManyHere));
    let backstage = scene.room.backstage(Timestamp(2_000));
    assert_eq!(backstage.addresses[0].count, 20);
    assert_eq!(backstage.addresses[0].masked, "10.0.0.x");
}

#[test]
fn the_gate_counts_watch_time() {
    let scene = check(
        "@00 ann comes -> done
         @10 host starts -> done
         @10 host offers hot gate=5 -> done
         @10 host opens hot -> done
         @12 ann claims hot -> watch_longer
         @13 host pauses -> done
         @20 ann claims hot -> watch_longer
         @20 host resumes -> done
         @22 ann claims hot -> code 1",
    );
    let ann = scene.room.audience.number(visitor("ann").id).unwrap();
    assert_eq!(scene.room.audience.watched_ms(ann, Timestamp(22_000)), 5_000);
}

#[test]
fn a_pasted_list_is_given_out_in_order_and_opens_only_when_it_is_complete() {
    check(
        "@01 host starts -> done
         @01 host offers hot quota=3 codes=pasted:P-1,p1,P-2 -> done
         @02 host opens hot -> wrong_state
         @02 host offers hot quota=2 codes=pasted:P-2 -> done
         @02 host opens hot -> done
         @03 ann claims hot -> code 1
         @03 bob claims hot -> code 2
         @03 eve claims hot -> sold_out
         @04 shop redeems p1 for A -> ok
         @04 shop redeems P-3 for A -> unknown",
    );
}

#[test]
fn a_unique_code_is_used_once_and_the_same_order_is_the_same_use() {
    check(
        "@01 host starts -> done
         @01 host offers hot quota=3 -> done
         @02 host opens hot -> done
         @03 shop redeems hot 1 for A -> unknown
         @03 ann claims hot -> code 1
         @04 shop checks hot 1 -> ok
         @04 shop redeems hot 1 for A -> ok
         @05 shop redeems hot 1 for A -> ok
         @05 shop redeems hot 1 for B -> already_used
         @05 shop checks hot 1 -> already_used
         @06 ann claims hot -> code 1, used
         @06 host closes hot -> done
         @07 host closes hot -> done
         @07 bob claims hot -> closed
         @07 shop redeems hot 1 for A -> ok",
    );
}

#[test]
fn a_shared_code_is_used_once_for_each_order_and_every_use_counts() {
    let scene = check(
        "@01 host starts -> done
         @01 host offers hot quota=2 codes=shared:Save-10 -> done
         @02 host opens hot -> done
         @03 shop redeems save10 for A -> unknown
         @03 ann claims hot -> code 1
         @03 bob claims hot -> code 1
         @03 eve claims hot -> sold_out
         @04 shop redeems SAVE10 for A -> ok
         @04 shop redeems save-10 for A -> ok
         @04 shop redeems save-10 for B -> ok
         @04 shop redeems save-10 for C -> ok",
    );
    let summary = &scene.room.summary(Timestamp(4_000)).discounts[0];
    assert_eq!((summary.claimed, summary.redeemed, summary.quota), (2, 3, 2));
}

#[test]
fn codes_are_used_until_the_show_ends_and_in_its_grace() {
    check(
        "@01 host starts -> done
         @01 host offers hot quota=3 -> done
         @02 host opens hot -> done
         @03 ann claims hot -> code 1
         @03 bob claims hot -> code 2
         @03 eve claims hot -> code 3
         @10 host ends 60 -> done
         @20 shop redeems hot 1 for A -> ok
         @79.999 shop redeems hot 2 for B -> ok
         @80 shop redeems hot 3 for C -> not_live
         @80 shop redeems hot 1 for A -> ok",
    );
}

#[test]
fn a_discount_is_changed_until_it_opens_and_keeps_its_codes() {
    let mut scene = check("@01 host offers hot quota=3 -> done");
    let before = scene.room.discounts.codes(&key("hot")).unwrap();
    for line in ["starts", "offers hot quota=3", "offers hot quota=5", "opens hot"] {
        let words: Vec<_> = line.split(' ').collect();
        scene.does("host", &words, 2_000).unwrap();
    }
    let after = scene.room.discounts.codes(&key("hot")).unwrap();
    assert_eq!((after.len(), &after[..3]), (5, &before[..]));
    let offered = |scene: &mut Scene, offer: &str| {
        let words: Vec<_> = offer.split(' ').collect();
        scene.offer(&words, 3_000).map_err(|refusal| refusal.code())
    };
    assert_eq!(offered(&mut scene, "hot quota=5"), Ok(Answer::Done {}), "a retry");
    assert_eq!(offered(&mut scene, "hot quota=6"), Err("wrong_state"));
    assert_eq!(
        scene
            .does("host", &["removes", "hot"], 3_000)
            .map_err(|refusal| refusal.code()),
        Err("wrong_state")
    );
}

#[test]
fn five_are_open_at_once() {
    check(
        "@01 host starts -> done
         @01 host offers a -> done
         @01 host offers b -> done
         @01 host offers c -> done
         @01 host offers d -> done
         @01 host offers e -> done
         @01 host offers f -> done
         @02 host opens a -> done
         @02 host opens b -> done
         @02 host opens c -> done
         @02 host opens d -> done
         @02 host opens e -> done
         @02 host opens f -> wrong_state
         @03 ann claims a -> code 1
         @03 host opens f -> done
         @04 host opens a -> wrong_state
         @04 host removes f -> wrong_state",
    );
}

#[test]
fn bad_terms_are_refused_by_field() {
    check(
        "@01 host offers a quota=0 -> bad_field
         @01 host offers a quota=1000001 -> bad_field
         @01 host offers a per=0 -> bad_field
         @01 host offers a per=101 -> bad_field
         @01 host offers a percent=0 -> bad_field
         @01 host offers a percent=101 -> bad_field
         @01 host offers a after=0 -> bad_field
         @01 host offers a after=86401 -> bad_field
         @01 host offers a before=1 -> bad_field
         @01 host offers a gate=0 -> bad_field
         @01 host offers a who=0 -> bad_field
         @01 host offers a quota=100001 codes=pasted:X -> bad_field
         @01 host offers a codes=shared:-- -> bad_field
         @01 host offers a codes=pasted:-- -> bad_field
         @01 host removes b -> unknown_discount
         @01 host starts -> done
         @01 host offers a at=2 -> done
         @02 host opens a -> wrong_state",
    );
}

#[test]
fn every_viewer_has_a_list_of_what_they_claimed() {
    let scene = check(
        "@01 host starts -> done
         @01 host offers a quota=2 -> done
         @01 host offers b quota=2 per=2 -> done
         @02 host opens b -> done
         @02 host opens a -> done
         @03 ann claims a -> code 1
         @03 ann claims b 1 -> code 1
         @03 ann claims b 2 -> code 2
         @03 bob claims a -> code 2
         @04 shop redeems b 2 for A -> ok",
    );
    let now = Timestamp(4_000);
    let mine = scene.room.mine(visitor("ann").id, now).claims;
    let told: Vec<_> = mine
        .iter()
        .map(|claim| (claim.discount.as_str(), claim.unit, claim.used))
        .collect();
    assert_eq!(told, [("b", 1, false), ("b", 2, true), ("a", 1, false)]);
    let rows: Vec<_> = scene.room.discounts.claims(&scene.room, &key("a")).unwrap().collect();
    let told: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.unit)).collect();
    assert_eq!(told, [("ann", 1), ("bob", 1)]);
    assert_eq!(rows[0].code, mine[2].code);
}

#[test]
fn the_stage_is_told_of_openings_and_closings_and_of_no_code() {
    let scene = check(
        "@01 host starts -> done
         @01 host offers a quota=1 codes=shared:HUSHHUSH -> done
         @01 host offers b quota=2 after=5 codes=pasted:SILENT1,SILENT2 -> done
         @02 host opens a -> done
         @02 host opens b -> done
         @03 ann claims a -> code 1
         @09 ann claims b -> closed",
    );
    let mut shown = String::new();
    for (event, offset) in scene.log.iter().zip(1..) {
        shown += &serde_json::to_string(&event.stage(offset)).unwrap();
        shown += &serde_json::to_string(&event.backstage(offset, Timestamp(0))).unwrap();
    }
    for part in [
        "discount_opened",
        r#""why":"sold_out""#,
        r#""why":"expired""#,
        "codes_added",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(!shown.contains("HUSH") && !shown.contains("SILENT"), "{shown}");
}

#[test]
fn a_hundred_thousand_claims_make_a_small_snapshot_and_the_next_code_is_the_next() {
    let mut scene = check(
        "@01 host starts -> done
         @01 host offers hot quota=100001 -> done
         @02 host opens hot -> done",
    );
    for n in 1..=100_000 {
        let claimed = DiscountEvent::Claimed {
            id: key("hot"),
            viewer: ViewerNo(n + 1),
            unit: 1,
            index: n - 1,
            address: None,
        };
        scene.room.apply(&claimed.into(), Timestamp(2_000));
    }
    let snapshot = serde_json::to_vec(&scene.room.discounts).unwrap();
    assert!(snapshot.len() < 100_000 * 24, "{} bytes", snapshot.len());
    let claim = scene.does("ann", &["claims", "hot"], 3_000);
    scene.tell(claim);
    assert_eq!(scene.said, "code 100001");
}

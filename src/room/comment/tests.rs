//! The rules of comments, as scenarios.

use std::collections::BTreeMap;

use super::super::audience::Visitor;
use super::super::show::{Create, Details, ShowEvent};
use super::super::staff::{Rights, Role, StaffEvent};
use super::super::stage::Stage;
use super::super::{
    Actor, Answer, Command, Decision, Empty, Event, Luck, Refusal, Room, RoomId, ViewerId, audience, text,
};
use super::*;

const ANN: u32 = 1;
const BOB: u32 = 2;
const MEMBER: u32 = 3;

/// A live show with viewers Ann, Bob and the store's Mem, the host Lina and the assistant Mia.
fn show() -> Room {
    let mut room = Room::new(RoomId::new("show").expect("good"));
    let details = Details {
        title: "Lipsticks".into(),
        host: "Lina".into(),
        ..Details::default()
    };
    run(
        &mut room,
        &Actor::Operator(PersonId(9)),
        &Command::Create(Create { details }),
        0,
    )
    .expect("made");
    for (person, role, name) in [(1, Role::Host, "Lina"), (2, Role::Assistant(Rights::Comments), "Mia")] {
        let joined = StaffEvent::Joined {
            person: PersonId(person),
            role,
            name: name.into(),
            invitation: None,
        };
        room.apply(&joined.into(), Timestamp(0));
    }
    room.apply(&ShowEvent::Started {}.into(), Timestamp(0));
    for number in [ANN, BOB, MEMBER] {
        let (_, met) = audience::meet(&room, &visitor(number));
        room.apply(&met.expect("new"), Timestamp(0));
    }
    room
}

fn visitor(number: u32) -> Visitor {
    let names = ["Ann", "Bob", "Mem"];
    let name = names
        .get(number as usize - 1)
        .map_or(format!("Guest {number}"), |name| (*name).into());
    Visitor {
        id: ViewerId(number.into()),
        name: Personal(name),
        store: number == MEMBER,
        address: Default::default(),
    }
}

fn actor(name: &str) -> Actor {
    match name {
        "ann" => Actor::Viewer(visitor(ANN)),
        "bob" => Actor::Viewer(visitor(BOB)),
        "mem" => Actor::Viewer(visitor(MEMBER)),
        "lina" => Actor::Staff(PersonId(1)),
        "mia" => Actor::Staff(PersonId(2)),
        "op" => Actor::Operator(PersonId(9)),
        "server" => Actor::Server,
        guest => Actor::Viewer(visitor(guest.trim_start_matches('v').parse().expect("v and a number"))),
    }
}

fn number(name: &str) -> ViewerNo {
    ViewerNo(match name {
        "ann" => ANN,
        "bob" => BOB,
        "mem" => MEMBER,
        other => other.parse().expect("a number"),
    })
}

fn run(room: &mut Room, actor: &Actor, command: &Command, now: u64) -> Result<Decision, Refusal> {
    let decision = room.decide(actor, command, Timestamp(now), &mut Luck::new([now as u8; 32]))?;
    decision
        .events
        .iter()
        .for_each(|event| room.apply(event, Timestamp(now)));
    Ok(decision)
}

fn pass(room: &mut Room, now: u64) -> Vec<Event> {
    let mut fired = Vec::new();
    while let Some(events) = room.due(Timestamp(now), &mut Luck::new([now as u8; 32])) {
        events.iter().for_each(|event| room.apply(event, Timestamp(now)));
        fired.extend(events);
    }
    fired
}

fn post(nonce: &str, text: &str) -> Command {
    Command::Comment(Post {
        nonce: nonce.into(),
        text: text.into(),
    })
}

fn texts<'a>(shown: impl IntoIterator<Item = &'a Shown>) -> String {
    let texts: Vec<_> = shown.into_iter().map(|shown| shown.text.as_str()).collect();
    texts.join(", ")
}

/// Runs lines of `@seconds who what -> result`; see the cases below.
fn check(scenario: &str) {
    let mut room = show();
    let mut deletion = 0;
    for (n, line) in scenario
        .lines()
        .map(str::trim)
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
    {
        let (step, expected) = line.split_once(" -> ").unwrap_or_else(|| panic!("no result in {line}"));
        let mut words = step.split_whitespace();
        let time = words.next().expect("a time").trim_start_matches('@');
        let now = (time.parse::<f64>().expect("seconds") * 1_000.0).round() as u64;
        let (who, what) = (words.next().expect("who"), words.next().unwrap_or_default());
        let rest = words.collect::<Vec<_>>().join(" ");
        let seconds = || rest.parse::<f64>().map_or(0, |seconds| (seconds * 1_000.0) as u64);
        let find = |text: &str| {
            let found = room
                .comments
                .recent
                .values()
                .rfind(|recent| recent.shown.text.as_str() == text);
            found.map_or(9_999, |recent| recent.shown.id)
        };
        let (verb, nonce) = what.split_once('#').unwrap_or((what, ""));
        let nonce = if nonce.is_empty() {
            format!("line-{n}")
        } else {
            nonce.to_owned()
        };
        let command = match verb {
            "says" => post(&nonce, &rest),
            "deletes" => match rest.strip_prefix("all of ") {
                Some(name) => Command::DeleteAll(DeleteAll { viewer: number(name) }),
                None => Command::Delete(Delete { comment: find(&rest) }),
            },
            "restores" => Command::Restore(Restore { deletion }),
            "mutes" => {
                let (name, seconds) = rest.split_once(' ').expect("whom and how long");
                Command::Mute(Mute {
                    viewer: number(name),
                    for_ms: seconds.parse::<u64>().expect("seconds") * 1_000,
                })
            }
            "unmutes" => Command::Unmute(Unmute { viewer: number(&rest) }),
            "pins" => {
                let (text, seconds) = rest.split_once(" for ").unwrap_or((&rest, ""));
                Command::Pin(Pin {
                    comment: find(text),
                    for_ms: seconds.parse::<u64>().ok().map(|seconds| seconds * 1_000),
                })
            }
            "unpins" => Command::Unpin(Empty {}),
            "slow" => Command::SetModes(SetModes {
                slow_ms: Some(seconds()),
                comments_off: None,
            }),
            "off" | "on" => Command::SetModes(SetModes {
                slow_ms: None,
                comments_off: Some(verb == "off"),
            }),
            "blocks" => Command::SetBlockedWords(SetBlockedWords {
                words: rest.split(", ").map(str::to_owned).collect(),
            }),
            "budget" => Command::SetDisplayBudget(SetDisplayBudget {
                per_second: rest.parse().ok(),
            }),
            "" | "sees" => Command::Unpin(Empty {}),
            other => panic!("what is {other}?"),
        };
        pass(&mut room, now);
        let result = match who {
            "stage" => texts(&room.stage().comments),
            "pinned" => texts(&room.comments.pinned),
            "offstage" => texts(&room.comments.offstage()),
            "muted" => {
                let muted = room.comments.muted(&room.audience, Timestamp(now));
                muted
                    .iter()
                    .map(|muted| muted.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            }
            _ if verb == "sees" => texts(&room.mine(ViewerId(number(who).0.into()), Timestamp(now)).offstage),
            _ => match run(&mut room, &actor(who), &command, now) {
                Ok(decision) if decision.events.is_empty() => "again".to_owned(),
                Ok(decision) => match decision.answer {
                    Answer::Comment { comment, .. } => {
                        format!("{:?}", room.comments.recent[&comment].place).to_lowercase()
                    }
                    Answer::Deleted {
                        deletion: id, count, ..
                    } => {
                        deletion = id;
                        format!("{count} deleted")
                    }
                    _ => "done".to_owned(),
                },
                Err(refusal) => match refusal.retry_after_ms() {
                    Some(ms) => format!("{} {ms} ms", refusal.code()),
                    None => refusal.code().to_owned(),
                },
            },
        };
        let expected = if expected == "nothing" { "" } else { expected };
        assert_eq!(result, expected, "{line}");
    }
}

#[test]
fn a_retry_posts_nothing_twice_and_comes_before_every_rule() {
    check(
        "@0 ann says#a hello   -> stage
         @1 ann says#a hello   -> again
         @1 bob says#a hello   -> stage
         @1 ann says#a goodbye -> idempotency_conflict
         @2 lina off           -> done
         @2 lina mutes ann 60  -> done
         @2 ann says#a hello   -> again
         @2 ann says#b hello   -> muted 60000 ms
         @3 stage              -> hello, hello",
    );
}

#[test]
fn a_viewer_says_five_things_in_ten_seconds() {
    check(
        "@0 ann says 1   -> stage
         @1 ann says 2   -> stage
         @2 ann says 3   -> stage
         @3 ann says 4   -> stage
         @4 ann says 5   -> stage
         @5 ann says 6   -> rate_limited 5000 ms
         @5 bob says one -> stage
         @9.999 ann says 6 -> rate_limited 1 ms
         @10 ann says 6  -> stage
         @10 ann says 7  -> rate_limited 1000 ms
         @11 ann says 7  -> stage",
    );
}

#[test]
fn slow_mode_lets_one_comment_pass_in_its_time() {
    check(
        "@0 lina slow 0.5  -> bad_field
         @0 lina slow 301  -> bad_field
         @0 lina slow 30   -> done
         @0 lina slow 30   -> again
         @0 ann says 1     -> stage
         @10 ann says 2    -> slow_mode 20000 ms
         @10 lina says a   -> stage
         @10 lina says b   -> stage
         @30 ann says 2    -> stage
         @31 lina slow 0   -> done
         @31 ann says 3    -> stage",
    );
}

#[test]
fn with_comments_off_only_staff_speak() {
    check(
        "@0 mia off      -> done
         @0 ann says hi  -> comments_off
         @0 mia says hey -> stage
         @0 op says yes  -> stage
         @1 mia on       -> done
         @1 ann says hi  -> stage",
    );
}

#[test]
fn blocked_words_are_refused_in_any_disguise() {
    check(
        "@0 lina blocks casino, slots  -> done
         @0 lina blocks casino, slots  -> again
         @0 ann says my ＣＡＳＩＮＯ     -> blocked_word
         @0 ann says s-l-o-t-s         -> blocked_word
         @0 lina says no casino please -> stage
         @0 ann says hello             -> stage",
    );
}

#[test]
fn bad_texts_are_told_from_bad_nonces() {
    let long = "x".repeat(10_000);
    check(&format!(
        "@0 ann says -> bad_text
         @0 ann says {long} -> bad_text
         @0 lina says {long} -> bad_text
         @0 ann says#ünï hello -> bad_field
         @0 ann says#{long} hello -> bad_field"
    ));
}

#[test]
fn a_muted_viewer_speaks_again_after_the_time_or_when_unmuted() {
    check(
        "@0 lina mutes ann 9   -> bad_field
         @0 lina mutes ann 86401 -> bad_field
         @0 lina mutes 77 10   -> unknown_viewer
         @0 lina mutes ann 10  -> done
         @0 mia mutes bob 3600 -> done
         @0 muted              -> Bob, Ann
         @9.5 ann says hi      -> muted 500 ms
         @10 ann says hi       -> stage
         @10 muted             -> Bob
         @11 lina unmutes bob  -> done
         @11 lina unmutes bob  -> again
         @11 bob says thanks   -> stage",
    );
}

#[test]
fn a_deleted_comment_leaves_the_stage_and_comes_back_in_its_place() {
    check(
        "@0 ann says one       -> stage
         @0 bob says two       -> stage
         @0 ann says three     -> stage
         @1 mia deletes two    -> 1 deleted
         @1 mia deletes two    -> again
         @1 lina deletes two   -> unknown_comment
         @1 stage              -> one, three
         @2 lina restores      -> not_allowed
         @10.999 mia restores  -> done
         @10.999 mia restores  -> again
         @11 stage             -> one, two, three
         @20 lina deletes all of ann -> 2 deleted
         @20 lina deletes all of ann -> again
         @20 lina deletes all of 77  -> unknown_viewer
         @20 stage             -> two
         @30 lina restores     -> undo_over
         @30 lina deletes nothing -> unknown_comment",
    );
}

#[test]
fn a_pin_stands_for_its_time_or_until_the_comment_is_deleted() {
    check(
        "@0 ann says hello           -> stage
         @0 bob says world           -> stage
         @1 lina pins hello for 60   -> done
         @2 lina pins world          -> done
         @2 lina pins world          -> again
         @90 pinned                  -> world
         @90 lina pins hello for 60  -> done
         @149.999 pinned             -> hello
         @150 pinned                 -> nothing
         @150 lina pins world        -> done
         @151 lina unpins            -> done
         @151 lina unpins            -> again
         @152 lina pins world        -> done
         @152 lina deletes world     -> 1 deleted
         @152 pinned                 -> nothing
         @153 lina pins world        -> unknown_comment",
    );
}

#[test]
fn above_the_budget_a_second_is_sampled_and_authors_see_their_own() {
    check(
        "@0 server budget 2   -> done
         @0 server budget 2   -> again
         @5 ann says 1        -> stage
         @5.1 bob says 2      -> stage
         @5.2 ann says 3      -> waiting
         @5.3 lina says staff -> stage
         @5.4 mem says 4      -> waiting
         @5.5 stage           -> 1, 2, staff
         @5.5 ann sees        -> 3
         @6 stage             -> 1, 2, 3, staff, 4
         @6 ann sees          -> nothing
         @6.1 bob says 5      -> waiting
         @7 stage             -> 1, 2, 3, staff, 4, 5
         @7.1 bob says 6      -> stage
         @7.2 bob says 7      -> waiting
         @7.9 bob says 8      -> waiting
         @7.9 mem says 9      -> waiting
         @8 server budget 0   -> done
         @8 ann says 11       -> waiting
         @9 ann sees          -> 11",
    );
}

#[test]
fn a_busy_second_says_how_many_of_all_its_viewers_comments_are_shown() {
    let mut room = show();
    let budget = Command::SetDisplayBudget(SetDisplayBudget { per_second: Some(3) });
    run(&mut room, &Actor::Server, &budget, 0).expect("set");
    let mut say = |names: &[&str], at: u64| {
        for name in names {
            run(&mut room, &actor(name), &post(&at.to_string(), name), at).expect("posted");
        }
        let fired = pass(&mut room, at + 1_000);
        match fired.first().and_then(|event| event.stage(99)) {
            Some(StageEvent::Sampled { comments, shown, n }) => (comments.len(), shown, n),
            other => panic!("no sample: {other:?}"),
        }
    };
    // Of three places one is a person's of the staff; of the four that wait three are chosen.
    assert_eq!(say(&["v4", "lina", "v5", "v6", "v7", "v8", "v9"], 1_000), (3, 5, 6));
    // The sample has used up this second: all five wait.
    assert_eq!(say(&["v10", "v11", "v12", "v13", "v14"], 2_000), (3, 3, 5));
    // One place is left beside a sample of two.
    assert_eq!(say(&["v15", "v16"], 3_000), (2, 2, 2));
    assert_eq!(say(&["v17", "v18", "v19"], 4_000), (2, 3, 3));
}

#[test]
fn members_come_first_and_the_others_have_equal_chances() {
    let mut shown = BTreeMap::<String, u32>::new();
    for seed in 0..1_000_u64 {
        let mut room = show();
        run(
            &mut room,
            &Actor::Server,
            &Command::SetDisplayBudget(SetDisplayBudget { per_second: Some(3) }),
            0,
        )
        .expect("set");
        for (n, name) in ["v4", "v5", "v6", "v7", "v8", "mem", "v9", "v10", "v11"]
            .iter()
            .enumerate()
        {
            run(&mut room, &actor(name), &post(&n.to_string(), name), 500).expect("posted");
        }
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let events = room
            .due(Timestamp(1_000), &mut Luck::new(bytes))
            .expect("a sample is due");
        let Some(Event::Comment(CommentEvent::Sampled {
            shown: sample, n: 6, ..
        })) = events.first()
        else {
            panic!("no sample of 6: {events:?}");
        };
        assert!(sample.len() == 3 && sample.is_sorted_by_key(|shown| shown.id));
        for comment in sample {
            *shown.entry(comment.text.0.clone()).or_default() += 1;
        }
    }
    assert_eq!(shown.remove("mem"), Some(1_000));
    assert_eq!(shown.len(), 5);
    // Two of five: 400 of 1,000 expected, with a standard deviation of 15.5.
    assert!(shown.values().all(|count| (320..=480).contains(count)), "{shown:?}");
}

#[test]
fn after_the_end_nothing_is_taken_but_retries() {
    let mut room = show();
    run(&mut room, &actor("ann"), &post("a", "hello"), 0).expect("posted");
    let ended = ShowEvent::Ended {
        due: Timestamp(1),
        redeem_until: Timestamp(1),
    };
    room.apply(&ended.into(), Timestamp(1));
    assert!(run(&mut room, &actor("ann"), &post("a", "hello"), 2).is_ok());
    for name in ["ann", "lina"] {
        assert_eq!(
            run(&mut room, &actor(name), &post("b", "hello"), 2),
            Err(Refusal::Ended)
        );
    }
}

#[test]
fn a_first_comment_makes_the_viewer_known_and_names_its_own_offset() {
    let mut room = show();
    let posted = run(&mut room, &actor("v4"), &post("a", "hello"), 0).expect("posted");
    let comment = room.head;
    let by = Some(ViewerNo(4));
    assert_eq!(
        posted.answer,
        Answer::Comment {
            comment,
            by,
            entry: None
        }
    );
    let shown = &room.stage().comments[0];
    assert_eq!((shown.id, shown.by, shown.name.as_str()), (comment, by, "Guest 4"));
    let again = run(&mut room, &actor("v4"), &post("a", "hello"), 1).expect("a retry");
    assert_eq!((again.events, again.answer), (Vec::new(), posted.answer));
}

#[test]
fn an_entry_counts_whatever_keeps_its_comment_from_the_stage() {
    let mut room = show();
    for command in [
        r#"{"cmd":"prepare_draw","args":{"id":"d","rules":{"prize":"Lipstick","winners":1,"open_ms":60000,
            "eligibility":{"phrase":{"phrase":"Red 5"}}}}}"#,
        r#"{"cmd":"open_draw","args":{"draw":"d"}}"#,
        r#"{"cmd":"set_modes","args":{"comments_off":true}}"#,
        r#"{"cmd":"mute","args":{"viewer":2,"for_ms":60000}}"#,
    ] {
        let command = serde_json::from_str(command).expect("a command");
        run(&mut room, &actor("lina"), &command, 0).expect("done");
    }
    let said = |room: &mut Room, name: &str, nonce: &str, text: &str| {
        let decision = run(room, &actor(name), &post(nonce, text), 1_000)?;
        match decision.answer {
            Answer::Comment { entry, .. } => Ok((decision.events.len(), entry.map(|entry| entry.number))),
            other => panic!("no answer to a comment: {other:?}"),
        }
    };
    assert_eq!(said(&mut room, "ann", "a", "red"), Err(Refusal::CommentsOff));
    assert_eq!(said(&mut room, "ann", "b", " ＲＥＤ　5"), Ok((2, Some(1))));
    assert_eq!(said(&mut room, "ann", "b", " ＲＥＤ　5"), Ok((0, Some(1))), "a retry");
    assert_eq!(
        said(&mut room, "ann", "c", "red 5"),
        Err(Refusal::CommentsOff),
        "already in"
    );
    assert_eq!(
        said(&mut room, "v4", "a", "red 5"),
        Ok((3, Some(2))),
        "met, entered, posted"
    );
    let muted = said(&mut room, "bob", "a", "red 5").map_err(|refusal| refusal.code());
    assert_eq!(muted, Err("muted"));
    assert_eq!(
        said(&mut room, "lina", "a", "red 5"),
        Ok((1, None)),
        "staff do not enter"
    );
    assert_eq!(texts(&room.stage().comments), "red 5", "the host's");
    assert_eq!(
        texts(&room.mine(ViewerId(ANN.into()), Timestamp(1_000)).offstage),
        "ＲＥＤ　5"
    );
}

#[test]
fn badges_and_names_say_who_speaks() {
    let mut room = show();
    for (n, name) in ["ann", "mem", "lina", "mia", "op"].iter().enumerate() {
        run(&mut room, &actor(name), &post(&n.to_string(), "hi"), 0).expect("posted");
    }
    let stage = room.stage().comments;
    let told: Vec<_> = stage
        .iter()
        .map(|shown| (shown.name.as_str(), shown.badge, shown.by))
        .collect();
    let expected = [
        ("Ann", None, Some(ViewerNo(ANN))),
        ("Mem", Some(Badge::Member), Some(ViewerNo(MEMBER))),
        ("Lina", Some(Badge::Host), None),
        ("Mia", Some(Badge::Assistant), None),
        ("Lina", Some(Badge::Host), None),
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_is_kept_is_bounded() {
    let mut room = show();
    let budget = SetDisplayBudget { per_second: None };
    run(&mut room, &Actor::Server, &Command::SetDisplayBudget(budget), 0).expect("set");
    for n in 0..2 * RECENT_COMMENTS as u64 {
        let now = n * 2_000;
        run(&mut room, &actor("ann"), &post(&n.to_string(), "hello"), now).expect("posted");
    }
    let comments = &room.comments;
    assert_eq!(comments.recent.len(), RECENT_COMMENTS);
    assert_eq!(comments.on_stage.len(), KEYFRAME_COMMENTS);
    assert_eq!(comments.viewers[&ViewerNo(ANN)].posts.len(), NONCES_KEPT);
    assert_eq!(comments.viewers[&ViewerNo(ANN)].times.len(), RATE_COMMENTS);
    assert_eq!(comments.posted, 2 * RECENT_COMMENTS as u64);
}

#[test]
fn a_second_busier_than_what_is_kept_is_sampled_as_a_whole() {
    let mut room = show();
    for n in 0..RECENT_COMMENTS as u32 + 500 {
        run(&mut room, &actor(&format!("v{}", n + 4)), &post("a", "hello"), 500).expect("posted");
    }
    let fired = pass(&mut room, 1_000);
    let n = RECENT_COMMENTS as u32 + 500 - DISPLAY_BUDGET;
    let Some(Event::Comment(CommentEvent::Sampled {
        shown,
        n: waited,
        at_once,
    })) = fired.first()
    else {
        panic!("no sample: {fired:?}");
    };
    assert_eq!(
        (shown.len() as u32, *waited, *at_once),
        (DISPLAY_BUDGET, n, DISPLAY_BUDGET)
    );
    assert_eq!(room.comments.recent.len(), RECENT_COMMENTS);
}

#[test]
fn a_keyframe_of_the_longest_comments_and_details_is_below_64_kib() {
    for letter in ["👍🏽", "口", "\"", "\\", "ก็", "e\u{301}\u{302}\u{303}\u{304}"] {
        let mut room = show();
        let fill = |count: usize| letter.repeat(count);
        let link = super::super::show::Link {
            label: fill(40),
            url: format!("https://a.example/{}", "x".repeat(text::URL_BYTES_MAX - 18)),
        };
        let change = super::super::show::Change {
            title: Some(fill(80)),
            description: Some(fill(2_000)),
            host: Some(fill(20)),
            links: Some(vec![link; super::super::show::LINKS_MAX]),
            ..Default::default()
        };
        run(&mut room, &actor("op"), &Command::Change(change), 0).expect("changed");
        let longest = fill(TEXT_MAX);
        for n in 0..60 {
            let now = n * 1_000;
            run(&mut room, &actor("lina"), &post(&n.to_string(), &longest), now).expect("posted");
        }
        let pin = Pin {
            comment: room.head,
            for_ms: None,
        };
        run(&mut room, &actor("lina"), &Command::Pin(pin), 60_000).expect("pinned");
        let stage: Stage = room.stage();
        let comments = serde_json::to_vec(&stage.comments).expect("serialisable").len();
        let whole = serde_json::to_vec(&stage).expect("serialisable").len();
        assert!(
            comments <= KEYFRAME_COMMENT_BYTES,
            "{comments} bytes of comments in {letter}"
        );
        assert!(whole <= 52 * 1024, "{whole} bytes in {letter}: 12 KiB are the cards'");
        assert!(
            stage.comments.len() >= 10,
            "{} comments in {letter}",
            stage.comments.len()
        );
    }
}

#[test]
fn projections_are_functions_of_the_event_and_hide_what_waits() {
    let posted = |standing| {
        Event::from(CommentEvent::Posted {
            by: Author::Viewer(ViewerNo(1)),
            nonce: "nonce".into(),
            name: "Ann".into(),
            badge: None,
            text: "hello".into(),
            standing,
            entered: None,
        })
    };
    let json = |event: &Event| {
        let stage = serde_json::to_string(&event.stage(7)).expect("serialisable");
        let backstage = serde_json::to_string(&event.backstage(7, Timestamp(5))).expect("serialisable");
        (stage, backstage)
    };
    let shown = r#"{"id":7,"by":1,"name":"Ann","text":"hello"}"#;
    let (stage, backstage) = json(&posted(Standing::Stage));
    assert_eq!(stage, format!(r#"{{"comment":{shown}}}"#));
    assert_eq!(backstage, format!("[{stage}]"));
    for hidden in [Standing::Waiting, Standing::EntryOnly] {
        let (stage, backstage) = json(&posted(hidden));
        assert_eq!(
            (stage.as_str(), backstage),
            ("null", format!(r#"[{{"offstage":{shown}}}]"#))
        );
    }
    let muted = CommentEvent::Muted {
        viewer: ViewerNo(1),
        until: Timestamp(9),
        by: By::Staff(PersonId(1)),
    };
    let (stage, backstage) = json(&muted.into());
    assert_eq!(stage, "null");
    assert!(backstage.contains(r#""act":{"id":7,"at":5,"#), "{backstage}");
}

#[test]
fn the_backstage_keeps_the_acts_of_people_and_not_the_servers() {
    let mut room = show();
    run(&mut room, &actor("ann"), &post("a", "hello"), 0).expect("posted");
    let comment = room.head;
    let for_ms = Some(1_000);
    run(&mut room, &actor("lina"), &Command::Pin(Pin { comment, for_ms }), 0).expect("pinned");
    pass(&mut room, 1_000);
    run(&mut room, &actor("mia"), &Command::Delete(Delete { comment }), 2_000).expect("deleted");
    let removed = StaffEvent::Removed {
        person: PersonId(2),
        by: By::Staff(PersonId(1)),
    };
    room.apply(&removed.into(), Timestamp(3_000));
    let acts: Vec<_> = room.comments.acts().into_iter().map(|act| act.what).collect();
    let expected = [
        ActKind::Pinned { comment },
        ActKind::Deleted {
            comments: vec![comment],
        },
        ActKind::Removed { person: PersonId(2) },
    ];
    assert_eq!(acts, expected);
}

#[test]
fn the_state_survives_being_stored() {
    let mut room = show();
    let words = vec!["casino".to_owned()];
    run(
        &mut room,
        &actor("lina"),
        &Command::SetBlockedWords(SetBlockedWords { words }),
        0,
    )
    .expect("set");
    for n in 0..12 {
        run(&mut room, &actor(&format!("v{}", n + 4)), &post("a", "hello"), 500).expect("posted");
    }
    let delete = Delete { comment: room.head };
    run(&mut room, &actor("lina"), &Command::Delete(delete), 600).expect("deleted");
    let stored = serde_json::to_string(&room).expect("serialisable");
    let back: Room = serde_json::from_str(&stored).expect("readable");
    assert_eq!(back, room);
    assert!(back.comments.blocked_words.stand_in("c a s i n o"));
}

//! A draw of 5,000 entries, verified by three implementations that share no code: the server's, the page's and
//! the one in Python that was written from the guide alone; and the guide's test vectors.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/verifiers.rs"]
mod verifiers;

use std::fs;
use std::process::Command as Program;

use hubbub::room::audience::{Address, Visitor};
use hubbub::room::comment::Post;
use hubbub::room::draw::{ById, Eligibility, Prepare, Rules, Strike};
use hubbub::room::fair::{self, Excluded, Transcript};
use hubbub::room::show::{Create, Details};
use hubbub::room::{
    Actor, Answer, Command, Empty, Event, Hash, Key, Luck, PersonId, Room, RoomId, Timestamp, ViewerId,
};
use serde_json::Value;
use verifiers::{VERIFIERS, root, verdicts};

const HOST: Actor = Actor::Operator(PersonId(1));
const ENTRIES: u32 = 5_000;

fn key() -> Key {
    Key::new("lipstick").unwrap()
}

/// A room whose commands come a millisecond after each other.
struct Show {
    room: Room,
    now: u64,
    log: Vec<(Event, Timestamp)>,
}

impl Show {
    fn ask(&mut self, actor: &Actor, command: &Command) -> Answer {
        self.now += 1;
        let mut luck = self.luck();
        let decision = self
            .room
            .decide(actor, command, Timestamp(self.now), &mut luck)
            .unwrap();
        self.apply(decision.events);
        decision.answer
    }

    fn luck(&self) -> Luck {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.now.to_be_bytes());
        Luck::new(bytes)
    }

    fn apply(&mut self, events: Vec<Event>) {
        let at = Timestamp(self.now);
        events.iter().for_each(|event| self.room.apply(event, at));
        self.log.extend(events.into_iter().map(|event| (event, at)));
    }

    fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some(due) = self.room.next_deadline().filter(|due| due.0 <= until) {
            self.now = due.0;
            let events = self.room.due(due, &mut self.luck()).unwrap();
            self.apply(events);
        }
        self.now = until;
    }

    /// Kills the server and starts it again: what is left is the log, as it is stored.
    fn crash(&mut self) {
        let mut room = Room::new(self.room.id.clone());
        for (event, at) in &self.log {
            let stored = serde_json::to_vec(event).unwrap();
            room.apply(&serde_json::from_slice(&stored).unwrap(), *at);
        }
        assert_eq!(room, self.room);
        self.room = room;
    }

    fn transcript(&self) -> Transcript {
        self.room.transcript(&key()).unwrap()
    }
}

fn viewer(number: u32) -> Actor {
    Actor::Viewer(Visitor {
        id: ViewerId(0xabcd << 64 | u128::from(number)),
        name: "Ann".into(),
        store: false,
        address: Address {
            key: u64::from(number),
            masked: String::new(),
        },
    })
}

/// 5,000 entries by phrase, three of them struck.
fn show_with_an_open_draw() -> Show {
    let room = Room::new(RoomId::new("spring-show").unwrap());
    let mut show = Show {
        room,
        now: 1_767_225_600_000,
        log: Vec::new(),
    };
    let details = Details {
        title: "Spring".into(),
        host: "Lina".into(),
        ..Details::default()
    };
    let rules = Rules {
        prize: "口红 \"No. 7\"".into(),
        winners: 20,
        open_ms: 600_000,
        eligibility: Eligibility::Phrase { phrase: "666".into() },
        exclude_earlier_winners: true,
        who: None,
        ask: Vec::new(),
        readers: None,
        claim_ms: Some(60_000),
    };
    show.ask(&HOST, &Command::Create(Create { details }));
    show.ask(&HOST, &Command::Start(Empty {}));
    show.ask(&HOST, &Command::PrepareDraw(Prepare { id: key(), rules }));
    show.ask(&HOST, &Command::OpenDraw(ById { draw: key() }));
    for number in 1..=ENTRIES {
        let (nonce, text) = ("1".to_owned(), "666".to_owned());
        show.ask(&viewer(number), &Command::Comment(Post { nonce, text }));
    }
    for entry in [7, 77, 777] {
        let reason = "a bot, 机器人".to_owned();
        show.ask(
            &HOST,
            &Command::StrikeEntry(Strike {
                draw: key(),
                entry,
                reason,
            }),
        );
    }
    show
}

#[test]
fn three_verifiers_accept_the_draw_and_refuse_it_with_one_byte_changed() {
    let mut show = show_with_an_open_draw();
    show.wait(600_000 + 3_000 + 60_000);
    show.ask(&HOST, &Command::Redraw(ById { draw: key() }));
    let transcript = show.transcript();
    assert_eq!(transcript.leaves.len() as u32, ENTRIES);
    let verified = fair::verify(&transcript).unwrap();
    assert_eq!(
        (verified.winners.len(), verified.holders.len(), verified.excluded),
        (20, 20, 3)
    );

    let folder = tempfile::tempdir().unwrap();
    let honest = serde_json::to_vec(&transcript).unwrap();
    assert!(fair::verify_text(std::str::from_utf8(&honest).unwrap()).is_ok());
    let file = folder.path().join("honest.json");
    fs::write(&file, &honest).unwrap();
    for (program, script) in VERIFIERS {
        assert_eq!(
            verdicts(program, script, std::slice::from_ref(&file)),
            (true, vec![true]),
            "{program}"
        );
    }

    // Bytes of what stands before the leaves, of some leaves, and of what stands behind them.
    let behind = honest.len() - 1_000;
    let places = (0..400).step_by(23).chain((400..behind).step_by(67_003));
    let places = places.chain((behind..honest.len()).step_by(31));
    let mut files = Vec::new();
    for place in places {
        let mut changed = honest.clone();
        changed[place] ^= 1;
        let refused = std::str::from_utf8(&changed).map_or(true, |text| fair::verify_text(text).is_err());
        assert!(refused, "byte {place} of {}", honest.len());
        let file = folder.path().join(format!("{place}.json"));
        fs::write(&file, changed).unwrap();
        files.push(file);
    }
    for (program, script) in VERIFIERS {
        let (all, each) = verdicts(program, script, &files);
        let accepted: Vec<_> = files.iter().zip(each).filter(|(_, accepted)| *accepted).collect();
        assert!(!all && accepted.is_empty(), "{program}: {accepted:?}");
    }
}

#[test]
fn a_crash_between_lock_and_reveal_changes_no_winner() {
    let mut show = show_with_an_open_draw();
    show.ask(&HOST, &Command::LockDraw(ById { draw: key() }));
    let mut crashed = Show {
        room: show.room.clone(),
        now: show.now,
        log: show.log.clone(),
    };
    crashed.crash();
    for show in [&mut show, &mut crashed] {
        show.wait(70_000);
        show.ask(&HOST, &Command::Redraw(ById { draw: key() }));
    }
    assert_eq!(show.transcript(), crashed.transcript());
    assert_eq!(show.room.winners(&key()).unwrap().len(), 40);
}

fn bytes<const N: usize>(hex: &Value) -> [u8; N] {
    let hex = hex.as_str().unwrap();
    std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
}

fn hash(hex: &Value) -> Hash {
    serde_json::from_value(hex.clone()).unwrap()
}

#[test]
fn the_guides_vectors_hold() {
    let vectors: Value = serde_json::from_slice(&fs::read(root().join("tests/vectors/draw-v1.json")).unwrap()).unwrap();
    let (commit, lock) = (&vectors["commit"], &vectors["lock"]);
    let seed = bytes::<32>(&commit["seed"]);
    let mut chain = fair::commitment(&seed, commit["rules"].as_str().unwrap());
    assert_eq!(chain, hash(&commit["commitment"]));
    for (number, entry) in (1..).zip(vectors["entries"].as_array().unwrap()) {
        let id = ViewerId(u128::from_be_bytes(bytes(&entry["viewer"])));
        let leaf = fair::leaf(number, &bytes(&entry["salt"]), id);
        chain = fair::chain(&chain, &leaf);
        assert_eq!(
            (leaf, chain),
            (hash(&entry["leaf"]), hash(&entry["hash"])),
            "entry {number}"
        );
    }
    let excluded: Vec<Excluded> = serde_json::from_value(lock["excluded"].clone()).unwrap();
    let root = fair::root(&chain, 12, &excluded);
    assert_eq!(root, hash(&lock["root"]));
    let can_win = fair::eligible(12, excluded.iter().map(|excluded| excluded.entry));
    let picks = vectors["picks"].as_array().unwrap();
    for (entry, pick) in fair::Picks::new(&seed, &root, can_win).zip(picks) {
        assert_eq!(pick["entry"], entry);
    }
    for index in vectors["indexes"].as_array().unwrap() {
        let number = u64::from_be_bytes(bytes(&index["number"]));
        let expected = index["index"].as_u64();
        assert_eq!(
            fair::index(number, index["left"].as_u64().unwrap()),
            expected,
            "{index}"
        );
    }
    let salts = bytes(&vectors["present"]["salts"]);
    for entry in vectors["present"]["entries"].as_array().unwrap() {
        let number = entry["number"].as_u64().unwrap() as u32;
        assert_eq!(fair::present_salt(&salts, number), bytes(&entry["salt"]));
    }
    let transcript: Transcript = serde_json::from_value(vectors["transcript"].clone()).unwrap();
    assert_eq!(fair::verify(&transcript).unwrap().holders, [7, 6, 5]);
    let file = verifiers::root().join("tests/vectors/draw-v1.json");
    let python = Program::new("python3")
        .arg(verifiers::root().join("tests/verify_draw.py"))
        .arg("--vectors")
        .arg(file)
        .status();
    assert!(python.expect("this test needs python3").success());
}

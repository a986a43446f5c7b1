//! What fuzzers call. Each target takes any bytes, as a stranger or a damaged file would bring them, and fails only
//! where a promise is broken. Compiled for tests and for `cargo fuzz`, see `tests/fuzz`, where the inputs are kept.

use std::cell::LazyCell;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::auth::{Auth, SigningSecret, StoreKey};
use crate::protocol::{Encoding, Numbered, Request};
use crate::room::audience::{Address, Visitor};
use crate::room::show::{Create, Details};
use crate::room::staff::{Rights, Role, StaffEvent};
use crate::room::{Actor, Command, Empty, Event, Luck, PersonId, Personal, Room, RoomId, Timestamp, ViewerId};

pub use crate::http::fuzz_csv as csv;
pub use crate::hub::fuzzing::{cursor, frames, record};

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// The targets, by name.
pub const TARGETS: [(&str, Target); 6] = [
    ("commands", commands),
    ("cursor", cursor),
    ("token", token),
    ("record", record),
    ("frames", frames),
    ("csv", csv),
];

const NOW: Timestamp = Timestamp(1_790_000_000_000);
/// Lines of one input that are played.
const LINES_MAX: usize = 64;

/// A show, line by line: the first byte says who speaks and how much time has passed, the rest is a request as a
/// socket brings it. Whatever is played, the journal replays it to the same room, and everything can be shown.
pub fn commands(data: &[u8]) {
    // Nobody's bytes may break the reading of either encoding.
    let _ = Encoding::MessagePack.decode_request(data);
    let mut play = Play::new();
    for line in data.split(|byte| *byte == b'\n').take(LINES_MAX) {
        if let Some((first, request)) = line.split_first()
            && let Ok(Numbered { request, .. }) = Encoding::Json.decode_request(request)
            && let Request::Command(command) = request
        {
            play.command(*first, &command);
        }
    }
    play.check();
}

/// A room and its log.
struct Play {
    room: Room,
    log: Vec<(Event, Timestamp)>,
    now: Timestamp,
    actors: Vec<Actor>,
}

impl Play {
    fn new() -> Self {
        let id = RoomId::new("show").expect("four letters");
        let mut play = Self {
            room: Room::new(id),
            log: Vec::new(),
            now: NOW,
            actors: (1..=3)
                .map(viewer)
                .chain((1..=4).map(PersonId).map(Actor::Staff))
                .collect(),
        };
        let operator = Actor::Operator(PersonId(9));
        play.actors.push(operator.clone());
        let details = Details {
            title: "Lipsticks".to_owned(),
            host: "Hoa".to_owned(),
            ..Details::default()
        };
        play.decide(&operator, &Command::Create(Create { details }));
        let roles = [
            Role::Host,
            Role::Assistant(Rights::Comments),
            Role::Assistant(Rights::Actions),
            Role::Store,
        ];
        for (person, role) in (1..).map(PersonId).zip(roles) {
            let name = Personal(format!("Member {}", person.0));
            let joined = StaffEvent::Joined {
                person,
                role,
                name,
                invitation: None,
            };
            play.apply(vec![joined.into()]);
        }
        play.decide(&operator, &Command::Start(Empty {}));
        play
    }

    fn command(&mut self, first: u8, command: &Command) {
        const STEPS_MS: [u64; 8] = [0, 0, 1, 500, 5_000, 30_000, 600_000, 5_000_000];
        self.now = self.now.plus(STEPS_MS[usize::from(first >> 4 & 7)]);
        let fired = self.room.fire_due(self.now, &mut luck(self.log.len()));
        let at = self.now;
        self.log.extend(fired.into_iter().map(|event| (event, at)));
        let actor = self.actors[usize::from(first & 7)].clone();
        self.decide(&actor, command);
    }

    fn decide(&mut self, actor: &Actor, command: &Command) {
        let decided = self.room.decide(actor, command, self.now, &mut luck(self.log.len()));
        if let Ok(decision) = decided {
            self.apply(decision.events);
        }
    }

    fn apply(&mut self, events: Vec<Event>) {
        for event in events {
            self.room.apply(&event, self.now);
            self.log.push((event, self.now));
        }
    }

    fn check(&self) {
        let mut replayed = Room::new(self.room.id.clone());
        for (event, at) in &self.log {
            let written = serde_json::to_vec(event).expect("an event is written");
            let read: Event = serde_json::from_slice(&written).expect("and read again");
            assert_eq!(read, *event);
            replayed.apply(&read, *at);
        }
        assert_eq!(replayed, self.room, "the log makes the room");
        let snapshot = serde_json::to_vec(&self.room).expect("a room is written");
        let restored: Room = serde_json::from_slice(&snapshot).expect("and read again");
        assert_eq!(restored, self.room, "a snapshot is the room");
        for encoding in Encoding::ALL {
            encoding.encode(&self.room.stage());
            encoding.encode(&self.room.backstage(self.now));
            encoding.encode(&self.room.mine(ViewerId(1), self.now));
        }
    }
}

fn viewer(id: u128) -> Actor {
    Actor::Viewer(Visitor {
        id: ViewerId(id),
        name: Personal(format!("Guest {id}")),
        store: id == 3,
        address: Address::default(),
    })
}

fn luck(n: usize) -> Luck {
    Luck::new([n as u8; 32])
}

const SECRET: [u8; 32] = [0x11; 32];

thread_local! {
    static AUTH: LazyCell<Auth> = const { LazyCell::new(|| {
        let secret: SigningSecret = "11".repeat(32).parse().expect("64 digits");
        let key = include_bytes!("../tests/keys/rs256.pub.pem");
        let store = StoreKey::new("RS256", key, "shop").expect("a public key");
        Auth::new(secret, None, vec![store])
    }) };
}

/// A token, as it is, and a header and claims (apart by a line break) under a good signature. Nobody comes in whom
/// the secret has not signed, and under no other algorithm.
pub fn token(data: &[u8]) {
    let verify = |token: &str| AUTH.with(|auth| auth.verify(token, NOW).is_ok());
    let text = String::from_utf8_lossy(data);
    if verify(&text) {
        let (signed, signature) = text.rsplit_once('.').expect("a token has three parts");
        assert_eq!(BASE64.decode(signature).ok(), Some(signature_of(signed)));
    }
    let Some((header, claims)) = text.split_once('\n') else {
        return;
    };
    let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    let token = format!("{signed}.{}", BASE64.encode(signature_of(&signed)));
    if verify(&token) {
        let header: Value = serde_json::from_str(header).expect("a header that was taken is JSON");
        let claims: Value = serde_json::from_str(claims).expect("claims that were taken are JSON");
        assert_eq!(header["alg"], "HS256");
        assert_eq!(claims["iss"], "hubbub");
        assert!(claims["exp"].as_u64().is_some_and(|exp| exp > NOW.0 / 1_000));
    }
}

fn signature_of(signed: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(&SECRET).expect("HMAC takes keys of any length");
    mac.chain_update(signed).finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::{Duration, Instant};

    use super::*;

    /// For each target; without a special tool, so that every run of the tests looks for something new.
    const SEARCH: Duration = Duration::from_millis(1_500);
    /// An input grows to at most about this.
    const BYTES_MAX: usize = 4_096;

    fn kept(target: &str) -> Vec<Vec<u8>> {
        let folder = format!("{}/tests/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(&folder).expect("the folder of kept inputs");
        let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "{folder}");
        paths
            .iter()
            .map(|path| std::fs::read(path).expect("a kept input"))
            .collect()
    }

    fn run(name: &str, target: Target, input: &[u8]) {
        let ran = catch_unwind(AssertUnwindSafe(|| target(input)));
        assert!(ran.is_ok(), "{name} broke on b\"{}\"", input.escape_ascii());
    }

    #[test]
    fn no_kept_input_breaks_anything() {
        for (name, target) in TARGETS {
            kept(name).iter().for_each(|input| run(name, target, input));
        }
    }

    #[test]
    fn no_mutation_of_them_does_either() {
        let given = std::env::var("HUBBUB_FUZZ_SEED").ok();
        let seed = given.map_or_else(luck_of_the_day, |seed| seed.parse().expect("a number"));
        println!("HUBBUB_FUZZ_SEED={seed} finds the same again");
        for (name, target) in TARGETS {
            let kept = kept(name);
            let mut random = Random(seed);
            let until = Instant::now() + SEARCH;
            while Instant::now() < until {
                let mut input = kept[random.below(kept.len())].clone();
                for _ in 0..=random.below(4) {
                    mutate(&mut input, &kept, &mut random);
                }
                run(name, target, &input);
            }
        }
    }

    fn luck_of_the_day() -> u64 {
        getrandom::u64().expect("the operating system gives random bytes")
    }

    /// SplitMix64.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((mixed ^ mixed >> 31) % bound.max(1) as u64) as usize
        }
    }

    const NUMBERS: [&str; 8] = [
        "0",
        "-1",
        "1e999",
        "18446744073709551615",
        "18446744073709551616",
        "4294967295",
        "9007199254740993",
        "null",
    ];

    fn mutate(input: &mut Vec<u8>, kept: &[Vec<u8>], random: &mut Random) {
        let at = random.below(input.len() + 1);
        let to = at + random.below((input.len() - at).min(64) + 1);
        match random.below(8) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = random.below(256) as u8,
            2 => drop(input.drain(at..to)),
            3 => {
                let piece = input[at..to].to_vec();
                input.splice(at..at, piece);
            }
            4 => {
                let number = NUMBERS[random.below(NUMBERS.len())];
                input.splice(at..to, number.bytes());
            }
            5 => input.truncate(at),
            // Lines, requests and rows are what most inputs are made of.
            6 => {
                let other = &kept[random.below(kept.len())];
                let lines: Vec<_> = other.split(|byte| *byte == b'\n').collect();
                let line = lines[random.below(lines.len())];
                input.extend([b"\n", line].concat());
            }
            _ => {
                let other = &kept[random.below(kept.len())];
                let from = random.below(other.len() + 1);
                input.splice(at..to, other[from..].iter().copied());
            }
        }
        input.truncate(BYTES_MAX);
    }
}

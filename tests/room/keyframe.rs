//! A keyframe stays within 64 KiB, however long everything in it is.

use hubbub::room::audience::{Arrival, PULSE_CHANGES_MAX, Pulse};
use hubbub::room::comment::{KEYFRAME_COMMENTS, Pin, Post, TEXT_MAX};
use hubbub::room::discount::{self, Closes, CodeSource, DISCOUNTS_MAX, OPEN_MAX, Off, Prepare, Terms};
use hubbub::room::draw::{self, Ask, Eligibility};
use hubbub::room::show::{Create, Details, End, LINKS_MAX, Link, Source, TAGS_MAX};
use hubbub::room::stage::STAGE_BYTES_MAX;
use hubbub::room::{Actor, Command, Empty, Key, Luck, PersonId, Personal, Room, RoomId, Timestamp, ViewerId};

const HOST: Actor = Actor::Operator(PersonId(1));

/// A room in which everything is as long as it may be.
struct Longest {
    room: Room,
    letter: &'static str,
    now: u64,
}

impl Longest {
    fn text(&self, characters: usize) -> String {
        self.letter.repeat(characters)
    }

    fn ask(&mut self, actor: &Actor, command: Command) {
        let now = Timestamp(self.now);
        let mut luck = Luck::new([9; 32]);
        self.room.fire_due(now, &mut luck);
        let decided = self.room.decide(actor, &command, now, &mut luck);
        let decision = decided.unwrap_or_else(|refusal| panic!("{command:?}: {refusal}"));
        for event in decision.events {
            self.room.apply(&event, now);
        }
    }

    /// Twenty seconds go by: what is open locks, what is locked is revealed.
    fn pass(&mut self) {
        for _ in 0..2 {
            self.now += 10_000;
            self.room.fire_due(Timestamp(self.now), &mut Luck::new([8; 32]));
        }
    }

    fn check(&self) {
        let bytes = serde_json::to_vec(&self.room.stage()).unwrap().len();
        assert!(bytes <= STAGE_BYTES_MAX, "{bytes} bytes in {}", self.letter);
    }

    fn create(&mut self) {
        let link = Link {
            label: self.text(40),
            url: url(),
        };
        let details = Details {
            title: self.text(80),
            description: self.text(2_000),
            host: self.text(20),
            tags: vec![self.text(30); TAGS_MAX],
            source: Some(Source::Whep { url: url() }),
            links: vec![link; LINKS_MAX],
            ..Details::default()
        };
        self.ask(&HOST, Command::Create(Create { details }));
        self.ask(&HOST, Command::Start(Empty {}));
    }

    fn crowd(&mut self) {
        let name = Personal(self.text(19));
        let arrival = |n| Arrival {
            id: ViewerId(n),
            name: name.clone(),
            store: false,
            address: None,
            at: Timestamp(self.now),
        };
        let arrived = (0..PULSE_CHANGES_MAX as u128).map(arrival).collect();
        let pulse = Pulse {
            node: 1,
            run: 1,
            number: 1,
            arrived,
            ..Pulse::default()
        };
        self.ask(&Actor::Server, Command::Pulse(pulse));
    }

    fn discount(&mut self, n: usize) {
        let id = long_key(n);
        let terms = Terms {
            title: self.text(60),
            off: Off::Amount {
                minor: u64::MAX,
                currency: "CNY".into(),
            },
            items: Some(self.text(200)),
            quota: 1_000_000,
            per_viewer: 100,
            closes: Closes::WithShow,
            use_before: None,
            gate: None,
            who: None,
            link: Some(url()),
        };
        let codes = CodeSource::Generated {};
        self.ask(
            &HOST,
            Command::PrepareDiscount(Prepare {
                id: id.clone(),
                terms,
                codes,
            }),
        );
        self.ask(&HOST, Command::OpenDiscount(discount::ById { discount: id }));
    }

    fn draw(&mut self, n: usize) {
        let id = long_key(n);
        let rules = draw::Rules {
            prize: self.text(80),
            winners: 500,
            open_ms: 5_000,
            eligibility: Eligibility::Present {},
            exclude_earlier_winners: false,
            who: None,
            ask: vec![Ask::Name, Ask::Phone, Ask::Address, Ask::Email, Ask::Note],
            readers: Some(self.text(200)),
            claim_ms: None,
        };
        self.ask(&HOST, Command::PrepareDraw(draw::Prepare { id: id.clone(), rules }));
        self.ask(&HOST, Command::OpenDraw(draw::ById { draw: id }));
    }
}

fn url() -> String {
    format!("https://shop.example/{}", "x".repeat(500 - 21))
}

fn long_key(n: usize) -> Key {
    Key::new(&format!("{n:0>40}")).unwrap()
}

#[test]
fn a_keyframe_of_the_longest_of_everything_fits_in_64_kib() {
    // The most bytes that a character may have on average, a typical one, and those that JSON makes longer.
    for letter in ["e\u{301}\u{302}\u{303}\u{304}", "👍🏽", "口", "\"", "x"] {
        let mut longest = Longest {
            room: Room::new(RoomId::new("show").unwrap()),
            letter,
            now: 1_790_000_000_000,
        };
        longest.create();
        longest.crowd();
        for n in 0..12 {
            longest.draw(n);
            longest.check();
            longest.pass();
            longest.check();
        }
        longest.draw(99);
        for n in 0..20 {
            longest.discount(n);
            longest.check();
            if n + OPEN_MAX < 20 {
                let discount = long_key(n);
                longest.ask(&HOST, Command::CloseDiscount(discount::ById { discount }));
            }
        }
        for n in 0..=KEYFRAME_COMMENTS {
            let post = Post {
                nonce: n.to_string(),
                text: longest.text(TEXT_MAX),
            };
            longest.ask(&HOST, Command::Comment(post));
        }
        let comment = longest.room.head;
        longest.ask(&HOST, Command::Pin(Pin { comment, for_ms: None }));
        longest.check();
        let stage = longest.room.stage();
        assert_eq!(
            stage.discounts.iter().filter(|card| card.closed.is_none()).count(),
            OPEN_MAX
        );
        assert!(stage.draws.iter().any(|draw| draw.phase == draw::Phase::Open {}));

        longest.pass();
        for n in 20..DISCOUNTS_MAX {
            let discount = long_key(n - OPEN_MAX);
            longest.ask(&HOST, Command::CloseDiscount(discount::ById { discount }));
            longest.discount(n);
        }
        longest.ask(&HOST, Command::End(End::default()));
        longest.pass();
        longest.ask(&HOST, Command::Unpin(Empty {}));
        assert!(longest.room.stage().summary.is_some());
        longest.check();
    }
}

#[test]
fn an_ordinary_keyframe_is_whole() {
    let mut ordinary = Longest {
        room: Room::new(RoomId::new("show").unwrap()),
        letter: "",
        now: 1_790_000_000_000,
    };
    let details = Details {
        title: "Lipsticks of the autumn".into(),
        host: "Lina".into(),
        ..Details::default()
    };
    ordinary.ask(&HOST, Command::Create(Create { details }));
    for n in 0..=KEYFRAME_COMMENTS {
        let post = Post {
            nonce: n.to_string(),
            text: "Does the red one come in a smaller size too?".into(),
        };
        ordinary.ask(&HOST, Command::Comment(post));
    }
    assert_eq!(ordinary.room.stage().comments.len(), KEYFRAME_COMMENTS);
}

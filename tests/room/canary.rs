//! Secrets stay in the journal: no feed, keyframe or other viewer sees a code or a seed.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use hubbub::room::discount::{CodeSource, DiscountEvent};
use hubbub::room::draw::DrawEvent;
use hubbub::room::{Event, Offset, Room, Timestamp, ViewerId};
use serde::Serialize;

/// Everything secret that the log has brought so far.
#[derive(Default)]
pub(crate) struct Secrets {
    /// Codes and seeds, in every form in which they could be written. The seed of a draw until its reveal.
    texts: BTreeSet<String>,
    /// Looks for all of them at once; made anew when they have changed.
    search: OnceCell<AhoCorasick>,
}

impl Secrets {
    pub(crate) fn happened(&mut self, event: &Event, room: &Room) {
        let known = self.texts.len();
        match event {
            Event::Discount(DiscountEvent::Prepared { id, codes, seed, .. }) => {
                self.texts.extend(forms(&seed.0));
                if let CodeSource::Shared { code } = &codes.0 {
                    self.texts.insert(code.clone());
                }
                self.texts.extend(room.discounts.codes(id).into_iter().flatten());
            }
            Event::Discount(DiscountEvent::CodesAdded { codes, .. }) => {
                self.texts.extend(codes.0.iter().cloned());
            }
            Event::Draw(DrawEvent::Opened { seed, .. }) => self.texts.extend(forms(&seed.0)),
            Event::Draw(DrawEvent::Revealed { seed, .. }) => {
                for form in forms(&seed.0) {
                    self.texts.remove(&form);
                }
            }
            Event::Draw(DrawEvent::PrizeClaimed { code, .. }) => self.texts.extend(code.0.clone()),
            _ => {}
        }
        if self.texts.len() != known {
            self.search.take();
        }
    }

    /// An event as both feeds show it.
    pub(crate) fn check_event(&self, event: &Event, offset: Offset, at: Timestamp) {
        self.check("the stage", &event.stage(offset), &[]);
        self.check("the backstage", &event.backstage(offset, at), &[]);
    }

    /// The keyframes, and each viewer's own things, in which only theirs may stand.
    pub(crate) fn check_room(&self, room: &Room, now: Timestamp, viewers: &[ViewerId]) {
        self.check("the stage", &room.stage(), &[]);
        self.check("the backstage", &room.backstage(now), &[]);
        for viewer in viewers {
            let mine = room.mine(*viewer, now);
            let claimed = mine.claims.iter().map(|claim| claim.code.clone());
            let won = mine.wins.iter().filter_map(|win| win.code.clone());
            let own: Vec<_> = claimed.chain(won).collect();
            self.check("mine", &mine, &own);
        }
    }

    fn check(&self, place: &str, what: &impl Serialize, own: &[String]) {
        let shown = serde_json::to_string(what).expect("it is shown as JSON");
        let search = || AhoCorasick::new(&self.texts).expect("they are few");
        let seen = self
            .search
            .get_or_init(search)
            .find_overlapping_iter(&shown)
            .map(|found| &shown[found.range()])
            .find(|secret| !own.iter().any(|own| own == secret));
        assert_eq!(seen, None, "a secret stands in {place}: {shown}");
    }
}

fn forms(seed: &[u8; 32]) -> [String; 2] {
    let hex = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    [hex, serde_json::to_string(seed).expect("bytes are JSON")]
}

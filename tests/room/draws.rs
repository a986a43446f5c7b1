//! What must hold of every draw, told its events.

use std::collections::{BTreeMap, BTreeSet};

use hubbub::room::draw::{DrawEvent, Rules, Winner};
use hubbub::room::{Key, ViewerNo};

#[derive(Default)]
pub(crate) struct Draws {
    draws: BTreeMap<Key, Draw>,
}

struct Draw {
    rules: Rules,
    entries: BTreeMap<u32, ViewerNo>,
    struck: BTreeSet<u32>,
    excluded: Option<BTreeSet<u32>>,
    won: BTreeSet<u32>,
}

impl Draws {
    pub(crate) fn happened(&mut self, event: &DrawEvent) {
        match event {
            DrawEvent::Opened { card, .. } => {
                let others = self.draws.values().filter(|draw| draw.excluded.is_none()).count();
                assert_eq!(others, 0, "one open draw at a time");
                let draw = Draw {
                    rules: card.rules.clone(),
                    entries: BTreeMap::new(),
                    struck: BTreeSet::new(),
                    excluded: None,
                    won: BTreeSet::new(),
                };
                self.draws.insert(card.id.clone(), draw);
            }
            DrawEvent::Entered { id, number, viewer, .. } => {
                let draw = self.of(id);
                assert!(draw.excluded.is_none(), "an entry after the lock");
                assert_eq!(
                    *number as usize,
                    draw.entries.len() + 1,
                    "entries are numbered in order"
                );
                assert!(draw.entries.values().all(|other| other != viewer), "entered twice");
                draw.entries.insert(*number, *viewer);
            }
            DrawEvent::Struck { id, entry, .. } => {
                let draw = self.of(id);
                assert!(draw.excluded.is_none(), "struck after the lock");
                assert!(draw.struck.insert(*entry), "struck twice");
            }
            DrawEvent::Locked {
                id,
                present,
                count,
                excluded,
                ..
            } => {
                let draw = self.of(id);
                draw.entries.extend((1..).zip(present.iter().copied()));
                let different: BTreeSet<_> = draw.entries.values().collect();
                assert_eq!(different.len(), draw.entries.len(), "somebody is in twice");
                assert_eq!(*count as usize, draw.entries.len());
                assert!(draw.struck.iter().all(|entry| excluded.contains(entry)));
                draw.excluded = Some(excluded.iter().copied().collect());
            }
            DrawEvent::Revealed { id, winners, .. } => {
                let draw = self.of(id);
                let free = draw.entries.len() - draw.excluded.as_ref().expect("locked").len();
                assert_eq!(
                    winners.len(),
                    free.min(draw.rules.winners as usize),
                    "as many as can win"
                );
                draw.win(winners);
            }
            DrawEvent::Redrawn {
                id,
                instead_of,
                winners,
                ..
            } => {
                assert!(winners.len() <= instead_of.len());
                self.of(id).win(winners);
            }
            DrawEvent::Cancelled { id, .. } => {
                let draw = self.of(id);
                assert!(draw.excluded.is_none(), "cancelled after the lock");
                draw.excluded = Some(BTreeSet::new());
            }
            DrawEvent::Prepared { .. }
            | DrawEvent::Removed { .. }
            | DrawEvent::PrizeClaimed { .. }
            | DrawEvent::SentMarked { .. } => {}
        }
    }

    fn of(&mut self, id: &Key) -> &mut Draw {
        self.draws.get_mut(id).expect("it was opened")
    }
}

impl Draw {
    /// Winners are entries, none of them twice, none excluded.
    fn win(&mut self, winners: &[Winner]) {
        for winner in winners {
            assert_eq!(self.entries.get(&winner.entry), Some(&winner.by));
            assert!(self.won.insert(winner.entry), "an entry won twice");
            let excluded = self.excluded.as_ref().expect("locked");
            assert!(!excluded.contains(&winner.entry), "an excluded entry won");
        }
    }
}

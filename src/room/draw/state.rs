//! What a room knows of its draws, and how it is shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use super::super::audience::{Address, Addresses, Audience};
use super::super::fair::{self, CommittedRules, Excluded, Picks, Transcript, Why};
use super::super::stage::{DrawSummary, MyWin, PreparedDraw};
use super::super::{Hash, Key, Personal, Refusal, Room, Secret, Timestamp, ViewerId, ViewerNo, secret};
use super::{CARDS_MAX, Card, DrawEvent, EntryReceipt, MY_ENTRIES_MAX, NAMES_MAX, Phase, Prepare, Rules, Winner};

/// The draws' part of the room's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draws {
    /// At most [`PREPARED_MAX`], in the order in which they were first prepared.
    pub(super) prepared: Vec<PreparedDraw>,
    /// At most [`OPENED_MAX`], oldest first; at most the last one is open or locked.
    pub(super) opened: Vec<Draw>,
}

/// A draw that was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Draw {
    /// As it is shown, but with all winners; the number of entries stands in `entries`.
    pub(super) card: Card,
    #[serde(with = "secret")]
    pub(super) seed: Secret<[u8; 32]>,
    pub(super) entries: Entries,
    pub(super) addresses: Addresses,
    /// Ascending: struck ones, from the lock on earlier winners too.
    pub(super) excluded: Vec<Excluded>,
    /// The winners as first drawn.
    pub(super) drawn: Vec<u32>,
    /// By entry, also of those whose prizes were drawn again.
    pub(super) wins: BTreeMap<u32, Win>,
    pub(super) redraws: Vec<fair::Redraw>,
}

/// The entries of a draw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<Entry>")]
pub(super) struct Entries {
    /// By number: `list[n - 1]`.
    pub(super) list: Vec<Entry>,
    numbers: BTreeMap<ViewerNo, u32>,
}

impl From<Vec<Entry>> for Entries {
    fn from(list: Vec<Entry>) -> Self {
        let numbers = list.iter().map(|entry| entry.viewer).zip(1..).collect();
        Self { list, numbers }
    }
}

/// A snapshot holds the list; the numbers are found again.
impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}

impl Entries {
    pub(super) fn len(&self) -> u32 {
        self.list.len() as u32
    }

    /// A viewer's number.
    fn of(&self, viewer: ViewerNo) -> Option<u32> {
        self.numbers.get(&viewer).copied()
    }

    fn push(&mut self, entry: Entry) {
        self.numbers.insert(entry.viewer, self.len() + 1);
        self.list.push(entry);
    }
}

/// What makes an entry's leaf, and the running hash after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) viewer: ViewerNo,
    #[serde(with = "super::hex_salt")]
    pub(super) salt: [u8; 16],
    pub(super) hash: Hash,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Win {
    pub(super) claim_until: Timestamp,
    pub(super) claimed_at: Option<Timestamp>,
    #[serde(with = "secret")]
    pub(super) code: Secret<Option<String>>,
    pub(super) sent: bool,
    pub(super) redrawn: bool,
}

/// A winner, for the host's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WinnerRow {
    /// The entry that won.
    pub entry: u32,
    /// Whose it is.
    pub viewer: ViewerNo,
    /// Their name now.
    pub name: Personal,
    /// Until when they may claim.
    pub claim_until: Timestamp,
    /// When they claimed.
    pub claimed_at: Option<Timestamp>,
    /// Their prize code, to compare with the one they show.
    pub code: Option<String>,
    /// The prize was sent.
    pub sent: bool,
    /// It was drawn again because it was not claimed in time.
    pub redrawn: bool,
}

impl Win {
    pub(super) fn is_unclaimed(&self) -> bool {
        self.claimed_at.is_none() && !self.sent
    }
}

impl Draw {
    pub(super) fn is_open(&self) -> bool {
        self.card.phase == Phase::Open {}
    }

    /// Whether entries are taken and struck.
    pub(super) fn check_open(&self, now: Timestamp) -> Result<(), Refusal> {
        match self.card.phase {
            Phase::Open {} if now < self.card.closes_at => Ok(()),
            Phase::Open {} | Phase::Locked { .. } | Phase::Revealed { .. } => Err(Refusal::Locked),
            Phase::Cancelled { .. } => Err(Refusal::Closed),
        }
    }

    pub(super) fn entry(&self, number: u32) -> Option<&Entry> {
        self.entries.list.get((number as usize).checked_sub(1)?)
    }

    /// Where an entry stands, or would stand, among the excluded ones.
    pub(super) fn excluded_at(&self, entry: u32) -> Result<usize, usize> {
        self.excluded.binary_search_by_key(&entry, |excluded| excluded.entry)
    }

    pub(super) fn receipt(&self, viewer: ViewerNo) -> Option<EntryReceipt> {
        let number = self.entries.of(viewer)?;
        let entry = self.entry(number)?;
        Some(EntryReceipt::new(&self.card.id, number, &entry.salt, entry.hash))
    }

    /// The running hash so far.
    pub(super) fn hash(&self) -> Hash {
        self.entries
            .list
            .last()
            .map_or(self.card.commitment, |entry| entry.hash)
    }

    /// Struck entries, and those whose owners are `earlier` winners with the draw that they won.
    pub(super) fn excluded_with(&self, entries: &[Entry], earlier: &BTreeMap<ViewerNo, Key>) -> Vec<Excluded> {
        let struck = |number| self.excluded_at(number).ok().map(|at| self.excluded[at].clone());
        let won = |number, viewer| {
            let note = earlier.get(viewer)?.to_string();
            let why = Why::EarlierWinner;
            Some(Excluded {
                entry: number,
                why,
                note,
            })
        };
        let numbered = (1..).zip(entries);
        numbered
            .filter_map(|(number, entry)| struck(number).or_else(|| won(number, &entry.viewer)))
            .collect()
    }

    /// The sequence of winners, from its beginning; empty before the lock.
    pub(super) fn picks(&self) -> impl Iterator<Item = u32> {
        let sequence = |(count, root)| {
            let can_win = fair::eligible(count, self.excluded.iter().map(|excluded| excluded.entry));
            Picks::new(&self.seed.0, &root, can_win)
        };
        self.locked().map(sequence).into_iter().flatten()
    }

    /// Count and root, from the lock on.
    fn locked(&self) -> Option<(u32, Hash)> {
        match self.card.phase {
            Phase::Locked { count, root, .. } | Phase::Revealed { count, root, .. } => Some((count, root)),
            Phase::Open {} | Phase::Cancelled { .. } => None,
        }
    }

    pub(super) fn win_of(&self, viewer: ViewerNo) -> Option<(u32, &Win)> {
        let entry = self.entries.of(viewer)?;
        Some((entry, self.wins.get(&entry)?))
    }

    /// The winners that hold a prize, in the order drawn, redrawn ones in place.
    pub(super) fn winners(&self) -> &[Winner] {
        match &self.card.phase {
            Phase::Revealed { winners, .. } => winners,
            Phase::Open {} | Phase::Locked { .. } | Phase::Cancelled { .. } => &[],
        }
    }

    fn add_wins(&mut self, winners: &[Winner], claim_until: Timestamp) {
        for winner in winners {
            let win = Win {
                claim_until,
                claimed_at: None,
                code: Secret(None),
                sent: false,
                redrawn: false,
            };
            self.wins.insert(winner.entry, win);
        }
    }

    /// The card with `names` winners at most.
    fn card(&self, names: usize) -> Card {
        let mut card = self.card.clone();
        card.entries = self.entries.len();
        if let Phase::Revealed { winners, .. } = &mut card.phase {
            winners.truncate(names);
        }
        card
    }

    fn summary(&self, names: usize) -> DrawSummary {
        let winners = self.winners();
        let claimed = |winner: &&Winner| self.wins.get(&winner.entry).is_some_and(|win| win.claimed_at.is_some());
        DrawSummary {
            id: self.card.id.clone(),
            prize: self.card.rules.prize.clone(),
            entries: self.entries.len(),
            winners: winners.iter().take(names).cloned().collect(),
            won: winners.len() as u32,
            claimed: winners.iter().filter(claimed).count() as u32,
            cancelled: matches!(self.card.phase, Phase::Cancelled { .. }),
        }
    }

    fn my_win(&self, viewer: ViewerNo) -> Option<MyWin> {
        let (entry, win) = self.win_of(viewer)?;
        let rules = &self.card.rules;
        Some(MyWin {
            draw: self.card.id.clone(),
            entry,
            prize: rules.prize.clone(),
            ask: rules.ask.clone(),
            readers: rules.readers.clone(),
            claim_until: win.claim_until,
            claimed: win.claimed_at.is_some(),
            code: win.code.0.clone(),
            redrawn: win.redrawn,
        })
    }

    fn row(&self, room: &Room, entry: u32, win: &Win) -> Option<WinnerRow> {
        let viewer = self.entry(entry)?.viewer;
        Some(WinnerRow {
            entry,
            viewer,
            name: room.audience.viewer(viewer)?.name.clone(),
            claim_until: win.claim_until,
            claimed_at: win.claimed_at,
            code: win.code.0.clone(),
            sent: win.sent,
            redrawn: win.redrawn,
        })
    }

    fn transcript(&self, room: &Room) -> Transcript {
        let card = &self.card;
        let committed = CommittedRules {
            room: room.id.clone(),
            draw: card.id.clone(),
            opened_at: card.opened_at,
            rules: card.rules.clone(),
        };
        let (seed, cancelled) = match &card.phase {
            Phase::Revealed { seed, .. } => (Some(*seed), None),
            Phase::Cancelled { reason } => (None, Some(reason.clone())),
            Phase::Open {} | Phase::Locked { .. } => (None, None),
        };
        Transcript {
            format: fair::FORMAT.to_owned(),
            rules: committed.text(),
            commitment: card.commitment,
            leaves: (1..)
                .zip(&self.entries.list)
                .map(|(number, entry)| entry.leaf(number, &room.audience))
                .collect(),
            excluded: self.excluded.clone(),
            root: self.locked().map(|(_, root)| root),
            seed,
            winners: self.drawn.clone(),
            redraws: self.redraws.clone(),
            cancelled,
        }
    }
}

impl Entry {
    fn leaf(&self, number: u32, audience: &Audience) -> Hash {
        leaf_of(number, &self.salt, self.viewer, audience)
    }
}

fn leaf_of(number: u32, salt: &[u8; 16], viewer: ViewerNo, audience: &Audience) -> Hash {
    let id = audience.viewer(viewer).map_or(ViewerId(0), |viewer| viewer.id);
    fair::leaf(number, salt, id)
}

/// The entries of a draw of everyone present.
pub(super) fn present_entries(
    audience: &Audience,
    commitment: Hash,
    present: &[ViewerNo],
    salts: &[u8; 32],
) -> Vec<Entry> {
    let mut hash = commitment;
    (1..)
        .zip(present)
        .map(|(number, viewer)| {
            let salt = fair::present_salt(salts, number);
            hash = fair::chain(&hash, &leaf_of(number, &salt, *viewer, audience));
            Entry {
                viewer: *viewer,
                salt,
                hash,
            }
        })
        .collect()
}

impl Draws {
    pub(super) fn waiting(&self, id: &Key) -> Option<&PreparedDraw> {
        self.prepared.iter().find(|draw| draw.id == *id)
    }

    pub(super) fn find(&self, id: &Key) -> Option<&Draw> {
        self.opened.iter().find(|draw| draw.card.id == *id)
    }

    /// A draw that was opened.
    pub(super) fn opened(&self, id: &Key) -> Result<&Draw, Refusal> {
        self.find(id).ok_or_else(|| match self.waiting(id) {
            Some(_) => Refusal::NotOpen { opens_at: None },
            None => Refusal::UnknownDraw,
        })
    }

    /// The draw that is open or locked.
    pub(super) fn under_way(&self) -> Option<&Draw> {
        let last = self.opened.last()?;
        matches!(last.card.phase, Phase::Open {} | Phase::Locked { .. }).then_some(last)
    }

    /// Whoever holds a prize of another draw, with the first such draw; nobody if the rules do not ask. Who
    /// lost a prize to a redraw holds none.
    pub(super) fn earlier_winners(&self, card: &Card) -> BTreeMap<ViewerNo, Key> {
        let others = self.opened.iter().rev();
        let others = others.filter(|draw| card.rules.exclude_earlier_winners && draw.card.id != card.id);
        let winners = |draw: &Draw| {
            let id = draw.card.id.clone();
            let holder = move |winner: &Winner| (winner.by, id.clone());
            draw.winners().iter().map(holder).collect::<Vec<_>>()
        };
        others.flat_map(winners).collect()
    }

    /// Whether a draw is open or locked.
    pub(in crate::room) fn is_under_way(&self) -> bool {
        self.under_way().is_some()
    }

    /// Whether a draw takes entries.
    pub(in crate::room) fn is_open(&self) -> bool {
        self.under_way().is_some_and(Draw::is_open)
    }

    /// The open draw and its entries.
    pub(in crate::room) fn entries_open(&self) -> Option<(&Key, u32)> {
        let draw = self.under_way().filter(|draw| draw.is_open())?;
        Some((&draw.card.id, draw.entries.len()))
    }

    pub(in crate::room) fn next_deadline(&self) -> Option<Timestamp> {
        let card = &self.under_way()?.card;
        match card.phase {
            Phase::Locked { reveal_at, .. } => Some(reveal_at),
            _ => Some(card.closes_at),
        }
    }

    pub(in crate::room) fn apply(&mut self, event: &DrawEvent, at: Timestamp, audience: &Audience) {
        match event {
            DrawEvent::Prepared { id, rules } => self.apply_prepared(id, rules),
            DrawEvent::Removed { id } => self.prepared.retain(|draw| draw.id != *id),
            DrawEvent::Opened { card, seed } => {
                self.prepared.retain(|draw| draw.id != card.id);
                self.opened.push(Draw {
                    card: card.clone(),
                    seed: seed.clone(),
                    entries: Entries::default(),
                    addresses: Addresses::default(),
                    excluded: Vec::new(),
                    drawn: Vec::new(),
                    wins: BTreeMap::new(),
                    redraws: Vec::new(),
                });
            }
            DrawEvent::Locked { id, .. } => {
                let earlier = self.find(id).map(|draw| self.earlier_winners(&draw.card));
                if let (Some(earlier), Some(draw)) = (earlier, self.find_mut(id)) {
                    draw.apply_locked(event, &earlier, audience);
                }
            }
            DrawEvent::Entered { id, .. }
            | DrawEvent::Struck { id, .. }
            | DrawEvent::Revealed { id, .. }
            | DrawEvent::Redrawn { id, .. }
            | DrawEvent::Cancelled { id, .. }
            | DrawEvent::PrizeClaimed { id, .. }
            | DrawEvent::SentMarked { id, .. } => {
                if let Some(draw) = self.find_mut(id) {
                    draw.apply(event, at);
                }
            }
        }
    }

    fn find_mut(&mut self, id: &Key) -> Option<&mut Draw> {
        self.opened.iter_mut().rev().find(|draw| draw.card.id == *id)
    }

    fn apply_prepared(&mut self, id: &Key, rules: &Rules) {
        match self.prepared.iter_mut().find(|draw| draw.id == *id) {
            Some(waiting) => waiting.rules = rules.clone(),
            None => self.prepared.push(PreparedDraw {
                id: id.clone(),
                rules: rules.clone(),
            }),
        }
    }
}

impl Draw {
    fn apply_locked(&mut self, event: &DrawEvent, earlier: &BTreeMap<ViewerNo, Key>, audience: &Audience) {
        let DrawEvent::Locked {
            present,
            salts,
            count,
            root,
            reveal_at,
            ..
        } = event
        else {
            return;
        };
        if let Some(salts) = salts {
            self.entries = present_entries(audience, self.card.commitment, present, salts).into();
        }
        self.excluded = self.excluded_with(&self.entries.list, earlier);
        self.card.phase = Phase::Locked {
            reveal_at: *reveal_at,
            count: *count,
            root: *root,
        };
    }

    fn apply(&mut self, event: &DrawEvent, at: Timestamp) {
        match event {
            DrawEvent::Entered {
                viewer,
                salt,
                hash,
                address,
                ..
            } => {
                self.entries.push(Entry {
                    viewer: *viewer,
                    salt: *salt,
                    hash: *hash,
                });
                address.iter().for_each(|address| self.addresses.add(address));
            }
            DrawEvent::Struck { entry, reason, .. } => {
                if let Err(place) = self.excluded_at(*entry) {
                    let struck = Excluded {
                        entry: *entry,
                        why: Why::Struck,
                        note: reason.clone(),
                    };
                    self.excluded.insert(place, struck);
                }
            }
            DrawEvent::Revealed {
                seed,
                winners,
                claim_until,
                ..
            } => {
                self.drawn = winners.iter().map(|winner| winner.entry).collect();
                self.add_wins(winners, *claim_until);
                if let Some((count, root)) = self.locked() {
                    self.card.phase = Phase::Revealed {
                        count,
                        root,
                        seed: *seed,
                        won: winners.len() as u32,
                        winners: winners.clone(),
                        claim_until: *claim_until,
                    };
                }
            }
            DrawEvent::Redrawn {
                instead_of,
                winners,
                claim_until,
                ..
            } => self.apply_redrawn(instead_of, winners, *claim_until),
            DrawEvent::Cancelled { reason, .. } => {
                self.card.phase = Phase::Cancelled { reason: reason.clone() };
            }
            DrawEvent::PrizeClaimed { entry, code, .. } => {
                if let Some(win) = self.wins.get_mut(entry) {
                    win.claimed_at.get_or_insert(at);
                    win.code = code.clone();
                }
            }
            DrawEvent::SentMarked { entry, sent, .. } => {
                if let Some(win) = self.wins.get_mut(entry) {
                    win.sent = *sent;
                }
            }
            DrawEvent::Prepared { .. }
            | DrawEvent::Removed { .. }
            | DrawEvent::Opened { .. }
            | DrawEvent::Locked { .. } => {}
        }
    }

    fn apply_redrawn(&mut self, instead_of: &[u32], winners: &[Winner], until: Timestamp) {
        for entry in instead_of {
            if let Some(win) = self.wins.get_mut(entry) {
                win.redrawn = true;
            }
        }
        self.add_wins(winners, until);
        let Phase::Revealed {
            root,
            winners: holders,
            claim_until,
            ..
        } = &mut self.card.phase
        else {
            return;
        };
        for (old, new) in instead_of.iter().zip(winners) {
            if let Some(holder) = holders.iter_mut().find(|holder| holder.entry == *old) {
                *holder = new.clone();
            }
        }
        *claim_until = until;
        let before = self.redraws.last().map_or(*root, |redraw| redraw.hash);
        let winners: Vec<u32> = winners.iter().map(|winner| winner.entry).collect();
        self.redraws.push(fair::Redraw {
            hash: fair::redraw(&before, instead_of, &winners),
            instead_of: instead_of.to_vec(),
            winners,
        });
    }
}

impl Draws {
    /// Draws that were opened, newest last, at most 10, with at most [`NAMES_MAX`] winners in all: the newest
    /// draw's first.
    pub(in crate::room) fn cards(&self) -> Vec<Card> {
        let oldest = self.opened.len().saturating_sub(CARDS_MAX);
        self.with_names(oldest, Draw::card)
    }

    /// All draws as they were prepared, those opened first: what running the show again starts with.
    pub fn prepares(&self) -> Vec<Prepare> {
        let opened = self.opened.iter().map(|draw| (&draw.card.id, &draw.card.rules));
        let waiting = self.prepared.iter().map(|draw| (&draw.id, &draw.rules));
        let again = |(id, rules): (&Key, &Rules)| Prepare {
            id: id.clone(),
            rules: rules.clone(),
        };
        opened.chain(waiting).map(again).collect()
    }

    /// Draws that wait.
    pub(in crate::room) fn prepared(&self) -> Vec<PreparedDraw> {
        self.prepared.clone()
    }

    /// Numbers of every draw that was opened, with at most [`NAMES_MAX`] winners in all: the newest draw's
    /// first.
    pub(in crate::room) fn summaries(&self) -> Vec<DrawSummary> {
        self.with_names(0, Draw::summary)
    }

    /// Projects the draws from the `oldest` on, oldest first; each is told how many names it may show.
    fn with_names<T>(&self, oldest: usize, project: impl Fn(&Draw, usize) -> T) -> Vec<T> {
        let mut names = NAMES_MAX;
        let newest_first = self.opened[oldest..].iter().rev().map(|draw| {
            let projected = project(draw, names);
            names -= draw.winners().len().min(names);
            projected
        });
        let mut projected: Vec<T> = newest_first.collect();
        projected.reverse();
        projected
    }

    /// A viewer's entries, newest last, at most 20.
    pub(in crate::room) fn my_entries(&self, viewer: ViewerNo) -> Vec<EntryReceipt> {
        let newest_first = self.opened.iter().rev().filter_map(|draw| draw.receipt(viewer));
        let mut entries: Vec<_> = newest_first.take(MY_ENTRIES_MAX).collect();
        entries.reverse();
        entries
    }

    /// A viewer's wins.
    pub(in crate::room) fn my_wins(&self, viewer: ViewerNo) -> Vec<MyWin> {
        self.opened.iter().filter_map(|draw| draw.my_win(viewer)).collect()
    }

    /// Anonymous entries by address, where they are most.
    pub(in crate::room) fn addresses(&self) -> impl Iterator<Item = (&Address, u32)> {
        self.opened.iter().flat_map(|draw| draw.addresses.largest())
    }
}

impl Room {
    /// What is public of a draw that was opened; with winners and seed after the reveal.
    ///
    /// It is as long as the entries are many, and hashes each: share it rather than making it for each asker.
    pub fn transcript(&self, draw: &Key) -> Option<Transcript> {
        self.draws.find(draw).map(|draw| draw.transcript(self))
    }

    /// The winners of a draw that was opened, for the host's list, by entry: also those who lost their prizes
    /// to a redraw.
    pub fn winners(&self, draw: &Key) -> Option<Vec<WinnerRow>> {
        let draw = self.draws.find(draw)?;
        let rows = draw.wins.iter().filter_map(|(entry, win)| draw.row(self, *entry, win));
        Some(rows.collect())
    }
}

//! What the room knows of its discounts, and how it is shown.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};

use super::super::audience::{Address, Addresses};
use super::super::staff::By;
use super::super::stage::{DiscountSummary, MyClaim, PreparedDiscount, SourceKind};
use super::super::{Key, Offset, Personal, Refusal, Room, Secret, Timestamp, ViewerNo};
use super::codes::Codes;
use super::{CARDS_MAX, Card, Closed, CodeSource, DiscountEvent, MINE_MAX, Prepare, Terms};

/// The discounts' part of the room's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discounts {
    pub(super) by_id: BTreeMap<Key, Discount>,
}

/// A discount. Its claims take about 60 bytes each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Discount {
    /// Offset of the event that prepared it: the order in which they are listed.
    prepared: Offset,
    pub(super) terms: Terms,
    pub(super) codes: Codes,
    pub(super) window: Option<Window>,
    pub(super) claims: Claims,
    /// Redemptions of codes that only one viewer has, by the code's place.
    pub(super) uses: BTreeMap<u32, Use>,
    /// Orders with the shared code.
    pub(super) shared_uses: BTreeSet<String>,
    pub(super) addresses: Addresses,
}

/// Once a discount was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    opened: Offset,
    opened_at: Timestamp,
    pub(super) closes_at: Option<Timestamp>,
    pub(super) closed: Option<Closed>,
}

/// A code that was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// For which order of the shop.
    pub order: String,
    /// When.
    pub at: Timestamp,
    /// Who said so.
    pub by: By,
}

/// The claims of a discount in order: the n-th has the n-th code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Claims {
    list: Vec<Granted>,
    #[serde(skip)]
    places: BTreeMap<(ViewerNo, u32), u32>,
}

/// A claim, written as an array: there may be a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Granted(ViewerNo, u32, Timestamp);

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut claims = Self::default();
        for Granted(viewer, unit, at) in Vec::<Granted>::deserialize(deserializer)? {
            claims.push(viewer, unit, at);
        }
        Ok(claims)
    }
}

impl Claims {
    fn push(&mut self, viewer: ViewerNo, unit: u32, at: Timestamp) {
        self.places.insert((viewer, unit), self.count());
        self.list.push(Granted(viewer, unit, at));
    }

    pub(super) fn count(&self) -> u32 {
        self.list.len() as u32
    }

    pub(super) fn place(&self, viewer: ViewerNo, unit: u32) -> Option<u32> {
        self.places.get(&(viewer, unit)).copied()
    }

    /// The viewer's units with their places, in order.
    pub(super) fn of(&self, viewer: ViewerNo) -> impl DoubleEndedIterator<Item = (u32, u32)> {
        let units = self.places.range((viewer, 0)..=(viewer, u32::MAX));
        units.map(|((_, unit), place)| (*unit, *place))
    }
}

/// One claim, for the host's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRow {
    /// Who has it.
    pub viewer: ViewerNo,
    /// Their name now.
    pub name: Personal,
    /// Their n-th.
    pub unit: u32,
    /// The code.
    pub code: String,
    /// When.
    pub at: Timestamp,
    /// What for it was used, if it was; not known of shared codes.
    pub used: Option<Use>,
}
impl Discount {
    pub(super) fn closed(&self) -> Option<Closed> {
        self.window.as_ref().and_then(|window| window.closed)
    }

    pub(super) fn is_open(&self) -> bool {
        self.window.as_ref().is_some_and(|window| window.closed.is_none())
    }

    pub(super) fn remaining(&self) -> u32 {
        self.terms.quota - self.claims.count()
    }

    fn redeemed(&self) -> u32 {
        (self.uses.len() + self.shared_uses.len()) as u32
    }

    pub(super) fn mine(&self, id: &Key, unit: u32, index: u32) -> MyClaim {
        MyClaim {
            discount: id.clone(),
            unit,
            code: self.codes.code(index),
            title: self.terms.title.clone(),
            off: self.terms.off.clone(),
            items: self.terms.items.clone(),
            link: self.terms.link.clone(),
            use_before: self.terms.use_before,
            used: self.uses.contains_key(&index),
        }
    }

    fn card(&self, id: &Key, window: &Window) -> Card {
        Card {
            id: id.clone(),
            terms: self.terms.clone(),
            opened_at: window.opened_at,
            closes_at: window.closes_at,
            remaining: self.remaining(),
            closed: window.closed,
        }
    }
}

impl Discounts {
    /// Who claimed the code at this place of a discount's list; nobody in particular has a shared code.
    pub fn holder(&self, id: &Key, index: u32) -> Option<ViewerNo> {
        let claims = &self.by_id.get(id)?.claims;
        claims.list.get(index as usize).map(|granted| granted.0)
    }

    pub(super) fn find(&self, id: &Key) -> Result<&Discount, Refusal> {
        self.by_id.get(id).ok_or(Refusal::UnknownDiscount)
    }

    /// Those that are open.
    pub(super) fn open(&self) -> impl Iterator<Item = (&Key, &Window)> {
        let windows = self
            .by_id
            .iter()
            .filter_map(|(id, discount)| Some((id, discount.window.as_ref()?)));
        windows.filter(|(_, window)| window.closed.is_none())
    }

    /// Those that were opened, in that order.
    pub(super) fn opened(&self) -> Vec<(&Key, &Discount)> {
        let mut opened: Vec<_> = self
            .by_id
            .iter()
            .filter(|(_, discount)| discount.window.is_some())
            .collect();
        opened.sort_by_key(|(_, discount)| discount.window.as_ref().map(|window| window.opened));
        opened
    }

    pub(in crate::room) fn next_deadline(&self) -> Option<Timestamp> {
        self.open().filter_map(|(_, window)| window.closes_at).min()
    }

    pub(in crate::room) fn apply(&mut self, event: &DiscountEvent, offset: Offset, at: Timestamp) {
        match event {
            DiscountEvent::Prepared {
                id, terms, codes, seed, ..
            } => self.prepare(id, terms, &codes.0, seed, offset),
            DiscountEvent::Removed { id } => {
                self.by_id.remove(id);
            }
            DiscountEvent::CodesAdded { id, .. }
            | DiscountEvent::Opened { id, .. }
            | DiscountEvent::Claimed { id, .. }
            | DiscountEvent::Closed { id, .. }
            | DiscountEvent::Redeemed { id, .. } => {
                if let Some(discount) = self.by_id.get_mut(id) {
                    discount.apply(event, offset, at);
                }
            }
        }
    }

    fn prepare(&mut self, id: &Key, terms: &Terms, codes: &CodeSource, seed: &Secret<[u8; 32]>, offset: Offset) {
        match self.by_id.get_mut(id) {
            Some(known) => {
                known.terms = terms.clone();
                if !known.codes.is_from(codes) {
                    known.codes = Codes::new(codes, seed.clone());
                }
            }
            None => {
                let discount = Discount {
                    prepared: offset,
                    terms: terms.clone(),
                    codes: Codes::new(codes, seed.clone()),
                    window: None,
                    claims: Claims::default(),
                    uses: BTreeMap::new(),
                    shared_uses: BTreeSet::new(),
                    addresses: Addresses::default(),
                };
                self.by_id.insert(id.clone(), discount);
            }
        }
    }
}

impl Discount {
    fn apply(&mut self, event: &DiscountEvent, offset: Offset, at: Timestamp) {
        match event {
            DiscountEvent::Prepared { .. } | DiscountEvent::Removed { .. } => {}
            DiscountEvent::CodesAdded { codes, .. } => self.codes.add(&codes.0),
            DiscountEvent::Opened { card, .. } => {
                self.window = Some(Window {
                    opened: offset,
                    opened_at: card.opened_at,
                    closes_at: card.closes_at,
                    closed: None,
                });
            }
            DiscountEvent::Claimed {
                viewer, unit, address, ..
            } => {
                self.claims.push(*viewer, *unit, at);
                self.codes.give();
                if let Some(address) = address {
                    self.addresses.add(address);
                }
            }
            DiscountEvent::Closed { why, .. } => {
                if let Some(window) = &mut self.window {
                    window.closed = Some(*why);
                }
            }
            DiscountEvent::Redeemed { index, order, by, .. } => {
                let order = order.clone();
                if self.codes.kind() == SourceKind::Shared {
                    self.shared_uses.insert(order);
                } else {
                    self.uses.insert(*index, Use { order, at, by: *by });
                }
            }
        }
    }
}

impl Discounts {
    /// Claims left of each open discount.
    pub(in crate::room) fn remaining(&self) -> BTreeMap<Key, u32> {
        let open = self.by_id.iter().filter(|(_, discount)| discount.is_open());
        open.map(|(id, discount)| (id.clone(), discount.remaining())).collect()
    }

    /// Discounts that were opened, newest last: those that are open, and closed ones while their codes can be
    /// used, at most [`CARDS_MAX`].
    pub(in crate::room) fn cards(&self, room: &Room) -> Vec<Card> {
        let over = room.show.redeem_until.is_some_and(|until| until <= room.at);
        let mut places = CARDS_MAX.saturating_sub(self.open().count());
        let mut cards = Vec::new();
        for (id, discount) in self.opened().into_iter().rev() {
            let Some(window) = &discount.window else {
                continue;
            };
            let expired = discount.terms.use_before.is_some_and(|until| until <= room.at);
            if window.closed.is_some() {
                if over || expired || places == 0 {
                    continue;
                }
                places -= 1;
            }
            cards.push(discount.card(id, window));
        }
        cards.reverse();
        cards
    }

    /// Discounts that wait, in the order in which they were prepared.
    pub(in crate::room) fn prepared(&self) -> Vec<PreparedDiscount> {
        let waiting = self.by_id.iter().filter(|(_, discount)| discount.window.is_none());
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort_by_key(|(_, discount)| discount.prepared);
        let shown = |(id, discount): (&Key, &Discount)| PreparedDiscount {
            id: id.clone(),
            terms: discount.terms.clone(),
            source: discount.codes.kind(),
            codes: discount.codes.pasted().map(|codes| codes as u32),
        };
        waiting.into_iter().map(shown).collect()
    }

    /// Numbers of every discount that was opened.
    pub(in crate::room) fn summaries(&self) -> Vec<DiscountSummary> {
        let summary = |(id, discount): (&Key, &Discount)| DiscountSummary {
            id: id.clone(),
            title: discount.terms.title.clone(),
            off: discount.terms.off.clone(),
            claimed: discount.claims.count(),
            redeemed: discount.redeemed(),
            quota: discount.terms.quota,
        };
        self.opened().into_iter().map(summary).collect()
    }

    /// A viewer's claims, newest last, at most [`MINE_MAX`].
    pub(in crate::room) fn mine(&self, viewer: ViewerNo) -> Vec<MyClaim> {
        let mut mine: Vec<_> = self
            .opened()
            .into_iter()
            .rev()
            .flat_map(|(id, discount)| {
                let units = discount.claims.of(viewer).rev();
                units.map(move |(unit, index)| discount.mine(id, unit, index))
            })
            .take(MINE_MAX)
            .collect();
        mine.reverse();
        mine
    }

    /// Anonymous claims by address: of each discount the ten addresses with most.
    pub(in crate::room) fn addresses(&self) -> impl Iterator<Item = (&Address, u32)> {
        self.by_id.values().flat_map(|discount| discount.addresses.largest())
    }

    /// The claims of a discount in order, for the host's list; `None` if there is no such discount. Skipping
    /// costs nothing, so a list can be paged.
    pub fn claims<'a>(&'a self, room: &'a Room, id: &Key) -> Option<impl ExactSizeIterator<Item = ClaimRow> + 'a> {
        let discount = self.by_id.get(id)?;
        let rows = (0..discount.claims.count()).zip(&discount.claims.list);
        Some(rows.map(|(index, Granted(viewer, unit, at))| {
            ClaimRow {
                viewer: *viewer,
                name: room
                    .audience
                    .viewer(*viewer)
                    .map_or_else(Personal::default, |known| known.name.clone()),
                unit: *unit,
                code: discount.codes.code(index),
                at: *at,
                used: discount.uses.get(&index).cloned(),
            }
        }))
    }

    /// All codes of a discount for the shop: as many generated ones as its quota, the pasted list, or the
    /// shared one. `None` if there is no such discount.
    pub fn codes(&self, id: &Key) -> Option<Vec<String>> {
        let discount = self.by_id.get(id)?;
        Some(discount.codes.all(discount.terms.quota))
    }

    /// All discounts as they were prepared, opened or not, in that order: what running the show again starts
    /// with. Pasted codes are not part of it.
    pub fn prepares(&self) -> Vec<Prepare> {
        let mut all: Vec<_> = self.by_id.iter().collect();
        all.sort_by_key(|(_, discount)| discount.prepared);
        let again = |(id, discount): (&Key, &Discount)| Prepare {
            id: id.clone(),
            terms: discount.terms.clone(),
            codes: discount.codes.source(),
        };
        all.into_iter().map(again).collect()
    }
}

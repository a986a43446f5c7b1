//! What a room promises about stock, codes, presence and numbers, in the plainest form: lists that are searched
//! from end to end. It is told the same commands as the room and must come to the same answers.

use std::collections::{BTreeMap, BTreeSet};

use hubbub::room::audience::{Pulse, Visitor};
use hubbub::room::discount::{CodeSource, Gate, Terms, WhoCounts};
use hubbub::room::show::ShowEvent;
use hubbub::room::{Event, Key, Timestamp, ViewerId};

/// A discount as the model knows it.
pub(crate) struct Offer {
    pub(crate) terms: Terms,
    pub(crate) source: CodeSource,
    /// All codes in order, as the host would download them.
    pub(crate) codes: Vec<String>,
    pub(crate) opened: Option<Opened>,
    pub(crate) grants: Vec<Grant>,
    /// (place of the code, order); the place of a shared code is 0.
    pub(crate) uses: Vec<(usize, String)>,
}

pub(crate) struct Opened {
    pub(crate) closes_at: Option<u64>,
    /// By the host or with the show.
    pub(crate) closed: bool,
}

pub(crate) struct Grant {
    pub(crate) viewer: ViewerId,
    pub(crate) unit: u32,
    pub(crate) code: String,
    pub(crate) address: Option<u64>,
}

impl Offer {
    fn is_shared(&self) -> bool {
        matches!(self.source, CodeSource::Shared { .. })
    }

    pub(crate) fn is_over(&self, now: u64) -> bool {
        self.opened.as_ref().is_some_and(|opened| {
            opened.closed || opened.closes_at.is_some_and(|closes| closes <= now) || self.is_sold_out()
        })
    }

    pub(crate) fn is_open(&self, now: u64) -> bool {
        self.opened.is_some() && !self.is_over(now)
    }

    fn is_sold_out(&self) -> bool {
        self.grants.len() == self.terms.quota as usize
    }
}

/// One node's reports.
#[derive(Default)]
struct Node {
    run: u64,
    last_number: u64,
    last_pulse: u64,
    here: BTreeSet<ViewerId>,
    awaited: BTreeSet<ViewerId>,
}

/// When a viewer was present without a gap, as (from, until).
#[derive(Default)]
struct Presence {
    spans: Vec<(u64, Option<u64>)>,
    last_left: u64,
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) offers: BTreeMap<Key, Offer>,
    pub(crate) known: BTreeSet<ViewerId>,
    pub(crate) likes: u64,
    /// What totals and peak should be.
    pub(crate) watching: usize,
    pub(crate) viewers: usize,
    pub(crate) peak: usize,
    pub(crate) ended: bool,
    /// How long after it was due the end came.
    pub(crate) ended_late_ms: u64,
    redeem_until: Option<u64>,
    on_air: bool,
    /// When the show was live without a pause.
    live: Vec<(u64, Option<u64>)>,
    nodes: BTreeMap<u32, Node>,
    presence: BTreeMap<ViewerId, Presence>,
    /// What nodes said of their staff while the show was on air: when, which, whether any is there.
    staffed: Vec<(u64, u32, bool)>,
}

/// What a claim should come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Granted {
    /// The code of an earlier claim, again.
    Again(String),
    /// A new one.
    New(String),
}

impl Model {
    /// Facts about the show, whoever caused them.
    pub(crate) fn happened(&mut self, event: &Event, at: u64) {
        match event {
            Event::Show(ShowEvent::Started {} | ShowEvent::Resumed {}) => {
                self.on_air = true;
                self.live.push((at, None));
            }
            Event::Show(ShowEvent::Paused {}) => self.stop(at),
            Event::Show(ShowEvent::Ended { due, redeem_until }) => {
                self.stop(at.min(due.0));
                self.ended_late_ms = at.saturating_sub(due.0);
                self.on_air = false;
                self.ended = true;
                self.redeem_until = Some(redeem_until.0);
                self.viewers = self.viewers.max(self.known.len());
                for offer in self.offers.values_mut() {
                    if let Some(opened) = &mut offer.opened {
                        opened.closed = true;
                    }
                }
            }
            _ => {}
        }
    }

    fn stop(&mut self, at: u64) {
        if let Some((_, until @ None)) = self.live.last_mut() {
            *until = Some(at);
        }
    }

    /// How many were ever opened.
    pub(crate) fn opened(&self) -> u64 {
        self.offers.values().filter(|offer| offer.opened.is_some()).count() as u64
    }

    pub(crate) fn claim(&self, visitor: &Visitor, id: &Key, unit: u32, now: u64) -> Result<Granted, &'static str> {
        let offer = self.offers.get(id).ok_or("unknown_discount")?;
        let mine: Vec<_> = offer.grants.iter().filter(|grant| grant.viewer == visitor.id).collect();
        if let Some(grant) = mine.iter().find(|grant| grant.unit == unit) {
            return Ok(Granted::Again(grant.code.clone()));
        }
        if unit > offer.terms.per_viewer {
            return Err("limit_reached");
        }
        if offer.opened.is_none() {
            return Err("not_open");
        }
        if offer.is_sold_out() {
            return Err("sold_out");
        }
        if offer.is_over(now) {
            return Err("closed");
        }
        if !self.on_air {
            return Err("not_live");
        }
        if unit as usize != mine.len() + 1 {
            return Err("bad_field");
        }
        let who = offer.terms.who.unwrap_or(WhoCounts::AddressCeiling(20));
        match who {
            WhoCounts::StoreOnly if !visitor.store => return Err("store_only"),
            WhoCounts::AddressCeiling(ceiling) if !visitor.store => {
                let here = |grant: &&Grant| grant.address == Some(visitor.address.key);
                if offer.grants.iter().filter(here).count() >= ceiling as usize {
                    return Err("too_many_here");
                }
            }
            _ => {}
        }
        if let Some(Gate::Watched { ms }) = offer.terms.gate
            && self.watched_ms(visitor.id, now) < ms
        {
            return Err("watch_longer");
        }
        let place = if offer.is_shared() { 0 } else { offer.grants.len() };
        Ok(Granted::New(offer.codes[place].clone()))
    }

    pub(crate) fn granted(&mut self, visitor: &Visitor, id: &Key, unit: u32, code: String) {
        let offer = self.offers.get_mut(id).expect("it was claimed");
        offer.grants.push(Grant {
            viewer: visitor.id,
            unit,
            code,
            address: (!visitor.store).then_some(visitor.address.key),
        });
    }

    /// The outcome of a redemption, and the use that it is, if it is a new one.
    pub(crate) fn redeem(&self, code: &str, order: Option<&str>, now: u64) -> (&'static str, Option<(Key, usize)>) {
        let plain = |code: &str| code.replace(['-', ' '], "").to_uppercase();
        let mut best = ("unknown", None);
        for (id, offer) in &self.offers {
            let given = if offer.is_shared() {
                offer.grants.len().min(1)
            } else {
                offer.grants.len()
            };
            let Some(place) = offer.codes[..given].iter().position(|has| plain(has) == plain(code)) else {
                continue;
            };
            let used: Vec<_> = offer
                .uses
                .iter()
                .filter(|(of, _)| *of == place)
                .map(|(_, order)| order)
                .collect();
            let again = order.is_some_and(|order| used.iter().any(|used| *used == order));
            let usable = self.on_air || self.redeem_until.is_some_and(|until| now < until);
            best = if again {
                ("ok", None)
            } else if !used.is_empty() && !offer.is_shared() {
                ("already_used", None)
            } else if offer.terms.use_before.is_some_and(|until| until.0 <= now) {
                ("expired", None)
            } else if !usable {
                ("not_live", None)
            } else {
                ("ok", order.map(|_| (id.clone(), place)))
            };
        }
        best
    }

    pub(crate) fn watched_ms(&self, viewer: ViewerId, now: u64) -> u64 {
        let overlap = |(from, until): (u64, Option<u64>), (start, stop): (u64, Option<u64>)| {
            let end = until.unwrap_or(now).min(stop.unwrap_or(now));
            end.saturating_sub(from.max(start))
        };
        let spans = self.presence.get(&viewer).map_or(&[][..], |presence| &presence.spans);
        spans
            .iter()
            .map(|span| self.live.iter().map(|live| overlap(*span, *live)).sum::<u64>())
            .sum()
    }

    pub(crate) fn is_duplicate(&self, pulse: &Pulse) -> bool {
        let node = self.nodes.get(&pulse.node);
        node.is_some_and(|node| node.run == pulse.run && pulse.number <= node.last_number)
    }

    fn is_here(&self, viewer: ViewerId) -> bool {
        self.nodes.values().any(|node| node.here.contains(&viewer))
    }

    fn is_present(&self, viewer: ViewerId) -> bool {
        let has = |node: &Node| node.here.contains(&viewer) || node.awaited.contains(&viewer);
        self.nodes.values().any(has)
    }

    /// A pulse that brought something.
    pub(crate) fn pulsed(&mut self, pulse: &Pulse, now: u64) {
        if self.on_air {
            self.staffed.push((now, pulse.node, pulse.staffed));
        }
        let node = self.nodes.entry(pulse.node).or_default();
        if node.run != pulse.run {
            let until = node.last_pulse;
            let lost = std::mem::take(&mut node.here);
            node.awaited.extend(&lost);
            node.run = pulse.run;
            lost.into_iter().for_each(|viewer| self.break_off(viewer, until));
        }
        let came = pulse.arrived.iter().map(|arrival| (arrival.at, 0, arrival.id));
        let left = pulse.left.iter().map(|departure| (departure.at, 1, departure.id));
        let mut changes: Vec<(Timestamp, u8, ViewerId)> = came.chain(left).collect();
        changes.sort_by_key(|(at, kind, _)| (*at, *kind));
        for (at, kind, viewer) in changes {
            let node = self.nodes.entry(pulse.node).or_default();
            let awaited = node.awaited.remove(&viewer);
            if kind == 0 {
                self.known.insert(viewer);
                if node.here.insert(viewer) {
                    self.come(viewer, at.0);
                }
            } else if node.here.remove(&viewer) || awaited {
                self.break_off(viewer, at.0);
            }
        }
        let node = self.nodes.entry(pulse.node).or_default();
        if pulse.forget_earlier_runs_at.is_some() {
            node.awaited.clear();
        }
        node.last_number = pulse.number;
        node.last_pulse = now;
        let known = self.known.iter();
        self.watching = known.filter(|viewer| self.is_present(**viewer)).count();
        if !self.ended {
            self.likes += pulse.taps;
            self.viewers = self.known.len();
            self.peak = self.peak.max(self.watching);
        }
    }

    /// Since when a show on air has been without staff, if that is longer than `most`.
    pub(crate) fn unattended_since(&self, now: u64, most: u64) -> Option<u64> {
        let mut here = BTreeSet::new();
        let mut alone = None;
        for (at, node, staffed) in &self.staffed {
            match staffed {
                true => here.insert(node),
                false => here.remove(node),
            };
            alone = here.is_empty().then(|| alone.unwrap_or(*at));
        }
        alone.filter(|since| self.on_air && now >= since + most)
    }

    fn come(&mut self, viewer: ViewerId, at: u64) {
        let presence = self.presence.entry(viewer).or_default();
        let from = at.max(presence.last_left);
        match presence.spans.last_mut() {
            Some((start, None)) => *start = from.min(*start),
            _ => presence.spans.push((from, None)),
        }
    }

    /// One node lost a viewer at a time.
    fn break_off(&mut self, viewer: ViewerId, at: u64) {
        let here = self.is_here(viewer);
        let presence = self.presence.entry(viewer).or_default();
        if let Some((from, until @ None)) = presence.spans.last_mut() {
            presence.last_left = presence.last_left.max(at);
            if !here {
                presence.last_left = presence.last_left.max(*from);
                *until = Some(presence.last_left);
            }
        }
    }
}

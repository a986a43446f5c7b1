//! Who watches: viewers and their numbers, presence, watch time, likes, and the pulse that brings them.
//!
//! Presence is known to the core only from pulses. A node reports who came and who left, the latter once
//! the grace has passed, with the time at which the last connection broke.
//!
//! **Watch time** is the union of a viewer's present time on all nodes while the show is live. It is counted on
//! the *live clock*, which stands while the show is not live, so that pauses need no bookkeeping and a time
//! reported late is counted right. Absence within the grace counts, since no node reports it.
//!
//! **An outage** is not watched time. How long a node that died still had its viewers, the room knows only from
//! its pulses: with the first pulse of its next run, counting ends for them at its last pulse before, and begins
//! again when each is reported present. Until then they stay present, in reconnect grace. Other events between
//! (a comment just after the restart) move neither end. So that a calm room loses little, a pulse is journaled
//! at least every [`HEARTBEAT_MS`] while somebody watches a live show.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::show::{ShowEvent, State};
use super::text::BlockedWords;
use super::{Answer, Decision, Event, Key, Personal, Refusal, Room, Timestamp, ViewerId, ViewerNo, attendance, text};

/// A viewer whose last connection broke counts as present for this long.
pub const GRACE_MS: u64 = 12_000;
/// A name may be changed once in this time.
pub const RENAME_MS: u64 = 60_000;
/// Arrivals and departures in one pulse, together.
pub const PULSE_CHANGES_MAX: usize = 2_000;
/// While somebody watches a live show, a pulse is journaled at least so often: what an outage can cost a
/// viewer in watch time.
pub const HEARTBEAT_MS: u64 = 60_000;
/// Stretches of live time without a pause that are kept. Times reported late reach back seconds.
const STRETCHES_KEPT: usize = 64;

/// What the shell knows of a viewer who asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Lasting identity.
    pub id: ViewerId,
    /// The nickname they brought; it stands until they change it.
    pub name: Personal,
    /// Known to the store: the identity came from its own signed token.
    pub store: bool,
    /// The address from which they ask, keyed and masked.
    pub address: Address,
}

/// A network address as the core may know it: enough to count by, too little to find the person.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Address {
    /// Keyed hash of the IPv4 address or the IPv6 /64.
    pub key: u64,
    /// What the control page shows: `203.0.113.x`, `2001:db8:1:2::/64` with its last group masked.
    pub masked: String,
}

/// Addresses that are kept by name for the control page.
const ADDRESSES_SHOWN: usize = 10;

/// Anonymous claims or entries by address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Addresses {
    counts: BTreeMap<u64, u32>,
    /// Those with most.
    largest: Vec<(Address, u32)>,
}

impl Addresses {
    pub(super) fn count(&self, address: &Address) -> u32 {
        self.counts.get(&address.key).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, address: &Address) {
        let count = self.counts.entry(address.key).or_default();
        *count += 1;
        match self.largest.iter_mut().find(|(shown, _)| shown.key == address.key) {
            Some((_, shown)) => *shown = *count,
            None => self.largest.push((address.clone(), *count)),
        }
        self.largest
            .sort_by_key(|(address, count)| (Reverse(*count), address.key));
        self.largest.truncate(ADDRESSES_SHOWN);
    }

    /// The [`ADDRESSES_SHOWN`] with most, most first.
    pub(super) fn largest(&self) -> impl Iterator<Item = (&Address, u32)> {
        self.largest.iter().map(|(address, count)| (address, *count))
    }
}

/// Changes the asker's nickname.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// 1-20 characters under the comment rules.
    pub name: String,
}

/// What one node has seen since its last pulse. Sums are numbered per node and run, so that one that is
/// reported twice counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// The node, and its run (random at start).
    pub node: u32,
    /// Random at each start of the node.
    pub run: u64,
    /// 1, 2, 3 ... in this run.
    pub number: u64,
    /// Taps on the heart since the last pulse.
    pub taps: u64,
    /// Who came, in order of time.
    pub arrived: Vec<Arrival>,
    /// Who left, in order of time.
    pub left: Vec<Departure>,
    /// A page of the staff is open at this node.
    pub staffed: bool,
    /// How long the show may go on without staff before the room warns ([`super::attendance`]).
    pub unattended_ms: u64,
    /// The node started anew: whoever it had reported present under an earlier run, and who is not
    /// reported present by now, left at this time.
    pub forget_earlier_runs_at: Option<Timestamp>,
}

/// A viewer who came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// Who.
    pub id: ViewerId,
    /// The nickname they brought; counts only the first time, and is empty in the events after that.
    pub name: Personal,
    /// Known to the store.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub store: bool,
    /// [`Address::key`] of whence they came, if not known to the store: a draw of everyone present counts by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<u64>,
    /// When.
    pub at: Timestamp,
}

/// A viewer who left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// Who.
    pub id: ViewerId,
    /// When their last connection broke.
    pub at: Timestamp,
}

/// What happened in the audience.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudienceEvent {
    /// The log speaks of a viewer for the first time, because they asked for something before a pulse
    /// reported them. They get the next number.
    Met {
        /// Who.
        id: ViewerId,
        /// Their number, the next one.
        number: ViewerNo,
        /// Their nickname.
        name: Personal,
        /// Known to the store.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        store: bool,
    },
    /// A nickname was changed.
    Renamed {
        /// Whose.
        viewer: ViewerNo,
        /// To what.
        name: Personal,
    },
    /// A pulse: who came and left, and the totals after it, as the stage shows them.
    Pulsed {
        /// The node.
        node: u32,
        /// Its run.
        run: u64,
        /// Its number in the run.
        number: u64,
        /// Taps that it brings.
        taps: u64,
        /// Who came. Those not yet known get the next numbers, in this order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        arrived: Vec<Arrival>,
        /// Who left.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<Departure>,
        /// Whoever the node had reported under an earlier run and not again since left then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forgotten_at: Option<Timestamp>,
        /// The totals after it.
        totals: Totals,
    },
}

/// Everything that is latest-wins, as of a pulse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Totals {
    /// Different viewers present, those in the grace among them.
    pub watching: u32,
    /// Different viewers so far.
    pub viewers: u32,
    /// Likes so far.
    pub likes: u64,
    /// Claims left of each open discount.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub remaining: BTreeMap<Key, u32>,
    /// Entries of the open draw.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub entries: BTreeMap<Key, u32>,
}

/// One viewer as the room knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewer {
    /// Lasting identity.
    pub id: ViewerId,
    /// Nickname.
    pub name: Personal,
    /// Known to the store.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub store: bool,
    /// Whence they last came, as in [`Arrival::address`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<u64>,
    /// Last rename.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_at: Option<Timestamp>,
    /// Present since, if present (in reconnect grace too; while not live it may be before the start).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present_since: Option<Timestamp>,
    /// Watch time that is over, ms.
    #[serde(default)]
    watched_ms: u64,
    /// Where the live clock stood when the watch time that is being counted began; `None` while absent or in
    /// reconnect grace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counting_from: Option<u64>,
    /// Where the live clock stood at the latest departure: nothing before it is counted again.
    #[serde(default)]
    counted_to: u64,
}

/// The audience's part of the room's state. A viewer takes about 200 bytes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// By number: `viewers[n - 1]`.
    pub viewers: Vec<Viewer>,
    numbers: BTreeMap<ViewerId, ViewerNo>,
    /// The totals of the last pulse.
    pub totals: Totals,
    /// Most viewers present at once, and when.
    pub peak: Option<(u32, Timestamp)>,
    nodes: BTreeMap<u32, Node>,
    live: LiveClock,
    watch: Watch,
}

/// What one node has reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    run: u64,
    run_before: Option<u64>,
    /// Number and time of its last pulse in this run.
    number: u64,
    at: Timestamp,
    /// Whom it has reported present in this run.
    here: BTreeSet<ViewerNo>,
    /// Whom it had reported present when an earlier run died, and not yet again: in reconnect grace.
    awaited: BTreeSet<ViewerNo>,
}

/// How a node stands to a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Away,
    Awaited,
    Here,
}

impl Node {
    fn new(run: u64) -> Self {
        Self {
            run,
            run_before: None,
            number: 0,
            at: Timestamp::default(),
            here: BTreeSet::new(),
            awaited: BTreeSet::new(),
        }
    }

    /// Whether a pulse was counted already, or comes from a process that is gone.
    fn has(&self, pulse: &Pulse) -> bool {
        (self.run == pulse.run && pulse.number <= self.number) || self.run_before == Some(pulse.run)
    }

    fn has_viewer(&self, number: ViewerNo) -> bool {
        self.here.contains(&number) || self.awaited.contains(&number)
    }

    /// How it stands to a viewer for a pulse of `run`.
    fn place(&self, number: ViewerNo, run: u64) -> Place {
        match (self.here.contains(&number), self.awaited.contains(&number)) {
            (true, _) if self.run == run => Place::Here,
            (false, false) => Place::Away,
            _ => Place::Awaited,
        }
    }
}

/// How long the show had been live, without pauses, at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct LiveClock {
    stretches: Vec<Stretch>,
}

/// Live time without a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stretch {
    from: Timestamp,
    until: Option<Timestamp>,
    /// Live time before it, ms.
    before_ms: u64,
}

impl LiveClock {
    fn at(&self, time: Timestamp) -> u64 {
        let begun = self.stretches.partition_point(|stretch| stretch.from <= time);
        match begun.checked_sub(1).and_then(|last| self.stretches.get(last)) {
            Some(stretch) => {
                let until = stretch.until.map_or(time, |until| until.min(time));
                stretch.before_ms + until.since(stretch.from)
            }
            None => self.stretches.first().map_or(0, |first| first.before_ms),
        }
    }

    fn runs(&self) -> bool {
        self.stretches.last().is_some_and(|last| last.until.is_none())
    }

    fn go(&mut self, from: Timestamp) {
        if self.runs() {
            return;
        }
        let before_ms = self.at(from);
        if self.stretches.len() == STRETCHES_KEPT {
            self.stretches.remove(0);
        }
        self.stretches.push(Stretch {
            from,
            until: None,
            before_ms,
        });
    }

    fn stop(&mut self, until: Timestamp) {
        if let Some(last) = self.stretches.last_mut() {
            last.until.get_or_insert(until);
        }
    }
}

/// The watch time of all viewers together, kept as sums so that asking for it costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Watch {
    /// That is over, ms.
    over_ms: u64,
    /// Viewers whose time is being counted.
    counting: u32,
    /// Sum of their `counting_from`.
    from_ms: u64,
}

/// A change of presence, as of its time.
enum Change<'a> {
    Came(&'a Arrival),
    Left(&'a Departure),
}

/// Arrivals and departures in order of time. At the same time somebody comes before they leave: one who left
/// comes back a grace later at the earliest.
fn in_order<'a>(arrived: &'a [Arrival], left: &'a [Departure]) -> Vec<Change<'a>> {
    let came = arrived.iter().map(Change::Came);
    let mut changes: Vec<_> = came.chain(left.iter().map(Change::Left)).collect();
    changes.sort_by_key(|change| match change {
        Change::Came(arrival) => arrival.at,
        Change::Left(departure) => departure.at,
    });
    changes
}

/// The viewer's number, and the event that makes them known if they are not.
pub(super) fn meet(room: &Room, visitor: &Visitor) -> (ViewerNo, Option<Event>) {
    if let Some(number) = room.audience.number(visitor.id) {
        return (number, None);
    }
    let number = room.audience.next_number();
    let met = AudienceEvent::Met {
        id: visitor.id,
        number,
        name: Names::of(room).admit(&visitor.name, visitor.id),
        store: visitor.store,
    };
    (number, Some(met.into()))
}

/// What no viewer may be called.
struct Names<'a> {
    /// The host's and the staff's, folded.
    staff: BTreeSet<String>,
    blocked: &'a BlockedWords,
}

impl<'a> Names<'a> {
    fn of(room: &'a Room) -> Self {
        let host = text::fold_name(&room.show.details.host);
        Self {
            staff: room.staff.folded_names().chain([host]).collect(),
            blocked: &room.comments.blocked_words,
        }
    }

    /// Whether a viewer may be called so.
    fn allow(&self, name: &str) -> Result<(), Refusal> {
        if self.staff.contains(&text::fold_name(name)) {
            Err(Refusal::NameTaken)
        } else if self.blocked.stand_in(name) {
            Err(Refusal::BlockedWord)
        } else {
            Ok(())
        }
    }

    /// The name a viewer brought if they may have it, else "Guest" and four digits that stay theirs.
    fn admit(&self, brought: &Personal, id: ViewerId) -> Personal {
        match text::name(brought.as_str()) {
            Ok(name) if self.allow(&name).is_ok() => Personal(name),
            _ => guest(id),
        }
    }
}

/// What a known viewer is called from now on: a guest, if their name was erased or has become one of the staff's.
pub(super) fn called(room: &Room, viewer: &Viewer) -> Personal {
    let name = viewer.name.as_str();
    match name.is_empty() || room.staff_name_taken(name) {
        true => guest(viewer.id),
        false => viewer.name.clone(),
    }
}

/// "Guest" and four digits that stay a viewer's.
pub(super) fn guest(id: ViewerId) -> Personal {
    Personal(format!("Guest {}", 1_000 + id.0 % 9_000))
}

/// Changes a viewer's nickname: once in [`RENAME_MS`], under the comment rules, without blocked words, never to one of the
/// staff's.
/// The name that they have already is a retry.
pub(super) fn rename(room: &Room, viewer: ViewerNo, rename: &Rename, now: Timestamp) -> Result<Decision, Refusal> {
    let name = text::name(&rename.name)?;
    let known = room.audience.viewer(viewer);
    if known.is_some_and(|known| known.name.as_str() == name) {
        return Ok(Decision::again(Answer::Done {}));
    }
    if room.show.state() == State::Ended {
        return Err(Refusal::Ended);
    }
    Names::of(room).allow(&name)?;
    if let Some(last) = known.and_then(|known| known.renamed_at) {
        let free_at = last.plus(RENAME_MS);
        if now < free_at {
            let retry_after_ms = free_at.since(now);
            return Err(Refusal::RateLimited { retry_after_ms });
        }
    }
    Ok(Decision::event(AudienceEvent::Renamed {
        viewer,
        name: Personal(name),
    }))
}

/// Folds what a node has seen. A pulse that was counted already, or that brings nothing new, gives no event.
/// Changes without effect (somebody came who is there) stand in no event.
///
/// # Errors
///
/// [`Refusal::Full`] for more than [`PULSE_CHANGES_MAX`] changes.
pub(super) fn pulse(room: &Room, pulse: &Pulse, now: Timestamp) -> Result<Decision, Refusal> {
    let audience = &room.audience;
    if pulse.arrived.len() + pulse.left.len() > PULSE_CHANGES_MAX {
        let max = PULSE_CHANGES_MAX as u64;
        return Err(Refusal::Full { what: "changes", max });
    }
    let nothing = Ok(Decision::again(Answer::Done {}));
    let node = audience.nodes.get(&pulse.node);
    if node.is_some_and(|node| node.has(pulse)) {
        return nothing;
    }
    let changes = Changes::of(room, pulse, now);
    let ended = room.show.state() == State::Ended;
    // The numbers of a show are final with its end.
    let taps = if ended { 0 } else { pulse.taps };
    let entries = room.draws.entries_open().into_iter();
    let entries = entries.map(|(draw, count)| (draw.clone(), count));
    let totals = Totals {
        watching: changes.watching,
        viewers: if ended {
            audience.totals.viewers
        } else {
            audience.next_number().0 - 1 + changes.unknown
        },
        likes: audience.totals.likes.saturating_add(taps),
        remaining: room.discounts.remaining(),
        entries: entries.collect(),
    };
    let restarted = node.is_some_and(|node| node.run != pulse.run && !node.here.is_empty());
    let beat = audience.live.runs() && totals.watching > 0;
    let overdue = beat && node.is_some_and(|node| now.since(node.at) >= HEARTBEAT_MS);
    let moved = !changes.arrived.is_empty() || !changes.left.is_empty() || changes.forgotten_at.is_some();
    let attended = attendance::pulsed(room, pulse, now);
    if !moved && !restarted && !overdue && attended.is_none() && totals == audience.totals {
        return nothing;
    }
    let pulsed = AudienceEvent::Pulsed {
        node: pulse.node,
        run: pulse.run,
        number: pulse.number,
        taps,
        arrived: changes.arrived,
        left: changes.left,
        forgotten_at: changes.forgotten_at,
        totals,
    };
    Ok(Decision::done(std::iter::once(pulsed.into()).chain(attended).collect()))
}

/// What a pulse changes: only what has an effect.
struct Changes {
    arrived: Vec<Arrival>,
    left: Vec<Departure>,
    forgotten_at: Option<Timestamp>,
    /// Different viewers present after it.
    watching: u32,
    /// Viewers whom it makes known.
    unknown: u32,
}

impl Changes {
    fn of(room: &Room, pulse: &Pulse, now: Timestamp) -> Self {
        let audience = &room.audience;
        let node = audience.nodes.get(&pulse.node);
        let mut names = None;
        let mut places: BTreeMap<ViewerId, Place> = BTreeMap::new();
        let mut changes = Self {
            arrived: Vec::new(),
            left: Vec::new(),
            forgotten_at: None,
            watching: audience.totals.watching,
            unknown: 0,
        };
        let place_before = |id| match (node, audience.number(id)) {
            (Some(node), Some(number)) => node.place(number, pulse.run),
            _ => Place::Away,
        };
        for change in in_order(&pulse.arrived, &pulse.left) {
            match change {
                Change::Came(arrival) => {
                    let known = audience.number(arrival.id).is_some() || places.contains_key(&arrival.id);
                    let place = places.entry(arrival.id).or_insert_with(|| place_before(arrival.id));
                    if *place == Place::Here {
                        continue;
                    }
                    *place = Place::Here;
                    changes.unknown += u32::from(!known);
                    changes.arrived.push(Arrival {
                        id: arrival.id,
                        name: if known {
                            Personal::default()
                        } else {
                            let names = names.get_or_insert_with(|| Names::of(room));
                            names.admit(&arrival.name, arrival.id)
                        },
                        store: arrival.store,
                        address: arrival.address.filter(|_| !arrival.store),
                        at: arrival.at.min(now),
                    });
                }
                Change::Left(departure) => {
                    if audience.number(departure.id).is_none() && !places.contains_key(&departure.id) {
                        continue;
                    }
                    let place = places.entry(departure.id).or_insert_with(|| place_before(departure.id));
                    if *place == Place::Away {
                        continue;
                    }
                    *place = Place::Away;
                    let at = departure.at.min(now);
                    changes.left.push(Departure { id: departure.id, at });
                }
            }
        }
        changes.count(audience, pulse, &places);
        changes
    }

    /// Counts who is present after it, and forgets whom the node's earlier runs had.
    fn count(&mut self, audience: &Audience, pulse: &Pulse, places: &BTreeMap<ViewerId, Place>) {
        let elsewhere = |number: ViewerNo| {
            let mut others = audience.nodes.iter().filter(|(node, _)| **node != pulse.node);
            others.any(|(_, node)| node.has_viewer(number))
        };
        for (id, place) in places {
            let number = audience.number(*id);
            let before = number.is_some_and(|number| audience.is_present(number));
            let after = *place != Place::Away || number.is_some_and(elsewhere);
            self.watching = self.watching + u32::from(after) - u32::from(before);
        }
        let Some((node, forgotten_at)) = audience.nodes.get(&pulse.node).zip(pulse.forget_earlier_runs_at) else {
            return;
        };
        let restarted = (node.run != pulse.run).then_some(&node.here);
        for number in node.awaited.iter().chain(restarted.into_iter().flatten()) {
            let reported = audience
                .viewer(*number)
                .is_some_and(|viewer| places.contains_key(&viewer.id));
            if !reported {
                self.forgotten_at = Some(forgotten_at);
                self.watching -= u32::from(!elsewhere(*number));
            }
        }
    }
}

/// Where a viewer stands in [`Audience::viewers`]: numbers begin with 1, and 0 stands nowhere.
fn index(number: ViewerNo) -> usize {
    (number.0 as usize).wrapping_sub(1)
}

impl Audience {
    fn next_number(&self) -> ViewerNo {
        ViewerNo(self.viewers.len() as u32 + 1)
    }

    fn know(&mut self, id: ViewerId, name: &Personal, store: bool) -> ViewerNo {
        let number = self.next_number();
        self.numbers.insert(id, number);
        self.viewers.push(Viewer {
            id,
            name: name.clone(),
            store,
            address: None,
            renamed_at: None,
            present_since: None,
            watched_ms: 0,
            counting_from: None,
            counted_to: 0,
        });
        number
    }

    fn viewer_mut(&mut self, number: ViewerNo) -> Option<&mut Viewer> {
        self.viewers.get_mut(index(number))
    }

    /// Whether some node has reported the viewer and not lost them since.
    fn is_here(&self, number: ViewerNo) -> bool {
        self.nodes.values().any(|node| node.here.contains(&number))
    }

    pub(super) fn apply(&mut self, event: &AudienceEvent, at: Timestamp, state: State) {
        match event {
            AudienceEvent::Met { id, name, store, .. } => {
                self.know(*id, name, *store);
            }
            AudienceEvent::Renamed { viewer, name } => {
                if let Some(viewer) = self.viewer_mut(*viewer) {
                    viewer.name = name.clone();
                    viewer.renamed_at = Some(at);
                }
            }
            AudienceEvent::Pulsed {
                node,
                run,
                number,
                arrived,
                left,
                forgotten_at,
                totals,
                ..
            } => {
                self.take_over(*node, *run);
                for change in in_order(arrived, left) {
                    match change {
                        Change::Came(arrival) => self.come(*node, arrival),
                        Change::Left(departure) => self.leave(*node, departure),
                    }
                }
                if forgotten_at.is_some() {
                    self.forget(*node);
                }
                if let Some(node) = self.nodes.get_mut(node) {
                    node.number = *number;
                    node.at = at;
                }
                self.totals = totals.clone();
                let peak = self.peak.map_or(0, |(most, _)| most);
                if state != State::Ended && totals.watching > peak {
                    self.peak = Some((totals.watching, at));
                }
            }
        }
    }

    /// A node's new run: whom the one before had is awaited, their watch time counted to its last pulse.
    fn take_over(&mut self, node: u32, run: u64) {
        let node = self.nodes.entry(node).or_insert_with(|| Node::new(run));
        if node.run == run {
            return;
        }
        let until = node.at;
        let lost = std::mem::take(&mut node.here);
        node.awaited.extend(&lost);
        node.run_before = Some(node.run);
        node.run = run;
        for number in lost {
            self.break_off(number, until);
        }
    }

    fn come(&mut self, node: u32, arrival: &Arrival) {
        let number = match self.number(arrival.id) {
            Some(number) => number,
            None => self.know(arrival.id, &arrival.name, arrival.store),
        };
        if let Some(node) = self.nodes.get_mut(&node) {
            node.awaited.remove(&number);
            node.here.insert(number);
        }
        if let Some(viewer) = self.viewer_mut(number) {
            viewer.present_since.get_or_insert(arrival.at);
            viewer.address = arrival.address;
        }
        self.start_counting(number, arrival.at);
    }

    fn leave(&mut self, node: u32, departure: &Departure) {
        let Some(number) = self.number(departure.id) else {
            return;
        };
        if let Some(node) = self.nodes.get_mut(&node) {
            node.awaited.remove(&number);
            node.here.remove(&number);
        }
        self.break_off(number, departure.at);
        self.note_absence(number);
    }

    fn forget(&mut self, node: u32) {
        let awaited = self.nodes.get_mut(&node).map(|node| std::mem::take(&mut node.awaited));
        for number in awaited.into_iter().flatten() {
            self.note_absence(number);
        }
    }

    fn note_absence(&mut self, number: ViewerNo) {
        if !self.nodes.values().any(|node| node.has_viewer(number))
            && let Some(viewer) = self.viewer_mut(number)
        {
            viewer.present_since = None;
        }
    }

    /// Counts watch time from `at`, also if a node reports it after a later arrival at another.
    fn start_counting(&mut self, number: ViewerNo, at: Timestamp) {
        let clock = self.live.at(at);
        let Some(viewer) = self.viewers.get_mut(index(number)) else {
            return;
        };
        let from = clock.max(viewer.counted_to);
        match viewer.counting_from {
            None => {
                viewer.counting_from = Some(from);
                self.watch.counting += 1;
                self.watch.from_ms += from;
            }
            Some(later) if from < later => {
                viewer.counting_from = Some(from);
                self.watch.from_ms -= later - from;
            }
            Some(_) => {}
        }
    }

    /// One node lost a viewer at `at`: if no other has them, what was counted until the latest loss is over.
    fn break_off(&mut self, number: ViewerNo, at: Timestamp) {
        let clock = self.live.at(at);
        let elsewhere = self.is_here(number);
        let Some(viewer) = self.viewers.get_mut(index(number)) else {
            return;
        };
        let Some(from) = viewer.counting_from else {
            return;
        };
        viewer.counted_to = viewer.counted_to.max(clock);
        if elsewhere {
            return;
        }
        viewer.counted_to = viewer.counted_to.max(from);
        viewer.counting_from = None;
        let ms = viewer.counted_to - from;
        viewer.watched_ms += ms;
        self.watch.over_ms += ms;
        self.watch.counting -= 1;
        self.watch.from_ms -= from;
    }

    /// The show ended at `until`, perhaps in an outage: who came since then has watched nothing.
    fn end(&mut self, until: Timestamp) {
        self.live.stop(until);
        let clock = self.live.at(until);
        for viewer in &mut self.viewers {
            viewer.counted_to = viewer.counted_to.min(clock);
            if let Some(from) = viewer.counting_from.filter(|from| *from > clock) {
                viewer.counting_from = Some(clock);
                self.watch.from_ms -= from - clock;
            }
        }
        // Also who asked for something since the last pulse.
        self.totals.viewers = self.totals.viewers.max(self.next_number().0 - 1);
    }

    /// Watch time counts only while the show is live.
    pub(super) fn show_changed(&mut self, event: &ShowEvent, at: Timestamp) {
        match event {
            ShowEvent::Started {} | ShowEvent::Resumed {} => self.live.go(at),
            ShowEvent::Paused {} => self.live.stop(at),
            ShowEvent::Ended { due, .. } => self.end(at.min(*due)),
            ShowEvent::Created { .. }
            | ShowEvent::Changed(_)
            | ShowEvent::Ending { .. }
            | ShowEvent::EndUndone {}
            | ShowEvent::SummedUp { .. } => {}
        }
    }
}

impl AudienceEvent {
    pub(super) fn personal(&mut self, each: &mut dyn FnMut(Option<ViewerNo>, &mut Personal)) {
        match self {
            Self::Met { number, name, .. } => each(Some(*number), name),
            Self::Renamed { viewer, name } => each(Some(*viewer), name),
            Self::Pulsed { arrived, .. } => arrived.iter_mut().for_each(|arrival| each(None, &mut arrival.name)),
        }
    }
}

impl Audience {
    /// The number of a viewer, once the log has spoken of them.
    pub fn number(&self, id: ViewerId) -> Option<ViewerNo> {
        self.numbers.get(&id).copied()
    }

    /// A viewer by number.
    pub fn viewer(&self, number: ViewerNo) -> Option<&Viewer> {
        self.viewers.get(index(number))
    }

    /// Whether a viewer is present, or in grace.
    pub fn is_present(&self, number: ViewerNo) -> bool {
        self.viewer(number).is_some_and(|viewer| viewer.present_since.is_some())
    }

    /// A viewer's watch time at `now`, ms.
    pub fn watched_ms(&self, number: ViewerNo, now: Timestamp) -> u64 {
        self.viewer(number).map_or(0, |viewer| {
            let counting = viewer
                .counting_from
                .map_or(0, |from| self.live.at(now).saturating_sub(from));
            viewer.watched_ms + counting
        })
    }

    /// Watch time of all viewers together at `now`, ms.
    pub fn watched_ms_total(&self, now: Timestamp) -> u64 {
        let clocks = u64::from(self.watch.counting) * self.live.at(now);
        self.watch.over_ms + clocks.saturating_sub(self.watch.from_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::super::comment::SetBlockedWords;
    use super::super::show::{self, Create, Details, End};
    use super::super::{Actor, Command, Empty, Luck, PersonId, RoomId};
    use super::*;

    const HOST: Actor = Actor::Operator(PersonId(1));

    /// A room and what two nodes report to it; times in seconds.
    struct Scene {
        room: Room,
        numbers: BTreeMap<(u32, u64), u64>,
    }

    impl Scene {
        fn new() -> Self {
            let mut scene = Self {
                room: Room::new(RoomId::new("show").unwrap()),
                numbers: BTreeMap::new(),
            };
            let details = Details {
                title: "Lipsticks".into(),
                host: "Lina".into(),
                ..Details::default()
            };
            scene.ask(&HOST, Command::Create(Create { details }), 0).unwrap();
            scene
        }

        fn live() -> Self {
            let mut scene = Self::new();
            scene.ask(&HOST, Command::Start(Empty {}), 0).unwrap();
            // Said once: no page of the staff is open.
            scene.pulse((9, 1), &[], &[], 0);
            scene
        }

        /// How many events came of it.
        fn ask(&mut self, actor: &Actor, command: Command, second: u64) -> Result<usize, Refusal> {
            let now = Timestamp(second * 1_000);
            self.room.fire_due(now, &mut Luck::new([1; 32]));
            let decision = self.room.decide(actor, &command, now, &mut Luck::new([2; 32]))?;
            for event in &decision.events {
                self.room.apply(event, now);
            }
            Ok(decision.events.len())
        }

        /// The next pulse of a node's run.
        fn pulse(&mut self, (node, run): (u32, u64), came: &[(&str, u64)], left: &[(&str, u64)], second: u64) -> usize {
            let number = self.numbers.entry((node, run)).or_default();
            *number += 1;
            let pulse = Pulse {
                node,
                run,
                number: *number,
                arrived: came.iter().map(|(who, at)| arrival(who, *at)).collect(),
                left: left.iter().map(|(who, at)| departure(who, *at)).collect(),
                ..Pulse::default()
            };
            self.ask(&Actor::Server, Command::Pulse(pulse), second).unwrap()
        }

        fn forget(&mut self, (node, run): (u32, u64), second: u64) {
            let number = self.numbers.entry((node, run)).or_default();
            *number += 1;
            let pulse = Pulse {
                node,
                run,
                number: *number,
                forget_earlier_runs_at: Some(Timestamp(second * 1_000)),
                ..Pulse::default()
            };
            self.ask(&Actor::Server, Command::Pulse(pulse), second).unwrap();
        }

        fn taps(&mut self, taps: u64, second: u64) -> usize {
            let number = self.numbers.entry((1, 1)).or_default();
            *number += 1;
            let pulse = Pulse {
                node: 1,
                run: 1,
                number: *number,
                taps,
                ..Pulse::default()
            };
            self.ask(&Actor::Server, Command::Pulse(pulse), second).unwrap()
        }

        fn watching(&self) -> u32 {
            self.room.audience.totals.watching
        }

        /// Seconds watched; all viewers together where `who` is empty.
        fn watched(&self, who: &str, second: u64) -> u64 {
            let now = Timestamp(second * 1_000);
            let audience = &self.room.audience;
            let ms = match audience.number(id(who)) {
                Some(number) => audience.watched_ms(number, now),
                None => audience.watched_ms_total(now),
            };
            ms / 1_000
        }

        fn name(&self, who: &str) -> &str {
            let number = self.room.audience.number(id(who)).unwrap();
            self.room.audience.viewer(number).unwrap().name.as_str()
        }
    }

    fn id(who: &str) -> ViewerId {
        ViewerId(who.bytes().fold(0, |id, byte| id << 8 | u128::from(byte)))
    }

    fn arrival(who: &str, second: u64) -> Arrival {
        Arrival {
            id: id(who),
            name: who.into(),
            store: false,
            address: None,
            at: Timestamp(second * 1_000),
        }
    }

    fn departure(who: &str, second: u64) -> Departure {
        Departure {
            id: id(who),
            at: Timestamp(second * 1_000),
        }
    }

    fn viewer(who: &str) -> Actor {
        Actor::Viewer(Visitor {
            id: id(who),
            name: who.into(),
            store: false,
            address: Address::default(),
        })
    }

    fn rename(name: &str) -> Command {
        Command::Rename(Rename { name: name.into() })
    }

    #[test]
    fn viewers_are_counted_once_wherever_and_how_often_they_are() {
        let mut scene = Scene::live();
        scene.pulse((1, 1), &[("ann", 1), ("bob", 1)], &[], 2);
        scene.pulse((2, 1), &[("ann", 3)], &[], 4);
        assert_eq!((scene.watching(), scene.room.audience.totals.viewers), (2, 2));
        scene.pulse((1, 1), &[], &[("ann", 10)], 22);
        assert_eq!(scene.watching(), 2, "still at the other node");
        scene.pulse((2, 1), &[], &[("ann", 15)], 27);
        assert_eq!((scene.watching(), scene.room.audience.totals.viewers), (1, 2));
        assert_eq!(scene.room.audience.peak, Some((2, Timestamp(2_000))));
        assert_eq!(scene.watched("ann", 30), 14, "from 1 to 15");
        assert_eq!(scene.watched("", 30), 14 + 29, "and bob's");
    }

    #[test]
    fn a_pulse_that_comes_again_counts_once() {
        let mut scene = Scene::live();
        assert_eq!(scene.taps(30, 1), 1);
        scene.numbers.clear();
        assert_eq!(scene.taps(30, 2), 0);
        assert_eq!(scene.taps(12, 3), 1);
        assert_eq!(scene.room.audience.totals.likes, 42);
    }

    #[test]
    fn a_pulse_with_nothing_new_is_no_event_but_a_minute_apart() {
        let mut scene = Scene::live();
        assert_eq!(scene.pulse((1, 1), &[], &[], 1), 0);
        assert_eq!(scene.pulse((1, 1), &[("ann", 1)], &[], 2), 1);
        assert_eq!(scene.pulse((1, 1), &[("ann", 3)], &[("bob", 3)], 3), 0);
        assert_eq!(scene.pulse((1, 1), &[], &[], 61), 0);
        assert_eq!(scene.pulse((1, 1), &[], &[], 62), 1, "somebody watches");
        scene.pulse((1, 1), &[], &[("ann", 63)], 75);
        assert_eq!(scene.pulse((1, 1), &[], &[], 200), 0, "nobody does");
    }

    #[test]
    fn watch_time_is_live_time_while_present() {
        let mut scene = Scene::new();
        scene.pulse((1, 1), &[("ann", 1)], &[], 2);
        scene.ask(&HOST, Command::Start(Empty {}), 10).unwrap();
        scene.ask(&HOST, Command::Pause(Empty {}), 20).unwrap();
        assert_eq!(scene.watched("ann", 25), 10, "the pause does not count");
        scene.pulse((1, 1), &[], &[("ann", 18)], 30);
        assert_eq!(scene.watched("ann", 30), 8, "she had left before it");
        scene.ask(&HOST, Command::Resume(Empty {}), 40).unwrap();
        scene.pulse((1, 1), &[("ann", 45)], &[], 46);
        scene.ask(&HOST, Command::End(End::default()), 50).unwrap();
        scene.pulse((1, 1), &[], &[], 70);
        assert_eq!(scene.watched("ann", 90), 8 + 15, "the show ended at 60");
        assert_eq!(scene.watched("", 90), 23);
    }

    #[test]
    fn an_outage_keeps_everybody_present_in_grace_and_is_not_watched() {
        let mut scene = Scene::live();
        scene.pulse((1, 1), &[("ann", 0), ("bob", 0)], &[], 1);
        scene.taps(5, 10);
        // The process died after its pulse at 10; another one starts at 100.
        scene.pulse((1, 2), &[("ann", 101)], &[], 102);
        assert_eq!(scene.watching(), 2);
        assert_eq!((scene.watched("ann", 103), scene.watched("bob", 103)), (12, 10));
        let bob = scene.room.audience.number(id("bob")).unwrap();
        assert!(scene.room.audience.is_present(bob));
        scene.forget((1, 2), 112);
        assert_eq!(scene.watching(), 1);
        assert!(!scene.room.audience.is_present(bob));
        scene.pulse((1, 2), &[("bob", 120)], &[], 120);
        assert_eq!(scene.watched("bob", 125), 15);
    }

    #[test]
    fn the_process_that_is_gone_is_not_listened_to() {
        let mut scene = Scene::live();
        scene.pulse((1, 1), &[("ann", 0)], &[], 1);
        scene.pulse((1, 2), &[("ann", 5)], &[], 6);
        assert_eq!(scene.pulse((1, 1), &[("bob", 6)], &[], 7), 0);
    }

    #[test]
    fn a_bad_name_or_the_staffs_becomes_guest_and_four_digits() {
        let mut scene = Scene::live();
        scene.pulse((1, 1), &[("ann", 0), ("L I N A", 0), ("\u{202e}", 0)], &[], 1);
        assert_eq!(scene.name("ann"), "ann");
        for who in ["L I N A", "\u{202e}"] {
            let digits = scene.name(who).strip_prefix("Guest ").unwrap();
            assert!(digits.len() == 4 && digits.parse::<u32>().is_ok(), "{digits}");
        }
    }

    #[test]
    fn a_name_is_changed_once_a_minute_and_never_to_the_staffs() {
        let mut scene = Scene::live();
        assert_eq!(
            scene.ask(&viewer("ann"), rename("Anna"), 10),
            Ok(2),
            "known now, and renamed"
        );
        assert_eq!(scene.ask(&viewer("ann"), rename("Anna"), 11), Ok(0), "a retry");
        let retry_after_ms = 59_000;
        assert_eq!(
            scene.ask(&viewer("ann"), rename("Annie"), 11),
            Err(Refusal::RateLimited { retry_after_ms })
        );
        assert_eq!(scene.ask(&viewer("ann"), rename("Ｌina"), 70), Err(Refusal::NameTaken));
        assert_eq!(scene.ask(&viewer("ann"), rename("Annie"), 70), Ok(1));
        assert!(matches!(
            scene.ask(&viewer("ann"), rename(""), 200),
            Err(Refusal::BadText { .. })
        ));
    }

    #[test]
    fn a_name_has_no_blocked_word() {
        let mut scene = Scene::live();
        let words = vec!["casino".to_owned()];
        scene
            .ask(&HOST, Command::SetBlockedWords(SetBlockedWords { words }), 0)
            .unwrap();
        scene.pulse((1, 1), &[("ann", 0), ("ca\u{1160}sino 24", 0)], &[], 1);
        assert!(scene.name("ca\u{1160}sino 24").starts_with("Guest "));
        assert_eq!(
            scene.ask(&viewer("ann"), rename("C.a.s.i.n.o"), 2),
            Err(Refusal::BlockedWord)
        );
        assert_eq!(scene.ask(&viewer("ann"), rename("Anna"), 2), Ok(1));
    }

    #[test]
    fn whoever_bears_the_hosts_new_name_is_a_guest_from_then_on() {
        let mut scene = Scene::live();
        scene.pulse((1, 1), &[("zed", 0)], &[], 1);
        let called = |scene: &Scene| {
            let number = scene.room.audience.number(id("zed")).unwrap();
            called(&scene.room, scene.room.audience.viewer(number).unwrap()).0
        };
        assert_eq!(called(&scene), "zed");
        let host = Some("Zed".to_owned());
        let change = Command::Change(show::Change {
            host,
            ..show::Change::default()
        });
        scene.ask(&HOST, change, 2).unwrap();
        assert!(called(&scene).starts_with("Guest "), "{}", called(&scene));
    }

    #[test]
    fn the_numbers_are_final_with_the_end() {
        let mut scene = Scene::live();
        scene.pulse((1, 1), &[("ann", 0)], &[], 1);
        scene.taps(7, 2);
        scene.ask(&viewer("eve"), rename("Eve 2"), 3).unwrap();
        scene.ask(&HOST, Command::End(End::default()), 4).unwrap();
        scene.taps(9, 20);
        scene.pulse((1, 1), &[("bob", 21), ("cat", 21), ("dan", 21)], &[], 22);
        let summary = scene.room.summary(Timestamp(99_000));
        assert_eq!((summary.likes, summary.viewers), (7, 2));
        assert_eq!(summary.peak.map(|peak| peak.viewers), Some(1));
        assert_eq!(scene.watching(), 4, "but who reads the summary is counted now");
    }

    #[test]
    fn a_pulse_is_bounded_and_numbers_follow_the_order_of_arrival() {
        let mut scene = Scene::live();
        let names: Vec<_> = (0..=PULSE_CHANGES_MAX).map(|n| format!("v{n}")).collect();
        let came: Vec<_> = names.iter().map(|name| arrival(name, 1)).collect();
        let pulse = |arrived: &[Arrival]| Pulse {
            node: 1,
            run: 1,
            number: 1,
            arrived: arrived.to_vec(),
            ..Pulse::default()
        };
        let refused = scene.ask(&Actor::Server, Command::Pulse(pulse(&came)), 1);
        assert!(matches!(refused, Err(Refusal::Full { .. })));
        let most = &came[..PULSE_CHANGES_MAX];
        scene.ask(&Actor::Server, Command::Pulse(pulse(most)), 1).unwrap();
        assert_eq!(scene.room.audience.number(id("v0")), Some(ViewerNo(1)));
        assert_eq!(scene.room.audience.number(id("v1999")), Some(ViewerNo(2_000)));
    }

    #[test]
    fn a_viewer_takes_little_memory() {
        // Besides the struct: a name of 20 bytes, 16 + 4 bytes in the map of numbers and 4 in a node's set, both
        // trees at their worst half full.
        let bytes = size_of::<Viewer>() + 24 + 2 * (20 + 4);
        assert!(bytes < 300, "{bytes} bytes");
    }
}

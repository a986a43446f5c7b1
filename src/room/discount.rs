//! Discount codes: prepared, opened, claimed within the quota, redeemed once.
//!
//! The n-th claim gets the n-th code, so that no two viewers can have the same one and the number of claims
//! says how many are left. A shared code is the same for all; its redemptions are counted by order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};

use super::audience::{Address, Visitor};
use super::codes::{self, Codes};
use super::show::State;
use super::staff::By;
use super::stage::{DiscountSummary, MyClaim, PreparedDiscount, SourceKind, StaffOnly, StageEvent};
use super::{
    Actor, Answer, Decision, Event, Key, Luck, Offset, Personal, Refusal, Room, Secret, Timestamp, ViewerNo, secret,
    text,
};

/// Open at once.
pub const OPEN_MAX: usize = 5;
/// Default ceiling of anonymous claims for each address.
pub const ADDRESS_CEILING: u32 = 20;
/// Largest quota.
pub const QUOTA_MAX: u32 = 1_000_000;
/// Codes in one [`AddCodes`].
pub const CODES_PER_COMMAND: usize = 2_000;
/// Codes in one discount's pasted list, and so the largest quota of such a discount.
pub const PASTED_MAX: u32 = 100_000;
/// Discounts in one room, closed ones among them.
pub const DISCOUNTS_MAX: usize = 100;
/// Cards on the stage: all open ones and the newest of the others.
pub const CARDS_MAX: usize = 10;
/// Claims that a viewer is shown, the newest ones.
pub const MINE_MAX: usize = 200;
/// Redemptions of one shared code.
pub const SHARED_USES_MAX: usize = 1_000_000;
/// The longest gate.
const GATE_MS_MAX: u64 = 24 * 3_600_000;
/// Bytes of a typed code that are looked at: 64 characters of any script.
const TYPED_BYTES_MAX: usize = 1_000;
/// Addresses that are kept by name for the control page.
const ADDRESSES_SHOWN: usize = 10;

/// How much off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Off {
    /// 1-100 percent.
    Percent(u8),
    /// An amount in minor units (cents, fen) of an ISO 4217 currency.
    Amount {
        /// Minor units, at least 1.
        minor: u64,
        /// Three capital letters.
        currency: String,
    },
}

/// Where the codes come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CodeSource {
    /// One code that exists in the shop, the same for everybody: it can be passed on.
    Shared {
        /// The code, 1-64 characters.
        code: String,
    },
    /// A list from the shop, added by [`AddCodes`], each given out once. It opens only with as many codes as
    /// its quota: nobody is promised a code that does not exist.
    Pasted {},
    /// Made here: letters and digits that cannot be confused, groups of four, 80 bits.
    Generated {},
}

/// What a viewer must have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Gate {
    /// Watched so long.
    Watched {
        /// Milliseconds.
        ms: u64,
    },
}

/// Who counts, of draws and discounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WhoCounts {
    /// Anyone.
    Anyone,
    /// Viewers known to the store only.
    StoreOnly,
    /// Anyone, with a ceiling of anonymous ones for each address.
    AddressCeiling(u32),
}

/// When claims close after the opening; at the latest when the codes cannot be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Closes {
    /// So long after it was opened, 1,000-86,400,000 ms.
    AfterMs(u64),
    /// At a time.
    At(Timestamp),
    /// With the show.
    WithShow,
}

/// Prepares a discount, or changes one that is not open yet. The same again is a retry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepare {
    /// Chosen by the client.
    pub id: Key,
    /// What is offered.
    pub terms: Terms,
    /// Where the codes come from.
    pub codes: CodeSource,
}

/// What is offered, as everybody may know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// What the card says, 1-60 characters.
    pub title: String,
    /// How much off.
    pub off: Off,
    /// On what, if not on everything: at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<String>,
    /// Claims in all, 1-[`QUOTA_MAX`].
    pub quota: u32,
    /// Claims for each viewer, 1-100.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub per_viewer: u32,
    /// When claims close.
    pub closes: Closes,
    /// Until when a code can be used; the end of the show if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_before: Option<Timestamp>,
    /// What a viewer must have done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Who counts; absent: anyone, with a ceiling of [`ADDRESS_CEILING`] for each address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<WhoCounts>,
    /// Where the codes are used: a link to the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

fn one() -> u32 {
    1
}

fn is_one(number: &u32) -> bool {
    *number == 1
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Adds codes of the shop to a prepared or open discount whose source is pasted. Those that it has already
/// are passed over, so a retry is one. At most [`CODES_PER_COMMAND`] of 1-64 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddCodes {
    /// Which discount.
    pub discount: Key,
    /// The codes.
    pub codes: Vec<String>,
}

/// Names a discount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ById {
    /// Which.
    pub discount: Key,
}

/// Claims a code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Which discount.
    pub discount: Key,
    /// 1 for the first, 2 for the second ... up to the limit for each viewer. A retry names the same.
    #[serde(default = "one")]
    pub unit: u32,
}

/// A shop redeems a code, or asks whether it could be redeemed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redeem {
    /// The code as the buyer typed it: any case, with or without dashes and blanks.
    pub code: String,
    /// The shop's order, 1-64 characters; the same order again gets the first answer. `None` only checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
}

/// What became of a redemption. It is an answer, not a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redemption {
    /// The outcome.
    pub outcome: Outcome,
    /// The discount, where the code is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<Key>,
    /// How much off, where the outcome is ok.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<Off>,
}

/// What became of a redemption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Redeemed for this order (or could be).
    Ok,
    /// Its time is over.
    Expired,
    /// No such code was claimed here.
    Unknown,
    /// Redeemed already, for another order.
    AlreadyUsed,
    /// The show is not live, and its grace is over.
    NotLive,
}

/// What happened to discounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscountEvent {
    /// One was prepared or changed. `seed` makes the generated codes.
    Prepared {
        /// Its name.
        id: Key,
        /// What is offered.
        terms: Terms,
        /// Where the codes come from; a shared code is secret until claimed.
        #[serde(with = "secret")]
        codes: Secret<CodeSource>,
        /// From which generated codes are derived; the same again when the discount is changed.
        #[serde(with = "secret")]
        seed: Secret<[u8; 32]>,
        /// Pasted codes that it has already, where it was changed.
        #[serde(default, skip_serializing_if = "is_zero")]
        pasted: u32,
    },
    /// Codes were added.
    CodesAdded {
        /// To which.
        id: Key,
        /// The new ones.
        #[serde(with = "secret")]
        codes: Secret<Vec<String>>,
    },
    /// One was taken out before it opened.
    Removed {
        /// Which.
        id: Key,
    },
    /// One was opened.
    Opened {
        /// Its name.
        id: Key,
        /// As it is shown: an event carries what showing it needs.
        card: Card,
    },
    /// A viewer got a code.
    Claimed {
        /// Of which.
        id: Key,
        /// Who.
        viewer: ViewerNo,
        /// Their n-th, from 1.
        unit: u32,
        /// The code's place in the discount's list, from 0.
        index: u32,
        /// From where, if anonymous under a ceiling.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<Address>,
    },
    /// Claims are closed. `due` is when it should have been.
    Closed {
        /// Which.
        id: Key,
        /// Why.
        why: Closed,
        /// When it was due.
        due: Timestamp,
    },
    /// A code was used.
    Redeemed {
        /// Of which.
        id: Key,
        /// The code's place in the discount's list.
        index: u32,
        /// The shop's order.
        order: String,
        /// Who said so.
        by: By,
    },
}

/// Why claims are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    /// The quota is gone.
    SoldOut,
    /// The window is over.
    Expired,
    /// The host closed it.
    ByHost,
    /// The show ended.
    ShowEnded,
}

/// An offer as the stage shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Its name.
    pub id: Key,
    /// What is offered.
    pub terms: Terms,
    /// Since when claims are open.
    pub opened_at: Timestamp,
    /// When claims close; absent: with the show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<Timestamp>,
    /// Claims left, as of the event or keyframe that carries the card; pulses have the newest.
    pub remaining: u32,
    /// Why claims are closed, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
}

/// The discounts' part of the room's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discounts {
    by_id: BTreeMap<Key, Discount>,
}

/// A discount. Its claims take about 60 bytes each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Discount {
    /// Offset of the event that prepared it: the order in which they are listed.
    prepared: Offset,
    terms: Terms,
    codes: Codes,
    window: Option<Window>,
    claims: Claims,
    /// Redemptions of codes that only one viewer has, by the code's place.
    uses: BTreeMap<u32, Use>,
    /// Orders with the shared code.
    shared_uses: BTreeSet<String>,
    addresses: Addresses,
}

/// Once a discount was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    opened: Offset,
    opened_at: Timestamp,
    closes_at: Option<Timestamp>,
    closed: Option<Closed>,
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
struct Claims {
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

    fn count(&self) -> u32 {
        self.list.len() as u32
    }

    fn place(&self, viewer: ViewerNo, unit: u32) -> Option<u32> {
        self.places.get(&(viewer, unit)).copied()
    }

    /// The viewer's units with their places, in order.
    fn of(&self, viewer: ViewerNo) -> impl DoubleEndedIterator<Item = (u32, u32)> {
        let units = self.places.range((viewer, 0)..=(viewer, u32::MAX));
        units.map(|((_, unit), place)| (*unit, *place))
    }
}

/// Anonymous claims by address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Addresses {
    counts: BTreeMap<u64, u32>,
    /// Those with most.
    largest: Vec<(Address, u32)>,
}

impl Addresses {
    fn count(&self, address: &Address) -> u32 {
        self.counts.get(&address.key).copied().unwrap_or(0)
    }

    fn add(&mut self, address: &Address) {
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

/// Prepares a discount, or changes one that is not open yet: its seed and its pasted codes stay.
///
/// # Errors
///
/// [`Refusal::BadField`] names what is wrong, [`Refusal::WrongState`] once it was opened, [`Refusal::Ended`]
/// and [`Refusal::Full`] for a new one.
pub(super) fn prepare(room: &Room, prepare: &Prepare, now: Timestamp, luck: &mut Luck) -> Result<Decision, Refusal> {
    let terms = prepare.terms.checked()?;
    let codes = prepare.codes.checked()?;
    let pasted = matches!(codes, CodeSource::Pasted {});
    if pasted && terms.quota > PASTED_MAX {
        return bad_field("quota", "is more than a pasted list can hold: 100,000");
    }
    let known = room.discounts.by_id.get(&prepare.id);
    if known.is_some_and(|known| known.terms == terms && known.codes.is_from(&codes)) {
        return Ok(Decision::again(Answer::Done {}));
    }
    if known.is_some_and(|known| known.window.is_some()) {
        let reason = "the discount was opened already";
        return Err(Refusal::WrongState { reason });
    }
    if room.show.state() == State::Ended {
        return Err(Refusal::Ended);
    }
    if terms.use_before.is_some_and(|until| until <= now) {
        return bad_field("use_before", "is over already");
    }
    if known.is_none() && room.discounts.by_id.len() >= DISCOUNTS_MAX {
        let max = DISCOUNTS_MAX as u64;
        return Err(Refusal::Full { what: "discounts", max });
    }
    let seed = known.map_or_else(|| Secret(luck.bytes()), |known| known.codes.seed().clone());
    let kept = known.filter(|_| pasted).and_then(|known| known.codes.pasted());
    Ok(Decision::event(DiscountEvent::Prepared {
        id: prepare.id.clone(),
        terms,
        codes: Secret(codes),
        seed,
        pasted: kept.unwrap_or(0) as u32,
    }))
}

fn bad_field<T>(field: &'static str, reason: &'static str) -> Result<T, Refusal> {
    Err(Refusal::BadField { field, reason })
}

impl Terms {
    /// The terms with clean texts.
    fn checked(&self) -> Result<Self, Refusal> {
        let terms = self.clone();
        match &terms.off {
            Off::Percent(percent) if !(1..=100).contains(percent) => {
                return bad_field("off", "is not 1-100 percent");
            }
            Off::Amount { minor: 0, .. } => return bad_field("off", "is nothing"),
            Off::Amount { currency, .. }
                if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) =>
            {
                return bad_field("currency", "is not three capital letters");
            }
            Off::Percent(_) | Off::Amount { .. } => {}
        }
        if !(1..=QUOTA_MAX).contains(&terms.quota) {
            return bad_field("quota", "is not 1-1,000,000");
        }
        if !(1..=100).contains(&terms.per_viewer) {
            return bad_field("per_viewer", "is not 1-100");
        }
        if matches!(terms.closes, Closes::AfterMs(ms) if !(1_000..=86_400_000).contains(&ms)) {
            return bad_field("closes", "is not after 1 s to 24 h");
        }
        if matches!(terms.gate, Some(Gate::Watched { ms }) if !(1..=GATE_MS_MAX).contains(&ms)) {
            return bad_field("gate", "is not 1 ms to 24 h");
        }
        if matches!(terms.who, Some(WhoCounts::AddressCeiling(0))) {
            return bad_field("who", "lets nobody in");
        }
        let items = terms.items.as_deref().map(|items| text::line(items, "items", 0..=200));
        let link = terms.link.as_deref().map(|link| text::url(link, "link"));
        Ok(Self {
            title: text::line(&terms.title, "title", 1..=60)?,
            items: items.transpose()?.filter(|items| !items.is_empty()),
            link: link.transpose()?,
            ..terms
        })
    }

    /// Claims that one address may have anonymously, if that is limited.
    fn address_ceiling(&self) -> Option<u32> {
        match self.who {
            None => Some(ADDRESS_CEILING),
            Some(WhoCounts::AddressCeiling(ceiling)) => Some(ceiling),
            Some(WhoCounts::Anyone | WhoCounts::StoreOnly) => None,
        }
    }

    /// When claims close, opened at `now`.
    fn closes_at(&self, now: Timestamp) -> Option<Timestamp> {
        let closes = match self.closes {
            Closes::AfterMs(ms) => Some(now.plus(ms)),
            Closes::At(time) => Some(time),
            Closes::WithShow => None,
        };
        closes.into_iter().chain(self.use_before).min()
    }
}

impl CodeSource {
    fn checked(&self) -> Result<Self, Refusal> {
        match self {
            Self::Shared { code } => checked_code(code, "code").map(|code| Self::Shared { code }),
            Self::Pasted {} | Self::Generated {} => Ok(self.clone()),
        }
    }
}

/// A code of the shop: 1-64 characters, some of which count.
fn checked_code(code: &str, field: &'static str) -> Result<String, Refusal> {
    let code = text::line(code, field, 1..=64)?;
    if codes::normalise(&code).is_empty() {
        return bad_field(field, "has nothing but blanks and dashes");
    }
    Ok(code)
}

/// Adds pasted codes; those that it has already, however they are written, are passed over.
pub(super) fn add_codes(room: &Room, add: &AddCodes) -> Result<Decision, Refusal> {
    let discount = room.discounts.find(&add.discount)?;
    let Some(has) = discount.codes.pasted() else {
        let reason = "the discount's codes are not pasted";
        return Err(Refusal::WrongState { reason });
    };
    if add.codes.len() > CODES_PER_COMMAND {
        return bad_field("codes", "are more than 2,000");
    }
    let codes: Result<Vec<_>, _> = add.codes.iter().map(|code| checked_code(code, "codes")).collect();
    let codes = discount.codes.unknown(codes?);
    if codes.is_empty() {
        return Ok(Decision::again(Answer::Done {}));
    }
    if discount.closed().is_some() {
        return Err(Refusal::Closed);
    }
    if has + codes.len() > PASTED_MAX as usize {
        let max = PASTED_MAX.into();
        return Err(Refusal::Full { what: "codes", max });
    }
    Ok(Decision::event(DiscountEvent::CodesAdded {
        id: add.discount.clone(),
        codes: Secret(codes),
    }))
}

/// Takes a discount out that was never opened.
pub(super) fn remove(room: &Room, discount: &ById) -> Result<Decision, Refusal> {
    if room.discounts.find(&discount.discount)?.window.is_some() {
        let reason = "the discount was opened already";
        return Err(Refusal::WrongState { reason });
    }
    let id = discount.discount.clone();
    Ok(Decision::event(DiscountEvent::Removed { id }))
}

/// Opens a discount for claims; one that is open already is a retry.
///
/// # Errors
///
/// [`Refusal::WrongState`] for one that was closed, for a pasted list with fewer codes than the quota, for a
/// closing time that is over, and beyond [`OPEN_MAX`]; [`Refusal::NotLive`] or [`Refusal::Ended`].
pub(super) fn open(room: &Room, discount: &ById, now: Timestamp) -> Result<Decision, Refusal> {
    let id = discount.discount.clone();
    let discount = room.discounts.find(&id)?;
    if discount.is_open() {
        return Ok(Decision::again(Answer::Done {}));
    }
    let wrong = |reason| Err(Refusal::WrongState { reason });
    match room.show.state() {
        State::Ended => return Err(Refusal::Ended),
        State::Draft | State::Scheduled => return Err(Refusal::NotLive),
        State::Live | State::Paused => {}
    }
    if discount.window.is_some() {
        return wrong("the discount was open before; prepare another");
    }
    if discount
        .codes
        .pasted()
        .is_some_and(|codes| codes < discount.terms.quota as usize)
    {
        return wrong("the discount has fewer codes than its quota");
    }
    let closes_at = discount.terms.closes_at(now);
    if closes_at.is_some_and(|closes| closes <= now) {
        return wrong("the discount's time is over");
    }
    if room.discounts.open().count() >= OPEN_MAX {
        return wrong("five discounts are open");
    }
    let card = Card {
        id: id.clone(),
        terms: discount.terms.clone(),
        opened_at: now,
        closes_at,
        remaining: discount.terms.quota,
        closed: None,
    };
    Ok(Decision::event(DiscountEvent::Opened { id, card }))
}

/// Closes an open discount; a closed one is a retry.
pub(super) fn close(room: &Room, discount: &ById, now: Timestamp) -> Result<Decision, Refusal> {
    let id = discount.discount.clone();
    let discount = room.discounts.find(&id)?;
    match &discount.window {
        None => Err(Refusal::NotOpen { opens_at: None }),
        Some(window) if window.closed.is_some() => Ok(Decision::again(Answer::Done {})),
        Some(_) => Ok(Decision::event(closed(&id, Closed::ByHost, now))),
    }
}

fn closed(id: &Key, why: Closed, due: Timestamp) -> DiscountEvent {
    DiscountEvent::Closed {
        id: id.clone(),
        why,
        due,
    }
}

/// Claims a code. A claim that was granted is answered again before any rule is asked. Who is muted may
/// claim.
///
/// # Errors
///
/// In this order: [`Refusal::UnknownDiscount`]; [`Refusal::LimitReached`] beyond the limit for each viewer;
/// [`Refusal::NotOpen`], [`Refusal::SoldOut`], [`Refusal::Closed`], [`Refusal::NotLive`];
/// [`Refusal::BadField`] for a unit that leaves one out; [`Refusal::StoreOnly`], [`Refusal::TooManyHere`];
/// [`Refusal::WatchLonger`].
pub(super) fn claim(
    room: &Room,
    viewer: ViewerNo,
    visitor: &Visitor,
    claim: &Claim,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let id = &claim.discount;
    let discount = room.discounts.find(id)?;
    if let Some(index) = discount.claims.place(viewer, claim.unit) {
        return Ok(Decision::again(Answer::Claim(discount.mine(id, claim.unit, index))));
    }
    let terms = &discount.terms;
    if claim.unit > terms.per_viewer {
        return Err(Refusal::LimitReached);
    }
    discount.check_window(room, now)?;
    let has = discount.claims.of(viewer).count() as u32;
    if claim.unit != has + 1 {
        return bad_field("unit", "is not the next one");
    }
    if terms.who == Some(WhoCounts::StoreOnly) && !visitor.store {
        return Err(Refusal::StoreOnly);
    }
    let ceiling = terms.address_ceiling().filter(|_| !visitor.store);
    if ceiling.is_some_and(|ceiling| discount.addresses.count(&visitor.address) >= ceiling) {
        return Err(Refusal::TooManyHere);
    }
    if let Some(Gate::Watched { ms }) = terms.gate {
        let watched = room.audience.watched_ms(viewer, now);
        if watched < ms {
            let retry_after_ms = ms - watched;
            return Err(Refusal::WatchLonger { retry_after_ms });
        }
    }
    let index = discount.claims.count();
    let claimed = DiscountEvent::Claimed {
        id: id.clone(),
        viewer,
        unit: claim.unit,
        index,
        address: ceiling.map(|_| visitor.address.clone()),
    };
    let mut events = vec![claimed.into()];
    if discount.remaining() == 1 {
        events.push(closed(id, Closed::SoldOut, now).into());
    }
    Ok(Decision {
        events,
        answer: Answer::Claim(discount.mine(id, claim.unit, index)),
    })
}

/// Redeems a code for an order, or checks whether it could be. Where several discounts have the code, the
/// one that has the order already counts, then one that can be used.
///
/// # Errors
///
/// [`Refusal::BadField`] for a bad order, [`Refusal::Full`] beyond [`SHARED_USES_MAX`].
pub(super) fn redeem(room: &Room, actor: &Actor, redeem: &Redeem, now: Timestamp) -> Result<Decision, Refusal> {
    let order = redeem.order.as_deref().map(|order| text::line(order, "order", 1..=64));
    let order = order.transpose()?;
    let too_long = redeem.code.len() > TYPED_BYTES_MAX;
    let code = codes::normalise(if too_long { "" } else { &redeem.code });
    let found = room.discounts.opened().into_iter().filter_map(|(id, discount)| {
        let index = discount.codes.find(&code)?;
        Some((
            id,
            discount,
            index,
            discount.usability(room, index, order.as_deref(), now),
        ))
    });
    let Some((id, discount, index, usability)) = found.min_by_key(|(.., usability)| *usability) else {
        return Ok(Decision::again(Answer::Redemption(Redemption {
            outcome: Outcome::Unknown,
            discount: None,
            off: None,
        })));
    };
    let outcome = match usability {
        Usability::Again | Usability::New => Outcome::Ok,
        Usability::Not(outcome) => outcome,
    };
    let answer = Answer::Redemption(Redemption {
        outcome,
        discount: Some(id.clone()),
        off: (outcome == Outcome::Ok).then(|| discount.terms.off.clone()),
    });
    let Some(order) = order.filter(|_| usability == Usability::New) else {
        return Ok(Decision::again(answer));
    };
    if discount.shared_uses.len() >= SHARED_USES_MAX {
        let max = SHARED_USES_MAX as u64;
        return Err(Refusal::Full {
            what: "redemptions",
            max,
        });
    }
    let redeemed = DiscountEvent::Redeemed {
        id: id.clone(),
        index,
        order,
        by: by(actor)?,
    };
    Ok(Decision {
        events: vec![redeemed.into()],
        answer,
    })
}

fn by(actor: &Actor) -> Result<By, Refusal> {
    match actor {
        Actor::Staff(person) => Ok(By::Staff(*person)),
        Actor::Operator(person) => Ok(By::Operator(*person)),
        Actor::Server => Ok(By::Server),
        Actor::Viewer(_) => Err(Refusal::NotAllowed),
    }
}

/// Whether a code can be used, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Usability {
    /// It was, for the same order.
    Again,
    New,
    Not(Outcome),
}

/// The windows that are over by `due`.
pub(super) fn due(room: &Room, due: Timestamp, _now: Timestamp, _luck: &mut Luck) -> Vec<Event> {
    let over = room
        .discounts
        .open()
        .filter(|(_, window)| window.closes_at == Some(due));
    over.map(|(id, _)| closed(id, Closed::Expired, due).into()).collect()
}

/// The end of the show closes what is open.
pub(super) fn at_show_end(room: &Room, due: Timestamp) -> Vec<Event> {
    let open = room.discounts.open();
    open.map(|(id, _)| closed(id, Closed::ShowEnded, due).into()).collect()
}

impl Discount {
    fn closed(&self) -> Option<Closed> {
        self.window.as_ref().and_then(|window| window.closed)
    }

    fn is_open(&self) -> bool {
        self.window.as_ref().is_some_and(|window| window.closed.is_none())
    }

    fn remaining(&self) -> u32 {
        self.terms.quota - self.claims.count()
    }

    fn redeemed(&self) -> u32 {
        (self.uses.len() + self.shared_uses.len()) as u32
    }

    fn check_window(&self, room: &Room, now: Timestamp) -> Result<(), Refusal> {
        let Some(window) = &self.window else {
            return Err(Refusal::NotOpen { opens_at: None });
        };
        match window.closed {
            Some(Closed::SoldOut) => Err(Refusal::SoldOut),
            Some(Closed::Expired | Closed::ByHost | Closed::ShowEnded) => Err(Refusal::Closed),
            None if window.closes_at.is_some_and(|closes| closes <= now) => Err(Refusal::Closed),
            None if !room.show.state().on_air() => Err(Refusal::NotLive),
            None => Ok(()),
        }
    }

    fn usability(&self, room: &Room, index: u32, order: Option<&str>, now: Timestamp) -> Usability {
        let used_for = self.uses.get(&index).map(|used| used.order.as_str());
        let again = order.is_some_and(|order| used_for == Some(order) || self.shared_uses.contains(order));
        if again {
            Usability::Again
        } else if used_for.is_some() {
            Usability::Not(Outcome::AlreadyUsed)
        } else if self.terms.use_before.is_some_and(|until| until <= now) {
            Usability::Not(Outcome::Expired)
        } else if room.show.state().on_air() || room.show.redeem_until.is_some_and(|until| now < until) {
            Usability::New
        } else {
            Usability::Not(Outcome::NotLive)
        }
    }

    fn mine(&self, id: &Key, unit: u32, index: u32) -> MyClaim {
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
    fn find(&self, id: &Key) -> Result<&Discount, Refusal> {
        self.by_id.get(id).ok_or(Refusal::UnknownDiscount)
    }

    /// Those that are open.
    fn open(&self) -> impl Iterator<Item = (&Key, &Window)> {
        let windows = self
            .by_id
            .iter()
            .filter_map(|(id, discount)| Some((id, discount.window.as_ref()?)));
        windows.filter(|(_, window)| window.closed.is_none())
    }

    /// Those that were opened, in that order.
    fn opened(&self) -> Vec<(&Key, &Discount)> {
        let mut opened: Vec<_> = self
            .by_id
            .iter()
            .filter(|(_, discount)| discount.window.is_some())
            .collect();
        opened.sort_by_key(|(_, discount)| discount.window.as_ref().map(|window| window.opened));
        opened
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.open().filter_map(|(_, window)| window.closes_at).min()
    }

    pub(super) fn apply(&mut self, event: &DiscountEvent, offset: Offset, at: Timestamp) {
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
    pub(super) fn remaining(&self) -> BTreeMap<Key, u32> {
        let open = self.by_id.iter().filter(|(_, discount)| discount.is_open());
        open.map(|(id, discount)| (id.clone(), discount.remaining())).collect()
    }

    /// Discounts that were opened, newest last: those that are open, and closed ones while their codes can be
    /// used, at most [`CARDS_MAX`].
    pub(super) fn cards(&self, room: &Room) -> Vec<Card> {
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
    pub(super) fn prepared(&self) -> Vec<PreparedDiscount> {
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
    pub(super) fn summaries(&self) -> Vec<DiscountSummary> {
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
    pub(super) fn mine(&self, viewer: ViewerNo) -> Vec<MyClaim> {
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
    pub(super) fn addresses(&self) -> impl Iterator<Item = (&Address, u32)> {
        let largest = self.by_id.values().flat_map(|discount| &discount.addresses.largest);
        largest.map(|(address, count)| (address, *count))
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
}

impl DiscountEvent {
    pub(super) fn stage(&self) -> Option<StageEvent> {
        match self {
            Self::Opened { card, .. } => Some(StageEvent::DiscountOpened(card.clone())),
            Self::Closed { id, why, .. } => Some(StageEvent::DiscountClosed {
                id: id.clone(),
                why: *why,
            }),
            Self::Prepared { .. }
            | Self::CodesAdded { .. }
            | Self::Removed { .. }
            | Self::Claimed { .. }
            | Self::Redeemed { .. } => None,
        }
    }

    pub(super) fn staff_only(&self) -> Vec<StaffOnly> {
        match self {
            Self::Prepared {
                id,
                terms,
                codes,
                pasted,
                ..
            } => vec![StaffOnly::DiscountPrepared(PreparedDiscount {
                id: id.clone(),
                terms: terms.clone(),
                source: codes.0.kind(),
                codes: matches!(codes.0, CodeSource::Pasted {}).then_some(*pasted),
            })],
            Self::CodesAdded { id, codes } => vec![StaffOnly::CodesAdded {
                id: id.clone(),
                count: codes.0.len() as u32,
            }],
            Self::Removed { id } => vec![StaffOnly::Removed { id: id.clone() }],
            Self::Opened { .. } | Self::Claimed { .. } | Self::Closed { .. } | Self::Redeemed { .. } => Vec::new(),
        }
    }
}

impl CodeSource {
    fn kind(&self) -> SourceKind {
        match self {
            Self::Shared { .. } => SourceKind::Shared,
            Self::Pasted {} => SourceKind::Pasted,
            Self::Generated {} => SourceKind::Generated,
        }
    }
}

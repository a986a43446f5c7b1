//! What may be done with discounts, and what comes of it.

use super::super::audience::Visitor;
use super::super::show::State;
use super::super::staff::By;
use super::super::{Actor, Answer, Decision, Event, Key, Luck, Refusal, Room, Secret, Timestamp, ViewerNo, text};
use super::codes;
use super::state::Discount;
use super::{
    ADDRESS_CEILING, AddCodes, ById, CODES_PER_COMMAND, Card, Claim, Closed, Closes, CodeSource, DISCOUNTS_MAX,
    DiscountEvent, Gate, OPEN_MAX, Off, Outcome, PASTED_MAX, Prepare, QUOTA_MAX, Redeem, Redemption, SHARED_USES_MAX,
    Terms, WhoCounts,
};

/// The longest gate.
const GATE_MS_MAX: u64 = 24 * 3_600_000;
/// Bytes of a typed code that are looked at: 64 characters of any script.
const TYPED_BYTES_MAX: usize = 1_000;

/// Prepares a discount, or changes one that is not open yet: its seed and its pasted codes stay.
///
/// # Errors
///
/// [`Refusal::BadField`] names what is wrong, [`Refusal::WrongState`] once it was opened, [`Refusal::Ended`]
/// and [`Refusal::Full`] for a new one.
pub(in crate::room) fn prepare(
    room: &Room,
    prepare: &Prepare,
    now: Timestamp,
    luck: &mut Luck,
) -> Result<Decision, Refusal> {
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
pub(in crate::room) fn add_codes(room: &Room, add: &AddCodes) -> Result<Decision, Refusal> {
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
pub(in crate::room) fn remove(room: &Room, discount: &ById) -> Result<Decision, Refusal> {
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
pub(in crate::room) fn open(room: &Room, discount: &ById, now: Timestamp) -> Result<Decision, Refusal> {
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
pub(in crate::room) fn close(room: &Room, discount: &ById, now: Timestamp) -> Result<Decision, Refusal> {
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
pub(in crate::room) fn claim(
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
pub(in crate::room) fn redeem(
    room: &Room,
    actor: &Actor,
    redeem: &Redeem,
    now: Timestamp,
) -> Result<Decision, Refusal> {
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
        by: By::of(actor)?,
    };
    Ok(Decision {
        events: vec![redeemed.into()],
        answer,
    })
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
pub(in crate::room) fn due(room: &Room, due: Timestamp, _now: Timestamp, _luck: &mut Luck) -> Vec<Event> {
    let over = room
        .discounts
        .open()
        .filter(|(_, window)| window.closes_at == Some(due));
    over.map(|(id, _)| closed(id, Closed::Expired, due).into()).collect()
}

/// The end of the show closes what is open.
pub(in crate::room) fn at_show_end(room: &Room, due: Timestamp) -> Vec<Event> {
    let open = room.discounts.open();
    open.map(|(id, _)| closed(id, Closed::ShowEnded, due).into()).collect()
}

impl Discount {
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
}

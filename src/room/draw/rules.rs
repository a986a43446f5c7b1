//! What may be done to draws, and what follows from it.

use std::collections::BTreeMap;

use super::super::audience::{self, Visitor};
use super::super::discount::{ADDRESS_CEILING, WhoCounts};
use super::super::fair::CommittedRules;
use super::super::show::{OpenDrawAtEnd, State};
use super::super::staff::By;
use super::super::{
    Actor, Answer, Decision, Event, Hash, Luck, Refusal, Room, Secret, Timestamp, ViewerNo, fair, text,
};
use super::state::{Draw, Draws, Win, present_entries};
use super::{
    Ask, ById, CLAIM_MS, CLAIM_MS_RANGE, Cancel, Card, ClaimPrize, DrawEvent, ENTRIES_MAX, Eligibility, EntryReceipt,
    MarkSent, OPENED_MAX, PREPARED_MAX, PRESENT_MAX, Phase, Prepare, PrizeReceipt, REVEAL_AFTER_MS, Rules, STRIKES_MAX,
    Strike, WINNERS_IN_ALL_MAX, WINNERS_MAX, Winner,
};

fn bad_field<T>(field: &'static str, reason: &'static str) -> Result<T, Refusal> {
    Err(Refusal::BadField { field, reason })
}

fn wrong_state<T>(reason: &'static str) -> Result<T, Refusal> {
    Err(Refusal::WrongState { reason })
}

fn done() -> Result<Decision, Refusal> {
    Ok(Decision::again(Answer::Done {}))
}

impl Rules {
    /// The rules with their texts as they are shown.
    fn checked(&self) -> Result<Self, Refusal> {
        let mut rules = self.clone();
        rules.prize = text::line(&rules.prize, "prize", 1..=80)?;
        if !(1..=WINNERS_MAX).contains(&rules.winners) {
            return bad_field("winners", "is not 1-1,000");
        }
        if !(5_000..=86_400_000).contains(&rules.open_ms) {
            return bad_field("open_ms", "is not 5 s to 24 h");
        }
        rules.eligibility = rules.eligibility.checked()?;
        if matches!(rules.who, Some(WhoCounts::AddressCeiling(0))) {
            return bad_field("who", "lets nobody in");
        }
        rules.ask.sort();
        rules.ask.dedup();
        let readers = rules
            .readers
            .as_deref()
            .map(|text| text::line(text, "readers", 0..=200));
        rules.readers = readers.transpose()?.filter(|text| !text.is_empty());
        if !rules.ask.is_empty() && rules.readers.is_none() {
            return bad_field("readers", "must say who reads what winners fill in");
        }
        if rules.claim_ms.is_some_and(|ms| !CLAIM_MS_RANGE.contains(&ms)) {
            return bad_field("claim_ms", "is not 1 min to 90 days");
        }
        Ok(rules)
    }

    /// Entries that one address may have anonymously, if that is limited.
    fn address_ceiling(&self) -> Option<u32> {
        match self.who {
            None => Some(ADDRESS_CEILING),
            Some(WhoCounts::AddressCeiling(ceiling)) => Some(ceiling),
            Some(WhoCounts::Anyone | WhoCounts::StoreOnly) => None,
        }
    }

    /// Until when those who win at `now` may claim.
    fn claim_until(&self, now: Timestamp) -> Timestamp {
        now.plus(self.claim_ms.unwrap_or(CLAIM_MS))
    }
}

impl Eligibility {
    fn checked(&self) -> Result<Self, Refusal> {
        match self {
            Self::Present {} => Ok(Self::Present {}),
            Self::Phrase { phrase } => {
                let phrase = text::line(phrase, "phrase", 1..=40)?;
                if text::fold_phrase(&phrase).is_empty() {
                    return bad_field("phrase", "has nothing to compare");
                }
                Ok(Self::Phrase { phrase })
            }
            Self::Watched { ms } if (1..=86_400_000).contains(ms) => Ok(Self::Watched { ms: *ms }),
            Self::Watched { .. } => bad_field("eligibility", "is not watched for 1 ms to 24 h"),
        }
    }
}

pub(in crate::room) fn prepare(room: &Room, prepare: &Prepare) -> Result<Decision, Refusal> {
    let rules = prepare.rules.checked()?;
    let id = &prepare.id;
    if let Some(draw) = room.draws.find(id) {
        return if draw.card.rules == rules {
            done()
        } else {
            wrong_state("the draw was opened already")
        };
    }
    let waiting = room.draws.waiting(id);
    if waiting.is_some_and(|waiting| waiting.rules == rules) {
        return done();
    }
    if room.show.state() == State::Ended {
        return Err(Refusal::Ended);
    }
    if waiting.is_none() && room.draws.prepared.len() >= PREPARED_MAX {
        let max = PREPARED_MAX as u64;
        return Err(Refusal::Full {
            what: "prepared draws",
            max,
        });
    }
    Ok(Decision::event(DrawEvent::Prepared { id: id.clone(), rules }))
}

pub(in crate::room) fn remove(room: &Room, draw: &ById) -> Result<Decision, Refusal> {
    let id = draw.draw.clone();
    if room.draws.find(&id).is_some() {
        return wrong_state("the draw was opened already");
    }
    room.draws.waiting(&id).ok_or(Refusal::UnknownDraw)?;
    Ok(Decision::event(DrawEvent::Removed { id }))
}

pub(in crate::room) fn open(room: &Room, draw: &ById, now: Timestamp, luck: &mut Luck) -> Result<Decision, Refusal> {
    let id = &draw.draw;
    if room.draws.find(id).is_some() {
        return done();
    }
    let rules = &room.draws.waiting(id).ok_or(Refusal::UnknownDraw)?.rules;
    match room.show.state() {
        State::Ended => return Err(Refusal::Ended),
        state if !state.on_air() => return Err(Refusal::NotLive),
        _ => {}
    }
    if room.draws.under_way().is_some() {
        return wrong_state("another draw is under way");
    }
    room.draws.check_room_for(rules)?;
    let committed = CommittedRules {
        room: room.id.clone(),
        draw: id.clone(),
        opened_at: now,
        rules: rules.clone(),
    };
    let seed = luck.bytes();
    let card = Card {
        id: id.clone(),
        rules: rules.clone(),
        opened_at: now,
        closes_at: now.plus(rules.open_ms),
        commitment: fair::commitment(&seed, &committed.text()),
        entries: 0,
        phase: Phase::Open {},
    };
    let seed = Secret(seed);
    Ok(Decision::event(DrawEvent::Opened { card, seed }))
}

pub(in crate::room) fn lock(room: &Room, draw: &ById, now: Timestamp, luck: &mut Luck) -> Result<Decision, Refusal> {
    let draw = room.draws.opened(&draw.draw)?;
    match draw.card.phase {
        Phase::Open {} => Ok(Decision::event(draw.lock(room, now, now, luck))),
        Phase::Locked { .. } | Phase::Revealed { .. } => done(),
        Phase::Cancelled { .. } => Err(Refusal::Closed),
    }
}

pub(in crate::room) fn cancel(room: &Room, cancel: &Cancel) -> Result<Decision, Refusal> {
    let reason = text::line(&cancel.reason, "reason", 1..=200)?;
    let draw = room.draws.opened(&cancel.draw)?;
    match draw.card.phase {
        Phase::Open {} => {
            let id = cancel.draw.clone();
            Ok(Decision::event(DrawEvent::Cancelled { id, reason }))
        }
        Phase::Cancelled { .. } => done(),
        Phase::Locked { .. } | Phase::Revealed { .. } => Err(Refusal::Locked),
    }
}

pub(in crate::room) fn enter(
    room: &Room,
    viewer: ViewerNo,
    visitor: &Visitor,
    draw: &ById,
    now: Timestamp,
    luck: &mut Luck,
) -> Result<Decision, Refusal> {
    let draw = room.draws.opened(&draw.draw)?;
    if let Some(receipt) = draw.receipt(viewer) {
        return Ok(Decision::again(Answer::Entry(receipt)));
    }
    draw.check_open(now)?;
    match draw.card.rules.eligibility {
        Eligibility::Present {} => return wrong_state("everyone present at the lock is in"),
        Eligibility::Phrase { .. } => return Err(Refusal::PhraseNeeded),
        Eligibility::Watched { ms } => {
            let watched = room.audience.watched_ms(viewer, now);
            if watched < ms {
                let retry_after_ms = ms - watched;
                return Err(Refusal::WatchLonger { retry_after_ms });
            }
        }
    }
    if let Some(until) = room.comments.muted_until(viewer, now) {
        let retry_after_ms = until.since(now);
        return Err(Refusal::Muted { retry_after_ms });
    }
    let (entered, receipt) = draw.take(viewer, visitor, luck)?;
    Ok(Decision {
        events: vec![entered],
        answer: Answer::Entry(receipt),
    })
}

/// The entry that a comment is: `None` when no draw takes its phrase, `folded` by [`text::fold_phrase`].
/// Otherwise the events that enter the viewer (none if they are in already) with the receipt, or why they
/// cannot enter: [`Refusal::Locked`] between lock and reveal, afterwards the phrase is a comment like any
/// other. Muted viewers are not asked about.
pub(in crate::room) fn phrase_entry(
    room: &Room,
    viewer: ViewerNo,
    visitor: &Visitor,
    folded: &str,
    now: Timestamp,
    luck: &mut Luck,
) -> Option<Result<(Vec<Event>, EntryReceipt), Refusal>> {
    let draw = room.draws.under_way()?;
    let Eligibility::Phrase { phrase } = &draw.card.rules.eligibility else {
        return None;
    };
    if text::fold_phrase(phrase) != folded {
        return None;
    }
    if let Some(receipt) = draw.receipt(viewer) {
        return Some(Ok((Vec::new(), receipt)));
    }
    let taken = draw.check_open(now).and_then(|()| draw.take(viewer, visitor, luck));
    Some(taken.map(|(entered, receipt)| (vec![entered], receipt)))
}

pub(in crate::room) fn strike(
    room: &Room,
    actor: &Actor,
    strike: &Strike,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let reason = text::line(&strike.reason, "reason", 1..=200)?;
    let draw = room.draws.opened(&strike.draw)?;
    draw.entry(strike.entry).ok_or(Refusal::UnknownEntry)?;
    if draw.excluded_at(strike.entry).is_ok() {
        return done();
    }
    draw.check_open(now)?;
    if draw.excluded.len() >= STRIKES_MAX {
        let max = STRIKES_MAX as u64;
        return Err(Refusal::Full {
            what: "struck entries",
            max,
        });
    }
    Ok(Decision::event(DrawEvent::Struck {
        id: strike.draw.clone(),
        entry: strike.entry,
        reason,
        by: By::of(actor)?,
    }))
}

pub(in crate::room) fn redraw(room: &Room, draw: &ById, now: Timestamp) -> Result<Decision, Refusal> {
    let draw = room.draws.opened(&draw.draw)?;
    let Phase::Revealed {
        winners, claim_until, ..
    } = &draw.card.phase
    else {
        return wrong_state("the winners are not drawn");
    };
    if now < *claim_until {
        return wrong_state("winners may still claim");
    }
    let unclaimed = |winner: &&Winner| draw.wins.get(&winner.entry).is_some_and(Win::is_unclaimed);
    let mut instead_of: Vec<u32> = winners.iter().filter(unclaimed).map(|winner| winner.entry).collect();
    if instead_of.is_empty() {
        return wrong_state("every prize was claimed");
    }
    let again: Vec<u32> = draw.picks().skip(draw.wins.len()).take(instead_of.len()).collect();
    if again.is_empty() {
        return wrong_state("no entry is left to draw");
    }
    instead_of.truncate(again.len());
    Ok(Decision::event(DrawEvent::Redrawn {
        id: draw.card.id.clone(),
        instead_of,
        winners: draw.name_winners(room, again),
        claim_until: draw.card.rules.claim_until(now),
    }))
}

pub(in crate::room) fn claim_prize(
    room: &Room,
    viewer: ViewerNo,
    claim: &ClaimPrize,
    now: Timestamp,
    luck: &mut Luck,
) -> Result<Decision, Refusal> {
    let draw = room.draws.opened(&claim.draw)?;
    let (entry, win) = draw.win_of(viewer).ok_or(Refusal::NotAWinner)?;
    let over = win.redrawn || now >= win.claim_until;
    let ask = &draw.card.rules.ask;
    let receipt = |code| {
        Answer::Prize(PrizeReceipt {
            draw: claim.draw.clone(),
            entry,
            code,
        })
    };
    if win.claimed_at.is_some() && (over || ask.is_empty()) {
        return Ok(Decision::again(receipt(win.code.0.clone())));
    }
    if over {
        return Err(Refusal::TooLate);
    }
    check_contact(ask, &claim.contact)?;
    let code = ask.is_empty().then(|| prize_code(luck));
    let claimed = DrawEvent::PrizeClaimed {
        id: claim.draw.clone(),
        entry,
        code: Secret(code.clone()),
    };
    Ok(Decision {
        events: vec![claimed.into()],
        answer: receipt(code),
    })
}

/// Exactly what was asked for, each of 1-200 characters; but a note may be empty or absent.
fn check_contact(ask: &[Ask], contact: &BTreeMap<Ask, String>) -> Result<(), Refusal> {
    let missing = |ask: &&Ask| ask.is_needed() && !contact.contains_key(ask);
    if let Some(missing) = ask.iter().find(missing) {
        return bad_field(missing.field(), "is missing");
    }
    for (ask_for, value) in contact {
        if !ask.contains(ask_for) {
            return bad_field(ask_for.field(), "was not asked for");
        }
        text::line(value, ask_for.field(), usize::from(ask_for.is_needed())..=200)?;
    }
    Ok(())
}

impl Ask {
    /// A winner may have nothing to note.
    fn is_needed(self) -> bool {
        self != Self::Note
    }

    fn field(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Phone => "phone",
            Self::Address => "address",
            Self::Email => "email",
            Self::Note => "note",
        }
    }
}

/// Four groups of four letters and digits that cannot be confused: 80 bits.
fn prize_code(luck: &mut Luck) -> String {
    let groups: [String; 4] = std::array::from_fn(|_| luck.letters(4).to_uppercase());
    groups.join("-")
}

pub(in crate::room) fn mark_sent(room: &Room, sent: &MarkSent) -> Result<Decision, Refusal> {
    let draw = room.draws.opened(&sent.draw)?;
    let win = draw.wins.get(&sent.entry).filter(|win| !win.redrawn);
    if win.ok_or(Refusal::UnknownEntry)?.sent == sent.sent {
        return done();
    }
    Ok(Decision::event(DrawEvent::SentMarked {
        id: sent.draw.clone(),
        entry: sent.entry,
        sent: sent.sent,
    }))
}

/// Locks the open draw, or reveals the locked one.
pub(in crate::room) fn due(room: &Room, due: Timestamp, now: Timestamp, luck: &mut Luck) -> Vec<Event> {
    let Some(draw) = room.draws.under_way() else {
        return Vec::new();
    };
    match draw.card.phase {
        Phase::Open {} => vec![draw.lock(room, due, now, luck)],
        _ => vec![draw.reveal(room, now)],
    }
}

/// What the end of the show does to an open draw: it is locked, or cancelled where the host chose so. The
/// reveal follows by its deadline.
pub(in crate::room) fn at_show_end(
    room: &Room,
    choice: Option<OpenDrawAtEnd>,
    now: Timestamp,
    luck: &mut Luck,
) -> Vec<Event> {
    let Some(draw) = room.draws.under_way().filter(|draw| draw.is_open()) else {
        return Vec::new();
    };
    match choice {
        Some(OpenDrawAtEnd::Draw) | None => vec![draw.lock(room, now, now, luck)],
        Some(OpenDrawAtEnd::Cancel) => {
            let cancelled = DrawEvent::Cancelled {
                id: draw.card.id.clone(),
                reason: "The show has ended.".to_owned(),
            };
            vec![cancelled.into()]
        }
    }
}

impl Draws {
    fn check_room_for(&self, rules: &Rules) -> Result<(), Refusal> {
        if self.opened.len() >= OPENED_MAX {
            let max = OPENED_MAX as u64;
            return Err(Refusal::Full { what: "draws", max });
        }
        let drawn: u32 = self.opened.iter().map(|draw| draw.winners().len() as u32).sum();
        if drawn + rules.winners > WINNERS_IN_ALL_MAX {
            let max = u64::from(WINNERS_IN_ALL_MAX);
            return Err(Refusal::Full { what: "winners", max });
        }
        Ok(())
    }
}

impl Draw {
    /// Takes an entry, if the viewer counts and there is room.
    fn take(&self, viewer: ViewerNo, visitor: &Visitor, luck: &mut Luck) -> Result<(Event, EntryReceipt), Refusal> {
        let rules = &self.card.rules;
        if rules.who == Some(WhoCounts::StoreOnly) && !visitor.store {
            return Err(Refusal::StoreOnly);
        }
        let ceiling = rules.address_ceiling().filter(|_| !visitor.store);
        if ceiling.is_some_and(|ceiling| self.addresses.count(&visitor.address) >= ceiling) {
            return Err(Refusal::TooManyHere);
        }
        if self.entries.len() as usize >= ENTRIES_MAX {
            let max = ENTRIES_MAX as u64;
            return Err(Refusal::Full { what: "entries", max });
        }
        let number = self.entries.len() + 1;
        let salt = luck.bytes();
        let hash = fair::chain(&self.hash(), &fair::leaf(number, &salt, visitor.id));
        let entered = DrawEvent::Entered {
            id: self.card.id.clone(),
            number,
            viewer,
            salt,
            hash,
            address: ceiling.map(|_| visitor.address.clone()),
        };
        Ok((entered.into(), EntryReceipt::new(&self.card.id, number, &salt, hash)))
    }

    fn lock(&self, room: &Room, due: Timestamp, now: Timestamp, luck: &mut Luck) -> Event {
        let everyone = matches!(self.card.rules.eligibility, Eligibility::Present {});
        let salts = everyone.then(|| luck.bytes());
        let present = if everyone { self.present(room, now) } else { Vec::new() };
        let entered = salts.map(|salts| present_entries(&room.audience, self.card.commitment, &present, &salts));
        let entries = entered.as_ref().unwrap_or(&self.entries.list);
        let excluded = self.excluded_with(entries, &room.draws.earlier_winners(&self.card));
        let count = entries.len() as u32;
        let hash = entries.last().map_or(self.card.commitment, |entry| entry.hash);
        let locked = DrawEvent::Locked {
            id: self.card.id.clone(),
            present,
            salts,
            count,
            root: fair::root(&hash, count, &excluded),
            excluded: excluded.into_iter().map(|excluded| excluded.entry).collect(),
            reveal_at: now.plus(REVEAL_AFTER_MS),
            due,
        };
        locked.into()
    }

    /// Everyone present who counts and is not muted, by number, at most [`PRESENT_MAX`]: of one address not more
    /// than the rules allow.
    fn present(&self, room: &Room, now: Timestamp) -> Vec<ViewerNo> {
        let store_only = self.card.rules.who == Some(WhoCounts::StoreOnly);
        let ceiling = self.card.rules.address_ceiling();
        let mut here: BTreeMap<u64, u32> = BTreeMap::new();
        let mut below_ceiling = |address: Option<u64>| match (address, ceiling) {
            (Some(address), Some(ceiling)) => {
                let count = here.entry(address).or_default();
                *count += 1;
                *count <= ceiling
            }
            _ => true,
        };
        (1..)
            .map(ViewerNo)
            .zip(&room.audience.viewers)
            .filter(|(_, viewer)| viewer.present_since.is_some() && (viewer.store || !store_only))
            .filter(|(number, _)| room.comments.muted_until(*number, now).is_none())
            .filter(|(_, viewer)| below_ceiling(viewer.address.filter(|_| !viewer.store)))
            .map(|(number, _)| number)
            .take(PRESENT_MAX)
            .collect()
    }

    fn reveal(&self, room: &Room, now: Timestamp) -> Event {
        let winners = self.picks().take(self.card.rules.winners as usize).collect();
        let revealed = DrawEvent::Revealed {
            id: self.card.id.clone(),
            seed: Hash(self.seed.0),
            winners: self.name_winners(room, winners),
            claim_until: self.card.rules.claim_until(now),
        };
        revealed.into()
    }

    fn name_winners(&self, room: &Room, entries: Vec<u32>) -> Vec<Winner> {
        let winner = |entry: u32| {
            let by = self.entry(entry)?.viewer;
            let name = room.audience.viewer(by).map(|viewer| audience::called(room, viewer));
            let name = name.unwrap_or_default();
            Some(Winner { entry, by, name })
        };
        entries.into_iter().filter_map(winner).collect()
    }
}

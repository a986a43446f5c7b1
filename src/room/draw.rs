//! Lucky draws: configure -> open -> lock -> draw -> reveal -> prize claim. The arithmetic that anybody can
//! check is in [`super::fair`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::audience::{Address, Visitor};
use super::discount::WhoCounts;
use super::show::OpenDrawAtEnd;
use super::staff::By;
use super::stage::{DrawSummary, MyWin, PreparedDraw, StaffOnly, StageEvent};
use super::{
    Actor, Answer, Decision, Event, Hash, Key, Luck, Offset, Personal, Refusal, Room, Secret, Timestamp, ViewerNo,
    secret,
};

/// Most winners of one draw.
pub const WINNERS_MAX: u32 = 1_000;
/// Between the lock and the reveal: long enough to see "drawing".
pub const REVEAL_AFTER_MS: u64 = 3_000;
/// Winners may claim for this long unless told otherwise: 48 h.
pub const CLAIM_MS: u64 = 48 * 3_600_000;

/// Who is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Eligibility {
    /// Everyone present at the lock.
    Present {},
    /// Whoever types the phrase: the whole comment, after trimming, case and width folding.
    Phrase {
        /// 1-40 characters.
        phrase: String,
    },
    /// Whoever enters and has watched so long by then.
    Watched {
        /// Milliseconds.
        ms: u64,
    },
}

/// What a winner is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Ask {
    Name,
    Phone,
    Address,
    Email,
    Note,
}

/// The rules of a draw; committed to when it opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The prize, 1-80 characters.
    pub prize: String,
    /// How many win, 1-[`WINNERS_MAX`].
    pub winners: u32,
    /// How long it is open, 5,000-86,400,000 ms.
    pub open_ms: u64,
    /// Who is in.
    pub eligibility: Eligibility,
    /// Winners of earlier draws of this show cannot win again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exclude_earlier_winners: bool,
    /// Who counts; absent: anyone, with a ceiling of 20 for each address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<WhoCounts>,
    /// What winners are asked for; empty: they get a prize code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ask: Vec<Ask>,
    /// Who reads what winners fill in, at most 200 characters; required where something is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readers: Option<String>,
    /// For how long after the reveal winners may claim, ms; [`CLAIM_MS`] if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_ms: Option<u64>,
}

/// Prepares a draw, or changes one that is not open yet. The same again is a retry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepare {
    /// Chosen by the client.
    pub id: Key,
    /// Its rules.
    pub rules: Rules,
}

/// Names a draw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ById {
    /// Which.
    pub draw: Key,
}

/// Cancels an open draw, before the lock; it stays on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// Which.
    pub draw: Key,
    /// Why, 1-200 characters; everybody sees it.
    pub reason: String,
}

/// Strikes an entry before the lock; the transcript shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strike {
    /// Of which draw.
    pub draw: Key,
    /// The entry's number.
    pub entry: u32,
    /// Why, 1-200 characters.
    pub reason: String,
}

/// A winner claims the prize. The contact details stand in no event: the shell stores them beside the log,
/// in the same transaction; a second claim before the deadline replaces them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimPrize {
    /// Of which draw.
    pub draw: Key,
    /// What the host asked for, 1-200 characters each.
    #[serde(default)]
    pub contact: BTreeMap<Ask, String>,
}

/// Marks a winner's prize as sent (or not).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkSent {
    /// Of which draw.
    pub draw: Key,
    /// The winner's entry.
    pub entry: u32,
    /// Sent, or not after all.
    pub sent: bool,
}

/// What somebody who entered gets, and keeps for Verify.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryReceipt {
    /// Which draw.
    pub draw: Key,
    /// The entry's number, from 1.
    pub number: u32,
    /// The salt, 32 hex digits: with the viewer's id it gives the entry's leaf.
    pub salt: String,
    /// The running hash after this entry.
    pub hash: Hash,
}

/// What a winner who claimed gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrizeReceipt {
    /// Which draw.
    pub draw: Key,
    /// The entry that won.
    pub entry: u32,
    /// The prize code, where nothing was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// A winner as everybody sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Winner {
    /// The entry that won.
    pub entry: u32,
    /// Whose it is.
    pub by: ViewerNo,
    /// Their name at the lock.
    pub name: Personal,
}

/// What happened to draws.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrawEvent {
    /// One was prepared or changed.
    Prepared {
        /// Its name.
        id: Key,
        /// Its rules.
        rules: Rules,
    },
    /// One was taken out before it opened.
    Removed {
        /// Which.
        id: Key,
    },
    /// One was opened; the commitment is published with it, before any entry.
    Opened {
        /// As it is shown.
        card: Card,
        /// Secret until the reveal.
        #[serde(with = "secret")]
        seed: Secret<[u8; 32]>,
    },
    /// Somebody entered.
    Entered {
        /// Which draw.
        id: Key,
        /// The entry's number, the next one.
        number: u32,
        /// Who.
        viewer: ViewerNo,
        /// Its salt.
        salt: [u8; 16],
        /// The running hash after it.
        hash: Hash,
        /// From where, if anonymous under a ceiling.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<Address>,
    },
    /// An entry was struck.
    Struck {
        /// Which draw.
        id: Key,
        /// Which entry.
        entry: u32,
        /// Why.
        reason: String,
        /// By whom.
        by: By,
    },
    /// No more entries: their count and root are published. A draw of everyone present gets its entries here.
    Locked {
        /// Which draw.
        id: Key,
        /// Everyone present, for a draw of those: entries 1.. in this order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        present: Vec<ViewerNo>,
        /// From which their salts are derived ([`super::fair::present_salt`]).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        salts: Option<[u8; 32]>,
        /// Entries, struck ones among them.
        count: u32,
        /// Entries that cannot win: struck, or earlier winners where the rules exclude them.
        excluded: Vec<u32>,
        /// The root over all of it.
        root: Hash,
        /// When the winners are revealed.
        reveal_at: Timestamp,
        /// When the lock was due.
        due: Timestamp,
    },
    /// The winners and the seed.
    Revealed {
        /// Which draw.
        id: Key,
        /// The seed, for everybody now, 64 hex digits.
        seed: Hash,
        /// In the order drawn; fewer than the rules say when there were fewer entries.
        winners: Vec<Winner>,
        /// Until when they may claim.
        claim_until: Timestamp,
    },
    /// Unclaimed prizes were drawn again; the same sequence went on.
    Redrawn {
        /// Which draw.
        id: Key,
        /// Entries whose prizes were drawn again.
        instead_of: Vec<u32>,
        /// The new winners.
        winners: Vec<Winner>,
        /// Until when they may claim.
        claim_until: Timestamp,
    },
    /// It was cancelled before the lock.
    Cancelled {
        /// Which draw.
        id: Key,
        /// Why.
        reason: String,
    },
    /// A winner claimed.
    PrizeClaimed {
        /// Which draw.
        id: Key,
        /// The entry that won.
        entry: u32,
        /// The prize code, where nothing was asked for.
        #[serde(with = "secret")]
        code: Secret<Option<String>>,
    },
    /// A prize was marked as sent, or as not sent.
    SentMarked {
        /// Which draw.
        id: Key,
        /// The winner's entry.
        entry: u32,
        /// Sent, or not after all.
        sent: bool,
    },
}

/// Where a draw stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Entries are taken.
    Open {},
    /// "Drawing".
    Locked {
        /// When the winners are revealed.
        reveal_at: Timestamp,
        /// Entries.
        count: u32,
        /// The root over them.
        root: Hash,
    },
    /// Winners are known (none: no entries).
    Revealed {
        /// Entries.
        count: u32,
        /// The root over them.
        root: Hash,
        /// The seed.
        seed: Hash,
        /// The winners, redrawn ones in place.
        winners: Vec<Winner>,
        /// Until when they may claim.
        claim_until: Timestamp,
    },
    /// It was cancelled.
    Cancelled {
        /// Why.
        reason: String,
    },
}

/// A draw as the stage shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Its name.
    pub id: Key,
    /// Its rules.
    pub rules: Rules,
    /// Since when it is open.
    pub opened_at: Timestamp,
    /// When it locks.
    pub closes_at: Timestamp,
    /// The commitment.
    pub commitment: Hash,
    /// Entries, as of the event or keyframe that carries the card; pulses have the newest.
    pub entries: u32,
    /// Where it stands.
    pub phase: Phase,
}

/// The draws' part of the room's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draws {}

pub(super) fn prepare(_room: &Room, _prepare: &Prepare, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn remove(_room: &Room, _draw: &ById) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn open(_room: &Room, _draw: &ById, _now: Timestamp, _luck: &mut Luck) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn lock(_room: &Room, _draw: &ById, _now: Timestamp, _luck: &mut Luck) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn cancel(_room: &Room, _cancel: &Cancel, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn enter(
    _room: &Room,
    _viewer: ViewerNo,
    _visitor: &Visitor,
    _draw: &ById,
    _now: Timestamp,
    _luck: &mut Luck,
) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn strike(_room: &Room, _actor: &Actor, _strike: &Strike, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn redraw(_room: &Room, _draw: &ById, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn claim_prize(
    _room: &Room,
    _viewer: ViewerNo,
    _claim: &ClaimPrize,
    _now: Timestamp,
    _luck: &mut Luck,
) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn mark_sent(_room: &Room, _sent: &MarkSent, _now: Timestamp) -> Result<Decision, Refusal> {
    Err(Refusal::NotAllowed)
}

pub(super) fn due(_room: &Room, _due: Timestamp, _now: Timestamp, _luck: &mut Luck) -> Vec<Event> {
    Vec::new()
}

/// The entry that a comment is: `None` when no draw takes its phrase, `folded` by [`super::text::fold_phrase`].
/// Otherwise the events that enter the viewer (none if they are in already) with the receipt, or why they
/// cannot enter. Muted viewers are not asked about.
pub(super) fn phrase_entry(
    _room: &Room,
    _viewer: ViewerNo,
    _visitor: &Visitor,
    _folded: &str,
    _now: Timestamp,
    _luck: &mut Luck,
) -> Option<Result<(Vec<Event>, EntryReceipt), Refusal>> {
    None
}

/// What the end of the show does to an open draw: it is locked, or cancelled where the host chose so.
pub(super) fn at_show_end(
    _room: &Room,
    _choice: Option<OpenDrawAtEnd>,
    _now: Timestamp,
    _luck: &mut Luck,
) -> Vec<Event> {
    Vec::new()
}

impl Draws {
    /// Whether a draw takes entries.
    pub(super) fn is_open(&self) -> bool {
        false
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        None
    }

    pub(super) fn apply(&mut self, _event: &DrawEvent, _offset: Offset, _at: Timestamp) {}
}

impl DrawEvent {
    pub(super) fn personal(&mut self, each: &mut dyn FnMut(Option<ViewerNo>, &mut Personal)) {
        if let Self::Revealed { winners, .. } | Self::Redrawn { winners, .. } = self {
            winners
                .iter_mut()
                .for_each(|winner| each(Some(winner.by), &mut winner.name));
        }
    }
}

impl Draws {
    /// Draws that were opened, newest last, at most 10.
    pub(super) fn cards(&self) -> Vec<Card> {
        Vec::new()
    }

    /// Draws that wait.
    pub(super) fn prepared(&self) -> Vec<PreparedDraw> {
        Vec::new()
    }

    /// Numbers of every draw that was opened.
    pub(super) fn summaries(&self) -> Vec<DrawSummary> {
        Vec::new()
    }

    /// A viewer's entries, newest last, at most 20.
    pub(super) fn my_entries(&self, _viewer: ViewerNo) -> Vec<EntryReceipt> {
        Vec::new()
    }

    /// A viewer's wins.
    pub(super) fn my_wins(&self, _viewer: ViewerNo) -> Vec<MyWin> {
        Vec::new()
    }

    /// Anonymous entries by address.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (&Address, u32)> {
        std::iter::empty()
    }
}

impl DrawEvent {
    pub(super) fn stage(&self) -> Option<StageEvent> {
        None
    }

    pub(super) fn staff_only(&self, _offset: Offset, _at: Timestamp) -> Vec<StaffOnly> {
        Vec::new()
    }
}

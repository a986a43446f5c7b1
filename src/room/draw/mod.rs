//! Lucky draws: configure -> open -> lock -> draw -> reveal -> prize claim. The arithmetic that anybody can
//! check is in [`super::fair`].

mod rules;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::audience::Address;
use super::discount::WhoCounts;
use super::staff::By;
use super::stage::{Act, ActKind, Prepared, PreparedDraw, StaffOnly, StageEvent};
use super::{Hash, Key, Offset, Personal, Secret, Timestamp, ViewerNo, secret};

pub(super) use rules::{
    at_show_end, cancel, claim_prize, due, enter, lock, mark_sent, open, phrase_entry, prepare, redraw, remove, strike,
};
pub use state::{Draws, WinnerRow};

/// Most winners of one draw.
pub const WINNERS_MAX: u32 = 1_000;
/// Between the lock and the reveal: long enough to see "drawing".
pub const REVEAL_AFTER_MS: u64 = 3_000;
/// Winners may claim for this long unless told otherwise: 48 h.
pub const CLAIM_MS: u64 = 48 * 3_600_000;
/// Draws that wait, at most.
pub const PREPARED_MAX: usize = 100;
/// Draws that were opened in one room, at most; cancelled ones count.
pub const OPENED_MAX: usize = 100;
/// Winners of all draws of a room together. They may all be excluded from one more draw: as entry numbers of
/// 6 digits and a comma 350 kB in its [`DrawEvent::Locked`], with [`STRIKES_MAX`] below the 512 KiB of a batch.
pub const WINNERS_IN_ALL_MAX: u32 = 50_000;
/// Entries of one draw: 100 bytes each in memory.
pub const ENTRIES_MAX: usize = 200_000;
/// Entries struck in one draw.
pub const STRIKES_MAX: usize = 1_000;
/// Entries of a draw of everyone present; where more are there, those who came first. The batch that locks it
/// lists the viewers (at most 10 digits and a comma) and perhaps as many exclusions (5 digits and a comma):
/// 30,000 x 17 = 510,000 of its 524,288 bytes.
pub const PRESENT_MAX: usize = 30_000;
/// Cards in a keyframe.
const CARDS_MAX: usize = 10;
/// Winners' names in a keyframe, all cards together: about 60 bytes each, 250 at worst.
const NAMES_MAX: usize = 100;
/// Entries in a viewer's own projection.
const MY_ENTRIES_MAX: usize = 20;
/// What [`Rules::claim_ms`] may be: a minute to 90 days.
const CLAIM_MS_RANGE: std::ops::RangeInclusive<u64> = 60_000..=90 * 86_400_000;

/// Who is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
    /// Who counts; absent: anyone, with a ceiling of 20 for each address. In a draw of everyone present those
    /// of an address who came first are in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<WhoCounts>,
    /// What winners are asked for; empty: they get a prize code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ask: Vec<Ask>,
    /// Who reads what winners fill in, at most 200 characters; required where something is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readers: Option<String>,
    /// For how long after the reveal winners may claim, 60,000-7,776,000,000 ms; [`CLAIM_MS`] if absent.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Winner {
    /// The entry that won.
    pub entry: u32,
    /// Whose it is.
    pub by: ViewerNo,
    /// Their name when they were drawn.
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
        /// Its salt, written as 32 hex digits.
        #[serde(with = "hex_salt")]
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

/// How a salt is written: 32 hexadecimal digits, as in the entry's receipt.
mod hex_salt {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn text(salt: &[u8; 16]) -> String {
        format!("{:032x}", u128::from_be_bytes(*salt))
    }

    pub(super) fn serialize<S: Serializer>(salt: &[u8; 16], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(salt))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 16], D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let number = u128::from_str_radix(&text, 16).map_err(serde::de::Error::custom)?;
        Ok(number.to_be_bytes())
    }
}

/// Where a draw stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
        /// How many won.
        won: u32,
        /// The winners, redrawn ones in place; a keyframe has the first of them.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = DrawCard)]
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

impl EntryReceipt {
    fn new(draw: &Key, number: u32, salt: &[u8; 16], hash: Hash) -> Self {
        Self {
            draw: draw.clone(),
            number,
            salt: hex_salt::text(salt),
            hash,
        }
    }
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

impl DrawEvent {
    pub(super) fn stage(&self) -> Option<StageEvent> {
        match self.clone() {
            Self::Opened { card, .. } => Some(StageEvent::DrawOpened(card)),
            Self::Struck { id, entry, reason, .. } => Some(StageEvent::EntryStruck { id, entry, reason }),
            Self::Locked {
                id,
                count,
                root,
                reveal_at,
                ..
            } => Some(StageEvent::DrawLocked {
                id,
                count,
                root,
                reveal_at,
            }),
            Self::Revealed {
                id,
                seed,
                winners,
                claim_until,
            } => Some(StageEvent::DrawRevealed {
                id,
                seed,
                winners,
                claim_until,
            }),
            Self::Redrawn {
                id,
                instead_of,
                winners,
                claim_until,
            } => Some(StageEvent::DrawRedrawn {
                id,
                instead_of,
                winners,
                claim_until,
            }),
            Self::Cancelled { id, reason } => Some(StageEvent::DrawCancelled { id, reason }),
            Self::Prepared { .. }
            | Self::Removed { .. }
            | Self::Entered { .. }
            | Self::PrizeClaimed { .. }
            | Self::SentMarked { .. } => None,
        }
    }

    pub(super) fn staff_only(&self, offset: Offset, at: Timestamp) -> Vec<StaffOnly> {
        let prize = |id: &Key, entry, sent| StaffOnly::Prize {
            id: id.clone(),
            entry,
            sent,
        };
        match self {
            Self::Prepared { id, rules } => vec![StaffOnly::DrawPrepared(PreparedDraw {
                id: id.clone(),
                rules: rules.clone(),
            })],
            Self::Removed { id } => vec![StaffOnly::Removed {
                what: Prepared::Draw,
                id: id.clone(),
            }],
            Self::PrizeClaimed { id, entry, .. } => vec![prize(id, *entry, None)],
            Self::SentMarked { id, entry, sent } => vec![prize(id, *entry, Some(*sent))],
            Self::Struck { .. } => self.act(offset, at).map(StaffOnly::Act).into_iter().collect(),
            Self::Opened { .. }
            | Self::Entered { .. }
            | Self::Locked { .. }
            | Self::Revealed { .. }
            | Self::Redrawn { .. }
            | Self::Cancelled { .. } => Vec::new(),
        }
    }

    /// The act for the audit, where it is one.
    pub(super) fn act(&self, offset: Offset, at: Timestamp) -> Option<Act> {
        let Self::Struck { id, entry, reason, by } = self else {
            return None;
        };
        Some(Act {
            id: offset,
            at,
            by: *by,
            what: ActKind::Struck {
                draw: id.clone(),
                entry: *entry,
                reason: reason.clone(),
            },
        })
    }
}

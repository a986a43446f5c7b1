//! Discount codes: prepared, opened, claimed within the quota, redeemed once.
//!
//! The n-th claim gets the n-th code, so that no two viewers can have the same one and the number of claims
//! says how many are left. A shared code is the same for all; its redemptions are counted by order.

mod codes;
mod rules;
mod state;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::audience::Address;
use super::staff::By;
use super::stage::{Prepared, PreparedDiscount, SourceKind, StaffOnly, StageEvent};
use super::{Key, Secret, Timestamp, ViewerNo, secret};

pub(super) use rules::{add_codes, at_show_end, claim, close, due, open, prepare, redeem, remove};
pub use state::{ClaimRow, Discounts, Use};

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

/// How much off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Gate {
    /// Watched so long.
    Watched {
        /// Milliseconds.
        ms: u64,
    },
}

/// Who counts, of draws and discounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = DiscountCard)]
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
            Self::Removed { id } => vec![StaffOnly::Removed {
                what: Prepared::Discount,
                id: id.clone(),
            }],
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

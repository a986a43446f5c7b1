//! Whether what askers were told about a discount can have happened in some order: linearizability against a
//! counter that is taken from until it is empty, once by each asker.
//!
//! Codes never come back, so the check is exact without a search: all that is granted is granted before the moment
//! at which the last code went, and whoever is told `sold_out` is told so after it.

use std::collections::{BTreeMap, BTreeSet};

/// What one asker was told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Told {
    Code(String),
    SoldOut,
}

/// One claim as its asker saw it. `T` is any time that all askers share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim<T> {
    pub(crate) asker: usize,
    /// Before it was sent.
    pub(crate) from: T,
    /// When the answer had been read, and what it was; none if it never came: the claim may have been granted at any
    /// time since, or never.
    pub(crate) answer: Option<(T, Told)>,
}

/// Why no order of the claims explains the answers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("askers {0} and {1} were given the same code")]
    SharedCode(usize, usize),
    #[error("asker {0} was given two codes")]
    TwoCodes(usize),
    #[error("{granted} were granted of {quota}")]
    Oversold { granted: usize, quota: usize },
    #[error("asker {0} was given a code and told `sold_out`")]
    GivenAndRefused(usize),
    #[error("asker {0} was given a code for what it asked after another had been told `sold_out`")]
    GivenAfterTheEnd(usize),
    #[error("`sold_out` was told when at most {granted} of {quota} can have been granted")]
    RefusedBeforeTheEnd { granted: usize, quota: usize },
}

/// Whether some order of these claims, in which each takes effect between its sending and its answer, gives the
/// answers that were read.
pub(crate) fn check<T: Ord + Copy>(quota: usize, claims: &[Claim<T>]) -> Result<(), Violation> {
    let mut given: BTreeMap<usize, &str> = BTreeMap::new();
    let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
    let mut refused = BTreeSet::new();
    let mut first_refusal: Option<T> = None;
    let mut asked: BTreeMap<usize, T> = BTreeMap::new();
    for claim in claims {
        let earliest = asked.entry(claim.asker).or_insert(claim.from);
        *earliest = claim.from.min(*earliest);
        match &claim.answer {
            None => {}
            Some((_, Told::Code(code))) => {
                if *given.entry(claim.asker).or_insert(code) != code {
                    return Err(Violation::TwoCodes(claim.asker));
                }
                let owner = *owners.entry(code).or_insert(claim.asker);
                if owner != claim.asker {
                    return Err(Violation::SharedCode(owner, claim.asker));
                }
            }
            Some((at, Told::SoldOut)) => {
                refused.insert(claim.asker);
                first_refusal = first_refusal.into_iter().chain([*at]).min();
            }
        }
    }
    let granted = given.len();
    if granted > quota {
        return Err(Violation::Oversold { granted, quota });
    }
    if let Some(asker) = refused.iter().find(|asker| given.contains_key(asker)) {
        return Err(Violation::GivenAndRefused(*asker));
    }
    let Some(end) = first_refusal else { return Ok(()) };
    if let Some(asker) = given.keys().find(|asker| asked[asker] > end) {
        return Err(Violation::GivenAfterTheEnd(*asker));
    }
    // Who never got an answer may have taken one.
    let silent = |(asker, from): &(&usize, &T)| !given.contains_key(asker) && !refused.contains(asker) && **from <= end;
    let granted = granted + asked.iter().filter(silent).count();
    if granted < quota {
        return Err(Violation::RefusedBeforeTheEnd { granted, quota });
    }
    Ok(())
}

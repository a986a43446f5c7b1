//! The checker of claim histories is itself checked: by histories of each kind, and against a search through all
//! orders of small ones.

use std::collections::BTreeMap;

use crate::support::history::{Claim, Told, Violation, check};
use hubbub::room::Luck;

/// A history in words: `ann 1-4 A` asks at 1 and has read code A at 4, `bob 2-3 -` was told `sold_out`, `eve 2` never
/// got an answer.
fn history(text: &str) -> Vec<Claim<u64>> {
    let mut names = Vec::new();
    let claims = text.split(", ").map(|claim| {
        let words: Vec<&str> = claim.split(' ').collect();
        let asker = names.iter().position(|name| *name == words[0]).unwrap_or_else(|| {
            names.push(words[0]);
            names.len() - 1
        });
        let (from, to) = words[1].split_once('-').unwrap_or((words[1], ""));
        let told = |word: &&str| match *word {
            "-" => Told::SoldOut,
            code => Told::Code(code.to_owned()),
        };
        Claim {
            asker,
            from: from.parse().expect("a time"),
            answer: words.get(2).map(|word| (to.parse().expect("a time"), told(word))),
        }
    });
    claims.collect()
}

#[test]
fn answers_that_some_order_explains_are_sound() {
    for text in [
        "ann 1-2 A, bob 3-4 B, eve 5-6 -",
        // Asked later, granted earlier.
        "ann 1-9 A, bob 2-3 B, eve 4-5 -",
        "eve 1-9 -, ann 2-3 A, bob 4-5 B",
        // A retry has the first answer.
        "ann 1, ann 3-4 A, ann 5-6 A, bob 2-3 B",
        // Whose answer was lost may have had the last code.
        "ann 1, bob 2-3 B, eve 4-5 -",
    ] {
        assert_eq!(check(2, &history(text)), Ok(()), "{text}");
    }
}

#[test]
fn answers_that_no_order_explains_are_named() {
    for (text, violation) in [
        ("ann 1-2 A, bob 1-2 A", Violation::SharedCode(0, 1)),
        ("ann 1-2 A, ann 3-4 B", Violation::TwoCodes(0)),
        (
            "ann 1-2 A, bob 1-2 B, eve 1-2 C",
            Violation::Oversold { granted: 3, quota: 2 },
        ),
        ("ann 1-2 A, bob 1-2 B, ann 3-4 -", Violation::GivenAndRefused(0)),
        ("ann 1-2 A, bob 5-6 B, eve 3-4 -", Violation::GivenAfterTheEnd(1)),
        (
            "ann 1-2 A, eve 3-4 -",
            Violation::RefusedBeforeTheEnd { granted: 1, quota: 2 },
        ),
        (
            "ann 1-2 A, eve 3-4 -, bob 5",
            Violation::RefusedBeforeTheEnd { granted: 1, quota: 2 },
        ),
    ] {
        assert_eq!(check(2, &history(text)), Err(violation), "{text}");
    }
}

/// The counter itself: who has which code, where that is known.
type Holders = BTreeMap<usize, Option<String>>;

/// Tries every order in which the claims that are left can have taken effect.
fn some_order_explains(quota: usize, holders: &Holders, left: &[Claim<u64>]) -> bool {
    if left.iter().all(|claim| claim.answer.is_none()) {
        return true;
    }
    let first_end = left.iter().filter_map(|claim| Some(claim.answer.as_ref()?.0)).min();
    (0..left.len()).any(|next| {
        // What was answered before this was asked comes before it.
        if first_end.is_some_and(|end| left[next].from > end) {
            return false;
        }
        let mut others = left.to_vec();
        let claim = others.remove(next);
        after(quota, holders, &claim).is_some_and(|holders| some_order_explains(quota, &holders, &others))
    })
}

/// The counter after one claim, if it can have been answered so.
fn after(quota: usize, holders: &Holders, claim: &Claim<u64>) -> Option<Holders> {
    let mut after = holders.clone();
    let room = holders.len() < quota;
    let holds = holders.contains_key(&claim.asker);
    match &claim.answer {
        Some((_, Told::SoldOut)) if holds || room => return None,
        Some((_, Told::SoldOut)) => {}
        Some((_, Told::Code(_))) | None if !holds && !room => return claim.answer.is_none().then_some(after),
        None => drop(after.entry(claim.asker).or_default()),
        Some((_, Told::Code(code))) => {
            let owned = after
                .entry(claim.asker)
                .or_default()
                .get_or_insert_with(|| code.clone())
                == code;
            let shared = holders
                .iter()
                .any(|(asker, other)| *asker != claim.asker && other.as_ref() == Some(code));
            if !owned || shared {
                return None;
            }
        }
    }
    Some(after)
}

#[test]
fn the_check_agrees_with_a_search_through_all_orders() {
    let (mut sound, mut unsound) = (0, 0);
    for seed in 0..20_000_u64 {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let mut dice = Luck::new(bytes);
        let mut roll = |bound| dice.below(bound);
        let quota = roll(3) as usize;
        let claims: Vec<_> = (0..=roll(5))
            .map(|_| {
                let asker = roll(4) as usize;
                let from = roll(8);
                let told = match roll(8) {
                    0..4 => Some(Told::Code(format!("{asker}"))),
                    4 => Some(Told::Code(format!("{}", roll(4)))),
                    5 | 6 => Some(Told::SoldOut),
                    _ => None,
                };
                let answer = told.map(|told| (from + 1 + roll(4), told));
                Claim { asker, from, answer }
            })
            .collect();
        let searched = some_order_explains(quota, &Holders::new(), &claims);
        assert_eq!(
            check(quota, &claims).is_ok(),
            searched,
            "seed {seed}: of {quota}: {claims:#?}"
        );
        *if searched { &mut sound } else { &mut unsound } += 1;
    }
    assert!(sound > 1_000 && unsound > 1_000, "{sound} sound, {unsound} not");
}

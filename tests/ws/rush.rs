//! A discount with fewer codes than askers, with and without kill -9 in the middle.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, RandomState};

use tokio::task::JoinSet;

use crate::support::history::{self, Told};
use crate::support::process::Process;
use crate::support::sale::{Asker, Sale, offer};

const QUOTA: usize = 60;
const ASKERS: usize = 120;
/// Claims on their way at once.
const AT_ONCE: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_quota_is_granted_and_everybody_else_is_told_sold_out() {
    let server = Process::start(&[]);
    server.live_room("sale").await;
    offer(&server, "sixty", QUOTA).await;
    let mut askers = JoinSet::new();
    for number in 0..ASKERS {
        let address = server.address;
        askers.spawn(async move { Asker::new(address, number).await.claim("sixty").await });
    }
    let all = askers.join_all().await;
    history::check(QUOTA, &all).expect("some order explains the answers");
    let told: Vec<_> = all.iter().filter_map(|claim| Some(&claim.answer.as_ref()?.1)).collect();
    assert_eq!(told.len(), ASKERS, "everybody is answered");
    assert_eq!(told.iter().filter(|told| ***told != Told::SoldOut).count(), QUOTA);
    // Each code once, and one more for all who were told that none is left.
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), QUOTA + 1);
    for (outcome, count) in [
        ("granted", QUOTA),
        ("sold_out", ASKERS - QUOTA),
        ("again", 0),
        ("refused", 0),
    ] {
        let metric = format!("hubbub_claims_total{{outcome=\"{outcome}\"}}");
        assert_eq!(server.metric(&metric).await, count as u64, "{metric}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_sale_loses_nothing_and_oversells_nothing() {
    let given = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let seed = given("HUBBUB_KILL_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    let kills = given("HUBBUB_KILLS").unwrap_or(20);
    println!("HUBBUB_KILL_SEED={seed} HUBBUB_KILLS={kills}");
    let chance = |kill: u64| BuildHasherDefault::<DefaultHasher>::default().hash_one((seed, kill)) as usize;
    let mut sale = Sale::open(ASKERS, QUOTA, AT_ONCE).await;
    let mut untold = 0;
    for kill in 0..kills {
        let step = 1 + chance(kill) % sale.steps();
        let round = sale.round(&format!("round-{kill}"), step).await;
        println!(
            "round {kill}: shot at step {step}, {} under way, {} answered, {} granted and not told",
            round.under_way, round.answered, round.untold
        );
        untold += round.untold;
    }
    // Else the kills all fell where nothing is decided.
    println!("{untold} claims were granted whose answer the kill cut off");
    assert!(kills < 20 || untold > 0);
}

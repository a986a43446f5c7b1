//! A discount with fewer codes than askers, with and without kill -9 in the middle.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hubbub::room::Answer;
use parking_lot::RwLock;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::client::{Client, Over};
use crate::support::process::Process;

const QUOTA: u32 = 40;
const ASKERS: usize = 120;

async fn offer(server: &Process) {
    let terms =
        json!({"title": "Forty", "off": {"percent": 15}, "quota": QUOTA, "closes": "with_show", "who": "anyone"});
    server.live_room("sale").await;
    server
        .put(
            "/rooms/sale/discounts/forty",
            &server.operator,
            json!({"terms": terms, "codes": {"generated": {}}}),
        )
        .await
        .is(200);
    server
        .post("/rooms/sale/discounts/forty/open", &server.operator, json!({}))
        .await
        .is(200);
}

/// What one asker was told: a code, or that all were gone.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Code(String),
    SoldOut,
}

fn told(reply: Result<Answer, hubbub::protocol::Problem>) -> Option<Told> {
    match reply {
        Ok(Answer::Claim(claim)) => Some(Told::Code(claim.code)),
        Err(problem) if problem.code == "sold_out" => Some(Told::SoldOut),
        Err(problem) if problem.retry_after_ms.is_some() => None,
        other => panic!("a claim was answered {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_quota_is_granted_and_everybody_else_is_told_sold_out() {
    let server = Process::start(&[]);
    offer(&server).await;
    let mut askers = JoinSet::new();
    for n in 0..ASKERS {
        let address = server.address;
        askers.spawn(async move {
            let mut asker = Client::viewer(address, "sale", &format!("Asker {n}")).await;
            told(asker.ask("claim", json!({"discount": "forty", "unit": 1})).await)
        });
    }
    let told: Vec<Told> = askers
        .join_all()
        .await
        .into_iter()
        .map(|told| told.expect("an answer"))
        .collect();
    let codes: BTreeSet<_> = told
        .iter()
        .filter(|told| matches!(told, Told::Code(_)))
        .map(|told| format!("{told:?}"))
        .collect();
    assert_eq!(codes.len(), QUOTA as usize, "each code is granted once");
    assert_eq!(
        told.iter().filter(|told| **told == Told::SoldOut).count(),
        ASKERS - QUOTA as usize
    );
}

/// Asks until it is answered, over as many connections as it takes; says what it was told each time.
async fn insist(address: Arc<RwLock<SocketAddr>>, token: String) -> Vec<Told> {
    let mut all = Vec::new();
    while all.len() < 2 {
        let here = *address.read();
        let Ok(Ok(mut asker)) = tokio::spawn({
            let (token, here) = (token.clone(), here);
            async move { Client::join(here, "sale", json!({"token": token})).await }
        })
        .await
        else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        match asker.try_ask("claim", json!({"discount": "forty", "unit": 1})).await {
            Ok(reply) => all.extend(told(reply)),
            Err(Over::Broken | Over::Closed(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_sale_loses_nothing_and_oversells_nothing() {
    let seed: u64 = std::env::var("HUBBUB_KILL_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let kills: u64 = std::env::var("HUBBUB_KILLS").map_or(20, |kills| kills.parse().expect("a number"));
    println!("HUBBUB_KILL_SEED={seed} HUBBUB_KILLS={kills}");
    let mut server = Process::start(&[]);
    offer(&server).await;
    let mut tokens = Vec::new();
    for n in 0..ASKERS {
        tokens.push(
            Client::viewer(server.address, "sale", &format!("Asker {n}"))
                .await
                .token()
                .to_owned(),
        );
    }
    let address = Arc::new(RwLock::new(server.address));
    let mut askers = JoinSet::new();
    for (n, token) in tokens.iter().cloned().enumerate() {
        let address = Arc::clone(&address);
        askers.spawn(async move {
            // They come over the whole time of the kills, not all before the first.
            tokio::time::sleep(Duration::from_millis(n as u64 * 25)).await;
            insist(address, token).await
        });
    }
    for kill in 0..kills {
        let pause = (seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(kill * 7_919) >> 7) % 120;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        server.kill();
        server.restart();
        *address.write() = server.address;
    }
    let mut codes: BTreeMap<String, usize> = BTreeMap::new();
    let mut sold_out = 0;
    for told in askers.join_all().await {
        assert_eq!(told[0], told[1], "a retry gets the first answer");
        match &told[0] {
            Told::Code(code) => *codes.entry(code.clone()).or_default() += 1,
            Told::SoldOut => sold_out += 1,
        }
    }
    assert!(
        codes.values().all(|holders| *holders == 1),
        "no code was given to two: {codes:?}"
    );
    assert_eq!(codes.len(), QUOTA as usize);
    assert_eq!(sold_out, ASKERS - QUOTA as usize);
}

//! A discount with fewer codes than askers, with and without kill -9 in the middle.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;

use hubbub::protocol::Problem;
use hubbub::room::Answer;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::client::Client;
use crate::support::process::Process;

const QUOTA: usize = 60;
const ASKERS: usize = 120;

async fn offer(server: &Process, discount: &str) {
    let terms =
        json!({"title": "Sixty", "off": {"percent": 15}, "quota": QUOTA, "closes": "with_show", "who": "anyone"});
    let path = format!("/rooms/sale/discounts/{discount}");
    let body = json!({"terms": terms, "codes": {"generated": {}}});
    server.put(&path, &server.operator, body).await.is(200);
    let open = format!("{path}/open");
    server.post(&open, &server.operator, json!({})).await.is(200);
}

/// What one asker was told: a code, or that all were gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Code(String),
    SoldOut,
}

fn told(reply: Result<Answer, Problem>) -> Told {
    match reply {
        Ok(Answer::Claim(claim)) => Told::Code(claim.code),
        Err(problem) if problem.code == "sold_out" => Told::SoldOut,
        other => panic!("a claim was answered {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_quota_is_granted_and_everybody_else_is_told_sold_out() {
    let server = Process::start(&[]);
    server.live_room("sale").await;
    offer(&server, "sixty").await;
    let mut askers = JoinSet::new();
    for n in 0..ASKERS {
        let address = server.address;
        askers.spawn(async move {
            let mut asker = Client::viewer(address, "sale", &format!("Asker {n}")).await;
            told(asker.ask("claim", json!({"discount": "sixty", "unit": 1})).await)
        });
    }
    let all = askers.join_all().await;
    let granted = all.iter().filter(|told| **told != Told::SoldOut);
    assert_eq!(granted.count(), QUOTA);
    // Each code once, and one more for all who were told that none is left.
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), QUOTA + 1);
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

/// One asker over all restarts: a token, and the connection of the moment.
struct Asker {
    token: String,
    client: Client,
}

impl Asker {
    /// Comes back to a server that has restarted.
    async fn back(&mut self, address: SocketAddr) {
        let hello = json!({ "token": self.token });
        self.client = Client::join(address, "sale", hello).await.expect("it may come back");
    }

    async fn claim(&mut self, discount: &str) -> Told {
        let reply = self.client.ask("claim", json!({"discount": discount, "unit": 1})).await;
        told(reply)
    }
}

/// Claims on their way at once: whoever is behind waits until so many before it are answered.
const AT_ONCE: usize = 30;

/// The claims of a round, and the shot that falls among them.
struct Round {
    discount: String,
    server: Pid,
    /// It falls at the first of these steps, of which each claim sent and each answer read is one, at which a
    /// claim is on its way.
    shot_from: usize,
    counts: Mutex<Counts>,
    places: Semaphore,
}

#[derive(Default)]
struct Counts {
    sent: usize,
    answered: usize,
    /// On their way when the shot fell.
    under_way: Option<usize>,
}

impl Round {
    fn count(&self, step: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.lock();
        step(&mut counts);
        let under_way = counts.sent - counts.answered;
        if counts.under_way.is_none() && counts.sent + counts.answered >= self.shot_from && under_way > 0 {
            kill_process(self.server, Signal::KILL).expect("it runs");
            counts.under_way = Some(under_way);
        }
    }

    /// Claims once; what was told, unless the shot fell before.
    async fn claim(&self, asker: &mut Asker) -> Option<Told> {
        self.places.acquire().await.expect("never closed").forget();
        let claim = json!({"discount": self.discount, "unit": 1});
        let sent = asker.client.send("claim", claim).await;
        let answered = match sent {
            Ok(id) => {
                self.count(|counts| counts.sent += 1);
                asker.client.reply(id).await
            }
            Err(over) => Err(over),
        };
        self.places.add_permits(1);
        let answered = answered.ok()?;
        self.count(|counts| counts.answered += 1);
        Some(told(answered))
    }
}

/// Holders' codes as the host's list has them.
async fn claims(server: &Process, discount: &str) -> Vec<String> {
    let path = format!("/rooms/sale/discounts/{discount}/claims?limit=5000");
    let list = server.get(&path, &server.operator).await.is(200);
    let rows = list["claims"].as_array().expect("a list");
    let codes: Vec<_> = rows
        .iter()
        .map(|claim| claim["code"].as_str().expect("a code").to_owned())
        .collect();
    let holders: BTreeSet<_> = rows.iter().map(|claim| claim["viewer"].as_u64()).collect();
    let distinct: BTreeSet<_> = codes.iter().collect();
    assert_eq!((holders.len(), distinct.len()), (codes.len(), codes.len()), "{list}");
    codes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_sale_loses_nothing_and_oversells_nothing() {
    let given = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let seed = given("HUBBUB_KILL_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    let kills = given("HUBBUB_KILLS").unwrap_or(20);
    println!("HUBBUB_KILL_SEED={seed} HUBBUB_KILLS={kills}");
    let chance = |kill: u64| BuildHasherDefault::<DefaultHasher>::default().hash_one((seed, kill)) as usize;
    let mut server = Process::start(&["--no-rates"]);
    server.live_room("sale").await;
    let mut askers = Vec::new();
    for n in 0..ASKERS {
        let client = Client::viewer(server.address, "sale", &format!("Asker {n}")).await;
        let token = client.token().to_owned();
        askers.push(Asker { token, client });
    }
    let mut lost_replies = 0;
    for kill in 0..kills {
        let discount = format!("round-{kill}");
        offer(&server, &discount).await;
        let round = Arc::new(Round {
            discount: discount.clone(),
            server: server.pid(),
            // Of 240 steps; so late that the quota may be gone, so early that claims are still to come.
            shot_from: 1 + chance(kill) % (2 * ASKERS - AT_ONCE),
            counts: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
        });
        let mut asking = JoinSet::new();
        for mut asker in askers.drain(..) {
            let round = Arc::clone(&round);
            asking.spawn(async move { (round.claim(&mut asker).await, asker) });
        }
        let before = asking.join_all().await;
        let under_way = round.counts.lock().under_way;
        let Some(under_way) = under_way else {
            panic!("no claim was on its way after step {}", round.shot_from)
        };
        server.restart();

        // What was acknowledged is there, before anybody asks again.
        let kept = claims(&server, &discount).await;
        let told_before: Vec<_> = before.iter().filter_map(|(told, _)| told.as_ref()).collect();
        for told in &told_before {
            match told {
                Told::Code(code) => assert!(kept.contains(code), "{code} of {discount} is lost: {kept:?}"),
                Told::SoldOut => assert_eq!(kept.len(), QUOTA, "it was not sold out"),
            }
        }
        let granted = told_before.iter().filter(|told| matches!(told, Told::Code(_))).count();
        lost_replies += kept.len() - granted;
        println!(
            "{discount}: shot at step {}, {under_way} under way, {} answered, {} granted, {} kept",
            round.shot_from,
            told_before.len(),
            granted,
            kept.len()
        );

        let mut asking = JoinSet::new();
        for (before, mut asker) in before {
            let (address, discount) = (server.address, discount.clone());
            asking.spawn(async move {
                asker.back(address).await;
                let (first, again) = (asker.claim(&discount).await, asker.claim(&discount).await);
                assert_eq!(first, again, "a retry gets the first answer");
                assert!(
                    before.is_none_or(|before| before == first),
                    "the answer before the kill"
                );
                (first, asker)
            });
        }
        let mut codes = BTreeSet::new();
        for (told, asker) in asking.join_all().await {
            askers.push(asker);
            if let Told::Code(code) = told {
                assert!(codes.insert(code), "no code is given to two");
            }
        }
        assert_eq!(codes.len(), QUOTA, "the others were told sold_out");
        assert_eq!(
            claims(&server, &discount).await.into_iter().collect::<BTreeSet<_>>(),
            codes
        );
    }
    // Else the kills all fell where nothing is decided.
    println!("{lost_replies} claims were granted whose answer the kill cut off");
    assert!(kills < 20 || lost_replies > 0);
}

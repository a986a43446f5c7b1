//! A discount with fewer codes than askers, and kills in the middle of the rush for it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hubbub::protocol::Problem;
use hubbub::room::Answer;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::client::{Client, Over};
use super::history::{self, Claim, Told};
use super::process::{Launch, Process};

/// Opens a discount with so many codes in the room `sale`.
pub(crate) async fn offer(server: &Process, discount: &str, quota: usize) {
    let terms =
        json!({"title": "A few", "off": {"percent": 15}, "quota": quota, "closes": "with_show", "who": "anyone"});
    let path = format!("/rooms/sale/discounts/{discount}");
    let body = json!({"terms": terms, "codes": {"generated": {}}});
    server.put(&path, &server.operator, body).await.is(200);
    let open = format!("{path}/open");
    server.post(&open, &server.operator, json!({})).await.is(200);
}

pub(crate) fn told(reply: Result<Answer, Problem>) -> Told {
    match reply {
        Ok(Answer::Claim(claim)) => Told::Code(claim.code),
        Err(problem) if problem.code == "sold_out" => Told::SoldOut,
        other => panic!("a claim was answered {other:?}"),
    }
}

/// Holders' codes as the host's list has them: each holder and each code is there once.
pub(crate) async fn holders(server: &Process, discount: &str) -> BTreeSet<String> {
    let path = format!("/rooms/sale/discounts/{discount}/claims?limit=5000");
    let list = server.get(&path, &server.operator).await.is(200);
    let rows = list["claims"].as_array().expect("a list");
    let codes: BTreeSet<_> = rows
        .iter()
        .map(|claim| claim["code"].as_str().expect("a code").to_owned())
        .collect();
    let holders: BTreeSet<_> = rows.iter().map(|claim| claim["viewer"].as_u64()).collect();
    assert_eq!((holders.len(), codes.len()), (rows.len(), rows.len()), "{list}");
    codes
}

/// One asker over all restarts: a token, and the connection of the moment.
pub(crate) struct Asker {
    pub(crate) number: usize,
    token: String,
    client: Client,
}

impl Asker {
    pub(crate) async fn new(address: SocketAddr, number: usize) -> Self {
        Self::try_new(address, number).await.expect("a viewer may come in")
    }

    /// The same, where the server may end meanwhile.
    pub(crate) async fn try_new(address: SocketAddr, number: usize) -> Result<Self, Over> {
        let hello = json!({"name": format!("Asker {number}")});
        let client = Client::join(address, "sale", hello).await?;
        let token = client.token().to_owned();
        Ok(Self { number, token, client })
    }

    /// Comes back to a server that has restarted.
    pub(crate) async fn back(&mut self, address: SocketAddr) {
        let hello = json!({ "token": self.token });
        self.client = Client::join(address, "sale", hello).await.expect("it may come back");
    }

    /// Claims; if the connection ends first, nothing is told.
    pub(crate) async fn claim(&mut self, discount: &str) -> Claim<Instant> {
        self.claim_with(discount, || ()).await
    }

    async fn claim_with(&mut self, discount: &str, sent: impl FnOnce()) -> Claim<Instant> {
        let from = Instant::now();
        let answer = match self.ask(discount, sent).await {
            Ok(told) => Some((Instant::now(), told)),
            Err(Over::Broken | Over::Closed(_)) => None,
        };
        Claim {
            asker: self.number,
            from,
            answer,
        }
    }

    async fn ask(&mut self, discount: &str, sent: impl FnOnce()) -> Result<Told, Over> {
        let id = self
            .client
            .send("claim", json!({"discount": discount, "unit": 1}))
            .await?;
        sent();
        Ok(told(self.client.reply(id).await?))
    }
}

/// How a round is shot at.
struct Shot {
    server: Pid,
    /// It falls at the first of these steps, of which each claim sent and each answer read is one, at which a
    /// claim is on its way.
    from: usize,
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

impl Shot {
    fn count(&self, step: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.lock();
        step(&mut counts);
        let under_way = counts.sent - counts.answered;
        if counts.under_way.is_none() && counts.sent + counts.answered >= self.from && under_way > 0 {
            kill_process(self.server, Signal::KILL).expect("it runs");
            counts.under_way = Some(under_way);
        }
    }

    async fn claim(&self, asker: &mut Asker, discount: &str) -> Claim<Instant> {
        self.places.acquire().await.expect("never closed").forget();
        let claim = asker
            .claim_with(discount, || self.count(|counts| counts.sent += 1))
            .await;
        self.places.add_permits(1);
        if claim.answer.is_some() {
            self.count(|counts| counts.answered += 1);
        }
        claim
    }
}

/// How a round went, in which nothing was lost or given twice.
pub(crate) struct Round {
    /// Claims on their way when the server was killed.
    pub(crate) under_way: usize,
    /// Claims that were answered before.
    pub(crate) answered: usize,
    /// Codes that were granted before, and not told any more.
    pub(crate) untold: usize,
    /// From the new process's start until it served.
    pub(crate) back_after: Duration,
    /// Claims in the history that was checked.
    pub(crate) claims: usize,
}

/// A sale that goes on over many kills, with the same askers.
pub(crate) struct Sale {
    pub(crate) server: Process,
    askers: Vec<Asker>,
    quota: usize,
    at_once: usize,
}

impl Sale {
    /// So many askers for so many codes a round; `at_once` claims are on their way at once, whoever is behind waits.
    pub(crate) async fn open(askers: usize, quota: usize, at_once: usize) -> Self {
        let server = Process::start(&["--no-rates"]);
        server.live_room("sale").await;
        let mut crowd = Vec::new();
        for number in 0..askers {
            crowd.push(Asker::new(server.address, number).await);
        }
        Self {
            server,
            askers: crowd,
            quota,
            at_once,
        }
    }

    /// Steps at which a shot can fall: so late that the quota may be gone, so early that claims are still to come.
    pub(crate) fn steps(&self) -> usize {
        2 * self.askers.len() - self.at_once
    }

    /// Everybody claims, the server is killed at this step and restarted, everybody comes back and claims twice.
    /// Whatever is not as promised ends the test.
    pub(crate) async fn round(&mut self, discount: &str, shot_from: usize) -> Round {
        let quota = self.quota;
        offer(&self.server, discount, quota).await;
        let shot = Arc::new(Shot {
            server: self.server.pid(),
            from: shot_from,
            counts: Mutex::default(),
            places: Semaphore::new(self.at_once),
        });
        let mut asking = JoinSet::new();
        for mut asker in self.askers.drain(..) {
            let (shot, discount) = (Arc::clone(&shot), discount.to_owned());
            asking.spawn(async move { (shot.claim(&mut asker, &discount).await, asker) });
        }
        let (mut claims, askers): (Vec<_>, Vec<_>) = asking.join_all().await.into_iter().unzip();
        let under_way = shot.counts.lock().under_way;
        let under_way = under_way.unwrap_or_else(|| panic!("no claim was on its way after step {shot_from}"));
        let again: Launch = self.server.launched().clone();
        let back_after = self.server.relaunch(again);

        // What was acknowledged is there, before anybody asks again.
        let kept = holders(&self.server, discount).await;
        let told: Vec<&Told> = claims
            .iter()
            .filter_map(|claim| Some(&claim.answer.as_ref()?.1))
            .collect();
        for told in &told {
            match told {
                Told::Code(code) => assert!(kept.contains(code), "{code} of {discount} is lost: {kept:?}"),
                Told::SoldOut => assert_eq!(kept.len(), quota, "it was not sold out"),
            }
        }
        let answered = told.len();
        let granted = told.iter().filter(|told| matches!(told, Told::Code(_))).count();

        let mut asking = JoinSet::new();
        for mut asker in askers {
            let (address, discount) = (self.server.address, discount.to_owned());
            asking.spawn(async move {
                asker.back(address).await;
                let retries = [asker.claim(&discount).await, asker.claim(&discount).await];
                (retries, asker)
            });
        }
        for (retries, asker) in asking.join_all().await {
            assert!(
                retries.iter().all(|claim| claim.answer.is_some()),
                "a retry is answered"
            );
            claims.extend(retries);
            self.askers.push(asker);
        }
        history::check(quota, &claims).unwrap_or_else(|violation| panic!("{discount}: {violation}: {claims:#?}"));
        let codes: BTreeSet<_> = claims
            .iter()
            .filter_map(|claim| match &claim.answer {
                Some((_, Told::Code(code))) => Some(code.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(
            codes.len(),
            quota.min(self.askers.len()),
            "the others were told sold_out"
        );
        assert_eq!(holders(&self.server, discount).await, codes);
        Round {
            under_way,
            answered,
            untold: kept.len() - granted,
            back_after,
            claims: claims.len(),
        }
    }
}

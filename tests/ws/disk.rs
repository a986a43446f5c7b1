//! The real program on a disk that fills up, under a quota and a limit of file sizes, and on a disk whose sync fails.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hubbub::room::Answer;
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::Client;
use crate::support::disk::{SmallDisk, failing_sync, failing_write, slow_sync};
use crate::support::process::Process;

/// More than the small disk can ever take.
const QUOTA: u32 = 100_000;
/// A refusal comes within this time.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);

async fn offer(server: &Process) {
    let terms = json!({
        "title": "Many", "off": {"percent": 15}, "quota": QUOTA, "per_viewer": 100, "closes": "with_show", "who": "anyone",
    });
    let path = "/rooms/sale/discounts/many";
    let body = json!({"terms": terms, "codes": {"generated": {}}});
    server.put(path, &server.operator, body).await.is(200);
    let open = format!("{path}/open");
    server.post(&open, &server.operator, json!({})).await.is(200);
}

/// A data folder in which the sale is on; its server is gone.
async fn on_sale() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut server = Process::start_under(&[], folder.path(), &["--no-rates"]);
    server.live_room("sale").await;
    offer(&server).await;
    server.kill();
    folder
}

/// One viewer who takes unit after unit, and what they hold.
struct Buyer {
    client: Client,
    token: String,
    codes: BTreeMap<u32, String>,
}

impl Buyer {
    async fn new(server: &Process, name: &str) -> Self {
        let client = Client::viewer(server.address, "sale", name).await;
        let token = client.token().to_owned();
        let codes = BTreeMap::new();
        Self { client, token, codes }
    }

    async fn claim(&mut self, unit: u32) -> Result<String, String> {
        let claim = json!({"discount": "many", "unit": unit});
        match self.client.ask("claim", claim).await {
            Ok(Answer::Claim(claim)) => {
                let before = self.codes.insert(unit, claim.code.clone());
                assert!(
                    before.is_none_or(|code| code == claim.code),
                    "a retry gets its first answer"
                );
                Ok(claim.code)
            }
            Ok(other) => panic!("a claim was answered {other:?}"),
            Err(problem) => Err(problem.code),
        }
    }

    fn next(&self) -> u32 {
        self.codes.len() as u32 + 1
    }

    /// Claims until it is refused.
    async fn until_refused(&mut self) -> String {
        loop {
            let unit = self.next();
            let begun = Instant::now();
            if let Err(code) = self.claim(unit).await {
                assert!(begun.elapsed() < REFUSED_WITHIN, "refused after {:?}", begun.elapsed());
                return code;
            }
        }
    }
}

/// Claims a unit until it is granted, which must not take long.
async fn until_recovered(buyer: &mut Buyer, unit: u32) {
    let until = Instant::now() + Duration::from_secs(10);
    while buyer.claim(unit).await.is_err() {
        assert!(Instant::now() < until, "it does not recover");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The claims that the server knows of.
async fn claims(server: &Process) -> Vec<Value> {
    let list = "/rooms/sale/discounts/many/claims?limit=5000";
    let list = server.get(list, &server.operator).await.is(200);
    list["claims"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_claims_are_refused_all_else_goes_on_and_there_is_room_again() {
    let disk = SmallDisk::new(2);
    let mut server = Process::start_under(&disk.under(), &disk.data(), &["--no-rates"]);
    server.live_room("sale").await;
    offer(&server).await;
    let mut buyers = vec![Buyer::new(&server, "Ann").await];
    buyers[0].claim(1).await.expect("there is room");

    disk.fill();
    let mut refusal = String::new();
    // Each takes what may still be free in pages that the journal has already, up to their limit.
    while refusal != "journal_unavailable" {
        buyers.push(Buyer::new(&server, "Somebody").await);
        refusal = buyers.last_mut().expect("was pushed").until_refused().await;
        assert!(buyers.len() < 100, "the disk does not fill up");
    }
    let ann = &mut buyers[0];
    let begun = Instant::now();
    assert_eq!(ann.claim(2).await, Err("journal_unavailable".to_owned()));
    assert!(begun.elapsed() < REFUSED_WITHIN);
    let refused = server.post("/rooms/sale/pause", &server.operator, json!({})).await;
    refused.refused(503, "journal_unavailable");
    assert_eq!(server.metric("hubbub_rooms_unwritable").await, 1);
    assert_ne!(
        server
            .metric("hubbub_journal_appends_failed_total{reason=\"full\"}")
            .await,
        0
    );
    // What needs no journal goes on: pages, joins with all that is durable, reads.
    server.page("/healthz").await.text(200);
    server.page("/r/sale").await.text(200);
    let eve = Client::viewer(server.address, "sale", "Eve").await;
    assert!(eve.keyframe.is_some());
    let granted: usize = buyers.iter().map(|buyer| buyer.codes.len()).sum();
    assert_eq!(claims(&server).await.len(), granted);

    disk.free();
    until_recovered(&mut buyers[0], 2).await;
    assert_eq!(server.metric("hubbub_rooms_unwritable").await, 0);
    let granted = granted + 1;
    assert_eq!(claims(&server).await.len(), granted);

    server.kill();
    server.restart();
    assert_eq!(claims(&server).await.len(), granted, "as many after a kill");
    for buyer in &mut buyers {
        let hello = json!({ "token": buyer.token });
        buyer.client = Client::join(server.address, "sale", hello).await.expect("comes back");
        for unit in buyer.codes.keys().copied().collect::<Vec<_>>() {
            buyer.claim(unit).await.expect("it was granted");
        }
    }
    assert_eq!(claims(&server).await.len(), granted, "and nothing was granted twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_limit_of_file_sizes_it_is_as_on_a_full_disk() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let under = ["prlimit", "--fsize=262144:unlimited"].map(str::to_owned);
    let mut server = Process::start_under(&under, folder.path(), &["--no-rates"]);
    server.live_room("sale").await;
    offer(&server).await;
    let mut buyers = Vec::new();
    let mut refusal = String::new();
    while refusal != "journal_unavailable" {
        buyers.push(Buyer::new(&server, "Somebody").await);
        refusal = buyers.last_mut().expect("was pushed").until_refused().await;
        assert!(buyers.len() < 100, "the file grows beyond its limit");
    }
    let refused = server.post("/rooms/sale/pause", &server.operator, json!({})).await;
    refused.refused(503, "journal_unavailable");
    let full = server
        .metric("hubbub_journal_appends_failed_total{reason=\"full\"}")
        .await;
    assert_ne!(full, 0);
    let granted: usize = buyers.iter().map(|buyer| buyer.codes.len()).sum();
    assert_eq!(claims(&server).await.len(), granted);

    let limits = Rlimit {
        current: None,
        maximum: None,
    };
    prlimit(Some(server.pid()), Resource::Fsize, limits).expect("it is our own process");
    let mut ann = Buyer::new(&server, "Ann").await;
    until_recovered(&mut ann, 1).await;
    server.kill();
    let server = Process::start_under(&[], folder.path(), &["--no-rates"]);
    assert_eq!(claims(&server).await.len(), granted + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_for_a_while_is_as_a_full_disk() {
    let folder = on_sale().await;
    let files = ["journal.sqlite-wal", "journal.probe"].map(|name| folder.path().join(name));
    let under = failing_write("EDQUOT", "80..87", &files);
    let server = Process::start_under(&under, folder.path(), &["--no-rates"]);
    let mut ann = Buyer::new(&server, "Ann").await;
    let refusal = ann.until_refused().await;
    assert_eq!(refusal, "journal_unavailable");
    let next = ann.next();
    until_recovered(&mut ann, next).await;
    assert_eq!(claims(&server).await.len(), ann.codes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_sync_the_program_stops_with_a_failure_and_nothing_acknowledged_is_lost() {
    let folder = on_sale().await;
    let log = folder.path().join("journal.sqlite-wal");
    let mut server = Process::start_under(&failing_sync(12, &[log]), folder.path(), &["--no-rates"]);
    let mut ann = Buyer::new(&server, "Ann").await;
    let mut unit = 0;
    loop {
        unit += 1;
        let claim = json!({"discount": "many", "unit": unit});
        let Ok(Ok(Answer::Claim(claim))) = ann.client.try_ask("claim", claim).await else {
            break;
        };
        ann.codes.insert(unit, claim.code);
    }
    let (status, said) = server.wait();
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("hubbub: the journal failed: a sync failed"), "{said}");

    let server = Process::start_under(&[], folder.path(), &["--no-rates"]);
    let hello = json!({ "token": ann.token });
    ann.client = Client::join(server.address, "sale", hello).await.expect("comes back");
    assert!(!ann.codes.is_empty(), "the disk failed before the first claim");
    for unit in ann.codes.keys().copied().collect::<Vec<_>>() {
        ann.claim(unit).await.expect("it was granted");
    }
    let known = claims(&server).await.len();
    assert!(
        (ann.codes.len()..=ann.codes.len() + 1).contains(&known),
        "{known} claims, {} acknowledged",
        ann.codes.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_or_shown_before_its_own_sync() {
    const DELAY: Duration = Duration::from_millis(200);
    let folder = on_sale().await;
    // The log's alone: a sync of another file is no promise. Were it left to the kernel when to write, no kill of the
    // process would tell, but a loss of power.
    let log = folder.path().join("journal.sqlite-wal");
    let server = Process::start_under(&slow_sync(DELAY, &[log]), folder.path(), &["--no-rates"]);
    let mut ann = Buyer::new(&server, "Ann").await;
    let mut bob = Client::viewer(server.address, "sale", "Bob").await;
    for unit in 1..=5 {
        let begun = Instant::now();
        ann.claim(unit).await.expect("granted");
        assert!(begun.elapsed() >= DELAY, "claim {unit} after {:?}", begun.elapsed());
    }
    let begun = Instant::now();
    let said = ann.client.send("comment", json!({"nonce": "1", "text": "there"})).await;
    bob.until_comment("there").await;
    assert!(begun.elapsed() >= DELAY, "shown after {:?}", begun.elapsed());
    ann.client
        .reply(said.expect("open"))
        .await
        .expect("open")
        .expect("taken");
}

//! A draw that is open or locked at a crash goes on after it, with the same entries and the same winners.

use hubbub::protocol::Problem;
use hubbub::room::Answer;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::process::Process;

const ENTRANTS: usize = 30;

async fn open(server: &Process, eligibility: Value) {
    server.live_room("show").await;
    let rules = json!({
        "prize": "Lipstick", "winners": 3, "open_ms": 600_000, "eligibility": eligibility, "who": "anyone",
    });
    server
        .put("/rooms/show/draws/lips", &server.operator, rules)
        .await
        .is(200);
    server
        .post("/rooms/show/draws/lips/open", &server.operator, json!({}))
        .await
        .is(200);
}

/// The draw's transcript, once its winners are known.
async fn revealed(server: &Process) -> Value {
    let mut host = Client::viewer(server.address, "show", "Watcher").await;
    loop {
        let transcript = server
            .get("/rooms/show/draws/lips/transcript", &server.operator)
            .await
            .is(200);
        if !transcript["seed"].is_null() {
            return transcript;
        }
        host.events().await;
    }
}

async fn enter(client: &mut Client) -> Result<u32, Problem> {
    let said = client
        .ask("comment", json!({"nonce": "enter", "text": " ＬＩＰＳ "}))
        .await?;
    match said {
        Answer::Comment { entry: Some(entry), .. } => Ok(entry.number),
        other => panic!("the phrase entered nothing: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draw_killed_between_lock_and_reveal_ends_with_the_same_winners() {
    let mut server = Process::start(&[]);
    open(&server, json!({"phrase": {"phrase": "lips"}})).await;
    let mut viewers = Vec::new();
    for n in 0..ENTRANTS {
        let mut viewer = Client::viewer(server.address, "show", &format!("Viewer {n}")).await;
        assert_eq!(enter(&mut viewer).await.expect("it is open"), n as u32 + 1);
        viewers.push(viewer);
    }
    server
        .post("/rooms/show/draws/lips/lock", &server.operator, json!({}))
        .await
        .is(200);
    let late = Client::viewer(server.address, "show", "Late").await.ask_late().await;
    assert_eq!(late.code, "locked");
    let locked = server
        .get("/rooms/show/draws/lips/transcript", &server.operator)
        .await
        .is(200);
    assert!(locked["seed"].is_null(), "no seed before the reveal: {locked}");
    server.kill();
    let copy = server.copy();
    server.restart();
    let (here, there) = (revealed(&server).await, revealed(&copy).await);
    assert_eq!(here, there, "two servers on the same journal");
    assert_eq!(here["root"], locked["root"]);
    let verified = hubbub::room::fair::verify_text(&here.to_string());
    verified.expect("the transcript is honest");
}

impl Client {
    /// Tries to enter after the lock.
    async fn ask_late(mut self) -> Problem {
        enter(&mut self).await.expect_err("it is locked")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_was_acknowledged_survives_a_kill_and_keeps_its_number() {
    let mut server = Process::start(&[]);
    open(&server, json!({"phrase": {"phrase": "lips"}})).await;
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    let number = enter(&mut ann).await.expect("it is open");
    let (token, cursor) = (ann.token().to_owned(), ann.cursor);
    server.kill();
    server.restart();
    let mut ann = Client::again(server.address, "show", &token, cursor).await;
    assert_eq!(ann.joined.mine.entries.first().map(|entry| entry.number), Some(number));
    assert_eq!(enter(&mut ann).await.expect("a retry"), number);
}

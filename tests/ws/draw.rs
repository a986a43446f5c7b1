//! A draw that is open or locked at a crash goes on after it, with the same entries and the same winners.

use std::collections::BTreeSet;
use std::path::PathBuf;

use hubbub::protocol::{Message, Problem};
use hubbub::room::Answer;
use hubbub::room::stage::StageEvent;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::client::Client;
use crate::support::process::{Process, ended, hubbub};
use crate::support::verifiers::{VERIFIERS, verdicts};

const ENTRANTS: u32 = 5_000;
/// So many of them come at a time.
const PARTS: u32 = 50;

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
async fn a_draw_of_5_000_killed_between_lock_and_reveal_ends_with_the_same_winners() {
    let mut server = Process::start(&[]);
    open(&server, json!({"phrase": {"phrase": "lips"}})).await;
    let mut watcher = Client::viewer(server.address, "show", "Watcher").await;
    let opened = watcher.keyframe.take().expect("a new viewer starts from it").draws;
    let mut crowd = JoinSet::new();
    for part in 0..PARTS {
        let address = server.address;
        crowd.spawn(async move {
            let mut numbers = Vec::new();
            for n in 0..ENTRANTS / PARTS {
                let name = format!("Viewer {part}-{n}");
                let mut viewer = Client::viewer(address, "show", &name).await;
                numbers.push(enter(&mut viewer).await.expect("it is open"));
            }
            numbers
        });
    }
    let numbers: BTreeSet<_> = crowd.join_all().await.concat().into_iter().collect();
    assert!(
        numbers.into_iter().eq(1..=ENTRANTS),
        "each entry has a number of its own"
    );

    let lock = server.post("/rooms/show/draws/lips/lock", &server.operator, json!({}));
    lock.await.is(200);
    let late = Client::viewer(server.address, "show", "Late").await.ask_late().await;
    server.kill();
    assert_eq!(late.code, "locked");
    // The kill came between the two: nobody was told the seed.
    let mut root = None;
    while let Ok(message) = watcher.next().await {
        let Message::Delta(delta) = message else { continue };
        for event in delta.events {
            match event {
                StageEvent::DrawLocked { root: locked, .. } => root = Some(locked.to_string()),
                StageEvent::DrawRevealed { .. } => panic!("it was killed after the reveal"),
                _ => {}
            }
        }
    }
    let copy = server.copy();
    server.restart();
    let (here, there) = (revealed(&server).await, revealed(&copy).await);
    assert_eq!(here, there, "two servers on the same journal");
    assert_eq!(here["root"].as_str(), root.as_deref());
    let commitment = opened[0].commitment.to_string();
    assert_eq!(here["commitment"], commitment, "published before any entry");
    assert_eq!(here["leaves"].as_array().map(Vec::len), Some(ENTRANTS as usize));
    all_verify(&server).await;
}

/// The transcript as anybody downloads it, and with one byte changed here and there, before three verifiers.
async fn all_verify(server: &Process) {
    let honest = server.get("/rooms/show/draws/lips/transcript", "").await.body;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).expect("writes");
        file
    };
    let mut files = vec![write("honest.json", &honest)];
    for part in 0..8 {
        let mut altered = honest.clone();
        altered[(honest.len() - 1) * part / 7] ^= 1;
        files.push(write(&format!("{part}.json"), &altered));
    }
    let expected: Vec<_> = (0..files.len()).map(|file| file == 0).collect();
    for (program, script) in VERIFIERS {
        assert_eq!(verdicts(program, script, &files).1, expected, "{program}");
    }
    let accepts = |file: &PathBuf| ended(hubbub(&["verify-draw", file.to_str().expect("text")])).0 == Some(0);
    assert_eq!(files.iter().map(accepts).collect::<Vec<_>>(), expected);
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

//! Backups of a server that runs, and what comes back of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use hubbub::room::Answer;
use hubbub::upkeep::{Problem, back_up, check, restore};
use serde_json::json;
use tokio::time::timeout;

use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::process::{Process, ended, hubbub};
use crate::{contents, epochs, journal, present};

async fn offer(server: &Process) {
    let terms = json!({"title": "Ten", "off": {"percent": 15}, "quota": 10, "closes": "with_show", "who": "anyone"});
    let path = "/rooms/sale/discounts/ten";
    let body = json!({"terms": terms, "codes": {"pasted": {}}});
    server.put(path, &server.operator, body).await.is(200);
    let codes = "AAAA\nBBBB\nCCCC\nDDDD\nEEEE\nFFFF\nGGGG\nHHHH\nJJJJ\nKKKK\n";
    let list = server.request(reqwest::Method::POST, &format!("{path}/codes"), &server.operator);
    server
        .send(list.header("content-type", "text/csv").body(codes))
        .await
        .is(200);
    let open = format!("{path}/open");
    server.post(&open, &server.operator, json!({})).await.is(200);
}

async fn claim(client: &mut Client) -> String {
    match client.ask("claim", json!({"discount": "ten", "unit": 1})).await {
        Ok(Answer::Claim(claim)) => claim.code,
        other => panic!("a claim was answered {other:?}"),
    }
}

fn run(arguments: &[&str]) -> String {
    let (status, said, problem) = ended(hubbub(arguments));
    assert_eq!(status, Some(0), "{arguments:?}: {problem}");
    said
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_server_comes_back_whole_and_every_room_in_a_new_epoch() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (copy, back) = (folder.path().join("copy"), folder.path().join("back"));
    let server = Process::start(&["--no-rates"]);
    server.live_room("sale").await;
    offer(&server).await;
    let mut ann = Client::viewer(server.address, "sale", "Ann").await;
    let anns = claim(&mut ann).await;

    run(&["backup", text(&copy), "--data", text(server.data())]);
    let mark = fs::metadata(server.data().join(".last-backup")).expect("is there");
    assert_eq!(mark.permissions().mode() & 0o777, 0o600);
    let mut bob = Client::viewer(server.address, "sale", "Bob").await;
    let bobs = claim(&mut bob).await;
    let (ann_token, bob_token, cursor) = (ann.token().to_owned(), bob.token().to_owned(), bob.cursor);
    drop(server);

    let sound = run(&["check", text(&copy)]);
    assert!(sound.starts_with("sound: 1 room,"), "{sound}");
    for file in ["journal.sqlite", "secret"] {
        let mode = fs::metadata(copy.join(file)).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let said = run(&["restore", text(&copy), "--data", text(&back)]);
    assert!(
        said.contains("sale: goes on after offset ") && said.contains("What was done later is gone"),
        "{said}"
    );

    let server = Process::start_under(&[], &back, &["--no-rates"]);
    // Who has seen more than the backup holds starts afresh: the same offsets stand for something else now.
    let mut bob = Client::again(server.address, "sale", &bob_token, cursor).await;
    assert!(!bob.joined.resumed && bob.joined.epoch != cursor.epoch);
    let mut ann = Client::again(server.address, "sale", &ann_token, cursor).await;
    assert_eq!(claim(&mut ann).await, anns, "what was granted before the backup stays");
    let mut eve = Client::viewer(server.address, "sale", "Eve").await;
    assert_eq!(claim(&mut eve).await, bobs, "what was granted after it is free again");
    assert_ne!(claim(&mut bob).await, bobs);
}

#[tokio::test]
async fn nothing_is_written_over_and_no_damaged_backup_restored() {
    let (data, folder) = (present().await, tempfile::tempdir().expect("a temporary folder"));
    let (copy, back) = (folder.path().join("copy"), folder.path().join("back"));
    fs::create_dir(data.path().join("covers")).expect("makes");
    fs::write(data.path().join("covers/picture.jpg"), "a picture").expect("writes");
    let backup = back_up(data.path(), &copy).expect("it is backed up");
    assert_eq!((backup.rooms, backup.files, backup.secret), (2, 1, false));
    assert_eq!(contents(&copy), contents(data.path()));
    assert_eq!(epochs(&copy), epochs(data.path()), "a backup is the same journal");
    assert!(matches!(back_up(data.path(), &copy), Err(Problem::NotEmpty { .. })));
    assert!(matches!(restore(&copy, data.path()), Err(Problem::NotEmpty { .. })));

    let intact = fs::read(journal(&copy)).expect("reads");
    let mut damaged = intact.clone();
    // Pages also hold remains of comments that stand elsewhere.
    let comments = intact.windows(9).enumerate().filter(|(_, bytes)| bytes == b"Words-of-");
    comments.for_each(|(place, _)| damaged[place] ^= 1);
    fs::write(journal(&copy), damaged).expect("writes");
    let refused = restore(&copy, &back);
    assert!(matches!(refused, Err(Problem::DamagedBackup { .. })), "{refused:?}");
    assert!(!back.exists(), "nothing is left behind");

    fs::write(journal(&copy), intact).expect("writes");
    restore(&copy, &back).expect("it is sound again");
    assert_eq!(
        fs::read(back.join("covers/picture.jpg")).expect("is there"),
        b"a picture"
    );
    assert_eq!(contents(&back), contents(data.path()));
    let (before, after) = (epochs(data.path()), epochs(&back));
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        assert_eq!(before == after, name == "_house", "{name}");
    }
    assert_eq!(check(&back, true).expect("can be read").faults, [""; 0]);
}

#[tokio::test]
async fn an_interrupted_restore_is_no_data_folder() {
    let data = present().await;
    fs::rename(journal(data.path()), data.path().join("journal.sqlite.partial")).expect("renames");
    let (status, _, said) = ended(hubbub(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data",
        text(data.path()),
    ]));
    assert_eq!(status, Some(1));
    assert!(said.contains("a restore or recovery was interrupted"), "{said}");
}

#[tokio::test]
async fn the_metrics_say_when_the_last_backup_was_made() {
    const METRIC: &str = "hubbub_last_backup_timestamp_seconds";
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut server = Process::start(&[]);
    assert_eq!(server.metric(METRIC).await, 0);
    let begun = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("is later")
        .as_secs();
    run(&[
        "backup",
        text(&folder.path().join("copy")),
        "--data",
        text(server.data()),
    ]);
    // It looks every ten seconds, and at its start.
    server.kill();
    server.restart();
    let told = async { while server.metric(METRIC).await < begun {} };
    timeout(PATIENCE, told).await.expect("it is told");
    assert!(
        !folder.path().join("copy/.last-backup").exists(),
        "the mark is no part of the data"
    );
}

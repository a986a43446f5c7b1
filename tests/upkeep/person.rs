//! Export and erasure of one viewer's data.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use hubbub::config::{Options, Secrets};
use hubbub::journal::sqlite::{self, Sqlite};
use hubbub::protocol::Cursor;
use hubbub::room::{Timestamp, ViewerId};
use hubbub::serve::Serving;
use hubbub::upkeep::{Erased, Problem, Who, check, erase, export, forget};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::present;
use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::process::{Launch, Process, ended, hubbub};

/// libfaketime for programs with threads, where Debian's package puts it; the loader knows what `$LIB` is.
const FAKETIME: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

/// What viewer `n` said, was called and filled in, each as it stands in a winner's or another's data.
fn canaries(n: u32) -> [String; 6] {
    [
        "Name-of",
        "Renamed",
        "Words-of",
        "More-words-of",
        "Contact-of",
        "Street-of",
    ]
    .map(|what| format!("{what}-{n}"))
}

/// How often a text stands in the files of a folder.
fn count(folder: &Path, text: &str) -> usize {
    let files = fs::read_dir(folder)
        .expect("reads")
        .map(|entry| entry.expect("reads").path());
    let bytes = files
        .filter(|path| path.is_file())
        .map(|path| fs::read(path).expect("reads"));
    bytes
        .map(|bytes| {
            bytes
                .windows(text.len())
                .filter(|part| *part == text.as_bytes())
                .count()
        })
        .sum()
}

fn id(n: u128) -> Who {
    Who::Id(ViewerId(n))
}

/// Winners of the draw in the room that has ended.
fn winners(folder: &Path) -> Vec<u128> {
    let contacts = |n| export(folder, &id(n)).expect("is known").rooms[0].contacts.len();
    (1..=6).filter(|n| contacts(*n) > 0).collect()
}

async fn transcript(folder: &TempDir) -> Value {
    let server = Process::start_under(&[], folder.path(), &[]);
    server.get("/rooms/ended/draws/lips/transcript", "").await.is(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_viewer_is_in_no_byte_of_the_data_folder_and_everything_still_verifies() {
    let folder = present().await;
    let before = transcript(&folder).await;
    let winners = winners(folder.path());
    assert_eq!(winners.len(), 2);
    let gone = winners[0] as u32;
    let others: Vec<_> = (1..=6).filter(|n| *n != gone).collect();
    for canary in &canaries(gone)[2..] {
        assert!(count(folder.path(), canary) > 0, "{canary} was there");
    }

    let erased = erase(folder.path(), &id(winners[0])).expect("nobody uses it");
    assert_eq!((erased.rooms, erased.contacts), (2, 1), "{erased:?}");
    for canary in canaries(gone) {
        assert_eq!(count(folder.path(), &canary), 0, "{canary}");
    }
    for other in others {
        for canary in &canaries(other)[2..4] {
            assert!(count(folder.path(), canary) > 0, "{canary} is somebody else's");
        }
    }
    let report = check(folder.path(), true).expect("can be read");
    assert_eq!((report.faults, report.rooms), (Vec::new(), 2));
    let again = erase(folder.path(), &id(winners[0])).expect("once more does no harm");
    let nothing = Erased {
        rooms: 2,
        texts: 0,
        contacts: 0,
    };
    assert_eq!(again, nothing);

    let after = transcript(&folder).await;
    assert_eq!(before, after, "root, seed and winners are what they were");
    let file = folder.path().join("transcript.json");
    fs::write(&file, after.to_string()).expect("writes");
    let (status, said, _) = ended(hubbub(&["verify-draw", file.to_str().expect("text")]));
    assert_eq!(status, Some(0), "{said}");
    for canary in canaries(gone) {
        assert_eq!(count(folder.path(), &canary), 0, "{canary}, after a server ran");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_erases_the_same_and_leaves_no_byte_either() {
    let folder = present().await;
    let before = transcript(&folder).await;
    let gone = winners(folder.path())[0] as u32;
    let mut server = Process::start_under(&[], folder.path(), &["--no-rates"]);
    let path = format!("/viewers/{gone:032x}");
    let export = server.get(&path, &server.operator).await.is(200);
    let (status, said, _) = ended(hubbub(&[
        "export",
        &format!("{gone:032x}"),
        "--data",
        folder.path().to_str().expect("text"),
    ]));
    assert_eq!((status, serde_json::from_str(&said).ok()), (Some(0), Some(export)));

    let erased = server.delete(&path, &server.operator).await.is(200);
    let counts = ["rooms", "contacts", "remains"].map(|of| erased[of].clone());
    assert_eq!(counts, [json!(2), json!(1), json!(false)], "{erased}");
    for run in ["running", "killed", "started again"] {
        for canary in canaries(gone) {
            assert_eq!(count(folder.path(), &canary), 0, "{canary}, {run}");
        }
        for other in (1..=6).filter(|n| *n != gone) {
            for canary in &canaries(other)[2..4] {
                assert!(count(folder.path(), canary) > 0, "{canary} is somebody else's, {run}");
            }
        }
        let report = check(folder.path(), run == "killed").expect("can be read");
        assert_eq!((report.faults, report.rooms), (Vec::new(), 2), "{run}");
        match run {
            "running" => server.kill(),
            "killed" => server.restart(),
            _ => {}
        }
    }
    let after = server.get("/rooms/ended/draws/lips/transcript", "").await.is(200);
    assert_eq!(before, after, "root, seed and winners are what they were");
    let again = server.delete(&path, &server.operator).await.is(200);
    assert_eq!((&again["texts"], &again["contacts"]), (&json!(0), &json!(0)), "{again}");
    let export = server.get(&path, &server.operator).await.is(200);
    assert_eq!(export["rooms"][1]["texts"], Value::Array(Vec::new()));
    assert_ne!(
        export["rooms"][1]["mine"]["claims"],
        Value::Null,
        "what was granted stays"
    );

    fs::create_dir(folder.path().join("damaged-1")).expect("makes");
    let refused = server.delete(&path, &server.operator).await;
    refused.refused(409, "damaged_aside");
    let nobody = format!("/viewers/{:032x}", 99);
    fs::remove_dir(folder.path().join("damaged-1")).expect("removes");
    server
        .delete(&nobody, &server.operator)
        .await
        .refused(404, "unknown_viewer");
    server
        .get(&nobody, &server.operator)
        .await
        .refused(404, "unknown_viewer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewers_data_is_exported_whole_and_is_nobody_elses() {
    let server = {
        let folder = present().await;
        let data = folder.keep();
        Process::start_under(&[], &data, &[])
    };
    let data = server.data().to_str().expect("text").to_owned();
    let (status, said, problem) = ended(hubbub(&["export", "live/3", "--data", &data]));
    assert_eq!(status, Some(0), "{problem}");
    for canary in &canaries(3)[..4] {
        assert!(said.contains(&format!("{canary}\"")), "{canary} is not in {said}");
    }
    for other in [1, 2, 4, 5, 6] {
        for canary in canaries(other) {
            assert!(!said.contains(&canary), "{canary} is somebody else's");
        }
    }
    let export: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(export["viewer"], "00000000000000000000000000000003");
    assert_eq!(export["rooms"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        export["rooms"][1]["mine"]["claims"].as_array().map(Vec::len),
        Some(2),
        "{said}"
    );

    let (status, _, said) = ended(hubbub(&["erase", "live/3", "--data", &data]));
    assert_eq!(status, Some(1));
    assert!(said.contains("is in use by another process"), "{said}");
    for who in ["live/99", "00000000000000000000000000000099"] {
        let (status, _, said) = ended(hubbub(&["export", who, "--data", &data]));
        assert_eq!((status, said.trim()), (Some(1), "hubbub: no room knows this viewer"));
    }
    assert_eq!(ended(hubbub(&["export", "somebody", "--data", &data])).0, Some(64));
    drop(server);
    fs::remove_dir_all(data).expect("removes");
}

/// When the room that has ended did.
const ENDED: u64 = 1_795_349_913_492;

#[tokio::test(flavor = "multi_thread")]
async fn a_show_that_ended_long_ago_keeps_its_results_and_nobodys_names() {
    let folder = present().await;
    let before = transcript(&folder).await;
    assert_eq!(
        forget(folder.path(), Timestamp(ENDED)).expect("can be read"),
        Erased::default()
    );
    let data = folder.path().to_str().expect("text");
    let (status, _, said) = ended(hubbub(&["forget", "--ended-days", "0", "--data", data]));
    assert_eq!(status, Some(64), "{said}");

    let erased = forget(folder.path(), Timestamp(ENDED + 1)).expect("nobody uses it");
    assert_eq!((erased.rooms, erased.contacts), (1, 2), "{erased:?}");
    for n in 1..=6 {
        for gone in &canaries(n)[4..] {
            assert_eq!(count(folder.path(), gone), 0, "{gone}");
        }
        let words = &canaries(n)[2];
        let of = export(folder.path(), &id(n.into())).expect("is known").rooms;
        assert!(of[0].texts.is_empty() && of[0].contacts.is_empty(), "{words}");
        assert!(
            of[1].texts.iter().any(|text| text.text == *words),
            "the other show goes on"
        );
        assert!(!of[0].mine.claims.is_empty(), "what was granted stays");
    }
    assert_eq!(check(folder.path(), true).expect("can be read").faults, [""; 0]);
    assert_eq!(transcript(&folder).await, before);
    let server = Process::start_under(&[], folder.path(), &[]);
    for path in [
        "/rooms/ended/draws/lips/winners.csv",
        "/rooms/ended/discounts/made/claims",
    ] {
        server.get(path, &server.operator).await.text(200);
    }
    let summary = server.get("/rooms/ended", "").await.is(200);
    assert_eq!(summary["show"]["state"], "ended", "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_forgets_who_was_at_shows_that_ended_long_ago() {
    let folder = present().await;
    let before = transcript(&folder).await;
    let launch = Launch::new(&["--forget-ended-days", "1"])
        .with_variable("LD_PRELOAD", FAKETIME)
        .with_variable("FAKETIME", "@2026-12-01 00:00:00")
        .with_variable("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let (mut server, serves) = Process::try_launch(folder, launch);
    assert!(serves, "{}", server.said());
    let forgotten = "hubbub_shows_forgotten_total";
    server.until_metric(forgotten, PATIENCE, |shows| shows == 1).await;
    server.until_said("names, texts and contact details were taken out of a show");
    let swept = Instant::now();
    while server.data().join("journal.unswept").exists() {
        assert!(swept.elapsed() < PATIENCE, "it is not swept");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let data = server.data().to_owned();
    for run in ["running", "killed", "started again"] {
        for n in 1..=6 {
            for gone in &canaries(n)[4..] {
                assert_eq!(count(&data, gone), 0, "{gone}, {run}");
            }
            let of = export(&data, &id(n.into())).expect("is known").rooms;
            assert!(of[0].texts.is_empty() && of[0].contacts.is_empty(), "{of:?}, {run}");
            assert!(!of[0].mine.claims.is_empty(), "what was granted stays");
            let words = &canaries(n)[2];
            let goes_on = of[1].texts.iter().any(|text| text.text == *words);
            assert!(goes_on, "{words}, {run}: the other show goes on");
        }
        assert_eq!(
            check(&data, run == "killed").expect("can be read").faults,
            [""; 0],
            "{run}"
        );
        match run {
            "running" => server.kill(),
            "killed" => server.restart(),
            _ => {}
        }
    }
    assert_eq!(
        server.get("/rooms/ended/draws/lips/transcript", "").await.is(200),
        before
    );
    let csv = server
        .get("/rooms/ended/draws/lips/winners.csv", &server.operator)
        .await;
    csv.text(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_on_the_page_of_a_show_that_is_forgotten_stays_and_is_shown_no_names() {
    let folder = present().await;
    let options = Options {
        listen: Some(([127, 0, 0, 1], 0).into()),
        data: Some(folder.path().to_owned()),
        ..Options::default()
    };
    let config = options.check(Secrets::default()).expect("it is good");
    let serving = Serving::start(config).await.expect("starts");
    let hub = &serving.app.hub;
    let mut visitor = Client::viewer(serving.address, "ended", "Visitor").await;
    let keyframe = format!("{:?}", visitor.keyframe);
    assert!(keyframe.contains(&canaries(1)[2]), "{keyframe}");
    let shows = hub.ended_before(Timestamp(ENDED + 1));
    let [(show, _)] = &shows[..] else {
        panic!("one has ended: {shows:?}")
    };
    let (erased, head) = hub.forget_show(show, 0).await.expect("the journal takes it");
    assert_eq!(erased.contacts, 2, "{erased:?}");
    let (again, _) = hub.forget_show(show, head).await.expect("once more does no harm");
    assert_eq!(again.contacts, 0);
    let refused = visitor.ask("comment", json!({"nonce": "1", "text": "hello?"})).await;
    assert_eq!(
        refused.map_err(|problem| problem.code),
        Err("ended".to_owned()),
        "it is connected"
    );
    let cursor = Cursor {
        epoch: visitor.cursor.epoch,
        offset: 1,
    };
    for hello in [
        json!({"name": "New"}),
        json!({"token": visitor.token(), "cursor": cursor}),
    ] {
        let mut client = Client::join(serving.address, "ended", hello).await.expect("comes in");
        // The keyframe, or the deltas since.
        let shown = format!("{:?}", client.next().await.expect("it is open"));
        for n in 1..=6 {
            for canary in canaries(n) {
                assert!(!shown.contains(&canary), "{canary}: {shown}");
            }
        }
    }
    serving.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_a_recovery_set_aside_must_go_before_anybody_can_be_erased() {
    let folder = present().await;
    fs::create_dir(folder.path().join("damaged-1")).expect("makes");
    let refused = erase(folder.path(), &id(1));
    assert!(matches!(refused, Err(Problem::DamagedAside { .. })), "{refused:?}");
    let journal = Sqlite::open(folder.path(), sqlite::Options::default()).expect("it is given back");
    hubbub::journal::Journal::close(&journal).await;
}

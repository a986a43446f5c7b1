//! Journals of older and newer formats.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use hubbub::upkeep::check;
use serde_json::json;

use crate::support::process::{Process, ended, hubbub, hubbub_under};
use crate::{contents, journal, older, present};

fn format(folder: &std::path::Path) -> u32 {
    let db = rusqlite::Connection::open(journal(folder)).expect("opens");
    db.pragma_query_value(None, "user_version", |row| row.get(0))
        .expect("is there")
}

#[tokio::test]
async fn a_journal_of_the_first_format_opens_with_all_that_it_holds() {
    let (before, after) = (older(), present().await);
    assert_eq!((format(before.path()), format(after.path())), (1, 2));
    assert_eq!(contents(before.path()), contents(after.path()));
    for folder in [before, after] {
        let report = check(folder.path(), true).expect("can be read");
        assert_eq!(report.faults, [""; 0]);
        assert_eq!((report.rooms, report.snapshots), (2, 2));
    }
    assert_eq!(format(older().path()), 1, "a check leaves it as it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_show_of_the_first_format_goes_on() {
    let folder = older();
    let server = Process::start_under(&[], folder.path(), &[]);
    let room = server.get("/rooms/live", "").await.is(200);
    assert_eq!(room["show"]["state"], "live", "{room}");
    let winners = server
        .get("/rooms/ended/draws/lips/winners", &server.operator)
        .await
        .is(200);
    assert_eq!(winners["winners"].as_array().map(Vec::len), Some(2));
    assert!(winners["winners"][0]["contact"]["address"].is_string(), "{winners}");
    let terms = json!({"prize": "Lipstick", "winners": 1, "open_ms": 60_000, "eligibility": {"present": {}}});
    server
        .put("/rooms/live/draws/next", &server.operator, terms)
        .await
        .is(200);
}

/// Kills it at its n-th write to the journal, and says whether it came to serve before that.
fn served_until_write(n: u32, folder: &std::path::Path) -> bool {
    let inject = format!("inject=pwrite64,ftruncate,fdatasync:signal=SIGKILL:when={n}");
    let strace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", &inject].map(str::to_owned);
    let listen = ["serve", "--listen", "127.0.0.1:0", "--log", "json", "--data"];
    let mut child = hubbub_under(&strace, &listen)
        .arg(folder)
        .stderr(Stdio::piped())
        .spawn()
        .expect("strace runs");
    let lines = BufReader::new(child.stderr.take().expect("was piped")).lines();
    let served = lines
        .map_while(Result::ok)
        .any(|line| line.contains("\"message\":\"serving\""));
    // It fails only if it has ended already.
    let _ = child.kill();
    child.wait().expect("it has ended");
    served
}

#[tokio::test]
async fn a_kill_at_any_write_of_the_upgrade_leaves_a_whole_journal() {
    let expected = contents(older().path());
    let (mut n, mut formats) = (1, Vec::new());
    loop {
        let folder = older();
        let served = served_until_write(n, folder.path());
        let report = check(folder.path(), true).expect("can be read");
        assert_eq!(report.faults, [""; 0], "killed at write {n}");
        formats.push(format(folder.path()));
        if served {
            break;
        }
        assert_eq!(contents(folder.path()), expected, "killed at write {n}");
        n += 1 + n / 6;
    }
    assert!(
        formats.is_sorted() && formats[0] == 1 && formats.ends_with(&[2]),
        "{formats:?}"
    );
}

#[tokio::test]
async fn a_newer_format_is_refused_with_a_sentence_and_a_status() {
    let folder = present().await;
    let db = rusqlite::Connection::open(journal(folder.path())).expect("opens");
    db.pragma_update(None, "user_version", 3).expect("writes");
    drop(db);
    let before = std::fs::read(journal(folder.path())).expect("reads");
    let data = folder.path().to_str().expect("text");
    let copy = folder.path().join("copy");
    let copy = copy.to_str().expect("text");
    for arguments in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["check"],
        &["recover"],
        &["backup", copy],
    ] {
        let (status, _, said) = ended(hubbub(&[arguments, &["--data", data]].concat()));
        assert_eq!(status, Some(1), "{arguments:?}: {said}");
        let sentence =
            "hubbub: the journal's format is 3, this program reads up to 2: use the newer program that wrote it";
        assert_eq!(said.lines().last(), Some(sentence), "{arguments:?}");
    }
    assert_eq!(std::fs::read(journal(folder.path())).expect("reads"), before);
}

//! A wall clock that is wrong, stands still or jumps.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use hubbub::journal::Journal;
use hubbub::journal::sqlite::{Options, Sqlite};
use hubbub::room::Timestamp;
use tokio::time::sleep;

use crate::support::history;
use crate::support::process::{Launch, Process};
use crate::support::sale::{Asker, holders, offer};
use crate::trial::{Figures, Need, Scale, Trial, Value};

pub(crate) const TRIAL: Trial = Trial {
    name: "clock",
    what: "a sale in each hour of a wall clock that is wrong, jumps, steps back and stands still",
    needs: &[Need::Program("faketime", "faketime")],
    quick: Ok(()),
    minutes: 10,
    run: |scale| Box::pin(run(scale)),
};

/// libfaketime for programs with threads, where Debian's package puts it; the loader knows what `$LIB` is.
const LIBRARY: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

/// What the wall clock does: while the server runs, or before it starts again. libfaketime's words.
const STEPS: [(&str, bool); 7] = [
    ("+1h", false),
    ("-1h", false),
    ("+0", true),
    ("+1h", true),
    ("-1h", true),
    ("2026-01-01 00:00:00", true),
    ("2026-01-01 00:00:00", false),
];

async fn run(scale: Scale) -> Figures {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let hand = folder.path().join("hand");
    fs::write(&hand, "+0").expect("writes");
    // Only the wall clock: no kernel lets the monotonic one jump.
    let launch = Launch::new(&["--no-rates"])
        .with_variable("LD_PRELOAD", LIBRARY)
        .with_variable("FAKETIME_TIMESTAMP_FILE", &hand.display().to_string())
        .with_variable("FAKETIME_NO_CACHE", "1")
        .with_variable("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let mut server = Process::launch(launch);
    server.live_room("sale").await;
    let askers = scale.of(200, 20);
    let quota = askers / 2;
    let (mut busiest, mut claims, mut refused) = (0.0_f64, 0, 0);
    for (n, (time, running)) in STEPS.into_iter().enumerate() {
        fs::write(&hand, time).expect("writes");
        if !running {
            let (before, operator) = (seen(&server).await, server.operator.clone());
            server.kill();
            server.restart();
            assert_eq!(seen(&server).await, before, "the same room after a start at {time}");
            refused += usize::from(!signs_in(&server).await);
            // Beyond a day the wall clock is followed, and older tokens are of a time to come.
            let followed = server.said().contains("more than a day ahead of the wall clock");
            assert_eq!(followed, time.starts_with("2026"), "{}", server.said());
            let is_good = server.get("/me", &operator).await.status == 200;
            assert_eq!(is_good, !followed, "a token made before the start at {time}");
        }
        let discount = format!("d{n}");
        offer(&server, &discount, quota).await;
        let mut history = Vec::new();
        for number in 0..askers {
            let mut asker = Asker::new(server.address, number).await;
            history.push(asker.claim(&discount).await);
        }
        history::check(quota, &history).unwrap_or_else(|violation| panic!("at {time}: {violation}"));
        assert_eq!(holders(&server, &discount).await.len(), quota, "at {time}");
        claims += history.len();
        let window = scale.time(3_000, 300);
        let cpu = server.cpu();
        sleep(window).await;
        busiest = busiest.max((server.cpu() - cpu).as_secs_f64() / window.as_secs_f64());
        server
            .post(
                &format!("/rooms/sale/discounts/{discount}/close"),
                &server.operator,
                serde_json::json!({}),
            )
            .await
            .is(200);
    }
    server.kill();
    let (backwards, newest) = times(server.data()).await;
    let today = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_millis() as u64;
    assert!(
        newest.0 > today + 59 * 60_000,
        "the server saw nothing of its wall clock"
    );

    let mut figures = Figures::new(&scale);
    figures.exactly(
        "positions of the wall clock, nothing oversold",
        STEPS.len(),
        STEPS.len(),
    );
    figures.note("claims", claims);
    figures.exactly("sign-in links refused after a start", refused, 0_usize);
    figures.exactly(
        "batches of the journal before their predecessor's time",
        backwards,
        0_usize,
    );
    figures.at_most(
        "CPU with nothing to do, most",
        Value::Percent(100.0 * busiest),
        Value::Percent(20.0),
    );
    figures
}

/// Whether a sign-in link made on the command line is good.
async fn signs_in(server: &Process) -> bool {
    let link = server.command_line(&["token", "operator", "--link"]);
    let (_, code) = link.split_once("#sign-in=").expect("a link");
    let told = server.post("/sign-in", "", serde_json::json!({ "code": code })).await;
    told.status == 200
}

/// What the staff sees of the room's discounts and their claims.
async fn seen(server: &Process) -> String {
    let discounts = server.get("/rooms/sale/discounts", &server.operator).await.is(200);
    discounts.to_string()
}

/// How many batches have a time before that of the batch before them, and the newest time.
async fn times(data: &Path) -> (usize, Timestamp) {
    let journal = Sqlite::open(data, Options::default()).expect("it was killed, and recovers");
    let (mut head, mut newest, mut back) = (0, Timestamp(0), 0);
    loop {
        let records = journal.read("sale", head, 1 << 20).await.expect("it is sound");
        let Some(last) = records.last() else { break };
        head = last.last();
        for record in &records {
            back += usize::from(record.at < newest);
            newest = newest.max(record.at);
        }
    }
    journal.close().await;
    (back, newest)
}

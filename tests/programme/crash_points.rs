//! A script of claims, killed at its first write, at its second, and so on; and at each sync.

use std::path::Path;
use std::time::Instant;

use tempfile::TempDir;

use crate::support::history::{self, Claim, Told};
use crate::support::process::{Launch, Process};
use crate::support::sale::{Asker, holders, offer};
use crate::trial::{Figures, Need, Scale, Trial};

pub(crate) const TRIAL: Trial = Trial {
    name: "crash-points",
    what: "a script of claims, killed at the n-th write or sync of the journal's files, for every n",
    needs: &[Need::Program("strace", "strace")],
    quick: Ok(()),
    minutes: 60,
    run: |scale| Box::pin(run(scale)),
};

/// What the journal does to its files. A kill falls before the call is carried out.
const CALLS: [&str; 2] = ["write,pwrite64", "fdatasync,fsync"];

async fn run(scale: Scale) -> Figures {
    let quota = scale.of(50, 5);
    // Some find nothing left.
    let claims = quota + quota.div_ceil(5);
    let begun = Process::start(&["--no-rates"]);
    begun.live_room("sale").await;
    offer(&begun, "few", quota).await;
    let mut figures = Figures::new(&scale);
    figures.note("claims in the script", claims);
    figures.note("codes that they take", quota);
    for calls in CALLS {
        let mut points = 0;
        // The quick form tries a few; the first ones fall into the opening of the journal.
        let step = if scale.long { 1 } else { 6 };
        for n in (1..).step_by(step) {
            let data = begun.copy_data();
            let killed = script(data, calls, n, claims, quota).await;
            points += u64::from(killed);
            if !killed || (!scale.long && points == 2) {
                break;
            }
        }
        figures.at_least(
            &format!("killed at a {calls}, nothing lost"),
            points,
            if scale.long { quota } else { 1 },
        );
    }
    figures
}

/// Plays the script with a kill at the n-th of these calls. Whether the script came so far.
async fn script(data: TempDir, calls: &str, n: usize, claims: usize, quota: usize) -> bool {
    let launch = Launch::new(&["--no-rates"]);
    let under = killed_at(calls, n, data.path());
    let (mut server, serves) = Process::try_launch(data, launch.clone().under(&under));
    let mut askers = Vec::new();
    let mut history: Vec<Claim<Instant>> = Vec::new();
    if serves {
        for number in 0..claims {
            let Ok(mut asker) = Asker::try_new(server.address, number).await else {
                break;
            };
            history.push(asker.claim("few").await);
            askers.push(asker);
        }
    }
    let survived = history.len() == claims && history.iter().all(|claim| claim.answer.is_some());
    if survived {
        return false;
    }
    server.relaunch(launch);
    let kept = holders(&server, "few").await;
    for claim in &history {
        if let Some((_, Told::Code(code))) = &claim.answer {
            assert!(kept.contains(code), "killed at {calls} {n}: {code} is lost: {kept:?}");
        }
    }
    for asker in &mut askers {
        asker.back(server.address).await;
        history.push(asker.claim("few").await);
    }
    history::check(quota, &history)
        .unwrap_or_else(|violation| panic!("killed at {calls} {n}: {violation}: {history:#?}"));
    true
}

/// What the server runs under to be killed at the n-th of these calls on the journal's files. The tracer stands
/// aside: the server stays this process's child.
fn killed_at(calls: &str, n: usize, data: &Path) -> Vec<String> {
    let inject = format!("inject={calls}:signal=SIGKILL:when={n}");
    let mut words = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", &inject]
        .map(str::to_owned)
        .to_vec();
    for file in ["journal.sqlite", "journal.sqlite-wal"] {
        words.extend(["-P".to_owned(), data.join(file).display().to_string()]);
    }
    words
}

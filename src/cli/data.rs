//! `hubbub backup`, `restore`, `check`, `recover`, `export`, `erase` and `forget`.

use std::path::{Path, PathBuf};

use jiff::Timestamp as Moment;

use super::{Configured, Failure, write_out};
use crate::clock::Clock;
use crate::journal::HOUSE;
use crate::journal::sqlite::{OpenError, take_folder};
use crate::room::Timestamp;
use crate::upkeep::{self, Erased, Kept, Who};

pub(super) fn back_up(to: &Path, configured: Configured) -> Result<(), Failure> {
    let data = configured.read()?.data;
    let backup = upkeep::back_up(&data, to).map_err(Failure::other)?;
    if let Err(problem) = upkeep::note_backup(&data) {
        eprintln!("hubbub: the backup is made, but the server's metrics do not know of it: {problem}");
    }
    write_out(&format!(
        "{} and {} are in {}\n{}\n",
        counted(backup.rooms, "room"),
        counted(backup.files, "file"),
        to.display(),
        secret(backup.secret, to)
    ))
}

pub(super) fn restore(from: &Path, configured: Configured) -> Result<(), Failure> {
    let data = configured.read()?.data;
    let restored = upkeep::restore(from, &data).map_err(Failure::other)?;
    write_out(&format!(
        "{}{} is restored from {}\n\
         What was done later is gone: codes that were granted are unknown, and of a list may be granted again;\n\
         devices that were revoked are signed in: revoke them again. Every room has begun a new epoch.\n{}\n",
        lines(&restored.rooms),
        data.display(),
        from.display(),
        secret(restored.secret, &data)
    ))
}

pub(super) fn check(folder: Option<PathBuf>, configured: Configured) -> Result<(), Failure> {
    let folder = folder.map_or_else(|| configured.read().map(|config| config.data), Ok)?;
    // A server may use it; what it has committed can be checked all the same. A backup has no lock.
    let lock = folder.join("journal.lock").exists().then(|| take_folder(&folder));
    let in_use = matches!(lock, Some(Err(OpenError::Taken { .. })));
    let report = upkeep::check(&folder, !in_use).map_err(Failure::other)?;
    let faults: String = report.faults.iter().map(|fault| format!("{fault}\n")).collect();
    write_out(&faults)?;
    match report.faults.len() {
        0 => write_out(&format!(
            "sound: {}, {} replayed, {} compared\n",
            counted(report.rooms, "room"),
            counted(report.events as usize, "event"),
            counted(report.snapshots, "snapshot")
        )),
        count => Err(Failure::Other(format!(
            "{}: {}",
            folder.display(),
            counted(count, "fault")
        ))),
    }
}

/// A number of things that end with an s where there are several.
fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

pub(super) fn recover(configured: Configured) -> Result<(), Failure> {
    let data = configured.read()?.data;
    let recovered = upkeep::recover(&data).map_err(Failure::other)?;
    write_out(&format!(
        "{}Every room has begun a new epoch. What was damaged is in {}\n",
        lines(&recovered.streams),
        recovered.aside.display()
    ))
}

pub(super) fn export(who: &Who, configured: Configured) -> Result<(), Failure> {
    let data = configured.read()?.data;
    let export = upkeep::export(&data, who).map_err(Failure::other)?;
    let text = serde_json::to_string_pretty(&export).map_err(Failure::other)?;
    write_out(&format!("{text}\n"))
}

pub(super) fn erase(who: &Who, configured: Configured) -> Result<(), Failure> {
    let data = configured.read()?.data;
    say_erased(upkeep::erase(&data, who).map_err(Failure::other)?)
}

pub(super) fn forget(ended_days: u32, configured: Configured) -> Result<(), Failure> {
    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
    let data = configured.read()?.data;
    let now = Clock::start().now();
    let before = Timestamp(now.0.saturating_sub(u64::from(ended_days) * DAY_MS));
    say_erased(upkeep::forget(&data, before).map_err(Failure::other)?)
}

fn say_erased(erased: Erased) -> Result<(), Failure> {
    write_out(&format!(
        "erased from {} rooms: {} names and texts, {} contact details\nBackups hold them still, and browsers what they have shown.\n",
        erased.rooms, erased.texts, erased.contacts
    ))
}

fn lines(kept: &[Kept]) -> String {
    kept.iter().map(|kept| format!("{}\n", on(kept))).collect()
}

/// Where a stream goes on, and what is missing.
fn on(kept: &Kept) -> String {
    let name = if kept.stream == HOUSE {
        "operators' devices"
    } else {
        &kept.stream
    };
    let mut line = match kept.head {
        0 => format!("{name}: nothing was sound, it is gone"),
        head => format!("{name}: goes on after offset {head} of {}", moment(kept.at)),
    };
    if let Some(reason) = &kept.cut {
        line += &format!("; what came later is lost ({reason})");
    }
    if kept.emptied > 0 {
        line += &format!("; {} names and texts were damaged and are empty", kept.emptied);
    }
    if kept.contacts_lost > 0 {
        line += &format!(
            "; contact details of {} winners were damaged and are gone",
            kept.contacts_lost
        );
    }
    line
}

fn moment(at: Timestamp) -> String {
    let moment = i64::try_from(at.0)
        .ok()
        .and_then(|at| Moment::from_millisecond(at).ok());
    moment.map_or_else(|| format!("{} ms", at.0), |moment| moment.to_string())
}

fn secret(there: bool, folder: &Path) -> String {
    if there {
        format!("the secret that signs tokens is in {}: keep it safe", folder.display())
    } else {
        "the secret that signs tokens is not in it: keep the one of --secret-file or HUBBUB_SECRET".to_owned()
    }
}

//! `hubbub backup`, `restore`, `check` and `recover`.

use std::path::{Path, PathBuf};

use jiff::Timestamp as Moment;

use super::{Configured, Failure};
use crate::journal::HOUSE;
use crate::journal::sqlite::{OpenError, take_folder};
use crate::room::Timestamp;
use crate::upkeep::{self, Kept};

pub(super) fn back_up(to: &Path, configured: Configured) -> Result<(), Failure> {
    let data = configured.read()?.data;
    let backup = upkeep::back_up(&data, to).map_err(Failure::other)?;
    println!(
        "{} rooms and {} files are in {}",
        backup.rooms,
        backup.files,
        to.display()
    );
    println!("{}", secret(backup.secret, to));
    Ok(())
}

pub(super) fn restore(from: &Path, configured: Configured) -> Result<(), Failure> {
    let data = configured.read()?.data;
    let restored = upkeep::restore(from, &data).map_err(Failure::other)?;
    for kept in &restored.rooms {
        println!("{}", on(kept));
    }
    println!("{} is restored from {}", data.display(), from.display());
    println!("What was done later is gone: codes that were granted are unknown, and of a list may be granted again;");
    println!("devices that were revoked are signed in: revoke them again. Every room has begun a new epoch.");
    println!("{}", secret(restored.secret, &data));
    Ok(())
}

pub(super) fn check(folder: Option<PathBuf>, configured: Configured) -> Result<(), Failure> {
    let folder = folder.map_or_else(|| configured.read().map(|config| config.data), Ok)?;
    // A server may use it; what it has committed can be checked all the same. A backup has no lock.
    let lock = folder.join("journal.lock").exists().then(|| take_folder(&folder));
    let in_use = matches!(lock, Some(Err(OpenError::Taken { .. })));
    let report = upkeep::check(&folder, !in_use).map_err(Failure::other)?;
    report.faults.iter().for_each(|fault| println!("{fault}"));
    match report.faults.len() {
        0 => {
            println!(
                "sound: {} rooms, {} events replayed, {} snapshots compared",
                report.rooms, report.events, report.snapshots
            );
            Ok(())
        }
        count => Err(Failure::Other(format!("{}: {count} faults", folder.display()))),
    }
}

pub(super) fn recover(configured: Configured) -> Result<(), Failure> {
    let data = configured.read()?.data;
    let recovered = upkeep::recover(&data).map_err(Failure::other)?;
    for kept in &recovered.streams {
        println!("{}", on(kept));
    }
    println!(
        "Every room has begun a new epoch. What was damaged is in {}",
        recovered.aside.display()
    );
    Ok(())
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

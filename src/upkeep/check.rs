//! Is a journal as it was written, and does it say what its rooms are?

use std::path::Path;

use crate::house::House;
use crate::hub::record;
use crate::journal::sqlite::{JournalFile, Stream};
use crate::journal::{HOUSE, ReadError, Snapshot};
use crate::room::{Room, RoomId, SNAPSHOT_VERSION};

use super::Problem;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One sentence for each fault; none: the journal is sound.
    pub faults: Vec<String>,
    /// Rooms.
    pub rooms: usize,
    /// Events that were replayed.
    pub events: u64,
    /// Snapshots that were compared with the replay at their place.
    pub snapshots: usize,
}

/// Verifies the journal in a folder: what SQLite can check; every record's checksum, form and place; every room's
/// replay; snapshots against it; the catalogue; contact details. It changes nothing, and sees the journal as it is
/// at one moment, also while a server uses it. `at_rest`: none does, so that the write-ahead log is looked at too.
///
/// # Errors
///
/// The file cannot be read at all; what is wrong inside of it is a fault of the report.
pub fn check(folder: &Path, at_rest: bool) -> Result<Report, Problem> {
    let file = JournalFile::open(folder, at_rest)?;
    let mut report = Report::default();
    for fault in file.faults()? {
        report.faults.push(format!("SQLite: {fault}"));
    }
    for stream in file.streams()? {
        let outcome = if stream.name == HOUSE {
            check_house(&file, &stream, &mut report)
        } else {
            report.rooms += 1;
            check_room(&file, &stream, &mut report)
        };
        if let Err(error) = outcome {
            report.faults.push(fault(&error));
        }
    }
    Ok(report)
}

/// A fault without the advice that follows it elsewhere.
fn fault(error: &ReadError) -> String {
    match error {
        ReadError::Damaged { stream, offset, reason } => format!("{stream}, offset {offset}: {reason}"),
        other => other.to_string(),
    }
}

fn check_house(file: &JournalFile, stream: &Stream, report: &mut Report) -> Result<(), ReadError> {
    let mut house = House::default();
    file.walk(stream, &mut |record| {
        report.events += u64::from(record.count);
        house.fold(&record)
    })
}

fn check_room(file: &JournalFile, stream: &Stream, report: &mut Report) -> Result<(), ReadError> {
    let Some(id) = RoomId::new(&stream.name) else {
        report.faults.push(format!("{}: this is no room's name", stream.name));
        return Ok(());
    };
    let snapshot = match file.snapshot(stream)? {
        Some((_, false)) => {
            report.faults.push(format!(
                "{}: its snapshot is damaged (the server ignores it)",
                stream.name
            ));
            None
        }
        Some((snapshot, true)) => {
            // Others are ignored by the server: made by another version, or in an earlier epoch.
            Some(snapshot).filter(|snapshot| snapshot.version == SNAPSHOT_VERSION && snapshot.epoch == stream.epoch)
        }
        None => None,
    };
    let mut room = Room::new(id);
    let mut compared = false;
    let walked = file.walk(stream, &mut |record| {
        record::replay(&mut room, &record)?;
        report.events += u64::from(record.count);
        if let Some(snapshot) = snapshot.as_ref().filter(|snapshot| snapshot.offset == room.head) {
            compared = true;
            report.snapshots += 1;
            if !is_same(snapshot, &room) {
                let offset = snapshot.offset;
                report.faults.push(format!(
                    "{}, offset {offset}: the snapshot is not what the log makes of it",
                    stream.name
                ));
            }
        }
        Ok(())
    });
    if walked.is_ok() && snapshot.is_some() && !compared {
        report
            .faults
            .push(format!("{}: its snapshot stands between two batches", stream.name));
    }
    match file.row(stream)? {
        None => report
            .faults
            .push(format!("{}: it has no row in the catalogue", stream.name)),
        Some((_, false)) => report
            .faults
            .push(format!("{}: its row in the catalogue is damaged", stream.name)),
        Some((row, true)) if walked.is_ok() && room.head != row.head => {
            report
                .faults
                .push(format!("{}: the catalogue has its head at {}", stream.name, row.head));
        }
        Some(_) => {}
    }
    for (key, _, intact) in file.contacts(stream)? {
        if !intact {
            report
                .faults
                .push(format!("{}: the contact details {key} are damaged", stream.name));
        }
    }
    walked
}

fn is_same(snapshot: &Snapshot, room: &Room) -> bool {
    serde_json::from_slice::<Room>(&snapshot.state).is_ok_and(|stored| stored == *room)
}

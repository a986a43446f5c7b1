//! Keeping what is sound of a damaged journal.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::Problem;
use super::files::{self, ASIDE, at, copy_file, make_folder};
use crate::clock::Clock;
use crate::house::House;
use crate::hub::{record, registry};
use crate::journal::sqlite::{FILE, JournalFile, NewJournal, OpenError, PARTIAL, Stream, take_folder};
use crate::journal::{CatalogueRow, HOUSE, ReadError, Record};
use crate::room::{Offset, Room, RoomId, Timestamp};

/// What was kept of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub stream: String,
    /// It goes on after this offset; 0: nothing was kept, and it is gone.
    pub head: Offset,
    /// When that was decided, Unix ms.
    pub at: Timestamp,
    /// Why it ends there, if it had more.
    pub cut: Option<String>,
    /// Names and texts that were damaged, and read as empty now.
    pub emptied: usize,
    /// Contact details that were damaged, and are gone.
    pub contacts_lost: usize,
}

/// What was kept of a damaged journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Of each stream, the house among them.
    pub streams: Vec<Kept>,
    /// Where the damaged files are now.
    pub aside: PathBuf,
}

/// Replaces the journal of a data folder by what is sound of it: of each room the longest part from its beginning that
/// is as it was written. Every room begins a new epoch. The damaged files stay, in a folder beside.
///
/// # Errors
///
/// See [`Problem`]; nothing is changed unless all could be done.
pub fn recover(data: &Path) -> Result<Recovered, Problem> {
    if !data.join(FILE).exists() {
        return Err(Problem::NoJournal {
            folder: data.to_owned(),
        });
    }
    let _lock = take_folder(data)?;
    let aside = set_aside(data)?;
    let damaged = aside.join(FILE);
    let was_cut = fill_up(&damaged).map_err(at(&damaged))?;
    let rebuilt = legible(&damaged).and_then(|file| {
        let new = NewJournal::begin(data)?;
        let streams = rebuild(&file, &new)?;
        Ok((streams, new.end()?))
    });
    if let Some(length) = was_cut {
        File::options()
            .write(true)
            .open(&damaged)
            .and_then(|file| file.set_len(length))
            .map_err(at(&damaged))?;
    }
    if rebuilt.is_err() && !data.join(PARTIAL).exists() {
        // The journal stands where it stood: it need not be there twice.
        fs::remove_dir_all(&aside).map_err(at(&aside))?;
    }
    let (streams, whole) = rebuilt?;
    // They belong to the old file, and would be taken for the new one's.
    for suffix in ["-wal", "-shm"] {
        let path = data.join(format!("{FILE}{suffix}"));
        if path.exists() {
            fs::remove_file(&path).map_err(at(&path))?;
        }
    }
    whole.finish()?;
    Ok(Recovered { streams, aside })
}

/// The damaged journal, if it can be read that far.
fn legible(damaged: &Path) -> Result<JournalFile, Problem> {
    let nothing = |reason: String| Problem::NothingSound { reason };
    let file = JournalFile::open_with_any_log(damaged).map_err(|error| match error {
        OpenError::Damaged { reason, .. } => nothing(reason),
        other => other.into(),
    })?;
    file.streams().map_err(|error| nothing(error.to_string()))?;
    Ok(file)
}

/// Gives a file that was cut the length that its header names, with zeros, since SQLite reads none that is shorter.
/// What length it had.
fn fill_up(file: &Path) -> io::Result<Option<u64>> {
    let mut header = [0; 32];
    let opened = File::options().read(true).write(true).open(file)?;
    let length = opened.metadata()?.len();
    if length < header.len() as u64 {
        return Ok(None);
    }
    opened.read_exact_at(&mut header, 0)?;
    // Page size and pages of the file (https://sqlite.org/fileformat2.html#the_database_header); a size of 65,536
    // does not fit there, and is none that a journal has.
    let page = u64::from(u16::from_be_bytes([header[16], header[17]]));
    let pages = u64::from(u32::from_be_bytes([header[28], header[29], header[30], header[31]]));
    let is_cut = header.starts_with(b"SQLite format 3\0") && page * pages > length;
    if is_cut {
        opened.set_len(page * pages)?;
    }
    Ok(is_cut.then_some(length))
}

/// Copies the damaged files before anything is done; what an interrupted recovery has set aside is used again, since
/// what it left in place may no longer be all.
fn set_aside(data: &Path) -> Result<PathBuf, Problem> {
    let interrupted = data.join(PARTIAL).exists();
    if let Some(last) = files::set_aside(data)?.pop().filter(|_| interrupted) {
        return Ok(last);
    }
    let aside = data.join(format!("{ASIDE}{}", Clock::start().now().0));
    make_folder(&aside)?;
    for name in [FILE.to_owned(), format!("{FILE}-wal")] {
        if data.join(&name).exists() {
            copy_file(&data.join(&name), &aside.join(&name))?;
        }
    }
    Ok(aside)
}

/// Writes what is sound of each stream into a new journal, rooms under a new epoch.
pub(super) fn rebuild(file: &JournalFile, new: &NewJournal) -> Result<Vec<Kept>, Problem> {
    let mut all = Vec::new();
    for stream in file.streams()? {
        let mut kept = Kept {
            stream: stream.name.clone(),
            head: 0,
            at: Timestamp::default(),
            cut: None,
            emptied: 0,
            contacts_lost: 0,
        };
        if stream.name == HOUSE {
            rebuild_house(file, new, &stream, &mut kept)?;
        } else if let Some(id) = RoomId::new(&stream.name) {
            rebuild_room(file, new, &stream, id, &mut kept)?;
        }
        all.push(kept);
    }
    Ok(all)
}

/// Copies a stream's records as long as `each` takes them; the stream is made with the first.
fn copy_records(
    file: &JournalFile,
    new: &NewJournal,
    stream: &Stream,
    epoch: u64,
    kept: &mut Kept,
    each: &mut dyn FnMut(Record) -> Result<(Record, usize), ReadError>,
) -> Result<Option<Stream>, Problem> {
    let (mut made, mut failed) = (None::<Stream>, None::<OpenError>);
    let walked = file.walk(stream, &mut |record| {
        let (record, emptied) = each(record)?;
        let added = match &made {
            Some(_) => Ok(()),
            None => new.add_stream(&stream.name, epoch).map(|new| made = Some(new)),
        };
        let target = made.as_ref().unwrap_or(stream);
        if let Err(error) = added.and_then(|()| new.add_record(target, &record)) {
            let stop = ReadError::Unavailable(error.to_string());
            failed = Some(error);
            return Err(stop);
        }
        (kept.head, kept.at) = (record.last(), record.at);
        kept.emptied += emptied;
        Ok(())
    });
    if let Some(error) = failed {
        return Err(error.into());
    }
    kept.cut = walked.err().map(|error| match error {
        ReadError::Damaged { reason, .. } => reason,
        other => other.to_string(),
    });
    Ok(made)
}

fn rebuild_house(file: &JournalFile, new: &NewJournal, stream: &Stream, kept: &mut Kept) -> Result<(), Problem> {
    let mut house = House::default();
    let made = copy_records(file, new, stream, stream.epoch, kept, &mut |record| {
        house.fold(&record).map(|()| (record, 0))
    })?;
    let Some(made) = made else { return Ok(()) };
    let row = CatalogueRow {
        stream: made.name.clone(),
        epoch: made.epoch,
        head: house.head,
        next_deadline: None,
        summary: "{}".into(),
    };
    Ok(new.put_row(&made, &row)?)
}

fn rebuild_room(
    file: &JournalFile,
    new: &NewJournal,
    stream: &Stream,
    id: RoomId,
    kept: &mut Kept,
) -> Result<(), Problem> {
    let mut room = Room::new(id);
    let epoch = registry::new_epoch();
    let made = copy_records(file, new, stream, epoch, kept, &mut |record| {
        let mended = record::erase(&record, &mut |_| false).map_err(|unreadable| ReadError::Damaged {
            stream: stream.name.clone(),
            offset: unreadable.offset,
            reason: unreadable.reason,
        })?;
        record::replay(&mut room, &mended.0)?;
        Ok(mended)
    })?;
    let Some(made) = made else { return Ok(()) };
    let row = match kept.cut {
        None => registry::row(&room, epoch),
        // What did not fit may have been half folded in: the server renews the rest when it loads the room.
        Some(_) => CatalogueRow {
            stream: made.name.clone(),
            epoch,
            head: kept.head,
            next_deadline: Some(kept.at),
            summary: "".into(),
        },
    };
    new.put_row(&made, &row)?;
    for (key, value, intact) in file.contacts(stream)? {
        if intact {
            new.add_contact(&made, &key, &value)?;
        } else {
            kept.contacts_lost += 1;
        }
    }
    Ok(())
}

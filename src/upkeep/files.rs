//! Files of a data folder.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Problem;

/// How the names of folders begin that hold a damaged journal, set aside by a recovery.
pub(super) const ASIDE: &str = "damaged-";

/// Those folders, the newest last.
pub(super) fn set_aside(data: &Path) -> Result<Vec<PathBuf>, Problem> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(data).map_err(at(data))? {
        let entry = entry.map_err(at(data))?;
        if entry.file_name().to_string_lossy().starts_with(ASIDE) {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

/// Turns an error of the file system into a problem at a path.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Problem {
    let path = path.to_owned();
    move |cause| Problem::File { path, cause }
}

/// Makes a folder that only its owner can read, if it is not there.
pub(super) fn make_folder(folder: &Path) -> Result<(), Problem> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(at(folder))
}

/// Whether a folder holds something; one that is not there does not. The lock of a journal is nothing.
pub(super) fn must_be_empty(folder: &Path) -> Result<(), Problem> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at(folder)(error)),
    };
    for entry in entries {
        let name = entry.map_err(at(folder))?.file_name();
        if name != "journal.lock" && name != "lost+found" {
            return Err(Problem::NotEmpty {
                folder: folder.to_owned(),
            });
        }
    }
    Ok(())
}

/// Copies everything that is not the journal itself, nor a file that is being written, readable by the owner only.
/// Gives the number of files.
pub(super) fn copy_beside_journal(from: &Path, to: &Path) -> Result<usize, Problem> {
    let mut copied = 0;
    for entry in fs::read_dir(from).map_err(at(from))? {
        let entry = entry.map_err(at(from))?;
        let (name, path) = (entry.file_name(), entry.path());
        let text = name.to_string_lossy();
        if text.starts_with('.') || text.starts_with("journal.") || text.starts_with(ASIDE) {
            continue;
        }
        let target = to.join(&name);
        let kind = fs::metadata(&path).map_err(at(&path))?;
        if kind.is_dir() {
            make_folder(&target)?;
            copied += copy_beside_journal(&path, &target)?;
        } else if kind.is_file() {
            copy_file(&path, &target)?;
            copied += 1;
        }
    }
    File::open(to).and_then(|folder| folder.sync_all()).map_err(at(to))?;
    Ok(copied)
}

/// Copies a file durably, readable by the owner only.
pub(super) fn copy_file(from: &Path, to: &Path) -> Result<(), Problem> {
    fs::copy(from, to).map_err(at(from))?;
    fs::set_permissions(to, Permissions::from_mode(0o600))
        .and_then(|()| File::open(to)?.sync_all())
        .map_err(at(to))
}

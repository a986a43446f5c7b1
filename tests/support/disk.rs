//! Disks with accidents: one so small that it can be filled, and those whose syncs fail or take their time.

#![allow(dead_code, reason = "no test binary uses all of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// A disk in memory that only its holder sees, and what runs under it.
pub(crate) struct SmallDisk {
    /// Ends, and the disk with it, when its standard input does: also when the test is killed.
    holder: Child,
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one.
    pub(crate) fn new(mebibytes: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = r#"mount -t tmpfs -o "size=$1m" none "$2" && echo mounted && exec cat"#;
        let mut holder = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
            .arg(mebibytes.to_string())
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(
            line, "mounted\n",
            "a small disk cannot be mounted here: run this test as root, or where user namespaces are allowed"
        );
        Self { holder, folder }
    }

    /// What a program must be run under to see the disk.
    pub(crate) fn under(&self) -> Vec<String> {
        let holder = self.holder.id().to_string();
        [
            "nsenter",
            "--preserve-credentials",
            "--user",
            "--mount",
            "--target",
            &holder,
        ]
        .map(str::to_owned)
        .into()
    }

    /// A data folder on it, for programs that run under it.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Takes all room that is left.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.seen_from_outside("ballast")).unwrap();
        for size in [1 << 16, 1 << 12] {
            let block = vec![0; size];
            let full = loop {
                if let Err(error) = ballast.write_all(&block) {
                    break error;
                }
            };
            assert_eq!(full.kind(), io::ErrorKind::StorageFull, "{full}");
        }
    }

    /// Makes room again.
    pub(crate) fn free(&self) {
        fs::remove_file(self.seen_from_outside("ballast")).unwrap();
    }

    fn seen_from_outside(&self, name: &str) -> PathBuf {
        let root = Path::new("/proc").join(self.holder.id().to_string()).join("root");
        let folder = self.folder.path().strip_prefix("/").unwrap();
        root.join(folder).join(name)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// What a program must be run under so that the n-th sync of one of these files fails. The program stays this
/// process's child: the tracer stands aside.
pub(crate) fn failing_sync(n: u32, files: &[PathBuf]) -> Vec<String> {
    tampered(&format!("inject=fdatasync,fsync:error=EIO:when={n}"), files)
}

/// The same for these of its writes to one of these files, counted from 1, with an error of the system's.
pub(crate) fn failing_write(error: &str, when: &str, files: &[PathBuf]) -> Vec<String> {
    tampered(&format!("inject=write,pwrite64:error={error}:when={when}"), files)
}

/// The same for every sync of one of these files, which takes so much longer.
pub(crate) fn slow_sync(delay: Duration, files: &[PathBuf]) -> Vec<String> {
    let delay = delay.as_micros();
    tampered(&format!("inject=fdatasync,fsync:delay_enter={delay}"), files)
}

fn tampered(inject: &str, files: &[PathBuf]) -> Vec<String> {
    let traceable = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    assert!(
        traceable.is_ok_and(|status| status.success()),
        "strace is missing or may not trace here: install it, or run this test where it may"
    );
    let mut words = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", inject]
        .map(str::to_owned)
        .to_vec();
    for file in files {
        words.extend(["-P".to_owned(), file.display().to_string()]);
    }
    words
}

//! The program as a process of its own, on a data folder that outlives it.

use std::io::{BufRead, BufReader, Read};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::PATIENCE;
use super::rest::Rest;

/// The program with these arguments, and nothing from the environment.
pub(crate) fn hubbub(arguments: &[&str]) -> Command {
    hubbub_under(&[], arguments)
}

/// The same, run by another program.
pub(crate) fn hubbub_under(under: &[String], arguments: &[&str]) -> Command {
    let program = env!("CARGO_BIN_EXE_hubbub").to_owned();
    let mut words = under.iter().chain([&program]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HUBBUB_")) {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

/// Runs a program to its end: its status, and what it wrote to standard output and standard error.
pub(crate) fn ended(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Everything that a process has written.
#[derive(Default)]
struct Said {
    text: Mutex<String>,
    more: Condvar,
}

/// The program, serving.
pub(crate) struct Process {
    /// Removed with the process; none where the test keeps it.
    _folder: Option<TempDir>,
    data: PathBuf,
    /// A program and its arguments that runs it, if any.
    under: Vec<String>,
    arguments: Vec<String>,
    child: Child,
    said: Arc<Said>,
    readers: Vec<JoinHandle<()>>,
    rest: Rest,
}

impl Deref for Process {
    type Target = Rest;

    fn deref(&self) -> &Rest {
        &self.rest
    }
}

impl Process {
    /// Starts it on a new data folder.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_owned();
        Self::start_in(Some(folder), data, Vec::new(), &owned(arguments))
    }

    /// Starts it under another program, such as one that shows it other disks, on a data folder that outlives
    /// this value. Its process must be the one that the other program was.
    pub(crate) fn start_under(under: &[String], data: &Path, arguments: &[&str]) -> Self {
        Self::start_in(None, data.to_owned(), under.to_owned(), &owned(arguments))
    }

    fn start_in(folder: Option<TempDir>, data: PathBuf, under: Vec<String>, arguments: &[String]) -> Self {
        let (child, said, readers) = spawn(&under, &data, arguments);
        let mut process = Self {
            rest: Rest::new(([0, 0, 0, 0], 0).into(), String::new()),
            _folder: folder,
            data,
            under,
            arguments: arguments.to_owned(),
            child,
            said,
            readers,
        };
        process.greeted();
        process
    }

    /// Waits until it serves, which it does when all rooms on air are loaded, and notes where.
    fn greeted(&mut self) {
        let line = self.until_said("\"message\":\"serving\"");
        let line: Value = serde_json::from_str(&line).unwrap();
        let address = line["address"].as_str().unwrap().parse().unwrap();
        let (status, token, problem) = ended({
            let mut command = hubbub_under(&self.under, &["token", "operator", "--data"]);
            command.arg(self.data());
            command
        });
        assert_eq!(status, Some(0), "{problem}");
        self.rest = Rest::new(address, token.trim().to_owned());
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Kills it with SIGKILL; nothing waits until it is gone.
    pub(crate) fn shoot(&self) {
        kill_process(self.pid(), Signal::KILL).unwrap();
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.shoot();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same data, on a new port; the old process may still be dying.
    pub(crate) fn restart(&mut self) {
        let (child, said, readers) = spawn(&self.under, &self.data, &self.arguments);
        let mut old = std::mem::replace(&mut self.child, child);
        self.said = said;
        self.readers = readers;
        self.greeted();
        old.wait().unwrap();
    }

    /// Starts another one on a copy of the data as it is on the disk now.
    pub(crate) fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(self.data()).unwrap() {
            let file = file.unwrap().path();
            if file.is_file() {
                std::fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
            }
        }
        let data = folder.path().to_owned();
        Self::start_in(Some(folder), data, Vec::new(), &self.arguments)
    }

    /// Its status when it has ended by itself, and all that it wrote.
    pub(crate) fn wait(&mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap().code();
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        (status, self.said())
    }

    /// What it has written so far, to standard output and standard error.
    pub(crate) fn said(&self) -> String {
        self.said.text.lock().clone()
    }

    /// Waits for a line with this text, and gives it.
    pub(crate) fn until_said(&self, wanted: &str) -> String {
        self.until_said_times(1, wanted)
    }

    /// Waits for so many lines with this text, and gives the last.
    pub(crate) fn until_said_times(&self, times: usize, wanted: &str) -> String {
        let until = Instant::now() + PATIENCE;
        let mut text = self.said.text.lock();
        loop {
            if let Some(line) = text.lines().filter(|line| line.contains(wanted)).nth(times - 1) {
                return line.to_owned();
            }
            let late = self.said.more.wait_until(&mut text, until).timed_out();
            assert!(!late, "{wanted} was not said {times} times, but\n{text}");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the server said:\n{}", self.said());
        }
    }
}

fn owned(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|&argument| argument.to_owned()).collect()
}

fn spawn(under: &[String], data: &Path, arguments: &[String]) -> (Child, Arc<Said>, Vec<JoinHandle<()>>) {
    let mut child = hubbub_under(under, &["serve", "--listen", "127.0.0.1:0", "--log", "json", "--data"])
        .arg(data)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = Arc::new(Said::default());
    let out = listen(child.stdout.take().unwrap(), &said);
    let err = listen(child.stderr.take().unwrap(), &said);
    (child, said, vec![out, err])
}

/// Notes what comes out of a pipe, line by line.
fn listen(pipe: impl Read + Send + 'static, said: &Arc<Said>) -> JoinHandle<()> {
    let said = Arc::clone(said);
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut text = said.text.lock();
            text.push_str(&line);
            text.push('\n');
            said.more.notify_all();
        }
    })
}

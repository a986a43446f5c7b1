//! The program as a process of its own, on a data folder that outlives it.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

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
    written: Mutex<Written>,
    more: Condvar,
}

#[derive(Default)]
struct Written {
    text: String,
    /// Of the two pipes.
    ended: usize,
}

/// How the program is started.
#[derive(Clone)]
pub(crate) struct Launch {
    /// A program and its arguments that runs it, if any.
    under: Vec<String>,
    environment: Vec<(String, String)>,
    listen: SocketAddr,
    arguments: Vec<String>,
}

impl Launch {
    /// On a new port at each start, with these arguments.
    pub(crate) fn new(arguments: &[&str]) -> Self {
        Self {
            under: Vec::new(),
            environment: Vec::new(),
            listen: ([127, 0, 0, 1], 0).into(),
            arguments: owned(arguments),
        }
    }

    /// On one port, which a restart takes again: for clients that come back by themselves.
    pub(crate) fn on_a_lasting_port(mut self) -> Self {
        // Below those that the system gives to clients, which could take it while the server is away.
        let free = (20_000..32_000)
            .cycle()
            .skip(std::process::id() as usize % 12_000)
            .find_map(|port| {
                let address = SocketAddr::from(([127, 0, 0, 1], port));
                TcpListener::bind(address).is_ok().then_some(address)
            });
        self.listen = free.unwrap();
        self
    }

    /// By a program that becomes this one or keeps it as its caller's child: `prlimit`, `strace -D`.
    pub(crate) fn under(mut self, under: &[String]) -> Self {
        self.under = under.to_owned();
        self
    }

    /// With a variable in its environment.
    pub(crate) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn command(&self, data: &Path) -> Command {
        let mut command = hubbub_under(&self.under, &["serve", "--log", "json", "--listen"]);
        command.arg(self.listen.to_string()).arg("--data").arg(data);
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        command
    }
}

/// The program, serving.
pub(crate) struct Process {
    /// Removed with the process; none where the test keeps it.
    _folder: Option<TempDir>,
    data: PathBuf,
    launch: Launch,
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
        Self::launch(Launch::new(arguments))
    }

    /// Starts it on a new data folder, in a manner of its own.
    pub(crate) fn launch(launch: Launch) -> Self {
        Self::on_a_folder(tempfile::tempdir().unwrap(), launch)
    }

    /// Starts it under another program, such as one that shows it other disks, on a data folder that outlives
    /// this value. Its process must be the one that the other program was.
    pub(crate) fn start_under(under: &[String], data: &Path, arguments: &[&str]) -> Self {
        Self::serving(None, data.to_owned(), Launch::new(arguments).under(under))
    }

    fn on_a_folder(folder: TempDir, launch: Launch) -> Self {
        let data = folder.path().to_owned();
        Self::serving(Some(folder), data, launch)
    }

    fn serving(folder: Option<TempDir>, data: PathBuf, launch: Launch) -> Self {
        let (process, serves) = Self::begin(folder, data, launch);
        assert!(serves, "it ended at once and said\n{}", process.said());
        process
    }

    /// Starts it on a data folder, and says whether it came to serve; else it has ended.
    pub(crate) fn try_launch(folder: TempDir, launch: Launch) -> (Self, bool) {
        let data = folder.path().to_owned();
        Self::begin(Some(folder), data, launch)
    }

    fn begin(folder: Option<TempDir>, data: PathBuf, launch: Launch) -> (Self, bool) {
        let (child, said, readers) = spawn(&data, &launch);
        let mut process = Self {
            rest: Rest::new(([0, 0, 0, 0], 0).into(), String::new()),
            _folder: folder,
            data,
            launch,
            child,
            said,
            readers,
        };
        let serves = process.greeted(Instant::now()).is_some();
        (process, serves)
    }

    /// Waits until it serves, which it does when all rooms on air are loaded, and notes where. How long it took
    /// since `began`, or none if it ended.
    fn greeted(&mut self, began: Instant) -> Option<Duration> {
        let line = self.said_times(1, "\"message\":\"serving\"")?;
        let took = began.elapsed();
        let line: Value = serde_json::from_str(&line).unwrap();
        let address = line["address"].as_str().unwrap().parse().unwrap();
        self.rest = Rest::new(address, self.command_line(&["token", "operator"]));
        Some(took)
    }

    /// What the command line says on the same data, seen in the same manner.
    pub(crate) fn command_line(&self, arguments: &[&str]) -> String {
        let mut command = hubbub_under(&self.launch.under, arguments);
        command.arg("--data").arg(self.data());
        command.envs(self.launch.environment.iter().cloned());
        let (status, said, problem) = ended(command);
        assert_eq!(status, Some(0), "{problem}");
        said.trim().to_owned()
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

    /// Starts it again on the same data; the old process may still be dying.
    pub(crate) fn restart(&mut self) {
        self.relaunch(self.launch.clone());
    }

    /// As [`Self::restart`], in another manner. How long it took until it served.
    pub(crate) fn relaunch(&mut self, launch: Launch) -> Duration {
        let began = Instant::now();
        let (child, said, readers) = spawn(&self.data, &launch);
        let mut old = std::mem::replace(&mut self.child, child);
        self.launch = launch;
        self.said = said;
        self.readers = readers;
        let took = self.greeted(began);
        old.wait().unwrap();
        took.unwrap_or_else(|| panic!("it ended at once and said\n{}", self.said()))
    }

    /// How it was started.
    pub(crate) fn launched(&self) -> &Launch {
        &self.launch
    }

    /// Starts another one on a copy of the data as it is on the disk now.
    pub(crate) fn copy(&self) -> Self {
        Self::on_a_folder(
            self.copy_data(),
            Launch {
                under: Vec::new(),
                ..self.launch.clone()
            },
        )
    }

    /// A copy of the data as it is on the disk now.
    pub(crate) fn copy_data(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(self.data()).unwrap() {
            let file = file.unwrap().path();
            if file.is_file() {
                std::fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
            }
        }
        folder
    }

    /// What the kernel says of the process: the value in KiB of such a line of its status, in bytes.
    pub(crate) fn memory(&self, line: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let value = status
            .lines()
            .find_map(|found| found.strip_prefix(line)?.strip_prefix(':'));
        let kib: u64 = value.unwrap().split_whitespace().next().unwrap().parse().unwrap();
        kib << 10
    }

    /// CPU time that it has taken so far.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // Behind the name in brackets, utime and stime are the 12th and 13th words, in hundredths of a second.
        let words: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks = |word: usize| words[word].parse::<u64>().unwrap();
        Duration::from_millis((ticks(11) + ticks(12)) * 10)
    }

    /// Its status when it has ended by itself, and all that it wrote.
    pub(crate) fn wait(&mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap().code();
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        (status, self.said())
    }

    /// What it has written so far, to standard output and standard error.
    pub(crate) fn said(&self) -> String {
        self.said.written.lock().text.clone()
    }

    /// Waits for a line with this text, and gives it.
    pub(crate) fn until_said(&self, wanted: &str) -> String {
        self.until_said_times(1, wanted)
    }

    /// Waits for so many lines with this text, and gives the last.
    pub(crate) fn until_said_times(&self, times: usize, wanted: &str) -> String {
        let line = self.said_times(times, wanted);
        line.unwrap_or_else(|| panic!("it ended, {wanted} was not said {times} times, but\n{}", self.said()))
    }

    /// The same, or none if it ended before.
    fn said_times(&self, times: usize, wanted: &str) -> Option<String> {
        let until = Instant::now() + PATIENCE;
        let mut written = self.said.written.lock();
        loop {
            if let Some(line) = written.text.lines().filter(|line| line.contains(wanted)).nth(times - 1) {
                return Some(line.to_owned());
            }
            if written.ended == 2 {
                return None;
            }
            let late = self.said.more.wait_until(&mut written, until).timed_out();
            assert!(!late, "{wanted} was not said {times} times, but\n{}", written.text);
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

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn spawn(data: &Path, launch: &Launch) -> (Child, Arc<Said>, Vec<JoinHandle<()>>) {
    let mut command = launch.command(data);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
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
            let mut written = said.written.lock();
            written.text.push_str(&line);
            written.text.push('\n');
            said.more.notify_all();
        }
        said.written.lock().ended += 1;
        said.more.notify_all();
    })
}

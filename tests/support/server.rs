//! The real binary as a child process, on a port of its own and a data folder that outlives it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Longest wait until a server is ready.
const READY: Duration = Duration::from_secs(30);

/// A data folder, and the server that runs on it.
pub(crate) struct Server {
    folder: TempDir,
    arguments: Vec<String>,
    child: Child,
    /// Host and port.
    pub(crate) address: String,
    operator: String,
    http: reqwest::Client,
}

impl Server {
    /// Starts a server on a new data folder.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let (child, address) = spawn(folder.path(), &arguments);
        let operator = operator_token(folder.path());
        let server = Self {
            folder,
            arguments,
            child,
            address,
            operator,
            http: reqwest::Client::new(),
        };
        server.until_ready().await;
        server
    }

    async fn until_ready(&self) {
        let started = Instant::now();
        loop {
            let answer = self.http.get(self.url("/readyz")).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(started.elapsed() < READY, "the server did not get ready");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// An address of this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was started here");
    }

    /// Starts another server on a copy of the data as it is on the disk now.
    pub(crate) async fn copy(&self) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for file in std::fs::read_dir(self.folder.path()).expect("it exists") {
            let file = file.expect("it can be read").path();
            let name = file.file_name().expect("a file has a name");
            if file.is_file() {
                std::fs::copy(&file, folder.path().join(name)).expect("it can be copied");
            }
        }
        let (child, address) = spawn(folder.path(), &self.arguments);
        let copy = Self {
            folder,
            arguments: self.arguments.clone(),
            child,
            address,
            operator: self.operator.clone(),
            http: reqwest::Client::new(),
        };
        copy.until_ready().await;
        copy
    }

    /// Starts it again on the same data, on a new port.
    pub(crate) async fn restart(&mut self) {
        (self.child, self.address) = spawn(self.folder.path(), &self.arguments);
        self.until_ready().await;
    }

    /// A REST call as operator; the status and the body.
    pub(crate) async fn rest(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let mut request = self
            .http
            .request(method, self.url(&format!("/api/v1{path}")))
            .bearer_auth(&self.operator);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("the server answers");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// A REST call that must succeed.
    pub(crate) async fn done(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.rest(method, path, body).await;
        assert!(
            (200..300).contains(&status),
            "{method} {path} was answered {status} {answer}"
        );
        answer
    }

    /// Makes a room that is on air.
    pub(crate) async fn live_room(&self, id: &str) {
        let details = json!({"title": "A show", "host": "Hoa", "kind": "video", "access": "public"});
        self.done("POST", "/rooms", Some(json!({"id": id, "details": details})))
            .await;
        self.done("POST", &format!("/rooms/{id}/start"), Some(json!({}))).await;
    }

    /// The operator's token.
    pub(crate) fn operator(&self) -> &str {
        &self.operator
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(data: &Path, arguments: &[String]) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hubbub"))
        .args(["serve", "--listen", "127.0.0.1:0", "--log", "json", "--data"])
        .arg(data)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built with the tests");
    let lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let mut lines = lines.map_while(Result::ok);
    let address = lines.find_map(|line| {
        let line: Value = serde_json::from_str(&line).ok()?;
        (line["message"] == "serving").then(|| line["address"].as_str().expect("an address").to_owned())
    });
    // The rest of its output must be read, or it blocks.
    std::thread::spawn(move || lines.for_each(|line| eprintln!("{line}")));
    (child, address.expect("it says where it listens"))
}

fn operator_token(data: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hubbub"))
        .args(["token", "operator", "--data"])
        .arg(data)
        .output()
        .expect("the binary was built with the tests");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .expect("a token is text")
        .trim()
        .to_owned()
}

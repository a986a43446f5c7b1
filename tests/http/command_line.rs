//! The program itself: its exit status, its one sentence, its end.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::{Duration, Instant};

use jsonwebtoken::{EncodingKey, Header};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::process::{Launch, Process, ended, hubbub};
use crate::support::raw::{close_code, get, hello, websocket};

#[test]
fn a_wrong_configuration_is_one_sentence_and_status_64() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("hubbub.toml");
    std::fs::write(&file, "drain_seconds = 5\nlissten = '127.0.0.1:1'\n").expect("writes");
    let file = file.to_str().expect("text");
    for (arguments, says) in [
        (vec!["--listen", "here"], "invalid value 'here' for '--listen <ADDR>'"),
        (vec!["--no-such-option"], "unexpected argument '--no-such-option'"),
        (vec!["no-such-command"], "unrecognized subcommand 'no-such-command'"),
        (
            vec!["serve", "--drain-seconds", "0"],
            "--drain-seconds: `0` is not from 1 to 300",
        ),
        (
            vec!["--public-url", "live.example"],
            "--public-url: `live.example` is not http",
        ),
        (
            vec!["--trusted-proxy", "10.0.0.0/8,x"],
            "--trusted-proxy: `x` is not an address",
        ),
        (vec!["--config", file], "line 2: unknown field `lissten`"),
        (vec!["--config", "/no/such/file"], "/no/such/file cannot be read"),
        (vec!["--secret-file", "/no/such/file"], "/no/such/file cannot be read"),
        (
            vec!["--store-key-file", file, "--store-key-algorithm", "none"],
            "the algorithm of the store's key is",
        ),
        (
            vec!["--store-key-algorithm", "none"],
            "--store-key-algorithm: the algorithm of the store's key is",
        ),
        (vec!["--tls-cert", file], "--tls-cert: needs --tls-key too"),
        (
            vec!["--tls-cert", file, "--tls-key", file],
            "hubbub.toml is no certificate as PEM",
        ),
        (vec!["health", "--listen", "x"], "invalid value 'x'"),
        (vec!["print"], "a command is missing"),
    ] {
        let (status, stdout, stderr) = ended(hubbub(&arguments));
        assert_eq!(status, Some(64), "{arguments:?}: {stderr}");
        assert!(
            stderr.starts_with("hubbub: ") && stderr.contains(says),
            "{arguments:?}: {stderr}"
        );
        assert_eq!(stderr.trim_end().lines().count(), 1, "{arguments:?}: {stderr}");
        assert!(stdout.is_empty(), "{arguments:?}: {stdout}");
    }
}

#[test]
fn who_reads_only_the_beginning_of_what_is_printed_gets_no_complaint() {
    for arguments in [&["print", "grafana-dashboard"][..], &["--print-config"], &["--help"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = hubbub(arguments);
        command.stdout(writer).stderr(Stdio::piped());
        let ended = command.spawn().expect("starts").wait_with_output().expect("ends");
        let complaint = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.code(), &*complaint), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn flags_go_over_the_environment_and_that_over_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("hubbub.toml");
    std::fs::write(&file, "drain_seconds = 5\nrooms_max = 50\nconnections_max = 500\n").expect("writes");
    let mut command = hubbub(&["--print-config", "--drain-seconds", "3"]);
    command
        .env("HUBBUB_CONFIG", &file)
        .env("HUBBUB_DRAIN_SECONDS", "4")
        .env("HUBBUB_ROOMS_MAX", "40");
    let (status, stdout, stderr) = ended(command);
    assert_eq!(status, Some(0), "{stderr}");
    for line in [
        "drain_seconds = 3",
        "rooms_max = 40",
        "connections_max = 500",
        "# public_url =",
    ] {
        assert!(
            stdout.lines().any(|printed| printed == line),
            "{line} is not in\n{stdout}"
        );
    }
    let mut command = hubbub(&["--check-config"]);
    command.env("HUBBUB_DRAIN_SECONDS", "soon");
    assert_eq!(ended(command).0, Some(64));
    assert_eq!(ended(hubbub(&["--check-config"])).0, Some(0));
}

#[test]
fn a_token_is_made_with_the_secret_of_the_data_folder_and_a_link_keeps_its_code_in_the_fragment() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let data = data.to_str().expect("text");
    let (status, token, _) = ended(hubbub(&["token", "operator", "--data", data]));
    assert_eq!((status, token.trim().split('.').count()), (Some(0), 3));
    let url = ["--public-url", "https://live.example"];
    let (status, link, _) = ended(hubbub(
        &[&["token", "operator", "--link", "--data", data], &url[..]].concat(),
    ));
    assert_eq!(status, Some(0));
    assert!(link.starts_with("https://live.example/#sign-in=ey"), "{link}");
    let (status, _, _) = ended(hubbub(&["token", "viewer", "--data", data]));
    assert_eq!(status, Some(0));
}

#[tokio::test]
async fn secrets_may_stand_in_the_environment_and_none_is_made_then() {
    let key = "a key that the shop and the server share";
    let launch = Launch::new(&[])
        .with_variable("HUBBUB_SECRET", &"5a".repeat(32))
        .with_variable("HUBBUB_STORE_KEY", key);
    let one = Process::launch(launch.clone());
    let other = Process::launch(launch);
    other.get("/devices", &one.operator).await.is(200);
    let stranger = Process::start(&[]);
    stranger.get("/devices", &one.operator).await.refused(401, "bad_token");

    let claims = json!({"iss": "store", "aud": "hubbub", "sub": "7", "name": "Ann", "exp": u32::MAX});
    let key = EncodingKey::from_secret(key.as_bytes());
    let customer = jsonwebtoken::encode(&Header::default(), &claims, &key).expect("signs");
    for server in [&one, &other] {
        assert_eq!(server.get("/me", &customer).await.is(200)["viewer"]["store"], true);
        assert!(!server.data().join("secret").exists());
    }
    stranger.get("/me", &customer).await.refused(401, "bad_token");
    assert!(stranger.data().join("secret").exists());
}

#[test]
fn a_transcript_is_verified_and_one_that_is_altered_is_not() {
    let vectors = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/draw-v1.json"));
    let vectors: serde_json::Value = serde_json::from_str(&vectors.expect("is there")).expect("JSON");
    let transcript = vectors["transcript"].to_string();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("transcript.json");
    let verified = |text: &str| {
        std::fs::write(&file, text).expect("writes");
        ended(hubbub(&["verify-draw", file.to_str().expect("text")]))
    };
    let (status, stdout, stderr) = verified(&transcript);
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stdout.starts_with("Verified: "), "{stdout}");
    let seed = vectors["transcript"]["seed"].as_str().expect("a seed");
    let last = if seed.ends_with('0') { "1" } else { "0" };
    let altered = format!("{}{last}", &seed[..seed.len() - 1]);
    let (status, stdout, stderr) = verified(&transcript.replace(seed, &altered));
    assert_eq!((status, stdout.as_str()), (Some(1), ""), "{stderr}");
}

#[tokio::test]
async fn at_sigterm_clients_are_told_and_it_ends_well_within_its_time() {
    let mut process = Process::start(&["--drain-seconds", "4"]);
    let mut greeted = websocket(process.address, "nosuchroom").await;
    let mut half = TcpStream::connect(process.address).await.expect("connects");
    half.write_all(b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        .await
        .expect("writes");
    let mut half_a_head = TcpStream::connect(process.address).await.expect("connects");
    half_a_head
        .write_all(b"GET /healthz HTTP/1.1\r\nHo")
        .await
        .expect("writes");
    let _idle = TcpStream::connect(process.address).await.expect("connects");

    let begun = Instant::now();
    kill_process(process.pid(), Signal::TERM).expect("is there");
    // Whether it hears the hello before the end, and so which code it gets, is a matter of luck.
    let _ = greeted.write_all(&hello()).await;
    let code = close_code(&mut greeted).await;
    assert!(matches!(code, Some(4000 | 4005 | 4500)), "{code:?}");
    let (status, log) = tokio::task::spawn_blocking(move || process.wait()).await.expect("ends");
    assert_eq!(status, Some(0), "{log}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}\n{log}", begun.elapsed());
}

#[test]
fn the_supervisor_is_told_when_it_serves_and_when_it_ends() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let notify = folder.path().join("notify");
    let socket = UnixDatagram::bind(&notify).expect("binds");
    socket.set_read_timeout(Some(PATIENCE)).expect("is set");
    let told = || {
        let mut state = [0; 64];
        let length = socket.recv(&mut state).expect("is told");
        String::from_utf8(state[..length].to_vec()).expect("text")
    };
    let mut command = hubbub(&["--listen", "127.0.0.1:0", "--data"]);
    command
        .arg(folder.path().join("data"))
        .env("NOTIFY_SOCKET", &notify)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut process = command.spawn().expect("starts");
    assert_eq!(told(), "READY=1");
    kill_process(Pid::from_child(&process), Signal::TERM).expect("is there");
    assert_eq!(told(), "STOPPING=1");
    assert!(process.wait().expect("ends").success());
}

#[test]
fn health_says_whether_the_server_is_ready() {
    let mut process = Process::start(&[]);
    let address = process.address.to_string();
    assert_eq!(ended(hubbub(&["health", "--listen", &address])).0, Some(0));
    kill_process(process.pid(), Signal::TERM).expect("is there");
    let (status, log) = process.wait();
    assert_eq!(status, Some(0), "{log}");
    let (status, _, stderr) = ended(hubbub(&["health", "--listen", &address]));
    assert_eq!(status, Some(1));
    assert!(stderr.contains("does not answer"), "{stderr}");
}

#[test]
fn a_data_folder_serves_one_process_and_an_address_one_listener() {
    let process = Process::start(&[]);
    let data = process.data().to_str().expect("text");
    let (status, _, stderr) = ended(hubbub(&["--listen", "127.0.0.1:0", "--data", data]));
    assert_eq!(status, Some(1), "{stderr}");
    assert!(stderr.contains("in use by another process"), "{stderr}");
    let other = tempfile::tempdir().expect("a temporary folder");
    let other = other.path().to_str().expect("text");
    let (status, _, stderr) = ended(hubbub(&["--listen", &process.address.to_string(), "--data", other]));
    assert_eq!(status, Some(1), "{stderr}");
    assert!(stderr.contains("cannot be listened on"), "{stderr}");
}

#[test]
fn a_server_that_starts_while_the_old_one_is_dying_waits_for_its_lock() {
    let mut process = Process::start(&[]);
    let mut next = hubbub(&["--listen", "127.0.0.1:0", "--log", "json", "--data"]);
    let mut next = next.arg(process.data()).stderr(Stdio::piped()).spawn().expect("starts");
    let said = BufReader::new(next.stderr.take().expect("is piped")).lines();
    let mut said = said.map(|line| line.expect("text"));
    let waits = said.find(|line| line.contains("waiting for another process to end"));
    assert!(waits.is_some_and(|line| line.contains("in use by another process")));
    process.kill();
    let serves = said.find(|line| line.contains("\"message\":\"serving\""));
    next.kill().expect("it runs");
    next.wait().expect("it was started here");
    assert!(serves.is_some(), "it gave up");
}

#[tokio::test]
async fn without_file_descriptors_it_waits_and_then_goes_on() {
    let process = Process::start(&[]);
    let address = process.address;
    process.live_room("show").await;
    let mut ann = Client::viewer(address, "show", "Ann").await;
    let mut bob = Client::viewer(address, "show", "Bob").await;
    let mut viewer = TcpStream::connect(address).await.expect("connects");
    let alive = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    answers(&mut viewer, alive).await;

    let open = std::fs::read_dir(format!("/proc/{}/fd", process.pid().as_raw_nonzero()))
        .expect("is there")
        .count();
    let limit = Some(open as u64 + 4);
    let Rlimit { maximum, .. } = prlimit(
        Some(process.pid()),
        Resource::Nofile,
        Rlimit {
            current: limit,
            maximum: limit,
        },
    )
    .expect("is allowed");
    assert!(maximum.is_none_or(|maximum| maximum > open as u64 + 4));
    let short_since = Instant::now();
    let mut crowd = Vec::new();
    for _ in 0..32 {
        crowd.push(TcpStream::connect(address).await.expect("the kernel takes it"));
    }
    answers(&mut viewer, alive).await;
    let comment = json!({"nonce": "1", "text": "still here"});
    ann.ask("comment", comment).await.expect("the show goes on");
    bob.until_comment("still here").await;
    drop(crowd);
    let begun = Instant::now();
    assert_eq!(get(address, "/healthz", "").await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let waits = process
        .metric("hubbub_sockets_refused_total{reason=\"resources\"}")
        .await;
    assert_ne!(waits, 0, "it never ran out");
    let pauses = short_since.elapsed().as_millis() as u64 / 100;
    assert!(
        waits <= pauses + 2,
        "{waits} tries in {pauses} pauses: it was busy doing nothing"
    );
}

async fn answers(socket: &mut TcpStream, request: &[u8]) {
    socket.write_all(request).await.expect("writes");
    let mut answer = [0; 12];
    timeout(PATIENCE, socket.read_exact(&mut answer))
        .await
        .expect("answers")
        .expect("reads");
    assert_eq!(&answer, b"HTTP/1.1 200");
    let mut rest = vec![0; 4096];
    timeout(PATIENCE, socket.read(&mut rest))
        .await
        .expect("answers")
        .expect("reads");
}

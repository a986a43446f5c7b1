//! Attacks of all kinds under a cap of memory.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::audience::Audience;
use crate::support::picture::png;
use crate::support::process::{Launch, Process};
use crate::support::raw;
use crate::trial::{Figures, Need, Scale, Trial, Value};

pub(crate) const TRIAL: Trial = Trial {
    name: "memory",
    what: "attacks of all kinds for ten minutes under a cap of 256 MiB, around honest viewers",
    needs: &[Need::Audience, Need::Program("prlimit", "util-linux")],
    quick: Err("attacks need time"),
    minutes: 40,
    run: |scale| Box::pin(run(scale)),
};

const CAP: u64 = 256 << 20;
const SECONDS: usize = 600;

/// What an attacker does, again and again.
#[derive(Clone, Copy, Debug)]
enum Attack {
    /// Joins and reads nothing.
    Deaf,
    /// Connects and says nothing.
    Silent,
    /// Sends half of a request with a large body.
    HalfBody,
    /// Announces a huge message and begins to send it.
    HugeFrame,
    /// Sends what is no frame.
    Garbage,
    /// Begins a message in fragments that never ends.
    Fragments,
    /// Comes in as somebody new and goes.
    Churn,
    /// Comments without a pause.
    Flood,
    /// Asks for pages, and does not read them.
    Pages,
    /// Asks for the largest picture that may be uploaded, and does not read it.
    Pictures,
}

/// Each kind, and how many do it at once.
const ATTACKS: [(Attack, usize); 10] = [
    (Attack::Deaf, 200),
    (Attack::Silent, 200),
    (Attack::HalfBody, 100),
    (Attack::HugeFrame, 50),
    (Attack::Garbage, 50),
    (Attack::Fragments, 50),
    (Attack::Churn, 20),
    (Attack::Flood, 5),
    (Attack::Pages, 50),
    (Attack::Pictures, 200),
];

async fn run(scale: Scale) -> Figures {
    let viewers = scale.of(1_000, 50);
    // What the process may make its own: the cap is hard, an allocation beyond it ends the process.
    let cap = ["prlimit".to_owned(), format!("--data={CAP}")];
    let server = Process::launch(Launch::new(&[]).under(&cap));
    let host = server.live_room("show").await;
    let cover = server.cover("show", &host, png(5_200_000)).await;
    let sizes = [
        "--viewers",
        &viewers.to_string(),
        "--ramp",
        "3",
        "--comments",
        "5",
        "--seconds",
    ];
    let audience = Audience::of(
        &server,
        Some("show"),
        &[&sizes[..], &[&scale.text(SECONDS, 10)]].concat(),
    );
    let mut attackers = JoinSet::new();
    for (attack, count) in ATTACKS {
        for _ in 0..count {
            attackers.spawn(attack.again_and_again(server.address, cover.clone()));
        }
    }
    let within = Duration::from_secs(2 * SECONDS as u64);
    let report = audience.report(within).await;
    attackers.abort_all();
    report.is_correct();
    let mut figures = Figures::new(&scale);
    figures.note("honest viewers", viewers);
    figures.note(
        "attackers at once",
        ATTACKS.iter().map(|(_, count)| count).sum::<usize>(),
    );
    figures.note("deliveries to the honest", report.count("/deliveries"));
    figures.exactly("disclosed gaps of the honest", report.count("/skipped"), 0_u64);
    figures.exactly(
        "connections of the honest that ended",
        report.count("/comebacks/count"),
        0_u64,
    );
    figures.note("due to received, the honest's p99", report.time("/latency/p99_ms"));
    figures.at_most("memory's peak", Value::Bytes(server.memory("VmHWM")), Value::Bytes(CAP));
    figures
}

impl Attack {
    async fn again_and_again(self, address: SocketAddr, cover: String) {
        loop {
            // Whatever becomes of it: the server may refuse it in any way that it likes. After a while it gives its socket
            // up.
            let mut attempt = JoinSet::new();
            attempt.spawn(self.once(address, cover.clone()));
            let _ = timeout(Duration::from_secs(20), attempt.join_next()).await;
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn once(self, address: SocketAddr, cover: String) -> std::io::Result<()> {
        let mut socket = match self {
            Self::Deaf => raw::deaf(address, "show").await,
            Self::Churn | Self::Flood => raw::joined(address, "show").await,
            Self::Garbage | Self::HugeFrame | Self::Fragments => raw::websocket(address, "show").await,
            Self::Pictures => raw::narrow(address).await,
            Self::Silent | Self::HalfBody | Self::Pages => TcpStream::connect(address).await?,
        };
        match self {
            Self::Churn => Ok(()),
            Self::Deaf | Self::Silent => std::future::pending().await,
            Self::HalfBody => {
                let head = "POST /api/v1/rooms HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                            Content-Length: 60000\r\n\r\n";
                socket.write_all(head.as_bytes()).await?;
                socket.write_all(&[b' '; 50_000]).await?;
                std::future::pending().await
            }
            Self::HugeFrame => {
                socket
                    .write_all(&[0x81, 0xff, 0, 0, 0, 0, 0x0f, 0, 0, 0, 1, 2, 3, 4])
                    .await?;
                self.pour(&mut socket, &[b'a'; 16_000]).await
            }
            Self::Garbage => self.pour(&mut socket, &[0xff; 4_000]).await,
            Self::Fragments => {
                socket.write_all(&raw::masked(0x01, b"{")).await?;
                self.pour(&mut socket, &raw::masked(0x00, &[b' '; 1_000])).await
            }
            Self::Flood => {
                let comment = json!({"id": 1, "cmd": "comment", "args": {"nonce": "1", "text": "a".repeat(180)}});
                self.pour(&mut socket, &raw::masked(0x81, comment.to_string().as_bytes()))
                    .await
            }
            Self::Pages => {
                let request = "GET /r/show HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20);
                self.pour(&mut socket, request.as_bytes()).await
            }
            Self::Pictures => {
                let request = format!("GET {cover} HTTP/1.1\r\nHost: a\r\n\r\n");
                socket.write_all(request.as_bytes()).await?;
                std::future::pending().await
            }
        }
    }

    /// Writes the same without an end, at some pace, and reads nothing.
    async fn pour(self, socket: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
        loop {
            socket.write_all(bytes).await?;
            sleep(Duration::from_millis(20)).await;
        }
    }
}

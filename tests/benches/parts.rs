//! What the parts cost, each alone: `cargo bench`. The whole is measured by `hubbub-loadtest bench`.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use futures_util::stream::{self, StreamExt};
use hubbub::config::{Options, Secrets};
use hubbub::hub::{CommandError, Done};
use hubbub::journal::sqlite::{self, Sqlite};
use hubbub::journal::{Append, CatalogueRow, Journal, Record};
use hubbub::protocol::{Delta, Encoding, Message, Numbered, Request};
use hubbub::room::audience::{Address, Visitor};
use hubbub::room::{Actor, Command, Event, Luck, Offset, PersonId, Personal, Room, RoomId, Timestamp, ViewerId};
use hubbub::serve::Serving;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The allocator of the product.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const HOST: Actor = Actor::Operator(PersonId(1));
/// Viewers who ask at the same time.
const AT_ONCE: usize = 5_000;
/// Claims of one measurement.
const CLAIMS: u32 = 50_000;
/// Events of the room that is rebuilt.
const LONG_SHOW: u64 = 1_000_000;

fn main() {
    divan::main();
}

fn command(name: &str, args: &str) -> Command {
    let text = format!(r#"{{"id":1,"cmd":"{name}","args":{args}}}"#);
    match Encoding::Json.decode_request(text.as_bytes()) {
        Ok(Numbered {
            request: Request::Command(command),
            ..
        }) => command,
        other => panic!("{text}: {other:?}"),
    }
}

fn create() -> Command {
    Command::Create(
        serde_json::from_value(serde_json::json!({
            "details": {"title": "Bench", "host": "Mia", "kind": "video", "access": "public"},
        }))
        .unwrap(),
    )
}

fn discount() -> Command {
    let terms =
        r#"{"title":"Ten off","off":{"percent":10},"quota":1000000,"closes":{"after_ms":86400000},"who":"anyone"}"#;
    command(
        "prepare_discount",
        &format!(r#"{{"id":"ten","terms":{terms},"codes":{{"shared":{{"code":"TEN"}}}}}}"#),
    )
}

fn phrase_draw() -> Command {
    let rules = r#"{"prize":"Lipstick","winners":3,"open_ms":3600000,"eligibility":{"phrase":{"phrase":"666"}},"who":"anyone","ask":["name"],"readers":"the shop"}"#;
    command("prepare_draw", &format!(r#"{{"id":"gift","rules":{rules}}}"#))
}

fn viewer(number: u32) -> Actor {
    Actor::Viewer(Visitor {
        id: ViewerId(u128::from(number)),
        name: Personal(format!("Guest {number}")),
        store: false,
        address: Address {
            key: u64::from(number),
            masked: "203.0.113.x".to_owned(),
        },
    })
}

/// A room on air, whose commands come a millisecond after each other.
struct Show {
    room: Room,
    now: u64,
    asked: u32,
}

impl Show {
    fn live() -> Self {
        let mut show = Self {
            room: Room::new(RoomId::new("bench").unwrap()),
            now: 1_790_000_000_000,
            asked: 0,
        };
        for ask in [
            create(),
            command("start", "{}"),
            discount(),
            command("open_discount", r#"{"discount":"ten"}"#),
            phrase_draw(),
            command("open_draw", r#"{"draw":"gift"}"#),
        ] {
            show.ask(&HOST, &ask);
        }
        show
    }

    fn ask(&mut self, actor: &Actor, command: &Command) -> Vec<Event> {
        self.now += 1;
        let mut luck = Luck::new([7; 32]);
        let decision = self
            .room
            .decide(actor, command, Timestamp(self.now), &mut luck)
            .unwrap();
        for event in &decision.events {
            self.room.apply(event, Timestamp(self.now));
        }
        decision.events
    }

    /// Another viewer asks.
    fn next(&mut self, command: &Command) -> Vec<Event> {
        self.asked += 1;
        self.ask(&viewer(self.asked), command)
    }
}

/// Decides and applies one command of another viewer each time.
fn decide(bencher: Bencher<'_, '_>, command: &Command) {
    let mut show = Show::live();
    bencher
        .counter(ItemsCount::new(1_u32))
        .bench_local(|| show.next(command));
}

#[divan::bench(sample_size = 100)]
fn decide_a_comment(bencher: Bencher<'_, '_>) {
    let text = "which colour are you wearing tonight, 03";
    decide(
        bencher,
        &command("comment", &format!(r#"{{"nonce":"n","text":"{text}"}}"#)),
    );
}

#[divan::bench(sample_size = 100)]
fn decide_a_claim(bencher: Bencher<'_, '_>) {
    decide(bencher, &command("claim", r#"{"discount":"ten"}"#));
}

#[divan::bench(sample_size = 100)]
fn decide_an_entry(bencher: Bencher<'_, '_>) {
    decide(bencher, &command("comment", r#"{"nonce":"n","text":"666"}"#));
}

/// A delta as the stage gets it, with so many comments.
fn delta(comments: usize) -> Message {
    let mut show = Show::live();
    let say = command(
        "comment",
        r#"{"nonce":"n","text":"which colour are you wearing tonight, 03"}"#,
    );
    let events: Vec<Event> = (0..comments).flat_map(|_| show.next(&say)).collect();
    let shown = (1..).zip(&events).filter_map(|(offset, event)| event.stage(offset));
    Message::Delta(Delta {
        follows: 1,
        offset: events.len() as Offset + 1,
        at: Timestamp(show.now),
        events: shown.collect(),
    })
}

#[divan::bench(args = [1, 5, 20], consts = [0, 1])]
fn encode_a_batch<const ENCODING: usize>(bencher: Bencher<'_, '_>, comments: usize) {
    let (encoding, message) = (Encoding::ALL[ENCODING], delta(comments));
    let bytes = encoding.encode(&message).len();
    bencher
        .counter(BytesCount::new(bytes))
        .bench(|| encoding.encode(&message));
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// One batch of so many comments after the other, each on the disk before the next.
#[divan::bench(args = [1, 10, 100, 1_000], sample_size = 10)]
fn append(bencher: Bencher<'_, '_>, comments: usize) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let journal = Sqlite::open(folder.path(), sqlite::Options::default()).unwrap();
    let mut show = Show::live();
    let say = command(
        "comment",
        r#"{"nonce":"n","text":"which colour are you wearing tonight, 03"}"#,
    );
    let events: Vec<Event> = (0..comments).flat_map(|_| show.next(&say)).collect();
    let json = serde_json::to_vec(&events).unwrap();
    let mut first = 1;
    bencher.counter(ItemsCount::new(comments)).bench_local(|| {
        let record = Record {
            batch: u128::from(first),
            epoch: 1,
            first,
            count: comments as u32,
            at: Timestamp(first),
            events: json.clone().into(),
            personal: Vec::new().into(),
        };
        first += comments as Offset;
        let row = CatalogueRow {
            stream: "bench".to_owned(),
            epoch: 1,
            head: first - 1,
            next_deadline: None,
            summary: b"{}".to_vec().into(),
        };
        runtime.block_on(journal.append(Append {
            record,
            row,
            contacts: Vec::new(),
        }))
    });
}

/// A server in this process: the real mailbox, the real journal, no sockets but the listener.
async fn serve(data: &Path) -> Serving {
    let options = Options {
        listen: Some(([127, 0, 0, 1], 0).into()),
        data: Some(data.to_owned()),
        no_rates: Some(true),
        display_budget: Some("off".to_owned()),
        ..Options::default()
    };
    Serving::start(options.check(Secrets::default()).unwrap())
        .await
        .unwrap()
}

fn room() -> RoomId {
    RoomId::new("bench").unwrap()
}

/// Asks until it is not refused for being one too many at a time.
async fn ask(serving: &Serving, actor: Actor, command: Command) -> Done {
    loop {
        match serving.app.hub.command(&room(), actor.clone(), command.clone()).await {
            Ok(done) => return done,
            Err(CommandError::Busy { .. }) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
}

async fn on_air(data: &Path) -> Arc<Serving> {
    let serving = serve(data).await;
    for command in [
        create(),
        command("start", "{}"),
        discount(),
        command("open_discount", r#"{"discount":"ten"}"#),
    ] {
        ask(&serving, HOST, command).await;
    }
    Arc::new(serving)
}

/// Durable claims of one discount in one room, from the mailbox to the answer.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn durable_claims(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    bencher
        .counter(ItemsCount::new(CLAIMS))
        .with_inputs(|| {
            let folder = tempfile::tempdir().unwrap();
            let serving = runtime.block_on(on_air(folder.path()));
            (folder, serving)
        })
        .bench_local_values(|(folder, serving): (TempDir, Arc<Serving>)| {
            let claims = async {
                let claim = command("claim", r#"{"discount":"ten"}"#);
                let asked = stream::iter(0..CLAIMS).map(|number| {
                    let (serving, claim) = (Arc::clone(&serving), claim.clone());
                    tokio::spawn(async move { ask(&serving, viewer(number), claim).await })
                });
                asked
                    .buffer_unordered(AT_ONCE)
                    .for_each(|done| async move { drop(done.unwrap()) })
                    .await;
            };
            runtime.block_on(claims);
            (folder, serving)
        });
}

/// A journal with a room of a million events, made once. A room lets nobody but staff speak so much: each viewer says
/// five things, the host the rest.
fn long_show(runtime: &Runtime, viewers: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let serving = on_air(folder.path()).await;
        let comments = stream::iter(0..LONG_SHOW).map(|number| {
            let serving = Arc::clone(&serving);
            let say = command(
                "comment",
                &format!(r#"{{"nonce":"{number}","text":"which colour is it, number {number}"}}"#),
            );
            let who = match number < 5 * viewers {
                true => viewer((number % viewers) as u32),
                false => HOST,
            };
            tokio::spawn(async move { ask(&serving, who, say).await })
        });
        comments
            .buffer_unordered(1_000)
            .for_each(|done| async move { drop(done.unwrap()) })
            .await;
        let serving = Arc::into_inner(serving).unwrap();
        serving.stop(Duration::from_secs(8)).await;
    });
    folder
}

/// From the start of the server to an answer of the room. Printed by hand: once with snapshots, once without.
#[divan::bench(sample_count = 1, sample_size = 1, args = [5_000, 100_000])]
fn rebuild_a_long_show(viewers: u64) {
    let runtime = runtime();
    let folder = long_show(&runtime, viewers);
    let empty = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let serving = runtime.block_on(serve(empty.path()));
    println!("a server with nothing starts in {:?}", began.elapsed());
    runtime.block_on(serving.stop(Duration::from_secs(8)));
    for snapshots in [true, false] {
        if !snapshots {
            let journal = folder.path().join("journal.sqlite");
            let journal = rusqlite::Connection::open(journal).unwrap();
            journal.execute("DELETE FROM snapshots", ()).unwrap();
        }
        let began = Instant::now();
        let head = runtime.block_on(async {
            let serving = serve(folder.path()).await;
            let head = serving.app.hub.read(&room(), |room, _| room.head).await.unwrap();
            let took = began.elapsed();
            println!("rebuilt {head} events, with snapshots: {snapshots}, in {took:?}");
            serving.stop(Duration::from_secs(8)).await;
            head
        });
        assert!(head >= LONG_SHOW);
    }
}

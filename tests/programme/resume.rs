//! Viewers who are cut off again and again: what each received, beside the journal.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::Duration;

use hubbub::journal::Journal;
use hubbub::journal::sqlite::{Options, Sqlite};
use hubbub::protocol::{Delta, Message};
use hubbub::room::stage::StageEvent;
use hubbub::room::{Answer, Event, Offset};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::support::client::Client;
use crate::support::process::Process;
use crate::trial::{Figures, Scale, Trial};

pub(crate) const TRIAL: Trial = Trial {
    name: "resume",
    what: "viewers are cut at random and come back; each one's stream is compared with the journal",
    needs: &[],
    quick: Ok(()),
    minutes: 20,
    run: |scale| Box::pin(run(scale)),
};

/// Comments a second that everybody receives.
const PER_SECOND: u64 = 10;
/// A viewer is cut off after a number of deltas below this, each time another.
const CUT_AFTER: u64 = 120;

async fn run(scale: Scale) -> Figures {
    let viewers = scale.of(2_000, 20);
    let comments = if scale.long { 600 } else { 30 };
    let mut server = Process::start(&["--no-rates", "--display-budget", "off"]);
    server.live_room("show").await;
    let (tell, last) = watch::channel(None);
    let mut streams = JoinSet::new();
    for viewer in 0..viewers as u64 {
        // Their first keyframe is where the stream begins.
        let client = Client::viewer(server.address, "show", &format!("Viewer {viewer}")).await;
        streams.spawn(follow(client, server.address, last.clone(), move |n| {
            scale.chance(viewer << 32 | n)
        }));
    }
    let end = speak(&server, comments).await;
    tell.send_replace(Some(end));
    let streams = streams.join_all().await;
    server.kill();
    let journal = shown(&server).await;

    let mut figures = Figures::new(&scale);
    figures.note("viewers", viewers);
    let deliveries = streams.iter().map(|stream| stream.deltas.len()).sum::<usize>();
    figures.at_least("deliveries", deliveries, scale.of(1_000_000, 20 * 30));
    figures.note("cuts", streams.iter().map(|stream| stream.cuts).sum::<u64>());
    let skips = streams.iter().map(|stream| stream.not_resumed).sum::<u64>();
    figures.exactly("not continued after a cut", skips, 0_u64);
    let wrong: Vec<_> = streams
        .iter()
        .filter_map(|stream| stream.differs(&journal, end))
        .collect();
    wrong.iter().take(3).for_each(|why| println!("{why}"));
    figures.exactly("streams with a gap, a double or another order", wrong.len(), 0_usize);
    figures
}

/// The host speaks; the offset of the last comment.
async fn speak(server: &Process, comments: usize) -> Offset {
    let mut host = Client::join(server.address, "show", json!({ "token": server.operator }))
        .await
        .expect("an operator");
    let mut clock = interval(Duration::from_millis(1_000 / PER_SECOND));
    let mut last = 0;
    for n in 0..comments {
        clock.tick().await;
        let comment = json!({"nonce": n.to_string(), "text": format!("Number {n}")});
        match host.ask("comment", comment).await {
            Ok(Answer::Comment { comment, .. }) => last = comment,
            other => panic!("staff may always speak: {other:?}"),
        }
    }
    last
}

/// What one viewer received.
struct Stream {
    /// Its keyframe's.
    from: Offset,
    /// `follows`, `offset` and the hash of the events of each delta, as they came.
    deltas: Vec<(Offset, Offset, u64)>,
    cuts: u64,
    not_resumed: u64,
}

/// Follows until the last comment, and is cut off at random.
async fn follow(
    mut client: Client,
    address: SocketAddr,
    mut last: watch::Receiver<Option<Offset>>,
    chance: impl Fn(u64) -> u64,
) -> Stream {
    let token = client.token().to_owned();
    let mut cursor = client.cursor;
    let mut stream = Stream {
        from: cursor.offset,
        deltas: Vec::new(),
        cuts: 0,
        not_resumed: 0,
    };
    let mut left = chance(0) % CUT_AFTER;
    while last.borrow().is_none_or(|end| cursor.offset < end) {
        let message = tokio::select! {
            message = client.next() => message.expect("only it itself ends the connection"),
            _ = last.changed() => continue,
        };
        let Message::Delta(delta) = message else { continue };
        stream.deltas.push((delta.follows, delta.offset, hash(&delta)));
        cursor.offset = delta.offset;
        left = left.saturating_sub(1);
        if left == 0 {
            stream.cuts += 1;
            left = 1 + chance(stream.cuts) % CUT_AFTER;
            client = Client::again(address, "show", &token, cursor).await;
            stream.not_resumed += u64::from(!client.joined.resumed);
        }
    }
    stream
}

fn hash(delta: &Delta<StageEvent>) -> u64 {
    hash_of(&delta.events)
}

fn hash_of(events: &[StageEvent]) -> u64 {
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(events)
        .expect("events are JSON")
        .hash(&mut hasher);
    hasher.finish()
}

impl Stream {
    /// How it differs from what stands in the journal from its keyframe to the end.
    fn differs(&self, journal: &BTreeMap<Offset, StageEvent>, end: Offset) -> Option<String> {
        let mut at = self.from;
        for (follows, offset, hash) in &self.deltas {
            let due: Vec<_> = journal
                .range(at + 1..=*offset)
                .map(|(_, event)| event.clone())
                .collect();
            if *follows > at || *offset <= at || hash_of(&due) != *hash {
                return Some(format!(
                    "after {at} came {offset}, which follows {follows}; the journal has {due:?}"
                ));
            }
            at = *offset;
        }
        (at < end).then(|| format!("it ends at {at} instead of {end}"))
    }
}

/// What the stage shows of the journal of a server that has ended, by offset.
async fn shown(server: &Process) -> BTreeMap<Offset, StageEvent> {
    let journal = Sqlite::open(server.data(), Options::default()).expect("it was killed, and recovers");
    let mut shown = BTreeMap::new();
    let mut head = 0;
    loop {
        let records = journal.read("show", head, 1 << 20).await.expect("it is sound");
        let Some(last) = records.last() else { break };
        head = last.last();
        for record in &records {
            let mut events: Vec<Event> = serde_json::from_slice(&record.events).expect("events");
            // Personal fields stand apart, in the same order.
            let fields: Vec<Value> = serde_json::from_slice(&record.personal).expect("fields");
            let mut texts = fields
                .iter()
                .map(|field| field["text"].as_str().expect("nothing is erased"));
            for (event, offset) in events.iter_mut().zip(record.first..) {
                event.personal(&mut |_, personal| texts.next().expect("one for each").clone_into(&mut personal.0));
                shown.extend(event.stage(offset).map(|event| (offset, event)));
            }
        }
    }
    journal.close().await;
    shown
}

//! A pass over a share of a feed's connections: each gets one write of all that waits for it. And the sweep:
//! pings, silence, slowness and ended tokens, without a timer for each connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::{sleep_until, timeout};

use super::Limits;
use super::burst::Bursts;
use super::connection::{Connection, Flushed, Written};
use super::feed::{Feed, Shared, raw_frame};
use super::mailbox::{Lane, Refused, Work};
use super::room_handle::RoomHandle;
use super::strain::Watch;
use super::stretch::Stretch;
use crate::protocol::{Close, FeedKind, Message};
use crate::room::{Actor, Timestamp};

/// Visits between two chances for the room's task to publish: a visit is a system call of 5-10 us, so they hold
/// the ring's lock for about a quarter of a millisecond.
const VISITS: usize = 32;
/// The time from a pass's start to the next one's, as a multiple of what it took: a quarter of the time goes into
/// passes, the rest into gathering.
const LINGER: u32 = 4;
/// A pass that finds more new batches than these may be followed half as long again later: whoever watches so much
/// chat reads a stream, and each pass then brings more of it.
const FEW: u64 = 2;
/// How often connections are looked after.
const SWEEP: Duration = Duration::from_secs(1);
/// A connection from which nothing was heard for so many intervals between pings is gone.
const SILENT_PINGS: u64 = 2;
/// Each connection's pings are early by up to this part of the interval, so that not all are due at once.
const PING_SHIFT: u64 = 5;
/// Pages that are asked what they have, by all passes together.
const SAMPLE: u32 = 200;

/// Runs for as long as the room is in memory.
pub(super) async fn run(handle: Arc<RoomHandle>, feed: Arc<Feed>, share: usize) {
    let shard = &feed.shards[share];
    let mut connections: Vec<Arc<Connection>> = Vec::new();
    let mut swept = Instant::now();
    let mut not_before = swept;
    let mut watch = Watch::new();
    let mut shown = feed.ring.read().end();
    loop {
        if connections.is_empty() {
            watch.rest(&shard.busy);
            shard.wake.notified().await;
        } else if timeout(SWEEP, shard.wake.notified()).await.is_err() || swept.elapsed() >= SWEEP {
            sweep(&handle, &feed, &connections);
            watch.tell(&shard.busy);
            swept = Instant::now();
        }
        if Instant::now() < not_before {
            sleep_until(not_before.into()).await;
        }
        let began = Instant::now();
        connections.append(&mut shard.arrived.lock());
        let end = feed.ring.read().end();
        visit_all(&handle, &feed, share, &mut connections).await;
        let took = began.elapsed();
        watch.pass(took);
        not_before = began + linger(took, end - shown, handle.hub.limits.linger_max);
        shown = end;
    }
}

/// From the start of a pass to that of the next one, after one that took so long and found so many new batches. Whoever
/// is visited last waits for both: that is bounded too (by 180 ms as shipped), so that passes that take long gather less.
fn linger(took: Duration, batches: u64, most: Duration) -> Duration {
    let until_the_last = most * 9 / 4;
    let most = if batches > FEW { most * 3 / 2 } else { most };
    (LINGER * took).min(most).min(until_the_last.saturating_sub(took))
}

async fn visit_all(handle: &RoomHandle, feed: &Feed, share: usize, connections: &mut Vec<Arc<Connection>>) {
    let metrics = &handle.hub.metrics;
    let decided = if share == 0 { feed.take_decided() } else { None };
    let now = handle.hub.clock.now();
    let mut written = Written::default();
    let mut bursts = Bursts::default();
    let before = connections.len();
    let mut index = 0;
    let mut stretch = Stretch::new();
    while index < connections.len() {
        visit_some(handle, feed, connections, &mut index, &mut bursts, now, &mut written);
        stretch.end_if_long().await;
    }
    feed.shards[share].left(before - connections.len());
    if connections.is_empty() {
        connections.shrink_to(64);
    }
    metrics.bytes_out.inc_by(written.bytes);
    metrics.frames_written.inc_by(written.deltas);
    if let Some(decided) = decided {
        metrics
            .decided_to_written_seconds
            .observe(decided.elapsed().as_secs_f64());
    }
}

/// The next visits, all under one lock of the ring.
fn visit_some(
    handle: &RoomHandle,
    feed: &Feed,
    connections: &mut Vec<Arc<Connection>>,
    index: &mut usize,
    bursts: &mut Bursts,
    now: Timestamp,
    written: &mut Written,
) {
    let mut lost = Vec::new();
    for connection in connections.iter().skip(*index).take(VISITS) {
        connection.fetch();
    }
    let ring = feed.ring.read();
    for _ in 0..VISITS {
        let Some(connection) = connections.get(*index) else {
            break;
        };
        match connection.visit(&ring, bursts, now, written) {
            Flushed::Done => {
                feed.left(connection.wire);
                connections.swap_remove(*index);
                continue;
            }
            Flushed::Lost => lost.push(Arc::clone(connection)),
            Flushed::All | Flushed::Blocked => {}
        }
        *index += 1;
    }
    drop(ring);
    for connection in &lost {
        ask_for_keyframe(handle, connection);
    }
}

/// The connection fell off the ring: the room's task has what it needs.
pub(super) fn ask_for_keyframe(handle: &RoomHandle, connection: &Arc<Connection>) {
    match handle.mailbox.put(Lane::Rush, Work::Resync(Arc::clone(connection))) {
        Ok(()) => {}
        Err(Refused::Full(_)) => connection.ask_again(),
        Err(Refused::Closed(_)) => connection.close(Close::Unavailable),
    }
}

fn sweep(handle: &RoomHandle, feed: &Feed, connections: &[Arc<Connection>]) {
    let now = handle.hub.clock.now();
    let ping = raw_frame(0x9, handle.head().to_string().as_bytes());
    for (index, connection) in connections.iter().enumerate() {
        look_after(handle, connection, index as u64, now, &ping);
    }
    let ring = feed.ring.read();
    for connection in connections {
        handle.hub.metrics.lag_batches.observe(connection.lag(&ring) as f64);
    }
    drop(ring);
    if feed.kind == FeedKind::Stage && handle.backstage.followers() > 0 {
        ask_sample(handle, connections, now);
    }
}

fn look_after(handle: &RoomHandle, connection: &Connection, index: u64, now: Timestamp, ping: &Bytes) {
    let Limits { stall_ms, ping_ms, .. } = handle.hub.limits;
    let expired = connection.expires_at().is_some_and(|at| at <= now);
    let revoked = matches!(connection.actor(), Actor::Operator(person) if handle.hub.auth.is_revoked(*person));
    let since = |at: &std::sync::atomic::AtomicU64| now.since(Timestamp(at.load(Ordering::Relaxed)));
    if connection.is_closing() {
        // Its driver sees to that.
    } else if expired || revoked {
        connection.close(Close::NotAllowed);
    } else if connection.is_blocked() && since(&connection.written_at) > stall_ms {
        tracing::debug!(room = %handle.id, stall_ms, "a connection that takes nothing is closed (--stall-timeout-ms)");
        connection.close(Close::Slow);
    } else if since(&connection.heard_at) > SILENT_PINGS * ping_ms {
        connection.close(Close::Silent);
    } else if since(&connection.pinged_at) > ping_ms - (index * 7_919) % (ping_ms / PING_SHIFT) {
        connection.pinged_at.store(now.0, Ordering::Relaxed);
        connection.queue(ping.clone());
    }
}

/// Asks every n-th page, so that the same number is asked however many there are.
fn ask_sample(handle: &RoomHandle, connections: &[Arc<Connection>], now: Timestamp) {
    let question = Shared::new(Message::AskSeen {});
    let stride = handle.stage.followers().div_ceil(SAMPLE).max(1) as usize;
    let start = now.0 as usize / 1_000 % stride;
    let mut rounds = handle.health.lock();
    for connection in connections
        .iter()
        .skip(start)
        .step_by(stride)
        .filter(|connection| connection.counted())
    {
        rounds.asked(&connection.asked_at, now);
        connection.queue(question.frame(connection.wire).clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_take_a_quarter_of_the_time_up_to_a_bound_that_busy_rooms_stretch() {
        let ms = Duration::from_millis;
        let lingers = |took, batches| linger(ms(took), batches, ms(80)).as_millis();
        assert_eq!([lingers(0, 1), lingers(5, 1), lingers(5, 100)], [0, 20, 20]);
        assert_eq!([lingers(40, 1), lingers(40, 2), lingers(40, 3)], [80, 80, 120]);
        assert_eq!([lingers(70, 3), lingers(100, 3), lingers(200, 3)], [110, 80, 0]);
        assert_eq!(linger(ms(40), 3, ms(0)), ms(0), "switched off");
    }
}

//! One task per room: it drains the mailbox, decides, appends the batch, and only then shows it and replies.
//!
//! While a batch is on its way to the disk the next one gathers in the mailbox, so the state that the task
//! holds between two batches is durable: joins and looks read it then.
//!
//! A panic here, or in one of the room's passes, ends this room's task and no other: see `hub::parking`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::{JoinHandle, JoinSet};

use super::connection::Connection;
use super::counts::Counts;
use super::feed::{Shared, Slot, frame};
use super::mailbox::{Erase, Look, Reply, Whose, Work};
use super::room_handle::RoomHandle;
use super::strain::Strain;
use super::{CommandError, Done, NODE, count, driver, luck, parking, pass, record, registry, requests, strain};
use crate::journal::{Append, AppendError, Appended, ReadError, Record};
use crate::limits::Limit;
use crate::protocol::{Close, Cursor, FeedKind, Joined, Keyframe, Message, Problem, Pulse};
use crate::room::attendance::AttendanceEvent;
use crate::room::audience::{self, AudienceEvent, GRACE_MS};
use crate::room::comment::{CommentEvent, SetDisplayBudget};
use crate::room::discount::DiscountEvent;
use crate::room::draw::DrawEvent;
use crate::room::staff::{Role, StaffEvent};
use crate::room::{Actor, Answer, Command, Event, Offset, Room, Timestamp, ViewerId, ViewerNo};
use crate::telemetry::Counted;

/// Between two pulses.
const PULSE: Duration = Duration::from_secs(1);
/// Without anything else the stage gets its counts again this often, so that a page can tell silence from a
/// dead socket.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A keyframe is shared by all who need one within this time.
const KEYFRAME_LIFE: Duration = Duration::from_secs(1);
/// After a refused append the journal is tried again this soon, doubled with each refusal up to the longest;
/// in between commands are refused at once.
const RETRY_JOURNAL: Duration = Duration::from_millis(250);
const RETRY_JOURNAL_MAX: Duration = Duration::from_secs(4);
/// Changes of presence that may wait for a journal that takes no writes, of about 100 bytes each; then
/// nobody else is taken in.
const BACKLOG_MAX: usize = 50_000;
/// So few answers to sockets are written by the room's task: waking a driver costs as much as several of them. More are
/// the drivers', while the next batch is decided.
const AT_ONCE: usize = 8;
/// Viewers who are told what is theirs, before others get a chance.
const TOLD: usize = 64;
/// A room that nobody uses leaves memory after this time.
const IDLE: Duration = Duration::from_secs(60);
/// Events after which a snapshot is made, ...
const SNAPSHOT_EVENTS: u64 = 20_000;
/// ... or so many for each viewer, if that is more: what a snapshot takes follows from its viewers.
const SNAPSHOT_EVENTS_A_VIEWER: u64 = 2;
/// A batch's events weigh at most about this much (half of it when the last command is added).
const BATCH_BYTES: usize = 512 * 1024;

/// The task's own things.
pub(super) struct RoomTask {
    handle: Arc<RoomHandle>,
    room: Room,
    /// Passes over the connections; they end with the task.
    passes: JoinSet<()>,
    next_tick: Instant,
    last_shown: Instant,
    /// Newer counts wait for company: in a storm of arrivals pulses are many.
    counts: Counts,
    strain: Strain,
    last_used: Instant,
    /// The room's head as of the last pulse.
    pulsed_head: Offset,
    /// After a restart deadlines wait until everybody who was present has had time to come back.
    held_until: Option<Timestamp>,
    keyframes: [Option<CachedKeyframe>; 2],
    snapshot_head: Offset,
    /// Makes the last snapshot, or has made it.
    snapshot: Option<JoinHandle<()>>,
    /// The journal refused an append; not before then it is tried again.
    suspended_until: Option<Instant>,
    /// Counts the room among those that the journal lets down, until it takes a batch.
    unwritable: Option<Counted>,
    /// After the next refusal: longer with each one, since each rebuilds the room.
    retry_after: Duration,
    /// Why the task cannot go on.
    broken: Option<String>,
}

struct CachedKeyframe {
    shared: Shared,
    offset: Offset,
    made: Instant,
}

/// What is decided together.
#[derive(Default)]
struct Batch {
    events: Vec<Event>,
    answers: Vec<Pending>,
    contacts: Vec<(String, Bytes)>,
    pulse: Option<audience::Pulse>,
    bytes: usize,
    /// When deciding began, for the metrics.
    decided: Option<Instant>,
}

struct Pending {
    reply: Reply,
    command: Box<Command>,
    result: Result<Done, CommandError>,
}

/// How a room's task ended: nobody needs it any more, or it broke, and why.
pub(super) type Ended = Result<(), String>;

/// Whether the task goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Go,
    End,
}

/// Runs a room until it is idle or broken.
pub(super) async fn run(handle: Arc<RoomHandle>, room: Room, snapshot_head: Offset) -> Ended {
    let now = Instant::now();
    let held = room.audience.totals.watching > 0;
    let held_until = held.then(|| handle.now().plus(GRACE_MS));
    handle.on_air.store(room.show.state().on_air(), Ordering::Relaxed);
    let mut task = RoomTask {
        pulsed_head: room.head,
        room,
        passes: JoinSet::new(),
        next_tick: now,
        last_shown: now,
        counts: Counts::new(now),
        strain: Strain::default(),
        last_used: now,
        held_until,
        keyframes: [None, None],
        snapshot_head,
        snapshot: None,
        suspended_until: None,
        unwritable: None,
        retry_after: RETRY_JOURNAL,
        broken: None,
        handle,
    };
    for feed in task.handle.feeds() {
        for share in 0..feed.shards.len() {
            task.passes
                .spawn(pass::run(Arc::clone(&task.handle), Arc::clone(feed), share));
        }
    }
    while task.turn().await == Next::Go && task.wait().await == Next::Go {}
    task.broken.map_or(Ok(()), Err)
}

impl RoomTask {
    async fn wait(&mut self) -> Next {
        let wake_at = self.wake_at();
        tokio::select! {
            () = self.handle.mailbox.filled() => Next::Go,
            () = tokio::time::sleep_until(wake_at.into()) => Next::Go,
            // Passes run for ever: one that ended has broken, and its connections hear nothing more.
            Some(ended) = self.passes.join_next() => {
                let panic = ended.err().and_then(|error| error.try_into_panic().ok());
                self.broken = panic.map(|panic| parking::said(&*panic));
                self.end()
            }
        }
    }

    /// When something is to be done without being asked.
    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        let tick = if self.ticks() {
            self.next_tick
        } else {
            (now + PULSE).max(self.last_used + IDLE)
        };
        let deadline = self.room.next_deadline().map(|at| {
            let at = self.held_until.map_or(at, |held| at.max(held));
            self.handle.instant(at)
        });
        let due = [deadline, self.counts.due(now)].into_iter().flatten();
        let at = due.fold(tick, Instant::min);
        at.max(self.suspended_until.unwrap_or(at))
            .max(now + Duration::from_millis(1))
    }

    /// Whether anybody is here, or something is to be told by a pulse.
    fn ticks(&self) -> bool {
        self.held_until.is_some()
            || self.room.head != self.pulsed_head
            || self.handle.taps.load(Ordering::Relaxed) > 0
            || self.handle.connections() > 0
            || !self.handle.presence.lock().is_empty()
            || self.room.attendance_differs(NODE, self.staffed())
    }

    /// Whether a page of the staff is open here.
    fn staffed(&self) -> bool {
        self.handle.backstage.followers() > 0
    }

    async fn turn(&mut self) -> Next {
        if self.handle.mailbox.is_closed() {
            return self.end();
        }
        let works = self.handle.mailbox.drain();
        if !works.is_empty() {
            self.last_used = Instant::now();
            self.handle.hub.metrics.queue_depth.observe(works.len() as f64);
        }
        let now = self.now();
        let mut batch = Batch {
            decided: Some(Instant::now()),
            ..Batch::default()
        };
        let mut reads = Vec::new();
        if self.may_write() {
            self.fire_due(&mut batch, now);
            self.tick(&mut batch, now);
        }
        for work in works {
            match work {
                Work::Command { actor, command, reply } if self.suspended_until.is_none() => {
                    self.decide(&mut batch, &actor, command, reply, now);
                    if batch.bytes > BATCH_BYTES / 2 && self.commit(std::mem::take(&mut batch), now).await == Next::End
                    {
                        return self.end();
                    }
                }
                Work::Command { command, reply, .. } => {
                    let result = Err(CommandError::JournalUnavailable);
                    self.deliver(vec![Pending { reply, command, result }]);
                }
                read => reads.push(read),
            }
        }
        if self.commit(batch, now).await == Next::End {
            return self.end();
        }
        for read in reads {
            if self.read(read).await == Next::End {
                return self.end();
            }
        }
        let instant = Instant::now();
        if self.counts.due(instant).is_some_and(|due| due <= instant) {
            self.show_counts();
        }
        if self.last_shown.elapsed() >= KEEP_ALIVE && self.handle.connections() > 0 {
            self.show_totals(now);
        }
        self.snapshot_if_due();
        if self.idle() && self.handle.mailbox.close(false) {
            self.leave()
        } else {
            Next::Go
        }
    }

    fn now(&self) -> Timestamp {
        self.handle.now().max(self.room.at)
    }

    /// Refused appends suspend the room; now and then it tries again.
    fn may_write(&mut self) -> bool {
        if self.suspended_until.is_some_and(|until| until <= Instant::now()) {
            self.suspended_until = None;
        }
        self.suspended_until.is_none() && self.room.head > 0
    }

    fn fire_due(&mut self, batch: &mut Batch, now: Timestamp) {
        if self.held_until.is_some_and(|until| now < until) {
            return;
        }
        if self.held_until.take().is_some() {
            self.handle.presence.lock().forget_earlier_runs(self.room.at);
        }
        batch.events.extend(self.room.fire_due(now, &mut luck()));
    }

    fn apply(&mut self, batch: &mut Batch, events: Vec<Event>, now: Timestamp) {
        for event in &events {
            self.room.apply(event, now);
        }
        batch.events.extend(events);
    }

    /// Once a second: who left, the pulse, the display budget, what viewers have.
    fn tick(&mut self, batch: &mut Batch, now: Timestamp) {
        if Instant::now() < self.next_tick {
            if self.handle.presence.lock().overflows() {
                self.pulse(batch, now);
            }
            return;
        }
        let busy = self.handle.stage.busy();
        let budget = self.display_budget(busy);
        self.next_tick = Instant::now() + strain::pulse_every(PULSE, budget, busy);
        self.handle.presence.lock().expire(now);
        if self.room.comments.display_budget() != budget {
            let command = Command::SetDisplayBudget(SetDisplayBudget { per_second: budget });
            if let Ok(decision) = self.room.decide(&Actor::Server, &command, now, &mut luck()) {
                self.apply(batch, decision.events, now);
            }
        }
        self.pulse(batch, now);
        if self.handle.backstage.followers() > 0 {
            self.show_health(now);
        }
    }

    /// As configured, or less while the room's passes have no time left.
    fn display_budget(&mut self, busy: u32) -> Option<u32> {
        let whole = self.handle.hub.limits.display_budget?;
        let now = self.room.comments.display_budget().unwrap_or(whole);
        let next = self.strain.next_budget(whole, now, busy);
        if next < now {
            self.handle.hub.metrics.display_budgets_lowered.inc();
            tracing::warn!(room = %self.handle.id, comments_per_second = next, busy_permille = busy, "the audience takes nearly all the time there is: fewer comments are shown");
        }
        Some(next)
    }

    /// The core decides whether it brings anything: also without a change it is offered, since now and then
    /// watch time is to be kept.
    fn pulse(&mut self, batch: &mut Batch, now: Timestamp) {
        let taps = self.handle.taps.swap(0, Ordering::Relaxed);
        let presence = self.handle.presence.lock();
        let pulse = presence.pulse(NODE, self.handle.run, taps);
        drop(presence);
        let pulse = audience::Pulse {
            staffed: self.staffed(),
            unattended_ms: self.handle.hub.limits.unattended_ms,
            ..pulse
        };
        let command = Command::Pulse(pulse);
        match self.room.decide(&Actor::Server, &command, now, &mut luck()) {
            Ok(decision) => self.apply(batch, decision.events, now),
            Err(refusal) => tracing::error!(room = %self.handle.id, %refusal, "a pulse was refused"),
        }
        self.pulsed_head = self.room.head;
        if let Command::Pulse(pulse) = command {
            batch.pulse = Some(pulse);
        }
    }

    fn show_health(&mut self, now: Timestamp) {
        let mut health = self.handle.health.lock().turn(now);
        health.connections = self.handle.connections();
        health.commit_ms = self.handle.hub.last_commit_ms();
        health.journal_ok = self.suspended_until.is_none();
        let budgets = self
            .room
            .comments
            .display_budget()
            .zip(self.handle.hub.limits.display_budget);
        health.thinned = budgets.is_some_and(|(now, whole)| now < whole);
        self.handle.backstage.set_latest(Slot::Health, Message::Health(health));
        self.handle.backstage.wake();
    }

    fn show_totals(&mut self, now: Timestamp) {
        let totals = self.room.audience.totals.clone();
        for feed in self.handle.feeds() {
            let pulse = Pulse {
                as_of: self.room.head,
                at: now,
                totals: totals.clone(),
            };
            feed.set_latest(Slot::Pulse, Message::Pulse(pulse));
        }
        self.show_counts();
    }

    /// Has the counts sent that stand in the feeds.
    fn show_counts(&mut self) {
        self.handle.feeds().into_iter().for_each(|feed| feed.wake());
        self.last_shown = Instant::now();
        self.counts.sent(self.last_shown);
    }

    fn decide(&mut self, batch: &mut Batch, actor: &Actor, command: Box<Command>, reply: Reply, now: Timestamp) {
        let decided = self.room.decide(actor, &command, now, &mut luck());
        let metrics = &self.handle.hub.metrics;
        let result = match decided {
            Ok(decision) => {
                count::decided(metrics, &command, &decision.events);
                batch.bytes += weight(&command);
                // A claim after its deadline gets its first answer and changes nothing, contact details either.
                if !decision.events.is_empty() {
                    batch.contacts.extend(contact_details(&command, &decision.answer));
                }
                self.apply(batch, decision.events, now);
                Ok(Done {
                    answer: decision.answer,
                    after: self.room.head,
                })
            }
            Err(refusal) => Err(CommandError::Refused(refusal)),
        };
        batch.answers.push(Pending { reply, command, result });
    }

    /// Makes a batch durable, then shows it and answers.
    async fn commit(&mut self, batch: Batch, now: Timestamp) -> Next {
        if batch.events.is_empty() {
            self.pulse_reported(batch.pulse.as_ref());
            // A room that was to be made, and was refused, is none.
            let unmade = self.room.head == 0 && !batch.answers.is_empty();
            self.deliver(batch.answers);
            return if unmade { Next::End } else { Next::Go };
        }
        let first = self.room.head + 1 - batch.events.len() as u64;
        let header = record::Header {
            batch: luck().u128(),
            epoch: self.handle.epoch,
            first,
            at: now,
        };
        let record = record::encode(header, batch.events.clone(), &mut luck());
        let append = Append {
            record: record.clone(),
            row: registry::row(&self.room, self.handle.epoch),
            contacts: batch.contacts.clone(),
        };
        let hub = Arc::clone(&self.handle.hub);
        let metrics = &hub.metrics;
        metrics.batch_events.observe(batch.events.len() as f64);
        metrics.batch_commands.observe(batch.answers.len() as f64);
        let appended = hub.journal.append(append).await;
        if !self.is_durable(appended, &record).await {
            return self.take_back(batch).await;
        }
        if let Some(decided) = batch.decided {
            metrics
                .decided_to_durable_seconds
                .observe(decided.elapsed().as_secs_f64());
        }
        count::durable(metrics, &batch.events);
        self.handle.set_head(self.room.head);
        self.retry_after = RETRY_JOURNAL;
        self.unwritable = None;
        self.pulse_reported(batch.pulse.as_ref());
        self.show(&batch, first, now);
        hub.know(&self.room, self.handle.epoch);
        self.deliver(batch.answers);
        self.tell_concerned(&batch.events, now).await;
        Next::Go
    }

    async fn is_durable(&self, appended: Appended, record: &Record) -> bool {
        count::appended(&self.handle.hub.metrics, &appended);
        match appended {
            Appended::Durable => true,
            Appended::NotWritten(AppendError::Conflict { head, expected }) => {
                tracing::error!(room = %self.handle.id, head, expected, "another writer was at this room's journal");
                false
            }
            Appended::NotWritten(error @ AppendError::OtherEpoch { .. }) => {
                tracing::error!(room = %self.handle.id, %error, "the room's journal is of another life");
                false
            }
            Appended::NotWritten(error) => {
                tracing::warn!(room = %self.handle.id, %error, "a batch was not written");
                false
            }
            Appended::Unknown(reason) => {
                tracing::error!(room = %self.handle.id, reason, "nobody can say whether a batch was written");
                let tail = self.handle.hub.journal.tail(self.handle.id.as_str(), 1, 0).await;
                tail.is_ok_and(|tail| tail.last().is_some_and(|last| last.batch == record.batch))
            }
        }
    }

    /// A batch was not written: the room is rebuilt from what is, and everybody who asked is told.
    async fn take_back(&mut self, mut batch: Batch) -> Next {
        if let Some(pulse) = &batch.pulse {
            self.handle.taps.fetch_add(pulse.taps, Ordering::Relaxed);
        }
        let gauge = &self.handle.hub.metrics.rooms_unwritable;
        self.unwritable.get_or_insert_with(|| Counted::one(gauge));
        for pending in &mut batch.answers {
            pending.result = Err(CommandError::JournalUnavailable);
        }
        self.suspended_until = Some(Instant::now() + self.retry_after);
        self.retry_after = RETRY_JOURNAL_MAX.min(2 * self.retry_after);
        let hub = &self.handle.hub;
        let rebuilt = hub
            .rebuild(&self.handle.id, &hub.metrics.room_scans.failed_append)
            .await;
        self.deliver(batch.answers);
        match rebuilt {
            Ok((room, _)) if room.head > 0 && room.head == self.handle.head() => {
                self.room = room;
                self.handle.hub.metrics.rooms_rebuilt.inc();
                Next::Go
            }
            // Another head than what was shown, or a room that never was: whoever follows starts afresh.
            Ok(_) => Next::End,
            Err(error) => {
                tracing::error!(room = %self.handle.id, %error, "the room cannot be rebuilt");
                self.broken = matches!(error, ReadError::Damaged { .. }).then(|| error.to_string());
                Next::End
            }
        }
    }

    fn pulse_reported(&self, pulse: Option<&audience::Pulse>) {
        if let Some(pulse) = pulse {
            self.handle.presence.lock().commit(pulse);
        }
    }

    fn show(&mut self, batch: &Batch, first: Offset, at: Timestamp) {
        let totals = batch.events.iter().rev().find_map(Event::totals);
        if totals.is_some() {
            self.counts.changed(Instant::now());
        }
        for feed in self.handle.feeds() {
            let shown = feed.push(first, at, &batch.events, batch.decided);
            if let Some(totals) = totals {
                let pulse = Pulse {
                    as_of: self.room.head,
                    at,
                    totals: totals.clone(),
                };
                feed.set_latest(Slot::Pulse, Message::Pulse(pulse));
            }
            if shown {
                feed.wake();
                self.last_shown = Instant::now();
            }
            if shown && feed.kind == FeedKind::Stage {
                self.counts.sent_with_delta(self.last_shown);
            }
        }
        if batch
            .events
            .iter()
            .any(|event| matches!(event, Event::Comment(CommentEvent::Deleted { .. })))
        {
            self.keyframes = [None, None];
        }
        for event in &batch.events {
            if let Event::Attendance(AttendanceEvent::Unattended { since, .. }) = event {
                tracing::warn!(room = %self.handle.id, since_ms = since.0, "a show is on air without staff");
            }
        }
        self.handle
            .on_air
            .store(self.room.show.state().on_air(), Ordering::Relaxed);
    }

    /// Tells viewers what has become theirs, on all their connections, and closes those of staff without a
    /// role.
    async fn tell_concerned(&self, events: &[Event], now: Timestamp) {
        let mut concerned = BTreeSet::new();
        for event in events {
            if let Event::Staff(StaffEvent::Removed { person, .. }) = event {
                let presence = self.handle.presence.lock();
                presence
                    .of_staff(*person)
                    .for_each(|connection| connection.close(Close::Removed));
            }
            concerned.extend(self.concerned(event));
        }
        let viewers = concerned
            .into_iter()
            .filter_map(|number| self.room.audience.viewer(number));
        for (told, viewer) in viewers.enumerate() {
            let connections = self.handle.presence.lock().connections(viewer.id).to_vec();
            if !connections.is_empty() {
                self.send_mine(viewer.id, &connections, now);
            }
            if told % TOLD == TOLD - 1 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn concerned(&self, event: &Event) -> Vec<ViewerNo> {
        match event {
            Event::Discount(DiscountEvent::Claimed { viewer, .. })
            | Event::Draw(DrawEvent::Entered { viewer, .. })
            | Event::Comment(CommentEvent::Muted { viewer, .. } | CommentEvent::Unmuted { viewer, .. }) => {
                vec![*viewer]
            }
            // Their receipts: everyone present got an entry just now.
            Event::Draw(DrawEvent::Locked { present, .. }) => present.clone(),
            Event::Audience(AudienceEvent::Renamed { viewer, .. }) => vec![*viewer],
            Event::Draw(DrawEvent::PrizeClaimed { id, entry, .. }) => {
                let winners = self.room.winners(id).unwrap_or_default();
                let winner = winners.into_iter().find(|winner| winner.entry == *entry);
                winner.map(|winner| winner.viewer).into_iter().collect()
            }
            Event::Discount(DiscountEvent::Redeemed { id, index, .. }) => {
                self.room.discounts.holder(id, *index).into_iter().collect()
            }
            Event::Draw(DrawEvent::Revealed { winners, .. } | DrawEvent::Redrawn { winners, .. }) => {
                winners.iter().map(|winner| winner.by).collect()
            }
            _ => Vec::new(),
        }
    }

    fn send_mine(&self, id: ViewerId, connections: &[Arc<Connection>], now: Timestamp) {
        let message = Shared::new(Message::Mine {
            after: self.room.head,
            mine: self.room.mine(id, now),
        });
        for connection in connections {
            connection.queue(message.frame(connection.wire).clone());
        }
    }

    fn deliver(&self, answers: Vec<Pending>) {
        let at_once = answers.len() <= AT_ONCE;
        for Pending { reply, command, result } in answers {
            count::answered(&self.handle.hub.metrics, &command, &result);
            match reply {
                Reply::Await(sender) => {
                    // Whoever asked may have gone; the command is done all the same.
                    let _ = sender.send(result);
                }
                Reply::Socket { connection, re } => {
                    let message = answer_message(re, &command, result);
                    match at_once {
                        true => driver::answer_at_once(&connection, &message),
                        false => connection.answered(&message),
                    }
                }
            }
        }
    }

    async fn read(&mut self, work: Work) -> Next {
        match work {
            Work::Erase(erase) => return self.erase(erase).await,
            Work::Look(look) => self.look(look),
            Work::Join {
                connection,
                joined,
                cursor,
            } => {
                self.join(connection.connection(), *joined, cursor);
                connection.done();
            }
            Work::Resync(connection) => self.resync(&connection),
            Work::Command { .. } => {}
        }
        Next::Go
    }

    /// Data was erased from the log: what is left of it there is erased, and what is in memory made anew.
    async fn erase(&mut self, erase: Erase) -> Next {
        let Erase { whose, after, reply } = erase;
        let hub = Arc::clone(&self.handle.hub);
        let erased = hub.erase_rest(&self.room, whose, after).await;
        let renewed = match erased {
            Ok(_) => self.renew().await,
            Err(_) => Ok(()),
        };
        if let Err(error) = renewed {
            tracing::error!(room = %self.handle.id, %error, "the room cannot be rebuilt");
            self.broken = matches!(error, ReadError::Damaged { .. }).then(|| error.to_string());
            return Next::End;
        }
        if let (Ok(_), Whose::Viewer(viewer)) = (&erased, whose) {
            self.handle.presence.lock().close_viewer(viewer, Close::RightsChanged);
        }
        // Whoever asked may have gone.
        let _ = reply.send(erased);
        Next::Go
    }

    /// The room and what its feeds keep are as the log says now, which has the same offsets as before.
    async fn renew(&mut self) -> Result<(), ReadError> {
        let hub = &self.handle.hub;
        let (room, _) = hub.rebuild(&self.handle.id, &hub.metrics.room_scans.erasure).await?;
        let tail = hub.tail(&self.handle.id).await?;
        self.room = room;
        self.handle.feeds().into_iter().for_each(|feed| feed.renew(&tail));
        self.keyframes = [None, None];
        Ok(())
    }

    fn look(&self, look: Look) {
        look(&self.room, self.now());
    }

    fn join(&mut self, connection: &Arc<Connection>, mut joined: Joined, cursor: Option<Cursor>) {
        if self.handle.hub.draining() {
            return connection.close(Close::Restart);
        }
        if self.handle.presence.lock().backlog() > BACKLOG_MAX {
            return connection.close(Close::Unavailable);
        }
        if let Some(limit) = self.crowded(connection) {
            self.handle.hub.metrics.limits.note(limit);
            return connection.close(Close::Full);
        }
        let now = self.now();
        joined.role = match connection.actor() {
            Actor::Viewer(_) | Actor::Server => None,
            Actor::Operator(_) => Some(Role::Host),
            Actor::Store(_) => return connection.close(Close::NotAllowed),
            Actor::Staff(person) => match self.room.staff.members.get(person) {
                Some(member) if member.role != Role::Store => Some(member.role),
                Some(_) => return connection.close(Close::NotAllowed),
                None => return connection.close(Close::Removed),
            },
        };
        joined.now = now;
        joined.epoch = self.handle.epoch;
        if let Some(id) = connection.viewer() {
            joined.mine = self.room.mine(id, now);
        }
        let feed = Arc::clone(&connection.feed);
        let continued = cursor
            .filter(|cursor| cursor.epoch == self.handle.epoch && cursor.offset <= self.room.head)
            .and_then(|cursor| feed.ring.read().after(cursor.offset));
        joined.resumed = continued.is_some();
        let first = frame(connection.wire.encoding, &Message::Joined(Box::new(joined)));
        match continued.zip(cursor) {
            Some((next, cursor)) => connection.follow([first], cursor.offset, next),
            None => {
                let (keyframe, offset, next) = self.keyframe(connection, now);
                connection.follow([first, keyframe], offset, next);
            }
        }
        feed.joined(Arc::clone(connection));
        self.share_rates(connection);
        self.handle.presence.lock().came(connection, now);
    }

    /// More connections of the same viewer or person allow them no more than one does.
    fn share_rates(&self, connection: &Connection) {
        let other = || self.handle.presence.lock().of(connection.actor()).next().cloned();
        if let Some(other) = connection.share().and_then(|_| other()) {
            requests::share_rates(connection, &other);
        }
    }

    /// The limit that leaves no room for one more connection. Staff always has room among viewers.
    fn crowded(&self, connection: &Connection) -> Option<Limit> {
        let limits = &self.handle.hub.limits;
        let own = || self.handle.presence.lock().of(connection.actor()).count();
        if connection.share().is_some() && own() >= limits.connections_per_viewer {
            return Some(Limit::ConnectionsPerViewer);
        }
        let full = |max| self.handle.connections() as usize >= max;
        let is_viewer = connection.viewer().is_some();
        (is_viewer && limits.connections_per_room.is_some_and(full)).then_some(Limit::ConnectionsPerRoom)
    }

    /// A connection fell off the ring: it is told so, and starts afresh with the keyframe and mine.
    fn resync(&mut self, connection: &Arc<Connection>) {
        let Some(from) = connection.lost_at() else { return };
        let now = self.now();
        let (keyframe, to, next) = self.keyframe(connection, now);
        let skipped = frame(connection.wire.encoding, &Message::Skipped { from, to });
        let mine = connection.viewer().map(|id| {
            let mine = self.room.mine(id, now);
            frame(
                connection.wire.encoding,
                &Message::Mine {
                    after: self.room.head,
                    mine,
                },
            )
        });
        connection.follow([skipped, keyframe].into_iter().chain(mine), to, next);
        self.handle.hub.metrics.skips.inc();
    }

    /// The newest keyframe, made afresh at most about once a second, its offset, and the index of the delta
    /// after it.
    fn keyframe(&mut self, connection: &Connection, now: Timestamp) -> (Bytes, Offset, u64) {
        let feed = &connection.feed;
        let place = feed.kind as usize;
        if let Some(cached) = &self.keyframes[place]
            && cached.made.elapsed() < KEYFRAME_LIFE
            && let Some(next) = feed.ring.read().after(cached.offset)
        {
            return (cached.shared.frame(connection.wire).clone(), cached.offset, next);
        }
        let (epoch, offset, at) = (self.handle.epoch, self.room.head, now);
        let message = match feed.kind {
            FeedKind::Stage => Message::Keyframe(Box::new(Keyframe {
                epoch,
                offset,
                at,
                state: self.room.stage(),
            })),
            FeedKind::Backstage => Message::BackstageKeyframe(Box::new(Keyframe {
                epoch,
                offset,
                at,
                state: self.room.backstage(now),
            })),
        };
        let shared = Shared::new(message);
        let bytes = shared.frame(connection.wire).clone();
        self.keyframes[place] = Some(CachedKeyframe {
            shared,
            offset,
            made: Instant::now(),
        });
        (bytes, offset, feed.ring.read().end())
    }

    /// A snapshot is made off this task, by folding the log onto the previous one.
    fn snapshot_if_due(&mut self) {
        let viewers = self.room.audience.viewers.len() as u64;
        let events = SNAPSHOT_EVENTS.max(SNAPSHOT_EVENTS_A_VIEWER * viewers);
        let busy = self.snapshot.as_ref().is_some_and(|last| !last.is_finished());
        if self.room.head < self.snapshot_head + events || busy || self.handle.hub.draining() {
            return;
        }
        self.snapshot_head = self.room.head;
        let (hub, id) = (Arc::clone(&self.handle.hub), self.handle.id.clone());
        self.snapshot = Some(tokio::spawn(async move { hub.make_snapshot(&id).await }));
    }

    fn idle(&self) -> bool {
        let soon = self.now().plus(IDLE.as_millis() as u64);
        self.last_used.elapsed() >= IDLE && !self.ticks() && self.room.next_deadline().is_none_or(|at| at > soon)
    }

    /// Out of memory; the mailbox is closed, whoever comes loads the room again.
    fn leave(&mut self) -> Next {
        self.handle.hub.forget(&self.handle.id, &self.handle);
        Next::End
    }

    /// The room cannot go on: the next one who asks has it rebuilt.
    fn end(&mut self) -> Next {
        self.handle.mailbox.close(true);
        self.leave()
    }
}

/// What a winner filled in, and the key under which it is stored beside the log.
fn contact_details(command: &Command, answer: &Answer) -> Option<(String, Bytes)> {
    let (Command::ClaimPrize(claim), Answer::Prize(receipt)) = (command, answer) else {
        return None;
    };
    let contact = serde_json::to_vec(&claim.contact).expect("a map with string keys");
    (!claim.contact.is_empty()).then(|| (format!("{}/{:08}", receipt.draw, receipt.entry), contact.into()))
}

/// What a command adds to a batch, roughly, bytes.
fn weight(command: &Command) -> usize {
    match command {
        Command::AddCodes(add) => add.codes.iter().map(|code| code.len() + 3).sum(),
        Command::SetBlockedWords(set) => set.words.iter().map(|word| word.len() + 3).sum(),
        Command::LockDraw(_) => BATCH_BYTES / 2,
        Command::Comment(post) => post.text.len() + 300,
        _ => 300,
    }
}

fn answer_message(re: u64, command: &Command, result: Result<Done, CommandError>) -> Message {
    match result {
        Ok(Done { answer, after }) => Message::Ok { re, after, answer },
        Err(error) => Message::Err(problem(re, command, &error)),
    }
}

/// What a socket is told of a command that was not done.
pub(super) fn problem(re: u64, command: &Command, error: &CommandError) -> Problem {
    match error {
        CommandError::Refused(refusal) => Problem::refused(Some(re), refusal, command),
        CommandError::Busy { .. }
        | CommandError::JournalUnavailable
        | CommandError::Parked
        | CommandError::Draining => {
            let refused = Problem::refused(Some(re), &crate::room::Refusal::NotAllowed, command);
            let retry_after_ms = error.retry_after_ms();
            Problem {
                code: error.code().to_owned(),
                message: error.to_string(),
                retry_after_ms,
                ..refused
            }
        }
    }
}

//! What this node knows of one room's audience between two pulses: who came, who left, and taps.
//!
//! A viewer is present with a connection or within the grace after the last one broke. Arrivals are reported
//! at once, departures when the grace is over, with the time at which the connection broke.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::connection::Connection;
use crate::protocol::{Close, Message};
use crate::room::audience::{Arrival, Departure, GRACE_MS, PULSE_CHANGES_MAX, Pulse, Visitor};
use crate::room::{Actor, PersonId, Timestamp, ViewerId};

/// What lists and maps keep room for once a storm is over.
const FEW: usize = 64;

/// The viewers of one room on this node.
#[derive(Default)]
pub(super) struct Presence {
    here: HashMap<ViewerId, Here>,
    arrived: Vec<Arrival>,
    left: Vec<Departure>,
    /// Whose grace ends when, in order of time.
    leaving: VecDeque<(Timestamp, ViewerId)>,
    /// Number of the last pulse that became durable.
    number: u64,
    /// Connections of staff and previews, which count nowhere; staff's are closed when their role is taken away.
    uncounted: Vec<(Option<PersonId>, Arc<Connection>)>,
    /// To be said by the next pulse: earlier runs of this node are over.
    forget_earlier_runs_at: Option<Timestamp>,
}

#[derive(Default)]
struct Here {
    connections: Vec<Arc<Connection>>,
    broke_at: Option<Timestamp>,
}

impl Presence {
    /// A connection has joined. One that has ended meanwhile is not taken in.
    pub(super) fn came(&mut self, connection: &Arc<Connection>, now: Timestamp) {
        if connection.ended.load(Ordering::Relaxed) {
            return;
        }
        match connection.actor() {
            Actor::Viewer(visitor) if connection.counted() => self.viewer_came(visitor, connection, now),
            Actor::Staff(person) => self.uncounted.push((Some(*person), Arc::clone(connection))),
            Actor::Viewer(_) | Actor::Operator(_) | Actor::Store(_) | Actor::Server => {
                self.uncounted.push((None, Arc::clone(connection)))
            }
        }
    }

    fn viewer_came(&mut self, visitor: &Visitor, connection: &Arc<Connection>, now: Timestamp) {
        let here = self.here.entry(visitor.id).or_insert_with(|| {
            let arrival = Arrival {
                id: visitor.id,
                name: visitor.name.clone(),
                store: visitor.store,
                address: Some(visitor.address.key),
                at: now,
            };
            self.arrived.push(arrival);
            Here::default()
        });
        here.broke_at = None;
        here.connections.push(Arc::clone(connection));
    }

    /// A connection has ended; false if that is known already.
    pub(super) fn went(&mut self, connection: &Arc<Connection>, now: Timestamp) -> bool {
        let first = !connection.ended.swap(true, Ordering::Relaxed);
        if first {
            self.forget(connection, now);
        }
        first
    }

    fn forget(&mut self, connection: &Arc<Connection>, now: Timestamp) {
        let Some(id) = connection.viewer().filter(|_| connection.counted()) else {
            self.uncounted.retain(|(_, other)| !Arc::ptr_eq(other, connection));
            return;
        };
        let Some(here) = self.here.get_mut(&id) else { return };
        here.connections.retain(|other| !Arc::ptr_eq(other, connection));
        if here.connections.is_empty() && here.broke_at.is_none() {
            here.broke_at = Some(now);
            self.leaving.push_back((now.plus(GRACE_MS), id));
        }
    }

    /// The connections of a member of staff.
    pub(super) fn of_staff(&self, person: PersonId) -> impl Iterator<Item = &Arc<Connection>> {
        self.uncounted
            .iter()
            .filter(move |(other, _)| *other == Some(person))
            .map(|(_, connection)| connection)
    }

    /// Everybody whose grace is over has left.
    pub(super) fn expire(&mut self, now: Timestamp) {
        while let Some((until, id)) = self.leaving.front().copied().filter(|(until, _)| *until <= now) {
            self.leaving.pop_front();
            let broke_at = self.here.get(&id).and_then(|here| here.broke_at);
            if let Some(at) = broke_at.filter(|at| at.plus(GRACE_MS) <= until) {
                self.here.remove(&id);
                self.left.push(Departure { id, at });
            }
        }
        if self.leaving.is_empty() {
            self.leaving.shrink_to(FEW);
            self.here.shrink_to(FEW);
        }
    }

    /// Closes a viewer's connections.
    pub(super) fn close_viewer(&self, id: ViewerId, close: Close) {
        let previews = self.uncounted.iter().map(|(_, connection)| connection);
        let previews = previews.filter(|connection| connection.viewer() == Some(id));
        let theirs = self.connections(id).iter().chain(previews);
        theirs.for_each(|connection| connection.close(close));
    }

    /// Closes everybody's connection.
    pub(super) fn close_all(&self, close: Close) {
        let viewers = self.here.values().flat_map(|here| &here.connections);
        viewers
            .chain(self.uncounted.iter().map(|(_, connection)| connection))
            .for_each(|connection| connection.close(close));
    }

    /// Tells everybody to come back, each after a delay of their own.
    pub(super) fn send_away(&self, mut delay_ms: impl FnMut() -> u64) {
        let viewers = self.here.values().flat_map(|here| &here.connections);
        for connection in viewers.chain(self.uncounted.iter().map(|(_, connection)| connection)) {
            connection.send(&Message::Bye {
                retry_after_ms: delay_ms(),
            });
            connection.close(Close::Restart);
        }
    }

    /// The connections that the same viewer or person has here, previews included.
    pub(super) fn of(&self, actor: &Actor) -> impl Iterator<Item = &Arc<Connection>> {
        let counted = match actor {
            Actor::Viewer(visitor) => self.connections(visitor.id),
            _ => &[],
        };
        let uncounted = self.uncounted.iter().map(|(_, connection)| connection);
        counted
            .iter()
            .chain(uncounted.filter(|other| is_same(other.actor(), actor)))
    }

    /// The connections of one viewer.
    pub(super) fn connections(&self, id: ViewerId) -> &[Arc<Connection>] {
        self.here.get(&id).map_or(&[], |here| &here.connections)
    }

    /// Says with the next pulse that whoever is not reported present by then left at `at`.
    pub(super) fn forget_earlier_runs(&mut self, at: Timestamp) {
        self.forget_earlier_runs_at = Some(at);
    }

    /// Whether a pulse would bring something.
    pub(super) fn changed(&self) -> bool {
        !self.arrived.is_empty() || !self.left.is_empty() || self.forget_earlier_runs_at.is_some()
    }

    /// Nobody is here, and nobody is expected back.
    pub(super) fn is_empty(&self) -> bool {
        self.here.is_empty() && self.uncounted.is_empty() && !self.changed()
    }

    /// More changes wait than one pulse takes.
    pub(super) fn overflows(&self) -> bool {
        self.arrived.len() + self.left.len() > PULSE_CHANGES_MAX
    }

    /// How many changes wait to be reported.
    pub(super) fn backlog(&self) -> usize {
        self.arrived.len() + self.left.len()
    }

    /// The next pulse. Nothing is forgotten until [`Presence::commit`].
    pub(super) fn pulse(&self, node: u32, run: u64, taps: u64) -> Pulse {
        let arrived: Vec<_> = self.arrived.iter().take(PULSE_CHANGES_MAX).cloned().collect();
        let all_arrived = arrived.len() == self.arrived.len();
        let left = self
            .left
            .iter()
            .take(PULSE_CHANGES_MAX - arrived.len())
            .copied()
            .collect();
        let forget_earlier_runs_at = self.forget_earlier_runs_at.filter(|_| all_arrived);
        Pulse {
            node,
            run,
            number: self.number + 1,
            taps,
            arrived,
            left,
            forget_earlier_runs_at,
            ..Pulse::default()
        }
    }

    /// A pulse is durable (or brought nothing): its changes are reported.
    pub(super) fn commit(&mut self, pulse: &Pulse) {
        self.number = pulse.number;
        self.arrived.drain(..pulse.arrived.len());
        self.left.drain(..pulse.left.len());
        if pulse.forget_earlier_runs_at.is_some() {
            self.forget_earlier_runs_at = None;
        }
        if !self.changed() {
            self.arrived.shrink_to(FEW);
            self.left.shrink_to(FEW);
        }
    }
}

/// Two connections are of one viewer, or one person.
fn is_same(one: &Actor, other: &Actor) -> bool {
    match (one, other) {
        (Actor::Viewer(one), Actor::Viewer(other)) => one.id == other.id,
        (Actor::Staff(one), Actor::Staff(other)) | (Actor::Operator(one), Actor::Operator(other)) => one == other,
        _ => false,
    }
}

//! Whether any of the staff is there while the show is on air: a page of theirs is open on some node. After a
//! while without anybody the room warns, once; when somebody is back, it says for how long nobody was.
//!
//! Like the audience's presence it is known only from pulses, which report a change of it; so a pulse also
//! brings how long the server's configuration waits before the warning. Before the start and after the end
//! nobody asks.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::audience::Pulse;
use super::stage::StaffOnly;
use super::{Event, Room, Timestamp};

/// How long a show may be on air without staff before the room warns, unless configured otherwise: 30 minutes.
pub const UNATTENDED_MS: u64 = 30 * 60_000;

/// What happened to the attendance of a show on air.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttendanceEvent {
    /// A node has a page of the staff open.
    Came {
        /// The node.
        node: u32,
    },
    /// A node has none, or none any more.
    Left {
        /// The node.
        node: u32,
        /// If no other has one: when that is to be warned of.
        warn_at: Timestamp,
    },
    /// Nobody was there for so long that it is a warning.
    Unattended {
        /// Since when.
        since: Timestamp,
        /// When the warning was due.
        due: Timestamp,
    },
}

/// A time on air without staff, long enough for a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Unattended {
    /// Since when.
    pub since: Timestamp,
    /// When somebody was back; absent: nobody is yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The attendance's part of the room's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attendance {
    /// Nodes with a page of the staff open.
    nodes: BTreeSet<u32>,
    /// Since when nobody is there; `None` also before anybody has said.
    alone_since: Option<Timestamp>,
    /// When that is to be warned of.
    warn_at: Option<Timestamp>,
    /// The last time that was warned of.
    pub unattended: Option<Unattended>,
    /// Of the last event that somebody or something caused: a warning is none.
    stirred_at: Timestamp,
}

/// What a pulse changes.
pub(super) fn pulsed(room: &Room, pulse: &Pulse, now: Timestamp) -> Option<Event> {
    let Pulse { node, staffed, .. } = *pulse;
    let warn_at = now.plus(pulse.unattended_ms);
    let changed = match staffed {
        true => AttendanceEvent::Came { node },
        false => AttendanceEvent::Left { node, warn_at },
    };
    room.attendance_differs(node, staffed).then(|| changed.into())
}

/// The warning.
pub(super) fn due(room: &Room, due: Timestamp) -> Vec<Event> {
    let since = room.attendance.alone_since;
    let warning = since.map(|since| AttendanceEvent::Unattended { since, due }.into());
    warning.into_iter().collect()
}

impl Room {
    /// Whether a pulse of a node would change what the room knows of its staff's pages.
    pub fn attendance_differs(&self, node: u32, staffed: bool) -> bool {
        let Attendance { nodes, alone_since, .. } = &self.attendance;
        let unknown = !staffed && nodes.is_empty() && alone_since.is_none();
        self.show.state().on_air() && (nodes.contains(&node) != staffed || unknown)
    }

    /// Since when a show on air has been without staff, where that was warned of and still is so.
    pub fn unattended_since(&self) -> Option<Timestamp> {
        let open = self.attendance.unattended.filter(|past| past.until.is_none());
        open.filter(|_| self.show.state().on_air()).map(|open| open.since)
    }

    /// When the warning is due.
    pub(super) fn attendance_deadline(&self) -> Option<Timestamp> {
        self.attendance.warn_at.filter(|_| self.show.state().on_air())
    }
}

impl Attendance {
    /// Since when nothing has happened, if no page of the staff is open either.
    pub(super) fn quiet_since(&self) -> Option<Timestamp> {
        self.nodes.is_empty().then_some(self.stirred_at)
    }

    /// Something happened, of whatever kind.
    pub(super) fn stir(&mut self, event: &Event, at: Timestamp) {
        if !matches!(event, Event::Attendance(AttendanceEvent::Unattended { .. })) {
            self.stirred_at = at;
        }
    }

    pub(super) fn apply(&mut self, event: &AttendanceEvent, at: Timestamp) {
        match *event {
            AttendanceEvent::Came { node } => {
                self.nodes.insert(node);
                (self.alone_since, self.warn_at) = (None, None);
                if let Some(past) = &mut self.unattended {
                    past.until.get_or_insert(at);
                }
            }
            AttendanceEvent::Left { node, warn_at } => {
                self.nodes.remove(&node);
                if self.nodes.is_empty() {
                    self.alone_since.get_or_insert(at);
                    self.warn_at.get_or_insert(warn_at);
                }
            }
            AttendanceEvent::Unattended { since, due: _ } => {
                self.warn_at = None;
                self.unattended = Some(Unattended { since, until: None });
            }
        }
    }
}

impl AttendanceEvent {
    pub(super) fn staff_only(&self) -> Vec<StaffOnly> {
        match *self {
            Self::Came { .. } => vec![StaffOnly::Attended {}],
            Self::Left { .. } => Vec::new(),
            Self::Unattended { since, .. } => vec![StaffOnly::Unattended { since }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::show::{Create, DESERTED_MS, Details, State};
    use super::super::{Actor, Command, Empty, Luck, PersonId, RoomId};
    use super::*;

    const HOST: Actor = Actor::Operator(PersonId(1));
    const MINUTE: u64 = 60_000;

    struct Scene {
        room: Room,
        pulses: u64,
    }

    impl Scene {
        fn live() -> Self {
            let mut scene = Self {
                room: Room::new(RoomId::new("show").unwrap()),
                pulses: 0,
            };
            let details = Details {
                title: "Lipsticks".into(),
                host: "Lina".into(),
                ..Details::default()
            };
            scene.ask(&HOST, Command::Create(Create { details }), 0);
            scene.ask(&HOST, Command::Start(Empty {}), 0);
            scene
        }

        /// How many events came of it, and of what was due before.
        fn ask(&mut self, actor: &Actor, command: Command, minute: u64) -> usize {
            let now = Timestamp(minute * MINUTE);
            let due = self.room.fire_due(now, &mut Luck::new([1; 32])).len();
            let decided = self.room.decide(actor, &command, now, &mut Luck::new([2; 32])).unwrap();
            decided.events.iter().for_each(|event| self.room.apply(event, now));
            due + decided.events.len()
        }

        /// A node says whether staff are there.
        fn staffed(&mut self, node: u32, staffed: bool, minute: u64) -> usize {
            self.pulses += 1;
            let pulse = Pulse {
                node,
                run: 1,
                number: self.pulses,
                staffed,
                unattended_ms: UNATTENDED_MS,
                ..Pulse::default()
            };
            self.ask(&Actor::Server, Command::Pulse(pulse), minute)
        }

        fn pass(&mut self, minute: u64) -> &Self {
            self.room.fire_due(Timestamp(minute * MINUTE), &mut Luck::new([1; 32]));
            self
        }

        fn alone(&self) -> Option<u64> {
            self.room.unattended_since().map(|since| since.0 / MINUTE)
        }
    }

    #[test]
    fn a_show_without_staff_warns_once_after_its_time_and_says_how_long_when_they_are_back() {
        let mut scene = Scene::live();
        scene.staffed(1, true, 0);
        scene.staffed(1, false, 10);
        assert_eq!(scene.pass(39).alone(), None);
        assert_eq!(scene.pass(40).alone(), Some(10));
        let head = scene.room.head;
        assert_eq!(scene.pass(90).room.head, head, "once");
        scene.staffed(1, true, 95);
        let past = Unattended {
            since: Timestamp(10 * MINUTE),
            until: Some(Timestamp(95 * MINUTE)),
        };
        assert_eq!((scene.alone(), scene.room.attendance.unattended), (None, Some(past)));
    }

    #[test]
    fn a_show_that_a_program_started_warns_too() {
        let mut scene = Scene::live();
        scene.staffed(1, false, 0);
        assert_eq!(scene.pass(30).alone(), Some(0));
    }

    #[test]
    fn staff_at_any_node_are_staff() {
        let mut scene = Scene::live();
        scene.staffed(1, true, 0);
        scene.staffed(2, true, 1);
        scene.staffed(1, false, 2);
        assert_eq!(scene.pass(60).alone(), None);
        scene.staffed(2, false, 61);
        assert_eq!(scene.pass(91).alone(), Some(61));
    }

    #[test]
    fn only_a_change_on_air_is_an_event() {
        let mut scene = Scene::live();
        assert_eq!(scene.staffed(1, true, 0), 2);
        assert_eq!(scene.staffed(1, true, 1), 0);
        assert_eq!(scene.staffed(1, false, 2), 2);
        assert_eq!(scene.staffed(1, false, 3), 0);
        let mut draft = Scene::live();
        draft.room.show = Default::default();
        assert_eq!(draft.staffed(1, true, 0), 0, "before the start nobody asks");
    }

    #[test]
    fn the_warning_does_not_put_the_end_of_a_deserted_show_off() {
        let mut scene = Scene::live();
        scene.staffed(1, false, 0);
        let end = DESERTED_MS / MINUTE;
        assert_eq!(scene.pass(end - 1).room.show.state(), State::Live);
        assert_eq!(scene.pass(end).room.show.state(), State::Ended);
    }

    #[test]
    fn a_show_is_not_deserted_while_its_staff_look_on() {
        let mut scene = Scene::live();
        scene.staffed(1, true, 0);
        assert_eq!(scene.pass(1_000).room.show.state(), State::Live);
    }
}

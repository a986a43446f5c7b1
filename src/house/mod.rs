//! What belongs to no room: which devices of operators signed in, and which of them, and of the shops of all
//! rooms, were revoked. The same way as a room: pure decide and apply over a journaled stream
//! ([`crate::journal::HOUSE`]), kept by a [`Keeper`].

mod keeper;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use keeper::{Keeper, NotDone};

use crate::auth::STORE_MS;
use crate::journal::{HOUSE, ReadError, Record};
use crate::room::staff::DEVICE_MS;
use crate::room::{Offset, PersonId, Timestamp};

/// Devices that are remembered, revoked ones among them. Each is forgotten when its token ends.
pub const DEVICES_MAX: usize = 1_000;

/// What somebody wants of the house.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Uses a sign-in code: the person in it becomes an operator's device. Once.
    SignIn {
        /// From the code.
        person: PersonId,
    },
    /// Takes a device's rights away, also of a token or code that was made on the command line, and a shop's of
    /// all rooms.
    Revoke {
        /// Which.
        person: PersonId,
        /// By which other, or the same.
        by: PersonId,
    },
}

/// What happened to the house.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A sign-in code was used.
    SignedIn {
        /// The new device.
        person: PersonId,
        /// Until when it is remembered: its token ends before.
        expires_at: Timestamp,
    },
    /// A device was revoked.
    Revoked {
        /// Which.
        person: PersonId,
        /// By which.
        by: PersonId,
        /// Until when it is remembered: every token of it has ended by then.
        expires_at: Timestamp,
    },
}

/// Why the house says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The code was used, or its device was revoked before it was used.
    #[error("the code was used already")]
    CodeUsed,
    /// Too many devices.
    #[error("{DEVICES_MAX} devices are signed in or revoked: wait until some of them end")]
    Full,
}

/// A device of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Since when; absent where it was revoked without having signed in here.
    pub since: Option<Timestamp>,
    /// Until when it is remembered.
    pub expires_at: Timestamp,
    /// It has no rights any more.
    pub revoked: bool,
}

/// The fold of the house's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct House {
    /// Offset of the last event.
    pub head: Offset,
    /// Time of the last batch; the house's time is never less.
    pub at: Timestamp,
    /// Devices that signed in or were revoked, until they end.
    pub devices: BTreeMap<PersonId, Device>,
}

impl House {
    /// Decides a command; no event means that it is done already.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] says why not.
    pub fn decide(&self, command: Command, now: Timestamp) -> Result<Option<Event>, Refusal> {
        let (person, event) = match command {
            Command::SignIn { person } if self.devices.contains_key(&person) => return Err(Refusal::CodeUsed),
            Command::Revoke { person, .. } if self.devices.get(&person).is_some_and(|device| device.revoked) => {
                return Ok(None);
            }
            Command::SignIn { person } => {
                let expires_at = now.plus(DEVICE_MS);
                (person, Event::SignedIn { person, expires_at })
            }
            Command::Revoke { person, by } => {
                // Of a device that signed in all is known. Else it may be a code that was not used yet, or a
                // shop's token, which last longest.
                let lasts_ms = match self.devices.get(&person) {
                    Some(_) => DEVICE_MS,
                    None => STORE_MS,
                };
                let expires_at = now.plus(lasts_ms);
                (person, Event::Revoked { person, by, expires_at })
            }
        };
        let lasting = self.devices.values().filter(|device| now < device.expires_at).count();
        if lasting >= DEVICES_MAX && !self.devices.contains_key(&person) {
            return Err(Refusal::Full);
        }
        Ok(Some(event))
    }

    /// Folds a batch in.
    ///
    /// # Errors
    ///
    /// [`ReadError::Damaged`] where it does not say what this program reads.
    pub(crate) fn fold(&mut self, record: &Record) -> Result<(), ReadError> {
        let events: Vec<Event> = serde_json::from_slice(&record.events).map_err(|error| ReadError::Damaged {
            stream: HOUSE.to_owned(),
            offset: record.first,
            reason: error.to_string(),
        })?;
        events.iter().for_each(|event| self.apply(event, record.at));
        Ok(())
    }

    /// Folds an event in. `at` is the time of its batch.
    pub fn apply(&mut self, event: &Event, at: Timestamp) {
        self.head += 1;
        self.at = self.at.max(at);
        self.devices.retain(|_, device| at < device.expires_at);
        match *event {
            Event::SignedIn { person, expires_at } => {
                let device = Device {
                    since: Some(at),
                    expires_at,
                    revoked: false,
                };
                self.devices.insert(person, device);
            }
            Event::Revoked { person, expires_at, .. } => {
                let since = self.devices.get(&person).and_then(|device| device.since);
                let device = Device {
                    since,
                    expires_at,
                    revoked: true,
                };
                self.devices.insert(person, device);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn done(house: &mut House, command: Command, now: Timestamp) -> Result<(), Refusal> {
        let event = house.decide(command, now)?;
        event.iter().for_each(|event| house.apply(event, now));
        Ok(())
    }

    fn sign_in(house: &mut House, person: u128, now: Timestamp) -> Result<(), Refusal> {
        done(
            house,
            Command::SignIn {
                person: PersonId(person),
            },
            now,
        )
    }

    fn revoke(house: &mut House, person: u128, now: Timestamp) -> Result<(), Refusal> {
        let command = Command::Revoke {
            person: PersonId(person),
            by: PersonId(1),
        };
        done(house, command, now)
    }

    #[test]
    fn a_code_signs_in_once() {
        let mut house = House::default();
        assert_eq!(sign_in(&mut house, 7, NOW), Ok(()));
        assert_eq!(sign_in(&mut house, 7, NOW), Err(Refusal::CodeUsed));
        assert_eq!(house.devices[&PersonId(7)].since, Some(NOW));
    }

    #[test]
    fn a_revoked_device_stays_on_the_list_and_its_code_is_used() {
        let mut house = House::default();
        sign_in(&mut house, 7, NOW).unwrap();
        assert_eq!(revoke(&mut house, 7, NOW), Ok(()));
        assert_eq!(revoke(&mut house, 7, NOW), Ok(()));
        assert_eq!(house.head, 2, "revoking twice is once");
        assert!(house.devices[&PersonId(7)].revoked);
        revoke(&mut house, 8, NOW).unwrap();
        assert_eq!(sign_in(&mut house, 8, NOW), Err(Refusal::CodeUsed));
    }

    #[test]
    fn devices_are_bounded_and_forgotten_when_their_tokens_have_ended() {
        let mut house = House::default();
        for person in 0..DEVICES_MAX as u128 {
            sign_in(&mut house, person, NOW).unwrap();
        }
        assert_eq!(sign_in(&mut house, 5_000, NOW), Err(Refusal::Full));
        assert_eq!(revoke(&mut house, 7, NOW), Ok(()), "those known can always be revoked");
        let later = NOW.plus(DEVICE_MS);
        assert_eq!(sign_in(&mut house, 5_000, later), Ok(()));
        assert_eq!(house.devices.len(), 1, "the new one");
    }

    #[test]
    fn a_revoked_stranger_is_remembered_as_long_as_any_token_lasts() {
        let mut house = House::default();
        revoke(&mut house, 7, NOW).unwrap();
        let last = NOW.plus(STORE_MS - 1);
        sign_in(&mut house, 8, last).unwrap();
        assert!(house.devices[&PersonId(7)].revoked, "it may be a shop's");
        sign_in(&mut house, 9, NOW.plus(STORE_MS)).unwrap();
        assert!(!house.devices.contains_key(&PersonId(7)));
    }
}

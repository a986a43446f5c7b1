//! How often an address may be wrong about codes.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;

use crate::config::counted;
use crate::http::error::Error;
use crate::room::Timestamp;

/// Wrong codes of one address (IPv6 by /64) ...
const WRONG_MAX: u32 = 20;
/// ... in this time. Behind one carrier's address many people may mistype.
const WINDOW_MS: u64 = 10 * 60_000;
/// Addresses remembered: about 2 MB. Codes have 80 bits and more, so what is forgotten under a flood from more
/// addresses than these does not matter.
const ADDRESSES_MAX: usize = 20_000;

/// Counts wrong sign-in codes and invitation codes by address.
#[derive(Debug, Default)]
pub(in crate::http) struct Guesses(Mutex<HashMap<IpAddr, Wrong>>);

#[derive(Clone, Copy, Debug)]
struct Wrong {
    count: u32,
    until: Timestamp,
}

impl Guesses {
    /// Whether an address may try.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`] after too many wrong codes.
    pub(super) fn check(&self, address: IpAddr, now: Timestamp) -> Result<(), Error> {
        match self.0.lock().get(&counted(address)) {
            Some(wrong) if wrong.count >= WRONG_MAX && now < wrong.until => Err(Error::RateLimited {
                retry_after_ms: wrong.until.since(now),
            }),
            _ => Ok(()),
        }
    }

    /// Notes a wrong code.
    pub(super) fn note(&self, address: IpAddr, now: Timestamp) {
        let mut addresses = self.0.lock();
        if addresses.len() >= ADDRESSES_MAX {
            addresses.retain(|_, wrong| now < wrong.until);
        }
        if addresses.len() >= ADDRESSES_MAX {
            addresses.clear();
        }
        let fresh = Wrong {
            count: 0,
            until: now.plus(WINDOW_MS),
        };
        let wrong = addresses.entry(counted(address)).or_insert(fresh);
        if wrong.until <= now {
            *wrong = fresh;
        }
        wrong.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    #[test]
    fn an_address_that_guesses_waits_and_others_do_not() {
        let guesses = Guesses::default();
        let guesser: IpAddr = "2001:db8::1".parse().unwrap();
        for _ in 0..WRONG_MAX {
            assert_eq!(guesses.check(guesser, NOW), Ok(()));
            guesses.note(guesser, NOW);
        }
        let neighbour = "2001:db8::ffff:1".parse().unwrap();
        for address in [guesser, neighbour] {
            let retry_after_ms = WINDOW_MS - 1;
            assert_eq!(
                guesses.check(address, NOW.plus(1)),
                Err(Error::RateLimited { retry_after_ms }),
                "the whole /64"
            );
        }
        assert_eq!(guesses.check("2001:db8:0:1::1".parse().unwrap(), NOW), Ok(()));
        assert_eq!(guesses.check(guesser, NOW.plus(WINDOW_MS)), Ok(()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let guesses = Guesses::default();
        for number in 0..=ADDRESSES_MAX as u32 {
            guesses.note(IpAddr::V4(number.into()), NOW);
        }
        assert!(guesses.0.lock().len() <= ADDRESSES_MAX);
    }
}

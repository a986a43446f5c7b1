//! How often somebody may try something: wrong codes by address, copies by host.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use parking_lot::Mutex;

use crate::config::counted;
use crate::http::error::Error;
use crate::room::Timestamp;

/// Wrong codes of one address (IPv6 by /64) ...
const WRONG_MAX: u32 = 20;
/// ... in this time. Behind one carrier's address many people may mistype.
const WINDOW_MS: u64 = 10 * 60_000;
/// Keys remembered: about 2 MB. Codes of links have 80 bits and more, and those of 8 digits are bounded over all
/// addresses too, so what is forgotten under a flood from more addresses than these does not matter.
const KEYS_MAX: usize = 20_000;

/// Counts what somebody did, up to a number in a time.
#[derive(Debug)]
pub(super) struct Tries<K> {
    max: u32,
    window_ms: u64,
    counts: Mutex<HashMap<K, Count>>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    count: u32,
    until: Timestamp,
}

impl<K: Eq + Hash> Tries<K> {
    /// At most `max` in `window_ms`.
    pub(super) fn new(max: u32, window_ms: u64) -> Self {
        Self {
            max,
            window_ms,
            counts: Mutex::default(),
        }
    }

    /// Whether there may be another one.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`] after too many.
    pub(super) fn check(&self, key: &K, now: Timestamp) -> Result<(), Error> {
        match self.counts.lock().get(key) {
            Some(tried) if tried.count >= self.max && now < tried.until => Err(Error::RateLimited {
                retry_after_ms: tried.until.since(now),
            }),
            _ => Ok(()),
        }
    }

    /// Notes one.
    pub(super) fn note(&self, key: K, now: Timestamp) {
        let mut counts = self.counts.lock();
        if counts.len() >= KEYS_MAX {
            counts.retain(|_, tried| now < tried.until);
        }
        if counts.len() >= KEYS_MAX {
            counts.clear();
        }
        let fresh = Count {
            count: 0,
            until: now.plus(self.window_ms),
        };
        let tried = counts.entry(key).or_insert(fresh);
        if tried.until <= now {
            *tried = fresh;
        }
        tried.count += 1;
    }
}

/// Counts wrong codes by address.
#[derive(Debug)]
pub(in crate::http) struct Guesses(Tries<IpAddr>);

impl Default for Guesses {
    fn default() -> Self {
        Self(Tries::new(WRONG_MAX, WINDOW_MS))
    }
}

impl Guesses {
    /// Whether an address may try.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`] after too many wrong codes.
    pub(super) fn check(&self, address: IpAddr, now: Timestamp) -> Result<(), Error> {
        self.0.check(&counted(address), now)
    }

    /// Notes a wrong code.
    pub(super) fn note(&self, address: IpAddr, now: Timestamp) {
        self.0.note(counted(address), now);
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
        let tries = Tries::new(1, WINDOW_MS);
        (0..=KEYS_MAX).for_each(|key| tries.note(key, NOW));
        assert!(tries.counts.lock().len() <= KEYS_MAX);
    }
}

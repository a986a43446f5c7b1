//! What tests share: a server in the test's own process or the program as a process of its own, on a port and a
//! data folder of its own; and who asks it: over REST, as a client of the protocol, and byte by byte.

#![allow(dead_code, reason = "no test binary uses all of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

pub(crate) mod client;
pub(crate) mod disk;
pub(crate) mod history;
pub(crate) mod picture;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod rest;
pub(crate) mod sale;
pub(crate) mod server;
pub(crate) mod tls;
pub(crate) mod verifiers;

use std::time::Duration;

/// Far longer than anything takes: a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

//! What every journal must do (`contract`), and what each kind must do besides.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod contract;
mod sqlite;

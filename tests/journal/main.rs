//! What every journal must do (`contract`), what each kind must do besides (`sqlite`), and both
//! under real accidents to processes and disks (`accidents`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod accidents;
mod contract;
#[path = "../support/disk.rs"]
mod disk;
mod sqlite;

//! Hubbub.
pub mod journal;
pub mod room;

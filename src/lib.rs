//! Hubbub.
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod house;
pub mod http;
pub mod hub;
pub mod journal;
pub mod protocol;
pub mod room;
pub mod serve;
pub mod telemetry;

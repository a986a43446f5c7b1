//! The REST API of a real server on a port of its own, asked over HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod comments;
mod discounts;
mod document;
mod doors;
mod draws;
mod guessing;
mod handover;
mod roles;
mod rooms;
mod sign_in;
mod staff;
mod tokens;

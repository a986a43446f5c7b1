//! The REST API of a real server on a port of its own, asked over HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod comments;
mod discounts;
mod document;
mod doors;
mod draws;
mod rooms;
mod server;
mod sign_in;
mod staff;

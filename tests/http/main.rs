//! The shell over real sockets: handshakes, bounds, headers, health, the command line, the drain.

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod command_line;
mod demo;
mod handshake;
mod headers;
mod nginx;
mod pages;
mod printed;

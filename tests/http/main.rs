//! The shell over real sockets: handshakes, bounds, headers, health, the command line, the drain.

mod bounds;
mod command_line;
mod demo;
mod handshake;
mod nginx;
mod pages;
mod support;

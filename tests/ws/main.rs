//! The socket, from outside: the real binary, real connections, real kills.

#[path = "../support/client.rs"]
mod client;
#[path = "../support/server.rs"]
mod server;

mod bad_input;
mod crash;
mod draw;
mod frames;
mod rush;
mod show;
mod slow;

//! The socket, from outside: the real binary, real connections, real kills.

#[path = "../support/mod.rs"]
mod support;

mod alone;
mod bad_input;
mod canary;
mod compressed;
mod crash;
mod disk;
mod draw;
mod erasure;
mod frames;
mod history;
mod late;
mod limits;
mod rush;
mod show;
mod slow;
mod timing;
mod tls;

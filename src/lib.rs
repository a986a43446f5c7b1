//! Hubbub, a live-commerce broadcast server: the map of the code.
//!
//! Everything a viewer sees is a **feed: a keyframe, and the deltas since it**. A room's feed has as keyframe
//! its public state at an offset, and as deltas the batches of events after it. Who joins starts at a
//! keyframe; who comes back gets the deltas since; who is too slow jumps to a keyframe and is told so; after a
//! restart the room is rebuilt from its journal, with the same state and offsets.
//!
//! ```text
//!  viewer or host        connection            room task               journal          feed            connections
//!  comment, claim ... -> decode, limit -> decide(command, now, luck) -> append a batch -> encode once -> one write each
//!                                         pure: no clock, no I/O        (durable)         per encoding   (their cursor)
//! ```
//!
//! | part | what it is |
//! |---|---|
//! | [`room`] | the rules of a show, pure: [`room::Room::decide`], [`room::Room::apply`], [`room::Room::due`], and what people see of it ([`room::stage`]) |
//! | [`house`] | what belongs to no room, in the same manner: sign-ins and operators' devices |
//! | [`protocol`] | the messages and their two encodings; its documentation is the guide for writing a client |
//! | [`journal`] | durable batches, snapshots and a catalogue behind one trait; SQLite in [`journal::sqlite`] |
//! | [`hub`] | the registry of rooms, one task per room, feeds and connections |
//! | [`http`] | the accept loop, the routes: WebSocket upgrade, REST, pages, health, metrics |
//! | [`auth`] | signed tokens: who somebody is |
//! | [`config`] | every option and limit |
//! | [`cli`], [`serve`], [`demo`] | the command line; one server from start to drain; a sample show with a simulated audience |
//! | [`tls`] | TLS without a proxy: the certificate, and how it is renewed |
//! | [`limits`] | what everybody may take of the server, and what was refused for it |
//! | [`upkeep`] | what is done to a data folder: backup, restore, check, recovery, export and erasure of one viewer |
//! | [`clock`], [`machine`], [`telemetry`] | server time; what the machine gives; every metric |
//!
//! Where to look first: `decide` is split by family of rules in [`room`]; the way of a batch is
//! `hub::task`; who writes to a socket, and when, is `hub::connection`, `hub::pass` (what a
//! room's viewers share) and `hub::driver` (what a socket asks for).
//!
//! What always holds: nothing is shown or acknowledged that a crash can take back; one room has one writer; the
//! core is deterministic; secrets stay in the journal; everything is bounded; a slow client costs only itself;
//! a gap is repaired or disclosed, never silent; server time rules.

pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod house;
pub mod http;
pub mod hub;
pub mod journal;
pub mod limits;
pub mod machine;
pub mod protocol;
pub mod room;
pub mod serve;
pub mod telemetry;
pub mod tls;
pub mod upkeep;

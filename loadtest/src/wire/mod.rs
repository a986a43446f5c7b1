//! Just enough of the wire for a light viewer: the handshake, the server's frames, and the heads of messages.

pub(crate) mod frame;
pub(crate) mod handshake;
pub(crate) mod head;

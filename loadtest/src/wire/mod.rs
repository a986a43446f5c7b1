//! Just enough of the wire for a light viewer: the handshake, the server's frames, and the heads of messages.

pub(crate) mod frame;
pub(crate) mod handshake;
pub(crate) mod head;
mod inflate;

use std::fmt;

use clap::{Args, ValueEnum};
use hubbub::protocol::Encoding;

pub(crate) use inflate::Inflater;

/// How messages come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) encoding: Encoding,
    /// permessage-deflate is asked for, and must be agreed to.
    pub(crate) compressed: bool,
}

/// The options that choose it.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct FormArguments {
    /// How messages are written.
    #[arg(long, value_name = "NAME", default_value = "json")]
    encoding: Name,
    /// Asks for permessage-deflate, as browsers do; the server needs `--compression on`.
    #[arg(long)]
    compressed: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    Json,
    Msgpack,
}

impl From<FormArguments> for Form {
    fn from(arguments: FormArguments) -> Self {
        Self {
            encoding: match arguments.encoding {
                Name::Json => Encoding::Json,
                Name::Msgpack => Encoding::MessagePack,
            },
            compressed: arguments.compressed,
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.encoding {
            Encoding::Json => "json",
            Encoding::MessagePack => "msgpack",
        })?;
        f.write_str(if self.compressed { ", compressed" } else { "" })
    }
}

//! Close codes: below 4000 as in RFC 6455, 4000-4499 "come back and resume", 4500-4999 "do not".

use serde::{Deserialize, Serialize};

/// Why the server closes a connection. The number says what a client does next, the reason is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Close {
    /// 1000: the client closed.
    Normal,
    /// 1002: a frame breaks RFC 6455, or a compressed message RFC 7692.
    Protocol,
    /// 1003: a text message on a binary subprotocol, or the reverse.
    WrongKind,
    /// 1007: text that is not UTF-8.
    NotUtf8,
    /// 1008: more frames or bad requests than any honest client sends.
    Flood,
    /// 1009: a message over 16 KiB.
    TooBig,
    /// 4000: the server restarts; come back after the delay in `bye`.
    Restart,
    /// 4001: it took nothing for 30 s, unless the server is told otherwise; come back when the network does.
    Slow,
    /// 4002: no pong for two intervals.
    Silent,
    /// 4003: the journal takes no writes or the room is being rebuilt; come back in a few seconds.
    Unavailable,
    /// 4004: the rights on which this connection rests have changed, or what was held of its viewer was erased; come
    /// back with the token.
    RightsChanged,
    /// 4005: no `hello` within 5 s.
    NoHello,
    /// 4006: the room is out of order until an operator has seen to it; come back in about a minute, not sooner.
    Parked,
    /// 4500: there is no such room.
    UnknownRoom,
    /// 4501: the room or the server is full.
    Full,
    /// 4502: removed from the staff.
    Removed,
    /// 4503: the token is missing where one is needed, wrong, expired or not for this.
    NotAllowed,
    /// 4504: the client's version is too old.
    TooOld,
}

impl Close {
    /// Every reason there is.
    pub const ALL: [Self; 18] = [
        Self::Normal,
        Self::Protocol,
        Self::WrongKind,
        Self::NotUtf8,
        Self::Flood,
        Self::TooBig,
        Self::Restart,
        Self::Slow,
        Self::Silent,
        Self::Unavailable,
        Self::RightsChanged,
        Self::NoHello,
        Self::Parked,
        Self::UnknownRoom,
        Self::Full,
        Self::Removed,
        Self::NotAllowed,
        Self::TooOld,
    ];

    /// The number in the close frame.
    pub fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::Protocol => 1002,
            Self::WrongKind => 1003,
            Self::NotUtf8 => 1007,
            Self::Flood => 1008,
            Self::TooBig => 1009,
            Self::Restart => 4000,
            Self::Slow => 4001,
            Self::Silent => 4002,
            Self::Unavailable => 4003,
            Self::RightsChanged => 4004,
            Self::NoHello => 4005,
            Self::Parked => 4006,
            Self::UnknownRoom => 4500,
            Self::Full => 4501,
            Self::Removed => 4502,
            Self::NotAllowed => 4503,
            Self::TooOld => 4504,
        }
    }

    /// The reason in the close frame.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::Protocol => "protocol error",
            Self::WrongKind => "wrong kind of message for this subprotocol",
            Self::NotUtf8 => "text is not UTF-8",
            Self::Flood => "too many frames",
            Self::TooBig => "message over 16 KiB",
            Self::Restart => "server restarts, come back",
            Self::Slow => "no progress, come back",
            Self::Silent => "no pong, come back",
            Self::Unavailable => "not available now, come back",
            Self::RightsChanged => "rights or data changed, come back",
            Self::NoHello => "no hello, come back",
            Self::Parked => "room out of order, come back in a minute",
            Self::UnknownRoom => "unknown room",
            Self::Full => "full",
            Self::Removed => "removed",
            Self::NotAllowed => "not allowed",
            Self::TooOld => "client too old",
        }
    }

    /// Whether a client should come back and resume.
    pub fn come_back(self) -> bool {
        (4000..4500).contains(&self.code())
    }
}

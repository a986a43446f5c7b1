//! The messages between a remote program and the server, their two encodings, framing and close codes.
//!
//! # Writing a client
//!
//! ## Connect
//!
//! `GET /ws/{room}` with `Sec-WebSocket-Version: 13`. The subprotocol chooses the encoding:
//! `hubbub.v1.json` (text frames, also when none is asked for) or `hubbub.v1.msgpack` (binary frames; maps
//! with the same names). Messages from the client are at most 16 KiB. Unknown fields of the server's messages
//! are to be ignored, so that fields can be added.
//!
//! The first message is `hello`, within 5 s. No secret stands in a URL: the token is in the message.
//!
//! ```json
//! {"id":1,"cmd":"hello","args":{"name":"Ann"}}
//! ```
//!
//! The answer is one atomic picture: `joined`, then either a `keyframe` (the whole state) or, if the client's
//! cursor could be continued, the deltas that it missed; then everything after it.
//!
//! ```json
//! {"joined":{"re":1,"room":"k7m2p9q4xw","now":1790000000000,"epoch":4503599627370495,"resumed":false,
//!   "viewer":"0123456789abcdef0123456789abcdef","token":"eyJ0eXAi...","mine":{"watched_ms":0}}}
//! {"keyframe":{"epoch":4503599627370495,"offset":12,"at":1790000000000,"state":{"show":{},"comments":[]}}}
//! ```
//!
//! Keep `viewer`'s `token`: it is the viewer's lasting identity, with everything that is theirs.
//!
//! ## Requests and replies
//!
//! A request is `{"id":N,"cmd":"...","args":{...}}` and gets exactly one reply: `ok` or `err` (`joined` for
//! `hello`, `pong` for `ping`) with `re` = N. The notes `like` and `seen` have no id and get no reply. An `ok`
//! is sent only after what it promises is durable.
//!
//! ```json
//! {"id":7,"cmd":"comment","args":{"nonce":"a1","text":"hello"}}
//! {"ok":{"re":7,"after":13,"answer":{"comment":{"comment":13,"by":1}}}}
//! {"id":8,"cmd":"claim","args":{"discount":"ten","unit":1}}
//! {"err":{"re":8,"code":"sold_out","message":"sold out"}}
//! {"cmd":"like","args":{"taps":3}}
//! {"id":9,"cmd":"ping","args":{}}
//! {"pong":{"re":9,"now":1790000000500}}
//! ```
//!
//! After a lost connection send the same request again, with the same nonce, unit or id: the first answer
//! comes again, nothing happens twice.
//!
//! ## The cursor rule
//!
//! ```json
//! {"delta":{"follows":12,"offset":13,"at":1790000000100,"events":[{"comment":{"id":13,"by":1,"name":"Ann","text":"hello"}}]}}
//! ```
//!
//! A client's cursor is `(epoch, offset)`. A keyframe sets it and replaces all state. For a delta:
//! `offset <= cursor`: drop it; `follows <= cursor < offset`: apply its events, the cursor is `offset`;
//! `follows > cursor`: there is a gap: close, and come back with the cursor. Offsets have holes, where only
//! staff see what happened.
//!
//! ```json
//! {"id":1,"cmd":"hello","args":{"token":"eyJ0eXAi...","cursor":{"epoch":4503599627370495,"offset":13}}}
//! ```
//!
//! `joined.resumed` says whether the cursor is continued. If it is not, the keyframe follows: never a part of
//! what was missed, silently. Deleted comments are the one exception: their text is sent to nobody any more.
//!
//! A connection that cannot keep up gets `skipped` (from which offset, to which) and then a keyframe.
//! `pulse` carries counts; it does not move the cursor, and is ignored if `as_of` is below the offset of the
//! last keyframe or pulse. `mine` replaces all that is mine; ignore one whose `after` is below the last one's.
//! At least every 15 s something is sent: a client that hears nothing for 25 s reconnects at once.
//!
//! ## Closing
//!
//! 4000-4499: come back with the cursor (after `bye.retry_after_ms` where a `bye` came before). 4500-4999:
//! do not; the code says what to tell the person, see [`Close`]. Below 4000: RFC 6455. A connection that ends
//! without a close frame: come back with exponential backoff and jitter.

mod close;
mod encoding;
pub mod message;

pub use close::Close;
pub use encoding::{BadRequest, Encoding, command, strict_json};
pub use message::{
    Cursor, Delta, FeedKind, Health, Hello, Joined, Keyframe, Message, Numbered, Picture, Problem, Pulse, Request, Seen,
};

/// Largest message from a client, and largest frame.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;

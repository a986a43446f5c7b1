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
//! {"joined":{"re":1,"room":"k7m2p9q4xw","now":1790000000000,"epoch":4503599627370495,"resumed":false,"viewer":"0123456789abcdef0123456789abcdef","token":"eyJ0eXAi...","mine":{"watched_ms":0}}}
//! {"keyframe":{"epoch":4503599627370495,"offset":12,"at":1790000000000,"state":{"show":{"details":{"title":"Lipsticks","host":"Hoa","kind":"video","access":"public"},"state":"live","started_at":1789999990000,"live_ms":0,"live_since":1789999990000},"modes":{},"comments":[{"id":9,"by":1,"name":"Ann","text":"hi","at":1789999995000}],"discounts":[],"draws":[],"totals":{"watching":1,"viewers":1,"likes":0}}}}
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
//! {"ok":{"re":8,"after":14,"answer":{"claim":{"discount":"ten","unit":1,"code":"ABCD-EFGH-JKMN-PQRS","title":"Ten off","off":{"percent":10}}}}}
//! {"id":10,"cmd":"comment","args":{"nonce":"a2","text":"too fast"}}
//! {"err":{"re":10,"code":"rate_limited","message":"too fast","retry_after_ms":1200,"text":"too fast"}}
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
//! ```json
//! {"skipped":{"from":13,"to":1500}}
//! {"pulse":{"as_of":1500,"at":1790000060000,"totals":{"watching":1204,"viewers":3012,"likes":99120,"remaining":{"ten":37}}}}
//! {"mine":{"after":1501,"mine":{"number":1,"name":"Ann","watched_ms":60000,"muted_until":1790000120000}}}
//! {"ask_seen":{}}
//! {"cmd":"seen","args":{"offset":1501,"picture":"playing"}}
//! {"bye":{"retry_after_ms":1730}}
//! ```
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// The guide's literal messages: what stands in its `json` blocks, a line each.
    fn literal_messages() -> Vec<&'static str> {
        let guide = include_str!("mod.rs")
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(str::trim);
        guide.filter(|line| line.starts_with('{')).collect()
    }

    #[test]
    fn every_literal_message_of_the_guide_is_one_of_the_protocol() {
        let literals = literal_messages();
        assert!(literals.len() > 15, "the guide has its examples: {literals:?}");
        for literal in literals {
            let value: Value = serde_json::from_str(literal).expect(literal);
            if value.get("cmd").is_some() {
                Encoding::Json.decode_request(literal.as_bytes()).expect(literal);
                continue;
            }
            let message: Message = Encoding::Json.decode(literal.as_bytes()).expect(literal);
            let again: Value = serde_json::from_slice(&Encoding::Json.encode(&message)).expect("it was just written");
            assert_eq!(again, value, "nothing in the example is unknown to the protocol");
        }
    }

    #[test]
    fn both_encodings_say_the_same() {
        for literal in literal_messages() {
            let Ok(message) = Encoding::Json.decode::<Message>(literal.as_bytes()) else {
                continue;
            };
            let packed = Encoding::MessagePack.encode(&message);
            assert_eq!(
                Encoding::MessagePack.decode::<Message>(&packed).expect(literal),
                message
            );
            assert!(
                packed.len() < literal.len(),
                "{} is not below {}: {literal}",
                packed.len(),
                literal.len()
            );
        }
    }

    #[test]
    fn a_comment_stays_within_the_bytes_that_were_planned() {
        let literal = r#"{"delta":{"follows":123456,"offset":123457,"at":1790000000000,"events":[{"comment":{"id":123457,"by":4821,"name":"twelve chars","text":"forty characters of text stand just here"}}]}}"#;
        let message: Message = Encoding::Json.decode(literal.as_bytes()).expect("a delta");
        assert!(Encoding::Json.encode(&message).len() <= 220);
        assert!(Encoding::MessagePack.encode(&message).len() <= 150);
    }

    #[test]
    fn close_codes_are_told_apart_by_their_range() {
        for close in Close::ALL {
            assert_eq!(close.come_back(), (4000..4500).contains(&close.code()));
            assert!(close.reason().len() <= 123, "a control frame holds 125 bytes");
        }
    }
}

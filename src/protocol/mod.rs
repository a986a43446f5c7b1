#![doc = include_str!("guide.md")]

mod close;
mod encoding;
pub mod message;

pub use close::Close;
pub use encoding::{BadRequest, Encoding, Unreadable, command, strict_json};
pub use message::{
    Cursor, Delta, FeedKind, Health, Hello, Joined, Keyframe, Message, Numbered, Picture, Problem, Pulse, Request, Seen,
};

/// Largest message from a client, and largest frame.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::room::stage::{ShowChange, StaffOnly, StageEvent};
    use crate::room::{Answer, Command};

    const GUIDE: &str = include_str!("guide.md");

    /// The guide's literal messages: what stands in its `json` blocks, a line each.
    fn literal_messages() -> Vec<&'static str> {
        GUIDE.lines().filter(|line| line.starts_with('{')).collect()
    }

    /// The names of an enum's variants on the wire, as its decoder lists them.
    fn names_of<T: serde::de::DeserializeOwned>(unknown: Value) -> Vec<String> {
        let error = serde_json::from_value::<T>(unknown).map(drop).expect_err("unknown");
        let error = error.to_string();
        let (_, names) = error.split_once("expected one of ").expect(&error);
        names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_guide_names_all_that_can_be_said() {
        let event = || serde_json::json!({ "?": {} });
        let refusals = include_str!("../room/refusal.rs").lines();
        let refusals = refusals.filter_map(|line| line.trim().strip_suffix("\",")?.split_once("=> \""));
        let refusals: Vec<_> = refusals.map(|(_, code)| code.to_owned()).collect();
        let rest = [
            "bad_json",
            "unknown_command",
            "hello_first",
            "already_joined",
            "busy",
            "restarting",
            "journal_unavailable",
            "room_parked",
        ];
        let all = [
            names_of::<Command>(serde_json::json!({ "cmd": "?", "args": {} })),
            names_of::<Message>(event()),
            names_of::<Answer>(event()),
            names_of::<StageEvent>(event()),
            names_of::<ShowChange>(event()),
            names_of::<StaffOnly>(event()),
            refusals,
            rest.map(str::to_owned).to_vec(),
            Close::ALL.map(|close| close.code().to_string()).to_vec(),
        ];
        for names in &all {
            assert!(names.len() > 6, "the list was found: {names:?}");
            for name in names {
                let (alone, key) = (format!("`{name}`"), format!("{{\"{name}\":"));
                assert!(
                    GUIDE.contains(&alone) || GUIDE.contains(&key),
                    "{name} is not in the guide"
                );
            }
        }
    }

    #[test]
    fn the_guides_bytes_of_messagepack_are_the_request_beside_them() {
        let bytes = GUIDE.lines().find(|line| line.starts_with("83 ")).expect("is there");
        let bytes = bytes.split(' ').map(|byte| u8::from_str_radix(byte, 16).expect(byte));
        let request = Encoding::MessagePack.decode_request(&bytes.collect::<Vec<_>>());
        let expected = Encoding::Json.decode_request(br#"{"id":9,"cmd":"ping","args":{}}"#);
        assert_eq!(request.expect("a request"), expected.expect("a request"));
    }

    #[test]
    fn what_is_no_request_in_messagepack_is_refused_by_its_code() {
        const PING: &[u8] = b"\x82\xa2id\x09\xa3cmd\xa4ping";
        Encoding::MessagePack.decode_request(PING).expect("a request");
        let deep = [&b"\x91".repeat(17)[..], b"\xc0"].concat();
        for (bytes, code) in [
            (&b""[..], "bad_json"),
            (&PING[..PING.len() - 1], "bad_json"),
            (&[PING, b"\xc0"].concat(), "bad_json"),
            (&PING.repeat(2), "bad_json"),
            (b"\x93\x01\x02\x03", "bad_json"),
            (b"\x83\xa2id\x09\xa2id\x09\xa3cmd\xa4ping", "bad_json"),
            (b"\xdb\xff\xff\xff\xffabc", "bad_json"),
            (b"\xc1", "bad_json"),
            (&deep, "bad_json"),
            (b"\x82\xa2id\xff\xa3cmd\xa4ping", "bad_field"),
            (b"\x82\xa2id\xc4\x01\x09\xa3cmd\xa4ping", "bad_json"),
            (b"\x82\xa2id\x09\xa3cmd\xa4pong", "unknown_command"),
        ] {
            let refused = Encoding::MessagePack.decode_request(bytes);
            assert_eq!(refused.expect_err("is none").code, code, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_number_too_large_is_a_bad_field_and_what_is_no_json_is_that() {
        for (args, code) in [
            (r#"{"taps":1e999}"#, "bad_field"),
            (r#"{"taps":18446744073709551616}"#, "bad_field"),
            (r#"{"taps":NaN}"#, "bad_json"),
        ] {
            let refused = Encoding::Json.decode_request(format!(r#"{{"cmd":"like","args":{args}}}"#).as_bytes());
            assert_eq!(refused.expect_err("is none").code, code, "{args}");
        }
    }

    #[test]
    fn every_literal_message_of_the_guide_is_one_of_the_protocol() {
        let literals = literal_messages();
        assert!(literals.len() > 35, "the guide has its examples: {literals:?}");
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

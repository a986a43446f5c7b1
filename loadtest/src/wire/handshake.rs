//! The opening handshake (RFC 6455, 4.1), as a client of one server.

use hubbub::protocol::Encoding;
use hubbub::room::RoomId;

use super::Form;

/// The key of RFC 6455, 1.3, and the answer that follows from it: one for all, so that nothing is computed.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// What is asked for, and agreed to, where messages come compressed.
const DEFLATE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
/// Longest answer that is waited for.
const ANSWER_MAX: usize = 16 * 1024;

/// The request.
pub(crate) fn request(authority: &str, room: &RoomId, form: Form) -> Vec<u8> {
    let extensions = match form.compressed {
        true => format!("Sec-WebSocket-Extensions: {DEFLATE}\r\n"),
        false => String::new(),
    };
    format!(
        "GET /ws/{room} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: {}\r\n{extensions}\r\n",
        form.encoding.subprotocol()
    )
    .into_bytes()
}

/// How long the request at the front is, once it has arrived whole.
pub(crate) fn request_length(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|end| end + 4)
}

/// The answer to [`request`] in JSON.
pub(crate) fn opened() -> Vec<u8> {
    let protocol = Encoding::Json.subprotocol();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
    )
    .into_bytes()
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It has not arrived whole.
    Incomplete,
    /// The connection is a WebSocket from this byte on.
    Open(usize),
    /// Why it is none: the first line, or what is wrong with it.
    Refused(String),
}

/// Reads the answer at the front.
pub(crate) fn answer(bytes: &[u8], form: Form) -> Answer {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return match bytes.len() > ANSWER_MAX {
            true => Answer::Refused("an endless answer to the handshake".to_owned()),
            false => Answer::Incomplete,
        };
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 101") {
        return Answer::Refused(status.to_owned());
    }
    let header = |name: &str| {
        let mut headers = lines.clone().filter_map(|line| line.split_once(':'));
        headers
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
    };
    if header("sec-websocket-accept").as_deref() != Some(ACCEPT) {
        return Answer::Refused("a wrong Sec-WebSocket-Accept".to_owned());
    }
    if header("sec-websocket-protocol").as_deref() != Some(form.encoding.subprotocol()) {
        return Answer::Refused("another subprotocol than asked for".to_owned());
    }
    if header("sec-websocket-extensions").is_some() != form.compressed {
        return Answer::Refused("not the extension that was asked for (--compression on)".to_owned());
    }
    Answer::Open(end + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
        sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: hubbub.v1.json\r\n\r\n";

    #[test]
    fn an_answer_is_open_only_with_its_key_and_subprotocol() {
        let plain = Form {
            encoding: Encoding::Json,
            compressed: false,
        };
        let check = |text: &str, expected: Answer| assert_eq!(answer(text.as_bytes(), plain), expected);
        check(&GOOD[..GOOD.len() - 1], Answer::Incomplete);
        check(GOOD, Answer::Open(GOOD.len()));
        check(&format!("{GOOD}\u{1}"), Answer::Open(GOOD.len()));
        let refused = |text: &str| match answer(text.as_bytes(), plain) {
            Answer::Refused(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused("HTTP/1.1 503 Busy\r\nx: y\r\n\r\n"), "HTTP/1.1 503 Busy");
        assert!(refused(&GOOD.replace("xOo=", "xOO=")).contains("Accept"));
        assert!(refused(&GOOD.replace("json", "msgpack")).contains("subprotocol"));
        let compressed = GOOD.replace("upgrade:", &format!("sec-websocket-extensions: {DEFLATE}\r\nupgrade:"));
        assert!(refused(&compressed).contains("extension"));
        let asked = Form {
            compressed: true,
            ..plain
        };
        assert_eq!(answer(compressed.as_bytes(), asked), Answer::Open(compressed.len()));
        assert!(matches!(answer(GOOD.as_bytes(), asked), Answer::Refused(_)));
        assert!(refused(&"x".repeat(ANSWER_MAX + 1)).contains("endless"));
    }
}

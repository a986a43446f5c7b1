//! `Sec-WebSocket-Extensions` (RFC 6455, 9.1), of which one is known: permessage-deflate (RFC 7692, 7.1).

use axum::http::HeaderMap;
use axum::http::header::SEC_WEBSOCKET_EXTENSIONS;

use super::error::Handshake;

/// The answers to an offer: each message by itself, in both directions.
const DEFLATE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
const DEFLATE_15: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15";

/// The answer to the first offer of permessage-deflate that can be kept, if there is one.
///
/// # Errors
///
/// [`Handshake::Extensions`] for a header that is not written as the RFC demands.
pub(super) fn accept(headers: &HeaderMap) -> Result<Option<&'static str>, Handshake> {
    let mut accepted = None;
    for value in headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
        let text = value.to_str().map_err(|_| Handshake::Extensions)?;
        for offer in offers(text).ok_or(Handshake::Extensions)? {
            accepted = accepted.or_else(|| answer(&offer));
        }
    }
    Ok(accepted)
}

/// An extension as a client offers it, and its parameters.
struct Offer {
    name: String,
    parameters: Vec<(String, Option<String>)>,
}

/// What an offer is answered; `None` declines it.
fn answer(offer: &Offer) -> Option<&'static str> {
    if !offer.name.eq_ignore_ascii_case("permessage-deflate") {
        return None;
    }
    let mut answer = DEFLATE;
    for (index, (name, value)) in offer.parameters.iter().enumerate() {
        let twice = offer.parameters[..index].iter().any(|(other, _)| other == name);
        let known = match (name.as_str(), value) {
            ("server_no_context_takeover" | "client_no_context_takeover" | "client_max_window_bits", None) => true,
            ("client_max_window_bits", Some(bits)) => window_bits(bits).is_some(),
            ("server_max_window_bits", Some(bits)) => {
                // What is shared is compressed with the largest window: for a smaller one it may not be readable.
                answer = DEFLATE_15;
                window_bits(bits) == Some(15)
            }
            _ => false,
        };
        if twice || !known {
            return None;
        }
    }
    Some(answer)
}

/// From 8 to 15, without a leading zero.
fn window_bits(text: &str) -> Option<u8> {
    (8..=15).find(|bits: &u8| bits.to_string() == text)
}

/// Reads a list of extensions; `None` if it is none.
fn offers(text: &str) -> Option<Vec<Offer>> {
    let mut rest = Rest(text);
    let mut offers = Vec::new();
    loop {
        // A list may have empty places (RFC 2616, 2.1).
        while rest.eat(',') {}
        if rest.is_empty() {
            return (!offers.is_empty()).then_some(offers);
        }
        offers.push(offer(&mut rest)?);
        if !rest.is_empty() && !rest.eat(',') {
            return None;
        }
    }
}

fn offer(rest: &mut Rest<'_>) -> Option<Offer> {
    let name = rest.token()?;
    let mut parameters = Vec::new();
    while rest.eat(';') {
        let name = rest.token()?;
        let value = if rest.eat('=') { Some(rest.value()?) } else { None };
        parameters.push((name, value));
    }
    Some(Offer { name, parameters })
}

/// What is still to be read of a header's value.
struct Rest<'h>(&'h str);

impl Rest<'_> {
    fn skip_blanks(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn is_empty(&mut self) -> bool {
        self.skip_blanks();
        self.0.is_empty()
    }

    fn eat(&mut self, mark: char) -> bool {
        self.skip_blanks();
        let rest = self.0.strip_prefix(mark);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn token(&mut self) -> Option<String> {
        self.skip_blanks();
        let end = self.0.find(|mark| !is_of_token(mark)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        (!token.is_empty()).then(|| token.to_owned())
    }

    /// A token, which may be quoted.
    fn value(&mut self) -> Option<String> {
        if !self.eat('"') {
            return self.token();
        }
        let mut value = String::new();
        let mut marks = self.0.chars();
        loop {
            match marks.next()? {
                '"' => break,
                '\\' => value.push(marks.next()?),
                mark => value.push(mark),
            }
        }
        self.0 = marks.as_str();
        (!value.is_empty() && value.chars().all(is_of_token)).then_some(value)
    }
}

/// RFC 9110, 5.6.2.
fn is_of_token(mark: char) -> bool {
    mark.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(offers: &[&str]) -> Result<Option<&'static str>, Handshake> {
        let mut headers = HeaderMap::new();
        for offer in offers {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, offer.parse().expect("a value"));
        }
        accept(&headers)
    }

    #[test]
    fn an_offer_that_can_be_kept_is_answered() {
        for offer in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "Permessage-Deflate;client_max_window_bits=8 ; server_no_context_takeover",
            "permessage-deflate; client_no_context_takeover; client_max_window_bits=\"1\\0\"",
            "x-webkit-deflate-frame, permessage-deflate",
            "foo; bar=\"baz\"; a, permessage-deflate; mode=fast, , permessage-deflate",
        ] {
            assert_eq!(accepted(&[offer]), Ok(Some(DEFLATE)), "{offer}");
        }
        assert_eq!(accepted(&["foo", "permessage-deflate"]), Ok(Some(DEFLATE)));
    }

    #[test]
    fn a_window_that_is_demanded_is_promised_or_the_offer_is_declined() {
        for (offer, answer) in [
            ("permessage-deflate; server_max_window_bits=15", Some(DEFLATE_15)),
            ("permessage-deflate; server_max_window_bits=\"15\"", Some(DEFLATE_15)),
            ("permessage-deflate; server_max_window_bits=10", None),
            (
                "permessage-deflate; server_max_window_bits=10, permessage-deflate",
                Some(DEFLATE),
            ),
        ] {
            assert_eq!(accepted(&[offer]), Ok(answer), "{offer}");
        }
    }

    #[test]
    fn an_offer_with_anything_unknown_is_declined() {
        assert_eq!(accepted(&[]), Ok(None));
        for offer in [
            "permessage-bzip2",
            "permessage-deflate; fast",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=09",
            "permessage-deflate; client_max_window_bits=+9",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=15; server_max_window_bits=15",
        ] {
            assert_eq!(accepted(&[offer]), Ok(None), "{offer}");
        }
    }

    #[test]
    fn what_is_no_list_of_extensions_is_refused() {
        for offer in [
            "",
            ",",
            ";",
            "permessage-deflate;",
            "permessage-deflate; =1",
            "permessage-deflate; client_max_window_bits=",
            "permessage-deflate; client_max_window_bits=\"10",
            "permessage-deflate; client_max_window_bits=\"1 0\"",
            "permessage-deflate client_max_window_bits",
            "permessage-deflate, \"foo\"",
        ] {
            assert_eq!(accepted(&[offer]), Err(Handshake::Extensions), "{offer}");
        }
    }
}

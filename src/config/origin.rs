//! Web origins: scheme, host and port, as browsers send them and options name them.

use std::fmt;
use std::str::FromStr;

use hyper::http::Uri;
use hyper::http::uri::Authority;

/// A scheme, a host and perhaps a port, in the one form in which browsers write it: lower case, without the
/// scheme's own port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    https: bool,
    authority: String,
}

/// A text is not an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not http:// or https://, a host and perhaps a port, without a path")]
pub struct BadOrigin;

impl Origin {
    /// The host, and the port unless it is the scheme's own.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The host alone; IPv6 addresses in brackets.
    pub fn host(&self) -> &str {
        let port = self
            .authority
            .rfind(':')
            .filter(|at| !self.authority[*at..].contains(']'));
        port.map_or(&self.authority, |at| &self.authority[..at])
    }

    /// Whether it is `https`.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The same place as a WebSocket's origin, for content security policies.
    pub fn websocket(&self) -> String {
        format!("{}://{}", if self.https { "wss" } else { "ws" }, self.authority)
    }

    /// The origin at a `Host`.
    pub fn at(https: bool, host: &str) -> Option<Self> {
        let authority = canonical(&host.parse().ok()?, https)?;
        Some(Self { https, authority })
    }

    /// The origin of a whole URL.
    pub fn of_url(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let https = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = canonical(uri.authority()?, https)?;
        Some(Self { https, authority })
    }
}

fn canonical(authority: &Authority, https: bool) -> Option<String> {
    let (text, host) = (authority.as_str(), authority.host());
    let port = match text.strip_prefix(host)? {
        "" => None,
        port => Some(port.strip_prefix(':')?.parse::<u16>().ok()?),
    };
    let own_port = if https { 443 } else { 80 };
    let host = host.to_ascii_lowercase();
    match port {
        _ if !plain(&host) => None,
        Some(port) if port != own_port => Some(format!("{host}:{port}")),
        _ => Some(host),
    }
}

/// Whether a host is a name or an address and nothing else: RFC 3986 would allow `;` and `,` as well, which
/// mean something in a content security policy.
fn plain(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    }
}

impl FromStr for Origin {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let origin = Self::of_url(text).ok_or(BadOrigin)?;
        let path = text
            .split_once("://")
            .and_then(|(_, rest)| rest.find(['/', '?', '#']).map(|at| &rest[at..]));
        match path {
            None | Some("/") => Ok(origin),
            Some(_) => Err(BadOrigin),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, origin: Option<&str>) {
        let parsed = text.parse::<Origin>().ok().map(|origin| origin.to_string());
        assert_eq!(parsed.as_deref(), origin, "{text}");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_in_one_form() {
        check("http://127.0.0.1:8080", Some("http://127.0.0.1:8080"));
        check("https://Shop.Example/", Some("https://shop.example"));
        check("https://shop.example:443", Some("https://shop.example"));
        check("http://shop.example:443", Some("http://shop.example:443"));
        check("http://[::1]:8080", Some("http://[::1]:8080"));
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_refused() {
        for text in [
            "null",
            "",
            "file://",
            "ftp://a.example",
            "//a.example",
            "a.example",
            "http://",
            "http://:80",
            "http://a.example/path",
            "http://a.example?q",
            "http://a.example#shop.example",
            "http://shop.example@evil.example",
            "http://a.example:",
            "http://a.example:99999",
            "http://a b",
            "http://a;script-src",
            "http://a,b",
            "http://[::1;]",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn an_origin_at_a_host_has_the_requests_scheme() {
        let at = |https, host| Origin::at(https, host).map(|origin| origin.to_string());
        assert_eq!(at(true, "A.example:443").as_deref(), Some("https://a.example"));
        assert_eq!(at(false, "a.example:443").as_deref(), Some("http://a.example:443"));
        assert_eq!(at(false, "user@a.example"), None);
        assert_eq!(at(false, "a.example/x"), None);
    }

    #[test]
    fn a_host_is_told_from_its_port() {
        for (text, host) in [
            ("http://[::1]:8080", "[::1]"),
            ("http://a.example:81", "a.example"),
            ("http://[::1]", "[::1]"),
        ] {
            assert_eq!(text.parse::<Origin>().expect(text).host(), host);
        }
    }
}

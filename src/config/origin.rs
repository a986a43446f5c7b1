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

    /// Whether a request's `Host` (or what a proxy says of it) names the same host and port, read with this
    /// origin's scheme.
    pub fn is_at(&self, host: &str) -> bool {
        host.parse()
            .is_ok_and(|host| canonical(&host, self.https).is_some_and(|host| host == self.authority))
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
        _ if host.is_empty() => None,
        Some(port) if port != own_port => Some(format!("{host}:{port}")),
        _ => Some(host),
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

    fn check(origin: &str, host: &str, same: bool) {
        let parsed = origin.parse::<Origin>();
        assert_eq!(
            parsed.is_ok_and(|origin| origin.is_at(host)),
            same,
            "{origin} at {host}"
        );
    }

    #[test]
    fn an_origin_is_at_its_own_host_and_port_only() {
        check("http://127.0.0.1:8080", "127.0.0.1:8080", true);
        check("http://127.0.0.1:8080", "127.0.0.1:8081", false);
        check("https://Shop.Example", "shop.example", true);
        check("https://shop.example", "shop.example:443", true);
        check("http://shop.example", "shop.example:443", false);
        check("https://shop.example:8443", "shop.example", false);
        check("http://[::1]:8080", "[::1]:8080", true);
        check("http://shop.example.evil.example", "shop.example", false);
        check("http://evil.example#shop.example", "shop.example", false);
        check("http://shop.example@evil.example", "evil.example", false);
        check("http://evil.example/shop.example", "evil.example", false);
        check("null", "null", false);
        check("", "", false);
        check("file://", "", false);
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

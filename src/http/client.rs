//! Who asks, seen through the proxies that are trusted, and under which address they see us.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};

use super::App;
use super::error::Error;
use super::places::Visit;
use crate::config::{Config, Network, Origin};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The client of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address: the right-most one in `X-Forwarded-For` that no trusted proxy has.
    pub address: IpAddr,
    /// Our origin as the client sees it, where `Host` says one.
    pub seen_at: Option<Origin>,
}

impl Client {
    fn of(peer: IpAddr, headers: &HeaderMap, config: &Config) -> Self {
        let proxies = &config.trusted_proxies;
        let text = |name| {
            headers
                .get_all(name)
                .iter()
                .next_back()
                .and_then(|value| value.to_str().ok())
        };
        let last = |name| text(name).and_then(|value| value.rsplit(',').next()).map(str::trim);
        if !trusted(proxies, peer) {
            return Self {
                address: peer.to_canonical(),
                seen_at: text(HOST).and_then(|host| Origin::at(config.tls.is_some(), host)),
            };
        }
        let https = last(FORWARDED_PROTO) == Some("https");
        let host = last(FORWARDED_HOST).or_else(|| text(HOST));
        Self {
            address: behind(proxies, peer, headers).to_canonical(),
            seen_at: host.and_then(|host| Origin::at(https, host)),
        }
    }

    /// Our own origin in links: the public URL, or where the client sees us.
    pub fn page_origin(&self, config: &Config) -> Option<Origin> {
        config.public_url.clone().or_else(|| self.seen_at.clone())
    }

    /// Whether a page of `origin` may speak for its visitor here: it is our own, or was allowed.
    pub(super) fn allows(&self, origin: &str, config: &Config) -> bool {
        // Browsers write none of the slashes that options may end with.
        let Some(Ok(origin)) = (!origin.ends_with('/')).then(|| origin.parse::<Origin>()) else {
            return false;
        };
        // Whether a proxy in front speaks TLS is only known of trusted ones, so the scheme is not compared.
        let same_host = |own: &Origin| own.authority() == origin.authority();
        self.seen_at.as_ref().is_some_and(same_host)
            || config.public_url.as_ref() == Some(&origin)
            || config.allow_origins.contains(&origin)
    }
}

fn trusted(proxies: &[Network], address: IpAddr) -> bool {
    proxies.iter().any(|network| network.contains(address))
}

/// From the right, each proxy is believed as long as it is trusted.
fn behind(proxies: &[Network], peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let hops: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("").split(','))
        .collect();
    let mut nearest = peer;
    for hop in hops.iter().rev() {
        let Ok(address) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        nearest = address;
        if !trusted(proxies, address) {
            break;
        }
    }
    nearest
}

impl FromRequestParts<App> for Client {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let visit = parts.extensions.get::<Arc<Visit>>().ok_or_else(|| {
            tracing::error!("a request came without its socket's address");
            Error::Internal
        })?;
        Ok(Self::of(visit.peer.ip(), &parts.headers, &app.config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Options, Secrets};

    fn config() -> Config {
        let options = Options {
            trusted_proxy: Some(vec!["10.0.0.0/8".to_owned()]),
            public_url: Some("https://live.example".to_owned()),
            allow_origin: Some(vec!["https://shop.example".to_owned()]),
            ..Options::default()
        };
        options.check(Secrets::default()).expect("is good")
    }

    fn client(peer: &str, headers: &[(HeaderName, &str)]) -> Client {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().expect("a value")));
        Client::of(peer.parse().expect("an address"), &headers.collect(), &config())
    }

    #[test]
    fn a_stranger_cannot_pretend_to_come_from_elsewhere() {
        let client = client(
            "8.8.8.8",
            &[
                (HOST, "a.example"),
                (FORWARDED_FOR, "1.1.1.1"),
                (FORWARDED_HOST, "b.example"),
                (FORWARDED_PROTO, "https"),
            ],
        );
        assert_eq!(client.address.to_string(), "8.8.8.8");
        assert_eq!(client.seen_at.expect("a host").to_string(), "http://a.example");
    }

    #[test]
    fn of_the_forwarded_addresses_the_last_stranger_counts() {
        let from = |list: &str| client("10.0.0.1", &[(FORWARDED_FOR, list)]).address.to_string();
        assert_eq!(from("1.1.1.1"), "1.1.1.1");
        assert_eq!(from("6.6.6.6, 1.1.1.1, 10.0.0.2"), "1.1.1.1");
        assert_eq!(from("10.0.0.3, 10.0.0.2"), "10.0.0.3");
        assert_eq!(from("1.1.1.1, nonsense"), "10.0.0.1");
        assert_eq!(from(""), "10.0.0.1");
        assert_eq!(from("2001:db8::1"), "2001:db8::1");
    }

    #[test]
    fn a_trusted_proxy_says_under_which_address_it_serves_us() {
        let client = client(
            "10.0.0.1",
            &[
                (HOST, "127.0.0.1:8080"),
                (FORWARDED_HOST, "evil.example, b.example"),
                (FORWARDED_PROTO, "https"),
            ],
        );
        assert_eq!(client.seen_at.expect("a host").to_string(), "https://b.example");
    }

    #[test]
    fn a_page_may_open_a_socket_from_our_own_and_from_listed_origins_only() {
        let check = |origin: &str, allowed: bool| {
            let client = client("8.8.8.8", &[(HOST, "127.0.0.1:8080")]);
            assert_eq!(client.allows(origin, &config()), allowed, "{origin}");
        };
        check("http://127.0.0.1:8080", true);
        check("https://127.0.0.1:8080", true);
        check("https://live.example", true);
        check("https://shop.example", true);
        check("http://shop.example", false);
        check("http://127.0.0.1:8080/", false);
        check("http://127.0.0.1", false);
        check("http://127.0.0.1:8081", false);
        check("http://127.0.0.1:8080.evil.example", false);
        check("https://live.example.evil.example", false);
        check("https://evil.example/?https://live.example", false);
        check("null", false);
        check("", false);
    }

    #[test]
    fn a_default_port_is_the_same_said_or_unsaid() {
        let client = client("8.8.8.8", &[(HOST, "shop.local")]);
        assert!(client.allows("http://shop.local", &config()));
        assert!(client.allows("http://shop.local:80", &config()));
        assert!(!client.allows("http://shop.local:443", &config()));
    }
}

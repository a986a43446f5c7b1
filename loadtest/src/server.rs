//! Where the server is, and whom TLS takes for it.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use hubbub::tls::client::{Shown, trusting};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{self, ClientConfig, ClientConnection, RootCertStore};

use crate::options::{Failure, usage};

/// The options that say whose certificate is good.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Trust {
    /// A file with certificates as PEM: the server's is good if it is one of them or signed by one, whatever the
    /// system trusts. Without it, the system's authorities are trusted.
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Any certificate of the server is good.
    #[arg(long, conflicts_with = "cacert")]
    pub(crate) insecure: bool,
}

/// Where the server is.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// `http://host:port` or `https://host:port`.
    pub(crate) url: String,
    /// For the `Host` header.
    pub(crate) authority: String,
    /// The address that is connected to.
    pub(crate) address: SocketAddr,
    /// How TLS is spoken; none: it is not.
    pub(crate) tls: Option<Tls>,
}

/// How TLS is spoken with a server. No session is taken up again: each viewer comes with a full handshake, as
/// a phone that was not there before.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// A connection that has not begun.
    ///
    /// # Errors
    ///
    /// None that is known with a configuration that [`Server::find`] made.
    pub(crate) fn connection(&self) -> Result<ClientConnection, rustls::Error> {
        let mut connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone())?;
        // What a viewer has to say is bounded by its requests; a write is never in part.
        connection.set_buffer_limit(None);
        Ok(connection)
    }

    /// The same, with its handshake made.
    ///
    /// # Errors
    ///
    /// The server is not the one that is trusted, or the socket's.
    pub(crate) async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(self.name.clone(), stream).await
    }
}

impl Server {
    /// The server at `http://HOST:PORT` or `https://HOST:PORT` (`ws://`, `wss://`).
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`] for another URL and for certificates that cannot be read, [`Failure::Unavailable`] for a
    /// host without an address.
    pub(crate) fn find(url: &str, trust: &Trust) -> Result<Self, Failure> {
        let (scheme, authority) = match url.split_once("://") {
            Some(("http" | "ws", rest)) => ("http", rest.trim_end_matches('/')),
            Some(("https" | "wss", rest)) => ("https", rest.trim_end_matches('/')),
            _ => return usage("--server: begins with http:// or https://"),
        };
        if authority.is_empty() || authority.contains(['/', '@', '?', '#']) {
            return usage("--server: is http://HOST:PORT or https://HOST:PORT and nothing more");
        }
        let named = authority
            .rsplit_once(':')
            .filter(|(_, port)| port.parse::<u16>().is_ok());
        let host = named.map_or(authority, |(host, _)| host);
        let with_port = match (named, scheme) {
            (Some(_), _) => authority.to_owned(),
            (None, "https") => format!("{authority}:443"),
            (None, _) => format!("{authority}:80"),
        };
        let unavailable = |why: &dyn fmt::Display| Failure::Unavailable(format!("{authority}{why}"));
        let mut found = with_port
            .to_socket_addrs()
            .map_err(|error| unavailable(&format_args!(": {error}")))?;
        let address = found.next().ok_or_else(|| unavailable(&" has no address"))?;
        let tls = match scheme {
            "https" => Some(Tls {
                config: Arc::new(trust.config()?),
                name: ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
                    .map_err(|_| Failure::Usage(format!("--server: no certificate can be for {host}")))?,
            }),
            _ => None,
        };
        Ok(Self {
            url: format!("{scheme}://{authority}"),
            authority: authority.to_owned(),
            address,
            tls,
        })
    }
}

impl Trust {
    fn config(&self) -> Result<ClientConfig, Failure> {
        let mut config = match (self.insecure, &self.cacert) {
            (true, _) => trusting(|_| Ok(())),
            (false, Some(file)) => {
                let listed = Listed::read(file)?;
                trusting(move |shown| listed.judge(shown))
            }
            (false, None) => ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_protocol_versions(rustls::ALL_VERSIONS)
                .expect("the provider speaks TLS 1.2 and 1.3")
                .with_root_certificates(those_of_the_system()?)
                .with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

fn those_of_the_system() -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    match roots.is_empty() {
        true => usage("this system trusts no authority: name the server's certificate with --cacert"),
        false => Ok(roots),
    }
}

/// What stands in a file with certificates.
struct Listed {
    certificates: Vec<CertificateDer<'static>>,
    as_authorities: Arc<WebPkiServerVerifier>,
}

impl Listed {
    fn read(file: &Path) -> Result<Self, Failure> {
        let bad = |why: &dyn fmt::Display| Failure::Usage(format!("--cacert: {}: {why}", file.display()));
        let certificates = CertificateDer::pem_file_iter(file)
            .and_then(|read| read.collect::<Result<Vec<_>, _>>())
            .map_err(|error| bad(&error))?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|error| bad(&error))?;
        }
        let provider = Arc::new(ring::default_provider());
        let as_authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| bad(&error))?;
        Ok(Self {
            certificates,
            as_authorities,
        })
    }

    fn judge(&self, shown: &Shown<'_>) -> Result<(), rustls::Error> {
        let Shown {
            certificate,
            intermediates,
            name,
            now,
        } = *shown;
        if self.certificates.contains(certificate) {
            // Its own authority, as `openssl req -x509` makes them: no chain leads to it.
            return verify_server_name(&ParsedCertificate::try_from(certificate)?, name);
        }
        let judged = self
            .as_authorities
            .verify_server_cert(certificate, intermediates, name, &[], now);
        judged.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(url: &str) -> Result<Server, Failure> {
        let insecure = Trust {
            insecure: true,
            cacert: None,
        };
        Server::find(url, &insecure)
    }

    #[test]
    fn a_server_without_a_port_is_at_80_or_443() {
        for (url, authority, address, tls) in [
            ("http://127.0.0.1/", "127.0.0.1", "127.0.0.1:80", false),
            ("https://127.0.0.1", "127.0.0.1", "127.0.0.1:443", true),
            ("wss://127.0.0.1:8443", "127.0.0.1:8443", "127.0.0.1:8443", true),
            ("ws://[::1]:8080", "[::1]:8080", "[::1]:8080", false),
            ("https://[::1]", "[::1]", "[::1]:443", true),
        ] {
            let server = find(url).expect(url);
            assert_eq!(server.authority, authority);
            assert_eq!(server.address, address.parse().expect("an address"));
            assert_eq!(server.tls.is_some(), tls, "{url}");
        }
    }

    #[test]
    fn what_is_no_servers_url_or_certificate_is_refused_with_its_option() {
        for bad in [
            "127.0.0.1",
            "ftp://127.0.0.1",
            "http://",
            "http://127.0.0.1/path",
            "https://a@127.0.0.1",
        ] {
            let why = find(bad).expect_err(bad).to_string();
            assert!(why.starts_with("--server"), "{why}");
        }
        let trusts = |file: &str| Trust {
            cacert: Some(file.into()),
            insecure: false,
        };
        for file in ["/none", "Cargo.toml"] {
            let why = Server::find("https://127.0.0.1", &trusts(file))
                .expect_err(file)
                .to_string();
            assert!(why.starts_with(&format!("--cacert: {file}")), "{why}");
        }
    }
}

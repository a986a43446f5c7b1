//! TLS without a proxy: the certificate, read anew when its files change or at SIGHUP, without disturbing anybody who is
//! connected. A new one that cannot be used leaves the old one in place.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};

/// What is spoken over it (ALPN).
const HTTP: &[u8] = b"http/1.1";
/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Where certificate and key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate, and those that lead from it to a known authority, as PEM.
    pub cert: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
}

/// A certificate that cannot be used; nothing of the key is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    /// There is no certificate in its file.
    #[error("{} is no certificate as PEM: {reason}", path.display())]
    Cert {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// There is no private key in its file.
    #[error("{} is no private key as PEM: {reason}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The two do not belong together, or are of a kind that is not known.
    #[error("the key in {} cannot be used with the certificate in {}: {reason}", key.display(), cert.display())]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        reason: String,
    },
}

/// When the files were written, and their lengths; none: they are not there.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Files {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// See [`BadCertificate`].
    pub fn load(&self) -> Result<CertifiedKey, BadCertificate> {
        let bad_cert = |reason: String| BadCertificate::Cert {
            path: self.cert.clone(),
            reason,
        };
        let chain = CertificateDer::pem_file_iter(&self.cert)
            .and_then(|read| read.collect::<Result<Vec<_>, _>>())
            .map_err(|error| bad_cert(error.to_string()))?;
        if chain.is_empty() {
            return Err(bad_cert("it holds none".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| BadCertificate::Key {
            path: self.key.clone(),
            reason: error.to_string(),
        })?;
        CertifiedKey::from_der(chain, key, &provider()).map_err(|error| BadCertificate::Pair {
            cert: self.cert.clone(),
            key: self.key.clone(),
            reason: error.to_string(),
        })
    }

    fn stamp(&self) -> Stamp {
        let stamp = |path: &Path| {
            let told = path.metadata().ok()?;
            Some((told.modified().ok()?, told.len()))
        };
        [stamp(&self.cert), stamp(&self.key)]
    }
}

fn provider() -> CryptoProvider {
    ring::default_provider()
}

/// The certificate that is shown to whoever comes.
#[derive(Debug)]
pub struct Certificate {
    files: Files,
    current: ArcSwap<CertifiedKey>,
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl Certificate {
    /// The one in these files.
    ///
    /// # Errors
    ///
    /// See [`BadCertificate`].
    pub fn open(files: Files) -> Result<Arc<Self>, BadCertificate> {
        let current = ArcSwap::from_pointee(files.load()?);
        Ok(Arc::new(Self { files, current }))
    }

    /// Takes handshakes with it: TLS 1.2 and 1.3, for HTTP/1.1.
    ///
    /// # Errors
    ///
    /// The cryptography does not know the protocol's versions: a mistake in the program.
    pub fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![HTTP.to_vec()];
        // Phones that come back after a storm save a signature each, and nothing of them is kept here.
        config.ticketer = ring::Ticketer::new()?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reads the files again when they have changed, or at SIGHUP, until `stop`.
    pub async fn watch(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => {
                tracing::error!(%error, "SIGHUP cannot be heard: a new certificate needs a restart");
                return;
            }
        };
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = self.files.stamp();
        loop {
            let asked = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                _ = hangup.recv() => true,
                _ = looks.tick() => false,
            };
            let stamp = self.files.stamp();
            if asked || stamp != known {
                known = stamp;
                self.reload();
            }
        }
    }

    fn reload(&self) {
        match self.files.load() {
            Ok(certificate) => {
                self.current.store(Arc::new(certificate));
                tracing::info!(cert = %self.files.cert.display(), "a new certificate is shown from now on");
            }
            Err(error) => tracing::warn!(%error, "the new certificate cannot be used; the old one stays"),
        }
    }
}

/// A client that takes this certificate and no other, whoever has signed it: how the server's own health check
/// knows whom it talks to.
///
/// # Errors
///
/// See [`BadCertificate`].
pub fn client(files: &Files) -> Result<ClientConfig, BadCertificate> {
    let own = Only {
        certificate: files.load()?.cert[0].clone().into_owned(),
        provider: provider(),
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .expect("the provider speaks TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(own))
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP.to_vec()];
    Ok(config)
}

/// Trusts one certificate.
#[derive(Debug)]
struct Only {
    certificate: CertificateDer<'static>,
    provider: CryptoProvider,
}

impl ServerCertVerifier for Only {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _stapled: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match *shown == self.certificate {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(rustls::Error::General("another certificate".to_owned())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

//! Clients that trust by a rule of their own.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, SignatureScheme};

use super::{BadCertificate, Files, HTTP, provider};

/// A client that takes this certificate and no other, whoever has signed it: how the server's own health check
/// knows whom it talks to.
///
/// # Errors
///
/// See [`BadCertificate`].
pub fn pinned_to(files: &Files) -> Result<ClientConfig, BadCertificate> {
    let own = files.load()?.cert[0].clone().into_owned();
    let mut config = trusting(move |shown| match *shown.certificate == own {
        true => Ok(()),
        false => Err(rustls::Error::General("another certificate".to_owned())),
    });
    config.alpn_protocols = vec![HTTP.to_vec()];
    Ok(config)
}

/// What a server shows to a client.
pub struct Shown<'a> {
    /// Its certificate.
    pub certificate: &'a CertificateDer<'a>,
    /// Those that lead from it to an authority.
    pub intermediates: &'a [CertificateDer<'a>],
    /// The name that the client knows it by.
    pub name: &'a ServerName<'a>,
    /// The client's time.
    pub now: UnixTime,
}

/// A client that judges by this rule whether it trusts a certificate. That the server holds its key is checked
/// as always.
pub fn trusting(rule: impl Fn(&Shown<'_>) -> Result<(), rustls::Error> + Send + Sync + 'static) -> ClientConfig {
    let provider = provider();
    let judge = Judge {
        rule,
        algorithms: provider.signature_verification_algorithms,
    };
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .expect("the provider speaks TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(judge))
        .with_no_client_auth()
}

struct Judge<R> {
    rule: R,
    algorithms: WebPkiSupportedAlgorithms,
}

impl<R> fmt::Debug for Judge<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judge")
    }
}

impl<R: Fn(&Shown<'_>) -> Result<(), rustls::Error> + Send + Sync> ServerCertVerifier for Judge<R> {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        (self.rule)(&Shown {
            certificate,
            intermediates,
            name,
            now,
        })
        .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

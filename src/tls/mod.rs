//! TLS without a proxy: the certificate, read anew when its files change or at SIGHUP, without disturbing anybody who is
//! connected. A new one that cannot be used leaves the old one in place; one that is about to end, or has ended, is
//! used and said.

pub mod client;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use prometheus::IntGauge;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};
use x509_cert::Certificate as Parsed;
use x509_cert::der::Decode;
use x509_cert::time::Validity as Written;

/// What is spoken over it (ALPN).
const HTTP: &[u8] = b"http/1.1";
/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// A certificate is about to end when less is left than this, and less than a fifth of its time: one for a year should be
/// renewed by then, and one for six days is not yet renewed earlier. The alert rule says the same.
const NEAR_END: Duration = Duration::from_secs(14 * 24 * 3_600);
const NEAR_END_PART: u32 = 5;

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

/// From when until when a certificate holds, since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Validity {
    begins: Duration,
    ends: Duration,
}

/// What is to be said of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    NotYet,
    Good,
    NearEnd,
    Ended,
}

impl Validity {
    /// Of the certificate itself, not of those that lead from it to an authority. None: it cannot be read that far, which is
    /// no reason not to show it.
    fn of(certificate: &CertifiedKey) -> Option<Self> {
        let parsed = Parsed::from_der(certificate.cert.first()?).ok()?;
        let Written { not_before, not_after } = parsed.tbs_certificate.validity;
        Some(Self {
            begins: not_before.to_unix_duration(),
            ends: not_after.to_unix_duration(),
        })
    }

    fn standing(self, now: Duration) -> Standing {
        let left = self.ends.saturating_sub(now);
        let near = NEAR_END.min(self.ends.saturating_sub(self.begins) / NEAR_END_PART);
        match () {
            () if now < self.begins => Standing::NotYet,
            () if left.is_zero() => Standing::Ended,
            () if left < near => Standing::NearEnd,
            () => Standing::Good,
        }
    }
}

/// Where it is told from when until when the certificate holds, Unix seconds; 0: there is none.
#[derive(Clone, Debug)]
pub struct Told {
    /// When it begins.
    pub begins: IntGauge,
    /// When it ends.
    pub ends: IntGauge,
}

/// The certificate that is shown to whoever comes.
#[derive(Debug)]
pub struct Certificate {
    files: Files,
    current: ArcSwap<CertifiedKey>,
    told: Told,
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
    pub fn open(files: Files, told: Told) -> Result<Arc<Self>, BadCertificate> {
        let current = ArcSwap::from_pointee(files.load()?);
        let certificate = Self { files, current, told };
        certificate.tell();
        Ok(Arc::new(certificate))
    }

    /// Tells from when until when it holds, and says so where that needs somebody.
    fn tell(&self) {
        let validity = Validity::of(&self.current.load());
        let seconds = |time: fn(Validity) -> Duration| validity.map_or(0, |validity| time(validity).as_secs() as i64);
        self.told.begins.set(seconds(|validity| validity.begins));
        self.told.ends.set(seconds(|validity| validity.ends));
        let cert = self.files.cert.display();
        let Some(validity) = validity else {
            tracing::warn!(%cert, "it cannot be read from the certificate until when it holds");
            return;
        };
        // Clients judge by the wall clock.
        let now = UNIX_EPOCH.elapsed().unwrap_or_default();
        let days_left = validity.ends.saturating_sub(now).as_secs() / (24 * 3_600);
        match validity.standing(now) {
            Standing::Good => {}
            Standing::NotYet => tracing::warn!(%cert, "the certificate does not hold yet: clients refuse it"),
            Standing::NearEnd => tracing::warn!(%cert, days_left, "the certificate is about to end: renew it"),
            Standing::Ended => tracing::error!(%cert, "the certificate has ended: clients refuse it"),
        }
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
                self.tell();
            }
            Err(error) => tracing::warn!(%error, "the new certificate cannot be used; the old one stays"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3_600;

    #[test]
    fn a_certificate_is_about_to_end_in_its_last_fifth_but_not_earlier_than_two_weeks_before() {
        let check = |days: u64, hours_left: i64, expected: Standing| {
            let begins = Duration::from_secs(20_000 * DAY);
            let validity = Validity {
                begins,
                ends: begins + Duration::from_secs(days * DAY),
            };
            let now = Duration::from_secs(validity.ends.as_secs().saturating_add_signed(-3_600 * hours_left));
            assert_eq!(validity.standing(now), expected, "{days} days, {hours_left} hours left");
        };
        check(365, 366 * 24, Standing::NotYet);
        check(365, 14 * 24 + 1, Standing::Good);
        check(365, 14 * 24 - 1, Standing::NearEnd);
        check(90, 14 * 24 - 1, Standing::NearEnd);
        check(6, 29, Standing::Good);
        check(6, 28, Standing::NearEnd);
        check(365, 0, Standing::Ended);
        check(365, -1, Standing::Ended);
    }
}

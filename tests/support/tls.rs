//! Certificates of their own for tests, and clients that trust them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hubbub::tls::{self, Files};
use parking_lot::Mutex;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// Servers that speak TLS, and what is known of them.
static KNOWN: LazyLock<Mutex<HashMap<SocketAddr, Arc<ClientConfig>>>> = LazyLock::new(Mutex::default);

/// Writes a new certificate and its key into a folder, in place of those that are there.
pub(crate) fn certificate(folder: &Path) -> Files {
    certificate_between(folder, Duration::ZERO, Duration::from_secs(1 << 32))
}

/// As [`certificate`], that holds between these times since 1970.
pub(crate) fn certificate_between(folder: &Path, begins: Duration, ends: Duration) -> Files {
    let mut wanted = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    wanted.not_before = date_time_ymd(1970, 1, 1) + begins;
    wanted.not_after = date_time_ymd(1970, 1, 1) + ends;
    let key = KeyPair::generate().unwrap();
    let cert = wanted.self_signed(&key).unwrap();
    let files = Files {
        cert: folder.join("cert.pem"),
        key: folder.join("key.pem"),
    };
    std::fs::write(&files.cert, cert.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    files
}

/// From now on clients speak TLS with this address, and want to see the certificate that is in the files now.
pub(crate) fn trust(address: SocketAddr, files: &Files) {
    let client = tls::client::pinned_to(files).unwrap();
    KNOWN.lock().insert(address, Arc::new(client));
}

/// How to speak TLS with this address; none: it speaks none.
pub(crate) fn known(address: SocketAddr) -> Option<Arc<ClientConfig>> {
    KNOWN.lock().get(&address).cloned()
}

/// Opens a TLS session over a socket to an address that is trusted.
pub(crate) async fn secured(socket: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
    let address = socket.peer_addr()?;
    let client = known(address).expect("it is trusted");
    TlsConnector::from(client)
        .connect(ServerName::IpAddress(address.ip().into()), socket)
        .await
}

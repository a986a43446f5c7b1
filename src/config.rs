//! What the process was told: flags over environment over file over default.

use std::net::SocketAddr;
use std::path::PathBuf;

/// How the process runs, complete and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where pages, REST and WebSockets are served.
    pub listen: SocketAddr,
    /// The data folder: journal, secret, covers.
    pub data: PathBuf,
    /// What links begin with, without a slash at the end; none: the address at which the page was opened.
    pub public_url: Option<String>,
    /// Where metrics are served, instead of on the main address.
    pub metrics_listen: Option<SocketAddr>,
}

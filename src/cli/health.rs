//! `hubbub health`: what a container's health check runs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConnection, StreamOwned};

use super::{Configured, Failure};
use crate::config::reachable;
use crate::tls;

const PATIENCE: Duration = Duration::from_secs(3);
/// More than the answer can be.
const ANSWER_BYTES_MAX: u64 = 4 << 10;

pub(super) fn run(configured: Configured) -> Result<(), Failure> {
    let config = configured.read()?;
    let address = reachable(config.listen);
    let tls = match &config.tls {
        Some(files) => Some(Arc::new(tls::client::pinned_to(files).map_err(Failure::other)?)),
        None => None,
    };
    let ask = || -> std::io::Result<String> {
        let server = TcpStream::connect_timeout(&address, PATIENCE)?;
        server.set_read_timeout(Some(PATIENCE))?;
        server.set_write_timeout(Some(PATIENCE))?;
        let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        match &tls {
            None => answer(server, &request),
            Some(tls) => {
                let name = ServerName::IpAddress(address.ip().into());
                let session = ClientConnection::new(tls.clone(), name).map_err(std::io::Error::other)?;
                answer(StreamOwned::new(session, server), &request)
            }
        }
    };
    let answer = ask().map_err(|cause| Failure::other(format!("{address} does not answer: {cause}")))?;
    match answer.split_ascii_whitespace().nth(1) {
        Some("200") => Ok(()),
        _ => Err(Failure::other(format!(
            "{address} is not ready: {}",
            answer.lines().last().unwrap_or("no answer")
        ))),
    }
}

fn answer(mut server: impl Read + Write, request: &str) -> std::io::Result<String> {
    server.write_all(request.as_bytes())?;
    let mut answer = String::new();
    server.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}

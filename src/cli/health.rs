//! `hubbub health`: what a container's health check runs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::{Configured, Failure};
use crate::config::reachable;

const PATIENCE: Duration = Duration::from_secs(3);
/// More than the answer can be.
const ANSWER_BYTES_MAX: u64 = 4 << 10;

pub(super) fn run(configured: Configured) -> Result<(), Failure> {
    let address = reachable(configured.read()?.listen);
    let ask = || -> std::io::Result<String> {
        let mut server = TcpStream::connect_timeout(&address, PATIENCE)?;
        server.set_read_timeout(Some(PATIENCE))?;
        server.set_write_timeout(Some(PATIENCE))?;
        write!(
            server,
            "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        server.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
        Ok(answer)
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

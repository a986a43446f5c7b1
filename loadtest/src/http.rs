//! Requests to the server, one connection each.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::handshake;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::rt::{Read, Write};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::options::Failure;
use crate::server::Server;

/// Longer than the server gives any request.
const TIMEOUT: Duration = Duration::from_secs(40);

type Body = Full<bytes::Bytes>;
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Asks a server.
pub(crate) struct Http {
    runtime: Runtime,
    server: Server,
    token: String,
}

impl Http {
    /// With a token, for what needs one.
    ///
    /// # Errors
    ///
    /// The system gives no poll.
    pub(crate) fn new(server: &Server, token: &str) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self {
            runtime: runtime.map_err(|error| Failure::Usage(error.to_string()))?,
            server: server.clone(),
            token: token.to_owned(),
        })
    }

    /// Asks, with JSON if any; the status and what came with it.
    ///
    /// # Errors
    ///
    /// Why there is no answer, as a sentence.
    pub(crate) fn ask(&self, method: Method, path: &str, json: Option<String>) -> Result<(StatusCode, String), String> {
        let asked = self.runtime.block_on(async {
            timeout(TIMEOUT, self.exchange(method, path, json))
                .await
                .map_err(|_| "no answer within 40 s")?
        });
        asked.map_err(|error| error.to_string())
    }

    async fn exchange(&self, method: Method, path: &str, json: Option<String>) -> Outcome<(StatusCode, String)> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.server.authority)
            .header(AUTHORIZATION, format!("Bearer {}", self.token));
        let request = match json {
            Some(json) => request.header(CONTENT_TYPE, "application/json").body(Body::from(json)),
            None => request.body(Body::default()),
        }?;
        let stream = TcpStream::connect(self.server.address).await?;
        match &self.server.tls {
            None => answer(TokioIo::new(stream), request).await,
            Some(tls) => answer(TokioIo::new(tls.connect(stream).await?), request).await,
        }
    }
}

async fn answer<S>(stream: S, request: Request<Body>) -> Outcome<(StatusCode, String)>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = handshake(stream).await?;
    // How it ends is told with the answer.
    tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

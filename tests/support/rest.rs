//! How tests ask over HTTP.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, StatusCode, header};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::raw;

/// A client of one server.
pub(crate) struct Rest {
    pub(crate) address: SocketAddr,
    /// An operator's token.
    pub(crate) operator: String,
    http: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) headers: header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Rest {
    pub(crate) fn new(address: SocketAddr, operator: String) -> Self {
        Self {
            address,
            operator,
            http: reqwest::Client::new(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request below `/api/v1`; an empty token is none.
    pub(crate) fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        let request = self.http.request(method, self.url(&format!("/api/v1{path}")));
        match token {
            "" => request,
            token => request.bearer_auth(token),
        }
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Told {
        let response = request.send().await.unwrap();
        Told {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    /// What stands at an address outside the API.
    pub(crate) async fn page(&self, path: &str) -> Told {
        self.send(self.http.get(self.url(path))).await
    }

    /// The same, byte by byte.
    pub(crate) async fn plain(&self, path: &str) -> raw::Answer {
        raw::get(self.address, path, "").await
    }

    /// Memory of the server's process.
    pub(crate) async fn resident_bytes(&self) -> u64 {
        let bytes = self.metric("process_resident_memory_bytes").await;
        assert_ne!(bytes, 0);
        bytes
    }

    /// The value of a metric, named with its labels; 0 if it has not counted yet.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let metrics = self.page("/metrics").await.text(200);
        let mut values = metrics
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        values.next().map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a metric has such a value, and says how long that took.
    pub(crate) async fn until_metric(&self, name: &str, within: Duration, is: impl Fn(u64) -> bool) -> Duration {
        let began = Instant::now();
        loop {
            let value = self.metric(name).await;
            if is(value) {
                return began.elapsed();
            }
            assert!(began.elapsed() < within, "{name} is {value} after {within:?}");
            // Asking costs the server something, too.
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Told {
        self.send(self.request(Method::GET, path, token)).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Told {
        self.send(self.request(Method::POST, path, token).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, token: &str, body: Value) -> Told {
        self.send(self.request(Method::PUT, path, token).json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, token: &str, body: Value) -> Told {
        self.send(self.request(Method::PATCH, path, token).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str, token: &str) -> Told {
        self.send(self.request(Method::DELETE, path, token)).await
    }

    /// Makes a public room, and gives the token of its host.
    pub(crate) async fn room(&self, id: &str) -> String {
        let details = json!({"title": "Lipsticks", "host": "Hoa", "goals": {"viewers": 100}});
        let created = self
            .post("/rooms", &self.operator, json!({"id": id, "details": details}))
            .await;
        let created = created.is(201);
        self.accepted(id, created["invitation"].as_str().unwrap()).await
    }

    /// A room on air, and the token of its host.
    pub(crate) async fn live_room(&self, id: &str) -> String {
        let host = self.room(id).await;
        self.post(&format!("/rooms/{id}/start"), &host, json!({})).await.is(200);
        host
    }

    /// Gives a room a cover, and its address.
    pub(crate) async fn cover(&self, id: &str, host: &str, picture: Vec<u8>) -> String {
        let upload = self.request(Method::PUT, &format!("/rooms/{id}/cover"), host);
        self.send(upload.header(header::CONTENT_TYPE, "image/png").body(picture))
            .await
            .is(200);
        let room = self.get(&format!("/rooms/{id}"), "").await.is(200);
        let file = room["show"]["details"]["cover"]["file"].as_str().unwrap();
        format!("/covers/{file}")
    }

    /// Invites somebody and takes the invitation up: their token.
    pub(crate) async fn join(&self, room: &str, role: Value, name: &str) -> String {
        let invite = json!({"role": role, "name": name});
        let path = format!("/rooms/{room}/invitations");
        let invited = self.post(&path, &self.operator, invite).await.is(201);
        self.accepted(room, invited["link"].as_str().unwrap()).await
    }

    async fn accepted(&self, room: &str, link: &str) -> String {
        let (_, code) = link.split_once("#invite=").unwrap();
        let path = format!("/rooms/{room}/invitations/accept");
        let accepted = self.post(&path, "", json!({"code": code})).await.is(200);
        accepted["token"].as_str().unwrap().to_owned()
    }
}

impl Told {
    /// The body, of an answer with this status.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{text}");
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A typed refusal.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Value {
        let body = self.is(status);
        assert_eq!(body["error"]["code"], code, "{body}");
        assert!(body["error"]["message"].as_str().is_some_and(|text| !text.is_empty()));
        body
    }

    #[track_caller]
    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        let value = self.headers.get(&name).unwrap_or_else(|| panic!("no {name}: {self:?}"));
        value.to_str().unwrap()
    }

    #[track_caller]
    pub(crate) fn text(self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        String::from_utf8(self.body).unwrap()
    }
}

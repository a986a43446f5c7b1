//! The server's REST interface: what the host of a load test does.

use std::collections::BTreeMap;

use hubbub::room::fair::Transcript;
use hubbub::room::{Key, RoomId, draw};
use hyper::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::http::Http;
use crate::options::Failure;
use crate::server::Server;

/// Claims in one page: the server's most.
const PAGE: usize = 5_000;

/// A server, and the token to drive it with.
pub(crate) struct Api {
    http: Http,
}

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    /// No answer.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// Another answer than was asked for.
    #[error("{what}: the server says {status} {code}: {message}")]
    Refused {
        what: String,
        status: u16,
        code: String,
        message: String,
    },
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Unavailable(problem.to_string())
    }
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Default, Deserialize)]
struct ErrorDetail {
    code: String,
    message: String,
}

/// A claim in the host's list.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Claim {
    /// The code.
    pub(crate) code: String,
}

#[derive(Deserialize)]
struct Claims {
    claims: Vec<Claim>,
    #[serde(default)]
    next: Option<usize>,
}

#[derive(Deserialize)]
struct Draws {
    opened: Vec<draw::Card>,
}

#[derive(Deserialize)]
struct Room {
    show: BTreeMap<String, Value>,
}

impl Api {
    /// # Errors
    ///
    /// No client can be made.
    pub(crate) fn new(server: &Server, token: &str) -> Result<Self, Failure> {
        Ok(Self {
            http: Http::new(server, token)?,
        })
    }

    fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<String, Problem> {
        let what = format!("{method} {path}");
        let json = body.map(|body| body.to_string());
        let asked = self.http.ask(method, &format!("/api/v1{path}"), json);
        let (status, text) = asked.map_err(|why| Problem::Unreachable(format!("{what}: {why}")))?;
        if status.is_success() {
            return Ok(text);
        }
        let ErrorBody { error } = serde_json::from_str(&text).unwrap_or_default();
        Err(Problem::Refused {
            what,
            status: status.as_u16(),
            code: error.code,
            message: error.message,
        })
    }

    fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        let text = self.ask(Method::GET, path, None)?;
        serde_json::from_str(&text).map_err(|error| Problem::Refused {
            what: format!("GET {path}"),
            status: 200,
            code: "unreadable".to_owned(),
            message: error.to_string(),
        })
    }

    fn act(&self, method: Method, path: &str, body: Option<Value>) -> Result<(), Problem> {
        self.ask(method, path, body).map(drop)
    }

    /// Makes an unlisted room that is marked as a test.
    pub(crate) fn create(&self, room: &RoomId) -> Result<(), Problem> {
        let details = json!({
            "title": "Load test", "host": "Load test", "kind": "video", "access": "unlisted", "test": true,
        });
        self.act(Method::POST, "/rooms", Some(json!({"id": room, "details": details})))
    }

    /// Goes on air.
    pub(crate) fn start(&self, room: &RoomId) -> Result<(), Problem> {
        self.act(Method::POST, &format!("/rooms/{room}/start"), None)
    }

    /// Removes a room with all that happened in it.
    pub(crate) fn remove(&self, room: &RoomId) -> Result<(), Problem> {
        self.act(Method::DELETE, &format!("/rooms/{room}"), None)
    }

    /// Whether a room is on air.
    pub(crate) fn is_live(&self, room: &RoomId) -> Result<bool, Problem> {
        let Room { show } = self.read(&format!("/rooms/{room}"))?;
        Ok(show.get("state").and_then(Value::as_str) == Some("live"))
    }

    /// Prepares a draw and opens it.
    pub(crate) fn open_draw(&self, room: &RoomId, id: &Key, rules: &draw::Rules) -> Result<(), Problem> {
        let path = format!("/rooms/{room}/draws/{id}");
        self.act(Method::PUT, &path, Some(json!(rules)))?;
        self.act(Method::POST, &format!("{path}/open"), None)
    }

    /// Locks a draw: the winners follow.
    pub(crate) fn lock_draw(&self, room: &RoomId, id: &Key) -> Result<(), Problem> {
        self.act(Method::POST, &format!("/rooms/{room}/draws/{id}/lock"), None)
    }

    /// A draw as the stage shows it.
    pub(crate) fn draw(&self, room: &RoomId, id: &Key) -> Result<Option<draw::Card>, Problem> {
        let Draws { opened } = self.read(&format!("/rooms/{room}/draws"))?;
        Ok(opened.into_iter().find(|card| card.id == *id))
    }

    /// The transcript that the server serves.
    pub(crate) fn transcript(&self, room: &RoomId, id: &Key) -> Result<Transcript, Problem> {
        self.read(&format!("/rooms/{room}/draws/{id}/transcript"))
    }

    /// Prepares a discount with generated codes and opens it.
    pub(crate) fn open_discount(&self, room: &RoomId, id: &Key, quota: u32) -> Result<(), Problem> {
        let path = format!("/rooms/{room}/discounts/{id}");
        let terms = json!({
            "title": "Load test", "off": {"percent": 15}, "quota": quota, "closes": {"after_ms": 600_000},
            "who": "anyone",
        });
        let discount = json!({"terms": terms, "codes": {"generated": {}}});
        self.act(Method::PUT, &path, Some(discount))?;
        self.act(Method::POST, &format!("{path}/open"), None)
    }

    /// Closes a discount.
    pub(crate) fn close_discount(&self, room: &RoomId, id: &Key) -> Result<(), Problem> {
        self.act(Method::POST, &format!("/rooms/{room}/discounts/{id}/close"), None)
    }

    /// All claims of a discount.
    pub(crate) fn claims(&self, room: &RoomId, id: &Key) -> Result<Vec<Claim>, Problem> {
        let mut all = Vec::new();
        let mut after = Some(0);
        while let Some(from) = after {
            let path = format!("/rooms/{room}/discounts/{id}/claims?after={from}&limit={PAGE}");
            let page: Claims = self.read(&path)?;
            all.extend(page.claims);
            after = page.next;
        }
        Ok(all)
    }
}

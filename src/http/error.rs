//! What a request gets instead of its answer: one enum, one body, one table of statuses.

use std::path::PathBuf;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::header::{ALLOW, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::auth::BadToken;
use crate::house;
use crate::hub::CommandError;
use crate::room::Refusal;
use crate::upkeep;

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The room's rules, its mailbox or the journal say no.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The token is missing or not valid here.
    #[error(transparent)]
    BadToken(#[from] BadToken),
    /// There is no such code, or it was used, or it has ended.
    #[error("there is no such code: it may have been used, or have ended")]
    UnknownCode,
    /// A field of the address, the query or the body is not as it must be.
    #[error("the field `{field}` {reason}")]
    BadField {
        /// Which.
        field: String,
        /// What is wrong with it, to follow its name.
        reason: String,
    },
    /// The body is no JSON, or has a key twice.
    #[error("the body is not JSON as it must be: {reason}")]
    BadJson {
        /// Why.
        reason: String,
    },
    /// The body cannot be read, or is no picture or table.
    #[error("the body cannot be read: {reason}")]
    BadBody {
        /// Why.
        reason: String,
    },
    /// It names no host, or several.
    #[error("a request names its host once")]
    BadHost,
    /// Nothing is here.
    #[error("there is nothing at this address")]
    NotFound,
    /// Something is here, but not for this method.
    #[error("this address does not take this method")]
    MethodNotAllowed,
    /// The body is too large.
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The body is of another kind than asked for, or compressed.
    #[error("the body must be {}, not compressed", .wanted.join(" or "))]
    UnsupportedMediaType {
        /// What is asked for.
        wanted: &'static [&'static str],
    },
    /// The thing has changed since the `If-Match` was read.
    #[error("it has changed meanwhile: read it again")]
    PreconditionFailed,
    /// What a recovery set aside holds what is to be erased.
    #[error("{} holds a damaged journal, of which nothing can be erased: remove that folder first", folder.display())]
    DamagedAside {
        /// Which.
        folder: PathBuf,
    },
    /// Too many requests.
    #[error("too fast")]
    RateLimited {
        /// When to come back.
        retry_after_ms: u64,
    },
    /// A WebSocket handshake is not as it must be.
    #[error(transparent)]
    Handshake(#[from] Handshake),
    /// The request took too long to arrive.
    #[error("the request took too long")]
    Timeout,
    /// A fault of the server; the cause is in its log.
    #[error("the server failed; its log says why")]
    Internal,
}

/// Why a WebSocket handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Handshake {
    /// Not a GET.
    #[error("this address takes GET")]
    Method,
    /// HTTP/1.0, or no upgrade asked for.
    #[error("this address is for WebSockets: ask for the upgrade, over HTTP/1.1")]
    NoUpgrade,
    /// Another version than 13.
    #[error("Sec-WebSocket-Version must be 13")]
    Version,
    /// The key is missing or is not 16 bytes in base64.
    #[error("Sec-WebSocket-Key must be 16 bytes in base64")]
    Key,
    /// It has a body, of which it is not said what it would mean.
    #[error("a handshake has no body")]
    Body,
    /// The list of extensions cannot be read (RFC 6455, 9.1).
    #[error("Sec-WebSocket-Extensions must be a list of extensions")]
    Extensions,
    /// A page of another origin.
    #[error("pages of this origin may not connect here (--public-url, --allow-origin)")]
    ForeignOrigin,
}

impl Handshake {
    fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoUpgrade | Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Body | Self::Key | Self::Extensions => StatusCode::BAD_REQUEST,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Method => "method_not_allowed",
            Self::NoUpgrade => "upgrade_required",
            Self::Version => "bad_version",
            Self::Body => "bad_body",
            Self::Key => "bad_key",
            Self::Extensions => "bad_extensions",
            Self::ForeignOrigin => "foreign_origin",
        }
    }

    /// What tells a client how to do better.
    fn header(self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Method => Some((ALLOW, HeaderValue::from_static("GET"))),
            Self::NoUpgrade => Some((UPGRADE, HeaderValue::from_static("websocket"))),
            Self::Version => Some((SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))),
            Self::Body | Self::Key | Self::Extensions | Self::ForeignOrigin => None,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Command(CommandError::Refused(refusal))
    }
}

impl Error {
    /// A field that is not as it must be; `reason` follows its name in the sentence.
    pub fn field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::BadField {
            field: field.into(),
            reason: reason.into(),
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Command(error) => command_status(error),
            Self::BadToken(BadToken) => StatusCode::UNAUTHORIZED,
            Self::BadField { .. } | Self::BadJson { .. } | Self::BadBody { .. } | Self::BadHost => {
                StatusCode::BAD_REQUEST
            }
            Self::UnknownCode | Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::DamagedAside { .. } => StatusCode::CONFLICT,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Handshake(refused) => refused.status(),
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The stable code that clients branch on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Command(error) => error.code(),
            Self::BadToken(BadToken) => "bad_token",
            Self::UnknownCode => "unknown_code",
            Self::BadField { .. } => "bad_field",
            Self::BadJson { .. } => "bad_json",
            Self::BadBody { .. } => "bad_body",
            Self::BadHost => "bad_host",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge { .. } => "too_large",
            Self::UnsupportedMediaType { .. } => "unsupported_media_type",
            Self::PreconditionFailed => "precondition_failed",
            Self::DamagedAside { .. } => "damaged_aside",
            Self::RateLimited { .. } => "rate_limited",
            Self::Handshake(refused) => refused.code(),
            Self::Timeout => "timeout",
            Self::Internal => "internal",
        }
    }

    /// After which time the same request may succeed, where that can be said.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Command(error) => error.retry_after_ms(),
            Self::RateLimited { retry_after_ms } => Some(*retry_after_ms),
            _ => None,
        }
    }

    /// What tells a client how to do better.
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::BadToken(BadToken) => Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Self::Handshake(refused) => refused.header(),
            _ => None,
        }
    }

    /// The field that is meant, where one is.
    fn named_field(&self) -> Option<String> {
        match self {
            Self::BadField { field, .. } => Some(field.clone()),
            Self::Command(CommandError::Refused(Refusal::BadField { field, .. })) => Some((*field).to_owned()),
            _ => None,
        }
    }
}

fn command_status(error: &CommandError) -> StatusCode {
    match error {
        CommandError::Refused(refusal) => refusal_status(refusal),
        CommandError::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
        CommandError::JournalUnavailable | CommandError::Parked | CommandError::Draining => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

/// Without a wildcard: whoever adds a refusal decides what a program is told.
fn refusal_status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::UnknownRoom
        | Refusal::UnknownComment { .. }
        | Refusal::UnknownViewer
        | Refusal::UnknownPerson
        | Refusal::UnknownInvitation
        | Refusal::UnknownDraw
        | Refusal::UnknownEntry
        | Refusal::UnknownDiscount => StatusCode::NOT_FOUND,
        Refusal::BadField { .. } | Refusal::BadText { .. } => StatusCode::BAD_REQUEST,
        Refusal::NotAllowed
        | Refusal::BlockedWord
        | Refusal::Muted { .. }
        | Refusal::CommentsOff
        | Refusal::StoreOnly
        | Refusal::WatchLonger { .. }
        | Refusal::NotAWinner
        | Refusal::TooManyHere => StatusCode::FORBIDDEN,
        Refusal::SlowMode { .. } | Refusal::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
        Refusal::RoomExists
        | Refusal::NotLive
        | Refusal::Ended
        | Refusal::WrongState { .. }
        | Refusal::NameTaken
        | Refusal::UndoOver
        | Refusal::IdempotencyConflict
        | Refusal::NotOpen { .. }
        | Refusal::Closed
        | Refusal::Locked
        | Refusal::SoldOut
        | Refusal::LimitReached
        | Refusal::PhraseNeeded
        | Refusal::TooLate
        | Refusal::Full { .. } => StatusCode::CONFLICT,
    }
}

/// The body of every error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ErrorDetail {
    /// The stable code that clients branch on.
    #[schema(example = "sold_out")]
    pub code: String,
    /// A sentence.
    pub message: String,
    /// After which time the same request may succeed, ms; also as `Retry-After`, in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The field that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            error: ErrorDetail {
                code: self.code().to_owned(),
                message: self.to_string(),
                retry_after_ms: self.retry_after_ms(),
                field: self.named_field(),
            },
        };
        let mut response = (self.status(), axum::Json(body)).into_response();
        let headers = response.headers_mut();
        if let Some(after) = self.retry_after_ms() {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.div_ceil(1_000)));
        }
        headers.extend(self.header());
        response
    }
}

impl From<upkeep::Problem> for Error {
    fn from(problem: upkeep::Problem) -> Self {
        tracing::error!(%problem, "the data folder cannot be used");
        Self::Internal
    }
}

impl From<house::NotDone> for Error {
    fn from(not_done: house::NotDone) -> Self {
        match not_done {
            // As little as of any other token: the page says what to do in all these cases.
            house::NotDone::Refused(house::Refusal::CodeUsed) => Self::BadToken(BadToken),
            house::NotDone::Refused(house::Refusal::Full) => Refusal::Full {
                what: "devices of operators",
                max: house::DEVICES_MAX as u64,
            }
            .into(),
            house::NotDone::JournalUnavailable => CommandError::JournalUnavailable.into(),
        }
    }
}

impl From<PathRejection> for Error {
    fn from(rejection: PathRejection) -> Self {
        Self::field("path", format!("is not as it must be: {}", innermost(&rejection)))
    }
}

impl From<QueryRejection> for Error {
    fn from(rejection: QueryRejection) -> Self {
        Self::field("query", format!("is not as it must be: {}", innermost(&rejection)))
    }
}

/// The cause's own sentence, without what wraps it.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: impl Into<Error>, status: u16, code: &str) {
        let error = error.into();
        assert_eq!((error.status().as_u16(), error.code()), (status, code), "{error:?}");
    }

    #[test]
    fn every_kind_of_no_has_its_status_and_code() {
        check(Refusal::UnknownRoom, 404, "unknown_room");
        check(Refusal::NotAllowed, 403, "not_allowed");
        check(Refusal::SoldOut, 409, "sold_out");
        check(Refusal::RateLimited { retry_after_ms: 10 }, 429, "rate_limited");
        check(CommandError::Busy { retry_after_ms: 10 }, 429, "busy");
        check(CommandError::JournalUnavailable, 503, "journal_unavailable");
        check(CommandError::Draining, 503, "restarting");
        check(CommandError::Parked, 503, "room_parked");
        check(BadToken, 401, "bad_token");
        check(Error::TooLarge { bytes_max: 1 }, 413, "too_large");
    }

    #[test]
    fn a_client_is_told_when_to_come_back_in_whole_seconds_rounded_up() {
        let response = Error::RateLimited { retry_after_ms: 1_001 }.into_response();
        assert_eq!(response.headers()[RETRY_AFTER], "2");
    }
}

//! What handlers take out of a request, refused with typed errors instead of axum's plain texts.

use axum::body::HttpBody;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::request::Parts;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::Error;
use crate::protocol::{Unreadable, strict_json};

/// Largest JSON body: 500 blocked words of other scripts fit. What is larger comes as a table or a picture, from those
/// who may send it.
pub const JSON_BYTES_MAX: usize = 128 << 10;

/// A JSON body, read as strictly as the socket's requests: no duplicate keys, no unknown or missing fields. No
/// body at all reads as `{}`.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Error> {
        let bytes = match request.body().is_end_stream() {
            true => Bytes::new(),
            false => body(request, &["application/json"], JSON_BYTES_MAX).await?,
        };
        let value = match bytes.as_ref() {
            b"" => Value::Object(Map::new()),
            bytes => strict_json(bytes)?,
        };
        if !value.is_object() {
            return Err(Error::field("body", "is not an object"));
        }
        let value = T::deserialize(value).map_err(|error| Error::field("body", format!("does not fit: {error}")))?;
        Ok(Self(value))
    }
}

impl From<Unreadable> for Error {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Malformed(reason) => Self::BadJson { reason },
            Unreadable::NumberTooLarge(reason) => Self::field("body", format!("has a {reason}")),
        }
    }
}

/// The whole body, if it is of one of these kinds, not compressed and not larger than this. A larger one that
/// says so is refused before any of it is read.
///
/// # Errors
///
/// [`Error::UnsupportedMediaType`], [`Error::TooLarge`], or [`Error::BadBody`] when it breaks off.
pub async fn body(request: Request, kinds: &'static [&'static str], bytes_max: usize) -> Result<Bytes, Error> {
    let headers = request.headers();
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let wanted = kinds.iter().any(|wanted| kind.eq_ignore_ascii_case(wanted));
    if !wanted || headers.contains_key(CONTENT_ENCODING) {
        return Err(Error::UnsupportedMediaType { wanted: kinds });
    }
    if request.body().size_hint().lower() > bytes_max as u64 {
        return Err(Error::TooLarge { bytes_max });
    }
    let mut body = Limited::new(request.into_body(), bytes_max);
    // Copied: what came is a part of the buffer into which it was read, and one byte would keep all of that.
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error.is::<LengthLimitError>() {
            true => Error::TooLarge { bytes_max },
            false => Error::BadBody {
                reason: error.to_string(),
            },
        })?;
        if let Some(data) = frame.data_ref() {
            read.extend_from_slice(data);
        }
    }
    Ok(read.into())
}

/// The parameters in the address.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let axum::extract::Path(value) = axum::extract::Path::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

/// The query.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let axum::extract::Query(value) = axum::extract::Query::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

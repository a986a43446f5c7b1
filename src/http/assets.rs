//! The files of `static/`, embedded in the binary; debug builds read them from the disk at each request.
//!
//! A page names them below `/static/`; the server makes that `/static/{version}/`, where the version is the
//! hash of all of them. So they are cached for ever, and a page never mixes files of two versions.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::sync::LazyLock;

use axum::extract::Request;
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::{Embed, EmbeddedFile};
use sha2::{Digest, Sha256};

use super::error::Error;

#[derive(Embed)]
#[folder = "static/"]
struct Static;

/// Smaller bodies are not worth the header of a compressed one.
const GZIP_FROM_BYTES: usize = 512;
/// A file whose address changes with its contents.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Whatever else: ask whether it is still the same.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// Names this build's files, all together.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut names: Vec<_> = Static::iter().collect();
    names.sort();
    let files = names.iter().filter_map(|name| Static::get(name));
    let all = files.fold(Sha256::new(), |all, file| all.chain_update(file.metadata.sha256_hash()));
    all.finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
});

static FILES: LazyLock<HashMap<Cow<'static, str>, Body>> = LazyLock::new(|| {
    let file = |name: Cow<'static, str>| Some((name.clone(), Body::of_file(&Static::get(&name)?)));
    Static::iter().filter_map(file).collect()
});

/// A body that can be sent: whole, compressed, or not at all where the client has it.
#[derive(Clone)]
pub(super) struct Body {
    plain: Bytes,
    gzip: Option<Bytes>,
    content_type: HeaderValue,
    etag: HeaderValue,
}

impl Body {
    /// A page made for one request.
    pub(super) fn of_html(html: String) -> Self {
        let hash = Sha256::digest(&html).into();
        Self::new(html.into(), HeaderValue::from_static("text/html; charset=utf-8"), hash)
    }

    fn of_file(file: &EmbeddedFile) -> Self {
        let kind = file.metadata.mimetype();
        let text = ["text/", "application/json", "application/javascript", "image/svg"];
        let kind = match text.iter().any(|text| kind.starts_with(text)) {
            true => format!("{kind}; charset=utf-8"),
            false => kind.to_owned(),
        };
        let unknown = HeaderValue::from_static("application/octet-stream");
        let code = kind.starts_with("text/javascript") || kind.starts_with("text/css");
        let plain = match std::str::from_utf8(&file.data) {
            Ok(text) if code => without_comments(text).into(),
            _ => Bytes::copy_from_slice(&file.data),
        };
        Self::new(plain, kind.try_into().unwrap_or(unknown), file.metadata.sha256_hash())
    }

    fn new(plain: Bytes, content_type: HeaderValue, hash: [u8; 32]) -> Self {
        // Weak, because the compressed form has the same.
        let tag: String = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        Self {
            gzip: gzip(&plain),
            plain,
            content_type,
            etag: HeaderValue::try_from(format!("W/\"{tag}\"")).unwrap_or(HeaderValue::from_static("W/\"\"")),
        }
    }

    /// The answer to a request with these headers.
    pub(super) fn answer(self, headers: &HeaderMap, cache: HeaderValue) -> Response {
        let known = headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .any(|value| lists(value, &self.etag));
        let about = [
            (ETAG, self.etag),
            (CACHE_CONTROL, cache),
            (VARY, HeaderValue::from_static("accept-encoding")),
        ];
        if known {
            return (StatusCode::NOT_MODIFIED, about).into_response();
        }
        match self.gzip.filter(|_| takes_gzip(headers)) {
            Some(gzip) => {
                let kind = [
                    (CONTENT_TYPE, self.content_type),
                    (CONTENT_ENCODING, HeaderValue::from_static("gzip")),
                ];
                (about, kind, gzip).into_response()
            }
            None => (about, [(CONTENT_TYPE, self.content_type)], self.plain).into_response(),
        }
    }
}

/// Scripts and styles as they are sent: a quarter of their compressed size is comments, which are for us and
/// not for phones. Only lines that are nothing but comment are left out. That the code means the same then is
/// what the tests of the pages run on.
fn without_comments(code: &str) -> String {
    let mut inside = false;
    let mut kept = String::with_capacity(code.len());
    for line in code.lines() {
        let text = line.trim();
        let comment = inside || text.starts_with("/*");
        let whole = match comment {
            true => text.find("*/").is_none_or(|end| end + 2 == text.len()),
            false => text.is_empty() || text.starts_with("//"),
        };
        inside = comment && !text.contains("*/");
        if !whole {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The compressed form, where it is smaller.
fn gzip(plain: &[u8]) -> Option<Bytes> {
    if plain.len() < GZIP_FROM_BYTES {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 3), Compression::best());
    encoder.write_all(plain).ok()?;
    let gzip = encoder.finish().ok()?;
    (gzip.len() < plain.len()).then(|| gzip.into())
}

fn lists(value: &HeaderValue, etag: &HeaderValue) -> bool {
    let [Ok(value), Ok(etag)] = [value.to_str(), etag.to_str()] else {
        return false;
    };
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    value.split(',').any(|tag| tag.trim() == "*" || bare(tag) == bare(etag))
}

/// Whether `gzip` is named, and not with a weight of zero (RFC 9110, 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter();
    let mut codings = values.flat_map(|value| value.to_str().unwrap_or("").split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        parts.next() == Some("gzip") && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// A page of `static/` as text, with the addresses of its files made this build's. None: there is no such page.
pub(super) fn page(name: &str) -> Option<String> {
    let file = Static::get(name)?;
    let html = String::from_utf8_lossy(&file.data);
    Some(html.replace("\"/static/", &format!("\"/static/{}/", *VERSION)))
}

/// `GET /static/{version}/{path}`, and without the version for who names a file by himself.
pub(super) async fn file(request: Request) -> Result<Response, Error> {
    let path = request.uri().path().strip_prefix("/static/").ok_or(Error::NotFound)?;
    let versioned = path
        .strip_prefix(VERSION.as_str())
        .and_then(|rest| rest.strip_prefix('/'));
    let cache = match versioned {
        Some(_) if !cfg!(debug_assertions) => FOR_EVER,
        _ => ASK_AGAIN,
    };
    named(versioned.unwrap_or(path), request.headers(), cache)
}

/// `GET /favicon.ico`: what browsers ask for unasked.
pub(super) async fn favicon(headers: HeaderMap) -> Result<Response, Error> {
    named("favicon.svg", &headers, ASK_AGAIN)
}

fn named(name: &str, headers: &HeaderMap, cache: HeaderValue) -> Result<Response, Error> {
    // Pages are served at their own addresses, with their policies.
    if name.ends_with(".html") {
        return Err(Error::NotFound);
    }
    let body = match cfg!(debug_assertions) {
        true => Static::get(name).map(|file| Body::of_file(&file)),
        false => FILES.get(name).cloned(),
    };
    Ok(body.ok_or(Error::NotFound)?.answer(headers, cache))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            axum::http::HeaderName::from_static(name),
            value.parse().expect("a value"),
        )])
    }

    #[test]
    fn a_body_is_compressed_only_for_whom_takes_it() {
        let body = Body::of_html("lipstick ".repeat(1_000));
        let sent = |accept: &str| {
            let response = body.clone().answer(&headers("accept-encoding", accept), ASK_AGAIN);
            response.headers().contains_key(CONTENT_ENCODING)
        };
        assert!(sent("gzip") && sent("br, gzip;q=0.5"));
        assert!(!sent("br") && !sent("gzip;q=0") && !sent(""));
    }

    #[test]
    fn lines_that_are_nothing_but_comment_are_not_sent() {
        let code = "/** What.\n * @param {X} a\n */\nf(a); // why\n\n  // x\n/** @type {Y} */ (b).c = 1;\n/* one */\nu = '//';\n";
        assert_eq!(
            without_comments(code),
            "f(a); // why\n/** @type {Y} */ (b).c = 1;\nu = '//';\n"
        );
    }

    #[test]
    fn who_has_the_body_already_gets_none() {
        let body = Body::of_html("a page".to_owned());
        let tag = body.etag.to_str().expect("ascii").to_owned();
        let status = |known: &str| {
            body.clone()
                .answer(&headers("if-none-match", known), ASK_AGAIN)
                .status()
        };
        assert_eq!(status(&tag), StatusCode::NOT_MODIFIED);
        assert_eq!(status(tag.trim_start_matches("W/")), StatusCode::NOT_MODIFIED);
        assert_eq!(status(&format!("\"other\", {tag}")), StatusCode::NOT_MODIFIED);
        assert_eq!(status("\"other\""), StatusCode::OK);
    }
}

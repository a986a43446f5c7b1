//! The pages: each with its policy, the viewer's with the words that a shared link is shown with.

use std::fmt::Write;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{ACCEPT_LANGUAGE, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::App;
use super::assets::{self, Body};
use super::client::Client;
use super::error::Error;
use crate::config::Origin;
use crate::hub::CommandError;
use crate::room::show::{Access, Details, Source};
use crate::room::{Refusal, RoomId};

/// A page may be kept, but only shown after asking.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
/// How long a page waits for its room; without it, it is served bare and learns the rest over the socket.
const ROOM_WAIT: Duration = Duration::from_secs(2);
/// Characters of a description on a share card.
const SUMMARY_CHARS: usize = 200;

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const PERMISSIONS: HeaderValue =
    HeaderValue::from_static("camera=(), microphone=(), geolocation=(), payment=(), usb=(), midi=(), serial=()");

/// What a page needs beyond what all need.
enum Page<'a> {
    /// Nothing.
    Plain,
    /// The viewer page in a frame.
    Control,
    /// Picture and sound from where the room's source is; to be framed by the control page.
    Viewer(Option<&'a Source>),
}

/// `GET /`: the landing page.
pub(super) async fn landing(State(app): State<App>, client: Client, headers: HeaderMap) -> Result<Response, Error> {
    let html = assets::page("index.html").ok_or(Error::NotFound)?;
    Ok(send(html, &headers, &policy(&app, &client, &Page::Plain)))
}

/// `GET /c/{room}`: the control page. It says by itself what it may show to whom.
pub(super) async fn control(
    State(app): State<App>,
    client: Client,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Error> {
    if uri.path().strip_prefix("/c/").and_then(RoomId::new).is_none() {
        return Ok(nothing_here(State(app), client, uri, headers).await);
    }
    let html = assets::page("control.html").ok_or(Error::NotFound)?;
    Ok(send(html, &headers, &policy(&app, &client, &Page::Control)))
}

/// `GET /r/{room}`: the viewer page; for an unknown room the same page, which says so, with status 404.
pub(super) async fn viewer(
    State(app): State<App>,
    client: Client,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let html = assets::page("viewer.html").ok_or(Error::NotFound)?;
    let room = uri.path().strip_prefix("/r/").and_then(RoomId::new);
    let details = match &room {
        Some(room) => details(&app, room).await,
        None => Err(CommandError::Refused(Refusal::UnknownRoom)),
    };
    let unknown = matches!(details, Err(CommandError::Refused(Refusal::UnknownRoom)));
    let details = details.ok();
    let source = details.as_ref().and_then(|details| details.source.as_ref());
    let policy = policy(&app, &client, &Page::Viewer(source));
    let html = match (&room, &details) {
        (Some(room), Some(details)) => with_card(&html, room, details, client.page_origin(&app.config).as_ref()),
        _ => html,
    };
    let mut response = send(html, &headers, &policy);
    if unknown {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}

/// Whatever has no route: JSON for programs, a page for people.
pub(super) async fn nothing_here(State(app): State<App>, client: Client, uri: Uri, headers: HeaderMap) -> Response {
    let person = !uri.path().starts_with("/api") && !uri.path().starts_with("/static");
    match assets::page("404.html").filter(|_| person) {
        Some(html) => {
            let mut response = send(html, &headers, &policy(&app, &client, &Page::Plain));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
        None => Error::NotFound.into_response(),
    }
}

async fn details(app: &App, room: &RoomId) -> Result<Details, CommandError> {
    let read = app.hub.read(room, |room, _| room.show.details.clone());
    match tokio::time::timeout(ROOM_WAIT, read).await {
        Ok(details) => details,
        Err(_) => Err(CommandError::JournalUnavailable),
    }
}

fn send(html: String, headers: &HeaderMap, policy: &str) -> Response {
    let language = language(headers);
    let html = html.replacen("<html lang=\"en\"", &format!("<html lang=\"{language}\""), 1);
    let mut response = Body::of_html(html).answer(headers, ASK_AGAIN);
    let about = response.headers_mut();
    about.append(VARY, HeaderValue::from_static("accept-language"));
    about.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language));
    about.insert(PERMISSIONS_POLICY, PERMISSIONS);
    if let Ok(policy) = policy.try_into() {
        about.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Everything from here, nothing inline, pictures and sound also from exactly where the room's source is.
fn policy(app: &App, client: &Client, page: &Page<'_>) -> String {
    let (connect, media) = match page {
        Page::Viewer(Some(Source::File { url })) => (None, Origin::of_url(url)),
        Page::Viewer(Some(Source::Hls { url })) => (Origin::of_url(url), Origin::of_url(url)),
        Page::Viewer(Some(Source::Whep { url })) => (Origin::of_url(url), None),
        Page::Plain | Page::Control | Page::Viewer(None) => (None, None),
    };
    let listed = |origins: &[Origin]| origins.iter().map(|origin| format!(" {origin}")).collect::<String>();
    // Safari before 15.4 does not take a WebSocket of the own host as 'self'.
    let own = [client.seen_at.as_ref(), app.config.public_url.as_ref()];
    let own = own.into_iter().flatten();
    let sockets: String = own.map(|own| format!(" {}", own.websocket())).collect();
    let (frames, ancestors) = match page {
        Page::Plain => ("'none'", "'none'".to_owned()),
        Page::Control => ("'self'", "'none'".to_owned()),
        Page::Viewer(_) => ("'none'", format!("'self'{}", listed(&app.config.frame_ancestors))),
    };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; \
         manifest-src 'self'; connect-src 'self'{sockets}{}; media-src 'self' blob:{}; frame-src {frames}; \
         base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}",
        listed(connect.as_slice()),
        listed(media.as_slice()),
    )
}

/// The page's language: English or Chinese, whichever the browser weighs more.
fn language(headers: &HeaderMap) -> &'static str {
    let mut best = ("en", 0.0);
    let value = headers
        .get(ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    for range in value.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let tag = parts.next().unwrap_or("").to_ascii_lowercase();
        let weight = parts
            .find_map(|part| part.strip_prefix("q=")?.parse().ok())
            .unwrap_or(1.0_f32);
        let known = match tag.split('-').next() {
            Some("zh") => "zh",
            Some("en") => "en",
            _ => continue,
        };
        if weight > best.1 {
            best = (known, weight);
        }
    }
    best.0
}

/// The page with what can be seen before any script runs, at the marks `<!-- title -->` and `<!-- cover -->`, and
/// with what share cards show, at the mark `<!-- share -->`.
fn with_card(html: &str, room: &RoomId, details: &Details, origin: Option<&Origin>) -> String {
    let title = escaped(&details.title);
    let mut card = String::new();
    let mut meta = |kind: &str, name: &str, content: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(card, "<meta {kind}=\"{name}\" content=\"{content}\">");
    };
    let summary: String = details.description.chars().take(SUMMARY_CHARS).collect();
    let summary = escaped(if summary.is_empty() { &details.host } else { &summary });
    meta("name", "description", &summary);
    meta("property", "og:type", "website");
    meta("property", "og:title", &title);
    meta("property", "og:description", &summary);
    if let Some(origin) = origin {
        meta("property", "og:url", &format!("{origin}/r/{room}"));
        if let Some(cover) = &details.cover {
            meta(
                "property",
                "og:image",
                &escaped(&format!("{origin}/covers/{}", cover.file)),
            );
            meta("property", "og:image:width", &cover.width.to_string());
            meta("property", "og:image:height", &cover.height.to_string());
            meta("name", "twitter:card", "summary_large_image");
        }
    }
    if details.access == Access::Unlisted || details.test {
        meta("name", "robots", "noindex");
    }
    let cover = details.cover.as_ref().map_or(String::new(), |cover| {
        format!(
            "<img class=\"picture__cover\" alt=\"\" src=\"/covers/{}\">",
            escaped(&cover.file)
        )
    });
    // No mark can stand in what people wrote: its `<` is escaped.
    let html = html.replacen("<!-- cover -->", &cover, 1);
    let html = html.replacen("<!-- share -->", &card, 1);
    let html = html.replacen("<!-- title -->", &title, 1);
    match (html.find("<title>"), html.find("</title>")) {
        (Some(from), Some(to)) if from < to => format!("{}<title>{title}{}", &html[..from], &html[to..]),
        _ => html,
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_one_that_the_browser_weighs_most() {
        let check = |accept: &str, want: &str| {
            let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, accept.parse().expect("a value"))]);
            assert_eq!(language(&headers), want, "{accept}");
        };
        check("zh-CN,zh;q=0.9,en;q=0.8", "zh");
        check("en-GB,en;q=0.9,zh;q=0.8", "en");
        check("de,zh;q=0.5,en;q=0.4", "zh");
        check("de", "en");
        check("", "en");
        check("zh;q=nonsense", "zh");
    }

    #[test]
    fn what_a_host_wrote_is_text_on_the_card() {
        let details = Details {
            title: "</title><script>alert(1)</script>".to_owned(),
            description: "\"><img src=x onerror='alert(1)'> & more".to_owned(),
            ..Details::default()
        };
        let room = RoomId::new("lipsticks").expect("a room's id");
        let html = with_card(
            "<head><title>Hubbub</title><!-- share --></head>",
            &room,
            &details,
            None,
        );
        assert_eq!(html.matches('<').count(), html.matches('>').count());
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
        assert!(html.contains("<title>&lt;/title&gt;&lt;script&gt;alert(1)"), "{html}");
        assert!(
            html.contains("content=\"&quot;&gt;&lt;img src=x onerror=&#39;alert(1)&#39;&gt; &amp; more\""),
            "{html}"
        );
    }
}

//! A show's start for the viewer's calendar (RFC 5545).

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use jiff::tz::TimeZone;

use super::links;
use crate::http::App;
use crate::http::client::Client;
use crate::http::error::Error;
use crate::http::extract::Path;
use crate::room::show::Details;
use crate::room::{RoomId, Timestamp};

/// How long the entry lasts: nobody knows how long a show will be.
const LASTS_MS: u64 = 3_600_000;
/// Longest line in bytes, without its end (RFC 5545, 3.1).
const LINE_BYTES_MAX: usize = 75;

/// `GET /r/{room}/event.ics`: 404 unless the show has a date.
pub(in crate::http) async fn event(
    State(app): State<App>,
    client: Client,
    Path(room): Path<RoomId>,
) -> Result<Response, Error> {
    let details = app.hub.read(&room, |room, _| room.show.details.clone()).await?;
    let origin = links::origin(&app, &client)?;
    let page = format!("{origin}/r/{room}");
    let uid = format!("{room}@{}", origin.host());
    let text = calendar(&details, &uid, &page, app.clock.now()).ok_or(Error::NotFound)?;
    let headers = [
        (CONTENT_TYPE, "text/calendar; charset=utf-8".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{room}.ics\"")),
        (CACHE_CONTROL, "no-cache".to_owned()),
    ];
    Ok((headers, text).into_response())
}

fn calendar(details: &Details, uid: &str, page: &str, now: Timestamp) -> Option<String> {
    let start = details.scheduled_at?;
    let lines = [
        "BEGIN:VCALENDAR".to_owned(),
        "VERSION:2.0".to_owned(),
        "PRODID:-//Hubbub//Shows//EN".to_owned(),
        "BEGIN:VEVENT".to_owned(),
        format!("UID:{uid}"),
        format!("DTSTAMP:{}", utc(now)?),
        format!("DTSTART:{}", utc(start)?),
        format!("DTEND:{}", utc(start.plus(LASTS_MS))?),
        format!("SUMMARY:{}", escaped(&details.title)),
        format!(
            "DESCRIPTION:{}",
            escaped(format!("{}\n{page}", details.description).trim_start())
        ),
        format!("URL:{page}"),
        "END:VEVENT".to_owned(),
        "END:VCALENDAR".to_owned(),
    ];
    Some(lines.iter().map(|line| folded(line)).collect())
}

/// `20260930T180000Z`; nothing for times that no calendar has.
fn utc(at: Timestamp) -> Option<String> {
    let ms = i64::try_from(at.0).ok()?;
    let time = jiff::Timestamp::from_millisecond(ms).ok()?.to_zoned(TimeZone::UTC);
    Some(time.strftime("%Y%m%dT%H%M%SZ").to_string())
}

/// A text value: `\`, `;`, `,` and line breaks escaped (3.3.11), other control characters left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | ';' | ',' => escaped.extend(['\\', character]),
            '\n' => escaped.push_str("\\n"),
            character if character.is_control() => {}
            character => escaped.push(character),
        }
    }
    escaped
}

/// A line with its end, broken where it is too long: never inside a character.
fn folded(line: &str) -> String {
    let mut folded = String::with_capacity(line.len() + 8);
    let mut bytes = 0;
    for character in line.chars() {
        if bytes + character.len_utf8() > LINE_BYTES_MAX {
            folded.push_str("\r\n ");
            bytes = 1;
        }
        folded.push(character);
        bytes += character.len_utf8();
    }
    folded.push_str("\r\n");
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn details() -> Details {
        Details {
            title: "Red, gold; and \\ more\r\nBEGIN:VALARM".to_owned(),
            description: "颜".repeat(60),
            scheduled_at: Some(Timestamp(1_790_003_600_000)),
            ..Details::default()
        }
    }

    #[test]
    fn a_date_becomes_an_hour_in_the_calendar() {
        let text = calendar(&details(), "a@live.example", "https://live.example/r/a", NOW).unwrap();
        assert!(text.starts_with("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n"), "{text}");
        assert!(text.contains("\r\nDTSTART:20260921T151320Z\r\n"), "{text}");
        assert!(text.contains("\r\nDTEND:20260921T161320Z\r\n"), "{text}");
        assert!(text.ends_with("\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"), "{text}");
    }

    #[test]
    fn a_title_cannot_add_lines_of_its_own() {
        let text = calendar(&details(), "a", "https://live.example/r/a", NOW).unwrap();
        assert!(
            text.contains("SUMMARY:Red\\, gold\\; and \\\\ more\\nBEGIN:VALARM\r\n"),
            "{text}"
        );
    }

    #[test]
    fn no_line_is_longer_than_allowed_and_unfolding_gives_the_text() {
        let text = calendar(&details(), "a", "https://live.example/r/a", NOW).unwrap();
        assert!(text.split("\r\n").all(|line| line.len() <= LINE_BYTES_MAX), "{text}");
        assert!(text.replace("\r\n ", "").contains(&"颜".repeat(60)));
    }

    #[test]
    fn without_a_date_there_is_no_entry() {
        assert_eq!(calendar(&Details::default(), "a", "b", NOW), None);
        let never = Details {
            scheduled_at: Some(Timestamp(u64::MAX)),
            ..details()
        };
        assert_eq!(calendar(&never, "a", "b", NOW), None);
    }
}

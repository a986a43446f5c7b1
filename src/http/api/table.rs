//! Tables as CSV, in and out: RFC 4180, UTF-8, and no cell that a spreadsheet would run as a formula.

use std::borrow::Cow;

use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use csv::{ReaderBuilder, Terminator, WriterBuilder};

use crate::http::error::Error;

/// What a body of codes may be.
pub(super) const KINDS: &[&str] = &["text/csv", "text/plain"];
/// By this spreadsheets know UTF-8; without it they show Chinese names as something else.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A table on its way out.
pub(super) struct Table {
    /// `name` of `{name}.csv`.
    name: String,
    writer: csv::Writer<Vec<u8>>,
}

impl Table {
    /// A table for people: a spreadsheet shows it right.
    pub(super) fn new(name: String, head: &[&str]) -> Self {
        Self::begun(name, BYTE_ORDER_MARK.as_bytes().to_vec(), head)
    }

    /// A table for a program, which may stumble over a byte order mark.
    pub(super) fn plain(name: String, head: &[&str]) -> Self {
        Self::begun(name, Vec::new(), head)
    }

    fn begun(name: String, start: Vec<u8>, head: &[&str]) -> Self {
        let mut writer = WriterBuilder::new();
        let writer = writer.terminator(Terminator::CRLF).from_writer(start);
        let mut table = Self { name, writer };
        table.row(head);
        table
    }

    /// Adds a row.
    pub(super) fn row<S: AsRef<str>>(&mut self, cells: &[S]) {
        let cells = cells.iter().map(|cell| safe(cell.as_ref()).into_owned());
        let written = self.writer.write_record(cells);
        written.expect("memory takes it, and all rows have as many cells as the head");
    }

    fn into_bytes(self) -> Vec<u8> {
        self.writer.into_inner().expect("memory takes it")
    }
}

impl IntoResponse for Table {
    fn into_response(self) -> Response {
        // Names are made of room ids and keys: nothing that could end the quotes.
        let disposition = format!("attachment; filename=\"{}.csv\"", self.name);
        let headers = [
            (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
            (CONTENT_DISPOSITION, disposition),
            (CACHE_CONTROL, "no-store".to_owned()),
            (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        ];
        (headers, self.into_bytes()).into_response()
    }
}

/// A cell that would be a formula begins with an apostrophe instead: spreadsheets then show it as text.
fn safe(cell: &str) -> Cow<'_, str> {
    match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠') => format!("'{cell}").into(),
        _ => cell.into(),
    }
}

/// The first column of a table, or a plain list: one code a line. A head that says `code` is passed over, and so
/// are empty lines.
///
/// # Errors
///
/// [`Error::BadBody`] when it is not UTF-8.
pub(super) fn first_column(body: &[u8]) -> Result<Vec<String>, Error> {
    let body = body.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(body);
    let mut reader = ReaderBuilder::new();
    let reader = reader
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(body);
    let mut column = Vec::new();
    for row in reader.into_records() {
        let row = row.map_err(|error| Error::BadBody {
            reason: error.to_string(),
        })?;
        let first = row.get(0).unwrap_or_default();
        let head = column.is_empty() && ["code", "codes"].iter().any(|head| first.eq_ignore_ascii_case(head));
        if !first.is_empty() && !head {
            column.push(first.to_owned());
        }
    }
    Ok(column)
}

/// A pasted list of codes, as it is read, written as a table, and read again: no cell is a formula, and none is lost.
/// A target of `crate::fuzzing`.
#[cfg(any(test, fuzzing))]
pub fn fuzz(data: &[u8]) {
    let Ok(codes) = first_column(data) else { return };
    let mut table = Table::plain("codes".to_owned(), &["code"]);
    codes.iter().for_each(|code| table.row(&[code]));
    let again = first_column(&table.into_bytes()).expect("what was written can be read");
    let shown: Vec<_> = codes.iter().map(|code| safe(code)).collect();
    assert_eq!(again, shown);
    assert!(
        again
            .iter()
            .all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])),
        "{again:?}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(table: Table) -> String {
        String::from_utf8(table.into_bytes()).unwrap()
    }

    #[test]
    fn no_cell_is_a_formula() {
        let mut table = Table::plain("t".to_owned(), &["name"]);
        for hostile in [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "＝1",
            "=cmd|' /C calc'!A0",
        ] {
            table.row(&[hostile]);
        }
        let text = text(table);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        for row in reader.records() {
            assert!(row.unwrap()[0].starts_with('\''), "{text}");
        }
    }

    #[test]
    fn ordinary_cells_stay_as_they_are() {
        let mut table = Table::new("t".to_owned(), &["name", "text"]);
        table.row(&["李雷", "a,b \"c\"\nd"]);
        table.row(&["Ann-Marie", "1=1"]);
        assert_eq!(
            text(table),
            "\u{feff}name,text\r\n李雷,\"a,b \"\"c\"\"\nd\"\r\nAnn-Marie,1=1\r\n"
        );
    }

    #[test]
    fn a_pasted_list_is_read_with_and_without_a_head() {
        let check = |body: &str, codes: &[&str]| assert_eq!(first_column(body.as_bytes()).unwrap(), codes, "{body:?}");
        check("A1\nB2\n", &["A1", "B2"]);
        check("\u{feff}Code,Note\r\n A1 ,x\r\n\r\n\"B,2\"\r\n", &["A1", "B,2"]);
        check("A1,x,y\nB2\nCODE", &["A1", "B2", "CODE"]);
        check("", &[]);
        assert!(first_column(b"A1\n\xff\n").is_err());
    }
}

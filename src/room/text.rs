//! Rules for text that people type: what may stand in a comment, a name, a title or an address, and the
//! foldings under which texts are compared. Foldings are working copies: what people see is what was typed.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use aho_corasick::AhoCorasick;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_security::confusable_detection::skeleton;
use unicode_segmentation::UnicodeSegmentation;

use super::Refusal;
use super::comment::TEXT_MAX;

/// Longest name, in characters as a person counts them.
pub const NAME_MAX: usize = 20;
/// Longest address, in bytes.
pub const URL_BYTES_MAX: usize = 500;
/// Bytes that a character may take on average: emoji with a skin tone take 8, Indic clusters 6-9. A family
/// emoji takes 25, so 200 of them are too long.
const BYTES_PER_CHARACTER: usize = 10;
/// Letters and marks for each character that a text may have, written out (NFKC) as it is compared: U+FDFA, a phrase of
/// its own, is 18 of them.
const LETTERS_PER_CHARACTER: usize = 5;
/// Combining marks (and invisible joiners) that one letter keeps.
const MARKS_MAX: usize = 4;
/// Blocked words of up to so many letters match whole words only: "hell" stops neither "hello" nor "shell".
const WHOLE_WORD_LETTERS: usize = 4;
/// The same for a word of spaced-out letters: "S M L" are sizes.
const WHOLE_SPACED_LETTERS: usize = 2;

/// A comment's text as it is shown: 1-[`TEXT_MAX`] characters, trimmed, on one line.
///
/// # Errors
///
/// [`Refusal::BadText`] when nothing can be seen of it, when it is too long, or when it has control characters.
pub fn comment(text: &str) -> Result<String, Refusal> {
    clean(text, 1..=TEXT_MAX, Breaks::Blank).map_err(|reason| Refusal::BadText { reason })
}

/// A person's name as it is shown: 1-[`NAME_MAX`] characters under the rules of [`comment`].
///
/// # Errors
///
/// [`Refusal::BadText`] as for a comment.
pub fn name(text: &str) -> Result<String, Refusal> {
    clean(text, 1..=NAME_MAX, Breaks::Blank).map_err(|reason| Refusal::BadText { reason })
}

/// A line in a form: `characters` long as a person counts them, trimmed.
///
/// # Errors
///
/// [`Refusal::BadField`] under the field's name, for the reasons of [`comment`].
pub fn line(text: &str, field: &'static str, characters: RangeInclusive<usize>) -> Result<String, Refusal> {
    clean(text, characters, Breaks::Blank).map_err(|reason| Refusal::BadField { field, reason })
}

/// A text of several lines in a form: at most `characters_max` long, perhaps empty, trimmed.
///
/// # Errors
///
/// [`Refusal::BadField`] under the field's name, for the reasons of [`comment`] except line breaks.
pub fn paragraphs(text: &str, field: &'static str, characters_max: usize) -> Result<String, Refusal> {
    clean(text, 0..=characters_max, Breaks::Keep).map_err(|reason| Refusal::BadField { field, reason })
}

/// What becomes of line breaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Breaks {
    Blank,
    Keep,
}

fn clean(text: &str, characters: RangeInclusive<usize>, breaks: Breaks) -> Result<String, &'static str> {
    let mut clean = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.trim().chars() {
        match c {
            '\r' => {}
            '\n' if breaks == Breaks::Keep => clean.push(c),
            '\n' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                if !clean.ends_with(' ') {
                    clean.push(' ');
                }
            }
            _ if c.is_control() || is_noncharacter(c) => return Err("has control characters"),
            _ if turns_direction(c) => {}
            _ if is_mark(c) || is_joiner(c) => {
                marks += 1;
                if marks <= MARKS_MAX {
                    clean.push(c);
                }
                continue;
            }
            _ => clean.push(c),
        }
        marks = 0;
    }
    clean.truncate(clean.trim_end().len());
    if !clean.chars().any(can_be_seen) {
        return if *characters.start() == 0 {
            Ok(String::new())
        } else {
            Err("is empty")
        };
    }
    let bytes_max = characters.end().saturating_mul(BYTES_PER_CHARACTER);
    let count = clean.graphemes(true).take(characters.end() + 1).count();
    if count > *characters.end() || clean.len() > bytes_max {
        return Err("is too long");
    }
    if count < *characters.start() {
        return Err("is too short");
    }
    let written_out = characters.end().saturating_mul(LETTERS_PER_CHARACTER);
    if clean.nfkc().nth(written_out).is_some() {
        return Err("is too long when its ligatures are written out");
    }
    Ok(clean)
}

/// Embeddings, overrides and isolates (UAX 9), and the deprecated format characters beside them.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}')
}

/// Zero-width blanks, joiners and marks of direction; emoji families and several scripts need some of them.
fn is_joiner(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
    )
}

fn is_mark(c: char) -> bool {
    matches!(
        c.general_category(),
        GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark
    )
}

/// Letters without a shape: Hangul fillers, the inherent vowels of Khmer, and the blank of Braille.
fn is_filler(c: char) -> bool {
    matches!(
        c,
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}'
    )
}

/// Format characters that fonts leave out: for annotations, shorthand, music and tags to come.
fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Set aside for programs' own use, never to be exchanged.
fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

fn can_be_seen(c: char) -> bool {
    let unseen = matches!(
        c.general_category_group(),
        GeneralCategoryGroup::Separator | GeneralCategoryGroup::Mark | GeneralCategoryGroup::Other
    );
    // Emoji of newer Unicode versions are unassigned here: better shown than refused.
    let unassigned = c.general_category() == GeneralCategory::Unassigned;
    !is_filler(c) && (!unseen || unassigned)
}

/// An address to which a link leads: `https:` or `http:` with a host, at most [`URL_BYTES_MAX`] bytes of
/// ASCII without blanks, no user or password.
///
/// # Errors
///
/// [`Refusal::BadField`] under the field's name.
pub fn url(text: &str, field: &'static str) -> Result<String, Refusal> {
    let text = text.trim();
    match host_of(text) {
        Some(_) if text.len() <= URL_BYTES_MAX => Ok(text.to_owned()),
        Some(_) => Err(Refusal::BadField {
            field,
            reason: "is too long",
        }),
        None => Err(Refusal::BadField {
            field,
            reason: "is not an https: or http: address",
        }),
    }
}

/// An address from which a page loads something: `https:`, or `http:` to this machine or the network around
/// it (loopback, private and link-local addresses, names without a dot or under `.local`).
///
/// # Errors
///
/// [`Refusal::BadField`] under the field's name.
pub fn source_url(text: &str, field: &'static str) -> Result<String, Refusal> {
    let text = url(text, field)?;
    let secure = scheme_of(&text).is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("https"));
    if secure || host_of(&text).is_some_and(is_near) {
        Ok(text)
    } else {
        Err(Refusal::BadField {
            field,
            reason: "needs https: outside of the local network",
        })
    }
}

fn scheme_of(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let good = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    good.then_some((scheme, rest))
}

/// The host of an address that [`url`] takes, without port and brackets.
pub fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = scheme_of(url)?;
    let plain =
        |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}');
    if !rest.bytes().all(plain) {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next()?;
    if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, port) = bracketed.split_once(']')?;
        let address = host.parse::<IpAddr>().is_ok();
        return (address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))).then_some(host);
    }
    let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (!host.is_empty() && host.bytes().all(named) && is_port(port)).then_some(host)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Whether a host is this machine or in the network around it.
fn is_near(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_private() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        Err(_) => {
            let host = host.to_ascii_lowercase();
            let decimal = host.bytes().all(|b| b.is_ascii_digit()) || host.starts_with("0x");
            !decimal && (!host.contains('.') || host.ends_with(".local") || host.ends_with(".localhost"))
        }
    }
}

/// A draw's phrase, or a comment that may be one: equal after trimming, case and width folding.
pub fn fold_phrase(text: &str) -> String {
    let folded: String = text
        .nfkc()
        .flat_map(char::to_lowercase)
        .filter(|c| !is_joiner(*c) && !turns_direction(*c) && !is_variation(*c) && !is_filler(*c))
        .collect();
    folded.trim().to_owned()
}

/// A name, so that two that a hurried reader takes for the same are equal: case, width, accents, blanks,
/// punctuation and look-alike letters do not matter.
pub fn fold_name(text: &str) -> String {
    let bare: String = match text.is_ascii() {
        true => text.to_owned(),
        false => text.nfkc().nfd().filter(|c| !is_noise(*c)).collect(),
    };
    let mut small = String::with_capacity(bare.len());
    for c in look_alike(&bare).chars() {
        match c {
            _ if looks_like_itself(c) => small.push(c.to_ascii_lowercase()),
            _ if c.is_ascii() => small.push_str(&prototypes(c).to_lowercase()),
            _ => small.extend(c.to_lowercase()),
        }
    }
    let letters: String = small
        .chars()
        .map(|c| if c == 'i' { 'l' } else { c })
        .filter(|c| c.is_alphanumeric() || is_mark(*c))
        .collect();
    // A name of emoji alone is compared as it stands.
    if letters.is_empty() {
        bare.to_lowercase()
    } else {
        letters
    }
}

/// What hides letters rather than makes them: joiners, variation selectors, letters and formats without a shape, and
/// combining marks that belong to no script of their own. Thai, Arabic or Hindi vowels are not among them.
fn is_noise(c: char) -> bool {
    is_joiner(c) || turns_direction(c) || is_variation(c) || is_filler(c) || is_format(c) || is_common_mark(c)
}

fn is_common_mark(c: char) -> bool {
    matches!(
        c,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}'
    )
}

fn is_variation(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Width folded and marks removed that are no part of a letter. Accented letters stay letters of their own:
/// in Vietnamese `lon`, `lớn` and `lôn` are three words.
fn without_noise(text: &str) -> String {
    text.nfkc().filter(|c| !is_noise(*c)).collect()
}

fn lower(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .filter(|c| !is_noise(*c))
        .collect()
}

/// Lower case, with letters of other scripts that look like Latin ones replaced by those. ASCII stays (the
/// skeleton would make `rn` of `m`), except digits inside words; so do letters that look like nothing Latin.
fn look_alike(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let has_letters = word.chars().any(char::is_alphabetic);
        for c in word.chars() {
            match c {
                '0' | '1' if has_letters => folded.push_str(&prototypes(c).to_lowercase()),
                _ if c.is_ascii() => folded.push(c.to_ascii_lowercase()),
                _ => folded.push_str(&latin_look_alike(c)),
            }
        }
    }
    if folded.is_ascii() {
        return folded;
    }
    folded.nfc().collect()
}

/// A capital is compared before it is made small: Cyrillic `В` looks like `B`, its small form like nothing.
fn latin_look_alike(c: char) -> String {
    let small: String = c.to_lowercase().collect();
    let capital = Some(c.to_string()).filter(|form| *form != small);
    for form in capital.iter().chain([&small]) {
        let prototype: String = skeleton(form).collect();
        let latin = prototype.starts_with(|first: char| first.is_ascii_alphanumeric())
            && prototype
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || is_common_mark(c));
        if latin {
            // The tables write every capital I as l.
            let i = c.is_uppercase() && prototype == "l";
            return if i { "i".to_owned() } else { prototype.to_lowercase() };
        }
    }
    small
}

fn prototypes(c: char) -> String {
    skeleton(c.encode_utf8(&mut [0; 4])).collect()
}

/// Most of what names are made of need not be looked up.
fn looks_like_itself(c: char) -> bool {
    c == ' ' || (c.is_ascii_alphanumeric() && !matches!(c, '0' | '1' | 'I' | 'm'))
}

/// Words that a room does not want to see, and what finds them: in any case and width, with zero-width
/// characters or stray combining marks inside, in look-alike letters, or with their letters spaced out.
///
/// Words of up to four letters of a script with capitals match whole words only, longer ones also inside of
/// others; words of other scripts, which often write no blanks, match anywhere.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct BlockedWords {
    words: Vec<String>,
    /// Absent when there are no words.
    finder: Option<Finder>,
}

#[derive(Clone, Debug)]
struct Finder {
    automaton: AhoCorasick,
    /// For each of its patterns: letters, if of a script with capitals.
    letters: Vec<Option<usize>>,
}

impl PartialEq for BlockedWords {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

impl Eq for BlockedWords {}

impl From<Vec<String>> for BlockedWords {
    fn from(words: Vec<String>) -> Self {
        let finder = Finder::new(&words);
        Self { words, finder }
    }
}

impl From<BlockedWords> for Vec<String> {
    fn from(blocked: BlockedWords) -> Self {
        blocked.words
    }
}

impl BlockedWords {
    /// The words as they were given.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Whether one of them stands in the text.
    pub fn stand_in(&self, text: &str) -> bool {
        self.finder.as_ref().is_some_and(|finder| finder.finds_in(text))
    }
}

impl Finder {
    fn new(words: &[String]) -> Option<Self> {
        let mut patterns = BTreeSet::new();
        for word in words {
            for form in forms(word) {
                patterns.insert(form.split_whitespace().collect::<String>());
                patterns.insert(form);
            }
        }
        patterns.remove("");
        let letters = patterns.iter().map(|pattern| letters_if_cased(pattern)).collect();
        // 500 words of 50 characters are far from the automaton's limits; were it ever refused, texts pass.
        let automaton = AhoCorasick::new(&patterns).ok().filter(|_| !patterns.is_empty())?;
        Some(Self { automaton, letters })
    }

    fn finds_in(&self, text: &str) -> bool {
        forms(text).iter().any(|form| {
            self.finds_word(form, WHOLE_WORD_LETTERS)
                || spaced_out(form)
                    .iter()
                    .any(|run| self.finds_word(run, WHOLE_SPACED_LETTERS))
        })
    }

    fn finds_word(&self, text: &str, whole_word_letters: usize) -> bool {
        self.automaton.find_overlapping_iter(text).any(|found| {
            let short = self.letters[found.pattern()].is_some_and(|letters| letters <= whole_word_letters);
            let goes_on = |c: Option<char>| c.is_some_and(char::is_alphabetic);
            !short
                || !(goes_on(text[..found.start()].chars().next_back()) || goes_on(text[found.end()..].chars().next()))
        })
    }
}

/// The forms under which words are looked for, with blanks made single.
fn forms(text: &str) -> [String; 2] {
    let clean = without_noise(text);
    [lower(&clean), look_alike(&clean)].map(|form| form.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn letters_if_cased(word: &str) -> Option<usize> {
    word.chars().any(has_case).then(|| word.chars().count())
}

fn has_case(c: char) -> bool {
    c.is_lowercase() || c.is_uppercase()
}

/// Runs of single letters with whatever stands between them left out: `b-a d` is `bad`. Chinese and Japanese
/// characters are always single.
fn spaced_out(text: &str) -> Vec<String> {
    let mut runs = vec![String::new()];
    for token in text.split(|c: char| !c.is_alphanumeric() && !is_mark(c)) {
        let letters = token.chars().filter(|c| !is_mark(*c)).count();
        if letters == 1 || token.chars().all(is_ideograph) {
            if let Some(run) = runs.last_mut() {
                run.push_str(token);
            }
        } else {
            runs.push(String::new());
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(words: &[&str], text: &str) -> bool {
        BlockedWords::from(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).stand_in(text)
    }

    #[test]
    fn what_is_not_looked_up_looks_like_itself() {
        for c in ('\0'..='\x7f').filter(|c| looks_like_itself(*c)) {
            assert_eq!(prototypes(c), c.to_string());
        }
    }

    #[test]
    fn a_comment_is_trimmed_and_put_on_one_line() {
        assert_eq!(comment("  hello  "), Ok("hello".into()));
        assert_eq!(comment("one\r\n\r\ntwo\tthree"), Ok("one two three".into()));
        assert_eq!(comment("<b>&amp;"), Ok("<b>&amp;".into()), "markup is text");
    }

    #[test]
    fn what_nobody_can_see_is_no_comment() {
        for text in [
            "",
            "   ",
            "\u{200b}\u{200d}",
            "\u{3164}",
            "\u{2800}",
            "\u{301}",
            "\u{202e}",
            "\n\n",
        ] {
            assert_eq!(comment(text), Err(Refusal::BadText { reason: "is empty" }), "{text:?}");
        }
    }

    #[test]
    fn control_characters_are_refused_and_turned_text_is_turned_back() {
        for text in [
            "a\0b",
            "a\u{1b}[31mb",
            "a\u{7f}",
            "a\u{9d}b",
            "a\u{ffff}",
            "\u{fdd0}a",
            "a\u{10fffe}",
        ] {
            assert_eq!(
                comment(text),
                Err(Refusal::BadText {
                    reason: "has control characters"
                })
            );
        }
        assert_eq!(comment(&"\u{fdfa}".repeat(50)), Ok("\u{fdfa}".repeat(50)));
        assert!(comment(&"\u{fdfa}".repeat(60)).is_err(), "1,080 letters");
        let turned = "a\u{202a}\u{202b}\u{202d}\u{202e}b\u{202c}\u{2066}\u{2067}\u{2068}c\u{2069}";
        assert_eq!(comment(turned), Ok("abc".into()));
        assert_eq!(name(turned), Ok("abc".into()));
        assert_eq!(line(turned, "title", 1..=3), Ok("abc".into()));
        assert_eq!(paragraphs(turned, "description", 3), Ok("abc".into()));
        assert!(line("\u{202e}", "title", 1..=3).is_err());
    }

    #[test]
    fn two_hundred_characters_as_a_person_counts_them() {
        assert!(comment(&"口".repeat(200)).is_ok());
        assert!(comment(&"👍🏽".repeat(200)).is_ok());
        assert!(comment(&"e\u{301}".repeat(200)).is_ok());
        assert!(comment(&"ก็".repeat(200)).is_ok());
        for long in ["a".repeat(201), "口".repeat(201), "👨‍👩‍👧‍👦".repeat(200), "a".repeat(10_000)] {
            assert_eq!(comment(&long), Err(Refusal::BadText { reason: "is too long" }));
        }
    }

    #[test]
    fn of_forty_combining_marks_four_stay() {
        let zalgo = format!("a{}b", "\u{336}".repeat(40));
        assert_eq!(comment(&zalgo), Ok(format!("a{}b", "\u{336}".repeat(4))));
        let joined = format!("a{}b", "\u{336}\u{200d}".repeat(40));
        assert_eq!(comment(&joined), Ok("a\u{336}\u{200d}\u{336}\u{200d}b".into()));
    }

    #[test]
    fn writing_of_the_world_passes_unharmed() {
        for text in [
            "👨‍👩‍👧‍👦❤️🏴󠁧󠁢󠁳󠁣󠁴󠁿1️⃣",
            "Tiếng Việt rất đẹp",
            "Tie\u{302}\u{301}ng Vie\u{302}\u{323}t",
            "ผู้ใหญ่ที่น้ำ",
            "口红 リップ 립스틱",
            "हिन्दी क्षत्रिय",
            "شكراً می‌خواهم",
        ] {
            assert_eq!(comment(text), Ok(text.into()));
        }
    }

    #[test]
    fn lines_and_paragraphs_name_their_field() {
        assert_eq!(line(" Lipstick ", "title", 1..=80), Ok("Lipstick".into()));
        let reason = "is empty";
        assert_eq!(
            line("", "title", 1..=80),
            Err(Refusal::BadField { field: "title", reason })
        );
        assert_eq!(paragraphs("", "description", 10), Ok(String::new()));
        assert_eq!(paragraphs("a\r\n\r\nb", "description", 10), Ok("a\n\nb".into()));
        assert!(paragraphs("a\0", "description", 10).is_err());
        assert!(name(&"n".repeat(21)).is_err());
    }

    #[test]
    fn addresses_are_https_or_http_with_a_plain_host() {
        for good in [
            "https://a.example/x?y=1#z",
            "http://a.example:8080",
            "HTTPS://A.example",
            "https://[::1]:8/x",
        ] {
            assert!(url(good, "url").is_ok(), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            "ftp://a.example",
            "https://",
            "https:///x",
            "//a.example",
            "https://user:pw@a.example",
            "https://a.example:0",
            "https://a.example:+80",
            "https://a.example:99999",
            "https://a example",
            "https://a.example/\"><script>",
            "https://a.example/;\nfoo",
            "https://a.example; script-src *",
            "https://[zz]/",
            "",
        ] {
            assert!(url(bad, "url").is_err(), "{bad}");
        }
        assert!(url(&format!("https://a.example/{}", "x".repeat(500)), "url").is_err());
    }

    #[test]
    fn a_picture_comes_over_https_or_from_nearby() {
        for good in [
            "https://cdn.example/a.m3u8",
            "http://127.0.0.1:8889/x/whep",
            "http://[fe80::1]/",
            "http://nas.local/a",
            "http://media:80/",
            "http://192.168.1.5/",
        ] {
            assert!(source_url(good, "source").is_ok(), "{good}");
        }
        for bad in [
            "http://cdn.example/a.m3u8",
            "http://8.8.8.8/",
            "http://2130706433/",
            "http://0x7f000001/",
        ] {
            assert!(source_url(bad, "source").is_err(), "{bad}");
        }
    }

    #[test]
    fn a_phrase_is_equal_after_trimming_case_and_width_folding() {
        for typed in ["lipstick 666", " LIPSTICK 666\u{200b} ", "ＬＩＰＳＴＩＣＫ　６６６"] {
            assert_eq!(fold_phrase(typed), "lipstick 666", "{typed}");
        }
        assert_eq!(fold_phrase("❤️"), fold_phrase("❤"));
        assert_ne!(fold_phrase("lipstick 6666"), fold_phrase("lipstick 666"));
        assert_ne!(fold_phrase("lớn"), fold_phrase("lon"));
    }

    #[test]
    fn names_that_look_the_same_are_the_same() {
        for name in [
            "LINA",
            "Ｌｉｎａ",
            "Lіna",
            "Iina",
            "l i n a",
            "Li\u{200b}na",
            "Líná",
            "1ina",
            "Lina ✓",
            "L.I.N.A.",
            "Lina\u{115f}",
            "L\u{1160}ina",
            "Lina\u{3164}",
            "Lin\u{ffa0}a",
            "Lina\u{17b4}",
            "Li\u{fff9}na",
            "Li\u{1d173}na",
        ] {
            assert_eq!(fold_name(name), fold_name("Lina"), "{name}");
        }
        for (one, other) in [("ВОВ", "bob"), ("M0rn", "morn"), ("modern", "modem")] {
            assert_eq!(fold_name(one), fold_name(other));
        }
        for (one, other) in [
            ("Lina", "Line"),
            ("小红", "小明"),
            ("น้ำ", "นา"),
            ("🦊", "🐻"),
            ("Đạt", "Bat"),
        ] {
            assert_ne!(fold_name(one), fold_name(other));
        }
    }

    #[test]
    fn a_blocked_word_is_found_in_every_disguise() {
        for text in [
            "casino",
            "the CASINO!",
            "ｃａｓｉｎｏ",
            "ca\u{200b}si\u{200d}no",
            "c\u{336}a\u{336}s\u{336}i\u{336}n\u{336}o",
            "саsіnо",
            "САSІNО",
            "cαsino",
            "𝒸𝒶𝓈𝒾𝓃𝑜",
            "casin0",
            "c a s i n o",
            "come to c.a-s_i*n o now",
            "С а s i n о",
            "onlinecasinos",
            "ⓒⓐⓢⓘⓝⓞ",
            "cas\u{1160}ino",
            "cas\u{3164}ino",
            "cas\u{17b5}ino",
            "cas\u{2800}ino",
            "cas\u{1d173}ino",
            "cas\u{fff9}ino",
            "cas\u{e0fff}ino",
        ] {
            assert!(blocks(&["Casino"], text), "{text}");
        }
    }

    #[test]
    fn a_blocked_word_blocks_no_other_word() {
        for text in [
            "hello",
            "shell",
            "Michelle",
            "glass skin",
            "he'll",
            "h e l p",
            "sizes S M L XL",
            "",
        ] {
            assert!(!blocks(&["hell", "ass", "sm"], text), "{text}");
        }
        for (word, text) in [
            ("lon", "lớn lắm"),
            ("lồn", "một lon bia"),
            ("porn", "pomelo"),
            ("lol", "101 lipsticks"),
            ("nowhere", "now here"),
            ("ควาย", "ความ"),
            ("👨", "👩"),
        ] {
            assert!(!blocks(&[word], text), "{word} in {text}");
        }
    }

    #[test]
    fn words_of_every_script_are_found() {
        for (word, text) in [
            ("hell", "go to HELL!"),
            ("hell", "h e l l"),
            ("lồn", "LỒN"),
            ("lồn", "lo\u{302}\u{300}n"),
            ("坏蛋", "你这个坏蛋啊"),
            ("坏蛋", "坏 蛋"),
            ("坏蛋", "你，坏。蛋"),
            ("バカ", "ﾊﾞｶ"),
            ("ควาย", "ไอ้ควาย"),
            ("дурак", "ДУРАК"),
            ("buy now", "BUY   NOW"),
            ("buy now", "b u y n o w"),
            ("🖕", "take that 🖕🏽"),
            ("a$$", "A$$"),
            ("İstanbul", "istanbul"),
        ] {
            assert!(blocks(&[word], text), "{word} in {text}");
        }
        assert!(!blocks(&[], "anything") && !blocks(&["\u{200b}"], "anything"));
    }

    #[test]
    fn blocked_words_are_stored_as_the_words_alone() {
        let blocked = BlockedWords::from(vec!["Casino".to_owned()]);
        let stored = serde_json::to_string(&blocked).expect("serialisable");
        assert_eq!(stored, r#"["Casino"]"#);
        let back: BlockedWords = serde_json::from_str(&stored).expect("readable");
        assert!(back == blocked && back.stand_in("casino"));
    }
}

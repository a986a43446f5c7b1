//! What viewers say, and how it is found again in what they receive: a comment carries the time at which it
//! was due, so that a late sender does not make the server look fast.

use std::time::Duration;

use hubbub::room::Luck;

/// What viewers write.
const TEXTS: [&str; 12] = [
    "lipstick 03 please",
    "how much is the set?",
    "666",
    "does it suit dry skin?",
    "好看",
    "first time here, hello everybody",
    "which colour are you wearing?",
    "is the coat warm enough for the north",
    "❤️❤️❤️",
    "I bought two last time and my sister took both of them, so now I need a third one, will there be more tonight?",
    "show the back again please",
    "下单了",
];
/// Digits of a mark's time.
const DIGITS: usize = 10;

/// Writes and finds the marks of one run.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    /// `~` and letters of this run: others' comments are not taken for ours.
    prefix: String,
}

impl Marks {
    /// For a run that is named by `run`.
    pub(crate) fn new(run: &str) -> Self {
        Self {
            prefix: format!("~{run}:"),
        }
    }

    /// A comment that was due so long after the run's start.
    pub(crate) fn text(&self, due: Duration, luck: &mut Luck) -> String {
        let text = TEXTS[luck.below(TEXTS.len() as u64) as usize];
        format!("{text} {}{:0DIGITS$}~", self.prefix, due.as_micros())
    }

    /// When the comments in these bytes were due, in any encoding.
    pub(crate) fn dues(&self, bytes: &[u8]) -> Vec<Duration> {
        let prefix = self.prefix.as_bytes();
        let mut dues = Vec::new();
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'~') {
            rest = &rest[at..];
            let mark = rest.strip_prefix(prefix).and_then(|mark| mark.split_at_checked(DIGITS));
            let due = mark
                .filter(|(_, end)| end.first() == Some(&b'~'))
                .and_then(|(digits, _)| std::str::from_utf8(digits).ok()?.parse().ok());
            let past = match due {
                Some(due) => {
                    dues.push(Duration::from_micros(due));
                    prefix.len() + DIGITS + 1
                }
                None => 1,
            };
            rest = &rest[past..];
        }
        dues
    }
}

/// Evenly spaced times, of which each thread takes every n-th.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    per_second: f64,
    next: u64,
    step: u64,
}

impl Pace {
    /// The share of thread `index` of `threads` in `per_second`.
    pub(crate) fn new(per_second: f64, index: u32, threads: u32) -> Self {
        Self {
            per_second,
            next: u64::from(index),
            step: u64::from(threads),
        }
    }

    /// The next time, after the beginning; `None` at a pace of 0.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        (self.per_second > 0.0).then(|| Duration::from_secs_f64(self.next as f64 / self.per_second))
    }

    /// It was done.
    pub(crate) fn done(&mut self) {
        self.next += self.step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_in_any_encoding_and_only_our_own() {
        let marks = Marks::new("k7m2");
        let mut luck = Luck::new([1; 32]);
        let first = marks.text(Duration::from_micros(1_234_567), &mut luck);
        let second = marks.text(Duration::ZERO, &mut luck);
        let foreign = Marks::new("zzzz").text(Duration::from_secs(9), &mut luck);
        let all = [first, "~k7m2:~~k7m2:12".into(), foreign, second].join("\u{1}");
        let due = [Duration::from_micros(1_234_567), Duration::ZERO];
        assert_eq!(marks.dues(all.as_bytes()), due);
        let json = serde_json::to_vec(&all).expect("a text");
        assert_eq!(marks.dues(&json), due);
        assert!(marks.dues(b"").is_empty());
    }

    #[test]
    fn every_text_is_short_enough_for_a_comment() {
        let longest = TEXTS.iter().map(|text| text.chars().count()).max().expect("some");
        let mark = Marks::new("k7m2").prefix.len() + DIGITS + 2;
        assert!(longest + mark <= hubbub::room::comment::TEXT_MAX);
    }

    #[test]
    fn threads_share_a_pace() {
        let times = |index| {
            let mut pace = Pace::new(4.0, index, 2);
            [(); 3].map(|()| {
                let due = pace.next_due().expect("it goes");
                pace.done();
                due.as_millis()
            })
        };
        assert_eq!((times(0), times(1)), ([0, 500, 1_000], [250, 750, 1_250]));
        assert_eq!(Pace::new(0.0, 0, 1).next_due(), None);
    }
}

//! A discount's codes: made here, pasted from the shop, or one for all; and the way back from a code that a
//! buyer typed to its place.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization;

use super::super::stage::SourceKind;
use super::super::{Secret, secret};
use super::CodeSource;

/// Letters and digits of generated codes: no I, L, O or 1. 5 bits each.
const LETTERS: &[u8; 32] = b"ABCDEFGHJKMNPQRSTUVWXYZ023456789";
/// Letters of a generated code: 16 x 5 = 80 bits.
const LETTERS_COUNT: usize = 16;

/// A code as it is compared: any width and case, without blanks and dashes.
pub(super) fn normalise(code: &str) -> String {
    let dash = |c: char| matches!(c, '-' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '_');
    code.nfkc()
        .flat_map(char::to_uppercase)
        .filter(|c| !c.is_whitespace() && !c.is_control() && !dash(*c))
        .collect()
}

/// The codes of one discount, the first `given` of which viewers have.
///
/// Generated codes are nowhere stored: the n-th follows from the seed. The way back goes by a keyed hash of
/// the code, so that what a lookup takes tells nothing about how much of a guess was right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub(super) struct Codes {
    #[serde(with = "secret")]
    source: Secret<Source>,
    #[serde(with = "secret")]
    seed: Secret<[u8; 32]>,
    given: u32,
    /// Place by [`tag`](Codes::tag): of all pasted codes, of the given ones of those made here.
    #[serde(skip)]
    places: BTreeMap<u64, u32>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    Shared(String),
    Pasted(Vec<String>),
    Generated,
}

/// What a snapshot holds of [`Codes`]; the places are found again.
#[derive(Deserialize)]
struct Stored {
    #[serde(with = "secret")]
    source: Secret<Source>,
    #[serde(with = "secret")]
    seed: Secret<[u8; 32]>,
    given: u32,
}

impl From<Stored> for Codes {
    fn from(stored: Stored) -> Self {
        let mut codes = Self {
            source: stored.source,
            seed: stored.seed,
            given: stored.given,
            places: BTreeMap::new(),
        };
        codes.places = codes.find_places();
        codes
    }
}

impl Codes {
    pub(super) fn new(source: &CodeSource, seed: Secret<[u8; 32]>) -> Self {
        let source = match source {
            CodeSource::Shared { code } => Source::Shared(code.clone()),
            CodeSource::Pasted {} => Source::Pasted(Vec::new()),
            CodeSource::Generated {} => Source::Generated,
        };
        Self::from(Stored {
            source: Secret(source),
            seed,
            given: 0,
        })
    }

    /// Where they come from, as it was asked for.
    pub(super) fn is_from(&self, source: &CodeSource) -> bool {
        match (&self.source.0, source) {
            (Source::Shared(has), CodeSource::Shared { code }) => has == code,
            (Source::Pasted(_), CodeSource::Pasted {}) | (Source::Generated, CodeSource::Generated {}) => true,
            _ => false,
        }
    }

    /// Where they come from, as it was prepared.
    pub(super) fn source(&self) -> CodeSource {
        match &self.source.0 {
            Source::Shared(code) => CodeSource::Shared { code: code.clone() },
            Source::Pasted(_) => CodeSource::Pasted {},
            Source::Generated => CodeSource::Generated {},
        }
    }

    pub(super) fn kind(&self) -> SourceKind {
        match &self.source.0 {
            Source::Shared(_) => SourceKind::Shared,
            Source::Pasted(_) => SourceKind::Pasted,
            Source::Generated => SourceKind::Generated,
        }
    }

    pub(super) fn seed(&self) -> &Secret<[u8; 32]> {
        &self.seed
    }

    /// How many there are, where they are pasted.
    pub(super) fn pasted(&self) -> Option<usize> {
        match &self.source.0 {
            Source::Pasted(list) => Some(list.len()),
            Source::Shared(_) | Source::Generated => None,
        }
    }

    /// Those of `codes` that a pasted list does not have yet, each once.
    pub(super) fn unknown(&self, codes: Vec<String>) -> Vec<String> {
        let mut seen = BTreeMap::new();
        codes
            .into_iter()
            .filter(|code| {
                let tag = self.tag(&normalise(code));
                !self.places.contains_key(&tag) && seen.insert(tag, ()).is_none()
            })
            .collect()
    }

    pub(super) fn add(&mut self, codes: &[String]) {
        for code in codes {
            let tag = self.tag(&normalise(code));
            if let Source::Pasted(list) = &mut self.source.0 {
                self.places.insert(tag, list.len() as u32);
                list.push(code.clone());
            }
        }
    }

    /// The next code is given to a viewer.
    pub(super) fn give(&mut self) {
        let index = self.given;
        self.given += 1;
        match &self.source.0 {
            Source::Generated => {
                let tag = self.tag(&normalise(&self.generated(index)));
                self.places.insert(tag, index);
            }
            Source::Shared(code) => {
                let tag = self.tag(&normalise(code));
                self.places.insert(tag, 0);
            }
            Source::Pasted(_) => {}
        }
    }

    /// The code at a place; empty if a pasted list is shorter.
    pub(super) fn code(&self, index: u32) -> String {
        match &self.source.0 {
            Source::Shared(code) => code.clone(),
            Source::Pasted(list) => list.get(index as usize).cloned().unwrap_or_default(),
            Source::Generated => self.generated(index),
        }
    }

    /// All of them, of a discount with this quota.
    pub(super) fn all(&self, quota: u32) -> Vec<String> {
        match &self.source.0 {
            Source::Shared(code) => vec![code.clone()],
            Source::Pasted(list) => list.clone(),
            Source::Generated => (0..quota).map(|index| self.generated(index)).collect(),
        }
    }

    /// The place of a code that a viewer has, from its [normalised](normalise) form.
    pub(super) fn find(&self, normalised: &str) -> Option<u32> {
        let as_read = match &self.source.0 {
            // The letter O does not occur: whoever typed it read a zero.
            Source::Generated => normalised.replace('O', "0"),
            Source::Shared(_) | Source::Pasted(_) => normalised.to_owned(),
        };
        let index = *self.places.get(&self.tag(&as_read))?;
        let code = normalise(&self.code(index));
        let same: bool = code.as_bytes().ct_eq(as_read.as_bytes()).into();
        (same && index < self.given).then_some(index)
    }

    fn find_places(&self) -> BTreeMap<u64, u32> {
        let place = |(index, code): (usize, String)| (self.tag(&normalise(&code)), index as u32);
        match &self.source.0 {
            Source::Shared(code) if self.given > 0 => [place((0, code.clone()))].into(),
            Source::Shared(_) => BTreeMap::new(),
            Source::Pasted(list) => list.iter().cloned().enumerate().map(place).collect(),
            Source::Generated => self.all(self.given).into_iter().enumerate().map(place).collect(),
        }
    }

    /// The code at a place: HMAC-SHA-256 of "code" and the place under the seed, its first 80 bits as letters
    /// in groups of four.
    fn generated(&self, index: u32) -> String {
        let hash = self.mac(b"code", &index.to_be_bytes());
        let bits = hash[..10]
            .iter()
            .fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        let mut code = String::with_capacity(LETTERS_COUNT + 3);
        for n in 0..LETTERS_COUNT {
            if n > 0 && n % 4 == 0 {
                code.push('-');
            }
            let letter = bits >> (5 * (LETTERS_COUNT - 1 - n)) & 31;
            code.push(char::from(LETTERS[letter as usize]));
        }
        code
    }

    /// Under what a normalised code is found. Two of a million have the same with a chance of 2^-25.
    fn tag(&self, normalised: &str) -> u64 {
        let hash = self.mac(b"find", normalised.as_bytes());
        hash[..8].iter().fold(0, |tag, byte| tag << 8 | u64::from(*byte))
    }

    fn mac(&self, purpose: &[u8; 4], of: &[u8]) -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(&self.seed.0).expect("HMAC takes keys of any length");
        mac.chain_update(purpose)
            .chain_update(of)
            .finalize()
            .into_bytes()
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_codes_are_four_groups_of_four_all_different_and_found_however_they_are_typed() {
        let mut codes = Codes::new(&CodeSource::Generated {}, Secret([7; 32]));
        let all = codes.all(500);
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), 500);
        for (index, code) in all.iter().enumerate() {
            let groups: Vec<_> = code.split('-').collect();
            assert!(
                groups.len() == 4 && groups.iter().all(|group| group.len() == 4),
                "{code}"
            );
            assert_eq!(codes.find(&normalise(code)), None, "nobody has it yet");
            codes.give();
            let typed = format!(" {} ", code.to_lowercase().replace('-', " ").replace('0', "o"));
            assert_eq!(codes.find(&normalise(&typed)), Some(index as u32), "{typed}");
        }
    }

    #[test]
    fn a_snapshot_finds_the_same_codes() {
        let mut pasted = Codes::new(&CodeSource::Pasted {}, Secret([1; 32]));
        pasted.add(&["SUMMER-1".to_owned(), "SUMMER-2".to_owned()]);
        pasted.give();
        let shared = CodeSource::Shared {
            code: "ＨＥＬＬＯ".to_owned(),
        };
        let mut shared = Codes::new(&shared, Secret([2; 32]));
        shared.give();
        let mut generated = Codes::new(&CodeSource::Generated {}, Secret([3; 32]));
        generated.give();
        for (codes, code) in [
            (pasted, "summer1"),
            (shared, "hel lo"),
            (generated.clone(), &generated.code(0)),
        ] {
            let text = serde_json::to_string(&codes).unwrap();
            let again: Codes = serde_json::from_str(&text).unwrap();
            assert_eq!(again, codes);
            assert_eq!(again.find(&normalise(code)), Some(0));
            assert_eq!(again.find(&normalise("SUMMER-2")), None, "not given out");
        }
    }

    #[test]
    fn a_pasted_list_takes_each_code_once() {
        let mut codes = Codes::new(&CodeSource::Pasted {}, Secret([1; 32]));
        codes.add(&["A-1".to_owned()]);
        let new = ["a1", "b2", "B 2", "c3"].map(str::to_owned).to_vec();
        assert_eq!(codes.unknown(new), ["b2", "c3"]);
    }

    #[test]
    fn nothing_about_a_code_is_printed() {
        let shared = CodeSource::Shared {
            code: "VERYSECRET".to_owned(),
        };
        let codes = format!("{:?}", Codes::new(&shared, Secret([42; 32])));
        assert!(!codes.contains("VERYSECRET") && !codes.contains("42"), "{codes}");
    }
}

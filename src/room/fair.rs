//! The arithmetic of a lucky draw, pure, for anybody who wants to check one: `hubbub-draw-v1`.
//!
//! # What is proved, and what is not
//!
//! A valid transcript proves that the winners follow from a seed that was fixed before the first entry, from
//! this list of entries and from these exclusions, and from nothing else. It does **not** prove that nobody
//! who can read the server's journal (and so the seed) added entries; entrants can only see that theirs are
//! in the list. Compare the transcript's commitment and root with those that the page showed when the draw
//! opened and when it was locked, and look for your own entry by your receipt.
//!
//! # Notation
//!
//! `a || b` is concatenation of bytes. `u32(n)` is four bytes, big-endian. A text in quotes is its ASCII
//! bytes and ends with one zero byte where `\0` stands. `utf8(t)` is the text's UTF-8 bytes, `len(t)` their
//! number. Hashes are 32 bytes, written as 64 hexadecimal digits, salts 16 bytes, written as 32; digits are
//! **lower case only**, so that each value has one written form.
//!
//! # Step by step
//!
//! 1. **Commitment**, published when the draw opens, before any entry:
//!    `commitment = SHA-256("hubbub-draw-v1/commit\0" || seed || utf8(rules))`.
//!    `seed` is 32 secret random bytes. `rules` is a text: compact JSON
//!    `{"room":..,"draw":..,"opened_at":..,"rules":{..}}` (see [`CommittedRules`]), hashed byte for byte as the
//!    transcript has it. Compact means: as JavaScript's `JSON.stringify` writes it. A reader parses it, writes
//!    it back and compares, so that no key can stand in it twice.
//! 2. **Entries** are numbered 1, 2, 3 .. `n`. Each has a random salt; the entrant gets number, salt and
//!    running hash as receipt. With `viewer` = the entrant's id, 16 bytes (its 32 hexadecimal digits):
//!    `leaf_i = SHA-256("hubbub-draw-v1/entry\0" || u32(i) || salt_i || viewer_i)`, and the running hash is
//!    `h_0 = commitment`, `h_i = SHA-256("hubbub-draw-v1/chain\0" || h_(i-1) || leaf_i)`.
//! 3. **Lock**: no more entries. With the excluded entries in ascending order, each written as
//!    `u32(entry) || why || u32(len(note)) || utf8(note)`, where `why` is one byte (1: struck by the staff, 2: its
//!    owner won before) and `note` is the reason or the id of the earlier draw:
//!    `root = SHA-256("hubbub-draw-v1/lock\0" || h_n || u32(n) || u32(number of excluded) || excluded ..)`.
//!    Count and root are published then. An entry may be excluded as earlier winner only where the rules say
//!    `"exclude_earlier_winners":true`.
//! 4. **Winners**: the list is all entries that are not excluded, ascending. For `c` = 0, 1, 2 ..:
//!    `block_c = HMAC-SHA-256(key = seed, "hubbub-draw-v1/pick\0" || root || u32(c))`, `r` = its first 8 bytes as
//!    a big-endian number, `m` = entries left in the list. If `r >= 2^64 - (2^64 mod m)`, `r` is thrown away
//!    (the numbers from there on would favour the front of the list); else the entry at index `r mod m`, counted
//!    from 0, wins and is taken out of the list. It ends with as many winners as `rules.winners` says, or with
//!    the empty list.
//! 5. **Reveal**: winners and seed are published.
//! 6. **Redraw** of prizes that nobody claimed in time: the same `c` and the same list go on, one new winner for
//!    each entry in `instead_of` (all of them winners at that time, none twice). Redraws are chained, so that
//!    the record of them cannot be changed unnoticed: with `q_0 = root`, and `k` entries replaced,
//!    `q_j = SHA-256("hubbub-draw-v1/redraw\0" || q_(j-1) || u32(k) || u32(instead_of) .. || u32(winner) ..)`.
//!
//! In a draw of everyone present nobody enters: the entries are numbered at the lock, and their salts are
//! `salt_i = HMAC-SHA-256(key = salts, "hubbub-draw-v1/salt\0" || u32(i))`, its first 16 bytes, from 32 random
//! bytes that are not published. The receipts are the same.
//!
//! # The transcript
//!
//! One JSON object ([`Transcript`]) with these keys and no others, in any order:
//!
//! | key | what | present |
//! |---|---|---|
//! | `format` | `"hubbub-draw-v1"` | always |
//! | `rules` | the text of step 1, as a JSON string | always |
//! | `commitment` | hash | always |
//! | `leaves` | array of hashes: `leaf_1` .. `leaf_n`. No viewer ids | always |
//! | `excluded` | array of `{"entry":3,"why":"struck","note":".."}`, ascending; `why` is `struck` or `earlier_winner` | if not empty |
//! | `root` | hash | from the lock on |
//! | `seed` | hash | from the reveal on |
//! | `winners` | array of entries as first drawn, in the order drawn | if not empty |
//! | `redraws` | array of `{"instead_of":[..],"winners":[..],"hash":q_j}` | if not empty |
//! | `cancelled` | why it was cancelled; then there is no root and nothing after it | if it was |
//!
//! A verifier refuses anything else: other keys or types, numbers that are not whole, capital hexadecimal
//! digits. [`verify`] says which step does not fit.
//!
//! # A draw to check one's own implementation against
//!
//! More, in a form for machines, stands in `tests/vectors/draw-v1.json`.
//!
//! ```
//! use hubbub::room::{Hash, ViewerId, fair};
//!
//! let seed: [u8; 32] = std::array::from_fn(|i| i as u8); // 000102..1f
//! let rules = concat!(
//!     r#"{"room":"spring-show","draw":"lipstick","opened_at":1767225600000,"#,
//!     r#""rules":{"prize":"Lipstick Nº 7","winners":2,"open_ms":60000,"#,
//!     r#""eligibility":{"phrase":{"phrase":"666"}}}}"#,
//! );
//! let commitment = fair::commitment(&seed, rules);
//! assert_eq!(commitment.to_string(), "093b522a055afd2cf8c8c58269c7c03bd1791b508158054d6818d61a9d67af84");
//!
//! // Three entries: salts 1111.., 2222.., 3333.., viewers 0..01, 0..02, 0..03.
//! let leaves = [1, 2, 3].map(|i: u8| fair::leaf(u32::from(i), &[i * 0x11; 16], ViewerId(u128::from(i))));
//! assert_eq!(leaves[0].to_string(), "915e13f62b558ab5327483830c56957c012975cf2364bf558f71ead9091497cf");
//! let hash = leaves.iter().fold(commitment, |hash, leaf| fair::chain(&hash, leaf));
//! assert_eq!(hash.to_string(), "28e1e443bcdfc659c4957557058ee22c0b5f9baa51f48e4e45c63173aaffb50b");
//!
//! // The second was struck.
//! let struck = fair::Excluded { entry: 2, why: fair::Why::Struck, note: "a bot".into() };
//! let root = fair::root(&hash, 3, &[struck]);
//! assert_eq!(root.to_string(), "9e7d9010725832a23deddbeac0081257cc1325bc681effbfe31c1a206e379b74");
//!
//! let mut picks = fair::Picks::new(&seed, &root, vec![1, 3]);
//! assert_eq!([picks.next(), picks.next(), picks.next()], [Some(1), Some(3), None]);
//!
//! let transcript = serde_json::json!({
//!     "format": "hubbub-draw-v1",
//!     "rules": rules,
//!     "commitment": commitment,
//!     "leaves": leaves,
//!     "excluded": [{ "entry": 2, "why": "struck", "note": "a bot" }],
//!     "root": root,
//!     "seed": Hash(seed),
//!     "winners": [1, 3],
//! });
//! let transcript = serde_json::from_value(transcript)?;
//! assert_eq!(fair::verify(&transcript)?.winners, [1, 3]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeSet;
use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::draw::Rules;
use super::{Hash, Key, RoomId, Timestamp, ViewerId};

/// The version of the protocol, first in every hash and in every transcript.
pub const FORMAT: &str = "hubbub-draw-v1";

const COMMIT: &[u8] = b"hubbub-draw-v1/commit\0";
const ENTRY: &[u8] = b"hubbub-draw-v1/entry\0";
const CHAIN: &[u8] = b"hubbub-draw-v1/chain\0";
const LOCK: &[u8] = b"hubbub-draw-v1/lock\0";
const PICK: &[u8] = b"hubbub-draw-v1/pick\0";
const REDRAW: &[u8] = b"hubbub-draw-v1/redraw\0";
const SALT: &[u8] = b"hubbub-draw-v1/salt\0";

/// What a draw commits to besides its seed: step 1. Its JSON is the `rules` of the transcript.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommittedRules {
    /// The room.
    pub room: RoomId,
    /// The draw.
    pub draw: Key,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Its rules.
    pub rules: Rules,
}

impl CommittedRules {
    /// The text that is hashed: compact JSON.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("strings, numbers and maps with string keys are JSON")
    }

    /// Reads a text that [`text`](Self::text) wrote.
    ///
    /// # Errors
    ///
    /// [`Mismatch::Rules`] for any other text, also one that means the same.
    pub fn read(text: &str) -> Result<Self, Mismatch> {
        let rules: Self = serde_json::from_str(text).map_err(|_| Mismatch::Rules)?;
        if rules.text() == text {
            Ok(rules)
        } else {
            Err(Mismatch::Rules)
        }
    }
}

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    Hash(hash.finalize().into())
}

fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Step 1: what is published when the draw opens.
pub fn commitment(seed: &[u8; 32], rules: &str) -> Hash {
    sha256(&[COMMIT, seed, rules.as_bytes()])
}

/// Step 2: what the list of entries shows of one.
pub fn leaf(number: u32, salt: &[u8; 16], viewer: ViewerId) -> Hash {
    sha256(&[ENTRY, &number.to_be_bytes(), salt, &viewer.0.to_be_bytes()])
}

/// Step 2: the running hash after one more entry.
pub fn chain(before: &Hash, leaf: &Hash) -> Hash {
    sha256(&[CHAIN, &before.0, &leaf.0])
}

/// The salt of an entry in a draw of everyone present, from 32 random bytes made at the lock.
pub fn present_salt(salts: &[u8; 32], number: u32) -> [u8; 16] {
    let block = hmac_sha256(salts, &[SALT, &number.to_be_bytes()]);
    std::array::from_fn(|i| block[i])
}

/// An entry that cannot win.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Excluded {
    /// Its number.
    pub entry: u32,
    /// Why not.
    pub why: Why,
    /// The reason, or the id of the earlier draw.
    pub note: String,
}

/// Why an entry cannot win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The staff struck it before the lock.
    Struck,
    /// Its owner won an earlier draw of the show, and the rules exclude those.
    EarlierWinner,
}

/// Step 3: what is published at the lock. `excluded` in ascending order.
pub fn root(chain: &Hash, count: u32, excluded: &[Excluded]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(LOCK);
    hash.update(chain.0);
    hash.update(count.to_be_bytes());
    hash.update((excluded.len() as u32).to_be_bytes());
    for Excluded { entry, why, note } in excluded {
        let why: u8 = match why {
            Why::Struck => 1,
            Why::EarlierWinner => 2,
        };
        hash.update(entry.to_be_bytes());
        hash.update([why]);
        hash.update((note.len() as u32).to_be_bytes());
        hash.update(note);
    }
    Hash(hash.finalize().into())
}

/// The entries that can win, ascending. `excluded` in ascending order.
pub fn eligible(count: u32, excluded: impl IntoIterator<Item = u32>) -> Vec<u32> {
    let mut excluded = excluded.into_iter().peekable();
    (1..=count)
        .filter(|entry| excluded.next_if_eq(entry).is_none())
        .collect()
}

/// Step 4: winners without end, until the list is empty. A draw takes the first ones, a redraw the next.
///
/// Taking one out of the list moves what stands behind it: 1,000 winners of 200,000 entries move 400 MB
/// at worst, some hundredths of a second.
#[derive(Clone, Debug)]
pub struct Picks {
    seed: [u8; 32],
    root: Hash,
    counter: u32,
    list: Vec<u32>,
}

impl Picks {
    /// From the seed, the root and the entries that can win, ascending.
    pub fn new(seed: &[u8; 32], root: &Hash, eligible: Vec<u32>) -> Self {
        Self {
            seed: *seed,
            root: *root,
            counter: 0,
            list: eligible,
        }
    }
}

impl Iterator for Picks {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        while !self.list.is_empty() {
            let block = hmac_sha256(&self.seed, &[PICK, &self.root.0, &self.counter.to_be_bytes()]);
            self.counter += 1;
            let number = u64::from_be_bytes(std::array::from_fn(|i| block[i]));
            if let Some(index) = index(number, self.list.len() as u64) {
                return Some(self.list.remove(index as usize));
            }
        }
        None
    }
}

/// A random number below 2^64 as an index below `len` (> 0), each equally likely; `None`: throw it away.
pub fn index(number: u64, len: u64) -> Option<u64> {
    // 2^64 mod len = (2^64 - len) mod len: what is left over at the top.
    let left_over = len.wrapping_neg() % len;
    (number <= u64::MAX - left_over).then_some(number % len)
}

/// Step 6: the hash of a redraw, from the one before it (the root for the first).
pub fn redraw(before: &Hash, instead_of: &[u32], winners: &[u32]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(REDRAW);
    hash.update(before.0);
    hash.update((instead_of.len() as u32).to_be_bytes());
    for entry in instead_of.iter().chain(winners) {
        hash.update(entry.to_be_bytes());
    }
    Hash(hash.finalize().into())
}

/// All that is public of a draw. Before the reveal, or when it was cancelled, parts are absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    /// [`FORMAT`].
    pub format: String,
    /// The text of [`CommittedRules`].
    pub rules: String,
    /// Step 1.
    pub commitment: Hash,
    /// Step 2: the leaves of entries 1, 2, 3 ..
    pub leaves: Vec<Hash>,
    /// Step 3, ascending; before the lock: those struck so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<Excluded>,
    /// Step 3, from the lock on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Hash>,
    /// From the reveal on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<Hash>,
    /// Step 4, in the order drawn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub winners: Vec<u32>,
    /// Step 6.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redraws: Vec<Redraw>,
    /// Why it was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<String>,
}

/// Unclaimed prizes that were drawn again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Redraw {
    /// Entries that lost their prizes.
    pub instead_of: Vec<u32>,
    /// Those that won them, as many.
    pub winners: Vec<u32>,
    /// Step 6.
    pub hash: Hash,
}

/// What a valid transcript shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What was committed to.
    pub rules: CommittedRules,
    /// Entries, excluded ones among them.
    pub entries: u32,
    /// Entries that could not win.
    pub excluded: u32,
    /// Winners as first drawn.
    pub winners: Vec<u32>,
    /// Winners after all redraws: each new one stands in the place of the one that it replaced.
    pub holders: Vec<u32>,
}

/// What does not fit in a transcript, or why there is nothing to verify in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the sentence of each variant is its documentation")]
pub enum Mismatch {
    #[error("the format is not hubbub-draw-v1")]
    Format,
    #[error("the rules are not the text of such a draw")]
    Rules,
    #[error("parts are missing, or stand there that cannot be together")]
    Parts,
    #[error("the excluded entry {entry} is out of order, no entry of this draw, or not excluded by the rules")]
    Excluded { entry: u32 },
    #[error("the root does not follow from commitment, entries and exclusions")]
    Root,
    #[error("the commitment does not follow from seed and rules")]
    Commitment,
    #[error("the winners do not follow from seed, root and rules")]
    Winners,
    #[error("redraw {number} does not follow")]
    Redraw { number: usize },
    #[error("the draw was cancelled: there are no winners to verify")]
    Cancelled,
    #[error("the winners are not revealed yet")]
    NotRevealed,
}

/// Checks every step of a transcript.
///
/// # Errors
///
/// The first [`Mismatch`]. [`Mismatch::Cancelled`] and [`Mismatch::NotRevealed`] come last: what there is so
/// far fits.
pub fn verify(transcript: &Transcript) -> Result<Verified, Mismatch> {
    if transcript.format != FORMAT {
        return Err(Mismatch::Format);
    }
    let rules = CommittedRules::read(&transcript.rules)?;
    let count = u32::try_from(transcript.leaves.len()).map_err(|_| Mismatch::Parts)?;
    check_excluded(transcript, &rules.rules, count)?;
    check_parts(transcript)?;
    if transcript.cancelled.is_some() {
        return Err(Mismatch::Cancelled);
    }
    let root = transcript.root.ok_or(Mismatch::NotRevealed)?;
    let chain = transcript
        .leaves
        .iter()
        .fold(transcript.commitment, |hash, leaf| chain(&hash, leaf));
    if self::root(&chain, count, &transcript.excluded) != root {
        return Err(Mismatch::Root);
    }
    let seed = transcript.seed.ok_or(Mismatch::NotRevealed)?.0;
    if commitment(&seed, &transcript.rules) != transcript.commitment {
        return Err(Mismatch::Commitment);
    }
    let can_win = eligible(count, transcript.excluded.iter().map(|excluded| excluded.entry));
    let mut picks = Picks::new(&seed, &root, can_win);
    let winners: Vec<u32> = picks.by_ref().take(rules.rules.winners as usize).collect();
    if winners != transcript.winners {
        return Err(Mismatch::Winners);
    }
    let holders = follow_redraws(&transcript.redraws, &root, winners.clone(), picks)?;
    Ok(Verified {
        rules,
        entries: count,
        excluded: transcript.excluded.len() as u32,
        winners,
        holders,
    })
}

fn check_excluded(transcript: &Transcript, rules: &Rules, count: u32) -> Result<(), Mismatch> {
    let mut last = 0;
    for excluded in &transcript.excluded {
        let entry = excluded.entry;
        let by_rules = excluded.why == Why::Struck || rules.exclude_earlier_winners;
        if entry <= last || entry > count || !by_rules {
            return Err(Mismatch::Excluded { entry });
        }
        last = entry;
    }
    Ok(())
}

/// Each part needs the one before it; a cancelled draw has no root.
fn check_parts(transcript: &Transcript) -> Result<(), Mismatch> {
    let parts = [
        transcript.cancelled.is_none(),
        transcript.root.is_some(),
        transcript.seed.is_some(),
        !transcript.winners.is_empty(),
        !transcript.redraws.is_empty(),
    ];
    let in_order = parts.windows(2).all(|pair| pair[0] || !pair[1]);
    in_order.then_some(()).ok_or(Mismatch::Parts)
}

fn follow_redraws(
    redraws: &[Redraw],
    root: &Hash,
    mut holders: Vec<u32>,
    mut picks: Picks,
) -> Result<Vec<u32>, Mismatch> {
    let mut before = *root;
    for (place, step) in redraws.iter().enumerate() {
        let mismatch = Mismatch::Redraw { number: place + 1 };
        let again: BTreeSet<u32> = step.instead_of.iter().copied().collect();
        let known = again.iter().all(|entry| holders.contains(entry));
        let fresh: Vec<u32> = picks.by_ref().take(step.instead_of.len()).collect();
        let hash = redraw(&before, &step.instead_of, &step.winners);
        let fits = known && !again.is_empty() && again.len() == step.instead_of.len() && fresh == step.winners;
        if !fits || fresh.len() != again.len() || hash != step.hash {
            return Err(mismatch);
        }
        replace(&mut holders, &step.instead_of, &fresh);
        before = hash;
    }
    Ok(holders)
}

/// Puts each new winner in the place of the one replaced.
pub(super) fn replace(holders: &mut [u32], instead_of: &[u32], winners: &[u32]) {
    for (old, new) in instead_of.iter().zip(winners) {
        if let Some(holder) = holders.iter_mut().find(|holder| *holder == old) {
            *holder = *new;
        }
    }
}

/// What `hubbub verify-draw` does: reads a transcript and says in words what was verified.
///
/// # Errors
///
/// A sentence that says what does not fit.
pub fn verify_text(text: &str) -> Result<String, String> {
    let transcript: Transcript =
        serde_json::from_str(text).map_err(|error| format!("this is not a transcript: {error}"))?;
    let verified = verify(&transcript).map_err(|mismatch| mismatch.to_string())?;
    Ok(verified.report(&transcript))
}

impl Verified {
    fn report(&self, transcript: &Transcript) -> String {
        let list = |entries: &[u32]| match entries {
            [] => "none: no entry could win".to_owned(),
            _ => entries.iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
        };
        let CommittedRules { room, draw, rules, .. } = &self.rules;
        let mut report = format!("Verified: draw {draw} of room {room}\n");
        let mut line = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(report, "  {name:<11} {value}");
        };
        line("prize", &rules.prize);
        line(
            "entries",
            &format!("{}, of which {} could not win", self.entries, self.excluded),
        );
        line("winners", &list(&self.winners));
        if self.holders != self.winners {
            line("after redraw", &list(&self.holders));
        }
        line("commitment", &transcript.commitment.to_string());
        line(
            "root",
            &transcript.root.map(|root| root.to_string()).unwrap_or_default(),
        );
        report.push_str(
            "Proved: these winners follow from a seed fixed before the first entry, and from this list.\n\
             Not proved: that nobody who can read the server's journal added entries. Compare commitment and root\n\
             with those that the page showed, and find your own entry by your receipt.\n",
        );
        report
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A draw as an honest server makes it: every fifth entry struck, `again` of the prizes drawn again.
    fn honest(seed: [u8; 32], count: u32, winners: u32, again: usize, prize: &str) -> Transcript {
        let rules = format!(
            r#"{{"room":"show","draw":"d1","opened_at":7,"rules":{{"prize":{},"winners":{winners},"open_ms":60000,"eligibility":{{"present":{{}}}}}}}}"#,
            serde_json::to_string(prize).unwrap()
        );
        let commitment = commitment(&seed, &rules);
        let leaves: Vec<Hash> = (1..=count)
            .map(|n| leaf(n, &[n as u8; 16], ViewerId(u128::from(n))))
            .collect();
        let excluded: Vec<Excluded> = (5..=count).step_by(5).map(struck).collect();
        let hash = leaves.iter().fold(commitment, |hash, leaf| chain(&hash, leaf));
        let root = root(&hash, count, &excluded);
        let can_win = eligible(count, excluded.iter().map(|excluded| excluded.entry));
        let mut picks = Picks::new(&seed, &root, can_win);
        let winners: Vec<u32> = picks.by_ref().take(winners as usize).collect();
        let fresh: Vec<u32> = picks.take(again.min(winners.len())).collect();
        let instead_of: Vec<u32> = winners.iter().copied().take(fresh.len()).collect();
        let redraw = Redraw {
            hash: redraw(&root, &instead_of, &fresh),
            instead_of,
            winners: fresh,
        };
        Transcript {
            format: FORMAT.to_owned(),
            rules,
            commitment,
            leaves,
            excluded,
            root: Some(root),
            seed: Some(Hash(seed)),
            winners,
            redraws: if redraw.winners.is_empty() {
                Vec::new()
            } else {
                vec![redraw]
            },
            cancelled: None,
        }
    }

    fn struck(entry: u32) -> Excluded {
        Excluded {
            entry,
            why: Why::Struck,
            note: format!("bot № {entry}"),
        }
    }

    fn an_honest_one() -> impl Strategy<Value = Transcript> {
        let prize = "[a-zA-Z0-9 \"\\\\/口🎁é]{1,20}";
        (any::<[u8; 32]>(), 0..40_u32, 1..10_u32, 0..4_usize, prize)
            .prop_map(|(seed, count, winners, again, prize)| honest(seed, count, winners, again, &prize))
    }

    proptest! {
        #[test]
        fn every_honest_transcript_is_verified(transcript in an_honest_one()) {
            let verified = verify(&transcript).unwrap();
            prop_assert_eq!(&verified.winners, &transcript.winners);
            prop_assert!(verify_text(&serde_json::to_string_pretty(&transcript).unwrap()).is_ok());
        }

        #[test]
        fn no_byte_can_be_changed(transcript in an_honest_one(), place: prop::sample::Index, byte: u8) {
            let honest = serde_json::to_vec(&transcript).unwrap();
            let mut changed = honest.clone();
            let place = place.index(changed.len());
            changed[place] = byte;
            prop_assume!(changed != honest);
            if let Ok(text) = String::from_utf8(changed) {
                prop_assert!(verify_text(&text).is_err(), "{}", text);
            }
        }

        #[test]
        fn an_index_is_below_its_bound_and_what_is_thrown_away_is_less_than_one_round(number: u64, len in 1..u64::MAX) {
            match index(number, len) {
                Some(index) => prop_assert_eq!(index, number % len),
                None => prop_assert!(u64::MAX - number < len),
            }
        }
    }

    #[test]
    fn each_broken_part_is_named() {
        let good = honest([7; 32], 30, 3, 2, "Lipstick");
        let broken = |change: &dyn Fn(&mut Transcript)| {
            let mut transcript = good.clone();
            change(&mut transcript);
            verify(&transcript).map(|_| ()).unwrap_err()
        };
        assert_eq!(broken(&|t| t.format = "hubbub-draw-v2".into()), Mismatch::Format);
        assert_eq!(broken(&|t| t.rules.push(' ')), Mismatch::Rules);
        assert_eq!(
            broken(&|t| t.rules = t.rules.replace(":3,", ":4,")),
            Mismatch::Commitment
        );
        assert_eq!(broken(&|t| t.commitment.0[0] ^= 1), Mismatch::Root);
        assert_eq!(broken(&|t| t.leaves.swap(1, 2)), Mismatch::Root);
        assert_eq!(broken(&|t| t.leaves.truncate(30 - 1)), Mismatch::Excluded { entry: 30 });
        assert_eq!(broken(&|t| t.excluded.swap(0, 1)), Mismatch::Excluded { entry: 5 });
        assert_eq!(broken(&|t| t.excluded[0].note.push('!')), Mismatch::Root);
        let earlier = |t: &mut Transcript| t.excluded[0].why = Why::EarlierWinner;
        assert_eq!(broken(&earlier), Mismatch::Excluded { entry: 5 });
        assert_eq!(broken(&|t| t.seed = Some(Hash([8; 32]))), Mismatch::Commitment);
        assert_eq!(broken(&|t| t.winners.swap(0, 1)), Mismatch::Winners);
        assert_eq!(broken(&|t| t.winners.truncate(2)), Mismatch::Winners);
        assert_eq!(
            broken(&|t| t.redraws[0].winners.swap(0, 1)),
            Mismatch::Redraw { number: 1 }
        );
        assert_eq!(
            broken(&|t| t.redraws[0].instead_of[0] = 99),
            Mismatch::Redraw { number: 1 }
        );
        assert_eq!(
            broken(&|t| t.redraws.push(t.redraws[0].clone())),
            Mismatch::Redraw { number: 2 }
        );
        assert_eq!(broken(&|t| t.root = None), Mismatch::Parts);
        assert_eq!(broken(&|t| t.cancelled = Some("rain".into())), Mismatch::Parts);
    }

    #[test]
    fn without_a_seed_there_is_nothing_to_verify() {
        let mut transcript = honest([7; 32], 30, 3, 0, "Lipstick");
        (transcript.seed, transcript.winners) = (None, Vec::new());
        assert_eq!(verify(&transcript), Err(Mismatch::NotRevealed));
        transcript.root = None;
        assert_eq!(verify(&transcript), Err(Mismatch::NotRevealed));
        transcript.cancelled = Some("rain".into());
        assert_eq!(verify(&transcript), Err(Mismatch::Cancelled));
    }

    #[test]
    fn a_key_cannot_stand_twice_in_the_rules() {
        let text = honest([7; 32], 1, 3, 0, "Lipstick").rules;
        assert!(CommittedRules::read(&text).is_ok());
        let twice = text.replace(r#""winners":3"#, r#""winners":1,"winners":3"#);
        assert_eq!(CommittedRules::read(&twice), Err(Mismatch::Rules));
        let blank = text.replace(':', ": ");
        assert_eq!(CommittedRules::read(&blank), Err(Mismatch::Rules));
    }

    #[test]
    fn all_entries_win_when_there_are_too_few_and_nobody_when_there_are_none() {
        let few = verify(&honest([1; 32], 4, 9, 0, "Lipstick")).unwrap();
        let mut winners = few.winners;
        winners.sort_unstable();
        assert_eq!(winners, [1, 2, 3, 4]);
        let none = honest([1; 32], 0, 9, 0, "Lipstick");
        assert_eq!(verify(&none).unwrap().winners, [0_u32; 0]);
        let report = verify_text(&serde_json::to_string(&none).unwrap()).unwrap();
        assert!(report.contains("none: no entry could win"), "{report}");
    }

    #[test]
    fn the_top_of_the_numbers_that_would_favour_the_front_is_thrown_away() {
        assert_eq!(index(u64::MAX, 3), None, "2^64 mod 3 = 1");
        assert_eq!(index(u64::MAX - 1, 3), Some(2));
        assert_eq!(index(u64::MAX, 4), Some(3), "2^64 mod 4 = 0");
        let half = (1 << 63) + 1;
        assert_eq!(index(1 << 63, half), Some(1 << 63));
        assert_eq!(index(half, half), None);
    }

    /// Chi-square over 4,000 draws of 3 among 10: every entry wins, and wins first, equally often. With 9
    /// degrees of freedom a fair draw stays below 27.9 in 999 of 1,000 cases; the seeds are fixed.
    #[test]
    fn each_entry_wins_as_often_as_any_other() {
        let (mut first, mut any) = ([0_u32; 10], [0_u32; 10]);
        for number in 0..4_000_u64 {
            let seed = sha256(&[&number.to_be_bytes()]).0;
            let winners: Vec<u32> = Picks::new(&seed, &Hash([0; 32]), (1..=10).collect()).take(3).collect();
            first[winners[0] as usize - 1] += 1;
            winners.iter().for_each(|entry| any[*entry as usize - 1] += 1);
        }
        let chi_square = |counts: [u32; 10], expected: f64| -> f64 {
            counts
                .iter()
                .map(|count| (f64::from(*count) - expected).powi(2) / expected)
                .sum()
        };
        assert!(chi_square(first, 400.0) < 27.9, "{first:?}");
        assert!(chi_square(any, 1_200.0) < 27.9, "{any:?}");
    }
}

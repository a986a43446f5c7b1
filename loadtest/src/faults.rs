//! What must not happen, counted, with an example of each.

use std::collections::BTreeMap;

/// A kind of fault that a viewer notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    Gap,
    Double,
    Disorder,
    SilentJump,
    OtherBytes,
    NotResumed,
    OtherEpoch,
    BadFrame,
    BadMessage,
    StrayAnswer,
    OtherAnswer,
    LostClaim,
    LostEntry,
    LateClaim,
    FallingLikes,
    ClosedForGood,
    Absent,
}

impl Fault {
    fn sentence(self) -> &'static str {
        match self {
            Self::Gap => "gaps: a delta was missing",
            Self::Double => "doubles: a delta came twice",
            Self::Disorder => "deltas out of order",
            Self::SilentJump => "keyframes that hide a gap without `skipped`",
            Self::OtherBytes => "deltas whose bytes differ between viewers",
            Self::NotResumed => "viewers who came back with a cursor and were not continued",
            Self::OtherEpoch => "answers of another epoch",
            Self::BadFrame => "frames that break RFC 6455",
            Self::BadMessage => "messages that cannot be read",
            Self::StrayAnswer => "answers to no request, or a second one to the same",
            Self::OtherAnswer => "retries that got another answer",
            Self::LostClaim => "acknowledged claims that were missing later",
            Self::LostEntry => "acknowledged entries that were missing later",
            Self::LateClaim => "codes of viewers who had been told `sold_out`",
            Self::FallingLikes => "pulses in which the likes went backwards",
            Self::ClosedForGood => "connections closed with a code that means: do not come back",
            Self::Absent => "viewers who could not come in, or not again, for 30 s",
        }
    }
}

/// Faults by kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(BTreeMap<Fault, (u64, String)>);

impl Faults {
    /// Counts one; the first of its kind is remembered as `example`.
    pub(crate) fn note(&mut self, fault: Fault, example: impl FnOnce() -> String) {
        let (count, _) = self.0.entry(fault).or_insert_with(|| (0, example()));
        *count += 1;
    }

    /// Takes in another thread's.
    pub(crate) fn merge(&mut self, other: Self) {
        for (fault, (count, example)) in other.0 {
            self.0.entry(fault).or_insert((0, example)).0 += count;
        }
    }

    /// One sentence for each kind.
    pub(crate) fn sentences(&self) -> impl Iterator<Item = String> {
        let told = |(fault, (count, example)): (&Fault, &(u64, String))| {
            format!("{count} {} (first: {example})", fault.sentence())
        };
        self.0.iter().map(told)
    }
}

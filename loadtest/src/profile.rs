//! Shows with the numbers of real campaigns, and the storms that a server must stand.

use clap::ValueEnum;

use crate::options::Rush;

/// A show to play. Every number can be changed by its own option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// A one-hour cosmetics show at its peak: 1,363 viewers at once, 1,553 comments an hour.
    Cosmetics,
    /// A two-hour fashion show, all who entered at once: 11,951 viewers, 6,704 ask for 1,228 codes, a draw.
    Fashion,
    /// A discount rush: 5,000 viewers ask for 500 codes within a second.
    Rush,
    /// The goal for one room on a small machine: 10,000 viewers, 5 comments a second, likes.
    Goal,
    /// 5,000 viewers are cut off at once and come back.
    Storm,
}

/// What a profile sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    pub(crate) viewers: u32,
    pub(crate) ramp: f64,
    pub(crate) comments: f64,
    pub(crate) likes: f64,
    pub(crate) seconds: f64,
    pub(crate) draw: bool,
    pub(crate) rush: Option<Rush>,
    pub(crate) storm: u32,
}

/// Without a profile: a look at whether all works, in half a minute.
const SMALL: Numbers = Numbers {
    viewers: 100,
    ramp: 2.0,
    comments: 2.0,
    likes: 5.0,
    seconds: 15.0,
    draw: false,
    rush: None,
    storm: 0,
};

impl Profile {
    /// The numbers, or those of a small run.
    pub(crate) fn numbers(profile: Option<Self>) -> Numbers {
        match profile {
            None => SMALL,
            Some(Self::Cosmetics) => Numbers {
                viewers: 1_363,
                ramp: 20.0,
                comments: 1_553.0 / 3_600.0,
                likes: 10.0,
                seconds: 60.0,
                ..SMALL
            },
            Some(Self::Fashion) => Numbers {
                viewers: 11_951,
                ramp: 60.0,
                comments: 5.0,
                likes: 50.0,
                seconds: 60.0,
                draw: true,
                rush: Some(Rush {
                    quota: 1_228,
                    askers: 6_704,
                }),
                ..SMALL
            },
            Some(Self::Rush) => Numbers {
                viewers: 5_000,
                ramp: 10.0,
                comments: 5.0,
                likes: 20.0,
                seconds: 20.0,
                rush: Some(Rush {
                    quota: 500,
                    askers: 5_000,
                }),
                ..SMALL
            },
            Some(Self::Goal) => Numbers {
                viewers: 10_000,
                ramp: 20.0,
                comments: 5.0,
                likes: 50.0,
                seconds: 60.0,
                ..SMALL
            },
            Some(Self::Storm) => Numbers {
                viewers: 5_000,
                ramp: 10.0,
                comments: 5.0,
                likes: 20.0,
                seconds: 20.0,
                storm: 5_000,
                ..SMALL
            },
        }
    }
}

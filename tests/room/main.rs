//! The room's core as a whole: random shows with random accidents against a plain model, secrets, and the bound
//! of a keyframe.

#![expect(clippy::unwrap_used, reason = "a test that is surprised has failed")]

mod canary;
mod draws;
mod keyframe;
mod model;
mod simulation;

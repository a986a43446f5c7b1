//! The rules of a show, pure.
mod id;
pub use id::*;

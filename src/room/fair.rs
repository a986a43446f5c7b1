//! The arithmetic of a fair draw.

//! Rules for text.

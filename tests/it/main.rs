//! What holds for the house as a whole: its layers, its documents.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected should fail")]

mod documents;
mod layers;
mod tree;

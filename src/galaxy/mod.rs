//! What makes this supervisor Galaxy's own: readers of Galaxy's files, and what is known about its deployments.
//!
//! Everything here is pure: text in, values with their places out. Who opens files, asks databases or talks to Galaxy
//! does so elsewhere, off the supervision path.

/// The configuration reads it too, so it is a room of its own.
pub use crate::yaml;

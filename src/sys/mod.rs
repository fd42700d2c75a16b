//! Everything that is unsafe or Linux: processes, users, limits, signals, descriptors.
//!
//! Knows no policy and imports no other room. What can be said with a safe wrapper of `nix`
//! is; the rest is one small `unsafe` block at a time.

pub mod clock;
pub mod pipe;
pub mod splice;

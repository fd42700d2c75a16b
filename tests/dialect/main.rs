//! The dialect primitives of the configuration against the originals: Python 3.11 and Supervisor 4.3.0.
//!
//! Texts are made from a seed (`DIALECT_SEED`), `DIALECT_CASES` of each kind. Where the originals
//! cannot be had the tests say so and pass, unless `DIALECT_REQUIRED` is set.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic, also in what its functions call")]
#![expect(clippy::disallowed_methods, reason = "the originals are run beside ours")]

mod file;
#[path = "../fixture/notice.rs"]
mod notice;
mod oracle;
mod random;
mod text;
mod value;
#[path = "../fixture/venv.rs"]
mod venv;

//! Events and listener pools, without a daemon: the contract by table, a worker's death by random histories, and the
//! same histories played by Supervisor 4.3.0's own classes.
//!
//! Histories are made from a seed (`LISTENERS_SEED`), `LISTENERS_CASES` of them. Where the original cannot be had its test
//! says so and passes, unless `LISTENERS_REQUIRED` is set.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic, also in what its functions call")]
#![expect(clippy::disallowed_methods, reason = "a test has no keeper to start Python")]

mod capture;
mod contract;
mod death;
mod history;
#[path = "../fixture/notice.rs"]
mod notice;
mod oracle;
mod stage;
#[path = "../fixture/venv.rs"]
mod venv;

//! galaxyd and galaxyctl: a process supervisor for Galaxy servers that keeps
//! Supervisor 4.3.0's contract.
//!
//! The rooms of this house, and what may import what, are described in
//! `docs/architecture.md`; `tests/it/layers.rs` holds the `use` lines to it.

pub mod cli;
pub mod config;
pub mod ctl;
pub mod database;
pub mod engine;
pub mod events;
pub mod galaxy;
pub mod history;
pub mod http;
pub mod keeper;
pub mod logs;
pub mod migration;
pub mod pidproxy;
pub mod probe;
pub mod rpc;
#[expect(unsafe_code, reason = "the one room where system calls without a safe wrapper are made")]
pub mod sys;
pub mod web;
pub mod worker;
pub mod yaml;

/// The version of Supervisor whose contract is kept: what `supervisord -v`,
/// `supervisorctl version` and `getSupervisorVersion` answer.
pub const SUPERVISOR_VERSION: &str = "4.3.0";

/// galaxyd's own version, as `galaxyd --version` prints it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

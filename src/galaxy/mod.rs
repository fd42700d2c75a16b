//! What makes this supervisor Galaxy's own: readers of Galaxy's files, and what is known about its deployments.
//!
//! Everything here is pure: text in, values with their places out. Files are read through [`crate::config::Source`] by
//! whoever asks, off the supervision path.

mod deployment;
mod finding;
mod footing;
mod handlers;
pub mod jobconf;
mod nginx;
mod program;
mod reference;
mod replacing;
mod rules;
mod sarif;
mod server_name;
mod web_server;
mod zergling;

/// The configuration reads them too.
pub use crate::config::uwsgi;
pub use crate::yaml;
pub use deployment::Location;
pub use finding::{Finding, Severity};
pub use footing::{Footing, footing, told_release};
pub use handlers::{DEFAULT_TAG, Intake, JobHandler, JobSystem, ServerName, job_systems};
pub use nginx::{PROXY_FILES_MAX, Pass, Protocol, Proxy, ProxyError, ProxyServer, read_proxy};
pub use reference::reference_markdown;
pub use replacing::{Candidate, Replacement, family, replacements};
pub use rules::{
    LiveDatabase, LiveProcess, RULES, Rule, Surroundings, UNCHECKED, Unchecked, check, check_beside, concerns, rule,
    unchecked,
};
pub use sarif::{Other, sarif};
pub use server_name::{ServerIdentity, refuse_twins};
pub use web_server::{WebServer, version_check, web_server};

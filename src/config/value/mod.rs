//! The types a value can have, each with Supervisor's texts for what does not fit.
//!
//! Text in, value out: no user is looked up here and no file touched.
//! Source: Supervisor 4.3.0, datatypes.py.

mod address;
mod duration;
mod error;
mod number;
mod signal;
mod url;
mod word;

pub use address::{Account, SocketOwner, account, inet_address, socket_owner};
pub use duration::{duration, duration_text, factor, factor_text, retries, start_limit};
pub use error::ValueError;
pub use number::{byte_size, exit_codes, integer, octal, port_number};
pub use signal::signal;
pub use url::url;
pub use word::{EVENT_TYPES, auto_restart, boolean, cgroup, list_of_strings, log_level, process_or_group_name};

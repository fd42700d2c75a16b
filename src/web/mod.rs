//! The status page: what it shows, what it lets do, and who may. Pure: values in, HTML and decisions out; the `http` room
//! serves it and asks the control loop.
//!
//! URLs, texts, table and classes are Supervisor's, so that what reads its page reads ours (`supervisor.md` section 15).

mod action;
mod asset;
mod escape;
mod form;
mod gate;
mod live;
mod notice;
mod page;
mod percent;
mod snapshot;
mod status;
mod tail;
mod token;

pub use action::{Action, Outcome, UnknownAction};
pub use asset::Asset;
pub use form::Form;
pub use gate::{Claims, Gate};
pub use live::{live_json, outcome_json};
pub use notice::{Notice, notice_page};
pub use percent::{decode as percent_decoded, quote as percent_quoted};
pub use snapshot::Snapshot;
pub use status::{ActionStyle, StatusView, status_page};
pub use tail::{TAIL_MAX, TailRequest, tail_page};
pub use token::{SECRET_BYTES, Tokens};

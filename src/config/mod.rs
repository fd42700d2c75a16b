//! Text to typed configuration, with positions. One reader per dialect, one model.

pub mod environment;
pub mod ini;
mod literal;
mod model;
pub mod percent;
mod policy;
pub mod shlex;
mod span;
//pub mod value;

pub use literal::{ascii_literal, literal};
pub use model::{
    Config, DaemonConfig, DaemonLog, GroupConfig, GroupKind, InetServer, LogConfig, LogFile, LogLevelName, Owner,
    ProcessConfig, RpcInterface, ServerAuth, ServerConfig, UnixServer, User,
};
pub use span::{FileId, Span, line_column};

//! Text to typed configuration, with positions. One reader per dialect, one model.

mod model;
mod policy;
mod span;

pub use model::{
    Config, DaemonConfig, DaemonLog, GroupConfig, GroupKind, InetServer, LogConfig, LogFile, LogLevelName, Owner,
    ProcessConfig, RpcInterface, ServerAuth, ServerConfig, UnixServer, User,
};
pub use span::{FileId, Span, line_column};

//! Text to typed configuration, with positions. One reader per dialect, one model.

mod access;
mod assembly;
mod client;
mod command;
mod consequence;
mod daemon;
mod diagnostic;
mod difference;
mod door;
pub mod environment;
mod expansion;
mod exposure;
mod extra;
mod find;
mod gravity;
mod groups;
mod host;
pub mod ini;
mod limits;
mod literal;
mod loader;
mod lookup;
#[cfg(test)]
pub(crate) mod made_up;
mod model;
mod name;
mod native;
mod nearest;
mod overrides;
mod path;
mod pattern;
pub mod percent;
mod plan;
mod plugin;
mod policy;
mod print;
mod problem;
mod process;
mod program;
mod raw;
mod reader;
mod ready;
mod reference;
mod restarts;
mod sample;
pub mod schema;
mod secret;
mod servers;
pub mod shlex;
mod source;
mod span;
mod suspicion;
pub mod uwsgi;
pub mod value;

pub use assembly::FILES_MAX;
pub use client::{CtlConfig, CtlLoaded, Plugins, load_ctl};
pub use command::{Command, find_command};
pub use consequence::{Consequence, consequence};
pub use diagnostic::{EXIT_REFUSED, Rendering, check, render, report, verdict};
pub use difference::{Difference, difference};
pub use door::Door;
pub use find::{NotFound, find, find_with_galaxy_yml, search_paths};
pub use gravity::{GalaxyInstance, GalaxyService, galaxy_instances, is_galaxy_yml};
pub use host::HostSource;
pub use limits::{CpuMax, Limits};
pub use literal::{ascii_literal, literal};
pub use loader::{Loaded, load};
pub use model::{
    Access, Accounts, CgroupChoice, Config, DaemonConfig, DaemonLog, EnvironmentFile, Extras, GroupConfig, GroupKind,
    InetServer, LogConfig, LogFile, LogLevelName, Owner, PageConfig, ProcessConfig, RpcInterface, ServerAuth,
    ServerConfig, SocketConfig, TlsFiles, UnixServer, User,
};
pub use nearest::nearest;
pub use overrides::{DaemonOption, Overrides};
pub use plan::{GroupFate, GroupPlan, KeyChange, ProcessFate, plan, settled};
pub use plugin::InterfaceKind;
pub use print::{Format, PrintError, print, print_translated};
pub use problem::{Place, Problem, Problems, Severity};
pub use process::NUMPROCS_MAX;
pub use program::processes_of;
pub use ready::{HttpCheck, Ready, ReadyCheck, pattern};
pub use reference::reference_markdown;
pub use sample::sample;
pub use secret::{is_secret_variable, without_secrets};
pub use source::{Account, FILE_BYTES_MAX, FileStatus, ReadError, Source};
pub use span::{FileId, Span, line_column};

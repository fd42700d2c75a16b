//! The configuration as everything below the readers sees it: typed, defaulted, checked.
//!
//! Both dialects give this model; `galaxyctl config` prints it; the worker keeps the active
//! one in its journal, hence `serde`.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::dependencies::DependsOn;
use super::limits::Limits;
use super::outside::WaitFor;
use super::ready::Ready;
use super::rollout::Rollout;
use crate::engine::{AutoRestart, Kind, Restarts};

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    pub daemon: DaemonConfig,
    /// Endpoints in the order in which Supervisor opens them: TCP, then Unix, each in the order of the file.
    pub servers: Vec<ServerConfig>,
    /// Groups in creation order: by (priority, name).
    pub groups: Vec<GroupConfig>,
    pub rpcinterfaces: Vec<RpcInterface>,
    /// The files that were read beside the main one.
    #[serde(default)]
    pub included: Vec<PathBuf>,
}

/// `[supervisord]`, Supervisor 4.3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the configuration")]
pub struct DaemonConfig {
    pub logfile: DaemonLog,
    /// Bytes; zero or less: never rotate.
    pub logfile_maxbytes: i64,
    pub logfile_backups: i64,
    pub loglevel: LogLevelName,
    pub pidfile: PathBuf,
    pub umask: u32,
    pub nodaemon: bool,
    pub silent: bool,
    pub minfds: i64,
    pub minprocs: i64,
    pub nocleanup: bool,
    pub childlogdir: PathBuf,
    pub user: Option<User>,
    pub directory: Option<PathBuf>,
    pub strip_ansi: bool,
    pub environment: IndexMap<String, String>,
    pub identifier: String,
    /// Where programs get cgroups of their own. Not in Supervisor.
    #[serde(default)]
    pub cgroup: CgroupChoice,
    /// Where the state files are; `None`: beside the pidfile. Not in Supervisor.
    #[serde(default)]
    pub runtime_directory: Option<PathBuf>,
    /// Absolute; made if they are missing. Not in Supervisor.
    #[serde(default)]
    pub make_directories: Vec<PathBuf>,
    /// Where the event history is kept; `None`: nowhere. Not in Supervisor.
    #[serde(default)]
    pub history_file: Option<PathBuf>,
    /// Bytes of both its files together.
    #[serde(default)]
    pub history_maxbytes: i64,
    /// Automatic starts a second; zero: any number. Not in Supervisor.
    #[serde(default)]
    pub restart_rate: u32,
}

impl DaemonConfig {
    /// What the names of the state files begin with: the pidfile's name without its extension.
    #[must_use]
    pub fn state_stem(&self) -> String {
        self.pidfile.file_stem().unwrap_or(OsStr::new("supervisord")).to_string_lossy().into_owned()
    }
}

/// `cgroup` of `[supervisord]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CgroupChoice {
    /// Below the daemon's own cgroup, if that was handed over to it.
    #[default]
    Auto,
    /// Nowhere.
    None,
    /// Below this one.
    Below(PathBuf),
}

/// `logfile` of `[supervisord]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DaemonLog {
    Syslog,
    /// Absolute, resolved against the directory the daemon was started in.
    File(PathBuf),
}

/// `loglevel` of `[supervisord]`, most to least important.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevelName {
    Critical,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
    Blather,
}

/// An account, looked up when the configuration was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// As written: a name or a number.
    pub text: String,
    pub uid: u32,
    /// The account's primary group.
    pub gid: u32,
    /// Primary group first, then the groups that list the account's name.
    pub groups: Vec<u32>,
}

/// `user[:group]` of a socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub uid: u32,
    /// `None`: unchanged.
    pub gid: Option<u32>,
}

impl fmt::Display for Owner {
    /// As it is written: `UID` or `UID:GID`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.gid {
            Some(gid) => write!(f, "{}:{gid}", self.uid),
            None => write!(f, "{}", self.uid),
        }
    }
}

/// One endpoint with the section it comes from (`unix_http_server`, `inet_http_server:x` ...).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ServerConfig {
    Unix(UnixServer),
    Inet(InetServer),
}

/// `[unix_http_server]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnixServer {
    pub section: String,
    /// Absolute.
    pub file: PathBuf,
    pub chmod: u32,
    pub chown: Option<Owner>,
    pub auth: Option<ServerAuth>,
    #[serde(default)]
    pub access: Access,
    pub page: PageConfig,
}

/// The files that say who an endpoint is. Absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFiles {
    /// PEM: the certificate, then those between it and the authority.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

/// `[inet_http_server]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InetServer {
    pub section: String,
    /// Empty: all IPv4 interfaces.
    pub host: String,
    pub port: u16,
    pub auth: Option<ServerAuth>,
    #[serde(default)]
    pub access: Access,
    /// To be served without a password although others than this host can reach it.
    pub allow_unauthenticated: bool,
    /// `None`: plain HTTP.
    #[serde(default)]
    pub tls: Option<TlsFiles>,
    pub page: PageConfig,
}

/// What is settled for the status page of an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageConfig {
    /// Names under which browsers may reach the endpoint, beside addresses and `localhost`.
    pub allowed_hosts: Vec<String>,
    /// Whether Supervisor's action links act without a token.
    pub get_actions: bool,
}

/// Who may do what at an endpoint, where the password and the mode of the socket do not say all. Not in Supervisor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The credentials of those who may only look.
    pub reader: Option<ServerAuth>,
    /// `None`: whoever can open the socket may do everything.
    pub accounts: Option<Accounts>,
}

/// The accounts that a Unix socket serves beside root and the daemon's own, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts {
    pub admin_users: Vec<u32>,
    pub admin_groups: Vec<u32>,
    /// Those may only look.
    pub read_users: Vec<u32>,
    pub read_groups: Vec<u32>,
}

/// HTTP Basic credentials; `password` may be `{SHA}` and a lower-case hex SHA-1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerAuth {
    pub username: String,
    pub password: String,
}

/// `[rpcinterface:x]`, of a factory that is built in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RpcInterface {
    pub name: String,
    pub factory: String,
    /// `whitelist` of the twiddler: the methods that may be called; empty: all.
    #[serde(default)]
    pub whitelist: Vec<String>,
}

/// A group: of a `[program:x]` of its own, of a `[group:x]`, a listener pool or a `FastCGI` pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupConfig {
    pub name: String,
    pub priority: i64,
    pub kind: GroupKind,
    /// In creation order.
    pub processes: Vec<ProcessConfig>,
}

/// What kind of group it is, with what only that kind has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum GroupKind {
    Program,
    EventListener {
        buffer_size: i64,
        events: Vec<String>,
        result_handler: String,
        /// `len:` counts bytes instead of characters.
        len_in_bytes: bool,
        /// A listener that owes an answer for longer is started anew; `None`: never.
        #[serde(default)]
        answer_timeout: Option<Duration>,
    },
    FastCgi {
        socket: String,
        backlog: Option<u32>,
        owner: Option<Owner>,
        mode: Option<u32>,
    },
}

/// A listening socket that the daemon makes for a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketConfig {
    /// `unix:///PATH` or `tcp://HOST:PORT`; who names the same shares one socket.
    pub url: String,
    /// `None`: the system's limit.
    pub backlog: Option<u32>,
    /// Of a Unix socket; `None`: unchanged.
    pub owner: Option<Owner>,
    /// Of a Unix socket; `None` for TCP.
    pub mode: Option<u32>,
    #[serde(default)]
    pub passing: Passing,
}

/// How a program gets its listening socket, and how long the daemon keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Passing {
    /// As standard input; `[fcgi-program:x]`. Open while a process has it.
    #[default]
    Stdin,
    /// As descriptor 3, by the variables of `sd_listen_fds(3)`. Open while the program is in the active configuration.
    Listen,
}

/// One process, every template filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the configuration")]
pub struct ProcessConfig {
    pub name: String,
    /// The section it comes from: `program:handler`, `eventlistener:x`, `fcgi-program:x`.
    pub section: String,
    pub command: String,
    pub directory: Option<String>,
    pub umask: Option<u32>,
    pub user: Option<User>,
    pub priority: i64,
    pub autostart: bool,
    pub autorestart: AutoRestart,
    /// Seconds, as written; below zero acts like zero.
    pub startsecs: i64,
    pub startretries: i64,
    pub exitcodes: Vec<i32>,
    /// A signal number.
    pub stopsignal: i32,
    /// Seconds.
    pub stopwaitsecs: i64,
    pub stopasgroup: bool,
    pub killasgroup: bool,
    pub redirect_stderr: bool,
    pub stdout: LogConfig,
    pub stderr: LogConfig,
    /// `[supervisord] environment=` under the program's own, in that order.
    pub environment: IndexMap<String, String>,
    /// `None`: AUTO.
    pub serverurl: Option<String>,
    #[serde(default)]
    pub extras: Extras,
    /// What it listens at.
    pub socket: Option<SocketConfig>,
}

/// The keys of a program that Supervisor does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extras {
    pub kind: Kind,
    /// Where a program that goes into the background says which of its processes is the main one; absolute.
    #[serde(default)]
    pub pidfile: Option<String>,
    pub killtree: bool,
    pub clear_environment: bool,
    pub user_environment: bool,
    /// The file whose number stands over `numprocs`.
    #[serde(default)]
    pub numprocs_file: Option<String>,
    #[serde(default)]
    pub restarts: Restarts,
    /// Bytes a second that each of its outputs may put into its log; `None`: any number.
    #[serde(default)]
    pub output_rate_max: Option<u64>,
    #[serde(default)]
    pub ready: Option<Ready>,
    #[serde(default)]
    pub depends_on: DependsOn,
    #[serde(default)]
    pub wait_for: Vec<WaitFor>,
    #[serde(default)]
    pub rollout: Rollout,
    #[serde(default)]
    pub limits: Limits,
    /// In the order of the file; of two that set a variable the later one counts.
    pub environment_files: Vec<EnvironmentFile>,
}

/// One path of `environment_file`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentFile {
    /// Absolute.
    pub path: String,
    /// It may be missing.
    pub optional: bool,
}

/// The `stdout_*` or `stderr_*` keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    pub file: LogFile,
    /// Bytes; zero or less: never rotate.
    pub maxbytes: i64,
    pub backups: i64,
    /// Bytes; above zero: capture tags are recognised.
    pub capture_maxbytes: i64,
    pub events_enabled: bool,
    pub syslog: bool,
}

/// Where a channel's output goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogFile {
    None,
    Auto,
    /// As written after expansion of `%` and `~`; relative to the daemon's directory.
    Path(String),
}

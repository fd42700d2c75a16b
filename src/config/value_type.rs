//! What kinds of value keys have, and how the reference names them.

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    Text,
    Command,
    Integer,
    Bytes,
    Boolean,
    AutoRestart,
    ExitCodes,
    Signal,
    Octal,
    Level,
    /// A path that need not lead anywhere yet.
    AnyPath,
    /// A path whose directory must exist.
    Path,
    Directory,
    /// A path, `AUTO` or `NONE`.
    LogPath,
    User,
    /// `user` or `user:group`.
    Owner,
    Address,
    Socket,
    Url,
    /// `KEY="value",...`
    Environment,
    Names,
    Events,
    Patterns,
    /// `service`, `oneshot` or `forking`.
    ProgramType,
    /// Paths, comma separated.
    Files,
    /// A number of failures, or `unlimited`.
    Retries,
    Duration,
    /// A decimal number, 1 or more.
    Factor,
    /// `N/DURATION`
    StartLimit,
    /// A size or `max`.
    MemoryLimit,
    /// Percent, or quota and period, or `max`.
    CpuLimit,
    /// A number or `max`.
    CountLimit,
    /// `ignore` or `shutdown`.
    OnEnd,
    /// How readiness shows.
    Readiness,
    /// How processes are replaced.
    Strategy,
    /// A master FIFO and a command for it.
    FifoCommand,
    /// An address that answers HTTP.
    Front,
    /// Names of processes, with conditions.
    Needs,
    /// Things outside.
    Things,
    /// `auto`, `none` or an absolute path.
    Cgroup,
    /// `package.module:attribute`
    PythonObject,
}

impl ValueType {
    /// All types, in the order of the reference.
    pub const ALL: [Self; 41] = [
        Self::Text,
        Self::Command,
        Self::Integer,
        Self::Bytes,
        Self::Boolean,
        Self::AutoRestart,
        Self::ExitCodes,
        Self::Signal,
        Self::Octal,
        Self::Level,
        Self::AnyPath,
        Self::Path,
        Self::Directory,
        Self::LogPath,
        Self::User,
        Self::Owner,
        Self::Address,
        Self::Socket,
        Self::Url,
        Self::Environment,
        Self::Names,
        Self::Events,
        Self::Patterns,
        Self::ProgramType,
        Self::Files,
        Self::Retries,
        Self::Duration,
        Self::Factor,
        Self::StartLimit,
        Self::MemoryLimit,
        Self::CpuLimit,
        Self::CountLimit,
        Self::OnEnd,
        Self::Readiness,
        Self::Strategy,
        Self::FifoCommand,
        Self::Front,
        Self::Needs,
        Self::Things,
        Self::Cgroup,
        Self::PythonObject,
    ];

    /// The type's name in the reference.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Command => "command",
            Self::Integer => "integer",
            Self::Bytes => "size",
            Self::Boolean => "boolean",
            Self::AutoRestart => "restart rule",
            Self::ExitCodes => "exit codes",
            Self::Signal => "signal",
            Self::Octal => "octal",
            Self::Level => "level",
            Self::AnyPath => "path",
            Self::Path => "file",
            Self::Directory => "directory",
            Self::LogPath => "log",
            Self::User => "user",
            Self::Owner => "owner",
            Self::Address => "address",
            Self::Socket => "socket",
            Self::Url => "URL",
            Self::Environment => "variables",
            Self::Names => "names",
            Self::Events => "events",
            Self::Patterns => "patterns",
            Self::ProgramType => "type",
            Self::Files => "files",
            Self::Retries => "retries",
            Self::Duration => "time",
            Self::Factor => "factor",
            Self::StartLimit => "limit",
            Self::MemoryLimit => "memory limit",
            Self::CpuLimit => "CPU limit",
            Self::CountLimit => "count limit",
            Self::OnEnd => "consequence",
            Self::Readiness => "question",
            Self::Strategy => "strategy",
            Self::FifoCommand => "FIFO command",
            Self::Front => "front address",
            Self::Needs => "needs",
            Self::Things => "things",
            Self::Cgroup => "cgroup",
            Self::PythonObject => "Python object",
        }
    }

    /// What the ini dialect accepts, as the reference says it.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Text => "any text",
            Self::Command => "words as a shell separates them; no shell, no variables",
            Self::Integer => "a whole number",
            Self::Bytes => "a number of bytes, or with `KB`, `MB` or `GB` (1024-based)",
            Self::Boolean => "`true`, `yes`, `on`, `1` or `false`, `no`, `off`, `0`",
            Self::AutoRestart => "a boolean or `unexpected`",
            Self::ExitCodes => "numbers from 0 to 255, comma separated",
            Self::Signal => "a name with or without `SIG`, or a number",
            Self::Octal => "an octal number",
            Self::Level => "`critical`, `error`, `warn`, `info`, `debug`, `trace` or `blather`",
            Self::AnyPath => "a path",
            Self::Path => "a path in a directory that exists; `~` is a home directory",
            Self::Directory => "a directory that exists; `~` is a home directory",
            Self::LogPath => "a path in a directory that exists, `AUTO` or `NONE`",
            Self::User => "the name or number of an account",
            Self::Owner => "`user` or `user:group`, names or numbers",
            Self::Address => "`host:port`, `*:port` or `port`",
            Self::Socket => "`tcp://host:port` or `unix:///path`",
            Self::Url => "`unix:///path` or `http://host:port`",
            Self::Environment => "`KEY=\"value\"` pairs, comma separated",
            Self::Names => "names, comma separated",
            Self::Events => "names of events, comma separated",
            Self::Patterns => "shell patterns, separated by blanks or lines",
            Self::ProgramType => "`service`, `oneshot` or `forking`",
            Self::Files => "absolute paths, comma separated; one with a `-` before it may be missing",
            Self::Retries => "a whole number or `unlimited`",
            Self::Duration => "a number of seconds, or one followed by `ms`, `s`, `m` or `h`",
            Self::Factor => "a decimal number from 1 to 100, such as `1.5`",
            Self::StartLimit => "a number, a slash and a time, such as `5/10m`",
            Self::MemoryLimit => "a number of bytes, or with `KB`, `MB` or `GB` (1024-based); or `max`",
            Self::CpuLimit => {
                "percent of one CPU, such as `150%`; or a time and a period in microseconds, such as `50000 100000`; or `max`"
            }
            Self::CountLimit => "a whole number or `max`",
            Self::OnEnd => "`ignore` or `shutdown`",
            Self::Readiness => {
                "`http://host:port/path`, `http+unix:/socket:/path`, `tcp:host:port`, `unix:/socket`, `log:REGEX`, `notify`, `uwsgi-stats:address` or `command:command`"
            }
            Self::Strategy => "`overlap`, `zerg`, `rolling`, `restart`, `signal` or `keep`",
            Self::FifoCommand => "an absolute path, a colon and one of the letters `r`, `c`, `w`, `R`, `W`",
            Self::Front => {
                "`http://host:port/path` or `http+unix:/socket:/path`, then `status=` and `body=` as in a question"
            }
            Self::Needs => {
                "programs, groups or `group:process`, comma separated, each with `:started`, `:running`, `:ready` or `:exited` behind it; without, `:ready`"
            }
            Self::Things => {
                "`tcp://host:port`, `unix:/socket`, `http://host:port/path`, `path:/path` or `user:name`, comma separated"
            }
            Self::Cgroup => "`auto`, `none` or an absolute path",
            Self::PythonObject => "`package.module:attribute`",
        }
    }
}

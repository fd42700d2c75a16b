//! Every section and key of the configuration, once.
//!
//! The reader takes its defaults and its expansion names from this table, the warnings about unknown names look
//! here for the nearest known one, the printer and the native dialect take their types from it, and
//! `docs/configuration.md` is generated from it. Source: Supervisor 4.3.0, `options.py`.

/// What kind of section a header opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SectionKind {
    Supervisord,
    UnixHttpServer,
    InetHttpServer,
    Supervisorctl,
    Program,
    FcgiProgram,
    EventListener,
    Group,
    Include,
    RpcInterface,
    CtlPlugin,
}

impl SectionKind {
    /// All kinds, in the order of the reference.
    pub const ALL: [Self; 11] = [
        Self::Supervisord,
        Self::UnixHttpServer,
        Self::InetHttpServer,
        Self::Program,
        Self::Group,
        Self::EventListener,
        Self::FcgiProgram,
        Self::Include,
        Self::RpcInterface,
        Self::Supervisorctl,
        Self::CtlPlugin,
    ];

    /// The word in the header, without a name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Supervisord => "supervisord",
            Self::UnixHttpServer => "unix_http_server",
            Self::InetHttpServer => "inet_http_server",
            Self::Supervisorctl => "supervisorctl",
            Self::Program => "program",
            Self::FcgiProgram => "fcgi-program",
            Self::EventListener => "eventlistener",
            Self::Group => "group",
            Self::Include => "include",
            Self::RpcInterface => "rpcinterface",
            Self::CtlPlugin => "ctlplugin",
        }
    }

    /// Whether the header has a name after a colon.
    #[must_use]
    pub fn naming(self) -> Naming {
        match self {
            Self::Supervisord | Self::Supervisorctl | Self::Include => Naming::Single,
            Self::UnixHttpServer | Self::InetHttpServer => Naming::Optional,
            _ => Naming::Required,
        }
    }

    /// The kind that a header of this text opens, if the reader takes any notice of it.
    #[must_use]
    pub fn of(header: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| match kind.naming() {
            Naming::Single => header == kind.word(),
            // Supervisor looks at how the name starts, so [unix_http_server2] is a server as well.
            Naming::Optional => header.starts_with(kind.word()),
            Naming::Required => header.strip_prefix(kind.word()).is_some_and(|rest| rest.starts_with(':')),
        })
    }

    /// What the section is for, one sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Supervisord => "Settings of the daemon itself. The ini dialect requires the section.",
            Self::UnixHttpServer => "A Unix socket on which the daemon is controlled.",
            Self::InetHttpServer => "A TCP port on which the daemon is controlled.",
            Self::Supervisorctl => "Settings of the client; the daemon does not look at them.",
            Self::Program => "A program: one process, or `numprocs` alike.",
            Self::FcgiProgram => {
                "A program whose processes share a listening socket as their standard input; also as members of a `[group:x]`."
            }
            Self::EventListener => "A program whose processes receive the daemon's events.",
            Self::Group => "Programs that are addressed together; they leave their own groups.",
            Self::Include => "Further files to read; only the main file's section counts.",
            Self::RpcInterface => {
                "Makes XML-RPC methods available: Supervisor's own, or those of `supervisor_twiddler`; no others are known."
            }
            Self::CtlPlugin => {
                "A plugin of Supervisor's client; refused unless `--ignore-plugins` is given, as Python code cannot be loaded."
            }
        }
    }
}

/// Whether a section's header carries a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    Single,
    Optional,
    Required,
}

/// What holds when a key is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// As if this had been written.
    Text(&'static str),
    /// Nothing is set; the words say what that means.
    Absent(&'static str),
    Required,
}

/// Which names `%(name)s` can stand for, beside `ENV_x` everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameSet {
    /// `ENV_x` only.
    Environment,
    Here,
    HereHost,
    /// `here`, `program_name`.
    HereProgram,
    /// `here`, `program_name`, `group_name`, `host_node_name`.
    Section,
    /// Those of the section, `process_num`, `numprocs`.
    Process,
    /// Those of the process, and `ENV_x` of the section's own `environment`.
    ProcessOwn,
}

impl NameSet {
    /// The names, as the reference lists them.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Environment => "ENV_x",
            Self::Here => "here, ENV_x",
            Self::HereHost => "here, host_node_name, ENV_x",
            Self::HereProgram => "here, program_name, ENV_x",
            Self::Section => "here, program_name, group_name, host_node_name, ENV_x",
            Self::Process => "here, program_name, group_name, host_node_name, process_num, numprocs, ENV_x",
            Self::ProcessOwn => {
                "here, program_name, group_name, host_node_name, process_num, numprocs, ENV_x (own environment too)"
            }
        }
    }
}

/// When a new value starts to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The group is reported as changed, `update` stops it and starts it anew.
    Update,
    /// As [`Effect::Update`], but a change between `AUTO` and a path is seen only once `AUTO` has become a file.
    UpdateUnlessAuto,
    /// `reread` does not see it; the next `reload` applies it.
    Reload,
    /// Only a new start of the daemon applies it.
    Start,
    /// `reread` takes it over at once.
    Reread,
    /// Read by the client each time it runs.
    Client,
}

impl Effect {
    /// As the reference says it.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Update => "`update`",
            Self::UpdateUnlessAuto => "`update`; a change to or from `AUTO` may go unseen",
            Self::Reload => "`reload`",
            Self::Start => "new start of the daemon",
            Self::Reread => "`reread`",
            Self::Client => "next run of the client",
        }
    }
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    pub section: SectionKind,
    pub name: &'static str,
    pub value: ValueType,
    pub preset: Preset,
    pub names: NameSet,
    pub meaning: &'static str,
    pub effect: Effect,
}

impl Key {
    /// The default as text, where there is one.
    #[must_use]
    pub fn default_text(&self) -> Option<&'static str> {
        match self.preset {
            Preset::Text(text) => Some(text),
            Preset::Absent(_) | Preset::Required => None,
        }
    }

    /// Whether Supervisor does not have it: the meaning says so, at its end.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.meaning.ends_with("Not in Supervisor.")
    }
}

/// The keys that the sections of this kind may have, in the order of the reference. `FastCGI` programs and event
/// listeners have those of programs after their own.
pub fn keys_of(kind: SectionKind) -> impl Iterator<Item = &'static Key> {
    let shares_program = matches!(kind, SectionKind::FcgiProgram | SectionKind::EventListener);
    let own = KEYS.iter().filter(move |key| key.section == kind);
    let shared = KEYS.iter().filter(move |key| shares_program && key.section == SectionKind::Program);
    let is_own = move |key: &Key| KEYS.iter().any(|other| other.section == kind && other.name == key.name);
    own.chain(shared.filter(move |key| !is_own(key)))
}

/// One key of a kind of section.
#[must_use]
pub fn key_of(kind: SectionKind, name: &str) -> Option<&'static Key> {
    keys_of(kind).find(|key| key.name == name)
}

/// Whether sections of this kind hand unknown keys on to a plugin instead of ignoring them.
#[must_use]
pub fn takes_any_key(kind: SectionKind) -> bool {
    matches!(kind, SectionKind::RpcInterface | SectionKind::CtlPlugin)
}

const fn key(
    section: SectionKind,
    name: &'static str,
    value: ValueType,
    preset: Preset,
    names: NameSet,
    effect: Effect,
    meaning: &'static str,
) -> Key {
    Key { section, name, value, preset, names, meaning, effect }
}

pub use super::value_type::ValueType;
use Effect as E;
use NameSet as N;
use Preset::{Absent, Required, Text};
use SectionKind as S;
use ValueType as V;

/// The table.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    // [supervisord]
    key(S::Supervisord, "logfile", V::Path, Text("supervisord.log"), N::Here, E::Reload,
        "The activity log; the word `syslog` sends it to the system log instead."),
    key(S::Supervisord, "logfile_maxbytes", V::Bytes, Text("50MB"), N::Here, E::Reload,
        "Size at which the activity log is rotated; 0 never."),
    key(S::Supervisord, "logfile_backups", V::Integer, Text("10"), N::Here, E::Reload,
        "How many rotated activity logs are kept; with 0 a full log is emptied."),
    key(S::Supervisord, "loglevel", V::Level, Text("info"), N::Here, E::Reload,
        "The least important lines that the activity log keeps; `debug` and below add the output of the programs."),
    key(S::Supervisord, "pidfile", V::Path, Text("supervisord.pid"), N::Here, E::Reload,
        "Where the daemon writes its process id; locked, so that a configuration is not run twice."),
    key(S::Supervisord, "umask", V::Octal, Text("022"), N::Here, E::Start,
        "The daemon's umask; set only when it goes into the background."),
    key(S::Supervisord, "nodaemon", V::Boolean, Text("false"), N::Here, E::Reload,
        "Stay in the foreground and show the activity log on standard output."),
    key(S::Supervisord, "silent", V::Boolean, Text("false"), N::Here, E::Reload,
        "In the foreground, do not show the activity log."),
    key(S::Supervisord, "minfds", V::Integer, Text("1024"), N::Here, E::Start,
        "Open files that must be available; the limit is raised if it is lower."),
    key(S::Supervisord, "minprocs", V::Integer, Text("200"), N::Here, E::Start,
        "Processes that must be available; the limit is raised if it is lower."),
    key(S::Supervisord, "nocleanup", V::Boolean, Text("false"), N::Here, E::Reload,
        "Keep the `AUTO` logs of earlier runs instead of deleting them."),
    key(S::Supervisord, "childlogdir", V::Directory, Absent("the system's temporary directory"), N::Here, E::Reload,
        "Where `AUTO` logs of programs are made."),
    key(S::Supervisord, "user", V::User, Absent("stay who we are"), N::Here, E::Start,
        "Account that the daemon switches to before it opens logs and sockets; needs root."),
    key(S::Supervisord, "directory", V::Directory, Absent("stay where we are"), N::Here, E::Start,
        "Directory that the daemon changes to when it goes into the background."),
    key(S::Supervisord, "strip_ansi", V::Boolean, Text("false"), N::Here, E::Reread,
        "Take terminal colour sequences out of everything the programs write."),
    key(S::Supervisord, "environment", V::Environment, Text(""), N::Here, E::Update,
        "Variables for every program, under the program's own; also usable as `%(ENV_x)s` elsewhere."),
    key(S::Supervisord, "identifier", V::Text, Text("supervisor"), N::Here, E::Reread,
        "What the daemon calls itself to clients, in events and in the names of `AUTO` logs."),
    key(S::Supervisord, "cgroup", V::Cgroup, Text("auto"), N::Here, E::Reload,
        "Below which cgroup (v2) each program is started in one of its own, so that nothing it leaves behind is overlooked: `auto` the daemon's own, if systemd handed that over (`Delegate=yes`). Not in Supervisor."),
    key(S::Supervisord, "runtime_directory", V::Directory, Absent("`$RUNTIME_DIRECTORY`, else the pidfile's"), N::Here, E::Start,
        "Where the daemon keeps the files by which the next one finds the programs, should it be killed; on a local disk or in memory, writable for nobody else. Not in Supervisor."),
    key(S::Supervisord, "make_directories", V::Files, Text(""), N::Here, E::Update,
        "Directories that are made, with those above them, if they are missing: when the daemon starts and when it reads the configuration again. Files of this configuration may be in them. Not in Supervisor."),
    key(S::Supervisord, "history_file", V::Path, Absent("`NAME.history` in `$STATE_DIRECTORY`, else beside the state files"), N::Here, E::Reload,
        "Where it is kept what happened to programs and who asked for what; `NONE` for nowhere; see [History](history.md). Not in Supervisor."),
    key(S::Supervisord, "history_maxbytes", V::Bytes, Text("1MB"), N::Here, E::Reload,
        "Size of the history, the former file included: 32 KiB to 64 MiB. Not in Supervisor."),
    key(S::Supervisord, "restart_rate", V::Integer, Text("20"), N::Here, E::Reload,
        "How many automatic starts there may be a second, over all programs; five seconds' worth may come at once, and the first after a run of some length is always free. 0: any number. Not in Supervisor."),
    // [unix_http_server]
    key(S::UnixHttpServer, "file", V::AnyPath, Required, N::Here, E::Reload, "Path of the socket."),
    key(S::UnixHttpServer, "chmod", V::Octal, Text("0700"), N::Environment, E::Reload, "Permissions of the socket."),
    key(S::UnixHttpServer, "chown", V::Owner, Absent("unchanged"), N::Environment, E::Reload, "Owner of the socket."),
    key(S::UnixHttpServer, "username", V::Text, Absent("no authentication"), N::Environment, E::Reload,
        "Name that clients must give."),
    key(S::UnixHttpServer, "password", V::Text, Absent("no authentication"), N::Environment, E::Reload,
        "Password that clients must give: clear text, or `{SHA}` and the SHA-1 of it in lower-case hex."),
    key(S::UnixHttpServer, "read_username", V::Text, Absent("nobody"), N::Environment, E::Reload,
        "Name of those who may only look: states, plans and logs, but nothing that changes anything or shows secrets. Wants `username`. Not in Supervisor."),
    key(S::UnixHttpServer, "read_password", V::Text, Absent("nobody"), N::Environment, E::Reload,
        "Their password, written as `password`. Not in Supervisor."),
    key(S::UnixHttpServer, "admin_users", V::Names, Absent("whoever can open the socket"), N::Environment, E::Reload,
        "Accounts that may do everything, names or numbers, beside root and the daemon's own. With any of these four keys all others are refused. Not in Supervisor."),
    key(S::UnixHttpServer, "admin_groups", V::Names, Absent("nobody"), N::Environment, E::Reload,
        "Groups whose members may do everything. Not in Supervisor."),
    key(S::UnixHttpServer, "read_users", V::Names, Absent("nobody"), N::Environment, E::Reload,
        "Accounts that may only look: states, plans and logs, but nothing that changes anything or shows secrets. Not in Supervisor."),
    key(S::UnixHttpServer, "read_groups", V::Names, Absent("nobody"), N::Environment, E::Reload,
        "Groups whose members may only look. Not in Supervisor."),
    key(S::UnixHttpServer, "allowed_hosts", V::Names, Absent("addresses and `localhost`; with a password any"), N::Environment, E::Reload,
        "Names under which browsers may reach the status page, for instance behind a proxy. Not in Supervisor."),
    key(S::UnixHttpServer, "get_actions", V::Boolean, Text("false"), N::Environment, E::Reload,
        "Let Supervisor's links (`index.html?processname=x&action=stop`) act; otherwise actions are sent by POST with a token. Not in Supervisor."),
    // [inet_http_server]
    key(S::InetHttpServer, "port", V::Address, Required, N::Environment, E::Reload,
        "Address to listen on; without a host, all IPv4 interfaces."),
    key(S::InetHttpServer, "username", V::Text, Absent("no authentication"), N::Environment, E::Reload,
        "Name that clients must give."),
    key(S::InetHttpServer, "password", V::Text, Absent("no authentication"), N::Environment, E::Reload,
        "Password that clients must give: clear text, or `{SHA}` and the SHA-1 of it in lower-case hex."),
    key(S::InetHttpServer, "allow_unauthenticated", V::Boolean, Text("false"), N::Environment, E::Reload,
        "Serve without a password although others than this host can reach the port: whoever does controls every program. Not in Supervisor."),
    key(S::InetHttpServer, "tls_certificate", V::AnyPath, Absent("plain HTTP"), N::Here, E::Reload,
        "File with the certificate in PEM, and those between it and its authority: the endpoint speaks TLS and nothing else. Wants `tls_key` and a galaxyd with the feature `tls`. Not in Supervisor."),
    key(S::InetHttpServer, "tls_key", V::AnyPath, Absent("plain HTTP"), N::Here, E::Reload,
        "File with the certificate's private key in PEM, readable by the daemon's account and nobody else. Both files are read again every minute while there are connections. Not in Supervisor."),
    key(S::InetHttpServer, "read_username", V::Text, Absent("nobody"), N::Environment, E::Reload,
        "Name of those who may only look: states, plans and logs, but nothing that changes anything or shows secrets. Wants `username`. Not in Supervisor."),
    key(S::InetHttpServer, "read_password", V::Text, Absent("nobody"), N::Environment, E::Reload,
        "Their password, written as `password`. Not in Supervisor."),
    key(S::InetHttpServer, "allowed_hosts", V::Names, Absent("addresses and `localhost`; with a password any"), N::Environment, E::Reload,
        "Names under which browsers may reach the status page, for instance behind a proxy. Not in Supervisor."),
    key(S::InetHttpServer, "get_actions", V::Boolean, Text("false"), N::Environment, E::Reload,
        "Let Supervisor's links (`index.html?processname=x&action=stop`) act; otherwise actions are sent by POST with a token. Not in Supervisor."),
    // [supervisorctl]
    key(S::Supervisorctl, "serverurl", V::Url, Text("http://localhost:9001"), N::Here, E::Client,
        "Where the daemon is: `unix:///path` or `http://host:port`; for galaxyctl with the feature `tls` also `https://host:port`."),
    key(S::Supervisorctl, "ca_file", V::AnyPath, Absent("the distribution's"), N::Here, E::Client,
        "File with the certificates in PEM of the authorities that may have signed the certificate of an `https://` daemon. Not in Supervisor."),
    key(S::Supervisorctl, "username", V::Text, Absent("none sent"), N::Environment, E::Client, "Name to give."),
    key(S::Supervisorctl, "password", V::Text, Absent("none sent"), N::Environment, E::Client,
        "Password to give, in clear text."),
    key(S::Supervisorctl, "prompt", V::Text, Text("supervisor"), N::Environment, E::Client,
        "What the interactive prompt shows before `> `."),
    key(S::Supervisorctl, "history_file", V::AnyPath, Absent("no history kept"), N::Here, E::Client,
        "Where the interactive prompt keeps its history."),
    // [program:x]
    key(S::Program, "command", V::Command, Required, N::ProcessOwn, E::Update,
        "What to run, split like a shell's words but without a shell; found by `PATH` unless it has a slash."),
    key(S::Program, "process_name", V::Text, Text("%(program_name)s"), N::ProcessOwn, E::Update,
        "Name of each process; must contain `%(process_num)` when there are several."),
    key(S::Program, "numprocs", V::Integer, Text("1"), N::Section, E::Update, "How many processes to make."),
    key(S::Program, "numprocs_file", V::AnyPath, Absent("none: `numprocs` alone counts"), N::Section, E::Update,
        "A file whose number stands over `numprocs` as long as it is there; `galaxyctl scale` writes it. Not in Supervisor."),
    key(S::Program, "numprocs_start", V::Integer, Text("0"), N::Section, E::Update,
        "Number of the first process."),
    key(S::Program, "priority", V::Integer, Text("999"), N::Section, E::Update,
        "Order: lower starts first and stops last."),
    key(S::Program, "autostart", V::Boolean, Text("true"), N::Section, E::Update,
        "Start it with the daemon."),
    key(S::Program, "startsecs", V::Integer, Text("1"), N::Section, E::Update,
        "Seconds it must live to count as started; 0: at once."),
    key(S::Program, "startretries", V::Retries, Text("3"), N::Section, E::Update,
        "Failed starts after which it is given up; below zero, as in Supervisor, after the first. `unlimited`, which Supervisor refuses: never."),
    key(S::Program, "autorestart", V::AutoRestart, Text("unexpected"), N::Section, E::Update,
        "Start it again when it ends: always, never, or when the exit code is not among `exitcodes`."),
    key(S::Program, "exitcodes", V::ExitCodes, Text("0"), N::Section, E::Update, "Exit codes that are expected."),
    key(S::Program, "stopsignal", V::Signal, Text("TERM"), N::Section, E::Update, "Signal that asks it to stop."),
    key(S::Program, "stopwaitsecs", V::Integer, Text("10"), N::Section, E::Update,
        "Seconds after the stop signal until SIGKILL."),
    key(S::Program, "stopasgroup", V::Boolean, Text("false"), N::Section, E::Update,
        "Send the stop signal to its whole process group; implies `killasgroup`."),
    key(S::Program, "killasgroup", V::Boolean, Absent("as `stopasgroup`"), N::Section, E::Update,
        "Send SIGKILL to its whole process group."),
    key(S::Program, "user", V::User, Absent("the daemon's"), N::Section, E::Update,
        "Account it runs as; needs a daemon run by root."),
    key(S::Program, "redirect_stderr", V::Boolean, Text("false"), N::Section, E::Update,
        "Send its standard error into the log of its standard output."),
    key(S::Program, "stdout_logfile", V::LogPath, Text("AUTO"), N::ProcessOwn, E::UpdateUnlessAuto,
        "Log of standard output. `AUTO`: a file in `childlogdir`; `NONE`: no log."),
    key(S::Program, "stdout_logfile_maxbytes", V::Bytes, Text("50MB"), N::ProcessOwn, E::Update,
        "Size at which that log is rotated; 0 never."),
    key(S::Program, "stdout_logfile_backups", V::Integer, Text("10"), N::ProcessOwn, E::Update,
        "How many rotated logs are kept."),
    key(S::Program, "stdout_capture_maxbytes", V::Bytes, Text("0"), N::Section, E::Update,
        "Above 0: size of the buffer for what it writes between capture tags."),
    key(S::Program, "stdout_events_enabled", V::Boolean, Text("false"), N::Section, E::Update,
        "Announce what it writes as `PROCESS_LOG_STDOUT` events."),
    key(S::Program, "stdout_syslog", V::Boolean, Text("false"), N::ProcessOwn, E::Update,
        "Send its lines to the system log as well."),
    key(S::Program, "stderr_logfile", V::LogPath, Text("AUTO"), N::ProcessOwn, E::UpdateUnlessAuto,
        "Log of standard error, as `stdout_logfile`."),
    key(S::Program, "stderr_logfile_maxbytes", V::Bytes, Text("50MB"), N::ProcessOwn, E::Update,
        "Size at which that log is rotated; 0 never."),
    key(S::Program, "stderr_logfile_backups", V::Integer, Text("10"), N::ProcessOwn, E::Update,
        "How many rotated logs are kept."),
    key(S::Program, "stderr_capture_maxbytes", V::Bytes, Text("0"), N::Section, E::Update,
        "Above 0: size of the buffer for what it writes between capture tags."),
    key(S::Program, "stderr_events_enabled", V::Boolean, Text("false"), N::Section, E::Update,
        "Announce what it writes as `PROCESS_LOG_STDERR` events."),
    key(S::Program, "stderr_syslog", V::Boolean, Text("false"), N::ProcessOwn, E::Update,
        "Send its lines to the system log as well."),
    key(S::Program, "environment", V::Environment, Text(""), N::Process, E::Update,
        "Variables for its processes, over everything else."),
    key(S::Program, "directory", V::AnyPath, Absent("the daemon's"), N::ProcessOwn, E::Update,
        "Directory it is started in; checked when it starts."),
    key(S::Program, "umask", V::Octal, Absent("the daemon's"), N::Section, E::Update, "Its umask."),
    key(S::Program, "serverurl", V::Url, Absent("AUTO: the first Unix socket, else the last TCP port"), N::Section,
        E::Update, "What it finds in `SUPERVISOR_SERVER_URL`."),
    key(S::Program, "type", V::ProgramType, Text("service"), N::Section, E::Update,
        "`oneshot`: it does something and ends. RUNNING as soon as it is forked (`startsecs` does not apply); an exit code of \
        `exitcodes` is its success and never followed by a restart; any other end is tried again after 1, 2, 3 ... seconds \
        and, after `startretries` failures in a row, FATAL; `autorestart=false` turns that off. `forking`: it goes into the \
        background. When the process that was started ends with exit code 0, the one that it left behind is the program: its \
        pid is shown, signalled and watched, and `startsecs` begin anew. Not in Supervisor."),
    key(S::Program, "pidfile", V::AnyPath, Absent("none: the process is guessed"), N::ProcessOwn, E::Update,
        "With `type=forking`: the file in which the program writes the number of its main process. Who is named there and comes from the program is its main process, at the start and whenever the main process ends and another one has been named. Not in Supervisor."),
    key(S::Program, "killtree", V::Boolean, Text("false"), N::Section, E::Update,
        "End what its main process leaves behind, when that was stopped or has ended by itself, before it counts as STOPPED or \
        EXITED and before any restart: first `stopsignal`, SIGKILL when `stopwaitsecs` are over. Not in Supervisor."),
    key(S::Program, "memory_max", V::MemoryLimit, Text("max"), N::Section, E::Update,
        "Memory that it and its children may have together: the kernel ends one of them that wants more. A limit that cannot be enforced \
        here refuses the start. Not in Supervisor."),
    key(S::Program, "memory_high", V::MemoryLimit, Text("max"), N::Section, E::Update,
        "Memory above which they are slowed down and made to give some back, but not ended. Not in Supervisor."),
    key(S::Program, "cpu_max", V::CpuLimit, Text("max"), N::Section, E::Update,
        "Processor time that they may have together; `100%` is one CPU all the time. A `%` is written `%%`. Not in Supervisor."),
    key(S::Program, "pids_max", V::CountLimit, Text("max"), N::Section, E::Update,
        "Processes and threads that there may be of it at once, itself included; more cannot be forked. Not in Supervisor."),
    key(S::Program, "restart_delay", V::Duration, Absent("as in Supervisor: 1, 2, 3 ... seconds after failed starts, none after EXITED"), N::Section, E::Update,
        "Wait before the first automatic start, after a failed start and after EXITED alike. Not in Supervisor."),
    key(S::Program, "restart_factor", V::Factor, Text("2"), N::Section, E::Update,
        "What each wait is multiplied by for the next one, with `restart_delay`. Not in Supervisor."),
    key(S::Program, "restart_delay_max", V::Duration, Text("60"), N::Section, E::Update,
        "The longest wait, with `restart_delay`. After a run that lasted this long the first wait comes again. Not in Supervisor."),
    key(S::Program, "restart_jitter", V::Integer, Text("0"), N::Section, E::Update,
        "Up to how many percent a wait is shortened by chance, with `restart_delay`: programs that failed together do not come back together. Not in Supervisor."),
    key(S::Program, "restart_limit", V::StartLimit, Absent("no limit"), N::Section, E::Update,
        "How many automatic starts there may be in any time of this length; one more, and it is FATAL. Not in Supervisor."),
    key(S::Program, "output_rate_max", V::Bytes, Absent("no limit"), N::Section, E::Update,
        "How many bytes a second each of its outputs may put into its log, at least 1KB; what is more is left out, counted, and told in the log. Not in Supervisor."),
    key(S::Program, "on_fatal", V::OnEnd, Text("ignore"), N::Section, E::Update,
        "`shutdown`: when it has become FATAL by its failures, the daemon stops everything in order and ends with its exit code (1 where that is 0 or there is none). Not in Supervisor."),
    key(S::Program, "on_exit", V::OnEnd, Text("ignore"), N::Section, E::Update,
        "`shutdown`: when it is EXITED and is not started again, the daemon stops everything in order and ends with its exit code. FATAL is the matter of `on_fatal` alone. Not in Supervisor."),
    key(S::Program, "count_resource_errors", V::Boolean, Text("false"), N::Section, E::Update,
        "Whether a start that fails for want of descriptors, processes or memory uses up a retry, as in Supervisor. Not in Supervisor."),
    key(S::Program, "socket", V::Socket, Absent("it makes its own"), N::ProcessOwn, E::Update,
        "What it listens at, made by the daemon and passed to it as descriptor 3 with `LISTEN_FDS`; also `unix:/path`, `tcp:host:port`, `tcp::port`. See sockets.md. Not in Supervisor."),
    key(S::Program, "socket_backlog", V::Integer, Absent("the system's limit"), N::Section, E::Update,
        "How many connections may wait on it, 1 to 65535. Not in Supervisor."),
    key(S::Program, "socket_owner", V::Owner, Absent("the account of `user`"), N::Section, E::Update,
        "Owner of a Unix socket. Not in Supervisor."),
    key(S::Program, "socket_mode", V::Octal, Absent("0700"), N::Section, E::Update,
        "Permissions of a Unix socket. Not in Supervisor."),
    key(S::Program, "ready", V::Readiness, Absent("it is not asked"), N::ProcessOwn, E::Update,
        "What shows that it is ready and not merely running; see above. Not in Supervisor."),
    key(S::Program, "ready_timeout", V::Duration, Text("60"), N::Process, E::Update,
        "Time from its start after which it counts as late; it is left running, and asked on. Not in Supervisor."),
    key(S::Program, "ready_interval", V::Duration, Text("1"), N::Process, E::Update,
        "Time between two questions, 100 ms or more. Not in Supervisor."),
    key(S::Program, "ready_successes", V::Integer, Text("1"), N::Process, E::Update,
        "How many good answers in a row are wanted. Not in Supervisor."),
    key(S::Program, "ready_settle", V::Duration, Text("0"), N::Process, E::Update,
        "How long it must live on after them. Not in Supervisor."),
    key(S::Program, "rollout", V::Strategy, Absent("by what the program is"), N::Process, E::Update,
        "How `graceful` replaces its processes; see [Restarts without a failed request](zero-downtime.md). Not in Supervisor."),
    key(S::Program, "rollout_signal", V::Signal, Absent("HUP where the strategy is `signal`"), N::Process, E::Update,
        "The signal that makes it replace its workers, with `rollout = signal`. Not in Supervisor."),
    key(S::Program, "rollout_fifo", V::FifoCommand, Absent("a signal is sent"), N::ProcessOwn, E::Update,
        "In place of a signal, a command to uWSGI's `master-fifo`, such as `c` for a chain reload. Not in Supervisor."),
    key(S::Program, "max_unavailable", V::Integer, Absent("one"), N::Process, E::Update,
        "How many of its processes `graceful` may take out of service at once. Not in Supervisor."),
    key(S::Program, "rollout_front", V::Front, Absent("only its processes are asked"), N::Process, E::Update,
        "Where users reach it: asked ten times a second while its processes are being replaced, and counted in the verdict. Not in Supervisor."),
    key(S::Program, "depends_on", V::Needs, Text(""), N::ProcessOwn, E::Update,
        "Which processes must be started, running, ready or ended well before it is started; see above. Not in Supervisor."),
    key(S::Program, "wait_for", V::Things, Text(""), N::ProcessOwn, E::Update,
        "What must be there outside of the daemon before it is started; see above. Not in Supervisor."),
    key(S::Program, "user_environment", V::Boolean, Text("false"), N::Section, E::Update,
        "Set `HOME`, `USER`, `LOGNAME` and `SHELL` from the account it runs as. Not in Supervisor."),
    key(S::Program, "environment_file", V::Files, Text(""), N::Section, E::Update,
        "Files of `KEY=VALUE` lines, read at each start, under `environment`. Not in Supervisor."),
    key(S::Program, "clear_environment", V::Boolean, Text("false"), N::Section, E::Update,
        "Pass on nothing of the daemon's own environment, not even `PATH`. Not in Supervisor."),
    // [group:x]
    key(S::Group, "programs", V::Names, Text(""), N::Here, E::Update,
        "The programs of the group, in the order in which they are started."),
    key(S::Group, "priority", V::Integer, Text("999"), N::Here, E::Update,
        "Order among groups: lower starts first and stops last."),
    // [eventlistener:x]
    key(S::EventListener, "events", V::Events, Required, N::Here, E::Update,
        "The events to receive; a family name means all of its members."),
    key(S::EventListener, "buffer_size", V::Integer, Text("1024"), N::Here, E::Update,
        "How many events wait for a free listener before the oldest is dropped."),
    key(S::EventListener, "len_in_bytes", V::Boolean, Text("false"), N::Here, E::Update,
        "`len:` of an event counts the bytes of its payload instead of its characters: for listeners that read bytes. Not in Supervisor."),
    key(S::EventListener, "answer_timeout", V::Duration, Absent("none: a listener may take any time, as in Supervisor"), N::Here, E::Update,
        "A running listener that owes an answer for longer, a RESULT to an event or the next READY, or that has broken the protocol so long ago, is stopped and started anew; its event is sent again. Not in Supervisor."),
    key(S::EventListener, "result_handler", V::PythonObject, Text("supervisor.dispatchers:default_handler"), N::Here,
        E::Update, "Judge of the listeners' answers; only the default exists."),
    key(S::EventListener, "priority", V::Integer, Absent("-1 for the pool, 999 for its processes"), N::Here, E::Update,
        "Order: lower starts first and stops last."),
    // [fcgi-program:x]
    key(S::FcgiProgram, "socket", V::Socket, Required, N::HereProgram, E::Update, "The listening socket."),
    key(S::FcgiProgram, "socket_backlog", V::Integer, Absent("the system's limit"), N::Here, E::Reload,
        "How many connections may wait on it, 1 to 65535."),
    key(S::FcgiProgram, "socket_owner", V::Owner, Absent("the account of `user`"), N::Here, E::Reload,
        "Owner of a Unix socket."),
    key(S::FcgiProgram, "socket_mode", V::Octal, Absent("0700"), N::Here, E::Reload, "Permissions of a Unix socket."),
    // [include]
    key(S::Include, "files", V::Patterns, Required, N::HereHost, E::Update,
        "Files to read after this one, relative to its directory; later files override earlier ones key by key."),
    // [rpcinterface:x]
    key(S::RpcInterface, "supervisor.rpcinterface_factory", V::PythonObject, Required, N::Environment, E::Reload,
        "`supervisor.rpcinterface:make_main_rpcinterface`, or \
         `supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface`, which is built in."),
    key(S::RpcInterface, "whitelist", V::Names, Absent("all"), N::Environment, E::Reload,
        "Of `supervisor_twiddler` only: the methods that may be called."),
    // [ctlplugin:x]
    key(S::CtlPlugin, "supervisor.ctl_factory", V::PythonObject, Required, N::Environment, E::Client,
        "Python code for Supervisor's own client."),
];

/// Supervisor's own factory of `[rpcinterface:x]`.
pub const RPC_FACTORY: &str = "supervisor.rpcinterface:make_main_rpcinterface";

/// The factory of `supervisor_twiddler`, whose interface is built in.
pub const TWIDDLER_FACTORY: &str = "supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface";

/// The one `result_handler` of event listeners.
pub const RESULT_HANDLER: &str = "supervisor.dispatchers:default_handler";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_open_what_supervisor_opens() {
        for (header, wanted) in [
            ("supervisord", Some(S::Supervisord)),
            ("Supervisord", None),
            ("program:x", Some(S::Program)),
            ("program", None),
            (" program:x ", None),
            ("fcgi-program:x", Some(S::FcgiProgram)),
            ("unix_http_server", Some(S::UnixHttpServer)),
            ("unix_http_server:b", Some(S::UnixHttpServer)),
            ("inet_http_server2", Some(S::InetHttpServer)),
            ("DEFAULT", None),
        ] {
            assert_eq!(SectionKind::of(header), wanted, "{header:?}");
        }
    }

    #[test]
    fn no_key_stands_twice_and_every_kind_has_keys() {
        for kind in SectionKind::ALL {
            let names: Vec<_> = keys_of(kind).map(|key| key.name).collect();
            assert!(!names.is_empty(), "{kind:?}");
            let mut unique = names.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), names.len(), "{kind:?}");
        }
    }
}

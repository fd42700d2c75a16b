//! The rows of `docs/compatibility.md` that concern a configuration. The document is the source: it is compiled in.

use serde::Serialize;

use crate::config::{
    Config, GroupConfig, GroupKind, InterfaceKind, Loaded, LogConfig, LogFile, Passing, ProcessConfig, ServerConfig,
    SocketConfig,
};

const DOCUMENT: &str = include_str!("../../docs/compatibility.md");

/// One deliberate difference from Supervisor 4.3.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub topic: String,
    pub what: String,
    pub supervisor: String,
    pub galaxyd: String,
    pub why: String,
}

/// All rows, in the order of the document.
#[must_use]
pub(super) fn all() -> Vec<Difference> {
    let mut rows = Vec::new();
    let mut topic = "";
    for line in DOCUMENT.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            topic = heading;
        }
        let Some(row) = line.strip_prefix("| ") else { continue };
        let cells = cells(row);
        let [what, supervisor, galaxyd, why, ..] = cells.as_slice() else { continue };
        if what == "what" || what.starts_with("---") {
            continue;
        }
        rows.push(Difference {
            topic: topic.to_owned(),
            what: what.clone(),
            supervisor: supervisor.clone(),
            galaxyd: galaxyd.clone(),
            why: why.clone(),
        });
    }
    rows
}

/// The rows that concern this configuration: those of which one can tell by looking at it, and, even if it is refused, at
/// its problems.
#[must_use]
pub(super) fn concerning(loaded: &Loaded) -> Vec<Difference> {
    let by_config = |row: &Difference| {
        loaded.config.as_ref().is_some_and(|config| {
            CONCERNS.iter().any(|(what, concerns)| row.what.starts_with(what) && concerns(config))
        })
    };
    let by_problem = |row: &Difference| {
        let told = |text: &str| loaded.problems.iter().any(|problem| problem.message.contains(text));
        TOLD.iter().any(|(what, text)| row.what.starts_with(what) && told(text))
    };
    all().into_iter().filter(|row| by_config(row) || by_problem(row)).collect()
}

/// A row's cells without the marks of code; `\|` is no border.
fn cells(row: &str) -> Vec<String> {
    let guarded = row.replace("\\|", "\u{0}");
    let cells = guarded.trim_end_matches('|').split(" | ");
    cells.map(|cell| cell.trim().trim_end_matches('|').trim().replace('`', "").replace('\u{0}', "|")).collect()
}

/// What a row's first cell begins with, and whether the row concerns a configuration.
type Concern = (&'static str, fn(&Config) -> bool);

/// What a row's first cell begins with, and what a problem says if the row concerns the configuration: it has no trace in
/// what was read.
const TOLD: &[(&str, &str)] = &[
    ("rpcinterface factories, result_handlers and ctlplugins", "Python code cannot be loaded"),
    ("a listener's result_handler, and multivisor.rpc", "Python code cannot be loaded"),
    ("[inet_http_server] without a password", "no password: "),
];

const CONCERNS: &[Concern] = &[
    ("a literal percent sign in", |config| {
        config.daemon.environment.values().any(|value| value.contains('%'))
            || any_log_path(config, |path| path.contains('%'))
    }),
    ("SIGPIPE and SIGXFSZ in children", |config| any_process(config, runs_a_shell)),
    ("descriptors above minfds", |config| config.daemon.minfds > 1024),
    ("an automatic restart", |config| {
        any_process(config, |process| process.autorestart != crate::engine::AutoRestart::Never)
    }),
    ("SIGKILL with stopwaitsecs=0", |config| any_process(config, |process| process.stopwaitsecs <= 0)),
    ("a [fcgi-program:x] that a [group:y] lists", |config| {
        config.groups.iter().any(|group| matches!(group.kind, GroupKind::Program) && has_sockets(group))
    }),
    ("a FastCGI socket that cannot be made", |config| config.groups.iter().any(has_sockets)),
    ("a FastCGI socket when the supervisor dies", |config| config.groups.iter().any(has_sockets)),
    ("what is no socket at a FastCGI socket's path", |config| any_socket(config, |url| url.starts_with("unix:"))),
    ("FastCGI sockets on hosts that have IPv6 only", |config| any_socket(config, |url| url.starts_with("tcp:"))),
    ("FastCGI programs with the same address", shares_sockets),
    ("the RPC interface of supervisor_twiddler", has_twiddler),
    ("twiddler", has_twiddler),
    ("processes in a group that twiddler", has_twiddler),
    ("pidproxy", |config| any_process(config, |process| program_of(process) == "pidproxy")),
    ("clear of a log at /dev/stdout", |config| any_log_path(config, is_device)),
    ("rotation of what is no regular file", |config| any_log_path(config, is_device)),
    ("an ANSI sequence cut by the end of a read", |config| config.daemon.strip_ansi),
    ("old AUTO logs at the start", |config| {
        config.daemon.identifier.contains(|letter: char| ".*+?|^$()[]{}\\".contains(letter))
    }),
    ("a syslog that cannot be reached", |config| any_log(config, |log| log.syslog)),
    ("the end of the output with capture on", |config| any_log(config, |log| log.capture_maxbytes > 0)),
    ("output with capture on", |config| any_log(config, |log| log.capture_maxbytes > 0)),
    ("the log file of a program with stdout_events_enabled or capture", |config| {
        any_log(config, |log| log.events_enabled || log.capture_maxbytes > 0)
    }),
    ("buffer_size= that is not set", |config| {
        let roomy = |kind: &GroupKind| matches!(kind, GroupKind::EventListener { buffer_size: 1024, .. });
        config.groups.iter().any(|group| roomy(&group.kind))
    }),
    ("dropped events", has_listeners),
    ("a rejected event", has_listeners),
    ("subscribing to a type and to one that includes it", has_listeners),
    ("RESULT 0", has_listeners),
    ("a listener with a closed standard input", has_listeners),
    ("a death of the supervisor", has_listeners),
    ("malformed credentials", |config| config.servers.iter().any(has_login)),
    ("[::1]:9001, hosts that have IPv6 only", |config| {
        config.servers.iter().any(|server| matches!(server, ServerConfig::Inet(inet) if inet.host.contains(':')))
    }),
    ("actions of the status page by GET", |config| !config.servers.is_empty()),
    ("requests that a browser sends for a page of another site", |config| !config.servers.is_empty()),
    ("a restart whose browser leaves", |config| !config.servers.is_empty()),
    ("what a browser asks of a server without a password", |config| {
        config.servers.iter().any(|server| !has_login(server))
    }),
    ("two processes of one name in a group", has_collisions),
];

fn any_process(config: &Config, concerns: impl Fn(&ProcessConfig) -> bool) -> bool {
    config.groups.iter().flat_map(|group| &group.processes).any(concerns)
}

/// The socket of a process of a `[fcgi-program:x]`.
fn pool_socket(process: &ProcessConfig) -> Option<&SocketConfig> {
    process.socket.as_ref().filter(|socket| socket.passing == Passing::Stdin)
}

fn has_sockets(group: &GroupConfig) -> bool {
    group.processes.iter().any(|process| pool_socket(process).is_some())
}

fn any_socket(config: &Config, concerns: impl Fn(&str) -> bool) -> bool {
    any_process(config, |process| pool_socket(process).is_some_and(|socket| concerns(&socket.url)))
}

/// Whether the processes of different sections, or those of one section in different groups, have one socket.
fn shares_sockets(config: &Config) -> bool {
    let mut users = std::collections::BTreeMap::new();
    config.groups.iter().any(|group| {
        group.processes.iter().any(|process| {
            let user = (&group.name, &process.section);
            pool_socket(process).is_some_and(|socket| *users.entry(&socket.url).or_insert(user) != user)
        })
    })
}

fn has_listeners(config: &Config) -> bool {
    config.groups.iter().any(|group| matches!(group.kind, GroupKind::EventListener { .. }))
}

fn has_twiddler(config: &Config) -> bool {
    config.rpcinterfaces.iter().any(|interface| InterfaceKind::of(&interface.factory) == Some(InterfaceKind::Twiddler))
}

fn any_log(config: &Config, concerns: impl Fn(&LogConfig) -> bool) -> bool {
    any_process(config, |process| [&process.stdout, &process.stderr].into_iter().any(&concerns))
}

fn any_log_path(config: &Config, concerns: impl Fn(&str) -> bool) -> bool {
    any_log(config, |log| matches!(&log.file, LogFile::Path(path) if concerns(path)))
}

fn is_device(path: &str) -> bool {
    path.starts_with("/dev/") || path.starts_with("/proc/")
}

fn runs_a_shell(process: &ProcessConfig) -> bool {
    matches!(program_of(process), "sh" | "bash" | "dash" | "ksh" | "zsh")
}

/// The name of what is executed, without its folder.
fn program_of(process: &ProcessConfig) -> &str {
    let program = process.command.split_whitespace().next().unwrap_or_default();
    program.rsplit('/').next().unwrap_or_default()
}

fn has_login(server: &ServerConfig) -> bool {
    match server {
        ServerConfig::Unix(unix) => unix.auth.is_some(),
        ServerConfig::Inet(inet) => inet.auth.is_some(),
    }
}

fn has_collisions(config: &Config) -> bool {
    let mut groups = std::collections::BTreeSet::new();
    config.groups.iter().any(|group| {
        let mut names = std::collections::BTreeSet::new();
        !groups.insert(&group.name) || group.processes.iter().any(|process| !names.insert(&process.name))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Overrides, load};

    #[test]
    fn every_rule_is_about_rows_of_the_document() {
        let rows = all();
        assert!(rows.len() > 50, "{}", rows.len());
        for what in CONCERNS.iter().map(|(what, _)| what).chain(TOLD.iter().map(|(what, _)| what)) {
            assert!(rows.iter().any(|row| row.what.starts_with(what)), "{what}");
        }
    }

    /// The rows for a configuration of these sections.
    fn rows(sections: &str) -> Vec<String> {
        let text = format!("[supervisord]\n{sections}\n");
        let source = MadeUp::new().file("/etc/x.conf", &text);
        let loaded = load(Path::new("/etc/x.conf"), &Overrides::default(), &source);
        concerning(&loaded).into_iter().map(|row| row.what).collect()
    }

    #[test]
    fn what_a_configuration_has_is_named_and_nothing_else() {
        let main = "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n";
        for (sections, named) in [
            ("[eventlistener:l]\ncommand=/bin/cat\nevents=TICK", "a rejected event"),
            (
                "[fcgi-program:f]\ncommand=/bin/cat\nsocket=unix:///run/f.sock",
                "a FastCGI socket when the supervisor dies",
            ),
            (
                "[fcgi-program:f]\ncommand=/bin/cat\nsocket=unix:///run/f.sock",
                "what is no socket at a FastCGI socket's path",
            ),
            ("[fcgi-program:f]\ncommand=/bin/cat\nsocket=tcp://localhost:9000", "FastCGI sockets on hosts"),
            (
                "[fcgi-program:f]\ncommand=/bin/cat\nsocket=tcp://localhost:9000\n\
                 [fcgi-program:g]\ncommand=/bin/cat\nsocket=tcp://localhost:9000",
                "FastCGI programs with the same address",
            ),
            ("[program:a]\ncommand=/bin/cat\nstdout_capture_maxbytes=1KB", "output with capture on"),
            ("[program:a]\ncommand=/bin/cat\nstdout_events_enabled=true", "the log file of a program with"),
            ("[program:a]\ncommand=/bin/cat\nstdout_syslog=true", "a syslog that cannot be reached"),
            ("[program:a]\ncommand=/usr/bin/pidproxy /run/p /bin/cat", "pidproxy when its command ends"),
            ("identifier=a.b", "old AUTO logs at the start"),
            ("[inet_http_server]\nport=*:9001", "[inet_http_server] without a password"),
            ("[inet_http_server]\nport=127.0.0.1:9001", "[inet_http_server] without a password"),
            ("[inet_http_server]\nport=127.0.0.1:9001", "what a browser asks of a server without a password"),
            ("[inet_http_server]\nport=127.0.0.1:9001\nusername=a\npassword=b", "malformed credentials"),
            (
                "[rpcinterface:t]\nsupervisor.rpcinterface_factory=\
                 supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface",
                "the RPC interface of supervisor_twiddler",
            ),
            ("[rpcinterface:c]\nsupervisor.rpcinterface_factory=my.cache:make", "rpcinterface factories"),
        ] {
            let found = rows(sections);
            assert!(found.iter().any(|what| what.starts_with(named)), "{named}\n{sections}\n{found:#?}");
        }
        let plain = rows(&format!("{main}[program:a]\ncommand=/bin/cat\nautorestart=false\n"));
        assert_eq!(plain, [""; 0]);
    }

    #[test]
    fn cells_are_cut_at_borders_only() {
        assert_eq!(cells("a `x \\| y` | b |  | d |"), ["a x | y", "b", "", "d"]);
    }
}

//! The rows of `docs/compatibility.md` that concern a configuration. The document is the source: it is compiled in.

use serde::Serialize;

use crate::config::{Config, GroupConfig, GroupKind, LogFile, ProcessConfig, ServerConfig};

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

/// The rows that concern this configuration: those of which one can tell by looking at it.
#[must_use]
pub(super) fn concerning(config: &Config) -> Vec<Difference> {
    let concerns =
        |row: &Difference| CONCERNS.iter().any(|(what, concerns)| row.what.starts_with(what) && concerns(config));
    all().into_iter().filter(concerns).collect()
}

/// A row's cells without the marks of code; `\|` is no border.
fn cells(row: &str) -> Vec<String> {
    let guarded = row.replace("\\|", "\u{0}");
    let cells = guarded.trim_end_matches('|').split(" | ");
    cells.map(|cell| cell.trim().trim_end_matches('|').trim().replace('`', "").replace('\u{0}', "|")).collect()
}

/// What a row's first cell begins with, and whether the row concerns a configuration.
type Concern = (&'static str, fn(&Config) -> bool);

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
    ("clear of a log at /dev/stdout", |config| any_log_path(config, is_device)),
    ("rotation of what is no regular file", |config| any_log_path(config, is_device)),
    ("an ANSI sequence cut by the end of a read", |config| config.daemon.strip_ansi),
    ("malformed credentials", |config| config.servers.iter().any(has_login)),
    ("[::1]:9001, hosts that have IPv6 only", |config| {
        config.servers.iter().any(|server| matches!(server, ServerConfig::Inet(inet) if inet.host.contains(':')))
    }),
    ("actions of the status page by GET", |config| !config.servers.is_empty()),
    ("two processes of one name in a group", has_collisions),
];

fn any_process(config: &Config, concerns: impl Fn(&ProcessConfig) -> bool) -> bool {
    config.groups.iter().flat_map(|group| &group.processes).any(concerns)
}

fn has_sockets(group: &GroupConfig) -> bool {
    group.processes.iter().any(|process| process.socket.is_some())
}

fn any_log_path(config: &Config, concerns: impl Fn(&str) -> bool) -> bool {
    any_process(config, |process| {
        [&process.stdout, &process.stderr]
            .into_iter()
            .any(|log| matches!(&log.file, LogFile::Path(path) if concerns(path)))
    })
}

fn is_device(path: &str) -> bool {
    path.starts_with("/dev/") || path.starts_with("/proc/")
}

fn runs_a_shell(process: &ProcessConfig) -> bool {
    let program = process.command.split_whitespace().next().unwrap_or_default();
    matches!(program.rsplit('/').next(), Some("sh" | "bash" | "dash" | "ksh" | "zsh"))
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
    use super::*;

    #[test]
    fn every_rule_is_about_rows_of_the_document() {
        let rows = all();
        assert!(rows.len() > 50, "{}", rows.len());
        for (what, _) in CONCERNS {
            assert!(rows.iter().any(|row| row.what.starts_with(what)), "{what}");
        }
    }

    #[test]
    fn cells_are_cut_at_borders_only() {
        assert_eq!(cells("a `x \\| y` | b |  | d |"), ["a x | y", "b", "", "d"]);
    }
}

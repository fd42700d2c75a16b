//! A sample configuration, for whoever begins one: what `echo_supervisord_conf` and `galaxyctl config --sample` print.
//!
//! Sections, keys and values stand where those of Supervisor's sample stand, as recipes edit them by pattern; what is said
//! about them comes from the table of keys.

use std::fmt::Write;

use super::schema::{self, SectionKind};

/// Whether a section is in force, or each of its lines stands behind a semicolon.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stance {
    InForce,
    Shown,
}

/// A section: its header, its lines (a key that stands behind a semicolon begins with one).
struct Section {
    kind: SectionKind,
    name: &'static str,
    stance: Stance,
    about: &'static str,
    lines: &'static [(&'static str, &'static str)],
}

const HEAD: &str = "; Sample supervisor config file, for galaxyd and for Supervisor.\n\
    ;\n\
    ; A semicolon after a blank begins a comment, so a value cannot hold the two together. Take a semicolon away\n\
    ; to put a line in force. Values are %-expanded: %(ENV_HOME)s is the variable HOME, %% a percent sign; the\n\
    ; shell's $HOME and ~ are no names here, except ~ at the beginning of a path.\n\
    ;\n\
    ; `galaxyctl check FILE` reports every mistake at once.\n";

/// The keys of a program that both samples show, and their values.
macro_rules! program_lines {
    ($command:literal, [$($own:tt)*], $priority:literal, $redirect:literal, [$($out:tt)*], [$($err:tt)*]) => { &[
        ("command", $command), ("process_name", "%(program_name)s"), ("numprocs", "1"), $($own)*
        ("directory", "/tmp"), ("umask", "022"), ("priority", $priority), ("autostart", "true"),
        ("startsecs", "1"), ("startretries", "3"), ("autorestart", "unexpected"), ("exitcodes", "0"),
        ("stopsignal", "QUIT"), ("stopwaitsecs", "10"), ("stopasgroup", "false"), ("killasgroup", "false"),
        ("user", "galaxy"), ("redirect_stderr", $redirect),
        ("stdout_logfile", "/a/path"), ("stdout_logfile_maxbytes", "1MB"), ("stdout_logfile_backups", "10"), $($out)*
        ("stdout_events_enabled", "false"), ("stdout_syslog", "false"),
        ("stderr_logfile", "/a/path"), ("stderr_logfile_maxbytes", "1MB"), ("stderr_logfile_backups", "10"), $($err)*
        ("stderr_events_enabled", "false"), ("stderr_syslog", "false"),
        ("environment", "A=\"1\",B=\"2\""), ("serverurl", "AUTO"),
    ] };
}

const SECTIONS: &[Section] = &[
    Section {
        kind: SectionKind::UnixHttpServer,
        name: "unix_http_server",
        stance: Stance::InForce,
        about: "Where the clients ask.",
        lines: &[
            ("file", "/tmp/supervisor.sock"),
            (";chmod", "0700"),
            (";chown", "nobody:nogroup"),
            (";username", "user"),
            (";password", "123"),
        ],
    },
    Section {
        kind: SectionKind::InetHttpServer,
        name: "inet_http_server",
        stance: Stance::Shown,
        about: "The same over TCP. Whoever reaches it without a password commands every program.",
        lines: &[("port", "127.0.0.1:9001"), ("username", "user"), ("password", "123")],
    },
    Section {
        kind: SectionKind::Supervisord,
        name: "supervisord",
        stance: Stance::InForce,
        about: "The daemon itself.",
        lines: &[
            ("logfile", "/tmp/supervisord.log"),
            ("logfile_maxbytes", "50MB"),
            ("logfile_backups", "10"),
            ("loglevel", "info"),
            ("pidfile", "/tmp/supervisord.pid"),
            ("nodaemon", "false"),
            ("silent", "false"),
            ("minfds", "1024"),
            ("minprocs", "200"),
            (";umask", "022"),
            (";user", "supervisord"),
            (";identifier", "supervisor"),
            (";directory", "/tmp"),
            (";nocleanup", "true"),
            (";childlogdir", "/tmp"),
            (";environment", "KEY=\"value\""),
            (";strip_ansi", "false"),
        ],
    },
    Section {
        kind: SectionKind::RpcInterface,
        name: "rpcinterface:supervisor",
        stance: Stance::InForce,
        about: "Without it no client is understood.",
        lines: &[("supervisor.rpcinterface_factory", schema::RPC_FACTORY)],
    },
    Section {
        kind: SectionKind::Supervisorctl,
        name: "supervisorctl",
        stance: Stance::InForce,
        about: "The clients, where they read this file.",
        lines: &[
            ("serverurl", "unix:///tmp/supervisor.sock"),
            (";serverurl", "http://127.0.0.1:9001"),
            (";username", "chris"),
            (";password", "123"),
            (";prompt", "mysupervisor"),
            (";history_file", "~/.sc_history"),
        ],
    },
    Section {
        kind: SectionKind::Program,
        name: "program:theprogramname",
        stance: Stance::Shown,
        about: "A program, with all that can be said about it.",
        lines: program_lines!(
            "/bin/cat",
            [],
            "999",
            "true",
            [("stdout_capture_maxbytes", "1MB"),],
            [("stderr_capture_maxbytes", "1MB"),]
        ),
    },
    Section {
        kind: SectionKind::EventListener,
        name: "eventlistener:theeventlistenername",
        stance: Stance::Shown,
        about: "A program that is told of events; its standard output is not for logging.",
        lines: program_lines!(
            "/bin/eventlistener",
            [("events", "EVENT"), ("buffer_size", "10"),],
            "-1",
            "false",
            [],
            []
        ),
    },
    Section {
        kind: SectionKind::Group,
        name: "group:thegroupname",
        stance: Stance::Shown,
        about: "Programs under one name.",
        lines: &[("programs", "progname1,progname2"), ("priority", "999")],
    },
    Section {
        kind: SectionKind::Include,
        name: "include",
        stance: Stance::Shown,
        about: "Further files.",
        lines: &[("files", "relative/directory/*.ini")],
    },
];

/// Where the comments of a section's lines begin, at least.
const COMMENT_COLUMN: usize = 30;

/// The text, every line ended.
#[must_use]
pub fn sample() -> String {
    let mut text = HEAD.to_owned();
    for section in SECTIONS {
        let mark = if section.stance == Stance::Shown { ";" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(text, "\n; {}\n{mark}[{}]\n", section.about, section.name);
        for (key, value) in section.lines {
            let line = line(section.kind, key, value);
            let meaning = schema::key_of(section.kind, key.trim_start_matches(';')).map_or("", |known| known.meaning);
            let meaning = meaning.replace('`', "");
            let _ = writeln!(text, "{:COMMENT_COLUMN$} ; {}", format!("{mark}{line}"), meaning.trim());
        }
    }
    text
}

/// A dotted key, and the list of files, stand apart from their values as in Supervisor's sample.
fn line(kind: SectionKind, key: &str, value: &str) -> String {
    let apart = matches!(kind, SectionKind::RpcInterface | SectionKind::Include);
    if apart { format!("{key} = {value}") } else { format!("{key}={value}") }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Overrides, Plugins, load, load_ctl};

    fn loaded(text: &str) -> crate::config::Loaded {
        let source = MadeUp::new()
            .account("galaxy", 1001, 1001, "/srv")
            .account("supervisord", 1002, 1002, "/srv")
            .account("nobody", 1003, 1003, "/srv")
            .file("/etc/x.conf", text);
        load(Path::new("/etc/x.conf"), &Overrides::default(), &source)
    }

    #[test]
    fn it_is_good_as_it_is() {
        let text = sample();
        let loaded = loaded(&text);
        assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
        let source = MadeUp::new().file("/etc/x.conf", &text);
        let client = load_ctl(Path::new("/etc/x.conf"), Plugins::Refused, &source);
        assert_eq!(client.config.map(|config| config.serverurl).as_deref(), Some("unix:///tmp/supervisor.sock"));
    }

    #[test]
    fn every_line_is_a_key_with_a_meaning() {
        for section in SECTIONS {
            for (key, _) in section.lines {
                let known = schema::key_of(section.kind, key.trim_start_matches(';'));
                assert!(known.is_some_and(|known| !known.meaning.contains(" ; ")), "{} {key}", section.name);
            }
        }
    }

    /// Every line put in force: the values are good ones.
    #[test]
    fn it_is_good_with_every_line_in_force() {
        let without = |line: &&str| !line.starts_with("; ") && !line.starts_with(";chown") && **line != *";";
        let sample = sample();
        let text: Vec<&str> = sample.lines().filter(without).collect();
        let text = text.join("\n").replace("\n;", "\n").replace("/a/path", "/tmp/a.log");
        let text = text.replace("progname1,progname2", "theprogramname");
        let loaded = loaded(&text);
        let errors: Vec<_> = loaded.problems.errors().collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

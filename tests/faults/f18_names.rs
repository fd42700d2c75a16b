//! F18: names that would like to be paths, fields or pictures of other names; in the configuration and in requests.

use std::fs;
use std::path::Path;

use crate::daemon::{Daemon, finish};
use crate::world::World;

/// Names that no section may have, as a message shows them.
const REFUSED: [(&str, &str); 10] = [
    ("../x", "'/'"),
    ("a/b", "'/'"),
    ("..", "means a directory"),
    ("a\0b", "\\u{0}"),
    ("a\tb", "\\t"),
    ("a:b", "':'"),
    ("a\u{1b}[2Jb", "\\u{1b}"),
    ("a\u{202e}b", "\\u{202e}"),
    ("a\u{200b}b", "\\u{200b}"),
    ("a\u{a0}b", "\\u{a0}"),
];

#[test]
fn f18_names_that_could_be_paths_or_deceive_are_refused_with_their_place() {
    let long = "x".repeat(256);
    let names = REFUSED.into_iter().chain([(long.as_str(), "256 bytes")]);
    for (name, reason) in names {
        let sections = [
            format!("[program:{name}]\ncommand=cat\n"),
            format!("[program:p]\ncommand=cat\nprocess_name={name}\n"),
            format!("[program:p]\ncommand=cat\n[group:{name}]\nprograms=p\n"),
        ];
        for section in sections {
            let folder = World::folder("", &section);
            let outcome = folder.refusal(&folder.path("supervisord.conf")).unwrap_or_else(|| panic!("{section:?}"));
            assert_eq!(outcome.code, Some(2), "{outcome:?}");
            let check = checked(&folder);
            assert!(check.contains("supervisord.conf:") && check.contains(reason), "{section:?}: {check}");
        }
    }
}

/// What `galaxyctl check` says of the configuration.
fn checked(folder: &Daemon) -> String {
    let mut command = folder.command(Path::new(env!("CARGO_BIN_EXE_galaxyctl")));
    command.arg("check").arg(folder.path("supervisord.conf"));
    let outcome = finish(&mut command, folder.dir(), None);
    format!("{}{}", outcome.stdout, outcome.stderr)
}

/// What is in a file that nothing of the configuration names.
const PLANTED: &str = "nobody is to see this";

#[test]
fn f18_a_name_in_a_request_is_looked_up_and_never_a_path() {
    let world = World::new("[program:p]\ncommand=cat\nstdout_logfile=%(here)s/logs.p\n");
    world.wait_state("p", "RUNNING");
    let planted = world.path("planted");
    fs::write(&planted, PLANTED).unwrap();
    let absolute = planted.display().to_string();
    for name in
        ["planted", "../planted", "p/../planted", "p:../planted", ":planted", "../../../../etc/passwd", &absolute]
    {
        let quoted = name.bytes().fold(String::new(), |all, byte| all + &format!("%{byte:02x}"));
        for path in [
            format!("/logtail/{name}"),
            format!("/logtail/{quoted}"),
            format!("/logtail/{quoted}/stderr"),
            format!("/tail.html?processname={quoted}"),
            format!("/tail.html?processname={name}&limit=1024"),
            format!("/stylesheets/{name}"),
            format!("/{quoted}"),
        ] {
            let answer = world.http(&format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")).unwrap();
            assert!(!answer.contains(PLANTED) && !answer.contains("root:x:"), "{path}: {answer}");
        }
        let parameters = format!(
            "{}<param><value><int>0</int></value></param><param><value><int>100</int></value></param>",
            World::named(name)
        );
        for (method, parameters) in [
            ("supervisor.readProcessStdoutLog", &parameters),
            ("supervisor.tailProcessStdoutLog", &parameters),
            ("supervisor.tailProcessStderrLog", &parameters),
            ("supervisor.clearProcessLogs", &World::named(name)),
        ] {
            let answer = world.call(method, parameters).unwrap();
            assert!(answer.contains("BAD_NAME"), "{method} {name}: {answer}");
        }
    }
    assert_eq!(fs::read_to_string(&planted).unwrap(), PLANTED);
    world.end();
}

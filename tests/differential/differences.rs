//! The differences that are meant, by name, each with its row of `docs/compatibility.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::subject::Side;

/// A difference that is meant.
#[derive(Debug)]
pub(crate) struct Difference {
    /// The word scenarios use for it.
    pub(crate) name: &'static str,
    /// The first cell of its row, as it stands there.
    pub(crate) row: &'static str,
    /// What entries of the activity log hold that one side alone has, in every scenario.
    pub(crate) log: Option<(Side, &'static str)>,
}

pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference { name: "audit", row: "requests that change something", log: Some((Side::Galaxyd, "INFO audit: ")) },
    Difference {
        name: "audit-refused",
        row: "requests that change something",
        log: Some((Side::Galaxyd, "WARN audit: refused ")),
    },
    Difference {
        name: "spawn-error-told",
        row: "a program that cannot be executed",
        log: Some((Side::Galaxyd, "INFO spawnerr: '")),
    },
    Difference {
        name: "quick-end-told",
        row: "a program that ends before `startsecs`",
        log: Some((Side::Galaxyd, " ended too quickly: ")),
    },
    Difference {
        name: "survivors-told",
        row: "processes that outlive a program",
        log: Some((Side::Galaxyd, " left something behind, ")),
    },
    Difference {
        name: "orphans-adopted",
        row: "what outlives the program that started it",
        log: Some((Side::Galaxyd, "INFO reaped unknown pid ")),
    },
    Difference {
        name: "traceback",
        row: "a request that Supervisor fails on (HTTP 500 in this table)",
        log: Some((Side::Original, "CRIT Handling XML-RPC request with data")),
    },
    Difference {
        name: "syslog-told",
        row: "a syslog that cannot be reached",
        log: Some((Side::Galaxyd, "CRIT cannot send /dev/log: ")),
    },
    Difference {
        name: "reread-told",
        row: "a `reread` of a broken configuration",
        log: Some((Side::Galaxyd, "WARN error: ")),
    },
    Difference {
        name: "reread-without-effect",
        row: "a `reread` of a broken configuration",
        log: Some((Side::Galaxyd, "WARN the new configuration is not used; nothing was changed")),
    },
    Difference {
        name: "unknown-told",
        row: "unknown keys, and sections whose name is nearly a known one",
        log: Some((Side::Galaxyd, "WARN warning: ")),
    },
    Difference { name: "clear-stopped", row: "`clear` of a program that does not run", log: None },
    Difference { name: "undecodable", row: "undecodable bytes in a log that is read over RPC", log: None },
    Difference { name: "follow-rotated", row: "a followed log (`tail -f`) that is rotated", log: None },
    Difference {
        name: "server-error",
        row: "malformed credentials",
        log: Some((Side::Original, "Server Error: <class ")),
    },
    Difference { name: "credentials", row: "malformed credentials", log: None },
    Difference { name: "wrong-type", row: "a parameter of a wrong type", log: None },
    Difference { name: "second-daemon", row: "a second daemon with the same configuration", log: None },
    Difference { name: "says-close", row: "an answer after which the connection is closed", log: None },
    Difference { name: "head-body", row: "the answer to `HEAD` that is an error", log: None },
    Difference { name: "no-http", row: "a request line that is not HTTP 1", log: None },
    Difference { name: "empty-post", row: "a POST of length 0", log: None },
    Difference { name: "unmarshallable", row: "the log line about XML that is no call", log: None },
    Difference {
        name: "python-refused",
        row: "`rpcinterface` factories, `result_handler`s and `ctlplugin`s other than Supervisor's own",
        log: None,
    },
    Difference { name: "overflow-summarised", row: "dropped events", log: None },
    Difference { name: "capture-kept", row: "the end of the output with capture on", log: None },
    Difference { name: "help", row: "the help of the command lines and of the commands", log: None },
];

/// Whether they show depends on the host: whether it has a syslog.
const OF_THE_HOST: &[&str] = &["syslog-told"];

/// The name of the difference that explains why this side alone has an entry in its log.
pub(crate) fn of_the_log(side: Side, entry: &str) -> Option<&'static str> {
    let explains =
        |difference: &&Difference| difference.log.is_some_and(|(of, part)| of == side && entry.contains(part));
    DIFFERENCES.iter().find(explains).map(|difference| difference.name)
}

/// Names that are used and not listed, and rows that are not in the document.
pub(crate) fn unfounded(used: &BTreeSet<String>) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compatibility.md");
    let document = fs::read_to_string(path).unwrap();
    let mut complaints = Vec::new();
    for difference in DIFFERENCES {
        if !document.lines().any(|line| line.starts_with(&format!("| {} |", difference.row))) {
            complaints.push(format!("{}: docs/compatibility.md has no row `{}`", difference.name, difference.row));
        }
    }
    for name in used {
        if !DIFFERENCES.iter().any(|difference| difference.name == name) {
            complaints.push(format!("a scenario names the difference `{name}`, which differences.rs does not list"));
        }
    }
    complaints
}

/// Listed, but nothing shows it any more.
pub(crate) fn unseen(seen: &BTreeSet<String>) -> Vec<String> {
    let missing = DIFFERENCES
        .iter()
        .filter(|difference| !seen.contains(difference.name) && !OF_THE_HOST.contains(&difference.name));
    missing.map(|difference| format!("the difference `{}` was not seen anywhere", difference.name)).collect()
}

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
    /// Entries of the activity log that one side alone has, in every scenario.
    pub(crate) log: Option<(Side, &'static str)>,
}

pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference { name: "audit", row: "requests that change something", log: Some((Side::Galaxyd, "INFO audit: ")) },
    Difference {
        name: "spawn-error-told",
        row: "a program that cannot be executed",
        log: Some((Side::Galaxyd, "INFO spawnerr: '")),
    },
];

/// The name of the difference that explains why this side alone has an entry in its log.
pub(crate) fn of_the_log(side: Side, entry: &str) -> Option<&'static str> {
    let explains =
        |difference: &&Difference| difference.log.is_some_and(|(of, begin)| of == side && entry.starts_with(begin));
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
    let missing = DIFFERENCES.iter().filter(|difference| !seen.contains(difference.name));
    missing.map(|difference| format!("the difference `{}` was not seen anywhere", difference.name)).collect()
}

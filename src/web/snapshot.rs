//! The processes as the page shows them.

use crate::rpc::Value;

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) group: String,
    pub(super) name: String,
    /// Supervisor's name of the state, in lower case.
    pub(super) state: String,
    pub(super) description: String,
}

/// All processes at one moment, by (group, name).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub(super) rows: Vec<Row>,
    pub(super) identifier: String,
}

/// A group that is more than one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group<'a> {
    pub(super) name: &'a str,
    pub(super) members: usize,
    pub(super) running: usize,
    /// Members in a state in which they can be started.
    pub(super) startable: usize,
    /// FATAL or BACKOFF.
    pub(super) failed: usize,
}

impl Snapshot {
    /// From the answers of `getAllProcessInfo` and `getIdentification`.
    #[must_use]
    pub fn new(processes: &Value, identification: &Value) -> Snapshot {
        let mut rows: Vec<Row> = processes.as_array().unwrap_or_default().iter().map(Row::of).collect();
        rows.sort();
        Snapshot { rows, identifier: identification.as_str().unwrap_or_default().to_owned() }
    }

    /// The groups that are not just a program of the same name.
    pub(super) fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for row in &self.rows {
            if groups.last().is_none_or(|group| group.name != row.group) {
                groups.push(Group { name: &row.group, members: 0, running: 0, startable: 0, failed: 0 });
            }
            if let Some(group) = groups.last_mut() {
                group.members += 1;
                group.running += usize::from(row.is_running());
                group.startable += usize::from(row.is_startable());
                group.failed += usize::from(row.is_failed());
            }
        }
        // The rows are sorted, so that of a group of one is found at once however many there are.
        groups.retain(|group| {
            let namesake = |row: &Row| (row.group.as_str(), row.name.as_str()).cmp(&(group.name, group.name));
            group.members > 1 || self.rows.binary_search_by(namesake).is_err()
        });
        groups
    }

    /// Each state that occurs with how often, the worst first.
    pub(super) fn states(&self) -> Vec<(&str, usize)> {
        const ORDER: [&str; 8] =
            ["fatal", "backoff", "unknown", "starting", "stopping", "exited", "stopped", "running"];
        let count = |state: &&str| self.rows.iter().filter(|row| row.state == **state).count();
        ORDER.iter().map(|state| (*state, count(state))).filter(|(_, count)| *count > 0).collect()
    }
}

impl Row {
    fn of(info: &Value) -> Row {
        let text = |member: &str| info.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
        Row {
            group: text("group"),
            name: text("name"),
            state: text("statename").to_lowercase(),
            description: text("description"),
        }
    }

    /// `group:name`, or the name where both are equal.
    pub(super) fn namespec(&self) -> String {
        if self.group == self.name { self.name.clone() } else { format!("{}:{}", self.group, self.name) }
    }

    pub(super) fn is_running(&self) -> bool {
        self.state == "running"
    }

    pub(super) fn is_startable(&self) -> bool {
        matches!(self.state.as_str(), "stopped" | "exited" | "fatal")
    }

    pub(super) fn is_failed(&self) -> bool {
        matches!(self.state.as_str(), "fatal" | "backoff")
    }

    /// Supervisor's class of the state.
    pub(super) fn class(&self) -> &'static str {
        if self.is_running() {
            "statusrunning"
        } else if self.is_failed() {
            "statuserror"
        } else {
            "statusnominal"
        }
    }

    /// Whether every word of the filter is found in name, state or description.
    pub(super) fn matches(&self, filter: &str) -> bool {
        let text = format!("{} {} {}", self.namespec(), self.state, self.description).to_lowercase();
        filter.to_lowercase().split_whitespace().all(|word| text.contains(word))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A snapshot of `(group, name, state, description)`.
    pub(in crate::web) fn snapshot(processes: &[(&str, &str, &str, &str)]) -> Snapshot {
        let info = |(group, name, state, description): &(&str, &str, &str, &str)| {
            Value::object([
                ("group", (*group).into()),
                ("name", (*name).into()),
                ("statename", (*state).into()),
                ("description", (*description).into()),
            ])
        };
        Snapshot::new(&Value::Array(processes.iter().map(info).collect()), &"supervisor".into())
    }

    #[test]
    fn rows_are_sorted_and_classed_as_supervisors() {
        let snapshot = snapshot(&[
            ("galaxy", "web", "RUNNING", ""),
            ("cat", "cat", "FATAL", ""),
            ("galaxy", "handler", "BACKOFF", ""),
            ("off", "off", "STOPPED", ""),
        ]);
        let shown: Vec<(String, &str)> = snapshot.rows.iter().map(|row| (row.namespec(), row.class())).collect();
        let shown: Vec<(&str, &str)> = shown.iter().map(|(name, class)| (name.as_str(), *class)).collect();
        assert_eq!(
            shown,
            [
                ("cat", "statuserror"),
                ("galaxy:handler", "statuserror"),
                ("galaxy:web", "statusrunning"),
                ("off", "statusnominal")
            ]
        );
        assert_eq!(snapshot.states(), [("fatal", 1), ("backoff", 1), ("stopped", 1), ("running", 1)]);
    }

    #[test]
    fn a_group_is_shown_if_it_is_more_than_a_program() {
        let snapshot = snapshot(&[
            ("one", "one", "RUNNING", ""),
            ("named", "other", "STOPPED", ""),
            ("g", "a", "RUNNING", ""),
            ("g", "g", "FATAL", ""),
        ]);
        let groups = snapshot.groups();
        let shown: Vec<_> = groups
            .iter()
            .map(|group| (group.name, group.members, group.running, group.startable, group.failed))
            .collect();
        assert_eq!(shown, [("g", 2, 1, 1, 1), ("named", 1, 0, 1, 0)]);
    }

    #[test]
    fn a_filter_is_words_that_must_all_be_found() {
        let row = &snapshot(&[("galaxy", "Web", "RUNNING", "pid 7, uptime 0:00:01")]).rows[0];
        for filter in ["", " ", "galaxy:web", "WEB running", "uptime galaxy"] {
            assert!(row.matches(filter), "{filter}");
        }
        assert!(!row.matches("web fatal"));
    }
}

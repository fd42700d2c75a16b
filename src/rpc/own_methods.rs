//! galaxyd's own methods that the control loop answers. They are not listed by `system.listMethods`, so that the list is
//! Supervisor's.

use super::catalogue::{Entry, PROCESS, Param, entry};
use super::method::Method;

/// Sorted by name.
pub(super) static OWN: [Entry; 3] = [
    entry(
        "galaxyd.explainAllProcesses",
        &[],
        ("array", "a struct as explainProcess returns, for each process"),
        "Tells of every process why it is in its state, sorted by group and name.",
        |_| Ok(Method::ExplainAllProcesses),
    ),
    entry(
        "galaxyd.explainProcess",
        &[PROCESS],
        ("struct", "name, group, statename, reason, last_words, left_behind"),
        "Tells why a process is in its state, what it said last, and which processes it left behind.",
        |args| Ok(Method::ExplainProcess { name: args.text("name")? }),
    ),
    entry(
        "galaxyd.getProcessPlan",
        &[
            PROCESS,
            Param {
                kind: "boolean",
                name: "redacted",
                text: "hide values that look like secrets (the default)",
                optional: true,
            },
        ],
        ("struct", "file, argv, directory, umask, uid, gid, groups, environment, limits"),
        "Tells how a process would be started now, without starting it.",
        |args| Ok(Method::GetProcessPlan { name: args.text("name")?, redacted: args.switch() }),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::Value;

    #[test]
    fn each_builds_with_its_own_types_and_secrets_are_hidden_by_default() {
        for own in &OWN {
            let method = own.method(&[]).or_else(|_| own.method(&[Value::from("x")])).unwrap();
            assert_eq!(method.name(), own.name());
            assert!(!method.changes_something(), "{method:?}");
        }
    }
}

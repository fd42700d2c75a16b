//! The names of processes and groups as they are typed and shown.

/// A typed name: its group, and the process unless all of the group is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name<'a> {
    pub group: &'a str,
    /// `None`: all of the group (`g:` and `g:*`).
    pub process: Option<&'a str>,
}

/// Cuts a typed name at its first colon; without one, the process is the only one of its group.
/// Source: supervisor 4.3.0, `options.py`, `split_namespec`.
#[must_use]
pub(super) fn split(name: &str) -> Name<'_> {
    match name.split_once(':') {
        None => Name { group: name, process: Some(name) },
        Some((group, "" | "*")) => Name { group, process: None },
        Some((group, process)) => Name { group, process: Some(process) },
    }
}

/// `group:process`, or just the name when both are equal.
#[must_use]
pub(super) fn join(group: &str, process: &str) -> String {
    if group == process { process.to_owned() } else { format!("{group}:{process}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_at_their_first_colon() {
        for (name, group, process) in [
            ("a", "a", Some("a")),
            ("a:b", "a", Some("b")),
            ("a:b:c", "a", Some("b:c")),
            ("a:", "a", None),
            ("a:*", "a", None),
            ("a:**", "a", Some("**")),
            (":b", "", Some("b")),
        ] {
            assert_eq!(split(name), Name { group, process }, "{name}");
        }
        assert_eq!(join("a", "a"), "a");
        assert_eq!(join("a", "b"), "a:b");
    }
}

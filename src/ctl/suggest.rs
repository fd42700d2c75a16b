//! What somebody who mistyped a name may have meant.

use super::answer::ProcessInfo;
use super::name;
use crate::config::nearest;

/// The process or group that `typed` may have meant: one in another group first, then one spelled like it.
#[must_use]
pub(super) fn process(typed: &str, known: &[ProcessInfo]) -> Option<String> {
    let wanted = name::split(typed);
    let whole_group = wanted.process.is_none();
    let groups = known.iter().map(|one| one.group.as_str());
    if whole_group {
        return nearest(wanted.group, groups).map(|group| format!("{group}:"));
    }
    let process = wanted.process.unwrap_or_default();
    if let Some(elsewhere) = known.iter().find(|one| one.name == process && one.namespec() != typed) {
        return Some(elsewhere.namespec());
    }
    let namespecs: Vec<String> = known.iter().map(ProcessInfo::namespec).collect();
    if let Some(near) = nearest(typed, namespecs.iter().map(String::as_str)) {
        return Some(near.to_owned());
    }
    if let Some(near) = known.iter().find(|one| nearest(process, [one.name.as_str()]).is_some()) {
        return Some(near.namespec());
    }
    nearest(wanted.group, groups).map(|group| format!("{group}:"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::fake::process as made_up;

    #[test]
    fn processes_are_suggested_across_groups() {
        let known = [
            made_up("galaxy", "web", "RUNNING"),
            made_up("galaxy", "handler0", "RUNNING"),
            made_up("cat", "cat", "RUNNING"),
        ];
        for (typed, expected) in [
            ("handler0", Some("galaxy:handler0")),
            ("galaxy:handlre0", Some("galaxy:handler0")),
            ("glaxy:", Some("galaxy:")),
            ("glaxy:web", Some("galaxy:web")),
            ("cta", Some("cat")),
            ("galxy", Some("galaxy:")),
            ("hadler0", Some("galaxy:handler0")),
            ("nothing", None),
        ] {
            assert_eq!(process(typed, &known).as_deref(), expected, "{typed}");
        }
    }
}

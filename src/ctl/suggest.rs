//! What somebody who mistyped a name may have meant.

use super::answer::ProcessInfo;
use super::name;

/// The name nearest to `typed`, if one is near: a third of its letters may be wrong.
pub(super) fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (typed.chars().count() / 3).max(1);
    names
        .into_iter()
        .map(|name| (distance(typed, name), name))
        .filter(|(distance, name)| *distance <= allowed && *distance < name.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

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

/// How many letters have to be put in, taken out, changed or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut cost = (at(&last, j) + usize::from(x != y)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            if i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x) {
                cost = cost.min(at(&before_last, j - 1) + 1);
            }
            row.push(cost);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::fake::process as made_up;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["status", "start", "stop", "tail"];
        for (typed, expected) in [
            ("statsu", Some("status")),
            ("strat", Some("start")),
            ("tial", Some("tail")),
            ("stopp", Some("stop")),
            ("x", None),
            ("frobnicate", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, names), expected, "{typed}");
        }
    }

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

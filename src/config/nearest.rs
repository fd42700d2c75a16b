//! The known name nearest to a mistyped one.

/// The candidate that the fewest slips of the finger turn into `name`, if there are few enough to believe in a slip.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = candidates.into_iter().map(|candidate| (distance(name, candidate), candidate));
    let believable = near.filter(|(slips, candidate)| {
        let length = name.chars().count().max(candidate.chars().count());
        *slips > 0 && *slips < length && *slips <= length.div_ceil(4).min(3)
    });
    believable.min_by_key(|(slips, _)| *slips).map(|(_, candidate)| candidate)
}

/// How many insertions, omissions, replacements and swaps of neighbours separate two words
/// (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut left_before = None;
    for (row, here) in left.chars().enumerate() {
        let mut current = Vec::with_capacity(above.len());
        current.push(row + 1);
        let mut right_before = None;
        for (column, there) in right.iter().copied().enumerate() {
            let cell = |line: &[usize], at: usize| line.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut least = cell(&above, column) + usize::from(here != there);
            least = least.min(cell(&above, column + 1) + 1).min(cell(&current, column) + 1);
            if column > 0 && left_before == Some(there) && right_before == Some(here) {
                least = least.min(cell(&before, column - 1) + 1);
            }
            current.push(least);
            right_before = Some(there);
        }
        before = std::mem::replace(&mut above, current);
        left_before = Some(here);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (left, right, wanted) in [
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("comand", "command", 1),
            ("autosatrt", "autostart", 1),
            ("stopwaitsec", "stopwaitsecs", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(left, right), wanted, "{left} {right}");
            assert_eq!(distance(right, left), wanted, "{right} {left}");
        }
    }

    #[test]
    fn only_a_believable_slip_has_a_nearest_name() {
        let known = ["command", "autostart", "user"];
        for (name, wanted) in [
            ("comand", Some("command")),
            ("auto_start", Some("autostart")),
            ("usr", Some("user")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), wanted, "{name}");
        }
    }
}

//! Shell patterns over a [`Source`], with the rules of Python's `glob.glob`.
//!
//! The crate `glob` matches one name; the walk is ours, because the text of a found path is shown and must be
//! built exactly as Python builds it.

use std::path::Path;

use glob::{MatchOptions, Pattern};

use super::path;
use super::source::Source;

const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Whether the text has a wildcard.
fn has_magic(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Every path that matches, in no particular order.
pub(crate) fn expand<S: Source + ?Sized>(pattern: &str, source: &S) -> Vec<String> {
    walk(pattern, source, false)
}

fn walk<S: Source + ?Sized>(pattern: &str, source: &S, directories_only: bool) -> Vec<String> {
    let (directory, name) = path::split(pattern);
    if !has_magic(pattern) {
        let found =
            if name.is_empty() { source.is_dir(Path::new(directory)) } else { source.link_exists(Path::new(pattern)) };
        return if found { vec![pattern.to_owned()] } else { Vec::new() };
    }
    let parents = if directory != pattern && has_magic(directory) {
        walk(directory, source, true)
    } else {
        vec![directory.to_owned()]
    };
    let mut found = Vec::new();
    for parent in parents {
        if has_magic(name) {
            let listed = if parent.is_empty() { "." } else { parent.as_str() };
            let matching = source.list(Path::new(listed)).into_iter().filter(|entry| matches(name, entry));
            found.extend(
                matching
                    .map(|entry| path::join(&parent, &entry))
                    .filter(|path| !directories_only || source.is_dir(Path::new(path))),
            );
        } else {
            let path = path::join(&parent, name);
            let there =
                if name.is_empty() { source.is_dir(Path::new(&parent)) } else { source.link_exists(Path::new(&path)) };
            if there {
                found.push(path);
            }
        }
    }
    found
}

/// Whether one name matches one component of a pattern.
fn matches(pattern: &str, name: &str) -> bool {
    Pattern::new(&portable(pattern)).is_ok_and(|pattern| pattern.matches_with(name, OPTIONS))
}

/// The pattern in the crate's spelling: runs of `*` become one, a `[` that nothing closes stands for itself.
fn portable(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let mut taken = first.len_utf8();
        match first {
            '*' => {
                text.push('*');
                taken = rest.len() - rest.trim_start_matches('*').len();
            }
            '[' => match class_length(rest) {
                Some(length) => {
                    text.push_str(rest.get(..length).unwrap_or_default());
                    taken = length;
                }
                None => text.push_str("[[]"),
            },
            other => text.push(other),
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    text
}

/// How many bytes the character class at the start of the text takes; `None` if it is never closed.
fn class_length(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('[')?;
    let inner = inner.strip_prefix('!').unwrap_or(inner);
    let skipped = usize::from(inner.starts_with(']'));
    let close = inner.get(skipped..)?.find(']')? + skipped;
    Some(text.len() - inner.len() + close + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::made_up::MadeUp;

    #[test]
    fn names_match_as_in_a_shell() {
        for (pattern, name, wanted) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".a.conf", false),
            (".*", ".a.conf", true),
            ("?.conf", "ab.conf", false),
            ("[ab].conf", "b.conf", true),
            ("[!ab].conf", "b.conf", false),
            ("[!]a].conf", "b.conf", true),
            ("[", "[", true),
            ("[a", "[a", true),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, name), wanted, "{pattern:?} {name:?}");
        }
    }

    #[test]
    fn paths_keep_the_spelling_of_the_pattern() {
        let source = MadeUp::new().file("/etc/d/b.conf", "").file("/etc/d/a.conf", "").file("/etc/e/x/a.conf", "");
        for (pattern, wanted) in [
            ("/etc/d/*.conf", vec!["/etc/d/a.conf", "/etc/d/b.conf"]),
            ("/etc/./d/../d/*.conf", vec!["/etc/./d/../d/a.conf", "/etc/./d/../d/b.conf"]),
            ("/etc/*/a.conf", vec!["/etc/d/a.conf"]),
            ("/etc/**/*.conf", vec!["/etc/d/a.conf", "/etc/d/b.conf"]),
            ("/etc/d/a.conf", vec!["/etc/d/a.conf"]),
            ("/etc/d/none.conf", vec![]),
            ("/etc/*/", vec!["/etc/d/", "/etc/e/"]),
        ] {
            assert_eq!(source.glob(pattern), wanted, "{pattern:?}");
        }
    }
}

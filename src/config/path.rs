//! Paths as text, treated as Python's `posixpath` treats them: Supervisor shows and compares these texts, so
//! they must come out the same to the last slash.

use super::source::Source;

/// The part before the last slash, without trailing slashes unless it is nothing but slashes.
pub(crate) fn dirname(path: &str) -> &str {
    split(path).0
}

/// Head and tail around the last slash.
pub(crate) fn split(path: &str) -> (&str, &str) {
    let at = path.rfind('/').map_or(0, |slash| slash + 1);
    let (head, tail) = path.split_at(at);
    let trimmed = head.trim_end_matches('/');
    (if trimmed.is_empty() { head } else { trimmed }, tail)
}

/// `base/path`, or `path` alone if it is absolute.
pub(crate) fn join(base: &str, path: &str) -> String {
    if path.starts_with('/') || base.is_empty() {
        return path.to_owned();
    }
    if base.ends_with('/') { format!("{base}{path}") } else { format!("{base}/{path}") }
}

/// Without `.`, `..` and doubled slashes; two leading slashes stay two, as POSIX allows them a meaning.
pub(crate) fn normalize(path: &str) -> String {
    let root = if path.starts_with("//") && !path.starts_with("///") {
        "//"
    } else if path.starts_with('/') {
        "/"
    } else {
        ""
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if parts.is_empty() && !root.is_empty() => {}
            other => parts.push(other),
        }
    }
    let joined = format!("{root}{}", parts.join("/"));
    if joined.is_empty() { ".".to_owned() } else { joined }
}

/// Absolute against the working directory, and normalized.
pub(crate) fn absolute(path: &str, source: &dyn Source) -> String {
    if path.starts_with('/') { normalize(path) } else { normalize(&join(&source.current_dir(), path)) }
}

/// With a leading `~` or `~name` replaced by that home directory; unchanged if it is not known.
pub(crate) fn expand_user(path: &str, source: &dyn Source) -> String {
    let Some(rest) = path.strip_prefix('~') else { return path.to_owned() };
    let (name, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let home = if name.is_empty() {
        match source.variable("HOME") {
            Some(home) => Some(home.to_owned()),
            None => source.user_by_uid(source.uid()).map(|account| account.home),
        }
    } else {
        source.user_by_name(name).map(|account| account.home)
    };
    let Some(home) = home else { return path.to_owned() };
    let expanded = format!("{}{tail}", home.trim_end_matches('/'));
    if expanded.is_empty() { "/".to_owned() } else { expanded }
}

/// Home expanded, absolute and normalized: what Supervisor does to its own paths.
pub(crate) fn resolve(path: &str, source: &dyn Source) -> String {
    absolute(&expand_user(path, source), source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::made_up::MadeUp;

    #[test]
    fn normalizing_follows_posix() {
        for (given, wanted) in [
            ("", "."),
            ("a//b/./c", "a/b/c"),
            ("/../a", "/a"),
            ("//a", "//a"),
            ("///a", "/a"),
            ("a/..", "."),
            ("../a", "../a"),
            ("../../a/../b", "../../b"),
            ("/a/b/../../..", "/"),
        ] {
            assert_eq!(normalize(given), wanted, "{given:?}");
        }
    }

    #[test]
    fn the_directory_of_a_path_keeps_only_root_slashes() {
        for (given, wanted) in [("a", ""), ("/a", "/"), ("//a", "//"), ("a//b", "a"), ("a/", "a"), ("", "")] {
            assert_eq!(dirname(given), wanted, "{given:?}");
        }
    }

    #[test]
    fn homes_are_found_by_variable_by_name_or_left_alone() {
        let source = MadeUp::new().variable("HOME", "/home/me/").account("galaxy", 1001, 1001, "/srv/galaxy");
        for (given, wanted) in [
            ("~", "/home/me"),
            ("~/x", "/home/me/x"),
            ("~galaxy/x", "/srv/galaxy/x"),
            ("~nobody-here/x", "~nobody-here/x"),
            ("a~", "a~"),
        ] {
            assert_eq!(expand_user(given, &source), wanted, "{given:?}");
        }
    }
}

//! What many processes have in common that fail: one line for the database that is down instead of five hundred.

use indexmap::IndexMap;

use super::explanation::Explanation;

/// Fewer are read one by one.
pub(super) const TOGETHER_MIN: usize = 4;

/// Names shown of each.
const NAMES_MAX: usize = 3;

/// One line for each cause that several failing processes share, the most frequent first.
pub(super) fn lines(explanations: &[Explanation]) -> Vec<String> {
    let mut causes: IndexMap<&str, Vec<String>> = IndexMap::new();
    for one in explanations.iter().filter(|one| matches!(one.statename.as_str(), "BACKOFF" | "FATAL")) {
        causes.entry(cause(&one.reason)).or_default().push(one.namespec());
    }
    let mut causes: Vec<_> = causes.into_iter().filter(|(_, names)| names.len() >= TOGETHER_MIN).collect();
    causes.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    causes.iter().map(|(cause, names)| line(cause, names)).collect()
}

fn line(cause: &str, names: &[String]) -> String {
    let count = names.len();
    let shown = names.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>().join(", ");
    let others = count.saturating_sub(NAMES_MAX);
    format!("galaxyctl: {count} processes fail for the same reason, {cause}: {shown} and {others} more")
}

/// The part of a reason that does not tell one process or moment from another: without its second half, which says what
/// follows, and without times.
fn cause(reason: &str) -> &str {
    let first = reason.split_once("; ").map_or(reason, |(first, _)| first);
    first.split_once(" after ").map_or(first, |(before, _)| before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(name: &str, statename: &str, reason: &str) -> Explanation {
        Explanation { name: name.to_owned(), ..Explanation::bare(statename, reason) }
    }

    #[test]
    fn processes_that_fail_alike_are_one_line_and_others_none() {
        let quick = |seconds: &str| {
            format!(
                "ended too quickly: exit status 1 after {seconds} seconds, less than 1 second (startsecs); the next start is in 2 seconds"
            )
        };
        let all = [
            failed("a", "BACKOFF", &quick("0.01")),
            failed("b", "FATAL", &quick("0.2")),
            failed("c", "BACKOFF", "can't find command 'c'"),
            failed("d", "BACKOFF", &quick("0.3")),
            failed("e", "RUNNING", "runs"),
            failed("f", "STOPPED", &quick("1")),
        ];
        assert_eq!(lines(&all), Vec::<String>::new(), "three are no crowd");
        let more =
            [all.to_vec(), vec![failed("h", "BACKOFF", &quick("0.4")), failed("i", "BACKOFF", &quick("0.5"))]].concat();
        assert_eq!(
            lines(&more),
            [
                "galaxyctl: 5 processes fail for the same reason, ended too quickly: exit status 1: g:a, g:b, g:d and 2 more"
            ]
        );
    }
}

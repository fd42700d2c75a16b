//! Formats that give known texts back: fixed text escaped, a number that counts along written as `%(process_num)d`.

/// Expands to nothing, wherever `here` is known.
pub(super) const SPACER: &str = "%(here).0s";
/// Expands to one blank.
const BLANK: &str = "%(here)1.0s";
/// Expands to a slash: `here` is absolute.
const SLASH: &str = "%(here).1s";

/// The text with its percent signs doubled.
pub(super) fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}

/// A format for a process name: blanks and slashes, which Supervisor refuses in the format, come by expansion.
pub(super) fn without_marks(format: &str) -> String {
    format.replace(' ', BLANK).replace('/', SLASH)
}

/// A format that gives each text for its number; `None` if there is none of the kind we know.
pub(super) fn counting(texts: &[(i64, &str)]) -> Option<String> {
    let (first, others) = texts.split_first()?;
    if others.iter().all(|(_, text)| *text == first.1) {
        return Some(escaped(first.1));
    }
    let split: Vec<Vec<&str>> = texts.iter().map(|(_, text)| runs(text)).collect();
    let width = split.first()?.len();
    if split.iter().any(|runs| runs.len() != width) {
        return None;
    }
    let mut format = String::new();
    for at in 0..width {
        let column: Option<Vec<(i64, &str)>> =
            texts.iter().zip(&split).map(|((number, _), runs)| Some((*number, *runs.get(at)?))).collect();
        format.push_str(&counting_run(&column?)?);
    }
    Some(format)
}

/// The text cut where digits begin or end.
fn runs(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        found.push(run);
        rest = tail;
    }
    found
}

/// A format for one run: the same text everywhere, or fixed digits around the number.
fn counting_run(column: &[(i64, &str)]) -> Option<String> {
    let (_, first) = column.first()?;
    if column.iter().all(|(_, run)| run == first) {
        return Some(escaped(first));
    }
    for (before, _) in first.char_indices() {
        let prefix = first.get(..before)?;
        for (after, _) in first.char_indices().skip(1).chain([(first.len(), ' ')]).filter(|(after, _)| *after > before)
        {
            let suffix = first.get(after..)?;
            let numbers: Option<Vec<(i64, &str)>> = column
                .iter()
                .map(|(number, run)| Some((*number, run.strip_prefix(prefix)?.strip_suffix(suffix)?)))
                .collect();
            if let Some(conversion) = numbers.and_then(|numbers| conversion(&numbers)) {
                return Some(format!("{prefix}%(process_num){conversion}{suffix}"));
            }
        }
    }
    None
}

/// `d` or `0Wd`, whichever writes every number so.
fn conversion(numbers: &[(i64, &str)]) -> Option<String> {
    if numbers.iter().all(|(number, text)| number.to_string() == *text) {
        return Some("d".to_owned());
    }
    let width = numbers.iter().map(|(_, text)| text.len()).min()?;
    numbers.iter().all(|(number, text)| format!("{number:0width$}") == *text).then(|| format!("0{width}d"))
}

/// Numbers that the names may have been counted with, the most natural first: those that one run of digits shows,
/// then the same without leading digits that all share.
pub(super) fn countings(names: &[&str]) -> Vec<Vec<i64>> {
    let split: Vec<Vec<&str>> = names.iter().map(|name| runs(name)).collect();
    let Some(first) = split.first() else { return Vec::new() };
    let mut found = Vec::new();
    for at in 0..first.len() {
        let column: Option<Vec<&str>> = split.iter().map(|runs| runs.get(at).copied()).collect();
        let Some(column) = column else { continue };
        for skipped in 0..column.iter().map(|run| run.len()).min().unwrap_or(0) {
            let numbers: Option<Vec<i64>> =
                column.iter().map(|run| run.get(skipped..).and_then(|digits| digits.parse().ok())).collect();
            if let Some(numbers) = numbers.filter(|numbers| is_count(numbers)) {
                found.push(numbers);
            }
        }
    }
    found
}

/// Whether the numbers, in some order, follow one another.
fn is_count(numbers: &[i64]) -> bool {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).all(|pair| matches!(pair, [left, right] if left + 1 == *right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_count_along_become_templates() {
        for (texts, wanted) in [
            (&[(0, "a"), (1, "a")][..], Some("a")),
            (&[(0, "50%"), (1, "50%")], Some("50%%")),
            (&[(0, "run 8080"), (1, "run 8081")], Some("run 808%(process_num)d")),
            (&[(8, "h_08"), (9, "h_09"), (10, "h_10")], Some("h_%(process_num)02d")),
            (&[(9, "h9"), (10, "h10")], Some("h%(process_num)d")),
            (&[(1, "10x1"), (2, "20x2")], Some("%(process_num)d0x%(process_num)d")),
            (&[(0, "a"), (1, "b")], None),
            (&[(0, "x0"), (1, "x2")], None),
        ] {
            assert_eq!(counting(texts).as_deref(), wanted, "{texts:?}");
        }
    }

    #[test]
    fn names_show_how_they_were_counted() {
        assert_eq!(countings(&["p_10", "p_11"]), [vec![10, 11], vec![0, 1]]);
        assert_eq!(countings(&["p2_1", "p2_0"]), [vec![1, 0]]);
        assert!(countings(&["a", "b"]).is_empty());
    }
}

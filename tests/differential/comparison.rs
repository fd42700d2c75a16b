//! Two observations side by side.

use crate::observation::Observation;
use crate::scenario::Scenario;

/// What came of comparing two observations.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// How many pieces were compared.
    pub(crate) pieces: usize,
    /// Differences that nobody meant, ready to be printed.
    pub(crate) differences: Vec<String>,
    /// Names of the meant ones that were seen.
    pub(crate) named: Vec<String>,
}

impl Comparison {
    pub(crate) fn of(scenario: &Scenario, original: &Observation, ours: &Observation) -> Comparison {
        let mut comparison = Comparison::default();
        for (who, observation) in [("the original", original), ("galaxyd", ours)] {
            if let Some(failure) = &observation.failure {
                comparison.differences.push(format!("{who} could not play it to the end: {failure}"));
            }
        }
        for name in names(original, ours) {
            comparison.pieces += 1;
            let lines = difference(piece(original, &name), piece(ours, &name));
            match scenario.expected.iter().find(|expected| expected.piece == name) {
                Some(expected) if expected.lines == lines => comparison.named.push(expected.name.clone()),
                Some(expected) => comparison.differences.push(format!(
                    "{name}: not as the difference `{}` says:\n{}\nit says:\n{}",
                    expected.name,
                    indented(&lines),
                    indented(&expected.lines)
                )),
                None if lines.is_empty() => {}
                None => comparison.differences.push(format!("{name}:\n{}", indented(&lines))),
            }
        }
        for expected in &scenario.expected {
            if !names(original, ours).contains(&expected.piece) {
                comparison.differences.push(format!("there is no piece `{}`", expected.piece));
            }
        }
        comparison
    }
}

/// The names of all pieces, in the original's order, then those that ours alone has.
fn names(original: &Observation, ours: &Observation) -> Vec<String> {
    let mut names: Vec<String> = original.pieces.iter().map(|(name, _)| name.clone()).collect();
    for (name, _) in &ours.pieces {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn piece<'a>(observation: &'a Observation, name: &str) -> Option<&'a str> {
    observation.pieces.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// The lines that differ, `-` the original's and `+` ours, by the longest common subsequence. A piece that one side does
/// not have differs from an empty one.
fn difference(original: Option<&str>, ours: Option<&str>) -> Vec<String> {
    if original == ours {
        return Vec::new();
    }
    let lines = |text: Option<&str>| -> Vec<String> {
        text.map_or_else(|| vec!["(nothing)".to_owned()], |text| text.split('\n').map(visible).collect())
    };
    let (left, right) = (lines(original), lines(ours));
    let mut lengths = vec![vec![0_usize; right.len() + 1]; left.len() + 1];
    for row in (0..left.len()).rev() {
        for column in (0..right.len()).rev() {
            lengths[row][column] = if left[row] == right[column] {
                lengths[row + 1][column + 1] + 1
            } else {
                lengths[row + 1][column].max(lengths[row][column + 1])
            };
        }
    }
    let (mut row, mut column, mut changes) = (0, 0, Vec::new());
    while row < left.len() || column < right.len() {
        if row < left.len() && column < right.len() && left[row] == right[column] {
            (row, column) = (row + 1, column + 1);
        } else if column == right.len() || (row < left.len() && lengths[row + 1][column] >= lengths[row][column + 1]) {
            changes.push(format!("-{}", left[row]));
            row += 1;
        } else {
            changes.push(format!("+{}", right[column]));
            column += 1;
        }
    }
    changes
}

/// Control characters written out, so that a difference of blanks and escapes can be seen and written down.
fn visible(line: &str) -> String {
    line.chars()
        .map(|letter| if letter.is_control() { letter.escape_default().to_string() } else { letter.to_string() })
        .collect()
}

//! What the scripts of the page ask for: states and descriptions, and the outcome of an action.

use serde_json::json;

use super::action::Outcome;
use super::escape::visible;
use super::snapshot::Snapshot;

/// The present states and a token for the next action. The script renews the table itself only when a state or a name
/// has changed.
#[must_use]
pub fn live_json(snapshot: &Snapshot, token: &str) -> String {
    let rows: Vec<_> = snapshot
        .rows
        .iter()
        .map(|row| json!([shown(&row.namespec()), shown(&row.state), shown(&row.description)]))
        .collect();
    json!({ "token": token, "rows": rows }).to_string()
}

/// What came of an action.
#[must_use]
pub fn outcome_json(outcome: &Outcome) -> String {
    json!({ "message": shown(&outcome.text), "failed": outcome.failed }).to_string()
}

/// As the page shows it; the script sets text, never markup.
fn shown(text: &str) -> String {
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::tests::snapshot;
    use super::*;

    #[test]
    fn the_script_gets_what_the_table_shows() {
        let snapshot = snapshot(&[("g", "web", "RUNNING", "<b>\u{1b}[1m")]);
        assert_eq!(live_json(&snapshot, "T"), r#"{"token":"T","rows":[["g:web","running","<b>␛[1m"]]}"#);
        let outcome = Outcome { text: "Process \"x\"".to_owned(), failed: true };
        assert_eq!(outcome_json(&outcome), r#"{"message":"Process \"x\"","failed":true}"#);
    }
}

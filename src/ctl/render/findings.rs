//! What Galaxy's rules found, for a person and for a program.

use serde_json::{Value, json};

use super::harmless::acts;
use crate::galaxy::Finding;

/// Three lines for each finding, an empty one behind it.
pub(crate) fn findings_text(findings: &[Finding]) -> String {
    let told = findings.iter().map(|finding| {
        let rule = finding.rule;
        let place = finding.place.as_ref().map(|place| format!("{}:{}: ", place.file.display(), place.line));
        let found = visible(&format!("{}{}", place.unwrap_or_default(), finding.text));
        format!(
            "{}[{}]: {}\n  {found}\n  if ignored: {}\n  remedy: {}\n\n",
            rule.severity.word(),
            rule.code,
            rule.title,
            rule.consequence,
            rule.remedy
        )
    });
    told.collect()
}

/// Text of a file without what acts on a terminal.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() || acts(letter) { shown.extend(letter.escape_default()) } else { shown.push(letter) }
    }
    shown
}

/// A list of objects; `file` and `line` are null where nothing is written that is wrong.
pub(crate) fn findings_json(findings: &[Finding]) -> Value {
    let entries = findings.iter().map(|finding| {
        let rule = finding.rule;
        json!({
            "code": rule.code,
            "severity": rule.severity,
            "title": rule.title,
            "file": finding.place.as_ref().map(|place| place.file.to_string_lossy()),
            "line": finding.place.as_ref().map(|place| place.line),
            "message": finding.text,
            "consequence": rule.consequence,
            "remedy": rule.remedy,
        })
    });
    entries.collect()
}

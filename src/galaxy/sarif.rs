//! Findings as SARIF 2.1.0, which code scanning reads.

use std::fmt::Write;

use serde_json::{Value, json};

use super::deployment::Location;
use super::finding::{Finding, Severity};
use super::rules::{RULES, Rule};

/// A problem of the configuration itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// The code of a rule, where it is one's.
    pub rule: Option<&'static str>,
    pub severity: Severity,
    pub text: String,
    pub place: Option<Location>,
}

/// The log of one check: what the rules found, and what else is wrong.
#[must_use]
pub fn sarif(findings: &[Finding], others: &[Other]) -> Value {
    let problems = others
        .iter()
        .map(|other| result(other.rule.unwrap_or("configuration"), other.severity, &other.text, other.place.as_ref()));
    let mut results: Vec<Value> = problems.collect();
    results.extend(findings.iter().map(|finding| {
        let text = format!("{}: {}", finding.rule.title, finding.text);
        result(finding.rule.code, finding.rule.severity, &text, finding.place.as_ref())
    }));
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "galaxyctl check",
                "version": crate::VERSION,
                "rules": RULES.iter().map(described).collect::<Vec<_>>(),
            }},
            "results": results,
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "note",
    }
}

fn described(rule: &Rule) -> Value {
    json!({
        "id": rule.code,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": format!("If ignored: {}.", rule.consequence)},
        "help": {"text": format!("{}. From: {}.", rule.remedy, rule.reference)},
        "defaultConfiguration": {"level": level(rule.severity)},
    })
}

fn result(code: &str, severity: Severity, text: &str, place: Option<&Location>) -> Value {
    let locations: Vec<_> = place
        .into_iter()
        .map(|place| {
            json!({"physicalLocation": {
                "artifactLocation": {"uri": uri(&place.file.to_string_lossy())},
                "region": {"startLine": place.line.max(1)},
            }})
        })
        .collect();
    json!({"ruleId": code, "level": level(severity), "message": {"text": text}, "locations": locations})
}

/// A path as a URI; relative ones stay relative.
fn uri(path: &str) -> String {
    let mut text = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

//! Findings as SARIF 2.1.0, which code scanning reads.

use serde_json::{Value, json};

use super::finding::{Finding, Severity};
use super::rules::{RULES, Rule};

/// The log of one check: what the rules found, and `others`, (level, text, file, line) of problems that are no rule's.
#[must_use]
pub fn sarif(findings: &[Finding], others: &[(Severity, String, Option<(String, usize)>)]) -> Value {
    let mut results: Vec<Value> = others
        .iter()
        .map(|(severity, text, place)| {
            let place = place.as_ref().map(|(file, line)| (file.as_str(), *line));
            result("configuration", *severity, text, place)
        })
        .collect();
    results.extend(findings.iter().map(|finding| {
        let file = finding.place.as_ref().map(|place| place.file.to_string_lossy());
        let place = file.as_deref().zip(finding.place.as_ref().map(|place| place.line));
        let text = format!("{}: {}", finding.rule.title, finding.text);
        result(finding.rule.code, finding.rule.severity, &text, place)
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

fn result(code: &str, severity: Severity, text: &str, place: Option<(&str, usize)>) -> Value {
    let locations: Vec<_> = place
        .into_iter()
        .map(|(file, line)| {
            json!({"physicalLocation": {
                "artifactLocation": {"uri": uri(file)},
                "region": {"startLine": line.max(1)},
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
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

//! What a rule found, and where.

use std::collections::BTreeSet;

use serde::Serialize;

use super::deployment::Location;
use super::rules::{RULES, Rule};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Jobs are lost or run twice, or the server is down.
    Error,
    /// Trouble is likely.
    Warning,
    /// It could be better.
    Advice,
}

impl Severity {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Advice => "advice",
        }
    }
}

/// One place where a rule is not kept.
#[derive(Debug, Clone)]
pub struct Finding {
    pub rule: &'static Rule,
    pub place: Option<Location>,
    /// What stands there and why it is wrong, one sentence without a full stop.
    pub text: String,
}

/// Collects findings; the processes of one program give each only once.
#[derive(Debug, Default)]
pub(super) struct Findings {
    found: Vec<Finding>,
    known: BTreeSet<(&'static str, Option<Location>, String)>,
}

impl Findings {
    pub(super) fn add(&mut self, code: &str, place: Option<Location>, text: String) {
        let rule = RULES.iter().find(|rule| rule.code == code);
        debug_assert!(rule.is_some(), "{code} is no rule");
        let Some(rule) = rule else { return };
        if self.known.insert((rule.code, place.clone(), text.clone())) {
            self.found.push(Finding { rule, place, text });
        }
    }

    /// The worst first; within one severity by place.
    pub(super) fn sorted(mut self) -> Vec<Finding> {
        self.found
            .sort_by(|a, b| (a.rule.severity, &a.place, a.rule.code).cmp(&(b.rule.severity, &b.place, b.rule.code)));
        self.found
    }
}

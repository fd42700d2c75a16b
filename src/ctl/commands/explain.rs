//! `explain [CODE]`

use serde_json::json;

use crate::ctl::exit::ExitCode;
use crate::ctl::render::Form;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;
use crate::galaxy::{RULES, Rule, rule, unchecked};

#[expect(clippy::unnecessary_wraps, reason = "commands share one signature")]
pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let wanted: Vec<&Rule> = if rest.is_empty() { RULES.iter().collect() } else { rule(rest).into_iter().collect() };
    let [first, others @ ..] = wanted.as_slice() else {
        let text = match unchecked(rest) {
            Some(one) => format!("Error: {} ({}) is not checked: {}", one.code, one.title, one.reason),
            None => format!("Error: {rest} is no rule; without a code all rules are listed"),
        };
        shell.usage(&text, "explain", ExitCode::Usage);
        return Ok(Flow::Continue);
    };
    let text = match (shell.screen.form(), others.is_empty()) {
        (Form::Json, true) => format!("{:#}\n", described(first)),
        (Form::Json, false) => {
            let rules: Vec<_> = wanted.iter().map(|rule| described(rule)).collect();
            format!("{:#}\n", json!({"rules": rules}))
        }
        (_, true) => told(first),
        (_, false) => wanted.iter().map(|rule| line(rule)).collect(),
    };
    shell.screen.write_instead(text.as_bytes());
    Ok(Flow::Continue)
}

fn described(rule: &Rule) -> serde_json::Value {
    json!({
        "code": rule.code,
        "severity": rule.severity,
        "title": rule.title,
        "consequence": rule.consequence,
        "remedy": rule.remedy,
        "reference": rule.reference,
    })
}

fn line(rule: &Rule) -> String {
    format!("{}  {:8} {}\n", rule.code, rule.severity.word(), rule.title)
}

fn told(rule: &Rule) -> String {
    format!(
        "{} ({}): {}\n\nIf ignored: {}.\nRemedy: {}.\nFrom: {}.\n",
        rule.code,
        rule.severity.word(),
        rule.title,
        rule.consequence,
        rule.remedy,
        rule.reference
    )
}

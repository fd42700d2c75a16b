//! Galaxy's rules, applied once after the start: what is found is logged, and nothing else follows from it.
//!
//! All of it, the reading of Galaxy's files too, is done by a side thread, which may hang in a file system for ever.

use super::invocation::Call;
use crate::config::Config;
use crate::galaxy::{self, Finding, Severity};
use crate::logs::{Level, log};
use crate::sys::side;

/// More lines than this are not logged; the last one says how many there are.
const TOLD_MAX: usize = 20;

/// Begins to look, where any program is known to be of Galaxy. Under Supervisor's name the log says what Supervisor's would.
pub(super) fn look(call: &Call, config: &Config) {
    if call.is_supervisord || !galaxy::concerns(config) {
        return;
    }
    let call = call.clone();
    side::run(move || {
        if let Ok(loaded) = call.load() {
            tell(&galaxy::check(&loaded, &call.source));
        }
    });
}

fn tell(findings: &[Finding]) {
    let serious: Vec<_> = findings.iter().filter(|finding| finding.rule.severity != Severity::Advice).collect();
    for finding in serious.iter().take(TOLD_MAX) {
        let place = finding.place.as_ref().map(|place| format!("{}:{}: ", place.file.display(), place.line));
        let (code, title) = (finding.rule.code, finding.rule.title);
        log(Level::Warn, &format!("{code}: {}{title}: {}", place.unwrap_or_default(), finding.text));
    }
    let untold = serious.len().saturating_sub(TOLD_MAX);
    if untold > 0 {
        log(Level::Warn, &format!("{untold} more of Galaxy's rules are not kept; galaxyctl check lists them"));
    }
}

//! `migrate FILE [--unit | --shadow [--for SECONDS]]`

use std::path::Path;
use std::time::Duration;

use super::check::{file, overrides, rendering};
use crate::cli::galaxyctl::Migration;
use crate::config::{self, Loaded, Source as _};
use crate::ctl::answer::{self, ProcessInfo};
use crate::ctl::daemon::CallError;
use crate::ctl::exit::ExitCode;
use crate::ctl::render::Form;
use crate::ctl::run::host;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;
use crate::engine::{GroupSpec, ProcessState};
use crate::migration::{self, Observed, Shadow, Transition, Verdict};
use crate::sys::clock;

/// Between two looks at the running daemon: short enough to see most states of a program that keeps failing.
const LOOK_SPACING: Duration = Duration::from_millis(200);

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let Some(path) = file(shell, rest) else {
        shell.usage("Error: no configuration file was found; name one", "migrate", ExitCode::Usage);
        return Ok(Flow::Continue);
    };
    let source = host();
    let loaded = config::load(&path, &overrides(shell), &source);
    match shell.session.migration {
        Migration::Report => {
            let report = migration::report(&loaded, source.variable("PATH"));
            let text = if shell.screen.form() == Form::Json {
                let json = serde_json::to_string_pretty(&report);
                json.map_err(|error| CallError::BadAnswer(error.to_string()))? + "\n"
            } else {
                report.text(&path)
            };
            shell.screen.write_instead(text.as_bytes());
            if !report.is_clear() {
                shell.set_exit(if report.refused { ExitCode::Usage } else { ExitCode::Generic });
            }
        }
        Migration::Unit => match usable(shell, &loaded) {
            Some(config) => {
                let path = std::path::absolute(&path).unwrap_or(path);
                shell.screen.write_instead(migration::unit(&path, config).as_bytes());
            }
            None => shell.set_exit(ExitCode::Usage),
        },
        Migration::Shadow(watch) => match usable(shell, &loaded) {
            Some(config) => {
                let groups: Vec<GroupSpec> = config.groups.iter().map(config::GroupConfig::spec).collect();
                shadow(shell, &path, &groups, watch)?;
            }
            None => shell.set_exit(ExitCode::Usage),
        },
    }
    Ok(Flow::Continue)
}

/// The configuration, or its problems on standard error.
fn usable<'a>(shell: &mut Shell, loaded: &'a Loaded) -> Option<&'a config::Config> {
    if loaded.config.is_none() {
        let problems = config::render(&loaded.problems, &loaded.files, rendering(shell));
        shell.screen.complain(problems.trim_end());
    }
    loaded.config.as_ref()
}

/// Turns to the daemon of this file for as long as it is watched.
fn shadow(shell: &mut Shell, path: &Path, groups: &[GroupSpec], watch: Duration) -> Result<(), Trouble> {
    let watched = shell.with_daemon_of(path, |shell| judge(shell, groups, watch))?;
    watched.unwrap_or(Ok(()))
}

/// Looks at the processes for as long as asked, and judges each transition.
fn judge(shell: &mut Shell, groups: &[GroupSpec], watch: Duration) -> Result<(), Trouble> {
    let mut shadow = Shadow::new(groups);
    let (mut same, mut different) = (0, 0);
    let mut all: Vec<Transition> = Vec::new();
    let is_json = shell.screen.form() == Form::Json;
    let end = clock::monotonic() + watch;
    loop {
        let value = shell.call("getAllProcessInfo", &[])?;
        let looks = answer::list(&value, ProcessInfo::read)?.iter().map(observed).collect::<Result<Vec<_>, _>>()?;
        for transition in shadow.observe(clock::wall(), &looks) {
            match transition.verdict {
                Verdict::Same => same += 1,
                Verdict::Different(_) => different += 1,
                Verdict::Untold(_) => {}
            }
            if is_json {
                all.push(transition);
            } else {
                shell.line(transition.to_string());
            }
        }
        let left = end.saturating_sub(clock::monotonic());
        if left.is_zero() {
            break;
        }
        pause(left.min(LOOK_SPACING));
    }
    let strangers: Vec<&str> = shadow.strangers().collect();
    if is_json {
        let document = serde_json::json!({
            "seconds": watch.as_secs_f64(), "transitions": all, "same": same, "different": different,
            "not_in_the_file": strangers,
        });
        shell.screen.write_instead(format!("{document:#}\n").as_bytes());
    } else {
        for stranger in strangers {
            shell.line(format!("{stranger} runs there and is not in the file; it was left out"));
        }
        let seconds = watch.as_secs_f64();
        shell.line(format!("In {seconds} s: {same} transitions as under galaxyd, {different} different"));
    }
    if different > 0 {
        shell.set_exit(ExitCode::Generic);
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a Supervisor has nothing that would wake its clients")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn observed(info: &ProcessInfo) -> Result<Observed, CallError> {
    let state = STATES.into_iter().find(|state| i64::from(state.code()) == info.state);
    let state = state.ok_or_else(|| CallError::BadAnswer(format!("{} is no state", info.state)))?;
    let small = |number: i64| i32::try_from(number).map_err(|error| CallError::BadAnswer(error.to_string()));
    Ok(Observed {
        group: info.group.clone(),
        name: info.name.clone(),
        state,
        pid: small(info.pid)?,
        start: info.start,
        stop: info.stop,
        exitstatus: small(info.exitstatus)?,
        spawnerr: info.spawnerr.clone(),
    })
}

const STATES: [ProcessState; 8] = [
    ProcessState::Stopped,
    ProcessState::Starting,
    ProcessState::Running,
    ProcessState::Backoff,
    ProcessState::Stopping,
    ProcessState::Exited,
    ProcessState::Fatal,
    ProcessState::Unknown,
];

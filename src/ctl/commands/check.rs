//! `check [FILE] [--sarif] [--live] [--proxy FILE]...`

use std::path::{Path, PathBuf};

use crate::config::{self, Loaded, Overrides, Plugins, Rendering, Source as _};
use crate::ctl::exit::ExitCode;
use crate::ctl::live;
use crate::ctl::render::{Colour, Form, findings_json, findings_text};
use crate::ctl::run::host;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;
use crate::galaxy::{self, Finding, Location, Other, Severity, Surroundings};

/// The format that `--sarif` asks for; of the command line only.
const SARIF: &str = "sarif";

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let Some(path) = file(shell, rest) else {
        shell.usage("Error: no configuration file was found; name one", "check", ExitCode::Usage);
        return Ok(Flow::Continue);
    };
    let source = host();
    let mut loaded = config::load(&path, &overrides(shell), &source);
    let mut surroundings = Surroundings::default();
    if !shell.session.beside.proxy.is_empty() {
        match galaxy::read_proxy(&shell.session.beside.proxy, &source) {
            Ok(proxy) => surroundings.proxy = Some(proxy),
            Err(error) => {
                shell.problem(format!("Error: {error}"), None);
                shell.set_exit(ExitCode::Usage);
                return Ok(Flow::Continue);
            }
        }
    }
    if shell.session.beside.live {
        let Some(processes) = live::processes(shell, &path, &loaded)? else { return Ok(Flow::Continue) };
        surroundings.processes = processes;
        surroundings.databases = live::databases(shell, &loaded);
    }
    let findings = galaxy::check_beside(&loaded, &source, &surroundings);
    galaxy::refuse_twins(&mut loaded, Path::new(&source.current_dir()));
    let exit = exit(&loaded, &findings);
    if exit != ExitCode::Success {
        shell.set_exit(exit);
    }
    let text = match rendering(shell) {
        _ if shell.session.format == SARIF => sarif(&loaded, &findings),
        Rendering::Json => {
            let mut document = config::report(&path, &loaded.problems);
            if let Some(members) = document.as_object_mut() {
                members.insert("findings".to_owned(), findings_json(&findings));
            }
            format!("{document:#}\n")
        }
        drawn => plain(&path, &loaded, &findings, drawn),
    };
    shell.screen.write_instead(text.as_bytes());
    Ok(Flow::Continue)
}

/// The worst of what was found decides.
fn exit(loaded: &Loaded, findings: &[Finding]) -> ExitCode {
    if loaded.problems.has_errors() {
        return ExitCode::Usage;
    }
    let of_reader = loaded.problems.iter().filter_map(|problem| galaxy::rule(problem.rule?));
    let rules = findings.iter().map(|finding| finding.rule).chain(of_reader);
    match rules.map(|rule| rule.severity).min() {
        Some(Severity::Error) => ExitCode::Generic,
        Some(Severity::Warning) => ExitCode::Warned,
        Some(Severity::Advice) | None => ExitCode::Success,
    }
}

fn plain(path: &Path, loaded: &Loaded, findings: &[Finding], rendering: Rendering) -> String {
    let mut text = config::render(&loaded.problems, &loaded.files, rendering);
    text.push_str(&findings_text(findings));
    text.push_str(&config::verdict(path, loaded));
    text
}

fn sarif(loaded: &Loaded, findings: &[Finding]) -> String {
    let others = loaded.problems.iter().map(|problem| Other {
        severity: match problem.severity {
            config::Severity::Error => Severity::Error,
            config::Severity::Warning => Severity::Warning,
        },
        rule: problem.rule,
        text: problem.message.clone(),
        place: problem.place.as_ref().map(|place| Location { file: place.file.clone(), line: place.line }),
    });
    format!("{:#}\n", galaxy::sarif(findings, &others.collect::<Vec<_>>()))
}

/// What the client's command line says about reading a configuration.
pub(super) fn overrides(shell: &Shell) -> Overrides {
    Overrides { ignore_plugins: shell.session.plugins == Plugins::Ignored, ..Overrides::default() }
}

/// The named file, or the one in use.
pub(super) fn file(shell: &Shell, rest: &str) -> Option<PathBuf> {
    if rest.is_empty() { shell.session.configuration.clone() } else { Some(rest.into()) }
}

pub(super) fn rendering(shell: &Shell) -> Rendering {
    match shell.screen.form() {
        Form::Json => Rendering::Json,
        Form::Table(Colour::On) => Rendering::Coloured,
        Form::Table(Colour::Off) | Form::Plain => Rendering::Plain,
    }
}

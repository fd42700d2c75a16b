//! `follow [NAME...]`: what services write to their logs from now on, with their last lines before.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::config::{self, LogFile, Overrides};
use crate::ctl::deployment::chosen;
use crate::ctl::exit::ExitCode;
use crate::ctl::run::host;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;

/// Bytes of one piece that is shown.
const PIECE: usize = 64 * 1024;

#[expect(clippy::unnecessary_wraps, reason = "commands share one signature")]
pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let Some(path) = shell.galaxy_yml() else {
        shell.usage("Error: follow is for a galaxy.yml: name it with -c", "follow", ExitCode::Usage);
        return Ok(Flow::Continue);
    };
    let source = host();
    let names: Vec<&str> = rest.split_whitespace().collect();
    let instances = config::galaxy_instances(&path, &source);
    let processes: Vec<String> = chosen(&instances, &names).into_iter().map(|(_, process)| process).collect();
    let loaded = config::load(&path, &Overrides::default(), &source).config;
    let logs: Vec<PathBuf> = loaded
        .iter()
        .flat_map(|config| &config.groups)
        .flat_map(|group| {
            let is_chosen = |name: &str| {
                processes
                    .iter()
                    .any(|chosen| *chosen == format!("{}:{name}", group.name) || (chosen == name && group.name == name))
            };
            group.processes.iter().filter(move |process| is_chosen(&process.name)).filter_map(|process| match &process
                .stdout
                .file
            {
                LogFile::Path(path) => Some(PathBuf::from(path)),
                LogFile::Auto | LogFile::None => None,
            })
        })
        .collect();
    let followed = if logs.is_empty() { Err(format!("there is no service {rest}")) } else { follow(shell, &logs) };
    if let Err(text) = followed {
        shell.problem(format!("Error: {text}"), None);
        shell.set_exit(ExitCode::Generic);
    }
    Ok(Flow::Continue)
}

/// Until Ctrl-C, which ends both.
#[expect(clippy::disallowed_methods, reason = "the client has no children that somebody else collects")]
fn follow(shell: &mut Shell, logs: &[PathBuf]) -> Result<(), String> {
    let mut tail = Command::new("tail")
        .args(["-n", "10", "-F"])
        .args(logs)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("tail cannot be started: {error}"))?;
    let Some(mut output) = tail.stdout.take() else { return Ok(()) };
    let mut piece = vec![0; PIECE];
    loop {
        match output.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(count) => shell.screen.write_text(piece.get(..count).unwrap_or_default()),
        }
    }
    tail.wait().map_err(|error| format!("tail: {error}"))?;
    Ok(())
}

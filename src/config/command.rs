//! Finding the file that a command names, with Supervisor's rules and texts.
//!
//! Touches the file system, so the daemon does it on a side thread, never in its control loop.

use std::ffi::CString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::literal::literal;
use super::model::ProcessConfig;
use super::shlex;
use crate::engine::SpawnError;

/// Searched when neither the program nor the daemon has a `PATH`.
const DEFAULT_PATH: &str = "/bin:/usr/bin:/usr/local/bin";

/// A command that can be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What is executed; relative to the daemon's directory if it is relative.
    pub file: String,
    pub argv: Vec<String>,
}

/// Splits `process.command` and finds its file: as it is if it has a slash, else the first that exists in `PATH` of
/// the program's `environment=`, or of the daemon (`daemon_path`).
///
/// Source: Supervisor 4.3 `[program:x] command`.
///
/// # Errors
/// What keeps it from being executed, in Supervisor's `spawnerr` texts.
pub fn find_command(process: &ProcessConfig, daemon_path: Option<&str>) -> Result<Command, SpawnError> {
    let argv = shlex::split(&process.command).map_err(|error| {
        SpawnError::NotExecutable(format!("can't parse command {}: {error}", literal(&process.command)))
    })?;
    let Some(program) = argv.first().cloned() else {
        return Err(SpawnError::NotExecutable("command is empty".to_owned()));
    };
    let file = if program.contains('/') {
        program
    } else {
        let daemon_path = daemon_path.filter(|path| !path.is_empty()).unwrap_or(DEFAULT_PATH);
        let path = process.environment.get("PATH").map_or(daemon_path, String::as_str);
        path.split(':')
            .map(|folder| {
                if folder.is_empty() { program.clone() } else { format!("{}/{program}", folder.trim_end_matches('/')) }
            })
            .find(|candidate| Path::new(candidate).exists())
            .unwrap_or(program)
    };
    check(&file)?;
    Ok(Command { file, argv })
}

fn check(file: &str) -> Result<(), SpawnError> {
    let Ok(metadata) = std::fs::metadata(file) else {
        return Err(SpawnError::NotFound(file.to_owned()));
    };
    let refused = |text: String| Err(SpawnError::NotExecutable(text));
    if metadata.is_dir() {
        return refused(format!("command at {} is a directory", literal(file)));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return refused(format!("command at {} is not executable", literal(file)));
    }
    let permitted = CString::new(file)
        .is_ok_and(|path| nix::unistd::access(path.as_c_str(), nix::unistd::AccessFlags::X_OK).is_ok());
    if !permitted {
        return refused(format!("no permission to run command {}", literal(file)));
    }
    Ok(())
}

//! What a process of Galaxy stands on: the files it reads when it starts, and the release of the code it loads.

use std::path::PathBuf;

use super::deployment::{Galaxy, absolute};
use super::program::Invocation;
use crate::config::{ProcessConfig, Source};

/// What a start now would read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Footing {
    /// Absolute paths: Galaxy's configuration and its job configuration.
    pub files: Vec<PathBuf>,
    /// Galaxy's release, such as `26.1.2`; `None`: not found, or no process of Galaxy's own code.
    pub version: Option<String>,
}

/// Looks files up: not for the control loop. Empty for a program that is not known to be of Galaxy.
#[must_use]
pub fn footing(process: &ProcessConfig, source: &dyn Source) -> Footing {
    let Some(invocation) = Invocation::of(&process.command) else { return Footing::default() };
    let mut footing = Footing::default();
    let is_galaxy = invocation.role.is_galaxy();
    if let Some(named) = invocation.configuration(process) {
        let path = absolute(named, process, source);
        if is_galaxy {
            let jobs = Galaxy::read(&path, source).jobs_file;
            let is_own = !jobs.as_os_str().is_empty() && jobs != path && source.exists(&jobs);
            footing.files.extend(is_own.then_some(jobs));
        }
        footing.files.insert(0, path);
    }
    if is_galaxy {
        footing.version = version_files(process, &invocation, source)
            .into_iter()
            .find_map(|path| version(&String::from_utf8(source.read(&path).ok()?).ok()?));
    }
    footing
}

/// Where Galaxy's release may be written, in Python's order: `PYTHONPATH`, the checkout, the virtual environment.
fn version_files(process: &ProcessConfig, invocation: &Invocation, source: &dyn Source) -> Vec<PathBuf> {
    const RELEASE: &str = "galaxy/version.py";
    let path = process.environment.get("PYTHONPATH").map(String::as_str).unwrap_or_default();
    let roots = path.split(':').filter(|root| !root.is_empty()).chain(["lib"]);
    let mut files: Vec<PathBuf> = roots.map(|root| absolute(root, process, source).join(RELEASE)).collect();
    let beside = invocation.words.first().and_then(|word| word.rsplit_once("/bin/")).map(|(root, _)| root);
    let environment = process.environment.get("VIRTUAL_ENV").map(String::as_str);
    for root in [environment, beside].into_iter().flatten() {
        let root = absolute(root, process, source);
        let pattern = format!("{}/lib/python*/site-packages/{RELEASE}", root.display());
        files.extend(source.glob(&pattern).into_iter().map(PathBuf::from));
    }
    files
}

/// The release in an answer to `/api/version`; `None`: it is none. Source: Galaxy 26.1, `ConfigurationManager`.
#[must_use]
pub fn told_release(answer: &[u8]) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_slice(answer).ok()?;
    let part = |name: &str| answer.get(name).and_then(serde_json::Value::as_str);
    Some(release(part("version_major")?, part("version_minor").unwrap_or_default()))
}

fn release(major: &str, minor: &str) -> String {
    if minor.is_empty() { major.to_owned() } else { format!("{major}.{minor}") }
}

/// `VERSION_MAJOR` and `VERSION_MINOR`. Source: Galaxy 26.1, `lib/galaxy/version.py`.
fn version(text: &str) -> Option<String> {
    let value = |name: &str| {
        let (_, value) = text.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == name)?;
        Some(value.trim().trim_matches(['"', '\'']).to_owned())
    };
    let major = value("VERSION_MAJOR")?;
    Some(release(&major, &value("VERSION_MINOR").unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_as_galaxy_writes_them() {
        let text = "VERSION_MAJOR = \"26.1\"\nVERSION_MINOR = \"2\"\nVERSION = VERSION_MAJOR + VERSION_MINOR\n";
        assert_eq!(version(text).as_deref(), Some("26.1.2"));
        assert_eq!(version("VERSION_MAJOR = '26.2'\nVERSION_MINOR = ''\n").as_deref(), Some("26.2"));
        assert_eq!(version("__version__ = '1'\n"), None);
    }

    #[test]
    fn what_a_server_says_is_the_release_that_its_files_say() {
        let told = |text: &str| told_release(text.as_bytes());
        let answer = "{\"version_major\": \"26.1\", \"version_minor\": \"2\", \"extra\": {}}";
        assert_eq!(told(answer).as_deref(), Some("26.1.2"));
        assert_eq!(told("{\"version_major\": \"26.2\", \"version_minor\": \"\"}").as_deref(), Some("26.2"));
        assert_eq!((told("{}"), told("<html>"), told("{\"version_major\": 26}")), (None, None, None));
    }
}

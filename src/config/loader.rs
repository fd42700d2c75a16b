//! A file's name to a whole [`Config`] and everything that is wrong with it.

use std::path::{Path, PathBuf};

use super::assembly::{Assembly, dialect_of};
use super::daemon;
use super::groups::groups;
use super::model::Config;
use super::overrides::Overrides;
use super::problem::{Problem, Problems};
use super::raw::Dialect;
use super::reader::Reader;
use super::servers::{refuse_extra_keys, rpc_interfaces, servers};
use super::source::Source;
use super::suspicion;

/// What loading found.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// `None` if there is any error.
    pub config: Option<Config>,
    pub problems: Problems,
    /// Every file that was read, the main one first, with its text.
    pub files: Vec<(PathBuf, String)>,
    /// Lines that Supervisor logs at INFO about included files.
    pub infos: Vec<String>,
}

/// Reads, checks and completes a configuration. Nothing is changed on the host.
///
/// The dialect goes by the name: `.toml` is the native one, everything else is Supervisor's ini.
pub fn load(path: &Path, overrides: &Overrides, source: &dyn Source) -> Loaded {
    let name = path.to_string_lossy();
    let mut assembly = Assembly::new(source);
    if !assembly.read_main(&name) {
        return finish(assembly, None);
    }
    assembly.read_included(&name);
    let Assembly { sections, files, directories, mut problems, infos, .. } = assembly;
    if dialect_of(&name) == Dialect::Ini && !sections.sections.contains_key("supervisord") {
        let problem = Problem::error(".ini file does not include supervisord section");
        problems.push(problem.help("add a line [supervisord]; it may be empty"));
    }
    let mut reader = Reader::new(&sections, source, &mut problems, &name, &directories);
    let section = daemon::section(&mut reader);
    let rpcinterfaces = rpc_interfaces(&mut reader);
    let mut groups = groups(&mut reader);
    let servers = servers(&mut reader);
    let daemon = daemon::settle(&mut reader, section, overrides);
    refuse_extra_keys(&mut reader);
    for process in groups.iter_mut().flat_map(|group| &mut group.processes) {
        let own = std::mem::replace(&mut process.environment, daemon.environment.clone());
        process.environment.extend(own);
    }
    let config = Config { daemon, servers, groups, rpcinterfaces };
    suspicion::report(&mut reader, &config, &files);
    problems.locate(&files);
    let config = (!problems.has_errors()).then_some(config);
    Loaded { config, problems, files, infos }
}

fn finish(assembly: Assembly<'_>, config: Option<Config>) -> Loaded {
    let Assembly { files, mut problems, infos, .. } = assembly;
    problems.locate(&files);
    Loaded { config, problems, files, infos }
}

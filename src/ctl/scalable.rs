//! The program that `scale` is about: the file with its number, and the processes that this number makes.

use std::path::{Path, PathBuf};

use super::name;
use crate::config::{self, Config, GalaxyCount, HostSource, Overrides, ProcessConfig};

/// A program whose number of processes stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scalable {
    /// As a person writes it: `galaxy:handler`.
    pub(super) name: String,
    /// The groups of its processes.
    pub(super) groups: Vec<String>,
    /// Where its number stands.
    pub(super) file: PathBuf,
    /// `group:process`.
    pub(super) processes: Vec<String>,
}

impl Scalable {
    /// What the configuration says of the program, as `source` shows it.
    ///
    /// # Errors
    /// It cannot be scaled, or not so; for a person.
    pub(super) fn read(path: &Path, word: &str, source: &HostSource) -> Result<Scalable, String> {
        let loaded = config::load(path, &Overrides { ignore_plugins: true, ..Overrides::default() }, source);
        let unusable = || format!("{} cannot be used with that many: galaxyctl check says why", path.display());
        let config = loaded.config.as_ref().ok_or_else(unusable)?;
        if config::is_galaxy_yml(path) { of_galaxy(path, word, source) } else { of_section(config, path, word) }
    }
}

/// A section with a `numprocs_file`.
fn of_section(config: &Config, path: &Path, word: &str) -> Result<Scalable, String> {
    let members = members(config, word);
    let Some((group, first)) = members.first() else {
        return Err(format!("{word} is no program of {}; write GROUP:PROGRAM", path.display()));
    };
    if members.iter().any(|(other, one)| other != group || one.section != first.section) {
        return Err(format!("{word} is several programs; write GROUP:PROGRAM"));
    }
    let program = first.section.split_once(':').map_or(first.section.as_str(), |(_, name)| name);
    let Some(file) = &first.extras.numprocs_file else {
        return Err(format!(
            "[{}] names no file for the number: add `numprocs_file = /var/lib/galaxyd/{program}.numprocs` and update; numprocs is not edited",
            first.section,
        ));
    };
    Ok(Scalable {
        name: format!("{group}:{program}"),
        groups: vec![(*group).to_owned()],
        file: file.into(),
        processes: members.iter().map(|(group, one)| name::join(group, &one.name)).collect(),
    })
}

/// The processes of `program` or `group:program`, with their group.
fn members<'c>(config: &'c Config, word: &str) -> Vec<(&'c str, &'c ProcessConfig)> {
    let (group, program) = word.split_once(':').map_or((None, word), |(group, program)| (Some(group), program));
    let groups = config.groups.iter().filter(|one| group.is_none_or(|group| one.name == group));
    let processes = groups.flat_map(|group| group.processes.iter().map(|one| (group.name.as_str(), one)));
    processes.filter(|(_, one)| one.section.strip_prefix("program:") == Some(program)).collect()
}

/// An entry of `handlers:` with a `processes_file`; `handler`, or `main:handler` where an instance has a name.
fn of_galaxy(path: &Path, word: &str, source: &HostSource) -> Result<Scalable, String> {
    let (instance, entry) = word.split_once(':').map_or((None, word), |(instance, entry)| (Some(instance), entry));
    let instances = config::galaxy_instances(path, source);
    let is_meant = |count: &GalaxyCount| count.entry == entry;
    let mut found = instances
        .iter()
        .filter(|one| instance.is_none_or(|name| one.instance_name == name))
        .filter(|one| one.services.iter().filter_map(|service| service.count.as_ref()).any(is_meant));
    let Some(galaxy) = found.next() else {
        return Err(format!(
            "{word} is no entry of handlers: in {} that has processes; write its name, or INSTANCE:NAME",
            path.display()
        ));
    };
    if let Some(other) = found.next() {
        let names = (&galaxy.instance_name, &other.instance_name);
        return Err(format!("{word} is several entries: write {}:{entry} or {}:{entry}", names.0, names.1));
    }
    let counted = galaxy.services.iter().filter_map(|service| Some((service, service.count.as_ref()?)));
    let services: Vec<_> = counted.filter(|(_, count)| is_meant(count)).collect();
    let processes: Vec<String> = services.iter().flat_map(|(service, _)| service.processes.iter().cloned()).collect();
    let mut groups: Vec<String> = processes
        .iter()
        .map(|process| process.split_once(':').map_or(process.as_str(), |(group, _)| group).to_owned())
        .collect();
    groups.dedup();
    let count = services.first().map(|(_, count)| *count);
    let Some(file) = count.and_then(|count| count.file.as_ref()) else {
        let place = count.map_or("", |count| count.place.as_str());
        return Err(format!(
            "handlers: {entry}: names no file for the number: add `processes_file: /var/lib/galaxyd/{entry}.processes` to it and update, or change its processes ({place}) and update; galaxy.yml is not edited",
        ));
    };
    Ok(Scalable { name: word.to_owned(), groups, file: file.into(), processes })
}

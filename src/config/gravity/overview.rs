//! What clients want to know of a galaxy.yml: its instances and services, by name.

use std::path::Path;

use serde::Serialize;

use super::layout::{namespecs, shows_names};
use super::{instances_of, service};
use crate::config::assembly::{dialect_of, files_of};
use crate::config::gravity::Reading;
use crate::config::ini;
use crate::config::problem::Problems;
use crate::config::raw::Dialect;
use crate::config::source::Source;

/// One Galaxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GalaxyInstance {
    pub instance_name: String,
    /// The file with the `gravity:` section, as it was named.
    pub gravity_config_file: String,
    pub galaxy_config_file: String,
    pub galaxy_root: Option<String>,
    pub virtualenv: Option<String>,
    pub gravity_data_dir: String,
    pub log_dir: String,
    pub services: Vec<GalaxyService>,
}

/// One service of a Galaxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GalaxyService {
    pub name: String,
    /// As commands name them: `handler:handler_0`.
    pub processes: Vec<String>,
    /// What says how many processes there are, of handlers that `handlers:` describes.
    #[serde(skip)]
    pub count: Option<GalaxyCount>,
}

/// An entry of `handlers:`. Of several services in direct style all have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GalaxyCount {
    /// Its name.
    pub entry: String,
    /// File and line of the number.
    pub place: String,
    /// Absolute; the number in it stands over that in galaxy.yml.
    pub file: Option<String>,
}

/// Whether a configuration of this name is a galaxy.yml.
#[must_use]
pub fn is_galaxy_yml(path: &Path) -> bool {
    dialect_of(&path.to_string_lossy()) == Dialect::Galaxy
}

/// The instances of a galaxy.yml, as far as they can be read; whoever loads it is told what is wrong.
#[must_use]
pub fn galaxy_instances(path: &Path, source: &dyn Source) -> Vec<GalaxyInstance> {
    let path = path.to_string_lossy();
    let text = |name: &str| {
        let bytes = source.read(Path::new(name)).ok()?;
        ini::decode(&bytes).ok().map(str::to_owned)
    };
    let texts: Vec<(&str, String)> =
        files_of(&path).into_iter().filter_map(|name| text(name).map(|text| (name, text))).collect();
    let (mut problems, mut files, mut directories) = (Problems::default(), Vec::new(), Vec::new());
    let mut reading = Reading { source, problems: &mut problems, files: &mut files, directories: &mut directories };
    let named: Vec<_> = texts.iter().map(|(name, text)| (*name, reading.add(name, text), text.as_str())).collect();
    let instances = instances_of(&mut reading, &named);
    let shows_names = shows_names(&instances);
    let described = instances.iter().map(|instance| {
        let services = service::services(&mut reading, instance);
        let services = services.iter().map(|service| GalaxyService {
            name: service.name.clone(),
            processes: namespecs(instance, service, shows_names),
            count: service.count.as_ref().map(|count| GalaxyCount {
                entry: count.entry.clone(),
                place: reading.place(count.span),
                file: count.file.clone(),
            }),
        });
        GalaxyInstance {
            instance_name: instance.name.value.clone(),
            gravity_config_file: instance.gravity_file.clone(),
            galaxy_config_file: instance.galaxy_file.clone(),
            galaxy_root: instance.root.clone(),
            virtualenv: instance.virtualenv.as_ref().map(|virtualenv| virtualenv.value.clone()),
            gravity_data_dir: instance.data.value.clone(),
            log_dir: instance.logs.value.clone(),
            services: services.collect(),
        }
    });
    described.collect()
}

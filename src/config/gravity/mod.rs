//! galaxy.yml as a configuration: its `gravity:` section, and what of `galaxy:` and the job configuration the services depend on,
//! become the sections of Supervisor's dialect. Everything behind them is as for any other file.
//!
//! Source: Gravity 1.2.4. What of it is left behind stands in `docs/galaxy-yml.md`.

mod command;
mod handlers;
mod instance;
mod job_config;
mod keys;
mod layout;
mod node;
mod overview;
mod plain_services;
mod reading;
mod service;
mod settings;
mod stop_time;
#[cfg(test)]
mod tests;
mod uwsgi_era;

use instance::Instance;
use layout::Layout;

use super::raw::RawSections;
use super::span::FileId;
pub(crate) use layout::Origins;
pub use overview::{GalaxyCount, GalaxyInstance, GalaxyService, galaxy_instances, is_galaxy_yml};
pub(crate) use reading::Reading;

/// One file to read: its name as it was given, its place in the list, its text.
pub(crate) type Named<'n> = (&'n str, FileId, &'n str);

/// The sections that these files describe, and where each value comes from. What is wrong is reported.
pub(crate) fn read(reading: &mut Reading<'_>, files: &[Named<'_>]) -> (RawSections, Origins) {
    let instances = instances_of(reading, files);
    let shows_names = layout::shows_names(&instances);
    let services: Vec<_> = instances.iter().map(|instance| service::services(reading, instance)).collect();
    let mut layout = Layout::new(reading);
    layout.daemon(&instances);
    for (instance, services) in instances.iter().zip(&services) {
        layout.instance(instance, services, shows_names);
    }
    (layout.sections, layout.origins)
}

/// The instances of all files, each name once.
fn instances_of(reading: &mut Reading<'_>, files: &[Named<'_>]) -> Vec<Instance> {
    let mut instances: Vec<Instance> = Vec::new();
    for (name, file, text) in files {
        for instance in instance::instances(reading, name, *file, text) {
            match instances.iter().find(|other| other.name.value == instance.name.value) {
                None => instances.push(instance),
                Some(twin) => {
                    let text = format!("the instance `{}` has been read from {}", twin.name.value, twin.gravity_file);
                    let help = "give each instance an instance_name of its own";
                    let gravity = &instance.gravity;
                    reading.error(instance.name.span, &gravity.path, "instance_name", text, help);
                }
            }
        }
    }
    instances
}

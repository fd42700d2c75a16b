//! From files to instances: which Galaxy a `gravity:` section is about, and where its directories are.
//!
//! Source: Gravity 1.2.4, `config_manager.py`, `load_config_file()`. Differs: what Gravity takes from the directory it is called
//! in, here is the directory of galaxy.yml, so that it does not matter where a command is typed.

use super::keys::GRAVITY;
use super::node::Part;
use super::reading::Reading;
use super::settings::{Section, Sourced};
use super::uwsgi_era::UwsgiSection;
use crate::config::path;
use crate::config::span::{FileId, Span};
use crate::yaml::{Node, Value};

/// The name that is not shown.
pub(super) const DEFAULT_NAME: &str = "_default_";

/// One Galaxy with its settings.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) name: Sourced<String>,
    pub(super) gravity: Section,
    /// The `galaxy:` section; an empty mapping if there is none.
    pub(super) galaxy: Part,
    /// The file with the `gravity:` section, as it was named.
    pub(super) gravity_file: String,
    /// The file that Galaxy gets, absolute.
    pub(super) galaxy_file: String,
    /// The directory of that file.
    pub(super) config_directory: String,
    /// Where the services run.
    pub(super) directory: Sourced<String>,
    /// Galaxy is a package in the virtualenv, not a checkout.
    pub(super) is_installed: bool,
    /// The checkout, if there is one.
    pub(super) root: Option<String>,
    /// Gravity's directory for data.
    pub(super) data: Sourced<String>,
    pub(super) logs: Sourced<String>,
    pub(super) virtualenv: Option<Sourced<String>>,
    /// Of a file without `gravity:`.
    pub(super) uwsgi: Option<UwsgiSection>,
}

/// The document of one file, and its name.
struct Source<'d> {
    name: &'d str,
    document: &'d Part,
}

const LIST_HELP: &str = "each entry of a gravity list is one Galaxy: name its galaxy.yml in galaxy_config_file";

/// The instances that a file describes.
pub(super) fn instances(reading: &mut Reading<'_>, name: &str, file: FileId, text: &str) -> Vec<Instance> {
    let Some(document) = reading.yaml(file, text) else { return Vec::new() };
    let gravity = document.get("gravity");
    let galaxy = document.get("galaxy");
    let beginning = Span { file, start: 0, end: 0 };
    if !document.is_mapping() || (gravity.is_none() && galaxy.is_none()) {
        let text = "this does not look like Galaxy's or Gravity's configuration".to_owned();
        reading.error(beginning, "gravity", "", text, "write a section gravity: or galaxy:");
        return Vec::new();
    }
    let source = Source { name, document: &document };
    if let Some(entries) = gravity.as_ref().and_then(Part::items) {
        if let Some(galaxy) = &galaxy {
            let text = "a file with a list of instances cannot be one Galaxy's own".to_owned();
            reading.error(reading.span(galaxy), "galaxy", "", text, "move this section to a file of its own");
        }
        let entries = entries.iter().enumerate();
        return entries.filter_map(|(at, entry)| listed(reading, &source, at, entry)).collect();
    }
    let uwsgi = if gravity.is_none() { UwsgiSection::read(text, file) } else { None };
    if gravity.is_none() && uwsgi.is_none() {
        let text = "there is no gravity section: its defaults are used".to_owned();
        reading.warn(beginning, "gravity", "", text, "add gravity: with the services that are wanted");
    }
    let mut instance = one(reading, &source, "gravity", gravity.as_ref(), galaxy);
    if let (Some(instance), Some(uwsgi)) = (&mut instance, uwsgi) {
        if instance.virtualenv.is_none() {
            instance.virtualenv = uwsgi.virtualenv(reading, &instance.directory.value);
        }
        instance.uwsgi = Some(uwsgi);
    }
    instance.into_iter().collect()
}

fn listed(reading: &mut Reading<'_>, source: &Source<'_>, at: usize, entry: &Part) -> Option<Instance> {
    let path = format!("gravity[{at}]");
    if entry.text_of("galaxy_config_file").is_none() {
        let text = "the entry does not say which Galaxy it is about".to_owned();
        reading.error(reading.span(entry), &path, "galaxy_config_file", text, LIST_HELP);
        return None;
    }
    one(reading, source, &path, Some(entry), None)
}

fn one(
    reading: &mut Reading<'_>,
    source: &Source<'_>,
    path_in_file: &str,
    gravity: Option<&Part>,
    galaxy: Option<Part>,
) -> Option<Instance> {
    let beginning = Span { file: source.document.file, start: 0, end: 0 };
    let gravity = Section::read(reading, path_in_file, GRAVITY, gravity, beginning);
    let own = path::absolute(source.name, reading.source);
    let (galaxy_file, galaxy) = match (galaxy, gravity.optional_text("galaxy_config_file")) {
        (Some(galaxy), _) => (own, galaxy),
        (None, Some(named)) => other_file(reading, &own, &gravity, &named)?,
        (None, None) => {
            let text = "there is no galaxy section: Galaxy's defaults are assumed".to_owned();
            let help = "add galaxy:, or name Galaxy's own file in galaxy_config_file";
            reading.warn(gravity.span, path_in_file, "galaxy_config_file", text, help);
            (own, empty(source.document.file, source.document))
        }
    };
    let galaxy = if galaxy.is_mapping() { galaxy } else { empty(galaxy.file, &galaxy) };
    placed(reading, source.name, galaxy_file, gravity, galaxy)
}

/// The file that `galaxy_config_file` names, and its section.
fn other_file(
    reading: &mut Reading<'_>,
    own: &str,
    gravity: &Section,
    named: &Sourced<String>,
) -> Option<(String, Part)> {
    const KEY: &str = "galaxy_config_file";
    let name = path::normalize(&path::join(path::dirname(own), &named.value));
    let document = reading.open_yaml(&name, (named.span, &gravity.path, KEY))?;
    let Some(galaxy) = document.get("galaxy") else {
        let help = "name the galaxy.yml of this Galaxy";
        reading.error(named.span, &gravity.path, KEY, format!("{name} has no galaxy section"), help);
        return None;
    };
    Some((name, galaxy))
}

fn empty(file: FileId, near: &Part) -> Part {
    Part { node: Node { mark: near.node.mark, value: Value::Mapping(Vec::new()) }, file }
}

/// Finds root and directories.
fn placed(
    reading: &mut Reading<'_>,
    gravity_file: &str,
    galaxy_file: String,
    gravity: Section,
    galaxy: Part,
) -> Option<Instance> {
    let config_directory = path::dirname(&galaxy_file).to_owned();
    let root = root(reading, &gravity, &galaxy, &config_directory);
    let within = |base: &str, name: &str| path::normalize(&path::join(base, name));
    let base = root.as_ref().map_or(config_directory.as_str(), |root| root.value.as_str()).to_owned();
    let virtualenv = gravity.optional_text("virtualenv").map(|name| name.map(|name| within(&base, name)));
    let has_package =
        virtualenv.as_ref().is_some_and(|virtualenv| reading.exists(&format!("{}/bin/galaxy-main", virtualenv.value)));
    let has_checkout = root.as_ref().is_some_and(|root| reading.exists(&format!("{}/lib/galaxy", root.value)));
    if root.is_none() && !has_package {
        let text = "Galaxy's root directory is not known".to_owned();
        let help =
            "set galaxy_root to the directory of Galaxy's code, or virtualenv to one that Galaxy is installed in";
        reading.error(gravity.span, &gravity.path, "galaxy_root", text, help);
        return None;
    }
    let is_installed = has_package && !has_checkout;
    let data = data_directory(reading, &galaxy, &base, is_installed, gravity.span);
    let logs = match gravity.optional_text("log_dir") {
        Some(named) => named.map(|name| within(&base, name)),
        None => Sourced::said(format!("{}/log", data.value), data.span, "default of gravity.log_dir"),
    };
    let directory = match &root {
        Some(root) => root.clone(),
        None => Sourced::said(config_directory.clone(), gravity.span, "the directory of galaxy.yml"),
    };
    let name = gravity.text("instance_name");
    let root = root.map(|root| root.value);
    Some(Instance {
        name,
        gravity,
        galaxy,
        gravity_file: gravity_file.to_owned(),
        galaxy_file,
        config_directory,
        directory,
        is_installed,
        root,
        data,
        logs,
        virtualenv,
        uwsgi: None,
    })
}

/// The checkout: said, or beside the directory of galaxy.yml.
fn root(reading: &Reading<'_>, gravity: &Section, galaxy: &Part, config_directory: &str) -> Option<Sourced<String>> {
    let absolute = |name: &String| path::normalize(&path::join(config_directory, name));
    if let Some(root) = gravity.optional_text("galaxy_root").filter(|root| !root.value.is_empty()) {
        return Some(root.map(absolute));
    }
    if let (Some(root), Some(part)) = (galaxy.text_of("root"), galaxy.get("root")) {
        let written = super::settings::Origin::Written("galaxy.root".to_owned());
        return Some(Sourced { value: absolute(&root), span: reading.span(&part), origin: written });
    }
    if let Some(root) = reading.source.variable("GALAXY_ROOT_DIR").filter(|root| !root.is_empty()) {
        let root = path::absolute(root, reading.source);
        return Some(Sourced::said(root, gravity.span, "variable GALAXY_ROOT_DIR"));
    }
    let above = path::dirname(config_directory).to_owned();
    let is_checkout = reading.exists(&path::join(&above, "lib/galaxy"));
    is_checkout.then(|| Sourced::said(above, gravity.span, "found: lib/galaxy is there"))
}

fn data_directory(reading: &Reading<'_>, galaxy: &Part, base: &str, is_installed: bool, span: Span) -> Sourced<String> {
    if let Some(state) = state_directory(reading) {
        return Sourced::said(state, span, "variable GRAVITY_STATE_DIR");
    }
    let below = |name: &str| format!("{}/gravity", path::normalize(&path::join(base, name)).trim_end_matches('/'));
    if let (Some(name), Some(part)) = (galaxy.text_of("data_dir"), galaxy.get("data_dir")) {
        return Sourced::said(below(&name), reading.span(&part), "gravity below galaxy.data_dir");
    }
    let usual = if is_installed { "data" } else { "database" };
    Sourced::said(below(usual), span, format!("default of galaxy.data_dir, {usual}"))
}

/// What `GRAVITY_STATE_DIR` says.
pub(super) fn state_directory(reading: &Reading<'_>) -> Option<String> {
    let named = reading.source.variable("GRAVITY_STATE_DIR").filter(|name| !name.is_empty())?;
    Some(path::absolute(named, reading.source))
}

impl Instance {
    /// Whether several processes of a service are one service with numbers.
    pub(super) fn uses_service_instances(&self) -> bool {
        self.gravity.is_on("use_service_instances") && self.gravity.text("service_command_style").value == "gravity"
    }
}

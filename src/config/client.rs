//! `[supervisorctl]`, by the client's own rules: only the named file, no includes.
//!
//! Source: Supervisor 4.3.0, `options.py`, `ClientOptions.read_config()`.

use std::path::{Path, PathBuf};

use super::assembly::{Assembly, dialect_of};
use super::lookup::Complaint;
use super::path;
use super::plugin;
use super::problem::{Problem, Problems};
use super::raw::{Dialect, RawValue};
use super::reader::{Level, Place, Reader};
use super::schema::SectionKind;
use super::source::Source;
use super::span::Span;

/// What the client takes from the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CtlConfig {
    /// A `unix://` path is absolute. Not checked further.
    pub serverurl: String,
    pub username: Option<String>,
    pub password: Option<String>,
    pub prompt: String,
    /// Absolute.
    pub history_file: Option<PathBuf>,
}

impl Default for CtlConfig {
    /// What holds when there is no file.
    fn default() -> Self {
        Self {
            serverurl: "http://localhost:9001".to_owned(),
            username: None,
            password: None,
            prompt: "supervisor".to_owned(),
            history_file: None,
        }
    }
}

/// What reading the client's settings found.
#[derive(Debug, Clone)]
pub struct CtlLoaded {
    /// `None` if there is any error.
    pub config: Option<CtlConfig>,
    pub problems: Problems,
    pub files: Vec<(PathBuf, String)>,
}

const PLACE: Place<'static> = Place { section: "supervisorctl", kind: SectionKind::Supervisorctl, level: Level::Group };

/// Names a plugin of Supervisor's client.
const CTL_FACTORY_KEY: &str = "supervisor.ctl_factory";

/// Whether Python plugins that the file names are refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Plugins {
    #[default]
    Refused,
    /// `--ignore-plugins`
    Ignored,
}

impl CtlLoaded {
    /// Whether a plugin is among what is wrong.
    #[must_use]
    pub fn has_refused_plugin(&self) -> bool {
        self.problems.errors().any(|problem| problem.key.as_deref() == Some(CTL_FACTORY_KEY))
    }

    /// A warning for each plugin that is left out.
    pub fn ignored_plugins(&self) -> impl Iterator<Item = &Problem> {
        self.problems.warnings().filter(|problem| problem.key.as_deref() == Some(CTL_FACTORY_KEY))
    }
}

/// Reads the client's settings.
pub fn load_ctl(path: &Path, plugins: Plugins, source: &dyn Source) -> CtlLoaded {
    let name = path.to_string_lossy();
    let mut assembly = Assembly::new(source);
    let is_read = assembly.read_main(&name);
    let Assembly { sections, files, mut problems, .. } = assembly;
    let mut config = None;
    if is_read {
        if dialect_of(&name) == Dialect::Ini && !sections.sections.contains_key("supervisorctl") {
            let problem = Problem::error(".ini file does not include supervisorctl section");
            problems.push(problem.at(Span::BEGINNING).help("add a line [supervisorctl]; it may be empty"));
        }
        // The client expands ~ in the name of its file, the daemon does not.
        let directories = [path::dirname(&path::resolve(&name, source)).to_owned()];
        let mut reader = Reader::new(&sections, source, &mut problems, &name, &directories);
        reader.ignores_plugins = plugins == Plugins::Ignored;
        config = Some(section(&mut reader));
        ctl_plugins(&mut reader);
    }
    problems.locate(&files);
    // A mistake in a service must not keep anybody from the daemon that runs.
    let is_usable = dialect_of(&name) == Dialect::Galaxy || !problems.has_errors();
    CtlLoaded { config: config.filter(|_| is_usable), problems, files }
}

/// For the daemon, whom the client's plugins do not concern: the clients will refuse the file.
pub(crate) fn warn_of_plugins(reader: &mut Reader<'_>) {
    for section in reader.sections(SectionKind::CtlPlugin) {
        let place = Place { section, kind: SectionKind::CtlPlugin, level: Level::Group };
        let Some(text) = reader.raw_value(place, CTL_FACTORY_KEY).map(RawValue::shown) else { continue };
        let instead = plugin::instead(&text).unwrap_or("remove the section if nobody needs the plugin");
        let problem = Problem::own_warning(format!(
            "{text} cannot be loaded: galaxyctl and supervisorctl refuse this file unless given --ignore-plugins"
        ));
        reader.report(place, CTL_FACTORY_KEY, problem.help(instead));
    }
}

fn section(reader: &mut Reader<'_>) -> CtlConfig {
    let source = reader.lookup.source;
    let (with_here, bare) = (reader.scope(), reader.bare_scope());
    let usual = CtlConfig::default();
    let serverurl = reader.written(PLACE, "serverurl", &with_here).ok().flatten().unwrap_or(usual.serverurl);
    let serverurl = match serverurl.strip_prefix("unix://") {
        Some(file) => format!("unix://{}", path::resolve(file, source)),
        None => serverurl,
    };
    let prompt = reader.written(PLACE, "prompt", &bare).ok().flatten().unwrap_or(usual.prompt);
    let username = reader.written(PLACE, "username", &bare).ok().flatten();
    let password = reader.written(PLACE, "password", &bare).ok().flatten();
    let history_file = reader.written(PLACE, "history_file", &with_here).ok().flatten();
    let history_file = history_file.filter(|file| !file.is_empty());
    let history_file = history_file.map(|file| PathBuf::from(path::resolve(&file, source)));
    CtlConfig { serverurl, username, password, prompt, history_file }
}

/// Python plugins cannot be loaded: each is an error, or a warning where they are ignored.
fn ctl_plugins(reader: &mut Reader<'_>) {
    const KEY: &str = CTL_FACTORY_KEY;
    for section in reader.sections(SectionKind::CtlPlugin) {
        let place = Place { section, kind: SectionKind::CtlPlugin, level: Level::Group };
        let scope = reader.bare_scope();
        match reader.written(place, KEY, &scope) {
            Ok(Some(text)) => reader.report_plugin(place, KEY, &text),
            Ok(None) => {
                let help = "remove the section: Python code cannot be loaded";
                let text = format!("section [{section}] does not specify a {KEY}");
                reader.complain(place, KEY, Complaint::new(text, help));
            }
            Err(_) => {}
        }
    }
}

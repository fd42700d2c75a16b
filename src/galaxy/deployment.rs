//! A whole deployment: the programs of a configuration, and the files that each Galaxy among them reads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::jobconf::{JobConf, JobConfError};
use super::program::{Invocation, Role};
use super::uwsgi::{UwsgiOptions, app_main};
use crate::config::{Config, Loaded, ProcessConfig, Source};
use crate::yaml::{self, Mark, Node, Scalar, Value};

/// A file and a line of it, from one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    pub file: PathBuf,
    pub line: usize,
}

/// One process that has to do with Galaxy.
#[derive(Debug)]
pub(super) struct Program<'a> {
    pub(super) process: &'a ProcessConfig,
    pub(super) group: &'a str,
    pub(super) role: Role,
    pub(super) invocation: Invocation,
    /// Which of [`Deployment::galaxies`] it belongs to.
    pub(super) galaxy: Option<usize>,
    /// Of a uWSGI: command line and file together; `None` if the file could not be read.
    pub(super) uwsgi: Option<UwsgiOptions>,
    /// Where the options with a line stand.
    pub(super) uwsgi_file: PathBuf,
}

impl Program<'_> {
    /// The name of its section for a text: `[program:web]`.
    pub(super) fn shown(&self) -> String {
        format!("[{}]", self.process.section)
    }

    pub(super) fn server_name(&self) -> &str {
        self.invocation.server_name()
    }

    /// The pools that it attaches to.
    pub(super) fn pools(&self) -> Vec<&str> {
        self.invocation.options(&["--attach-to-pool"])
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.process.environment.get(name).map(String::as_str)
    }

    /// Whether a gunicorn reads a file of its own, which may say anything.
    pub(super) fn has_own_file(&self) -> bool {
        let named = self.invocation.option(&["--config", "-c"]);
        named.is_some_and(|named| !named.contains("galaxy.web_stack.gunicorn_config"))
    }

    /// The options of a uWSGI, as far as they are known.
    pub(super) fn options(&self) -> Option<&UwsgiOptions> {
        self.uwsgi.as_ref().filter(|_| self.role.is_uwsgi())
    }
}

/// One Galaxy by its configuration file.
#[derive(Debug)]
pub(super) struct Galaxy {
    pub(super) path: PathBuf,
    /// The section `galaxy`; `None` if the file could not be read.
    pub(super) settings: Option<Node>,
    pub(super) has_uwsgi: Option<usize>,
    /// `None` if there is a job configuration that could not be read, or nobody knows.
    pub(super) jobs: Option<JobConf>,
    pub(super) jobs_file: PathBuf,
    /// It was only taken because `job_conf.yml` is missing.
    pub(super) is_jobs_fallback: bool,
    /// Handlers that `workflow_schedulers_conf.xml` names.
    pub(super) schedulers: Vec<String>,
    /// What could not be read, with its text.
    pub(super) unreadable: Vec<(Location, String)>,
}

/// What a setting is where nothing is written.
const MONITOR_THREAD_JOIN_TIMEOUT: i64 = 30;

impl Galaxy {
    pub(super) fn setting(&self, name: &str) -> Option<&Node> {
        self.settings.as_ref()?.get(name).filter(|node| !node.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.setting(name)?.text()
    }

    pub(super) fn is_on(&self, name: &str) -> bool {
        self.setting(name).is_some_and(|node| {
            node.boolean().or_else(|| Some(matches!(node.text()?.to_lowercase().as_str(), "true" | "yes" | "on" | "1")))
                == Some(true)
        })
    }

    /// Where a setting stands, or the file if it does not.
    pub(super) fn place(&self, name: &str) -> Location {
        let entry = self.settings.as_ref().and_then(|settings| settings.entry(name));
        self.line(entry.map_or(1, |entry| entry.key_mark.line))
    }

    pub(super) fn line(&self, line: usize) -> Location {
        Location { file: self.path.clone(), line }
    }

    pub(super) fn jobs_line(&self, line: usize) -> Location {
        Location { file: self.jobs_file.clone(), line: line.max(1) }
    }

    /// Seconds that each step of a handler's end may take.
    pub(super) fn join_timeout(&self) -> Option<i64> {
        self.settings.as_ref()?;
        let written = self.setting("monitor_thread_join_timeout");
        Some(written.and_then(Node::integer).unwrap_or(MONITOR_THREAD_JOIN_TIMEOUT))
    }
}

/// A configuration with everything that its programs read.
#[derive(Debug)]
pub(super) struct Deployment<'a> {
    pub(super) config: &'a Config,
    pub(super) loaded: &'a Loaded,
    pub(super) programs: Vec<Program<'a>>,
    pub(super) galaxies: Vec<Galaxy>,
    /// The uWSGI sections of the files that were read; `None`: it has none, or could not be read.
    sections: BTreeMap<PathBuf, Option<UwsgiOptions>>,
}

impl<'a> Deployment<'a> {
    /// Reads what the programs of a configuration name.
    pub(super) fn read(config: &'a Config, loaded: &'a Loaded, source: &dyn Source) -> Self {
        let mut deployment =
            Self { config, loaded, programs: Vec::new(), galaxies: Vec::new(), sections: BTreeMap::new() };
        for group in &config.groups {
            for process in &group.processes {
                if let Some(invocation) = Invocation::of(&process.command) {
                    let program = deployment.program(process, &group.name, invocation, source);
                    deployment.programs.push(program);
                }
            }
        }
        // A program that names no file belongs to the only Galaxy there is.
        if deployment.galaxies.len() == 1 {
            deployment.programs.iter_mut().for_each(|program| program.galaxy = Some(0));
        }
        deployment
    }

    fn program(
        &mut self,
        process: &'a ProcessConfig,
        group: &'a str,
        invocation: Invocation,
        source: &dyn Source,
    ) -> Program<'a> {
        let named = invocation.configuration(process).map(|path| absolute(path, process, source));
        let galaxy = named.as_ref().filter(|_| invocation.role != Role::ZergPool).map(|path| self.galaxy(path, source));
        let mut role = invocation.role;
        let mut uwsgi = role.is_uwsgi().then(|| invocation.uwsgi());
        if let (Some(path), Some(options)) = (&named, &mut uwsgi) {
            match self.sections.entry(path.clone()).or_insert_with(|| uwsgi_section(path, source)) {
                Some(found) => {
                    options.options.extend(found.options.iter().cloned());
                    options.ends_early = found.ends_early;
                }
                None => uwsgi = None,
            }
        }
        match &uwsgi {
            Some(options) if options.has("zerg-pool") => role = Role::ZergPool,
            Some(options) if options.has("zerg") => role = Role::Zergling,
            _ => {}
        }
        let uwsgi_file = named.unwrap_or_default();
        Program { process, group, role, invocation, galaxy, uwsgi, uwsgi_file }
    }

    /// The index of the Galaxy with this configuration.
    fn galaxy(&mut self, path: &Path, source: &dyn Source) -> usize {
        if let Some(known) = self.galaxies.iter().position(|galaxy| galaxy.path == path) {
            return known;
        }
        self.galaxies.push(Galaxy::read(path, source));
        self.galaxies.len() - 1
    }

    /// Where a key of a program was written, or the program's section.
    pub(super) fn place(&self, program: &Program<'_>, key: &str) -> Option<Location> {
        let section = &program.process.section;
        let place = self.loaded.place(section, Some(key)).or_else(|| self.loaded.place(section, None))?;
        Some(Location { file: place.file, line: place.line })
    }

    /// Whether a key of a program was written.
    pub(super) fn is_written(&self, program: &Program<'_>, key: &str) -> bool {
        self.loaded.is_written(&program.process.section, key)
    }

    /// The programs of one Galaxy that do this.
    pub(super) fn of<'b>(&'b self, galaxy: usize, wanted: impl Fn(Role) -> bool + 'b) -> Vec<&'b Program<'a>> {
        self.programs.iter().filter(|program| program.galaxy == Some(galaxy) && wanted(program.role)).collect()
    }

    pub(super) fn galaxy_of(&self, program: &Program<'_>) -> Option<&Galaxy> {
        self.galaxies.get(program.galaxy?)
    }
}

impl Galaxy {
    pub(super) fn read(path: &Path, source: &dyn Source) -> Self {
        let mut galaxy = Self {
            path: path.to_owned(),
            settings: None,
            has_uwsgi: None,
            jobs: None,
            jobs_file: PathBuf::new(),
            is_jobs_fallback: false,
            schedulers: Vec::new(),
            unreadable: Vec::new(),
        };
        let Ok(text) = read(path, source) else { return galaxy };
        galaxy.has_uwsgi = text.lines().position(|line| line.starts_with("uwsgi:")).map(|at| at + 1);
        if is_ini(path) {
            galaxy.settings = Some(node_of(app_main(&text)));
        } else {
            match yaml::parse(&text) {
                Ok(root) => galaxy.settings = root.get("galaxy").cloned().or_else(|| Some(node_of(Vec::new()))),
                Err(error) => galaxy.unreadable.push((galaxy.line(error.mark.line), error.message)),
            }
        }
        if galaxy.settings.is_some() {
            galaxy.read_jobs(source);
            galaxy.read_schedulers(source);
        }
        galaxy
    }

    /// Galaxy's order: `job_config_file`, `job_config`, `job_conf.yml`, `job_conf.xml`, what is built in.
    fn read_jobs(&mut self, source: &dyn Source) {
        if let Some(named) = self.text("job_config_file").map(str::to_owned) {
            self.jobs_file = self.beside(&named, source);
        } else if let Some(node) = self.setting("job_config") {
            self.jobs = Some(JobConf::from_node(node));
            self.jobs_file = self.path.clone();
            return;
        } else {
            let found = ["job_conf.yml", "job_conf.xml"].map(|name| self.beside(name, source));
            let Some(found) = found.into_iter().find(|path| source.exists(path)) else {
                self.jobs = Some(JobConf::built_in());
                return;
            };
            self.is_jobs_fallback = found.extension().is_some_and(|extension| extension == "xml");
            self.jobs_file = found;
        }
        let Ok(text) = read(&self.jobs_file, source) else { return };
        match job_conf(&self.jobs_file, &text) {
            Ok(jobs) => self.jobs = Some(jobs),
            Err(error) => self.unreadable.push((self.jobs_line(error.line()), error.to_string())),
        }
    }

    fn read_schedulers(&mut self, source: &dyn Source) {
        let named = self.text("workflow_schedulers_config_file").unwrap_or("workflow_schedulers_conf.xml");
        let Ok(text) = read(&self.beside(named, source), source) else { return };
        if let Ok(found) = JobConf::from_xml(&text) {
            self.schedulers = found.handlers.into_iter().map(|handler| handler.id.text).collect();
        }
    }

    /// A file that is named in this one's directory, or in `config_dir`.
    fn beside(&self, name: &str, source: &dyn Source) -> PathBuf {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        let directory = self.text("config_dir").map_or(directory.to_owned(), |own| directory.join(own));
        let near = directory.join(name);
        // Releases before 19.01 looked in the root of Galaxy, the folder above.
        let above = self.path.parent().and_then(Path::parent).map(|root| root.join(name));
        if source.exists(&near) { near } else { above.filter(|path| source.exists(path)).unwrap_or(near) }
    }
}

fn is_ini(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "ini")
}

/// The options of a uWSGI, its file's after those of its command line; `None` if the file cannot be read.
pub(super) fn uwsgi_options(
    invocation: &Invocation,
    process: &ProcessConfig,
    source: &dyn Source,
) -> Option<UwsgiOptions> {
    let mut options = invocation.uwsgi();
    if let Some(named) = invocation.configuration(process) {
        options.options.extend(uwsgi_section(&absolute(named, process, source), source)?.options);
    }
    Some(options)
}

/// The uWSGI section of a file; `None` if it has none or cannot be read.
pub(super) fn uwsgi_section(path: &Path, source: &dyn Source) -> Option<UwsgiOptions> {
    let text = read(path, source).ok()?;
    if is_ini(path) { UwsgiOptions::from_ini(&text) } else { UwsgiOptions::from_yaml(&text) }
}

fn job_conf(path: &Path, text: &str) -> Result<JobConf, JobConfError> {
    let is_yaml = path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
    if is_yaml { JobConf::from_yaml(text) } else { JobConf::from_xml(text) }
}

fn read(path: &Path, source: &dyn Source) -> Result<String, ()> {
    let bytes = source.read(path).map_err(|_| ())?;
    String::from_utf8(bytes).map_err(|_| ())
}

/// A path as the process sees it.
pub(super) fn absolute(path: &str, process: &ProcessConfig, source: &dyn Source) -> PathBuf {
    let current = source.current_dir();
    let directory = Path::new(&current).join(process.directory.as_deref().unwrap_or_default());
    directory.join(path).components().collect()
}

/// Settings of an ini file as the section of a YAML one.
fn node_of(settings: Vec<(String, String, usize)>) -> Node {
    let scalar = |text| Scalar { text, is_quoted: false };
    let entries = settings.into_iter().map(|(key, value, line)| {
        let mark = Mark { line, column: 1 };
        yaml::Entry {
            key: scalar(key),
            key_mark: mark,
            value: Node { mark, value: Value::Scalar(scalar(value)) },
            is_merged: false,
        }
    });
    Node { mark: Mark { line: 1, column: 1 }, value: Value::Mapping(entries.collect()) }
}

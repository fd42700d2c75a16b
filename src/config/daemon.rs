//! `[supervisord]`, and the command line over it. Source: Supervisor 4.3.0, `options.py`, `read_config()`.

use std::path::PathBuf;

use indexmap::IndexMap;

use super::expansion::Scope;
use super::lookup::{Complaint, Lookup};
use super::model::{DaemonConfig, DaemonLog, LogLevelName};
use super::overrides::Overrides;
use super::path;
use super::problem::Problem;
use super::reader::{Level, Place, Reader};
use super::schema::SectionKind;
use super::source::Source;
use super::value;

const PLACE: Place<'static> = Place { section: "supervisord", kind: SectionKind::Supervisord, level: Level::Group };

/// The section as written; the account is not looked up yet.
pub(crate) struct DaemonSection {
    config: DaemonConfig,
    logfile: String,
    pidfile: String,
    user: Option<String>,
    history: HistoryChoice,
}

/// `history_file`.
#[derive(Default)]
enum HistoryChoice {
    #[default]
    BesideTheState,
    None,
    File(String),
}

/// Reads the section in Supervisor's order and makes its variables known to the rest.
pub(crate) fn section(reader: &mut Reader<'_>) -> DaemonSection {
    let scope = reader.scope();
    let make_directories = make_directories(reader, &scope);
    let minfds = reader.integer(PLACE, "minfds", &scope);
    let minprocs = reader.integer(PLACE, "minprocs", &scope);
    let directory = reader.typed(PLACE, "directory", &scope, |text, lookup| lookup.directory(text));
    let user = reader.written(PLACE, "user", &scope).ok().flatten();
    let umask = reader.plain(PLACE, "umask", &scope, value::octal).unwrap_or(0o022);
    let logfile = reader.typed(PLACE, "logfile", &scope, |text, lookup| lookup.path(text)).unwrap_or_default();
    let logfile_maxbytes = reader.bytes(PLACE, "logfile_maxbytes", &scope);
    let logfile_backups = reader.integer(PLACE, "logfile_backups", &scope);
    let loglevel = reader.plain(PLACE, "loglevel", &scope, value::log_level).unwrap_or(LogLevelName::Info);
    let pidfile = reader.typed(PLACE, "pidfile", &scope, |text, lookup| lookup.path(text)).unwrap_or_default();
    let identifier = reader.written(PLACE, "identifier", &scope).ok().flatten();
    let nodaemon = reader.boolean(PLACE, "nodaemon", &scope);
    let silent = reader.boolean(PLACE, "silent", &scope);
    let childlogdir = reader.typed(PLACE, "childlogdir", &scope, |text, lookup| lookup.directory(text));
    let childlogdir = childlogdir.map(PathBuf::from).or_else(|| reader.lookup.source.temp_dir());
    let nocleanup = reader.boolean(PLACE, "nocleanup", &scope);
    let strip_ansi = reader.boolean(PLACE, "strip_ansi", &scope);
    let cgroup = reader.plain(PLACE, "cgroup", &scope, value::cgroup).unwrap_or_default();
    let runtime_directory = reader.typed(PLACE, "runtime_directory", &scope, |text, lookup| lookup.directory(text));
    let history =
        reader.typed(PLACE, "history_file", &scope, |text, lookup| match text.to_ascii_lowercase().as_str() {
            "" => Ok(HistoryChoice::BesideTheState),
            "none" => Ok(HistoryChoice::None),
            _ => lookup.path(text).map(HistoryChoice::File),
        });
    let history_maxbytes = reader.bytes(PLACE, "history_maxbytes", &scope);
    let restart_rate = restart_rate(reader, &scope);
    let environment = variables(reader);
    let config = DaemonConfig {
        logfile: DaemonLog::Syslog,
        logfile_maxbytes,
        logfile_backups,
        loglevel,
        pidfile: PathBuf::new(),
        umask,
        nodaemon,
        silent,
        minfds,
        minprocs,
        nocleanup,
        childlogdir: childlogdir.unwrap_or_default(),
        user: None,
        directory: directory.map(PathBuf::from),
        strip_ansi,
        environment,
        identifier: identifier.unwrap_or_else(|| "supervisor".to_owned()),
        cgroup,
        runtime_directory: runtime_directory.map(|path| path::resolve(&path, reader.lookup.source).into()),
        make_directories,
        history_file: None,
        history_maxbytes,
        restart_rate,
    };
    DaemonSection { config, logfile, pidfile, user, history: history.unwrap_or_default() }
}

/// Reads what is to be made first: everything else may be in there.
fn make_directories(reader: &mut Reader<'_>, scope: &Scope) -> Vec<PathBuf> {
    let read = reader.typed(PLACE, "make_directories", scope, |text, lookup| {
        let directories = value::list_of_strings(text).into_iter().map(|name| path::expand_user(&name, lookup.source));
        let directories: Vec<String> = directories.collect();
        match directories.iter().find(|name| !name.starts_with('/')) {
            None => Ok(directories),
            Some(name) => {
                let help = "begin it with / or, for a path beside the configuration, with %(here)s/";
                Err(Complaint::new(format!("'{name}' is not an absolute path"), help))
            }
        }
    });
    let directories: Vec<String> = read.unwrap_or_default().iter().map(|name| path::normalize(name)).collect();
    reader.lookup.made.clone_from(&directories);
    directories.into_iter().map(PathBuf::from).collect()
}

/// More a second than any machine can do.
const RESTART_RATE_MAX: i64 = 10_000;

fn restart_rate(reader: &mut Reader<'_>, scope: &Scope) -> u32 {
    let read = reader.typed(PLACE, "restart_rate", scope, |text, _| match value::integer(text)? {
        rate @ 0..=RESTART_RATE_MAX => Ok(u32::try_from(rate).unwrap_or(0)),
        rate => {
            let help = "write how many automatic starts a second there may be, or 0 for no limit";
            Err(Complaint::new(format!("{rate} is not between 0 and {RESTART_RATE_MAX}"), help))
        }
    });
    read.unwrap_or_default()
}

fn variables(reader: &mut Reader<'_>) -> IndexMap<String, String> {
    let scope = reader.scope();
    let again = reader.scope().with("host_node_name", &reader.node_name);
    let read = reader.variables(PLACE, &scope, "supervisord.environment", Some(&again));
    reader.lacks_variables = read.is_err();
    let environment = read.unwrap_or_default();
    reader.add_globals(&environment);
    environment
}

/// The daemon's settings once the command line has had its say: paths absolute, the account looked up.
pub(crate) fn settle(reader: &mut Reader<'_>, section: DaemonSection, overrides: &Overrides) -> DaemonConfig {
    let DaemonSection { mut config, logfile, pidfile, user, history } = section;
    let source = reader.lookup.source;
    config.nodaemon |= overrides.nodaemon;
    config.silent |= overrides.silent;
    config.nocleanup |= overrides.nocleanup;
    config.strip_ansi |= overrides.strip_ansi;
    config.umask = overrides.umask.unwrap_or(config.umask);
    config.logfile_maxbytes = overrides.logfile_maxbytes.unwrap_or(config.logfile_maxbytes);
    config.logfile_backups = overrides.logfile_backups.unwrap_or(config.logfile_backups);
    config.loglevel = overrides.loglevel.unwrap_or(config.loglevel);
    config.minfds = overrides.minfds.unwrap_or(config.minfds);
    config.minprocs = overrides.minprocs.unwrap_or(config.minprocs);
    if let Some(identifier) = &overrides.identifier {
        config.identifier.clone_from(identifier);
    }
    if let Some(directory) = &overrides.directory {
        config.directory = Some(PathBuf::from(directory));
    }
    if let Some(directory) = &overrides.childlogdir {
        config.childlogdir = PathBuf::from(directory);
    }
    // An empty name on the command line leaves the file's in force.
    let chosen =
        |over: &Option<String>, section: String| over.clone().filter(|path| !path.is_empty()).unwrap_or(section);
    let logfile = chosen(&overrides.logfile, logfile);
    config.logfile = match logfile.as_str() {
        "syslog" => DaemonLog::Syslog,
        path => DaemonLog::File(path::resolve(path, source).into()),
    };
    config.pidfile = path::resolve(&chosen(&overrides.pidfile, pidfile), source).into();
    if config.runtime_directory.is_none() {
        config.runtime_directory = given_by_systemd(source, "RUNTIME_DIRECTORY");
    }
    config.history_file = match history {
        HistoryChoice::None => None,
        HistoryChoice::File(file) => Some(path::resolve(&file, source).into()),
        HistoryChoice::BesideTheState => beside_the_state(&config, source),
    };
    config.user = account(reader, user, overrides);
    config
}

/// A directory of the unit's; the first of several.
fn given_by_systemd(source: &dyn Source, variable: &str) -> Option<PathBuf> {
    let given = source.variable(variable).and_then(|list| list.split(':').next());
    given.filter(|path| path.starts_with('/')).map(PathBuf::from)
}

/// Where the history is unless something else is written; nowhere if the pidfile is a device, which names no place.
fn beside_the_state(config: &DaemonConfig, source: &dyn Source) -> Option<PathBuf> {
    let directory = given_by_systemd(source, "STATE_DIRECTORY")
        .or_else(|| config.runtime_directory.clone())
        .or_else(|| config.pidfile.parent().filter(|parent| !parent.starts_with("/dev")).map(PathBuf::from))?;
    Some(directory.join(format!("{}.history", config.state_stem())))
}

fn account(reader: &mut Reader<'_>, user: Option<String>, overrides: &Overrides) -> Option<super::model::User> {
    let look_up = |lookup: &Lookup<'_>, text: &str| lookup.user(text);
    if let Some(text) = &overrides.user {
        return look_up(&reader.lookup, text)
            .map_err(|complaint| {
                let Complaint { text, help } = complaint;
                let problem = Problem::error(text);
                reader.problems.push(match help {
                    Some(help) => problem.help(help),
                    None => problem,
                });
            })
            .ok();
    }
    look_up(&reader.lookup, &user?).map_err(|complaint| reader.complain(PLACE, "user", complaint)).ok()
}

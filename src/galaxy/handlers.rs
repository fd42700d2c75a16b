//! The processes that handle jobs: their names in Galaxy's database, how new jobs come to them, and where that database is.

use std::path::{Path, PathBuf};

use super::deployment::{Deployment, Galaxy, Location, Program};
use super::jobconf::JobConf;
use super::program::Role;
use crate::config::{Config, Loaded, Source};

/// The tag of jobs that are for any untagged handler. Source: Galaxy 26.1, `web_stack/handlers.py`.
pub const DEFAULT_TAG: &str = "_default_";

/// One Galaxy of a configuration, as far as its jobs are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSystem {
    /// Its galaxy.yml.
    pub file: PathBuf,
    pub handlers: Vec<JobHandler>,
    /// `database_connection`; where nothing says it and no SQLite file is found, why not.
    pub database: Result<String, String>,
    /// `amqp_internal_connection`, where processes get control tasks; or why there is none.
    pub broker: Result<String, String>,
    /// Interpreters that Galaxy may run under, the likeliest first.
    pub interpreters: Vec<PathBuf>,
    /// Runner plugins whose jobs are children of their handler and end with it.
    pub local_runners: Vec<String>,
    /// Whether `local_runners` comes from a job configuration that could be read.
    pub knows_runners: bool,
    /// Directory, account and variables of its programs, for whoever asks the database.
    pub directory: Option<PathBuf>,
    pub account: Option<(u32, u32)>,
    pub environment: Vec<(String, String)>,
}

/// A process that handles jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobHandler {
    pub group: String,
    pub process: String,
    pub name: ServerName,
    pub intake: Intake,
    /// The plugins that it loads; empty: all.
    pub plugins: Vec<String>,
    /// Tools that are mapped to it by its name, whatever else holds.
    pub mapped: Vec<String>,
    /// Where the job configuration names it.
    pub place: Option<Location>,
}

/// What stands in the column `handler`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerName {
    One(String),
    /// This, a dot, and which worker of a web server it is.
    Numbered(String),
}

/// How new jobs come to a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intake {
    /// It takes them from the database, those of these tags.
    Grabs { tags: Vec<String> },
    /// Web processes choose it for them.
    Given,
    /// It handles what its own users submit.
    Own,
    /// Its tags are used by nothing.
    Nothing,
    /// The job configuration could not be read.
    Unknown,
}

impl JobSystem {
    /// Whether jobs of this runner are children of their handler.
    #[must_use]
    pub fn is_local(&self, runner: Option<&str>) -> bool {
        runner.is_some_and(|runner| {
            self.local_runners.iter().any(|known| known == runner) || (!self.knows_runners && runner == "local")
        })
    }

    /// Others that take jobs of one of these tags.
    pub fn others_for<'a>(
        &'a self,
        handler: &'a JobHandler,
        tags: &'a [String],
    ) -> impl Iterator<Item = &'a JobHandler> {
        self.handlers.iter().filter(move |other| {
            let takes =
                matches!(&other.intake, Intake::Grabs { tags: own } if own.iter().any(|tag| tags.contains(tag)));
            takes && (&other.group, &other.process) != (&handler.group, &handler.process)
        })
    }
}

/// The job systems of a configuration, each with its handlers in the order of the file.
#[must_use]
pub fn job_systems(config: &Config, loaded: &Loaded, source: &dyn Source) -> Vec<JobSystem> {
    let deployment = Deployment::read(config, loaded, source);
    let systems = deployment.galaxies.iter().enumerate();
    systems.map(|(index, galaxy)| system(&deployment, index, galaxy, source)).collect()
}

fn system(deployment: &Deployment<'_>, index: usize, galaxy: &Galaxy, source: &dyn Source) -> JobSystem {
    let programs = deployment.of(index, Role::is_galaxy);
    // What handles jobs knows best; a web server is the next.
    let first = programs.iter().find(|program| program.role == Role::Handler).or(programs.first()).copied();
    let chooses = galaxy.jobs.as_ref().is_some_and(|jobs| match jobs.assign.first() {
        Some(first) => first.text == "db-preassign",
        // gunicorn came when handlers began to take jobs themselves unless told otherwise (22.01).
        None => programs.iter().all(|program| program.role != Role::Gunicorn),
    });
    let handlers = programs.iter().filter_map(|program| handler(program, galaxy, chooses)).collect();
    let local = |jobs: &JobConf| {
        let local = jobs.plugins.iter().filter(|plugin| plugin.is_local());
        local.map(|plugin| plugin.id.text.clone()).collect()
    };
    let database = database(galaxy, first, source);
    JobSystem {
        file: galaxy.path.clone(),
        handlers,
        broker: broker(galaxy, first, &database),
        database,
        interpreters: programs.iter().flat_map(|program| interpreters(program, source)).collect(),
        local_runners: galaxy.jobs.as_ref().map(local).unwrap_or_default(),
        knows_runners: galaxy.jobs.is_some(),
        directory: first.and_then(|program| directory(program, source)),
        account: first.and_then(|program| program.process.user.as_ref()).map(|user| (user.uid, user.gid)),
        environment: first.map(|program| environment(program, source)).unwrap_or_default(),
    }
}

/// `chooses`: web processes choose a handler for each job.
fn handler(program: &Program<'_>, galaxy: &Galaxy, chooses: bool) -> Option<JobHandler> {
    let jobs = galaxy.jobs.as_ref();
    let name = server_name(program, galaxy)?;
    let is_web = program.role.is_web();
    let has_mules = program.options().is_some_and(|options| options.has("mule"));
    // Web processes handle jobs only where nobody else is configured to.
    if is_web && !has_mules && jobs.is_some_and(|jobs| jobs.has_handlers() && !jobs.assigns("db-self")) {
        return None;
    }
    let own = jobs.zip(name.single()).and_then(|(jobs, name)| jobs.handlers.iter().find(|one| one.id.text == name));
    let mapped = jobs.zip(name.single()).map(|(jobs, name)| {
        let tools = jobs.mappings.iter().filter(|mapping| mapping.handler.as_deref() == Some(name));
        tools.map(|mapping| mapping.tool.text.clone()).collect()
    });
    let intake = match jobs {
        _ if is_web => Intake::Own,
        None => Intake::Unknown,
        Some(jobs) => intake(program, jobs, own.map(|own| own.tags.as_slice()), chooses),
    };
    Some(JobHandler {
        group: program.group.to_owned(),
        process: program.process.name.clone(),
        intake,
        plugins: own.map(|own| own.plugins.clone()).unwrap_or_default(),
        mapped: mapped.unwrap_or_default(),
        place: own.map(|own| galaxy.jobs_line(own.id.line)),
        name,
    })
}

/// Under which name the database knows it; `None`: under none.
pub(super) fn server_name(program: &Program<'_>, galaxy: &Galaxy) -> Option<ServerName> {
    Some(match program.role {
        Role::Handler => ServerName::One(program.server_name().to_owned()),
        Role::Gunicorn => {
            let set = program.variable("GALAXY_CONFIG_SERVER_NAME").or_else(|| galaxy.text("server_name"));
            ServerName::Numbered(set.unwrap_or("main").to_owned())
        }
        Role::Uwsgi | Role::Zergling => ServerName::Numbered("main".to_owned()),
        _ => return None,
    })
}

impl ServerName {
    fn single(&self) -> Option<&str> {
        match self {
            ServerName::One(name) => Some(name),
            ServerName::Numbered(_) => None,
        }
    }
}

/// `written`: the tags that the job configuration gives it, if it names it at all.
fn intake(program: &Program<'_>, jobs: &JobConf, written: Option<&[String]>, chooses: bool) -> Intake {
    let mut tags: Vec<String> = program.pools().into_iter().filter_map(tag_of_pool).map(str::to_owned).collect();
    match written {
        Some([]) => tags.push(DEFAULT_TAG.to_owned()),
        Some(own) => tags.extend(own.iter().cloned()),
        None => {}
    }
    tags.sort();
    tags.dedup();
    let is_default = |tag: &str| {
        jobs.default.as_ref().map_or(tag == DEFAULT_TAG, |default| default.text == tag) || tag == DEFAULT_TAG
    };
    let is_used = |tag: &String| {
        is_default(tag) || jobs.mappings.iter().any(|mapping| mapping.handler.as_deref() == Some(tag.as_str()))
    };
    let is_default_itself = jobs.default.as_ref().is_some_and(|default| default.text == program.server_name());
    if !is_default_itself && !tags.iter().any(is_used) {
        return Intake::Nothing;
    }
    // A handler that no configuration names is known only by its pools, so nobody can choose it.
    if (chooses && written.is_some()) || is_default_itself { Intake::Given } else { Intake::Grabs { tags } }
}

/// The tag whose jobs processes of a pool take; `None`: it is no pool of job handlers.
fn tag_of_pool(pool: &str) -> Option<&str> {
    super::program::tag_of(pool).map(|tag| if tag.is_empty() { DEFAULT_TAG } else { tag })
}

/// Galaxy's order: a variable that overrides, the file, a variable that fills in, what is built in.
///
/// Source: Galaxy 26.1, `galaxy/util/properties.py`, `load_app_properties()`.
fn setting<'a>(galaxy: &'a Galaxy, program: Option<&'a Program<'_>>, name: &str) -> Option<&'a str> {
    let upper = name.to_uppercase();
    let variable = |prefix: &str| program.and_then(|program| program.variable(&format!("{prefix}{upper}")));
    variable("GALAXY_CONFIG_OVERRIDE_").or_else(|| galaxy.text(name)).or_else(|| variable("GALAXY_CONFIG_"))
}

/// Source: Galaxy 26.1, `galaxy/config/__init__.py`: `database` in the root of a checkout, `data` beside the configuration
/// of an installed package.
pub(super) fn database(galaxy: &Galaxy, program: Option<&Program<'_>>, source: &dyn Source) -> Result<String, String> {
    if let Some(url) = setting(galaxy, program, "database_connection") {
        return Ok(url.to_owned());
    }
    let file = galaxy.path.display();
    if galaxy.settings.is_none() {
        return Err(format!("{file} cannot be read, so nobody knows where its database is"));
    }
    let directory =
        program.and_then(|program| directory(program, source)).unwrap_or_else(|| source.current_dir().into());
    let beside = galaxy.path.parent().unwrap_or(Path::new("/"));
    let configuration = setting(galaxy, program, "config_dir").map_or(beside.to_owned(), |own| directory.join(own));
    let mut folders = Vec::new();
    if let Some(own) = setting(galaxy, program, "data_dir") {
        folders.push(directory.join(own));
    } else {
        let roots = [Some(directory.as_path()), beside.parent()];
        let checkouts = roots.into_iter().flatten().filter(|root| source.is_dir(&root.join("lib/galaxy")));
        folders.extend(checkouts.map(|root| root.join("database")));
        folders.push(configuration.join("data"));
    }
    let files: Vec<PathBuf> = folders.iter().map(|folder| folder.join("universe.sqlite")).collect();
    if let Some(found) = files.iter().find(|file| source.exists(file)) {
        return Ok(format!("sqlite:///{}", found.display()));
    }
    let looked: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    Err(format!("{file} has no database_connection, and there is no {}", looked.join(" or ")))
}

/// Where Galaxy's processes get control tasks. `database`: as [`database`] has found it.
///
/// Source: Galaxy 26.1, `galaxy/config/__init__.py`: the database, if one is written, else an SQLite file of its own.
fn broker(galaxy: &Galaxy, program: Option<&Program<'_>>, database: &Result<String, String>) -> Result<String, String> {
    if let Some(url) = setting(galaxy, program, "amqp_internal_connection") {
        let none = || format!("amqp_internal_connection in {} is empty", galaxy.path.display());
        return if url.is_empty() { Err(none()) } else { Ok(url.to_owned()) };
    }
    let url = database.as_ref().map_err(Clone::clone)?;
    if setting(galaxy, program, "database_connection").is_some() {
        return Ok(format!("sqlalchemy+{url}"));
    }
    let folder = url.strip_suffix("universe.sqlite").unwrap_or(url);
    Ok(format!("sqlalchemy+{folder}control.sqlite?isolation_level=IMMEDIATE"))
}

/// Where Galaxy's Python is, by how the program is started.
pub(super) fn interpreters(program: &Program<'_>, source: &dyn Source) -> Vec<PathBuf> {
    let word = program.invocation.words.first().map(PathBuf::from).unwrap_or_default();
    let is_python = word.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python"));
    let base = directory(program, source).unwrap_or_default();
    let mut found = Vec::new();
    if word.components().count() > 1 {
        // A virtual environment's scripts lie beside its interpreter.
        let path = base.join(&word);
        found.extend(if is_python { Some(path) } else { path.parent().map(|bin| bin.join("python")) });
    }
    found.extend(program.variable("VIRTUAL_ENV").map(|venv| base.join(venv).join("bin/python")));
    let search = program.variable("PATH").or_else(|| source.variable("PATH")).unwrap_or("/usr/local/bin:/usr/bin:/bin");
    found.extend(search.split(':').filter(|folder| !folder.is_empty()).map(|folder| Path::new(folder).join("python3")));
    found.retain(|path| source.exists(path));
    found
}

fn directory(program: &Program<'_>, source: &dyn Source) -> Option<PathBuf> {
    let own = program.process.directory.as_deref()?;
    Some(Path::new(&source.current_dir()).join(own))
}

/// The program's variables; `HOME` is its account's unless it says otherwise, because drivers look for files there.
fn environment(program: &Program<'_>, source: &dyn Source) -> Vec<(String, String)> {
    let mut variables: Vec<(String, String)> =
        program.process.environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let account = program.process.user.as_ref().and_then(|user| source.user_by_uid(user.uid));
    if let Some(account) = account.filter(|_| program.variable("HOME").is_none()) {
        variables.push(("HOME".to_owned(), account.home));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Overrides, load};

    const POOL: &str = "command=/venv/bin/galaxy-main -c /srv/config/galaxy.yml --server-name=h1 \
                        --attach-to-pool=job-handlers --attach-to-pool=job-handlers.big\n";
    const NAMED: &str = "command=/venv/bin/galaxy-main -c /srv/config/galaxy.yml --server-name=h1\n";
    const WEB: &str = "[program:web]\ncommand=/venv/bin/gunicorn galaxy.webapps.galaxy.fast_factory:factory()\n\
                       environment=GALAXY_CONFIG_FILE=/srv/config/galaxy.yml\n";
    const UWSGI: &str = "[program:web]\ncommand=/venv/bin/uwsgi --yaml /srv/config/galaxy.yml\n";

    /// The only Galaxy of these sections; `jobs` is its `job_conf.yml`.
    fn system(sections: &str, galaxy: &str, jobs: &str, files: &[&str]) -> JobSystem {
        let text = format!("[supervisord]\n{sections}");
        let mut host = MadeUp::new().file("/etc/x.conf", &text).file("/srv/config/galaxy.yml", galaxy);
        if !jobs.is_empty() {
            host = host.file("/srv/config/job_conf.yml", jobs);
        }
        for file in files {
            host = host.file(file, "");
        }
        let loaded = load(Path::new("/etc/x.conf"), &Overrides::default(), &host);
        let config = loaded.config.as_ref().unwrap_or_else(|| panic!("{:?}", loaded.problems));
        job_systems(config, &loaded, &host).pop().unwrap()
    }

    #[test]
    fn how_jobs_come_to_a_handler_is_known_from_both_files() {
        let grabs = |tags: &[&str]| Intake::Grabs { tags: tags.iter().map(ToString::to_string).collect() };
        let handler = |keys: &str| format!("[program:h]\n{keys}");
        let preassign = "handling:\n  assign: [db-preassign]\n  processes:\n    h1:\n";
        for (what, sections, jobs, expected) in [
            (
                "dynamic",
                handler(POOL),
                "handling:\n  assign: [db-skip-locked]\n".to_owned(),
                grabs(&["_default_", "big"]),
            ),
            ("chosen", handler(NAMED), preassign.to_owned(), Intake::Given),
            ("drained", handler(NAMED), format!("{preassign}      tags: [drain]\n"), Intake::Nothing),
            (
                "by gunicorn's default",
                handler(NAMED) + WEB,
                "handling:\n  processes:\n    h1:\n".to_owned(),
                grabs(&["_default_"]),
            ),
            (
                "by uWSGI's default",
                handler(NAMED) + UWSGI,
                "handling:\n  processes:\n    h1:\n".to_owned(),
                Intake::Given,
            ),
            ("unknown", handler(NAMED), "handling: [".to_owned(), Intake::Unknown),
        ] {
            let system = system(&sections, "galaxy: {}\n", &jobs, &[]);
            let found =
                system.handlers.iter().find(|handler| handler.name == ServerName::One("h1".to_owned())).unwrap();
            assert_eq!(found.intake, expected, "{what}");
        }
    }

    #[test]
    fn web_processes_handle_jobs_only_where_nobody_else_does() {
        let alone = system(WEB, "galaxy: {}\n", "", &[]);
        let names: Vec<_> = alone.handlers.iter().map(|handler| handler.name.clone()).collect();
        assert_eq!(names, [ServerName::Numbered("main".to_owned())]);
        assert!(alone.is_local(Some("local")), "what is built in");
        let beside = system(WEB, "galaxy: {}\n", "handling:\n  assign: [db-skip-locked]\n", &[]);
        assert!(beside.handlers.is_empty());
    }

    #[test]
    fn the_database_is_found_as_galaxy_finds_it() {
        let program = |variables: &str| format!("[program:h]\n{POOL}directory=/srv\nenvironment={variables}\n");
        let written = "galaxy:\n  database_connection: postgresql:///file\n";
        for (what, variables, galaxy, files, expected) in [
            ("file", "A=b", written, [].as_slice(), Ok("postgresql:///file")),
            ("override", "GALAXY_CONFIG_OVERRIDE_DATABASE_CONNECTION='x:///o'", written, &[], Ok("x:///o")),
            ("below the file", "GALAXY_CONFIG_DATABASE_CONNECTION='x:///f'", written, &[], Ok("postgresql:///file")),
            ("fills in", "GALAXY_CONFIG_DATABASE_CONNECTION='x:///f'", "galaxy: {}\n", &[], Ok("x:///f")),
            (
                "a checkout",
                "A=b",
                "galaxy: {}\n",
                &["/srv/lib/galaxy/x.py", "/srv/database/universe.sqlite"],
                Ok("sqlite:////srv/database/universe.sqlite"),
            ),
            (
                "a package",
                "A=b",
                "galaxy: {}\n",
                &["/srv/config/data/universe.sqlite"],
                Ok("sqlite:////srv/config/data/universe.sqlite"),
            ),
            (
                "data_dir",
                "A=b",
                "galaxy:\n  data_dir: var\n",
                &["/srv/var/universe.sqlite"],
                Ok("sqlite:////srv/var/universe.sqlite"),
            ),
            ("nothing", "A=b", "galaxy: {}\n", &[], Err("there is no /srv/config/data/universe.sqlite")),
        ] {
            let found = system(&program(variables), galaxy, "", files).database;
            match (&found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{what}"),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{what}: {found}"),
                _ => panic!("{what}: {found:?}"),
            }
        }
    }

    #[test]
    fn control_queues_are_found_as_galaxy_finds_them() {
        let program = |variables: &str| format!("[program:h]\n{POOL}directory=/srv\nenvironment={variables}\n");
        let database = "galaxy:\n  database_connection: postgresql:///x\n";
        let files = ["/srv/config/data/universe.sqlite"];
        for (what, variables, galaxy, expected) in [
            ("the database", "A=b", database.to_owned(), Ok("sqlalchemy+postgresql:///x")),
            ("file", "A=b", format!("{database}  amqp_internal_connection: amqp://h/v\n"), Ok("amqp://h/v")),
            (
                "override",
                "GALAXY_CONFIG_OVERRIDE_AMQP_INTERNAL_CONNECTION='amqp://o'",
                format!("{database}  amqp_internal_connection: amqp://h/v\n"),
                Ok("amqp://o"),
            ),
            (
                "a file of its own",
                "A=b",
                "galaxy: {}\n".to_owned(),
                Ok("sqlalchemy+sqlite:////srv/config/data/control.sqlite?isolation_level=IMMEDIATE"),
            ),
            ("none", "A=b", format!("{database}  amqp_internal_connection: ''\n"), Err("is empty")),
        ] {
            let found = system(&program(variables), &galaxy, "", &files).broker;
            match (&found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{what}"),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{what}: {found}"),
                _ => panic!("{what}: {found:?}"),
            }
        }
    }

    #[test]
    fn galaxys_python_lies_beside_its_scripts() {
        let section = format!("[program:h]\n{POOL}");
        let found = system(&section, "galaxy: {}\n", "", &["/venv/bin/python", "/usr/bin/python3"]).interpreters;
        assert_eq!(found.first(), Some(&PathBuf::from("/venv/bin/python")));
        let found = system(&section, "galaxy: {}\n", "", &["/usr/bin/python3"]).interpreters;
        assert_eq!(found, [PathBuf::from("/usr/bin/python3")]);
    }
}

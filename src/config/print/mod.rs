//! A configuration back to text: everything in force, every default filled in, every name expanded.
//!
//! What is printed has been loaded again and compared, so that a text that would mean something else is never shown:
//! where a dialect has no spelling for a value, there is an error instead. Sections may have other names than in the
//! original file, because one template can have made processes that only several sections can describe.

mod ini_text;
mod sheet;
mod template;
mod toml_text;
mod translated;

pub(super) use sheet::values;
pub use translated::print_translated;

use std::path::{Path, PathBuf};

use super::loader::load;
use super::model::{Config, ServerConfig};
use super::overrides::Overrides;
use super::source::{Account, FileStatus, ReadError, Source};

/// In which language to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Supervisor's dialect.
    Ini,
    /// The native dialect.
    Toml,
    /// The model itself, for other programs.
    Json,
}

/// Why a configuration cannot be printed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrintError {
    #[error("`{key}` of [{section}] cannot be written in this dialect: {reason}")]
    Inexpressible { section: String, key: String, reason: String },
    /// The text would not give the same configuration.
    #[error("what would be printed is read differently: {0}")]
    Differs(String),
    #[error("cannot write the text: {0}")]
    Writer(String),
}

/// The text of a configuration.
///
/// `source` must be the host the configuration was loaded on: the text is read again there.
///
/// # Errors
/// If the dialect cannot express a value.
pub fn print(config: &Config, format: Format, source: &dyn Source) -> Result<String, PrintError> {
    let (text, name) = match format {
        Format::Json => {
            let text = serde_json::to_string_pretty(config).map_err(|error| PrintError::Writer(error.to_string()))?;
            return Ok(text + "\n");
        }
        Format::Ini => (ini_text::write(&sheet::sections(config)?)?, "/printed.conf"),
        Format::Toml => (toml_text::write(&sheet::sections(config)?)?, "/printed.toml"),
    };
    verify(config, &text, name, source)?;
    Ok(text)
}

/// Reads the text again and compares.
fn verify(config: &Config, text: &str, name: &str, source: &dyn Source) -> Result<(), PrintError> {
    let printed = Printed { text, name, host: source };
    let loaded = load(Path::new(name), &Overrides::default(), &printed);
    let Some(again) = loaded.config else {
        let error = loaded.problems.errors().next();
        let error = error.map_or_else(String::new, |problem| {
            let place = problem.section.as_deref().unwrap_or("the file");
            format!("{} in {place}", problem.message)
        });
        return Err(PrintError::Differs(error));
    };
    let (wanted, found) = (without_sections(config), without_sections(&again));
    if wanted == found { Ok(()) } else { Err(PrintError::Differs(first_difference(&wanted, &found))) }
}

/// The configuration without what it says about the names of its sections.
fn without_sections(config: &Config) -> Config {
    let mut config = config.clone();
    for process in config.groups.iter_mut().flat_map(|group| &mut group.processes) {
        process.section.clear();
    }
    for server in &mut config.servers {
        match server {
            ServerConfig::Unix(unix) => unix.section.clear(),
            ServerConfig::Inet(inet) => inet.section.clear(),
        }
    }
    config
}

fn first_difference(wanted: &Config, found: &Config) -> String {
    if wanted.daemon != found.daemon {
        return "the settings of the daemon".to_owned();
    }
    if wanted.servers != found.servers {
        return "the servers".to_owned();
    }
    let mut pairs = wanted.groups.iter().zip(&found.groups);
    match pairs.find(|(wanted, found)| wanted != found) {
        Some((wanted, _)) => format!("group {}", wanted.name),
        None => "the groups or interfaces".to_owned(),
    }
}

/// The host with one file more.
struct Printed<'a> {
    text: &'a str,
    name: &'a str,
    host: &'a dyn Source,
}

impl Source for Printed<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, ReadError> {
        if path == Path::new(self.name) { Ok(self.text.as_bytes().to_vec()) } else { self.host.read(path) }
    }
    fn exists(&self, path: &Path) -> bool {
        self.host.exists(path)
    }
    fn link_exists(&self, path: &Path) -> bool {
        self.host.link_exists(path)
    }
    fn is_dir(&self, path: &Path) -> bool {
        self.host.is_dir(path)
    }
    fn list(&self, directory: &Path) -> Vec<String> {
        self.host.list(directory)
    }
    fn status(&self, path: &Path) -> Option<FileStatus> {
        self.host.status(path)
    }
    fn user_by_name(&self, name: &str) -> Option<Account> {
        self.host.user_by_name(name)
    }
    fn user_by_uid(&self, uid: u32) -> Option<Account> {
        self.host.user_by_uid(uid)
    }
    fn group_by_name(&self, name: &str) -> Option<u32> {
        self.host.group_by_name(name)
    }
    fn group_exists(&self, gid: u32) -> bool {
        self.host.group_exists(gid)
    }
    fn node_name(&self) -> String {
        self.host.node_name()
    }
    fn environment(&self) -> &[(String, String)] {
        self.host.environment()
    }
    fn temp_dir(&self) -> Option<PathBuf> {
        self.host.temp_dir()
    }
    fn current_dir(&self) -> String {
        self.host.current_dir()
    }
    fn uid(&self) -> u32 {
        self.host.uid()
    }
    fn euid(&self) -> u32 {
        self.host.euid()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::model::LogFile;

    fn host() -> MadeUp {
        MadeUp::new().account("galaxy", 1001, 1001, "/srv/galaxy").variable("HOME", "/tmp")
    }

    fn loaded(name: &str, text: &str) -> Config {
        let host = host().file(name, text);
        let loaded = load(Path::new(name), &Overrides::default(), &host);
        loaded.config.unwrap_or_else(|| panic!("{:#?}", loaded.problems))
    }

    fn check(text: &str) {
        let config = loaded("/etc/x.conf", text);
        for format in [Format::Ini, Format::Toml] {
            print(&config, format, &host()).unwrap_or_else(|error| panic!("{format:?}: {error}\n{text}"));
        }
    }

    #[test]
    fn both_dialects_print_every_kind_of_section() {
        check(
            "[supervisord]\nuser=galaxy\nlogfile=syslog\nenvironment=A=\"50%%%%\",B='x'\ndirectory=/tmp\n\
             [unix_http_server]\nfile=/run/s\nchown=galaxy:galaxy\nusername=u\npassword=p%%\n\
             [unix_http_server:two]\nfile=/run/t\nchmod=0666\nadmin_users=galaxy\nread_groups=0\n[unix_http_server:three]\nfile=/run/u\n\
             username=u\npassword=p\nread_username=r\nread_password=q%%\n[inet_http_server]\nport=*:9001\nallow_unauthenticated=true\nallowed_hosts=galaxy.example.org,g\nget_actions=true\n\
             [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
             [program:web]\ncommand=run ; note\n[program:handler]\ncommand=run --port 808%(process_num)d\n\
             process_name=%(program_name)s_%(process_num)02d\nnumprocs=12\nnumprocs_start=3\nnumprocs_file=/etc/50%%\nuser=galaxy\n\
             stdout_logfile=/tmp/%(process_num)d.log\nenvironment=N=%(process_num)d\n\
             [group:galaxy]\nprograms=web,handler\npriority=5\n[group:again]\nprograms=handler\n\
             [program:job]\ncommand=x\ntype=oneshot\nkilltree=true\nmemory_max=1GB\nmemory_high=1000\ncpu_max=50%%\npids_max=100\nuser_environment=true\nclear_environment=true\n\
             environment_file=/etc/50%%,-/etc/b\n\
             [program:worker]\ncommand=x\nstartretries=unlimited\nrestart_delay=500ms\nrestart_factor=1.5\nrestart_jitter=20\n\
             restart_limit=5/10m\noutput_rate_max=2MB\non_fatal=shutdown\non_exit=shutdown\ncount_resource_errors=true\n\
             [program:listens]\ncommand=x\nsocket=unix:/run/l.sock\nsocket_mode=0660\n[program:port]\ncommand=x\nsocket=tcp::80\n\
             [program:asked]\ncommand=x\nready=log:50%% done\nready_timeout=500ms\nready_settle=3\nready_successes=2\n\
             rollout=signal\nrollout_signal=HUP\nrollout_front=http://h/50%% status=200-399\nmax_unavailable=3\n\
             [program:each]\ncommand=x\nnumprocs=2\nprocess_name=p%(process_num)d\nready=tcp:h:808%(process_num)d\nrollout_fifo=/run/%(process_num)d.fifo:c\n\
             [program:last]\ncommand=x\ndepends_on=asked, each:p1:running,again:exited\nwait_for=tcp://db:5432,path:/50%%\n\
             [program:daemon]\ncommand=x\ntype=forking\npidfile=/run/50%%.pid\n[program:empty]\ncommand=x\nnumprocs=0\n[program:a,b]\ncommand=x\nexitcodes=\nstopsignal=0\n\
             [eventlistener:l]\ncommand=l %(process_num)d\nnumprocs=2\nprocess_name=l%(process_num)d\nevents=TICK_5,EVENT\nanswer_timeout=90s\n\
             [eventlistener:none]\ncommand=l\nnumprocs=0\nevents=TICK_5\npriority=7\n\
             [fcgi-program:f]\ncommand=f\nsocket=unix:///tmp/f\nsocket_backlog=5\nuser=galaxy\n\
             [fcgi-program:t]\ncommand=f\nsocket=tcp://localhost:1\n\
             [fcgi-program:m]\ncommand=f\nsocket=unix:///tmp/m\nsocket_mode=0620\nsocket_owner=galaxy\n\
             [group:m]\nprograms=m\n[group:both]\nprograms=web,m\n",
        );
    }

    #[test]
    fn templates_stay_templates() {
        let text =
            "[supervisord]\n[program:h]\ncommand=run %(process_num)d\nnumprocs=3\nprocess_name=h%(process_num)d\n";
        let printed = print(&loaded("/etc/x.conf", text), Format::Ini, &host()).unwrap();
        assert!(printed.contains("[program:h]\ncommand = run %(process_num)d\n"), "{printed}");
        assert!(printed.contains("numprocs = 3\n"), "{printed}");
    }

    #[test]
    fn what_no_template_gives_gets_a_section_for_each() {
        let mut config = loaded(
            "/etc/x.conf",
            "[supervisord]\n[program:h]\ncommand=run\nnumprocs=2\nprocess_name=h%(process_num)d\n",
        );
        config.groups[0].processes[0].command = "other".to_owned();
        let printed = print(&config, Format::Ini, &host()).unwrap();
        assert!(printed.contains("[group:h]\nprograms = h0,h1\n"), "{printed}");
    }

    #[test]
    fn a_value_without_a_spelling_is_an_error() {
        let text = "[supervisord]\n[inet_http_server]\nport=1\nusername=u\npassword=a%%b\n";
        let mut config = loaded("/etc/x.conf", text);
        if let ServerConfig::Inet(inet) = &mut config.servers[0] {
            inet.auth.as_mut().unwrap().password = "a ;b".to_owned();
        }
        let error = print(&config, Format::Ini, &host()).unwrap_err().to_string();
        assert!(error.starts_with("`password` of [inet_http_server] cannot be written in this dialect"), "{error}");
        assert!(print(&config, Format::Toml, &host()).is_ok());
    }

    #[test]
    fn the_model_goes_through_json_unchanged() {
        let config = loaded("/etc/x.toml", "program.a = { command = \"x\", environment = { A = \"\\\"'\" } }\n");
        let text = print(&config, Format::Json, &host()).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
    }

    fn nasty() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[a-z]{1,3}",
            Just(" ".to_owned()),
            Just("\n".to_owned()),
            Just("\t".to_owned()),
            Just(" ;".to_owned()),
            Just("#".to_owned()),
            Just("%".to_owned()),
            Just("%(here)s".to_owned()),
            Just("\"".to_owned()),
            Just("'".to_owned()),
            Just("=".to_owned()),
            Just("[x]".to_owned()),
            Just(",".to_owned()),
            Just("\\".to_owned()),
            Just("\u{85}".to_owned()),
            Just("é".to_owned()),
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn texts_survive_printing(
            command in nasty(),
            directory in nasty(),
            log in nasty(),
            identifier in nasty(),
            variable in nasty(),
            name in "[a-z%é-][a-z%.é-]{0,5}",
        ) {
            let mut config = loaded("/etc/x.conf", "[supervisord]\n[program:a]\ncommand=x\nenvironment=A=1\n");
            config.daemon.identifier = identifier;
            let process = &mut config.groups[0].processes[0];
            process.command = command;
            process.directory = Some(directory);
            process.stdout.file = LogFile::Path(format!("/tmp/{}", log.replace('/', "")));
            process.name = name;
            prop_assert_eq!(print(&config, Format::Ini, &host()).map(|_| ()), Ok(()));
            let process = &mut config.groups[0].processes[0];
            process.environment["A"] = variable.clone();
            prop_assert_eq!(print(&config, Format::Toml, &host()).map(|_| ()), Ok(()));
            let has_both = variable.contains('"') && variable.contains('\'');
            let is_at_end = variable.starts_with(['"', '\'']) || variable.ends_with(['"', '\'']);
            match print(&config, Format::Ini, &host()) {
                Ok(_) => {}
                Err(PrintError::Inexpressible { .. }) => prop_assert!(has_both || is_at_end, "{:?}", variable),
                Err(error) => prop_assert!(false, "{}", error),
            }
        }
    }
}

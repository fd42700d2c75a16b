//! A file's name to a whole [`Config`] and everything that is wrong with it.

use std::path::{Path, PathBuf};

use super::assembly::{Assembly, dialect_of};
use super::client::warn_of_plugins;
use super::daemon;
use super::dependencies;
use super::exposure;
use super::groups::groups;
use super::listening;
use super::model::{Config, DaemonConfig};
use super::name;
use super::overrides::Overrides;
use super::problem::{Place, Problem, Problems};
use super::raw::{Dialect, RawSections};
use super::reader::Reader;
use super::servers::{refuse_extra_keys, rpc_interfaces, servers};
use super::source::Source;
use super::span::{Span, line_column};
use super::suspicion;

/// What loading found.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// `None` if there is any error.
    pub config: Option<Config>,
    /// The daemon's own settings, as far as they could be read, whatever is wrong with them or the rest; `None` if the file
    /// could not be read.
    pub daemon: Option<DaemonConfig>,
    pub problems: Problems,
    /// Every file that was read, the main one first, with its text.
    pub files: Vec<(PathBuf, String)>,
    /// Files that were to be included and could not be opened.
    pub unread: Vec<PathBuf>,
    /// Lines that Supervisor logs at INFO about included files.
    pub infos: Vec<String>,
    sections: RawSections,
}

impl Loaded {
    /// Whether a key of a section was written, there or in `[DEFAULT]`.
    #[must_use]
    pub fn is_written(&self, section: &str, key: &str) -> bool {
        self.sections.get(section, key).is_some()
    }

    /// Where a key of a section was written, or where the section begins; `None` if it was not.
    #[must_use]
    pub fn place(&self, section: &str, key: Option<&str>) -> Option<Place> {
        let span = self.span(section, key)?;
        let (file, text) = self.files.get(span.file.0 as usize)?;
        let (line, column) = line_column(text, span.start);
        Some(Place { file: file.clone(), line, column })
    }

    fn span(&self, section: &str, key: Option<&str>) -> Option<Span> {
        Some(match key {
            Some(key) => self.sections.get(section, key)?.key_span,
            None => self.sections.sections.get(section)?.span,
        })
    }

    /// Adds what is wrong with a key, at its place.
    pub(crate) fn blame(&mut self, section: &str, key: &str, problem: Problem) {
        let (span, place) = (self.span(section, Some(key)), self.place(section, Some(key)));
        self.problems.push(Problem { span, place, ..problem.in_section(section).with_key(key) });
    }
}

/// Reads, checks and completes a configuration. Nothing is changed on the host.
///
/// The dialect goes by the name: `.toml` is the native one, everything else is Supervisor's ini.
pub fn load(path: &Path, overrides: &Overrides, source: &dyn Source) -> Loaded {
    let name = path.to_string_lossy();
    let mut assembly = Assembly::new(source);
    if !assembly.read_main(&name) {
        return nothing(assembly);
    }
    assembly.read_included(&name);
    let Assembly { sections, files, directories, mut problems, infos, unread, .. } = assembly;
    if dialect_of(&name) == Dialect::Ini && !sections.sections.contains_key("supervisord") {
        let problem = Problem::error(".ini file does not include supervisord section");
        problems.push(problem.at(Span::BEGINNING).help("add a line [supervisord]; it may be empty"));
    }
    let mut reader = Reader::new(&sections, source, &mut problems, &name, &directories);
    reader.ignores_plugins = overrides.ignore_plugins;
    let section = daemon::section(&mut reader);
    let rpcinterfaces = rpc_interfaces(&mut reader);
    let mut groups = groups(&mut reader);
    dependencies::resolve(&mut reader, &mut groups);
    let servers = servers(&mut reader);
    let daemon = daemon::settle(&mut reader, section, overrides);
    refuse_extra_keys(&mut reader);
    exposure::report(&mut reader, &servers);
    warn_of_plugins(&mut reader);
    for process in groups.iter_mut().flat_map(|group| &mut group.processes) {
        let own = std::mem::replace(&mut process.environment, daemon.environment.clone());
        process.environment.extend(own);
    }
    let included = files.iter().skip(1).map(|(name, _)| name.clone()).collect();
    let config = Config { daemon, servers, groups, rpcinterfaces, included };
    name::report(&mut reader, &config);
    listening::report(&mut reader, &config);
    suspicion::report(&mut reader, &config, &files);
    problems.locate(&files);
    let daemon = Some(config.daemon.clone());
    let config = (!problems.has_errors()).then_some(config);
    Loaded { config, daemon, problems, files, unread, infos, sections }
}

fn nothing(assembly: Assembly<'_>) -> Loaded {
    let Assembly { sections, files, mut problems, infos, unread, .. } = assembly;
    problems.locate(&files);
    Loaded { config: None, daemon: None, problems, files, unread, infos, sections }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::model::{LogFile, ServerConfig};
    use crate::config::problem::Severity;

    fn host() -> MadeUp {
        MadeUp::new().account("galaxy", 1001, 1001, "/srv/galaxy").variable("HOME", "/tmp").variable("NUM", "7")
    }

    fn load_text(name: &str, text: &str) -> Loaded {
        load(Path::new(name), &Overrides::default(), &host().file(name, text))
    }

    /// Line, column and message of every problem, in order.
    fn told(loaded: &Loaded) -> Vec<String> {
        let shown = loaded.problems.iter().map(|problem| {
            let word = if problem.severity == Severity::Error { "error" } else { "warning" };
            let place = problem.place.as_ref().map_or((0, 0), |place| (place.line, place.column));
            format!("{}:{} {word}: {}", place.0, place.1, problem.message)
        });
        shown.collect()
    }

    fn check(name: &str, text: &str, wanted: &[&str]) {
        let loaded = load_text(name, text);
        assert_eq!(told(&loaded), wanted, "{text}");
        assert_eq!(loaded.config.is_none(), loaded.problems.has_errors());
        let helpless =
            loaded.problems.iter().find(|problem| problem.help.is_none() && problem.severity == Severity::Error);
        assert_eq!(helpless, None, "{text}");
    }

    #[test]
    fn all_errors_come_at_once_in_supervisors_order() {
        let text = "[program:a]\nstartsecs=soon\nautostart=perhaps\n[supervisord]\numask=9\nminfds=many\n";
        check(
            "/etc/x.conf",
            text,
            &[
                "6:8 error: invalid literal for int() with base 10: 'many'",
                "5:7 error: 9 can not be converted to an octal type",
                "3:11 error: not a valid boolean value: 'perhaps'",
                "2:11 error: invalid literal for int() with base 10: 'soon'",
                "1:1 error: program section program:a does not specify a command",
            ],
        );
        let loaded = load_text("/etc/x.conf", "[supervisord]\n[program:a]\ncommand=x\nautostart=perhaps\n");
        let wanted = "not a valid boolean value: 'perhaps' in section 'program:a' (file: '/etc/x.conf')";
        assert_eq!(loaded.problems.first_supervisor_error(), Some(wanted));
    }

    #[test]
    fn what_is_hardly_meant_is_a_warning() {
        let text = "[supervisord]\n[progam:a]\n[program:b]\ncommand = sh -c \"sleep 1 ; true\"\nstartsec=3\n\
                    zzzzzz=1\ndirectory=/tmp\n  autostart=false\nenvironment=A=a b\n[Program:c]\n";
        check(
            "/etc/x.conf",
            text,
            &[
                "9:13 warning: `b` is skipped: it stands where a comma belongs",
                "2:1 warning: section [progam:a] is not known and has no effect",
                "4:26 warning: the comment cuts the value of `command` inside quotes",
                "5:1 warning: key `startsec` is not known in [program:b] and has no effect",
                "6:1 warning: key `zzzzzz` is not known in [program:b] and has no effect",
                "8:3 warning: `autostart` is read as part of the value of `directory`",
                "10:1 warning: section [Program:c] is not known and has no effect",
            ],
        );
    }

    #[test]
    fn a_semicolon_that_cuts_a_command_is_a_warning() {
        for (command, is_cut) in [
            ("/bin/setup ; /bin/serve", true),
            ("setup ; exec serve", true),
            ("setup ; test -e x && serve", true),
            ("setup;/bin/serve", false),
            ("/bin/cat ; the program", false),
            ("/bin/cat # /bin/other", false),
        ] {
            let loaded = load_text("/etc/x.conf", &format!("[supervisord]\n[program:a]\ncommand={command}\n"));
            let warning = "what follows the semicolon in `command` is a comment and not run";
            let found = told(&loaded);
            assert_eq!(found.len(), usize::from(is_cut), "{command}: {found:?}");
            assert!(found.iter().all(|line| line.starts_with("3:") && line.ends_with(warning)), "{found:?}");
        }
    }

    #[test]
    fn percent_errors_say_how_it_is_written() {
        for (command, wanted) in [
            ("date +%s", Some("`date +%%s`")),
            ("backup --full=100% %(here)s", Some("`backup --full=100%% %(here)s`")),
            ("run %(progam_name)s %d %Y", Some("`run %(program_name)s %%d %%Y`")),
            ("run %(ENV_HOMEE)s", Some("`run %(ENV_HOME)s`")),
            ("run %(nothing_of_the_kind)s", None),
        ] {
            let loaded = load_text("/etc/x.conf", &format!("[supervisord]\n[program:a]\ncommand={command}\n"));
            let help = loaded.problems.errors().next().and_then(|problem| problem.help.clone()).unwrap();
            match wanted {
                Some(wanted) => assert!(help.contains(wanted), "{command}: {help}"),
                None => assert!(!help.contains('`'), "{command}: {help}"),
            }
        }
    }

    #[test]
    fn colliding_names_are_warnings() {
        let text = "[supervisord]\n[program:a]\ncommand=x\n[program:b]\ncommand=x\nprocess_name=a\n\
                    [group:g]\nprograms=a,b\n[program:g]\ncommand=x\n";
        check(
            "/etc/x.conf",
            text,
            &[
                "4:1 warning: group g has two processes named a: only the last is kept",
                "9:1 warning: two groups are named g: only the one of the lower priority is created",
            ],
        );
    }

    #[test]
    fn a_bare_conversion_is_an_error() {
        let wanted = "Format string 'date +%s' for 'program:a.command'";
        let loaded = load_text("/etc/x.conf", "[supervisord]\n[program:a]\ncommand=date +%s\n");
        assert!(loaded.problems.first_supervisor_error().unwrap().starts_with(wanted), "{:?}", told(&loaded));
        assert!(told(&loaded)[0].starts_with("3:15 error"), "{:?}", told(&loaded));
    }

    #[test]
    fn percent_signs_may_be_doubled_once_where_supervisor_expands_twice() {
        let text = "[supervisord]\nenvironment=A=\"1%%\",B=\"2%%%%\",C=\"%%s\"\n[program:a]\ncommand=x\n\
                    stdout_logfile=/tmp/a%%b\nstderr_logfile=/tmp/a%%%%b\n";
        let config = load_text("/etc/x.conf", text).config.unwrap();
        let process = &config.groups[0].processes[0];
        assert_eq!(process.stdout.file, LogFile::Path("/tmp/a%b".into()));
        assert_eq!(process.stderr.file, LogFile::Path("/tmp/a%b".into()));
        assert_eq!(process.environment.values().collect::<Vec<_>>(), ["1%", "2%", "%s"]);
    }

    #[test]
    fn a_broken_environment_is_not_blamed_on_those_who_use_it() {
        check(
            "/etc/x.conf",
            "[supervisord]\nenvironment=A=\n[program:a]\ncommand=%(ENV_A)s %(ENV_B)s\n",
            &["2:13 error: Unexpected end of key/value pairs in value 'A='"],
        );
    }

    #[test]
    fn included_files_name_themselves() {
        let host = host()
            .file("/etc/x.conf", "[supervisord]\n[include]\nfiles=d/*.conf none/*\n")
            .file("/etc/d/b.conf", "[program:b]\ncommand=%(here)s/run\nautostart=x\n")
            .file("/etc/d/a.conf", "[program:a]\ncommand=%(here)s/run\n[program:b]\n");
        let loaded = load(Path::new("/etc/x.conf"), &Overrides::default(), &host);
        assert_eq!(
            told(&loaded),
            ["3:16 warning: No file matches via include \"/etc/none/*\"", "3:11 error: not a valid boolean value: 'x'",]
        );
        let error = loaded.problems.errors().next().unwrap();
        assert_eq!(error.place.as_ref().unwrap().file, Path::new("/etc/d/b.conf"));
        // The file that first made the section is named, even if another one has the mistake.
        assert!(error.text().ends_with("in section 'program:b' (file: '/etc/d/a.conf')"), "{}", error.text());
        assert_eq!(loaded.infos.len(), 2);
        assert_eq!(loaded.files.len(), 3);
    }

    #[test]
    fn files_that_others_can_write_are_named_to_root() {
        let host = host().file_with("/etc/x.conf", "[supervisord]\n", 0o666);
        let loaded = load(Path::new("/etc/x.conf"), &Overrides::default(), &host);
        assert_eq!(told(&loaded), ["1:1 warning: /etc/x.conf can be written by anyone, and root obeys it"]);
    }

    #[test]
    fn both_dialects_give_the_same_model() {
        let ini = "[supervisord]\numask=027\n[unix_http_server]\nfile=/run/s\nchmod=0770\n[inet_http_server:b]\nport=9001\nusername=a\npassword=b\nallowed_hosts=x,y\nget_actions=yes\n\
                   [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
                   [program:handler]\ncommand=run %(process_num)d\nnumprocs=2\nprocess_name=h%(process_num)d\n\
                   startsecs=15\nexitcodes=0,2\nstopsignal=INT\nautorestart=true\nenvironment=A=\"x,y\",B=\"%(ENV_NUM)s\"\n\
                   stdout_logfile_maxbytes=1MB\nuser=1001\n[group:g]\nprograms=handler\n\
                   [eventlistener:l]\ncommand=l\nevents=TICK_5,EVENT\n";
        let toml = "supervisord.umask = 0o27\n[unix_http_server]\nfile = '/run/s'\nchmod = '0770'\n[inet_http_server.b]\nport = 9001\nusername = 'a'\npassword = 'b'\nallowed_hosts = ['x', 'y']\nget_actions = true\n\
                    [program.handler]\ncommand = 'run %(process_num)d'\nnumprocs = 2\nprocess_name = 'h%(process_num)d'\n\
                    startsecs = 15\nexitcodes = [0, 2]\nstopsignal = 2\nautorestart = true\nenvironment = { A = 'x,y', B = '%(ENV_NUM)s' }\n\
                    stdout_logfile_maxbytes = 1_048_576\nuser = 1001\n[group.g]\nprograms = ['handler']\n\
                    [eventlistener.l]\ncommand = 'l'\nevents = ['TICK_5', 'EVENT']\n";
        let (ini, toml) = (load_text("/etc/x.conf", ini), load_text("/etc/x.toml", toml));
        assert_eq!((told(&ini), told(&toml)), (vec![], vec![]));
        assert_eq!(ini.config, toml.config);
        assert!(matches!(ini.config.unwrap().servers.first(), Some(ServerConfig::Inet(_))));
    }

    #[test]
    fn the_native_dialect_refuses_what_it_does_not_know() {
        check(
            "/etc/x.toml",
            "[program.a]\ncomand = 'x'\ncommand = 'x'\nstartsecs = '1'\nautostart = 1\numask = 22\n\
             [progam.b]\n[group]\nx = 1\n[eventlistener.l]\ncommand = 'x'\nevents = [1]\n",
            &[
                "2:1 error: `comand` is not a key of [program:a]",
                "5:13 error: `autostart` must be true or false, this is a whole number",
                "6:9 error: `umask` must be an octal number, this is a number that is not octal",
                "7:2 error: `progam` is not a kind of section",
                "9:1 error: `x` stands outside of a named section",
                "12:10 error: `events` must be a list of texts, this is a whole number",
            ],
        );
        let loaded = load_text("/etc/x.toml", "[program.a\n");
        assert!(told(&loaded)[0].starts_with("1:11 error: "), "{:?}", told(&loaded));
    }

    #[test]
    fn what_cannot_be_read_is_said_with_supervisors_words() {
        let told_of = |name: &str| told(&load(Path::new(name), &Overrides::default(), &host()));
        assert_eq!(told_of("/none.conf"), ["0:0 error: could not find config file /none.conf"]);
        assert_eq!(told_of("/tmp"), ["0:0 error: could not read config file /tmp"]);
        let loaded = load_text("/etc/x.conf", "[supervisord]\nfoo\n=x\n");
        assert_eq!(loaded.problems.errors().count(), 2);
        let wanted = "Source contains parsing errors: '/etc/x.conf'\n\t[line  2]: 'foo\\n'\n\t[line  3]: '=x\\n'";
        assert_eq!(loaded.problems.first_supervisor_error(), Some(wanted));
        check(
            "/etc/x.conf",
            "[program:a]\ncommand=x\n",
            &["1:1 error: .ini file does not include supervisord section"],
        );
    }

    #[test]
    fn a_file_says_how_many_processes_there_are() {
        let text =
            "[supervisord]\n[program:a]\ncommand=x\nprocess_name=p%(process_num)d\nnumprocs=2\nnumprocs_file=/var/n\n";
        let read = |contents: Option<&str>| {
            let mut host = host().file("/etc/x.conf", text);
            if let Some(contents) = contents {
                host = host.file("/var/n", contents);
            }
            load(Path::new("/etc/x.conf"), &Overrides::default(), &host)
        };
        for (contents, count, warned) in
            [(None, 2, false), (Some("2\n"), 2, false), (Some("5\n"), 5, true), (Some("0"), 0, true)]
        {
            let loaded = read(contents);
            let config = loaded.config.as_ref().unwrap_or_else(|| panic!("{contents:?}: {:?}", loaded.problems));
            assert_eq!(config.groups.iter().map(|group| group.processes.len()).sum::<usize>(), count, "{contents:?}");
            assert_eq!(told(&loaded).join("\n").contains("stands over numprocs=2"), warned, "{contents:?}");
        }
        for wrong in ["", "many", "-1", "10001"] {
            let loaded = read(Some(wrong));
            assert!(loaded.config.is_none() && told(&loaded).join("\n").contains("'/var/n' says no number"), "{wrong}");
        }
    }

    #[test]
    fn numprocs_has_a_limit() {
        let text = "[supervisord]\n[program:a]\ncommand=x\nprocess_name=%(process_num)d\nnumprocs=10001\n";
        check("/etc/x.conf", text, &["5:10 error: 10001 processes are more than the 10000 that one section may have"]);
    }
}

//! galaxyd's command line: supervisord's options, and what is new. The `clap` definition made here is also
//! what the manual page is generated from.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};

use super::Parsed;
use super::supervisord::{DaemonOptions, ROWS};
use crate::config::{Source, is_galaxy_yml};

/// What galaxyd was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GalaxydOptions {
    pub daemon: DaemonOptions,
    pub task: Task,
    pub keeper: KeeperMode,
}

/// Run, or only look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    Run,
    /// `--check`: report every problem of the configuration, exit 2 if there is an error.
    Check(Report),
}

/// How problems are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    Text,
    Json,
}

/// Whether keeper and worker are two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeeperMode {
    Apart,
    /// `--no-keeper`: one process, for debugging.
    Together,
}

/// What the binary is besides a daemon.
const AFTER_HELP: &str = "galaxyd pidproxy PIDFILE COMMAND [ARGS] runs a command that starts a daemon of its own, hands \
    HUP, INT, QUIT, TERM, USR1 and USR2 on to the process that PIDFILE names, and ends with the command. galaxyd stop-post is for \
    ExecStopPost= of a systemd unit: it ends what a stopped daemon left in the unit's cgroup, and nothing after a crash. Under the names \
    supervisord, pidproxy and echo_supervisord_conf (links to it) it is what Supervisor has under these names.";

/// The whole definition.
#[must_use]
pub fn definition() -> Command {
    let mut command = Command::new("galaxyd")
        .version(crate::VERSION)
        .about("Starts the programs of a deployment and keeps them running")
        .infer_long_args(true)
        .disable_version_flag(true)
        .after_help(AFTER_HELP)
        .args([
            Arg::new("configuration")
                .short('c')
                .long("configuration")
                .value_name("FILE")
                .allow_hyphen_values(true)
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::FilePath)
                .action(ArgAction::Append)
                .help(
                    "The configuration file: Supervisor's, galaxyd.toml or galaxy.yml, of which there may be several \
                     [default: the usual places are searched]",
                ),
            Arg::new("state-dir")
                .long("state-dir")
                .value_name("DIR")
                .value_hint(ValueHint::DirPath)
                .help("With galaxy.yml: where Gravity's data are; the variable GRAVITY_STATE_DIR says the same"),
            Arg::new("strategy").long("strategy").value_name("STRATEGY").help(
                "With a galaxy.yml that has a uwsgi section: webless:N adds N job handlers; the variable \
                     GALAXYD_STRATEGY says the same",
            ),
            flag("check", "Report every problem of the configuration and exit; 2 if the daemon would refuse it"),
            flag("json", "With --check: report as JSON").requires("check"),
            flag("no-keeper", "Run keeper and worker in one process, for debugging"),
            Arg::new("version").long("version").action(ArgAction::Version).help("Print galaxyd's version"),
            flag("supervisor-version", "Print the version of Supervisor whose contract is kept").short('v'),
        ]);
    for row in ROWS {
        let mut arg = Arg::new(row.long).long(row.long).help(row.help);
        if let Some(letter) = row.short {
            arg = arg.short(letter);
        }
        command = command.arg(match row.value {
            Some(value) => arg.value_name(value).allow_hyphen_values(true),
            None => arg.action(ArgAction::SetTrue),
        });
    }
    command.arg(
        Arg::new("profile_options")
            .long("profile_options")
            .value_name("OPTIONS")
            .help("Of Python's profiler: taken, and without effect"),
    )
}

fn flag(long: &'static str, help: &'static str) -> Arg {
    Arg::new(long).long(long).action(ArgAction::SetTrue).help(help)
}

/// Reads `args`, which do not include the program's name. Paths are looked at through `source`.
///
/// # Errors
/// What clap has to say, and Supervisor's complaints about values: `error.exit_code()` is the exit code.
pub fn parse(args: &[String], source: &dyn Source) -> Result<Parsed<GalaxydOptions>, clap::Error> {
    let mut definition = definition();
    let command_line = std::iter::once("galaxyd".to_owned()).chain(args.iter().cloned());
    let matches = match definition.try_get_matches_from_mut(command_line) {
        Err(error) if !error.use_stderr() => return Ok(Parsed::Print(error.render().to_string())),
        matches => matches?,
    };
    if matches.get_flag("supervisor-version") {
        return Ok(Parsed::Print(format!("{}\n", crate::SUPERVISOR_VERSION)));
    }
    let daemon =
        read(&matches, source).map_err(|message| definition.error(clap::error::ErrorKind::ValueValidation, message))?;
    let task = match (matches.get_flag("check"), matches.get_flag("json")) {
        (false, _) => Task::Run,
        (true, false) => Task::Check(Report::Text),
        (true, true) => Task::Check(Report::Json),
    };
    let keeper = if matches.get_flag("no-keeper") { KeeperMode::Together } else { KeeperMode::Apart };
    Ok(Parsed::Run(GalaxydOptions { daemon, task, keeper }))
}

fn read(matches: &ArgMatches, source: &dyn Source) -> Result<DaemonOptions, String> {
    let named = |option: &str, variable: &str| {
        matches.get_one::<String>(option).map(|text| (variable.to_owned(), text.clone()))
    };
    let mut options = DaemonOptions {
        configuration: configurations(matches)?,
        variables: [named("state-dir", "GRAVITY_STATE_DIR"), named("strategy", "GALAXYD_STRATEGY")]
            .into_iter()
            .flatten()
            .collect(),
        ..DaemonOptions::default()
    };
    for row in ROWS {
        let typed = || row.short.map_or_else(|| format!("--{}", row.long), |letter| format!("-{letter}"));
        if row.value.is_none() {
            if matches.get_flag(row.long) {
                options.overrides.set(row.option, &typed(), "", source)?;
            }
        } else if let Some(value) = matches.get_one::<String>(row.long) {
            options.overrides.set(row.option, &typed(), value, source)?;
        }
    }
    Ok(options)
}

/// Several files as one name.
pub(super) fn configurations(matches: &ArgMatches) -> Result<Option<PathBuf>, String> {
    let files: Vec<PathBuf> = matches.get_many("configuration").into_iter().flatten().cloned().collect();
    if files.len() > 1 && !files.iter().all(|file| is_galaxy_yml(file)) {
        return Err("several configuration files can only be galaxy.yml (their names end in .yml or .yaml)".to_owned());
    }
    let names: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
    Ok((!names.is_empty()).then(|| PathBuf::from(names.join(":"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{HostSource, Overrides};

    fn run(line: &str) -> Result<Parsed<GalaxydOptions>, clap::Error> {
        let args: Vec<String> = line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        parse(&args, &HostSource::new(Vec::new()))
    }

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn supervisords_letters_mean_the_same() {
        let Ok(Parsed::Run(options)) = run("-nc galaxy.conf -edebug --minp 5") else { panic!("refused") };
        assert_eq!(options.daemon.configuration, Some("galaxy.conf".into()));
        let overrides = options.daemon.overrides;
        assert!(overrides.nodaemon && overrides.loglevel.is_some() && overrides.minprocs == Some(5));
        assert_eq!((options.task, options.keeper), (Task::Run, KeeperMode::Apart));
    }

    #[test]
    fn what_is_new_is_read() {
        let parsed = run("--check --json --no-keeper").ok();
        let expected = GalaxydOptions {
            daemon: DaemonOptions { overrides: Overrides::default(), ..DaemonOptions::default() },
            task: Task::Check(Report::Json),
            keeper: KeeperMode::Together,
        };
        assert_eq!(parsed, Some(Parsed::Run(expected)));
    }

    #[test]
    fn several_galaxy_yml_are_one_configuration() {
        let configuration = |line| match run(line) {
            Ok(Parsed::Run(options)) => options.daemon.configuration,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(configuration("-c a.yml -c b.yaml"), Some("a.yml:b.yaml".into()));
        assert_eq!(configuration(""), None);
        assert_eq!(run("-c a.yml -c b.conf").map_err(|error| error.exit_code()), Err(2));
        let Ok(Parsed::Run(options)) = run("--state-dir /s --strategy webless:3") else { panic!("refused") };
        let wanted = [("GRAVITY_STATE_DIR", "/s"), ("GALAXYD_STRATEGY", "webless:3")];
        assert_eq!(options.daemon.variables, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn each_version_has_its_option() {
        let printed = |line| match run(line) {
            Ok(Parsed::Print(text)) => text,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(printed("-v"), "4.3.0\n");
        assert_eq!(printed("--version"), format!("galaxyd {}\n", crate::VERSION));
    }

    #[test]
    fn mistakes_exit_2() {
        for line in ["-x", "--json", "-e zz", "-n -n", "word", "--n"] {
            assert_eq!(run(line).map_err(|error| error.exit_code()), Err(2), "{line}");
        }
    }
}

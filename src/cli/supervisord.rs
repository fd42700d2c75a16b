//! supervisord's command line.

use std::path::PathBuf;

use super::getopt::{Found, Opt, Takes, getopt};
use super::{Parsed, UsageError};
use crate::config::{DaemonOption, Overrides, Source, literal};

/// What both daemons' command lines say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DaemonOptions {
    /// `-c`, as it was typed. `None`: the usual places are searched.
    pub configuration: Option<PathBuf>,
    /// What stands over the file.
    pub overrides: Overrides,
    /// Options that say what a variable of the environment would say to whoever reads the file.
    pub variables: Vec<(String, String)>,
}

/// The options by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Help,
    Version,
    Configuration,
    Over(DaemonOption),
    /// Of Python's profiler: taken, and without effect.
    Profile,
}

/// An option that stands over the file, as it is typed: letter, long name, value's name, help.
pub(super) struct Row {
    pub option: DaemonOption,
    pub short: Option<char>,
    pub long: &'static str,
    /// `None`: it takes nothing.
    pub value: Option<&'static str>,
    pub help: &'static str,
}

const fn row(
    option: DaemonOption,
    short: Option<char>,
    long: &'static str,
    value: Option<&'static str>,
    help: &'static str,
) -> Row {
    Row { option, short, long, value, help }
}

/// Ours; Supervisor's own can be shortened as if it were not there.
const IGNORE_PLUGINS: &str = "ignore-plugins";

/// In the order of Supervisor's help.
pub(super) const ROWS: &[Row] = &[
    row(DaemonOption::Nodaemon, Some('n'), "nodaemon", None, "Stay in the foreground"),
    row(DaemonOption::Silent, Some('s'), "silent", None, "Do not repeat the log on standard output"),
    row(DaemonOption::User, Some('u'), "user", Some("USER"), "Run as this account (name or number)"),
    row(DaemonOption::Umask, Some('m'), "umask", Some("OCTAL"), "The umask of the daemon and its programs"),
    row(DaemonOption::Directory, Some('d'), "directory", Some("DIR"), "Change to this directory when daemonized"),
    row(DaemonOption::Logfile, Some('l'), "logfile", Some("FILENAME"), "Use FILENAME as the daemon's own log"),
    row(DaemonOption::LogfileMaxbytes, Some('y'), "logfile_maxbytes", Some("BYTES"), "Rotate that log at this size"),
    row(DaemonOption::LogfileBackups, Some('z'), "logfile_backups", Some("NUM"), "How many rotated logs to keep"),
    row(
        DaemonOption::Loglevel,
        Some('e'),
        "loglevel",
        Some("LEVEL"),
        "critical, error, warn, info, debug, trace or blather",
    ),
    row(DaemonOption::Pidfile, Some('j'), "pidfile", Some("FILE"), "Where to write the daemon's process id"),
    row(DaemonOption::Identifier, Some('i'), "identifier", Some("STR"), "The name of this daemon"),
    row(DaemonOption::Childlogdir, Some('q'), "childlogdir", Some("DIR"), "Where AUTO logs of programs go"),
    row(DaemonOption::Nocleanup, Some('k'), "nocleanup", None, "Keep the AUTO logs of former runs"),
    row(DaemonOption::Minfds, Some('a'), "minfds", Some("NUM"), "Refuse to start with fewer file descriptors"),
    row(DaemonOption::StripAnsi, Some('t'), "strip_ansi", None, "Take colour codes out of programs' output"),
    row(
        DaemonOption::IgnorePlugins,
        None,
        IGNORE_PLUGINS,
        None,
        "Warn of Python plug-ins instead of refusing the file",
    ),
    row(DaemonOption::Minprocs, None, "minprocs", Some("NUM"), "Refuse to start with fewer processes allowed"),
];

fn table() -> Vec<Opt<Key>> {
    let mut table = vec![
        Opt::new(Key::Help, Some('h'), Some("help"), Takes::Nothing),
        Opt::new(Key::Help, Some('?'), None, Takes::Nothing),
        Opt::new(Key::Configuration, Some('c'), Some("configuration"), Takes::Value),
        Opt::new(Key::Version, Some('v'), Some("version"), Takes::Nothing),
        Opt::new(Key::Profile, None, Some("profile_options"), Takes::Value),
    ];
    table.extend(ROWS.iter().map(|row| {
        let takes = if row.value.is_some() { Takes::Value } else { Takes::Nothing };
        if row.long == IGNORE_PLUGINS {
            return Opt::whole(Key::Over(row.option), row.long, takes);
        }
        Opt::new(Key::Over(row.option), row.short, Some(row.long), takes)
    }));
    table
}

/// Reads `args`, which do not include the program's name; `program` is `argv[0]`. Paths are looked at through `source`.
///
/// # Errors
/// Python's and Supervisor's complaints, in their words.
pub fn parse(program: &str, args: &[String], source: &dyn Source) -> Result<Parsed<DaemonOptions>, UsageError> {
    let (found, words) = getopt(&table(), args).map_err(|error| UsageError::new(error.to_string()))?;
    if !words.is_empty() {
        let words: Vec<String> = words.iter().map(|word| literal(word)).collect();
        return Err(UsageError::new(format!("positional arguments are not supported: [{}]", words.join(", "))));
    }
    let mut options = DaemonOptions::default();
    let mut profiled = false;
    for Found { key, spelling, value } in found {
        let first = match key {
            Key::Help => return Ok(Parsed::Print(help(program))),
            Key::Version => return Ok(Parsed::Print(format!("{}\n", crate::SUPERVISOR_VERSION))),
            Key::Configuration => options.configuration.replace(value.into()).is_none(),
            Key::Profile => !std::mem::replace(&mut profiled, true),
            Key::Over(option) => {
                options.overrides.set(option, &spelling, &value, source).map_err(UsageError::new)?;
                true
            }
        };
        if !first {
            return Err(UsageError::new(format!("conflicting command line option {}", literal(&spelling))));
        }
    }
    Ok(Parsed::Run(options))
}

/// Supervisor's own tests look for the headline and for the line about the log.
fn help(program: &str) -> String {
    let mut text = format!(
        "supervisord -- run a set of applications as daemons.

Usage: {program} [options]

Options:
-c/--configuration FILE -- the configuration file (default: the usual places are searched)
-h/--help -- print this text and exit
-v/--version -- print the version of Supervisor whose contract is kept and exit
"
    );
    for row in ROWS {
        let short = row.short.map(|letter| format!("-{letter}/")).unwrap_or_default();
        let value = row.value.map(|name| format!(" {name}")).unwrap_or_default();
        let (first, rest) = row.help.split_at_checked(1).unwrap_or_default();
        text.extend([&short, "--", row.long, &value, " -- ", &first.to_lowercase(), rest, "\n"]);
    }
    text.push_str("--profile_options OPTIONS -- of Python's profiler: taken, and without effect\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{HostSource, LogLevelName};

    fn run(args: &[&str]) -> Result<Parsed<DaemonOptions>, String> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        parse("supervisord", &args, &HostSource::new(Vec::new())).map_err(|error| error.message)
    }

    #[test]
    fn options_reach_the_overrides() {
        let Ok(Parsed::Run(options)) = run(&["-nc", "a.conf", "-e", "debug", "--umask=027", "--minp", "5", "-tk"])
        else {
            panic!("refused");
        };
        assert_eq!(options.configuration, Some("a.conf".into()));
        let expected = Overrides {
            nodaemon: true,
            strip_ansi: true,
            nocleanup: true,
            loglevel: Some(LogLevelName::Debug),
            umask: Some(0o27),
            minprocs: Some(5),
            ..Overrides::default()
        };
        assert_eq!(options.overrides, expected);
    }

    #[test]
    fn mistakes_are_told_in_supervisors_words() {
        for (args, message) in [
            (&["-x"][..], "option -x not recognized"),
            (&["-e"], "option -e requires argument"),
            (&["--nodaemon=1"], "option --nodaemon must not have an argument"),
            (&["--n"], "option --n not a unique prefix"),
            (&["foo", "b'r"], "positional arguments are not supported: ['foo', \"b'r\"]"),
            (&["-e", "zz"], "invalid value for -e 'zz': bad logging level name 'zz'"),
            (&["-n", "-n"], "conflicting command line option '-n'"),
            (&["-c", "a", "--conf", "b"], "conflicting command line option '--configuration'"),
            (&["-m", "9"], "invalid value for -m '9': 9 can not be converted to an octal type"),
            (&["-a", "x"], "invalid value for -a 'x': invalid literal for int() with base 10: 'x'"),
        ] {
            assert_eq!(run(args), Err(message.to_owned()), "{args:?}");
        }
    }

    #[test]
    fn version_and_help_are_handled_in_the_order_of_the_options() {
        assert_eq!(run(&["-v", "-e", "zz"]), Ok(Parsed::Print("4.3.0\n".to_owned())));
        assert!(run(&["-e", "zz", "-v"]).is_err());
        assert!(matches!(run(&["--help"]), Ok(Parsed::Print(_))));
    }
}

//! supervisorctl's command line.

use std::path::PathBuf;
use std::time::Duration;

use super::getopt::{Found, Opt, Takes, getopt};
use super::{Parsed, UsageError};
use crate::config::{Plugins, literal, value};

/// How long a daemon may leave a question unanswered when nobody said otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// What both clients' command lines say. `None` everywhere: the configuration decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub struct CtlOptions {
    pub configuration: Option<PathBuf>,
    pub serverurl: Option<String>,
    pub username: Option<String>,
    pub password: Option<String>,
    pub history_file: Option<PathBuf>,
    /// `--ca-file`, galaxyctl only.
    pub ca_file: Option<PathBuf>,
    /// `-i`: ask before shutdown and reload, and for a password.
    pub interactive: bool,
    /// `--timeout`, galaxyctl only. Set: no call, not even one that waits for processes, takes longer.
    pub timeout: Option<Duration>,
    /// `--json`, galaxyctl only.
    pub json: bool,
    /// `--quiet`, galaxyctl only.
    pub quiet: bool,
    /// `--raw`, galaxyctl only.
    pub raw: bool,
    /// `--ignore-plugins`
    pub plugins: Plugins,
    /// The command and what follows it; empty opens the prompt.
    pub words: Vec<String>,
}

/// The options of supervisorctl by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Help,
    Configuration,
    Interactive,
    Serverurl,
    Username,
    Password,
    HistoryFile,
    IgnorePlugins,
}

fn table() -> Vec<Opt<Key>> {
    vec![
        Opt::new(Key::Help, Some('h'), Some("help"), Takes::Nothing),
        Opt::new(Key::Help, Some('?'), None, Takes::Nothing),
        Opt::new(Key::Configuration, Some('c'), Some("configuration"), Takes::Value),
        Opt::new(Key::Interactive, Some('i'), Some("interactive"), Takes::Nothing),
        Opt::new(Key::Serverurl, Some('s'), Some("serverurl"), Takes::Value),
        Opt::new(Key::Username, Some('u'), Some("username"), Takes::Value),
        Opt::new(Key::Password, Some('p'), Some("password"), Takes::Value),
        Opt::new(Key::HistoryFile, Some('r'), Some("history_file"), Takes::Value),
        Opt::whole(Key::IgnorePlugins, "ignore-plugins", Takes::Nothing),
    ]
}

/// Reads `args`, which do not include the program's name; `program` is `argv[0]`.
///
/// # Errors
/// Python's and Supervisor's complaints, in their words.
pub fn parse(program: &str, args: &[String]) -> Result<Parsed<CtlOptions>, UsageError> {
    let (found, words) = getopt(&table(), args).map_err(|error| UsageError::new(error.to_string()))?;
    let mut options = CtlOptions { words: words.to_vec(), ..CtlOptions::default() };
    for Found { key, spelling, value } in found {
        let first = match key {
            Key::Help => return Ok(Parsed::Print(help(program))),
            Key::Configuration => options.configuration.replace(value.into()).is_none(),
            Key::Interactive => !std::mem::replace(&mut options.interactive, true),
            Key::Serverurl => {
                let url = value::url(&value).map_err(|error| {
                    UsageError::new(format!("invalid value for {spelling} {}: {error}", literal(&value)))
                })?;
                options.serverurl.replace(url).is_none()
            }
            Key::Username => options.username.replace(value).is_none(),
            Key::Password => options.password.replace(value).is_none(),
            Key::IgnorePlugins => std::mem::replace(&mut options.plugins, Plugins::Ignored) == Plugins::Refused,
            Key::HistoryFile => options.history_file.replace(value.into()).is_none(),
        };
        if !first {
            return Err(UsageError::new(format!("conflicting command line option {}", literal(&spelling))));
        }
    }
    Ok(Parsed::Run(options))
}

/// Supervisor's own tests look for the headline and for the line about `-i`.
fn help(program: &str) -> String {
    format!(
        "supervisorctl -- control applications run by supervisord.

Usage: {program} [options] [command [arguments]]

Options:
-c/--configuration FILENAME -- the configuration file (default: the usual places are searched)
-h/--help -- print this text and exit
-i/--interactive -- start an interactive session: ask before shutdown and reload, and for a login where one is wanted
-s/--serverurl URL -- where supervisord listens: http://HOST:PORT or unix:///PATH
     (default \"http://localhost:9001\")
-u/--username USERNAME -- the login's name
-p/--password PASSWORD -- the login's password
-r/--history_file FILENAME -- keep the history of the prompt in this file
--ignore-plugins -- warn of Python plug-ins that the configuration names instead of refusing it

command [arguments] -- as \"status\" or \"tail -f web\". The command \"help\" lists them all.
Without a command a prompt opens that reads one command a line.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str]) -> Result<Parsed<CtlOptions>, String> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        parse("bin/supervisorctl", &args).map_err(|error| error.message)
    }

    #[test]
    fn every_option_reaches_its_field() {
        let args = ["-c", "a.conf", "-i", "-shttp://h:1", "--user=u", "-p", "p", "--history", "h", "tail", "-f", "x"];
        let expected = CtlOptions {
            configuration: Some("a.conf".into()),
            serverurl: Some("http://h:1".into()),
            username: Some("u".into()),
            password: Some("p".into()),
            history_file: Some("h".into()),
            ca_file: None,
            interactive: true,
            timeout: None,
            json: false,
            quiet: false,
            raw: false,
            plugins: Plugins::Refused,
            words: vec!["tail".into(), "-f".into(), "x".into()],
        };
        assert_eq!(run(&args), Ok(Parsed::Run(expected)));
    }

    #[test]
    fn mistakes_are_told_in_supervisors_words() {
        for (args, message) in [
            (&["-v"][..], "option -v not recognized"),
            (&["-s", "foo"], "invalid value for -s 'foo': value 'foo' is not a URL"),
            (&["--serverurl=:9001"], "invalid value for --serverurl ':9001': value ':9001' is not a URL"),
            (&["-i", "-i"], "conflicting command line option '-i'"),
            (&["-u", "", "--username", "x"], "conflicting command line option '--username'"),
            (&["-c"], "option -c requires argument"),
            (&["--history-file", "x"], "option --history-file not recognized"),
        ] {
            assert_eq!(run(args), Err(message.to_owned()), "{args:?}");
        }
    }

    #[test]
    fn help_is_handled_in_the_order_of_the_options() {
        assert!(matches!(run(&["-h", "-s", "foo"]), Ok(Parsed::Print(_))));
        assert!(matches!(run(&["-?"]), Ok(Parsed::Print(_))));
        assert!(run(&["-s", "foo", "-h"]).is_err());
    }
}

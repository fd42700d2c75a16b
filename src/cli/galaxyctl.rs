//! galaxyctl's command line: supervisorctl's options and commands, and what is new. The `clap`
//! definition made here is also what completions and the manual page are generated from.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};

use super::Parsed;
use super::commands::{self, COMMANDS, CommandLine, Origin, Words};
use super::galaxyd::configurations;
use super::getopt::{Opt, Takes, getopt};
use super::supervisorctl::CtlOptions;
use crate::config::{self, Plugins};

/// How processes and groups are named.
pub(super) const NAMES: &str = "Names are `process`, `group:process`, `group:` or `group:*` for all of a group, the bare name of \
                                a group, `all`, or a pattern with *, ? or [...] as in `galaxy:handler*`.";

/// The whole definition.
#[must_use]
pub fn definition() -> Command {
    let mut command = Command::new("galaxyctl")
        .version(crate::VERSION)
        .about("Asks and commands a running galaxyd or supervisord")
        .long_about(
            "Asks and commands a running galaxyd or supervisord. Without a command it shows the status of all processes \
             and opens a prompt that reads one command a line.",
        )
        .infer_long_args(true)
        .disable_help_subcommand(true)
        .after_help(NAMES)
        .args(options());
    for line in COMMANDS {
        command = command.subcommand(subcommand(line));
    }
    command
}

fn options() -> Vec<Arg> {
    vec![
        value(
            'c',
            "configuration",
            "FILE",
            "The configuration file; of galaxy.yml there may be several [default: the usual places are searched]",
        )
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
        .action(ArgAction::Append),
        value('s', "serverurl", "URL", "Where the daemon listens: unix:///PATH, http://HOST:PORT or https://HOST:PORT")
            .value_parser(url),
        value('u', "username", "NAME", "The login's name"),
        value('p', "password", "PASSWORD", "The login's password"),
        value('r', "history_file", "FILE", "Keep the history of the prompt in this file")
            .value_parser(value_parser!(PathBuf))
            .value_hint(ValueHint::FilePath),
        flag("interactive", "Ask before shutdown and reload, and for a login where one is wanted").short('i'),
        Arg::new("timeout").long("timeout").value_name("SECONDS").value_parser(seconds).help(
            "How long the daemon may take to answer [default: 10, and without limit for what waits for processes]",
        ),
        Arg::new("ca-file")
            .long("ca-file")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .value_hint(ValueHint::FilePath)
            .help("Certificates of the authorities to trust at an https:// address [default: the distribution's]"),
        flag("ignore-plugins", "Warn of Python plug-ins that the configuration names instead of refusing it"),
        flag("json", "Print one JSON document instead of lines"),
        flag("quiet", "Print nothing: the exit code tells").conflicts_with("json"),
        flag("raw", "Pass on what programs printed byte for byte, terminal sequences too"),
    ]
}

fn value(short: char, long: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(long).short(short).long(long).value_name(value).help(help).allow_hyphen_values(true)
}

fn flag(long: &'static str, help: &'static str) -> Arg {
    Arg::new(long).long(long).action(ArgAction::SetTrue).help(help)
}

fn subcommand(line: &'static CommandLine) -> Command {
    let name = line.name;
    let command = Command::new(name)
        .about(line.about)
        .override_usage(format!("galaxyctl [OPTIONS] {name} ..."))
        .after_help(format!(
            "Forms:\n  {}\n\nThe options of galaxyctl, such as --json, may also follow the command: see galaxyctl --help.",
            line.help_lines().join("\n  ")
        ));
    // The forms say what these are.
    let words = Arg::new("words").hide(true).num_args(0..);
    match line.words {
        Words::Program => command.arg(words.value_parser(["galaxyctl", "galaxyd"]).num_args(0..=1)),
        Words::File => {
            let command = command.arg(words.num_args(0..=1).value_hint(ValueHint::FilePath));
            match name {
                "config" => command.arg(format_option()).arg(sample_option()),
                "check" => command
                    .arg(flag("sarif", "Report in SARIF 2.1.0, for code scanning"))
                    .arg(flag("live", "Look at the processes of the running daemon, too"))
                    .arg(proxy_option()),
                _ => command,
            }
        }
        Words::Rule => command.arg(words.num_args(0..=1)),
        Words::Executable => command.arg(words.num_args(0..=1).value_hint(ValueHint::ExecutablePath)),
        Words::Migration => {
            let command = command.arg(words.num_args(0..=1).value_hint(ValueHint::FilePath));
            command.args(migration_options())
        }
        Words::Shell => command.arg(words.value_parser(value_parser!(clap_complete::Shell)).num_args(1).required(true)),
        _ => command.arg(words),
    }
}

fn proxy_option() -> Arg {
    Arg::new("proxy")
        .long("proxy")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
        .action(ArgAction::Append)
        .help("Compare with this file of nginx, and what it includes; may be given several times")
}

fn format_option() -> Arg {
    Arg::new("format")
        .long("format")
        .value_name("DIALECT")
        .value_parser(["ini", "toml", "json"])
        .default_value("ini")
        .help("In which dialect to print")
}

fn sample_option() -> Arg {
    Arg::new("sample")
        .long("sample")
        .action(ArgAction::SetTrue)
        .conflicts_with("words")
        .help("Print a sample to begin one with, as echo_supervisord_conf does")
}

fn migration_options() -> [Arg; 3] {
    [
        flag("unit", "Print the systemd unit"),
        flag("shadow", "Watch the running supervisord and judge what it does").conflicts_with("unit"),
        Arg::new("for")
            .long("for")
            .value_name("SECONDS")
            .value_parser(seconds)
            .default_value("60")
            .help("How long to watch"),
    ]
}

/// Any text that Supervisor takes for an address.
fn url(text: &str) -> Result<String, String> {
    config::value::url(text).map_err(|_| "not an address: http://HOST:PORT or unix:///PATH".to_owned())
}

/// Seconds above zero, fractions allowed.
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "wants a number of seconds above zero".to_owned())
}

/// A command line of galaxyctl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Galaxyctl {
    pub options: CtlOptions,
    /// `config --format`; `sample` for `config --sample`, `sarif` for `check --sarif`.
    pub format: String,
    pub migration: Migration,
    pub beside: Beside,
}

/// What `check` looks at beside the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Beside {
    /// The running daemon: `--live`.
    pub live: bool,
    /// Files of nginx: `--proxy`.
    pub proxy: Vec<PathBuf>,
}

impl Galaxyctl {
    /// A command line of supervisorctl, which has none of galaxyctl's own options.
    #[must_use]
    pub fn supervisorctl(options: CtlOptions) -> Self {
        Self { options, format: String::new(), migration: Migration::default(), beside: Beside::default() }
    }
}

/// What `migrate` is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Migration {
    #[default]
    Report,
    Unit,
    /// Watch a running daemon for so long.
    Shadow(Duration),
}

/// Reads `args`, which do not include the program's name.
///
/// # Errors
/// What clap has to say: `error.exit_code()` is the exit code, `render()` the text.
pub fn parse(args: &[String]) -> Result<Parsed<Galaxyctl>, clap::Error> {
    let definition = definition();
    // Supervisor's help shows the spelling with a hyphen, though only the other one works there.
    let args: Vec<String> = args.iter().map(|arg| arg.replacen("--history-file", "--history_file", 1)).collect();
    let Some((before, words)) = split(&definition, &args) else {
        let matches = definition.try_get_matches_from(argv(&args, &[], &[]));
        return matches.map_or_else(printed, |matches| {
            let words = matches.subcommand().map(|(name, _)| name.to_owned()).into_iter().collect();
            Ok(Parsed::Run(read(&matches, words)?))
        });
    };
    let known = words.first().and_then(|name| commands::command(commands::canonical(name)));
    let Some((line, after)) = known.zip(words.split_first().map(|(_, after)| after)) else {
        let matches = definition.try_get_matches_from(argv(before, &[], &[]));
        return matches.map_or_else(printed, |matches| Ok(Parsed::Run(read(&matches, words.to_vec())?)));
    };
    let (hoisted, mut plain) = hoist(&definition, line, after);
    let mut options = before.to_vec();
    let mut own = vec![line.name.to_owned()];
    for option in hoisted {
        if option.first().is_some_and(|name| is_general(&definition, name)) {
            options.extend(option);
        } else {
            own.extend(option);
        }
    }
    // The words of Supervisor's commands are judged by the command, in its own texts.
    let checked: &[String] = if line.origin == Origin::Galaxyd { &plain } else { &[] };
    match definition.try_get_matches_from(argv(&options, &own, checked)) {
        Err(error) => printed(error),
        Ok(matches) => {
            plain.insert(0, line.name.to_owned());
            Ok(Parsed::Run(read(&matches, plain)?))
        }
    }
}

/// Help and version are no mistakes.
fn printed<T>(error: clap::Error) -> Result<Parsed<T>, clap::Error> {
    if error.use_stderr() { Err(error) } else { Ok(Parsed::Print(error.render().to_string())) }
}

fn argv(options: &[String], own: &[String], words: &[String]) -> Vec<String> {
    let mut argv = vec!["galaxyctl".to_owned()];
    argv.extend_from_slice(options);
    argv.extend_from_slice(own);
    if !words.is_empty() {
        argv.push("--".to_owned());
        argv.extend_from_slice(words);
    }
    argv
}

/// Cuts `args` where the options end and the command begins. `None`: there is an option that cannot be
/// understood, which clap explains better.
fn split<'a>(definition: &Command, args: &'a [String]) -> Option<(&'a [String], &'a [String])> {
    let mut table: Vec<Opt<()>> = definition
        .get_arguments()
        .map(|arg| {
            let takes = if arg.get_action().takes_values() { Takes::Value } else { Takes::Nothing };
            Opt::new((), arg.get_short(), arg.get_long(), takes)
        })
        .collect();
    table.push(Opt::new((), Some('h'), Some("help"), Takes::Nothing));
    table.push(Opt::new((), Some('V'), Some("version"), Takes::Nothing));
    let (_, words) = getopt(&table, args).ok()?;
    let (before, words) = args.split_at(args.len() - words.len());
    Some((before.strip_suffix(&["--".to_owned()]).unwrap_or(before), words))
}

/// Takes the long options that galaxyctl knows, with their values, out of the words of a command:
/// everything else with a dash in front belongs to the command (`tail -f`, `tail -100`).
fn hoist(definition: &Command, line: &CommandLine, words: &[String]) -> (Vec<Vec<String>>, Vec<String>) {
    let known = |word: &String| -> Option<Takes> {
        if matches!(word.as_str(), "-h" | "--help") {
            return Some(Takes::Nothing);
        }
        let name = word.strip_prefix("--")?;
        let (name, glued) = name.split_once('=').map_or((name, false), |(name, _)| (name, true));
        let own = definition.find_subcommand(line.name).into_iter().flat_map(Command::get_arguments);
        let arg = definition.get_arguments().chain(own).find(|arg| arg.get_long() == Some(name))?;
        let takes_next = arg.get_action().takes_values() && !glued;
        Some(if takes_next { Takes::Value } else { Takes::Nothing })
    };
    let (mut hoisted, mut plain) = (Vec::new(), Vec::new());
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            plain.extend(rest.by_ref().cloned());
        } else if let Some(takes) = known(word) {
            let mut option = vec![word.clone()];
            if takes == Takes::Value {
                option.extend(rest.next().cloned());
            }
            hoisted.push(option);
        } else {
            plain.push(word.clone());
        }
    }
    (hoisted, plain)
}

fn is_general(definition: &Command, option: &str) -> bool {
    let name = option.trim_start_matches('-').split('=').next();
    definition.get_arguments().any(|arg| arg.get_long() == name)
}

fn read(matches: &ArgMatches, words: Vec<String>) -> Result<Galaxyctl, clap::Error> {
    let refused = |message| definition().error(ErrorKind::ValueValidation, message);
    let configuration = configurations(matches).map_err(refused)?;
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let config = matches.subcommand_matches("config");
    let is_sarif = matches.subcommand_matches("check").is_some_and(|check| check.get_flag("sarif"));
    let format = match config {
        None if is_sarif => Some("sarif".to_owned()),
        Some(config) if config.get_flag("sample") => Some("sample".to_owned()),
        config => config.and_then(|config| config.get_one::<String>("format").cloned()),
    };
    Ok(Galaxyctl {
        options: CtlOptions {
            configuration,
            serverurl: text("serverurl"),
            username: text("username"),
            password: text("password"),
            history_file: matches.get_one::<PathBuf>("history_file").cloned(),
            ca_file: matches.get_one::<PathBuf>("ca-file").cloned(),
            interactive: matches.get_flag("interactive"),
            timeout: matches.get_one::<Duration>("timeout").copied(),
            json: matches.get_flag("json"),
            quiet: matches.get_flag("quiet"),
            raw: matches.get_flag("raw"),
            plugins: if matches.get_flag("ignore-plugins") { Plugins::Ignored } else { Plugins::Refused },
            words,
        },
        format: format.unwrap_or_else(|| "ini".to_owned()),
        migration: matches.subcommand_matches("migrate").map(migration).unwrap_or_default(),
        beside: matches.subcommand_matches("check").map(beside).unwrap_or_default(),
    })
}

fn beside(check: &ArgMatches) -> Beside {
    let proxy = check.get_many::<PathBuf>("proxy").map(|files| files.cloned().collect());
    Beside { live: check.get_flag("live"), proxy: proxy.unwrap_or_default() }
}

fn migration(matches: &ArgMatches) -> Migration {
    let watch = matches.get_one::<Duration>("for").copied().unwrap_or_default();
    match (matches.get_flag("unit"), matches.get_flag("shadow")) {
        (true, _) => Migration::Unit,
        (false, true) => Migration::Shadow(watch),
        (false, false) => Migration::Report,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Galaxyctl {
        let args: Vec<String> = line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        match parse(&args) {
            Ok(Parsed::Run(galaxyctl)) => galaxyctl,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn options_may_follow_the_command_and_its_own_stay_with_it() {
        for (line, words, json, seconds) in [
            ("", "", false, None),
            ("status", "status", false, None),
            ("--json status", "status", true, None),
            ("status --json galaxy:", "status galaxy:", true, None),
            ("tail -f galaxy:web --timeout 3", "tail -f galaxy:web", false, Some(3)),
            ("--timeout=5 tail -100 web stderr --json", "tail -100 web stderr", true, Some(5)),
            ("start -- --json", "start --json", false, None),
            ("stop -x", "stop -x", false, None),
            ("nonsense --json -q", "nonsense --json -q", false, None),
            ("config a.conf --format toml", "config a.conf", false, None),
            ("-- status", "status", false, None),
        ] {
            let options = run(line).options;
            let expected = (words, json, seconds.map(Duration::from_secs));
            assert_eq!((options.words.join(" ").as_str(), options.json, options.timeout), expected, "{line}");
        }
        assert_eq!(run("config --format=json").format, "json");
        assert_eq!(run("config").format, "ini");
        assert_eq!(run("migrate a.conf").migration, Migration::Report);
        assert_eq!(run("migrate --unit a.conf").migration, Migration::Unit);
        let shadow = run("migrate a.conf --shadow --for 2.5");
        assert_eq!(shadow.migration, Migration::Shadow(Duration::from_millis(2500)));
        assert_eq!(shadow.options.words, ["migrate", "a.conf"]);
    }

    #[test]
    fn supervisorctls_options_are_taken() {
        let options = run("-c a.conf -i -sunix:///s -u me -p pw --history-file h pid").options;
        assert_eq!(options.configuration, Some("a.conf".into()));
        assert_eq!(options.serverurl.as_deref(), Some("unix:///s"));
        assert_eq!((options.username.as_deref(), options.password.as_deref()), (Some("me"), Some("pw")));
        assert_eq!(options.history_file, Some("h".into()));
        assert!(options.interactive);
    }

    #[test]
    fn mistakes_exit_2_and_help_is_printed() {
        let parse = |line: &str| parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        for line in
            ["--nonsense", "-s foo", "--timeout 0 status", "--timeout x", "config a b", "completions nosh", "-q"]
        {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
        for line in ["--help", "start --help", "-h", "tail -h", "--version"] {
            assert!(matches!(parse(line), Ok(Parsed::Print(_))), "{line}");
        }
        assert!(
            matches!(parse("--version"), Ok(Parsed::Print(text)) if text == format!("galaxyctl {}\n", crate::VERSION))
        );
    }
}

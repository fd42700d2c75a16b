//! Loads each configuration twice and compares.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use galaxyd::config::{DaemonOption, HostSource, Loaded, Overrides, Plugins, Source, load, load_ctl};
use serde_json::Value;

use crate::generate::{Case, case};
use crate::oracle::{Answer, Oracle};
use crate::random::Random;
use crate::{number_from_environment, report, values};

/// Differences that are meant to be; `docs/compatibility.md` has their reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Documented {
    /// `%%` will do where Supervisor expands twice.
    ExpandedTwice,
    /// `%s` without a name is an error, not a list of all names.
    BareConversion,
    /// Of several unknown events any one is named.
    WhichEvent,
    /// What makes the start fail is refused when the configuration is read.
    InterfaceKeys,
    /// A port without a password is refused where other hosts reach it.
    NoPassword,
    /// A byte-order mark is skipped.
    ByteOrderMark,
    /// An error that Supervisor ends with a traceback.
    Traceback,
}

#[test]
fn loading_agrees_with_supervisor() {
    let folder = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(folder.path()).unwrap();
    let environment = environment(&base);
    let Some(mut oracle) = Oracle::start(&base, &environment) else { return };
    let source = HostSource::new(environment).in_directory(&base);
    let seed = number_from_environment("LOADER_SEED", 1);
    let cases = number_from_environment("LOADER_CASES", 3_000);
    report(&format!("comparing {cases} configurations, LOADER_SEED={seed}"));
    let (mut accepted, mut refused) = (0, 0);
    let mut documented: BTreeMap<Documented, u32> = BTreeMap::new();
    let mut different = Vec::new();
    for number in 0..cases {
        let case = case(&mut Random::new(seed.wrapping_mul(1_000_003).wrapping_add(number)));
        let name = format!("c{number}");
        write(&base.join(&name), &case);
        let arguments = arguments(&base, &name, &case);
        let theirs = oracle.load(&arguments);
        let (ours, loaded) = ours(&arguments, &source);
        if ours == theirs {
            match ours {
                Answer::Accepted(_) => accepted += 1,
                Answer::Refused(_) | Answer::Crashed(_) => refused += 1,
            }
        } else if let Some(reason) = excuse(&ours, &theirs, loaded.as_ref(), &case) {
            *documented.entry(reason).or_default() += 1;
        } else {
            different.push(describe(number, &case, &arguments, &theirs, &ours));
        }
        fs::remove_dir_all(base.join(&name)).unwrap();
    }
    report(&format!("both accept {accepted}, both refuse {refused}, documented differences {documented:?}"));
    let few = different.iter().take(5).cloned().collect::<String>();
    assert!(different.is_empty(), "{} of {cases} differ with LOADER_SEED={seed}\n{few}", different.len());
}

#[test]
fn loading_the_clients_settings_agrees_with_supervisor() {
    let folder = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(folder.path()).unwrap();
    let environment = environment(&base);
    let Some(mut oracle) = Oracle::start(&base, &environment) else { return };
    let source = HostSource::new(environment).in_directory(&base);
    for text in [
        "",
        "[supervisord]\n",
        "[supervisorctl]\n",
        "[supervisorctl]\nserverurl=unix://x/../y\nprompt=me %%\nhistory_file=~/h\n",
        "[supervisorctl]\nserverurl=unix://%(here)s/s ; note\nusername=%(ENV_NUM)s\npassword=\n",
        "[supervisorctl]\nprompt=%(here)s\n",
        "[supervisorctl]\nserverurl=ftp://x\nhistory_file=\n",
        "[supervisorctl]\nserverurl=\n",
        "[supervisorctl]\n[include]\nfiles=nothing\n",
        "[supervisorctl]\n[ctlplugin:x]\n",
        "[supervisorctl]\n[ctlplugin:x]\nsupervisor.ctl_factory=no.such:thing\n",
        "[DEFAULT]\nprompt=there\n[supervisorctl]\n",
    ] {
        fs::write(base.join("client.conf"), text).unwrap();
        let theirs = oracle.load_client(&["-c".to_owned(), "client.conf".to_owned(), "status".to_owned()]);
        let loaded = load_ctl(Path::new("client.conf"), Plugins::Refused, &source);
        let ours = match (&loaded.config, loaded.problems.first_supervisor_error()) {
            (Some(config), None) => Answer::Accepted(values::client(config)),
            (_, error) => Answer::Refused(error.unwrap_or_default().to_owned()),
        };
        assert_eq!(ours, theirs, "{text}");
    }
}

/// What both sides find in their environment; the locale must be the same everywhere.
pub(crate) fn environment(home: &Path) -> Vec<(String, String)> {
    let home = home.to_str().unwrap();
    let pairs = [
        ("HOME", home),
        ("PATH", "/usr/bin:/bin"),
        ("LC_ALL", "C.UTF-8"),
        ("PYTHONUTF8", "1"),
        ("GREETING", "hello"),
        ("NUM", "7"),
        ("DIR", "/tmp"),
        ("PERCENT", "/tmp/50%"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

pub(crate) fn write(directory: &Path, case: &Case) {
    fs::create_dir_all(directory.join("logs")).unwrap();
    for (name, text) in &case.files {
        let file = directory.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
}

pub(crate) fn arguments(base: &Path, name: &str, case: &Case) -> Vec<String> {
    let main = &case.files[0].0;
    let file = if case.is_named_relatively {
        format!("{name}/{main}")
    } else {
        base.join(name).join(main).to_str().unwrap().to_owned()
    };
    let mut arguments = vec!["-c".to_owned(), file];
    arguments.extend(case.arguments.iter().cloned());
    arguments
}

fn ours(arguments: &[String], source: &dyn Source) -> (Answer, Option<Loaded>) {
    let overrides = match overrides(&arguments[2..], source) {
        Ok(overrides) => overrides,
        Err(text) => return (Answer::Refused(text), None),
    };
    let loaded = load(Path::new(&arguments[1]), &overrides, source);
    let answer = match (&loaded.config, loaded.problems.first_supervisor_error()) {
        (Some(config), None) => Answer::Accepted(values::configuration(config, &loaded)),
        (None, Some(error)) => Answer::Refused(error.to_owned()),
        other => panic!("a configuration and an error, or neither: {other:?}"),
    };
    (answer, Some(loaded))
}

fn overrides(arguments: &[String], source: &dyn Source) -> Result<Overrides, String> {
    let mut overrides = Overrides::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let (option, has_value) = match word.as_str() {
            "-n" => (DaemonOption::Nodaemon, false),
            "-s" => (DaemonOption::Silent, false),
            "-k" => (DaemonOption::Nocleanup, false),
            "-t" => (DaemonOption::StripAnsi, false),
            "-u" => (DaemonOption::User, true),
            "-m" => (DaemonOption::Umask, true),
            "-d" => (DaemonOption::Directory, true),
            "-l" => (DaemonOption::Logfile, true),
            "-y" => (DaemonOption::LogfileMaxbytes, true),
            "-z" => (DaemonOption::LogfileBackups, true),
            "-e" => (DaemonOption::Loglevel, true),
            "-j" => (DaemonOption::Pidfile, true),
            "-i" => (DaemonOption::Identifier, true),
            "-q" => (DaemonOption::Childlogdir, true),
            "-a" => (DaemonOption::Minfds, true),
            other => panic!("no such option: {other}"),
        };
        let value = if has_value { words.next().unwrap().as_str() } else { "" };
        overrides.set(option, word, value, source)?;
    }
    Ok(overrides)
}

/// Why two answers may differ, if they may.
fn excuse(ours: &Answer, theirs: &Answer, loaded: Option<&Loaded>, case: &Case) -> Option<Documented> {
    let twice = ["'environment'", "'stdout_logfile'", "'stderr_logfile'"];
    let is_bare = loaded
        .and_then(|loaded| loaded.problems.errors().next())
        .is_some_and(|problem| problem.message.contains("conversion without a name"));
    match (ours, theirs) {
        (_, Answer::Refused(text))
            if text.starts_with("Format string")
                && twice.iter().any(|label| text.contains(&format!("for {label}"))) =>
        {
            Some(Documented::ExpandedTwice)
        }
        (Answer::Refused(_), _) if is_bare => Some(Documented::BareConversion),
        (Answer::Refused(ours), Answer::Refused(theirs))
            if ours.starts_with("Unknown event type") && theirs.starts_with("Unknown event type") =>
        {
            Some(Documented::WhichEvent)
        }
        (Answer::Refused(ours), Answer::Accepted(_)) if ours.starts_with("Could not make ") => {
            Some(Documented::InterfaceKeys)
        }
        (Answer::Refused(ours), Answer::Accepted(_)) if ours.starts_with("no password: whoever") => {
            Some(Documented::NoPassword)
        }
        (_, Answer::Refused(_)) if case.files.iter().any(|(_, text)| text.starts_with('\u{feff}')) => {
            Some(Documented::ByteOrderMark)
        }
        (Answer::Refused(_), Answer::Crashed(_)) => Some(Documented::Traceback),
        _ => None,
    }
}

fn describe(number: u64, case: &Case, arguments: &[String], theirs: &Answer, ours: &Answer) -> String {
    let mut text = format!("---- case {number}, {arguments:?}\n");
    for (name, content) in &case.files {
        write!(text, "== {name}\n{content}").unwrap();
    }
    match (theirs, ours) {
        (Answer::Accepted(theirs), Answer::Accepted(ours)) => differences("", theirs, ours, &mut text),
        _ => write!(text, "== original\n{}\n== ours\n{}\n", short(theirs), short(ours)).unwrap(),
    }
    text
}

fn short(answer: &Answer) -> String {
    match answer {
        Answer::Accepted(_) => "accepted".to_owned(),
        Answer::Refused(text) => format!("refused: {text}"),
        Answer::Crashed(text) => format!("crashed: {text}"),
    }
}

/// The places at which two values differ.
fn differences(at: &str, theirs: &Value, ours: &Value, text: &mut String) {
    match (theirs, ours) {
        (Value::Object(left), Value::Object(right)) if left.keys().all(|key| right.contains_key(key)) => {
            for (key, value) in left {
                differences(&format!("{at}.{key}"), value, &right[key], text);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                differences(&format!("{at}[{index}]"), left, right, text);
            }
        }
        _ if theirs != ours => writeln!(text, "== {at}: original {theirs}, ours {ours}").unwrap(),
        _ => {}
    }
}

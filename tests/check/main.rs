//! Galaxy's rules against small deployments: nothing is said about the good ones, and of each broken one exactly what was
//! broken.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected should fail")]
#![expect(clippy::disallowed_methods, reason = "a test writes files and runs the program under test")]

mod broken;
mod live;
#[path = "../fixture/notice.rs"]
mod notice;
mod program;
mod proxy;
mod strategies;
#[path = "../conformance/wait.rs"]
mod wait;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use galaxyd::config::{self, HostSource, Overrides};
use galaxyd::galaxy::{self, Finding, RULES};

use broken::BROKEN;

/// Where the good deployments are.
fn good() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check/good")
}

/// A copy of a good deployment.
fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in fs::read_dir(good().join(name)).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    folder
}

fn check(file: &Path) -> Vec<Finding> {
    check_with_reader(file).0
}

/// The findings, and the rules of what the reader of configurations warns of.
fn check_with_reader(file: &Path) -> (Vec<Finding>, Vec<&'static str>) {
    let source = HostSource::new(vec![("HOME".to_owned(), "/tmp".to_owned()), ("PATH".to_owned(), "/bin".to_owned())]);
    let loaded = config::load(file, &Overrides::default(), &source);
    let problems: Vec<_> = loaded.problems.errors().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{problems:?}");
    let of_reader = loaded.problems.iter().filter_map(|problem| problem.rule).collect();
    (galaxy::check(&loaded, &source), of_reader)
}

fn shown(findings: &[Finding]) -> Vec<String> {
    let shown = findings.iter().map(|finding| {
        let place = finding.place.as_ref().map(|place| format!("{}:{}", place.file.display(), place.line));
        format!("{} {} {}", finding.rule.code, place.unwrap_or_default(), finding.text)
    });
    shown.collect()
}

/// Breaks a good deployment.
fn made(base: &str, edits: &[(&str, &str, &str)]) -> tempfile::TempDir {
    let folder = copy(base);
    for (file, from, to) in edits {
        let path = folder.path().join(file);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let changed = if from.is_empty() { format!("{text}{to}") } else { text.replacen(from, to, 1) };
        assert_ne!(changed, text, "{base}: {from:?} is not in {file}");
        fs::write(path, changed).unwrap();
    }
    folder
}

#[test]
fn nothing_is_said_about_good_deployments() {
    let mut seen = 0;
    for folder in fs::read_dir(good()).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        let copy = copy(&name);
        let (findings, of_reader) = check_with_reader(&copy.path().join("supervisord.conf"));
        assert_eq!((shown(&findings), of_reader), (Vec::new(), Vec::new()), "{name}");
        seen += 1;
    }
    assert!(seen >= 8, "{seen} deployments");
}

#[test]
fn of_each_broken_deployment_exactly_the_mistake_is_found() {
    let mut wrong = Vec::new();
    for broken in BROKEN {
        let folder = made(broken.base, broken.edits);
        let (findings, of_reader) = check_with_reader(&folder.path().join("supervisord.conf"));
        let codes: BTreeSet<_> = findings.iter().map(|finding| finding.rule.code).chain(of_reader).collect();
        let wanted: BTreeSet<_> = broken.codes.iter().copied().collect();
        if codes != wanted {
            wrong.push(format!(
                "{} {:?}\n  wanted {wanted:?}, found {:#?}",
                broken.base,
                broken.edits,
                shown(&findings)
            ));
        }
        for finding in &findings {
            let Some(place) = &finding.place else { continue };
            let lines = fs::read_to_string(&place.file).unwrap_or_default().lines().count();
            assert!((1..=lines.max(1)).contains(&place.line), "{}: {place:?} of {lines} lines", finding.rule.code);
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_program_that_says_that_it_goes_into_the_background_may() {
    for (base, file, from, to) in [
        ("static", "supervisord.conf", "--server-name", "--daemonize --server-name"),
        ("allinone", "galaxy.yml", "master: true", "master: true\n  daemonize: galaxy.log"),
    ] {
        let folder = made(base, &[(file, from, to)]);
        let conf = folder.path().join("supervisord.conf");
        assert_eq!(check(&conf).iter().map(|finding| finding.rule.code).collect::<Vec<_>>(), ["GX026"]);
        let text = fs::read_to_string(&conf).unwrap();
        fs::write(&conf, text.replace("\ncommand =", "\ntype = forking\ncommand =")).unwrap();
        assert_eq!(shown(&check(&conf)), [""; 0]);
    }
}

#[test]
fn there_are_a_hundred_of_them_and_each_rule_has_one() {
    assert!(BROKEN.len() >= 100, "{}", BROKEN.len());
    let broken: BTreeSet<_> = BROKEN.iter().flat_map(|broken| broken.codes).copied().collect();
    let seen = |code: &&str| broken.contains(code) || live::CODES.contains(code) || proxy::CODES.contains(code);
    let missing: Vec<_> = RULES.iter().map(|rule| rule.code).filter(|code| !seen(code)).collect();
    assert_eq!(missing, [""; 0]);
}

/// The place of a mistake is where it was made.
#[test]
fn findings_name_the_line_that_is_wrong() {
    for (broken, file, text) in [
        (
            ("allinone", "supervisord.conf", "stopwaitsecs = 65", "stopwaitsecs = 20"),
            "supervisord.conf",
            "stopwaitsecs",
        ),
        (("allinone", "galaxy.yml", "master: true", "master: 'true'"), "galaxy.yml", "master:"),
        (
            ("static", "job_conf.xml", "<handler id=\"handler1\" ", "<handler id=\"handler9\" "),
            "job_conf.xml",
            "handler9",
        ),
        (("dynamic", "job_conf.yml", "handler: special", "handler: nobody"), "job_conf.yml", "- id: test1"),
    ] {
        let (base, edited, from, to) = broken;
        let folder = made(base, &[(edited, from, to)]);
        let findings = check(&folder.path().join("supervisord.conf"));
        let place = findings[0].place.as_ref().unwrap();
        assert_eq!(place.file, folder.path().join(file), "{:?}", shown(&findings));
        let content = fs::read_to_string(&place.file).unwrap();
        let line = content.lines().nth(place.line - 1).unwrap();
        assert!(line.contains(text), "{line:?}, {:?}", shown(&findings));
    }
}

/// The examples name files that this host does not have; what can be seen of them is good.
#[test]
fn nothing_is_said_about_the_examples() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    let mut files: Vec<_> =
        fs::read_dir(examples.join("supervisor-confs")).unwrap().map(|file| file.unwrap().path()).collect();
    files
        .extend(["galaxy/galaxyd.conf.in", "container/supervisord.conf", "galaxy.yml"].map(|name| examples.join(name)));
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        // Neither the account nor the folders are on this host.
        let text = text.replace("@PORT@", "8080").replace("@HANDLERS@", "2").replace("user            = galaxy\n", "");
        let text = text.replace("/srv/galaxy", &folder.path().to_string_lossy());
        for name in ["log", "var", "run", "server", "config"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let root = format!("gravity:\n  galaxy_root: {}\n  galaxy_user: nobody\n", folder.path().display());
        let text = text.replace("gravity:\n", &root);
        let is_galaxy = file.extension().is_some_and(|extension| extension == "yml");
        let copy = folder.path().join(if is_galaxy { "galaxy.yml" } else { "example.conf" });
        fs::write(&copy, text).unwrap();
        let source =
            HostSource::new(vec![("HOME".to_owned(), "/tmp".to_owned()), ("PATH".to_owned(), "/bin".to_owned())]);
        let loaded = config::load(&copy, &Overrides { ignore_plugins: true, ..Overrides::default() }, &source);
        assert!(loaded.config.is_some() || !is_galaxy, "{:?}", loaded.problems);
        seen += usize::from(loaded.config.is_some());
        assert_eq!(shown(&galaxy::check(&loaded, &source)), [""; 0], "{}", file.display());
    }
    assert!(seen >= 10, "{seen} could be read");
}

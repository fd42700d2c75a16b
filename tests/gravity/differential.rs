//! galaxy.yml read by Gravity itself and by galaxyd: the same programs, commands, environments, directories, masks and logs.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use galaxyd::config::{Config, HostSource, LogFile, Overrides, ProcessConfig, load, shlex};
use serde_json::{Value, json};

use crate::cases::{ALIKE, Case, REFUSED};
use crate::notice::tell;
use crate::venv::environment;

/// The same packages under the same name as the other tests that run Gravity.
const GRAVITY: &str = "gravity==1.2.4 supervisor==4.3.0";

/// The checkouts of some cases.
struct Deployments {
    _root: tempfile::TempDir,
    files: Vec<PathBuf>,
}

fn deploy(cases: &[Case]) -> Deployments {
    let root = tempfile::tempdir().unwrap();
    let files = cases.iter().map(|case| {
        let checkout = root.path().join(case.name);
        let config = checkout.join("config");
        for directory in ["config", "lib/galaxy", "scripts"] {
            fs::create_dir_all(checkout.join(directory)).unwrap();
        }
        fs::write(checkout.join("requirements.txt"), "celery==5.6.0\ngunicorn==25.1.0\n").unwrap();
        for (name, text) in case.files {
            fs::write(config.join(name), text).unwrap();
        }
        let file = config.join("galaxy.yml");
        fs::write(&file, case.galaxy_yml).unwrap();
        file
    });
    Deployments { files: files.collect(), _root: root }
}

/// What Gravity says of each file.
fn ask_gravity(venv: &Path, files: &[PathBuf]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gravity/oracle.py");
    let mut command = Command::new(venv.join("bin/python"));
    command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env_clear();
    command.envs(environment_of_both());
    let mut child = command.spawn().unwrap();
    let question: Vec<_> = files.iter().map(|file| json!([file])).collect();
    child.stdin.take().unwrap().write_all(Value::Array(question).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn environment_of_both() -> Vec<(String, String)> {
    [("PATH", "/usr/bin:/bin"), ("HOME", "/nonexistent"), ("GRAVITY_SKIP_SYSTEMD", "1")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

fn ours(file: &Path) -> (Option<Config>, Vec<String>) {
    let loaded = load(file, &Overrides::default(), &HostSource::new(environment_of_both()));
    let errors = loaded.problems.errors().map(ToString::to_string).collect();
    (loaded.config, errors)
}

/// Name and value of what is compared.
fn programs(config: &Config) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for group in &config.groups {
        for process in &group.processes {
            let name = if group.name == process.name {
                process.name.clone()
            } else {
                format!("{}:{}", group.name, process.name)
            };
            found.insert(name, described(process));
        }
    }
    found
}

fn described(process: &ProcessConfig) -> Value {
    let LogFile::Path(log) = &process.stdout.file else { panic!("{}: no log", process.name) };
    assert!(process.redirect_stderr && process.autostart);
    json!({
        "argv": shlex::split(&process.command).unwrap(),
        "environment": process.environment,
        "directory": process.directory,
        "umask": process.umask,
        "startsecs": process.startsecs,
        "stopwaitsecs": process.stopwaitsecs,
        "log": log,
    })
}

/// What differs on purpose, made alike: see `docs/galaxy-yml.md`.
fn without_improvements(case: &Case, gravitys: &mut BTreeMap<String, Value>, ours: &mut BTreeMap<String, Value>) {
    const SERVER_NAME: &str = "GALAXY_CONFIG_SERVER_NAME";
    for (name, program) in ours.iter_mut() {
        let Some(other) = gravitys.get_mut(name) else { continue };
        // Computed where the file sets none.
        if !case.galaxy_yml.contains("stop_timeout") || program["stopwaitsecs"] != other["stopwaitsecs"] {
            assert!(program["stopwaitsecs"].as_i64() >= other["stopwaitsecs"].as_i64(), "{}: {name}", case.name);
            other["stopwaitsecs"] = program["stopwaitsecs"].clone();
        }
        // Several gunicorns have a name each.
        if other["environment"].get(SERVER_NAME).is_none() {
            program["environment"].as_object_mut().unwrap().shift_remove(SERVER_NAME);
        }
        // Gravity leaves the shell's quotes in PATH.
        if let Some(Value::String(path)) = other["environment"].get_mut("PATH") {
            *path = path.replace('\'', "");
        }
    }
}

#[test]
fn gravity_and_galaxyd_make_the_same_programs() {
    let venv = match environment("venv-gravity", GRAVITY, "galaxyctl") {
        Ok(venv) => venv,
        Err(reason) => return tell(&format!("could not run: galaxy.yml beside Gravity: {reason}")),
    };
    let deployments = deploy(ALIKE);
    let answers = ask_gravity(&venv, &deployments.files);
    for ((case, file), answer) in ALIKE.iter().zip(&deployments.files).zip(answers) {
        assert_eq!(answer.get("refused"), None, "{}", case.name);
        let mut gravitys: BTreeMap<String, Value> = serde_json::from_value(answer["programs"].clone()).unwrap();
        let (config, errors) = ours(file);
        let mut ours = programs(&config.unwrap_or_else(|| panic!("{}: {errors:?}", case.name)));
        without_improvements(case, &mut gravitys, &mut ours);
        assert_eq!(ours.keys().collect::<Vec<_>>(), gravitys.keys().collect::<Vec<_>>(), "{}", case.name);
        for (name, program) in &ours {
            for (key, value) in program.as_object().unwrap() {
                assert_eq!(value, &gravitys[name][key], "{}: {name}: {key}", case.name);
            }
        }
    }
}

#[test]
fn what_gravity_refuses_is_refused_with_its_place() {
    let deployments = deploy(REFUSED);
    for (case, file) in REFUSED.iter().zip(&deployments.files) {
        let (config, errors) = ours(file);
        assert!(config.is_none() && !errors.is_empty(), "{}", case.name);
        for error in &errors {
            assert!(error.contains(&format!("{}:", file.display())) && error.contains("; "), "{}: {error}", case.name);
        }
    }
    let venv = match environment("venv-gravity", GRAVITY, "galaxyctl") {
        Ok(venv) => venv,
        Err(reason) => return tell(&format!("could not run: refusals beside Gravity: {reason}")),
    };
    for (case, answer) in REFUSED.iter().zip(ask_gravity(&venv, &deployments.files)) {
        assert!(answer.get("refused").is_some(), "{}: {answer}", case.name);
    }
}

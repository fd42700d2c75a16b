//! What a program of the configuration is to Galaxy, by its command line.

use crate::config::{ProcessConfig, shlex};

use super::uwsgi::UwsgiOptions;

/// What a process does for Galaxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A uWSGI that serves Galaxy, mules included.
    Uwsgi,
    /// A uWSGI that takes its socket from a pool.
    Zergling,
    /// The uWSGI that owns the socket of zerglings.
    ZergPool,
    /// Galaxy under gunicorn.
    Gunicorn,
    /// The reports application.
    Reports,
    /// `galaxy-main`: a job handler or workflow scheduler.
    Handler,
    CeleryWorker,
    CeleryBeat,
    Tusd,
    /// The proxy of interactive tools.
    ItProxy,
    /// `run.sh`, which starts others.
    RunScript,
}

impl Role {
    /// Whether it is a uWSGI, of whichever kind.
    #[must_use]
    pub(super) fn is_uwsgi(self) -> bool {
        matches!(self, Role::Uwsgi | Role::Zergling | Role::ZergPool)
    }

    /// Whether it serves Galaxy's pages.
    #[must_use]
    pub(super) fn is_web(self) -> bool {
        matches!(self, Role::Uwsgi | Role::Zergling | Role::Gunicorn)
    }

    /// Whether it is Galaxy's own code, with Galaxy's configuration.
    #[must_use]
    pub(super) fn is_galaxy(self) -> bool {
        self.is_web() || matches!(self, Role::Handler | Role::CeleryWorker | Role::CeleryBeat)
    }
}

/// A command line, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invocation {
    pub(super) role: Role,
    /// The program and its arguments, wrappers removed.
    pub(super) words: Vec<String>,
    /// The program that runs it and stays its parent: `sh -c`, `sudo`.
    pub(super) wrapper: Option<String>,
}

/// Programs that run another and wait for it.
const WRAPPERS: &[&str] = &["sg", "su", "sudo", "runuser", "bash", "sh", "dash"];

/// Programs that become another.
const PRELUDES: &[&str] = &["env", "nice", "ionice", "exec", "chpst", "setsid", "stdbuf"];

/// How many wrappers are looked through.
const WRAPPERS_DEEP_MAX: usize = 8;

impl Invocation {
    /// Takes a command line apart; `None` if it is not known to be of Galaxy.
    #[must_use]
    pub(super) fn of(command: &str) -> Option<Self> {
        Self::of_words(shlex::split(command).ok()?)
    }

    /// The same of a command line whose words are known.
    #[must_use]
    pub(super) fn of_words(words: Vec<String>) -> Option<Self> {
        let (words, wrapper) = Self::unwrapped(words)?;
        let role = role(&words)?;
        Some(Self { role, words, wrapper })
    }

    /// The program and its arguments, and what runs it and stays its parent; `None` if there is no program.
    pub(super) fn unwrapped(mut words: Vec<String>) -> Option<(Vec<String>, Option<String>)> {
        let mut wrapper = None;
        for _ in 0..WRAPPERS_DEEP_MAX {
            let name = base(words.first()?).to_owned();
            if name == "run.sh" {
                break;
            }
            if PRELUDES.contains(&name.as_str()) {
                let is_own = |word: &String| word.starts_with('-') || word.contains('=') || is_number(word);
                words = words.into_iter().skip(1).skip_while(is_own).collect();
                continue;
            }
            let Some(inner) = WRAPPERS.contains(&name.as_str()).then(|| inner(&name, &words)).flatten() else { break };
            words = inner;
            if words.first().is_none_or(|word| word != "exec") {
                wrapper.get_or_insert(name);
            }
        }
        Some((words, wrapper))
    }

    /// The value of the last of these options, `--name value`, `--name=value` or `-n value`.
    #[must_use]
    pub(super) fn option(&self, names: &[&str]) -> Option<&str> {
        self.options(names).pop()
    }

    /// The values of these options, in order.
    #[must_use]
    pub(super) fn options(&self, names: &[&str]) -> Vec<&str> {
        let mut found = Vec::new();
        let mut rest = self.words.iter().map(String::as_str).skip(1).peekable();
        while let Some(word) = rest.next() {
            for name in names {
                if word == *name {
                    found.extend(rest.peek());
                } else if let Some(value) = word.strip_prefix(name) {
                    // `-b:80` is Python's way of short options.
                    let is_short = !name.starts_with("--") && name.len() == 2;
                    found.extend(value.strip_prefix('=').or_else(|| is_short.then_some(value)));
                }
            }
        }
        found
    }

    /// Whether one of these stands there as it is.
    #[must_use]
    pub(super) fn has(&self, names: &[&str]) -> bool {
        self.words.iter().skip(1).any(|word| names.contains(&word.as_str()))
    }

    /// The name by which Galaxy's database knows a handler. Source: Galaxy 26.1, `galaxy/main.py`.
    #[must_use]
    pub(super) fn server_name(&self) -> &str {
        self.option(&["--server-name"]).unwrap_or("main")
    }

    /// uWSGI's options on the command line.
    #[must_use]
    pub(super) fn uwsgi(&self) -> UwsgiOptions {
        UwsgiOptions::from_words(self.words.get(1..).unwrap_or_default())
    }

    /// The file that its configuration is read from, as written.
    #[must_use]
    pub(super) fn configuration<'a>(&'a self, process: &'a ProcessConfig) -> Option<&'a str> {
        let named = match self.role {
            Role::Uwsgi | Role::Zergling | Role::ZergPool => {
                self.option(&["--yaml", "--yml", "-y", "--ini", "--ini-paste", "--ini-paste-logged"])
            }
            Role::Handler => self.option(&["-c", "--config-file", "--config"]),
            _ => None,
        };
        named.or_else(|| process.environment.get("GALAXY_CONFIG_FILE").map(String::as_str))
    }
}

/// The program that is a job handler or workflow scheduler.
pub(super) const HANDLER: &str = "galaxy-main";

/// The pool of job handlers without a tag.
pub(super) const POOL: &str = "job-handlers";

/// The tag of a pool of job handlers: empty for the default one.
pub(super) fn tag_of(pool: &str) -> Option<&str> {
    let rest = pool.strip_prefix(POOL)?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('.').filter(|tag| !tag.is_empty()) }
}

/// The last part of a path.
pub(super) fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a wrapper runs; `None` if it runs a file of its own.
fn inner(name: &str, words: &[String]) -> Option<Vec<String>> {
    let rest = words.get(1..)?;
    match name {
        "runuser" if !rest.iter().any(|word| word == "-u") => shlex::split(after(rest, "-c")?).ok(),
        "sudo" | "runuser" => Some(behind_options(rest, &["-u", "-g"]).to_vec()),
        "sg" => shlex::split(rest.iter().filter(|word| *word != "-c").nth(1)?).ok(),
        "su" => shlex::split(after(rest, "-c")?).ok(),
        _ => shell(rest),
    }
}

/// What a shell runs: the text that `-c` announces, else a script with its arguments, which may be called `-c` too.
fn shell(words: &[String]) -> Option<Vec<String>> {
    let rest = behind_options(words, &["-o", "+o", "-O", "+O", "--rcfile", "--init-file"]);
    let options = words.get(..words.len() - rest.len())?;
    let announces = |word: &String| word.starts_with('-') && !word.starts_with("--") && word.contains('c');
    if options.iter().any(announces) { shlex::split(rest.first()?).ok() } else { Some(rest.to_vec()) }
}

/// What stands behind the options, of which `valued` have a word for their value.
fn behind_options<'a>(words: &'a [String], valued: &[&str]) -> &'a [String] {
    let mut rest = words;
    while let Some((word, behind)) = rest.split_first() {
        if word == "--" {
            return behind;
        }
        if !word.starts_with(['-', '+']) {
            break;
        }
        let taken = usize::from(valued.contains(&word.as_str()));
        rest = behind.get(taken..).unwrap_or_default();
    }
    rest
}

fn after<'a>(words: &'a [String], option: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| word == option)?;
    words.get(at + 1).map(String::as_str)
}

fn role(words: &[String]) -> Option<Role> {
    let name = base(words.first()?);
    let names = |text: &str| words.iter().any(|word| word.contains(text));
    match name {
        _ if name == "uwsgi" || name == "pyuwsgi" || name.starts_with("uwsgi-") => {
            let options = UwsgiOptions::from_words(words.get(1..)?);
            Some(match (options.has("zerg-pool"), options.has("zerg")) {
                (true, _) => Role::ZergPool,
                (false, true) => Role::Zergling,
                (false, false) => Role::Uwsgi,
            })
        }
        "gunicorn" if names("galaxy.webapps.reports") => Some(Role::Reports),
        "gunicorn" if names("galaxy.webapps.galaxy") => Some(Role::Gunicorn),
        HANDLER => Some(Role::Handler),
        "celery" if names("galaxy.celery") && words.iter().any(|word| word == "beat") => Some(Role::CeleryBeat),
        "celery" if names("galaxy.celery") && words.iter().any(|word| word == "worker") => Some(Role::CeleryWorker),
        "tusd" => Some(Role::Tusd),
        "npx" | "npm" | "node" | "gx-it-proxy" if names("gx-it-proxy") => Some(Role::ItProxy),
        "run.sh" => Some(Role::RunScript),
        _ if name.starts_with("python") => {
            let rest: Vec<String> = words.iter().skip(1).skip_while(|word| word.starts_with('-')).cloned().collect();
            rest.first().filter(|word| *word != words.first().unwrap_or(word)).and_then(|_| role(&rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_their_command_lines() {
        let cases = [
            ("/srv/venv/bin/uwsgi --yaml /srv/galaxy.yml", Some(Role::Uwsgi), None),
            ("uwsgi --master --zerg-pool a.sock:127.0.0.1:1", Some(Role::ZergPool), None),
            ("uwsgi --zerg=/a.sock --yaml x", Some(Role::Zergling), None),
            ("/v/bin/python ./scripts/galaxy-main -c x --server-name=h", Some(Role::Handler), None),
            ("galaxy-main -c x", Some(Role::Handler), None),
            ("gunicorn galaxy.webapps.galaxy.fast_factory:factory()", Some(Role::Gunicorn), None),
            ("gunicorn galaxy.webapps.reports.fast_factory:factory()", Some(Role::Reports), None),
            ("gunicorn app:app", None, None),
            ("celery --app galaxy.celery worker", Some(Role::CeleryWorker), None),
            ("celery --app galaxy.celery beat", Some(Role::CeleryBeat), None),
            ("npx @galaxyproject/gx-it-proxy@>=0.0.6 --port 1", Some(Role::ItProxy), None),
            ("sg galaxy 'uwsgi --yaml x'", Some(Role::Uwsgi), Some("sg")),
            ("sh -c 'exec galaxy-main -c x'", Some(Role::Handler), None),
            ("bash -c 'galaxy-main -c x'", Some(Role::Handler), Some("bash")),
            ("sudo -u galaxy galaxy-main -c x", Some(Role::Handler), Some("sudo")),
            ("env A=b nice -n 10 galaxy-main -c x", Some(Role::Handler), None),
            ("sh run.sh --daemon", Some(Role::RunScript), Some("sh")),
            // The script's own -c.
            ("sh ./scripts/galaxy-main -c x --daemonize", Some(Role::Handler), Some("sh")),
            ("bash -e -o pipefail galaxy-main -c x", Some(Role::Handler), Some("bash")),
            ("bash -lc 'galaxy-main -c x'", Some(Role::Handler), Some("bash")),
            ("bash -c -e 'exec galaxy-main -c x'", Some(Role::Handler), None),
            ("sh -ec 'galaxy-main -c x' sh -c", Some(Role::Handler), Some("sh")),
            ("sh -- run.sh", Some(Role::RunScript), Some("sh")),
            ("sh -c", None, None),
            ("sudo -u galaxy -- galaxy-main -c x -u y", Some(Role::Handler), Some("sudo")),
            ("su galaxy -c 'galaxy-main -c x'", Some(Role::Handler), Some("su")),
            ("runuser galaxy -c 'galaxy-main -c x'", Some(Role::Handler), Some("runuser")),
            ("cat", None, None),
            ("sh", None, None),
            ("python", None, None),
            ("'", None, None),
        ];
        for (command, role, wrapper) in cases {
            let found = Invocation::of(command);
            let shown =
                (found.as_ref().map(|found| found.role), found.as_ref().and_then(|found| found.wrapper.as_deref()));
            assert_eq!(shown, (role, wrapper), "{command}");
        }
    }

    #[test]
    fn options_are_found_in_every_spelling() {
        let command = "gunicorn galaxy.webapps.galaxy.x -b :1 --bind=:2 -w4 --preload -b unix:/a";
        let found = Invocation::of(command).unwrap();
        assert_eq!(found.options(&["-b", "--bind"]), [":1", ":2", "unix:/a"]);
        assert_eq!(found.option(&["-w", "--workers"]), Some("4"));
        assert!(found.has(&["--preload"]) && found.option(&["--timeout"]).is_none());
    }
}

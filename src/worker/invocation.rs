//! How the daemon was called: what launcher and worker both make of the command line.

use std::path::{Path, PathBuf};

use super::startup::section;
use super::{Environment, as_text};
use crate::cli::galaxyd::{KeeperMode, Report, Task};
use crate::cli::supervisord::DaemonOptions;
use crate::cli::{Parsed, Personality, UsageError, galaxyd, personality, supervisord};
use crate::config::{self, HostSource, Loaded, NotFound, Problem, Source as _};
use crate::galaxy;
use crate::http;
use crate::sys::notify;

/// The word after which galaxyd's binary is a proxy of signals.
const PIDPROXY: &str = "pidproxy";

/// The word after which it clears up behind a stopped daemon.
const STOP_POST: &str = "stop-post";

/// One call of the daemon: the same for the launcher and for every worker after it.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// `argv`, the program's name first.
    arguments: Vec<String>,
    /// What programs and `%(ENV_x)s` get.
    pub(super) environment: Environment,
}

/// What was asked.
#[derive(Debug)]
pub(super) enum Asked {
    Run(Call),
    Check {
        call: Call,
        report: Report,
    },
    /// Print this and exit 0.
    Print(String),
    /// Be no daemon but a proxy of signals, with these words after the program's name.
    Pidproxy {
        program: String,
        words: Vec<String>,
    },
    /// Be what systemd runs after the daemon's end.
    StopPost,
}

/// A command line that was not understood: what to print, and the exit code.
#[derive(Debug)]
pub(super) struct Misunderstood {
    pub(super) text: String,
    pub(super) code: u8,
}

/// The daemon as it was asked to run.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) program: String,
    /// Started under the name `supervisord`: Supervisor's exact texts are wanted.
    pub(super) is_supervisord: bool,
    pub(super) options: DaemonOptions,
    /// `--no-keeper`: one process, for debugging.
    pub(super) alone: bool,
    pub(super) source: HostSource,
}

impl Invocation {
    /// How this process was called. To be taken before threads are started, and after the stage was taken out of the
    /// environment.
    #[must_use]
    pub fn of_this_process() -> Invocation {
        Invocation {
            arguments: std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect(),
            environment: std::env::vars_os()
                .filter(|(name, _)| !notify::VARIABLES.iter().any(|own| name == own))
                .collect(),
        }
    }

    /// The name the program was called by.
    pub(super) fn program(&self) -> &str {
        self.arguments.first().map_or("galaxyd", String::as_str)
    }

    /// Reads the command line as if in `origin`, the directory the daemon was started in.
    pub(super) fn read(&self, origin: &Path) -> Result<Asked, Misunderstood> {
        let program = self.program().to_owned();
        let source = HostSource::new(as_text(&self.environment)).in_directory(origin);
        let arguments = self.arguments.get(1..).unwrap_or_default();
        let personality = personality(&program);
        if personality == Personality::EchoSupervisordConf {
            // As the original, it looks at no word.
            return Ok(Asked::Print(config::sample()));
        }
        if personality == Personality::Pidproxy {
            return Ok(Asked::Pidproxy { program, words: arguments.to_vec() });
        }
        if let (Personality::Galaxyd, Some((PIDPROXY, words))) =
            (personality, arguments.split_first().map(|(first, words)| (first.as_str(), words)))
        {
            return Ok(Asked::Pidproxy { program: format!("{program} {PIDPROXY}"), words: words.to_vec() });
        }
        if personality == Personality::Galaxyd && arguments == [STOP_POST] {
            return Ok(Asked::StopPost);
        }
        if personality == Personality::Supervisord {
            let parsed = supervisord::parse(&program, arguments, &source);
            return match parsed {
                Ok(Parsed::Print(text)) => Ok(Asked::Print(text)),
                Ok(Parsed::Run(options)) => {
                    Ok(Asked::Run(Call { program, is_supervisord: true, options, alone: false, source }))
                }
                Err(error) => Err(Misunderstood { text: error.text(&program), code: UsageError::EXIT_CODE }),
            };
        }
        let code = UsageError::EXIT_CODE;
        let options = match galaxyd::parse(arguments, &source) {
            Ok(Parsed::Print(text)) => return Ok(Asked::Print(text)),
            Ok(Parsed::Run(options)) => options,
            Err(error) => return Err(Misunderstood { text: error.render().to_string(), code }),
        };
        let alone = options.keeper == KeeperMode::Together;
        let source = source.with_variables(&options.daemon.variables);
        let call = Call { program, is_supervisord: false, options: options.daemon, alone, source };
        match options.task {
            Task::Run => Ok(Asked::Run(call)),
            Task::Check(report) => Ok(Asked::Check { call, report }),
        }
    }
}

impl Call {
    /// The configuration file: named, or found at one of the usual places.
    pub(super) fn file(&self) -> Result<PathBuf, NotFound> {
        match &self.options.configuration {
            Some(file) => Ok(file.clone()),
            None if self.is_supervisord => config::find(&self.program, &self.source),
            None => config::find_with_galaxy_yml(&self.program, &self.source),
        }
    }

    /// Reads the configuration, and the certificates that it names.
    pub(super) fn load(&self) -> Result<Loaded, NotFound> {
        let mut loaded = config::load(&self.file()?, &self.options.overrides, &self.source);
        let mut refused = Vec::new();
        for server in loaded.config.iter().flat_map(|config| &config.servers) {
            if let Err((key, error)) = http::check_tls(server) {
                let problem = Problem::own_error(error.to_string());
                let problem = problem.help("files in PEM that belong together, which the daemon's account can read");
                refused.push((section(server).to_owned(), key, problem));
            }
        }
        for (section, key, problem) in refused {
            loaded.blame(&section, key, problem);
        }
        galaxy::refuse_twins(&mut loaded, Path::new(&self.source.current_dir()));
        galaxy::refuse_unregistered(&mut loaded, &self.source);
        if loaded.problems.has_errors() {
            loaded.config = None;
        }
        Ok(loaded)
    }

    /// Reads the configuration for a daemon that runs by a former one. A file that belonged to that one and is still there, but
    /// cannot be opened, is an error: its programs would be taken away, and nobody has said so.
    pub(super) fn load_again(&self, former: &[PathBuf]) -> Result<Loaded, NotFound> {
        let mut loaded = self.load()?;
        let missed: Vec<PathBuf> = loaded.unread.iter().filter(|file| former.contains(file)).cloned().collect();
        for file in missed {
            let text = format!("{} belongs to the configuration in force and cannot be opened now", file.display());
            let problem = Problem::own_error(text).help("make it readable, or remove it to take its programs away");
            loaded.blame("include", "files", problem);
            loaded.config = None;
        }
        Ok(loaded)
    }
}

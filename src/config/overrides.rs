//! The options of supervisord's command line that stand over the file.

use super::lookup::{Complaint, Lookup};
use super::model::LogLevelName;
use super::source::Source;
use super::value;

/// What the command line settles. `None` and `false`: not given, the file decides.
///
/// Filled by [`Overrides::set`], which checks as Supervisor does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a option of the command line")]
pub struct Overrides {
    pub nodaemon: bool,
    pub silent: bool,
    pub nocleanup: bool,
    pub strip_ansi: bool,
    /// `--ignore-plugins`: Python code that a configuration names is warned about and left out.
    pub ignore_plugins: bool,
    pub user: Option<String>,
    pub umask: Option<u32>,
    pub directory: Option<String>,
    pub logfile: Option<String>,
    pub logfile_maxbytes: Option<i64>,
    pub logfile_backups: Option<i64>,
    pub loglevel: Option<LogLevelName>,
    pub pidfile: Option<String>,
    pub identifier: Option<String>,
    pub childlogdir: Option<String>,
    pub minfds: Option<i64>,
    pub minprocs: Option<i64>,
}

/// An option that can be given on the command line, with or without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DaemonOption {
    Nodaemon,
    Silent,
    Nocleanup,
    StripAnsi,
    IgnorePlugins,
    User,
    Umask,
    Directory,
    Logfile,
    LogfileMaxbytes,
    LogfileBackups,
    Loglevel,
    Pidfile,
    Identifier,
    Childlogdir,
    Minfds,
    Minprocs,
}

impl Overrides {
    /// Takes an option; `typed` is how it was typed (`-e`, `--loglevel`), `text` its value, empty for a flag.
    ///
    /// # Errors
    /// Supervisor's text after `Error: `, if the value is wrong or the option was given before.
    pub fn set(&mut self, option: DaemonOption, typed: &str, text: &str, source: &dyn Source) -> Result<(), String> {
        use DaemonOption as O;
        let lookup = Lookup::new(source);
        let taken = match option {
            O::Nodaemon => raise(&mut self.nodaemon),
            O::Silent => raise(&mut self.silent),
            O::Nocleanup => raise(&mut self.nocleanup),
            O::StripAnsi => raise(&mut self.strip_ansi),
            O::IgnorePlugins => raise(&mut self.ignore_plugins),
            O::User => fill(&mut self.user, Ok(text.to_owned())),
            O::Identifier => fill(&mut self.identifier, Ok(text.to_owned())),
            O::Umask => fill(&mut self.umask, value::octal(text).map_err(Into::into)),
            O::Directory => fill(&mut self.directory, lookup.directory(text)),
            O::Childlogdir => fill(&mut self.childlogdir, lookup.directory(text)),
            O::Logfile => fill(&mut self.logfile, lookup.path(text)),
            O::Pidfile => fill(&mut self.pidfile, lookup.path(text)),
            O::LogfileMaxbytes => fill(&mut self.logfile_maxbytes, value::byte_size(text).map_err(Into::into)),
            O::LogfileBackups => fill(&mut self.logfile_backups, value::integer(text).map_err(Into::into)),
            O::Loglevel => fill(&mut self.loglevel, value::log_level(text).map_err(Into::into)),
            O::Minfds => fill(&mut self.minfds, value::integer(text).map_err(Into::into)),
            O::Minprocs => fill(&mut self.minprocs, value::integer(text).map_err(Into::into)),
        };
        taken.map_err(|refusal| match refusal {
            Refusal::Value(complaint) => {
                format!("invalid value for {typed} {}: {}", super::literal(text), complaint.text)
            }
            Refusal::Twice => format!("conflicting command line option {}", super::literal(typed)),
        })
    }
}

enum Refusal {
    Value(Complaint),
    Twice,
}

fn raise(flag: &mut bool) -> Result<(), Refusal> {
    if *flag {
        return Err(Refusal::Twice);
    }
    *flag = true;
    Ok(())
}

/// Supervisor judges the value before it notices that the option was given twice.
fn fill<T>(slot: &mut Option<T>, value: Result<T, Complaint>) -> Result<(), Refusal> {
    let value = value.map_err(Refusal::Value)?;
    if slot.is_some() {
        return Err(Refusal::Twice);
    }
    *slot = Some(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::made_up::MadeUp;

    #[test]
    fn options_are_checked_with_supervisors_words() {
        let source = MadeUp::new();
        let mut overrides = Overrides::default();
        assert_eq!(overrides.set(DaemonOption::Loglevel, "-e", "DEBUG", &source), Ok(()));
        assert_eq!(overrides.loglevel, Some(LogLevelName::Debug));
        for (option, typed, text, wanted) in [
            (
                DaemonOption::Loglevel,
                "-e",
                "warning",
                "invalid value for -e 'warning': bad logging level name 'warning'",
            ),
            (DaemonOption::Loglevel, "--loglevel", "info", "conflicting command line option '--loglevel'"),
            (DaemonOption::Umask, "-m", "9", "invalid value for -m '9': 9 can not be converted to an octal type"),
            (DaemonOption::Minfds, "-a", "x", "invalid value for -a 'x': invalid literal for int() with base 10: 'x'"),
            (
                DaemonOption::Directory,
                "-d",
                "/none",
                "invalid value for -d '/none': /none is not an existing directory",
            ),
        ] {
            assert_eq!(overrides.set(option, typed, text, &source), Err(wanted.to_owned()), "{typed}");
        }
    }
}

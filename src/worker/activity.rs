//! The activity log of a worker.

use std::io;

use super::startup::Unable;
use crate::config::{Config, DaemonLog, LogLevelName};
use crate::logs::{Activity, ActivitySettings, ActivityTarget, Level};

/// The tag of our messages in the system's log.
pub(super) const SYSLOG_TAG: &str = "supervisord";

/// Begins it as the configuration says.
///
/// # Errors
/// Its file cannot be opened, or something else logs in this process already.
pub(super) fn open(config: &Config) -> Result<Activity, Unable> {
    let daemon = &config.daemon;
    let target = match &daemon.logfile {
        DaemonLog::Syslog => ActivityTarget::Syslog,
        DaemonLog::File(path) => ActivityTarget::File {
            path: path.clone(),
            maxbytes: daemon.logfile_maxbytes,
            backups: daemon.logfile_backups,
        },
    };
    let settings = ActivitySettings {
        target,
        level: level_of(daemon.loglevel),
        echo: daemon.nodaemon && !daemon.silent,
        syslog_tag: SYSLOG_TAG.to_owned(),
    };
    let (activity, layer) = Activity::start(&settings)
        .map_err(|error| Unable::System { doing: "cannot open the activity log".to_owned(), error })?;
    layer
        .install()
        .map_err(|error| Unable::System { doing: "cannot log".to_owned(), error: io::Error::other(error) })?;
    Ok(activity)
}

/// The level of this name.
pub(super) fn level_of(level: LogLevelName) -> Level {
    match level {
        LogLevelName::Critical => Level::Critical,
        LogLevelName::Error => Level::Error,
        LogLevelName::Warn => Level::Warn,
        LogLevelName::Info => Level::Info,
        LogLevelName::Debug => Level::Debug,
        LogLevelName::Trace => Level::Trace,
        LogLevelName::Blather => Level::Blather,
    }
}

//! The structs that describe processes to clients: `getProcessInfo`, `getAllConfigInfo`.

use jiff::tz::TimeZone;
use jiff::{Timestamp, fmt::strtime};

use crate::config::{GroupConfig, LogFile, ProcessConfig};
use crate::engine::{Description, Now, ProcessView};
use crate::events::PoolView;
use crate::rpc::Value;

/// Times on the wire are 32-bit integers.
const TIME_MAX: i64 = i32::MAX as i64;

/// The struct of `getProcessInfo` (`supervisor-rpc.tsv`, rows `ProcessInfo.*`). `logs` are the paths of the channels, empty if none;
/// `own` is a description that Supervisor does not have.
pub(super) fn process_info(view: &ProcessView<'_>, logs: [&str; 2], own: Option<String>, now: Now) -> Value {
    let [stdout, stderr] = logs;
    let time = |at: Option<Now>| at.map_or(0, |at| at.wall.clamp(0, TIME_MAX));
    Value::object([
        ("name", view.name.into()),
        ("group", view.group.into()),
        ("start", time(view.started).into()),
        ("stop", time(view.stopped).into()),
        ("now", now.wall.clamp(0, TIME_MAX).into()),
        ("state", i64::from(view.state.code()).into()),
        ("statename", view.state.name().into()),
        ("spawnerr", view.spawnerr.into()),
        ("exitstatus", i64::from(view.exitstatus.unwrap_or(0)).into()),
        ("logfile", stdout.into()),
        ("stdout_logfile", stdout.into()),
        ("stderr_logfile", stderr.into()),
        ("pid", i64::from(view.pid.filter(|_| !view.sweeping).unwrap_or(0)).into()),
        ("description", own.unwrap_or_else(|| description(view, now)).into()),
    ])
}

fn description(view: &ProcessView<'_>, now: Now) -> String {
    match view.description(now) {
        Description::Text(text) => text,
        Description::StoppedAt(wall) => stop_time(wall),
    }
}

/// `Nov 22 07:09 AM`, local time.
fn stop_time(wall: i64) -> String {
    let zoned = Timestamp::from_second(wall).unwrap_or_default().to_zoned(TimeZone::system());
    strtime::format("%b %d %I:%M %p", &zoned).unwrap_or_default()
}

/// One struct of `getAllConfigInfo` (rows `ConfigInfo.*`). `inuse`: the group's name is active.
pub(super) fn config_info(group: &GroupConfig, process: &ProcessConfig, inuse: bool) -> Value {
    let log = |file: &LogFile| -> Value {
        match file {
            LogFile::None => "none".into(),
            LogFile::Auto => "auto".into(),
            LogFile::Path(path) => path.as_str().into(),
        }
    };
    let text_or_none = |text: Option<&str>| -> Value { text.unwrap_or("none").into() };
    let exitcodes = process.exitcodes.iter().map(|code| i64::from(*code).into()).collect();
    Value::object([
        ("autostart", process.autostart.into()),
        ("directory", text_or_none(process.directory.as_deref())),
        ("uid", process.user.as_ref().map_or("none".into(), |user| i64::from(user.uid).into())),
        ("command", process.command.as_str().into()),
        ("exitcodes", Value::Array(exitcodes)),
        ("group", group.name.as_str().into()),
        ("group_prio", group.priority.into()),
        ("inuse", inuse.into()),
        ("killasgroup", process.killasgroup.into()),
        ("name", process.name.as_str().into()),
        ("process_prio", process.priority.into()),
        ("redirect_stderr", process.redirect_stderr.into()),
        ("startretries", process.startretries.min(i64::from(i32::MAX)).into()),
        ("startsecs", process.startsecs.into()),
        ("stdout_capture_maxbytes", process.stdout.capture_maxbytes.into()),
        ("stdout_events_enabled", process.stdout.events_enabled.into()),
        ("stdout_logfile", log(&process.stdout.file)),
        ("stdout_logfile_backups", process.stdout.backups.into()),
        ("stdout_logfile_maxbytes", process.stdout.maxbytes.into()),
        ("stdout_syslog", process.stdout.syslog.into()),
        ("stopsignal", i64::from(process.stopsignal).into()),
        ("stopwaitsecs", process.stopwaitsecs.into()),
        ("stderr_capture_maxbytes", process.stderr.capture_maxbytes.into()),
        ("stderr_events_enabled", process.stderr.events_enabled.into()),
        ("stderr_logfile", log(&process.stderr.file)),
        ("stderr_logfile_backups", process.stderr.backups.into()),
        ("stderr_logfile_maxbytes", process.stderr.maxbytes.into()),
        ("stderr_syslog", process.stderr.syslog.into()),
        ("serverurl", text_or_none(process.serverurl.as_deref())),
    ])
}

/// One pool of event listeners, for `galaxyctl status`.
pub(super) fn listener_pool(pool: &PoolView<'_>) -> Value {
    let count = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    Value::object([
        ("name", pool.name.into()),
        ("buffer_size", count(pool.buffer_size as u64)),
        ("waiting", count(pool.waiting as u64)),
        ("dropped", count(pool.dropped)),
        ("processed", count(pool.processed)),
        ("requeued", count(pool.requeued)),
        ("renewed", count(pool.renewed)),
    ])
}

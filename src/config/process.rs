//! One section to its processes: templates filled in, every value typed.
//!
//! Values are read in Supervisor's order, so that the first error is the one it would give.
//! Source: Supervisor 4.3.0, `options.py`, `_processes_from_section()`.

use indexmap::IndexMap;

use super::dependencies;
use super::expansion::Scope;
use super::extra;
use super::listening;
use super::lookup::Complaint;
use super::model::{Extras, LogConfig, LogFile, ProcessConfig, User};
use super::numprocs;
use super::outside;
use super::percent::{self, Datum};
use super::problem::Problem;
use super::raw::RawData;
use super::reader::{Level, Place, Reader, Reported};
use super::ready;
use super::rollout;
use super::schema::SectionKind;
use super::value;
use crate::engine::AutoRestart;

/// SIGTERM's number on Linux, the default stop signal.
const SIGTERM: i32 = 15;

/// What does not differ between the processes of a section.
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the configuration")]
struct Common {
    priority: i64,
    autostart: bool,
    autorestart: AutoRestart,
    startsecs: i64,
    startretries: i64,
    stopsignal: i32,
    stopwaitsecs: i64,
    stopasgroup: bool,
    killasgroup: bool,
    exitcodes: Vec<i32>,
    redirect_stderr: bool,
    numprocs: i64,
    numprocs_start: i64,
    stdout: Channel,
    stderr: Channel,
    serverurl: Option<String>,
    user: Option<User>,
    umask: Option<u32>,
    process_name: String,
    extras: Extras,
}

/// What does not differ of a channel.
#[derive(Clone, Copy)]
struct Channel {
    name: &'static str,
    capture_maxbytes: i64,
    events_enabled: bool,
}

/// The processes that a section makes for a group, by priority and name. Problems are reported; values that were
/// refused are replaced by their defaults.
pub(crate) fn processes(
    reader: &mut Reader<'_>,
    section: &str,
    kind: SectionKind,
    group_name: &str,
) -> Vec<ProcessConfig> {
    let place = Place { section, kind, level: Level::Process };
    let bare_name = section.split_once(':').map_or(section, |(_, name)| name);
    let program_name = match value::process_or_group_name(bare_name) {
        Ok(name) => name,
        Err(complaint) => {
            reader.complain(place, "", complaint.into());
            return Vec::new();
        }
    };
    let host = reader.node_name.clone();
    let mut scope =
        reader.scope().with("program_name", &program_name).with("host_node_name", &host).with("group_name", group_name);
    let common = common(reader, place, &scope);
    let mut made = Vec::new();
    let last = common.numprocs_start.saturating_add(common.numprocs);
    for number in common.numprocs_start..last {
        scope.set("process_num", Datum::Int(number));
        scope.set("numprocs", Datum::Int(common.numprocs));
        scope.restore_globals();
        made.extend(one(reader, place, &mut scope, &common));
    }
    // The priorities are all the same, so this is by name; equal names keep their order.
    made.sort_by(|left, right| (left.priority, &left.name).cmp(&(right.priority, &right.name)));
    made
}

fn common(reader: &mut Reader<'_>, place: Place<'_>, scope: &Scope) -> Common {
    let priority = reader.integer(place, "priority", scope);
    let priority = if reader.raw_value(place, "priority").is_some() { priority } else { 999 };
    let autostart = reader.boolean(place, "autostart", scope);
    let autorestart = reader.plain(place, "autorestart", scope, value::auto_restart);
    let startsecs = reader.integer(place, "startsecs", scope);
    let startretries = reader.plain(place, "startretries", scope, value::retries).unwrap_or_default();
    let stopsignal = reader.plain(place, "stopsignal", scope, value::signal);
    let stopwaitsecs = reader.integer(place, "stopwaitsecs", scope);
    let stopasgroup = reader.boolean(place, "stopasgroup", scope);
    let killasgroup = reader.plain(place, "killasgroup", scope, value::boolean).unwrap_or(stopasgroup);
    let exitcodes = reader.plain(place, "exitcodes", scope, value::exit_codes).unwrap_or_default();
    let redirect_stderr = reader.boolean(place, "redirect_stderr", scope);
    let (numprocs, numprocs_file) = count(reader, place, scope);
    let numprocs_start = reader.integer(place, "numprocs_start", scope);
    let stdout = channel(reader, place, scope, "stdout", ["stdout_capture_maxbytes", "stdout_events_enabled"]);
    let stderr = channel(reader, place, scope, "stderr", ["stderr_capture_maxbytes", "stderr_events_enabled"]);
    let serverurl = reader.written(place, "serverurl", scope).ok().flatten();
    let serverurl = serverurl.filter(|url| !url.trim().eq_ignore_ascii_case("AUTO"));
    let user = reader.typed(place, "user", scope, |text, lookup| lookup.user(text));
    let umask = reader.plain(place, "umask", scope, value::octal);
    let process_name = process_name(reader, place, numprocs);
    let extras = Extras { numprocs_file, ..extra::extras(reader, place, scope) };
    if stopasgroup && !killasgroup {
        let text = "Cannot set stopasgroup=true and killasgroup=false";
        let help = "leave out killasgroup: stopasgroup=true implies it";
        reader.complain(place, "killasgroup", Complaint::new(text, help));
    }
    Common {
        priority,
        autostart,
        autorestart: autorestart.unwrap_or(AutoRestart::Unexpected),
        startsecs,
        startretries,
        stopsignal: stopsignal.unwrap_or(SIGTERM),
        stopwaitsecs,
        stopasgroup,
        killasgroup,
        exitcodes,
        redirect_stderr,
        numprocs,
        numprocs_start,
        stdout,
        stderr,
        serverurl,
        user,
        umask,
        process_name,
        extras,
    }
}

/// `numprocs`, and the file whose number stands over it, which is told. Without the file the configuration's number counts.
fn count(reader: &mut Reader<'_>, place: Place<'_>, scope: &Scope) -> (i64, Option<String>) {
    const KEY: &str = "numprocs_file";
    let written = reader.typed(place, "numprocs", scope, |text, _| numprocs::bearable(text)).unwrap_or(1);
    let found = reader
        .typed(place, KEY, scope, |text, lookup| Ok((text.to_owned(), numprocs::number_in(text, lookup.source)?)));
    let Some((file, number)) = found else { return (written, None) };
    match number {
        Some(number) if number != written => {
            let (text, help) = numprocs::overruled(&file, number, "numprocs", written);
            reader.report(place, KEY, Problem::own_warning(text).help(help));
            (number, Some(file))
        }
        _ => (written, Some(file)),
    }
}

fn channel(
    reader: &mut Reader<'_>,
    place: Place<'_>,
    scope: &Scope,
    name: &'static str,
    [capture, events]: [&str; 2],
) -> Channel {
    let capture_maxbytes = reader.bytes(place, capture, scope);
    let events_enabled = reader.boolean(place, events, scope);
    Channel { name, capture_maxbytes, events_enabled }
}

/// The template of the processes' names, checked but not filled in.
fn process_name(reader: &mut Reader<'_>, place: Place<'_>, numprocs: i64) -> String {
    const KEY: &str = "process_name";
    let text = match reader.raw_value(place, KEY).map(|value| &value.data) {
        Some(RawData::Text(text)) => text.clone(),
        _ => "%(program_name)s".to_owned(),
    };
    let template = value::process_or_group_name(&text).unwrap_or_else(|complaint| {
        reader.complain(place, KEY, complaint.into());
        String::new()
    });
    if numprocs > 1 && !template.contains("%(process_num)") && !template.is_empty() {
        let text = "%(process_num) must be present within process_name when numprocs > 1";
        let help = "write process_name=%(program_name)s_%(process_num)02d";
        reader.complain(place, KEY, Complaint::new(text, help));
    }
    template
}

/// One process, its number in the scope already.
fn one(reader: &mut Reader<'_>, place: Place<'_>, scope: &mut Scope, common: &Common) -> Option<ProcessConfig> {
    let environment = reader.variables(place, scope, "environment", None);
    if environment.is_err() {
        scope.lacks_variables = true;
    }
    let environment: IndexMap<String, String> = environment.unwrap_or_default();
    scope.set_variables(&environment);
    let directory = reader.written(place, "directory", scope).ok().flatten();
    let stdout = log(reader, place, scope, common.stdout);
    let mut stderr = log(reader, place, scope, common.stderr);
    if common.redirect_stderr {
        if matches!(stderr.file, LogFile::Path(_)) {
            let text = format!(
                "For [{}], redirect_stderr=true but stderr_logfile has also been set to a filename, the filename has \
                 been ignored",
                place.section
            );
            reader.report(place, "stderr_logfile", Problem::warning(text).help("remove one of the two"));
        }
        stderr.file = LogFile::None;
    }
    let command = match reader.written(place, "command", scope) {
        Ok(Some(command)) => command,
        Ok(None) => {
            let text = format!("program section {} does not specify a command", place.section);
            reader.complain(place, "command", Complaint::new(text, "add command=... to the section"));
            return None;
        }
        Err(Reported) => String::new(),
    };
    let name = name(reader, place, scope, &common.process_name)?;
    let extras = Extras {
        ready: ready::ready(reader, place, scope),
        depends_on: dependencies::depends_on(reader, place, scope),
        wait_for: outside::wait_for(reader, place, scope),
        rollout: rollout::rollout(reader, place, scope),
        pidfile: extra::pidfile(reader, place, scope, common.extras.kind),
        ..common.extras.clone()
    };
    let process = ProcessConfig {
        name,
        section: place.section.to_owned(),
        command,
        directory,
        umask: common.umask,
        user: common.user.clone(),
        priority: common.priority,
        autostart: common.autostart,
        autorestart: common.autorestart,
        startsecs: common.startsecs,
        startretries: common.startretries,
        exitcodes: common.exitcodes.clone(),
        stopsignal: common.stopsignal,
        stopwaitsecs: common.stopwaitsecs,
        stopasgroup: common.stopasgroup,
        killasgroup: common.killasgroup,
        redirect_stderr: common.redirect_stderr,
        stdout,
        stderr,
        environment,
        serverurl: common.serverurl.clone(),
        extras,
        socket: listening::socket(reader, place, scope, common.user.as_ref()),
    };
    ready::refuse_without_log(reader, place, &process);
    Some(process)
}

fn name(reader: &mut Reader<'_>, place: Place<'_>, scope: &Scope, template: &str) -> Option<String> {
    const KEY: &str = "process_name";
    match reader.raw_value(place, KEY) {
        Some(value) => reader.expand(place, KEY, value, template, KEY, scope).ok(),
        None => percent::expand(template, &scope.seen_from(reader.here())).ok(),
    }
}

fn log(reader: &mut Reader<'_>, place: Place<'_>, scope: &Scope, channel: Channel) -> LogConfig {
    let name = channel.name;
    let (file_key, syslog_key) = (format!("{name}_logfile"), format!("{name}_syslog"));
    let chosen = log_file(reader, place, scope, &file_key);
    let backups = reader.integer(place, &format!("{name}_logfile_backups"), scope);
    let maxbytes = reader.bytes(place, &format!("{name}_logfile_maxbytes"), scope);
    let syslog = reader.boolean(place, &syslog_key, scope);
    let (file, syslog) = match chosen {
        Destination::File(file) => (file, syslog),
        Destination::Syslog => {
            let text = format!(
                "For [{}], {file_key}=syslog but this is deprecated and will be removed.  Use {syslog_key}=true to \
                 enable syslog instead.",
                place.section
            );
            let help = format!("write {file_key}=NONE and {syslog_key}=true");
            reader.report(place, &file_key, Problem::warning(text).help(help));
            (LogFile::None, true)
        }
    };
    if file == LogFile::Auto && maxbytes == 0 {
        let text = format!(
            "For [{}], AUTO logging used for {file_key} without rollover, set maxbytes > 0 to avoid filling up \
             filesystem unintentionally",
            place.section
        );
        let key = format!("{file_key}_maxbytes");
        reader.report(place, &key, Problem::warning(text).help("set it above 0, or name a log file"));
    }
    LogConfig {
        file,
        maxbytes,
        backups,
        capture_maxbytes: channel.capture_maxbytes,
        events_enabled: channel.events_enabled,
        syslog,
    }
}

enum Destination {
    File(LogFile),
    Syslog,
}

fn log_file(reader: &mut Reader<'_>, place: Place<'_>, scope: &Scope, key: &str) -> Destination {
    let Ok(Some(text)) = reader.written(place, key, scope) else { return Destination::File(LogFile::Auto) };
    let text = match reader.raw_value(place, key) {
        Some(value) if value.dialect == super::raw::Dialect::Ini => reader.expand_again(value, &text, scope),
        _ => text,
    };
    match text.to_lowercase().as_str() {
        "none" | "off" => Destination::File(LogFile::None),
        "auto" => Destination::File(LogFile::Auto),
        "syslog" => Destination::Syslog,
        _ => match reader.lookup.path(&text) {
            Ok(path) => Destination::File(LogFile::Path(path)),
            Err(complaint) => {
                reader.complain(place, key, complaint);
                Destination::File(LogFile::Auto)
            }
        },
    }
}

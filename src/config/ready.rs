//! The keys of a program about its readiness: how it is asked, how often, and for how long.

use std::time::Duration;

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::door::Door;
use super::expansion::Scope;
use super::lookup::Complaint;
use super::model::{LogFile, ProcessConfig};
use super::reader::{Place, Reader};
use super::shlex;
use super::value;
use crate::engine::ReadyRule;

/// Bytes that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// More answers in a row than these are not wanted of anybody.
const SUCCESSES_MAX: i64 = 1000;

/// Less than this between two questions is no interval.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// What counts only beside `ready`.
const BESIDE_READY: [&str; 4] = ["ready_timeout", "ready_interval", "ready_successes", "ready_settle"];

/// What is written where a value is none of these.
const FORMS: &str = "write http://HOST:PORT/PATH, http+unix:SOCKET:/PATH, tcp:HOST:PORT, unix:/SOCKET, log:REGEX, notify, \
                     uwsgi-stats:ADDRESS, command:COMMAND or worker_process";

/// How it is found out whether a program is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// As it was written.
    pub text: String,
    pub check: ReadyCheck,
    /// From the end of one question to the next.
    pub interval: Duration,
    /// So many answers in a row are wanted.
    pub successes: u32,
    pub rule: ReadyRule,
}

/// What shows that a program is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReadyCheck {
    Http(HttpCheck),
    /// Somebody accepts connections there.
    Connect(Door),
    /// A line of its output matches.
    Log(String),
    /// It says so itself, by `READY=1` to the socket that `NOTIFY_SOCKET` names.
    Notify,
    /// A worker of this uWSGI has loaded an application and accepts requests, by its stats server.
    UwsgiStats(Door),
    /// This command line, run as the program is, ends with exit code 0.
    Command(String),
    /// It has written its row in the table `worker_process` of its Galaxy.
    WorkerProcess,
}

/// A GET request and the answer that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpCheck {
    pub door: Door,
    /// With its query.
    pub path: String,
    /// The lowest and the highest status.
    pub statuses: (u16, u16),
    /// A pattern that matches somewhere in the body.
    pub body: Option<String>,
}

/// The pattern of a `log:` or `body=`, compiled.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build().map_err(|error| {
        let told = error.to_string();
        told.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
    })
}

/// Reads the keys for one process, whose number the scope knows.
pub(super) fn ready(reader: &mut Reader<'_>, place: Place<'_>, scope: &Scope) -> Option<Ready> {
    if reader.raw_value(place, "ready").is_none() {
        for key in BESIDE_READY {
            if reader.raw_value(place, key).is_none() {
                continue;
            }
            let text = format!("{key} without ready has no meaning");
            reader.complain(place, key, Complaint::new(text, format!("add ready, or remove {key}")));
        }
        return None;
    }
    let read = reader.typed(place, "ready", scope, |text, _| {
        let text = text.trim();
        Ok((text.to_owned(), check(text)?))
    });
    let mut duration = |key| reader.plain(place, key, scope, value::duration).unwrap_or_default();
    let (timeout, settle) = (duration("ready_timeout"), duration("ready_settle"));
    let interval = reader.typed(place, "ready_interval", scope, |text, _| interval(text)).unwrap_or(INTERVAL_MIN);
    let successes = reader.typed(place, "ready_successes", scope, |text, _| successes(text)).unwrap_or(1);
    let (text, check) = read?;
    Some(Ready { text, check, interval, successes, rule: ReadyRule { timeout, settle } })
}

/// A line of the output must get where it can be read.
pub(super) fn refuse_without_log(reader: &mut Reader<'_>, place: Place<'_>, process: &ProcessConfig) {
    let is_about_logs = process.extras.ready.as_ref().is_some_and(|ready| matches!(ready.check, ReadyCheck::Log(_)));
    let has_log = [&process.stdout, &process.stderr].iter().any(|log| log.file != LogFile::None);
    if is_about_logs && !has_log {
        let help = "give it a stdout_logfile or a stderr_logfile, or ask it in another way";
        reader.complain(place, "ready", Complaint::new("ready=log: needs a log file, and there is none", help));
    }
}

fn interval(text: &str) -> Result<Duration, Complaint> {
    let interval = value::duration(text)?;
    if interval < INTERVAL_MIN {
        let text = format!("{} is too short an interval", value::duration_text(interval));
        return Err(Complaint::new(text, format!("write {} or more", value::duration_text(INTERVAL_MIN))));
    }
    Ok(interval)
}

fn successes(text: &str) -> Result<u32, Complaint> {
    let number = value::integer(text)?;
    let fits = u32::try_from(number).ok().filter(|_| (1..=SUCCESSES_MAX).contains(&number));
    fits.ok_or_else(|| {
        Complaint::new(format!("{number} is not between 1 and {SUCCESSES_MAX}"), "write 1 or a few more")
    })
}

pub(super) fn check(text: &str) -> Result<ReadyCheck, Complaint> {
    let refused = || Complaint::new(format!("'{text}' does not say how readiness shows"), FORMS);
    match text {
        "notify" => return Ok(ReadyCheck::Notify),
        "worker_process" => return Ok(ReadyCheck::WorkerProcess),
        _ => {}
    }
    let (kind, rest) = text.split_once(':').ok_or_else(refused)?;
    match kind {
        "http" | "http+unix" => http(kind, rest).map(ReadyCheck::Http),
        "https" => Err(Complaint::new("ready does not speak TLS", "ask the program itself by http, behind its proxy")),
        "tcp" => Door::tcp(rest.strip_prefix("//").unwrap_or(rest)).map(ReadyCheck::Connect).ok_or_else(refused),
        "unix" => Door::unix(rest.strip_prefix("//").unwrap_or(rest)).map(ReadyCheck::Connect).ok_or_else(refused),
        "uwsgi-stats" => {
            let door = Door::unix(rest.strip_prefix("unix:").unwrap_or(rest)).or_else(|| Door::tcp(rest));
            door.map(ReadyCheck::UwsgiStats).ok_or_else(refused)
        }
        "log" => {
            checked(rest)?;
            Ok(ReadyCheck::Log(rest.to_owned()))
        }
        "command" => command(rest.trim()).map(ReadyCheck::Command),
        _ => Err(refused()),
    }
}

fn command(text: &str) -> Result<String, Complaint> {
    let help = "write a command line as in the key command, such as command:/usr/bin/test -e /run/up";
    match shlex::split(text) {
        Ok(words) if words.is_empty() => Err(Complaint::new("an empty command says nothing", help)),
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(Complaint::new(format!("'{text}' is no command line: {error}"), help)),
    }
}

fn checked(text: &str) -> Result<(), Complaint> {
    if text.is_empty() {
        return Err(Complaint::new("an empty pattern matches everything", "write a regular expression"));
    }
    let help = "write a regular expression, with \\ before letters that stand for themselves";
    pattern(text).map(drop).map_err(|error| Complaint::new(format!("'{text}' is no regular expression: {error}"), help))
}

/// `//HOST[:PORT][/PATH]` or `SOCKET:/PATH`, then `status=` and `body=`.
fn http(kind: &str, rest: &str) -> Result<HttpCheck, Complaint> {
    let (address, options) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let (door, path) = if kind == "http" { web_door(address) } else { socket_door(address) }.ok_or_else(|| {
        let help = "write http://HOST:PORT/PATH or http+unix:/SOCKET:/PATH";
        Complaint::new(format!("'{kind}:{address}' is no address to ask"), help)
    })?;
    let mut check = HttpCheck { door, path, statuses: (200, 299), body: None };
    let mut left = options.trim_start();
    while !left.is_empty() {
        if let Some(body) = left.strip_prefix("body=") {
            checked(body)?;
            check.body = Some(body.to_owned());
            break;
        }
        let (word, after) = left.split_once(char::is_whitespace).unwrap_or((left, ""));
        check.statuses = word.strip_prefix("status=").and_then(statuses).ok_or_else(|| {
            let help = "write status=200 or status=200-399, and body=REGEX after that";
            Complaint::new(format!("'{word}' is nothing that can be wanted of an answer"), help)
        })?;
        left = after.trim_start();
    }
    Ok(check)
}

fn web_door(address: &str) -> Option<(Door, String)> {
    let rest = address.strip_prefix("//")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let door = if has_port { Door::tcp(authority) } else { Door::tcp(&format!("{authority}:80")) };
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Some((door?, path))
}

fn socket_door(address: &str) -> Option<(Door, String)> {
    let address = address.strip_prefix("//").filter(|rest| rest.starts_with('/')).unwrap_or(address);
    let (socket, path) = address.rsplit_once(":/").unwrap_or((address, ""));
    Some((Door::unix(socket)?, format!("/{path}")))
}

fn statuses(text: &str) -> Option<(u16, u16)> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high) = (low.parse().ok()?, high.parse().ok()?);
    (100 <= low && low <= high && high <= 599).then_some((low, high))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Loaded, Overrides, load};

    fn loaded(keys: &str) -> Loaded {
        let text = format!("[supervisord]\n[program:a]\ncommand=a\n{keys}\n");
        load(Path::new("/etc/a.conf"), &Overrides::default(), &MadeUp::new().file("/etc/a.conf", &text))
    }

    fn read(keys: &str) -> Option<Ready> {
        let loaded = loaded(keys);
        let config = loaded.config.unwrap_or_else(|| panic!("{keys}: {:?}", loaded.problems));
        config.groups[0].processes[0].extras.ready.clone()
    }

    #[test]
    fn without_it_nothing_is_asked() {
        assert_eq!(read(""), None);
    }

    #[test]
    fn every_form_is_read() {
        let tcp = |host: &str, port| Door::Tcp { host: host.to_owned(), port };
        let unix = |path: &str| Door::Unix(path.to_owned());
        let http = |door, path: &str, statuses, body: Option<&str>| {
            ReadyCheck::Http(HttpCheck { door, path: path.to_owned(), statuses, body: body.map(str::to_owned) })
        };
        for (text, wanted) in [
            ("http://127.0.0.1:8080/api/version", http(tcp("127.0.0.1", 8080), "/api/version", (200, 299), None)),
            ("http://h", http(tcp("h", 80), "/", (200, 299), None)),
            ("http://[::1]/x?y=1 status=204", http(tcp("::1", 80), "/x?y=1", (204, 204), None)),
            (
                "http+unix:/run/g.sock:/api status=200-399 body=\"version\": +\"2",
                http(unix("/run/g.sock"), "/api", (200, 399), Some("\"version\": +\"2")),
            ),
            ("http+unix:///run/g.sock", http(unix("/run/g.sock"), "/", (200, 299), None)),
            ("tcp:db:5432", ReadyCheck::Connect(tcp("db", 5432))),
            ("unix:/run/s", ReadyCheck::Connect(unix("/run/s"))),
            ("log:WSGI app \\d+ .* ready", ReadyCheck::Log("WSGI app \\d+ .* ready".to_owned())),
            ("notify", ReadyCheck::Notify),
            ("worker_process", ReadyCheck::WorkerProcess),
            ("uwsgi-stats:127.0.0.1:9191", ReadyCheck::UwsgiStats(tcp("127.0.0.1", 9191))),
            ("uwsgi-stats:/run/stats", ReadyCheck::UwsgiStats(unix("/run/stats"))),
            ("command:pg_isready -h 'my host'", ReadyCheck::Command("pg_isready -h 'my host'".to_owned())),
        ] {
            let ready = read(&format!("ready={text}")).unwrap();
            assert_eq!((ready.text.as_str(), &ready.check), (text, &wanted), "{text}");
        }
    }

    #[test]
    fn each_process_has_its_own_and_the_companions_count() {
        let text = "ready=tcp:127.0.0.1:808%(process_num)d\nnumprocs=2\nprocess_name=p%(process_num)d\n\
                    ready_timeout=2m\nready_interval=500ms\nready_successes=3\nready_settle=1";
        let config = loaded(text).config.unwrap();
        let [_, second] = config.groups[0].processes.as_slice() else { panic!() };
        let ready = second.extras.ready.clone().unwrap();
        assert_eq!(ready.text, "tcp:127.0.0.1:8081");
        let rule = ReadyRule { timeout: Duration::from_secs(120), settle: Duration::from_secs(1) };
        assert_eq!((ready.interval, ready.successes, ready.rule), (Duration::from_millis(500), 3, rule));
        let defaults = read("ready=notify").unwrap();
        let rule = ReadyRule { timeout: Duration::from_secs(60), settle: Duration::ZERO };
        assert_eq!((defaults.interval, defaults.successes, defaults.rule), (Duration::from_secs(1), 1, rule));
        assert_eq!(second.policy().ready, second.extras.ready.as_ref().map(|ready| ready.rule));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (keys, wanted) in [
            ("ready=yes", "'yes' does not say how readiness shows"),
            ("ready=tcp:5432", "'tcp:5432' does not say how readiness shows"),
            ("ready=unix:run/s", "'unix:run/s' does not say how readiness shows"),
            ("ready=https://h/", "ready does not speak TLS"),
            ("ready=http:/h", "'http:/h' is no address to ask"),
            ("ready=http://h/ status=99", "'status=99' is nothing that can be wanted of an answer"),
            ("ready=http://h/ body=(", "'(' is no regular expression: error: unclosed group"),
            ("ready=log:", "an empty pattern matches everything"),
            ("ready=log:x{9999999}", "is no regular expression"),
            ("ready=command: ", "an empty command says nothing"),
            ("ready=command:sh -c 'test", "'sh -c 'test' is no command line: No closing quotation"),
            ("ready=log:x\nstdout_logfile=NONE\nstderr_logfile=NONE", "ready=log: needs a log file"),
            ("ready=notify\nready_interval=1ms", "1ms is too short an interval"),
            ("ready=notify\nready_successes=0", "0 is not between 1 and 1000"),
            ("ready_timeout=5", "ready_timeout without ready has no meaning"),
        ] {
            let loaded = loaded(keys);
            assert!(loaded.config.is_none(), "{keys}");
            assert!(format!("{:?}", loaded.problems).contains(wanted), "{keys}: {:?}", loaded.problems);
        }
    }
}

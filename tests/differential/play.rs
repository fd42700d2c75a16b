//! Plays a scenario on one side.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use galaxyd::rpc::{Value, write_call};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::{Daemon, Outcome, finish};
use crate::observation::{EVENTS, Observation};
use crate::plain::Plain;
use crate::recorder;
use crate::scenario::{Head, Recorded, Scenario, Started};
use crate::step::Step;
use crate::subject::Side;
use crate::wait::{until, until_true};

/// What every configuration begins with, unless the scenario is `bare`. Everything is said at `debug`.
const HEAD: &str = "\
[supervisord]
logfile = %(here)s/main.log
pidfile = %(here)s/main.pid
childlogdir = %(here)s
loglevel = debug
[unix_http_server]
file = %(here)s/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://%(here)s/s.sock
";

/// The recorder's section. It starts at once, and no event is dropped.
const RECORDER: &str = "\
[eventlistener:recorder]
command = RECORDER FLAG %(here)s/EVENTS
events = EVENT
buffer_size = 100000
startsecs = 0
stdout_logfile = NONE
stderr_logfile = NONE
";

/// So long a raw request waits for more: some connections stay open.
const HTTP_PATIENCE: Duration = Duration::from_secs(5);

/// So long a call waits for its answer: longer than `stopwaitsecs`, because the original may lose a stop signal.
const CALL_PATIENCE: Duration = Duration::from_secs(60);

/// So long the files are waited for at the end; a recorder that was stopped tells nothing more.
const CATCH_UP_MAX: Duration = Duration::from_secs(8);

/// The pause between two questions for a state.
const STATE_PAUSE: Duration = Duration::from_millis(100);

/// A scenario being played on one side.
struct Play<'a> {
    scenario: &'a Scenario,
    daemon: Daemon,
    port: u16,
    plain: Plain,
    observation: Observation,
    followers: BTreeMap<String, Child>,
}

/// Plays the scenario on a daemon of its own, which does not outlive the call.
pub(crate) fn play(scenario: &Scenario, side: Side) -> Observation {
    let port = free_port();
    let daemon = Daemon::folder_raw(side.subject(), "");
    let plain = Plain::new(vec![
        (daemon.dir().display().to_string(), "DIR"),
        (side.bin().display().to_string(), "BIN"),
        (std::env::current_exe().unwrap().display().to_string(), "RECORDER"),
        (format!(":{port}"), ":PORT"),
        (format!("port={port}"), "port=PORT"),
    ]);
    let mut play =
        Play { scenario, daemon, port, plain, observation: Observation::default(), followers: BTreeMap::new() };
    let outcome = catch_unwind(AssertUnwindSafe(|| play.all()));
    for child in play.followers.values_mut() {
        let _ = child.kill();
        let _ = child.wait();
    }
    if let Err(panic) = outcome {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        play.observation.failure = Some(play.plain.text(&text.unwrap_or_default()));
    }
    play.catch_up();
    let Play { daemon, mut observation, plain, .. } = play;
    observation.conclude(&daemon, scenario, &plain);
    observation
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Play<'_> {
    fn all(&mut self) {
        for (name, text) in &self.scenario.files {
            let path = self.daemon.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, self.filled(text)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        self.configure(&self.scenario.config);
        if self.scenario.started == Started::Yes {
            self.daemon.run();
        }
        for (place, step) in self.scenario.steps.iter().enumerate() {
            let step = Step {
                rest: self.filled(&step.rest),
                words: step.words.iter().map(|word| self.filled(word)).collect(),
                ..step.clone()
            };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.step(&step))) {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                panic!("step {} `{}`: {}", place + 1, step.line, text.unwrap_or_default());
            }
        }
    }

    /// Waits until what was logged and announced so far is in the files: ours writes its log beside the loop, and a listener
    /// is told after the deed. A last event says where the end is; a daemon that ended has written everything.
    fn catch_up(&self) {
        let end = "the end of the scenario";
        let params = [Value::String("differential".to_owned()), Value::String(end.to_owned())];
        let answer = self.call(&write_call("supervisor.sendRemoteCommEvent", &params));
        if answer.is_err() || !self.scenario.logged {
            return;
        }
        let begin = Instant::now();
        let told = |file: &str, text: &str| {
            while !self.daemon.text(file).contains(text) && begin.elapsed() < CATCH_UP_MAX {
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        if self.daemon.subject.daemon == Side::Galaxyd {
            told("main.log", "audit: supervisor.sendRemoteCommEvent differential");
        }
        if self.records() && self.observation.events_until.is_none() {
            told(EVENTS, end);
        }
    }

    fn records(&self) -> bool {
        self.scenario.recorded == Recorded::Yes && self.scenario.head == Head::Usual
    }

    fn call(&self, body: &[u8]) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(self.daemon.path("s.sock"))?;
        stream.set_read_timeout(Some(HTTP_PATIENCE))?;
        stream.write_all(&posted(body))?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// `{port}` is a free port of this side, `{dir}` its folder.
    fn filled(&self, text: &str) -> String {
        text.replace("{port}", &self.port.to_string()).replace("{dir}", &self.daemon.dir().display().to_string())
    }

    fn configure(&self, sections: &str) {
        let mut text = String::new();
        if self.scenario.head == Head::Usual {
            text.push_str(HEAD);
            if self.records() {
                let program = std::env::current_exe().unwrap().display().to_string();
                let recorder = RECORDER.replace("RECORDER", &program).replace("FLAG", recorder::FLAG);
                text.push_str(&recorder.replace("EVENTS", EVENTS));
            }
        }
        text.push_str(&self.filled(sections));
        fs::write(self.daemon.path("supervisord.conf"), text).unwrap();
    }

    fn note(&mut self, step: &Step, text: &str) {
        let text = self.plain.text(text);
        self.observation.add(&step.line, text);
    }

    fn outcome(&mut self, step: &Step, outcome: &Outcome) {
        let code = outcome.code.map_or_else(|| "a signal".to_string(), |code| code.to_string());
        let mut text = outcome.stdout.clone();
        if step.of_several() {
            let mut lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
            lines.sort();
            text = lines.concat();
        }
        for line in outcome.stderr.lines() {
            text.extend(["! ", line, "\n"]);
        }
        self.note(step, &format!("{text}[{code}]"));
    }

    fn step(&mut self, step: &Step) {
        if step.ends_the_daemon() && self.observation.events_until.is_none() {
            self.catch_up();
            self.observation.events_until = Some(self.daemon.text(EVENTS).len());
        }
        match step.verb.as_str() {
            "config" => {
                let wanted = self.scenario.configs.iter().find(|(name, _)| *name == step.rest);
                self.configure(&wanted.unwrap_or_else(|| panic!("no such configuration")).1);
            }
            "start" => self.daemon.run(),
            "launch" => self.daemon.launch(),
            "wait" | "log" | "event" | "text" | "absent" | "ready" | "alive" | "dead" | "gone" => self.wait(step),
            "write" | "append" | "remove" | "rename" => self.change_files(step),
            "signal" => self.daemon.signal(signal(&step.rest)),
            "kill" => self.kill(step.word(0), signal(step.word(1))),
            "end" | "shutdown" => self.end(step),
            "show" | "sorted" | "files" | "mode" | "output" => self.look(step),
            _ => self.ask(step),
        }
    }

    /// The pid is asked for until there is one: 0 would be this process's own group.
    fn kill(&self, process: &str, signal: Signal) {
        let pid = until(&format!("the pid of {process}"), || match self.daemon.process_pid(process) {
            0 => Err("0".to_owned()),
            pid => Ok(pid),
        });
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Steps that wait for something and compare nothing.
    fn wait(&mut self, step: &Step) {
        match step.verb.as_str() {
            "wait" => self.wait_state(step.word(0), step.word(1)),
            "log" => self.wait_count("main.log", step.count_and_text(0)),
            "event" => self.wait_count(EVENTS, step.count_and_text(0)),
            "text" => self.wait_count(step.word(0), step.count_and_text(1)),
            "absent" => until_true("the end of the file", || !self.daemon.path(&step.rest).exists()),
            "ready" => self.daemon.wait_ready(),
            "gone" => self.daemon.wait_nothing_left(),
            wanted => until_true("the process", || {
                let pid: Option<i32> = self.daemon.text(&step.rest).trim().parse().ok();
                let state = pid.map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default());
                // A zombie does not live.
                state.is_some_and(|text| (!text.is_empty() && !text.contains(") Z ")) == (wanted == "alive"))
            }),
        }
    }

    /// Asks seldom: each request is a pass of the original's loop, and Python's time.
    fn wait_state(&self, process: &str, state: &str) {
        until(&format!("{process} to be {state}"), || {
            let seen = self.daemon.info(process, "statename")?;
            if seen == state {
                return Ok(());
            }
            std::thread::sleep(STATE_PAUSE);
            Err(seen)
        });
    }

    fn wait_count(&self, file: &str, (count, text): (usize, String)) {
        until(&format!("{text:?} in {file}, {count} times"), || {
            let content = self.daemon.text(file);
            if content.matches(&text).count() >= count { Ok(()) } else { Err(content) }
        });
    }

    fn change_files(&mut self, step: &Step) {
        let path = self.daemon.path(step.word(0));
        match step.verb.as_str() {
            "write" => fs::write(path, step.text(1)).unwrap(),
            "append" => {
                fs::OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(path)
                    .unwrap()
                    .write_all(step.text(1).as_bytes())
                    .unwrap();
            }
            "remove" => fs::remove_file(path).unwrap(),
            _ => fs::rename(path, self.daemon.path(step.word(1))).unwrap(),
        }
    }

    fn end(&mut self, step: &Step) {
        if step.verb == "shutdown" {
            self.daemon.signal(Signal::SIGTERM);
        }
        let status = self.daemon.wait_end();
        if step.verb == "shutdown" {
            self.daemon.wait_nothing_left();
        }
        self.note(step, &status.to_string());
    }

    /// Steps that compare files.
    fn look(&mut self, step: &Step) {
        let name = step.rest.as_str();
        let text = match step.verb.as_str() {
            "show" => fs::read(self.daemon.path(name))
                .map_or_else(|_| "(no such file)".to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned()),
            "sorted" => {
                let text = self.daemon.text(name);
                let mut lines: Vec<&str> = text.lines().collect();
                lines.sort_unstable();
                lines.join("\n")
            }
            "mode" => fs::symlink_metadata(self.daemon.path(name)).map_or_else(
                |_| "(no such file)".to_owned(),
                |data| {
                    let kind = if data.file_type().is_socket() { "socket" } else { "file" };
                    format!("{kind} {:o}", data.permissions().mode() & 0o7777)
                },
            ),
            "files" => self.names(name),
            _ => {
                let text = self.daemon.text("daemon.out");
                let wanted = |line: &&str| step.words.iter().any(|word| line.contains(word.as_str()));
                text.lines().filter(wanted).collect::<Vec<_>>().join("\n")
            }
        };
        self.note(step, &text);
    }

    /// The names that begin or end as the pattern says, with their sizes.
    fn names(&self, pattern: &str) -> String {
        let (folder, pattern) = pattern.rsplit_once('/').unwrap_or((".", pattern));
        let (begin, end) = pattern.split_once('*').unwrap_or((pattern, ""));
        let mut found = Vec::new();
        for entry in fs::read_dir(self.daemon.path(folder)).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(begin) && name.ends_with(end) {
                found.push(format!("{name} {}", entry.metadata().unwrap().len()));
            }
        }
        found.sort();
        found.join("\n")
    }

    /// Steps that ask the daemon or run a program.
    fn ask(&mut self, step: &Step) {
        let words: Vec<&str> = step.words.iter().map(String::as_str).collect();
        match step.verb.as_str() {
            "ctl" => {
                let outcome = self.daemon.ctl(&words);
                self.outcome(step, &outcome);
            }
            "shell" => {
                let input = self.daemon.text(&step.rest);
                let outcome = self.daemon.ctl_with_input(&[], Some(&input));
                self.outcome(step, &outcome);
            }
            "follow" => {
                let child = self.daemon.ctl_follow(&words[1..], words[0], Stdio::null());
                self.followers.insert(words[0].to_owned(), child);
            }
            "unfollow" => {
                let mut child = self.followers.remove(words[0]).unwrap();
                kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
                until("the end of the client", || child.try_wait().unwrap().ok_or_else(|| "it runs".to_owned()));
                let text = self.daemon.text(&format!("{}.out", words[0]));
                self.note(step, &text);
            }
            "daemon" => {
                let outcome = self.daemon.supervisord(&words);
                self.outcome(step, &outcome);
            }
            "run" => {
                let mut command = self.daemon.command("/bin/sh".as_ref());
                let outcome = finish(command.args(["-c", &step.rest]), self.daemon.dir(), None);
                self.outcome(step, &outcome);
            }
            _ => self.request(step),
        }
    }

    /// Steps that speak HTTP.
    fn request(&mut self, step: &Step) {
        let answer = match step.verb.as_str() {
            "rpc" => {
                let params: Vec<Value> = step.values().iter().map(value).collect();
                self.exchange(&posted(&write_call(step.word(0), &params)), None, CALL_PATIENCE)
            }
            "post" => self.exchange(&posted(&bytes(&step.text(0))), None, HTTP_PATIENCE),
            _ => {
                let over_tcp = step.words.first().is_some_and(|word| *word == self.port.to_string());
                let port = over_tcp.then_some(self.port);
                self.exchange(&bytes(&step.text(usize::from(over_tcp))), port, HTTP_PATIENCE)
            }
        };
        // An answer to a call is its body alone; how it is sent is a matter of `http` and `post`.
        let text = match answer.split_once("\r\n\r\n") {
            Some((head, body)) if step.verb == "rpc" && head.contains(" 200 ") && step.of_several() => sorted(body),
            Some((head, body)) if step.verb == "rpc" && head.contains(" 200 ") => body.to_owned(),
            Some((head, body)) => format!("{}\n{body}", stable_head(head)),
            None => answer,
        };
        self.note(step, &text);
    }

    /// What comes back until the connection is closed, or until nothing comes any more.
    fn exchange(&self, request: &[u8], port: Option<u16>, patience: Duration) -> String {
        if let Some(port) = port {
            let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.set_read_timeout(Some(patience)).unwrap();
            return exchanged(stream, request);
        }
        let stream = UnixStream::connect(self.daemon.path("s.sock")).unwrap();
        stream.set_read_timeout(Some(patience)).unwrap();
        exchanged(stream, request)
    }
}

/// Sends the request; gives what comes back. A side that closes early is seen by its answer.
fn exchanged(mut stream: impl Read + Write, request: &[u8]) -> String {
    let mut answer = Vec::new();
    let _ = stream.write_all(request);
    let result = stream.read_to_end(&mut answer);
    let mut text = String::from_utf8_lossy(&answer).into_owned();
    if result.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
        text.push_str("(and the connection stays open)");
    }
    text
}

/// A request to `/RPC2` with this body.
fn posted(body: &[u8]) -> Vec<u8> {
    let head = "POST /RPC2 HTTP/1.0\r\nHost: x\r\nContent-Type: text/xml\r\n";
    let mut request = format!("{head}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    request.extend(body);
    request
}

/// An answer whose structs stand in the order of their names.
fn sorted(body: &str) -> String {
    let mut parts: Vec<&str> = body.split("<value><struct>").collect();
    let Some(last) = parts.pop() else { return body.to_owned() };
    let (last, tail) = last.split_once("</struct></value>\n").unwrap_or((last, ""));
    let last = format!("{last}</struct></value>\n");
    let mut structs: Vec<&str> = parts.iter().skip(1).copied().chain([last.as_str()]).collect();
    structs.sort_unstable();
    format!("{}<value><struct>{}{tail}", parts.first().unwrap_or(&""), structs.join("<value><struct>"))
}

/// The status and the headers that say how to go on; the others tell time, length and make of the server.
fn stable_head(head: &str) -> String {
    const STABLE: &[&str] =
        &["allow", "connection", "content-type", "location", "transfer-encoding", "www-authenticate"];
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    let mut headers: Vec<String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
        .filter(|(name, _)| STABLE.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    headers.sort();
    format!("{status}\n{}", headers.join("\n"))
}

/// Each letter below 256 is a byte, so that any bytes can be written down.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect()
}

fn signal(name: &str) -> Signal {
    Signal::from_str(&format!("SIG{name}")).unwrap()
}

fn value(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => Value::Int(number.as_i64().unwrap()),
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => Value::Array(items.iter().map(value).collect()),
        Json::Object(members) => {
            Value::Struct(members.iter().map(|(name, member)| (name.clone().into(), value(member))).collect())
        }
        Json::Null => panic!("XML-RPC has no null"),
    }
}

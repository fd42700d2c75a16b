//! Configurations with errors: through the loader, through `galaxyd --check`, and by `reread` of a running daemon.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use galaxyd::config::{HostSource, Loaded, Overrides, load, sample};

use crate::daemon::Daemon;
use crate::dice::Dice;
use crate::household::{anonymous_kb, galaxyd, worker_of};

const CONFIGURATIONS: usize = 10_000;
const CHECKS: usize = 100;
const REREADS: usize = 300;

/// No file takes longer to read, not even one that asks for ten thousand processes.
const LOAD_BOUND: Duration = Duration::from_secs(20);

/// What keeper and worker together may be larger by after the rereads: what is pending may be a large configuration.
const GROWTH_KB_MAX: u64 = 8 * 1024;

const SPICES: &[&[u8]] = &[
    b"\n",
    b"\r",
    b"\n[program:x]\n",
    b"\n[DEFAULT]\n",
    b"[",
    b"]",
    b"=",
    b" ; ",
    b"%",
    b"%(",
    b"%(here)s",
    b"%(ENV_HOME)s",
    b"%(process_num)99999d",
    b"\"",
    b"'",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\0",
    b",,",
    b"-1",
    b"\n\tcontinued = 1\n",
    b"\n[include]\nfiles = *.conf\n",
];

const RICH: &str = "\
[supervisord]
logfile = %(here)s/d.log
pidfile = %(here)s/d.pid
loglevel = debug
environment = A=\"1,2\",B='%(here)s',C=%(ENV_HOME)s
identifier = %(host_node_name)s
umask = 022
[unix_http_server]
file = %(here)s/c.sock
chmod = 0700
username = a
password = {SHA}82ab876d1387bfafe46cc1c8a2ef074eae50cb1d
[inet_http_server:x]
port = 127.0.0.1:9001
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[rpcinterface:twiddler]
supervisor.rpcinterface_factory = supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface
whitelist = log, getGroupNames
[program:web]
command = /bin/sh -c \"exec cat # not a comment; neither\" %(process_num)02d
process_name = %(program_name)s_%(process_num)02d
numprocs = 3
numprocs_start = 1
directory = /tmp
stopsignal = INT
exitcodes = 0,2
autorestart = unexpected
stdout_logfile = %(here)s/%(program_name)s.log
stdout_logfile_maxbytes = 10MB
environment = PORT=\"80%(process_num)02d\",
    NAME='x'
[group:g]
programs = web,other
priority = 5
[program:other]
command = /bin/cat
user = root
redirect_stderr = true
[eventlistener:l]
command = /bin/cat
events = PROCESS_STATE,TICK_60
buffer_size = 100
[fcgi-program:f]
command = /bin/cat
socket = unix://%(here)s/%(program_name)s.sock
socket_owner = root:root
socket_mode = 0600
[supervisorctl]
serverurl = unix://%(here)s/c.sock
[include]
files = conf.d/*.conf
";

const NATIVE: &str = "\
supervisord.umask = 0o22
supervisord.environment = { A = '1', B = '%(here)s' }
[unix_http_server]
file = 'c.sock'
[rpcinterface]
[program.web]
command = 'cat %(process_num)d'
numprocs = 3
process_name = 'web_%(process_num)d'
exitcodes = [0, 2]
autostart = true
stopsignal = 2
[group.g]
programs = ['web']
[eventlistener.l]
command = 'cat'
events = ['TICK_5', 'EVENT']
[include]
files = ['conf.d/*.toml']
";

/// Good ones, with the ending that tells their dialect.
fn seeds() -> Vec<(Vec<u8>, &'static str)> {
    let mut seeds =
        vec![(RICH.as_bytes().to_vec(), "conf"), (sample().into_bytes(), "conf"), (NATIVE.as_bytes().to_vec(), "toml")];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/supervisor-confs");
    let mut examples: Vec<_> = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    examples.sort();
    for path in examples.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "conf")) {
        seeds.push((fs::read(path).unwrap(), "conf"));
    }
    seeds
}

fn damaged<'a>(seeds: &'a [(Vec<u8>, &'static str)], dice: &mut Dice) -> (Vec<u8>, &'a str) {
    // The first three hold all there is to get wrong; every second one is of them.
    let bound = if dice.one_in(2) { 3 } else { seeds.len() };
    let (seed, ending) = &seeds[dice.throw(bound)];
    let mut bytes = seed.clone();
    // Small pieces go wrong deeper: a long file mostly fails at its first bad line.
    if dice.one_in(3) {
        let lines: Vec<&[u8]> = seed.split_inclusive(|byte| *byte == b'\n').collect();
        let from = dice.throw(lines.len());
        let to = (from + 1 + dice.throw(12)).min(lines.len());
        bytes = [&b"[supervisord]\n"[..], &lines[from..to].concat()].concat();
    }
    dice.damage(&mut bytes, SPICES);
    (bytes, ending)
}

fn host() -> HostSource {
    HostSource::new(vec![("HOME".to_owned(), "/tmp".to_owned())])
}

/// Every error says where it is; one about a whole file names it.
fn judge(loaded: &Loaded, path: &Path, bytes: &[u8]) {
    assert_eq!(loaded.config.is_none(), loaded.problems.has_errors());
    for problem in loaded.problems.errors() {
        let names_file = problem.text().contains(&*path.to_string_lossy());
        assert!(
            problem.place.is_some() || names_file,
            "nobody knows where: {problem}\n{}",
            String::from_utf8_lossy(bytes)
        );
        assert!(!problem.message.is_empty());
    }
}

#[test]
fn the_loader_takes_or_refuses_everything() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("conf.d")).unwrap();
    fs::write(folder.path().join("conf.d/more.conf"), "[program:more]\ncommand=/bin/cat\n").unwrap();
    let (seeds, source) = (seeds(), host());
    let mut dice = Dice::of_environment("configurations");
    let (mut good, mut slowest) = (0, Duration::ZERO);
    let begin = Instant::now();
    for _ in 0..CONFIGURATIONS {
        let (bytes, ending) = damaged(&seeds, &mut dice);
        let path = folder.path().join(format!("x.{ending}"));
        fs::write(&path, &bytes).unwrap();
        let asked = Instant::now();
        let loaded = load(&path, &Overrides::default(), &source);
        slowest = slowest.max(asked.elapsed());
        assert!(slowest < LOAD_BOUND, "{slowest:?}:\n{}", String::from_utf8_lossy(&bytes));
        judge(&loaded, &path, &bytes);
        good += usize::from(loaded.config.is_some());
    }
    let took = begin.elapsed();
    eprintln!("{good} of {CONFIGURATIONS} are good all the same; {took:?}, the slowest in {slowest:?}");
    assert!(good > CONFIGURATIONS / 20 && good < CONFIGURATIONS * 19 / 20, "{good} good ones are no mixture");
}

#[test]
fn a_check_says_where_and_ends_with_0_or_2() {
    let folder = tempfile::tempdir().unwrap();
    let seeds = seeds();
    let mut dice = Dice::of_environment("checks");
    for _ in 0..CHECKS {
        let (bytes, ending) = damaged(&seeds, &mut dice);
        let path = folder.path().join(format!("x.{ending}"));
        fs::write(&path, &bytes).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_galaxyd"));
        command.args(["--check", "-c"]).arg(&path).env_clear().env("HOME", "/tmp").stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(matches!(output.status.code(), Some(0 | 2)), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
        let name = String::from_utf8_lossy(path.as_os_str().as_bytes()).into_owned();
        assert!(text.lines().last().unwrap().starts_with(&name), "{text}");
        assert_eq!(output.status.code() == Some(2), text.contains("error: ") || text.contains("refused"), "{text}");
    }
}

#[test]
fn a_daemon_that_rereads_them_goes_on() {
    let program = "[program:kept]\ncommand=/bin/cat\nstartsecs=0\n";
    let daemon = galaxyd("", program);
    daemon.wait_running(&["kept"]);
    let (keeper, kept) = (daemon.pid(), daemon.process_pid("kept"));
    let worker = worker_of(keeper);
    let seeds = seeds();
    let mut dice = Dice::of_environment("rereads");
    let mut before = 0;
    for round in 0..REREADS {
        if round == REREADS / 4 {
            // A pending configuration is part of what there is; it is the usual one again.
            reread_usual(&daemon, program);
            before = anonymous_kb(keeper) + anonymous_kb(worker);
        }
        let bytes = loop {
            let (bytes, ending) = damaged(&seeds, &mut dice);
            if ending == "conf" {
                break bytes;
            }
        };
        fs::write(daemon.path("supervisord.conf"), &bytes).unwrap();
        let answer = daemon.call("supervisor.reloadConfig", "").unwrap();
        let refused = answer.contains("CANT_REREAD");
        assert!(refused || answer.contains("<array>"), "{answer}");
        let says_where = answer.contains("--&gt;") || answer.contains("supervisord.conf");
        assert!(!refused || says_where, "{answer}\n{}", String::from_utf8_lossy(&bytes));
    }
    reread_usual(&daemon, program);
    let after = anonymous_kb(keeper) + anonymous_kb(worker);
    eprintln!("{before} kB before, {after} kB after");
    assert_eq!((daemon.pid(), worker_of(keeper), daemon.process_pid("kept")), (keeper, worker, kept));
    assert!(after < before + GROWTH_KB_MAX, "{before} kB before, {after} kB after");
}

fn reread_usual(daemon: &Daemon, program: &str) {
    daemon.rewrite(program);
    assert!(daemon.call("supervisor.reloadConfig", "").unwrap().contains("<array>"));
}

//! Configurations made from a seed: sections, keys, templates, groups and includes, right and wrong.

use std::fmt::Write;

use crate::random::Random;

/// The files of one configuration, below a directory of its own, and the command line.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Relative names and texts, the main file first.
    pub(crate) files: Vec<(String, String)>,
    /// Options beside `-c`.
    pub(crate) arguments: Vec<String>,
    pub(crate) is_named_relatively: bool,
}

/// How often something wrong is put in: one value in this many.
struct Flaws(usize);

impl Flaws {
    fn choose<'a>(&self, random: &mut Random, good: &[&'a str], bad: &[&'a str]) -> &'a str {
        if self.0 > 0 && random.one_in(self.0) && !bad.is_empty() { random.pick(bad) } else { random.pick(good) }
    }
}

const NAMES: &[&str] = &["web", "handler", "celery", "tusd", "a", "b", "gx-it", "x_1", "é"];
const INTEGERS: (&[&str], &[&str]) = (
    &["0", "1", "5", "10", " 7 ", "+3", "-2", "1_0", "007", "%(ENV_NUM)s"],
    &["x", "1.5", "", "0x10", "1 2", "١x", "--1", "%(nope)s"],
);
const BOOLEANS: (&[&str], &[&str]) =
    (&["true", "false", "Yes", "NO", "on", "off", "1", "0", "TRUE"], &["", "maybe", "'true'", "2", "t"]);
const BYTES: (&[&str], &[&str]) = (
    &["0", "1", "50MB", "1kb", "2 MB", "1GB", "-1", "100Kb", "%(ENV_NUM)sMB"],
    &["1M", "1TB", "MB", "1.5MB", "x", "", "50 M B"],
);
const SIGNALS: (&[&str], &[&str]) = (
    &["TERM", "int", "SIGHUP", "15", "9", "USR1", "RTMIN", "0", "sigquit"],
    &["FOO", "99", "SIG", "", "-1", "RTMIN+1"],
);
const CODES: (&[&str], &[&str]) = (&["0", "0,2", "1, 2 ,3", "255", "", "+1"], &["256", "-1", "0,", "a", "0 2"]);
const OCTALS: (&[&str], &[&str]) = (&["022", "0700", "7", "0o77", " 077", "1_7"], &["9", "", "abc", "0x1", "08"]);
const USERS: (&[&str], &[&str]) =
    (&["root", "0", "daemon", "nobody"], &["nosuchuser", "99999999", "", "-3", "root:root"]);
const OWNERS: (&[&str], &[&str]) =
    (&["root", "root:root", "0:0", "nobody"], &["nosuch", "root:nosuch", "root:", ":", ""]);
const TEXTS: (&[&str], &[&str]) = (
    &["plain", "two words", "%%", "50%%", "%(ENV_GREETING)s", "%(here)s/x", "a;b", "a #b", "ünï", "it's", "\"q\"", ""],
    &["%", "%(x", "%(nope)s", "%d", "%(here)d", "%z", "%(ENV_GREETING)5.3q"],
);
const LOGS: (&[&str], &[&str]) = (
    &[
        "AUTO",
        "NONE",
        "none",
        "off",
        "auto",
        "syslog",
        "Syslog",
        "/tmp/x.log",
        "x.log",
        "%(here)s/logs/%(program_name)s.log",
        "/dev/stdout",
        "~/x.log",
        "",
        "/tmp/%(program_name)s_%(process_num)02d.log",
        "%(ENV_DIR)s/y.log",
        "/tmp/a%%%%b",
        "/tmp/%(group_name)s",
        "/tmp/%(ENV_OWN)s.log",
        "/tmp/%(host_node_name)s",
    ],
    &[
        "/nonexistent/x.log",
        "~nosuch/x",
        "logs/x.log",
        "/tmp/a%%b",
        "/tmp/%(nope)s",
        "/tmp/%%(nope)s",
        "%(ENV_PERCENT)s",
    ],
);
const PATHS: (&[&str], &[&str]) = (
    &["/tmp/s.log", "s.log", "%(here)s/logs/s", "~/s", "syslog", "./s", "%(here)s/logs/../s", "/dev/stdout"],
    &["/nonexistent/s", "nodir/s", "%(nope)s", "%(program_name)s"],
);
const DIRECTORIES: (&[&str], &[&str]) =
    (&["/tmp", "%(here)s", "~", "/", ".", "%(ENV_DIR)s"], &["/nonexistent", "", "~nosuch", "%(nope)s"]);
const ENVIRONMENTS: (&[&str], &[&str]) = (
    &[
        "A=1",
        "A=1,B=2",
        "A=\"x y\",B='z'",
        "OWN=mine",
        "OWN=\"m%(process_num)d\"",
        "A=%(ENV_GREETING)s",
        "A=\"%(ENV_GREETING)s\"",
        "",
        "A=1,",
        "PATH=\"/bin\",NUM=3",
        "A=\"\"",
        "A=a b",
        "A=$HOME",
        "A=\"50%%\"",
        "P=\"%(here)s\"",
        "A=\"1\",\n    B=\"2\",\n    C=3",
        "SUPERVISOR_X=1",
        "N=\"%(program_name)s\"",
    ],
    &["A=", "A", "A=1,,B=2", "A=\"open", "A=a@b", "=1", "A=\"%\"", "A=%(nope)s", "A=%(ENV_MISSING)s"],
);
const GLOBAL_ENVIRONMENTS: (&[&str], &[&str]) = (
    &["A=1", "GLOBAL=yes,B=2", "OWN=theirs", "A=\"%(ENV_GREETING)s\"", "", "A=\"%(here)s\"", "A=\"50%%%%\"", "Z='z'"],
    &["A=", "A=\"open", "A=%(program_name)s", "A=%(host_node_name)s", "A=\"50%%\"", "A=%(ENV_PERCENT)s"],
);
const COMMANDS: (&[&str], &[&str]) = (
    &[
        "/bin/sh -c 'sleep 1'",
        "run",
        "run --port %(process_num)d",
        "%(here)s/run.sh \"a b\"",
        "run ; comment",
        "run a;b",
        "%(program_name)s %(group_name)s %(numprocs)d",
        "%(ENV_OWN)s",
        "",
        "run\n    --more\n    --args",
        "run %(process_num)03d|%(program_name)-8s|",
        "%(host_node_name)s",
        "date +%%s",
        "%(ENV_GLOBAL)s",
    ],
    &["run %(nope)s", "run %", "run %(process_num)", "date +%s", "run %(here)d", "x %(process_name)s"],
);
const PROCESS_NAMES: (&[&str], &[&str]) = (
    &[
        "%(program_name)s",
        "%(program_name)s_%(process_num)02d",
        "%(process_num)d",
        "p%(process_num)s",
        "fixed",
        "%(group_name)s-%(process_num)d",
    ],
    &["a b", "a:b", "a/b", "%(nope)s", "%(process_num)q%(process_num)d", "%(program_name)s_%(process_num) d"],
);
const EVENTS: (&[&str], &[&str]) = (
    &["TICK_5", "PROCESS_STATE, TICK_60", "event", "TICK_5,tick_5,EVENT", ALL_EVENTS],
    &["", "NOPE", "TICK_5,", "TICK 5"],
);
const SOCKETS: (&[&str], &[&str]) = (
    &[
        "unix:///tmp/f.sock",
        "tcp://localhost:9000",
        "tcp://LocalHost:1",
        "unix:///tmp/%(program_name)s.sock",
        "unix:///tmp/../tmp//x",
    ],
    &[
        "",
        "unix://rel",
        "tcp://host",
        "tcp://:80",
        "http://x",
        "tcp://a:0",
        "tcp://a:70000",
        "tcp://a b:1",
        "unix:///tmp/%(group_name)s",
    ],
);
const ADDRESSES: (&[&str], &[&str]) = (
    &["9001", "127.0.0.1:9001", "*:9001", ":9001", "HOST:80", "[::1]:9001", "%(ENV_NUM)s"],
    &["0", "70000", "x", "host:", "host:x", "host:0", "", "%(here)s", "host:65536"],
);
const PLAIN_TEXTS: (&[&str], &[&str]) = (&["user", "p%%", "", "{SHA}abc", "a:b"], &["%(here)s", "%", "%(nope)s"]);

/// Keys of a process with the values they may have.
type Pool = (&'static [&'static str], &'static [&'static str]);
const PROCESS_KEYS: &[(&str, Pool)] = &[
    ("process_name", PROCESS_NAMES),
    ("numprocs", (&["1", "2", "3", "0", "-1"], &["x", "", "2.5"])),
    ("numprocs_start", INTEGERS),
    ("priority", (&["1", "999", "-5", "10", "%(ENV_NUM)s"], &["x", "%(program_name)s", ""])),
    ("autostart", BOOLEANS),
    ("autorestart", (&["true", "false", "unexpected", "Unexpected", "0"], &["always", "", "maybe"])),
    ("startsecs", INTEGERS),
    ("startretries", INTEGERS),
    ("exitcodes", CODES),
    ("stopsignal", SIGNALS),
    ("stopwaitsecs", INTEGERS),
    ("stopasgroup", BOOLEANS),
    ("killasgroup", BOOLEANS),
    ("user", USERS),
    ("redirect_stderr", BOOLEANS),
    ("stdout_logfile", LOGS),
    ("stdout_logfile_maxbytes", BYTES),
    ("stdout_logfile_backups", INTEGERS),
    ("stdout_capture_maxbytes", BYTES),
    ("stdout_events_enabled", BOOLEANS),
    ("stdout_syslog", BOOLEANS),
    ("stderr_logfile", LOGS),
    ("stderr_logfile_maxbytes", BYTES),
    ("stderr_logfile_backups", INTEGERS),
    ("stderr_capture_maxbytes", BYTES),
    ("stderr_events_enabled", BOOLEANS),
    ("stderr_syslog", BOOLEANS),
    ("environment", ENVIRONMENTS),
    ("directory", TEXTS),
    ("umask", OCTALS),
    ("serverurl", (&["AUTO", "auto ", "http://x:1", "unix:///x", ""], &["%", "%(nope)s"])),
    ("unknown_key", TEXTS),
];
const DAEMON_KEYS: &[(&str, Pool)] = &[
    ("logfile", PATHS),
    ("logfile_maxbytes", BYTES),
    ("logfile_backups", INTEGERS),
    ("loglevel", (&["info", "DEBUG", "warn", "trace", "blather", "critical"], &["warning", "10", "", "chatty"])),
    ("pidfile", PATHS),
    ("umask", OCTALS),
    ("nodaemon", BOOLEANS),
    ("silent", BOOLEANS),
    ("minfds", INTEGERS),
    ("minprocs", INTEGERS),
    ("nocleanup", BOOLEANS),
    ("childlogdir", DIRECTORIES),
    ("user", USERS),
    ("directory", DIRECTORIES),
    ("strip_ansi", BOOLEANS),
    ("environment", GLOBAL_ENVIRONMENTS),
    ("identifier", TEXTS),
    ("unknown", TEXTS),
];

/// One configuration.
pub(crate) fn case(random: &mut Random) -> Case {
    // Half of them are meant to be good, the others have one wrong value in some.
    let flaws = Flaws([0, 0, 0, 60, 30, 12][random.below(6)]);
    let mut main = String::new();
    if flaws.0 == 0 || !random.one_in(20) {
        daemon(random, &flaws, &mut main);
    }
    if random.one_in(2) {
        servers(random, &flaws, &mut main);
    }
    if random.one_in(3) {
        interfaces(random, &flaws, &mut main);
    }
    let mut files = Vec::new();
    let names = programs(random, &flaws, &mut main);
    if random.one_in(3) {
        groups(random, &flaws, &names, &mut main);
    }
    if random.one_in(8) {
        defaults(random, &flaws, &mut main);
    }
    if random.one_in(3) {
        include(random, &flaws, &mut main, &mut files, &names);
    }
    if flaws.0 > 0 && random.one_in(15) {
        let at = random.below(main.len() + 1);
        let at = (0..=at).rev().find(|at| main.is_char_boundary(*at)).unwrap_or(0);
        main.insert_str(at, random.pick(&["junk\n", "\n=x\n", "[x", "\n[]\n", "\n  deep\n", "\u{1}", "%", "\n\n"]));
    }
    files.insert(0, ("supervisord.conf".to_owned(), main));
    Case { files, arguments: arguments(random, &flaws), is_named_relatively: random.one_in(4) }
}

fn header(random: &mut Random, text: &mut String, name: &str) {
    let after = random.pick(&["", "", "", "", " ; note", " junk"]);
    writeln!(text, "[{name}]{after}").unwrap();
}

fn entry(random: &mut Random, text: &mut String, key: &str, value: &str) {
    let delimiter = random.pick(&["=", "=", " = ", ": ", "="]);
    let comment = random.pick(&["", "", "", "", "", "", " ; note", "\t# note", "\n; note", "\n"]);
    let key = if random.one_in(20) { key.to_uppercase() } else { key.to_owned() };
    writeln!(text, "{key}{delimiter}{value}{comment}").unwrap();
}

fn some_keys(random: &mut Random, flaws: &Flaws, text: &mut String, keys: &[(&str, Pool)], most: usize) {
    for _ in 0..random.below(most + 1) {
        let (key, (good, bad)) = keys[random.below(keys.len())];
        let value = flaws.choose(random, good, bad);
        entry(random, text, key, value);
    }
}

fn daemon(random: &mut Random, flaws: &Flaws, text: &mut String) {
    header(random, text, "supervisord");
    some_keys(random, flaws, text, DAEMON_KEYS, 6);
}

fn servers(random: &mut Random, flaws: &Flaws, text: &mut String) {
    for _ in 0..=random.below(2) {
        let is_unix = random.one_in(2);
        let (good, key, pool) =
            if is_unix { ("unix_http_server", "file", PATHS) } else { ("inet_http_server", "port", ADDRESSES) };
        let suffix = random.pick(&["", "", ":x", ":y", "2"]);
        header(random, text, &format!("{good}{suffix}"));
        if flaws.0 == 0 || !random.one_in(flaws.0) {
            let value = flaws.choose(random, pool.0, pool.1);
            entry(random, text, key, value);
        }
        if random.one_in(3) {
            let (username, password) = (
                flaws.choose(random, PLAIN_TEXTS.0, PLAIN_TEXTS.1),
                flaws.choose(random, PLAIN_TEXTS.0, PLAIN_TEXTS.1),
            );
            entry(random, text, "username", username);
            if flaws.0 == 0 || !random.one_in(5) {
                entry(random, text, "password", password);
            }
        }
        // Without it most of the ports would be refused by ours for want of a password.
        if !is_unix && !random.one_in(12) {
            entry(random, text, "allow_unauthenticated", "true");
        }
        if is_unix {
            some_keys(random, flaws, text, &[("chmod", OCTALS), ("chown", OWNERS)], 2);
        }
    }
}

fn interfaces(random: &mut Random, flaws: &Flaws, text: &mut String) {
    let name = random.pick(&["rpcinterface:supervisor", "rpcinterface:supervisor", "rpcinterface:other"]);
    header(random, text, name);
    let good = ["supervisor.rpcinterface:make_main_rpcinterface", "supervisor.rpcinterface : make_main_rpcinterface"];
    let bad = ["", "nope", "supervisor.rpcinterface:nope", "no.such.module:x", "%(here)s"];
    if flaws.0 == 0 || !random.one_in(flaws.0) {
        let value = flaws.choose(random, &good, &bad);
        entry(random, text, "supervisor.rpcinterface_factory", value);
    }
    if flaws.0 > 0 && random.one_in(10) {
        entry(random, text, "retries", "1");
    }
}

/// Adds programs of all kinds; gives the names of those that a group may list.
fn programs(random: &mut Random, flaws: &Flaws, text: &mut String) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..random.below(5) {
        let name = flaws.choose(random, NAMES, &["a b", "a:b", "a/b", "", " spaced "]);
        let kind = random.pick(&["program", "program", "program", "program", "eventlistener", "fcgi-program"]);
        header(random, text, &format!("{kind}:{name}"));
        if kind != "eventlistener" {
            names.push(name.to_owned());
        }
        process(random, flaws, text, kind);
    }
    names
}

fn process(random: &mut Random, flaws: &Flaws, text: &mut String, kind: &str) {
    if flaws.0 == 0 || !random.one_in(flaws.0) {
        let value = flaws.choose(random, COMMANDS.0, COMMANDS.1);
        entry(random, text, "command", value);
    }
    if kind == "eventlistener" {
        if flaws.0 == 0 || !random.one_in(flaws.0) {
            let value = flaws.choose(random, EVENTS.0, EVENTS.1);
            entry(random, text, "events", value);
        }
        let keys: &[(&str, Pool)] = &[
            ("buffer_size", (&["1", "10", "1000"], &["0", "-1", "x"])),
            ("result_handler", (&["supervisor.dispatchers:default_handler"], &["no.such:x", "", "nope"])),
            ("redirect_stderr", (&["false"], &["true", "x"])),
        ];
        some_keys(random, flaws, text, keys, 2);
    }
    if kind == "fcgi-program" {
        if flaws.0 == 0 || !random.one_in(flaws.0) {
            let value = flaws.choose(random, SOCKETS.0, SOCKETS.1);
            entry(random, text, "socket", value);
        }
        let keys: &[(&str, Pool)] = &[
            ("socket_backlog", (&["1", "1024", "65535"], &["0", "65536", "x", ""])),
            ("socket_owner", OWNERS),
            ("socket_mode", OCTALS),
        ];
        some_keys(random, flaws, text, keys, 1);
    }
    if random.one_in(3) {
        let count = random.pick(&["2", "3", "12", "1"]);
        entry(random, text, "numprocs", count);
        let name = random.pick(&["%(program_name)s_%(process_num)d", "%(process_num)02d"]);
        entry(random, text, "process_name", name);
    }
    let most = if random.one_in(4) { 14 } else { 5 };
    some_keys(random, flaws, text, PROCESS_KEYS, most);
}

fn groups(random: &mut Random, flaws: &Flaws, names: &[String], text: &mut String) {
    for _ in 0..=random.below(2) {
        let group = flaws.choose(random, &["g", "galaxy", "web", "h"], &["a b", "x:y", ""]);
        header(random, text, &format!("group:{group}"));
        let mut members: Vec<&str> = Vec::new();
        for _ in 0..random.below(4) {
            if !names.is_empty() {
                members.push(names[random.below(names.len())].as_str());
            }
        }
        if flaws.0 > 0 && random.one_in(flaws.0) {
            members.push(random.pick(&["nosuch", "", "a b"]));
        }
        let list = members.join(random.pick(&[",", ", ", " ,"]));
        if !random.one_in(8) {
            entry(random, text, "programs", &list);
        }
        if random.one_in(2) {
            let value = flaws.choose(random, &["1", "999", "50", " 7"], &["x", ""]);
            entry(random, text, "priority", value);
        }
    }
}

fn defaults(random: &mut Random, flaws: &Flaws, text: &mut String) {
    header(random, text, "DEFAULT");
    some_keys(random, flaws, text, PROCESS_KEYS, 2);
    if random.one_in(3) {
        entry(random, text, "extra", "%(here)s");
    }
}

fn include(random: &mut Random, flaws: &Flaws, main: &mut String, files: &mut Vec<(String, String)>, names: &[String]) {
    header(random, main, "include");
    let good = [
        "conf.d/*.conf",
        "conf.d/a.conf conf.d/b.conf",
        "conf.d/[ab].conf",
        "%(here)s/conf.d/?.conf",
        "none*.conf",
        "conf.d/**/*.conf",
        "conf.d/*",
        "conf.d/./a.conf\n    conf.d/../conf.d/b.conf",
        "conf.d/%(host_node_name)s.conf",
        "*/a.conf",
        "",
    ];
    let bad = ["%(nope)s", "conf.d/[", "%", "%(program_name)s"];
    if flaws.0 == 0 || !random.one_in(flaws.0) {
        let value = flaws.choose(random, &good, &bad);
        entry(random, main, "files", value);
    }
    for name in ["conf.d/a.conf", "conf.d/b.conf", "conf.d/sub/c.conf", "conf.d/.hidden.conf"] {
        if random.one_in(4) {
            continue;
        }
        let mut text = String::new();
        if random.one_in(4) {
            daemon(random, flaws, &mut text);
        }
        let added = programs(random, flaws, &mut text);
        if random.one_in(4) {
            let all: Vec<String> = names.iter().cloned().chain(added).collect();
            groups(random, flaws, &all, &mut text);
        }
        if random.one_in(6) {
            header(random, &mut text, "include");
            entry(random, &mut text, "files", "../nothing.conf");
        }
        if random.one_in(8) {
            defaults(random, flaws, &mut text);
        }
        if flaws.0 > 0 && random.one_in(25) {
            text.insert_str(0, random.pick(&["junk\n", "[x]\nkey\n", "\u{feff}"]));
        }
        files.push((name.to_owned(), text));
    }
}

fn arguments(random: &mut Random, flaws: &Flaws) -> Vec<String> {
    if !random.one_in(6) {
        return Vec::new();
    }
    let mut arguments = Vec::new();
    for _ in 0..=random.below(3) {
        let (option, good, bad): (&str, &[&str], &[&str]) = [
            ("-n", &[""][..], &[""][..]),
            ("-s", &[""], &[""]),
            ("-k", &[""], &[""]),
            ("-t", &[""], &[""]),
            ("-u", USERS.0, USERS.1),
            ("-m", OCTALS.0, OCTALS.1),
            ("-d", &["/tmp", "~"], &["/nonexistent"]),
            ("-l", &["/tmp/c.log", "c.log", "syslog"], &["/nonexistent/x"]),
            ("-y", BYTES.0, &["1M", "x"]),
            ("-z", &["1", "-1"], &["x"]),
            ("-e", &["debug", "WARN"], &["warning"]),
            ("-j", &["/tmp/c.pid", "~/c.pid"], &["/nonexistent/x"]),
            ("-i", &["me", ""], &[]),
            ("-q", &["/tmp"], &["/nonexistent"]),
            ("-a", &["1", "2048"], &["x"]),
        ][random.below(15)];
        let value = if good.first() == Some(&"%(ENV_NUM)s") { "1" } else { flaws.choose(random, good, bad) };
        arguments.push(option.to_owned());
        if !value.is_empty() || !matches!(option, "-n" | "-s" | "-k" | "-t") {
            arguments.push(value.to_owned());
        }
    }
    arguments
}

/// Every event type there is.
const ALL_EVENTS: &str = "\
    EVENT,PROCESS_STATE,PROCESS_STATE_STOPPED,PROCESS_STATE_EXITED,PROCESS_STATE_STARTING,\
    PROCESS_STATE_STOPPING,PROCESS_STATE_BACKOFF,PROCESS_STATE_FATAL,PROCESS_STATE_RUNNING,\
    PROCESS_STATE_UNKNOWN,PROCESS_COMMUNICATION,PROCESS_COMMUNICATION_STDOUT,PROCESS_COMMUNICATION_STDERR,\
    PROCESS_LOG,PROCESS_LOG_STDOUT,PROCESS_LOG_STDERR,REMOTE_COMMUNICATION,SUPERVISOR_STATE_CHANGE,\
    SUPERVISOR_STATE_CHANGE_RUNNING,SUPERVISOR_STATE_CHANGE_STOPPING,TICK,TICK_5,TICK_60,TICK_3600,\
    PROCESS_GROUP,PROCESS_GROUP_ADDED,PROCESS_GROUP_REMOVED";

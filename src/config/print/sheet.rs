//! A configuration as sections again, still without the spelling of a dialect.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::PrintError;
use super::template::{counting, countings, escaped, without_marks};
use crate::config::model::{
    Access, Accounts, CgroupChoice, Config, DaemonConfig, DaemonLog, EnvironmentFile, Extras, GroupConfig, GroupKind,
    LogConfig, LogFile, Passing, ProcessConfig, ServerAuth, ServerConfig, SocketConfig, TlsFiles,
};
use crate::config::ready::Ready;
use crate::config::rollout::{Rollout, Trigger};
use crate::config::schema::SectionKind;
use crate::config::value;
use crate::engine::{AutoRestart, Kind, OnEnd, Restarts, UNLIMITED};

/// A value, typed. Texts are formats: their percent signs are doubled.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Text(String),
    Integer(i64),
    Boolean(bool),
    Octal(u32),
    Codes(Vec<i32>),
    Names(Vec<String>),
    Pairs(Vec<(String, String)>),
}

/// The keys of a section.
pub(super) type Cells = IndexMap<&'static str, Cell>;

/// A section.
#[derive(Debug, Clone)]
pub(super) struct Sheet {
    pub(super) kind: SectionKind,
    /// What stands behind the kind's word: empty, or `:` and a name.
    pub(super) suffix: String,
    pub(super) cells: Cells,
}

impl Sheet {
    fn new(kind: SectionKind, name: &str, cells: Cells) -> Self {
        Self { kind, suffix: format!(":{name}"), cells }
    }

    /// The header, as the ini dialect has it.
    pub(super) fn header(&self) -> String {
        format!("{}{}", self.kind.word(), self.suffix)
    }
}

fn text(value: &str) -> Cell {
    Cell::Text(escaped(value))
}

/// All sections, in the order in which a person would write them.
pub(super) fn sections(config: &Config) -> Result<Vec<Sheet>, PrintError> {
    let daemon = Sheet { kind: SectionKind::Supervisord, suffix: String::new(), cells: daemon(&config.daemon) };
    let mut sheets = vec![daemon];
    sheets.extend(config.servers.iter().map(server));
    sheets.extend(config.rpcinterfaces.iter().map(|interface| {
        let mut cells = IndexMap::from([("supervisor.rpcinterface_factory", text(&interface.factory))]);
        if !interface.whitelist.is_empty() {
            cells.insert("whitelist", Cell::Names(interface.whitelist.iter().map(|name| escaped(name)).collect()));
        }
        Sheet::new(SectionKind::RpcInterface, &interface.name, cells)
    }));
    let mut groups = Groups::default();
    for group in &config.groups {
        groups.add(group)?;
    }
    sheets.extend(groups.sheets);
    Ok(sheets)
}

fn daemon(daemon: &DaemonConfig) -> Cells {
    let path = |path: &std::path::Path| text(&path.to_string_lossy());
    let mut cells = IndexMap::from([
        (
            "logfile",
            match &daemon.logfile {
                DaemonLog::Syslog => text("syslog"),
                DaemonLog::File(file) => path(file),
            },
        ),
        ("logfile_maxbytes", Cell::Integer(daemon.logfile_maxbytes)),
        ("logfile_backups", Cell::Integer(daemon.logfile_backups)),
        ("loglevel", text(&format!("{:?}", daemon.loglevel).to_lowercase())),
        ("pidfile", path(&daemon.pidfile)),
        ("umask", Cell::Octal(daemon.umask)),
        ("nodaemon", Cell::Boolean(daemon.nodaemon)),
        ("silent", Cell::Boolean(daemon.silent)),
        ("minfds", Cell::Integer(daemon.minfds)),
        ("minprocs", Cell::Integer(daemon.minprocs)),
        ("nocleanup", Cell::Boolean(daemon.nocleanup)),
        ("childlogdir", path(&daemon.childlogdir)),
        ("strip_ansi", Cell::Boolean(daemon.strip_ansi)),
        ("identifier", text(&daemon.identifier)),
        (
            "cgroup",
            match &daemon.cgroup {
                CgroupChoice::Auto => text("auto"),
                CgroupChoice::None => text("none"),
                CgroupChoice::Below(below) => path(below),
            },
        ),
        ("restart_rate", Cell::Integer(i64::from(daemon.restart_rate))),
        ("environment", pairs(&daemon.environment)),
    ]);
    if let Some(user) = &daemon.user {
        cells.insert("user", text(&user.text));
    }
    cells.insert("history_maxbytes", Cell::Integer(daemon.history_maxbytes));
    if !daemon.make_directories.is_empty() {
        let directories = daemon.make_directories.iter().map(|directory| escaped(&directory.to_string_lossy()));
        cells.insert("make_directories", Cell::Names(directories.collect()));
    }
    cells.insert("history_file", daemon.history_file.as_deref().map_or_else(|| text("NONE"), path));
    if let Some(directory) = &daemon.directory {
        cells.insert("directory", path(directory));
    }
    cells
}

fn pairs(variables: &IndexMap<String, String>) -> Cell {
    Cell::Pairs(variables.iter().map(|(name, value)| (name.clone(), escaped(value))).collect())
}

fn server(server: &ServerConfig) -> Sheet {
    let (kind, section, mut cells, auth, access, page) = match server {
        ServerConfig::Unix(unix) => {
            let file = text(&unix.file.to_string_lossy());
            let mut cells = IndexMap::from([("file", file), ("chmod", Cell::Octal(unix.chmod))]);
            if let Some(by) = &unix.chown {
                cells.insert("chown", text(&by.to_string()));
            }
            (SectionKind::UnixHttpServer, &unix.section, cells, &unix.auth, &unix.access, &unix.page)
        }
        ServerConfig::Inet(inet) => {
            let host = if inet.host.is_empty() { "*" } else { &inet.host };
            let mut cells = IndexMap::from([("port", text(&format!("{host}:{}", inet.port)))]);
            if inet.allow_unauthenticated {
                cells.insert("allow_unauthenticated", Cell::Boolean(true));
            }
            if let Some(TlsFiles { certificate, key }) = &inet.tls {
                cells.insert("tls_certificate", text(&certificate.to_string_lossy()));
                cells.insert("tls_key", text(&key.to_string_lossy()));
            }
            (SectionKind::InetHttpServer, &inet.section, cells, &inet.auth, &inet.access, &inet.page)
        }
    };
    if let Some(ServerAuth { username, password }) = auth {
        cells.insert("username", text(username));
        cells.insert("password", text(password));
    }
    restrict(&mut cells, access);
    if !page.allowed_hosts.is_empty() {
        cells.insert("allowed_hosts", Cell::Names(page.allowed_hosts.iter().map(|name| escaped(name)).collect()));
    }
    if page.get_actions {
        cells.insert("get_actions", Cell::Boolean(true));
    }
    let suffix = section.strip_prefix(kind.word()).unwrap_or_default().to_owned();
    Sheet { kind, suffix, cells }
}

fn restrict(cells: &mut IndexMap<&'static str, Cell>, access: &Access) {
    if let Some(ServerAuth { username, password }) = &access.reader {
        cells.insert("read_username", text(username));
        cells.insert("read_password", text(password));
    }
    let Some(accounts) = &access.accounts else { return };
    let Accounts { admin_users, admin_groups, read_users, read_groups } = accounts;
    // Also an empty list says that not everybody is served.
    for (key, numbers) in [
        ("admin_users", admin_users),
        ("admin_groups", admin_groups),
        ("read_users", read_users),
        ("read_groups", read_groups),
    ] {
        cells.insert(key, Cell::Names(numbers.iter().map(u32::to_string).collect()));
    }
}

/// The groups written so far.
#[derive(Default)]
struct Groups {
    sheets: Vec<Sheet>,
    /// Program sections that a group lists, with their place in `sheets`.
    shared: BTreeMap<String, usize>,
    taken: BTreeSet<String>,
}

impl Groups {
    fn add(&mut self, group: &GroupConfig) -> Result<(), PrintError> {
        let inexpressible = |reason: &str| PrintError::Inexpressible {
            section: group.name.clone(),
            key: "process_name".to_owned(),
            reason: reason.to_owned(),
        };
        let kind = match &group.kind {
            GroupKind::Program => return self.add_programs(group),
            GroupKind::EventListener { .. } => SectionKind::EventListener,
            GroupKind::FastCgi { .. } => SectionKind::FcgiProgram,
        };
        let processes: Vec<_> = group.processes.iter().collect();
        let mut cells = match processes.as_slice() {
            [] => IndexMap::from([("command", text("none")), ("numprocs", Cell::Integer(0))]),
            some => block(some).ok_or_else(|| inexpressible("no template gives all processes of the pool"))?,
        };
        match &group.kind {
            GroupKind::EventListener { buffer_size, events, result_handler, len_in_bytes, answer_timeout } => {
                cells.insert("events", Cell::Names(events.iter().map(|event| escaped(event)).collect()));
                cells.insert("buffer_size", Cell::Integer(*buffer_size));
                cells.insert("result_handler", text(result_handler));
                cells.insert("len_in_bytes", Cell::Boolean(*len_in_bytes));
                if let Some(timeout) = answer_timeout {
                    cells.insert("answer_timeout", text(&value::duration_text(*timeout)));
                }
                // The pool's default is not that of its processes, and one key sets both.
                let is_default = group.priority == -1 && processes.iter().all(|process| process.priority == 999);
                cells.insert("priority", Cell::Integer(group.priority));
                if is_default {
                    cells.shift_remove("priority");
                }
            }
            GroupKind::FastCgi { socket: url, backlog, owner, mode } => {
                cells.insert("priority", Cell::Integer(group.priority));
                let (url, owner) = (url.clone(), owner.clone());
                let passing = Passing::Stdin;
                socket(&SocketConfig { url, backlog: *backlog, owner, mode: *mode, passing }, &mut cells);
            }
            GroupKind::Program => {}
        }
        self.sheets.push(Sheet::new(kind, &group.name, cells));
        Ok(())
    }

    fn add_programs(&mut self, group: &GroupConfig) -> Result<(), PrintError> {
        let blocks = blocks(&group.processes);
        if let [(name, kind, cells)] = blocks.as_slice() {
            let has_same_priority = cells.get("priority") == Some(&Cell::Integer(group.priority));
            // With a socket, a section of its own would make a group of another kind.
            let is_plain = *kind == SectionKind::Program;
            if *name == group.name && has_same_priority && is_plain && self.taken.insert(name.clone()) {
                self.sheets.push(Sheet::new(SectionKind::Program, name, cells.clone()));
                return Ok(());
            }
        }
        let mut members = Vec::new();
        let mut sheets = Vec::new();
        for (name, kind, cells) in blocks {
            members.push(self.member(&name, kind, cells, &mut sheets)?);
        }
        let programs = Cell::Names(members.iter().map(|member| escaped(member)).collect());
        let cells = IndexMap::from([("programs", programs), ("priority", Cell::Integer(group.priority))]);
        self.sheets.push(Sheet::new(SectionKind::Group, &group.name, cells));
        for (name, sheet) in sheets {
            self.shared.insert(name, self.sheets.len());
            self.sheets.push(sheet);
        }
        Ok(())
    }

    /// The name of a section with these cells that a group can list: a known one, or a new one.
    fn member(
        &mut self,
        wanted: &str,
        kind: SectionKind,
        cells: Cells,
        sheets: &mut Vec<(String, Sheet)>,
    ) -> Result<String, PrintError> {
        let plain: String =
            wanted.trim().chars().map(|c| if c == ',' || c.is_control() || c == '%' { '_' } else { c }).collect();
        for attempt in 1..100_000 {
            let name = if attempt == 1 { plain.clone() } else { format!("{plain}_{attempt}") };
            let known = self.shared.get(&name).and_then(|at| self.sheets.get(*at));
            if known.is_some_and(|sheet| sheet.kind == kind && sheet.cells == cells) {
                return Ok(name);
            }
            if self.taken.insert(name.clone()) {
                sheets.push((name.clone(), Sheet::new(kind, &name, cells)));
                return Ok(name);
            }
        }
        let reason = "too many sections of one name".to_owned();
        Err(PrintError::Inexpressible { section: wanted.to_owned(), key: "programs".to_owned(), reason })
    }
}

/// Every key of one process with its value, for people; a variable of `environment` is a key `environment.NAME`.
pub(in crate::config) fn values(process: &ProcessConfig) -> IndexMap<String, String> {
    let mut values = IndexMap::new();
    for (key, cell) in block(&[process]).unwrap_or_default() {
        let value = match cell {
            Cell::Text(format) => format.replace("%%", "%"),
            Cell::Integer(number) => number.to_string(),
            Cell::Boolean(flag) => flag.to_string(),
            Cell::Octal(mode) => format!("{mode:04o}"),
            Cell::Codes(codes) => codes.iter().map(i32::to_string).collect::<Vec<_>>().join(","),
            Cell::Names(names) => names.join(","),
            Cell::Pairs(pairs) => {
                let pairs = pairs.into_iter();
                values.extend(pairs.map(|(name, value)| (format!("{key}.{name}"), value.replace("%%", "%"))));
                continue;
            }
        };
        values.insert(key.to_owned(), value);
    }
    values.shift_remove("process_name");
    values
}

/// The kind of section that makes such a member of a group.
fn member_kind(process: &ProcessConfig) -> SectionKind {
    match &process.socket {
        Some(SocketConfig { passing: Passing::Stdin, .. }) => SectionKind::FcgiProgram,
        Some(_) | None => SectionKind::Program,
    }
}

/// The processes of a group in as few sections as can describe them: each run from one section in one, if there is a
/// template, else each process in one of its own.
fn blocks(processes: &[ProcessConfig]) -> Vec<(String, SectionKind, Cells)> {
    let mut found = Vec::new();
    for run in processes.chunk_by(|left, right| left.section == right.section) {
        let name = run.first().and_then(|first| first.section.split_once(':')).map_or("", |(_, name)| name);
        let members: Vec<_> = run.iter().collect();
        let kind = run.first().map_or(SectionKind::Program, member_kind);
        match block(&members) {
            Some(cells) => found.push((name.to_owned(), kind, cells)),
            None => {
                found.extend(run.iter().filter_map(|process| Some((section_name(process), kind, block(&[process])?))));
            }
        }
    }
    found
}

/// A name for a section that makes just this process.
fn section_name(process: &ProcessConfig) -> String {
    process.name.replace([' ', ':', '/'], "_")
}

/// One section for all of these processes; `None` if there is no template that gives them.
fn block(processes: &[&ProcessConfig]) -> Option<Cells> {
    let (first, others) = processes.split_first()?;
    if others.is_empty() {
        return with_numbers(&[(0, *first)]);
    }
    let names: Vec<&str> = processes.iter().map(|process| process.name.as_str()).collect();
    countings(&names).into_iter().find_map(|numbers| {
        let mut numbered: Vec<_> = numbers.into_iter().zip(processes.iter().copied()).collect();
        numbered.sort_by_key(|(number, _)| *number);
        with_numbers(&numbered)
    })
}

fn with_numbers(processes: &[(i64, &ProcessConfig)]) -> Option<Cells> {
    let (start, first) = processes.first().copied()?;
    // Everything that has no template must be the same.
    let common = |process: &ProcessConfig| ProcessConfig {
        name: String::new(),
        section: String::new(),
        command: String::new(),
        directory: process.directory.as_ref().map(|_| String::new()),
        environment: IndexMap::new(),
        stdout: without_path(&process.stdout),
        stderr: without_path(&process.stderr),
        ..process.clone()
    };
    let shape = common(first);
    if processes.iter().any(|(_, process)| common(process) != shape) {
        return None;
    }
    let counted = |field: &dyn Fn(&ProcessConfig) -> String| {
        let texts: Vec<(i64, String)> = processes.iter().map(|(number, process)| (*number, field(process))).collect();
        counting(&texts.iter().map(|(number, text)| (*number, text.as_str())).collect::<Vec<_>>())
    };
    let mut cells = IndexMap::new();
    cells.insert("command", Cell::Text(counted(&|process| process.command.clone())?));
    cells.insert("process_name", Cell::Text(without_marks(&counted(&|process| process.name.clone())?)));
    if processes.len() > 1 {
        cells.insert("numprocs", Cell::Integer(i64::try_from(processes.len()).ok()?));
        cells.insert("numprocs_start", Cell::Integer(start));
    }
    if first.directory.is_some() {
        let directory = counted(&|process| process.directory.clone().unwrap_or_default())?;
        cells.insert("directory", Cell::Text(directory));
    }
    rest(first, &mut cells);
    for (key, channel) in [
        ("stdout_logfile", (|process| &process.stdout) as fn(&ProcessConfig) -> &LogConfig),
        ("stderr_logfile", |process| &process.stderr),
    ] {
        let cell = match channel(first).file {
            LogFile::None => text("NONE"),
            LogFile::Auto => text("AUTO"),
            LogFile::Path(_) => Cell::Text(counted(&|process| match &channel(process).file {
                LogFile::Path(path) => path.clone(),
                LogFile::None | LogFile::Auto => String::new(),
            })?),
        };
        cells.insert(key, cell);
    }
    let mut variables = Vec::new();
    for (index, name) in first.environment.keys().enumerate() {
        let has_it = |process: &ProcessConfig| process.environment.get_index(index).is_some_and(|(key, _)| key == name);
        if processes.iter().any(|(_, process)| !has_it(process) || process.environment.len() != first.environment.len())
        {
            return None;
        }
        variables.push((name.clone(), counted(&|process| process.environment.get(name).cloned().unwrap_or_default())?));
    }
    cells.insert("environment", Cell::Pairs(variables));
    Some(cells)
}

fn without_path(log: &LogConfig) -> LogConfig {
    let file = match &log.file {
        LogFile::Path(_) => LogFile::Path(String::new()),
        other => other.clone(),
    };
    LogConfig { file, ..log.clone() }
}

/// The keys whose values do not count along.
fn rest(process: &ProcessConfig, cells: &mut Cells) {
    let autorestart = match process.autorestart {
        AutoRestart::Always => Cell::Boolean(true),
        AutoRestart::Never => Cell::Boolean(false),
        AutoRestart::Unexpected => text("unexpected"),
    };
    cells.extend([
        ("priority", Cell::Integer(process.priority)),
        ("autostart", Cell::Boolean(process.autostart)),
        ("autorestart", autorestart),
        ("startsecs", Cell::Integer(process.startsecs)),
        (
            "startretries",
            if process.startretries == UNLIMITED { text("unlimited") } else { Cell::Integer(process.startretries) },
        ),
        ("exitcodes", Cell::Codes(process.exitcodes.clone())),
        ("stopsignal", signal(process.stopsignal)),
        ("stopwaitsecs", Cell::Integer(process.stopwaitsecs)),
        ("stopasgroup", Cell::Boolean(process.stopasgroup)),
        ("killasgroup", Cell::Boolean(process.killasgroup)),
        ("redirect_stderr", Cell::Boolean(process.redirect_stderr)),
        ("stdout_logfile_maxbytes", Cell::Integer(process.stdout.maxbytes)),
        ("stdout_logfile_backups", Cell::Integer(process.stdout.backups)),
        ("stdout_capture_maxbytes", Cell::Integer(process.stdout.capture_maxbytes)),
        ("stdout_events_enabled", Cell::Boolean(process.stdout.events_enabled)),
        ("stdout_syslog", Cell::Boolean(process.stdout.syslog)),
        ("stderr_logfile_maxbytes", Cell::Integer(process.stderr.maxbytes)),
        ("stderr_logfile_backups", Cell::Integer(process.stderr.backups)),
        ("stderr_capture_maxbytes", Cell::Integer(process.stderr.capture_maxbytes)),
        ("stderr_events_enabled", Cell::Boolean(process.stderr.events_enabled)),
        ("stderr_syslog", Cell::Boolean(process.stderr.syslog)),
    ]);
    if let Some(user) = &process.user {
        cells.insert("user", text(&user.text));
    }
    if let Some(umask) = process.umask {
        cells.insert("umask", Cell::Octal(umask));
    }
    cells.insert("serverurl", text(process.serverurl.as_deref().unwrap_or("AUTO")));
    extras(&process.extras, cells);
    if let Some(of_process) = &process.socket {
        socket(of_process, cells);
    }
}

fn socket(socket: &SocketConfig, cells: &mut Cells) {
    cells.insert("socket", text(&socket.url));
    if let Some(backlog) = socket.backlog {
        cells.insert("socket_backlog", Cell::Integer(i64::from(backlog)));
    }
    if let Some(by) = &socket.owner {
        cells.insert("socket_owner", text(&by.to_string()));
    }
    if let Some(mode) = socket.mode {
        cells.insert("socket_mode", Cell::Octal(mode));
    }
}

/// What Supervisor does not have; printed where it is used, so that the printed file serves Supervisor as well.
fn extras(extras: &Extras, cells: &mut Cells) {
    let kind = match extras.kind {
        Kind::Service => None,
        Kind::Oneshot => Some("oneshot"),
        Kind::Forking => Some("forking"),
    };
    if let Some(kind) = kind {
        cells.insert("type", text(kind));
    }
    for (key, file) in [("numprocs_file", &extras.numprocs_file), ("pidfile", &extras.pidfile)] {
        if let Some(file) = file {
            cells.insert(key, text(file));
        }
    }
    restarts(&extras.restarts, cells);
    if let Some(asked) = &extras.ready {
        ready(asked, cells);
    }
    rollout(&extras.rollout, cells);
    let (needs, things) = (&extras.depends_on.written, extras.wait_for.iter().map(|thing| &thing.text));
    for (key, texts) in [("depends_on", needs.iter().collect::<Vec<_>>()), ("wait_for", things.collect())] {
        if !texts.is_empty() {
            cells.insert(key, Cell::Names(texts.into_iter().map(|text| escaped(text)).collect()));
        }
    }
    if let Some(rate) = extras.output_rate_max.and_then(|rate| i64::try_from(rate).ok()) {
        cells.insert("output_rate_max", Cell::Integer(rate));
    }
    for (key, value) in extras.limits.written() {
        cells.insert(key, text(&value));
    }
    for (key, is_set) in [
        ("killtree", extras.killtree),
        ("user_environment", extras.user_environment),
        ("clear_environment", extras.clear_environment),
    ] {
        if is_set {
            cells.insert(key, Cell::Boolean(true));
        }
    }
    if !extras.environment_files.is_empty() {
        let shown = |file: &EnvironmentFile| escaped(&format!("{}{}", if file.optional { "-" } else { "" }, file.path));
        cells.insert("environment_file", Cell::Names(extras.environment_files.iter().map(shown).collect()));
    }
}

fn ready(ready: &Ready, cells: &mut Cells) {
    cells.insert("ready", text(&ready.text));
    cells.insert("ready_timeout", text(&value::duration_text(ready.rule.timeout)));
    cells.insert("ready_interval", text(&value::duration_text(ready.interval)));
    cells.insert("ready_successes", Cell::Integer(i64::from(ready.successes)));
    cells.insert("ready_settle", text(&value::duration_text(ready.rule.settle)));
}

fn rollout(rollout: &Rollout, cells: &mut Cells) {
    if let Some(strategy) = rollout.strategy {
        cells.insert("rollout", text(strategy.word()));
    }
    match &rollout.trigger {
        Some(Trigger::Signal(number)) => cells.insert("rollout_signal", signal(*number)),
        Some(Trigger::Fifo { path, command }) => cells.insert("rollout_fifo", text(&format!("{path}:{command}"))),
        None => None,
    };
    if let Some(number) = rollout.max_unavailable {
        cells.insert("max_unavailable", Cell::Integer(i64::from(number)));
    }
    if let Some(front) = &rollout.front {
        cells.insert("rollout_front", text(&front.text));
    }
}

fn restarts(restarts: &Restarts, cells: &mut Cells) {
    if let Some(delay) = &restarts.delay {
        cells.insert("restart_delay", text(&value::duration_text(delay.first)));
        cells.insert("restart_factor", text(&value::factor_text(delay.factor)));
        cells.insert("restart_delay_max", text(&value::duration_text(delay.ceiling)));
        cells.insert("restart_jitter", Cell::Integer(i64::from(delay.jitter)));
    }
    if let Some(limit) = &restarts.limit {
        cells.insert("restart_limit", text(&format!("{}/{}", limit.starts, value::duration_text(limit.window))));
    }
    if restarts.counts_want {
        cells.insert("count_resource_errors", Cell::Boolean(true));
    }
    for (key, what) in [("on_fatal", restarts.on_fatal), ("on_exit", restarts.on_exit)] {
        if what == OnEnd::Shutdown {
            cells.insert(key, text("shutdown"));
        }
    }
}

/// By name where there is a usual one.
fn signal(number: i32) -> Cell {
    const USUAL: [&str; 11] = ["TERM", "INT", "QUIT", "HUP", "KILL", "USR1", "USR2", "WINCH", "ALRM", "CONT", "STOP"];
    match USUAL.into_iter().find(|name| value::signal(name) == Ok(number)) {
        Some(name) => text(name),
        None => Cell::Integer(i64::from(number)),
    }
}

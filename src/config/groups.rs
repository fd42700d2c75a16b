//! All groups: those of `[group:x]`, then programs, listener pools and `FastCGI` pools of their own.
//!
//! Source: Supervisor 4.3.0, `options.py`, `process_groups_from_parser()`.

use std::collections::BTreeSet;

use super::expansion::Scope;
use super::lookup::Complaint;
use super::model::{GroupConfig, GroupKind, Owner, Passing, ProcessConfig, SocketConfig, User};
use super::path;
use super::problem::Problem;
use super::process::processes;
use super::reader::{Level, Place, Reader};
use super::schema::{RESULT_HANDLER, SectionKind};
use super::value;

/// The groups in creation order: by priority and name.
pub(crate) fn groups(reader: &mut Reader<'_>) -> Vec<GroupConfig> {
    let mut made = Vec::new();
    let mut grouped = BTreeSet::new();
    for section in reader.sections(SectionKind::Group) {
        made.extend(heterogeneous(reader, section, &mut grouped));
    }
    for section in reader.sections(SectionKind::Program) {
        if !grouped.contains(section) {
            made.extend(program(reader, section));
        }
    }
    for section in reader.sections(SectionKind::EventListener) {
        made.push(event_listener(reader, section));
    }
    for section in reader.sections(SectionKind::FcgiProgram) {
        if !grouped.contains(section) {
            made.extend(fastcgi(reader, section));
        }
    }
    made.sort_by(|left, right| (left.priority, &left.name).cmp(&(right.priority, &right.name)));
    made
}

fn place(section: &str, kind: SectionKind) -> Place<'_> {
    Place { section, kind, level: Level::Group }
}

/// The name after the first colon.
fn bare_name(section: &str) -> &str {
    section.split_once(':').map_or("", |(_, name)| name)
}

fn group_name(reader: &mut Reader<'_>, place: Place<'_>) -> Option<String> {
    match value::process_or_group_name(bare_name(place.section)) {
        Ok(name) => Some(name),
        Err(complaint) => {
            reader.complain(place, "", complaint.into());
            None
        }
    }
}

/// The group's own priority. Absent, it is that of the kind.
fn priority(reader: &mut Reader<'_>, place: Place<'_>, scope: &Scope) -> i64 {
    let absent = if place.kind == SectionKind::EventListener { -1 } else { 999 };
    reader.plain(place, "priority", scope, value::integer).unwrap_or(absent)
}

fn heterogeneous<'a>(reader: &mut Reader<'a>, section: &'a str, grouped: &mut BTreeSet<String>) -> Option<GroupConfig> {
    let here = place(section, SectionKind::Group);
    let name = group_name(reader, here);
    let scope = reader.scope();
    let programs = reader.names(here, "programs", &scope);
    let priority = priority(reader, here, &scope);
    let name = name?;
    let mut members = Vec::new();
    // Supervisor 4.3.0 names the section of the member before in this error.
    let mut blamed = section.to_owned();
    for program in programs {
        let (plain, fastcgi) = (format!("program:{program}"), format!("fcgi-program:{program}"));
        let is_known = |section: &str| reader.raw.sections.contains_key(section);
        let (member, kind) = match (is_known(&plain), is_known(&fastcgi)) {
            (true, false) => (plain, SectionKind::Program),
            (false, true) => (fastcgi, SectionKind::FcgiProgram),
            (false, false) => {
                let text = |section: &str| format!("[{section}] names unknown program or fcgi-program {program}");
                report_member(reader, here, &program, text(section), text(&blamed));
                continue;
            }
            (true, true) => {
                let text = |section: &str| {
                    format!("[{section}] name {program} is ambiguous (exists as program and fcgi-program)")
                };
                report_member(reader, here, &program, text(section), text(&blamed));
                continue;
            }
        };
        let first = members.len();
        members.extend(processes(reader, &member, kind, &name));
        if kind == SectionKind::FcgiProgram {
            let socket = member_socket(reader, &member);
            for process in members.iter_mut().skip(first) {
                process.socket.clone_from(&socket);
            }
        }
        grouped.insert(member.clone());
        blamed = member;
    }
    Some(GroupConfig { name, priority, kind: GroupKind::Program, processes: members })
}

fn report_member(reader: &mut Reader<'_>, here: Place<'_>, program: &str, message: String, supervisor: String) {
    let known = reader.raw.sections.keys().filter_map(|section| {
        let (kind, name) = section.split_once(':')?;
        matches!(kind, "program" | "fcgi-program").then_some(name)
    });
    let help = match super::nearest::nearest(program, known) {
        Some(near) => format!("did you mean {near}?"),
        None if program.is_empty() => "remove the empty name between the commas".to_owned(),
        None => format!("add a [program:{program}] section, or remove the name"),
    };
    let mut problem = Problem::error(message).finding(program).help(help);
    problem.supervisor_text = Some(supervisor);
    reader.report(here, "programs", problem);
}

fn program(reader: &mut Reader<'_>, section: &str) -> Option<GroupConfig> {
    let here = place(section, SectionKind::Program);
    let name = group_name(reader, here);
    let scope = reader.scope();
    let priority = priority(reader, here, &scope);
    let name = name?;
    let processes = processes(reader, section, here.kind, &name);
    Some(GroupConfig { name, priority, kind: GroupKind::Program, processes })
}

fn event_listener(reader: &mut Reader<'_>, section: &str) -> GroupConfig {
    let here = place(section, SectionKind::EventListener);
    let name = bare_name(section).to_owned();
    let scope = reader.scope();
    let priority = priority(reader, here, &scope);
    let buffer_size = reader.integer(here, "buffer_size", &scope);
    if buffer_size < 1 {
        let text = format!("[{section}] section sets invalid buffer_size ({buffer_size})");
        reader.complain(here, "buffer_size", Complaint::new(text, "set it to 1 or more"));
    }
    if let Ok(Some(text)) = reader.written(here, "result_handler", &scope)
        && !is_reference_to(&text, RESULT_HANDLER)
    {
        reader.report_plugin(here, "result_handler", &text);
    }
    let events = events(reader, here, &scope);
    let len_in_bytes = reader.boolean(here, "len_in_bytes", &scope);
    let answer_timeout = reader.plain(here, "answer_timeout", &scope, value::duration);
    if answer_timeout.is_some_and(|timeout| timeout.is_zero()) {
        let text = format!("[{section}] section sets invalid answer_timeout (0)");
        reader.complain(
            here,
            "answer_timeout",
            Complaint::new(text, "set a length of time, or leave it out for no limit"),
        );
    }
    if reader.boolean(here, "redirect_stderr", &scope) {
        let text = format!(
            "[{section}] section sets redirect_stderr=true but this is not allowed because it will interfere with the \
             eventlistener protocol"
        );
        reader.complain(here, "redirect_stderr", Complaint::new(text, "remove redirect_stderr"));
    }
    let processes: Vec<ProcessConfig> = processes(reader, section, here.kind, &name);
    let result_handler = RESULT_HANDLER.to_owned();
    let kind = GroupKind::EventListener { buffer_size, events, result_handler, len_in_bytes, answer_timeout };
    GroupConfig { name, priority, kind, processes }
}

/// Whether the text names the object, blanks around the colon allowed.
pub(crate) fn is_reference_to(text: &str, object: &str) -> bool {
    let (Some((module, name)), Some((known_module, known_name))) = (text.split_once(':'), object.split_once(':'))
    else {
        return false;
    };
    // Blanks before the module are not part of Python's pattern.
    module.trim_end() == known_module && name.trim() == known_name
}

/// The events in the order of first mention, each once.
fn events(reader: &mut Reader<'_>, here: Place<'_>, scope: &Scope) -> Vec<String> {
    const KEY: &str = "events";
    let mut wanted: Vec<String> = Vec::new();
    for name in reader.names(here, KEY, scope) {
        let name = name.to_uppercase();
        if !wanted.contains(&name) {
            wanted.push(name);
        }
    }
    let section = here.section;
    if wanted.is_empty() {
        let text = format!("[{section}] section requires an \"events\" line");
        reader.complain(here, KEY, Complaint::new(text, "add events=... with the events to receive"));
    }
    for name in &wanted {
        if !value::EVENT_TYPES.contains(&name.as_str()) {
            let text = format!("Unknown event type {name} in [{section}] events");
            let help = match super::nearest::nearest(name, value::EVENT_TYPES.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None if name.is_empty() => "remove the empty name between the commas".to_owned(),
                None => format!("use some of {}", value::EVENT_TYPES.join(", ")),
            };
            reader.complain(here, KEY, Complaint::new(text, help));
        }
    }
    wanted
}

/// The socket of a `[fcgi-program:x]` that a group lists. Supervisor does not look at its keys there, so a mistake in
/// them does not refuse the configuration.
fn member_socket(reader: &mut Reader<'_>, section: &str) -> Option<SocketConfig> {
    let here = place(section, SectionKind::FcgiProgram);
    let known = reader.problems.count();
    let name = bare_name(section).trim().to_owned();
    let scope = reader.scope();
    let socket = socket(reader, here, &scope, Some(&name));
    reader.problems.soften(known, "; so it is started without a socket, as Supervisor starts members of groups");
    socket
}

fn fastcgi(reader: &mut Reader<'_>, section: &str) -> Option<GroupConfig> {
    let here = place(section, SectionKind::FcgiProgram);
    let name = group_name(reader, here);
    let scope = reader.scope();
    let priority = priority(reader, here, &scope);
    let socket = socket(reader, here, &scope, name.as_deref());
    let name = name?;
    let mut processes = processes(reader, section, here.kind, &name);
    for process in &mut processes {
        process.socket.clone_from(&socket);
    }
    let passing = Passing::Stdin;
    let unreadable = || SocketConfig { url: String::new(), backlog: None, owner: None, mode: None, passing };
    let SocketConfig { url, backlog, owner, mode, .. } = socket.unwrap_or_else(unreadable);
    let kind = GroupKind::FastCgi { socket: url, backlog, owner, mode };
    Some(GroupConfig { name, priority, kind, processes })
}

/// What the socket keys say; `None` if there is a mistake in them, which is reported.
fn socket(reader: &mut Reader<'_>, here: Place<'_>, scope: &Scope, name: Option<&str>) -> Option<SocketConfig> {
    let (section, scope) = (here.section, scope.clone());
    let user = reader.typed(here, "user", &scope, |text, lookup| lookup.user(text));
    let wanted = wanted(reader, here, &scope, user.as_ref());
    let scope = match name {
        Some(name) => scope.with("program_name", name),
        None => scope,
    };
    match reader.written(here, "socket", &scope) {
        Ok(Some(url)) if !url.is_empty() => read_socket(reader, here, &url, wanted),
        Ok(_) => {
            let text = format!("[{section}] section requires a \"socket\" line");
            reader.complain(here, "socket", Complaint::new(text, "add socket=unix:///path or socket=tcp://host:port"));
            None
        }
        Err(_) => None,
    }
}

/// The keys beside the address.
pub(super) fn wanted(reader: &mut Reader<'_>, here: Place<'_>, scope: &Scope, user: Option<&User>) -> Wanted {
    let backlog = reader.typed(here, "socket_backlog", scope, |text, _| {
        let number = value::integer(text)?;
        u32::try_from(number)
            .ok()
            .filter(|backlog| (1..=65_535).contains(backlog))
            .ok_or_else(|| Complaint::new(format!("Invalid socket_backlog value {number}"), "use 1 to 65535"))
    });
    let owner = reader.typed(here, "socket_owner", scope, |text, lookup| {
        let help = "write user or user:group, both known on this host";
        lookup.owner(text).ok_or_else(|| Complaint::new(format!("Invalid socket_owner value {text}"), help))
    });
    let mode = reader.typed(here, "socket_mode", scope, |text, _| {
        value::octal(text)
            .map_err(|_| Complaint::new(format!("Invalid socket_mode value {text}"), "write octal digits, like 0700"))
    });
    let uid = reader.lookup.source.uid();
    let account = user.filter(|user| user.uid != uid).map(|user| Owner { uid: user.uid, gid: Some(user.gid) });
    Wanted { backlog, owner, mode, account }
}

/// What is set about a socket, and the account its processes run as if it is not ours.
pub(super) struct Wanted {
    backlog: Option<u32>,
    owner: Option<Owner>,
    mode: Option<u32>,
    account: Option<Owner>,
}

pub(super) fn read_socket(reader: &mut Reader<'_>, here: Place<'_>, url: &str, wanted: Wanted) -> Option<SocketConfig> {
    let section = here.section;
    let help = "write unix:///path or tcp://host:port";
    let refuse = |reader: &mut Reader<'_>, text: String, help: &str| {
        reader.complain(here, "socket", Complaint::new(format!("{text} in [{section}] socket"), help));
        None
    };
    // Supervisor 4.3.0 prints the tuple of format and argument.
    let tuple = |format: &str, argument: &str| format!("('{format}', {})", super::literal(argument));
    let Wanted { backlog, owner, mode, account } = wanted;
    if let Some(file) = url.strip_prefix("unix://") {
        if !file.starts_with('/') {
            return refuse(reader, tuple("Unix socket path %s is not an absolute path", file), help);
        }
        let url = format!("unix://{}", path::resolve(file, reader.lookup.source));
        let (owner, mode) = (owner.or(account), Some(mode.unwrap_or(0o700)));
        return Some(SocketConfig { url, backlog, owner, mode, passing: Passing::Stdin });
    }
    if owner.is_some() || mode.is_some() {
        let text = "socket_owner and socket_mode params should only be used with a Unix domain socket";
        return refuse(reader, text.to_owned(), "remove socket_owner and socket_mode");
    }
    let address = url.strip_prefix("tcp://").and_then(|address| address.rsplit_once(':'));
    let parts = address.filter(|(host, port)| {
        let is_host = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == ':');
        is_host && !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit())
    });
    let Some((host, port)) = parts else {
        return refuse(reader, tuple("Bad socket format %s", url), help);
    };
    match value::port_number(port) {
        Ok(port) => {
            let url = format!("tcp://{}:{port}", host.to_lowercase());
            Some(SocketConfig { url, backlog, owner: None, mode: None, passing: Passing::Stdin })
        }
        Err(error) => refuse(reader, error.to_string(), error.wanted()),
    }
}

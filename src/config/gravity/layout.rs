//! Services to sections: names, groups, logs and the daemon's own files, as Gravity has them under Supervisor.
//!
//! Source: Gravity 1.2.4, `process_manager/supervisor.py`. Differs: each process of a service is a section of its own in a group of
//! the service's name, because each has a command of its own; the names are the same.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::instance::{DEFAULT_NAME, Instance, state_directory};
use super::reading::Reading;
use super::service::{Member, Service, StopGoesTo};
use super::settings::{Origin, Sourced};
use crate::config::path;
use crate::config::raw::{Dialect, RawData, RawSection, RawSections, RawValue};
use crate::config::schema::RPC_FACTORY;
use crate::config::span::{FileId, Span};

/// Where each value comes from, in words, by section and key.
pub(crate) type Origins = BTreeMap<(String, String), String>;

/// The sections of all instances.
pub(super) struct Layout<'l, 'r> {
    reading: &'l mut Reading<'r>,
    pub(super) sections: RawSections,
    pub(super) origins: Origins,
}

/// The keys of a section under construction.
struct Keys<'k> {
    section: &'k str,
    entries: IndexMap<String, RawValue>,
}

/// A text in which a percent sign means itself.
fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}

impl<'l, 'r> Layout<'l, 'r> {
    pub(super) fn new(reading: &'l mut Reading<'r>) -> Self {
        Self { reading, sections: RawSections::default(), origins: Origins::new() }
    }

    fn put(&mut self, keys: &mut Keys<'_>, key: &str, value: &Sourced<RawData>) {
        let origin = match &value.origin {
            Origin::Written(written) => format!("{} {written}", self.reading.place(value.span)),
            Origin::Said(said) => said.clone(),
        };
        self.origins.insert((keys.section.to_owned(), key.to_owned()), origin);
        let Sourced { value: data, span, .. } = value.clone();
        let raw =
            RawValue { data, key_span: span, span, dialect: Dialect::Native, cut_comment: None, pieces: Vec::new() };
        keys.entries.insert(key.to_owned(), raw);
    }

    fn put_text(&mut self, keys: &mut Keys<'_>, key: &str, text: &Sourced<String>) {
        self.put(keys, key, &text.map(|text| RawData::Text(escaped(text))));
    }

    fn put_fixed(&mut self, keys: &mut Keys<'_>, key: &str, text: &str, span: Span, why: &str) {
        self.put(keys, key, &Sourced::said(RawData::Text(text.to_owned()), span, why));
    }

    fn finish(&mut self, name: &str, span: Span, keys: Keys<'_>) {
        let section = RawSection { span, dialect: Dialect::Native, included_from: None, entries: keys.entries };
        if self.sections.sections.insert(name.to_owned(), section).is_some() {
            let help = "rename one of the two services";
            self.reading.error(span, name, "", "two processes would have this name".to_owned(), help);
        }
    }

    /// The daemon's own sections.
    pub(super) fn daemon(&mut self, instances: &[Instance]) {
        let span = Span { file: FileId(0), start: 0, end: 0 };
        let state = self.state(instances);
        let own = format!("{state}/supervisor");
        let below = |name: &str| escaped(&format!("{own}/{name}"));
        let mut keys = Keys { section: "supervisord", entries: IndexMap::new() };
        let why = "Gravity's place for it";
        self.put_fixed(&mut keys, "logfile", &below("supervisord.log"), span, why);
        self.put_fixed(&mut keys, "pidfile", &below("supervisord.pid"), span, why);
        let mut directories = vec![escaped(&own)];
        for instance in instances {
            directories.push(escaped(&instance.data.value));
            directories.push(escaped(&instance.logs.value));
        }
        directories.dedup();
        let made = Sourced::said(RawData::List(directories), span, "they are made, as Gravity makes them");
        self.put(&mut keys, "make_directories", &made);
        if let Some(user) = self.user(instances) {
            self.put_text(&mut keys, "user", &user);
        }
        self.finish("supervisord", span, keys);
        let socket = self.reading.source.variable("SUPERVISORD_SOCKET").filter(|socket| !socket.is_empty());
        let (socket, why) = match socket {
            Some(socket) => (escaped(socket), "variable SUPERVISORD_SOCKET"),
            None => (below("supervisor.sock"), why),
        };
        for (section, key, text) in [
            ("unix_http_server", "file", socket.clone()),
            ("rpcinterface:supervisor", "supervisor.rpcinterface_factory", RPC_FACTORY.to_owned()),
            ("supervisorctl", "serverurl", format!("unix://{socket}")),
        ] {
            let mut keys = Keys { section, entries: IndexMap::new() };
            self.put_fixed(&mut keys, key, &text, span, if key.contains('.') { "as always" } else { why });
            self.finish(section, span, keys);
        }
    }

    /// The directory of the daemon's own files: said, that of the only instance, or one of the account's.
    fn state(&self, instances: &[Instance]) -> String {
        if let Some(state) = state_directory(self.reading) {
            return state;
        }
        if let [instance] = instances {
            return instance.data.value.clone();
        }
        let source = self.reading.source;
        match source.variable("XDG_CONFIG_HOME").filter(|home| !home.is_empty()) {
            Some(home) => path::join(home, "galaxy-gravity"),
            None => path::expand_user("~/.config/galaxy-gravity", source),
        }
    }

    /// As whom everything runs: root must not run Galaxy. Nobody else can choose.
    fn user(&mut self, instances: &[Instance]) -> Option<Sourced<String>> {
        let source = self.reading.source;
        let skips = source.variable("GRAVITY_SKIP_SYSTEMD").unwrap_or_default().to_ascii_lowercase();
        if source.euid() != 0 || matches!(skips.as_str(), "1" | "true" | "yes") {
            return None;
        }
        let mut chosen: Option<Sourced<String>> = None;
        for instance in instances {
            let gravity = &instance.gravity;
            let Some(user) = gravity.optional_text("galaxy_user") else {
                let help = "set it to Galaxy's account, or start galaxyd as that account";
                let text = "root does not run Galaxy, and it is not said who does".to_owned();
                self.reading.error(gravity.span, &gravity.path, "galaxy_user", text, help);
                continue;
            };
            if chosen.as_ref().is_some_and(|chosen| chosen.value != user.value) {
                let text = "the instances of one daemon run as one account".to_owned();
                let help = "run a daemon of its own for each account";
                self.reading.error(user.span, &gravity.path, "galaxy_user", text, help);
            }
            self.check_group(instance, &user.value);
            chosen = Some(user);
        }
        chosen
    }

    fn check_group(&mut self, instance: &Instance, user: &str) {
        let Some(group) = instance.gravity.optional_text("galaxy_group") else { return };
        let source = self.reading.source;
        let primary = source.user_by_name(user).map(|account| account.gid);
        if primary.is_some() && source.group_by_name(&group.value) != primary {
            let text = format!("{} is not the primary group of {user}", group.value);
            let help = format!("make it the primary group of {user} (usermod -g), or leave the key out");
            self.reading.error(group.span, &instance.gravity.path, "galaxy_group", text, help);
        }
    }

    /// The programs of one instance; `shows_names` if it is not the only one without a name.
    pub(super) fn instance(&mut self, instance: &Instance, services: &[Service], shows_names: bool) {
        let mut members = Vec::new();
        for service in services {
            let names: Vec<_> =
                (0..service.members.len()).map(|at| Names::new(instance, service, at, shows_names)).collect();
            for (member, names) in service.members.iter().zip(&names) {
                self.program(instance, member, names);
            }
            let programs: Vec<String> = names.into_iter().map(|names| names.program).collect();
            if shows_names {
                members.extend(programs);
            } else if service.is_numbered() && !programs.is_empty() {
                self.group(&service.name, &programs, service.span, "one service, several processes");
            }
        }
        if shows_names && !members.is_empty() {
            self.group(&instance.name.value, &members, instance.gravity.span, "the services of this instance");
        }
    }

    fn group(&mut self, name: &str, programs: &[String], span: Span, why: &str) {
        let section = format!("group:{name}");
        let mut keys = Keys { section: &section, entries: IndexMap::new() };
        let programs = programs.iter().map(|program| escaped(program)).collect();
        self.put(&mut keys, "programs", &Sourced::said(RawData::List(programs), span, why));
        self.finish(&section, span, keys);
    }

    fn program(&mut self, instance: &Instance, member: &Member, names: &Names) {
        let section = format!("program:{}", names.program);
        let span = member.command.span;
        let mut keys = Keys { section: &section, entries: IndexMap::new() };
        self.put_text(&mut keys, "command", &member.command);
        if names.process != names.program {
            let name = Sourced::said(names.process.clone(), span, "Gravity's name for it");
            self.put_text(&mut keys, "process_name", &name);
        }
        self.put_text(&mut keys, "directory", &instance.directory);
        self.put_text(&mut keys, "umask", &member.umask);
        self.put_fixed(&mut keys, "autorestart", "true", span, "as Gravity has it");
        self.put_text(&mut keys, "startsecs", &member.start.map(i64::to_string));
        self.put_text(&mut keys, "stopwaitsecs", &member.stop.map(i64::to_string));
        if member.stop_goes_to == StopGoesTo::Master {
            self.put_fixed(&mut keys, "stopsignal", "INT", span, "it stops uWSGI in every setting");
        }
        if member.stop_goes_to == StopGoesTo::Group {
            self.put_fixed(&mut keys, "stopasgroup", "true", span, "its main process hands no signal on");
        } else {
            self.put_fixed(&mut keys, "killasgroup", "true", span, "workers must not outlive their main process");
        }
        if let Some((question, patience)) = &member.ready {
            self.put_text(&mut keys, "ready", question);
            self.put_text(&mut keys, "ready_timeout", &patience.map(i64::to_string));
        }
        for (key, limit) in [("memory_max", &member.memory.max), ("memory_high", &member.memory.high)] {
            if let Some(limit) = limit {
                self.put_text(&mut keys, key, &limit.map(i64::to_string));
            }
        }
        let log = instance.logs.map(|directory| format!("{directory}/{}.log", names.log));
        self.put_text(&mut keys, "stdout_logfile", &log);
        self.put_fixed(&mut keys, "redirect_stderr", "true", span, "as Gravity has it");
        self.environment(&mut keys, instance, member);
        self.finish(&section, span, keys);
    }

    fn environment(&mut self, keys: &mut Keys<'_>, instance: &Instance, member: &Member) {
        let mut pairs: Vec<(String, String)> = Vec::new();
        let mut said = Vec::new();
        let mut note = |reading: &Reading<'_>, name: &str, value: &Sourced<String>| {
            said.push(match &value.origin {
                Origin::Written(written) => format!("{name}: {} {written}", reading.place(value.span)),
                Origin::Said(why) => format!("{name}: {why}"),
            });
        };
        for (name, value) in &member.environment {
            note(self.reading, name, value);
            pairs.push((name.clone(), escaped(&value.value)));
        }
        if let Some(path) = &member.path {
            note(self.reading, "PATH", path);
        }
        let own = member.path.as_ref().map(|path| escaped(&path.value));
        let path = match &instance.virtualenv {
            None => own,
            Some(virtualenv) => {
                if member.path.is_none() {
                    note(self.reading, "PATH", virtualenv);
                }
                let inherited = self.reading.source.variable("PATH").map(|_| "%(ENV_PATH)s".to_owned());
                let bin = escaped(&format!("{}/bin/", virtualenv.value.trim_end_matches('/')));
                Some(match own.or(inherited) {
                    Some(rest) => format!("{bin}:{rest}"),
                    None => bin,
                })
            }
        };
        pairs.extend(path.map(|path| ("PATH".to_owned(), path)));
        if !pairs.is_empty() {
            let variables = Sourced::said(RawData::Pairs(pairs), member.command.span, said.join("; "));
            self.put(keys, "environment", &variables);
        }
    }
}

/// What one process is called where.
struct Names {
    /// Behind `program:`.
    program: String,
    process: String,
    /// Without `.log`.
    log: String,
}

impl Names {
    fn new(instance: &Instance, service: &Service, number: usize, shows_names: bool) -> Self {
        let is_numbered = service.is_numbered();
        let Service { name, kind, .. } = service;
        let base = if shows_names { format!("{}_{kind}_{name}", instance.name.value) } else { name.clone() };
        let program = if is_numbered { format!("{base}_{number}") } else { base };
        let process = match (shows_names, is_numbered) {
            (true, true) => format!("{name}{number}"),
            (true, false) => name.clone(),
            (false, _) => program.clone(),
        };
        Self { log: program.clone(), program, process }
    }
}

/// Whether names of instances are part of the names of programs.
pub(super) fn shows_names(instances: &[Instance]) -> bool {
    !matches!(instances, [only] if only.name.value == DEFAULT_NAME)
}

/// The processes of a service as commands name them.
pub(super) fn namespecs(instance: &Instance, service: &Service, shows_names: bool) -> Vec<String> {
    let named = (0..service.members.len()).map(|number| {
        let process = Names::new(instance, service, number, shows_names).process;
        match (shows_names, service.is_numbered()) {
            (true, _) => format!("{}:{process}", instance.name.value),
            (false, false) => process,
            (false, true) => format!("{}:{process}", service.name),
        }
    });
    named.collect()
}

//! The uWSGI section.

use crate::config::LogFile;
use crate::galaxy::deployment::{Deployment, Location, Program};
use crate::galaxy::finding::Findings;
use crate::galaxy::program::Role;
use crate::galaxy::uwsgi::UwsgiOptions;

/// Ports below it are root's.
const PORT_FREE: u16 = 1024;

/// What the owner's group and others need to write.
const GROUP_AND_OTHERS_WRITE: u32 = 0o022;

pub(super) fn apply(deployment: &Deployment<'_>, findings: &mut Findings) {
    for program in deployment.programs.iter().filter(|program| matches!(program.role, Role::Uwsgi | Role::Zergling)) {
        if let Some(options) = program.options() {
            let section = Section { deployment, program, options };
            section.processes(findings);
            section.mules(findings);
            section.sockets(findings);
            section.surroundings(findings);
        }
    }
    for (index, galaxy) in deployment.galaxies.iter().enumerate() {
        let has_gunicorn = !deployment.of(index, |role| role == Role::Gunicorn).is_empty();
        let has_uwsgi = !deployment.of(index, Role::is_uwsgi).is_empty();
        if let Some(line) = galaxy.has_uwsgi.filter(|_| has_gunicorn && !has_uwsgi) {
            findings.add("GX082", Some(galaxy.line(line)), "Galaxy runs under gunicorn here".to_owned());
        }
    }
}

struct Section<'a> {
    deployment: &'a Deployment<'a>,
    program: &'a Program<'a>,
    options: &'a UwsgiOptions,
}

impl Section<'_> {
    /// Where the last option of this name stands: in the section, else in the command.
    fn place(&self, name: &str) -> Option<Location> {
        match self.options.last(name).or_else(|| self.options.options.iter().rfind(|option| option.line > 0)) {
            Some(option) if option.line > 0 => {
                Some(Location { file: self.program.uwsgi_file.clone(), line: option.line })
            }
            _ => self.deployment.place(self.program, "command"),
        }
    }

    fn processes(&self, findings: &mut Findings) {
        if !self.options.has("threads") && !self.options.is_on("enable-threads") {
            let text = format!("{} has neither threads nor enable-threads", self.program.shown());
            findings.add("GX066", self.place("enable-threads"), text);
        }
        if !self.options.is_on("master") {
            findings.add("GX072", self.place("master"), format!("{} has no master", self.program.shown()));
        }
        if !self.options.has("stats") && !self.options.has("stats-server") {
            findings.add("GX080", self.place("stats"), format!("{} has no stats", self.program.shown()));
        }
        let binary = self.program.invocation.words.first().map(String::as_str).unwrap_or_default();
        if binary.starts_with("/usr/bin/uwsgi") && !self.options.has("plugin") && !self.options.has("plugins") {
            let text = format!("{} runs {binary} without plugin: python", self.program.shown());
            findings.add("GX078", self.deployment.place(self.program, "command"), text);
        }
        let log = ["logto", "logto2"].iter().find_map(|name| self.options.last(name));
        let is_kept = matches!(self.program.process.stdout.file, LogFile::Path(_));
        if let Some(log) = log.filter(|_| is_kept) {
            let text = format!("{} logs to {}, and has a stdout_logfile", self.program.shown(), log.value);
            findings.add("GX083", self.place(&log.name), text);
        }
    }

    fn mules(&self, findings: &mut Findings) {
        let mules = self.options.all("mule").count() + number(self.options, "mules");
        let farms: Vec<_> = self.options.all("farm").collect();
        for farm in &farms {
            let numbers = farm.value.split_once(':').map(|(_, numbers)| numbers).unwrap_or_default();
            let wrong = numbers
                .split(',')
                .find(|number| number.trim().parse::<usize>().map_or(true, |number| number == 0 || number > mules));
            if let Some(wrong) = wrong {
                let text = format!("farm: {} names mule {wrong}; there are {mules}", farm.value);
                let place = Location { file: self.program.uwsgi_file.clone(), line: farm.line.max(1) };
                findings.add("GX070", Some(place), text);
            }
        }
        if mules == 0 {
            return;
        }
        if !farms.iter().any(|farm| farm.value.starts_with("job-handlers")) {
            let text = format!("there are {mules} mules, and no farm job-handlers");
            findings.add("GX071", self.place("mule"), text);
        }
        if !self.options.is_on("py-call-osafterfork") {
            findings.add("GX079", self.place("mule"), "py-call-osafterfork is not set".to_owned());
        }
    }

    fn sockets(&self, findings: &mut Findings) {
        let umask = self.program.process.umask.unwrap_or(self.deployment.config.daemon.umask);
        let is_root = self.program.process.user.as_ref().is_none_or(|user| user.uid == 0);
        for name in ["socket", "uwsgi-socket", "http", "https", "http-socket", "https-socket"] {
            for option in self.options.all(name) {
                let address = option.value.split(',').next().unwrap_or_default();
                let is_path = address.contains('/');
                let is_closed = umask & GROUP_AND_OTHERS_WRITE != 0 && !self.options.has("chmod-socket");
                if is_path && is_closed && !self.options.has("umask") {
                    let text = format!("{address} is made with umask {umask:03o} and without chmod-socket");
                    findings.add("GX073", self.place(name), text);
                }
                let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
                if port.is_some_and(|port| port < PORT_FREE) && !is_root {
                    let text = format!("{} is not root and listens at {address}", self.program.shown());
                    findings.add("GX076", self.place(name), text);
                }
            }
        }
    }

    fn surroundings(&self, findings: &mut Findings) {
        let is_placed = self.program.process.directory.is_some() || self.options.has("chdir");
        let relative = ["virtualenv", "home", "pythonpath", "mule"]
            .iter()
            .find_map(|name| self.options.last(name).filter(|option| !option.value.starts_with(['/', '$', '%'])));
        if let Some(option) = relative.filter(|_| !is_placed) {
            let text =
                format!("{}: {} is relative, and {} has no directory", option.name, option.value, self.program.shown());
            findings.add("GX081", self.place(&option.name), text);
        }
    }
}

fn number(options: &UwsgiOptions, name: &str) -> usize {
    options.number(name).and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
}

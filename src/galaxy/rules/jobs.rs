//! The job configuration against the programs.

use std::collections::BTreeSet;

use crate::galaxy::deployment::{Deployment, Galaxy, Program};
use crate::galaxy::finding::Findings;
use crate::galaxy::jobconf::JobConf;
use crate::galaxy::program::{POOL, Role, tag_of};

const SCHEDULERS: &str = "workflow-schedulers";

pub(super) fn apply(deployment: &Deployment<'_>, findings: &mut Findings) {
    for program in deployment.programs.iter().filter(|program| program.role == Role::Handler) {
        for pool in program.pools() {
            if tag_of(pool).is_none() && pool != SCHEDULERS {
                let text = format!("{} attaches to {pool}, which is no pool", program.shown());
                findings.add("GX046", deployment.place(program, "command"), text);
            }
        }
    }
    for (index, galaxy) in deployment.galaxies.iter().enumerate() {
        if galaxy.is_jobs_fallback {
            let text = "neither job_config_file nor job_conf.yml is there".to_owned();
            findings.add("GX065", Some(galaxy.jobs_line(1)), text);
        }
        let Some(jobs) = &galaxy.jobs else { continue };
        let case =
            Case { deployment, index, galaxy, jobs, handlers: deployment.of(index, |role| role == Role::Handler) };
        case.definitions(findings);
        case.processes(findings);
        case.mappings(findings);
        case.untagged(findings);
        case.limits(findings);
        case.methods(findings);
        case.schedulers(findings);
    }
}

/// One Galaxy whose job configuration is known.
struct Case<'a> {
    deployment: &'a Deployment<'a>,
    index: usize,
    galaxy: &'a Galaxy,
    jobs: &'a JobConf,
    handlers: Vec<&'a Program<'a>>,
}

impl Case<'_> {
    /// Handlers that the file defines.
    fn definitions(&self, findings: &mut Findings) {
        let ids: BTreeSet<_> = self.jobs.handlers.iter().map(|handler| handler.id.text.as_str()).collect();
        let mut known = BTreeSet::new();
        for handler in &self.jobs.handlers {
            let place = Some(self.galaxy.jobs_line(handler.id.line));
            if !known.insert(handler.id.text.as_str()) {
                findings.add("GX033", place.clone(), format!("the handler {} is defined above", handler.id.text));
            }
            let mut tags = BTreeSet::new();
            for tag in &handler.tags {
                let wrong = if !tags.insert(tag) {
                    "twice"
                } else if ids.contains(tag.as_str()) {
                    "which is a handler's id"
                } else {
                    continue;
                };
                let text = format!("the handler {} has the tag {tag}, {wrong}", handler.id.text);
                findings.add("GX034", place.clone(), text);
            }
            let is_used = |tag: &&String| tag.contains("drain") && self.is_named(tag);
            if let Some(tag) = handler.tags.iter().find(is_used) {
                findings.add("GX053", place, format!("{} drains under the tag {tag}, which is used", handler.id.text));
            }
        }
    }

    /// Whether a mapping or the default names it.
    fn is_named(&self, name: &str) -> bool {
        self.jobs.default.as_ref().is_some_and(|default| default.text == name)
            || self.jobs.mappings.iter().any(|mapping| mapping.handler.as_deref() == Some(name))
    }

    fn server_names(&self) -> BTreeSet<&str> {
        self.handlers.iter().map(|program| program.server_name()).collect()
    }

    /// The tags of the pools that processes attach to; empty is the default.
    fn attached(&self) -> BTreeSet<&str> {
        let pools = self.handlers.iter().flat_map(|program| program.pools());
        pools.filter_map(tag_of).collect()
    }

    /// The tags of uWSGI's farms.
    fn farms(&self) -> BTreeSet<&str> {
        let programs = self.deployment.of(self.index, Role::is_uwsgi);
        let options = programs.into_iter().filter_map(Program::options);
        let farms = options.flat_map(|options| options.options.iter().filter(|option| option.name == "farm"));
        farms.filter_map(|farm| tag_of(farm.value.split(':').next().unwrap_or_default())).collect()
    }

    /// Handlers of the file and processes that are started.
    fn processes(&self, findings: &mut Findings) {
        let names = self.server_names();
        let has_static = self.handlers.iter().any(|program| program.invocation.option(&["--attach-to-pool"]).is_none());
        for handler in &self.jobs.handlers {
            let id = handler.id.text.as_str();
            let is_web = id.starts_with("main.") || id == "main";
            let is_started = names.contains(id) || (self.jobs.is_grabbing() && !has_static);
            if !is_started && !is_web && !self.deployment.programs.is_empty() {
                let text = format!("no program is started with --server-name={id}");
                findings.add("GX042", Some(self.galaxy.jobs_line(handler.id.line)), text);
            }
        }
        let ids: BTreeSet<_> = self.jobs.handlers.iter().map(|handler| handler.id.text.as_str()).collect();
        for program in &self.handlers {
            let name = program.server_name();
            let pools = program.pools();
            let place = || self.deployment.place(program, "command");
            let is_known = ids.contains(name) || self.galaxy.schedulers.iter().any(|known| known == name);
            if pools.is_empty() && !is_known && self.jobs.has_handlers() && !self.jobs.is_partial {
                let text = format!("{} starts {name}, which is no handler and attaches to no pool", program.shown());
                findings.add("GX043", place(), text);
            }
            if pools.iter().any(|pool| tag_of(pool).is_some()) && self.jobs.assign.is_empty() && !self.jobs.is_partial {
                let text = format!("{} takes jobs from a pool, and no assignment method is set", program.shown());
                findings.add("GX047", place(), text);
            }
        }
        let is_untagged = self.jobs.handlers.iter().any(|handler| handler.tags.is_empty());
        let first = self.jobs.handlers.first().filter(|_| !is_untagged && self.jobs.default.is_none());
        if let Some(first) = first.filter(|_| self.jobs.is_preassigning()) {
            let text = "every handler has tags, and there is no default".to_owned();
            findings.add("GX048", Some(self.galaxy.jobs_line(first.id.line)), text);
        }
    }

    /// What tools are mapped to.
    fn mappings(&self, findings: &mut Findings) {
        if self.jobs.is_partial || !self.jobs.has_handlers() && self.handlers.is_empty() && self.farms().is_empty() {
            return;
        }
        let (attached, farms) = (self.attached(), self.farms());
        for mapping in &self.jobs.mappings {
            let Some(wanted) = mapping.handler.as_deref() else { continue };
            let place = Some(self.galaxy.jobs_line(mapping.tool.line));
            let own = self.jobs.handlers.iter().find(|handler| handler.id.text == wanted);
            let is_tag = self.jobs.handlers.iter().any(|handler| handler.tags.iter().any(|tag| tag == wanted));
            if own.is_none() && !is_tag && !attached.contains(wanted) && !farms.contains(wanted) {
                let code = if self.jobs.is_grabbing() { "GX045" } else { "GX044" };
                findings.add(code, place.clone(), format!("{} is mapped to {wanted}", mapping.tool.text));
            }
            let destination = mapping.destination.as_deref();
            let runner = self.jobs.destinations.iter().find(|known| Some(known.id.as_str()) == destination);
            let Some((handler, runner)) = own.zip(runner) else { continue };
            if !handler.plugins.is_empty() && !handler.plugins.contains(&runner.runner) {
                let text = format!("{} runs by {}, which {wanted} does not load", mapping.tool.text, runner.runner);
                findings.add("GX061", place, text);
            }
        }
    }

    /// The server names of the processes that take jobs of this handler's id or tag; `None`: of what nothing is mapped.
    fn takers(&self, wanted: Option<&str>) -> BTreeSet<&str> {
        let wanted = wanted.or(self.jobs.default.as_ref().map(|default| default.text.as_str()));
        if let Some(own) = self.jobs.handlers.iter().find(|handler| Some(handler.id.text.as_str()) == wanted) {
            return BTreeSet::from([own.id.text.as_str()]);
        }
        let tag = wanted.unwrap_or_default();
        let takes = |program: &&&Program<'_>| {
            let own = self.jobs.handlers.iter().find(|handler| handler.id.text == program.server_name());
            let is_tagged = own.is_some_and(|own| {
                if tag.is_empty() { own.tags.is_empty() } else { own.tags.iter().any(|known| known == tag) }
            });
            is_tagged || program.pools().into_iter().any(|pool| tag_of(pool) == Some(tag))
        };
        self.handlers.iter().filter(takes).map(|program| program.server_name()).collect()
    }

    /// Limits of destinations whose jobs several handlers run.
    fn limits(&self, findings: &mut Findings) {
        if self.jobs.is_partial {
            return;
        }
        for limit in self.jobs.limits.iter().filter(|limit| limit.kind.text.starts_with("destination_")) {
            let Some(named) = limit.destination.as_deref() else { continue };
            let mut counting = BTreeSet::new();
            for destination in &self.jobs.destinations {
                let is_called = |name: &str| destination.id == name || destination.tags.iter().any(|tag| tag == name);
                if !is_called(named) {
                    continue;
                }
                if self.jobs.default_destination.as_deref().is_some_and(is_called) {
                    counting.extend(self.takers(None));
                }
                let own = self.jobs.mappings.iter().filter(|one| one.destination.as_deref().is_some_and(is_called));
                counting.extend(own.flat_map(|mapping| self.takers(mapping.handler.as_deref())));
                counting.retain(|name| self.loads(name, &destination.runner));
            }
            if counting.len() > 1 {
                let handlers = counting.into_iter().collect::<Vec<_>>().join(", ");
                let text = format!("{} of {named} is counted by {handlers}, each for itself", limit.kind.text);
                findings.add("GX062", Some(self.galaxy.jobs_line(limit.kind.line)), text);
            }
        }
    }

    /// Whether the handler of this name loads a runner.
    fn loads(&self, name: &str, runner: &str) -> bool {
        let own = self.jobs.handlers.iter().find(|handler| handler.id.text == name);
        own.is_none_or(|own| own.plugins.is_empty() || own.plugins.iter().any(|plugin| plugin == runner))
    }

    /// Handlers without a tag that tools name, where others are there for everything else.
    fn untagged(&self, findings: &mut Findings) {
        if self.jobs.is_partial || self.jobs.default.is_some() {
            return;
        }
        let named = |id: &str| self.jobs.mappings.iter().find(|mapping| mapping.handler.as_deref() == Some(id));
        let everybodys = self.takers(None);
        if everybodys.iter().all(|name| named(name).is_some()) {
            return;
        }
        for handler in self.jobs.handlers.iter().filter(|handler| handler.tags.is_empty()) {
            let id = handler.id.text.as_str();
            if let Some(mapping) = named(id).filter(|_| everybodys.contains(id)) {
                let text =
                    format!("{} is mapped to {id}, which gets the jobs of unmapped tools too", mapping.tool.text);
                findings.add("GX049", Some(self.galaxy.jobs_line(handler.id.line)), text);
            }
        }
    }

    /// Assignment methods.
    fn methods(&self, findings: &mut Findings) {
        let webs = self.deployment.of(self.index, Role::is_web);
        let place = |method: &str| {
            let found = self.jobs.assign.iter().find(|word| word.text == method);
            Some(self.galaxy.jobs_line(found.map_or(1, |word| word.line)))
        };
        let mules = "uwsgi-mule-message";
        if self.jobs.assigns(mules) && webs.iter().any(|program| program.role == Role::Gunicorn) {
            findings.add("GX054", place(mules), "there is no uWSGI under Galaxy 22.05 and newer".to_owned());
        }
        let attached = self.attached();
        let both: Vec<_> = self.farms().intersection(&attached).copied().collect();
        if self.jobs.assign.first().is_some_and(|first| first.text == mules) && !both.is_empty() {
            let text = format!(
                "the pool {POOL}{}{} is a farm too",
                if both.concat().is_empty() { "" } else { "." },
                both.join(", ")
            );
            findings.add("GX055", place(mules), text);
        }
        let count = webs.len() + self.handlers.len();
        let url = self.galaxy.text("database_connection");
        if count > 1 && self.galaxy.settings.is_some() && url.is_none_or(|url| url.starts_with("sqlite")) {
            let text = format!("{count} processes use one SQLite file");
            findings.add("GX057", Some(self.galaxy.place("database_connection")), text);
        }
        if self.jobs.assigns("mem-self") && (count > 1 || !self.jobs.handlers.is_empty()) {
            findings.add("GX058", place("mem-self"), "there is more than one process".to_owned());
        }
        let is_forced = self.galaxy.is_on("parallelize_workflow_scheduling_within_histories");
        if self.jobs.assigns("db-preassign") && !self.jobs.is_grabbing() && !is_forced && self.handlers.len() > 1 {
            findings.add("GX059", place("db-preassign"), "jobs are given to handlers that may not run".to_owned());
        }
        let tags = self.jobs.handlers.iter().flat_map(|handler| {
            let own = handler.tags.iter().map(String::as_str);
            own.chain(handler.tags.is_empty().then_some(""))
        });
        let shared: BTreeSet<_> = tags.filter(|tag| attached.contains(tag)).collect();
        if self.jobs.is_preassigning() && !self.jobs.handlers.is_empty() && !shared.is_empty() {
            let line = self.jobs.handlers.first().map_or(1, |handler| handler.id.line);
            let text = "handlers of this file and processes of a pool have one tag".to_owned();
            findings.add("GX060", Some(self.galaxy.jobs_line(line)), text);
        }
    }

    /// Workflow schedulers.
    fn schedulers(&self, findings: &mut Findings) {
        let mut pools = self.handlers.iter().flat_map(|program| program.pools());
        let is_attached = pools.any(|pool| pool == SCHEDULERS);
        let option = "parallelize_workflow_scheduling_within_histories";
        let is_explicit = is_attached || !self.galaxy.schedulers.is_empty();
        if self.galaxy.is_on(option) && is_explicit && !self.jobs.assigns("db-preassign") {
            let text = "there are workflow schedulers, and db-preassign is not assigned".to_owned();
            findings.add("GX063", Some(self.galaxy.place(option)), text);
        }
        let names = self.server_names();
        let is_named = self.galaxy.schedulers.iter().any(|name| names.contains(name.as_str()));
        if !self.galaxy.schedulers.is_empty() && !is_attached && !is_named {
            let text = format!("none of the schedulers {} is started", self.galaxy.schedulers.join(", "));
            findings.add("GX064", Some(self.galaxy.place("workflow_schedulers_config_file")), text);
        }
    }
}

//! `galaxyd.planUpdate` and `galaxyd.update`: another configuration, applied process by process.
//!
//! What an update stops, the engine knows ([`GroupChange`]) and journals; what it adds waits here and in the journal
//! until everything that it removes is gone. Both go on under a successor.

use serde::{Deserialize, Serialize};

use super::logfiles::make_auto_logs;
use super::program_sockets::{sockets_of, test_sockets};
use super::reply::Reply;
use super::report;
use super::update_report::{GroupReport, Outlook, ProcessReport, UpdateReport};
use super::worker::{Done, Shape, Waiting, Worker};
use crate::config::{
    self, GroupConfig, GroupFate, GroupKind, GroupPlan, Limits, Loaded, LogFile, NotFound, ProcessConfig, ProcessFate,
};
use crate::engine::{Channel, GroupChange, Input, Mood, Request, RequestId, Target, namespec};
use crate::logs::{Command, Level, SourceId, log};
use crate::rpc::{Fault, FaultCode};
use crate::sys::side;

/// What a client wants updated.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    /// Groups and processes; empty: all.
    pub(super) names: Vec<String>,
    /// Start the named processes anew whatever changed.
    pub(super) restart: bool,
    pub(super) wait: bool,
    /// Only say what would happen.
    pub(super) rehearsal: bool,
}

impl Wish {
    /// Whether this group, or a process of it, is to follow the configuration.
    fn concerns(&self, group: &str) -> bool {
        let of = |name: &String| name.split_once(':').map_or(name.as_str(), |(of, _)| of) == group;
        self.names.is_empty() || self.names.iter().any(of)
    }
}

/// An update that is decided on and whose logs are being made.
#[derive(Debug)]
pub(super) struct Prospect {
    plans: Vec<GroupPlan>,
    /// The groups as they will be.
    groups: Vec<GroupConfig>,
    wish: Wish,
}

/// A group that exists or gets members once everything that an update removes is gone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Growth {
    group: GroupConfig,
    /// Members that are to run whatever `autostart` says: they ran in the group that this one replaces.
    start: Vec<String>,
}

impl Worker {
    /// A configuration was read for an update, or for saying what one would do.
    pub(super) fn plan_update(&mut self, wish: Wish, loaded: Result<Box<Loaded>, NotFound>, reply: Reply) {
        let config = if wish.rehearsal { unheard(loaded) } else { self.accept(loaded) };
        let config = match config {
            Ok(config) => config,
            Err(fault) => return reply.send(Err(fault)),
        };
        let mut actual = self.actual_groups();
        let mut groups = match selected(&actual, &config.groups, &wish.names) {
            Ok(groups) => groups,
            Err(name) => return reply.send(Err(Fault::with(FaultCode::BadName, name))),
        };
        self.forget_leaving(&mut actual, &groups, &wish);
        let plans = config::plan(&actual, &groups);
        if wish.rehearsal {
            let report = self.report(&plans, &groups, &wish);
            return reply.send(Ok(report.value(&[])));
        }
        settle(&actual, &plans, &mut groups);
        self.make_pending(config);
        let daemon = self.config.daemon.clone();
        let done = self.done_sender.clone();
        // A test would take the place of a socket that an active group makes meanwhile.
        let mut open = self.sockets.urls();
        open.extend(actual.iter().flat_map(sockets_of).map(|socket| socket.url.clone()));
        side::run(move || {
            let mut tested = groups.iter().filter(|group| gets_sockets(&plans, &group.name));
            if let Err(failed) = tested.try_for_each(|group| test_sockets(group, &open)) {
                return reply.send(Err(Fault::with(FaultCode::Failed, failed)));
            }
            let problems = groups.iter_mut().flat_map(|group| make_auto_logs(group, &daemon)).collect();
            let prospect = Box::new(Prospect { plans, groups, wish });
            // The receiver is gone only when the worker ends.
            let _ = done.send(Done::UpdateReady { prospect, problems, reply });
        });
    }

    /// The groups with all their processes, also those that an update could not remove.
    pub(super) fn actual_groups(&self) -> Vec<GroupConfig> {
        let actual = self.active.values().map(|group| {
            let mut group = group.clone();
            for process in self.engine.group_members(&group.name).unwrap_or_default() {
                let known = self.leaving.get(process);
                group
                    .processes
                    .extend(known.filter(|left| !has(&group, &left.name)).cloned().into_iter().collect::<Vec<_>>());
            }
            group
        });
        actual.collect()
    }

    /// Takes out what an earlier update still removes and this one wants: it is added again.
    fn forget_leaving(&self, actual: &mut Vec<GroupConfig>, groups: &[GroupConfig], wish: &Wish) {
        let wanted = |name: &str| groups.iter().find(|group| group.name == name).filter(|_| wish.concerns(name));
        for group in actual.iter_mut() {
            let Some(new) = wanted(&group.name) else { continue };
            let leaves = |name: &str| self.engine.find(&group.name, name).is_some_and(|id| self.engine.is_leaving(id));
            group.processes.retain(|process| !(has(new, &process.name) && leaves(&process.name)));
        }
        actual.retain(|group| !group.processes.is_empty() || wanted(&group.name).is_none());
    }

    /// Puts the new configuration in force: live values at once, stops and restarts by the engine.
    pub(super) fn begin_update(&mut self, prospect: Prospect, reply: Reply) {
        let Prospect { plans, groups, wish } = prospect;
        if self.engine.mood() != Mood::Running {
            return reply.send(Err(Fault::new(FaultCode::ShutdownState)));
        }
        let report = self.report(&plans, &groups, &wish);
        let mut changes = Vec::new();
        let mut growing = Vec::new();
        for group in &report.groups {
            let new = groups.iter().find(|new| new.name == group.group);
            match (group.fate, new) {
                (GroupFate::Removed, _) | (_, None) => changes.push(GroupChange::Leave(group.group.clone())),
                (GroupFate::Added, Some(new)) => growing.push(Growth { group: new.clone(), start: Vec::new() }),
                (GroupFate::Replaced, Some(new)) => {
                    let starts =
                        |process: &&ProcessReport| matches!(process.outlook, Outlook::Restart | Outlook::Start);
                    let restarts = group.processes.iter().filter(starts);
                    let start = restarts.map(|process| process.name.clone()).collect();
                    growing.push(Growth { group: new.clone(), start });
                    changes.push(GroupChange::Leave(group.group.clone()));
                }
                (GroupFate::Changed, Some(new)) => changes.push(self.reshape(group, new, &wish, &mut growing)),
                (GroupFate::Waits, Some(_)) => {}
            }
        }
        for group in &report.groups {
            log(Level::Info, &format!("update: {}", summary(group)));
        }
        self.await_growth(growing, &wish);
        self.restructured = true;
        let relogged = live(&report, |key| key.starts_with("stdout_") || key.starts_with("stderr_"));
        let limited = live(&report, |key| Limits::KEYS.contains(&key));
        let waiting = Waiting { reply, shape: Shape::Update(Box::new(report)) };
        self.request_for(Request::Update { changes, wait: wish.wait }, waiting);
        for (group, name) in relogged {
            self.redirect_logs(&group, &name);
        }
        let limited = limited.iter().filter_map(|(group, name)| self.engine.find(group, name));
        self.confine_anew(limited.filter(|process| !self.leaving.contains_key(process)));
        self.announce_update();
    }

    /// What an update adds, beside what an earlier one still has to add to groups that this one is not about.
    fn await_growth(&mut self, mut growing: Vec<Growth>, wish: &Wish) {
        for former in std::mem::take(&mut self.growing) {
            match growing.iter_mut().find(|growth| growth.group.name == former.group.name) {
                Some(growth) => growth.start.extend(former.start),
                None if wish.concerns(&former.group.name) => {}
                None => growing.push(former),
            }
        }
        self.growing = growing;
    }

    /// The part of a group's change that need not wait, for the engine.
    fn reshape(
        &mut self,
        report: &GroupReport,
        new: &GroupConfig,
        wish: &Wish,
        growing: &mut Vec<Growth>,
    ) -> GroupChange {
        let name = &report.group;
        let (mut renewed, mut restarted) = (Vec::new(), Vec::new());
        for process in &report.processes {
            let spawn = process.keys.iter().any(|key| key.consequence != config::Consequence::Live);
            if spawn {
                renewed.push(process.name.clone());
            }
            if is_forced(wish, name, &process.name) {
                restarted.push(process.name.clone());
            }
            // Until it has stopped, its child is what it was made from.
            let stops = matches!(process.outlook, Outlook::Restart | Outlook::Remove) || spawn;
            if let Some(id) = self.engine.find(name, &process.name)
                && stops
                && self.engine.process(id).is_some_and(|view| !view.state.is_stopped())
                && let Some(config) = self.process_config(id).cloned()
            {
                self.leaving.insert(id, config);
            }
        }
        let mut present = new.clone();
        present.processes.retain(|process| self.engine.find(name, &process.name).is_some());
        if present.processes.len() < new.processes.len() {
            growing.push(Growth { group: new.clone(), start: Vec::new() });
        }
        let spec = present.spec();
        self.active.insert(name.clone(), present);
        GroupChange::Reshape { spec, renewed, restarted }
    }

    /// Adds what an update adds, once everything that it removes is gone.
    pub(super) fn grow(&mut self) {
        if self.growing.is_empty() || self.engine.mood() != Mood::Running || self.engine.is_shrinking() {
            return;
        }
        for Growth { group, start } in std::mem::take(&mut self.growing) {
            let name = group.name.clone();
            let spec = group.spec();
            let exists = self.engine.group(&name).is_some();
            self.active.insert(name.clone(), group);
            self.restructured = true;
            if exists {
                let change = GroupChange::Reshape { spec, renewed: Vec::new(), restarted: Vec::new() };
                self.request_of_ours(Request::Update { changes: vec![change], wait: false });
            } else {
                self.request_of_ours(Request::AddGroup(spec));
            }
            for member in start {
                let Some(process) = self.engine.find(&name, &member) else { continue };
                let target = Target::One(process);
                self.request_of_ours(Request::Start { target, wait: false, checked: Vec::new() });
            }
        }
    }

    /// A request that no client waits for.
    pub(super) fn request_of_ours(&mut self, request: Request) -> RequestId {
        self.next_request += 1;
        let id = self.next_request;
        self.feed(Input::Request { id, request });
        id
    }

    /// What these plans come to, as things stand.
    fn report(&self, plans: &[GroupPlan], groups: &[GroupConfig], wish: &Wish) -> UpdateReport {
        let mut report = UpdateReport::default();
        for plan in plans {
            let new = groups.iter().find(|group| group.name == plan.group);
            let processes = plan.processes.iter().map(|(name, fate)| {
                let autostart = new.and_then(|group| of(group, name)).is_some_and(|process| process.autostart);
                let outlook = self.outlook(plan, name, fate, autostart, is_forced(wish, &plan.group, name));
                let keys = if let ProcessFate::Changed(keys) = fate { keys.clone() } else { Vec::new() };
                ProcessReport { name: name.clone(), outlook, keys }
            });
            let mut processes: Vec<ProcessReport> = processes.collect();
            if plan.fate == GroupFate::Replaced {
                let others = new.into_iter().flat_map(|group| &group.processes);
                for process in others {
                    if processes.iter().any(|known| known.name == process.name) {
                        continue;
                    }
                    let forced = is_forced(wish, &plan.group, &process.name);
                    let fate = ProcessFate::Changed(Vec::new());
                    let outlook = self.outlook(plan, &process.name, &fate, process.autostart, forced);
                    processes.push(ProcessReport { name: process.name.clone(), outlook, keys: Vec::new() });
                }
            }
            report.groups.push(GroupReport {
                group: plan.group.clone(),
                fate: plan.fate,
                keys: plan.keys.clone(),
                processes,
            });
        }
        if wish.restart {
            self.add_forced(&mut report, groups, wish);
        }
        report
    }

    /// Processes that are started anew though nothing of theirs changed.
    fn add_forced(&self, report: &mut UpdateReport, groups: &[GroupConfig], wish: &Wish) {
        for group in groups {
            for process in group.processes.iter().filter(|process| is_forced(wish, &group.name, &process.name)) {
                let Some(id) = self.engine.find(&group.name, &process.name) else { continue };
                let at = report.groups.iter().position(|known| known.group == group.name).unwrap_or_else(|| {
                    let (group, keys, processes) = (group.name.clone(), Vec::new(), Vec::new());
                    report.groups.push(GroupReport { group, fate: GroupFate::Changed, keys, processes });
                    report.groups.len() - 1
                });
                let Some(known) = report.groups.get_mut(at) else { continue };
                if known.fate == GroupFate::Waits {
                    known.fate = GroupFate::Changed;
                }
                if known.processes.iter().any(|known| known.name == process.name) {
                    continue;
                }
                let running = self.engine.process(id).is_some_and(|view| !view.state.is_stopped());
                let outlook = if running { Outlook::Restart } else { Outlook::Start };
                known.processes.push(ProcessReport { name: process.name.clone(), outlook, keys: Vec::new() });
            }
        }
    }

    fn outlook(&self, plan: &GroupPlan, name: &str, fate: &ProcessFate, autostart: bool, forced: bool) -> Outlook {
        let Some(view) = self.engine.find(&plan.group, name).and_then(|process| self.engine.process(process)) else {
            return if *fate == ProcessFate::Removed { Outlook::Remove } else { Outlook::Add };
        };
        let spawn = fate.needs_spawn();
        let running = !view.state.is_stopped();
        match (fate, plan.fate) {
            (ProcessFate::Removed, _) => Outlook::Remove,
            (ProcessFate::Added, _) => Outlook::Add,
            (_, GroupFate::Replaced) if view.state.is_running() => Outlook::Restart,
            (_, GroupFate::Replaced) => {
                if autostart || forced {
                    Outlook::Start
                } else {
                    Outlook::NextStart
                }
            }
            _ => match (self.engine.update_starts(view.process, spawn, forced, autostart), running) {
                (true, true) => Outlook::Restart,
                (true, false) => Outlook::Start,
                (false, _) if spawn => Outlook::NextStart,
                (false, _) => Outlook::Live,
            },
        }
    }

    /// The output of a process that goes on goes where its new configuration says.
    fn redirect_logs(&mut self, group: &str, name: &str) {
        let Some(process) = self.engine.find(group, name).filter(|process| !self.leaving.contains_key(process)) else {
            return;
        };
        let Some((child, _)) = self.children.of_process(process) else { return };
        for channel in [Channel::Stdout, Channel::Stderr] {
            let mut sink = self.sink(process, channel);
            // The events room logs what listeners say.
            sink.copy &= channel == Channel::Stderr || !self.is_listener(process);
            self.plane.send(Command::Redirect { source: SourceId { child, channel }, sink });
        }
    }
}

/// The configuration for a rehearsal: nothing is logged.
fn unheard(loaded: Result<Box<Loaded>, NotFound>) -> Result<config::Config, Fault> {
    let loaded = loaded.map_err(|error| Fault::with(FaultCode::CantReread, error.to_string()))?;
    let text = report::plain(&loaded);
    loaded.config.ok_or_else(|| Fault::with(FaultCode::CantReread, text.trim_end()))
}

/// Whether processes are made in this group, whose sockets are tested before anything is stopped.
fn gets_sockets(plans: &[GroupPlan], group: &str) -> bool {
    let is_made = |plan: &GroupPlan| match plan.fate {
        GroupFate::Added | GroupFate::Replaced => true,
        GroupFate::Changed => plan.processes.iter().any(|(_, fate)| *fate == ProcessFate::Added),
        GroupFate::Removed | GroupFate::Waits => false,
    };
    plans.iter().any(|plan| plan.group == group && is_made(plan))
}

fn has(group: &GroupConfig, name: &str) -> bool {
    of(group, name).is_some()
}

fn of<'a>(group: &'a GroupConfig, name: &str) -> Option<&'a ProcessConfig> {
    group.processes.iter().rfind(|process| process.name == name)
}

fn is_forced(wish: &Wish, group: &str, name: &str) -> bool {
    wish.restart && (wish.names.iter().any(|one| one == group) || wish.names.contains(&format!("{group}:{name}")))
}

/// The groups as they are to be when only what is named follows the new configuration. A name that is none is the error.
fn selected(actual: &[GroupConfig], new: &[GroupConfig], names: &[String]) -> Result<Vec<GroupConfig>, String> {
    if names.is_empty() {
        return Ok(new.to_vec());
    }
    let group = |groups: &'_ [GroupConfig], name: &str| groups.iter().find(|group| group.name == name).cloned();
    let (mut whole, mut single): (Vec<&str>, Vec<(&str, &str)>) = (Vec::new(), Vec::new());
    for name in names {
        let (of_group, process) = name.split_once(':').unwrap_or((name, "*"));
        let known = [group(actual, of_group), group(new, of_group)];
        match process {
            "" | "*" if known.iter().any(Option::is_some) => whole.push(of_group),
            _ if known.iter().flatten().any(|group| has(group, process)) => single.push((of_group, process)),
            _ => return Err(name.clone()),
        }
    }
    let mut order: Vec<&GroupConfig> = new.iter().collect();
    order.extend(actual.iter().filter(|old| !new.iter().any(|one| one.name == old.name)));
    let wanted = order.into_iter().filter_map(|one| {
        let (old, new) = (group(actual, &one.name), group(new, &one.name));
        let is_named = |name: &str| single.contains(&(one.name.as_str(), name));
        if whole.contains(&one.name.as_str()) {
            return new;
        }
        if !single.iter().any(|(name, _)| *name == one.name) {
            return old;
        }
        mixed(old, new, is_named).filter(|group| !group.processes.is_empty())
    });
    Ok(wanted.collect())
}

/// The old group, with those processes of the new one that are named.
fn mixed(old: Option<GroupConfig>, new: Option<GroupConfig>, is_named: impl Fn(&str) -> bool) -> Option<GroupConfig> {
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        // One that comes or goes: only what is named of it.
        (None, Some(mut new)) => {
            new.processes.retain(|process| is_named(&process.name));
            return Some(new);
        }
        (Some(mut old), None) => {
            old.processes.retain(|process| !is_named(&process.name));
            return Some(old);
        }
        (None, None) => return None,
    };
    let mut processes: Vec<ProcessConfig> = Vec::new();
    for process in &new.processes {
        let chosen = if is_named(&process.name) { Some(process) } else { of(&old, &process.name) };
        processes.extend(chosen.cloned());
    }
    let gone = old.processes.iter().filter(|process| !has(&new, &process.name) && !is_named(&process.name));
    processes.extend(gone.cloned());
    Some(GroupConfig { processes, ..old.clone() })
}

/// Keeps what an update does not change: the files that `AUTO` stood for (those that are still to be made stay `AUTO`), and of a
/// pool's open socket all but its address.
fn settle(actual: &[GroupConfig], plans: &[GroupPlan], groups: &mut [GroupConfig]) {
    for group in groups {
        let Some(old) = actual.iter().find(|old| old.name == group.name) else { continue };
        let plan = plans.iter().find(|plan| plan.group == group.name);
        let replaced = plan.is_some_and(|plan| plan.fate == GroupFate::Replaced);
        if !replaced && matches!(old.kind, GroupKind::FastCgi { .. }) {
            // What else changed of its socket waits.
            group.kind = old.kind.clone();
        }
        for process in &mut group.processes {
            let Some(known) = of(old, &process.name).filter(|_| !replaced) else { continue };
            *process = config::settled(known, process);
            let fate = plan.and_then(|plan| plan.processes.iter().find(|(name, _)| *name == process.name));
            if fate.is_some_and(|(_, fate)| fate.needs_spawn()) {
                continue;
            }
            for log in [&mut process.stdout, &mut process.stderr] {
                if log.file == LogFile::Auto {
                    log.file = LogFile::None;
                }
            }
        }
    }
}

/// Processes whose children go on with other values of keys that are meant.
fn live(report: &UpdateReport, is_meant: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for group in &report.groups {
        for process in group.processes.iter().filter(|process| process.outlook == Outlook::Live) {
            if process.keys.iter().any(|key| is_meant(&key.key)) {
                found.push((group.group.clone(), process.name.clone()));
            }
        }
    }
    found
}

/// One line for the activity log.
fn summary(group: &GroupReport) -> String {
    let (what, processes) = match group.fate {
        GroupFate::Added => ("added", Vec::new()),
        GroupFate::Removed => ("removed", Vec::new()),
        GroupFate::Replaced => ("made anew", Vec::new()),
        GroupFate::Changed => ("changed", group.processes.iter().collect()),
        GroupFate::Waits => ("unchanged", Vec::new()),
    };
    let mut text = format!("group '{}' is {what}", group.group);
    for (index, process) in processes.into_iter().enumerate() {
        let keys: Vec<&str> = process.keys.iter().map(|key| key.key.as_str()).collect();
        let lead = if index == 0 { ":" } else { "," };
        let why = if keys.is_empty() { String::new() } else { format!(" ({})", keys.join(" ")) };
        let name = namespec(&group.group, &process.name);
        for part in [lead, " ", &name, " ", process.outlook.word(), &why] {
            text.push_str(part);
        }
    }
    let waiting = group.keys.iter().filter(|key| key.consequence == config::Consequence::Reload);
    for key in waiting {
        for part in ["; ", &key.key, " waits for reload"] {
            text.push_str(part);
        }
    }
    text
}

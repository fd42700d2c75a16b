//! What processes use, and how the workers of web servers do: the answer of `galaxyd.getUsage`. Looked up by a side thread
//! when somebody asks.

use std::collections::BTreeMap;
use std::time::Duration;

use super::reply::Reply;
use super::worker::Worker;
use crate::config::{Door, HostSource, ProcessConfig, ReadyCheck};
use crate::engine::Pid;
use crate::galaxy::{self, WebServer};
use crate::probe::{self, UwsgiWorker};
use crate::rpc::{Fault, FaultCode, Value};
use crate::sys::clock;
use crate::sys::side;
use crate::sys::usage::{self, Usage};

/// A look that takes longer is given up; its thread keeps the next one waiting until it comes back.
const LOOK_MAX: Duration = Duration::from_secs(3);

/// So long the kernel may add up shared memory, which takes it milliseconds for a large process; of those that are left
/// the resident memory is told.
const SHARES_MAX: Duration = Duration::from_millis(500);

/// What is shown once and asked again soon need not be waited for as long as readiness.
const GLANCE_MAX: Duration = Duration::from_secs(1);

/// A process that somebody asks about.
struct Subject {
    group: String,
    name: String,
    /// `None`: it does not run.
    pid: Option<Pid>,
    /// Starts after the first.
    restarts: u32,
    config: ProcessConfig,
}

/// What /proc says of a subject.
struct Found {
    subject: Subject,
    server: Option<WebServer>,
    tree: Vec<Usage>,
    memory: u64,
    /// `pss` or `rss`.
    kind: &'static str,
}

impl Worker {
    /// Names as for `galaxyd.update`.
    pub(super) fn usage(&self, names: &[String], reply: Reply) {
        let processes = match self.named(names) {
            Ok(processes) => processes,
            Err(fault) => return reply.send(Err(fault)),
        };
        let subjects = processes.into_iter().filter_map(|process| {
            let view = self.engine.process(process)?;
            let config = self.process_config(process)?.clone();
            let (group, name) = (view.group.to_owned(), view.name.to_owned());
            Some(Subject { group, name, pid: view.pid, restarts: view.attempt.saturating_sub(1), config })
        });
        let subjects: Vec<Subject> = subjects.collect();
        let source = self.call.source.clone();
        let turn = self.usage_turn.clone();
        tokio::spawn(async move {
            let looking = async {
                let guard = turn.lock_owned().await;
                let looking = side::run(move || {
                    let _guard = guard;
                    look(subjects, &source)
                });
                match looking.await {
                    Ok(Ok(found)) => Ok(answer(found).await),
                    Ok(Err(error)) => Err(Fault::with(FaultCode::Failed, format!("/proc cannot be read: {error}"))),
                    Err(_) => Err(Fault::new(FaultCode::Failed)),
                }
            };
            let late = || Fault::with(FaultCode::Failed, "looking at the processes takes too long");
            reply.send(tokio::time::timeout(LOOK_MAX, looking).await.unwrap_or_else(|_| Err(late())));
        });
    }
}

fn look(subjects: Vec<Subject>, source: &HostSource) -> std::io::Result<Vec<Found>> {
    let table = Table::new(usage::all()?);
    let patience = clock::monotonic() + SHARES_MAX;
    let found = subjects.into_iter().map(|subject| {
        let tree = subject.pid.map(|pid| table.tree(pid)).unwrap_or_default();
        let shares = || tree.iter().map(|one| usage::proportional(one.entry.identity.pid)).sum::<Option<u64>>();
        let proportional = if clock::monotonic() < patience { shares() } else { None };
        let (memory, kind) = match proportional {
            Some(memory) => (memory, "pss"),
            None => (tree.iter().map(|one| one.resident).sum(), "rss"),
        };
        let server = subject.pid.and_then(|_| galaxy::web_server(&subject.config, source));
        Found { subject, server, tree, memory, kind }
    });
    Ok(found.collect())
}

/// All processes by their parents.
struct Table {
    all: Vec<Usage>,
    children: BTreeMap<Pid, Vec<usize>>,
}

impl Table {
    fn new(all: Vec<Usage>) -> Table {
        let mut children: BTreeMap<Pid, Vec<usize>> = BTreeMap::new();
        for (at, one) in all.iter().enumerate() {
            children.entry(one.entry.parent).or_default().push(at);
        }
        Table { all, children }
    }

    /// A process, then its descendants. Each once, whatever /proc says of parents while they change.
    fn tree(&self, root: Pid) -> Vec<Usage> {
        let mut tree: Vec<Usage> = self.all.iter().filter(|one| one.entry.identity.pid == root).cloned().collect();
        let mut at = 0;
        while let Some(pid) = tree.get(at).map(|one| one.entry.identity.pid) {
            for child in self.children.get(&pid).into_iter().flatten().filter_map(|at| self.all.get(*at)) {
                if !tree.iter().any(|known| known.entry.identity == child.entry.identity) {
                    tree.push(child.clone());
                }
            }
            at += 1;
        }
        tree
    }
}

async fn answer(found: Vec<Found>) -> Value {
    let time = clock::monotonic();
    let mut asked = tokio::task::JoinSet::new();
    for (at, one) in found.iter().enumerate() {
        if let Some(stats) = stats(one) {
            asked.spawn(async move { (at, probe::uwsgi_stats(&stats, GLANCE_MAX).await.map(|stats| stats.workers)) });
        }
    }
    let mut told = BTreeMap::new();
    while let Some(answered) = asked.join_next().await {
        told.extend(answered.ok());
    }
    let processes = found.iter().enumerate().map(|(at, one)| value(one, told.get(&at)));
    Value::object([("time_ms", millis(time)), ("processes", Value::Array(processes.collect()))])
}

/// Where a uWSGI is asked: what `ready` says is what the administrator says.
fn stats(found: &Found) -> Option<Door> {
    let ready = found.subject.config.extras.ready.as_ref().map(|ready| &ready.check);
    match (&found.server, ready) {
        (Some(WebServer::Uwsgi { .. }), Some(ReadyCheck::UwsgiStats(door))) => Some(door.clone()),
        (Some(WebServer::Uwsgi { stats }), _) => stats.clone(),
        _ => None,
    }
}

fn value(found: &Found, told: Option<&Result<Vec<UwsgiWorker>, String>>) -> Value {
    let Found { subject, server, tree, memory, kind } = found;
    let main = tree.first().map(|one| one.entry.identity.pid);
    let (workers, trouble) = match (server, told) {
        (Some(_), Some(Ok(workers))) => (workers.iter().map(|one| uwsgi_worker(one, tree)).collect(), ""),
        (Some(_), told) => {
            let children = tree.iter().filter(|one| Some(one.entry.parent) == main);
            let trouble = told.and_then(|told| told.as_ref().err());
            (children.map(child).collect(), trouble.map_or("", String::as_str))
        }
        (None, _) => (Vec::new(), ""),
    };
    Value::object([
        ("name", subject.name.as_str().into()),
        ("group", subject.group.as_str().into()),
        ("pid", subject.pid.map_or(0, i64::from).into()),
        ("restarts", i64::from(subject.restarts).into()),
        ("cpu_ms", millis(tree.iter().map(|one| one.cpu).sum())),
        ("memory_kb", kilobytes(*memory)),
        ("memory_kind", (*kind).into()),
        ("processes", i64::try_from(tree.len()).unwrap_or(i64::MAX).into()),
        ("server", server.as_ref().map_or("", WebServer::name).into()),
        ("workers", Value::Array(workers)),
        ("trouble", trouble.into()),
    ])
}

fn uwsgi_worker(worker: &UwsgiWorker, tree: &[Usage]) -> Value {
    let own = tree.iter().find(|one| i64::from(one.entry.identity.pid) == worker.pid);
    Value::object([
        ("id", worker.id.into()),
        ("pid", worker.pid.into()),
        ("cpu_ms", millis(own.map_or(Duration::ZERO, |own| own.cpu))),
        ("memory_kb", kilobytes(own.map_or(0, |own| own.resident))),
        ("state", worker.status.as_str().into()),
        ("requests", worker.requests.into()),
        ("exceptions", worker.exceptions.into()),
        ("in_request", worker.in_request.into()),
        ("running_ms", (worker.running_time / 1000).into()),
        ("average_us", worker.average.into()),
    ])
}

/// A worker of which only the kernel tells.
fn child(usage: &Usage) -> Value {
    Value::object([
        ("pid", i64::from(usage.entry.identity.pid).into()),
        ("cpu_ms", millis(usage.cpu)),
        ("memory_kb", kilobytes(usage.resident)),
    ])
}

fn millis(time: Duration) -> Value {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).into()
}

fn kilobytes(bytes: u64) -> Value {
    i64::try_from(bytes / 1024).unwrap_or(i64::MAX).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::proc_table::{Entry, Identity, Standing};

    fn usage(pid: Pid, parent: Pid) -> Usage {
        let identity = Identity { pid, start: 1 };
        let entry = Entry { identity, parent, group: pid, standing: Standing::Goes, name: "x".to_owned() };
        Usage { entry, cpu: Duration::from_secs(1), resident: 4096 }
    }

    #[test]
    fn a_tree_is_a_process_and_its_descendants() {
        // The last two are each other's parents, as a torn walk may say.
        let table = Table::new(vec![
            usage(1, 0),
            usage(7, 1),
            usage(9, 8),
            usage(8, 7),
            usage(10, 1),
            usage(20, 21),
            usage(21, 20),
        ]);
        let pids = |root| table.tree(root).iter().map(|one| one.entry.identity.pid).collect::<Vec<_>>();
        assert_eq!(pids(7), [7, 8, 9]);
        assert_eq!(pids(20), [20, 21]);
        assert_eq!(pids(99), [0; 0]);
    }
}

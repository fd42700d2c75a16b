//! Which children run what a restart would not give: the answer of `galaxyd.getStaleness`. Computed when it is asked for,
//! on a side thread; nothing follows from it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use super::origin::{Marks, OriginRecord, PlanSums};
use super::reply::Reply;
use super::spawning::{self, Heritage, Wanted};
use super::worker::Worker;
use crate::config::{self, Consequence, GroupFate, HostSource, KeyChange, ProcessConfig, ProcessFate};
use crate::engine::namespec;
use crate::rpc::{Fault, FaultCode, Value};
use crate::sys::side;

/// A look that takes longer is given up; its thread keeps the next one waiting until it comes back.
const LOOK_MAX: Duration = Duration::from_secs(3);

const LOOK_TOO_LONG: &str = "looking at the files that processes were started from takes too long (hung file system?)";

/// A child that is looked at.
struct Subject {
    group: String,
    config: ProcessConfig,
    origin: OriginRecord,
}

impl Worker {
    /// Names as for `galaxyd.update`.
    pub(super) fn staleness(&self, names: &[String], reply: Reply) {
        let processes = match self.named(names) {
            Ok(processes) => processes,
            Err(fault) => return reply.send(Err(fault)),
        };
        let subjects = processes.into_iter().filter_map(|process| {
            let view = self.engine.process(process).filter(|view| view.state.is_running())?;
            let origin = self.origins.of(process, view.attempt)?.clone();
            Some(Subject { group: view.group.to_owned(), config: self.process_config(process)?.clone(), origin })
        });
        let subjects: Vec<Subject> = subjects.collect();
        let actual = self.actual_groups();
        let (call, heritage) = (self.call.clone(), self.heritage.clone());
        let look = self.origins.look.clone();
        tokio::spawn(async move {
            let looking = async {
                let guard = look.lock_owned().await;
                let looking = side::run(move || {
                    let _guard = guard;
                    // A configuration that is refused would change nothing.
                    let new = call.load().ok().and_then(|loaded| loaded.config).map(|config| config.groups);
                    let plans = new.map(|new| config::plan(&actual, &new)).unwrap_or_default();
                    value(&subjects, &plans, &heritage, &call.source)
                });
                looking.await
            };
            reply.send(match tokio::time::timeout(LOOK_MAX, looking).await {
                Ok(Ok(stale)) => Ok(stale),
                Ok(Err(_)) => Err(Fault::new(FaultCode::Failed)),
                Err(_) => Err(Fault::with(FaultCode::Failed, LOOK_TOO_LONG)),
            });
        });
    }
}

/// Those that are stale.
fn value(subjects: &[Subject], plans: &[config::GroupPlan], heritage: &Heritage, source: &HostSource) -> Value {
    let mut marks = Marks::default();
    let stale = subjects.iter().filter_map(|subject| {
        let Subject { group, config, origin } = subject;
        let keys = changed_keys(plans, group, &config.name);
        let mut reasons = Vec::new();
        let name = namespec(group, &config.name);
        let mut next = format!("galaxyctl restart {name}");
        if !keys.is_empty() {
            reasons.push(("configuration", format!("the configuration file has another {}", keys.join(", "))));
            next = format!("galaxyctl update {name}");
        }
        // What cannot be started now is not what a restart would give.
        if let Ok(plan) = spawning::prepare(group, config, heritage) {
            let run = Wanted { process: origin.process, attempt: origin.attempt };
            let program = Path::new(OsStr::from_bytes(plan.path.to_bytes()));
            let now = OriginRecord::take(run, (PlanSums::of(&plan), program), config, source, &mut marks);
            reasons.extend(origin.differences(&now, program));
        }
        let told =
            |(kind, text): &(&str, String)| Value::object([("kind", (*kind).into()), ("detail", text.as_str().into())]);
        (!reasons.is_empty()).then(|| {
            Value::object([
                ("name", config.name.as_str().into()),
                ("group", group.as_str().into()),
                ("reasons", Value::Array(reasons.iter().map(told).collect())),
                ("next", next.into()),
            ])
        })
    });
    Value::Array(stale.collect())
}

/// The keys for which an update would start this process anew.
fn changed_keys(plans: &[config::GroupPlan], group: &str, name: &str) -> Vec<String> {
    let Some(plan) = plans.iter().find(|plan| plan.group == group) else { return Vec::new() };
    let costly = |keys: &[KeyChange]| {
        let costly = keys.iter().filter(|key| key.consequence != Consequence::Live);
        costly.map(|key| format!("`{}`", key.key)).collect::<Vec<_>>()
    };
    let mut keys = if plan.fate == GroupFate::Replaced { costly(&plan.keys) } else { Vec::new() };
    for (of, fate) in &plan.processes {
        if of == name
            && let ProcessFate::Changed(changed) = fate
        {
            keys.extend(costly(changed));
        }
    }
    keys
}

//! The calls of the `galaxyd` namespace that the control loop answers. `system.listMethods` does not list them, so that the
//! list is Supervisor's.

use super::arguments::Arguments;
use super::fault::{Fault, FaultCode};
use super::value::Value;
use crate::engine::Condition;

/// One understood call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnMethod {
    /// What `Update` would do now. Changes nothing, not even what `reread` found.
    PlanUpdate {
        /// Groups (`galaxy`) and processes (`galaxy:web`); empty: all.
        names: Vec<String>,
        restart: bool,
    },
    /// Reads the configuration and applies it process by process.
    Update {
        names: Vec<String>,
        /// Start the named processes anew though nothing of theirs changed.
        restart: bool,
        /// Answer when what was started anew is RUNNING, not when it has stopped.
        wait: bool,
    },
    /// Stops processes by descending priority, each priority when the one before has stopped.
    StopOrdered { names: Vec<String> },
    /// Replaces the daemon's program in place, when it has shown that it can go on: a struct of `former` and `next` (versions),
    /// `path`, `number`.
    Upgrade {
        /// Absolute; empty: where the present program lies.
        path: String,
    },
    /// The last upgrade: the same struct with `undone`; empty if there was none. While one is under way the answer is the
    /// end of the connection, and the next worker knows.
    GetUpgrade,
    /// Starts those of the processes that are FATAL. Names as of `Update`; empty: all.
    Retry {
        names: Vec<String>,
        /// Answer when they are RUNNING or have failed again, not when they are forked.
        wait: bool,
    },
    /// Starts another child of a running process, which takes its place when it is ready, and stops the former one: true when that
    /// has ended. A successor that ends or is late is ended, and the process stays: FAILED, with the reason.
    Succeed { name: String },
    /// Answers for each of the processes when it is what `condition` says, or cannot become so by itself: a result as of
    /// `startAllProcesses`. Names as of `Update`; empty: all.
    WaitFor {
        names: Vec<String>,
        condition: Condition,
        /// Seconds; zero: for as long as it takes.
        timeout: u32,
    },
    /// How ready the processes are, those only that are asked: structs of `name`, `group`, `readiness` (`waiting`, `late`,
    /// `settling`, `ready`, or `none` without a child), `detail`. Names as of `Update`; empty: all.
    GetReadiness { names: Vec<String> },
    /// Replaces processes, each by its program's strategy, and answers at once with the operation: a struct of `id`, `kind`,
    /// `asker`, `began` (seconds since 1970), `seconds`, `state` (`active`, `cancelling`, `done`, `failed`, `cancelled`),
    /// `verdict`, `requests`, `failed_requests`, and `steps`: structs of `name`, `program`, `strategy`, `reason`,
    /// `phase`, `note`, `seconds`. Names as of `Update`; empty: all.
    Roll {
        names: Vec<String>,
        /// A restart, one after the other, whatever the strategy is.
        rolling: bool,
        /// Zero: as configured.
        max_unavailable: u32,
        /// Those too that do not run.
        start_stopped: bool,
    },
    /// The operations under way and the last ones that are over, the oldest first: structs as of `Roll`.
    GetOperations,
    /// One of them.
    GetOperation {
        /// Zero: the latest.
        id: u64,
    },
    /// Begins with no further process; answers with the operation.
    CancelOperation {
        /// Zero: the only one under way.
        id: u64,
    },
    /// Which of the running processes were made from something else than a restart would give: structs of `name`, `group`,
    /// `reasons` (structs of `kind` and `detail`), `next`. Names as of `Update`; empty: all.
    GetStaleness { names: Vec<String> },
    /// What the processes use: a struct of `time_ms` and `processes`, each with `name`, `group`, `pid` (0: does not run),
    /// `restarts`, `cpu_ms`, `memory_kb`, `memory_kind` (`pss`, `rss`), `processes`, `server` (`uwsgi`, `gunicorn` or empty),
    /// `workers`, `trouble`. Names as of `Update`; empty: all.
    GetUsage { names: Vec<String> },
    /// Why a process is in its state, what it said last, and which processes it left behind: a struct of `name`,
    /// `group`, `statename`, `reason`, `readiness` (empty if it is not asked), `hindrances`, `last_words`, `left_behind`, `awaits`, `until` (seconds since 1970, 0 for
    /// nobody knows), `next`.
    ExplainProcess { name: String },
    /// The same for all, sorted by group and name.
    ExplainAllProcesses,
    /// What waits for the listeners of each pool, and what was dropped: structs of `name`, `buffer_size`, `waiting`,
    /// `dropped`, `processed`, `requeued`, `renewed`.
    GetListenerPools,
    /// What an administrator should know of the daemon itself, in words.
    GetNotices,
    /// What happened: structs of `first`, `last` (seconds since 1970), `count`, `subject`, `kind`, `text`, the oldest
    /// first.
    GetHistory {
        /// Processes, groups and patterns; empty: everything.
        names: Vec<String>,
        /// Seconds since 1970.
        since: i64,
        /// So many of the newest.
        limit: i64,
    },
    /// How a process would be started now: a struct of `file`, `argv`, `directory`, `umask`, `uid`, `gid`, `groups`,
    /// `environment`, `limits`.
    GetProcessPlan {
        name: String,
        /// Hide values that look like secrets.
        redacted: bool,
    },
}

impl OwnMethod {
    /// Understands a call; `None`: no method of ours.
    pub(super) fn from_call(name: &str, params: &[Value]) -> Option<Result<OwnMethod, Fault>> {
        let mut args = Arguments::new(params);
        let (most, built) = match name {
            "galaxyd.planUpdate" => (2, plan_update(&mut args)),
            "galaxyd.update" => (3, update(&mut args)),
            "galaxyd.stopOrdered" => (1, args.texts("names").map(|names| OwnMethod::StopOrdered { names })),
            "galaxyd.upgrade" => (1, args.text("path").map(|path| OwnMethod::Upgrade { path })),
            "galaxyd.getUpgrade" => (0, Ok(OwnMethod::GetUpgrade)),
            "galaxyd.retry" => (2, retry(&mut args)),
            "galaxyd.succeed" => (1, args.text("name").map(|name| OwnMethod::Succeed { name })),
            "galaxyd.waitFor" => (3, wait_for(&mut args)),
            "galaxyd.getReadiness" => (1, args.texts("names").map(|names| OwnMethod::GetReadiness { names })),
            "galaxyd.roll" => (4, roll(&mut args)),
            "galaxyd.getOperations" => (0, Ok(OwnMethod::GetOperations)),
            "galaxyd.getOperation" => (1, number(&mut args, "id").map(|id| OwnMethod::GetOperation { id })),
            "galaxyd.cancelOperation" => (1, number(&mut args, "id").map(|id| OwnMethod::CancelOperation { id })),
            "galaxyd.getStaleness" => (1, args.texts("names").map(|names| OwnMethod::GetStaleness { names })),
            "galaxyd.getUsage" => (1, args.texts("names").map(|names| OwnMethod::GetUsage { names })),
            "galaxyd.explainProcess" => (1, args.text("name").map(|name| OwnMethod::ExplainProcess { name })),
            "galaxyd.explainAllProcesses" => (0, Ok(OwnMethod::ExplainAllProcesses)),
            "galaxyd.getListenerPools" => (0, Ok(OwnMethod::GetListenerPools)),
            "galaxyd.getNotices" => (0, Ok(OwnMethod::GetNotices)),
            "galaxyd.getHistory" => (3, history(&mut args)),
            "galaxyd.getProcessPlan" => (2, process_plan(&mut args)),
            _ => return None,
        };
        Some(if params.len() > most { Err(Fault::new(FaultCode::IncorrectParameters)) } else { built })
    }

    /// The full name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            OwnMethod::PlanUpdate { .. } => "galaxyd.planUpdate",
            OwnMethod::Update { .. } => "galaxyd.update",
            OwnMethod::StopOrdered { .. } => "galaxyd.stopOrdered",
            OwnMethod::Upgrade { .. } => "galaxyd.upgrade",
            OwnMethod::GetUpgrade => "galaxyd.getUpgrade",
            OwnMethod::Retry { .. } => "galaxyd.retry",
            OwnMethod::Succeed { .. } => "galaxyd.succeed",
            OwnMethod::WaitFor { .. } => "galaxyd.waitFor",
            OwnMethod::GetReadiness { .. } => "galaxyd.getReadiness",
            OwnMethod::Roll { .. } => "galaxyd.roll",
            OwnMethod::GetOperations => "galaxyd.getOperations",
            OwnMethod::GetOperation { .. } => "galaxyd.getOperation",
            OwnMethod::CancelOperation { .. } => "galaxyd.cancelOperation",
            OwnMethod::GetStaleness { .. } => "galaxyd.getStaleness",
            OwnMethod::GetUsage { .. } => "galaxyd.getUsage",
            OwnMethod::ExplainProcess { .. } => "galaxyd.explainProcess",
            OwnMethod::ExplainAllProcesses => "galaxyd.explainAllProcesses",
            OwnMethod::GetListenerPools => "galaxyd.getListenerPools",
            OwnMethod::GetNotices => "galaxyd.getNotices",
            OwnMethod::GetHistory { .. } => "galaxyd.getHistory",
            OwnMethod::GetProcessPlan { .. } => "galaxyd.getProcessPlan",
        }
    }

    /// Whether the call may change something, or shows what is not for everybody.
    #[must_use]
    pub fn is_audited(&self) -> bool {
        match self {
            OwnMethod::Update { .. }
            | OwnMethod::StopOrdered { .. }
            | OwnMethod::Upgrade { .. }
            | OwnMethod::Retry { .. }
            | OwnMethod::Roll { .. }
            | OwnMethod::CancelOperation { .. }
            | OwnMethod::Succeed { .. }
            | OwnMethod::GetProcessPlan { redacted: false, .. } => true,
            OwnMethod::PlanUpdate { .. }
            | OwnMethod::WaitFor { .. }
            | OwnMethod::GetReadiness { .. }
            | OwnMethod::GetOperations
            | OwnMethod::GetOperation { .. }
            | OwnMethod::GetStaleness { .. }
            | OwnMethod::GetUsage { .. }
            | OwnMethod::ExplainProcess { .. }
            | OwnMethod::ExplainAllProcesses
            | OwnMethod::GetListenerPools
            | OwnMethod::GetUpgrade
            | OwnMethod::GetNotices
            | OwnMethod::GetHistory { .. }
            | OwnMethod::GetProcessPlan { redacted: true, .. } => false,
        }
    }

    /// Whom it is about, for the audit line.
    pub(super) fn argument(&self) -> String {
        match self {
            OwnMethod::PlanUpdate { names, .. }
            | OwnMethod::Update { names, .. }
            | OwnMethod::GetHistory { names, .. }
            | OwnMethod::Retry { names, .. }
            | OwnMethod::Roll { names, .. }
            | OwnMethod::WaitFor { names, .. }
            | OwnMethod::GetReadiness { names }
            | OwnMethod::GetStaleness { names }
            | OwnMethod::GetUsage { names }
            | OwnMethod::StopOrdered { names } => names.join(" "),
            OwnMethod::Succeed { name }
            | OwnMethod::ExplainProcess { name }
            | OwnMethod::GetProcessPlan { name, .. } => name.clone(),
            OwnMethod::Upgrade { path } => path.clone(),
            OwnMethod::GetOperation { id } | OwnMethod::CancelOperation { id } => id.to_string(),
            OwnMethod::GetOperations
            | OwnMethod::ExplainAllProcesses
            | OwnMethod::GetListenerPools
            | OwnMethod::GetNotices
            | OwnMethod::GetUpgrade => String::new(),
        }
    }
}

fn plan_update(args: &mut Arguments<'_>) -> Result<OwnMethod, Fault> {
    Ok(OwnMethod::PlanUpdate { names: args.texts("names")?, restart: args.flag() })
}

fn update(args: &mut Arguments<'_>) -> Result<OwnMethod, Fault> {
    Ok(OwnMethod::Update { names: args.texts("names")?, restart: args.flag(), wait: args.flag() })
}

fn history(args: &mut Arguments<'_>) -> Result<OwnMethod, Fault> {
    Ok(OwnMethod::GetHistory { names: args.texts("names")?, since: args.whole("since")?, limit: args.whole("limit")? })
}

fn retry(args: &mut Arguments<'_>) -> Result<OwnMethod, Fault> {
    Ok(OwnMethod::Retry { names: args.texts("names")?, wait: args.switch() })
}

fn wait_for(args: &mut Arguments<'_>) -> Result<OwnMethod, Fault> {
    let names = args.texts("names")?;
    let word = args.text("condition")?;
    let words = Condition::ALL.map(Condition::word).join(", ");
    let unknown = || {
        Fault::with(FaultCode::IncorrectParameters, format_args!("condition must be one of {words}, found '{word}'"))
    };
    let condition = Condition::named(&word).ok_or_else(unknown)?;
    let timeout = args.whole("timeout")?.clamp(0, i64::from(u32::MAX));
    Ok(OwnMethod::WaitFor { names, condition, timeout: u32::try_from(timeout).unwrap_or(u32::MAX) })
}

fn roll(args: &mut Arguments<'_>) -> Result<OwnMethod, Fault> {
    let (names, rolling) = (args.texts("names")?, args.flag());
    let max_unavailable = u32::try_from(number(args, "max_unavailable")?).unwrap_or(u32::MAX);
    Ok(OwnMethod::Roll { names, rolling, max_unavailable, start_stopped: args.flag() })
}

/// A whole number of at least zero; zero when it was not sent.
fn number(args: &mut Arguments<'_>, name: &str) -> Result<u64, Fault> {
    if args.is_empty() {
        return Ok(0);
    }
    let number = args.whole(name)?;
    u64::try_from(number)
        .map_err(|_| Fault::with(FaultCode::IncorrectParameters, format_args!("{name} must not be below zero")))
}

fn process_plan(args: &mut Arguments<'_>) -> Result<OwnMethod, Fault> {
    Ok(OwnMethod::GetProcessPlan { name: args.text("name")?, redacted: args.switch() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_ours_are_typed_and_judged() {
        let call = |name: &str, params: &[Value]| OwnMethod::from_call(name, params);
        let names = || Value::Array(vec!["a".into(), "g:p".into()]);
        let wanted = OwnMethod::Update { names: vec!["a".to_owned(), "g:p".to_owned()], restart: true, wait: false };
        assert_eq!(call("galaxyd.update", &[names(), true.into()]), Some(Ok(wanted)));
        let all = OwnMethod::PlanUpdate { names: Vec::new(), restart: false };
        assert_eq!(call("galaxyd.planUpdate", &[]), Some(Ok(all)));
        for params in [vec![Value::Int(1)], vec![Value::Array(vec![1.into()])], vec![names(), names(), names()]] {
            let fault = call("galaxyd.planUpdate", &params).unwrap().unwrap_err();
            assert_eq!(fault.code, FaultCode::IncorrectParameters as i64);
        }
        let retry = OwnMethod::Retry { names: Vec::new(), wait: true };
        assert_eq!(call("galaxyd.retry", &[]), Some(Ok(retry)));
        let wait =
            |condition: &str, seconds: i64| call("galaxyd.waitFor", &[names(), condition.into(), seconds.into()]);
        let wanted = OwnMethod::WaitFor {
            names: vec!["a".to_owned(), "g:p".to_owned()],
            condition: Condition::Ready,
            timeout: 0,
        };
        assert_eq!(wait("ready", -1), Some(Ok(wanted)));
        assert!(wait("healthy", 0).unwrap().unwrap_err().text.contains("condition must be one of started, running"));
        let roll = |params: &[Value]| call("galaxyd.roll", params);
        let all = OwnMethod::Roll { names: Vec::new(), rolling: false, max_unavailable: 0, start_stopped: false };
        assert_eq!(roll(&[]), Some(Ok(all)));
        let names_read = vec!["a".to_owned(), "g:p".to_owned()];
        let rolling = OwnMethod::Roll { names: names_read, rolling: true, max_unavailable: 2, start_stopped: true };
        assert_eq!(roll(&[names(), true.into(), 2.into(), true.into()]), Some(Ok(rolling)));
        assert!(roll(&[names(), true.into(), (-1).into()]).unwrap().unwrap_err().text.contains("max_unavailable"));
        assert_eq!(call("galaxyd.getOperation", &[3.into()]), Some(Ok(OwnMethod::GetOperation { id: 3 })));
        assert_eq!(call("galaxyd.getOperation", &[]), Some(Ok(OwnMethod::GetOperation { id: 0 })));
        assert_eq!(call("galaxyd.nothing", &[]), None);
    }

    #[test]
    fn secrets_are_hidden_unless_asked_for_which_is_audited() {
        let plan = |params: &[Value]| OwnMethod::from_call("galaxyd.getProcessPlan", params).unwrap().unwrap();
        for (params, redacted) in [(vec!["x".into()], true), (vec!["x".into(), false.into()], false)] {
            let plan = plan(&params);
            assert_eq!(plan, OwnMethod::GetProcessPlan { name: "x".to_owned(), redacted });
            assert_eq!(plan.is_audited(), !redacted);
        }
    }
}

//! How a process would be started now: the answer of `galaxyd.getProcessPlan`. Nothing is started.

use std::ffi::{CStr, OsString};
use std::fs;

use super::reply::Reply;
use super::spawning::{self, LOOKUP_MAX, LOOKUP_TOO_LONG};
use super::worker::Worker;
use crate::config::{is_secret_variable, without_secrets};
use crate::rpc::{Fault, FaultCode, Value};
use crate::sys::plan::{ExecPlan, User};
use crate::sys::side;

/// Shown instead of a value that looks like a secret.
const REDACTED: &str = "********";

impl Worker {
    /// Makes the plan on a side thread, as a start would.
    pub(super) fn process_plan(&self, name: &str, redacted: bool, reply: Reply) {
        let found = self.member(name).and_then(|process| {
            let view = self.engine.process(process).ok_or_else(|| Fault::with(FaultCode::BadName, name))?;
            let config = self.process_config(process).ok_or_else(|| Fault::with(FaultCode::BadName, name))?;
            Ok((view.group.to_owned(), config.clone()))
        });
        let (group, config) = match found {
            Ok(found) => found,
            Err(fault) => return reply.send(Err(fault)),
        };
        let heritage = self.heritage.clone();
        let keeper = self.pid;
        tokio::spawn(async move {
            let making = side::run(move || {
                let plan = spawning::prepare(&group, &config, &heritage);
                plan.map(|plan| answer(&config.name, &group, &plan, keeper, redacted))
            });
            reply.send(match tokio::time::timeout(LOOKUP_MAX, making).await {
                Ok(Ok(Ok(plan))) => Ok(plan),
                Ok(Ok(Err(error))) => Err(Fault::with(FaultCode::Failed, error.to_string())),
                Ok(Err(_)) => Err(Fault::new(FaultCode::Failed)),
                Err(_) => Err(Fault::with(FaultCode::Failed, LOOKUP_TOO_LONG)),
            });
        });
    }
}

fn answer(name: &str, group: &str, plan: &ExecPlan, keeper: u32, redacted: bool) -> Value {
    let (uid, gid, groups) = account(&plan.user);
    let groups = groups.into_iter().map(|group| i64::from(group).into()).collect();
    let directory = match &plan.directory {
        Some(directory) => text(directory),
        // The keeper's, which forks.
        None => fs::read_link(format!("/proc/{keeper}/cwd")).map(lossy).unwrap_or_default(),
    };
    let umask = plan.umask.map(|mask| format!("{mask:04o}")).or_else(|| keepers_umask(keeper));
    Value::object([
        ("name", name.into()),
        ("group", group.into()),
        ("file", text(&plan.path).into()),
        ("argv", Value::Array(plan.argv.iter().map(|word| shown(word, redacted).into()).collect())),
        ("directory", directory.into()),
        ("umask", umask.unwrap_or_default().into()),
        ("uid", i64::from(uid).into()),
        ("gid", i64::from(gid).into()),
        ("groups", Value::Array(groups)),
        ("environment", Value::Array(plan.environment.iter().map(|pair| variable(pair, redacted)).collect())),
        ("limits", Value::Array(limits(plan, keeper))),
    ])
}

fn lossy(path: std::path::PathBuf) -> String {
    OsString::from(path).to_string_lossy().into_owned()
}

fn text(text: &CStr) -> String {
    text.to_string_lossy().into_owned()
}

/// A word of the command line.
fn shown(word: &CStr, redacted: bool) -> String {
    let word = text(word);
    if redacted { without_secrets(&word) } else { word }
}

fn account(user: &User) -> (u32, u32, Vec<u32>) {
    match user {
        User::Become { uid, gid, groups } => (*uid, *gid, groups.clone()),
        User::Keep | User::Unknown { .. } => {
            let groups = nix::unistd::getgroups().unwrap_or_default();
            let groups = groups.into_iter().map(nix::unistd::Gid::as_raw).collect();
            (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw(), groups)
        }
    }
}

fn keepers_umask(keeper: u32) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{keeper}/status")).ok()?;
    status.lines().find_map(|line| Some(line.strip_prefix("Umask:")?.trim().to_owned()))
}

fn variable(pair: &CStr, redacted: bool) -> Value {
    let pair = text(pair);
    let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
    let value = if redacted && is_secret_variable(name, value) { REDACTED } else { value };
    Value::object([("name", name.into()), ("value", value.into())])
}

/// The soft and hard limits as /proc words them; what the plan sets counts for the soft one.
fn limits(plan: &ExecPlan, keeper: u32) -> Vec<Value> {
    let table = fs::read_to_string(format!("/proc/{keeper}/limits")).unwrap_or_default();
    let nofile = plan.limits.iter().find(|limit| limit.resource == libc::RLIMIT_NOFILE).map(|limit| limit.soft);
    table.lines().skip(1).filter_map(|line| limit(line, nofile)).collect()
}

/// `Max open files  1024  4096  files`: the name is 26 wide.
fn limit(line: &str, nofile: Option<u64>) -> Option<Value> {
    let (name, rest) = line.split_at_checked(26)?;
    let mut fields = rest.split_ascii_whitespace();
    let (soft, hard) = (fields.next()?, fields.next()?);
    let name = name.trim();
    let soft = match (nofile, hard.parse::<u64>()) {
        (Some(wanted), Ok(hard)) if name == "Max open files" => wanted.min(hard).to_string(),
        (Some(wanted), Err(_)) if name == "Max open files" => wanted.to_string(),
        _ => soft.to_owned(),
    };
    Some(Value::object([
        ("name", name.into()),
        ("soft", soft.as_str().into()),
        ("hard", hard.into()),
        ("unit", fields.next().unwrap_or_default().into()),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_the_childs() {
        let line = "Max open files            1048576              1048576              files     ";
        let shown = format!("{:?}", limit(line, Some(1024)));
        assert!(shown.contains("\"1024\"") && shown.contains("Max open files"), "{shown}");
        assert!(format!("{:?}", limit(line, None)).contains("\"1048576\""));
        assert_eq!(limit("short", None), None);
    }
}

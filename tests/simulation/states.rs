//! Walks the table of `docs/states.md` against `Engine::handle`.

use std::time::Duration;

use galaxyd::engine::{
    AutoRestart, Effect, Input, Kind, Limit, Policy, ProcessId, ProcessState, Request, SpawnError, Target,
};

use crate::stage::{SIGHUP, SIGKILL, SIGTERM, Stage, code, millis, policy};
use crate::table::{Row, rows};

const STATES: [&str; 14] = [
    "STOPPED",
    "STARTING (asked)",
    "STARTING",
    "STARTING (sweeping)",
    "RUNNING",
    "RUNNING (sweeping)",
    "BACKOFF",
    "STOPPING (asked)",
    "STOPPING",
    "STOPPING (sweeping)",
    "EXITED",
    "EXITED (held back)",
    "FATAL",
    "UNKNOWN",
];

const INPUTS: [&str; 11] = [
    "start",
    "stop",
    "daemon ends",
    "signal",
    "forked",
    "not forked",
    "exit",
    "followed",
    "swept",
    "kill failed",
    "time",
];

/// The rules under which a case of the table happens.
fn policy_for(from: &str, case: &str) -> Policy {
    let mut rules = policy();
    for part in case.split(", ") {
        match part {
            "no retries left" => rules.startretries = 0,
            "oneshot" => {
                rules.kind = Kind::Oneshot;
                rules.startsecs = Duration::ZERO;
                rules.autorestart = AutoRestart::Unexpected;
            }
            "not expected" => rules.exitcodes = vec![7],
            "no restart" => rules.autorestart = AutoRestart::Never,
            "limit reached" => rules.restarts.limit = Some(Limit { starts: 0, window: millis(1000) }),
            "killtree" => rules.killtree = true,
            "restart" => rules.autorestart = AutoRestart::Always,
            "startsecs=0" | "crash loop" => rules.startsecs = Duration::ZERO,
            _ => {}
        }
    }
    if from.ends_with("(sweeping)") {
        rules.killtree = true;
    }
    if from == "EXITED (held back)" {
        rules.autorestart = AutoRestart::Always;
        rules.startsecs = Duration::ZERO;
    }
    rules
}

/// Brings a new process to the state.
fn stage_in(from: &str, case: &str) -> (Stage, ProcessId) {
    let (mut stage, process) = Stage::with_one(policy_for(from, case));
    let one = Target::One(process);
    if from == "STOPPED" {
        return (stage, process);
    }
    stage.start(one.clone(), false);
    match from {
        "STARTING (asked)" => {}
        "BACKOFF" => stage.not_forked(process),
        "STOPPING (asked)" => {
            stage.stop(one, true);
        }
        "FATAL" => {
            stage.not_forked(process);
            while stage.state(process) == ProcessState::Backoff {
                stage.wait_for_deadline();
                stage.not_forked(process);
            }
        }
        _ => {
            stage.forked(process);
        }
    }
    if case.ends_with("crash loop") || from == "EXITED (held back)" {
        stage.exit(process, code(0));
        stage.forked(process);
    }
    let bare = from.trim_end_matches(" (sweeping)");
    if ["RUNNING", "STOPPING", "EXITED", "UNKNOWN"].contains(&bare) && stage.state(process) != ProcessState::Running {
        stage.wait(millis(1000));
    }
    match bare {
        "STOPPING" => {
            stage.stop(Target::One(process), true);
        }
        "EXITED" | "EXITED (held back)" => stage.exit(process, code(0)),
        "UNKNOWN" => {
            stage.request(Request::Signal { target: Target::One(process), signal: SIGHUP });
            stage.kill_failed(process, SIGHUP);
        }
        _ => {}
    }
    if from.ends_with("(sweeping)") {
        stage.exit(process, code(0));
    }
    assert_eq!(place(&stage, process), from, "the stage could not be set");
    (stage, process)
}

/// How long the case's deadline lies ahead of the stage's present.
fn delay(case: &str) -> Duration {
    match case {
        "startsecs passed" | "delay passed" | "a second passed" => millis(1000),
        "stopwaitsecs passed" => millis(10_000),
        _ => millis(3_600_000),
    }
}

fn play(stage: &mut Stage, process: ProcessId, input: &str, case: &str) {
    let one = Target::One(process);
    match input {
        "start" => {
            stage.start(one, false);
        }
        "stop" => {
            stage.stop(one, false);
        }
        "daemon ends" => stage.tell(Input::Shutdown),
        "signal" => {
            stage.request(Request::Signal { target: one, signal: SIGHUP });
        }
        "forked" => {
            let (pid, at) = (stage.pid(process), stage.now());
            stage.tell(Input::Spawned { process, pid, at });
        }
        "not forked" if case == "no resources" => {
            let error = SpawnError::Starved("too many open files".to_owned());
            stage.tell(Input::SpawnFailed { process, error });
        }
        "not forked" => stage.not_forked(process),
        "exit" => {
            let lived = if case.starts_with("before startsecs") || case.ends_with("crash loop") { 999 } else { 1000 };
            stage.pass(millis(lived));
            stage.exit(process, code(0));
        }
        "followed" => {
            stage.followed(process);
        }
        "swept" => stage.swept(process),
        "kill failed" => stage.kill_failed(process, SIGTERM),
        "time" => stage.wait(delay(case)),
        _ => panic!("`{input}` is no input of the table"),
    }
}

/// The state with the table's remark.
fn place(stage: &Stage, process: ProcessId) -> String {
    let view = stage.view(process);
    let name = view.state.name();
    match view.state {
        _ if view.sweeping => format!("{name} (sweeping)"),
        ProcessState::Starting | ProcessState::Stopping if view.pid.is_none() => format!("{name} (asked)"),
        ProcessState::Exited if view.deadline.is_some() => format!("{name} (held back)"),
        _ => name.to_owned(),
    }
}

fn done(stage: &Stage) -> String {
    let mut done: Vec<&str> = stage.spawns().iter().map(|_| "spawn").collect();
    done.extend(stage.kills().iter().map(|kill| match kill.signal {
        SIGKILL => "SIGKILL",
        SIGTERM => "stop signal",
        _ => "signal",
    }));
    done.extend(stage.effects.iter().filter(|effect| matches!(effect, Effect::Sweep { .. })).map(|_| "sweep"));
    done.join(", ")
}

fn check(row: &Row) {
    let (mut stage, process) = stage_in(&row.from, &row.case);
    if row.input == "time" {
        stage.wait(delay(&row.case).saturating_sub(millis(1)));
        assert_eq!((stage.announced(), done(&stage)), (vec![], String::new()), "too early: {row:?}");
        stage.wait(millis(1));
    } else {
        play(&mut stage, process, &row.input, &row.case);
    }
    assert_eq!(stage.announced(), row.announced, "{row:?}");
    assert_eq!(place(&stage, process), row.to, "{row:?}");
    assert_eq!(done(&stage), row.done, "{row:?}");
}

#[test]
fn every_row_of_the_table_happens() {
    for row in rows() {
        assert!(STATES.contains(&row.from.as_str()) && INPUTS.contains(&row.input.as_str()), "{row:?}");
        check(&row);
    }
}

#[test]
fn every_pair_without_a_row_does_nothing() {
    let rows = rows();
    let mut pairs = 0;
    for from in STATES {
        for input in INPUTS {
            if rows.iter().any(|row| row.from == from && row.input == input) {
                continue;
            }
            pairs += 1;
            let (mut stage, process) = stage_in(from, "");
            let stray = input == "forked" && stage.view(process).pid.is_none();
            play(&mut stage, process, input, "");
            assert_eq!(stage.announced(), vec![], "{from}, {input}");
            assert_eq!(place(&stage, process), from, "{from}, {input}");
            assert_eq!(done(&stage), if stray { "SIGKILL" } else { "" }, "{from}, {input}");
        }
    }
    assert!(pairs > 50, "the table leaves {pairs} pairs");
}

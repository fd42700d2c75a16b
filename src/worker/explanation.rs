//! Why a process is in its state, in words for a person: the answer of `galaxyd.explainProcess`.

use super::cause;
use super::post_mortem::{PostMortem, left_behind, reason};
use super::worker::{Worker, now};
use crate::engine::{Channel, Moment, Now, ProcessState, ProcessView, Readiness, StopCause};
use crate::rpc::Value;

impl Worker {
    /// The struct about one process.
    pub(super) fn explanation(&self, view: &ProcessView<'_>) -> Value {
        let known = self.morgue.get(view.process);
        let startsecs = self.process_config(view.process).map_or(0, |config| config.startsecs);
        let mut reason = explain(view, known, u64::try_from(startsecs).unwrap_or(0), now().mono);
        if let Some(readiness) = view.readiness {
            reason = format!("{reason}; {}", self.readiness_text(view.process, readiness));
        }
        let held_for = self.held_for(view);
        if let Some(since) = view.held {
            let past = now().mono.since(since.mono).as_secs();
            reason = format!("its start is held until what it needs is there, for {past} seconds now");
        }
        if let Some(strays) = self.unclaimed_beside(view.process) {
            reason = format!("{reason}; {strays}");
        }
        let hindrances: Vec<Value> = self.hindrances(view).into_iter().map(Value::from).collect();
        // What an earlier child said is no news of this one.
        let is_last = known.is_some_and(|known| Some(known.last) == view.last_exit);
        let last_words: Vec<Value> = known
            .filter(|_| is_last && view.state != ProcessState::Running)
            .map(|known| known.last_words.iter().map(|line| line.as_str().into()).collect())
            .unwrap_or_default();
        let left_behind = known.map(|known| known.left_behind.as_slice()).unwrap_or_default();
        let left_behind: Vec<Value> = left_behind
            .iter()
            .map(|survivor| {
                Value::object([
                    ("pid", i64::from(survivor.identity.pid).into()),
                    ("command", survivor.command.as_str().into()),
                ])
            })
            .collect();
        Value::object([
            ("name", view.name.into()),
            ("group", view.group.into()),
            ("statename", view.state.name().into()),
            ("reason", reason.into()),
            ("readiness", view.readiness.map_or("", Readiness::word).into()),
            ("hindrances", Value::Array(hindrances)),
            ("beside", self.beside_values(view)),
            ("last_words", Value::Array(last_words)),
            ("left_behind", Value::Array(left_behind)),
            ("awaits", held_for.unwrap_or_else(|| awaited(view).to_owned()).into()),
            ("until", until(view, now()).into()),
            ("held_since", view.held.map_or(0, |since| since.wall).into()),
            ("next", self.next_command(view).into()),
        ])
    }

    /// What to type next, where something is to be done.
    fn next_command(&self, view: &ProcessView<'_>) -> String {
        let name = view.namespec();
        let written = [Channel::Stderr, Channel::Stdout].into_iter().find(|channel| {
            // Output that goes to the other channel's log is found there.
            self.log_path(view.process, *channel).is_some()
        });
        match (view.state, view.deadline, written) {
            (ProcessState::Running | ProcessState::Starting, ..) => String::new(),
            (ProcessState::Stopped | ProcessState::Exited, None, _) => format!("galaxyctl start {name}"),
            (ProcessState::Fatal, ..) => format!("galaxyctl retry {name}"),
            (ProcessState::Stopping, ..) => format!("galaxyctl signal KILL {name}"),
            (ProcessState::Unknown, ..) => format!("galaxyctl remove {}", view.group),
            (_, _, Some(channel)) if cause::of_no_start(view).is_none() => {
                format!("galaxyctl tail {name} {}", channel.name())
            }
            _ => format!("galaxyctl env {name}"),
        }
    }
}

/// What has to happen before it goes on.
fn awaited(view: &ProcessView<'_>) -> &'static str {
    if view.sweeping {
        return "the end of what it left behind";
    }
    if view.is_parting {
        return "the end of those that depend on it: then it is told to stop";
    }
    match (view.state, view.deadline) {
        (ProcessState::Running, _) | (ProcessState::Stopped | ProcessState::Exited, None) => "",
        (ProcessState::Starting, Some(_)) => "the end of startsecs: then it counts as RUNNING",
        (ProcessState::Starting, None) => "its fork",
        (ProcessState::Backoff | ProcessState::Exited | ProcessState::Stopped, _) => "its next start",
        (ProcessState::Stopping, _) => "its end, or SIGKILL",
        (ProcessState::Fatal, _) => "somebody to start it",
        (ProcessState::Unknown, _) => "the removal of its group",
    }
}

/// When its deadline is, in seconds since 1970, rounded up; 0 without one.
fn until(view: &ProcessView<'_>, now: Now) -> i64 {
    let left = view.deadline.filter(|_| !view.sweeping).map(|at| at.since(now.mono));
    left.map_or(0, |left| now.wall.saturating_add(i64::try_from(left.as_secs()).unwrap_or(i64::MAX)).saturating_add(1))
}

fn explain(view: &ProcessView<'_>, known: Option<&PostMortem>, startsecs: u64, now: Moment) -> String {
    if view.sweeping {
        return "its main process is gone; what it left behind is being ended (killtree)".to_owned();
    }
    match view.state {
        ProcessState::Running if view.is_parting => "runs; it is stopped after those that depend on it".to_owned(),
        ProcessState::Running => "runs".to_owned(),
        ProcessState::Starting => match view.deadline {
            Some(at) => format!("is being started; counts as RUNNING in {}", seconds(at, now)),
            None => "is being started".to_owned(),
        },
        ProcessState::Stopping => match view.deadline {
            Some(at) => format!("was told to stop; SIGKILL follows in {}", seconds(at, now)),
            None => "was told to stop while it was being started".to_owned(),
        },
        ProcessState::Stopped => match (view.started, view.stop_cause) {
            (None, _) => "was never started".to_owned(),
            (_, Some(StopCause::Shutdown)) => {
                format!("was stopped by the daemon's end; it {}", end(view, known, startsecs))
            }
            _ => format!("was stopped by request; it {}", end(view, known, startsecs)),
        },
        ProcessState::Exited | ProcessState::Backoff => {
            let retry = view.deadline.map(|at| format!("; the next start is in {}", seconds(at, now)));
            format!("{}{}", end(view, known, startsecs), retry.unwrap_or_default())
        }
        ProcessState::Fatal if view.stop_cause == Some(StopCause::Shutdown) => {
            format!("{}; the daemon's end ended its retries", end(view, known, startsecs))
        }
        ProcessState::Fatal if view.stop_cause == Some(StopCause::Limited) => {
            let limit =
                view.policy.restarts.limit.map_or_else(|| "restart_limit".to_owned(), |limit| limit.to_string());
            format!("{}; given up: {limit}", end(view, known, startsecs))
        }
        ProcessState::Fatal => {
            let attempts = view.policy.startretries.max(0).saturating_add(1);
            let times = if attempts == 1 { "time" } else { "times" };
            format!("{}; given up after failing {attempts} {times} in a row", end(view, known, startsecs))
        }
        ProcessState::Unknown => "the system refused to signal it; removing its group is the only way out".to_owned(),
    }
}

/// How it came to its end.
fn end(view: &ProcessView<'_>, known: Option<&PostMortem>, startsecs: u64) -> String {
    if let Some(error) = cause::of_no_start(view) {
        return error.to_owned();
    }
    let Some(last) = view.last_exit else { return "did not get as far as running".to_owned() };
    let mut text = reason(&last, startsecs);
    let survivor = known.filter(|known| known.last == last).and_then(|known| known.left_behind.first());
    if let Some(survivor) = survivor.filter(|_| last.too_quickly) {
        text.push_str(&left_behind(survivor));
    }
    text
}

/// The time from `now` to `at`, whole seconds, rounded up: it is never over before it is said to be.
pub(super) fn seconds(at: Moment, now: Moment) -> String {
    let left = at.since(now);
    let whole = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    if whole == 1 { "1 second".to_owned() } else { format!("{whole} seconds") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::{Effect, Engine, Exit, GroupSpec, Input, MemberSpec, Request, Target};
    use crate::worker::sample;

    fn at(seconds: u64) -> Now {
        Now { mono: Moment(Duration::from_secs(seconds)), wall: 0 }
    }

    struct Play(Engine);

    impl Play {
        fn new(keys: &str) -> Play {
            let policy = sample::process(&format!("command=x\nautostart=false\n{keys}")).policy();
            let members = vec![MemberSpec { name: "p".to_owned(), policy }];
            let mut play = Play(Engine::new());
            let group = GroupSpec { name: "p".to_owned(), priority: 1, members, listens: false };
            play.tell(0, Input::Begin { groups: vec![group] });
            play
        }

        fn tell(&mut self, seconds: u64, input: Input) {
            let mut effects: Vec<Effect> = Vec::new();
            self.0.handle(at(seconds), input, &mut effects);
        }

        fn start(&mut self, seconds: u64) {
            let target = Target::One(self.view().process);
            let request = Request::Start { target, wait: false, checked: Vec::new() };
            self.tell(seconds, Input::Request { id: seconds, request });
            self.tell(seconds, Input::Spawned { process: self.view().process, pid: 7, at: at(seconds) });
        }

        fn exit(&mut self, seconds: u64, code: i32) {
            let process = self.view().process;
            self.tell(seconds, Input::Exited { process, pid: 7, exit: Exit::Code(code), at: at(seconds) });
        }

        fn view(&self) -> ProcessView<'_> {
            self.0.processes().next().unwrap()
        }

        fn reason(&self, seconds: u64) -> String {
            explain(&self.view(), None, 3, at(seconds).mono)
        }
    }

    #[test]
    fn each_state_has_its_reason() {
        let mut play = Play::new("startsecs=3\nstartretries=0\nautorestart=false");
        assert_eq!(play.reason(0), "was never started");
        play.start(1);
        assert_eq!(play.reason(2), "is being started; counts as RUNNING in 2 seconds");
        play.exit(2, 9);
        assert_eq!(
            play.reason(2),
            "ended too quickly: exit status 9 after 1.00 seconds, less than 3 seconds (startsecs); given up after failing 1 time \
             in a row"
        );
        play.start(10);
        play.tell(13, Input::Deadline);
        assert_eq!(play.reason(13), "runs");
        play.exit(30, 0);
        assert_eq!(play.reason(30), "ended: exit status 0 after 20 seconds");
    }

    #[test]
    fn what_is_awaited_is_told_with_its_time() {
        let mut play = Play::new("startsecs=3\nstopwaitsecs=5");
        play.start(0);
        play.exit(1, 1);
        assert!(play.reason(1).ends_with("; the next start is in 1 second"), "{}", play.reason(1));
        assert_eq!((awaited(&play.view()), until(&play.view(), at(1))), ("its next start", 2));
        play.tell(2, Input::Deadline);
        let process = play.view().process;
        play.tell(2, Input::Spawned { process, pid: 7, at: at(2) });
        let target = Target::One(process);
        play.tell(4, Input::Request { id: 9, request: Request::Stop { target, wait: true } });
        assert_eq!(play.reason(5), "was told to stop; SIGKILL follows in 4 seconds");
        play.exit(6, 0);
        assert_eq!(play.reason(7), "was stopped by request; it ended: exit status 0 after 4.00 seconds");
    }
}

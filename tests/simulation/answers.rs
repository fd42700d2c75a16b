//! What must hold of every answer: somebody waits for it, and it tells what happened.

use galaxyd::engine::{Answer, Condition, Engine, Mood, ProcessId, ProcessState, Refusal, Request, RequestId, Target};

use crate::watch::{Kept, Watch, is_so, promise};

impl Watch<'_> {
    pub(crate) fn answer(&mut self, engine: &Engine, id: RequestId, answer: &Answer) -> Kept {
        let Some(asked) = self.outstanding.remove(&id) else {
            return Err(format!("request {id} is answered, but nobody waits for it: {answer:?}"));
        };
        let kind = match asked.request {
            Request::Start { wait, .. } => {
                if wait {
                    "start"
                } else {
                    "start, not waiting"
                }
            }
            Request::Stop { wait, .. } => {
                if wait {
                    "stop"
                } else {
                    "stop, not waiting"
                }
            }
            Request::Signal { .. } => "signal",
            Request::StopOrdered { .. } => "ordered stop",
            Request::Retry { .. } => "retry",
            Request::Await { .. } => "wait",
            Request::Succeed { .. } => "succession",
            Request::Update { wait, .. } => {
                if wait {
                    "update"
                } else {
                    "update, not waiting"
                }
            }
            Request::AddGroup(_) | Request::RemoveGroup(_) => "group",
            Request::AddMembers { .. } | Request::RemoveMember(_) => "member",
            Request::Shutdown | Request::Restart => "end",
        };
        match answer {
            Answer::Processes(outcomes) => {
                for outcome in outcomes {
                    let word = outcome.result.as_ref().map_or_else(|refusal| word(refusal), |()| "ok");
                    *self.seen.results.entry(format!("{kind}: {word}")).or_default() += 1;
                }
            }
            Answer::Done => *self.seen.results.entry(format!("{kind}: done")).or_default() += 1,
            Answer::Refused(refusal) => {
                let shutting = *refusal == Refusal::ShutdownState;
                promise!(!shutting || engine.mood() != Mood::Running, "refused for a shutdown that there is not");
                *self.seen.results.entry(format!("{kind}: refused, {}", word(refusal))).or_default() += 1;
            }
        }
        self.answer_is_true(engine, &asked.request, answer)
    }

    /// One process' answer tells what happened to it.
    fn answer_is_true(&self, engine: &Engine, request: &Request, answer: &Answer) -> Kept {
        match request {
            Request::Await { condition, .. } => self.wait_is_over(engine, *condition, answer),
            Request::Succeed { process } => nobody_is_left_beside(engine, *process, answer),
            Request::Start { target, wait, .. } => {
                let runs = |to| to == ProcessState::Running;
                self.has_entered(target, answer, wait.then_some(("run", &runs)))
            }
            Request::Stop { target, wait } => {
                self.has_entered(target, answer, wait.then_some(("have stopped", &ProcessState::is_stopped)))
            }
            _ => Ok(()),
        }
    }

    fn wait_is_over(&self, engine: &Engine, condition: Condition, answer: &Answer) -> Kept {
        let Answer::Processes(outcomes) = answer else { return Ok(()) };
        // Others may have been decided in earlier turns.
        let [outcome] = outcomes.as_slice() else { return Ok(()) };
        // What it was when the answer was given: by the end of the turn it may be something else.
        let was = self.shown.get(&outcome.process).copied();
        let held = match (condition, was) {
            (Condition::Started, Some(ProcessState::Starting | ProcessState::Running | ProcessState::Exited))
            | (Condition::Running, Some(ProcessState::Running))
            | (Condition::Exited, Some(ProcessState::Exited)) => true,
            // Its readiness went with what it was.
            (Condition::Ready, Some(ProcessState::Running)) if !is_so(engine, outcome.process, Condition::Running) => {
                true
            }
            _ => is_so(engine, outcome.process, condition),
        };
        promise!(outcome.result.is_err() || held, "{:?} is said to be {condition:?}, but is not", outcome.process);
        Ok(())
    }

    /// The answer is about this process, and what was waited for, if anything was, has come.
    fn has_entered(&self, target: &Target, answer: &Answer, awaited: Option<Awaited<'_>>) -> Kept {
        let (Target::One(process), Answer::Processes(outcomes)) = (target, answer) else { return Ok(()) };
        let [outcome] = outcomes.as_slice() else { return Err(format!("one process, {} outcomes", outcomes.len())) };
        promise!(outcome.process == *process, "the answer is about {:?}, not {process:?}", outcome.process);
        let Some((said, fits)) = awaited.filter(|_| outcome.result.is_ok()) else { return Ok(()) };
        let entered = self.entered.iter().any(|(other, to)| other == process && fits(*to));
        promise!(entered, "{process:?} is said to {said}, but it is not so");
        Ok(())
    }
}

/// What a client is told of a process, and which states make it true.
type Awaited<'a> = (&'a str, &'a dyn Fn(ProcessState) -> bool);

fn nobody_is_left_beside(engine: &Engine, process: ProcessId, answer: &Answer) -> Kept {
    let alone = engine.group(&name_of(answer)).is_none_or(|group| {
        group.beside.iter().all(|other| {
            let view = engine.process(*other);
            view.is_none_or(|view| view.state == ProcessState::Unknown || !is_of(answer, view.name))
        })
    });
    let failed = matches!(answer, Answer::Processes(outcomes) if outcomes.iter().any(|one| one.result.is_err()));
    promise!(alone || failed, "the succession of {process:?} is over, and somebody stands beside");
    Ok(())
}

/// The group of the first outcome.
fn name_of(answer: &Answer) -> String {
    let Answer::Processes(outcomes) = answer else { return String::new() };
    outcomes.first().map(|outcome| outcome.group.clone()).unwrap_or_default()
}

fn is_of(answer: &Answer, name: &str) -> bool {
    matches!(answer, Answer::Processes(outcomes) if outcomes.iter().any(|outcome| outcome.name == name))
}

fn word(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::BadName => "bad name",
        Refusal::Spawn(_) => "bad command",
        Refusal::SpawnError => "spawn error",
        Refusal::Failed(_) => "failed",
        Refusal::AbnormalTermination => "abnormal",
        Refusal::AlreadyStarted => "already started",
        Refusal::NotRunning => "not running",
        Refusal::AlreadyAdded => "already added",
        Refusal::StillRunning => "still running",
        Refusal::ShutdownState => "shutdown",
    }
}

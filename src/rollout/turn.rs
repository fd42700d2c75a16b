//! Zerglings of one pool: whose turn it is, and what becomes of one that does not take it.

use super::operation::{Deed, Effect, Outlook, Unit};
use super::step::{Phase, Step};
use crate::engine::{Moment, ProcessId};

impl Unit {
    /// Whether a newcomer serves and the other one is not told yet: that is done even by an operation that is cancelled.
    pub(super) fn is_turn_owed(&self) -> bool {
        !self.zerglings.is_empty() && self.steps.iter().any(|step| step.phase == Phase::Done)
    }

    /// Goes on with the hand-over: one is started, then the one that served leaves.
    pub(super) fn begin_turn(
        &mut self,
        now: Moment,
        outlook: &impl Fn(ProcessId) -> Outlook,
        effects: &mut Vec<Effect>,
    ) {
        let is_waiting = |step: &&mut Step| step.phase == Phase::Waiting;
        if self.steps.iter().any(|step| step.phase.is_active()) {
            return;
        }
        if self.is_turn_owed() {
            // The others that were down are left alone since the newcomer began.
            if let Some(step) = self.steps.iter_mut().find(is_waiting) {
                step.enter(now, Phase::Retiring);
                effects.push(Effect { process: step.process, deed: Deed::Retire });
            }
            return;
        }
        if self.steps.iter().any(|step| step.phase == Phase::Waiting && outlook(step.process) == Outlook::Pending) {
            // What can be done depends on what becomes of it.
            return;
        }
        let serving: Vec<String> = self.serving(None, outlook).map(|step| step.name.clone()).collect();
        let is_down = |step: &Step| step.phase == Phase::Waiting && outlook(step.process) == Outlook::Down;
        let newcomer = self.steps.iter().position(is_down);
        let Some(newcomer) = newcomer.filter(|_| serving.len() < 2) else {
            let why = format!("not begun with: {}", nobody_takes_over(&serving));
            if let Some(step) = self.steps.iter_mut().find(is_waiting) {
                step.fail(now, &why);
            }
            return;
        };
        for (at, step) in self.steps.iter_mut().enumerate().filter(|(_, step)| step.phase == Phase::Waiting) {
            if at == newcomer {
                step.enter(now, Phase::Stopping);
                effects.push(Effect { process: step.process, deed: Deed::Stop });
            } else if !is_serving(outlook(step.process)) {
                "one zergling serves at a time".clone_into(&mut step.note);
                step.enter(now, Phase::LeftAlone);
            }
        }
    }

    /// A deed of a hand-over was done, or failed.
    pub(super) fn turn_finished(
        &mut self,
        now: Moment,
        at: usize,
        result: Result<(), String>,
        outlook: &impl Fn(ProcessId) -> Outlook,
        effects: &mut Vec<Effect>,
    ) {
        let other = self.serving(Some(at), outlook).map(|step| step.name.clone()).next();
        let newcomer = self.steps.iter().find(|step| step.phase == Phase::Done).map(|step| step.name.clone());
        let Some(step) = self.steps.get_mut(at) else { return };
        let (phase, deed) = match (step.phase, result) {
            (Phase::Withdrawing, result) => {
                let why = result.err().map(|why| format!("{}; it does not end: {why}", step.note));
                return step.fail(now, &why.unwrap_or_else(|| step.note.clone()));
            }
            (Phase::Retiring, Ok(())) => {
                step.note = format!("it gave way to {}", newcomer.unwrap_or_default());
                (Phase::Done, None)
            }
            (Phase::Retiring, Err(why)) => return step.fail(now, &why),
            (_, Err(why)) => match other {
                Some(other) => {
                    step.note = format!("it was stopped, and {other} serves on: {why}");
                    (Phase::Withdrawing, Some(Deed::Stop))
                }
                None => return step.fail(now, &format!("it is left as it is, as no other zergling serves: {why}")),
            },
            (Phase::Stopping, Ok(())) => (Phase::Starting, Some(Deed::Start)),
            (Phase::Starting, Ok(())) => (Phase::Readying, Some(Deed::AwaitReady)),
            (Phase::Readying, Ok(())) => (Phase::Accepting, Some(Deed::Accept)),
            (_, Ok(())) => (Phase::Done, None),
        };
        step.enter(now, phase);
        effects.extend(deed.map(|deed| Effect { process: step.process, deed }));
    }

    /// Those that run, but for one.
    fn serving(&self, but: Option<usize>, outlook: &impl Fn(ProcessId) -> Outlook) -> impl Iterator<Item = &Step> {
        let others = self.steps.iter().enumerate().filter(move |(at, _)| Some(*at) != but);
        others.map(|(_, step)| step).filter(|step| is_serving(outlook(step.process)))
    }
}

fn is_serving(outlook: Outlook) -> bool {
    matches!(outlook, Outlook::Up | Outlook::Late)
}

fn nobody_takes_over(serving: &[String]) -> String {
    if serving.len() > 1 {
        let names = serving.join(" and ");
        return format!("{names} run both, so a former hand-over has failed; stop the one that is not to serve");
    }
    "none of these zerglings is there to take over".to_owned()
}

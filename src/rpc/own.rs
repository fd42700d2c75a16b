//! The calls of the `galaxyd` namespace that the control loop answers. `system.listMethods` does not list them, so that the
//! list is Supervisor's.

use super::arguments::Arguments;
use super::fault::{Fault, FaultCode};
use super::value::Value;

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
}

impl OwnMethod {
    /// Understands a call; `None`: no method of ours.
    pub(super) fn from_call(name: &str, params: &[Value]) -> Option<Result<OwnMethod, Fault>> {
        let mut args = Arguments::new(params);
        let (most, built) = match name {
            "galaxyd.planUpdate" => (2, plan_update(&mut args)),
            "galaxyd.update" => (3, update(&mut args)),
            "galaxyd.stopOrdered" => (1, args.texts("names").map(|names| OwnMethod::StopOrdered { names })),
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
        }
    }

    /// Whether the call may change something.
    #[must_use]
    pub fn changes_something(&self) -> bool {
        !matches!(self, OwnMethod::PlanUpdate { .. })
    }

    /// Whom it is about, for the audit line.
    pub(super) fn argument(&self) -> String {
        let (OwnMethod::PlanUpdate { names, .. } | OwnMethod::Update { names, .. } | OwnMethod::StopOrdered { names }) =
            self;
        names.join(" ")
    }
}

fn plan_update(args: &mut Arguments<'_>) -> Result<OwnMethod, Fault> {
    Ok(OwnMethod::PlanUpdate { names: args.texts("names")?, restart: args.flag() })
}

fn update(args: &mut Arguments<'_>) -> Result<OwnMethod, Fault> {
    Ok(OwnMethod::Update { names: args.texts("names")?, restart: args.flag(), wait: args.flag() })
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
        assert_eq!(call("galaxyd.nothing", &[]), None);
    }
}

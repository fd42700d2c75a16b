//! The calls of the `supervisor` namespace with typed arguments: what the control loop matches on.

use super::catalogue;
use super::fault::{Fault, FaultCode};
use super::own::OwnMethod;
use super::printable::printable;
use super::twiddler::Twiddle;
use super::value::Value;

/// One of a process's two output channels, as methods name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    Stdout,
    Stderr,
}

/// One understood call. Aliases are gone: `getVersion` is [`Method::GetApiVersion`].
///
/// `name` is `process`, `group:process`, or where the method takes a group too, `group:*` or `group:`; methods named
/// `…Group` take a bare group name. Offsets and lengths are bytes and may be below zero: the method decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    GetApiVersion,
    GetSupervisorVersion,
    GetIdentification,
    GetState,
    GetPid,
    ReadLog {
        offset: i64,
        length: i64,
    },
    ClearLog,
    Shutdown,
    Restart,
    ReloadConfig,
    AddProcessGroup {
        name: String,
    },
    RemoveProcessGroup {
        name: String,
    },
    GetProcessInfo {
        name: String,
    },
    GetAllProcessInfo,
    GetAllConfigInfo,
    StartProcess {
        name: String,
        wait: bool,
    },
    StartProcessGroup {
        name: String,
        wait: bool,
    },
    StartAllProcesses {
        wait: bool,
    },
    StopProcess {
        name: String,
        wait: bool,
    },
    StopProcessGroup {
        name: String,
        wait: bool,
    },
    StopAllProcesses {
        wait: bool,
    },
    /// `signal` is what the client sent, a number as its digits; whether it is one is for the method to say (fault 11).
    SignalProcess {
        name: String,
        signal: String,
    },
    SignalProcessGroup {
        name: String,
        signal: String,
    },
    SignalAllProcesses {
        signal: String,
    },
    SendProcessStdin {
        name: String,
        chars: String,
    },
    SendRemoteCommEvent {
        kind: String,
        data: String,
    },
    ReadProcessLog {
        name: String,
        output: Output,
        offset: i64,
        length: i64,
    },
    TailProcessLog {
        name: String,
        output: Output,
        offset: i64,
        length: i64,
    },
    ClearProcessLogs {
        name: String,
    },
    ClearAllProcessLogs,
    /// One of the `galaxyd` namespace.
    Own(OwnMethod),
    /// Of a namespace that the configuration enables.
    Twiddler(Twiddle),
}

impl Method {
    /// Understands a call of the `supervisor` namespace.
    ///
    /// # Errors
    /// Fault 1 for a name that is not in the table (`system.*` is answered before, see [`super::Interfaces`] and
    /// [`super::multicall`]), fault 2 for a wrong number or type of parameters.
    pub fn from_call(name: &str, params: &[Value]) -> Result<Method, Fault> {
        catalogue::find(name).ok_or_else(|| Fault::new(FaultCode::UnknownMethod))?.method(params)
    }

    /// The full name, aliases resolved: `supervisor.startProcess`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Method::GetApiVersion => "supervisor.getAPIVersion",
            Method::GetSupervisorVersion => "supervisor.getSupervisorVersion",
            Method::GetIdentification => "supervisor.getIdentification",
            Method::GetState => "supervisor.getState",
            Method::GetPid => "supervisor.getPID",
            Method::ReadLog { .. } => "supervisor.readLog",
            Method::ClearLog => "supervisor.clearLog",
            Method::Shutdown => "supervisor.shutdown",
            Method::Restart => "supervisor.restart",
            Method::ReloadConfig => "supervisor.reloadConfig",
            Method::AddProcessGroup { .. } => "supervisor.addProcessGroup",
            Method::RemoveProcessGroup { .. } => "supervisor.removeProcessGroup",
            Method::GetProcessInfo { .. } => "supervisor.getProcessInfo",
            Method::GetAllProcessInfo => "supervisor.getAllProcessInfo",
            Method::GetAllConfigInfo => "supervisor.getAllConfigInfo",
            Method::StartProcess { .. } => "supervisor.startProcess",
            Method::StartProcessGroup { .. } => "supervisor.startProcessGroup",
            Method::StartAllProcesses { .. } => "supervisor.startAllProcesses",
            Method::StopProcess { .. } => "supervisor.stopProcess",
            Method::StopProcessGroup { .. } => "supervisor.stopProcessGroup",
            Method::StopAllProcesses { .. } => "supervisor.stopAllProcesses",
            Method::SignalProcess { .. } => "supervisor.signalProcess",
            Method::SignalProcessGroup { .. } => "supervisor.signalProcessGroup",
            Method::SignalAllProcesses { .. } => "supervisor.signalAllProcesses",
            Method::SendProcessStdin { .. } => "supervisor.sendProcessStdin",
            Method::SendRemoteCommEvent { .. } => "supervisor.sendRemoteCommEvent",
            Method::ReadProcessLog { output: Output::Stdout, .. } => "supervisor.readProcessStdoutLog",
            Method::ReadProcessLog { output: Output::Stderr, .. } => "supervisor.readProcessStderrLog",
            Method::TailProcessLog { output: Output::Stdout, .. } => "supervisor.tailProcessStdoutLog",
            Method::TailProcessLog { output: Output::Stderr, .. } => "supervisor.tailProcessStderrLog",
            Method::ClearProcessLogs { .. } => "supervisor.clearProcessLogs",
            Method::ClearAllProcessLogs => "supervisor.clearAllProcessLogs",
            Method::Own(own) => own.name(),
            Method::Twiddler(twiddle) => twiddle.qualified(),
        }
    }

    /// Whether the call may change a process, a log, the configuration or the daemon, or shows secrets: such calls are
    /// audited.
    #[must_use]
    pub fn is_audited(&self) -> bool {
        match self {
            Method::GetApiVersion
            | Method::GetSupervisorVersion
            | Method::GetIdentification
            | Method::GetState
            | Method::GetPid
            | Method::ReadLog { .. }
            | Method::GetProcessInfo { .. }
            | Method::GetAllProcessInfo
            | Method::GetAllConfigInfo
            | Method::ReadProcessLog { .. }
            | Method::TailProcessLog { .. } => false,
            Method::Own(own) => own.is_audited(),
            Method::ClearLog
            | Method::Shutdown
            | Method::Restart
            | Method::ReloadConfig
            | Method::AddProcessGroup { .. }
            | Method::RemoveProcessGroup { .. }
            | Method::StartProcess { .. }
            | Method::StartProcessGroup { .. }
            | Method::StartAllProcesses { .. }
            | Method::StopProcess { .. }
            | Method::StopProcessGroup { .. }
            | Method::StopAllProcesses { .. }
            | Method::SignalProcess { .. }
            | Method::SignalProcessGroup { .. }
            | Method::SignalAllProcesses { .. }
            | Method::SendProcessStdin { .. }
            | Method::SendRemoteCommEvent { .. }
            | Method::ClearProcessLogs { .. }
            | Method::ClearAllProcessLogs => true,
            Method::Twiddler(twiddle) => twiddle.is_audited(),
        }
    }

    /// Whether who may only look may make the call: it changes nothing, shows no secrets and writes nothing.
    #[must_use]
    pub fn only_looks(&self) -> bool {
        // Commands may have passwords in them, and Supervisor's clients get them as they are.
        let exposes = matches!(self, Method::GetAllConfigInfo);
        !self.is_audited() && !exposes && !matches!(self, Method::Twiddler(Twiddle::Log { .. }))
    }

    /// The argument as the audit line shows it: whom the call is about, and the signal or the amount; empty without one.
    /// Always one line: names are what the client sent.
    /// What is sent to a program is never shown, it may be a password.
    #[must_use]
    pub fn argument(&self) -> String {
        printable(&self.raw_argument())
    }

    fn raw_argument(&self) -> String {
        match self {
            Method::GetApiVersion
            | Method::GetSupervisorVersion
            | Method::GetIdentification
            | Method::GetState
            | Method::GetPid
            | Method::ClearLog
            | Method::Shutdown
            | Method::Restart
            | Method::ReloadConfig
            | Method::GetAllProcessInfo
            | Method::GetAllConfigInfo
            | Method::StartAllProcesses { .. }
            | Method::StopAllProcesses { .. }
            | Method::ClearAllProcessLogs => String::new(),
            Method::Own(own) => own.argument(),
            Method::Twiddler(twiddle) => twiddle.argument(),
            Method::AddProcessGroup { name }
            | Method::RemoveProcessGroup { name }
            | Method::GetProcessInfo { name }
            | Method::StartProcess { name, .. }
            | Method::StartProcessGroup { name, .. }
            | Method::StopProcess { name, .. }
            | Method::StopProcessGroup { name, .. }
            | Method::ClearProcessLogs { name } => name.clone(),
            Method::SignalProcess { name, signal } | Method::SignalProcessGroup { name, signal } => {
                format!("{name} {signal}")
            }
            Method::SignalAllProcesses { signal } => signal.clone(),
            Method::SendProcessStdin { name, chars } => format!("{name} ({} bytes)", chars.len()),
            Method::SendRemoteCommEvent { kind, data } => format!("{kind} ({} bytes)", data.len()),
            Method::ReadLog { offset, length } => format!("{offset} {length}"),
            Method::ReadProcessLog { name, offset, length, .. }
            | Method::TailProcessLog { name, offset, length, .. } => format!("{name} {offset} {length}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, params: &[Value]) -> Result<Method, Fault> {
        Method::from_call(&format!("supervisor.{name}"), params)
    }

    fn web() -> String {
        "web".to_owned()
    }

    #[test]
    fn calls_become_typed() {
        let name = || Value::from("web");
        let cases = [
            (call("getVersion", &[]), Method::GetApiVersion),
            (call("readMainLog", &["-5".into(), 0.into()]), Method::ReadLog { offset: -5, length: 0 }),
            (call("startProcess", &[name()]), Method::StartProcess { name: web(), wait: true }),
            (call("startProcess", &[name(), 0.into()]), Method::StartProcess { name: web(), wait: false }),
            (call("stopAllProcesses", &[]), Method::StopAllProcesses { wait: true }),
            (call("stopAllProcesses", &[false.into()]), Method::StopAllProcesses { wait: false }),
            (call("signalProcess", &[name(), 15.into()]), Method::SignalProcess { name: web(), signal: "15".into() }),
            (
                call("readProcessLog", &[name(), 1.9.into(), true.into()]),
                Method::ReadProcessLog { name: web(), output: Output::Stdout, offset: 1, length: 1 },
            ),
            (
                call("tailProcessStderrLog", &[name(), 0.into(), 100.into()]),
                Method::TailProcessLog { name: web(), output: Output::Stderr, offset: 0, length: 100 },
            ),
            (call("clearProcessLog", &[name()]), Method::ClearProcessLogs { name: web() }),
        ];
        for (found, expected) in cases {
            assert_eq!(found, Ok(expected));
        }
    }

    #[test]
    fn wrong_calls_are_faults() {
        let cases = [
            (Method::from_call("supervisor.nothing", &[]), 1),
            (Method::from_call("getState", &[]), 1),
            (Method::from_call("supervisor.getState.x", &[]), 1),
            (Method::from_call("supervisor._update", &[]), 1),
            (Method::from_call("system.listMethods", &[]), 1),
            (call("getState", &[1.into()]), 2),
            (call("startProcess", &[]), 2),
            (call("startProcess", &["a".into(), true.into(), 1.into()]), 2),
            (call("startProcess", &[1.into()]), 2),
            (call("readLog", &["x".into(), 0.into()]), 2),
            (call("sendProcessStdin", &["a".into(), 5.into()]), 2),
            (call("signalProcess", &["a".into(), Value::Array(vec![])]), 2),
        ];
        for (found, code) in cases {
            assert_eq!(found.map_err(|fault| fault.code), Err(code));
        }
    }

    #[test]
    fn what_is_sent_to_a_program_is_not_audited() {
        let method = call("sendProcessStdin", &["web".into(), "hunter2".into()]).unwrap();
        assert!(method.is_audited());
        assert_eq!(method.argument(), "web (7 bytes)");
        let forged = call("stopProcess", &["web\n2024-01-01 INFO all is well".into()]).unwrap();
        assert_eq!(forged.argument(), "web\\n2024-01-01 INFO all is well");
    }
}

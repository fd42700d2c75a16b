//! Supervisor's table of faults (`supervisor-rpc.tsv`).

use crate::engine::{Refusal, SpawnError};

/// Fault codes of Supervisor 4.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultCode {
    UnknownMethod = 1,
    IncorrectParameters = 2,
    BadArguments = 3,
    SignatureUnsupported = 4,
    ShutdownState = 6,
    BadName = 10,
    BadSignal = 11,
    NoFile = 20,
    NotExecutable = 21,
    Failed = 30,
    AbnormalTermination = 40,
    SpawnError = 50,
    AlreadyStarted = 60,
    NotRunning = 70,
    Success = 80,
    AlreadyAdded = 90,
    StillRunning = 91,
    CantReread = 92,
}

impl FaultCode {
    /// Every code, ascending.
    pub const ALL: [FaultCode; 18] = [
        FaultCode::UnknownMethod,
        FaultCode::IncorrectParameters,
        FaultCode::BadArguments,
        FaultCode::SignatureUnsupported,
        FaultCode::ShutdownState,
        FaultCode::BadName,
        FaultCode::BadSignal,
        FaultCode::NoFile,
        FaultCode::NotExecutable,
        FaultCode::Failed,
        FaultCode::AbnormalTermination,
        FaultCode::SpawnError,
        FaultCode::AlreadyStarted,
        FaultCode::NotRunning,
        FaultCode::Success,
        FaultCode::AlreadyAdded,
        FaultCode::StillRunning,
        FaultCode::CantReread,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i64 {
        self as i64
    }

    /// The name that starts every fault's text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            FaultCode::UnknownMethod => "UNKNOWN_METHOD",
            FaultCode::IncorrectParameters => "INCORRECT_PARAMETERS",
            FaultCode::BadArguments => "BAD_ARGUMENTS",
            FaultCode::SignatureUnsupported => "SIGNATURE_UNSUPPORTED",
            FaultCode::ShutdownState => "SHUTDOWN_STATE",
            FaultCode::BadName => "BAD_NAME",
            FaultCode::BadSignal => "BAD_SIGNAL",
            FaultCode::NoFile => "NO_FILE",
            FaultCode::NotExecutable => "NOT_EXECUTABLE",
            FaultCode::Failed => "FAILED",
            FaultCode::AbnormalTermination => "ABNORMAL_TERMINATION",
            FaultCode::SpawnError => "SPAWN_ERROR",
            FaultCode::AlreadyStarted => "ALREADY_STARTED",
            FaultCode::NotRunning => "NOT_RUNNING",
            FaultCode::Success => "SUCCESS",
            FaultCode::AlreadyAdded => "ALREADY_ADDED",
            FaultCode::StillRunning => "STILL_RUNNING",
            FaultCode::CantReread => "CANT_REREAD",
        }
    }

    /// The code of this number; `None` for one that Supervisor 4.3 does not have.
    #[must_use]
    pub fn from_number(number: i64) -> Option<FaultCode> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }
}

/// A refused call: a code, and its name alone or `NAME: detail`.
///
/// The code is a bare number because a client must be able to hold faults of servers newer than this table;
/// `known` gives the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    pub code: i64,
    pub text: String,
}

impl Fault {
    /// The fault whose text is its name alone.
    #[must_use]
    pub fn new(code: FaultCode) -> Fault {
        Fault { code: code.number(), text: code.name().to_owned() }
    }

    /// The fault whose text is `NAME: detail`.
    #[must_use]
    pub fn with(code: FaultCode, detail: impl std::fmt::Display) -> Fault {
        Fault { code: code.number(), text: format!("{}: {detail}", code.name()) }
    }

    /// The code, if it is one of Supervisor 4.3's.
    #[must_use]
    pub fn known(&self) -> Option<FaultCode> {
        FaultCode::from_number(self.code)
    }

    /// What follows `NAME: ` in the text, if anything does.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.known().and_then(|code| self.text.strip_prefix(code.name())).and_then(|rest| rest.strip_prefix(": "))
    }

    /// What a client is told about `refusal` of the process or group that it called `name`.
    ///
    /// Source: supervisor 4.3, rpcinterface.py: all faults about a process carry the name as the client gave it, except
    /// those that carry a reason, and `SHUTDOWN_STATE`, which carries nothing.
    #[must_use]
    pub fn refused(refusal: Refusal, name: &str) -> Fault {
        match refusal {
            Refusal::ShutdownState
            | Refusal::Failed(_)
            | Refusal::Spawn(SpawnError::NotFound(_) | SpawnError::NotExecutable(_)) => Fault::from(refusal),
            Refusal::BadName
            | Refusal::Spawn(SpawnError::Failed(_) | SpawnError::Starved(_))
            | Refusal::SpawnError
            | Refusal::AbnormalTermination
            | Refusal::AlreadyStarted
            | Refusal::NotRunning
            | Refusal::AlreadyAdded
            | Refusal::StillRunning => Fault::with(code_of(&refusal), name),
        }
    }
}

/// The fault without a name in it; see [`Fault::refused`] for the one that clients get.
impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Fault {
        let code = code_of(&refusal);
        match refusal {
            Refusal::Spawn(error) => Fault::with(code, error),
            Refusal::Failed(text) => Fault::with(code, text),
            Refusal::BadName
            | Refusal::SpawnError
            | Refusal::AbnormalTermination
            | Refusal::AlreadyStarted
            | Refusal::NotRunning
            | Refusal::AlreadyAdded
            | Refusal::StillRunning
            | Refusal::ShutdownState => Fault::new(code),
        }
    }
}

fn code_of(refusal: &Refusal) -> FaultCode {
    match refusal {
        Refusal::BadName => FaultCode::BadName,
        Refusal::Spawn(SpawnError::NotFound(_)) => FaultCode::NoFile,
        Refusal::Spawn(SpawnError::NotExecutable(_)) => FaultCode::NotExecutable,
        Refusal::Spawn(SpawnError::Failed(_) | SpawnError::Starved(_)) | Refusal::SpawnError => FaultCode::SpawnError,
        Refusal::Failed(_) => FaultCode::Failed,
        Refusal::AbnormalTermination => FaultCode::AbnormalTermination,
        Refusal::AlreadyStarted => FaultCode::AlreadyStarted,
        Refusal::NotRunning => FaultCode::NotRunning,
        Refusal::AlreadyAdded => FaultCode::AlreadyAdded,
        Refusal::StillRunning => FaultCode::StillRunning,
        Refusal::ShutdownState => FaultCode::ShutdownState,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_the_name_or_the_name_and_a_detail() {
        assert_eq!(Fault::new(FaultCode::ShutdownState).text, "SHUTDOWN_STATE");
        let fault = Fault::with(FaultCode::BadName, "web");
        assert_eq!((fault.code, fault.text.as_str(), fault.detail()), (10, "BAD_NAME: web", Some("web")));
        assert_eq!(Fault::new(FaultCode::BadName).detail(), None);
    }

    #[test]
    fn numbers_and_codes_belong_together() {
        for code in FaultCode::ALL {
            assert_eq!(FaultCode::from_number(code.number()), Some(code));
        }
        for unused in [0, 5, 7, 8, 9, 93, -1, i64::MAX] {
            assert_eq!(FaultCode::from_number(unused), None);
        }
    }

    #[test]
    fn refusals_become_supervisors_texts() {
        let cases = [
            (Refusal::BadName, 10, "BAD_NAME: g:p"),
            (Refusal::Spawn(SpawnError::NotFound("/x".into())), 20, "NO_FILE: can't find command '/x'"),
            (
                Refusal::Spawn(SpawnError::NotExecutable("command at '/x' is a directory".into())),
                21,
                "NOT_EXECUTABLE: command at '/x' is a directory",
            ),
            (
                Refusal::Spawn(SpawnError::Failed("unknown error making dispatchers for 'p': EACCES".into())),
                50,
                "SPAWN_ERROR: g:p",
            ),
            (Refusal::SpawnError, 50, "SPAWN_ERROR: g:p"),
            (
                Refusal::Failed("g:p is in an unknown process state".into()),
                30,
                "FAILED: g:p is in an unknown process state",
            ),
            (Refusal::AbnormalTermination, 40, "ABNORMAL_TERMINATION: g:p"),
            (Refusal::AlreadyStarted, 60, "ALREADY_STARTED: g:p"),
            (Refusal::NotRunning, 70, "NOT_RUNNING: g:p"),
            (Refusal::AlreadyAdded, 90, "ALREADY_ADDED: g:p"),
            (Refusal::StillRunning, 91, "STILL_RUNNING: g:p"),
            (Refusal::ShutdownState, 6, "SHUTDOWN_STATE"),
        ];
        for (refusal, code, text) in cases {
            let fault = Fault::refused(refusal, "g:p");
            assert_eq!((fault.code, fault.text.as_str()), (code, text));
        }
    }
}

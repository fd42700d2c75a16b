//! The methods of `supervisor_twiddler` 1.0: programs added and removed at run time, a line for the log.
//!
//! Source: `supervisor_twiddler` 1.0.0, `rpcinterface.py`; names, parameters, results and faults are its own.

use super::arguments::Arguments;
use super::catalogue::{Entry, entry, optional, param};
use super::fault::{Fault, FaultCode};
use super::method::Method;
use super::value::Value;

/// The version of the twiddler's interface.
pub const TWIDDLER_VERSION: &str = "1.0";

/// What its `NOT_IN_WHITELIST` is on the wire; Supervisor has no name for it.
const NOT_IN_WHITELIST: i64 = 230;

/// One call of the twiddler with typed arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Twiddle {
    GetApiVersion,
    GetGroupNames,
    /// `level` is the number of one of Supervisor's levels.
    Log {
        message: String,
        level: u64,
    },
    /// The options are those of a `[program:x]`, as text.
    AddProgramToGroup {
        group: String,
        program: String,
        options: Vec<(String, String)>,
    },
    RemoveProcessFromGroup {
        group: String,
        process: String,
    },
}

/// Sorted by name.
pub(super) static ENTRIES: [Entry; 5] = [
    entry(
        "addProgramToGroup",
        &[
            param("string", "group_name", "the name of a group that exists"),
            param("string", "program_name", "the name of the program, as in [program:NAME]"),
            param("struct", "program_options", "the keys of a [program:x] section"),
        ],
        ("boolean", "always true"),
        "Adds a program to a group, with one process or several by its numprocs, and starts them if they are autostart.",
        |args| {
            Ok(Method::Twiddler(Twiddle::AddProgramToGroup {
                group: args.scalar("group_name")?,
                program: args.scalar("program_name")?,
                options: options(args)?,
            }))
        },
    ),
    entry(
        "getAPIVersion",
        &[],
        ("int", "the version, as a string"),
        "Tells which version of the twiddler's interface is spoken.",
        |_| Ok(Method::Twiddler(Twiddle::GetApiVersion)),
    ),
    entry("getGroupNames", &[], ("array", "the names"), "Lists the groups that exist.", |_| {
        Ok(Method::Twiddler(Twiddle::GetGroupNames))
    }),
    entry(
        "log",
        &[
            param("string", "message", "the text of the line"),
            optional("string|int", "level", "a level's name or number, INFO (20) if it is left out"),
        ],
        ("boolean", "always true"),
        "Writes a line into the daemon's own log.",
        |args| Ok(Method::Twiddler(Twiddle::Log { message: message(args)?, level: level(args)? })),
    ),
    entry(
        "removeProcessFromGroup",
        &[
            param("string", "group_name", "the name of a group that exists"),
            param("string", "process_name", "the name of one of its processes, which must be stopped"),
        ],
        ("boolean", "always true"),
        "Takes one process out of a group.",
        |args| {
            Ok(Method::Twiddler(Twiddle::RemoveProcessFromGroup {
                group: args.scalar("group_name")?,
                process: args.scalar("process_name")?,
            }))
        },
    ),
];

fn refused<T>() -> Result<T, Fault> {
    Err(Fault::new(FaultCode::IncorrectParameters))
}

/// A struct, or what Python's `dict` makes one of: pairs of a name and a value.
fn options(args: &mut Arguments<'_>) -> Result<Vec<(String, String)>, Fault> {
    match args.any()? {
        Value::Struct(members) => {
            members.iter().map(|(name, value)| Ok((name.to_string(), option_text(value)?))).collect()
        }
        Value::Array(pairs) => pairs
            .iter()
            .map(|pair| match pair.as_array() {
                Some([Value::String(name), value]) => Ok((name.clone(), option_text(value)?)),
                _ => refused(),
            })
            .collect(),
        _ => refused(),
    }
}

/// A value as the file would have it.
fn option_text(value: &Value) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Int(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        // A whole number to all keys that take one.
        Value::Double(number) if number.is_finite() => Ok(format!("{:.0}", number.trunc())),
        Value::Double(_) | Value::DateTime(_) | Value::Array(_) | Value::Struct(_) => refused(),
    }
}

fn message(args: &mut Arguments<'_>) -> Result<String, Fault> {
    match args.any()? {
        Value::DateTime(_) | Value::Array(_) | Value::Struct(_) => refused(),
        Value::String(text) => Ok(text.clone()),
        Value::Int(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Double(number) => Ok(number.to_string()),
    }
}

/// Supervisor's levels, by the names its log shows.
const LEVELS: [(&str, u64); 7] =
    [("CRIT", 50), ("ERRO", 40), ("WARN", 30), ("INFO", 20), ("DEBG", 10), ("TRAC", 5), ("BLAT", 3)];

fn level(args: &mut Arguments<'_>) -> Result<u64, Fault> {
    let Some(value) = args.any_more() else { return Ok(20) };
    let number = match value {
        Value::String(name) => {
            let name = name.to_uppercase();
            LEVELS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
        }
        Value::Int(number) => u64::try_from(*number).ok(),
        // One without a fraction is shown, and so read, as a whole number.
        Value::Double(number) => number.to_string().parse().ok(),
        Value::Bool(_) | Value::DateTime(_) | Value::Array(_) | Value::Struct(_) => None,
    };
    match number {
        Some(number) if LEVELS.iter().any(|(_, known)| *known == number) => Ok(number),
        _ => refused(),
    }
}

impl Twiddle {
    /// The method's name without its namespace.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.qualified().strip_prefix("twiddler.").unwrap_or_default()
    }

    pub(super) fn qualified(&self) -> &'static str {
        match self {
            Twiddle::GetApiVersion => "twiddler.getAPIVersion",
            Twiddle::GetGroupNames => "twiddler.getGroupNames",
            Twiddle::Log { .. } => "twiddler.log",
            Twiddle::AddProgramToGroup { .. } => "twiddler.addProgramToGroup",
            Twiddle::RemoveProcessFromGroup { .. } => "twiddler.removeProcessFromGroup",
        }
    }

    pub(super) fn is_audited(&self) -> bool {
        matches!(self, Twiddle::AddProgramToGroup { .. } | Twiddle::RemoveProcessFromGroup { .. })
    }

    /// Whom the call is about. Options may hold passwords and are not shown.
    pub(super) fn argument(&self) -> String {
        match self {
            Twiddle::GetApiVersion | Twiddle::GetGroupNames | Twiddle::Log { .. } => String::new(),
            Twiddle::AddProgramToGroup { group, program, .. } => format!("{group} {program}"),
            Twiddle::RemoveProcessFromGroup { group, process } => format!("{group}:{process}"),
        }
    }

    /// The fault of a method that the whitelist does not have.
    pub(super) fn not_allowed(&self) -> Fault {
        Fault { code: NOT_IN_WHITELIST, text: format!("UNKNOWN: {}", self.name()) }
    }
}

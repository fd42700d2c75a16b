//! Words out of a fixed set, lists of words, names.

use super::ValueError;
use crate::config::ini::is_space;
use crate::config::{CgroupChoice, LogLevelName};
use crate::engine::AutoRestart;

/// The event types a listener may name, abstract ones included.
/// Source: Supervisor 4.3.0, events.py, `EventTypes`.
pub const EVENT_TYPES: [&str; 27] = [
    "EVENT",
    "PROCESS_STATE",
    "PROCESS_STATE_STOPPED",
    "PROCESS_STATE_EXITED",
    "PROCESS_STATE_STARTING",
    "PROCESS_STATE_STOPPING",
    "PROCESS_STATE_BACKOFF",
    "PROCESS_STATE_FATAL",
    "PROCESS_STATE_RUNNING",
    "PROCESS_STATE_UNKNOWN",
    "PROCESS_COMMUNICATION",
    "PROCESS_COMMUNICATION_STDOUT",
    "PROCESS_COMMUNICATION_STDERR",
    "PROCESS_LOG",
    "PROCESS_LOG_STDOUT",
    "PROCESS_LOG_STDERR",
    "REMOTE_COMMUNICATION",
    "SUPERVISOR_STATE_CHANGE",
    "SUPERVISOR_STATE_CHANGE_RUNNING",
    "SUPERVISOR_STATE_CHANGE_STOPPING",
    "TICK",
    "TICK_5",
    "TICK_60",
    "TICK_3600",
    "PROCESS_GROUP",
    "PROCESS_GROUP_ADDED",
    "PROCESS_GROUP_REMOVED",
];

/// yes, true, on, 1; no, false, off, 0; in any case.
///
/// # Errors
/// On anything else, blanks included.
pub fn boolean(text: &str) -> Result<bool, ValueError> {
    truth(&text.to_lowercase()).ok_or_else(|| ValueError::NotBoolean { found: text.to_owned() })
}

/// A boolean, or `unexpected`.
///
/// # Errors
/// On anything else.
pub fn auto_restart(text: &str) -> Result<AutoRestart, ValueError> {
    let lower = text.to_lowercase();
    match truth(&lower) {
        Some(true) => Ok(AutoRestart::Always),
        Some(false) => Ok(AutoRestart::Never),
        None if lower == "unexpected" => Ok(AutoRestart::Unexpected),
        None => Err(ValueError::NotAutoRestart { found: lower }),
    }
}

fn truth(lower: &str) -> Option<bool> {
    match lower {
        "yes" | "true" | "on" | "1" => Some(true),
        "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// The level of the activity log.
///
/// # Errors
/// If there is no level of that name.
pub fn log_level(text: &str) -> Result<LogLevelName, ValueError> {
    match text.to_lowercase().as_str() {
        "critical" => Ok(LogLevelName::Critical),
        "error" => Ok(LogLevelName::Error),
        "warn" => Ok(LogLevelName::Warn),
        "info" => Ok(LogLevelName::Info),
        "debug" => Ok(LogLevelName::Debug),
        "trace" => Ok(LogLevelName::Trace),
        "blather" => Ok(LogLevelName::Blather),
        _ => Err(ValueError::NotLogLevel { found: text.to_owned() }),
    }
}

/// Below which cgroup programs get their own.
///
/// # Errors
///
/// For a relative path.
pub fn cgroup(text: &str) -> Result<CgroupChoice, ValueError> {
    match text {
        "auto" => Ok(CgroupChoice::Auto),
        "none" => Ok(CgroupChoice::None),
        path if path.starts_with('/') => Ok(CgroupChoice::Below(path.into())),
        _ => Err(ValueError::NotCgroup { found: text.to_owned() }),
    }
}

/// Parts between commas, trimmed; empty parts are kept, an empty text has none.
#[must_use]
pub fn list_of_strings(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',').map(|part| part.trim_matches(is_space).to_owned()).collect()
}

/// The name of a process or group, trimmed.
///
/// # Errors
/// If it holds what would break listeners' headers or the web page's addresses.
pub fn process_or_group_name(text: &str) -> Result<String, ValueError> {
    let name = text.trim_matches(is_space);
    match [' ', ':', '/'].into_iter().find(|character| name.contains(*character)) {
        Some(character) => Err(ValueError::BadName { found: text.to_owned(), character }),
        None => Ok(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused<T: std::fmt::Debug>(result: Result<T, ValueError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn booleans_and_autorestart() {
        for text in ["yes", "TRUE", "On", "1"] {
            assert_eq!((boolean(text), auto_restart(text)), (Ok(true), Ok(AutoRestart::Always)));
        }
        for text in ["no", "FALSE", "Off", "0"] {
            assert_eq!((boolean(text), auto_restart(text)), (Ok(false), Ok(AutoRestart::Never)));
        }
        assert_eq!(auto_restart("Unexpected"), Ok(AutoRestart::Unexpected));
        assert_eq!(refused(boolean("Maybe")), "not a valid boolean value: 'Maybe'");
        assert_eq!(refused(boolean("")), "not a valid boolean value: ''");
        assert_eq!(refused(boolean("unexpected")), "not a valid boolean value: 'unexpected'");
        assert_eq!(refused(auto_restart("Maybe")), "invalid 'autorestart' value 'maybe'");
        assert_eq!(refused(auto_restart("true ")), "invalid 'autorestart' value 'true '");
    }

    #[test]
    fn log_levels_have_supervisors_names() {
        assert_eq!(log_level("INFO"), Ok(LogLevelName::Info));
        assert_eq!(log_level("blather"), Ok(LogLevelName::Blather));
        assert_eq!(refused(log_level("Warning")), "bad logging level name 'Warning'");
    }

    #[test]
    fn a_cgroup_is_named_by_an_absolute_path() {
        assert_eq!(cgroup("auto"), Ok(CgroupChoice::Auto));
        assert_eq!(cgroup("none"), Ok(CgroupChoice::None));
        assert_eq!(cgroup("/sys/fs/cgroup/x"), Ok(CgroupChoice::Below("/sys/fs/cgroup/x".into())));
        assert_eq!(refused(cgroup("x")), "value 'x' is neither 'auto' nor 'none' nor an absolute path");
    }

    #[test]
    fn lists_keep_empty_parts() {
        assert_eq!(list_of_strings(""), [""; 0]);
        assert_eq!(list_of_strings(" "), [""]);
        assert_eq!(list_of_strings("a, b\n,c,"), ["a", "b", "c", ""]);
    }

    #[test]
    fn names_are_safe() {
        assert_eq!(process_or_group_name(" web_1\n").unwrap(), "web_1");
        assert_eq!(refused(process_or_group_name("a b")), "Invalid name: 'a b' because of character: ' '");
        assert_eq!(refused(process_or_group_name("a/b:c")), "Invalid name: 'a/b:c' because of character: ':'");
        assert_eq!(refused(process_or_group_name("a/b ")), "Invalid name: 'a/b ' because of character: '/'");
    }

    proptest! {
        #[test]
        fn lists_join_and_split(parts in proptest::collection::vec("[a-z]{1,4}", 1..5)) {
            prop_assert_eq!(list_of_strings(&parts.join(" , ")), parts);
        }
    }
}

//! The table of all 41 methods: names, parameters, results, help; and the calls that only read this table.

use super::arguments::Arguments;
use super::fault::{Fault, FaultCode};
use super::method::{Method, Output};
use super::value::Value;

pub(super) type Build = fn(&mut Arguments<'_>) -> Result<Method, Fault>;

/// A parameter: its type as `system.methodSignature` spells it, its name, what it means.
pub(super) struct Param {
    pub(super) kind: &'static str,
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    pub(super) optional: bool,
}

pub(super) const fn param(kind: &'static str, name: &'static str, text: &'static str) -> Param {
    Param { kind, name, text, optional: false }
}

pub(super) const fn optional(kind: &'static str, name: &'static str, text: &'static str) -> Param {
    Param { kind, name, text, optional: true }
}

/// One row of the table.
pub(super) struct Entry {
    name: &'static str,
    params: &'static [Param],
    returns: &'static str,
    /// What the result is.
    result: &'static str,
    help: &'static str,
    /// `None`: not a call for the control loop.
    build: Option<Build>,
}

pub(super) const fn entry(
    name: &'static str,
    params: &'static [Param],
    (returns, result): (&'static str, &'static str),
    help: &'static str,
    build: Build,
) -> Entry {
    Entry { name, params, returns, result, help, build: Some(build) }
}

const fn system(
    name: &'static str,
    params: &'static [Param],
    (returns, result): (&'static str, &'static str),
    help: &'static str,
) -> Entry {
    Entry { name, params, returns, result, help, build: None }
}

const GROUP: Param = param("string", "name", "the group's name");
pub(super) const PROCESS: Param = param("string", "name", "a process: NAME or GROUP:NAME");
const PROCESS_OR_GROUP: Param = param("string", "name", "a process: NAME or GROUP:NAME, or a whole group: GROUP:*");
const SIGNAL: Param = param("string", "signal", "a name, with or without SIG, or a number");
const OFFSET: Param = param("int", "offset", "first byte to read; below zero with length 0: the last bytes");
const LENGTH: Param = param("int", "length", "bytes to read, 0 for all up to the end");
const TAIL_OFFSET: Param = param("int", "offset", "where the caller's last tail ended, 0 at first");
const TAIL_LENGTH: Param = param("int", "length", "most bytes to return");
const WAIT: Param = optional("boolean", "wait", "answer when it is done (the default), not at once");

const TRUE: (&str, &str) = ("boolean", "always true");
const STATUSES: (&str, &str) = ("array", "a struct (name, group, status, description) for each process");
const SLICE: (&str, &str) = ("string", "the text; bytes that are not UTF-8 are replaced");
const TAIL: (&str, &str) = ("array", "the text, the offset for the next call, whether bytes were skipped");
const API: (&str, &str) = ("string", "the version of the interface");

const READ_LOG_HELP: &str = "Reads a part of the daemon's own log, counted in bytes.";
const API_HELP: &str = "Tells which version of the XML-RPC interface is spoken.";
const READ_STDOUT_HELP: &str = "Reads a part of a process's stdout log, counted in bytes.";
const TAIL_STDOUT_HELP: &str = "Returns what was appended to a process's stdout log since the last call.\n\
    When more than length bytes were, only the last length bytes are returned and the third element is true.";
const CLEAR_HELP: &str = "Empties a process's stdout and stderr logs and goes on writing to fresh files.";

/// Sorted by name, as `system.listMethods` lists them.
static ENTRIES: [Entry; 41] = [
    entry(
        "supervisor.addProcessGroup",
        &[GROUP],
        TRUE,
        "Creates a group of the configuration that was read last, and starts its autostart processes.",
        |args| Ok(Method::AddProcessGroup { name: args.text("name")? }),
    ),
    entry("supervisor.clearAllProcessLogs", &[], STATUSES, "Clears the logs of every process.", |_| {
        Ok(Method::ClearAllProcessLogs)
    }),
    entry("supervisor.clearLog", &[], TRUE, "Empties the daemon's own log.", |_| Ok(Method::ClearLog)),
    entry("supervisor.clearProcessLog", &[PROCESS], TRUE, CLEAR_HELP, clear_logs),
    entry("supervisor.clearProcessLogs", &[PROCESS], TRUE, CLEAR_HELP, clear_logs),
    entry("supervisor.getAPIVersion", &[], API, API_HELP, |_| Ok(Method::GetApiVersion)),
    entry(
        "supervisor.getAllConfigInfo",
        &[],
        ("array", "a struct of settings for each process"),
        "Shows the settings of every process in the configuration that was read last.",
        |_| Ok(Method::GetAllConfigInfo),
    ),
    entry(
        "supervisor.getAllProcessInfo",
        &[],
        ("array", "a struct as getProcessInfo returns, for each process"),
        "Shows the state of every process, sorted by group and name.",
        |_| Ok(Method::GetAllProcessInfo),
    ),
    entry(
        "supervisor.getIdentification",
        &[],
        ("string", "the identifier"),
        "Tells the identifier that the configuration gives to this daemon.",
        |_| Ok(Method::GetIdentification),
    ),
    entry("supervisor.getPID", &[], ("int", "the process id"), "Tells the daemon's process id.", |_| {
        Ok(Method::GetPid)
    }),
    entry(
        "supervisor.getProcessInfo",
        &[PROCESS],
        ("struct", "state, pid, times, exit status, log files, description"),
        "Shows the state of one process.",
        |args| Ok(Method::GetProcessInfo { name: args.text("name")? }),
    ),
    entry(
        "supervisor.getState",
        &[],
        ("struct", "statecode (int) and statename (string)"),
        "Tells the state of the daemon itself.",
        |_| Ok(Method::GetState),
    ),
    entry(
        "supervisor.getSupervisorVersion",
        &[],
        ("string", "the version"),
        "Tells the version of Supervisor whose behaviour is kept.",
        |_| Ok(Method::GetSupervisorVersion),
    ),
    entry("supervisor.getVersion", &[], API, API_HELP, |_| Ok(Method::GetApiVersion)),
    entry("supervisor.readLog", &[OFFSET, LENGTH], SLICE, READ_LOG_HELP, read_log),
    entry("supervisor.readMainLog", &[OFFSET, LENGTH], SLICE, READ_LOG_HELP, read_log),
    entry("supervisor.readProcessLog", &[PROCESS, OFFSET, LENGTH], SLICE, READ_STDOUT_HELP, read_stdout),
    entry(
        "supervisor.readProcessStderrLog",
        &[PROCESS, OFFSET, LENGTH],
        SLICE,
        "Reads a part of a process's stderr log, counted in bytes.",
        |args| read_process_log(args, Output::Stderr),
    ),
    entry("supervisor.readProcessStdoutLog", &[PROCESS, OFFSET, LENGTH], SLICE, READ_STDOUT_HELP, read_stdout),
    entry(
        "supervisor.reloadConfig",
        &[],
        ("array", "one element: the arrays of added, changed and removed groups' names"),
        "Reads the configuration again and tells how it differs from what runs. Changes no group.",
        |_| Ok(Method::ReloadConfig),
    ),
    entry(
        "supervisor.removeProcessGroup",
        &[GROUP],
        TRUE,
        "Forgets a group all of whose processes are stopped.",
        |args| Ok(Method::RemoveProcessGroup { name: args.text("name")? }),
    ),
    entry(
        "supervisor.restart",
        &[],
        TRUE,
        "Stops every process, reads the configuration again and starts anew. Answers at once.",
        |_| Ok(Method::Restart),
    ),
    entry(
        "supervisor.sendProcessStdin",
        &[PROCESS, param("string", "chars", "the text, sent as UTF-8")],
        TRUE,
        "Writes text to a process's standard input.",
        |args| Ok(Method::SendProcessStdin { name: args.text("name")?, chars: args.text("chars")? }),
    ),
    entry(
        "supervisor.sendRemoteCommEvent",
        &[param("string", "type", "the event's type line"), param("string", "data", "the event's body")],
        TRUE,
        "Sends a REMOTE_COMMUNICATION event to the listeners that asked for it.",
        |args| Ok(Method::SendRemoteCommEvent { kind: args.shown()?, data: args.shown()? }),
    ),
    entry("supervisor.shutdown", &[], TRUE, "Stops every process and ends the daemon. Answers at once.", |_| {
        Ok(Method::Shutdown)
    }),
    entry("supervisor.signalAllProcesses", &[SIGNAL], STATUSES, "Sends a signal to every process that runs.", |args| {
        Ok(Method::SignalAllProcesses { signal: args.scalar("signal")? })
    }),
    entry(
        "supervisor.signalProcess",
        &[PROCESS_OR_GROUP, SIGNAL],
        ("boolean", "true; for a group the array of signalProcessGroup"),
        "Sends a signal to a process.",
        |args| Ok(Method::SignalProcess { name: args.text("name")?, signal: args.scalar("signal")? }),
    ),
    entry(
        "supervisor.signalProcessGroup",
        &[GROUP, SIGNAL],
        STATUSES,
        "Sends a signal to every process of a group that runs.",
        |args| Ok(Method::SignalProcessGroup { name: args.text("name")?, signal: args.scalar("signal")? }),
    ),
    entry("supervisor.startAllProcesses", &[WAIT], STATUSES, "Starts every process that does not run.", |args| {
        Ok(Method::StartAllProcesses { wait: args.switch() })
    }),
    entry(
        "supervisor.startProcess",
        &[PROCESS_OR_GROUP, WAIT],
        ("boolean", "true; for a group the array of startProcessGroup"),
        "Starts a process, by default waiting until it has stayed up for its startsecs.",
        |args| Ok(Method::StartProcess { name: args.text("name")?, wait: args.switch() }),
    ),
    entry(
        "supervisor.startProcessGroup",
        &[GROUP, WAIT],
        STATUSES,
        "Starts every process of a group that does not run.",
        |args| Ok(Method::StartProcessGroup { name: args.text("name")?, wait: args.switch() }),
    ),
    entry("supervisor.stopAllProcesses", &[WAIT], STATUSES, "Stops every process that runs.", |args| {
        Ok(Method::StopAllProcesses { wait: args.switch() })
    }),
    entry(
        "supervisor.stopProcess",
        &[PROCESS_OR_GROUP, WAIT],
        ("boolean", "true; for a group the array of stopProcessGroup"),
        "Stops a process, by default waiting until it has ended.",
        |args| Ok(Method::StopProcess { name: args.text("name")?, wait: args.switch() }),
    ),
    entry(
        "supervisor.stopProcessGroup",
        &[GROUP, WAIT],
        STATUSES,
        "Stops every process of a group that runs.",
        |args| Ok(Method::StopProcessGroup { name: args.text("name")?, wait: args.switch() }),
    ),
    entry("supervisor.tailProcessLog", &[PROCESS, TAIL_OFFSET, TAIL_LENGTH], TAIL, TAIL_STDOUT_HELP, tail_stdout),
    entry(
        "supervisor.tailProcessStderrLog",
        &[PROCESS, TAIL_OFFSET, TAIL_LENGTH],
        TAIL,
        "Returns what was appended to a process's stderr log since the last call; see tailProcessStdoutLog.",
        |args| tail_process_log(args, Output::Stderr),
    ),
    entry("supervisor.tailProcessStdoutLog", &[PROCESS, TAIL_OFFSET, TAIL_LENGTH], TAIL, TAIL_STDOUT_HELP, tail_stdout),
    system("system.listMethods", &[], ("array", "the names, sorted"), "Lists the methods that can be called."),
    system(
        "system.methodHelp",
        &[param("string", "name", "the method's full name")],
        ("string", "a text like this one"),
        "Explains a method.",
    ),
    system(
        "system.methodSignature",
        &[param("string", "name", "the method's full name")],
        ("array", "the type of the result, then the type of each parameter"),
        "Tells the types of a method's result and parameters; optional parameters are included.",
    ),
    system(
        "system.multicall",
        &[param("array", "calls", "structs with methodName (string) and params (array)")],
        ("array", "for each call its bare result, or a struct with faultCode and faultString"),
        "Makes several calls one after another.",
    ),
];

fn clear_logs(args: &mut Arguments<'_>) -> Result<Method, Fault> {
    Ok(Method::ClearProcessLogs { name: args.text("name")? })
}

fn read_log(args: &mut Arguments<'_>) -> Result<Method, Fault> {
    Ok(Method::ReadLog { offset: args.whole("offset")?, length: args.whole("length")? })
}

fn read_stdout(args: &mut Arguments<'_>) -> Result<Method, Fault> {
    read_process_log(args, Output::Stdout)
}

fn read_process_log(args: &mut Arguments<'_>, output: Output) -> Result<Method, Fault> {
    let name = args.text("name")?;
    Ok(Method::ReadProcessLog { name, output, offset: args.whole("offset")?, length: args.whole("length")? })
}

fn tail_stdout(args: &mut Arguments<'_>) -> Result<Method, Fault> {
    tail_process_log(args, Output::Stdout)
}

fn tail_process_log(args: &mut Arguments<'_>, output: Output) -> Result<Method, Fault> {
    let name = args.text("name")?;
    Ok(Method::TailProcessLog { name, output, offset: args.whole("offset")?, length: args.whole("length")? })
}

/// The methods of a namespace, without it.
pub(super) fn names(namespace: &str) -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().filter_map(move |entry| entry.name.strip_prefix(namespace)?.strip_prefix('.'))
}

/// The row of this full name.
pub(super) fn find(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == name)
}

impl Entry {
    /// The name: with its namespace in this table, without it in that of an interface whose namespace is up to the
    /// configuration.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the method can be called with so many parameters.
    fn takes(&self, count: usize) -> bool {
        let needed = self.params.iter().filter(|param| !param.optional).count();
        (needed..=self.params.len()).contains(&count)
    }

    /// The typed call: fault 2 for wrong parameters, fault 1 for a method that is not for the control loop.
    pub(super) fn method(&self, params: &[Value]) -> Result<Method, Fault> {
        if !self.takes(params.len()) {
            return Err(Fault::new(FaultCode::IncorrectParameters));
        }
        let build = self.build.ok_or_else(|| Fault::new(FaultCode::UnknownMethod))?;
        build(&mut Arguments::new(params))
    }

    pub(super) fn help(&self) -> String {
        let params = self.params.iter().map(|Param { kind, name, text, .. }| format!("@param {kind} {name}  {text}\n"));
        let returns = format!("@return {} result  {}\n", self.returns, self.result);
        format!("{}\n\n{}{returns}", self.help, params.collect::<String>())
    }

    pub(super) fn signature(&self) -> Value {
        let types = std::iter::once(self.returns).chain(self.params.iter().map(|param| param.kind));
        Value::from(types.collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::Interfaces;

    fn introspect(name: &str, params: &[Value]) -> Option<Result<Value, Fault>> {
        Interfaces::default().introspect(name, params)
    }

    /// What Supervisor 4.3.0 answers to `system.methodSignature` for each of its methods.
    const SIGNATURES: &str = "\
supervisor.addProcessGroup boolean string
supervisor.clearAllProcessLogs array
supervisor.clearLog boolean
supervisor.clearProcessLog boolean string
supervisor.clearProcessLogs boolean string
supervisor.getAPIVersion string
supervisor.getAllConfigInfo array
supervisor.getAllProcessInfo array
supervisor.getIdentification string
supervisor.getPID int
supervisor.getProcessInfo struct string
supervisor.getState struct
supervisor.getSupervisorVersion string
supervisor.getVersion string
supervisor.readLog string int int
supervisor.readMainLog string int int
supervisor.readProcessLog string string int int
supervisor.readProcessStderrLog string string int int
supervisor.readProcessStdoutLog string string int int
supervisor.reloadConfig array
supervisor.removeProcessGroup boolean string
supervisor.restart boolean
supervisor.sendProcessStdin boolean string string
supervisor.sendRemoteCommEvent boolean string string
supervisor.shutdown boolean
supervisor.signalAllProcesses array string
supervisor.signalProcess boolean string string
supervisor.signalProcessGroup array string string
supervisor.startAllProcesses array boolean
supervisor.startProcess boolean string boolean
supervisor.startProcessGroup array string boolean
supervisor.stopAllProcesses array boolean
supervisor.stopProcess boolean string boolean
supervisor.stopProcessGroup array string boolean
supervisor.tailProcessLog array string int int
supervisor.tailProcessStderrLog array string int int
supervisor.tailProcessStdoutLog array string int int
system.listMethods array
system.methodHelp string string
system.methodSignature array string
system.multicall array array
";

    fn texts(value: &Value) -> Vec<&str> {
        value.as_array().unwrap().iter().filter_map(Value::as_str).collect()
    }

    #[test]
    fn names_and_signatures_are_supervisors() {
        let names = introspect("system.listMethods", &[]).unwrap().unwrap();
        let expected: Vec<&str> = SIGNATURES.lines().collect();
        assert_eq!(names.as_array().unwrap().len(), expected.len());
        for (name, expected) in texts(&names).into_iter().zip(expected) {
            let signature = introspect("system.methodSignature", &[name.into()]).unwrap().unwrap();
            assert_eq!(format!("{name} {}", texts(&signature).join(" ")), expected);
        }
    }

    #[test]
    fn every_help_has_a_line_for_each_parameter_and_the_result() {
        for entry in &ENTRIES {
            let help = introspect("system.methodHelp", &[entry.name.into()]).unwrap().unwrap();
            let help = help.as_str().unwrap();
            let count = |tag: &str| help.lines().filter(|line| line.starts_with(tag)).count();
            assert_eq!((count("@param "), count("@return ")), (entry.params.len(), 1), "{help}");
        }
    }

    #[test]
    fn every_method_builds_with_its_own_types_and_keeps_its_name_or_that_of_its_alias() {
        let aliases = ["getVersion", "readMainLog", "readProcessLog", "tailProcessLog", "clearProcessLog"];
        for entry in ENTRIES.iter().filter(|entry| entry.name.starts_with("supervisor.")) {
            let params: Vec<Value> = entry
                .params
                .iter()
                .map(|param| if param.kind == "string" { "x".into() } else { Value::Int(1) })
                .collect();
            let method = Method::from_call(entry.name, &params).unwrap();
            let short = entry.name.trim_start_matches("supervisor.");
            assert_eq!(method.name() != entry.name, aliases.contains(&short), "{}", entry.name);
        }
    }

    #[test]
    fn questions_about_unknown_methods_are_faults() {
        let code = |name: &str, params: &[Value]| introspect(name, params).unwrap().unwrap_err().code;
        assert_eq!(code("system.methodHelp", &["no.such".into()]), 4);
        assert_eq!(code("system.methodSignature", &["no.such".into()]), 4);
        assert_eq!(code("system.methodHelp", &[]), 2);
        assert_eq!(code("system.methodHelp", &[1.into()]), 2);
        assert_eq!(code("system.listMethods", &[1.into()]), 2);
        assert!(introspect("system.multicall", &[]).is_none());
        assert!(introspect("supervisor.getState", &[]).is_none());
    }
}

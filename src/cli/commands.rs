//! The commands of the client, in one table: the help texts, the prompt's completion, the shell's
//! completions and the manual page are all made from it.

/// One command.
#[derive(Debug)]
pub struct CommandLine {
    pub name: &'static str,
    /// One sentence fragment, for lists.
    pub about: &'static str,
    /// Each form it can be typed in, with what that does.
    pub forms: &'static [(&'static str, &'static str)],
    pub words: Words,
    pub origin: Origin,
}

/// What the words after a command are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    None,
    Processes,
    /// A signal, then processes.
    SignalAndProcesses,
    /// Options of its own, a process, a channel.
    Tail,
    Maintail,
    /// Processes and `--reveal`.
    Env,
    Groups,
    Commands,
    Url,
    /// A configuration file.
    File,
    /// The code of a rule.
    Rule,
    /// A configuration file, and what to do with it.
    Migration,
    Shell,
    /// One of ours.
    Program,
    /// An executable file, for the daemon.
    Executable,
    /// The number of an operation, for the daemon.
    Operation,
}

impl Words {
    /// Whether they are for a daemon.
    #[must_use]
    pub fn are_for_a_daemon(self) -> bool {
        matches!(
            self,
            Words::Processes
                | Words::SignalAndProcesses
                | Words::Tail
                | Words::Env
                | Words::Executable
                | Words::Operation
        )
    }
}

/// Who has the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Supervisor,
    Galaxyd,
}

/// Every command, sorted by name.
pub const COMMANDS: &[CommandLine] = &[
    CommandLine {
        name: "add",
        about: "bring groups of the configuration file to life",
        forms: &[("add <group> [...]", "Activate groups that the last reread found")],
        words: Words::Groups,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "apply",
        about: "put the configuration file in force for processes, and start them anew",
        forms: &[
            (
                "apply <name> [...]",
                "Read the configuration files and restart these processes or groups under what they say",
            ),
            ("apply --dry-run <name> [...]", "Only show what that would do, key by key"),
        ],
        words: Words::Processes,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "avail",
        about: "list every configured process",
        forms: &[("avail", "List the processes of the configuration file, active or not")],
        words: Words::None,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "cancel",
        about: "end an operation after what it has begun",
        forms: &[
            ("cancel", "Begin with no further process in the operation that is under way"),
            ("cancel <id>", "The same for this one"),
        ],
        words: Words::Operation,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "check",
        about: "report every problem of a configuration, and of the Galaxy that it runs",
        forms: &[
            ("check", "Check the configuration in use, and the files of Galaxy that its programs read"),
            (
                "check <file>",
                "Check this one; exit code 2 if the daemon would refuse it, 1 if a rule of severity error is not kept, 3 for \
                 warnings",
            ),
            ("check --sarif <file>", "Report in SARIF 2.1.0, for code scanning"),
            ("check --proxy <file>", "Compare with the files of nginx: who asks whom, and in which protocol"),
            ("check --live", "Look at the running daemon, too: what its processes run, and what an update would cost"),
        ],
        words: Words::File,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "clear",
        about: "empty the log files of processes",
        forms: &[
            ("clear <name> [...]", "Empty the log files of these processes"),
            ("clear all", "Empty the log files of all processes"),
        ],
        words: Words::Processes,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "completions",
        about: "print completions for a shell",
        forms: &[("completions <shell>", "Print completions for bash, elvish, fish, powershell or zsh")],
        words: Words::Shell,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "config",
        about: "print the effective configuration, every default filled in",
        forms: &[
            (
                "config",
                "Print the configuration in use; of a galaxy.yml what it stands for, and where each value comes from",
            ),
            ("config --sample", "Print a sample configuration to begin with"),
            ("config <file> --format ini|toml|json", "Print that of this file, in this dialect (default ini)"),
        ],
        words: Words::File,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "drain",
        about: "stop handlers of Galaxy's jobs when no job is harmed by it",
        forms: &[
            (
                "drain <handler> [...]",
                "Wait until no job of these handlers is being handed over, finished, or a child of theirs; then stop them",
            ),
            ("drain --deadline=<time> ...", "Wait at most so long, such as 90 or 10m; then leave them running"),
            ("drain --force ...", "Stop them at the deadline (without one, at once) whatever they do"),
        ],
        words: Words::Processes,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "env",
        about: "show how a process would be started: environment, user, directory, limits",
        forms: &[
            (
                "env <name> [...]",
                "Show what processes would be started with, without starting them; secrets are hidden",
            ),
            ("env <name> --reveal", "Show secrets as well; the daemon's log says who asked"),
        ],
        words: Words::Env,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "exec",
        about: "run a service of galaxy.yml in the foreground, without the daemon",
        forms: &[
            ("exec [<instance>] <service>", "Run a service as the daemon would, in this terminal"),
            ("exec -i <n> <service>", "The nth process of it, from 0"),
            ("exec -n ...", "Only say what would be run"),
        ],
        words: Words::None,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "exit",
        about: "leave the prompt",
        forms: &[("exit", "Leave the prompt")],
        words: Words::None,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "explain",
        about: "tell about a rule of check",
        forms: &[
            ("explain", "List the rules"),
            ("explain <code>", "Tell what happens if the rule is ignored, and what to do"),
        ],
        words: Words::Rule,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "fg",
        about: "talk to a process: its output here, your lines to its input",
        forms: &[("fg <process>", "Show the output of a process and send it what you type; Ctrl-C ends that")],
        words: Words::Processes,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "follow",
        about: "show what services of galaxy.yml write to their logs",
        forms: &[
            ("follow", "Show the last lines of all logs, and what is written from now on; Ctrl-C ends that"),
            ("follow <name> [...]", "The same for these instances and services"),
        ],
        words: Words::None,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "graceful",
        about: "replace processes without failing requests, each as suits its program",
        forms: &[
            ("graceful", "Replace all processes that run, program by program; see `rollout` of the configuration"),
            ("graceful <name> [...]", "The same for these processes or groups; Ctrl-C detaches"),
            ("graceful --max-unavailable=<n> ...", "So many of a program at once, whatever is configured"),
            ("graceful --start-if-stopped ...", "Start those too that do not run"),
            ("graceful --detach ...", "Only begin; see operations, watch and cancel"),
        ],
        words: Words::Processes,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "help",
        about: "list the commands, or explain one",
        forms: &[("help", "List the commands"), ("help <command>", "Explain a command")],
        words: Words::Commands,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "history",
        about: "say what happened and who asked for it",
        forms: &[
            ("history", "Say what happened to all programs and to the daemon, the last 100 entries"),
            ("history <name> [...]", "Say what happened to these processes, groups or patterns"),
            (
                "history --since <time> [--limit <n>]",
                "From 1h, 30m or 2d ago on, or from 2026-11-30T10:00 on; at most n",
            ),
            ("history --follow", "Show what happens from now on, too; Ctrl-C ends that"),
        ],
        words: Words::Processes,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "jobs",
        about: "show the jobs of Galaxy's handlers",
        forms: &[
            (
                "jobs",
                "Show each handler's jobs and last heartbeat as Galaxy's database has them, and jobs that nobody handles",
            ),
            ("jobs <handler> [...]", "The same for these processes, groups or server names"),
        ],
        words: Words::Processes,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "list",
        about: "list the instances of galaxy.yml",
        forms: &[("list", "List the instances of galaxy.yml and their files")],
        words: Words::None,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "maintail",
        about: "show the end of the daemon's own log",
        forms: &[
            ("maintail", "Show the last 1600 bytes of the daemon's log"),
            ("maintail -<n>", "Show its last n bytes"),
            ("maintail -f", "Show what is written to it from now on; Ctrl-C ends that"),
        ],
        words: Words::Maintail,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "man",
        about: "print a manual page",
        forms: &[("man", "Print galaxyctl's manual page, for `man -l -`"), ("man galaxyd", "Print galaxyd's")],
        words: Words::Program,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "migrate",
        about: "say what becomes of a Supervisor configuration",
        forms: &[
            ("migrate <file>", "Say for each key what happens to it, what will differ, and whether this host is ready"),
            ("migrate <file> --unit", "Print the systemd unit for this configuration"),
            (
                "migrate <file> --shadow [--for <seconds>]",
                "Watch the supervisord that runs with this file and report where galaxyd would have decided otherwise",
            ),
        ],
        words: Words::Migration,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "open",
        about: "turn to another daemon",
        forms: &[("open <url>", "Turn to the daemon at http://HOST:PORT or unix:///PATH and show its status")],
        words: Words::Url,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "operations",
        about: "list the operations that replace processes, and what came of them",
        forms: &[("operations", "List the operations under way and the last ones that are over")],
        words: Words::Operation,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "pid",
        about: "print process ids",
        forms: &[
            ("pid", "Print the daemon's process id"),
            ("pid <name> [...]", "Print those of processes; 0 for one that does not run"),
            ("pid all", "Print that of every process, one a line"),
        ],
        words: Words::Processes,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "pm",
        about: "run a command, as Gravity hands it to its process manager",
        forms: &[("pm <command> [...]", "The same as the command alone")],
        words: Words::Processes,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "quit",
        about: "leave the prompt",
        forms: &[("quit", "Leave the prompt")],
        words: Words::None,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "reassign",
        about: "give the jobs of a handler that is gone to another",
        forms: &[
            (
                "reassign <old> <new>",
                "Show which jobs and workflow invocations would go from one server name to the other, and what can go wrong",
            ),
            ("reassign <old> <tag>", "The same for a tag such as _default_: only what nobody has begun with"),
            ("reassign <old> <new> --yes", "Do it, unless the old handler shows life here or in Galaxy's database"),
        ],
        words: Words::Processes,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "reload",
        about: "restart the daemon and all processes",
        forms: &[("reload", "Stop everything, read the configuration again and start as at boot")],
        words: Words::None,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "remove",
        about: "forget stopped groups",
        forms: &[("remove <group> [...]", "Take stopped groups out of the active configuration")],
        words: Words::Groups,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "reread",
        about: "read the configuration files and say what changed",
        forms: &[("reread", "Read the configuration files and list the changed groups; touches no process")],
        words: Words::None,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "restart",
        about: "stop processes, then start them",
        forms: &[
            ("restart <name> [...]", "Stop these processes or groups, then start them"),
            ("restart <group>:*", "The same for all processes of a group"),
            ("restart all", "The same for all processes, those too that were stopped before"),
            (
                "restart --drain ...",
                "Only as galaxyctl: handlers of Galaxy's jobs one after the other, as drain does, then the others",
            ),
            ("restart ...", "does not read the configuration again: see reread and update"),
            (
                "restart --rolling ...",
                "Only as galaxyctl: one process after the other, each ready before the next; takes the options of graceful",
            ),
        ],
        words: Words::Processes,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "retry",
        about: "start the processes that are FATAL, and no others",
        forms: &[
            ("retry", "Start all processes that were given up; what somebody stopped stays stopped"),
            ("retry <name> [...]", "The same for these processes or groups only"),
        ],
        words: Words::Processes,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "scale",
        about: "change how many processes a program has",
        forms: &[
            (
                "scale <group>:<program> <n>",
                "Write n to the program's numprocs_file (of galaxy.yml: processes_file) and update: more start at once, fewer \
                 only when those with the highest numbers own no job of Galaxy's any more",
            ),
            ("scale --deadline=<time> ...", "Wait for that at most so long, such as 90 or 10m; then change nothing"),
        ],
        words: Words::Processes,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "show",
        about: "show an instance of galaxy.yml as JSON",
        forms: &[("show [<instance>]", "Show files, directories and services of an instance of galaxy.yml as JSON")],
        words: Words::None,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "shutdown",
        about: "stop everything and end the daemon",
        forms: &[("shutdown", "Stop all processes and end the daemon")],
        words: Words::None,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "signal",
        about: "send a signal to processes",
        forms: &[
            ("signal <signal> <name> [...]", "Send it to these processes or groups"),
            ("signal <signal> <group>:*", "Send it to all processes of a group"),
            ("signal <signal> all", "Send it to all processes"),
        ],
        words: Words::SignalAndProcesses,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "start",
        about: "start processes",
        forms: &[
            ("start <name> [...]", "Start these processes or groups"),
            ("start <group>:*", "Start all processes of a group"),
            ("start all", "Start all processes"),
            (
                "start [-f] [<name> ...]",
                "Only as galaxyctl, with a galaxy.yml: update, or start the daemon first; -f runs it in the foreground",
            ),
        ],
        words: Words::Processes,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "status",
        about: "show the state of processes",
        forms: &[
            ("status", "Show all processes"),
            ("status <name> [...]", "Show these processes or groups"),
            ("status <group>:*", "Show all processes of a group"),
        ],
        words: Words::Processes,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "stop",
        about: "stop processes",
        forms: &[
            ("stop <name> [...]", "Stop these processes or groups"),
            ("stop <group>:*", "Stop all processes of a group"),
            ("stop all", "Stop all processes"),
            ("stop --ordered ...", "Only as galaxyctl: by descending priority, each when those above have stopped"),
            ("stop --drain ...", "Only as galaxyctl: handlers of Galaxy's jobs as drain does, then the others"),
        ],
        words: Words::Processes,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "tail",
        about: "show the end of a process's log",
        forms: &[
            ("tail <name> [stdout|stderr]", "Show the last 1600 bytes of a log (default stdout)"),
            ("tail -<n> <name> [stdout|stderr]", "Show its last n bytes"),
            ("tail -f <name> [stdout|stderr]", "Show what is written to it from now on; Ctrl-C ends that"),
        ],
        words: Words::Tail,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "top",
        about: "show what processes use: CPU, memory, restarts, the workers of web servers",
        forms: &[
            ("top", "On a terminal: one screen, drawn anew every two seconds; q ends it, the last line names the keys"),
            ("top <name> [...]", "Show these processes or groups"),
            ("top --once [--sort=cpu|memory|restarts|name]", "Print one table; so it is in a pipe, and with --json"),
        ],
        words: Words::Processes,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "update",
        about: "apply the changes of the configuration files",
        forms: &[
            ("update", "Read the configuration files; stop, restart and start what changed"),
            ("update all", "The same"),
            ("update <group> [...]", "The same for these groups only"),
            (
                "update --dry-run [...]",
                "Only as galaxyctl: show what would change, key by key, and what that would cost",
            ),
        ],
        words: Words::Groups,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "upgrade",
        about: "replace the daemon's program, keeping everything it runs",
        forms: &[
            ("upgrade", "Go on under the program that lies where the present one was started from"),
            (
                "upgrade <binary>",
                "Go on under this program; one that cannot read the daemon's state leaves the present one in charge",
            ),
        ],
        words: Words::Executable,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "version",
        about: "print the daemon's version",
        forms: &[("version", "Print the version of Supervisor that the daemon is or keeps to")],
        words: Words::None,
        origin: Origin::Supervisor,
    },
    CommandLine {
        name: "wait",
        about: "wait until processes are ready",
        forms: &[
            ("wait <name> [...]", "Wait until these processes are ready; those without `ready`, until they run"),
            ("wait --for=<what> <name> [...]", "Until they are started, running, ready or exited"),
            (
                "wait --within=<time> ...",
                "At most so long, such as 90 or 5m; else until it is so, or cannot be any more",
            ),
        ],
        words: Words::Processes,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "watch",
        about: "follow an operation until it is over",
        forms: &[
            ("watch", "Follow the latest operation; Ctrl-C ends that, not the operation"),
            ("watch <id>", "Follow this one"),
        ],
        words: Words::Operation,
        origin: Origin::Galaxyd,
    },
    CommandLine {
        name: "why",
        about: "say why processes are in their states",
        forms: &[
            ("why", "Say of every process that does not run, or left others behind, why, and what it said last"),
            ("why <name> [...]", "Say it of these processes"),
            ("why all", "Say it of all processes"),
        ],
        words: Words::Processes,
        origin: Origin::Galaxyd,
    },
];

/// The command called `name`.
#[must_use]
pub fn command(name: &str) -> Option<&'static CommandLine> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// Other names that Gravity's users know commands by. Its `reload` is none of them: that is Supervisor's.
const ALIASES: &[(&str, &str)] = &[("configs", "list"), ("get", "show"), ("supervisorctl", "pm")];

/// The name of the command that galaxyctl is told by this one.
#[must_use]
pub fn canonical(name: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name)
}

impl CommandLine {
    /// What `help` prints: one line a form, the form first.
    #[must_use]
    pub fn help_lines(&self) -> Vec<String> {
        let width = self.forms.iter().map(|(form, _)| form.len()).max().unwrap_or(0);
        self.forms.iter().map(|(form, meaning)| format!("{form:width$}  {meaning}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_form_begins_with_its_command() {
        assert!(COMMANDS.is_sorted_by(|a, b| a.name < b.name));
        for command in COMMANDS {
            assert!(!command.forms.is_empty(), "{}", command.name);
            for (form, _) in command.forms {
                assert_eq!(form.split(' ').next(), Some(command.name));
            }
        }
    }

    #[test]
    fn supervisors_commands_are_all_there() {
        let names: Vec<&str> = COMMANDS
            .iter()
            .filter(|command| command.origin == Origin::Supervisor)
            .map(|command| command.name)
            .collect();
        let expected = "add avail clear exit fg help maintail open pid quit reload remove reread restart shutdown signal \
                        start status stop tail update version";
        assert_eq!(names.join(" "), expected);
    }
}

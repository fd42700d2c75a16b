//! Python plug-ins that a configuration names: which are built in, which cannot be had, and what of ours does the work
//! of the well-known ones.

use super::groups::is_reference_to;
use super::problem::Problem;
use super::reader::{Place, Reader};
use super::schema::{RPC_FACTORY, TWIDDLER_FACTORY};

/// Whose methods a `[rpcinterface:x]` puts under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterfaceKind {
    /// Supervisor's own.
    Main,
    /// Those of `supervisor_twiddler`.
    Twiddler,
}

impl InterfaceKind {
    /// The interface that a factory makes; `None` for Python code that is not built in.
    #[must_use]
    pub fn of(factory: &str) -> Option<Self> {
        [(RPC_FACTORY, Self::Main), (TWIDDLER_FACTORY, Self::Twiddler)]
            .into_iter()
            .find_map(|(known, kind)| is_reference_to(factory, known).then_some(kind))
    }
}

/// A well-known package: the module that its factories are in, and what does its work here.
struct Known {
    module: &'static str,
    instead: &'static str,
}

const fn known(module: &'static str, instead: &'static str) -> Known {
    Known { module, instead }
}

/// Each says only what there is.
const KNOWN: &[Known] = &[
    known(
        "supervisor_twiddler",
        "its RPC interface is built in: write \
         supervisor.rpcinterface_factory = supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface",
    ),
    known("supervisor_cache", "galaxyd stores no data of others: keep it in a file or a database"),
    known(
        "supervisorwildcards",
        "galaxyctl takes patterns in every command that takes names: `galaxyctl restart 'web*'` for mrestart, start and \
         stop likewise",
    ),
    known(
        "supervisor_quick",
        "galaxyctl needs no quick commands: `galaxyctl start 'app*'`, stop and restart take patterns, and one request \
         starts or stops all of a group at once",
    ),
    known(
        "supervisorserialrestart",
        "restart one after another with `for name in ...; do galaxyctl restart \"$name\" || break; done`",
    ),
    known(
        "mr.laforge",
        "`galaxyctl signal SIGNAL NAME` does what its kill command does; `galaxyctl start NAME` waits until a program \
         is up",
    ),
    known(
        "supervisor_stdout",
        "write stdout_logfile = /dev/stdout and stdout_logfile_maxbytes = 0 into the programs to have their output in \
         that of the daemon; with names before each line, run the listener under examples/plugins/result_handler.py",
    ),
    known(
        "multivisor",
        "run examples/plugins/multivisor_listener.py as an event listener: it offers multivisor's server the same",
    ),
];

/// What to do instead of using the Python object `reference`.
pub(crate) fn instead(reference: &str) -> Option<&'static str> {
    let module = reference.split(':').next().unwrap_or_default().trim();
    let is_in =
        |package: &str| module.strip_prefix(package).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    KNOWN.iter().find(|known| is_in(known.module)).map(|known| known.instead)
}

impl Reader<'_> {
    /// Reports Python code that is not built in: an error, or a warning where plug-ins are ignored.
    pub(crate) fn report_plugin(&mut self, place: Place<'_>, key: &str, reference: &str) {
        let instead = instead(reference);
        let problem = if self.ignores_plugins {
            let text = format!("{reference} is ignored, as --ignore-plugins says: Python code cannot be loaded");
            Problem::own_warning(text).help(instead.unwrap_or("what it did has to be done by other means"))
        } else {
            let text = format!("{reference} cannot be resolved within [{}]", place.section);
            let (instead, semicolon) = instead.map_or(("", ""), |instead| (instead, "; "));
            let help = format!("{instead}{semicolon}remove it, or do without it by --ignore-plugins");
            let mut problem = Problem::error(text.clone()).help(help);
            if reference.contains(':') {
                // Supervisor would have loaded it: its words do not say why we do not.
                problem.message = format!("{text}: Python code cannot be loaded");
                problem.in_full = true;
            }
            problem
        };
        self.report(place, key, problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_interfaces_go_by_their_factories() {
        assert_eq!(InterfaceKind::of(RPC_FACTORY), Some(InterfaceKind::Main));
        assert_eq!(InterfaceKind::of(TWIDDLER_FACTORY), Some(InterfaceKind::Twiddler));
        let spaced = "supervisor_twiddler.rpcinterface : make_twiddler_rpcinterface";
        assert_eq!(InterfaceKind::of(spaced), Some(InterfaceKind::Twiddler));
        assert_eq!(InterfaceKind::of("supervisor_twiddler:make_twiddler_rpcinterface"), None);
    }

    #[test]
    fn well_known_packages_are_known_by_their_modules() {
        for (reference, word) in [
            ("supervisor_cache.rpcinterface:make_cache_rpcinterface", "database"),
            ("supervisorwildcards.controllerplugin:make_wildcards_controllerplugin", "patterns"),
            ("supervisor_quick:make_quick_controllerplugin", "patterns"),
            ("supervisorserialrestart.controllerplugin:make_serialrestart_controllerplugin", "one after another"),
            ("mr.laforge.rpcinterface:make_laforge_rpcinterface", "signal"),
            ("supervisor_twiddler.rpcinterface:other", "built in"),
            ("supervisor_stdout:event_handler", "/dev/stdout"),
            ("multivisor.rpc:make_rpc_interface", "multivisor_listener.py"),
        ] {
            assert!(instead(reference).is_some_and(|text| text.contains(word)), "{reference}");
        }
        for unknown in ["my.plugin:make", "supervisor_cached:x", "mr.laforgery:x", ""] {
            assert_eq!(instead(unknown), None, "{unknown}");
        }
    }
}

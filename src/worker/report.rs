//! What is wrong with a configuration, as text.

use crate::config::Loaded;

/// For the activity log and for clients: complete without colour.
pub(super) fn plain(loaded: &Loaded) -> String {
    loaded.problems.iter().map(|problem| format!("{}\n", problem.text())).collect()
}

/// For standard error.
pub(super) fn for_terminal(loaded: &Loaded) -> String {
    plain(loaded)
}

//! The names that `%(name)s` stands for while a value is read.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::percent::{Datum, Names};

/// `ENV_x` of the daemon's environment and of `[supervisord] environment`.
pub(crate) type Globals = Rc<BTreeMap<String, String>>;

/// The names in force at one place of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    globals: Globals,
    local: BTreeMap<String, Datum>,
    has_here: bool,
    /// Some `environment` could not be read: an unknown `ENV_x` may be its fault and is not reported.
    pub(crate) lacks_variables: bool,
}

impl Scope {
    /// `ENV_x` only.
    pub(crate) fn new(globals: &Globals, lacks_variables: bool) -> Self {
        Self { globals: Rc::clone(globals), local: BTreeMap::new(), has_here: false, lacks_variables }
    }

    /// With `here`.
    pub(crate) fn with_here(mut self) -> Self {
        self.has_here = true;
        self
    }

    pub(crate) fn with(mut self, name: &str, text: &str) -> Self {
        self.set(name, Datum::Text(text.to_owned()));
        self
    }

    pub(crate) fn set(&mut self, name: &str, datum: Datum) {
        self.local.insert(name.to_owned(), datum);
    }

    /// The variables of a section's own `environment`.
    pub(crate) fn set_variables<'v>(&mut self, variables: impl IntoIterator<Item = (&'v String, &'v String)>) {
        for (name, value) in variables {
            self.set(&format!("ENV_{name}"), Datum::Text(value.clone()));
        }
    }

    /// Lets the daemon's variables win again over those an earlier process of the section has set. Variables that
    /// the daemon does not have stay visible, as in Supervisor.
    pub(crate) fn restore_globals(&mut self) {
        let globals = Rc::clone(&self.globals);
        self.local.retain(|name, _| !globals.contains_key(name));
    }

    /// The scope as seen from a value in this directory.
    pub(crate) fn seen_from<'s>(&'s self, here: &'s str) -> View<'s> {
        View { scope: self, here }
    }
}

/// A [`Scope`] with the value of `here` settled.
pub(crate) struct View<'s> {
    scope: &'s Scope,
    here: &'s str,
}

impl Names for View<'_> {
    fn get(&self, name: &str) -> Option<Datum> {
        if self.scope.has_here && name == "here" {
            return Some(Datum::Text(self.here.to_owned()));
        }
        let local = self.scope.local.get(name).cloned();
        local.or_else(|| self.scope.globals.get(name).map(|value| Datum::Text(value.clone())))
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.scope.globals.keys().cloned().collect();
        names.extend(self.scope.local.keys().filter(|name| !self.scope.globals.contains_key(*name)).cloned());
        if self.scope.has_here {
            names.push("here".to_owned());
        }
        names
    }
}

//! Values that only the host can judge: accounts and directories. Each account is looked up once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use super::model::{Owner, User};
use super::path;
use super::source::{Account, Source};
use super::value::{self, ValueError};

/// Why a value is refused: Supervisor's text, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) text: String,
    pub(crate) help: Option<String>,
}

impl Complaint {
    pub(crate) fn new(text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { text: text.into(), help: Some(help.into()) }
    }
}

impl From<ValueError> for Complaint {
    fn from(error: ValueError) -> Self {
        Self::new(error.to_string(), format!("expected {}", error.wanted()))
    }
}

/// Answers of the host.
pub(crate) struct Lookup<'a> {
    pub(crate) source: &'a dyn Source,
    accounts: RefCell<BTreeMap<String, Result<User, Complaint>>>,
    /// Directories that will be there when they are needed.
    pub(crate) made: Vec<String>,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        Self { source, accounts: RefCell::default(), made: Vec::new() }
    }

    /// An account by name or number.
    pub(crate) fn user(&self, text: &str) -> Result<User, Complaint> {
        if let Some(known) = self.accounts.borrow().get(text) {
            return known.clone();
        }
        let answer = self.ask_for_user(text);
        self.accounts.borrow_mut().insert(text.to_owned(), answer.clone());
        answer
    }

    fn ask_for_user(&self, text: &str) -> Result<User, Complaint> {
        const HELP: &str = "name an account that exists on this host";
        let account = match value::account(text)? {
            value::Account::Number(number) => u32::try_from(number)
                .ok()
                .and_then(|uid| self.source.user_by_uid(uid))
                .ok_or_else(|| Complaint::new(format!("Invalid user id {text}"), HELP)),
            value::Account::Name(name) => {
                self.source.user_by_name(&name).ok_or_else(|| Complaint::new(format!("Invalid user name {text}"), HELP))
            }
        }?;
        let Account { uid, gid, groups, .. } = account;
        Ok(User { text: text.to_owned(), uid, gid, groups })
    }

    /// `user` or `user:group`.
    pub(crate) fn owner(&self, text: &str) -> Option<Owner> {
        let Some((user, group)) = text.split_once(':') else {
            return Some(Owner { uid: self.user(text).ok()?.uid, gid: None });
        };
        Some(Owner { uid: self.user(user).ok()?.uid, gid: Some(self.group(group)?) })
    }

    /// A group by name or number.
    pub(crate) fn group(&self, text: &str) -> Option<u32> {
        match value::account(text).ok()? {
            value::Account::Number(number) => u32::try_from(number).ok().filter(|gid| self.source.group_exists(*gid)),
            value::Account::Name(name) => self.source.group_by_name(&name),
        }
    }

    /// A directory that exists, `~` expanded.
    pub(crate) fn directory(&self, text: &str) -> Result<String, Complaint> {
        let expanded = path::expand_user(text, self.source);
        if self.has_dir(&expanded) {
            return Ok(expanded);
        }
        Err(Complaint::new(
            format!("{text} is not an existing directory"),
            "make the directory, or name one that exists",
        ))
    }

    /// Whether the directory is there, or will be.
    fn has_dir(&self, name: &str) -> bool {
        if self.source.is_dir(Path::new(name)) {
            return true;
        }
        let name = path::absolute(name, self.source);
        let is_above =
            |made: &String| made.strip_prefix(&name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.made.iter().any(is_above)
    }

    /// A path whose directory exists, `~` expanded. A bare file name always passes.
    pub(crate) fn path(&self, text: &str) -> Result<String, Complaint> {
        let expanded = path::expand_user(text, self.source);
        let directory = path::dirname(&expanded);
        if directory.is_empty() || self.has_dir(directory) {
            return Ok(expanded);
        }
        Err(Complaint::new(
            format!("The directory named as part of the path {text} does not exist"),
            format!("make the directory {directory}, or choose another path"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::made_up::MadeUp;

    #[test]
    fn accounts_go_by_name_or_number() {
        let source = MadeUp::new().account("galaxy", 1001, 1002, "/srv/galaxy");
        let lookup = Lookup::new(&source);
        assert_eq!(lookup.user("galaxy").map(|user| (user.uid, user.gid)), Ok((1001, 1002)));
        assert_eq!(lookup.user("1001").map(|user| user.gid), Ok(1002));
        let text = |name| lookup.user(name).map_err(|complaint| complaint.text);
        assert_eq!(text("galxy"), Err("Invalid user name galxy".to_owned()));
        assert_eq!(text("77"), Err("Invalid user id 77".to_owned()));
        assert_eq!(text("-1"), Err("Invalid user id -1".to_owned()));
        assert_eq!(lookup.owner("galaxy:root"), Some(Owner { uid: 1001, gid: Some(0) }));
        assert_eq!(lookup.owner("galaxy:"), None);
        assert_eq!(lookup.owner("0"), Some(Owner { uid: 0, gid: None }));
    }

    #[test]
    fn a_bare_file_name_needs_no_directory() {
        let source = MadeUp::new().variable("HOME", "/tmp");
        let lookup = Lookup::new(&source);
        assert_eq!(lookup.path("x.log"), Ok("x.log".to_owned()));
        assert_eq!(lookup.path("~/x.log"), Ok("/tmp/x.log".to_owned()));
        assert_eq!(lookup.path(""), Ok(String::new()));
        assert!(lookup.path("/none/x.log").is_err());
    }
}

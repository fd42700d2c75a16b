//! Accounts: looked up, and become.
//!
//! A lookup may ask a directory server and take long: not for the control loop.

use std::ffi::CString;
use std::io;

use nix::unistd::{Gid, Uid, User, getgrouplist, getuid, setgid, setgroups, setuid};

/// An account, with all that is needed to become it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    /// Primary group first, each once.
    pub groups: Vec<u32>,
    pub home: std::path::PathBuf,
}

impl Account {
    /// The account of this number; `None` if there is none.
    ///
    /// # Errors
    ///
    /// When the account database cannot be read.
    pub fn by_uid(uid: u32) -> io::Result<Option<Self>> {
        User::from_uid(Uid::from_raw(uid))?.map(Self::with_groups).transpose()
    }

    /// The account of this name; `None` if there is none.
    ///
    /// # Errors
    ///
    /// When the account database cannot be read.
    pub fn by_name(name: &str) -> io::Result<Option<Self>> {
        User::from_name(name)?.map(Self::with_groups).transpose()
    }

    fn with_groups(user: User) -> io::Result<Self> {
        let primary = user.gid.as_raw();
        let name = CString::new(user.name.as_str())?;
        let mut groups = vec![primary];
        for group in getgrouplist(&name, user.gid)? {
            if !groups.contains(&group.as_raw()) {
                groups.push(group.as_raw());
            }
        }
        Ok(Self { name: user.name, uid: user.uid.as_raw(), gid: primary, groups, home: user.dir })
    }

    /// This process becomes the account; nothing happens if it already is. For the launcher, while there
    /// are no other threads.
    ///
    /// # Errors
    ///
    /// [`BecomeError`], with Supervisor's texts.
    pub fn become_it(&self) -> Result<(), BecomeError> {
        let current = getuid();
        if current.as_raw() == self.uid {
            return Ok(());
        }
        if !current.is_root() {
            return Err(BecomeError::NotRoot);
        }
        let groups: Vec<Gid> = self.groups.iter().copied().map(Gid::from_raw).collect();
        setgroups(&groups).map_err(|_| BecomeError::Groups)?;
        setgid(Gid::from_raw(self.gid)).map_err(|_| BecomeError::Group)?;
        setuid(Uid::from_raw(self.uid)).map_err(|errno| BecomeError::User(io::Error::from(errno)))
    }
}

/// Why this process could not become an account. Source: supervisor 4.3.0, options.py, `drop_privileges`.
#[derive(Debug, thiserror::Error)]
pub enum BecomeError {
    #[error("Can't drop privilege as nonroot user")]
    NotRoot,
    #[error("Could not set groups of effective user")]
    Groups,
    #[error("Could not set group id of effective user")]
    Group,
    #[error("Could not set user id of effective user: {0}")]
    User(io::Error),
}

/// The number of the user this process runs as.
#[must_use]
pub fn current_uid() -> u32 {
    getuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_by_number_and_by_name() {
        let root = Account::by_uid(0).unwrap().unwrap();
        assert_eq!((root.name.as_str(), root.gid), ("root", 0));
        assert_eq!(root.groups.first(), Some(&0));
        assert_eq!(Account::by_name("root").unwrap(), Some(root));
    }

    #[test]
    fn an_account_that_does_not_exist_is_none() {
        assert_eq!(Account::by_uid(3_999_999_999).unwrap(), None);
        assert_eq!(Account::by_name("no such account").unwrap(), None);
    }

    #[test]
    fn becoming_who_we_are_does_nothing() {
        let groups = vec![12345];
        let me = Account { name: String::new(), uid: current_uid(), gid: 12345, groups, home: "/".into() };
        me.become_it().unwrap();
        assert_ne!(nix::unistd::getgid().as_raw(), 12345);
    }
}

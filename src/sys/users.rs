//! Becoming another account.

use std::io;

use nix::unistd::{Gid, Uid, getuid, setgid, setgroups, setuid};

/// This process becomes the account; nothing happens if it already is. `groups` has the primary group first. For the
/// launcher, while there are no other threads.
///
/// # Errors
///
/// [`BecomeError`], with Supervisor's texts.
pub fn become_user(uid: u32, gid: u32, groups: &[u32]) -> Result<(), BecomeError> {
    let current = getuid();
    if current.as_raw() == uid {
        return Ok(());
    }
    if !current.is_root() {
        return Err(BecomeError::NotRoot);
    }
    let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups).map_err(|_| BecomeError::Groups)?;
    setgid(Gid::from_raw(gid)).map_err(|_| BecomeError::Group)?;
    setuid(Uid::from_raw(uid)).map_err(|errno| BecomeError::User(io::Error::from(errno)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn becoming_oneself_changes_nothing() {
        become_user(getuid().as_raw(), 0, &[]).unwrap();
    }
}

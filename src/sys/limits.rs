//! Resource limits of this process.

use std::io;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// How many files may be open at once.
pub const OPEN_FILES: Resource = Resource::RLIMIT_NOFILE;

/// How many processes the user may have.
pub const PROCESSES: Resource = Resource::RLIMIT_NPROC;

/// Bytes of the first thread's stack.
pub const STACK: Resource = Resource::RLIMIT_STACK;

/// The soft and the hard limit; `u64::MAX` stands for none.
///
/// # Errors
///
/// None that a known resource could give.
pub fn get(resource: Resource) -> io::Result<(u64, u64)> {
    Ok(getrlimit(resource)?)
}

/// What [`raise_to`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raised {
    /// It was enough already.
    Enough,
    /// The soft limit was this.
    From(u64),
}

/// Makes the soft limit at least `least`, and the hard limit too where it is lower (which needs root).
/// Source: supervisor 4.3.0, options.py, `set_rlimits_or_exit`.
///
/// # Errors
///
/// EPERM if the hard limit is lower and cannot be raised.
pub fn raise_to(resource: Resource, least: u64) -> io::Result<Raised> {
    let (soft, hard) = getrlimit(resource)?;
    if soft >= least || soft == RLIM_INFINITY {
        return Ok(Raised::Enough);
    }
    setrlimit(resource, least, hard.max(least))?;
    Ok(Raised::From(soft))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_high_enough_is_left_alone() {
        let (soft, _) = get(OPEN_FILES).unwrap();
        assert_eq!(raise_to(OPEN_FILES, soft).unwrap(), Raised::Enough);
        assert_eq!(raise_to(OPEN_FILES, 0).unwrap(), Raised::Enough);
    }
}

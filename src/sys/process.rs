//! This process as others see it.

use std::ffi::CStr;
use std::io;

/// The name in `ps -e`, `top` and for `killall`: fifteen bytes, the rest is cut off. An image that was
/// started through /proc/self/exe would be called `exe`.
///
/// # Errors
///
/// None that a text could give.
pub fn set_name(name: &CStr) -> io::Result<()> {
    Ok(nix::sys::prctl::set_name(name)?)
}

/// Orphans among our descendants become our children instead of process 1's. Kept over exec.
///
/// # Errors
///
/// EINVAL before Linux 3.4.
pub fn adopt_orphans() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// The number of this process' group.
#[must_use]
pub fn group() -> i32 {
    nix::unistd::getpgrp().as_raw()
}

/// This process' number.
#[must_use]
pub fn id() -> i32 {
    nix::unistd::getpid().as_raw()
}

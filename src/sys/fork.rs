//! The one place where this program forks.

/// Zero in the child, the child's pid in the parent, -1 with errno set if there is none.
///
/// # Safety
///
/// Unless this process has one thread only, the child may call nothing but what signal-safety(7) lists
/// and bare system calls until it calls `exec` or `_exit`: other threads are gone with their locks held.
#[expect(clippy::disallowed_methods, reason = "this is what the others are to call")]
pub(super) unsafe fn fork() -> libc::pid_t {
    // SAFETY: the caller keeps the promise above.
    unsafe { libc::fork() }
}

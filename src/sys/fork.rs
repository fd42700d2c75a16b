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

/// As [`fork`], without anything that the C library does beside it. `exit_signal` tells the parent of the child's end; with 0
/// nothing does, and only a `wait` with `__WCLONE` finds it. Source: `clone(2)`.
///
/// # Safety
///
/// As for [`fork`], however many threads there are.
pub(super) unsafe fn bare(exit_signal: i32) -> libc::pid_t {
    let none: libc::c_long = 0;
    // SAFETY: without flags and a stack of its own the child is a copy; the caller keeps the promise above.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(exit_signal), none, none, none, none) };
    libc::pid_t::try_from(pid).unwrap_or(-1)
}

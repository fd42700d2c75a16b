//! Between fork and exec.
//!
//! Everything here runs in a copy of a process whose other threads are gone, in whatever state they
//! left it. So: only functions named by signal-safety(7) or bare system calls; no allocation, no
//! lock, no `Drop` that does something, no panic, no formatting.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::NonNull;

use super::child_pipes::ChildEnds;
use super::errno;
use super::plan::{LISTEN_PID_BYTES, PlanView, SoftLimit, UserView};
use super::spawn::{Failure, Step};

/// Supervisor's exit code for a child that did not become a program.
const NOT_SPAWNED: i32 = 127;

/// The size of the kernel's set of signals: a bit for each of 64 signals.
const KERNEL_SIGSET: usize = 8;

/// These take ids of 32 bits. Source: `setuid(2)`, "C library/kernel differences".
#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
use libc::{SYS_setgid as SYS_SETGID, SYS_setgroups as SYS_SETGROUPS, SYS_setuid as SYS_SETUID};
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
use libc::{SYS_setgid32 as SYS_SETGID, SYS_setgroups32 as SYS_SETGROUPS, SYS_setuid32 as SYS_SETUID};

/// The descriptor that a listening socket becomes. Source: `sd_listen_fds(3)`.
const PASSED: RawFd = 3;

/// Waits at the gate until our parent opens it. Does not return if the parent dies first.
pub(super) fn pass(gate: RawFd, opener: RawFd) {
    let mut byte = 0u8;
    // SAFETY: `byte` outlives the calls, which are async-signal-safe, and `opener` is this process's copy, closed once,
    // since an end of the pipe of our own would hide the parent's death.
    unsafe {
        libc::close(opener);
        loop {
            match libc::read(gate, (&raw mut byte).cast(), 1) {
                1 => return,
                -1 if *libc::__errno_location() == libc::EINTR => {}
                _ => libc::_exit(NOT_SPAWNED),
            }
        }
    }
}

/// What a child gets beside its standard descriptors.
#[derive(Clone, Copy)]
pub(super) struct Extra {
    /// Becomes [`PASSED`].
    pub(super) listener: Option<RawFd>,
    /// The door by which it enters its cgroup.
    pub(super) cgroup: Option<RawFd>,
}

/// Becomes the program, or reports `[step, errno]` on `report` and ends with code 127. First it enters the cgroup
/// of which `cgroup` is the door: before it may lose the right to, and before it can have children.
pub(super) fn main(plan: &PlanView<'_>, ends: &ChildEnds, extra: Extra, report: RawFd) -> ! {
    shed_protection();
    let (report, cleared) = clear_place(report);
    let entered = cleared.and_then(|()| extra.cgroup.map_or(Ok(()), |door| enter(door, plan.is_confined, report)));
    let failure = match entered {
        Ok(()) => become_program(plan, ends, extra.listener),
        Err(failure) => failure,
    };
    say(&[b"supervisor: child process was not spawned\n"]);
    tell(report, failure);
    // SAFETY: does not come back, and is async-signal-safe.
    unsafe { libc::_exit(NOT_SPAWNED) }
}

/// The place of the listening socket must be free: a report that is there moves away.
fn clear_place(report: RawFd) -> (RawFd, Result<(), Failure>) {
    if report != PASSED {
        return (report, Ok(()));
    }
    // SAFETY: a bare system call on numbers.
    match unsafe { libc::fcntl(report, libc::F_DUPFD_CLOEXEC, PASSED + 1) } {
        -1 => (report, Err(failure(Step::Stdio))),
        copy => (copy, Ok(())),
    }
}

/// Puts the listening socket in its place and writes for whom it is.
fn pass_on(listener: RawFd, listen_pid: NonNull<u8>) -> bool {
    const NAME: &[u8] = b"LISTEN_PID=";
    let mut digits = [0; 20];
    // SAFETY: bare system calls on numbers.
    let (placed, pid) = unsafe { (libc::dup2(listener, PASSED) != -1, libc::getpid()) };
    let pid = decimal(u64::from(pid.unsigned_abs()), &mut digits);
    let mut text = [0u8; LISTEN_PID_BYTES];
    for (place, byte) in text.iter_mut().zip(NAME.iter().chain(pid)) {
        *place = *byte;
    }
    // SAFETY: the plan's buffer has that many bytes there, and after the fork nobody else sees this copy of it.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), listen_pid.as_ptr(), LISTEN_PID_BYTES) };
    placed
}

/// Moves into a cgroup. Who cannot is told so and runs all the same, as programs did before there were cgroups; but not
/// without limits that are to hold.
fn enter(door: RawFd, is_confined: bool, report: RawFd) -> Result<(), Failure> {
    // SAFETY: the byte outlives the call, which is async-signal-safe. `0` is whoever writes it.
    if unsafe { libc::write(door, b"0".as_ptr().cast(), 1) } == 1 {
        return Ok(());
    }
    if is_confined {
        return Err(failure(Step::Confinement));
    }
    tell(report, failure(Step::Cgroup));
    Ok(())
}

/// A daemon that is the last to be ended for want of memory must not protect its programs as well. Raising the value back
/// to the usual one needs no right; it is done while the file is still ours. Without /proc nothing changes.
fn shed_protection() {
    let mut first = 0u8;
    // SAFETY: a valid C string and a byte that outlive the calls, which are async-signal-safe.
    unsafe {
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        if file == -1 {
            return;
        }
        if libc::read(file, (&raw mut first).cast(), 1) == 1 && first == b'-' {
            libc::pwrite(file, b"0".as_ptr().cast(), 1, 0);
        }
        libc::close(file);
    }
}

fn tell(report: RawFd, failure: Failure) {
    let [a, b, c, d] = failure.errno.to_ne_bytes();
    let bytes = [failure.step, a, b, c, d];
    // SAFETY: `bytes` outlives the call, which is async-signal-safe.
    unsafe { libc::write(report, bytes.as_ptr().cast(), bytes.len()) };
}

/// Returns only if a step failed, after having said so on standard error.
fn become_program(plan: &PlanView<'_>, ends: &ChildEnds, listener: Option<RawFd>) -> Failure {
    // SAFETY: plain system calls on numbers. `stderr` goes last: it may be a copy of `stdout`.
    let placed = unsafe {
        if libc::setpgid(0, 0) == -1 {
            return failure(Step::ProcessGroup);
        }
        let stderr = ends.stderr.as_ref().unwrap_or(&ends.stdout);
        libc::dup2(ends.stdin.as_raw_fd(), 0) != -1
            && libc::dup2(ends.stdout.as_raw_fd(), 1) != -1
            && libc::dup2(stderr.as_raw_fd(), 2) != -1
    };
    if !placed {
        return failure(Step::Stdio);
    }
    let passed = listener.zip(plan.listen_pid);
    if passed.is_some_and(|(listener, listen_pid)| !pass_on(listener, listen_pid)) {
        return failure(Step::Stdio);
    }
    for limit in plan.limits.iter() {
        if !set_limit(limit) {
            let failure = failure(Step::Limits);
            let mut digits = [0; 20];
            complain(b"set limit ", decimal(u64::from(limit.resource), &mut digits), failure.errno);
            return failure;
        }
    }
    if let Err(failure) = change_user(&plan.user) {
        return failure;
    }
    if let Some(directory) = plan.directory {
        // SAFETY: a valid C string.
        if unsafe { libc::chdir(directory.as_ptr()) } == -1 {
            let failure = failure(Step::Directory);
            complain(b"chdir to ", directory.to_bytes(), failure.errno);
            return failure;
        }
    }
    if let Some(mask) = plan.umask {
        // SAFETY: cannot fail.
        unsafe { libc::umask(mask & 0o777) };
    }
    default_dispositions();
    unblock_signals();
    close_the_rest_on_exec();
    if passed.is_some() {
        // SAFETY: a bare system call on numbers.
        unsafe { libc::fcntl(PASSED, libc::F_SETFD, 0) };
    }
    // SAFETY: both arrays end with a null pointer and hold C strings that live as long as the plan,
    // which this process does not outlive.
    unsafe { libc::execve(plan.path.as_ptr(), plan.argv.as_ptr(), plan.environment.as_ptr()) };
    let failure = failure(Step::Exec);
    // SAFETY: a plan has at least one argument, and it is a C string inside the plan.
    let name = plan.argv.first().map_or(&b""[..], |name| unsafe { CStr::from_ptr(*name) }.to_bytes());
    complain(b"exec ", name, failure.errno);
    failure
}

/// Sets the soft limit, lowered to the hard one where that is less.
fn set_limit(limit: SoftLimit) -> bool {
    let mut both = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `both` outlives the calls, which are bare system calls.
    unsafe {
        if libc::prlimit(0, limit.resource as _, std::ptr::null(), &raw mut both) == -1 {
            return false;
        }
        both.rlim_cur = limit.soft.min(both.rlim_max);
        libc::prlimit(0, limit.resource as _, &raw const both, std::ptr::null_mut()) == 0
    }
}

/// As Supervisor does it: nothing for the user we are, groups before group before user otherwise.
fn change_user(user: &UserView<'_>) -> Result<(), Failure> {
    let (uid, gid, groups) = match user {
        UserView::Keep => return Ok(()),
        UserView::Unknown { uid, reason } => {
            return refuse(*uid, reason.to_bytes(), Failure { step: Step::User as u8, errno: libc::EINVAL });
        }
        UserView::Become { uid, gid, groups } => (*uid, *gid, *groups),
    };
    // SAFETY: cannot fail.
    match unsafe { libc::getuid() } {
        current if current == uid => return Ok(()),
        0 => {}
        _ => {
            let failure = Failure { step: Step::User as u8, errno: libc::EPERM };
            return refuse(uid, b"Can't drop privilege as nonroot user", failure);
        }
    }
    // SAFETY: `groups` is as long as it says, and these are bare system calls. (The C library's own calls change all threads that
    // it believes to be there, and after a bare `clone` it waits for ever for one that is not.)
    unsafe {
        if libc::syscall(SYS_SETGROUPS, groups.len(), groups.as_ptr()) == -1 {
            return refuse(uid, b"Could not set groups of effective user", failure(Step::User));
        }
        if libc::syscall(SYS_SETGID, gid) == -1 {
            return refuse(uid, b"Could not set group id of effective user", failure(Step::User));
        }
        if libc::syscall(SYS_SETUID, uid) == -1 {
            let failure = failure(Step::User);
            return refuse(uid, errno::name(failure.errno).unwrap_or("unknown error").as_bytes(), failure);
        }
    }
    Ok(())
}

fn refuse(uid: u32, reason: &[u8], failure: Failure) -> Result<(), Failure> {
    let mut digits = [0; 20];
    let uid = decimal(u64::from(uid), &mut digits);
    say(&[b"supervisor: couldn't setuid to ", uid, b": ", reason, b"\n"]);
    Err(failure)
}

/// All signals at their defaults: what is ignored here would stay ignored after exec.
pub(super) fn default_dispositions() {
    // More than the kernel's structure on any machine; all zero it is SIG_DFL, no flags, an empty mask.
    let action = [0u64; 16];
    // SAFETY: a bare system call that reads `action`, which outlives it. It fails for SIGKILL and SIGSTOP,
    // which cannot be changed. (The C library's own call keeps two signals to itself, which may
    // be inherited as ignored like any other.)
    unsafe {
        for signal in 1..=libc::SIGRTMAX() {
            libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), std::ptr::null_mut::<u64>(), KERNEL_SIGSET);
        }
    }
}

/// No signal is blocked: what was sent meanwhile acts now.
pub(super) fn unblock_signals() {
    // SAFETY: a zeroed `sigset_t` is a valid place for `sigemptyset`; both calls are async-signal-safe.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// No descriptor from 3 on reaches the program, whoever opened it and forgot the flag.
pub(super) fn close_the_rest_on_exec() {
    // SAFETY: bare system calls on numbers.
    unsafe {
        if libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) == 0 {
            return;
        }
        // Before Linux 5.11, or forbidden by a container's filter: one at a time, as far as Supervisor would.
        for number in 3..1024 {
            libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
}

fn failure(step: Step) -> Failure {
    // SAFETY: the address of this thread's errno.
    Failure { step: step as u8, errno: unsafe { *libc::__errno_location() } }
}

/// `supervisor: couldn't DOING WHAT: ENAME`.
fn complain(doing: &[u8], what: &[u8], number: i32) {
    let mut digits = [0; 20];
    let name = match errno::name(number) {
        Some(name) => name.as_bytes(),
        None => decimal(u64::from(number.unsigned_abs()), &mut digits),
    };
    say(&[b"supervisor: couldn't ", doing, what, b": ", name, b"\n"]);
}

/// One write to standard error. It is the child's log by now, or nobody can be told.
fn say(parts: &[&[u8]]) {
    let empty = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
    let mut pieces = [empty; 8];
    for (piece, part) in pieces.iter_mut().zip(parts) {
        *piece = libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() };
    }
    // SAFETY: `writev` only reads through these pointers, which are valid for their lengths (or zero
    // long); there are eight of them.
    unsafe { libc::writev(2, pieces.as_ptr(), 8) };
}

/// `number` in `digits`, which has room for every `u64`.
fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        used += 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    digits.get(20 - used..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 4321, u64::MAX] {
            let mut digits = [0; 20];
            assert_eq!(decimal(number, &mut digits), number.to_string().as_bytes());
        }
    }
}

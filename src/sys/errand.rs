//! A command that is run for its exit code, beside the programs.
//!
//! A guard runs it: a child of this process that waits for the command to end, or for its lifeline to be cut, which is when
//! nobody wants the answer any more or this process is dead. Then it kills the command's process group. The guard's own end
//! sends no SIGCHLD and comes out of no `wait` that does not ask for it, so whoever collects children here is not disturbed.

use std::fs::File;
use std::io::{self, PipeReader, Seek as _};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::sys::signal::{SigSet, SigmaskHow};

use super::child_pipes::ChildEnds;
use super::plan::{ExecPlan, PlanBuffer, PlanView};
use super::reap::Exit;
use super::spawn::Failure;
use super::{child, descriptors, fork, side};

/// The bytes of one report: a step and a number. They are fewer than `PIPE_BUF`, so they come whole or not at all.
pub const REPORT_BYTES: usize = 5;

/// The step of a report whose number is the status of a command that has ended.
const ENDED: u8 = 0;

/// The step of a report of a guard that could not do its work, beyond those of a child's way to `exec`.
const UNGUARDED: u8 = u8::MAX;

/// A killed command that is not gone after so long hangs in the kernel and falls to whom orphans fall. Milliseconds.
const KILLED_WAIT: i32 = 1000;

/// A command under way.
#[derive(Debug)]
pub struct Errand {
    /// What it writes to standard output and standard error.
    pub output: OwnedFd,
    /// Gives the reports, each to be read by [`Report::of`].
    pub reports: OwnedFd,
    pub guard: Guard,
}

/// Ends the command when it is dropped, if it still runs.
#[derive(Debug)]
pub struct Guard {
    pid: i32,
    lifeline: Option<OwnedFd>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.lifeline = None;
        let pid = self.pid;
        // It ends at once or within `KILLED_WAIT`; nobody need wait for that.
        drop(side::run(move || {
            // SAFETY: a child of ours that nobody else collects; no status is asked for.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::__WCLONE) };
        }));
    }
}

/// What is told of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    Ended(Exit),
    /// It did not become the command. If it existed, its end follows.
    Failed(Failure),
}

impl Report {
    /// `None` for bytes that no guard writes.
    #[must_use]
    pub fn of(bytes: [u8; REPORT_BYTES]) -> Option<Report> {
        let [step, number @ ..] = bytes;
        let number = i32::from_ne_bytes(number);
        match step {
            ENDED => Exit::of_status(number).map(Report::Ended),
            step => Some(Report::Failed(Failure { step, errno: number })),
        }
    }
}

/// Begins to run what the plan says, with these bytes at its standard input, in a process group of its own. Cgroup and sockets of the
/// plan are none of it.
///
/// # Errors
///
/// E2BIG; EMFILE, ENFILE; EAGAIN, ENOMEM of the fork. Then there is no command.
pub fn begin(plan: &ExecPlan, input: &[u8]) -> io::Result<Errand> {
    let bytes = plan.to_bytes().ok_or_else(|| io::Error::from_raw_os_error(libc::E2BIG))?;
    let mut buffer = PlanBuffer::default();
    let plan = PlanView::decode(&bytes, &mut buffer).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    let mut input = File::from(descriptors::sealed_memory(c"input", input)?);
    input.rewind()?;
    let (output, written) = io::pipe()?;
    let (reports, told) = io::pipe()?;
    let (lifeline, held) = io::pipe()?;
    let ends = ChildEnds { stdin: input.into(), stdout: written.into(), stderr: None };
    // The guard must not end by a signal that is for its parent, nor miss the end of the command.
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    // SAFETY: the child only calls `stand_guard`, which never returns and keeps to what is allowed after a fork.
    let pid = unsafe { fork::bare(0) };
    if pid == 0 {
        stand_guard(&plan, &ends, &lifeline, told.as_raw_fd());
    }
    let error = io::Error::last_os_error();
    // Fails for no mask that was in force before.
    let _ = mask.thread_set_mask();
    if pid == -1 {
        return Err(error);
    }
    let guard = Guard { pid, lifeline: Some(held.into()) };
    Ok(Errand { output: output.into(), reports: reports.into(), guard })
}

/// The guard's whole life. After a fork: see `child` for what may be called.
fn stand_guard(plan: &PlanView<'_>, ends: &ChildEnds, lifeline: &PipeReader, report: RawFd) -> ! {
    let ended = open_ends();
    if ended == -1 {
        give_up(report);
    }
    let (lifeline, stdin, stdout) = (lifeline.as_raw_fd(), ends.stdin.as_raw_fd(), ends.stdout.as_raw_fd());
    // Before there is a command: one that hangs on its way to `exec` must not hold the lifelines of others.
    keep_only([lifeline, ended, report, stdin, stdout]);
    // With SIGCHLD ignored the kernel would collect the command, and nobody learn how it ended.
    child::default_dispositions();
    // SAFETY: as in `begin`; the child only calls `child::main`.
    let pid = unsafe { fork::bare(libc::SIGCHLD) };
    if pid == 0 {
        child::main(plan, ends, child::Extra { listener: None, cgroup: None }, report);
    }
    if pid == -1 {
        give_up(report);
    }
    // SAFETY: a bare system call on numbers. The command does the same; whoever is first, its group is there before it is killed.
    unsafe { libc::setpgid(pid, pid) };
    close(stdin, stdin);
    close(stdout, stdout);
    let is_over = await_either(lifeline, ended, pid);
    // SAFETY: bare system calls on numbers. It is not collected, so its number is its own and its group's.
    unsafe {
        libc::kill(-pid, libc::SIGKILL);
        libc::kill(pid, libc::SIGKILL);
    }
    if !is_over {
        wait_for([ended, -1], KILLED_WAIT);
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call, which is async-signal-safe.
    if unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } == pid {
        tell(report, ENDED, status);
    }
    end()
}

/// Tells why there is no command, by `errno`.
fn give_up(report: RawFd) -> ! {
    // SAFETY: the address of this thread's errno.
    tell(report, UNGUARDED, unsafe { *libc::__errno_location() });
    end()
}

fn end() -> ! {
    // SAFETY: does not come back, and is async-signal-safe.
    unsafe { libc::_exit(0) }
}

/// A descriptor that is readable when a child has ended; -1 with errno set if there is none.
fn open_ends() -> RawFd {
    // SAFETY: a zeroed `sigset_t` is a valid place for `sigemptyset`; the last one is a bare system call.
    unsafe {
        let mut wanted: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut wanted);
        libc::sigaddset(&raw mut wanted, libc::SIGCHLD);
        libc::signalfd(-1, &raw const wanted, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    }
}

/// Waits for the command's end or the lifeline's; whether the command has ended. It is not collected.
fn await_either(lifeline: RawFd, ended: RawFd, pid: i32) -> bool {
    loop {
        let [is_cut, is_told] = wait_for([lifeline, ended], -1);
        if is_told && has_ended(ended, pid) {
            return true;
        }
        if is_cut {
            return false;
        }
    }
}

/// Takes the signal away: one that was stopped or continued has not ended.
fn has_ended(ended: RawFd, pid: i32) -> bool {
    let mut signal = [0u8; size_of::<libc::signalfd_siginfo>()];
    // SAFETY: both places outlive the calls, which are bare system calls; all zero is a valid `siginfo_t`.
    unsafe {
        libc::read(ended, signal.as_mut_ptr().cast(), signal.len());
        let mut found: libc::siginfo_t = std::mem::zeroed();
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PID, pid.unsigned_abs(), &raw mut found, options) == 0 && found.si_pid() == pid
    }
}

/// Which of them have something, after `millis` at the latest; -1 waits without limit. A number below zero is nobody.
fn wait_for(descriptors: [RawFd; 2], millis: i32) -> [bool; 2] {
    let mut awaited = descriptors.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    // SAFETY: `awaited` outlives the call, which is async-signal-safe, and there are two of them.
    unsafe { libc::poll(awaited.as_mut_ptr(), 2, millis) };
    awaited.map(|one| one.revents != 0)
}

fn tell(report: RawFd, step: u8, number: i32) {
    let [a, b, c, d] = number.to_ne_bytes();
    let bytes = [step, a, b, c, d];
    // SAFETY: `bytes` outlives the call, which is async-signal-safe.
    unsafe { libc::write(report, bytes.as_ptr().cast(), bytes.len()) };
}

/// Closes what the guard has of its parent, whose end others see by it; standard descriptors stay.
fn keep_only(mut kept: [RawFd; 5]) {
    kept.sort_unstable();
    let mut from: RawFd = 3;
    for one in kept {
        close(from, one - 1);
        from = from.max(one + 1);
    }
    close(from, RawFd::MAX);
}

/// Closes those from `first` to `last`.
fn close(first: RawFd, last: RawFd) {
    /// Before Linux 5.9, or forbidden by a container's filter: one at a time, as far as there may be any.
    const LAST: RawFd = 65_535;
    if first > last {
        return;
    }
    // SAFETY: bare system calls on numbers; nothing in the guard uses these descriptors any more.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first.unsigned_abs(), last.unsigned_abs(), 0) == 0 {
            return;
        }
        for number in first..=last.min(LAST) {
            libc::close(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::io::Read;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::super::plan::User;
    use super::*;

    fn plan(script: &str) -> ExecPlan {
        let text = |text: &str| CString::new(text).unwrap();
        ExecPlan {
            path: text("/bin/sh"),
            argv: vec![text("sh"), text("-c"), text(script)],
            environment: vec![text("PATH=/bin:/usr/bin")],
            ..ExecPlan::default()
        }
    }

    fn next(reports: &mut File) -> Option<Report> {
        let mut bytes = [0; REPORT_BYTES];
        reports.read_exact(&mut bytes).ok()?;
        Report::of(bytes)
    }

    #[test]
    fn the_end_of_a_command_is_told_and_what_it_wrote() {
        for (script, code, wanted) in [("cat; echo err >&2", 0, "in\nerr\n"), ("exit 7", 7, "")] {
            let Errand { output, reports, guard: _guard } = begin(&plan(script), b"in\n").unwrap();
            assert_eq!(next(&mut reports.into()), Some(Report::Ended(Exit::Code(code))), "{script}");
            let mut written = String::new();
            File::from(output).read_to_string(&mut written).unwrap();
            assert_eq!(written, wanted);
        }
    }

    #[test]
    fn who_leaves_somebody_behind_in_its_group_has_it_killed() {
        let Errand { output, reports, guard: _guard } = begin(&plan("sleep 1000 & exit 3"), b"").unwrap();
        assert_eq!(next(&mut reports.into()), Some(Report::Ended(Exit::Code(3))));
        // The end comes when nobody has the other end any more.
        assert_eq!(File::from(output).read_to_end(&mut Vec::new()).unwrap(), 0);
    }

    #[test]
    fn whom_nobody_waits_for_is_killed_with_its_children() {
        let Errand { output, reports, guard } = begin(&plan("echo up; sleep 1000 & sleep 1000"), b"").unwrap();
        let mut output = File::from(output);
        output.read_exact(&mut [0; 3]).unwrap();
        drop(guard);
        assert_eq!(output.read_to_end(&mut Vec::new()).unwrap(), 0);
        let killed = Exit::Signal { number: libc::SIGKILL, core_dumped: false };
        assert_eq!(next(&mut reports.into()), Some(Report::Ended(killed)));
    }

    #[test]
    fn who_becomes_another_user_does_so_while_threads_come_and_go() {
        const TIMES: usize = 100;
        let nobody = User::Become { uid: 65_534, gid: 65_534, groups: vec![65_534] };
        let is_root = nix::unistd::geteuid().is_root();
        let plan = ExecPlan { user: if is_root { nobody } else { User::Keep }, ..plan("exit 3") };
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        thread::spawn(thread::yield_now).join().unwrap();
                    }
                });
            }
            for _ in 0..TIMES {
                let Errand { output: _output, reports, guard: _guard } = begin(&plan, b"").unwrap();
                let mut awaited = [libc::pollfd { fd: reports.as_raw_fd(), events: libc::POLLIN, revents: 0 }];
                // SAFETY: `awaited` outlives the call, and there is one of them.
                let told = unsafe { libc::poll(awaited.as_mut_ptr(), 1, 30_000) };
                is_over.store(told != 1, Ordering::Relaxed);
                assert_eq!(told, 1, "the command hangs on its way to exec");
                assert_eq!(next(&mut reports.into()), Some(Report::Ended(Exit::Code(3))));
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn what_cannot_be_executed_says_at_which_step() {
        let missing = ExecPlan { path: c"/no/such/command".to_owned(), ..plan("") };
        let Errand { output: _output, reports, guard: _guard } = begin(&missing, b"").unwrap();
        let mut reports = File::from(reports);
        let failure = Failure { step: super::super::spawn::Step::Exec as u8, errno: libc::ENOENT };
        assert_eq!(next(&mut reports), Some(Report::Failed(failure)));
    }
}

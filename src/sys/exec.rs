//! Our own program, executed again.

use std::ffi::{CStr, CString, OsStr, OsString, c_char};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::fork::fork;
use super::{child, descriptors, signals};

/// A program, even if its name is gone or means another file by now.
#[derive(Debug)]
pub struct Executable {
    file: Option<OwnedFd>,
    /// It is what this process executes.
    is_own: bool,
}

impl Executable {
    /// What this process executes. To be called early, while the program is surely there. Without /proc only the start
    /// of other images fails, and says so then.
    #[must_use]
    pub fn of_this_process() -> Self {
        let file = open(c"/proc/self/exe", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok();
        Self { file, is_own: true }
    }

    /// The program in a file that was opened, as by `O_PATH`.
    #[must_use]
    pub fn of(file: OwnedFd) -> Self {
        Self { file: Some(file), is_own: false }
    }

    /// The program's file, for another process or image.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }

    /// Replaces this image by one of the program. Only standard descriptors and `kept` survive.
    ///
    /// Returns only if that failed.
    #[must_use]
    pub fn replace_image<'a>(
        &self,
        arguments: &[CString],
        environment: &[CString],
        kept: impl IntoIterator<Item = BorrowedFd<'a>>,
    ) -> io::Error {
        let (arguments, environment) = (pointers(arguments), pointers(environment));
        child::close_the_rest_on_exec();
        if let Err(error) = kept.into_iter().try_for_each(descriptors::keep_over_exec) {
            return error;
        }
        self.exec(&arguments, &environment);
        let error = io::Error::last_os_error();
        // What is started from here on gets nothing of it.
        child::close_the_rest_on_exec();
        error
    }

    /// Starts a new process of the same program. Only standard descriptors and `kept` reach it. It ignores
    /// the `ignored` signals; all others have their defaults and none is blocked.
    ///
    /// # Errors
    ///
    /// EAGAIN, ENOMEM of fork. That exec failed is seen as exit code 127.
    pub fn start(
        &self,
        arguments: &[CString],
        environment: &[CString],
        kept: BorrowedFd<'_>,
        ignored: &[i32],
    ) -> io::Result<i32> {
        let (arguments, environment) = (pointers(arguments), pointers(environment));
        // SAFETY: the child calls only what may be called after a fork (see `child`) and never returns.
        match unsafe { fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                child::default_dispositions();
                for signal in ignored {
                    signals::ignore(*signal);
                }
                child::unblock_signals();
                child::close_the_rest_on_exec();
                // SAFETY: a system call on numbers, then the end of this process.
                unsafe {
                    libc::fcntl(kept.as_raw_fd(), libc::F_SETFD, 0);
                    self.exec(&arguments, &environment);
                    libc::_exit(127)
                }
            }
            pid => Ok(pid),
        }
    }

    /// Returns if it failed, with errno set. Async-signal-safe.
    fn exec(&self, arguments: &[*const c_char], environment: &[*const c_char]) {
        // SAFETY: both arrays come from `pointers`: C strings that outlive the call, and a null.
        unsafe {
            // By name first: the kernel then shows the program's path as usual.
            if self.is_own {
                libc::execve(c"/proc/self/exe".as_ptr(), arguments.as_ptr(), environment.as_ptr());
            }
            if let Some(file) = &self.file {
                libc::syscall(
                    libc::SYS_execveat,
                    file.as_fd().as_raw_fd(),
                    c"".as_ptr(),
                    arguments.as_ptr(),
                    environment.as_ptr(),
                    libc::AT_EMPTY_PATH,
                );
            }
        }
    }
}

/// The arguments of this process, the program's name first, as another image is to get them.
#[must_use]
pub fn arguments() -> Vec<CString> {
    std::env::args_os().map(OsString::into_vec).map(|bytes| CString::new(bytes).unwrap_or_default()).collect()
}

/// The environment of this process without the variables `without`, and with `with` (`NAME=value`) added.
#[must_use]
pub fn environment(without: &[&str], with: &[String]) -> Vec<CString> {
    let kept = std::env::vars_os().filter(|(name, _)| !without.iter().any(|other| name == OsStr::new(other)));
    let kept = kept.map(|(name, value)| [name.into_vec(), value.into_vec()].join(&b'='));
    kept.chain(with.iter().cloned().map(String::into_bytes)).filter_map(|bytes| CString::new(bytes).ok()).collect()
}

/// Takes a variable out of the environment, so that nothing we start inherits it. To be called while
/// there is one thread.
#[expect(clippy::disallowed_methods, reason = "at the start of an image there is no thread beside it")]
#[must_use]
pub fn take_variable(name: &str) -> Option<OsString> {
    let value = std::env::var_os(name)?;
    // SAFETY: by the contract above no other thread reads the environment meanwhile.
    unsafe { std::env::remove_var(name) };
    Some(value)
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts.iter().map(CString::as_c_str).map(CStr::as_ptr).chain([std::ptr::null()]).collect()
}

//! What a child shall become, as one flat block of bytes.
//!
//! The worker encodes a plan into sealed memory; the keeper maps that memory and reads it in
//! place, so that its own size does not depend on the size of a program's environment.

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;

use super::descriptors;

/// A plan is not larger, in bytes: the kernel's own limit for arguments and environment is 6 MiB.
pub const PLAN_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What starts every encoded plan: a name and a version.
const MAGIC: u32 = u32::from_le_bytes(*b"gxp4");

const NONE: u32 = u32::MAX;

/// Everything that happens to a child between fork and exec.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecPlan {
    /// Handed to `execve` as it is; not looked up in PATH.
    pub path: CString,
    /// At least the program's own name.
    pub argv: Vec<CString>,
    /// `NAME=value`, complete: nothing is inherited.
    pub environment: Vec<CString>,
    /// `None`: the keeper's own.
    pub directory: Option<CString>,
    /// `None`: the keeper's own. Only the lowest nine bits.
    pub umask: Option<u32>,
    pub user: User,
    /// Soft limits to set; lowered to the hard limit where that is less.
    pub limits: Vec<SoftLimit>,
    pub stdin: Stdin,
    pub stderr: Stderr,
    /// Whether the child enters a cgroup: the door to it (`cgroup.procs`, open for writing) is handed over with the plan. One
    /// that cannot enter goes on without.
    pub enters_cgroup: bool,
    /// One that cannot enter does not become its program: it must not run without the limits of that cgroup.
    pub is_confined: bool,
    /// Whether a listening socket is handed over with the plan: it becomes descriptor 3, and `LISTEN_PID` the child's pid. The other
    /// variables of `sd_listen_fds(3)` are in the environment.
    pub listens: bool,
}

/// Who the child becomes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum User {
    /// No change.
    #[default]
    Keep,
    /// Nothing happens if the keeper already is this user; else only root can do it.
    /// `groups` has the primary group first.
    Become { uid: u32, gid: u32, groups: Vec<u32> },
    /// The account could not be looked up: the child says so where its messages go, and fails.
    Unknown { uid: u32, reason: CString },
}

/// A resource (`RLIMIT_…`) and its soft limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftLimit {
    pub resource: u32,
    pub soft: u64,
}

/// Where the child's standard input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stdin {
    /// A new pipe.
    #[default]
    Pipe,
    /// A descriptor that is handed over with the plan.
    Given,
}

/// Where the child's standard error goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stderr {
    /// A new pipe of its own.
    #[default]
    Pipe,
    /// The pipe of standard output.
    Stdout,
}

impl ExecPlan {
    /// The plan in sealed memory, ready to be sent.
    ///
    /// # Errors
    ///
    /// E2BIG if it is larger than [`PLAN_BYTES_MAX`]; EMFILE, ENFILE, ENOMEM.
    pub fn encode(&self) -> io::Result<OwnedFd> {
        let bytes = self.to_bytes().ok_or_else(|| io::Error::from_raw_os_error(libc::E2BIG))?;
        descriptors::sealed_memory(c"exec-plan", &bytes)
    }

    /// `None` if a count or the whole is too large.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        let (user, uid, gid, groups, reason): (u32, u32, u32, &[u32], Option<&CString>) = match &self.user {
            User::Keep => (0, NONE, NONE, &[], None),
            User::Become { uid, gid, groups } => (1, *uid, *gid, groups, None),
            User::Unknown { uid, reason } => (2, *uid, NONE, &[], Some(reason)),
        };
        let header = [
            MAGIC,
            user,
            uid,
            gid,
            self.umask.unwrap_or(NONE),
            u32::from(self.stdin == Stdin::Given),
            u32::from(self.stderr == Stderr::Stdout),
            u32::from(self.enters_cgroup),
            u32::from(self.is_confined),
            u32::from(self.listens),
            u32::from(self.directory.is_some()),
            u32::try_from(groups.len()).ok()?,
            u32::try_from(self.limits.len()).ok()?,
            u32::try_from(self.argv.len()).ok()?,
            u32::try_from(self.environment.len()).ok()?,
        ];
        let mut bytes: Vec<u8> = header.iter().chain(groups).flat_map(|number| number.to_le_bytes()).collect();
        for limit in &self.limits {
            bytes.extend_from_slice(&limit.resource.to_le_bytes());
            bytes.extend_from_slice(&limit.soft.to_le_bytes());
        }
        let texts = [&self.path].into_iter().chain(&self.directory).chain(reason);
        for text in texts.chain(&self.argv).chain(&self.environment) {
            bytes.extend_from_slice(text.as_bytes_with_nul());
        }
        (bytes.len() <= PLAN_BYTES_MAX).then_some(bytes)
    }
}

/// `LISTEN_PID=`, the longest number, and the zero at the end.
pub(super) const LISTEN_PID_BYTES: usize = 32;

/// The pointer arrays of a plan; kept and reused, so that spawning does not allocate.
///
/// The pointers mean nothing between two plans.
#[derive(Debug, Default)]
pub struct PlanBuffer {
    pub(super) argv: Vec<*const c_char>,
    pub(super) environment: Vec<*const c_char>,
    pub(super) groups: Vec<libc::gid_t>,
    /// Where the child writes `LISTEN_PID`, which nobody knows before.
    listen_pid: Box<[u8; LISTEN_PID_BYTES]>,
}

// SAFETY: the pointers are only followed while the `PlanView` that wrote them borrows this buffer
// and the memory they point into; at any other time they are numbers.
unsafe impl Send for PlanBuffer {}

/// A plan read in place.
#[derive(Debug)]
pub struct PlanView<'a> {
    pub(super) path: &'a CStr,
    pub(super) argv: &'a [*const c_char],
    pub(super) environment: &'a [*const c_char],
    pub(super) directory: Option<&'a CStr>,
    pub(super) umask: Option<u32>,
    pub(super) user: UserView<'a>,
    pub(super) limits: LimitsView<'a>,
    pub stdin: Stdin,
    pub stderr: Stderr,
    pub enters_cgroup: bool,
    pub(super) is_confined: bool,
    /// The place of `LISTEN_PID`, of [`LISTEN_PID_BYTES`] bytes; `None` unless a listening socket is passed.
    pub(super) listen_pid: Option<NonNull<u8>>,
}

#[derive(Debug)]
pub(super) enum UserView<'a> {
    Keep,
    Become { uid: u32, gid: u32, groups: &'a [libc::gid_t] },
    Unknown { uid: u32, reason: &'a CStr },
}

/// The encoded soft limits, twelve bytes each.
#[derive(Debug, Clone, Copy)]
pub(super) struct LimitsView<'a>(&'a [[u8; 12]]);

impl LimitsView<'_> {
    pub(super) fn iter(&self) -> impl Iterator<Item = SoftLimit> + '_ {
        self.0.iter().map(|&[a, b, c, d, soft @ ..]| SoftLimit {
            resource: u32::from_le_bytes([a, b, c, d]),
            soft: u64::from_le_bytes(soft),
        })
    }
}

impl<'a> PlanView<'a> {
    /// Reads an encoded plan. `None` unless it is one, whole and exactly.
    #[must_use]
    pub fn decode(bytes: &'a [u8], buffer: &'a mut PlanBuffer) -> Option<Self> {
        let mut cursor = Cursor(bytes);
        if cursor.number()? != MAGIC {
            return None;
        }
        let (user, uid, gid) = (cursor.number()?, cursor.number()?, cursor.number()?);
        let umask = Some(cursor.number()?).filter(|mask| *mask != NONE);
        let stdin = if cursor.truth()? { Stdin::Given } else { Stdin::Pipe };
        let stderr = if cursor.truth()? { Stderr::Stdout } else { Stderr::Pipe };
        let enters_cgroup = cursor.truth()?;
        let is_confined = cursor.truth()?;
        let listens = cursor.truth()?;
        let has_directory = cursor.truth()?;
        let (groups, limits) = (cursor.number()?, cursor.number()?);
        let (arguments, variables) = (cursor.number()?, cursor.number()?);

        let (groups, rest) = cursor.0.split_at_checked(usize::try_from(groups).ok()?.checked_mul(4)?)?;
        buffer.groups.clear();
        buffer.groups.extend(groups.as_chunks().0.iter().map(|group| libc::gid_t::from_le_bytes(*group)));
        let (limits, rest) = rest.split_at_checked(usize::try_from(limits).ok()?.checked_mul(12)?)?;
        cursor.0 = rest;

        let path = cursor.text()?;
        let directory = if has_directory { Some(cursor.text()?) } else { None };
        let user = match user {
            0 => UserView::Keep,
            1 => UserView::Become { uid, gid, groups: &buffer.groups },
            2 => UserView::Unknown { uid, reason: cursor.text()? },
            _ => return None,
        };
        cursor.pointers(arguments, &mut buffer.argv)?;
        cursor.pointers(variables, &mut buffer.environment)?;
        if arguments == 0 || !cursor.0.is_empty() {
            return None;
        }
        let listen_pid = listens.then(|| NonNull::from(buffer.listen_pid.as_mut()).cast::<u8>());
        if let Some(place) = listen_pid {
            // Before the null pointer at the end.
            buffer.environment.pop();
            buffer.environment.extend([place.as_ptr().cast_const().cast(), std::ptr::null()]);
        }
        Some(Self {
            path,
            argv: &buffer.argv,
            environment: &buffer.environment,
            directory,
            umask,
            user,
            limits: LimitsView(limits.as_chunks().0),
            stdin,
            stderr,
            enters_cgroup,
            is_confined,
            listen_pid,
        })
    }

    /// Whether a listening socket is to be passed.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.listen_pid.is_some()
    }
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*number))
    }

    fn truth(&mut self) -> Option<bool> {
        match self.number()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<&'a CStr> {
        let text = CStr::from_bytes_until_nul(self.0).ok()?;
        self.0 = self.0.get(text.count_bytes() + 1..)?;
        Some(text)
    }

    /// `count` texts as an array that ends with a null pointer, as `execve` wants it.
    fn pointers(&mut self, count: u32, pointers: &mut Vec<*const c_char>) -> Option<()> {
        pointers.clear();
        for _ in 0..count {
            pointers.push(self.text()?.as_ptr());
        }
        pointers.push(std::ptr::null());
        Some(())
    }
}

/// Sealed memory of another process, mapped for reading.
#[derive(Debug)]
pub struct PlanMemory {
    start: NonNull<u8>,
    length: usize,
}

impl PlanMemory {
    /// Maps a descriptor that [`ExecPlan::encode`] made.
    ///
    /// # Errors
    ///
    /// EINVAL if it is not sealed, empty or too large; ENOMEM.
    pub fn map(memory: impl AsFd) -> io::Result<Self> {
        let length = usize::try_from(nix::sys::stat::fstat(&memory)?.st_size).unwrap_or(usize::MAX);
        let size = std::num::NonZeroUsize::new(length).filter(|_| length <= PLAN_BYTES_MAX);
        let (Some(size), true) = (size, descriptors::is_sealed(&memory)) else {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        };
        let (read, private) = (nix::sys::mman::ProtFlags::PROT_READ, nix::sys::mman::MapFlags::MAP_PRIVATE);
        // SAFETY: a new mapping at an address of the kernel's choice disturbs nothing that exists.
        let start = unsafe { nix::sys::mman::mmap(None, size, read, private, memory, 0) }?;
        Ok(Self { start: start.cast(), length })
    }

    /// The encoded plan.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `start` maps `length` readable bytes until `self` is dropped, and the seals, checked
        // before mapping, see to it that nobody can change them or cut them off.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for PlanMemory {
    fn drop(&mut self) {
        // SAFETY: this is the mapping made by `map`, and `bytes` borrowed from `self` are gone.
        // Unmapping a whole mapping cannot fail.
        let _ = unsafe { nix::sys::mman::munmap(self.start.cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = CString> {
        prop::collection::vec(1..=255u8, 0..20).prop_map(|bytes| CString::new(bytes).unwrap())
    }

    fn plan() -> impl Strategy<Value = ExecPlan> {
        let user = prop_oneof![
            Just(User::Keep),
            any::<(u32, u32, Vec<u32>)>().prop_map(|(uid, gid, groups)| User::Become { uid, gid, groups }),
            (any::<u32>(), text()).prop_map(|(uid, reason)| User::Unknown { uid, reason }),
        ];
        let limits =
            prop::collection::vec(any::<(u32, u64)>().prop_map(|(resource, soft)| SoftLimit { resource, soft }), 0..4);
        let argv = prop::collection::vec(text(), 1..5);
        let environment = prop::collection::vec(text(), 0..5);
        let directory = prop::option::of(text());
        let umask = prop::option::of(0..0o777u32);
        (text(), argv, environment, directory, umask, user, limits, any::<(bool, bool, bool, bool, bool)>()).prop_map(
            |(
                path,
                argv,
                environment,
                directory,
                umask,
                user,
                limits,
                (given, redirected, enters_cgroup, is_confined, listens),
            )| ExecPlan {
                path,
                argv,
                environment,
                directory,
                umask,
                user,
                limits,
                stdin: if given { Stdin::Given } else { Stdin::Pipe },
                stderr: if redirected { Stderr::Stdout } else { Stderr::Pipe },
                enters_cgroup,
                is_confined,
                listens,
            },
        )
    }

    fn texts(pointers: &[*const c_char]) -> Vec<CString> {
        let (last, texts) = pointers.split_last().unwrap();
        assert!(last.is_null());
        // SAFETY: each pointer was taken from a text inside the encoded plan, which the caller holds.
        texts.iter().map(|&text| unsafe { CStr::from_ptr(text) }.to_owned()).collect()
    }

    fn owned(view: &PlanView<'_>) -> ExecPlan {
        let mut environment = texts(view.environment);
        // The last one is the child's to write.
        assert!(!view.listens() || environment.pop() == Some(CString::default()));
        ExecPlan {
            path: view.path.to_owned(),
            argv: texts(view.argv),
            environment,
            directory: view.directory.map(CStr::to_owned),
            umask: view.umask,
            user: match view.user {
                UserView::Keep => User::Keep,
                UserView::Become { uid, gid, groups } => User::Become { uid, gid, groups: groups.to_vec() },
                UserView::Unknown { uid, reason } => User::Unknown { uid, reason: reason.to_owned() },
            },
            limits: view.limits.iter().collect(),
            stdin: view.stdin,
            stderr: view.stderr,
            enters_cgroup: view.enters_cgroup,
            is_confined: view.is_confined,
            listens: view.listens(),
        }
    }

    proptest! {
        #[test]
        fn a_plan_reads_back_as_it_was_written(plan in plan()) {
            let memory = PlanMemory::map(plan.encode().unwrap()).unwrap();
            let mut buffer = PlanBuffer::default();
            prop_assert_eq!(owned(&PlanView::decode(memory.bytes(), &mut buffer).unwrap()), plan);
        }

        #[test]
        fn damaged_plans_are_refused_or_other_plans(
            plan in plan(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            length in any::<prop::sample::Index>(),
        ) {
            let mut bytes = plan.to_bytes().unwrap();
            for (place, byte) in damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            let mut buffer = PlanBuffer::default();
            if let Some(view) = PlanView::decode(&bytes, &mut buffer) {
                prop_assert!(!view.argv.is_empty());
            }
            bytes.truncate(length.index(bytes.len()));
            prop_assert!(PlanView::decode(&bytes, &mut buffer).is_none() || bytes.last() == Some(&0));
        }
    }

    #[test]
    fn only_sealed_memory_is_mapped() {
        assert!(PlanMemory::map(tempfile::tempfile().unwrap()).is_err());
        assert!(PlanMemory::map(descriptors::sealed_memory(c"empty", b"").unwrap()).is_err());
    }

    #[test]
    fn a_plan_has_a_largest_size() {
        let plan = ExecPlan { argv: vec![CString::new(vec![b'x'; PLAN_BYTES_MAX]).unwrap()], ..ExecPlan::default() };
        assert_eq!(plan.encode().unwrap_err().raw_os_error(), Some(libc::E2BIG));
    }
}

//! Who is under test: which daemon, driven by which client.

use std::fs;
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::notice::tell;
use crate::venv::supervisor_venv;

/// The original or ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Original,
    Galaxyd,
}

/// One cell of the matrix of daemons and clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject {
    pub(crate) daemon: Side,
    pub(crate) client: Side,
}

impl Side {
    /// The folder with this side's `supervisord` and `supervisorctl`.
    pub(crate) fn bin(self) -> PathBuf {
        match self {
            Side::Original => original_bin().as_ref().unwrap().clone(),
            Side::Galaxyd => galaxyd_bin().clone(),
        }
    }

    pub(crate) fn supervisord(self) -> PathBuf {
        self.bin().join("supervisord")
    }

    pub(crate) fn supervisorctl(self) -> PathBuf {
        self.bin().join("supervisorctl")
    }
}

impl Subject {
    pub(crate) const ORIGINAL: Subject = Subject { daemon: Side::Original, client: Side::Original };
    pub(crate) const GALAXYD: Subject = Subject { daemon: Side::Galaxyd, client: Side::Galaxyd };
    pub(crate) const PYTHON_CLIENT: Subject = Subject { daemon: Side::Galaxyd, client: Side::Original };
    pub(crate) const PYTHON_DAEMON: Subject = Subject { daemon: Side::Original, client: Side::Galaxyd };

    /// Whether the environment asks for this subject. `original` means the original alone,
    /// `galaxyd` every pair with ours in it, nothing means all.
    fn wanted(self) -> bool {
        let pure = self.daemon == Side::Original && self.client == Side::Original;
        match std::env::var("SUPERVISOR_UNDER_TEST").as_deref() {
            Ok("original") => pure,
            Ok("galaxyd") => !pure,
            Ok(other) => panic!("SUPERVISOR_UNDER_TEST={other}: original or galaxyd is wanted"),
            Err(_) => true,
        }
    }
}

/// Runs the test if its subject is wanted and can be had; says why when it cannot.
pub(crate) fn run(subject: Subject, test: fn(Subject)) {
    if !subject.wanted() {
        return;
    }
    // The Python side also speaks XML-RPC for the tests of ours, so it is needed always.
    if let Err(why) = original_bin() {
        assert!(std::env::var_os("CONFORMANCE_REQUIRED").is_none(), "no Supervisor 4.3.0 to compare with: {why}");
        tell(&format!("could not run: no Supervisor 4.3.0 to compare with: {why}"));
        return;
    }
    let attempts = if subject.daemon == Side::Original { ORIGINAL_ATTEMPTS_MAX } else { 1 };
    for attempt in 1..attempts {
        match catch_unwind(AssertUnwindSafe(|| test(subject))) {
            Ok(()) => return,
            Err(_) => eprintln!("attempt {attempt} on the original 4.3.0 failed; once more"),
        }
    }
    test(subject);
}

/// The original loses stop signals and exits to races of its own when the machine is busy (see
/// `docs/compatibility.md`), so what it does is asked again. Ours has one attempt.
const ORIGINAL_ATTEMPTS_MAX: usize = 3;

/// `bin` of the virtual environment with the original.
pub(crate) fn original_bin() -> &'static Result<PathBuf, String> {
    static BIN: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BIN.get_or_init(|| supervisor_venv().map(|venv| venv.join("bin")))
}

/// A folder in which our two binaries have the original's names.
fn galaxyd_bin() -> &'static PathBuf {
    static BIN: OnceLock<PathBuf> = OnceLock::new();
    BIN.get_or_init(|| {
        let bin = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bin-{}", std::process::id()));
        fs::create_dir_all(&bin).unwrap();
        let (daemon, client) = (env!("CARGO_BIN_EXE_galaxyd"), env!("CARGO_BIN_EXE_galaxyctl"));
        for (name, program) in [
            ("supervisord", daemon),
            ("supervisorctl", client),
            ("pidproxy", daemon),
            ("echo_supervisord_conf", client),
        ] {
            let link = bin.join(name);
            let _ = fs::remove_file(&link);
            symlink(program, &link).unwrap();
        }
        bin
    })
}

/// Tests of a daemon's behaviour: two subjects each. `name: "reason"` marks a gap of ours.
macro_rules! daemons {
    ($($name:ident $(: $gap:literal)?),* $(,)?) => { $(
        mod $name {
            #[test]
            fn original() {
                crate::subject::run(crate::subject::Subject::ORIGINAL, super::$name);
            }
            #[test]
            $(#[ignore = concat!("gap: ", $gap)])?
            fn galaxyd() {
                crate::subject::run(crate::subject::Subject::GALAXYD, super::$name);
            }
        }
    )* };
}

/// Tests of a client with a daemon: the whole matrix. `name: "reason"` marks a gap of ours.
macro_rules! clients {
    ($($name:ident $(: $gap:literal)?),* $(,)?) => { $(
        mod $name {
            #[test]
            fn original() {
                crate::subject::run(crate::subject::Subject::ORIGINAL, super::$name);
            }
            #[test]
            $(#[ignore = concat!("gap: ", $gap)])?
            fn galaxyd() {
                crate::subject::run(crate::subject::Subject::GALAXYD, super::$name);
            }
            #[test]
            $(#[ignore = concat!("gap: ", $gap)])?
            fn galaxyd_driven_by_python() {
                crate::subject::run(crate::subject::Subject::PYTHON_CLIENT, super::$name);
            }
            #[test]
            $(#[ignore = concat!("gap: ", $gap)])?
            fn supervisord_driven_by_galaxyctl() {
                crate::subject::run(crate::subject::Subject::PYTHON_DAEMON, super::$name);
            }
        }
    )* };
}

/// Tests of what the original does wrong and ours does right; the reason stands beside them.
macro_rules! ours_alone {
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            #[test]
            fn galaxyd() {
                crate::subject::run(crate::subject::Subject::GALAXYD, super::$name);
            }
        }
    )* };
}

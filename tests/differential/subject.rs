//! The two sides of a comparison, under Supervisor's names.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::venv::supervisor_venv;

/// The original or ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Original,
    Galaxyd,
}

/// A daemon and the client that drives it: here always of one side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject {
    pub(crate) daemon: Side,
    pub(crate) client: Side,
}

impl Side {
    pub(crate) fn subject(self) -> Subject {
        Subject { daemon: self, client: self }
    }

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

/// `bin` of the virtual environment with the original, or why there is none.
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
        for (name, program) in
            [("supervisord", env!("CARGO_BIN_EXE_galaxyd")), ("supervisorctl", env!("CARGO_BIN_EXE_galaxyctl"))]
        {
            let link = bin.join(name);
            let _ = fs::remove_file(&link);
            symlink(program, &link).unwrap();
        }
        bin
    })
}

//! Who is under test here: galaxyd and galaxyctl, under their own names.

use std::path::PathBuf;

/// The harness asks which side it starts; here there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Galaxyd,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject {
    pub(crate) daemon: Side,
    pub(crate) client: Side,
}

#[expect(clippy::unused_self, reason = "the harness asks a side, and here there is only one")]
impl Side {
    pub(crate) fn supervisord(self) -> PathBuf {
        env!("CARGO_BIN_EXE_galaxyd").into()
    }

    pub(crate) fn supervisorctl(self) -> PathBuf {
        env!("CARGO_BIN_EXE_galaxyctl").into()
    }
}

impl Subject {
    pub(crate) const GALAXYD: Subject = Subject { daemon: Side::Galaxyd, client: Side::Galaxyd };
}

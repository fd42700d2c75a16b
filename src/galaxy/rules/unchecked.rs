//! What of the rules nothing looks for, and why.

/// A rule without a check.
#[derive(Debug, PartialEq, Eq)]
pub struct Unchecked {
    pub code: &'static str,
    /// What it would be about, in a few words.
    pub title: &'static str,
    /// Why nothing looks for it.
    pub reason: &'static str,
}

/// All of them, by code.
pub const UNCHECKED: &[Unchecked] = &[
    Unchecked {
        code: "GX067",
        title: "both threads and enable-threads of uWSGI",
        reason: "it is harmless, and the only advice would be to leave it so",
    },
    Unchecked {
        code: "GX069",
        title: "repeated keys of a uwsgi section that a YAML tool rewrites",
        reason: "nothing in a file tells which programs write it, and the tools that are known to write such keys (Galaxy's \
                 Ansible role) repeat them as they should; what a rewriter has broken is found: GX070, GX071, GX113",
    },
    Unchecked {
        code: "GX107",
        title: "a socket, or the map of interactive tools, on a network file system",
        reason: "it depends on what is mounted when the programs run; the daemon tries its own socket at its start",
    },
];

/// The one of this code, in whatever case.
#[must_use]
pub fn unchecked(code: &str) -> Option<&'static Unchecked> {
    UNCHECKED.iter().find(|one| one.code.eq_ignore_ascii_case(code))
}

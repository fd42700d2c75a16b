//! TLS for inet endpoints and for the client. rustls stands behind it where the feature `tls` is compiled in; without it
//! the same names say that it is not.

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod rustls;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

#[cfg(not(feature = "tls"))]
use absent::check as check_files;
#[cfg(not(feature = "tls"))]
pub(super) use absent::{Identity, ServedStream, connect};
#[cfg(feature = "tls")]
use rustls::check as check_files;
#[cfg(feature = "tls")]
pub(super) use rustls::{Identity, ServedStream, connect};

use crate::config::{InetServer, ServerConfig, TlsFiles};

/// Bytes of a file with certificates or a key; longer ones are refused. A bundle of all public authorities has 250 kB.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("this program was built without TLS (the cargo feature `tls`)")]
    Absent,
    #[error("{}: {error}", file.display())]
    Read { file: PathBuf, error: io::Error },
    #[error("{}: not a regular file of at most 4 MiB", .0.display())]
    NotAFile(PathBuf),
    #[error("{}: there is no PEM certificate in it", .0.display())]
    NoCertificate(PathBuf),
    #[error("{}: there is no PEM private key in it", .0.display())]
    NoKey(PathBuf),
    #[error("{} and {} cannot be used: {reason}", files.certificate.display(), files.key.display())]
    Unusable { files: TlsFiles, reason: String },
    #[error("{}: {reason}", file.display())]
    Authority { file: PathBuf, reason: String },
    #[error("there is no file of trusted authorities at {}; name one with --ca-file", .0.join(", "))]
    NoAuthorities(Vec<&'static str>),
    #[error("'{0}' is no name that a certificate can be for")]
    Name(String),
    #[error("{0}")]
    Handshake(io::Error),
}

impl TlsError {
    /// The one file that it lies in.
    fn file(&self) -> Option<&Path> {
        match self {
            TlsError::Read { file, .. }
            | TlsError::Authority { file, .. }
            | TlsError::NotAFile(file)
            | TlsError::NoCertificate(file)
            | TlsError::NoKey(file) => Some(file),
            TlsError::Absent
            | TlsError::Unusable { .. }
            | TlsError::NoAuthorities(_)
            | TlsError::Name(_)
            | TlsError::Handshake(_) => None,
        }
    }
}

/// Whether the certificate and the key of an endpoint can be used. Reads files.
///
/// # Errors
/// What is wrong with them, and the key of the section that names what is.
pub fn check(server: &ServerConfig) -> Result<(), (&'static str, TlsError)> {
    let ServerConfig::Inet(InetServer { tls: Some(files), .. }) = server else { return Ok(()) };
    check_files(files).map_err(|error| {
        let is_key = error.file() == Some(&files.key);
        (if is_key { "tls_key" } else { "tls_certificate" }, error)
    })
}

/// Never waits for a pipe or a device.
#[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "read by whoever speaks TLS"))]
fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |error| TlsError::Read { file: file.to_owned(), error };
    let metadata = std::fs::metadata(file).map_err(failed)?;
    if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
        return Err(TlsError::NotAFile(file.to_owned()));
    }
    let mut bytes = Vec::new();
    File::open(file).and_then(|open| open.take(FILE_BYTES_MAX).read_to_end(&mut bytes)).map_err(failed)?;
    Ok(bytes)
}

//! Documents in anonymous files in memory, for the keeper to hold.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;

use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Puts a value into a new anonymous file.
pub(super) fn document<T: Serialize>(name: &CStr, value: &T) -> io::Result<OwnedFd> {
    let mut file = File::from(empty(name)?);
    file.write_all(&serde_json::to_vec(value)?)?;
    Ok(file.into())
}

/// A new anonymous file with nothing in it.
pub(super) fn empty(name: &CStr) -> io::Result<OwnedFd> {
    Ok(memfd_create(name, MFdFlags::MFD_CLOEXEC)?)
}

/// Reads a value back.
pub(super) fn read<T: DeserializeOwned>(descriptor: OwnedFd) -> io::Result<T> {
    let mut file = File::from(descriptor);
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

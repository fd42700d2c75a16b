//! Bytes that nobody can guess.

use std::io;

/// Fills an array from the kernel's generator. Waits only while the machine has just booted and has gathered nothing yet.
///
/// # Errors
/// The kernel's, on systems that forbid the call.
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        // SAFETY: the pointer and the length are those of a slice that is borrowed mutably for the whole call.
        let count = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        if let Ok(count) = usize::try_from(count) {
            filled += count;
            continue;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let (one, other): ([u8; 32], [u8; 32]) = (bytes().unwrap(), bytes().unwrap());
        assert!(one != other && one != [0; 32]);
    }
}

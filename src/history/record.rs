//! Entries as bytes: a header with the version, then records of length, checksum and JSON.

use super::entry::Entry;

/// Begins every file; the digit is the format's version.
pub(super) const HEADER: &[u8] = b"galaxyd history 1\n";

/// Bytes of length and checksum.
const FRAME: usize = 4 + 8;

/// No entry is longer; a length beyond it is damage. Texts have at most 1 KiB each, which JSON may double.
const PAYLOAD_BYTES_MAX: usize = 8 * 1024;

/// The bytes do not begin like a history of this version.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no history that this version can read")]
pub(super) struct Garbage;

/// The entry as it is appended.
pub(super) fn encode(entry: &Entry) -> std::io::Result<Vec<u8>> {
    let payload = serde_json::to_vec(entry).map_err(std::io::Error::other)?;
    let length = u32::try_from(payload.len())
        .ok()
        .filter(|_| payload.len() <= PAYLOAD_BYTES_MAX)
        .ok_or(std::io::ErrorKind::InvalidInput)?
        .to_le_bytes();
    let mut record = Vec::with_capacity(FRAME + payload.len());
    record.extend_from_slice(&length);
    record.extend_from_slice(&checksum(&length, &payload).to_le_bytes());
    record.extend_from_slice(&payload);
    Ok(record)
}

/// The entries up to the first damage, and how many bytes they and the header take. Bytes that are only the beginning
/// of a header are an empty history.
pub(super) fn decode(bytes: &[u8]) -> Result<(Vec<Entry>, usize), Garbage> {
    let Some(mut rest) = bytes.strip_prefix(HEADER) else {
        return if HEADER.starts_with(bytes) { Ok((Vec::new(), 0)) } else { Err(Garbage) };
    };
    let mut entries = Vec::new();
    while let Some((entry, after)) = one(rest) {
        entries.extend(entry);
        rest = after;
    }
    Ok((entries, bytes.len() - rest.len()))
}

/// The next record; what a later version wrote may be no entry for us, and stays.
fn one(bytes: &[u8]) -> Option<(Option<Entry>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<8>()?;
    let size = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|size| *size <= PAYLOAD_BYTES_MAX)?;
    let (payload, rest) = rest.split_at_checked(size)?;
    if checksum(length, payload) != u64::from_le_bytes(*sum) {
        return None;
    }
    Some((serde_json::from_slice(payload).ok(), rest))
}

/// FNV-1a of both: every step can be undone, so that no change of a single byte goes unseen.
fn checksum(length: &[u8], payload: &[u8]) -> u64 {
    length
        .iter()
        .chain(payload)
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::Kind;

    fn file(texts: &[String]) -> (Vec<Entry>, Vec<u8>) {
        let entries: Vec<Entry> = texts.iter().map(|text| Entry::now(Kind::State, "g:p", text)).collect();
        let records = entries.iter().flat_map(|entry| encode(entry).unwrap());
        (entries.clone(), HEADER.iter().copied().chain(records).collect())
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(texts in prop::collection::vec(".{0,40}", 0..8)) {
            let (entries, bytes) = file(&texts);
            prop_assert_eq!(decode(&bytes), Ok((entries, bytes.len())));
        }

        #[test]
        fn a_cut_file_is_its_good_beginning(texts in prop::collection::vec(".{0,40}", 0..8), at in any::<prop::sample::Index>()) {
            let (entries, bytes) = file(&texts);
            let cut = &bytes[..at.index(bytes.len() + 1)];
            let (found, length) = decode(cut).unwrap();
            prop_assert!(entries.starts_with(&found) && length <= cut.len());
            prop_assert_eq!(decode(&cut[..length]), Ok((found, length)));
        }

        #[test]
        fn a_flipped_bit_is_seen(texts in prop::collection::vec(".{0,40}", 1..8), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let (entries, mut bytes) = file(&texts);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            match decode(&bytes) {
                Ok((found, _)) => prop_assert!(found.len() < entries.len() && entries.starts_with(&found)),
                Err(Garbage) => prop_assert!(at < HEADER.len()),
            }
        }

        #[test]
        fn any_bytes_are_refused_or_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), headed in any::<bool>()) {
            let bytes = if headed { [HEADER, &bytes].concat() } else { bytes };
            let _ = decode(&bytes);
        }
    }
}

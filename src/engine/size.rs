//! Sizes as configurations spell them.

/// The number of bytes with the largest of the units `GB`, `MB` and `KB` (1024-based) that divides it: `512MB`, `1000`.
#[must_use]
pub fn size_text(bytes: u64) -> String {
    let units = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")];
    match units.into_iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_unit_that_divides_is_taken() {
        for (bytes, text) in [
            (0, "0"),
            (1000, "1000"),
            (1024, "1KB"),
            (1536 << 10, "1536KB"),
            (64 << 20, "64MB"),
            (3 << 30, "3GB"),
            (u64::MAX, "18446744073709551615"),
        ] {
            assert_eq!(size_text(bytes), text);
        }
    }
}

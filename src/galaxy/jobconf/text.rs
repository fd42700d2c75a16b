//! Lists within words, as Galaxy splits them.

/// `a, b` as `[a, b]`; empty items are left out.
pub(super) fn listed(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

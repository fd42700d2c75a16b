//! Values of the keys about automatic starts: lengths of time, factors, limits. Ours; Supervisor has none of them.

use std::time::Duration;

use super::{ValueError, integer};
use crate::engine::{Limit, UNLIMITED};

/// Longer than this nobody waits.
const DURATION_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// More starts than these are not counted.
const STARTS_MAX: u32 = 100;

/// A whole number of seconds, or one with a unit: `500ms`, `90`, `90s`, `10m`, `2h`.
///
/// # Errors
/// If it is none, or more than 30 days.
pub fn duration(text: &str) -> Result<Duration, ValueError> {
    let text = text.trim();
    let refused = || ValueError::NotDuration { found: text.to_owned() };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis = match unit.trim_start() {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(refused()),
    };
    let number: u64 = number.parse().map_err(|_| refused())?;
    let duration = number.checked_mul(millis).map(Duration::from_millis);
    duration.filter(|duration| *duration <= DURATION_MAX).ok_or_else(refused)
}

/// As [`duration`] reads it.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis())
    }
}

/// A decimal number from 1 to 100, in hundredths.
///
/// # Errors
/// If it is none, or has more than two decimals.
pub fn factor(text: &str) -> Result<u32, ValueError> {
    let text = text.trim();
    let refused = || ValueError::NotFactor { found: text.to_owned() };
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(decimals) || decimals.len() > 2 {
        return Err(refused());
    }
    let whole: u32 = whole.parse().map_err(|_| refused())?;
    let hundredths: u32 = format!("{decimals:0<2}").parse().map_err(|_| refused())?;
    let factor = whole.checked_mul(100).and_then(|whole| whole.checked_add(hundredths));
    factor.filter(|factor| (100..=10_000).contains(factor)).ok_or_else(refused)
}

/// As [`factor`] reads it.
#[must_use]
pub fn factor_text(hundredths: u32) -> String {
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `N/DURATION`: so many starts in any time of this length.
///
/// # Errors
/// If it is no such text, or there are no or more than 100 starts, or no time.
pub fn start_limit(text: &str) -> Result<Limit, ValueError> {
    let refused = || ValueError::NotStartLimit { found: text.to_owned() };
    let (starts, window) = text.split_once('/').ok_or_else(refused)?;
    let starts: u32 = starts.trim().parse().map_err(|_| refused())?;
    let window = duration(window).map_err(|_| refused())?;
    let fits = (1..=STARTS_MAX).contains(&starts) && !window.is_zero();
    fits.then_some(Limit { starts, window }).ok_or_else(refused)
}

/// A whole number, or `unlimited`.
///
/// # Errors
/// If it is neither.
pub fn retries(text: &str) -> Result<i64, ValueError> {
    if text.trim().eq_ignore_ascii_case("unlimited") { Ok(UNLIMITED) } else { integer(text) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_of_time_have_units() {
        for (text, millis) in
            [("500ms", 500), ("0", 0), ("90", 90_000), (" 2 s ", 2000), ("10m", 600_000), ("2h", 7_200_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1", "1.5s", "1d", "721h", "99999999999999999999", "1 2"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn factors_are_decimal() {
        for (text, hundredths) in [("1", 100), ("2", 200), ("1.5", 150), ("1.05", 105), ("100", 10_000)] {
            assert_eq!(factor(text), Ok(hundredths), "{text}");
        }
        for text in ["", "0.99", "1.", ".5", "1.001", "100.01", "-2", "1e1", "4294967296"] {
            assert!(factor(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_and_retries() {
        assert_eq!(start_limit("5/10m"), Ok(Limit { starts: 5, window: Duration::from_secs(600) }));
        for text in ["5", "0/1m", "101/1m", "5/0", "5/", "/1m", "a/1m", "5/10m/2"] {
            assert!(start_limit(text).is_err(), "{text}");
        }
        assert_eq!((retries("3"), retries("-1"), retries("Unlimited")), (Ok(3), Ok(-1), Ok(UNLIMITED)));
        assert!(retries("infinite").is_err());
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(millis in 0..2_000_000_000_u64, hundredths in 100..=10_000_u32) {
            let length = Duration::from_millis(millis);
            prop_assert_eq!(duration(&duration_text(length)), Ok(length));
            prop_assert_eq!(factor(&factor_text(hundredths)), Ok(hundredths));
        }
    }
}

//! The numeric conversions of `%`-expansion.

use super::{Layout, padded};

/// A number as sign, marks such as `0x`, and digits.
struct Parts {
    is_negative: bool,
    prefix: &'static str,
    digits: String,
}

/// `%d`, `%i`, `%u`
pub(super) fn decimal(number: i64, layout: Layout) -> String {
    let digits = number.unsigned_abs().to_string();
    Parts { is_negative: number < 0, prefix: "", digits: at_least(digits, layout) }.laid_out(layout)
}

/// `%o`, `%x`, `%X`
pub(super) fn based(number: i64, conversion: char, layout: Layout) -> String {
    let magnitude = number.unsigned_abs();
    let (prefix, digits) = match conversion {
        'o' => ("0o", format!("{magnitude:o}")),
        'x' => ("0x", format!("{magnitude:x}")),
        _ => ("0X", format!("{magnitude:X}")),
    };
    let prefix = if layout.is_alternate { prefix } else { "" };
    Parts { is_negative: number < 0, prefix, digits: at_least(digits, layout) }.laid_out(layout)
}

/// `%e`, `%f`, `%g` and their upper-case forms
pub(super) fn floating(number: i64, conversion: char, layout: Layout) -> String {
    #[expect(clippy::cast_precision_loss, reason = "rounds to the nearest, as Python's conversion does")]
    let magnitude = number.unsigned_abs() as f64;
    let precision = layout.precision.unwrap_or(6);
    let mut digits = match conversion {
        'f' | 'F' => fixed(magnitude, precision, layout.is_alternate),
        'e' | 'E' => exponential(magnitude, precision, layout.is_alternate),
        _ => general(magnitude, precision.max(1), layout.is_alternate),
    };
    if conversion.is_ascii_uppercase() {
        digits.make_ascii_uppercase();
    }
    Parts { is_negative: number < 0, prefix: "", digits }.laid_out(layout)
}

/// Zeros in front up to the precision.
fn at_least(digits: String, layout: Layout) -> String {
    match layout.precision {
        Some(precision) => format!("{digits:0>precision$}"),
        None => digits,
    }
}

fn fixed(magnitude: f64, precision: usize, keep_point: bool) -> String {
    let point = if keep_point && precision == 0 { "." } else { "" };
    format!("{magnitude:.precision$}{point}")
}

fn exponential(magnitude: f64, precision: usize, keep_point: bool) -> String {
    let (mantissa, exponent) = scientific(magnitude, precision);
    let point = if keep_point && precision == 0 { "." } else { "" };
    format!("{mantissa}{point}e{exponent:+03}")
}

/// `precision` significant digits, the shorter of both forms, no zeros at the end unless `#`.
fn general(magnitude: f64, precision: usize, keep_zeros: bool) -> String {
    let (mantissa, exponent) = scientific(magnitude, precision - 1);
    let trimmed = |text: String| {
        let is_cut = text.contains('.') && !keep_zeros;
        if is_cut { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    };
    // Whole numbers have no negative exponent, so only the upper bound of the short form matters.
    if let Some(decimals) = precision.checked_sub(exponent + 1) {
        return trimmed(fixed(magnitude, decimals, keep_zeros));
    }
    let point = if keep_zeros && precision == 1 { "." } else { "" };
    format!("{}{point}e{exponent:+03}", trimmed(mantissa))
}

/// Mantissa with `precision` decimals, and the exponent. The number is whole, so that is not negative.
fn scientific(magnitude: f64, precision: usize) -> (String, usize) {
    let text = format!("{magnitude:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.to_owned(), exponent.parse().unwrap_or(0))
}

impl Parts {
    /// Zeros go between sign and digits, blanks outside; left alignment knows only blanks.
    fn laid_out(&self, layout: Layout) -> String {
        let sign = match self.is_negative {
            true => "-",
            false if layout.has_plus => "+",
            false if layout.has_blank => " ",
            false => "",
        };
        let marks = sign.len() + self.prefix.len();
        let room = layout.width.saturating_sub(marks + self.digits.len());
        let zeros = if layout.has_zeros && !layout.is_left { room } else { 0 };
        padded(&format!("{sign}{}{}{}", self.prefix, "0".repeat(zeros), self.digits), layout)
    }
}

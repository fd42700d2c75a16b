//! `%`-expansion: Python's `%` operator with a mapping on the right, as Supervisor uses it.
//!
//! Differs: a conversion without a name (`date +%s`) is an error, where Supervisor 4.3.0 puts in
//! a dump of all names; and a field has at most [`LENGTH_MAX`] characters.

mod number;

use std::ops::Range;

use super::{ascii_literal, literal};

/// The widest field and the most digits a conversion may ask for. Rust's own formatting, which writes the digits, counts
/// them in 16 bits. A format that wants more is refused with the text Python has for numbers it cannot hold.
pub const LENGTH_MAX: usize = 10_000;

/// What a name stands for. Numbers are `process_num` and `numprocs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datum {
    Text(String),
    Int(i64),
}

/// The names a format may use.
pub trait Names {
    fn get(&self, name: &str) -> Option<Datum>;
    /// All of them, in any order.
    fn names(&self) -> Vec<String>;
}

/// A format that cannot be expanded. Offsets are bytes, of the `%` that opens the conversion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PercentError {
    #[error("no such name: `{name}`")]
    UnknownName { name: String, offset: usize },
    /// `reason` is Python's text.
    #[error("badly formatted: {reason}")]
    BadFormat { reason: String, offset: usize },
    #[error("a conversion without a name")]
    BareConversion { offset: usize },
}

impl PercentError {
    /// The part of `format` to point at: the `%`, and the name if there is one.
    #[must_use]
    pub fn extent(&self, format: &str) -> Range<usize> {
        match self {
            PercentError::UnknownName { name, offset } => *offset..offset + name.len() + "%()".len(),
            PercentError::BadFormat { offset, .. } => *offset..format.len().min(offset + 1),
            PercentError::BareConversion { offset } => *offset..format.len().min(offset + 2),
        }
    }
}

/// Fills in a format.
///
/// # Errors
/// The first conversion that cannot be done.
pub fn expand(format: &str, names: &dyn Names) -> Result<String, PercentError> {
    let mut cursor = Cursor { text: format, at: 0, index: 0 };
    let mut argument = Argument { value: Value::AllNames, is_taken: false };
    let mut out = String::with_capacity(format.len());
    while let Some(c) = cursor.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let offset = cursor.at - 1;
        match convert(&mut cursor, names, &mut argument) {
            Ok(text) => out.push_str(&text),
            Err(Failure::Reason(reason)) => return Err(PercentError::BadFormat { reason, offset }),
            Err(Failure::Unknown(name)) => return Err(PercentError::UnknownName { name, offset }),
            Err(Failure::Bare) => return Err(PercentError::BareConversion { offset }),
        }
    }
    Ok(out)
}

/// Longer formats are not rewritten for a message.
const CORRECTED_LENGTH_MAX: usize = 1_000;

/// More mistakes than this are not put right in one message.
const CORRECTIONS_MAX: usize = 16;

/// The format as it was probably meant: stray percent signs doubled, names that are nearly right put right. `None` if
/// there is a name that is like no other.
#[must_use]
pub fn corrected(format: &str, names: &dyn Names) -> Option<String> {
    if format.len() > CORRECTED_LENGTH_MAX {
        return None;
    }
    let mut text = format.to_owned();
    for _ in 0..CORRECTIONS_MAX {
        match expand(&text, names) {
            Ok(_) => return Some(text),
            Err(PercentError::UnknownName { name, offset }) => {
                let all = names.names();
                let near = super::nearest(&name, all.iter().map(String::as_str))?;
                let begin = offset + "%(".len();
                text.get(begin..begin + name.len())?;
                text.replace_range(begin..begin + name.len(), near);
            }
            Err(PercentError::BadFormat { offset, .. } | PercentError::BareConversion { offset }) => {
                text.insert(offset, '%');
            }
        }
    }
    None
}

/// Supervisor's text for an error. `label` is `SECTION.KEY`, or what it calls the value.
#[must_use]
pub fn message(error: &PercentError, format: &str, label: &str, names: &dyn Names) -> String {
    let start = format!("Format string {} for {}", literal(format), literal(label));
    match error {
        PercentError::UnknownName { name, .. } => {
            let mut available = names.names();
            available.sort_unstable();
            let (name, available) = (literal(name), available.join(", "));
            format!("{start} contains names ({name}) which cannot be expanded. Available names: {available}")
        }
        PercentError::BadFormat { reason, .. } => format!("{start} is badly formatted: {reason}"),
        PercentError::BareConversion { .. } => {
            format!("{start} is badly formatted: conversion without a name, a percent sign is written %%")
        }
    }
}

enum Failure {
    /// Python's text.
    Reason(String),
    Unknown(String),
    Bare,
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Self {
        Failure::Reason(reason.to_owned())
    }
}

struct Cursor<'a> {
    text: &'a str,
    /// Bytes read.
    at: usize,
    /// Characters read: what Python counts in its messages.
    index: usize,
}

impl Cursor<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.text.get(self.at..)?.chars().next()?;
        self.at += c.len_utf8();
        self.index += 1;
        Some(c)
    }

    /// The next character where a conversion cannot end.
    fn expect(&mut self) -> Result<char, Failure> {
        self.next().ok_or_else(|| Failure::from("incomplete format"))
    }
}

/// What conversions take. A name sets it, each conversion and each `*` takes it once.
struct Argument {
    value: Value,
    is_taken: bool,
}

enum Value {
    /// Before the first name: the mapping itself.
    AllNames,
    One(Datum),
}

impl Argument {
    fn take(&mut self) -> Result<&Value, Failure> {
        if self.is_taken {
            return Err("not enough arguments for format string".into());
        }
        self.is_taken = true;
        Ok(&self.value)
    }

    /// Takes it for a `*`. The number itself is not needed: nothing is left for the
    /// conversion behind, which therefore fails.
    fn take_length(&mut self) -> Result<i64, Failure> {
        match self.take()? {
            Value::One(Datum::Int(length)) => Ok(*length),
            Value::One(Datum::Text(_)) | Value::AllNames => Err("* wants int".into()),
        }
    }
}

/// Flags, width and precision of one conversion.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "five flags that a format sets independently")]
struct Layout {
    /// `-`
    is_left: bool,
    /// `+`
    has_plus: bool,
    /// blank
    has_blank: bool,
    /// `#`
    is_alternate: bool,
    /// `0`
    has_zeros: bool,
    width: usize,
    precision: Option<usize>,
}

impl Layout {
    fn check_width(&self) -> Result<(), Failure> {
        if self.width > LENGTH_MAX { Err("width too big".into()) } else { Ok(()) }
    }

    fn check_precision(&self) -> Result<(), Failure> {
        if self.precision.is_some_and(|precision| precision > LENGTH_MAX) {
            Err("precision too big".into())
        } else {
            Ok(())
        }
    }
}

/// One conversion, the cursor behind its `%`.
fn convert(cursor: &mut Cursor<'_>, names: &dyn Names, argument: &mut Argument) -> Result<String, Failure> {
    let mut c = cursor.expect()?;
    if c == '%' {
        return Ok(c.to_string());
    }
    if c == '(' {
        let name = read_name(cursor)?;
        let datum = names.get(name).ok_or_else(|| Failure::Unknown(name.to_owned()))?;
        *argument = Argument { value: Value::One(datum), is_taken: false };
        c = cursor.expect()?;
    }
    let mut layout = Layout::default();
    c = read_flags(cursor, c, &mut layout)?;
    c = read_width(cursor, c, argument, &mut layout)?;
    c = read_precision(cursor, c, argument, &mut layout)?;
    if matches!(c, 'h' | 'l' | 'L') {
        c = cursor.expect()?;
    }
    let index = cursor.index - 1;
    render(argument.take()?, c, layout, index)
}

/// `(name)`: parentheses inside have to balance.
fn read_name<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Failure> {
    let start = cursor.at;
    let mut depth = 1;
    while depth > 0 {
        match cursor.next() {
            Some('(') => depth += 1,
            Some(')') => depth -= 1,
            Some(_) => {}
            None => return Err("incomplete format key".into()),
        }
    }
    Ok(cursor.text.get(start..cursor.at - 1).unwrap_or_default())
}

fn read_flags(cursor: &mut Cursor<'_>, mut c: char, layout: &mut Layout) -> Result<char, Failure> {
    loop {
        match c {
            '-' => layout.is_left = true,
            '+' => layout.has_plus = true,
            ' ' => layout.has_blank = true,
            '#' => layout.is_alternate = true,
            '0' => layout.has_zeros = true,
            _ => return Ok(c),
        }
        c = cursor.expect()?;
    }
}

fn read_width(cursor: &mut Cursor<'_>, c: char, argument: &mut Argument, layout: &mut Layout) -> Result<char, Failure> {
    if c == '*' {
        argument.take_length()?;
        return cursor.expect();
    }
    let Some((width, c)) = read_number(cursor, c, isize::MAX as usize, "width too big")? else { return Ok(c) };
    layout.width = width;
    Ok(c)
}

fn read_precision(
    cursor: &mut Cursor<'_>,
    c: char,
    argument: &mut Argument,
    layout: &mut Layout,
) -> Result<char, Failure> {
    if c != '.' {
        return Ok(c);
    }
    layout.precision = Some(0);
    let c = cursor.expect()?;
    if c == '*' {
        i32::try_from(argument.take_length()?)
            .map_err(|_| Failure::from("Python int too large to convert to C int"))?;
        return cursor.expect();
    }
    let Some((precision, c)) = read_number(cursor, c, i32::MAX as usize, "precision too big")? else { return Ok(c) };
    layout.precision = Some(precision);
    Ok(c)
}

/// A decimal number and the character behind it, if `c` is a digit.
fn read_number(
    cursor: &mut Cursor<'_>,
    mut c: char,
    max: usize,
    too_big: &str,
) -> Result<Option<(usize, char)>, Failure> {
    let mut number = None;
    while let Some(digit) = c.to_digit(10) {
        let longer = number.unwrap_or(0_usize).checked_mul(10).and_then(|tens| tens.checked_add(digit as usize));
        number = Some(longer.filter(|longer| *longer <= max).ok_or_else(|| Failure::from(too_big))?);
        c = cursor.expect()?;
    }
    Ok(number.map(|number| (number, c)))
}

/// Applies the conversion character `c`, which is the character number `index` of the format.
fn render(value: &Value, c: char, layout: Layout, index: usize) -> Result<String, Failure> {
    match c {
        's' | 'r' | 'a' => {
            let text = match (value, c) {
                (Value::AllNames, _) => return Err(Failure::Bare),
                (Value::One(Datum::Int(number)), _) => number.to_string(),
                (Value::One(Datum::Text(text)), 's') => text.clone(),
                (Value::One(Datum::Text(text)), 'r') => literal(text),
                (Value::One(Datum::Text(text)), _) => ascii_literal(text),
            };
            layout.check_width()?;
            let length = layout.precision.unwrap_or(usize::MAX);
            Ok(padded(&text.chars().take(length).collect::<String>(), layout))
        }
        'c' => {
            let text = character(value)?;
            layout.check_width()?;
            Ok(padded(&text, layout))
        }
        'd' | 'i' | 'u' => {
            let number = wanted_number(value, || format!("%{c} format: a real number is required, not "))?;
            layout.check_width().and(layout.check_precision())?;
            Ok(number::decimal(number, layout))
        }
        'o' | 'x' | 'X' => {
            let number = wanted_number(value, || format!("%{c} format: an integer is required, not "))?;
            layout.check_width().and(layout.check_precision())?;
            Ok(number::based(number, c, layout))
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
            let number = wanted_number(value, || "must be real number, not ".to_owned())?;
            layout.check_width().and(layout.check_precision())?;
            Ok(number::floating(number, c, layout))
        }
        _ => {
            let shown = if ('\x1f'..='~').contains(&c) { c } else { '?' };
            let code = u32::from(c);
            Err(Failure::Reason(format!("unsupported format character '{shown}' (0x{code:x}) at index {index}")))
        }
    }
}

fn wanted_number(value: &Value, complaint: impl Fn() -> String) -> Result<i64, Failure> {
    match value {
        Value::One(Datum::Int(number)) => Ok(*number),
        Value::One(Datum::Text(_)) => Err(Failure::Reason(complaint() + "str")),
        Value::AllNames => Err(Failure::Reason(complaint() + "dict")),
    }
}

/// `%c`: a text of one character, or the character with that number.
fn character(value: &Value) -> Result<String, Failure> {
    match value {
        Value::One(Datum::Text(text)) if text.chars().count() == 1 => Ok(text.clone()),
        Value::One(Datum::Int(number)) => match u32::try_from(*number) {
            // Python has characters for these numbers; a file name or an argument could not hold them.
            Ok(code @ 0xd800..=0xdfff) => Err(Failure::Reason(format!("%c arg is the surrogate 0x{code:x}"))),
            Ok(code) => char::from_u32(code).map(String::from).ok_or_else(|| "%c arg not in range(0x110000)".into()),
            Err(_) => Err("%c arg not in range(0x110000)".into()),
        },
        Value::One(Datum::Text(_)) | Value::AllNames => Err("%c requires int or char".into()),
    }
}

/// Fills up with blanks to the width. Flags for numbers have no meaning here.
fn padded(text: &str, layout: Layout) -> String {
    let blanks = " ".repeat(layout.width.saturating_sub(text.chars().count()));
    if layout.is_left { format!("{text}{blanks}") } else { format!("{blanks}{text}") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    struct Sample(BTreeMap<&'static str, Datum>);

    impl Names for Sample {
        fn get(&self, name: &str) -> Option<Datum> {
            self.0.get(name).cloned()
        }

        fn names(&self) -> Vec<String> {
            self.0.keys().rev().map(ToString::to_string).collect()
        }
    }

    fn sample() -> Sample {
        let text = |text: &str| Datum::Text(text.to_owned());
        let names = [
            ("here", text("/etc")),
            ("é", text("aé\u{3042}'")),
            ("a(b)c", text("nested")),
            ("n", Datum::Int(42)),
            ("neg", Datum::Int(-7)),
            ("big", Datum::Int(1_234_567)),
        ];
        Sample(names.into_iter().collect())
    }

    fn check(format: &str, expected: &str) {
        assert_eq!(expand(format, &sample()).as_deref(), Ok(expected), "{format:?}");
    }

    fn check_bad(format: &str, expected: &str) {
        match expand(format, &sample()) {
            Err(PercentError::BadFormat { reason, .. }) => assert_eq!(reason, expected, "{format:?}"),
            other => panic!("{format:?}: {other:?}"),
        }
    }

    #[test]
    fn names_and_percent_signs() {
        check("", "");
        check("plain é", "plain é");
        check("%(here)s/x", "/etc/x");
        check("100%% of %%(here)s", "100% of %(here)s");
        check("%(a(b)c)s", "nested");
        check("p%(n)02d", "p42");
    }

    #[test]
    fn texts_have_width_and_precision() {
        check("%(here)-6s|%(here)6s|%(here).2s|%(here)05s", "/etc  |  /etc|/e| /etc");
        check("%(é)6s|%(é).2s", "  aé\u{3042}'|aé");
        check("%(é)r %(é)a", "\"aé\u{3042}'\" \"a\\xe9\\u3042'\"");
        check("%(n)5s|%(n).1s|%(n)+s|%(n)05r", "   42|4|42|   42");
        check("%(here)+8s|%(here)#s|%(here)ls", "    /etc|/etc|/etc");
    }

    #[test]
    fn whole_numbers() {
        check("%(n)d %(n)i %(n)u %(n)ld", "42 42 42 42");
        check("%(n)5d|%(n)-5d|%(n)05d|%(n)-05d|", "   42|42   |00042|42   |");
        check("%(n)+d|%(n) d|%(n)+ d|%(neg) d|%(neg)05d", "+42| 42|+42|-7|-0007");
        check("%(n).5d|%(n)+.5d|%(n)8.5d|%(n)08.5d", "00042|+00042|   00042|00000042");
        check("%(n)x %(n)#x %(n)#X %(n)o %(n)#o", "2a 0x2a 0X2A 52 0o52");
        check(
            "%(n)#05x|%(n)#.5x|%(n)#10.5x|%(n)#-10.5x|%(n)+#010.5x",
            "0x02a|0x0002a|   0x0002a|0x0002a   |+0x000002a",
        );
        check("%(neg)x %(neg)#x %(neg)#06x", "-7 -0x7 -0x007");
        check("%(n)c|%(n)#c|%(n)05c|%(n)5.1c", "*|*|    *|    *");
    }

    #[test]
    fn floating_numbers() {
        check("%(n)f|%(n).3f|%(n).0f|%(n)#.0f|%(n)05.1f|%(n)-05.1f|", "42.000000|42.000|42|42.|042.0|42.0 |");
        check("%(n)e|%(n).0e|%(n)#.0E|%(n)+08.1e", "4.200000e+01|4e+01|4.E+01|+4.2e+01");
        check("%(n)g|%(n).0g|%(n)#g|%(big)g|%(big).3G|%(big)#.1g", "42|4e+01|42.0000|1.23457e+06|1.23E+06|1.e+06");
    }

    #[test]
    fn bad_formats_have_pythons_reasons() {
        for format in ["%", "%(n)", "%5", "%#", "%(n)h", "%(n)5.", "%(n)5"] {
            check_bad(format, "incomplete format");
        }
        for format in ["%(", "%(n", "%((n)s"] {
            check_bad(format, "incomplete format key");
        }
        check_bad("%(n)y", "unsupported format character 'y' (0x79) at index 4");
        check_bad("é%(n)é", "unsupported format character '?' (0xe9) at index 5");
        check_bad("%(n)\n", "unsupported format character '?' (0xa) at index 4");
        check_bad("%(n)%", "unsupported format character '%' (0x25) at index 4");
        check_bad("% (n)d", "unsupported format character '(' (0x28) at index 2");
        check_bad("%(n)hhd", "unsupported format character 'h' (0x68) at index 5");
        check_bad("date +%Y", "unsupported format character 'Y' (0x59) at index 7");
        check_bad("%(n)1*d", "unsupported format character '*' (0x2a) at index 5");
        check_bad("%(n)*d", "not enough arguments for format string");
        check_bad("%(n).*d", "not enough arguments for format string");
        check_bad("%(n)s %y", "not enough arguments for format string");
        check_bad("%(n)s %s", "not enough arguments for format string");
        check_bad("%*d", "* wants int");
        check_bad("%(here)*d", "* wants int");
        check_bad("%(n)99999999999999999999s", "width too big");
        check_bad("%(n).99999999999s", "precision too big");
        check_bad("%(n)10001s", "width too big");
        check_bad("%(n).10001d", "precision too big");
    }

    #[test]
    fn the_widest_field_and_the_most_digits_are_written_by_every_conversion() {
        for conversion in "srcdiuoxXeEfFgG".chars() {
            let format = format!("%(n)#{LENGTH_MAX}.{LENGTH_MAX}{conversion}");
            let written = expand(&format, &sample()).unwrap();
            assert!(written.len() >= LENGTH_MAX, "{format}: {} characters", written.len());
        }
    }

    #[test]
    fn types_have_to_fit() {
        check_bad("%(here)d", "%d format: a real number is required, not str");
        check_bad("%(here)i", "%i format: a real number is required, not str");
        check_bad("%(here)X", "%X format: an integer is required, not str");
        check_bad("%(here)g", "must be real number, not str");
        check_bad("%(here)c", "%c requires int or char");
        check_bad("%(neg)c", "%c arg not in range(0x110000)");
        check_bad("%d", "%d format: a real number is required, not dict");
        check_bad("%x", "%x format: an integer is required, not dict");
        check_bad("%f", "must be real number, not dict");
        check_bad("%c", "%c requires int or char");
    }

    #[test]
    fn a_conversion_without_a_name_is_refused_where_supervisor_dumps_all_names() {
        for (format, offset) in [("%s", 0), ("date +%s", 6), ("é %-5r", 3), ("%a %(n)d", 0)] {
            assert_eq!(expand(format, &sample()), Err(PercentError::BareConversion { offset }));
        }
    }

    #[test]
    fn messages_are_supervisors() {
        let text =
            |format: &str| message(&expand(format, &sample()).unwrap_err(), format, "program:x.command", &sample());
        assert_eq!(
            text("it's %(nope)s"),
            "Format string \"it's %(nope)s\" for 'program:x.command' contains names ('nope') which cannot be expanded. \
             Available names: a(b)c, big, here, n, neg, é"
        );
        assert_eq!(text("50%"), "Format string '50%' for 'program:x.command' is badly formatted: incomplete format");
        assert_eq!(
            text("%(a'b)s").split(" which").next(),
            Some("Format string \"%(a'b)s\" for 'program:x.command' contains names (\"a'b\")")
        );
    }

    #[test]
    fn errors_point_at_the_conversion() {
        let shown = |format: &'static str| &format[expand(format, &sample()).unwrap_err().extent(format)];
        assert_eq!(shown("é %(here)s %(nöpe)05d x"), "%(nöpe)");
        assert_eq!(shown("a %s b"), "%s");
        assert_eq!(shown("50%"), "%");
    }

    proptest! {
        #[test]
        fn doubled_percent_signs_protect_any_text(text in "\\PC{0,20}") {
            prop_assert_eq!(expand(&text.replace('%', "%%"), &sample()), Ok(text));
        }

        #[test]
        fn any_format_is_filled_in_or_refused(format in "[%()a-zA-Z0-9*.# +é-]{0,20}") {
            if let Err(error) = expand(&format, &sample()) {
                prop_assert!(format[error.extent(&format)].starts_with('%'));
            }
        }

        #[test]
        fn numbers_agree_with_rusts_own(number: i64, width in 0..30_usize) {
            let names = Sample(BTreeMap::from([("n", Datum::Int(number))]));
            let expanded = |conversion: &str| expand(&format!("%(n){conversion}"), &names).unwrap();
            prop_assert_eq!(expanded(&format!("{width}d")), format!("{number:width$}"));
            prop_assert_eq!(expanded(&format!("0{width}d")), format!("{number:0width$}"));
            prop_assert_eq!(expanded(&format!("-{width}d")), format!("{number:<width$}"));
        }
    }
}

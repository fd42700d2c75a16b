//! Sections in Supervisor's dialect, written by rust-ini.

use ini::{EscapePolicy, Ini, Properties, WriteOption};

use super::PrintError;
use super::sheet::{Cell, Sheet};
use super::template::SPACER;
use crate::config::environment;
use crate::config::ini::is_space;
use crate::config::schema::{NameSet, SectionKind, ValueType, key_of};

/// The file's text.
pub(super) fn write(sheets: &[Sheet]) -> Result<String, PrintError> {
    let mut ini = Ini::new();
    for sheet in sheets {
        let mut properties = Properties::new();
        for (key, cell) in &sheet.cells {
            let value = spell(sheet, key, cell)?;
            properties.insert((*key).to_owned(), value);
        }
        let header = sheet.header();
        if header.contains(['\n', '\r']) {
            return Err(refuse(sheet, "", "its name has several lines"));
        }
        ini.entry(Some(header)).or_insert(properties);
    }
    let options = WriteOption { escape_policy: EscapePolicy::Nothing, kv_separator: " = ", ..WriteOption::default() };
    let mut bytes = Vec::new();
    ini.write_to_opt(&mut bytes, options).map_err(|error| PrintError::Writer(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| PrintError::Writer(error.to_string()))
}

fn refuse(sheet: &Sheet, key: &str, reason: &str) -> PrintError {
    PrintError::Inexpressible { section: sheet.header(), key: key.to_owned(), reason: reason.to_owned() }
}

fn spell(sheet: &Sheet, key: &str, cell: &Cell) -> Result<String, PrintError> {
    let known = key_of(sheet.kind, key);
    let format = match cell {
        Cell::Text(format) => format.clone(),
        Cell::Integer(number) => return Ok(number.to_string()),
        Cell::Boolean(flag) => return Ok(flag.to_string()),
        Cell::Octal(mode) => return Ok(format!("{mode:04o}")),
        Cell::Codes(codes) => return Ok(codes.iter().map(i32::to_string).collect::<Vec<_>>().join(",")),
        Cell::Names(names) => names.join(","),
        Cell::Pairs(pairs) => variables(pairs).ok_or_else(|| {
            refuse(sheet, key, "a name or value has quotes that this dialect takes away; --format toml can write it")
        })?,
    };
    // Supervisor expands these twice.
    let is_log = known.is_some_and(|known| known.value == ValueType::LogPath);
    let is_global = sheet.kind == SectionKind::Supervisord && key == "environment";
    let format = if is_log || is_global { twice(&format) } else { format };
    let spacer = match known.map(|known| known.names) {
        None | Some(NameSet::Environment) => None,
        Some(_) => Some(SPACER),
    };
    lines(&format, spacer).map_err(|reason| refuse(sheet, key, reason))
}

/// The format of a format: percent signs that are part of a text doubled once more, conversions left alone.
fn twice(format: &str) -> String {
    format.replace("%%", "%%%%")
}

/// The pairs as the lexer of `environment` takes them apart; `None` if it cannot.
fn variables(pairs: &[(String, String)]) -> Option<String> {
    let spelled: Option<Vec<String>> = pairs
        .iter()
        .map(|(name, value)| {
            let quote = ['"', '\''].into_iter().find(|quote| !value.contains(*quote));
            match quote {
                Some(quote) => Some(format!("{name}={quote}{value}{quote}")),
                // Quotes of both kinds stay as they are inside of a word.
                None => Some(format!("{name}={value}")),
            }
        })
        .collect();
    let text = spelled?.join(",");
    let read = environment::parse(&text).ok()?;
    let same = read.skipped.is_empty()
        && read.pairs.len() == pairs.len()
        && read.pairs.iter().zip(pairs).all(|((name, value), pair)| *name == pair.0 && *value == pair.1);
    same.then_some(text)
}

/// The format as lines of a file, continuation lines indented. Blanks at the ends of a line and comment marks after a
/// blank are guarded by a conversion that expands to nothing.
fn lines(format: &str, spacer: Option<&str>) -> Result<String, &'static str> {
    if format.contains('\r') {
        return Err("a carriage return would be read as the end of a line");
    }
    let mut text = String::with_capacity(format.len());
    let is_long = format.contains('\n');
    for (number, line) in format.split('\n').enumerate() {
        if number > 0 {
            text.push_str("\n    ");
        }
        let mut before = None;
        for c in line.chars() {
            let opens_comment = matches!(c, ';' | '#') && before.is_none_or(is_space);
            if opens_comment || (before.is_none() && is_space(c)) {
                text.push_str(spacer.ok_or("it has a blank at its start, or a comment mark after a blank")?);
            }
            text.push(c);
            before = Some(c);
        }
        if before.is_some_and(is_space) || (before.is_none() && is_long) {
            text.push_str(spacer.ok_or("it has a blank at the end of a line")?);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_reader_would_cut_is_guarded() {
        for (format, wanted) in [
            ("plain", "plain"),
            ("", ""),
            ("a;b#c", "a;b#c"),
            ("a ;b", "a %(here).0s;b"),
            ("#a", "%(here).0s#a"),
            (" a ", "%(here).0s a %(here).0s"),
            ("a\nb", "a\n    b"),
            ("a\n\n b", "a\n    %(here).0s\n    %(here).0s b"),
        ] {
            assert_eq!(lines(format, Some(SPACER)).as_deref(), Ok(wanted), "{format:?}");
        }
        assert!(lines("a ;b", None).is_err());
        assert!(lines("a\rb", Some(SPACER)).is_err());
    }

    #[test]
    fn variables_are_quoted_so_that_the_lexer_gives_them_back() {
        let spelled = |value: &str| variables(&[("A".to_owned(), value.to_owned())]);
        assert_eq!(spelled("x y").as_deref(), Some("A=\"x y\""));
        assert_eq!(spelled("say \"x\" y").as_deref(), Some("A='say \"x\" y'"));
        assert_eq!(spelled("say \"x\""), None);
        assert_eq!(spelled("").as_deref(), Some("A=\"\""));
        assert_eq!(spelled("a'b\"c").as_deref(), Some("A=a'b\"c"));
        assert_eq!(spelled("it's \"x\" y"), None);
        assert_eq!(spelled("'quoted'"), None);
        assert_eq!(variables(&[("A B".to_owned(), String::new())]), None);
    }
}

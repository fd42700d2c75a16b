//! Sections in the native dialect, written by the `toml` crate.

use toml::{Table, Value};

use super::PrintError;
use super::sheet::{Cell, Sheet};
use crate::config::schema::{Naming, SectionKind};

/// The file's text.
pub(super) fn write(sheets: &[Sheet]) -> Result<String, PrintError> {
    let mut file = Table::new();
    for sheet in sheets {
        add(&mut file, sheet)?;
    }
    // Without this an interface would be added on reading.
    file.entry(SectionKind::RpcInterface.word()).or_insert_with(|| Value::Table(Table::new()));
    toml::to_string_pretty(&file).map_err(|error| PrintError::Writer(error.to_string()))
}

fn add(file: &mut Table, sheet: &Sheet) -> Result<(), PrintError> {
    let word = sheet.kind.word();
    let clash = || PrintError::Inexpressible {
        section: sheet.header(),
        key: String::new(),
        reason: "another section has the same name".to_owned(),
    };
    let section: Table = sheet.cells.iter().map(|(key, cell)| ((*key).to_owned(), value(cell))).collect();
    let above = file.entry(word).or_insert_with(|| Value::Table(Table::new()));
    let above = above.as_table_mut().ok_or_else(clash)?;
    let name = sheet.suffix.strip_prefix(':').unwrap_or(&sheet.suffix);
    if sheet.kind.naming() != Naming::Required && sheet.suffix.is_empty() && above.is_empty() {
        above.extend(section);
        return Ok(());
    }
    // A section without a name is read before those with one; behind another it needs one to keep its place.
    let name = if name.is_empty() && sheet.kind.naming() == Naming::Optional { "unnamed" } else { name };
    match above.insert(name.to_owned(), Value::Table(section)) {
        Some(_) => Err(clash()),
        None => Ok(()),
    }
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Text(format) => Value::String(format.clone()),
        Cell::Integer(number) => Value::Integer(*number),
        Cell::Boolean(flag) => Value::Boolean(*flag),
        Cell::Octal(mode) => Value::String(format!("{mode:04o}")),
        Cell::Codes(codes) => Value::Array(codes.iter().map(|code| Value::Integer(i64::from(*code))).collect()),
        Cell::Names(names) => Value::Array(names.iter().map(|name| Value::String(name.clone())).collect()),
        Cell::Pairs(pairs) => {
            Value::Table(pairs.iter().map(|(name, text)| (name.clone(), Value::String(text.clone()))).collect())
        }
    }
}

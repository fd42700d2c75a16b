//! Manual pages, made from the definitions of the command lines.

use std::io;

use clap::Command;

/// The page of a program in roff, section 1 for clients and 8 for daemons.
///
/// # Errors
/// Only what writing to memory can fail with.
pub fn page(definition: Command) -> io::Result<Vec<u8>> {
    let section = if definition.get_name().ends_with('d') { "8" } else { "1" };
    let name = definition.get_name().to_owned();
    let mut text = Vec::new();
    let man = clap_mangen::Man::new(definition).section(section).source(format!("{name} {}", crate::VERSION)).date("");
    man.render(&mut text)?;
    Ok(text)
}

//! Manual pages, made from the definitions of the command lines.

use std::io::{self, Write};

use clap::Command;

use super::commands::COMMANDS;
use super::{galaxyctl, galaxyd};

/// The page of `galaxyctl`, in roff.
///
/// # Errors
/// Only what writing to memory can fail with.
pub fn galaxyctl_page() -> io::Result<Vec<u8>> {
    let mut page = begin(galaxyctl::definition(), "1")?;
    section(&mut page, "COMMANDS")?;
    for line in COMMANDS {
        for (form, meaning) in line.forms {
            item(&mut page, form, meaning)?;
        }
    }
    section(&mut page, "NAMES")?;
    paragraph(&mut page, galaxyctl::NAMES)?;
    section(&mut page, "OUTPUT")?;
    paragraph(
        &mut page,
        "On a terminal, tables and colours (NO_COLOR and TERM=dumb are obeyed); elsewhere, and always under the name \
         supervisorctl, the lines of Supervisor 4.3.0. With --json, one document a command.",
    )?;
    section(&mut page, "EXIT STATUS")?;
    for (code, meaning) in EXIT_STATUS {
        item(&mut page, code, meaning)?;
    }
    section(&mut page, "SEE ALSO")?;
    paragraph(&mut page, "galaxyd(8)")?;
    Ok(page)
}

/// The page of `galaxyd`, in roff.
///
/// # Errors
/// Only what writing to memory can fail with.
pub fn galaxyd_page() -> io::Result<Vec<u8>> {
    let mut page = begin(galaxyd::definition(), "8")?;
    section(&mut page, "OTHER NAMES")?;
    for (name, meaning) in OTHER_NAMES {
        item(&mut page, name, meaning)?;
    }
    section(&mut page, "SIGNALS")?;
    for (signals, meaning) in SIGNALS {
        item(&mut page, signals, meaning)?;
    }
    section(&mut page, "SEE ALSO")?;
    paragraph(&mut page, "galaxyctl(1)")?;
    Ok(page)
}

const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Done."),
    ("1", "Something was refused or failed."),
    ("2", "The command line or the configuration is wrong; start without a name or of an unknown group."),
    ("3", "status: a listed process is stopped, has exited or failed. Others: the daemon does not offer the commands."),
    ("4", "status: an unknown name, or no daemon. Others: nothing listens at the address."),
    ("5", "The daemon's API has another version."),
    ("7", "A process does not run or could not be started; the socket's file is missing."),
];

const OTHER_NAMES: &[(&str, &str)] = &[
    ("supervisord", "A link of this name takes Supervisor's options and prints its text."),
    (
        "pidproxy PIDFILE COMMAND [ARGS]",
        "Runs COMMAND and hands HUP, INT, QUIT, TERM, USR1 and USR2 on to the process whose number is in PIDFILE. Exits with \
         the command's code (128 and the signal's number if one ended it), and at once with 0 after INT, QUIT and TERM. \
         galaxyd pidproxy is the same.",
    ),
    (
        "galaxyd stop-post",
        "For ExecStopPost= of a systemd unit: ends what a stopped daemon left in the unit's cgroup; after a crash it leaves \
         the programs to the next daemon.",
    ),
    ("echo_supervisord_conf", "Prints a sample configuration, as galaxyctl config --sample does."),
];

const SIGNALS: &[(&str, &str)] = &[
    ("TERM, INT, QUIT", "Stop all programs and exit."),
    ("HUP", "Stop all programs, read the configuration again and start as at boot."),
    ("USR2", "Close all log files and open them again."),
];

fn begin(definition: Command, number: &str) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(definition).section(number).date("");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    Ok(page)
}

fn section(page: &mut Vec<u8>, title: &str) -> io::Result<()> {
    writeln!(page, ".SH \"{title}\"")
}

fn item(page: &mut Vec<u8>, term: &str, meaning: &str) -> io::Result<()> {
    writeln!(page, ".TP\n\\fB{}\\fR\n{}", escaped(term), escaped(meaning))
}

fn paragraph(page: &mut Vec<u8>, text: &str) -> io::Result<()> {
    writeln!(page, "{}", escaped(text))
}

/// As roff takes text for text; no text here begins with its control characters.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq").replace('`', "\\(ga")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, wanted: Vec<u8>) {
        let file = format!("{}/docs/man/{name}", env!("CARGO_MANIFEST_DIR"));
        let wanted = String::from_utf8(wanted).unwrap();
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(&file, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(found == wanted, "docs/man/{name} is out of date; run this test with UPDATE_REFERENCE=1");
    }

    #[test]
    fn the_pages_in_docs_are_current() {
        check("galaxyctl.1", galaxyctl_page().unwrap());
        check("galaxyd.8", galaxyd_page().unwrap());
    }

    #[test]
    fn every_command_has_its_place() {
        let page = String::from_utf8(galaxyctl_page().unwrap()).unwrap();
        for line in COMMANDS {
            assert!(page.contains(&format!("\\fB{}", escaped(line.forms[0].0))), "{}", line.name);
        }
    }
}

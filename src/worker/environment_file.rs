//! Files of `NAME=VALUE` lines for `environment_file`. Reads files: not for the control loop.
//!
//! The dialect is what systemd and Docker agree on, and nothing that one of them would take for something else; what it
//! is stands in `docs/configuration.md`.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;

use indexmap::IndexMap;

use crate::config::EnvironmentFile;
use crate::engine::SpawnError;
use crate::rpc::printable;

/// A larger file is refused: the kernel takes no more than a few hundred kilobytes of environment.
const FILE_MAX_BYTES: u64 = 256 << 10;

/// The variables of these files, later ones over earlier ones.
///
/// # Errors
///
/// A file that cannot be read, or a line that is none of the dialect; the text names both.
pub(super) fn read_all(files: &[EnvironmentFile]) -> Result<IndexMap<String, String>, SpawnError> {
    let mut variables = IndexMap::new();
    for file in files {
        let text = match read(&file.path) {
            Ok(text) => text,
            Err(error) if file.optional && error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(SpawnError::Failed(format!("environment_file {}: {error}", printable(&file.path))));
            }
        };
        for (number, line) in (1..).zip(text.lines()) {
            match variable(line) {
                Ok(Some((name, value))) => {
                    variables.insert(name, value);
                }
                Ok(None) => {}
                Err(wrong) => {
                    // The line itself may be a secret.
                    let text = format!("environment_file {}, line {number}: {wrong}", printable(&file.path));
                    return Err(SpawnError::Failed(text));
                }
            }
        }
    }
    Ok(variables)
}

fn read(path: &str) -> io::Result<String> {
    // A FIFO would wait for a writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(io::Error::other(format!("larger than {} KiB", FILE_MAX_BYTES >> 10)));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("not UTF-8"))
}

/// One line: a variable, nothing, or what is wrong with it.
fn variable(line: &str) -> Result<Option<(String, String)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with(['#', ';']) {
        return Ok(None);
    }
    if line.contains('\0') {
        return Err("a NUL byte");
    }
    let (name, value) = line.split_once('=').ok_or("no `=`; a line is NAME=VALUE")?;
    let (name, value) = (name.trim(), value.trim());
    if name.starts_with("export ") {
        return Err("leave out `export`: this is no shell");
    }
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) || !name.chars().all(is_letter) {
        return Err("what stands before `=` is no name: letters, digits and `_`, not beginning with a digit");
    }
    Ok(Some((name.to_owned(), unquoted(value)?)))
}

fn unquoted(value: &str) -> Result<String, &'static str> {
    if let Some(rest) = value.strip_prefix('\'') {
        return match rest.split_once('\'') {
            Some((inner, "")) => Ok(inner.to_owned()),
            Some(_) => Err("something stands behind the closing quote"),
            None => Err("a quote is not closed on its line"),
        };
    }
    let Some(rest) = value.strip_prefix('"') else { return Ok(value.to_owned()) };
    let mut text = String::new();
    let mut letters = rest.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if letters.peek().is_none() => return Ok(text),
            '"' => return Err("something stands behind the closing quote"),
            '\\' => text.push(letters.next_if(|next| matches!(next, '\\' | '"' | '$' | '`')).unwrap_or('\\')),
            other => text.push(other),
        }
    }
    Err("a quote is not closed on its line")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(path: &std::path::Path, optional: bool) -> EnvironmentFile {
        EnvironmentFile { path: path.to_str().unwrap().to_owned(), optional }
    }

    #[test]
    fn lines_are_read_as_documented() {
        let pair = |name: &str, value: &str| Ok(Some((name.to_owned(), value.to_owned())));
        for (line, wanted) in [
            ("", Ok(None)),
            ("  # A=1", Ok(None)),
            ("; A=1", Ok(None)),
            ("A=1", pair("A", "1")),
            (" A = 1 2  ", pair("A", "1 2")),
            ("A=", pair("A", "")),
            ("A=b=c#d \\n'\"", pair("A", "b=c#d \\n'\"")),
            ("A='$x \\ \"'", pair("A", "$x \\ \"")),
            (r#"A="a\"b\\c\$d\n'#"  "#, pair("A", r#"a"b\c$d\n'#"#)),
            ("A", Err("no `=`; a line is NAME=VALUE")),
            ("export A=1", Err("leave out `export`: this is no shell")),
            ("A='b' c", Err("something stands behind the closing quote")),
            ("A=\"b\"c", Err("something stands behind the closing quote")),
            ("A='b", Err("a quote is not closed on its line")),
            ("A=\"b\\\"", Err("a quote is not closed on its line")),
        ] {
            assert_eq!(variable(line), wanted, "{line}");
        }
        for name in ["", "1A", "A-B", "A B", "ä"] {
            assert!(variable(&format!("{name}=1")).unwrap_err().contains("no name"), "{name}");
        }
    }

    #[test]
    fn later_files_and_lines_count_and_errors_name_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&first, "A=1\nB=1\nA=2\n").unwrap();
        std::fs::write(&second, "\nB=3\r\n").unwrap();
        let variables = read_all(&[file(&first, false), file(&second, true)]).unwrap();
        let shown: Vec<_> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["A=2", "B=3"]);
        std::fs::write(&second, "A=1\nSECRET\n").unwrap();
        let text = read_all(&[file(&second, false)]).unwrap_err().to_string();
        assert!(text.contains("b, line 2: no `=`") && !text.contains("SECRET"), "{text}");
    }

    #[test]
    fn only_regular_files_of_a_bearable_size_and_only_optional_ones_may_be_missing() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("none");
        assert!(read_all(&[file(&missing, true)]).unwrap().is_empty());
        assert!(read_all(&[file(&missing, false)]).unwrap_err().to_string().contains("No such file"));
        assert!(read_all(&[file(folder.path(), true)]).unwrap_err().to_string().contains("not a regular file"));
        let large = folder.path().join("large");
        std::fs::write(&large, vec![b'#'; 300 << 10]).unwrap();
        assert!(read_all(&[file(&large, true)]).unwrap_err().to_string().contains("larger than 256 KiB"));
        std::fs::write(&large, b"A=\xff").unwrap();
        assert!(read_all(&[file(&large, true)]).unwrap_err().to_string().contains("not UTF-8"));
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read_all(&[file(&fifo, true)]).unwrap_err().to_string().contains("not a regular file"));
    }

    proptest! {
        #[test]
        fn no_line_is_too_much(line in ".{0,60}") {
            if let Ok(Some((name, _))) = variable(&line) {
                prop_assert!(!name.is_empty());
            }
        }

        #[test]
        fn what_is_quoted_comes_back(value in "[^\0\n\r']{0,30}") {
            prop_assert_eq!(variable(&format!("A='{value}'")).unwrap().unwrap().1, value);
        }
    }
}

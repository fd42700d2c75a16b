//! Reads Supervisor's ini dialect: sections, keys and values with positions, no meaning.
//!
//! The dialect is Python 3.11's raw parser, non-strict, with `;` and `#` as inline comment
//! marks. Merging `[DEFAULT]`, includes and expansion are the loader's.
//! Differs: a byte-order mark is skipped, Python refuses it.

mod decode;
mod line;
mod reader;

pub use decode::{DecodeError, decode};
pub(super) use line::is_space;
use line::lines;
use reader::Reader;

use super::span::{FileId, Span};

/// The sections of one file, in order of first appearance, repeated ones merged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    pub sections: Vec<Section>,
}

/// One section. `[DEFAULT]` is a section like any other here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// As written between the brackets, blanks included.
    pub name: String,
    /// The first header, from bracket to bracket.
    pub span: Span,
    /// In order of first appearance; of a repeated key the last value, with its position.
    pub entries: Vec<Entry>,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Lower-cased.
    pub key: String,
    pub key_span: Span,
    /// Comments cut, continuation lines joined by LF, blanks at the ends trimmed.
    pub value: String,
    /// From the first to the last character of the value in the file.
    pub value_span: Span,
    /// The first inline comment that was cut off the value, mark included.
    pub cut_comment: Option<Span>,
    /// Where the lines of the value come from: (offset in value, offset in file), ascending.
    pub pieces: Vec<(usize, usize)>,
}

impl Document {
    /// The section with exactly this name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }
}

impl Section {
    /// The entry with this key, which must be lower case.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl Entry {
    /// The offset in the file of an offset in the value, both in bytes.
    #[must_use]
    pub fn locate(&self, value_offset: usize) -> usize {
        let piece = self.pieces.iter().rev().find(|(in_value, _)| *in_value <= value_offset);
        piece.map_or(self.value_span.start, |(in_value, in_file)| in_file + (value_offset - in_value))
    }
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IniErrorKind {
    /// Text before the first section header; nothing after it was read.
    MissingSectionHeader,
    /// Neither a header nor `key = value`.
    NoDelimiter,
    /// A value without a key.
    EmptyKey,
}

impl IniErrorKind {
    fn text(self) -> &'static str {
        match self {
            IniErrorKind::MissingSectionHeader => "text before the first section header",
            IniErrorKind::NoDelimiter => "a line that is neither `[section]` nor `key = value`",
            IniErrorKind::EmptyKey => "a value without a key",
        }
    }
}

/// A line that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", .kind.text())]
pub struct IniError {
    pub kind: IniErrorKind,
    /// The line without comment, line end and blanks around it.
    pub span: Span,
}

/// Reads a file's text.
///
/// # Errors
/// All unreadable lines, or only the first if it stands before any section.
pub fn parse(text: &str, file: FileId) -> Result<Document, Vec<IniError>> {
    let mut reader = Reader::new(file);
    for line in lines(text) {
        if reader.take(line).is_err() {
            break;
        }
    }
    if reader.errors.is_empty() { Ok(reader.finish()) } else { Err(reader.errors) }
}

/// Supervisor's text for the errors of one file: `text` is what was parsed, `errors` what came of it.
#[must_use]
pub fn supervisor_message(errors: &[IniError], file_name: &str, text: &str) -> String {
    let file_name = super::literal(file_name);
    let mut message = format!("Source contains parsing errors: {file_name}");
    let mut errors = errors.iter().peekable();
    for (index, line) in lines(text).enumerate() {
        let Some(error) = errors.next_if(|error| error.span.start <= line.start + line.text.len()) else { continue };
        let (number, shown) = (index + 1, super::literal(&line.as_python_sees_it()));
        if error.kind == IniErrorKind::MissingSectionHeader {
            return format!("File contains no section headers.\nfile: {file_name}, line: {number}\n{shown}");
        }
        message.extend(["\n\t", &format!("[line {number:2}]: {shown}")]);
    }
    message
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    use IniErrorKind::{EmptyKey, NoDelimiter};

    const FILE: FileId = FileId(3);

    fn read(text: &str) -> Document {
        parse(text, FILE).unwrap_or_else(|errors| panic!("{text:?}: {errors:?}"))
    }

    fn check(text: &str, expected: &[(&str, &[(&str, &str)])]) {
        let document = read(text);
        let pairs = |section: &Section| {
            section.entries.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect::<Vec<_>>()
        };
        let found: Vec<_> = document.sections.iter().map(|section| (section.name.clone(), pairs(section))).collect();
        let owned =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let expected: Vec<(String, Vec<(String, String)>)> =
            expected.iter().map(|(name, pairs)| ((*name).into(), owned(pairs))).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    fn refused(text: &str) -> String {
        supervisor_message(&parse(text, FILE).unwrap_err(), "F", text)
    }

    #[test]
    fn keys_are_folded_and_values_trimmed() {
        check(
            "[a]\nKey =  v  \nb: x = y\nc=\nd=a:b",
            &[("a", &[("key", "v"), ("b", "x = y"), ("c", ""), ("d", "a:b")])],
        );
        check("[a]\nwith blank = 1\nΑΣ=2", &[("a", &[("with blank", "1"), ("ας", "2")])]);
        check("[a]\nq='x \"y'", &[("a", &[("q", "'x \"y'")])]);
    }

    #[test]
    fn sections_merge_and_the_last_value_wins_in_the_first_place() {
        check("[a]\nx=1\ny=2\n[b]\n[a]\nz=3\nx=4", &[("a", &[("x", "4"), ("y", "2"), ("z", "3")]), ("b", &[])]);
        check("[DEFAULT]\nx=1\n[ a ]\n[a]b]\n", &[("DEFAULT", &[("x", "1")]), (" a ", &[]), ("a]b", &[])]);
    }

    #[test]
    fn deeper_lines_continue_a_value() {
        check("[a]\nx=1\n 2\n\t3\ny=4", &[("a", &[("x", "1\n2\n3"), ("y", "4")])]);
        check("[a]\nx=\n 1\n 2", &[("a", &[("x", "\n1\n2")])]);
        check("[a]\nx=1\n y=2\n [b]", &[("a", &[("x", "1\ny=2\n[b]")])]);
        check("[a]\n  x=1\n  y=2\n   3", &[("a", &[("x", "1"), ("y", "2\n3")])]);
        check(" [a]\n  x=1\ny=2\n z", &[("a", &[("x", "1"), ("y", "2\nz")])]);
    }

    #[test]
    fn blank_lines_stay_inside_and_comment_lines_vanish() {
        check("[a]\nx=1\n\n ; c\n# c\n 2\n\n\ny=3\n\n", &[("a", &[("x", "1\n\n2"), ("y", "3")])]);
        check("[a]\nx=1 ; c\n 2 # d\n", &[("a", &[("x", "1\n2")])]);
        check("[a]\n x=1 ; c\n;\n  \n  2", &[("a", &[("x", "1\n\n2")])]);
    }

    #[test]
    fn a_repeated_header_closes_the_value() {
        assert_eq!(refused("[a]\nx=1\n[a]\n  y\n"), "Source contains parsing errors: 'F'\n\t[line  4]: '  y\\n'");
    }

    #[test]
    fn a_byte_order_mark_is_skipped_at_the_start_only() {
        check("\u{feff}[a]\nx=1", &[("a", &[("x", "1")])]);
        assert_eq!(read("\u{feff}[a]").sections[0].span, Span { file: FILE, start: 3, end: 6 });
    }

    #[test]
    fn positions_point_into_the_file() {
        let text = "[a] ; c\r\nKey = one ; cut\r\n  two # too\r\n\r\n  thrée\r\n";
        let document = read(text);
        let section = document.section("a").unwrap();
        let entry = section.entry("key").unwrap();
        let at = |span: Span| &text[span.start..span.end];
        assert_eq!((at(section.span), at(entry.key_span)), ("[a]", "Key"));
        assert_eq!(entry.value, "one\ntwo\n\nthrée");
        assert_eq!(at(entry.value_span), "one ; cut\r\n  two # too\r\n\r\n  thrée");
        assert_eq!(entry.cut_comment.map(at), Some("; cut"));
        let offset = entry.value.find("ée").unwrap();
        assert_eq!(entry.locate(offset), text.find("ée").unwrap());
        assert_eq!(entry.locate(entry.value.find("two").unwrap() + 1), text.find("wo").unwrap());
        assert_eq!(entry.locate(0), text.find("one").unwrap());
    }

    #[test]
    fn the_position_of_the_winning_value_is_kept() {
        let document = read("[a]\nx=1 ; old\n[b]\n[a]\nX=2\n");
        let entry = document.sections[0].entry("x").unwrap();
        assert_eq!((entry.key_span.start, entry.value_span.start, entry.cut_comment), (22, 24, None));
    }

    #[test]
    fn all_bad_lines_are_reported_at_once() {
        let text = "[a]\nfoo\n=x\n: y ; c\nb=1\n[]\nbar";
        let kinds: Vec<_> = parse(text, FILE).unwrap_err().iter().map(|error| error.kind).collect();
        assert_eq!(kinds, [NoDelimiter, EmptyKey, EmptyKey, NoDelimiter, NoDelimiter]);
        assert_eq!(
            refused(text),
            "Source contains parsing errors: 'F'\n\t[line  2]: 'foo\\n'\n\t[line  3]: '=x\\n'\n\t[line  4]: ': y ; c\\n'\
             \n\t[line  6]: '[]\\n'\n\t[line  7]: 'bar'"
        );
    }

    #[test]
    fn a_bad_line_leaves_the_value_above_open_but_an_empty_key_closes_it() {
        assert_eq!(refused("[a]\nx=1\nbad\n more\n"), "Source contains parsing errors: 'F'\n\t[line  3]: 'bad\\n'");
        let text = refused("[a]\nx=1\n=2\n more\n");
        assert_eq!(text, "Source contains parsing errors: 'F'\n\t[line  3]: '=2\\n'\n\t[line  4]: ' more\\n'");
    }

    #[test]
    fn text_before_a_section_ends_the_reading() {
        let text = "; c\n\n x = 'y'\nbad\n[a]";
        assert_eq!(refused(text), "File contains no section headers.\nfile: 'F', line: 3\n\" x = 'y'\\n\"");
        let errors = parse(text, FILE).unwrap_err();
        let span = Span { file: FILE, start: 6, end: 13 };
        assert_eq!(errors, [IniError { kind: IniErrorKind::MissingSectionHeader, span }]);
    }

    #[test]
    fn nothing_is_an_empty_file() {
        check("", &[]);
        check("\n; c\n  # d\r\n", &[]);
    }

    proptest! {
        #[test]
        fn written_values_come_back(values in proptest::collection::vec("[a-z=:;#'\\[\\]]([a-z =:'é]{0,8}[a-z])?", 1..6)) {
            prop_assume!(values.iter().all(|value| !value.starts_with([';', '#'])));
            let pairs: Vec<_> = values.iter().enumerate().map(|(at, value)| format!("k{at} = {value}")).collect();
            let document = read(&format!("[s]\n{}", pairs.join("\n")));
            let found: Vec<_> = document.sections[0].entries.iter().map(|entry| entry.value.clone()).collect();
            prop_assert_eq!(found, values);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]=:;# \\t\\r\\na-cé\u{1c}]{0,60}") {
            match parse(&text, FILE) {
                Ok(document) => {
                    for entry in document.sections.iter().flat_map(|section| &section.entries) {
                        prop_assert_eq!(entry.locate(entry.value.len()), entry.value_span.end);
                    }
                }
                Err(errors) => prop_assert!(!supervisor_message(&errors, "F", &text).is_empty()),
            }
        }
    }
}

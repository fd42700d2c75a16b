//! The fields of a request: its query, and the body of a form.

use std::collections::BTreeMap;

use super::percent;

/// More fields than this are not read: no form of ours has so many.
const FIELDS_MAX: usize = 64;

/// Named values. Empty ones do not count, as in Supervisor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form(BTreeMap<String, String>);

impl Form {
    /// Of a field given twice in the query the first value counts, in the body the last, and the body before the query.
    ///
    /// Source: supervisor 4.3, web.py, `continue_request()`.
    #[must_use]
    pub fn parse(query: &str, body: &[u8]) -> Form {
        let mut fields = BTreeMap::new();
        for (name, value) in pairs(query) {
            fields.entry(name).or_insert(value);
        }
        fields.extend(pairs(&String::from_utf8_lossy(body)));
        Form(fields)
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    let words = text.trim_end_matches(['\r', '\n']).split('&').take(FIELDS_MAX);
    words.filter_map(|word| word.split_once('=')).filter(|(_, value)| !value.is_empty()).map(|(name, value)| {
        let decode = |text: &str| percent::decode(&text.replace('+', " "));
        (decode(name), decode(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_by_supervisor() {
        let form = Form::parse("a=1&a=2&b=x+y%2Bz&c=&d&%C3%A9=%FF", b"b=body&b=last&e=%41\r\n");
        for (name, value) in [
            ("a", Some("1")),
            ("b", Some("last")),
            ("c", None),
            ("d", None),
            ("e", Some("A")),
            ("é", Some("\u{fffd}")),
            ("f", None),
        ] {
            assert_eq!(form.get(name), value, "{name}");
        }
        assert_eq!(Form::parse("b=x+y%2Bz", b"").get("b"), Some("x y+z"));
    }

    #[test]
    fn the_number_of_fields_has_a_limit() {
        let query: Vec<String> = (0..1000).map(|number| format!("k{number}=v")).collect();
        assert_eq!(Form::parse(&query.join("&"), b"").0.len(), FIELDS_MAX);
    }
}

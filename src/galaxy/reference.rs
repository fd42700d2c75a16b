//! `docs/rules.md`, generated from the table of rules.

use std::fmt::Write;

use super::rules::{RULES, UNCHECKED};

const INTRODUCTION: &str = "\
<!-- Generated from the table of rules. After a change run: UPDATE_REFERENCE=1 cargo test --lib galaxy::reference -->

# Galaxy's rules

`galaxyctl check` reads a configuration, and what its programs read: `galaxy.yml` with its `uwsgi` section (as uWSGI reads it),
`job_conf.yml` or `job_conf.xml`, `galaxy.ini` of old. It says what will go wrong, with file and line. `galaxyctl explain GX031`
tells about one rule. A rule is silent where what it asks for is not known: a file that cannot be read is no mistake of its own.

| severity | means |
| --- | --- |
| error | jobs are lost or run twice, or the server is down |
| warning | trouble is likely |
| advice | it could be better |

With `--live` the daemon of this configuration is asked, too: what its processes run, whether they are ready, what they left
behind, and what an update would cost the jobs of handlers that it takes away or renames. Web servers are asked for their release
(`/api/version`, 3 seconds at most, all at once), and where handlers take jobs themselves the database for its version, by a side
process under Galaxy's own Python and account, 25 seconds at most; MySQL is not asked. Who does not answer is no finding.

With `--proxy FILE` (several times, if need be) nginx's files and what they include are compared with the sockets of the programs:
`upstream`, `proxy_pass`, `uwsgi_pass`. Where an address is a variable, or an included file is missing, nobody is said to be
forgotten. A file that is no configuration of nginx is refused with its line.

| exit code of `galaxyctl check` | means |
| --- | --- |
| 0 | nothing, or advice only |
| 1 | a rule of severity error is not kept |
| 2 | the configuration itself is refused |
| 3 | a rule of severity warning is not kept, none of severity error |

`--json` gives one JSON document ([json.md](json.md)), `--sarif` the same in SARIF 2.1.0 for code scanning. The daemon applies the
rules after each start and logs what it finds of errors and warnings; it starts all the same. GX104 and GX105 are found while the
configuration is read, in the programs of everybody: they stand among its problems, with their code.

";

const NOT_CHECKED: &str = "\
## Not checked

| code | what | because |
| --- | --- | --- |
";

/// The whole page.
#[must_use]
pub fn reference_markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    for rule in RULES {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "## {}: {}\n\n{}. If ignored: {}. Remedy: {}. From: {}.\n\n",
            rule.code,
            rule.title,
            capital(rule.severity.word()),
            rule.consequence,
            rule.remedy,
            rule.reference
        );
    }
    text.push_str(NOT_CHECKED);
    for one in UNCHECKED {
        let _ = writeln!(text, "| {} | {} | {} |", one.code, one.title, one.reason);
    }
    text
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rules.md");
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(path, reference_markdown()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), reference_markdown(), "run it with UPDATE_REFERENCE=1");
    }

    #[test]
    fn every_number_is_a_rule_or_says_why_not() {
        let mut codes: Vec<_> = RULES.iter().map(|rule| rule.code).collect();
        codes.extend(UNCHECKED.iter().map(|one| one.code));
        codes.sort_unstable();
        let wanted: Vec<_> = (1..=codes.len()).map(|number| format!("GX{number:03}")).collect();
        assert_eq!(codes, wanted);
    }

    #[test]
    fn codes_are_in_order_and_say_everything() {
        assert!(RULES.windows(2).all(|pair| pair[0].code < pair[1].code));
        for rule in RULES {
            let texts = [rule.title, rule.consequence, rule.remedy, rule.reference];
            assert!(texts.iter().all(|text| !text.is_empty() && !text.ends_with('.')), "{}", rule.code);
        }
    }
}

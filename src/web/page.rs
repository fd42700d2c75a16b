//! What all pages have in common.

use super::escape::escaped;

/// Which script a page runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    None,
    Status,
    Tail,
}

/// A whole page. `title` is any text, `body` is markup. Well-formed as XML as well, as Supervisor's pages are.
pub(super) fn page(title: &str, script: Script, body: &str) -> String {
    let script = match script {
        Script::None => "",
        Script::Status => "  <script src=\"scripts/status.js\" defer=\"defer\"></script>\n",
        Script::Tail => "  <script src=\"scripts/tail.js\" defer=\"defer\"></script>\n",
    };
    let title = escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n  <meta charset=\"utf-8\" />\n  <title>{title}</title>\n  \
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n  \
         <meta name=\"color-scheme\" content=\"light dark\" />\n  \
         <link href=\"stylesheets/supervisor.css\" rel=\"stylesheet\" type=\"text/css\" />\n  \
         <link href=\"images/icon.png\" rel=\"icon\" type=\"image/png\" />\n{script}</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// The foot of a page: the version where Supervisor has it, then ours.
pub(super) fn footer() -> String {
    format!(
        "<div class=\"clr\" id=\"footer\">\n  <div class=\"left\">\n    <a href=\"http://supervisord.org\" \
         rel=\"noreferrer\">Supervisor</a> <span>{}</span>\n  </div>\n  <div class=\"right\">\n    galaxyd \
         <span>{}</span>\n  </div>\n</div>\n",
        crate::SUPERVISOR_VERSION,
        crate::VERSION
    )
}

#[cfg(test)]
pub(super) mod tests {
    use quick_xml::Reader;
    use quick_xml::events::Event;

    /// Fails unless the page is well-formed; so no foreign text has become markup.
    pub(in crate::web) fn assert_well_formed(page: &str) {
        let mut reader = Reader::from_str(page);
        reader.config_mut().check_end_names = true;
        let mut depth = 0;
        loop {
            match reader.read_event() {
                Ok(Event::Start(_)) => depth += 1,
                Ok(Event::End(_)) => depth -= 1,
                Ok(Event::Eof) => break,
                Ok(_) => {}
                Err(error) => panic!("{error} at {} in:\n{page}", reader.error_position()),
            }
        }
        assert_eq!(depth, 0, "{page}");
    }
}

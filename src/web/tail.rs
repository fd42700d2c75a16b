//! The page with the end of a process's log.

use super::escape::escaped;
use super::form::Form;
use super::page::{Script, footer, page};
use super::percent;
use crate::rpc::{Fault, FaultCode, Output, Value};

/// Bytes of the log's end that are shown at least. Source: supervisor 4.3, web.py.
const TAIL_MIN: i64 = 1024;

/// Bytes that are shown at most: a page is made in memory, and escaping may make it five times as long.
pub const TAIL_MAX: i64 = 1024 * 1024;

/// What a request wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailRequest {
    pub process: Option<String>,
    /// Differs: Supervisor knows standard output only.
    pub output: Output,
    /// Bytes.
    pub limit: i64,
}

impl TailRequest {
    #[must_use]
    pub fn of(form: &Form) -> TailRequest {
        let limit = form.get("limit").filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        TailRequest {
            process: form.get("processname").map(str::to_owned),
            output: if form.get("channel") == Some("stderr") { Output::Stderr } else { Output::Stdout },
            // A number that is too long for us is too much.
            limit: limit.map_or(TAIL_MIN, |text| text.parse().unwrap_or(TAIL_MAX)).clamp(TAIL_MIN, TAIL_MAX),
        }
    }

    fn url(&self, output: Output, limit: i64) -> String {
        let channel = if output == Output::Stderr { "&channel=stderr" } else { "" };
        let name = percent::quote(self.process.as_deref().unwrap_or_default());
        escaped(&format!("tail.html?processname={name}&limit={limit}{channel}"))
    }
}

/// The page. `log` is the answer of `readProcess…Log`; `None` without a process.
#[must_use]
pub fn tail_page(request: &TailRequest, log: Option<&Result<Value, Fault>>) -> String {
    let process = request.process.as_deref();
    let text = match (process, log) {
        (Some(_), Some(Ok(text))) => text.as_str().unwrap_or_default().to_owned(),
        (Some(name), Some(Err(fault))) if fault.code == FaultCode::NoFile.number() => format!("No file for {name}"),
        (Some(_), Some(Err(fault))) => format!("ERROR: unexpected rpc fault [{}] {}", fault.code, fault.text),
        (None, _) | (_, None) => "No process name found".to_owned(),
    };
    // Python's word for nothing is part of the original's title.
    let title = format!("Supervisor tail of process {}", process.unwrap_or("None"));
    let links = if process.is_some() { links(request) } else { String::new() };
    // HTML drops a line end right after the tag, so one is put there.
    let body = format!(
        "<div id=\"wrapper\" class=\"wide\">\n  <div id=\"header\">\n    <img alt=\"Supervisor status\" \
         src=\"images/icon.png\" width=\"32\" height=\"32\" />\n    <h1>{}</h1>\n    <p id=\"live\" class=\"hidden\" \
         role=\"status\"></p>\n  </div>\n  <div id=\"content\">\n{links}<pre id=\"tail\" tabindex=\"0\" \
         data-limit=\"{}\">\n{}</pre>\n  </div>\n</div>\n{}",
        escaped(process.unwrap_or("No process")),
        request.limit,
        escaped(&text),
        footer()
    );
    page(&title, if process.is_some() { Script::Tail } else { Script::None }, &body)
}

fn links(request: &TailRequest) -> String {
    let other = match request.output {
        Output::Stdout => (Output::Stderr, "Standard error"),
        Output::Stderr => (Output::Stdout, "Standard output"),
    };
    let name = percent::quote(request.process.as_deref().unwrap_or_default());
    let follow = if request.output == Output::Stderr { "/stderr" } else { "" };
    let more = (request.limit.saturating_mul(16)).min(TAIL_MAX);
    let more = if more > request.limit {
        format!("    <li class=\"action-button\"><a href=\"{}\">More</a></li>\n", request.url(request.output, more))
    } else {
        String::new()
    };
    format!(
        "  <ul class=\"clr\" id=\"buttons\">\n    <li class=\"action-button\"><a href=\"./\">Status</a></li>\n    \
         <li class=\"action-button\"><a href=\"{}\">Refresh</a></li>\n{more}    <li class=\"action-button\"><a \
         href=\"{}\">{}</a></li>\n    <li class=\"action-button\"><a href=\"logtail/{name}{follow}\">Tail -f</a></li>\n  \
         </ul>\n",
        request.url(request.output, request.limit),
        request.url(other.0, request.limit),
        other.1,
    )
}

#[cfg(test)]
mod tests {
    use super::super::page::tests::assert_well_formed;
    use super::*;

    fn request(query: &str) -> TailRequest {
        TailRequest::of(&Form::parse(query, b""))
    }

    fn shown(query: &str, log: Option<&Result<Value, Fault>>) -> String {
        let page = tail_page(&request(query), log);
        assert_well_formed(&page);
        page
    }

    #[test]
    fn limits_are_bounded() {
        for (query, limit) in [
            ("", 1024),
            ("limit=5", 1024),
            ("limit=5000", 5000),
            ("limit=-5000", 1024),
            ("limit=x", 1024),
            ("limit=99999999", TAIL_MAX),
            ("limit=99999999999999999999999", TAIL_MAX),
        ] {
            assert_eq!(request(query).limit, limit, "{query}");
        }
    }

    #[test]
    fn the_texts_are_supervisors() {
        let page = shown("", None);
        assert!(page.contains("<title>Supervisor tail of process None</title>"), "{page}");
        assert!(page.contains(">\nNo process name found</pre>"), "{page}");
        let none = Err(Fault::with(FaultCode::NoFile, "/x"));
        assert!(shown("processname=web", Some(&none)).contains(">\nNo file for web</pre>"));
        let bad = Err(Fault::with(FaultCode::BadName, "web"));
        let page = shown("processname=web", Some(&bad));
        assert!(page.contains(">\nERROR: unexpected rpc fault [10] BAD_NAME: web</pre>"), "{page}");
        assert!(page.contains("<a href=\"tail.html?processname=web&amp;limit=1024\">Refresh</a>"), "{page}");
    }

    #[test]
    fn output_stays_text() {
        let log = Ok(Value::from("\n<script>x</script>\u{1b}[31mred</pre>"));
        let page = shown("processname=a%22b%3C&channel=stderr", Some(&log));
        assert!(page.contains(">\n\n&lt;script&gt;x&lt;/script&gt;\u{241b}[31mred&lt;/pre&gt;</pre>"), "{page}");
        assert!(page.contains("<title>Supervisor tail of process a&quot;b&lt;</title>"), "{page}");
        assert!(page.contains("tail.html?processname=a%22b%3C&amp;limit=1024&amp;channel=stderr"), "{page}");
    }
}

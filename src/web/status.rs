//! The status page: Supervisor's table, with groups, a filter and a live script around it.

use std::fmt::Write;

use super::action::{Action, Verb};
use super::escape::escaped;
use super::page::{Script, footer, page};
use super::percent;
use super::snapshot::{Group, Row, Snapshot};

/// Characters of a message from the URL that are shown: a link can say anything.
const MESSAGE_MAX: usize = 1000;

/// How the actions of processes are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionStyle {
    /// Buttons, which send a form with the token.
    Buttons,
    /// Supervisor's links.
    Links,
}

/// What the page shows beside the processes.
#[derive(Debug, Clone, Copy)]
pub struct StatusView<'a> {
    pub message: Option<&'a str>,
    pub filter: &'a str,
    pub token: &'a str,
    pub style: ActionStyle,
}

/// The whole page.
#[must_use]
pub fn status_page(snapshot: &Snapshot, view: &StatusView<'_>) -> String {
    let mut body = String::new();
    body.push_str("<div id=\"wrapper\">\n\n");
    header(&mut body, snapshot, view);
    body.push_str("  <div id=\"content\">\n");
    match view.message {
        Some(message) => {
            let shown: String = message.chars().take(MESSAGE_MAX).collect();
            put(&mut body, format_args!("    <div class=\"status_msg\" role=\"status\">{}</div>\n\n", escaped(&shown)));
        }
        None => body.push_str("    <div class=\"hidden\" role=\"status\"></div>\n\n"),
    }
    put(
        &mut body,
        format_args!(
            "    <form id=\"actions\" action=\"index.html\" method=\"post\">\n      <input type=\"hidden\" \
             name=\"token\" value=\"{}\" />\n      <input type=\"hidden\" name=\"filter\" value=\"{}\" />\n",
            escaped(view.token),
            escaped(view.filter)
        ),
    );
    buttons(&mut body, view.style);
    groups(&mut body, snapshot);
    table(&mut body, snapshot, view);
    body.push_str("    </form>\n\n  </div>\n\n  <div class=\"push\">\n  </div>\n</div>\n\n");
    body.push_str(&footer());
    page("Supervisor Status", Script::Status, &body)
}

/// Writing to a `String` cannot fail.
fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
}

fn header(body: &mut String, snapshot: &Snapshot, view: &StatusView<'_>) {
    put(
        body,
        format_args!(
            "  <div id=\"header\">\n    <img alt=\"Supervisor status\" src=\"images/icon.png\" width=\"32\" \
             height=\"32\" />\n    <h1>{}</h1>\n    <p id=\"live\" class=\"hidden\" role=\"status\"></p>\n",
            escaped(&snapshot.identifier)
        ),
    );
    put(
        body,
        format_args!(
            "    <form id=\"filter\" action=\"index.html\" method=\"get\" role=\"search\">\n      <input type=\"search\" \
             name=\"filter\" value=\"{}\" placeholder=\"Filter by name, state, text\" aria-label=\"Filter\" \
             autocomplete=\"off\" />\n      <button type=\"submit\">Filter</button>\n    </form>\n",
            escaped(view.filter)
        ),
    );
    body.push_str("    <ul id=\"summary\">\n");
    put(body, format_args!("      <li><a href=\"./\">{} in all</a></li>\n", snapshot.rows.len()));
    for (state, count) in snapshot.states() {
        let state = escaped(state);
        put(
            body,
            format_args!("      <li data-state=\"{state}\"><a href=\"./?filter={state}\">{count} {state}</a></li>\n"),
        );
    }
    body.push_str("    </ul>\n  </div>\n\n");
}

/// Refreshing changes nothing, so it stays a link.
fn buttons(body: &mut String, style: ActionStyle) {
    body.push_str("      <ul class=\"clr\" id=\"buttons\">\n");
    put(
        body,
        format_args!(
            "        <li class=\"action-button\"><a href=\"{}\">Refresh</a></li>\n",
            escaped(&Action::Refresh.url())
        ),
    );
    for verb in [Verb::Start, Verb::Restart, Verb::Stop] {
        let action = Action::All(verb);
        let control = control(&action, &action.label(), style);
        put(body, format_args!("        <li class=\"action-button\">{control}</li>\n"));
    }
    body.push_str("      </ul>\n\n");
}

/// A button or a link that asks for an action. Its name is its text, as in Supervisor.
fn control(action: &Action, text: &str, style: ActionStyle) -> String {
    let url = escaped(&action.url());
    let named = match action {
        Action::Process(..) => format!(" name=\"{text}\""),
        Action::Refresh | Action::All(_) | Action::Group(..) => String::new(),
    };
    match style {
        ActionStyle::Buttons => format!("<button type=\"submit\" formaction=\"{url}\"{named}>{text}</button>"),
        ActionStyle::Links => format!("<a href=\"{url}\"{named}>{text}</a>"),
    }
}

fn groups(body: &mut String, snapshot: &Snapshot) {
    body.push_str("      <ul id=\"groups\" aria-label=\"Groups\">\n");
    for group in snapshot.groups() {
        group_item(body, &group);
    }
    body.push_str("      </ul>\n\n");
}

fn group_item(body: &mut String, group: &Group<'_>) {
    let class = match (group.failed, group.running == group.members) {
        (0, true) => "statusrunning",
        (0, false) => "statusnominal",
        _ => "statuserror",
    };
    put(
        body,
        format_args!(
            "        <li class=\"{class}\">\n          <a href=\"./?filter={}\">{}</a>\n          <span>{} of {} \
             running</span>\n          <div>\n",
            percent::quote(&format!("{}:", group.name)),
            escaped(group.name),
            group.running,
            group.members
        ),
    );
    let offered = [(Verb::Start, group.startable > 0), (Verb::Restart, true), (Verb::Stop, group.running > 0)];
    for (verb, _) in offered.into_iter().filter(|(_, offered)| *offered) {
        let action = Action::Group(verb, group.name.to_owned());
        let (url, label) = (escaped(&action.url()), escaped(&action.label()));
        put(
            body,
            format_args!(
                "            <button type=\"submit\" formaction=\"{url}\" aria-label=\"{label}\">{}</button>\n",
                verb.label()
            ),
        );
    }
    body.push_str("          </div>\n        </li>\n");
}

fn table(body: &mut String, snapshot: &Snapshot, view: &StatusView<'_>) {
    if snapshot.rows.is_empty() {
        body.push_str("      <p class=\"empty\">No programs to manage</p>\n");
        return;
    }
    body.push_str(
        "      <table cellspacing=\"0\">\n        <thead>\n        <tr>\n          <th class=\"state\">State</th>\n          \
         <th class=\"desc\">Description</th>\n          <th class=\"name\">Name</th>\n          \
         <th class=\"action\">Action</th>\n        </tr>\n        </thead>\n\n        <tbody>\n",
    );
    for (number, row) in snapshot.rows.iter().enumerate() {
        let class = if number % 2 == 0 { "" } else { "shade" };
        table_row(body, row, class, view);
    }
    body.push_str("        </tbody>\n      </table>\n");
    let hidden = if snapshot.rows.iter().any(|row| row.matches(view.filter)) { " hidden=\"hidden\"" } else { "" };
    put(body, format_args!("      <p class=\"empty\" id=\"nothing\"{hidden}>No process matches the filter</p>\n"));
}

fn table_row(body: &mut String, row: &Row, class: &str, view: &StatusView<'_>) {
    let namespec = row.namespec();
    let (name, state, description) = (escaped(&namespec), escaped(&row.state), escaped(&row.description));
    let quoted = percent::quote(&namespec);
    let hidden = if row.matches(view.filter) { "" } else { " hidden=\"hidden\"" };
    put(
        body,
        format_args!(
            "          <tr class=\"{class}\" data-name=\"{name}\" data-state=\"{state}\"{hidden}>\n            \
             <td class=\"status\"><span class=\"{}\">{state}</span></td>\n            \
             <td><span>{description}</span></td>\n            \
             <td><a href=\"tail.html?processname={quoted}\" target=\"_blank\">{name}</a></td>\n            \
             <td class=\"action\">\n              <ul>\n",
            row.class()
        ),
    );
    let verbs = if row.is_running() {
        [Some(Verb::Restart), Some(Verb::Stop)]
    } else if row.is_startable() {
        [Some(Verb::Start), None]
    } else {
        [None, None]
    };
    for verb in verbs.into_iter().chain([Some(Verb::ClearLog)]) {
        let control = match verb {
            Some(verb) => control(&Action::Process(verb, namespec.clone()), verb.label(), view.style),
            None => "<a class=\"hidden\" href=\"#\" name=\"#\">Action</a>".to_owned(),
        };
        put(body, format_args!("                <li>\n                  {control}\n                </li>\n"));
    }
    for (text, suffix) in [("Tail -f Stdout", ""), ("Tail -f Stderr", "/stderr")] {
        put(
            body,
            format_args!(
                "                <li>\n                  <a href=\"logtail/{quoted}{suffix}\" name=\"{text}\" \
                 target=\"_blank\">{text}</a>\n                </li>\n"
            ),
        );
    }
    body.push_str("              </ul>\n            </td>\n          </tr>\n");
}

#[cfg(test)]
mod tests {
    use super::super::page::tests::assert_well_formed;
    use super::super::snapshot::tests::snapshot;
    use super::*;

    const VIEW: StatusView<'_> = StatusView { message: None, filter: "", token: "TOKEN", style: ActionStyle::Buttons };

    #[test]
    fn without_programs_the_page_says_so() {
        let page = status_page(&Snapshot::default(), &VIEW);
        assert_well_formed(&page);
        assert!(page.contains(">No programs to manage<") && !page.contains("<table"), "{page}");
        assert!(page.contains("<span>4.3.0</span>"), "{page}");
    }

    #[test]
    fn a_row_is_supervisors() {
        let snapshot = snapshot(&[("g", "web", "RUNNING", "pid 7, uptime 0:00:02")]);
        let page = status_page(&snapshot, &StatusView { style: ActionStyle::Links, ..VIEW });
        assert_well_formed(&page);
        for piece in [
            "<td class=\"status\"><span class=\"statusrunning\">running</span></td>",
            "<td><span>pid 7, uptime 0:00:02</span></td>",
            "<td><a href=\"tail.html?processname=g%3Aweb\" target=\"_blank\">g:web</a></td>",
            "<a href=\"index.html?processname=g%3Aweb&amp;action=restart\" name=\"Restart\">Restart</a>",
            "<a href=\"index.html?processname=g%3Aweb&amp;action=stop\" name=\"Stop\">Stop</a>",
            "<a href=\"index.html?processname=g%3Aweb&amp;action=clearlog\" name=\"Clear Log\">Clear Log</a>",
            "<a href=\"logtail/g%3Aweb\" name=\"Tail -f Stdout\" target=\"_blank\">Tail -f Stdout</a>",
            "<a href=\"logtail/g%3Aweb/stderr\" name=\"Tail -f Stderr\" target=\"_blank\">Tail -f Stderr</a>",
        ] {
            assert!(page.contains(piece), "{piece}\n{page}");
        }
    }

    #[test]
    fn buttons_send_a_form_with_the_token() {
        let snapshot = snapshot(&[("g", "web", "RUNNING", ""), ("g", "off", "STOPPED", "")]);
        let page = status_page(&snapshot, &VIEW);
        assert_well_formed(&page);
        for piece in [
            "<input type=\"hidden\" name=\"token\" value=\"TOKEN\" />",
            "<button type=\"submit\" formaction=\"index.html?processname=g%3Aweb&amp;action=stop\" name=\"Stop\">Stop</button>",
            "<button type=\"submit\" formaction=\"index.html?processname=g%3Aoff&amp;action=start\" name=\"Start\">Start</button>",
            "<button type=\"submit\" formaction=\"index.html?groupname=g&amp;action=stopgroup\" aria-label=\"Stop group g\">Stop</button>",
            "<button type=\"submit\" formaction=\"index.html?action=stopall\">Stop All</button>",
            "<span>1 of 2 running</span>",
        ] {
            assert!(page.contains(piece), "{piece}\n{page}");
        }
        assert!(!page.contains("<a href=\"index.html?processname"), "{page}");
    }

    #[test]
    fn foreign_text_stays_text() {
        let evil = "<script>alert(1)</script>\"'&\u{1b}[31m";
        let snapshot = Snapshot {
            identifier: evil.to_owned(),
            ..snapshot(&[(evil, evil, evil, evil), ("g", "b", "FATAL", evil)])
        };
        for style in [ActionStyle::Buttons, ActionStyle::Links] {
            let page = status_page(&snapshot, &StatusView { message: Some(evil), filter: evil, token: evil, style });
            assert_well_formed(&page);
            assert!(!page.contains("<script>") && !page.contains('\u{1b}'), "{page}");
        }
    }

    #[test]
    fn the_filter_hides_rows() {
        let snapshot = snapshot(&[("a", "a", "RUNNING", ""), ("b", "b", "FATAL", "")]);
        let page = status_page(&snapshot, &StatusView { filter: "fatal", ..VIEW });
        assert!(page.contains("data-name=\"a\" data-state=\"running\" hidden=\"hidden\">"), "{page}");
        assert!(page.contains("data-name=\"b\" data-state=\"fatal\">"), "{page}");
        assert!(status_page(&snapshot, &StatusView { filter: "zzz", ..VIEW }).contains("id=\"nothing\">"));
    }
}

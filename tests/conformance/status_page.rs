//! The status page: what scrapers and links of Supervisor's page rely on.
//!
//! Both sides have `get_actions=true`, which the original does not know: with it links act as they do there.

use crate::daemon::Daemon;
use crate::subject::Subject;
use crate::transcript::Transcript;

daemons![
    the_status_page_has_supervisors_table,
    the_status_page_without_programs_says_so,
    actions_by_link_have_supervisors_texts,
    the_end_of_a_log_is_a_page,
    files_and_folders_have_their_answers,
];

ours_alone![
    links_act_only_where_the_configuration_says_so,
    a_restart_that_failed_is_told,
    an_open_port_without_a_password_is_refused,
    head_of_a_page_is_that_of_get,
    an_empty_form_is_answered,
];

const PROGRAMS: &str = "[program:cat]\ncommand=/bin/cat\nstartsecs=0\nstdout_logfile=%(here)s/cat.log\n\
    [program:off]\ncommand=/bin/cat\nautostart=false\nstartsecs=0\nstdout_logfile=NONE\n\
    [program:bad]\ncommand=/bin/false\nstartretries=0\n\
    [program:gone]\ncommand=/no/such/program\nautostart=false\n\
    [program:web]\ncommand=/bin/cat\nstartsecs=0\n[group:galaxy]\nprograms=web\n";

fn daemon(subject: Subject, sections: &str) -> Daemon {
    Daemon::start_with(subject, "", "get_actions=true", sections)
}

/// The whole answer to a GET.
fn get(daemon: &Daemon, path: &str) -> String {
    daemon.http(&format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")).unwrap()
}

fn status(answer: &str) -> &str {
    answer.lines().next().unwrap_or_default().split_once(' ').map_or("", |(_, rest)| rest)
}

fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or("none")
}

/// What stands between the first `before` and the next `after`.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(inside, _)| inside)
}

/// A row's cells as one line: class, state, description, link, and each action with its link.
fn row(row: &str) -> String {
    let state = between(row, "<td class=\"status\"><span class=\"", "</span>").unwrap().replace("\">", " ");
    let description = between(row, "<td><span>", "</span>").unwrap();
    let name = between(row, "<td><a href=\"", "</a>").unwrap();
    let actions = between(row, "<ul>", "</ul>").unwrap();
    let links: Vec<&str> = actions.split("<a ").skip(1).map(|link| link.split("</a>").next().unwrap()).collect();
    format!("{state} | {description} | {name} | {}", links.join(" | "))
}

/// The rows of the page's table.
fn rows(page: &str) -> Vec<String> {
    let body = between(page, "<tbody>", "</tbody>").unwrap();
    body.split("<tr").skip(1).map(row).collect()
}

fn the_status_page_has_supervisors_table(subject: Subject) {
    let daemon = daemon(subject, PROGRAMS);
    daemon.wait_running(&["cat", "galaxy:web"]);
    daemon.wait_state("bad", "FATAL");
    let mut transcript = Transcript::of(&daemon);
    for path in ["/", "/index.html", "//index.html"] {
        let page = get(&daemon, path);
        transcript.note(format!("{path}: {}, {}", status(&page), header(&page, "Content-Type")));
        transcript.note(format!(
            "{}, {}, {}",
            header(&page, "Pragma"),
            header(&page, "Cache-Control"),
            header(&page, "Expires")
        ));
        transcript.note(between(&page, "<title>", "</title>").unwrap());
        transcript.note(between(&page, "<th", "</thead>").unwrap().split_whitespace().collect::<Vec<_>>().join(" "));
        transcript.note(rows(&page).join("\n"));
        let foot = page.split("id=\"footer\"").nth(1).unwrap();
        transcript.note(between(foot, "<span>", "</span>").unwrap());
    }
    let page = get(&daemon, "/?message=%3Cb%3E%26x");
    transcript.note(between(&page, "<div class=\"status_msg\"", "</div>").unwrap().rsplit_once("\">").map_or_else(
        || between(&page, "<div class=\"status_msg\"", "</div>").unwrap().trim_start_matches('>').replace('>', "&gt;"),
        |(_, text)| text.replace('>', "&gt;"),
    ));
    for link in ["refresh", "restartall", "stopall"] {
        let link = format!("<a href=\"index.html?action={link}\">");
        transcript.note(format!("{link}{}", between(&page, &link, "</a>").unwrap()));
    }
    transcript.check("status_page");
}

fn the_status_page_without_programs_says_so(subject: Subject) {
    let daemon = daemon(subject, "");
    let page = get(&daemon, "/");
    assert!(page.contains("No programs to manage") && !page.contains("<table"), "{page}");
}

fn actions_by_link_have_supervisors_texts(subject: Subject) {
    let daemon = daemon(subject, PROGRAMS);
    daemon.wait_running(&["cat", "galaxy:web"]);
    daemon.wait_state("bad", "FATAL");
    let mut transcript = Transcript::of(&daemon);
    for query in [
        "action=refresh",
        "processname=cat&action=start",
        "processname=cat&action=stop",
        "processname=cat&action=stop",
        "processname=cat&action=start",
        "processname=cat&action=restart",
        "processname=cat&action=clearlog",
        "processname=galaxy:web&action=restart",
        "processname=galaxy%3Aweb&action=stop",
        "processname=galaxy:*&action=stop",
        "processname=galaxy&action=start",
        "processname=nobody&action=start",
        "processname=bad&action=start",
        "processname=gone&action=start",
        "processname=off&action=restart",
        "processname=off&action=foo",
        "action=start",
        "action=foo",
        "processname=off",
        "action=restartall",
        "action=stopall",
    ] {
        let answer = get(&daemon, &format!("/index.html?{query}"));
        transcript.note(format!("{query}: {}\n    {}", status(&answer), dateless(header(&answer, "Location"))));
    }
    // As a form.
    let form = "processname=off&action=start";
    let request = format!("POST / HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{form}", form.len());
    let answer = daemon.http(&request).unwrap();
    transcript.note(format!("POST {form}: {}\n    {}", status(&answer), header(&answer, "Location")));
    transcript.check("status_page_actions");
}

/// The text with a quoted `ctime` taken out.
fn dateless(location: &str) -> String {
    location.split_once("%20at%20").map_or_else(|| location.to_owned(), |(text, _)| format!("{text}%20at%20CTIME"))
}

fn the_end_of_a_log_is_a_page(subject: Subject) {
    let daemon = daemon(subject, PROGRAMS);
    daemon.wait_running(&["cat", "galaxy:web"]);
    let text = format!("first\n{}\n<b>\"x\"&y</b>\n", "z".repeat(1500));
    std::fs::write(daemon.path("cat.log"), text).unwrap();
    let mut transcript = Transcript::of(&daemon);
    for query in [
        "",
        "?processname=",
        "?processname=cat",
        "?processname=cat&limit=5",
        "?processname=cat&limit=1400",
        "?processname=cat&limit=5000",
        "?processname=cat&limit=x",
        "?processname=nobody",
        "?processname=off",
        "?processname=galaxy:web",
        "?processname=%3Cb%3E",
    ] {
        let page = get(&daemon, &format!("/tail.html{query}"));
        transcript.note(format!("{query}: {}", status(&page)));
        // Quotes may or may not be references; `>` may or may not be one.
        let plain = page.replace("&quot;", "\"").replace("&gt;", ">");
        transcript.note(between(&plain, "<title>", "</title>").unwrap());
        let pre = plain.split("<pre").nth(1).unwrap().split("</pre>").next().unwrap();
        transcript.note(pre.split_once('>').unwrap().1.trim_start_matches('\n'));
        let refresh = plain.split("<a href=\"tail.html?").nth(1).and_then(|rest| rest.split('"').next());
        transcript.note(format!("refresh: {}", refresh.unwrap_or("none")));
    }
    transcript.check("tail_page");
}

fn files_and_folders_have_their_answers(subject: Subject) {
    let daemon = daemon(subject, "");
    let mut transcript = Transcript::of(&daemon);
    for request in [
        "GET /ok.html",
        "GET /%6fk.html",
        "PUT /",
        "PUT /ok.html",
        "HEAD /stylesheets/supervisor.css",
        "HEAD /images/icon.png",
        "GET /stylesheets",
        "GET /images",
        "GET /stylesheets/",
        "GET /images/nope.png",
        "POST /stylesheets/supervisor.css",
        "GET /ok.htm",
    ] {
        let answer =
            daemon.http(&format!("{request} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")).unwrap();
        transcript.note(format!(
            "{request}: {}, {}, {}",
            status(&answer),
            header(&answer, "Content-Type"),
            // The original's name for itself is no host.
            header(&answer, "Location")
                .rsplit_once("localhost")
                .or(header(&answer, "Location").rsplit_once('>'))
                .map_or("none", |(_, path)| path)
        ));
    }
    let since = "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT";
    for path in ["/stylesheets/supervisor.css", "/images/icon.png"] {
        let answer = daemon.http(&format!("GET {path} HTTP/1.0\r\n{since}\r\n\r\n")).unwrap();
        transcript.note(format!("{path}: {}", status(&answer)));
    }
    transcript.check("status_page_files");
}

fn links_act_only_where_the_configuration_says_so(subject: Subject) {
    let daemon = Daemon::start(subject, PROGRAMS);
    daemon.wait_running(&["cat"]);
    let answer = get(&daemon, "/index.html?processname=cat&action=stop");
    assert_eq!(status(&answer), "405 Method Not Allowed");
    assert_eq!(daemon.info("cat", "statename").unwrap(), "RUNNING");
    // The page that says so has the button.
    let token = between(&answer, "name=\"token\" value=\"", "\"").unwrap();
    let form = format!("token={token}");
    let request = format!(
        "POST /index.html?processname=cat&action=stop HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let answer = daemon.http(&request).unwrap();
    assert_eq!(header(&answer, "Location"), "./?message=Process%20cat%20stopped");
    assert_eq!(daemon.info("cat", "statename").unwrap(), "STOPPED");
    let audit = daemon.log_lines(&["audit: supervisor.stopProcess cat by uid "]);
    assert_eq!(audit.len(), 1, "{audit:?}");
}

fn a_restart_that_failed_is_told(subject: Subject) {
    let daemon = daemon(subject, PROGRAMS);
    let answer = get(&daemon, "/index.html?processname=gone&action=restart");
    let place = "http://localhost/?message=ERROR%3A%20Process%20gone%3A%20no%20such%20file";
    assert_eq!(header(&answer, "Location"), place);
}

fn an_open_port_without_a_password_is_refused(subject: Subject) {
    let refused = "[supervisord]\n[inet_http_server]\nport=*:9001\n";
    let daemon = Daemon::folder_raw(subject, refused);
    let outcome = daemon.refusal(&daemon.path("supervisord.conf")).unwrap();
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("no password: whoever reaches * would control the programs"), "{outcome:?}");
}

fn head_of_a_page_is_that_of_get(subject: Subject) {
    let daemon = daemon(subject, "");
    for path in ["/", "/tail.html"] {
        let answer = daemon.http(&format!("HEAD {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")).unwrap();
        assert_eq!((status(&answer), header(&answer, "Content-Type")), ("200 OK", "text/html;charset=utf-8"));
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

fn an_empty_form_is_answered(subject: Subject) {
    let daemon = daemon(subject, "");
    let answer = daemon.http("POST /ok.html HTTP/1.0\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert!(answer.ends_with("\r\n\r\nOK"), "{answer}");
}

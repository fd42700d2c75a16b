//! What a person does on the page, and what she must never see.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::json;

use crate::browser::Browser;
use crate::daemon::Daemon;

/// The state that the row of this process shows, as an expression.
fn state(process: &str) -> String {
    format!(
        "[...document.querySelectorAll('tbody tr')].find(r => r.cells[2].textContent === {process:?}).cells[0].textContent"
    )
}

/// A control in the row of a process, as a selector.
fn control(process: &str, name: &str) -> String {
    format!("tr[data-name='{process}'] [name='{name}']")
}

fn message() -> &'static str {
    "document.querySelector('#content > [role=status]').textContent"
}

/// The names of the rows that are to be seen.
const SHOWN: &str =
    "[...document.querySelectorAll('tbody tr')].filter(r => r.offsetHeight > 0).map(r => r.dataset.name)";

const OVERFLOW: &str = "document.documentElement.scrollWidth - innerWidth";

/// A browser and the daemon that it is to show; `None` without a browser.
fn begin(daemon: fn() -> Daemon) -> Option<(Daemon, Browser)> {
    let browser = Browser::start()?;
    Some((daemon(), browser))
}

fn assert_no_complaints(browser: &mut Browser) {
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn the_page_is_live_and_its_buttons_act_without_leaving_it() {
    let Some((daemon, mut browser)) = begin(Daemon::start) else { return };
    browser.open(&daemon.url("/"));
    browser.eval("window.same = true");
    browser.wait("document.getElementById('live').textContent === 'live'");
    browser.screenshot("status-light");
    browser.colours("dark");
    browser.screenshot("status-dark");
    browser.colours("light");
    browser.size(390, 844);
    browser.screenshot("status-phone");
    browser.size(1280, 800);
    // Someone else stops a process.
    daemon.call("supervisor.stopProcess", "galaxy:celery");
    browser.wait(&format!("{} === 'stopped'", state("galaxy:celery")));
    browser.wait("document.querySelector('#groups span').textContent === '4 of 6 running'");
    // Descriptions go on, too.
    let uptime = browser.eval("document.querySelector('tr[data-state=running]').cells[1].textContent");
    browser.wait(&format!("document.querySelector('tr[data-state=running]').cells[1].textContent !== {uptime}"));
    browser.click(&control("galaxy:celery", "Start"));
    browser.wait(&format!("{} === 'running'", state("galaxy:celery")));
    browser.wait(&format!("{} === 'Process galaxy:celery started'", message()));
    browser.click(&control("galaxy:celery", "Stop"));
    browser.wait(&format!("{} === 'stopped'", state("galaxy:celery")));
    let before = browser.eval("document.querySelector(\"tr[data-name='galaxy:gunicorn']\").cells[1].textContent");
    browser.click(&control("galaxy:gunicorn", "Restart"));
    browser.wait(&format!("{} === 'Process galaxy:gunicorn restarted'", message()));
    browser.wait(&format!(
        "document.querySelector(\"tr[data-name='galaxy:gunicorn']\").cells[1].textContent !== {before}"
    ));
    browser.click(&control("reports", "Start"));
    browser.wait(&format!("{} === 'ERROR: Process reports: spawn error'", message()));
    browser.wait("document.querySelector('.status_msg.failed') !== null");
    // A whole group wants a second click.
    browser.click("#groups [aria-label='Stop group galaxy']");
    browser.wait("document.querySelector('#groups .sure').textContent === 'Stop?'");
    browser.click("#groups .sure");
    browser.wait(&format!("{} === 'Group galaxy stopped'", message()));
    browser.wait("document.querySelector('#groups span').textContent === '0 of 6 running'");
    browser.click("#groups [aria-label='Start group galaxy']");
    browser.wait("document.querySelector('#groups span').textContent === '6 of 6 running'");
    assert_eq!(browser.eval("window.same"), json!(true), "the page was loaded again");
    assert_no_complaints(&mut browser);
    let log = daemon.log();
    for audit in [
        "audit: supervisor.startProcess galaxy:celery by 127.0.0.1:",
        "audit: supervisor.stopProcessGroup galaxy by 127.0.0.1:",
    ] {
        assert!(log.contains(audit), "{log}");
    }
}

#[test]
fn the_filter_hides_what_does_not_match_and_stays() {
    let Some((daemon, mut browser)) = begin(Daemon::start) else { return };
    browser.open(&daemon.url("/"));
    browser.wait("document.getElementById('live').textContent === 'live'");
    browser.click("#filter input");
    browser.type_text("galaxy handler");
    let handlers = json!(["galaxy:handler_0", "galaxy:handler_1", "galaxy:handler_2"]);
    browser.wait(&format!("JSON.stringify({SHOWN}) === '{handlers}'"));
    // It survives a change of the table and a reload.
    daemon.call("supervisor.stopProcess", "galaxy:handler_1");
    browser.wait(&format!("{} === 'stopped'", state("galaxy:handler_1")));
    assert_eq!(browser.eval(SHOWN), handlers);
    browser.eval("location.reload()");
    browser.wait(
        "document.readyState === 'complete' && document.querySelector('#filter input').value === 'galaxy handler'",
    );
    browser.wait(&format!("JSON.stringify({SHOWN}) === '{handlers}'"));
    browser.eval("document.querySelector('#filter input').value = ''");
    browser.click("#summary [data-state=fatal] a");
    browser.wait(&format!("JSON.stringify({SHOWN}) === '[\"reports\"]'"));
    browser.click("#filter input");
    browser.type_text("zzz");
    browser.wait("document.getElementById('nothing').offsetHeight > 0");
    assert_no_complaints(&mut browser);
}

#[test]
fn what_programs_print_and_are_named_is_text() {
    let Some((daemon, mut browser)) = begin(Daemon::start_nasty) else { return };
    browser.open(&daemon.url("/?message=%3Cscript%3Ewindow.hacked=3%3C/script%3E"));
    browser.wait("document.getElementById('live').textContent === 'live'");
    let evil = "<script>alert(1)<b&'>";
    assert_eq!(browser.eval(&state(evil)), json!("running"));
    assert_eq!(browser.eval(message()), json!("<script>window.hacked=3</script>"));
    // Its buttons work all the same, and the renewed rows are text again.
    daemon.call("supervisor.stopProcess", &evil.replace('&', "&amp;").replace('<', "&lt;"));
    browser.wait(&format!("{} === 'stopped'", state(evil)));
    browser.click("tr[data-name^='<script'] [name=Start]");
    browser.wait(&format!("{} === 'running'", state(evil)));
    browser.open(&daemon.url("/tail.html?processname=nasty"));
    let text = "document.getElementById('tail').textContent";
    browser.wait(&format!("{text}.includes('<script>window.hacked = 1</script>')"));
    browser.wait(&format!("{text}.includes('\u{241b}[31mred\u{241b}[0m \u{241b}]0;title\u{2407}')"));
    browser.eval("window.same = true");
    daemon.say("live, too: &lt;b&gt;");
    daemon.say("and more");
    browser.wait(&format!("{text}.includes('and more')"));
    assert_eq!(browser.eval("window.same"), json!(true), "the page was loaded again");
    assert_eq!(browser.eval("document.querySelectorAll('#tail *').length"), json!(0));
    assert_eq!(browser.eval("window.hacked === undefined"), json!(true));
    browser.screenshot("tail-light");
    assert_no_complaints(&mut browser);
    // The policy holds even if something slips through.
    browser.eval(
        "document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.hacked = 4' }))",
    );
    assert_eq!(browser.eval("window.hacked === undefined"), json!(true));
    let complaints = browser.complaints().join("\n");
    assert!(complaints.contains("Content Security Policy"), "{complaints}");
}

#[test]
fn a_phone_shows_everything_without_scrolling_sideways() {
    let Some((daemon, mut browser)) = begin(Daemon::start_nasty) else { return };
    browser.size(390, 844);
    browser.open(&daemon.url("/"));
    browser.wait("document.getElementById('live').textContent === 'live'");
    assert_eq!(browser.eval(OVERFLOW), json!(0));
    browser.screenshot("names-phone");
    browser.eval("document.querySelector('tbody').scrollIntoView()");
    browser.screenshot("names-phone-table");
    browser.colours("dark");
    browser.screenshot("names-phone-table-dark");
    browser.click(&control("galaxy:celery", "Stop"));
    browser.wait(&format!("{} === 'stopped'", state("galaxy:celery")));
    browser.open(&daemon.url("/tail.html?processname=nasty"));
    daemon.say(&"wide".repeat(100));
    browser.wait("document.getElementById('tail').textContent.includes('widewide')");
    assert_eq!(browser.eval(OVERFLOW), json!(0));
    browser.screenshot("tail-phone-dark");
    browser.open(&daemon.url("/index.html?processname=nasty&action=stop"));
    assert_eq!(browser.eval(OVERFLOW), json!(0));
    browser.screenshot("refusal-phone-dark");
    let complaints = browser.complaints();
    // The page that asks for one more click is a 405, which the console mentions.
    assert!(complaints.iter().all(|line| line.contains("405")), "{complaints:#?}");
}

#[test]
fn without_javascript_forms_and_links_do_the_same() {
    let Some((daemon, mut browser)) = begin(Daemon::start_nasty) else { return };
    browser.without_javascript();
    browser.open(&daemon.url("/"));
    assert_eq!(browser.eval("document.getElementById('live').offsetHeight"), json!(0));
    browser.click(&control("galaxy:celery", "Stop"));
    browser.wait(&format!("location.search !== '' && {} === 'stopped'", state("galaxy:celery")));
    assert_eq!(browser.eval(message()), json!("Process galaxy:celery stopped"));
    browser.click("#groups [aria-label='Start group galaxy']");
    browser.wait("document.querySelector('#groups span').textContent === '6 of 6 running'");
    browser.click("#filter input");
    browser.type_text("reports");
    browser.click("#filter button");
    browser.wait(&format!("location.search === '?filter=reports' && JSON.stringify({SHOWN}) === '[\"reports\"]'"));
    browser.screenshot("without-javascript");
    browser.click(&control("reports", "Start"));
    browser.wait(&format!("{} === 'ERROR: Process reports: spawn error'", message()));
    assert_eq!(browser.eval(SHOWN), json!(["reports"]), "the filter stays");
    browser.click(".action-button a");
    browser.wait(&format!("{}.startsWith('Page refreshed at ')", message()));
    // An old link asks for one more click.
    browser.open(&daemon.url("/index.html?processname=nasty&action=stop"));
    browser.click(".notice button");
    browser.wait(&format!("document.querySelector('tbody') !== null && {} === 'stopped'", state("nasty")));
    browser.open(&daemon.url("/tail.html?processname=nasty"));
    browser.wait("document.getElementById('tail').textContent.includes('<script>')");
}

/// A proxy that does not pass the name on, as nginx without `proxy_set_header Host`.
fn proxy(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || relay(client, own, port));
        }
    });
    own
}

/// One request, with the daemon's address in the place of the proxy's, and its answer.
fn relay(mut client: TcpStream, own: u16, port: u16) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    let is_whole = |request: &[u8]| {
        let text = String::from_utf8_lossy(request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        body.len() >= length.map_or(0, |length| length.parse().unwrap())
    };
    while !is_whole(&request) {
        match client.read(&mut piece) {
            Ok(count) if count > 0 => request.extend_from_slice(&piece[..count]),
            _ => return,
        }
    }
    let request = String::from_utf8(request)
        .unwrap()
        .replace(&format!("Host: localhost:{own}"), &format!("Host: 127.0.0.1:{port}"))
        .replace("Connection: keep-alive", "Connection: close");
    let mut daemon = TcpStream::connect(("127.0.0.1", port)).unwrap();
    daemon.write_all(request.as_bytes()).unwrap();
    let _ = std::io::copy(&mut daemon, &mut client);
}

#[test]
fn behind_a_proxy_that_hides_the_name_the_page_says_what_to_do() {
    let Some((daemon, mut browser)) = begin(Daemon::start) else { return };
    browser.open(&format!("http://localhost:{}/", proxy(daemon.port)));
    browser.wait("document.getElementById('live').textContent === 'live'");
    browser.click(&control("galaxy:celery", "Stop"));
    browser.wait(&format!("{}.includes('add its name to allowed_hosts')", message()));
    assert!(!daemon.log().contains("audit: "), "{}", daemon.log());
}

//! Python's `xmlrpc.client` over `supervisor.xmlrpc.SupervisorTransport`: every method of the RPC interface, on every
//! kind of server.

use crate::daemon::Daemon;
use crate::script::{free_port, script, succeed};
use crate::subject::{Side, Subject};

daemons![
    every_method_answers_over_a_unix_socket,
    every_method_answers_over_a_unix_socket_with_a_password,
    every_method_answers_over_tcp,
    every_method_answers_over_tcp_with_a_password,
];

const EVERY_METHOD: &str = include_str!("every_method.py");

/// Names and passwords of the servers, with what an Authorization header must not stumble over.
const CREDENTIALS: [&str; 2] = ["galaxy", "s:cret p@ss"];

const SECTIONS: &str = "\
[program:cat]
command = /bin/cat
startsecs = 0
[program:pair]
command = /bin/sh -c 'echo out %(process_num)d; echo err %(process_num)d >&2; exec /bin/cat'
process_name = pair%(process_num)d
numprocs = 2
startsecs = 0
[program:idle]
command = /bin/cat
autostart = false
startsecs = 0
[program:gone]
command = /nonexistent
autostart = false
startretries = 0
";

fn every_method_answers_over_a_unix_socket(subject: Subject) {
    let mut daemon = Daemon::folder(subject, SECTIONS);
    let url = format!("unix://{}", daemon.path("s.sock").display());
    every_method(&mut daemon, &url, &[]);
}

fn every_method_answers_over_a_unix_socket_with_a_password(subject: Subject) {
    let [user, password] = CREDENTIALS;
    let keys = format!("username = {user}\npassword = {password}\n");
    let mut daemon = Daemon::folder_with(subject, "", &keys, SECTIONS);
    let url = format!("unix://{}", daemon.path("s.sock").display());
    every_method(&mut daemon, &url, &CREDENTIALS);
}

fn every_method_answers_over_tcp(subject: Subject) {
    let port = free_port();
    let mut daemon = Daemon::folder(subject, &format!("{SECTIONS}[inet_http_server]\nport = 127.0.0.1:{port}\n"));
    every_method(&mut daemon, &format!("http://127.0.0.1:{port}"), &[]);
}

fn every_method_answers_over_tcp_with_a_password(subject: Subject) {
    let port = free_port();
    let [user, password] = CREDENTIALS;
    let server = format!("[inet_http_server]\nport = 127.0.0.1:{port}\nusername = {user}\npassword = {password}\n");
    let mut daemon = Daemon::folder(subject, &format!("{SECTIONS}{server}"));
    every_method(&mut daemon, &format!("http://127.0.0.1:{port}"), &CREDENTIALS);
}

/// Starts the daemon; the script waits for its answer and ends it.
fn every_method(daemon: &mut Daemon, url: &str, credentials: &[&str]) {
    daemon.launch();
    let mut command = script(daemon, &Side::Original.bin().join("python"), "every_method.py", EVERY_METHOD);
    command.arg(daemon.path("supervisord.conf")).arg(url).args(credentials);
    succeed(daemon, &mut command);
    assert_eq!(daemon.wait_end().code(), Some(0));
    daemon.wait_nothing_left();
}

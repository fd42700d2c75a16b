//! The npm package `supervisord`: all of its methods.

use std::path::Path;

use crate::daemon::Daemon;
use crate::parcels::{node_client, or_told};
use crate::script::{free_port, script, succeed};
use crate::subject::Subject;

daemons![the_npm_client_speaks_over_a_unix_socket, the_npm_client_speaks_over_tcp_with_a_password];

const CLIENT: &str = include_str!("client.js");

const SECTIONS: &str = "\
[program:cat]
command = /bin/cat
startsecs = 0
[program:idle]
command = /bin/cat
autostart = false
startsecs = 0
";

fn the_npm_client_speaks_over_a_unix_socket(subject: Subject) {
    let mut daemon = Daemon::folder(subject, SECTIONS);
    let host = format!("unix://{}", daemon.path("s.sock").display());
    every_method(&mut daemon, &host);
}

fn the_npm_client_speaks_over_tcp_with_a_password(subject: Subject) {
    let port = free_port();
    let server = format!("[inet_http_server]\nport = 127.0.0.1:{port}\nusername = galaxy\npassword = secret\n");
    let mut daemon = Daemon::folder(subject, &format!("{SECTIONS}{server}"));
    every_method(&mut daemon, &format!("http://galaxy:secret@127.0.0.1:{port}"));
}

fn every_method(daemon: &mut Daemon, host: &str) {
    let Some(client) = or_told(node_client()) else { return };
    daemon.launch();
    let mut command = script(daemon, Path::new("node"), "client.js", CLIENT);
    // The tests' own PATH may be what finds node.
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.arg(client.join("node_modules")).arg(daemon.path("supervisord.conf")).arg(host);
    succeed(daemon, &mut command);
    assert_eq!(daemon.wait_end().code(), Some(0));
}

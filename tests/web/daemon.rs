//! A daemon with something to show on a port of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::wait::until;

/// What a program prints that would like to be a page and a terminal.
const NASTY: &str = "printf '<script>window.hacked = 1</script>\\n\\033[31mred\\033[0m \\033]0;title\\007\\n<img src=x onerror=\"window.hacked=2\">\\n'\nexec cat\n";

const SECTIONS: &str = "\
[program:gunicorn]
command = /bin/cat
startsecs = 0
[program:handler]
command = /bin/cat
process_name = handler_%(process_num)d
numprocs = 3
startsecs = 0
[program:celery]
command = /bin/cat
startsecs = 0
[program:tusd]
command = /bin/cat
autostart = false
startsecs = 0
[group:galaxy]
programs = gunicorn,handler,celery,tusd
[program:reports]
command = /bin/false
startretries = 0
";

/// Names and output that are hard to show.
const NASTY_SECTIONS: &str = "\
[program:nasty]
command = /bin/sh %(here)s/nasty.sh
startsecs = 0
[program:<script>alert(1)<b&'>]
command = /bin/cat
startsecs = 0
stdout_logfile = NONE
stderr_logfile = NONE
[program:a-program-with-a-name-that-is-much-longer-than-any-telephone-is-wide]
command = /bin/cat
startsecs = 0
";

pub(crate) struct Daemon {
    child: Child,
    pub(crate) port: u16,
    folder: TempDir,
}

impl Daemon {
    /// With a deployment as there are many.
    pub(crate) fn start() -> Daemon {
        Daemon::start_with("", 5)
    }

    /// With programs beside it whose names and output are no pleasure to show.
    pub(crate) fn start_nasty() -> Daemon {
        Daemon::start_with(NASTY_SECTIONS, 8)
    }

    fn start_with(more: &str, running: usize) -> Daemon {
        let folder = tempfile::Builder::new().prefix("web").tempdir().unwrap();
        // A port that was free a moment ago; the kernel gives it out last.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        fs::write(folder.path().join("nasty.sh"), NASTY).unwrap();
        let head = format!(
            "[supervisord]\nidentifier = usegalaxy.example\nlogfile = %(here)s/main.log\npidfile = %(here)s/main.pid\n\
             childlogdir = %(here)s\n[inet_http_server]\nport = 127.0.0.1:{port}\n[rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
        );
        fs::write(folder.path().join("supervisord.conf"), format!("{head}{SECTIONS}{more}")).unwrap();
        let output = fs::File::create(folder.path().join("out")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_galaxyd"))
            .args(["-n", "-c"])
            .arg(folder.path().join("supervisord.conf"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let mut daemon = Daemon { child, port, folder };
        until("the daemon", || daemon.settled(running));
        daemon
    }

    /// Whether so many run and `reports` has failed.
    fn settled(&mut self, wanted: usize) -> Result<(), String> {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("{status}: {}", fs::read_to_string(self.folder.path().join("out")).unwrap());
        }
        let live = self.http("GET /live.json HTTP/1.0\r\n\r\n").map_err(|error| error.to_string())?;
        let running = live.matches("\"running\"").count();
        if running == wanted && live.contains("\"fatal\"") { Ok(()) } else { Err(live) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn http(&self, request: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Calls a method with one text, as any other client would.
    pub(crate) fn call(&self, method: &str, name: &str) {
        let body = format!(
            "<methodCall><methodName>{method}</methodName><params><param><value>{name}</value></param></params></methodCall>"
        );
        let request = format!("POST /RPC2 HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let answer = self.http(&request).unwrap();
        assert!(answer.contains("<params>"), "{answer}");
    }

    /// Adds to the log of the process `nasty`.
    pub(crate) fn say(&self, line: &str) {
        let body = format!(
            "<methodCall><methodName>supervisor.sendProcessStdin</methodName><params><param><value>nasty</value></param>\
             <param><value>{line}\n</value></param></params></methodCall>"
        );
        let request = format!("POST /RPC2 HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        assert!(self.http(&request).unwrap().contains("<boolean>1"));
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("main.log")).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        // It takes its programs with it.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let begin = std::time::Instant::now();
        while self.child.try_wait().unwrap().is_none() && begin.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

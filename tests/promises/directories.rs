//! `make_directories`: what is missing is made before it is needed.

use std::fs;

use crate::household::galaxyd;
use crate::wait::until_true;

#[test]
fn missing_directories_are_made_before_the_logs_are_opened() {
    let program =
        "[program:p]\ncommand=/bin/echo hello\nstartsecs=0\nautorestart=false\nstdout_logfile=%(here)s/a/b/p.log\n";
    let daemon = galaxyd("make_directories=%(here)s/a/b,%(here)s/c\nhistory_file=%(here)s/c/history\n", program);
    let log = daemon.path("a/b/p.log");
    until_true("the program's log", || fs::read_to_string(&log).is_ok_and(|text| text == "hello\n"));
    assert!(daemon.path("c/history").exists());
}

//! Handlers of a galaxy.yml are scaled by the file that their entry names.

use std::fs;
use std::path::Path;

use crate::daemon::{Checkout, Running};
use crate::galaxy_database::GalaxyDatabase;

/// A handler that stays, and a Python for whoever else wants one.
const PYTHON: &str = "#!/bin/sh\ncase $1 in ./scripts/galaxy-main) exec sleep 1000;; esac\nexec python3 \"$@\"\n";

/// `KEYS` are those of the handlers.
const GALAXY_YML: &str = "gravity:\n  virtualenv: VENV\n  gunicorn: {enable: false}\n  celery: {enable: false, enable_beat: false}\n  \
    handlers:\n    handler:\n      processes: 1\n      start_timeout: 0\nKEYSgalaxy:\n  database_connection: DATABASE\n  \
    job_config: {runners: {local: {load: 'galaxy.jobs.runners.local:LocalJobRunner'}}, handling: {assign: [db-skip-locked]}}\n";

fn write(checkout: &Checkout, database: &GalaxyDatabase, keys: &str) {
    checkout.write(&GALAXY_YML.replace("KEYS", keys).replace("DATABASE", &database.url()));
}

fn is_refused(checkout: &Checkout, words: &[&str], wanted: &str) {
    let output = checkout.ctl(words);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(1) && told.contains(wanted), "{words:?}: {wanted}: {output:?}");
}

fn is_done(checkout: &Checkout, words: &[&str]) {
    let output = checkout.ctl(words);
    assert!(output.status.success(), "{words:?}: {output:?}");
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn handlers_of_a_galaxy_yml_are_scaled_by_the_file_that_they_name() {
    let checkout = Checkout::new("");
    fs::write(checkout.path("venv/bin/python"), PYTHON).unwrap();
    let database = GalaxyDatabase::sqlite(&checkout.path(""));
    write(&checkout, &database, "");
    let _daemon = Running::start(&checkout);
    checkout.until_all_run(&["handler"]);
    is_refused(&checkout, &["scale", "handler", "2"], "add `processes_file: /var/lib/galaxyd/handler.processes` to it");
    is_refused(&checkout, &["scale", "handler", "2"], "config/galaxy.yml:7) and update; galaxy.yml is not edited");
    is_refused(&checkout, &["scale", "hander", "2"], "hander is no entry of handlers: in ");

    // Where the number may change, the name of one alone has a number, too, so that the next one changes nothing for it.
    write(&checkout, &database, "      processes_file: handler.processes\n");
    is_done(&checkout, &["update"]);
    checkout.until_all_run(&["handler:handler_0"]);
    let pid = checkout.pid("handler:handler_0");
    is_done(&checkout, &["scale", "handler", "3"]);
    checkout.until_all_run(&["handler:handler_0", "handler:handler_1", "handler:handler_2"]);
    let file = checkout.path("handler.processes");
    assert_eq!((text(&file).as_str(), checkout.pid("handler:handler_0")), ("3\n", pid.clone()));
    assert!(checkout.told(&["check"]).contains("says 3 processes, which stands over processes=1"));
    let again = checkout.told(&["scale", "handler", "3"]);
    assert!(again.contains("handler has 3 processes already"), "{again}");

    database.job(17, "handler_2", "new", "");
    is_refused(&checkout, &["scale", "--deadline=100ms", "handler", "2"], "17 (cat1) belongs to it");
    assert_eq!(text(&file), "3\n");
    database.sql("UPDATE job SET state = 'ok' WHERE id = 17");
    is_done(&checkout, &["scale", "handler", "1"]);
    checkout.until_all_run(&["handler:handler_0"]);
    assert_eq!((text(&file).as_str(), checkout.pid("handler:handler_0")), ("1\n", pid));

    fs::write(&file, "many\n").unwrap();
    let told = checkout.told(&["update"]);
    assert!(told.contains("gravity.handlers.handler") && told.contains("says no number of processes"), "{told}");
    checkout.until_all_run(&["handler:handler_0"]);
}

//! One server whose socket the daemon has: a successor begins beside it.

use crate::site::{self, Site};

const GUNICORN: (&str, &str, &str) =
    ("gunicorn", site::GUNICORN, "BIN/gunicorn --no-control-socket --threads 2 --graceful-timeout 30 app:application");

const UWSGI: (&str, &str, &str) = (
    "uwsgi",
    "uwsgi==2.0.31",
    "BIN/uwsgi --master --enable-threads --processes 2 --need-app --protocol http --pythonpath %(here)s \
     --module app:application --die-on-term --hook-master-start \"unix_signal:15 gracefully_kill_them_all\"",
);

/// It tells of itself alone when it is ready: by its log.
fn start((server, requirement, command): (&str, &str, &str)) -> Option<Site> {
    let section = format!(
        "[program:web]\ncommand={command}\ndirectory=%(here)s\nsocket=tcp:127.0.0.1:PORT0\nready=log:application loaded\n\
         ready_interval=100ms\nready_timeout=30\nstartsecs=1\nstopwaitsecs=40\nkillasgroup=true\nredirect_stderr=true\n\
         rollout_front=http://127.0.0.1:PORT0/\n"
    );
    Site::start(server, requirement, &[], &section)
}

/// A new version takes over, a broken one does not, and nobody notices either.
fn overlaps(server: (&str, &str, &str)) {
    let Some(site) = start(server) else { return };
    let former = site.daemon.process_pid("web");
    site.deploy("two");
    let (said, code, failed) = site.under_load(1, &["graceful", "web"]);
    assert_eq!((code, failed), (Some(0), Vec::new()), "{said}");
    assert!(said.contains("web: done by overlap in "), "{said}");
    assert!(said.contains("Rolled 1 of 1 in ") && said.contains(", 0 of "), "{said}");
    site.wait_version(1, "two");
    let present = site.daemon.process_pid("web");
    assert_ne!(present, former);

    site.deploy("broken");
    let (said, code, failed) = site.under_load(1, &["graceful", "web"]);
    assert_eq!((code, failed), (Some(1), Vec::new()), "{said}");
    assert!(said.contains("web: failed by overlap in ") && said.contains("Rolled 0 of 1 in "), "{said}");
    assert!(said.contains(", 0 of "), "{said}");
    assert_eq!(site.daemon.process_pid("web"), present);
    site.wait_version(1, "two");
}

#[test]
fn a_gunicorn_is_overlapped_and_a_broken_successor_leaves_it_in_charge() {
    overlaps(GUNICORN);
}

#[test]
fn a_uwsgi_is_overlapped_and_a_broken_successor_leaves_it_in_charge() {
    overlaps(UWSGI);
}

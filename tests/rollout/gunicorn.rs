//! gunicorn: one instance after the other, and by HUP.

use crate::site::{GUNICORN, Site};

#[test]
fn gunicorns_are_rolled_without_a_failed_request() {
    let Some(site) = Site::two_gunicorns("") else { return };
    let pids = ["galaxy:web0", "galaxy:web1"].map(|name| site.daemon.process_pid(name));
    site.deploy("two");
    let (said, code, failed) = site.under_load(2, &["graceful", "galaxy:"]);
    assert_eq!((code, failed), (Some(0), Vec::new()), "{said}");
    assert!(
        said.contains("galaxy:web0: done by rolling in ") && said.contains("galaxy:web1: done by rolling in "),
        "{said}"
    );
    assert!(said.contains("Rolled 2 of 2 in ") && said.contains(" requests failed"), "{said}");
    site.wait_version(2, "two");
    let after = ["galaxy:web0", "galaxy:web1"].map(|name| site.daemon.process_pid(name));
    assert!(pids[0] != after[0] && pids[1] != after[1], "{pids:?} {after:?}");
}

#[test]
fn a_broken_version_stops_the_roll_and_the_other_goes_on_serving() {
    let Some(site) = Site::two_gunicorns("") else { return };
    let pid = site.daemon.process_pid("galaxy:web1");
    site.deploy("broken");
    let (said, code, failed) = site.under_load(2, &["graceful", "galaxy:"]);
    assert_eq!((code, failed), (Some(1), Vec::new()), "{said}");
    assert!(said.contains("galaxy:web0: failed by rolling in "), "{said}");
    assert!(said.contains("galaxy:web1: not reached"), "{said}");
    assert!(said.contains("Rolled 0 of 2 in "), "{said}");
    assert_eq!(site.daemon.process_pid("galaxy:web1"), pid);
    // Nobody else is taken out of service until that is mended.
    let again = site.daemon.ctl(&["restart", "--rolling", "galaxy:web1", "galaxy:web0"]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert_eq!(site.daemon.process_pid("galaxy:web1"), pid, "{again:?}");
    site.deploy("two");
    let mended = site.daemon.ctl(&["graceful", "galaxy:"]);
    assert_eq!(mended.code, Some(0), "{mended:?}");
    site.wait_version(2, "two");
}

#[test]
fn one_gunicorn_replaces_its_workers_at_hup_and_is_told_so_only_where_that_helps() {
    let sections = "[program:web]\ncommand=BIN/gunicorn --no-control-socket --threads 2 --bind 127.0.0.1:PORT0 app:application\ndirectory=%(here)s\n\
                    ready=http://127.0.0.1:PORT0/\nready_interval=100ms\nstopwaitsecs=40\nkillasgroup=true\n\
                    [program:preloaded]\ncommand=BIN/gunicorn --no-control-socket --preload --bind 127.0.0.1:PORT1 app:application\n\
                    directory=%(here)s\nrollout=signal\nready=http://127.0.0.1:PORT1/\n";
    let Some(site) = Site::start("gunicorn", GUNICORN, &[], sections) else { return };
    site.reloads_at_a_signal();
    let refused = site.daemon.ctl(&["graceful", "preloaded"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let why = "does not import the application again at HUP";
    assert!(refused.stdout.contains("[program:preloaded]") && refused.stdout.contains(why), "{refused:?}");
}

//! uWSGI: by HUP, and by a chain reload through its master FIFO.

use crate::site::Site;

const REQUIREMENT: &str = "uwsgi==2.0.31";

const SETTINGS: &str = "\
uwsgi:
  module: app:application
  pythonpath: HERE
  master: true
  enable-threads: true
  processes: 2
  http-socket: 127.0.0.1:PORT0
  stats: HERE/stats.sock
  master-fifo: HERE/master.fifo
  die-on-term: true
";

/// One uWSGI with these settings more, and these keys.
fn one(settings: &str, keys: &str) -> Option<Site> {
    let settings = format!("{SETTINGS}{settings}");
    let sections = format!(
        "[program:web]\ncommand=BIN/uwsgi --yaml %(here)s/galaxy.yml\ndirectory=%(here)s\nstopsignal=INT\nstopwaitsecs=65\n\
         killasgroup=true\nready_interval=100ms\n{keys}"
    );
    Site::start("uwsgi", REQUIREMENT, &[("galaxy.yml", &settings)], &sections)
}

#[test]
fn a_uwsgi_reloads_at_hup_without_a_failed_request() {
    let Some(site) = one("", "ready=uwsgi-stats:%(here)s/stats.sock\n") else { return };
    site.reloads_at_a_signal();
}

#[test]
fn a_chain_reload_replaces_every_worker_and_is_refused_where_it_loads_nothing_new() {
    let keys = "ready=uwsgi-stats:%(here)s/stats.sock\nrollout_fifo=%(here)s/master.fifo:c\n\
                rollout_front=http://127.0.0.1:PORT0/\n";
    let Some(site) = one("  lazy-apps: true\n", keys) else { return };
    site.deploy("two");
    let (said, code, failed) = site.under_load(1, &["graceful", "web"]);
    assert_eq!((code, failed), (Some(0), Vec::new()), "{said}");
    assert!(said.contains("Rolled 1 of 1 in ") && said.contains(", 0 of "), "{said}");
    // All workers are others: nobody answers with the former version.
    site.wait_version(1, "two");

    let settings = site.daemon.text("galaxy.yml").replace("lazy-apps: true", "lazy-apps: false");
    std::fs::write(site.daemon.path("galaxy.yml"), settings).unwrap();
    let refused = site.daemon.ctl(&["graceful", "web"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stdout.contains("without lazy-apps the command c loads no new code"), "{refused:?}");
}

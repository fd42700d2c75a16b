//! Ansible's module `community.general.supervisorctl`, in a play over all of its states.

use crate::daemon::Daemon;
use crate::parcels::{ansible_core, community_general, or_told};
use crate::script::{free_port, script, succeed};
use crate::subject::Subject;

daemons![ansible_manages_programs];

const PLAYBOOK: &str = include_str!("playbook.yml");

const SECTIONS: &str = "\
[program:cat]
command = /bin/cat
startsecs = 0
[program:pair]
command = /bin/cat
process_name = pair%(process_num)d
numprocs = 2
startsecs = 0
[program:catcher]
command = /bin/sh -c 'trap \"echo caught\" USR1; echo ready; while :; do sleep 0.1; done'
stdout_logfile = %(here)s/catcher.log
startsecs = 0
[program:broken]
command = /nonexistent
autostart = false
";

fn ansible_manages_programs(subject: Subject) {
    let (Some(venv), Some(collections)) = (or_told(ansible_core()), or_told(community_general())) else { return };
    let port = free_port();
    let server = format!("[inet_http_server]\nport = 127.0.0.1:{port}\nusername = galaxy\npassword = secret\n");
    let daemon = Daemon::start(subject, &format!("{SECTIONS}{server}"));
    daemon.wait_text("catcher.log", "ready");
    let variables = serde_json::json!({
        "supervisorctl": subject.client.supervisorctl(),
        "configuration": daemon.path("supervisord.conf"),
        "new_section": "[program:web]\ncommand = /bin/cat\nstartsecs = 0",
        "server_url": format!("http://127.0.0.1:{port}"),
        "ansible_python_interpreter": venv.join("bin/python"),
    });
    let mut command = script(&daemon, &venv.join("bin/ansible-playbook"), "playbook.yml", PLAYBOOK);
    command
        .args(["-i", "localhost,", "-e", &variables.to_string()])
        .env("ANSIBLE_COLLECTIONS_PATH", &collections)
        .env("ANSIBLE_NOCOLOR", "1");
    let output = succeed(&daemon, &mut command);
    assert!(output.contains("failed=0") && output.contains("skipped=0"), "{output}");
    daemon.wait_text("catcher.log", "caught");
}

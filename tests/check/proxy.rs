//! Rules that ask the files of the proxy in front, and who is asked in which protocol.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use galaxyd::config::{self, HostSource, Overrides};
use galaxyd::galaxy::{self, Surroundings};

use super::{check, made, shown};

/// The rules that have their samples here.
pub(crate) const CODES: [&str; 2] = ["GX074", "GX075"];

const CONF: &str = "supervisord.conf";

/// An nginx in front of these good deployments.
const FRONTS: [(&str, &str); 3] = [
    (
        "rolling",
        "upstream galaxy {\n    server localhost:8080;\n    server 127.0.0.1:8081;\n}\nserver {\n    location / {\n        proxy_pass http://galaxy;\n    }\n}\n",
    ),
    ("dynamic", "server {\n    location / {\n        proxy_pass http://unix:/srv/galaxy/gunicorn.sock;\n    }\n}\n"),
    (
        "static",
        "server {\n    location / {\n        include uwsgi_params;\n        uwsgi_pass unix:/srv/galaxy/uwsgi.sock;\n    }\n}\n",
    ),
];

fn front_of(base: &str) -> &'static str {
    FRONTS.iter().find(|(name, _)| *name == base).unwrap().1
}

/// What is found of a good deployment behind such a proxy.
fn behind(base: &str, from: &str, to: &str) -> Vec<String> {
    let folder = made(base, &[]);
    let front = front_of(base).replacen(from, to, 1);
    assert!(from.is_empty() || front != front_of(base), "{from:?} is not in it");
    let path = folder.path().join("nginx.conf");
    fs::write(&path, front).unwrap();
    let source = HostSource::new(Vec::new());
    let loaded = config::load(&folder.path().join(CONF), &Overrides::default(), &source);
    let proxy = galaxy::read_proxy(&[path], &source).unwrap();
    let surroundings = Surroundings { proxy: Some(proxy), ..Surroundings::default() };
    let text = folder.path().display().to_string();
    let findings = shown(&galaxy::check_beside(&loaded, &source, &surroundings));
    findings.into_iter().map(|finding| finding.replace(&text, "")).collect()
}

#[test]
fn nothing_is_said_about_a_proxy_that_passes_to_what_listens() {
    for (base, _) in FRONTS {
        assert_eq!(behind(base, "", ""), [""; 0], "{base}");
        // What is another's business, or not known.
        for more in [
            "server { location /grafana { proxy_pass http://localhost:3000; } }",
            "server { location /x { proxy_pass http://$x; } }",
        ] {
            assert_eq!(
                behind(base, "server {\n    location", &format!("{more}\nserver {{\n    location")),
                [""; 0],
                "{base}"
            );
        }
    }
    assert_eq!(
        behind("rolling", "server localhost:8080;", "server galaxy.example.org:8080;"),
        [""; 0],
        "from another host"
    );
}

#[test]
fn a_proxy_that_passes_elsewhere_is_told_with_its_line() {
    for (base, from, to, wanted) in [
        ("rolling", ":8081", ":8082", "GX075 /nginx.conf:3 no program of this configuration listens at 127.0.0.1:8082"),
        (
            "dynamic",
            "gunicorn.sock",
            "galaxy.sock",
            "GX075 /nginx.conf:3 the proxy passes nothing to /srv/galaxy/gunicorn.sock",
        ),
        ("static", "uwsgi.sock", "web.sock", "GX075 /nginx.conf:4 the proxy passes nothing to /srv/galaxy/uwsgi.sock"),
    ] {
        let told = behind(base, from, to);
        assert!(told.iter().any(|one| one.starts_with(wanted)), "{base}: {told:?}");
        assert!(told.iter().all(|one| one.starts_with("GX075")), "{base}: {told:?}");
    }
}

#[test]
fn a_proxy_that_speaks_the_wrong_protocol_is_told() {
    let told =
        behind("static", "uwsgi_pass unix:/srv/galaxy/uwsgi.sock", "proxy_pass http://unix:/srv/galaxy/uwsgi.sock:/");
    assert!(told.len() == 1 && told[0].starts_with("GX074 /nginx.conf:4 proxy_pass speaks HTTP to"), "{told:?}");
    let told = behind("dynamic", "proxy_pass http://unix:", "uwsgi_pass unix:");
    assert!(told.len() == 1 && told[0].starts_with("GX074 /nginx.conf:3 uwsgi_pass speaks"), "{told:?}");
    let folder = made(
        "static",
        &[
            ("galaxy.yml", "socket: /srv/galaxy/uwsgi.sock", "socket: 127.0.0.1:4001"),
            (CONF, "stopsignal = INT", "stopsignal = INT\nready = http://localhost:4001/api/version"),
        ],
    );
    let told = shown(&check(&folder.path().join(CONF)));
    assert!(told.len() == 1 && told[0].starts_with("GX074") && told[0].contains("ready of [program:web]"), "{told:?}");
}

fn galaxyctl(file: &Path, proxies: &[PathBuf]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_galaxyctl"));
    command.arg("check").arg(file).args(proxies.iter().flat_map(|proxy| ["--proxy".into(), proxy.clone()]));
    let output = command.env_clear().env("HOME", "/tmp").env("PATH", "/usr/bin:/bin").output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), told)
}

#[test]
fn check_reads_the_files_that_are_named() {
    let folder = made("rolling", &[]);
    let (conf, front, more) = (folder.path().join(CONF), folder.path().join("a.conf"), folder.path().join("b.conf"));
    fs::write(&front, front_of("rolling")).unwrap();
    fs::write(&more, "upstream other { server localhost:3000; }\n").unwrap();
    let (code, told) = galaxyctl(&conf, &[front.clone(), more.clone()]);
    assert_eq!(code, Some(0), "{told}");
    fs::write(&front, front_of("rolling").replace("8081", "8082")).unwrap();
    let (code, told) = galaxyctl(&conf, &[front, more.clone()]);
    assert!(code == Some(3) && told.contains("warning[GX075]") && told.contains("a.conf:3"), "{told}");
    fs::write(&more, "upstream other {\n").unwrap();
    let (code, told) = galaxyctl(&conf, &[more]);
    assert!(code == Some(2) && told.contains("b.conf:2: a block is not closed"), "{told}");
}

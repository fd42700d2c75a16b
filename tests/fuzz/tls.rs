//! Certificates and keys of an endpoint, in PEM.

use std::fs;

use galaxyd::config::{HostSource, Overrides, load};
use galaxyd::http::check_tls;
use tempfile::tempdir;

use crate::target::Target;

const CERTIFICATE: &[u8] = include_bytes!("../tls/files/first.pem");
const KEY: &[u8] = include_bytes!("../tls/files/first.key");

fn is_usable(certificate: &[u8], key: &[u8]) -> bool {
    let folder = tempdir().unwrap();
    let file = folder.path().join("x.conf");
    let text = "[supervisord]\n[inet_http_server]\nport=1\nusername=u\npassword=p\ntls_certificate=%(here)s/c\ntls_key=%(here)s/k\n";
    for (name, bytes) in [("x.conf", text.as_bytes()), ("c", certificate), ("k", key)] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let config = load(&file, &Overrides::default(), &HostSource::new(Vec::new())).config.unwrap();
    let checked = check_tls(&config.servers[0]);
    if let Err((key, error)) = &checked {
        assert!(key.starts_with("tls_") && !error.to_string().is_empty(), "{key}: {error}");
    }
    checked.is_ok()
}

fn judge(input: &[u8]) {
    assert!(!is_usable(input, input) || (is_usable(input, KEY) && is_usable(CERTIFICATE, input)));
}

fn files() -> Vec<Vec<u8>> {
    vec![CERTIFICATE.to_vec(), KEY.to_vec(), [CERTIFICATE, KEY].concat()]
}

#[test]
fn certificates_and_keys() {
    Target {
        name: "tls",
        words: &[
            b"-----BEGIN CERTIFICATE-----\n",
            b"-----END CERTIFICATE-----\n",
            b"-----BEGIN PRIVATE KEY-----\n",
            b"=",
            b"\n",
        ],
        made: files,
        oracle: judge,
    }
    .feed();
}

//! What is fetched from the package registries: names, versions, and where it lies below the target directory.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::notice::tell;
use crate::venv::{environment, once, run, supervisor_venv};

/// A thing that can be had, or the reason why not.
type Parcel = Result<PathBuf, String>;

/// Supervisor's own tests are in its source distribution only.
const SUPERVISOR_SOURCE: &str = "supervisor==4.3.0";
/// What Supervisor's tests import, the listeners that people run, and multivisor's part beside the daemon.
const LISTENERS: &str = "supervisor==4.3.0 pexpect==4.9.0 superlance==2.0.0 supervisor-stdout==0.1.1 \
                         supervisord-dependent-startup==1.4.0 multivisor[rpc]==7.1.0 blinker==1.9.0 setuptools==65.5.0";
const GRAVITY: &str = "gravity==1.2.4 supervisor==4.3.0";
const ANSIBLE_CORE: &str = "ansible-core==2.19.14";
/// The package whose wheel carries the collection community.general; only one module is taken out of it.
const ANSIBLE: &str = "ansible==12.3.0";
/// The client and, exactly, what its own package asks for in any version.
const NODE_CLIENT: [&str; 5] = ["supervisord@0.1.0", "xmlrpc@1.3.2", "structr@0.3.2", "sax@1.2.4", "xmlbuilder@8.2.2"];

/// `value`, or a line that says what could not run.
pub(crate) fn or_told<T: Clone>(value: &Result<T, String>) -> Option<T> {
    if let Err(why) = value {
        tell(&format!("could not run: {why}"));
    }
    value.clone().ok()
}

/// An environment with the listeners, multivisor and pexpect.
pub(crate) fn listeners() -> &'static Parcel {
    static PARCEL: OnceLock<Parcel> = OnceLock::new();
    PARCEL.get_or_init(|| environment("venv-listeners", LISTENERS, "httpok"))
}

/// An environment with Gravity.
pub(crate) fn gravity() -> &'static Parcel {
    static PARCEL: OnceLock<Parcel> = OnceLock::new();
    PARCEL.get_or_init(|| environment("venv-gravity", GRAVITY, "galaxyctl"))
}

/// An environment with `ansible`.
pub(crate) fn ansible_core() -> &'static Parcel {
    static PARCEL: OnceLock<Parcel> = OnceLock::new();
    PARCEL.get_or_init(|| environment("venv-ansible", ANSIBLE_CORE, "ansible"))
}

/// Supervisor's unpacked source distribution: the folder with its `supervisor/tests`.
pub(crate) fn supervisor_source() -> &'static Parcel {
    static PARCEL: OnceLock<Parcel> = OnceLock::new();
    PARCEL.get_or_init(|| {
        let python = supervisor_venv()?.join("bin/python");
        let name = SUPERVISOR_SOURCE.replace("==", "-");
        let folder = once(
            "supervisor-source",
            SUPERVISOR_SOURCE,
            |folder| folder.join(&name).exists(),
            |folder| {
                download(&python, folder, &["--no-binary", ":all:", SUPERVISOR_SOURCE])?;
                let archive = folder.join(format!("{name}.tar.gz"));
                run(
                    &python,
                    &["-m".as_ref(), "tarfile".as_ref(), "-e".as_ref(), archive.as_os_str(), folder.as_os_str()],
                )
            },
        )?;
        Ok(folder.join(name))
    })
}

/// A path of Ansible collections that holds `community.general` with its module `supervisorctl` alone.
pub(crate) fn community_general() -> &'static Parcel {
    static PARCEL: OnceLock<Parcel> = OnceLock::new();
    PARCEL.get_or_init(|| {
        let python = ansible_core().clone()?.join("bin/python");
        let whole = |folder: &Path| folder.join("ansible_collections/community/general").exists();
        once("ansible-collections", ANSIBLE, whole, |folder| {
            download(&python, folder, &["--only-binary", ":all:", ANSIBLE])?;
            run(&python, &["-c".as_ref(), TAKE_OUT.as_ref(), folder.as_os_str()])
        })
    })
}

/// Takes one module out of the wheel, with what the collection says of itself, and removes the wheel.
const TAKE_OUT: &str = "\
import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
wanted = ('MANIFEST.json', 'meta/runtime.yml', 'plugins/modules/supervisorctl.py')
for wheel in folder.glob('ansible-*.whl'):
    with zipfile.ZipFile(wheel) as archive:
        for name in wanted:
            archive.extract('ansible_collections/community/general/' + name, folder)
    wheel.unlink()
";

/// The folder whose `node_modules` hold the npm package `supervisord`.
pub(crate) fn node_client() -> &'static Parcel {
    static PARCEL: OnceLock<Parcel> = OnceLock::new();
    PARCEL.get_or_init(|| {
        let whole = |folder: &Path| folder.join("node_modules/supervisord/lib/index.js").exists();
        once("node-client", &NODE_CLIENT.join(" "), whole, |folder| {
            let mut words = vec!["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
            let prefix = folder.display().to_string();
            words.push(&prefix);
            words.extend(NODE_CLIENT);
            run(Path::new("npm"), &words.into_iter().map(OsStr::new).collect::<Vec<_>>())
        })
    })
}

fn download(python: &Path, folder: &Path, what: &[&str]) -> Result<(), String> {
    let destination = folder.display().to_string();
    let mut words =
        vec!["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", &destination];
    words.extend(what);
    run(python, &words.into_iter().map(OsStr::new).collect::<Vec<_>>())
}

//! Headless Chromium over `--remote-debugging-pipe`: JSON messages, each ended by a zero byte, on descriptors 3 and 4.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use galaxyd::rpc::base64;
use nix::sys::signal::{Signal, killpg};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::notice::tell;
use crate::wait::{BOUND, until};

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

const FLAGS: [&str; 15] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-default-apps",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
];

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    commands: File,
    messages: Receiver<Value>,
    session: String,
    last_id: u64,
    /// What the console has complained about.
    complaints: Vec<String>,
    _folder: TempDir,
}

fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM") {
        return Some(PathBuf::from(named));
    }
    let folders = std::env::var("PATH").unwrap_or_default();
    NAMES
        .iter()
        .find_map(|name| folders.split(':').map(|folder| Path::new(folder).join(name)).find(|path| path.is_file()))
}

impl Browser {
    /// `None`, and a line that says so, without Chromium.
    pub(crate) fn start() -> Option<Browser> {
        let Some(program) = program() else {
            tell("could not run: no Chromium (package chromium) to show the status page in");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("chromium").tempdir().unwrap();
        let [to, from] = ["to", "from"].map(|name| {
            let path = folder.path().join(name);
            mkfifo(&path, Mode::S_IRWXU).unwrap();
            path
        });
        // Opened for both directions, so that neither side waits for the other.
        let open = |path: &Path| OpenOptions::new().read(true).write(true).open(path).unwrap();
        let (commands, answers) = (open(&to), open(&from));
        let child = Command::new("/bin/sh")
            .args(["-c", "to=$1 from=$2; shift 2; exec \"$@\" 3<\"$to\" 4>\"$from\"", "sh"])
            .args([&to, &from])
            .arg(program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(answers).split(0) {
                let Ok(message) = message else { return };
                if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
            }
        });
        let (session, complaints) = (String::new(), Vec::new());
        let mut browser = Browser { child, commands, messages, session, last_id: 0, complaints, _folder: folder };
        let target = browser.send("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = browser.send("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        attached["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log"] {
            browser.send(&format!("{domain}.enable"), json!({}));
        }
        browser.size(1280, 800);
        Some(browser)
    }

    /// Sends a command and returns its result; what is told meanwhile is looked through for complaints.
    fn send(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.commands.write_all(format!("{message}\0").as_bytes()).unwrap();
        let begin = Instant::now();
        loop {
            let left = BOUND.saturating_sub(begin.elapsed());
            let message = self.messages.recv_timeout(left).unwrap_or_else(|_| panic!("no answer to {method}"));
            if message["id"] == json!(self.last_id) {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.listen(&message);
        }
    }

    fn listen(&mut self, message: &Value) {
        let params = &message["params"];
        match message["method"].as_str() {
            Some("Log.entryAdded")
                if params["entry"]["level"] == "error" || params["entry"]["source"] == "security" =>
            {
                self.complaints.push(params["entry"].to_string());
            }
            Some("Runtime.exceptionThrown") => self.complaints.push(params["exceptionDetails"].to_string()),
            Some("Runtime.consoleAPICalled") if params["type"] == "error" => self.complaints.push(params.to_string()),
            // A dialog would stop the page; none is ever wanted.
            Some("Page.javascriptDialogOpening") => self.complaints.push(format!("a dialog: {params}")),
            _ => {}
        }
    }

    /// What the console has complained about since the last time it was asked.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        self.eval("1");
        std::mem::take(&mut self.complaints)
    }

    /// The window, in CSS pixels.
    pub(crate) fn size(&mut self, width: u32, height: u32) {
        let phone = width < 600;
        self.send(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone }),
        );
    }

    pub(crate) fn colours(&mut self, scheme: &str) {
        let feature = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.send("Emulation.setEmulatedMedia", json!({ "features": feature }));
    }

    pub(crate) fn without_javascript(&mut self) {
        self.send("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    }

    /// Goes there and waits until it is loaded.
    pub(crate) fn open(&mut self, url: &str) {
        let answer = self.send("Page.navigate", json!({ "url": url }));
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// The value of an expression in the page; null while it is being replaced by another page.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.send("Runtime.evaluate", params);
        if answer["exceptionDetails"].is_null() { answer["result"]["value"].clone() } else { Value::Null }
    }

    /// Waits until the expression is true.
    pub(crate) fn wait(&mut self, expression: &str) {
        until(expression, || {
            if self.eval(expression) == json!(true) {
                Ok(())
            } else {
                Err(self.eval("document.body && document.body.innerText").to_string())
            }
        });
    }

    /// Moves the mouse to the element and clicks.
    pub(crate) fn click(&mut self, selector: &str) {
        let place = format!(
            "(() => {{ const e = document.querySelector({selector:?}); if (!e) return null; \
             e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect(); \
             return r.width ? [r.x + r.width / 2, r.y + r.height / 2] : null; }})()"
        );
        let place = until(selector, || {
            let place = self.eval(&place);
            if place.is_array() { Ok(place) } else { Err("it is not to be seen".to_owned()) }
        });
        for kind in ["mousePressed", "mouseReleased"] {
            let params = json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.send("Input.dispatchMouseEvent", params);
        }
    }

    /// Types into what has the focus.
    pub(crate) fn type_text(&mut self, text: &str) {
        self.send("Input.insertText", json!({ "text": text }));
    }

    /// Leaves `target/screenshots/NAME.png`.
    pub(crate) fn screenshot(&mut self, name: &str) {
        self.eval("document.activeElement && document.activeElement.blur()");
        let picture = self.send("Page.captureScreenshot", json!({ "format": "png" }));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("screenshots");
        fs::create_dir_all(&folder).unwrap();
        let bytes = base64::decode(picture["data"].as_str().unwrap()).unwrap();
        fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.commands.write_all(b"{\"id\":1000000,\"method\":\"Browser.close\"}\0");
        let begin = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begin.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Its helpers are of its group.
        let _ = killpg(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

//! An endpoint with a control loop that does nothing but answer, and raw connections to it.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use galaxyd::config::{Access, InetServer, PageConfig, ServerAuth, ServerConfig, UnixServer};
use galaxyd::engine::Channel;
use galaxyd::http::limits::Times;
use galaxyd::http::{BoundListener, Endpoint, Incoming, bind, serve_with};
use galaxyd::rpc::{Fault, FaultCode, Method, Value};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

/// For whatever must happen; no test waits this long unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What the control loop was asked, as text: `peer method argument`.
pub(crate) type Asked = Rc<RefCell<Vec<String>>>;

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) asked: Asked,
    /// A message for each call to `startProcess` of `slow` that its client gave up.
    pub(crate) given_up: mpsc::UnboundedReceiver<()>,
    /// Lets one call to `stopProcess` of `slow` be answered.
    pub(crate) stopped: Rc<Notify>,
    port: u16,
}

#[derive(Default)]
pub(crate) struct Build {
    pub(crate) auth: Option<ServerAuth>,
    pub(crate) access: Access,
    pub(crate) chmod: Option<u32>,
    pub(crate) inet: bool,
    pub(crate) times: Times,
    pub(crate) page: PageConfig,
    pub(crate) interfaces: std::sync::Arc<galaxyd::rpc::Interfaces>,
}

pub(crate) fn auth(username: &str, password: &str) -> ServerAuth {
    ServerAuth { username: username.to_owned(), password: password.to_owned() }
}

/// Runs a test with a unix endpoint.
pub(crate) fn with_world(test: impl AsyncFnOnce(World)) {
    with(Build::default(), test);
}

/// Runs a test with this endpoint, on a runtime like the worker's.
pub(crate) fn with(build: Build, test: impl AsyncFnOnce(World)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let world = World::open(build);
        timeout(3 * PATIENCE, test(world)).await.expect("the test takes too long");
    });
}

impl World {
    /// Within the tasks of a thread.
    pub(crate) fn open(build: Build) -> World {
        let folder = tempfile::tempdir().unwrap();
        let server = if build.inet {
            let (section, host) = ("inet_http_server".to_owned(), "127.0.0.1".to_owned());
            let (auth, access, page) = (build.auth.clone(), build.access.clone(), build.page.clone());
            ServerConfig::Inet(InetServer {
                section,
                host,
                port: 0,
                auth,
                access,
                allow_unauthenticated: false,
                tls: None,
                page,
            })
        } else {
            let (section, file) = ("unix_http_server".to_owned(), folder.path().join("s.sock"));
            let (auth, access, page) = (build.auth.clone(), build.access.clone(), build.page.clone());
            ServerConfig::Unix(UnixServer {
                section,
                file,
                chmod: build.chmod.unwrap_or(0o700),
                chown: None,
                auth,
                access,
                page,
            })
        };
        let listener = bind(&server).unwrap();
        let port = match &listener {
            BoundListener::Inet(listener) => listener.local_addr().unwrap().port(),
            BoundListener::Unix(_) => 0,
        };
        let (control, requests) = mpsc::channel(4);
        let Build { interfaces, times, .. } = build;
        let endpoint = Some(serve_with(listener, &server, control, interfaces, times).unwrap());
        let asked = Asked::default();
        let (giving_up, given_up) = mpsc::unbounded_channel();
        let stopped = Rc::new(Notify::new());
        let (of_log, of_asked, of_stopped) = (folder.path().to_owned(), Rc::clone(&asked), Rc::clone(&stopped));
        tokio::task::spawn_local(control_loop(requests, of_log, of_asked, giving_up, of_stopped));
        World { folder, endpoint, asked, given_up, stopped, port }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("s.sock")
    }

    pub(crate) fn url(&self) -> String {
        if self.port == 0 {
            format!("unix://{}", self.socket().display())
        } else {
            format!("http://127.0.0.1:{}", self.port)
        }
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) async fn connect(&self) -> Raw {
        if self.port == 0 {
            Raw(Box::new(UnixStream::connect(self.socket()).await.unwrap()))
        } else {
            Raw(Box::new(TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()))
        }
    }

    /// Sends a request on a connection of its own and returns the whole response.
    pub(crate) async fn ask(&self, request: &str) -> Response {
        let mut raw = self.connect().await;
        raw.send(request.as_bytes()).await;
        raw.response().await
    }
}

/// What the process `web` has printed.
pub(crate) const PRINTED: &str = "<script>alert(1)</script>\u{1b}[31mred\u{1b}[0m\n";

/// The made-up processes: one that runs, and one with a name that would like to be markup.
fn processes() -> Value {
    let info = |group: &str, name: &str, state: &str, description: &str| {
        Value::object([
            ("group", group.into()),
            ("name", name.into()),
            ("statename", state.into()),
            ("description", description.into()),
        ])
    };
    Value::Array(vec![
        info("web", "web", "RUNNING", "pid 7, uptime 0:00:01"),
        info("g", "<img src=x onerror='alert(1)'>", "FATAL", "\u{1b}[31m\"bad\" & worse"),
    ])
}

async fn control_loop(
    mut requests: mpsc::Receiver<Incoming>,
    folder: PathBuf,
    asked: Asked,
    giving_up: mpsc::UnboundedSender<()>,
    stopped: Rc<Notify>,
) {
    while let Some(request) = requests.recv().await {
        match request {
            Incoming::Call { peer, method, mut reply } => {
                asked.borrow_mut().push(format!("{peer} {} {}", method.name(), method.argument()));
                let answer = match method {
                    Method::GetState => Ok(Value::object([("statecode", 1.into()), ("statename", "RUNNING".into())])),
                    Method::StartProcess { name, .. } if name == "slow" => {
                        let giving_up = giving_up.clone();
                        tokio::task::spawn_local(async move {
                            reply.closed().await;
                            let _ = giving_up.send(());
                        });
                        continue;
                    }
                    Method::StartProcess { name, .. } if name == "dropped" => continue,
                    Method::StartProcess { name, .. } => Err(Fault::with(FaultCode::BadName, name)),
                    Method::GetAllProcessInfo => Ok(processes()),
                    Method::GetIdentification => Ok("<b>supervisor</b>".into()),
                    Method::ReadProcessLog { name, .. } if name == "web" => Ok(PRINTED.into()),
                    Method::ReadProcessLog { name, .. } => Err(Fault::with(FaultCode::NoFile, name)),
                    Method::StopProcess { name, .. } if name == "slow" => {
                        let stopped = Rc::clone(&stopped);
                        tokio::task::spawn_local(async move {
                            stopped.notified().await;
                            let _ = reply.send(Ok(true.into()));
                        });
                        continue;
                    }
                    Method::StopProcess { name, .. } if name == "web" => Ok(true.into()),
                    Method::StopProcess { name, .. } => Err(Fault::with(FaultCode::NotRunning, name)),
                    Method::ReadLog { length, .. } => Ok("x".repeat(usize::try_from(length).unwrap()).into()),
                    Method::SendProcessStdin { chars, .. } => Ok(chars.into()),
                    _ => Ok(true.into()),
                };
                let _ = reply.send(answer);
            }
            // Nobody runs out of memory here.
            Incoming::Refused => {}
            Incoming::Follow { process, reply } => {
                let file = match process {
                    None => Some(folder.join("main.log")),
                    Some((name, _)) if name == "unknown" => None,
                    Some((name, Channel::Stdout)) => Some(folder.join(format!("{name}.log"))),
                    Some((name, Channel::Stderr)) => Some(folder.join(format!("{name}.err"))),
                };
                let _ = reply.send(file);
            }
        }
    }
}

pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Socket for T {}

/// A connection on which anything can be sent.
pub(crate) struct Raw(pub(crate) Box<dyn Socket>);

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Status line and headers, without Date.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Raw {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        timeout(PATIENCE, self.0.write_all(bytes)).await.expect("the server does not read").unwrap();
    }

    /// As much as the server takes before it closes the connection.
    pub(crate) async fn send_what_it_takes(&mut self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.0.write_all(bytes)).await.expect("the server does not read");
    }

    /// The bytes up to the end of the headers.
    pub(crate) async fn head(&mut self) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            match timeout(PATIENCE, self.0.read_u8()).await.expect("no answer") {
                Ok(byte) => bytes.push(byte),
                Err(_) => break,
            }
        }
        let text = String::from_utf8(bytes).unwrap();
        text.lines().filter(|line| !line.starts_with("Date: ") && !line.is_empty()).collect::<Vec<_>>().join("\n")
    }

    pub(crate) async fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        timeout(PATIENCE, self.0.read_exact(&mut bytes)).await.expect("no answer").unwrap();
        bytes
    }

    pub(crate) async fn response(&mut self) -> Response {
        let head = self.head().await;
        let status = head.split(' ').nth(1).unwrap_or_else(|| panic!("no response: {head:?}")).parse().unwrap();
        let mut response = Response { status, head, body: String::new() };
        let length = response.header("Content-Length").map_or(0, |length| length.parse().unwrap());
        response.body = String::from_utf8(self.exactly(length).await).unwrap();
        response
    }

    /// The next chunk of a chunked body; `None` at its end or that of the connection.
    pub(crate) async fn chunk(&mut self) -> Option<String> {
        let mut size = String::new();
        while !size.ends_with("\r\n") {
            size.push(char::from(timeout(PATIENCE, self.0.read_u8()).await.expect("no chunk").ok()?));
        }
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let bytes = self.exactly(size + 2).await;
        (size > 0).then(|| String::from_utf8(bytes[..size].to_vec()).unwrap())
    }

    /// Chunks until they end with `text`; all of them joined.
    pub(crate) async fn chunks_until(&mut self, text: &str) -> String {
        let mut all = String::new();
        while !all.ends_with(text) {
            all.push_str(&self.chunk().await.expect("the stream has ended"));
        }
        all
    }

    /// Waits until the server closes the connection; what came before.
    pub(crate) async fn until_closed(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A reset is an end, too.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await.expect("the connection stays open");
        bytes
    }
}

/// A call of a method without parameters.
pub(crate) fn xml(method: &str) -> String {
    format!("<?xml version='1.0'?><methodCall><methodName>{method}</methodName></methodCall>")
}

/// A POST of this body with these further headers.
pub(crate) fn post(body: &str, headers: &str) -> String {
    format!("POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

//! Python's own XML-RPC client, over a unix socket as Supervisor's transport does it.

use std::process::Command;

use crate::notice::tell;
use crate::world::{Build, auth, with};

const SCRIPT: &str = r#"
import http.client, socket, sys, xmlrpc.client

class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])

class Transport(xmlrpc.client.Transport):
    connection = None
    def make_connection(self, host):
        if not self.connection:
            _, self._extra_headers, _ = self.get_host_info(host)
            self.connection = Connection('localhost')
        return self.connection

server = xmlrpc.client.ServerProxy('http://admin:secret@localhost/RPC2', transport=Transport())
assert server.supervisor.getState() == {'statecode': 1, 'statename': 'RUNNING'}
assert len(server.system.listMethods()) == 41
assert '@return struct' in server.system.methodHelp('supervisor.getProcessInfo')
assert server.system.methodSignature('supervisor.startProcess') == ['boolean', 'string', 'boolean']
assert server.supervisor.stopProcess('web', False) is True
assert server.supervisor.readLog(0, 3) == 'xxx'
assert server.supervisor.sendProcessStdin('web', 'a\u00e9<&>"\n\U0001f600') == 'a\u00e9<&>"\n\U0001f600'
assert server.supervisor.sendProcessStdin('web', xmlrpc.client.Binary(b'\x03\x1b')) == '\ufffd\ufffd'
calls = [{'methodName': 'supervisor.getState', 'params': []}, {'methodName': 'x.y', 'params': []}]
assert server.system.multicall(calls) == [
    {'statecode': 1, 'statename': 'RUNNING'}, {'faultCode': 1, 'faultString': 'UNKNOWN_METHOD'}]
for call, code in [(lambda: server.supervisor.startProcess('no'), 10), (lambda: server.supervisor.startProcess(), 2),
                   (lambda: server.nothing(), 1)]:
    try:
        call()
    except xmlrpc.client.Fault as fault:
        assert fault.faultCode == code, fault
    else:
        raise AssertionError(code)
for _ in range(200):
    server.supervisor.getState()
print('all well')
"#;

#[test]
#[expect(clippy::disallowed_methods, reason = "Python's client is another program")]
fn pythons_client_understands_everything() {
    with(Build { auth: Some(auth("admin", "secret")), ..Build::default() }, async |world| {
        let socket = world.socket();
        let run =
            tokio::task::spawn_blocking(move || Command::new("python3").args(["-c", SCRIPT]).arg(socket).output());
        match run.await.unwrap() {
            Ok(output) => {
                let error = String::from_utf8_lossy(&output.stderr);
                assert_eq!(String::from_utf8_lossy(&output.stdout), "all well\n", "{error}");
            }
            Err(error) => tell(&format!("could not run: no python3 ({error})")),
        }
    });
}

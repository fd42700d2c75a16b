"""Calls XML-RPC methods through Supervisor's own transport.

rpc.py SERVERURL [USER PASSWORD], a JSON list of [method, parameters] on standard input;
one line of JSON for each: the result, {"fault": [code, text]} or {"http": status}.
Pids and times that are not 0 are replaced by words.
"""

import json
import sys
import xmlrpc.client

from supervisor.xmlrpc import SupervisorTransport

WORDS = {"pid": "PID", "start": "TIME", "stop": "TIME", "now": "TIME"}


def plain(value):
    if isinstance(value, dict):
        return {key: WORDS[key] if key in WORDS and value[key] else plain(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


user, password = (sys.argv[2:4] + [None, None])[:2]
transport = SupervisorTransport(user, password, serverurl=sys.argv[1])
server = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
for method, params in json.load(sys.stdin):
    target = server
    for word in method.split("."):
        target = getattr(target, word)
    try:
        answer = plain(target(*params))
    except xmlrpc.client.Fault as fault:
        answer = {"fault": [fault.faultCode, fault.faultString]}
    except xmlrpc.client.ProtocolError as error:
        answer = {"http": error.errcode}
    print(json.dumps(answer), flush=True)

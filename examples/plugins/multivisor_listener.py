#!/usr/bin/env python3
"""Multivisor's part beside the daemon, as an event listener instead of an RPC interface inside of it.

With Supervisor, multivisor's `multivisor.rpc` is loaded into the daemon:

    [rpcinterface:multivisor]
    supervisor.rpcinterface_factory = multivisor.rpc:make_rpc_interface
    bind = *:9002

galaxyd loads no Python. This program offers the same to multivisor's server (the methods of the RPC interface and the
stream of events, on the same address), and gets both from the daemon as any client and any listener does:

    [eventlistener:multivisor]
    command = multivisor_listener.py 127.0.0.1:9002
    events = EVENT

Whoever reaches the address commands the daemon without a password, as with multivisor's own part, so it is a local one unless
you name another (`*:9002`). It needs `multivisor[rpc]` and a control socket (`[unix_http_server]`), whose address the daemon tells its listeners.
"""

import os
import sys

from gevent import monkey

monkey.patch_all()

import gevent  # noqa: E402
from gevent.fileobject import FileObjectPosix  # noqa: E402
from gevent.queue import Queue  # noqa: E402
from multivisor.util import sanitize_url  # noqa: E402
from multivisor.zerorpc import LostRemote, Server, stream  # noqa: E402
from supervisor import childutils  # noqa: E402

streams = set()


def call(method, *parameters):
    """A connection of its own for each call: a waiting one holds up no other."""
    target = childutils.getRPCInterface(os.environ)
    for word in method.split("."):
        target = getattr(target, word)
    return target(*parameters)


def bound(method):
    return lambda *parameters: call(method, *parameters)


@stream
def event_stream():
    queue = Queue()
    streams.add(queue)
    try:
        yield "First event to trigger connection. Please ignore me!"
        for event in queue:
            if event is None:
                return
            yield event
    except LostRemote:
        pass
    finally:
        streams.discard(queue)


def told(headers, payload, identifier):
    """The event as multivisor's server wants it, or None."""
    name = headers["eventname"]
    if name.startswith("TICK"):
        return None
    # Only the first line: output and remote messages follow on further ones.
    fields = dict(word.split(":", 1) for word in payload.split("\n", 1)[0].split() if ":" in word)
    if name.startswith("PROCESS_STATE"):
        fields["process"] = call("supervisor.getProcessInfo", f"{fields['groupname']}:{fields['processname']}")
    return {"pool": "multivisor", "server": identifier, "eventname": name, "payload": fields}


def listen():
    """Reads events until the daemon closes the pipe."""
    daemon = FileObjectPosix(0, "r", encoding="utf-8")
    identifier = call("supervisor.getIdentification")
    while True:
        print("READY", flush=True)
        line = daemon.readline()
        if not line:
            return
        headers = dict(word.split(":", 1) for word in line.split())
        payload = daemon.read(int(headers["len"]))
        try:
            event = told(headers, payload, identifier)
        except Exception as error:  # A daemon that ends answers no more; the event itself is told all the same.
            print(f"{headers['eventname']}: {error!r}", file=sys.stderr, flush=True)
            event = None
        for queue in list(streams):
            if event is not None:
                queue.put(event)
        print("RESULT 2\nOK", end="", flush=True)


def main():
    methods = {name.split(".")[1]: bound(name) for name in call("system.listMethods") if name.startswith("supervisor.")}
    methods["event_stream"] = event_stream
    server = Server(methods)
    server.bind(sanitize_url(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9002", protocol="tcp", host="127.0.0.1", port=9002)["url"])
    gevent.spawn(server.run)
    listen()
    for queue in list(streams):
        queue.put(None)


main()

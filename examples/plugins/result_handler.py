#!/usr/bin/env python3
"""Runs an event listener together with its Python result handler, outside of the daemon.

Supervisor loads a `result_handler` into itself; galaxyd loads no Python. Instead of

    [eventlistener:stdout]
    command = supervisor_stdout
    events = PROCESS_LOG
    result_handler = supervisor_stdout:event_handler

write

    [eventlistener:stdout]
    command = result_handler.py supervisor_stdout:event_handler supervisor_stdout
    events = PROCESS_LOG
    stderr_logfile = /dev/stdout
    stderr_logfile_maxbytes = 0

The listener runs as a child of this program, which hands events on to it and gives each result to the handler. What the
handler prints goes to the standard error. A handler that raises `supervisor.events.RejectEvent`, or anything else, has
the event sent again, as in Supervisor.
"""

import importlib
import subprocess
import sys


class Event:
    """What a handler may look at: the event's headers and payload."""

    def __init__(self, headers, payload):
        self.headers = headers
        self._payload = payload

    def payload(self):
        return self._payload.decode(errors="replace")


def resolve(reference):
    module, name = reference.split(":")
    return getattr(importlib.import_module(module.strip()), name.strip())


def line_of(stream):
    line = stream.readline()
    if not line.endswith(b"\n"):
        sys.exit(0)
    return line


def read_exactly(stream, count):
    read = b""
    while len(read) < count:
        more = stream.read(count - len(read))
        if not more:
            sys.exit(0)
        read += more
    return read


def characters(stream, count):
    """So many characters of UTF-8: what `len` counts unless the configuration says `len_in_bytes`."""
    read = b""
    while count > 0:
        first = read_exactly(stream, 1)
        length = 1 if first[0] < 0xC0 else 2 if first[0] < 0xE0 else 3 if first[0] < 0xF0 else 4
        read += first + read_exactly(stream, length - 1)
        count -= 1
    return read


def main():
    handler, command = resolve(sys.argv[1]), sys.argv[2:]
    daemon_in, daemon_out = sys.stdin.buffer, sys.stdout.buffer
    # The standard output speaks the protocol; the handler's prints must not get into it.
    sys.stdout = sys.stderr
    listener = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    while True:
        ready = line_of(listener.stdout)
        if ready != b"READY\n":
            sys.exit(f"the listener said {ready!r} where READY was expected")
        daemon_out.write(ready)
        daemon_out.flush()
        line = line_of(daemon_in)
        headers = dict(word.split(":", 1) for word in line.decode().split())
        payload = characters(daemon_in, int(headers["len"]))
        listener.stdin.write(line + payload)
        listener.stdin.flush()
        result = read_exactly(listener.stdout, int(line_of(listener.stdout).split()[1]))
        try:
            handler(Event(headers, payload), result)
            answer = b"RESULT 2\nOK"
        except Exception as error:  # Whatever it is: the event was not handled.
            print(f"{sys.argv[1]}: {error!r}; the event will be sent again", file=sys.stderr)
            answer = b"RESULT 4\nFAIL"
        sys.stderr.flush()
        daemon_out.write(answer)
        daemon_out.flush()


main()

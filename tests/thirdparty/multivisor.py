"""Watches and commands a daemon through multivisor's own server part, and checks what it learns.

multivisor.py PORT
"""

import os
import sys

import gevent
from multivisor.multivisor import Supervisor

BOUND_SECS = 60


def until(what, probe):
    with gevent.Timeout(BOUND_SECS, TimeoutError(what)):
        while not probe():
            gevent.sleep(0.05)


supervisor = Supervisor("host", f"tcp://127.0.0.1:{sys.argv[1]}")
until("the first look", lambda: supervisor["running"])
assert supervisor["identification"] == "supervisor", supervisor
assert supervisor["supervisor_version"] == "4.3.0" and supervisor["api_version"] == "3.0", supervisor
processes = supervisor["processes"]
assert {"host:cat:cat", "host:pair:pair0", "host:pair:pair1"} <= set(processes), processes
cat = processes["host:cat:cat"]
until("cat to run", lambda: supervisor["processes"]["host:cat:cat"]["statename"] == "RUNNING")

# What is done here is learnt from events alone.
server = supervisor.server
assert server.stopProcess("cat:cat") is True
until("the news of the stop", lambda: supervisor["processes"]["host:cat:cat"]["statename"] == "STOPPED")
assert server.startProcess("cat:cat") is True
until("the news of the start", lambda: supervisor["processes"]["host:cat:cat"]["statename"] == "RUNNING")
rows = server.stopProcessGroup("pair")
assert [row["status"] for row in rows] == [80, 80], rows
until("the news of the group", lambda: all(
    supervisor["processes"][f"host:pair:pair{number}"]["statename"] == "STOPPED" for number in (0, 1)))
cat = supervisor["processes"]["host:cat:cat"]
before = cat["pid"]
cat.restart()
until("another pid", lambda: supervisor["processes"]["host:cat:cat"]["pid"] not in (before, 0)
      and supervisor["processes"]["host:cat:cat"]["statename"] == "RUNNING")
assert server.getProcessInfo("cat:cat")["pid"] == supervisor["processes"]["host:cat:cat"]["pid"]
# The greenlet that streams would be waited for.
os._exit(0)

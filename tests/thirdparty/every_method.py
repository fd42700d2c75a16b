"""Calls every method that the daemon lists through SupervisorTransport and checks the answers.

every_method.py CONFIGURATION SERVERURL [USER PASSWORD]: the daemon is starting; it is ended here.
"""

import http.client
import re
import signal
import sys
import time
import xmlrpc.client

from supervisor.xmlrpc import SupervisorTransport

BOUND_SECS = 60
configuration, url = sys.argv[1:3]
credentials = sys.argv[3:5] or [None, None]


def connect(user, password):
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=SupervisorTransport(user, password, url))


server = connect(*credentials)
called = set()


def call(method, *params):
    called.add(method)
    target = server
    for word in method.split("."):
        target = getattr(target, word)
    return target(*params)


def check(expected, method, *params):
    seen = call(method, *params)
    good = expected(seen) if callable(expected) else seen == expected
    assert good, f"{method}{params}: {seen!r}, expected {expected!r}"
    # Supervisor never answers with an integer where a truth value is meant, nor the other way round.
    assert callable(expected) or type(seen) is type(expected), f"{method}{params}: {seen!r}"
    return seen


def check_fault(code, text, method, *params):
    try:
        seen = call(method, *params)
    except xmlrpc.client.Fault as fault:
        assert (fault.faultCode, fault.faultString) == (code, text), f"{method}{params}: {fault!r}"
    else:
        raise AssertionError(f"{method}{params}: {seen!r}, expected fault {code}")


def until(what, probe):
    global server
    end = time.monotonic() + BOUND_SECS
    while True:
        try:
            answer = probe()
        except (OSError, xmlrpc.client.Error, http.client.HTTPException) as error:
            answer, complaint = None, error
            # The transport keeps a connection that failed; a new one does not.
            server = connect(*credentials)
        else:
            complaint = answer
        if answer:
            return answer
        assert time.monotonic() < end, f"waited {BOUND_SECS} s for {what}: {complaint!r}"
        time.sleep(0.02)


def state(name):
    return server.supervisor.getProcessInfo(name)["statename"]


def wait_state(name, wanted):
    until(f"{name} to be {wanted}", lambda: state(name) == wanted)


def results(*rows):
    """What start, stop, signal and clear of many answer, in any order."""
    wanted = sorted((group, name, 80, "OK") for group, name in rows)
    return lambda seen: sorted((row["group"], row["name"], row["status"], row["description"]) for row in seen) == wanted


def rewrite(change):
    with open(configuration) as file:
        text = file.read()
    with open(configuration, "w") as file:
        file.write(change(text))


PAIR = [("pair", "pair0"), ("pair", "pair1")]


def the_daemon():
    check("3.0", "supervisor.getAPIVersion")
    check("3.0", "supervisor.getVersion")
    check("4.3.0", "supervisor.getSupervisorVersion")
    check("supervisor", "supervisor.getIdentification")
    check({"statecode": 1, "statename": "RUNNING"}, "supervisor.getState")
    with open(re.search(r"pidfile = (.*)", open(configuration).read())[1].replace("%(here)s", folder())) as file:
        check(int(file.read()), "supervisor.getPID")
    check(lambda text: text.count("\n") > 3 and "INFO" in text, "supervisor.readLog", 0, 0)
    check(lambda text: len(text) == 20, "supervisor.readMainLog", 0, 20)
    check_fault(3, "BAD_ARGUMENTS", "supervisor.readLog", -1, 1)
    check(True, "supervisor.clearLog")
    check(lambda text: "\n" not in text[:-1], "supervisor.readLog", 0, 0)
    check(True, "supervisor.sendRemoteCommEvent", "deploy", "Malmö")


def folder():
    return configuration.rsplit("/", 1)[0]


def the_introspection():
    names = check(lambda names: names == sorted(names) and len(names) == 41, "system.listMethods")
    for name in names:
        check(lambda types: len(types) >= 1 and types[0] in ("string", "int", "boolean", "array", "struct"),
              "system.methodSignature", name)
        check(lambda text: len(text) > 10, "system.methodHelp", name)
    check_fault(4, "SIGNATURE_UNSUPPORTED", "system.methodSignature", "supervisor.nothing")
    check(["boolean", "string", "boolean"], "system.methodSignature", "supervisor.startProcess")
    check(["3.0", {"faultCode": 10, "faultString": "BAD_NAME: x"}], "system.multicall", [
        {"methodName": "supervisor.getAPIVersion", "params": []},
        {"methodName": "supervisor.getProcessInfo", "params": ["x"]},
    ])
    check_fault(1, "UNKNOWN_METHOD", "supervisor.nothing")
    check_fault(2, "INCORRECT_PARAMETERS", "supervisor.getState", "x")
    called.discard("supervisor.nothing")
    return names


def the_processes():
    info = check(lambda info: info["statename"] == "RUNNING" and info["state"] == 20, "supervisor.getProcessInfo", "cat")
    assert info["pid"] > 0 and 0 < info["start"] <= info["now"], info
    assert info["description"].startswith(f"pid {info['pid']}, uptime 0:0"), info
    assert sorted(info) == ["description", "exitstatus", "group", "logfile", "name", "now", "pid", "spawnerr", "start",
                            "state", "statename", "stderr_logfile", "stdout_logfile", "stop"], info
    names = [(row["group"], row["name"]) for row in call("supervisor.getAllProcessInfo")]
    assert names == [("cat", "cat"), ("gone", "gone"), ("idle", "idle"), *PAIR], names
    check(lambda rows: [row["name"] for row in rows] == ["cat", "gone", "idle", "pair0", "pair1"]
          and all(row["inuse"] is True and len(row) == 29 for row in rows), "supervisor.getAllConfigInfo")
    check_fault(10, "BAD_NAME: x:y", "supervisor.getProcessInfo", "x:y")


def starts_and_stops():
    check(True, "supervisor.startProcess", "idle")
    check_fault(60, "ALREADY_STARTED: idle", "supervisor.startProcess", "idle")
    check(True, "supervisor.stopProcess", "idle", False)
    wait_state("idle", "STOPPED")
    check_fault(70, "NOT_RUNNING: idle", "supervisor.stopProcess", "idle")
    check_fault(20, "NO_FILE: can't find command '/nonexistent'", "supervisor.startProcess", "gone")
    wait_said(1)
    check(results(*PAIR), "supervisor.stopProcessGroup", "pair")
    check(results(*PAIR), "supervisor.startProcessGroup", "pair", True)
    check(results(*PAIR), "supervisor.signalProcessGroup", "pair", "CONT")
    check(True, "supervisor.signalProcess", "cat", "SIGCONT")
    check(True, "supervisor.signalProcess", "cat", str(int(signal.SIGCONT)))
    check_fault(11, "BAD_SIGNAL: WINK", "supervisor.signalProcess", "cat", "WINK")
    check(results(("cat", "cat"), *PAIR), "supervisor.signalAllProcesses", "CONT")
    wait_said(2)
    check(results(("cat", "cat"), *PAIR), "supervisor.stopAllProcesses")
    rows = call("supervisor.startAllProcesses")
    seen = sorted((row["name"], row["status"]) for row in rows)
    assert seen == [("cat", 80), ("gone", 20), ("idle", 80), ("pair0", 80), ("pair1", 80)], rows
    check(True, "supervisor.stopProcess", "idle")


def wait_said(times):
    # Each start of it says one thing on either channel; nobody stops it before.
    read = server.supervisor
    until("pair0's output", lambda: read.readProcessStdoutLog("pair:pair0", 0, 0) == times * "out 0\n")
    until("pair0's errors", lambda: read.readProcessStderrLog("pair:pair0", 0, 0) == times * "err 0\n")


def logs():
    wait_said(3)
    check("out 0\n", "supervisor.readProcessStdoutLog", "pair:pair0", -6, 0)
    check("err", "supervisor.readProcessStderrLog", "pair:pair0", 0, 3)
    check("out", "supervisor.readProcessLog", "pair:pair0", 6, 3)
    check(["out 0\n", 18, True], "supervisor.tailProcessStdoutLog", "pair:pair0", 0, 6)
    check(["err 0\n" * 3, 18, False], "supervisor.tailProcessStderrLog", "pair:pair0", 0, 100)
    check(["", 18, False], "supervisor.tailProcessLog", "pair:pair0", 18, 0)
    check(True, "supervisor.sendProcessStdin", "cat", "bron över Öresund <&>\n")
    until("the echo", lambda: "bron över Öresund <&>\n" in server.supervisor.readProcessStdoutLog("cat", 0, 0))
    check_fault(70, "NOT_RUNNING: idle", "supervisor.sendProcessStdin", "idle", "x")
    check(True, "supervisor.clearProcessLogs", "cat")
    check("", "supervisor.readProcessStdoutLog", "cat", 0, 0)
    check(True, "supervisor.clearProcessLog", "pair:pair0")
    check(["", 0, False], "supervisor.tailProcessStdoutLog", "pair:pair0", 0, 100)
    check(results(("cat", "cat"), ("gone", "gone"), ("idle", "idle"), *PAIR), "supervisor.clearAllProcessLogs")


def groups():
    check([[[], [], []]], "supervisor.reloadConfig")
    rewrite(lambda text: text + "[program:added]\ncommand = /bin/cat\nstartsecs = 0\n")
    check([[["added"], [], []]], "supervisor.reloadConfig")
    check(True, "supervisor.addProcessGroup", "added")
    check_fault(90, "ALREADY_ADDED: added", "supervisor.addProcessGroup", "added")
    wait_state("added", "RUNNING")
    check_fault(91, "STILL_RUNNING: added", "supervisor.removeProcessGroup", "added")
    check(True, "supervisor.stopProcess", "added")
    check(True, "supervisor.removeProcessGroup", "added")
    check_fault(10, "BAD_NAME: added", "supervisor.removeProcessGroup", "added")


def wrong_passwords():
    for wrong in [(None, None), (credentials[0], "x"), ("x", credentials[1])]:
        try:
            connect(*wrong).supervisor.getState()
        except xmlrpc.client.ProtocolError as error:
            assert error.errcode == 401, error
        else:
            raise AssertionError(f"{wrong} was let in")


def the_ends():
    before = server.supervisor.getProcessInfo("cat")["pid"]
    check(True, "supervisor.restart")
    until("the daemon to be back", lambda: server.supervisor.getProcessInfo("cat")["pid"] not in (0, before))
    # Now it is configured from the file as it is.
    wait_state("added", "RUNNING")
    check(True, "supervisor.shutdown")


until("the daemon's answer", lambda: server.supervisor.getState()["statename"] == "RUNNING")
for name in ("cat", "pair:pair0", "pair:pair1"):
    wait_state(name, "RUNNING")
the_daemon()
names = the_introspection()
the_processes()
starts_and_stops()
logs()
groups()
if credentials[0]:
    wrong_passwords()
the_ends()
assert called == set(names), f"not called: {set(names) - called}; not listed: {called - set(names)}"

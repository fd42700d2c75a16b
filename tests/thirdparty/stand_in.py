"""Stands in for the programs of a Galaxy: keeps their command lines, signals and ends, and does nothing else.

Installed as gunicorn, celery, tusd and galaxy-main; what it is it reads from its name.
"""

import argparse
import http.server
import json
import os
import pathlib
import signal
import socket
import sys

SIGNALS = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD}


def say(text):
    print(f"{text} [{os.getpid()}]", flush=True)


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"version_major": "26.1", "version_minor": "0", "pid": os.getppid()}).encode()
        self.send_response(200 if self.path == "/api/version" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass


class Server(http.server.HTTPServer):
    def __init__(self, endpoint):
        super().__init__(("", 0), Answer, bind_and_activate=False)
        self.socket = endpoint


def worker(endpoint):
    """Forks a process that answers; its parent is the arbiter."""
    pid = os.fork()
    if pid == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        say("worker booted")
        Server(endpoint).serve_forever()
    return pid


def gunicorn():
    """An arbiter with a worker: HUP replaces the worker, TERM and INT end both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("app")
    parser.add_argument("-b", "--bind")
    options, _ = parser.parse_known_args()
    assert options.app == "galaxy.webapps.galaxy.fast_factory:factory()", options.app
    assert os.environ["GALAXY_CONFIG_FILE"] and os.environ["PYTHONPATH"] == "lib", os.environ
    path = options.bind.removeprefix("unix:")
    pathlib.Path(path).unlink(missing_ok=True)
    endpoint = socket.socket(socket.AF_UNIX)
    endpoint.bind(path)
    endpoint.listen()
    say(f"listening at {options.bind}")
    current = worker(endpoint)
    while True:
        number = signal.sigwait(SIGNALS)
        if number == signal.SIGHUP:
            say("hang up: the worker is replaced")
            old, current = current, worker(endpoint)
            os.kill(old, signal.SIGTERM)
        elif number == signal.SIGCHLD:
            while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if os.wait()[0] == current:
                    say("the worker died")
                    sys.exit(1)
        else:
            # The group's signal may have ended the worker already.
            os.kill(current, signal.SIGTERM)
            os.wait()
            say("shut down")
            sys.exit(0)


def wait_for_the_end(name):
    say(f"{name} is ready")
    while True:
        number = signal.sigwait(SIGNALS)
        if number != signal.SIGCHLD:
            say(f"{name} ends by {signal.Signals(number).name}")
            sys.exit(0)


def celery():
    assert sys.argv[1:3] == ["--app", "galaxy.celery"], sys.argv
    if "beat" in sys.argv:
        pathlib.Path(sys.argv[sys.argv.index("--schedule") + 1]).write_text("schedule")
        wait_for_the_end("celery beat")
    wait_for_the_end("celery worker")


def galaxy_main():
    name = next(word for word in sys.argv if word.startswith("--server-name="))
    wait_for_the_end("handler " + name.removeprefix("--server-name="))


PARTS = {"gunicorn": gunicorn, "celery": celery, "galaxy-main": galaxy_main,
         "tusd": lambda: wait_for_the_end("tusd")}

signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
PARTS[os.path.basename(sys.argv[0])]()

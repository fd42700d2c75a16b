#!/usr/bin/env python3
"""Submits jobs to the Galaxy that examples/galaxy/run made and waits for them.

  jobs.py URL KEYFILE --count N --seconds S [--running FILE]

One line a job at its end: id, state, handler. FILE is made when the first job runs. Status 0 when all ended `ok`.
"""

import argparse
import json
import sys
import time
import urllib.error
import urllib.request

EMAIL = "admin@example.org"

parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("keyfile")
parser.add_argument("--count", type=int, default=1)
parser.add_argument("--seconds", type=int, default=0, help="how long each job sleeps")
parser.add_argument("--limit", type=float, default=600, help="seconds until all must have ended")
parser.add_argument("--running", help="made when a job runs")
args = parser.parse_args()
with open(args.keyfile) as text:
    BOOTSTRAP = text.read().strip()
STOP = time.monotonic() + args.limit


def api(method, path, body=None, key=BOOTSTRAP):
    request = urllib.request.Request(args.url + "/api/" + path, method=method, headers={"x-api-key": key})
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def admin_key():
    users = {user["email"]: user for user in api("GET", "users")}
    user = users.get(EMAIL) or api("POST", "users", {"username": "admin", "email": EMAIL, "password": "only-for-tests-1"})
    try:
        return api("GET", "users/%s/api_key/detailed" % user["id"])["key"]
    except (urllib.error.HTTPError, ValueError, TypeError, KeyError):
        return api("POST", "users/%s/api_key" % user["id"])


key = admin_key()
history = api("POST", "histories", {"name": "test"}, key)["id"]
left = set()
for number in range(args.count):
    inputs = {"name": "job %d" % number, "seconds": args.seconds}
    answer = api("POST", "tools", {"history_id": history, "tool_id": "greet", "inputs": inputs}, key)
    left.add(answer["jobs"][0]["id"])
good = True
while left:
    # Only this view, and only for an administrator, tells the handler.
    for job in api("GET", "jobs?view=admin_job_list&limit=1000&history_id=" + history, key=key):
        if job["id"] not in left:
            continue
        if job["state"] == "running" and args.running:
            open(args.running, "w").close()
        if job["state"] in ("ok", "error", "deleted", "failed"):
            left.remove(job["id"])
            good = good and job["state"] == "ok"
            print(job["id"], job["state"], job["handler"], flush=True)
    if left and time.monotonic() > STOP:
        sys.exit("jobs.py: %d jobs did not end in %d seconds" % (len(left), args.limit))
    time.sleep(0.5)
sys.exit(0 if good else 1)

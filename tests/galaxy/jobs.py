#!/usr/bin/env python3
"""Submits jobs to the Galaxy that examples/galaxy/run made and waits for them.

  jobs.py URL KEYFILE [--tool greet] --count N --seconds S [--running FILE]
  jobs.py URL KEYFILE [--tool greet] --every S --most N --until FILE

The first form submits N jobs at once, the second one every S seconds until FILE is there, while fewer than --most of its
jobs have not ended. Each job has its number as its name. One line a job at its end: number, state, handler. --running is made
when the first job runs. Status 0 when all ended `ok`, each request had a good answer, and Galaxy has no job that was not
submitted.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request

EMAIL = "admin@example.org"

parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("keyfile")
parser.add_argument("--tool", default="greet")
parser.add_argument("--count", type=int, default=1)
parser.add_argument("--seconds", type=int, default=0, help="how long each job sleeps")
parser.add_argument("--every", type=float, help="seconds from one job to the next")
parser.add_argument("--most", type=int, default=1, help="jobs of a stream that have not ended")
parser.add_argument("--until", help="ends a stream")
parser.add_argument("--limit", type=float, default=900, help="seconds until all must have ended, after the last one")
parser.add_argument("--running", help="made when a job runs")
args = parser.parse_args()
with open(args.keyfile) as text:
    BOOTSTRAP = text.read().strip()


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
numbers = {}
left = set()
good = True


def submit():
    number = len(numbers)
    inputs = {"name": str(number), "seconds": args.seconds}
    answer = api("POST", "tools", {"history_id": history, "tool_id": args.tool, "inputs": inputs}, key)
    job = answer["jobs"][0]["id"]
    numbers[job] = number
    left.add(job)


def look():
    global good
    # Only this view, and only for an administrator, tells the handler.
    jobs = api("GET", "jobs?view=admin_job_list&limit=1000&history_id=" + history, key=key)
    for job in jobs:
        if job["id"] not in left:
            continue
        if job["state"] == "running" and args.running:
            open(args.running, "w").close()
        if job["state"] in ("ok", "error", "deleted", "failed"):
            left.remove(job["id"])
            good = good and job["state"] == "ok"
            print(numbers[job["id"]], job["state"], job["handler"], flush=True)
    return jobs


if args.every is None:
    for _ in range(args.count):
        submit()
else:
    due = time.monotonic()
    while not os.path.exists(args.until):
        if time.monotonic() >= due and len(left) < args.most:
            submit()
            due = time.monotonic() + args.every
        look()
        time.sleep(0.5)
stop = time.monotonic() + args.limit
jobs = look()
while left:
    if time.monotonic() > stop:
        sys.exit("jobs.py: %d jobs did not end in %d seconds" % (len(left), args.limit))
    time.sleep(0.5)
    jobs = look()
if {job["id"] for job in jobs} != set(numbers):
    sys.exit("jobs.py: %d jobs were submitted, Galaxy has %d" % (len(numbers), len(jobs)))
sys.exit(0 if good else 1)

"""Runs Supervisor's own end-to-end tests with the programs of a folder in place of the Python modules.

end_to_end.py TESTS SCRATCH BIN     BIN holds supervisord, supervisorctl, pidproxy and echo_supervisord_conf.
Prints one line of JSON a test: [name, "" or what went wrong].

The tests start `python -m supervisor.supervisord ...` with `sys.executable`. That is set to a small shell script which
starts the program of that name in BIN instead. They use files with fixed names in /tmp: each test gets a copy
in which they lie in a folder of its own, so that all can run side by side.
"""

import concurrent.futures
import importlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

SIDE_BY_SIDE = 4

# The tests name it, but the source distribution leaves it out.
HELLO = """\
#!/bin/bash
n=0
while [ $n -lt 100 ]; do n=$((n+1)); echo "The Øresund bridge ends in Malmö - $n"; sleep 1; done
"""

STAND_IN = """\
#!/bin/sh
case "$1 $2" in
    "-m supervisor."*) program=${2#supervisor.}; shift 2 ;;
    "-c from supervisor import confecho"*) program=echo_supervisord_conf; shift 2 ;;
    *) exec 'PYTHON' "$@" ;;
esac
exec "BIN/$program" "$@"
"""

CASE = "EndToEndTests"


def copy(tests, scratch, binaries):
    package = scratch / "e2e"
    shutil.copytree(tests, package)
    text = STAND_IN.replace("PYTHON", sys.executable).replace("BIN", binaries)
    (scratch / "python").write_text(text)
    (scratch / "python").chmod(0o755)
    (package / "fixtures" / "hello.sh").write_text(HELLO)
    for file in [package / "test_end_to_end.py", *package.glob("fixtures/*.conf")]:
        file.write_text(file.read_text(encoding="utf-8").replace("/tmp/", f"{scratch}/"), encoding="utf-8")


def load(scratch):
    os.environ["END_TO_END"] = "1"
    sys.path.insert(0, str(scratch))
    return getattr(importlib.import_module("e2e.test_end_to_end"), CASE)


def run_one(scratch, name):
    case = load(scratch)
    sys.executable = str(scratch / "python")
    result = unittest.TestResult()
    case(name).run(result)
    trouble = [text for _, text in result.failures + result.errors]
    assert result.testsRun == 1 and not result.skipped, result
    print(json.dumps([name, "\n".join(trouble)]))


def start_one(tests, scratch, binaries, number, name):
    folder = scratch / f"t{number}"
    folder.mkdir()
    copy(tests, folder, binaries)
    command = [sys.executable, __file__, "--one", str(folder), name]
    # A daemon that starts removes the AUTO logs of all that have its identifier, which most have here.
    environment = os.environ | {"TMPDIR": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
    return done.stdout if done.returncode == 0 else json.dumps([name, done.stderr]) + "\n"


def main():
    if sys.argv[1] == "--one":
        run_one(pathlib.Path(sys.argv[2]), sys.argv[3])
        return
    tests, scratch, binaries = sys.argv[1:4]
    scratch = pathlib.Path(scratch)
    copy(tests, scratch, binaries)
    names = unittest.TestLoader().getTestCaseNames(load(scratch))
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for line in pool.map(lambda pair: start_one(tests, scratch, binaries, *pair), enumerate(names)):
            print(line, end="", flush=True)


main()

"""Answers, one JSON line a question, what Python and Supervisor 4.3.0 make of a text.

Questions: {"ask": KIND, "text": TEXT, ...}. Answers: {"value": ...} or {"error": MESSAGE}.
The first line out is the version of Python.
"""

import io
import json
import shlex
import sys

from supervisor import datatypes, options


def ini(question):
    parser = options.UnhosedConfigParser()
    raw = io.BytesIO(question["text"].encode("utf-8"))
    parser.read_file(io.TextIOWrapper(raw, encoding="utf-8"), question["name"])
    sections = [[name, list(pairs.items())] for name, pairs in parser._sections.items()]
    return {"sections": sections, "defaults": list(parser._defaults.items())}


def percent(question):
    return options.expand(question["text"], question["names"], question["label"])


def environment(question):
    return list(datatypes.dict_of_key_value_pairs(question["text"]).items())


def socket_owner(question):
    """The split alone: the accounts of this machine are no part of the comparison."""

    def unresolved(name):
        try:
            number = int(name)
        except ValueError:
            return {"name": name}
        if abs(number) >= 2**63:
            raise ValueError("no machine has an account with this number")
        return {"number": str(number)}

    datatypes.name_to_uid = datatypes.name_to_gid = unresolved
    return list(datatypes.colon_separated_user_group(question["text"]))


def auto_restart(question):
    found = datatypes.auto_restart(question["text"])
    if found is datatypes.RestartUnconditionally:
        return "always"
    return "unexpected" if found is datatypes.RestartWhenExitUnexpected else "never"


def of_text(function):
    return lambda question: function(question["text"])


def number(function):
    """As text, because JSON readers differ in how large a number they keep."""
    return lambda question: str(function(question["text"]))


ANSWERS = {
    "ini": ini,
    "decode": lambda question: bytes.fromhex(question["text"]).decode("utf-8"),
    "repr": of_text(repr),
    "ascii": of_text(ascii),
    "percent": percent,
    "shlex": of_text(shlex.split),
    "environment": environment,
    "integer": number(datatypes.integer),
    "byte_size": number(datatypes.byte_size),
    "octal": number(datatypes.octal_type),
    "port_number": number(datatypes.port_number),
    "signal": lambda question: str(int(datatypes.signal_number(question["text"]))),
    "exit_codes": of_text(datatypes.list_of_exitcodes),
    "boolean": of_text(datatypes.boolean),
    "auto_restart": auto_restart,
    "log_level": number(datatypes.logging_level),
    "list_of_strings": of_text(datatypes.list_of_strings),
    "process_or_group_name": of_text(datatypes.process_or_group_name),
    "url": of_text(datatypes.url),
    "inet_address": of_text(datatypes.inet_address),
    "socket_owner": socket_owner,
}

print("%d.%d.%d" % sys.version_info[:3], flush=True)
for line in sys.stdin:
    question = json.loads(line)
    try:
        answer = {"value": ANSWERS[question["ask"]](question)}
    except Exception as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))

"""Loads configurations with Supervisor's own loader. One JSON question a line, one JSON answer a line."""

import json
import os
import sys

from supervisor import events, options
from supervisor.datatypes import Automatic, RestartUnconditionally, RestartWhenExitUnexpected
from supervisor.loggers import LevelsByDescription


class Refused(Exception):
    pass


def refuse(message):
    raise Refused(str(message))


LEVELS = {number: name for name, number in LevelsByDescription.__dict__.items() if isinstance(number, int)}


def restart(value):
    return {RestartUnconditionally: "always", RestartWhenExitUnexpected: "unexpected"}.get(value, "never")


def log(process, channel):
    def get(key):
        return getattr(process, "%s_%s" % (channel, key))

    name = get("logfile")
    file = {"auto": True} if name is Automatic else {"path": name}
    return {
        "file": file,
        "maxbytes": get("logfile_maxbytes"),
        "backups": get("logfile_backups"),
        "capture_maxbytes": get("capture_maxbytes"),
        "events_enabled": get("events_enabled"),
        "syslog": bool(get("syslog")),
    }


PLAIN = (
    "name command directory umask priority autostart startsecs startretries exitcodes stopsignal stopwaitsecs "
    "stopasgroup killasgroup redirect_stderr serverurl uid"
).split()


def process_value(process):
    value = {key: getattr(process, key) for key in PLAIN}
    value["stopsignal"] = int(process.stopsignal)
    value["autorestart"] = restart(process.autorestart)
    value["stdout"] = log(process, "stdout")
    value["stderr"] = log(process, "stderr")
    value["environment"] = list(map(list, process.environment.items()))
    return value


def owner(value):
    return None if value is None or value == (-1, -1) else [value[0], None if value[1] == -1 else value[1]]


def group_value(group):
    value = {"name": group.name, "priority": group.priority}
    value["processes"] = [process_value(process) for process in group.process_configs]
    if isinstance(group, options.EventListenerPoolConfig):
        names = sorted(events.getEventNameByType(event) for event in group.pool_events)
        value["pool"] = {"buffer_size": group.buffer_size, "events": names}
    if isinstance(group, options.FastCGIGroupConfig):
        socket = group.socket_config
        value["socket"] = {
            "url": socket.url,
            "backlog": socket.backlog,
            "owner": owner(getattr(socket, "owner", None)),
            "mode": getattr(socket, "mode", None),
        }
    return value


def server_value(server):
    value = {"section": server["section"]}
    if server["username"]:
        value["auth"] = [server["username"], server["password"]]
    else:
        value["auth"] = None
    for key in ("host", "port", "file", "chmod"):
        if key in server:
            value[key] = server[key]
    if "chown" in server:
        value["chown"] = owner(server["chown"])
    return value


DAEMON = (
    "logfile logfile_maxbytes logfile_backups pidfile umask minfds minprocs childlogdir directory identifier uid"
).split()


def load(question):
    server = options.ServerOptions()
    server.usage = refuse
    server.realize(question["arguments"], doc="", progname="supervisord")
    daemon = {key: getattr(server, key) for key in DAEMON}
    for flag in ("nodaemon", "silent", "nocleanup", "strip_ansi"):
        daemon[flag] = bool(getattr(server, flag))
    daemon["loglevel"] = LEVELS.get(server.loglevel, server.loglevel)
    daemon["environment"] = list(map(list, server.configroot.supervisord.environment.items()))
    return {
        "daemon": daemon,
        "groups": [group_value(group) for group in server.process_group_configs],
        "servers": [server_value(config) for config in server.server_configs],
        "interfaces": [name for name, _, _ in server.rpcinterface_factories],
        "warnings": list(dict.fromkeys(server.parse_warnings)),
        "infos": server.parse_infos,
    }


def load_client(question):
    client = options.ClientOptions()
    client.usage = refuse
    client.realize(question["arguments"], doc="", progname="supervisorctl")
    return {key: getattr(client, key) for key in "serverurl username password prompt history_file".split()}


def answer(question):
    try:
        loader = load_client if question["client"] else load
        return {"value": loader(question)}
    except Refused as refusal:
        return {"refused": str(refusal)}
    except Exception as crash:
        return {"crashed": repr(crash)}


sys.argv = ["supervisord"]
print(sys.version.split()[0], flush=True)
for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)

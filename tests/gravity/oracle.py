"""What Gravity itself makes of configurations.

Reads a JSON list of lists of files from standard input, one list for each case, and writes a JSON list: for each case either
{"refused": message} or {"programs": {name: {...}}}.
"""

import json
import os
import shlex
import sys

os.environ["GRAVITY_SKIP_SYSTEMD"] = "1"

import click
from gravity.config_manager import ConfigManager
from gravity.process_manager import ProcessExecutor
from gravity.process_manager.supervisor import SupervisorProgram
from gravity.settings import DEFAULT_INSTANCE_NAME, ServiceCommandStyle
from gravity.state import ServiceList


def programs(files):
    manager = ConfigManager(config_file=files)
    executor = ProcessExecutor(config_manager=manager)
    names_shown = not manager.single_instance or manager.get_config().instance_name != DEFAULT_INSTANCE_NAME
    found = {}
    for config in manager.get_configs():
        for service in config.services:
            program = SupervisorProgram(config, service, names_shown)
            members = service.services if isinstance(service, ServiceList) else [service]
            style, config.service_command_style = config.service_command_style, ServiceCommandStyle.exec
            for name, log, member in zip(program.program_names, program.log_file_names, members):
                values = executor._service_format_vars(config, member)
                assert name not in found, name
                found[name] = {
                    "argv": shlex.split(values["command"]),
                    "environment": values["environment"],
                    "directory": values["galaxy_root"],
                    "umask": int(values["galaxy_umask"], 8),
                    "startsecs": member.settings["start_timeout"],
                    "stopwaitsecs": member.settings["stop_timeout"],
                    "log": os.path.join(config.log_dir, log),
                }
            config.service_command_style = style
    return found


def case(files):
    try:
        return {"programs": programs(files)}
    except (click.ClickException, Exception) as error:
        return {"refused": f"{type(error).__name__}: {error}"}


real, sys.stdout = sys.stdout, sys.stderr
answers = [case(files) for files in json.load(sys.stdin)]
json.dump(answers, real)

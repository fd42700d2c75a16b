"""Plays histories with Supervisor's own pools, dispatchers, events and ticks, and outputs with its dispatcher of outputs;
see history.rs and capture.rs for what they are.

One JSON document a line in, one out. Only what surrounds the classes is made up here: a process that is forked,
reaped and written to, and the part of the main loop that dispatches.
"""
import json
import sys

from supervisor import events, loggers, process as processes
from supervisor.dispatchers import PEventListenerDispatcher, POutputDispatcher, default_handler
from supervisor.events import EventTypes
from supervisor.process import EventListenerPool, ProcessGroupBase, Subprocess
from supervisor.states import EventListenerStates, ProcessStates
from supervisor.supervisord import Supervisor


class Logger:
    def __init__(self, trace):
        for name, level in (("debug", "DEBG"), ("warn", "WARN"), ("error", "ERRO"), ("info", "INFO")):
            setattr(self, name, lambda text, level=level, **kw: trace.append(level + " " + (text % kw if kw else text)))


class Made:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class Process(Subprocess):
    def write(self, chars):
        self.config.options.trace.append("write %s %s" % (self.config.name, chars.decode("utf-8")))


class Options(Made):
    identifier = "supervisor"
    strip_ansi = False

    def readfd(self, fd):
        data, self.read = self.read, b""
        return data


def member(options, number, name):
    # Processes of one priority are equal to each other, a defect that is not compared.
    config = Made(name=name, priority=number, options=options, stdout_logfile=None, exitcodes=[0], startsecs=1)
    config.make_process = lambda group: made(config, group)
    return config


def made(config, group):
    process = Process(config)
    process.group = group
    return process


class Stage:
    def __init__(self, question):
        events.clear()
        processes.GlobalSerial.serial = -1
        self.trace = []
        self.options = Options(trace=self.trace, logger=Logger(self.trace), read=b"")
        self.now = question["start"]
        self.clock = Supervisor(self.options)
        self.clock.tick(self.now)
        self.processes, self.pools, self.dispatchers = [], [], {}
        names = question["names"]
        groups = []
        for number, (group, name) in enumerate(names):
            if not groups or groups[-1][0] != group:
                groups.append((group, []))
            groups[-1][1].append(member(self.options, number, name))
        for (name, members), pool in zip(groups, question["pools"] + [None]):
            config = Made(name=name, priority=1, options=self.options, process_configs=members)
            if pool is None:
                group = ProcessGroupBase(config)
            else:
                config.pool_events = [getattr(EventTypes, event) for event in pool[0]]
                config.buffer_size, config.result_handler = pool[1], default_handler
                group = EventListenerPool(config)
                self.pools.append(group)
            self.processes.extend(group.processes.values())
            events.notify(events.ProcessGroupAddedEvent(name))
            self.dispatch()

    def dispatch(self):
        for pool in self.pools:
            if any(
                process.state == ProcessStates.RUNNING and process.listener_state == EventListenerStates.READY
                for process in pool.processes.values()
            ):
                pool.dispatch()

    def advance(self, who):
        process = self.processes[who]
        if process.state == ProcessStates.STARTING:
            process.change_state(ProcessStates.RUNNING)
        elif process.state == ProcessStates.RUNNING:
            process.change_state(ProcessStates.EXITED, expected=False)
            process.pid = 0
            self.dispatchers.pop(who, None)
            if process.event is not None:
                events.notify(events.EventRejectedEvent(process, process.event))
                process.event = None
        else:
            process.change_state(ProcessStates.STARTING)
            self.dispatch()
            process.pid = 1000 + who
            if who < 3:
                self.dispatchers[who] = PEventListenerDispatcher(process, "stdout", 0)

    def say(self, who, data):
        if who in self.dispatchers and data:
            self.options.read = bytes(data)
            self.dispatchers[who].handle_read_event()

    def log(self, text):
        process = self.processes[3]
        if process.pid:
            events.notify(events.ProcessLogStdoutEvent(process, process.pid, text.encode("utf-8")))

    def captured(self, text):
        process = self.processes[3]
        if process.pid:
            events.notify(events.ProcessCommunicationStderrEvent(process, process.pid, text.encode("utf-8")))
            self.options.logger.debug("%(name)r %(channel)s emitted a comm event", name="cat", channel="stderr")

    def remote(self, text):
        events.notify(events.RemoteCommunicationEvent("t", text))

    def ticks(self, seconds):
        self.now += seconds
        self.clock.tick(self.now)


def capture(question):
    """What a dispatcher logs, and the blocks it tells of."""
    text, blocks = [], []
    options = Options(trace=[], logger=Logger([]), read=b"", loglevel=loggers.LevelsByName.INFO)
    options.getLogger = loggers.Logger
    config = Made(
        name="cat", options=options, stdout_logfile=None, stdout_syslog=False, stdout_logfile_maxbytes=0,
        stdout_logfile_backups=0, stdout_capture_maxbytes=question["maxbytes"], stdout_events_enabled=False,
        stderr_events_enabled=False,
    )
    events.clear()
    events.subscribe(events.ProcessCommunicationEvent, lambda event: blocks.append(event.data))
    dispatcher = POutputDispatcher(Made(config=config, pid=1), events.ProcessCommunicationStdoutEvent, 0)
    dispatcher.normallog = dispatcher.childlog = Made(info=text.append)
    for read in question["reads"]:
        options.read = bytes(read)
        dispatcher.handle_read_event()
    return {"text": list(b"".join(text)), "blocks": [list(block) for block in blocks]}


def history(question):
    stage = Stage(question)
    for verb, *arguments in question["steps"]:
        getattr(stage, "ticks" if verb == "pass" else verb)(*arguments)
        stage.dispatch()
    return {"trace": stage.trace}


for line in sys.stdin:
    question = json.loads(line)
    print(json.dumps(capture(question) if "reads" in question else history(question)))

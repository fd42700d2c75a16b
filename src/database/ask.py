"""One question to a Galaxy's database, or one control task for a handler: a JSON document on standard input, one in the
last line of standard output.

Runs under the Python that Galaxy itself runs under, because that has the drivers that `database_connection` and
`amqp_internal_connection` want. SQLite needs the standard library alone. Everything is asked in one transaction, which
reads only unless the question says otherwise. The alarm ends this process whatever it waits for.
"""

import datetime
import json
import os
import signal
import socket
import sys
import time
from urllib.parse import quote, unquote


class Refused(Exception):
    """Why the question cannot be answered, for a person."""


class SQLite:
    dialect = "sqlite"
    version = "SELECT sqlite_version()"

    def __init__(self, question):
        import sqlite3

        path = unquote(question["url"].split("://", 1)[1].split("?", 1)[0])[1:]
        if path in ("", ":memory:"):
            raise Refused("a database in memory can be asked by nobody else")
        path = os.path.abspath(path)
        if not os.path.exists(path):
            raise Refused("there is no file %s" % path)
        writes = question["writes"]
        address = "file:%s?mode=%s" % (quote(path), "rw" if writes else "ro")
        self.connection = sqlite3.connect(address, uri=True, timeout=question["seconds"] / 2, isolation_level=None)
        self.connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")

    def rows(self, statement, values):
        return self.connection.execute(statement, values).fetchall()

    def change(self, statement, values):
        return self.connection.execute(statement, values).rowcount

    def commit(self):
        self.connection.execute("COMMIT")

    def close(self):
        self.connection.close()


class PostgreSQL:
    dialect = "postgresql"
    version = "SHOW server_version"

    def __init__(self, question):
        try:
            import sqlalchemy
        except ImportError:
            raise Refused("%s, by which it is asked, has no SQLAlchemy: it is not Galaxy's" % sys.executable)
        self.text = sqlalchemy.text
        engine = sqlalchemy.create_engine(question["url"], poolclass=sqlalchemy.pool.NullPool)
        self.connection = engine.connect()
        self.transaction = self.connection.begin()
        self.change("SET LOCAL statement_timeout = %d" % (question["seconds"] * 500), {})
        self.change("SET LOCAL lock_timeout = %d" % (question["seconds"] * 250), {})
        if not question["writes"]:
            self.change("SET TRANSACTION READ ONLY", {})

    def rows(self, statement, values):
        return self.connection.execute(self.text(statement), values).fetchall()

    def change(self, statement, values):
        return self.connection.execute(self.text(statement), values).rowcount

    def commit(self):
        self.transaction.commit()

    def close(self):
        self.connection.close()


def opened(question):
    dialect = question["url"].split(":", 1)[0].split("+", 1)[0]
    if dialect == "sqlite":
        return SQLite(question)
    if dialect == "postgresql":
        return PostgreSQL(question)
    raise Refused("%s databases are not asked, only PostgreSQL and SQLite" % dialect)


def among(column, prefix, words):
    """A condition that holds for these words, and its values."""
    values = {"%s%d" % (prefix, number): word for number, word in enumerate(words)}
    return "%s IN (%s)" % (column, ", ".join(":" + name for name in values)), values


def age(moment, now):
    """Whole seconds since a time of the database, which has them in UTC without a zone."""
    if moment is None:
        return None
    if isinstance(moment, str):
        moment = datetime.datetime.strptime(moment.split(".")[0].split("+")[0], "%Y-%m-%d %H:%M:%S")
    return max(0, int((now - moment.replace(tzinfo=None, microsecond=0)).total_seconds()))


def heartbeats(database, now, wanted="", values=None):
    rows = database.rows("SELECT server_name, hostname, pid, update_time FROM worker_process" + wanted, values or {})
    return [
        {"server_name": name, "hostname": host, "pid": pid, "age_seconds": age(moment, now)}
        for name, host, pid, moment in rows
        if name is not None and moment is not None
    ]


def census(database, question, now):
    states, values = among("state", "s", question["job_states"])
    jobs = database.rows(
        "SELECT handler, state, job_runner_name, CASE WHEN job_runner_external_id IS NULL THEN 0 ELSE 1 END AS submitted,"
        " count(*), min(update_time) FROM job WHERE %s GROUP BY handler, state, job_runner_name,"
        " CASE WHEN job_runner_external_id IS NULL THEN 0 ELSE 1 END" % states,
        values,
    )
    states, values = among("state", "s", question["invocation_states"])
    invocations = database.rows(
        "SELECT handler, state, count(*) FROM workflow_invocation WHERE %s GROUP BY handler, state" % states, values
    )
    return {
        "jobs": [
            {
                "handler": handler,
                "state": state,
                "runner": runner,
                "is_submitted": bool(submitted),
                "count": count,
                "oldest_seconds": age(oldest, now),
            }
            for handler, state, runner, submitted, count, oldest in jobs
        ],
        "invocations": [
            {"handler": handler, "state": state, "count": count} for handler, state, count in invocations
        ],
        "heartbeats": heartbeats(database, now),
    }


def owned(database, question, now):
    states, values = among("state", "s", question["job_states"])
    rows = database.rows(
        "SELECT id, handler, state, job_runner_name, CASE WHEN job_runner_external_id IS NULL THEN 0 ELSE 1 END,"
        " tool_id, update_time FROM job WHERE (handler = :exact OR handler LIKE :pattern) AND %s ORDER BY id LIMIT :most"
        % states,
        dict(values, exact=question["exact"], pattern=question["pattern"], most=question["most"]),
    )
    return [
        {
            "id": number,
            "handler": handler,
            "state": state,
            "runner": runner,
            "is_submitted": bool(submitted),
            "tool": tool,
            "age_seconds": age(moment, now),
        }
        for number, handler, state, runner, submitted, tool, moment in rows
    ]


def beats(database, question, now):
    """The signs of life of some server names, the newest first."""
    condition, values = among("server_name", "n", question["names"])
    values.update(pattern=question["pattern"], most=question["most"])
    wanted = " WHERE %s OR server_name LIKE :pattern ORDER BY update_time DESC LIMIT :most" % condition
    return heartbeats(database, now, wanted, values)


def reassign(database, question, now):
    """What belongs to a handler that is gone; gives it to another, unless the old one has shown life lately."""
    states, values = among("state", "s", question["job_states"])
    values["old"] = question["old"]
    jobs = database.rows(
        "SELECT state, job_runner_name, CASE WHEN job_runner_external_id IS NULL THEN 0 ELSE 1 END, count(*) FROM job"
        " WHERE handler = :old AND %s GROUP BY state, job_runner_name,"
        " CASE WHEN job_runner_external_id IS NULL THEN 0 ELSE 1 END" % states,
        values,
    )
    some, scheduled = among("state", "s", question["invocation_states"])
    scheduled["old"] = question["old"]
    invocations = database.rows(
        "SELECT state, count(*) FROM workflow_invocation WHERE handler = :old AND %s GROUP BY state" % some, scheduled
    )
    alive = [
        beat
        for beat in heartbeats(database, now)
        if beat["server_name"] == question["old"] and beat["age_seconds"] < question["fresh_seconds"]
    ]
    moved = None
    if question["writes"] and not alive:
        new = {"new": question["new"]}
        moved = {
            "jobs": database.change(
                "UPDATE job SET handler = :new WHERE handler = :old AND %s" % states, dict(values, **new)
            ),
            "invocations": database.change(
                "UPDATE workflow_invocation SET handler = :new WHERE handler = :old AND %s" % some,
                dict(scheduled, **new),
            ),
        }
        database.commit()
    return {
        "jobs": [
            {"state": state, "runner": runner, "is_submitted": bool(submitted), "count": count}
            for state, runner, submitted, count in jobs
        ],
        "invocations": [{"state": state, "count": count} for state, count in invocations],
        "alive": alive,
        "moved": moved,
    }


def version(database, question, now):
    return {"dialect": database.dialect, "version": database.rows(database.version, {})[0][0]}


def listens(question, queue):
    """Refuses where the broker is a database and has no such queue: kombu would make it, and tables, for nobody."""
    prefix, found, url = question["url"].partition("+")
    if not found or prefix not in ("sqlalchemy", "sqla"):
        return
    database = opened(dict(question, url=url))
    try:
        known = database.rows("SELECT name FROM kombu_queue WHERE name = :name", {"name": queue})
    except Exception as error:  # Its tables are made by the first process that listens.
        raise Refused("it has no control queues: %s" % told(error).split("\n")[0])
    finally:
        database.close()
    if not known:
        raise Refused("it has no control queue %s" % queue)


def lock(question):
    """Sends `admin_job_lock` to one process; nothing, or why nobody knows whether it has obeyed.

    Source: Galaxy 26.1, galaxy/queue_worker: a process answers when it has done the task. The unnamed exchange delivers to
    the one queue of this name; Galaxy's own binds the queues of all processes to `control.*`.
    """
    name = "control.%s@%s" % (question["server_name"], socket.gethostname())
    listens(question, name)
    try:
        import kombu
    except ImportError:
        raise Refused("%s, by which it is told, has no kombu: it is not Galaxy's" % sys.executable)
    number = kombu.uuid()
    results = []

    def hear(message):
        if message.properties.get("correlation_id") == number:
            results.append(message.payload["result"])

    with kombu.Connection(question["url"], connect_timeout=question["seconds"] / 4) as connection:
        replies = kombu.Queue(number, exclusive=True, auto_delete=True)
        with connection.Consumer(replies, on_message=hear, no_ack=True) as consumer:
            connection.Producer().publish(
                {"task": "admin_job_lock", "kwargs": {"job_lock": question["job_lock"]}},
                exchange="",
                routing_key=name,
                reply_to=number,
                correlation_id=number,
                # A process that began later leaves it undone.
                headers={"epoch": time.time()},
            )
            try:
                hear_until(connection, results, time.monotonic() + question["patience"])
                consumer.purge()
            except Exception as error:  # It is sent, so this is no refusal.
                return told(error)
    if not results:
        return "no answer within %d s" % question["patience"]
    # Galaxy answers nothing else for a task that it has done.
    return None if results[0] is None else "it answered %s" % results[0]


def hear_until(connection, results, end):
    while not results and time.monotonic() < end:
        try:
            connection.drain_events(timeout=max(0.1, end - time.monotonic()))
        except socket.timeout:
            pass


def told(error):
    """What a driver raised, for a person."""
    return "%s: %s" % (type(error).__name__, str(error).strip())


def ask(question):
    if question["ask"] == "lock":
        return lock(question)
    now = datetime.datetime.fromtimestamp(question["now"], datetime.timezone.utc).replace(tzinfo=None)
    asked = {"census": census, "owned": owned, "beats": beats, "reassign": reassign, "version": version}
    return asked[question["ask"]](opened(question), question, now)


def main():
    question = json.load(sys.stdin)
    signal.alarm(question["seconds"])
    try:
        answer = {"answer": ask(question)}
    except Refused as refusal:
        answer = {"error": str(refusal)}
    except Exception as error:  # Whatever a driver raises is told, not shown as a traceback.
        answer = {"error": told(error)}
    print("\n" + json.dumps(answer))


main()

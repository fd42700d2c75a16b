"""One question to a Galaxy's database, for galaxyctl: a JSON document on standard input, one on standard output.

Runs under the Python that Galaxy itself runs under, because that has the drivers that `database_connection` wants.
SQLite needs the standard library alone. Everything is asked in one transaction, which reads only unless the question
says otherwise. The alarm ends this process whatever it waits for.
"""

import datetime
import json
import os
import signal
import sys
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
    return max(0, int((now - moment.replace(tzinfo=None)).total_seconds()))


def heartbeats(database, now):
    rows = database.rows("SELECT server_name, hostname, pid, update_time FROM worker_process", {})
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


def main():
    question = json.load(sys.stdin)
    signal.alarm(question["seconds"])
    now = datetime.datetime.fromtimestamp(question["now"], datetime.timezone.utc).replace(tzinfo=None)
    ask = {"census": census, "owned": owned, "reassign": reassign, "version": version}[question["ask"]]
    try:
        answer = {"answer": ask(opened(question), question, now)}
    except Refused as refusal:
        answer = {"error": str(refusal)}
    except Exception as error:  # Whatever a driver raises is told, not shown as a traceback.
        answer = {"error": "%s: %s" % (type(error).__name__, str(error).strip())}
    json.dump(answer, sys.stdout)


main()

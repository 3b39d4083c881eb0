"""Case 25: libpq in pipeline mode, what it sends and hears written down by libpq itself (PQtrace), the
same directly and through pgumbra. The situations are those of PostgreSQL's own libpq_pipeline test.

usage: DIRECT_PORT PORT DIRECTORY      says "ok" or shows the first trace that differs
"""
import difflib
import os
import sys

from psycopg import pq


class Pipeline:
    def __init__(self, port):
        self.c = pq.PGconn.connect(
            f"host=127.0.0.1 port={port} user=postgres dbname=postgres sslmode=disable".encode())
        assert self.c.status == pq.ConnStatus.OK, self.c.error_message
        self.c.exec_(b"drop table if exists piped; create table piped (i int primary key, t text)")

    def results(self):
        """What comes for one command, or a sync: their statuses."""
        seen = []
        while (result := self.c.get_result()) is not None:
            seen.append((pq.ExecStatus(result.status).name, result.ntuples,
                         result.error_field(pq.DiagnosticField.SQLSTATE)))
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                break
        return seen

    def all(self, count):
        return [self.results() for _ in range(count)]

    def send(self, sql, *values):
        self.c.send_query_params(sql.encode(), [str(v).encode() for v in values] or None)


def disallowed_in_pipeline(p):
    p.c.enter_pipeline_mode()
    try:
        p.c.exec_(b"select 1")
    except Exception as error:  # libpq refuses
        return type(error).__name__
    return "allowed"


def simple_pipeline(p):
    p.c.enter_pipeline_mode()
    p.send("select $1::int", 1)
    p.c.pipeline_sync()
    seen = p.all(2)
    p.c.exit_pipeline_mode()
    return seen


def multi_pipelines(p):
    p.c.enter_pipeline_mode()
    for n in range(3):
        p.send("select $1::int", n)
        p.c.pipeline_sync()
    seen = p.all(6)
    p.c.exit_pipeline_mode()
    return seen


def nosync(p):
    p.c.enter_pipeline_mode()
    for n in range(10):
        p.send("select repeat('xyzxz', $1)", 12 + n)
    p.c.send_flush_request()
    p.c.flush()
    seen = p.all(10)
    p.c.pipeline_sync()
    return seen + p.all(1)


def pipeline_abort(p):
    p.c.enter_pipeline_mode()
    p.send("insert into piped values ($1, 'a')", 1)
    p.send("select no_such_function($1)", 1)
    p.send("insert into piped values ($1, 'b')", 2)
    p.c.pipeline_sync()
    p.send("insert into piped values ($1, 'c')", 3)
    p.c.pipeline_sync()
    seen = p.all(6)
    # an error in the middle of rows
    p.send("select 1.0 / g from generate_series(3, -1, -1) g")
    p.c.pipeline_sync()
    seen += p.all(2)
    p.c.exit_pipeline_mode()
    return seen


def pipeline_idle(p):
    p.c.enter_pipeline_mode()
    p.send("select 1")
    p.c.send_flush_request()
    seen = p.all(1)
    p.c.exit_pipeline_mode()
    p.send("select 2")
    return seen + p.all(1)


def prepared(p):
    p.c.enter_pipeline_mode()
    p.c.send_prepare(b"one", b"select $1, '42', $2::numeric, interval '1 sec'", [23])
    p.c.send_describe_prepared(b"one")
    p.c.pipeline_sync()
    seen = p.all(3)
    p.send("begin")
    p.send("declare held cursor for select 1")
    p.c.send_describe_portal(b"held")
    p.c.pipeline_sync()
    seen += p.all(4)
    p.c.exit_pipeline_mode()
    return seen


def singlerow(p):
    p.c.enter_pipeline_mode()
    for n in range(3):
        p.send("select generate_series(42, $1)", 44 + n)
    p.c.pipeline_sync()
    seen = []
    for n in range(3):
        if n != 1:
            p.c.set_single_row_mode()
        seen += p.all(1)
    seen += p.all(1)
    p.c.exit_pipeline_mode()
    return seen


def transaction(p):
    p.c.enter_pipeline_mode()
    p.c.send_prepare(b"rollback", b"rollback")
    p.send("begin")
    p.send("select 0 / 0")
    p.c.send_query_prepared(b"rollback", None)
    p.c.pipeline_sync()
    p.c.send_query_prepared(b"rollback", None)
    p.send("insert into piped values (1, 'x')")
    p.send("commit")
    p.c.pipeline_sync()
    return p.all(9)


def uniqviol(p):
    p.c.enter_pipeline_mode()
    p.c.send_prepare(b"insertion", b"insert into piped values ($1, $2) returning i", [23, 25])
    for n in list(range(50)) + [7] + list(range(50, 60)):
        p.c.send_query_prepared(b"insertion", [str(n).encode(), b"t" * n])
    p.c.pipeline_sync()
    return p.all(63)


SITUATIONS = (disallowed_in_pipeline, simple_pipeline, multi_pipelines, nosync, pipeline_abort,
              pipeline_idle, prepared, singlerow, transaction, uniqviol)


def trace(port, situation, path):
    p = Pipeline(port)
    with open(path, "w") as file:
        p.c.trace(file.fileno())
        p.c.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS | pq.Trace.REGRESS_MODE)
        seen = situation(p)
        p.c.untrace()
    p.c.finish()
    with open(path) as file:
        return file.read(), seen


direct, proxied, directory = sys.argv[1:]
for situation in SITUATIONS:
    name = os.path.join(directory, situation.__name__)
    expected, got = trace(direct, situation, name + ".direct"), trace(proxied, situation, name)
    if expected != got:
        print(situation.__name__, expected[1], got[1], *difflib.unified_diff(
            expected[0].splitlines(), got[0].splitlines(), lineterm=""), sep="\n")
        sys.exit(1)
    if situation is not disallowed_in_pipeline:
        assert "ReadyForQuery" in got[0], f"{situation.__name__}: no trace"
print("ok")

"""psycopg 3: text and binary results, bound values, pipelines, prepared statements, streaming,
transactions."""

import psycopg
from common import BOUND, COLUMNS, both_ways, credentials


def connect(host, port):
    account = credentials()
    return psycopg.connect(host=host, port=port, user=account["user"], autocommit=True,
                           password=account["password"], dbname=account["database"])


def columns(connection):
    for binary in (False, True):
        for column in COLUMNS:
            sql = f"select id, {column} from specimen where id between %s and %s order by id"
            yield connection.execute(sql, (10, 40), binary=binary).fetchall()


def bound_values(connection):
    for column in BOUND:
        value = connection.execute(f"select {column} from specimen where id = 7").fetchone()[0]
        yield value
        yield connection.execute(f"select id from specimen where {column} = %b order by id",
                                 (value,)).fetchall()


def prepared(connection):
    for number in range(8):  # the server-side statement begins with the sixth
        sql = "select words, moment, amount from specimen where id = %s"
        yield connection.execute(sql, (number,)).fetchall()
    yield connection.execute("select count(*) from specimen where id > %s", (3,),
                             prepare=True).fetchall()


def pipelined(connection):
    with connection.pipeline():
        cursors = [connection.execute("select * from specimen where id = %s", (number,),
                                      binary=number % 2 == 0) for number in range(1, 40)]
        results = [cursor.fetchall() for cursor in cursors]
    yield from results


def streamed(connection):
    with connection.cursor() as cursor:
        yield list(cursor.stream("select id, doc, ints from specimen order by id"))


def in_transaction(connection):
    with connection.transaction():
        yield connection.execute("select id, key from specimen order by id").fetchall()
        yield connection.execute("select max(moment) from specimen").fetchall()


def client(host, port):
    with connect(host, port) as connection:
        for part in (columns, bound_values, prepared, pipelined, streamed, in_transaction):
            yield from part(connection)


both_ways(client)

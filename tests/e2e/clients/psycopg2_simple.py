"""psycopg2: the simple protocol, values written into the text, implicit transactions."""

import psycopg2
from common import BOUND, COLUMNS, both_ways, credentials


def fetch(connection, sql, params=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        # a bytea comes as a memoryview, whose repr is its address
        return [tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)
                for row in cursor.fetchall()]


def reads(connection):
    for column in COLUMNS:
        yield fetch(connection, f"select id, {column} from specimen where id between %s and %s "
                    "order by id", (10, 40))
    for column in BOUND:
        (value,), = fetch(connection, f"select {column} from specimen where id = 7")
        yield value
        yield fetch(connection, f"select id from specimen where {column} = %s order by id",
                    (value,))
    yield fetch(connection, "select * from specimen order by id")
    yield fetch(connection, "select words from specimen where words like '%ter 1%' order by words")


def client(host, port):
    connection = psycopg2.connect(host=host, port=port, **credentials())
    connection.autocommit = True
    yield from reads(connection)
    connection.autocommit = False
    yield fetch(connection, "select count(*), sum(amount), avg(twofold) from specimen")
    yield fetch(connection, "select state, count(*) from specimen group by state order by state")
    connection.commit()
    connection.close()


both_ways(client)

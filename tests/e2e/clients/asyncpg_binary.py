"""asyncpg: binary both ways, Flush between Parse and Bind, row limits, cursors."""

import asyncio

import asyncpg
from common import BOUND, COLUMNS, both_ways, credentials


def plain(records):
    return [tuple(record.values()) for record in records]


async def columns(connection, results):
    for column in COLUMNS:
        records = await connection.fetch(f"select id, {column} from specimen where id between $1 "
                                         "and $2 order by id", 10, 40)
        results.append(plain(records))


async def bound_values(connection, results):
    for column in BOUND:
        value = await connection.fetchval(f"select {column} from specimen where id = $1", 7)
        results.append(value)
        records = await connection.fetch(f"select id from specimen where {column} = $1 order by id",
                                         value)
        results.append(plain(records))


async def row_limits(connection, results):
    for number in (1, 2, 300, 301):
        record = await connection.fetchrow("select * from specimen where id = $1", number)
        results.append(record and tuple(record.values()))


async def prepared(connection, results):
    statement = await connection.prepare("select id, doc from specimen where flag = $1 order by id")
    for flag in (True, False, True):
        results.append(plain(await statement.fetch(flag)))


async def cursors(connection, results):
    async with connection.transaction():
        rows = connection.cursor("select id, moment from specimen order by id", prefetch=70)
        results.append([tuple(record.values()) async for record in rows])


async def read_all(host, port):
    connection = await asyncpg.connect(host=host, port=port, **credentials())
    results = []
    for part in (columns, bound_values, row_limits, prepared, cursors):
        await part(connection, results)
    await connection.close()
    return results


def client(host, port):
    return asyncio.run(read_all(host, port))


both_ways(client)

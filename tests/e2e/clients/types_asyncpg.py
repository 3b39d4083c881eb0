"""asyncpg: values of users' types as binary parameters. Enums, arrays of them, domains, composites
with composites and arrays inside; by an unnamed and by a named statement."""

import asyncio

import asyncpg
from common import both_ways, credentials

TYPES = {"id": "positive", "m": "mood", "ms": "mood[]", "dms": "moods", "p": "pair", "c": "couple"}


def bindable(value):
    """Inside arrays asyncpg takes composites as tuples only."""
    if isinstance(value, list):
        return [bindable(one) for one in value]
    return tuple(map(bindable, value)) if isinstance(value, asyncpg.Record) else value


async def read_all(host, port):
    connection = await asyncpg.connect(host=host, port=port, **credentials())
    results = []
    for column, kind in TYPES.items():
        sql = f"select id, {column}, m from typed where {column} = $1::{kind} order by id"
        value = await connection.fetchval(f"select {column} from typed where id = $1", 7)
        results.append(value)
        value = bindable(value)
        results.append([tuple(r.values()) for r in await connection.fetch(sql, value)])
        if column in ("m", "p", "c"):
            sql_any = f"select id from typed where {column} = any ($1::{kind}[]) order by id"
            results.append([tuple(r.values()) for r in await connection.fetch(sql_any, [value])])
        statement = await connection.prepare(sql)
        for _ in range(3):
            results.append([tuple(r.values()) for r in await statement.fetch(value)])
    await connection.close()
    return results


both_ways(lambda host, port: asyncio.run(read_all(host, port)))

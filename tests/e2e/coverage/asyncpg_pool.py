"""asyncpg: a pool that resets each session with several statements in one text."""

import asyncio

import asyncpg
from marks import account, also, cov, finish, skip

REQUESTS = 10


def point(name):
    return f"select id, owner, balance as {name} from account where id = $1"


async def reads(c, number):
    await c.fetchrow(point(cov("fetchrow")), number)
    await c.fetchval(f"select count(*) as {cov('fetchval')} from purchase where account = $1", number)
    await c.fetch(f"select * from purchase {cov('fetch')} where account = any($1) order by id",
                  [1, 2, number])
    await c.fetchrow(f"select id as {cov('fetchrow_of_many')} from purchase order by id")
    await c.fetch(f"select id, tier, tiers as {cov('own_types')} from member where id < $1 order by id",
                  number + 3)
    await c.fetch(f"select id, owner as {cov('text_only')} from account where active order by id")
    try:
        await c.fetch(f"select 1 / (id - $1) as {cov('fails')} from account order by id", number)
    except asyncpg.DivisionByZeroError:
        pass


async def simple(c, number):
    """Without arguments execute() is a simple Query, of as many statements as it likes."""
    await c.execute(f"select id, total as {cov('simple')} from purchase where id < 9 order by id")
    await c.execute(f"select owner as {cov('first_of_text')} from account where id = {number}; "
                    f"select owner as {cov('second_of_text')} from account where id = {number + 1}")


async def prepared(c, number):
    statement = await c.prepare(f"select owner as {cov('prepared', 3)} from account where id = $1")
    for i in range(3):
        await statement.fetch(number + i)


async def transaction(c, number):
    async with c.transaction():
        await c.fetchrow(point(cov("in_transaction")), number)
        async with c.transaction():
            await c.fetchrow(point(cov("savepoint")), number)
        await c.execute("insert into ledger (account, note) values ($1, $2)", number, "asyncpg")
        await c.fetchrow(point(skip("transaction_tainted")), number)


async def rolled_back(c, number):
    async with c.transaction():
        try:
            async with c.transaction():
                await c.fetch(f"select owner::int as {cov('fails_in_savepoint')} from account "
                              "where id = $1", number)
        except asyncpg.InvalidTextRepresentationError:
            pass
        await c.fetchrow(point(cov("after_rollback_to")), number)


async def snapshots(c, number):
    async with c.transaction(isolation="repeatable_read", readonly=True):
        await c.fetchrow(point(also("first_of_snapshot")), number)
        await c.fetchrow(point(skip("old_snapshot")), number)


async def cursors(c, number):
    async with c.transaction():
        for name, rows in (("batches", 5), ("even_batches", 4)):
            async for _ in c.cursor(f"select id, items as {cov(name)} from purchase where id <= $1 "
                                    "order by id", rows, prefetch=2):
                pass
        cursor = await c.cursor(f"select id as {cov('abandoned_cursor')} from purchase order by id")
        await cursor.fetch(7)
        await cursor.fetchrow()


async def settings(c, number):
    async with c.transaction():
        await c.execute("set local timezone = 'Asia/Tokyo'")
        await c.fetch(f"select opened::text as {cov('set_local')} from account where id = $1", number)
    await c.execute("set search_path = archive, public")
    await c.fetch(f"select owner as {cov('set')} from account where id = $1", number)


async def bound_setting(c, number):
    async with c.transaction():
        await c.fetchval("select set_config('search_path', $1, true)", "archive")
        await c.fetch(f"select owner as {cov('set_config_bound')} from account where id = $1", number)


async def batch(c, number):
    await c.executemany("insert into ledger (account, note) values ($1, $2)",
                        [(number, "batch")] * 5)
    await c.fetchrow(point(cov("after_batch")), number)


async def copies(c, number):
    async def drop(_):
        pass
    await c.copy_from_query(f"select id, total as {cov('copy')} from purchase where id <= 20 "
                            "order by id", output=drop)


async def news(c, number):
    async def heard(*_):
        pass
    await c.add_listener("news", heard)
    await c.execute("notify news, 'something'")
    await c.fetchrow(point(cov("after_notify")), number)
    await c.fetch(f"select remarked(id) as {cov('notices')} from account where id < $1 order by id",
                  number + 5)
    await c.remove_listener("news", heard)


async def tenant(c, number):
    async with c.transaction():
        await c.execute(f"set local app.tenant = 'tenant {number % 5}'")
        await c.fetch(f"select title as {cov('row_security')} from document order by id")


async def lend(pool, request, number):
    async with pool.acquire() as c:
        await request(c, number)


async def main():
    login = account()
    login["database"] = login.pop("dbname")
    async with asyncpg.create_pool(min_size=2, max_size=2, **login) as pool:
        for number in range(1, REQUESTS + 1):
            for request in (reads, simple, prepared, transaction, rolled_back, snapshots, cursors,
                            settings, bound_setting, batch, copies, news, tenant):
                await lend(pool, request, number)
            await asyncio.gather(*(lend(pool, reads, number + i) for i in range(4)))
    finish()


asyncio.run(main())

"""psycopg 3: two sessions that are used again and again, as a pool lends them."""

import psycopg
from marks import account, also, cov, finish, skip

REQUESTS = 10


def point(name):
    return f"select id, owner, balance as {name} from account where id = %s"


def autocommit_reads(c, number):
    c.autocommit = True
    c.execute(point(cov("point")), (number,)).fetchone()
    c.execute(f"select count(*), sum(total) as {cov('aggregate')} from purchase").fetchall()
    c.execute(f"select id, items as {cov('array')} from purchase where account = any(%s) order by id",
              ([1, 2, number],)).fetchall()
    c.execute(f"select placed, total as {cov('binary')} from purchase where id < %s order by id",
              (number,), binary=True).fetchall()
    c.execute(f"select owner as {cov('prepared')} from account where id = %s", (number,),
              prepare=True).fetchall()
    try:
        c.execute(f"select 1 / (id - %s) as {cov('fails')} from account order by id", (number,))
    except psycopg.errors.DivisionByZero:
        pass
    c.autocommit = False


def reads_then_write(c, number):
    with c.transaction():
        c.execute(point(cov("in_transaction")), (number,)).fetchone()
        c.execute(f"select sum(total) as {cov('before_write')} from purchase where account = %s",
                  (number,)).fetchone()
        c.execute("insert into ledger (account, note) values (%s, %s)", (number, "psycopg 3"))
        c.execute(point(skip("transaction_tainted")), (number,)).fetchone()


def only_reads(c, number):
    c.execute("show transaction_isolation")
    c.execute(point(cov("after_show")), (number,)).fetchone()
    c.execute("set local timezone = 'Asia/Tokyo'")
    c.execute(f"select opened::text as {cov('set_local')} from account where id = %s", (number,))
    c.commit()
    c.execute(f"select opened::text as {cov('after_set_local')} from account where id = %s",
              (number,)).fetchall()
    c.rollback()


def set_config(c, number):
    c.execute("select set_config('search_path', 'archive, public', true)")
    c.execute(f"select owner as {cov('set_config')} from account where id = %s", (number,))
    c.execute("select set_config('search_path', %s, true)", ("public",))
    c.execute(f"select owner as {cov('set_config_bound')} from account where id = %s", (number,))
    c.commit()


def savepoints(c, number):
    with c.transaction():
        with c.transaction():  # the second is a SAVEPOINT
            c.execute(point(cov("savepoint")), (number,)).fetchone()
        try:
            with c.transaction():
                c.execute(f"select owner::int as {cov('fails_in_savepoint')} from account "
                          "where id = %s", (number,))
        except psycopg.errors.InvalidTextRepresentation:
            pass
        c.execute(point(cov("after_rollback_to")), (number,)).fetchone()


def isolation(c, number):
    c.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    c.execute(point(also("first_of_snapshot")), (number,)).fetchone()
    c.execute(point(skip("old_snapshot")), (number,)).fetchone()
    c.commit()
    c.isolation_level = None


def cursors(c, number):
    with c.cursor(name="named") as cursor:
        cursor.execute(f"select id, total as {cov('named_cursor')} from purchase where id < 30 "
                       "order by id")
        cursor.fetchmany(7)
        cursor.fetchall()
    with c.cursor(name="bound") as cursor:
        cursor.execute(f"select id, items as {cov('bound_cursor')} from purchase where id < %s "
                       "order by id", (number + 9,), binary=True)
        cursor.itersize = 4
        list(cursor)
    with c.cursor(name="held", withhold=True) as cursor:
        cursor.execute(f"select id, total as {cov('held_cursor')} from purchase where id < %s "
                       "order by id", (number + 9,))
        cursor.fetchone()
        c.commit()
        cursor.fetchall()
    with c.cursor() as cursor:
        for _ in cursor.stream(f"select id, items as {cov('stream')} from purchase where id < %s "
                               "order by id", (number + 5,)):
            pass
    c.commit()


def pipelines(c, number):
    c.autocommit = True
    with c.pipeline() as pipeline:
        for i in range(3):
            c.execute(f"select id, owner as {cov('pipeline')} from account where id = %s", (i,))
        pipeline.sync()
        pipeline.sync()
        c.execute("set timezone = 'Asia/Tokyo'")
        c.execute(f"select opened::text as {cov('first_zone')} from account where id = %s", (number,))
        c.execute("set timezone = 'America/New_York'")
        c.execute(f"select opened::text as {cov('second_zone')} from account where id = %s",
                  (number,))
    c.execute("reset timezone")
    try:
        with c.pipeline():
            c.execute(f"select 1 / (id - %s) as {cov('fails_in_pipeline')} from account order by id",
                      (number,))
            c.execute("select 1 as discarded")
    except psycopg.errors.DivisionByZero:
        pass
    c.autocommit = False


def copies(c, number):
    with c.cursor() as cursor:
        with cursor.copy(f"copy (select id, total as {cov('copy')} from purchase where id < 20 "
                         "order by id) to stdout") as copy:
            for _ in copy:
                pass
    c.commit()


def notices(c, number):
    c.autocommit = True
    c.execute(f"select remarked(id) as {cov('notices')} from account where id < %s order by id",
              (number + 5,)).fetchall()
    c.execute("listen news")
    c.execute("notify news, 'something'")
    c.execute(point(cov("after_notify")), (number,)).fetchone()
    c.execute("unlisten *")
    c.execute(";")
    c.execute(point(cov("after_empty")), (number,)).fetchone()
    c.autocommit = False


def temporary(c, number):
    """A temporary table over a permanent one hides it until it is gone."""
    c.autocommit = True
    c.execute("create temporary table account (id int, owner text, balance int)")
    c.execute(point(skip("temporary_relation")), (number,)).fetchone()
    c.execute("discard temp")
    c.execute(point(cov("after_discard_temp")), (number,)).fetchone()
    c.autocommit = False


def sql_prepare(c, number):
    c.autocommit = True
    c.execute(f"prepare by_id (int) as select id, owner as {cov('sql_execute')} from account "
              "where id = $1")
    c.execute(f"execute by_id ({number})").fetchall()
    c.execute("deallocate by_id")
    c.autocommit = False


def tenant(c, number):
    with c.transaction():
        c.execute(f"set local app.tenant = 'tenant {number % 5}'")
        c.execute(f"select title as {cov('row_security')} from document order by id").fetchall()


def reset(c, number):
    c.autocommit = True
    c.execute("discard all" if number % 2 else "reset all")
    c.execute(f"select id, owner as {cov('after_reset')} from account where id = %s", (number,),
              prepare=False).fetchone()
    c.autocommit = False


def main():
    sessions = [psycopg.connect(**account()) for _ in range(2)]
    for number in range(1, REQUESTS + 1):
        c = sessions[number % len(sessions)]
        for request in (autocommit_reads, reads_then_write, only_reads, set_config, savepoints, isolation,
                        cursors, pipelines, copies, notices, temporary, sql_prepare, tenant):
            request(c, number)
            assert c.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        if number > REQUESTS - 4:  # forgets what the driver has prepared: at the end only
            reset(c, number)
            c.prepare_threshold = None
    for c in sessions:
        c.close()
    finish()


main()

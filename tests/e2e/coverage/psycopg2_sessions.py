"""psycopg2: the simple protocol, implicit transactions, named cursors, execute_values."""

import psycopg2
import psycopg2.extras
from marks import account, also, cov, finish, skip

REQUESTS = 10


def fetch(c, sql, params=None):
    with c.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else None


def point(name):
    return f"select id, owner, balance as {name} from account where id = %s"


def autocommit_reads(c, number):
    c.autocommit = True
    fetch(c, point(cov("point")), (number,))
    fetch(c, f"select count(*), sum(total) as {cov('aggregate')} from purchase")
    fetch(c, f"select id, items as {cov('array')} from purchase where account = any(%s) order by id",
          ([1, 2, number],))
    fetch(c, f"select id, tier, tiers as {cov('own_types')} from member order by id")
    fetch(c, f"select owner as {cov('first_of_text')} from account where id = {number}; "
          f"select owner as {cov('second_of_text')} from account where id = {number + 1}")
    fetch(c, f"select owner as {cov('like')} from account where owner like '%%er 1%%' order by owner",
          ())
    try:
        fetch(c, f"select 1 / (id - %s) as {cov('fails')} from account order by id", (number,))
    except psycopg2.errors.DivisionByZero:
        pass
    c.autocommit = False


def reads_then_write(c, number):
    with c:
        fetch(c, point(cov("in_transaction")), (number,))
        fetch(c, f"select sum(total) as {cov('before_write')} from purchase where account = %s",
              (number,))
        with c.cursor() as cursor:
            psycopg2.extras.execute_values(
                cursor, "insert into ledger (account, note) values %s returning id",
                [(number, "psycopg2")] * 3, fetch=True)
        fetch(c, point(skip("transaction_tainted")), (number,))
    fetch(c, f"select owner from account where id = {number} for share")
    c.rollback()


def only_reads(c, number):
    fetch(c, "show transaction_isolation")
    fetch(c, point(cov("after_show")), (number,))
    fetch(c, "set constraints all deferred")
    fetch(c, point(cov("after_set_constraints")), (number,))
    fetch(c, "select pg_backend_pid(), version(), current_database()")
    fetch(c, point(cov("after_server_functions")), (number,))
    fetch(c, "set local timezone = 'Asia/Tokyo'")
    fetch(c, f"select opened::text as {cov('set_local')} from account where id = %s", (number,))
    fetch(c, "select set_config('search_path', %s, true)", ("archive, public",))
    fetch(c, f"select owner as {cov('set_config')} from account where id = %s", (number,))
    c.rollback()
    fetch(c, "set intervalstyle = 'iso_8601'; set datestyle = 'SQL, DMY'; set timezone = 'UTC'")
    fetch(c, f"select opened::text, (opened - '2020-01-01')::text as {cov('three_reported')} "
          "from account where id = %s", (number,))
    c.rollback()
    fetch(c, f"select opened::text as {cov('after_rollback')} from account where id = %s", (number,))
    c.commit()


def savepoints(c, number):
    fetch(c, "savepoint first")
    fetch(c, point(cov("savepoint")), (number,))
    try:
        fetch(c, f"select owner::int as {cov('fails_in_savepoint')} from account where id = %s",
              (number,))
    except psycopg2.errors.InvalidTextRepresentation:
        fetch(c, "rollback to first")
    fetch(c, point(cov("after_rollback_to")), (number,))
    fetch(c, "release first")
    fetch(c, point(cov("after_release")), (number,))
    c.commit()


def failed(c, number):
    try:
        fetch(c, "select no_such_column from account")
    except psycopg2.errors.UndefinedColumn:
        pass
    try:
        fetch(c, point(skip("failed_transaction")), (number,))
    except psycopg2.errors.InFailedSqlTransaction:
        pass
    c.rollback()
    fetch(c, point(cov("after_failed")), (number,))
    c.commit()


def isolation(c, number):
    c.set_session(isolation_level="REPEATABLE READ", readonly=True)
    fetch(c, point(also("first_of_snapshot")), (number,))
    fetch(c, point(skip("old_snapshot")), (number,))
    c.commit()
    c.set_session(isolation_level="DEFAULT", readonly=False)


def cursors(c, number):
    with c.cursor(name="named") as cursor:
        cursor.itersize = 7
        cursor.execute(f"select id, total as {cov('named_cursor')} from purchase where id < 30 "
                       "order by id")
        list(cursor)
    c.commit()
    with c.cursor(name="held", withhold=True) as cursor:
        cursor.execute(f"select id, total as {cov('held_cursor')} from purchase where id < 9 "
                       "order by id")
        cursor.fetchmany(3)
        c.commit()
        cursor.fetchall()
    c.commit()


def copies(c, number):
    with c.cursor() as cursor, open("/dev/null", "w") as nowhere:
        cursor.copy_expert(f"copy (select id, total as {cov('copy')} from purchase where id < 20 "
                           "order by id) to stdout", nowhere)
        cursor.copy_expert(f"copy (select id, total as {cov('copy_csv')} from purchase where id < 20 "
                           "order by id) to stdout with csv header", nowhere)
    c.commit()


def notices(c, number):
    c.autocommit = True
    fetch(c, f"select remarked(id) as {cov('notices')} from account where id < %s order by id",
          (number + 5,))
    fetch(c, "listen news")
    fetch(c, "notify news, 'something'")
    fetch(c, point(cov("after_notify")), (number,))
    fetch(c, "unlisten *")
    c.autocommit = False


def temporary(c, number):
    c.autocommit = True
    fetch(c, "create temporary table account on commit preserve rows as select 1 as id, 'x' as owner,"
          " 2 as balance")
    fetch(c, point(skip("temporary_relation")), (number,))
    fetch(c, "discard temp")
    fetch(c, point(cov("after_discard_temp")), (number,))
    c.autocommit = False
    fetch(c, "create temporary table staging (id int) on commit drop")
    fetch(c, f"insert into staging values ({number})")
    c.commit()
    fetch(c, point(cov("after_on_commit_drop")), (number,))
    c.commit()


def sql_prepare(c, number):
    fetch(c, f"prepare by_id (int) as select id, owner as {cov('sql_execute')} from account "
          "where id = $1")
    fetch(c, f"execute by_id ({number})")
    fetch(c, "deallocate by_id")
    fetch(c, point(cov("after_execute")), (number,))
    c.commit()


def other_temporaries(c, number):
    """Temporary relations hold back the reads that could name them, no others."""
    fetch(c, "create temporary table if not exists staging (id serial primary key, owner text)")
    fetch(c, f"insert into staging (owner) values ('{number}')")
    fetch(c, "create temporary view staged as select owner from staging")
    c.commit()
    fetch(c, point(cov("beside_temporary")), (number,))
    fetch(c, f"select a.owner, sum(p.total) as {cov('joined_beside_temporary')} from account a "
          f"join purchase p on p.account = a.id where a.id = {number} group by 1")
    fetch(c, f"select id as {skip('temporary_relation')} from staging")
    fetch(c, f"select owner as {skip('temporary_relation')} from staged")
    fetch(c, f"select a.owner as {skip('temporary_relation')} from account a "
          "join staging s on s.owner = a.owner")
    c.rollback()
    fetch(c, "alter table staging rename to purchase")
    c.commit()
    fetch(c, f"select count(*) as {skip('temporary_relation')} from purchase")
    fetch(c, f"select count(*) as {cov('by_schema')} from public.purchase")
    c.commit()
    fetch(c, "drop table pg_temp.purchase cascade")
    c.commit()
    fetch(c, f"select count(*) as {cov('after_drop')} from purchase")
    fetch(c, "savepoint made")
    fetch(c, "create temporary table account (id int)")
    fetch(c, "rollback to made")
    c.commit()
    fetch(c, point(cov("after_undone_temporary")), (number,))
    c.commit()


def code(c, number):
    """DO, CALL and functions that the primary's catalogue shows to leave the session alone."""
    for name, sql in (("function", "select noted(1)"), ("call", "call note()"),
                      ("do", "do $$begin perform 1; end$$"), ("booking", f"select booked({number})"),
                      ("do_booking", f"do $$begin perform booked({number}); end$$")):
        fetch(c, point(cov(f"before_{name}")), (number,))
        fetch(c, sql)
        fetch(c, point(skip("transaction_tainted")), (number,))
        c.commit()
        fetch(c, point(cov(f"after_{name}")), (number,))
        c.commit()


def doubts(number):
    """What may have made temporary relations or changed settings, until DISCARD ALL."""
    c = psycopg2.connect(**account())
    for name, sql in (("dynamic", "select dynamic()"),
                      ("do_set", "do $$begin perform set_config('app.x', '1', false); end$$"),
                      ("do_temporary", "do $$begin create temp table staging (id int); end$$")):
        fetch(c, sql)
        c.commit()
        fetch(c, point(skip("temporary_relation")), (number,))
        fetch(c, f"select {number} as {skip('session_unknown')}")
        c.commit()
        c.autocommit = True
        fetch(c, "discard all")
        c.autocommit = False
        fetch(c, point(cov(f"after_{name}_and_discard")), (number,))
        c.commit()
    c.close()


def tenant(c, number):
    fetch(c, "set local app.tenant = %s", (f"tenant {number % 5}",))
    fetch(c, f"select title as {cov('row_security')} from document order by id")
    c.commit()
    fetch(c, "set local role reader")
    fetch(c, f"select current_user, title as {cov('row_security_by_role')} from document order by id")
    c.rollback()
    fetch(c, f"select current_user as {cov('after_role')}")
    c.commit()


def reset(c, number):
    if number % 2:
        c.reset()  # ABORT; RESET ALL; SET SESSION AUTHORIZATION DEFAULT
    else:
        c.autocommit = True
        fetch(c, "discard all")
        c.autocommit = False
    fetch(c, point(cov("after_reset")), (number,))
    c.commit()


def main():
    sessions = [psycopg2.connect(**account()) for _ in range(2)]
    for number in range(1, REQUESTS + 1):
        c = sessions[number % len(sessions)]
        for request in (autocommit_reads, reads_then_write, only_reads, savepoints, failed, isolation,
                        cursors, copies, notices, temporary, other_temporaries, code, sql_prepare, tenant,
                        reset):
            request(c, number)
        doubts(number)
    for c in sessions:
        c.close()
    finish()


main()

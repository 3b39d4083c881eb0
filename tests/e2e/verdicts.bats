# Verdicts: what free order explains is no mismatch, and what it does not is one.

load lib
load verdicts_lib

setup_file() {
	export CANDIDATE_VERSION=15
	start_primary
	start_candidate
	on_both "create table item (id int primary key, kind int not null, name text not null)"
	on_both "insert into item select g, g % 5, 'item ' || g from generate_series(1, 100) g"
	on_both "create table heap (kind int not null, name text not null)"
	# The same rows, in another place each.
	on_primary "insert into heap select g % 5, 'row ' || g from generate_series(1, 100) g"
	on_candidate "insert into heap select g % 5, 'row ' || g from generate_series(100, 1, -1) g"
	make_load_tables
	cluster_psql "$PRIMARY" "$DATABASE" -c "create publication load for table pgbench_accounts, pgbench_tellers,
		pgbench_branches, pgbench_history, toggle"
	(cd / && as_postgres "$DEBIAN_PG_BIN/pg_dump" -s -x -t 'pgbench_*' -t toggle -h "$PRIMARY" \
		-p "$(cluster_port "$PRIMARY")" -U postgres "$DATABASE") | cluster_psql "$CANDIDATE" "$DATABASE" >/dev/null
	on_candidate "grant select on all tables in schema public to pgumbra_ro"
	on_candidate "grant select on pg_replication_origin_status to pgumbra_ro"
	on_candidate "grant execute on function pg_show_replication_origin_status() to pgumbra_ro"
	on_candidate "create subscription load connection 'host=$PRIMARY port=$(cluster_port "$PRIMARY") user=postgres
		dbname=$DATABASE' publication load"
	wait_for "$DEADLINE" "the tables to be copied" tables_are_copied
}

tables_are_copied() {
	[ "$(on_candidate "select bool_and(srsubstate = 'r') and count(*) = 5 from pg_subscription_rel")" = t ]
}

teardown_file() {
	stop_servers
}

teardown() {
	check_afterwards
}

# read_as OUTCOME SQL: one read more ends so.
read_as() {
	local before
	before=$(facts count "$1")
	psql_pgumbra -c "$2" >/dev/null
	expect_outcome "$1" $((before + 1))
}

@test "a changed value under a total order is a mismatch, however few rows are asked for" {
	start_pgumbra verify.backoff=20ms
	on_candidate "update item set name = 'other' where id in (1, 50)"
	read_as mismatch "select name from item order by id limit 1"
	read_as mismatch "select name from item where id = 50 limit 1"
	read_as mismatch "select i.name from item i join item k on k.id = i.id order by k.id limit 1"
	read_as mismatch "select (select name from item order by id limit 1)"
	read_as mismatch "select id, row_number() over (order by id), name from item where id < 3"
	read_as mismatch "select string_agg(name, ',' order by id) from item"
	read_as mismatch "select name from item where id = 50 and kind = 0 limit 2"
	on_candidate "update item set name = 'item ' || id"
}

@test "rows in the wrong places of a total order are a mismatch of class order" {
	start_pgumbra verify.backoff=20ms
	on_candidate "alter table item alter name type text collate \"C\""
	on_primary "alter table item alter name type text collate \"en-x-icu\""
	on_both "insert into item values (201, 9, 'b'), (202, 9, 'B'), (203, 9, 'a'), (204, 9, 'A')"
	read_as mismatch "select name from item where kind = 9 order by name, id"
	expect_discrepancy class=order hint=collation
	on_both "delete from item where kind = 9"
}

# Statements whose answer depends on the heap's order, which the two sides do not share.
free_orders() {
	cat <<-SQL
		select string_agg(name, ',') from heap
		select kind, array_agg(name) from heap group by kind
		select json_agg(name order by kind) from heap
		select row_number() over () as n, name from heap
		select kind, row_number() over (order by kind) as n, lag(name) over (order by kind) from heap
		select ntile(3) over (order by kind), first_value(name) over (partition by kind) from heap
		select sum(length(name)) over (order by kind rows 1 preceding) from heap
		select distinct on (kind) kind, name from heap
		select distinct on (kind) kind, name from heap order by kind, length(name)
		select name from heap order by kind limit 7
		select name from heap order by kind offset 3 limit 7
		select name from heap limit 7
		select name from heap order by kind
		select * from (select name from heap order by kind limit 3) s
		select (select name from heap h where h.kind = k order by length(name) limit 1) from generate_series(0, 4) k
		select array(select name from heap)
		select name from heap where name in (select name from heap order by kind limit 3)
		with s as (select distinct on (kind) kind, name from heap) select max(name) from s
	SQL
}

@test "case 58: sums of floats by parallel workers, and json of another heap order" {
	on_both "create table reading (id int, value float8, body jsonb, raw json, price numeric)"
	on_primary "insert into reading select g, 1.0 / g, jsonb_build_object('b', g, 'a', g / 3.0), '{\"b\": 1,  \"a\": 2}', g::numeric(9, 2)
		from generate_series(1, 60000) g"
	on_candidate "insert into reading select g, 1.0 / g, jsonb_build_object('b', g, 'a', g / 3.0), '{\"b\": 1,  \"a\": 2}', g::numeric(9, 2)
		from generate_series(60000, 1, -1) g"
	on_both "analyze reading"
	start_pgumbra verify.backoff=5ms
	for i in 1 2 3; do
		psql_pgumbra -c "set parallel_setup_cost = 0" -c "set parallel_tuple_cost = 0" -c "set min_parallel_table_scan_size = 0" \
			-c "select sum(value), avg(value), stddev(value) from reading" \
			-c "select id, body, raw, price from reading where id % 1000 = 0" \
			-c "select id % 7, sum(value) from reading group by 1" \
			-c "select max(price), sum(price), min(body::text) from reading" >/dev/null
	done
	expect_outcome mismatch 0
	expect_outcome unverifiable 0
	[ "$(facts count matched)" = 12 ]
	on_candidate "update reading set value = value + 1, price = 0.5, body = '{}' where id = 1000"
	psql_pgumbra -c "select sum(value), avg(value), stddev(value) from reading" \
		-c "select id, body, raw, price from reading where id % 1000 = 0" \
		-c "select id % 7, sum(value) from reading group by 1" \
		-c "select max(price), sum(price), min(body::text) from reading" >/dev/null
	expect_outcome mismatch 4
	on_both "drop table reading"
}

@test "what only the heap's order changes is never a mismatch" {
	local n=0
	start_pgumbra verify.backoff=5ms
	while read -r sql; do
		psql_pgumbra -c "$sql" >/dev/null
		n=$((n + 1))
	done < <(free_orders)
	wait_for "$DEADLINE" "all verdicts" outcome_is "$n" seen
	facts settled
	expect_outcome mismatch 0
	expect_outcome unverifiable 0
	expect_no_discrepancy
	[ "$(facts count ambiguous_order)" -ge 12 ]
}

@test "a changed value among freely ordered ones is found in each of them" {
	local n=0
	start_pgumbra verify.backoff=5ms
	on_candidate "update heap set name = 'wrong ' || name"
	while read -r sql; do
		psql_pgumbra -c "$sql" >/dev/null
		n=$((n + 1))
	done < <(free_orders)
	wait_for "$DEADLINE" "all verdicts" outcome_is "$n" seen
	wait_for "$DEADLINE" "all to be decided" facts settled
	facts discrepancies outcome=mismatch | "$PYTHON" -c '
import json, sys
print(*sorted(json.loads(line)["query"] for line in sys.stdin), sep="\n")' >"$BATS_TEST_TMPDIR/found"
	diff "$BATS_TEST_TMPDIR/found" <(free_orders | LC_ALL=C sort)
	on_candidate "update heap set name = substr(name, 7)"
}

@test "an answer that differs from itself in one snapshot is nondeterministic" {
	start_pgumbra verify.backoff=5ms shadow.allow_functions=noise,turn
	on_both "create function noise() returns float language sql volatile as 'select random()'"
	# The first call of a transaction always says the same, and another thing on each side.
	on_primary "create function turn() returns int language sql volatile as
		\$\$ select set_config('app.n', (coalesce(nullif(current_setting('app.n', true), ''), '0')::int + 1)::text, true)::int \$\$"
	on_candidate "create function turn() returns int language sql volatile as
		\$\$ select 100 + set_config('app.n', (coalesce(nullif(current_setting('app.n', true), ''), '0')::int + 1)::text, true)::int \$\$"
	psql_pgumbra -c "select noise()" -c "select noise()" -c "select turn()" >/dev/null
	expect_outcome nondeterministic 3
	expect_no_discrepancy
}

@test "case 60: TPC-B at full speed with logical replication raises no false alarm" {
	start_pgumbra verify.backoff=100ms verify.max_rate=1000
	load_both "${LOAD_SECONDS:-10}"
	no_false_alarm
	grep 'fence: logical, by the progress of its origin too' "$OPERATOR_LOG"
}

# Of one shape, no two of them the same read.
read_moving_row() {
	for i in {1..300}; do echo "select n from toggle where id in (1, -$i);"; done >"$BATS_TEST_TMPDIR/hot.sql"
	psql_pgumbra -f "$BATS_TEST_TMPDIR/hot.sql" >/dev/null
}

@test "reads of a row that never rests are decided once it does" {
	start_pgumbra verify.backoff=5ms
	write_load_scripts "$BATS_TEST_TMPDIR"
	toggle_row 4
	read_moving_row
	wait "$TOGGLE_PID"
	DEADLINE=30 expect_outcome unverifiable 0
	expect_outcome mismatch 0
	[ "$(facts count matched_after_change)" -gt 0 ]
}

scans_of() { # TABLE: on the primary, by sessions that have ended
	on_primary "select seq_scan + idx_scan from pg_stat_user_tables where relname = '$1'"
}

# "$user" in the search_path is another schema for pgumbra's roles than for the application's.
@test "a control that does not see what the clients see is found and named, and confirms nothing for long" {
	start_pgumbra verify.backoff=1ms verify.max_rate=100000
	on_both "create schema app; create table app.seen (id int primary key, v text); create table seen (id int primary key, v text)"
	on_both "insert into app.seen select g, 'of the application ' || g from generate_series(1, 100) g"
	on_both "insert into seen select g, 'of everybody ' || g from generate_series(1, 100) g"
	on_both "grant usage on schema app to app; grant select on app.seen, seen to app"
	on_primary "grant select on seen to pgumbra_control"
	on_candidate "grant select on seen to pgumbra_ro"
	for i in {1..60}; do echo "select v from seen where id = $i;"; done >"$BATS_TEST_TMPDIR/seen.sql"
	psql_pgumbra -f "$BATS_TEST_TMPDIR/seen.sql" | grep -c 'of the application' | grep -qx 60
	wait_for "$DEADLINE" "all verdicts" outcome_is 60 seen
	expect_outcome mismatch 0
	expect_outcome matched 0
	[ "$(facts count unverifiable not_reproduced)" -ge 40 ]
	grep -q '"outcome":"unverifiable"' "$LOG"
	grep "the control does not reproduce the primary's answers to: select v from seen" "$OPERATOR_LOG"
}

@test "executions of one read that differ at the same time share their re-checks" {
	local reads=200 before
	start_pgumbra verify.backoff=300ms verify.max_rate=100000
	on_candidate "update item set name = 'other' where id = 7"
	before=$(scans_of item)
	for ((i = 0; i < reads; i++)); do echo "select name from item where id = 7;"; done >"$BATS_TEST_TMPDIR/same.sql"
	psql_pgumbra -f "$BATS_TEST_TMPDIR/same.sql" >/dev/null
	expect_outcome mismatch $reads
	expect_discrepancy outcome=mismatch verify.attempts=3
	stop_pgumbra
	on_candidate "update item set name = 'item ' || id"
	# The clients' own, and of the control a few sandwiches; each for itself would be 6 * 200.
	[ $(($(scans_of item) - before)) -ge $((reads + 7)) ]
	[ $(($(scans_of item) - before)) -lt $((2 * reads)) ]
}

@test "executions of one read with different answers of their own are each compared with their own" {
	start_pgumbra verify.backoff=300ms verify.max_rate=100000
	on_candidate "update item set name = 'other' where id = 8"
	for name in 'item 8' 'changed' 'item 8'; do
		on_primary "update item set name = '$name' where id = 8"
		psql_pgumbra -c "select name from item where id = 8" >/dev/null
	done
	expect_outcome mismatch 3
	expect_discrepancy outcome=mismatch 'primary_result.rows=1'
	on_candidate "update item set name = 'item 8' where id = 8"
}

@test "executions of one read are settled together once both sides agree, each by its own answer" {
	start_pgumbra verify.backoff=1s verify.attempts=10 verify.max_rate=100000
	on_candidate "update item set name = 'changed' where id = 9"
	psql_pgumbra -c "select name from item where id = 9" -c "select name from item where id = 9" >/dev/null
	on_primary "update item set name = 'changed' where id = 9"
	expect_outcome matched_after_change 2
	on_candidate "update item set name = 'not yet' where id = 9"
	psql_pgumbra -c "select name from item where id = 9" -c "select name from item where id = 9" >/dev/null
	on_candidate "update item set name = 'changed' where id = 9"
	expect_outcome matched_after_lag 2
	on_both "update item set name = 'item 9' where id = 9"
}

@test "a row that is toggled 500 times a second is never called wrong, not even without a fence" {
	start_pgumbra verify.backoff=1ms verify.max_rate=100000 candidate.candidate.fence=none
	write_load_scripts "$BATS_TEST_TMPDIR"
	for i in {1..500}; do echo "select flag from toggle where id in (1, -$((i / 2)));"; done >"$BATS_TEST_TMPDIR/flags.sql"
	toggle_row 7
	psql_pgumbra -f "$BATS_TEST_TMPDIR/flags.sql" >/dev/null
	wait "$TOGGLE_PID"
	DEADLINE=30 expect_outcome mismatch 0
}

@test "no more reads wait for a quiet moment than may" {
	start_pgumbra verify.backoff=5ms verify.max_rate=100000 verify.quiet_reads=0
	write_load_scripts "$BATS_TEST_TMPDIR"
	toggle_row 5
	read_moving_row
	wait_for "$DEADLINE" "reads for which there is no place" some_unverifiable quiet_queue
	wait "$TOGGLE_PID"
	expect_outcome mismatch 0
}

@test "no read waits for a quiet moment longer than it may" {
	start_pgumbra verify.backoff=5ms verify.max_rate=100000 verify.quiet_wait=0
	write_load_scripts "$BATS_TEST_TMPDIR"
	toggle_row 5
	read_moving_row
	wait_for "$DEADLINE" "reads that waited too long" some_unverifiable moving
	wait "$TOGGLE_PID"
	expect_outcome mismatch 0
}

some_unverifiable() {
	[ "$(facts count unverifiable "$1")" -gt 0 ]
}

noise_of() { # MEMBER
	report | "$PYTHON" -c 'import json, sys; print(sum(s["noise"][sys.argv[1]] for s in json.load(sys.stdin)["shapes"]))' "$1"
}

@test "matched reads in the sample are asked of the control too" {
	start_pgumbra verify.noise_sample=1 verify.max_rate=100000
	psql_pgumbra -c "select kind from item where id = 2" -c "select name from item where id = 1" >/dev/null
	expect_outcome matched 2
	[ "$(noise_of asked)" = 2 ]
	[ "$(noise_of differed)" = 0 ]
	"$PGUMBRA" report "$LOG" | grep '0  of 2 matched reads'
}

@test "a matched read of which the control says something else is noise, and matched" {
	start_pgumbra verify.noise_sample=1 shadow.allow_functions=who verify.max_rate=100000
	on_both "create or replace function who() returns bool language sql volatile as
		\$\$ select current_user = 'pgumbra_control' \$\$"
	psql_pgumbra -c "select who()" >/dev/null
	expect_outcome matched 1
	[ "$(noise_of differed)" = 1 ]
}

matched_in_the_end() { # COUNT
	[ "$(($(facts count matched) + $(facts count matched_after_lag)))" = "$1" ]
}

@test "case 60: a read behind a transaction of 20,000 rows is never early" {
	start_pgumbra verify.backoff=5ms
	for i in 1 2 3; do
		psql_pgumbra -c "update pgbench_accounts set abalance = abalance + $i where aid <= 20000"
		psql_pgumbra -c "select sum(abalance) from pgbench_accounts where aid <= 20000" >/dev/null
		# decided before the next transaction changes what the control says
		wait_for "$DEADLINE" "$i of three to match" matched_in_the_end "$i"
	done
	expect_outcome mismatch 0
	expect_outcome unverifiable 0
}

@test "case 60: an idle primary behind writes that nobody publishes lets the fence pass" {
	start_pgumbra verify.backoff=5ms candidate.candidate.fence_timeout=20s
	on_primary "create table unpublished as select g from generate_series(1, 1000) g"
	on_primary "select pg_switch_wal()"
	on_candidate "update pgbench_branches set bbalance = bbalance + 7777 where bid = 1"
	read_as mismatch "select bbalance from pgbench_branches where bid = 1"
	expect_discrepancy outcome=mismatch verify.fence=logical
	on_candidate "update pgbench_branches set bbalance = bbalance - 7777 where bid = 1"
	on_primary "drop table unpublished"
}

@test "case 60: while a table is being copied nothing is called a mismatch" {
	on_candidate "alter system set max_sync_workers_per_subscription = 0"
	on_candidate "select pg_reload_conf()"
	on_primary "create table late as select g as id from generate_series(1, 10) g"
	on_primary "grant select on late to app, pgumbra_control"
	on_candidate "create table late (id int); grant select on late to pgumbra_ro"
	on_primary "alter publication load add table late"
	on_candidate "alter subscription load refresh publication"
	start_pgumbra verify.backoff=5ms candidate.candidate.fence_timeout=300ms
	read_as unverifiable "select id from late where id = 3"
	expect_outcome unverifiable fence_timeout 1
	on_candidate "alter system reset max_sync_workers_per_subscription"
	on_candidate "select pg_reload_conf()"
	wait_for "$DEADLINE" "the table to be copied" late_is_copied
	read_as matched "select id from late where id = 3"
}

late_is_copied() {
	[ "$(on_candidate "select srsubstate from pg_subscription_rel where srrelid = 'late'::regclass")" = r ]
}

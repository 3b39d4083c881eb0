# The main job: reads of a relayed session run on the candidate, are compared, and every difference
# that survives verification is in the log. L1, L3, L5, L6, L7 as a user sees them.

load lib

setup_file() {
	start_primary
	start_candidate
	on_both "
		create type mood as enum ('sad', 'ok', 'happy');
		create table item (id int primary key, name text not null, price numeric(10,2),
			tags text[], extra jsonb, made timestamptz, feeling mood, code uuid, raw bytea);
		insert into item select g, 'item ' || g, g * 1.25, array['a' || g, 'b'],
			jsonb_build_object('n', g, 'even', g % 2 = 0),
			timestamptz '2024-01-01 00:00:00+00' + g * interval '1 hour',
			(enum_range(null::mood))[1 + g % 3], md5(g::text)::uuid, decode(md5(g::text), 'hex')
			from generate_series(1, 500) g;
		create table changed as select * from item; -- one row differs on the candidate
		create table shorter as select * from item; -- one row is missing there
		create table note (id serial primary key, body text);"
	on_candidate "update changed set name = 'other' where id = 7"
	on_candidate "delete from shorter where id = 9"
}

teardown_file() {
	stop_servers
}

setup() {
	start_candidate # a test may have stopped it
}

teardown() {
	check_afterwards
}

# bats test_tags=short
@test "equal answers are counted as matched, and the client sees the primary's bytes" {
	local query="select * from item order by id"
	start_pgumbra
	psql_pgumbra -c "$query" >"$BATS_TEST_TMPDIR/through"
	psql_primary -c "$query" >"$BATS_TEST_TMPDIR/direct"
	cmp "$BATS_TEST_TMPDIR/through" "$BATS_TEST_TMPDIR/direct"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/through")" = 500 ]
	psql_pgumbra -c "select count(*) from item where tags @> array['b']"
	expect_outcome matched 2
	expect_no_discrepancy
}

# bats test_tags=short
@test "a changed value is a verified mismatch of class values that names the cells" {
	start_pgumbra
	psql_pgumbra -c "select id, name from changed where id = 7"
	expect_outcome mismatch 1
	expect_discrepancy outcome=mismatch class=values verify.verified=true diff.changed=1
	facts discrepancies diff.changed=1 | grep '"item 7"' | grep '"other"'
}

@test "a missing row is a mismatch of class missing_rows" {
	start_pgumbra
	psql_pgumbra -c "select id from shorter where id between 8 and 10 order by id"
	psql_pgumbra -c "select count(*) from shorter"
	expect_outcome mismatch 2
	expect_discrepancy class=missing_rows diff.missing=1 diff.extra=0
	expect_discrepancy class=values
}

# bats test_tags=short
@test "the extended protocol: pgbench -M extended and prepared, each execution is one read" {
	cat >"$BATS_TEST_TMPDIR/read.sql" <<-'SQL'
		\set id random(1, 500)
		select name, price, extra, made, feeling, code, raw from item where id = :id;
	SQL
	start_pgumbra
	pgbench_pgumbra -M extended -f "$BATS_TEST_TMPDIR/read.sql" -c 2 -t 20
	pgbench_pgumbra -M prepared -f "$BATS_TEST_TMPDIR/read.sql" -c 2 -t 20
	expect_outcome matched 80
	[ "$(facts count relayed)" = 80 ]
	expect_no_discrepancy
}

@test "rows without an ORDER BY match in any order" {
	on_both "drop table if exists heap; create table heap as select g as id from generate_series(1, 50) g"
	on_candidate "begin; create table h as select id from heap order by id desc; drop table heap;
		alter table h rename to heap; commit; grant select on heap to pgumbra_ro"
	start_pgumbra
	psql_pgumbra -c "select id from heap"
	psql_pgumbra -c "select id from heap order by id"
	expect_outcome matched 2
}

# bats test_tags=short
@test "writes never reach the candidate (L3)" {
	local before
	before=$(on_candidate "select count(*) from note")
	start_pgumbra
	psql_pgumbra -c "insert into note (body) values ('x')"
	psql_pgumbra -c "with w as (insert into note (body) values ('y') returning id) select id from w"
	psql_pgumbra -c "select id from note where id = 1 for update"
	psql_pgumbra -c "select nextval('note_id_seq')"
	psql_pgumbra -c "update note set body = 'z'"
	expect_outcome skipped 5
	expect_outcome skipped not_a_read 2
	expect_outcome skipped writes 2
	expect_outcome skipped volatile_function 1
	[ "$(on_candidate "select count(*) from note")" = "$before" ]
	[ "$(on_candidate "select is_called from note_id_seq")" = f ]
}

@test "a read behind a write in the same transaction is skipped as tainted" {
	start_pgumbra
	psql_pgumbra <<-'SQL'
		begin;
		select count(*) from item;
		insert into note (body) values ('t');
		select count(*) from note;
		rollback;
		select count(*) from item;
	SQL
	expect_outcome skipped transaction_tainted 1
	expect_outcome matched 2
}

@test "the same error on both sides is a match, an error of the candidate alone is not" {
	start_pgumbra
	run psql_pgumbra -c "select 1/0 from item where id = 1"
	[ "$status" != 0 ]
	expect_outcome matched 1
	on_candidate "revoke select on item from pgumbra_ro"
	psql_pgumbra -c "select id from item where id = 1"
	expect_discrepancy class=error candidate_result.sqlstate=42501
	on_candidate "grant select on item to pgumbra_ro"
}

@test "every statement of a simple Query is an execution, up to the one that fails" {
	start_pgumbra
	run psql_pgumbra -c "select 1 from item where id = 1; select 2 from item where id = 2; select 1/0 from item; select 3"
	expect_outcome seen 3
	expect_outcome matched 3
	[ "$(facts count relayed)" = 1 ]
}

@test "settings of the session go with the read" {
	start_pgumbra
	psql_pgumbra <<-'SQL'
		set datestyle = 'German, DMY';
		set timezone = 'Asia/Kathmandu';
		select made from item order by id limit 5;
		set search_path = nowhere, public;
		select name from item where id = 3;
	SQL
	expect_outcome matched 2
	expect_no_discrepancy
}

# bats test_tags=short
primary_escapes() {
	[ "$(psql_primary -Atc "show bytea_output")" = escape ]
}

@test "settings of the primary itself, which no server reports, go with the read" {
	on_primary "alter system set bytea_output = 'escape'"
	on_primary "alter system set extra_float_digits = 0"
	on_primary "select pg_reload_conf()"
	wait_for "$DEADLINE" "the new setting" primary_escapes
	start_pgumbra
	psql_pgumbra -c "select raw, 1::float8 / 3 from item where id = 1"
	expect_outcome matched 1
	expect_no_discrepancy
	on_primary "alter system reset bytea_output"
	on_primary "alter system reset extra_float_digits"
	on_primary "select pg_reload_conf()"
}

@test "killing the shadow process costs evidence, never a client's byte (L7)" {
	local old
	start_pgumbra
	announce_errors 'shadow'
	old=$(shadow_pid)
	echo "select count(*) from item;" >"$BATS_TEST_TMPDIR/count.sql"
	pgbench_pgumbra -f "$BATS_TEST_TMPDIR/count.sql" -c 2 -R 300 -T 12 >"$BATS_TEST_TMPDIR/bench" 2>&1 &
	wait_for "$DEADLINE" "a match" matched_something
	kill -9 "$old"
	wait $!
	grep 'number of failed transactions: 0' "$BATS_TEST_TMPDIR/bench"
	wait_for "$DEADLINE" "another shadow process" shadow_is_not "$old"
	wait_for "$DEADLINE" "a restart in the log" grep -q '"restarted":true' "$LOG"
	wait_for "$DEADLINE" "its two sessions to be taken up again" resumed_are 2
	psql_pgumbra -c "select name from item where id = 77"
	wait_for "$DEADLINE" "the shadow to match again" shape_matched 'select name from item where id = $1'
}

resumed_are() {
	report | "$PYTHON" -c '
import json, sys
sys.exit(json.load(sys.stdin)["observer"]["resumed"] < int(sys.argv[1]))' "$1"
}

matched_something() {
	[ "$(facts count matched)" -gt 0 ]
}

shadow_is_not() {
	local now
	now=$(shadow_pid) && [ "$now" != "$1" ]
}

shape_matched() {
	report | "$PYTHON" -c '
import json, sys
sys.exit(not any(s["normalized"] == sys.argv[1] and s["outcomes"].get("matched") for s in json.load(sys.stdin)["shapes"]))' "$1"
}

@test "a candidate that is gone costs evidence only, and is found again" {
	start_pgumbra "candidate.candidate.breaker_failures=1" "candidate.candidate.breaker_open_time=1s"
	psql_pgumbra -c "select id from item where id = 1"
	expect_outcome matched 1
	stop_candidate immediate
	for id in 1 2 3; do psql_pgumbra -c "select id from item where id = $id"; done
	wait_for "$DEADLINE" "the reads to end" facts settled
	[ "$(facts count mismatch)" = 0 ]
	[ "$(facts count matched)" = 1 ]
	start_candidate
	wait_for "$DEADLINE" "a match again" matches_again
}

matches_again() {
	psql_pgumbra -c "select id from item where id = 4" && [ "$(facts count matched)" -gt 1 ]
}

@test "values=hashed keeps values out of the log, which is for its owner alone (L6)" {
	start_pgumbra discrepancies.values=hashed
	psql_pgumbra -c "select id, name from changed where name = 'item 7' or id = 7"
	expect_outcome mismatch 1
	expect_discrepancy outcome=mismatch
	run grep -E 'item 7|other' "$LOG"
	[ "$status" = 1 ]
	[ "$(stat -c %a "$LOG")" = 600 ]
	[ "$(stat -c %a "$LOG.key")" = 600 ]
}

@test "sample=0 runs nothing and says so" {
	start_pgumbra shadow.sample=0
	psql_pgumbra -c "select id from item where id = 1"
	expect_outcome skipped sampled_out 1
	[ "$(facts count matched)" = 0 ]
}

@test "SIGHUP reopens the log, and the two files together balance" {
	start_pgumbra
	psql_pgumbra -c "select id from item where id = 1"
	expect_outcome matched 1
	mv "$LOG" "$LOG.1"
	kill -HUP "$PGUMBRA_PID"
	wait_for "$DEADLINE" "the new log" test -e "$LOG"
	psql_pgumbra -c "select id from item where id = 2"
	stop_pgumbra
	cat "$LOG.1" "$LOG" >"$LOG.both"
	LOG=$LOG.both
	expect_outcome matched 2
}

# Equality by type: strict, unless a setting of [compare] widens it, and then counted.

load lib

setup_file() {
	start_primary
	start_candidate
	on_both "create table t (k text primary key, f float8, n numeric, ts timestamptz, j json, i interval)"
	on_primary "insert into t values ('a', 0.1, 1.0, '2024-01-01 12:00:00.123456+00', '{\"a\":1, \"b\":2}', '1 mon')"
	on_candidate "insert into t values ('a', 0.10000000000000002, 1.00, '2024-01-01 12:00:00.123+00', '{\"b\":2,\"a\":1.0}', '30 days')"
	# The same floats, in another order each: their sums differ in the last digits.
	on_both "create table heap (x float8)"
	on_primary "insert into heap select 1.0 / g from generate_series(1, 1000) g"
	on_candidate "insert into heap select 1.0 / g from generate_series(1000, 1, -1) g"
	on_both "create type size as enum ('small', 'large')"
	on_candidate "create type unrelated as enum ('x')"
	on_both "create table item (size size, sizes size[])"
	on_both "insert into item values ('small', '{small,large}')"
	on_both "create domain amount as numeric; create type price as (amount amount, currency text)"
	on_both "create table offer (price price, prices price[])"
	on_primary "insert into offer values ((1.0, 'EUR'), '{\"(1.0,EUR)\"}')"
	on_candidate "insert into offer values ((1.00, 'EUR'), '{\"(1.00,EUR)\"}')"
}

teardown_file() {
	stop_servers
}

teardown() {
	check_afterwards
}

# A session that reads nothing makes pgumbra read the catalogue; on a busy machine that takes longer
# than the first reads wait for it.
start_and_settle() {
	start_pgumbra "$@"
	psql_pgumbra -c "set application_name = 'typed'"
	wait_for "$DEADLINE" "the catalogue to be read" grep -q 'catalogue read' "$OPERATOR_LOG"
}

widened() { # NAME COUNT: so many executions were equal by this setting, in total and by shape
	report | "$PYTHON" -c "
import json, sys
report = json.load(sys.stdin)
books = report['books']['candidate']['widened'].get('$1', 0)
assert books == sum(s['widened'].get('$1', 0) for s in report['shapes']) == $2, books"
}

@test "float aggregates may differ by what the order of adding explains, and the report says so" {
	[ "$(on_primary "select sum(x) from heap")" != "$(on_candidate "select sum(x) from heap")" ]
	start_and_settle verify.backoff=20ms
	psql_pgumbra -c "select sum(x) from heap"
	psql_pgumbra -c "select s from (select sum(x) s, count(*) from heap) q"
	expect_outcome matched 2
	wait_for "$DEADLINE" "two widenings" widened float_aggregates 2
	"$PGUMBRA" report "$LOG" | grep -q '2  equal only by compare.float_aggregates, of 2 shapes'
	psql_pgumbra -c "select f from t"
	expect_outcome mismatch 1
	expect_discrepancy class=values hint=float_ulp
}

@test "float aggregates are compared exactly where that is asked for" {
	start_and_settle verify.backoff=20ms compare.float_aggregates=exact
	psql_pgumbra -c "select sum(x) from heap"
	expect_outcome mismatch 1
}

@test "each setting makes its own values equal, and none other's" {
	local name value column other
	while read -r name value column; do
		start_and_settle verify.backoff=20ms "compare.$name=$value"
		for other in f n ts j i; do psql_pgumbra -c "select $other from t" </dev/null >/dev/null; done
		expect_outcome mismatch 4
		expect_outcome matched 1
		expect_no_discrepancy "normalized=select $column from t"
		wait_for 5 "$name to be counted" widened "$name" 1
		stop_pgumbra
		books_balance
		no_sanitizer_report
		no_unannounced_error
		rm "$LOG" "$OPERATOR_LOG"
	done <<-SETTINGS
		float_ulp 2 f
		float_tolerance 1e-12 f
		numeric_scale ignore_trailing_zeros n
		timestamp_precision 3 ts
		json value j
		interval value i
	SETTINGS
}

@test "values of user-defined types are told apart by name, in binary too" {
	[ "$(on_primary "select 'size'::regtype::oid")" != "$(on_candidate "select 'size'::regtype::oid")" ]
	start_and_settle
	PGPASSWORD=app "$PYTHON" - "$ADDRESS user=app dbname=$DATABASE" <<-'PYTHON'
		import psycopg, sys
		with psycopg.connect(sys.argv[1], autocommit=True) as connection:
		    with connection.cursor(binary=True) as cursor:
		        cursor.execute("select size, sizes, row(size, 1.0) from item")
		        cursor.fetchall()
	PYTHON
	expect_outcome matched 1
	expect_no_discrepancy
}

@test "values inside composites and arrays of users' types are compared as what they are" {
	start_and_settle verify.backoff=20ms compare.numeric_scale=ignore_trailing_zeros
	psql_pgumbra -c "select price, prices from offer"
	PGPASSWORD=app "$PYTHON" - "$ADDRESS user=app dbname=$DATABASE" <<-'PYTHON'
		import psycopg, sys
		with psycopg.connect(sys.argv[1], autocommit=True) as connection:
		    with connection.cursor(binary=True) as cursor:
		        cursor.execute("select prices, price from offer")
		        cursor.fetchall()
	PYTHON
	expect_outcome matched 2
	wait_for 5 "both to be counted" widened numeric_scale 2
	on_candidate "update offer set price = (1.01, 'EUR')"
	psql_pgumbra -c "select price, prices from offer"
	expect_outcome mismatch 1
	expect_discrepancy hint=record_field
}

show_found() { # CLASS: the record of that class, side by side
	run "$PGUMBRA" show "$LOG" "$("$PYTHON" -c '
import json, sys
print(next(r["id"] for r in map(json.loads, open(sys.argv[1])) if r.get("class") == sys.argv[2]))' "$LOG" "$1")"
	[ "$status" = 0 ]
}

shown() { # PATTERN
	grep -E "$1" <<<"$output" || { echo "not shown: $1"; echo "$output"; return 1; }
}

@test "a text that sorts differently is shown place by place" {
	on_both "create table word (w text collate \"C\"); insert into word values ('a'), ('b'), ('B'), ('c')"
	on_candidate "alter table word alter column w type text collate \"und-x-icu\""
	start_and_settle
	psql_pgumbra -c "select w from word order by w"
	expect_outcome mismatch 1
	expect_discrepancy outcome=mismatch class=order hint=collation diff.moved_places=3
	show_found order
	shown '^order +differs at 3 places$'
	shown "^place 1: moved\$"
	shown "^w \* +'B' +'a'\$"
	shown "^w \* +'a' +'b'\$"
}

@test "hashed values stay hashed where the order differs" {
	start_and_settle discrepancies.values=hashed
	psql_pgumbra -c "select w from word order by w"
	expect_outcome mismatch 1
	show_found order
	shown '^w \* +hash [0-9a-f]{12} +hash [0-9a-f]{12}$'
	! grep -F '"B"' "$LOG"
}

@test "types of columns that differ are written as PostgreSQL writes them" {
	on_both "create table money (n numeric(10,2), v varchar(20), c char(5), b bit(8), i interval day to second(3),
		ts timestamp(3), a numeric(4,1)[])"
	on_candidate "alter table money alter n type numeric(10,3), alter v type varchar(30), alter c type char(6),
		alter b type bit(9), alter i type interval, alter ts type timestamp(0), alter a type numeric(4,2)[]"
	start_and_settle
	psql_pgumbra -c "select * from money"
	expect_outcome mismatch 1
	show_found columns
	shown '^column 1 \* +n numeric\(10,2\) +n numeric\(10,3\)$'
	shown '^column 2 \* +v varchar\(20\) +v varchar\(30\)$'
	shown '^column 3 \* +c char\(5\) +c char\(6\)$'
	shown '^column 4 \* +b bit\(8\) +b bit\(9\)$'
	shown '^column 5 \* +i interval day to second\(3\) +i interval$'
	shown '^column 6 \* +ts timestamp\(3\) +ts timestamp\(0\)$'
	shown '^column 7 \* +a numeric\(4,1\)\[\] +a numeric\(4,2\)\[\]$'
	"$PGUMBRA" report "$LOG" | grep 'n numeric(10,2), v varchar(20)'
	"$PGUMBRA" report --format html "$LOG" | grep -F '<code>n numeric(10,3)</code>'
	"$PGUMBRA" report "$LOG" | { ! grep typmod; }
}

# No false alarm, and no miss: the catalogue's reads, and shapes whose answers may differ without a
# defect, under a light load of writes; then every defect is planted, and each is reported.

load lib

CATALOGUE=$BATS_TEST_DIRNAME/defects.catalogue
DEFECTS=$REPOSITORY/tests/tools/defects

setup_file() {
	start_primary
	start_candidate
	on_both "create table moving (id int primary key, n int, at timestamptz)"
	on_primary "insert into moving select g, 0, now() from generate_series(1, 100) g"
	# The same rows in another place each, floats whose sum depends on it.
	on_both "create table heap (id int, kind int, name text, x float8)"
	on_primary "insert into heap select g, g % 5, 'name ' || g, 1.0 / g from generate_series(1, 500) g"
	on_candidate "insert into heap select g, g % 5, 'name ' || g, 1.0 / g from generate_series(500, 1, -1) g"
	"$DEFECTS" "$CATALOGUE" both >"$E2E_DIR/both.sql"
	on_both "$(cat "$E2E_DIR/both.sql")"
	replicate
	cluster_psql "$PRIMARY" postgres -c "alter role pgumbra_control noinherit" -c "grant app to pgumbra_control"
	impersonating "$CANDIDATE"
}

teardown_file() {
	stop_servers
}

teardown() {
	if [ -n "${LOAD_PID:-}" ]; then kill "$LOAD_PID" 2>/dev/null || true; fi
	check_afterwards
}

# What the load writes reaches the candidate.
replicate() {
	on_primary "create publication moving for table moving"
	on_candidate "create subscription moving connection 'host=$PRIMARY port=$(cluster_port "$PRIMARY")
		user=postgres dbname=$DATABASE' publication moving"
	wait_for 60 "the table to be copied" is_in_step
}

is_in_step() {
	[ "$(on_candidate "select every(srsubstate = 'r') from pg_subscription_rel")" = t ]
}

impersonating() { # CLUSTER
	if [ "$(cluster_psql "$1" postgres -At -c "show server_version_num")" -ge 160000 ]; then
		cluster_psql "$1" postgres -c "grant app to pgumbra_ro with inherit false, set true"
	else
		cluster_psql "$1" postgres -c "alter role pgumbra_ro noinherit" -c "grant app to pgumbra_ro"
	fi
}

# Light: one client, a hundred transactions a second, each with a write and reads of what moves.
start_load() {
	cat >"$BATS_TEST_TMPDIR/load.sql" <<-'SQL'
		\set id random(1, 100)
		update moving set n = n + 1, at = now() where id = :id;
		select n from moving where id = :id;
		select id, n from moving where id between :id and :id + 9;
	SQL
	pgbench_pgumbra -c 1 -R 100 -T 600 -f "$BATS_TEST_TMPDIR/load.sql" \
		>"$BATS_TEST_TMPDIR/load.log" 2>&1 3>&- &
	LOAD_PID=$!
	wait_for "$DEADLINE" "the load to write" load_writes
	wait_for "$DEADLINE" "its reads to be compared" load_is_compared
}

load_writes() {
	[ "$(on_primary "select sum(n) from moving")" -gt 10 ]
}

# The catalogues have been read then; on a busy machine that takes longer than reads wait for it.
load_is_compared() {
	[ "$(facts count matched)" -gt 0 ]
}

stop_load() {
	kill "$LOAD_PID"
	wait "$LOAD_PID" || true
	LOAD_PID=
}

read_catalogue() {
	PGPASSWORD=app "$DEFECTS" "$CATALOGUE" read "$ADDRESS user=app dbname=$DATABASE" 2
}

# Answers that may differ from one time to the next, and mean the same.
read_free_shapes() {
	psql_pgumbra >/dev/null <<-'SQL'
		select sum(x), avg(x), stddev(x) from heap;
		select kind, sum(x) from heap group by kind;
		select string_agg(name, ',') from heap;
		select array_agg(id) from heap where kind = 1;
		select json_agg(name) from heap where id < 9;
		select id, row_number() over () from heap where kind = 2;
		select distinct on (kind) kind, name from heap order by kind;
		select (select name from heap limit 1);
		select name from heap limit 3;
		select kind, name from heap order by kind limit 7;
		select kind, first_value(name) over (partition by kind) from heap where id < 20;
		select name from heap order by kind;
		select count(*) from moving where at > now() - interval '1 hour';
		select sum(n) from moving;
		select id, n from moving order by n desc, id limit 5;
	SQL
}

reads_are_settled() {
	facts settled
}

no_false_alarm() {
	facts discrepancies outcome=mismatch >"$BATS_TEST_TMPDIR/alarms"
	[ ! -s "$BATS_TEST_TMPDIR/alarms" ] || { cut -c 1-900 "$BATS_TEST_TMPDIR/alarms"; return 1; }
	[ "$(facts count mismatch)" = 0 ]
}

plant() {
	"$DEFECTS" "$CATALOGUE" plant >"$BATS_TEST_TMPDIR/plant.sql"
	"$DEFECTS" "$CATALOGUE" primary >"$BATS_TEST_TMPDIR/primary.sql"
	on_primary "$(cat "$BATS_TEST_TMPDIR/primary.sql")" >/dev/null
	on_candidate "$(cat "$BATS_TEST_TMPDIR/plant.sql")" >/dev/null
}

@test "before the planting nothing is a mismatch, after it every defect is, as what it is" {
	start_pgumbra verify.backoff=20ms verify.max_rate=1000 discrepancies.examples_per_shape=1 \
		candidate.candidate.impersonate=set_role control.impersonate=set_role
	start_load
	for round in 1 2 3; do read_free_shapes; done
	read_catalogue
	stop_load
	wait_for "$DEADLINE" "every read to be decided" reads_are_settled
	no_false_alarm
	report | "$DEFECTS" "$CATALOGUE" matched 2
	mv "$LOG" "$BATS_TEST_TMPDIR/before.jsonl"
	stop_pgumbra
	plant
	start_pgumbra verify.backoff=20ms verify.max_rate=1000 discrepancies.examples_per_shape=1 \
		candidate.candidate.impersonate=set_role control.impersonate=set_role
	start_load
	read_catalogue
	read_free_shapes
	stop_load
	wait_for "$DEADLINE" "every read to be decided" reads_are_settled
	report | "$DEFECTS" "$CATALOGUE" check 2
}

@test "a wrong setting of a role, which dark reads never run with, is found by check" {
	on_candidate "alter role app in database $DATABASE set datestyle = 'German'"
	run "$PGUMBRA" check --log "$BATS_TEST_TMPDIR/log" --primary "$(address_of "$PRIMARY")" \
		--candidate "$(address_of "$CANDIDATE") user=pgumbra_ro password=pgumbra_ro" \
		--control "$(address_of "$PRIMARY") user=pgumbra_control password=pgumbra_control dbname=$DATABASE"
	echo "$output" | grep -i datestyle
}

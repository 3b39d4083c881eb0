# Load that must not raise a false alarm: TPC-B, a row that is toggled, and reads of what they change.

# The tables of the load, on the primary: made before a candidate is cloned or subscribed.
make_load_tables() {
	local port
	port=$(cluster_port "$PRIMARY")
	pgbench -q -i -s 2 -h "$PRIMARY" -p "$port" -U postgres "$DATABASE" >/dev/null 2>&1
	on_primary "create table toggle (id int primary key, flag bool not null, n bigint not null)"
	on_primary "insert into toggle values (1, false, 0)"
	on_primary "alter table pgbench_history add id bigint generated always as identity primary key"
	on_primary "create index on pgbench_history (aid); create index on pgbench_history (mtime)"
	on_primary "grant all on all tables in schema public to app"
	on_primary "grant usage on all sequences in schema public to app"
	on_primary "grant select on all tables in schema public to pgumbra_control"
}

write_load_scripts() { # DIRECTORY
	cat >"$1/reads.sql" <<-'SQL'
		\set a random(1, 199900)
		\set b random(1, 2)
		\set t random(1, 20)
		select abalance from pgbench_accounts where aid = :a;
		select aid, abalance from pgbench_accounts where aid between :a and :a + 99;
		select bbalance from pgbench_branches where bid = :b;
		select tid, tbalance from pgbench_tellers where bid = :b order by tbalance desc limit 3;
		select b.bid, sum(t.tbalance) from pgbench_branches b join pgbench_tellers t using (bid) group by b.bid;
		select a.abalance, t.tbalance from pgbench_accounts a, pgbench_tellers t where a.aid = :a and t.tid = :t;
		select count(*) from pgbench_history where mtime > now() - interval '1 second';
		select string_agg(delta::text, ',') from pgbench_history where aid between :a and :a + 999;
		select row_number() over (order by bid), tid, delta from pgbench_history where aid between :a and :a + 99 limit 20;
		select distinct on (bid) bid, tid, aid from pgbench_history where aid between :a and :a + 999 order by bid, tid;
		select flag from toggle where id = 1;
	SQL
	cat >"$1/sums.sql" <<-'SQL'
		set local max_parallel_workers_per_gather = 2;
		select sum(abalance), avg(abalance::float8), sum(abalance / 3.0::float8) from pgbench_accounts;
		select count(*), sum(tbalance) from pgbench_tellers;
		\sleep 200 ms
	SQL
	echo "update toggle set flag = not flag, n = n + 1 where id = 1;" >"$1/toggle.sql"
}

# toggle_row SECONDS: in the background.
toggle_row() {
	PGPASSWORD=app pgbench -n -h 127.0.0.1 -p "$(cluster_port "$PRIMARY")" -U app -R 500 -T "$1" \
		-f "$BATS_TEST_TMPDIR/toggle.sql" "$DATABASE" >"$BATS_TEST_TMPDIR/toggle.out" 2>&1 3>&- &
	TOGGLE_PID=$!
}

# load_both SECONDS: writers go to the primary, readers through pgumbra.
load_both() {
	local seconds=$1 at=$BATS_TEST_TMPDIR tpcb sums
	write_load_scripts "$at"
	PGPASSWORD=app pgbench -n -h 127.0.0.1 -p "$(cluster_port "$PRIMARY")" -U app -c 4 -T "$seconds" \
		"$DATABASE" >"$at/tpcb.out" 2>&1 3>&- &
	tpcb=$!
	toggle_row "$seconds"
	pgbench_pgumbra -T "$seconds" -f "$at/sums.sql" >"$at/sums.out" 2>&1 3>&- &
	sums=$!
	pgbench_pgumbra -c 2 -R "${READ_RATE:-15}" -T "$seconds" -M "${READ_PROTOCOL:-simple}" -f "$at/reads.sql" \
		>"$at/reads.out" 2>&1
	wait "$tpcb" && wait "$TOGGLE_PID" && wait "$sums" || { tail -n 5 "$at"/*.out; return 1; }
}

# Nothing is called a mismatch, and points and ranges are nearly all decided.
no_false_alarm() {
	DEADLINE=30 expect_outcome mismatch 0
	expect_no_discrepancy outcome=mismatch
	report | "$PYTHON" -c '
import json, sys
worst, compared = 0, 0
for shape in json.load(sys.stdin)["shapes"]:
    outcomes = shape["outcomes"]
    undecided = sum(sum(v.values()) if isinstance(v, dict) else v for k, v in outcomes.items() if k == "unverifiable")
    share = undecided / max(shape["executions"], 1)
    print("%7d %7.2f%% unverifiable %s  %s" % (shape["executions"], share * 100, json.dumps(outcomes), shape["normalized"][:70]))
    if "from pgbench_accounts where aid" in shape["normalized"]:
        worst = max(worst, share)
        compared += shape["executions"]
sys.exit(f"points and ranges: {worst:.2%} of {compared}" if worst >= 0.01 or compared < 100 else 0)'
}

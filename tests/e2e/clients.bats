# Real clients: each reads the same directly and through pgumbra (L1), and each of its reads has a
# match on an identical candidate, whichever protocol, format and way of fetching the driver chose.

load lib

CLIENTS=$BATS_TEST_DIRNAME/clients
JDBC=/usr/share/java/postgresql.jar

setup_file() {
	start_primary
	start_candidate
	on_both "$(cat "$CLIENTS/schema.sql")"
	javac -cp "$JDBC" -d "$BATS_FILE_TMPDIR" "$CLIENTS/JdbcReads.java"
}

teardown_file() {
	stop_servers
}

teardown() {
	check_afterwards
}

# The program has compared what it read both ways and says reads=N. Its driver may have asked for
# more by itself (types, settings), which isn't counted here, but must not differ either.
reads_match() {
	start_pgumbra
	HOST=127.0.0.1 PORT=$PGUMBRA_PORT DIRECT_PORT=$(cluster_port "$PRIMARY") DBNAME=$DATABASE \
		DBUSER=app DBPASSWORD=app NODE_MODULES=$REPOSITORY/build/npm PYTHONDONTWRITEBYTECODE=1 \
		"$@" | tee "$BATS_TEST_TMPDIR/client"
	reads=$(sed -n 's/^reads=//p' "$BATS_TEST_TMPDIR/client")
	[ "$reads" -gt 20 ]
	wait_for "$DEADLINE" "$reads matches" matched_at_least "$reads"
	for outcome in mismatch unverifiable candidate_failed ambiguous_order dropped; do
		expect_outcome $outcome 0
	done
	expect_no_discrepancy
}

matched_at_least() {
	[ "$(facts count matched)" -ge "$1" ] && facts settled
}

@test "psycopg 3: text, binary, pipelines, prepared statements, streams" {
	reads_match "$PYTHON" "$CLIENTS/psycopg3.py"
}

@test "psycopg2: the simple protocol" {
	reads_match "$PYTHON" "$CLIENTS/psycopg2_simple.py"
}

@test "asyncpg: binary, row limits, cursors" {
	reads_match "$PYTHON" "$CLIENTS/asyncpg_binary.py"
}

@test "pgjdbc: prepareThreshold, binary transfer, fetch size, simple mode" {
	reads_match java -cp "$BATS_FILE_TMPDIR:$JDBC" JdbcReads
}

@test "node-postgres: simple, extended and named statements" {
	reads_match node --no-deprecation "$CLIENTS/node_pg.mjs"
}

@test "postgres.js: pipelined queries and cursors" {
	reads_match node "$CLIENTS/node_postgres.mjs"
}

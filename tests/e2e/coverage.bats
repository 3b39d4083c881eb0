# Coverage, driver by driver, on an identical candidate: of the reads in READ COMMITTED before the
# first write of their transaction at least 95% are compared; each of the others is named with its
# reason, and reads that must be skipped are skipped for theirs. See coverage/marks.py.

load lib

COVERAGE=$BATS_TEST_DIRNAME/coverage
JDBC=/usr/share/java/postgresql.jar

setup_file() {
	start_primary
	start_candidate
	on_both "$(cat "$COVERAGE/schema.sql")"
	on_primary "grant temporary on database $DATABASE to app"
	may_become_app pgumbra_control on_primary
	may_become_app pgumbra_ro on_candidate
	javac -cp "$JDBC" -d "$BATS_FILE_TMPDIR" "$COVERAGE/Shop.java"
}

# may_become_app ROLE ON: what impersonate=set_role needs.
may_become_app() {
	local version
	version=$("$2" "show server_version_num")
	if [ "$version" -ge 160000 ]; then
		"$2" "grant app, reader to $1 with inherit false, set true"
	else
		"$2" "alter role $1 noinherit; grant app, reader to $1"
	fi
}

teardown_file() {
	"$PYTHON" "$COVERAGE/tally.py" table "$BATS_FILE_TMPDIR" | sed 's/^/# /' >&3
	stop_servers
}

teardown() {
	check_afterwards
}

# covers DRIVER COMMAND...: the workload runs through a pgumbra of its own.
covers() {
	local driver=$1 runs=$BATS_FILE_TMPDIR/$1.runs report=$BATS_FILE_TMPDIR/$1.report
	shift
	start_pgumbra candidate.candidate.impersonate=set_role control.impersonate=set_role
	HOST=127.0.0.1 PORT=$PGUMBRA_PORT DBNAME=$DATABASE DBUSER=app DBPASSWORD=app \
		NODE_MODULES=$REPOSITORY/build/npm PYTHONDONTWRITEBYTECODE=1 "$@" >"$runs.new"
	mv "$runs.new" "$runs"
	wait_for "$DEADLINE" "every execution to have an outcome" facts settled
	stop_pgumbra
	report >"$report"
	"$PYTHON" "$COVERAGE/tally.py" check "$driver" "$runs" "$report"
}

@test "psycopg 3: prepared by itself, pipelines, cursors, copies, notices, temporary tables" {
	covers psycopg3 "$PYTHON" "$COVERAGE/psycopg3.py"
}

@test "asyncpg: a pool that resets by several statements, fetchrow, cursors, its own type queries" {
	covers asyncpg "$PYTHON" "$COVERAGE/asyncpg_pool.py"
}

@test "pgjdbc: prepareThreshold, fetch size, setMaxRows, autosave, DISCARD ALL" {
	covers pgjdbc java -cp "$BATS_FILE_TMPDIR:$JDBC" Shop
}

@test "psycopg2: the simple protocol, named cursors, execute_values, reset()" {
	covers psycopg2 "$PYTHON" "$COVERAGE/psycopg2_sessions.py"
}

@test "SQLAlchemy: sessions of the ORM, savepoints, isolation levels, pre-ping, streams" {
	covers sqlalchemy "$PYTHON" "$COVERAGE/sqlalchemy_orm.py"
}

@test "node-postgres: a pool, named statements, batches of rows, queued queries" {
	covers node-pg node --no-deprecation "$COVERAGE/node_pool.mjs"
}

# The verbs of the end-to-end tests. A bats file begins so:
#
#	load lib
#	setup_file() { start_primary; start_candidate; on_both "create table t ..."; }
#	teardown_file() { stop_servers; }
#	teardown() { check_afterwards; }
#
# Clusters are made once per file; each test starts its own pgumbra with a log of its own.
# PGUMBRA names the executable (default build/dev/pgumbra). Nothing here waits by the clock: every
# wait has a fact and a deadline.

load ../tools/clusters.bash

PGUMBRA=${PGUMBRA:-$REPOSITORY/build/dev/pgumbra}
FACTS=$REPOSITORY/tests/tools/facts
DEADLINE=${PGUMBRA_TEST_DEADLINE:-60}
DATABASE=app
SANITIZER_REPORT='(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:'
# Reports of the sanitizers come on standard error with the operator's log.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0:exitcode=99}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1:exitcode=99}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=0:exitcode=99}

# --- servers ---

# Roles that every test has: app (reads and writes on the primary, nothing but reads elsewhere
# matter), pgumbra_control on the primary, pgumbra_ro on the candidate; password = name.
prepare_database() {
	cluster_psql "$1" postgres -c "create database $DATABASE"
	cluster_psql "$1" "$DATABASE" <<-SQL
		create role app login password 'app';
		grant all on schema public to app;
		alter default privileges in schema public grant all on tables to app;
		alter default privileges in schema public grant all on sequences to app;
		alter default privileges in schema public grant select on tables to $2;
	SQL
}

make_server() { # DIR BIN READ-ONLY-ROLE [setting=value]...
	local directory=$1 bin=$2 role=$3
	shift 3
	cluster_make "$directory" "$bin" && cluster_start "$directory" "$@" || return 1
	cluster_psql "$directory" postgres -c "create role $role login password '$role'"
	prepare_database "$directory" "$role"
	cluster_psql "$directory" postgres -c "revoke temporary on database $DATABASE from public"
}

e2e_directory() {
	if [ -z "${E2E_DIR:-}" ]; then
		E2E_DIR=$(scratch_directory pgumbra-e2e)
		PRIMARY=$E2E_DIR/primary
		CANDIDATE=$E2E_DIR/candidate
		export E2E_DIR PRIMARY CANDIDATE
	fi
}

# start_primary [setting=value]...: PostgreSQL 15; the second time the same cluster again.
start_primary() {
	e2e_directory
	if [ -d "$PRIMARY" ]; then
		cluster_start "$PRIMARY" "$@"
	else
		make_server "$PRIMARY" "$DEBIAN_PG_BIN" pgumbra_control "$@"
	fi
}

# start_candidate [setting=value]...: PostgreSQL 18 where the npm package is there, else 15.
# CANDIDATE_VERSION=15 asks for 15.
start_candidate() {
	local bin=$DEBIAN_PG_BIN
	e2e_directory
	if [ -d "$CANDIDATE" ]; then
		cluster_start "$CANDIDATE" "$@"
		return
	fi
	if [ "${CANDIDATE_VERSION:-18}" = 18 ]; then bin=$(pg18_bin) || bin=$DEBIAN_PG_BIN; fi
	make_server "$CANDIDATE" "$bin" pgumbra_ro "$@"
}

stop_primary() {
	cluster_stop "$PRIMARY" "${1:-fast}"
}

stop_candidate() {
	cluster_stop "$CANDIDATE" "${1:-fast}"
}

stop_servers() {
	[ -n "${E2E_DIR:-}" ] || return 0
	cluster_stop "$PRIMARY" immediate
	cluster_stop "$CANDIDATE" immediate
	rm -rf "$E2E_DIR"
}

# As the superuser: schema, data, planted differences.
on_primary() {
	cluster_psql "$PRIMARY" "$DATABASE" -At -c "$1"
}

on_candidate() {
	cluster_psql "$CANDIDATE" "$DATABASE" -At -c "$1"
}

on_both() {
	on_primary "$1" && on_candidate "$1"
}

# --- pgumbra ---

# start_pgumbra [section.key=value]...: between the two servers, as ADDRESS (host=... port=...);
# the discrepancy log is $LOG, the operator's log $OPERATOR_LOG. Comes back once it listens and the
# shadow process has said its start. The machine of a test may be busy: only where shedding is tested
# shadowing is shed.
start_pgumbra() {
	local arguments=()
	PGUMBRA_PORT=$(free_port)
	ADDRESS="host=127.0.0.1 port=$PGUMBRA_PORT"
	LOG=$BATS_TEST_TMPDIR/discrepancies.jsonl
	OPERATOR_LOG=$BATS_TEST_TMPDIR/operator.log
	for setting; do arguments+=(--set "$setting"); done
	"$PGUMBRA" run --listen "127.0.0.1:$PGUMBRA_PORT" \
		--primary "host=127.0.0.1 port=$(cluster_port "$PRIMARY")" \
		--candidate "$(address_of "$CANDIDATE") user=pgumbra_ro password=pgumbra_ro" \
		--control "$(address_of "$PRIMARY") user=pgumbra_control password=pgumbra_control" \
		--log "$LOG" --set discrepancies.books_interval=200ms --set shadow.latency_budget=0 \
		--set discrepancies.values=full "${arguments[@]}" \
		>>"$OPERATOR_LOG" 2>&1 3>&- &
	PGUMBRA_PID=$!
	wait_for "$DEADLINE" "pgumbra to listen" pgumbra_is_up ||
		{ tail_logs; return 1; }
}

address_of() {
	echo "host=127.0.0.1 port=$(cluster_port "$1")"
}

pgumbra_is_up() {
	kill -0 "$PGUMBRA_PID" || return 0 # it died: looked at at once, below
	grep -q 'listening on' "$OPERATOR_LOG" && grep -q '"kind":"start"' "$LOG"
}

pgumbra_is_gone() {
	! kill -0 "$PGUMBRA_PID"
}

# stop_pgumbra [SIGNAL]: drains, and must end with 0. Fine when it doesn't run.
stop_pgumbra() {
	local pid=${PGUMBRA_PID:-} status=0
	[ -n "$pid" ] || return 0
	kill -"${1:-TERM}" "$pid" 2>/dev/null
	if ! wait_for "$DEADLINE" "pgumbra to stop" pgumbra_is_gone; then
		kill -ABRT "$pid"
		status=1
	fi
	PGUMBRA_PID=
	wait "$pid" || { status=$?; echo "pgumbra ended with $status"; }
	return $status
}

# The shadow process of the running pgumbra.
shadow_pid() {
	pgrep -P "$PGUMBRA_PID" -f ' shadow '
}

# --- clients: role app, password app ---

psql_at() { # PORT [psql options]
	local port=$1
	shift
	PGPASSWORD=app psql -X -q -At -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$port" -U app \
		-d "$DATABASE" "$@"
}

psql_primary() {
	psql_at "$(cluster_port "$PRIMARY")" "$@"
}

psql_candidate() {
	psql_at "$(cluster_port "$CANDIDATE")" "$@"
}

psql_pgumbra() {
	psql_at "$PGUMBRA_PORT" "$@"
}

pgbench_pgumbra() {
	PGPASSWORD=app pgbench -n -h 127.0.0.1 -p "$PGUMBRA_PORT" -U app "$@" "$DATABASE"
}

# --- what pgumbra found ---

report() {
	"$PGUMBRA" report --format json "$LOG"
}

# facts QUESTION...: see tests/tools/facts
facts() {
	report | "$FACTS" "$@"
}

outcome_is() {
	[ "$(facts count "${@:2}")" = "$1" ] && facts settled
}

# expect_outcome NAME COUNT, or NAME REASON COUNT: so many executions ended so, and nothing is
# pending any more.
expect_outcome() {
	local count=${*: -1} name=("${@:1:$#-1}")
	wait_for "$DEADLINE" "$count ${name[*]}" outcome_is "$count" "${name[@]}" || {
		echo "expected ${name[*]} = $count; the books:"
		report | "$PYTHON" -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["books"], indent=1))'
		return 1
	}
}

discrepancy_is_open() {
	[ -n "$(facts discrepancies "$@")" ]
}

# expect_discrepancy MEMBER=VALUE...: there is one with all of these, now or soon.
expect_discrepancy() {
	wait_for "$DEADLINE" "a discrepancy with $*" discrepancy_is_open "$@" || {
		facts discrepancies
		return 1
	}
}

expect_no_discrepancy() {
	local found
	found=$(facts discrepancies "$@")
	[ -z "$found" ] || { echo "unexpected: $found"; return 1; }
}

# After stop_pgumbra: L5, checked from the log alone.
books_balance() {
	facts balanced
}

# --- afterwards ---

# announce_errors PATTERN: error lines in the operator's log that this test provokes.
announce_errors() {
	ANNOUNCED=${ANNOUNCED:+$ANNOUNCED|}$1
}

no_sanitizer_report() {
	! grep -nE "$SANITIZER_REPORT" "$OPERATOR_LOG"
}

no_unannounced_error() {
	! grep -E '\] error: ' "$OPERATOR_LOG" | grep -vE "${ANNOUNCED:-^$}"
}

tail_logs() {
	local log
	for log in "${OPERATOR_LOG:-}" "${LOG:-}" "${PRIMARY:-}/server.log" \
		"${CANDIDATE:-}/server.log"; do
		[ -s "$log" ] || continue
		echo "--- the end of $log"
		tail -n 15 "$log" | cut -c 1-600
	done
}

# Every test's teardown: pgumbra ends well, its books balance, nothing was reported that the test
# didn't announce. A test that failed shows its logs.
check_afterwards() {
	local status=0
	[ -n "${OPERATOR_LOG:-}" ] || return 0
	stop_pgumbra || status=1
	[ ! -s "$LOG" ] || books_balance || status=1
	no_sanitizer_report || status=1
	no_unannounced_error || status=1
	if [ $status != 0 ] || [ -z "${BATS_TEST_COMPLETED:-}" ]; then tail_logs; fi
	return $status
}

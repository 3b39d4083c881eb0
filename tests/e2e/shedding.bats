# Shadowing is shed when it passes shadow.latency_budget, and begins again by itself. L2, L5.

load lib

setup_file() {
	start_primary
	start_candidate
	on_both "create table item as select g id, 'item ' || g as name from generate_series(1, 100) g"
	cat >"$BATS_FILE_TMPDIR/read.sql" <<-'SQL'
		\set id random(1, 100)
		select name from item where id = :id;
	SQL
}

teardown_file() {
	stop_servers
}

setup() {
	HOGS=()
	LOAD_PID=
}

teardown() {
	stop_hogs
	if [ -n "$LOAD_PID" ]; then wait "$LOAD_PID" || true; fi
	unset PGUMBRA_TEST_SLOW_COPY_US
	check_afterwards
}

load_for() { # SECONDS, at a rate that the shadow keeps up with
	pgbench_pgumbra -f "$BATS_FILE_TMPDIR/read.sql" -M prepared -c 8 -R 400 -T "$1" 3>&- &
	LOAD_PID=$!
}

# The load's end: no client had an error.
await_load() {
	local pid=$LOAD_PID
	LOAD_PID=
	wait "$pid"
}

# The kernel serves those that sleep much first: so that the relay has to wait, everybody goes first.
give_way() {
	local task
	for task in /proc/"$PGUMBRA_PID"/task/*; do
		renice -n 19 -p "${task##*/}" >/dev/null
	done
}

start_hogs() {
	local i
	for ((i = 0; i < 4 * $(nproc); i++)); do
		sh -c 'while :; do :; done' 3>&- &
		HOGS+=($!)
	done
}

stop_hogs() {
	[ ${#HOGS[@]} -eq 0 ] || kill "${HOGS[@]}" 2>/dev/null || true
	HOGS=()
}

log_says() {
	grep -q "$1" "$OPERATOR_LOG"
}

more_than() { # COUNT NAME [REASON], as facts count
	[ "$(facts count "${@:2}")" -gt "$1" ]
}

# A build with PGUMBRA_TEST_HOOKS, as the tests' are: no other can copy slowly.
@test "copying that is slow is shed, and clients go on without it" {
	export PGUMBRA_TEST_SLOW_COPY_US=2000
	start_pgumbra shadow.latency_budget=1ms
	load_for 10
	wait_for "$DEADLINE" "shedding" log_says 'latency_budget = 1000 us is passed'
	wait_for "$DEADLINE" "the next attempt" log_says 'shadowing goes on'
	await_load
	stop_pgumbra
	more_than 0 unobserved shed
	log_says 'shadowing is shed for 2 s'
	"$PGUMBRA" report "$LOG" | grep 'shadowing was shed'
}

# start_with_file: as start_pgumbra, but all settings stand in $CONFIGURATION.
start_with_file() { # LATENCY_BUDGET
	PGUMBRA_PORT=$(free_port)
	LOG=$BATS_TEST_TMPDIR/discrepancies.jsonl
	OPERATOR_LOG=$BATS_TEST_TMPDIR/operator.log
	CONFIGURATION=$BATS_TEST_TMPDIR/pgumbra.ini
	cat >"$CONFIGURATION" <<-INI
		[pgumbra]
		listen = 127.0.0.1:$PGUMBRA_PORT
		[primary]
		conninfo = host=127.0.0.1 port=$(cluster_port "$PRIMARY")
		[candidate candidate]
		conninfo = $(address_of "$CANDIDATE") user=pgumbra_ro password=pgumbra_ro
		[shadow]
		latency_budget = $1
		[discrepancies]
		path = $LOG
		books_interval = 200ms
	INI
	"$PGUMBRA" run -c "$CONFIGURATION" >>"$OPERATOR_LOG" 2>&1 3>&- &
	PGUMBRA_PID=$!
	wait_for "$DEADLINE" "pgumbra to listen" pgumbra_is_up || { tail_logs; return 1; }
}

@test "a latency_budget that SIGHUP brings is kept to from then on" {
	export PGUMBRA_TEST_SLOW_COPY_US=2000
	start_with_file 0
	load_for 15
	wait_for "$DEADLINE" "reads to match" more_than 100 matched
	run log_says 'is passed'
	[ "$status" = 1 ]
	sed -i 's/^latency_budget = .*/latency_budget = 1ms/' "$CONFIGURATION"
	kill -HUP "$PGUMBRA_PID"
	wait_for "$DEADLINE" "the change" log_says 'SIGHUP: taken over: shadow.latency_budget'
	wait_for "$DEADLINE" "shedding" log_says 'latency_budget = 1000 us is passed'
	await_load
	stop_pgumbra
	more_than 0 unobserved shed
}

@test "saturated cores shed shadowing; when they are calm it begins again and reads match" {
	local before
	start_pgumbra shadow.latency_budget=1ms
	give_way
	load_for 30
	wait_for "$DEADLINE" "reads to match" more_than 0 matched
	start_hogs
	wait_for "$DEADLINE" "shedding" log_says 'is passed'
	stop_hogs
	wait_for "$DEADLINE" "the next attempt" log_says 'shadowing goes on'
	before=$(facts count matched)
	wait_for "$DEADLINE" "further reads to match" more_than "$before" matched
	await_load
	stop_pgumbra
	more_than 0 unobserved shed
	expect_no_discrepancy
}

# The life of the proxy: reload, service manager, hand-over, limits, the end. The whole program,
# relaying only.

bats_require_minimum_version 1.5.0

load relay_lib

PGUMBRA=${PGUMBRA:-$BUILD/pgumbra}

setup_file() {
	start_primary
}

teardown_file() {
	stop_primary
}

teardown() {
	local pid
	for pid in ${HELD:-} ${RELAY:-} ${OTHERS:-}; do
		kill -KILL "$pid" || true
	done
	if [ -s "${LOG:-}" ]; then
		tail -n 30 "$LOG"
	fi
}

# start_run CONFIGURATION [COMMAND...]: pgumbra run (by way of COMMAND) with these lines as its file.
start_run() {
	LOG=$BATS_TEST_TMPDIR/run.log
	CONF=$BATS_TEST_TMPDIR/pgumbra.conf
	configure "$1"
	shift
	"$@" "$PGUMBRA" run -c "$CONF" >>"$LOG" 2>&1 3>&- &
	RELAY=$!
	wait_for "it listens" grep -q "listening on" "$LOG"
}

# [pgumbra] comes last: LINES may begin with more of its keys.
configure() {
	cat >"$CONF" <<-EOT
		[shadow]
		enabled = off
		[primary]
		conninfo = host=127.0.0.1 port=$PRIMARY_PORT
		[pgumbra]
		listen = 127.0.0.1:$RELAY_PORT
		$1
	EOT
}

logged() {
	grep -q -- "$1" "$LOG"
}

# --- SIGHUP ---

@test "SIGHUP: what may change live does, the rest is named, a broken file is refused whole" {
	start_run "login_timeout = 60s"
	configure "login_timeout = 1s
log_level = debug
max_sessions = 7"
	kill -HUP "$RELAY"
	wait_for "it is taken over" logged "SIGHUP: taken over: pgumbra.log_level, pgumbra.login_timeout"
	logged "changed, but needs a restart: pgumbra.max_sessions"
	wire stall
	logged "login_timeout passed"
	configure "login_timeout = 3600s
log_level = loud"
	kill -HUP "$RELAY"
	wait_for "it is refused" logged "can't be taken over"
	logged "log_level.*allowed: error, warning, info, debug"
	wire stall # with the timeout of before
	[ "$(through sql -c 'select 1')" = 1 ]
	stop_relay
}

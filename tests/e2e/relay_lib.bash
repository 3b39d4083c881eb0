# Helpers of relay.bats: one throw-away primary, and the relay with a stub for a shadow process
# (tests/tools/relay_only.c), so that nothing but the relay is tested.

BUILD=${PGUMBRA_BUILD:-$BATS_TEST_DIRNAME/../../build/dev}
TOOLS=$BATS_TEST_DIRNAME/../tools
PG_BIN=${PG_BIN:-/usr/lib/postgresql/15/bin}
PRIMARY_PORT=${RELAY_TEST_PORT:-20410}
RELAY_PORT=$((PRIMARY_PORT + 1))
CHOP_FRONT=$((PRIMARY_PORT + 2))
CHOP_BACK=$((PRIMARY_PORT + 3))
DEADLINE=60
export PGUSER=postgres PGDATABASE=postgres PGHOST=127.0.0.1 PGCONNECT_TIMEOUT=20

as_postgres() {
	if [ "$(id -u)" = 0 ]; then
		runuser -u postgres -- "$@"
	else
		"$@"
	fi
}

start_primary() {
	CLUSTER=$(mktemp -d /tmp/pgumbra-relay.XXXXXX)
	export CLUSTER
	chmod 755 "$CLUSTER"
	[ "$(id -u)" = 0 ] && chown postgres "$CLUSTER"
	as_postgres "$PG_BIN/initdb" -D "$CLUSTER/data" -A trust -U postgres --no-sync >"$CLUSTER/initdb"
	cat >>"$CLUSTER/data/postgresql.conf" <<-EOT
		port = $PRIMARY_PORT
		listen_addresses = '127.0.0.1'
		unix_socket_directories = '$CLUSTER'
		fsync = off
		wal_level = logical
		max_connections = 150
		client_connection_check_interval = '500ms'
	EOT
	as_postgres "$PG_BIN/pg_ctl" -D "$CLUSTER/data" -l "$CLUSTER/log" -w start >&3
}

stop_primary() {
	as_postgres "$PG_BIN/pg_ctl" -D "$CLUSTER/data" -m immediate -w stop >&3
	rm -rf "$CLUSTER"
}

# start_relay SECTION.KEY=VALUE...
start_relay() {
	LOG=$BATS_TEST_TMPDIR/relay.log
	: >"$LOG" # an earlier relay's words are not this one's
	"$BUILD/tests/relay_only" "pgumbra.listen=127.0.0.1:$RELAY_PORT,$BATS_TEST_TMPDIR:$RELAY_PORT" \
		"primary.conninfo=host=127.0.0.1 port=$PRIMARY_PORT" pgumbra.relay_threads=2 \
		shadow.tape_size=4MB shadow.latency_budget=0 "$@" >"$LOG" 2>&1 3>&- &
	RELAY=$!
	echo $RELAY >"$BATS_TEST_TMPDIR/pid"
	wait_for "the relay listens" grep -q "listening on" "$LOG"
}

# Ends it and leaves the account in the log.
stop_relay() {
	kill -TERM "$RELAY" 2>/dev/null || true
	wait "$RELAY"
	RELAY=
}

# wait_for WHAT COMMAND...: until it holds, within the deadline
wait_for() {
	local what=$1 end=$((SECONDS + DEADLINE))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ $SECONDS -ge $end ]; then
			echo "never came true: $what"
			return 1
		fi
		read -rt 0.05 <> <(:) || true
	done
}

directly() {
	PGPORT=$PRIMARY_PORT "$@"
}

through() {
	PGPORT=$RELAY_PORT "$@"
}

sql() {
	psql -XAtq -v ON_ERROR_STOP=1 "$@"
}

wire() {
	local case=$1
	shift
	python3 "$TOOLS/relay_wire.py" "$case" "$RELAY_PORT" "$@"
}

# The number behind NAME= in the stub's last account.
told() {
	grep "^stub: relayed=" "$LOG" | tail -1 | tr ' ' '\n' | sed -n "s/^$1=//p"
}

# L5, and nothing on the tape that can't be.
books_balance() {
	stop_relay
	[ "$(told balanced)" = yes ]
	[ "$(told wrong)" = 0 ]
}

shadow_pid() {
	sed -n 's/.*shadow process \([0-9]*\) started.*/\1/p' "$LOG" | tail -1
}

peak_kib() {
	sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$RELAY/status"
}

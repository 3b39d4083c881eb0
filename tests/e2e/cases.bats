# Cases of HAZARDS section 10 that no other file has, or has against one server only, with PostgreSQL 15
# and 18. The relay runs with a stub for a shadow process.

bats_require_minimum_version 1.5.0

load tls_lib

setup_file() {
	start_tls_primaries
}

teardown_file() {
	stop_tls_primaries
}

teardown() {
	if [ -n "${HELD:-}" ]; then
		kill -KILL "$HELD" || true
	fi
	if [ -n "${RELAY:-}" ]; then
		kill -KILL "$RELAY" || true
	fi
	if [ -s "${LOG:-}" ]; then
		tail -n 20 "$LOG"
		! grep -E '(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:' "$LOG"
	fi
}

case_wire() {
	local case=$1
	shift
	"$PYTHON" "$TOOLS/case_wire.py" "$case" "$RELAY_PORT" "$@"
}

@test "cases 9, 10, 27, 30, 32: first bytes, pipelines and ends are the server's, 15 and 18" {
	for server in $SERVERS; do
		# of a TLS hello, too, where the server has no TLS
		PGPORT=$server sql -c "alter system set ssl = off" -c "select pg_reload_conf()" >/dev/null
		wait_for "TLS is off" eval "[ \$(PGPORT=$server sql -c 'show ssl') = off ]"
		start_relay "primary.conninfo=host=127.0.0.1 port=$server"
		wire garbage "$server"
		wire dribble
		wire pipeline 20000
		wire terminate
		wire terminated "$server"
		books_balance
		PGPORT=$server sql -c "alter system reset ssl" -c "select pg_reload_conf()" >/dev/null
		wait_for "TLS is on" eval "[ \$(PGPORT=$server sql -c 'show ssl') = on ]"
	done
}

@test "case 13: a primary without cancel keys" {
	start_tls_relay proxy allow "port=$FAKE_PORT sslmode=disable"
	case_wire keyless "$FAKE_PORT"
	books_balance
}

@test "cases 11, 16: cancel keys of 4 to 256 bytes, byte for byte" {
	start_tls_relay proxy allow "port=$FAKE_PORT sslmode=disable"
	case_wire long_keys "$FAKE_PORT"
	books_balance
}

@test "case 15: walsenders are relayed, CopyBoth both ways, and not observed; replication=off is" {
	for server in $SERVERS; do
		start_tls_relay proxy allow "port=$server sslmode=disable"
		case_wire walsender
		books_balance
		[ "$(told opens)" = 1 ]
		[ "$(told read)" = 1 ]
	done
}

@test "case 17: a thousand cancel requests at the end of statements hit nobody else" {
	for server in $SERVERS; do
		start_tls_relay proxy allow "port=$server sslmode=disable"
		case_wire cancel_storm 250
		books_balance
	done
}

@test "case 22: OAUTHBEARER in both of its connections, the token nowhere" {
	start_tls_relay proxy allow "port=$FAKE_PORT sslmode=disable" pgumbra.log_level=debug
	case_wire oauth "$FAKE_PORT" unique-token-of-case-22-
	! grep -q unique-token "$LOG"
	books_balance # which also says: no such message on the tape
}

@test "case 24: a query before the login has ended is the server's matter, and no query" {
	for server in $SERVERS; do
		for user in by_scram by_md5 by_clear; do
			start_tls_relay proxy allow "port=$server sslmode=disable"
			case_wire early "$server" $user
			books_balance
			[ "$(told read)" = 0 ]
			[ "$(told opens)" = 0 ]
		done
	done
}

@test "cases 28, 31 with PostgreSQL 18: pieces of 1 to 7 bytes; a killed client's backend ends" {
	skip_without_18
	"$PYTHON" "$TOOLS/relay_wire.py" chop "$CHOP_BACK" "$PORT_18" >"$BATS_TEST_TMPDIR/back" 3>&- &
	HELD=$!
	wait_for "the chopper listens" grep -q ready "$BATS_TEST_TMPDIR/back"
	start_relay "primary.conninfo=host=127.0.0.1 port=$CHOP_BACK sslmode=disable"
	for port in "$RELAY_PORT" "$PORT_18"; do
		PGPORT=$port sql -c "select i, md5(i::text) from generate_series(1, 300) i" \
			-c "select 1/0::float8 is null" >"$BATS_TEST_TMPDIR/$port" 2>&1 || true
	done
	cmp "$BATS_TEST_TMPDIR/$RELAY_PORT" "$BATS_TEST_TMPDIR/$PORT_18"
	books_balance
	kill "$HELD"
	PGPORT=$PORT_18 sql -c "alter system set client_connection_check_interval = '500ms'" \
		-c "select pg_reload_conf()" >/dev/null
	wait_for "it looks after its clients" \
		eval "[ \$(PGPORT=$PORT_18 sql -c 'show client_connection_check_interval') = 500ms ]"
	start_relay "primary.conninfo=host=127.0.0.1 port=$PORT_18 sslmode=disable"
	"$PYTHON" "$TOOLS/relay_wire.py" hold "$RELAY_PORT" "select pg_sleep(300)" 3>&- &
	HELD=$!
	wait_for "the statement runs" sleeping_18 1
	kill -KILL $HELD
	HELD=
	wait_for "its backend is gone" sleeping_18 0
	books_balance
}

sleeping_18() {
	[ "$(PGPORT=$PORT_18 sql -c "select count(*) from pg_stat_activity
		where query like 'select pg_sleep(%' and state = 'active'")" = "$1" ]
}

@test "case 25: libpq in pipeline mode writes the same trace directly and through pgumbra" {
	for server in $SERVERS; do
		start_tls_relay proxy allow "port=$server sslmode=disable"
		"$PYTHON" "$BATS_TEST_DIRNAME/clients/pipeline_traces.py" "$server" "$RELAY_PORT" "$BATS_TEST_TMPDIR"
		books_balance
		[ "$(told read)" = "$(told relayed)" ]
	done
}

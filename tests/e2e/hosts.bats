# Several hosts of the primary: which one a new session goes to, names that move, cancels that find
# their server. Two servers with one port: the primary on 127.0.0.1, its standby on 127.0.0.2.

bats_require_minimum_version 1.5.0

load relay_lib

NAMES=$BATS_FILE_TMPDIR/names

start_standby() {
	as_postgres "$PG_BIN/pg_basebackup" -R -X stream -c fast -h 127.0.0.1 -p "$PRIMARY_PORT" \
		-D "$CLUSTER/standby" >&3
	as_postgres mkdir -p "$CLUSTER/sockets"
	as_postgres tee -a "$CLUSTER/standby/postgresql.conf" >/dev/null <<-EOT
		listen_addresses = '127.0.0.2'
		unix_socket_directories = '$CLUSTER/sockets'
	EOT
	as_postgres "$PG_BIN/pg_ctl" -D "$CLUSTER/standby" -l "$CLUSTER/standby.log" -w start >&3
}

setup_file() {
	start_primary
	start_standby
}

teardown_file() {
	as_postgres "$PG_BIN/pg_ctl" -D "$CLUSTER/standby" -m immediate -w stop >&3
	stop_primary
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
	fi
}

# name db.test's address in what the preloaded resolver says
db_test_is() {
	echo "db.test $1" >"$NAMES.new"
	mv "$NAMES.new" "$NAMES" # at once, for readers
}

with_names() {
	RESOLVER_FILE=$NAMES LD_PRELOAD=$(echo "$BUILD"/tests/libtest_resolver.so) \
		ASAN_OPTIONS=${ASAN_OPTIONS-}:verify_asan_link_order=0 "$@"
}

# start_hosts HOSTS ATTRS [section.key=value]...
start_hosts() {
	start_relay "primary.conninfo=host=$1 port=$PRIMARY_PORT connect_timeout=5 target_session_attrs=$2" \
		"primary.monitor=user=postgres" primary.monitor_interval=100ms \
		primary.resolve_interval=1s pgumbra.drain_timeout=1s "${@:3}"
}

served_by() {
	[ "$(through sql -c 'select host(inet_server_addr())')" = "$1" ]
}

@test "target_session_attrs chooses the host, in whatever order they are named" {
	local case
	for case in "127.0.0.2,127.0.0.1 read-write 127.0.0.1" \
		"127.0.0.2,127.0.0.1 primary 127.0.0.1" "127.0.0.1,127.0.0.2 standby 127.0.0.2" \
		"127.0.0.1,127.0.0.2 prefer-standby 127.0.0.2" "127.0.0.1,127.0.0.2 read-only 127.0.0.2" \
		"127.0.0.2,127.0.0.1 any 127.0.0.2"; do
		set -- $case
		start_hosts "$1" "$2"
		served_by "$3"
		books_balance
	done
}

@test "read-write, and only a standby is there: refused with 08006 by name" {
	start_hosts 127.0.0.2 read-write
	run -2 through sql -c "select 1"
	[[ "$output" == *"no host of primary.conninfo is read-write now"* ]]
	grep -q "no host of primary.conninfo is known to be read-write yet" "$LOG"
	books_balance
}

@test "a name that moves: new sessions follow it, old ones stay and are cancelled where they are" {
	db_test_is 127.0.0.1
	with_names start_hosts db.test any
	served_by 127.0.0.1
	PGPORT=$RELAY_PORT psql -XAtqc "select pg_sleep(300)" >"$BATS_TEST_TMPDIR/slept" 2>&1 3>&- &
	HELD=$!
	wait_for "the statement runs" sleeping_once
	db_test_is 127.0.0.2
	wait_for "the name has moved" served_by 127.0.0.2
	kill -INT "$HELD" # psql sends a CancelRequest
	wait_for "it was cancelled" grep -q "canceling statement due to user request" \
		"$BATS_TEST_TMPDIR/slept"
	HELD=
	books_balance
}

sleeping_once() {
	[ "$(directly sql -c "select count(*) from pg_stat_activity where query like 'select pg_sleep(%'
		and state = 'active' and pid <> pg_backend_pid()")" = 1 ]
}

@test "a resolver that hangs, or knows the name no more, is no session's matter" {
	db_test_is 127.0.0.1
	with_names start_hosts db.test any
	: >"$NAMES"
	wait_for "the name is gone" grep -q "could not resolve \"db.test\"" "$LOG"
	served_by 127.0.0.1
	db_test_is 127.0.0.1
	wait_for "the name is back" grep -q "all hosts of primary.conninfo resolve again" "$LOG"
	db_test_is never
	for i in 1 2 3 4 5; do
		served_by 127.0.0.1
		read -rt 0.5 <> <(:) || true # over the next time that it is asked
	done
	books_balance # it ends, too
}

# start_server PORT MODE: see lifecycle.py
start_server() {
	python3 "$TOOLS/lifecycle.py" server "$1" "$2" >"$BATS_TEST_TMPDIR/$2" 3>&- &
	HELD=$!
	wait_for "it listens" grep -q ready "$BATS_TEST_TMPDIR/$2"
}

@test "a host that is starting up, or says nothing, is passed over; the last one's words are passed on" {
	local mode
	for mode in starting silent; do
		start_server "$CHOP_FRONT" "$mode"
		start_relay "primary.conninfo=host=127.0.0.1,127.0.0.1 port=$CHOP_FRONT,$PRIMARY_PORT \
connect_timeout=1 sslmode=disable"
		served_by 127.0.0.1
		books_balance
		if [ "$mode" = starting ]; then
			start_relay "primary.conninfo=host=127.0.0.1 port=$CHOP_FRONT sslmode=disable"
			run -2 through sql -c "select 1"
			[[ "$output" == *"the database system is starting up"* ]]
			books_balance
		fi
		kill "$HELD"
		HELD=
	done
}

@test "a primary that says nothing: 08006 after connect_timeout with TLS, the end at login_timeout without" {
	start_server "$CHOP_FRONT" silent
	start_relay "primary.conninfo=host=127.0.0.1 port=$CHOP_FRONT connect_timeout=1 sslmode=require"
	run -2 through sql -c "select 1"
	[[ "$output" == *"could not connect to the primary: connection timed out"* ]]
	books_balance
	start_relay "primary.conninfo=host=127.0.0.1 port=$CHOP_FRONT sslmode=disable" pgumbra.login_timeout=1s
	run -2 through sql -c "select 1"
	[[ "$output" == *"server closed the connection unexpectedly"* ]]
	grep -q "login_timeout passed: closed 127.0.0.1:[0-9]* before it was authenticated" "$LOG"
	books_balance
}

# conninfo_is STRING: in the file that the relay was started with
conninfo_is() {
	cat >"$BATS_TEST_TMPDIR/pgumbra.conf" <<-EOT
		[pgumbra]
		listen = 127.0.0.1:$RELAY_PORT
		drain_timeout = 1s
		[primary]
		conninfo = $1 port=$PRIMARY_PORT
		monitor = user=postgres
		[shadow]
		enabled = off
	EOT
}

@test "SIGHUP: other hosts for new sessions, old sessions stay; what can't change is named, or refused" {
	LOG=$BATS_TEST_TMPDIR/run.log
	conninfo_is "host=127.0.0.1"
	"${PGUMBRA:-$BUILD/pgumbra}" run -c "$BATS_TEST_TMPDIR/pgumbra.conf" >"$LOG" 2>&1 3>&- &
	RELAY=$!
	wait_for "it listens" grep -q "listening on" "$LOG"
	coproc SESSION { PGPORT=$RELAY_PORT psql -XAtq 2>&1; }
	HELD=$SESSION_PID
	echo "select host(inet_server_addr());" >&"${SESSION[1]}"
	read -r -u "${SESSION[0]}" line
	[ "$line" = 127.0.0.1 ]
	conninfo_is "host=127.0.0.1,127.0.0.2 target_session_attrs=standby"
	kill -HUP "$RELAY"
	wait_for "they are taken over" grep -q "taken over: primary.conninfo" "$LOG"
	served_by 127.0.0.2
	echo "select host(inet_server_addr());" >&"${SESSION[1]}"
	read -r -u "${SESSION[0]}" line
	[ "$line" = 127.0.0.1 ]
	conninfo_is "host=127.0.0.1 sslmode=disable"
	kill -HUP "$RELAY"
	wait_for "it is named" grep -q "needs a restart: primary.conninfo" "$LOG"
	served_by 127.0.0.2
	conninfo_is "host=nowhere.invalid"
	kill -HUP "$RELAY"
	wait_for "it is refused" grep -q "could not resolve \"nowhere.invalid\".*stays as it was" "$LOG"
	served_by 127.0.0.2
	HELD=
	echo '\q' >&"${SESSION[1]}"
	stop_relay
}

# Last: the servers change their parts.
@test "failover: new sessions go to the promoted standby, a host that is down is passed over" {
	start_hosts 127.0.0.1,127.0.0.2 read-write
	served_by 127.0.0.1
	as_postgres "$PG_BIN/pg_ctl" -D "$CLUSTER/data" -m immediate -w stop >&3
	wait_for "it is known to be gone" grep -q "127.0.0.1.* is not known now" "$LOG"
	run ! through sql -c "select 1"
	as_postgres "$PG_BIN/pg_ctl" -D "$CLUSTER/standby" -w promote >&3
	wait_for "the promoted one is found" served_by 127.0.0.2
	[ "$(through sql -c 'create table written (); select 1')" = 1 ]
	as_postgres "$PG_BIN/pg_ctl" -D "$CLUSTER/data" -l "$CLUSTER/log" -w start >&3
	books_balance
}

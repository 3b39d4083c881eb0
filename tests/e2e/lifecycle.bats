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
	: >"$LOG"
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

has_lines() { # COUNT PATTERN FILE
	[ "$(grep -c -- "$2" "$3")" = "$1" ]
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
	configure "login_timeout = 3600s
[waiver sums]
match = *"
	kill -HUP "$RELAY"
	wait_for "it is refused, too" has_lines 2 "can't be taken over" "$LOG"
	logged "sums.*accept.*is not set"
	wire stall
	[ "$(through sql -c 'select 1')" = 1 ]
	stop_relay
}

# --- the service manager ---

# notify_socket: what the proxy says to a service manager comes into $TOLD
notify_socket() {
	TOLD=$BATS_TEST_TMPDIR/told
	export NOTIFY_SOCKET=$BATS_TEST_TMPDIR/notify
	python3 "$TOOLS/lifecycle.py" notified "$NOTIFY_SOCKET" "$TOLD" 3>&- &
	OTHERS="${OTHERS:-} $!"
	wait_for "the manager listens" test -S "$NOTIFY_SOCKET"
}

@test "the service manager is told: ready, reloading, stopping" {
	notify_socket
	start_run ""
	wait_for "ready" grep -q "^READY=1" "$TOLD"
	grep -q "^STATUS=listening on 127.0.0.1:$RELAY_PORT" "$TOLD"
	kill -HUP "$RELAY"
	wait_for "reloading" grep -q "^RELOADING=1" "$TOLD"
	grep -q "^MONOTONIC_USEC=[0-9]" "$TOLD"
	wait_for "ready again" has_lines 2 "^READY=1" "$TOLD"
	stop_relay
	wait_for "stopping" grep -q "^STOPPING=1" "$TOLD"
}

@test "sockets of the service manager are used, are what is judged, and stay" {
	LOG=$BATS_TEST_TMPDIR/run.log
	CONF=$BATS_TEST_TMPDIR/pgumbra.conf
	configure "relay_threads = 3"
	sed -i "s/^listen = .*/listen = 192.0.2.1:1/" "$CONF" # what is there already is taken
	systemd-socket-activate -l "127.0.0.1:$RELAY_PORT" -l "$BATS_TEST_TMPDIR/.s.PGSQL.$RELAY_PORT" \
		"$PGUMBRA" run -c "$CONF" >"$LOG" 2>&1 3>&- &
	RELAY=$!
	wait_for "the sockets are there" test -S "$BATS_TEST_TMPDIR/.s.PGSQL.$RELAY_PORT"
	[ "$(through sql -c 'select 1')" = 1 ] # the first client starts it
	[ "$(PGHOST=$BATS_TEST_TMPDIR through sql -c 'select 2')" = 2 ]
	logged "listening on 127.0.0.1:$RELAY_PORT, $BATS_TEST_TMPDIR:$RELAY_PORT"
	stop_relay
	[ -S "$BATS_TEST_TMPDIR/.s.PGSQL.$RELAY_PORT" ]
}

@test "the unit files are understood, and little is exposed" {
	cp "$BATS_TEST_DIRNAME"/../../conf/pgumbra.{service,socket} "$BATS_TEST_TMPDIR"
	sed -i "s,/usr/local/bin/pgumbra,$PGUMBRA," "$BATS_TEST_TMPDIR/pgumbra.service"
	run -0 systemd-analyze verify "$BATS_TEST_TMPDIR/pgumbra.service" "$BATS_TEST_TMPDIR/pgumbra.socket"
	[ -z "$(grep pgumbra <<<"$output")" ]
	run -0 systemd-analyze security --offline=yes --threshold=20 "$BATS_TEST_TMPDIR/pgumbra.service"
}

@test "it runs unprivileged; no core, and nobody of the same user looks into its memory" {
	# where nobody may come
	BATS_TEST_TMPDIR=$CLUSTER/unprivileged
	mkdir -p "$BATS_TEST_TMPDIR"
	chmod 755 "$BATS_TEST_TMPDIR"
	cp "$PGUMBRA" "$BATS_TEST_TMPDIR/pgumbra"
	PGUMBRA=$BATS_TEST_TMPDIR/pgumbra start_run "" as_nobody
	[ "$(through sql -c 'select 1')" = 1 ]
	[ "$(ps -o uid= -p "$RELAY")" != 0 ]
	grep -qE "^Max core file size +0 +0 " "/proc/$RELAY/limits"
	if ! nm "$PGUMBRA" | grep -q __asan_init; then # its leak checker has to look
		[ "$(stat -c %u "/proc/$RELAY/mem")" = 0 ]
	fi
	stop_relay
	start_run "core_dumps = on"
	[ "$(grep "^Max core" "/proc/$RELAY/limits")" = "$(grep "^Max core" /proc/self/limits)" ]
	stop_relay
}

as_nobody() {
	if [ "$(id -u)" = 0 ]; then
		exec setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"
	else
		exec "$@"
	fi
}

@test "a limit of open files that is too low is said at the start, in numbers" {
	start_run "max_sessions = 5000" with_files 512
	logged "the limit of 512 open files can't carry max_sessions = 5000 (needs [0-9]*)"
	stop_relay
}

with_files() {
	ulimit -n "$1"
	exec "${@:2}"
}

# --- hand-over ---

@test "twenty hand-overs under as many connections as there can be: none refused or reset" {
	notify_socket
	start_run "runtime_dir = $BATS_TEST_TMPDIR
drain_timeout = 5s
relay_threads = 2"
	python3 "$TOOLS/lifecycle.py" storm "$RELAY_PORT" "$BATS_TEST_TMPDIR/stop" 50 \
		>"$BATS_TEST_TMPDIR/storm" 3>&- &
	storm=$!
	OTHERS="$OTHERS $storm"
	for round in $(seq 20); do
		old=$RELAY
		# other numbers of threads, too
		"$PGUMBRA" run --take-over -c "$CONF" --set "pgumbra.relay_threads=$((round % 3 + 1))" \
			>>"$LOG" 2>&1 3>&- &
		RELAY=$!
		wait_for "hand-over $round" logged "process $RELAY has taken over the listening sockets"
		wait_for "the manager knows" grep -q "^MAINPID=$RELAY" "$TOLD"
		wait "$old" # 0, and by itself
	done
	touch "$BATS_TEST_TMPDIR/stop"
	wait "$storm"
	cat "$BATS_TEST_TMPDIR/storm" >&3
	grep -q " 0 wrong" "$BATS_TEST_TMPDIR/storm"
	stop_relay
	[ ! -e "$BATS_TEST_TMPDIR/takeover" ]
}

@test "hand-over: open sessions go on in the old process and are ended in order; a failed one costs nothing" {
	start_run "runtime_dir = $BATS_TEST_TMPDIR
drain_timeout = 2s"
	coproc SESSION { PGPORT=$RELAY_PORT psql -XAtq 2>&1; }
	HELD=$SESSION_PID
	echo "select 'before';" >&"${SESSION[1]}"
	read -r -u "${SESSION[0]}" line
	[ "$line" = before ]
	run -3 "$PGUMBRA" run --take-over -c "$CONF" --set primary.allow_trust=on \
		--set "pgumbra.listen=127.0.0.1:$RELAY_PORT,192.0.2.1:9"
	wait_for "the failed one is noticed" logged "asked for the listening sockets and did not start"
	old=$RELAY
	"$PGUMBRA" run --take-over -c "$CONF" >>"$LOG" 2>&1 3>&- &
	RELAY=$!
	wait_for "it is taken over" logged "process $RELAY has taken over the listening sockets; 1 sessions go on"
	[ "$(through sql -c 'select 1')" = 1 ]
	echo "select 'after';" >&"${SESSION[1]}"
	read -r -u "${SESSION[0]}" line
	[ "$line" = after ]
	wait "$old" # drain_timeout passes
	logged "drain_timeout passed since the hand-over"
	echo "select 1;" >&"${SESSION[1]}"
	read -r -u "${SESSION[0]}" line
	[[ "$line" == *"terminating connection due to administrator command"* ]]
	HELD=
	stop_relay
}

@test "hand-over with one log: the new one's shadow waits for the old one's end, the books balance" {
	journal=$BATS_TEST_TMPDIR/discrepancies.jsonl
	start_run "runtime_dir = $BATS_TEST_TMPDIR
drain_timeout = 500ms
[candidate same]
conninfo = host=127.0.0.1 port=$PRIMARY_PORT user=postgres
allow_unsafe_role = on
[discrepancies]
path = $journal"
	stop_relay
	sed -i "s/^enabled = off/enabled = on/" "$CONF"
	"$PGUMBRA" run -c "$CONF" >>"$LOG" 2>&1 3>&- &
	RELAY=$!
	wait_for "it writes its log" grep -q '"kind":"start"' "$journal"
	coproc SESSION { PGPORT=$RELAY_PORT psql -XAtq 2>&1; }
	echo "select 1;" >&"${SESSION[1]}"
	read -r -u "${SESSION[0]}" line
	old=$RELAY
	"$PGUMBRA" run --take-over -c "$CONF" >>"$LOG" 2>&1 3>&- &
	RELAY=$!
	wait_for "its shadow waits" logged "relay.$RELAY.*the shadow process waits until the process before"
	[ "$(through sql -c 'select 2')" = 2 ]
	wait "$old" # its idle session is ended
	wait_for "the new shadow runs" has_lines 2 '"kind":"start"' "$journal"
	wait_for "sessions are observed again" logged "relay.$RELAY.*shadow process .* started"
	[ "$(through sql -c 'select 3')" = 3 ]
	stop_relay
	"$PGUMBRA" report --format json "$journal" | python3 -c '
import json, sys
books = json.load(sys.stdin)["books"]["same"]
assert books["balanced"] and books["matched"] == 2 and books["relayed"] == 3, books'
	! grep "error:" "$LOG"
}

@test "take over from nobody: a start like any other; without runtime_dir: refused" {
	mkdir "$BATS_TEST_TMPDIR/empty"
	LOG=$BATS_TEST_TMPDIR/run.log
	CONF=$BATS_TEST_TMPDIR/pgumbra.conf
	configure "runtime_dir = $BATS_TEST_TMPDIR/empty"
	"$PGUMBRA" run --take-over -c "$CONF" >"$LOG" 2>&1 3>&- &
	RELAY=$!
	wait_for "it listens" logged "listening on"
	logged "nobody offers sockets"
	[ "$(stat -c %a "$BATS_TEST_TMPDIR/empty/takeover")" = 600 ]
	stop_relay
	configure ""
	run -3 "$PGUMBRA" run --take-over -c "$CONF"
	[[ "$output" == *"--take-over needs pgumbra.runtime_dir"* ]]
}

# --- the end ---

@test "a second SIGTERM changes nothing: a busy session is waited for; SIGINT ends it" {
	start_run "drain_timeout = 1h"
	PGPORT=$RELAY_PORT psql -XAtqc "select pg_sleep(300)" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	HELD=$!
	wait_for "the statement runs" sleeping_once
	kill -TERM "$RELAY"
	wait_for "it drains" logged "waiting for 1 sessions"
	kill -TERM "$RELAY"
	wait_for "it says so" logged "SIGTERM again: waiting for 1 sessions still"
	sleeping_once
	kill -INT "$RELAY"
	wait "$RELAY"
	RELAY=
	logged "SIGINT: ending 1 sessions"
	wait_for "the client knows" test -s "$BATS_TEST_TMPDIR/out"
	HELD=
	wait_for "the statement is gone" none_sleeping
}

@test "SIGTERM: drain_timeout ends what is still busy; its client is told by the closed connection" {
	start_run "drain_timeout = 500ms"
	PGPORT=$RELAY_PORT psql -XAtqc "select pg_sleep(300)" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	HELD=$!
	wait_for "the statement runs" sleeping_once
	kill -TERM "$RELAY"
	wait "$RELAY"
	RELAY=
	logged "drain_timeout passed: ending 1 sessions"
	wait_for "the client knows" test -s "$BATS_TEST_TMPDIR/out"
	HELD=
	wait_for "the statement is gone" none_sleeping
}

none_sleeping() {
	! sleeping_once
}

sleeping_once() {
	[ "$(directly sql -c "select count(*) from pg_stat_activity where query like 'select pg_sleep(%'
		and state = 'active' and pid <> pg_backend_pid()")" = 1 ]
}

# --- who the client is ---

@test "PROXY headers: asked for from listed addresses, the announced client is in the log" {
	start_run "proxy_protocol_from = 10.0.0.0/8, 127.0.0.1
startup_timeout = 1s
log_level = debug"
	python3 "$TOOLS/lifecycle.py" announced "$RELAY_PORT"
	logged "127.0.0.1:[0-9]* announces 192.0.2.7:56324"
	logged "127.0.0.1:[0-9]* announces \[2001:db8::7\]:4660"
	logged "127.0.0.1:[0-9]* announces itself"
	logged "no valid PROXY header from 127.0.0.1:[0-9]*, which pgumbra.proxy_protocol_from asks"
	printf 'PROXY TCP4 192.0.2.9 127.0.0.1 7777 1\r\n\0\0' >"$BATS_TEST_TMPDIR/stalls"
	exec 9<>"/dev/tcp/127.0.0.1/$RELAY_PORT"
	cat "$BATS_TEST_TMPDIR/stalls" >&9
	wait_for "the announced one is named" logged "startup_timeout passed: closed 192.0.2.9:7777 before"
	exec 9>&-
	stop_relay
}

@test "PROXY headers from anybody else are garbage; a wrong list is refused by its entry" {
	start_run "proxy_protocol_from = 192.0.2.0/24, unix"
	python3 "$TOOLS/lifecycle.py" plain_header "$RELAY_PORT"
	[ "$(through sql -c 'select 1')" = 1 ]
	stop_relay
	configure "proxy_protocol_from = 10.0.0.0/8, balancer.test"
	run -2 "$PGUMBRA" run -c "$CONF"
	[[ "$output" == *"proxy_protocol_from, entry 2: allowed: addresses"* ]]
}

# --- limits ---

@test "listen_backlog and the clients' TCP settings reach the sockets" {
	start_run "core_dumps = on
listen_backlog = 37
tcp_keepalives_idle = 41s
tcp_keepalives_interval = 7s
tcp_keepalives_count = 3
tcp_user_timeout = 90s"
	coproc SESSION { PGPORT=$RELAY_PORT psql -XAtq 2>&1; }
	HELD=$SESSION_PID
	echo "select 1;" >&"${SESSION[1]}"
	read -r -u "${SESSION[0]}" line
	python3 "$TOOLS/lifecycle.py" options "$RELAY" "$RELAY_PORT" 37 41 7 3 90000
	HELD=
	echo '\q' >&"${SESSION[1]}"
	stop_relay
}

@test "case 18: thousands of slow and half-open clients: sessions go on, memory is bounded, then room again" {
	count=${SLOW_CLIENTS:-2000}
	start_run "core_dumps = on
max_logins = $((count + 100))
max_sessions = 50
relay_threads = 2
login_timeout = 1h
startup_timeout = 1h"
	coproc SESSION { PGPORT=$RELAY_PORT psql -XAtq 2>&1; }
	echo "select 'before';" >&"${SESSION[1]}"
	read -r -u "${SESSION[0]}" line
	[ "$line" = before ]
	before=$(resident_kib)
	coproc SLOW { python3 "$TOOLS/lifecycle.py" slow "$count" "$RELAY_PORT" "$BATS_TEST_TMPDIR/ready" 2>&1; }
	HELD=$SLOW_PID
	wait_for "they are there" test -s "$BATS_TEST_TMPDIR/ready"
	wait_for "all are accepted" has_descriptors "$count"
	for i in $(seq 50); do
		echo "select 'during $i';" >&"${SESSION[1]}"
		read -r -u "${SESSION[0]}" line
		[ "$line" = "during $i" ]
	done
	[ "$(through sql -c 'select 1')" = 1 ] # and new ones come in
	# nothing of them reaches the primary
	[ "$(directly sql -c "select count(*) from pg_stat_activity where backend_type = 'client backend'")" -le 3 ]
	after=$(resident_kib)
	echo "# $count slow clients: $before KiB before, $after KiB with them" >&3
	each=4 # README: What it costs
	if nm "$PGUMBRA" | grep -qE "__(asan|tsan)_init"; then each=16; fi
	[ $((after - before)) -lt $((count * each + 1024)) ]
	HELD=
	exec {SLOW[1]}>&-
	wait "$SLOW_PID"
	echo '\q' >&"${SESSION[1]}"
	stop_relay
}

has_descriptors() {
	[ "$(ls "/proc/$RELAY/fd" | wc -l)" -gt "$1" ]
}

resident_kib() {
	sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$RELAY/status"
}

@test "max_logins: further connections are closed and counted, those that log in make room" {
	start_run "max_logins = 10
login_timeout = 1h
startup_timeout = 2s"
	coproc SLOW { python3 "$TOOLS/lifecycle.py" slow 10 "$RELAY_PORT" "$BATS_TEST_TMPDIR/ready" 2>&1; }
	HELD=$SLOW_PID
	wait_for "they are there" test -s "$BATS_TEST_TMPDIR/ready"
	run ! through sql -c "select 1"
	logged "max_logins is reached: new connections are closed at once"
	wait_for "startup_timeout makes room" through sql -c "select 1"
	logged "startup_timeout passed: closed 127.0.0.[0-9]*:[0-9]* before its startup packet was complete"
	# sessions that are logged in don't count
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
		exec {fd}> >(PGPORT=$RELAY_PORT psql -XAtq -c "select pg_sleep(0)" -f - >>"$BATS_TEST_TMPDIR/out" 2>&1)
		echo "select 'in';" >&"$fd"
		open="${open:-} $fd"
	done
	wait_for "all twelve are in" has_lines 12 "^in$" "$BATS_TEST_TMPDIR/out"
	for fd in $open; do exec {fd}>&-; done
	HELD=
	exec {SLOW[1]}>&-
	stop_relay
}

# COMMAND... with an epoll that is full while the file $FULL exists
with_epoll() {
	FULL=$BATS_TEST_TMPDIR/full
	EPOLL_FULL=$FULL LD_PRELOAD=$(echo "$BUILD"/tests/libtest_epoll.so) \
		ASAN_OPTIONS=${ASAN_OPTIONS-}:verify_asan_link_order=0 "$@"
}

@test "sockets that the kernel won't watch: their sessions end at once, others go on, and later ones come" {
	with_epoll start_run ""
	coproc SESSION { PGPORT=$RELAY_PORT psql -XAtq 2>&1; }
	HELD=$SESSION_PID
	echo "select 'there before';" >&"${SESSION[1]}"
	read -r -u "${SESSION[0]}" line
	touch "$FULL"
	run -2 through sql -c 'select 1'
	[[ $output == *"server closed the connection"* ]]
	logged "max_user_watches.*: the session is closed (1 such"
	echo "select 'still there';" >&"${SESSION[1]}"
	read -r -u "${SESSION[0]}" line
	[ "$line" = "still there" ]
	rm "$FULL"
	[ "$(through sql -c 'select 1')" = 1 ]
	HELD=
	echo '\q' >&"${SESSION[1]}"
	stop_relay
}

@test "listeners that the kernel won't watch again after a lack of descriptors are tried until it does" {
	local free=0
	with_epoll start_run ""
	while [ -e "/proc/$RELAY/fd/$free" ]; do free=$((free + 1)); done
	prlimit --pid "$RELAY" --nofile="$free:"
	touch "$FULL"
	through sql -c 'select 1' >"$BATS_TEST_TMPDIR/answer" 3>&- &
	HELD=$!
	wait_for "it is tried" logged "could not watch the listening sockets, trying again"
	prlimit --pid "$RELAY" --nofile=1000:
	rm "$FULL"
	wait "$HELD"
	HELD=
	[ "$(cat "$BATS_TEST_TMPDIR/answer")" = 1 ]
	stop_relay
}

# The relay by itself: L1 (bytes as they are), L2 (waits for nobody), L4 (bounded), L5 (the account),
# L7 (a shadow that dies or hangs costs no client anything). "Case n" is of HAZARDS section 10.

bats_require_minimum_version 1.5.0

load relay_lib

setup_file() {
	start_primary
	directly pgbench -i -q -s 1 2>&3
	directly sql -c "create table big (v text); alter table big alter v set storage external;
		insert into big select string_agg(md5(i::text), '') from generate_series(1, 9000000) i"
}

teardown_file() {
	stop_primary
}

teardown() {
	status=$?
	if [ -n "${CHOPPERS:-}" ]; then
		kill $CHOPPERS || true
	fi
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

@test "psql over TCP and over a unix socket; the account balances" {
	start_relay
	[ "$(through sql -c 'select 6 * 7')" = 42 ]
	[ "$(PGHOST=$BATS_TEST_TMPDIR through sql -c 'select 6 * 7')" = 42 ]
	books_balance
	[ "$(told opens)" = 2 ]
	[ "$(told closes)" = 2 ]
	[ "$(told relayed)" = 2 ]
	[ ! -e "$BATS_TEST_TMPDIR/.s.PGSQL.$RELAY_PORT" ]
}

@test "pgbench: every script in every protocol mode, and a connection a transaction" {
	start_relay
	for script in tpcb-like simple-update select-only; do
		for mode in simple extended prepared; do
			through pgbench -n -b $script -M $mode -c 4 -j 2 -t 100 >"$BATS_TEST_TMPDIR/out" 2>&1
			grep -q "processed: 400/400" "$BATS_TEST_TMPDIR/out"
		done
	done
	through pgbench -n -S -C -c 4 -t 50 >"$BATS_TEST_TMPDIR/out" 2>&1
	grep -q "processed: 200/200" "$BATS_TEST_TMPDIR/out"
	books_balance
	[ "$(told read)" -gt 3000 ]
}

@test "COPY both ways, pg_dump and restore are as without the relay" {
	start_relay
	cd "$BATS_TEST_TMPDIR"
	directly sql -c "create table copied (i int, t text)"
	seq 1 50000 | sed 's/.*/&\tline &/' >in
	through sql -c "\\copy copied from in"
	through sql -c "\\copy (select * from copied order by i) to out"
	cmp in out
	# \restrict has a random key in each dump
	directly pg_dump -t copied | grep -v restrict >direct.sql
	through pg_dump -t copied | grep -v restrict >relayed.sql
	cmp direct.sql relayed.sql
	directly sql -c "drop table copied"
	through sql -f relayed.sql >restored
	directly sql -c "\\copy (select * from copied order by i) to again"
	cmp in again
	directly sql -c "drop table copied"
	books_balance
}

@test "notifications arrive" {
	start_relay
	through psql -Xq -c "listen news" -c "notify news, 'today'" -c "select 1" >"$BATS_TEST_TMPDIR/out"
	grep -q 'notification "news" with payload "today"' "$BATS_TEST_TMPDIR/out"
	books_balance
}

@test "case 26: a row and a COPY of 290 MB pass, memory stays flat (L4)" {
	# Freed memory that AddressSanitizer keeps back is not the relay's.
	ASAN_OPTIONS=${ASAN_OPTIONS-}:quarantine_size_mb=1:thread_local_quarantine_size_kb=64
	export ASAN_OPTIONS
	start_relay
	through sql -c "select 1" >/dev/null
	before=$(peak_kib)
	[ "$(through sql -c 'select v from big' | md5sum)" = "$(directly sql -c 'select v from big' | md5sum)" ]
	[ "$(through sql -c 'copy big to stdout' | md5sum)" = "$(directly sql -c 'copy big to stdout' | md5sum)" ]
	directly sql -c "create table big_in (v text)"
	directly sql -c "copy big to stdout" | through sql -c "copy big_in from stdin"
	[ "$(directly sql -c 'select (select md5(v) from big) = (select md5(v) from big_in)')" = t ]
	directly sql -c "drop table big_in"
	after=$(peak_kib)
	echo "peak: $before KiB before, $after KiB after"
	[ $((after - before)) -lt 8192 ]
	books_balance
	[ "$(told rows)" -ge 2 ]
}

@test "L7: the shadow killed again and again under load costs no client anything" {
	start_relay
	through pgbench -n -M prepared -c 8 -j 2 -T 8 >"$BATS_TEST_TMPDIR/out" 2>&1 &
	bench=$!
	for round in 1 2 3; do
		wait_for "shadow $round" [ "$(grep -c 'shadow process.*started' "$LOG")" -ge $round ]
		wait_for "the shadow is up" kill -0 "$(shadow_pid)"
		kill -KILL "$(shadow_pid)"
		wait_for "shadow $((round + 1))" started_at_least $((round + 1))
	done
	wait $bench
	cat "$BATS_TEST_TMPDIR/out"
	grep -q "number of failed transactions: 0 " "$BATS_TEST_TMPDIR/out"
	! grep -iE "error|aborted" "$BATS_TEST_TMPDIR/out"
	books_balance
	[ "$(told again)" -ge 8 ]
	[ "$(told resumes)" -ge 8 ]
}

started_at_least() {
	[ "$(grep -c 'shadow process.*started' "$LOG")" -ge "$1" ]
}

@test "case 33: a shadow that hangs costs evidence only, and sessions heal" {
	start_relay shadow.tape_size=1MB
	kill -STOP "$(shadow_pid)"
	through pgbench -n -M extended -c 4 -j 2 -t 2000 >"$BATS_TEST_TMPDIR/out" 2>&1
	grep -q "processed: 8000/8000" "$BATS_TEST_TMPDIR/out"
	through pgbench -n -S -c 2 -T 4 >"$BATS_TEST_TMPDIR/out" 2>&1 &
	bench=$!
	kill -CONT "$(shadow_pid)"
	wait $bench
	grep -q "number of failed transactions: 0 " "$BATS_TEST_TMPDIR/out"
	books_balance
	grep -q "unobserved(tape_full)" "$LOG"
	[ "$(told unobserved)" -gt 0 ]
	[ "$(told read)" -gt 0 ]
}

@test "shadow.enabled=off: everything relayed, all of it booked as shadow_off" {
	start_relay shadow.enabled=off
	[ "$(through sql -c 'select 1')" = 1 ]
	stop_relay
	! grep -q "shadow process" "$LOG"
	grep -q "1 executions relayed, 0 put on the tape" "$LOG"
}

@test "max_sessions: the next client gets 53300, a free place is given again" {
	start_relay pgumbra.max_sessions=3
	wire limit 3
	books_balance
}

@test "an unreachable primary: 08006" {
	start_relay "primary.conninfo=host=127.0.0.1 port=1"
	wire refused 08006
	run -2 through sql -c "select 1"
	[[ "$output" == *"could not connect to the primary: Connection refused"* ]]
}

@test "the next address is tried when the first does not answer" {
	start_relay "primary.conninfo=host=127.0.0.1,127.0.0.1 port=1,$PRIMARY_PORT"
	[ "$(through sql -c 'select 1')" = 1 ]
	books_balance
}

@test "a cancel request reaches the statement" {
	start_relay
	wire cancel
	books_balance
}

sleeping_once() {
	[ "$(directly sql -c "select count(*) from pg_stat_activity where query like 'select pg_sleep(%'
		and state = 'active' and pid <> pg_backend_pid()")" = 1 ]
}

none_sleeping() {
	! sleeping_once
}

@test "case 9: garbage instead of a startup packet is answered as the server does" {
	start_relay
	wire garbage "$PRIMARY_PORT"
	books_balance
}

@test "case 10: a startup packet in single bytes works" {
	start_relay
	wire dribble
	books_balance
}

@test "case 10: a startup packet that stalls is closed at login_timeout, the primary unasked" {
	start_relay pgumbra.login_timeout=1s "primary.conninfo=host=127.0.0.1 port=1"
	wire stall
	! grep -q "could not connect" "$LOG"
	grep -q "login_timeout passed" "$LOG"
}

@test "SSLRequest and GSSENCRequest are answered N, each once" {
	start_relay
	wire encryption
	books_balance
}

@test "case 27: 100,000 executions pipelined before anything is read" {
	start_relay
	before=$(peak_kib)
	wire pipeline 100000
	[ $(($(peak_kib) - before)) -lt 8192 ]
	books_balance
	[ "$(told relayed)" = 100000 ]
}

@test "case 28: traffic in pieces of 1 to 7 bytes, both ways, is the same traffic" {
	python3 "$TOOLS/relay_wire.py" chop "$CHOP_BACK" "$PRIMARY_PORT" >"$BATS_TEST_TMPDIR/back" 3>&- &
	CHOPPERS=$!
	python3 "$TOOLS/relay_wire.py" chop "$CHOP_FRONT" "$RELAY_PORT" >"$BATS_TEST_TMPDIR/front" 3>&- &
	CHOPPERS="$CHOPPERS $!"
	wait_for "the choppers listen" grep -q ready "$BATS_TEST_TMPDIR/back" "$BATS_TEST_TMPDIR/front"
	start_relay "primary.conninfo=host=127.0.0.1 port=$CHOP_BACK"
	for i in 1 2 3; do
		PGPORT=$CHOP_FRONT sql -c "select i, md5(i::text) from generate_series(1, 300) i" \
			-c "select 1/0::float8 is null" >"$BATS_TEST_TMPDIR/cut" 2>&1 || true
		directly sql -c "select i, md5(i::text) from generate_series(1, 300) i" \
			-c "select 1/0::float8 is null" >"$BATS_TEST_TMPDIR/whole" 2>&1 || true
		cmp "$BATS_TEST_TMPDIR/cut" "$BATS_TEST_TMPDIR/whole"
	done
	PGPORT=$CHOP_FRONT pgbench -n -S -M prepared -c 2 -t 50 >"$BATS_TEST_TMPDIR/out" 2>&1
	grep -q "processed: 100/100" "$BATS_TEST_TMPDIR/out"
	kill $CHOPPERS
	CHOPPERS=
	books_balance
	[ "$(told read)" = "$(told relayed)" ]
}

@test "case 30: Terminate or a half-close behind a query: the whole answer, then the end" {
	start_relay
	wire terminate
	books_balance
}

@test "case 31: a killed client's backend ends" {
	start_relay
	wire hold "select pg_sleep(300)" 3>&- &
	HELD=$!
	wait_for "the statement runs" sleeping_once
	kill -KILL "$(pgrep -P $HELD || echo $HELD)"
	HELD=
	wait_for "its backend is gone" none_sleeping
	books_balance
}

@test "case 32: a terminated backend: exactly one FATAL, then the end" {
	start_relay
	wire terminated "$PRIMARY_PORT"
	books_balance
}

@test "case 15: a replication session is relayed and not observed" {
	start_relay
	wire replication
	books_balance
	grep -q "unobserved(replication)=1" "$LOG"
	[ "$(told opens)" = 0 ]
}

@test "SIGTERM: idle sessions end with 57P01, busy ones when they are done" {
	start_relay
	wire drain "$BATS_TEST_TMPDIR/pid"
	books_balance
}

@test "a second instance on the same port is refused" {
	start_relay
	run -3 "$BUILD/tests/relay_only" "pgumbra.listen=127.0.0.1:$RELAY_PORT" \
		"primary.conninfo=host=127.0.0.1 port=$PRIMARY_PORT"
	[[ "$output" == *"could not listen on 127.0.0.1:$RELAY_PORT"* ]]
	books_balance
}

@test "TLS that can't be had as asked for is refused by name, not passed over" {
	run -2 "$BUILD/tests/relay_only" "pgumbra.listen=127.0.0.1:$RELAY_PORT" \
		"primary.conninfo=host=127.0.0.1 sslmode=verify-full sslrootcert=/nowhere/root.crt"
	[[ "$output" == *"/nowhere/root.crt"* ]]
}

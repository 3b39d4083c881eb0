# The mirror against real servers, driven by mirror_probe: answers, refusal of writes, settings,
# prepared statements, TLS, lost connections, stopped and frozen servers. Every test runs against
# PostgreSQL 15 and, where its package is installed, 18.

load ../tools/clusters.bash

PROBE=${PGUMBRA_PROBE:-$REPOSITORY/build/dev/tests/mirror_probe}

setup_file() {
	MIRROR_DIR=$(scratch_directory pgumbra-mirror)
	SERVERS=$MIRROR_DIR/pg15
	cluster_make "$MIRROR_DIR/pg15" "$DEBIAN_PG_BIN"
	if bin=$(pg18_bin); then
		cluster_make "$MIRROR_DIR/pg18" "$bin"
		SERVERS+=" $MIRROR_DIR/pg18"
	else
		echo "# PostgreSQL 18 is not installed: only 15 is tried" >&3
	fi
	export MIRROR_DIR SERVERS
	openssl req -new -x509 -days 2 -nodes -text -subj /CN=localhost -out "$MIRROR_DIR/cert.pem" \
		-keyout "$MIRROR_DIR/key.pem" 2>/dev/null
	as_postgres tee "$MIRROR_DIR/pg15/data/server.crt" <"$MIRROR_DIR/cert.pem" >/dev/null
	as_postgres install -m 600 /dev/null "$MIRROR_DIR/pg15/data/server.key"
	as_postgres tee "$MIRROR_DIR/pg15/data/server.key" <"$MIRROR_DIR/key.pem" >/dev/null
	for server in $SERVERS; do
		start "$server"
		cluster_psql "$server" postgres <<-SQL
			create role ro login password 'ro';
			create table t(a int primary key, b text);
			insert into t select g, 'row ' || g from generate_series(1, 1000) g;
			insert into t values (2000, ''), (2001, null);
			create sequence s;
			grant select on t to ro;
			grant usage on sequence s to ro;
			grant insert on t to ro;
			create function writes() returns int volatile language sql
				as 'insert into t values (9999, ''x'') returning a';
		SQL
	done
}

teardown_file() {
	for server in $SERVERS; do cluster_stop "$server" immediate; done
	rm -rf "$MIRROR_DIR"
}

teardown() {
	end_probe
	for server in $SERVERS; do
		for pid in $(frozen_pids "$server"); do kill -CONT "$pid"; done
	done
	if grep -E '(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:|assert' \
		"$BATS_TEST_TMPDIR/probe.log"; then
		return 1
	fi
}

start() {
	local tls=
	if [ "$1" = "$MIRROR_DIR/pg15" ]; then tls=ssl=on; fi
	cluster_start "$1" $tls
}

frozen_pids() {
	local postmaster
	postmaster=$(head -1 "$1/data/postmaster.pid" 2>/dev/null) || return 0
	echo "$postmaster"
	pgrep -P "$postmaster" || true
}

conninfo() { # SERVER [MORE]
	echo "host=127.0.0.1 port=$(cluster_port "$1") user=${2:-ro} password=${2:-ro} ${3:-}"
}

# --- one probe at a time, asked line by line ---

start_probe() { # SERVER [probe options]...
	local server=$1
	shift
	start_probe_on "$(conninfo "$server")" "$@"
}

start_probe_on() { # CONNINFO [probe options]...
	local target=$1
	shift
	end_probe
	coproc ASKED { exec "$PROBE" "$@" "$target" 2>>"$BATS_TEST_TMPDIR/probe.log" 3>&-; }
	probe_pid=$ASKED_PID
	probe_in=${ASKED[1]}
	probe_out=${ASKED[0]}
}

end_probe() {
	touch "$BATS_TEST_TMPDIR/probe.log"
	[ -n "${probe_pid:-}" ] || return 0
	eval "exec ${probe_in}>&-"
	wait "$probe_pid" || { echo "the probe ended with $?"; return 1; }
	probe_pid=
}

say() { # LINE...: without waiting for an answer
	local line
	for line; do printf '%s\n' "$line" >&"$probe_in"; done
}

# Sets $answer to everything that was printed up to now.
hear() {
	local line
	answer=
	say '\echo end of answer'
	while IFS= read -r -t 60 -u "$probe_out" line; do
		if [ "$line" = "end of answer" ]; then return 0; fi
		answer+=$line$'\n'
	done
	echo "no answer from the probe" >&2
	return 1
}

ask() { # LINE...
	say "$@"
	hear
}

expect() { # PATTERN...: each is in the answer, as an extended regular expression of a whole line
	local pattern
	for pattern; do
		grep -qxE -- "$pattern" <<<"$answer" || {
			printf 'expected: %s\nheard:\n%s' "$pattern" "$answer"
			tail -5 "$BATS_TEST_TMPDIR/probe.log"
			return 1
		}
	done
}

on_server() { # SERVER SQL
	cluster_psql "$1" postgres -At -c "$2"
}

is_on_server() { # SERVER SQL EXPECTED
	[ "$(on_server "$1" "$2")" = "$3" ]
}

# --- answers ---

@test "rows come as text and binary, with parameters, NULL and the empty string apart" {
	for server in $SERVERS; do
		start_probe "$server"
		ask 'select a, b from t where a <= 2 order by a'
		expect 'complete columns=2 rows=2 .*' 'row 1\|row 1' 'row 2\|row 2'
		ask 'select b from t where a >= 2000 order by a'
		expect 'row ' 'row NULL'
		ask '\formats 1,0' 'select a, b from t where a = 2'
		expect 'row \\x00000002\|row 2'
		ask '\formats 1' 'select a, b from t where a = 2'
		expect 'row \\x00000002\|\\x726f772032'
		ask '\formats' '\param 7' '\null' 'select b, $2::text from t where a = $1'
		expect 'row row 7\|NULL'
		ask '\types 20' 'select pg_typeof($1), $2::text'
		expect 'row bigint\|NULL'
		ask '\noparams' '\limit 3' 'select a from t order by a'
		expect 'suspended columns=1 rows=3 .*'
		ask '\limit 0' 'select'
		expect 'complete columns=0 rows=1 .*'
		ask ''
		expect 'empty .*'
	done
}

@test "rows past the limit are digested, not kept" {
	for server in $SERVERS; do
		start_probe "$server" -k 1000
		ask "select repeat('x', 500) from generate_series(1, 20000)"
		expect 'complete columns=1 rows=20000 bytes=10120000 kept_all=0 .*' "row x{500}"
		ask 'select 1'
		expect 'complete .* kept_all=1 .*'
	done
}

@test "an error of the read is an answer and costs nothing" {
	for server in $SERVERS; do
		start_probe "$server"
		ask 'select 1/0'
		expect 'error 22012 .*'
		ask 'select nothing from nowhere'
		expect 'error 42P01 .*'
		ask 'select a from t where a = 3 and 1/(a-3) > 0'
		expect 'error 22012 .*'
		ask '\formats 0,1' 'select 1'
		expect 'error 08P01 .*'
		ask '\state'
		expect 'state connections=1 .* reads=4 failures=0'
		is_on_server "$server" \
			"select count(*) from pg_stat_activity where application_name = 'pgumbra'" 1
	done
}

@test "no attempt to write succeeds (L3)" {
	for server in $SERVERS; do
		before=$(on_server "$server" 'select count(*), sum(a) from t')
		start_probe "$server"
		for sql in "insert into t values (5000, 'x')" 'delete from t' 'select writes()' \
			'with w as (insert into t values (5001) returning a) select a from w' \
			"select nextval('s')" 'select a from t for update' 'create table u(a int)' \
			'create temp table v(a int)' 'select * into w from t'; do
			ask "$sql"
			expect 'error (25006|42501) .*'
		done
		ask 'select 1; commit; insert into t values (5002)'
		expect 'error 42601 cannot insert multiple commands .*'
		ask "select set_config('transaction_read_only', 'off', true)"
		expect 'error 25001 .*'
		ask 'set transaction read write'
		expect 'error 25001 .*'
		ask 'commit'
		expect 'failed candidate_failed\(connection\): .*'
		ask "insert into t values (5003, 'x')"
		expect 'error 25006 .*'
		is_on_server "$server" 'select count(*), sum(a) from t' "$before"
	done
}

join_settings() {
	local name list=
	for name; do list+="${list:+, }current_setting('$name')"; done
	echo "$list"
}

@test "settings are applied for one read only, and those that would free the candidate never" {
	for server in $SERVERS; do
		start_probe "$server" -t 7000
		ask '\set datestyle=SQL, DMY' '\set search_path=pg_temp, public' '\set bytea_output=escape' \
			"select date '2024-02-03', current_setting('search_path'), '\\xff'::bytea"
		expect 'row 03/02/2024\|pg_temp, public\|\\377'
		ask '\reset' "select date '2024-02-03', current_setting('search_path')"
		expect 'row 2024-02-03\|"\$user", public'
		ask '\set statement_timeout=0' '\set lock_timeout=0' '\set role=postgres' \
			'\set transaction_read_only=off' '\set default_transaction_read_only=off' \
			'\set transaction_isolation=serializable' '\set application_name=client' \
			"select $(join_settings statement_timeout lock_timeout role transaction_read_only \
				default_transaction_read_only transaction_isolation application_name)"
		expect 'row 7s\|3501ms\|none\|on\|on\|read committed\|pgumbra'
		ask '\reset' '\set timezone=Nowhere/None' 'select 1'
		expect 'failed candidate_failed\(wrapper\): .* 22023'
		ask '\reset' '\set no_such_setting=1' 'select 1'
		expect 'failed candidate_failed\(wrapper\): .*no_such_setting.*'
		ask '\reset' 'select 1'
		expect 'row 1'
	done
}

@test "another encoding of the client is honoured" {
	for server in $SERVERS; do
		start_probe "$server"
		ask '\set client_encoding=LATIN1' '\formats 1' "select chr(233)"
		expect 'row \\xe9'
		ask '\reset' "select chr(233)"
		expect 'row \\xc3a9'
	done
}

@test "a custom setting leaves nothing behind for other reads" {
	for server in $SERVERS; do
		start_probe "$server"
		ask '\set app.tenant=7' "select current_setting('app.tenant')"
		expect 'row 7'
		ask '\reset' '\set app.tenant=8' "select current_setting('app.tenant')"
		expect 'complete .* cold=1' 'row 8'
		ask '\reset' "select current_setting('app.tenant', true)"
		expect 'row NULL'
		is_on_server "$server" \
			"select count(*) from pg_stat_activity where application_name = 'pgumbra'" 1
	done
}

@test "a named read is parsed once, and anew under other settings or when its table changed" {
	for server in $SERVERS; do
		on_server "$server" 'create table n(a int); insert into n values (1); grant select on n to ro'
		start_probe "$server"
		prepared="select count(*) from pg_prepared_statements where statement = 'select * from n'"
		ask '\named on' 'select * from n' 'select * from n' 'select * from n' '\named off' "$prepared"
		expect 'row 1'
		ask '\named on' '\set datestyle=SQL' 'select * from n' '\reset' '\named off' "$prepared"
		expect 'row 2'
		on_server "$server" 'alter table n add b int default 5'
		ask '\named on' 'select * from n'
		expect 'complete columns=2 .*' 'row 1\|5'
		ask '\named off' "$prepared"
		expect 'row 2'
		on_server "$server" 'drop table n'
	done
}

@test "prepared statements on a connection are bounded" {
	for server in $SERVERS; do
		start_probe "$server"
		say '\named on'
		for i in $(seq 300); do say "select $i"; done
		hear
		ask '\named off' "select count(*) from pg_prepared_statements where name ~ '^pgu_[0-9]+\$'"
		expect 'row 256'
	done
}

@test "the same over TLS, large answers too" {
	server=$MIRROR_DIR/pg15
	big="select g, repeat('x', 1000) from generate_series(1, 30000) g"
	start_probe_on "$(conninfo "$server" ro sslmode=disable)" -k 100
	ask 'select ssl from pg_stat_ssl where pid = pg_backend_pid()'
	expect 'row f'
	ask "$big"
	digest=$(sed -n 's/.* rows=30000 .*digest=\([0-9a-f]*\).*/\1/p' <<<"$answer")
	[ -n "$digest" ]
	start_probe_on "$(conninfo "$server" ro sslmode=require)" -k 100 -p 4
	ask 'select ssl from pg_stat_ssl where pid = pg_backend_pid()'
	expect 'row t'
	ask "$big"
	expect "complete .* rows=30000 .*digest=$digest .*"
	ask '\param '"$(head -c 600000 /dev/zero | tr '\0' y)" 'select length($1), md5($1) = md5(repeat('"'y'"', 600000))'
	expect 'row 600000\|t'
	ask '\noparams' '\repeat 300' 'select sum(a) from t'
	expect 'repeated answered=300 failed=0 different=0'
}

@test "a thousand reads on a pool of four" {
	for server in $SERVERS; do
		start_probe "$server" -p 4
		ask '\repeat 1000' 'select a, b from t order by a' '\state'
		expect 'repeated answered=1000 failed=0 different=0' \
			'state connections=[1-4] busy=0 queued=0 breaker_open=0 reads=1000 failures=0'
	done
}

# --- trouble ---

@test "statement_timeout on the server is a timeout, and the connection lives" {
	for server in $SERVERS; do
		start_probe "$server" -t 300
		ask 'select pg_sleep(60)'
		expect 'failed candidate_failed\(timeout\): .*57014'
		ask 'select 1' '\state'
		expect 'row 1' 'state connections=1 .*'
	done
}

@test "a connection that the server ends in the middle of a read is a failure, then all is well" {
	for server in $SERVERS; do
		start_probe "$server" -t 60000
		say 'select pg_sleep(50)'
		sleeping="from pg_stat_activity where application_name = 'pgumbra' and wait_event = 'PgSleep'"
		wait_for 60 "the read to run" is_on_server "$server" "select count(*) $sleeping" 1
		on_server "$server" "select pg_terminate_backend(pid) $sleeping"
		hear
		expect 'failed candidate_failed\(connection\): .*57P01'
		ask 'select 1'
		expect 'row 1'
	done
}

@test "a read that may leave traces costs its connection" {
	for server in $SERVERS; do
		start_probe "$server"
		ask '\harmless off' 'select pg_advisory_lock(1)'
		expect 'complete .*'
		wait_for 60 "the lock to go" is_on_server "$server" \
			"select count(*) from pg_locks where locktype = 'advisory'" 0
		ask '\harmless on' 'select 1'
		expect 'complete .* cold=1' 'row 1'
	done
}

breaker_opens() {
	ask 'select 1'
	grep -q breaker <<<"$answer"
}

answers() {
	ask 'select 1'
	grep -qx 'row 1' <<<"$answer"
}

@test "a stopped server opens the breaker, and is used again when it is back" {
	for server in $SERVERS; do
		start_probe "$server" -b 3 -o 200
		ask 'select 1'
		expect 'row 1'
		cluster_stop "$server"
		wait_for_here "the breaker" breaker_opens
		start "$server"
		wait_for_here "answers" answers
	done
}

@test "a frozen server is a timeout and a dead connection, and is used again when it thaws" {
	for server in $SERVERS; do
		start_probe "$server" -t 500
		ask 'select 1'
		expect 'row 1'
		for pid in $(frozen_pids "$server"); do kill -STOP "$pid"; done
		ask 'select 1' '\state'
		expect 'failed candidate_failed\(timeout\): .*' 'state connections=0 .*'
		for pid in $(frozen_pids "$server"); do kill -CONT "$pid"; done
		wait_for_here "answers" answers
	done
}

# As wait_for, but in this shell, because the probe belongs to it.
wait_for_here() { # WHAT COMMAND...
	local what=$1 until=$((SECONDS + 60))
	shift
	until "$@"; do
		if [ $SECONDS -ge $until ]; then
			echo "waited in vain for $what; last heard: $answer"
			return 1
		fi
	done
}

@test "a role that is refused gets no read" {
	for server in $SERVERS; do
		on_server "$server" "alter role postgres password 'postgres'"
		start_probe_on "$(conninfo "$server" postgres)" -s
		ask 'select 1'
		expect 'failed dropped\(breaker\): .*'
		ask 'select 1'
		expect 'refused 1 breaker'
		grep -q 'the role is a superuser' "$BATS_TEST_TMPDIR/probe.log"
	done
}

@test "a wrong password never shows in the log" {
	server=$MIRROR_DIR/pg15
	start_probe_on "host=127.0.0.1 port=$(cluster_port "$server") user=ro password=sesame" -b 1
	ask 'select 1'
	expect 'failed dropped\(breaker\): .*'
	grep -q 'password authentication failed' "$BATS_TEST_TMPDIR/probe.log"
	! grep -q sesame "$BATS_TEST_TMPDIR/probe.log"
}

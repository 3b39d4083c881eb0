#!/usr/bin/env bats
# The catalogue as real servers give it: every installed PostgreSQL, or those in PGUMBRA_TEST_BINDIRS
# (colon-separated directories with initdb and pg_ctl). Needs psql on the PATH and a build in
# PGUMBRA_BUILD (default build/dev).

setup_file() {
	export HERE=$BATS_TEST_DIRNAME
	export PROBE=${PGUMBRA_BUILD:-$HERE/../../build/dev}/tests/catalogue_probe
	export SERVERS=$BATS_FILE_TMPDIR/servers
	local port=${PGUMBRA_TEST_PORT:-20560} bin
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" 2>/dev/null || true
	: >"$SERVERS"
	while read -r bin; do
		start_server "$bin" "$port"
		port=$((port + 1))
	done < <(bindirs)
	[ -s "$SERVERS" ]
}

bindirs() {
	if [ -n "${PGUMBRA_TEST_BINDIRS:-}" ]; then
		tr : '\n' <<<"$PGUMBRA_TEST_BINDIRS"
	else
		ls -d /usr/lib/postgresql/*/bin
	fi
}

as_postgres() {
	if [ "$(id -u)" = 0 ]; then
		runuser -u postgres -- "$@"
	else
		"$@"
	fi
}

start_server() {
	local bin=$1 port=$2 dir
	dir=$(as_postgres mktemp -d /tmp/pgumbra-catalogue.XXXXXX)
	echo "$bin $port $dir" >>"$SERVERS"
	as_postgres "$bin/initdb" -A trust -N -U postgres -D "$dir/data" >/dev/null 2>&1
	as_postgres "$bin/pg_ctl" -w -D "$dir/data" -l "$dir/log" \
		-o "-p $port -c fsync=off -c listen_addresses=127.0.0.1 -k $dir" start >/dev/null 3>&-
	psql -qX -v ON_ERROR_STOP=1 -d "$(conninfo "$port")" -f "$HERE/catalogue.sql"
}

conninfo() {
	echo "host=127.0.0.1 port=$1 user=postgres dbname=postgres sslmode=disable"
}

teardown_file() {
	local bin port dir
	while read -r bin port dir; do
		as_postgres "$bin/pg_ctl" -w -m immediate -D "$dir/data" stop >/dev/null 2>&1 || true
		rm -rf "$dir"
	done <"$SERVERS"
}

# expect_answers PORT: every line of catalogue.expected
expect_answers() {
	local got
	got=$(sed 's/ | [a-z_]*$//' "$HERE/catalogue.expected" | "$PROBE" "$(conninfo "$1")")
	diff <(sed 's/.* | //' "$HERE/catalogue.expected" | paste -d'|' - \
		<(sed 's/ | [a-z_]*$//' "$HERE/catalogue.expected")) \
		<(paste -d'|' <(echo "$got") <(sed 's/ | [a-z_]*$//' "$HERE/catalogue.expected"))
}

@test "every server answers as expected" {
	while read -r bin port dir; do
		echo "$bin"
		expect_answers "$port"
	done <"$SERVERS"
}

@test "an implicit cast between built-in types that acts makes every table act" {
	while read -r bin port dir; do
		psql -qX -v ON_ERROR_STOP=1 -d "$(conninfo "$port")" -c "create database anywhere"
		psql -qX -v ON_ERROR_STOP=1 -d "$(conninfo "$port") dbname=anywhere" -c "create table t (a text)" \
			-c "create function acts(text) returns int language sql volatile as 'select 1'"
		[ "$("$PROBE" "$(conninfo "$port") dbname=anywhere" <<<"sql select abs(a) from t")" = read ]
		psql -qX -v ON_ERROR_STOP=1 -d "$(conninfo "$port") dbname=anywhere" \
			-c "create cast (text as int) with function acts(text) as implicit"
		[ "$("$PROBE" "$(conninfo "$port") dbname=anywhere" <<<"sql select abs(a) from t")" = volatile_function ]
	done <"$SERVERS"
}

@test "no volatile built-in of the server is ever a read" {
	while read -r bin port dir; do
		psql -qAtX -d "$(conninfo "$port")" -c "select distinct 'sql select 1 where pg_catalog.\"' ||
			proname || '\"(1)' from pg_proc where provolatile = 'v' and prokind = 'f'
			and pronamespace = 'pg_catalog'::regnamespace" >"$BATS_TEST_TMPDIR/questions"
		[ "$(wc -l <"$BATS_TEST_TMPDIR/questions")" -gt 150 ]
		"$PROBE" "$(conninfo "$port")" <"$BATS_TEST_TMPDIR/questions" >"$BATS_TEST_TMPDIR/answers"
		paste "$BATS_TEST_TMPDIR/answers" "$BATS_TEST_TMPDIR/questions" |
			(! grep -v '^volatile_function\|^server_specific')
	done <"$SERVERS"
}

@test "most built-in functions stay readable" {
	while read -r bin port dir; do
		psql -qAtX -d "$(conninfo "$port")" -c "select distinct 'sql select 1 where pg_catalog.\"' ||
			proname || '\"(1, 2)' from pg_proc p where prokind in ('f', 'a', 'w')
			and pronamespace = 'pg_catalog'::regnamespace and not exists (select from pg_proc o
			where o.proname = p.proname and o.provolatile = 'v')
			and proname !~ '^(pg|txid|inet|has|reg|to_reg|dblink|binary_upgrade|lo)_'" \
			>"$BATS_TEST_TMPDIR/questions"
		"$PROBE" "$(conninfo "$port")" <"$BATS_TEST_TMPDIR/questions" >"$BATS_TEST_TMPDIR/answers"
		paste "$BATS_TEST_TMPDIR/answers" "$BATS_TEST_TMPDIR/questions" | grep -v ^read || true
		[ "$(grep -c ^read "$BATS_TEST_TMPDIR/answers")" -gt 1500 ]
	done <"$SERVERS"
}

@test "loading leaves nothing behind and needs no rights" {
	while read -r bin port dir; do
		psql -qX -d "$(conninfo "$port")" -c "create role nobody_special login"
		run "$PROBE" "host=127.0.0.1 port=$port user=nobody_special dbname=postgres" <<<"function acts"
		[ "$status" = 0 ]
		[ "$output" = volatile ]
	done <"$SERVERS"
}

@test "a server that is not there is an error, not a catalogue" {
	run "$PROBE" "host=127.0.0.1 port=20599 connect_timeout=2" <<<"function acts"
	[ "$status" = 3 ]
}

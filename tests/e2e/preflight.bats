# What check and run find by comparing the control with a candidate: two clusters whose database
# `shop` differs in each kind, every kind found; their database `same`, none found. On PostgreSQL 15
# and, where the npm package is there, on 18.

source "$BATS_TEST_DIRNAME/../tools/clusters.bash"
PGUMBRA=${PGUMBRA:-$REPOSITORY/build/dev/pgumbra}

setup_file() {
	PF_DIR=$(scratch_directory pgumbra-preflight)
	export PF_DIR
	make_pair 15 "$DEBIAN_PG_BIN"
	if pg18_bin >"$PF_DIR/bin18"; then make_pair 18 "$(cat "$PF_DIR/bin18")"; fi
}

teardown_file() {
	local cluster
	for cluster in "$PF_DIR"/*-*; do cluster_stop "$cluster" immediate; done
	rm -rf "$PF_DIR"
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	bats_require_minimum_version 1.5.0
}

teardown() {
	[ -z "${PGUMBRA_PID:-}" ] || kill "$PGUMBRA_PID" 2>/dev/null || true
}

make_pair() { # VERSION BIN
	local side
	for side in control candidate; do
		cluster_make "$PF_DIR/$1-$side" "$2"
		cluster_start "$PF_DIR/$1-$side" track_io_timing=off
		make_roles "$PF_DIR/$1-$side" "pf_$side"
		cluster_psql "$PF_DIR/$1-$side" postgres -c 'create database same' \
			-c 'revoke temporary on database postgres from public' \
			-c 'revoke temporary on database same from public'
		make_schema "$PF_DIR/$1-$side" same
	done
}

make_roles() { # CLUSTER PGUMBRA'S-ROLE
	cluster_psql "$1" postgres <<-SQL
		create role $2 login password '$2' in role pg_read_all_data;
		create role app login;
		create role readers;
		grant readers to app;
		alter role app set search_path = app, public;
		alter role app in database postgres set app.tenant = 'geheim';
	SQL
}

# Something of each kind.
make_schema() { # CLUSTER DATABASE
	cluster_psql "$1" "$2" -o /dev/null <<-'SQL'
		create schema app;
		grant usage on schema app to app;
		create collation app.german (provider = icu, locale = 'de');
		create type app.mood as enum ('sad', 'ok', 'happy');
		create domain app.price as numeric(10, 2);
		create type app.pair as (a int, b text);
		create sequence app.numbers increment 1;
		select setval('app.numbers', 100);
		create table app.items (id int primary key, name text collate app.german, mood app.mood,
			price app.price, pair app.pair);
		create table app.parts (id int, of_item int);
		create table app.owned (id int, owner text);
		alter table app.owned enable row level security;
		create policy own on app.owned for select to app using (owner = current_user);
		grant select on app.items, app.parts to app;
		grant select (id) on app.owned to readers;
		create view app.cheap as select id, name from app.items where price < 10;
		create view app.few as select id from app.parts where id < 10;
		create materialized view app.sums as select sum(price) from app.items;
		create function app.twice(i int) returns int immutable language sql as 'select 2 * i';
		select lo_create(4711);
	SQL
}

address() { # VERSION SIDE [DATABASE]
	echo "host=127.0.0.1 port=$(cluster_port "$PF_DIR/$1-$2") user=pf_$2 password=pf_$2 ${3:+dbname=$3}"
}

primary_of() {
	echo "host=127.0.0.1 port=$(cluster_port "$PF_DIR/$1-control")"
}

# check VERSION DATABASE [option]...: `all` is no database.
check() {
	local version=$1 database=${2#all}
	shift 2
	run "$PGUMBRA" check --listen "127.0.0.1:$(free_port)" --primary "$(primary_of "$version")" --log x \
		--candidate "$(address "$version" candidate "$database")" \
		--control "$(address "$version" control "$database")" "$@"
}

said() {
	[[ "$output" == *"$1"* ]] || { echo "not said: $1"; echo "$output"; return 1; }
}

unsaid() {
	[[ "$output" != *"$1"* ]] || { echo "said: $1"; echo "$output"; return 1; }
}

# expect_finding LEVEL WHAT [MEND]: in one finding, each as its beginning.
expect_finding() {
	"$PYTHON" - "$output" "$@" <<-'PYTHON' || { echo "not found: $*"; echo "$output"; return 1; }
		import re, sys
		level, what, mend = (sys.argv[2:] + [""])[:3]
		for part in re.split(r"\n(?=\S)", sys.argv[1]):
		    lines = part.split("\n")
		    if re.fullmatch(re.escape(level) + " +candidate candidate[^:]*: " + re.escape(what) + ".*", lines[0]) \
		            and len(lines) > 1 and lines[1].startswith(" " * 13 + "effect: ") \
		            and (not mend or len(lines) > 2 and lines[2].startswith(" " * 13 + "mend: " + mend)):
		        sys.exit(0)
		sys.exit(1)
	PYTHON
}

versions() {
	echo 15
	if [ -d "$PF_DIR/18-control" ]; then echo 18; fi
}

on() { # VERSION SIDE DATABASE, SQL from standard input
	cluster_psql "$PF_DIR/$1-$2" "$3" -o /dev/null
}

@test "an identical pair finds nothing" {
	for version in $(versions); do
		for database in same all; do
			check "$version" $database
			[ "$status" = 0 ] || { echo "$output"; false; }
			said "0 that forbid running, 0 warnings"
			! grep -E '(candidate|control)' <<<"$output" || { echo "$output"; false; }
		done
	done
}

@test "each difference is found, with its effect and what mends it" {
	for version in $(versions); do
		for side in control candidate; do
			cluster_psql "$PF_DIR/$version-$side" postgres -c 'create database shop' \
				-c 'revoke temporary on database shop from public'
			make_schema "$PF_DIR/$version-$side" shop
		done
		differ "$version"
		check "$version" shop
		[ "$status" = 0 ] || { echo "$output"; false; }
		while IFS='|' read -r level finding mend; do
			expect_finding "$level" "$finding" "$mend"
		done < <(expected)
		unsaid geheim
		unsaid gesperrt
		check "$version" same --format json
		"$PYTHON" - "$output" <<-'PYTHON'
			import json, sys
			kinds = {f["kind"] for f in json.loads(sys.argv[1])["findings"]} - {"authentication"}
			of_servers = {"setting", "planner", "role", "membership", "role_setting"}
			assert kinds == of_servers, kinds
		PYTHON
	done
}

differ() { # VERSION
	on "$1" control shop <<-'SQL'
		create extension pg_trgm;
		create schema only_here;
		create table app.gone (id int, v text);
		create type app.lost as enum ('x');
		create function app.away() returns int language sql as 'select 1';
		create sequence app.more;
		create role unknown_there login;
		create role boss;
		grant boss to app;
		alter role app set datestyle = 'German';
		alter role app set app.secret = 'gesperrt';
		alter database shop set timezone = 'Asia/Tokyo';
		create policy extra on app.owned for select to readers using (true);
		grant select on app.owned to app;
		select setval('app.numbers', 200);
		select lo_create(4712);
		create collation app.french (provider = icu, locale = 'fr');
	SQL
	on "$1" candidate shop <<-'SQL'
		create extension hstore;
		create table app.here_only (id int);
		drop materialized view app.sums;
		create view app.sums as select 1;
		alter type app.mood rename value 'sad' to 'SAD';
		alter table app.items drop column pair, add column pair app.pair, add column later int;
		drop view app.few;
		alter table app.parts alter column of_item type bigint, drop column id, add column id int;
		create view app.few as select id from app.parts where id < 20;
		alter table app.owned disable row level security;
		alter policy own on app.owned using (true);
		create or replace function app.twice(i int) returns int stable language sql as 'select i + i';
		alter sequence app.numbers increment 10;
		drop table app.items cascade;
		create table app.items (id bigint, mood app.mood);
		alter role app set statement_timeout = '7s';
		alter role readers bypassrls;
		drop collation app.german;
		create collation app.german (provider = icu, locale = 'sv');
		alter system set intervalstyle = 'iso_8601';
		alter system set enable_hashjoin = off;
		select pg_reload_conf();
	SQL
	wait_for 30 "the new setting" intervalstyle_is_set "$1"
}

intervalstyle_is_set() {
	[ "$(cluster_psql "$PF_DIR/$1-candidate" shop -At -c 'show intervalstyle')" = iso_8601 ] &&
		[ "$(cluster_psql "$PF_DIR/$1-candidate" shop -At -c 'show enable_hashjoin')" = off ]
}

expected() {
	cat <<-'FINDINGS'
		warning|IntervalStyle is iso_8601, on the control postgres|ALTER SYSTEM SET IntervalStyle = 'postgres' on the candidate
		information|enable_hashjoin is off, on the control on|ALTER SYSTEM SET enable_hashjoin = 'on' on the candidate
		warning|role unknown_there is missing|CREATE ROLE unknown_there LOGIN
		warning|role readers is bypassrls, nologin, on the control nologin|ALTER ROLE readers NOSUPERUSER NOBYPASSRLS INHERIT
		warning|membership of app in boss is missing|GRANT boss TO app
		warning|setting of role app: DateStyle is missing, on the control German|ALTER ROLE app SET DateStyle TO German
		warning|setting of database shop: TimeZone is missing, on the control Asia/Tokyo|ALTER DATABASE shop SET TimeZone TO 'Asia/Tokyo'
		warning|setting of role app: app.secret is missing, on the control (not shown)|ALTER ROLE app SET app.secret TO ...
		information|setting of role app: statement_timeout is not on the control|ALTER ROLE app RESET statement_timeout
		warning|collation app.german is icu sv|the same library
		warning|collation app.french is missing|CREATE COLLATION app.french (provider = icu, locale = 'fr')
		warning|extension pg_trgm is missing, on the control 1.6|CREATE EXTENSION pg_trgm VERSION '1.6'
		information|extension hstore is not on the control|DROP EXTENSION hstore
		warning|schema only_here is missing|CREATE SCHEMA only_here
		warning|app.gone is missing, on the control table|pg_dump --schema-only --table='app.gone'
		information|app.here_only is not on the control|
		warning|app.sums is view, on the control materialized view|
		warning|app.owned is table, on the control table with row security|ALTER TABLE app.owned ENABLE ROW LEVEL SECURITY, NO FORCE ROW
		warning|text of view app.few is |CREATE OR REPLACE VIEW app.few
		warning|column app.items.name is missing|ALTER TABLE app.items ADD COLUMN name text
		warning|column app.items.id is bigint, on the control integer|ALTER TABLE app.items ALTER COLUMN id TYPE integer
		warning|column app.parts.of_item is bigint, on the control integer|ALTER TABLE app.parts ALTER COLUMN of_item TYPE integer
		warning|columns of app.parts is of_item, id, on the control id, of_item|a view
		warning|type app.mood is enum ('SAD', 'ok', 'happy'), on the control enum ('sad', 'ok', 'happy')|ALTER TYPE app.mood
		warning|type app.lost is missing|CREATE TYPE
		warning|function app.twice(i integer) is stable, sql, parallel unsafe, returns integer|CREATE OR REPLACE FUNCTION app.twice(i integer)
		warning|function app.away() is missing|CREATE OR REPLACE FUNCTION app.away()
		warning|row security policy own on app.owned is FOR SELECT TO app USING (true), on the control FOR SELECT TO app USING ((owner = CURRENT_USER))|DROP POLICY own ON app.owned; CREATE POLICY own
		warning|row security policy extra on app.owned is missing|CREATE POLICY extra ON app.owned FOR SELECT TO readers USING (true)
		warning|SELECT on app.owned to app is missing|GRANT SELECT ON app.owned TO app
		warning|sequence app.numbers is bigint, start 1, increment 10|ALTER SEQUENCE app.numbers AS bigint START 1 INCREMENT 1
		warning|sequence app.more is missing|CREATE SEQUENCE app.more
		information|last value of sequence app.numbers is 100, on the control 200|SELECT setval('app.numbers', 200)
		warning|number of large objects is 1, on the control 2|
	FINDINGS
}

@test "a check as JSON holds every finding with its parts" {
	check 15 same --format json --set discrepancies.path=
	"$PYTHON" - "$output" <<-'PYTHON'
		import json, sys
		all = json.loads(sys.argv[1])
		assert all["runs"] is True and all["forbids"] == 0, all
		assert all["warnings"] + all["informations"] == len(all["findings"])
		for f in all["findings"]:
		    assert set(f) == {"level", "kind", "where", "what", "effect", "mend"}, f
		    assert f["level"] in ("forbids", "warning", "information")
		assert any(f["kind"] == "configuration" and f["mend"] == "--log FILE" for f in all["findings"])
	PYTHON
	run -2 "$PGUMBRA" check --format xml
	said "allowed are text, json"
	run -2 "$PGUMBRA" run --format json
	said "--format belongs to"
}

@test "of one kind twenty are told, the others counted" {
	cluster_psql "$PF_DIR/15-control" same -c \
		"do \$\$ begin for i in 10..60 loop execute format('create table app.t%s ()', i); end loop; end \$\$"
	check 15 same
	cluster_psql "$PF_DIR/15-control" same -c \
		"do \$\$ begin for i in 10..60 loop execute format('drop table app.t%s', i); end loop; end \$\$"
	[ "$(grep -c 'app.t[0-9]* is missing' <<<"$output")" = 20 ]
	expect_finding warning "and 31 more differences of this kind"
}

@test "what a role may not read is a finding on its side, with the GRANT that mends it" {
	for version in $(versions); do
		on "$version" candidate same <<-'SQL'
			create role half login password 'half';
			grant usage on schema app to half;
			grant select on app.items, app.owned, app.cheap, app.sums, app.few to half;
		SQL
		run "$PGUMBRA" check --primary "$(primary_of "$version")" --log x \
			--control "$(address "$version" control same)" --candidate \
			"host=127.0.0.1 port=$(cluster_port "$PF_DIR/$version-candidate") user=half password=half dbname=same"
		expect_finding warning "role half may not read 1 tables or views: app.parts" \
			"GRANT USAGE ON SCHEMA app TO half; GRANT SELECT ON app.parts TO half"
		expect_finding information "role half may not read 1 sequences: app.numbers" \
			"GRANT USAGE ON SCHEMA app TO half; GRANT SELECT ON SEQUENCE app.numbers TO half"
		sed -n 's/^ *mend: \(GRANT .* TO half\)$/\1;/p' <<<"$output" | on "$version" candidate same
		run "$PGUMBRA" check --primary "$(primary_of "$version")" --log x \
			--control "$(address "$version" control same)" --candidate \
			"host=127.0.0.1 port=$(cluster_port "$PF_DIR/$version-candidate") user=half password=half dbname=same"
		unsaid "may not read"
		on "$version" candidate same <<<'drop owned by half; drop role half;'
	done
}

@test "a database whose encoding and locale differ is told; a missing one too" {
	cluster_psql "$PF_DIR/15-control" postgres -c 'create database only_control' \
		-c 'revoke temporary on database only_control from public' -c 'create database odd'
	cluster_psql "$PF_DIR/15-candidate" postgres -c \
		"create database odd template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'"
	check 15 all
	cluster_psql "$PF_DIR/15-control" postgres -c 'drop database only_control' -c 'drop database odd'
	cluster_psql "$PF_DIR/15-candidate" postgres -c 'drop database odd'
	expect_finding warning "database only_control is missing" "CREATE DATABASE only_control"
	expect_finding warning "database encoding is LATIN1, on the control UTF8"
	expect_finding warning "database collation is C, on the control C.UTF-8"
}

start_record_is_written() {
	grep -q '"kind":"start"' log || ! kill -0 "$PGUMBRA_PID"
}

# start VERSION CANDIDATE-CONNINFO [option]...: pgumbra run in the background until it says start.
start() {
	local version=$1 candidate=$2
	shift 2
	"$PGUMBRA" run --listen "127.0.0.1:$(free_port)" --primary "$(primary_of "$version")" \
		--control "$(address "$version" control same)" --candidate "$candidate" --log log "$@" \
		>operator.log 2>&1 3>&- &
	PGUMBRA_PID=$!
	wait_for 60 "the start record" start_record_is_written || { cat operator.log; return 1; }
}

stop() {
	kill -TERM "$PGUMBRA_PID"
	wait "$PGUMBRA_PID"
	PGUMBRA_PID=
}

@test "the log's start record holds the findings, those of a shadow started again too" {
	start 15 "$(address 15 candidate same)"
	pkill -KILL -P "$PGUMBRA_PID"
	wait_for 60 "the second start record" second_start_record
	stop
	"$PYTHON" - <<-'PYTHON'
		import json
		starts = [r for r in map(json.loads, open("log")) if r["kind"] == "start"]
		assert len(starts) == 2
		for start in starts:
		    assert any(f.startswith("warning: candidate candidate: IntervalStyle is iso_8601, "
		                            "on the control postgres; effect: ") and "; mend: ALTER SYSTEM" in f
		               for f in start["findings"]), start["findings"]
		    assert not any("geheim" in f or "gesperrt" in f for f in start["findings"])
	PYTHON
	run -0 "$PGUMBRA" report log
	said "IntervalStyle is iso_8601"
}

second_start_record() {
	[ "$(grep -c '"kind":"start"' log)" = 2 ]
}

# A listener that accepts nothing (a full backlog would need more) and one that never answers.
@test "a server that takes connections and says nothing does not keep run from starting" {
	mkfifo ready
	"$PYTHON" - >ready 3>&- <<-'PYTHON' &
		import select, socket, sys
		silent = socket.create_server(("127.0.0.1", 0))
		print(silent.getsockname()[1], flush=True)
		sys.stdout.close()
		kept = []
		while select.select([silent], [], [], 120)[0]:
		    kept.append(silent.accept())
	PYTHON
	silent=$!
	read -r port <ready
	start 15 "host=127.0.0.1 port=$port user=x dbname=same connect_timeout=600"
	grep -q "did not answer everything within 4500 ms" operator.log || { cat operator.log; false; }
	grep -q "candidate candidate: did not answer everything" log
	stop || { cat operator.log; kill "$silent"; false; }
	kill "$silent"
}

@test "what cannot be read is a finding, and the rest is compared all the same" {
	on 15 candidate same <<<'revoke execute on function pg_get_partkeydef(oid) from public; create table app.extra ()'
	check 15 same
	on 15 candidate same <<<'grant execute on function pg_get_partkeydef(oid) to public; drop table app.extra'
	expect_finding warning "partition_key could not be read: ERROR:  permission denied"
	expect_finding information "app.extra is not on the control"
	[ "$(grep -c 'could not be read' <<<"$output")" = 1 ]
}

@test "a collation's outdated version and an invalid index are found on their side" {
	for version in $(versions); do
		for side in control candidate; do
			cluster_psql "$PF_DIR/$version-$side" postgres -c \
				"create database icu template template0 locale_provider icu icu_locale 'en'" \
				-c 'revoke temporary on database icu from public' 2>/dev/null
		done
		cluster_psql "$PF_DIR/$version-candidate" icu -o /dev/null <<-'SQL'
			update pg_database set datcollversion = '1.2.3' where datname = current_database();
			create table twins (i int);
			insert into twins values (1), (1);
			\set ON_ERROR_STOP off
			create unique index concurrently twins_i on twins (i);
		SQL
		check "$version" icu
		expect_finding warning "database icu was made with collation version 1.2.3, the library has" \
			"REINDEX DATABASE icu; ALTER DATABASE icu REFRESH COLLATION VERSION"
		expect_finding warning "index public.twins_i is invalid" "REINDEX INDEX public.twins_i"
		[[ "$output" != *" control: database icu was made"* ]]
		for side in control candidate; do
			cluster_psql "$PF_DIR/$version-$side" postgres -c 'drop database icu' 2>/dev/null
		done
	done
}

@test "a candidate that is the control itself forbids running" {
	for version in $(versions); do
		run -1 "$PGUMBRA" check --primary "$(primary_of "$version")" --log x \
			--candidate "$(address "$version" control same)" \
			--control "$(address "$version" control same)"
		expect_finding forbids "is the same server and database as the control"
		run -2 "$PGUMBRA" run --listen "127.0.0.1:$(free_port)" --primary "$(primary_of "$version")" --log x \
			--candidate "$(address "$version" control same)" \
			--control "$(address "$version" control same)"
		said "not started: "
		said "; --allow-unsafe-role runs although candidate and primary are one server"
		[ ! -e x ]
	done
}

@test "15 against 18: nothing but what the versions differ in" {
	[ -d "$PF_DIR/18-control" ] || skip "PostgreSQL 18 is not there"
	reset_servers 15 control
	reset_servers 18 candidate
	run "$PGUMBRA" check --listen "127.0.0.1:$(free_port)" --primary "$(primary_of 15)" --log x \
		--control "$(address 15 control same)" --candidate "$(address 18 candidate same)" \
		--format json
	"$PYTHON" - "$output" <<-'PYTHON'
		import json, sys
		found = {(f["kind"], f["level"], f["what"].split(" is ")[0]) for f in json.loads(sys.argv[1])["findings"]
		         if f["kind"] != "authentication"}
		print(*sorted(found), sep="\n")
		assert ("version", "information", "server version") in found
		# the builds need not have the same ICU
		assert {what for _, _, what in found} <= {"server version", "collation app.german"}, found
	PYTHON
}

# What the test of all kinds left on the servers.
reset_servers() { # VERSION SIDE
	cluster_psql "$PF_DIR/$1-$2" postgres -c 'drop database if exists shop' \
		-c 'drop role if exists boss' -c 'drop role if exists unknown_there' \
		-c 'alter role readers nobypassrls' -c 'alter role app reset datestyle' \
		-c 'alter role app reset app.secret' -c 'alter role app reset statement_timeout' \
		-c 'alter system reset all' -c 'select pg_reload_conf()' >/dev/null
	wait_for 30 "the settings" settings_are_reset "$1" "$2"
}

settings_are_reset() {
	[ "$(cluster_psql "$PF_DIR/$1-$2" postgres -At -c 'show intervalstyle')" = postgres ] &&
		[ "$(cluster_psql "$PF_DIR/$1-$2" postgres -At -c 'show enable_hashjoin')" = on ]
}

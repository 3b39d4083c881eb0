# The command line: exit codes, messages, and what check and run find out about servers and roles.
# Servers of its own: here the primary's pg_hba.conf and the roles' privileges are the subject.

source "$BATS_TEST_DIRNAME/../tools/clusters.bash"
PGUMBRA=${PGUMBRA:-$REPOSITORY/build/dev/pgumbra}

setup_file() {
	CLI_DIR=$(scratch_directory pgumbra-cli)
	P15=$CLI_DIR/p15
	P18=$CLI_DIR/p18
	export CLI_DIR P15 P18
	cluster_make "$P15" "$DEBIAN_PG_BIN"
	cluster_start "$P15"
	prepare "$P15"
	if pg18_bin >"$CLI_DIR/bin18"; then
		cluster_make "$P18" "$(cat "$CLI_DIR/bin18")"
		cluster_start "$P18"
		prepare "$P18"
	fi
}

teardown_file() {
	cluster_stop "$P15" immediate
	cluster_stop "$P18" immediate
	rm -rf "$CLI_DIR"
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	bats_require_minimum_version 1.5.0
}

# A database and a role for each way of being unsafe; the password is the name.
prepare() {
	cluster_psql "$1" postgres -c 'create database shop'
	cluster_psql "$1" shop <<-'SQL'
		revoke temporary on database shop from public;
		revoke create on schema public from public;
		create table t (id int primary key, v text);
		create table cols (a int, b int);
		create sequence s;
		create schema app;
		create function f() returns int language sql as 'select 1';
		create role safe login password 'safe';
		grant select on all tables in schema public to safe;
		create role super superuser login password 'super';
		create role boss superuser;
		create role viaboss login password 'viaboss' in role boss;
		create role inserts login password 'inserts';
		grant insert on t to inserts;
		create role writer;
		grant truncate, trigger on t to writer;
		create role sneaks noinherit login password 'sneaks' in role writer;
		create role columns login password 'columns';
		grant update (b) on cols to columns;
		create role counts login password 'counts';
		grant usage on sequence s to counts;
		create role creates login password 'creates';
		grant create on schema app to creates;
		create role founds login password 'founds';
		grant create on database shop to founds;
		create role owns login password 'owns';
		create table theirs (i int);
		alter table theirs owner to owns;
		create role ownsf login password 'ownsf';
		alter function f() owner to ownsf;
		create role groups login password 'groups' in role pg_write_all_data, pg_signal_backend;
		create role runs login password 'runs' in role pg_execute_server_program;
		create role attributes createdb createrole replication bypassrls login password 'attributes';
		create role many login password 'many';
		do $$ begin for i in 1..7 loop
			execute format('create table m%s (i int)', i);
			execute format('grant delete on m%s to many', i);
		end loop; end $$;
		create role ownst login password 'ownst';
		create domain their_domain as int;
		alter domain their_domain owner to ownst;
		create role sets login password 'sets';
		grant set, alter system on parameter work_mem, log_statement to sets;
		create role reloads login password 'reloads';
		grant execute on function pg_reload_conf(), pg_read_file(text), pg_show_replication_origin_status() to reloads;
		create role warned login password 'warned';
		create function as_super() returns int language sql security definer as 'select 1';
		revoke execute on function as_super() from public;
		grant execute on function as_super() to warned;
		create extension dblink;
		create foreign data wrapper nothing;
		create server elsewhere foreign data wrapper nothing;
		grant usage on foreign server elsewhere to warned;
		grant create on tablespace pg_default to warned;
		alter default privileges for role boss in schema app grant insert, select on tables to warned;
		alter default privileges for role boss grant usage on sequences to warned;
		do $$ declare f regprocedure; begin
			for f in select oid from pg_proc where proname like 'dblink%' loop
				execute format('revoke execute on function %s from public', f);
			end loop;
		end $$;
		grant execute on function dblink_exec(text, text) to warned;
		grant select on all tables in schema public to safe, warned;
	SQL
}

address() {
	echo "host=127.0.0.1 port=$(cluster_port "$1")"
}

# check_role CLUSTER ROLE: primary and candidate are the same server, which doesn't matter here: the
# clients' database has another name.
check_role() {
	run "$PGUMBRA" check --primary "$(address "$1")" --log x --set candidate.candidate.databases=theirs=shop \
		--candidate "$(address "$1") user=$2 password=$2 dbname=shop"
}

clusters() {
	echo "$P15"
	if [ -d "$P18" ]; then echo "$P18"; fi
}

said() {
	[[ "$output" == *"$1"* ]] || { echo "not said: $1"; echo "$output"; return 1; }
}

# --- usage ---

@test "--version, --help and a help for each command are good" {
	run -0 "$PGUMBRA" --version
	[[ "$output" =~ ^pgumbra\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
	run -0 "$PGUMBRA" --help
	for command in run check report show recheck replay config; do
		said "  $command "
		run -0 "$PGUMBRA" "$command" --help
		said "usage: pgumbra $command"
		run -0 "$PGUMBRA" --help
	done
}

@test "no command, an unknown one, an unknown option, a missing value are usage errors" {
	run -2 "$PGUMBRA"
	run -2 "$PGUMBRA" frobnicate
	said "frobnicate"
	run -2 "$PGUMBRA" run --frobnicate
	said "--frobnicate"
	run -2 "$PGUMBRA" check -z
	said "-z"
	run -2 "$PGUMBRA" run --primary
	said "--primary needs a value"
	run -2 "$PGUMBRA" check surplus
	said "surplus"
	run -2 "$PGUMBRA" shadow
	said "not by hand"
}

@test "recheck needs a log and a control; replay says that this version doesn't have it" {
	run -2 "$PGUMBRA" recheck --primary host=a --candidate host=b
	said "which discrepancy log?"
	run -2 "$PGUMBRA" recheck --primary host=a --candidate host=b log
	said "--control is needed"
	run -2 "$PGUMBRA" replay recording
	said "does not have it yet"
}

@test "config prints every setting, and its INI form is accepted" {
	run -0 "$PGUMBRA" config
	said "[candidate NAME]"
	said "max_result_bytes"
	"$PGUMBRA" config --ini --primary host=a --candidate 'host=b password=hunter2' >c.ini
	run ! grep hunter2 c.ini
	run -0 "$PGUMBRA" config -c c.ini
	run -0 "$PGUMBRA" config --ini -c c.ini --set shadow.sample=0.5
	said "sample = 0.5"
}

@test "mistakes of a file are named with line, key and what is allowed; run and check refuse it" {
	cat >bad.conf <<-'INI'
		[shadow]
		sampel = 1
		sample = 2
		[primary]
		auth = none
		conninfo = host=a user=u
	INI
	for command in run check; do
		run -2 "$PGUMBRA" $command -c bad.conf
		said "bad.conf:2: [shadow] has no key sampel, did you mean sample?"
		said "bad.conf:3: [shadow] sample = 2: out of range, allowed: 0 to 1"
		said "bad.conf:5: [primary] auth = none: allowed: relay, scram"
	done
	run -2 "$PGUMBRA" check --primary 'host=a user=u' --candidate host=b
	said "user is not allowed"
	run -2 "$PGUMBRA" check --primary 'host=a sslmode=maybe' --candidate host=b --set waiver.w.match=*
	said "--set primary.conninfo: [primary] conninfo: sslmode=maybe: allowed"
	said "[waiver w] owner is not set"
	run -2 "$PGUMBRA" check -c nowhere.conf
	said "nowhere.conf: cannot be opened"
	run -2 "$PGUMBRA" check --candidate host=b
	said "[primary] conninfo is not set"
}

@test "mistakes of waivers and of connection strings come with file and line, all in one go" {
	cat >bad.conf <<-'INI'
		[shadow]
		sampel = 1
		[primary]
		conninfo = host=a user=u
		[candidate new]
		conninfo = host=b
		fence = slot
		[waiver scale]
		match = *
		accept = numeric_scal, values, 22012
		expires = 2026-02-30
		[waiver other]
		match = select 1
		accept = order
		candidate = old
		reason = r
		owner = o
		expires = 2030-01-01
	INI
	for command in run check; do
		run -2 "$PGUMBRA" $command -c bad.conf
		said "bad.conf:2: [shadow] has no key sampel, did you mean sample?"
		said "bad.conf:4: [primary] conninfo: user is not allowed"
		said "bad.conf:7: [candidate new] fence = slot needs fence_slot"
		said "bad.conf:9: [waiver scale] reason is not set: why"
		said "bad.conf:9: [waiver scale] owner is not set: who"
		said "bad.conf:10: [waiver scale] accept = numeric_scal, did you mean numeric_scale?: allowed: missing_rows, "
		said ", duplicate, collation, "
		said "bad.conf:11: [waiver scale] expires = 2026-02-30: allowed: a day as YYYY-MM-DD"
		said "bad.conf:15: [waiver other] candidate = old: there is no [candidate old]"
		[ "$(grep -c '^pgumbra: bad.conf' <<<"$output")" = 8 ] || { echo "$output"; false; }
	done
}

# --- roles ---

@test "a role that can only read is clean" {
	for cluster in $(clusters); do
		check_role "$cluster" safe
		[ "$status" = 0 ] || { echo "$output"; false; }
		said "0 that forbid running"
		said "information  candidate candidate: is at the primary's own address, in other databases"
		[ "$(grep -c 'candidate candidate' <<<"$output")" = 1 ] || { echo "$output"; false; }
	done
}

@test "each way of writing is found and comes with what mends it" {
	while IFS='|' read -r role finding mend; do
		for cluster in $(clusters); do
			check_role "$cluster" "$role"
			[ "$status" = 1 ] || { echo "$role: $status"; echo "$output"; false; }
			said "forbids      candidate candidate: $finding"
			said "mend: $mend"
		done
	done <<-'ROLES'
		super|role super is a superuser|use a role of its own that can only read, not super
		viaboss|role viaboss is a member of boss, which is a superuser|REVOKE boss FROM viaboss
		inserts|role inserts may write tables or views (INSERT): public.t|REVOKE INSERT ON public.t FROM inserts
		sneaks|role writer may write tables or views (TRIGGER, TRUNCATE): public.t|REVOKE writer FROM sneaks
		columns|role columns may write columns (UPDATE): public.cols (b)|REVOKE UPDATE
		counts|role counts may advance sequences (USAGE): public.s|REVOKE USAGE ON SEQUENCE public.s FROM counts
		creates|role creates may create objects in schemas: app|REVOKE CREATE ON SCHEMA app FROM creates
		founds|role founds may create schemas in the database: shop|REVOKE CREATE ON DATABASE shop FROM founds
		owns|role owns owns tables, views or sequences: public.theirs|ALTER TABLE public.theirs OWNER TO
		ownsf|role ownsf owns functions: public.f()|ALTER ROUTINE public.f() OWNER TO
		groups|role groups is a member of pg_write_all_data|REVOKE pg_write_all_data FROM groups
		groups|role groups is a member of pg_signal_backend|REVOKE pg_signal_backend FROM groups
		runs|role runs is a member of pg_execute_server_program|REVOKE pg_execute_server_program FROM runs
		attributes|role attributes may create databases|ALTER ROLE attributes NOCREATEDB
		attributes|role attributes may create and alter roles|ALTER ROLE attributes NOCREATEROLE
		attributes|role attributes may create replication slots|ALTER ROLE attributes NOREPLICATION
		ownst|role ownst owns types, servers, publications or the like: type public.their_domain|REASSIGN OWNED BY ownst TO
		sets|role sets may change settings of the server (ALTER SYSTEM, SET): log_statement, work_mem|REVOKE ALTER SYSTEM, SET ON PARAMETER log_statement, work_mem FROM sets
		reloads|role reloads may call functions that initdb withholds: pg_read_file(text), pg_reload_conf()|REVOKE EXECUTE ON FUNCTION pg_read_file(text), pg_reload_conf() FROM reloads
		many|role many may write tables or views (DELETE): public.m1, public.m2, public.m3, public.m4, public.m5 and 2 more|REVOKE DELETE ON public.m1
	ROLES
}

@test "what READ ONLY does not hold is warned of, with what mends it" {
	for cluster in $(clusters); do
		check_role "$cluster" warned
		[ "$status" = 0 ] || { echo "$output"; false; }
		while IFS='|' read -r finding mend; do
			said "warning      candidate candidate: role warned $finding"
			said "mend: $mend"
		done <<-'RIGHTS'
			may call SECURITY DEFINER functions of superusers|REVOKE EXECUTE ON FUNCTION public.as_super() FROM warned
			may call functions of dblink|REVOKE EXECUTE ON FUNCTION public.dblink_exec(text,text) FROM warned
			may use foreign servers|REVOKE USAGE ON FOREIGN SERVER elsewhere FROM warned
			may create objects in tablespaces|REVOKE CREATE ON TABLESPACE pg_default FROM warned
			will be allowed to write what is made from now on (INSERT, USAGE)|ALTER DEFAULT PRIVILEGES FOR ROLE boss IN SCHEMA app REVOKE INSERT ON TABLES FROM warned; ALTER DEFAULT PRIVILEGES FOR ROLE boss REVOKE USAGE ON SEQUENCES FROM warned
		RIGHTS
		sed -n '/^warning      candidate candidate: role warned/{n;s/^ *mend: //;s/, and GRANT.*//;s/$/;/;p}' \
			<<<"$output" >mend.sql
		(echo "begin;"; cat mend.sql; echo "commit;") | cluster_psql "$cluster" shop
		check_role "$cluster" warned
		[[ "$output" != *"role warned"* ]] || { cat mend.sql; echo "$output"; false; }
	done
}

@test "every mend that is a statement mends" {
	for cluster in $(clusters); do
		for role in inserts sneaks counts creates founds groups attributes sets reloads many; do
			check_role "$cluster" $role
			[ "$status" = 1 ]
			sed -n '/^forbids      candidate/{n;s/^ *mend: //;s/; or .*//;s/$/;/;p}' <<<"$output" >mend.sql
			[ -s mend.sql ]
			(echo "begin;"; cat mend.sql; echo "commit;") | cluster_psql "$cluster" shop
			check_role "$cluster" $role
			[ "$status" = 0 ] || { cat mend.sql; echo "$output"; false; }
		done
		cluster_psql "$cluster" shop <<-'SQL'
			grant insert on t to inserts;
			grant writer to sneaks;
			grant usage on sequence s to counts;
			grant create on schema app to creates;
			grant create on database shop to founds;
			grant pg_write_all_data, pg_signal_backend to groups;
			alter role attributes createdb createrole replication;
			grant set, alter system on parameter work_mem, log_statement to sets;
			grant execute on function pg_reload_conf(), pg_read_file(text) to reloads;
		SQL
	done
}

# The control is the production primary: a statement there may cost pgumbra's own role rights, and
# nobody else.
@test "no mend takes rights from another role; on the control none from PUBLIC either" {
	for cluster in $(clusters); do
		cluster_psql "$cluster" shop <<-'SQL'
			create role shopkeeper;
			grant insert, update, delete on t to shopkeeper;
			grant usage on sequence s to shopkeeper;
			create role helper login password 'helper' in role shopkeeper;
			grant insert on cols to helper;
			grant delete on cols to public;
			create table kept (i int);
			alter table kept owner to shopkeeper;
			grant select on all tables in schema public to helper;
		SQL
		run -1 "$PGUMBRA" check --primary "$(address "$cluster")" --log x \
			--candidate "$(address "$cluster") user=safe password=safe dbname=shop" \
			--control "$(address "$cluster") user=helper password=helper dbname=shop"
		control=$(sed -n '/^[a-z]* *control: .*role/,/^[a-z]/p' <<<"$output")
		run -1 "$PGUMBRA" check --primary "$(address "$cluster")" --log x \
			--candidate "$(address "$cluster") user=helper password=helper dbname=shop"
		candidate=$output
		cluster_psql "$cluster" shop -c 'drop table kept' -c 'revoke all on cols from public' \
			-c 'drop owned by helper, shopkeeper' -c 'drop role helper, shopkeeper'
		output=$candidate
		said "role shopkeeper may write tables or views (DELETE, INSERT, UPDATE): public.t"
		said "role shopkeeper owns tables, views or sequences: public.kept"
		said "mend: REVOKE shopkeeper FROM helper"
		said "mend: REVOKE DELETE ON public.cols FROM PUBLIC"
		output=$control
		said "warning      control: role shopkeeper may write tables or views (DELETE, INSERT, UPDATE): public.t"
		said "warning      control: role shopkeeper owns tables, views or sequences: public.kept"
		said "warning      control: PUBLIC may write tables or views (DELETE): public.cols"
		said "mend: REVOKE shopkeeper FROM helper"
		said "mend: a role that only pgumbra uses; if helper is one: REVOKE INSERT ON public.cols FROM helper"
		for side in "$candidate" "$control"; do
			[[ "$side" != *"FROM shopkeeper"* && "$side" != *"OWNER TO"* ]] || { echo "$side"; false; }
		done
		[[ "$control" != *"FROM PUBLIC"* ]] || { echo "$control"; false; }
	done
}

@test "what PUBLIC may do counts: writing forbids, TEMP warns" {
	cluster_psql "$P15" shop -c 'grant delete on t to public; grant temporary on database shop to public'
	check_role "$P15" safe
	[ "$status" = 1 ]
	said "PUBLIC may write tables or views (DELETE): public.t"
	said "mend: REVOKE DELETE ON public.t FROM PUBLIC"
	said "warning      candidate candidate: PUBLIC may make temporary tables"
	cluster_psql "$P15" shop -c 'revoke delete on t from public; revoke temporary on database shop from public'
}

@test "without a dbname every database is looked at" {
	run "$PGUMBRA" check --primary "$(address "$P15")" --log x \
		--candidate "$(address "$P15") user=inserts password=inserts"
	[ "$status" = 1 ]
	said "forbids      candidate candidate, database shop: role inserts may write"
}

@test "an unsafe role keeps run from starting; --allow-unsafe-role makes it a warning" {
	run -2 "$PGUMBRA" run --primary "$(address "$P15")" --listen 127.0.0.1:0 \
		--set candidate.candidate.databases=theirs=shop \
		--candidate "$(address "$P15") user=inserts password=inserts dbname=shop"
	said "role inserts may write"
	[[ "$output" == *"shows the findings; --allow-unsafe-role runs in spite of a candidate's role" ]] ||
		{ echo "$output"; false; }
	run -0 "$PGUMBRA" check --primary "$(address "$P15")" --allow-unsafe-role \
		--candidate "$(address "$P15") user=inserts password=inserts dbname=shop"
	said "warning      candidate candidate: role inserts may write"
}

# --- servers ---

@test "an unreachable candidate is a warning, an unreachable primary forbids" {
	nobody="host=127.0.0.1 port=$(free_port)"
	run -0 "$PGUMBRA" check --primary "$(address "$P15")" --candidate "$nobody"
	said "warning      candidate candidate: cannot be connected to"
	run -1 "$PGUMBRA" check --primary "$nobody" --set shadow.enabled=off
	said "none of its addresses can be reached"
	grep -E '^connection +1 +1 +0$' <<<"$output"
	[[ "$output" != *$'\nrole '* ]] || { echo "$output"; false; }
}

@test "case 23: a primary that lets strangers in is refused unless only this machine can reach us" {
	cluster_hba "$P15" "host all all 127.0.0.1/32 trust"
	set -- --primary "$(address "$P15")" --set shadow.enabled=off
	run -1 "$PGUMBRA" check "$@" --listen 0.0.0.0:6432
	said "forbids      primary 127.0.0.1"
	said "without a challenge"
	run -2 "$PGUMBRA" run "$@" --listen 0.0.0.0:0
	said "without a challenge"
	said "shows the findings; primary.allow_trust=on runs although the primary lets strangers in"
	[[ "$output" != *allow-unsafe-role* ]] || { echo "$output"; false; }
	run -0 "$PGUMBRA" check "$@" --listen '127.0.0.1:6432' --listen '[::1]:6432' --listen /tmp:1
	said "warning      primary 127.0.0.1"
	run -0 "$PGUMBRA" check "$@" --listen 0.0.0.0:6432 --set primary.allow_trust=on
	said "warning      primary 127.0.0.1"
	cluster_hba "$P15" "host all postgres 127.0.0.1/32 trust" "host all all 127.0.0.1/32 scram-sha-256"
	run -1 "$PGUMBRA" check "$@" --listen 0.0.0.0:6432
	said "lets role postgres in"
	cluster_hba "$P15" "host all all 127.0.0.1/32 scram-sha-256"
	run -0 "$PGUMBRA" check "$@" --listen 0.0.0.0:6432
	run ! grep 'without a challenge' <<<"$output"
}

# cluster_hba CLUSTER LINE...: what is asked for over TCP.
cluster_hba() {
	local directory=$1 loaded
	shift
	loaded=$(cluster_psql "$directory" postgres -At -c 'select pg_conf_load_time()')
	(echo "local all all trust"; printf '%s\n' "$@") | as_postgres tee "$directory/data/pg_hba.conf" >/dev/null
	cluster_psql "$directory" postgres -c 'select pg_reload_conf()' >/dev/null
	wait_for 30 "the server to read pg_hba.conf" hba_loaded "$directory" "$loaded"
}

hba_loaded() {
	[ "$(cluster_psql "$1" postgres -At -c 'select pg_conf_load_time()')" != "$2" ]
}

@test "settings that make equal data look different are warnings when a control is given" {
	cluster_psql "$P15" postgres -c "create database ger template template0 lc_collate 'C' lc_ctype 'C'" \
		-c "alter role safe in database ger set datestyle = 'German'"
	run "$PGUMBRA" check --primary "$(address "$P15")" \
		--candidate "$(address "$P15") user=safe password=safe dbname=ger" \
		--control "$(address "$P15") user=safe password=safe dbname=shop"
	[ "$status" = 0 ] || { echo "$output"; false; }
	said "DateStyle is German, DMY (set for the database user), on the control ISO, MDY"
	said "database collation is C, on the control C.UTF-8"
	cluster_psql "$P15" postgres -c 'drop database ger'
}

# --- report and show ---

@test "report and show refuse a log that isn't there, and wrong options" {
	run -2 "$PGUMBRA" report nowhere.jsonl
	said "nowhere.jsonl: cannot be opened"
	run -2 "$PGUMBRA" report
	run -2 "$PGUMBRA" report --format xml nowhere.jsonl
	said "text, json, html"
	run -2 "$PGUMBRA" show nowhere.jsonl 1
	said "nowhere.jsonl: cannot be opened"
	run -2 "$PGUMBRA" show nowhere.jsonl
}

@test "report reads files and standard input, passes over a broken line, and gates" {
	printf '%s\n' '{"v":1,"kind":"start","ts":"2026-01-01T00:00:00Z"}' '{"v":1,"kind":"disc' >log
	run -0 --separate-stderr "$PGUMBRA" report --format json log
	[[ "$stderr" == *"log:2:"* ]]
	"$PYTHON" -c 'import json, sys; json.loads(sys.argv[1])["books"]' "$output"
	run -0 --separate-stderr "$PGUMBRA" report --format json - <log
	run -0 "$PGUMBRA" report --format html --output report.html log
	[ -s report.html ]
	run -1 --separate-stderr "$PGUMBRA" report --gate 'open_mismatches=0' log # nothing was compared
	echo '{"v":1,"kind":"books","run":"A","candidates":{"x":{"seen":1,"matched":1}}}' >>log
	run -0 --separate-stderr "$PGUMBRA" report --gate 'open_mismatches=0' log
	[ "$(stat -c %a report.html)" = 600 ]
	run -1 --separate-stderr "$PGUMBRA" report --gate 'open_mismatches>0' log
	run -2 "$PGUMBRA" report --gate 'nonsense=0' log
	run -2 "$PGUMBRA" report --output /nowhere/at/all log
}

@test "show prints both sides of one record and keeps control characters from the terminal" {
	"$PYTHON" - >log <<-'PYTHON'
		import json
		base = {"v": 1, "kind": "discrepancy", "candidate": "new", "outcome": "mismatch",
		        "class": "values", "normalized": "select v from t where id = $1",
		        "query": "select v from t where id = 1", "params": ["1", None],
		        "settings": {"DateStyle": "ISO, MDY"},
		        "primary_result": {"rows": 1, "ms": 0.5, "digest": "aa"},
		        "candidate_result": {"rows": 1, "ms": 0.7, "digest": "bb"},
		        "diff": {"columns": ["id", "v"], "missing": 0, "extra": 0, "changed": 1,
		                 "truncated": False,
		                 "rows": [{"kind": "changed", "columns": [1], "primary": ["1", "left"],
		                           "candidate": ["1", "\x1b]0;owned\x07\u009bright"]}]},
		        "verify": {"attempts": 3, "fence": "none", "stable": True, "verified": True}}
		print(json.dumps({**base, "id": "0198c0de-0000-7000-8000-00000000aaaa"}))
		print("not a record")
		print(json.dumps({**base, "id": "0198c0de-0000-7000-8000-00000000bbbb",
		                  "primary_result": None, "diff": [3], "params": 7, "settings": []}))
	PYTHON
	run -0 "$PGUMBRA" show log 0198c0de-0000-7000-8000-00000000aaaa
	[[ "$output" =~ "v *"\ +"'left'"\ +.*right ]]
	said "select v from t where id = 1"
	said "0 missing, 0 extra, 1 changed"
	said "verified      yes: "
	said "rounds        3 rounds"
	run ! grep -q $'\x1b\|\xc2\x9b' <<<"$output"
	run -0 "$PGUMBRA" show log aaaa
	run -0 "$PGUMBRA" show log bbbb
	run -2 "$PGUMBRA" show log 0198
	said "2 discrepancies"
	run -2 "$PGUMBRA" show log cccc
	said "no discrepancy has the id cccc"
}

@test "outcomes lists every outcome and reason with a word of help" {
	run -0 "$PGUMBRA" outcomes
	said "matched_after_lag"
	said "transaction_tainted"
	said "shadow_down"
	run -2 "$PGUMBRA" outcomes extra
}

@test "a log that cannot be written keeps run from starting, and check says so" {
	run -2 "$PGUMBRA" run --listen 127.0.0.1:1 --primary "host=127.0.0.1 port=1" \
		--set shadow.enabled=off --log /nowhere/at/all/log
	said "cannot be written"
	said "make the directory"
	[[ "$output" == *"not started: \`pgumbra check\` shows the findings" ]] || { echo "$output"; false; }
}

# As a user who may not everything: it is told what is in the way, no more.
@test "a log that cannot be written comes with what mends just that" {
	cd "$CLI_DIR" # postgres may search it
	mkdir -m 755 closed open
	touch closed/log open/file
	chmod 777 open
	install -m 755 "$PGUMBRA" open/pgumbra
	while IFS='|' read -r log why mend; do
		run as_postgres open/pgumbra check --primary "$(address "$P15")" --set shadow.enabled=off \
			--listen "127.0.0.1:$(free_port)" --log "$log"
		said "$log cannot be written: $why"
		grep "mend: $mend" <<<"$output" || { echo "$output"; false; }
		[ "$(grep -c 'make the directory' <<<"$output")" = "$(grep -c missing <<<"$log")" ]
	done <<-'LOGS'
		missing/log|No such file or directory|make the directory, writable
		closed/new|Permission denied|let the user that pgumbra runs as write and search the directory
		closed/log|Permission denied|let the user that pgumbra runs as write that file
		open|Is a directory|name a file in it
		open/file/log|Not a directory|another --log
	LOGS
	run as_postgres open/pgumbra check --primary "$(address "$P15")" --set shadow.enabled=off \
		--listen "127.0.0.1:$(free_port)" --log open/log
	[[ "$output" != *"cannot be written"* ]] || { echo "$output"; false; }
}

limit_is_called_that() {
	grep -q "Too many open files: could not start the shadow process (ulimit -n or LimitNOFILE is too low)" operator.log
}

@test "a limit of open files that is too low is called that" {
	(ulimit -n 64 && exec "$PGUMBRA" run --primary "$(address "$P15")" --listen "127.0.0.1:$(free_port)" --log log \
		--candidate "host=127.0.0.1 port=$(free_port)" >operator.log 2>&1 3>&-) &
	pid=$!
	wait_for 30 "the message" limit_is_called_that || { kill -INT "$pid"; cat operator.log; false; }
	kill -INT "$pid"
	wait "$pid"
}

run_with_log() { # FILE
	run -2 "$PGUMBRA" run --listen 127.0.0.1:1 --primary "host=127.0.0.1 port=1" \
		--set shadow.enabled=off --log "$1"
}

@test "a log that is a directory, or can't be made, keeps run from starting" {
	run_with_log "$BATS_TEST_TMPDIR"
	said "path $BATS_TEST_TMPDIR cannot be written: Is a directory"
	run_with_log /proc/pgumbra.jsonl
	said "path /proc/pgumbra.jsonl cannot be written: "
}

@test "a file that is no log is refused by run and check, and stays as it is" {
	local file=$BATS_TEST_TMPDIR/hosts
	echo "127.0.0.1 localhost" >"$file"
	chmod 644 "$file"
	run_with_log "$file"
	said "$file is not a discrepancy log: it begins with something else than a record"
	run -1 "$PGUMBRA" check --primary "host=127.0.0.1 port=1" --set shadow.enabled=off --log "$file"
	said "$file is not a discrepancy log"
	said "another --log, or move the file away"
	[ "$(cat "$file")" = "127.0.0.1 localhost" ]
	[ "$(stat -c %a "$file")" = 644 ]
	[ "$(ls "$BATS_TEST_TMPDIR")" = hosts ]
}

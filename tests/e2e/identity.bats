# Identity on the candidate: row security, SET ROLE, the parameters' types, databases by other names.
# Each test runs against PostgreSQL 15, and 18 where there is one.

load lib

setup_file() {
	start_primary
	start_candidate
	CANDIDATE=$E2E_DIR/candidate15 CANDIDATE_VERSION=15 start_candidate
	on_primary "create type earlier as enum (); do 'begin for i in 1..100 loop
		drop type earlier; create type earlier as enum (); end loop; end'" # moves the numbers
	on_each "$(cat "$BATS_TEST_DIRNAME/identity.sql")"
	on_primary "grant app, tenant_reader to pgumbra_control"
	membership pgumbra_control "$PRIMARY"
	for CANDIDATE in "$E2E_DIR/candidate15" "$E2E_DIR/candidate"; do
		membership pgumbra_ro "$CANDIDATE"
	done
}

teardown_file() {
	CANDIDATE=$E2E_DIR/candidate15
	stop_candidate immediate
	CANDIDATE=$E2E_DIR/candidate
	stop_servers
}

teardown() {
	check_afterwards
}

on_each() {
	on_primary "$1"
	for CANDIDATE in "$E2E_DIR/candidate15" "$E2E_DIR/candidate"; do on_candidate "$1"; done
}

# membership ROLE CLUSTER: of the applications' roles, without inheriting from them.
membership() {
	if [ "$(cluster_psql "$2" postgres -At -c "select current_setting('server_version_num')::int / 10000")" -ge 16 ]; then
		cluster_psql "$2" postgres -c "grant app, tenant_reader to $1 with inherit false, set true"
	else
		cluster_psql "$2" postgres -c "alter role $1 noinherit; grant app, tenant_reader to $1"
	fi
}

use_candidate() { # 15 or 18
	CANDIDATE=$E2E_DIR/candidate
	[ "$1" != 15 ] || CANDIDATE=$E2E_DIR/candidate15
	version=$(on_candidate "select current_setting('server_version_num')::int / 10000")
	[ "$version" = "$1" ] || skip "no PostgreSQL $1"
}

start_impersonating() {
	start_pgumbra candidate.candidate.impersonate=set_role control.impersonate=set_role "$@"
}

read_secured() {
	psql_pgumbra <<-'SQL'
		begin; set local app.tenant = '2'; select id, body from by_tenant order by id; commit;
		begin; set local app.tenant = '3'; select count(*) from by_tenant; commit;
		select id, body from by_owner order by id;
		set role tenant_reader;
		select id, body from by_owner order by id;
		begin; set local app.tenant = '1'; select id, body from by_tenant order by id; commit;
		select current_user, count(*) from by_owner_view;
		reset role;
		select id from forced order by id;
	SQL
}

row_security_is_compared() {
	start_impersonating
	read_secured >"$BATS_TEST_TMPDIR/rows"
	grep -q '^5|app row 5$' "$BATS_TEST_TMPDIR/rows"	# by_owner, as app
	grep -q '^3|tenant_reader row 3$' "$BATS_TEST_TMPDIR/rows"
	expect_outcome matched 7
	expect_outcome skipped row_security 0
	on_candidate "update by_owner set body = 'other' where id = 3"
	psql_pgumbra -c "set role tenant_reader" -c "select id, body from by_owner order by id"
	expect_outcome mismatch 1
	expect_discrepancy outcome=mismatch class=values verify.verified=true diff.changed=1
	"$PGUMBRA" show "$LOG" "$(facts discrepancies | grep -oE '"id": "[^"]+"' | cut -d'"' -f4)" |
		grep -E '^role +tenant_reader$'
	run recheck
	[ "$status" = 1 ]
	on_candidate "update by_owner set body = 'tenant_reader row 3' where id = 3"
	recheck # as tenant_reader too: nobody else sees row 3
}

recheck() {
	"$PGUMBRA" recheck --primary "$(address_of "$PRIMARY")" \
		--candidate "$(address_of "$CANDIDATE") user=pgumbra_ro password=pgumbra_ro" \
		--control "$(address_of "$PRIMARY") user=pgumbra_control password=pgumbra_control" \
		--set candidate.candidate.impersonate=set_role --set control.impersonate=set_role "$LOG"
}

@test "row security by role and by setting is compared as the client's role, on PostgreSQL 15" {
	use_candidate 15
	row_security_is_compared
}

@test "row security by role and by setting is compared as the client's role, on PostgreSQL 18" {
	use_candidate 18
	row_security_is_compared
}

@test "without impersonation the same reads are skipped: row_security, session_unknown" {
	use_candidate 15
	start_pgumbra candidate.candidate.allow_unsafe_role=on
	read_secured >"$BATS_TEST_TMPDIR/rows"
	expect_outcome skipped row_security 7
	psql_pgumbra -c "select current_user"
	expect_outcome skipped server_specific 1
	psql_pgumbra -c "set role tenant_reader" -c "select count(*) from plain"
	expect_outcome skipped session_unknown 1
	expect_outcome matched 0
}

@test "a policy that asks for the session's user stays skipped" {
	use_candidate 15
	start_impersonating
	psql_pgumbra -c "select * from by_session"
	psql_pgumbra -c "select session_user"
	expect_outcome skipped row_security 1
	expect_outcome skipped server_specific 1
	expect_outcome matched 0
}

# Each once in the operator's log, each time in the books.
@test "a role that the candidate lacks or may not take on is named" {
	use_candidate 15
	on_primary "create role only_here; grant only_here to app; grant select on plain to only_here;
		create role stranger; grant stranger to app; grant select on plain to stranger"
	on_candidate "create role stranger; grant select on plain to stranger"
	start_impersonating
	for role in only_here stranger; do
		psql_pgumbra -c "set role $role" -c "select count(*) from plain" -c "select min(id) from plain"
	done
	psql_pgumbra -c "select count(*) from plain"
	expect_outcome candidate_failed wrapper 4
	expect_outcome matched 1
	[ "$(grep -c 'role "only_here" cannot be taken on: it does not exist there' "$OPERATOR_LOG")" = 1 ]
	[ "$(grep -c 'role "stranger" may not be taken on' "$OPERATOR_LOG")" = 1 ]
	grep '"outcome":"candidate_failed"' "$LOG" | grep -q 'role .*only_here.* does not exist there'
}

@test "a candidate's role that inherits from the applications' is refused" {
	use_candidate 15
	on_candidate "alter role pgumbra_ro inherit"
	run "$PGUMBRA" check --primary "$(address_of "$PRIMARY")" \
		--candidate "$(address_of "$CANDIDATE") dbname=$DATABASE user=pgumbra_ro password=pgumbra_ro" \
		--set candidate.candidate.impersonate=set_role
	on_candidate "alter role pgumbra_ro noinherit"
	[ "$status" = 1 ]
	[[ $output == *"role app may write tables"* ]]
	[[ $output == *"GRANT app TO pgumbra_ro WITH INHERIT FALSE, SET TRUE"* ]]
	run "$PGUMBRA" check --primary "$(address_of "$PRIMARY")" \
		--candidate "$(address_of "$CANDIDATE") dbname=$DATABASE user=pgumbra_ro password=pgumbra_ro" \
		--set candidate.candidate.impersonate=set_role
	[ "$status" = 0 ]
	[[ $output == *"role app, which dark reads take on, may write tables"* ]]
	run "$PGUMBRA" check --primary "$(address_of "$PRIMARY")" \
		--candidate "$(address_of "$CANDIDATE") dbname=$DATABASE user=pgumbra_ro password=pgumbra_ro"
	[ "$status" = 1 ]
}

# check_impersonating [option]...: with both roles members of the applications'.
check_impersonating() {
	run "$PGUMBRA" check --primary "$(address_of "$PRIMARY")" --log x \
		--candidate "$(address_of "$CANDIDATE") dbname=$DATABASE user=pgumbra_ro password=pgumbra_ro" \
		--control "$(address_of "$PRIMARY") dbname=$DATABASE user=pgumbra_control password=pgumbra_control" \
		--set candidate.candidate.impersonate=set_role --set control.impersonate=set_role
}

@test "the control takes on the applications' roles as the candidate does: nothing there is to be revoked" {
	use_candidate 15
	check_impersonating
	[ "$status" = 0 ]
	grep -E '^warning +control: role app, which dark reads take on, may write tables' <<<"$output"
	[[ $output != *"mend: REVOKE"* ]] || { echo "$output"; false; }
	on_primary "alter role pgumbra_control inherit"
	check_impersonating
	on_primary "alter role pgumbra_control noinherit"
	grep -A1 -E '^warning +control: role app may write tables' <<<"$output" |
		grep 'mend: GRANT app TO pgumbra_control WITH INHERIT FALSE, SET TRUE'
	[[ $output != *"mend: REVOKE"* ]] || { echo "$output"; false; }
}

@test "a control that does not impersonate beside a candidate that does is refused" {
	use_candidate 15
	run "$PGUMBRA" check --primary "$(address_of "$PRIMARY")" \
		--candidate "$(address_of "$CANDIDATE") user=pgumbra_ro" \
		--control "$(address_of "$PRIMARY") user=pgumbra_control" \
		--set candidate.candidate.impersonate=set_role
	[ "$status" = 2 ]
	[[ $output == *"[control] impersonate must be set_role too"* ]]
}

# Types were made in another order on the candidate: every number differs.
types_match() { # CLIENT
	start_impersonating
	HOST=127.0.0.1 PORT=$PGUMBRA_PORT DIRECT_PORT=$(cluster_port "$PRIMARY") DBNAME=$DATABASE \
		DBUSER=app DBPASSWORD=app PYTHONDONTWRITEBYTECODE=1 \
		"$PYTHON" "$BATS_TEST_DIRNAME/clients/$1" | tee "$BATS_TEST_TMPDIR/client"
	reads=$(sed -n 's/^reads=//p' "$BATS_TEST_TMPDIR/client")
	[ "$reads" -ge 14 ]
	expect_outcome matched "$reads"
	for outcome in mismatch unverifiable candidate_failed dropped; do expect_outcome $outcome 0; done
	expect_no_discrepancy
}

numbers_differ() {
	[ "$(on_primary "select 'mood'::regtype::oid")" != "$(on_candidate "select 'mood'::regtype::oid")" ]
}

@test "asyncpg: binary parameters of users' types reach PostgreSQL 15" {
	use_candidate 15
	numbers_differ
	types_match types_asyncpg.py
}

@test "asyncpg: binary parameters of users' types reach PostgreSQL 18" {
	use_candidate 18
	numbers_differ
	types_match types_asyncpg.py
}

@test "psycopg: registered enums and composites reach PostgreSQL 15" {
	use_candidate 15
	types_match types_psycopg.py
}

@test "psycopg: registered enums and composites reach PostgreSQL 18" {
	use_candidate 18
	types_match types_psycopg.py
}

databases_are_mapped() {
	cluster_psql "$CANDIDATE" postgres -c "create database shop_next template $DATABASE"
	cluster_psql "$PRIMARY" postgres -c "create database other"
	start_impersonating "candidate.candidate.databases=nobodys = x, $DATABASE = shop_next"
	cluster_psql "$CANDIDATE" shop_next -c "update by_owner set body = 'next' where id = 2"
	psql_pgumbra -c "select count(*) from plain" -c "select body from by_owner where id = 2"
	PGPASSWORD=app psql -X -q -h 127.0.0.1 -p "$PGUMBRA_PORT" -U app -d other -c "select 1 + 1"
	expect_outcome matched 1
	expect_outcome mismatch 1
	expect_outcome skipped other_database 1
	expect_discrepancy outcome=mismatch database=$DATABASE verify.verified=true
	stop_pgumbra
	cluster_psql "$CANDIDATE" postgres -c "drop database shop_next"
	cluster_psql "$PRIMARY" postgres -c "drop database other"
}

@test "databases go by other names on the candidate; what is not mapped is skipped" {
	use_candidate 15
	databases_are_mapped
}

@test "databases go by other names on PostgreSQL 18" {
	use_candidate 18
	databases_are_mapped
}

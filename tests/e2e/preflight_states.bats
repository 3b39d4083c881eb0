# What check says in the states that a first user meets: servers that can't be reached or that let
# nobody in, the wrong server, a port that is taken. Every finding says what to do.

source "$BATS_TEST_DIRNAME/../tools/clusters.bash"
PGUMBRA=${PGUMBRA:-$REPOSITORY/build/dev/pgumbra}

setup_file() {
	PST_DIR=$(scratch_directory pgumbra-states)
	export PST_DIR
	make_server primary "$DEBIAN_PG_BIN"
	pg18_bin >"$PST_DIR/bin18" || echo "$DEBIAN_PG_BIN" >"$PST_DIR/bin18"
	make_server candidate "$(cat "$PST_DIR/bin18")"
}

teardown_file() {
	local server
	for server in primary candidate standby; do cluster_stop "$PST_DIR/$server" immediate; done
	rm -rf "$PST_DIR"
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	bats_require_minimum_version 1.5.0
}

make_server() { # NAME BIN
	cluster_make "$PST_DIR/$1" "$2"
	cluster_start "$PST_DIR/$1"
	cluster_psql "$PST_DIR/$1" postgres <<-SQL
		create database shop;
		revoke temporary on database shop from public;
		create role reader login password 'reader' in role pg_read_all_data;
		create role sleeper nologin password 'sleeper' in role pg_read_all_data;
		create role full_up login password 'full_up' connection limit 0;
		create role stranger login password 'stranger';
	SQL
	cluster_psql "$PST_DIR/$1" shop -c 'create schema app' -c 'create table app.items (id int)'
}

address() { # NAME [ROLE [PASSWORD]]
	echo "host=127.0.0.1 port=$(cluster_port "$PST_DIR/$1") ${2:+user=$2 password=${3:-$2} dbname=shop}"
}

on() { # NAME SQL
	cluster_psql "$PST_DIR/$1" shop -c "$2"
}

check() { # CANDIDATE [option]...
	local candidate=$1
	shift
	run "$PGUMBRA" check --listen "127.0.0.1:$(free_port)" --log x --primary "$(address primary)" \
		--candidate "$candidate" --control "$(address primary reader)" "$@"
}

# found LEVEL WHERE WHAT MEND: one finding, each part as its beginning.
found() {
	"$PYTHON" - "$output" "$@" <<-'PYTHON' || { echo "not found: $*"; echo "$output"; return 1; }
		import re, sys
		level, where, what, mend = sys.argv[2:]
		for part in re.split(r"\n(?=\S)", sys.argv[1]):
		    lines = part.split("\n")
		    if re.fullmatch(f"{level} +{where}.*: {re.escape(what)}.*", lines[0]) and \
		            any(line.startswith(" " * 13 + "mend: " + mend) for line in lines):
		        sys.exit(0)
		sys.exit(1)
	PYTHON
}

@test "a candidate that nobody can connect to says why and what to do" {
	check "host=127.0.0.1 port=$(free_port) user=reader dbname=shop"
	[ "$status" = 0 ]
	found warning candidate 'cannot be connected to: connection to server at "127.0.0.1"' "start the server there, or mend host and port"
	check "host=/nowhere user=reader dbname=shop"
	found warning candidate 'cannot be connected to: connection to server on socket "/nowhere' "start the server on this machine, or mend host"
	check "host=nowhere.invalid user=reader dbname=shop"
	found warning candidate 'cannot be connected to: could not translate host name "nowhere.invalid"' "mend host, or how this machine"
	check "$(address candidate reader wrong)"
	found warning candidate 'cannot be connected to: connection to server' "give the right password (passfile or ~/.pgpass), or there: ALTER ROLE reader PASSWORD"
	check "host=127.0.0.1 port=$(cluster_port "$PST_DIR/candidate") user=reader dbname=shop passfile=/dev/null"
	found warning candidate 'cannot be connected to: connection to server' "give the password of reader: passfile="
	check "host=127.0.0.1 port=$(cluster_port "$PST_DIR/candidate") user=reader password=reader dbname=nope"
	found warning candidate 'cannot be connected to: connection to server' "CREATE DATABASE nope there, or mend dbname"
	check "$(address candidate sleeper)"
	found warning candidate 'cannot be connected to: connection to server' "ALTER ROLE sleeper LOGIN there"
	check "$(address candidate full_up)"
	found warning candidate 'cannot be connected to: connection to server' "ALTER ROLE full_up CONNECTION LIMIT -1 there"
	check "$(address candidate reader) sslmode=require"
	found warning candidate 'cannot be connected to: connection to server' "ssl = on there, or sslmode=prefer"
	check "not a string"
	[ "$status" = 2 ]
}

@test "a role without CONNECT, and one that pg_hba.conf turns away" {
	on candidate 'revoke connect on database shop from public'
	check "$(address candidate stranger)"
	on candidate 'grant connect on database shop to public'
	found warning candidate 'cannot be connected to: connection to server' "GRANT CONNECT ON DATABASE shop TO stranger there"
	cp "$PST_DIR/candidate/data/pg_hba.conf" hba
	(echo "host all stranger 127.0.0.1/32 reject"; cat hba) | as_postgres tee "$PST_DIR/candidate/data/pg_hba.conf" >/dev/null
	on candidate 'select pg_reload_conf()' >/dev/null
	wait_for 30 "the rejection" stranger_is_rejected
	as_postgres tee "$PST_DIR/candidate/data/pg_hba.conf" <hba >/dev/null
	on candidate 'select pg_reload_conf()' >/dev/null
	found warning candidate 'cannot be connected to: connection to server' "there in pg_hba.conf, before what rejects: host shop stranger"
}

stranger_is_rejected() {
	check "$(address candidate stranger)"
	[[ "$output" == *"pg_hba.conf rejects"* ]]
}

@test "without a control the candidate alone is looked at: what the role may not read" {
	run "$PGUMBRA" check --listen "127.0.0.1:$(free_port)" --log x --primary "$(address primary)" \
		--candidate "$(address candidate stranger)"
	found warning candidate "role stranger may not read 1 tables or views: app.items" \
		"GRANT USAGE ON SCHEMA app TO stranger; GRANT SELECT ON app.items TO stranger"
	run "$PGUMBRA" check --listen "127.0.0.1:$(free_port)" --log x --primary "$(address primary)" \
		--candidate "host=127.0.0.1 port=$(cluster_port "$PST_DIR/candidate") user=stranger password=stranger"
	found warning "candidate candidate, database shop" "role stranger may not read 1 tables or views: app.items" "GRANT USAGE"
	run "$PGUMBRA" check --listen "127.0.0.1:$(free_port)" --log x --primary "$(address primary)" \
		--candidate "$(address candidate reader)"
	[[ "$output" != *"may not read"* ]]
}

@test "a listen address that is taken is told; one that is free isn't" {
	run "$PGUMBRA" check --listen "127.0.0.1:$(cluster_port "$PST_DIR/candidate")" --log x \
		--primary "$(address primary)" --candidate "$(address candidate reader)"
	found warning listen "Address already in use: could not listen on 127.0.0.1" "stop what listens there"
	check "$(address candidate reader)"
	[[ "$output" != *"could not listen"* ]]
	[ ! -e .s.PGSQL.1 ]
	run "$PGUMBRA" check --listen "$PWD:1" --log x --primary "$(address primary)" --candidate "$(address candidate reader)"
	[[ "$output" != *"could not listen"* ]]
	[ ! -e .s.PGSQL.1 ]
}

@test "a log whose directory is missing forbids" {
	check "$(address candidate reader)" --log missing/log
	[ "$status" = 1 ]
	found forbids discrepancies "path missing/log cannot be written" "make the directory"
}

@test "the wrong servers: the candidate is the primary, the control another cluster" {
	run "$PGUMBRA" check --listen "127.0.0.1:$(free_port)" --log x --primary "$(address primary)" \
		--candidate "$(address primary reader)"
	[ "$status" = 1 ]
	found forbids candidate "is at the primary's own address" "the other server's host and port"
	check "$(address primary reader)"
	[ "$status" = 1 ]
	found forbids candidate "is the same server and database as the control" "mend conninfo of one of them"
	[[ "$output" != *"own address"* ]]
	check "$(address primary reader)" --allow-unsafe-role
	[ "$status" = 0 ]
	found warning candidate "is the same server and database as the control" "mend conninfo of one of them"
	check "$(address primary reader)" --set candidate.candidate.databases=clients=shop
	[ "$status" = 0 ]
	found information candidate "is another database of the control's server" "a server of its own"
	check "$(address primary reader)" --set candidate.candidate.databases=clients=shop,shop=shop
	found forbids candidate "is the same server and database as the control" "mend conninfo of one of them"
	check "$(address primary reader | sed s/dbname=shop/dbname=postgres/)"
	found information candidate "is another database of the control's server" "a server of its own"
	run "$PGUMBRA" check --listen "127.0.0.1:$(free_port)" --log x --primary "$(address primary)" \
		--candidate "$(address candidate reader)" --control "$(address candidate reader)"
	found warning control "is another cluster than the primary: system identifier" "mend control.conninfo or primary.conninfo"
	check "$(address candidate reader)"
	[[ "$output" != *"another cluster"* ]]
}

@test "a primary in recovery is told, a standby as the control isn't; a control's role that the primary refuses is" {
	make_standby
	run "$PGUMBRA" check --listen "127.0.0.1:$(free_port)" --log x --primary "$(address standby)" \
		--candidate "$(address candidate reader)" --control "$(address primary reader)"
	found warning primary "is in recovery: a standby" "primary.conninfo of the primary"
	run "$PGUMBRA" check --listen "127.0.0.1:$(free_port)" --log x --primary "$(address standby)" \
		--candidate "$(address candidate reader)" --control "$(address standby reader)"
	found warning primary "is in recovery: a standby" "primary.conninfo of the primary"
	run "$PGUMBRA" check --listen "127.0.0.1:$(free_port)" --log x --primary "$(address primary)" \
		--candidate "$(address candidate reader)" --control "$(address standby reader)"
	[[ "$output" != *"in recovery"* && "$output" != *"another cluster"* ]] || { echo "$output"; false; }
	on candidate "create role only_here login password 'only_here' in role pg_read_all_data"
	run "$PGUMBRA" check --listen "127.0.0.1:$(free_port)" --log x --primary "$(address primary)" \
		--candidate "$(address candidate reader)" --control "$(address candidate only_here)"
	found information control "its role cannot connect to the primary" "give the right password"
}

make_standby() {
	as_postgres mkdir -p "$PST_DIR/standby"
	(cd / && as_postgres "$DEBIAN_PG_BIN/pg_basebackup" -R -X stream -c fast -D "$PST_DIR/standby/data" \
		-h "$PST_DIR/primary" -p "$(cluster_port "$PST_DIR/primary")" -U postgres)
	echo "$DEBIAN_PG_BIN" | as_postgres tee "$PST_DIR/standby/bin" >/dev/null
	cluster_start "$PST_DIR/standby"
}

# Authentication that ends at pgumbra (primary.auth = scram), against PostgreSQL 15 and 18. "Case n" is
# of HAZARDS section 10.

bats_require_minimum_version 1.5.0

load tls_lib

PGUMBRA=${PGUMBRA:-$BUILD/pgumbra}

setup_file() {
	start_tls_primaries
	for server in $SERVERS; do
		PGPORT=$server sql <<-SQL
			set password_encryption = 'scram-sha-256';
			create role asked login password 'secret-asked';
			create role lookup login password 'secret-lookup';
			create role no_secret login;
			create schema keys;
			create function keys.secret_of(role text) returns table (name text, secret text)
				language sql security definer set search_path = '' as
				'select rolname::text, rolpassword from pg_catalog.pg_authid where rolname = role';
			revoke execute on function keys.secret_of from public;
			grant usage on schema keys to lookup;
			grant execute on function keys.secret_of to lookup;
		SQL
		secrets "$server" >"$CERTS/secrets.$server"
		chmod 600 "$CERTS/secrets.$server"
	done
	echo "*:*:*:lookup:secret-lookup" >"$CERTS/passfile"
	chmod 600 "$CERTS/passfile"
	# nobody is trusted by address but who is named
	for data in "$CLUSTER/data" "$CLUSTER/18/data"; do
		[ -d "$data" ] || continue
		cat >>"$data/pg_hba.conf" <<-EOT
			host all all all scram-sha-256
		EOT
	done
	for server in $SERVERS; do PGPORT=$server sql -c "select pg_reload_conf()" >/dev/null; done
}

teardown_file() {
	stop_tls_primaries
}

teardown() {
	if [ -n "${RELAY:-}" ]; then
		kill -KILL "$RELAY" || true
	fi
	if [ -s "${LOG:-}" ]; then
		tail -n 20 "$LOG"
		! grep -E '(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:' "$LOG"
	fi
}

# secrets PORT: an auth_file with what this server has
secrets() {
	PGPORT=$1 sql -F ' ' -c "select '\"' || rolname || '\"', '\"' || rolpassword || '\"' from pg_authid
		where rolpassword is not null"
}

# start_scram PORT CERTIFICATE CLIENT_TLS PRIMARY_SSLMODE [SETTING]...: with the server's secrets
start_scram() {
	local port=$1 certificate=$2 mode=$3 primary=$4
	shift 4
	start_tls_relay "$certificate" "$mode" "port=$port sslmode=$primary" primary.auth=scram \
		primary.auth_file="$CERTS/secrets.$port" "$@"
}

# What a login through the relay comes to, in one word or the server's.
login_as() { # CLIENT ROLE PASSWORD PARAMETERS...
	PGPASSWORD=$3 through "$1" "${*:4} user=$2 dbname=postgres" -c "select 'ok ' || current_user" 2>&1 || true
}

@test "auth = scram: every client logs in, over plain and TLS on both legs, and is itself at the primary" {
	for server in $SERVERS; do
		for primary in disable require; do
			start_scram "$server" proxy allow $primary
			for client in $(clients); do
				for mode in disable require; do
					said=$(login_as "$client" by_scram secret-scram "sslmode=$mode")
					echo "$server $primary $client $mode: $said"
					[ "$said" = "ok by_scram" ]
				done
				said=$(login_as "$client" by_scram secret-scram "sslmode=require channel_binding=require")
				echo "$said"
				[ "$said" = "ok by_scram" ]
			done
			books_balance
		done
	done
}

scram_wire() {
	local case=$1
	shift
	"$PYTHON" "$TOOLS/scram_wire.py" "$case" "$RELAY_PORT" "$@"
}

@test "auth = scram on the wire: flags and bindings, refusals, clients that lie or leave" {
	for server in $SERVERS; do
		for primary in disable require; do
			start_scram "$server" proxy allow $primary pgumbra.log_level=debug
			scram_wire flags "$CERTS/proxy.crt"
			scram_wire refusals "$server"
			scram_wire out_of_turn "$server"
			scram_wire pieces
			! grep -q secret- "$LOG"
			books_balance
		done
	done
}

@test "auth = scram: protocol 3.2, greased negotiation and long cancel keys pass byte for byte" {
	for server in $SERVERS; do
		bytes=4
		if [ "$server" = "$PORT_18" ]; then bytes=32; fi
		start_scram "$server" proxy allow require
		scram_wire newer "$server" $bytes
		books_balance
	done
}

@test "auth = scram: who has no secret is asked like who has, with the primary's own salt" {
	for server in $SERVERS; do
		start_scram "$server" proxy allow require
		scram_wire nobody "$server"
		books_balance
	done
}

@test "auth = scram before a primary that trusts: proven here all the same, salts outlive a restart" {
	secrets "$PRIMARY_PORT" | sed 's/^"by_scram"/"trusted"/' >"$CERTS/trusted"
	chmod 600 "$CERTS/trusted"
	start_tls_relay proxy allow "sslmode=require" primary.auth=scram primary.auth_file="$CERTS/trusted"
	[ "$(login_as psql_15 trusted secret-scram sslmode=require)" = "ok trusted" ]
	[[ "$(login_as psql_15 trusted wrong)" == *"password authentication failed"* ]]
	# the primary would let these in
	[[ "$(login_as psql_15 postgres secret-scram)" == *"password authentication failed"* ]]
	salt=$(scram_wire salt_of postgres)
	[ "$salt" = "$(scram_wire salt_of postgres)" ]
	[ "$salt" != "$(scram_wire salt_of without)" ]
	books_balance
	start_tls_relay proxy allow "sslmode=require" primary.auth=scram primary.auth_file="$CERTS/trusted"
	[ "$salt" = "$(scram_wire salt_of postgres)" ]
	books_balance
}

@test "auth = scram can't answer other methods, and says which" {
	secrets "$PRIMARY_PORT" >"$CERTS/all"
	chmod 600 "$CERTS/all"
	start_tls_relay proxy allow "sslmode=require" primary.auth=scram primary.auth_file="$CERTS/all"
	[[ "$(login_as psql_15 by_md5 secret-md5)" == *"the primary asks for an md5 password"* ]]
	[[ "$(login_as psql_15 by_clear secret-clear)" == *"the primary asks for a password in clear text"* ]]
	[[ "$(login_as psql_15 by_cert none)" == *"connection requires a valid client certificate"* ]]
	grep -q 'md5 password.*role "by_md5"' "$LOG"
	books_balance
}

@test "auth_file: a secret that is not the primary's is refused and told, SIGHUP mends it" {
	cp -p "$CERTS/secrets.$PRIMARY_PORT" "$CERTS/file"
	start_tls_relay proxy allow "" primary.auth=scram primary.auth_file="$CERTS/file" \
		shadow.enabled=off shadow.max_message_bytes=256kB
	[ "$(login_as psql_15 asked secret-asked)" = "ok asked" ]
	coproc HELD_SESSION { PGPASSWORD=secret-asked PGUSER=asked through psql_15 2>&1; }
	echo "select 'before';" >&"${HELD_SESSION[1]}"
	read -r -u "${HELD_SESSION[0]}" line
	[ "$line" = before ]
	PGPORT=$PRIMARY_PORT sql -c "set password_encryption = 'scram-sha-256'" \
		-c "alter role asked password 'secret-new'"
	for password in secret-asked secret-new; do
		[[ "$(login_as psql_15 asked $password)" == *"password authentication failed"* ]]
	done
	grep -q 'secret is not the one that the primary has.*"asked"' "$LOG"
	echo "no line of it" >"$CERTS/file"
	kill -HUP "$RELAY"
	wait_for "a bad file is named" grep -q "file:1: not a line of an auth_file.*stay as they were" "$LOG"
	[ "$(login_as psql_15 by_scram secret-scram)" = "ok by_scram" ]
	secrets "$PRIMARY_PORT" >"$CERTS/file"
	kill -HUP "$RELAY"
	wait_for "the new secret is read" eval '[ "$(login_as psql_15 asked secret-new)" = "ok asked" ]'
	[[ "$(login_as psql_15 asked secret-asked)" == *"password authentication failed"* ]]
	echo "select 'after';" >&"${HELD_SESSION[1]}"
	read -r -u "${HELD_SESSION[0]}" line
	[ "$line" = after ]
	echo '\q' >&"${HELD_SESSION[1]}"
	PGPORT=$PRIMARY_PORT sql -c "set password_encryption = 'scram-sha-256'" \
		-c "alter role asked password 'secret-asked'"
	secrets "$PRIMARY_PORT" >"$CERTS/secrets.$PRIMARY_PORT"
	stop_relay
	! grep -q secret- "$LOG"
}

# start_query PORT QUERY [SETTING]...
start_query() {
	local port=$1 query=$2
	shift 2
	PGPASSFILE=${PASSFILE:-$CERTS/passfile} start_tls_relay proxy allow "port=$port sslmode=require" \
		primary.auth=scram primary.auth_user=lookup "primary.auth_query=$query" "$@"
}

@test "auth_query: secrets from the primary, by a role of its own with an empty search_path" {
	for server in $SERVERS; do
		for query in 'select secret from keys.secret_of($1)' 'select * from keys.secret_of($1)'; do
			start_query "$server" "$query"
			for client in $(clients); do
				[ "$(login_as "$client" by_scram secret-scram sslmode=require)" = "ok by_scram" ]
				[[ "$(login_as "$client" by_scram wrong)" == *"password authentication failed"* ]]
			done
			scram_wire nobody "$server"
			scram_wire refusals "$server"
			# its connection dies, and another takes its place
			PGPORT=$server sql -c "select pg_terminate_backend(pid) from pg_stat_activity
				where usename = 'lookup'" >/dev/null
			[ "$(login_as psql_15 by_scram secret-scram)" = "ok by_scram" ]
			[ "$(PGPORT=$server sql -c "select count(*) from pg_stat_activity where usename = 'lookup'")" = 1 ]
			books_balance
		done
	done
	# a client's search_path has no say, and neither has the role's own
	PGPORT=$PRIMARY_PORT sql -c "alter role lookup set search_path = keys"
	start_query "$PRIMARY_PORT" 'select secret from secret_of($1)'
	[[ "$(PGOPTIONS="-c search_path=keys" login_as psql_15 by_scram secret-scram)" == *"could not be looked up"* ]]
	grep -q "function secret_of.* does not exist" "$LOG"
	PGPORT=$PRIMARY_PORT sql -c "alter role lookup reset search_path"
	books_balance
}

@test "auth_query: many at once, and when it can't be run" {
	start_query "$PRIMARY_PORT" 'select secret from keys.secret_of($1)'
	export PGPASSWORD=secret-scram PGUSER=by_scram PGSSLMODE=require
	echo "select 1" >"$BATS_TEST_TMPDIR/one"
	through pgbench -n -C -c 8 -j 2 -t 25 -f "$BATS_TEST_TMPDIR/one" >"$BATS_TEST_TMPDIR/out" 2>&1
	grep -q "processed: 200/200" "$BATS_TEST_TMPDIR/out"
	books_balance
	unset PGPASSWORD PGUSER
	for query in 'select secret from keys.secret_of($1)|no password supplied' \
		'select 1/0 || $1|division by zero' 'select $1::text union all select $1||1|more than one row'; do
		PASSFILE=$CERTS/passfile
		if [[ "$query" == *"no password"* ]]; then PASSFILE=/nowhere; fi
		start_query "$PRIMARY_PORT" "${query%|*}"
		[[ "$(login_as psql_15 by_scram secret-scram)" == *"could not be looked up"* ]]
		grep -q "${query##*|}" "$LOG"
		books_balance
	done
}

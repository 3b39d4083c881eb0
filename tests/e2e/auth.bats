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
			create function keys.noisy(role text) returns text language plpgsql security definer
				set search_path = '' as 'begin raise notice ''noise''; return rolpassword
				from pg_catalog.pg_authid where rolname = role; end';
			revoke execute on all functions in schema keys from public;
			grant usage on schema keys to lookup;
			grant execute on all functions in schema keys to lookup;
		SQL
		secrets "$server" >"$CERTS/secrets.$server"
		chmod 600 "$CERTS/secrets.$server"
	done
	for role in by_scram by_md5 by_clear trusted by_cert; do certificate $role /CN=$role; done
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
	start_query "$PRIMARY_PORT" 'select keys.noisy($1)'
	[ "$(login_as psql_15 by_scram secret-scram)" = "ok by_scram" ]
	! grep -i noise "$LOG"
	books_balance
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

# --- check ---

# new_hba PORT DIR <LINES: and the server has read them
new_hba() {
	export PGHOST=$2 PGPORT=$1
	before=$(sql -c "select pg_conf_load_time()")
	as_postgres tee "$2/data/pg_hba.conf" >/dev/null
	sql -c "select pg_reload_conf()" >/dev/null
	wait_for "pg_hba.conf is read" eval '[ "$(sql -c "select pg_conf_load_time()")" != "$before" ]'
	export PGHOST=127.0.0.1
	unset PGPORT
}

# demand METHOD: what the first primary asks everybody for
demand() {
	local host=host
	if [ "$1" = cert ]; then host=hostssl; fi
	printf 'local all all trust\n%s all all all %s\n' "$host" "$1" | new_hba "$PRIMARY_PORT" "$CLUSTER"
}

# check_it SSLMODE CERTIFICATE CLIENT_TLS [SETTING]...
check_it() {
	local mode=$1 certificate=$2 clients=$3
	shift 3
	"$PGUMBRA" check --primary "host=127.0.0.1 port=$PRIMARY_PORT sslmode=$mode" \
		--set shadow.enabled=off --set client_tls.sslmode="$clients" \
		--set client_tls.cert_file="$CERTS/$certificate.crt" \
		--set client_tls.key_file="$CERTS/$certificate.key" "${@/#/--set=}"
}

# demand | primary's sslmode | certificate | client_tls | settings | exit | words; - : none of those of others
findings() {
	local file=primary.auth=scram\ primary.auth_file=$CERTS/secrets.$PRIMARY_PORT
	cat <<-EOT
		scram-sha-256|require|proxy|require||0|check failed
		scram-sha-256|require|primary|require||0|-
		scram-sha-256|require|proxy|require|$file|0|-
		scram-sha-256|disable|proxy|require||0|there is no TLS to the primary
		scram-sha-256|require|proxy|disable||0|there is no TLS to clients
		scram-sha-256|require|proxy|disable|$file|0|there is no TLS to clients
		scram-sha-256|require|edwards|require|$file|0|can't bind a channel to a certificate
		md5|require|proxy|require||0|check failed
		password|require|proxy|require|$file|0|a password in clear text, which auth = scram can't answer
		password|require|proxy|require|pgumbra.listen=0.0.0.0:1|0|-
		password|require|proxy|allow|pgumbra.listen=0.0.0.0:1|0|way from clients is not encrypted
		password|disable|proxy|disable||0|-
		trust|disable|proxy|require|pgumbra.listen=0.0.0.0:1|1|without a challenge
		trust|disable|proxy|require|pgumbra.listen=0.0.0.0:1 $file|0|prove their password to pgumbra alone
		trust|disable|proxy|require|pgumbra.listen=0.0.0.0:1 primary.allow_trust=on|0|without a challenge
		cert|require|proxy|require||0|connection requires a valid client certificate
		reject|disable|proxy|require||0|refuses every role
		scram-sha-256|require|proxy|require|primary.auth=scram primary.auth_file=/nowhere|1|No such file
		scram-sha-256|require|proxy|require|primary.auth=scram primary.auth_file=$CERTS/none|1|holds no SCRAM secret
	EOT
}

@test "check finds what can't be: method, TLS on each leg, channel binding, secrets" {
	openssl req -x509 -newkey ed25519 -nodes -days 2 -subj /CN=localhost -keyout "$CERTS/edwards.key" \
		-out "$CERTS/edwards.crt" 2>/dev/null
	chmod 600 "$CERTS/edwards.key"
	echo '"by_md5" "md5c0ffee"' >"$CERTS/none"
	chmod 600 "$CERTS/none"
	any='check failed|there is no TLS|can.t bind|can.t answer|not encrypted|without a challenge|refuses every'
	while IFS='|' read -r method primary certificate clients settings code words; do
		demand "$method"
		run check_it "$primary" "$certificate" "$clients" $settings
		echo "$method $primary $certificate $clients $settings: $status, expected $code, $words; $output"
		[ "$status" = "$code" ]
		if [ "$words" = - ]; then
			[[ ! "$output" =~ $any ]]
		else
			[[ "$output" == *"$words"* ]]
		fi
	done < <(findings)
	demand scram-sha-256
	query() {
		PGPASSFILE=${3:-$CERTS/passfile} "$PGUMBRA" check --primary "host=127.0.0.1 port=$PRIMARY_PORT" \
			--set shadow.enabled=off --set primary.auth=scram --set primary.auth_user=lookup \
			--set "primary.auth_query=$1"
	}
	run -0 query 'select secret from keys.secret_of($1)'
	run -1 query 'select secret from secret_of($1)'
	[[ "$output" == *"fails as lookup in the database postgres (primary.auth_dbname): "*"function secret_of"*"does not exist"*"mend: primary.auth_dbname: the database in which"*"schema-qualified"* ]]
	run -1 query 'select secret from keys.secret_of($1)' "" /nowhere
	[[ "$output" == *"no password supplied"*"passfile"* ]]
	run -1 query "select secret from keys.secret_of('by_scram') where \$1 <> ''"
	[[ "$output" == *"gives a secret for a role that nobody has"* ]]
	{ hba && echo "host all all all scram-sha-256"; } | new_hba "$PRIMARY_PORT" "$CLUSTER"
}

# --- every combination ---

# The servers ask each role as hba() says, and nobody else.
plain_hba() {
	hba | new_hba "$PRIMARY_PORT" "$CLUSTER"
	if [ -n "$PG18_BIN" ]; then hba | new_hba "$PORT_18" "$CLUSTER/18"; fi
}

# start_for SERVER AUTH CERTIFICATE CLIENT_TLS PRIMARY_SSLMODE
start_for() {
	local settings=()
	if [ "$2" = scram ]; then
		settings=(primary.auth=scram primary.auth_file="$CERTS/secrets.$1")
	fi
	local files="sslrootcert=$CERTS/ca.crt sslcert=$CERTS/other.crt sslkey=$CERTS/other.key"
	start_tls_relay "$3" "$4" "port=$1 sslmode=$5 host=localhost hostaddr=127.0.0.1 $files" "${settings[@]}"
}

@test "sslmode, channel_binding, auth, certificates, TLS on both legs, methods: as the table says" {
	plain_hba
	mapfile -t turns < <(clients)
	rows=0
	for server in $SERVERS; do
		started=
		turn=$((server == PORT_18)) # each row by one psql on 15, by the other on 18
		while IFS='|' read -r auth certificate tls mode binding primary role expected; do
			if [ "$started" != "$auth $certificate $tls $primary" ]; then
				[ -z "$started" ] || books_balance
				start_for "$server" "$auth" "$certificate" "$tls" "$primary"
				started="$auth $certificate $tls $primary"
			fi
			client=${turns[turn++ % ${#turns[@]}]}
			said=$(PGPASSWORD=secret-${role#by_} through "$client" "host=localhost hostaddr=127.0.0.1
				user=$role sslmode=$mode channel_binding=$binding sslrootcert=$CERTS/ca.crt
				sslcert=$CERTS/$role.crt sslkey=$CERTS/$role.key" -c "select 'ok'" 2>&1) || true
			echo "$server $client $started $mode $binding $role: $said, expected $expected"
			if [ "$expected" = ok ]; then [ "$said" = ok ]; else [[ "$said" =~ $expected ]]; fi
			rows=$((rows + 1))
		done < <(grep -v '^#' "$BATS_TEST_DIRNAME/auth_matrix.txt")
		books_balance
	done
	[ "$rows" -ge 60 ]
	for server in $SERVERS; do
		{ hba && echo "host all all all scram-sha-256"; } |
			new_hba "$server" "$(if [ "$server" = "$PORT_18" ]; then echo "$CLUSTER/18"; else echo "$CLUSTER"; fi)"
	done
}

# driver|what it takes to run it
drivers() {
	cat <<-EOT
		psycopg|$PYTHON $BATS_TEST_DIRNAME/clients/login_psycopg.py
		asyncpg|$PYTHON $BATS_TEST_DIRNAME/clients/login_asyncpg.py
		pgjdbc|java -cp $BATS_FILE_TMPDIR:/usr/share/java/postgresql.jar Login
		node-postgres|node --no-deprecation $BATS_TEST_DIRNAME/clients/login_pg.mjs
	EOT
}

@test "drivers log in: psycopg, asyncpg, pgjdbc, node-postgres, relayed and ending here" {
	javac -d "$BATS_FILE_TMPDIR" "$BATS_TEST_DIRNAME/clients/Login.java"
	for server in $SERVERS; do
		# libpq binds the channel wherever it can: the one that can't work, HAZARDS 2.1
		for config in "relay proxy require|psycopg" "relay primary require|" "relay proxy disable|" \
			"scram proxy require|" "scram proxy disable|"; do
			read -r auth certificate primary <<<"${config%|*}"
			start_for "$server" "$auth" "$certificate" allow "$primary"
			while IFS='|' read -r driver command; do
				NODE_MODULES=$BATS_TEST_DIRNAME/../../build/npm PYTHONDONTWRITEBYTECODE=1 $command "$RELAY_PORT" \
					by_scram secret-scram >"$BATS_TEST_TMPDIR/said" 2>&1 || true
				echo "$server $config $driver: $(tail -3 "$BATS_TEST_TMPDIR/said")"
				grep -qx "plain: by_scram" "$BATS_TEST_TMPDIR/said"
				grep -qx "wrong password: refused" "$BATS_TEST_TMPDIR/said"
				if [ "${config##*|}" = "$driver" ]; then
					grep -q "TLS:.*channel binding check failed" "$BATS_TEST_TMPDIR/said"
				else
					grep -qx "TLS: by_scram" "$BATS_TEST_TMPDIR/said"
				fi
			done < <(drivers)
			books_balance
		done
	done
}

# --- secrets ---

# random words, so that a search for them finds nothing else
word() {
	openssl rand -hex 12
}

# look_for_secrets SETTING...: runs pgumbra itself with these, logs in by every way there is, and
# searches the tapes, both processes and all that was written.
look_for_secrets() {
	local clear md5 scram wrong canary
	clear=$(word) md5=$(word) scram=$(word) canary=$(word)
	wrong=$(openssl rand -hex 2000) # its end is not overwritten by the next message
	PGPORT=$PRIMARY_PORT sql <<-SQL
		set password_encryption = 'scram-sha-256';
		alter role by_clear password '$clear';
		alter role by_scram password '$scram';
		set password_encryption = 'md5';
		alter role by_md5 password '$md5';
	SQL
	secrets "$PRIMARY_PORT" >"$CERTS/secret-run"
	chmod 600 "$CERTS/secret-run"
	cd "$BATS_TEST_TMPDIR"
	PORT_OF_IT=$((PRIMARY_PORT + 20))
	rm -f run.log run.jsonl
	PGPASSFILE=$CERTS/passfile "$PGUMBRA" run --listen "127.0.0.1:$PORT_OF_IT" --log run.jsonl \
		--primary "host=127.0.0.1 port=$PRIMARY_PORT sslmode=require" \
		--candidate "host=127.0.0.1 port=$PRIMARY_PORT user=asked password=secret-asked dbname=postgres" \
		--control "host=127.0.0.1 port=$PRIMARY_PORT user=asked password=secret-asked dbname=postgres" \
		--allow-unsafe-role --set client_tls.sslmode=allow --set client_tls.cert_file="$CERTS/primary.crt" \
		--set client_tls.key_file="$CERTS/primary.key" --set pgumbra.log_level=debug \
		--set discrepancies.values=full --set discrepancies.books_interval=200ms --set shadow.tape_size=2MB --set shadow.latency_budget=0 \
		--set shadow.max_message_bytes=128kB "${@/#/--set=}" >run.log 2>&1 3>&- &
	RELAY=$!
	LOG=$BATS_TEST_TMPDIR/run.log
	wait_for "pgumbra listens" grep -q "listening on" run.log
	export PGPORT=$PORT_OF_IT
	for mode in disable require; do
		for role in by_clear=$clear by_md5=$md5 by_scram=$scram by_clear=$wrong by_md5=$wrong by_scram=$wrong; do
			PGPASSWORD=${role#*=} psql_15 "user=${role%=*} sslmode=$mode" -c "select '$canary'" || true
		done >>out 2>&1
	done
	# what a login leaves behind must not be gone only because others came after it
	coproc HELD_SESSION { PGPASSWORD=$scram psql_15 "user=by_scram sslmode=require" 2>&1; }
	echo "select '$canary';" >&"${HELD_SESSION[1]}"
	read -r -u "${HELD_SESSION[0]}" line
	[ "$line" = "$canary" ]
	unset PGPORT
	wait_for "the shadow has seen it" grep -Eq '"observed": ?[1-9]' run.jsonl
	"$PYTHON" "$TOOLS/secret_list.py" "$PRIMARY_PORT" "$CERTS/primary.key" "$canary" by_clear="$clear" \
		by_md5="$md5" by_scram="$scram" wrong="${wrong: -24}" >list
	"$PYTHON" "$TOOLS/secret_scan.py" "$RELAY" list run.log run.jsonl out
	echo '\q' >&"${HELD_SESSION[1]}"
	stop_relay
	for secret in "$clear" "$md5" "$scram" "$wrong"; do
		! grep -rF "$secret" run.log run.jsonl out
	done
}

@test "no password and no key on a tape, in the shadow process, in what is written, or left in the relay" {
	if [ ! -r /proc/1/mem ]; then skip "reading another process's memory needs root"; fi
	look_for_secrets
	look_for_secrets primary.auth=scram primary.auth_file="$CERTS/secret-run"
	look_for_secrets primary.auth=scram primary.auth_user=lookup \
		'primary.auth_query=select secret from keys.secret_of($1)'
}

# TLS on both legs and the relay of authentication, against PostgreSQL 15 and 18. "Case n" is of
# HAZARDS section 10. The relay runs with a stub for a shadow process, but where `check` is asked.

bats_require_minimum_version 1.5.0

load tls_lib

PGUMBRA=${PGUMBRA:-$BUILD/pgumbra}

setup_file() {
	start_tls_primaries
}

teardown_file() {
	stop_tls_primaries
}

teardown() {
	status=$?
	if [ -n "${RELAY:-}" ]; then
		kill -KILL "$RELAY" || true
	fi
	if [ -s "${LOG:-}" ]; then
		tail -n 20 "$LOG"
		! grep -E '(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:' "$LOG"
	fi
}


# --- clients ---

@test "cases 1, 3 to 6: requests for encryption in every order, both versions, whole and cut" {
	for server in $SERVERS; do
		start_tls_relay proxy allow "port=$server sslmode=disable"
		for case in versions optimistic direct_tls order pieces pipelined bulk half_close; do
			tls_wire $case
		done
		books_balance
	done
}

@test "case 2: plain bytes behind the request are never acted on" {
	start_tls_relay proxy allow "port=1 sslmode=disable"
	tls_wire injected
	! grep -q "could not connect" "$LOG"
	grep -q "TLS handshake with 127.0.0.1:.* failed" "$LOG"
}

@test "a handshake that stalls ends at login_timeout" {
	start_tls_relay proxy allow "sslmode=disable" pgumbra.login_timeout=1s
	tls_wire half_open
	grep -q "login_timeout passed" "$LOG"
}

@test "client_tls.min_protocol_version" {
	start_tls_relay proxy allow "" client_tls.min_protocol_version=TLSv1.3
	tls_wire only_13
}

@test "client_tls.sslmode: what each mode lets in" {
	for mode in allow require verify-ca verify-full; do
		start_tls_relay proxy $mode "sslmode=disable"
		for certificate in none postgres other forged; do
			for client in disable require; do
				expected=fails
				case $mode:$client:$certificate in
				allow:* | require:require:*) expected=works ;;
				verify-ca:require:postgres | verify-ca:require:other) expected=works ;;
				verify-full:require:postgres) expected=works ;;
				esac
				seen=fails
				through psql_15 "sslmode=$client sslcert=$CERTS/$certificate.crt
					sslkey=$CERTS/$certificate.key" -c "select 1" \
					>"$BATS_TEST_TMPDIR/out" 2>&1 && seen=works
				echo "$mode, client $client with certificate $certificate: $seen, expected $expected"
				[ $seen = $expected ]
			done
		done
		# a unix socket needs none of it
		[ "$(PGHOST=$BATS_TEST_TMPDIR through sql -c 'select 1')" = 1 ]
		stop_relay
	done
}

@test "what a refused client is told" {
	start_tls_relay proxy verify-full "sslmode=disable"
	run -2 through psql_15 sslmode=disable -c "select 1"
	[[ "$output" == *"connections without TLS are not accepted here"* ]]
	run -2 through psql_15 "sslmode=require sslcert=$CERTS/other.crt sslkey=$CERTS/other.key" -c "select 1"
	[[ "$output" == *'certificate authentication failed for user "postgres"'* ]]
	run -2 through psql_15 "sslmode=require sslcert=none" -c "select 1"
	[[ "$output" == *"alert certificate required"* ]]
	books_balance
}

@test "clients that check us: verify-full with pgumbra's certificate" {
	start_tls_relay proxy require "sslmode=disable"
	for client in $(clients); do
		[ "$(through $client "sslmode=verify-full host=localhost hostaddr=127.0.0.1
			sslrootcert=$CERTS/ca.crt" -c "select 1")" = 1 ]
	done
	run -2 through psql_15 "sslmode=verify-full host=elsewhere.test hostaddr=127.0.0.1
		sslrootcert=$CERTS/ca.crt" -c "select 1"
}

@test "SIGHUP: a new certificate for new sessions, the old ones live on" {
	cp "$CERTS/elsewhere.crt" "$CERTS/served.crt"
	cp -p "$CERTS/elsewhere.key" "$CERTS/served.key"
	start_tls_relay served require "sslmode=disable" shadow.enabled=off shadow.max_message_bytes=256kB
	coproc HELD_SESSION { through psql_15 "sslmode=require" 2>&1; }
	echo "select 'before';" >&"${HELD_SESSION[1]}"
	read -r -u "${HELD_SESSION[0]}" line
	[ "$line" = before ]
	! through psql_15 "$(checking)" -c "select 1"
	cp "$CERTS/proxy.crt" "$CERTS/served.crt"
	kill -HUP "$RELAY"
	wait_for "a key that does not fit is refused" grep -q "certificates stay as they were" "$LOG"
	cp -p "$CERTS/proxy.key" "$CERTS/served.key"
	kill -HUP "$RELAY"
	wait_for "the certificate is read" grep -q "certificates are read again" "$LOG"
	wait_for "it is served" through psql_15 "$(checking)" -c "select 1"
	echo "select 'after';" >&"${HELD_SESSION[1]}"
	read -r -u "${HELD_SESSION[0]}" line
	[ "$line" = after ]
	echo '\q' >&"${HELD_SESSION[1]}"
	stop_relay
}

checking() {
	echo "sslmode=verify-full host=localhost hostaddr=127.0.0.1 sslrootcert=$CERTS/ca.crt"
}

@test "files that can't be used are named, and nothing runs" {
	cp "$CERTS/proxy.key" "$CERTS/open.key"
	cp "$CERTS/proxy.crt" "$CERTS/open.crt"
	chmod 644 "$CERTS/open.key"
	for case in "client_tls.key_file=$CERTS/open.key|others may read it" \
		"client_tls.key_file=$CERTS/other.key|could not use" \
		"client_tls.cert_file=$CERTS/nowhere.crt|nowhere.crt" \
		"client_tls.ca_file=$CERTS/nowhere.ca|nowhere.ca" \
		"primary.conninfo=host=127.0.0.1 sslrootcert=$CERTS/nowhere.ca|nowhere.ca" \
		"primary.conninfo=host=127.0.0.1 sslmode=verify-ca|needs sslrootcert"; do
		run -2 env HOME=/nowhere "$BUILD/tests/relay_only" "pgumbra.listen=127.0.0.1:$RELAY_PORT" \
			client_tls.sslmode=verify-ca client_tls.cert_file="$CERTS/proxy.crt" \
			client_tls.key_file="$CERTS/proxy.key" client_tls.ca_file="$CERTS/ca.crt" \
			"primary.conninfo=host=127.0.0.1" "${case%%|*}"
		echo "$output"
		[[ "$output" == *"${case##*|}"* ]]
	done
}

# --- the primary ---

# sslmode|further parameters|user|the server's leg has TLS (t, f), or what is said
primary_modes() {
	cat <<-EOT
		sslmode=disable||postgres|f
		sslmode=disable||with_tls|no pg_hba.conf entry
		sslmode=allow||postgres|f
		sslmode=allow||with_tls|t
		sslmode=prefer||postgres|t
		sslmode=prefer||without|f
		||postgres|t
		sslmode=require||postgres|t
		sslmode=require||without|no pg_hba.conf entry
		sslmode=require|sslrootcert=$CERTS/stranger.crt|postgres|certificate verify failed
		sslmode=verify-ca|sslrootcert=$CERTS/ca.crt|postgres|t
		sslmode=verify-ca|sslrootcert=$CERTS/stranger.crt|postgres|certificate verify failed
		sslmode=verify-full|sslrootcert=$CERTS/ca.crt|postgres|t
		sslmode=verify-full|sslrootcert=$CERTS/ca.crt host=localhost hostaddr=127.0.0.1|postgres|t
		sslmode=verify-full|sslrootcert=$CERTS/ca.crt host=elsewhere.test hostaddr=127.0.0.1|postgres|is for another host
		sslmode=verify-ca|sslrootcert=$CERTS/ca.crt host=elsewhere.test hostaddr=127.0.0.1|postgres|t
		sslmode=require|sslcert=$CERTS/other.crt sslkey=$CERTS/other.key|by_cert|t
		sslmode=require|sslcert=$CERTS/forged.crt sslkey=$CERTS/forged.key|by_cert|could not connect to the primary: 
		sslmode=require||by_cert|connection requires a valid client certificate
	EOT
}

@test "sslmode to the primary means what it means to libpq" {
	for server in $SERVERS; do
		while IFS='|' read -r mode more user expected; do
			start_relay "primary.conninfo=host=127.0.0.1 port=$server $mode $more"
			out=$(PGUSER=$user PGSSLMODE=disable through psql_15 \
				-c "select ssl from pg_stat_ssl where pid = pg_backend_pid()" 2>&1) || true
			echo "$server: $mode $more $user: $out, expected $expected"
			[[ "$out" == *"$expected"* ]]
			[ "$(PGUSER=$user psql_15 "port=$server host=127.0.0.1 $mode $more" \
				-c "select ssl from pg_stat_ssl where pid = pg_backend_pid()" 2>/dev/null)" = \
				"$(if [ ${#expected} = 1 ]; then echo "$expected"; fi)" ]
			stop_relay
		done < <(primary_modes)
	done
}

@test "a primary without TLS: prefer goes on, require is refused; a unix socket never has it" {
	PGPORT=$PRIMARY_PORT sql -c "alter system set ssl = off" -c "select pg_reload_conf()" >/dev/null
	wait_for "TLS is off" tls_is off
	start_relay "primary.conninfo=host=127.0.0.1 port=$PRIMARY_PORT"
	[ "$(through sql -c 'select 1')" = 1 ]
	books_balance
	start_relay "primary.conninfo=host=127.0.0.1 port=$PRIMARY_PORT sslmode=require"
	run -2 through sql -c "select 1"
	[[ "$output" == *"it does not speak TLS, which sslmode asks for"* ]]
	stop_relay
	PGPORT=$PRIMARY_PORT sql -c "alter system reset ssl" -c "select pg_reload_conf()" >/dev/null
	wait_for "TLS is on again" tls_is on
	start_relay "primary.conninfo=host=$CLUSTER port=$PRIMARY_PORT sslmode=require"
	[ "$(through sql -c 'select 1')" = 1 ]
	books_balance
}

tls_is() {
	[ "$(PGPORT=$PRIMARY_PORT sql -c 'show ssl')" = "$1" ]
}

@test "cases 7 and 8: what a liar says to the TLS request never reaches the client" {
	start_relay "primary.conninfo=host=127.0.0.1 port=$FAKE_PORT sslmode=require"
	tls_wire liar "$FAKE_PORT"
	grep -q "somebody may be in between" "$LOG"
	! grep -q "stranger" "$LOG"
	stop_relay
	start_relay "primary.conninfo=host=127.0.0.1 port=$FAKE_PORT"
	tls_wire liar "$FAKE_PORT"
}

@test "the next address is tried when the first has no TLS" {
	start_relay "primary.conninfo=host=127.0.0.1,127.0.0.1 port=1,$PRIMARY_PORT sslmode=require"
	[ "$(through sql -c 'select 1')" = 1 ]
	"$PYTHON" "$TOOLS/relay_wire.py" cancel "$RELAY_PORT"
	books_balance
}

# --- both ---

@test "cases 11, 12: newer protocol versions, byte for byte" {
	for server in $SERVERS; do
		start_tls_relay proxy allow "port=$server sslmode=require"
		tls_wire negotiation "$server"
		books_balance
	done
}

@test "cases 11, 16: cancel requests over plain, negotiated and direct TLS, with short and long keys" {
	for server in $SERVERS; do
		bytes=4
		if [ "$server" = "$PORT_18" ]; then bytes=32; fi
		for mode in disable require; do
			start_tls_relay proxy allow "port=$server sslmode=$mode"
			tls_wire cancels $bytes
			books_balance
		done
	done
}

@test "case 16: a cancel request's connection is held open until the primary closes it" {
	start_tls_relay proxy allow "port=$FAKE_PORT sslmode=disable"
	tls_wire patience "$FAKE_PORT"
}

@test "everything over TLS on both legs: bulk both ways, COPY, pgbench" {
	start_tls_relay primary require "sslmode=require"
	tls_wire bulk

	export PGSSLMODE=require
	through pgbench -i -q -s 1 2>&3
	for mode in simple extended prepared; do
		through pgbench -n -M $mode -c 4 -j 2 -t 100 >"$BATS_TEST_TMPDIR/out" 2>&1
		grep -q "processed: 400/400" "$BATS_TEST_TMPDIR/out"
	done
	through pgbench -n -S -C -c 2 -t 20 >"$BATS_TEST_TMPDIR/out" 2>&1
	grep -q "processed: 40/40" "$BATS_TEST_TMPDIR/out"
	seq 1 50000 | sed 's/.*/&\tline &/' >"$BATS_TEST_TMPDIR/in"
	through sql -c "create table copied (i int, t text)" -c "\\copy copied from $BATS_TEST_TMPDIR/in"
	through sql -c "\\copy (select * from copied order by i) to $BATS_TEST_TMPDIR/back"
	cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/back"
	books_balance
	[ "$(told read)" = "$(told relayed)" ]
}

@test "case 29: new keys asked for while an answer of 80 MB is being written" {
	for mode in disable require; do
		start_tls_relay proxy require "sslmode=$mode"
		before=$(peak_kib)
		"$BUILD/tests/tls_keyupdate" "$RELAY_PORT"
		[ $(($(peak_kib) - before)) -lt 8192 ]
		books_balance
	done
}

@test "psycopg over TLS on both legs" {
	start_tls_relay primary require "sslmode=require"
	PGPORT=$RELAY_PORT "$PYTHON" - "$CERTS/ca.crt" <<-'PYTHON'
		import sys, psycopg
		with psycopg.connect(host="localhost", hostaddr="127.0.0.1", user="by_scram", dbname="postgres",
		                     password="secret-scram", sslmode="verify-full",
		                     sslrootcert=sys.argv[1]) as c:
		    for n in range(20):
		        assert c.execute("select %s::int", (n,)).fetchone() == (n,)
		    with c.cursor().copy("copy (select generate_series(1, 100000)) to stdout") as copy:
		        assert sum(len(bytes(b)) for b in copy) == 588895
	PYTHON
	books_balance
}

# --- authentication ---

# What a login through the relay comes to, in one word or the server's.
login_as() { # CLIENT PARAMETERS...
	through "$1" "${*:2} user=by_scram password=secret-scram" -c "select 'ok'" 2>&1 || true
}

# relay's certificate|client_tls|client's sslmode|primary's sslmode|prefer|disable|require
scram_matrix() {
	cat <<-'EOT'
		proxy|require|require|require|channel binding check failed|ok|channel binding check failed
		primary|require|require|require|ok|ok|ok
		proxy|require|require|disable|ok|ok|channel binding (is )?required
		proxy|allow|disable|require|ok|ok|channel binding (is )?required
		proxy|allow|disable|disable|ok|ok|channel binding (is )?required
	EOT
}

@test "cases 19, 20, 21: SCRAM and channel binding in every combination of legs" {
	for server in $SERVERS; do
		while IFS='|' read -r certificate tls client primary prefer disable require; do
			start_tls_relay "$certificate" "$tls" "port=$server sslmode=$primary"
			for psql in $(clients); do
				for binding in prefer disable require; do
					said=$(login_as "$psql" "sslmode=$client channel_binding=$binding")
					echo "$server $psql $certificate $client $primary $binding: $said"
					[[ "$said" =~ ${!binding} ]]
				done
			done
			books_balance
		done < <(scram_matrix)
	done
}

@test "case 22: md5, password, trust and the primary's certificate logins pass; no secret is kept" {
	for server in $SERVERS; do
		for mode in disable require; do
			start_tls_relay proxy allow "port=$server sslmode=$mode" pgumbra.log_level=debug
			for client in disable require; do
				for user in by_md5:secret-md5 by_clear:secret-clear trusted:none; do
					[ "$(PGPASSWORD=${user#*:} PGSSLMODE=$client PGUSER=${user%:*} through \
						psql_15 -c 'select current_user')" = "${user%:*}" ]
				done
				run -2 env PGPASSWORD=wrong PGSSLMODE=$client PGUSER=by_md5 PGPORT=$RELAY_PORT \
					psql -XAtq -c "select 1"
				[[ "$output" == *"password authentication failed"* ]]
			done
			books_balance # which also says: no such message on the tape
			! grep -q secret "$LOG"
		done
	done
}

@test "case 22: a list of mechanisms and a token of 60 KB pass as they are" {
	start_tls_relay proxy allow "port=$FAKE_PORT sslmode=disable"
	tls_wire mechanisms "$FAKE_PORT"
}

# --- check ---

# check_with CERTIFICATE SSLMODE PRIMARY...
check_with() {
	"$PGUMBRA" check --primary "host=127.0.0.1 port=$PRIMARY_PORT $3" --set shadow.enabled=off \
		--set client_tls.sslmode="$2" --set client_tls.cert_file="$CERTS/$1.crt" \
		--set client_tls.key_file="$CERTS/$1.key" --set client_tls.ca_file="$CERTS/ca.crt"
}

@test "check finds SCRAM that can't pass, and says which three ways there are" {
	hba | sed 's/^host.*postgres .*/host all all all scram-sha-256/' |
		as_postgres tee "$CLUSTER/data/pg_hba.conf" >/dev/null
	PGHOST=$CLUSTER PGPORT=$PRIMARY_PORT sql -c "select pg_reload_conf()" >/dev/null
	for mode in "" sslmode=require "sslmode=verify-full sslrootcert=$CERTS/ca.crt"; do
		run check_with proxy require "$mode"
		echo "$output"
		[[ "$output" == *"SCRAM"*"primary's own certificate"*"sslmode=disable"*"channel_binding=disable"* ]]
	done
	for combination in "primary|require|sslmode=require" "proxy|require|sslmode=disable" \
		"proxy|disable|sslmode=require"; do
		IFS='|' read -r certificate client primary <<<"$combination"
		run check_with "$certificate" "$client" "$primary"
		echo "$output"
		[[ "$output" != *SCRAM* ]]
		[[ "$output" != *"cannot be reached"* ]]
	done
	run -1 check_with proxy require "sslmode=verify-ca sslrootcert=$CERTS/stranger.crt"
	[[ "$output" == *"certificate verify failed"* ]]
	run -1 check_with other require "sslmode=verify-ca sslrootcert=$CERTS/nowhere.crt"
	[[ "$output" == *"nowhere.crt"* ]]
	hba | as_postgres tee "$CLUSTER/data/pg_hba.conf" >/dev/null
	PGHOST=$CLUSTER PGPORT=$PRIMARY_PORT sql -c "select pg_reload_conf()" >/dev/null
}

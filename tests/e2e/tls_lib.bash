# Helpers of tls.bats: an authority, certificates, and primaries of PostgreSQL 15 and (where it is
# installed) 18 with TLS and every method of authentication.

load relay_lib

# so that memory that was freed does not count as memory in use
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:exitcode=99}:quarantine_size_mb=1

PYTHON=/usr/bin/python3 # Debian's own: it has psycopg
PORT_18=$((PRIMARY_PORT + 10))
FAKE_PORT=$((PRIMARY_PORT + 11))

# certificate NAME SUBJECT [SAN]: NAME.crt and NAME.key, of the authority
certificate() {
	local name=$1 subject=$2 san=${3:-}
	openssl req -new -newkey rsa:2048 -nodes -subj "$subject" -keyout "$CERTS/$name.key" \
		-out "$CERTS/$name.csr" 2>/dev/null
	openssl x509 -req -in "$CERTS/$name.csr" -CA "$CERTS/${4:-ca}.crt" -CAkey "$CERTS/${4:-ca}.key" \
		-CAcreateserial -days 2 -sha256 -out "$CERTS/$name.crt" \
		-extfile <(echo "${san:+subjectAltName=$san}") 2>/dev/null
	chmod 600 "$CERTS/$name.key"
}

authority() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" -keyout "$CERTS/$1.key" \
		-out "$CERTS/$1.crt" 2>/dev/null
	chmod 600 "$CERTS/$1.key"
}

make_certificates() {
	CERTS=$CLUSTER/certs
	export CERTS
	mkdir -p "$CERTS"
	authority ca
	authority stranger
	certificate primary /CN=primary.test DNS:localhost,IP:127.0.0.1
	certificate elsewhere /CN=elsewhere.test DNS:elsewhere.test
	certificate proxy /CN=localhost DNS:localhost,IP:127.0.0.1
	certificate postgres /CN=postgres
	certificate other /CN=other
	certificate forged /CN=postgres "" stranger
}

hba() {
	cat <<-EOT
		local     all all                 trust
		host      all postgres   all      trust
		host      replication postgres all trust
		host      all trusted    all      trust
		host      all by_scram   all      scram-sha-256
		host      all by_md5     all      md5
		host      all by_clear   all      password
		hostssl   all with_tls   all      trust
		hostnossl all without    all      trust
		hostssl   all by_cert    all      cert map=proxy
	EOT
}

# tls_server DIR BIN PORT
tls_server() {
	local data=$1/data port=$3
	[ -d "$data" ] ||
		as_postgres "$2/initdb" -D "$data" -A trust -U postgres --no-sync >"$1/initdb"
	cp "$CERTS"/primary.crt "$CERTS"/primary.key "$CERTS"/ca.crt "$data"
	if [ "$(id -u)" = 0 ]; then chown postgres "$data"/primary.key; fi
	hba >"$data/pg_hba.conf"
	echo "proxy /.* by_cert" >"$data/pg_ident.conf"
	cat >>"$data/postgresql.conf" <<-EOT
		port = $port
		listen_addresses = '127.0.0.1'
		unix_socket_directories = '$1'
		fsync = off
		max_connections = 150
		wal_level = logical
		ssl = on
		ssl_cert_file = 'primary.crt'
		ssl_key_file = 'primary.key'
		ssl_ca_file = 'ca.crt'
	EOT
	as_postgres "$2/pg_ctl" -D "$data" -l "$1/log" -w start >&3
	PGPORT=$port sql <<-SQL
		set password_encryption = 'scram-sha-256';
		create role by_scram login password 'secret-scram';
		create role by_cert login; create role trusted login;
		create role with_tls login; create role without login;
		create role by_clear login password 'secret-clear';
		set password_encryption = 'md5';
		create role by_md5 login password 'secret-md5';
	SQL
}

start_tls_primaries() {
	CLUSTER=$(mktemp -d /tmp/pgumbra-tls.XXXXXX)
	export CLUSTER
	chmod 755 "$CLUSTER"
	mkdir "$CLUSTER/18"
	if [ "$(id -u)" = 0 ]; then chown postgres "$CLUSTER" "$CLUSTER/18"; fi
	make_certificates
	tls_server "$CLUSTER" "$PG_BIN" "$PRIMARY_PORT"
	SERVERS=$PRIMARY_PORT
	PG18_BIN=$(. "$TOOLS/clusters.bash" && pg18_bin) || PG18_BIN=
	if [ -n "$PG18_BIN" ]; then
		tls_server "$CLUSTER/18" "$PG18_BIN" "$PORT_18"
		SERVERS="$SERVERS $PORT_18"
	fi
	export SERVERS PG18_BIN
}

stop_tls_primaries() {
	as_postgres "$PG_BIN/pg_ctl" -D "$CLUSTER/data" -m immediate -w stop >&3
	if [ -n "$PG18_BIN" ]; then
		as_postgres "$PG18_BIN/pg_ctl" -D "$CLUSTER/18/data" -m immediate -w stop >&3
	fi
	rm -rf "$CLUSTER"
}

# start_tls_relay CERTIFICATE SSLMODE "primary's parameters" [SETTING]...: with the first primary
# unless the parameters name another port.
start_tls_relay() {
	local name=$1 mode=$2 primary=$3
	shift 3
	start_relay client_tls.sslmode="$mode" client_tls.cert_file="$CERTS/$name.crt" \
		client_tls.key_file="$CERTS/$name.key" client_tls.ca_file="$CERTS/ca.crt" \
		"primary.conninfo=host=127.0.0.1 port=$PRIMARY_PORT $primary" "$@"
}

tls_wire() {
	local case=$1
	shift
	"$PYTHON" "$TOOLS/tls_wire.py" "$case" "$RELAY_PORT" "$@"
}

# The client programs at hand: psql with libpq 15, and with 18's library.
clients() {
	echo psql_15
	if [ -n "$PG18_BIN" ]; then echo psql_18; fi
}

psql_15() {
	psql -XAtq "$@"
}

psql_18() {
	LD_LIBRARY_PATH=$(dirname "$PG18_BIN")/lib psql -XAtq "$@"
}

skip_without_18() {
	if [ -z "$PG18_BIN" ]; then skip "PostgreSQL 18 is not installed here"; fi
}

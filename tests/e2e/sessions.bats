# Random sessions against real servers: does each answer find its request (case 47), and does the session model say what the
# server says of settings, statements, cursors and rows? The tools print their seeds; longer runs are made by hand.

load ../tools/clusters.bash

TOOLS=$(dirname "${PGUMBRA:-$REPOSITORY/build/dev/pgumbra}")/tests

setup_file() {
	SESSIONS_DIR=$(scratch_directory pgumbra-sessions)
	cluster_make "$SESSIONS_DIR/pg15" "$DEBIAN_PG_BIN"
	if bin=$(pg18_bin); then
		cluster_make "$SESSIONS_DIR/pg18" "$bin"
	else
		echo "# PostgreSQL 18 is not installed: only 15 is tried" >&3
	fi
	for server in "$SESSIONS_DIR"/pg*; do
		echo "host all all 127.0.0.1/32 trust" | as_postgres tee "$server/data/pg_hba.conf" >/dev/null
		echo "local all all trust" | as_postgres tee -a "$server/data/pg_hba.conf" >/dev/null
		cluster_start "$server"
	done
	export SESSIONS_DIR
}

teardown_file() {
	for server in "$SESSIONS_DIR"/pg*; do cluster_stop "$server" immediate; done
	rm -rf "$SESSIONS_DIR"
}

@test "case 47: in random sessions every answer finds its request" {
	for server in "$SESSIONS_DIR"/pg*; do
		"$TOOLS/pairing_live" 127.0.0.1 "$(cluster_port "$server")" postgres postgres 1000 200
	done
}

@test "case 14: in random sessions, startup settings and options included, the model says what the server says" {
	for server in "$SESSIONS_DIR"/pg*; do
		"$TOOLS/model_live" 127.0.0.1 "$(cluster_port "$server")" postgres 40000 60
	done
}

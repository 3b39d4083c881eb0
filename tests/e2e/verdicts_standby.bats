# No false alarm on a physical standby under asynchronous commits.

load lib
load verdicts_lib

setup_file() {
	start_primary synchronous_commit=off
	on_primary "revoke temporary on database $DATABASE from public"
	on_primary "create role pgumbra_ro login password 'pgumbra_ro'"
	make_load_tables
	on_primary "grant select on all tables in schema public to pgumbra_ro"
	(cd / && as_postgres "$DEBIAN_PG_BIN/pg_basebackup" -h "$PRIMARY" -p "$(cluster_port "$PRIMARY")" \
		-U postgres -D "$CANDIDATE/data" -X stream -R -c fast)
	echo "$DEBIAN_PG_BIN" | as_postgres tee "$CANDIDATE/bin" >/dev/null
	cluster_start "$CANDIDATE"
}

teardown_file() {
	stop_servers
}

teardown() {
	check_afterwards
}

@test "case 59: TPC-B at full speed with physical replication raises no false alarm" {
	start_pgumbra verify.backoff=100ms verify.max_rate=1000
	load_both "${LOAD_SECONDS:-10}"
	no_false_alarm
}

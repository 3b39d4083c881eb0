# Fences: a candidate that is behind is waited for, not called wrong (L5: what lags is matched_after_lag).

load lib

# A physical standby of the primary in the candidate's place, which replays each commit late.
make_standby() { # DELAY
	on_primary "create role pgumbra_ro login password 'pgumbra_ro'"
	as_postgres mkdir -p "$CANDIDATE"
	(cd / && as_postgres "$DEBIAN_PG_BIN/pg_basebackup" -h "$PRIMARY" -p "$(cluster_port "$PRIMARY")" \
		-U postgres -D "$CANDIDATE/data" -X stream -R -c fast)
	echo "$DEBIAN_PG_BIN" | as_postgres tee "$CANDIDATE/bin" >/dev/null
	cluster_start "$CANDIDATE" "recovery_min_apply_delay=$1"
}

setup_file() {
	start_primary
	on_primary "revoke temporary on database $DATABASE from public"
	on_primary "create table note (id int primary key, body text)"
	on_primary "insert into note select g, 'note ' || g from generate_series(1, 100) g"
	make_standby 3s
	on_primary "grant select on note to pgumbra_ro"
}

teardown_file() {
	stop_servers
}

teardown() {
	check_afterwards
}

@test "case 59: a read behind a write is waited for on a standby that lags" {
	# Three sandwiches would be over long before the standby has replayed the write.
	start_pgumbra verify.backoff=50ms candidate.candidate.fence=auto
	psql_pgumbra -c "update note set body = 'new' where id = 7"
	psql_pgumbra -c "select body from note where id = 7"
	expect_outcome matched_after_lag 1
	expect_no_discrepancy
	grep 'fence: physical' "$OPERATOR_LOG"
}

@test "case 59: a fence that is not reached in time leaves the read undecided, and never hangs" {
	start_pgumbra verify.backoff=50ms candidate.candidate.fence_timeout=50ms
	on_candidate "select pg_wal_replay_pause()"
	psql_pgumbra -c "update note set body = 'newer' where id = 8"
	psql_pgumbra -c "select body from note where id = 8"
	expect_outcome unverifiable 1
	expect_no_discrepancy
	on_candidate "select pg_wal_replay_resume()"
}

@test "without a fence the same lag is a false mismatch: what the fence is for" {
	start_pgumbra verify.backoff=50ms candidate.candidate.fence=none
	psql_pgumbra -c "update note set body = 'newest' where id = 9"
	psql_pgumbra -c "select body from note where id = 9"
	expect_outcome mismatch 1
}

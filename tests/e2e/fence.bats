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

@test "a client that names a database which is not there takes no fence away" {
	start_pgumbra verify.backoff=50ms candidate.candidate.fence=auto
	run env PGPASSWORD=app psql -X -h 127.0.0.1 -p "$PGUMBRA_PORT" -U app -d no_such_database -c "select 1"
	[ "$status" = 2 ]
	psql_pgumbra -c "update note set body = 'newer' where id = 20"
	psql_pgumbra -c "select body from note where id = 20"
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

@test "case 59: a read behind an asynchronous commit is waited for" {
	start_pgumbra verify.backoff=5ms candidate.candidate.fence=physical
	psql_pgumbra -c "set synchronous_commit = off" -c "update note set body = 'soon' where id = 10" \
		-c "select body from note where id = 10"
	expect_outcome matched_after_lag 1
	expect_no_discrepancy
}

@test "case 59: a position at the start of a page, where nothing follows, does not hang" {
	start_pgumbra verify.backoff=5ms candidate.candidate.fence=physical
	psql_pgumbra -c "update note set body = 'late' where id = 11"
	on_primary "select pg_switch_wal()"
	psql_pgumbra -c "select body from note where id = 11"
	expect_outcome matched_after_lag 1
}

@test "a heartbeat that pgumbra writes is waited for on the candidate" {
	on_primary "create table beats (beat bigint not null)"
	on_primary "insert into beats values (1)"
	on_primary "grant select, update on beats to pgumbra_control; grant select on beats to pgumbra_ro"
	wait_for "$DEADLINE" "the table on the candidate" on_candidate "select from beats"
	start_pgumbra verify.backoff=5ms candidate.candidate.fence=heartbeat candidate.candidate.fence_table=public.beats
	psql_pgumbra -c "update note set body = 'beaten' where id = 12"
	psql_pgumbra -c "select body from note where id = 12"
	expect_outcome matched_after_lag 1
	expect_no_discrepancy
	[ "$(on_primary "select beat > 1 from beats")" = t ]
}

a_beat_was_read() {
	[ -n "$(on_primary "select pid from pg_stat_activity where query like 'SELECT pg_catalog.max(beat)%'")" ]
}

@test "a heartbeat that somebody else writes must move on" {
	on_primary "revoke update on beats from pgumbra_control"
	start_pgumbra verify.backoff=5ms candidate.candidate.fence=heartbeat candidate.candidate.fence_table=beats \
		candidate.candidate.fence_timeout=8s
	psql_pgumbra -c "update note set body = 'beating' where id = 13"
	psql_pgumbra -c "select body from note where id = 13"
	wait_for "$DEADLINE" "a beat to be read" a_beat_was_read
	on_primary "update beats set beat = beat + 1"
	expect_outcome matched_after_lag 1
}

@test "a heartbeat that stands still leaves the read undecided" {
	start_pgumbra verify.backoff=5ms candidate.candidate.fence=heartbeat candidate.candidate.fence_table=beats \
		candidate.candidate.fence_timeout=300ms
	psql_pgumbra -c "update note set body = 'unbeaten' where id = 13"
	psql_pgumbra -c "select body from note where id = 13"
	expect_outcome unverifiable fence_timeout 1
	expect_no_discrepancy
}

# What check finds of the candidate's replication: a subscriber and a physical standby.

source "$BATS_TEST_DIRNAME/../tools/clusters.bash"
PGUMBRA=${PGUMBRA:-$REPOSITORY/build/dev/pgumbra}

setup_file() {
	REP_DIR=$(scratch_directory pgumbra-replication)
	export REP_DIR
	cluster_make "$REP_DIR/15-publisher" "$DEBIAN_PG_BIN"
	cluster_start "$REP_DIR/15-publisher"
	make_database "$REP_DIR/15-publisher" publisher
	make_subscriber 15 "$DEBIAN_PG_BIN"
	if pg18_bin >"$REP_DIR/bin18"; then make_subscriber 18 "$(cat "$REP_DIR/bin18")"; fi
}

teardown_file() {
	local cluster
	for cluster in "$REP_DIR"/*-*; do cluster_stop "$cluster" immediate; done
	rm -rf "$REP_DIR"
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	bats_require_minimum_version 1.5.0
}

make_database() { # CLUSTER PGUMBRA'S-ROLE
	cluster_psql "$1" postgres -c 'create database shop' \
		-c "create role $2 login password '$2' in role pg_read_all_data" \
		-c 'revoke temporary on database shop from public'
	cluster_psql "$1" shop <<-'SQL'
		create table items (id int primary key, name text);
		create table days (day date primary key, n int) partition by range (day);
		create table days_2026 partition of days for values from ('2026-01-01') to ('2027-01-01');
		create table forgotten (id int primary key);
	SQL
}

# A subscriber has a publication, a slot and a subscription of its own.
make_subscriber() { # VERSION BIN
	cluster_make "$REP_DIR/$1-subscriber" "$2"
	cluster_start "$REP_DIR/$1-subscriber"
	make_database "$REP_DIR/$1-subscriber" subscriber
	on 15-publisher "create publication p$1 for table items, days, forgotten
		with (publish_via_partition_root = true)"
	on "$1-subscriber" "create subscription s$1 connection
		'host=$REP_DIR/15-publisher port=$(cluster_port "$REP_DIR/15-publisher") user=postgres dbname=shop'
		publication p$1 with (slot_name = slot$1)"
	wait_for 60 "the tables to be copied" is_in_step "$1"
}

on() { # CLUSTER SQL
	cluster_psql "$REP_DIR/$1" shop -At -c "$2"
}

is_in_step() {
	[ "$(on "$1-subscriber" "select count(*) filter (where srsubstate = 'r') = count(*) and count(*) >= 2
		from pg_subscription_rel")" = t ]
}

versions() {
	echo 15
	if [ -d "$REP_DIR/18-subscriber" ]; then echo 18; fi
}

check() { # CLUSTER ROLE
	run "$PGUMBRA" check --log x \
		--primary "host=127.0.0.1 port=$(cluster_port "$REP_DIR/15-publisher")" \
		--candidate "host=127.0.0.1 port=$(cluster_port "$REP_DIR/$1") user=$2 password=$2 dbname=shop" \
		--control "host=127.0.0.1 port=$(cluster_port "$REP_DIR/15-publisher") user=publisher password=publisher dbname=shop"
	[ "$status" = 0 ] || { echo "$output"; return 1; }
}

said() {
	[[ "$output" == *"$1"* ]] || { echo "not said: $1"; echo "$output"; return 1; }
}

# Nothing of the replication, and nothing else but what the versions and builds differ in.
nothing_of_replication() {
	[[ "$output" != *"replication "* ]] || { echo "$output"; return 1; }
}

# Is the worker's end known on both sides?
has_worker() { # VERSION t|f
	[ "$(on "$1-subscriber" "select count(*) = 1 from pg_stat_subscription where pid is not null")" = "$2" ] &&
		[ "$(on 15-publisher "select active from pg_replication_slots where slot_name = 'slot$1'")" = "$2" ]
}

@test "a subscriber in step finds nothing of its replication" {
	for version in $(versions); do
		wait_for 60 "the worker" has_worker "$version" t
		check "$version-subscriber" subscriber
		nothing_of_replication
	done
}

@test "tables that no subscription has are found; partitions count with their root" {
	for version in $(versions); do
		on 15-publisher "alter publication p$version drop table forgotten"
		on "$version-subscriber" "alter subscription s$version refresh publication"
		check "$version-subscriber" subscriber
		said "table public.forgotten is in no subscription, on the control replicated"
		said "mend: ALTER PUBLICATION ... ADD TABLE public.forgotten"
		[[ "$output" != *days* ]] || { echo "$output"; false; }
		on 15-publisher "alter publication p$version add table forgotten"
		on "$version-subscriber" "alter subscription s$version refresh publication"
		wait_for 60 "the tables to be copied" is_in_step "$version"
	done
}

@test "a publication that leaves something out is found: kinds of changes, filters, its absence" {
	for version in $(versions); do
		on 15-publisher "alter publication p$version set (publish = 'insert, update')" >/dev/null
		on 15-publisher "alter publication p$version set table items where (id > 0), days, forgotten"
		check "$version-subscriber" subscriber
		said "publication p$version is wanted for insert, update, delete, truncate, on the control insert, update"
		said "mend: ALTER PUBLICATION p$version SET (publish = 'insert, update, delete, truncate')"
		said "filtered tables of publication p$version is wanted none, on the control public.items"
		on 15-publisher "alter publication p$version set (publish = 'insert, update, delete, truncate')"
		on 15-publisher "alter publication p$version set table items, days, forgotten"
		on 15-publisher "alter publication p$version rename to q$version"
		check "$version-subscriber" subscriber
		said "publication p$version is not on the control"
		on 15-publisher "alter publication q$version rename to p$version"
	done
}

@test "a disabled subscription, an idle slot and tables not in step are found" {
	for version in $(versions); do
		on "$version-subscriber" "alter subscription s$version disable"
		wait_for 60 "the worker to end" has_worker "$version" f
		check "$version-subscriber" subscriber
		said "subscription s$version is disabled"
		said "mend: ALTER SUBSCRIPTION s$version ENABLE"
		# a table whose copy fails: a row of the same key is there already
		on "$version-subscriber" "create table late (id int primary key); insert into late values (1)"
		on 15-publisher "create table if not exists late (id int primary key)"
		on 15-publisher "insert into late values (1) on conflict do nothing"
		on 15-publisher "alter publication p$version add table late"
		on "$version-subscriber" "alter subscription s$version enable"
		on "$version-subscriber" "alter subscription s$version refresh publication"
		wait_for 60 "a failed copy" copy_failed "$version"
		check "$version-subscriber" subscriber
		said "table public.late is not in step with subscription s$version"
		said "errors when applying"
		on "$version-subscriber" "truncate late"
		wait_for 60 "the tables to be copied" is_in_step "$version"
		on "$version-subscriber" "select pg_stat_reset_subscription_stats(null)"
	done
}

copy_failed() {
	[ "$(on "$1-subscriber" "select sync_error_count > 0 from pg_stat_subscription_stats")" = t ]
}

@test "a slot that is gone or idle while its subscription is enabled is found" {
	for version in $(versions); do
		on "$version-subscriber" "alter subscription s$version connection 'host=/nowhere dbname=shop'"
		wait_for 60 "the worker to end" has_worker "$version" f
		check "$version-subscriber" subscriber
		said "replication slot slot$version is wanted active, on the control inactive"
		on 15-publisher "select pg_drop_replication_slot('slot$version')"
		check "$version-subscriber" subscriber
		said "replication slot slot$version is not on the control"
	done
}

@test "a standby in step finds nothing; paused, delayed and behind it does" {
	make_standby
	check 15-standby publisher
	[[ "$output" != *"candidate candidate: re"* ]] || { echo "$output"; false; }
	cluster_psql "$REP_DIR/15-standby" postgres -At -c 'select pg_wal_replay_pause()'
	wait_for 60 "the pause" standby_says t "select pg_get_wal_replay_pause_state() = 'paused'"
	on 15-publisher "create table bulk as select i, repeat('x', 500) as x from generate_series(1, 60000) i"
	cluster_psql "$REP_DIR/15-standby" postgres -c "alter system set recovery_min_apply_delay = '90ms'" \
		-c 'alter system set hot_standby_feedback = off' -c 'select pg_reload_conf()' >/dev/null
	wait_for 60 "the delay" standby_says 90ms "show recovery_min_apply_delay"
	check 15-standby publisher
	said "replay on the standby is paused"
	said "mend: SELECT pg_wal_replay_resume()"
	said "the standby replays 90 ms late"
	said "replay position is 0/"
	said "hot_standby_feedback is off"
}

@test "a standby of another cluster is found" {
	[ -d "$REP_DIR/15-standby" ] || make_standby
	run "$PGUMBRA" check --log x \
		--primary "host=127.0.0.1 port=$(cluster_port "$REP_DIR/15-publisher")" \
		--candidate "host=127.0.0.1 port=$(cluster_port "$REP_DIR/15-standby") user=publisher password=publisher dbname=shop" \
		--control "host=127.0.0.1 port=$(cluster_port "$REP_DIR/15-subscriber") user=subscriber password=subscriber dbname=shop"
	said "the standby's system identifier is"
}

standby_says() {
	[ "$(cluster_psql "$REP_DIR/15-standby" postgres -At -c "$2")" = "$1" ]
}

is_caught_up() {
	[ "$(cluster_psql "$REP_DIR/15-standby" postgres -At -c "select pg_is_in_recovery() and
		pg_last_wal_replay_lsn() >= '$(on 15-publisher 'select pg_current_wal_flush_lsn()')'")" = t ]
}

make_standby() {
	as_postgres mkdir -p "$REP_DIR/15-standby"
	(cd / && as_postgres "$DEBIAN_PG_BIN/pg_basebackup" -R -X stream -c fast \
		-D "$REP_DIR/15-standby/data" -h "$REP_DIR/15-publisher" \
		-p "$(cluster_port "$REP_DIR/15-publisher")" -U postgres)
	echo "$DEBIAN_PG_BIN" | as_postgres tee "$REP_DIR/15-standby/bin" >/dev/null
	cluster_start "$REP_DIR/15-standby"
	cluster_psql "$REP_DIR/15-standby" postgres -c 'alter system set hot_standby_feedback = on' \
		-c 'select pg_reload_conf()' >/dev/null
	wait_for 60 "the feedback" standby_says on 'show hot_standby_feedback'
	wait_for 60 "the standby" is_caught_up
}

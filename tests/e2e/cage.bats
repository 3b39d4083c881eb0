# The cage (L3): nothing that can change the candidate reaches it, and what would reach it can't.
# Cases 55 and 56 of the hazards.

load lib

CAGE=$BATS_TEST_DIRNAME/cage
CORPUS=$CAGE/corpus
EXTENSIONS=dblink,tablefunc,postgres_fdw,file_fdw,adminpack,pgcrypto,pg_prewarm,uuid-ossp,tsm_system_rows

setup_file() {
	start_primary max_replication_slots=100 autovacuum=off
	fill "$PRIMARY"
	make_candidate 15
	# Where PostgreSQL 18 isn't installed, its tests are skipped.
	if pg18_bin >/dev/null; then make_candidate 18; fi
}

fill() {
	cluster_psql "$1" "$DATABASE" -f "$CAGE/setup.sql"
	cluster_psql "$1" "$DATABASE" -v address=127.0.0.1 -v port="$(cluster_port "$1")" \
		-v database="$DATABASE" -f "$CAGE/extensions.sql" >/dev/null 2>&1 || true
}

make_candidate() {
	use_candidate "$1"
	CANDIDATE_VERSION=$1 start_candidate autovacuum=off log_statement=all "log_line_prefix=%u\|"
	fill "$CANDIDATE"
}

use_candidate() {
	CANDIDATE=$E2E_DIR/candidate$1
}

teardown_file() {
	use_candidate 18
	cluster_stop "$CANDIDATE" immediate
	use_candidate 15
	stop_servers
}

teardown() {
	check_afterwards
}

# send TAG: the whole corpus by both protocols, each entry in a session of its own, by a superuser of
# the primary. What failed there is what was meant to.
send() {
	local protocol
	for protocol in simple extended; do
		"$PYTHON" "$CAGE/cage.py" run "$CORPUS" "$1" \
			"$ADDRESS user=boss password=boss dbname=$DATABASE" $protocol "$EXTENSIONS" \
			>"$BATS_TEST_TMPDIR/$protocol"
	done
	grep -v ' ok$' "$BATS_TEST_TMPDIR/simple" | cut -d' ' -f1 |
		diff - <("$PYTHON" "$CAGE/cage.py" expected "$CORPUS" !) >&2
}

# What of the corpus the candidate's statement log shows, since mark_log.
mark_log() {
	LOG_START=$(wc -c <"$CANDIDATE/server.log")
}

seen() {
	tail -c "+$((LOG_START + 1))" "$CANDIDATE/server.log" |
		"$PYTHON" "$CAGE/cage.py" seen "$CORPUS" "$1" pgumbra_ro
}

marks() { # LETTER TAG: of all entries sent
	local protocol
	for protocol in simple extended; do
		awk -v letter="$1" -v tag="$2" -v p="${protocol:0:1}" \
			'{printf "%s%03d%s%s\n", letter, $1, p, tag}' "$BATS_TEST_TMPDIR/$protocol"
	done | sort
}

state() {
	cluster_psql "$CANDIDATE" "$DATABASE" -f "$CAGE/state.sql"
	(cd "$CANDIDATE/data" && ls -1 . pg_replslot pg_tblspc pg_twophase pg_dynshmem && cat postgresql.auto.conf)
}

# What is notified on the candidate from here on; see expect_silence.
listen_there() {
	"$PYTHON" "$CAGE/cage.py" listen "host=$CANDIDATE port=$(cluster_port "$CANDIDATE") \
		user=postgres dbname=$DATABASE" >"$BATS_TEST_TMPDIR/heard" 3>&- &
	LISTENER=$!
	wait_for "$DEADLINE" "the listener" grep -q listening "$BATS_TEST_TMPDIR/heard"
}

expect_silence() {
	on_candidate "notify cage, 'end'"
	wait "$LISTENER"
	[ "$(cat "$BATS_TEST_TMPDIR/heard")" = listening ]
}

begin_watch() {
	mark_log
	listen_there
	state >"$BATS_TEST_TMPDIR/before"
}

# The candidate is as it was, while the connections to it are still open. A pattern names lines that
# don't count.
expect_unchanged() {
	diff <(state | grep -v "^${1:-nothing}") <(grep -v "^${1:-nothing}" "$BATS_TEST_TMPDIR/before")
	expect_silence
}

# Every neighbour was compared and matched, no dangerous statement was sent: by the candidate's own log.
expect_cage() { # TAG
	local neighbours
	begin_watch
	start_pgumbra
	send "$1"
	neighbours=$(marks n "$1" | wc -l)
	[ "$neighbours" -gt 400 ]
	wait_for "$DEADLINE" "the reads to end" facts settled
	seen "$1" >"$BATS_TEST_TMPDIR/seen"
	run grep ^d "$BATS_TEST_TMPDIR/seen"
	[ -z "$output" ] || { echo "sent to the candidate: $output"; return 1; }
	diff <(marks n "$1") "$BATS_TEST_TMPDIR/seen"
	expect_no_discrepancy
	# The harmless first parts of two texts of several statements come on top.
	expect_outcome matched $((neighbours + 2))
	expect_unchanged
}

@test "no dangerous statement reaches a PostgreSQL 15 candidate, every neighbour does and matches" {
	use_candidate 15
	expect_cage a
}

@test "no dangerous statement reaches a PostgreSQL 18 candidate, every neighbour does and matches" {
	pg18_bin >/dev/null || skip "PostgreSQL 18 is not installed"
	use_candidate 18
	expect_cage b
}

# The statements of README.md for a candidate's role, under the heading given.
documented() {
	sed -n "/$1/,/^\`\`\`\$/p" "$REPOSITORY/README.md" | sed '1,/^```sql$/d; /^```$/d'
}

has_switch() {
	grep -qa PGUMBRA_UNSAFE_CLASSIFIER "$1"
}

# On a busy machine the first reads come before the candidate's catalogue has been read, and are left out.
warm_up() {
	psql_pgumbra -c "select 1 as warm"
	wait_for "$DEADLINE" "the candidate's catalogue" grep -q 'candidate .*catalogue read' "$OPERATOR_LOG"
}

# Case 55: without the classifier, and without the look at the tag that the primary answered with, the corpus
# reaches the candidate and changes nothing. Only what is no text (FunctionCall), what never completes on the
# primary, and COPY TO STDOUT, whose query would be read in its place, are not sent.
expect_harmless() { # TAG
	has_switch "$PGUMBRA" || skip "this build has no switch to turn the classifier off"
	documented 'Stricter still' >"$BATS_TEST_TMPDIR/stricter.sql"
	grep -q revoke "$BATS_TEST_TMPDIR/stricter.sql"
	cluster_psql "$CANDIDATE" "$DATABASE" -f "$BATS_TEST_TMPDIR/stricter.sql"
	begin_watch
	PGUMBRA_UNSAFE_CLASSIFIER=2 start_pgumbra verify.queue_reads=1 verify.backoff=1ms \
		candidate.candidate.breaker_failures=1000000
	warm_up
	send "$1"
	wait_for "$DEADLINE" "the reads to end" facts settled
	seen "$1" >"$BATS_TEST_TMPDIR/seen"
	echo "of $(marks d "$1" | wc -l) dangerous statements, $(grep -c ^d "$BATS_TEST_TMPDIR/seen") were sent"
	[ "$(grep -c ^d "$BATS_TEST_TMPDIR/seen")" -ge 430 ]
	# A foreign table reached through a view had the same server write, and roll back: it counts that.
	expect_unchanged 'rows written:'
}

@test "case 55: with the classifier off, a PostgreSQL 15 candidate stays as it was" {
	use_candidate 15
	expect_harmless c
}

@test "case 55: with the classifier off, a PostgreSQL 18 candidate stays as it was" {
	pg18_bin >/dev/null || skip "PostgreSQL 18 is not installed"
	use_candidate 18
	expect_harmless d
}

@test "the switch that turns the classifier off is not in a release" {
	local object of=proxy/CMakeFiles/shadow.dir/shadow
	# Compiled whole: what is left to the linker's optimiser can't be looked into.
	(cd "$REPOSITORY" && cmake --preset release -B "$BATS_TEST_TMPDIR/release" \
		-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF) >/dev/null
	grep -q '^PGUMBRA_TEST_HOOKS:.*=OFF$' "$BATS_TEST_TMPDIR/release/CMakeCache.txt"
	cmake --build "$BATS_TEST_TMPDIR/release" --target "$of/classify.c.o" "$of/execution.c.o" >/dev/null
	nm "$BATS_TEST_TMPDIR/release/$of/classify.c.o" | grep -q ' T classify_text'
	nm "$BATS_TEST_TMPDIR/release/$of/execution.c.o" | grep -q ' T execution_complete'
	for object in classify execution; do
		run has_switch "$BATS_TEST_TMPDIR/release/$of/$object.c.o"
		[ "$status" = 1 ]
	done
	# The same look finds it where it is.
	cmake -S "$REPOSITORY" -B "$BATS_TEST_TMPDIR/release" -DPGUMBRA_TEST_HOOKS=ON >/dev/null
	cmake --build "$BATS_TEST_TMPDIR/release" --target "$of/classify.c.o" "$of/execution.c.o" >/dev/null
	for object in classify execution; do
		has_switch "$BATS_TEST_TMPDIR/release/$of/$object.c.o"
	done
	if [ -x "$REPOSITORY/build/release/pgumbra" ]; then
		run has_switch "$REPOSITORY/build/release/pgumbra"
		[ "$status" = 1 ]
	fi
}

# --- several statements in one text (case 56) ---

# executed NAME: how many statements with this name the candidate ran for us, since mark_log.
executed() {
	tail -c "+$((LOG_START + 1))" "$CANDIDATE/server.log" |
		grep -cE "^pgumbra_ro\|LOG:  (statement|execute [^:]*): .*\b$1\b" || true
}

@test "case 56: a COMMIT between two statements takes neither out of the cage" {
	use_candidate 15
	has_switch "$PGUMBRA" || skip "this build has no switch to turn the classifier off"
	begin_watch
	PGUMBRA_UNSAFE_CLASSIFIER=1 start_pgumbra verify.backoff=1ms
	psql_pgumbra -c "select 1 as part1; commit; select acts(1) as part3"
	wait_for "$DEADLINE" "the reads to end" facts settled
	# Each part came alone, the commit ended nothing but its connection, the write was refused.
	[ "$(executed part1)" -ge 1 ]
	[ "$(executed part3)" -ge 1 ]
	[ "$(executed 'part1.*part3')" = 0 ]
	tail -c "+$((LOG_START + 1))" "$CANDIDATE/server.log" |
		grep -q 'ERROR:  cannot execute INSERT in a read-only transaction'
	expect_unchanged
}

@test "case 56: with the classifier on, what comes after the first statement is reported as refused" {
	use_candidate 15
	begin_watch
	start_pgumbra
	psql_pgumbra -c "select 1 as part1; commit; insert into trace (note) values ('part3')"
	expect_outcome matched 1
	expect_outcome skipped not_a_read 2
	[ "$(executed part3)" = 0 ]
	expect_unchanged
}

# --- functions that change while pgumbra runs ---

catalogues_read() {
	grep -c 'catalogue read' "$OPERATOR_LOG"
}

more_catalogues_than() {
	[ "$(catalogues_read)" -gt "$1" ]
}

@test "a function that turns volatile is caught after one refresh, prepared statements included" {
	local before pid
	use_candidate 15
	mark_log
	start_pgumbra pgumbra.log_level=debug
	warm_up
	coproc SESSION { prepared_session; }
	pid=$SESSION_PID
	ask_prepared "select turns(2) as first_time"
	psql_pgumbra -c "select turns(3) as first_time"
	wait_for "$DEADLINE" "the reads" executed_at_least 2 first_time
	on_both "alter function turns(int) volatile"
	before=$(catalogues_read)
	kill -HUP "$PGUMBRA_PID"
	wait_for "$DEADLINE" "the catalogue to be read again" more_catalogues_than "$before"
	ask_prepared "select turns(2) as first_time"
	ask_prepared "select turns(4) as too_late"
	psql_pgumbra -c "select turns(3) as first_time"
	psql_pgumbra -c "select turns(5) as too_late"
	eval "exec ${SESSION[1]}>&-"
	wait "$pid"
	wait_for "$DEADLINE" "the reads to end" facts settled
	[ "$(executed first_time)" = 2 ]
	[ "$(executed too_late)" = 0 ]
	expect_outcome skipped volatile_function 4
	on_both "alter function turns(int) stable"
}

# Runs each line as a prepared statement, which the same text finds again.
prepared_session() {
	"$PYTHON" -c '
import psycopg, sys
with psycopg.connect(sys.argv[1], autocommit=True) as session:
    for line in sys.stdin:
        session.execute(line.strip(), prepare=True)
        print("done", flush=True)' "$ADDRESS user=app password=app dbname=$DATABASE"
}

ask_prepared() {
	local answer
	echo "$1" >&"${SESSION[1]}"
	read -r -t "$DEADLINE" answer <&"${SESSION[0]}"
	[ "$answer" = done ]
}

executed_at_least() {
	[ "$(executed "$2")" -ge "$1" ]
}

# --- a role that is given rights while pgumbra runs ---

# expect_left_alone MENDING GRANT REASON: a connection that is used and idle meanwhile is given up
# with the next refresh, and no other is used until the role is mended.
expect_left_alone() {
	local before
	psql_pgumbra -c "select id as innocent from cage where id = 1"
	expect_outcome matched 1
	[ "$(executed innocent)" = 1 ]
	on_candidate "$2"
	before=$(catalogues_read)
	kill -HUP "$PGUMBRA_PID"
	wait_for "$DEADLINE" "the catalogue to be read again" more_catalogues_than "$before"
	wait_for "$DEADLINE" "the connection to be gone" nobody_is_connected
	psql_pgumbra -c "select id as guilty from cage where id = 1"
	wait_for "$DEADLINE" "the role to be refused" refused_for "$3"
	psql_pgumbra -c "select id as guilty from cage where id = 1" # the breaker is open
	expect_outcome dropped breaker 2
	[ "$(executed guilty)" = 0 ]
	nobody_is_connected
	on_candidate "$1"
	wait_for "$DEADLINE" "a read to match again" innocent_again
}

refused_for() {
	grep -q "refused: .*$1" "$OPERATOR_LOG"
}

innocent_again() {
	psql_pgumbra -c "select id as innocent_again from cage where id = 1" >/dev/null
	[ "$(facts count matched)" -ge 2 ]
}

start_and_mark() {
	use_candidate "$1"
	mark_log
	start_pgumbra pgumbra.log_level=debug candidate.candidate.breaker_open_time=2s
	psql_pgumbra -c "show timezone" >/dev/null # a first session, which waits for the catalogue but two seconds
	wait_for "$DEADLINE" "the catalogue to be read" more_catalogues_than 0
}

@test "a role that is given a right to write is left alone after one refresh, long-lived connections included" {
	start_and_mark 15
	expect_left_alone "revoke insert on cage from pgumbra_ro" "grant insert on cage to pgumbra_ro" cage
}

@test "a role that becomes a superuser is left alone after one refresh" {
	start_and_mark 15
	expect_left_alone "alter role pgumbra_ro nosuperuser" "alter role pgumbra_ro superuser" superuser
}

# --- a candidate that leaves its cage (case 57) ---

make_standby() {
	use_candidate standby
	cluster_psql "$PRIMARY" postgres -c "create role pgumbra_ro login password 'pgumbra_ro'" \
		-c "revoke temporary on database $DATABASE from public" 2>/dev/null || true
	as_postgres mkdir -p "$CANDIDATE"
	(cd / && as_postgres "$DEBIAN_PG_BIN/pg_basebackup" -h "$PRIMARY" -p "$(cluster_port "$PRIMARY")" \
		-U postgres -D "$CANDIDATE/data" -X stream -R -c fast)
	echo "$DEBIAN_PG_BIN" | as_postgres tee "$CANDIDATE/bin" >/dev/null
	cluster_start "$CANDIDATE" log_statement=all "log_line_prefix=%u\|"
	[ "$(on_candidate "select pg_is_in_recovery()")" = t ]
}

nobody_is_connected() {
	[ "$(on_candidate "select count(*) from pg_stat_activity where usename = 'pgumbra_ro'")" = 0 ]
}


@test "case 57: a standby that is promoted is left within one ReadyForQuery, for good" {
	local number
	make_standby
	mark_log
	start_pgumbra candidate.candidate.pool_size=1
	announce_errors 'no longer a standby'
	psql_pgumbra -c "select count(*) as before1 from cage"
	psql_pgumbra -c "select count(*) as before2 from cage"
	expect_outcome matched 2
	(cd / && as_postgres "$DEBIAN_PG_BIN/pg_ctl" -D "$CANDIDATE/data" -w promote) >/dev/null
	wait_for "$DEADLINE" "the promotion" promoted
	for number in 1 2 3 4 5; do
		psql_pgumbra -c "select count(*) as after$number from cage where id > 0"
		wait_for "$DEADLINE" "the read to end" facts settled
	done
	grep 'no longer a standby' "$OPERATOR_LOG"
	# The one whose ReadyForQuery told of it was on its way; its answer doesn't count.
	[ "$(executed after1)" = 1 ]
	for number in 2 3 4 5; do [ "$(executed "after$number")" = 0 ]; done
	expect_outcome matched 2
	expect_outcome dropped breaker 5
	nobody_is_connected
	cluster_stop "$CANDIDATE" immediate
}

promoted() {
	[ "$(on_candidate "select pg_is_in_recovery()")" = f ]
}

@test "case 57: a standby promoted while nothing was connected gets no read either" {
	rm -rf "$E2E_DIR/candidatestandby"
	make_standby
	mark_log
	start_pgumbra candidate.candidate.pool_size=1
	announce_errors 'no longer a standby'
	psql_pgumbra -c "select count(*) as before1 from cage"
	expect_outcome matched 1
	cluster_stop "$CANDIDATE" fast
	rm "$CANDIDATE/data/standby.signal"
	cluster_start "$CANDIDATE" log_statement=all "log_line_prefix=%u\|"
	promoted
	wait_for "$DEADLINE" "pgumbra to see it" sees_promotion
	[ "$(executed promoted_meanwhile)" = 0 ]
	cluster_stop "$CANDIDATE" immediate
}

# Each attempt is a read of its own; those before a connection is back are no answer.
sees_promotion() {
	psql_pgumbra -c "select count(*) as promoted_meanwhile from cage"
	grep -q 'no longer a standby' "$OPERATOR_LOG"
}

@test "a function newer than the catalogue is read about before it is run, a missing one is a finding" {
	use_candidate 15
	mark_log
	start_pgumbra
	psql_pgumbra -c "select calm(1) as warm"
	expect_outcome matched 1
	on_both "create function newborn(int) returns int language plpgsql volatile as
		\$\$ begin insert into public.trace values ('newborn'); return 1; end \$\$"
	on_primary "create function only_here(int) returns int language sql stable as 'select 1'"
	psql_primary -c "select newborn(1)"
	psql_pgumbra -c "select newborn(1) as newborn1"
	psql_pgumbra -c "select only_here(1) as missing1"
	expect_discrepancy candidate_result.sqlstate=42883
	expect_outcome skipped volatile_function 1
	[ "$(executed newborn1)" = 0 ]
	on_both "drop function newborn(int)"
	on_primary "drop function only_here(int)"
}

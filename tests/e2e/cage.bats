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
	if pg18_bin; then make_candidate 18; fi
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

# Every neighbour was compared and matched, no dangerous statement was sent: by the candidate's own log.
expect_cage() { # TAG
	local neighbours
	mark_log
	start_pgumbra
	state >"$BATS_TEST_TMPDIR/before"
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
	state | diff "$BATS_TEST_TMPDIR/before" -
}

@test "no dangerous statement reaches a PostgreSQL 15 candidate, every neighbour does and matches" {
	use_candidate 15
	expect_cage a
}

@test "no dangerous statement reaches a PostgreSQL 18 candidate, every neighbour does and matches" {
	pg18_bin || skip "PostgreSQL 18 is not installed"
	use_candidate 18
	expect_cage b
}

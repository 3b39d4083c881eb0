# What passes while the tape is full leaves no doubt behind where its texts are known: sessions that send their
# statements as text, and are never reset, are read again after a gap.

load lib

setup_file() {
	start_primary
	start_candidate
	on_both "create table item as select g id, 'item ' || g as name from generate_series(1, 100) g;
		grant select on item to public"
}

teardown_file() {
	stop_servers
}

setup() {
	SHADOW=
}

teardown() {
	if [ -n "$SHADOW" ]; then kill -CONT "$SHADOW" || true; fi
	check_afterwards
}

start_with_little_tape() {
	start_pgumbra shadow.tape_size=64kB shadow.max_message_bytes=8kB shadow.max_sql_bytes=8kB
}

session() {
	PGPASSWORD=app psql -XAtq -h 127.0.0.1 -p "$PGUMBRA_PORT" -U app -d "$DATABASE" 2>&1
}

# say SESSION SQL...: statements of an open session, and waits for its answers
say() {
	local -n to=$1
	local line
	shift
	{ echo '\o /dev/null'; printf '%s;\n' "$@"; printf '%s\n' '\o' '\echo done'; } >&"${to[1]}"
	until [ "$line" = done ]; do read -r -u "${to[0]}" line; done
}

leave() {
	local -n of=$1
	echo '\q' >&"${of[1]}"
}

reads() { # COUNT [COLUMNS]
	local i
	for ((i = 0; i < $1; i++)); do echo "select ${2:-name} from item where id = $((i % 100 + 1))"; done
}

# fill_tape SESSION: as long as the shadow stands still nothing more of the session fits
fill_tape() {
	mapfile -t many < <(reads 600)
	SHADOW=$(shadow_pid)
	kill -STOP "$SHADOW"
	say "$1" "${many[@]}"
}

# empty_tape SESSION: its next statement, which may still be in the gap, ends that
empty_tape() {
	kill -CONT "$SHADOW"
	SHADOW=
	wait_for "$DEADLINE" "the tape to be read" with_a_gap
	say "$1" "show work_mem"
}

with_a_gap() {
	[ "$(facts count unobserved tape_full)" -gt 0 ]
}

left_out() {
	[ "$(facts count skipped session_unknown)" = "$1" ]
}

matched_at_least() {
	[ "$(facts count matched)" -ge "$1" ]
}

@test "a session that sends texts, transactions and savepoints is read again at once" {
	local before
	start_with_little_tape
	coproc A { session; }
	say A "begin" "savepoint a" "select name from item where id = 1" "release savepoint a" "commit" \
		"show work_mem"
	fill_tape A
	say A "begin" "savepoint a" "select name from item where id = 2" "release savepoint a" "commit" \
		"show work_mem"
	empty_tape A
	mapfile -t more < <(reads 20)
	before=$(facts count matched)
	say A "${more[@]}"
	wait_for "$DEADLINE" "20 more to match" matched_at_least $((before + 20))
	left_out 0
	leave A
	stop_pgumbra
	expect_no_discrepancy
}

@test "a text that changes the session in a gap leaves its reads out until it is reset; a new text until it is known" {
	local before
	start_with_little_tape
	coproc A { session; }
	say A "show work_mem" "select name from item where id = 1" "select set_config('app.tenant', 'b', false)" \
		"discard all"
	exec {b_out}> >(session >"$BATS_TEST_TMPDIR/b" 2>&1)
	echo "select name from item where id = 1;" >&"$b_out"
	wait_for "$DEADLINE" "the second session" test -s "$BATS_TEST_TMPDIR/b"
	fill_tape A
	printf '%s;\n' "${many[@]}" "select set_config('app.tenant', 'b', false)" >&"$b_out"
	wait_for "$DEADLINE" "its answer" grep -qx b "$BATS_TEST_TMPDIR/b"
	say A "select id, name from item where id = 5"
	empty_tape A
	say A "select name from item where id = 3"
	wait_for "$DEADLINE" "a read in doubt" left_out 1
	before=$(facts count matched)
	say A "select id, name from item where id = 7" "select name from item where id = 3"
	wait_for "$DEADLINE" "these to match" matched_at_least $((before + 2))
	printf '%s;\n' "show work_mem" "select name from item where id = 3" "select 'said'" >&"$b_out"
	wait_for "$DEADLINE" "its answer" grep -qx said "$BATS_TEST_TMPDIR/b"
	wait_for "$DEADLINE" "its reads to be left out" left_out 2
	[ "$(facts count skipped temporary_relation)" = 1 ]
	before=$(facts count matched)
	printf '%s;\n' "discard all" "select name from item where id = 4" >&"$b_out"
	wait_for "$DEADLINE" "its read to match" matched_at_least $((before + 1))
	leave A
	exec {b_out}>&-
	stop_pgumbra
	left_out 2
	expect_no_discrepancy
}

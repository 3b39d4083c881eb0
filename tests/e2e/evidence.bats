# Verdicts that a team can sign: waivers, rechecks, errors, latencies, gates, logs that add up,
# several candidates, and a candidate that is wholly wrong.

load lib

setup_file() {
	start_primary shared_preload_libraries=pg_stat_statements
	start_candidate
	on_both "
		create table price (id int primary key, amount numeric, name text);
		insert into price select g, g + 0.5, 'name ' || g from generate_series(1, 100) g;"
	on_candidate "update price set amount = amount + 0.00 where id <= 50" # another scale
	on_candidate "update price set name = 'other' where id = 60"
}

teardown_file() {
	stop_servers
}

teardown() {
	check_afterwards
}

# member PATH...: of the report, as JSON
member() {
	report | "$PYTHON" -c 'import json, sys
value = json.load(sys.stdin)
for part in sys.argv[1:]:
    value = value[int(part) if isinstance(value, list) else part]
print(json.dumps(value))' "$@"
}

# --- waivers ---

waive() { # NAME EXPIRES [KEY=VALUE]...: the settings of a waiver
	local name=$1 expires=$2 pair
	shift 2
	for pair in "match=select id, amount, name from price where id = \$1" \
		"reason=scale is not kept there" owner=ann "expires=$expires" "$@"; do
		printf '%s\n' "waiver.$name.$pair"
	done
}

# bats test_tags=short
@test "a waiver accepts what it names and nothing else, and its hits are counted" {
	mapfile -t scale < <(waive scale 2999-12-31 columns=amount accept=numeric_scale)
	start_pgumbra "${scale[@]}"
	psql_pgumbra -c "select id, amount, name from price where id = 7" \
		-c "select id, amount, name from price where id = 8" \
		-c "select id, amount, name from price where id = 60" \
		-c "select id, amount, name from price where id = 70" \
		-c "select name, amount from price where id = 7"
	expect_outcome waived 2
	expect_outcome mismatch 2 # 60 in another column, 7 in another statement
	expect_outcome matched 1
	[ "$(member waivers 0 hits)" = 2 ]
	[ "$(member waivers 0 owner)" = '"ann"' ]
	[ "$(member waivers 0 expired)" = false ]
	grep '"kind":"start"' "$LOG" | grep '"owner":"ann"'
	grep '"outcome":"waived"' "$LOG" | grep '"waiver":"scale"'
	"$PGUMBRA" report "$LOG" | grep -A1 '2  scale: accepts numeric_scale in amount; owner ann; until 2999-12-31'
	run "$PGUMBRA" report --gate "waived=0" "$LOG"
	[ "$status" = 1 ]
}

@test "an expired waiver says so and waives nothing" {
	mapfile -t old < <(waive old 2020-02-29 accept=values)
	start_pgumbra "${old[@]}"
	grep 'waiver old: expired on 2020-02-29' "$OPERATOR_LOG"
	psql_pgumbra -c "select id, amount, name from price where id = 60"
	expect_outcome mismatch 1
	[ "$(member waivers 0 hits)" = 0 ]
	[ "$(member waivers 0 expired_hits)" = 1 ]
	[ "$(member waivers 0 expired)" = true ]
	"$PGUMBRA" report "$LOG" | grep 'EXPIRED 2020-02-29; 1 mismatches that it no longer waives'
	run "$PGUMBRA" report --gate "expired_waivers=0" "$LOG"
	[ "$status" = 1 ]
}

@test "a waiver that is incomplete or names what is not there is refused" {
	run "$PGUMBRA" check --primary host=x --candidate host=y --set waiver.w.match=* \
		--set waiver.w.candidate=nobody --set waiver.w.expires=2026-02-30
	[ "$status" = 2 ]
	grep '\[waiver w\] accept is not set' <<<"$output"
	grep '\[waiver w\] reason is not set' <<<"$output"
	grep '\[waiver w\] owner is not set' <<<"$output"
	grep '\[waiver w\] expires = 2026-02-30: allowed' <<<"$output"
	grep 'there is no \[candidate nobody\]' <<<"$output"
	OPERATOR_LOG= # nothing ran
}

# --- rechecks ---

recheck() { # [ID|--set SETTING]...
	"$PGUMBRA" recheck --primary "$(address_of "$PRIMARY")" \
		--candidate "$(address_of "$CANDIDATE") user=pgumbra_ro password=pgumbra_ro" \
		--control "$(address_of "$PRIMARY") user=pgumbra_control password=pgumbra_control" \
		--set verify.backoff=20ms "$LOG" "$@"
}

# bats test_tags=short
@test "recheck closes what is mended and nothing else; the report counts it as closed" {
	local id
	on_both "create table mended as select g as id, 'v' || g as v, '\x00ff'::bytea as raw
		from generate_series(1, 20) g"
	on_candidate "update mended set v = 'wrong' where id in (3, 4)"
	start_pgumbra
	psql_pgumbra -c "select v from mended where id = 3"
	psql_pgumbra -c "set datestyle = 'German, DMY'" -c "select v, raw from mended where id = 4"
	echo '\set id 3
		select id, v from mended where id = :id;' >"$BATS_TEST_TMPDIR/three.sql"
	pgbench_pgumbra -M prepared -f "$BATS_TEST_TMPDIR/three.sql" -t 1
	expect_outcome mismatch 3
	run recheck
	echo "$output"
	[ "$status" = 1 ]
	[ "$(grep -c 'differs  *mismatch' <<<"$output")" = 3 ]
	[ "$(member open_mismatches)" = 3 ]
	on_candidate "update mended set v = 'v4' where id = 4"
	run recheck
	echo "$output"
	[ "$status" = 1 ]
	grep '1 closed, 2 differ, 0 undecided, 0 cannot' <<<"$output"
	[ "$(member open_mismatches)" = 2 ]
	on_candidate "update mended set v = 'v3' where id = 3"
	id=$(facts discrepancies 'normalized~=select id, v' | grep -oE '"id": "[^"]+"' | cut -d'"' -f4)
	run recheck "${id: -12}"
	echo "$output"
	[ "$status" = 0 ]
	[ "$(member open_mismatches)" = 1 ]
	run recheck all
	echo "$output"
	[ "$status" = 0 ]
	[ "$(member open_mismatches)" = 0 ]
	[ "$(grep -c '"kind":"resolved"' "$LOG")" = 3 ]
	"$PGUMBRA" report --gate "open_mismatches=0" "$LOG"
	# it writes nowhere but to the log, and never to the candidate
	[ "$(on_candidate "select count(*) from mended where v = 'v' || id")" = 20 ]
	# what differs again after that is open again
	on_candidate "update mended set v = 'again' where id = 3"
	psql_pgumbra -c "select v from mended where id = 3"
	expect_outcome mismatch 4
	[ "$(member open_mismatches)" = 1 ]
}

# bats test_tags=short
@test "a mismatch that the log has no record of stays open, whatever recheck closes" {
	local id
	on_both "create table often as select g as id, 'v' || g as v from generate_series(1, 100) g"
	on_candidate "update often set v = 'wrong' where id in (1, 2, 3, 99)"
	start_pgumbra discrepancies.examples_per_shape=3
	for id in 1 2 3; do psql_pgumbra -c "select v from often where id = $id"; done
	expect_outcome mismatch 3
	for id in 99 99; do psql_pgumbra -c "select v from often where id = $id"; done
	expect_outcome mismatch 5
	[ "$(member open_mismatches)" = 5 ]
	on_candidate "update often set v = 'v' || id where id < 9"
	run recheck
	grep '3 closed, 0 differ, 0 undecided' <<<"$output"
	[ "$(member open_mismatches)" = 2 ]
	[ "$(member unlogged_mismatches)" = 2 ]
	run "$PGUMBRA" report --gate "open_mismatches=0" "$LOG"
	echo "$output"
	[ "$status" = 1 ]
	grep '^DIFFERENT: 2 open mismatches' <<<"$output"
	grep '2 open mismatches are without a record in the log: no re-check can close them' <<<"$output"
	grep -A4 '^Open mismatches without a record' <<<"$output" |
		grep -A1 '^ *2  candidate candidate$' | grep -F 'select v from often where id = $1'
	"$PGUMBRA" report --format html "$LOG" | grep -F '2 open mismatches have no record in the log'
	stop_pgumbra # another run on the same log, after all is mended: it closes nothing of this
	on_candidate "update often set v = 'v' || id"
	: >"$OPERATOR_LOG"
	start_pgumbra
	psql_pgumbra -c "select v from often where id = 99"
	expect_outcome matched 1
	[ "$(member open_mismatches)" = 2 ]
}

@test "what one logged read gives again and again is closed with it, and open when it differs later" {
	local n id
	on_both "create table again as select g as id, 'v' || g as v from generate_series(1, 20) g"
	on_candidate "update again set v = 'wrong' where id in (5, 6)"
	start_pgumbra discrepancies.examples_per_shape=2
	for n in 5 6; do psql_pgumbra -c "select v from again where id = $n"; done
	expect_outcome mismatch 2
	for n in 5 5 5; do psql_pgumbra -c "select v from again where id = $n"; done
	expect_outcome mismatch 5
	[ "$(member open_mismatches)" = 2 ]
	on_candidate "update again set v = 'v5' where id = 5"
	run recheck
	grep '1 closed, 1 differ' <<<"$output"
	[ "$(member open_mismatches)" = 1 ]
	id=$(awk '$2 == "closed" { print $1 }' <<<"$output")
	"$PGUMBRA" show "$LOG" "$id" | grep 'mismatch, resolved since$'
	on_candidate "update again set v = 'wrong' where id = 5"
	psql_pgumbra -c "select v from again where id = 5"
	expect_outcome mismatch 6
	[ "$(member open_mismatches)" = 2 ]
	"$PGUMBRA" report "$LOG" | grep 'note: 1 mismatch was closed by a re-check, differed again'
	"$PGUMBRA" show "$LOG" "$id" | grep 'mismatch, resolved since, and differed again$'
	on_candidate "update again set v = 'v' || id"
	run recheck
	grep '2 closed, 0 differ' <<<"$output"
	[ "$(member open_mismatches)" = 0 ]
	"$PGUMBRA" report --gate "open_mismatches=0" "$LOG"
}

@test "a shadow process that is killed takes no open mismatch with it" {
	on_both "create table killed as select g as id, 'v' || g as v from generate_series(1, 20) g"
	on_candidate "update killed set v = 'wrong' where id in (1, 2, 3)"
	start_pgumbra discrepancies.examples_per_shape=1
	psql_pgumbra -c "select v from killed where id = 1"
	expect_outcome mismatch 1
	psql_pgumbra -c "select v from killed where id = 2"
	expect_outcome mismatch 2
	kill -KILL "$(shadow_pid)"
	wait_for "$DEADLINE" "the next shadow process" restarted
	psql_pgumbra -c "select v from killed where id = 3"
	expect_outcome mismatch 3
	psql_pgumbra -c "select v from killed where id = 2"
	expect_outcome mismatch 4
	[ "$(member open_mismatches)" = 4 ]
	on_candidate "update killed set v = 'v' || id"
	run recheck
	grep '2 closed, 0 differ' <<<"$output" # of 1 and of 3
	[ "$(member open_mismatches)" = 2 ]
}

@test "recheck says that a waived difference still differs, and closes nothing because of a waiver" {
	local pair arguments=()
	start_pgumbra
	psql_pgumbra -c "select id, amount, name from price where id = 7"
	expect_outcome mismatch 1
	while read -r pair; do arguments+=(--set "$pair"); done < <(waive scale 2999-12-31 accept=numeric_scale)
	run recheck "${arguments[@]}"
	echo "$output"
	[ "$status" = 1 ]
	grep 'differs  *waived' <<<"$output"
	grep '^0 closed, 1 differ, 0 undecided, 0 cannot be run again' <<<"$output"
	grep '^1 of those that differ is accepted by a waiver: not closed' <<<"$output"
	[ "$(member open_mismatches)" = 1 ]
	! grep '"kind":"resolved"' "$LOG"
}

@test "recheck says what it cannot do with hashed values, and runs what has none" {
	on_both "create table hashed as select g as id, 'v' || g as v from generate_series(1, 5) g"
	on_candidate "update hashed set v = 'wrong' where id = 2"
	start_pgumbra discrepancies.values=hashed
	psql_pgumbra -c "select v from hashed where id = 2" -c "select id, v from hashed"
	expect_outcome mismatch 2
	on_candidate "update hashed set v = 'v' || id"
	run recheck
	echo "$output"
	[ "$status" = 1 ]
	grep 'cannot be run  its values were not logged' <<<"$output"
	grep 'closed  *matched' <<<"$output"
	grep '1 closed, 0 differ, 0 undecided, 1 cannot be run again' <<<"$output"
	[ "$(member open_mismatches)" = 1 ]
}

@test "recheck refuses an id that is not there, and a log without a control" {
	start_pgumbra
	psql_pgumbra -c "select name from price where id = 60"
	expect_outcome mismatch 1
	run recheck 4711
	[ "$status" = 2 ]
	grep 'no discrepancy has the id 4711' <<<"$output"
	run "$PGUMBRA" recheck --primary host=x --candidate host=y "$LOG"
	[ "$status" = 2 ]
	grep 'control is needed' <<<"$output"
}

# --- what was not decided ---

@test "a difference that the end overtakes is told in the first line, and never as none" {
	on_both "create table overtaken as select g as id, 'v' || g as v from generate_series(1, 5) g"
	on_candidate "update overtaken set v = 'wrong' where id = 1"
	start_pgumbra verify.backoff=60s verify.attempts=10
	psql_pgumbra -c "select v from overtaken where id = 2" -c "select v from overtaken where id = 1"
	wait_for "$DEADLINE" "the read to be seen" is_pending
	"$PGUMBRA" report --gate open_mismatches=0 "$LOG" >"$BATS_TEST_TMPDIR/shown"
	grep '^NO MISMATCH, 1 READ PENDING: 1 executions compared' "$BATS_TEST_TMPDIR/shown"
	grep '^  1 read is pending' "$BATS_TEST_TMPDIR/shown"
	stop_pgumbra INT
	[ "$(facts count dropped shutdown)" = 1 ]
	"$PGUMBRA" report "$LOG" | grep '^NO MISMATCH, 1 DIFFERENCE UNDECIDED: 1 executions compared'
}

# --- show ---

@test "show puts both sides beside each other, marks the cells and says why it was believed" {
	start_pgumbra
	psql_pgumbra -c "select id, name from price where id = 60"
	expect_outcome mismatch 1
	"$PGUMBRA" show "$LOG" "$(facts discrepancies | grep -oE '"id": "[^"]+"' | cut -d'"' -f4)" \
		>"$BATS_TEST_TMPDIR/shown"
	cat "$BATS_TEST_TMPDIR/shown"
	grep -E "^id +'60' +'60'$" "$BATS_TEST_TMPDIR/shown"
	grep -E "^name \* +'name 60' +'other'$" "$BATS_TEST_TMPDIR/shown"
	grep -E '^verified +yes: the control, asked before and after' "$BATS_TEST_TMPDIR/shown"
	grep -E '^rounds +3 rounds$' "$BATS_TEST_TMPDIR/shown"
	grep -E '^fence +none: ' "$BATS_TEST_TMPDIR/shown"
}

# --- errors ---

# "COUNT SQLSTATE-of-primary SQLSTATE-of-candidate group outcome", a line each
errors_are() {
	report | "$PYTHON" -c 'import json, sys
for e in json.load(sys.stdin)["errors"]:
    print(e["count"], e["primary"] or "-", e["sqlstate"] or "-", e["group"], e["outcome"])'
}

# bats test_tags=short
@test "errors are counted by SQLSTATE; timeouts, conflicts, resources and losses are candidate_failed" {
	# what a server says when it cancels for recovery, lacks memory and so on, at will
	on_primary "create function says(code text) returns int stable language sql as 'select 1'"
	on_candidate "create function says(code text) returns int stable language plpgsql as \$\$
		begin if code <> '' then raise exception using errcode = code, message = code; end if;
		return 1; end \$\$"
	on_both "create table locked (id int)"
	on_primary "create table gone as select 1 as id; grant select on gone to pgumbra_control"
	start_pgumbra candidate.candidate.statement_timeout=2s candidate.candidate.pool_size=1
	for code in '' 40001 53200 57014 P0001 P0001; do
		psql_pgumbra -c "select says('$code')"
	done
	psql_pgumbra -c "select id from gone"
	run psql_pgumbra -c "select 1/(id - 1) from price where id < 3"
	[ "$status" != 0 ]
	lock_candidate
	psql_pgumbra -c "select count(*) from locked"
	expect_outcome candidate_failed timeout 2
	psql_pgumbra -c "select count(*) as again from locked"
	wait_for "$DEADLINE" "a read that waits for the lock" somebody_waits
	on_candidate "select pg_terminate_backend(pid) from pg_stat_activity
		where usename = 'pgumbra_ro' and wait_event_type = 'Lock'"
	expect_outcome candidate_failed connection 1
	unlock_candidate
	expect_outcome candidate_failed retryable 1
	expect_outcome candidate_failed resource 1
	expect_outcome candidate_failed 5
	expect_outcome mismatch 3
	expect_outcome matched 2
	errors_are
	diff <(errors_are | sort) <(sort <<-'END'
		1 - 40001 retryable candidate_failed
		1 - 53200 resource candidate_failed
		1 - 57014 timeout candidate_failed
		1 - 55P03 timeout candidate_failed
		1 - 57P01 connection candidate_failed
		2 - P0001 other mismatch
		1 - 42P01 missing_object mismatch
		1 22012 22012 other matched
	END
	)
	"$PGUMBRA" report "$LOG" | grep '2  primary -, candidate P0001  other: mismatch'
}

lock_candidate() {
	coproc LOCK { cluster_psql "$CANDIDATE" "$DATABASE" -At 2>&1; }
	echo "begin; lock table locked; select 'locked';" >&"${LOCK[1]}"
	read -r -t "$DEADLINE" line <&"${LOCK[0]}"
	[ "$line" = locked ]
}

unlock_candidate() {
	local pid=$LOCK_PID
	eval "exec ${LOCK[1]}>&-"
	wait "$pid"
}

somebody_waits() {
	[ "$(on_candidate "select count(*) from pg_stat_activity
		where usename = 'pgumbra_ro' and wait_event_type = 'Lock'")" = 1 ]
}

# --- logs ---

start_at() { # DIRECTORY [section.key=value]...: a pgumbra with its own log there
	local BATS_TEST_TMPDIR=$1
	mkdir -p "$1"
	start_pgumbra "${@:2}"
}

@test "a second run on the same log is refused, with a message that names it" {
	local first
	start_pgumbra
	first=$PGUMBRA_PID
	run timeout 30 "$PGUMBRA" run --listen "127.0.0.1:$(free_port)" \
		--primary "host=127.0.0.1 port=$(cluster_port "$PRIMARY")" \
		--candidate "$(address_of "$CANDIDATE") user=pgumbra_ro password=pgumbra_ro" --log "$LOG"
	echo "$output"
	[ "$status" = 2 ]
	grep "not started: another pgumbra writes the discrepancy log $LOG" <<<"$output"
	kill -HUP "$first" # the same file again: still locked, and still written
	psql_pgumbra -c "select count(*) from price"
	expect_outcome matched 1
	mv "$LOG" "$LOG.1" # as logrotate does
	kill -HUP "$first"
	wait_for "$DEADLINE" "the new log" test -s "$LOG"
	run flock -n "$LOG" true
	[ "$status" = 1 ]
	flock -n "$LOG.1" true
	stop_pgumbra
	cat "$LOG" >>"$LOG.1" # both parts add up: the teardown looks at that
	mv "$LOG.1" "$LOG"
}

log_was_reopened() {
	grep -q "the discrepancy log $LOG was reopened: a new file" "$OPERATOR_LOG"
}

# bats test_tags=short
@test "SIGHUP reopens a rotated log at once, and the new file says what the start said" {
	local before
	mapfile -t old < <(waive old 2020-02-29 accept=values)
	start_pgumbra discrepancies.books_interval=1h "${old[@]}"
	mv "$LOG" "$LOG.1"
	before=$(wc -c <"$LOG.1")
	kill -HUP "$PGUMBRA_PID"
	wait_for "$DEADLINE" "the log to be reopened" log_was_reopened
	psql_pgumbra -c "select id, amount, name from price where id = 60"
	wait_for "$DEADLINE" "the record of the mismatch" grep '"kind":"discrepancy"' "$LOG"
	[ "$(wc -c <"$LOG.1")" = "$before" ]
	head -1 "$LOG" | grep '"kind":"start".*"continued":true'
	[ "$(member waivers 0 owner)" = '"ann"' ]
	[ "$(member findings | grep -c 'waiver old: expired')" = 1 ]
	stop_pgumbra
	cat "$LOG" >>"$LOG.1" # both parts add up: the teardown looks at that
	mv "$LOG.1" "$LOG"
	expect_outcome mismatch 1
	[ "$(member runs | grep -o '"run"' | wc -l)" = 1 ]
}

@test "a run whose relay was killed finishes its log before the next one begins it" {
	on_both "create table moving as select g as id, g as v from generate_series(1, 5) g"
	on_candidate "update moving set v = 0 where id = 1"
	start_pgumbra verify.backoff=1s
	psql_pgumbra -c "select v from moving where id = 1" -c "select v from moving where id = 2"
	wait_for "$DEADLINE" "the read to be seen" is_pending
	kill -KILL "$PGUMBRA_PID"
	wait "$PGUMBRA_PID" || true
	PGUMBRA_PID=
	: >"$OPERATOR_LOG"
	start_pgumbra verify.backoff=1s
	grep "waiting for the last run's rest" "$OPERATOR_LOG"
	expect_outcome mismatch 1 # by the first run, after its relay had gone
	expect_outcome matched 1
	psql_pgumbra -c "select v from moving where id = 3"
	expect_outcome matched 2
	expect_outcome dropped 0
}

is_pending() {
	[ "$(facts count pending)" = 1 ] && [ "$(facts count matched)" = 1 ]
}

# Every count of the books, "candidate/member... = n" a line each, of the logs given.
all_counts() {
	"$PGUMBRA" report --format json "$@" | "$PYTHON" -c 'import json, sys
def walk(path, value):
    if isinstance(value, dict):
        for name in sorted(value): walk(path + [name], value[name])
    elif type(value) is int: print("/".join(path), value)
report = json.load(sys.stdin)
walk([], report["books"])
for shape in report["shapes"]:
    walk([shape["normalized"]], {"executions": shape["executions"], **shape["outcomes"],
        "latency": {side: h["count"] for side, h in shape["latency_ms"].items()
                    if isinstance(h, dict) and "count" in h}})
for e in report["errors"]: print(e["sqlstate"], e["count"])'
}

# The sum of such lists.
add_counts() {
	awk '{ n = $NF; $NF = ""; sum[$0] += n } END { for (name in sum) print name sum[name] }' "$@" |
		sort
}

read_some() { # COUNT
	local i
	for i in $(seq "$1"); do echo "select name from price where id = $((i % 50 + 1));"; done |
		psql_pgumbra >/dev/null
	psql_pgumbra -c "select 1/0" 2>/dev/null || true
}

@test "reports of several runs and proxies add up exactly, with kill -9 between them" {
	local a=$BATS_TEST_TMPDIR/a b=$BATS_TEST_TMPDIR/b first
	start_at "$a"
	read_some 30
	expect_outcome matched 31 # and 1/0
	kill -KILL "$(shadow_pid)"
	read_some 20 # some of it while no shadow process runs
	wait_for "$DEADLINE" "the next shadow process" restarted
	read_some 25
	first=$PGUMBRA_PID
	start_at "$b"
	read_some 40
	expect_outcome matched 41
	stop_pgumbra
	PGUMBRA_PID=$first LOG=$a/discrepancies.jsonl OPERATOR_LOG=$a/operator.log
	wait_for "$DEADLINE" "all 78 executions in the log" all_relayed 78
	kill -KILL "$PGUMBRA_PID"
	wait "$PGUMBRA_PID" || true
	: >"$OPERATOR_LOG"
	start_at "$a"
	read_some 10
	wait_for "$DEADLINE" "all 89 executions in the log" all_relayed 89
	stop_pgumbra
	books_balance
	all_counts "$a/discrepancies.jsonl" >"$a/counts"
	all_counts "$b/discrepancies.jsonl" >"$b/counts"
	all_counts "$a/discrepancies.jsonl" "$b/discrepancies.jsonl" | sort >"$BATS_TEST_TMPDIR/both"
	add_counts "$a/counts" "$b/counts" | diff - "$BATS_TEST_TMPDIR/both"
	# twice the same log is once
	all_counts "$a/discrepancies.jsonl" "$b/discrepancies.jsonl" "$a/discrepancies.jsonl" |
		sort | diff - "$BATS_TEST_TMPDIR/both"
	cat "$a/discrepancies.jsonl" "$b/discrepancies.jsonl" >"$LOG.both"
	"$PGUMBRA" report --format json "$LOG.both" "$a/discrepancies.jsonl" |
		"$PYTHON" -c 'import json, sys
b = json.load(sys.stdin)["books"]["candidate"]
assert b["relayed"] == 89 + 41 and b["balanced"], b'
}

restarted() {
	grep -q '"restarted":true' "$LOG"
}

all_relayed() {
	[ "$(facts count relayed)" = "$1" ] && facts settled
}

# --- latency ---

@test "a shape that is slower on the candidate is named; first reads on a connection stand apart" {
	on_both "create table big as select g as id, repeat('x', 20) as v from generate_series(1, 200000) g;
		analyze big"
	on_primary "create index on big (id)"
	echo '\set id random(1, 200000)
		select v from big where id = :id;' >"$BATS_TEST_TMPDIR/big.sql"
	start_pgumbra candidate.candidate.pool_size=2
	pgbench_pgumbra -M prepared -f "$BATS_TEST_TMPDIR/big.sql" -c 1 -t 100
	expect_outcome matched 100
	"$PGUMBRA" report --format json "$LOG" | "$PYTHON" -c 'import json, sys
shape, = [s for s in json.load(sys.stdin)["shapes"] if "from big" in s["normalized"]]
latency = shape["latency_ms"]
assert latency["primary"]["count"] == latency["candidate"]["count"], latency
assert 3 <= latency["warmup"]["count"] <= 6, latency
assert latency["candidate"]["count"] + latency["warmup"]["count"] == 100, latency
assert latency["ratio"]["p50"] > 1.25, latency
assert latency["regression"] is True, latency'
	"$PGUMBRA" report "$LOG" | grep -A2 'Slower on the candidate, significantly'
	run "$PGUMBRA" report --gate "regressions=0" "$LOG"
	[ "$status" = 1 ]
}

# --- several candidates ---

of() { # CANDIDATE OUTCOME [REASON]: how many executions of that candidate ended so
	member books "$@"
}

is_of() { # COUNT CANDIDATE OUTCOME
	[ "$(of "${@:2}")" = "$1" ]
}

# The candidate's server has a second database that is as it should be.
start_two() { # [section.key=value]...
	start_pgumbra "candidate.good.conninfo=$(address_of "$CANDIDATE") user=pgumbra_ro password=pgumbra_ro" \
		"candidate.good.databases=$DATABASE = good" "$@"
}

catalogues_are_read() {
	[ "$(grep -c 'catalogue read' "$OPERATOR_LOG")" = 2 ]
}

pool_is() { # DATABASE CONNECTIONS
	[ "$(on_candidate "select count(*) from pg_stat_activity
		where usename = 'pgumbra_ro' and datname = '$1' and query like 'ROLLBACK%'")" -le "$2" ]
}

@test "two candidates, one with a defect: each has its own pool, books and verdicts" {
	local id
	on_both "create table two as select g as id, 'v' || g as v from generate_series(1, 20) g;
		create table locked2 (id int)"
	cluster_psql "$CANDIDATE" postgres -c "create database good template $DATABASE"
	on_candidate "update two set v = 'wrong' where id = 3"
	start_two candidate.candidate.pool_size=1 candidate.good.pool_size=2
	psql_pgumbra -c "show datestyle" # sessions wait for catalogues, but not for long
	wait_for "$DEADLINE" "both catalogues" catalogues_are_read
	for id in 1 2 3 4 5; do echo "select v from two where id = $id;"; done | psql_pgumbra
	wait_for "$DEADLINE" "5 matches on the good one" is_of 5 good matched
	wait_for "$DEADLINE" "4 matches on the other" is_of 4 candidate matched
	wait_for "$DEADLINE" "its mismatch" is_of 1 candidate mismatch
	expect_discrepancy candidate=candidate
	expect_no_discrepancy candidate=good
	# one that hangs holds up nobody but itself
	sed 's/locked;/two;/' <(declare -f lock_candidate) >"$BATS_TEST_TMPDIR/lock.bash"
	. "$BATS_TEST_TMPDIR/lock.bash"
	lock_candidate
	for id in 6 7 8; do echo "select v from two where id = $id;"; done | psql_pgumbra
	wait_for "$DEADLINE" "8 matches on the good one" is_of 8 good matched
	[ "$(of candidate matched)" = 4 ]
	[ "$(of candidate pending)" = 3 ]
	pool_is "$DATABASE" 1
	pool_is good 2
	unlock_candidate
	wait_for "$DEADLINE" "7 matches on the other" is_of 7 candidate matched
	expect_outcome mismatch 1
	[ "$(member coverage candidates good coverage)" = 1.0 ]
	"$PGUMBRA" report "$LOG" | grep '^good: 8 of 8 reads compared (100.0%)'
	run "$PGUMBRA" report --gate "min_compared=8 and open_mismatches=1 and coverage=1" "$LOG"
	[ "$status" = 0 ]
	stop_pgumbra
	cluster_psql "$CANDIDATE" postgres -c "drop database good"
}

# --- a candidate that is wholly wrong ---

control_calls() { # reads of the table that the control was asked
	on_primary "select coalesce(sum(calls), 0) from pg_stat_statements s join pg_roles r
		on r.oid = s.userid where rolname = 'pgumbra_control' and query like '%from empty where%'"
}

@test "a candidate with empty tables costs the primary and the log no more than their limits" {
	local begun elapsed calls bytes rate=100
	on_primary "create extension if not exists pg_stat_statements"
	on_both "create table empty as select g as id, repeat(md5(g::text), 250) as v
		from generate_series(1, 500) g; create index on empty (id)"
	on_candidate "truncate empty"
	echo '\set id random(1, 500)
		select v from empty where id = :id;' >"$BATS_TEST_TMPDIR/empty.sql"
	start_pgumbra verify.max_rate=$rate verify.queue_reads=100 verify.backoff=20ms \
		discrepancies.examples_per_shape=1000000 discrepancies.max_bytes=1MB
	begun=$EPOCHREALTIME
	pgbench_pgumbra -M prepared -f "$BATS_TEST_TMPDIR/empty.sql" -c 4 -R 600 -T 7
	wait_for "$DEADLINE" "every read's end" facts settled
	calls=$(control_calls)
	elapsed=$("$PYTHON" -c "print($EPOCHREALTIME - $begun)")
	bytes=$(grep -a '"kind":"discrepancy"' "$LOG" | wc -c)
	echo "control: $calls reads in $elapsed s; discrepancies: $bytes bytes"
	member books candidate
	[ "$(facts count matched)" = 0 ]
	[ "$(facts count mismatch)" -gt 50 ]
	[ "$(facts count unverifiable rate)" -gt 500 ]
	[ "$calls" -gt 150 ]
	# each attempt asks the control twice
	"$PYTHON" -c "import sys; sys.exit($calls > 2 * ($rate * $elapsed + 1))"
	[ "$bytes" -gt 500000 ]
	[ "$bytes" -le $((1024 * 1024)) ]
	[ "$(facts count mismatch)" -gt "$(grep -ac '"outcome":"mismatch"' "$LOG")" ] # the rest is counted
	"$PGUMBRA" report "$LOG" | head -1 | grep '^DIFFERENT'
}

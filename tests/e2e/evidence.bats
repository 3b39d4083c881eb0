# Verdicts that a team can sign: waivers, rechecks, errors, latencies, gates, logs that add up,
# several candidates, and a candidate that is wholly wrong.

load lib

setup_file() {
	start_primary
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

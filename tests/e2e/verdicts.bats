# Verdicts: what free order explains is no mismatch, and what it does not is one.

load lib

setup_file() {
	export CANDIDATE_VERSION=15
	start_primary
	start_candidate
	on_both "create table item (id int primary key, kind int not null, name text not null)"
	on_both "insert into item select g, g % 5, 'item ' || g from generate_series(1, 100) g"
	on_both "create table heap (kind int not null, name text not null)"
	# The same rows, in another place each.
	on_primary "insert into heap select g % 5, 'row ' || g from generate_series(1, 100) g"
	on_candidate "insert into heap select g % 5, 'row ' || g from generate_series(100, 1, -1) g"
}

teardown_file() {
	stop_servers
}

teardown() {
	check_afterwards
}

# read_as OUTCOME SQL: one read more ends so.
read_as() {
	local before
	before=$(facts count "$1")
	psql_pgumbra -c "$2" >/dev/null
	expect_outcome "$1" $((before + 1))
}

@test "a changed value under a total order is a mismatch, however few rows are asked for" {
	start_pgumbra verify.backoff=20ms
	on_candidate "update item set name = 'other' where id in (1, 50)"
	read_as mismatch "select name from item order by id limit 1"
	read_as mismatch "select name from item where id = 50 limit 1"
	read_as mismatch "select i.name from item i join item k on k.id = i.id order by k.id limit 1"
	read_as mismatch "select (select name from item order by id limit 1)"
	read_as mismatch "select id, row_number() over (order by id), name from item where id < 3"
	read_as mismatch "select string_agg(name, ',' order by id) from item"
	read_as mismatch "select name from item where id = 50 and kind = 0 limit 2"
	on_candidate "update item set name = 'item ' || id"
}

@test "rows in the wrong places of a total order are a mismatch of class order" {
	start_pgumbra verify.backoff=20ms
	on_candidate "alter table item alter name type text collate \"C\""
	on_primary "alter table item alter name type text collate \"en-x-icu\""
	on_both "insert into item values (201, 9, 'b'), (202, 9, 'B'), (203, 9, 'a'), (204, 9, 'A')"
	read_as mismatch "select name from item where kind = 9 order by name, id"
	expect_discrepancy class=order hint=collation
	on_both "delete from item where kind = 9"
}

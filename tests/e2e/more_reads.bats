# Reads that are not plain SELECTs, against real servers: COPY TO STDOUT in every form, cursors of
# every kind. Each is compared like the query that it is: equal data matches, one changed value is
# found. PostgreSQL 15 against 18, where that is installed.

load lib

setup_file() {
	start_primary
	start_candidate
	on_both "
		create table thing (id int primary key, word text, price numeric(10,2), made timestamptz,
			raw bytea, twice int generated always as (id * 2) stored);
		insert into thing (id, word, price, made, raw) values
			(1, 'plain', 1.50, '2024-01-01 00:00+00', '\\x00ff'), (2, '', null, null, ''),
			(3, null, -1, 'infinity', null), (4, E'tab\\t, newline\\n, \\\\ and \\\\N', 0, 'epoch', '\\x41'),
			(5, '\"quoted\" ''it'' ; | ,', 2, 'epoch', '\\x22'), (6, 'NULL', 3, 'epoch', '\\x27'),
			(7, '\\.', 4, 'epoch', '\\x27'), (8, 'grün', 5, 'epoch', '\\x27');
		create table other as select * from thing;
		create table many as select g as id, 'row ' || g as word from generate_series(1, 100) g;
		create view things as select * from thing;"
	on_candidate "update other set word = 'changed' where id = 6"
}

teardown_file() {
	stop_servers
}

teardown() {
	check_afterwards
}

# Statements with TABLE in the table's place.
copies() {
	cat <<-'SQL'
		copy (select id, word, price, made, raw from TABLE) to stdout
		copy (select id, word, price, made, raw from TABLE order by price) to stdout csv header
		copy (select id, word from TABLE) to stdout with (format csv, delimiter ';', quote '''', escape '\', null 'NULL', force_quote *)
		copy (select id, word from TABLE) to stdout with (format csv, force_quote (word), header true)
		copy (select id, word from TABLE) to stdout with delimiter '|' null ''
		copy (select id, word from TABLE) to stdout with (null 'NULL', delimiter ',')
		copy (select id, word, price, made, raw from TABLE) to stdout (format binary)
		copy (select word from TABLE order by id) to stdout (encoding 'LATIN1')
		copy TABLE (word, id) to stdout
		copy binary public.TABLE (id, word, raw) to stdout
		copy TABLE (word) to stdout (header, format csv)
		copy (select word from TABLE where id > 100) to stdout (format csv, header)
	SQL
}

copies_of() {
	copies | sed "s/TABLE/$1/"
}

@test "COPY TO STDOUT in every form matches where the data is the same" {
	local sql
	start_pgumbra
	while read -r sql; do
		psql_pgumbra -c "$sql" >"$BATS_TEST_TMPDIR/through"
		psql_primary -c "$sql" | cmp - "$BATS_TEST_TMPDIR/through"
	done < <(copies_of thing)
	expect_outcome matched "$(copies | wc -l)"
	expect_no_discrepancy
}

@test "COPY TO STDOUT in every form shows the value that differs" {
	start_pgumbra
	while read -r sql; do psql_pgumbra -c "$sql" >/dev/null; done < <(copies_of other)
	expect_outcome mismatch "$(($(copies | wc -l) - 1))" # the last reads no row
	expect_outcome matched 1
	[ "$(facts discrepancies | wc -l)" = "$(facts discrepancies class=values | wc -l)" ]
}

@test "COPY of a table without its columns is read where no column is generated" {
	start_pgumbra
	psql_pgumbra -c "copy many to stdout" -c "copy many to stdout binary" >/dev/null
	expect_outcome matched 2
	psql_pgumbra -c "copy thing to stdout" >/dev/null
	expect_outcome skipped not_a_read 1
	run psql_pgumbra -c "copy things (id) to stdout" # the server refuses to copy a view
	[ "$status" != 0 ]
	expect_outcome skipped not_a_read 2
	expect_no_discrepancy
}

@test "a header that names other columns is a difference" {
	on_both "create table named (a int)"
	on_candidate "alter table named rename to renamed; create view named as select a as b from renamed"
	on_candidate "grant select on named to pgumbra_ro"
	start_pgumbra
	psql_pgumbra -c "copy (select * from named) to stdout csv header"
	expect_outcome mismatch 1
	expect_discrepancy class=columns hint=name
}

@test "COPY by the extended protocol is compared too" {
	start_pgumbra
	HOST=127.0.0.1 PORT=$PGUMBRA_PORT DBNAME=$DATABASE "$PYTHON" - <<-'PYTHON'
		import os, psycopg
		with psycopg.connect(host=os.environ["HOST"], port=os.environ["PORT"], user="app",
		                     password="app", dbname=os.environ["DBNAME"], autocommit=True) as c:
		    pg = c.pgconn
		    for sql in (b"copy (select id, word from thing) to stdout csv header",
		                b"copy thing (id, raw) to stdout binary"):
		        pg.send_query_params(sql, None)
		        while pg.is_busy():
		            pg.consume_input()
		        assert pg.get_result().status == psycopg.pq.ExecStatus.COPY_OUT
		        while pg.get_copy_data(0)[0] > 0:
		            pass
		        while pg.get_result():
		            pass
	PYTHON
	expect_outcome matched 2
	expect_no_discrepancy
}

# Each line one transaction, whose cursor is one read of TABLE.
cursors() {
	cat <<-'SQL'
		begin; declare c binary no scroll cursor for select id, word, raw from TABLE order by id; fetch 3 c; fetch all c; commit
		begin; declare c scroll cursor for select id, word from TABLE order by id desc; fetch next c; fetch forward all in c; close c; commit
		begin; declare c cursor for select id, word from TABLE order by id; fetch 7 c; close c; commit
		begin; declare c binary cursor for select id, word from TABLE order by id; fetch 7 c; rollback
		begin; declare c cursor with hold for select id, word from TABLE; fetch 2 c; commit; fetch all c; close c
		begin isolation level repeatable read; declare c cursor for select id, word from TABLE; fetch all c; commit
		begin isolation level serializable read only; declare c binary cursor for select id, word from TABLE; fetch all c; commit
		begin isolation level serializable; select id, word from TABLE; commit
	SQL
}

# run_cursors TABLE: once as a Query for each statement, once in one Query.
run_cursors() {
	local line
	while read -r line; do
		sed 's/; /;\n/g' <<<"$line;" | psql_pgumbra >/dev/null
	done < <(cursors | sed "s/TABLE/$1/")
	while read -r line; do
		psql_pgumbra -c "$line" >/dev/null
	done < <(cursors | grep -v hold | sed "s/TABLE/$1/")
}

@test "cursors of every kind match where the data is the same" {
	start_pgumbra
	run_cursors thing
	expect_outcome matched $((2 * $(cursors | wc -l) - 1))
	expect_no_discrepancy
	run facts count skipped
	[ "$output" = "$(facts count skipped not_a_read)" ]
}

@test "cursors of every kind show the value that differs" {
	start_pgumbra
	run_cursors other
	expect_outcome mismatch $((2 * $(cursors | wc -l) - 1))
}

@test "what behind the first read of a snapshot is not compared says so" {
	start_pgumbra
	psql_pgumbra >/dev/null <<-SQL
		begin isolation level repeatable read;
		select count(*) from thing;
		select max(id) from thing;
		declare c cursor for select id from thing;
		fetch all c;
		commit;
	SQL
	expect_outcome matched 1
	expect_outcome skipped old_snapshot 2
	expect_no_discrepancy
}

-- What the corpus needs, on the primary and on every candidate alike. Each way in which a write can
-- hide behind something that reads like data has an object here, and beside it a harmless one.
create role boss superuser login password 'boss';
create role weak;
grant app to boss;

create table cage (id int primary key, name text, amount numeric, made date);
insert into cage select g, 'name ' || g, g * 1.5, date '2024-01-01' + g from generate_series(1, 20) g;
create table trace (note text, at int default 0); -- what the functions below write to
alter table trace replica identity full; -- there will be publications
insert into trace values ('before');
create table scratch (id int primary key, name text);
insert into scratch values (1, 'a');
create sequence cage_seq;
create table counted (id serial primary key, name text);
insert into counted (name) values ('one'), ('two');
create index counted_brin on cage using brin (id);
create table words (doc tsvector, query tsquery);
insert into words values (to_tsvector('simple', 'a b c'), to_tsquery('simple', 'a'));
create index words_gin on words using gin (doc);

-- functions
create function acts(int) returns int language plpgsql volatile as
	$$ begin insert into public.trace values ('acts ' || $1); return $1; end $$;
create function acts_sql(int) returns int language sql volatile as
	$$ insert into public.trace values ('acts_sql ' || $1) returning 1 $$;
create function no_word_of_it(int) returns int language plpgsql as
	$$ begin perform nextval('cage_seq'); return $1; end $$;
create function as_definer(int) returns int language plpgsql volatile security definer as
	$$ begin insert into trace values ('definer ' || $1); return $1; end $$;
create function says_stable(int) returns int language sql stable as $$ select acts($1) $$;
create function says_immutable(int) returns int language plpgsql immutable as
	$$ begin return acts($1); end $$;
create function through_two(int) returns int language sql stable as $$ select says_stable($1) $$;
create function with_body(int) returns int language sql stable return acts($1);
create function by_text(text) returns int language plpgsql stable as
	$$ declare r int; begin execute 'select ac' || $1 || '(1)' into r; return r; end $$;
create function many_acts(int) returns setof int language plpgsql volatile as
	$$ begin insert into trace values ('many'); return next $1; end $$;
create function calm(int) returns int language sql stable as $$ select $1 + 1 $$;
create function calm_plain(int) returns int language plpgsql immutable as
	$$ begin return $1 + 1; end $$;
create function turns(int) returns int language sql stable as $$ select $1 $$;
create procedure proceeds(int) language plpgsql as
	$$ begin insert into trace values ('proceeds'); end $$;

-- attribute notation: c.sidefx means sidefx(c)
create function sidefx(cage) returns int language plpgsql volatile as
	$$ begin insert into trace values ('sidefx'); return 1; end $$;
create function calm_field(cage) returns text language sql stable as $$ select $1.name $$;

-- operators, aggregates, casts, domains
create function acts_two(int, int) returns int language plpgsql volatile as
	$$ begin insert into trace values ('operator'); return $1 + $2; end $$;
create function acts_bool(int, int) returns boolean language plpgsql volatile as
	$$ begin insert into trace values ('operator'); return true; end $$;
create function calm_two(int, int) returns int language sql immutable as $$ select $1 + $2 $$;
create operator @+@ (leftarg = int, rightarg = int, function = acts_two);
create operator ==> (leftarg = int, rightarg = int, function = acts_bool);
create operator !+! (rightarg = int, function = acts);
create operator %+% (leftarg = int, rightarg = int, function = calm_two);
create aggregate acting_sum(int) (sfunc = acts_two, stype = int, initcond = '0');
create aggregate calm_sum(int) (sfunc = calm_two, stype = int, initcond = '0');
create type box_of as enum ('a');
create function to_box(int) returns box_of language plpgsql volatile as
	$$ begin insert into trace values ('cast'); return 'a'::box_of; end $$;
create cast (int as box_of) with function to_box(int);
create type calm_box as (x int);
create function to_calm_box(int) returns calm_box language sql immutable as $$ select row($1)::calm_box $$;
create cast (int as calm_box) with function to_calm_box(int);
create domain acting_int as int check (acts(value) > 0);
create domain calm_int as int check (value > 0);
create function takes_acting(acting_int) returns int language sql stable as $$ select 1 $$;
create type has_acting as (a acting_int);

-- what runs though no text names it: defaults of arguments, implicit casts, comparisons to sort by
create function defaulted(int default acts(1)) returns int language sql stable as $$ select $1 $$;
create function calm_defaulted(int default calm(1)) returns int language sql stable as $$ select $1 $$;
create type fickle as (x int);
create function from_fickle(fickle) returns circle language plpgsql volatile as
	$$ begin insert into trace values ('implicit cast'); return circle '1,2,3'; end $$;
create cast (fickle as circle) with function from_fickle(fickle) as implicit;
create table fickles (a fickle);
insert into fickles values (row(1)), (row(2));
create type steady as (x int);
create function from_steady(steady) returns box language sql immutable as $$ select box '1,2,3,4' $$;
create cast (steady as box) with function from_steady(steady) as implicit;
create table steadies (a steady);
insert into steadies values (row(1)), (row(2));
create type sorted as (x int);
create function sorted_compare(sorted, sorted) returns int language plpgsql volatile as
	$$ begin insert into trace values ('compared'); return $1.x - $2.x; end $$;
create function sorted_less(sorted, sorted) returns boolean language sql immutable as $$ select $1.x < $2.x $$;
create function sorted_same(sorted, sorted) returns boolean language sql immutable as $$ select $1.x = $2.x $$;
create operator <<< (leftarg = sorted, rightarg = sorted, function = sorted_less);
create operator ==== (leftarg = sorted, rightarg = sorted, function = sorted_same);
create operator class sorted_ops default for type sorted using btree as operator 1 <<<, operator 3 ====,
	function 1 sorted_compare(sorted, sorted);
create table sorteds (a sorted);
insert into sorteds values (row(1)), (row(2));

-- views, policies, foreign tables, partitions
create view v_next as select nextval('cage_seq') as id;
create view v_acts as select acts(id) as id, name from cage where id < 3;
create view v_over as select id from v_acts;
create view v_lies as select says_stable(id) as id from cage where id < 3;
create view v_operator as select id @+@ 1 as id from cage where id < 3;
create view v_lock as select pg_try_advisory_lock(7001) as id;
create view v_calm as select id, name from cage where id < 3;
create materialized view m_calm as select id, name from cage where id < 4;
create table guarded (id int primary key, name text);
insert into guarded select g, 'g' || g from generate_series(1, 3) g;
alter table guarded enable row level security;
create policy acting on guarded using (acts(id) > 0);
create function acts_trigger() returns trigger language plpgsql as
	$$ begin insert into trace values ('trigger'); return new; end $$;
create trigger acting before insert or update on counted for each row execute function acts_trigger();
create table ruled (id int);
create rule also as on insert to ruled do also insert into trace values ('rule');
create function v_acts_away() returns setof v_acts language sql stable as $$ select * from v_acts $$;

select lo_from_bytea(4711, 'the bytes');

grant select on all tables in schema public to public;
grant all on trace, cage, counted, words, ruled to app;

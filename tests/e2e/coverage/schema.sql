-- A small shop, filled the same on every server. Role app works on it; what it adds later (table
-- ledger) stays on the primary and is never read.
create table account (
	id int primary key,
	owner text not null,
	balance numeric(12, 2) not null,
	opened timestamptz not null,
	rate double precision not null,
	active boolean not null
);

create table purchase (
	id int primary key,
	account int not null references account,
	placed timestamptz not null,
	total numeric(12, 2) not null,
	items jsonb not null
);

create table ledger (
	id bigint generated always as identity primary key,
	account int not null,
	note text
);

-- rows belong to a tenant; who reads sees those of app.tenant
create table document (
	id int primary key,
	tenant text not null,
	title text not null
);

create role reader;
grant reader to app;
grant select on document to reader;
alter table document enable row level security;
create policy own_tenant on document to app using (tenant = current_setting('app.tenant', true));
create policy odd on document to reader using (id % 2 = 1);

insert into account
select g, 'owner ' || g, g * 13.37, timestamptz '2022-01-01 00:00:00+00' + g * interval '7 hours',
       g / 7.0, g % 3 > 0
  from generate_series(1, 200) g;

insert into purchase
select g, g % 200 + 1, timestamptz '2022-03-27 00:30:00+00' + g * interval '11 minutes', g * 1.25,
       jsonb_build_object('sku', 'p' || g % 17, 'count', g % 5)
  from generate_series(1, 1000) g;

insert into document select g, 'tenant ' || g % 5, 'title ' || g from generate_series(1, 100) g;

-- types that a driver must ask the server about
create type tier as enum ('basic', 'gold');

create table member (
	id int primary key,
	tier tier not null,
	tiers tier[] not null
);

insert into member
select g, (array['basic', 'gold'])[g % 2 + 1]::tier, array['gold', 'basic']::tier[]
  from generate_series(1, 40) g;

create schema archive;
grant usage on schema archive to app, public;
create table archive.account as select id, 'archived ' || owner as owner from account where id <= 50;
grant select on archive.account to public;

-- a notice between two rows
create function remarked(id int) returns int stable language plpgsql as $$
begin
	if id % 2 = 0 then
		raise notice 'even';
	end if;
	return id;
end
$$;

-- none leaves anything behind that a later read could see
create function noted(id int) returns int volatile language sql as 'select id';
create procedure note() language sql as 'select 1';
create function booked(number int) returns int language plpgsql as $$
declare
	found_id bigint;
begin
	insert into ledger (account, note) values (number, 'booked') returning id into found_id;
	update ledger set note = upper(note) where id = found_id;
	if not found then
		raise exception 'not booked';
	end if;
	perform noted(number);
	return found_id;
end
$$;
-- ... but of this nobody can tell
create function dynamic() returns int language plpgsql as $$ begin execute 'select 1'; return 1; end $$;

analyze;

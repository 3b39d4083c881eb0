create role tenant_reader;
grant tenant_reader to app;
grant usage on schema public to tenant_reader;
alter default privileges in schema public grant select on tables to tenant_reader;

create table by_tenant (id int primary key, tenant int, body text);
insert into by_tenant select g, g % 4, 'row ' || g from generate_series(1, 40) g;
alter table by_tenant enable row level security;
create policy tenant on by_tenant using (tenant = current_setting('app.tenant', true)::int);

create table by_owner (id int primary key, owner name, body text);
insert into by_owner select g, o, o || ' row ' || g from generate_series(1, 9) g,
	lateral (select (array['app', 'tenant_reader', 'nobody'])[1 + (g + 1) % 3]) as x(o);
alter table by_owner enable row level security;
create policy owner on by_owner using (owner = current_user);
create view by_owner_view with (security_invoker) as select * from by_owner where id > 0;

create table forced (id int primary key, owner name);
insert into forced select g, case when g % 2 = 0 then 'app' else 'nobody' end from generate_series(1, 9) g;
alter table forced enable row level security, force row level security;
alter table forced owner to app;
create policy owner on forced using (owner = current_user);

-- asks for more than the role that reads
create table by_session (id int primary key, owner name);
insert into by_session values (1, 'app');
alter table by_session enable row level security;
create policy owner on by_session using (owner = session_user);

create table plain (id int primary key);
insert into plain select generate_series(1, 9);

create type mood as enum ('sad', 'ok', 'happy');
create domain positive as int check (value > 0);
create domain moods as mood[];
create type pair as (n int, m mood);
create type couple as (one pair, rest pair[]);
create table typed (id positive primary key, m mood, ms mood[], dms moods, p pair, c couple);
insert into typed select g, x.m, array[x.m, null, 'ok'], array[x.m]::mood[], row (g, x.m)::pair,
	row (row (g, x.m)::pair, array[row (g + 1, 'sad')::pair])::couple
	from generate_series(1, 30) g, lateral (select (enum_range(null::mood))[1 + g % 3]) as x(m);

-- One table with the types that clients treat differently, filled the same on every server.
create type mood as enum ('sad', 'ok', 'happy');

create table specimen (
	id int primary key,
	small smallint not null,
	big bigint not null,
	amount numeric(20, 6) not null,
	bare numeric not null,
	single real not null,
	twofold double precision not null,
	flag boolean not null,
	words text not null,
	code varchar(40) not null,
	padded char(8) not null,
	day date not null,
	clock time not null,
	local timestamp not null,
	moment timestamptz not null,
	span interval not null,
	key uuid not null,
	doc jsonb not null,
	bytes bytea not null,
	ints int[] not null,
	texts text[] not null,
	state mood not null,
	maybe text
);

insert into specimen
select g, (g % 200 - 100)::smallint, g::bigint * 1000000007, g::numeric / 7, g::numeric * 1000000 / 3,
       g / 3.0::real, g / 7.0::double precision, g % 2 = 0,
       'wörter ' || g, md5(g::text), 'p' || g % 10, date '2020-02-28' + g,
       time '00:00:00' + g * interval '61.000001 seconds',
       timestamp '2021-03-28 00:00:00' + g * interval '17 minutes 0.000321 seconds',
       timestamptz '2021-03-28 00:00:00+00' + g * interval '17 minutes 0.000321 seconds',
       g * interval '1 hour 2 minutes 3.25 seconds',
       md5('key ' || g)::uuid, jsonb_build_object('id', g, 'list', jsonb_build_array(g, null, 'ä')),
       decode(md5(g::text), 'hex'), array[g * 100000, -g, null], array['a' || g, '', null, 'with "quotes"'],
       (array['sad', 'ok', 'happy'])[g % 3 + 1]::mood, case when g % 3 > 0 then 'some' end
  from generate_series(1, 300) g;

analyze specimen;

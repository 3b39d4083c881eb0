declare c scroll cursor with hold for select a from t;
declare c cursor for select a from t for update;
declare c cursor for select nextval('s');
fetch c;
move 3 from c;
close c;
copy t to stdout;
copy t from stdin;
copy t to program 'x';
copy (select a from t) to stdout (format binary);
copy (delete from t returning a) to stdout;
copy (select nextval('s')) to stdout;
selec 1;
select 'open;
select /* open;
select json_object('a': 1)
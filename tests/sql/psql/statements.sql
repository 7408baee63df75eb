-- Tables and rows: definitions, writes, COPY, transactions, roles, and what is not built.
create schema s1;
create table t (id int primary key, a text not null default 'x', n numeric(8,2), d date, b bool default true, f float8, arr int[], c char(3), v varchar(4), u uuid, ts timestamptz, by bytea, r real, sm smallint, bi bigint check (bi > 0));
-- differs: expressions are shown as they were written; no ALTER COLUMN TYPE
\d t
-- differs: expressions are shown as they were written; no ALTER COLUMN TYPE
\d+ t
insert into t (id, a) values (1,'one'),(2,'two') returning *;
insert into t values (1);
insert into t values (3, null);
insert into t (id, bi) values (4, -1);
insert into t (id, v) values (5, 'abcde');
insert into t (id, v) values (5, 'abc   ');
insert into t (id, c) values (6, 'abcd');
insert into t (id, n) values (7, 1234567.891);
insert into t (id, n) values (7, 12345.678) returning n, n*2 as dbl, id+1;
insert into t (id, sm) values (8, 40000);
insert into t (id, nope) values (9, 1);
insert into t (id, id) values (9, 1);
insert into t (id) values (9, 1);
insert into t (id, a) values (9);
insert into t (id, d) values (9, 'foo');
insert into t (id, d) values (9, 1);
insert into t (id, b) values (9, 1);
insert into t (id, arr) values (10, '{1,2,3}'), (11, array[4,null]) returning id, arr, arr[1];
insert into t (id, a) values (1, 'dup') on conflict do nothing;
insert into t (id, a) values (1, 'dup') on conflict (id) do update set a = excluded.a || t.a returning id, a;
insert into t (id, a) values (1, 'dup') on conflict (id) do update set a = excluded.a where t.id > 5;
insert into t (id, a) values (1, 'dup') on conflict (a) do nothing;
insert into t (id, a) values (20, 'p'), (20, 'q') on conflict (id) do update set a = excluded.a;
-- the first change may leave the row as it was
insert into t (id, a) values (1, 'p'), (1, 'q') on conflict (id) do update set a = t.a;
insert into t (id, a) values (1, 'dup') on conflict on constraint t_pkey do nothing;
insert into t default values;
insert into t (id) select g from generate_series(100, 105) g;
insert into t (id, a, n) select id + 100, a, n from t where id between 100 and 102 returning id;
update t set a = 'upd', n = id * 1.5 where id > 100 and id < 104 returning id, a, n;
update t set (a, n) = ('two cols', 2) where id = 100 returning a, n;
-- differs: not built: a subquery as the source of several columns
update t set (a, n) = (select 'sub', 5) where id = 100 returning a, n;
update t set a = default where id = 100 returning a;
update t set id = 1 where id = 2;
update t set a = null where id = 2;
update t set nope = 1;
update t set a = 1 where id = 1 returning a;
update t set b = 1;
update t x set a = x.a || '!' where x.id = 1 returning x.*;
-- differs: the order of rows without ORDER BY
update t set a = s.v from (values (100,'f1'),(101,'f2')) s(k, v) where t.id = s.k returning t.id, t.a, s.v;
-- differs: the order of rows without ORDER BY
delete from t using (values (100),(101)) s(k) where t.id = s.k returning t.id, k;
-- differs: the order of rows without ORDER BY
delete from t where id > 102 returning id;
delete from nope;
select id, a, n, d, b from t order by id;
select count(*), count(n), sum(n), avg(n), min(a), max(a), bool_and(b), array_agg(id order by id desc), string_agg(a, ',' order by id) from t;
-- differs: not built: INSERT in WITH
with ins as (insert into t (id, a) values (200, 'cte') returning *) select id, a from ins;
-- differs: not built: DELETE in WITH
with del as (delete from t where id = 200 returning id) select * from del;
-- differs: not built: UPDATE in WITH
with up as (update t set a = 'w' where id = 1 returning a) insert into t (id, a) select 201, a from up returning id, a;
truncate t;
select * from t;
table t;
create table if not exists t (id int);
create table t (id int);
drop table nope;
drop table if exists nope;
create table s1.q ("Weird Name" int, "select" text, "UPPER" int, primary key ("Weird Name"));
insert into s1.q values (1, 'x', 2);
select "Weird Name", "select" from s1.q where "UPPER" = 2;
\d s1.q
drop schema s1;
drop schema s1 cascade;
create table nopk (a int, b text);
insert into nopk values (1,'x'),(1,'x'),(null,null);
select * from nopk order by a nulls first;
select * from nopk order by a desc;
select distinct * from nopk order by 1;
delete from nopk where a = 1;
alter table nopk add column c int default 5;
select * from nopk;
alter table nopk add column d int not null;
alter table nopk drop column b;
alter table nopk rename column a to aa;
alter table nopk rename to nopk2;
-- differs: not built: ALTER TABLE ALTER COLUMN TYPE
alter table nopk2 alter column c type bigint;
alter table nopk2 alter column c set not null;
alter table nopk2 alter column aa set not null;
alter table nopk2 alter column c drop default;
alter table nopk2 alter column c set default 7;
-- differs: expressions are shown as they were written; no ALTER COLUMN TYPE
\d nopk2
alter table nopk2 add primary key (c);
-- differs: expressions are shown as they were written; no ALTER COLUMN TYPE
\d nopk2
alter table nopk2 add unique (aa);
create unique index i1 on nopk2 (aa);
create index i2 on nopk2 (aa desc nulls last);
create table u (a int unique, b int, unique (b, a));
\d u
insert into u values (1,1),(null,1),(null,1);
insert into u values (1,2);
-- differs: not built: FOREIGN KEY
create table fk (a int references u(a));
-- differs: not built: CREATE VIEW
create view vv as select 1;
create sequence sq;
create table ser (id serial primary key);
create table idn (id int generated always as identity primary key, v text);
create table ct as select 1 as a, 'x' as b;
-- differs: not built: CREATE TEMPORARY TABLE
create temp table tt (a int);
-- differs: not built: CREATE FUNCTION
create function f() returns int language sql as 'select 1';
-- differs: not built: CREATE TYPE
create type ty as enum ('a');
-- differs: not built: COMMENT
comment on table t is 'x';
-- differs: not built: GRANT
grant select on t to public;
-- differs: not built: LISTEN
listen x;
-- differs: a notice says that there is nothing to do
vacuum t;
analyze t;
-- differs: a notice says that there is nothing to do
checkpoint;
begin; insert into t (id) values (1); savepoint s; insert into t (id) values (1); rollback to s; insert into t (id) values (2); commit;
select id from t order by id;
begin; select 1/0; select 1; commit;
commit;
rollback;
begin; begin; rollback;
savepoint x;
begin isolation level serializable; show transaction_isolation; commit;
begin read only; insert into t (id) values (77); rollback;
copy t (id, a) from stdin;
50	fifty
51	f\tb
52	\\N
\.
copy t (id, a) from stdin with (format csv, header, null 'NUL', delimiter ';');
id;a
60;"a;b"
61;'q'
\.
-- differs: the line itself is not in the context
copy t (id, a) from stdin;
70	x	y
\.
copy t (id, a) from stdin;
abc	x
\.
copy t (id, n) from stdin;
71	1.2.3
\.
copy t (id, a) from stdin;
80	x
81	y
80	z
\.
copy (select id, a, n from t order by id) to stdout;
copy (select id, a, n from t order by id) to stdout (format csv, header true, force_quote (a));
copy t (id, a) to stdout (delimiter '|', null 'NULL');
copy t (id, nope) to stdout;
copy t to stdout (format xml);
-- differs: how a row is found by its key
explain (costs off) select * from t where id = 1;
prepare p (int) as select $1 + 1, pg_typeof($1);
execute p (2);
-- differs: the error has no position
execute p ('x');
execute p;
deallocate p;
execute p(1);
create role r1;
create role r2 login password 'x';
alter role r1 login;
drop role r1, r2;
drop role r1;
create user u1;
drop user u1;
create database d1;
drop database d1;
drop database d1;
-- differs: foreign keys are not built, so nothing depends on it
drop table t, nopk2, u;

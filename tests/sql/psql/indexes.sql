-- Indexes: made, named, shown, dropped.
create table t (a int, b text, c numeric(8,2), d timestamptz, "Weird Col" int, j json, arr int[]);
create index on t (a);
create index on t (a);
create index on t (a, b);
create index on t (a, b, a);
create index named on t using btree (b desc, a asc nulls first, c desc nulls last, d nulls last);
create index "Weird" on t ("Weird Col" desc);
create unique index on t (c);
create unique index u_nnd on t (c, d) nulls not distinct;
create index on t (arr);
create index if not exists named on t (a);
create index named on t (a);
create index if not exists on t (a);
\d t
\d named
\d "Weird"
\d u_nnd
\di
-- differs: sizes are not known
\di+ named
create index on t (j);
create index on t (zz);
create index on nope (a);
create index on t using foo (a);
create index on pg_class (relname);
create index on t (a int4_ops, b text_ops);
create index on t (a) with (nothing = 3);
create index t_pad on named (a);
select indexname, indexdef from pg_indexes where tablename = 't' order by 1;
select c.relname, i.indnatts, i.indnkeyatts, i.indisunique, i.indnullsnotdistinct, i.indisprimary, i.indkey, i.indoption, i.indisvalid, i.indisready, i.indexprs, i.indpred from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = 't'::regclass order by 1;
select relname, relkind, relam, relhasindex, relnatts from pg_class where relname in ('t', 'named') order by 1;
select attname, attnum, format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'named'::regclass order by attnum;
select pg_get_indexdef('named'::regclass), pg_get_indexdef('named'::regclass, 2, true), pg_get_indexdef('u_nnd'::regclass);
alter index named rename to renamed;
alter index nope rename to x;
alter index if exists nope rename to x;
alter index renamed rename to u_nnd;
drop index renamed;
drop index renamed;
drop index if exists renamed, nope.x;
drop index t;
drop table u_nnd;
select * from u_nnd;
insert into u_nnd values (1);
drop index t_a_idx, t_a_idx1, "Weird";
\d t
begin;
create index concurrently on t (a);
rollback;
create index concurrently on t (a);
begin;
drop index concurrently t_a_idx;
rollback;
drop index concurrently t_a_idx;
-- Constraints.
create table k (a int primary key, b int unique, c int, d int, constraint two unique (c, d), unique nulls not distinct (d));
\d k
create table same (a int unique, b int unique, unique (a), unique (a, b), constraint ab unique (a, b));
\d same
create table clash_a_key (x int);
create table clash (a int unique, constraint clash_b_key unique (a, b), b int unique);
\d clash
select conname, contype, conkey, pg_get_constraintdef(oid) from pg_constraint where conrelid = 'k'::regclass order by 1;
drop index k_pkey;
drop index two;
alter table k drop constraint two;
alter table k drop constraint two;
alter table k drop constraint if exists two;
alter table k add unique (c);
alter table k add constraint two unique (c, d);
alter table k add constraint two unique (c, d);
alter table k add unique nulls not distinct (a, b);
alter table k add unique (zz);
-- differs: ALTER TABLE's errors have no position
alter table k add unique (a, a);
alter table k rename constraint two to three;
alter table k rename constraint nope to three;
alter index k_b_key rename to b_is_unique;
\d k
alter table k drop constraint k_pkey;
\d k
alter table k add constraint again primary key (a, b);
\d k
alter table k drop column b;
\d k
select conname, contype, conkey from pg_constraint where conrelid = 'k'::regclass order by 1;
select table_name, constraint_name, constraint_type from information_schema.table_constraints where table_name = 'k' and constraint_type <> 'CHECK' order by 2;
select constraint_name, column_name, ordinal_position from information_schema.key_column_usage where table_name = 'k' order by 1, 3;
-- Unique keys.
create table u (id int primary key, a int, b text, unique (a, b));
insert into u values (1, 1, 'x'), (2, null, 'x'), (3, null, 'x'), (4, 1, null);
insert into u values (5, 1, 'x');
insert into u values (1, 9, 'x');
update u set a = 1 where id = 3;
update u set b = 'x' where id = 4;
insert into u values (6, 1, 'x') on conflict do nothing;
insert into u values (6, 1, 'x') on conflict (b, a) do update set b = excluded.b || u.b returning *;
insert into u values (6, 1, 'xx') on conflict on constraint u_a_b_key do update set id = 60 returning *;
insert into u values (6, 1, 'xx') on conflict (id) do nothing;
insert into u values (6, 1, 'xx') on conflict (b) do nothing;
insert into u values (6, 1, 'xx') on conflict on constraint nope do nothing;
insert into u values (7, 7, 'x'), (8, 7, 'x') on conflict (a, b) do update set b = 'y';
create unique index u_b on u (b);
delete from u where a is null;
create unique index u_b on u (b);
insert into u values (9, 9, 'xx');
insert into u values (9, 9, 'xx') on conflict (b) do update set a = 99 returning *;
insert into u values (9, 9, 'xx') on conflict on constraint u_b do nothing;
alter table u add unique (a);
select * from u order by id;
create table n (a int, b int);
create unique index on n (a, b) nulls not distinct;
insert into n values (1, null), (null, null);
insert into n values (1, null);
insert into n values (null, null);
update n set b = 2 where a = 1;
insert into n values (1, null);
select * from n order by a, b;
truncate n;
insert into n values (null, null);
insert into n values (null, null);
reindex index n_a_b_idx;
reindex table n;
reindex table nope;
reindex index nope;
insert into n values (null, null);
begin;
create index in_block on n (b);
insert into n values (3, 4);
select a from n where b = 4;
rollback;
\d n
drop table n;
\di n*

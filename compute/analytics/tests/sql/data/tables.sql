create table t (a integer primary key, b integer, c text, d numeric, e double precision);
insert into t values
  (1, 10, 'one', 1.0, 1.5), (2, 20, 'two', 1.00, 'NaN'), (3, 10, 'three', 2.50, -0.0), (4, null, null, null, null),
  (5, 30, 'five', 10, 0.0), (6, 20, 'six', -3.25, 'Infinity'), (7, 10, 'One', 100.000, 'NaN');
create table u (x integer, y integer, z varchar(10));
insert into u values (1, 100, 'ua'), (2, null, 'ub'), (2, 200, 'uc'), (8, 800, null), (null, 5, 'ue');
create table v (k bigint, n numeric(10,2), s char(5), b boolean, day date, at timestamp, i interval);
insert into v values
  (1, 1.00, 'ab', true, '2024-01-31', '2024-01-31 10:00', '1 day'),
  (2, 2.50, 'ab   ', false, '2024-02-29', '2024-02-29 00:00:00.5', '24 hours'),
  (5000000000, -1, 'b', null, null, 'infinity', '1 month'),
  (null, null, null, true, '1999-12-31', null, null);
create table nn (p integer not null, q integer not null);
insert into nn values (1, 1), (2, 4), (3, 9), (4, 16);
create table arr (id integer primary key, xs integer[], ts text[]);
insert into arr values (1, '{1,2,3}', '{a,b}'), (2, '{}', null), (3, null, '{}'), (4, '{3,null}', '{NULL,x}');
create table emp (id integer primary key, boss integer, name text not null, pay numeric(8,2), hired date);
insert into emp values
  (1, null, 'ann', 100.00, '2020-01-01'), (2, 1, 'bob', 80.50, '2020-02-01'), (3, 1, 'cid', 80.5, '2021-01-01'),
  (4, 2, 'dan', 60, '2021-06-01'), (5, 2, 'eve', null, '2022-01-01'), (6, 4, 'fay', 40.25, null);
create table huge (id integer primary key, big numeric(38,2), nan numeric(10,3));
insert into huge values
  (1, 999999999999999999999999999999999999.99, 'NaN'), (2, -999999999999999999999999999999999999.98, 5.5),
  (3, 999999999999999999999999999999999999.99, 7), (4, 1.5, null), (5, null, 'NaN');
create table chars (c char(4), d integer);
insert into chars values ('a', 1), (E'a\t', 2), ('ab', 3), ('', 4), (null, 5), ('a', 6), ('é', 7), (E'a\x1f', 8);
create table days (d date);
insert into days values ('2000-02-29'), ('2000-03-01'), ('0001-01-01'), ('4713-01-01 BC'), ('9999-12-31'), ('infinity'),
  ('2000-03-02'), (null);

-- Queries: joins, grouping, set operations, subqueries, windows, settings.
create table dept (id int primary key, name text);
create table emp (id int primary key, dept int, name text, sal numeric(10,2), mgr int, hired date);
insert into dept values (1,'eng'),(2,'ops'),(3,'empty');
insert into emp values (1,1,'ann',100.50,null,'2020-01-01'),(2,1,'bob',80,1,'2021-02-03'),(3,2,'cid',60.25,1,'2019-05-05'),(4,null,'dee',null,3,null),(5,2,'eve',60.25,3,'2022-12-31');
select e.name, d.name from emp e join dept d on e.dept = d.id order by e.id;
select e.name, d.name from emp e left join dept d on e.dept = d.id order by e.id;
select d.name, e.name from emp e right join dept d on e.dept = d.id order by 1, 2;
select e.name, d.name from emp e full join dept d on e.dept = d.id order by 1, 2;
select count(*) from emp cross join dept;
select * from emp join dept using (id) order by id;
select * from emp natural join dept order by id;
select dept, count(*), sum(sal), avg(sal), min(hired), max(name) from emp group by dept order by dept nulls first;
select dept, count(*) from emp group by 1 having count(*) > 1 order by 2 desc, 1;
select name, sal from emp order by sal desc nulls last, name;
select name, sal from emp order by sal desc, name;
select distinct dept from emp order by dept;
select distinct on (dept) dept, name from emp order by dept, sal desc nulls last;
select name from emp group by dept;
select count(*) from emp where count(*) > 1;
select name, (select d.name from dept d where d.id = e.dept) from emp e order by e.id;
select name from emp e where exists (select 1 from dept d where d.id = e.dept and d.name = 'eng') order by 1;
select name from emp where dept in (select id from dept where name <> 'ops') order by 1;
select name from emp where dept not in (select id from dept where name <> 'ops') order by 1;
select name from emp where sal > (select avg(sal) from emp) order by 1;
select name from emp where sal > all (select sal from emp where dept = 2) order by 1;
select (select id from emp);
select (select id, name from emp where id = 1);
select d.name, x.name, x.sal from dept d, lateral (select name, sal from emp where dept = d.id order by sal desc limit 1) x order by 1;
select d.name, x.name from dept d left join lateral (select name from emp where dept = d.id order by sal desc limit 1) x on true order by 1;
with recursive r(n) as (select 1 union all select n + 1 from r where n < 5) select sum(n), array_agg(n) from r;
with recursive tree as (select id, name, 0 as lvl from emp where mgr is null union all select e.id, e.name, t.lvl + 1 from emp e join tree t on e.mgr = t.id) select * from tree order by id;
with a as (select 1 as x), b as (select x + 1 as y from a) select * from a, b;
select name, rank() over (order by sal desc nulls last), row_number() over (partition by dept order by id), sum(sal) over (partition by dept), lag(name) over (order by id) from emp order by id;
-- differs: not built: a window frame other than the default one
select name, sum(sal) over (order by id rows between 1 preceding and current row) from emp order by id;
-- differs: not built: GROUPING SETS
select dept, name, sum(sal) from emp group by grouping sets ((dept), (name), ()) order by 1, 2;
-- differs: not built: ROLLUP
select dept, count(*) from emp group by rollup (dept) order by 1;
select count(distinct dept), sum(distinct sal), count(*) filter (where sal > 70) from emp;
select string_agg(name, ', ' order by name desc) from emp;
select array_agg(dept order by id) from emp;
-- differs: not built: aggregate corr()
select bool_or(sal > 90), every(sal > 10), stddev(sal), variance(sal), corr(id, dept) from emp;
select sum(id), sum(id::bigint), sum(sal), sum(sal::float8), sum(id::smallint), avg(id), avg(sal::float8), pg_typeof(sum(id)), pg_typeof(avg(id)), pg_typeof(sum(id::bigint)) from emp;
select sum(id) from emp where false;
select max(hired) - min(hired) from emp;
select id from emp union select id from dept order by id;
select dept from emp except select id from dept;
select dept from emp intersect all select id from dept order by 1;
select dept from emp except all select 1 order by 1;
values (1,'a'),(2,'b') order by 1 desc;
select * from (values (1,'a'),(2,null)) v(x, y) where y is null;
select v.* from (values (1),(2.5)) v;
-- differs: not built: a row as a value (whole-row reference)
select e from emp e where id = 1;
-- differs: not built: a row as a value (whole-row reference)
select emp from emp order by id limit 1;
-- differs: not built: a row as a value (whole-row reference)
select (e).name from emp e where id = 1;
select e.* from emp e where e.id = 1;
-- differs: no hint of a similar name
select emp.nope from emp;
select x.id from emp;
select id from emp, dept;
select * from emp e, emp e;
select name as n from emp where n = 'x';
select name as n from emp order by n desc limit 1;
select sal * 2 as s from emp order by s + 1;
select 1 from emp order by 5;
select distinct name from emp order by id;
select id, id as id2 from emp group by id having max(id) > 3 order by id;
select case when sal is null then 'none' when sal > 70 then 'hi' else 'lo' end as c, count(*) from emp group by c order by c;
select coalesce(dept::text, 'n/a'), count(*) from emp group by coalesce(dept::text, 'n/a') order by 1;
select * from emp where hired between '2020-01-01' and '2021-12-31' order by id;
select * from emp where name = 1;
select * from emp where id = '1';
select * from emp where id = 'x';
select * from emp where (dept, name) = (1, 'bob');
select * from emp where (dept, name) in ((1,'bob'),(2,'eve')) order by id;
select * from emp where id = 1 for update;
-- differs: not built: TABLESAMPLE
select * from emp tablesample system (10);
select row_number() over w from emp window w as (order by id desc) order by 1 limit 2;
select ntile(2) over (order by id), first_value(name) over (order by id), last_value(name) over (order by id), nth_value(name,2) over (order by id), percent_rank() over (order by id), cume_dist() over (order by id), dense_rank() over (order by sal) from emp order by id;
-- differs: not built: WITHIN GROUP
select percentile_cont(0.5) within group (order by sal), mode() within group (order by dept) from emp;
select * from unnest(array[1,2], array['a','b','c']) u(a, b);
select * from (select 1) ;
select id, generate_series(1, id) from emp where id < 3 order by 1, 2;
select length(repeat('x', 1000000)), md5(repeat('é', 500000));
create table big (id int primary key, v text, b bytea);
insert into big values (1, repeat('abcdefghij', 100000), decode(repeat('00ff', 200000), 'hex'));
select length(v), md5(v), length(b), md5(b) from big;
update big set v = v || 'tail' where id = 1;
select length(v), right(v, 6) from big;
select e1.name, e2.name from emp e1 left join emp e2 on e1.mgr = e2.id and e2.sal > 90 order by e1.id;
select * from emp where name like '%e%' and not (sal > 70) or dept is null order by id;
select sum(x) from (select id as x from emp union all select 100) t;
select exists(select 1 from emp where id = 99), array(select id from emp order by id desc);
select pg_typeof(x) from (select 1 union select 2.5) t(x) limit 1;
select current_user, session_user, current_schema, current_database(), current_schemas(false);
show search_path;
set search_path = nope, public;
show search_path;
reset search_path;
set nope.x = 'a';
show nope.x;
set foo = 1;
show foo;
select current_setting('server_encoding'), current_setting('nope', true), set_config('application_name', 'z', false);
set local timezone = 'UTC';
set statement_timeout = '1s';
show statement_timeout;
set statement_timeout = 'abc';
reset all;
drop table emp, dept, big;
-- set-returning functions side by side
select generate_series(1, 3) a, generate_series(1, 2) b, 'c' c;
select * from unnest(array[1, 2, 3], array['a', 'b']) with ordinality as u(x, y, o);
select generate_series(1, generate_series(1, 3));

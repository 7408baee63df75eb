with s as (select a, b from t where b = 10) select * from s order by a
----
1|10
3|10
7|10

with s as (select a from t) select s1.a, s2.a from s s1 join s s2 on s1.a = s2.a + 5 order by 1
----
6|1
7|2

with s as materialized (select random() as r) select s1.r = s2.r from s s1, s s2
----
t

with s as (select random() as r) select s1.r = s2.r from s s1, s s2
----
t

with a as (select 1 as x), b as (select x + 1 as x from a) select * from a union all select * from b order by 1
----
1
2

with recursive r(n) as (select 1 union all select n + 1 from r where n < 5) select * from r order by n
----
1
2
3
4
5

with recursive r(n) as (select 1 union all select n + 1 from r) select * from r limit 4
----
1
2
3
4

with recursive r(n) as (select 1 union select (n + 1) % 4 from r) select * from r order by n
----
0
1
2
3

with recursive chain(id, name, depth) as (select id, name, 0 from emp where boss is null union all select e.id, e.name, depth + 1 from emp e join chain c on e.boss = c.id) select name, depth from chain order by depth, name
----
ann|0
bob|1
cid|1
dan|2
eve|2
fay|3

with recursive r(n) as (select 1.0 union select case when n = 1 then 1.00 else 2 end from r) select count(*) from r
----
1

with recursive r(n) as (select 1 union all select n + 1 from r where n < 3) select r1.n, r2.n from r r1, r r2 where r1.n = r2.n order by 1
----
1|1
2|2
3|3

select a, (with s as (select x, y from u where x = t.a) select count(*) from s) from t order by a
----
1|1
2|2
3|0
4|0
5|0
6|0
7|0

select a, (with s as (select x from u) select count(*) from s s1, s s2 where s1.x = t.a) from t order by a
----
1|5
2|10
3|0
4|0
5|0
6|0
7|0

select a from t where a in (with recursive r(n) as (select 1 union all select n + 2 from r where n < 5) select n from r) order by a
----
1
3
5

with s as (select 1 / 0 as x) select 1
----
1

select a, (with recursive r(n) as (select a union all select n + 1 from r where n < t.a + 2) select sum(n) from r) from t order by a
----
1|6
2|9
3|12
4|15
5|18
6|21
7|24

select a, (with recursive r(n, d) as (select x, 0 from u where x = t.a union all select u.x, d + 1 from u, r where u.x = r.n + 1 and d < 3) select max(d) from r r1 where exists (select 1 from r r2 where r2.n = r1.n)) from t order by a
----
1|1
2|0
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

select a, (with s as (select x, y from u where x >= t.a) select count(*) from s s1, s s2 where s1.x = s2.x) from t order by a
----
1|6
2|5
3|1
4|1
5|1
6|1
7|1

select a, b, x from t, lateral (with recursive r(n) as (select t.a union all select n * 2 from r where n < 4) select max(n) as x from r) s where b = 10 order by a
----
1|10|4
3|10|6
7|10|7

select a, (with recursive r(n) as (select 1 union select n + 1 from r where n < (with s as (select t.a as m) select max(s1.m) from s s1, s s2)) select count(*) from r) from t order by a
----
1|1
2|2
3|3
4|4
5|5
6|6
7|7

select a from t where exists (select 1 from u where x = a) order by a
----
1
2

select a from t where not exists (select 1 from u where x = a) order by a
----
3
4
5
6
7

select a from t where exists (select 1 from u where x = a and y > 150) order by a
----
2

select a from t where exists (select 1 from u where x > a and y > b * 50) order by a
----
1
3
7

select a from t where exists (select 1 from u) order by a
----
1
2
3
4
5
6
7

select a from t where not exists (select 1 from u where y > 10000) order by a
----
1
2
3
4
5
6
7

select a from t where a in (select x from u) order by a
----
1
2

select a from t where a not in (select x from u) order by a
----

select a from t where a not in (select x from u where x is not null) order by a
----
3
4
5
6
7

select a from t where b not in (select p from nn) order by a
----
1
2
3
5
6
7

select a from t where b not in (select y from u where false) order by a
----
1
2
3
4
5
6
7

select a from t where a in (select x from u where y > b) order by a
----
1
2

select a from t where a not in (select x from u where u.y > t.b) order by a
----
3
4
5
6
7

select a from t where (a, 100) in (select x, y from u) order by a
----
1

select a from t where (a, b) not in (select x, y from u) order by a
----
1
3
5
6
7

select a from t where d in (select n from v) order by a
----
1
2
3

select a, a in (select x from u), a not in (select x from u) from t order by a
----
1|t|f
2|t|f
3|NULL|NULL
4|NULL|NULL
5|NULL|NULL
6|NULL|NULL
7|NULL|NULL

select a, exists (select 1 from u where x = a) from t order by a
----
1|t
2|t
3|f
4|f
5|f
6|f
7|f

select a from t where b = 30 or exists (select 1 from u where x = a) order by a
----
1
2
5

select a from t where a > any (select x from u) order by a
----
2
3
4
5
6
7

select a from t where a > all (select x from u where x < 5) order by a
----
3
4
5
6
7

select a from t where a >= all (select x from u) order by a
----

select a from t where a <> all (select p from nn) order by a
----
5
6
7

select a from t where not (a > all (select p from nn)) order by a
----
1
2
3
4

select a, a > any (select x from u where y > 150), a < all (select x from u where x > 100) from t order by a
----
1|f|t
2|f|t
3|t|t
4|t|t
5|t|t
6|t|t
7|t|t

select a, (select max(y) from u where x = a) from t order by a
----
1|100
2|200
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

select a, (select count(*) from u where x = a) from t order by a
----
1|1
2|2
3|0
4|0
5|0
6|0
7|0

select a, (select count(*) + 1 from u where x = a and y > 150) from t order by a
----
1|1
2|2
3|1
4|1
5|1
6|1
7|1

select a, (select y from u where x = a) from t order by a
----
ERROR 21000

select a, (select y from u where x = a and y is not null) from t order by a
----
1|100
2|200
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

select a from t where b > (select avg(b) from t) order by a
----
2
5
6

select a from t where b = (select max(b) from t t2 where t2.c = t.c) order by a
----
1
2
3
5
6
7

select (select 1 where false)
----
NULL

select (select x from u)
----
ERROR 21000

select array(select a from t where b = 10 order by a desc), array(select a from t where false)
----
{7,3,1}|{}

select a, array(select y from u where x = t.a order by y) from t order by a
----
1|{100}
2|{200,NULL}
3|{}
4|{}
5|{}
6|{}
7|{}

select a, (select sum(y) from u where x < t.a) from t order by a
----
1|NULL
2|100
3|300
4|300
5|300
6|300
7|300

select a from t where a = (select min(x) from u where x = t.a and y = (select max(y) from u u2 where u2.x = u.x)) order by a
----
1
2

select a, (select (select t.a + u.x from nn where p = 1) from u where x = 1) from t order by a
----
1|2
2|3
3|4
4|5
5|6
6|7
7|8

select a from t where (select y from u where x = t.a limit 1) is null order by a
----
2
3
4
5
6
7

select name from emp e where pay > (select avg(pay) from emp where boss = e.boss) order by name
----

select name, (select string_agg(name, ',' order by name) from emp s where s.boss = e.id) from emp e order by id
----
ann|bob,cid
bob|dan,eve
cid|NULL
dan|fay
eve|NULL
fay|NULL

select name from emp e where not exists (select from emp s where s.boss = e.id) order by name
----
cid
eve
fay

select sum(case when exists (select 1 from u where x = a) then 1 else 0 end) from t
----
2

select b, count(*) from t where a in (select x from u) group by b order by b
----
10|1
20|1

select a from t where exists (select 1 from u join nn on x = p where q > t.a) order by a
----
1
2
3

select a from t where exists (select 1 from (select x from u where y > 10) s where s.x = t.a) order by a
----
1
2

select a from t where exists (select x from u where x = a group by x having count(*) > 1) order by a
----
2

select a from t where exists (select x from u where x = a limit 0) order by a
----

select a from t where a in (select max(x) from u group by y) order by a
----
1
2

select a from t where a in (select x from u union select p from nn) order by a
----
1
2
3
4

select max((select count(*) from u where x = a)) from t
----
2

select a from t group by a having a in (select x from u) order by a
----
1
2

select count(*) from t where null in (select x from u)
----
0

select count(*) from t where (null = any (select x from u)) is null
----
7

select count(*) from t where null not in (select x from u where false)
----
7

select a from t where a between (select min(x) from u) and (select max(p) from nn) order by a
----
1
2
3
4

select t.a, u.x from t, u where t.a = u.x and exists (select 1 from nn where p = t.a and q < u.y) order by 1, 2
----
1|1
2|2

select x, 1 / x from u where x in (select a from t where a > 0) and exists (select 1 from nn where 10 / (u.x - 8) < p) order by x
----
1|1
2|0
2|0

select a, d = (select n from v where k = t.a) from t order by a
----
1|t
2|f
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

select a, (select y from u where x = t.a and t.b = 10) from t where a <> 2 order by a
----
1|100
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

select a, (select sum(y) + t.b from u where x = t.a) from t order by a
----
1|110
2|220
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

select a, (select string_agg(z, ',' order by z) from u where x = t.a) from t order by a
----
1|ua
2|ub,uc
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

select a, coalesce((select sum(y) from u where x = t.a), 0) + 1 from t order by a
----
1|101
2|201
3|1
4|1
5|1
6|1
7|1

select a from t where b > (select count(*) * 5 from u where x = t.a and t.c is not null) order by a
----
1
2
3
5
6
7

select t.a, (select count(*) from v where n = t.d) from t order by a
----
1|1
2|1
3|1
4|0
5|0
6|0
7|0

select a, (select count(y) filter (where y > 100) from u where x = t.a and x > 1) from t order by a
----
1|0
2|1
3|0
4|0
5|0
6|0
7|0

select a, (select max(y) from u where x = t.a and y < t.b * 8) from t order by a
----
1|NULL
2|NULL
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

select a, (select max(y) from u where x = t.a group by x) from t order by a
----
1|100
2|200
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

select a, (select max(y) from u where x = t.a having count(*) > 1) from t order by a
----
1|NULL
2|200
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

select a, (select avg(q) from nn, u where p = x and x = t.a) from t order by a
----
1|1.00000000000000000000
2|4.0000000000000000
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

select row(a, (select count(*) from u where x = t.a), null, array[b]) from t order by a
----
(1,1,,{10})
(2,2,,{20})
(3,0,,{10})
(4,0,,{NULL})
(5,0,,{30})
(6,0,,{20})
(7,0,,{10})

select a from t where exists (select 1 from u where x = t.a and random() < 2) order by a
----
1
2

select case when a > 100 then (select x from u) else a end from t order by a
----
1
2
3
4
5
6
7

select case a when 1 then (select y from u where x = 1) when 3 then (select max(x) from u) else (select x from u where x = 8) end from t where a in (1, 3, 4) order by a
----
100
8
8

select coalesce(b, (select x from u)) from t where a <> 4 order by a
----
10
20
10
30
20
10

select a from t where a = 1 or (a > 1000 and (select x from u) = 1) order by a
----
1

select a > 0 or (select x = 1 from u) from t order by a
----
t
t
t
t
t
t
t

select case when b is not null then (select 100 / (t.b - 10 + 1) from nn where p = 1) end from t where a <= 4 order by a
----
100
9
100
NULL

select case when exists (select 1 from u where x = a) then 'y' when (select count(*) from u where x = a) = 0 then 'n' else 'never' end from t order by a
----
y
y
n
n
n
n
n

select case when a <> 4 then (select case when p = 1 then (select min(q) + t.b from nn) else (select x from u) end from nn where p = 1) end from t order by a
----
11
21
11
NULL
31
21
11

select a from t where b not in (select x from u where x > 1) order by a
----
1
2
3
5
6
7

select a from t where b not in (select y / 10 from u where y is not null) order by a
----
5

select a from t where d not in (select n from v where n is not null) order by a
----
5
6
7

select a from t where e not in (select e from t where a = 2) order by a
----
1
3
5
6

select a from t where a + 0 not in (with s as (select x from u where x > 1) select x from s) order by a
----
1
3
4
5
6
7

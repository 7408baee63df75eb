select a, x, y from t join u on a = x order by a, y
----
1|1|100
2|2|200
2|2|NULL

select a, x, y from t left join u on a = x order by a, y
----
1|1|100
2|2|200
2|2|NULL
3|NULL|NULL
4|NULL|NULL
5|NULL|NULL
6|NULL|NULL
7|NULL|NULL

select a, x, y from t right join u on a = x order by a, x, y
----
1|1|100
2|2|200
2|2|NULL
NULL|8|800
NULL|NULL|5

select a, x, y from t full join u on a = x order by a, x, y
----
1|1|100
2|2|200
2|2|NULL
3|NULL|NULL
4|NULL|NULL
5|NULL|NULL
6|NULL|NULL
7|NULL|NULL
NULL|8|800
NULL|NULL|5

select count(*) from t cross join u
----
35

select count(*) from t, u where a = x and y > 50
----
2

select a, x from t join u on a < x order by a, x
----
1|2
1|2
1|8
2|8
3|8
4|8
5|8
6|8
7|8

select a, x from t left join u on a = x and y > 100 order by a, x
----
1|NULL
2|2
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

select a, x from t left join u on a = x where y > 100 order by a, x
----
2|2

select a, x from t left join u on a = x where x is null order by a
----
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

select a, x from t full join u on a = x and b = 10 order by a, x, y
----
1|1
2|NULL
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL
NULL|2
NULL|2
NULL|8
NULL|NULL

select t1.a, t2.a from t t1 join t t2 on t1.d = t2.d order by 1, 2
----
1|1
1|2
2|1
2|2
3|3
5|5
6|6
7|7

select t1.a, t2.a from t t1 join t t2 on t1.e = t2.e order by 1, 2
----
1|1
2|2
2|7
3|3
3|5
5|3
5|5
6|6
7|2
7|7

select v1.k, v2.k from v v1 join v v2 on v1.s = v2.s order by 1, 2
----
1|1
1|2
2|1
2|2
5000000000|5000000000

select v1.k, v2.k from v v1 join v v2 on v1.i = v2.i order by 1, 2
----
1|1
1|2
2|1
2|2
5000000000|5000000000

select a, k from t join v on a = k order by 1
----
1|1
2|2

select a, n, d from t join v on d = n order by a
----
1|1.00|1.0
2|1.00|1.00
3|2.50|2.50

select e.name, b.name from emp e left join emp b on e.boss = b.id order by e.id
----
ann|NULL
bob|ann
cid|ann
dan|bob
eve|bob
fay|dan

select e.name, b.name, g.name from emp e join emp b on e.boss = b.id left join emp g on b.boss = g.id order by e.id
----
bob|ann|NULL
cid|ann|NULL
dan|bob|ann
eve|bob|ann
fay|dan|bob

select a, z from t join u using (a) limit 1
----
ERROR 42703

select * from nn natural join (select 1 as p, 'x' as w) s
----
1|1|x

select a, g from t, generate_series(1, a) g where a <= 3 order by a, g
----
1|1
2|1
2|2
3|1
3|2
3|3

select a, g from t left join lateral generate_series(1, b / 10) g on true order by a, g
----
1|1
2|1
2|2
3|1
4|NULL
5|1
5|2
5|3
6|1
6|2
7|1

select a, s.m from t, lateral (select max(y) as m from u where u.x = t.a) s order by a
----
1|100
2|200
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

select a, s.y from t left join lateral (select y from u where u.x = t.a order by y nulls first limit 1) s on true order by a
----
1|100
2|NULL
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

select a, s.y from t left join lateral (select y from u where u.x = t.a) s on s.y > t.a * 60 order by a, y
----
1|100
2|200
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

select a, s.q from t cross join lateral (select t.b * 2 as q) s order by a
----
1|20
2|40
3|20
4|NULL
5|60
6|40
7|20

select id, x, n from arr, unnest(xs) with ordinality as w(x, n) order by id, n
----
1|1|1
1|2|2
1|3|3
4|3|1
4|NULL|2

select id, x from arr left join unnest(xs) x on true order by id, x
----
1|1
1|2
1|3
2|NULL
3|NULL
4|3
4|NULL

select g from generate_series(1, 3) g order by g desc
----
3
2
1

select * from generate_series(1, 10, 4) with ordinality
----
1|1
5|2
9|3

select generate_series(1, 2), a from t where a < 3 order by a, 1
----
1|1
2|1
1|2
2|2

select a from t join u on a = x and (select max(p) from nn) > a order by a
----
1
2
2

select a, x from t left join u on a = x and (select count(*) from nn) > 100 order by a
----
1|NULL
2|NULL
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

select a, x from t left join u on a = x and exists (select 1 from nn where p = t.a) order by a, y
----
1|1
2|2
2|2
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

select count(*) from t t1, t t2, t t3 where t1.a = t2.b / 10 and t2.a = t3.a
----
6

select count(*) from (select a from t where false) s left join u on true
----
0

select count(*) from u left join (select a from t where false) s on true
----
5

select a, x from t left join u on false order by a
----
1|NULL
2|NULL
3|NULL
4|NULL
5|NULL
6|NULL
7|NULL

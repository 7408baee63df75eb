select a from t union select x from u order by 1
----
1
2
3
4
5
6
7
8
NULL

select b from t union all select y from u order by 1
----
5
10
10
10
20
20
30
100
200
800
NULL
NULL

select b from t intersect select y / 10 from u order by 1
----
10
20
NULL

select b from t intersect all select b from t where a < 4 order by 1
----
10
10
20

select b from t except select 10 order by 1
----
20
30
NULL

select b from t except all select 10 order by 1
----
10
10
20
20
30
NULL

select trim_scale(x) from (select d from t union select n from v) s(x) order by 1
----
-3.25
-1
1
2.5
10
100
NULL

select d from t except select 1.000 order by 1
----
-3.25
2.50
10
100.000
NULL

select count(*) from (select d from t intersect select 1.000) s
----
1

select e from t union select 'NaN' order by 1
----
0
1.5
Infinity
NaN
NULL

select 1 union select 2.5 order by 1
----
1
2.5

select a, c from t where a = 1 union all select 2, 'x' union all select null, null order by 1
----
1|one
2|x
NULL|NULL

(select a from t order by a desc limit 2) union all (select x from u order by x limit 1) order by 1
----
1
6
7

select 1 union all select 1 union select 1
----
1

select null union select 1 order by 1
----
1
NULL

select s::text from (select s from v union select 'ab') as either order by 1
----
ab
b
NULL

select count(*) from (select a from t union select a from t) s
----
7

select a from t except select a from t order by 1
----

select generate_series(1, 3) a, generate_series(1, 2) b, 'c' c
----
1|1|c
2|2|c
3|NULL|c

select a, unnest(array[1, 2]), unnest(array['x']) from t where a < 3 order by a
----
1|1|x
1|2|NULL
2|1|x
2|2|NULL

select * from unnest(array[1, 2, 3], array['a', 'b'], '{}'::int[]) with ordinality as u(x, y, z, o) order by o
----
1|a|NULL|1
2|b|NULL|2
3|NULL|NULL|3

select t.a, u.* from t, unnest(array[t.a, 7], array[t.b]) u(x, y) where t.a in (1, 2) order by 1, 2
----
1|1|10
1|7|NULL
2|2|20
2|7|NULL

select generate_series(1, generate_series(1, 3)) order by 1
----
1
1
1
2
2
3

select unnest(array[1, 2]), generate_series(1, 0)
----
1|NULL
2|NULL

select a % 2, generate_series(1, 2), unnest(array[count(*), min(a), max(a)]) from t group by 1 order by 1, 2, 3
----
0|1|3
0|2|2
0|NULL|6
1|1|4
1|2|1
1|NULL|7

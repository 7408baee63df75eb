select 1
----
1

select a, b, c from t order by a
----
1|10|one
2|20|two
3|10|three
4|NULL|NULL
5|30|five
6|20|six
7|10|One

select a + 1, b * 2 from t where a < 4 order by a
----
2|20
3|40
4|20

select c from t where b = 10 and a > 1 order by c
----
One
three

select c from t where c like '%o%' order by c
----
one
two

select * from t where b is null
----
4|NULL|NULL|NULL|NULL

select a from t where not (b = 10) order by a
----
2
5
6

select a from t where b = 10 is not true order by a
----
2
4
5
6

select a, case when b = 10 then 'ten' when b is null then 'none' else 'other' end from t order by a
----
1|ten
2|other
3|ten
4|none
5|other
6|other
7|ten

select a, case when a <> 3 then 10 / (a - 3) else 0 end from t order by a
----
1|-5
2|-10
3|0
4|10
5|5
6|3
7|2

select a from t where a <> 3 and 10 / (a - 3) > 1 order by a
----
4
5
6
7

select 10 / (a - 3) from t
----
ERROR 22012

select a from (select a, 10 / (a - 3) as q from t where a <> 3) s where q > 2 order by a
----
4
5
6

select a::smallint + 32767::smallint from t where a = 1
----
ERROR 22003

select 2147483647 + a from t where a = 1
----
ERROR 22003

select a::bigint * 9223372036854775807 from t where a = 2
----
ERROR 22003

select coalesce(b, -1), nullif(b, 10), greatest(a, b), least(a, b, 15) from t order by a
----
10|NULL|10|1
20|20|20|2
10|NULL|10|3
-1|NULL|4|4
30|30|30|5
20|20|20|6
10|NULL|10|7

select b is distinct from 10, b is not distinct from null from t order by a
----
f|f
t|f
f|f
t|t
t|f
t|f
f|f

select a from t where a in (1, 3, 5, null) order by a
----
1
3
5

select a from t where a not in (1, 3, 5) order by a
----
2
4
6
7

select a from t where a not in (1, 3, null) order by a
----

select a from t where b = any (array[10, null]) order by a
----
1
3
7

select a from t where b <> all (array[10, 20]) order by a
----
5

select a from t where d = 1 order by a
----
1
2

select a from t where d in (1, 2.5) order by a
----
1
2
3

select e, e = 'NaN', e = 0, e > 1 from t order by a
----
1.5|f|f|t
NaN|t|f|t
0|f|t|f
NULL|NULL|NULL|NULL
0|f|t|f
Infinity|f|f|t
NaN|t|f|t

select s, s = 'ab', length(s), s || '|' from v order by k
----
ab   |t|2|ab|
ab   |t|2|ab|
b    |f|1|b|
NULL|NULL|NULL|NULL

select k from v where s = 'ab' order by k
----
1
2

select day + 1, at + i, day < at from v order by k
----
2024-02-01|2024-02-01 10:00:00|t
2024-03-01|2024-03-01 00:00:00.5|t
NULL|infinity|NULL
2000-01-01|NULL|NULL

select now() = now(), current_date = now()::date
----
t|t

select random() between 0 and 1, random() <> random()
----
t|t

select count(*) from t where random() < 2
----
7

values (1, 'a'), (2, null), (1 + 2, 'c')
----
1|a
2|NULL
3|c

select * from (values (1, 1.0), (2, 2.00)) as w(p, q) where p > 1
----
2|2.00

select a from t limit 0
----

select a from t order by a limit 2 offset 3
----
4
5

select a from t order by a offset 5
----
6
7

select a from t limit -1
----
ERROR 2201W

select a from t offset -1
----
ERROR 2201X

select a from t order by a limit null
----
1
2
3
4
5
6
7

select array[a, b] from t order by a
----
{1,10}
{2,20}
{3,10}
{4,NULL}
{5,30}
{6,20}
{7,10}

select xs[1], xs[2:3], array_length(xs, 1), xs || 9 from arr order by id
----
1|{2,3}|3|{1,2,3,9}
NULL|{}|NULL|{9}
NULL|NULL|NULL|{9}
3|{NULL}|2|{3,NULL,9}

select id from arr where 3 = any (xs) order by id
----
1
4

select id from arr where xs = '{1,2,3}' order by id
----
1

select row(a, b) from t where a < 3 order by a
----
(1,10)
(2,20)

select upper(c), length(c), c || a from t order by a
----
ONE|3|one1
TWO|3|two2
THREE|5|three3
NULL|NULL|NULL
FIVE|4|five5
SIX|3|six6
ONE|3|One7

select c ~ '^o', c ~* '^o', c !~ 'e$' from t order by a
----
t|t|f
f|f|t
f|f|f
NULL|NULL|NULL
f|f|f
f|f|t
f|t|f

select a from t where c collate "C" > 'o' order by a
----
1
2
3
6

select day::text, at::date, n::integer, k::text from v order by k
----
2024-01-31|2024-01-31|1|1
2024-02-29|2024-02-29|3|2
NULL|infinity|-1|5000000000
1999-12-31|NULL|NULL|NULL

select 'x'::text = c, c = 'one' or c = 'two' from t order by a
----
f|t
f|t
f|f
NULL|NULL
f|f
f|f
f|f

select a from t where b > 5 or 1 / (a - a) > 0 order by a
----
ERROR 22012

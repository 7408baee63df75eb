select b from t order by b
----
10
10
10
20
20
30
NULL

select b from t order by b desc
----
NULL
30
20
20
10
10
10

select b from t order by b nulls first
----
NULL
10
10
10
20
20
30

select b from t order by b desc nulls last
----
30
20
20
10
10
10
NULL

select d from t order by d, a
----
-3.25
1.0
1.00
2.50
10
100.000
NULL

select d from t order by d desc, a
----
NULL
100.000
10
2.50
1.0
1.00
-3.25

select e from t order by e, a
----
0
0
1.5
Infinity
NaN
NaN
NULL

select e from t order by e desc, a
----
NULL
NaN
NaN
Infinity
1.5
0
0

select c from t order by c
----
One
five
one
six
three
two
NULL

select c from t order by lower(c), a
----
five
one
One
six
three
two
NULL

select i from v order by i, k
----
1 day
24:00:00
1 mon
NULL

select s from v order by s desc, k
----
NULL
b    
ab   
ab   

select at from v order by at
----
2024-01-31 10:00:00
2024-02-29 00:00:00.5
infinity
NULL

select a from t order by b nulls first, a desc
----
4
7
3
1
6
2
5

select a, b from t order by 2 desc, 1 limit 3
----
4|NULL
5|30
2|20

select a from t order by case when a = 4 then 0 else a end
----
4
1
2
3
5
6
7

select xs from arr order by xs, id
----
{}
{1,2,3}
{3,NULL}
NULL

select a from t order by (select max(y) from u where x = t.a) nulls first, a
----
3
4
5
6
7
1
2

select b from v order by b, k
----
f
t
t
NULL

select c from (select c from t order by a) s limit 3
----
one
two
three

select a from t order by -a
----
7
6
5
4
3
2
1

select row(b, a) from t order by row(b, a)
----
(10,1)
(10,3)
(10,7)
(20,2)
(20,6)
(30,5)
(,4)

select b, generate_series(1, 3) from t order by b limit 7
----
10|1
10|2
10|3
10|1
10|2
10|3
10|1

select b, generate_series(1, 2) g from t where b is not null order by b desc, g limit 5
----
30|1
30|2
20|1
20|1
20|2

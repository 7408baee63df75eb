select count(*), count(b), sum(a), sum(b), min(c), max(c), avg(b) from t
----
7|6|28|100|One|two|16.6666666666666667

select count(*), sum(a), min(a), max(c) from t where a > 100
----
0|NULL|NULL|NULL

select b, count(*), sum(a) from t group by b order by b
----
10|3|11
20|2|8
30|1|5
NULL|1|4

select b, count(*) from t group by b having count(*) > 1 order by b
----
10|3
20|2

select sum(d), avg(d), min(d), max(d), count(distinct d) from t
----
111.250|18.5416666666666667|-3.25|100.000|5

select d, count(*) from t group by d order by d
----
-3.25|1
1.0|2
2.50|1
10|1
100.000|1
NULL|1

select e, count(*) from t group by e order by e
----
0|2
1.5|1
Infinity|1
NaN|2
NULL|1

select sum(e), min(e), max(e) from t where e < 100
----
1.5|0|1.5

select sum(k), avg(k), max(k) from v
----
5000000003|1666666667.66666667|5000000000

select s, count(*) from v group by s order by s
----
ab   |2
b    |1
NULL|1

select i, count(*) from v group by i order by i
----
1 day|2
1 mon|1
NULL|1

select count(distinct b), sum(distinct b), count(distinct c) from t
----
3|60|6

select array_agg(a order by a desc), string_agg(c, ',' order by c) from t where c is not null
----
{7,6,5,3,2,1}|One,five,one,six,three,two

select b, array_agg(a order by a) from t group by b order by b
----
10|{1,3,7}
20|{2,6}
30|{5}
NULL|{4}

select b, array_agg(distinct a % 2 order by a % 2) from t group by b order by b
----
10|{1}
20|{0}
30|{1}
NULL|{0}

select count(*) filter (where b = 10), sum(a) filter (where b > 10), array_agg(a order by a) filter (where false) from t
----
3|13|NULL

select bool_and(b), bool_or(b), every(b) from v
----
f|t|f

select b % 20, sum(a) from t group by 1 order by 1
----
0|8
10|16
NULL|4

select b, c, count(*) from t group by b, c order by b, c
----
10|One|1
10|one|1
10|three|1
20|six|1
20|two|1
30|five|1
NULL|NULL|1

select distinct b from t order by b
----
10
20
30
NULL

select distinct d from t order by d
----
-3.25
1.0
2.50
10
100.000
NULL

select distinct s from v order by s
----
ab   
b    
NULL

select distinct on (b) b, a from t order by b, a desc
----
10|7
20|6
30|5
NULL|4

select distinct on (d) a from t order by d, a
----
6
1
3
5
7
4

select distinct b, count(*) over () from t where b = 10
----
10|3

select count(*) from (select distinct b, d from t) s
----
7

select max(a) - min(a), sum(a) * 1.5, round(avg(a), 2) from t
----
6|42.0|4.00

select stddev(a), variance(a), stddev_pop(d) from t
----
2.1602468994692868|4.6666666666666667|36.6425346724571201

select avg(e) from t where e between -100 and 100
----
0.5

select sum(pay), avg(pay) from emp
----
361.25|72.2500000000000000

select max(hired), min(hired) from emp
----
2022-01-01|2020-01-01

select boss, sum(pay) from emp group by boss order by boss
----
1|161.00
2|60.00
4|40.25
NULL|100.00

select sum(2147483647) from generate_series(1, 3)
----
6442450941

select sum(9223372036854775807) from generate_series(1, 3)
----
27670116110564327421

select sum(x) from (values (1::smallint), (2::smallint)) s(x)
----
3

select b from t group by b having sum(a) > 5 order by sum(a)
----
20
10

select b, sum(a) + count(*) from t group by b order by 2 desc nulls last, 1
----
10|14
20|10
30|6
NULL|5

select string_agg(c, '-') from (select c from t order by a desc) s
----
One-six-five-three-two-one

select array_agg(x) from (select x from (values (3), (1), (2)) w(x) order by x) s
----
{1,2,3}

select min(x), max(x) from (values ('2020-01-01'::timestamp), ('2021-01-01')) s(x)
----
2020-01-01 00:00:00|2021-01-01 00:00:00

select count(*) from t group by ()
----
7

select a from t group by a order by a limit 2
----
1
2

select min(b), max(b) from v group by k is null order by 1
----
ERROR 42883

select bit_and(a), bit_or(a) from t
----
0|7

select sum(10 / x) filter (where x <> 0), array_agg(10 / x order by 10 / x) filter (where x <> 0) from (values (0), (1), (5)) v(x)
----
12|{2,10}

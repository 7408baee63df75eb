select sum(n), avg(n), min(n), max(n), count(n) from v
----
2.50|0.83333333333333333333|-1.00|2.50|3

select s, sum(n * (1 - n)), avg(n * 2.5) from v group by s order by s
----
ab   |-3.7500|4.3750000000000000
b    |-2.0000|-2.5000000000000000
NULL|NULL|NULL

select sum(case when b then n else 0 end), avg(case when b then n else 0 end) from v
----
1.00|0.33333333333333333333

select sum(case when k = 1 then 0 else 1.500 end), sum(case when k is null then n end) from v
----
4.500|NULL

select sum(case when k > 100000 then n * 1.0 when k = 99 then 1.00000 else 0 end) from v
----
-1.000

select sum(case when k = 12345 then n else 0 end) from v
----
0

select name, pay * 1.10, pay + 1, pay - 0.005, 1 - pay from emp order by id
----
ann|110.0000|101.00|99.995|-99.00
bob|88.5500|81.50|80.495|-79.50
cid|88.5500|81.50|80.495|-79.50
dan|66.0000|61.00|59.995|-59.00
eve|NULL|NULL|NULL|NULL
fay|44.2750|41.25|40.245|-39.25

select sum(pay), avg(pay), sum(pay) > 300, sum(pay) * 0.0001, sum(pay) / 3 from emp
----
361.25|72.2500000000000000|t|0.036125|120.4166666666666667

select boss, sum(pay), avg(pay), min(pay), max(pay) from emp group by boss order by boss nulls first
----
NULL|100.00|100.0000000000000000|100.00|100.00
1|161.00|80.5000000000000000|80.50|80.50
2|60.00|60.0000000000000000|60.00|60.00
4|40.25|40.2500000000000000|40.25|40.25

select pay, count(*) from emp group by pay order by pay nulls first
----
NULL|1
40.25|1
60.00|1
80.50|2
100.00|1

select distinct pay from emp order by 1 nulls last
----
40.25
60.00
80.50
100.00
NULL

select a.name, b.name from emp a join emp b on a.pay = b.pay and a.id < b.id
----
bob|cid

select name from emp where pay between 60 and 80.5 order by id
----
bob
cid
dan

select name from emp where pay < 80.505 and pay > 40.2499 order by id
----
bob
cid
dan
fay

select name from emp where pay in (60, 80.50, 100.001) order by id
----
bob
cid
dan

select name from emp where pay > (select avg(pay) from emp) order by id
----
ann
bob
cid

select name from emp e where pay >= (select 1.05 * avg(pay) from emp f where f.boss = e.boss) order by id
----

select sum(big), avg(big), max(big) from huge
----
1000000000000000000000000000000000001.50|250000000000000000000000000000000000.38|999999999999999999999999999999999999.99

select sum(big * big) from huge
----
2999999999999999999999999999999999999920000000000000000000000000000000002.2506

select sum(big * big), count(*) from huge where id < 3 group by id order by id
----
999999999999999999999999999999999999980000000000000000000000000000000000.0001|1
999999999999999999999999999999999999960000000000000000000000000000000000.0004|1

select big * big + 1 from huge order by id
----
999999999999999999999999999999999999980000000000000000000000000000000001.0001
999999999999999999999999999999999999960000000000000000000000000000000001.0004
999999999999999999999999999999999999980000000000000000000000000000000001.0001
3.2500
NULL

select sum(nan), avg(nan), min(nan), max(nan), count(nan) from huge
----
NaN|NaN|5.500|NaN|4

select nan, count(*) from huge group by nan order by nan desc
----
NULL|1
NaN|2
7.000|1
5.500|1

select id from huge where nan > 5 order by id
----
1
2
3
5

select nan * 2, nan - nan from huge order by id
----
NaN|NaN
11.000|0.000
14.000|0.000
NULL|NULL
NaN|NaN

select sum(k), avg(k) from v
----
5000000003|1666666667.66666667

select sum(p), avg(p), avg(q) from nn
----
10|2.5000000000000000|7.5000000000000000

select s, count(*) from v group by s order by s
----
ab   |2
b    |1
NULL|1

select s || '|', length(s), s::text || '|' from v order by k
----
ab||2|ab|
ab||2|ab|
b||1|b|
NULL|NULL|NULL

select k from v where s = 'ab' order by k
----
1
2

select k from v where s in ('b', 'ab') order by k
----
1
2
5000000000

select min(s), max(s) from v
----
ab   |b    

select distinct s from v order by s
----
ab   
b    
NULL

select c, d from chars where c < 'ab' order by d
----
a   |1
a	  |2
    |4
a   |6
a  |8

select d from chars order by c, d
----
4
1
6
2
8
3
7
5

select a.d, b.d from chars a join chars b on a.c = b.c and a.d < b.d order by 1, 2
----
1|6

select c from t where c like 't%' order by a
----
two
three

select c from t where c not like '%e' order by a
----
two
six

select c from t where c like '_n%' or c like 'f\_%' order by a
----
one
One

select extract(year from day), count(*) from v group by 1 order by 1
----
1999|1
2024|2
NULL|1

select extract(year from d) from days order by d
----
-4713
1
2000
2000
2000
9999
Infinity
NULL

select sum(extract(year from d)) from days where d < '9999-12-31'
----
1288

select d from days where d < date '2000-03-01' + interval '1 day' order by d
----
4713-01-01 BC
0001-01-01
2000-02-29
2000-03-01

select d from days where d >= timestamp '2000-03-01 12:00' order by d
----
2000-03-02
9999-12-31
infinity

select d from days where timestamp '2000-03-01' = d
----
2000-03-01

select count(*) from days where d <= 'infinity'::timestamp
----
7

select sum(case when a > 3 then 1 else 0 end), sum(case c when 'one' then 5 end) from t
----
4|5

select case when b > 10 then 'big' when b = 10 then 'ten' else 'none' end, count(*) from t group by 1 order by 1
----
big|3
none|1
ten|3

select case when b = 0 then 0 else a / b end from t order by a
----
0
0
0
NULL
0
0
0

select sum(n) filter (where b), avg(n) filter (where not b), count(*) filter (where n > 1) from v
----
1.00|2.5000000000000000|1

select count(distinct n), count(distinct s), sum(distinct n) from v
----
3|2|2.50

select x.n, x.total from (select n, sum(n) over () as total from v) x order by 1 nulls first
----
NULL|2.50
-1.00|2.50
1.00|2.50
2.50|2.50

select n from v union select pay from emp order by 1 nulls first
----
NULL
-1.00
1.00
2.50
40.25
60.00
80.50
100.00

select n from v except select 1.0 order by 1 nulls first
----
NULL
-1.00
2.50

with w as (select boss, sum(pay * (1 - 0.05)) as total from emp group by boss) select boss, total from w where total = (select max(total) from w)
----
1|152.9500

select e.name, x.total from emp e left join (select boss, sum(pay) as total from emp group by boss) x on x.boss = e.id order by e.id
----
ann|161.00
bob|60.00
cid|NULL
dan|40.25
eve|NULL
fay|NULL

select coalesce(sum(pay), 0), coalesce(max(pay), 1.5) from emp where id > 100
----
0|1.5

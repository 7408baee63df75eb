select a, row_number() over (order by a desc) from t order by a
----
1|7
2|6
3|5
4|4
5|3
6|2
7|1

select a, b, rank() over (order by b), dense_rank() over (order by b) from t order by a
----
1|10|1|1
2|20|4|2
3|10|1|1
4|NULL|7|4
5|30|6|3
6|20|4|2
7|10|1|1

select a, count(*) over (partition by b), sum(a) over (partition by b order by a) from t order by a
----
1|3|1
2|2|2
3|3|4
4|1|4
5|1|5
6|2|8
7|3|11

select a, sum(d) over (order by a) from t order by a
----
1|1.0
2|2.00
3|4.50
4|4.50
5|14.50
6|11.25
7|111.250

select a, lag(a) over (order by a), lead(a, 2, -1) over (order by a) from t order by a
----
1|NULL|3
2|1|4
3|2|5
4|3|6
5|4|7
6|5|-1
7|6|-1

select a, first_value(c) over (partition by b order by a), last_value(c) over (partition by b order by a) from t order by a
----
1|one|one
2|two|two
3|one|three
4|NULL|NULL
5|five|five
6|two|six
7|one|One

select a, ntile(3) over (order by a), percent_rank() over (order by b), cume_dist() over (order by b) from t order by a
----
1|1|0|0.42857142857142855
2|1|0.5|0.7142857142857143
3|1|0|0.42857142857142855
4|2|1|1
5|2|0.8333333333333334|0.8571428571428571
6|3|0.5|0.7142857142857143
7|3|0|0.42857142857142855

select a, avg(b) over () from t order by a
----
1|16.6666666666666667
2|16.6666666666666667
3|16.6666666666666667
4|16.6666666666666667
5|16.6666666666666667
6|16.6666666666666667
7|16.6666666666666667

select a, row_number() over (partition by d order by a) from t order by a
----
1|1
2|2
3|1
4|1
5|1
6|1
7|1

select * from (select a, row_number() over (partition by b order by a) as n from t) s where n = 1 order by a
----
1|1
2|1
4|1
5|1

select a, count(*) filter (where b = 10) over (order by a) from t order by a
----
1|1
2|1
3|2
4|2
5|2
6|2
7|3

select b, sum(sum(a)) over (order by b) from t group by b order by b
----
10|11
20|19
30|24
NULL|28

select a, nth_value(a, 2) over (order by a) from t order by a
----
1|NULL
2|2
3|2
4|2
5|2
6|2
7|2

-- Windows of different orders in one query, each over its own.
select a, row_number() over (partition by b order by a) as n, row_number() over (partition by b order by a desc) as m from t order by a
----
1|1|3
2|1|2
3|2|2
4|1|1
5|1|1
6|2|1
7|3|1

select a, count(*) over (partition by b order by a) as n, sum(a) over (partition by c order by a) as s, rank() over (order by b desc) from t order by a
----
1|1|1|5
2|1|2|3
3|2|3|5
4|1|4|1
5|1|5|2
6|2|6|3
7|3|7|5

select a from (select a, row_number() over (order by a) as n, row_number() over (order by a desc) as m from t) q where n = 1 or m = 1 order by a
----
1
7

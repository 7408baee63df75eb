# Tables for the statements below.
@create table t (a int primary key, b text not null, c varchar(10), d numeric(10,2), e int8, f float8, g bool, h date, i timestamp, j timestamptz, k int[], l char(5), m int2, n float4, o bytea, p uuid)
@create table u (a int, x text, y int8 default 5, z numeric default 1.5)
@create table w (id int, v text, primary key (id, v))
@insert into t values (1, 'one', 'c1', 1.50, 10, 1.5, true, '2024-01-31', '2024-01-31 10:00', '2024-01-31 10:00+00', '{1,2,3}', 'ab', 1, 0.5, '\x01', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), (2, 'two', null, 2.25, null, 2.5, false, null, null, null, '{}', null, 2, null, null, null)
@insert into u values (1, 'x1', 7, 2.5), (3, 'x3', 8, null)
# Literals.
select 1, 2147483647, 2147483648, -2147483648, -2147483649, 9223372036854775807, 9223372036854775808, -9223372036854775808
select 1.0, 1.50, .5, 1., 1e3, 1.5e-3, 0.000
select 'a', 'it''s', E'a\tb\\c', E'\x41\u0042', $$dollar$$, $q$a$b$q$, U&'\0041'
select 'a' 'b'
select null, true, false
select 1a
select 1e
select $1a
select 'unterminated
select "unterminated
select /* open
select 1 /* /* nested */ */ + 1 -- comment
select ''
select ""
select date '2024-02-29', timestamp '2024-02-29 01:02:03', timestamptz '2024-02-29 01:02:03+02', interval '1 day 2 hours'
select date '2023-02-29'
select int '5', numeric '1.5', numeric(5,1) '1.55', bool 'yes', float8 '1.5', text 'x', varchar(2) 'abc', char 'abc', char(2) 'abc'
select int4 'x'
select 'x'::int
select  'x'::int + 1
select '1'::int2, '1'::int8, '1.5'::numeric, '1.5'::float4, '1.5'::float8
select '99999'::int2
select '99999999999'::int4
select ''::int
select ' 12 '::int
select 'tr'::bool, 'off'::bool, '1'::bool
select 'maybe'::bool
select '{1,2}'::int[], '{a,b}'::text[], '{1,NULL}'::int[]
select '{1,2'::int[]
select 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid
select 'zz'::uuid
select '\x0102'::bytea
select '1.234'::numeric(3,1)
select '1234'::numeric(3,1)
select 'abcdef'::varchar(3), 'abc'::char(5), 'abcdef'::char(3)
select cast('12' as int), cast(1.7 as int), cast(2.5 as int), cast(3.5 as int), cast(1.5::float8 as int), cast(2.5::float8 as int)
select 1::text, 1.5::text, true::text, '2024-01-01'::date::text, '{1,2}'::int[]::text
select 1::bool, 0::bool, true::int
select 1.5::bool
select 1::int8::bool
select '1'::text::int
select 1::varchar(1), 12::varchar(1), 12::char(1)
select 'x'::nosuchtype
select 'x'::nosuch.typ
select 1::date
select '2024-01-01'::date::int
select 'pg_class'::regclass, 'int4'::regtype, 'numeric(10,2)'::regtype
select 'nosuch'::regclass
select 'nosuch'::regtype
select 1::int4range
# Integer operators.
select 1 + 1, 1 - 2, 3 * 4, 7 / 2, -7 / 2, 7 % 3, -7 % 3, 2 ^ 3, 5 & 3, 5 | 3, 5 # 3, ~5, 1 << 4, 256 >> 4
select 1::int2 + 1::int2, 1::int2 + 1, 1 + 1::int8, 1::int2 * 1::int8
select 2147483647 + 1
select 2147483647::int8 + 1
select 9223372036854775807 + 1
select 32767::int2 + 1::int2
select -(-2147483648)
select - (-32768)::int2
select 1 / 0
select 1 % 0
select 1.0 / 0
select 1::float8 / 0
select (-2147483648) / (-1)
select 2147483647 * 2
select abs(-5), abs(-5::int8), abs(-5.5), abs(-5.5::float8), @ -5, |/ 25, ||/ 27
select 1 + 1.5, 1 + 1.5::float8, 1.5 + 1.5::float8, 1::int8 + 1.5, 1.5::float4 + 1, 1.5::float4 + 1.5, 1.5::float4 + 1.5::float8
select 10 / 3.0, 10.0 / 3, 1.0 / 3, 2.0 / 3.00, 100.0 / 3.00
select 1.5 * 2, 1.25 * 1.25, 1.10 + 2.2, 5.5 % 2, 2.0 ^ 3, 2 ^ 0.5
select 0.1 + 0.2, 0.1::float8 + 0.2::float8, 0.1::float4 + 0.2::float4
select round(2.5), round(-2.5), round(2.345, 2), round(2.5::float8), trunc(2.7), trunc(2.789, 1), ceil(2.1), floor(-2.1), ceiling(2.1::float8)
select sqrt(16), sqrt(2.0), power(2, 10), power(2.0, 3), exp(0), ln(1), log(100), log(2.0, 8.0), mod(7, 3), div(7.0, 2), sign(-3), pi()
select sqrt(-1)
select ln(0)
select gcd(12, 18), lcm(4, 6), factorial(5), width_bucket(5, 1, 10, 3)
select greatest(1, 2.5, 2), least(1, 2::int8), greatest('a', 'b'), greatest(null, 1), coalesce(null, 1), coalesce(null, 1.5, 2), coalesce(null, 'x'), nullif(1, 1), nullif(1, 2), nullif(1, 2.0), nullif('a', 'b')
# Comparison.
select 1 = 1, 1 <> 2, 1 != 1, 1 < 2, 1 <= 1, 2 > 1, 2 >= 3, 1 = 1.0, 1.0 = 1.00, 1 < 1.5::float8
select 'a' < 'b', 'a' = 'a ', 'a'::char(3) = 'a', 'a'::char(3) = 'a  '::text, 'B' < 'a'
select null = null, 1 = null, null is null, 1 is not null, 1 isnull, 1 notnull
select 1 is distinct from 2, null is distinct from null, 1 is not distinct from null, 1 is distinct from 1.0
select true is true, null is unknown, false is not true, null::bool is not unknown
select 1 between 1 and 2, 3 not between 1 and 2, 2 between symmetric 3 and 1, 'b' between 'a' and 'c'
select 1 in (1, 2), 3 in (1, 2), 3 not in (1, 2), 1 in (1, null), 3 in (1, null), 1 in (1.5, 1), 'a' in ('a', 'b')
select 1 in ('1', '2')
select 1 in ('x')
select 1 in ('1', 'x')
select 1 in (true)
select (1, 2) = (1, 2), (1, 2) < (1, 3), (1, null) = (2, 1), (1, 2) <> (1, 2), (1,2) in ((1,2),(3,4)), row(1,2) >= row(1,1)
select (1, 2) = (1, 2, 3)
select 1 < 2 < 3
select 1 = 1 = true
select not true, not null, not 1
select true and null, false and null, true or null, 1 and true
select true and 'yes', 'no' or false
select 'x' and true
select 1 where 1
select 1 where 'true'
select 1 where 'x'
select 1 where null
# Strings.
select 'a' || 'b', 'a' || 1, 1 || 'a', 1.5 || 'x', 'a' || null, 'a' || true
select 1 || 2
select 'a'::text || 'b'::varchar, 'a'::char(3) || 'b', 'a'::varchar || 'b'::varchar
select 'abc' like 'a%', 'abc' not like '%b', 'ABC' ilike 'a_c', 'a%c' like 'a\%c', 'a%c' like 'ax%c' escape 'x'
select 'abc' ~ '^a', 'abc' !~ 'b', 'ABC' ~* 'b', 'ABC' !~* 'x', 'abc' operator(pg_catalog.~) 'b'
select length('abc'), char_length('äb'), octet_length('äb'), bit_length('a'), upper('aB'), lower('aB'), initcap('hello world')
select substring('abcdef' from 2 for 3), substring('abcdef' from 3), substring('abcdef', 2, 2), substr('abcdef', 3), substring('abcdef' for 2), substring('foobar' from 'o.b')
select position('b' in 'abc'), strpos('abc', 'c'), overlay('abcdef' placing 'XX' from 2 for 3), overlay('abcdef' placing 'X' from 2)
select trim('  a  '), trim(both 'x' from 'xax'), trim(leading from ' a'), trim(trailing 'b' from 'ab'), ltrim('xxa', 'x'), rtrim('abb', 'b'), btrim(' a ')
select replace('aXbX', 'X', '-'), translate('abc', 'ab', 'xy'), reverse('abc'), repeat('ab', 3), lpad('a', 3, '*'), rpad('a', 3), left('abc', 2), right('abc', -1), split_part('a,b,c', ',', 2), concat('a', 1, null, true), concat_ws('-', 'a', null, 2), ascii('a'), chr(65), md5('a'), to_hex(255), quote_ident('A b'), quote_literal('it''s'), quote_nullable(null)
select format('%s-%s', 'a', 1), format('%I', 'A b'), starts_with('abc', 'ab')
select left('abc'), length(1)
select length(12::text)
select lower(1)
select substring(123, 1, 1)
select 'abc'[1]
select regexp_replace('abc', 'b', 'X'), regexp_replace('aaa', 'a', 'b', 'g')
select string_to_array('a,b', ','), array_to_string(array[1,2,null], ',', '*')
select 'a' collate "C", 'a' < 'b' collate "C"
select 'a' collate "nosuch"
select 1 collate "C"
# Dates.
select date '2024-01-31' + 1, date '2024-01-31' - date '2024-01-01', date '2024-01-31' + interval '1 month', timestamp '2024-01-31 00:00' - timestamp '2024-01-01 00:00', date '2024-01-31' - 1
select date '2024-01-01' + time '10:00', timestamp '2024-01-01' + interval '1 hour', interval '1 day' * 2, interval '1 day' / 2, interval '1 day' + interval '2 hours'
select extract(year from date '2024-02-03'), extract(epoch from timestamp '2024-01-01'), date_part('month', date '2024-02-03'), date_trunc('month', timestamp '2024-02-03 04:05'), extract('day' from timestamptz '2024-02-03 00:00+00')
select timestamp '2024-01-01 00:00' at time zone 'UTC', timestamptz '2024-01-01 00:00+00' at time zone 'UTC'
select '2024-01-01' < date '2024-01-02', date '2024-01-01' = timestamp '2024-01-01', '2024-01-01'::date > 'x'
select current_date is not null, now() is not null, current_timestamp(0) is not null, localtimestamp is not null
select interval '1' year, interval '1-2' year to month, interval '1 day'::text
select to_char(date '2024-02-03', 'YYYY-MM-DD'), to_date('2024-02-03', 'YYYY-MM-DD'), age(timestamp '2024-02-01', timestamp '2024-01-01'), make_date(2024, 2, 3)
select make_interval(days => 3), make_interval(1, 2), make_interval(nosuch => 1), make_interval(days => 1, 2)
select '1'::interval(0)
# CASE and the like.
select case when true then 1 else 2.5 end, case 1 when 1 then 'a' else 'b' end, case when false then 1 end, case when true then null else 1 end
select case when 1 then 2 end
select case when true then 1 else 'x' end
select case when true then 1 else 'x'::text end
select case 1 when 'a' then 1 end
select case 'a' when 'a' then 1 end
select coalesce(1, 'x')
select coalesce(1, true)
select greatest(1, 'x')
select nullif(1, 'a')
# Arrays.
select array[1,2,3], array[1, 2.5], array['a', 'b'], array[[1,2],[3,4]], array[null, 1], array[]::int[], array[1,2]::text[]
select array[]
select array[1, 'a']
select array[1, true]
select (array[1,2,3])[2], (array[1,2,3])[1:2], (array[[1,2],[3,4]])[2][1], ('{a,b}'::text[])[1], (array[1,2,3])[:2]
select (array[1,2])['a']
select (array[1,2])[1.5]
select (array[1,2])[true]
select array[1,2] || 3, 0 || array[1], array[1] || array[2,3], array[1] = array[1], array[1] < array[2], array[1,2] @> array[1], array[1] && array[2]
select 1 = any(array[1,2]), 1 = all(array[1,1]), 2 > any('{1,3}'), 1 = any('{a}'), 'a' = any(array['a'])
select 1 = any(1)
select array_length(array[1,2], 1), cardinality(array[1,2]), array_append(array[1], 2), array_cat(array[1], array[2]), array_position(array['a','b'], 'b'), array_upper(array[1,2], 1), array_ndims(array[[1]]), unnest(array[1,2])
select array_append(array[1], 'x')
select array_append(array[1], 2.5)
select array(select 1 union all select 2), array(select 'a')
select array_agg(x) from (values (1), (2)) v(x)
# Functions that do not fit.
select nosuch(1)
select nosuch.f(1)
select length()
select abs('x')
select abs('-5')
select round('2.5')
select sum(1, 2)
select count(*), count(1), sum(1), sum(1.5), sum(1::int8), sum(1::int2), avg(1), avg(1.5), avg(1::float8), min('a'), max(1.5), sum(1.5::float4), bool_and(true), string_agg('a', ','), count(distinct 1)
select count()
select sum(*)
select length(*)
select sum('x')
select sum(true)
select max(true)
select upper(distinct 'a')
select pg_typeof(1), pg_typeof('a'), pg_typeof(null), pg_typeof(1.5)
select int4('5'), text(5), float8(1), int8(1.5), date('2024-01-01')
select numeric(1)
select varchar('abc')
select current_user is not null, current_database() is not null, current_schema is not null, session_user is not null
select pg_catalog.length('abc'), pg_catalog.int4(1.5)
select concat(variadic array['a','b']), concat_ws(',', variadic array[1,2])
# Names.
select a from t
select t.a, b from t order by a
select * from t order by a
select t.* from t where a = 1
select x from t
select t.x from t
select v.a from t
select t.a from t v
select a from t, u
select t.a from t, u where t.a = u.a
select * from t, t
select * from nosuch
select * from nosuch.t
select * from pg_catalog.nosuch
select a.b.c.d from t
select *
select nosuch.* from t
select a as x, x from t
select a x from t order by x
select a as "Weird Name" from t order by 1
select a + 1 from t order by 1 desc
select a from t order by 2
select a from t order by 'x'
select a from t order by 1.5
select a from t order by b || 'x', a nulls first
select a from t order by b using >
select a from t order by k
select a x, b x from t order by x
select a from t limit 1 offset 1
select a from t limit 'x'
select a from t limit a
select a from t limit 1.5
select a from t limit null
select a from t fetch first 1 row only
select a from t fetch first row only
select distinct b from t order by b
select distinct b from t order by a
select distinct on (a) a, b from t order by a, b
select distinct on (a) a, b from t order by b
select a from t where a = 1 and
select from t
select a, from t
selec 1
select 1 +
select 1 from
select (1
select 1)
select a b c from t
insert into
create
values (1, 'a'), (2, 'b')
values (1), ('x')
values (1), (2.5)
values (1, 2), (3)
table u
select 1 as a, 2 as a
select "t"."a" from t
select T.A from T where A = 1
select 1 order by 1
# Joins.
select t.a, u.x from t join u on t.a = u.a
select t.a, u.x from t left join u on t.a = u.a order by 1
select t.a, u.x from t right join u on t.a = u.a order by 2
select t.a, u.a from t full join u on t.a = u.a order by 1, 2
select a, x from t join u using (a)
select * from u join (select 1 as a, 2 as q) s using (a)
select a, x from t natural join u
select a from t full join u using (a) order by a
select * from t join u using (nosuch)
select * from t join u on t.a
select * from t join u on nosuch = 1
select * from t cross join u where t.a = u.a and u.x = 'none'
select j.a from (t join u using (a)) j
select t.a from (t join u using (a)) j
select q.s from t, lateral (select t.a + 1 as s) q order by 1
select q.s from t, (select t.a + 1 as s) q
select t.a, g from t, generate_series(1, t.a) g order by 1, 2
select x from (select 1 as x) s where s.x = 1
select x from (select 1 as x)
select s.y from (select 1, 2) as s(x, y)
select s.y from (select 1) as s(x, y)
select * from (values (1, 'a')) v(n, s)
select * from generate_series(1, 3)
select * from generate_series(1, 3) with ordinality
select * from generate_series(1, 3) as g(i) where i > 1
select * from unnest(array['a','b']) with ordinality as u(x, n)
select * from generate_series(1, 2.5)
select * from generate_series('2024-01-01'::timestamp, '2024-01-02', '12 hours')
select * from length('abc')
select generate_series(1, 3)
select generate_series(1, 2) + 1, 'x'
select * from nosuch(1)
# Subqueries.
select (select 1), (select 1 where false), exists (select 1), exists (select 1 where false)
select (select 1, 2)
select (select a from t)
select a from t where a in (select a from u)
select a from t where a not in (select a from u)
select a from t where (a, b) in (select 1, 'one')
select a from t where a in (select 1, 2)
select a from t where a = any (select a from u)
select a from t where a > all (select 0)
select a from t where exists (select 1 from u where u.a = t.a)
select (select max(u.a) from u where u.a <= t.a) from t order by 1
select a, (select x from u where u.a = t.a) from t order by a
select a from t where a in (select x from u)
select 1 in (select 'a')
# Grouping.
select b, count(*) from t group by b order by b
select b from t group by a
select b, a from t group by b
select a, b, c from t group by a order by a
select count(*) from t having count(*) > 1
select a from t having count(*) > 1
select b, count(*) from t group by 1 order by 1
select b x, count(*) from t group by x order by x
select count(*) from t group by 3
select count(*) from t where count(*) > 1
select a from t group by a, sum(a)
select sum(count(*)) from t
select a + 1, count(*) from t group by a + 1 order by 1
select a + 2, count(*) from t group by a + 1
select sum(a) filter (where a > 1), count(distinct b), string_agg(b, ',' order by b desc), array_agg(a order by a) from t
select max(a) + min(a) from t
select b, sum(e), avg(a), sum(d), avg(d), sum(f), max(h), min(b) from t group by b order by b
select sum(m), sum(n), avg(m), sum(e) from t
select id from w group by id, v
select (select count(*) from u where u.a = t.a) from t group by a order by 1
select (select u.a from u where u.x = t.b limit 1) from t group by a
select count(t.a) from t, u
select rank() over (order by a), row_number() over (), sum(a) over (partition by b), count(*) over () from t order by 2
select a from t where rank() over (order by a) = 1
select rank() from t
# Set operations.
select 1 union select 2 order by 1
select 1 union all select 1.5
select 'a' union select 'b' order by 1
select null union select 1 order by 1
select 1 union select 'x'
select '1' union select 2 order by 1
select 1 union select true
select 1, 2 union select 1
select 1 as a union select 2 as b order by a
select 1 as a union select 2 as b order by b
select 1 union select 2 intersect select 2 order by 1
select 1 except select 1
(select 1 limit 1) union all (select 2) order by 1 limit 1
select a from t union select x from u
select h from t union select '2020-01-01' order by 1
select 1 union select 2 order by 1 + 1
# WITH.
with q as (select 1 as x) select x from q
with q(y) as (select 1) select y, q.y from q
with q as (select 1 as x), r as (select x + 1 as z from q) select z from r
with recursive q(n) as (select 1 union all select n + 1 from q where n < 3) select n from q
with recursive q(n) as (select 1 union all select n + 1.5 from q where n < 3) select n from q
with q as (select 1) select * from q, q
with q as (select 1), q as (select 2) select 1
with q as (select 'a' as s) select s || 'b' from q
# Parameters.
select $1
select $1 + 1
select $1::int
select $1 || 'a'
select $1 + $2
select $1 = 1, $1
select $1 = a from t
select a from t where a = $1 and b = $2
select a from t where a in ($1, $2)
select a from t where a = any($1)
select a from t limit $1
select $2::text
select $1::int, $1::text
select $1 + 1, $1 || 'x'
select length($1), upper($2)
select coalesce($1, 1), coalesce($2, $3)
select case when $1 then $2 else 'x' end
select $1 between 1 and 2
select $1 is null
select $1 is not distinct from 1.5
select array[$1, 1]
select a from t where b like $1
select nullif($1, 2)
select extract(year from $1)
select a + $1 from t where d > $2 and h < $3 and g = $4
select $0
select abs($1)
select $1 and true
insert into t (a, b, d) values ($1, $2, $3)
insert into u select $1, $2
update t set b = $1, d = d + $2 where a = $3
delete from t where a = $1 or h > $2
select * from generate_series(1, $1)
select $1 union select 1
values ($1)
select a from t order by $1
# Writes.
insert into t (a, b) values ('x', 1)
insert into t (a, b) values (10, 1) returning a, b
insert into t (a, nosuch) values (1, 2)
insert into t (a, a) values (1, 2)
insert into t (a, b) values (1)
insert into t (a, b) values (1, 2, 3)
insert into u values (1, 'a', 2, 3, 4)
insert into u values (9) returning *
insert into u (a) select 'x'
insert into u (a, x) select 5, 6 returning a, x
insert into u (a) select true
insert into u (a) values (true)
insert into u (a) values (1.6) returning a
insert into u default values returning y, z
insert into u (a, y) values (1, default), (2, 3) returning y
insert into u (a, y) values (default, default) returning a, y
insert into nosuch values (1)
insert into u (x) values (1), ('a') returning x
insert into t (a, b) values (1, 'q') on conflict do nothing
insert into t (a, b) values (1, 'q') on conflict (a) do update set b = excluded.b || t.b returning b
insert into t (a, b) values (1, 'q') on conflict (a) do update set b = b
insert into t (a, b) values (1, 'q') on conflict (b) do nothing
insert into t (a, b) values (1, 'q') on conflict do update set b = 'x'
update t set a = 'x'
update t set nosuch = 1
update t set a = 1, a = 2
update t set b = 5 where a = 1 returning b
update t set (b, c) = ('x', 'y') where a = 1 returning b, c
update t set (b, c) = ('x') where a = 1
update t set b = u.x from u where u.a = t.a and t.a = 1 returning t.b, u.x
update t set d = default where a = 99
update t v set b = 'z' where t.a = 1
update t set a = a + 1.5 where a = 99
update t set a = true
update t set a = sum(1)
delete from t where a = 99 returning *
delete from t using u where t.a = u.a and u.x = 'none'
delete from nosuch
delete from t where a
update t set b = b where a = (select max(a) from u) returning a
# Schema.
create table t (a int)
create table x1 (a int, a int)
create table x2 (a nosuch)
create table x3 (a int default 'x')
create table x4 (a int default b)
create table x5 (a int, primary key (b))
create table x6 (a int primary key, b int primary key)
create table x7 (a json primary key)
create table nosuch.x8 (a int)
create table x9 (a varchar(0))
create table x10 (a numeric(2000))
create table x11 (a int, check (b > 1))
create table x12 (a int, check (a))
create table x13 (a int default (select 1))
create table x14 (a int default sum(1))
create table x15 (a int) with (nosuch = 1)
drop table nosuch
drop table nosuch.t
alter table nosuch add primary key (a)
alter table t add primary key (a)
alter table u add primary key (nosuch)
alter table u drop column nosuch
alter table u alter column a set default 'x'
alter table u rename column nosuch to b
truncate nosuch
create schema public
drop schema nosuch
select rank() over (order by a) as r from t group by r

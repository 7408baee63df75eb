-- What drivers and ORMs ask the catalog for.
create table account (id int primary key, owner text not null, balance numeric(12,2) default 0);
select t.oid, typname, typsend, typreceive, typoutput, typinput, typelem from pg_type t where t.typname in ('int4','text','_int4') order by 1;
SELECT t.oid, t.typname FROM pg_type t LEFT JOIN pg_range r ON t.oid = r.rngtypid WHERE t.typname IN ('hstore','geometry') order by 1;
select table_schema, table_name, table_type from information_schema.tables where table_schema = 'public';
select column_name, data_type, is_nullable, column_default, character_maximum_length, numeric_precision, numeric_scale, ordinal_position, udt_name from information_schema.columns where table_name = 'account' order by ordinal_position;
select tc.constraint_name, tc.constraint_type, kcu.column_name from information_schema.table_constraints tc join information_schema.key_column_usage kcu on tc.constraint_name = kcu.constraint_name where tc.table_name = 'account' order by 1;
-- differs: no TOAST
select schema_name from information_schema.schemata order by 1;
select c.relname, c.relkind from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public' order by 1;
SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attnotnull FROM pg_attribute a LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attrelid = '"account"'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum;
SELECT i.relname, ix.indisunique, ix.indisprimary, ix.indkey, array_agg(a.attname order by a.attnum) FROM pg_class t, pg_class i, pg_index ix, pg_attribute a WHERE t.oid = ix.indrelid AND i.oid = ix.indexrelid AND a.attrelid = t.oid AND a.attnum = ANY(ix.indkey) AND t.relname = 'account' group by 1,2,3,4;
SELECT conname, contype, pg_get_constraintdef(oid), conkey FROM pg_constraint WHERE conrelid = 'account'::regclass order by 1;
select pg_catalog.pg_get_indexdef('account_pkey'::regclass);
select has_table_privilege('account', 'select'), has_schema_privilege('public', 'usage');
select nspname from pg_namespace where nspname !~ '^pg_' order by 1;
SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, c.relname AS TABLE_NAME, CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema' WHEN true THEN 'SYSTEM' ELSE 'TABLE' END AS TABLE_TYPE, d.description AS REMARKS FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0 and d.classoid = 'pg_class'::regclass) WHERE c.relnamespace = n.oid and n.nspname = 'public' and c.relkind = 'r';
SELECT e.typdelim FROM pg_catalog.pg_type t, pg_catalog.pg_type e WHERE t.oid = 1007 and t.typelem = e.oid;
select rolname, rolsuper from pg_roles where rolname = 'postgres';
select pid = pg_backend_pid() from pg_stat_activity where pid = pg_backend_pid();
select count(*) from pg_locks where false;
select tablename, indexname, indexdef from pg_indexes where schemaname = 'public';
select * from pg_tables where schemaname = 'public';
-- differs: no procedural language
select extname from pg_extension;
select to_regclass('account')::text, to_regclass('nope'), 'account'::regclass::oid = (select oid from pg_class where relname = 'account'), 'account'::regclass::oid > 16000;
select 'nope'::regclass;
select 23::regtype, 'int4'::regtype::oid, 'integer[]'::regtype, 'abs(int)'::regprocedure, 'pg_catalog'::regnamespace, 'postgres'::regrole;
select oid::int4, oid::int8 from pg_class where relname = 'pg_class';
select attname from pg_attribute where attrelid = 'account'::regclass and attnum > 0 order by attnum;
select conrelid::regclass, confrelid::regclass from pg_constraint where conname = 'account_pkey';
select * from pg_sequences;
select * from pg_views where schemaname = 'public';
drop table account;
-- a driver sends a small number as smallint
prepare by_small_number(int2) as select relname from pg_class where oid = $1;
execute by_small_number(1259);
prepare by_small_numbers(int2, int2) as select typname from pg_type where oid in ($1, $2) order by 1;
execute by_small_numbers(23, 25);
select 23::int2::oid, 1259::int2::regclass, 23::int8::regtype, x from (values (25::oid)) v(x) where x = 25::int2;

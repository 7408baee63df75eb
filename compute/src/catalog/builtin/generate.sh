#!/bin/bash
# Writes data/*.tsv from a real PostgreSQL 15: the rows of its system catalogs as initdb made them.
#
#   generate.sh [psql options]        such as: generate.sh -h 127.0.0.1 -p 5432 -U postgres postgres
#
# The server must be PostgreSQL 15, freshly initialised with `--locale=C.UTF-8 -E UTF8`, and empty: every
# object in it becomes a part of the program. The form is that of COPY: one line a row, tabs between
# columns, `\N` for null; the first line has the columns' names. Columns of the types regproc and its
# kin are written as numbers; expression trees and access lists are left out (null).
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p data
run() { psql -X -q -At -v ON_ERROR_STOP=1 "${CONNECT[@]}" "$@"; }
CONNECT=("$@")
[ "$(run -c "select current_setting('server_version_num')::int / 10000")" = 15 ] || { echo "not PostgreSQL 15" >&2; exit 1; }

# dump CATALOG [WHERE [ORDER BY]]
dump() {
  local columns
  columns=$(run -c "select string_agg(case
      when atttypid in ('pg_node_tree'::regtype, 'aclitem[]'::regtype) then format('null as %I', attname)
      when atttypid::regtype::text ~ '^reg' then format('%I::oid', attname)
      else quote_ident(attname) end, ', ' order by attnum)
    from pg_attribute where attrelid = 'pg_catalog.$1'::regclass and attnum > 0 and not attisdropped")
  { run -c "select string_agg(attname, E'\t' order by attnum) from pg_attribute
        where attrelid = 'pg_catalog.$1'::regclass and attnum > 0 and not attisdropped"
    run -c "copy (select $columns from pg_catalog.$1 t where ${2:-true} order by ${3:-oid}) to stdout"; } > "data/$1.tsv"
}

# Relations that are shown: no TOAST tables.
relations="select oid from pg_class where relnamespace in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
dump pg_type "typrelid = 0 or typrelid in ($relations)"
dump pg_proc
dump pg_operator
dump pg_cast
dump pg_aggregate true aggfnoid::oid
dump pg_opclass
dump pg_opfamily
dump pg_amop
dump pg_amproc
dump pg_range true rngtypid
dump pg_namespace "nspname <> 'pg_toast'"
dump pg_am
dump pg_language
dump pg_collation "collname in ('default', 'C', 'POSIX', 'ucs_basic', 'C.utf8', 'C.UTF-8')"
dump pg_tablespace
dump pg_authid
dump pg_class "oid in ($relations)"
dump pg_attribute "attnum > 0 and attrelid in ($relations)" "attrelid, attnum"
dump pg_index "indrelid in ($relations)" indexrelid
dump pg_constraint "conrelid in ($relations) or contypid <> 0"

# Defaults of functions' arguments as SQL, from the first argument that has one.
run -F $'\t' -c "select oid, pg_get_expr(proargdefaults, 0) from pg_proc where pronargdefaults > 0 order by oid" > data/proc_defaults.tsv
# Keywords: the word, its class (Unreserved, Column name, Type or function name, Reserved), whether it can be a label without AS.
run -F $'\t' -c "select word, catcode, barelabel from pg_get_keywords() order by word collate \"C\"" > ../../sql/lex/keywords.tsv

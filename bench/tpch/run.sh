#!/usr/bin/env bash
# run.sh BINARY: the 22 queries of TPC-H on ShardForge and on PostgreSQL 15, in turn; times, ratios, answers.
#
# It starts both itself, in a temporary folder on the same disk, on free ports, with fsync on and the same
# memory, loads both by COPY, analyzes both, gives PostgreSQL the usual indexes beside its keys, and asks
# each query on one and then on the other (the order changes from round to round). An answer of ShardForge's
# that is not PostgreSQL's, to the last digit, ends it with an error after the last query.
#
#   cargo build --release && bench/tpch/run.sh target/release/shardforge
#
# The data comes from tpchgen-cli: the one on PATH, or in $TPCHGEN, or `pip install tpchgen-cli` in a
# temporary environment. The queries are the specification's, with its validation parameters.
#
# Environment, with defaults:
#   SCALE=1                        1 is 6 million lines of orders
#   ROUNDS=2                       how often each query is timed after one that is not; the table shows medians
#   QUERIES="1 2 ... 22"
#   TIMEOUT=120                    seconds for one query
#   MEMORY_MB=2048                 PostgreSQL: shared_buffers; ShardForge: its caches together
#   DATA=...                       a folder with the .tbl files, instead of generating them
#   WORKDIR=...                    parent of the temporary folder; its disk is what is measured ($TMPDIR, /tmp)
#   PGBIN=...                      folder of PostgreSQL's programs
#   OUT=...                        a CSV file that times are added to
#   PERF=...                       a folder: `perf record` of ShardForge at each query goes there
#   KEEP=1                         leaves the temporary folder
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
SCALE=${SCALE:-1} ROUNDS=${ROUNDS:-2} TIMEOUT=${TIMEOUT:-120} MEMORY_MB=${MEMORY_MB:-2048}
QUERIES=${QUERIES:-$(seq 22)}
TABLES="region nation supplier customer part partsupp orders lineitem"

# shellcheck source=../lib.sh
. "$HERE/../lib.sh"

ask_psql() { # system argument of psql...
    local system=$1
    shift
    PGOPTIONS="-c statement_timeout=${TIMEOUT}s" psql_on "$system" postgres "$@"
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }

prepare tpch "${1:?usage: run.sh BINARY}"
OUT=${OUT:-$WORK/times.csv}

# --- data --------------------------------------------------------------------------------------

if [ -z "${DATA:-}" ]; then
    DATA=$WORK/data
    TPCHGEN=${TPCHGEN:-$(command -v tpchgen-cli || true)}
    if [ -z "$TPCHGEN" ]; then
        python3 -m venv "$WORK/venv"
        "$WORK/venv/bin/pip" -q install tpchgen-cli
        TPCHGEN=$WORK/venv/bin/tpchgen-cli
    fi
    "$TPCHGEN" tbl -s "$SCALE" --output-dir "$DATA" >/dev/null 2>&1
fi
start_postgres
start_shardforge

load() { # system
    local start table
    TIMEOUT=0
    start=$(now_ms)
    ask_psql "$1" -f "$HERE/schema.sql" >/dev/null
    for table in $TABLES; do
        sed 's/|$//' "$DATA/$table.tbl" | ask_psql "$1" -c "copy $table from stdin (format text, delimiter '|')"
    done
    if [ "$1" = pg ]; then ask_psql pg -f "$HERE/indexes.sql" -c vacuum >/dev/null; fi
    ask_psql "$1" -c analyze >/dev/null
    echo "loaded $1 in $(($(now_ms) - start)) ms"
}
(load pg)
(load sf)

# --- queries -----------------------------------------------------------------------------------

ask() { # system query round
    local file=$HERE/queries/q$(printf %02d "$2").sql answer=$WORK/$1.$2 start recorder=""
    if [ -n "${PERF:-}" ] && [ "$1" = sf ] && [ "$3" != 0 ]; then
        mkdir -p "$PERF"
        perf record -q -F 499 -g -p "$SF_PID" -o "$PERF/q$2.data" >/dev/null 2>&1 &
        recorder=$!
        sleep 0.3
    fi
    start=$(now_ms)
    if ask_psql "$1" -f "$file" >"$answer" 2>"$answer.error"; then
        [ "$3" = 0 ] || echo "$1,$2,$3,$(($(now_ms) - start))" >>"$OUT"
    else
        echo "$1 query $2: $(head -1 "$answer.error")" >&2
        FAILED=1
    fi
    if [ -n "$recorder" ]; then kill -INT "$recorder"; wait "$recorder" || true; fi
}

: >>"$OUT"
FAILED=0
for round in $(seq 0 "$ROUNDS"); do
    for query in $QUERIES; do
        if [ $((round % 2)) = 0 ]; then order="pg sf"; else order="sf pg"; fi
        for system in $order; do ask "$system" "$query" "$round"; done
        # Rows that the ORDER BY leaves equal may come in either order.
        if [ "$round" = 0 ] && ! cmp -s <(sort "$WORK/pg.$query") <(sort "$WORK/sf.$query"); then
            echo "query $query: another answer than PostgreSQL's" >&2
            diff <(sort "$WORK/pg.$query") <(sort "$WORK/sf.$query") | head -6 >&2
            FAILED=1
        fi
    done
done

awk -F, '
    { n[$1, $2]++; t[$1, $2, n[$1, $2]] = $4; if (!($2 in seen)) { seen[$2] = 1; order[++count] = $2 } }
    function median(s, q,    m, i, j, v, x) {
        m = n[s, q]; if (!m) return -1
        for (i = 1; i <= m; i++) v[i] = t[s, q, i]
        for (i = 2; i <= m; i++) { x = v[i]; for (j = i - 1; j > 0 && v[j] > x; j--) v[j + 1] = v[j]; v[j + 1] = x }
        return m % 2 ? v[(m + 1) / 2] : (v[m / 2] + v[m / 2 + 1]) / 2
    }
    END {
        print "| query | PostgreSQL ms | ShardForge ms | ratio |"; print "|---:|---:|---:|---:|"
        for (i = 1; i <= count; i++) {
            q = order[i]; p = median("pg", q); s = median("sf", q)
            if (p < 0 || s < 0) { printf "| %s | %s | %s | - |\n", q, p, s; continue }
            printf "| %s | %d | %d | %.2f |\n", q, p, s, s / p; ps += p; ss += s
        }
        if (ps) printf "| all | %d | %d | **%.2f** |\n", ps, ss, ss / ps
    }' "$OUT"
exit "$FAILED"

#!/usr/bin/env bash
# run.sh BINARY: what moves many rows in one statement, on ShardForge and on PostgreSQL 15, in turn, and the ratios.
#
# It starts both itself, in a temporary folder on the same disk, on free ports, with fsync on and the same
# memory. Each statement is timed as psql sees it, from sending it to its answer; then both must give the
# same sums over what it left behind.
#
#   cargo build --release && bench/bulk/run.sh target/release/shardforge
#
# Environment, with defaults:
#   ROWS=5000000                   of the large table
#   ROUNDS=1                       how often everything is done, each time in new tables; the table shows medians
#   STEPS="copy insert-select index update delete pgbench-init"
#                                  what is done, in this order; copy always is
#   SCALE=10                       of pgbench -i
#   MEMORY_MB=1024                 PostgreSQL: shared_buffers; ShardForge: its caches together
#   WORKDIR=...                    parent of the temporary folder; its disk is what is measured ($TMPDIR, /tmp)
#   PGBIN=...                      folder of PostgreSQL's programs
#   PERF=...                       a folder: `perf record` of ShardForge at each step goes there
#   KEEP=1                         leaves the temporary folder
set -euo pipefail

ROWS=${ROWS:-5000000} ROUNDS=${ROUNDS:-1} SCALE=${SCALE:-10}
STEPS=${STEPS:-"copy insert-select index update delete pgbench-init"}
MEMORY_MB=${MEMORY_MB:-1024}
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

describe() {
    describe_machine
    describe_systems
    echo "rows         $ROWS, pgbench scale $SCALE, rounds $ROUNDS"
}

# An integer in order, one in no order, one with few values, a text, a number: about 60 bytes a line.
make_data() {
    awk -v n="$ROWS" 'BEGIN {
        for (i = 1; i <= n; i++)
            printf "%d\t%d\t%d\tname of row %d\t%d.%02d\n", i, (i * 7919) % n, i % 100, i, i % 10000, i % 100
    }' >"$WORK/rows.txt"
}

TABLE="id integer not null, other integer not null, few integer, name text, price numeric(12, 2)"

seconds() { # command...: its wall time, on standard output
    local before=$EPOCHREALTIME
    "$@" >"$WORK/step.out" 2>&1 || { cat "$WORK/step.out" >&2; return 1; }
    awk -v a="$before" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.3f\n", b - a}'
}

copy_in() { sql "$1" bench "\\copy big$2 from '$WORK/rows.txt'"; }
pgbench_init() { "$PGBIN/pgbench" -h 127.0.0.1 -p "$(port_of "$1")" -U postgres -i -q -s "$SCALE" bench; }

do_step() { # step system round
    local step=$1 system=$2 round=$3
    case $step in
    copy) seconds copy_in "$system" "$round" ;;
    insert-select) seconds sql "$system" bench "insert into copied$round select * from big$round" ;;
    index) seconds sql "$system" bench "create index big${round}_other on big$round (other)" ;;
    update) seconds sql "$system" bench "update big$round set price = price + 1 where few < 10" ;;
    delete) seconds sql "$system" bench "delete from big$round where few >= 95" ;;
    pgbench-init) seconds pgbench_init "$system" ;;
    *) echo "unknown step $step" >&2; return 1 ;;
    esac
}

# What both must agree on.
sums() { # step system round
    case $1 in
    insert-select) sql "$2" bench "select count(*), sum(id), sum(other), sum(price) from copied$3" ;;
    pgbench-init) sql "$2" bench "select count(*), sum(aid), sum(abalance) from pgbench_accounts" ;;
    *) sql "$2" bench "select count(*), sum(id), sum(other), sum(price), min(name), max(name) from big$3" ;;
    esac
}

prepare bulk "${1:?usage: run.sh BINARY}" pgbench
describe
make_data
start_postgres
start_shardforge
for system in pg sf; do sql "$system" postgres "create database bench" >/dev/null; done
: >"$WORK/points"
for round in $(seq "$ROUNDS"); do
    if [ $((round % 2)) = 1 ]; then order="pg sf"; else order="sf pg"; fi
    for system in $order; do
        sql "$system" bench "create table big$round ($TABLE)" "create table copied$round ($TABLE)"
    done
    for step in $STEPS; do
        for system in $order; do
            perf_pid=""
            if [ -n "${PERF:-}" ] && [ "$system" = sf ]; then
                mkdir -p "$PERF"
                perf record -q -F 299 -g -p "$SF_PID" -o "$PERF/$step-$round.data" 2>/dev/null &
                perf_pid=$!
            fi
            taken=$(do_step "$step" "$system" "$round")
            if [ -n "$perf_pid" ]; then
                kill -INT "$perf_pid"
                wait "$perf_pid" || true
            fi
            echo "$step $system $taken" >>"$WORK/points"
            printf '  %-14s %-10s %8.3f s\n' "$step" "$(name_of "$system")" "$taken" >&2
        done
        pg=$(sums "$step" pg "$round") sf=$(sums "$step" sf "$round")
        if [ "$pg" != "$sf" ]; then
            echo "WRONG after $step: PostgreSQL has $pg, ShardForge $sf" >&2
            exit 1
        fi
    done
done
echo "both hold the same rows after each step"
awk '
    function median(list,   n, i, j, t, v) {
        n = split(list, v, " ")
        for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
        return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
    }
    { if (!($1 in known)) { known[$1] = 1; steps[++count] = $1 } taken[$1 "," $2] = taken[$1 "," $2] " " $3 }
    END {
        print "| step | PostgreSQL s | ShardForge s | ratio of speeds |"
        print "|---|---:|---:|---:|"
        for (i = 1; i <= count; i++) {
            pg = median(taken[steps[i] ",pg"]); sf = median(taken[steps[i] ",sf"])
            printf "| %s | %.2f | %.2f | **%.2f** |\n", steps[i], pg, sf, pg / sf
        }
    }' "$WORK/points"

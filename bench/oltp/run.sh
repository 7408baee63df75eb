#!/usr/bin/env bash
# run.sh BINARY: pgbench's built-in scripts on ShardForge and on PostgreSQL 15, in turn, and the ratios.
#
# It starts both itself, in a temporary folder on the same disk, on free ports, with fsync on and the same
# memory, initialises both with `pgbench -i`, and measures each point on one and then on the other (the
# order changes from round to round). It ends with an error when a transaction failed, when a count of
# transactions does not agree with the history, or when the balances do not add up.
#
#   cargo build --release && bench/oltp/run.sh target/release/shardforge
#
# Environment, with defaults:
#   SCALE=10                       of pgbench -i: 100,000 accounts each
#   SECS=10                        of one point
#   ROUNDS=1                       how often each point is measured; the table shows medians
#   CLIENTS="1 8 32"
#   MODES="simple prepared"
#   LOADS="select-only simple-update tpcb-like"
#   MEMORY_MB=1024                 PostgreSQL: shared_buffers; ShardForge: its caches together
#   WORKDIR=...                    parent of the temporary folder; its disk is what is measured ($TMPDIR, /tmp)
#   PGBIN=...                      folder of PostgreSQL's programs
#   OUT=...                        a CSV file that points are added to
#   PERF=...                       a folder: `perf record` of ShardForge at each point goes there
#   KEEP=1                         leaves the temporary folder
set -euo pipefail

SCALE=${SCALE:-10} SECS=${SECS:-10} ROUNDS=${ROUNDS:-1}
CLIENTS=${CLIENTS:-"1 8 32"} MODES=${MODES:-"simple prepared"}
LOADS=${LOADS:-"select-only simple-update tpcb-like"}
MEMORY_MB=${MEMORY_MB:-1024}
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# CPU time in clock ticks of a process and its children, ended ones included, and bytes written to the disk
# by anyone. (Not /proc/PID/io: Linux counts the whole cached folio there, up to 1 MiB for a write of 100 bytes.)
usage_of() {
    local pid stat ticks=0 sectors=0
    local fields
    for pid in "$1" $(pgrep -P "$1" || true); do
        stat=$(cat "/proc/$pid/stat" 2>/dev/null) || continue
        read -ra fields <<<"${stat##*) }"
        ticks=$((ticks + fields[11] + fields[12]))
        # The time of ended children is kept by their parent.
        [ "$pid" != "$1" ] || ticks=$((ticks + fields[13] + fields[14]))
    done
    if [ -r "/sys/dev/block/$DEVICE/stat" ]; then sectors=$(awk '{print $7}' "/sys/dev/block/$DEVICE/stat"); fi
    echo "$ticks $((sectors * 512))"
}

# --- what is measured, and on what ---------------------------------------------------------------

describe() {
    describe_machine
    # As the data's owner would: 8 KiB overwritten, then fdatasync.
    "$PGBIN/pg_test_fsync" -s 1 -f "$WORK/fsync.tmp" 2>/dev/null |
        awk '$1 == "fdatasync" && !seen {seen = 1; print "fdatasync    of one 8 KiB block: " $4 " us, " $2 " a second"}'
    rm -f "$WORK/fsync.tmp"
    describe_systems
    echo "pgbench      $("$PGBIN/pgbench" --version | awk '{print $3}'), scale $SCALE, $SECS s a point, rounds $ROUNDS, over TCP on loopback, on the same cores"
}

initialise() {
    local system started
    for system in pg sf; do
        sql "$system" postgres "create database bench" >/dev/null
        started=$(date +%s.%N)
        "$PGBIN/pgbench" -h 127.0.0.1 -p "$(port_of "$system")" -U postgres -i -q -s "$SCALE" bench >"$WORK/init.$system" 2>&1 || {
            echo "pgbench -i failed on $(name_of "$system"):" >&2
            cat "$WORK/init.$system" >&2
            exit 1
        }
        printf 'pgbench -i   %-10s  %6.2f s  (%s)\n' "$(name_of "$system")" \
            "$(echo "$(date +%s.%N) $started" | awk '{print $1 - $2}')" \
            "$(sed -n 's/^done in [^(]*(\(.*\))\.$/\1/p' "$WORK/init.$system")"
    done
}

# Rows and sum of the history, sums of branches and of tellers.
books() {
    sql "$1" bench "select count(*), coalesce(sum(delta), 0) from pgbench_history" \
        "select sum(bbalance) from pgbench_branches" "select sum(tbalance) from pgbench_tellers" | tr '\n|' '  '
}

# --- one point -----------------------------------------------------------------------------------

point() { # system load mode clients round
    local system=$1 load=$2 mode=$3 clients=$4 round=$5
    local dir="$WORK/point" sample=() jobs=1 before after used_before used_after perf_pid=""
    rm -rf "$dir"
    mkdir "$dir"
    [ "$clients" = 1 ] || jobs=2
    # A line of log for each of many short transactions would be what is measured.
    [ "$load" != select-only ] || sample=(--sampling-rate=0.2)
    before=$(books "$system")
    used_before=$(usage_of "$(pid_of "$system")")
    if [ -n "${PERF:-}" ] && [ "$system" = sf ]; then
        mkdir -p "$PERF"
        perf record -q -F 299 --call-graph dwarf,8192 -p "$SF_PID" -o "$PERF/$load-$mode-$clients.data" 2>/dev/null &
        perf_pid=$!
    fi
    "$PGBIN/pgbench" -h 127.0.0.1 -p "$(port_of "$system")" -U postgres -n -b "$load" -s "$SCALE" -M "$mode" \
        -c "$clients" -j "$jobs" -T "$SECS" -l --log-prefix="$dir/log" "${sample[@]}" bench \
        >"$dir/out" 2>"$dir/err" || { echo "pgbench failed on $(name_of "$system"), $load $mode $clients:" >&2; tail -5 "$dir/err" >&2; exit 1; }
    if [ -n "$perf_pid" ]; then
        kill -INT "$perf_pid"
        wait "$perf_pid" || true
    fi
    sleep 0.2 # a backend that has just ended is in nobody's account for a moment
    used_after=$(usage_of "$(pid_of "$system")")
    after=$(books "$system")

    local tps done_count failed
    tps=$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$dir/out" | tail -1)
    done_count=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$dir/out")
    failed=$(sed -n 's/^number of failed transactions: \([0-9]*\).*/\1/p' "$dir/out")
    check_books "$system" "$load" "$mode" "$clients" "$done_count" "$failed" "$before" "$after"
    local quantiles
    quantiles=$(cat "$dir"/log* | awk '{print $3}' | sort -n |
        awk '{a[NR] = $1} END {printf "%d,%d", a[int((NR - 1) * .5) + 1], a[int((NR - 1) * .99) + 1]}')
    awk -v a="$used_before" -v b="$used_after" -v n="$done_count" -v hz="$(getconf CLK_TCK)" \
        -v head="$system,$load,$mode,$clients,$round,$tps,$quantiles,$failed" 'BEGIN {
            split(a, x, " "); split(b, y, " ")
            printf "%s,%.1f,%.0f\n", head, (y[1] - x[1]) * 1e6 / hz / n, (y[2] - x[2]) / n
        }' >>"$OUT"
    tail -1 "$OUT" | awk -F, '{printf "  %-2s %-13s %-8s %3d clients  %9.0f tps  p50 %6d us  p99 %6d us  cpu %6.1f us  %6d bytes to disk a transaction\n", $1, $2, $3, $4, $6, $7, $8, $10, $11}' >&2
}

# Every transaction is in the history, once, and every balance says the same.
check_books() { # system load mode clients done failed before after
    awk -v what="$(name_of "$1"), $2 $3 $4" -v load="$2" -v done="$5" -v failed="$6" -v before="$7" -v after="$8" 'BEGIN {
        split(before, b); split(after, a)
        rows = a[1] - b[1]; delta = a[2] - b[2]; branches = a[3] - b[3]; tellers = a[4] - b[4]
        wanted = load == "select-only" ? 0 : done
        if (failed != 0) problem = failed " transactions failed"
        else if (done == 0) problem = "no transaction was done"
        else if (rows != wanted) problem = "the history has " rows " rows more, but " wanted " transactions were done"
        else if (load == "tpcb-like" && (branches != delta || tellers != delta))
            problem = "history " delta ", branches " branches ", tellers " tellers
        else if (load != "tpcb-like" && (branches != 0 || tellers != 0)) problem = "branches or tellers have changed"
        if (problem) { print "WRONG: " what ": " problem > "/dev/stderr"; exit 1 }
    }'
}

check_accounts() {
    local system accounts history
    for system in pg sf; do
        accounts=$(sql "$system" bench "select sum(abalance) from pgbench_accounts")
        history=$(sql "$system" bench "select coalesce(sum(delta), 0) from pgbench_history")
        if [ "$accounts" != "$history" ]; then
            echo "WRONG: $(name_of "$system"): accounts come to $accounts, the history to $history" >&2
            exit 1
        fi
    done
    echo "every transaction is in the history once, and the balances agree; none failed"
}

table() {
    awk -F, '
        function median(key,   n, i, j, t, v) {
            n = split(values[key], v, " ")
            for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
            return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
        }
        {
            row = $2 "," $3 "," $4
            if (!(row in known)) { known[row] = 1; rows[++count] = row }
            split("6 7 8 10 11", fields, " ")
            for (i in fields) values[row "," $1 "," fields[i]] = values[row "," $1 "," fields[i]] " " $fields[i]
        }
        END {
            print "| load | mode | clients | PostgreSQL tps | ShardForge tps | ratio | p50 us, PG / SF | p99 us, PG / SF | CPU us a transaction, PG / SF | bytes to disk a transaction, PG / SF |"
            print "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
            for (r = 1; r <= count; r++) {
                split(rows[r], part, ",")
                pg = rows[r] ",pg,"; sf = rows[r] ",sf,"
                printf "| %s | %s | %s | %.0f | %.0f | **%.2f** | %.0f / %.0f | %.0f / %.0f | %.0f / %.0f | %.0f / %.0f |\n", part[1], part[2], part[3],
                    median(pg 6), median(sf 6), median(sf 6) / median(pg 6), median(pg 7), median(sf 7), median(pg 8), median(sf 8),
                    median(pg 10), median(sf 10), median(pg 11), median(sf 11)
            }
        }' "$1"
}

# --- the run ---------------------------------------------------------------------------------------

prepare bench "${1:?usage: run.sh BINARY}" pgbench
DEVICE=$(findmnt -no MAJ:MIN -T "$WORK" 2>/dev/null | head -1 | tr -d ' ')
OUT=${OUT:-$WORK/points.csv}
describe
start_postgres
start_shardforge
initialise
for system in pg sf; do # warm
    "$PGBIN/pgbench" -h 127.0.0.1 -p "$(port_of "$system")" -U postgres -n -b select-only -s "$SCALE" -c 2 -T 2 bench >"$WORK/warm" 2>&1 ||
        { echo "pgbench cannot read from $(name_of "$system"):" >&2; tail -5 "$WORK/warm" >&2; exit 1; }
done
: >"$WORK/this-run.csv"
ALL=$OUT OUT="$WORK/this-run.csv"
for round in $(seq "$ROUNDS"); do
    for mode in $MODES; do for load in $LOADS; do for clients in $CLIENTS; do
        if [ $((round % 2)) = 1 ]; then order="pg sf"; else order="sf pg"; fi
        for system in $order; do point "$system" "$load" "$mode" "$clients" "$round"; done
    done; done; done
done
[ -s "$ALL" ] || echo "system,load,mode,clients,round,tps,p50_us,p99_us,failed,cpu_us_per_transaction,disk_bytes_per_transaction" >"$ALL"
cat "$OUT" >>"$ALL"
check_accounts
echo
table "$OUT"

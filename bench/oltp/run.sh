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

BINARY=$(realpath "${1:?usage: run.sh BINARY}")
[ -x "$BINARY" ] || { echo "$BINARY is not a program" >&2; exit 2; }
SCALE=${SCALE:-10} SECS=${SECS:-10} ROUNDS=${ROUNDS:-1}
CLIENTS=${CLIENTS:-"1 8 32"} MODES=${MODES:-"simple prepared"}
LOADS=${LOADS:-"select-only simple-update tpcb-like"}
MEMORY_MB=${MEMORY_MB:-1024}
[ "$MEMORY_MB" -ge 384 ] || { echo "MEMORY_MB: at least 384" >&2; exit 2; }

find_pgbin() {
    local dir
    for dir in "${PGBIN:-}" /usr/lib/postgresql/15/bin "$(pg_config --bindir 2>/dev/null || true)"; do
        if [ -n "$dir" ] && [ -x "$dir/initdb" ] && [ -x "$dir/pgbench" ]; then echo "$dir"; return; fi
    done
    echo "PostgreSQL 15's server programs were not found: apt-get install postgresql-15, or set PGBIN" >&2
    return 1
}
PGBIN=$(find_pgbin)

WORK=$(mktemp -d "${WORKDIR:-${TMPDIR:-/tmp}}/shardforge-bench.XXXXXX")
chmod 711 "$WORK"
if [ "$(stat -f -c %T "$WORK")" = tmpfs ]; then
    echo "$WORK is memory, where fsync costs nothing: set WORKDIR to a folder on a disk" >&2
    rmdir "$WORK"
    exit 2
fi
DEVICE=$(findmnt -no MAJ:MIN -T "$WORK" 2>/dev/null | head -1 | tr -d ' ')
OUT=${OUT:-$WORK/points.csv}
SF_PID=""

# PostgreSQL refuses to run as root.
as_pg() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/tmp LC_ALL=C.UTF-8 "$@")
    else
        LC_ALL=C.UTF-8 "$@"
    fi
}

stop_all() {
    local code=$?
    trap - EXIT INT TERM
    if [ -n "$SF_PID" ] && kill -0 "$SF_PID" 2>/dev/null; then
        kill -TERM "$SF_PID"
        wait "$SF_PID" 2>/dev/null || { echo "ShardForge did not stop cleanly" >&2; [ "$code" != 0 ] || code=1; }
    fi
    [ -f "$WORK/pg/postmaster.pid" ] && as_pg "$PGBIN/pg_ctl" -D "$WORK/pg" -m fast -w stop >/dev/null 2>&1
    if [ "$code" != 0 ] && [ -s "$WORK/shardforge.log" ]; then
        echo "the end of ShardForge's log:" >&2
        tail -20 "$WORK/shardforge.log" >&2
    fi
    if [ -n "${KEEP:-}" ]; then echo "left: $WORK" >&2; else rm -rf "$WORK"; fi
    exit "$code"
}
trap stop_all EXIT
trap 'exit 130' INT TERM

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 30000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}

# --- the two servers ---------------------------------------------------------------------------

start_postgres() {
    mkdir "$WORK/pg"
    [ "$(id -u)" != 0 ] || chown postgres:postgres "$WORK/pg"
    as_pg "$PGBIN/initdb" -D "$WORK/pg" -U postgres -A trust -E UTF8 --locale=C.UTF-8 >/dev/null
    cat >>"$WORK/pg/postgresql.conf" <<-CONF
		listen_addresses = '127.0.0.1'
		port = $PG_PORT
		unix_socket_directories = ''
		shared_buffers = ${MEMORY_MB}MB
		max_wal_size = 4GB
		max_connections = 200
		fsync = on
		synchronous_commit = on
	CONF
    as_pg "$PGBIN/pg_ctl" -D "$WORK/pg" -l "$WORK/pg/server.log" -w -t 60 start </dev/null >/dev/null
    PG_PID=$(head -1 "$WORK/pg/postmaster.pid")
}

start_shardforge() {
    SHARDFORGE_COMPUTE_CACHE_BYTES="$((MEMORY_MB - 256))MiB" \
        SHARDFORGE_PAGESERVER_BLOCK_CACHE_BYTES=128MiB \
        SHARDFORGE_PAGESERVER_MEMTABLE_BYTES=64MiB \
        SHARDFORGE_SAFEKEEPER_LOG_CACHE_BYTES=32MiB \
        SHARDFORGE_SAFEKEEPER_CERTIFIER_BYTES=32MiB \
        "$BINARY" start --data-dir "$WORK/sf" --sql-listen "127.0.0.1:$SF_PORT" \
        --http-listen "127.0.0.1:$SF_HTTP" >"$WORK/shardforge.log" 2>&1 </dev/null &
    SF_PID=$!
    local tries
    for tries in $(seq 600); do
        if sql sf postgres 'select 1' >/dev/null 2>&1; then return; fi
        kill -0 "$SF_PID" 2>/dev/null || { echo "ShardForge did not start" >&2; exit 1; }
        sleep 0.1
    done
    echo "ShardForge does not answer after $((tries / 10)) s" >&2
    exit 1
}

port_of() { if [ "$1" = pg ]; then echo "$PG_PORT"; else echo "$SF_PORT"; fi; }
pid_of() { if [ "$1" = pg ]; then echo "$PG_PID"; else echo "$SF_PID"; fi; }
name_of() { if [ "$1" = pg ]; then echo PostgreSQL; else echo ShardForge; fi; }

sql() { # system database statement...
    local system=$1 db=$2 arguments=()
    shift 2
    local statement
    for statement; do arguments+=(-c "$statement"); done
    PGCONNECT_TIMEOUT=10 "$PGBIN/psql" -h 127.0.0.1 -p "$(port_of "$system")" -U postgres -XqAt -v ON_ERROR_STOP=1 \
        "${arguments[@]}" "$db"
}

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
    local cpu disk
    cpu=$(awk -F': ' '/^model name/ {print $2; exit}' /proc/cpuinfo)
    disk=$(df --output=source,fstype "$WORK" | tail -1 | xargs)
    echo "machine      ${cpu:-unknown CPU}, $(nproc) cores, $(awk '/^MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo), Linux $(uname -r)"
    echo "load before  $(cut -d' ' -f1-3 /proc/loadavg)"
    echo "disk         $disk"
    # As the data's owner would: 8 KiB overwritten, then fdatasync.
    "$PGBIN/pg_test_fsync" -s 1 -f "$WORK/fsync.tmp" 2>/dev/null |
        awk '$1 == "fdatasync" && !seen {seen = 1; print "fdatasync    of one 8 KiB block: " $4 " us, " $2 " a second"}'
    rm -f "$WORK/fsync.tmp"
    echo "ShardForge   $("$BINARY" --version), $(stat -c %s "$BINARY" | numfmt --to=iec) $(basename "$(dirname "$BINARY")") folder, caches ${MEMORY_MB} MiB together, one safekeeper, local folder as object store"
    echo "PostgreSQL   $("$PGBIN/postgres" --version | sed 's/^postgres //'), shared_buffers ${MEMORY_MB}MB, max_wal_size 4GB, fsync and synchronous_commit on, the rest as initdb writes it"
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

PG_PORT=$(free_port) SF_PORT=$(free_port) SF_HTTP=$(free_port)
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

# lib.sh: what the measurements share; sourced by */run.sh after they have set MEMORY_MB.
#
# It finds PostgreSQL's programs, makes the temporary folder, starts ShardForge and PostgreSQL 15 in it, on free
# ports, with fsync on and the same memory, and stops both however the script ends.
#
#   prepare NAME BINARY PROGRAM...    BINARY, PGBIN, WORK, ports; the PROGRAMs of PostgreSQL are needed
#   start_postgres, start_shardforge  PG_PID, SF_PID
#   sql SYSTEM DATABASE STATEMENT...  by psql; a SYSTEM is pg or sf
#   psql_on SYSTEM DATABASE ARGUMENT...
#
# Environment: WORKDIR, PGBIN, KEEP, as each script's head says.

SF_PID="" PG_PID=""

find_pgbin() { # program...
    local dir program
    for dir in "${PGBIN:-}" /usr/lib/postgresql/15/bin "$(pg_config --bindir 2>/dev/null || true)"; do
        [ -n "$dir" ] || continue
        for program in initdb pg_ctl psql "$@"; do [ -x "$dir/$program" ] || continue 2; done
        echo "$dir"
        return
    done
    echo "PostgreSQL 15's server programs were not found: apt-get install postgresql-15, or set PGBIN" >&2
    return 1
}

prepare() { # name binary program...
    local name=$1
    BINARY=$(realpath "$2")
    shift 2
    [ -x "$BINARY" ] || { echo "$BINARY is not a program" >&2; exit 2; }
    [ "$MEMORY_MB" -ge 384 ] || { echo "MEMORY_MB: at least 384" >&2; exit 2; }
    PGBIN=$(find_pgbin "$@")
    WORK=$(mktemp -d "${WORKDIR:-${TMPDIR:-/tmp}}/shardforge-$name.XXXXXX")
    chmod 711 "$WORK"
    if [ "$(stat -f -c %T "$WORK")" = tmpfs ]; then
        echo "$WORK is memory, where fsync costs nothing: set WORKDIR to a folder on a disk" >&2
        rmdir "$WORK"
        exit 2
    fi
    trap stop_all EXIT
    trap 'exit 130' INT TERM
    PG_PORT=$(free_port) SF_PORT=$(free_port) SF_HTTP=$(free_port)
}

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

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 30000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}

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

psql_on() { # system database argument...
    local system=$1 db=$2
    shift 2
    PGCONNECT_TIMEOUT=10 "$PGBIN/psql" -h 127.0.0.1 -p "$(port_of "$system")" -U postgres -d "$db" -XqAt \
        -v ON_ERROR_STOP=1 "$@"
}

sql() { # system database statement...
    local system=$1 db=$2 arguments=()
    shift 2
    local statement
    for statement; do arguments+=(-c "$statement"); done
    psql_on "$system" "$db" "${arguments[@]}"
}

# The machine and both systems, a line each. Which lines of its own a script puts between them is its business.
describe_machine() {
    local cpu disk
    cpu=$(awk -F': ' '/^model name/ {print $2; exit}' /proc/cpuinfo)
    disk=$(df --output=source,fstype "$WORK" | tail -1 | xargs)
    echo "machine      ${cpu:-unknown CPU}, $(nproc) cores, $(awk '/^MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo), Linux $(uname -r)"
    echo "load before  $(cut -d' ' -f1-3 /proc/loadavg)"
    echo "disk         $disk"
}

describe_systems() {
    echo "ShardForge   $("$BINARY" --version), $(stat -c %s "$BINARY" | numfmt --to=iec) $(basename "$(dirname "$BINARY")") folder, caches ${MEMORY_MB} MiB together, one safekeeper, local folder as object store"
    echo "PostgreSQL   $("$PGBIN/postgres" --version | sed 's/^postgres //'), shared_buffers ${MEMORY_MB}MB, max_wal_size 4GB, fsync and synchronous_commit on, the rest as initdb writes it"
}

#!/usr/bin/env bash
# areas.sh PERF_DATA...: where the time of a `perf record` of the server goes, in percent by area.
#
# A sample counts for the area of the innermost frame that belongs to one; what is outside all of them (the
# allocator, copies of memory, the standard library) counts for who called it, and is shown once more by itself.
set -euo pipefail
for data; do
    echo "$(basename "$data")"
    perf script -i "$data" --no-inline -F comm,ip,sym 2>/dev/null | awk '
        function area_of(f) {
            if (f ~ /shardforge_compute.*pgwire/) return "compute: wire"
            if (f ~ /shardforge_compute.*session/) return "compute: session"
            if (f ~ /shardforge_compute.*sql/) return "compute: parser and binder"
            if (f ~ /shardforge_compute.*catalog/) return "compute: catalog"
            if (f ~ /shardforge_compute.*(row_exec|functions)/) return "compute: row executor"
            if (f ~ /shardforge_compute.*txn/) return "compute: transactions"
            if (f ~ /shardforge_cache/) return "compute: recent writes and pages"
            if (f ~ /shardforge_analytics|datafusion|arrow/) return "compute: reports"
            if (f ~ /shardforge_types/) return "values: text, rows, keys"
            if (f ~ /openraft|shardforge_safekeeper.*raft/) return "safekeeper: Raft"
            if (f ~ /shardforge_safekeeper.*log/) return "safekeeper: log"
            if (f ~ /shardforge_safekeeper.*feed/) return "safekeeper: feed"
            if (f ~ /shardforge_safekeeper/) return "safekeeper: sequencer, certifier, group"
            if (f ~ /shardforge_pageserver/) return "pageserver"
            if (f ~ /shardforge_store|shardforge_common/) return "formats and store"
            if (f ~ /^tokio|^mio|tokio::/) return "Tokio"
            return ""
        }
        function kernel_of(stack) {
            if (stack ~ /fdatasync|fsync|sync_file_range/) return "kernel: fdatasync"
            if (stack ~ /sys_pwrite|sys_write|ext4/) return "kernel: write"
            if (stack ~ /sys_send/) return "kernel: send"
            if (stack ~ /sys_recv|sys_read/) return "kernel: receive"
            if (stack ~ /epoll/) return "kernel: epoll"
            if (stack ~ /futex/) return "kernel: futex"
            return "kernel: other (scheduling, interrupts)"
        }
        function finish(   i, found) {
            if (!depth) return
            total++
            threads[comm]++
            if (frame[1] ~ /^\[k\]/) areas[kernel_of(all)]++
            else {
                found = ""
                for (i = 1; i <= depth && found == ""; i++) found = area_of(frame[i])
                areas[found == "" ? "unknown" : found]++
                if (frame[1] ~ /mi_|malloc|free|realloc|calloc/) beside["allocator"]++
                if (frame[1] ~ /mem(cpy|move|set|cmp)|memmove/) beside["copying and comparing memory"]++
            }
            self[frame[1]]++
        }
        /^[^ \t]/ { finish(); depth = 0; all = ""; comm = $0; sub(/ +$/, "", comm); next }
        /^[ \t]+[0-9a-f]+ / {
            name = $0; sub(/^[ \t]+/, "", name); address = name; sub(/ .*/, "", address); sub(/^[0-9a-f]+ /, "", name)
            if (length(address) == 16 && address ~ /^ffff/) name = "[k] " name
            frame[++depth] = name; all = all " " name
        }
        END {
            finish()
            print "  samples " total
            for (a in areas) printf "  %5.1f %%  %s\n", 100 * areas[a] / total, a | "sort -rn"
            close("sort -rn")
            print "  by thread"
            for (t in threads) printf "  %5.1f %%  %s\n", 100 * threads[t] / total, t | "sort -rn"
            close("sort -rn")
            print "  of these"
            for (b in beside) printf "  %5.1f %%  %s\n", 100 * beside[b] / total, b | "sort -rn"
            close("sort -rn")
            print "  the innermost functions"
            for (s in self) printf "  %5.1f %%  %s\n", 100 * self[s] / total, substr(s, 1, 110) | "sort -rn | head -25"
            close("sort -rn | head -25")
        }'
done

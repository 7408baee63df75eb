#!/bin/sh
# Writes NAME.out from each NAME.sql: what psql prints with a real PostgreSQL 15.
#
#   regenerate.sh PORT      a server with trust on loopback; a database is made for each script
set -eu
cd "$(dirname "$0")"
for script in *.sql; do
    name=${script%.sql}
    psql -X -q -h 127.0.0.1 -p "$1" -U postgres -d postgres -c "drop database if exists $name" -c "create database $name"
    psql -X -a -v VERBOSITY=verbose -h 127.0.0.1 -p "$1" -U postgres -d "$name" <"$script" 2>&1 |
        sed '/^LOCATION: /d' >"$name.out"
    psql -X -q -h 127.0.0.1 -p "$1" -U postgres -d postgres -c "drop database $name"
done

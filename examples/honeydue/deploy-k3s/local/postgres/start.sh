#!/bin/sh
# The local Postgres pod: makes the database on an empty volume, then serves it until told to leave.
# Needs POSTGRES_PASSWORD; POSTGRES_USER, POSTGRES_DB and PGDATA have defaults; listens on POD_IP, or everywhere without one.
set -eu

: "${POSTGRES_PASSWORD:?the Secret honeydue-secrets has no POSTGRES_PASSWORD}"
: "${POSTGRES_USER:=honeydue}"
: "${POSTGRES_DB:=honeydue}"
: "${PGDATA:=/var/lib/postgresql/data/pgdata}"
case $POSTGRES_PASSWORD$POSTGRES_USER$POSTGRES_DB in
    *\'* | *\"* | *\\*) echo "quotes and backslashes are not allowed in POSTGRES_PASSWORD, POSTGRES_USER and POSTGRES_DB" >&2; exit 1 ;;
esac
for found in /usr/lib/postgresql/*/bin; do bin=$found; done

# Single-user mode: no port is open yet, and nobody can look in half-way.
tell() {
    echo "$2" | "$bin/postgres" --single -j -D "$1" -c log_min_messages=error "$3" >/dev/null
}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # Made beside its place and moved there when whole: a pod that is killed in between starts anew.
    rm -rf "$PGDATA.new"
    mkdir -p "${PGDATA%/*}"
    (umask 077 && echo "$POSTGRES_PASSWORD" >/tmp/password)
    "$bin/initdb" -D "$PGDATA.new" -U "$POSTGRES_USER" --auth=scram-sha-256 --pwfile=/tmp/password --encoding=UTF8 \
        --locale=C.UTF-8 --no-instructions
    rm /tmp/password
    echo "host all all all scram-sha-256" >>"$PGDATA.new/pg_hba.conf"
    if [ "$POSTGRES_DB" != postgres ]; then
        tell "$PGDATA.new" "CREATE DATABASE \"$POSTGRES_DB\"" postgres
    fi
    mv "$PGDATA.new" "$PGDATA"
else
    # The volume may be older than the Secret.
    rm -f "$PGDATA/postmaster.pid"
    tell "$PGDATA" "ALTER ROLE \"$POSTGRES_USER\" PASSWORD '$POSTGRES_PASSWORD'" postgres
fi

"$bin/postgres" -D "$PGDATA" -c "listen_addresses=${POD_IP:-*}" -c unix_socket_directories= -c jit=off \
    -c dynamic_shared_memory_type=mmap -c shared_buffers=64MB -c max_connections=120 -c log_timezone=UTC -c timezone=UTC &
server=$!
# SIGTERM asks Postgres to wait for every client to leave by itself; SIGINT ends their sessions and writes a clean checkpoint.
trap 'kill -INT $server' TERM INT
code=0
wait $server || code=$?
# A trap interrupts wait: the second one is for the server's own end.
while kill -0 $server 2>/dev/null; do
    code=0
    wait $server || code=$?
done
exit $code

#!/bin/sh
# Readiness of the local Postgres pod: it takes connections.
for found in /usr/lib/postgresql/*/bin; do bin=$found; done
exec "$bin/pg_isready" -q -h "${POD_IP:-127.0.0.1}" -p 5432 -t 2

#!/bin/sh
# Copies this machine's redis-server to .skep/stage/redis: Debian's is a link to a program of another package.
# Run by skep before the image is built (images.redis.native.run in skep.yaml), in the folder of skep.yaml.
set -eu

if [ ! -x /usr/bin/redis-server ]; then
    echo "no /usr/bin/redis-server on this machine" >&2
    echo "hint: install Debian's package: apt-get install redis-server" >&2
    exit 1
fi
# Copied once for as long as the package's file and this script stay the same: a new copy has to be packed anew.
made_from=$({ cat "$0"; stat -L -c '%n %s %i %y %z' /usr/bin/redis-server; } | sha256sum)
if [ "$(cat .skep/stage/redis/made-from 2>/dev/null)" = "$made_from" ]; then
    exit 0
fi
rm -rf .skep/stage/redis
mkdir -p .skep/stage/redis
cp -Lp /usr/bin/redis-server .skep/stage/redis/redis-server
echo "$made_from" >.skep/stage/redis/made-from

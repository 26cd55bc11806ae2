#!/bin/sh
# Prints the Debian mirror that this machine's apt uses; nothing where there is none.
cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    sed -n -E 's/^URIs: *([^ ]*\/debian)\/?( .*)?$/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]*\/debian)\/? .*$/\2/p' | head -n 1

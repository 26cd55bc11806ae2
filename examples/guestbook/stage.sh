#!/bin/sh
# Lays Debian's python3 and its standard library out under .skep/stage, at the paths they have on this machine.
set -eu

# Not whatever `python3` PATH finds first: a version manager's would bring its own world along.
if [ ! -e /usr/bin/python3 ]; then
    echo "no /usr/bin/python3 on this machine" >&2
    echo "hint: install Debian's package: apt-get install python3" >&2
    exit 1
fi
version=$(/usr/bin/python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
# Laid out once for as long as Python's files and this script stay the same: what is laid anew has to be packed anew.
made_from=$({
    cat "$0"
    find -L /usr/bin/python3 "/usr/lib/$version" -name __pycache__ -prune -o -type f -printf '%p %s %i %T@ %C@\n' 2>/dev/null | sort
} | sha256sum)
if [ "$(cat .skep/stage/made-from 2>/dev/null)" = "$made_from" ]; then
    exit 0
fi
rm -rf .skep/stage
mkdir -p .skep/stage/usr/bin ".skep/stage/usr/lib/$version"
cp -Lp /usr/bin/python3 .skep/stage/usr/bin/python3
cp -Rp "/usr/lib/$version/." ".skep/stage/usr/lib/$version/"
# Compiled files carry times, which would make the image another one at each build; the rest is never imported here.
find ".skep/stage/usr/lib/$version" -name __pycache__ -type d -prune -exec rm -rf {} +
for unused in test idlelib lib2to3 tkinter turtledemo ensurepip distutils pydoc_data config-*; do
    rm -rf ".skep/stage/usr/lib/$version"/$unused
done
# Debian's site hook and sysconfig are links to outside of what is laid; nothing needs them.
find ".skep/stage/usr/lib/$version" -type l -delete
echo "$made_from" >.skep/stage/made-from

#!/bin/sh
# make-debian.sh FOLDER: a bare Debian in it, from the mirror that this machine's apt uses.
set -eu
mirror=$("$(dirname "$0")/debian-mirror.sh")
# Without a mirror of its own debootstrap knows one.
exec debootstrap --variant=minbase bookworm "$1" ${mirror:+"$mirror"}

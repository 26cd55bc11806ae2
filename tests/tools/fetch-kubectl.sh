#!/bin/sh
# Unpacks Debian sid's kubectl under target/tools/kubectl, for the tests: bookworm has none. The machine's own apt
# configuration is read for its mirror and is not changed. Prints the program's path.
set -eu
cd "$(dirname "$0")/../.."
into=$PWD/target/tools/kubectl
program=$into/usr/bin/kubectl
if [ -x "$program" ]; then
    echo "$program"
    exit 0
fi
# Tests run side by side: the first one fetches, the others wait for it.
mkdir -p "$into"
exec 9>"$into/lock"
flock 9
if [ -x "$program" ]; then
    echo "$program"
    exit 0
fi
mirror=$(tests/tools/debian-mirror.sh)
if [ -z "$mirror" ]; then
    echo "no Debian mirror in /etc/apt: put a kubectl 1.36 at $program" >&2
    exit 1
fi
apt=$(mktemp -d)
trap 'rm -rf "$apt"' EXIT
chmod 755 "$apt"
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] $mirror sid main" >"$apt/sources.list"
touch "$apt/status"
sid() {
    apt-get -qq -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts="$apt/parts" \
        -o Dir::State="$apt" -o Dir::State::lists="$apt/lists" -o Dir::State::status="$apt/status" \
        -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}
sid update >&2
(cd "$apt" && sid download kubectl >&2)
dpkg-deb -x "$apt"/kubectl_*.deb "$into/unpacked"
rm -rf "$into/usr"
mv "$into/unpacked/usr" "$into/usr"
rm -rf "$into/unpacked"
echo "$program"

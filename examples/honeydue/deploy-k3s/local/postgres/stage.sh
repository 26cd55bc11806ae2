#!/bin/sh
# Lays out, under .skep/stage/postgres, what the local Postgres image needs of this machine's Debian package.
# Run by skep before the image is built (images.postgres.native.run in skep.yaml), in the folder of skep.yaml.
set -eu

stage=.skep/stage/postgres
programs=$(ls -d /usr/lib/postgresql/*/bin/postgres 2>/dev/null | sort -t/ -k5 -n | tail -n 1)
if [ -z "$programs" ]; then
    echo "no /usr/lib/postgresql/*/bin/postgres on this machine" >&2
    echo "hint: install Debian's server package: apt-get install postgresql" >&2
    exit 1
fi
version=$(basename "$(dirname "$(dirname "$programs")")")
lib=/usr/lib/postgresql/$version
share=/usr/share/postgresql/$version
for needed in "$lib/bin/initdb" "$lib/lib/plpgsql.so" "$lib/lib/dict_snowball.so" "$share/postgres.bki" /usr/share/zoneinfo/Etc/UTC \
    /usr/lib/locale/C.utf8/LC_CTYPE; do
    if [ ! -e "$needed" ]; then
        echo "$needed is missing although Postgres $version is installed" >&2
        echo "hint: apt-get install --reinstall postgresql-$version tzdata libc-bin" >&2
        exit 1
    fi
done

# Laid out once for as long as the packages' files and this script stay the same: what is laid anew has to be packed anew.
made_from=$({
    cat "$0"
    find "$lib/bin" "$lib/lib" "$share" /usr/share/postgresql-common /usr/share/zoneinfo/Etc /usr/lib/locale/C.utf8 \
        -type f -printf '%p %s %i %T@ %C@\n' 2>/dev/null | sort
} | sha256sum)
if [ "$(cat "$stage/made-from" 2>/dev/null)" = "$made_from" ]; then
    exit 0
fi

rm -rf "$stage"
mkdir -p "$stage/root$lib/bin" "$stage/root$lib/lib" "$stage/root$share" "$stage/root/usr/share/zoneinfo/Etc"
for program in postgres initdb pg_isready; do
    cp -p "$lib/bin/$program" "$stage/root$lib/bin/"
done
# The conversions (utf8_and_*.so and the like) are small and named by the catalog that initdb loads. The LLVM JIT is left
# out: it would bring 100 MB of libraries, and the server runs with jit=off.
for library in "$lib"/lib/plpgsql.so "$lib"/lib/dict_snowball.so "$lib"/lib/*_and_*.so; do
    cp -p "$library" "$stage/root$lib/lib/"
done
cp -Rp "$share"/. "$stage/root$share/"
rm -rf "$stage/root$share/man" "$stage/root$share/contrib" "$stage/root$share/extension"
mkdir "$stage/root$share/extension"
cp -p "$share"/extension/plpgsql* "$stage/root$share/extension/"
# Debian keeps one shared sample of the configuration and links to it.
cp -Lp "$share/postgresql.conf.sample" "$stage/root$share/postgresql.conf.sample.real"
mv -f "$stage/root$share/postgresql.conf.sample.real" "$stage/root$share/postgresql.conf.sample"
for zone in Etc/UTC UTC GMT; do
    cp -Lp "/usr/share/zoneinfo/$zone" "$stage/root/usr/share/zoneinfo/$zone"
done
mkdir -p "$stage/root/usr/lib/locale"
cp -Rp /usr/lib/locale/C.utf8 "$stage/root/usr/lib/locale/"
echo "$made_from" >"$stage/made-from"

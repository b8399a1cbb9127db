#!/usr/bin/env bash
# Makes Debian's source package of this tree, with every crate in it, so that it builds without a
# network. The same tree gives the same bytes. Usage: scripts/source-package.sh DIRECTORY
set -euo pipefail
umask 022

out=$(realpath -m "${1:?a directory}")
cd "$(dirname "$0")/.."
version=$(dpkg-parsechangelog -SVersion)
upstream=${version%-*}
in_cargo=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
if [ "$upstream" != "$in_cargo" ]; then
    echo "debian/changelog has version $version, Cargo.toml has $in_cargo" >&2
    exit 1
fi
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -STimestamp)
export SOURCE_DATE_EPOCH

mkdir -p "$out"
orig=$out/nginx-redis-cache_$upstream.orig
scripts/source-archives.sh "$orig.tar.xz" "$orig-vendor.tar.xz"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar --directory "$work" --extract --file "$orig.tar.xz"
tree=$work/nginx-redis-cache-$upstream
tar --directory "$tree" --extract --file "$orig-vendor.tar.xz"
scripts/debian-copyright.py >"$tree/debian/copyright"
cd "$out"
dpkg-source --build "$tree"

#!/usr/bin/env bash
# Makes Debian's source package of this tree, with every crate in it, so that it builds without a
# network. The same tree gives the same bytes. Usage: scripts/source-package.sh DIRECTORY
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:?a directory}
mkdir -p "$out"
out=$(cd "$out" && pwd)
version=$(dpkg-parsechangelog -SVersion)
upstream=${version%-*}
name=nginx-redis-cache
in_cargo=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
if [ "$upstream" != "$in_cargo" ]; then
    echo "debian/changelog has version $version, Cargo.toml has $in_cargo" >&2
    exit 1
fi
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -STimestamp)
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/$name-$upstream
mkdir "$tree"

# One order, time, owner and mode, whatever made the files.
pack() { # pack DIRECTORY ARCHIVE
    tar --directory "$(dirname "$1")" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 \
        --numeric-owner --mode='u=rwX,go=rX' --format=gnu --create "$(basename "$1")" |
        xz --threads=1 -3 >"$2"
}

scripts/list-files.sh | tar --null --files-from=- --create | tar --directory "$tree" --extract
rm -rf "$tree/debian"
pack "$tree" "$out/${name}_$upstream.orig.tar.xz"
cargo vendor --quiet --locked --versioned-dirs "$work/vendor" >/dev/null
pack "$work/vendor" "$out/${name}_$upstream.orig-vendor.tar.xz"

mv "$work/vendor" "$tree/vendor"
scripts/list-files.sh debian | tar --null --files-from=- --create | tar --directory "$tree" --extract
scripts/debian-copyright.py >"$tree/debian/copyright"
cd "$out"
dpkg-source --build "$tree"

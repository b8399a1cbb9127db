#!/usr/bin/env bash
# Makes two archives: this tree, and vendor/ with every crate of Cargo.lock and their licences, so
# that it builds without a network. The same tree gives the same bytes.
# Usage: scripts/source-archives.sh TREE.tar.xz VENDOR.tar.xz
set -euo pipefail

tree=$(realpath "${1:?an archive}") vendor=$(realpath "${2:?an archive for vendor/}")
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(dpkg-parsechangelog -STimestamp)}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
name=nginx-redis-cache-$version
mkdir "$work/$name"

scripts/list-files.sh | tar --null --files-from=- --create | tar --directory "$work/$name" --extract
scripts/pack.sh "$work/$name" "$tree"
cargo vendor --quiet --locked --versioned-dirs "$work/vendor" >/dev/null
scripts/licences.py >"$work/vendor/LICENCES.txt"
scripts/pack.sh "$work/vendor" "$vendor"

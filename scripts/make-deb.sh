#!/usr/bin/env bash
# Builds libnginx-mod-http-redis-cache for the nginx of this machine's Debian, into
# build/deb/SUITE/, beside the source package.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=$(. /etc/os-release && echo "${VERSION_CODENAME:?no Debian: see docs/packaging.md}")
out=$PWD/build/deb/$suite
rm -rf "$out"
scripts/source-package.sh "$out"
cd "$out"
dpkg-source --extract ./*.dsc work >/dev/null
cd work
# Cargo may be the user's own: rustup's is no package.
depends=()
dpkg-query -W cargo rustc >/dev/null 2>&1 || depends=(-d)
dpkg-buildpackage "${depends[@]}" --unsigned-source --unsigned-changes --build=binary
cd ..
rm -rf work
lintian --fail-on error --allow-root ./*.changes
ls -l ./*.deb

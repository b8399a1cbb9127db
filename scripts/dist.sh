#!/usr/bin/env bash
# Makes a release: source and crates, the module for one nginx and apart from it its debug symbols,
# an SBOM, the licences, checksums. The same tree, toolchain and nginx give the same bytes.
# NGINX is as for `make build`. Usage: scripts/dist.sh DIRECTORY
set -euo pipefail
umask 022
out=$(realpath -m "${1:?a directory}")
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
name=nginx-redis-cache-$version
module=ngx_http_redis_cache_module.so
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -STimestamp)
export SOURCE_DATE_EPOCH LC_ALL=C.UTF-8
export NGINX_SOURCE_DIR=${NGINX_SOURCE_DIR:-/usr/share/nginx/src}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$out"
mkdir -p "$out"

if [ -n "${NGINX:-}" ]; then
    given=$NGINX_SOURCE_DIR
    [ "$given" != /usr/share/nginx/src ] || given=
    NGINX_SOURCE_DIR=$(scripts/nginx-source.sh "$NGINX" "$given")
    NGINX_BUILD_DIR=$NGINX_SOURCE_DIR/objs
else
    NGINX_BUILD_DIR=$work/objs
    export NGINX_BUILD_DIR
    scripts/configure-nginx.sh
fi
export NGINX_BUILD_DIR
nginx=$(sed -n 's/^#define NGINX_VERSION *"\(.*\)"/\1/p' "$NGINX_SOURCE_DIR/src/core/nginx.h")
built=$name-nginx-$nginx-$(uname -m)

scripts/source-archives.sh "$out/$name.tar.xz" "$out/$name-vendor.tar.xz"
scripts/sbom.py >"$out/$name.cdx.json"
scripts/licences.py >"$out/$name-licences.txt"

# Built from the archives themselves, without a network.
tree=$work/$name
tar --directory "$work" --extract --file "$out/$name.tar.xz"
tar --directory "$tree" --extract --file "$out/$name-vendor.tar.xz"
export RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup} CARGO_HOME=$work/cargo-home
export RUSTFLAGS="--remap-path-prefix=$work=/usr/src -C link-arg=-Wl,-z,relro,-z,now,--build-id"
(cd "$tree" && cargo build --quiet --release --frozen --target-dir "$work/target" \
    --config 'source.crates-io.replace-with="vendored"' \
    --config 'source.vendored.directory="vendor"')
mkdir "$work/$built" "$work/$built-debug"
cp "$work/target/release/lib$module" "$work/$module"
objcopy --only-keep-debug "$work/$module" "$work/$built-debug/$module.debug"
strip --strip-unneeded "$work/$module" -o "$work/$built/$module"
objcopy --add-gnu-debuglink="$work/$built-debug/$module.debug" "$work/$built/$module"
chmod 644 "$work/$built/$module" "$work/$built-debug/$module.debug"
scripts/check-exports.sh "$work/$built/$module"
scripts/check-hardening.sh "$work/$built/$module"

cp LICENSE README.md "$work/$built"
cp "$out/$name-licences.txt" "$work/$built/LICENCES.txt"
for directory in "$built" "$built-debug"; do
    scripts/pack.sh "$work/$directory" "$out/$directory.tar.xz"
done
cd "$out"
sha256sum -- * >SHA256SUMS
ls -l

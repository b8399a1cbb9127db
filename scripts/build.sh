#!/usr/bin/env bash
# Builds the module for $NGINX, or else for the nginx of $NGINX_SOURCE_DIR and $NGINX_BUILD_DIR.
# Usage: scripts/build.sh MODULE
set -euo pipefail
cd "$(dirname "$0")/.."

module=${1:?where the module goes}
nginx=${NGINX:-}
export NGINX_SOURCE_DIR=${NGINX_SOURCE_DIR:-/usr/share/nginx/src}
if [ -n "$nginx" ]; then
    given=$NGINX_SOURCE_DIR
    [ "$given" != /usr/share/nginx/src ] || given=
    NGINX_SOURCE_DIR=$(scripts/nginx-source.sh "$nginx" "$given")
    NGINX_BUILD_DIR=$NGINX_SOURCE_DIR/objs
    export NGINX_BUILD_DIR
else
    scripts/configure-nginx.sh
fi
cargo build --release
mkdir -p "$(dirname "$module")"
cp "${CARGO_TARGET_DIR:-target}/release/libngx_http_redis_cache_module.so" "$module.new"
mv "$module.new" "$module"
scripts/check-exports.sh "$module"
if [ -n "$nginx" ] && [ ! -d "$nginx" ]; then
    scripts/check-loads.sh "$nginx" "$module"
fi

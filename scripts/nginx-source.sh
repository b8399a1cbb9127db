#!/usr/bin/env bash
# Configures the headers of a given nginx below build/nginx/ and prints that source directory. The
# nginx is a program, whose `nginx -V` says how it was configured, or a source directory.
# Usage: scripts/nginx-source.sh PROGRAM-OR-DIRECTORY [SOURCE-DIRECTORY]
set -euo pipefail
cd "$(dirname "$0")/.."

nginx=${1:?a program or a source directory} given=${2:-}
debian=/usr/share/nginx/src
out=$PWD/build/nginx

fail() {
    echo "make build NGINX=$nginx: $*" >&2
    exit 1
}

version_of_source() {
    sed -n 's/^#define NGINX_VERSION *"\(.*\)"/\1/p' "$1/src/core/nginx.h" 2>/dev/null
}

is_debians() {
    local file
    file=$(realpath "$nginx")
    { dpkg-query -S "$file" "${file#/usr}" 2>/dev/null || true; } | grep -q '^nginx'
}

# The arguments of `nginx -V`, one a line, without those that would have configure look for what is
# not here and that change no structure: other modules, and libraries built from their sources.
configured_with() {
    sed -n 's/^configure arguments: //p' <<<"$1" | xargs -n 1 printf '%s\n' |
        sed -E -e '/^--(add-module|add-dynamic-module|builddir|with-openssl|with-zlib)=/d' \
            -e '/^--with-http_[a-z_]+=dynamic$/d' -e '/^--with-stream_geoip_module=dynamic$/d' \
            -e 's/^--with-pcre=.*/--with-pcre/' -e '/^--with-(pcre|openssl|zlib)-opt=/d'
}

configure() {
    cd "$1"
    local program=./configure log=$out/configure.log
    [ -x "$program" ] || program=./auto/configure
    [ -x "$program" ] || fail "$source_dir has neither configure nor auto/configure"
    echo "Configuring the headers of nginx $found" >&2
    if ! "$program" "${arguments[@]}" --builddir=objs >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "its configure fails; the whole log is in $log"
    fi
}

arguments=(--with-compat)
if [ -d "$nginx" ]; then
    source_dir=$nginx
    [ -z "$given" ] || fail "a source directory needs no second one"
elif [ -x "$nginx" ]; then
    said=$("$nginx" -V 2>&1) || fail "\`$nginx -V\` fails: $said"
    version=$(sed -n 's/^nginx version: [^/]*\/\([0-9.]*\).*/\1/p' <<<"$said")
    [ -n "$version" ] || fail "\`$nginx -V\` names no version; is it nginx?"
    mapfile -t arguments < <(configured_with "$said")
    source_dir=$given
    if [ -z "$source_dir" ] && [ -d "$debian" ] && is_debians; then source_dir=$debian; fi
    [ -n "$source_dir" ] || fail "it is nginx $version. Unpack the source of that very version" \
        "(https://nginx.org/download/nginx-$version.tar.gz, the distribution's source package," \
        "or for Debian's own nginx the package nginx-dev)" \
        "and say where it is: NGINX_SOURCE_DIR=DIRECTORY"
else
    fail "neither a program nor a source directory"
fi
found=$(version_of_source "$source_dir") || true
[ -n "$found" ] || fail "$source_dir holds no source of nginx (no src/core/nginx.h)"
[ "${version:=$found}" = "$found" ] ||
    fail "it is nginx $version, and $source_dir is the source of $found:" \
        "nginx loads no module of another version"

# A copy, so that nobody's source tree changes. A directory that is configured is taken as it is.
configured=$source_dir/objs/ngx_auto_config.h
if [ ! -d "$nginx" ] || [ ! -f "$configured" ]; then configured=; fi
wanted="$(realpath "$source_dir") $found ${configured:+$(stat -c %y "$configured")} ${arguments[*]}"
if [ "$(cat "$out/configured-for" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$out"
    mkdir -p "$out/source/objs"
    tar --directory "$source_dir" --exclude=./objs --dereference --create . |
        tar --directory "$out/source" --extract
    if [ -n "$configured" ]; then
        cp "$source_dir"/objs/*.h "$source_dir/objs/Makefile" "$out/source/objs"
    else
        configure "$out/source"
    fi
    echo "$wanted" >"$out/configured-for"
fi
echo "$out/source"

#!/usr/bin/env bash
# Installs the Debian packages that a task needs and that are missing: as root; else names them.
# Usage: scripts/setup.sh build|run|test|apps|bench|package
set -euo pipefail

task=${1:?a task: build, run, test, apps, bench or package}

build=(gcc libc6-dev make libclang-dev libpcre2-dev libssl-dev zlib1g-dev binutils)
run=(redis-server python3 python3-venv curl procps wrk)
# The set-ups of docs/migrating.md.
others=(libnginx-mod-http-set-misc libnginx-mod-http-srcache-filter)
# Filters of others, beside which pages are stored.
filters=(libnginx-mod-http-brotli-filter libnginx-mod-http-echo libnginx-mod-http-headers-more-filter
    libnginx-mod-http-image-filter libnginx-mod-http-js libnginx-mod-http-lua
    libnginx-mod-http-subs-filter libnginx-mod-http-xslt-filter)
# Names that the tests have resolved, for nginx alone.
names=(libnss-wrapper)
# A proxy that knows neither HELLO nor SELECT.
proxies=(nutcracker)
browser=(chromium chromium-driver fonts-dejavu-core)
# What tests/apps serves.
apps=(wordpress wordpress-theme-twentytwentytwo mediawiki dokuwiki mariadb-server
    php-fpm php-cli php-mysql php-sqlite3 php-mbstring php-xml php-intl)
bench=(memcached libnginx-mod-http-lua)
package=(dpkg-dev debhelper xz-utils python3 lintian debootstrap util-linux iproute2 rpm cpio)

# Elsewhere than on Debian, and for another nginx than Debian's, those are the user's own.
if [ "$task" = build ] && ! command -v dpkg-query >/dev/null; then exit 0; fi
if [ -z "${NGINX:-}" ]; then build+=(nginx nginx-dev); fi

packages=("${build[@]}")
case $task in
    build) ;;
    run) packages+=("${run[@]}") ;;
    test) packages+=("${run[@]}" "${others[@]}" "${filters[@]}" "${names[@]}" "${proxies[@]}" \
        "${browser[@]}") ;;
    apps) packages+=("${run[@]}" "${apps[@]}") ;;
    package) packages+=("${run[@]}" "${package[@]}") ;;
    bench) packages+=("${run[@]}" "${bench[@]}") ;;
    *) echo "setup.sh: no task called $task" >&2; exit 2 ;;
esac

# A compiler of the user's own (rustup) is taken as it is.
rust_is_new_enough() {
    local version
    version=$(rustc --version 2>/dev/null | cut -d' ' -f2) || return 1
    command -v cargo >/dev/null && [ -n "$version" ] &&
        [ "$(printf '%s\n' 1.85.0 "$version" | sort -V | head -n 1)" = 1.85.0 ]
}

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
needs_rust=
rust_is_new_enough || needs_rust=1

if [ ${#missing[@]} -eq 0 ] && [ -z "$needs_rust" ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "Missing packages; as root: apt-get install ${missing[*]} ${needs_rust:+and Rust 1.85 or newer (bookworm: cargo-web rustc-web; later: cargo rustc)}" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# The daemons that the packages bring are not started: tests and demo run their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
apt-get update -q
if [ -n "$needs_rust" ]; then
    # bookworm's own rustc is too old; rustc-web follows the browsers that need a new one.
    own=$(apt-cache show --no-all-versions rustc 2>/dev/null | sed -n 's/^Version: //p' || true)
    if dpkg --compare-versions "$own" ge 1.85; then
        missing+=(cargo rustc)
    else
        missing+=(cargo-web rustc-web)
    fi
fi
echo "Installing: ${missing[*]}"
apt-get install -q -y --no-install-recommends "${missing[@]}" ca-certificates

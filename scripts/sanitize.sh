#!/usr/bin/env bash
# Builds nginx and the module with AddressSanitizer, into build/sanitize/, and runs tests with both.
# NGINX is a source directory of nginx; without it the source is that of Debian's nginx.
# Usage: scripts/sanitize.sh ARGUMENT-OF-PYTEST ...
set -euo pipefail
cd "$(dirname "$0")/.."

out=$PWD/build/sanitize
target=x86_64-unknown-linux-gnu
# As Debian's, without what needs further libraries.
flags=(--with-compat --with-debug --with-pcre-jit --with-threads --error-log-path=stderr)
for module in ssl v2 dav auth_request realip sub addition gunzip slice flv mp4 stub_status; do
    flags+=("--with-http_${module}_module")
done
# A pool that is none: every piece is an allocation, so that its bounds and its end are seen.
flags+=(--with-cc-opt='-O1 -g -fno-omit-frame-pointer -fsanitize=address -DNGX_DEBUG_PALLOC=1'
    --with-ld-opt=-fsanitize=address)

fail() {
    echo "make sanitize: $*" >&2
    exit 1
}

# Upstream's archive out of Debian's source package, by lists of its own: the machine's apt seldom
# has those of sources.
fetch() {
    local version=$1 apt=$out/apt line
    line='deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(REPO_URI) $(RELEASE) main'
    mkdir -p "$apt/lists/partial"
    apt-get indextargets --format "$line" 'Created-By: Packages' 'Origin: Debian' |
        sort -u >"$apt/sources.list"
    local options=(-q -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o Dir::State::lists="$apt/lists" -o APT::Sandbox::User="$(id -un)")
    apt-get "${options[@]}" update >"$out/apt.log" &&
        (cd "$apt" && apt-get "${options[@]}" source --download-only --tar-only "nginx=$version") \
            >>"$out/apt.log" ||
        fail "Debian's source of nginx $version cannot be had ($out/apt.log);" \
            "unpack one and say where it is: NGINX=DIRECTORY"
}

unpack() { # a copy, so that nobody's source tree changes
    rm -rf "$nginx"
    mkdir -p "$nginx"
    if [ -n "${NGINX:-}" ]; then
        tar --directory "$NGINX" --exclude=./objs --create . | tar --directory "$nginx" --extract
        [ -f "$nginx/configure" ] || cp "$nginx/auto/configure" "$nginx/configure"
    else
        fetch "$version"
        tar --directory "$nginx" --strip-components=1 --extract --file "$out"/apt/nginx_*.orig.tar.*z
        rm "$out"/apt/nginx_*
    fi
}

if [ -n "${NGINX:-}" ]; then
    [ -f "$NGINX/src/core/nginx.c" ] || fail "$NGINX holds no source of nginx (no src/core/nginx.c)"
    version=$(realpath "$NGINX")
else
    version=$(dpkg-query -W -f '${source:Version}' nginx-dev)
fi
nginx=$out/nginx
wanted="$version ${flags[*]}"
mkdir -p "$out"
if [ "$(cat "$out/built" 2>/dev/null)" != "$wanted" ]; then
    unpack
    echo "Building nginx $version with AddressSanitizer"
    if ! (cd "$nginx" && ./configure "${flags[@]}" && make -j2) >"$out/nginx.log" 2>&1; then
        tail -n 20 "$out/nginx.log" >&2
        fail "nginx cannot be built; the whole log is in $out/nginx.log"
    fi
    echo "$wanted" >"$out/built"
fi

# A compiler that is stable has sanitizers too, but not by its own name. With a target build scripts
# are left as they are. A module that stays loaded has names in reports of leaks, and with frame
# pointers every caller; overflow is checked as in any debug build, and waited for less.
NGINX_SOURCE_DIR=$nginx NGINX_BUILD_DIR=$nginx/objs RUSTC_BOOTSTRAP=1 \
    RUSTFLAGS="-Zsanitizer=address -Cforce-frame-pointers=yes -Clink-arg=-Wl,-z,nodelete" \
    CARGO_PROFILE_DEV_DEBUG=line-tables-only CARGO_PROFILE_DEV_OPT_LEVEL=1 \
    cargo build --target "$target" --target-dir "$out/target"

# nginx itself takes NGINX for sockets that it inherits.
unset NGINX
export PATH=$nginx/objs:$PATH
export REDIS_CACHE_MODULE=$out/target/$target/debug/libngx_http_redis_cache_module.so
# The wrapper that makes up names of hosts is loaded before all else. Leaks are looked for where
# nginx serves and ends.
export ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 NSS_WRAPPER_DISABLE_DEEPBIND=1
export LSAN_OPTIONS=suppressions=$PWD/tests/leaks.txt:print_suppressions=0
# The demo runs the module of `make build`.
.venv/bin/python -m pytest --ignore-glob='*/test_demo*.py' "$@"
